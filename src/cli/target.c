/* SPDX-License-Identifier: Apache-2.0 */
/* cli/target.c - where the name of an output leads, and whether it may be written over */
#include "cli/target.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/file.h"
#include "core/base/text.h"

#define LINKS_MAX    40                        /* as the kernel's own */
#define CONTENT_MAX  ((size_t)4 * 1024 * 1024) /* octets that are searched for a private key */

/* --- names --- */

bool
target_is_stdout(const char *path)
{
	static const char *const names[] = { "-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1" };

	for (size_t i = 0; i < N_OF(names); i++)
		if (strcmp(path, names[i]) == 0)
			return true;
	return false;
}

/* A descriptor of ours: its file is somebody's who has it open, and replacing it would not be writing to it. */
static bool
is_descriptor(const char *path)
{
	return strcmp(path, "/dev/stderr") == 0 || strncmp(path, "/dev/fd/", 8) == 0 || strncmp(path, "/proc/", 6) == 0;
}

bool
target_is_file(const char *path)
{
	struct stat st;

	if (target_is_stdout(path) || is_descriptor(path))
		return false;
	return stat(path, &st) != 0 || S_ISREG(st.st_mode);
}

/* The length of the part of a path that is its directory, with the slash. */
static size_t
directory_len(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash != NULL ? (size_t)(slash - path) + 1 : 0;
}

/* The name behind symbolic links; what cannot be followed stays, and says so when it is opened. */
static int
follow(char out[TARGET_PATH_MAX], const char *path, struct err *e)
{
	char link[TARGET_PATH_MAX], whole[TARGET_PATH_MAX];
	int n = snprintf(out, TARGET_PATH_MAX, "%s", path);
	ssize_t got = 0;

	for (int i = 0; i < LINKS_MAX && n < TARGET_PATH_MAX; i++) {
		got = readlink(out, link, sizeof(link) - 1);
		if (got < 0)
			return 0;
		link[got] = 0;
		n = snprintf(whole, sizeof(whole), "%.*s%s", link[0] == '/' ? 0 : (int)directory_len(out), out, link);
		text_copy(out, TARGET_PATH_MAX, whole);
	}
	if (n >= TARGET_PATH_MAX)
		return err_set(e, E_USAGE, "%.200s...: file name too long", path);
	return err_set(e, E_USAGE, "%s: over %d symbolic links, one behind the other", path, LINKS_MAX);
}

/* What stat() says of the directory that a path is in. */
static bool
stat_directory(struct stat *st, const char *path)
{
	char dir[TARGET_PATH_MAX];
	size_t n = directory_len(path);

	(void)snprintf(dir, sizeof(dir), "%.*s", (int)n, path);
	return stat(n != 0 ? dir : ".", st) == 0;
}

bool
target_is_same(const char *a, const char *b)
{
	char af[TARGET_PATH_MAX], bf[TARGET_PATH_MAX];
	struct stat at, bt;

	if (follow(af, a, NULL) != 0 || follow(bf, b, NULL) != 0 ||
	    strcmp(af + directory_len(af), bf + directory_len(bf)) != 0)
		return false;
	return stat_directory(&at, af) && stat_directory(&bt, bf) && at.st_dev == bt.st_dev && at.st_ino == bt.st_ino;
}

/* --- what is there --- */

/* PKCS#8, PKCS#1, SEC 1 and PKCS#12 begin alike: a sequence whose first item is the INTEGER of a version below 128. */
static bool
is_der_key(struct bytes b)
{
	size_t head = b.n < 2 ? 0 : b.p[1] < 0x80 ? 2 : 2 + (size_t)(b.p[1] & 0x7f);

	return head != 0 && head <= 6 && b.n > head + 2 && b.p[0] == 0x30 && b.p[head] == 2 && b.p[head + 1] == 1;
}

bool
target_has_key(const char *path)
{
	static const char mark[] = "PRIVATE KEY-----";
	AUTO_BUF content = BUF_MAX(CONTENT_MAX);
	struct stat st;
	int r;

	if (stat(path, &st) != 0 || !S_ISREG(st.st_mode))
		return false;
	r = file_read(&content, path, CONTENT_MAX, NULL);
	if (r != 0)
		return r != E_NOTFOUND;
	return is_der_key(bytes_of_buf(&content)) ||
	    (content.n != 0 && memmem(content.p, content.n, mark, sizeof(mark) - 1) != NULL);
}

static int
check_stream(const char *option, const char *path, const struct stat *st, enum target_content content, struct err *e)
{
	if (content == TARGET_KEY)
		return err_set(e, E_USAGE, "--%s: %s is no regular file, and a private key goes into nothing else", option,
		    path);
	if (!S_ISREG(st->st_mode) && !S_ISCHR(st->st_mode) && !S_ISFIFO(st->st_mode))
		return err_set(e, E_USAGE, "--%s: %s is neither a file nor something to write a text to", option, path);
	return access(path, W_OK) == 0 ? 0 : err_errno(e, E_IO, "--%s: %s", option, path);
}

int
target_check(const char *option, const char *path, enum target_content content, struct err *e)
{
	char file[TARGET_PATH_MAX];
	struct stat st;
	int r;

	if (*path == 0)
		return err_set(e, E_USAGE, "--%s: a file name is needed, and '' is none", option);
	if (target_is_stdout(path))
		return content == TARGET_CERTS ? 0 :
		    err_set(e, E_USAGE, "--%s: a private key does not go to standard output; name a file", option);
	if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
		return err_set(e, E_USAGE, "--%s: %s is a directory; name a file in it", option, path);
	if (!target_is_file(path))
		return stat(path, &st) != 0 ? err_errno(e, E_IO, "--%s: %s", option, path) :
		    check_stream(option, path, &st, content, e);
	if (content == TARGET_CERTS && target_has_key(path))
		return err_set(e, E_EXISTS, "--%s: %s holds a private key, or cannot be read, and a certificate is never "
		    "written over a key; choose another name", option, path);
	r = follow(file, path, e);
	if (r == 0)
		r = file_may_write(file, e);
	return r != 0 ? err_prefix(e, (enum err_code)r, "--%s", option) : 0;
}

/* --- writing --- */

static int
put_text(FILE *to, const char *path, struct bytes content, struct err *e)
{
	if (fwrite(content.p, 1, content.n, to) != content.n || fflush(to) != 0)
		return err_errno(e, E_IO, "%s", path);
	return 0;
}

static int
write_stream(const char *path, struct bytes content, struct err *e)
{
	int fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC | O_NOCTTY);
	FILE *to = fd >= 0 ? fdopen(fd, "a") : NULL;
	int r;

	if (to == NULL) {
		r = err_errno(e, E_IO, "%s", path);
		if (fd >= 0)
			(void)close(fd);
		return r;
	}
	r = put_text(to, path, content, e);
	if (fclose(to) != 0 && r == 0)
		r = err_errno(e, E_IO, "%s", path);
	return r;
}

int
target_write(const char *path, struct bytes content, mode_t mode, FILE *out, struct err *e)
{
	char file[TARGET_PATH_MAX];
	int r;

	if (target_is_stdout(path))
		return put_text(out, "standard output", content, e);
	if (!target_is_file(path))
		return write_stream(path, content, e);
	r = follow(file, path, e);
	return r != 0 ? r : file_write(file, content, mode, e);
}
