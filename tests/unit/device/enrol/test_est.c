/* SPDX-License-Identifier: Apache-2.0 */
/* test_est.c - whole enrolments over TLS on loopback, with servers honest and not */
#include "tests/unit/device/enrol/est_server.h"

#include "device/enrol/enrol.h"
#include "device/enrol/talk.h"
#include "tests/unit/device/enrol/keyring_fake.h"

/* The issued certificates are judged as of now; TLS has the machine's clock, and these live until then. */
static struct minted root, issuing, other_root, server_cert, wrong_server, device, bootstrap, stranger;

static int
setup(void **state)
{
	(void)state;
	(void)signal(SIGPIPE, SIG_IGN);
	root = mint(&(struct mint){ .cn = "Root", .ca = true });
	other_root = mint(&(struct mint){ .cn = "Other", .ca = true });
	issuing = mint(&(struct mint){ .cn = "Issuing", .ca = true, .issuer = &root });
	server_cert = mint(&(struct mint){ .cn = "est", .san = "ip:127.0.0.1", .eku = OID_SERVER_AUTH, .issuer = &root });
	wrong_server = mint(&(struct mint){ .cn = "est", .san = "dns:elsewhere.example", .eku = OID_SERVER_AUTH, .issuer = &root });
	device = mint(&(struct mint){ .cn = "pump-7", .san = "dns:pump-7.example", .eku = OID_CLIENT_AUTH, .issuer = &issuing });
	bootstrap = mint(&(struct mint){ .cn = "boot", .eku = OID_CLIENT_AUTH, .issuer = &root });
	stranger = mint(&(struct mint){ .cn = "stranger", .eku = OID_CLIENT_AUTH, .issuer = &other_root });
	return 0;
}

static int
teardown(void **state)
{
	struct minted *all[] = { &root, &other_root, &issuing, &server_cert, &wrong_server, &device, &bootstrap, &stranger };

	(void)state;
	for (size_t i = 0; i < N_OF(all); i++)
		mint_free(all[i]);
	return 0;
}

/* A server that does everything right, for a request of key "device-id". */
static struct script
honest(void)
{
	return (struct script){ .cert = &server_cert, .root = &root, .issuing = &issuing,
		.issue = { .cn = "pump-7", .key = device.key, .eku = OID_CLIENT_AUTH } };
}

static struct job
usual(void)
{
	struct job j = { .kind = JOB_EST, .client_auth = true, .bind_channel = true, .deadline_s = 30 };

	(void)snprintf(j.key, sizeof(j.key), "device-id");
	assert_int_equal(name_from_text(&j.subject, "CN=pump-7", NULL), 0);
	mint_pem(&j.trust, &root, NULL);
	fake_put("device-id", device.key);
	fake_put("boot", bootstrap.key);
	return j;
}

static void
show_pair(struct job *j, const struct minted *m, const char *key)
{
	mint_pem(&j->client_chain, m, NULL);
	(void)snprintf(j->client_key, sizeof(j->client_key), "%s", key);
}

/* Do it, at s.port unless the job has a URL of its own. */
static struct job_result
enrol(struct est_server *s, struct job *j)
{
	struct job_result r;

	if (j->url[0] == 0)
		(void)snprintf(j->url, sizeof(j->url), "https://127.0.0.1:%d/.well-known/est", s->port);
	enrol_run(&r, j, MINT_NOW);
	job_clear(j);
	fake_forget();
	return r;
}

static size_t
count(const struct buf *pem)
{
	struct bytes part[32];
	AUTO_BUF der = { 0 };
	size_t n = 0;

	if (pem->n != 0)
		assert_int_equal(pem_decode_all(&der, part, &n, N_OF(part), bytes_of_buf(pem), "CERTIFICATE", NULL), 0);
	return n;
}

static void
first_cn(const struct buf *pem, char out[NAME_TEXT_MAX])
{
	AUTO_BUF der = { 0 };
	struct cert c;

	assert_int_equal(pem_decode(&der, bytes_of_buf(pem), "CERTIFICATE", NULL), 0);
	assert_int_equal(cert_parse(&c, bytes_of_buf(&der), NULL), 0);
	(void)name_text(&c.subject, out);
}

static void
expect_done(const struct job_result *r)
{
	if (r->outcome != JOB_DONE)
		fail_msg("%s %s: %s", job_outcome_name(r->outcome), r->check, r->text);
}

static void
an_enrolment_gives_leaf_issuers_and_the_servers_other_certificates(void **state)
{
	struct est_server s = { .s = honest() };
	struct job j = usual();
	struct job_result r;
	char cn[NAME_TEXT_MAX];

	(void)state;
	server_start(&s);
	r = enrol(&s, &j);
	expect_done(&r);
	first_cn(&r.chain, cn);
	assert_string_equal(cn, "CN=pump-7");
	assert_int_equal(count(&r.chain), 3);
	assert_string_equal(r.note, "");
	assert_string_equal(r.request_id, "r42");
	assert_int_equal(r.http_status, 200);
	assert_true(bytes_equal(bytes_of_buf(&r.spki), key_spki(device.key)));
	assert_int_equal(r.trust_next.n, 0);
	assert_false(r.authenticated);
	assert_true(s.seen->cacerts == 1 && s.seen->enrols == 1);
	assert_non_null(strstr(s.seen->enrol_head, "POST /.well-known/est/simpleenroll HTTP/1.1\r\n"));
	assert_non_null(strstr(s.seen->enrol_head, "Content-Type: application/pkcs10\r\n"));
	assert_true(s.seen->lf_only && s.seen->client_auth);
	assert_true(s.seen->challenge[0] != 0);
	assert_string_equal(s.seen->challenge, s.seen->binding);
	server_stop(&s);
	job_result_clear(&r);
}

static void
a_renewal_repeats_the_names_and_shows_the_old_pair(void **state)
{
	struct est_server s = { .s = honest() };
	struct job j = usual();
	struct job_result r;

	(void)state;
	s.s.client_ca = &root;
	s.s.issue.san = "dns:pump-7.example";
	j.subject.n = 0;
	j.reenroll = true;
	j.bind_channel = false;
	mint_pem(&j.old, &device, NULL);
	mint_pem(&j.client_chain, &device, &issuing);
	(void)snprintf(j.client_key, sizeof(j.client_key), "device-id");
	server_start(&s);
	r = enrol(&s, &j);
	expect_done(&r);
	assert_true(r.authenticated && s.seen->client);
	assert_non_null(strstr(s.seen->enrol_head, "/simplereenroll HTTP"));
	assert_true(s.seen->sans.n == 1 && s.seen->client_auth);
	assert_int_equal(s.seen->challenge[0], 0);
	assert_string_equal(r.note, "");
	server_stop(&s);
	job_result_clear(&r);
}

static void
a_given_request_is_forwarded_and_its_names_hold(void **state)
{
	struct est_server s = { .s = honest() };
	AUTO_BUF der = { 0 };
	struct name subject;
	struct csr_want want = { .subject = &subject };

	(void)state;
	server_start(&s);
	for (int right = 0; right < 2; right++) {
		struct job j = usual();
		struct job_result r;

		assert_int_equal(name_from_text(&subject, right ? "CN=pump-7" : "CN=pump-8", NULL), 0);
		buf_reset(&der);
		assert_int_equal(csr_build(&der, &want, device.key, NULL), 0);
		pem_encode(&j.csr, bytes_of_buf(&der), "CERTIFICATE REQUEST");
		r = enrol(&s, &j);
		assert_string_equal(r.check, right ? "" : "wrong-name");
		assert_int_equal(r.spki.n, 0);
		assert_int_equal(s.seen->challenge[0], 0);
		job_result_clear(&r);
	}
	server_stop(&s);
}

static void
a_password_goes_with_the_request_and_to_cacerts_only_when_asked(void **state)
{
	(void)state;
	for (int asked = 0; asked < 2; asked++) {
		struct est_server s = { .s = honest() };
		struct job j = usual();
		struct job_result r;

		s.s.cacerts_wants_password = asked;
		(void)snprintf(j.user, sizeof(j.user), "u");
		buf_put_str(&j.password, "secret");
		j.n_headers = 1;
		(void)snprintf(j.header[0], sizeof(j.header[0]), "Secret-Value: x");
		server_start(&s);
		r = enrol(&s, &j);
		expect_done(&r);
		assert_int_equal(s.seen->cacerts, asked + 1);
		assert_true((strstr(s.seen->cacerts_head, "Authorization: Basic") != NULL) == (asked == 1));
		assert_true((strstr(s.seen->cacerts_head, "Secret-Value") != NULL) == (asked == 1));
		assert_non_null(strstr(s.seen->enrol_head, "Authorization: Basic dTpzZWNyZXQ=\r\n"));
		assert_non_null(strstr(s.seen->enrol_head, "Secret-Value: x\r\n"));
		server_stop(&s);
		job_result_clear(&r);
	}
}

#define HEAD(status, more) "HTTP/1.1 " status "\r\n" more

/* Each with an honest rest. */
static const struct {
	const char *what, *enrol;
	size_t zeros;
	enum job_outcome outcome;
	const char *check, *text;
	int64_t retry_after_s;
} answers[] = {
	{ "approval", HEAD("202 Wait", "Retry-After: 90\r\nContent-Length: 0\r\n\r\n"), 0, JOB_PENDING, "", "202", 90 },
	{ "approval at once", HEAD("202 Wait", "Retry-After: 0\r\nContent-Length: 0\r\n\r\n"), 0, JOB_PENDING, "", "202", 1 },
	{ "refused", HEAD("403 No", "Content-Type: text/plain\r\nContent-Length: 17\r\n\r\nnot \033you\nsecret.\n"), 0,
	  JOB_CLIENT_REFUSED, "", "403: not \\x1byou", -1 },
	{ "wants a password", HEAD("401 No", "WWW-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n"), 0, JOB_CLIENT_REFUSED, "", "401",
	  -1 },
	{ "busy", HEAD("503 Busy", "Retry-After: 7\r\nContent-Length: 0\r\n\r\n"), 0, JOB_BUSY, "", "503", 7 },
	{ "too many", HEAD("429 Slow", "Content-Length: 0\r\n\r\n"), 0, JOB_BUSY, "", "429", -1 },
	{ "broken", HEAD("500 Oh", "Content-Length: 0\r\n\r\n"), 0, JOB_BUSY, "", "500", -1 },
	{ "bad request", HEAD("400 No", "Content-Type: application/json\r\nContent-Length: 11\r\n\r\n{\"error\":1}"), 0,
	  JOB_REQUEST_REFUSED, "", "400: {\"error\":1}", -1 },
	{ "elsewhere", HEAD("307 Go", "Location: https://evil.example/x\r\nContent-Length: 0\r\n\r\n"), 0, JOB_BAD_ANSWER, "redirect",
	  "evil.example", -1 },
	{ "no content", HEAD("204 No Content", "\r\n"), 0, JOB_BAD_ANSWER, "wrong-status", "204", -1 },
	{ "a page", HEAD("200 OK", "Content-Type: text/html\r\nContent-Length: 6\r\n\r\n<html>"), 0, JOB_BAD_ANSWER, "wrong-type",
	  "text/html", -1 },
	{ "nothing", HEAD("200 OK", "Content-Type: application/pkcs7-mime\r\nContent-Length: 0\r\n\r\n"), 0, JOB_BAD_ANSWER, "empty", "",
	  -1 },
	{ "noise", HEAD("200 OK", "Content-Type: application/pkcs7-mime\r\nContent-Length: 4\r\n\r\n!!!!"), 0, JOB_BAD_ANSWER, "garbage",
	  "answer", -1 },
	{ "half", HEAD("200 OK", "Content-Type: application/pkcs7-mime\r\nContent-Length: 400\r\n\r\nMIIB"), 0, JOB_BAD_ANSWER,
	  "truncated", "", -1 },
	{ "endless", HEAD("200 OK", "Content-Type: application/pkcs7-mime\r\n\r\n"), 4u << 20, JOB_BAD_ANSWER, "too-big", "", -1 },
};

static void
each_answer_has_its_outcome(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_OF(answers); i++) {
		struct est_server s = { .s = honest() };
		struct job j = usual();
		struct job_result r;

		s.s.enrol = answers[i].enrol;
		s.s.zeros = answers[i].zeros;
		server_start(&s);
		r = enrol(&s, &j);
		if (r.outcome != answers[i].outcome || strcmp(r.check, answers[i].check) != 0 ||
		    strstr(r.text, answers[i].text) == NULL || strstr(r.text, "secret") != NULL ||
		    r.retry_after_s != answers[i].retry_after_s)
			fail_msg("%s: %s '%s' %lld: %s", answers[i].what, job_outcome_name(r.outcome), r.check,
			    (long long)r.retry_after_s, r.text);
		assert_int_equal(r.chain.n, 0);
		assert_int_not_equal(r.spki.n, 0);
		server_stop(&s);
		job_result_clear(&r);
	}
}

static void
not_taken(struct script script, const char *check)
{
	struct est_server s = { .s = script };
	struct job j = usual();
	struct job_result r;

	server_start(&s);
	r = enrol(&s, &j);
	if (strcmp(r.check, check) != 0)
		fail_msg("'%s' instead of '%s': %s", r.check, check, r.text);
	assert_int_equal(r.outcome, JOB_BAD_ANSWER);
	assert_int_equal(r.chain.n, 0);
	server_stop(&s);
	job_result_clear(&r);
}

static void
a_certificate_that_is_not_ours_is_not_taken(void **state)
{
	struct script s = honest();

	(void)state;
	s.issue.key = NULL;
	not_taken(s, "wrong-key");
	s = honest();
	s.issue.cn = "pump-8";
	not_taken(s, "wrong-name");
	s = honest();
	s.issue.ca = true;
	not_taken(s, "is-a-ca");
	s = honest();
	s.issue.to = MINT_NOW - 86400;
	not_taken(s, "expired");
	s = honest();
	s.root = s.issuing = &other_root; /* its /cacerts says so too, and that makes it no anchor */
	not_taken(s, "untrusted");
}

static void
leniency_ends_at_form(void **state)
{
	struct est_server s = { .s = honest() };
	struct job j = usual();
	struct job_result r;

	(void)state;
	s.s.pem = true;
	s.s.extra = &other_root; /* first in the answer, and in /cacerts */
	server_start(&s);
	r = enrol(&s, &j);
	expect_done(&r);
	assert_int_equal(count(&r.chain), 3);
	assert_non_null(strstr(r.note, "extra-roots: 2"));
	assert_int_equal(r.trust_next.n, 0);
	server_stop(&s);
	job_result_clear(&r);
}

static void
nothing_is_sent_to_a_server_that_does_not_verify(void **state)
{
	const struct minted *who[] = { &wrong_server, &server_cert };

	(void)state;
	for (size_t i = 0; i < N_OF(who); i++) {
		struct est_server s = { .s = honest() };
		struct job j = usual();
		struct job_result r;

		s.s.cert = who[i];
		if (who[i] == &server_cert) {
			buf_reset(&j.trust);
			mint_pem(&j.trust, &other_root, NULL);
		}
		show_pair(&j, &bootstrap, "boot");
		(void)snprintf(j.user, sizeof(j.user), "u");
		buf_put_str(&j.password, "secret");
		server_start(&s);
		r = enrol(&s, &j);
		assert_int_equal(r.outcome, JOB_SERVER_UNTRUSTED);
		assert_string_equal(r.check, "untrusted");
		assert_true(s.seen->cacerts == 0 && s.seen->enrols == 0);
		assert_false(r.authenticated);
		server_stop(&s);
		job_result_clear(&r);
	}
}

static void
a_pair_that_the_server_does_not_know_is_refused_by_its_alert(void **state)
{
	struct est_server s = { .s = honest() };
	struct job j = usual();
	struct job_result r;

	(void)state;
	s.s.client_ca = &root;
	fake_put("stranger", stranger.key);
	show_pair(&j, &stranger, "stranger");
	server_start(&s);
	r = enrol(&s, &j);
	assert_int_equal(r.outcome, JOB_CLIENT_REFUSED);
	assert_false(r.authenticated);
	assert_int_equal(s.seen->enrols, 0);
	server_stop(&s);
	job_result_clear(&r);
}

static void
nobody_there_is_no_server(void **state)
{
	struct est_server s = { .s = honest() };
	struct job j = usual();
	struct job_result r;

	(void)state;
	server_start(&s);
	(void)kill(s.pid, SIGKILL);
	(void)waitpid(s.pid, NULL, 0);
	r = enrol(&s, &j);
	assert_int_equal(r.outcome, JOB_NO_SERVER);
	assert_int_not_equal(r.spki.n, 0);
	job_result_clear(&r);
	(void)munmap(s.seen, sizeof(*s.seen));
}

static void
without_cacerts_an_answer_that_chains_is_taken_with_a_note(void **state)
{
	struct est_server s = { .s = honest() };
	struct job j = usual();
	struct job_result r;

	(void)state;
	s.s.cacerts = HEAD("404 No", "Content-Length: 0\r\n\r\n");
	s.s.extra = &issuing;
	server_start(&s);
	r = enrol(&s, &j);
	expect_done(&r);
	assert_int_equal(count(&r.chain), 2);
	assert_non_null(strstr(r.note, "without cacerts"));
	server_stop(&s);
	job_result_clear(&r);
}

static void
a_busy_cacerts_ends_the_job_before_anything_is_issued(void **state)
{
	struct est_server s = { .s = honest() };
	struct job j = usual();
	struct job_result r;

	(void)state;
	s.s.cacerts = HEAD("503 Busy", "Retry-After: 30\r\nContent-Length: 0\r\n\r\n");
	server_start(&s);
	r = enrol(&s, &j);
	assert_int_equal(r.outcome, JOB_BUSY);
	assert_int_equal(r.retry_after_s, 30);
	assert_int_equal(s.seen->enrols, 0);
	server_stop(&s);
	job_result_clear(&r);
}

static void
a_new_root_comes_in_when_the_old_one_vouches_for_it(void **state)
{
	struct minted next = mint(&(struct mint){ .cn = "Root", .ca = true });
	struct minted new_with_old = mint(&(struct mint){ .cn = "Root", .ca = true, .key = next.key, .issuer = &root });
	struct minted next_issuing;
	struct est_server s = { .s = honest() };
	struct job j = usual();
	struct job_result r;

	(void)state;
	next_issuing = mint(&(struct mint){ .cn = "Issuing 2", .ca = true, .issuer = &next });
	s.s.root = &next;
	s.s.extra = &new_with_old;
	server_start(&s);
	r = enrol(&s, &j);
	expect_done(&r);
	assert_int_equal(count(&r.trust_next), 3); /* the new root, what vouches for it, and the CA that issues */
	server_stop(&s);
	job_result_clear(&r);
	mint_free(&next);
	mint_free(&new_with_old);
	mint_free(&next_issuing);
}

static void
a_probe_tells_whether_the_pair_is_taken(void **state)
{
	(void)state;
	for (int known = 0; known < 2; known++) {
		struct est_server s = { .s = honest() };
		struct job j = usual();
		struct job_result r;

		j.kind = JOB_PROBE;
		s.s.client_ca = &root;
		fake_put("stranger", stranger.key);
		show_pair(&j, known ? &bootstrap : &stranger, known ? "boot" : "stranger");
		server_start(&s);
		r = enrol(&s, &j);
		assert_int_equal(r.outcome, known ? JOB_DONE : JOB_CLIENT_REFUSED);
		assert_int_equal(r.authenticated, known);
		assert_int_equal(s.seen->enrols, 0);
		server_stop(&s);
		job_result_clear(&r);
	}
}

/* What a probe is told when the server's head says that of its URL. */
static void
expect_label(const char *said, const char *label, const char *profile)
{
	struct est_server s = { .s = honest() };
	struct job j = usual();
	struct job_result r;
	char answer[400];

	(void)snprintf(answer, sizeof(answer), "HTTP/1.1 200 OK\r\nContent-Type: application/pkcs7-mime\r\n%s%s%s"
	    "Content-Length: 4\r\n\r\nMAA=", *said != 0 ? "X-Estuary-Label: " : "", said, *said != 0 ? "\r\n" : "");
	j.kind = JOB_PROBE;
	s.s.cacerts = answer;
	server_start(&s);
	r = enrol(&s, &j);
	expect_done(&r);
	assert_string_equal(r.label, label);
	assert_string_equal(r.profile, profile);
	assert_string_equal(r.anchor, "CN=Root");
	server_stop(&s);
	job_result_clear(&r);
}

static void
a_probe_tells_the_anchor_and_what_the_server_says_is_behind_its_url(void **state)
{
	(void)state;
	expect_label("edge-ca; profile=edge", "edge-ca", "edge");
	expect_label("", "", "");
	expect_label("edge-ca", "", "");
	expect_label("; profile=edge", "", "");
	expect_label("edge-ca; profile=", "", "");
	expect_label("a b; profile=edge", "", "");
	expect_label("edge-ca; profile=x; y=z", "", "");
}

static void
a_connection_that_is_only_tried_carries_no_request(void **state)
{
	struct est_server s = { .s = honest() };
	struct job j = usual();
	struct job_result r;

	(void)state;
	j.kind = JOB_TLS;
	server_start(&s);
	r = enrol(&s, &j);
	expect_done(&r);
	assert_string_equal(r.anchor, "CN=Root");
	assert_int_equal(r.http_status, 0);
	job_result_clear(&r);
	j = usual();
	j.kind = JOB_TLS;
	buf_reset(&j.trust);
	mint_pem(&j.trust, &other_root, NULL);
	r = enrol(&s, &j);
	assert_int_equal(r.outcome, JOB_SERVER_UNTRUSTED);
	assert_int_equal(s.seen->cacerts + s.seen->enrols, 0);
	job_result_clear(&r);
	server_stop(&s);
	j = usual();
	j.kind = JOB_TLS;
	r = enrol(&s, &j);
	assert_int_equal(r.outcome, JOB_NO_SERVER);
	job_result_clear(&r);
}

static void
bad_job(struct job j, const char *words)
{
	struct est_server none = { .port = 1 };
	struct job_result r = enrol(&none, &j);

	if (r.outcome != JOB_BAD_JOB || strstr(r.text, words) == NULL)
		fail_msg("%s instead of bad-job with '%s': %s", job_outcome_name(r.outcome), words, r.text);
	job_result_clear(&r);
}

/* What an answer of this status says, got with the client's pair or over http. */
static struct job_result
judged(unsigned status, bool plain)
{
	struct fetch_answer a = { .status = status, .tls_done = !plain, .retry_after_s = -1 };
	struct job j = { .kind = JOB_EST };
	struct talk t = { .j = &j, .plain = plain, .key = plain ? NULL : (struct key *)(uintptr_t)&j };
	struct job_result r = { .retry_after_s = -1 };
	struct err e = { 0 };

	(void)!talk_judge(&r, &t, "cacerts", 0, &a, &e);
	return r;
}

static void
nobody_can_say_over_http_that_a_credential_is_refused(void **state)
{
	(void)state;
	assert_int_equal(judged(401, false).outcome, JOB_CLIENT_REFUSED);
	assert_int_equal(judged(403, false).outcome, JOB_CLIENT_REFUSED);
	assert_int_equal(judged(401, true).outcome, JOB_REQUEST_REFUSED);
	assert_int_equal(judged(403, true).outcome, JOB_REQUEST_REFUSED);
	assert_false(judged(200, true).authenticated);
}

/* The key before is given up when the server has taken the new one: what a gateway says is no proof of that. */
static void
only_an_answer_of_the_server_itself_proves_a_credential(void **state)
{
	static const unsigned taken[] = { 200, 202, 404 }, not_taken_by[] = { 400, 401, 403, 429, 500, 502, 503 };

	(void)state;
	for (size_t i = 0; i < N_OF(taken); i++)
		assert_true(judged(taken[i], false).authenticated);
	for (size_t i = 0; i < N_OF(not_taken_by); i++)
		assert_false(judged(not_taken_by[i], false).authenticated);
}

static void
a_job_that_cannot_work_says_so_before_it_connects(void **state)
{
	struct job j = usual();

	(void)state;
	(void)snprintf(j.url, sizeof(j.url), "http://127.0.0.1:1/est");
	bad_job(j, "on purpose");
	j = usual();
	j.plain_http = true;
	(void)snprintf(j.url, sizeof(j.url), "http://127.0.0.1:1/est");
	buf_put_str(&j.password, "secret");
	bad_job(j, "not sent over http");
	j = usual();
	(void)snprintf(j.url, sizeof(j.url), "ftp://127.0.0.1/");
	bad_job(j, "https://host");
	j = usual();
	buf_reset(&j.trust);
	bad_job(j, "no anchors");
	j = usual();
	j.subject.n = 0;
	bad_job(j, "neither subject");
	j = usual();
	j.key[0] = 0;
	bad_job(j, "neither a request nor a key");
	j = usual();
	buf_put_str(&j.old, "x");
	bad_job(j, "certificate to renew");
}

static void
a_certificate_beside_another_key_is_a_bad_job(void **state)
{
	struct est_server s = { .s = honest() };
	struct job j = usual();
	struct job_result r;

	(void)state;
	show_pair(&j, &bootstrap, "device-id");
	server_start(&s);
	r = enrol(&s, &j);
	assert_int_equal(r.outcome, JOB_BAD_JOB);
	assert_non_null(strstr(r.text, "client key"));
	assert_int_equal(s.seen->cacerts, 0);
	server_stop(&s);
	job_result_clear(&r);
}

static void
a_key_that_cannot_be_used_is_named(void **state)
{
	struct est_server none = { .port = 1 };
	struct job j = usual();
	struct job_result r;

	(void)state;
	(void)snprintf(j.key, sizeof(j.key), "lost");
	r = enrol(&none, &j);
	assert_int_equal(r.outcome, JOB_KEY_FAILED);
	assert_string_equal(r.check, "not-found");
	assert_non_null(strstr(r.text, "'lost'"));
	job_result_clear(&r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_enrolment_gives_leaf_issuers_and_the_servers_other_certificates),
		cmocka_unit_test(a_renewal_repeats_the_names_and_shows_the_old_pair),
		cmocka_unit_test(a_given_request_is_forwarded_and_its_names_hold),
		cmocka_unit_test(a_password_goes_with_the_request_and_to_cacerts_only_when_asked),
		cmocka_unit_test(each_answer_has_its_outcome),
		cmocka_unit_test(a_certificate_that_is_not_ours_is_not_taken),
		cmocka_unit_test(leniency_ends_at_form),
		cmocka_unit_test(nothing_is_sent_to_a_server_that_does_not_verify),
		cmocka_unit_test(a_pair_that_the_server_does_not_know_is_refused_by_its_alert),
		cmocka_unit_test(nobody_there_is_no_server),
		cmocka_unit_test(without_cacerts_an_answer_that_chains_is_taken_with_a_note),
		cmocka_unit_test(a_busy_cacerts_ends_the_job_before_anything_is_issued),
		cmocka_unit_test(a_new_root_comes_in_when_the_old_one_vouches_for_it),
		cmocka_unit_test(a_probe_tells_whether_the_pair_is_taken),
		cmocka_unit_test(a_probe_tells_the_anchor_and_what_the_server_says_is_behind_its_url),
		cmocka_unit_test(a_connection_that_is_only_tried_carries_no_request),
		cmocka_unit_test(nobody_can_say_over_http_that_a_credential_is_refused),
		cmocka_unit_test(only_an_answer_of_the_server_itself_proves_a_credential),
		cmocka_unit_test(a_job_that_cannot_work_says_so_before_it_connects),
		cmocka_unit_test(a_certificate_beside_another_key_is_a_bad_job),
		cmocka_unit_test(a_key_that_cannot_be_used_is_named),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
