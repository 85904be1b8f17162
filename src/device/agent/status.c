/* SPDX-License-Identifier: Apache-2.0 */
/* agent/status.c - what the device holds, how fresh it is, and what went wrong last */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/file.h"
#include "core/base/text.h"
#include "core/cmd/table.h"
#include "device/agent/agent.h"
#include "device/agent/ask.h"
#include "device/service/place.h"

#define EXIT_ATTENTION 3 /* the services answer, and something needs a person */

static int
fail(struct cli *c, const struct err *e)
{
	return cli_fail(c, e, ask_hint(e));
}

/* The largest unit of which there are two says enough. */
const char *
agent_when(struct buf *out, int64_t at, int64_t now)
{
	static const struct {
		const char *name;
		int64_t s;
	} units[] = { { "days", 86400 }, { "hours", 3600 }, { "minutes", 60 }, { "seconds", 1 } };
	int64_t span = at > now ? at - now : now - at;
	char text[CLOCK_TEXT_MAX];
	size_t i = 0;

	while (i + 1 < N_OF(units) && span < 2 * units[i].s)
		i++;
	buf_printf(out, at > now ? "%s, in %" PRId64 " %s" : "%s, %" PRId64 " %s ago", clock_text(at, text),
	    span / units[i].s, units[i].name);
	return buf_str(out);
}

/* A line only when there is a time. */
static void
put_when(struct cli *c, const char *name, int64_t at, int64_t now)
{
	AUTO_BUF text = { 0 };

	if (at != 0)
		table_line(c, name, agent_when(&text, at, now));
}

/* An identity is made when the first certificate needs it: until then nothing is missing. */
static bool
is_waiting(const json_t *v)
{
	return strcmp(json_str(v, "source", ""), "est identity") == 0 && json_int(v, "generation", 0) == 0 &&
	    strcmp(json_str(v, "state", ""), "idle") == 0 && json_int(v, "tries", 0) == 0 &&
	    !json_flag(v, "preloaded", false);
}

/* One word on a certificate. */
static const char *
health_of(const json_t *v, int64_t now)
{
	int64_t from = json_int(v, "not_before", 0), to = json_int(v, "not_after", 0);

	if (json_object_get(v, "error") != NULL)
		return "unreadable";
	if (to == 0)
		return is_waiting(v) ? "waiting" : json_int(v, "tries", 0) > 0 ? "failing" : "missing";
	if (now >= to)
		return "expired";
	if (now < from)
		return "not-yet-valid";
	if (json_flag(v, "disabled", false))
		return "paused";
	if (json_int(v, "tries", 0) > 0)
		return "failing";
	return strcmp(json_str(v, "state", "idle"), "idle") == 0 ? "fresh" : "renewing";
}

static bool
is_well(const char *health)
{
	return strcmp(health, "fresh") == 0 || strcmp(health, "renewing") == 0 || strcmp(health, "waiting") == 0;
}

static void
put_error(struct cli *c, const json_t *v, int64_t now)
{
	const json_t *last = json_object_get(v, "last_error");
	const char *check = json_str(last, "check", "");
	int64_t tries = json_int(v, "tries", 0);
	AUTO_BUF line = { 0 };
	AUTO_BUF when = { 0 };

	if (!json_is_object(last))
		return;
	text_escape(&line, bytes_of(*check != 0 ? check : json_str(last, "outcome", "error")));
	buf_put_str(&line, ": ");
	text_escape(&line, bytes_of(json_str(last, "text", "?"))); /* a server's words, perhaps */
	table_line(c, "last error", buf_str(&line));
	(void)agent_when(&when, json_int(last, "time", 0), now);
	if (tries > 1)
		buf_printf(&when, ", %" PRId64 " in a row", tries);
	table_line(c, "", buf_str(&when));
	if (*json_str(last, "request_id", "") != 0)
		table_member(c, "request", last, "request_id", COL_TEXT);
}

static void
put_generation(struct cli *c, const json_t *v)
{
	int64_t n = json_int(v, "generation", 0);
	AUTO_BUF line = { 0 };

	if (n == 0)
		return;
	buf_printf(&line, "%" PRId64 ", %s", n,
	    json_flag(v, "proved", false) ? "taken by the server" : "not shown to the server yet");
	table_line(c, "generation", buf_str(&line));
}

static void
put_renewal(struct cli *c, const json_t *v, int64_t now)
{
	if (json_flag(v, "preloaded", false))
		table_line(c, "next renewal", "none: preloaded, whoever put it there replaces it");
	else if (json_flag(v, "disabled", false))
		table_line(c, "next renewal", "none: paused by an operator, until estuary-agent resume");
	else if (is_waiting(v))
		table_line(c, "enrolment", "when a certificate first needs this identity");
	else
		put_when(c, json_int(v, "tries", 0) > 0 ? "next try" : "next renewal", json_int(v, "next_renewal", 0), now);
}

static void
put_credential(struct cli *c, const json_t *v, int64_t now)
{
	const char *health = health_of(v, now);
	AUTO_BUF id = { 0 };

	fprintf(c->out, "%s  %s%s%s", table_text(&id, v, "id", COL_TEXT), table_colour(c, health), health, table_plain(c));
	table_life(c, json_int(v, "not_before", 0), json_int(v, "not_after", 0), now);
	fputc('\n', c->out);
	table_member(c, "source", v, "source", COL_TEXT);
	if (*json_str(v, "subject", "") != 0)
		table_member(c, "subject", v, "subject", COL_TEXT);
	table_member(c, "url", v, "url", COL_TEXT);
	put_generation(c, v);
	put_when(c, "valid until", json_int(v, "not_after", 0), now);
	put_renewal(c, v, now);
	if (!json_flag(v, "clock_trusted", true))
		table_line(c, "clock", "looks wrong: certificates and servers have shown a later time");
	put_error(c, v, now);
	fputc('\n', c->out);
}

/* The certificates that are no credential of certd's own. */
static json_t *
others_of(const json_t *status, int64_t now)
{
	json_t *out = json_array(), *v, *own;
	size_t i, k;

	json_array_foreach(json_object_get(status, "certificates"), i, v) {
		bool known = false;

		json_array_foreach(json_object_get(status, "credentials"), k, own)
			known = known || strcmp(json_str(own, "id", ""), json_str(v, "id", "-")) == 0;
		if (known)
			continue;
		v = json_copy(v);
		agent_name(v, "path");
		json_setf(v, "state", "%s", health_of(v, now));
		(void)json_array_append_new(out, v);
	}
	return out;
}

static void
put_all(struct cli *c, const json_t *status, int64_t now)
{
	static const struct column columns[] = {
		{ "CERTIFICATE", "id", COL_TEXT }, { "SUBJECT", "subject", COL_TEXT }, { "METHOD", "method", COL_TEXT },
		{ "STATE", "state", COL_STATE }, { "UNTIL", "not_after", COL_TIME }, { .title = NULL },
	};
	const json_t *credentials = json_object_get(status, "credentials"), *v;
	AUTO_BUF trouble = { 0 };
	AUTO_JSON others = others_of(status, now);
	size_t i;

	if (json_object_get(status, "identity") != NULL)
		status_identity_print(c, json_object_get(status, "identity"), now);
	json_array_foreach(credentials, i, v)
		put_credential(c, v, now);
	if (json_array_size(others) != 0)
		table_print(c, columns, others);
	else if (json_array_size(credentials) == 0)
		cli_say(c, "no certificates yet, and none is configured to be kept by this device");
	text_escape(&trouble, bytes_of(json_str(json_object_get(status, "configuration"), "last_error", "")));
	if (trouble.n != 0)
		cli_say(c, "the configuration was not taken, an older one is in force: %s", buf_str(&trouble));
}

int
status_print(struct cli *c, json_t *status, int64_t now)
{
	bool well = *json_str(json_object_get(status, "configuration"), "last_error", "") == 0;
	json_t *v;
	size_t i;

	json_array_foreach(json_object_get(status, "credentials"), i, v) {
		json_setf(v, "health", "%s", health_of(v, now));
		well = well && is_well(json_str(v, "health", ""));
	}
	if (json_object_get(status, "identity") != NULL)
		well = status_identity_judge(json_object_get(status, "identity"), now) && well;
	if (c->json) {
		(void)json_object_set_new(status, "healthy", json_boolean(well));
		cli_print_json(c, status);
	} else
		put_all(c, status, now);
	return well ? 0 : EXIT_ATTENTION;
}

/* Where no Identity Service listens there is nothing to say about one; nor to users who may not ask it. */
static void
add_identity(struct cli *c, json_t *status)
{
	json_t *identity = NULL;
	struct place p;
	struct err e;

	if (place_find(&p, "identityd", cli_text(c, "prefix"), &e) != 0 || access(p.socket, F_OK) != 0)
		return;
	if (ask(&identity, NULL, c, "identityd", "GET", "/status", NULL, &e) != 0) {
		if (e.code == E_AUTH)
			return;
		identity = json_object();
		json_setf(identity, "error", "%s", e.msg);
	}
	(void)json_object_set_new(status, "identity", identity);
}

static int
run_status(struct cli *c)
{
	AUTO_JSON status = NULL;
	struct err e;

	if (ask(&status, NULL, c, "certd", "GET", "/status", NULL, &e) != 0)
		return fail(c, &e);
	add_identity(c, status);
	return status_print(c, status, clock_now());
}

static int
run_metrics(struct cli *c)
{
	AUTO_BUF text = { 0 };
	const char *file = cli_text(c, "out");
	struct err e;

	if (ask(NULL, &text, c, "certd", "GET", "/metrics", NULL, &e) != 0)
		return fail(c, &e);
	if (file != NULL)
		return file_write(file, bytes_of_buf(&text), 0644, &e) != 0 ? fail(c, &e) : 0;
	fputs(buf_str(&text), c->out);
	return 0;
}

/* renew, pause and resume: one request each, told in one line. */
static int
steer(struct cli *c, const char *before, const char *done)
{
	AUTO_BUF path = { 0 };
	AUTO_JSON answer = NULL;
	struct err e;

	if (ask(&answer, NULL, c, "certd", "POST", ask_path(&path, before, cli_text(c, "id")), NULL, &e) != 0)
		return fail(c, &e);
	cli_say(c, "%s: %s", cli_text(c, "id"), done);
	agent_done(c, "id", cli_text(c, "id"));
	return 0;
}

static int
run_renew(struct cli *c)
{
	return steer(c, "/renew/", "its renewal has begun; estuary-agent status shows how it goes");
}

static int
run_pause(struct cli *c)
{
	return steer(c, "/disable/", "is not renewed until estuary-agent resume");
}

static int
run_resume(struct cli *c)
{
	return steer(c, "/enable/", "is renewed again");
}

#define CERT_ARG ARG("id", "CERT-ID", "The certificate's ID, as in the configuration")

const struct verb status_verbs[] = {
	{ .name = "status", .help = "Show every certificate, how fresh it is, and its last error", .run = run_status,
	  .text = "Whom the cloud takes this device for, where an Identity Service listens. For each certificate that the device "
	      "keeps by itself: where it comes from, how much of its life is over, "
	      "when it is renewed next, which generation it is, and what went wrong last, with the server's request id.\n\n"
	      "The exit status is 0 when all is well, 3 when something needs a person (missing, expired, failing, "
	      "paused, or a configuration that was not taken), and another one when the service does not answer.",
	  .opts = OPTS(AGENT_PREFIX_OPT), .example = "estuary-agent status\nestuary-agent status --json" },
	{ .name = "metrics", .help = "Print what status says as Prometheus text", .run = run_metrics, .no_json = true,
	  .text = "For a textfile collector, written atomically with --out; or scrape GET /metrics of certd's socket.",
	  .opts = OPTS(AGENT_PREFIX_OPT,
	      { .name = "out", .letter = 'o', .kind = OPT_TEXT, .arg = "FILE", .help = "Write there" }),
	  .example = "estuary-agent metrics --out /var/lib/prometheus/node-exporter/estuary.prom" },
	{ .name = "renew", .help = "Renew a certificate now", .run = run_renew, .pos = CERT_ARG,
	  .opts = OPTS(AGENT_PREFIX_OPT), .example = "estuary-agent renew est-id" },
	{ .name = "pause", .help = "Stop renewing a certificate; nothing else ever does", .run = run_pause, .pos = CERT_ARG,
	  .opts = OPTS(AGENT_PREFIX_OPT), .example = "estuary-agent pause est-id" },
	{ .name = "resume", .help = "Renew a paused certificate again", .run = run_resume, .pos = CERT_ARG,
	  .opts = OPTS(AGENT_PREFIX_OPT), .example = "estuary-agent resume est-id" },
	{ .name = NULL },
};
