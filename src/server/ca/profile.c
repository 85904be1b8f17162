/* SPDX-License-Identifier: Apache-2.0 */
/* ca/profile.c - the profiles of the box, what no profile may say, and subjects from templates */
#include "server/ca/profile.h"

#include <string.h>

#include "core/base/text.h"

#define DAY      INT64_C(86400)
#define YEAR     (365 * DAY)
#define BACKDATE 300
#define DEVICE   "{device}"
#define KU_ALL   ((1u << 7) - 1)

#define DEVICE_TYPES .n_subject_types = 8, .subject_types = { OID_CN, OID_SERIAL_NUMBER, OID_O, \
	OID_OU, OID_C, OID_ST, OID_L, OID_DN_QUALIFIER }

static const struct profile box[] = {
	{
		.name = "device", .lifetime_s = 90 * DAY, .backdate_s = BACKDATE, .pathlen = -1,
		.ku = KU_DIGITAL_SIGNATURE, .n_eku = 1, .eku = { OID_CLIENT_AUTH },
		.subject = "request", DEVICE_TYPES, .san = { [SAN_DNS] = SAN_RULE_DEVICE },
		.keys = PROFILE_KEYS_ALL, .pointers = true,
	}, {
		.name = "idevid", .lifetime_s = 10 * YEAR, .backdate_s = BACKDATE, .pathlen = -1,
		.ku = KU_DIGITAL_SIGNATURE, .n_eku = 1, .eku = { OID_CLIENT_AUTH },
		.subject = "request", DEVICE_TYPES, .san = { [SAN_OTHER] = SAN_RULE_ANY },
		.keys = PROFILE_KEYS_ALL, .pointers = true,
	}, {
		/* A name that a device chose could be a CA's: this one always ends alike. */
		.name = "edge-ca", .lifetime_s = 30 * DAY, .backdate_s = BACKDATE, .ca = true, .pathlen = 0,
		.ku = KU_KEY_CERT_SIGN | KU_CRL_SIGN | KU_DIGITAL_SIGNATURE,
		.subject = "CN=" DEVICE " Edge CA", .keys = PROFILE_KEYS_ALL, .pointers = true,
	}, {
		.name = "tls-server", .lifetime_s = YEAR, .backdate_s = BACKDATE, .pathlen = -1,
		.ku = KU_DIGITAL_SIGNATURE, .n_eku = 1, .eku = { OID_SERVER_AUTH }, .subject = "request",
		.n_subject_types = 6, .subject_types = { OID_CN, OID_O, OID_OU, OID_C, OID_ST, OID_L },
		.san = { [SAN_DNS] = SAN_RULE_ANY, [SAN_IP] = SAN_RULE_ANY },
		.keys = PROFILE_KEYS_ALL, .pointers = true,
	}, {
		.name = "root", .lifetime_s = 20 * YEAR, .backdate_s = BACKDATE, .ca = true, .pathlen = -1,
		.ku = KU_KEY_CERT_SIGN | KU_CRL_SIGN, .subject = "CN=" DEVICE, .keys = PROFILE_KEYS_ALL,
	}, {
		/* Path length 1: room for the CAs of edge devices below it. */
		.name = "subordinate", .lifetime_s = 10 * YEAR, .backdate_s = BACKDATE, .ca = true,
		.pathlen = 1, .ku = KU_KEY_CERT_SIGN | KU_CRL_SIGN, .subject = "CN=" DEVICE,
		.keys = PROFILE_KEYS_ALL, .pointers = true,
	},
};

const struct profile *
profile_of_the_box_at(size_t i)
{
	return i < N_OF(box) ? &box[i] : NULL;
}

const struct profile *
profile_of_the_box(const char *name)
{
	for (size_t i = 0; i < N_OF(box); i++)
		if (strcmp(box[i].name, name) == 0)
			return &box[i];
	return NULL;
}

bool
profile_is_internal(const char *name)
{
	return strcmp(name, "root") == 0 || strcmp(name, "subordinate") == 0;
}

/* --- subjects --- */

/* One value of a template up to its comma, backslashes resolved and the device's name put in. */
static void
expand_value(struct buf *out, const char **t, const char *device)
{
	while (**t != 0 && **t != ',') {
		if (strncmp(*t, DEVICE, strlen(DEVICE)) == 0) {
			buf_put_str(out, device);
			*t += strlen(DEVICE);
			continue;
		}
		if (**t == '\\' && (*t)[1] != 0)
			(*t)++;
		buf_put_u8(out, (uint8_t)*(*t)++);
	}
}

/*
 * Expanded after it was cut into attributes, value by value: a device whose name
 * is "x,O=y" does not become an organisation.
 */
static int
expand(struct name *out, const char *t, const char *device, struct err *e)
{
	for (;;) {
		AUTO_BUF value = BUF_MAX(NAME_VALUE_MAX - 1);
		char type[32] = { 0 };
		size_t n = strcspn(t, "=,");

		if (t[n] != '=' || n >= sizeof(type))
			return err_set(e, E_POLICY, "'%.40s' is not TYPE=value", t);
		memcpy(type, t, n);
		t += n + 1;
		if (oid_by_name(type) == OID_UNKNOWN)
			return err_set(e, E_POLICY, "unknown attribute '%s'", type);
		expand_value(&value, &t, device);
		if (buf_check(&value, type, e) != 0 ||
		    name_add(out, oid_by_name(type), buf_str(&value), e) != 0)
			return E_POLICY;
		if (*t == 0)
			return 0;
		t++;
	}
}

int
profile_subject(struct name *out, const struct profile *p, const char *device, struct err *e)
{
	struct name n = { 0 };

	if (expand(&n, p->subject, device, e) != 0) {
		(void)err_prefix(e, E_POLICY, "profile '%s': subject for device '%s'", p->name, device);
		if (e != NULL)
			e->code = E_POLICY;
		return E_POLICY;
	}
	*out = n;
	return 0;
}

/* --- what no profile may say --- */

static bool
is_request(const struct profile *p)
{
	return strcmp(p->subject, "request") == 0;
}

/* Braces around anything but "device". */
static bool
has_unknown_placeholder(const char *t)
{
	while ((t = strpbrk(t, "{}")) != NULL) {
		if (strncmp(t, DEVICE, strlen(DEVICE)) != 0)
			return true;
		t += strlen(DEVICE);
	}
	return false;
}

static bool
has_bad_template(const struct profile *p)
{
	struct name n;

	return !is_request(p) && profile_subject(&n, p, "x", NULL) != 0;
}

static bool
is_eku(enum oid o)
{
	return o == OID_SERVER_AUTH || o == OID_CLIENT_AUTH || o == OID_CODE_SIGNING ||
	    o == OID_OCSP_SIGNING || o == OID_CMC_RA;
}

static bool
has_oid(const enum oid *list, size_t n, enum oid o)
{
	for (size_t i = 0; i < n; i++)
		if (list[i] == o)
			return true;
	return false;
}

static bool
has_bad_eku(const struct profile *p)
{
	for (size_t i = 0; i < p->n_eku; i++)
		if (!is_eku(p->eku[i]) || has_oid(p->eku, i, p->eku[i]))
			return true;
	return false;
}

static bool
has_any_san(const struct profile *p)
{
	for (size_t i = 0; i < SAN_KIND_COUNT; i++)
		if (p->san[i] != SAN_RULE_NONE)
			return true;
	return false;
}

/* Only a DNS name or a URI can be the device's own. */
static bool
has_bad_san(const struct profile *p)
{
	for (size_t i = 0; i < SAN_KIND_COUNT; i++)
		if ((unsigned)p->san[i] >= SAN_RULE_COUNT ||
		    (p->san[i] == SAN_RULE_DEVICE && i != SAN_DNS && i != SAN_URI))
			return true;
	return false;
}

int
profile_valid(const struct profile *p, struct err *e)
{
	const uint32_t ca_ku = KU_KEY_CERT_SIGN | KU_CRL_SIGN;
	const struct { bool broken; const char *name, *why; } rules[] = {
		{ !text_valid_name(p->name, PROFILE_NAME_MAX - 1),
		    "name", "1 to 64 letters, digits and ._-" },
		{ p->lifetime_s < PROFILE_LIFETIME_MIN || p->lifetime_s > PROFILE_LIFETIME_MAX,
		    "lifetime", "from 60s to 100y" },
		{ p->backdate_s < 0 || p->backdate_s > PROFILE_BACKDATE_MAX,
		    "backdate", "at most 1d" },
		{ p->ca && (p->ku & KU_KEY_CERT_SIGN) == 0,
		    "ca-without-keyCertSign", "RFC 5280 4.2.1.9: a CA certificate has keyCertSign" },
		{ !p->ca && p->pathlen != -1,
		    "pathlen-without-ca", "RFC 5280 4.2.1.9: a path length is for CA certificates" },
		{ p->pathlen < -1 || p->pathlen > PROFILE_PATHLEN_MAX,
		    "pathlen", "none, or 0 to 15" },
		{ !p->ca && (p->ku & ca_ku) != 0,
		    "leaf-signs", "keyCertSign and cRLSign are for CA certificates" },
		{ p->ku == 0 || (p->ku & ~KU_ALL) != 0,
		    "ku", "at least one key usage that is known" },
		{ p->n_eku <= PROFILE_EKU_MAX && has_oid(p->eku, p->n_eku, OID_ANY_EKU),
		    "any-eku", "anyExtendedKeyUsage allows everything" },
		{ p->n_eku > PROFILE_EKU_MAX || has_bad_eku(p),
		    "eku", "known extended key usages, each once" },
		{ p->keys == 0 || (p->keys & ~PROFILE_KEYS_ALL) != 0,
		    "keys", "at least one key type that is known" },
		{ p->ca && has_any_san(p),
		    "ca-with-san", "a CA certificate has no alternative names" },
		{ has_bad_san(p),
		    "san", "\"device\" is for DNS names and URIs" },
		{ p->ca && is_request(p),
		    "ca-subject", "a requester must not name a CA: a template is needed" },
		{ p->n_subject_types > PROFILE_TYPES_MAX, "subject-types", "too many" },
		{ is_request(p) && p->n_subject_types == 0 && !has_any_san(p),
		    "nameless", "neither subject attributes nor alternative names are allowed" },
		{ has_unknown_placeholder(p->subject),
		    "placeholder", "{device} is the only one" },
		{ has_bad_template(p),
		    "subject", "\"request\", or a template such as CN={device},O=Example" },
	};

	for (size_t i = 0; i < N_OF(rules); i++)
		if (rules[i].broken)
			return err_set(e, E_POLICY, "profile '%.64s': rule %s: %s", p->name,
			    rules[i].name, rules[i].why);
	return 0;
}
