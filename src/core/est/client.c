/* SPDX-License-Identifier: Apache-2.0 */
/* est/client.c - the client's half of RFC 7030: no answer is believed before it has been judged here */
#include "core/est/client.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "core/base/mem.h"
#include "core/base/text.h"
#include "core/codec/base64.h"
#include "core/est/ber.h"

/* Certificates by reference: of a PEM text, a bag, or both. */
struct list {
	struct buf der; /* what was decoded for it */
	size_t n;
	struct bytes cert[EST_BAG_MAX + 2 * EST_CHAIN_MAX];
};

static void
list_free(struct list *l)
{
	buf_free(&l->der);
}
#define AUTO_LIST __attribute__((cleanup(list_free))) struct list

/* Once per list: what is decoded must not move. */
static int
list_pem(struct list *l, struct bytes pem, struct err *e)
{
	if (pem.n == 0)
		return 0;
	return pem_decode_all(&l->der, l->cert, &l->n, EST_CHAIN_MAX, pem, "CERTIFICATE", e);
}

static void
list_add(struct list *l, struct bytes der)
{
	if (l->n < N_OF(l->cert))
		l->cert[l->n++] = der;
}

static void
list_add_bag(struct list *l, const struct est_bag *bag)
{
	for (size_t i = 0; i < bag->n; i++)
		list_add(l, bag->cert[i]);
}

static bool
list_has(const struct list *l, struct bytes der)
{
	for (size_t i = 0; i < l->n; i++)
		if (bytes_equal(l->cert[i], der))
			return true;
	return false;
}

/* --- the bag --- */

void
est_bag_free(struct est_bag *b)
{
	buf_free(&b->der);
	b->n = 0;
}

static bool
begins_with(struct bytes b, const char *s)
{
	return b.n >= strlen(s) && memcmp(b.p, s, strlen(s)) == 0;
}

/* The DER of an answer, in whichever of the forms seen in the field. */
static int
bag_der(struct buf *der, struct bytes body, struct err *e)
{
	while (body.n != 0 && memchr(" \t\r\n", body.p[0], 4) != NULL)
		body = bytes_slice(body, 1, body.n - 1);
	if (body.n == 0)
		return err_set(e, E_FORMAT, "empty");
	if (begins_with(body, "-----BEGIN CMS"))
		return pem_decode(der, body, "CMS", e);
	if (begins_with(body, "-----BEGIN "))
		return pem_decode(der, body, "PKCS7", e);
	if (body.p[0] != DER_SEQUENCE)
		return base64_decode(der, body, e);
	buf_put_bytes(der, body);
	return buf_check(der, "answer", e);
}

int
est_bag_parse(struct est_bag *out, struct bytes body, struct err *e)
{
	AUTO_BAG got = { 0 };
	AUTO_BUF ber = { 0 };
	int r = bag_der(&got.der, body, e);

	if (r == 0 && ber_is_indefinite(bytes_of_buf(&got.der))) {
		ber = got.der;
		got.der = (struct buf){ 0 };
		r = ber_to_definite(&got.der, bytes_of_buf(&ber), e);
	}
	if (r == 0)
		r = cms_parse_certs(got.cert, &got.n, EST_BAG_MAX, bytes_of_buf(&got.der), e);
	if (r == 0 && got.n == 0)
		r = err_set(e, E_FORMAT, "no certificate in it");
	if (r != 0)
		return err_prefix(e, r, "answer");
	*out = got;
	got.der = (struct buf){ 0 };
	return 0;
}

int
est_pin_parse(uint8_t out[SHA256_LEN], const char *text, struct err *e)
{
	char hex[2 * SHA256_LEN + 1];
	size_t n = 0;

	if (strncasecmp(text, "sha256:", 7) != 0)
		return err_set(e, E_FORMAT, "pin: 'sha256:' and 64 hexadecimal digits needed");
	for (const char *p = text + 7; *p != 0; p++) {
		if (*p == ':')
			continue;
		if (n == sizeof(hex) - 1)
			return err_set(e, E_FORMAT, "pin: more than 64 hexadecimal digits");
		hex[n++] = *p;
	}
	hex[n] = 0;
	if (!text_unhex(out, SHA256_LEN, hex))
		return err_set(e, E_FORMAT, "pin: not 64 hexadecimal digits");
	return 0;
}

/* --- trust --- */

static int
trust_of(struct trust **out, const struct list *anchors, struct err *e)
{
	AUTO(trust) t = trust_new();

	for (size_t i = 0; i < anchors->n; i++) {
		int r = trust_add(t, (uint32_t)i + 1, anchors->cert[i], e);

		if (r != 0 && r != E_EXISTS) /* a file may name one twice */
			return r;
	}
	*out = TAKE(t);
	return 0;
}

static bool
is_ca(const struct cert *c)
{
	return c->has_bc && c->ca && (!c->has_ku || (c->ku & KU_KEY_CERT_SIGN) != 0);
}

bool
est_self_signed(const struct cert *c)
{
	return bytes_equal(c->issuer, c->subject_der) &&
	    (c->aki.n == 0 || c->ski.n == 0 || bytes_equal(c->aki, c->ski));
}

/* Does it chain, with the bag's help? */
static bool
chains(const struct trust *t, struct bytes der, const struct est_bag *bag, int64_t now)
{
	uint32_t anchor;

	return trust_verify(t, der, bag->cert, bag->n, 2, now, &anchor, NULL) == 0;
}

/* CA certificates of the bag that chain to t and are not in `known`. */
static void
put_chaining(struct buf *chain_pem, const struct trust *t, const struct list *known,
    const struct est_bag *bag, int64_t now)
{
	struct cert c;

	for (size_t i = 0; i < bag->n; i++) {
		if (list_has(known, bag->cert[i]) || cert_parse(&c, bag->cert[i], NULL) != 0 ||
		    !is_ca(&c))
			continue;
		if (chains(t, bag->cert[i], bag, now))
			pem_encode(chain_pem, bag->cert[i], "CERTIFICATE");
	}
}

int
est_bag_chain(struct buf *chain_pem, const struct est_bag *bag, struct bytes trust_pem, int64_t now,
    struct err *e)
{
	AUTO_LIST anchors = { 0 };
	AUTO(trust) t = NULL;
	int r = list_pem(&anchors, trust_pem, e);

	if (r == 0)
		r = trust_of(&t, &anchors, e);
	if (r != 0)
		return err_prefix(e, r, "trust");
	put_chaining(chain_pem, t, &anchors, bag, now);
	return buf_check(chain_pem, "chain", e);
}

/* K3: the hash is over the whole certificate. */
static int
find_pinned(
    struct bytes *out, const struct est_bag *bag, const uint8_t pin[SHA256_LEN], struct err *e)
{
	uint8_t hash[SHA256_LEN];
	struct cert c;
	int r;

	for (size_t i = 0; i < bag->n; i++) {
		sha256(hash, bag->cert[i]);
		if (!mem_equal_ct(hash, pin, SHA256_LEN))
			continue;
		r = cert_parse(&c, bag->cert[i], e);
		if (r != 0)
			return err_prefix(e, r, "pinned certificate");
		if (!is_ca(&c))
			return err_set(e, E_AUTH, "pinned certificate: not a CA certificate");
		*out = bag->cert[i];
		return 0;
	}
	return err_set(
	    e, E_AUTH, "pin: none of the server's %zu CA certificates has this SHA-256", bag->n);
}

/* A pin found in the bag says nothing by itself, anybody can send a public root: the server must be under it. */
static int
check_server(const struct trust *t, struct bytes server_chain_pem, const struct est_bag *bag,
    int64_t now, struct err *e)
{
	AUTO_LIST l = { 0 };
	uint32_t anchor;
	int r = list_pem(&l, server_chain_pem, e);

	if (r == 0 && l.n == 0)
		r = err_set(e, E_AUTH, "nothing was presented");
	if (r == 0) {
		list_add_bag(&l, bag);
		r = trust_verify(t, l.cert[0], l.cert + 1, l.n - 1, 0, now, &anchor, e);
	}
	return r == 0
	    ? 0
	    : err_prefix(e, r, "server: its certificate does not come from the pinned CA");
}

int
est_bag_trust(struct buf *trust_pem, struct buf *chain_pem, const struct est_bag *bag,
    const uint8_t pin[SHA256_LEN], struct bytes server_chain_pem, int64_t now, struct err *e)
{
	struct list anchor = { .n = 1 };
	AUTO(trust) t = NULL;
	int r = find_pinned(&anchor.cert[0], bag, pin, e);

	if (r == 0)
		r = trust_of(&t, &anchor, e);
	if (r == 0)
		r = check_server(t, server_chain_pem, bag, now, e);
	if (r != 0)
		return r;
	pem_encode(trust_pem, anchor.cert[0], "CERTIFICATE");
	put_chaining(chain_pem, t, &anchor, bag, now);
	return buf_check(chain_pem, "chain", e);
}

/* A CA certificate that verifies by its own key at `now`. */
static bool
is_root(const struct cert *c, int64_t now)
{
	struct list self = { .n = 1, .cert = { c->der } };
	AUTO(trust) t = NULL;
	uint32_t anchor;

	return is_ca(c) && est_self_signed(c) && trust_of(&t, &self, NULL) == 0 &&
	    trust_verify(t, c->der, NULL, 0, 2, now, &anchor, NULL) == 0;
}

int
est_bag_roots(struct buf *trust_pem, const struct est_bag *bag, int64_t now, struct err *e)
{
	struct cert c;
	size_t n = 0;

	for (size_t i = 0; i < bag->n; i++) {
		if (cert_parse(&c, bag->cert[i], NULL) != 0 || !is_root(&c, now))
			continue;
		pem_encode(trust_pem, c.der, "CERTIFICATE");
		n++;
	}
	if (n == 0)
		return err_set(e, E_AUTH, "answer: no root in it");
	return buf_check(trust_pem, "trust", e);
}

/* A CA that its issuer has limited would be rid of the limit as an anchor: it is one below a root, and no root's successor. */
static bool
is_unlimited(const struct cert *vouched, const struct cert *root)
{
	return vouched->pathlen < 0 || (root->pathlen >= 0 && root->pathlen <= vouched->pathlen);
}

/* Has the bag a NewWithOld for this root: the same subject and key, issued by what we trust? */
static bool
is_vouched(const struct cert *root, const struct trust *t, const struct est_bag *bag, int64_t now)
{
	struct cert c;

	for (size_t i = 0; i < bag->n; i++) {
		if (bytes_equal(bag->cert[i], root->der) || cert_parse(&c, bag->cert[i], NULL) != 0)
			continue;
		if (is_ca(&c) && bytes_equal(c.subject_der, root->subject_der) &&
		    bytes_equal(c.spki, root->spki) && is_unlimited(&c, root) && chains(t, c.der, bag, now))
			return true;
	}
	return false;
}

static void
put_still_valid(struct buf *pem, const struct list *anchors, int64_t now)
{
	struct cert c;

	for (size_t i = 0; i < anchors->n; i++)
		if (cert_parse(&c, anchors->cert[i], NULL) == 0 && c.not_after >= now)
			pem_encode(pem, anchors->cert[i], "CERTIFICATE");
}

int
est_bag_rollover(struct buf *next_pem, size_t *n_new, const struct est_bag *bag,
    struct bytes trust_pem, int64_t now, struct err *e)
{
	AUTO_LIST anchors = { 0 };
	AUTO(trust) t = NULL;
	struct cert c;
	int r = list_pem(&anchors, trust_pem, e);

	if (r == 0)
		r = trust_of(&t, &anchors, e);
	if (r != 0)
		return err_prefix(e, r, "trust");
	*n_new = 0;
	put_still_valid(next_pem, &anchors, now);
	for (size_t i = 0; i < bag->n; i++) {
		if (list_has(&anchors, bag->cert[i]) || cert_parse(&c, bag->cert[i], NULL) != 0)
			continue;
		if (!is_root(&c, now) || !is_vouched(&c, t, bag, now))
			continue;
		pem_encode(next_pem, c.der, "CERTIFICATE");
		(*n_new)++;
	}
	return buf_check(next_pem, "trust", e);
}

/* --- what was issued --- */

/* The newest certificate of the bag with this public key. */
static int
find_issued(struct cert *out, const struct est_bag *bag, struct bytes spki, struct err *e)
{
	bool found = false;
	struct cert c;

	for (size_t i = 0; i < bag->n; i++) {
		if (cert_parse(&c, bag->cert[i], NULL) != 0 || !bytes_equal(c.spki, spki))
			continue;
		if (!found || c.not_before > out->not_before)
			*out = c;
		found = true;
	}
	if (!found)
		return err_set(e, E_AUTH, "answer: no certificate for our key in it");
	return 0;
}

/* The moment at which to judge: now, or the nearest within the certificate's life when clocks differ a little. */
static int64_t
moment(const struct cert *c, int64_t now)
{
	if (c->not_before > now && c->not_before - now <= EST_SKEW_S)
		return c->not_before;
	if (c->not_after < now && now - c->not_after <= EST_SKEW_S)
		return c->not_after - 1; /* OpenSSL counts the last second as too late */
	return now;
}

static void
compare_names(char *note, size_t size, const struct cert *c, const struct csr_want *want)
{
	static const struct sans none;
	const struct sans *asked = want->sans != NULL ? want->sans : &none;
	char text[NAME_TEXT_MAX];

	if (want->subject == NULL)
		return;
	if (!c->subject_known || !name_equal(&c->subject, want->subject))
		(void)snprintf(note, size, "the server chose the subject: %s",
		    c->subject_known ? name_text(&c->subject, text) : "(not readable)");
	else if (c->has_san && !c->sans_known)
		(void)snprintf(
		    note, size, "the server chose alternative names that are not readable");
	else if (!sans_equal(c->has_san ? &c->sans : &none, asked))
		(void)snprintf(note, size, "the server chose the alternative names: %s",
		    c->has_san ? sans_text(&c->sans, text) : "none");
}

int
est_issued_check(struct buf *cert_pem, const struct est_bag *bag, struct bytes spki,
    struct bytes trust_pem, struct bytes chain_pem, const struct csr_want *want, int64_t now,
    char *note, size_t note_size, struct err *e)
{
	AUTO_LIST anchors = { 0 };
	AUTO_LIST between = { 0 };
	AUTO(trust) t = NULL;
	struct cert c = { 0 };
	bool ca_wanted = want != NULL && want->ca;
	uint32_t anchor;
	int r = find_issued(&c, bag, spki, e);

	if (r != 0)
		return r;
	if (c.ca && !ca_wanted)
		return err_set(e, E_AUTH, "answer: a CA certificate, and none was asked for");
	r = list_pem(&anchors, trust_pem, e);
	if (r == 0)
		r = list_pem(&between, chain_pem, e);
	if (r == 0)
		r = trust_of(&t, &anchors, e);
	if (r != 0)
		return err_prefix(e, r, "trust");
	list_add_bag(&between, bag);
	r = trust_verify(t, c.der, between.cert, between.n, 2, moment(&c, now), &anchor, e);
	if (r != 0)
		return err_prefix(e, r, "answer");
	if (note_size != 0)
		note[0] = 0;
	if (want != NULL)
		compare_names(note, note_size, &c, want);
	if (ca_wanted && !c.ca && note_size != 0)
		(void)snprintf(note, note_size, "the server gave no CA certificate");
	pem_encode(cert_pem, c.der, "CERTIFICATE");
	return buf_check(cert_pem, "certificate", e);
}

/* Could c have issued what says it comes from `issuer`, by key `aki` when that is said? */
static bool
is_issuer(const struct cert *c, struct bytes issuer, struct bytes aki)
{
	return bytes_equal(c->subject_der, issuer) && !est_self_signed(c) &&
	    (aki.n == 0 || c->ski.n == 0 || bytes_equal(aki, c->ski));
}

int
est_chain_path(struct buf *out, struct bytes cert_pem, struct bytes chain_pem, struct err *e)
{
	AUTO_LIST leaf = { 0 };
	AUTO_LIST chain = { 0 };
	struct cert c, above;
	size_t i, steps = 0;
	int r = list_pem(&leaf, cert_pem, e);

	if (r == 0)
		r = list_pem(&chain, chain_pem, e);
	if (r == 0)
		r = cert_parse(&c, leaf.n != 0 ? leaf.cert[0] : (struct bytes){ 0 }, e);
	if (r != 0)
		return err_prefix(e, r, "chain");
	do {
		for (i = 0; i < chain.n; i++)
			if (cert_parse(&above, chain.cert[i], NULL) == 0 &&
			    is_issuer(&above, c.issuer, c.aki))
				break;
		if (i == chain.n)
			break;
		pem_encode(out, chain.cert[i], "CERTIFICATE");
		c = above;
	} while (++steps < chain.n);
	return buf_check(out, "chain", e);
}
