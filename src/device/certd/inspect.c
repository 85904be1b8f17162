/* SPDX-License-Identifier: Apache-2.0 */
/* certd/inspect.c - do certificate and key on disk belong together, and which files help when they do not */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "device/certd/engine_inside.h"
#include "device/service/slog.h"

/*
 * Where a pair may be found, best first.  An original service that is cut off between certificate and key leaves the
 * second; we leave the others when the state file is lost in a rotation, or keyd fell back to a key before.
 */
enum {
	CANDIDATE_NEW_BIRTH, CANDIDATE_SERVED, CANDIDATE_KEY_BEHIND, CANDIDATE_CERT_BEHIND, CANDIDATE_STAGED,
	CANDIDATE_BEFORE, CANDIDATE_BIRTH, CANDIDATE_COUNT
};

struct seen
inspect_seen(const char *path)
{
	struct stat st;

	if (stat(path, &st) != 0)
		return (struct seen){ 0 };
	return (struct seen){ .there = true, .inode = (uint64_t)st.st_ino, .size = st.st_size, .s = st.st_mtim.tv_sec,
		.ns = st.st_mtim.tv_nsec };
}

static struct seen
look_at(const struct credential *c)
{
	char path[PLACE_MAX * 2];
	struct err why;

	return certs_path(path, c->en->s, c->gen.id, &why) == 0 ? inspect_seen(path) : (struct seen){ 0 };
}

static bool
differ(const struct seen *a, const struct seen *b)
{
	return a->there != b->there || a->inode != b->inode || a->size != b->size || a->s != b->s || a->ns != b->ns;
}

bool
inspect_changed(const struct credential *c)
{
	struct seen now = look_at(c), birth = c->birth.path[0] != 0 ? inspect_seen(c->birth.path) : c->birth.seen;

	return differ(&now, &c->seen) || differ(&birth, &c->birth.seen);
}

/* The certificate before the one that is served. */
static void
reload_before(struct credential *c)
{
	AUTO_BUF pem = BUF_MAX(CERTS_FILE_MAX), der = { 0 };
	struct err why;
	struct cert leaf;

	c->before_until = 0;
	c->is_before = false;
	if (generation_read_cert(&pem, c->en->s, c->gen.id, GEN_OLD_FILE, &why) != 0 ||
	    certs_leaf(&leaf, &der, bytes_of_buf(&pem), &why) != 0)
		return;
	c->before_until = leaf.not_after;
	c->is_before = c->present && memcmp(leaf.sha256, c->sha256, SHA256_LEN) == 0;
}

bool
inspect_reload(struct credential *c)
{
	AUTO_BUF pem = BUF_MAX(CERTS_FILE_MAX), der = { 0 };
	uint8_t before[SHA256_LEN];
	bool was = c->present;
	struct err why;
	struct cert leaf;

	memcpy(before, c->sha256, sizeof(before));
	c->seen = look_at(c);
	c->present = certs_read(&pem, c->en->s, c->gen.id, &why) == 0 &&
	    certs_leaf(&leaf, &der, bytes_of_buf(&pem), &why) == 0;
	if (!c->present) {
		c->life = (struct policy_life){ 0 };
		c->client = false;
		memset(c->sha256, 0, sizeof(c->sha256));
		c->serial[0] = c->subject[0] = 0;
		reload_before(c);
		birth_look(c);
		return was;
	}
	c->life = (struct policy_life){ leaf.not_before, leaf.not_after };
	c->client = cert_unfit_as_client(&leaf) == NULL;
	memcpy(c->sha256, leaf.sha256, sizeof(c->sha256));
	(void)cert_serial_text(leaf.serial, c->serial);
	c->subject[0] = 0;
	if (leaf.subject_known)
		(void)name_text(&leaf.subject, c->subject);
	reload_before(c);
	birth_look(c);
	return !was || memcmp(before, c->sha256, sizeof(before)) != 0;
}

/* The certificate of a candidate; false: there is none. */
static bool
candidate_cert(struct buf *pem, const struct credential *c, unsigned i)
{
	struct err why;

	switch (i) {
	case CANDIDATE_SERVED:
	case CANDIDATE_KEY_BEHIND:
		return certs_read(pem, c->en->s, c->gen.id, &why) == 0;
	case CANDIDATE_CERT_BEHIND:
	case CANDIDATE_STAGED:
		return generation_read_cert(pem, c->en->s, c->gen.id, GEN_NEW_FILE, &why) == 0;
	case CANDIDATE_BEFORE:
		return generation_read_cert(pem, c->en->s, c->gen.id, GEN_OLD_FILE, &why) == 0;
	case CANDIDATE_NEW_BIRTH:
	case CANDIDATE_BIRTH:
		return c->birth.good && birth_read(pem, c, &why) == 0;
	default:
		return false;
	}
}

/* It matches: a pair that was there before us was used before us, so it counts as proved. */
static int
take_served(struct credential *c, struct err *e)
{
	struct generation g = c->gen;
	bool back = g.state == GEN_SWITCHED && c->is_before;
	bool other = back || memcmp(g.sha256, c->sha256, SHA256_LEN) != 0;
	char when[CLOCK_TEXT_MAX + 8];

	if (c->preloaded) {
		c->pair = PAIR_MATCH;
		return 0;
	}
	if (g.number == 0) {
		g.number = 1;
		g.proved = true;
	} else if (back) {
		/* We were cut off in a rollback, or before a switch whose state is lost. */
		slog(SLOG_WARN, "%s: the certificate before is served, with its key", g.id);
		g.state = GEN_IDLE;
		g.proved = true;
		g.back = false;
		g.refused = 0;
	} else if (other) {
		slog(SLOG_INFO, "Certificate %s was replaced by somebody else and is scheduled anew.", g.id);
		g.refused = g.setbacks = 0;
	}
	memcpy(g.sha256, c->sha256, SHA256_LEN);
	if (c->birth.good && memcmp(c->birth.sha256, c->sha256, SHA256_LEN) == 0)
		memcpy(g.birth, c->sha256, SHA256_LEN);
	if (other && rotation_commit(c, &g, e) != 0) {
		if (c->gen.state == GEN_IDLE)
			c->pair = PAIR_MATCH; /* whether that can be noted or not */
		return e->code;
	}
	if (g.state == GEN_IDLE) {
		generation_drop_cert(c->en->s, g.id, GEN_NEW_FILE);
		generation_drop_cert(c->en->s, g.id, GEN_OLD_FILE);
	}
	c->pair = PAIR_MATCH;
	if (c->auto_renew && g.state == GEN_IDLE)
		slog(SLOG_INFO, "Certificate %s will be auto-renewed. Next renewal at %s.", g.id,
		    engine_time_text(rotation_renew_at(c), when));
	return 0;
}

/* The certificate is newer than the key: go on where somebody was interrupted, from the commit point. */
static int
take_key_behind(struct credential *c, struct bytes pem, struct err *e)
{
	struct generation g = c->gen;
	int r = generation_write_cert(c->en->s, g.id, GEN_NEW_FILE, pem, e);

	slog(SLOG_WARN, "%s: its certificate belongs to key %s: an interrupted renewal is completed", g.id, c->temp_id);
	g.state = GEN_SWITCHING;
	g.rotate = true;
	g.back = false;
	return r != 0 ? r : rotation_commit(c, &g, e);
}

/* The key is newer than the certificate, which was staged. */
static int
take_cert_behind(struct credential *c, struct bytes pem, struct err *e)
{
	AUTO_BUF old = BUF_MAX(CERTS_FILE_MAX);
	struct generation g = c->gen;
	struct err why;
	int r = certs_write(c->en->s, g.id, pem, e);

	slog(SLOG_WARN, "%s: its key belongs to the certificate that was staged: that is served now", g.id);
	if (r != 0)
		return r;
	(void)inspect_reload(c);
	g.state = GEN_SWITCHED;
	g.number++;
	g.proved = false;
	g.refused = 0;
	g.back = generation_read_cert(&old, c->en->s, g.id, GEN_OLD_FILE, &why) == 0;
	memcpy(g.sha256, c->sha256, SHA256_LEN);
	r = rotation_commit(c, &g, e);
	if (r == 0)
		c->pair = PAIR_MATCH;
	return r;
}

static int
take_staged(struct credential *c, struct err *e)
{
	struct generation g = c->gen;

	slog(SLOG_WARN, "%s: a staged certificate and its key were found: they are switched to", g.id);
	g.state = GEN_STAGED;
	g.rotate = true;
	c->pair = PAIR_NONE;
	return rotation_commit(c, &g, e);
}

static int
take_before(struct credential *c, struct bytes pem, struct err *e)
{
	struct generation g = c->gen;
	int r = certs_write(c->en->s, g.id, pem, e);

	slog(SLOG_ERROR, "%s: its key is that of the certificate before, which is served again", g.id);
	if (r != 0)
		return r;
	(void)inspect_reload(c);
	g.state = GEN_IDLE;
	g.back = false;
	g.proved = true;
	g.refused = 0;
	memcpy(g.sha256, c->sha256, SHA256_LEN);
	r = rotation_commit(c, &g, e);
	if (r == 0)
		c->pair = PAIR_MATCH;
	return r;
}

static void
take(struct credential *c)
{
	struct err e = { 0 };
	int r = 0;

	switch (c->candidate) {
	case CANDIDATE_SERVED:
		r = take_served(c, &e);
		break;
	case CANDIDATE_KEY_BEHIND:
		r = take_key_behind(c, bytes_of_buf(&c->asked_pem), &e);
		break;
	case CANDIDATE_CERT_BEHIND:
		r = take_cert_behind(c, bytes_of_buf(&c->asked_pem), &e);
		break;
	case CANDIDATE_STAGED:
		r = take_staged(c, &e);
		break;
	case CANDIDATE_NEW_BIRTH:
	case CANDIDATE_BIRTH:
		r = birth_take(c, bytes_of_buf(&c->asked_pem), &e);
		break;
	default:
		r = take_before(c, bytes_of_buf(&c->asked_pem), &e);
		break;
	}
	if (r != 0)
		rotation_failed(c, "check", NULL, &e);
}

static bool
of_successor(unsigned candidate)
{
	return candidate == CANDIDATE_KEY_BEHIND || candidate == CANDIDATE_STAGED;
}

static void try_candidates(struct credential *c, unsigned from);

/* No such key; and a successor's key that keyd does not let us use is none of ours. */
static bool
is_no_key(const struct credential *c, const struct job_result *r)
{
	return r->outcome == JOB_KEY_FAILED && (strcmp(r->check, "not-found") == 0 ||
	    (of_successor(c->candidate) && strcmp(r->check, "not-authorised") == 0));
}

static void
on_matched(void *ctx, const struct job_result *r)
{
	struct credential *c = ctx;

	c->ticket = NULL;
	if (r->outcome == JOB_DONE)
		take(c);
	else if (r->outcome == JOB_BAD_ANSWER || r->outcome == JOB_BAD_JOB || is_no_key(c, r))
		try_candidates(c, c->candidate + 1);
	else
		rotation_failed(c, "check", r, NULL);
	engine_wake(c->en);
}

static void
try_candidates(struct credential *c, unsigned from)
{
	for (unsigned i = from; i < CANDIDATE_COUNT; i++) {
		struct job j = { .kind = JOB_MATCH };
		bool birth = i == CANDIDATE_NEW_BIRTH || i == CANDIDATE_BIRTH;

		if (c->preloaded && !birth && i != CANDIDATE_SERVED)
			continue;

		buf_free(&c->asked_pem);
		c->asked_pem = BUF_MAX(CERTS_FILE_MAX);
		if ((c->shared && of_successor(i)) || !candidate_cert(&c->asked_pem, c, i))
			continue;
		c->candidate = i;
		if (birth)
			c->birth.other = false; /* whatever comes of it, once is enough */
		buf_put_bytes(&j.client_chain, bytes_of_buf(&c->asked_pem));
		(void)snprintf(j.client_key, sizeof(j.client_key), "%s", of_successor(i) ? c->temp_id : c->gen.key_id);
		rotation_run(c, &j, on_matched);
		return;
	}
	if (c->present)
		slog(SLOG_ERROR, "%s: no key belongs to its certificate", c->gen.id);
	c->pair = PAIR_NONE;
}

void
inspect_pair(struct credential *c)
{
	(void)inspect_reload(c);
	try_candidates(c, birth_counts(c) ? CANDIDATE_NEW_BIRTH : CANDIDATE_SERVED);
}
