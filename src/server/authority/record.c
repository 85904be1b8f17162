/* SPDX-License-Identifier: Apache-2.0 */
/* authority/record.c - how much of what changes nothing is recorded one by one */
#include <stdio.h>

#include "server/authority/authority.h"

/*
 * What is no certificate is recorded one by one only as fast as this, saved up for quieter times: nobody must be able
 * to fill the disk, neither strangers together nor one who is known.
 */
#define RECORDS_PER_S   1
#define STRANGERS_SAVED 20000
#define KNOWN_SAVED     1000

static struct bucket *
bucket_of(struct authority *a, const char *actor)
{
	uint64_t who = UINT64_C(14695981039346656037); /* FNV-1a: who shares a bucket by chance shares its rate and its count */

	if (actor[0] == 0)
		return &a->strangers;
	for (const char *p = actor; *p != 0; p++)
		who = (who ^ (uint8_t)*p) * UINT64_C(1099511628211);
	return &a->known[who % AUTHORITY_BUCKETS];
}

bool
record_allowed(struct authority *a, const char *actor, int64_t now)
{
	struct bucket *k = bucket_of(a, actor);
	int64_t most = actor[0] != 0 ? KNOWN_SAVED : STRANGERS_SAVED;

	k->left += (now - k->at) * RECORDS_PER_S;
	if (now < k->at || k->left > most)
		k->left = most;
	k->at = now;
	if (k->left > 0) {
		k->left--;
		return true;
	}
	a->dropped++;
	return false;
}

int
record_note_dropped(struct authority *a, int64_t now, struct err *e)
{
	struct audit_row r = { .time = now, .kind = "audit", .outcome = "note", .reason = "audit.not-recorded" };
	int rc;

	if (a->dropped == 0 || now < a->dropped_noted + 60)
		return 0;
	(void)snprintf(r.text, sizeof(r.text), "%lld refusals and retries came too fast and were only counted", (long long)a->dropped);
	if ((rc = audit_append(&a->fleet->audit, a->db, &r, e)) == 0) {
		a->dropped = 0;
		a->dropped_noted = now;
	}
	return rc;
}
