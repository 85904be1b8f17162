/* SPDX-License-Identifier: Apache-2.0 */
/* device/config/test_uri.c - URLs and PKCS#11 URIs come out in one form, and what is none is refused */
#include "device/config/uri.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

static void
urls_are_normalised(void **state)
{
	static const struct {
		const char *in, *out;
		bool plain;
	} rows[] = {
		{ "https://example.org", "https://example.org/", false },
		{ "HTTPS://EXAMPLE.org:443/A/b", "https://example.org/A/b", false },
		{ "http://x:80", "http://x/", true },
		{ "http://x:443/", "http://x:443/", true },
		{ "https://x:8443?q=1", "https://x:8443/?q=1", false },
		{ "https://[2001:DB8::1]:8443/p", "https://[2001:db8::1]:8443/p", false },
		{ "https://x/a b\"<>", "https://x/a%20b%22%3C%3E", false },
		{ "https://x/%41", "https://x/%41", false },
		{ "https://x:/", "https://x/", false },
	};
	struct err e;

	(void)state;
	for (size_t i = 0; i < N_OF(rows); i++) {
		AUTO_BUF out = { 0 };
		bool plain = !rows[i].plain;

		assert_int_equal(uri_web(&out, &plain, rows[i].in, &e), 0);
		assert_string_equal(buf_str(&out), rows[i].out);
		assert_int_equal(plain, rows[i].plain);
	}
}

static void
what_is_no_url_is_refused_and_nothing_is_written(void **state)
{
	static const char *const bad[] = {
		"", "x", "ftp://x/", "https://", "https:///p", "https://a b/", "https://x:0/",
		    "https://x:70000/", "https://x:y/",
		"https://u@x/", "https://x/#f", "https://[::1/", "https://[zz]/", "https://<host>/",
		    "https://x\n/",
	};
	struct err e;

	(void)state;
	for (size_t i = 0; i < N_OF(bad); i++) {
		AUTO_BUF out = { 0 };
		bool plain;

		if (uri_web(&out, &plain, bad[i], &e) != E_FORMAT)
			fail_msg("'%s' was taken", bad[i]);
		assert_int_equal(out.n, 0);
	}
}

static void
pkcs11_uris_have_one_form(void **state)
{
	static const struct {
		const char *in, *out;
	} rows[] = {
		{ "pkcs11:slot-id=0;object=est-id?pin-value=1234",
		  "pkcs11:slot-id=0;object=est%2Did?pin-value=1234" },
		{ "pkcs11:object=a;token=Key pairs", "pkcs11:token=Key%20pairs;object=a" },
		{ "pkcs11:token=a;slot-id=7;object=o", "pkcs11:slot-id=7;object=o" },
		{ "pkcs11:token=%41%3B;object=x;type=private?module-name=y&pin-value=%31",
		  "pkcs11:token=A%3B;object=x?pin-value=1" },
	};
	struct err e;

	(void)state;
	for (size_t i = 0; i < N_OF(rows); i++) {
		AUTO_BUF out = { 0 };

		assert_int_equal(uri_pkcs11(&out, rows[i].in, true, &e), 0);
		assert_string_equal(buf_str(&out), rows[i].out);
	}
}

static void
pkcs11_uris_that_name_no_key_are_refused(void **state)
{
	static const char *const bad[] = {
		"pkcs11:", "pkcs11:object=x", "pkcs11:token=x", "pkcs11:slot-id=x;object=y",
		    "pkcs11:token=%4;object=x",
		"pkcs11:token=%00;object=x",
	};
	AUTO_BUF out = { 0 };
	struct err e;

	(void)state;
	for (size_t i = 0; i < N_OF(bad); i++)
		assert_int_equal(uri_pkcs11(&out, bad[i], true, &e), E_FORMAT);
	assert_int_equal(uri_pkcs11(&out, "pkcs11:token=x", false, &e), 0);
	assert_string_equal(buf_str(&out), "pkcs11:token=x");
}

static void
paths_become_file_uris(void **state)
{
	AUTO_BUF out = { 0 };

	(void)state;
	uri_of_path(&out, "/a b/100%/\xc3\xa4#?.pem");
	assert_string_equal(buf_str(&out), "file:///a%20b/100%25/%C3%A4%23%3F.pem");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(urls_are_normalised),
		cmocka_unit_test(what_is_no_url_is_refused_and_nothing_is_written),
		cmocka_unit_test(pkcs11_uris_have_one_form),
		cmocka_unit_test(pkcs11_uris_that_name_no_key_are_refused),
		cmocka_unit_test(paths_become_file_uris),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
