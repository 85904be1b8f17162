/* SPDX-License-Identifier: Apache-2.0 */
/* store/schema.c - the tables; SQL that PostgreSQL takes too but for STRICT, BLOB, NOCASE and AUTOINCREMENT */
#include "server/store/schema.h"

#include <assert.h>

static const char version_1[] =
"BEGIN IMMEDIATE;"
"CREATE TABLE meta(key TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT;"
/* Labels and profiles: an operator's objects, as key=value lines. */
"CREATE TABLE object(kind TEXT NOT NULL, name TEXT NOT NULL, text TEXT NOT NULL,"
"  PRIMARY KEY(kind, name)) STRICT;"
"CREATE TABLE ca(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, kind TEXT NOT NULL,"
"  parent INTEGER REFERENCES ca(id), key_id TEXT NOT NULL UNIQUE, key_type TEXT NOT NULL,"
"  der BLOB NOT NULL, spki_sha256 BLOB NOT NULL, crl INTEGER NOT NULL, crl_number INTEGER NOT NULL,"
"  crl_next INTEGER NOT NULL, crl_url TEXT NOT NULL, aia_url TEXT NOT NULL, created_at INTEGER NOT NULL) STRICT;"
/* RFC 5280 7.1: names that differ in case alone are one name. */
"CREATE TABLE device(id INTEGER PRIMARY KEY, name TEXT NOT NULL COLLATE NOCASE UNIQUE, state TEXT NOT NULL,"
"  created_at INTEGER NOT NULL, last_contact INTEGER NOT NULL) STRICT;"
"CREATE TABLE cert(id INTEGER PRIMARY KEY, ca INTEGER NOT NULL REFERENCES ca(id), serial TEXT NOT NULL UNIQUE,"
"  sha256 BLOB NOT NULL, spki_sha256 BLOB NOT NULL, device INTEGER NOT NULL REFERENCES device(id),"
"  profile TEXT NOT NULL, label TEXT NOT NULL, subject TEXT NOT NULL, sans TEXT NOT NULL,"
"  not_before INTEGER NOT NULL, not_after INTEGER NOT NULL, parent INTEGER REFERENCES cert(id),"
"  line INTEGER NOT NULL, authorised_by TEXT NOT NULL, request_id TEXT NOT NULL, issued_at INTEGER NOT NULL,"
"  revoked_at INTEGER, revoked_reason INTEGER, proved_at INTEGER, der BLOB NOT NULL) STRICT;"
"CREATE INDEX cert_spki ON cert(spki_sha256);"
"CREATE INDEX cert_device ON cert(device, label, line);"
"CREATE INDEX cert_revoked ON cert(ca, revoked_at) WHERE revoked_at IS NOT NULL;"
/* An id never comes back: connections that began under an anchor outlive it. */
"CREATE TABLE anchor(id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, der BLOB NOT NULL UNIQUE,"
"  label TEXT NOT NULL, scope TEXT NOT NULL, scope_value TEXT NOT NULL, active INTEGER NOT NULL,"
"  created_at INTEGER NOT NULL) STRICT;"
"CREATE TABLE credential(id INTEGER PRIMARY KEY, kind TEXT NOT NULL, label TEXT NOT NULL, user TEXT NOT NULL,"
"  verifier TEXT NOT NULL, scope TEXT NOT NULL, scope_value TEXT NOT NULL, active INTEGER NOT NULL,"
"  uses_left INTEGER NOT NULL, disabled INTEGER NOT NULL, created_at INTEGER NOT NULL,"
"  expires_at INTEGER NOT NULL, used_at INTEGER, used_by TEXT) STRICT;"
"CREATE UNIQUE INDEX credential_user ON credential(user) WHERE kind = 'password';"
"CREATE UNIQUE INDEX credential_verifier ON credential(verifier) WHERE kind <> 'password';"
"CREATE TABLE operator(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, token TEXT NOT NULL UNIQUE,"
"  created_at INTEGER NOT NULL, last_used INTEGER) STRICT;"
"CREATE TABLE audit(id INTEGER PRIMARY KEY, time INTEGER NOT NULL, kind TEXT NOT NULL, outcome TEXT NOT NULL,"
"  reason TEXT NOT NULL, actor TEXT NOT NULL, device TEXT NOT NULL, label TEXT NOT NULL, request_id TEXT NOT NULL,"
"  serial TEXT NOT NULL, text TEXT NOT NULL, trace TEXT NOT NULL, cert_sha256 BLOB, prev BLOB NOT NULL,"
"  hash BLOB NOT NULL) STRICT;"
"CREATE INDEX audit_request ON audit(request_id);"
"CREATE INDEX audit_device ON audit(device, id);"
"CREATE TABLE event(id INTEGER PRIMARY KEY, time INTEGER NOT NULL, kind TEXT NOT NULL, device TEXT NOT NULL,"
"  text TEXT NOT NULL) STRICT;"
"PRAGMA user_version = 1;"
"COMMIT;";

/* No question is asked of that index, and a record of each device at a place of its own is a page more to write. */
static const char version_2[] =
"BEGIN IMMEDIATE;"
"DROP INDEX audit_device;"
"PRAGMA user_version = 2;"
"COMMIT;";

/*
 * Provisioning.  An uploaded CA and an enrolment have ids that never come back: connections and registrations outlive
 * them.  Device IDs that differ in case alone would be one device in the fleet and two at a hub, so there is one of them.
 */
static const char version_3[] =
"BEGIN IMMEDIATE;"
"CREATE TABLE dps_ca(id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE,"
"  parent INTEGER REFERENCES dps_ca(id) ON DELETE SET NULL, verified INTEGER NOT NULL, code TEXT NOT NULL,"
"  der BLOB NOT NULL, sha256 BLOB NOT NULL UNIQUE, created_at INTEGER NOT NULL, verified_at INTEGER NOT NULL) STRICT;"
"CREATE TABLE enrolment(id INTEGER PRIMARY KEY AUTOINCREMENT, individual INTEGER NOT NULL, enabled INTEGER NOT NULL,"
"  name TEXT NOT NULL, attestation TEXT NOT NULL, ca1 INTEGER REFERENCES dps_ca(id), ca2 INTEGER REFERENCES dps_ca(id),"
"  cert1 BLOB, cert2 BLOB, key1 BLOB NOT NULL, key2 BLOB NOT NULL, ek BLOB NOT NULL, device_id TEXT NOT NULL,"
"  allocation TEXT NOT NULL, hubs TEXT NOT NULL, webhook TEXT NOT NULL, reprovision TEXT NOT NULL,"
"  payload BLOB NOT NULL, edge INTEGER NOT NULL, label TEXT NOT NULL, created_at INTEGER NOT NULL,"
"  updated_at INTEGER NOT NULL, UNIQUE(individual, name)) STRICT;"
"CREATE INDEX enrolment_ca1 ON enrolment(ca1) WHERE ca1 IS NOT NULL;"
"CREATE INDEX enrolment_ca2 ON enrolment(ca2) WHERE ca2 IS NOT NULL;"
"CREATE TABLE registration(id INTEGER PRIMARY KEY AUTOINCREMENT, enrolment INTEGER REFERENCES enrolment(id),"
"  registration TEXT NOT NULL UNIQUE, device_id TEXT NOT NULL COLLATE NOCASE UNIQUE, hub TEXT NOT NULL COLLATE NOCASE,"
"  status TEXT NOT NULL, substatus TEXT NOT NULL, operation TEXT NOT NULL, error_code INTEGER NOT NULL,"
"  error_text TEXT NOT NULL, cert BLOB, key BLOB NOT NULL, key_expires INTEGER NOT NULL, payload BLOB NOT NULL,"
"  issued INTEGER NOT NULL,"
"  created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL) STRICT;"
"CREATE INDEX registration_enrolment ON registration(enrolment);"
"CREATE INDEX registration_hub ON registration(hub);"
"CREATE TABLE hub(id INTEGER PRIMARY KEY, name TEXT NOT NULL COLLATE NOCASE UNIQUE, weight INTEGER NOT NULL,"
"  latency_ms INTEGER NOT NULL, enabled INTEGER NOT NULL, created_at INTEGER NOT NULL) STRICT;"
"CREATE TABLE module(id INTEGER PRIMARY KEY, device TEXT NOT NULL, module TEXT NOT NULL, generation TEXT NOT NULL,"
"  managed_by TEXT NOT NULL, key1 BLOB NOT NULL, key2 BLOB NOT NULL, created_at INTEGER NOT NULL,"
"  updated_at INTEGER NOT NULL, UNIQUE(device, module)) STRICT;"
"PRAGMA user_version = 3;"
"COMMIT;";

static const char *const steps[SCHEMA_VERSION] = { version_1, version_2, version_3 };

const char *
schema_step(int from)
{
	assert(from >= 0 && from < SCHEMA_VERSION);
	return steps[from];
}
