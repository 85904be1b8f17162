/* SPDX-License-Identifier: Apache-2.0 */
/* codec/test_base64.c - base64 out and in */
#include "core/codec/base64.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "core/base/rnd.h"

static const struct { const char *plain, *text; } rfc4648_10[] = {
	{ "", "" }, { "f", "Zg==" }, { "fo", "Zm8=" }, { "foo", "Zm9v" }, { "foob", "Zm9vYg==" },
	{ "fooba", "Zm9vYmE=" }, { "foobar", "Zm9vYmFy" },
};

static void
the_vectors_of_rfc_4648_hold_both_ways(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_OF(rfc4648_10); i++) {
		AUTO_BUF out = { 0 };
		AUTO_BUF back = { 0 };

		base64_encode(&out, bytes_of(rfc4648_10[i].plain), 0);
		assert_string_equal(buf_str(&out), rfc4648_10[i].text);
		assert_int_equal(base64_decode(&back, bytes_of(rfc4648_10[i].text), NULL), 0);
		assert_string_equal(buf_str(&back), rfc4648_10[i].plain);
	}
}

static void
lines_end_in_crlf_also_the_last(void **state)
{
	AUTO_BUF out = { 0 };

	(void)state;
	base64_encode(&out, bytes_of("foobarfoo"), 8);
	assert_string_equal(buf_str(&out), "Zm9vYmFy\r\nZm9v\r\n");
	buf_reset(&out);
	base64_encode(&out, bytes_of("foobar"), 8);
	assert_string_equal(buf_str(&out), "Zm9vYmFy\r\n");
	buf_reset(&out);
	base64_encode(&out, bytes_of("foo"), 3);
	assert_string_equal(buf_str(&out), "Zm9\r\nv\r\n");
	buf_reset(&out);
	base64_encode(&out, bytes_of(""), 76);
	assert_string_equal(buf_str(&out), "");
}

static void
blanks_anywhere_are_skipped(void **state)
{
	static const char *const good[] = {
		"Zm9v\r\nYg==\r\n", "\n\n Zm9vYg= = \t", "Z m\t9\rv\nY\r\ng==", "Zm9vYg==",
	};

	(void)state;
	for (size_t i = 0; i < N_OF(good); i++) {
		AUTO_BUF out = { 0 };

		assert_int_equal(base64_decode(&out, bytes_of(good[i]), NULL), 0);
		assert_string_equal(buf_str(&out), "foob");
	}
}

static void
anything_else_is_refused_and_nothing_is_written(void **state)
{
	static const char *const bad[] = {
		"Z", "Zg", "Zg=", "Zm9", "Zm9vY", "Zm9vYg=", /* cut */
		"=", "Z===", "Zg===", "Zm8==", "====", "Zm9v=", /* padding of its own */
		"Zg==Zg==", "Zg==A", "Zm8=Z",               /* more after it */
		"Zh==", "Zm9=",                             /* bits left over */
		"Zm-v", "Zm_v", "Zm9v!", "Zm\vv", "Zm\xc3\xbc", "-----BEGIN", "Zm9v\x01",
	};
	struct err e = { 0 };

	(void)state;
	for (size_t i = 0; i < N_OF(bad); i++) {
		AUTO_BUF out = { 0 };

		buf_put_str(&out, "before");
		e.msg[0] = 0;
		assert_int_equal(base64_decode(&out, bytes_of(bad[i]), &e), E_FORMAT);
		assert_memory_equal(e.msg, "base64: ", 8);
		assert_string_equal(buf_str(&out), "before");
	}
}

static void
a_nul_is_no_blank(void **state)
{
	AUTO_BUF out = { 0 };

	(void)state;
	assert_int_equal(base64_decode(&out, (struct bytes){ (const uint8_t *)"Zm9v\0", 5 }, NULL), E_FORMAT);
}

static void
the_ceiling_of_the_buffer_holds(void **state)
{
	AUTO_BUF small = BUF_MAX(5), exact = BUF_MAX(6);

	(void)state;
	assert_int_equal(base64_decode(&small, bytes_of("Zm9vYmFy"), NULL), E_TOOBIG);
	assert_int_equal(small.n, 0);
	assert_int_equal(base64_decode(&exact, bytes_of("Zm9vYmFy"), NULL), 0);
}

static void
random_octets_come_back(void **state)
{
	uint8_t in[300];

	(void)state;
	rnd_bytes(in, sizeof(in));
	for (size_t n = 0; n < sizeof(in); n++) {
		AUTO_BUF text = { 0 };
		AUTO_BUF back = { 0 };

		base64_encode(&text, (struct bytes){ in, n }, n % 80);
		assert_int_equal(base64_decode(&back, bytes_of_buf(&text), NULL), 0);
		assert_true(bytes_equal(bytes_of_buf(&back), (struct bytes){ in, n }));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_vectors_of_rfc_4648_hold_both_ways),
		cmocka_unit_test(lines_end_in_crlf_also_the_last),
		cmocka_unit_test(blanks_anywhere_are_skipped),
		cmocka_unit_test(anything_else_is_refused_and_nothing_is_written),
		cmocka_unit_test(a_nul_is_no_blank),
		cmocka_unit_test(the_ceiling_of_the_buffer_holds),
		cmocka_unit_test(random_octets_come_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
