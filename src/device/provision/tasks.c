/* SPDX-License-Identifier: Apache-2.0 */
/* provision/tasks.c - tasks and their results for the crew of workers, which carries octets */
#include "device/provision/tasks.h"

#include <stdio.h>

#include "core/base/mem.h"
#include "core/sys/pipe.h"
#include "device/service/crew.h"
#include "device/service/slog.h"

/* Two crews: what waits for somebody far away takes no place from what is answered on this machine. */
struct tasks {
	struct crew *slow, *quick;
};

struct tasks_ticket {
	struct crew *crew;
	struct crew_ticket *in_crew;
	enum task_kind kind;
	tasks_done fn;
	void *ctx;
};

struct tasks *
tasks_new(struct loop *l, const char *worker)
{
	struct tasks *t = mem_zalloc(sizeof(*t));

	t->slow = crew_new(l, worker, "identityd-worker");
	t->quick = crew_new(l, worker, "identityd-worker");
	return t;
}

/* In the network by itself, or because certd may have to ask an EST server. */
static bool
is_slow(enum task_kind k)
{
	return (k >= TASK_DPS && k <= TASK_MODULE_DELETE) || k == TASK_CERT_ISSUE || k == TASK_LOCAL_ID;
}

static void
set_died(struct task_result *r, enum task_kind k, const char *why)
{
	*r = (struct task_result){ .outcome = TASK_DIED, .retry_after_s = -1, .value = json_object() };
	(void)snprintf(r->text, sizeof(r->text), "%s: worker: %s", task_kind_name(k), why);
}

static void
on_answer(void *ctx, struct bytes answer, const char *died)
{
	struct tasks_ticket *t = ctx;
	struct task_result r = { 0 };
	struct err e;

	if (died != NULL) {
		set_died(&r, t->kind, died);
	} else if (task_result_decode(&r, answer, &e) != 0) {
		slog(SLOG_ERROR, "worker: malformed answer: %s", e.msg);
		set_died(&r, t->kind, "malformed answer");
	}
	if (json_str(r.value, "note", "")[0] != 0)
		slog(SLOG_WARN, "%s: %s", task_kind_name(t->kind), json_str(r.value, "note", ""));
	t->fn(t->ctx, &r);
	task_result_clear(&r);
}

struct tasks_ticket *
tasks_run(struct tasks *t, enum task_kind k, json_t *args, tasks_done fn, void *ctx)
{
	struct tasks_ticket *ticket = mem_zalloc(sizeof(*ticket));
	const struct crew_asker asker = { .done = on_answer, .gone = mem_free, .ctx = ticket };
	AUTO_BUF message = BUF_MAX(PIPE_MAX);

	*ticket = (struct tasks_ticket){ .crew = is_slow(k) ? t->slow : t->quick, .kind = k, .fn = fn, .ctx = ctx };
	task_encode(&message, k, args);
	ticket->in_crew = crew_run(ticket->crew, &message, task_deadline_s(args), &asker);
	json_decref(args);
	return ticket;
}

void
tasks_cancel(struct tasks *t, struct tasks_ticket *k)
{
	(void)t;
	crew_cancel(k->crew, k->in_crew);
}

void
tasks_free(struct tasks *t)
{
	if (t == NULL)
		return;
	crew_free(t->slow);
	crew_free(t->quick);
	mem_free(t);
}
