/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench/load.c - many devices at once, one process each
 *
 *   bench-load arithmetic SECONDS                 sign, verify, request: CPU microseconds each
 *   bench-load new  PORT ROOT CODE N SECONDS      a renewal on a new mutual-TLS connection each, with the newest certificate
 *   bench-load kept PORT ROOT CODE N SECONDS      a device certificate by the birth certificate, again and again on one connection
 *   bench-load bare PORT ROOT CODE N SECONDS CHAIN KEY ISSUING
 *                                                 connections alone, to an OpenSSL server in this program: its CPU each
 *   bench-load idle PORT ROOT CODE N              N connections that say nothing after a handshake with a certificate
 *   bench-load idle-strangers PORT ROOT CODE N    the same without one
 *
 * Says "ready" when every device is born (and, for kept and idle, connected), waits for a line,
 * works, and says one line of JSON.
 */
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/device.h"

#define LABEL_BIRTH "bench-birth"
#define LABEL       "bench"

struct job {
	const char *mode, *code, *const *more;
	struct place place;
	int n, run;                /* run: in the names of its devices, so that they are new ones */
	double seconds;
	volatile long *done;       /* one a device, shared with its process */
};

static void
once(struct device *d, const struct job *j)
{
	char c;

	if (strcmp(j->mode, "kept") == 0) {
		device_enrol(d, LABEL, "simpleenroll", NULL, 1);
		return;
	}
	device_connect(d, &j->place);
	if (strcmp(j->mode, "new") == 0)
		device_enrol(d, LABEL, "simplereenroll", NULL, 0);
	else
		(void)SSL_read(d->ssl, &c, 1); /* TLS 1.3: the server is still checking; it closes when it is done */
	device_hang_up(d);
}

static void
be_born(struct device *d, const struct job *j, int i)
{
	(void)snprintf(d->name, sizeof(d->name), "bench-%d-%d", j->run, i);
	device_connect(d, &j->place);
	device_enrol(d, strcmp(j->mode, "kept") == 0 ? LABEL_BIRTH : LABEL, "simpleenroll", j->code, 0);
	device_hang_up(d);
}

/* A device's life: told by a closed pipe to begin. */
static void
live(struct job *j, int i, int ready, int go, int bare_port)
{
	struct device d = { 0 };
	double end;
	char c;

	place_open(&j->place);
	be_born(&d, j, i);
	if (strcmp(j->mode, "kept") == 0)
		device_connect(&d, &j->place);
	if (bare_port != 0)
		j->place.port = bare_port;
	MUST(write(ready, "r", 1) == 1);
	(void)!read(go, &c, 1);
	for (end = wall_s() + j->seconds; wall_s() < end; j->done[i]++)
		once(&d, j);
	_exit(0);
}

static void
wait_line(void)
{
	(void)printf("ready\n");
	(void)fflush(stdout);
	while (getchar() > '\n')
		;
}

static long
reap(const struct job *j)
{
	long sum = 0;
	int status;

	for (int i = 0; i < j->n; i++)
		if (wait(&status) < 0 || status != 0)
			exit(1);
	for (int i = 0; i < j->n; i++)
		sum += j->done[i];
	return sum;
}

/* Start the devices; returns what is to be closed to let them go.  *over hangs up when the last has ended. */
static int
populate(struct job *j, int bare_fd, int bare_port, int *over)
{
	int ready[2], go[2];
	char c;

	j->done = mmap(NULL, (size_t)j->n * sizeof(long), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	MUST(j->done != MAP_FAILED && pipe(ready) == 0 && pipe(go) == 0);
	for (int i = 0; i < j->n; i++)
		if (fork() == 0) {
			(void)close(go[1]);
			(void)close(ready[0]);
			if (bare_fd >= 0)
				(void)close(bare_fd);
			live(j, i, ready[1], go[0], bare_port);
		}
	(void)close(ready[1]);
	(void)close(go[0]);
	for (int i = 0; i < j->n; i++)
		MUST(read(ready[0], &c, 1) == 1);
	*over = ready[0];
	return go[1];
}

static void
enrol(struct job *j)
{
	int over, go = populate(j, -1, 0, &over);
	double began;
	long n;

	wait_line();
	began = wall_s();
	(void)close(go);
	n = reap(j);
	(void)printf("{\"n\": %ld, \"seconds\": %.3f}\n", n, wall_s() - began);
}

static void
bare(struct job *j)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
	socklen_t len = sizeof(at);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), go, over;
	double us;
	long n;

	MUST(fd >= 0 && bind(fd, (struct sockaddr *)&at, sizeof(at)) == 0 && listen(fd, 1024) == 0);
	MUST(getsockname(fd, (struct sockaddr *)&at, &len) == 0);
	go = populate(j, fd, ntohs(at.sin_port), &over);
	wait_line();
	(void)close(go);
	us = bare_accept(j->more[0], j->more[1], j->place.root_file, j->more[2], fd, over, &n);
	(void)close(fd);
	(void)reap(j);
	(void)printf("{\"n\": %ld, \"cpu_us\": %.2f}\n", n, us);
}

static void
idle(struct job *j)
{
	struct rlimit most;
	struct device d = { 0 };

	MUST(getrlimit(RLIMIT_NOFILE, &most) == 0);
	most.rlim_cur = most.rlim_max;
	MUST(setrlimit(RLIMIT_NOFILE, &most) == 0);
	place_open(&j->place);
	if (strcmp(j->mode, "idle") == 0)
		be_born(&d, j, 0);
	for (int i = 0; i < j->n; i++)
		device_connect(&d, &j->place); /* and forget it: it stays open until the end */
	wait_line();
	(void)printf("{\"n\": %d}\n", j->n);
}

int
main(int argc, char **argv)
{
	struct job j = { .mode = argc > 1 ? argv[1] : "" };

	if (strcmp(j.mode, "arithmetic") == 0) {
		struct bare_arithmetic a = bare_arithmetic(argc > 2 ? atof(argv[2]) : 0);

		(void)printf("{\"sign\": %.2f, \"verify\": %.2f, \"request\": %.2f}\n", a.sign_us, a.verify_us, a.request_us);
		return 0;
	}
	if (argc < 6)
		return 2;
	j.place = (struct place){ .port = atoi(argv[2]), .root_file = argv[3] };
	j.code = argv[4];
	j.n = atoi(argv[5]);
	j.run = getpid();
	j.seconds = argc > 6 ? atof(argv[6]) : 0;
	j.more = (const char *const *)argv + 7;
	if (strcmp(j.mode, "idle") == 0 || strcmp(j.mode, "idle-strangers") == 0)
		idle(&j);
	else if (strcmp(j.mode, "bare") == 0 && argc > 9)
		bare(&j);
	else
		enrol(&j);
	return 0;
}
