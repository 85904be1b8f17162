/* SPDX-License-Identifier: Apache-2.0 */
/* provision/task.c - a task and its result as messages between identityd and its worker */
#include "device/provision/task.h"

#include <string.h>

#include "core/base/text.h"
#include "core/codec/wire.h"
#include "core/pki/name.h"

#define MESSAGE_MAX ((size_t)4 * 1024 * 1024) /* octets of the JSON in one; a thousand modules are far below */
#define PEM_MAX     ((size_t)256 * 1024)
#define HANDLE_MAX  ((size_t)64 * 1024)
#define NAMES_MAX   32
#define DEADLINE_MAX_S 3600

/* --- names --- */

static const char *const kind_names[TASK_KIND_COUNT] = {
	[TASK_DPS] = "dps",
	[TASK_MODULE_LIST] = "module-list",
	[TASK_MODULE_GET] = "module-get",
	[TASK_MODULE_CREATE] = "module-create",
	[TASK_MODULE_UPDATE] = "module-update",
	[TASK_MODULE_DELETE] = "module-delete",
	[TASK_KEY_HANDLE] = "key-handle",
	[TASK_MODULE_HANDLE] = "module-handle",
	[TASK_CERT_ISSUE] = "cert-issue",
	[TASK_CERT_GET] = "cert-get",
	[TASK_CERT_PUT] = "cert-put",
	[TASK_CERT_DELETE] = "cert-delete",
	[TASK_KEY_SWITCH] = "key-switch",
	[TASK_KEY_PROVE] = "key-prove",
	[TASK_KEY_DELETE] = "key-delete",
	[TASK_LOCAL_ID] = "local-id",
};

const char *
task_kind_name(enum task_kind k)
{
	return (unsigned)k < TASK_KIND_COUNT && kind_names[k] != NULL ? kind_names[k] : "?";
}

unsigned
task_deadline_s(const json_t *args)
{
	int64_t s = json_int(args, "deadline_s", 0);

	return s > 0 && s <= DEADLINE_MAX_S ? (unsigned)s : TASK_DEADLINE_S;
}

/* Busy servers, late clocks and services that are being restarted become better; what somebody decided does not. */
static const struct {
	const char *name;
	bool retry;
} outcomes[TASK_OUTCOME_COUNT] = {
	[TASK_DONE] = { "done", false },
	[TASK_NO_SERVER] = { "no-server", true },
	[TASK_BUSY] = { "busy", true },
	[TASK_UNTRUSTED] = { "untrusted", true },
	[TASK_REFUSED] = { "refused", false },
	[TASK_DISABLED] = { "disabled", false },
	[TASK_FAILED] = { "failed", false },
	[TASK_NOT_FOUND] = { "not-found", false },
	[TASK_BAD_ANSWER] = { "bad-answer", true },
	[TASK_KEY_FAILED] = { "key-failed", true },
	[TASK_CERT_FAILED] = { "cert-failed", true },
	[TASK_BAD_TASK] = { "bad-task", false },
	[TASK_DIED] = { "died", true },
};

const char *
task_outcome_name(enum task_outcome o)
{
	return (unsigned)o < TASK_OUTCOME_COUNT ? outcomes[o].name : "?";
}

bool
task_outcome_retry(enum task_outcome o)
{
	return (unsigned)o < TASK_OUTCOME_COUNT && outcomes[o].retry;
}

void
task_result_clear(struct task_result *r)
{
	json_decref(r->value);
	*r = (struct task_result){ .retry_after_s = -1 };
}

/* --- the table --- */

enum type {
	LINE,    /* text without control characters, up to `max` octets */
	ID,      /* the same, up to ID_MAX - 1 */
	TEXT,    /* with line ends: PEM */
	FLAG,
	NUMBER,  /* 0 to max */
	ANY,     /* any JSON, null for none */
	OBJECT,
	OBJECTS,
	LINES,   /* [text, ...] */
	SUBJECT, /* [[attribute, value], ...] */
};

#define K(kind) (1u << TASK_##kind)
#define MODULES (K(MODULE_LIST) | K(MODULE_GET) | K(MODULE_CREATE) | K(MODULE_UPDATE) | K(MODULE_DELETE))
#define CLOUD   (K(DPS) | MODULES)
#define DERIVE  (K(MODULE_CREATE) | K(MODULE_UPDATE) | K(MODULE_HANDLE))
#define CERTS   (K(CERT_ISSUE) | K(CERT_GET) | K(CERT_PUT) | K(CERT_DELETE) | K(LOCAL_ID))
#define KEYED   (K(KEY_HANDLE) | K(CERT_ISSUE) | K(KEY_SWITCH) | K(KEY_PROVE) | K(KEY_DELETE))
#define ALL     (((1u << TASK_KIND_COUNT) - 1) & ~1u)
#define RESULT  (1u << 31) /* of a result's value */

static const struct member {
	const char *name;
	enum type type;
	uint64_t max;
	uint32_t need, may; /* kinds; a needed text is not empty */
} members[] = {
	{ "keyd", LINE, PLACE_MAX - 1, ALL, 0 },
	{ "certd", LINE, PLACE_MAX - 1, CERTS, ALL },
	{ "deadline_s", NUMBER, DEADLINE_MAX_S, 0, ALL },
	{ "proxy", LINE, 1023, 0, ALL },
	{ "no_proxy", LINE, 1023, 0, ALL },
	{ "trust", TEXT, PEM_MAX, 0, ALL },
	{ "trust_ids", LINES, ID_MAX - 1, 0, ALL },
	{ "trust_system", FLAG, 0, 0, ALL },
	{ "attempts", NUMBER, 20, 0, ALL },
	{ "timeout_s", NUMBER, 3600, 0, ALL },
	/* cloud */
	{ "auth", LINE, 8, CLOUD, 0 },
	{ "chain", TEXT, PEM_MAX, 0, CLOUD },
	{ "key", ID, 0, KEYED, CLOUD },
	/* dps */
	{ "endpoint", LINE, 1023, K(DPS), 0 },
	{ "scope", LINE, 128, K(DPS), 0 },
	{ "registration", LINE, 128, K(DPS), 0 },
	{ "payload", ANY, 0, 0, K(DPS) | RESULT },
	/* modules */
	{ "hub", LINE, 255, MODULES, RESULT },
	{ "gateway", LINE, 255, 0, MODULES },
	{ "device", ID, 0, MODULES, 0 },
	{ "module", ID, 0, (MODULES & ~K(MODULE_LIST)) | K(MODULE_HANDLE), 0 },
	{ "managed_by", ID, 0, 0, MODULES },
	{ "master", ID, 0, DERIVE, 0 },
	{ "generation", LINE, 128, K(MODULE_HANDLE), MODULES },
	{ "uid", NUMBER, UINT32_MAX - 1, 0, DERIVE | K(KEY_HANDLE) },
	/* keys and certificates */
	{ "pair", FLAG, 0, 0, K(KEY_HANDLE) },
	{ "id", ID, 0, CERTS, 0 },
	{ "algorithms", LINE, 127, 0, K(CERT_ISSUE) },
	{ "fresh", FLAG, 0, 0, K(CERT_ISSUE) },
	{ "subject", SUBJECT, 0, K(CERT_ISSUE) | K(LOCAL_ID), 0 },
	{ "client_auth", FLAG, 0, 0, K(CERT_ISSUE) },
	{ "pem", TEXT, PEM_MAX, K(CERT_PUT), RESULT },
	{ "from", ID, 0, K(KEY_SWITCH), 0 },
	{ "spki", TEXT, 4096, K(KEY_SWITCH), RESULT },
	{ "server", FLAG, 0, 0, K(LOCAL_ID) },
	{ "dns", LINES, 253, 0, K(LOCAL_ID) },
	/* of results alone */
	{ "check", LINE, 31, 0, RESULT },
	{ "note", LINE, TASK_TEXT_MAX - 1, 0, RESULT },
	{ "device_id", ID, 0, 0, RESULT },
	{ "status", LINE, 63, 0, RESULT },
	{ "substatus", LINE, 63, 0, RESULT },
	{ "module", OBJECT, 0, 0, RESULT },
	{ "modules", OBJECTS, 0, 0, RESULT },
	{ "handle", TEXT, HANDLE_MAX, 0, RESULT },
	{ "key", TEXT, PEM_MAX, 0, RESULT },
	{ "not_after", NUMBER, INT64_MAX, 0, RESULT },
};

static bool
is_text(const json_t *v, uint64_t max, bool lines)
{
	struct bytes b = { 0 };

	if (!json_is_string(v))
		return false;
	b = (struct bytes){ (const uint8_t *)json_string_value(v), json_string_length(v) };
	return b.n <= max && memchr(b.n != 0 ? b.p : (const uint8_t *)"", 0, b.n) == NULL &&
	    (lines || text_valid_utf8(b));
}

static bool
is_list(const json_t *v, size_t max)
{
	return json_is_array(v) && json_array_size(v) <= max;
}

static bool
is_lines(const json_t *v, uint64_t max)
{
	const json_t *item;
	size_t i;

	json_array_foreach(v, i, item)
		if (!is_text(item, max, false))
			return false;
	return is_list(v, NAMES_MAX);
}

static bool
is_subject(const json_t *v)
{
	const json_t *item;
	size_t i;

	json_array_foreach(v, i, item)
		if (!is_list(item, 2) || json_array_size(item) != 2 || !is_text(json_array_get(item, 0), 63, false) ||
		    !is_text(json_array_get(item, 1), NAME_VALUE_MAX - 1, false))
			return false;
	return is_list(v, NAME_AVA_MAX) && json_array_size(v) != 0;
}

static bool
are_objects(const json_t *v)
{
	const json_t *item;
	size_t i;

	json_array_foreach(v, i, item)
		if (!json_is_object(item))
			return false;
	return json_is_array(v);
}

static bool
fits(const struct member *m, const json_t *v)
{
	switch (m->type) {
	case LINE:
		return is_text(v, m->max, false);
	case ID:
		return is_text(v, ID_MAX - 1, false);
	case TEXT:
		return is_text(v, m->max, true);
	case FLAG:
		return json_is_boolean(v);
	case NUMBER:
		return json_is_integer(v) && json_integer_value(v) >= 0 && (uint64_t)json_integer_value(v) <= m->max;
	case ANY:
		return true;
	case OBJECT:
		return json_is_object(v);
	case OBJECTS:
		return are_objects(v);
	case LINES:
		return is_lines(v, m->max);
	case SUBJECT:
		return is_subject(v);
	}
	return false;
}

/* Is there a row for a member of this name in such a message, and does the value fit it? */
static int
check_member(uint32_t bit, const char *name, const json_t *v, struct err *e)
{
	bool known = false;

	for (size_t i = 0; i < N_OF(members); i++) {
		if (((members[i].need | members[i].may) & bit) == 0 || strcmp(members[i].name, name) != 0)
			continue;
		if (fits(&members[i], v))
			return 0;
		known = true;
	}
	return err_set(e, E_FORMAT, "%.60s: %s", name,
	    known ? "not of the type or the size that it must have" : "unknown");
}

static int
check_members(uint32_t bit, json_t *o, struct err *e)
{
	const char *name;
	json_t *v;

	if (!json_is_object(o))
		return err_set(e, E_FORMAT, "no JSON object");
	json_object_foreach(o, name, v)
		if (check_member(bit, name, v, e) != 0)
			return E_FORMAT;
	for (size_t i = 0; i < N_OF(members); i++) {
		v = (members[i].need & bit) != 0 ? json_object_get(o, members[i].name) : NULL;
		if ((members[i].need & bit) != 0 && (v == NULL || (json_is_string(v) && json_string_length(v) == 0)))
			return err_set(e, E_FORMAT, "%s: missing", members[i].name);
	}
	return 0;
}

/* What depends on another member. */
static int
check_auth(enum task_kind k, const json_t *args, struct err *e)
{
	const char *auth = json_str(args, "auth", "");
	bool x509 = strcmp(auth, "x509") == 0, sas = strcmp(auth, "sas") == 0;

	if (((1u << k) & CLOUD) == 0)
		return 0;
	if (!x509 && !sas && strcmp(auth, "tpm") != 0)
		return err_set(e, E_FORMAT, "auth: x509, sas or tpm is meant");
	if ((x509 || sas) && json_str(args, "key", "")[0] == 0)
		return err_set(e, E_FORMAT, "key: missing");
	if (x509 && json_str(args, "chain", "")[0] == 0)
		return err_set(e, E_FORMAT, "chain: missing");
	return 0;
}

/* --- messages --- */

static void
put_json(struct buf *out, const json_t *v)
{
	AUTO_BUF text = { 0 };

	json_print(&text, v, false);
	wire_put_bytes(out, bytes_of_buf(&text));
}

void
task_encode(struct buf *out, enum task_kind k, const json_t *args)
{
	wire_put_u32(out, k);
	put_json(out, args);
}

int
task_decode(enum task_kind *k, json_t **args, struct bytes message, struct err *e)
{
	struct wire w = wire_open(message);
	uint32_t kind = wire_u32(&w);
	struct bytes text = wire_bytes(&w, MESSAGE_MAX);
	AUTO_JSON v = NULL;
	int r;

	w.bad = w.bad || kind == TASK_NONE || kind >= TASK_KIND_COUNT;
	r = wire_end(&w, "task", e);
	if (r != 0)
		return r;
	r = json_parse(&v, text, e);
	if (r == 0)
		r = check_members(1u << kind, v, e);
	if (r == 0)
		r = check_auth((enum task_kind)kind, v, e);
	if (r != 0)
		return err_prefix(e, E_FORMAT, "task %s", task_kind_name((enum task_kind)kind));
	*k = (enum task_kind)kind;
	*args = TAKE(v);
	return 0;
}

void
task_result_encode(struct buf *out, const struct task_result *r)
{
	wire_put_u32(out, r->outcome);
	wire_put_str(out, r->text);
	wire_put_u32(out, r->http_status);
	wire_put_i64(out, r->error_code);
	wire_put_i64(out, r->retry_after_s);
	wire_put_i64(out, r->server_date);
	put_json(out, r->value);
}

int
task_result_decode(struct task_result *out, struct bytes message, struct err *e)
{
	struct wire w = wire_open(message);
	struct task_result r = { 0 };
	struct bytes text;
	int rc;

	r.outcome = (enum task_outcome)wire_u32(&w);
	wire_str(&w, r.text, sizeof(r.text));
	r.http_status = wire_u32(&w);
	r.error_code = wire_i64(&w);
	r.retry_after_s = wire_i64(&w);
	r.server_date = wire_i64(&w);
	text = wire_bytes(&w, MESSAGE_MAX);
	w.bad = w.bad || (unsigned)r.outcome >= TASK_OUTCOME_COUNT || r.http_status > 999 || r.retry_after_s < -1 ||
	    r.server_date < 0;
	rc = wire_end(&w, "task result", e);
	if (rc == 0)
		rc = json_parse(&r.value, text, e);
	if (rc == 0)
		rc = check_members(RESULT, r.value, e);
	if (rc == 0)
		*out = r;
	else
		task_result_clear(&r);
	return rc;
}
