/* SPDX-License-Identifier: Apache-2.0 */
/* device/config/test_detached.c - services of a prefix as processes: which are ours, and what is said when they end */
#include "device/config/detached.h"

#include "tests/unit/device/service/scratch.h"

#include <signal.h>
#include <sys/wait.h>

static int
setup(void **state)
{
	(void)state;
	scratch_make();
	scratch_write("etc/aziot/keyd/config.d/10.toml", "");
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	scratch_remove();
	return 0;
}

static struct detached
services_of(const char *program)
{
	return (struct detached){ .prefix = scratch, .program = program, .services = { "keyd", "certd", NULL } };
}

static enum detached_state
state_of(const char *service)
{
	enum detached_state state;
	struct place p;
	struct err e;
	pid_t pid;

	assert_int_equal(place_find(&p, service, scratch, &e), 0);
	assert_int_equal(detached_look(&state, &pid, &p, &e), 0);
	return state;
}

/* A program that says something and stays, or ends. */
static const char *
program(const char *name, const char *script)
{
	scratch_write(name, script);
	assert_int_equal(chmod(scratch_path(name), 0755), 0);
	return scratch_path(name);
}

static void
one_that_ends_at_once_is_told_of_with_its_last_line(void **state)
{
	char path[256];
	struct detached d;
	const char *done[DETACHED_MAX + 1];
	struct err e = { 0 };

	(void)state;
	(void)snprintf(path, sizeof(path), "%s", program("dies", "#!/bin/sh\necho \"first $1\"\necho \"no $2 here\" >&2\nexit 7\n"));
	d = services_of(path);
	assert_int_equal(detached_start(done, &d, &e), E_UNAVAIL);
	assert_string_equal(e.msg, "aziot-keyd ended at once (status 7): no --prefix here");
	assert_null(done[0]);
	assert_int_equal(access(scratch_path("var/log/aziot/keyd.log"), F_OK), 0);
	assert_int_equal(access(scratch_path("var/log/aziot/certd.log"), F_OK), -1); /* it is not configured */
	assert_int_equal(state_of("certd"), DETACHED_DOWN);
	assert_int_equal(detached_stop(done, &d, &e), 0);
	assert_null(done[0]);
	assert_int_equal(state_of("keyd"), DETACHED_DOWN);
}

static void
keep_pid(const char *text)
{
	scratch_write("run/aziot/keyd.pid", text);
}

/* The field of /proc/PID/stat that says when it was started. */
static unsigned long long
start_of(pid_t pid)
{
	AUTO_BUF text = { 0 };
	char path[64];
	unsigned long long start = 0;

	(void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	assert_int_equal(file_read(&text, path, 4096, NULL), 0);
	assert_int_equal(sscanf(strrchr(buf_str(&text), ')') + 2,
	    "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu", &start), 1);
	return start;
}

/* A process with the arguments of a service. */
static pid_t
start_as(const char *service, const char *prefix)
{
	pid_t pid = vfork();

	if (pid == 0) {
		execl("/bin/sh", "sh", "-c", "while :; do sleep 0.05; done", service, "--prefix", prefix, (char *)NULL);
		_exit(127);
	}
	return pid;
}

static void
a_number_that_another_process_has_now_is_not_ours(void **state)
{
	struct detached d = services_of("/bin/false");
	const char *done[DETACHED_MAX + 1];
	AUTO_BUF boot = { 0 };
	char text[256];
	struct err e;
	pid_t other = start_as("certd", scratch); /* somebody whom nobody may touch */

	(void)state;
	assert_int_equal(file_read(&boot, "/proc/sys/kernel/random/boot_id", 64, NULL), 0);
	for (int i = 0; i < 4; i++) {
		/* Started at another time; in another boot; one that says nothing of either; and all right, but no keyd. */
		(void)snprintf(text, sizeof(text), "%d %llu %s\n", (int)other, start_of(other) + (i == 0),
		    i == 1 ? "00000000-0000-0000-0000-000000000000" : buf_str(&boot));
		if (i == 2)
			(void)snprintf(text, sizeof(text), "%d\n", (int)other);
		keep_pid(text);
		assert_int_equal(state_of("keyd"), i == 2 ? DETACHED_DOWN : DETACHED_DIED);
		assert_int_equal(detached_stop(done, &d, &e), 0);
		assert_null(done[0]);
		assert_int_equal(waitpid(other, NULL, WNOHANG), 0);
	}
	(void)kill(other, SIGKILL);
	(void)waitpid(other, NULL, 0);
	/* Another prefix's is not ours either. */
	other = start_as("keyd", "/elsewhere");
	(void)snprintf(text, sizeof(text), "%d %llu %s\n", (int)other, start_of(other), buf_str(&boot));
	keep_pid(text);
	assert_int_equal(detached_stop(done, &d, &e), 0);
	assert_null(done[0]);
	assert_int_equal(waitpid(other, NULL, WNOHANG), 0);
	(void)kill(other, SIGKILL);
	(void)waitpid(other, NULL, 0);
	/* The very process is stopped, and waited for. */
	other = start_as("keyd", scratch);
	(void)snprintf(text, sizeof(text), "%d %llu %s\n", (int)other, start_of(other), buf_str(&boot));
	keep_pid(text);
	assert_int_equal(state_of("keyd"), DETACHED_SILENT);
	assert_int_equal(detached_stop(done, &d, &e), 0);
	assert_string_equal(done[0], "keyd");
	assert_int_equal(access(scratch_path("run/aziot/keyd.pid"), F_OK), -1);
	assert_true(waitpid(other, NULL, WNOHANG) != 0);
}

static void
the_log_level_is_kept_for_the_next_start(void **state)
{
	struct detached d;
	const char *done[DETACHED_MAX + 1];
	char path[256];
	struct err e;

	(void)state;
	(void)snprintf(path, sizeof(path), "%s", program("says", "#!/bin/sh\necho \"level $AZIOT_LOG\"\nexit 1\n"));
	d = services_of(path);
	assert_int_equal(detached_set_level(&d, "debug", &e), 0);
	assert_int_equal(detached_start(done, &d, &e), E_UNAVAIL);
	assert_non_null(strstr(e.msg, "level debug"));
	assert_int_equal(detached_set_level(&d, "warn", &e), 0);
	assert_int_equal(detached_start(done, &d, &e), E_UNAVAIL);
	assert_non_null(strstr(e.msg, "level warn"));
}

static void
two_do_not_start_and_stop_at_once(void **state)
{
	struct detached d = services_of("/bin/false");
	const char *done[DETACHED_MAX + 1];
	AUTO_FD lock = -1;
	struct err e;

	(void)state;
	scratch_write("run/aziot/other", "");
	assert_int_equal(file_lock(&lock, scratch_path("run/aziot/system.lock"), &e), 0);
	assert_int_equal(detached_start(done, &d, &e), E_EXISTS);
	assert_int_equal(detached_stop(done, &d, &e), E_EXISTS);
}

static void
without_a_prefix_nothing_is_ours(void **state)
{
	enum detached_state how;
	struct place p = { .service = "keyd" };
	struct err e;
	pid_t pid;

	(void)state;
	assert_int_equal(detached_look(&how, &pid, &p, &e), E_USAGE);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(one_that_ends_at_once_is_told_of_with_its_last_line),
		T(a_number_that_another_process_has_now_is_not_ours),
		T(the_log_level_is_kept_for_the_next_start),
		T(two_do_not_start_and_stop_at_once),
		T(without_a_prefix_nothing_is_ours),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
