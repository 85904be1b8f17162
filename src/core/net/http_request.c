/* SPDX-License-Identifier: Apache-2.0 */
/* net/http_request.c - what a handler asks of its request, and the answer */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "core/base/clock.h"
#include "core/base/file.h"
#include "core/net/answer.h"
#include "core/net/canned.h"
#include "core/net/http_inside.h"

const char *
http_id(const struct http_request *r)
{
	return r->id;
}

int
http_tag(const struct http_request *r)
{
	return conn_tag(r->conn);
}

const char *
http_method(const struct http_request *r)
{
	return (const char *)r->guard.method_text.p;
}

const char *
http_path(const struct http_request *r)
{
	return r->path.n != 0 ? (const char *)r->path.p : "";
}

const char *
http_raw_path(const struct http_request *r)
{
	return r->target;
}

const char *
http_query(const struct http_request *r)
{
	return r->query;
}

const char *
http_header(const struct http_request *r, const char *name)
{
	const struct guard_field *f = guard_find(&r->guard, name);

	return f != NULL ? (const char *)f->value.p : NULL;
}

bool
http_has(const struct http_request *r, const char *etag)
{
	const char *have = http_header(r, "If-None-Match");

	return have != NULL && (strcmp(have, "*") == 0 || strstr(have, etag) != NULL);
}

size_t
http_header_count(const struct http_request *r, const char *name)
{
	return guard_count(&r->guard, name);
}

struct bytes
http_body(const struct http_request *r)
{
	return bytes_of_buf(&r->body);
}

const char *
http_address(const struct http_request *r)
{
	return conn_address(r->conn);
}

uid_t
http_peer_uid(const struct http_request *r)
{
	return conn_uid(r->conn);
}

pid_t
http_peer_pid(const struct http_request *r)
{
	return conn_pid(r->conn);
}

const struct tls_peer *
http_tls(const struct http_request *r)
{
	return conn_peer(r->conn);
}

int
http_binding(const struct http_request *r, char out[TLS_BINDING_MAX], struct err *e)
{
	return conn_binding(r->conn, out, e);
}

/* An answer without a body, whatever it says (RFC 9110 6.4.1). */
static bool
is_bodiless(unsigned status)
{
	return status < 200 || status == 204 || status == 304;
}

/* The answer's file; false when it cannot be had. */
static bool
take_file(struct conn_answer *to, const struct http_answer *a)
{
	struct stat st;

	if (a->fd <= 0)
		return true;
	if (fstat(a->fd, &st) != 0 || !S_ISREG(st.st_mode) || (to->file = fcntl(a->fd, F_DUPFD_CLOEXEC, 3)) < 0)
		return false;
	to->file_octets = (uint64_t)st.st_size;
	return true;
}

static bool
put_fields(struct buf *head, const struct http_request *r, const struct http_answer *a, uint64_t octets)
{
	bool ok = true, plain = conn_local(r->conn)->plain_head, cache = plain;

	for (const struct http_header_field *f = a->fields; f != NULL && f->name != NULL; f++) {
		ok = ok && answer_field(head, f->name, f->value);
		cache = cache || strcasecmp(f->name, "Cache-Control") == 0;
	}
	ok = ok && (cache || answer_field(head, "Cache-Control", "no-store"));
	ok = ok && (a->type == NULL || answer_field(head, plain ? "content-type" : "Content-Type", a->type));
	ok = ok && (!(a->close || conn_closing(r->conn)) || answer_field(head, "Connection", "close"));
	ok = ok && (plain || answer_field(head, "X-Request-Id", r->id));
	if (!is_bodiless(a->status))
		buf_printf(head, "Content-Length: %llu\r\n", (unsigned long long)octets);
	buf_put_str(head, "\r\n");
	return ok;
}

/* false when it cannot be built: a field with a line end in it, a file that is gone, a body that no connection holds. */
static bool
answer_with(struct http_request *r, const struct http_answer *a)
{
	AUTO_BUF head = { 0 };
	struct conn_answer to = { .file = -1, .close = a->close };

	if (a->body.n > CONN_BODY_MAX || !take_file(&to, a))
		return false;
	if (a->fd <= 0)
		to.body = a->body;
	answer_begin(&head, a->status, r->guard.v10, clock_now());
	if (!put_fields(&head, r, a, to.body.n + to.file_octets)) {
		fd_autoclose(&to.file);
		return false;
	}
	if (r->guard.method == GUARD_HEAD || is_bodiless(a->status)) {
		fd_autoclose(&to.file);
		to.body.n = to.file_octets = 0;
	}
	to.head = bytes_of_buf(&head);
	if (!conn_answer(r->conn, &to)) {
		fd_autoclose(&to.file);
		conn_forget(r->conn);
		r->conn = NULL;
	}
	return true;
}

void
http_answer(struct http_request *r, const struct http_answer *a)
{
	static const struct http_answer broken = { .status = 500, .close = true };
	static const struct http_answer broken_json = { .status = 500, .type = "application/json", .close = true,
		.body = { (const uint8_t *)"{\"message\":\"internal error\"}", 28 } };

	request_answered(r);
	if (!answer_with(r, a) && !answer_with(r, conn_local(r->conn)->json_refusals ? &broken_json : &broken))
		abort();
	request_release(r);
}

void
http_refuse(struct http_request *r, unsigned status, const char *reason, const char *text,
    const struct http_header_field *fields)
{
	AUTO_BUF body = { 0 };
	const char *type =
	    canned_body(&body, &(struct canned){ .how = conn_local(r->conn), .status = status, .reason = reason, .text = text, .id = r->id });

	http_answer(r, &(struct http_answer){ .status = status, .type = type, .body = bytes_of_buf(&body),
	    .fields = fields });
}
