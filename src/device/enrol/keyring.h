/* SPDX-License-Identifier: Apache-2.0 */
/* enrol/keyring.h - everything that a job does with keys of the Keys Service; a test may put its own in this place */
#ifndef DEVICE_ENROL_KEYRING_H
#define DEVICE_ENROL_KEYRING_H

#include "core/pki/key.h"
#include "device/enrol/job.h"

/* The pair `id` as a key that signs where it is kept.  Errors as of provider_key(), the ID named. */
int keyring_open(struct key **out, const struct job *j, const char *id, struct err *e) MUST_CHECK;
/* The same by a handle that the job's issuer_holder gave (keyd_delegate). */
int keyring_open_handle(struct key **out, const struct job *j, const char *handle, struct err *e) MUST_CHECK;
/* Make the pair unless it exists; algorithms "": the service's preference. */
int keyring_create(const struct job *j, const char *id, const char *algorithms, struct err *e) MUST_CHECK;
/* Append its SubjectPublicKeyInfo. */
int keyring_spki(struct buf *out, const struct job *j, const char *id, struct err *e) MUST_CHECK;
/* None there is success. */
int keyring_delete(const struct job *j, const char *id, struct err *e) MUST_CHECK;
/* Generations: keyd/client.h. */
int keyring_switch(const struct job *j, const char *id, const char *from, struct bytes spki, struct err *e) MUST_CHECK;
int keyring_prove(const struct job *j, const char *id, struct err *e) MUST_CHECK;
int keyring_rollback(const struct job *j, const char *id, struct err *e) MUST_CHECK;

#endif
