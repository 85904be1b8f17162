/* SPDX-License-Identifier: Apache-2.0 */
/* enrol/job.c - a job and its result as messages between certd and its worker */
#include "device/enrol/job.h"

#include "core/base/mem.h"
#include "core/codec/wire.h"

#define ITEM_MAX ((size_t)64 * 1024) /* octets of a request, a handle, a password, a public key */

static const char *const outcome_names[JOB_OUTCOME_COUNT] = {
	[JOB_DONE] = "done",
	[JOB_PENDING] = "pending",
	[JOB_NO_SERVER] = "no-server",
	[JOB_BUSY] = "busy",
	[JOB_SERVER_UNTRUSTED] = "server-untrusted",
	[JOB_CLIENT_REFUSED] = "client-refused",
	[JOB_REQUEST_REFUSED] = "request-refused",
	[JOB_BAD_ANSWER] = "bad-answer",
	[JOB_KEY_FAILED] = "key-failed",
	[JOB_BAD_JOB] = "bad-job",
	[JOB_DIED] = "died",
};

const char *
job_outcome_name(enum job_outcome o)
{
	return (unsigned)o < JOB_OUTCOME_COUNT ? outcome_names[o] : "?";
}

void
job_clear(struct job *j)
{
	struct buf *all[] = { &j->client_chain, &j->password, &j->trust, &j->csr, &j->old, &j->issuer_chain,
		&j->issuer_handle, &j->spki };

	for (size_t i = 0; i < N_OF(all); i++)
		buf_free(all[i]);
	mem_wipe(j, sizeof(*j)); /* headers and proxies carry secrets too */
}

void
job_result_clear(struct job_result *r)
{
	buf_free(&r->chain);
	buf_free(&r->trust_next);
	buf_free(&r->spki);
	*r = (struct job_result){ .retry_after_s = -1 };
}

/* --- fields that more than one message, or more than one member, has --- */

static void
put_bool(struct buf *b, bool v)
{
	wire_put_u8(b, v ? 1 : 0);
}

static void
put_buf(struct buf *b, const struct buf *v)
{
	wire_put_bytes(b, bytes_of_buf(v));
}

static bool
get_bool(struct wire *w)
{
	uint8_t v = wire_u8(w);

	w->bad = w->bad || v > 1;
	return v == 1;
}

/* A number up to max. */
static uint32_t
get_up_to(struct wire *w, uint32_t max)
{
	uint32_t v = wire_u32(w);

	w->bad = w->bad || v > max;
	return w->bad ? 0 : v;
}

static void
get_buf(struct wire *w, struct buf *out, size_t max)
{
	struct bytes got = wire_bytes(w, max);

	out->max = max;
	buf_put_bytes(out, got);
}

static void
put_name(struct buf *b, const struct name *n)
{
	wire_put_u32(b, (uint32_t)n->n);
	for (size_t i = 0; i < n->n; i++) {
		wire_put_u32(b, n->ava[i].type);
		wire_put_str(b, n->ava[i].value);
	}
}

/* name_add() makes the checks. */
static void
get_name(struct wire *w, struct name *out)
{
	uint32_t n = get_up_to(w, NAME_AVA_MAX);
	char value[NAME_VALUE_MAX];

	for (uint32_t i = 0; i < n && !w->bad; i++) {
		enum oid type = (enum oid)get_up_to(w, OID_COUNT - 1);

		wire_str(w, value, sizeof(value));
		w->bad = w->bad || name_add(out, type, value, NULL) != 0;
	}
}

static void
put_sans(struct buf *b, const struct sans *s)
{
	wire_put_u32(b, (uint32_t)s->n);
	for (size_t i = 0; i < s->n; i++) {
		wire_put_u32(b, s->san[i].kind);
		wire_put_bytes(b, (struct bytes){ s->san[i].value, s->san[i].n });
	}
}

/* Written and parsed once: what could not stand in a certificate is refused here. */
static bool
sane_sans(const struct sans *s)
{
	static struct sans same;
	AUTO_BUF der = { 0 };

	sans_encode(&der, s);
	return s->n == 0 || (sans_parse(&same, bytes_of_buf(&der), NULL) == 0 && sans_equal(&same, s));
}

static void
get_sans(struct wire *w, struct sans *out)
{
	uint32_t n = get_up_to(w, SAN_MAX);

	for (; out->n < n && !w->bad; out->n++) {
		struct san *s = &out->san[out->n];
		struct bytes value;

		s->kind = (enum san_kind)get_up_to(w, SAN_KIND_COUNT - 1);
		value = wire_bytes(w, sizeof(s->value) - 1);
		for (s->n = 0; s->n < value.n; s->n++)
			s->value[s->n] = value.p[s->n];
		s->value[s->n] = 0;
	}
	w->bad = w->bad || !sane_sans(out);
}

static void
put_ekus(struct buf *b, const struct job *j)
{
	wire_put_u32(b, (uint32_t)j->n_allow_eku);
	for (size_t i = 0; i < j->n_allow_eku; i++)
		wire_put_u32(b, j->allow_eku[i]);
}

static void
get_ekus(struct wire *w, struct job *j)
{
	j->n_allow_eku = get_up_to(w, CERT_EKU_MAX);
	for (size_t i = 0; i < j->n_allow_eku; i++)
		j->allow_eku[i] = (enum oid)get_up_to(w, OID_COUNT - 1);
}

/* --- the job, part by part as job.h has them --- */

static void
put_server(struct buf *b, const struct job *j)
{
	put_buf(b, &j->client_chain);
	wire_put_str(b, j->client_key);
	wire_put_str(b, j->url);
	put_bool(b, j->reenroll);
	put_bool(b, j->plain_http);
	wire_put_str(b, j->user);
	put_buf(b, &j->password);
	wire_put_u32(b, (uint32_t)j->n_headers);
	for (size_t i = 0; i < j->n_headers; i++)
		wire_put_str(b, j->header[i]);
	wire_put_str(b, j->proxy);
	wire_put_str(b, j->no_proxy);
	put_buf(b, &j->trust);
	put_bool(b, j->trust_system);
	wire_put_u32(b, j->deadline_s);
}

static void
get_server(struct wire *w, struct job *j)
{
	get_buf(w, &j->client_chain, JOB_PEM_MAX);
	wire_str(w, j->client_key, sizeof(j->client_key));
	wire_str(w, j->url, sizeof(j->url));
	j->reenroll = get_bool(w);
	j->plain_http = get_bool(w);
	wire_str(w, j->user, sizeof(j->user));
	get_buf(w, &j->password, ITEM_MAX);
	j->n_headers = get_up_to(w, JOB_HEADERS_MAX);
	for (size_t i = 0; i < j->n_headers; i++)
		wire_str(w, j->header[i], sizeof(j->header[i]));
	wire_str(w, j->proxy, sizeof(j->proxy));
	wire_str(w, j->no_proxy, sizeof(j->no_proxy));
	get_buf(w, &j->trust, JOB_PEM_MAX);
	j->trust_system = get_bool(w);
	j->deadline_s = wire_u32(w);
}

static void
put_request(struct buf *b, const struct job *j)
{
	put_buf(b, &j->csr);
	wire_put_str(b, j->key);
	put_bool(b, j->create_key);
	wire_put_str(b, j->algorithms);
	put_name(b, &j->subject);
	put_sans(b, &j->sans);
	put_bool(b, j->want_ca);
	put_bool(b, j->client_auth);
	put_bool(b, j->bind_channel);
	put_buf(b, &j->old);
	put_bool(b, j->any_name);
}

static void
get_request(struct wire *w, struct job *j)
{
	get_buf(w, &j->csr, ITEM_MAX);
	wire_str(w, j->key, sizeof(j->key));
	j->create_key = get_bool(w);
	wire_str(w, j->algorithms, sizeof(j->algorithms));
	get_name(w, &j->subject);
	get_sans(w, &j->sans);
	j->want_ca = get_bool(w);
	j->client_auth = get_bool(w);
	j->bind_channel = get_bool(w);
	get_buf(w, &j->old, JOB_PEM_MAX);
	j->any_name = get_bool(w);
}

static void
put_local(struct buf *b, const struct job *j)
{
	put_buf(b, &j->issuer_chain);
	wire_put_str(b, j->issuer_key);
	put_buf(b, &j->issuer_handle);
	wire_put_u32(b, j->issuer_holder);
	wire_put_u32(b, j->days);
	put_bool(b, j->allow_ca);
	wire_put_u32(b, (uint32_t)(j->pathlen + 1));
	wire_put_u32(b, j->allow_ku);
	put_ekus(b, j);
	put_bool(b, j->force_subject);
	wire_put_str(b, j->key_from);
	put_buf(b, &j->spki);
	put_bool(b, j->drop);
	wire_put_u32(b, j->drop_uid);
	wire_put_u32(b, j->drop_gid);
}

static void
get_local(struct wire *w, struct job *j)
{
	get_buf(w, &j->issuer_chain, JOB_PEM_MAX);
	wire_str(w, j->issuer_key, sizeof(j->issuer_key));
	get_buf(w, &j->issuer_handle, ITEM_MAX);
	j->issuer_holder = wire_u32(w);
	j->days = wire_u32(w);
	j->allow_ca = get_bool(w);
	j->pathlen = (int)get_up_to(w, 256) - 1;
	j->allow_ku = wire_u32(w);
	get_ekus(w, j);
	j->force_subject = get_bool(w);
	wire_str(w, j->key_from, sizeof(j->key_from));
	get_buf(w, &j->spki, ITEM_MAX);
	j->drop = get_bool(w);
	j->drop_uid = wire_u32(w);
	j->drop_gid = wire_u32(w);
}

void
job_encode(struct buf *out, const struct job *j)
{
	wire_put_u32(out, j->kind);
	wire_put_str(out, j->keyd_socket);
	put_server(out, j);
	put_request(out, j);
	put_local(out, j);
}

int
job_decode(struct job *out, struct bytes message, struct err *e)
{
	struct wire w = wire_open(message);
	struct job j = { 0 };
	int r;

	j.kind = (enum job_kind)get_up_to(&w, JOB_KIND_COUNT - 1);
	w.bad = w.bad || j.kind == 0;
	wire_str(&w, j.keyd_socket, sizeof(j.keyd_socket));
	get_server(&w, &j);
	get_request(&w, &j);
	get_local(&w, &j);
	r = wire_end(&w, "job", e);
	if (r == 0)
		*out = j;
	else
		job_clear(&j);
	return r;
}

/* --- the result --- */

void
job_result_encode(struct buf *out, const struct job_result *r)
{
	wire_put_u32(out, r->outcome);
	wire_put_str(out, r->check);
	wire_put_str(out, r->text);
	wire_put_str(out, r->note);
	wire_put_str(out, r->request_id);
	wire_put_u32(out, r->http_status);
	wire_put_i64(out, r->retry_after_s);
	wire_put_i64(out, r->server_date);
	put_bool(out, r->authenticated);
	put_buf(out, &r->chain);
	put_buf(out, &r->trust_next);
	put_buf(out, &r->spki);
	wire_put_str(out, r->anchor);
	wire_put_str(out, r->label);
	wire_put_str(out, r->profile);
}

int
job_result_decode(struct job_result *out, struct bytes message, struct err *e)
{
	struct wire w = wire_open(message);
	struct job_result r = { 0 };
	int rc;

	r.outcome = (enum job_outcome)get_up_to(&w, JOB_OUTCOME_COUNT - 1);
	wire_str(&w, r.check, sizeof(r.check));
	wire_str(&w, r.text, sizeof(r.text));
	wire_str(&w, r.note, sizeof(r.note));
	wire_str(&w, r.request_id, sizeof(r.request_id));
	r.http_status = get_up_to(&w, 999);
	r.retry_after_s = wire_i64(&w);
	r.server_date = wire_i64(&w);
	r.authenticated = get_bool(&w);
	get_buf(&w, &r.chain, JOB_PEM_MAX);
	get_buf(&w, &r.trust_next, JOB_PEM_MAX);
	get_buf(&w, &r.spki, ITEM_MAX);
	wire_str(&w, r.anchor, sizeof(r.anchor));
	wire_str(&w, r.label, sizeof(r.label));
	wire_str(&w, r.profile, sizeof(r.profile));
	w.bad = w.bad || r.retry_after_s < -1 || r.server_date < 0;
	rc = wire_end(&w, "job result", e);
	if (rc == 0)
		*out = r;
	else
		job_result_clear(&r);
	return rc;
}
