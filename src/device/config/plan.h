/* SPDX-License-Identifier: Apache-2.0 */
/* config/plan.h - what the services are to be told, as values between the one file and those that they read */
#ifndef DEVICE_CONFIG_PLAN_H
#define DEVICE_CONFIG_PLAN_H

#include "core/codec/toml.h"

#define PLAN_GRANTS_MAX   8      /* principals of one service */
#define PLAN_MAX_REQUESTS 10     /* the services' default */

/*
 * Texts in plans live as long as the plan: literals, values of the document, or made by
 * plan_text().
 */
struct words {
	const char **v;
	size_t n;
};
void words_add(struct words *w, const char *text);
void words_free(struct words *w);

/* Sorted by key, octet by octet; an entry is a text, or a list when value is NULL. */
struct entry {
	const char *key, *value;
	struct words list;
};
struct map {
	struct entry *v;
	size_t n;
};
/* The entry of that key, made when there is none; its value is replaced. */
struct entry *map_put(struct map *m, const char *key, const char *value);
const char *map_get(const struct map *m, const char *key); /* NULL: none, or a list */
void map_free(struct map *m);

/* "80%", "4%" and whether the key changes, in the form that the services read. */
struct renewal {
	bool given, rotate;
	const char *threshold, *retry;
};
extern const struct renewal renewal_default;

/* How to authenticate at an EST server; IDs.  NULL: not given. */
struct est_auth {
	const char *username, *password;
	const char *identity, *bootstrap;
	struct words headers;            /* "Name: value" */
};

/* [cert_issuance.ID] of certd. */
struct issue {
	const char *id, *method, *url;
	struct est_auth auth;
	int64_t days;                    /* 0: not given */
	const char *common_name;
	struct map subject;
	const struct toml *own;          /* where Estuary's own keys of it stand; NULL: none */
};

/* [[principal]] */
struct grant {
	int64_t uid;
	struct words ids;
	bool delegate;
};
struct grants {
	struct grant v[PLAN_GRANTS_MAX];
	size_t n;
};
struct grant *grants_add(struct grants *g, int64_t uid);

enum source { SOURCE_NONE, SOURCE_MANUAL, SOURCE_DPS };

struct provisioning {
	enum source source;
	const char *gateway;
	const char *hub, *device_id;                /* manual */
	const char *endpoint, *scope, *payload;     /* dps */
	const char *method;                         /* "sas", "x509", "symmetric_key", "tpm" */
	const char *registration_id;
	struct map subject;                         /* registration_id or csr_subject as a table; n 0: none */
	struct renewal renewal;
	struct words trusted;                       /* file: URIs of anchors for the cloud's servers */
	const struct toml *own;                     /* where Estuary's own keys of it stand; NULL: none */
};

struct edge {
	bool on;
	const char *reprovisioning;
	bool elevated, managed_ca;                  /* managed_ca: [edge_ca] names a certificate and a key */
	struct renewal renewal;                     /* of the Edge CA */
	const char *common_name;                    /* of the Edge CA, when it is asked for over EST */
	struct map subject;
	const char *master_key;                     /* path of the imported master encryption key */
	struct map info;                            /* additional_info */
	int64_t max_management, max_workload;
	bool manifest_trust;
	/* Sections as they are written; NULL: the defaults. */
	const struct toml *agent, *connect, *listen, *watchdog, *moby, *images;
	struct map content_trust;                   /* host -> certificate ID */
};

/* A file that the configuration refers to: who must be able to read it, and what is in it. */
enum reference_kind { REFERENCE_CERT, REFERENCE_KEY, REFERENCE_SECRET, REFERENCE_JSON };
struct reference {
	const struct toml *at;
	const char *path;
	enum reference_kind kind;
	const char *user;                           /* "aziotcs" */
};

struct plan {
	struct words texts;                         /* what plan_text() made */
	const char *hostname;
	int64_t max_keyd, max_certd, max_identityd, max_tpmd;
	struct map aziot_keys, preloaded_keys;
	struct grants keys;
	const char *device_key_uri;                 /* where an inline key is kept; NULL: none */
	struct buf device_key;                      /* and its octets */
	const char *certd_home;
	bool has_est, has_local_ca;
	struct words trusted;
	struct est_auth est_auth;
	struct renewal est_renewal;
	struct map urls;
	const struct toml *est;                     /* where Estuary's own keys of it stand; NULL: none */
	struct issue *issues;
	size_t n_issues;
	struct map preloaded_certs;
	struct grants certs;
	const char *identityd_home;
	bool prefer_cache;
	int64_t cloud_timeout, cloud_retries;       /* -1: not given */
	struct provisioning provisioning;
	struct grants modules;                      /* identityd's principals; one ID each, the module's name */
	const char *localid_domain;
	const char *tcti;                           /* tpmd */
	int64_t auth_key_index;                     /* -1: not given */
	const char *endorsement, *owner;
	const char *edged_home;
	struct edge edge;
	struct reference *references;
	size_t n_references;
};

const char *plan_text(struct plan *p, const char *fmt, ...) PRINTF(2, 3);
/* A further issuance, all zero but its ID; sorted in plan_sort(). */
struct issue *plan_issue(struct plan *p, const char *id);
void plan_refer(struct plan *p, const struct toml *at, const char *path, enum reference_kind kind,
    const char *user);
void plan_sort(struct plan *p);
void plan_clear(struct plan *p);

#endif
