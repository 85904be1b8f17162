/* SPDX-License-Identifier: Apache-2.0 */
/* pki/pem.c - DER between dashes (RFC 7468) */
#include <stdio.h>
#include <string.h>

#include <openssl/evp.h>

#include "core/pki/cert.h"

#define LINE_OCTETS 48  /* of DER: 64 characters */
#define MARK_MAX    100 /* characters of "-----BEGIN label-----" */

static bool
is_blank(uint8_t c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Six bits of one character, 64 when it is none of the alphabet. */
static uint32_t
six_bits(uint8_t c)
{
	if (c >= 'A' && c <= 'Z')
		return (uint32_t)c - 'A';
	if (c >= 'a' && c <= 'z')
		return (uint32_t)c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return (uint32_t)c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : 64;
}

/* Append what four characters say; false when they say nothing. */
static bool
decode_group(struct buf *out, const uint8_t c[4])
{
	size_t n = c[2] == '=' ? 1 : c[3] == '=' ? 2 : 3;
	uint8_t octets[3];
	uint32_t v = 0;

	if (n == 1 && c[3] != '=')
		return false;
	for (size_t i = 0; i < 4; i++) {
		uint32_t six = i <= n ? six_bits(c[i]) : 0;

		if (six == 64)
			return false;
		v = v << 6 | six;
	}
	for (size_t i = 0; i < 3; i++)
		octets[i] = (uint8_t)(v >> 8 * (2 - i));
	if ((n < 3 && octets[n] != 0) || (n == 1 && octets[2] != 0))
		return false; /* bits beyond the end */
	buf_put(out, octets, n);
	return true;
}

/* Base64 with blanks anywhere, padded exactly, not empty. */
static bool
decode_body(struct buf *out, struct bytes body)
{
	uint8_t group[4];
	size_t have = 0, groups = 0;
	bool last = false;

	for (size_t i = 0; i < body.n; i++) {
		if (is_blank(body.p[i]))
			continue;
		if (last)
			return false;
		group[have++] = body.p[i];
		if (have < 4)
			continue;
		if (!decode_group(out, group))
			return false;
		last = group[3] == '=';
		have = 0;
		groups++;
	}
	return have == 0 && groups != 0;
}

/* Where mark stands alone in a line of text; text.n when nowhere. */
static size_t
find_mark(struct bytes text, const char *mark)
{
	size_t n = strlen(mark), at = 0;

	while (text.n - at >= n && text.n != 0) {
		const uint8_t *p = memmem(text.p + at, text.n - at, mark, n);

		if (p == NULL)
			break;
		at = (size_t)(p - text.p);
		if ((at == 0 || text.p[at - 1] == '\n') && (at + n == text.n || is_blank(text.p[at + n])))
			return at;
		at++;
	}
	return text.n;
}

/* Cut the next block's body out of *text; false when there is no more.  No END: body->p is NULL. */
static bool
next_block(struct bytes *body, struct bytes *text, const char *label)
{
	char begin[MARK_MAX], end[MARK_MAX];
	size_t at;

	(void)snprintf(begin, sizeof(begin), "-----BEGIN %s-----", label);
	(void)snprintf(end, sizeof(end), "-----END %s-----", label);
	at = find_mark(*text, begin);
	if (at == text->n)
		return false;
	*text = bytes_slice(*text, at + strlen(begin), text->n);
	at = find_mark(*text, end);
	*body = at == text->n ? (struct bytes){ 0 } : bytes_slice(*text, 0, at);
	*text = bytes_slice(*text, at + strlen(end), text->n);
	return true;
}

int
pem_decode_all(struct buf *out, struct bytes *parts, size_t *n, size_t max, struct bytes text,
    const char *label, struct err *e)
{
	size_t had = out->n, found = 0, at;
	struct bytes body;
	int rc = 0;

	while (rc == 0 && next_block(&body, &text, label)) {
		if (found == max) {
			rc = err_set(e, E_TOOBIG, "PEM: more than %zu blocks of %s", max, label);
			break;
		}
		at = out->n;
		if (body.p == NULL || !decode_body(out, body))
			rc = err_set(e, E_FORMAT, "PEM: block %zu of %s is broken", found + 1, label);
		parts[found++] = (struct bytes){ NULL, out->n - at };
	}
	if (rc == 0 && found == 0)
		rc = err_set(e, E_FORMAT, "PEM: no block of %s", label);
	if (rc == 0)
		rc = buf_check(out, "PEM", e);
	if (rc != 0) {
		out->n = had;
		return rc;
	}
	/* Only now does out stay where it is. */
	for (size_t i = 0, off = had; i < found; off += parts[i++].n)
		parts[i].p = out->p + off;
	*n = found;
	return 0;
}

int
pem_decode(struct buf *out, struct bytes text, const char *label, struct err *e)
{
	size_t had = out->n;
	struct bytes body;

	if (!next_block(&body, &text, label))
		return err_set(e, E_FORMAT, "PEM: no block of %s", label);
	if (body.p == NULL || !decode_body(out, body)) {
		out->n = had;
		return err_set(e, E_FORMAT, "PEM: the block of %s is broken", label);
	}
	return buf_check(out, "PEM", e);
}

void
pem_encode(struct buf *out, struct bytes der, const char *label)
{
	unsigned char line[LINE_OCTETS / 3 * 4 + 1];

	buf_printf(out, "-----BEGIN %s-----\n", label);
	for (size_t i = 0; i < der.n; i += LINE_OCTETS) {
		struct bytes part = bytes_slice(der, i, LINE_OCTETS);

		(void)EVP_EncodeBlock(line, part.p, (int)part.n);
		buf_printf(out, "%s\n", (const char *)line);
	}
	buf_printf(out, "-----END %s-----\n", label);
}
