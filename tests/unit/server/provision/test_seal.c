/* SPDX-License-Identifier: Apache-2.0 */
/* provision/test_seal.c - secrets at rest open where they belong, unchanged, and nowhere else; keys made from keys */
#include "world.h"

static void
what_was_sealed_opens_again(void **state)
{
	AUTO_BUF sealed = { 0 };
	AUTO_BUF plain = { 0 };

	(void)state;
	provision_seal(&sealed, fleet, "a/use", bytes_of("secret"));
	assert_null(memmem(sealed.p, sealed.n, "secret", 6));
	assert_int_equal(provision_open(&plain, fleet, "a/use", bytes_of_buf(&sealed), NULL), 0);
	assert_string_equal(buf_str(&plain), "secret");
}

static void
the_same_secret_is_sealed_another_way_each_time(void **state)
{
	AUTO_BUF a = { 0 };
	AUTO_BUF b = { 0 };

	(void)state;
	provision_seal(&a, fleet, "a/use", bytes_of("secret"));
	provision_seal(&b, fleet, "a/use", bytes_of("secret"));
	assert_int_equal(a.n, b.n);
	assert_memory_not_equal(a.p, b.p, a.n);
}

static void
one_octet_changed_anywhere_is_found(void **state)
{
	AUTO_BUF sealed = { 0 };
	AUTO_BUF plain = { 0 };

	(void)state;
	provision_seal(&sealed, fleet, "a/use", bytes_of("secret"));
	for (size_t i = 0; i < sealed.n; i++) {
		sealed.p[i] ^= 1;
		assert_int_equal(provision_open(&plain, fleet, "a/use", bytes_of_buf(&sealed), NULL), E_CRYPTO);
		sealed.p[i] ^= 1;
	}
	for (size_t n = 0; n < sealed.n; n++)
		assert_int_equal(provision_open(&plain, fleet, "a/use", (struct bytes){ sealed.p, n }, NULL), E_CRYPTO);
	assert_int_equal(plain.n, 0);
}

static void
another_use_or_another_store_opens_nothing(void **state)
{
	static const uint8_t other_key[32] = { 8 };
	struct fleet other = { .secret = secret_new(other_key) };
	AUTO_BUF sealed = { 0 };
	AUTO_BUF plain = { 0 };
	struct err e = { 0 };

	(void)state;
	provision_seal(&sealed, fleet, "enrolment/a/key/0", bytes_of("secret"));
	assert_int_equal(provision_open(&plain, fleet, "enrolment/a/key/1", bytes_of_buf(&sealed), &e), E_CRYPTO);
	assert_non_null(strstr(e.msg, "enrolment/a/key/1"));
	assert_int_equal(provision_open(&plain, &other, "enrolment/a/key/0", bytes_of_buf(&sealed), NULL), E_CRYPTO);
	assert_int_equal(plain.n, 0);
	secret_free(other.secret);
}

static void
no_two_uses_have_one_name(void **state)
{
	char a[PROVISION_WHAT_MAX], b[PROVISION_WHAT_MAX];

	(void)state;
	assert_string_not_equal(provision_what_enrolment(a, true, "x", 0), provision_what_enrolment(b, false, "x", 0));
	assert_string_not_equal(provision_what_enrolment(a, true, "x", 0), provision_what_enrolment(b, true, "x", 1));
	assert_string_not_equal(provision_what_registration(a, "x"), provision_what_enrolment(b, true, "x", 0));
	assert_string_not_equal(provision_what_module(a, "d", "m", 0), provision_what_module(b, "d", "m", 1));
}

/* HMAC-SHA256 of the lower-case ID, worked out with another program. */
static void
a_devices_key_is_the_hmac_of_its_lower_case_id(void **state)
{
	uint8_t key[SHA256_LEN];
	char hex[2 * SHA256_LEN + 1];

	(void)state;
	provision_derive(key, bytes_of("key"), "Device-1");
	text_hex(hex, (struct bytes){ key, sizeof(key) });
	assert_string_equal(hex, "a0425bdb4df9b2a9acb93214b1045a8a62caa8cc364ad9889980a7a0ec3fc507");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		IN_WORLD(what_was_sealed_opens_again),
		IN_WORLD(the_same_secret_is_sealed_another_way_each_time),
		IN_WORLD(one_octet_changed_anywhere_is_found),
		IN_WORLD(another_use_or_another_store_opens_nothing),
		cmocka_unit_test(no_two_uses_have_one_name),
		cmocka_unit_test(a_devices_key_is_the_hmac_of_its_lower_case_id),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
