/* SPDX-License-Identifier: Apache-2.0 */
/* base/test_text.c - hex, UTF-8, names, patterns, escapes */
#include "core/base/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

static void
hex_goes_out_and_comes_back(void **state)
{
	uint8_t in[] = { 0x00, 0x7f, 0xab, 0xff }, back[4];
	char hex[9];

	(void)state;
	text_hex(hex, (struct bytes){ in, sizeof(in) });
	assert_string_equal(hex, "007fabff");
	assert_true(text_unhex(back, 4, "007FabFF"));
	assert_memory_equal(in, back, 4);
}

static void
hex_of_another_length_or_alphabet_is_refused(void **state)
{
	static const char *const bad[] = { "", "00", "0000000", "000000000", "0000000g", "0x000000", "00 00 00" };
	uint8_t out[4];

	(void)state;
	for (size_t i = 0; i < N_OF(bad); i++)
		assert_false(text_unhex(out, 4, bad[i]));
}

static void
well_formed_printable_utf8_is_valid(void **state)
{
	static const char *const good[] = {
		"", "plain", "gr\xc3\xbcn", "\xe2\x82\xac", "\xf0\x9f\x94\x91", "\xed\x9f\xbf", "\xee\x80\x80",
		"\xe3\x80\x80",
	};

	(void)state;
	for (size_t i = 0; i < N_OF(good); i++)
		assert_true(text_valid_utf8(bytes_of(good[i])));
}

static void
malformed_utf8_is_refused(void **state)
{
	static const char *const bad[] = {
		"\x80", "\xbf", "\xc3", "\xc3(", "\xe2\x82", "\xf0\x9f\x94", /* alone or cut */
		"\xc0\x80", "\xc1\xbf", "\xe0\x9f\xbf", "\xf0\x8f\xbf\xbf",  /* overlong */
		"\xed\xa0\x80", "\xed\xbf\xbf", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff", "\xfe",
		"\xf8\x88\x80\x80\x80",
	};

	(void)state;
	for (size_t i = 0; i < N_OF(bad); i++)
		assert_false(text_valid_utf8(bytes_of(bad[i])));
}

static void
characters_that_lie_about_the_text_are_refused(void **state)
{
	static const char *const bad[] = {
		"\n", "\t", "\x1b[2J", "\x7f", "\xc2\x85", "\xe2\x80\xae", "\xe2\x80\x8b", "\xe2\x81\xa6",
		"\xef\xbb\xbf", "\xd8\x9c", "\xef\xbf\xbf", "\xe2\x80\xa8",
		/* soft hyphen, Hangul filler, a variation selector, a tag; no-break and em blanks */
		"pum\xc2\xadp", "pump\xe3\x85\xa4", "pump\xef\xb8\x8f", "pump\xf3\xa0\x81\x81", "pump\xc2\xa0" "1", "pump\xe2\x80\x83" "1",
	};

	(void)state;
	for (size_t i = 0; i < N_OF(bad); i++)
		assert_false(text_valid_utf8(bytes_of(bad[i])));
	assert_false(text_valid_utf8((struct bytes){ (const uint8_t *)"a\0b", 3 }));
}

static void
names_of_objects_are_safe_as_file_names(void **state)
{
	(void)state;
	assert_true(text_valid_name("a", 1));
	assert_true(text_valid_name("Issuing-2026.v1_x", 64));
	assert_false(text_valid_name("", 64));
	assert_false(text_valid_name("ab", 1));
	assert_false(text_valid_name(".hidden", 64));
	assert_false(text_valid_name("..", 64));
	assert_false(text_valid_name("-rf", 64));
	assert_false(text_valid_name("a/b", 64));
	assert_false(text_valid_name("a b", 64));
	assert_false(text_valid_name("\xc3\xa4", 64));
	assert_false(text_valid_name("a\n", 64));
}

static void
a_host_is_a_name_or_an_address(void **state)
{
	char longest[300];

	(void)state;
	assert_true(text_valid_host("est.example.com"));
	assert_true(text_valid_host("fe80::1%eth0"));
	assert_false(text_valid_host(""));
	assert_false(text_valid_host("*.example.com"));
	assert_false(text_valid_host("a/b"));
	memset(longest, 'a', sizeof(longest));
	longest[255] = 0;
	assert_true(text_valid_host(longest));
	longest[255] = 'a';
	longest[256] = 0;
	assert_false(text_valid_host(longest));
}

static void
a_word_is_quoted_for_the_shell_only_when_it_must_be(void **state)
{
	static const struct { const char *word, *quoted; } cases[] = {
		{ "/var/lib/estuary", "/var/lib/estuary" }, { "a-b_c.d:1", "a-b_c.d:1" }, { "", "''" }, { "my est", "'my est'" },
		{ "it's", "'it'\\''s'" }, { "$dir", "'$dir'" }, { "~", "'~'" }, { "a\nb", "'a\nb'" }, { "*", "'*'" }, { "\xc3\xa4", "'\xc3\xa4'" },
	};

	(void)state;
	for (size_t i = 0; i < N_OF(cases); i++) {
		AUTO_BUF out = { 0 };

		text_shell(&out, cases[i].word);
		assert_string_equal(buf_str(&out), cases[i].quoted);
	}
}

static void
patterns_match_the_whole_text(void **state)
{
	static const struct { const char *pattern, *s; bool yes; } cases[] = {
		{ "", "", true }, { "", "a", false }, { "*", "", true }, { "*", "abc", true }, { "?", "", false },
		{ "?", "a", true }, { "a*c", "abbbc", true }, { "a*c", "abbbcd", false }, { "a*c*e", "abcde", true },
		{ "*.example", "a.b.example", true }, { "*.example", "example", false }, { "a?c", "abc", true },
		{ "A", "a", false }, { "a**b", "ab", true }, { "*a*b*", "xxaxxbxx", true }, { "[a]", "a", false },
		{ "*ab", "aab", true }, { "pump-*", "pump-", true },
		{ "k?", "k\xc3\xa4", true }, { "k??", "k\xc3\xa4", false }, { "*?x", "\xc3\xa4x", true },
		{ "?", "\xf0\x9f\x94\x91", true }, { "*\xa4", "\xc3\xa4", false },
	};

	(void)state;
	for (size_t i = 0; i < N_OF(cases); i++)
		assert_int_equal(text_match(cases[i].pattern, cases[i].s), cases[i].yes);
}

static void
a_pattern_of_many_stars_still_ends(void **state)
{
	char s[2001];

	(void)state;
	memset(s, 'a', sizeof(s) - 1);
	s[sizeof(s) - 1] = 0;
	assert_false(text_match("*a*a*a*a*a*a*a*a*a*a*a*a*a*a*b", s));
}

static void
escaped_text_cannot_forge_a_line(void **state)
{
	AUTO_BUF b = { 0 };

	(void)state;
	text_escape(&b, (struct bytes){ (const uint8_t *)"a\nb\\c\0\xff\xe2\x80\xae\xc3\xbc", 12 });
	assert_string_equal(buf_str(&b), "a\\x0ab\\x5cc\\x00\\xff\\xe2\\x80\\xae\xc3\xbc");
	assert_true(text_valid_utf8(bytes_of_buf(&b)));
}

static void
shown_text_is_harmless_and_is_the_same_when_it_is_shown_again(void **state)
{
	static const char want[] = "CN=a\\, b\\x1b[31m\\x0a\\x0d\\x00\\xff\\xe2\\x80\\xae";
	AUTO_BUF once = { 0 };
	AUTO_BUF again = { 0 };

	(void)state;
	text_show(&once, (struct bytes){ (const uint8_t *)"CN=a\\, b\033[31m\n\r\0\xff\xe2\x80\xae", 20 });
	assert_string_equal(buf_str(&once), want);
	text_show(&again, bytes_of_buf(&once));
	assert_string_equal(buf_str(&again), want);
}

static void
numbers_are_digits_up_to_a_maximum(void **state)
{
	static const char *const bad[] = {
		"", "-1", "+1", " 1", "1 ", "1a", "0x1", "1e3", "18446744073709551616", "99999999999999999999",
	};
	uint64_t v = 5;

	(void)state;
	assert_true(text_parse_u64(&v, "0", UINT64_MAX));
	assert_true(v == 0);
	assert_true(text_parse_u64(&v, "18446744073709551615", UINT64_MAX));
	assert_true(v == UINT64_MAX);
	assert_true(text_parse_u64(&v, "00065535", 65535));
	assert_true(v == 65535);
	assert_false(text_parse_u64(&v, "65536", 65535));
	for (size_t i = 0; i < N_OF(bad); i++)
		assert_false(text_parse_u64(&v, bad[i], UINT64_MAX));
	assert_true(v == 65535);
}

static void
distance_counts_edits(void **state)
{
	(void)state;
	assert_int_equal(text_distance("", ""), 0);
	assert_int_equal(text_distance("abc", "abc"), 0);
	assert_int_equal(text_distance("abc", ""), 3);
	assert_int_equal(text_distance("profile", "profil"), 1);
	assert_int_equal(text_distance("kitten", "sitting"), 3);
	assert_int_equal(text_distance("ab", "ba"), 2);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hex_goes_out_and_comes_back),
		cmocka_unit_test(hex_of_another_length_or_alphabet_is_refused),
		cmocka_unit_test(well_formed_printable_utf8_is_valid),
		cmocka_unit_test(malformed_utf8_is_refused),
		cmocka_unit_test(characters_that_lie_about_the_text_are_refused),
		cmocka_unit_test(names_of_objects_are_safe_as_file_names),
		cmocka_unit_test(a_host_is_a_name_or_an_address),
		cmocka_unit_test(a_word_is_quoted_for_the_shell_only_when_it_must_be),
		cmocka_unit_test(patterns_match_the_whole_text),
		cmocka_unit_test(a_pattern_of_many_stars_still_ends),
		cmocka_unit_test(escaped_text_cannot_forge_a_line),
		cmocka_unit_test(shown_text_is_harmless_and_is_the_same_when_it_is_shown_again),
		cmocka_unit_test(numbers_are_digits_up_to_a_maximum),
		cmocka_unit_test(distance_counts_edits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
