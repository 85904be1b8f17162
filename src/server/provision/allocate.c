/* SPDX-License-Identifier: Apache-2.0 */
/* provision/allocate.c - the hub of a registration: static, hashed, by latency, or by a webhook */
#include <string.h>

#include "core/base/text.h"
#include "server/provision/asking.h"
#include "server/provision/ids.h"

#define FRACTION 24 /* bits behind the point of a logarithm */

/* Minus the binary logarithm of a fraction (u + 1) / 2^64, with FRACTION bits behind the point: exact on every machine. */
static uint64_t
minus_log2(uint64_t u)
{
	unsigned top = 63 - (unsigned)__builtin_clzll(u | 1);
	uint64_t log = (uint64_t)top << FRACTION;
	uint64_t m = u << (63 - top); /* 1.63, at least 1 */

	for (unsigned i = 0; i < FRACTION; i++) {
		unsigned __int128 square = (unsigned __int128)m * m;

		if ((square >> 127) != 0) {
			log |= UINT64_C(1) << (FRACTION - 1 - i);
			m = (uint64_t)(square >> 64);
		} else {
			m = (uint64_t)(square >> 63);
		}
	}
	return ((uint64_t)64 << FRACTION) - log;
}

/*
 * Each hub draws, by a hash of its name and the registration's, a number that is distributed like the waiting time for an
 * event; the shorter wins, and a weight shortens it.  A hub that is added takes only what it wins; one
 * that goes gives away only what it had.
 */
uint64_t
allocate_bid(const char *hub, const char *registration)
{
	uint8_t h[SHA256_LEN];
	AUTO_BUF text = { 0 };
	uint64_t u = 0;

	for (const char *p = hub; *p != 0; p++)
		buf_put_u8(&text, (uint8_t)(*p >= 'A' && *p <= 'Z' ? *p - 'A' + 'a' : *p));
	buf_printf(&text, "\n%s", registration);
	sha256(h, bytes_of_buf(&text));
	for (size_t i = 0; i < sizeof(u); i++)
		u = u << 8 | h[i];
	return minus_log2(u | 1);
}

bool
allocate_wins(uint64_t bid, int64_t weight, uint64_t other_bid, int64_t other_weight)
{
	return bid * (uint64_t)other_weight < other_bid * (uint64_t)weight; /* 31 bits by 10 */
}

/* Where the hub stands in the enrolment's list, from 1; all are at 1 when it has none; 0: nowhere. */
static size_t
place_in(const char *list, const char *hub)
{
	size_t n = strlen(hub), place = 0;
	char name[ROW_TEXT_MAX];

	if (list[strspn(list, " ")] == 0)
		return 1;
	for (list += strspn(list, " "); *list != 0; list += strspn(list, " ")) {
		size_t word = strcspn(list, " ");

		place++;
		text_copy(name, word + 1 < sizeof(name) ? word + 1 : sizeof(name), list);
		if (word == n && ids_equal(name, hub))
			return place;
		list += word;
	}
	return 0;
}

bool
allocate_may(const struct enrolment_row *n, const struct hub_row *r)
{
	return r->enabled && place_in(n->hubs, r->name) != 0;
}

struct hubs {
	const struct enrolment_row *enrolment;
	const char *registration, *had;
	struct hub_row best;             /* name "": none yet */
	size_t best_place;
	uint64_t best_bid;
	bool had_allowed;
};

static bool
better(const struct hubs *h, const struct hub_row *r, size_t place, uint64_t bid)
{
	if (h->best.name[0] == 0)
		return true;
	if (strcmp(h->enrolment->allocation, "hashed") == 0)
		return allocate_wins(bid, r->weight, h->best_bid, h->best.weight);
	if (strcmp(h->enrolment->allocation, "latency") == 0)
		return r->latency_ms < h->best.latency_ms;
	return place < h->best_place;
}

static int
consider(void *ctx, struct hub_row *r)
{
	struct hubs *h = ctx;
	size_t place = place_in(h->enrolment->hubs, r->name);
	uint64_t bid;

	if (!allocate_may(h->enrolment, r))
		return 0;
	if (h->had != NULL && ids_equal(r->name, h->had))
		h->had_allowed = true;
	bid = h->registration != NULL ? allocate_bid(r->name, h->registration) : 0;
	if (!better(h, r, place, bid))
		return 0;
	h->best = *r;
	h->best_place = place;
	h->best_bid = bid;
	return 0;
}

int
allocate_allows(struct db *d, const struct enrolment_row *r, const char *hub, bool *allowed, struct err *e)
{
	struct hubs h = { .enrolment = r, .had = hub };
	int rc = hub_row_scan(d, consider, &h, e);

	*allowed = rc == 0 && h.had_allowed;
	return rc;
}

/*
 * A device stays where it is unless its enrolment says "migrate"; then it moves when its hub is gone for it, or when
 * the allocation now says another one.  Static allocation says nothing of those that have a hub.
 */
int
allocate(struct asking *s, char hub[ROW_TEXT_MAX], bool *ask, struct err *e)
{
	const struct enrolment_row *n = &s->enrolment;
	const char *had = s->known ? s->p->registration.hub : "";
	bool may_move = strcmp(n->reprovision, "migrate") == 0;
	struct hubs h = { .enrolment = n, .registration = s->registration, .had = had };
	int rc = hub_row_scan(s->f->db, consider, &h, e);

	*ask = false;
	if (rc != 0)
		return rc;
	if (had[0] != 0 && (!may_move || (h.had_allowed && strcmp(n->allocation, "static") == 0))) {
		text_copy(hub, ROW_TEXT_MAX, had);
		return 0;
	}
	*ask = strcmp(n->allocation, "webhook") == 0 && h.best.name[0] != 0;
	text_copy(hub, ROW_TEXT_MAX, h.best.name);
	return 0;
}
