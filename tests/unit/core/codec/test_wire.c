/* SPDX-License-Identifier: Apache-2.0 */
/* codec/test_wire.c - fields of a message, written and read */
#include "core/codec/wire.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

/* One field of each kind. */
static void
put_all(struct buf *b)
{
	wire_put_u8(b, 0xfe);
	wire_put_u32(b, 0xdeadbeef);
	wire_put_u64(b, UINT64_C(0x0123456789abcdef));
	wire_put_i64(b, -2);
	wire_put_bytes(b, bytes_of("ab"));
	wire_put_str(b, "text");
	wire_put_str(b, NULL);
}

static int
read_all(struct bytes message)
{
	struct wire w = wire_open(message);
	char text[5], empty[1];

	(void)wire_u8(&w);
	(void)wire_u32(&w);
	(void)wire_u64(&w);
	(void)wire_i64(&w);
	(void)wire_bytes(&w, 2);
	wire_str(&w, text, sizeof(text));
	wire_str(&w, empty, sizeof(empty));
	return wire_end(&w, "test", NULL);
}

static void
what_was_put_is_read_in_order(void **state)
{
	AUTO_BUF b = { 0 };
	struct wire w;
	char text[5], empty[1];

	(void)state;
	put_all(&b);
	w = wire_open(bytes_of_buf(&b));
	assert_int_equal(wire_u8(&w), 0xfe);
	assert_int_equal(wire_u32(&w), 0xdeadbeef);
	assert_true(wire_u64(&w) == UINT64_C(0x0123456789abcdef));
	assert_true(wire_i64(&w) == -2);
	assert_true(bytes_equal_str(wire_bytes(&w, 2), "ab"));
	wire_str(&w, text, sizeof(text));
	assert_string_equal(text, "text");
	wire_str(&w, empty, sizeof(empty));
	assert_string_equal(empty, "");
	assert_int_equal(wire_end(&w, "test", NULL), 0);
}

static void
integers_are_big_endian_and_octets_have_their_length_before(void **state)
{
	AUTO_BUF b = { 0 };

	(void)state;
	wire_put_u32(&b, 0x01020304);
	wire_put_str(&b, "x");
	assert_int_equal(b.n, 9);
	assert_memory_equal(b.p, "\1\2\3\4\0\0\0\1x", 9);
}

static void
every_cut_of_a_message_is_malformed(void **state)
{
	AUTO_BUF b = { 0 };
	struct err e = { 0 };
	struct wire w;

	(void)state;
	put_all(&b);
	for (size_t n = 0; n < b.n; n++)
		assert_int_equal(read_all((struct bytes){ b.p, n }), E_FORMAT);
	assert_int_equal(read_all(bytes_of_buf(&b)), 0);
	buf_put_u8(&b, 0);
	assert_int_equal(read_all(bytes_of_buf(&b)), E_FORMAT);
	w = wire_open(bytes_of("x"));
	assert_int_equal(wire_end(&w, "keygen", &e), E_FORMAT);
	assert_string_equal(e.msg, "keygen: malformed message");
}

static void
after_something_bad_all_is_zero(void **state)
{
	struct wire w = wire_open((struct bytes){ (const uint8_t *)"\0\0\0\5ab\7", 7 });
	char text[8] = "before";

	(void)state;
	assert_int_equal(wire_bytes(&w, 4).n, 0);
	assert_true(w.bad);
	assert_int_equal(wire_u8(&w), 0);
	wire_str(&w, text, sizeof(text));
	assert_string_equal(text, "");
	assert_int_equal(wire_end(&w, "test", NULL), E_FORMAT);
}

static void
a_string_that_does_not_fit_or_has_a_nul_is_bad(void **state)
{
	AUTO_BUF b = { 0 };
	struct wire w;
	char text[4];

	(void)state;
	wire_put_str(&b, "four");
	w = wire_open(bytes_of_buf(&b));
	wire_str(&w, text, sizeof(text));
	assert_true(w.bad);
	assert_string_equal(text, "");
	buf_reset(&b);
	wire_put_bytes(&b, (struct bytes){ (const uint8_t *)"a\0b", 3 });
	w = wire_open(bytes_of_buf(&b));
	wire_str(&w, text, sizeof(text));
	assert_true(w.bad);
	assert_string_equal(text, "");
}

static void
a_length_of_four_gigabytes_is_bad_not_followed(void **state)
{
	struct wire w = wire_open((struct bytes){ (const uint8_t *)"\xff\xff\xff\xff" "a", 5 });

	(void)state;
	assert_int_equal(wire_bytes(&w, SIZE_MAX).n, 0);
	assert_true(w.bad);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_put_is_read_in_order),
		cmocka_unit_test(integers_are_big_endian_and_octets_have_their_length_before),
		cmocka_unit_test(every_cut_of_a_message_is_malformed),
		cmocka_unit_test(after_something_bad_all_is_zero),
		cmocka_unit_test(a_string_that_does_not_fit_or_has_a_nul_is_bad),
		cmocka_unit_test(a_length_of_four_gigabytes_is_bad_not_followed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
