/* SPDX-License-Identifier: Apache-2.0 */
/* ca/profile.h - what a kind of certificate looks like; a request never decides it */
#ifndef SERVER_CA_PROFILE_H
#define SERVER_CA_PROFILE_H

#include "core/pki/cert.h"

#define PROFILE_NAME_MAX     65  /* NUL included */
#define PROFILE_SUBJECT_MAX  256 /* NUL included */
#define PROFILE_EKU_MAX      8
#define PROFILE_TYPES_MAX    NAME_AVA_MAX
#define PROFILE_LIFETIME_MIN 60
#define PROFILE_LIFETIME_MAX (INT64_C(100) * 365 * 86400)
#define PROFILE_BACKDATE_MAX 86400
#define PROFILE_PATHLEN_MAX  15

#define PROFILE_KEYS_ALL ((1u << KEY_TYPE_COUNT) - 2u) /* every enum key_type but KEY_NONE */

/*
 * Which alternative names of one kind a request may have.  DEVICE (DNS and URI):
 * the name, or the URI's host, is the device's name itself or begins with it and a
 * dot ("pump-7" may be "pump-7.plant.example"), letters in any case.
 */
enum san_rule { SAN_RULE_NONE, SAN_RULE_DEVICE, SAN_RULE_ANY, SAN_RULE_COUNT };

struct profile {
	char name[PROFILE_NAME_MAX];
	int64_t lifetime_s;              /* from now to notAfter, at most */
	int64_t backdate_s;              /* so far in the past lies notBefore: clocks lag */
	bool ca;
	int pathlen;                     /* with ca; -1: none */
	uint32_t ku;                     /* KU_* */
	size_t n_eku;
	enum oid eku[PROFILE_EKU_MAX];
	char subject[PROFILE_SUBJECT_MAX]; /* "request", or a template "CN={device} Edge CA,O=x" */
	size_t n_subject_types;          /* with "request": the attributes that it may have */
	enum oid subject_types[PROFILE_TYPES_MAX];
	enum san_rule san[SAN_KIND_COUNT];
	uint32_t keys;                   /* bit i: enum key_type i */
	bool pointers;                   /* CRL and issuer URLs in the certificate */
};

/*
 * Profiles that every server begins with: "idevid", "device", "edge-ca", "tls-server";
 * "root" and "subordinate" are for our own CAs.  NULL when there is none of that name.
 */
const struct profile *profile_of_the_box(const char *name);
/* The i-th of them, for lists; NULL past the end.  The two of our own CAs come last. */
const struct profile *profile_of_the_box_at(size_t i);
/* Whether certificates of this kind may only be made for our own CAs ("root", "subordinate"). */
bool profile_is_internal(const char *name);

/* E_POLICY, the rule named, when certificates of this kind would break RFC 5280 or our invariants. */
int profile_valid(const struct profile *p, struct err *e) MUST_CHECK;

/*
 * One member by its name in docs/PROTOCOL.operator.md: lifetime ca pathlen ku eku
 * subject subject_types san_dns san_ip san_uri san_email keys pointers, and beside
 * them backdate and san_other.  Lists are names with commas between ("" is the
 * empty list), pathlen is a number or "none", ca and pointers are "true" or "false".
 * Checks the value alone: profile_valid() judges the whole.  E_FORMAT; E_NOTFOUND for another key.
 */
int profile_set(struct profile *p, const char *key, const char *value, struct err *e) MUST_CHECK;
/* Append the value as profile_set() takes it.  E_NOTFOUND. */
int profile_get(const struct profile *p, const char *key, struct buf *out) MUST_CHECK;
/* The i-th key, NULL past the end. */
const char *profile_key(size_t i);

/* "key=value" lines, "name" first; what the store keeps. */
void profile_to_text(struct buf *out, const struct profile *p);
/* The reverse, judged by profile_valid(); every key once.  Writes *out only on success. */
int profile_from_text(struct profile *out, struct bytes text, struct err *e) MUST_CHECK;

/*
 * The subject that a profile's template makes for a device; "{device}" stands for
 * its name, inside one value and never across it.  E_POLICY when it does not
 * fit (a common name has 64 characters).
 */
int profile_subject(struct name *out, const struct profile *p, const char *device,
    struct err *e) MUST_CHECK;

#endif
