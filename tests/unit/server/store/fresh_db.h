/* SPDX-License-Identifier: Apache-2.0 */
/* store/fresh_db.h - a database of the test's own, and rows to put into it */
#ifndef TESTS_STORE_FRESH_DB_H
#define TESTS_STORE_FRESH_DB_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server/store/ca_row.h"
#include "server/store/cert_row.h"
#include "server/store/device_row.h"

#define NOW INT64_C(1800000000)

static char db_dir[64], db_path[80];
static struct db *db;

static inline int
open_db(void **state)
{
	(void)state;
	(void)snprintf(db_dir, sizeof(db_dir), "/tmp/test_store.XXXXXX");
	if (mkdtemp(db_dir) == NULL)
		return 1;
	(void)snprintf(db_path, sizeof(db_path), "%s/db", db_dir);
	return db_open(&db, db_path, NULL);
}

static inline int
close_db(void **state)
{
	static const char *const ends[] = { "", "-wal", "-shm" };
	char path[96];

	(void)state;
	db_free(db);
	db = NULL;
	for (size_t i = 0; i < N_OF(ends); i++) {
		(void)snprintf(path, sizeof(path), "%s%s", db_path, ends[i]);
		(void)unlink(path);
	}
	return rmdir(db_dir);
}

#define WITH_DB(f) cmocka_unit_test_setup_teardown(f, open_db, close_db)

static inline int64_t
add_device(const char *name)
{
	int64_t id = 0;

	assert_int_equal(device_row_touch(db, name, NOW, &id, NULL), 0);
	return id;
}

/* The one CA of the test. */
static inline int64_t
add_ca(void)
{
	struct ca_row r = { .name = "issuing", .kind = "subordinate", .key_id = "k", .key_type = "ec-p256", .crl = true };
	int64_t id;

	if (ca_row_by_name(db, "issuing", &r, NULL) != 0) {
		buf_put_str(&r.der, "der");
		assert_int_equal(ca_row_insert(db, &r, NULL), 0);
	}
	id = r.id;
	ca_row_clear(&r);
	return id;
}

/* A certificate of the device at label "l": n tells it, its key and its digest from others. */
static inline struct cert_row
a_cert(int64_t device, int n)
{
	struct cert_row r = { .ca = add_ca(), .device = device, .profile = "p", .label = "l", .subject = "CN=x",
		.not_before = NOW - 300, .not_after = NOW + 1000, .authorised_by = "code 1", .request_id = "r", .issued_at = NOW };

	(void)snprintf(r.serial, sizeof(r.serial), "%032d", n);
	memset(r.sha256, n, sizeof(r.sha256));
	memset(r.spki_sha256, n, sizeof(r.spki_sha256));
	buf_put_u8(&r.der, (uint8_t)n);
	return r;
}

static inline int64_t
add_cert(int64_t device, int n)
{
	struct cert_row r = a_cert(device, n);
	int64_t id;

	assert_int_equal(cert_row_insert(db, &r, NULL), 0);
	id = r.id;
	cert_row_clear(&r);
	return id;
}

#endif
