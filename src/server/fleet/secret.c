/* SPDX-License-Identifier: Apache-2.0 */
/* fleet/secret.c - passwords, codes and secret values */
#include "server/fleet/secret.h"

#include <crypt.h>
#include <stdio.h>
#include <string.h>

#include "core/base/address.h"
#include "core/base/mem.h"
#include "core/base/rnd.h"
#include "core/base/text.h"
#include "core/pki/key.h"

#define CACHE_SLOTS   256
#define TRIES_SETS    4096
#define TRIES_WAYS    4 /* places of a set */
#define CACHE_SECONDS 600

struct verified {                 /* a password that was right */
	uint8_t tag[SHA256_LEN];  /* HMAC under the process key of user, password and verifier */
	int64_t until;
};

struct tries {
	uint64_t address;         /* keyed hash of address and minute */
	int64_t minute;
	unsigned n;
};

struct secret {
	uint8_t key[32], process_key[32];
	char dummy[192];          /* what an unknown user's password is compared with */
	struct verified cache[CACHE_SLOTS];
	struct tries tries[TRIES_SETS][TRIES_WAYS];
	int64_t crypt_second;
	unsigned crypts;
};

struct secret *
secret_new(const uint8_t key[32])
{
	struct secret *s = mem_zalloc(sizeof(*s));
	char any[SECRET_TEXT_MAX];

	memcpy(s->key, key, sizeof(s->key));
	rnd_bytes(s->process_key, sizeof(s->process_key));
	secret_make(any);
	if (secret_crypt(s->dummy, any, NULL) != 0)
		s->dummy[0] = 0; /* crypt(3) then refuses, which is what an unknown user gets anyhow */
	return s;
}

void
secret_free(struct secret *s)
{
	mem_free_wiped(s, sizeof(*s));
}

void
secret_make(char out[SECRET_TEXT_MAX])
{
	static const char alphabet[] = "23456789abcdefghjkmnpqrstuvwxyz_"; /* 32; '_' is never drawn */
	size_t n = 0;

	for (unsigned i = 0; i < 20; i++) {
		if (i != 0 && i % 4 == 0)
			out[n++] = '-';
		out[n++] = alphabet[rnd_below(sizeof(alphabet) - 2)];
	}
	out[n] = 0;
}

static void
keyed(const uint8_t key[32], const char *kind, const char *a, const char *b, uint8_t out[SHA256_LEN])
{
	AUTO_BUF text = { 0 };

	buf_printf(&text, "%s%c%s%c%s", kind, 0, a, 0, b);
	hmac_sha256(out, (struct bytes){ key, 32 }, bytes_of_buf(&text));
}

void
secret_hash(const struct secret *s, const char *kind, const char *value, char out[65])
{
	uint8_t h[SHA256_LEN];

	keyed(s->key, kind, value, "", h);
	text_hex(out, (struct bytes){ h, sizeof(h) });
}

void
secret_key(const struct secret *s, const char *use, uint8_t out[32])
{
	keyed(s->key, "key", use, "", out);
}

int
secret_crypt(char out[192], const char *password, struct err *e)
{
	char salt[CRYPT_GENSALT_OUTPUT_SIZE], seed[32];
	struct crypt_data *data = mem_zalloc(sizeof(*data));
	const char *got;

	rnd_bytes(seed, sizeof(seed));
	got = crypt_gensalt_rn("$y$", 0, seed, sizeof(seed), salt, sizeof(salt)) != NULL ?
	    crypt_rn(password, salt, data, sizeof(*data)) : NULL;
	if (got != NULL)
		(void)snprintf(out, 192, "%s", got);
	mem_free_wiped(data, sizeof(*data));
	return got != NULL ? 0 : err_set(e, E_CRYPTO, "password: crypt(3) cannot do yescrypt here");
}

static bool
crypt_matches(const char *password, const char *verifier)
{
	struct crypt_data *data = mem_zalloc(sizeof(*data));
	const char *got = crypt_rn(password, verifier, data, sizeof(*data));
	bool same = got != NULL && strlen(got) == strlen(verifier) && mem_equal_ct(got, verifier, strlen(verifier));

	mem_free_wiped(data, sizeof(*data));
	return same;
}

/*
 * The count of an address in this minute.  Counts are never forgotten within it: where all places of a set are taken,
 * the address shares the lowest count.  Each minute sets are drawn anew, so that nobody is met by the same ones again.
 */
static struct tries *
tries_of(struct secret *s, const char *address, int64_t now)
{
	char who[ADDRESS_TEXT_MAX], minute[24];
	uint8_t h[SHA256_LEN];
	uint64_t id;
	struct tries *set, *least;

	address_neighbourhood_text(address, who);
	(void)snprintf(minute, sizeof(minute), "%lld", (long long)(now / 60));
	keyed(s->process_key, "address", who, minute, h);
	memcpy(&id, h, sizeof(id));
	set = least = s->tries[id % TRIES_SETS];
	for (struct tries *t = set; t < set + TRIES_WAYS; t++) {
		if (t->minute != now / 60)
			*t = (struct tries){ .address = id, .minute = now / 60 };
		if (t->address == id)
			return t;
		if (t->n < least->n)
			least = t;
	}
	return least;
}

bool
secret_exhausted(struct secret *s, const char *address, int64_t now)
{
	return tries_of(s, address, now)->n >= SECRET_TRIES;
}

void
secret_wrong(struct secret *s, const char *address, int64_t now)
{
	tries_of(s, address, now)->n++;
}

/* May one more password be hashed this second? */
static bool
crypt_allowed(struct secret *s, int64_t now)
{
	if (s->crypt_second != now) {
		s->crypt_second = now;
		s->crypts = 0;
	}
	return s->crypts++ < SECRET_CRYPTS;
}

static bool
password_right(struct secret *s, const struct credential_row *cred, const char *password, int64_t now, bool *busy)
{
	uint8_t tag[SHA256_LEN];
	struct verified *v;

	keyed(s->process_key, cred->verifier, cred->user, password, tag);
	v = &s->cache[tag[0]];
	if (v->until > now && mem_equal_ct(v->tag, tag, sizeof(tag)))
		return true;
	*busy = !crypt_allowed(s, now);
	if (*busy || !crypt_matches(password, cred->verifier))
		return false;
	memcpy(v->tag, tag, sizeof(tag));
	v->until = now + CACHE_SECONDS;
	return true;
}

static bool
for_label(const struct credential_row *cred, const char *label)
{
	return cred->label[0] == 0 || strcmp(cred->label, label) == 0;
}

/* One that was used up lets nobody in again, however old: it names the asker of a retry. */
static bool
ended(const struct credential_row *cred, int64_t now)
{
	return cred->disabled || (cred->expires_at != 0 && cred->expires_at <= now && cred->uses_left != 0);
}

static enum header_factor
code_factor(const struct credential_row *cred, const char *label, int64_t now)
{
	if (ended(cred, now))
		return HEADER_EXPIRED;
	if (!for_label(cred, label))
		return HEADER_ELSEWHERE;
	return cred->uses_left == 0 ? HEADER_CODE_USED : HEADER_CODE;
}

static enum header_factor
password_factor(struct secret *s, const struct credential_row *cred, bool known, const char *label, const char *password,
    int64_t now)
{
	bool busy = false;

	if (!known) {
		if (!crypt_allowed(s, now))
			return HEADER_THROTTLED; /* as for a known one */
		(void)crypt_matches(password, s->dummy);
		return HEADER_WRONG;
	}
	if (!password_right(s, cred, password, now, &busy))
		return busy ? HEADER_THROTTLED : HEADER_WRONG;
	if (ended(cred, now))
		return HEADER_EXPIRED;
	if (!for_label(cred, label))
		return HEADER_ELSEWHERE;
	return cred->uses_left == 0 ? HEADER_PASSWORD_USED : HEADER_PASSWORD;
}

int
secret_judge_basic(struct secret *s, struct db *d, const char *label, const char *user, const char *password,
    const char *address, int64_t now, enum header_factor *out, struct credential_row *cred, struct err *e)
{
	struct tries *t = tries_of(s, address, now);
	char hash[65];
	int rc;

	*out = HEADER_THROTTLED;
	if (t->n >= SECRET_TRIES)
		return 0;
	secret_hash(s, "code", password, hash);
	rc = credential_row_by_verifier(d, "code", hash, cred, e);
	if (rc == 0) {
		*out = code_factor(cred, label, now);
		return 0;
	}
	if (rc != E_NOTFOUND)
		return rc;
	rc = credential_row_by_user(d, user, cred, e);
	if (rc != 0 && rc != E_NOTFOUND)
		return rc;
	*out = password_factor(s, cred, rc == 0, label, password, now);
	if (*out == HEADER_WRONG)
		t->n++;
	return 0;
}

int
secret_judge_value(struct secret *s, struct db *d, const char *label, const char *value, const char *address,
    int64_t now, enum secret_factor *out, struct credential_row *cred, struct err *e)
{
	struct tries *t = tries_of(s, address, now);
	char hash[65];
	int rc;

	*out = SECRET_WRONG;
	if (t->n >= SECRET_TRIES)
		return 0;
	secret_hash(s, "secret", value, hash);
	rc = credential_row_by_verifier(d, "secret", hash, cred, e);
	if (rc == E_NOTFOUND) {
		t->n++;
		return 0;
	}
	if (rc != 0)
		return rc;
	if (ended(cred, now))
		*out = SECRET_EXPIRED;
	else if (!for_label(cred, label))
		*out = SECRET_ELSEWHERE;
	else
		*out = cred->uses_left == 0 ? SECRET_USED : SECRET_RIGHT;
	return 0;
}
