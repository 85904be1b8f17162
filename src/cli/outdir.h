/* SPDX-License-Identifier: Apache-2.0 */
/* cli/outdir.h - a directory that a verb writes: there as a whole or not at all */
#ifndef CLI_OUTDIR_H
#define CLI_OUTDIR_H

#include <sys/types.h>

#include "core/base/bytes.h"

#define OUTDIR_PATH_MAX 1024
#define OUTDIR_NAMES    256  /* files and directories of one */

struct outdir {
	char path[OUTDIR_PATH_MAX];  /* absolute: where it will be */
	char work[OUTDIR_PATH_MAX + 64]; /* where it is written: beside that, or the same when it is there already */
	bool fresh;
	uid_t uid;                   /* whom its content is given to; -1: whoever writes */
	gid_t gid;
	size_t n;
	char *name[OUTDIR_NAMES];    /* what was written, to take it back */
	bool is_dir[OUTDIR_NAMES];
};

/*
 * Begin.  A path that is not there is written beside itself and renamed by outdir_finish().  One that is there is
 * refused (E_EXISTS) unless force says to write over it and it has the file `marker`, by which an earlier run is known;
 * then each file is replaced at once as it comes.  E_USAGE for a path with characters other than letters, digits and
 * . _ - + @ = , / (it stands in configuration files of others), E_IO.
 */
int outdir_begin(struct outdir *o, const char *path, const char *marker, bool force, struct err *e) MUST_CHECK;
int outdir_dir(struct outdir *o, const char *name, mode_t mode, struct err *e) MUST_CHECK;
/* name: one component, or in a directory that was made before. */
int outdir_put(struct outdir *o, const char *name, struct bytes content, mode_t mode, struct err *e) MUST_CHECK;
/* A file that an earlier run may have written and this one does not: it goes. */
int outdir_drop(struct outdir *o, const char *name, struct err *e) MUST_CHECK;
int outdir_finish(struct outdir *o, struct err *e) MUST_CHECK;
/* Give back memory; what was begun and not finished goes. */
void outdir_end(struct outdir *o);

#endif
