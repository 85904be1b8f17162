/* SPDX-License-Identifier: Apache-2.0 */
/* certd/est_job.h - from the settings of a certificate to the job that asks an EST server for it */
#ifndef DEVICE_CERTD_EST_JOB_H
#define DEVICE_CERTD_EST_JOB_H

#include "device/certd/certs.h"
#include "device/enrol/job.h"

enum est_as {
	EST_AS_IDENTITY,   /* the EST identity's pair, and Basic where given */
	EST_AS_BOOTSTRAP,  /* the bootstrap pair, Basic and secret headers where given */
	EST_AS_NOBODY,     /* Basic alone, or anonymous */
	EST_AS_ITSELF,     /* the pair of the entry with a pk that is renewed, and Basic where given */
};

/*
 * Fill URL (certd_url(s, id, fallback_url)), credentials (of certd_auth(s, owner)), trust, proxy and keyd's socket; the
 * request, and whether it is a /simplereenroll, are the caller's to add.  owner: the certificate whose auth settings
 * count (an identity is enrolled with its owner's).  What cannot be is E_NOTFOUND (not configured: which key to set
 * where) or E_IO/E_FORMAT (a certificate that cannot be read).  *j is written on success only.
 */
int est_job_fill(struct job *j, const struct certd_settings *s, const char *id, const char *owner, const char *fallback_url,
    enum est_as as, struct err *e) MUST_CHECK;
/*
 * The entry `is` needs its EST identity, which may have to be made: by which name (*name is the one that was asked for so
 * far, and stays when the settings know no better), and at which URL (NULL: none is configured, or its own).
 */
const char *est_job_identity(struct name *name, const struct certd_settings *s, const struct issuance *is);
/*
 * After any JOB_EST: keeps the successors of our anchors that its answer brought (anchors.h), when the anchors that are
 * configured now vouch for them; the worker's word is not enough.
 */
void est_job_learn(const struct certd_settings *s, const struct job_result *r);

#endif
