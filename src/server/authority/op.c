/* SPDX-License-Identifier: Apache-2.0 */
/* authority/op.c - the operator's messages: who asks, which verb, which arguments, what is recorded */
#include <stdio.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/mem.h"
#include "core/base/text.h"
#include "core/sys/log.h"
#include "server/authority/authority.h"

static const struct verb *const tables[] = {
	op_ca_verbs, op_policy_verbs, op_access_verbs, op_fleet_verbs, op_audit_verbs,
	op_provision_verbs, op_dps_ca_verbs, op_enrolment_verbs, op_registration_verbs,
};

static const struct verb *
find_verb(const char *name)
{
	for (size_t t = 0; t < N_OF(tables); t++)
		for (const struct verb *v = tables[t]; v->name != NULL; v++)
			if (strcmp(v->name, name) == 0)
				return v;
	return NULL;
}

static void
answer(struct work *w, unsigned status, const json_t *v)
{
	AUTO_BUF text = BUF_MAX(PIPE_MAX - 64);
	AUTO_BUF body = BUF_MAX(PIPE_MAX);

	json_print(&text, v, false);
	if (text.over) {
		buf_reset(&text);
		status = 413;
		buf_put_str(&text, "{\"ok\":false,\"error\":{\"code\":\"too-big\",\"message\":\"the answer is too long\","
		    "\"hint\":\"ask for fewer items with limit\"}}");
	}
	wire_put_u32(&body, status);
	wire_put_bytes(&body, bytes_of_buf(&text));
	authority_send(w->a, w->peer, PROTO_OP_ANSWER, w->id, bytes_of_buf(&body));
}

/* Has every front taken the snapshot that the verb led to? */
static bool
in_force(const struct work *w)
{
	const struct authority *a = w->a;

	for (size_t i = 0; i < N_OF(a->peers); i++)
		if (a->peers[i].serial != 0 && a->peers[i].role == ROLE_FRONT && a->peers[i].snapshot < w->snapshot)
			return false;
	return true;
}

void
op_settle(struct authority *a)
{
	uint64_t now = clock_monotonic_ms();
	struct work **at = &a->settling;

	while (*at != NULL) {
		struct work *w = *at;

		if (!in_force(w) && now < w->answer_at_ms) {
			at = &w->next;
			continue;
		}
		*at = w->next;
		answer(w, 200, w->result);
		work_free(w);
	}
}

void
op_done(struct work *w, json_t *result)
{
	struct authority *a = w->a;

	w->result = json_pack("{s:b, s:o}", "ok", 1, "result", result != NULL ? result : json_object());
	w->snapshot = w->verb->kind == VERB_READ ? 0 : a->snapshot;
	w->answer_at_ms = clock_monotonic_ms() + AUTHORITY_SETTLE_MS;
	w->next = a->settling;
	a->settling = w;
	authority_done(a);
	op_settle(a);
}

static void
answer_error(struct work *w, const struct err *e)
{
	const struct err_row *row = err_row(e->code);
	AUTO_JSON v = json_object();
	json_t *error = json_object();

	json_object_set_new(v, "ok", json_false());
	json_setf(error, "code", "%s", row->name);
	json_setf(error, "message", "%s", e->msg);
	json_setf(error, "hint", "%s", row->retry ? "the same command may succeed later" : "");
	json_object_set_new(v, "error", error);
	answer(w, (unsigned)row->http_status, v);
}

void
op_fail(struct work *w, const struct err *e)
{
	struct authority *a = w->a;

	answer_error(w, e);
	work_free(w);
	authority_done(a);
}

const char *
op_arg(const struct work *w, const char *name, const char *def)
{
	return json_str(w->args, name, def);
}

struct op_page
op_page(const struct work *w)
{
	struct op_page p = { .items = json_array(), .limit = json_int(w->args, "limit", 100) };
	uint64_t after;

	/* Both were judged when the message came. */
	if (!text_parse_u64(&after, op_arg(w, "after", "0"), INT64_MAX))
		after = 0;
	p.after = json_int(w->args, "after", (int64_t)after);
	return p;
}

int
op_page_add(struct op_page *p, json_t *item, int64_t id)
{
	json_array_append_new(p->items, item);
	p->last = id;
	p->n++;
	return 0;
}

json_t *
op_page_end(struct op_page *p)
{
	json_t *v = op_items(p->items);

	if (p->n == p->limit)
		json_setf(v, "next", "%lld", (long long)p->last);
	return v;
}

json_t *
op_items(json_t *items)
{
	json_t *v = json_object();

	json_object_set_new(v, "items", items);
	return v;
}

json_t *
op_pem(const struct bytes *der, size_t n)
{
	AUTO_BUF b = { 0 };

	for (size_t i = 0; i < n; i++)
		pem_encode(&b, der[i], "CERTIFICATE");
	return json_string(buf_str(&b));
}

json_t *
op_chain_pem(const struct ca *ca, struct bytes leaf)
{
	struct bytes chain[17];
	size_t n = 0;

	if (leaf.n != 0)
		chain[n++] = leaf;
	n += fleet_chain(ca, &chain[n], N_OF(chain) - n);
	return op_pem(chain, n);
}

/* Is `name` one of the words in the verb's list? */
static bool
takes_arg(const struct verb *v, const char *name)
{
	size_t n = strlen(name);

	for (const char *s = v->args; *s != 0;) {
		size_t word = strcspn(s, " "), bare = word != 0 && s[word - 1] == '!' ? word - 1 : word;

		if (bare == n && strncmp(s, name, n) == 0)
			return true;
		s += word + strspn(s + word, " ");
	}
	return false;
}

/* In settings of profiles, "ca" says whether and not which; whether a path length is one is judged where it is read. */
static const char *
profile_wants(const char *name, const json_t *value)
{
	if (strcmp(name, "ca") == 0)
		return json_is_boolean(value) ? NULL : "true or false";
	return json_is_integer(value) || json_is_string(value) ? NULL : "a number, or none";
}

#define PAGE_MOST 1000 /* items of one answer */

/* Where a list goes on is the `next` of its last answer, which is a number. */
static bool
is_next(const json_t *value)
{
	uint64_t n;

	if (json_is_string(value))
		return text_parse_u64(&n, json_string_value(value), INT64_MAX);
	return json_is_integer(value) && json_integer_value(value) >= 0;
}

/*
 * What an argument must be, whichever verb takes it; NULL: it is that.  The other settings of profiles and labels are
 * judged where they are read.
 */
static const char *
wanted(const struct work *w, const char *name, const json_t *value)
{
	static const char texts[] = " name kind parent cn key subject lifetime pem label user secret scope scope_value expires "
	    "state q device ca serial csr profile reason request_id outcome registration attestation ca2 key2 allocation webhook "
	    "reprovision cert cert2 ek device_id group status which ";
	static const char numbers[] = " id limit uses pathlen weight latency ", flags[] = " active crl verified edge show_keys ";
	char word[64];

	if (strncmp(w->verb->name, "profile.", 8) == 0 && (strcmp(name, "ca") == 0 || strcmp(name, "pathlen") == 0))
		return profile_wants(name, value);
	(void)snprintf(word, sizeof(word), " %.60s ", name);
	if (strstr(texts, word) != NULL && !json_is_string(value))
		return "a text";
	if (strstr(numbers, word) != NULL && !json_is_integer(value))
		return "a number";
	if (strstr(flags, word) != NULL && !json_is_boolean(value))
		return "true or false";
	if (strcmp(name, "limit") == 0 && (json_integer_value(value) < 1 || json_integer_value(value) > PAGE_MOST))
		return "a number from 1 to 1000";
	return strcmp(name, "after") == 0 && !is_next(value) ? "the next of the last answer" : NULL;
}

static int
check_type(const struct work *w, const char *name, const json_t *value, struct err *e)
{
	const char *want = wanted(w, name, value);

	return want == NULL ? 0 : err_set(e, E_USAGE, "%s: %s: expected %s", w->verb->name, name, want);
}

static int
check_args(const struct work *w, struct err *e)
{
	const char *name;
	json_t *value;
	int rc;

	json_object_foreach(w->args, name, value) {
		if (!takes_arg(w->verb, name))
			return err_set(e, E_USAGE, "%s: takes no argument '%.60s'; it takes: %s", w->verb->name, name, w->verb->args);
		if ((rc = check_type(w, name, value, e)) != 0)
			return rc;
	}
	for (const char *s = w->verb->args; *s != 0;) {
		size_t word = strcspn(s, " ");
		char text[64];

		if (word > 1 && word < sizeof(text) && s[word - 1] == '!') {
			(void)snprintf(text, sizeof(text), "%.*s", (int)word - 1, s);
			if (op_arg(w, text, "")[0] == 0 && !json_is_integer(json_object_get(w->args, text)))
				return err_set(e, E_USAGE, "%s: needs '%s'", w->verb->name, text);
		}
		s += word + strspn(s + word, " ");
	}
	return 0;
}

/* The local socket vouches for its uid; over the network a token says who it is. */
static int
find_actor(struct work *w, const json_t *message, struct err *e)
{
	const char *actor = json_str(message, "actor", ""), *token = json_str(message, "token", "");
	struct operator_row row;
	char hash[65];
	int rc;

	if (token[0] == 0) {
		if (strncmp(actor, "local:", 6) != 0)
			return err_set(e, E_AUTH, "operator: no token");
		(void)snprintf(w->actor, sizeof(w->actor), "%s", actor);
		return 0;
	}
	secret_hash(w->a->fleet->secret, "token", token, hash);
	if ((rc = operator_row_by_token(w->a->db, hash, clock_now(), &row, e)) != 0)
		return rc;
	(void)snprintf(w->actor, sizeof(w->actor), "operator %s", row.name);
	return 0;
}

static int
read_message(struct work *w, struct pipe_msg *m, struct err *e)
{
	struct wire in = wire_open(m->body);
	struct bytes text = wire_bytes(&in, PIPE_MAX), enrol = wire_bytes(&in, PIPE_MAX);
	AUTO_JSON message = NULL;
	int rc;

	if ((rc = wire_end(&in, "operator's message", e)) != 0 || (rc = json_parse(&message, text, e)) != 0)
		return rc;
	if ((w->verb = find_verb(json_str(message, "verb", ""))) == NULL)
		return err_set(e, E_NOTFOUND, "verb '%.60s': there is none; 'estuary help' lists them", json_str(message, "verb", ""));
	w->args = json_incref(json_object_get(message, "args"));
	if (w->args == NULL)
		w->args = json_object();
	if (!json_is_object(w->args))
		return err_set(e, E_FORMAT, "%s: args is no object", w->verb->name);
	if (enrol.n != 0) {
		buf_put_bytes(&w->body, enrol);
		if ((rc = proto_get_enrol(&w->q, bytes_of_buf(&w->body), e)) != 0)
			return rc;
	}
	if (w->a->fleet == NULL)
		return err_set(e, E_UNAVAIL, "the server is still starting");
	if ((rc = find_actor(w, message, e)) != 0)
		return rc;
	return check_args(w, e);
}

void
op_receive(struct authority *a, uint64_t peer, struct pipe_msg *m)
{
	struct work *w = work_new(a, peer, m->id);
	struct err e = { 0 };

	w->is_op = true;
	if (read_message(w, m, &e) != 0) {
		answer_error(w, &e);
		work_free(w);
		return;
	}
	authority_queue(a, w);
}

int
op_commit(struct work *w, const char *object, const char *text, struct err *e)
{
	struct authority *a = w->a;
	struct audit before = a->fleet->audit;
	struct audit_row r = { .time = clock_now(), .kind = "operator", .outcome = "ok" };
	int rc;

	(void)snprintf(r.reason, sizeof(r.reason), "%s", w->verb->name);
	(void)snprintf(r.actor, sizeof(r.actor), "%s", w->actor);
	if (strncmp(w->verb->name, "device.", 7) == 0 || strncmp(w->verb->name, "registration.", 13) == 0)
		(void)snprintf(r.device, sizeof(r.device), "%s", object);
	(void)snprintf(r.text, sizeof(r.text), "%s %s%s%s", w->verb->name, object, object[0] != 0 && text[0] != 0 ? ": " : "", text);
	if ((rc = audit_append(&a->fleet->audit, a->db, &r, e)) == 0)
		rc = db_commit(a->db, e);
	if (rc != 0) {
		db_rollback(a->db);
		a->fleet->audit = before;
		return rc;
	}
	authority_follow(a);
	log_event(L_NOTE, "operator", "actor=%s verb=%s object=%s", w->actor, w->verb->name, object);
	snapshot_send_all(a);
	return 0;
}

/* What a verb is about. */
static const char *
object_of(const struct work *w)
{
	return op_arg(w, "name", op_arg(w, "registration", ""));
}

/* What was asked for, "key=value key=value", without what is secret or long. */
static void
describe(const struct work *w, struct buf *out)
{
	static const char *const left_out[] = { "name", "secret", "pem", "csr", "key", "key2", "cert", "cert2", "ek", "payload" };
	const char *key;
	json_t *value;

	json_object_foreach(w->args, key, value) {
		bool skip = strcmp(key, "registration") == 0 && op_arg(w, "name", NULL) == NULL; /* the object */

		for (size_t i = 0; i < N_OF(left_out); i++)
			skip |= strcmp(key, left_out[i]) == 0;
		if (strncmp(key, "key", 3) == 0 && strcmp(op_arg(w, key, ""), "made") == 0)
			skip = false; /* no key, but that one was made */
		if (skip)
			continue;
		buf_printf(out, "%s%s=", out->n != 0 ? " " : "", key);
		if (json_is_string(value)) /* an address without its query, which often is a key */
			text_escape(out, bytes_slice(bytes_of(json_string_value(value)), 0,
			    strcmp(key, "webhook") == 0 ? strcspn(json_string_value(value), "?") : json_string_length(value)));
		else
			json_print(out, value, false);
	}
}

/* A WRITE verb: its changes, the record and the commit are one. */
static int
run_write(struct work *w, json_t **result, struct err *e)
{
	AUTO_BUF text = BUF_MAX(ROW_TEXT_MAX);
	int rc = db_begin(w->a->db, e);

	if (rc != 0)
		return rc;
	if ((rc = w->verb->fn(w, result, e)) != 0) {
		db_rollback(w->a->db);
		return rc;
	}
	describe(w, &text);
	return op_commit(w, object_of(w), buf_str(&text), e);
}

void
op_run(struct work *w)
{
	json_t *result = NULL;
	struct err e = { 0 };
	bool async = w->verb->kind == VERB_ASYNC;
	int rc = w->verb->kind == VERB_WRITE ? run_write(w, &result, &e) : w->verb->fn(w, &result, &e);

	if (rc == 0 && async)
		return; /* w may be over, and gone, already */
	if (rc == 0) {
		op_done(w, result);
		return;
	}
	json_decref(result);
	op_fail(w, &e);
}
