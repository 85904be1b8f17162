/* SPDX-License-Identifier: Apache-2.0 */
/* certd/test_certs.c - certificates on disk: where they stand, lists, what is read-only */
#include "device/certd/certs.h"

#include "certd_kit.h"

static struct place here;

static int
setup(void **state)
{
	(void)state;
	here = kit_place();
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	kit_remove(&here);
	buf_free(&kit_warnings);
	return 0;
}

/* Settings with a home that exists, and more text. */
static struct certd_settings *
settings(const char *more)
{
	struct certd_settings *s;
	struct buf text = { 0 };

	buf_printf(&text, "homedir_path = \"%s/home\"\n%s", here.prefix, more);
	s = kit_settings(&here, buf_str(&text));
	buf_free(&text);
	return s;
}

static void
write_ok(const struct certd_settings *s, const char *id, const char *text)
{
	struct err e;

	if (certs_write(s, id, bytes_of(text), &e) != 0)
		fail_msg("%s", e.msg);
}

static void
reads(const struct certd_settings *s, const char *id, const char *want)
{
	AUTO_BUF got = { 0 };
	struct err e;

	if (certs_read(&got, s, id, &e) != 0)
		fail_msg("%s", e.msg);
	assert_string_equal(buf_str(&got), want);
}

static int
read_code(const struct certd_settings *s, const char *id, struct err *e)
{
	AUTO_BUF got = { 0 };
	int r = certs_read(&got, s, id, e);

	assert_int_equal(got.n, 0);
	return r;
}

static void
a_certificate_stands_where_the_original_looks_for_it(void **state)
{
	AUTO(certd_settings) s = settings("");
	char path[PLACE_MAX * 2], want[PLACE_MAX * 2];
	struct stat st;

	(void)state;
	assert_int_equal(certs_path(path, s, "device-id", NULL), 0);
	(void)snprintf(want, sizeof(want),
	    "%s/home/certs/deviceid-bd732105ef89cf8edd2606a5309c8a26b7b5599a4e124a0fe6199b6b2f60e655.cer", here.prefix);
	assert_string_equal(path, want);
	write_ok(s, "device-id", "one\n");
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0644);
	reads(s, "device-id", "one\n");
}

static void
what_does_not_exist_is_not_found_and_deleting_it_is_fine(void **state)
{
	AUTO(certd_settings) s = settings("");
	struct err e;

	(void)state;
	assert_int_equal(read_code(s, "x", &e), E_NOTFOUND);
	assert_int_equal(certs_delete(s, "x", &e), 0);
	write_ok(s, "x", "one\n");
	assert_int_equal(certs_delete(s, "x", &e), 0);
	assert_int_equal(read_code(s, "x", &e), E_NOTFOUND);
}

static void
a_list_is_its_members_one_after_the_other(void **state)
{
	AUTO(certd_settings) s = settings("[preloaded_certs]\nall = [\"a\", \"gone\", \"inner\"]\ninner = [\"b\"]\n"
	    "nothing = [\"gone\"]\n");
	char path[PLACE_MAX * 2];
	struct err e;

	(void)state;
	write_ok(s, "a", "one");
	write_ok(s, "b", "two\n");
	reads(s, "all", "one\ntwo\n");
	assert_int_equal(read_code(s, "nothing", &e), E_NOTFOUND);
	assert_int_equal(certs_path(path, s, "all", &e), E_NOTFOUND);
}

static void
a_list_that_contains_itself_is_refused(void **state)
{
	AUTO(certd_settings) s = settings("[preloaded_certs]\na = [\"b\"]\nb = [\"c\", \"a\"]\nc = [\"gone\"]\n");
	struct err e;

	(void)state;
	assert_int_equal(read_code(s, "a", &e), E_FORMAT);
	assert_non_null(strstr(e.msg, "contains itself"));
}

static void
anchors_are_those_in_trusted_certs_and_in_its_lists(void **state)
{
	AUTO(certd_settings) s = kit_settings(&here, "[cert_issuance.est]\ntrusted_certs = [\"a\", \"l\"]\n"
	    "[preloaded_certs]\nl = [\"b\", \"m\"]\nm = [\"c\"]\n");
	AUTO(certd_settings) round = kit_settings(&here, "[cert_issuance.est]\ntrusted_certs = [\"l\"]\n"
	    "[preloaded_certs]\nl = [\"m\"]\nm = [\"l\"]\n");
	AUTO(certd_settings) none = kit_settings(&here, "");

	(void)state;
	for (const char *const *id = (const char *const[]){ "a", "b", "c", "l", "m", NULL }; *id != NULL; id++)
		assert_true(certs_is_anchor(s, *id));
	assert_false(certs_is_anchor(s, "d"));
	assert_false(certs_is_anchor(none, "a"));
	assert_true(certs_is_anchor(round, "l"));
	assert_true(certs_is_anchor(round, "z")); /* nobody can say */
}

static void
lists_that_multiply_are_stopped(void **state)
{
	struct buf text = { 0 };
	struct err e;

	(void)state;
	buf_put_str(&text, "[preloaded_certs]\n");
	for (int i = 0; i < 40; i++)
		buf_printf(&text, "l%d = [\"l%d\", \"l%d\"]\n", i, i + 1, i + 1);
	{
		AUTO(certd_settings) s = settings(buf_str(&text));

		assert_int_equal(read_code(s, "l0", &e), E_TOOBIG);
	}
	buf_free(&text);
}

static void
preloaded_certificates_are_read_and_never_written(void **state)
{
	AUTO_BUF text = { 0 };
	char path[PLACE_MAX * 2];
	struct err e;

	(void)state;
	(void)snprintf(path, sizeof(path), "%s/theirs.pem", here.prefix);
	kit_write(path, "theirs\n");
	buf_printf(&text, "[preloaded_certs]\np = \"file://%s\"\nlist = [\"p\"]\n", path);
	{
		AUTO(certd_settings) s = settings(buf_str(&text));

		reads(s, "p", "theirs\n");
		assert_int_equal(certs_write(s, "p", bytes_of("mine"), &e), E_POLICY);
		assert_int_equal(certs_write(s, "list", bytes_of("mine"), &e), E_POLICY);
		assert_int_equal(certs_delete(s, "p", &e), E_POLICY);
		reads(s, "p", "theirs\n");
	}
}

static void
an_identity_that_is_a_file_is_read_and_written_as_a_copy(void **state)
{
	AUTO_BUF text = { 0 };
	AUTO_BUF got = { 0 };
	char path[PLACE_MAX * 2], of_id[PLACE_MAX * 2];
	struct err e;

	(void)state;
	(void)snprintf(path, sizeof(path), "%s/born.pem", here.prefix);
	kit_write(path, "birth\n");
	buf_printf(&text, "[cert_issuance.est]\nidentity_cert = \"file://%s\"\nidentity_pk = \"k\"\n", path);
	{
		AUTO(certd_settings) s = settings(buf_str(&text));
		const char *id = s->est_auth.identity_cert;

		reads(s, id, "birth\n");
		assert_false(certs_has_copy(s, id));
		assert_int_equal(certs_path(of_id, s, id, &e), 0);
		assert_string_equal(of_id, path);
		assert_int_equal(certs_write(s, id, bytes_of("copy\n"), &e), 0);
		assert_true(certs_has_copy(s, id));
		reads(s, id, "copy\n");
		assert_int_equal(certs_read_any(&got, s, id, &e), 0);
		assert_true(bytes_equal_str(bytes_of_buf(&got), "copy\n"));
		assert_int_equal(certs_path(of_id, s, id, &e), 0);
		assert_string_not_equal(of_id, path);
		assert_int_equal(certs_check_ours(s, id, &e), E_POLICY);
		assert_int_equal(certs_delete(s, id, &e), E_POLICY);
	}
	buf_reset(&got);
	assert_int_equal(file_read(&got, path, 64, &e), 0);
	assert_true(bytes_equal_str(bytes_of_buf(&got), "birth\n"));
}

static void
only_the_configuration_can_name_files(void **state)
{
	AUTO(certd_settings) s = settings("");
	AUTO_BUF got = { 0 };
	AUTO_BUF uri = { 0 };
	char path[PLACE_MAX * 2];
	struct err e;

	(void)state;
	(void)snprintf(path, sizeof(path), "%s/secret", here.prefix);
	kit_write(path, "secret\n");
	buf_printf(&uri, "file://%s", path);
	assert_int_equal(read_code(s, buf_str(&uri), &e), E_NOTFOUND);
	assert_int_equal(certs_read_any(&got, s, buf_str(&uri), &e), 0);
	assert_string_equal(buf_str(&got), "secret\n");
}

static void
the_leaf_is_the_first_certificate(void **state)
{
	AUTO(key) k = kit_key();
	AUTO_BUF pem = { 0 };
	AUTO_BUF der = { 0 };
	struct cert c;
	struct err e;

	(void)state;
	kit_cert(&pem, k, "first");
	kit_cert(&pem, k, "second");
	assert_int_equal(certs_leaf(&c, &der, bytes_of_buf(&pem), &e), 0);
	assert_string_equal(name_get(&c.subject, OID_CN), "first");
	assert_int_not_equal(certs_leaf(&c, &der, bytes_of("nothing"), &e), 0);
	/* With a chain, the next is not taken for a first one that is damaged. */
	buf_reset(&der);
	pem.p[7] ^= 4;
	assert_int_equal(certs_leaf(&c, &der, bytes_of_buf(&pem), &e), E_FORMAT);
}

static void
a_file_that_is_too_long_is_refused(void **state)
{
	AUTO(certd_settings) s = settings("");
	char path[PLACE_MAX * 2];
	struct err e;

	(void)state;
	write_ok(s, "x", "one\n");
	assert_int_equal(certs_path(path, s, "x", &e), 0);
	assert_int_equal(truncate(path, (off_t)CERTS_FILE_MAX + 1), 0);
	assert_int_equal(read_code(s, "x", &e), E_TOOBIG);
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(a_certificate_stands_where_the_original_looks_for_it),
		T(what_does_not_exist_is_not_found_and_deleting_it_is_fine),
		T(a_list_is_its_members_one_after_the_other),
		T(a_list_that_contains_itself_is_refused),
		T(anchors_are_those_in_trusted_certs_and_in_its_lists),
		T(lists_that_multiply_are_stopped),
		T(preloaded_certificates_are_read_and_never_written),
		T(an_identity_that_is_a_file_is_read_and_written_as_a_copy),
		T(only_the_configuration_can_name_files),
		T(the_leaf_is_the_first_certificate),
		T(a_file_that_is_too_long_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
