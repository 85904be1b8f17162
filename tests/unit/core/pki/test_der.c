/* SPDX-License-Identifier: Apache-2.0 */
/* test_der.c - what the walk refuses, what the cursor reads, what the writer writes */
#include "core/pki/der.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

#include "core/base/mem.h"

#define LIT(s) ((struct bytes){ (const uint8_t *)(s), sizeof(s) - 1 })

static void
assert_octets(const struct buf *b, struct bytes want)
{
	assert_int_equal(b->n, want.n);
	assert_memory_equal(b->p, want.p, want.n);
}

static void
the_walk_takes_der_and_nothing_else(void **state)
{
	static const struct { struct bytes der; const char *why; } cases[] = {
		{ LIT("\x05\x00"), NULL },
		{ LIT("\x30\x00"), NULL },
		{ LIT("\x30\x03\x02\x01\x7f"), NULL },
		{ LIT("\x31\x06\x02\x01\x01\x02\x01\x02"), NULL },
		{ LIT("\x31\x06\x02\x01\x01\x02\x01\x01"), NULL },
		{ LIT("\xa0\x06\x02\x01\x02\x02\x01\x01"), NULL },
		{ LIT("\x80\x02\x00\x00"), NULL },
		{ LIT("\x02\x02\x00\x80"), NULL },
		{ LIT("\x02\x02\xff\x7f"), NULL },
		{ LIT("\x03\x01\x00"), NULL },
		{ LIT("\x03\x02\x07\x80"), NULL },
		{ LIT(""), "cut off" },
		{ LIT("\x05"), "cut off" },
		{ LIT("\x05\x01"), "beyond" },
		{ LIT("\x05\x00\x05\x00"), "after the end at octet 2" },
		{ LIT("\x30\x80\x00\x00"), "indefinite" },
		{ LIT("\x30\x81\x00"), "not minimal" },
		{ LIT("\x30\x82\x00\x80"), "not minimal" },
		{ LIT("\x30\x85\x01\x00\x00\x00\x00"), "beyond" },
		{ LIT("\x30\x84\xff\xff\xff\xff"), "beyond" },
		{ LIT("\x30\x03\x02\x02\x01\x01"), "after the end" },
		{ LIT("\x30\x04\x02\x03\x01\x01"), "beyond the end at octet 2" },
		{ LIT("\x1f\x20\x00"), "above 30" },
		{ LIT("\x00\x00"), "end-of-contents" },
		{ LIT("\x01\x01\x01"), "BOOLEAN" },
		{ LIT("\x01\x00"), "BOOLEAN" },
		{ LIT("\x02\x00"), "empty INTEGER" },
		{ LIT("\x02\x02\x00\x7f"), "INTEGER not minimal" },
		{ LIT("\x02\x02\xff\x80"), "INTEGER not minimal" },
		{ LIT("\x0a\x02\x00\x00"), "INTEGER not minimal" },
		{ LIT("\x03\x00"), "BIT STRING" },
		{ LIT("\x03\x01\x01"), "BIT STRING" },
		{ LIT("\x03\x02\x08\x00"), "BIT STRING" },
		{ LIT("\x03\x02\x01\x01"), "unused bits" },
		{ LIT("\x05\x01\x00"), "NULL" },
		{ LIT("\x06\x00"), "empty OBJECT" },
		{ LIT("\x06\x01\x80"), "OBJECT" },
		{ LIT("\x06\x03\x2a\x80\x01"), "OBJECT" },
		{ LIT("\x06\x02\x2a\x81"), "cut off" },
		{ LIT("\x10\x00"), "not constructed" },
		{ LIT("\x11\x00"), "not constructed" },
		{ LIT("\x24\x03\x04\x01\x61"), "constructed string" },
		{ LIT("\x2c\x03\x0c\x01\x61"), "constructed string" },
		{ LIT("\x31\x06\x02\x01\x02\x02\x01\x01"), "not in order" },
		{ LIT("\x31\x07\x02\x02\x01\x01\x02\x01\x01"), "not in order" },
	};
	struct err e;

	(void)state;
	for (size_t i = 0; i < N_OF(cases); i++) {
		int r = der_check(cases[i].der, "it", &e);

		if (r != (cases[i].why == NULL ? 0 : E_FORMAT) ||
		    (r != 0 && strstr(e.msg, cases[i].why) == NULL))
			fail_msg("case %zu: %d '%s', expected '%s'", i, r, r != 0 ? e.msg : "",
			    cases[i].why != NULL ? cases[i].why : "nothing wrong");
	}
}

/* n times a SEQUENCE around what b holds. */
static void
wrap(struct buf *b, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		AUTO_BUF outer = { 0 };

		der_put(&outer, DER_SEQUENCE, bytes_of_buf(b));
		buf_reset(b);
		buf_put_bytes(b, bytes_of_buf(&outer));
	}
}

static void
depth_has_its_limit_exactly(void **state)
{
	AUTO_BUF b = { 0 };
	struct err e;

	(void)state;
	der_put_null(&b);
	wrap(&b, DER_DEPTH_MAX - 1);
	assert_int_equal(der_check(bytes_of_buf(&b), "it", &e), 0);
	wrap(&b, 1);
	assert_int_equal(der_check(bytes_of_buf(&b), "it", &e), E_FORMAT);
	assert_non_null(strstr(e.msg, "deep"));
}

static void
elements_are_counted_over_all_levels(void **state)
{
	for (size_t over = 0; over < 2; over++) {
		AUTO_BUF b = { 0 };
		size_t seq = der_begin(&b, DER_SEQUENCE), inner;

		(void)state;
		inner = der_begin(&b, DER_SEQUENCE);
		for (size_t i = 0; i < DER_ITEMS_MAX - 2 + over; i++)
			der_put_null(&b);
		der_finish(&b, inner);
		der_finish(&b, seq);
		assert_int_equal(der_check(bytes_of_buf(&b), "it", NULL), over ? E_FORMAT : 0);
	}
}

static void
bombs_of_a_megabyte_cost_nothing(void **state)
{
	size_t n = 1 << 20;
	uint8_t *deep = mem_zalloc(n);
	uint64_t before;

	(void)state;
	memset(deep, 0x30, n);
	for (size_t i = 0; i + 4 < n; i += 5) { /* SEQUENCE of nearly all that follows, again and again */
		size_t rest = n - i - 5;
		uint8_t head[] = { 0x30, 0x83, (uint8_t)(rest >> 16), (uint8_t)(rest >> 8), (uint8_t)rest };

		memcpy(deep + i, head, sizeof(head));
	}
	before = (uint64_t)clock();
	assert_int_equal(der_check((struct bytes){ deep, n }, "it", NULL), E_FORMAT);
	assert_true((uint64_t)clock() - before < 2000);
	mem_free(deep);
}

static void
a_cursor_reads_what_is_there(void **state)
{
	struct der d = der_open(LIT("\x02\x01\x05\x01\x01\xff\x03\x02\x04\xf0\x30\x02\x05\x00\x81\x01" "a\x04\x01" "b"));
	struct der in;
	struct bytes c;
	unsigned unused;
	uint8_t tag;

	(void)state;
	assert_int_equal(der_peek(&d), DER_INTEGER);
	assert_int_equal(der_small_integer(&d), 5);
	assert_true(der_boolean(&d));
	c = der_bits(&d, &unused);
	assert_int_equal(unused, 4);
	assert_true(bytes_equal(c, LIT("\xf0")));
	in = der_enter(&d, DER_SEQUENCE);
	assert_true(bytes_equal(der_take_tlv(&in, DER_NULL), LIT("\x05\x00")));
	assert_int_equal(der_end(&in, "in", NULL), 0);
	assert_false(der_try(&d, DER_CONTEXT(0), &c));
	assert_true(der_try(&d, DER_CONTEXT(1), &c));
	assert_true(bytes_equal_str(c, "a"));
	assert_int_equal(der_end(&d, "d", NULL), E_FORMAT);
	c = der_any(&d, &tag);
	assert_int_equal(tag, DER_OCTET_STRING);
	assert_true(bytes_equal_str(c, "b"));
	assert_false(der_more(&d));
	assert_int_equal(der_peek(&d), 0);
	assert_int_equal(der_end(&d, "d", NULL), 0);
}

static void
a_bad_cursor_stays_bad_and_empty(void **state)
{
	struct der d = der_open(LIT("\x02\x01\x05\x05\x00"));
	struct der in;
	struct bytes c;
	uint8_t tag;

	(void)state;
	assert_int_equal(der_take(&d, DER_OCTET_STRING).n, 0);
	assert_true(d.bad);
	assert_false(der_more(&d));
	assert_int_equal(der_take(&d, DER_INTEGER).n, 0);
	assert_int_equal(der_any(&d, &tag).n, 0);
	assert_int_equal(tag, 0);
	assert_int_equal(der_small_integer(&d), 0);
	assert_false(der_boolean(&d));
	assert_false(der_try(&d, DER_NULL, &c));
	in = der_enter(&d, DER_SEQUENCE);
	assert_true(in.bad);
	assert_int_equal(der_end(&in, "in", NULL), E_FORMAT);
	assert_int_equal(der_end(&d, "d", NULL), E_FORMAT);
}

static void
integers_beyond_63_bits_and_negative_ones_are_bad(void **state)
{
	static const struct { struct bytes der; bool good; uint64_t v; } cases[] = {
		{ LIT("\x02\x01\x00"), true, 0 },
		{ LIT("\x02\x08\x7f\xff\xff\xff\xff\xff\xff\xff"), true, INT64_MAX },
		{ LIT("\x02\x09\x00\x80\x00\x00\x00\x00\x00\x00\x00"), false, 0 },
		{ LIT("\x02\x01\x80"), false, 0 },
		{ LIT("\x02\x02\x00\x01"), false, 0 },
		{ LIT("\x02\x00"), false, 0 },
	};

	(void)state;
	for (size_t i = 0; i < N_OF(cases); i++) {
		struct der d = der_open(cases[i].der);

		assert_int_equal(der_small_integer(&d), cases[i].v);
		assert_int_equal(d.bad, !cases[i].good);
	}
}

static void
times_are_read_as_rfc_5280_writes_them(void **state)
{
	static const struct { struct bytes der; bool good; int64_t t; } cases[] = {
		{ LIT("\x17\x0d" "700101000000Z"), true, 0 },
		{ LIT("\x17\x0d" "491231235959Z"), true, INT64_C(2524607999) },
		{ LIT("\x17\x0d" "500101000000Z"), true, INT64_C(-631152000) },
		{ LIT("\x18\x0f" "20500101000000Z"), true, INT64_C(2524608000) },
		{ LIT("\x18\x0f" "20240229120000Z"), true, INT64_C(1709208000) },
		{ LIT("\x18\x0f" "99991231235959Z"), true, INT64_MAX },
		{ LIT("\x18\x0f" "20230229120000Z"), false, 0 },
		{ LIT("\x18\x0f" "20231301000000Z"), false, 0 },
		{ LIT("\x18\x0f" "20230100000000Z"), false, 0 },
		{ LIT("\x17\x0d" "230101240000Z"), false, 0 },
		{ LIT("\x17\x0d" "230101006000Z"), false, 0 },
		{ LIT("\x17\x0d" "230101000060Z"), false, 0 },
		{ LIT("\x17\x0d" "230101000000z"), false, 0 },
		{ LIT("\x17\x0d" "2301010000 0Z"), false, 0 },
		{ LIT("\x17\x0d" "x30101000000Z"), false, 0 },
		{ LIT("\x17\x0b" "2301010000Z"), false, 0 },
		{ LIT("\x17\x11" "230101000000+0100"), false, 0 },
		{ LIT("\x18\x11" "20230101000000.5Z"), false, 0 },
		{ LIT("\x0c\x0d" "700101000000Z"), false, 0 },
	};

	(void)state;
	for (size_t i = 0; i < N_OF(cases); i++) {
		struct der d = der_open(cases[i].der);

		if (der_time(&d) != cases[i].t || d.bad == cases[i].good)
			fail_msg("case %zu", i);
	}
}

static void
times_are_written_so_that_they_read_back(void **state)
{
	static const struct { int64_t t; struct bytes der; } cases[] = {
		{ 0, LIT("\x17\x0d" "700101000000Z") },
		{ INT64_C(2524607999), LIT("\x17\x0d" "491231235959Z") },
		{ INT64_C(2524608000), LIT("\x18\x0f" "20500101000000Z") },
		{ INT64_MAX, LIT("\x18\x0f" "99991231235959Z") },
	};

	(void)state;
	for (size_t i = 0; i < N_OF(cases); i++) {
		AUTO_BUF b = { 0 };
		struct der d;

		der_put_time(&b, cases[i].t);
		assert_octets(&b, cases[i].der);
		d = der_open(bytes_of_buf(&b));
		assert_int_equal(der_time(&d), cases[i].t);
	}
}

static void
string_types_have_their_own_characters(void **state)
{
	(void)state;
	assert_true(der_valid_text(DER_PRINTABLE, bytes_of("Az09 '()+,-./:=?")));
	assert_false(der_valid_text(DER_PRINTABLE, bytes_of("a*")));
	assert_false(der_valid_text(DER_PRINTABLE, LIT("a\0")));
	assert_true(der_valid_text(DER_IA5, bytes_of("a@b_*~")));
	assert_false(der_valid_text(DER_IA5, LIT("a\x7f")));
	assert_false(der_valid_text(DER_T61, LIT("a\x80")));
	assert_true(der_valid_text(DER_UTF8, bytes_of("Zürich")));
	assert_false(der_valid_text(DER_UTF8, LIT("\xc0\x80")));
	assert_false(der_valid_text(DER_BMP, bytes_of("ab")));
}

static void
lengths_of_every_size_are_minimal(void **state)
{
	static const size_t sizes[] = { 0, 1, 127, 128, 255, 256, 65535, 65536, 70000 };
	static uint8_t zeros[70000];

	(void)state;
	for (size_t i = 0; i < N_OF(sizes); i++) {
		AUTO_BUF put = { 0 };
		AUTO_BUF patched = { 0 };
		size_t mark;

		buf_put_u8(&patched, 0x55); /* what stands before stays */
		mark = der_begin(&patched, DER_OCTET_STRING);
		buf_put(&patched, zeros, sizes[i]);
		der_finish(&patched, mark);
		der_put(&put, DER_OCTET_STRING, (struct bytes){ zeros, sizes[i] });
		assert_int_equal(der_check(bytes_of_buf(&put), "it", NULL), 0);
		assert_octets(&put, bytes_slice(bytes_of_buf(&patched), 1, patched.n));
		assert_int_equal(patched.p[0], 0x55);
	}
}

static void
numbers_are_written_minimally(void **state)
{
	static const struct { int64_t v; struct bytes der; } cases[] = {
		{ 0, LIT("\x02\x01\x00") }, { 127, LIT("\x02\x01\x7f") }, { 128, LIT("\x02\x02\x00\x80") },
		{ -1, LIT("\x02\x01\xff") }, { -128, LIT("\x02\x01\x80") }, { -129, LIT("\x02\x02\xff\x7f") },
		{ 256, LIT("\x02\x02\x01\x00") },
		{ INT64_MAX, LIT("\x02\x08\x7f\xff\xff\xff\xff\xff\xff\xff") },
		{ INT64_MIN, LIT("\x02\x08\x80\x00\x00\x00\x00\x00\x00\x00") },
	};
	AUTO_BUF b = { 0 };

	(void)state;
	for (size_t i = 0; i < N_OF(cases); i++) {
		buf_reset(&b);
		der_put_int(&b, cases[i].v);
		assert_octets(&b, cases[i].der);
	}
	buf_reset(&b);
	der_put_unsigned(&b, LIT("\0\0\x80\x01"));
	der_put_unsigned(&b, LIT("\0"));
	der_put_unsigned(&b, LIT(""));
	assert_octets(&b, LIT("\x02\x03\x00\x80\x01\x02\x01\x00\x02\x01\x00"));
}

static void
named_bits_lose_their_trailing_zeros(void **state)
{
	AUTO_BUF b = { 0 };

	(void)state;
	der_put_named_bits(&b, 0, 9);
	der_put_named_bits(&b, 1u << 0, 9);
	der_put_named_bits(&b, 1u << 5 | 1u << 6, 9);
	der_put_named_bits(&b, 1u << 8, 9);
	assert_octets(&b, LIT("\x03\x01\x00\x03\x02\x07\x80\x03\x02\x01\x06\x03\x03\x07\x00\x80"));
}

static void
small_values_are_written_as_x_690_says(void **state)
{
	AUTO_BUF b = { 0 };

	(void)state;
	der_put_bool(&b, true);
	der_put_bool(&b, false);
	der_put_null(&b);
	der_put_oid(&b, LIT("\x2a\x03"));
	der_put_bits(&b, LIT("\xf0"), 4);
	der_put_raw(&b, LIT("\x05\x00"));
	assert_octets(&b, LIT("\x01\x01\xff\x01\x01\x00\x05\x00\x06\x02\x2a\x03\x03\x02\x04\xf0\x05\x00"));
}

static void
a_set_is_sorted_as_der_wants(void **state)
{
	AUTO_BUF b = { 0 };
	size_t set = der_begin(&b, DER_SET);

	(void)state;
	der_put_raw(&b, LIT("\x02\x02\x01\x00"));
	der_put_raw(&b, LIT("\x05\x00"));
	der_put_raw(&b, LIT("\x02\x01\x09"));
	der_put_raw(&b, LIT("\x02\x01\x08"));
	der_sort_set(&b, set);
	der_finish(&b, set);
	assert_octets(&b, LIT("\x31\x0c\x02\x01\x08\x02\x01\x09\x02\x02\x01\x00\x05\x00"));
	assert_int_equal(der_check(bytes_of_buf(&b), "it", NULL), 0);
}

static void
a_full_buffer_is_an_error_and_not_a_crash(void **state)
{
	for (size_t max = 1; max < 150; max++) {
		AUTO_BUF b = BUF_MAX(max);
		size_t set = der_begin(&b, DER_SET);

		(void)state;
		for (int i = 0; i < 50; i++)
			der_put_int(&b, 50 - i);
		der_sort_set(&b, set);
		der_finish(&b, set);
		assert_int_equal(buf_check(&b, "b", NULL), E_TOOBIG);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_walk_takes_der_and_nothing_else),
		cmocka_unit_test(depth_has_its_limit_exactly),
		cmocka_unit_test(elements_are_counted_over_all_levels),
		cmocka_unit_test(bombs_of_a_megabyte_cost_nothing),
		cmocka_unit_test(a_cursor_reads_what_is_there),
		cmocka_unit_test(a_bad_cursor_stays_bad_and_empty),
		cmocka_unit_test(integers_beyond_63_bits_and_negative_ones_are_bad),
		cmocka_unit_test(times_are_read_as_rfc_5280_writes_them),
		cmocka_unit_test(times_are_written_so_that_they_read_back),
		cmocka_unit_test(string_types_have_their_own_characters),
		cmocka_unit_test(lengths_of_every_size_are_minimal),
		cmocka_unit_test(numbers_are_written_minimally),
		cmocka_unit_test(named_bits_lose_their_trailing_zeros),
		cmocka_unit_test(small_values_are_written_as_x_690_says),
		cmocka_unit_test(a_set_is_sorted_as_der_wants),
		cmocka_unit_test(a_full_buffer_is_an_error_and_not_a_crash),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
