/* SPDX-License-Identifier: Apache-2.0 */
/* proto/settings.h - the server's settings, as the supervisor reads them from its file and sends them to each role */
#ifndef SERVER_PROTO_SETTINGS_H
#define SERVER_PROTO_SETTINGS_H

#include "core/base/bytes.h"

#define SETTINGS_PATH_MAX 1024
#define SETTINGS_HOST_MAX 256
#define SETTINGS_FRONTS_MAX 64

struct settings {
	char dir[SETTINGS_PATH_MAX];            /* state directory, absolute: store.db keys/ public/ run/ */
	char user[64];                          /* whom to become when started as root; "" nobody named */
	uint32_t fronts;                        /* 0 in the file: one a core */
	char device_host[SETTINGS_HOST_MAX];    /* "*" */
	uint16_t device_port;                   /* as bound, once sent to a role */
	char operator_host[SETTINGS_HOST_MAX];  /* "localhost" */
	uint16_t operator_port;
	char public_host[SETTINGS_HOST_MAX];
	uint16_t public_port;
	char local_socket[SETTINGS_PATH_MAX];   /* the operator's Unix socket; default dir/run/operator.sock */
	char name[SETTINGS_HOST_MAX];           /* the server's own name in URLs */
	char public_url[SETTINGS_PATH_MAX];     /* what CRL and AIA pointers begin with; default http://name:public_port */
	char tls_chain[SETTINGS_PATH_MAX];      /* PEM files; default dir/tls/server.pem, .key; fronts wait until both are there */
	char tls_key[SETTINGS_PATH_MAX];
	char courier_trust[SETTINGS_PATH_MAX];  /* PEM: by which webhooks' servers are verified; "": by the system's anchors */
	char ready_file[SETTINGS_PATH_MAX];     /* default dir/run/ready: exists while everything serves */
	uint32_t idle_s, connections, connections_per_address;
	int64_t crl_lifetime_s;                 /* default 7 days; rebuilt at half of it */
};

/* The defaults that depend on nothing but the host's name; the paths and the URL that derive from others are empty. */
void settings_default(struct settings *s);
void settings_put(struct buf *b, const struct settings *s);
/* Writes only on success.  E_FORMAT. */
int settings_get(struct settings *s, struct bytes body, struct err *e) MUST_CHECK;

#endif
