/* SPDX-License-Identifier: Apache-2.0 */
/* test_job.c - jobs and results as messages, whole, cut and hostile */
#include "device/enrol/job.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

/* A job with something in every kind of field. */
static void
fill(struct job *j)
{
	*j = (struct job){ .kind = JOB_EST, .reenroll = true, .trust_system = true, .deadline_s = 7, .create_key = true,
		.client_auth = true, .bind_channel = true, .days = 30, .allow_ca = true, .pathlen = -1, .allow_ku = 5,
		.n_allow_eku = 2, .allow_eku = { OID_SERVER_AUTH, OID_CODE_SIGNING }, .n_headers = 2,
		.header = { "Secret-Value: x", "X-B: y" }, .drop = true, .drop_uid = 998, .drop_gid = 997 };
	(void)snprintf(j->keyd_socket, sizeof(j->keyd_socket), "/run/aziot/keyd.sock");
	(void)snprintf(j->client_key, sizeof(j->client_key), "est-id");
	(void)snprintf(j->url, sizeof(j->url), "https://est.example/.well-known/est");
	(void)snprintf(j->user, sizeof(j->user), "u");
	(void)snprintf(j->proxy, sizeof(j->proxy), "http://p:1");
	(void)snprintf(j->no_proxy, sizeof(j->no_proxy), ".lab");
	(void)snprintf(j->key, sizeof(j->key), "device-id");
	(void)snprintf(j->algorithms, sizeof(j->algorithms), "ec-p256:*");
	(void)snprintf(j->issuer_key, sizeof(j->issuer_key), "local-ca");
	(void)snprintf(j->key_from, sizeof(j->key_from), "device-id-temp");
	buf_put_str(&j->client_chain, "chain");
	buf_put_str(&j->password, "pass");
	buf_put_str(&j->trust, "trust");
	buf_put_str(&j->csr, "csr");
	buf_put_str(&j->old, "old");
	buf_put_str(&j->issuer_chain, "issuer");
	buf_put_str(&j->issuer_handle, "handle");
	buf_put_str(&j->spki, "spki");
	assert_int_equal(name_from_text(&j->subject, "CN=pump-7,O=Example", NULL), 0);
	assert_int_equal(sans_add_text(&j->sans, "dns:pump-7.example", NULL), 0);
	assert_int_equal(sans_add_text(&j->sans, "ip:192.0.2.1", NULL), 0);
}

static void
a_job_comes_out_as_it_went_in(void **state)
{
	AUTO_BUF once = { 0 };
	AUTO_BUF twice = { 0 };
	struct job in, out;
	struct err e = { 0 };

	(void)state;
	fill(&in);
	job_encode(&once, &in);
	assert_int_equal(job_decode(&out, bytes_of_buf(&once), &e), 0);
	assert_int_equal(out.kind, JOB_EST);
	assert_true(out.reenroll && out.trust_system && !out.plain_http && out.bind_channel && out.allow_ca);
	assert_int_equal(out.pathlen, -1);
	assert_string_equal(out.header[1], "X-B: y");
	assert_true(out.drop && out.drop_uid == 998 && out.drop_gid == 997);
	assert_string_equal(buf_str(&out.issuer_handle), "handle");
	assert_true(name_equal(&out.subject, &in.subject) && sans_equal(&out.sans, &in.sans));
	assert_int_equal(out.allow_eku[1], OID_CODE_SIGNING);
	job_encode(&twice, &out);
	assert_true(bytes_equal(bytes_of_buf(&once), bytes_of_buf(&twice)));
	job_clear(&in);
	job_clear(&out);
}

static void
a_job_that_is_cut_or_too_long_is_refused_everywhere(void **state)
{
	AUTO_BUF m = { 0 };
	struct job in, out;
	struct err e = { 0 };

	(void)state;
	fill(&in);
	job_encode(&m, &in);
	for (size_t n = 0; n < m.n; n++)
		assert_int_equal(job_decode(&out, bytes_slice(bytes_of_buf(&m), 0, n), &e), E_FORMAT);
	buf_put_u8(&m, 0);
	assert_int_equal(job_decode(&out, bytes_of_buf(&m), &e), E_FORMAT);
	job_clear(&in);
}

static void
refused(const struct job *j)
{
	AUTO_BUF m = { 0 };
	struct job out;

	job_encode(&m, j);
	assert_int_equal(job_decode(&out, bytes_of_buf(&m), NULL), E_FORMAT);
}

static void
values_that_mean_nothing_are_refused(void **state)
{
	static struct job j;

	(void)state;
	refused(&(struct job){ .kind = 0 });
	refused(&(struct job){ .kind = JOB_KIND_COUNT });
	refused(&(struct job){ .kind = JOB_SIGN, .pathlen = 300 });
	refused(&(struct job){ .kind = JOB_SIGN, .n_allow_eku = 1, .allow_eku = { OID_COUNT } });
	j = (struct job){ .kind = JOB_EST, .subject = { .n = 1, .ava = { { .type = OID_SERVER_AUTH, .value = "x" } } } };
	refused(&j);
	j = (struct job){ .kind = JOB_EST, .subject = { .n = 1, .ava = { { .type = OID_CN, .value = "a\nb" } } } };
	refused(&j);
	j = (struct job){ .kind = JOB_EST, .sans = { .n = 1, .san = { { .kind = SAN_DNS, .n = 4, .value = "a b." } } } };
	refused(&j);
	j = (struct job){ .kind = JOB_EST, .sans = { .n = 1, .san = { { .kind = SAN_IP, .n = 3, .value = "abc" } } } };
	refused(&j);
}

static void
a_flag_is_zero_or_one_and_a_count_keeps_its_limit(void **state)
{
	AUTO_BUF m = { 0 };
	struct job in = { .kind = JOB_PROBE }, out;
	size_t flag = 4 + 4 + 4 + 4 + 4; /* after kind and four empty texts comes `reenroll` */

	(void)state;
	job_encode(&m, &in);
	assert_int_equal(job_decode(&out, bytes_of_buf(&m), NULL), 0);
	m.p[flag] = 2;
	assert_int_equal(job_decode(&out, bytes_of_buf(&m), NULL), E_FORMAT);
	m.p[flag] = 0;
	m.p[flag + 2 + 4 + 4 + 3] = JOB_HEADERS_MAX + 1; /* flags, user, password, then the count's last octet */
	assert_int_equal(job_decode(&out, bytes_of_buf(&m), NULL), E_FORMAT);
}

static void
a_result_comes_out_as_it_went_in_and_cut_ones_are_refused(void **state)
{
	struct job_result in = { .outcome = JOB_BAD_ANSWER, .check = "wrong-key", .text = "t", .note = "n", .request_id = "r1",
		.http_status = 200, .retry_after_s = -1, .server_date = 1750000000, .authenticated = true,
		.anchor = "CN=Root", .label = "edge-ca", .profile = "edge" }, out;
	AUTO_BUF m = { 0 };

	(void)state;
	buf_put_str(&in.chain, "chain");
	buf_put_str(&in.trust_next, "next");
	buf_put_str(&in.spki, "spki");
	job_result_encode(&m, &in);
	assert_int_equal(job_result_decode(&out, bytes_of_buf(&m), NULL), 0);
	assert_int_equal(out.outcome, JOB_BAD_ANSWER);
	assert_string_equal(out.check, "wrong-key");
	assert_true(out.authenticated && out.retry_after_s == -1 && out.server_date == 1750000000);
	assert_string_equal(buf_str(&out.trust_next), "next");
	assert_string_equal(out.anchor, "CN=Root");
	assert_string_equal(out.label, "edge-ca");
	assert_string_equal(out.profile, "edge");
	job_result_clear(&out);
	for (size_t n = 0; n < m.n; n++)
		assert_int_equal(job_result_decode(&out, bytes_slice(bytes_of_buf(&m), 0, n), NULL), E_FORMAT);
	m.p[3] = JOB_OUTCOME_COUNT;
	assert_int_equal(job_result_decode(&out, bytes_of_buf(&m), NULL), E_FORMAT);
	job_result_clear(&in);
}

static void
clearing_a_job_leaves_no_secret(void **state)
{
	static const struct job zero;
	struct job j;

	(void)state;
	fill(&j);
	job_clear(&j);
	assert_memory_equal(&j, &zero, sizeof(j));
}

static void
every_outcome_has_a_name(void **state)
{
	(void)state;
	for (int o = 0; o < JOB_OUTCOME_COUNT; o++)
		assert_true(strlen(job_outcome_name((enum job_outcome)o)) > 2);
	assert_string_equal(job_outcome_name(JOB_OUTCOME_COUNT), "?");
	assert_string_equal(job_outcome_name(JOB_CLIENT_REFUSED), "client-refused");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_job_comes_out_as_it_went_in),
		cmocka_unit_test(a_job_that_is_cut_or_too_long_is_refused_everywhere),
		cmocka_unit_test(values_that_mean_nothing_are_refused),
		cmocka_unit_test(a_flag_is_zero_or_one_and_a_count_keeps_its_limit),
		cmocka_unit_test(a_result_comes_out_as_it_went_in_and_cut_ones_are_refused),
		cmocka_unit_test(clearing_a_job_leaves_no_secret),
		cmocka_unit_test(every_outcome_has_a_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
