/* SPDX-License-Identifier: Apache-2.0 */
/* provision/cloud.c - requests to a service of the cloud */
#include "device/provision/cloud.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/rnd.h"
#include "core/codec/media.h"
#include "device/provider/provider.h"
#include "device/provision/fault.h"
#include "device/provision/sas.h"

#define TIMEOUT_S   30   /* of one attempt, unless the args say otherwise */
#define LEAST_MS    200  /* between two attempts, whatever a server says */
#define ROOM_MS     1000 /* less before the deadline is not worth another attempt */
#define FIRST_MS    2000 /* the first pause, where it says nothing; then twice as long each time */
#define PAUSE_MS    20000
#define TOKEN_LEFT_S 60  /* a token with less than that is made anew */
#define CLOCKS_S    300  /* clocks that differ by less are no reason for a refusal */
#define AHEAD_S     86400 /* nobody gets a token for a time further ahead: who lies about the time could use it for years */
#define TRUST_MAX   ((size_t)1024 * 1024)
#define ANSWER_DEPTH 32  /* levels of JSON that anybody listens to */

/* --- opening --- */

/* Anchors from certd, all of them: less trust than was configured would be told as a server of an unknown CA. */
static int
read_trust(struct cloud *c)
{
	const json_t *ids = json_object_get(c->args, "trust_ids"), *id;
	size_t i;

	c->trust.max = TRUST_MAX;
	buf_put_str(&c->trust, json_str(c->args, "trust", ""));
	json_array_foreach(ids, i, id) {
		int rc = certs_append(&c->trust, c->r, c->args, json_string_value(id));

		if (rc != 0 && c->r->outcome != TASK_NOT_FOUND)
			return rc;
		if (rc != 0)
			return task_fail(c->r, TASK_BAD_TASK, E_NOTFOUND,
			    "trusted_certs: the Certificates Service has no certificate '%.200s'",
			    json_string_value(id));
		buf_put_str(&c->trust, "\n");
	}
	if (c->trust.over)
		return task_fail(c->r, TASK_BAD_TASK, E_TOOBIG, "trusted_certs: more than %zu octets", TRUST_MAX);
	if (c->trust.n != 0 || json_flag(c->args, "trust_system", true))
		return 0;
	return task_fail(c->r, TASK_BAD_TASK, E_USAGE,
	    "%s: no anchors to verify %s by: name its CA in trusted_certs, or allow the system's", c->name, c->host);
}

static int
open_pair(struct cloud *c)
{
	struct err e = { 0 };

	return keys_open(&c->key, c->args, json_str(c->args, "key", ""), &e) == 0 ? 0 : keys_settle(c->r, &e);
}

static int
open_symmetric(struct cloud *c)
{
	const char *id = json_str(c->args, "key", "");
	struct err e = { 0 };
	int r = keyd_load_key(&c->handle.text, keys_service(c->args), id, &e);

	if (r == 0)
		return 0;
	(void)err_prefix(&e, (enum err_code)r, "key '%.100s'", id);
	return keys_settle(c->r, &e);
}

int
cloud_open(struct cloud *c, struct task_result *r, const json_t *args, int64_t now)
{
	const char *auth = json_str(args, "auth", "");
	int rc;

	c->r = r;
	c->args = args;
	c->now = now;
	c->start_ms = clock_monotonic_ms();
	c->until_ms = c->start_ms + (uint64_t)task_deadline_s(args) * 1000;
	rc = read_trust(c);
	if (rc != 0)
		return rc;
	if (strcmp(auth, "x509") == 0)
		return open_pair(c);
	if (strcmp(auth, "sas") == 0)
		return open_symmetric(c);
	return task_fail(r, TASK_BAD_TASK, E_USAGE,
	    "%s: attestation by a TPM needs the TPM Service, which is not there yet; use a symmetric key or X.509",
	    c->name);
}

void
cloud_close(struct cloud *c)
{
	key_free(c->key);
	keyd_handle_free(&c->handle);
	buf_free(&c->trust);
	buf_free(&c->resource);
	buf_free(&c->token);
}

/* --- one attempt --- */

static int64_t
time_there(const struct cloud *c)
{
	return c->now + (int64_t)((clock_monotonic_ms() - c->start_ms) / 1000) + c->skew_s;
}

/* The token stays as long as it is good for one more request. */
static int
make_token(struct cloud *c)
{
	int64_t now = time_there(c), until = now + SAS_LIFE_S;
	AUTO_BUF input = { 0 };
	AUTO_BUF signature = { 0 };
	struct err e = { 0 };

	if (c->handle.text == NULL || c->token_until > now + TOKEN_LEFT_S)
		return 0;
	sas_put_input(&input, buf_str(&c->resource), until);
	if (keyd_sign_hmac(&signature, keys_service(c->args), c->handle.text, bytes_of_buf(&input), &e) != 0)
		return keys_settle(c->r, &e);
	buf_reset(&c->token);
	buf_put_str(&c->token, "Authorization: ");
	sas_put_token(&c->token, buf_str(&c->resource), bytes_of_buf(&signature), until, c->policy);
	c->token_until = until;
	return 0;
}

static const char *
text_or_null(const json_t *args, const char *name)
{
	const char *text = json_str(args, name, "");

	return text[0] != 0 ? text : NULL;
}

static unsigned
attempt_ms(const struct cloud *c, uint64_t now_ms)
{
	int64_t s = json_int(c->args, "timeout_s", 0);
	uint64_t left = c->until_ms - now_ms, want = (uint64_t)(s > 0 ? s : TIMEOUT_S) * 1000;

	return (unsigned)(left < want ? left : want);
}

static void
record(struct task_result *r, const struct fetch_answer *a)
{
	r->http_status = a->status <= 999 ? a->status : 0;
	r->retry_after_s = a->retry_after_s < 0 ? -1 : a->retry_after_s;
	if (a->peer_date > 0)
		r->server_date = a->peer_date;
}

/* fetch sends nothing before the server is verified. */
static int
send_request(struct cloud *c, const struct cloud_request *q, struct cloud_reply *reply, uint64_t now_ms)
{
	const char *headers[5] = { "Accept: application/json" };
	AUTO_BUF url = { 0 };
	AUTO_BUF body = { 0 };
	struct fetch f = {
		.method = q->method,
		.headers = headers,
		.trust_pem = bytes_of_buf(&c->trust),
		.trust_also_system = json_flag(c->args, "trust_system", true),
		.unknown_ca_hint = "add that CA to trusted_certs in [provisioning]",
		.client_key = c->key,
		.client_cert_pem = c->key != NULL ? json_str(c->args, "chain", NULL) : NULL,
		.proxy = text_or_null(c->args, "proxy"),
		.no_proxy = text_or_null(c->args, "no_proxy"),
		.total_ms = attempt_ms(c, now_ms),
	};
	size_t n = 1;

	buf_printf(&url, "https://%s%s", c->host, q->path);
	f.url = buf_str(&url);
	if (q->body != NULL) {
		json_print(&body, q->body, false);
		f.body = bytes_of_buf(&body);
		headers[n++] = "Content-Type: application/json";
	}
	if (q->if_match)
		headers[n++] = "If-Match: *";
	if (c->token.n != 0)
		headers[n++] = buf_str(&c->token);
	return fetch_run(&f, &reply->a, &reply->why);
}

int
cloud_try(struct cloud *c, const struct cloud_request *q, struct cloud_reply *reply, bool *fatal)
{
	uint64_t now_ms = clock_monotonic_ms();
	int rc = make_token(c);

	cloud_reply_clear(reply);
	*fatal = rc != 0;
	if (rc != 0)
		return rc;
	if (now_ms >= c->until_ms) {
		reply->a.cause = FETCH_TIMEOUT;
		return err_set(&reply->why, E_UNAVAIL, "no answer in time");
	}
	rc = send_request(c, q, reply, now_ms);
	if (rc != 0)
		reply->a.status = 0; /* of half an answer */
	record(c->r, &reply->a);
	return rc;
}

void
cloud_reply_clear(struct cloud_reply *reply)
{
	bool repeated = reply->repeated;

	fetch_clear(&reply->a);
	*reply = (struct cloud_reply){ .repeated = repeated, .a.retry_after_s = -1 };
}

/* --- several --- */

static bool
is_busy(unsigned status)
{
	return status == 408 || status == 429 || status >= 500;
}

bool
cloud_hopeful(const struct cloud_reply *reply)
{
	switch (reply->a.cause) {
	case FETCH_OK:
		return is_busy(reply->a.status);
	case FETCH_RESOLVE:
	case FETCH_CONNECT:
	case FETCH_TIMEOUT:
	case FETCH_PROXY:
	case FETCH_TRUNCATED:
		return true;
	case FETCH_OTHER:
		return reply->why.code == E_UNAVAIL;
	case FETCH_SERVER_UNTRUSTED:
	case FETCH_CLIENT_REFUSED:
	case FETCH_TOOBIG:
		break;
	}
	return false;
}

bool
cloud_other_clock(struct cloud *c, const struct cloud_reply *reply)
{
	int64_t skew = reply->a.peer_date - (time_there(c) - c->skew_s);

	if (reply->a.status != 401 || c->handle.text == NULL || reply->a.peer_date == 0 || c->skew_s != 0 ||
	    (skew < CLOCKS_S && skew > -CLOCKS_S))
		return false;
	task_note(c->r, "the clock here is %lld seconds %s that of %s", (long long)(skew < 0 ? -skew : skew),
	    skew < 0 ? "ahead of" : "behind", c->host);
	if (skew > AHEAD_S)
		return false;
	c->skew_s = skew;
	c->token_until = 0;
	return true;
}

bool
cloud_wait(const struct cloud *c, int64_t retry_after_s, unsigned usual_ms)
{
	uint64_t ms = usual_ms - usual_ms / 3 + rnd_below(2 * (usual_ms / 3) + 1), until;

	if (retry_after_s > CLOUD_WAIT_MAX_S)
		return false;
	if (retry_after_s >= 0)
		ms = (uint64_t)retry_after_s * 1000 + rnd_below(LEAST_MS);
	until = clock_monotonic_ms() + (ms > LEAST_MS ? ms : LEAST_MS);
	if (until + ROOM_MS > c->until_ms)
		return false;
	for (uint64_t now = clock_monotonic_ms(); now < until; now = clock_monotonic_ms())
		(void)poll(NULL, 0, (int)(until - now));
	return true;
}

int
cloud_run(struct cloud *c, const struct cloud_request *q, struct cloud_reply *reply)
{
	int64_t left = json_int(c->args, "attempts", 1);
	unsigned pause_ms = FIRST_MS;
	bool fatal;

	for (;;) {
		int rc = cloud_try(c, q, reply, &fatal);

		if (fatal)
			return rc;
		if (rc == 0 && cloud_other_clock(c, reply))
			continue;
		if (rc == 0 && !is_busy(reply->a.status))
			return 0;
		if (--left <= 0 || !cloud_hopeful(reply) || !cloud_wait(c, reply->a.retry_after_s, pause_ms))
			return cloud_settle(c, reply);
		pause_ms = 2 * pause_ms < PAUSE_MS ? 2 * pause_ms : PAUSE_MS;
		reply->repeated = true;
	}
}

/* --- what came of it --- */

/* There is no answer. */
static enum task_outcome
outcome_of_cause(const struct cloud_reply *reply)
{
	bool connected = reply->a.tls_done;

	switch (reply->a.cause) {
	case FETCH_SERVER_UNTRUSTED:
		return TASK_UNTRUSTED;
	case FETCH_CLIENT_REFUSED:
		return TASK_REFUSED;
	case FETCH_TOOBIG:
		return TASK_BAD_ANSWER;
	case FETCH_OK:
	case FETCH_OTHER:
		if (connected && reply->why.code == E_FORMAT)
			return TASK_BAD_ANSWER;
		return reply->why.code == E_UNAVAIL || connected ? TASK_NO_SERVER : TASK_BAD_TASK;
	case FETCH_RESOLVE:
	case FETCH_CONNECT:
	case FETCH_TIMEOUT:
	case FETCH_PROXY:
	case FETCH_TRUNCATED:
		break;
	}
	return TASK_NO_SERVER;
}

static enum task_outcome
outcome_of_status(const struct cloud *c, unsigned status, const struct fault *f)
{
	if (f->network)
		return TASK_NO_SERVER;
	if (is_busy(status))
		return TASK_BUSY;
	if (status == 401 || status == 403)
		return f->disabled ? TASK_DISABLED : TASK_REFUSED;
	if (status == 404)
		return c->on_not_found;
	return status >= 400 ? TASK_FAILED : TASK_BAD_ANSWER;
}

/* What somebody can do about it; "" where time will. */
static const char *
remedy(const struct cloud *c, enum task_outcome o, unsigned status)
{
	if (o == TASK_REFUSED)
		return c->refused;
	if (o == TASK_DISABLED)
		return "; whoever runs the service has to enable it";
	return status == 404 ? c->not_found : "";
}

/* fetch's words begin with the server, mostly; so do ours. */
static int
settle_unanswered(struct cloud *c, const struct cloud_reply *reply)
{
	enum task_outcome o = outcome_of_cause(reply);
	const char *words = reply->why.msg;
	AUTO_BUF named = { 0 };

	buf_printf(&named, "server %s: ", c->host);
	if (strncmp(words, buf_str(&named), named.n) == 0)
		words += named.n;
	return task_fail(c->r, o, reply->why.code, "%s at %s: %s%s", c->name, c->host, words, remedy(c, o, 0));
}

int
cloud_settle(struct cloud *c, const struct cloud_reply *reply)
{
	unsigned status = reply->a.status;
	struct fault f;
	AUTO_BUF words = { 0 };
	enum task_outcome o;

	if (status == 0)
		return settle_unanswered(c, reply);
	fault_of_body(&f, reply->a.type, bytes_of_buf(&reply->a.body));
	fault_print(&words, &f);
	c->r->error_code = f.code;
	o = outcome_of_status(c, status, &f);
	if (status >= 300 && status < 400)
		return task_fail(c->r, o, E_POLICY,
		    "%s at %s: sends us elsewhere (%u): %.150s; it is not what was configured", c->name, c->host, status,
		    reply->a.location);
	return task_fail(c->r, o, E_POLICY, "%s at %s: answered %u%s%s", c->name, c->host, status, buf_str(&words),
	    remedy(c, o, status));
}

int
cloud_json(json_t **out, struct cloud *c, const struct cloud_reply *reply)
{
	const char *type = reply->a.type;
	struct err e = { 0 };

	if (type[0] != 0 && !media_is(type, "application/json"))
		return task_fail(c->r, TASK_BAD_ANSWER, E_FORMAT,
		    "%s at %s: answered with %.100s, not application/json", c->name, c->host, type);
	if (json_parse_within(out, bytes_of_buf(&reply->a.body), ANSWER_DEPTH, &e) == 0)
		return 0;
	return task_fail(c->r, TASK_BAD_ANSWER, E_FORMAT, "%s at %s: answer: %s", c->name, c->host, e.msg);
}
