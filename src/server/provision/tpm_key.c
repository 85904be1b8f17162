/* SPDX-License-Identifier: Apache-2.0 */
/* provision/tpm_key.c - the keys that a TPM was given: a new one to prove itself with, and the one that it proved */
#include <string.h>

#include "core/base/mem.h"
#include "core/base/rnd.h"
#include "core/base/text.h"
#include "server/provision/asking.h"
#include "server/provision/token.h"
#include "server/provision/tpm.h"

#define KEY_LEN 32

/*
 * Who knows the public half of an endorsement key can ask for a key, though only its TPM can open the answer.  So:
 * the proved key stays good until the new one is proved, and the new one stays the same, given out again in another
 * wrapping, for half of its time.  Nobody outside can take the key from a device that works, nor from one that is
 * proving itself.
 */
struct keys {
	bool has_proved, has_fresh;
	uint8_t proved[KEY_LEN], fresh[KEY_LEN];
};

#define KEYS_LEN (2 + 2 * KEY_LEN + SHA256_LEN) /* as sealed: two flags, two keys, the digest of the endorsement key */

/* What cannot be opened is none, and so are the keys of a TPM that was enrolled before: the device gets a new one. */
static void
load(struct keys *k, struct asking *s)
{
	const struct registration_row *r = &s->p->registration;
	char what[PROVISION_WHAT_MAX];
	uint8_t ek[SHA256_LEN];
	AUTO_BUF plain = { 0 };
	struct err e = { 0 };

	*k = (struct keys){ 0 };
	if (!s->known || r->key.n == 0)
		return;
	if (provision_open(&plain, s->f, provision_what_registration(what, s->registration), bytes_of_buf(&r->key), &e) != 0) {
		asking_note(s, TRACE_NO, "dps.key-unreadable", "%s", e.msg);
		return;
	}
	sha256(ek, bytes_of_buf(&s->enrolment.ek));
	if (plain.n != KEYS_LEN || memcmp(plain.p + KEYS_LEN - SHA256_LEN, ek, SHA256_LEN) != 0)
		return;
	k->has_proved = plain.p[0] == 1;
	k->has_fresh = plain.p[1] == 1;
	memcpy(k->proved, plain.p + 2, KEY_LEN);
	memcpy(k->fresh, plain.p + 2 + KEY_LEN, KEY_LEN);
}

static void
keep(const struct keys *k, struct asking *s)
{
	struct registration_row *r = &s->p->registration;
	char what[PROVISION_WHAT_MAX];
	uint8_t ek[SHA256_LEN];
	AUTO_BUF plain = { 0 };

	sha256(ek, bytes_of_buf(&s->enrolment.ek));
	buf_put_u8(&plain, k->has_proved);
	buf_put_u8(&plain, k->has_fresh);
	buf_put(&plain, k->proved, KEY_LEN);
	buf_put(&plain, k->fresh, KEY_LEN);
	buf_put(&plain, ek, sizeof(ek));
	buf_reset(&r->key);
	provision_seal(&r->key, s->f, provision_what_registration(what, s->registration), bytes_of_buf(&plain));
	s->p->put_registration = true;
}

/* A record to hold the key, of a device that has not registered. */
static int
new_record(struct asking *s, struct err *e)
{
	struct registration_row *r = &s->p->registration;
	bool taken;
	int rc;

	if (s->known)
		return 0;
	text_copy(r->device_id, sizeof(r->device_id), register_device_id(s));
	if ((rc = registration_row_taken(s->f->db, r->device_id, s->registration, &taken, e)) != 0)
		return rc;
	if (taken)
		return asking_refuse(s, 401, "dps.device-taken", "another registration has the device ID '%s'", r->device_id);
	text_copy(r->registration, sizeof(r->registration), s->registration);
	text_copy(r->status, sizeof(r->status), "unassigned");
	r->enrolment = s->enrolment.id;
	r->created_at = r->updated_at = s->now;
	return 0;
}

/* The key that is to be proved: the one that is under way, or a new one. */
static void
fresh_key(struct keys *k, struct asking *s)
{
	struct registration_row *r = &s->p->registration;

	if (k->has_fresh && r->key_expires > s->now + PROVISION_NONCE_S / 2 && r->key_expires <= s->now + PROVISION_NONCE_S)
		return;
	rnd_bytes(k->fresh, KEY_LEN);
	k->has_fresh = true;
	r->key_expires = s->now + PROVISION_NONCE_S;
	keep(k, s);
}

static int
answer(struct asking *s, struct bytes blob)
{
	json_t *v = json_object();

	json_object_set_new(v, "authenticationKey", json_base64(blob));
	text_copy(s->p->reason, sizeof(s->p->reason), "ok.tpm-challenge");
	text_copy(s->p->text, sizeof(s->p->text), "a key that only the enrolled TPM can open was given");
	asking_note(s, TRACE_OK, "tpm", "%s", s->p->text);
	return asking_answer(s, 401, v);
}

int
tpm_key_challenge(struct asking *s, struct err *e)
{
	const struct proto_ask *q = s->q;
	AUTO_BUF blob = { 0 };
	struct err why = { 0 };
	struct tpm_ek ek;
	struct tpm_srk srk;
	struct keys k;
	int rc;

	if (q->op != ASK_REGISTER || q->ek.n == 0)
		return asking_refuse(s, 401, "dps.no-proof", "the enrolment is by TPM, no token was presented");
	if (!bytes_equal(q->ek, bytes_of_buf(&s->enrolment.ek)))
		return asking_refuse(s, 401, "dps.tpm-other", "the endorsement key is not the one that was enrolled");
	if (!s->enrolment.enabled || (s->known && strcmp(s->p->registration.status, "disabled") == 0))
		return asking_refuse(s, 401, "dps.disabled", "the enrolment or the registration is disabled");
	if (tpm_ek_read(&ek, q->ek, &why) != 0 || tpm_srk_read(&srk, q->srk, &why) != 0)
		return asking_refuse(s, 401, "dps.tpm-key", "%s", why.msg);
	if ((rc = new_record(s, e)) != 0 || s->stop)
		return rc;
	load(&k, s);
	fresh_key(&k, s);
	rc = tpm_wrap(&blob, &ek, &srk, (struct bytes){ k.fresh, KEY_LEN }, &why);
	mem_wipe(&k, sizeof(k));
	if (rc != 0)
		return asking_refuse(s, 401, "dps.tpm-key", "%s", why.msg);
	return answer(s, bytes_of_buf(&blob));
}

int
tpm_key_proves(struct asking *s, struct err *e)
{
	struct registration_row *r = &s->p->registration;
	struct keys k;

	(void)e;
	load(&k, s);
	if (k.has_proved && token_signed(&s->q->token, (struct bytes){ k.proved, KEY_LEN })) {
		s->enrolled = true;
	} else if (!k.has_fresh || !token_signed(&s->q->token, (struct bytes){ k.fresh, KEY_LEN })) {
		(void)asking_refuse(s, 401, "dps.token-signature",
		    "the token is not signed with a key that the TPM was given, or with one that was replaced");
	} else if (r->key_expires <= s->now) {
		(void)asking_refuse(s, 401, "dps.tpm-late", "the TPM proved itself too late");
	} else {
		memcpy(k.proved, k.fresh, KEY_LEN);
		mem_wipe(k.fresh, KEY_LEN);
		k.has_proved = true;
		k.has_fresh = false;
		r->key_expires = 0;
		keep(&k, s);
		s->enrolled = true;
	}
	mem_wipe(&k, sizeof(k));
	return 0;
}
