/* SPDX-License-Identifier: Apache-2.0 */
/* custody/file_custody.h - keys in files: PKCS#8 PEM for pairs, raw octets for secrets */
#ifndef CORE_CUSTODY_FILE_CUSTODY_H
#define CORE_CUSTODY_FILE_CUSTODY_H

#include "core/custody/custody.h"

/* HOME, made (0700) when missing: ours or root's, and closed to the writing of others; a link to it is followed.  E_IO, E_POLICY. */
int file_custody_home(const char *home, struct err *e) MUST_CHECK;
/*
 * HOME/keys/NAME (current), HOME/previous/NAME, HOME/quarantine/NAME.TIME; HOME and these are made, 0700, when missing.
 * Files are 0600, written whole or not at all, and fsynced before success.  Symbolic links, in place of a
 * directory or of a key, are never followed.  Half-written files of an earlier crash are removed: HOME must be
 * ours alone (file_lock).  E_IO, E_POLICY.
 */
int file_custody_new(struct custody **out, const char *home, struct err *e) MUST_CHECK;

/*
 * A key from a file elsewhere, that is never written; a symbolic link is followed (an operator put it there).
 * Errors as custody_ops.load.
 */
int file_custody_load(struct custody_key **out, const char *path, enum custody_kind kind, struct err *e) MUST_CHECK;
/* A directory for files that go with the keys, as HOME/keys is kept: made, closed to others, swept.  E_IO, E_POLICY. */
int file_custody_dir(const char *home, const char *name, struct err *e) MUST_CHECK;

#endif
