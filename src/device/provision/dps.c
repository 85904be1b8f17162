/* SPDX-License-Identifier: Apache-2.0 */
/* provision/dps.c - the device's side of the provisioning service: register, and ask until it says where we belong */
#include <string.h>
#include <strings.h>

#include "core/base/text.h"
#include "device/provision/cloud.h"
#include "device/provision/fault.h"
#include "device/provision/sas.h"

#define VERSION  "?api-version=2021-06-01"
#define POLL_MS  3000 /* between two questions, where the service does not say */
#define ID_OCTETS 256 /* of an operation's ID */
#define PAYLOAD_MAX ((size_t)64 * 1024) /* of what a device is told; it is kept */

enum state { GO_ON, SETTLED };

struct dps {
	struct cloud c;
	const char *registration;
	struct buf base;             /* "/scope/registrations/id" */
	char operation[ID_OCTETS];
	bool again;                  /* it forgot our operation once already */
};

static int
dps_open(struct dps *d, struct task_result *r, const json_t *args, int64_t now)
{
	const char *scope = json_str(args, "scope", "");
	AUTO_BUF host = BUF_MAX(255);
	AUTO_BUF resource = { 0 };
	struct err e = { 0 };

	d->registration = json_str(args, "registration", "");
	if (sas_host_of(&host, json_str(args, "endpoint", ""), &e) != 0)
		return task_fail(r, TASK_BAD_TASK, E_USAGE, "global_endpoint: %s", e.msg);
	d->c = (struct cloud){
		.name = "DPS",
		.refused = "; is this the key or the certificate of the enrolment, and the ID scope the right one?",
		.not_found = "; is the ID scope right, and is there an enrolment for this device?",
		.on_not_found = TASK_FAILED,
		.policy = "registration",
	};
	text_copy(d->c.host, sizeof(d->c.host), buf_str(&host));
	buf_printf(&resource, "%s/registrations/%s", scope, d->registration);
	sas_put_resource(&d->c.resource, buf_str(&resource));
	buf_put_str(&d->base, "/");
	sas_put_segment(&d->base, scope);
	buf_put_str(&d->base, "/registrations/");
	sas_put_segment(&d->base, d->registration);
	return cloud_open(&d->c, r, args, now);
}

static void
dps_close(struct dps *d)
{
	cloud_close(&d->c);
	buf_free(&d->base);
}

static int
bad_answer(struct dps *d, const char *what)
{
	return task_fail(d->c.r, TASK_BAD_ANSWER, E_FORMAT, "DPS at %s: answer: %s", d->c.host, what);
}

/* --- what it says of the registration --- */

/* A name or ID in an answer that is fit to be used. */
static bool
is_id(const char *text, size_t size)
{
	return text[0] != 0 && strlen(text) < size && text_valid_utf8(bytes_of(text));
}

/* A word of its own that goes on to identityd; "" when it is none. */
static const char *
word_of(const json_t *state, const char *name)
{
	const char *text = json_str(state, name, "");

	return strlen(text) < 64 && text_valid_utf8(bytes_of(text)) ? text : "";
}

static bool
is_payload(const json_t *v)
{
	AUTO_BUF text = BUF_MAX(PAYLOAD_MAX);

	if (v != NULL)
		json_print(&text, v, false);
	return !text.over;
}

static int
take_assigned(struct dps *d, const json_t *state)
{
	const char *hub = json_str(state, "assignedHub", ""), *device = json_str(state, "deviceId", "");
	const char *whose = json_str(state, "registrationId", d->registration);
	json_t *payload = json_object_get(state, "payload"), *v = d->c.r->value;

	if (!is_id(device, ID_MAX))
		return bad_answer(d, "assigned, but to no deviceId that can be used");
	if (strlen(hub) > 255 || !sas_valid_host(hub))
		return bad_answer(d, "assigned, but assignedHub is no host name");
	if (strcasecmp(whose, d->registration) != 0)
		return bad_answer(d, "for another registration than ours");
	if (!is_payload(payload))
		return bad_answer(d, "assigned, with a payload of more than 64 KiB");
	json_setf(v, "hub", "%s", hub);
	json_setf(v, "device_id", "%s", device);
	json_setf(v, "status", "assigned");
	json_setf(v, "substatus", "%s", word_of(state, "substatus"));
	(void)json_object_set(v, "payload", payload != NULL ? payload : json_null());
	(void)task_fail(d->c.r, TASK_DONE, E_OK, "DPS at %s: device '%s' of hub %s", d->c.host, device, hub);
	return 0;
}

/* A code's first three digits are those of an HTTP status. */
static enum task_outcome
outcome_of_code(const struct fault *f)
{
	int64_t class = f->code / 1000;

	return class == 429 || (class >= 500 && class <= 599) ? TASK_BUSY : TASK_FAILED;
}

static void
take_failed(struct dps *d, const json_t *state, const char *status)
{
	bool disabled = strcmp(status, "disabled") == 0 || strcmp(status, "blocked") == 0;
	AUTO_BUF words = { 0 };
	struct fault f;

	fault_of_json(&f, state);
	fault_print(&words, &f);
	d->c.r->error_code = f.code;
	json_setf(d->c.r->value, "status", "%s", status);
	json_setf(d->c.r->value, "substatus", "%s", word_of(state, "substatus"));
	(void)task_fail(d->c.r, disabled ? TASK_DISABLED : outcome_of_code(&f), E_POLICY,
	    "DPS at %s: registration '%s' %s%s%s%s", d->c.host, d->registration, disabled ? "is " : "has ", status,
	    buf_str(&words),
	    disabled ? "; whoever runs the service has to enable its enrolment" : "");
}

/* status: assigned, assigning, unassigned (as much as: not yet), failed, disabled. */
static enum state
judge(struct dps *d, const json_t *answer, bool first)
{
	const json_t *state = json_object_get(answer, "registrationState");
	const char *status = json_str(answer, "status", first ? "assigning" : "");

	if (strcmp(status, "assigning") == 0 || strcmp(status, "unassigned") == 0)
		return GO_ON;
	if (strcmp(status, "assigned") == 0)
		(void)take_assigned(d, state);
	else if (strcmp(status, "failed") == 0 || strcmp(status, "disabled") == 0 || strcmp(status, "blocked") == 0)
		take_failed(d, state, status);
	else
		(void)bad_answer(d, "its status is none that is known");
	return SETTLED;
}

/* --- the conversation --- */

static enum state
take_operation(struct dps *d, const json_t *answer)
{
	const char *id = json_str(answer, "operationId", "");

	if (judge(d, answer, true) == SETTLED)
		return SETTLED;
	if (!is_id(id, sizeof(d->operation))) {
		(void)bad_answer(d, "no operationId that can be used");
		return SETTLED;
	}
	text_copy(d->operation, sizeof(d->operation), id);
	return GO_ON;
}

static enum state
register_device(struct dps *d, int64_t *retry_after_s)
{
	json_t *payload = json_object_get(d->c.args, "payload");
	struct cloud_reply reply = { 0 };
	AUTO_JSON body = json_object();
	AUTO_JSON answer = NULL;
	AUTO_BUF path = { 0 };
	struct cloud_request q = { .method = "PUT", .body = body };
	enum state s = SETTLED;

	json_setf(body, "registrationId", "%s", d->registration);
	if (payload != NULL && !json_is_null(payload))
		(void)json_object_set(body, "payload", payload);
	buf_printf(&path, "%s/register" VERSION, buf_str(&d->base));
	q.path = buf_str(&path);
	if (cloud_run(&d->c, &q, &reply) == 0) {
		if (reply.a.status != 202 && reply.a.status != 200)
			(void)cloud_settle(&d->c, &reply);
		else if (cloud_json(&answer, &d->c, &reply) == 0)
			s = take_operation(d, answer);
		*retry_after_s = reply.a.retry_after_s;
	}
	cloud_reply_clear(&reply);
	return s;
}

/* Still nothing, and no time left for another question. */
static enum state
give_up(struct dps *d, const struct cloud_reply *reply)
{
	if (reply->a.status == 0 && reply->why.code != E_OK)
		(void)cloud_settle(&d->c, reply);
	else if (reply->a.status >= 300)
		(void)cloud_settle(&d->c, reply);
	else
		(void)task_fail(d->c.r, TASK_BUSY, E_PENDING,
		    "DPS at %s: registration '%s' is still being assigned; it is asked again later", d->c.host,
		    d->registration);
	return SETTLED;
}

/* An answer to "where?". */
static enum state
judge_poll(struct dps *d, struct cloud_reply *reply)
{
	AUTO_JSON answer = NULL;

	if (reply->a.status == 200 || reply->a.status == 202)
		return cloud_json(&answer, &d->c, reply) == 0 ? judge(d, answer, false) : SETTLED;
	if (cloud_hopeful(reply) || cloud_other_clock(&d->c, reply))
		return GO_ON;
	if (reply->a.status == 404 && !d->again) {
		d->operation[0] = 0; /* forgotten, by a restart perhaps: once we ask anew */
		d->again = true;
		return GO_ON;
	}
	(void)cloud_settle(&d->c, reply);
	return SETTLED;
}

/* The same operation is asked for, whatever happens to a connection, until it is settled or forgotten. */
static enum state
poll_operation(struct dps *d, int64_t retry_after_s)
{
	struct cloud_reply reply = { .a.retry_after_s = retry_after_s };
	AUTO_BUF path = { 0 };
	struct cloud_request q = { .method = "GET" };
	enum state s = GO_ON;
	bool fatal;

	buf_printf(&path, "%s/operations/", buf_str(&d->base));
	sas_put_segment(&path, d->operation);
	buf_put_str(&path, VERSION);
	q.path = buf_str(&path);
	while (s == GO_ON && d->operation[0] != 0) {
		if (!cloud_wait(&d->c, reply.a.retry_after_s, POLL_MS))
			s = give_up(d, &reply);
		else if (cloud_try(&d->c, &q, &reply, &fatal) == 0)
			s = judge_poll(d, &reply);
		else if (fatal)
			s = SETTLED;
		else if (!cloud_hopeful(&reply)) {
			(void)cloud_settle(&d->c, &reply);
			s = SETTLED;
		}
	}
	cloud_reply_clear(&reply);
	return s;
}

void
dps_run(struct task_result *r, const json_t *args, int64_t now)
{
	struct dps d = { 0 };
	enum state s = dps_open(&d, r, args, now) == 0 ? GO_ON : SETTLED;

	while (s == GO_ON) {
		int64_t retry_after_s = -1;

		s = register_device(&d, &retry_after_s);
		if (s == GO_ON)
			s = poll_operation(&d, retry_after_s);
	}
	dps_close(&d);
}
