/* SPDX-License-Identifier: Apache-2.0 */
/* fleet/label.h - an EST endpoint: which CA, which profile, who may come in, how names are bound */
#ifndef SERVER_FLEET_LABEL_H
#define SERVER_FLEET_LABEL_H

#include "server/fleet/decide.h"
#include "server/proto/proto.h"

enum reenrol { REENROL_STRICT, REENROL_FORCE_SUBJECT, REENROL_OFF };

struct label {
	char name[PROTO_NAME_MAX];
	char ca[PROTO_NAME_MAX], profile[PROTO_NAME_MAX];
	bool enabled, is_default;
	struct rule rule;                    /* who may come in */
	char secret_header[PROTO_NAME_MAX];
	enum reenrol reenrol;
	bool pop_required;
	bool chain;                          /* append the issuing CA to answers */
	bool cte;                            /* Content-Transfer-Encoding: base64 in answers */
	int64_t wrap;                        /* characters a line of base64; 0: one line */
	int64_t retry_window_s, grace_s;
	size_t n_bases;
	char base[PROTO_BASES_MAX][EST_BASE_MAX + 1]; /* base paths: other places where the endpoint stands */
	bool concurrent;                     /* a device may hold several certificates of this label at once; only simplereenroll renews one */
};

/* Is it one of the label's base paths? */
bool label_has_base(const struct label *l, const char *base);
void label_default(struct label *l, const char *name);
/* Set one member by its name in docs/PROTOCOL.operator.md.  E_USAGE names the key, the value and what was expected. */
int label_set(struct label *l, const char *key, const char *value, struct err *e) MUST_CHECK;
/* The i-th member's key and its value as text (appended); NULL after the last. */
const char *label_member(const struct label *l, size_t i, struct buf *value);
/* key=value lines and back; unknown keys are E_FORMAT. */
void label_to_text(const struct label *l, struct buf *out);
int label_from_text(struct label *l, const char *name, const char *text, struct err *e) MUST_CHECK;
/* A label's own consistency: CA and profile named, a way in, a header for secrets.  E_USAGE. */
int label_valid(const struct label *l, struct err *e) MUST_CHECK;

#endif
