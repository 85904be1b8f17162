/* SPDX-License-Identifier: Apache-2.0 */
/* test_child.c - where the roles' executables are, and one that is told to go and does not listen */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/file.h"
#include "core/sys/spawn.h"
#include "server/estuaryd/child.h"

static char root[64];

static const char *const dirs[] = { "sbin", "libexec", "libexec/estuary", "signer" };
static const char *const files[] = { "libexec/estuary/signer", "sbin/signer", "signer/signer" };

static int
make_tree(void **state)
{
	char path[128];

	(void)state;
	(void)snprintf(root, sizeof(root), "/tmp/estuary-child-XXXXXX");
	if (mkdtemp(root) == NULL)
		return -1;
	for (size_t i = 0; i < N_OF(dirs); i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", root, dirs[i]);
		if (mkdir(path, 0700) != 0)
			return -1;
	}
	for (size_t i = 0; i < N_OF(files); i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", root, files[i]);
		if (file_write(path, bytes_of("x"), 0700, NULL) != 0)
			return -1;
	}
	return 0;
}

static int
remove_tree(void **state)
{
	char path[128];

	(void)state;
	for (size_t i = 0; i < N_OF(files); i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", root, files[i]);
		(void)unlink(path);
	}
	for (size_t i = N_OF(dirs); i-- != 0;) {
		(void)snprintf(path, sizeof(path), "%s/%s", root, dirs[i]);
		(void)rmdir(path);
	}
	return rmdir(root);
}

static void
a_role_is_found_in_libexec_then_beside_us_then_in_the_build_tree(void **state)
{
	static const char *const found[] = { "sbin/../libexec/estuary/signer", "sbin/signer",
		"sbin/../signer/signer" };
	char self[80], path[256], want[256];
	struct err e = { 0 };

	(void)state;
	(void)snprintf(self, sizeof(self), "%s/sbin", root);
	for (size_t i = 0; i < N_OF(found); i++) {
		assert_int_equal(child_find(path, sizeof(path), self, ROLE_SIGNER, NULL), 0);
		(void)snprintf(want, sizeof(want), "%s/%s", root, found[i]);
		assert_string_equal(path, want);
		assert_int_equal(chmod(path, 0600), 0); /* one that cannot be run is none */
	}
	assert_int_equal(child_find(path, sizeof(path), self, ROLE_SIGNER, &e), E_NOTFOUND);
	assert_memory_equal(e.msg, "executable of role 'signer': ", 29);
}

struct scene {
	struct loop *loop;
	struct child *child;
	bool gone;
	unsigned unlinked;
};

static void
on_ready(void *ctx, struct child *c)
{
	(void)ctx;
	(void)c;
	fail();
}

static void
on_gone(void *ctx, struct child *c)
{
	struct scene *s = ctx;

	assert_ptr_equal(c, s->child);
	s->gone = true;
	child_free(c);
	loop_stop(s->loop, 0);
}

static void
on_unlinked(void *ctx, struct child *c)
{
	struct scene *s = ctx;

	(void)c;
	s->unlinked++;
}

static const struct child_events events = { .ready = on_ready, .reload = on_ready, .unlinked = on_unlinked, .gone = on_gone };

static void
a_role_that_does_not_listen_is_killed_in_the_end(void **state)
{
	struct scene s = { .loop = loop_new() };
	char script[128];
	struct err e = { 0 };

	(void)state;
	(void)snprintf(script, sizeof(script), "%s/sbin/signer", root);
	/* Reads descriptor 0, which is empty for ever, and never the control pipe. */
	assert_int_equal(file_write(script, bytes_of("#!/bin/sh\nexec tail -f /dev/null\n"), 0700, NULL), 0);
	if (child_start(&s.child, s.loop, script, ROLE_SIGNER, 0, &events, &s, &e) != 0)
		fail_msg("%s", e.msg);
	child_drain(s.child, 1);
	assert_true(s.child->leaving);
	(void)loop_run(s.loop);
	assert_true(s.gone);
	loop_free(s.loop);
}

static void
a_role_that_ends_is_reported(void **state)
{
	struct scene s = { .loop = loop_new() };
	char script[128];

	(void)state;
	(void)snprintf(script, sizeof(script), "%s/sbin/signer", root);
	assert_int_equal(file_write(script, bytes_of("#!/bin/sh\nexit 3\n"), 0700, NULL), 0);
	assert_int_equal(child_start(&s.child, s.loop, script, ROLE_SIGNER, 0, &events, &s, NULL), 0);
	(void)loop_run(s.loop);
	assert_true(s.gone);
	loop_free(s.loop);
}

/* In the child: a role that asks for new pipes, and at once again. */
static int
be_asker(void)
{
	struct loop *l = loop_new();
	struct pipe *control = pipe_new(l, SPAWN_CONTROL_FD, NULL, NULL, NULL);

	for (int i = 0; i < 2; i++)
		if (pipe_send(control, PROTO_UNLINKED, 0, (struct bytes){ 0 }, -1, NULL) != 0)
			return 1;
	return loop_run(l);
}

static void
a_role_that_asks_for_pipes_all_the_time_is_ended(void **state)
{
	struct scene s = { .loop = loop_new() };
	char script[128], self[256], text[320];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	(void)state;
	assert_true(n > 0);
	self[n] = 0;
	(void)snprintf(script, sizeof(script), "%s/sbin/signer", root);
	(void)snprintf(text, sizeof(text), "#!/bin/sh\nexec '%s' asker\n", self);
	assert_int_equal(file_write(script, bytes_of(text), 0700, NULL), 0);
	assert_int_equal(child_start(&s.child, s.loop, script, ROLE_SIGNER, 0, &events, &s, NULL), 0);
	(void)loop_run(s.loop);
	assert_true(s.gone);
	assert_int_equal(s.unlinked, 1);
	loop_free(s.loop);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_role_is_found_in_libexec_then_beside_us_then_in_the_build_tree,
		    make_tree, remove_tree),
		cmocka_unit_test_setup_teardown(a_role_that_does_not_listen_is_killed_in_the_end, make_tree,
		    remove_tree),
		cmocka_unit_test_setup_teardown(a_role_that_ends_is_reported, make_tree, remove_tree),
		cmocka_unit_test_setup_teardown(a_role_that_asks_for_pipes_all_the_time_is_ended, make_tree, remove_tree),
	};

	if (argc == 2 && strcmp(argv[1], "asker") == 0)
		return be_asker();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
