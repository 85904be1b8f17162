/* SPDX-License-Identifier: Apache-2.0 */
/* test_sntp.c - one question of a time server: honest answers, others, and none */
#include "device/check/sntp.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "core/base/clock.h"

#define SINCE_1900 INT64_C(2208988800)

static const uint8_t mark[SNTP_MARK] = { 1, 2, 3, 4, 5, 6, 7, 8 };

/* A good answer at Unix time t to what has that mark. */
static void
answer(uint8_t out[SNTP_OCTETS], int64_t t, const uint8_t to[SNTP_MARK])
{
	uint64_t ntp = (uint64_t)(t + SINCE_1900);

	memset(out, 0, SNTP_OCTETS);
	out[0] = 0x24; /* version 4, a server's */
	out[1] = 2;    /* stratum */
	memcpy(out + 24, to, SNTP_MARK);
	for (int i = 0; i < 4; i++)
		out[40 + i] = (uint8_t)(ntp >> (24 - 8 * i));
}

static void
an_honest_answer_is_a_time_also_beyond_2036(void **state)
{
	static const int64_t times[] = { 1750000000, 2085978496 /* the second era's first second */, 4000000000 };
	uint8_t a[SNTP_OCTETS];
	int64_t got = 0;

	(void)state;
	for (size_t i = 0; i < N_OF(times); i++) {
		answer(a, times[i], mark);
		if (i == 1)
			a[43] = 1; /* zero means that there is none */
		assert_int_equal(sntp_answer(&got, (struct bytes){ a, sizeof(a) }, mark, NULL), 0);
		assert_int_equal(got, times[i] + (i == 1));
	}
}

static void
anything_else_is_none(void **state)
{
	uint8_t a[SNTP_OCTETS];
	int64_t got = 0;

	(void)state;
	answer(a, 1750000000, mark);
	assert_int_equal(sntp_answer(&got, (struct bytes){ a, sizeof(a) - 1 }, mark, NULL), E_FORMAT);
	a[0] = 0x23; /* a client's: our own question come back */
	assert_int_equal(sntp_answer(&got, (struct bytes){ a, sizeof(a) }, mark, NULL), E_FORMAT);
	answer(a, 1750000000, mark);
	a[24] ^= 1; /* to somebody else's question */
	assert_int_equal(sntp_answer(&got, (struct bytes){ a, sizeof(a) }, mark, NULL), E_FORMAT);
	answer(a, 1750000000, mark);
	a[0] |= 0xc0; /* its clock is not set */
	assert_int_equal(sntp_answer(&got, (struct bytes){ a, sizeof(a) }, mark, NULL), E_UNAVAIL);
	answer(a, 1750000000, mark);
	a[1] = 0; /* it wants to be left alone */
	assert_int_equal(sntp_answer(&got, (struct bytes){ a, sizeof(a) }, mark, NULL), E_UNAVAIL);
	answer(a, -SINCE_1900, mark);
	assert_int_equal(sntp_answer(&got, (struct bytes){ a, sizeof(a) }, mark, NULL), E_FORMAT);
	assert_int_equal(got, 0);
}

static void
a_question_tells_nothing_of_us(void **state)
{
	uint8_t q[SNTP_OCTETS];

	(void)state;
	sntp_question(q, mark);
	assert_int_equal(q[0], 0x23);
	for (size_t i = 1; i < 40; i++)
		assert_int_equal(q[i], 0);
	assert_memory_equal(q + 40, mark, SNTP_MARK);
}

/* A server whose clock is `ahead` s off, and which says something else first; how many questions it answers: 1. */
static pid_t
serve(int64_t ahead, int *port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t n = sizeof(a);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	pid_t pid;

	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &n), 0);
	*port = ntohs(a.sin_port);
	pid = fork();
	if (pid == 0) {
		uint8_t q[SNTP_OCTETS], out[SNTP_OCTETS];

		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (recvfrom(fd, q, sizeof(q), 0, (struct sockaddr *)&a, &n) == (ssize_t)sizeof(q)) {
			(void)!sendto(fd, "no", 2, 0, (struct sockaddr *)&a, n);
			answer(out, clock_now() + ahead, q + 40);
			(void)!sendto(fd, out, sizeof(out), 0, (struct sockaddr *)&a, n);
		}
		_exit(0);
	}
	(void)close(fd);
	return pid;
}

static void
a_server_is_asked_and_what_is_no_answer_passed_over(void **state)
{
	static const int64_t offs[] = { 0, 3600, -86400 };
	char server[64];
	int64_t ahead = 0;
	struct err e;
	int port;

	(void)state;
	for (size_t i = 0; i < N_OF(offs); i++) {
		pid_t pid = serve(offs[i], &port);

		(void)snprintf(server, sizeof(server), i == 0 ? "localhost:%d" : "127.0.0.1:%d", port);
		if (sntp_ask(&ahead, server, 30000, &e) != 0)
			fail_msg("%s", e.msg);
		assert_in_range(ahead + offs[i] + 60, 0, 120);
		assert_int_equal(waitpid(pid, NULL, 0), pid);
	}
}

static void
a_server_that_is_not_there_is_told_as_that(void **state)
{
	static const char *const wrong[] = { "", ":123", "host:", "[::1", "[::1]x" };
	int64_t ahead = 7;
	struct err e;

	(void)state;
	assert_int_equal(sntp_ask(&ahead, "127.0.0.1:1", 300, &e), E_UNAVAIL);
	assert_int_equal(sntp_ask(&ahead, "[::1]:1", 300, &e), E_UNAVAIL);
	for (size_t i = 0; i < N_OF(wrong); i++)
		assert_int_equal(sntp_ask(&ahead, wrong[i], 300, &e), E_USAGE);
	assert_int_equal(ahead, 7);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_honest_answer_is_a_time_also_beyond_2036),
		cmocka_unit_test(anything_else_is_none),
		cmocka_unit_test(a_question_tells_nothing_of_us),
		cmocka_unit_test(a_server_is_asked_and_what_is_no_answer_passed_over),
		cmocka_unit_test(a_server_that_is_not_there_is_told_as_that),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
