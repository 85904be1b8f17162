/* SPDX-License-Identifier: Apache-2.0 */
/* certd/rotation_switch.c - from one pair to the next: the commit point, the proof, and the way back */
#include <stdio.h>
#include <string.h>

#include "core/base/rnd.h"
#include "device/certd/engine_inside.h"
#include "device/service/slog.h"

/* --- staged -> switching -> switched --- */

void
rotation_stage(struct credential *c)
{
	AUTO_BUF pem = BUF_MAX(CERTS_FILE_MAX), der = { 0 }, old = BUF_MAX(CERTS_FILE_MAX);
	struct generation g = c->gen;
	struct cert leaf;
	struct err e;
	int r = generation_read_cert(&pem, c->en->s, g.id, GEN_NEW_FILE, &e);

	if (r == 0)
		r = certs_leaf(&leaf, &der, bytes_of_buf(&pem), &e);
	if (r != 0) {
		slog(SLOG_WARN, "%s: what was staged cannot be read and is asked for again: %s", g.id, e.msg);
		g.state = GEN_ASKED;
		(void)rotation_step(c, &g);
		return;
	}
	g.back = c->pair == PAIR_MATCH && certs_read(&old, c->en->s, g.id, &e) == 0;
	if (g.back && generation_write_cert(c->en->s, g.id, GEN_OLD_FILE, bytes_of_buf(&old), &e) != 0) {
		rotation_failed(c, "renew", NULL, &e);
		return;
	}
	g.state = GEN_SWITCHING;
	(void)rotation_step(c, &g);
}

/* A certificate that is due as it comes is not asked for again and again. */
static void
rest(struct credential *c)
{
	int64_t now = c->en->now();

	c->rest_until = 0;
	if (rotation_renew_at(c) <= now)
		c->rest_until = now + policy_pause(&c->policy, &c->life, now, UINT32_MAX, rnd_below(UINT32_MAX), -1);
}

/* Another pair is served from here on. */
static void
replaced(struct credential *c)
{
	c->stale = c->lent;
	c->stale_until = c->en->now() + ENGINE_STAGED_S;
	c->lent = 0;
}

/* The key is in its place: the certificate follows. */
static void
serve_new(struct credential *c)
{
	AUTO_BUF pem = BUF_MAX(CERTS_FILE_MAX);
	struct generation g = c->gen;
	char when[CLOCK_TEXT_MAX + 8];
	struct err e;

	if (generation_read_cert(&pem, c->en->s, g.id, GEN_NEW_FILE, &e) != 0 ||
	    certs_write(c->en->s, g.id, bytes_of_buf(&pem), &e) != 0) {
		rotation_failed(c, "renew", NULL, &e);
		return;
	}
	(void)inspect_reload(c);
	g.state = GEN_SWITCHED;
	g.number++;
	g.proved = false;
	g.refused = g.tries = 0;
	g.next_try = 0;
	rnd_bytes(&g.jitter, sizeof(g.jitter));
	memcpy(g.sha256, c->sha256, SHA256_LEN);
	if (!rotation_step(c, &g))
		return;
	generation_drop_cert(c->en->s, g.id, GEN_NEW_FILE);
	c->pair = PAIR_MATCH;
	c->late = c->en->now() >= c->life.not_after;
	replaced(c);
	rest(c);
	c->needed = c->renew_now = false;
	c->hold_until = 0;
	c->key_refusals = g.rotate ? 0 : c->key_refusals;
	if (c->auto_renew)
		slog(SLOG_INFO, "Certificate %s was renewed. Next renewal at %s.", g.id,
		    engine_time_text(rotation_renew_at(c), when));
}

/* The key was not replaced and will not be: the old pair is as it was. */
static void
give_up_switch(struct credential *c)
{
	generation_drop_cert(c->en->s, c->gen.id, GEN_NEW_FILE);
	c->gen.state = GEN_IDLE;
	c->pair = PAIR_UNKNOWN;
}

static void
on_switched(void *ctx, const struct job_result *r)
{
	struct credential *c = ctx;

	c->ticket = NULL;
	if (r->outcome == JOB_DONE)
		serve_new(c);
	else {
		rotation_key_refused(c, r);
		if (c->key_refusals >= ENGINE_REFUSALS ||
		    (r->outcome == JOB_KEY_FAILED && strcmp(r->check, "not-found") == 0))
			give_up_switch(c);
		rotation_failed(c, "renew", r, NULL);
	}
	engine_wake(c->en);
}

void
rotation_switch(struct credential *c)
{
	AUTO_BUF pem = BUF_MAX(CERTS_FILE_MAX), der = { 0 };
	struct job j = { .kind = JOB_SWITCH };
	struct cert leaf;
	struct err e;
	int r = generation_read_cert(&pem, c->en->s, c->gen.id, GEN_NEW_FILE, &e);

	if (r == 0)
		r = certs_leaf(&leaf, &der, bytes_of_buf(&pem), &e);
	if (r == E_NOTFOUND || r == E_FORMAT || r == E_TOOBIG) {
		struct generation g = c->gen;

		/* Its file was damaged: find out which pair there is, and if there is none go back to the key before. */
		slog(SLOG_ERROR, "%s: the new certificate is lost: %s", g.id, e.msg);
		g.state = g.rotate && g.back ? GEN_SWITCHED : GEN_IDLE;
		g.proved = g.proved && g.state == GEN_IDLE;
		c->pair = PAIR_UNKNOWN;
		(void)rotation_step(c, &g);
		return;
	}
	if (r != 0) {
		rotation_failed(c, "renew", NULL, &e);
		return;
	}
	if (!c->gen.rotate) {
		serve_new(c);
		return;
	}
	(void)snprintf(j.client_key, sizeof(j.client_key), "%s", c->gen.key_id);
	(void)snprintf(j.key_from, sizeof(j.key_from), "%s", c->temp_id);
	buf_put_bytes(&j.spki, leaf.spki);
	rotation_run(c, &j, on_switched);
}

/* --- switched -> idle --- */

void
rotation_finish(struct credential *c)
{
	struct generation g = c->gen;

	g.state = GEN_IDLE;
	g.back = false;
	g.tries = g.setbacks = 0;
	g.next_try = 0;
	g.error = (struct generation_error){ 0 };
	generation_drop_cert(c->en->s, g.id, GEN_NEW_FILE);
	generation_drop_cert(c->en->s, g.id, GEN_OLD_FILE);
	(void)rotation_step(c, &g);
}

static void
on_proved(void *ctx, const struct job_result *r)
{
	struct credential *c = ctx;

	c->ticket = NULL;
	if (r->outcome == JOB_DONE || strcmp(r->check, "not-found") == 0)
		rotation_finish(c); /* there was no key before */
	else {
		if (r->outcome == JOB_KEY_FAILED && r->check[0] != 0)
			c->pair = PAIR_UNKNOWN; /* it is the key itself, maybe */
		rotation_failed(c, "retire the key before that of", r, NULL);
	}
	engine_wake(c->en);
}

/* Only now the key before may go. */
void
rotation_prove(struct credential *c)
{
	struct job j = { .kind = JOB_PROVE };

	if (!c->gen.rotate) {
		rotation_finish(c);
		return;
	}
	(void)snprintf(j.client_key, sizeof(j.client_key), "%s", c->gen.key_id);
	rotation_run(c, &j, on_proved);
}

void
rotation_take_unproved(struct credential *c)
{
	struct generation g = c->gen;

	g.proved = true;
	(void)rotation_step(c, &g);
}

static void
serve_old(struct credential *c)
{
	AUTO_BUF pem = BUF_MAX(CERTS_FILE_MAX);
	struct generation g = c->gen;
	struct err e;

	if (generation_read_cert(&pem, c->en->s, g.id, GEN_OLD_FILE, &e) != 0 ||
	    certs_write(c->en->s, g.id, bytes_of_buf(&pem), &e) != 0) {
		c->pair = PAIR_UNKNOWN;
		rotation_failed(c, "roll back", NULL, &e);
		return;
	}
	(void)inspect_reload(c);
	g.state = GEN_IDLE;
	g.back = false;
	g.proved = true;
	g.refused = 0;
	g.setbacks++;
	memcpy(g.sha256, c->sha256, SHA256_LEN);
	if (!rotation_step(c, &g))
		return;
	generation_drop_cert(c->en->s, g.id, GEN_OLD_FILE);
	c->pair = PAIR_MATCH;
	replaced(c);
	slog(SLOG_ERROR, "%s: the new certificate is of no use, the one before is served again", g.id);
	(void)err_set(&e, E_AUTH, "the new certificate was refused: the one before is served again");
	rotation_failed(c, "renew", NULL, &e);
}

static void
on_rolled_back(void *ctx, const struct job_result *r)
{
	struct credential *c = ctx;

	c->ticket = NULL;
	if (r->outcome == JOB_DONE)
		serve_old(c);
	else {
		/* keyd may have nothing to go back to, or have done so before: look which pair there is. */
		c->pair = PAIR_UNKNOWN;
		if (r->outcome == JOB_KEY_FAILED && r->check[0] != 0)
			c->gen.back = false;
		rotation_failed(c, "roll back", r, NULL);
	}
	engine_wake(c->en);
}

void
rotation_roll_back(struct credential *c)
{
	struct job j = { .kind = JOB_ROLLBACK };

	if (!c->gen.rotate) {
		serve_old(c);
		return;
	}
	(void)snprintf(j.client_key, sizeof(j.client_key), "%s", c->gen.key_id);
	c->pair = PAIR_UNKNOWN; /* until both are as they were */
	rotation_run(c, &j, on_rolled_back);
}
