/* SPDX-License-Identifier: Apache-2.0 */
/* store/cert_row.c - every certificate that we ever issued */
#include "server/store/cert_row.h"

#include <inttypes.h>
#include <string.h>

/*
 * A certificate is superseded by the next one of its line (of its device at its label), from when that was issued:
 * nothing is written to the older row.
 */
#define NEXT(c) "SELECT min(id) FROM cert WHERE device = " c ".device AND label = " c ".label "\
	"AND line = " c ".line AND id > " c ".id"
#define IS_NEWEST(c) "(" NEXT(c) ") IS NULL"

#define COLUMNS(ca_name, parent_serial, der) "c.id, c.ca, c.device, coalesce(c.parent, 0), " ca_name ", d.name, d.state, c.serial, " \
	parent_serial ", c.sha256, c.spki_sha256, c.profile, c.label, c.subject, c.sans, c.not_before, " \
	"c.not_after, coalesce(n.id, 0), coalesce(n.issued_at, 0), c.authorised_by, c.request_id, " \
	"c.issued_at, coalesce(c.revoked_at, 0), coalesce(c.revoked_reason, 0), coalesce(c.proved_at, 0), c.line, " der " "
#define JOIN_DEVICE_AND_NEXT "JOIN device d ON d.id = c.device LEFT JOIN cert n ON n.id = (" NEXT("c") ") "
#define SELECT(der) "SELECT " COLUMNS("a.name", "coalesce(p.serial, '')", der) "FROM cert c JOIN ca a ON a.id = c.ca " \
	JOIN_DEVICE_AND_NEXT "LEFT JOIN cert p ON p.id = c.parent "

void
cert_row_clear(struct cert_row *r)
{
	buf_free(&r->der);
	*r = (struct cert_row){ 0 };
}

static void
read_row(struct query *q, struct cert_row *r)
{
	cert_row_clear(r);
	r->id = query_i64(q, 0);
	r->ca = query_i64(q, 1);
	r->device = query_i64(q, 2);
	r->parent = query_i64(q, 3);
	query_str(q, 4, r->ca_name, sizeof(r->ca_name));
	query_str(q, 5, r->device_name, sizeof(r->device_name));
	query_str(q, 6, r->device_state, sizeof(r->device_state));
	query_str(q, 7, r->serial, sizeof(r->serial));
	query_str(q, 8, r->parent_serial, sizeof(r->parent_serial));
	query_hash(q, 9, r->sha256);
	query_hash(q, 10, r->spki_sha256);
	query_str(q, 11, r->profile, sizeof(r->profile));
	query_str(q, 12, r->label, sizeof(r->label));
	query_str(q, 13, r->subject, sizeof(r->subject));
	query_str(q, 14, r->sans, sizeof(r->sans));
	r->not_before = query_i64(q, 15);
	r->not_after = query_i64(q, 16);
	r->superseded_by = query_i64(q, 17);
	r->superseded_at = query_i64(q, 18);
	query_str(q, 19, r->authorised_by, sizeof(r->authorised_by));
	query_str(q, 20, r->request_id, sizeof(r->request_id));
	r->issued_at = query_i64(q, 21);
	r->revoked_at = query_i64(q, 22);
	r->revoked_reason = (int)query_i64(q, 23);
	r->proved_at = query_i64(q, 24);
	r->line = query_i64(q, 25);
	query_buf(q, 26, &r->der);
}

/* The one row of an opened query, or E_NOTFOUND naming what. */
static int
only_row(struct query *q, struct cert_row *r, const char *what, struct err *e)
{
	int rc = query_next(q, e);

	if (rc < 0)
		return rc;
	if (rc == 0)
		return err_set(e, E_NOTFOUND, "certificate '%s': there is none; see 'estuary cert list'", what);
	read_row(q, r);
	query_close(q);
	return 0;
}

int
cert_row_insert(struct db *d, struct cert_row *r, struct err *e)
{
	int rc = db_run(d, e, "INSERT INTO cert(ca, serial, sha256, spki_sha256, device, profile, label, subject, sans, "
	    "not_before, not_after, parent, line, authorised_by, request_id, issued_at, der) "
	    "VALUES(?,?,?,?,?,?,?,?,?,?,?,nullif(?,0),CASE ? WHEN -1 THEN (SELECT coalesce(max(id), 0) + 1 FROM cert) "
	    "ELSE ?13 END,?,?,?,?)", "isbbissssiiiissib",
	    r->ca, r->serial, (struct bytes){ r->sha256, ROW_HASH_LEN },
	    (struct bytes){ r->spki_sha256, ROW_HASH_LEN }, r->device, r->profile, r->label, r->subject, r->sans,
	    r->not_before, r->not_after, r->parent, r->line, r->authorised_by, r->request_id, r->issued_at,
	    bytes_of_buf(&r->der));

	if (rc == 0)
		r->id = db_last_id(d);
	return rc;
}

int
cert_row_presented(struct db *d, const char *serial, const uint8_t sha256[ROW_HASH_LEN], struct cert_row *r, struct err *e)
{
	struct query q;
	int rc = query_open(&q, d, e, "SELECT " COLUMNS("''", "''", "c.der") "FROM cert c " JOIN_DEVICE_AND_NEXT
	    "WHERE c.serial = ? AND c.sha256 = ?", "sb", serial,
	    (struct bytes){ sha256, ROW_HASH_LEN });

	return rc != 0 ? rc : only_row(&q, r, serial, e);
}

int
cert_row_by_serial(struct db *d, const char *serial, struct cert_row *r, struct err *e)
{
	struct query q;
	int rc = query_open(&q, d, e, SELECT("c.der") "WHERE c.serial = ?", "s", serial);

	return rc != 0 ? rc : only_row(&q, r, serial, e);
}

int
cert_row_by_id(struct db *d, int64_t id, struct cert_row *r, struct err *e)
{
	struct query q;
	int rc = query_open(&q, d, e, SELECT("c.der") "WHERE c.id = ?", "i", id);

	return rc != 0 ? rc : only_row(&q, r, "by id", e);
}

int
cert_row_retry(struct db *d, const char *device, const char *label, const uint8_t spki_sha256[ROW_HASH_LEN],
    const char *authorised_by, int64_t since, struct cert_row *r, struct err *e)
{
	struct query q;
	/* The '+': by the key, of which there are few rows, never by the device and its label. */
	int rc = query_open(&q, d, e, SELECT("c.der") "WHERE c.spki_sha256 = ? AND +c.label = ? AND ? IN ('', c.authorised_by) "
	    "AND c.issued_at >= ? AND c.revoked_at IS NULL AND +d.name = ? ORDER BY c.id DESC LIMIT 1", "bssis",
	    (struct bytes){ spki_sha256, ROW_HASH_LEN }, label, authorised_by, since, device);

	return rc != 0 ? rc : only_row(&q, r, "of a retry", e);
}

int
cert_row_authorised(struct db *d, const char *device, const char *authorised_by, struct cert_row *r, struct err *e)
{
	struct query q;
	int rc = query_open(&q, d, e, SELECT("c.der") "WHERE d.name = ? AND c.authorised_by = ? ORDER BY c.id DESC LIMIT 1",
	    "ss", device, authorised_by);

	return rc != 0 ? rc : only_row(&q, r, "of an asker", e);
}

int
cert_row_key_owner(struct db *d, const uint8_t spki_sha256[ROW_HASH_LEN], const char *device, char *out,
    size_t size, struct err *e)
{
	struct query q;
	int rc = query_open(&q, d, e, "SELECT d.name FROM cert c JOIN device d ON d.id = c.device "
	    "WHERE c.spki_sha256 = ? AND d.name <> ? LIMIT 1", "bs", (struct bytes){ spki_sha256, ROW_HASH_LEN }, device);

	out[0] = 0;
	if (rc != 0)
		return rc;
	if ((rc = query_next(&q, e)) > 0)
		query_str(&q, 0, out, size);
	query_close(&q);
	return rc < 0 ? rc : 0;
}

/* Does an opened query have a row? */
static int
any_row(struct query *q, bool *yes, struct err *e)
{
	int rc = query_next(q, e);

	*yes = rc > 0;
	query_close(q);
	return rc < 0 ? rc : 0;
}

int
cert_row_key_known(struct db *d, const uint8_t spki_sha256[ROW_HASH_LEN], bool *known, struct err *e)
{
	struct query q;
	int rc = query_open(&q, d, e, "SELECT 1 FROM cert WHERE spki_sha256 = ? LIMIT 1", "b",
	    (struct bytes){ spki_sha256, ROW_HASH_LEN });

	return rc != 0 ? rc : any_row(&q, known, e);
}

int
cert_row_key_compromised(struct db *d, const uint8_t spki_sha256[ROW_HASH_LEN], bool *yes, struct err *e)
{
	struct query q;
	int rc = query_open(&q, d, e, "SELECT 1 FROM cert WHERE spki_sha256 = ? AND revoked_reason = 1 LIMIT 1", "b",
	    (struct bytes){ spki_sha256, ROW_HASH_LEN });

	return rc != 0 ? rc : any_row(&q, yes, e);
}

int
cert_row_live(struct db *d, int64_t device, const char *label, int64_t now, bool *live, struct err *e)
{
	struct query q;
	int rc = query_open(&q, d, e, "SELECT 1 FROM cert c WHERE device = ?1 AND (?2 IS NULL OR label = ?2) "
	    "AND revoked_at IS NULL AND not_after > ?3 AND " IS_NEWEST("c") " LIMIT 1", "isi", device, label, now);

	return rc != 0 ? rc : any_row(&q, live, e);
}

int
cert_row_descends(struct db *d, int64_t device, int64_t parent, int64_t now, bool *yes, struct err *e)
{
	struct query q;
	bool by_others;
	int rc = query_open(&q, d, e, "SELECT 1 FROM cert c LEFT JOIN cert p ON p.id = c.parent WHERE c.device = ? "
	    "AND c.revoked_at IS NULL AND c.not_after > ? AND coalesce(p.device, 0) <> ? AND " IS_NEWEST("c") " LIMIT 1",
	    "iii", device, now, parent);

	if (rc != 0 || (rc = any_row(&q, &by_others, e)) != 0)
		return rc;
	*yes = !by_others;
	return 0;
}

int
cert_row_goes_back(struct db *d, int64_t device, int64_t id, const char *authorised_by, int64_t now, bool *yes, struct err *e)
{
	struct query q;
	int rc = query_open(&q, d, e, "WITH RECURSIVE up(parent, asker) AS ("
	    "SELECT c.parent, c.authorised_by FROM cert c WHERE c.device = ?1 AND (c.id = ?2 OR (?2 = 0 "
	    "AND c.revoked_at IS NULL AND c.not_after > ?3 AND " IS_NEWEST("c") ")) UNION ALL "
	    "SELECT p.parent, p.authorised_by FROM up JOIN cert p ON p.id = up.parent WHERE up.asker <> ?4 AND p.device = ?1) "
	    "SELECT 1 FROM up WHERE asker = ?4 LIMIT 1", "iiis", device, id, now, authorised_by);

	return rc != 0 ? rc : any_row(&q, yes, e);
}

int
cert_row_reenrolled(struct db *d, int64_t device, int64_t id, bool *yes, struct err *e)
{
	struct query q;
	int rc = query_open(&q, d, e, "SELECT 1 FROM cert c JOIN audit a ON a.request_id = c.request_id "
	    "WHERE c.device = ? AND c.parent = ? AND +a.kind = 'reenrol' LIMIT 1", "ii", device, id);

	return rc != 0 ? rc : any_row(&q, yes, e);
}

int
cert_row_prove(struct db *d, int64_t id, int64_t now, struct err *e)
{
	return db_run(d, e, "UPDATE cert SET proved_at = ? WHERE id = ? AND proved_at IS NULL", "ii", now, id);
}

int
cert_row_revoke(struct db *d, int64_t id, int64_t now, int reason, struct err *e)
{
	int rc = db_run(d, e, "UPDATE cert SET revoked_at = coalesce(revoked_at, ?1), revoked_reason = ?2 WHERE id = ?3 "
	    "AND (revoked_at IS NULL OR (?2 = 1 AND revoked_reason <> 1))", "iii", now, (int64_t)reason, id);

	if (rc == 0 && db_changes(d) == 0)
		return err_set(e, E_EXISTS, "certificate: revoked already");
	return rc;
}

int
cert_row_revoke_key(struct db *d, const uint8_t spki_sha256[ROW_HASH_LEN], int64_t now, struct err *e)
{
	return db_run(d, e, "UPDATE cert SET revoked_at = ?, revoked_reason = 1 WHERE spki_sha256 = ? AND revoked_at IS NULL", "ib",
	    now, (struct bytes){ spki_sha256, ROW_HASH_LEN });
}

int
cert_row_list(struct db *d, const char *device, const char *ca, const char *state, int64_t now, int64_t after,
    int64_t limit, int (*fn)(void *ctx, struct cert_row *r), void *ctx, struct err *e)
{
	struct cert_row r = { 0 };
	struct query q;
	int rc = query_open(&q, d, e, SELECT("NULL") "WHERE (?1 = '' OR d.name = ?1) AND (?2 = '' OR a.name = ?2) "
	    "AND (?5 = 0 OR c.id < ?5) AND (?3 = '' OR ?3 = CASE WHEN c.revoked_at IS NOT NULL THEN 'revoked' "
	    "WHEN c.not_after < ?4 THEN 'expired' WHEN n.id IS NOT NULL THEN 'superseded' ELSE 'active' END) "
	    "ORDER BY c.id DESC LIMIT ?6", "sssiii", device != NULL ? device : "", ca != NULL ? ca : "",
	    state != NULL ? state : "", now, after, limit);

	if (rc != 0)
		return rc;
	while ((rc = query_next(&q, e)) > 0) {
		read_row(&q, &r);
		if ((rc = fn(ctx, &r)) != 0)
			break;
	}
	query_close(&q);
	cert_row_clear(&r);
	return rc;
}

int
cert_row_revoked(struct db *d, int64_t ca, int64_t now,
    int (*fn)(void *ctx, const char *serial, int64_t revoked_at, int reason), void *ctx, struct err *e)
{
	char serial[48];
	struct query q;
	int rc = query_open(&q, d, e, "SELECT serial, revoked_at, revoked_reason FROM cert WHERE ca = ? "
	    "AND revoked_at IS NOT NULL AND not_after > ? ORDER BY id", "ii", ca, now - 86400);

	if (rc != 0)
		return rc;
	while ((rc = query_next(&q, e)) > 0) {
		query_str(&q, 0, serial, sizeof(serial));
		if ((rc = fn(ctx, serial, query_i64(&q, 1), (int)query_i64(&q, 2))) != 0)
			break;
	}
	query_close(&q);
	return rc;
}

const char *
cert_row_state(const struct cert_row *r, int64_t now)
{
	if (r->revoked_at != 0)
		return "revoked";
	if (r->not_after < now)
		return "expired";
	return r->superseded_by != 0 ? "superseded" : "active";
}

#define CANDIDATES_MAX 1000 /* that are counted */

/* How many serials begin with these digits, and the first of them: a range of the index, never a scan. */
static int
candidates(struct db *d, const char *digits, char first[48], int64_t *n, struct err *e)
{
	struct query q;
	int rc = query_open(&q, d, e, "SELECT coalesce(min(serial), ''), count(*) FROM (SELECT serial FROM cert "
	    "WHERE serial >= ?1 AND serial < ?1 || 'g' ORDER BY serial LIMIT ?2)", "si", digits, (int64_t)CANDIDATES_MAX);

	if (rc != 0)
		return rc;
	if ((rc = query_next(&q, e)) <= 0)
		return rc < 0 ? rc : err_set(e, E_IO, "store: a count has no row");
	query_str(&q, 0, first, 48);
	*n = query_i64(&q, 1);
	query_close(&q);
	return 0;
}

int
cert_row_by_prefix(struct db *d, const char *digits, struct cert_row *r, struct err *e)
{
	char first[48];
	int64_t n;
	int rc;

	if (strlen(digits) < CERT_PREFIX_LEAST)
		return err_set(e, E_NOTFOUND, "certificate '%s': there is none; a serial number, or its first %d digits or more, "
		    "name one; see 'estuary cert list'", digits, CERT_PREFIX_LEAST);
	if ((rc = candidates(d, digits, first, &n, e)) != 0)
		return rc;
	if (n > 1 && strcmp(first, digits) != 0)
		return err_set(e, E_USAGE, "certificate '%s': %s%" PRId64 " serial numbers begin so; give more of its digits",
		    digits, n == CANDIDATES_MAX ? "at least " : "", n);
	return cert_row_by_serial(d, n != 0 ? first : digits, r, e);
}
