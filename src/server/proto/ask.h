/* SPDX-License-Identifier: Apache-2.0 */
/* proto/ask.h - what devices ask of the provisioning service and of the hub stand-in, between front and authority */
#ifndef SERVER_PROTO_ASK_H
#define SERVER_PROTO_ASK_H

#include "server/proto/proto.h"

enum ask_op {
	ASK_NONE,           /* zero: nothing is asked, nothing is granted */
	ASK_REGISTER,       /* PUT  /SCOPE/registrations/ID/register */
	ASK_OPERATION,      /* GET  /SCOPE/registrations/ID/operations/OPERATION */
	ASK_REGISTRATION,   /* POST /SCOPE/registrations/ID (device registration status) */
	ASK_MODULE_LIST,    /* GET  /devices/DEVICE/modules */
	ASK_MODULE_GET,     /* GET  /devices/DEVICE/modules/MODULE */
	ASK_MODULE_CREATE,  /* PUT  the same, without If-Match */
	ASK_MODULE_UPDATE,  /* PUT  with If-Match: * */
	ASK_MODULE_DELETE,  /* DELETE with If-Match: * */
	ASK_OP_COUNT
};
const char *ask_op_name(enum ask_op op); /* "register", "operation", ..., for records; "none" when there is none */

/* What an Authorization header said. */
enum ask_sas { ASK_SAS_NONE, ASK_SAS_GIVEN, ASK_SAS_MALFORMED, ASK_SAS_REPEATED, ASK_SAS_OTHER_SCHEME, ASK_SAS_COUNT };

#define ASK_ID_MAX      129    /* a registration ID, device ID or module ID, NUL included */
#define ASK_SR_MAX      400    /* the resource of a shared access signature, decoded */
#define ASK_PAYLOAD_MAX 16384  /* octets of a payload's JSON */

/* A shared access signature, taken apart; nothing in it is verified yet. */
struct ask_token {
	enum ask_sas state;
	char sr[ASK_SR_MAX];       /* as it stood in the header, and ... */
	char resource[ASK_SR_MAX]; /* ... percent-decoded once */
	char se[24];               /* digits: UTC seconds; as it stood */
	int64_t expires;
	char skn[65];              /* "" when absent */
	uint8_t sig[SHA256_LEN];
};

struct proto_ask {
	enum ask_op op;
	/*
	 * Who asks, as for an enrolment: id, address, tls, cert_*, anchor, has_cert, cert_subject; and a certificate
	 * signing request in a register call, judged (csr_status, csr; has_csr says whether there is one).
	 */
	struct proto_enrol q;
	uint8_t has_csr;
	struct ask_token token;
	char scope[ASK_ID_MAX];        /* ID scope of the path */
	char registration[ASK_ID_MAX]; /* of the path */
	char body_registration[ASK_ID_MAX]; /* of the body; "" when absent */
	char operation[65];
	char device[ASK_ID_MAX], module[ASK_ID_MAX]; /* of the path; the front saw that body members agree */
	char managed_by[65];           /* of the body */
	uint8_t has_keys;              /* an update that brings symmetric keys */
	uint8_t key[2][64];            /* primary and secondary, decoded: key_n octets each */
	uint32_t key_n[2];
	struct bytes payload;          /* JSON, compact; n 0: none */
	struct bytes ek, srk;          /* TPM2B_PUBLIC, as sent; n 0: none */
};

struct proto_asked {
	uint32_t status;
	uint32_t retry_after_s;        /* 0: none */
	char reason[PROTO_NAME_MAX];   /* for the front's log; "ok" */
	struct bytes body;             /* JSON; n 0: none (204) */
};

/* As proto_put_enrol() and proto_get_enrol(): decoders check everything and borrow what is struct bytes. */
void proto_clear_ask(struct proto_ask *v);
void proto_put_ask(struct buf *b, const struct proto_ask *v);
int proto_get_ask(struct proto_ask *v, struct bytes body, struct err *e) MUST_CHECK;
void proto_put_asked(struct buf *b, const struct proto_asked *v);
int proto_get_asked(struct proto_asked *v, struct bytes body, struct err *e) MUST_CHECK;

/*
 * Take "SharedAccessSignature sr=...&sig=...&se=...[&skn=...]" apart: each member once, in any order, sig standard
 * base64 of 32 octets (percent-encoded as a form is), se digits.  header NULL: ASK_SAS_NONE.  count: how many such headers
 * there were.
 */
void ask_token_parse(struct ask_token *t, const char *header, size_t count);

#endif
