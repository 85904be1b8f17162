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
/* A device has a few certificates, and renews them now and then: one that wants more is out of order, or out of its owner's hands. */
#define ISSUES_PER_S 1
#define ISSUES_SAVED 1000

/* FNV-1a, names in any case: who shares a bucket by chance shares its rate and its count. */
static struct bucket *
bucket_of(struct bucket buckets[AUTHORITY_BUCKETS], const char *who)
{
	uint64_t h = UINT64_C(14695981039346656037);

	for (const char *p = who; *p != 0; p++) {
		uint8_t c = (uint8_t)*p;

		h = (h ^ (c >= 'A' && c <= 'Z' ? c | 0x20u : c)) * UINT64_C(1099511628211);
	}
	return &buckets[h % AUTHORITY_BUCKETS];
}

static bool
take(struct bucket *k, int64_t per_s, int64_t most, int64_t now)
{
	k->left += (now - k->at) * per_s;
	if (now < k->at || k->left > most)
		k->left = most;
	k->at = now;
	if (k->left <= 0)
		return false;
	k->left--;
	return true;
}

bool
record_allowed(struct authority *a, const char *actor, int64_t now)
{
	bool allowed = actor[0] == 0 ? take(&a->strangers, RECORDS_PER_S, STRANGERS_SAVED, now) :
	    take(bucket_of(a->known, actor), RECORDS_PER_S, KNOWN_SAVED, now);

	a->dropped += !allowed;
	return allowed;
}

bool
record_may_issue(struct authority *a, const char *device, int64_t now)
{
	return take(bucket_of(a->issued, device), ISSUES_PER_S, ISSUES_SAVED, now);
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
