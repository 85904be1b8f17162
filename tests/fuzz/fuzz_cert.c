/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz/fuzz_cert.c - what we read as a certificate, OpenSSL reads as the same one */
#include <assert.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "core/pki/cert.h"
#include "core/pki/ossl.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void
inside(struct bytes part, struct bytes whole)
{
	assert(part.n == 0 || (part.p >= whole.p && part.p + part.n <= whole.p + whole.n));
}

/*
 * Two readers of one input must not differ: that is how a checked certificate becomes
 * another one.  OpenSSL may refuse what we take (strings in foreign names).
 */
static void
compare(const struct cert *c)
{
	const unsigned char *p = c->der.p;
	AUTO_OSSL(X509) x = d2i_X509(NULL, &p, (long)c->der.n);
	char text[2 * CERT_SERIAL_MAX + 1];

	ERR_clear_error();
	if (x == NULL)
		return;
	assert(p == c->der.p + c->der.n && X509_get_version(x) == 2);
	if ((X509_get_extension_flags(x) & EXFLAG_INVALID) != 0)
		return;
	assert(c->ca == ((X509_get_extension_flags(x) & EXFLAG_CA) != 0));
	if (c->has_ku)
		assert(((X509_get_key_usage(x) & X509v3_KU_DIGITAL_SIGNATURE) != 0) ==
		    ((c->ku & KU_DIGITAL_SIGNATURE) != 0));
	assert(c->has_eku == (X509_get_extended_key_usage(x) != UINT32_MAX));
	assert(cert_serial_text(c->serial, text)[0] != 0);
}

static void
all_inside(const struct cert *c, struct bytes der)
{
	inside(c->tbs, der);
	inside(c->issuer, c->tbs);
	inside(c->subject_der, c->tbs);
	inside(c->spki, c->tbs);
	inside(c->serial, c->tbs);
	inside(c->ski, c->tbs);
	inside(c->aki, c->tbs);
	inside(c->sig, der);
	assert(c->n_eku <= CERT_EKU_MAX && c->not_before <= c->not_after);
}

/* Of version 1 there is nothing that could give a right. */
static void
take_v1(struct bytes der)
{
	struct cert c;

	if (cert_read_v1(&c, der, NULL) != 0)
		return;
	all_inside(&c, der);
	assert(!c.ca && !c.has_ku && !c.has_eku && !c.has_san && c.ski.n == 0 && c.aki.n == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct bytes der = { p, n };
	struct err e = { 0 };
	struct cert c;

	if (cert_parse(&c, der, &e) != 0) {
		assert(e.msg[0] != 0);
		take_v1(der);
		return 0;
	}
	all_inside(&c, der);
	compare(&c);
	return 0;
}
