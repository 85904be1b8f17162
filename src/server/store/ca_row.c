/* SPDX-License-Identifier: Apache-2.0 */
/* store/ca_row.c - our certification authorities */
#include "server/store/ca_row.h"

#define COLUMNS "id, coalesce(parent, 0), name, kind, key_id, key_type, der, spki_sha256, crl, crl_number, " \
	"crl_next, crl_url, aia_url, created_at"

void
ca_row_clear(struct ca_row *r)
{
	buf_free(&r->der);
	*r = (struct ca_row){ 0 };
}

static void
read_row(struct query *q, struct ca_row *r)
{
	ca_row_clear(r);
	r->id = query_i64(q, 0);
	r->parent = query_i64(q, 1);
	query_str(q, 2, r->name, sizeof(r->name));
	query_str(q, 3, r->kind, sizeof(r->kind));
	query_str(q, 4, r->key_id, sizeof(r->key_id));
	query_str(q, 5, r->key_type, sizeof(r->key_type));
	query_buf(q, 6, &r->der);
	query_hash(q, 7, r->spki_sha256);
	r->crl = query_i64(q, 8) != 0;
	r->crl_number = query_i64(q, 9);
	r->crl_next = query_i64(q, 10);
	query_str(q, 11, r->crl_url, sizeof(r->crl_url));
	query_str(q, 12, r->aia_url, sizeof(r->aia_url));
	r->created_at = query_i64(q, 13);
}

int
ca_row_insert(struct db *d, struct ca_row *r, struct err *e)
{
	int rc = db_run(d, e, "INSERT INTO ca(parent, name, kind, key_id, key_type, der, spki_sha256, crl, crl_number, "
	    "crl_next, crl_url, aia_url, created_at) VALUES(nullif(?,0),?,?,?,?,?,?,?,?,?,?,?,?)", "issssbbiiissi",
	    r->parent, r->name, r->kind, r->key_id, r->key_type, bytes_of_buf(&r->der),
	    (struct bytes){ r->spki_sha256, ROW_HASH_LEN }, (int64_t)r->crl, r->crl_number, r->crl_next,
	    r->crl_url, r->aia_url, r->created_at);

	if (rc == E_EXISTS)
		return err_set(e, E_EXISTS, "ca '%s': there is one of this name already", r->name);
	if (rc == 0)
		r->id = db_last_id(d);
	return rc;
}

int
ca_row_by_name(struct db *d, const char *name, struct ca_row *r, struct err *e)
{
	struct query q;
	int rc = query_open(&q, d, e, "SELECT " COLUMNS " FROM ca WHERE name = ?", "s", name);

	if (rc != 0)
		return rc;
	if ((rc = query_next(&q, e)) < 0)
		return rc;
	if (rc == 0)
		return err_set(e, E_NOTFOUND, "ca '%s': there is none; see 'estuary ca list'", name);
	read_row(&q, r);
	query_close(&q);
	return 0;
}

int
ca_row_each(struct db *d, int (*fn)(void *ctx, struct ca_row *r), void *ctx, struct err *e)
{
	struct ca_row r = { 0 };
	struct query q;
	int rc = query_open(&q, d, e, "SELECT " COLUMNS " FROM ca ORDER BY id", "");

	if (rc != 0)
		return rc;
	while ((rc = query_next(&q, e)) > 0) {
		read_row(&q, &r);
		if ((rc = fn(ctx, &r)) != 0)
			break;
	}
	query_close(&q);
	ca_row_clear(&r);
	return rc;
}

int
ca_row_count(struct db *d, struct ca_row *r, struct err *e)
{
	struct query q;
	int rc = query_open(&q, d, e, "SELECT count(*), count(revoked_at) FROM cert WHERE ca = ?", "i", r->id);

	if (rc != 0)
		return rc;
	if ((rc = query_next(&q, e)) > 0) {
		r->issued = query_i64(&q, 0);
		r->revoked = query_i64(&q, 1);
	}
	query_close(&q);
	return rc < 0 ? rc : 0;
}

int
ca_row_next_crl(struct db *d, int64_t id, int64_t *number, struct err *e)
{
	struct query q;
	int rc = db_run(d, e, "UPDATE ca SET crl_number = crl_number + 1, crl_next = 0 WHERE id = ?", "i", id);

	if (rc != 0 || (rc = query_open(&q, d, e, "SELECT crl_number FROM ca WHERE id = ?", "i", id)) != 0)
		return rc;
	if ((rc = query_next(&q, e)) > 0)
		*number = query_i64(&q, 0);
	query_close(&q);
	return rc < 0 ? rc : 0;
}

int
ca_row_set_crl_due(struct db *d, int64_t id, int64_t due, struct err *e)
{
	return db_run(d, e, "UPDATE ca SET crl_next = ? WHERE id = ?", "ii", due, id);
}
