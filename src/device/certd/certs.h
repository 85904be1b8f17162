/* SPDX-License-Identifier: Apache-2.0 */
/* certd/certs.h - the certificates on disk, where the original keeps them */
#ifndef DEVICE_CERTD_CERTS_H
#define DEVICE_CERTD_CERTS_H

#include "device/certd/settings.h"

#define CERTS_FILE_MAX ((size_t)256 * 1024)

/*
 * HOME/certs/STEM.cer, or the preloaded file.  An EST identity that is preloaded is the former when that exists, the copy
 * with which certd works, else the latter.  E_NOTFOUND for a list, E_FORMAT for a bad ID.
 */
int certs_path(char out[PLACE_MAX * 2], const struct certd_settings *s, const char *id, struct err *e) MUST_CHECK;
/* PEM as it stands; a list is its members joined (missing ones skipped, cycles refused).  E_NOTFOUND, E_IO, E_TOOBIG. */
int certs_read(struct buf *out, const struct certd_settings *s, const char *id, struct err *e) MUST_CHECK;
/* Of an EST identity that is preloaded: is there the copy? */
bool certs_has_copy(const struct certd_settings *s, const char *id);
/* E_POLICY when the ID is preloaded, and so nobody's to write or delete who asks for it from outside. */
int certs_check_ours(const struct certd_settings *s, const char *id, struct err *e) MUST_CHECK;
/*
 * Durable, 0644.  Preloaded IDs are read-only: E_POLICY; but of an EST identity the copy is written.  The directory is
 * made when missing.
 */
int certs_write(const struct certd_settings *s, const char *id, struct bytes pem, struct err *e) MUST_CHECK;
/* Is it one of the trusted_certs, or in a list that is? */
bool certs_is_anchor(const struct certd_settings *s, const char *id);
/* Durable; none there is success. */
int certs_delete(const struct certd_settings *s, const char *id, struct err *e) MUST_CHECK;
/* The first certificate of a PEM text; der is filled and borrowed by *out.  E_NOTFOUND, E_FORMAT. */
int certs_leaf(struct cert *out, struct buf *der, struct bytes pem, struct err *e) MUST_CHECK;
/* "file:///..." is read as it is unless it is preloaded as an ID; anything else is a certificate ID. */
int certs_read_any(struct buf *out, const struct certd_settings *s, const char *id_or_uri, struct err *e) MUST_CHECK;

#endif
