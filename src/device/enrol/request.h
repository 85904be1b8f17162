/* SPDX-License-Identifier: Apache-2.0 */
/* enrol/request.h - the PKCS#10 of a job: somebody else's, or one made here with a key of the Keys Service */
#ifndef DEVICE_ENROL_REQUEST_H
#define DEVICE_ENROL_REQUEST_H

#include "core/pki/csr.h"
#include "device/enrol/job.h"

struct request {
	const struct job *j;
	struct buf der;              /* the given one, or one without a channel binding */
	struct csr csr;              /* of a given one, parsed; borrows der */
	struct key *key;             /* signs those made here; NULL: given */
	struct buf old_der;          /* the certificate to renew; n 0: none */
	struct cert old;             /* borrows old_der */
	/* What the certificate is to say. */
	struct bytes spki;
	const struct name *subject;  /* NULL: of old, in a form that name_parse() does not take */
	const struct sans *sans;     /* never NULL */
	bool ca;
	struct err key_error;        /* of request_build(); code 0: none */
};

/*
 * Read old and request, or create and open the key (r->spki then, whatever comes later).  A request that is not strict
 * or not signed by its key is JOB_REQUEST_REFUSED with the reason; what fails is settled in *r.
 */
int request_open(struct request *q, const struct job *j, struct job_result *r) MUST_CHECK;
void request_close(struct request *q);
/* Append the DER of a request made here; challenge NULL: none.  Not for given ones. */
int request_build(struct buf *der, struct request *q, const char *challenge, struct err *e) MUST_CHECK;

#endif
