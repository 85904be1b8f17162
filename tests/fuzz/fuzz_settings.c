/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz/fuzz_settings.c - any configuration gives values, principals and warnings, or errors; any word a path, a span, a stem */
#include <assert.h>
#include <string.h>

#include "core/base/mem.h"
#include "device/service/principal.h"
#include "device/service/settings.h"
#include "device/service/slog.h"
#include "device/service/stem.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static const struct settings_key user[] = { { "uid" }, { "keys" }, { "delegate" }, { NULL } };
static const struct settings_key any[] = { { "*", user }, { NULL } };
static const struct settings_key schema[] = { { "homedir_path" }, { "max_requests" }, { "handles", any },
	{ "principal", user }, { NULL } };

static void
take_warning(void *ctx, const char *text)
{
	(void)ctx;
	assert(strncmp(text, "f:", 2) == 0 && strchr(text, '\n') == NULL);
}

static void
read_principals(const struct toml *doc)
{
	AUTO(principals) p = NULL;
	struct err e = { 0 };

	if (principals_read(&p, doc, "keys", &e) != 0) {
		assert(p == NULL && strncmp(e.msg, "f:", 2) == 0);
		return;
	}
	assert(principals_allow(p, 0, "x") && !principals_allow(p, (uid_t)-1, "x"));
	(void)principals_allow(p, 1, "device-id");
}

static void
read_document(const struct toml *doc)
{
	int64_t s = -1;

	settings_unknown(doc, schema, take_warning, NULL);
	read_principals(doc);
	for (size_t i = 0; i < toml_count(doc); i++) {
		if (settings_duration(&s, doc, toml_key(toml_at(doc, i)), 0, NULL) == 0)
			assert(s >= 0);
	}
}

static void
read_word(const char *word)
{
	char path[PLACE_MAX], stem[STEM_MAX];
	int64_t s = -1;

	if (place_from_file_uri(path, word, NULL) == 0)
		assert(path[0] == '/' && strlen(path) < PLACE_MAX);
	if (stem_name(stem, word, ".key", NULL) == 0)
		assert(strlen(stem) < STEM_MAX && strchr(stem, '/') == NULL);
	if (settings_parse_duration(&s, word, NULL) == 0)
		assert(s >= 0);
	slog_filter(word);
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	AUTO(toml) doc = NULL;
	char *word = mem_dup(p, n);

	read_word(word);
	mem_free(word);
	if (toml_parse(&doc, "f", (struct bytes){ p, n }, NULL) == 0)
		read_document(doc);
	return 0;
}
