/* SPDX-License-Identifier: Apache-2.0 */
/* cli/test_outdir.c - a directory is there as a whole or not at all, and nobody else's is touched */
#include "cli/outdir.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/file.h"

/* A scratch directory; the caller's test fills and empties it. */
struct scratch {
	char dir[64], out[128];
};

static int
open_scratch(void **state)
{
	static struct scratch s;

	(void)snprintf(s.dir, sizeof(s.dir), "/tmp/test-outdir-XXXXXX");
	assert_non_null(mkdtemp(s.dir));
	(void)snprintf(s.out, sizeof(s.out), "%s/d", s.dir);
	*state = &s;
	return 0;
}

static int
close_scratch(void **state)
{
	const struct scratch *s = *state;
	static const char *const files[] = { "d/a", "d/sub/b", "d/sub", "d/mine", "d", "file", "link" };
	char path[256];

	for (size_t i = 0; i < N_OF(files); i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", s->dir, files[i]);
		if (unlink(path) != 0)
			(void)rmdir(path);
	}
	return rmdir(s->dir); /* not empty: something was left behind */
}

static size_t
entries(const char *dir)
{
	DIR *d = opendir(dir);
	size_t n = 0;

	assert_non_null(d);
	while (readdir(d) != NULL)
		n++;
	(void)closedir(d);
	return n - 2;
}

static void
write_one(const struct scratch *s, const char *content, bool force)
{
	struct outdir o;
	struct err e = { 0 };

	assert_int_equal(outdir_begin(&o, s->out, "a", force, &e), 0);
	assert_int_equal(outdir_dir(&o, "sub", 0700, &e), 0);
	assert_int_equal(outdir_put(&o, "a", bytes_of(content), 0600, &e), 0);
	assert_int_equal(outdir_put(&o, "sub/b", bytes_of(content), 0644, &e), 0);
	if (!force)
		assert_int_equal(access(s->out, F_OK), -1); /* not yet */
	assert_int_equal(outdir_finish(&o, &e), 0);
	outdir_end(&o);
}

static void
it_appears_whole_with_its_modes(void **state)
{
	const struct scratch *s = *state;
	AUTO_BUF content = { 0 };
	char path[256];
	struct stat st;

	write_one(s, "one", false);
	assert_int_equal(entries(s->dir), 1);
	(void)snprintf(path, sizeof(path), "%s/sub/b", s->out);
	assert_int_equal(file_read(&content, path, 100, NULL), 0);
	assert_string_equal(buf_str(&content), "one");
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0644);
}

static void
what_is_not_finished_goes(void **state)
{
	const struct scratch *s = *state;
	struct outdir o;
	struct err e = { 0 };

	assert_int_equal(outdir_begin(&o, s->out, "a", false, &e), 0);
	assert_int_equal(outdir_dir(&o, "sub", 0700, &e), 0);
	assert_int_equal(outdir_put(&o, "sub/b", bytes_of("x"), 0600, &e), 0);
	outdir_end(&o);
	assert_int_equal(entries(s->dir), 0);
	outdir_end(&(struct outdir){ 0 });
}

static void
what_is_there_is_refused_unless_forced_and_ours(void **state)
{
	const struct scratch *s = *state;
	struct outdir o;
	struct err e = { 0 };
	AUTO_BUF content = { 0 };
	char path[256];

	assert_int_equal(mkdir(s->out, 0700), 0);
	for (int force = 0; force < 2; force++) {
		assert_int_equal(outdir_begin(&o, s->out, "a", force != 0, &e), E_EXISTS);
		outdir_end(&o);
		assert_int_equal(access(s->out, F_OK), 0); /* an empty one is somebody's, too */
	}
	assert_int_equal(rmdir(s->out), 0);
	write_one(s, "one", false);
	(void)snprintf(path, sizeof(path), "%s/mine", s->out);
	assert_int_equal(file_write(path, bytes_of("mine"), 0600, &e), 0);
	assert_int_equal(outdir_begin(&o, s->out, "a", false, &e), E_EXISTS);
	outdir_end(&o);
	write_one(s, "two", true);
	assert_int_equal(entries(s->out), 3);
	(void)snprintf(path, sizeof(path), "%s/a", s->out);
	assert_int_equal(file_read(&content, path, 100, NULL), 0);
	assert_string_equal(buf_str(&content), "two");
}

static void
what_is_written_over_stays_when_that_fails(void **state)
{
	const struct scratch *s = *state;
	struct outdir o;
	struct err e = { 0 };

	write_one(s, "one", false);
	assert_int_equal(outdir_begin(&o, s->out, "a", true, &e), 0);
	assert_int_equal(outdir_put(&o, "no/such/dir", bytes_of("x"), 0600, &e), E_IO);
	outdir_end(&o);
	assert_int_equal(entries(s->out), 2);
}

static void
names_are_absolute_and_plain(void **state)
{
	const struct scratch *s = *state;
	static const char *const bad[] = { "", "/", ".", "..", "a/..", "x y", "a\nb", "a%b", "a\"b", "a$b", "~;" };
	struct outdir o;
	struct err e = { 0 };
	char path[256];

	assert_int_equal(chdir(s->dir), 0);
	for (size_t i = 0; i < N_OF(bad); i++) {
		assert_int_equal(outdir_begin(&o, bad[i], "a", false, &e), E_USAGE);
		outdir_end(&o);
	}
	assert_int_equal(outdir_begin(&o, "no/such/parent", "a", false, &e), E_NOTFOUND);
	outdir_end(&o);
	assert_int_equal(outdir_begin(&o, "./d//", "a", false, &e), 0);
	assert_string_equal(o.path, s->out);
	outdir_end(&o);
	/* A link that leads nowhere is there. */
	(void)snprintf(path, sizeof(path), "%s/link", s->dir);
	assert_int_equal(symlink("nowhere", path), 0);
	assert_int_equal(outdir_begin(&o, path, "a", true, &e), E_EXISTS);
	outdir_end(&o);
	assert_int_equal(chdir("/"), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(it_appears_whole_with_its_modes, open_scratch, close_scratch),
		cmocka_unit_test_setup_teardown(what_is_not_finished_goes, open_scratch, close_scratch),
		cmocka_unit_test_setup_teardown(what_is_there_is_refused_unless_forced_and_ours, open_scratch,
		    close_scratch),
		cmocka_unit_test_setup_teardown(what_is_written_over_stays_when_that_fails, open_scratch,
		    close_scratch),
		cmocka_unit_test_setup_teardown(names_are_absolute_and_plain, open_scratch, close_scratch),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
