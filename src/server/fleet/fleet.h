/* SPDX-License-Identifier: Apache-2.0 */
/* fleet/fleet.h - the domain in memory: CAs, labels, profiles, anchors, over the store */
#ifndef SERVER_FLEET_FLEET_H
#define SERVER_FLEET_FLEET_H

#include "core/pki/cert.h"
#include "server/ca/issue.h"
#include "server/ca/profile.h"
#include "server/fleet/audit.h"
#include "server/fleet/label.h"
#include "server/fleet/scope.h"
#include "server/fleet/secret.h"
#include "server/store/ca_row.h"

#define FLEET_CAS      64
#define FLEET_LABELS   256
#define FLEET_PROFILES 256
#define FLEET_ANCHOR_BASE PROTO_ANCHOR_OUTSIDE /* anchor ids in messages: below, a CA of ours; from here on, an outside anchor's id */

/* A CA of ours with its certificate parsed once. */
struct ca {
	struct ca_row row;
	struct cert cert;              /* borrows row.der */
	struct issuer issuer;          /* what issue_tbs() wants; borrows the same */
	struct ca *parent;             /* NULL: a root */
};

struct fleet {
	struct db *db;                 /* borrowed */
	struct secret *secret;
	struct audit audit;
	size_t n_cas, n_labels, n_profiles;
	struct ca *ca[FLEET_CAS];
	struct label *label[FLEET_LABELS];
	struct profile *profile[FLEET_PROFILES];
};

/* Load everything; key: the store's keyed-hash key.  The profiles of the box are written to a store that has none. */
int fleet_open(struct fleet **out, struct db *d, const uint8_t key[32], struct err *e) MUST_CHECK;
void fleet_free(struct fleet *f);
AUTO_DEFINE(fleet, fleet_free)
/* Read CAs, labels and profiles again, after a change or a rollback; on failure what was there stays. */
int fleet_reload(struct fleet *f, struct err *e) MUST_CHECK;

/* Borrowed until the next reload; NULL when there is none. */
struct ca *fleet_ca(const struct fleet *f, const char *name);
struct ca *fleet_ca_by_id(const struct fleet *f, int64_t id);
const struct label *fleet_label(const struct fleet *f, const char *name); /* "": the default */
const struct profile *fleet_profile(const struct fleet *f, const char *name);
bool fleet_key_is_ours(const struct fleet *f, const uint8_t spki_sha256[SHA256_LEN]);
/* The chain of a CA, itself first, its root last; at most max. */
size_t fleet_chain(const struct ca *c, struct bytes *out, size_t max);

#endif
