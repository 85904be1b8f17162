/* SPDX-License-Identifier: Apache-2.0 */
/* device/config/test_check.c - files that a configuration names must be there, whole, and belong together */
#include "device/config/check.h"

#include "tests/unit/core/est/mint.h"
#include "tests/unit/device/config/kit.h"

static void
keep_pem(const char *name, const struct minted *m)
{
	AUTO_BUF pem = { 0 };

	pem_encode(&pem, bytes_of_buf(&m->der), "CERTIFICATE");
	scratch_write(name, buf_str(&pem));
}

static void
keep_key(const char *name, const struct minted *m)
{
	AUTO_BUF pem = { 0 };

	assert_int_equal(key_to_pem(&pem, m->key, NULL), 0);
	scratch_write(name, buf_str(&pem));
	assert_int_equal(chmod(scratch_path(name), 0600), 0);
}

/* A certificate of files with this cert and key below the scratch directory; how many faults. */
static size_t
check(const char *cert, const char *key, bool elsewhere)
{
	struct super_options so = kit_options(false);
	struct check_options o = { .elsewhere = elsewhere, .tell = kit_tell };
	AUTO_BUF text = { 0 };
	AUTO(toml) doc = NULL;
	struct plan p;
	struct err e;
	size_t n;

	buf_printf(&text, "[provisioning]\nsource = \"manual\"\niothub_hostname = \"h\"\ndevice_id = \"d\"\n"
	    "[provisioning.authentication]\nmethod = \"x509\"\nidentity_cert = \"file://%s/%s\"\n"
	    "identity_pk = \"file://%s/%s\"\n",
	    scratch, cert, scratch, key);
	assert_int_equal(toml_parse(&doc, "c.toml", bytes_of_buf(&text), &e), 0);
	assert_int_equal(super_read(&p, doc, &so, &e), 0);
	n = check_references(&p, &o);
	plan_clear(&p);
	return n;
}

static bool
was_told(const char *text)
{
	return strstr(buf_str(&kit_told), text) != NULL;
}

static int
setup(void **state)
{
	struct minted a = mint(&(struct mint){ .cn = "a" }), b = mint(&(struct mint){ .cn = "b",
	    .to = MINT_FROM + 1 });

	(void)state;
	scratch_make();
	keep_pem("a.pem", &a);
	keep_key("a.key", &a);
	keep_pem("b.pem", &b);
	keep_key("b.key", &b);
	mint_free(&a);
	mint_free(&b);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	scratch_remove();
	return 0;
}

static void
a_pair_that_is_one_is_fine(void **state)
{
	(void)state;
	assert_int_equal(check("a.pem", "a.key", false), 0);
	assert_int_equal(kit_told.n, 0);
}

static void
what_is_missing_is_told_with_who_must_read_it(void **state)
{
	(void)state;
	assert_int_equal(check("no.pem", "no.key", false), 2);
	assert_true(was_told("! c.toml:7:1: key 'provisioning.authentication.identity_cert': "));
	assert_true(was_told("/no.pem: no such file; it must be there, readable by user aziotcs"));
	assert_true(was_told("/no.key: no such file; it must be there, readable by user aziotks"));
}

static void
another_machine_may_have_what_this_one_has_not(void **state)
{
	(void)state;
	assert_int_equal(check("no.pem", "no.key", true), 0);
	assert_true(was_told("? c.toml:7:1: key 'provisioning.authentication.identity_cert': "));
	assert_true(was_told("is not on this machine: it must be on the device, readable by aziotcs"));
}

static void
what_is_no_certificate_or_no_key_is_told(void **state)
{
	(void)state;
	scratch_write("empty", "");
	scratch_write("locked",
	    "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAA==\n-----END ENCRYPTED PRIVATE KEY-----\n");
	assert_int_equal(mkdir(scratch_path("dir"), 0755), 0);
	assert_int_equal(check("a.key", "a.pem", false), 2);
	assert_true(was_told("/a.key has no certificate in PEM"));
	assert_true(was_told("/a.pem has no private key in PEM"));
	assert_int_equal(check("empty", "locked", false), 2);
	assert_true(was_told("/empty is empty"));
	assert_true(was_told("/locked is encrypted, and nobody could give the passphrase"));
	assert_int_equal(check("dir", "a.key", false), 1);
	assert_true(was_told("/dir is no file"));
}

static void
two_halves_of_different_pairs_are_told(void **state)
{
	(void)state;
	assert_int_equal(check("a.pem", "b.key", false), 1);
	assert_true(was_told("! c.toml:8:1: key 'provisioning.authentication.identity_pk': "));
	assert_true(was_told("/b.key is not the key of the certificate in "));
}

static void
what_will_not_last_or_is_open_to_all_is_odd(void **state)
{
	(void)state;
	assert_int_equal(chmod(scratch_path("b.key"), 0644), 0);
	assert_int_equal(check("b.pem", "b.key", false), 0);
	assert_true(was_told("/b.pem: certificate 1 has expired"));
	assert_true(was_told("everybody may read the key "));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_pair_that_is_one_is_fine),
		TEST(what_is_missing_is_told_with_who_must_read_it),
		TEST(another_machine_may_have_what_this_one_has_not),
		TEST(what_is_no_certificate_or_no_key_is_told),
		TEST(two_halves_of_different_pairs_are_told),
		TEST(what_will_not_last_or_is_open_to_all_is_odd),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);

	buf_free(&kit_told);
	return failed;
}
