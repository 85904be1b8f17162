/* SPDX-License-Identifier: Apache-2.0 */
/* net/fetch_inside.h - what the parts of the HTTP client share; for fetch*.c alone */
#ifndef CORE_NET_FETCH_INSIDE_H
#define CORE_NET_FETCH_INSIDE_H

#include <curl/curl.h>

#include "core/net/fetch_proxy.h"

/* One fetch_run(). */
struct fetch_run {
	const struct fetch *f;
	struct fetch_answer *a;
	CURL *curl;
	struct fetch_tls tls, proxy_tls; /* of the server, of an https proxy */
	struct fetch_proxy proxy;
	const char *url;
	char *redirected;        /* the url that an answer led to, or NULL */
	bool plain;              /* http:// */
	uint64_t until_ms;
	char peer[FETCH_HOST_MAX + 24]; /* "server host:port", or "server" of a socket that the caller names */
	struct buf body;         /* what make_body made last */
	char *wire;              /* the body as libcurl sends it: wire_n octets that never move */
	size_t wire_n;
	size_t head_n;           /* octets of heads so far */
	bool done;               /* connected, and that was all that was wanted */
	bool connected;          /* whatever goes wrong later is the answer's fault */
	bool again;              /* the body had another length: connect anew with that */
	bool too_big;
	bool framed;             /* the answer's head says how long its body is, or that it tells its end */
	struct err err;          /* of a callback; code E_OK: none */
};

/* fetch_answer.c: libcurl's callbacks for heads and body; ctx is the run. */
size_t fetch_on_header(char *line, size_t size, size_t n, void *ctx);
size_t fetch_on_body(char *p, size_t size, size_t n, void *ctx);

/* fetch_why.c: what libcurl's result means: r->a->cause, the words, the code.  words: of its error buffer. */
int fetch_explain(const struct fetch_run *r, CURLcode rc, const char *words, struct err *e);

#endif
