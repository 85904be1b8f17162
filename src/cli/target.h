/* SPDX-License-Identifier: Apache-2.0 */
/* cli/target.h - a file that a verb is told to write: judged before anything is asked of a server, written at the end */
#ifndef CLI_TARGET_H
#define CLI_TARGET_H

#include <stdio.h>
#include <sys/types.h>

#include "core/base/bytes.h"

#define TARGET_PATH_MAX 1024

/*
 * A path is followed through symbolic links to the file that they name, which need not be there; that file is replaced
 * at once, and the links stay.  Devices and pipes are written as they are; "-" and /dev/stdout are standard output.
 */

/* What is to be written. */
enum target_content {
	TARGET_CERTS,  /* never over a file that holds a private key */
	TARGET_KEY,    /* a private key, perhaps with its certificate: into regular files only */
};

/*
 * Can it be written to?  option is whose value path is, "out" say, for the message.  E_USAGE for what cannot be meant
 * (no name, a directory, a device for a key), E_EXISTS for certificates over a private key, E_IO when the system says no.
 */
int target_check(const char *option, const char *path, enum target_content content, struct err *e) MUST_CHECK;
bool target_is_stdout(const char *path);
/* Is it a regular file, or nothing yet? */
bool target_is_file(const char *path);
/* One name in one directory, however the two are written. */
bool target_is_same(const char *a, const char *b);
/* Does the file hold a private key, in PEM or DER?  One that cannot be read may; one that is not there does not. */
bool target_has_key(const char *path);
/* Write: a file as file_write() does; out is standard output.  E_IO. */
int target_write(const char *path, struct bytes content, mode_t mode, FILE *out, struct err *e) MUST_CHECK;

#endif
