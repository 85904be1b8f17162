/* SPDX-License-Identifier: Apache-2.0 */
/* est/est.h - RFC 7030, 8951, 9908 as functions of octets: the server's half */
#ifndef CORE_EST_EST_H
#define CORE_EST_EST_H

#include "core/pki/cert.h"
#include "core/pki/csr.h"
#include "core/pki/der.h"

#define EST_LABEL_MAX 64
#define EST_BASE_MAX  200                 /* octets of a base path */
#define EST_BODY_MAX  ((size_t)64 * 1024) /* octets of a request's body, before decoding */

enum est_op {
	EST_NONE, EST_CACERTS, EST_SIMPLEENROLL, EST_SIMPLEREENROLL, EST_CSRATTRS,
	EST_FULLCMC, EST_SERVERKEYGEN, /* known names, answered 404 until they are there */
	EST_OP_COUNT
};
struct est_op_row {
	enum est_op op;
	const char *name;    /* path segment */
	const char *method;  /* the only one */
	bool offered;
};
const struct est_op_row *est_op_row(enum est_op op);       /* never NULL */
bool est_is_op_name(const char *s);                        /* a label must not be one (RFC 7030 3.2.2) */

/* Where a request goes.  Either label or base is "", or both are. */
struct est_target {
	enum est_op op;
	char label[EST_LABEL_MAX + 1];
	char base[EST_BASE_MAX + 1]; /* a label's base path, as it stands in the URL: "/est/eu" */
};
/*
 * The target of a decoded path: "/.well-known/est[/label]/op" (RFC 7030 3.2.2), or under a base path
 * "BASE/op" and "BASE/.well-known/est/op".  A base path stands for its label, so no label follows it.  Which label has
 * it, if any, is the caller's to look up, by exact comparison.  E_NOTFOUND for anything else (two labels, empty
 * segments, other case, unknown operation), saying which part.
 */
int est_route(struct est_target *out, const char *path, struct err *e) MUST_CHECK;
/*
 * May it be a base path?  "/" and a segment, once or more; each segment up to EST_LABEL_MAX of [A-Za-z0-9._-] that begins with
 * a letter or digit, and is not an operation's name nor one that belongs to another service of the listener.  So no base path
 * has /.well-known or a dot segment in it, and no path is both one's operation and another's.  E_USAGE.
 */
int est_base_check(const char *base, struct err *e) MUST_CHECK;

/*
 * The DER of a request from its body: base64 wrapped anyhow, PEM armour ("CERTIFICATE REQUEST" or
 * "NEW CERTIFICATE REQUEST"), or raw DER as a courtesy.  `note` gets what was lenient ("PEM armour"), or "".
 * E_FORMAT, E_TOOBIG.
 */
int est_request_der(struct buf *der, struct bytes body, const char **note, struct err *e) MUST_CHECK;
/* May the Content-Type carry a PKCS#10?  NULL field: yes with a note (older clients).  E_FORMAT otherwise -> 415. */
int est_request_type(const char *field, const char **note, struct err *e) MUST_CHECK;

/* What stands in an Authorization field. */
enum est_auth { EST_AUTH_NONE, EST_AUTH_BASIC, EST_AUTH_UNSUPPORTED, EST_AUTH_MALFORMED };
/* user and password get sizes of EST_USER_MAX; count: how many such fields the request has (over 1 is malformed). RFC 7617, RFC 9110 11.6.2. */
#define EST_USER_MAX 129
enum est_auth est_auth_parse(const char *field, size_t count, char user[EST_USER_MAX], char password[EST_USER_MAX]);

/* Answers: base64 in lines of `wrap` with CRLF; the certificates in the order given, the leaf first. */
#define EST_TYPE_CACERTS  "application/pkcs7-mime"
#define EST_TYPE_ENROLLED "application/pkcs7-mime; smime-type=certs-only"
#define EST_TYPE_CSRATTRS "application/csrattrs"
void est_certs_body(struct buf *out, const struct bytes *certs, size_t n, size_t wrap);

/* What a label wants to see in requests (RFC 8951 4, RFC 9908 3). */
struct est_attrs_want {
	enum key_type key;         /* KEY_NONE: any */
	enum oid sig_alg;          /* OID_UNKNOWN: any */
	bool pop;                  /* challengePassword must be there */
	bool client_auth;          /* ask for EKU clientAuth by extensionRequest */
	const struct sans *san_hint; /* NULL: none; values go in as they are */
};
/* Append CsrAttrs DER; an empty SEQUENCE when nothing is wanted. */
void est_attrs_build(struct buf *der, const struct est_attrs_want *w);

/* One element of CsrAttrs: an OID, or an Attribute of that type with the contents of its SET. */
struct est_attr {
	struct bytes type;         /* OID contents */
	bool has_values;
	struct bytes values;
};
/* What a client makes of them.  Unknown elements are passed over (RFC 8951 4), also templates (RFC 9908 3.4). */
struct est_attrs {
	size_t n;                  /* elements, known or not */
	enum key_type key;         /* KEY_NONE: not said, or none that we make */
	bool pop;                  /* challengePassword is wanted */
};
/* Check CsrAttrs DER whole and stand before its first element; *list borrows der.  E_FORMAT, E_TOOBIG. */
int est_attrs_open(struct der *list, struct bytes der, struct err *e) MUST_CHECK;
/* The next element; false at the end. */
bool est_attrs_next(struct der *list, struct est_attr *out);
int est_attrs_parse(struct est_attrs *out, struct bytes der, struct err *e) MUST_CHECK;
/* Append a line an element for people: "ecPublicKey P-256". */
int est_attrs_text(struct buf *text, struct bytes der, struct err *e) MUST_CHECK;

#endif
