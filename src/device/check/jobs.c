/* SPDX-License-Identifier: Apache-2.0 */
/* check/jobs.c - what touches the network or a key is done by certd's worker, never by the command itself */
#include "device/check/jobs.h"

#include <sys/stat.h>
#include <unistd.h>

#include "core/base/mem.h"
#include "device/certd/workers.h"
#include "device/check/reader.h"
#include "device/service/slog.h"

/* One jobs_run(). */
struct batch {
	struct loop *loop;
	size_t left;
};

struct waiting {
	struct batch *batch;
	struct job_result *result;
};

struct jobs_item *
jobs_new(size_t n)
{
	return mem_zalloc_n(n != 0 ? n : 1, sizeof(struct jobs_item));
}

void
jobs_free(struct jobs_item *items, size_t n)
{
	for (size_t i = 0; i < n; i++)
		job_clear(&items[i].job);
	mem_free(items);
}

void
jobs_set_user(struct job *j, const struct checking *c, int service)
{
	struct reader user;
	struct stat st;

	reader_find(&user, &c->at[service]);
	if (geteuid() != 0 || user.uid == 0)
		return;
	j->drop = true;
	j->drop_uid = user.uid;
	j->drop_gid = stat(j->keyd_socket, &st) == 0 ? st.st_gid : user.gid;
}

static void
on_done(void *ctx, const struct job_result *r)
{
	struct waiting *w = ctx;

	*w->result = *r;
	w->result->chain = w->result->trust_next = w->result->spki = (struct buf){
		0
	}; /* the worker's; nobody here looks at them */
	if (--w->batch->left == 0)
		loop_stop(w->batch->loop, 0);
}

void
jobs_run(const struct checking *c, struct jobs_item *items, size_t n)
{
	struct batch b = { .loop = loop_new() };
	struct workers *all = workers_new(b.loop, c->o->worker);
	struct waiting *waiting = mem_zalloc_n(n != 0 ? n : 1, sizeof(*waiting));

	slog_filter("off"); /* what goes wrong with a worker stands in its result */
	for (size_t i = 0; i < n; i++) {
		if (items[i].job.kind == 0)
			continue;
		waiting[i] = (struct waiting){ &b, &items[i].result };
		b.left++;
		(void)workers_run(all, &items[i].job, on_done, &waiting[i]);
	}
	if (b.left != 0)
		(void)loop_run(b.loop);
	workers_free(all);
	loop_free(b.loop);
	mem_free(waiting);
}
