/* SPDX-License-Identifier: Apache-2.0 */
/* signer/dir.h - a keys directory of the test's own, and what the tests put into it */
#ifndef TESTS_SIGNER_DIR_H
#define TESTS_SIGNER_DIR_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/file.h"
#include "server/proto/proto.h"

#define DAYS INT64_C(86400)

static char dir[64];

static inline int
make_dir(void **state)
{
	(void)state;
	(void)snprintf(dir, sizeof(dir), "/tmp/test_signer.XXXXXX");
	return mkdtemp(dir) == NULL;
}

static inline const char *
in_dir(const char *name)
{
	static char path[400];

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	return path;
}

static inline int
drop_dir(void **state)
{
	DIR *d = opendir(dir);
	struct dirent *f;

	(void)state;
	while (d != NULL && (f = readdir(d)) != NULL)
		(void)unlink(in_dir(f->d_name));
	if (d != NULL)
		(void)closedir(d);
	return rmdir(dir);
}

static inline struct proto_keygen
keygen(const char *id)
{
	struct proto_keygen k = { .type = KEY_EC_P256, .max_pathlen = -1, .max_lifetime_s = 30 * DAYS, .max_per_s = 2 };

	(void)snprintf(k.id, sizeof(k.id), "%s", id);
	return k;
}

#define IN_DIR(f) cmocka_unit_test_setup_teardown(f, make_dir, drop_dir)

#endif
