/* SPDX-License-Identifier: Apache-2.0 */
/* store/audit_row.c - the audit records, and operators' objects */
#include "server/store/audit_row.h"

#define SELECT "SELECT id, time, kind, outcome, reason, actor, device, label, request_id, serial, text, trace, " \
	"cert_sha256, prev, hash FROM audit "

typedef int (*audit_fn)(void *ctx, struct audit_row *r);

int
audit_row_insert(struct db *d, const struct audit_row *r, struct err *e)
{
	return db_run(d, e, "INSERT INTO audit(id, time, kind, outcome, reason, actor, device, label, request_id, serial, "
	    "text, trace, cert_sha256, prev, hash) VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)", "iissssssssssbbb", r->id, r->time,
	    r->kind, r->outcome, r->reason, r->actor, r->device, r->label, r->request_id, r->serial, r->text,
	    r->trace != NULL ? r->trace : "", (struct bytes){ r->has_cert ? r->cert_sha256 : NULL, ROW_HASH_LEN },
	    (struct bytes){ r->prev, ROW_HASH_LEN }, (struct bytes){ r->hash, ROW_HASH_LEN });
}

int
audit_row_last(struct db *d, int64_t *id, uint8_t hash[ROW_HASH_LEN], struct err *e)
{
	static const uint8_t none[ROW_HASH_LEN];
	struct query q;
	int rc = query_open(&q, d, e, "SELECT id, hash FROM audit ORDER BY id DESC LIMIT 1", "");

	*id = 0;
	for (size_t i = 0; i < ROW_HASH_LEN; i++)
		hash[i] = none[i];
	if (rc != 0)
		return rc;
	if ((rc = query_next(&q, e)) > 0) {
		*id = query_i64(&q, 0);
		query_hash(&q, 1, hash);
	}
	query_close(&q);
	return rc < 0 ? rc : 0;
}

/* Hand each row of an opened query to fn; the trace is valid during the call.  *seen counts them. */
static int
each_row(struct query *q, audit_fn fn, void *ctx, int64_t *seen, struct err *e)
{
	int rc;

	*seen = 0;
	while ((rc = query_next(q, e)) > 0) {
		AUTO_BUF trace = { 0 };
		AUTO_BUF digest = { 0 };
		struct audit_row r = { .id = query_i64(q, 0), .time = query_i64(q, 1) };

		query_str(q, 2, r.kind, sizeof(r.kind));
		query_str(q, 3, r.outcome, sizeof(r.outcome));
		query_str(q, 4, r.reason, sizeof(r.reason));
		query_str(q, 5, r.actor, sizeof(r.actor));
		query_str(q, 6, r.device, sizeof(r.device));
		query_str(q, 7, r.label, sizeof(r.label));
		query_str(q, 8, r.request_id, sizeof(r.request_id));
		query_str(q, 9, r.serial, sizeof(r.serial));
		query_str(q, 10, r.text, sizeof(r.text));
		query_buf(q, 11, &trace);
		r.trace = buf_str(&trace);
		query_buf(q, 12, &digest);
		r.has_cert = digest.n == ROW_HASH_LEN;
		query_hash(q, 12, r.cert_sha256);
		query_hash(q, 13, r.prev);
		query_hash(q, 14, r.hash);
		(*seen)++;
		if ((rc = fn(ctx, &r)) != 0)
			break;
	}
	query_close(q);
	return rc;
}

static int
one_row(struct query *q, audit_fn fn, void *ctx, struct err *e)
{
	int64_t seen;
	int rc = each_row(q, fn, ctx, &seen, e);

	if (rc == 0 && seen == 0)
		return err_set(e, E_NOTFOUND, "audit: no such record; see 'estuary audit list' "
		    "(what the front refuses by itself, such as a wrong path, is not recorded)");
	return rc;
}

int
audit_row_by_id(struct db *d, int64_t id, audit_fn fn, void *ctx, struct err *e)
{
	struct query q;
	int rc = query_open(&q, d, e, SELECT "WHERE id = ?", "i", id);

	return rc != 0 ? rc : one_row(&q, fn, ctx, e);
}

int
audit_row_by_request(struct db *d, const char *request_id, audit_fn fn, void *ctx, struct err *e)
{
	struct query q;
	int rc = query_open(&q, d, e, SELECT "WHERE request_id = ? ORDER BY id DESC LIMIT 1", "s", request_id);

	return rc != 0 ? rc : one_row(&q, fn, ctx, e);
}

int
audit_row_list(struct db *d, const char *device, const char *outcome, const char *kind, const char *request_id,
    int64_t after, int64_t limit, audit_fn fn, void *ctx, struct err *e)
{
	struct query q;
	int64_t seen;
	int rc = query_open(&q, d, e, SELECT "WHERE (?1 = '' OR device = ?1) AND (?2 = '' OR outcome = ?2) "
	    "AND (?3 = '' OR kind = ?3) AND (?4 = '' OR request_id = ?4) AND (?5 = 0 OR id < ?5) ORDER BY id DESC LIMIT ?6",
	    "ssssii", device != NULL ? device : "", outcome != NULL ? outcome : "", kind != NULL ? kind : "",
	    request_id != NULL ? request_id : "", after, limit);

	return rc != 0 ? rc : each_row(&q, fn, ctx, &seen, e);
}

int
audit_row_each(struct db *d, audit_fn fn, void *ctx, struct err *e)
{
	struct query q;
	int64_t seen;
	int rc = query_open(&q, d, e, SELECT "ORDER BY id", "");

	return rc != 0 ? rc : each_row(&q, fn, ctx, &seen, e);
}

int
object_row_put(struct db *d, const char *kind, const char *name, const char *text, struct err *e)
{
	return db_run(d, e, "INSERT INTO object(kind, name, text) VALUES(?,?,?) ON CONFLICT(kind, name) "
	    "DO UPDATE SET text = excluded.text", "sss", kind, name, text);
}

int
object_row_each(struct db *d, const char *kind, int (*fn)(void *ctx, const char *name, const char *text), void *ctx,
    struct err *e)
{
	char name[ROW_NAME_MAX];
	struct query q;
	int rc = query_open(&q, d, e, "SELECT name, text FROM object WHERE kind = ? ORDER BY name", "s", kind);

	if (rc != 0)
		return rc;
	while ((rc = query_next(&q, e)) > 0) {
		AUTO_BUF text = { 0 };

		query_str(&q, 0, name, sizeof(name));
		query_buf(&q, 1, &text);
		if ((rc = fn(ctx, name, buf_str(&text))) != 0)
			break;
	}
	query_close(&q);
	return rc;
}
