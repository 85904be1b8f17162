/* SPDX-License-Identifier: Apache-2.0 */
/* keyd/store_record.c - the records beside the keys, in HOME/records */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/file.h"
#include "device/keyd/store_inside.h"
#include "device/service/slog.h"

#define RECORD_MAX ((size_t)16 * 1024)

static int
record_path(char out[STORE_PATH_MAX], const struct store *st, const char *id, struct err *e)
{
	char name[STEM_MAX];
	int r = stem_name(name, id, ".json", e);

	if (r == 0)
		(void)snprintf(out, STORE_PATH_MAX, "%s/%s", st->records, name);
	return r;
}

/*
 * Nobody knows any more what the key may do, nor how often it changed: it may do nothing as a symmetric key, and the
 * count goes on from a number that it cannot have had.  Both change places at once: without a record it could do everything.
 */
static int
begin_anew(struct record *out, const char *path, const char *id, const struct err *why, struct err *e)
{
	char aside[STORE_PATH_MAX + 16];
	AUTO_BUF text = { 0 };
	int r;

	(void)snprintf(aside, sizeof(aside), "%s.damaged", path);
	record_begin(out, id);
	out->last = (uint64_t)clock_now();
	out->usage = 0;
	record_encode(&text, out);
	if ((r = file_write(aside, bytes_of_buf(&text), 0600, e)) != 0)
		return r;
	if (renameat2(AT_FDCWD, aside, AT_FDCWD, path, RENAME_EXCHANGE) != 0)
		return err_errno(e, E_IO, "%s: damaged, and not to be set aside", path);
	slog(SLOG_ERROR, "The record of key %s is damaged (%s). It was set aside as %s; as a symmetric key this one may be used for "
	    "nothing until it is imported again, or %s is deleted.", id, why->msg, aside, path);
	return 0;
}

int
store_read_record(struct record *out, const struct store *st, const char *id, struct err *e)
{
	AUTO_BUF text = { 0 };
	char path[STORE_PATH_MAX];
	struct record rec;
	struct err why;
	int r = record_path(path, st, id, e);

	if (r != 0)
		return r;
	r = file_read(&text, path, RECORD_MAX, &why);
	if (r == E_NOTFOUND) {
		record_begin(out, id);
		return 0;
	}
	if (r == E_IO)
		return err_set(e, E_IO, "%s", why.msg);
	if (r == 0)
		r = record_decode(&rec, bytes_of_buf(&text), &why);
	if (r == 0 && strcmp(rec.id, id) != 0)
		r = err_set(&why, E_FORMAT, "of another key");
	if (r != 0)
		return begin_anew(out, path, id, &why, e);
	*out = rec;
	return 0;
}

bool
store_record_of(struct record *out, const struct store *st, const char *name)
{
	AUTO_BUF text = { 0 };
	char path[STORE_PATH_MAX];
	size_t n = strcspn(name, ".");

	(void)snprintf(path, sizeof(path), "%s/%.*s.json", st->records, (int)n, name);
	return file_read(&text, path, RECORD_MAX, NULL) == 0 && record_decode(out, bytes_of_buf(&text), NULL) == 0;
}

int
store_write_record(const struct store *st, const struct record *rec, struct err *e)
{
	AUTO_BUF text = { 0 };
	char path[STORE_PATH_MAX];
	int r = record_path(path, st, rec->id, e);

	if (r != 0)
		return r;
	record_encode(&text, rec);
	return file_write(path, bytes_of_buf(&text), 0600, e);
}

int
store_settle(const struct store *st, const char *id, const struct custody_key *going, struct err *e)
{
	uint8_t digest[SHA256_LEN];
	struct record rec;
	int r = custody_key_digest(digest, going, e);

	if (r == 0)
		r = store_read_record(&rec, st, id, e);
	if (r != 0)
		return r;
	return record_note(&rec, digest) ? store_write_record(st, &rec, e) : 0;
}
