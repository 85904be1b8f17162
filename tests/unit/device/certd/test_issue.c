/* SPDX-License-Identifier: Apache-2.0 */
/* certd/test_issue.c - which way a certificate is issued */
#include "issuer_world.h"

/* --- local issuance --- */

static void
self_signed_uses_the_key_with_the_certificates_id(void **state)
{
	struct answer a = { 0 };

	(void)state;
	configure("[cert_issuance]\nx = { method = \"self_signed\", expiry_days = 7, common_name = \"forced\" }\n");
	start_as(&a, "x", NULL, NULL);
	turn();
	assert_int_equal(last_job()->kind, JOB_SIGN);
	assert_string_equal(last_job()->issuer_key, "x");
	assert_int_equal(last_job()->issuer_chain.n, 0);
	assert_int_equal(last_job()->days, 7);
	assert_true(last_job()->force_subject);
	assert_string_equal(name_get(&last_job()->subject, OID_CN), "forced");
	assert_false(last_job()->allow_ca);
	worker_says(JOB_DONE, false);
	issued(&a);
	assert_string_equal(buf_str(&engine_told), "look x;");
}

static void
local_ca_signs_with_its_certificate_and_key(void **state)
{
	struct answer a = { 0 };
	struct err e;

	(void)state;
	configure("[cert_issuance]\nlocal_ca = { cert = \"local-ca\", pk = \"ca-key\" }\nx = { method = \"local_ca\" }\n");
	assert_int_equal(certs_write(s, "local-ca", bytes_of_buf(&cert), &e), 0);
	start_as(&a, "x", NULL, NULL);
	turn();
	assert_string_equal(last_job()->issuer_key, "ca-key");
	assert_true(bytes_equal(bytes_of_buf(&last_job()->issuer_chain), bytes_of_buf(&cert)));
	assert_int_equal(last_job()->days, 30);
	assert_false(last_job()->force_subject);
	worker_says(JOB_DONE, false);
	issued(&a);
}

static void
an_explicit_issuer_goes_before_the_configured_method(void **state)
{
	struct answer a = { 0 };
	struct err e;

	(void)state;
	configure("[cert_issuance]\nx = { method = \"self_signed\", expiry_days = 9 }\n");
	assert_int_equal(certs_write(s, "aziot-edged-ca", bytes_of_buf(&cert), &e), 0);
	start_as(&a, "x", "aziot-edged-ca", "sr=1&sig=2");
	turn();
	assert_string_equal(buf_str((struct buf *)(uintptr_t)&last_job()->issuer_handle), "sr=1&sig=2");
	assert_string_equal(last_job()->issuer_key, "");
	assert_true(last_job()->issuer_chain.n > 0);
	assert_int_equal(last_job()->days, 9);
	worker_says(JOB_DONE, false);
	issued(&a);
}

static void
an_explicit_issuer_needs_no_entry_and_gets_leaf_rights_alone(void **state)
{
	struct answer a = { 0 };
	struct err e;

	(void)state;
	configure("");
	assert_int_equal(certs_write(s, "aziot-edged-ca", bytes_of_buf(&cert), &e), 0);
	start_as(&a, "aziot-edged/module/m:1:server", "aziot-edged-ca", "h");
	turn();
	assert_int_equal(last_job()->days, 30);
	assert_false(last_job()->allow_ca);
	worker_says(JOB_REQUEST_REFUSED, false);
	failed(&a, E_POLICY, "the reason");
}

/* --- what the caller did wrong --- */

static void
parameter(const struct issue_want *w, int code, const char *start)
{
	struct answer a = { 0 };
	struct err e;

	assert_int_equal(issue_start(issuer, w, on_answer, &a, &e), code);
	if (strncmp(e.msg, start, strlen(start)) != 0)
		fail_msg("'%s' does not begin with '%s'", e.msg, start);
	turn();
	assert_int_equal(a.n, 0);
	assert_int_equal(n_asked, 0);
}

static void
wrong_parameters_are_named_and_nothing_begins(void **state)
{
	AUTO_BUF forged = { 0 };
	struct issue_want w = { .id = "x", .csr_pem = bytes_of_buf(&csr) };

	(void)state;
	configure("[preloaded_certs]\np = \"file://@/boot.pem\"\nbad = \"file://@/boot.pem\"\nl = [\"p\"]\n"
	    "[cert_issuance]\nx = { method = \"self_signed\" }\n");
	w.csr_pem = bytes_of("no PEM");
	parameter(&w, E_USAGE, "csr: ");
	/* Another subject under the same signature is no proof of possession. */
	{
		AUTO_BUF der = { 0 };
		uint8_t *at;

		assert_int_equal(pem_decode(&der, bytes_of_buf(&csr), "CERTIFICATE REQUEST", NULL), 0);
		at = memmem(der.p, der.n, "pump-7", 6);
		assert_non_null(at);
		at[5] = '8';
		pem_encode(&forged, bytes_of_buf(&der), "CERTIFICATE REQUEST");
	}
	w.csr_pem = bytes_of_buf(&forged);
	parameter(&w, E_USAGE, "csr: ");
	w.csr_pem = bytes_of_buf(&csr);
	w.issuer_cert = "gone";
	w.issuer_handle = "h";
	parameter(&w, E_USAGE, "issuer.certId: not found");
	w.issuer_cert = "bad";
	parameter(&w, E_USAGE, "issuer.certId: ");
	w.issuer_handle = "";
	parameter(&w, E_USAGE, "issuer.privateKeyHandle: ");
	w.issuer_cert = NULL;
	w.id = "p";
	parameter(&w, E_POLICY, "certificate 'p': preloaded");
	w.id = "l";
	parameter(&w, E_POLICY, "certificate 'l': preloaded");
	w.id = "";
	parameter(&w, E_USAGE, "certId: ");
}

static void
what_is_not_configured_fails_with_the_reason(void **state)
{
	struct answer none = { 0 }, url = { 0 }, ca = { 0 };

	(void)state;
	configure("[cert_issuance]\nurl = { method = \"est\", anonymous = true }\nca = { method = \"local_ca\" }\n");
	start_as(&none, "x", NULL, NULL);
	start_as(&url, "url", NULL, NULL);
	start_as(&ca, "ca", NULL, NULL);
	turn();
	failed(&none, E_IO, "no [cert_issuance] entry");
	failed(&url, E_IO, "EST URL is not configured");
	failed(&ca, E_IO, "local CA is not configured");
	assert_int_equal(n_asked, 0);
}

/* --- EST --- */

static void
est_waits_for_the_identity_and_forwards_the_request_unchanged(void **state)
{
	AUTO_BUF der = { 0 };
	struct answer a = { 0 };

	(void)state;
	begin_with_identity(&a);
	need_fn(need_ctx, NULL);
	assert_int_equal(last_job()->kind, JOB_EST);
	assert_string_equal(last_job()->client_key, "est-key");
	assert_true(last_job()->any_name);
	assert_false(last_job()->reenroll);
	assert_int_equal(pem_decode(&der, bytes_of_buf(&csr), "CERTIFICATE REQUEST", NULL), 0);
	assert_true(bytes_equal(bytes_of_buf(&der), bytes_of_buf(&last_job()->csr)));
	worker_says(JOB_DONE, true);
	issued(&a);
	assert_string_equal(buf_str(&engine_told), "used est-id 1;look x;");
}

static void
a_refused_identity_falls_back_to_the_bootstrap_pair_once(void **state)
{
	struct answer a = { 0 };

	(void)state;
	begin_with_identity(&a);
	need_fn(need_ctx, NULL);
	worker_says(JOB_CLIENT_REFUSED, false);
	assert_int_equal(n_asked, 2);
	assert_string_equal(last_job()->client_key, "boot-key");
	worker_says(JOB_CLIENT_REFUSED, false);
	assert_int_equal(n_asked, 2);
	failed(&a, E_IO, "client-refused");
	assert_string_equal(buf_str(&engine_told), "used est-id 0;");
}

static void
a_server_that_is_away_says_nothing_about_the_identity_and_gives_it_back(void **state)
{
	struct answer a = { 0 };

	(void)state;
	begin_with_identity(&a);
	need_fn(need_ctx, NULL);
	worker_says(JOB_NO_SERVER, false);
	failed(&a, E_UNAVAIL, "the reason; request r17");
	assert_string_equal(buf_str(&engine_told), "returned est-id;");
	assert_int_equal(n_asked, 1);
}

/* Whoever may ask for a certificate chooses its names: the answer to that must cost the device nothing. */
static void
a_403_for_somebodys_request_reaches_neither_the_bootstrap_pair_nor_the_identity(void **state)
{
	struct answer first = { 0 }, second = { 0 };

	(void)state;
	says_status = 403;
	begin_with_identity(&first);
	need_fn(need_ctx, NULL);
	worker_says(JOB_CLIENT_REFUSED, false);
	assert_int_equal(n_asked, 1);
	failed(&first, E_IO, "client-refused");
	assert_string_equal(buf_str(&engine_told), "renew est-id;returned est-id;");
	/* Nor can it be had renewed without end. */
	start_as(&second, "x", NULL, NULL);
	turn();
	need_fn(need_ctx, NULL);
	worker_says(JOB_CLIENT_REFUSED, false);
	failed(&second, E_IO, "client-refused");
	assert_string_equal(buf_str(&engine_told), "renew est-id;returned est-id;returned est-id;");
}

static void
a_ca_certificate_is_asked_of_a_server_only_when_the_entry_allows_one(void **state)
{
	struct name subject = kit_name("pump-7");
	struct csr_want want = { .subject = &subject, .ca = true };
	struct answer plain = { 0 }, allowed = { 0 };
	AUTO_BUF der = { 0 };

	(void)state;
	assert_int_equal(csr_build(&der, &want, key, NULL), 0);
	buf_reset(&csr);
	pem_encode(&csr, bytes_of_buf(&der), "CERTIFICATE REQUEST");
	configure("[cert_issuance.est]\nanonymous = true\n[cert_issuance]\nx = { method = \"est\", url = \"https://x/\" }\n"
	    "y = { method = \"est\", url = \"https://x/\", ca = true }\n");
	start_as(&plain, "x", NULL, NULL);
	start_as(&allowed, "y", NULL, NULL);
	turn();
	failed(&plain, E_POLICY, "ca = true");
	assert_int_equal(n_asked, 1);
	assert_true(last_job()->want_ca);
}

static void
an_unusable_preloaded_identity_means_bootstrap_directly(void **state)
{
	struct err why = { .code = E_POLICY, .msg = "est-id: expired, and preloaded" };
	struct answer a = { 0 };

	(void)state;
	begin_with_identity(&a);
	need_fn(need_ctx, &why);
	assert_string_equal(last_job()->client_key, "boot-key");
	worker_says(JOB_DONE, true);
	issued(&a);
	assert_string_equal(buf_str(&engine_told), "look x;");
}

static void
an_identity_that_cannot_be_had_fails_the_request(void **state)
{
	struct err why = { .code = E_UNAVAIL, .msg = "the EST server is away" };
	struct answer a = { 0 };

	(void)state;
	begin_with_identity(&a);
	need_fn(need_ctx, &why);
	failed(&a, E_UNAVAIL, "EST identity: the EST server is away");
	assert_int_equal(n_asked, 0);
}

static void
with_basic_alone_no_identity_is_wanted(void **state)
{
	struct answer a = { 0 };

	(void)state;
	configure("[cert_issuance.x]\nmethod = \"est\"\nurl = \"https://x/\"\nusername = \"u\"\npassword = \"p\"\n");
	start_as(&a, "x", NULL, NULL);
	turn();
	assert_null(need_fn);
	assert_int_equal(last_job()->client_chain.n, 0);
	assert_string_equal(last_job()->user, "u");
	worker_says(JOB_DONE, false);
	issued(&a);
}

static void
requests_for_one_id_follow_each_other_and_others_do_not_wait(void **state)
{
	struct answer first = { 0 }, second = { 0 }, other = { 0 };

	(void)state;
	configure(ANONYMOUS "[cert_issuance.y]\nmethod = \"self_signed\"\n");
	start_as(&first, "x", NULL, NULL);
	start_as(&second, "x", NULL, NULL);
	start_as(&other, "y", NULL, NULL);
	turn();
	assert_int_equal(n_asked, 2);
	assert_int_equal(asked[0].job.kind, JOB_EST);
	assert_int_equal(asked[1].job.kind, JOB_SIGN);
	worker_says(JOB_DIED, false);
	failed(&other, E_UNAVAIL, "died");
	assert_int_equal(n_asked, 2);
	job_clear(&asked[1].job);
	n_asked = 1;
	worker_says(JOB_DONE, false);
	issued(&first);
	assert_int_equal(n_asked, 2); /* now the second */
	assert_int_equal(second.n, 0);
	worker_says(JOB_DONE, false);
	issued(&second);
}

static void
one_users_requests_leave_room_for_those_of_another(void **state)
{
	static const char *const ids[] = { "a", "b", "c", "d", "e" };
	struct answer mine[N_OF(ids)] = { 0 }, other = { 0 };
	struct issue_want w = { .id = "x", .csr_pem = bytes_of_buf(&csr), .uid = 1001 };
	struct err e;

	(void)state;
	configure("[cert_issuance.est]\nanonymous = true\n[cert_issuance.est.urls]\ndefault = \"https://d/\"\n"
	    "[cert_issuance]\na = { method = \"est\" }\nb = { method = \"est\" }\nc = { method = \"est\" }\n"
	    "d = { method = \"est\" }\ne = { method = \"est\" }\nx = { method = \"est\" }\n");
	for (size_t i = 0; i < N_OF(ids); i++)
		start_as(&mine[i], ids[i], NULL, NULL);
	assert_int_equal(issue_start(issuer, &w, on_answer, &other, &e), 0);
	turn();
	assert_int_equal(n_asked, 4); /* three of the first, and that of the second */
	worker_says(JOB_DONE, false);
	issued(&other);
	assert_int_equal(n_asked, 4);
	asked[2].open = false;
	asked[2].fn(asked[2].ctx, &(struct job_result){ .outcome = JOB_DIED, .retry_after_s = -1 });
	turn();
	assert_int_equal(mine[2].n, 1);
	assert_int_equal(n_asked, 5); /* in its place */
}

/* The worker has spoken with the network: what it says may be somebody else's words. */
static void
what_a_worker_says_is_checked_before_it_is_written(void **state)
{
	AUTO(key) other = kit_key();
	struct answer foreign = { 0 }, garbage = { 0 }, nothing = { 0 };
	AUTO_BUF there = { 0 };
	struct err e;

	(void)state;
	configure(ANONYMOUS);
	start_as(&foreign, "x", NULL, NULL);
	turn();
	buf_reset(&cert);
	kit_cert(&cert, other, "pump-7");
	worker_says(JOB_DONE, false);
	failed(&foreign, E_IO, "another key");
	start_as(&garbage, "x", NULL, NULL);
	turn();
	buf_reset(&cert);
	buf_put_str(&cert, "no certificate");
	worker_says(JOB_DONE, false);
	failed(&garbage, E_IO, "worker: ");
	start_as(&nothing, "x", NULL, NULL);
	turn();
	buf_reset(&cert);
	worker_says(JOB_DONE, false);
	failed(&nothing, E_IO, "worker: ");
	assert_int_equal(certs_read(&there, s, "x", &e), E_NOTFOUND);
}

static void
what_cannot_be_written_is_not_told(void **state)
{
	struct answer a = { 0 };
	char path[PLACE_MAX * 2];

	(void)state;
	configure(ANONYMOUS);
	start_as(&a, "x", NULL, NULL);
	turn();
	(void)snprintf(path, sizeof(path), "%s/home", here.prefix);
	kit_write(path, "no directory");
	worker_says(JOB_DONE, false);
	failed(&a, E_IO, "");
	assert_int_equal(a.pem.n, 0);
}

static void
a_new_configuration_counts_for_the_steps_to_come(void **state)
{
	struct answer a = { 0 };

	(void)state;
	begin_with_identity(&a);
	configure("");
	need_fn(need_ctx, NULL);
	failed(&a, E_IO, "EST auth is not configured");
	assert_int_equal(n_asked, 0);
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(self_signed_uses_the_key_with_the_certificates_id),
		T(local_ca_signs_with_its_certificate_and_key),
		T(an_explicit_issuer_goes_before_the_configured_method),
		T(an_explicit_issuer_needs_no_entry_and_gets_leaf_rights_alone),
		T(wrong_parameters_are_named_and_nothing_begins),
		T(what_is_not_configured_fails_with_the_reason),
		T(est_waits_for_the_identity_and_forwards_the_request_unchanged),
		T(a_refused_identity_falls_back_to_the_bootstrap_pair_once),
		T(a_server_that_is_away_says_nothing_about_the_identity_and_gives_it_back),
		T(a_403_for_somebodys_request_reaches_neither_the_bootstrap_pair_nor_the_identity),
		T(a_ca_certificate_is_asked_of_a_server_only_when_the_entry_allows_one),
		T(an_unusable_preloaded_identity_means_bootstrap_directly),
		T(an_identity_that_cannot_be_had_fails_the_request),
		T(with_basic_alone_no_identity_is_wanted),
		T(requests_for_one_id_follow_each_other_and_others_do_not_wait),
		T(one_users_requests_leave_room_for_those_of_another),
		T(what_a_worker_says_is_checked_before_it_is_written),
		T(what_cannot_be_written_is_not_told),
		T(a_new_configuration_counts_for_the_steps_to_come),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
