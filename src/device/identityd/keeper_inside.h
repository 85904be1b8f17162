/* SPDX-License-Identifier: Apache-2.0 */
/* identityd/keeper_inside.h - the identity certificate's keeper, for its two files alone: seeing that it is there, renewing it */
#ifndef DEVICE_IDENTITYD_KEEPER_INSIDE_H
#define DEVICE_IDENTITYD_KEEPER_INSIDE_H

#include "core/pki/cert.h"
#include "device/identityd/identityd_inside.h"

#define KEEPER_ALGORITHMS "ec-p256:rsa-2048:*" /* of a key that is made here */

/* Each step is in the journal before it is taken; see ARCHITECTURE.md. */
enum step {
	STEP_IDLE,      /* one pair; no journal */
	STEP_ISSUING,   /* the key ID-temp may exist, and so may the certificate ID-temp */
	STEP_ISSUED,    /* both do; the service is asked whether it takes them */
	STEP_CONFIRMED, /* it does: the key is switched, then the certificate is put in the place of the old one */
	STEP_COUNT
};

struct waiter {
	struct waiter *next;
	keeper_fn fn;
	void *ctx;
};

struct keeper {
	struct identityd *d;
	struct loop_late *late;
	/* the pair in force, as far as it is known */
	char *chain;                   /* PEM; NULL: not read yet */
	struct policy_life life;
	char subject[NAME_TEXT_MAX], serial[2 * CERT_SERIAL_MAX + 1];
	struct name name;
	uint32_t jitter;
	/* seeing to it that it is there */
	struct waiter *waiters;
	struct tasks_ticket *looking;
	/* its renewal */
	enum step step;
	struct tasks_ticket *working;
	bool switching;                /* keyd or certd are being told: nobody may see half of it */
	bool rotate;                   /* as it was when this renewal began */
	char *new_chain;
	json_t *journal;               /* what is on disk; NULL: none */
	unsigned tries, refused, tidy_tries;
	int64_t next;                  /* not before; 0: by the policy */
	char last_error[TASK_TEXT_MAX], last_outcome[24];
	int64_t last_error_at;
};

static inline const struct identityd_settings *
settings(const struct keeper *k)
{
	return k->d->settings;
}

/* keeper.c: the pair in force */
int keeper_take_chain(struct keeper *k, const char *pem, struct err *e) MUST_CHECK;
bool keeper_leaf_has_key(const char *pem, const char *spki_base64);
json_t *keeper_subject(const struct name *n);        /* as tasks want it */
void keeper_looked(void *ctx, const struct err *why); /* for keeper_ensure(), when nobody else asks: go on with what is due */

/* renewal.c: its journal and steps */
const char *renewal_step_name(enum step step);
void renewal_read_journal(struct keeper *k);
void renewal_advance(struct keeper *k);              /* what is due, if nothing is under way */

#endif
