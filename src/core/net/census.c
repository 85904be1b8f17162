/* SPDX-License-Identifier: Apache-2.0 */
/* net/census.c - how many connections each neighbourhood of addresses, or local uid, has: a table with a secret hash */
#include "core/net/census.h"

#include <netinet/in.h>
#include <string.h>

#include "core/base/address.h"
#include "core/base/mem.h"
#include "core/base/rnd.h"

#define KEY_LEN (ADDRESS_LEN + 1) /* an address or a uid, and which of them */

enum kind { KIND_ADDRESS, KIND_UID, KIND_UID_APART };

struct census_entry {
	struct census_entry *next;
	size_t bucket, count;
	uint8_t key[KEY_LEN];
};

struct census {
	uint64_t secret[2]; /* so that nobody can choose addresses that share a bucket */
	size_t mask;
	struct census_entry **bucket;
};

struct census *
census_new(size_t expected)
{
	struct census *c = mem_zalloc(sizeof(*c));
	size_t n = 64;

	while (n < expected && n < (size_t)1 << 20)
		n *= 2;
	c->mask = n - 1;
	c->bucket = mem_zalloc_n(n, sizeof(struct census_entry *));
	rnd_bytes(c->secret, sizeof(c->secret));
	return c;
}

void
census_free(struct census *c)
{
	struct census_entry *next;

	if (c == NULL)
		return;
	for (size_t i = 0; i <= c->mask; i++) {
		for (struct census_entry *e = c->bucket[i]; e != NULL; e = next) {
			next = e->next;
			mem_free(e);
		}
	}
	mem_free(c->bucket);
	mem_free(c);
}

static void
make_key(uint8_t key[KEY_LEN], const struct sockaddr_storage *from)
{
	const struct sockaddr_in *in = (const void *)from;
	const struct sockaddr_in6 *in6 = (const void *)from;

	memset(key, 0, KEY_LEN);
	if (from->ss_family == AF_INET6) {
		memcpy(key, &in6->sin6_addr, ADDRESS_LEN);
		address_neighbourhood(key);
	} else if (from->ss_family == AF_INET) {
		key[10] = key[11] = 0xff;
		memcpy(key + 12, &in->sin_addr, 4);
	}
}

static size_t
bucket_of(const struct census *c, const uint8_t key[KEY_LEN])
{
	uint64_t a, b;
	unsigned __int128 m;

	memcpy(&a, key, 8);
	memcpy(&b, key + 8, 8);
	m = (unsigned __int128)(a ^ c->secret[0]) * (b ^ c->secret[1]);
	return (size_t)((uint64_t)m ^ (uint64_t)(m >> 64)) & c->mask;
}

static struct census_entry *
enter(struct census *c, const uint8_t key[KEY_LEN], size_t limit)
{
	struct census_entry *e;
	size_t b;

	if (limit == 0)
		return NULL;
	b = bucket_of(c, key);
	for (e = c->bucket[b]; e != NULL && memcmp(e->key, key, KEY_LEN) != 0; e = e->next)
		;
	if (e == NULL) {
		e = mem_zalloc(sizeof(*e));
		*e = (struct census_entry){ .next = c->bucket[b], .bucket = b };
		memcpy(e->key, key, KEY_LEN);
		c->bucket[b] = e;
	}
	if (e->count >= limit)
		return NULL;
	e->count++;
	return e;
}

struct census_entry *
census_enter(struct census *c, const struct sockaddr_storage *from, size_t limit)
{
	uint8_t key[KEY_LEN];

	make_key(key, from);
	return enter(c, key, limit);
}

struct census_entry *
census_enter_uid(struct census *c, uid_t uid, bool apart, size_t limit)
{
	uint8_t key[KEY_LEN] = { 0 };

	memcpy(key, &uid, sizeof(uid));
	key[KEY_LEN - 1] = apart ? KIND_UID_APART : KIND_UID;
	return enter(c, key, limit);
}

size_t
census_count(const struct census_entry *e)
{
	return e != NULL ? e->count : 0;
}

void
census_leave(struct census *c, struct census_entry *e)
{
	struct census_entry **at;

	if (e == NULL || --e->count != 0)
		return;
	for (at = &c->bucket[e->bucket]; *at != e; at = &(*at)->next)
		;
	*at = e->next;
	mem_free(e);
}
