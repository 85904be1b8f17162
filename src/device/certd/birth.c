/* SPDX-License-Identifier: Apache-2.0 */
/* certd/birth.c - an EST identity that somebody put there as a file: certd works with a copy of it */
#include <string.h>

#include "core/base/file.h"
#include "core/base/text.h"
#include "device/certd/engine_inside.h"
#include "device/service/slog.h"

void
birth_find(struct credential *c)
{
	const struct preloaded *p = certd_preloaded(c->en->s, c->gen.id);

	text_copy(c->birth.path, sizeof(c->birth.path), p != NULL && p->identity ? p->path : "");
}

int
birth_read(struct buf *pem, const struct credential *c, struct err *e)
{
	return file_read(pem, c->birth.path, CERTS_FILE_MAX, e);
}

void
birth_look(struct credential *c)
{
	AUTO_BUF pem = BUF_MAX(CERTS_FILE_MAX), der = { 0 };
	struct err why;
	struct cert leaf;

	c->birth.good = c->birth.other = false;
	if (c->birth.path[0] == 0)
		return;
	c->birth.seen = inspect_seen(c->birth.path);
	if (birth_read(&pem, c, &why) != 0 || certs_leaf(&leaf, &der, bytes_of_buf(&pem), &why) != 0)
		return;
	c->birth.good = c->en->now() < leaf.not_after;
	c->birth.not_before = leaf.not_before;
	memcpy(c->birth.sha256, leaf.sha256, SHA256_LEN);
	c->birth.other = c->birth.good && memcmp(leaf.sha256, c->sha256, SHA256_LEN) != 0;
}

/* Somebody has put another there since, and it is newer than ours. */
static bool
is_newer(const struct credential *c)
{
	return memcmp(c->birth.sha256, c->gen.birth, SHA256_LEN) != 0 && c->birth.not_before > c->life.not_before;
}

/* The file counts when there is no copy, when it is newer, and when ours is of no use. */
bool
birth_counts(const struct credential *c)
{

	if (!c->birth.good)
		return false;
	if (!c->present || !certs_has_copy(c->en->s, c->gen.id))
		return true;
	return c->birth.other && (is_newer(c) || c->en->now() >= c->life.not_after || c->gen.refused > 0);
}

int
birth_take(struct credential *c, struct bytes pem, struct err *e)
{
	struct generation g = c->gen;
	bool again = memcmp(g.birth, c->birth.sha256, SHA256_LEN) == 0;
	int r = certs_write(c->en->s, g.id, pem, e);

	if (r != 0 && !certs_has_copy(c->en->s, g.id)) {
		slog(SLOG_WARN, "%s: served from %s, without a copy: %s", g.id, c->birth.path, e->msg);
		c->pair = PAIR_MATCH;
		return 0;
	}
	if (r != 0)
		return r;
	memcpy(g.birth, c->birth.sha256, SHA256_LEN);
	slog(SLOG_INFO, "%s: begins%s with a copy of %s, which stays as it is", g.id, again ? " again" : "",
	    c->birth.path);
	(void)inspect_reload(c);
	g.state = GEN_IDLE;
	g.number += g.number == 0;
	g.proved = true;
	g.back = false;
	g.refused = 0;
	if (!again) { /* what went wrong was about another */
		g.tries = g.setbacks = 0;
		g.next_try = 0;
	}
	memcpy(g.sha256, c->sha256, SHA256_LEN);
	r = rotation_commit(c, &g, e);
	if (r != 0)
		return r;
	generation_drop_cert(c->en->s, g.id, GEN_NEW_FILE);
	generation_drop_cert(c->en->s, g.id, GEN_OLD_FILE);
	c->birth.other = false;
	c->pair = PAIR_MATCH;
	return 0;
}
