/* SPDX-License-Identifier: Apache-2.0 */
/* signer/service.c - the signer's answers */
#include "server/signer/service.h"

#include "core/base/clock.h"
#include "core/base/mem.h"
#include "core/sys/log.h"
#include "server/proto/role.h"
#include "server/signer/custody.h"

struct signer {
	struct loop *loop;
	struct custody *custody;
	struct pipe *authority;
};

static int
judge(const struct custody_key *k, enum proto_what what, struct bytes tbs, int64_t now,
    uint64_t *number, struct err *e)
{
	if (tbs.n > SIGNER_TBS_MAX)
		return err_set(e, E_TOOBIG, "%zu octets to sign: at most %zu", tbs.n, SIGNER_TBS_MAX);
	if (what == PROTO_WHAT_CERT)
		return limits_judge_cert(&k->limits, tbs, now, e);
	if (what == PROTO_WHAT_CRL)
		return limits_judge_crl(&k->limits, tbs, k->crl_number, number, e);
	return err_set(e, E_FORMAT, "neither a certificate nor a CRL");
}

int
signer_sign(struct signer *s, const char *key_id, enum proto_what what, struct bytes tbs,
    int64_t now, uint64_t now_ms, struct buf *sig, struct err *e)
{
	struct custody_key *k;
	uint64_t number = 0;
	int r;

	if ((r = custody_find(&k, s->custody, key_id, e)) != 0 ||
	    (r = judge(k, what, tbs, now, &number, e)) != 0)
		return r;
	if (!limits_take(&k->limits, &k->bucket, now_ms))
		return err_set(e, E_UNAVAIL, "rate: this key signs %u times a second",
		    k->limits.max_per_s);
	if (what == PROTO_WHAT_CRL && (r = custody_remember_crl(s->custody, k, number, e)) != 0)
		return r;
	k->n_signed++;
	return key_sign(sig, k->key, tbs, e);
}

/* --- messages --- */

/* To an authority that has gone there is nothing to say; `closed` is called by the pipe itself. */
static void
answer(struct pipe *p, uint32_t type, uint64_t id, const struct buf *body)
{
	struct err e = { 0 };

	if (pipe_send(p, type, id, bytes_of_buf(body), -1, &e) != 0)
		log_event(L_WARN, "signer.answer-lost", "error=%s", e.msg);
}

static void
refuse(struct pipe *p, const struct pipe_msg *m, const char *event, const char *key_id,
    const struct err *e)
{
	AUTO_BUF body = { 0 };

	log_event(L_WARN, event, "key=%s code=%s error=%s", key_id, err_row(e->code)->name, e->msg);
	wire_put_u32(&body, (uint32_t)e->code);
	wire_put_bytes(&body, bytes_slice(bytes_of(e->msg), 0, PROTO_TEXT_MAX - 1));
	answer(p, PROTO_SIGN_REFUSED, m->id, &body);
}

static void
put_key(struct buf *body, const struct custody_key *k)
{
	wire_put_str(body, k->id);
	wire_put_u8(body, (uint8_t)key_get_type(k->key));
	wire_put_bytes(body, key_spki(k->key));
}

static void
show(struct pipe *p, const struct pipe_msg *m, const struct custody_key *k)
{
	AUTO_BUF body = { 0 };

	put_key(&body, k);
	answer(p, PROTO_KEY, m->id, &body);
}

/* A large RSA key takes a second or so, in which nothing is signed: CAs are not made every day. */
static void
on_keygen(void *ctx, struct pipe *p, struct pipe_msg *m)
{
	struct signer *s = ctx;
	struct proto_keygen want = { 0 };
	struct custody_key *k;
	struct err e = { 0 };

	if (proto_get_keygen(&want, m->body, &e) != 0 ||
	    custody_make(&k, s->custody, &want, &e) != 0) {
		refuse(p, m, "signer.no-key-made", want.id, &e);
		return;
	}
	log_event(L_NOTE, "signer.key-made", "key=%s type=%s may_sign_ca=%d max_pathlen=%d "
	    "max_lifetime_s=%lld max_per_s=%u", k->id, key_type_name(k->limits.type),
	    k->limits.may_sign_ca, k->limits.max_pathlen, (long long)k->limits.max_lifetime_s, k->limits.max_per_s);
	show(p, m, k);
}

static void
on_key_get(void *ctx, struct pipe *p, struct pipe_msg *m)
{
	struct signer *s = ctx;
	struct wire w = wire_open(m->body);
	struct custody_key *k;
	struct err e = { 0 };
	char id[PROTO_NAME_MAX];

	wire_str(&w, id, sizeof(id));
	if (wire_end(&w, "key to show", &e) != 0 || custody_find(&k, s->custody, id, &e) != 0)
		refuse(p, m, "signer.no-key", id, &e);
	else
		show(p, m, k);
}

static void
on_key_drop(void *ctx, struct pipe *p, struct pipe_msg *m)
{
	struct signer *s = ctx;
	struct wire w = wire_open(m->body);
	struct custody_key *k;
	AUTO_BUF body = { 0 };
	struct err e = { 0 };
	char id[PROTO_NAME_MAX];

	wire_str(&w, id, sizeof(id));
	if (wire_end(&w, "key to drop", &e) != 0 || custody_find(&k, s->custody, id, &e) != 0) {
		refuse(p, m, "signer.no-key", id, &e);
		return;
	}
	put_key(&body, k);
	if (custody_drop(s->custody, k, &e) != 0) {
		refuse(p, m, "signer.key-stays", id, &e);
		return;
	}
	log_event(L_NOTE, "signer.key-dropped", "key=%s", id);
	answer(p, PROTO_KEY, m->id, &body);
}

static void
on_sign(void *ctx, struct pipe *p, struct pipe_msg *m)
{
	struct signer *s = ctx;
	struct wire w = wire_open(m->body);
	AUTO_BUF sig = BUF_MAX(KEY_SIG_MAX);
	AUTO_BUF body = { 0 };
	struct err e = { 0 };
	char id[PROTO_NAME_MAX];
	enum proto_what what;
	struct bytes tbs;

	wire_str(&w, id, sizeof(id));
	what = (enum proto_what)wire_u8(&w);
	tbs = wire_bytes(&w, PIPE_MAX);
	if (wire_end(&w, "order to sign", &e) != 0 ||
	    signer_sign(s, id, what, tbs, clock_now(), clock_monotonic_ms(), &sig, &e) != 0) {
		refuse(p, m, "signer.refused", id, &e);
		return;
	}
	wire_put_bytes(&body, bytes_of_buf(&sig));
	answer(p, PROTO_SIGNED, m->id, &body);
}

static const struct pipe_permit permits[] = {
	{ PROTO_KEYGEN, "KEYGEN", on_keygen },
	{ PROTO_KEY_GET, "KEY_GET", on_key_get },
	{ PROTO_SIGN, "SIGN", on_sign },
	{ PROTO_KEY_DROP, "KEY_DROP", on_key_drop },
	{ 0 },
};

static void
on_closed(void *ctx, struct pipe *p, const char *why)
{
	struct signer *s = ctx;

	log_event(L_WARN, "signer.authority-gone", "why=%s", why);
	pipe_free(p);
	s->authority = NULL;
	role_unlinked();
}

void
signer_attach(struct signer *s, int fd)
{
	pipe_free(s->authority);
	s->authority = pipe_new(s->loop, fd, permits, on_closed, s);
}

int
signer_new(struct signer **out, struct loop *l, const char *keys_dir, struct err *e)
{
	AUTO(signer) s = mem_zalloc(sizeof(*s));
	int r;

	s->loop = l;
	if ((r = custody_open(&s->custody, keys_dir, e)) != 0)
		return r;
	for (size_t i = 0; i < custody_count(s->custody); i++) {
		const struct custody_key *k = custody_at(s->custody, i);

		if (k->key == NULL)
			log_event(L_ERROR, "signer.key-unusable", "key=%s error=%s", k->id,
			    k->broken.msg);
	}
	*out = TAKE(s);
	return 0;
}

void
signer_free(struct signer *s)
{
	if (s == NULL)
		return;
	pipe_free(s->authority);
	custody_free(s->custody);
	mem_free(s);
}
