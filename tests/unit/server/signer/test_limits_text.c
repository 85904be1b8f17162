/* SPDX-License-Identifier: Apache-2.0 */
/* signer/test_limits_text.c - what a key may sign, as its file says it */
#include "server/signer/limits.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#define FILE_TEXT \
	"type = \"ec-p384\"\n" \
	"spki_sha256 = \"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\"\n" \
	"may_sign_ca = true\nmax_pathlen = 1\nmax_lifetime_s = 86400\nmax_per_s = 20\n"

static void
limits_come_back_from_their_text(void **state)
{
	AUTO_BUF text = { 0 };
	struct limits l = { 0 }, back = { 0 };

	(void)state;
	assert_int_equal(limits_parse(&l, "f", bytes_of(FILE_TEXT), NULL), 0);
	assert_int_equal(l.type, KEY_EC_P384);
	assert_true(l.may_sign_ca);
	assert_int_equal(l.max_pathlen, 1);
	assert_true(l.max_lifetime_s == 86400);
	assert_int_equal(l.max_per_s, 20);
	assert_int_equal(l.spki_sha256[31], 0x1f);
	limits_print(&text, &l);
	assert_int_equal(limits_parse(&back, "f", bytes_of_buf(&text), NULL), 0);
	assert_memory_equal(&l, &back, sizeof(l));
}

static void
a_limit_that_is_missing_unknown_or_out_of_range_is_an_error(void **state)
{
	static const struct { const char *was, *is, *why; } cases[] = {
		{ "max_per_s = 20\n", "", "f:1:1: key 'max_per_s' is missing" },
		{ "type = \"ec-p384\"\n", "", "f:1:1: key 'type' is missing" },
		{ "ec-p384", "ec-p385", "f:1:1: key 'type': no such type of key" },
		{ "0001", "001", "f:2:1: key 'spki_sha256': not 64 hex digits" },
		{ "= true", "= 1", "f:3:1: key 'may_sign_ca': found an integer, expected a boolean" },
		{ "max_pathlen = 1", "max_pathlen = -2", "f:4:1: key 'max_pathlen': expected -1 to 255" },
		{ "86400", "0", "f:5:1: key 'max_lifetime_s': expected 1 to" },
		{ "= 20", "= 0", "f:6:1: key 'max_per_s': expected 1 to 1000000" },
		{ "= 20", "= 4294967296", "f:6:1: key 'max_per_s': expected" },
		{ "= 20", "= 20\nmay_sign_CA = false", "f:7:1: key 'may_sign_CA': no such limit" },
	};

	(void)state;
	for (size_t i = 0; i < N_OF(cases); i++) {
		const char *at = strstr(FILE_TEXT, cases[i].was);
		AUTO_BUF text = { 0 };
		struct limits l = { .max_per_s = 7 };
		struct err e = { 0 };

		assert_non_null(at);
		buf_put(&text, FILE_TEXT, (size_t)(at - FILE_TEXT));
		buf_put_str(&text, cases[i].is);
		buf_put_str(&text, at + strlen(cases[i].was));
		assert_int_equal(limits_parse(&l, "f", bytes_of_buf(&text), &e), E_FORMAT);
		assert_memory_equal(e.msg, cases[i].why, strlen(cases[i].why));
		assert_int_equal(l.max_per_s, 7);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(limits_come_back_from_their_text),
		cmocka_unit_test(a_limit_that_is_missing_unknown_or_out_of_range_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
