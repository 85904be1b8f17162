/* SPDX-License-Identifier: Apache-2.0 */
/* front/public.c - the plain listener: revocation lists and issuer certificates, as the authority published them */
#include <string.h>

#include "core/base/file.h"
#include "core/base/mem.h"
#include "core/sys/log.h"
#include "server/front/front.h"

#define PUBLISHED_MAX 1024

static struct published *
find(struct front *f, const char *path)
{
	struct published *x;

	SLIST_FOREACH(x, &f->published, link)
		if (strcmp(x->path, path) == 0)
			return x;
	return NULL;
}

void
public_take(struct front *f, struct pipe_msg *m)
{
	struct wire w = wire_open(m->body);
	struct published in = { .fd = -1 }, *x;

	wire_str(&w, in.path, sizeof(in.path));
	wire_str(&w, in.type, sizeof(in.type));
	wire_str(&w, in.etag, sizeof(in.etag));
	if (wire_end(&w, "publish", NULL) != 0 || m->fd < 0) {
		log_event(L_ERROR, "publish.message", "path=%s", in.path);
		return;
	}
	if ((x = find(f, in.path)) == NULL) {
		x = mem_zalloc(sizeof(*x));
		x->fd = -1;
		SLIST_INSERT_HEAD(&f->published, x, link);
	}
	fd_autoclose(&x->fd);
	memcpy(x->path, in.path, sizeof(x->path));
	memcpy(x->type, in.type, sizeof(x->type));
	memcpy(x->etag, in.etag, sizeof(x->etag));
	x->fd = TAKE_FD(m->fd);
}

void
public_serve(struct front *f, struct http_request *r)
{
	struct published *x = find(f, http_path(r));
	struct http_header_field fields[] = {
		{ "ETag", x != NULL ? x->etag : "" }, { "Cache-Control", "public, max-age=60" }, { NULL, NULL },
	};

	if (strcmp(http_method(r), "GET") != 0 && strcmp(http_method(r), "HEAD") != 0) {
		http_refuse(r, 405, "method", "only GET and HEAD here", (const struct http_header_field[]){ { "Allow", "GET, HEAD" }, { NULL, NULL } });
		return;
	}
	if (x == NULL) {
		http_refuse(r, 404, "path.unknown", "nothing is published under this path", NULL);
		return;
	}
	if (http_has(r, x->etag)) {
		http_answer(r, &(struct http_answer){ .status = 304, .fields = fields });
		return;
	}
	http_answer(r, &(struct http_answer){ .status = 200, .type = x->type, .fd = x->fd, .fields = fields });
}
