/* SPDX-License-Identifier: Apache-2.0 */
/* test_sans.c - alternative names: what each kind may hold, and which are the same */
#include "core/pki/name.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "core/pki/der.h"

#define LIT(s) ((struct bytes){ (const uint8_t *)(s), sizeof(s) - 1 })

static struct sans
one(const char *text)
{
	struct sans s = { 0 };
	struct err e;

	if (sans_add_text(&s, text, &e) != 0)
		fail_msg("%s: %s", text, e.msg);
	return s;
}

static void
names_survive_their_encoding(void **state)
{
	static const char *const texts[] = {
		"dns:pump-7.example", "DNS:*.example", "dns:localhost", "ip:192.0.2.1", "IP:2001:db8::1",
		"uri:urn:uuid:1", "URI:https://a.example/x?y=%20#z", "uri:spiffe://plant/pump", "email:a.b+c@example.com",
	};
	AUTO_BUF der = { 0 };
	struct sans s = { 0 }, back;
	char text[NAME_TEXT_MAX];

	(void)state;
	for (size_t i = 0; i < N_OF(texts); i++)
		assert_int_equal(sans_add_text(&s, texts[i], NULL), 0);
	sans_encode(&der, &s);
	assert_int_equal(sans_parse(&back, bytes_of_buf(&der), NULL), 0);
	assert_true(sans_equal(&s, &back));
	assert_string_equal(sans_text(&back, text), "DNS:pump-7.example, DNS:*.example, DNS:localhost, "
	    "IP:192.0.2.1, IP:2001:db8::1, URI:urn:uuid:1, URI:https://a.example/x?y=%20#z, "
	    "URI:spiffe://plant/pump, email:a.b+c@example.com");
}

static void
texts_that_are_no_names_are_refused(void **state)
{
	static const char *const texts[] = {
		"", "dns:", "dns:a_b", "dns:-a", "dns:a-", "dns:a..b", "dns:.a", "dns:a.", "dns:*", "dns:*.", "dns:a.*",
		"dns:*a.b", "dns:10.0.0.1", "dns:a b", "dns:\xc3\xbc", "ip:", "ip:10.0.0", "ip:10.0.0.256", "ip:1.2.3.4/8",
		"ip:g::1", "uri:", "uri:a", "uri:1a:b", "uri:a:", "uri:a: b", "uri:a:%", "uri:a:%zz", "uri:http://",
		"uri:http:///a", "uri:a:\"", "uri:a:\\", "email:a", "email:@b", "email:a@", "email:a@b@c", "email:.a@b",
		"email:a.@b", "email:a..b@c", "email:a b@c", "email:a@b_c", "rid:1.2.3", "a.example", "dns=a.example",
	};
	struct sans s = { 0 };

	(void)state;
	for (size_t i = 0; i < N_OF(texts); i++)
		if (sans_add_text(&s, texts[i], NULL) != E_FORMAT)
			fail_msg("'%s' was taken", texts[i]);
	assert_int_equal(s.n, 0);
}

static void
a_list_that_is_not_right_is_refused(void **state)
{
	static const struct bytes lists[] = {
		LIT(""), LIT("\x30\x00"), LIT("\x31\x03\x82\x01" "a"), LIT("\x30\x03\x82\x01" "a\x00"),
		LIT("\x30\x03\x83\x01" "a"), LIT("\x30\x03\x82\x01" "\0"), LIT("\x30\x05\xa2\x03\x16\x01" "a"),
		LIT("\x30\x02\x87\x00"), LIT("\x30\x07\x87\x05" "12345"), LIT("\x30\x80\x82\x01" "a\0\0"),
		LIT("\x30\x06\x82\x01" "a\x82\x01" "A"), LIT("\x30\x04\x88\x02\x2a\x03"),
		LIT("\x30\x02\xa4\x00"), LIT("\x30\x02\xa0\x00"),
		LIT("\x30\x0a\xa0\x08\x06\x02\x2a\x03\xa0\x02\x05\x00"),
	};
	struct sans s = { .n = 5 };

	(void)state;
	for (size_t i = 0; i < N_OF(lists); i++)
		if (sans_parse(&s, lists[i], NULL) != E_FORMAT)
			fail_msg("case %zu was taken", i);
	assert_int_equal(s.n, 5);
}

static void
a_hardware_module_name_is_the_only_other_name(void **state)
{
	/* id-on-hardwareModuleName { 1.2.3, '0017'H }, and the same with an octet too many. */
	static const struct bytes good = LIT("\x30\x18\xa0\x16\x06\x08\x2b\x06\x01\x05\x05\x07\x08\x04"
	    "\xa0\x0a\x30\x08\x06\x02\x2a\x03\x04\x02\x00\x17");
	static const struct bytes extra = LIT("\x30\x1a\xa0\x18\x06\x08\x2b\x06\x01\x05\x05\x07\x08\x04"
	    "\xa0\x0c\x30\x0a\x06\x02\x2a\x03\x04\x02\x00\x17\x05\x00");
	AUTO_BUF back = { 0 };
	struct sans s;
	char text[NAME_TEXT_MAX];

	(void)state;
	assert_int_equal(sans_parse(&s, good, NULL), 0);
	assert_int_equal(s.san[0].kind, SAN_OTHER);
	assert_string_equal(sans_text(&s, text), "hardwareModuleName:1.2.3/0017");
	sans_encode(&back, &s);
	assert_true(bytes_equal(bytes_of_buf(&back), good));
	assert_int_equal(sans_parse(&s, extra, NULL), E_FORMAT);
}

static void
case_counts_where_it_should(void **state)
{
	static const struct { const char *a, *b; bool equal; } cases[] = {
		{ "dns:A.Example", "dns:a.example", true }, { "dns:a.example", "dns:b.example", false },
		{ "email:a@Example", "email:a@eXample", true }, { "email:A@example", "email:a@example", false },
		{ "uri:https://Host.example/X", "uri:HTTPS://hOST.example/X", true }, { "uri:https://a/X", "uri:https://a/x", false },
		{ "uri:https://u@a/x", "uri:https://U@a/x", false }, { "uri:URN:a", "uri:urn:a", true },
		{ "uri:urn:a", "uri:urn:A", false }, { "ip:::1", "ip:0:0::1", true },
		{ "dns:a", "dns:ab", false }, { "uri:dns:a", "dns:a", false },
	};

	(void)state;
	for (size_t i = 0; i < N_OF(cases); i++) {
		struct sans a = one(cases[i].a), b = one(cases[i].b);

		if (sans_equal(&a, &b) != cases[i].equal || san_equal(&a.san[0], &b.san[0]) != cases[i].equal)
			fail_msg("%s / %s", cases[i].a, cases[i].b);
	}
}

static void
order_does_not_matter_but_number_does(void **state)
{
	struct sans a = one("dns:a"), b = one("dns:b"), c = one("dns:a");

	(void)state;
	assert_int_equal(sans_add_text(&a, "dns:b", NULL), 0);
	assert_int_equal(sans_add_text(&b, "dns:a", NULL), 0);
	assert_true(sans_equal(&a, &b));
	assert_false(sans_equal(&a, &c));
	assert_int_equal(sans_add_text(&a, "dns:A", NULL), E_FORMAT);
}

static void
there_is_room_for_thirty_two(void **state)
{
	struct sans s = { 0 };
	char text[32], all[NAME_TEXT_MAX];

	(void)state;
	for (int i = 0; i <= SAN_MAX; i++) {
		(void)snprintf(text, sizeof(text), "dns:pump-%d.example", i);
		assert_int_equal(sans_add_text(&s, text, NULL), i < SAN_MAX ? 0 : E_FORMAT);
	}
	for (size_t i = 0; i < s.n; i++) { /* as long as they get, the text is still bounded */
		memset(s.san[i].value, ',', NAME_VALUE_MAX);
		s.san[i].n = NAME_VALUE_MAX - 1;
	}
	(void)sans_text(&s, all);
	assert_true(strlen(all) < NAME_TEXT_MAX);
	assert_string_equal(all + strlen(all) - 3, "...");
}

static void
a_comma_in_a_value_is_escaped(void **state)
{
	struct sans s = one("uri:urn:a,DNS:b");
	char text[NAME_TEXT_MAX];

	(void)state;
	assert_string_equal(sans_text(&s, text), "URI:urn:a\\,DNS:b");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_survive_their_encoding),
		cmocka_unit_test(texts_that_are_no_names_are_refused),
		cmocka_unit_test(a_list_that_is_not_right_is_refused),
		cmocka_unit_test(a_hardware_module_name_is_the_only_other_name),
		cmocka_unit_test(case_counts_where_it_should),
		cmocka_unit_test(order_does_not_matter_but_number_does),
		cmocka_unit_test(there_is_room_for_thirty_two),
		cmocka_unit_test(a_comma_in_a_value_is_escaped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
