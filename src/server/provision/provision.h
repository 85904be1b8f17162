/* SPDX-License-Identifier: Apache-2.0 */
/* provision/provision.h - one question of a device to the provisioning service or the hub stand-in: decided, recorded */
#ifndef SERVER_PROVISION_PROVISION_H
#define SERVER_PROVISION_PROVISION_H

#include "server/fleet/fleet.h"
#include "server/proto/ask.h"
#include "server/store/provision_row.h"

#define PROVISION_ANCHOR_BASE PROTO_ANCHOR_PROVISION /* anchor ids in messages: from here on, an uploaded CA (dps_ca_row id) */
#define PROVISION_MODULES_MAX 100        /* of one device */
#define PROVISION_SKEW_S      300        /* a token may have ended so long ago, or end beyond a day so much later */
#define PROVISION_TOKEN_S     86400      /* the longest life of a token that is taken */
#define PROVISION_NONCE_S     600        /* how long a TPM has to prove itself with the key that it was given */

/* The outcome; provision_clear() gives its memory back. */
struct provision {
	int64_t at;                      /* when it was decided */
	unsigned status;
	uint32_t retry_after_s;
	char reason[PROTO_NAME_MAX];     /* "ok", "dps.name", "dps.token-expired", "hub.not-yours", ... */
	char text[PROTO_TEXT_MAX];       /* why, for the record; strangers are told less */
	struct buf body;                 /* JSON for the device; n 0: none */
	/* for the record */
	char op[24], actor[160], device[PROVISION_ID_MAX];
	struct buf trace;                /* trace_add() lines */
	bool silent;                     /* a plain read that succeeded: nothing is recorded */
	/* What is to be written. */
	bool put_registration;
	struct registration_row registration;
	enum { PROVISION_NO_MODULE, PROVISION_PUT_MODULE, PROVISION_REMOVE_MODULE } module_change;
	struct module_row module;
	/* After the commit: whom to ask for the hub; "": nobody.  The answer goes to provision_allocated(). */
	char webhook[ROW_TEXT_MAX];
	struct buf webhook_body;         /* JSON */
	/*
	 * A certificate is to be issued with it, as this label would: "" none.  Whoever issues it (authority) puts it
	 * into the body by provision_issued().
	 */
	char label[ROW_NAME_MAX];
	bool renewed;                    /* by who presents a certificate that was renewed already: only its retry is answered */
	int64_t longest_s;               /* its longest life; 0: the profile's */
};
void provision_clear(struct provision *p);

/*
 * Decide.  Reads the store, writes nothing.  Tables that deny by default: an individual enrolment comes before any group,
 * also when it is disabled.  E_UNAVAIL or E_IO when the store fails (*p is then a refusal with status 503); a refusal is
 * no error.  Bodies of refusals: {"errorCode":401002,"trackingId":ID,"message":TEXT,"timestampUtc":TIME}
 * (hub: {"Message":TEXT,"ExceptionMessage":"","trackingId":ID}).
 */
int provision_decide(struct provision *p, struct fleet *f, const struct proto_ask *q, int64_t now, struct err *e) MUST_CHECK;
/* Write the outcome (registration, modules, device's last contact, audit record) inside the caller's transaction. */
int provision_record(struct provision *p, struct fleet *f, const struct proto_ask *q, int64_t now, struct err *e) MUST_CHECK;
/* Turn a decision into a refusal: nothing is written but the record. */
void provision_refuse(struct provision *p, const struct proto_ask *q, unsigned status, const char *reason,
    const char *fmt, ...) PRINTF(5, 6);
/* Put the chain that was issued (DER, leaf first) into the body. */
void provision_issued(struct provision *p, const struct bytes *chain, size_t n);

/*
 * A webhook's answer for a registration that is "assigning" under this operation (otherwise E_NOTFOUND): hub name and
 * optional payload from its JSON, which must name a hub of the enrolment; or why there is none (answer.n 0).  Fills
 * put_registration and what is recorded; provision_record() writes it (q NULL).
 */
int provision_allocated(struct provision *p, struct fleet *f, const char *registration, const char *operation,
    struct bytes answer, const char *why, int64_t now, struct err *e) MUST_CHECK;

/* The fleet's ID scope ("0ne" and eight digits or letters); made once (inside the caller's transaction), kept for ever. */
int provision_scope(char out[ASK_ID_MAX], struct db *d, bool make, struct err *e) MUST_CHECK; /* E_NOTFOUND: not made yet */

/*
 * Secrets at rest, under the store's own key (AES-256-GCM); `what` binds them to their use, so that a row of the store
 * cannot be given another's.  It is what these write: for enrolment_row.key[i] by kind and name, registration_row.key,
 * and module_row.key[i].
 */
#define PROVISION_WHAT_MAX 320
const char *provision_what_enrolment(char out[PROVISION_WHAT_MAX], bool individual, const char *name, size_t i);
const char *provision_what_registration(char out[PROVISION_WHAT_MAX], const char *registration);
const char *provision_what_module(char out[PROVISION_WHAT_MAX], const char *device, const char *module, size_t i);
void provision_seal(struct buf *out, const struct fleet *f, const char *what, struct bytes secret);
int provision_open(struct buf *out, const struct fleet *f, const char *what, struct bytes sealed, struct err *e) MUST_CHECK;

/* Registration IDs: 1 to 128 of a-z A-Z 0-9 - . _ :, first and last a letter or digit (last also '-'); E_FORMAT.  Device and
 * module IDs: 1 to 128 of the hub's character set. */
int provision_check_registration(const char *id, struct err *e) MUST_CHECK;
int provision_check_device(const char *id, struct err *e) MUST_CHECK;
/* A hub's name: host or host:port, no scheme; E_FORMAT. */
int provision_check_hub(const char *name, struct err *e) MUST_CHECK;
/* The key of one device of a group by symmetric key: HMAC-SHA256(group key, registration ID in lower case). */
void provision_derive(uint8_t out[SHA256_LEN], struct bytes group_key, const char *registration);

/*
 * Is an uploaded CA's key proved?  proof is a certificate that it issued, with CN = code, in its time.  E_AUTH says what
 * does not fit.
 */
int provision_check_proof(struct bytes ca, struct bytes proof, const char *code, int64_t now, struct err *e) MUST_CHECK;

#endif
