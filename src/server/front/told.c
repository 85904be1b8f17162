/* SPDX-License-Identifier: Apache-2.0 */
/* front/told.c - what the authority tells: labels, anchors, files, health, answers */
#include <stdio.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/mem.h"
#include "core/base/text.h"
#include "core/codec/base64.h"
#include "core/sys/log.h"
#include "server/front/front.h"

#define LABELS_MAX 1024

static void
label_free(struct front_label *l)
{
	buf_free(&l->cacerts_body);
	buf_free(&l->csrattrs_body);
	mem_free(l);
}

void
snapshot_free(struct snapshot *s)
{
	if (s == NULL)
		return;
	for (size_t i = 0; i < s->n; i++)
		label_free(s->label[i]);
	mem_free(s->label);
	trust_free(s->trust);
	mem_free(s);
}

const struct front_label *
snapshot_label(const struct snapshot *s, const char *name)
{
	for (size_t i = 0; s != NULL && i < s->n; i++)
		if (strcmp(s->label[i]->v.name, name) == 0)
			return s->label[i]->v.enabled ? s->label[i] : NULL;
	return NULL;
}

const char *
snapshot_name(const struct snapshot *s, const struct est_target *t)
{
	if (t->base[0] == 0)
		return t->label;
	for (size_t i = 0; i < s->n; i++)
		for (size_t k = 0; k < s->label[i]->v.n_bases; k++)
			if (strcmp(s->label[i]->v.base[k], t->base) == 0)
				return s->label[i]->v.name;
	return NULL;
}

static void
on_begin(void *ctx, struct pipe *p, struct pipe_msg *m)
{
	struct front *f = ctx;

	(void)p;
	(void)m;
	snapshot_free(f->next);
	f->next = mem_zalloc(sizeof(*f->next));
	f->next->label = mem_zalloc_n(LABELS_MAX, sizeof(*f->next->label));
	f->next->trust = trust_new();
}

static void
on_label(void *ctx, struct pipe *p, struct pipe_msg *m)
{
	struct front *f = ctx;
	struct front_label *l;
	struct proto_label v;
	uint8_t digest[SHA256_LEN];
	struct err e = { 0 };

	(void)p;
	if (f->next == NULL || f->next->n == LABELS_MAX || proto_get_label(&v, m->body, &e) != 0) {
		log_event(L_ERROR, "snapshot.label", "why=%s", e.msg);
		if (f->next != NULL)
			f->next->bad = true;
		return;
	}
	l = mem_zalloc(sizeof(*l));
	l->v = v;
	base64_encode(&l->cacerts_body, v.cacerts, v.wrap);
	if (v.csrattrs.n != 0)
		base64_encode(&l->csrattrs_body, v.csrattrs, v.wrap);
	sha256(digest, bytes_of_buf(&l->cacerts_body));
	l->etag[0] = '"';
	text_hex(l->etag + 1, (struct bytes){ digest, 16 });
	l->etag[33] = '"';
	l->v.cacerts = l->v.csrattrs = (struct bytes){ 0 }; /* they were borrowed from the message */
	f->next->label[f->next->n++] = l;
}

static void
on_anchor(void *ctx, struct pipe *p, struct pipe_msg *m)
{
	struct front *f = ctx;
	struct wire w = wire_open(m->body);
	uint32_t id = wire_u32(&w);
	struct bytes der = wire_bytes(&w, CERT_MAX);
	/* What was uploaded for provisioning never stands in for a CA of ours, or for one that labels take. */
	uint32_t strong = id >= PROTO_ANCHOR_PROVISION ? PROTO_ANCHOR_PROVISION : 0;
	struct err e = { 0 };

	(void)p;
	if (f->next == NULL || wire_end(&w, "anchor", &e) != 0 || trust_add_beside(f->next->trust, id, der, strong, &e) != 0)
		log_event(L_ERROR, "snapshot.anchor", "id=%u why=%s", id, e.msg);
	else
		sha256_two(f->next->anchors, (struct bytes){ f->next->anchors, SHA256_LEN }, m->body);
}

static void
on_end(void *ctx, struct pipe *p, struct pipe_msg *m)
{
	struct front *f = ctx;

	if (f->next == NULL)
		return;
	/* Without a label that it should have, the last one is better; that it is not taken is said by silence. */
	if (f->next->bad) {
		snapshot_free(TAKE(f->next));
		return;
	}
	/* Most changes are of labels: handshakes under way keep their anchors then. */
	if (f->tls != NULL && (f->now == NULL || memcmp(f->now->anchors, f->next->anchors, SHA256_LEN) != 0))
		tls_server_set_trust(f->tls, TAKE(f->next->trust));
	snapshot_free(f->now);
	f->now = TAKE(f->next);
	front_listen(f);
	(void)!pipe_send(p, PROTO_SNAP_TAKEN, m->id, (struct bytes){ 0 }, -1, NULL); /* a lost pipe tells by itself */
}

static void
on_publish(void *ctx, struct pipe *p, struct pipe_msg *m)
{
	(void)p;
	public_take(ctx, m);
}

static void
on_health(void *ctx, struct pipe *p, struct pipe_msg *m)
{
	struct front *f = ctx;
	struct wire w = wire_open(m->body);

	(void)p;
	f->store_ok = wire_u8(&w) == 1;
	f->signer_ok = wire_u8(&w) == 1;
	wire_str(&w, f->health, sizeof(f->health));
	if (wire_end(&w, "health", NULL) != 0)
		f->store_ok = f->signer_ok = false;
	f->health_at_ms = clock_monotonic_ms();
}

static void
on_answer(void *ctx, struct pipe *p, struct pipe_msg *m)
{
	(void)p;
	waiting_answered(ctx, m);
}

const struct pipe_permit front_permits[] = {
	{ PROTO_SNAP_BEGIN, "snap-begin", on_begin },
	{ PROTO_SNAP_LABEL, "snap-label", on_label },
	{ PROTO_SNAP_ANCHOR, "snap-anchor", on_anchor },
	{ PROTO_SNAP_END, "snap-end", on_end },
	{ PROTO_PUBLISH, "publish", on_publish },
	{ PROTO_HEALTH, "health", on_health },
	{ PROTO_ENROLLED, "enrolled", on_answer },
	{ PROTO_ASKED, "asked", on_answer },
	{ 0, NULL, NULL },
};

bool
front_ready(const struct front *f, const char **why)
{
	*why = "";
	if (f->authority == NULL || !pipe_alive(f->authority))
		*why = "the authority is away";
	else if (f->now == NULL)
		*why = "the authority has not told its labels yet";
	else if (clock_monotonic_ms() - f->health_at_ms > FRONT_HEALTH_MS)
		*why = "the authority is silent";
	else if (!f->store_ok || !f->signer_ok)
		*why = f->health[0] != 0 ? f->health : "store or signer is away";
	return (*why)[0] == 0;
}
