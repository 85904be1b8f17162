/* SPDX-License-Identifier: Apache-2.0 */
/* service/place.c - paths, and what the environment says about them */
#include "device/service/place.h"

#include <ctype.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/base/text.h"

/* The path of a socket, NUL included. */
#define SOCKET_MAX sizeof(((struct sockaddr_un *)NULL)->sun_path)

/* prefix, and a path around the name of a service; at most max octets with the NUL. */
static int
join(char out[PLACE_MAX], size_t max, const char *prefix, const char *before, const char *service, const char *after,
    struct err *e)
{
	if ((size_t)snprintf(out, max, "%s%s%s%s", prefix, before, service, after) >= max)
		return err_set(e, E_USAGE, "%s%s%s%s: longer than %zu octets", prefix, before, service, after, max - 1);
	return 0;
}

/* Replace path by the variable AZIOT_<SERVICE>_<what>, when that is set. */
static int
override(char path[PLACE_MAX], const char *service, const char *what, struct err *e)
{
	char name[64];
	const char *value;

	(void)snprintf(name, sizeof(name), "AZIOT_%s_%s", service, what);
	for (char *p = name; *p != 0; p++)
		*p = (char)toupper((unsigned char)*p);
	value = secure_getenv(name);
	if (value == NULL || *value == 0)
		return 0;
	if ((size_t)snprintf(path, PLACE_MAX, "%s", value) >= PLACE_MAX)
		return err_set(e, E_USAGE, "%s: longer than %d octets", name, PLACE_MAX - 1);
	return 0;
}

static int
set_prefix(struct place *p, const char *prefix, struct err *e)
{
	size_t n;
	int r;

	if (prefix == NULL)
		prefix = secure_getenv("ESTUARY_PREFIX");
	if (prefix == NULL || *prefix == 0)
		return 0;
	if (*prefix != '/')
		return err_set(e, E_USAGE, "prefix '%.200s' is not absolute", prefix);
	if ((r = join(p->prefix, sizeof(p->prefix), prefix, "", "", "", e)) != 0)
		return r;
	for (n = strlen(p->prefix); n != 0 && p->prefix[n - 1] == '/'; n--)
		p->prefix[n - 1] = 0;
	return 0;
}

int
place_find(struct place *out, const char *service, const char *prefix, struct err *e)
{
	struct place p = { .service = service, .log_filter = secure_getenv("AZIOT_LOG") };
	int r;

	if ((r = set_prefix(&p, prefix, e)) != 0 ||
	    (r = join(p.config_file, PLACE_MAX, p.prefix, "/etc/aziot/", service, "/config.toml", e)) != 0 ||
	    (r = join(p.config_dir, PLACE_MAX, p.prefix, "/etc/aziot/", service, "/config.d", e)) != 0 ||
	    (r = join(p.home, PLACE_MAX, p.prefix, "/var/lib/aziot/", service, "", e)) != 0 ||
	    (r = place_socket(p.socket, &p, service, e)) != 0 ||
	    (r = override(p.config_file, service, "config", e)) != 0 ||
	    (r = override(p.config_dir, service, "config_dir", e)) != 0)
		return r;
	*out = p;
	return 0;
}

int
place_socket(char out[PLACE_MAX], const struct place *p, const char *service, struct err *e)
{
	return join(out, SOCKET_MAX, p->prefix, "/run/aziot/", service, ".sock", e);
}

/* The octet that "%XX" stands for; 0 when it is none, or none that a path may hide. */
static char
unescape(const char *p)
{
	char hex[3] = { 0 };
	uint8_t c;

	memcpy(hex, p + 1, strnlen(p + 1, 2));
	return text_unhex(&c, 1, hex) && c != '/' ? (char)c : 0;
}

/* What stands behind "scheme:", or NULL: //authority is nobody or localhost. */
static const char *
path_of(const char *uri, const char *scheme)
{
	static const char *const authorities[] = { "//localhost/", "///", "/" };
	size_t n = strlen(scheme);

	if (strncasecmp(uri, scheme, n) != 0 || uri[n] != ':')
		return NULL;
	uri += n + 1;
	for (size_t i = 0; i < N_OF(authorities); i++) {
		n = strlen(authorities[i]);
		if (strncasecmp(uri, authorities[i], n) == 0)
			return uri[n] != '/' ? uri + n - 1 : NULL;
	}
	return NULL;
}

static int
from_uri(char out[PLACE_MAX], size_t max, const char *uri, const char *scheme, struct err *e)
{
	AUTO_BUF path = BUF_MAX(max - 1);
	AUTO_BUF safe = BUF_MAX(240);
	const char *p = path_of(uri, scheme);

	text_escape(&safe, bytes_of(uri));
	if (p == NULL)
		return err_set(e, E_FORMAT, "'%s' is not of the form %s:///path", buf_str(&safe), scheme);
	for (; *p != 0; p++) {
		char c = *p == '%' ? unescape(p) : *p;

		if (c == 0 || *p == '?' || *p == '#')
			return err_set(e, E_FORMAT, "'%s': '%c' there is no part of a path", buf_str(&safe), *p);
		p += *p == '%' ? 2 : 0;
		buf_put_u8(&path, (uint8_t)c);
	}
	if (path.over || path.n < 2 || !text_valid_utf8(bytes_of_buf(&path)))
		return err_set(e, E_FORMAT, "'%s' names no path of at most %zu octets of UTF-8", buf_str(&safe),
		    max - 1);
	memcpy(out, buf_str(&path), path.n + 1);
	return 0;
}

int
place_from_file_uri(char out[PLACE_MAX], const char *uri, struct err *e)
{
	return from_uri(out, PLACE_MAX, uri, "file", e);
}

int
place_from_unix_uri(char out[PLACE_MAX], const char *uri, struct err *e)
{
	return from_uri(out, SOCKET_MAX, uri, "unix", e);
}

int
place_take_passed(void)
{
	const char *pid = getenv("LISTEN_PID"), *fds = getenv("LISTEN_FDS");
	uint64_t who = 0, n = 0;
	bool ours = pid != NULL && text_parse_u64(&who, pid, INT32_MAX) && who == (uint64_t)getpid() &&
	    fds != NULL && text_parse_u64(&n, fds, PLACE_FDS_MAX);

	if (!ours)
		return 0;
	for (int fd = PLACE_FIRST_FD; fd < PLACE_FIRST_FD + (int)n; fd++)
		(void)fcntl(fd, F_SETFD, FD_CLOEXEC);
	(void)unsetenv("LISTEN_PID");
	(void)unsetenv("LISTEN_FDS");
	(void)unsetenv("LISTEN_FDNAMES");
	return (int)n;
}
