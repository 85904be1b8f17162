/* SPDX-License-Identifier: Apache-2.0 */
/* custody/file_custody.c - keys in files */
#include "core/custody/file_custody.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/file.h"
#include "core/base/mem.h"
#include "core/base/rnd.h"
#include "core/base/text.h"
#include "core/custody/soft_key.h"

#define HOME_MAX       3072
#define PATH_SIZE      4096
#define FILE_MAX       ((size_t)64 * 1024)
#define NAME_LEN_MAX   220u /* leaves room in a directory entry for what file_write() and the quarantine append */
#define SECRET_LEN     32
#define SECRET_LEAST   16u  /* shorter or longer than these, what is no PEM is a damaged pair and no secret */
#define SECRET_MOST    128u
#define PEM_BEGIN      "-----BEGIN"
#define KEY_SUFFIX     ".key"
#define TMP_SUFFIX_LEN 21u  /* ".", 16 hex digits, ".tmp": file_write()'s */

struct file_custody {
	struct custody base;
	char home[HOME_MAX];
	int keys, previous, quarantine; /* directories */
};

static struct file_custody *
files_of(struct custody *c)
{
	return (struct file_custody *)(void *)c;
}

static int
shelf_fd(const struct file_custody *f, enum custody_shelf shelf)
{
	return shelf == CUSTODY_CURRENT ? f->keys : f->previous;
}

static int
check_name(const char *name, struct err *e)
{
	size_t n = strlen(name);

	if (n > NAME_LEN_MAX)
		return err_set(e, E_TOOBIG, "key: a file name of %zu octets, %u at most", n, NAME_LEN_MAX);
	if (n == 0 || name[0] == '.' || strspn(name,
	    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._") != n)
		return err_set(e, E_FORMAT, "key: no plain file name");
	return 0;
}

/* --- directories --- */

/* A directory that is ours or root's, and in which `closed` (bits of a mode) are not open, or no longer. */
static int
close_dir(int fd, const char *path, mode_t closed, struct err *e)
{
	struct stat st;

	if (fd < 0 || fstat(fd, &st) != 0)
		return err_errno(e, errno == ELOOP || errno == ENOTDIR ? E_POLICY : E_IO, "%s: must be a directory", path);
	if (st.st_uid != geteuid() && st.st_uid != 0)
		return err_set(e, E_POLICY, "%s: belongs to user %u", path, st.st_uid);
	if ((st.st_mode & closed) != 0 && fchmod(fd, st.st_mode & 07777 & ~closed) != 0)
		return err_errno(e, E_POLICY, "%s: open to others", path);
	return 0;
}

/* HOME/NAME, which is ours, and closed to others. */
static int
open_dir(int *out, const char *home, const char *name, struct err *e)
{
	char path[PATH_SIZE];
	AUTO_FD fd = -1;
	int r;

	(void)snprintf(path, sizeof(path), "%s/%s", home, name);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if ((r = close_dir(fd, path, 0077, e)) != 0)
		return r;
	*out = TAKE_FD(fd);
	return 0;
}

static void
replace_fd(int *fd, int by)
{
	fd_autoclose(fd);
	*fd = by;
}

/*
 * The directories as they are now: who restores a backup puts others in their place while we run, and a key that is looked
 * for in one and written into the other would be overwritten.
 */
static int
open_dirs(struct file_custody *f, struct err *e)
{
	AUTO_FD keys = -1;
	AUTO_FD previous = -1;
	AUTO_FD quarantine = -1;

	if (open_dir(&keys, f->home, "keys", e) != 0 || open_dir(&previous, f->home, "previous", e) != 0 ||
	    open_dir(&quarantine, f->home, "quarantine", e) != 0)
		return err_prefix(e, E_IO, "keys");
	replace_fd(&f->keys, TAKE_FD(keys));
	replace_fd(&f->previous, TAKE_FD(previous));
	replace_fd(&f->quarantine, TAKE_FD(quarantine));
	return 0;
}

static int
find_place(struct file_custody *f, const char *name, struct err *e)
{
	int r = check_name(name, e);

	return r == 0 ? open_dirs(f, e) : r;
}

/* --- reading --- */

/* The octets of an open file, to its end; on the way they pass a place of which nothing must stay. */
static int
read_all(struct buf *out, int fd, const char *name, struct err *e)
{
	uint8_t chunk[4096];
	ssize_t n;
	int r = 0;

	while (r == 0 && (n = read(fd, chunk, sizeof(chunk))) != 0) {
		if (n > 0)
			buf_put(out, chunk, (size_t)n);
		else if (errno != EINTR)
			r = err_errno(e, E_IO, "%s", name);
	}
	mem_wipe(chunk, sizeof(chunk));
	return r;
}

/* The whole of an open file, when it is a regular one of a reasonable size. */
static int
read_open(struct buf *out, int fd, const char *name, struct err *e)
{
	struct stat st;
	int r;

	if (fstat(fd, &st) != 0)
		return err_errno(e, E_IO, "%s", name);
	if (!S_ISREG(st.st_mode))
		return err_set(e, E_FORMAT, "%s: not a regular file", name);
	if (st.st_size > (off_t)FILE_MAX)
		return err_set(e, E_FORMAT, "%s: larger than a key", name);
	if ((r = read_all(out, fd, name, e)) != 0)
		return r;
	return buf_check(out, name, e) == 0 ? 0 : err_set(e, E_FORMAT, "%s: larger than a key", name);
}

/* A key of ours; one that an earlier service left open to others is closed to them. */
static int
read_key(struct buf *out, int dir, const char *name, struct err *e)
{
	AUTO_FD fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	struct stat st;

	if (fd < 0 && (errno == ELOOP || errno == ENXIO))
		return err_set(e, E_FORMAT, "%s: not a regular file", name);
	if (fd < 0)
		return err_errno(e, errno == ENOENT ? E_NOTFOUND : E_IO, "%s", name);
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && (st.st_mode & 07177) != 0)
		(void)fchmod(fd, 0600);
	return read_open(out, fd, name, e);
}

static bool
all_zero(struct bytes b)
{
	for (size_t i = 0; i < b.n; i++)
		if (b.p[i] != 0)
			return false;
	return true;
}

static bool
looks_pem(struct bytes b)
{
	return b.n != 0 && memmem(b.p, b.n, "-----", 5) != NULL;
}

/* Meaning of a file's octets.  A crash of a file system leaves empty files, and ones of zeros. */
static int
parse_key(struct custody_key **out, struct bytes b, const char *name, enum custody_kind kind, struct err *e)
{
	struct err why = { 0 };

	if (b.n == 0 || all_zero(b))
		return err_set(e, E_FORMAT, "%s: %s", name, b.n == 0 ? "empty" : "nothing but zeros");
	if (kind == CUSTODY_PAIR) {
		if (soft_key_of_pem(out, b, &why) == 0)
			return 0;
		if (!looks_pem(b) && b.n >= SECRET_LEAST && b.n <= SECRET_MOST)
			return err_set(e, E_USAGE, "%s: a symmetric key, not a key pair", name);
		return err_set(e, E_FORMAT, "%s: %.200s", name, why.msg);
	}
	if (memmem(b.p, b.n, PEM_BEGIN, sizeof(PEM_BEGIN) - 1) != NULL) /* there may be other text before it */
		return err_set(e, E_USAGE, "%s: a key pair, not a symmetric key", name);
	if (b.n > CUSTODY_SECRET_MAX)
		return err_set(e, E_FORMAT, "%s: longer than a symmetric key", name);
	*out = soft_key_of_secret(b);
	return 0;
}

static int
load(struct custody_key **out, struct custody *c, enum custody_shelf shelf, const char *name, enum custody_kind kind,
    struct err *e)
{
	AUTO_BUF text = BUF_MAX(FILE_MAX);
	int r = find_place(files_of(c), name, e);

	if (r == 0)
		r = read_key(&text, shelf_fd(files_of(c), shelf), name, e);
	return r == 0 ? parse_key(out, bytes_of_buf(&text), name, kind, e) : r;
}

int
file_custody_load(struct custody_key **out, const char *path, enum custody_kind kind, struct err *e)
{
	AUTO_FD fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	AUTO_BUF text = BUF_MAX(FILE_MAX);
	int r;

	if (fd < 0)
		return err_errno(e, errno == ENOENT ? E_NOTFOUND : E_IO, "%s", path);
	r = read_open(&text, fd, path, e);
	return r == 0 ? parse_key(out, bytes_of_buf(&text), path, kind, e) : r;
}

/* --- writing --- */

static int
write_key(const struct file_custody *f, const char *dir, const char *name, struct bytes b, struct err *e)
{
	char path[PATH_SIZE];
	int r = check_name(name, e);

	if (r != 0)
		return r;
	(void)snprintf(path, sizeof(path), "%s/%s/%s", f->home, dir, name);
	return file_write(path, b, 0600, e);
}

static int
create_pair(struct custody *c, const char *name, enum key_type type, struct err *e)
{
	AUTO(key) pair = NULL;
	AUTO_BUF pem = { 0 };
	int r = key_generate(&pair, type, e);

	if (r != 0 || (r = key_to_pem(&pem, pair, e)) != 0)
		return r;
	return write_key(files_of(c), "keys", name, bytes_of_buf(&pem), e);
}

static int
import_secret(struct custody *c, const char *name, struct bytes secret, struct err *e)
{
	if (secret.n == 0 || secret.n > CUSTODY_SECRET_MAX)
		return err_set(e, E_USAGE, "key: %zu octets, 1 to %zu needed", secret.n, CUSTODY_SECRET_MAX);
	if (all_zero(secret) || looks_pem(secret))
		return err_set(e, E_USAGE, "key: no symmetric key (%s)", all_zero(secret) ? "nothing but zeros" : "PEM text");
	return write_key(files_of(c), "keys", name, secret, e);
}

static int
create_secret(struct custody *c, const char *name, struct err *e)
{
	uint8_t secret[SECRET_LEN];
	int r;

	rnd_bytes(secret, sizeof(secret));
	r = import_secret(c, name, (struct bytes){ secret, sizeof(secret) }, e);
	mem_wipe(secret, sizeof(secret));
	return r;
}

static int
sync_dir(int dir, const char *what, struct err *e)
{
	return fsync(dir) == 0 ? 0 : err_errno(e, E_IO, "%s: its directory", what);
}

static int
remove_key(struct custody *c, enum custody_shelf shelf, const char *name, struct err *e)
{
	int r = find_place(files_of(c), name, e), dir = shelf_fd(files_of(c), shelf);

	if (r != 0)
		return r;
	if (unlinkat(dir, name, 0) != 0 && errno != ENOENT)
		return err_errno(e, E_IO, "%s", name);
	/* Also when it was gone: whoever removed it may have crashed before this. */
	return sync_dir(dir, name, e);
}

/* Rename between two of our directories; what was there goes, unless it must not. */
static int
put_at(int from_dir, const char *from, int to_dir, const char *to, unsigned flags, struct err *e)
{
	int r;

	if (renameat2(from_dir, from, to_dir, to, flags) != 0)
		return err_errno(e, errno == ENOENT ? E_NOTFOUND : errno == EEXIST ? E_EXISTS : E_IO, "%s", from);
	r = sync_dir(to_dir, to, e);
	return r == 0 && from_dir != to_dir ? sync_dir(from_dir, from, e) : r;
}

static int
move_key(struct custody *c, const char *from, const char *to, struct err *e)
{
	struct file_custody *f = files_of(c);
	int r = find_place(f, from, e);

	if (r == 0)
		r = check_name(to, e);
	return r == 0 ? put_at(f->keys, from, f->keys, to, 0, e) : r;
}

/* A copy, so that the current key is never without a name. */
static int
keep(struct custody *c, const char *name, struct err *e)
{
	AUTO_BUF text = BUF_MAX(FILE_MAX);
	int r = find_place(files_of(c), name, e);

	if (r == 0)
		r = read_key(&text, files_of(c)->keys, name, e);
	return r == 0 ? write_key(files_of(c), "previous", name, bytes_of_buf(&text), e) : r;
}

static int
restore(struct custody *c, const char *name, struct err *e)
{
	struct file_custody *f = files_of(c);
	int r = find_place(f, name, e);

	return r == 0 ? put_at(f->previous, name, f->keys, name, 0, e) : r;
}

/* --- the quarantine --- */

static int
quarantine(struct custody *c, const char *name, int64_t now, char *where, size_t size, struct err *e)
{
	struct file_custody *f = files_of(c);
	char to[NAME_MAX + 1];
	int r = find_place(f, name, e);

	for (int i = 0; r == 0 && i < 100; i++) {
		if (i == 0)
			(void)snprintf(to, sizeof(to), "%s.%" PRId64, name, now);
		else
			(void)snprintf(to, sizeof(to), "%s.%" PRId64 "-%d", name, now, i);
		r = put_at(f->keys, name, f->quarantine, to, RENAME_NOREPLACE, e);
		if (r == 0)
			(void)snprintf(where, size, "%s/quarantine/%s", f->home, to);
		if (r != E_EXISTS)
			return r;
		r = 0;
	}
	return r != 0 ? r : err_set(e, E_IO, "%s: set aside too often", name);
}

/* Is entry "NAME.TIME"? */
static bool
is_set_aside(const char *entry, const char *name)
{
	size_t n = strlen(name);

	return strncmp(entry, name, n) == 0 && entry[n] == '.' && entry[n + 1] >= '0' && entry[n + 1] <= '9';
}

typedef int (*entry_fn)(void *ctx, int dir, const char *entry, struct err *e);

/* Call fn with each entry of a directory that is not hidden; ends at what is not 0. */
static int
each_entry(int dir, entry_fn fn, void *ctx, struct err *e)
{
	int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), r = 0;
	DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
	const struct dirent *entry;

	if (d == NULL) {
		if (fd >= 0)
			(void)close(fd);
		return err_errno(e, E_IO, "keys: directory");
	}
	while (r == 0 && (errno = 0, entry = readdir(d)) != NULL)
		if (entry->d_name[0] != '.')
			r = fn(ctx, dir, entry->d_name, e);
	if (r == 0 && errno != 0)
		r = err_errno(e, E_IO, "keys: directory");
	(void)closedir(d);
	return r;
}

struct aside {
	const char *name;
	char found[NAME_MAX + 1];
	bool delete;
};

static int
note_aside(void *ctx, int dir, const char *entry, struct err *e)
{
	struct aside *a = ctx;

	if (!is_set_aside(entry, a->name))
		return 0;
	(void)snprintf(a->found, sizeof(a->found), "%s", entry);
	if (a->delete && unlinkat(dir, entry, 0) != 0)
		return err_errno(e, E_IO, "%s", entry);
	return 0;
}

static int
find_aside(struct aside *a, struct file_custody *f, struct err *e)
{
	int r = find_place(f, a->name, e);

	if (r == 0)
		r = each_entry(f->quarantine, note_aside, a, e);
	if (r == 0 && a->found[0] == 0)
		return err_set(e, E_NOTFOUND, "%s: not in quarantine", a->name);
	return r;
}

static int
quarantined(struct custody *c, const char *name, char *where, size_t size, struct err *e)
{
	struct aside a = { .name = name };
	int r = find_aside(&a, files_of(c), e);

	if (r == 0)
		(void)snprintf(where, size, "%s/quarantine/%s", files_of(c)->home, a.found);
	return r;
}

static int
forget(struct custody *c, const char *name, struct err *e)
{
	struct aside a = { .name = name, .delete = true };
	int r = find_aside(&a, files_of(c), e);

	return r == 0 ? sync_dir(files_of(c)->quarantine, name, e) : r;
}

/* --- lists, beginning and end --- */

struct listing {
	struct custody_entry *out;
	size_t max, n;
	enum custody_shelf shelf;
	bool quarantined;
};

static int
note_entry(void *ctx, int dir, const char *entry, struct err *e)
{
	struct listing *l = ctx;
	const char *end = strstr(entry, KEY_SUFFIX);
	size_t n;

	(void)dir;
	(void)e;
	if (end == NULL || l->n == l->max)
		return 0;
	n = (size_t)(end - entry) + sizeof(KEY_SUFFIX) - 1;
	if (n > NAME_LEN_MAX || (l->quarantined ? entry[n] != '.' : entry[n] != 0))
		return 0;
	l->out[l->n].shelf = l->shelf;
	l->out[l->n].quarantined = l->quarantined;
	(void)snprintf(l->out[l->n].name, sizeof(l->out[l->n].name), "%.*s", (int)n, entry);
	l->n++;
	return 0;
}

static int
list(struct custody *c, struct custody_entry *out, size_t max, size_t *n, struct err *e)
{
	struct file_custody *f = files_of(c);
	struct listing l = { .out = out, .max = max, .shelf = CUSTODY_CURRENT };
	int r = open_dirs(f, e);

	if (r == 0)
		r = each_entry(f->keys, note_entry, &l, e);
	l.shelf = CUSTODY_PREVIOUS;
	if (r == 0)
		r = each_entry(f->previous, note_entry, &l, e);
	l.shelf = CUSTODY_CURRENT;
	l.quarantined = true;
	if (r == 0)
		r = each_entry(f->quarantine, note_entry, &l, e);
	if (r == 0)
		*n = l.n;
	return r;
}

/* file_write()'s temporary name: a crash left it, and it may hold half a key. */
static int
sweep_entry(void *ctx, int dir, const char *entry, struct err *e)
{
	size_t n = strlen(entry);
	uint8_t tag[8];
	char hex[17];

	(void)ctx;
	if (n <= TMP_SUFFIX_LEN || strcmp(entry + n - 4, ".tmp") != 0 || entry[n - TMP_SUFFIX_LEN] != '.')
		return 0;
	(void)snprintf(hex, sizeof(hex), "%.16s", entry + n - TMP_SUFFIX_LEN + 1);
	if (text_unhex(tag, sizeof(tag), hex) && unlinkat(dir, entry, 0) != 0 && errno != ENOENT)
		return err_errno(e, E_IO, "%s", entry);
	return 0;
}

static void
free_files(struct custody *c)
{
	struct file_custody *f = files_of(c);

	fd_autoclose(&f->keys);
	fd_autoclose(&f->previous);
	fd_autoclose(&f->quarantine);
	mem_free(f);
}

static const struct custody_ops file_ops = {
	.name = "files", .load = load, .create_pair = create_pair, .create_secret = create_secret,
	.import_secret = import_secret, .remove = remove_key, .move = move_key, .keep = keep, .restore = restore,
	.quarantine = quarantine, .quarantined = quarantined, .forget = forget, .list = list, .free = free_files,
};

/* HOME/NAME, made when missing, and without what a crash left in it. */
static int
make_dir(int *out, const char *home, const char *name, struct err *e)
{
	char path[PATH_SIZE];
	AUTO_FD fd = -1;
	int r;

	(void)snprintf(path, sizeof(path), "%s/%s", home, name);
	if (mkdir(path, 0700) != 0 && errno != EEXIST)
		return err_errno(e, E_IO, "%s", path);
	if ((r = open_dir(&fd, home, name, e)) != 0 || (r = each_entry(fd, sweep_entry, NULL, e)) != 0)
		return r;
	*out = TAKE_FD(fd);
	return 0;
}

int
file_custody_home(const char *home, struct err *e)
{
	AUTO_FD fd = -1;
	int r = file_mkdir(home, 0700, e);

	if (r != 0)
		return r;
	fd = open(home, O_RDONLY | O_DIRECTORY | O_CLOEXEC); /* a link is the operator's */
	return close_dir(fd, home, 0022, e);
}

int
file_custody_dir(const char *home, const char *name, struct err *e)
{
	AUTO_FD fd = -1;

	return make_dir(&fd, home, name, e);
}

int
file_custody_new(struct custody **out, const char *home, struct err *e)
{
	AUTO(custody) c = NULL;
	struct file_custody *f;
	int r;

	if (home[0] != '/' || strlen(home) >= HOME_MAX)
		return err_set(e, E_POLICY, "%.200s: an absolute path is needed", home);
	f = mem_zalloc(sizeof(*f));
	c = &f->base;
	f->base.ops = &file_ops;
	f->keys = f->previous = f->quarantine = -1;
	(void)snprintf(f->home, sizeof(f->home), "%s", home);
	if ((r = file_custody_home(home, e)) != 0 || (r = make_dir(&f->keys, home, "keys", e)) != 0 ||
	    (r = make_dir(&f->previous, home, "previous", e)) != 0 ||
	    (r = make_dir(&f->quarantine, home, "quarantine", e)) != 0)
		return r;
	*out = TAKE(c);
	return 0;
}
