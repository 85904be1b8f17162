/* SPDX-License-Identifier: Apache-2.0 */
/* authority/sign.c - questions to the signer, each answered once or timed out */
#include "server/authority/authority.h"

#include <string.h>

#include "core/base/clock.h"
#include "core/base/mem.h"
#include "core/sys/log.h"

struct sign_call {
	TAILQ_ENTRY(sign_call) link;
	uint64_t id, deadline_ms;
	sign_fn fn;
	void *ctx;
	bool failed; /* could not be sent: told at the next tick, never from inside sign_ask() */
};

static void
finish(struct sign_call *c, enum err_code code, const char *why, struct pipe_msg *answer)
{
	c->fn(c->ctx, code, why, answer);
	mem_free(c);
}

static void
unlink_call(struct authority *a, struct sign_call *c)
{
	TAILQ_REMOVE(&a->calls, c, link);
	a->n_calls--;
}

static void
on_answer(void *ctx, struct pipe *p, struct pipe_msg *m)
{
	struct authority *a = ctx;
	struct sign_call *c;

	(void)p;
	TAILQ_FOREACH(c, &a->calls, link)
		if (c->id == m->id)
			break;
	if (c == NULL)
		return; /* came after its deadline: it was answered for already */
	unlink_call(a, c);
	if (m->type == PROTO_SIGN_REFUSED) {
		struct wire w = wire_open(m->body);
		enum err_code code = (enum err_code)(int32_t)wire_u32(&w);
		char why[PROTO_TEXT_MAX];

		wire_str(&w, why, sizeof(why));
		finish(c, code == E_OK || w.bad ? E_IO : code, why, NULL);
		return;
	}
	finish(c, E_OK, "", m);
}

static const struct pipe_permit permits[] = {
	{ PROTO_KEY, "key", on_answer },
	{ PROTO_SIGNED, "signed", on_answer },
	{ PROTO_SIGN_REFUSED, "sign-refused", on_answer },
	{ 0, NULL, NULL },
};

static void
fail_all(struct authority *a, const char *why)
{
	TAILQ_HEAD(, sign_call) all = TAILQ_HEAD_INITIALIZER(all);
	struct sign_call *c;

	TAILQ_CONCAT(&all, &a->calls, link); /* who hears of it may ask again */
	a->n_calls = 0;
	while ((c = TAILQ_FIRST(&all)) != NULL) {
		TAILQ_REMOVE(&all, c, link);
		finish(c, E_UNAVAIL, why, NULL);
	}
}

static void
on_closed(void *ctx, struct pipe *p, const char *why)
{
	struct authority *a = ctx;

	log_event(L_WARN, "signer.lost", "why=%s", why);
	pipe_free(p);
	a->signer = NULL;
	fail_all(a, "the signer went away");
	snapshot_health(a, NULL);
}

void
sign_attach(struct authority *a, int fd)
{
	if (a->signer != NULL) {
		pipe_free(TAKE(a->signer));
		fail_all(a, "the signer was replaced");
	}
	a->signer = pipe_new(a->loop, fd, permits, on_closed, a);
	snapshot_health(a, NULL);
	authority_next(a);
}

void
sign_ask(struct authority *a, uint32_t type, struct bytes body, sign_fn fn, void *ctx)
{
	struct sign_call *c = mem_zalloc(sizeof(*c));

	*c = (struct sign_call){ .id = ++a->next_call, .fn = fn, .ctx = ctx,
		.deadline_ms = clock_monotonic_ms() + AUTHORITY_SIGN_MS + a->n_calls * AUTHORITY_SIGNS_MS };
	TAILQ_INSERT_TAIL(&a->calls, c, link);
	a->n_calls++;
	if (a->signer == NULL || pipe_send(a->signer, type, c->id, body, -1, NULL) != 0)
		c->failed = true;
}

void
sign_tbs(struct authority *a, const char *key_id, enum proto_what what, struct bytes tbs, sign_fn fn, void *ctx)
{
	AUTO_BUF b = BUF_MAX(PIPE_MAX);

	wire_put_str(&b, key_id);
	wire_put_u8(&b, (uint8_t)what);
	wire_put_bytes(&b, tbs);
	sign_ask(a, PROTO_SIGN, bytes_of_buf(&b), fn, ctx);
}

int
sign_signature(struct bytes *sig, const struct pipe_msg *answer, struct err *e)
{
	struct wire w = wire_open(answer->body);

	*sig = wire_bytes(&w, KEY_SIG_MAX);
	if (answer->type != PROTO_SIGNED || sig->n == 0)
		return err_set(e, E_FORMAT, "signer: not a signature");
	return wire_end(&w, "signer's answer", e);
}

void
sign_expire(struct authority *a)
{
	uint64_t now = clock_monotonic_ms();
	struct sign_call *c;

	do {
		TAILQ_FOREACH(c, &a->calls, link)
			if (c->failed || c->deadline_ms <= now)
				break;
		if (c != NULL) {
			unlink_call(a, c);
			finish(c, E_UNAVAIL, c->failed ? "the signer is away" : "the signer did not answer in time", NULL);
		}
	} while (c != NULL);
}
