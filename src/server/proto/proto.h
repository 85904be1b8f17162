/* SPDX-License-Identifier: Apache-2.0 */
/* proto/proto.h - the messages between the server's roles; docs/PROTOCOL.md is the text twin */
#ifndef SERVER_PROTO_PROTO_H
#define SERVER_PROTO_PROTO_H

#include "core/codec/wire.h"
#include "core/est/est.h"
#include "core/pki/csr.h"
#include "core/pki/trust.h"
#include "core/sys/peer.h"

/* Instance numbers tell fronts apart. */
enum role { ROLE_SUPERVISOR, ROLE_FRONT, ROLE_CONSOLE, ROLE_AUTHORITY, ROLE_SIGNER, ROLE_COURIER, ROLE_COUNT };
const char *role_name(enum role r);

enum proto_type {
	/* supervisor -> role */
	PROTO_SETTINGS = 1,   /* struct settings (settings.h); first message, and again on reload */
	PROTO_PEER,           /* u8 role, u32 instance; fd: a pipe to it (replaces an older one) */
	PROTO_LISTENER,       /* u8 enum listener, fd: a listening socket */
	PROTO_START,          /* no body: all descriptors are there, confine yourself and serve */
	PROTO_DRAIN,          /* no body: finish what is under way and exit 0 */
	PROTO_RELOADED,       /* struct proto_reloaded; to the authority alone: what came of a reload */
	/* role -> supervisor */
	PROTO_READY = 20,     /* str report of confinement, u8 weak */
	PROTO_RELOAD_WISH,    /* no body; authority asks on behalf of an operator to do what SIGHUP does */
	PROTO_UNLINKED,       /* no body: my pipe broke, and no other came; if who was at its end lives, link us again */
	/* authority -> front: a snapshot, sent to each front on connection and after each change */
	PROTO_SNAP_BEGIN = 40,
	PROTO_SNAP_LABEL,     /* struct proto_label */
	PROTO_SNAP_ANCHOR,    /* u32 id, bytes certificate DER */
	PROTO_SNAP_END,       /* the snapshot replaces the last one as a whole; its id comes back with SNAP_TAKEN */
	PROTO_PUBLISH,        /* str path ("/crl/issuing.crl"), str media type, str etag; fd: the file */
	PROTO_HEALTH,         /* u8 store ok, u8 signer ok, str detail; on change and each second */
	PROTO_SNAP_TAKEN,     /* front -> authority: no body; the snapshot of this id is in force */
	/* front -> authority */
	PROTO_ENROL = 60,     /* struct proto_enrol */
	PROTO_ENROLLED,       /* authority -> front: struct proto_enrolled */
	PROTO_SEEN,           /* front -> authority: str serial, bytes sha256 of one of our certificates, used in a handshake (proves a generation) */
	PROTO_ASK,            /* front -> authority: struct proto_ask (ask.h) */
	PROTO_ASKED,          /* authority -> front: struct proto_asked */
	/* console -> authority */
	PROTO_OP = 80,        /* bytes JSON {"verb","args","actor","token"}, bytes struct proto_enrol (the csr of cert.request; else empty) */
	PROTO_OP_ANSWER,      /* u32 HTTP status, bytes JSON {"ok":true,"result"} or {"ok":false,"error":{"code","message","hint"}} */
	/* authority -> signer */
	PROTO_KEYGEN = 100,   /* struct proto_keygen */
	PROTO_KEY_GET,        /* str key id */
	PROTO_KEY,            /* signer -> authority: str key id, u8 enum key_type, bytes SPKI */
	PROTO_SIGN,           /* str key id, u8 enum proto_what, bytes TBS */
	PROTO_SIGNED,         /* signer -> authority: bytes signature */
	PROTO_SIGN_REFUSED,   /* signer -> authority: i32 err_code, str why; the answer to KEYGEN, KEY_GET, SIGN or KEY_DROP */
	PROTO_KEY_DROP,       /* str key id; answered by PROTO_KEY, of the key that is gone: one that may be in use stays, see custody_drop() */
	/* authority -> courier */
	PROTO_FETCH = 120,    /* str https URL, bytes JSON: to be sent there by POST */
	PROTO_FETCHED,        /* courier -> authority: u8 tried, u32 HTTP status (0: no answer), str why ("" for 200), bytes body of a 200 */
};

enum proto_what { PROTO_WHAT_CERT = 1, PROTO_WHAT_CRL = 2 };
enum listener { LISTENER_DEVICE = 1, LISTENER_OPERATOR = 2, LISTENER_PUBLIC = 3, LISTENER_LOCAL = 4 };

#define PROTO_NAME_MAX 65   /* names of objects, NUL included */
#define PROTO_TEXT_MAX 400  /* one line for people */
#define PROTO_NOTES_MAX 1024
#define PROTO_BASES_MAX 4   /* base paths of a label */

/* Ids of anchors: below, a CA of ours; from here on, an outside anchor ... */
#define PROTO_ANCHOR_OUTSIDE 0x10000u
/* From here on, a CA that was uploaded for provisioning: no label ever takes what it issued. */
#define PROTO_ANCHOR_PROVISION 0x2000000u

#define PROTO_FETCH_MAX ((size_t)64 * 1024) /* octets of what is sent, and of what is answered */

/* What came of a reload: u8 asked (it answers a RELOAD_WISH), i32 enum err_code (0: in force), str why. */
struct proto_reloaded {
	uint8_t asked;
	int32_t code;
	char why[PROTO_TEXT_MAX];
};
void proto_put_reloaded(struct buf *out, const struct proto_reloaded *r);
int proto_get_reloaded(struct proto_reloaded *r, struct bytes body, struct err *e) MUST_CHECK;

/* A label as a front needs it. */
struct proto_label {
	char name[PROTO_NAME_MAX];         /* "" is the default one, sent beside its name */
	char title[PROTO_NAME_MAX];        /* its own name, also where `name` is "" */
	char profile[PROTO_NAME_MAX];      /* what its certificates are made by */
	uint8_t enabled;
	uint8_t pop_required;
	uint8_t send_cte;                  /* Content-Transfer-Encoding: base64 in answers */
	uint32_t wrap;
	uint8_t wants_basic;               /* a 401 makes sense */
	char secret_header[PROTO_NAME_MAX]; /* "" when the label takes none */
	struct bytes csrattrs;             /* CsrAttrs DER; n 0: none (204) */
	struct bytes cacerts;              /* certs-only DER of this label's chain */
	uint8_t n_bases;
	char base[PROTO_BASES_MAX][EST_BASE_MAX + 1]; /* est_base_check() lets each be one */
};

/* State of the secret header on a request. */
enum proto_secret { PROTO_SECRET_NONE, PROTO_SECRET_PRESENT, PROTO_SECRET_EMPTY, PROTO_SECRET_REPEATED, PROTO_SECRET_COUNT };

/* An enrolment as the front saw it.  Nothing here is ASN.1 that a device sent, but for the judged SPKI. */
struct proto_enrol {
	char id[32];                       /* the request's */
	enum est_op op;
	char label[PROTO_NAME_MAX];
	char address[PEER_TEXT_MAX];
	char tls[112];                     /* "TLSv1.3 TLS_AES_256_GCM_SHA384" */
	/* the client certificate */
	enum trust_state cert_state;
	uint32_t anchor;
	char cert_detail[160];
	uint8_t has_cert;
	uint8_t cert_sha256[SHA256_LEN];
	char cert_serial[41];
	int64_t cert_not_before, cert_not_after;
	uint8_t cert_ra;                   /* has EKU cmcRA */
	/* HTTP */
	enum est_auth auth;
	char user[EST_USER_MAX], password[EST_USER_MAX];
	enum proto_secret secret_state;
	char secret[EST_USER_MAX];
	/* the request; csr_status 0: csr is good; otherwise the HTTP status, reason code and text it is to be refused with */
	uint32_t csr_status;
	char csr_reason[PROTO_NAME_MAX];
	char csr_text[PROTO_TEXT_MAX];
	uint8_t pop;                       /* enum proto_pop */
	char notes[PROTO_NOTES_MAX];       /* what was lenient, "; " between */
	struct csr csr;                    /* spki borrows the message; challenge is not sent */
	/* of the client certificate */
	struct name cert_subject;          /* n 0 when it could not be read */
	struct sans cert_sans;
};
enum proto_pop { PROTO_POP_NONE, PROTO_POP_OK, PROTO_POP_BAD, PROTO_POP_UNAVAILABLE };

struct proto_enrolled {
	uint32_t status;                   /* 200, 202, 4xx, 5xx */
	char reason[PROTO_NAME_MAX];       /* "ok", "name.other-device", ... */
	char text[PROTO_TEXT_MAX];
	uint32_t retry_after_s;            /* 202, 429, 503 */
	uint8_t challenge;                 /* send WWW-Authenticate: Basic with a 401 */
	uint32_t n_certs;
	struct bytes cert[8];              /* DER, leaf first */
};

/* What a CA key may ever sign; fixed when it is made. */
struct proto_keygen {
	char id[PROTO_NAME_MAX];
	enum key_type type;
	uint8_t may_sign_ca;               /* CA certificates at all */
	int32_t max_pathlen;               /* largest pathLenConstraint in them; -1: also none */
	int64_t max_lifetime_s;            /* of any certificate */
	uint32_t max_per_s;                /* signatures; bursts of ten seconds' worth */
};

/*
 * Encoders append the body; decoders check everything (lengths, ranges of every enum
 * and flag, the text of names) and borrow what is struct bytes.  E_FORMAT: *v is as
 * it was, but for a proto_enrol, which is all zero.
 */
void proto_put_label(struct buf *b, const struct proto_label *v);
int proto_get_label(struct proto_label *v, struct bytes body, struct err *e) MUST_CHECK;
/* Nothing was presented: as if all of it were zero. */
void proto_clear_enrol(struct proto_enrol *v);
void proto_put_enrol(struct buf *b, const struct proto_enrol *v);
int proto_get_enrol(struct proto_enrol *v, struct bytes body, struct err *e) MUST_CHECK;
/* Nothing was presented: as if all of it were zero. */
void proto_clear_enrol(struct proto_enrol *v);
void proto_put_enrolled(struct buf *b, const struct proto_enrolled *v);
int proto_get_enrolled(struct proto_enrolled *v, struct bytes body, struct err *e) MUST_CHECK;
void proto_put_keygen(struct buf *b, const struct proto_keygen *v);
int proto_get_keygen(struct proto_keygen *v, struct bytes body, struct err *e) MUST_CHECK;

#endif
