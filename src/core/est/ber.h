/* SPDX-License-Identifier: Apache-2.0 */
/* est/ber.h - answers of indefinite length, as some CAs' libraries write CMS, made definite */
#ifndef CORE_EST_BER_H
#define CORE_EST_BER_H

#include "core/pki/der.h"

/* Does it begin with a constructed element of indefinite length (X.690 8.1.3.6)? */
bool ber_is_indefinite(struct bytes b);
/*
 * Append the one element of b with all lengths definite and minimal; contents of primitive elements stay as they
 * are, so a certificate in DER comes out octet for octet.  Limits and tags as of der_check(), which has the last
 * word on the result.  E_FORMAT.
 */
int ber_to_definite(struct buf *out, struct bytes b, struct err *e) MUST_CHECK;

#endif
