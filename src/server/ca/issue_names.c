/* SPDX-License-Identifier: Apache-2.0 */
/* ca/issue_names.c - what a new identity may be called, and what it may not ask for */
#include "server/ca/issue.h"

#include <string.h>
#include <strings.h>

#include "core/base/text.h"

static const char *const san_words[SAN_KIND_COUNT] = {
	[SAN_DNS] = "DNS name", [SAN_IP] = "IP address", [SAN_URI] = "URI",
	[SAN_EMAIL] = "e-mail address", [SAN_OTHER] = "hardwareModuleName",
};

/* --- powers --- */

static bool
eku_in_profile(const struct profile *p, enum oid eku)
{
	for (size_t i = 0; i < p->n_eku; i++)
		if (p->eku[i] == eku)
			return true;
	return false;
}

static int
check_powers(const struct profile *p, const struct csr *csr, struct err *e)
{
	if (csr->key_type == KEY_NONE || (unsigned)csr->key_type >= KEY_TYPE_COUNT ||
	    (p->keys >> csr->key_type & 1) == 0)
		return err_set(e, E_POLICY, "csr: a key of type %s is not in profile '%s'",
		    key_type_name(csr->key_type), p->name);
	if (csr->wants_ca && !p->ca)
		return err_set(e, E_POLICY, "csr asks for CA:TRUE: profile '%s' makes no CA certificates",
		    p->name);
	if (csr->has_key_usage && !p->ca &&
	    (csr->key_usage & (KU_KEY_CERT_SIGN | KU_CRL_SIGN)) != 0)
		return err_set(e, E_POLICY,
		    "csr asks for keyCertSign or cRLSign: profile '%s' makes no CA certificates",
		    p->name);
	for (size_t i = 0; i < csr->n_eku; i++)
		if (!eku_in_profile(p, csr->eku[i]))
			return err_set(e, E_POLICY, "csr asks for extended key usage %s: not in profile '%s'",
			    csr->eku[i] == OID_UNKNOWN ? "(unknown)" : oid_name(csr->eku[i]), p->name);
	if (csr->critical_unknown)
		return err_set(e, E_POLICY, "csr asks for a critical extension that is not known");
	return 0;
}

/* --- subject --- */

static int
check_subject(const struct profile *p, const struct name *subject, struct err *e)
{
	for (size_t i = 0; i < subject->n; i++) {
		enum oid type = subject->ava[i].type;
		size_t k = 0;

		while (k < p->n_subject_types && p->subject_types[k] != type)
			k++;
		if (k == p->n_subject_types)
			return err_set(e, E_POLICY, "csr: subject attribute %s is not allowed by profile '%s'",
			    oid_name(type), p->name);
	}
	return 0;
}

/* --- alternative names --- */

/* The device's name itself, or that and a dot and more. */
static bool
is_of_device(struct bytes host, const char *device)
{
	size_t n = strlen(device);

	if (n == 0 || host.n < n || strncasecmp((const char *)host.p, device, n) != 0)
		return false;
	return host.n == n || (host.p[n] == '.' && host.n > n + 1);
}

struct bytes
issue_uri_host(struct bytes uri)
{
	const uint8_t *p = memchr(uri.p, ':', uri.n); /* a scheme has no colon */
	struct bytes rest, host;
	size_t n = 0;

	rest = p == NULL ? uri : bytes_slice(uri, (size_t)(p - uri.p), uri.n);
	if (rest.n < 3 || memcmp(rest.p, "://", 3) != 0)
		return (struct bytes){ 0 };
	rest = bytes_slice(rest, 3, rest.n);
	while (n < rest.n && memchr("/?#", rest.p[n], 3) == NULL)
		n++;
	host = bytes_slice(rest, 0, n);
	if (memchr(host.p, '@', host.n) != NULL || memchr(host.p, '%', host.n) != NULL)
		return (struct bytes){ 0 };
	p = memchr(host.p, ':', host.n);
	return p == NULL ? host : bytes_slice(host, 0, (size_t)(p - host.p));
}

static int
check_san(const struct profile *p, const struct san *s, const char *device, struct err *e)
{
	struct bytes value = { s->value, s->n };

	switch (p->san[s->kind]) {
	case SAN_RULE_ANY:
		return 0;
	case SAN_RULE_DEVICE:
		if (s->kind == SAN_URI)
			value = issue_uri_host(value);
		if ((s->kind == SAN_DNS || s->kind == SAN_URI) && is_of_device(value, device))
			return 0;
		return err_set(e, E_POLICY, "csr: a %s is not that of device '%s'", san_words[s->kind],
		    device);
	default:
		return err_set(e, E_POLICY, "csr: a %s as alternative name is not allowed by profile '%s'",
		    san_words[s->kind], p->name);
	}
}

static int
check_sans(const struct profile *p, const struct csr *csr, const char *device, struct err *e)
{
	for (size_t i = 0; i < csr->sans.n; i++)
		if (check_san(p, &csr->sans.san[i], device, e) != 0)
			return E_POLICY;
	return 0;
}

int
issue_names(struct name *subject, struct sans *sans, const struct profile *p, const char *device,
    const struct csr *csr, struct err *e)
{
	bool request = strcmp(p->subject, "request") == 0;
	struct name made = csr->subject;

	if (check_powers(p, csr, e) != 0)
		return E_POLICY;
	if (request ? check_subject(p, &made, e) != 0 : profile_subject(&made, p, device, e) != 0)
		return E_POLICY;
	if (csr->has_san && check_sans(p, csr, device, e) != 0)
		return E_POLICY;
	if (made.n == 0 && (!csr->has_san || csr->sans.n == 0))
		return err_set(e, E_POLICY, "csr: neither a subject nor an alternative name");
	*subject = made;
	if (csr->has_san)
		*sans = csr->sans;
	else
		sans->n = 0;
	return 0;
}
