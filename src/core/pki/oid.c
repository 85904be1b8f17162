/* SPDX-License-Identifier: Apache-2.0 */
/* pki/oid.c - the table of object identifiers */
#include "core/pki/oid.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define O(id, text, octets) [OID_##id] = { sizeof(octets) - 1, (uint8_t)octets[sizeof(octets) - 2], text, octets }

static const struct {
	uint8_t n, last; /* octet of contents */
	const char *name, *contents;
} oids[OID_COUNT] = {
	[OID_UNKNOWN] = { 0, 0, "?", "" },
	/* names */
	O(CN, "CN", "\x55\x04\x03"),
	O(SURNAME, "surname", "\x55\x04\x04"),
	O(SERIAL_NUMBER, "serialNumber", "\x55\x04\x05"),
	O(C, "C", "\x55\x04\x06"),
	O(L, "L", "\x55\x04\x07"),
	O(ST, "ST", "\x55\x04\x08"),
	O(STREET, "street", "\x55\x04\x09"),
	O(O, "O", "\x55\x04\x0a"),
	O(OU, "OU", "\x55\x04\x0b"),
	O(TITLE, "title", "\x55\x04\x0c"),
	O(GIVEN_NAME, "givenName", "\x55\x04\x2a"),
	O(DN_QUALIFIER, "dnQualifier", "\x55\x04\x2e"),
	O(ORGANIZATION_IDENTIFIER, "organizationIdentifier", "\x55\x04\x61"),
	O(UID, "UID", "\x09\x92\x26\x89\x93\xf2\x2c\x64\x01\x01"),
	O(DC, "DC", "\x09\x92\x26\x89\x93\xf2\x2c\x64\x01\x19"),
	O(EMAIL, "emailAddress", "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x01"),
	/* keys and signatures */
	O(EC_PUBLIC_KEY, "id-ecPublicKey", "\x2a\x86\x48\xce\x3d\x02\x01"),
	O(P256, "P-256", "\x2a\x86\x48\xce\x3d\x03\x01\x07"),
	O(P384, "P-384", "\x2b\x81\x04\x00\x22"),
	O(P521, "P-521", "\x2b\x81\x04\x00\x23"),
	O(RSA, "rsaEncryption", "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01"),
	O(ED25519, "Ed25519", "\x2b\x65\x70"),
	O(RSA_PSS, "RSASSA-PSS", "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0a"),
	O(ECDSA_SHA256, "ecdsa-with-SHA256", "\x2a\x86\x48\xce\x3d\x04\x03\x02"),
	O(ECDSA_SHA384, "ecdsa-with-SHA384", "\x2a\x86\x48\xce\x3d\x04\x03\x03"),
	O(ECDSA_SHA512, "ecdsa-with-SHA512", "\x2a\x86\x48\xce\x3d\x04\x03\x04"),
	O(RSA_SHA256, "sha256WithRSAEncryption", "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0b"),
	O(RSA_SHA384, "sha384WithRSAEncryption", "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0c"),
	O(RSA_SHA512, "sha512WithRSAEncryption", "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0d"),
	O(RSA_SHA1, "sha1WithRSAEncryption", "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x05"),
	O(RSA_MD5, "md5WithRSAEncryption", "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x04"),
	O(ECDSA_SHA1, "ecdsa-with-SHA1", "\x2a\x86\x48\xce\x3d\x04\x01"),
	O(SHA256, "SHA-256", "\x60\x86\x48\x01\x65\x03\x04\x02\x01"),
	O(SHA384, "SHA-384", "\x60\x86\x48\x01\x65\x03\x04\x02\x02"),
	O(SHA512, "SHA-512", "\x60\x86\x48\x01\x65\x03\x04\x02\x03"),
	/* extensions */
	O(SKI, "subjectKeyIdentifier", "\x55\x1d\x0e"),
	O(KEY_USAGE, "keyUsage", "\x55\x1d\x0f"),
	O(SAN, "subjectAltName", "\x55\x1d\x11"),
	O(BASIC_CONSTRAINTS, "basicConstraints", "\x55\x1d\x13"),
	O(CRL_NUMBER, "cRLNumber", "\x55\x1d\x14"),
	O(REASON_CODE, "reasonCode", "\x55\x1d\x15"),
	O(CRLDP, "cRLDistributionPoints", "\x55\x1d\x1f"),
	O(CERT_POLICIES, "certificatePolicies", "\x55\x1d\x20"),
	O(AKI, "authorityKeyIdentifier", "\x55\x1d\x23"),
	O(EKU, "extKeyUsage", "\x55\x1d\x25"),
	O(AIA, "authorityInfoAccess", "\x2b\x06\x01\x05\x05\x07\x01\x01"),
	O(NAME_CONSTRAINTS, "nameConstraints", "\x55\x1d\x1e"),
	O(IDP, "issuingDistributionPoint", "\x55\x1d\x1c"),
	/* extended key usages, access methods */
	O(SERVER_AUTH, "serverAuth", "\x2b\x06\x01\x05\x05\x07\x03\x01"),
	O(CLIENT_AUTH, "clientAuth", "\x2b\x06\x01\x05\x05\x07\x03\x02"),
	O(CODE_SIGNING, "codeSigning", "\x2b\x06\x01\x05\x05\x07\x03\x03"),
	O(OCSP_SIGNING, "OCSPSigning", "\x2b\x06\x01\x05\x05\x07\x03\x09"),
	O(CMC_RA, "cmcRA", "\x2b\x06\x01\x05\x05\x07\x03\x1c"),
	O(ANY_EKU, "anyExtendedKeyUsage", "\x55\x1d\x25\x00"),
	O(CA_ISSUERS, "caIssuers", "\x2b\x06\x01\x05\x05\x07\x30\x02"),
	O(OCSP, "ocsp", "\x2b\x06\x01\x05\x05\x07\x30\x01"),
	/* attributes of a request, CMS */
	O(EXTENSION_REQUEST, "extensionRequest", "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x0e"),
	O(CHALLENGE_PASSWORD, "challengePassword", "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x07"),
	O(EST_IDENTITY_LINKING, "estIdentityLinking",
	    "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x02\x3a"),
	O(OTP_CHALLENGE, "otpChallenge", "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x02\x38"),
	O(REVOCATION_CHALLENGE, "revocationChallenge",
	    "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x02\x39"),
	O(MS_CERT_EXTENSIONS, "microsoftCertExtensions",
	    "\x2b\x06\x01\x04\x01\x82\x37\x02\x01\x0e"),
	O(CHANGE_SUBJECT_NAME, "changeSubjectName", "\x2b\x06\x01\x05\x05\x07\x07\x24"),
	O(CERT_REQ_INFO_TEMPLATE, "certificationRequestInfoTemplate",
	    "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x02\x3d"),
	O(EXTENSION_REQ_TEMPLATE, "extensionReqTemplate",
	    "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x02\x3e"),
	O(SMIME_CAPABILITIES, "smimeCapabilities", "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x0f"),
	O(SIGNED_DATA, "signedData", "\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02"),
	O(DATA, "data", "\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01"),
	O(HW_MODULE_NAME, "hardwareModuleName", "\x2b\x06\x01\x05\x05\x07\x08\x04"),
};

#undef O

/* What people also write. */
static const struct { const char *name; enum oid oid; } aliases[] = {
	{ "E", OID_EMAIL }, { "email", OID_EMAIL }, { "GN", OID_GIVEN_NAME }, { "S", OID_ST },
	{ "userId", OID_UID },
};

enum oid
oid_find(struct bytes contents)
{
	if (contents.n == 0)
		return OID_UNKNOWN;
	/* The last octet tells nearly all of one length apart. */
	for (int o = OID_UNKNOWN + 1; o < OID_COUNT; o++)
		if (oids[o].n == contents.n && oids[o].last == contents.p[contents.n - 1] &&
		    memcmp(oids[o].contents, contents.p, contents.n) == 0)
			return (enum oid)o;
	return OID_UNKNOWN;
}

struct bytes
oid_contents(enum oid o)
{
	return (struct bytes){ (const uint8_t *)oids[o].contents, oids[o].n };
}

const char *
oid_name(enum oid o)
{
	return oids[o].name;
}

enum oid
oid_by_name(const char *name)
{
	for (int o = OID_UNKNOWN + 1; o < OID_COUNT; o++)
		if (strcasecmp(oids[o].name, name) == 0)
			return (enum oid)o;
	for (size_t i = 0; i < N_OF(aliases); i++)
		if (strcasecmp(aliases[i].name, name) == 0)
			return aliases[i].oid;
	return OID_UNKNOWN;
}

/* Append text at out[at] of 80 characters; the new end, 79 at most. */
static size_t
append(char out[80], size_t at, const char *text)
{
	size_t n = strlen(text);

	if (n > 79 - at)
		n = 79 - at;
	memcpy(out + at, text, n);
	out[at + n] = 0;
	return at + n;
}

const char *
oid_dotted(struct bytes contents, char out[80])
{
	uint64_t arc = 0;
	bool first = true, huge = false;
	size_t at = append(out, 0, contents.n == 0 ? "?" : "");

	for (size_t i = 0; i < contents.n; i++) {
		unsigned root;
		char text[32];

		huge = huge || arc >> 57 != 0;
		arc = arc << 7 | (contents.p[i] & 0x7f);
		if (contents.p[i] >= 0x80)
			continue;
		/* X.690 8.19.4: the first octets hold two arcs, 40 * root + next. */
		root = arc < 80 ? (unsigned)(arc / 40) : 2;
		if (huge)
			(void)snprintf(text, sizeof(text), first ? "2.?" : ".?");
		else if (first)
			(void)snprintf(text, sizeof(text), "%u.%" PRIu64, root, arc - 40 * root);
		else
			(void)snprintf(text, sizeof(text), ".%" PRIu64, arc);
		at = append(out, at, text);
		first = huge = false;
		arc = 0;
	}
	return out;
}
