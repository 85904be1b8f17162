/* SPDX-License-Identifier: Apache-2.0 */
/* service/policy.h - when a certificate is renewed, and when a renewal that failed is tried again; pure functions of time */
#ifndef DEVICE_SERVICE_POLICY_H
#define DEVICE_SERVICE_POLICY_H

#include "core/codec/toml.h"

/* "80%" of the life, or a span before its end ("60m", "60 min", "1 day", ...). */
struct policy_span {
	bool percent;
	int64_t n;             /* 1 to 99, or seconds above 0 */
};

struct policy {
	struct policy_span threshold; /* when to begin */
	struct policy_span retry;     /* the longest pause between tries: percent of the life, or seconds */
	bool rotate_key;
};
extern const struct policy policy_default; /* 80%, 4%, rotate */

/* E_FORMAT, saying what would be right. */
int policy_parse_span(struct policy_span *out, const char *text, struct err *e) MUST_CHECK;
/* The table identity_auto_renew or auto_renew; every member may be missing.  Also `auto_renew = true|false` where a value is given: *enabled. */
int policy_read(struct policy *out, bool *enabled, const struct toml *value, struct err *e) MUST_CHECK;

struct policy_life {
	int64_t not_before, not_after;
};
/*
 * When the renewal of this certificate begins: threshold, moved by up to 5 % of the rest of the life either way (jitter: 0 to
 * UINT32_MAX, stable for a generation), never after not_after.  Already due: a time <= now.  A life that is no life
 * (not_before >= not_after) is due at once; one that begins in the future is due by its threshold all the same.
 */
int64_t policy_begin(const struct policy *p, const struct policy_life *life, uint32_t jitter);
/*
 * How long to wait after the tries-th failure in a row (1, 2, ...): the upper half of an exponential from 30 s by jitter, at most 6 h, at
 * most the policy's retry, at most a twelfth of what is left of the life (but not under a minute or a hundredth of the
 * life, if that is less), after expiry at most 1 h; for lives under an hour the first pause is a hundredth of the life
 * (at least 1 s).  retry_after_s (-1 none) is honoured as the least, clamped to a day,
 * up to a tenth later by jitter, and at most half of what is left of the life.
 */
int64_t policy_pause(const struct policy *p, const struct policy_life *life, int64_t now, unsigned tries,
    uint32_t jitter, int64_t retry_after_s);

#endif
