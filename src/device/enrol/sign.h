/* SPDX-License-Identifier: Apache-2.0 */
/* enrol/sign.h - what a locally issued certificate says: decided by the issuance entry, asked for by the request */
#ifndef DEVICE_ENROL_SIGN_H
#define DEVICE_ENROL_SIGN_H

#include "core/pki/csr.h"
#include "device/enrol/job.h"

struct sign_plan {
	const struct name *subject;  /* borrowed from job or request */
	const struct sans *sans;     /* the same; NULL: none */
	bool ca;
	int pathlen;                 /* with ca; -1: none */
	uint32_t ku;
	size_t n_eku;
	enum oid eku[CERT_EKU_MAX];
};

/*
 * Decide; nothing is written from the request but names and usages that the entry allows.  CA only with allow_ca,
 * its path length the least of request's, entry's and what the issuer has room for (CA certificates that may follow
 * it; -1: any number).  Without a wish the key usage is what the key can do, or a CA needs; extended ones: none.
 * E_POLICY, saying what the request wants and may not.
 */
int sign_plan(struct sign_plan *p, const struct job *j, const struct csr *csr, int room, struct err *e) MUST_CHECK;

#endif
