/* SPDX-License-Identifier: Apache-2.0 */
/* store/credential_row.c - passwords, one-time codes, secret values; outside anchors; operators */
#include "server/store/credential_row.h"

#define COLUMNS "id, kind, label, user, verifier, scope, scope_value, active, disabled, uses_left, created_at, " \
	"expires_at, coalesce(used_at, 0), coalesce(used_by, '')"
#define ANCHOR_COLUMNS "id, name, label, scope, scope_value, active, created_at, der"

static void
read_credential(struct query *q, struct credential_row *r)
{
	*r = (struct credential_row){ .id = query_i64(q, 0), .active = query_i64(q, 7) != 0,
		.disabled = query_i64(q, 8) != 0, .uses_left = query_i64(q, 9), .created_at = query_i64(q, 10),
		.expires_at = query_i64(q, 11), .used_at = query_i64(q, 12) };
	query_str(q, 1, r->kind, sizeof(r->kind));
	query_str(q, 2, r->label, sizeof(r->label));
	query_str(q, 3, r->user, sizeof(r->user));
	query_str(q, 4, r->verifier, sizeof(r->verifier));
	query_str(q, 5, r->scope, sizeof(r->scope));
	query_str(q, 6, r->scope_value, sizeof(r->scope_value));
	query_str(q, 13, r->used_by, sizeof(r->used_by));
}

int
credential_row_insert(struct db *d, struct credential_row *r, struct err *e)
{
	int rc = db_run(d, e, "INSERT INTO credential(kind, label, user, verifier, scope, scope_value, active, uses_left, "
	    "disabled, created_at, expires_at) VALUES(?,?,?,?,?,?,?,?,0,?,?)", "ssssssiiii", r->kind, r->label, r->user,
	    r->verifier, r->scope, r->scope_value, (int64_t)r->active, r->uses_left, r->created_at, r->expires_at);

	if (rc == E_EXISTS)
		return err_set(e, E_EXISTS, "credential: %s is taken already", r->user[0] != 0 ? r->user : "this value");
	if (rc == 0)
		r->id = db_last_id(d);
	return rc;
}

static int
one_credential(struct query *q, struct credential_row *r, struct err *e)
{
	int rc = query_next(q, e);

	if (rc < 0)
		return rc;
	if (rc == 0)
		return err_set(e, E_NOTFOUND, "credential: there is none; see 'estuary credential list'");
	read_credential(q, r);
	query_close(q);
	return 0;
}

int
credential_row_by_id(struct db *d, int64_t id, struct credential_row *r, struct err *e)
{
	struct query q;
	int rc = query_open(&q, d, e, "SELECT " COLUMNS " FROM credential WHERE id = ?", "i", id);

	return rc != 0 ? rc : one_credential(&q, r, e);
}

int
credential_row_by_user(struct db *d, const char *user, struct credential_row *r, struct err *e)
{
	struct query q;
	int rc = query_open(&q, d, e, "SELECT " COLUMNS " FROM credential WHERE user = ? AND kind = 'password'", "s", user);

	return rc != 0 ? rc : one_credential(&q, r, e);
}

int
credential_row_by_verifier(struct db *d, const char *kind, const char *verifier, struct credential_row *r, struct err *e)
{
	struct query q;
	int rc = query_open(&q, d, e, "SELECT " COLUMNS " FROM credential WHERE verifier = ? AND kind = ? "
	    "AND kind <> 'password'", "ss", verifier, kind);

	return rc != 0 ? rc : one_credential(&q, r, e);
}

int
credential_row_use(struct db *d, int64_t id, const char *device, int64_t now, struct err *e)
{
	int rc = db_run(d, e, "UPDATE credential SET uses_left = CASE WHEN uses_left > 0 THEN uses_left - 1 ELSE uses_left END, "
	    "used_at = ?, used_by = ? WHERE id = ? AND uses_left <> 0", "isi", now, device, id);

	if (rc == 0 && db_changes(d) == 0)
		return err_set(e, E_EXISTS, "credential %d: no use is left", (int)id);
	return rc;
}

int
credential_row_disable(struct db *d, int64_t id, struct err *e)
{
	int rc = db_run(d, e, "UPDATE credential SET disabled = 1 WHERE id = ?", "i", id);

	if (rc == 0 && db_changes(d) == 0)
		return err_set(e, E_NOTFOUND, "credential %d: there is none; see 'estuary credential list'", (int)id);
	return rc;
}

int
credential_row_list(struct db *d, const char *kind, const char *label, int64_t after, int64_t limit,
    int (*fn)(void *ctx, struct credential_row *r), void *ctx, struct err *e)
{
	struct credential_row r;
	struct query q;
	int rc = query_open(&q, d, e, "SELECT " COLUMNS " FROM credential WHERE (?1 = '' OR kind = ?1) "
	    "AND (?2 = '' OR label = ?2) AND id > ?3 ORDER BY id LIMIT ?4", "ssii", kind != NULL ? kind : "",
	    label != NULL ? label : "", after, limit);

	if (rc != 0)
		return rc;
	while ((rc = query_next(&q, e)) > 0) {
		read_credential(&q, &r);
		if ((rc = fn(ctx, &r)) != 0)
			break;
	}
	query_close(&q);
	return rc;
}

const char *
credential_row_state(const struct credential_row *r, int64_t now)
{
	if (r->disabled)
		return "disabled";
	if (r->uses_left == 0)
		return "used";
	return r->expires_at != 0 && r->expires_at <= now ? "expired" : "live";
}

void
anchor_row_clear(struct anchor_row *r)
{
	buf_free(&r->der);
	*r = (struct anchor_row){ 0 };
}

static void
read_anchor(struct query *q, struct anchor_row *r)
{
	anchor_row_clear(r);
	r->id = query_i64(q, 0);
	query_str(q, 1, r->name, sizeof(r->name));
	query_str(q, 2, r->label, sizeof(r->label));
	query_str(q, 3, r->scope, sizeof(r->scope));
	query_str(q, 4, r->scope_value, sizeof(r->scope_value));
	r->active = query_i64(q, 5) != 0;
	r->created_at = query_i64(q, 6);
	query_buf(q, 7, &r->der);
}

int
anchor_row_insert(struct db *d, struct anchor_row *r, struct err *e)
{
	int rc = db_run(d, e, "INSERT INTO anchor(name, label, scope, scope_value, active, created_at, der) "
	    "VALUES(?,?,?,?,?,?,?)", "ssssiib", r->name, r->label, r->scope, r->scope_value, (int64_t)r->active,
	    r->created_at, bytes_of_buf(&r->der));

	if (rc == E_EXISTS)
		return err_set(e, E_EXISTS, "trust '%s': there is one of this name, or of this certificate, already", r->name);
	if (rc == 0)
		r->id = db_last_id(d);
	return rc;
}

static int
one_anchor(struct query *q, struct anchor_row *r, struct err *e)
{
	int rc = query_next(q, e);

	if (rc < 0)
		return rc;
	if (rc == 0)
		return err_set(e, E_NOTFOUND, "trust: there is none of this name; see 'estuary trust list'");
	read_anchor(q, r);
	query_close(q);
	return 0;
}

int
anchor_row_by_name(struct db *d, const char *name, struct anchor_row *r, struct err *e)
{
	struct query q;
	int rc = query_open(&q, d, e, "SELECT " ANCHOR_COLUMNS " FROM anchor WHERE name = ?", "s", name);

	return rc != 0 ? rc : one_anchor(&q, r, e);
}

int
anchor_row_by_id(struct db *d, int64_t id, struct anchor_row *r, struct err *e)
{
	struct query q;
	int rc = query_open(&q, d, e, "SELECT " ANCHOR_COLUMNS " FROM anchor WHERE id = ?", "i", id);

	return rc != 0 ? rc : one_anchor(&q, r, e);
}

int
anchor_row_remove(struct db *d, const char *name, struct err *e)
{
	int rc = db_run(d, e, "DELETE FROM anchor WHERE name = ?", "s", name);

	if (rc == 0 && db_changes(d) == 0)
		return err_set(e, E_NOTFOUND, "trust '%s': there is none; see 'estuary trust list'", name);
	return rc;
}

int
anchor_row_each(struct db *d, int (*fn)(void *ctx, struct anchor_row *r), void *ctx, struct err *e)
{
	struct anchor_row r = { 0 };
	struct query q;
	int rc = query_open(&q, d, e, "SELECT " ANCHOR_COLUMNS " FROM anchor ORDER BY id", "");

	if (rc != 0)
		return rc;
	while ((rc = query_next(&q, e)) > 0) {
		read_anchor(&q, &r);
		if ((rc = fn(ctx, &r)) != 0)
			break;
	}
	query_close(&q);
	anchor_row_clear(&r);
	return rc;
}

int
operator_row_insert(struct db *d, const char *name, const char *token_hash, int64_t now, struct err *e)
{
	int rc = db_run(d, e, "INSERT INTO operator(name, token, created_at) VALUES(?,?,?)", "ssi", name, token_hash, now);

	if (rc == E_EXISTS)
		return err_set(e, E_EXISTS, "operator '%s': there is one of this name already", name);
	return rc;
}

int
operator_row_by_token(struct db *d, const char *token_hash, int64_t now, struct operator_row *r, struct err *e)
{
	struct query q;
	int rc = query_open(&q, d, e, "UPDATE operator SET last_used = ? WHERE token = ? RETURNING id, name, created_at",
	    "is", now, token_hash);

	if (rc != 0)
		return rc;
	if ((rc = query_next(&q, e)) < 0)
		return rc;
	if (rc == 0)
		return err_set(e, E_AUTH, "operator token: not known; 'estuary operator add' makes one");
	*r = (struct operator_row){ .id = query_i64(&q, 0), .created_at = query_i64(&q, 2), .last_used = now };
	query_str(&q, 1, r->name, sizeof(r->name));
	query_close(&q);
	return 0;
}

int
operator_row_remove(struct db *d, const char *name, struct err *e)
{
	int rc = db_run(d, e, "DELETE FROM operator WHERE name = ?", "s", name);
	struct query q;

	if (rc == 0 && db_changes(d) == 0)
		return err_set(e, E_NOTFOUND, "operator '%s': there is none; see 'estuary operator list'", name);
	if (rc != 0 || (rc = query_open(&q, d, e, "SELECT 1 FROM operator LIMIT 1", "")) != 0)
		return rc;
	rc = query_next(&q, e);
	query_close(&q);
	if (rc == 0)
		return err_set(e, E_POLICY, "operator '%s': is the last one; 'estuary operator add' makes another first", name);
	return rc < 0 ? rc : 0;
}

int
operator_row_each(struct db *d, int (*fn)(void *ctx, struct operator_row *r), void *ctx, struct err *e)
{
	struct operator_row r;
	struct query q;
	int rc = query_open(&q, d, e, "SELECT id, name, created_at, coalesce(last_used, 0) FROM operator ORDER BY id", "");

	if (rc != 0)
		return rc;
	while ((rc = query_next(&q, e)) > 0) {
		r = (struct operator_row){ .id = query_i64(&q, 0), .created_at = query_i64(&q, 2), .last_used = query_i64(&q, 3) };
		query_str(&q, 1, r.name, sizeof(r.name));
		if ((rc = fn(ctx, &r)) != 0)
			break;
	}
	query_close(&q);
	return rc;
}
