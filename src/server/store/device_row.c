/* SPDX-License-Identifier: Apache-2.0 */
/* store/device_row.c - devices, and what happened to them */
#include "server/store/device_row.h"

#include <string.h>

#define CERTIFICATES "(SELECT count(*) FROM cert c WHERE c.device = d.id)"
#define NOT_AFTER "coalesce((SELECT max(c.not_after) FROM cert c WHERE c.device = d.id AND c.revoked_at IS NULL), 0)"
/* device_row_state() as of `now`, in SQL. */
#define STATE(now) "CASE WHEN d.state <> 'active' OR " CERTIFICATES " = 0 OR " NOT_AFTER " >= " now " THEN d.state " \
	"WHEN " NOT_AFTER " = 0 THEN 'revoked' ELSE 'expired' END"
#define SELECT "SELECT d.id, d.name, d.state, d.created_at, d.last_contact, " CERTIFICATES ", " NOT_AFTER ", " \
	"coalesce((SELECT c.subject FROM cert c WHERE c.device = d.id ORDER BY c.id LIMIT 1), '') FROM device d "

static void
read_row(struct query *q, struct device_row *r)
{
	*r = (struct device_row){ .id = query_i64(q, 0), .created_at = query_i64(q, 3), .last_contact = query_i64(q, 4),
		.certificates = query_i64(q, 5), .not_after = query_i64(q, 6) };
	query_str(q, 1, r->name, sizeof(r->name));
	query_str(q, 2, r->state, sizeof(r->state));
	query_str(q, 7, r->subject, sizeof(r->subject));
}

static int
no_device(const char *name, struct err *e)
{
	return err_set(e, E_NOTFOUND, "device '%s': there is none; see 'estuary device list'", name);
}

int
device_row_by_name(struct db *d, const char *name, struct device_row *r, struct err *e)
{
	struct query q;
	int rc = query_open(&q, d, e, SELECT "WHERE d.name = ?", "s", name);

	if (rc != 0)
		return rc;
	if ((rc = query_next(&q, e)) < 0)
		return rc;
	if (rc == 0)
		return no_device(name, e);
	read_row(&q, r);
	query_close(&q);
	return 0;
}

int
device_row_find(struct db *d, const char *name, int64_t *id, char state[16], struct err *e)
{
	struct query q;
	int rc = query_open(&q, d, e, "SELECT id, state FROM device WHERE name = ?", "s", name);

	if (rc != 0)
		return rc;
	if ((rc = query_next(&q, e)) < 0)
		return rc;
	if (rc == 0)
		return no_device(name, e);
	*id = query_i64(&q, 0);
	query_str(&q, 1, state, 16);
	query_close(&q);
	return 0;
}

int
device_row_touch(struct db *d, const char *name, int64_t now, int64_t *id, struct err *e)
{
	char state[16];
	int rc = *id != 0 ? 0 : device_row_find(d, name, id, state, e);

	if (rc == 0)
		return db_run(d, e, "UPDATE device SET last_contact = ?2, state = CASE state WHEN 'expected' THEN 'active' ELSE state END "
		    "WHERE id = ?1 AND (last_contact <> ?2 OR state = 'expected')", "ii", *id, now);
	if (rc != E_NOTFOUND)
		return rc;
	rc = db_run(d, e, "INSERT INTO device(name, state, created_at, last_contact) VALUES(?1, 'active', ?2, ?2)", "si", name, now);
	if (rc == 0)
		*id = db_last_id(d);
	return rc;
}

int
device_row_set_state(struct db *d, const char *name, const char *state, struct err *e)
{
	int rc = db_run(d, e, "UPDATE device SET state = ? WHERE name = ?", "ss", state, name);

	return rc == 0 && db_changes(d) == 0 ? no_device(name, e) : rc;
}

const char *
device_row_state(const struct device_row *r, int64_t now)
{
	if (strcmp(r->state, "active") != 0 || r->certificates == 0 || r->not_after >= now)
		return r->state;
	return r->not_after == 0 ? "revoked" : "expired";
}

int
device_row_list(struct db *d, const char *state, const char *part, int64_t now, int64_t after, int64_t limit,
    int (*fn)(void *ctx, struct device_row *r), void *ctx, struct err *e)
{
	struct device_row r;
	struct query q;
	int rc = query_open(&q, d, e, SELECT "WHERE (?1 = '' OR ?1 = " STATE("?5") ") AND (?2 = '' OR instr(d.name, ?2) > 0) "
	    "AND d.id > ?3 ORDER BY d.id LIMIT ?4", "ssiii", state != NULL ? state : "", part != NULL ? part : "",
	    after, limit, now);

	if (rc != 0)
		return rc;
	while ((rc = query_next(&q, e)) > 0) {
		read_row(&q, &r);
		if ((rc = fn(ctx, &r)) != 0)
			break;
	}
	query_close(&q);
	return rc;
}

int
event_row_add(struct db *d, int64_t now, const char *kind, const char *device, const char *text, struct err *e)
{
	return db_run(d, e, "INSERT INTO event(time, kind, device, text) VALUES(?,?,?,?)", "isss", now, kind, device, text);
}

int
event_row_list(struct db *d, const char *device, int64_t after, int64_t limit,
    int (*fn)(void *ctx, struct event_row *r), void *ctx, struct err *e)
{
	struct event_row r;
	struct query q;
	int rc = query_open(&q, d, e, "SELECT id, time, kind, device, text FROM event WHERE (?1 = '' OR device = ?1) "
	    "AND (?2 = 0 OR id < ?2) ORDER BY id DESC LIMIT ?3", "sii", device != NULL ? device : "", after, limit);

	if (rc != 0)
		return rc;
	while ((rc = query_next(&q, e)) > 0) {
		r = (struct event_row){ .id = query_i64(&q, 0), .time = query_i64(&q, 1) };
		query_str(&q, 2, r.kind, sizeof(r.kind));
		query_str(&q, 3, r.device, sizeof(r.device));
		query_str(&q, 4, r.text, sizeof(r.text));
		if ((rc = fn(ctx, &r)) != 0)
			break;
	}
	query_close(&q);
	return rc;
}
