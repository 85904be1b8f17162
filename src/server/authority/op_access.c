/* SPDX-License-Identifier: Apache-2.0 */
/* authority/op_access.c - the operator's verbs on credentials, outside anchors and operators */
#include <stdio.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/text.h"
#include "server/authority/authority.h"

#define PASSWORD_LEAST 6

static json_t *
credential_json(const struct credential_row *r)
{
	json_t *v = json_object();

	json_object_set_new(v, "id", json_integer(r->id));
	json_setf(v, "kind", "%s", r->kind);
	json_setf(v, "user", "%s", r->user);
	json_setf(v, "label", "%s", r->label);
	json_setf(v, "scope", "%s", r->scope);
	json_setf(v, "scope_value", "%s", r->scope_value);
	json_object_set_new(v, "active", json_boolean(r->active));
	json_setf(v, "state", "%s", credential_row_state(r, clock_now()));
	json_object_set_new(v, "uses_left", r->uses_left >= 0 ? json_integer(r->uses_left) : json_null());
	json_object_set_new(v, "created_at", json_integer(r->created_at));
	json_object_set_new(v, "expires_at", json_integer(r->expires_at));
	json_object_set_new(v, "used_at", json_integer(r->used_at));
	json_setf(v, "used_by", "%s", r->used_by);
	return v;
}

static int
check_label(struct work *w, const char *name, struct err *e)
{
	if (name[0] != 0 && fleet_label(w->a->fleet, name) == NULL)
		return err_set(e, E_NOTFOUND, "label '%.64s': there is none; see 'estuary label list'", name);
	return 0;
}

/* A text of the arguments, "" when there is none; cut off it would say something else. */
static int
take_text(const struct work *w, const char *name, char *out, size_t size, struct err *e)
{
	const char *text = op_arg(w, name, "");

	if (strlen(text) >= size)
		return err_set(e, E_USAGE, "credential: %s: longer than %zu octets", name, size - 1);
	text_copy(out, size, text);
	return 0;
}

/* What does not depend on the kind: scope, label, end, uses. */
static int
read_common(struct work *w, struct credential_row *r, struct err *e)
{
	const char *expires = op_arg(w, "expires", NULL), *label = op_arg(w, "label", "");
	int64_t life;
	int rc;

	if ((rc = take_text(w, "kind", r->kind, sizeof(r->kind), e)) != 0 ||
	    (rc = take_text(w, "label", r->label, sizeof(r->label), e)) != 0 ||
	    (rc = take_text(w, "scope", r->scope, sizeof(r->scope), e)) != 0 ||
	    (rc = take_text(w, "scope_value", r->scope_value, sizeof(r->scope_value), e)) != 0)
		return rc;
	r->active = json_flag(w->args, "active", false);
	r->created_at = clock_now();
	r->uses_left = strcmp(r->kind, "code") == 0 ? 1 : -1; /* -1: no end */
	if (json_object_get(w->args, "uses") != NULL && (r->uses_left = json_int(w->args, "uses", 0)) < 1)
		return err_set(e, E_USAGE, "credential: uses: expected a number above 0");
	if ((rc = scope_valid(scope_by_name(r->scope), r->scope_value, false, e)) != 0 ||
	    (rc = check_label(w, label, e)) != 0)
		return rc;
	if (expires != NULL) {
		if ((rc = clock_parse_duration(&life, expires, e)) != 0)
			return rc;
		if (life == 0)
			return err_set(e, E_USAGE, "credential: expires '%.40s': it would be over before it is told", expires);
		r->expires_at = r->created_at + life;
	}
	return 0;
}

/* The value that is shown once, and what the store keeps of it. */
static int
read_value(struct work *w, struct credential_row *r, char *value, size_t size, struct err *e)
{
	const char *given = op_arg(w, "secret", NULL), *user = op_arg(w, "user", "");
	bool password = strcmp(r->kind, "password") == 0, code = strcmp(r->kind, "code") == 0;

	if (!password && !code && strcmp(r->kind, "secret") != 0)
		return err_set(e, E_USAGE, "credential: kind '%.40s': expected code, password or secret", r->kind);
	if (password != (user[0] != 0))
		return err_set(e, E_USAGE, password ? "credential: a password needs a user" : "credential: only a password has a user");
	if (code && given != NULL)
		return err_set(e, E_USAGE, "credential: a code is made here, it cannot be given");
	if (given != NULL && (strlen(given) < PASSWORD_LEAST || strlen(given) >= size ||
	    !text_valid_utf8(bytes_of(given))))
		return err_set(e, E_USAGE, "credential: secret: expected %d to %zu characters of UTF-8 without controls",
		    PASSWORD_LEAST, size - 1);
	if (strlen(user) >= EST_USER_MAX || strchr(user, ':') != NULL || !text_valid_utf8(bytes_of(user)))
		return err_set(e, E_USAGE, "credential: user: expected up to %d characters without ':'", EST_USER_MAX - 1);
	(void)snprintf(r->user, sizeof(r->user), "%s", user);
	if (given == NULL)
		secret_make(value);
	else
		(void)snprintf(value, size, "%s", given);
	if (password)
		return secret_crypt(r->verifier, value, e);
	secret_hash(w->a->fleet->secret, r->kind, value, r->verifier);
	return 0;
}

/* A credential for one label alone that does not take its kind would let nobody in. */
static int
check_taken(const struct work *w, const struct credential_row *r, struct err *e)
{
	static const struct { const char *kind, *accept; unsigned way; } ways[] = {
		{ "code", "code", WAY_CODE }, { "password", "basic", WAY_BASIC }, { "secret", "secret", WAY_SECRET },
	};
	const struct label *l = r->label[0] != 0 ? fleet_label(w->a->fleet, r->label) : NULL;

	for (size_t i = 0; l != NULL && i < N_OF(ways); i++)
		if (strcmp(ways[i].kind, r->kind) == 0 && (l->rule.accept & ways[i].way) == 0)
			return err_set(e, E_USAGE, "credential: label '%s' takes no %ss: its accept has no %s; see 'estuary label set'",
			    l->name, r->kind, ways[i].accept);
	return 0;
}

static int
credential_add(struct work *w, json_t **result, struct err *e)
{
	struct credential_row r = { 0 };
	char value[EST_USER_MAX];
	int rc;

	if ((rc = read_common(w, &r, e)) != 0 || (rc = read_value(w, &r, value, sizeof(value), e)) != 0 ||
	    (rc = check_taken(w, &r, e)) != 0 || (rc = credential_row_insert(w->a->db, &r, e)) != 0)
		return rc;
	*result = credential_json(&r);
	json_setf(*result, "secret", "%s", value);
	return 0;
}

static int
add_credential(void *ctx, struct credential_row *r)
{
	return op_page_add(ctx, credential_json(r), r->id);
}

static int
credential_list(struct work *w, json_t **result, struct err *e)
{
	struct op_page p = op_page(w);
	int rc = credential_row_list(w->a->db, op_arg(w, "kind", ""), op_arg(w, "label", ""), p.after, p.limit,
	    add_credential, &p, e);

	*result = op_page_end(&p);
	return rc;
}

static int
credential_show(struct work *w, json_t **result, struct err *e)
{
	struct credential_row r;
	int rc = credential_row_by_id(w->a->db, json_int(w->args, "id", 0), &r, e);

	if (rc == 0)
		*result = credential_json(&r);
	return rc;
}

static int
credential_disable(struct work *w, json_t **result, struct err *e)
{
	int rc = credential_row_disable(w->a->db, json_int(w->args, "id", 0), e);

	return rc != 0 ? rc : credential_show(w, result, e);
}

static json_t *
anchor_json(const struct anchor_row *r, bool whole)
{
	json_t *v = json_object();
	struct bytes der = bytes_of_buf(&r->der);
	struct cert c;
	char text[NAME_TEXT_MAX], hex[2 * SHA256_LEN + 1];

	json_setf(v, "name", "%s", r->name);
	if (cert_parse(&c, der, NULL) == 0) {
		json_setf(v, "subject", "%s", c.subject_known ? name_text(&c.subject, text) : "(a name of unusual form)");
		text_hex(hex, (struct bytes){ c.sha256, SHA256_LEN });
		json_setf(v, "sha256", "%s", hex);
		json_object_set_new(v, "not_after", json_integer(c.not_after));
	}
	json_setf(v, "label", "%s", r->label);
	json_setf(v, "scope", "%s", r->scope);
	json_setf(v, "scope_value", "%s", r->scope_value);
	json_object_set_new(v, "active", json_boolean(r->active));
	if (whole)
		json_object_set_new(v, "pem", op_pem(&der, 1));
	return v;
}

/* Two anchors of one name and key: which of them a chain ends at is chance, so they must mean the same. */
struct rival {
	const struct anchor_row *r;
	const struct cert *cert;
};

static int
same_meaning(void *ctx, struct anchor_row *other)
{
	const struct rival *v = ctx;
	struct cert c;

	if (bytes_equal(bytes_of_buf(&other->der), v->cert->der))
		return 0; /* the very same: the store refuses it */
	if (cert_parse(&c, bytes_of_buf(&other->der), NULL) != 0 || !bytes_equal(c.subject_der, v->cert->subject_der) ||
	    !bytes_equal(c.spki, v->cert->spki))
		return 0;
	return strcmp(other->label, v->r->label) == 0 && strcmp(other->scope, v->r->scope) == 0 &&
	    strcmp(other->scope_value, v->r->scope_value) == 0 && other->active == v->r->active ? 0 : E_POLICY;
}

/* The one certificate in the text that was given: a CA's, and not one of ours. */
static int
read_anchor(struct work *w, struct anchor_row *r, struct err *e)
{
	const struct ca *ours;
	struct cert c;
	char what[PROTO_NAME_MAX + 16];
	int rc;

	(void)snprintf(what, sizeof(what), "trust '%s'", r->name);
	if ((rc = op_anchor_read(w, what, &r->der, &c, &ours, e)) != 0)
		return rc;
	if (ours != NULL)
		return err_set(e, E_POLICY, "%s: this is a CA of ours; labels take its certificates with accept=own", what);
	rc = anchor_row_each(w->a->db, same_meaning, &(struct rival){ r, &c }, e);
	if (rc == E_POLICY)
		return err_set(e, rc, "%s: a CA of the same name and key is there with another label or scope", what);
	return rc != 0 ? rc : op_anchor_beside_uploaded(w, what, &c, e);
}

static int
anchor_add(struct work *w, json_t **result, struct err *e)
{
	struct anchor_row r = { .created_at = clock_now(), .active = json_flag(w->args, "active", false) };
	const char *label = op_arg(w, "label", "");
	int rc;

	(void)snprintf(r.name, sizeof(r.name), "%s", op_arg(w, "name", ""));
	(void)snprintf(r.label, sizeof(r.label), "%s", label);
	(void)snprintf(r.scope, sizeof(r.scope), "%s", op_arg(w, "scope", "own-name"));
	(void)snprintf(r.scope_value, sizeof(r.scope_value), "%s", op_arg(w, "scope_value", ""));
	if (!text_valid_name(op_arg(w, "name", ""), PROTO_NAME_MAX - 1))
		return err_set(e, E_USAGE, "trust.add: name: expected up to %d characters of A-Z a-z 0-9 . _ -", PROTO_NAME_MAX - 1);
	rc = scope_valid(scope_by_name(r.scope), r.scope_value, true, e);
	if (rc == 0 && (rc = check_label(w, label, e)) == 0 && (rc = read_anchor(w, &r, e)) == 0 &&
	    (rc = anchor_row_insert(w->a->db, &r, e)) == 0)
		*result = anchor_json(&r, true);
	anchor_row_clear(&r);
	return rc;
}

static int
add_anchor(void *ctx, struct anchor_row *r)
{
	json_array_append_new(ctx, anchor_json(r, false));
	return 0;
}

static int
anchor_list(struct work *w, json_t **result, struct err *e)
{
	json_t *items = json_array();

	*result = op_items(items);
	return anchor_row_each(w->a->db, add_anchor, items, e);
}

static int
anchor_show(struct work *w, json_t **result, struct err *e)
{
	struct anchor_row r = { 0 };
	int rc = anchor_row_by_name(w->a->db, op_arg(w, "name", ""), &r, e);

	if (rc == 0)
		*result = anchor_json(&r, true);
	anchor_row_clear(&r);
	return rc;
}

static int
anchor_remove(struct work *w, json_t **result, struct err *e)
{
	(void)result;
	return anchor_row_remove(w->a->db, op_arg(w, "name", ""), e);
}

static int
operator_add(struct work *w, json_t **result, struct err *e)
{
	const char *name = op_arg(w, "name", "");
	char token[SECRET_TEXT_MAX], hash[65];
	int rc;

	if (!text_valid_name(name, PROTO_NAME_MAX - 1))
		return err_set(e, E_USAGE, "operator.add: name: expected up to %d characters of A-Z a-z 0-9 . _ -", PROTO_NAME_MAX - 1);
	secret_make(token);
	secret_hash(w->a->fleet->secret, "token", token, hash);
	if ((rc = operator_row_insert(w->a->db, name, hash, clock_now(), e)) != 0)
		return rc;
	*result = json_object();
	json_setf(*result, "name", "%s", name);
	json_setf(*result, "token", "%s", token);
	return 0;
}

/* A token is looked for in the store with each message: the operator's is worthless once this is committed. */
static int
operator_remove(struct work *w, json_t **result, struct err *e)
{
	(void)result;
	return operator_row_remove(w->a->db, op_arg(w, "name", ""), e);
}

static int
add_operator(void *ctx, struct operator_row *r)
{
	json_t *v = json_object();

	json_setf(v, "name", "%s", r->name);
	json_object_set_new(v, "created_at", json_integer(r->created_at));
	json_object_set_new(v, "last_used", json_integer(r->last_used));
	json_array_append_new(ctx, v);
	return 0;
}

static int
operator_list(struct work *w, json_t **result, struct err *e)
{
	json_t *items = json_array();

	*result = op_items(items);
	return operator_row_each(w->a->db, add_operator, items, e);
}

const struct verb op_access_verbs[] = {
	{ "credential.add", VERB_WRITE, "kind! label user secret scope! scope_value active expires uses", credential_add },
	{ "credential.list", VERB_READ, "kind label limit after", credential_list },
	{ "credential.show", VERB_READ, "id!", credential_show },
	{ "credential.disable", VERB_WRITE, "id!", credential_disable },
	{ "trust.add", VERB_WRITE, "name! pem! label scope scope_value active", anchor_add },
	{ "trust.list", VERB_READ, "", anchor_list },
	{ "trust.show", VERB_READ, "name!", anchor_show },
	{ "trust.remove", VERB_WRITE, "name!", anchor_remove },
	{ "operator.add", VERB_WRITE, "name!", operator_add },
	{ "operator.list", VERB_READ, "", operator_list },
	{ "operator.remove", VERB_WRITE, "name!", operator_remove },
	{ NULL, 0, NULL, NULL },
};
