/* SPDX-License-Identifier: Apache-2.0 */
/* certd/test_workers.c - processes that take one job each: answers, deaths, deadlines, at most so many at once */
#include "device/certd/workers.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "core/sys/pipe.h"
#include "core/sys/spawn.h"

#define SELF  "/proc/self/exe"
#define GUARD 60000 /* ms; a test that hangs fails */

/* --- the worker's side: this program again --- */

static void
note_in(const char *path)
{
	int fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);

	if (fd < 0 || write(fd, "x", 1) != 1)
		_exit(9);
	(void)close(fd);
}

/* What the job's URL says: answer, or misbehave in one way. */
static void
on_job(void *ctx, struct pipe *p, struct pipe_msg *m)
{
	struct loop *l = ctx;
	struct job_result r = { .outcome = JOB_DONE, .retry_after_s = -1 };
	struct job j = { 0 };
	struct err e;
	struct buf out = { 0 };

	if (job_decode(&j, m->body, &e) != 0)
		_exit(8);
	if (strcmp(j.url, "exit") == 0)
		_exit(0);
	if (strcmp(j.url, "abort") == 0)
		abort();
	if (strcmp(j.url, "hang") == 0) {
		if (j.user[0] != 0)
			note_in(j.user);
		for (;;)
			(void)pause();
	}
	if (strcmp(j.url, "garbage") == 0)
		buf_put_str(&out, "garbage");
	else
		job_result_encode(&out, &r);
	if (strcmp(j.url, "echo") == 0) {
		buf_reset(&out);
		buf_put_bytes(&r.chain, bytes_of_buf(&j.csr));
		(void)snprintf(r.text, sizeof(r.text), "%.99s", j.client_key);
		job_result_encode(&out, &r);
	}
	if (pipe_send(p, strcmp(j.url, "forbidden") == 0 ? 99 : JOB_RESULT_MESSAGE, m->id, bytes_of_buf(&out), -1, &e) != 0)
		_exit(7);
	loop_stop(l, 0);
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
	static const struct pipe_permit permits[] = { { JOB_MESSAGE, "job", on_job }, { 0, NULL, NULL } };
	struct loop *l = loop_new();

	struct pipe *p = pipe_new(l, SPAWN_CONTROL_FD, permits, on_gone, l);
	int status = loop_run(l);

	pipe_free(p); /* what was sent leaves */
	_exit(status);
}

/* --- certd's side --- */

struct world {
	struct loop *loop;
	struct workers *workers;
	struct loop_timer *guard;
	struct loop_timer *look;
	unsigned wanted, answered;
	struct job_result last;      /* without its buffers */
	struct buf chain;
	char path[64];               /* where hanging workers leave a mark */
	struct workers_ticket *cancel;
};

static void
on_guard(void *ctx)
{
	struct world *x = ctx;

	loop_stop(x->loop, 99);
}

static struct world *
world_new(const char *worker)
{
	struct world *x = calloc(1, sizeof(*x));

	x->loop = loop_new();
	x->workers = workers_new(x->loop, worker);
	x->guard = loop_timer_new(x->loop, on_guard, x);
	loop_timer_in(x->guard, GUARD);
	return x;
}

static void
world_free(struct world *x)
{
	workers_free(x->workers);
	loop_timer_free(x->guard);
	loop_timer_free(x->look);
	loop_free(x->loop);
	buf_free(&x->chain);
	if (x->path[0] != 0)
		(void)unlink(x->path);
	free(x);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* no process is left, not even a dead one */
}

static void
on_done(void *ctx, const struct job_result *r)
{
	struct world *x = ctx;

	x->last = *r;
	buf_reset(&x->chain);
	buf_put_bytes(&x->chain, bytes_of_buf(&r->chain));
	if (++x->answered == x->wanted)
		loop_stop(x->loop, 0);
}

static struct workers_ticket *
send(struct world *x, const char *how)
{
	struct job j = { .kind = JOB_EST, .deadline_s = 30 };

	(void)snprintf(j.url, sizeof(j.url), "%s", how);
	(void)snprintf(j.user, sizeof(j.user), "%s", x->path);
	(void)snprintf(j.client_key, sizeof(j.client_key), "the key");
	buf_put_str(&j.csr, "the request");
	x->wanted++;
	return workers_run(x->workers, &j, on_done, x);
}

static void
a_job_goes_in_and_its_result_comes_out(void **state)
{
	struct world *x = world_new(SELF);

	(void)state;
	(void)send(x, "echo");
	assert_int_equal(x->answered, 0); /* never from inside workers_run() */
	assert_int_equal(loop_run(x->loop), 0);
	assert_int_equal(x->last.outcome, JOB_DONE);
	assert_string_equal(x->last.text, "the key");
	assert_string_equal(buf_str(&x->chain), "the request");
	world_free(x);
}

static void
more_jobs_than_workers_are_all_done(void **state)
{
	struct world *x = world_new(SELF);

	(void)state;
	for (int i = 0; i < 3 * WORKERS_MAX; i++)
		(void)send(x, "answer");
	assert_int_equal(loop_run(x->loop), 0);
	assert_int_equal(x->answered, 3 * WORKERS_MAX);
	assert_int_equal(x->last.outcome, JOB_DONE);
	world_free(x);
}

static void
dies(const char *worker, const char *how, const char *part)
{
	struct world *x = world_new(worker);

	(void)send(x, how);
	assert_int_equal(x->answered, 0);
	assert_int_equal(loop_run(x->loop), 0);
	assert_int_equal(x->last.outcome, JOB_DIED);
	assert_int_equal(x->last.retry_after_s, -1);
	if (strstr(x->last.text, part) == NULL)
		fail_msg("'%s' lacks '%s'", x->last.text, part);
	world_free(x);
}

static void
a_worker_that_does_not_answer_as_it_must_has_died(void **state)
{
	(void)state;
	dies(SELF, "exit", "without an answer");
	dies(SELF, "abort", "without an answer");
	dies(SELF, "garbage", "malformed");
	dies(SELF, "forbidden", "without an answer");
	dies("/nonexistent/worker", "answer", "/nonexistent/worker");
	dies("/bin/true", "answer", "");
}

static void
a_worker_over_its_deadline_is_killed(void **state)
{
	struct world *x = world_new(SELF);
	struct job j = { .kind = JOB_EST, .deadline_s = 1, .url = "hang" };

	(void)state;
	workers_set_grace(x->workers, 0);
	x->wanted = 1;
	(void)workers_run(x->workers, &j, on_done, x);
	assert_int_equal(loop_run(x->loop), 0);
	assert_int_equal(x->last.outcome, JOB_DIED);
	assert_non_null(strstr(x->last.text, "in time"));
	world_free(x);
}

/* Once WORKERS_MAX have begun: end, or cancel one so that there is room. */
static void
on_look(void *ctx)
{
	struct world *x = ctx;
	struct stat st;

	assert_int_equal(stat(x->path, &st), 0);
	if (st.st_size < WORKERS_MAX) {
		loop_timer_in(x->look, 2);
		return;
	}
	assert_int_equal(st.st_size, WORKERS_MAX);
	assert_int_equal(x->answered, 0);
	if (x->cancel != NULL)
		workers_cancel(x->workers, x->cancel);
	else
		loop_stop(x->loop, 0);
}

static struct world *
world_with_marks(void)
{
	struct world *x = world_new(SELF);
	int fd;

	(void)snprintf(x->path, sizeof(x->path), "/tmp/workers-test-XXXXXX");
	fd = mkstemp(x->path);
	assert_true(fd >= 0);
	(void)close(fd);
	x->look = loop_timer_new(x->loop, on_look, x);
	loop_timer_in(x->look, 0);
	return x;
}

static void
one_above_the_maximum_waits_until_another_is_cancelled(void **state)
{
	struct world *x = world_with_marks();

	(void)state;
	for (size_t i = 0; i < WORKERS_MAX; i++)
		x->cancel = send(x, "hang");
	(void)send(x, "answer");
	x->wanted = 1;
	assert_int_equal(loop_run(x->loop), 0);
	assert_int_equal(x->answered, 1);
	assert_int_equal(x->last.outcome, JOB_DONE);
	world_free(x);
}

static void
cancelled_jobs_are_never_answered(void **state)
{
	struct world *x = world_with_marks();
	struct workers_ticket *t[WORKERS_MAX + 2];

	(void)state;
	for (size_t i = 0; i < N_OF(t); i++)
		t[i] = send(x, "hang");
	assert_int_equal(loop_run(x->loop), 0);
	workers_cancel(x->workers, t[0]);
	workers_cancel(x->workers, t[N_OF(t) - 1]); /* the last that waits */
	workers_cancel(x->workers, t[N_OF(t) - 2]);
	world_free(x);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_job_goes_in_and_its_result_comes_out),
		cmocka_unit_test(more_jobs_than_workers_are_all_done),
		cmocka_unit_test(a_worker_that_does_not_answer_as_it_must_has_died),
		cmocka_unit_test(a_worker_over_its_deadline_is_killed),
		cmocka_unit_test(one_above_the_maximum_waits_until_another_is_cancelled),
		cmocka_unit_test(cancelled_jobs_are_never_answered),
	};

	if (argc == 1 && strcmp(argv[0], "certd-worker") == 0)
		return be_worker();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
