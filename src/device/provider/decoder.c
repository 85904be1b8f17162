/* SPDX-License-Identifier: Apache-2.0 */
/* provider/decoder.c - OSSL_OP_DECODER: PEM files that name a key, in the two steps that OpenSSL takes */
#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/core_object.h>
#include <openssl/params.h>

#include <stdio.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/codec/base64.h"
#include "core/pki/der.h"
#include "device/provider/decoder.h"
#include "device/provider/pkey.h"

#define PEM_LINE_MAX 256
#define PEM_LINES_MAX 2000 /* of one block, whatever it holds */

static void *
decoder_new(void *ctx)
{
	return ctx;
}

static void
decoder_free(void *ctx)
{
	(void)ctx;
}

/* --- PEM to DER: the text as a UTF8String, since what stands between the steps must be DER --- */

static bool
is_begin(const char *line, bool *ours)
{
	static const char begin[] = "-----BEGIN ", label[] = URI_LABEL "-----";

	*ours = strncmp(line, begin, sizeof(begin) - 1) == 0 &&
	    strncmp(line + sizeof(begin) - 1, label, sizeof(label) - 1) == 0;
	return strncmp(line, begin, sizeof(begin) - 1) == 0;
}

static bool
is_end(const char *line)
{
	return strncmp(line, "-----END ", 9) == 0;
}

/*
 * Read up to the end of the next block and no further: files hold several, and who reads them continues from there.
 * True when it is ours, its base64 in body.
 */
static bool
read_block(struct buf *body, const struct context *ctx, OSSL_CORE_BIO *in)
{
	char line[PEM_LINE_MAX];
	bool inside = false, ours = false;

	for (int i = 0; i < PEM_LINES_MAX && context_read_line(ctx, in, line, sizeof(line)); i++) {
		if (!inside)
			inside = is_begin(line, &ours);
		else if (is_end(line))
			return ours;
		else if (ours)
			buf_put_str(body, line);
	}
	return false;
}

static int
decoder_pem_decode(void *ctx, OSSL_CORE_BIO *in, int selection, OSSL_CALLBACK *cb, void *cbarg,
    OSSL_PASSPHRASE_CALLBACK *pw, void *pwarg)
{
	AUTO_BUF body = BUF_MAX(2 * URI_MAX);
	AUTO_BUF text = BUF_MAX(URI_MAX);
	AUTO_BUF der = { 0 };
	int type = OSSL_OBJECT_PKEY;
	OSSL_PARAM params[4];
	struct err e;

	(void)selection;
	(void)pw;
	(void)pwarg;
	if (!read_block(&body, ctx, in))
		return 1; /* somebody else's */
	if (buf_check(&body, "keyd: PEM", &e) != 0 || base64_decode(&text, bytes_of_buf(&body), &e) != 0)
		return context_fail(ctx, &e);
	der_put(&der, DER_UTF8, bytes_of_buf(&text));
	params[0] = OSSL_PARAM_construct_int(OSSL_OBJECT_PARAM_TYPE, &type);
	params[1] = OSSL_PARAM_construct_utf8_string(OSSL_OBJECT_PARAM_DATA_STRUCTURE,
	    (char *)(uintptr_t)DECODER_STRUCTURE, 0);
	params[2] = OSSL_PARAM_construct_octet_string(OSSL_OBJECT_PARAM_DATA, der.p, der.n);
	params[3] = OSSL_PARAM_construct_end();
	return cb(params, cbarg);
}

/* --- DER to a key --- */

/* Nobody gets a key of the Keys Service for what arrived as a public one. */
static int
decoder_does_selection(void *provider, int selection)
{
	(void)provider;
	return selection == 0 || (selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY) != 0;
}

/* A UTF8String of at most 65,535 octets; false for anything else. */
static bool
read_text(struct buf *out, const struct context *ctx, OSSL_CORE_BIO *in)
{
	uint8_t head[4], piece[256];
	size_t n, more;

	if (!context_read(ctx, in, head, 2) || head[0] != DER_UTF8 || head[1] == 0x80 || head[1] > 0x82)
		return false;
	more = head[1] > 0x80 ? head[1] - 0x80u : 0;
	if (!context_read(ctx, in, head + 2, more))
		return false;
	n = more == 0 ? head[1] : more == 1 ? head[2] : (size_t)head[2] << 8 | head[3];
	while (n != 0) {
		size_t part = n < sizeof(piece) ? n : sizeof(piece);

		if (!context_read(ctx, in, piece, part))
			return false;
		buf_put(out, piece, part);
		n -= part;
	}
	return !out->over;
}

/* One of three decoders, each for keys of its kind: the others say nothing. */
static int
decode(struct context *ctx, OSSL_CORE_BIO *in, int selection, OSSL_CALLBACK *cb, void *cbarg,
    const struct kind *kind)
{
	AUTO_BUF text = BUF_MAX(URI_MAX);
	AUTO(pkey) k = NULL;
	AUTO_URI u = { 0 };
	struct err e;
	int r;

	if (!decoder_does_selection(ctx, selection) || !read_text(&text, ctx, in) ||
	    text.n < 5 || memcmp(text.p, "keyd:", 5) != 0)
		return 1;
	r = uri_parse(&u, bytes_of_buf(&text), &e);
	if (r == 0)
		r = pkey_open(&k, ctx, &u, &e);
	if (r != 0)
		return context_fail(ctx, &e);
	return k->kind == kind ? pkey_give(TAKE(k), cb, cbarg) : 1;
}

#define DECODER(K)                                                                              \
	static int decode_##K(void *ctx, OSSL_CORE_BIO *in, int selection, OSSL_CALLBACK *cb, void *cbarg, \
	    OSSL_PASSPHRASE_CALLBACK *pw, void *pwarg)                                          \
	{ (void)pw; (void)pwarg; return decode(ctx, in, selection, cb, cbarg, &kind_##K); }     \
	const OSSL_DISPATCH decoder_##K[] = {                                                   \
		{ OSSL_FUNC_DECODER_NEWCTX, (void (*)(void))decoder_new },                      \
		{ OSSL_FUNC_DECODER_FREECTX, (void (*)(void))decoder_free },                    \
		{ OSSL_FUNC_DECODER_DOES_SELECTION, (void (*)(void))decoder_does_selection },   \
		{ OSSL_FUNC_DECODER_DECODE, (void (*)(void))decode_##K },                       \
		{ 0, NULL },                                                                    \
	}

DECODER(ec);
DECODER(rsa);
DECODER(ed25519);

const OSSL_DISPATCH decoder_pem[] = {
	{ OSSL_FUNC_DECODER_NEWCTX, (void (*)(void))decoder_new },
	{ OSSL_FUNC_DECODER_FREECTX, (void (*)(void))decoder_free },
	{ OSSL_FUNC_DECODER_DECODE, (void (*)(void))decoder_pem_decode },
	{ 0, NULL },
};
