/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_name.c - a name or alternative names taken, from DER or text, come back equal from both */
#include <assert.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/pki/name.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void
check_name(const struct name *n)
{
	AUTO_BUF der = { 0 };
	struct name back;
	char text[NAME_TEXT_MAX];

	name_encode(&der, n);
	assert(name_parse(&back, bytes_of_buf(&der), NULL) == 0 && name_equal(n, &back));
	(void)name_text(n, text);
	if (n->n == 0 || strlen(text) >= NAME_TEXT_MAX - 8) /* may be cut */
		return;
	assert(name_from_text(&back, text, NULL) == 0 && name_equal(n, &back));
}

static void
check_sans(const struct sans *s)
{
	AUTO_BUF der = { 0 };
	struct sans back;
	char text[NAME_TEXT_MAX];

	sans_encode(&der, s);
	assert(sans_parse(&back, bytes_of_buf(&der), NULL) == 0 && sans_equal(s, &back));
	assert(strlen(sans_text(s, text)) < sizeof(text));
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct bytes input = { p, n };
	char *text = mem_dup(p, n);
	struct name name;
	struct sans sans;

	if (name_parse(&name, input, NULL) == 0)
		check_name(&name);
	if (name_from_text(&name, text, NULL) == 0)
		check_name(&name);
	if (sans_parse(&sans, input, NULL) == 0)
		check_sans(&sans);
	sans = (struct sans){ 0 };
	if (sans_add_text(&sans, text, NULL) == 0)
		check_sans(&sans);
	mem_free(text);
	return 0;
}
