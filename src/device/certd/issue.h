/* SPDX-License-Identifier: Apache-2.0 */
/* certd/issue.h - POST /certificates: which way a certificate is issued, and doing it */
#ifndef DEVICE_CERTD_ISSUE_H
#define DEVICE_CERTD_ISSUE_H

#include "device/certd/engine.h"

/* pem is borrowed, NULL when e is set. */
typedef void (*issue_done)(void *ctx, const struct bytes *pem, const struct err *e);

struct issue_want {
	const char *id;
	struct bytes csr_pem;
	const char *issuer_cert;    /* explicit issuer, or NULL */
	const char *issuer_handle;
	uid_t uid;                  /* who asks */
};

struct issuer; /* the requests under way: one at a time for each ID, the rest wait */
struct issuer *issuer_new(struct loop *l, struct workers *w, struct engine *en);
void issuer_free(struct issuer *i);
/* Borrowed until the next call; a job under way keeps what it began with, later steps use these. */
void issuer_configure(struct issuer *i, const struct certd_settings *s);
/*
 * Check the request and begin.  E_USAGE when the caller's parameters are wrong (which one is e's first word: "csr",
 * "issuer.certId"), E_POLICY when the ID is preloaded; nothing is called back then.  Otherwise done is called once,
 * later: the certificate was checked, is on disk, and then only is it told.  Its e: E_PENDING (202: certd goes on
 * asking, and the same request later gets the certificate at once), E_UNAVAIL (later may do), E_POLICY (refused), E_IO.
 */
int issue_start(struct issuer *i, const struct issue_want *w, issue_done done, void *ctx, struct err *e) MUST_CHECK;

#endif
