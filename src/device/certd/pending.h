/* SPDX-License-Identifier: Apache-2.0 */
/* certd/pending.h - requests that an EST server answered with 202: remembered, and asked for again (RFC 7030 4.2.3) */
#ifndef DEVICE_CERTD_PENDING_H
#define DEVICE_CERTD_PENDING_H

#include "core/pki/csr.h"
#include "core/sys/loop.h"

#define PENDING_MAX     64                /* at once; whoever may ask for certificates can reach it, the oldest goes */
#define PENDING_LIFE_MS UINT64_C(1209600000) /* 14 days: for so long is asked */
#define PENDING_KEPT_MS UINT64_C(86400000)   /* a day: for so long the certificate waits for whoever asked first */

/* At most one for an ID, in memory alone: a request is repeated by whoever made it, after a restart too. */
struct pendings;

/* Ask again now with this CSR (DER); the outcome comes back as pendings_wait(), _issued() or _drop(). */
typedef void (*pendings_poll)(void *ctx, const char *id, struct bytes csr_der);

struct pendings *pendings_new(struct loop *l, pendings_poll fn, void *ctx);
void pendings_free(struct pendings *p);
/*
 * The server wants more time: poll in retry_after_s (-1: not said).  Another request for the same ID (another key, or
 * other names) is forgotten for this one.
 */
void pendings_wait(struct pendings *p, const char *id, const struct csr *csr, struct bytes der, int64_t retry_after_s);
/* A poll brought the certificate (written already): kept for whoever asked first. */
void pendings_issued(struct pendings *p, const char *id, const struct csr *csr, struct bytes pem);
void pendings_drop(struct pendings *p, const char *id);
/*
 * Is the same request (key, names) known?  With its certificate, that is appended to pem and the request is forgotten:
 * who comes again after it was fetched wants a new one.
 */
bool pendings_take(struct pendings *p, const char *id, const struct csr *csr, struct buf *pem);

#endif
