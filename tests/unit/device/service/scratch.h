/* SPDX-License-Identifier: Apache-2.0 */
/* tests: a scratch directory, files in it, and standard error caught in one of them */
#ifndef TESTS_SCRATCH_H
#define TESTS_SCRATCH_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/file.h"
#include "device/service/place.h"

static char scratch[64];

static inline void
scratch_make(void)
{
	(void)snprintf(scratch, sizeof(scratch), "/tmp/service-XXXXXX");
	assert_non_null(mkdtemp(scratch));
}

static inline int
scratch_remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)st, (void)type, (void)at;
	return remove(path);
}

static inline void
scratch_remove(void)
{
	assert_int_equal(nftw(scratch, scratch_remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
}

/* Write a file below the scratch directory; the directories above it are made. */
static inline void
scratch_write(const char *name, const char *text)
{
	char path[512];
	struct err e = { 0 };

	(void)snprintf(path, sizeof(path), "%s/%s", scratch, name);
	for (char *p = strchr(path + strlen(scratch) + 1, '/'); p != NULL; p = strchr(p + 1, '/')) {
		*p = 0;
		assert_int_equal(file_mkdir(path, 0755, &e), 0);
		*p = '/';
	}
	assert_int_equal(file_write(path, bytes_of(text), 0644, &e), 0);
}

static inline const char *
scratch_path(const char *name)
{
	static char path[512];

	(void)snprintf(path, sizeof(path), "%s/%s", scratch, name);
	return path;
}

static int scratch_stderr = -1;

static inline void
scratch_catch_log(void)
{
	int fd = open(scratch_path("log"), O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);

	(void)fflush(stderr);
	scratch_stderr = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
	assert_true(fd >= 0 && scratch_stderr >= 0);
	assert_int_equal(dup2(fd, STDERR_FILENO), STDERR_FILENO);
	(void)close(fd);
}

/* What was logged since scratch_catch_log(). */
static inline const char *
scratch_log(void)
{
	static struct buf text;

	(void)fflush(stderr);
	assert_int_equal(dup2(scratch_stderr, STDERR_FILENO), STDERR_FILENO);
	(void)close(scratch_stderr);
	buf_reset(&text);
	assert_int_equal(file_read(&text, scratch_path("log"), 1024 * 1024, NULL), 0);
	return buf_str(&text);
}

#endif
