/* SPDX-License-Identifier: Apache-2.0 */
/* sys/peer.c - sockets */
#include "core/sys/peer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "core/base/file.h"

#define BACKLOG 4096

union address {
	struct sockaddr sa;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
	struct sockaddr_un un;
	struct sockaddr_storage room;
};

int
peer_uid(int fd, uid_t *uid, struct err *e)
{
	struct ucred cred;
	socklen_t n = sizeof(cred);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &n) != 0)
		return err_errno(e, E_IO, "peer's credentials");
	/* What has no peer (TCP, a listening socket) yields -1 and no error. */
	if (n != sizeof(cred) || cred.uid == (uid_t)-1)
		return err_set(e, E_IO, "peer's credentials: not a connected Unix socket");
	*uid = cred.uid;
	return 0;
}

pid_t
peer_pid(int fd)
{
	struct ucred cred;
	socklen_t n = sizeof(cred);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &n) != 0 || n != sizeof(cred) || cred.pid < 0)
		return 0;
	return cred.pid;
}

bool
peer_is_unix_listener(int fd)
{
	int domain = 0, type = 0, listens = 0;
	socklen_t n = sizeof(int);

	return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &n) == 0 && domain == AF_UNIX &&
	    getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &n) == 0 && type == SOCK_STREAM &&
	    getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &n) == 0 && listens != 0;
}

void
peer_address(int fd, char out[PEER_TEXT_MAX])
{
	union address a = { 0 };
	socklen_t n = sizeof(a);
	const char *text = NULL;

	if (getpeername(fd, &a.sa, &n) == 0) {
		if (a.sa.sa_family == AF_INET)
			text = inet_ntop(AF_INET, &a.in.sin_addr, out, PEER_TEXT_MAX);
		else if (a.sa.sa_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&a.in6.sin6_addr))
			text = inet_ntop(AF_INET, a.in6.sin6_addr.s6_addr + 12, out, PEER_TEXT_MAX);
		else if (a.sa.sa_family == AF_INET6)
			text = inet_ntop(AF_INET6, &a.in6.sin6_addr, out, PEER_TEXT_MAX);
		else if (a.sa.sa_family == AF_UNIX)
			text = "unix";
	}
	if (text != out)
		(void)snprintf(out, PEER_TEXT_MAX, "%s", text != NULL ? text : "?");
}

static int
set_option(int fd, int level, int name, int value)
{
	return setsockopt(fd, level, name, &value, sizeof(value));
}

/* A listening socket on one address, or -1 with errno. */
static int
listen_on(const struct sockaddr *sa, socklen_t n, bool shared)
{
	AUTO_FD fd = socket(sa->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0 || set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1) != 0 ||
	    (shared && set_option(fd, SOL_SOCKET, SO_REUSEPORT, 1) != 0) ||
	    (sa->sa_family == AF_INET6 && set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, 0) != 0) ||
	    set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1) != 0 || /* accepted sockets inherit it */
	    bind(fd, sa, n) != 0 || listen(fd, BACKLOG) != 0)
		return -1;
	return TAKE_FD(fd);
}

/* Every address, which is 0: IPv6 and IPv4 by one socket, or IPv4 where there is nothing else. */
static int
listen_on_all(uint16_t port, bool shared)
{
	struct sockaddr_in6 all6 = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
	struct sockaddr_in all4 = { .sin_family = AF_INET, .sin_port = htons(port) };
	int fd = listen_on((const struct sockaddr *)&all6, sizeof(all6), shared);

	if (fd < 0 && (errno == EAFNOSUPPORT || errno == EADDRNOTAVAIL))
		fd = listen_on((const struct sockaddr *)&all4, sizeof(all4), shared);
	return fd;
}

/* The first address of the host that can be listened on. */
static int
listen_on_host(int *out, const char *host, uint16_t port, bool shared, struct err *e)
{
	struct addrinfo hints = { .ai_flags = AI_PASSIVE | AI_NUMERICSERV, .ai_socktype = SOCK_STREAM };
	struct addrinfo *list;
	char service[8];
	int fd = -1, r, no;

	(void)snprintf(service, sizeof(service), "%u", port);
	r = getaddrinfo(host, service, &hints, &list);
	if (r != 0)
		return err_set(e, E_IO, "%s: %s", host, gai_strerror(r));
	for (struct addrinfo *a = list; a != NULL && fd < 0; a = a->ai_next)
		fd = listen_on(a->ai_addr, a->ai_addrlen, shared);
	no = errno;
	freeaddrinfo(list);
	errno = no;
	if (fd < 0)
		return err_errno(e, E_IO, "%s port %u", host, port);
	*out = fd;
	return 0;
}

int
peer_listen_tcp(int *out, const char *host, uint16_t port, bool shared, uint16_t *port_out,
    struct err *e)
{
	AUTO_FD fd = -1;
	union address a = { 0 };
	socklen_t n = sizeof(a);
	int r;

	if (host[0] == 0 || strcmp(host, "*") == 0) {
		fd = listen_on_all(port, shared);
		if (fd < 0)
			return err_errno(e, E_IO, "port %u", port);
	} else if ((r = listen_on_host(&fd, host, port, shared, e)) != 0) {
		return r;
	}
	if (getsockname(fd, &a.sa, &n) != 0)
		return err_errno(e, E_IO, "port %u", port);
	*port_out = ntohs(a.sa.sa_family == AF_INET6 ? a.in6.sin6_port : a.in.sin_port);
	*out = TAKE_FD(fd);
	return 0;
}

static int
remove_old_socket(const char *path, struct err *e)
{
	struct stat st;

	if (lstat(path, &st) != 0)
		return errno == ENOENT ? 0 : err_errno(e, E_IO, "%s", path);
	if (!S_ISSOCK(st.st_mode))
		return err_set(e, E_EXISTS, "%s: there, and no socket", path);
	return unlink(path) == 0 ? 0 : err_errno(e, E_IO, "%s", path);
}

int
peer_listen_unix(int *out, const char *path, mode_t mode, struct err *e)
{
	AUTO_FD fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	mode_t old;
	int r;

	if (fd < 0)
		return err_errno(e, E_IO, "%s", path);
	if ((size_t)snprintf(un.sun_path, sizeof(un.sun_path), "%s", path) >= sizeof(un.sun_path))
		return err_set(e, E_IO, "%s: longer than the %zu characters of a socket's path", path,
		    sizeof(un.sun_path) - 1);
	r = remove_old_socket(path, e);
	if (r != 0)
		return r;
	old = umask(~mode & 0777); /* never more open than asked for, not even for a moment */
	r = bind(fd, (const struct sockaddr *)&un, sizeof(un));
	(void)umask(old);
	if (r != 0)
		return err_errno(e, E_IO, "%s", path);
	if (listen(fd, BACKLOG) != 0)
		return err_errno(e, E_IO, "%s", path);
	*out = TAKE_FD(fd);
	return 0;
}

size_t
peer_raise_nofile(void)
{
	struct rlimit lim;

	if (getrlimit(RLIMIT_NOFILE, &lim) != 0)
		return 0;
	if (lim.rlim_cur < lim.rlim_max) {
		struct rlimit want = { lim.rlim_max, lim.rlim_max };

		if (setrlimit(RLIMIT_NOFILE, &want) == 0)
			lim = want;
	}
	return (size_t)lim.rlim_cur;
}

void
peer_notify(const char *state)
{
	(void)sd_notify(0, state);
}
