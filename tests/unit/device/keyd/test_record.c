/* SPDX-License-Identifier: Apache-2.0 */
/* keyd/test_record.c - usage words, and numbers of generations that are never given twice */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "device/keyd/record.h"

static const uint8_t *
digest(uint8_t c)
{
	static uint8_t all[8][SHA256_LEN];

	memset(all[c % 8], c, SHA256_LEN);
	return all[c % 8];
}

static void
usage_words_are_known_or_refused(void **state)
{
	unsigned u = 0;

	(void)state;
	assert_true(usage_parse(&u, "derive") && u == USAGE_DERIVE);
	assert_true(usage_parse(&u, "sign,encrypt") && u == (USAGE_SIGN | USAGE_ENCRYPT));
	assert_true(usage_parse(&u, "derive,sign,derive") && u == (USAGE_DERIVE | USAGE_SIGN));
	assert_false(usage_parse(&u, ""));
	assert_false(usage_parse(&u, "sign,"));
	assert_false(usage_parse(&u, ",sign"));
	assert_false(usage_parse(&u, "sign encrypt"));
	assert_false(usage_parse(&u, "Sign"));
	assert_false(usage_parse(&u, "decrypt"));
}

static void
a_key_that_is_not_known_is_the_next_generation(void **state)
{
	struct record r;

	(void)state;
	record_begin(&r, "id");
	assert_int_equal(record_generation(&r, digest(1)), 1);
	assert_int_equal(record_known(&r, digest(1)), 0);
	assert_true(record_note(&r, digest(1)));
	assert_false(record_note(&r, digest(1)));
	assert_int_equal(record_generation(&r, digest(1)), 1);
	assert_int_equal(record_generation(&r, digest(2)), 2);
}

static void
a_rolled_back_number_is_not_given_again(void **state)
{
	struct record r;

	(void)state;
	record_begin(&r, "id");
	(void)record_note(&r, digest(1)); /* 1, then switched to 2, refused, rolled back to 1, switched to 3 */
	(void)record_note(&r, digest(2));
	assert_int_equal(record_generation(&r, digest(1)), 1);
	assert_true(record_note(&r, digest(1)));
	assert_int_equal(record_generation(&r, digest(3)), 3);
	(void)record_note(&r, digest(3));
	assert_int_equal(record_known(&r, digest(1)), 1); /* it is the previous one now */
	assert_int_equal(record_known(&r, digest(2)), 0);
	assert_int_equal(r.last, 3);
}

static void
a_record_survives_its_text(void **state)
{
	struct record r, back;
	AUTO_BUF text = { 0 };
	struct err e;

	(void)state;
	record_begin(&r, "a \"quoted\" id/with:marks");
	r.secret = true;
	r.usage = USAGE_ENCRYPT;
	(void)record_note(&r, digest(1));
	(void)record_note(&r, digest(2));
	record_encode(&text, &r);
	assert_int_equal(record_decode(&back, bytes_of_buf(&text), &e), 0);
	assert_string_equal(back.id, r.id);
	assert_true(back.secret);
	assert_int_equal(back.usage, USAGE_ENCRYPT);
	assert_int_equal(back.last, 2);
	assert_int_equal(record_known(&back, digest(1)), 1);
	assert_int_equal(record_known(&back, digest(2)), 2);
	r.usage = 0;
	buf_reset(&text);
	record_encode(&text, &r);
	assert_int_equal(record_decode(&back, bytes_of_buf(&text), &e), 0);
	assert_int_equal(back.usage, 0); /* nothing is not everything */
}

static void
a_torn_record_is_refused_at_every_length(void **state)
{
	struct record r, back;
	AUTO_BUF text = { 0 };
	struct err e;

	(void)state;
	record_begin(&r, "id");
	(void)record_note(&r, digest(1));
	record_encode(&text, &r);
	for (size_t n = 0; n + 2 < text.n; n++)
		assert_int_equal(record_decode(&back, (struct bytes){ text.p, n }, &e), E_FORMAT);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(usage_words_are_known_or_refused),
		cmocka_unit_test(a_key_that_is_not_known_is_the_next_generation),
		cmocka_unit_test(a_rolled_back_number_is_not_given_again),
		cmocka_unit_test(a_record_survives_its_text),
		cmocka_unit_test(a_torn_record_is_refused_at_every_length),
	};

	return cmocka_run_group_tests_name("record", tests, NULL, NULL);
}
