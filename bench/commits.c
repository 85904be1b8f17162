/* SPDX-License-Identifier: Apache-2.0 */
/* bench/commits.c - bench-commits FILE: how many durable commits a second, of one record and of many */
#include <stdio.h>
#include <string.h>

#include "core/base/clock.h"
#include "server/store/audit_row.h"

#define MEASURE_MS 2000

static int64_t last_id;

static int
insert(struct db *d, struct err *e)
{
	struct audit_row r = { .id = ++last_id, .time = 1, .kind = "bench", .outcome = "ok", .device = "device-1",
		.text = "a record of about the size of an enrolment's", .trace = "label\tok\tabout four hundred octets of trace" };

	(void)snprintf(r.request_id, sizeof(r.request_id), "bench-%lld", (long long)last_id);
	return audit_row_insert(d, &r, e);
}

static int
measure(struct db *d, size_t records, struct err *e)
{
	uint64_t began = clock_monotonic_ms(), now = began;
	size_t n = 0;
	int rc = 0;

	for (; rc == 0 && now - began < MEASURE_MS; now = clock_monotonic_ms(), n++) {
		rc = db_begin(d, e);
		for (size_t i = 0; i < records && rc == 0; i++)
			rc = insert(d, e);
		if (rc == 0)
			rc = db_commit(d, e);
	}
	if (rc == 0)
		(void)printf("\"commits_of_%zu\": %.0f", records, (double)n * 1000 / (double)(now - began));
	return rc;
}

int
main(int argc, char **argv)
{
	AUTO(db) d = NULL;
	struct err e = { 0 };

	if (argc != 2)
		return 2;
	(void)printf("{");
	if (db_open(&d, argv[1], &e) != 0 || audit_row_last(d, &last_id, (uint8_t[ROW_HASH_LEN]){ 0 }, &e) != 0 || measure(d, 1, &e) != 0)
		goto failed;
	(void)printf(", ");
	if (measure(d, 64, &e) != 0)
		goto failed;
	(void)printf("}\n");
	return 0;
failed:
	(void)fprintf(stderr, "bench-commits: %s\n", e.msg);
	return 1;
}
