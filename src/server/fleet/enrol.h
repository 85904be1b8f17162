/* SPDX-License-Identifier: Apache-2.0 */
/* fleet/enrol.h - the decision on one enrolment: who, may he, which names, what is signed, what is recorded */
#ifndef SERVER_FLEET_ENROL_H
#define SERVER_FLEET_ENROL_H

#include "server/fleet/fleet.h"
#include "server/store/cert_row.h"
#include "server/store/device_row.h"

enum enrol_kind { ENROL_REFUSED, ENROL_REPLAYED /* a retry: the same certificate again */, ENROL_ISSUE };

/*
 * Somebody else vouches for the request, so nothing that came with it is asked who it is: an operator (no label, any
 * name), or the provisioning service (a label's profile and CA, and the one name of the device that registered).
 */
struct enrol_operator {
	const char *actor;
	const struct profile *profile;
	struct ca *ca;
	int64_t lifetime_s;            /* 0: the profile's; of the provisioning service: no longer than that */
	const struct label *label;     /* for the record, and its rules on the request itself; NULL: none */
	const char *device;            /* the only name that the request may carry; NULL: any */
	bool renewed;                  /* the certificate that was presented was renewed already: a retry, or two hold this identity */
};

/* The outcome; enrol_clear() gives its memory back. */
struct enrol {
	enum enrol_kind kind;
	unsigned status;
	bool challenge;
	uint32_t retry_after_s;
	char reason[PROTO_NAME_MAX], text[PROTO_TEXT_MAX];
	/* for the record */
	char id[32], op[16], label[PROTO_NAME_MAX], address[PEER_TEXT_MAX];
	char actor[160], device[DEVICE_NAME_MAX];
	int64_t device_id;             /* 0: not known yet */
	struct buf trace;
	bool fork;                     /* mark the device forked and raise an event */
	int64_t credential[2];         /* to be used up: of the header and of the secret header; 0: none */
	int64_t prove;                 /* id of the certificate presented, when it is seen for the first time; else 0 */
	/* ENROL_ISSUE: what is to be signed by key_id.  ENROL_REPLAYED: cert is the old one. */
	char key_id[PROTO_NAME_MAX];
	struct buf tbs;
	enum oid sig_alg;
	struct cert_row cert;
	bool append_chain;
	const struct ca *ca;           /* borrowed from the fleet until its next reload */
};
void enrol_clear(struct enrol *x);

/*
 * Decide.  Reads the store, writes nothing.  E_UNAVAIL or E_IO when the store fails (then *x is a refusal with
 * status 503); a refusal of the request is no error.  op_request NULL: a device's request.
 */
int enrol_decide(struct enrol *x, struct fleet *f, const struct proto_enrol *q, const struct enrol_operator *op_request,
    int64_t now, struct err *e) MUST_CHECK;
/*
 * Write the outcome (certificate, device, credential, audit record, event) inside the caller's transaction.  signature: of
 * x->tbs, for ENROL_ISSUE.
 */
int enrol_record(struct enrol *x, struct fleet *f, struct bytes signature, int64_t now, struct err *e) MUST_CHECK;
/* Turn a decision into a refusal, e.g. when the signer is away. */
void enrol_refuse(struct enrol *x, unsigned status, const char *reason, const char *fmt, ...) PRINTF(4, 5);
/* Do two outcomes touch the same device or credential, so that they must not share a batch? */
bool enrol_conflict(const struct enrol *a, const struct enrol *b);

#endif
