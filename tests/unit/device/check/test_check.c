/* SPDX-License-Identifier: Apache-2.0 */
/* test_check.c - the table of checks, and those that need nothing but files */
#include "tests/unit/device/service/scratch.h"

#include "core/base/clock.h"
#include "core/codec/json.h"
#include "device/check/check.h"
#include "device/service/stem.h"
#include "tests/unit/core/est/mint.h"

#define DAY ((int64_t)86400)

/* --- running --- */

/* The results by ID, as JSON says them. */
static json_t *
run(struct check_options o, bool *ok)
{
	char *text = NULL;
	size_t n = 0;
	json_t *v = NULL;
	struct err e;

	o.prefix = scratch;
	o.worker = "/nonexistent/certd-worker";
	o.ntp_server = o.ntp_server != NULL ? o.ntp_server : "127.0.0.1:1";
	o.output = CHECK_JSON;
	o.out = open_memstream(&text, &n);
	assert_int_equal(check_run(ok, &o, &e), 0);
	fclose(o.out);
	if (json_parse(&v, (struct bytes){ (const uint8_t *)text, n }, &e) != 0)
		fail_msg("%s", e.msg);
	free(text);
	return v;
}

static const char *
result_of(const json_t *all, const char *id)
{
	return json_str(json_object_get(json_object_get(json_object_get(all, "checks"), id), "result"), "result", "none");
}

/* All that was said of it, in one line. */
static const char *
details_of(const json_t *all, const char *id)
{
	static struct buf text;

	buf_reset(&text);
	json_print(&text, json_object_get(json_object_get(json_object_get(all, "checks"), id), "result"), false);
	return buf_str(&text);
}

static void
expect(const char *id, const char *result, const char *words)
{
	bool ok = false;
	json_t *all = run((struct check_options){ 0 }, &ok);

	if (strcmp(result_of(all, id), result) != 0 || strstr(details_of(all, id), words) == NULL)
		fail_msg("%s: %s instead of %s with '%s'", id, details_of(all, id), result, words);
	json_decref(all);
}

static void
certd(const char *text)
{
	scratch_write("etc/aziot/certd/config.d/10.toml", text);
}

/* A certificate of so many seconds from and to now, at a path below the scratch directory. */
static void
put_cert(const char *path, int64_t from, int64_t to)
{
	int64_t now = clock_now();
	struct minted m = mint(&(struct mint){ .cn = "pump-7", .from = now + from, .to = now + to });
	AUTO_BUF pem = { 0 };

	pem_encode(&pem, mint_der(&m), "CERTIFICATE");
	scratch_write(path, buf_str(&pem));
	mint_free(&m);
}

/* --- tests --- */

static void
a_device_with_nothing_in_it_has_no_fault_but_that_nothing_runs(void **state)
{
	static const char *const fine[] = { "keyd-config-well-formed", "certd-config-well-formed", "certs-preloaded", "est-server-https" },
		*const none[] = { "tpmd-config-well-formed", "identityd-config-well-formed", "hostname", "configs-up-to-date",
		    "identityd-running", "tpmd-running", "host-connect-iothub-mqtt", "host-connect-dps-endpoint", "est-endpoint" };
	bool ok = true;
	json_t *all = run((struct check_options){ 0 }, &ok);

	(void)state;
	for (size_t i = 0; i < N_OF(fine); i++)
		assert_string_equal(result_of(all, fine[i]), "ok");
	for (size_t i = 0; i < N_OF(none); i++)
		assert_string_equal(result_of(all, none[i]), "ignored");
	assert_string_equal(result_of(all, "keyd-running"), "error");
	assert_string_equal(result_of(all, "certd-running"), "error");
	assert_string_equal(result_of(all, "certs-read"), "skipped");
	assert_false(ok);
	json_decref(all);
	all = run((struct check_options){ .dont_run = "keyd-running certd-running,no-such-check" }, &ok);
	assert_string_equal(result_of(all, "keyd-running"), "ignored");
	assert_true(ok);
	json_decref(all);
	all = run((struct check_options){ .dont_run = "keyd-running certd-running", .warnings_as_errors = true }, &ok);
	assert_string_equal(result_of(all, "host-local-time"), "error");
	assert_false(ok);
	json_decref(all);
}

static void
a_configuration_that_cannot_be_read_is_named_with_its_place(void **state)
{
	(void)state;
	certd("[cert_issuance\n");
	expect("certd-config-well-formed", "error", "10.toml:1:");
	expect("est-identity-and-bootstrap-certificate-expiry", "skipped", "");
	certd("[cert_issuance.est]\nidentiy_pk = \"x\"\n");
	expect("certd-config-well-formed", "warning", "did you mean 'identity_pk'");
	scratch_write("etc/aziot/keyd/config.d/10.toml", "[aziot_keys]\nnothing = \"x\"\n");
	expect("keyd-config-well-formed", "error", "10.toml:2:");
}

static void
an_http_server_is_its_own_checks_matter(void **state)
{
	(void)state;
	certd("[cert_issuance.a]\nmethod = \"est\"\nurl = \"http://127.0.0.1:1/\"\nanonymous = true\n");
	expect("certd-config-well-formed", "ok", "");
	expect("est-server-https", "warning", "http://127.0.0.1:1/");
}

static void
a_certificate_in_a_file_must_be_there_whole_and_alive(void **state)
{
	AUTO_BUF text = { 0 };

	(void)state;
	buf_printf(&text, "[preloaded_certs]\nroot = \"file://%s/root.pem\"\n", scratch);
	certd(buf_str(&text));
	expect("certs-preloaded", "error", "no such file");
	put_cert("root.pem", -DAY, 365 * DAY);
	expect("certs-preloaded", "ok", "");
	put_cert("root.pem", -365 * DAY, 6 * DAY);
	expect("certs-preloaded", "warning", "expires at");
	put_cert("root.pem", -365 * DAY, -1);
	expect("certs-preloaded", "error", "has expired");
	put_cert("root.pem", DAY, 365 * DAY);
	expect("certs-preloaded", "error", "not valid before");
	scratch_write("root.pem", "nothing");
	expect("certs-preloaded", "error", "root");
}

static void
short_lives_are_late_only_at_their_end(void **state)
{
	AUTO_BUF text = { 0 };

	(void)state;
	buf_printf(&text, "[preloaded_certs]\nleaf = \"file://%s/leaf.pem\"\n", scratch);
	certd(buf_str(&text));
	put_cert("leaf.pem", -DAY / 2, DAY / 2);
	expect("certs-preloaded", "ok", "");
	put_cert("leaf.pem", -95 * DAY / 100, 5 * DAY / 100);
	expect("certs-preloaded", "warning", "expires at");
}

/* O5: the original calls an identity that nobody needed yet an error, and sees only the global one. */
static void
an_identity_that_was_not_needed_yet_is_no_fault_and_one_of_a_single_certificate_is_seen(void **state)
{
	static const char own[] =
	    "[cert_issuance.device-id]\nmethod = \"est\"\nurl = \"https://127.0.0.1:1/\"\nidentity_cert = \"est-id\"\n"
	    "identity_pk = \"est-id\"\n";
	const char *id = "est-identity-and-bootstrap-certificate-expiry";
	char stem[STEM_MAX], path[STEM_MAX + 64];

	(void)state;
	certd(own);
	expect(id, "ok", "");
	assert_int_equal(stem_name(stem, "est-id", ".cer", NULL), 0);
	(void)snprintf(path, sizeof(path), "var/lib/aziot/certd/certs/%s", stem);
	put_cert(path, -365 * DAY, -1);
	expect(id, "error", "EST identity certificate 'est-id' has expired");
}

static void
config_toml_counts_by_what_it_says_not_by_its_time(void **state)
{
	struct timespec old[2] = { { .tv_sec = 1000000000 }, { .tv_sec = 1000000000 } };
	static const char *const made[] = { "keyd", "certd", "identityd" };

	(void)state;
	scratch_write("etc/aziot/config.toml", "[provisioning]\nsource = \"none\"\n");
	expect("configs-up-to-date", "warning", "was never applied");
	for (size_t i = 0; i < N_OF(made); i++) {
		char path[64];

		(void)snprintf(path, sizeof(path), "etc/aziot/%s/config.d/00-super.toml", made[i]);
		scratch_write(path, "");
		assert_int_equal(utimensat(AT_FDCWD, scratch_path(path), old, 0), 0);
	}
	expect("configs-up-to-date", "warning", "is not what");
	assert_int_equal(utimensat(AT_FDCWD, scratch_path("etc/aziot/config.toml"), old, 0), 0);
	expect("configs-up-to-date", "ok", "");
}

static void
versions_are_compared_only_where_one_is_expected(void **state)
{
	bool ok;
	json_t *all = run((struct check_options){ .expected_version = ESTUARY_VERSION }, &ok);

	(void)state;
	assert_string_equal(result_of(all, "aziot-version"), "ok");
	json_decref(all);
	all = run((struct check_options){ .expected_version = "9.9.9" }, &ok);
	assert_string_equal(result_of(all, "aziot-version"), "warning");
	json_decref(all);
	expect("aziot-version", "ignored", "");
}

static void
no_identifier_is_there_twice_and_containers_are_never_an_error(void **state)
{
	bool ok;
	json_t *all = run((struct check_options){ .program = "iotedge" }, &ok), *sections = NULL, *v, *list, *seen = json_object();
	char *text = NULL;
	size_t n = 0, i;
	const char *name;
	FILE *out = open_memstream(&text, &n);

	(void)state;
	check_list(out, "iotedge", true);
	fclose(out);
	assert_int_equal(json_parse(&sections, (struct bytes){ (const uint8_t *)text, n }, NULL), 0);
	assert_non_null(json_object_get(sections, "Configuration checks (aziot-identity-service)"));
	assert_non_null(json_object_get(sections, "Connectivity checks"));
	json_object_foreach(sections, name, list)
		json_array_foreach(list, i, v) {
			const char *id = json_str(v, "id", "");

			assert_null(json_object_get(seen, id));
			(void)json_object_set_new(seen, id, json_true());
			assert_string_not_equal(result_of(all, id), "none");
			if (strncmp(id, "container-", 10) == 0)
				assert_string_equal(result_of(all, id), "ignored");
		}
	assert_string_equal(result_of(all, "aziot-edged-config-well-formed"), "error"); /* [agent] is missing */
	json_decref(seen);
	json_decref(sections);
	json_decref(all);
	free(text);
}

static int
set_up(void **state)
{
	(void)state;
	scratch_make();
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	scratch_remove();
	return 0;
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(a_device_with_nothing_in_it_has_no_fault_but_that_nothing_runs),
		TEST(a_configuration_that_cannot_be_read_is_named_with_its_place),
		TEST(an_http_server_is_its_own_checks_matter),
		TEST(a_certificate_in_a_file_must_be_there_whole_and_alive),
		TEST(short_lives_are_late_only_at_their_end),
		TEST(an_identity_that_was_not_needed_yet_is_no_fault_and_one_of_a_single_certificate_is_seen),
		TEST(config_toml_counts_by_what_it_says_not_by_its_time),
		TEST(versions_are_compared_only_where_one_is_expected),
		TEST(no_identifier_is_there_twice_and_containers_are_never_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
