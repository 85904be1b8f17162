/* SPDX-License-Identifier: Apache-2.0 */
/* sys/log.c - log lines on standard error that never make the role wait */
#include "core/sys/log.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/text.h"
#include "core/sys/log_rate.h"

/* Below PIPE_BUF: a line goes into a pipe whole or not at all. */
#define TEXT_MAX ((size_t)1000)
#define LINE_MAX_LEN ((size_t)4090)

static const char *const level_names[] = { "ERROR", "WARN", "NOTE" };
static char role_name[32] = "estuary";
static uint64_t dropped;
static bool torn; /* the last line went out in part */
static struct log_rate strangers;

void
log_open(const char *role)
{
	(void)snprintf(role_name, sizeof(role_name), "%s", role);
	/* A reader of our lines that goes away must not take the role with it. */
	(void)signal(SIGPIPE, SIG_IGN);
}

ssize_t
log_write(int fd, struct bytes b)
{
	struct pollfd p = { .fd = fd, .events = POLLOUT };
	ssize_t n = send(fd, b.p, b.n, MSG_DONTWAIT | MSG_NOSIGNAL);

	if (n >= 0 || errno != ENOTSOCK)
		return n;
	if (poll(&p, 1, 0) != 1 || (p.revents & POLLOUT) == 0)
		return -1;
	return write(fd, b.p, b.n);
}

static bool
put_line(const char *level, const char *event, struct bytes text)
{
	AUTO_BUF line = BUF_MAX(LINE_MAX_LEN);
	char when[CLOCK_TEXT_MAX];
	ssize_t n;

	if (torn)
		buf_put_u8(&line, '\n');
	buf_printf(&line, "%s %s[%d] %s %s", clock_text(clock_now(), when), role_name, getpid(),
	    level, event);
	if (text.n != 0)
		buf_put_u8(&line, ' ');
	text_escape(&line, text); /* TEXT_MAX octets become at most four times as many */
	buf_put_u8(&line, '\n');
	n = log_write(STDERR_FILENO, bytes_of_buf(&line));
	if (n < 0)
		return false;
	torn = (size_t)n < line.n;
	return !torn;
}

/* Say how many lines are missing, before the first that comes through again. */
static bool
put_dropped(void)
{
	char text[40];

	if (dropped == 0)
		return true;
	(void)snprintf(text, sizeof(text), "lines=%llu", (unsigned long long)dropped);
	if (!put_line("WARN", "log.dropped", bytes_of(text)))
		return false;
	dropped = 0;
	return true;
}

static void
put_event(enum log_level level, const char *event, const char *fmt, va_list ap)
{
	char text[TEXT_MAX];
	int no = errno;

	(void)vsnprintf(text, sizeof(text), fmt, ap);
	if (!put_dropped() || !put_line(level_names[level], event, bytes_of(text)))
		dropped++;
	errno = no;
}

void
log_event(enum log_level level, const char *event, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	put_event(level, event, fmt, ap);
	va_end(ap);
}

void
log_stranger(enum log_level level, const char *event, const char *fmt, ...)
{
	va_list ap;

	if (!log_rate_allows(&strangers, event, clock_monotonic_ms()))
		return;
	va_start(ap, fmt);
	put_event(level, event, fmt, ap);
	va_end(ap);
}

void
log_held(bool all)
{
	const char *event;
	uint64_t n;

	while (log_rate_held(&strangers, clock_monotonic_ms(), all, &event, &n))
		log_event(L_NOTE, event, "more=%llu", (unsigned long long)n);
}
