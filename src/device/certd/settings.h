/* SPDX-License-Identifier: Apache-2.0 */
/* certd/settings.h - certd's configuration as values */
#ifndef DEVICE_CERTD_SETTINGS_H
#define DEVICE_CERTD_SETTINGS_H

#include "core/pki/cert.h"
#include "device/service/policy.h"
#include "device/service/principal.h"
#include "device/service/settings.h"
#include "device/service/stem.h"

/*
 * Beside what the original reads (homedir_path, max_requests, [cert_issuance], [preloaded_certs], [[principal]])
 * these keys are Estuary's own.  "auth" is wherever username, password and the pairs stand: [cert_issuance.est],
 * [cert_issuance.ID], or a table `auth` below either.
 *
 *   top           close_when_full     true: over max_requests close at once, as the original; default: 429
 *   [endpoints]   aziot_certd         "unix:///path" of our own socket
 *   [endpoints]   aziot_keyd          "unix:///path" of the Keys Service's
 *   est           channel_binding     true: certd's own requests are bound to the TLS connection (RFC 7030 3.5, RFC 9266)
 *   est           reenroll            true: EST identities are renewed by /simplereenroll
 *   est           trust_system        false: trusted_certs alone, not the system's anchors; default true
 *   est           timeout             "20s": of one exchange with a server, a minute at most; default "60s"
 *   est           proxy               "http://user:password@host:port"; default $HTTPS_PROXY; "": none
 *   est           no_proxy            "host,.domain,..."; default $NO_PROXY; "": none
 *   auth          headers             [ "Name: value", ... ]: sent where no identity is presented yet
 *   auth          headers_always      true: with the identity as well
 *   auth          anonymous           true: no credential is needed (the server decides, or knows a header)
 *   auth          password_file       "/path" or "file:///path" instead of password, without its line end
 *   ID            san                 [ "dns:x.example", "ip:192.0.2.7", "uri:urn:x", "email:a@x.example" ]; issued
 *                                     locally, a request may have these alone
 *   ID            pk                  key ID: certd makes key and request by itself, and renews
 *   ID            algorithms          "ec-p256:rsa-2048:*" for that key, the most wanted first
 *   ID            auto_renew          true, false, or a table as identity_auto_renew; for entries with pk
 *   ID            reenroll            true: renew by /simplereenroll
 *   ID            ca                  true: may be a CA's; default for aziot-edged-ca(-temp), local_ca.cert
 *   ID            pathlen             CA certificates allowed below it; default 0, of local_ca.cert 1
 *   ID            key_usage           [ "digitalSignature", ... ] that may be asked for; default: a leaf's
 *   ID            extended_key_usage  [ "serverAuth", "clientAuth", ... ]; default these two
 *
 * Wherever a certificate ID is expected a "file:///path" may stand: it is that file, preloaded under the URI as
 * its ID.  A text that is "" counts as not given.
 */
enum certd_method { METHOD_NONE, METHOD_EST, METHOD_LOCAL_CA, METHOD_SELF_SIGNED };

/* How to authenticate at an EST server.  Owned texts, NULL when not given. */
struct est_auth_settings {
	bool given;                             /* a basic or x509 pair is whole, or `anonymous = true` */
	bool anonymous;
	char *username, *password;              /* password_file is read when it is used */
	char *password_file;
	char *identity_cert, *identity_pk, *bootstrap_cert, *bootstrap_pk; /* IDs */
	char **headers;                         /* "Name: value", ended by NULL; sent where no identity is presented yet, or with it too if headers_always */
	bool headers_always;
};

/* [cert_issuance.ID] */
struct issuance {
	char *id;
	enum certd_method method;
	unsigned days;                          /* 30 */
	bool has_subject;
	struct name subject;                    /* common_name or subject */
	struct sans sans;                       /* Estuary's own: san = ["dns:...", ...] */
	char *url;                              /* EST */
	struct est_auth_settings auth;
	bool reenroll;                          /* Estuary's own: renew by /simplereenroll */
	char *pk;                               /* Estuary's own: the key ID; with it certd itself requests and renews this certificate */
	char *algorithms;                       /* Estuary's own: for that key */
	bool auto_renew;
	struct policy policy;
	bool ca;                                /* Estuary's own: may become a CA certificate (local issuance), asks for one (EST) */
	int pathlen;
	uint32_t ku;
	size_t n_eku;
	enum oid eku[CERT_EKU_MAX];
};

/* [preloaded_certs] ID = "file:///..." or a list of other IDs */
struct preloaded {
	char *id;
	char *path;                             /* NULL: a list */
	char **members;                         /* ended by NULL */
	bool identity;                          /* a file that is an EST identity: certd works with a copy in its home */
};

struct url_row {
	char *id, *url;
};

struct certd_settings {
	char *home;                             /* homedir_path */
	unsigned max_requests;
	bool close_when_full;
	char *socket;                           /* [endpoints] aziot_certd; NULL: the place's */
	char *keyd_socket;
	size_t n_issuance;
	struct issuance *issuance;              /* sorted by ID */
	size_t n_preloaded;
	struct preloaded *preloaded;
	char *local_ca_cert, *local_ca_pk;      /* NULL: none */
	char **trusted_certs;                   /* IDs or file: URIs, ended by NULL */
	unsigned est_timeout_s;                 /* 0: the usual */
	bool channel_binding, reenroll;
	bool trust_system;                      /* the system's anchors too: true unless `trust_system = false` */
	struct est_auth_settings est_auth;
	struct policy identity_policy;
	bool identity_auto_renew;
	size_t n_urls;
	struct url_row *urls;                   /* "default" among them */
	char *proxy, *no_proxy;                 /* from the environment, unless configured */
	struct principals *principals;
};

/* What is told of an http: URL; `check` has a check of its own for those. */
#define CERTD_PLAIN_HTTP "http: is neither secret nor authentic, anybody on the way can answer"

/*
 * The values of a merged configuration; what is wrong is E_FORMAT with file:line:column and key, what is odd (unknown keys, half a
 * pair of auth, http: URLs, common_name beside subject) is told to warn.  defaults by place.
 */
int certd_settings_read(struct certd_settings **out, const struct toml *doc, const struct place *p,
    void (*warn)(void *ctx, const char *text), void *ctx, struct err *e) MUST_CHECK;
void certd_settings_free(struct certd_settings *s);
AUTO_DEFINE(certd_settings, certd_settings_free)

const struct issuance *certd_issuance(const struct certd_settings *s, const char *id); /* NULL: none */
const struct preloaded *certd_preloaded(const struct certd_settings *s, const char *id);
/*
 * The EST URL for a certificate: its own url, urls[id], and the same for the ID without "-temp", then urls.default, then
 * `fallback` (an owner's URL, may be NULL).  NULL: none is configured.
 */
const char *certd_url(const struct certd_settings *s, const char *id, const char *fallback);
/* Its own auth when that is given, the global one otherwise; NULL: none. */
const struct est_auth_settings *certd_auth(const struct certd_settings *s, const char *id);

#endif
