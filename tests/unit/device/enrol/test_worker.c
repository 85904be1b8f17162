/* SPDX-License-Identifier: Apache-2.0 */
/* test_worker.c - the worker's executable: one message in, one out, confined, gone */
#include "tests/unit/device/enrol/est_server.h"

#include "core/sys/pipe.h"
#include "core/sys/spawn.h"
#include "device/enrol/job.h"

struct talk {
	struct loop *loop;
	struct job_result r;
	uint64_t id;
	bool answered, closed, ended;
	int status;
};

static void
on_result(void *ctx, struct pipe *p, struct pipe_msg *m)
{
	struct talk *t = ctx;

	(void)p;
	assert_int_equal(job_result_decode(&t->r, m->body, NULL), 0);
	t->id = m->id;
	t->answered = true;
}

static void
on_closed(void *ctx, struct pipe *p, const char *why)
{
	struct talk *t = ctx;

	(void)p;
	(void)why;
	t->closed = true;
	if (t->ended)
		loop_stop(t->loop, 0);
}

static void
on_child(void *ctx, pid_t pid, int status)
{
	struct talk *t = ctx;

	(void)pid;
	t->status = status;
	t->ended = true;
	if (t->closed)
		loop_stop(t->loop, 0);
}

static void
on_watchdog(void *ctx)
{
	(void)ctx;
	fail_msg("the worker did not end");
}

/* Send one message to a worker and wait until it has ended. */
static void
run(struct talk *t, uint32_t type, struct bytes body)
{
	static const struct pipe_permit permits[] = { { JOB_RESULT_MESSAGE, "result", on_result }, { 0, NULL, NULL } };
	const char *const argv[] = { "certd-worker", NULL };
	struct spawn s = { .path = getenv("WORKER"), .argv = argv, .stdout_fd = -1, .stderr_fd = -1, .die_with_parent = true };
	struct loop_timer *watchdog;
	struct pipe *p;
	int fds[2];
	pid_t pid;

	*t = (struct talk){ .loop = loop_new() };
	assert_non_null(s.path);
	assert_int_equal(pipe_pair(fds, NULL), 0);
	s.control_fd = fds[1];
	assert_int_equal(spawn_start(&pid, &s, NULL), 0);
	(void)close(fds[1]);
	p = pipe_new(t->loop, fds[0], permits, on_closed, t);
	loop_on_child(t->loop, pid, on_child, t);
	watchdog = loop_timer_new(t->loop, on_watchdog, t);
	loop_timer_in(watchdog, 60000);
	assert_int_equal(pipe_send(p, type, 7, body, -1, NULL), 0);
	(void)loop_run(t->loop);
	pipe_free(p);
	loop_timer_free(watchdog);
	loop_free(t->loop);
}

static void
do_job(struct talk *t, const struct job *j)
{
	AUTO_BUF m = { 0 };

	job_encode(&m, j);
	run(t, JOB_MESSAGE, bytes_of_buf(&m));
	assert_true(t->answered);
	assert_true(WIFEXITED(t->status) && WEXITSTATUS(t->status) == 0);
	assert_int_equal(t->id, 7);
}

static void
a_worker_enrols_from_within_its_sandbox(void **state)
{
	struct minted root = mint(&(struct mint){ .cn = "Root", .ca = true });
	struct minted server = mint(&(struct mint){ .cn = "est", .san = "ip:127.0.0.1", .eku = OID_SERVER_AUTH, .issuer = &root });
	struct minted device = mint(&(struct mint){ .cn = "pump-7" });
	struct est_server s = { .s = { .cert = &server, .issuing = &root, .issue = { .cn = "pump-7", .key = device.key } } };
	struct job j = { .kind = JOB_EST, .deadline_s = 30 };
	struct name subject;
	struct talk t;

	(void)state;
	assert_int_equal(name_from_text(&subject, "CN=pump-7", NULL), 0);
	assert_int_equal(csr_build(&j.csr, &(struct csr_want){ .subject = &subject }, device.key, NULL), 0);
	mint_pem(&j.trust, &root, NULL);
	server_start(&s);
	(void)snprintf(j.url, sizeof(j.url), "https://localhost:%d/est", s.port);
	do_job(&t, &j);
	assert_int_equal(t.r.outcome, JOB_SERVER_UNTRUSTED); /* the certificate names the address */
	job_result_clear(&t.r);
	(void)snprintf(j.url, sizeof(j.url), "https://127.0.0.1:%d/est", s.port);
	do_job(&t, &j);
	if (t.r.outcome != JOB_DONE)
		fail_msg("%s: %s", job_outcome_name(t.r.outcome), t.r.text);
	assert_true(t.r.chain.n != 0);
	server_stop(&s);
	job_result_clear(&t.r);
	job_clear(&j);
	mint_free(&root);
	mint_free(&server);
	mint_free(&device);
}

static void
a_keys_service_that_is_not_there_is_a_key_that_failed(void **state)
{
	struct job j = { .kind = JOB_SPKI, .keyd_socket = "/nonexistent/keyd.sock", .client_key = "est-id" };
	struct talk t;

	(void)state;
	do_job(&t, &j);
	assert_int_equal(t.r.outcome, JOB_KEY_FAILED);
	assert_non_null(strstr(t.r.text, "'est-id'"));
	job_result_clear(&t.r);
}

static void
a_job_that_is_no_job_is_answered_as_such(void **state)
{
	struct talk t;

	(void)state;
	run(&t, JOB_MESSAGE, bytes_of("nonsense"));
	assert_true(t.answered);
	assert_int_equal(t.r.outcome, JOB_BAD_JOB);
	job_result_clear(&t.r);
}

static void
another_message_ends_the_worker_without_an_answer(void **state)
{
	struct talk t;

	(void)state;
	run(&t, 99, bytes_of("x"));
	assert_false(t.answered);
	assert_true(WIFEXITED(t.status) && WEXITSTATUS(t.status) != 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_worker_enrols_from_within_its_sandbox),
		cmocka_unit_test(a_keys_service_that_is_not_there_is_a_key_that_failed),
		cmocka_unit_test(a_job_that_is_no_job_is_answered_as_such),
		cmocka_unit_test(another_message_ends_the_worker_without_an_answer),
	};

	(void)signal(SIGPIPE, SIG_IGN);
	(void)setenv("ASAN_OPTIONS", "detect_leaks=0", 1); /* the worker is not dumpable: no leak checker can look into it */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
