/* SPDX-License-Identifier: Apache-2.0 */
/* proto/ask.c - a device's question to the provisioning service: the header that vouches for it, and the messages */
#include "server/proto/ask.h"

#include <string.h>
#include <strings.h>

#include "core/base/mem.h"
#include "core/base/text.h"
#include "core/codec/base64.h"
#include "core/sys/pipe.h"

#define SIG_TEXT_MAX 64 /* characters of 32 octets in base64, with room for a wrong one to be seen as wrong */
#define TPM_MAX      1024 /* octets of a TPM2B_PUBLIC */

const char *
ask_op_name(enum ask_op op)
{
	static const char *const names[ASK_OP_COUNT] = {
		"none", "register", "operation", "registration", "module-list", "module-get", "module-create",
		"module-update", "module-delete",
	};

	return (unsigned)op < ASK_OP_COUNT ? names[op] : names[ASK_NONE];
}

/* --- the header --- */

/* Percent-decode once; what is broken, or no clean text, is false. */
static bool
unescape(char *out, size_t size, struct bytes text)
{
	size_t n = 0;

	for (size_t i = 0; i < text.n; i++) {
		char hex[3] = { 0 };
		uint8_t c = text.p[i];

		if (c == '%') {
			if (text.n - i < 3)
				return false;
			memcpy(hex, text.p + i + 1, 2);
			if (!text_unhex(&c, 1, hex))
				return false;
			i += 2;
		}
		if (n + 1 >= size)
			return false;
		out[n++] = (char)c;
	}
	out[n] = 0;
	return text_valid_utf8((struct bytes){ (const uint8_t *)out, n });
}

static bool
copy(char *out, size_t size, struct bytes text)
{
	if (text.n == 0 || text.n >= size || !text_valid_utf8(text))
		return false;
	memcpy(out, text.p, text.n);
	out[text.n] = 0;
	return true;
}

static bool
take_sr(struct ask_token *t, struct bytes value)
{
	return copy(t->sr, sizeof(t->sr), value) && unescape(t->resource, sizeof(t->resource), value) &&
	    t->resource[0] != 0;
}

/* A '+' that a client left as it was is a '+': base64 has no blank that it could stand for. */
static bool
take_sig(struct ask_token *t, struct bytes value)
{
	char text[SIG_TEXT_MAX];
	AUTO_BUF sig = BUF_MAX(SHA256_LEN);

	if (!unescape(text, sizeof(text), value) || strpbrk(text, " \t") != NULL ||
	    base64_decode(&sig, bytes_of(text), NULL) != 0 || sig.n != SHA256_LEN)
		return false;
	memcpy(t->sig, sig.p, SHA256_LEN);
	return true;
}

static bool
take_se(struct ask_token *t, struct bytes value)
{
	uint64_t v;

	if (!copy(t->se, sizeof(t->se), value) || !text_parse_u64(&v, t->se, INT64_MAX))
		return false;
	t->expires = (int64_t)v;
	return true;
}

static bool
take_skn(struct ask_token *t, struct bytes value)
{
	return unescape(t->skn, sizeof(t->skn), value);
}

static const struct {
	const char *name;
	bool required;
	bool (*take)(struct ask_token *t, struct bytes value);
} members[] = {
	{ "sr", true, take_sr }, { "sig", true, take_sig }, { "se", true, take_se }, { "skn", false, take_skn },
};

/* One "name=value", for the first time. */
static bool
take_member(struct ask_token *t, struct bytes part, bool seen[N_OF(members)])
{
	const uint8_t *equals = part.n != 0 ? memchr(part.p, '=', part.n) : NULL;
	size_t n = equals != NULL ? (size_t)(equals - part.p) : part.n;

	for (size_t i = 0; equals != NULL && i < N_OF(members); i++)
		if (bytes_equal_str(bytes_slice(part, 0, n), members[i].name)) {
			if (seen[i])
				return false;
			seen[i] = true;
			return members[i].take(t, bytes_slice(part, n + 1, part.n));
		}
	return false;
}

static bool
take_members(struct ask_token *t, const char *list)
{
	bool seen[N_OF(members)] = { false };

	for (;;) {
		size_t n = strcspn(list, "&");

		if (!take_member(t, (struct bytes){ (const uint8_t *)list, n }, seen))
			return false;
		if (list[n] == 0)
			break;
		list += n + 1;
	}
	for (size_t i = 0; i < N_OF(members); i++)
		if (members[i].required && !seen[i])
			return false;
	return true;
}

void
ask_token_parse(struct ask_token *t, const char *header, size_t count)
{
	static const char scheme[] = "SharedAccessSignature ";

	*t = (struct ask_token){ 0 };
	if (count > 1)
		t->state = ASK_SAS_REPEATED;
	if (count > 1 || header == NULL)
		return;
	if (strncasecmp(header, scheme, sizeof(scheme) - 1) != 0) {
		t->state = ASK_SAS_OTHER_SCHEME;
		return;
	}
	if (take_members(t, header + sizeof(scheme) - 1))
		t->state = ASK_SAS_GIVEN;
	else
		*t = (struct ask_token){ .state = ASK_SAS_MALFORMED };
}

/* --- the messages --- */

void
proto_clear_ask(struct proto_ask *v)
{
	proto_clear_enrol(&v->q);
	v->op = ASK_NONE;
	memset(&v->has_csr, 0, sizeof(*v) - offsetof(struct proto_ask, has_csr));
}

static void
put_token(struct buf *b, const struct ask_token *t)
{
	wire_put_u8(b, (uint8_t)t->state);
	if (t->state != ASK_SAS_GIVEN)
		return;
	wire_put_str(b, t->sr);
	wire_put_str(b, t->se);
	wire_put_str(b, t->skn);
	buf_put(b, t->sig, sizeof(t->sig));
}

/* A text that is to be clean UTF-8; "" may stand for none. */
static void
get_text(struct wire *w, char *out, size_t size)
{
	wire_str(w, out, size);
	w->bad = w->bad || (out[0] != 0 && !text_valid_utf8(bytes_of(out)));
}

/* What is signed comes alone: what it says is read again here, so that no front can have it say something else. */
static void
get_token(struct wire *w, struct ask_token *t)
{
	char sr[ASK_SR_MAX], se[sizeof(t->se)];
	uint8_t state = wire_u8(w);

	if (state >= ASK_SAS_COUNT) {
		w->bad = true;
		return;
	}
	t->state = (enum ask_sas)state;
	if (t->state != ASK_SAS_GIVEN)
		return;
	wire_str(w, sr, sizeof(sr));
	wire_str(w, se, sizeof(se));
	get_text(w, t->skn, sizeof(t->skn));
	wire_octets(w, t->sig, sizeof(t->sig));
	w->bad = w->bad || !take_sr(t, bytes_of(sr)) || !take_se(t, bytes_of(se));
}

/* The texts of a question, in the order of the message. */
static const struct {
	size_t offset, size;
} texts[] = {
#define TEXT(field) { offsetof(struct proto_ask, field), sizeof(((struct proto_ask *)NULL)->field) }
	TEXT(scope), TEXT(registration), TEXT(body_registration), TEXT(operation), TEXT(device), TEXT(module),
	TEXT(managed_by),
#undef TEXT
};

void
proto_put_ask(struct buf *b, const struct proto_ask *v)
{
	AUTO_BUF q = BUF_MAX(PIPE_MAX);

	wire_put_u8(b, (uint8_t)v->op);
	proto_put_enrol(&q, &v->q);
	wire_put_bytes(b, bytes_of_buf(&q));
	wire_put_u8(b, v->has_csr);
	put_token(b, &v->token);
	for (size_t i = 0; i < N_OF(texts); i++)
		wire_put_str(b, (const char *)v + texts[i].offset);
	wire_put_u8(b, v->has_keys);
	for (size_t i = 0; i < N_OF(v->key); i++)
		wire_put_bytes(b, (struct bytes){ v->key[i], v->key_n[i] });
	wire_put_bytes(b, v->payload);
	wire_put_bytes(b, v->ek);
	wire_put_bytes(b, v->srk);
}

static void
get_key(struct wire *w, struct proto_ask *v, size_t i)
{
	struct bytes key = wire_bytes(w, sizeof(v->key[i]));

	if (w->bad || key.n == 0)
		return;
	memcpy(v->key[i], key.p, key.n);
	v->key_n[i] = (uint32_t)key.n;
}

static bool
get_flag(struct wire *w)
{
	uint8_t v = wire_u8(w);

	w->bad = w->bad || v > 1;
	return v == 1;
}

int
proto_get_ask(struct proto_ask *v, struct bytes body, struct err *e)
{
	struct wire w = wire_open(body);
	struct bytes q;
	uint8_t op = wire_u8(&w);
	int rc;

	proto_clear_ask(v);
	w.bad = w.bad || op == ASK_NONE || op >= ASK_OP_COUNT;
	v->op = w.bad ? ASK_NONE : (enum ask_op)op;
	q = wire_bytes(&w, PIPE_MAX);
	v->has_csr = get_flag(&w);
	get_token(&w, &v->token);
	for (size_t i = 0; i < N_OF(texts); i++)
		get_text(&w, (char *)v + texts[i].offset, texts[i].size);
	v->has_keys = get_flag(&w);
	for (size_t i = 0; i < N_OF(v->key); i++)
		get_key(&w, v, i);
	v->payload = wire_bytes(&w, ASK_PAYLOAD_MAX);
	v->ek = wire_bytes(&w, TPM_MAX);
	v->srk = wire_bytes(&w, TPM_MAX);
	w.bad = w.bad || (!v->has_keys && (v->key_n[0] != 0 || v->key_n[1] != 0));
	if ((rc = wire_end(&w, "question", e)) == 0)
		rc = proto_get_enrol(&v->q, q, e);
	if (rc != 0)
		mem_wipe(v, sizeof(*v));
	return rc;
}

void
proto_put_asked(struct buf *b, const struct proto_asked *v)
{
	wire_put_u32(b, v->status);
	wire_put_u32(b, v->retry_after_s);
	wire_put_str(b, v->reason);
	wire_put_bytes(b, v->body);
}

int
proto_get_asked(struct proto_asked *v, struct bytes body, struct err *e)
{
	struct wire w = wire_open(body);
	struct proto_asked got = { 0 };
	int rc;

	got.status = wire_u32(&w);
	got.retry_after_s = wire_u32(&w);
	get_text(&w, got.reason, sizeof(got.reason));
	got.body = wire_bytes(&w, PIPE_MAX);
	w.bad = w.bad || got.status < 200 || got.status > 599 || (got.status >= 300 && got.status < 400) ||
	    (got.status == 204 && got.body.n != 0);
	if ((rc = wire_end(&w, "answer to a question", e)) != 0)
		return rc;
	*v = got;
	return 0;
}
