/* SPDX-License-Identifier: Apache-2.0 */
/* net/fetch_proxy.h - the HTTP proxy on the way, for fetch*.c alone */
#ifndef CORE_NET_FETCH_PROXY_H
#define CORE_NET_FETCH_PROXY_H

#include "core/net/fetch_tls.h"

/* A proxy's URI in pieces.  user and password are decoded; NULL: none in it. */
struct fetch_proxy {
	bool used, tls;
	char url[FETCH_HOST_MAX + 24];  /* scheme://host:port */
	char host[FETCH_HOST_MAX];
	char *user, *password;          /* owned, wiped */
};

/* E_USAGE, in words without anything of the URI. */
int fetch_proxy_parse(struct fetch_proxy *p, const char *uri, struct err *e) MUST_CHECK;
void fetch_proxy_clear(struct fetch_proxy *p);
/* Append it for people, the password as "***". */
void fetch_proxy_show(struct buf *out, const struct fetch_proxy *p);

#endif
