/* SPDX-License-Identifier: Apache-2.0 */
/* identityd/settings.h - the Identity Service's configuration, read and judged */
#ifndef DEVICE_IDENTITYD_SETTINGS_H
#define DEVICE_IDENTITYD_SETTINGS_H

#include "core/codec/json.h"
#include "core/codec/toml.h"
#include "core/pki/name.h"
#include "device/service/place.h"
#include "device/service/policy.h"
#include "device/service/settings.h"
#include "device/service/stem.h"

#define IDENTITYD_TRUST_MAX 16
#define IDENTITYD_CLOUD_ID_MAX 129 /* octets of a device or registration ID, NUL included */

enum identity_source { SOURCE_IS_NONE, SOURCE_IS_MANUAL, SOURCE_IS_DPS };
enum identity_auth { AUTH_IS_NONE, AUTH_IS_SAS, AUTH_IS_X509, AUTH_IS_TPM };
const char *identity_source_name(enum identity_source s); /* "none", "manual", "dps" */

struct identity_principal {
	uid_t uid;
	char name[ID_MAX];            /* module ID */
	bool daemon;                  /* has no idtype: may do everything (the first one alone) */
	bool device, local, module;   /* idtype */
	bool server;                  /* localid attributes = "server" */
};

struct identityd_settings {
	char hostname[256];
	char homedir[PLACE_MAX];
	bool prefer_cache;
	unsigned max_requests;
	unsigned cloud_timeout_s, cloud_retries;
	char localid_domain[256];     /* "" : no [localid] */
	enum identity_source source;
	char gateway[256];            /* local_gateway_hostname; "": none */
	enum identity_auth auth;
	/* manual */
	char hub[256], device_id[IDENTITYD_CLOUD_ID_MAX];
	/* dps */
	char endpoint[1024], scope[IDENTITYD_CLOUD_ID_MAX];
	char registration[IDENTITYD_CLOUD_ID_MAX]; /* "": the CN of the identity certificate */
	char payload_file[PLACE_MAX]; /* "": none; read at each provisioning */
	/* both */
	char symmetric_key[ID_MAX];   /* key ID of "sas" and "symmetric_key" */
	char cert[ID_MAX], key[ID_MAX]; /* of x509 */
	struct name subject;          /* of the identity certificate: CN first; n 0: cannot be made here */
	bool renew;
	struct policy policy;         /* when renew is set */
	/* Estuary's own: [provisioning] trusted_certs (IDs of certd or file URIs), proxy, no_proxy, trust_system */
	char trust[IDENTITYD_TRUST_MAX][ID_MAX];
	size_t n_trust;
	bool trust_system;
	char proxy[1024], no_proxy[1024];
	char certd_socket[PLACE_MAX], keyd_socket[PLACE_MAX]; /* [endpoints] or the usual places */
	char trust_bundle[ID_MAX];    /* certificate ID that GET /trust-bundle serves; "": aziot-edged-trust-bundle */
	char socket[PLACE_MAX];       /* ours */
	size_t n_principals;
	struct identity_principal *principal;
};

/*
 * Read the merged configuration: types, ranges, and the rules that the original has at its start (docs/DEVICE.md).
 * E_FORMAT with file:line:column and what is expected; *out is NULL then.  warn: unknown keys, and what is odd but taken.
 */
int identityd_settings_read(struct identityd_settings **out, const struct toml *doc, const struct place *p,
    void (*warn)(void *ctx, const char *text), void *ctx, struct err *e) MUST_CHECK;
void identityd_settings_free(struct identityd_settings *s);
AUTO_DEFINE(identityd_settings, identityd_settings_free)

#endif
