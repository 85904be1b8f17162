/* SPDX-License-Identifier: Apache-2.0 */
/* test_tasks.c - identityd's side of its workers: answers, and what stands for one that does not come */
#include "device/provision/tasks.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "core/sys/pipe.h"
#include "core/sys/spawn.h"
#include "device/service/crew.h"

#define SELF  "/proc/self/exe"
#define GUARD 60000 /* ms; a test that hangs fails */

/* --- the worker's side: this program again --- */

/* What the certificate's ID says: its name back, or one way of misbehaving. */
static void
on_task(void *ctx, struct pipe *p, struct pipe_msg *m)
{
	struct task_result r = { .outcome = TASK_DONE, .retry_after_s = -1, .value = json_object() };
	struct buf out = { 0 };
	json_t *args = NULL;
	enum task_kind k;
	const char *how;
	struct err e;

	if (task_decode(&k, &args, m->body, &e) != 0)
		_exit(8);
	how = json_str(args, "id", "");
	if (strcmp(how, "exit") == 0)
		_exit(0);
	if (strcmp(how, "hang") == 0)
		pause();
	json_setf(r.value, "pem", "%s of %s", task_kind_name(k), how);
	task_result_encode(&out, &r);
	if (strcmp(how, "garbage") == 0)
		out.n--;
	if (pipe_send(p, CREW_ANSWER, m->id, bytes_of_buf(&out), -1, &e) != 0)
		_exit(7);
	loop_stop(ctx, 0);
}

static void
on_gone(void *ctx, struct pipe *p, const char *why)
{
	(void)ctx;
	(void)p;
	(void)why;
	_exit(0);
}

static int
be_worker(void)
{
	static const struct pipe_permit permits[] = { { CREW_MESSAGE, "task", on_task }, { 0, NULL, NULL } };
	struct loop *l = loop_new();
	struct pipe *p = pipe_new(l, SPAWN_CONTROL_FD, permits, on_gone, l);
	int status = loop_run(l);

	pipe_free(p); /* what was sent leaves */
	_exit(status);
}

/* --- identityd's side --- */

struct world {
	struct loop *loop;
	struct tasks *tasks;
	struct loop_timer *guard;
	unsigned answered;
	enum task_outcome outcome;
	char text[TASK_TEXT_MAX], pem[64];
};

static void
on_guard(void *ctx)
{
	loop_stop(ctx, 99);
}

static void
on_done(void *ctx, const struct task_result *r)
{
	struct world *x = ctx;

	x->answered++;
	x->outcome = r->outcome;
	memcpy(x->text, r->text, sizeof(x->text));
	assert_true(json_is_object(r->value));
	assert_true(strlen(json_str(r->value, "pem", "")) < sizeof(x->pem));
	memcpy(x->pem, json_str(r->value, "pem", ""), strlen(json_str(r->value, "pem", "")) + 1);
	loop_stop(x->loop, 0);
}

static json_t *
args_for(const char *how)
{
	json_t *args = json_object();

	json_setf(args, "keyd", "/k");
	json_setf(args, "certd", "/c");
	json_setf(args, "id", "%s", how);
	return args;
}

static struct world
run(const char *worker, const char *how)
{
	struct world x = { .loop = loop_new() };

	x.tasks = tasks_new(x.loop, worker);
	x.guard = loop_timer_new(x.loop, on_guard, x.loop);
	loop_timer_in(x.guard, GUARD);
	(void)tasks_run(x.tasks, TASK_CERT_GET, args_for(how), on_done, &x);
	assert_int_equal(x.answered, 0); /* never from inside tasks_run() */
	assert_int_equal(loop_run(x.loop), 0);
	assert_int_equal(x.answered, 1);
	tasks_free(x.tasks);
	loop_timer_free(x.guard);
	loop_free(x.loop);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* no process is left, not even a dead one */
	return x;
}

static void
a_task_goes_in_and_its_result_comes_out(void **state)
{
	struct world x = run(SELF, "name");

	(void)state;
	assert_int_equal(x.outcome, TASK_DONE);
	assert_string_equal(x.pem, "cert-get of name");
}

static void
a_worker_that_does_not_answer_as_it_must_has_died(void **state)
{
	struct world x = run(SELF, "exit");

	(void)state;
	assert_int_equal(x.outcome, TASK_DIED);
	assert_string_equal(x.text, "cert-get: worker: ended without an answer");
	x = run(SELF, "garbage");
	assert_int_equal(x.outcome, TASK_DIED);
	assert_string_equal(x.text, "cert-get: worker: malformed answer");
	x = run("/nonexistent/worker", "name");
	assert_int_equal(x.outcome, TASK_DIED);
	assert_non_null(strstr(x.text, "/nonexistent/worker"));
}

static void
a_cancelled_task_is_never_answered(void **state)
{
	struct world x = { .loop = loop_new() };
	struct tasks_ticket *t;

	(void)state;
	x.tasks = tasks_new(x.loop, SELF);
	x.guard = loop_timer_new(x.loop, on_guard, x.loop);
	loop_timer_in(x.guard, GUARD);
	t = tasks_run(x.tasks, TASK_CERT_GET, args_for("cancelled"), on_done, &x);
	(void)tasks_run(x.tasks, TASK_CERT_GET, args_for("other"), on_done, &x);
	tasks_cancel(x.tasks, t);
	assert_int_equal(loop_run(x.loop), 0);
	assert_int_equal(x.answered, 1);
	assert_string_equal(x.pem, "cert-get of other");
	(void)tasks_run(x.tasks, TASK_CERT_GET, args_for("left"), on_done, &x);
	tasks_free(x.tasks);
	loop_timer_free(x.guard);
	loop_free(x.loop);
	assert_int_equal(x.answered, 1);
}

static json_t *
issue_args(const char *how)
{
	json_t *args = args_for(how);

	json_setf(args, "key", "k");
	(void)json_object_set_new(args, "subject", json_pack("[[s, s]]", "CN", "x"));
	return args;
}

static void
many_tasks_that_hang_far_away_keep_no_quick_one_waiting(void **state)
{
	struct world x = { .loop = loop_new() };

	(void)state;
	x.tasks = tasks_new(x.loop, SELF);
	x.guard = loop_timer_new(x.loop, on_guard, x.loop);
	loop_timer_in(x.guard, GUARD);
	for (unsigned i = 0; i < 2 * CREW_MAX; i++)
		(void)tasks_run(x.tasks, TASK_CERT_ISSUE, issue_args("hang"), on_done, &x);
	(void)tasks_run(x.tasks, TASK_CERT_GET, args_for("quick"), on_done, &x);
	assert_int_equal(loop_run(x.loop), 0);
	assert_int_equal(x.answered, 1);
	assert_string_equal(x.pem, "cert-get of quick");
	tasks_free(x.tasks);
	loop_timer_free(x.guard);
	loop_free(x.loop);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_task_goes_in_and_its_result_comes_out),
		cmocka_unit_test(a_worker_that_does_not_answer_as_it_must_has_died),
		cmocka_unit_test(a_cancelled_task_is_never_answered),
		cmocka_unit_test(many_tasks_that_hang_far_away_keep_no_quick_one_waiting),
	};

	if (argc == 1 && strcmp(argv[0], "identityd-worker") == 0)
		return be_worker();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
