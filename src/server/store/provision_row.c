/* SPDX-License-Identifier: Apache-2.0 */
/* store/provision_row.c - provisioning: its CAs, enrolments, registrations, hubs and their modules */
#include "server/store/provision_row.h"

/* counts: what else the table has to be searched for, which is for people's lists and not for each device's question. */
#define CA_SELECT(count) "SELECT c.id, coalesce(c.parent, 0), c.name, c.verified, c.code, c.der, c.sha256, c.created_at, " \
	"c.verified_at, " count " FROM dps_ca c "
#define CA_GROUPS "(SELECT count(*) FROM enrolment e WHERE e.ca1 = c.id OR e.ca2 = c.id)"
#define ENROLMENT_SELECT(count) "SELECT e.id, e.individual, e.enabled, e.name, e.attestation, coalesce(e.ca1, 0), " \
	"coalesce(e.ca2, 0), e.cert1, e.cert2, e.key1, e.key2, e.ek, e.device_id, e.allocation, e.hubs, e.webhook, " \
	"e.reprovision, e.payload, e.edge, e.label, e.created_at, e.updated_at, " count " FROM enrolment e "
#define ENROLMENT_REGISTRATIONS "(SELECT count(*) FROM registration r WHERE r.enrolment = e.id)"
#define REGISTRATION_SELECT "SELECT r.id, coalesce(r.enrolment, 0), r.registration, r.device_id, r.hub, r.status, " \
	"r.substatus, r.operation, r.error_code, r.error_text, r.cert, r.key, r.key_expires, r.payload, r.created_at, " \
	"r.updated_at, coalesce(e.name, ''), coalesce(e.individual, 0), r.issued " \
	"FROM registration r LEFT JOIN enrolment e ON e.id = r.enrolment "
#define HUB_SELECT(count) "SELECT h.id, h.name, h.weight, h.latency_ms, h.enabled, h.created_at, " count " FROM hub h "
#define HUB_DEVICES "(SELECT count(*) FROM registration r WHERE r.hub = h.name)"
#define MODULE_SELECT "SELECT id, device, module, generation, managed_by, key1, key2, created_at, updated_at FROM module "

/* Octets that may be none, which are not NULL. */
static struct bytes
octets(const struct buf *b)
{
	return (struct bytes){ b->p != NULL ? b->p : (const uint8_t *)"", b->n };
}

/* A digest, or NULL when there is none. */
static struct bytes
digest(bool has, const uint8_t hash[ROW_HASH_LEN])
{
	return (struct bytes){ has ? hash : NULL, ROW_HASH_LEN };
}

/* A digest is never zeros, which are what NULL reads as. */
static bool
read_digest(struct query *q, int column, uint8_t out[ROW_HASH_LEN])
{
	uint8_t any = 0;

	query_hash(q, column, out);
	for (size_t i = 0; i < ROW_HASH_LEN; i++)
		any |= out[i];
	return any != 0;
}

/* A query that was opened by rc: its first row, or none (E_NOTFOUND, and closed). */
static int
first_row(struct query *q, int rc, struct err *e)
{
	if (rc == 0 && (rc = query_next(q, e)) == 0)
		rc = E_NOTFOUND;
	return rc > 0 ? 0 : rc;
}

void
dps_ca_row_clear(struct dps_ca_row *r)
{
	buf_free(&r->der);
	*r = (struct dps_ca_row){ 0 };
}

static void
read_ca(struct query *q, struct dps_ca_row *r)
{
	dps_ca_row_clear(r);
	r->id = query_i64(q, 0);
	r->parent = query_i64(q, 1);
	query_str(q, 2, r->name, sizeof(r->name));
	r->verified = query_i64(q, 3) != 0;
	query_str(q, 4, r->code, sizeof(r->code));
	query_buf(q, 5, &r->der);
	query_hash(q, 6, r->sha256);
	r->created_at = query_i64(q, 7);
	r->verified_at = query_i64(q, 8);
	r->groups = query_i64(q, 9);
}

int
dps_ca_row_insert(struct db *d, struct dps_ca_row *r, struct err *e)
{
	int rc = db_run(d, e, "INSERT INTO dps_ca(parent, name, verified, code, der, sha256, created_at, verified_at) "
	    "VALUES(nullif(?, 0),?,?,?,?,?,?,?)", "isisbbii", r->parent, r->name, (int64_t)r->verified, r->code,
	    octets(&r->der), digest(true, r->sha256), r->created_at, r->verified_at);

	if (rc == E_EXISTS)
		return err_set(e, E_EXISTS, "provisioning CA '%s': there is one of this name, or of this certificate, already", r->name);
	if (rc == 0)
		r->id = db_last_id(d);
	return rc;
}

static int
one_ca(struct query *q, int rc, struct dps_ca_row *r, const char *name, struct err *e)
{
	rc = first_row(q, rc, e);
	if (rc == E_NOTFOUND)
		return err_set(e, rc, "provisioning CA%s%s: there is none", name[0] != 0 ? " " : "", name);
	if (rc != 0)
		return rc;
	read_ca(q, r);
	query_close(q);
	return 0;
}

int
dps_ca_row_by_name(struct db *d, const char *name, struct dps_ca_row *r, struct err *e)
{
	struct query q;

	return one_ca(&q, query_open(&q, d, e, CA_SELECT(CA_GROUPS) "WHERE c.name = ?", "s", name), r, name, e);
}

int
dps_ca_row_by_id(struct db *d, int64_t id, struct dps_ca_row *r, struct err *e)
{
	struct query q;

	return one_ca(&q, query_open(&q, d, e, CA_SELECT("0") "WHERE c.id = ?", "i", id), r, "", e);
}

int
dps_ca_row_by_sha256(struct db *d, const uint8_t sha256[ROW_HASH_LEN], struct dps_ca_row *r, struct err *e)
{
	struct query q;

	return one_ca(&q, query_open(&q, d, e, CA_SELECT("0") "WHERE c.sha256 = ?", "b", digest(true, sha256)), r, "", e);
}

/* Of what was changed or removed by db_run(). */
static int
some(struct db *d, int rc, struct err *e, const char *kind, const char *name)
{
	if (rc == 0 && db_changes(d) == 0)
		return err_set(e, E_NOTFOUND, "%s%s%s: there is none", kind, name[0] != 0 ? " " : "", name);
	return rc;
}

int
dps_ca_row_verify(struct db *d, int64_t id, int64_t now, struct err *e)
{
	int rc = db_run(d, e, "UPDATE dps_ca SET verified = 1, code = '', verified_at = ? WHERE id = ?", "ii", now, id);

	return some(d, rc, e, "provisioning CA", "");
}

int
dps_ca_row_renew(struct db *d, int64_t id, struct bytes der, const uint8_t sha256[ROW_HASH_LEN], int64_t parent, struct err *e)
{
	int rc = db_run(d, e, "UPDATE dps_ca SET der = ?, sha256 = ?, parent = nullif(?, 0) WHERE id = ?", "bbii", der,
	    digest(true, sha256), parent, id);

	return some(d, rc, e, "provisioning CA", "");
}

int
dps_ca_row_set_parent(struct db *d, int64_t id, int64_t parent, struct err *e)
{
	int rc = db_run(d, e, "UPDATE dps_ca SET parent = nullif(?, 0) WHERE id = ?", "ii", parent, id);

	return some(d, rc, e, "provisioning CA", "");
}

int
dps_ca_row_remove(struct db *d, int64_t id, struct err *e)
{
	int rc = db_run(d, e, "DELETE FROM dps_ca WHERE id = ?", "i", id);

	if (rc == E_EXISTS)
		return err_set(e, rc, "provisioning CA: an enrolment group names it");
	return some(d, rc, e, "provisioning CA", "");
}

int
dps_ca_row_each(struct db *d, int (*fn)(void *ctx, struct dps_ca_row *r), void *ctx, struct err *e)
{
	struct dps_ca_row r = { 0 };
	struct query q;
	int rc = query_open(&q, d, e, CA_SELECT(CA_GROUPS) "ORDER BY c.id", "");

	if (rc != 0)
		return rc;
	while ((rc = query_next(&q, e)) > 0) {
		read_ca(&q, &r);
		if ((rc = fn(ctx, &r)) != 0)
			break;
	}
	query_close(&q);
	dps_ca_row_clear(&r);
	return rc;
}

void
enrolment_row_clear(struct enrolment_row *r)
{
	buf_free(&r->key[0]);
	buf_free(&r->key[1]);
	buf_free(&r->ek);
	buf_free(&r->payload);
	*r = (struct enrolment_row){ 0 };
}

static void
read_enrolment(struct query *q, struct enrolment_row *r)
{
	enrolment_row_clear(r);
	r->id = query_i64(q, 0);
	r->individual = query_i64(q, 1) != 0;
	r->enabled = query_i64(q, 2) != 0;
	query_str(q, 3, r->name, sizeof(r->name));
	query_str(q, 4, r->attestation, sizeof(r->attestation));
	for (int i = 0; i < 2; i++) {
		r->ca[i] = query_i64(q, 5 + i);
		r->has_cert[i] = read_digest(q, 7 + i, r->cert[i]);
		query_buf(q, 9 + i, &r->key[i]);
	}
	query_buf(q, 11, &r->ek);
	query_str(q, 12, r->device_id, sizeof(r->device_id));
	query_str(q, 13, r->allocation, sizeof(r->allocation));
	query_str(q, 14, r->hubs, sizeof(r->hubs));
	query_str(q, 15, r->webhook, sizeof(r->webhook));
	query_str(q, 16, r->reprovision, sizeof(r->reprovision));
	query_buf(q, 17, &r->payload);
	r->edge = query_i64(q, 18) != 0;
	query_str(q, 19, r->label, sizeof(r->label));
	r->created_at = query_i64(q, 20);
	r->updated_at = query_i64(q, 21);
	r->registrations = query_i64(q, 22);
}

int
enrolment_row_insert(struct db *d, struct enrolment_row *r, struct err *e)
{
	int rc = db_run(d, e, "INSERT INTO enrolment(individual, name, enabled, attestation, ca1, ca2, cert1, cert2, key1, key2, "
	    "ek, device_id, allocation, hubs, webhook, reprovision, payload, edge, label, created_at, updated_at) "
	    "VALUES(?,?,?,?,nullif(?, 0),nullif(?, 0),?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)", "isisiibbbbbsssssbisii",
	    (int64_t)r->individual, r->name, (int64_t)r->enabled, r->attestation, r->ca[0], r->ca[1],
	    digest(r->has_cert[0], r->cert[0]), digest(r->has_cert[1], r->cert[1]), octets(&r->key[0]), octets(&r->key[1]),
	    octets(&r->ek), r->device_id, r->allocation, r->hubs, r->webhook, r->reprovision, octets(&r->payload),
	    (int64_t)r->edge, r->label, r->created_at, r->updated_at);

	if (rc == E_EXISTS)
		return err_set(e, E_EXISTS, "%s '%s': there is one of this name already, or its CA certificate is gone",
		    r->individual ? "enrolment" : "group", r->name);
	if (rc == 0)
		r->id = db_last_id(d);
	return rc;
}

int
enrolment_row_update(struct db *d, const struct enrolment_row *r, struct err *e)
{
	int rc = db_run(d, e, "UPDATE enrolment SET enabled = ?, attestation = ?, ca1 = nullif(?, 0), ca2 = nullif(?, 0), cert1 = ?, "
	    "cert2 = ?, key1 = ?, key2 = ?, ek = ?, device_id = ?, allocation = ?, hubs = ?, webhook = ?, reprovision = ?, "
	    "payload = ?, edge = ?, label = ?, updated_at = ? WHERE id = ?", "isiibbbbbsssssbisii", (int64_t)r->enabled,
	    r->attestation, r->ca[0], r->ca[1], digest(r->has_cert[0], r->cert[0]), digest(r->has_cert[1], r->cert[1]),
	    octets(&r->key[0]), octets(&r->key[1]), octets(&r->ek), r->device_id, r->allocation, r->hubs, r->webhook,
	    r->reprovision, octets(&r->payload), (int64_t)r->edge, r->label, r->updated_at, r->id);

	if (rc == E_EXISTS)
		return err_set(e, E_NOTFOUND, "group '%s': its CA certificate is gone", r->name);
	return some(d, rc, e, r->individual ? "enrolment" : "group", r->name);
}

static int
one_enrolment(struct query *q, int rc, struct enrolment_row *r, const char *kind, const char *name, struct err *e)
{
	rc = first_row(q, rc, e);
	if (rc == E_NOTFOUND)
		return err_set(e, rc, "%s%s%s: there is none; see 'estuary %s list'", kind, name[0] != 0 ? " " : "", name, kind);
	if (rc != 0)
		return rc;
	read_enrolment(q, r);
	query_close(q);
	return 0;
}

int
enrolment_row_by_name(struct db *d, bool individual, const char *name, struct enrolment_row *r, struct err *e)
{
	struct query q;
	int rc = query_open(&q, d, e, ENROLMENT_SELECT(ENROLMENT_REGISTRATIONS) "WHERE e.individual = ? AND e.name = ?",
	    "is", (int64_t)individual, name);

	return one_enrolment(&q, rc, r, individual ? "enrolment" : "group", name, e);
}

int
enrolment_row_by_id(struct db *d, int64_t id, struct enrolment_row *r, struct err *e)
{
	struct query q;
	int rc = query_open(&q, d, e, ENROLMENT_SELECT("0") "WHERE e.id = ?", "i", id);

	return one_enrolment(&q, rc, r, "enrolment", "", e);
}

int
enrolment_row_remove(struct db *d, int64_t id, struct err *e)
{
	int rc = db_run(d, e, "DELETE FROM enrolment WHERE id = ?", "i", id);

	if (rc == E_EXISTS)
		return err_set(e, rc, "enrolment: devices registered by it; remove their registrations first");
	return some(d, rc, e, "enrolment", "");
}

/* Each row of a query that was opened by rc. */
static int
each_enrolment(struct query *q, int rc, int (*fn)(void *ctx, struct enrolment_row *r), void *ctx, struct err *e)
{
	struct enrolment_row r = { 0 };

	if (rc != 0)
		return rc;
	while ((rc = query_next(q, e)) > 0) {
		read_enrolment(q, &r);
		if ((rc = fn(ctx, &r)) != 0)
			break;
	}
	query_close(q);
	enrolment_row_clear(&r);
	return rc;
}

int
enrolment_row_list(struct db *d, bool individual, const char *attestation, int64_t after, int64_t limit,
    int (*fn)(void *ctx, struct enrolment_row *r), void *ctx, struct err *e)
{
	struct query q;
	int rc = query_open(&q, d, e, ENROLMENT_SELECT(ENROLMENT_REGISTRATIONS) "WHERE e.individual = ?1 "
	    "AND (?2 = '' OR e.attestation = ?2) AND e.id > ?3 ORDER BY e.id LIMIT ?4", "isii", (int64_t)individual,
	    attestation != NULL ? attestation : "", after, limit);

	return each_enrolment(&q, rc, fn, ctx, e);
}

int
enrolment_row_groups(struct db *d, const char *attestation, int (*fn)(void *ctx, struct enrolment_row *r), void *ctx,
    struct err *e)
{
	struct query q;
	int rc = query_open(&q, d, e, ENROLMENT_SELECT("0") "WHERE e.individual = 0 AND e.attestation = ? ORDER BY e.id",
	    "s", attestation);

	return each_enrolment(&q, rc, fn, ctx, e);
}

int
enrolment_row_groups_of_ca(struct db *d, int64_t ca, int (*fn)(void *ctx, struct enrolment_row *r), void *ctx, struct err *e)
{
	struct query q;
	int rc = query_open(&q, d, e, ENROLMENT_SELECT("0")
	    "WHERE e.individual = 0 AND (e.ca1 = ?1 OR e.ca2 = ?1) ORDER BY e.id", "i", ca);

	return each_enrolment(&q, rc, fn, ctx, e);
}

void
registration_row_clear(struct registration_row *r)
{
	buf_free(&r->key);
	buf_free(&r->payload);
	*r = (struct registration_row){ 0 };
}

static void
read_registration(struct query *q, struct registration_row *r)
{
	registration_row_clear(r);
	r->id = query_i64(q, 0);
	r->enrolment = query_i64(q, 1);
	query_str(q, 2, r->registration, sizeof(r->registration));
	query_str(q, 3, r->device_id, sizeof(r->device_id));
	query_str(q, 4, r->hub, sizeof(r->hub));
	query_str(q, 5, r->status, sizeof(r->status));
	query_str(q, 6, r->substatus, sizeof(r->substatus));
	query_str(q, 7, r->operation, sizeof(r->operation));
	r->error_code = query_i64(q, 8);
	query_str(q, 9, r->error_text, sizeof(r->error_text));
	r->has_cert = read_digest(q, 10, r->cert);
	query_buf(q, 11, &r->key);
	r->key_expires = query_i64(q, 12);
	query_buf(q, 13, &r->payload);
	r->created_at = query_i64(q, 14);
	r->updated_at = query_i64(q, 15);
	query_str(q, 16, r->enrolment_name, sizeof(r->enrolment_name));
	r->individual = query_i64(q, 17) != 0;
	r->issued = query_i64(q, 18) != 0;
}

int
registration_row_put(struct db *d, struct registration_row *r, struct err *e)
{
	struct query q;
	int rc = query_open(&q, d, e, "INSERT INTO registration(enrolment, registration, device_id, hub, status, substatus, operation, "
	    "error_code, error_text, cert, key, key_expires, payload, created_at, updated_at, issued) "
	    "VALUES(nullif(?, 0),?,?,?,?,?,?,?,?,?,?,?,?,?,?,?) ON CONFLICT(registration) DO UPDATE SET "
	    "enrolment = excluded.enrolment, device_id = excluded.device_id, hub = excluded.hub, status = excluded.status, "
	    "substatus = excluded.substatus, operation = excluded.operation, error_code = excluded.error_code, "
	    "error_text = excluded.error_text, cert = excluded.cert, key = excluded.key, key_expires = excluded.key_expires, "
	    "payload = excluded.payload, updated_at = excluded.updated_at, issued = excluded.issued "
	    "RETURNING id", "issssssisbbibiii", r->enrolment, r->registration, r->device_id, r->hub, r->status, r->substatus,
	    r->operation, r->error_code, r->error_text,
	    digest(r->has_cert, r->cert), octets(&r->key), r->key_expires, octets(&r->payload), r->created_at, r->updated_at,
	    (int64_t)r->issued);

	if (rc == 0)
		rc = first_row(&q, rc, e);
	if (rc == E_EXISTS)
		return err_set(e, rc, "registration '%s': another one has the device ID '%s', or its enrolment is gone",
		    r->registration, r->device_id);
	if (rc != 0)
		return rc;
	r->id = query_i64(&q, 0);
	query_close(&q);
	return 0;
}

static int
one_registration(struct query *q, int rc, struct registration_row *r, const char *name, struct err *e)
{
	rc = first_row(q, rc, e);
	if (rc == E_NOTFOUND)
		return err_set(e, rc, "registration '%s': there is none; see 'estuary registration list'", name);
	if (rc != 0)
		return rc;
	read_registration(q, r);
	query_close(q);
	return 0;
}

int
registration_row_by_name(struct db *d, const char *registration, struct registration_row *r, struct err *e)
{
	struct query q;
	int rc = query_open(&q, d, e, REGISTRATION_SELECT "WHERE r.registration = ?", "s", registration);

	return one_registration(&q, rc, r, registration, e);
}

int
registration_row_by_device(struct db *d, const char *device_id, struct registration_row *r, struct err *e)
{
	struct query q;
	/* The first comparison is for the index, the second is meant. */
	int rc = query_open(&q, d, e, REGISTRATION_SELECT "WHERE r.device_id = ?1 AND r.device_id = ?1 COLLATE BINARY", "s", device_id);

	return one_registration(&q, rc, r, device_id, e);
}

int
registration_row_taken(struct db *d, const char *device_id, const char *registration, bool *taken, struct err *e)
{
	struct query q;
	int rc = query_open(&q, d, e, "SELECT 1 FROM registration WHERE device_id = ? AND registration <> ?", "ss", device_id,
	    registration);

	rc = first_row(&q, rc, e);
	if (rc == 0)
		query_close(&q);
	*taken = rc == 0;
	return rc == E_NOTFOUND ? 0 : rc;
}

int
registration_row_remove(struct db *d, const char *registration, struct err *e)
{
	int rc = db_run(d, e, "DELETE FROM module WHERE device = (SELECT device_id FROM registration WHERE registration = ?)",
	    "s", registration);

	if (rc != 0)
		return rc;
	rc = db_run(d, e, "DELETE FROM registration WHERE registration = ?", "s", registration);
	return some(d, rc, e, "registration", registration);
}

int
registration_row_list(struct db *d, const char *part, int64_t enrolment, const char *status, int64_t after, int64_t limit,
    int (*fn)(void *ctx, struct registration_row *r), void *ctx, struct err *e)
{
	struct registration_row r = { 0 };
	struct query q;
	int rc = query_open(&q, d, e, REGISTRATION_SELECT "WHERE (?1 = '' OR instr(r.registration, ?1) > 0) "
	    "AND (?2 = 0 OR r.enrolment = ?2) AND (?3 = '' OR r.status = ?3) AND (?4 = 0 OR r.id < ?4) "
	    "ORDER BY r.id DESC LIMIT ?5", "sisii", part != NULL ? part : "", enrolment, status != NULL ? status : "",
	    after, limit);

	if (rc != 0)
		return rc;
	while ((rc = query_next(&q, e)) > 0) {
		read_registration(&q, &r);
		if ((rc = fn(ctx, &r)) != 0)
			break;
	}
	query_close(&q);
	registration_row_clear(&r);
	return rc;
}

static void
read_hub(struct query *q, struct hub_row *r)
{
	*r = (struct hub_row){ .id = query_i64(q, 0), .weight = query_i64(q, 2), .latency_ms = query_i64(q, 3),
		.enabled = query_i64(q, 4) != 0, .created_at = query_i64(q, 5), .devices = query_i64(q, 6) };
	query_str(q, 1, r->name, sizeof(r->name));
}

int
hub_row_insert(struct db *d, struct hub_row *r, struct err *e)
{
	int rc = db_run(d, e, "INSERT INTO hub(name, weight, latency_ms, enabled, created_at) VALUES(?,?,?,?,?)", "siiii", r->name,
	    r->weight, r->latency_ms, (int64_t)r->enabled, r->created_at);

	if (rc == E_EXISTS)
		return err_set(e, rc, "hub '%s': there is one of this name already", r->name);
	if (rc == 0)
		r->id = db_last_id(d);
	return rc;
}

int
hub_row_update(struct db *d, const struct hub_row *r, struct err *e)
{
	int rc = db_run(d, e, "UPDATE hub SET weight = ?, latency_ms = ?, enabled = ? WHERE id = ?", "iiii", r->weight,
	    r->latency_ms, (int64_t)r->enabled, r->id);

	return some(d, rc, e, "hub", r->name);
}

int
hub_row_by_name(struct db *d, const char *name, struct hub_row *r, struct err *e)
{
	struct query q;
	int rc = query_open(&q, d, e, HUB_SELECT(HUB_DEVICES) "WHERE h.name = ?", "s", name);

	rc = first_row(&q, rc, e);
	if (rc == E_NOTFOUND)
		return err_set(e, rc, "hub '%s': there is none; see 'estuary hub list'", name);
	if (rc != 0)
		return rc;
	read_hub(&q, r);
	query_close(&q);
	return 0;
}

int
hub_row_remove(struct db *d, const char *name, struct err *e)
{
	struct hub_row r;
	int rc = hub_row_by_name(d, name, &r, e);

	if (rc != 0)
		return rc;
	if (r.devices != 0)
		return err_set(e, E_EXISTS, "hub '%s': %lld registrations name it", name, (long long)r.devices);
	return db_run(d, e, "DELETE FROM hub WHERE id = ?", "i", r.id);
}

static int
each_hub(struct query *q, int rc, int (*fn)(void *ctx, struct hub_row *r), void *ctx, struct err *e)
{
	struct hub_row r;

	if (rc != 0)
		return rc;
	while ((rc = query_next(q, e)) > 0) {
		read_hub(q, &r);
		if ((rc = fn(ctx, &r)) != 0)
			break;
	}
	query_close(q);
	return rc;
}

int
hub_row_each(struct db *d, int (*fn)(void *ctx, struct hub_row *r), void *ctx, struct err *e)
{
	struct query q;

	return each_hub(&q, query_open(&q, d, e, HUB_SELECT(HUB_DEVICES) "ORDER BY h.id", ""), fn, ctx, e);
}

int
hub_row_scan(struct db *d, int (*fn)(void *ctx, struct hub_row *r), void *ctx, struct err *e)
{
	struct query q;

	return each_hub(&q, query_open(&q, d, e, HUB_SELECT("0") "ORDER BY h.id", ""), fn, ctx, e);
}

void
module_row_clear(struct module_row *r)
{
	buf_free(&r->key[0]);
	buf_free(&r->key[1]);
	*r = (struct module_row){ 0 };
}

static void
read_module(struct query *q, struct module_row *r)
{
	module_row_clear(r);
	r->id = query_i64(q, 0);
	query_str(q, 1, r->device, sizeof(r->device));
	query_str(q, 2, r->module, sizeof(r->module));
	query_str(q, 3, r->generation, sizeof(r->generation));
	query_str(q, 4, r->managed_by, sizeof(r->managed_by));
	query_buf(q, 5, &r->key[0]);
	query_buf(q, 6, &r->key[1]);
	r->created_at = query_i64(q, 7);
	r->updated_at = query_i64(q, 8);
}

int
module_row_put(struct db *d, struct module_row *r, struct err *e)
{
	struct query q;
	int rc = query_open(&q, d, e, "INSERT INTO module(device, module, generation, managed_by, key1, key2, created_at, updated_at) "
	    "VALUES(?,?,?,?,?,?,?,?) ON CONFLICT(device, module) DO UPDATE SET generation = excluded.generation, "
	    "managed_by = excluded.managed_by, key1 = excluded.key1, key2 = excluded.key2, updated_at = excluded.updated_at "
	    "RETURNING id", "ssssbbii", r->device, r->module, r->generation, r->managed_by, octets(&r->key[0]),
	    octets(&r->key[1]), r->created_at, r->updated_at);

	if ((rc = first_row(&q, rc, e)) != 0)
		return rc;
	r->id = query_i64(&q, 0);
	query_close(&q);
	return 0;
}

int
module_row_by_name(struct db *d, const char *device, const char *module, struct module_row *r, struct err *e)
{
	struct query q;
	int rc = query_open(&q, d, e, MODULE_SELECT "WHERE device = ? AND module = ?", "ss", device, module);

	rc = first_row(&q, rc, e);
	if (rc == E_NOTFOUND)
		return err_set(e, rc, "module '%s' of device '%s': there is none", module, device);
	if (rc != 0)
		return rc;
	read_module(&q, r);
	query_close(&q);
	return 0;
}

int
module_row_remove(struct db *d, const char *device, const char *module, struct err *e)
{
	int rc = db_run(d, e, "DELETE FROM module WHERE device = ? AND module = ?", "ss", device, module);

	return some(d, rc, e, "module", module);
}

int
module_row_count(struct db *d, const char *device, int64_t *n, struct err *e)
{
	struct query q;
	int rc = query_open(&q, d, e, "SELECT count(*) FROM module WHERE device = ?", "s", device);

	if ((rc = first_row(&q, rc, e)) != 0)
		return rc;
	*n = query_i64(&q, 0);
	query_close(&q);
	return 0;
}

int
module_row_each(struct db *d, const char *device, int (*fn)(void *ctx, struct module_row *r), void *ctx, struct err *e)
{
	struct module_row r = { 0 };
	struct query q;
	int rc = query_open(&q, d, e, MODULE_SELECT "WHERE device = ? ORDER BY module", "s", device);

	if (rc != 0)
		return rc;
	while ((rc = query_next(&q, e)) > 0) {
		read_module(&q, &r);
		if ((rc = fn(ctx, &r)) != 0)
			break;
	}
	query_close(&q);
	module_row_clear(&r);
	return rc;
}
