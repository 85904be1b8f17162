/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/core/net/unix_peer.h - a service on a Unix socket that answers as a test says, and tells what it was asked */
#ifndef TESTS_NET_UNIX_PEER_H
#define TESTS_NET_UNIX_PEER_H

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/bytes.h"

/* Write the answer to the nth request into out; true: keep the connection open until the asker goes. */
typedef bool unix_peer_fn(struct buf *out, size_t nth, struct bytes request, void *ctx);

struct unix_peer {
	char dir[64], path[96];
	pid_t pid;
	int seen_fd;     /* requests, one after another */
};

static inline void
unix_peer_must(bool ok)
{
	if (!ok)
		abort();
}

/* Head and as many octets as it promises. */
static inline void
unix_peer_read(int fd, struct buf *request)
{
	size_t want = SIZE_MAX;
	char piece[4096];
	ssize_t n;

	while (request->n < want && (n = read(fd, piece, sizeof(piece))) > 0) {
		const char *end, *length;

		buf_put(request, piece, (size_t)n);
		end = strstr(buf_str(request), "\r\n\r\n");
		if (end == NULL)
			continue;
		length = strcasestr(buf_str(request), "\r\nContent-Length: ");
		want = (size_t)(end + 4 - buf_str(request));
		if (length != NULL && length < end)
			want += strtoul(length + 18, NULL, 10);
	}
}

static inline void
unix_peer_write(int fd, struct bytes b)
{
	while (b.n != 0) {
		ssize_t n = send(fd, b.p, b.n, MSG_NOSIGNAL);

		if (n <= 0)
			return;
		b = bytes_slice(b, (size_t)n, b.n);
	}
}

static inline void
unix_peer_serve(int listener, int seen, unix_peer_fn *fn, void *ctx)
{
	for (size_t nth = 0;; nth++) {
		AUTO_BUF request = { 0 };
		AUTO_BUF answer = { .max = (size_t)64 * 1024 * 1024 };
		int fd = accept(listener, NULL, NULL);
		char rest;

		unix_peer_must(fd >= 0);
		unix_peer_read(fd, &request);
		unix_peer_must(write(seen, request.p, request.n) == (ssize_t)request.n);
		if (fn(&answer, nth, bytes_of_buf(&request), ctx)) {
			unix_peer_write(fd, bytes_of_buf(&answer));
			while (read(fd, &rest, 1) > 0)
				continue;
		} else {
			unix_peer_write(fd, bytes_of_buf(&answer));
		}
		(void)close(fd);
	}
}

static inline void
unix_peer_start(struct unix_peer *p, unix_peer_fn *fn, void *ctx)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), seen[2];

	(void)snprintf(p->dir, sizeof(p->dir), "/tmp/unix-peer-XXXXXX");
	unix_peer_must(mkdtemp(p->dir) != NULL && pipe(seen) == 0);
	(void)snprintf(p->path, sizeof(p->path), "%s/s", p->dir);
	memcpy(sa.sun_path, p->path, strlen(p->path) + 1);
	unix_peer_must(bind(listener, (struct sockaddr *)&sa, sizeof(sa)) == 0 && listen(listener, 16) == 0);
	p->pid = fork();
	if (p->pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		(void)close(seen[0]);
		unix_peer_serve(listener, seen[1], fn, ctx);
		_exit(0);
	}
	(void)close(listener);
	(void)close(seen[1]);
	p->seen_fd = seen[0];
}

/* End it; what it was asked is appended to seen unless that is NULL. */
static inline void
unix_peer_stop(struct unix_peer *p, struct buf *seen)
{
	char piece[4096];
	ssize_t n;

	(void)kill(p->pid, SIGKILL);
	(void)waitpid(p->pid, NULL, 0);
	while (seen != NULL && (n = read(p->seen_fd, piece, sizeof(piece))) > 0)
		buf_put(seen, piece, (size_t)n);
	(void)close(p->seen_fd);
	(void)unlink(p->path);
	(void)rmdir(p->dir);
}

#endif
