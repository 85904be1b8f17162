/* SPDX-License-Identifier: Apache-2.0 */
/* check/sntp.c - what time is it elsewhere?  One question over UDP (RFC 4330) */
#include "device/check/sntp.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/file.h"
#include "core/base/mem.h"
#include "core/base/rnd.h"

#define CLIENT_V4    0x23 /* no leap warning, version 4, a client's */
#define MODE_SERVER  4
#define LEAP_UNKNOWN 3
#define ORIGINATE    24 /* where the answer repeats our mark */
#define TRANSMIT     40
#define TO_UNIX      INT64_C(2208988800) /* 1900 to 1970 */
#define ERA          (INT64_C(1) << 32)  /* RFC 4330 3: with the highest bit clear it counts from 2036 */
#define TEXT_MAX     280

/* --- the messages --- */

void
sntp_question(uint8_t out[SNTP_OCTETS], const uint8_t mark[SNTP_MARK])
{
	memset(out, 0, SNTP_OCTETS);
	out[0] = CLIENT_V4;
	memcpy(out + TRANSMIT, mark, SNTP_MARK);
}

int
sntp_answer(int64_t *out, struct bytes message, const uint8_t mark[SNTP_MARK], struct err *e)
{
	const uint8_t *p = message.p;
	int64_t seconds;

	if (message.n < SNTP_OCTETS || (p[0] & 7) != MODE_SERVER || memcmp(p + ORIGINATE, mark, SNTP_MARK) != 0)
		return err_set(e, E_FORMAT, "no answer of a time server to what was asked");
	if (p[0] >> 6 == LEAP_UNKNOWN || p[1] == 0 || p[1] > 15)
		return err_set(e, E_UNAVAIL, "its own clock is not set, or it wants to be left alone");
	seconds = (int64_t)p[TRANSMIT] << 24 | (int64_t)p[TRANSMIT + 1] << 16 | (int64_t)p[TRANSMIT + 2] << 8 |
	    p[TRANSMIT + 3];
	if (seconds == 0)
		return err_set(e, E_FORMAT, "its answer has no time in it");
	if ((seconds & INT64_C(0x80000000)) == 0)
		seconds += ERA;
	*out = seconds - TO_UNIX;
	return 0;
}

/* --- the way there --- */

/* Cut "host:port" in two; text is changed. */
static int
split(char *text, const char **host, const char **port, struct err *e)
{
	char *colon = strrchr(text, ':'), *end;

	*host = text;
	*port = "123";
	if (*text == '[') {
		end = strchr(text, ']');
		if (end == NULL || (end[1] != 0 && end[1] != ':'))
			return err_set(e, E_USAGE, "'%s': host, host:port or [address]:port is needed", text);
		*host = text + 1;
		if (end[1] == ':')
			*port = end + 2;
		*end = 0;
	} else if (colon != NULL && strchr(text, ':') == colon) { /* more colons are an address */
		*colon = 0;
		*port = colon + 1;
	}
	return **host == 0 || **port == 0 ? err_set(e, E_USAGE, "time server: no host, or no port") : 0;
}

/* A question about a name.  One that is given up stays the resolver's, so it is never freed. */
struct lookup {
	struct gaicb cb;
	struct addrinfo hints;
	char text[TEXT_MAX];
};

static int
resolve(struct addrinfo **out, const char *server, unsigned ms, struct err *e)
{
	static struct lookup *l;
	struct timespec patience = { .tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000 };
	struct gaicb *list[1];
	int r;

	if (strlen(server) >= TEXT_MAX)
		return err_set(e, E_USAGE, "'%.100s...': too long for a host", server);
	l = mem_zalloc(sizeof(*l));
	l->hints = (struct addrinfo){ .ai_socktype = SOCK_DGRAM };
	(void)snprintf(l->text, sizeof(l->text), "%s", server);
	r = split(l->text, &l->cb.ar_name, &l->cb.ar_service, e);
	if (r != 0) {
		mem_free(l);
		return r;
	}
	l->cb.ar_request = &l->hints;
	list[0] = &l->cb;
	r = getaddrinfo_a(GAI_NOWAIT, list, 1, NULL);
	if (r == 0)
		(void)gai_suspend((const struct gaicb *const *)list, 1, &patience);
	r = r != 0 ? r : gai_error(&l->cb);
	if (r == EAI_INPROGRESS)
		return err_set(e, E_UNAVAIL, "%s: no address for this name in time", server);
	if (r == 0)
		*out = l->cb.ar_result;
	mem_free(l);
	return r == 0 ? 0 : err_set(e, E_UNAVAIL, "%s: no address for this name: %s", server, gai_strerror(r));
}

/* Wait for the answer; what comes from elsewhere or is none does not end the waiting. */
static int
await(int64_t *out, int fd, const uint8_t mark[SNTP_MARK], uint64_t until_ms, struct err *e)
{
	uint8_t message[512];
	uint64_t now;
	int r = E_UNAVAIL;

	(void)err_set(e, E_UNAVAIL, "no answer in time");
	while ((now = clock_monotonic_ms()) < until_ms) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		ssize_t n;

		if (poll(&p, 1, (int)(until_ms - now)) <= 0)
			continue;
		n = recv(fd, message, sizeof(message), 0);
		if (n < 0)
			return err_errno(e, E_UNAVAIL, "no answer");
		r = sntp_answer(out, (struct bytes){ message, (size_t)n }, mark, e);
		if (r != E_FORMAT)
			return r;
	}
	return r;
}

static int
ask_one(int64_t *out, const struct addrinfo *to, unsigned ms, struct err *e)
{
	AUTO_FD fd = socket(to->ai_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	uint8_t question[SNTP_OCTETS], mark[SNTP_MARK];

	rnd_bytes(mark, sizeof(mark));
	sntp_question(question, mark);
	/* Connected: the kernel drops what others send. */
	if (fd < 0 || connect(fd, to->ai_addr, to->ai_addrlen) != 0 ||
	    send(fd, question, sizeof(question), MSG_NOSIGNAL) != (ssize_t)sizeof(question))
		return err_errno(e, E_UNAVAIL, "not reached");
	return await(out, fd, mark, clock_monotonic_ms() + ms, e);
}

int
sntp_ask(int64_t *ahead, const char *server, unsigned ms, struct err *e)
{
	struct addrinfo *all = NULL;
	int64_t theirs = 0;
	int r = resolve(&all, server, ms, e);

	if (r != 0)
		return r;
	/* One IPv6 address without a way there is no reason to give up; a second silence is. */
	r = ask_one(&theirs, all, ms, e);
	if (r != 0 && all->ai_next != NULL)
		r = ask_one(&theirs, all->ai_next, ms, e);
	freeaddrinfo(all);
	if (r != 0)
		return err_prefix(e, (enum err_code)r, "%s", server);
	*ahead = clock_now() - theirs;
	return 0;
}
