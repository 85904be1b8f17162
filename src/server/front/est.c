/* SPDX-License-Identifier: Apache-2.0 */
/* front/est.c - RFC 7030's operations: what arrived, put into one message, and the answer to it */
#include "core/est/est.h"

#include <stdio.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/mem.h"
#include "core/base/text.h"
#include "core/sys/log.h"
#include "server/front/front.h"

static const struct http_header_field retry_soon[] = { { "Retry-After", "2" }, { NULL, NULL } };

static void
unavailable(struct http_request *r, const char *why)
{
	http_refuse(r, 503, "server.unavailable", why, retry_soon);
}

/* The handshake came before the authority had told its anchors: only a new one can say more. */
static void
unjudged(struct http_request *r)
{
	AUTO_BUF text = BUF_MAX(200);

	buf_printf(&text, "server.unavailable: the server had only just started: connect again\nrequest: %s\n", http_id(r));
	http_answer(r, &(struct http_answer){ .status = 503, .type = "text/plain; charset=utf-8", .body = bytes_of_buf(&text),
	    .fields = retry_soon, .close = true });
}

/* --- /cacerts and /csrattrs: from the snapshot, to anybody (RFC 7030 4.1.2, 4.5) --- */

/* Did it come with a certificate of one of our CAs? */
static bool
is_ours(const struct tls_peer *p)
{
	return p != NULL && p->state == TRUST_OK && p->anchor < PROTO_ANCHOR_OUTSIDE;
}

/* A device of ours may know which label and profile are behind its URL (its `check` shows them); strangers may not. */
static void
serve_cacerts(const struct front_label *l, struct http_request *r)
{
	struct http_header_field fields[5] = { { "ETag", l->etag }, { "Cache-Control", "no-cache" } };
	char label[2 * PROTO_NAME_MAX + 16];
	size_t n = 2;

	if (l->v.send_cte)
		fields[n++] = (struct http_header_field){ "Content-Transfer-Encoding", "base64" };
	(void)snprintf(label, sizeof(label), "%s; profile=%s", l->v.title, l->v.profile);
	if (is_ours(http_tls(r)))
		fields[n++] = (struct http_header_field){ "X-Estuary-Label", label };

	if (http_has(r, l->etag))
		http_answer(r, &(struct http_answer){ .status = 304, .fields = fields });
	else
		http_answer(r, &(struct http_answer){ .status = 200, .type = EST_TYPE_CACERTS,
		    .body = bytes_of_buf(&l->cacerts_body), .fields = fields });
}

static void
serve_csrattrs(const struct front_label *l, struct http_request *r)
{
	const struct http_header_field fields[] = {
		{ l->v.send_cte ? "Content-Transfer-Encoding" : NULL, "base64" }, { NULL, NULL },
	};

	/* RFC 7030 4.5.2: 204 says that there are none. */
	if (l->csrattrs_body.n == 0)
		http_answer(r, &(struct http_answer){ .status = 204 });
	else
		http_answer(r, &(struct http_answer){ .status = 200, .type = EST_TYPE_CSRATTRS,
		    .body = bytes_of_buf(&l->csrattrs_body), .fields = fields });
}

/* --- enrolment: everything that was presented, as plain values --- */

static void
fill_secret(struct proto_enrol *q, const struct front_label *l, const struct http_request *r)
{
	const char *name = l->v.secret_header, *value;
	size_t n = name[0] != 0 ? http_header_count(r, name) : 0;

	if (n == 0)
		return;
	value = http_header(r, name);
	if (n > 1)
		q->secret_state = PROTO_SECRET_REPEATED;
	else if (value == NULL || value[0] == 0)
		q->secret_state = PROTO_SECRET_EMPTY;
	else
		q->secret_state = PROTO_SECRET_PRESENT;
	/* What is too long stays empty, which no secret is. */
	if (q->secret_state == PROTO_SECRET_PRESENT && strlen(value) < sizeof(q->secret))
		text_copy(q->secret, sizeof(q->secret), value);
}

static void
fill_request(struct proto_enrol *q, const struct http_request *r, struct buf *der)
{
	const char *remark = NULL;
	struct err e = { 0 };

	if (est_request_type(http_header(r, "Content-Type"), &remark, &e) != 0) {
		judge_refuse(q, 415, "request.type", e.msg);
		return;
	}
	judge_note(q, remark);
	judge_request(q, r, http_body(r), der);
}

static void
tell_unread(struct proto_enrol *q)
{
	judge_refuse(q, 400, "request.not-read", "the request was not read: nobody vouches for it");
}

static void answered(struct waiting *w, struct bytes body);
static const struct waiting_kind enrolment = { PROTO_ENROLLED, answered, unavailable };

static void
serve_enrol(struct front *f, struct http_request *r, enum est_op op, const struct front_label *l, const char *label)
{
	static struct proto_enrol q; /* large, and one request at a time */
	AUTO_BUF der = BUF_MAX(CSR_MAX);
	AUTO_BUF body = BUF_MAX(PIPE_MAX);
	struct waiting *w;

	if (!waiting_room(f, r, &enrolment))
		return;
	proto_clear_enrol(&q);
	judge_client(&q, r);
	text_copy(q.label, sizeof(q.label), label);
	q.op = op;
	q.auth = est_auth_parse(http_header(r, "Authorization"), http_header_count(r, "Authorization"), q.user, q.password);
	fill_secret(&q, l, r);
	if (q.has_cert || q.auth != EST_AUTH_NONE || q.secret_state != PROTO_SECRET_NONE)
		fill_request(&q, r, &der);
	else
		tell_unread(&q); /* RFC 7030 3.2.3: first who, then what; and strangers cost no arithmetic */
	proto_put_enrol(&body, &q);
	if ((w = waiting_ask(f, r, &enrolment, PROTO_ENROL, &body)) != NULL) {
		w->wrap = l->v.wrap;
		w->cte = l->v.send_cte;
	}
	mem_wipe(q.password, sizeof(q.password));
	mem_wipe(q.secret, sizeof(q.secret));
}

void
est_serve(struct front *f, struct http_request *r)
{
	static const struct front_label no_label = { .v = { .wrap = 64 } };
	struct est_target t;
	const struct front_label *l;
	const struct est_op_row *row;
	const char *label;
	struct err e = { 0 };
	char allow[32];

	if (est_route(&t, http_path(r), &e) != 0) {
		http_refuse(r, 404, "path.unknown", e.msg, NULL);
		return;
	}
	row = est_op_row(t.op);
	if (f->now == NULL) {
		unavailable(r, "the authority has not told its labels yet");
		return;
	}
	if (http_tls(r) != NULL && !http_tls(r)->judged) {
		unjudged(r);
		return;
	}
	label = snapshot_name(f->now, &t);
	if (label == NULL) {
		http_refuse(r, 404, "path.unknown", "path: no label has this base path", NULL);
		return;
	}
	l = snapshot_label(f->now, label);
	if (row->offered && l == NULL && strcmp(row->method, "POST") == 0 && strcmp(http_method(r), "POST") == 0) {
		serve_enrol(f, r, t.op, &no_label, label); /* refused by the authority, which records it */
		return;
	}
	if (!row->offered || l == NULL) {
		http_refuse(r, 404, row->offered ? "label.unknown" : "operation.not-offered",
		    row->offered ? "there is no such label here" : "this operation is not offered here", NULL);
		return;
	}
	if (strcmp(http_method(r), row->method) != 0 && !(strcmp(row->method, "GET") == 0 && strcmp(http_method(r), "HEAD") == 0)) {
		text_copy(allow, sizeof(allow), strcmp(row->method, "GET") == 0 ? "GET, HEAD" : row->method);
		http_refuse(r, 405, "method", "this operation takes another method",
		    (const struct http_header_field[]){ { "Allow", allow }, { NULL, NULL } });
		return;
	}
	if (t.op == EST_CACERTS)
		serve_cacerts(l, r);
	else if (t.op == EST_CSRATTRS)
		serve_csrattrs(l, r);
	else
		serve_enrol(f, r, t.op, l, label);
}

/* --- answers --- */

static void
answer_certs(const struct waiting *w, const struct proto_enrolled *v)
{
	AUTO_BUF body = { 0 };
	const struct http_header_field fields[] = {
		{ w->cte ? "Content-Transfer-Encoding" : NULL, "base64" }, { NULL, NULL },
	};

	est_certs_body(&body, v->cert, v->n_certs, w->wrap);
	http_answer(w->request, &(struct http_answer){ .status = 200, .type = EST_TYPE_ENROLLED, .body = bytes_of_buf(&body), .fields = fields });
}

static void
answer_refusal(const struct waiting *w, const struct proto_enrolled *v)
{
	char seconds[16];
	struct http_header_field fields[3] = { 0 };
	size_t n = 0;

	(void)snprintf(seconds, sizeof(seconds), "%u", v->retry_after_s);
	if (v->challenge)
		fields[n++] = (struct http_header_field){ "WWW-Authenticate", "Basic realm=\"estuary\"" };
	if (v->retry_after_s != 0)
		fields[n++] = (struct http_header_field){ "Retry-After", seconds };
	http_refuse(w->request, v->status, v->reason, v->text, fields);
}

static void
answered(struct waiting *w, struct bytes body)
{
	struct proto_enrolled v;
	struct err e = { 0 };

	if (proto_get_enrolled(&v, body, &e) != 0)
		unavailable(w->request, e.msg);
	else if (v.status == 200 && v.n_certs != 0)
		answer_certs(w, &v);
	else
		answer_refusal(w, &v);
}
