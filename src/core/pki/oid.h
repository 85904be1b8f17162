/* SPDX-License-Identifier: Apache-2.0 */
/* pki/oid.h - the object identifiers that we know, as DER contents */
#ifndef CORE_PKI_OID_H
#define CORE_PKI_OID_H

#include "core/base/bytes.h"

enum oid {
	OID_UNKNOWN,
	/* names */
	OID_CN, OID_SURNAME, OID_SERIAL_NUMBER, OID_C, OID_L, OID_ST, OID_STREET, OID_O, OID_OU, OID_TITLE,
	OID_GIVEN_NAME, OID_DN_QUALIFIER, OID_ORGANIZATION_IDENTIFIER, OID_UID, OID_DC, OID_EMAIL,
	/* keys and signatures */
	OID_EC_PUBLIC_KEY, OID_P256, OID_P384, OID_P521, OID_RSA, OID_ED25519, OID_RSA_PSS,
	OID_ECDSA_SHA256, OID_ECDSA_SHA384, OID_ECDSA_SHA512,
	OID_RSA_SHA256, OID_RSA_SHA384, OID_RSA_SHA512, OID_RSA_SHA1, OID_RSA_MD5, OID_ECDSA_SHA1,
	OID_SHA256, OID_SHA384, OID_SHA512,
	/* extensions */
	OID_SKI, OID_KEY_USAGE, OID_SAN, OID_BASIC_CONSTRAINTS, OID_CRL_NUMBER, OID_REASON_CODE, OID_CRLDP,
	OID_CERT_POLICIES, OID_AKI, OID_EKU, OID_AIA, OID_NAME_CONSTRAINTS, OID_IDP,
	/* extended key usages, access methods */
	OID_SERVER_AUTH, OID_CLIENT_AUTH, OID_CODE_SIGNING, OID_OCSP_SIGNING, OID_CMC_RA, OID_ANY_EKU,
	OID_CA_ISSUERS, OID_OCSP,
	/* attributes of a request, CMS */
	OID_EXTENSION_REQUEST, OID_CHALLENGE_PASSWORD, OID_EST_IDENTITY_LINKING, OID_OTP_CHALLENGE,
	OID_REVOCATION_CHALLENGE, OID_MS_CERT_EXTENSIONS, OID_CHANGE_SUBJECT_NAME,
	OID_CERT_REQ_INFO_TEMPLATE, OID_EXTENSION_REQ_TEMPLATE, OID_SMIME_CAPABILITIES,
	OID_SIGNED_DATA, OID_DATA, OID_HW_MODULE_NAME,
	OID_COUNT
};

enum oid oid_find(struct bytes contents);        /* OID_UNKNOWN when not known */
struct bytes oid_contents(enum oid o);           /* static octets */
const char *oid_name(enum oid o);                /* "CN", "ecdsa-with-SHA256"; "?" */
enum oid oid_by_name(const char *name);          /* case-insensitive */
/* Dotted text of any OID ("1.2.840..."), for messages; cut when it does not fit. */
const char *oid_dotted(struct bytes contents, char out[80]);

#endif
