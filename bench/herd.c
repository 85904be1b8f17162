/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench/herd.c - what a fleet does to its server after a day without it, in simulated time
 *
 *   bench-herd LIFE_S N OUTAGE_S    one line of JSON
 *
 * N agents with certificates of that life fell due while the server was away, one after the other over the
 * outage; each tried and tried again as certd's policy says.  The server comes back: when does each come?
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "device/service/policy.h"

#define WINDOW_S 300 /* the busiest so many seconds are the peak, */
#define MOMENT_S 10  /* and beside them the worst moment is told */

static uint64_t seed = 1;

/* splitmix64: the same herd in every run. */
static uint32_t
draw(void)
{
	uint64_t z = seed += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return (uint32_t)((z ^ (z >> 31)) >> 32);
}

/* When the agent that fell due at `due` is first heard after `back`; times are seconds of the simulation. */
static int64_t
comes_at(const struct policy_life *life, int64_t due, int64_t back, long *tries_all)
{
	int64_t at = due;

	for (unsigned tries = 1; at < back; tries++) {
		at += policy_pause(&policy_default, life, at, tries, draw(), -1);
		++*tries_all;
	}
	return at;
}

static int
by_time(const void *a, const void *b)
{
	const int64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

/* A second, in the busiest window of that length. */
static double
busiest(const int64_t *sorted, size_t n, int64_t window)
{
	size_t most = 0;

	for (size_t from = 0, to = 0; to < n; to++) {
		while (sorted[to] - sorted[from] >= window)
			from++;
		if (to - from + 1 > most)
			most = to - from + 1;
	}
	return (double)most / (double)window;
}

int
main(int argc, char **argv)
{
	int64_t life_s, outage, *at, *next;
	long tries = 0;
	size_t n;

	if (argc != 4)
		return 2;
	life_s = strtoll(argv[1], NULL, 10);
	n = (size_t)strtoull(argv[2], NULL, 10);
	outage = strtoll(argv[3], NULL, 10);
	at = calloc(n, sizeof(*at));
	next = calloc(n, sizeof(*next));
	if (life_s < 1 || n < 1 || outage < 1 || at == NULL || next == NULL)
		return 2;
	for (size_t i = 0; i < n; i++) {
		struct policy_life life = { 0, life_s }, after;
		uint32_t jitter = draw();
		int64_t begin = policy_begin(&policy_default, &life, jitter);
		int64_t due = (int64_t)((uint64_t)outage * i / n);

		life = (struct policy_life){ due - begin, due - begin + life_s };
		at[i] = comes_at(&life, due, outage, &tries) - outage;
		after = (struct policy_life){ at[i], at[i] + life_s };
		next[i] = policy_begin(&policy_default, &after, draw());
	}
	qsort(at, n, sizeof(*at), by_time);
	qsort(next, n, sizeof(*next), by_time);
	printf("{\"recovery_s\": %" PRId64 ", \"mean\": %.3f, \"peak\": %.3f, \"moment\": %.3f, \"tries\": %.1f, "
	    "\"next_s\": %" PRId64 ", \"at\": [", at[n - 1], (double)n / (double)(at[n - 1] + 1),
	    busiest(at, n, WINDOW_S), busiest(at, n, MOMENT_S), (double)tries / (double)n, next[n - 1] - next[0]);
	for (size_t i = 0; i < n; i++)
		printf("%s%" PRId64, i == 0 ? "" : ", ", at[i]);
	puts("]}");
	free(at);
	free(next);
	return 0;
}
