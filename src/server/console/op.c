/* SPDX-License-Identifier: Apache-2.0 */
/* console/op.c - an operator's request as the message that the authority gets */
#include "server/console/op.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "core/base/mem.h"
#include "core/base/text.h"
#include "core/codec/base64.h"
#include "core/codec/json.h"
#include "core/pki/cert.h"
#include "core/sys/pipe.h"
#include "server/proto/proto.h"

#define VERB_WITH_CSR "cert.request"

static int
check_members(json_t *request, struct err *e)
{
	const json_t *verb = json_object_get(request, "verb");
	const json_t *args = json_object_get(request, "args");
	const char *key;
	json_t *value;

	if (!json_is_object(request))
		return err_set(e, E_FORMAT, "request: expected a JSON object with 'verb' and 'args'");
	json_object_foreach(request, key, value) {
		if (value != verb && value != args)
			return err_set(e, E_FORMAT, "request: unknown member '%.40s': 'verb' and 'args' are taken", key);
	}
	if (!json_is_string(verb))
		return err_set(e, E_FORMAT, "request: 'verb' must be a string, as in \"server.status\"");
	if (args != NULL && !json_is_object(args))
		return err_set(e, E_FORMAT, "request: 'args' must be an object");
	return 0;
}

static int
check_verb(const char *verb, struct err *e)
{
	if (strlen(verb) >= OP_VERB_MAX || verb[0] == 0 ||
	    verb[strspn(verb, "abcdefghijklmnopqrstuvwxyz._-")] != 0)
		return err_set(e, E_FORMAT, "request: 'verb' is no verb: lower-case words with a dot between, "
		    "as in \"server.status\"");
	return 0;
}

/* PEM of either name, or the base64 of the DER. */
static int
csr_der(struct buf *der, struct bytes text, struct err *e)
{
	if (memmem(text.p, text.n, "-----BEGIN", 10) == NULL)
		return base64_decode(der, text, e);
	if (memmem(text.p, text.n, "-----BEGIN NEW ", 15) != NULL)
		return pem_decode(der, text, "NEW CERTIFICATE REQUEST", e);
	return pem_decode(der, text, "CERTIFICATE REQUEST", e);
}

static void
judge_csr(struct proto_enrol *v, struct buf *der, const json_t *args)
{
	const json_t *csr = json_object_get(args, "csr");
	struct err e;
	int r;

	if (!json_is_string(csr)) {
		r = err_set(&e, E_FORMAT, "args: 'csr' must be a string, PEM or base64");
	} else {
		struct bytes text = { (const uint8_t *)json_string_value(csr), json_string_length(csr) };

		r = csr_der(der, text, &e);
		if (r == 0)
			r = csr_parse(&v->csr, bytes_of_buf(der), &e);
	}
	if (r == 0)
		return;
	v->csr_status = r == E_TOOBIG ? 413 : 400;
	(void)snprintf(v->csr_reason, sizeof(v->csr_reason), "csr.%s", err_row(e.code)->name);
	(void)snprintf(v->csr_text, sizeof(v->csr_text), "%s", e.msg);
}

static void
put_enrol(struct buf *out, json_t *args, const struct op_caller *by)
{
	struct proto_enrol *v = mem_zalloc(sizeof(*v));
	AUTO_BUF der = BUF_MAX(CSR_MAX + 1);

	(void)snprintf(v->id, sizeof(v->id), "%s", by->id);
	(void)snprintf(v->address, sizeof(v->address), "%s", by->address);
	(void)snprintf(v->tls, sizeof(v->tls), "%s", by->tls);
	v->op = EST_SIMPLEENROLL;
	v->anchor = TRUST_ANCHOR_NONE;
	judge_csr(v, &der, args);
	(void)json_object_del(args, "csr");
	proto_put_enrol(out, v);
	mem_free(v);
}

int
op_build(struct buf *out, char verb[OP_VERB_MAX], struct bytes request,
    const struct op_caller *by, struct err *e)
{
	AUTO_JSON v = NULL;
	AUTO_BUF json = BUF_MAX(PIPE_MAX), enrol = BUF_MAX(PIPE_MAX);
	const char *name;
	int r;

	verb[0] = 0;
	if (request.n > OP_BODY_MAX)
		return err_set(e, E_TOOBIG, "request: more than %zu octets", OP_BODY_MAX);
	if ((r = json_parse(&v, request, e)) != 0)
		return err_prefix(e, r, "request");
	if ((r = check_members(v, e)) != 0 || (r = check_verb(name = json_str(v, "verb", ""), e)) != 0)
		return r;
	(void)snprintf(verb, OP_VERB_MAX, "%s", name);
	if (json_object_get(v, "args") == NULL)
		(void)json_object_set_new(v, "args", json_object());
	if (strcmp(verb, VERB_WITH_CSR) == 0)
		put_enrol(&enrol, json_object_get(v, "args"), by);
	json_setf(v, "actor", "%s", by->actor);
	json_setf(v, "token", "%s", by->token);
	json_print(&json, v, false);
	wire_put_bytes(out, bytes_of_buf(&json));
	wire_put_bytes(out, bytes_of_buf(&enrol));
	if ((r = buf_check(&json, "request", e)) != 0 || (r = buf_check(&enrol, "request", e)) != 0)
		return r;
	return buf_check(out, "request", e);
}

int
op_answer(unsigned *status, struct bytes *json, struct bytes message, struct err *e)
{
	struct wire w = wire_open(message);
	uint32_t code = wire_u32(&w);
	struct bytes body = wire_bytes(&w, PIPE_MAX);
	int r = wire_end(&w, "answer", e);

	if (r != 0)
		return r;
	if (code < 200 || code > 599)
		return err_set(e, E_FORMAT, "answer: HTTP status %u", (unsigned)code);
	*status = code;
	*json = body;
	return 0;
}

void
op_refusal(struct buf *out, enum err_code code, const char *message, const char *hint)
{
	AUTO_JSON v = json_object();
	json_t *error = json_object();

	json_setf(error, "code", "%s", err_row(code)->name);
	json_setf(error, "message", "%s", message);
	if (hint != NULL)
		json_setf(error, "hint", "%s", hint);
	(void)json_object_set_new(v, "ok", json_false());
	(void)json_object_set_new(v, "error", error);
	json_print(out, v, false);
}

bool
op_bearer(char token[OP_TOKEN_MAX], const char *field)
{
	size_t n, pad;

	if (field == NULL || strncasecmp(field, "Bearer ", 7) != 0)
		return false;
	field += 7;
	field += strspn(field, " ");
	n = strspn(field, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~+/");
	pad = strspn(field + n, "=");
	if (n == 0 || field[n + pad] != 0 || n + pad >= OP_TOKEN_MAX)
		return false;
	memcpy(token, field, n + pad + 1);
	return true;
}
