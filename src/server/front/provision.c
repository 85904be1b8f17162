/* SPDX-License-Identifier: Apache-2.0 */
/* front/provision.c - the provisioning service and the hub stand-in: paths, bodies, answers in the forms that clients know */
#include <stdio.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/mem.h"
#include "core/base/text.h"
#include "core/codec/base64.h"
#include "core/codec/json.h"
#include "core/codec/media.h"
#include "core/sys/log.h"
#include "server/front/front.h"
#include "server/proto/ask.h"

#define JSON_DEPTH   32
#define TPM_MAX      1024 /* octets of a TPM2B_PUBLIC */

/* --- paths --- */

/* Where a variable of a path goes. */
enum variable { SCOPE, REGISTRATION, OPERATION, DEVICE, MODULE, VARIABLES };

static const struct {
	const char *name;
	size_t offset, size;
} variables[VARIABLES] = {
#define FIELD(field) offsetof(struct proto_ask, field), sizeof(((struct proto_ask *)NULL)->field)
	[SCOPE] = { "{scope}", FIELD(scope) }, [REGISTRATION] = { "{registration}", FIELD(registration) },
	[OPERATION] = { "{operation}", FIELD(operation) },
	[DEVICE] = { "{device}", FIELD(device) }, [MODULE] = { "{module}", FIELD(module) },
#undef FIELD
};

static const struct route {
	const char *method, *path;
	enum ask_op op;
} routes[] = {
	{ "PUT", "/{scope}/registrations/{registration}/register", ASK_REGISTER },
	{ "GET", "/{scope}/registrations/{registration}/operations/{operation}", ASK_OPERATION },
	{ "POST", "/{scope}/registrations/{registration}", ASK_REGISTRATION },
	{ "GET", "/devices/{device}/modules", ASK_MODULE_LIST },
	{ "GET", "/devices/{device}/modules/{module}", ASK_MODULE_GET },
	{ "PUT", "/devices/{device}/modules/{module}", ASK_MODULE_CREATE }, /* or _UPDATE: see check_match() */
	{ "DELETE", "/devices/{device}/modules/{module}", ASK_MODULE_DELETE },
};

/* No scope: these begin other services' paths. */
static const char *const not_scopes[] = { ".well-known", "health", "crl", "aia", "devices" };

static bool
is_hub(enum ask_op op)
{
	return op >= ASK_MODULE_LIST;
}

/* One segment of a pattern against one of a path. */
static bool
match_segment(struct bytes pattern, struct bytes segment, struct bytes found[VARIABLES])
{
	if (segment.n == 0)
		return false;
	for (size_t i = 0; i < VARIABLES; i++)
		if (bytes_equal_str(pattern, variables[i].name)) {
			found[i] = segment;
			return true;
		}
	return bytes_equal(pattern, segment);
}

static bool
match(const char *pattern, const char *path, struct bytes found[VARIABLES])
{
	while (*pattern == '/' && *path == '/') {
		struct bytes p = bytes_slice(bytes_of(pattern), 1, strcspn(pattern + 1, "/"));
		struct bytes s = bytes_slice(bytes_of(path), 1, strcspn(path + 1, "/"));

		if (!match_segment(p, s, found))
			return false;
		pattern += 1 + p.n;
		path += 1 + s.n;
	}
	if (*pattern != 0 || *path != 0)
		return false;
	for (size_t i = 0; i < N_OF(not_scopes); i++)
		if (found[SCOPE].n != 0 && bytes_equal_str(found[SCOPE], not_scopes[i]))
			return false;
	return true;
}

/* --- answers: each service in its own words --- */

static void
answer(struct http_request *r, unsigned status, struct bytes body, uint32_t retry_after_s, const char *allow,
    bool close)
{
	char seconds[16];
	struct http_header_field fields[4] = { 0 };
	size_t n = 0;

	(void)snprintf(seconds, sizeof(seconds), "%u", retry_after_s);
	if (retry_after_s != 0)
		fields[n++] = (struct http_header_field){ "Retry-After", seconds };
	if (allow != NULL)
		fields[n++] = (struct http_header_field){ "Allow", allow };
	if (status == 401)
		fields[n++] = (struct http_header_field){ "WWW-Authenticate", "SharedAccessSignature" };
	http_answer(r, &(struct http_answer){ .status = status, .body = body, .fields = fields, .close = close,
	    .type = body.n != 0 ? "application/json; charset=utf-8" : NULL });
}

/* What is refused here has not reached the authority: the words are ours, the form is the service's. */
static void
refuse(struct http_request *r, bool hub, unsigned status, const char *text, const char *allow, bool close)
{
	AUTO_BUF body = BUF_MAX(2048);
	AUTO_JSON v = json_object();
	char when[CLOCK_TEXT_MAX];

	if (hub) {
		json_setf(v, "Message", "%s", text);
		json_setf(v, "ExceptionMessage", "%s", "");
		json_setf(v, "trackingId", "%s", http_id(r));
	} else {
		json_object_set_new(v, "errorCode", json_integer((json_int_t)status * 1000));
		json_setf(v, "trackingId", "%s", http_id(r));
		json_setf(v, "message", "%s", text);
		json_setf(v, "timestampUtc", "%s", clock_text(clock_now(), when));
	}
	json_print(&body, v, false);
	answer(r, status, bytes_of_buf(&body), status == 503 ? 2 : 0, allow, close);
}

static void
dps_unavailable(struct http_request *r, const char *why)
{
	refuse(r, false, 503, why, NULL, false);
}

static void
hub_unavailable(struct http_request *r, const char *why)
{
	refuse(r, true, 503, why, NULL, false);
}

static void
answered(struct waiting *w, struct bytes body)
{
	struct proto_asked v;
	struct err e = { 0 };

	if (proto_get_asked(&v, body, &e) != 0) {
		w->kind->unavailable(w->request, e.msg);
		return;
	}
	if (v.status >= 500 && v.body.n == 0) {
		w->kind->unavailable(w->request, "too many requests wait");
		return;
	}
	answer(w->request, v.status, v.body, v.retry_after_s, NULL, false);
}

static const struct waiting_kind dps_question = { PROTO_ASKED, answered, dps_unavailable };
static const struct waiting_kind hub_question = { PROTO_ASKED, answered, hub_unavailable };

/* --- what comes with a request --- */

/* What a question borrows until it is sent. */
struct parts {
	struct buf payload, ek, srk, der;
};

static void
parts_clear(struct parts *p)
{
	buf_free(&p->payload);
	buf_free(&p->ek);
	buf_free(&p->srk);
	buf_free(&p->der);
}

/* "YYYY-MM-DD" or that with "-preview". */
static bool
is_version(const char *s, size_t n)
{
	static const char form[] = "dddd-dd-dd", tail[] = "-preview";
	const size_t date = sizeof(form) - 1, whole = date + sizeof(tail) - 1;

	if (n != date && (n != whole || memcmp(s + date, tail, sizeof(tail) - 1) != 0))
		return false;
	for (size_t i = 0; i < date; i++)
		if (form[i] == 'd' ? s[i] < '0' || s[i] > '9' : s[i] != form[i])
			return false;
	return true;
}

/* The query names one version of the service's interface; what else it says is not ours to judge. */
static int
check_version(const char *query, struct err *e)
{
	static const char key[] = "api-version=";
	size_t found = 0;

	for (;;) {
		size_t n = strcspn(query, "&"), k = sizeof(key) - 1;

		if (n >= k && memcmp(query, key, k) == 0) {
			if (!is_version(query + k, n - k))
				return err_set(e, E_FORMAT, "api-version: expected YYYY-MM-DD or YYYY-MM-DD-preview");
			found++;
		}
		if (query[n] == 0)
			break;
		query += n + 1;
	}
	return found == 1 ? 0 : err_set(e, E_FORMAT, "api-version: %s", found == 0 ? "there is none in the query" : "more than one");
}

/* An optional text of clean UTF-8; null stands for none. */
static int
take_text(char *out, size_t size, const json_t *from, const char *key, struct err *e)
{
	const json_t *v = json_object_get(from, key);
	const char *text = json_string_value(v);
	size_t n = json_string_length(v);

	if (v == NULL || json_is_null(v))
		return 0;
	if (text == NULL || n == 0 || n >= size || !text_valid_utf8(bytes_of(text)))
		return err_set(e, E_FORMAT, "%s: expected a text of 1 to %zu octets", key, size - 1);
	text_copy(out, size, text);
	return 0;
}

/* Optional octets in base64 on one line; *out must be within its ceiling. */
static int
take_octets(struct buf *out, const json_t *from, const char *key, struct err *e)
{
	const json_t *v = json_object_get(from, key);
	const char *text = json_string_value(v);

	if (v == NULL || json_is_null(v))
		return 0;
	if (text == NULL || text[0] == 0 || strpbrk(text, " \t\r\n") != NULL ||
	    base64_decode(out, bytes_of(text), NULL) != 0)
		return err_set(e, E_FORMAT, "%s: expected base64 of at most %zu octets", key, out->max);
	return 0;
}

/* An optional object; null stands for none. */
static int
take_object(const json_t **out, const json_t *from, const char *key, struct err *e)
{
	const json_t *v = json_object_get(from, key);

	*out = NULL;
	if (v == NULL || json_is_null(v))
		return 0;
	if (!json_is_object(v))
		return err_set(e, E_FORMAT, "%s: expected an object", key);
	*out = v;
	return 0;
}

static int
take_tpm(struct proto_ask *q, struct parts *p, const json_t *from, struct err *e)
{
	const json_t *tpm;
	int rc;

	if ((rc = take_object(&tpm, from, "tpm", e)) != 0 || tpm == NULL)
		return rc;
	if ((rc = take_octets(&p->ek, tpm, "endorsementKey", e)) != 0 ||
	    (rc = take_octets(&p->srk, tpm, "storageRootKey", e)) != 0)
		return err_prefix(e, (enum err_code)rc, "tpm");
	if (p->ek.n == 0)
		return err_set(e, E_FORMAT, "tpm: endorsementKey: there is none");
	q->ek = bytes_of_buf(&p->ek);
	q->srk = bytes_of_buf(&p->srk);
	return 0;
}

static int
take_payload(struct proto_ask *q, struct parts *p, const json_t *from, struct err *e)
{
	const json_t *v = json_object_get(from, "payload");

	if (v == NULL || json_is_null(v))
		return 0;
	json_print(&p->payload, v, false);
	if (p->payload.over)
		return err_set(e, E_TOOBIG, "payload: more than %d octets", ASK_PAYLOAD_MAX);
	q->payload = bytes_of_buf(&p->payload);
	return 0;
}

/* Strangers cost no arithmetic, as at the EST endpoints. */
static int
take_csr(struct proto_ask *q, const struct http_request *r, struct parts *p, const json_t *from, struct err *e)
{
	const json_t *v = json_object_get(from, "csr");

	if (v == NULL || json_is_null(v))
		return 0;
	if (!json_is_string(v))
		return err_set(e, E_FORMAT, "csr: expected a text");
	q->has_csr = 1;
	if (q->q.has_cert || q->token.state == ASK_SAS_GIVEN) {
		q->q.csr_status = 0;
		judge_request(&q->q, r, bytes_of(json_string_value(v)), &p->der);
	}
	return 0;
}

static int
read_register(struct proto_ask *q, const struct http_request *r, struct parts *p, const json_t *body, struct err *e)
{
	int rc = take_text(q->body_registration, sizeof(q->body_registration), body, "registrationId", e);

	if (rc != 0 || (rc = take_payload(q, p, body, e)) != 0 || (rc = take_tpm(q, p, body, e)) != 0)
		return rc;
	return take_csr(q, r, p, body, e);
}

static int
read_registration(struct proto_ask *q, const struct http_request *r, struct parts *p, const json_t *body, struct err *e)
{
	(void)r;
	(void)p;
	return take_text(q->body_registration, sizeof(q->body_registration), body, "registrationId", e);
}

static int
take_key(struct proto_ask *q, size_t i, const json_t *from, const char *key, struct err *e)
{
	AUTO_BUF octets = BUF_MAX(sizeof(q->key[i]));
	int rc = take_octets(&octets, from, key, e);

	if (rc != 0 || octets.n == 0)
		return rc;
	memcpy(q->key[i], octets.p, octets.n);
	q->key_n[i] = (uint32_t)octets.n;
	return 0;
}

static int
take_authentication(struct proto_ask *q, const json_t *from, struct err *e)
{
	const json_t *authentication, *keys;
	int rc;

	if ((rc = take_object(&authentication, from, "authentication", e)) != 0 || authentication == NULL)
		return rc;
	if (strcmp(json_str(authentication, "type", "sas"), "sas") != 0)
		return err_set(e, E_FORMAT, "authentication: type: expected \"sas\"");
	if ((rc = take_object(&keys, authentication, "symmetricKey", e)) != 0 || keys == NULL)
		return rc;
	if ((rc = take_key(q, 0, keys, "primaryKey", e)) != 0 || (rc = take_key(q, 1, keys, "secondaryKey", e)) != 0)
		return rc;
	q->has_keys = q->key_n[0] != 0 || q->key_n[1] != 0;
	return 0;
}

static int
read_module(struct proto_ask *q, const struct http_request *r, struct parts *p, const json_t *body, struct err *e)
{
	char device[ASK_ID_MAX] = "", module[ASK_ID_MAX] = "";
	int rc;

	(void)r;
	(void)p;
	if ((rc = take_text(device, sizeof(device), body, "deviceId", e)) != 0 ||
	    (rc = take_text(module, sizeof(module), body, "moduleId", e)) != 0 ||
	    (rc = take_text(q->managed_by, sizeof(q->managed_by), body, "managedBy", e)) != 0)
		return rc;
	if ((device[0] != 0 && strcmp(device, q->device) != 0) || (module[0] != 0 && strcmp(module, q->module) != 0))
		return err_set(e, E_FORMAT, "deviceId and moduleId: not those of the path");
	return take_authentication(q, body, e);
}

/* What each call has for a body. */
static const struct form {
	int (*read)(struct proto_ask *q, const struct http_request *r, struct parts *p, const json_t *body,
	    struct err *e);
	bool may_miss;
} forms[ASK_OP_COUNT] = {
	[ASK_REGISTER] = { read_register, false },
	[ASK_REGISTRATION] = { read_registration, true },
	[ASK_MODULE_CREATE] = { read_module, true },
	[ASK_MODULE_UPDATE] = { read_module, false },
};

/* The status to refuse the body with; 0: it was read. */
static unsigned
read_body(struct proto_ask *q, const struct http_request *r, struct parts *p, struct err *e)
{
	const struct form *form = &forms[q->op];
	struct bytes body = http_body(r);
	const char *type = http_header(r, "Content-Type");
	AUTO_JSON v = NULL;
	int rc;

	if (body.n == 0 && (form->read == NULL || form->may_miss))
		return 0;
	if (form->read == NULL) {
		(void)err_set(e, E_FORMAT, "body: this call has none");
		return 400;
	}
	if (type == NULL || http_header_count(r, "Content-Type") != 1 || !media_is(type, "application/json")) {
		(void)err_set(e, E_FORMAT, "content-type: expected application/json");
		return 415;
	}
	if ((rc = json_parse_within(&v, body, JSON_DEPTH, e)) != 0)
		return 400;
	if (!json_is_object(v)) {
		(void)err_set(e, E_FORMAT, "body: expected an object");
		return 400;
	}
	rc = form->read(q, r, p, v, e);
	return rc == 0 ? 0 : rc == E_TOOBIG ? 413 : 400;
}

/* A change is of whatever is there, or it is none: there are no versions of a module to name. */
static unsigned
check_match(struct proto_ask *q, const struct http_request *r, struct err *e)
{
	size_t n = http_header_count(r, "If-Match");

	if (q->op != ASK_MODULE_CREATE && q->op != ASK_MODULE_DELETE)
		return 0;
	if (q->op == ASK_MODULE_CREATE && n == 0)
		return 0;
	if (n != 1 || strcmp(http_header(r, "If-Match"), "*") != 0) {
		(void)err_set(e, E_FORMAT, "if-match: expected *");
		return 412;
	}
	if (q->op == ASK_MODULE_CREATE)
		q->op = ASK_MODULE_UPDATE;
	return 0;
}

static unsigned
take_path(struct proto_ask *q, const struct bytes found[VARIABLES], struct err *e)
{
	for (size_t i = 0; i < VARIABLES; i++) {
		size_t most = variables[i].size - 1;

		if (found[i].n > most) {
			(void)err_set(e, E_TOOBIG, "path: %s: more than %zu octets", variables[i].name, most);
			return 400;
		}
		if (found[i].n != 0)
			memcpy((char *)q + variables[i].offset, found[i].p, found[i].n);
	}
	return 0;
}

/* Everything that was presented, as plain values; the status to refuse it with, or 0. */
static unsigned
fill(struct proto_ask *q, const struct http_request *r, const struct bytes found[VARIABLES], struct parts *p,
    struct err *e)
{
	unsigned status;

	judge_client(&q->q, r);
	q->q.op = EST_SIMPLEENROLL;
	judge_refuse(&q->q, 400, "request.not-read", "there is no request, or nobody vouches for it");
	ask_token_parse(&q->token, http_header(r, "Authorization"), http_header_count(r, "Authorization"));
	if ((status = take_path(q, found, e)) != 0)
		return status;
	if (check_version(http_query(r), e) != 0)
		return 400;
	if ((status = check_match(q, r, e)) != 0)
		return status;
	return read_body(q, r, p, e);
}

static void
serve(struct front *f, struct http_request *r, const struct route *route, const struct bytes found[VARIABLES])
{
	static struct proto_ask q; /* large, and one request at a time */
	bool hub = is_hub(route->op);
	const struct waiting_kind *kind = hub ? &hub_question : &dps_question;
	struct parts p = { .payload = BUF_MAX(ASK_PAYLOAD_MAX), .ek = BUF_MAX(TPM_MAX), .srk = BUF_MAX(TPM_MAX),
		.der = BUF_MAX(CSR_MAX) };
	AUTO_BUF body = BUF_MAX(PIPE_MAX);
	struct err e = { 0 };
	unsigned status;

	if (http_tls(r) == NULL || f->now == NULL || !http_tls(r)->judged) {
		refuse(r, hub, 503, "the server had only just started: connect again", NULL, true);
		return;
	}
	if (!waiting_room(f, r, kind))
		return;
	proto_clear_ask(&q);
	q.op = route->op;
	if ((status = fill(&q, r, found, &p, &e)) != 0) {
		refuse(r, hub, status, e.msg, NULL, false);
	} else {
		proto_put_ask(&body, &q);
		(void)waiting_ask(f, r, kind, PROTO_ASK, &body);
	}
	parts_clear(&p);
	mem_wipe(q.key, sizeof(q.key));
}

bool
provision_serve(struct front *f, struct http_request *r)
{
	char allow[64] = "";
	bool hub = false;

	for (size_t i = 0; i < N_OF(routes); i++) {
		struct bytes found[VARIABLES] = { 0 };
		size_t n = strlen(allow);

		if (!match(routes[i].path, http_path(r), found))
			continue;
		if (strcmp(routes[i].method, http_method(r)) == 0) {
			serve(f, r, &routes[i], found);
			return true;
		}
		hub = is_hub(routes[i].op);
		(void)snprintf(allow + n, sizeof(allow) - n, "%s%s", n != 0 ? ", " : "", routes[i].method);
	}
	if (allow[0] == 0)
		return false;
	refuse(r, hub, 405, "this resource takes another method", allow, false);
	return true;
}
