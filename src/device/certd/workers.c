/* SPDX-License-Identifier: Apache-2.0 */
/* certd/workers.c - jobs and their results for the crew of workers, which carries octets */
#include "device/certd/workers.h"

#include <stdio.h>

#include "core/base/mem.h"
#include "core/sys/pipe.h"
#include "device/service/slog.h"

_Static_assert(JOB_MESSAGE == CREW_MESSAGE && JOB_RESULT_MESSAGE == CREW_ANSWER, "one control pipe");

struct workers {
	struct crew *crew;
};

struct workers_ticket {
	struct crew_ticket *in_crew;
	workers_done fn;
	void *ctx;
};

struct workers *
workers_new(struct loop *l, const char *path)
{
	struct workers *w = mem_zalloc(sizeof(*w));

	w->crew = crew_new(l, path, "certd-worker");
	return w;
}

void
workers_set_grace(struct workers *w, unsigned ms)
{
	crew_set_grace(w->crew, ms);
}

static void
set_died(struct job_result *r, const char *why)
{
	*r = (struct job_result){ .outcome = JOB_DIED, .retry_after_s = -1 };
	(void)snprintf(r->text, sizeof(r->text), "worker: %s", why);
}

static void
on_answer(void *ctx, struct bytes answer, const char *died)
{
	struct workers_ticket *t = ctx;
	struct job_result r = { 0 };
	struct err e;

	if (died != NULL) {
		set_died(&r, died);
	} else if (job_result_decode(&r, answer, &e) != 0) {
		slog(SLOG_ERROR, "worker: malformed answer: %s", e.msg);
		set_died(&r, "malformed answer");
	}
	t->fn(t->ctx, &r);
	job_result_clear(&r);
}

struct workers_ticket *
workers_run(struct workers *w, struct job *j, workers_done fn, void *ctx)
{
	struct workers_ticket *t = mem_zalloc(sizeof(*t));
	const struct crew_asker asker = { .done = on_answer, .gone = mem_free, .ctx = t };
	unsigned deadline_s = j->deadline_s != 0 ? j->deadline_s : JOB_DEADLINE_S;
	AUTO_BUF message = BUF_MAX(PIPE_MAX);

	*t = (struct workers_ticket){ .fn = fn, .ctx = ctx };
	job_encode(&message, j);
	job_clear(j);
	t->in_crew = crew_run(w->crew, &message, deadline_s, &asker);
	return t;
}

void
workers_cancel(struct workers *w, struct workers_ticket *t)
{
	crew_cancel(w->crew, t->in_crew);
}

void
workers_free(struct workers *w)
{
	if (w == NULL)
		return;
	crew_free(w->crew);
	mem_free(w);
}
