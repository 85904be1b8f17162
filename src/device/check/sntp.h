/* SPDX-License-Identifier: Apache-2.0 */
/* check/sntp.h - what time is it elsewhere?  One question over UDP (RFC 4330) */
#ifndef DEVICE_CHECK_SNTP_H
#define DEVICE_CHECK_SNTP_H

#include "core/base/bytes.h"

#define SNTP_OCTETS  48
#define SNTP_MARK    8      /* octets of our own that the answer must repeat */

/* The question; mark is random and stands where our time would, which is nobody's business. */
void sntp_question(uint8_t out[SNTP_OCTETS], const uint8_t mark[SNTP_MARK]);
/* The server's time in UTC seconds.  E_FORMAT: no answer to this question; E_UNAVAIL: it says its clock is not set. */
int sntp_answer(int64_t *out, struct bytes message, const uint8_t mark[SNTP_MARK], struct err *e) MUST_CHECK;
/*
 * Ask "host", "host:port" or "[address]:port" (123 when not given); ms for the name, and for each of two of its
 * addresses.  *ahead: seconds by which our clock is ahead of it.  E_USAGE, E_UNAVAIL, E_FORMAT.
 */
int sntp_ask(int64_t *ahead, const char *server, unsigned ms, struct err *e) MUST_CHECK;

#endif
