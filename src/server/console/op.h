/* SPDX-License-Identifier: Apache-2.0 */
/* console/op.h - an operator's request as the message that the authority gets, and its answer; pure */
#ifndef SERVER_CONSOLE_OP_H
#define SERVER_CONSOLE_OP_H

#include "core/base/bytes.h"

#define OP_VERB_MAX  48
#define OP_TOKEN_MAX 256 /* characters of a bearer token, NUL included */
#define OP_BODY_MAX  ((size_t)256 * 1024)

/* Who asks, as the connection shows it. */
struct op_caller {
	const char *id;       /* of the request */
	const char *actor;    /* "local:uid=0", or "" when the token says who */
	const char *token;    /* "" when the socket says who */
	const char *address;
	const char *tls;      /* "TLSv1.3 TLS_AES_256_GCM_SHA384", or "" */
};

/*
 * Append the body of PROTO_OP for a request {"verb", "args"}: bytes JSON, bytes
 * enrol.  The request's members are those two and nothing else: who asks is not the asker's to say.
 * For cert.request args.csr (PEM or base64) is judged here, where ASN.1 is taken apart, and goes as
 * a struct proto_enrol; a bad one goes too, as a refusal for the authority to record.
 * verb gets the verb for the log, "" as long as it is unknown.  E_FORMAT, E_TOOBIG.
 */
int op_build(struct buf *out, char verb[OP_VERB_MAX], struct bytes request,
    const struct op_caller *by, struct err *e) MUST_CHECK;
/* Take PROTO_OP_ANSWER apart; json borrows message.  E_FORMAT. */
int op_answer(unsigned *status, struct bytes *json, struct bytes message, struct err *e) MUST_CHECK;
/* Append {"ok":false,"error":{...}}; hint NULL: none. */
void op_refusal(struct buf *out, enum err_code code, const char *message, const char *hint);
/* The token of an Authorization field (RFC 6750 2.1); false unless it is one well-formed Bearer token. */
bool op_bearer(char token[OP_TOKEN_MAX], const char *field);

#endif
