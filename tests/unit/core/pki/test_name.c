/* SPDX-License-Identifier: Apache-2.0 */
/* test_name.c - distinguished names: what is taken, how they are written, which are the same */
#include "core/pki/name.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

#include "core/pki/der.h"

static struct name
from_text(const char *text)
{
	struct name n;
	struct err e;

	if (name_from_text(&n, text, &e) != 0)
		fail_msg("%s: %s", text, e.msg);
	return n;
}

/* A Name of one attribute with that string type. */
static void
put_name(struct buf *b, enum oid type, unsigned tag, const char *value)
{
	size_t seq = der_begin(b, DER_SEQUENCE), set = der_begin(b, DER_SET), ava = der_begin(b, DER_SEQUENCE);

	der_put_oid(b, oid_contents(type));
	der_put(b, tag, bytes_of(value));
	der_finish(b, ava);
	der_finish(b, set);
	der_finish(b, seq);
}

static void
a_name_survives_its_encoding_and_its_text(void **state)
{
	static const char *const texts[] = {
		"CN=pump-7", "C=CH,O=Wasserwerk Zürich,OU=Pumps,OU=North,serialNumber=00-17,CN=pump-7",
		"DC=example,DC=plant,UID=pump 7,emailAddress=pump-7@example.com",
		"CN=a\\,b\\+c\\=d\\\\e\\\"f\\<g\\>h\\;i/j", "CN=\\ a\\ ", "CN=\\#1", "CN=a #b",
		"surname=S,L=L,ST=ST,street=Street 1,title=T,givenName=G,dnQualifier=Q,organizationIdentifier=I",
	};

	(void)state;
	for (size_t i = 0; i < N_OF(texts); i++) {
		AUTO_BUF der = { 0 };
		struct name n = from_text(texts[i]), back;
		char text[NAME_TEXT_MAX];

		name_encode(&der, &n);
		assert_int_equal(der_check(bytes_of_buf(&der), "name", NULL), 0);
		assert_int_equal(name_parse(&back, bytes_of_buf(&der), NULL), 0);
		assert_true(name_equal(&n, &back));
		assert_string_equal(name_text(&back, text), texts[i]);
	}
}

static void
the_empty_name_is_a_name(void **state)
{
	AUTO_BUF der = { 0 };
	struct name n = { .n = 7 };
	char text[NAME_TEXT_MAX];

	(void)state;
	assert_int_equal(name_parse(&n, (struct bytes){ (const uint8_t *)"\x30\x00", 2 }, NULL), 0);
	assert_int_equal(n.n, 0);
	assert_string_equal(name_text(&n, text), "");
	name_encode(&der, &n);
	assert_true(bytes_equal(bytes_of_buf(&der), (struct bytes){ (const uint8_t *)"\x30\x00", 2 }));
}

static void
each_attribute_is_written_in_its_string_type(void **state)
{
	static const struct { const char *text; uint8_t tag; } cases[] = {
		{ "C=CH", DER_PRINTABLE }, { "serialNumber=1", DER_PRINTABLE }, { "dnQualifier=1", DER_PRINTABLE },
		{ "DC=a", DER_IA5 }, { "email=a@b", DER_IA5 }, { "CN=a", DER_UTF8 }, { "O=a", DER_UTF8 },
	};

	(void)state;
	for (size_t i = 0; i < N_OF(cases); i++) {
		AUTO_BUF b = { 0 };
		struct name n = from_text(cases[i].text);
		struct der d, seq, set, ava;

		name_encode(&b, &n);
		d = der_open(bytes_of_buf(&b));
		seq = der_enter(&d, DER_SEQUENCE);
		set = der_enter(&seq, DER_SET);
		ava = der_enter(&set, DER_SEQUENCE);
		(void)der_take(&ava, DER_OID);
		assert_int_equal(der_peek(&ava), cases[i].tag);
	}
}

static void
slashes_and_commas_and_blanks_separate(void **state)
{
	struct name a = from_text("/C=CH/O=a, b/CN=x"), b = from_text("C = CH, O = a\\, b, CN = x"),
	    c = from_text("/CN=a\\/b"), d = from_text("CN=\\4a\\4B");

	(void)state;
	assert_true(name_equal(&a, &b));
	assert_string_equal(name_get(&a, OID_O), "a, b");
	assert_string_equal(name_get(&c, OID_CN), "a/b");
	assert_string_equal(name_get(&d, OID_CN), "JK");
	assert_null(name_get(&d, OID_O));
}

static void
texts_that_are_no_names_are_refused(void **state)
{
	static const struct { const char *text, *why; } cases[] = {
		{ "", "without" }, { "/", "without" }, { "pump-7", "without" }, { "CN=a,", "without" },
		{ "=a", "unknown" }, { "XX=a", "unknown" }, { "clientAuth=a", "not one that a name" },
		{ "CN=", "empty" }, { "CN=  ", "empty" }, { "CN=a\\", "escape" }, { "CN=a\\x", "escape" },
		{ "CN=a\\00", "character" }, { "CN=a\\0ab", "character" }, { "CN=a+O=b", "multi-valued" },
		{ "CN=a,CN=b", "CN twice" }, { "C=CHE", "longer than 2" }, { "C=C", "two letters" },
		{ "serialNumber=a_b", "character" }, { "DC=\xc3\xbc", "character" }, { "CN=\xff", "character" },
		{ "averyveryveryveryveryverylongtypename=x", "unknown" },
	};
	struct name n = { .n = 3 };
	struct err e;

	(void)state;
	for (size_t i = 0; i < N_OF(cases); i++) {
		assert_int_equal(name_from_text(&n, cases[i].text, &e), E_FORMAT);
		if (strstr(e.msg, cases[i].why) == NULL)
			fail_msg("'%s': %s", cases[i].text, e.msg);
		assert_int_equal(n.n, 3);
	}
}

static void
upper_bounds_count_characters(void **state)
{
	struct name n = { 0 };
	char wide[2 * 65 + 1] = { 0 }, narrow[66] = { 0 };
	struct err e;

	(void)state;
	for (size_t i = 0; i < 65; i++)
		memcpy(wide + 2 * i, "ü", 2);
	memset(narrow, 'a', 65);
	assert_int_equal(name_add(&n, OID_CN, wide, &e), E_FORMAT);
	assert_int_equal(name_add(&n, OID_CN, narrow, &e), E_FORMAT);
	wide[2 * 64] = 0;
	narrow[64] = 0;
	assert_int_equal(name_add(&n, OID_CN, wide, &e), 0);
	assert_int_equal(name_add(&n, OID_O, narrow, &e), 0);
	assert_int_equal(n.n, 2);
}

static void
a_name_has_room_for_sixteen(void **state)
{
	struct name n = { 0 };

	(void)state;
	for (int i = 0; i < NAME_AVA_MAX; i++)
		assert_int_equal(name_add(&n, OID_OU, "x", NULL), 0);
	assert_int_equal(name_add(&n, OID_OU, "x", NULL), E_FORMAT);
	assert_int_equal(n.n, NAME_AVA_MAX);
}

static void
a_text_that_does_not_fit_is_cut_between_characters(void **state)
{
	struct name n = { 0 };
	char value[2 * 64 + 1] = { 0 }, text[NAME_TEXT_MAX];
	struct name back;

	(void)state;
	for (size_t i = 0; i < 64; i++)
		memcpy(value + 2 * i, "ü", 2);
	for (int i = 0; i < 10; i++)
		assert_int_equal(name_add(&n, OID_OU, value, NULL), 0);
	(void)name_text(&n, text);
	assert_true(strlen(text) < NAME_TEXT_MAX);
	assert_string_equal(text + strlen(text) - 3, "...");
	assert_int_equal(name_from_text(&back, text, NULL), 0); /* so it is still UTF-8 */
}

static void
string_types_are_taken_as_the_contract_says(void **state)
{
	static const struct { enum oid type; unsigned tag; const char *value; bool good; } cases[] = {
		{ OID_CN, DER_UTF8, "a", true }, { OID_CN, DER_PRINTABLE, "a", true }, { OID_CN, DER_IA5, "a", false },
		{ OID_CN, DER_T61, "a", false }, { OID_CN, DER_BMP, "ab", false }, { OID_CN, 0x1a, "a", false },
		{ OID_CN, DER_OCTET_STRING, "a", false }, { OID_C, DER_UTF8, "CH", true }, { OID_DC, DER_IA5, "a", true },
		{ OID_EMAIL, DER_IA5, "a@b", true }, { OID_EMAIL, DER_PRINTABLE, "a@b", false },
		{ OID_CN, DER_PRINTABLE, "a_b", false }, { OID_CN, DER_UTF8, "a_b", true },
	};
	struct name n;

	(void)state;
	for (size_t i = 0; i < N_OF(cases); i++) {
		AUTO_BUF b = { 0 };

		put_name(&b, cases[i].type, cases[i].tag, cases[i].value);
		if (name_parse(&n, bytes_of_buf(&b), NULL) != (cases[i].good ? 0 : E_FORMAT))
			fail_msg("case %zu", i);
	}
}

static void
equality_is_rfc_5280s(void **state)
{
	static const struct { const char *a, *b; bool equal; } cases[] = {
		{ "CN=Pump 7", "CN=pump 7", true }, { "CN=Pump  7", "CN=pump 7", true },
		{ "CN=\\ pump 7\\ ", "CN=pump 7", true }, { "CN=pump7", "CN=pump 7", false },
		{ "CN=a,O=b", "O=b,CN=a", false }, { "CN=a", "O=a", false }, { "CN=a", "CN=a,O=b", false },
		{ "CN=a", "CN=ab", false }, { "CN=ü", "CN=Ü", false }, { "CN=a\\,OU\\=b", "CN=a,OU=b", false },
		{ "CN=a b ", "CN=a b", true }, { "CN=a b c", "CN=a b", false },
	};

	(void)state;
	for (size_t i = 0; i < N_OF(cases); i++) {
		struct name a = from_text(cases[i].a), b = from_text(cases[i].b);

		if (name_equal(&a, &b) != cases[i].equal || name_equal(&b, &a) != cases[i].equal)
			fail_msg("%s / %s", cases[i].a, cases[i].b);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_name_survives_its_encoding_and_its_text),
		cmocka_unit_test(the_empty_name_is_a_name),
		cmocka_unit_test(each_attribute_is_written_in_its_string_type),
		cmocka_unit_test(slashes_and_commas_and_blanks_separate),
		cmocka_unit_test(texts_that_are_no_names_are_refused),
		cmocka_unit_test(upper_bounds_count_characters),
		cmocka_unit_test(a_name_has_room_for_sixteen),
		cmocka_unit_test(a_text_that_does_not_fit_is_cut_between_characters),
		cmocka_unit_test(string_types_are_taken_as_the_contract_says),
		cmocka_unit_test(equality_is_rfc_5280s),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
