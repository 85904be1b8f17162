/* SPDX-License-Identifier: Apache-2.0 */
/* service/test_policy.c - thresholds, pauses, and what a fleet makes of them */
#include "device/service/policy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "core/base/mem.h"

#define MINUTE  60
#define HOUR    3600
#define DAY     INT64_C(86400)
#define BEGIN   INT64_C(1800000000)
#define MIDDLE  (UINT32_MAX / 2)

/* Numbers that are the same in every run (xorshift32). */
static uint32_t state_of_chance = 2463534242u;

static uint32_t
chance(void)
{
	state_of_chance ^= state_of_chance << 13;
	state_of_chance ^= state_of_chance >> 17;
	state_of_chance ^= state_of_chance << 5;
	return state_of_chance;
}

static const struct {
	const char *text;
	bool percent;
	int64_t n;
} spans[] = {
	{ "80%", true, 80 }, { "1%", true, 1 }, { "99%", true, 99 }, { "60min", false, 3600 },
	{ "60m", false, 3600 }, { "60 min", false, 3600 }, { "1day", false, 86400 },
	{ "1 day", false, 86400 }, { "36h", false, 129600 }, { "90s", false, 90 },
};
static const char *const no_spans[] = {
	"", "%", "0%", "100%", "-1%", "80%%", "80 % of it", "x", "0min", "-5min", "min", "999999999999999999999%",
};

static void
spans_are_read_in_the_originals_form_and_in_peoples(void **state)
{
	struct policy_span s;
	struct err e;

	(void)state;
	for (size_t i = 0; i < N_OF(spans); i++) {
		assert_int_equal(policy_parse_span(&s, spans[i].text, &e), 0);
		assert_int_equal(s.percent, spans[i].percent);
		assert_int_equal(s.n, spans[i].n);
	}
	for (size_t i = 0; i < N_OF(no_spans); i++)
		assert_int_equal(policy_parse_span(&s, no_spans[i], &e), E_FORMAT);
}

static int
read_policy(struct policy *p, bool *enabled, const char *text, struct err *e)
{
	AUTO(toml) doc = NULL;

	assert_int_equal(toml_parse(&doc, "config.toml", bytes_of(text), e), 0);
	return policy_read(p, enabled, toml_get(doc, "auto_renew"), e);
}

static void
a_table_may_leave_everything_out_and_a_boolean_turns_it_off(void **state)
{
	struct policy p;
	bool enabled;
	struct err e;

	(void)state;
	assert_int_equal(read_policy(&p, &enabled, "auto_renew = { rotate_key = false }\n", &e), 0);
	assert_true(enabled);
	assert_false(p.rotate_key);
	assert_int_equal(p.threshold.n, 80);
	assert_int_equal(read_policy(&p, &enabled, "auto_renew = { threshold = \"60m\", retry = \"5 min\" }\n", &e), 0);
	assert_true(p.rotate_key);
	assert_int_equal(p.threshold.n, 3600);
	assert_int_equal(p.retry.n, 300);
	assert_int_equal(read_policy(&p, &enabled, "auto_renew = false\n", &e), 0);
	assert_false(enabled);
	assert_int_equal(read_policy(&p, &enabled, "x = 1\n", &e), 0);
	assert_true(enabled);
	assert_int_equal(read_policy(&p, &enabled, "auto_renew = { threshold = \"0%\" }\n", &e), E_FORMAT);
	assert_non_null(strstr(e.msg, "config.toml:1"));
	assert_int_equal(read_policy(&p, &enabled, "auto_renew = { retry = 4 }\n", &e), E_FORMAT);
	assert_int_equal(read_policy(&p, &enabled, "auto_renew = \"yes\"\n", &e), E_FORMAT);
}

static void
a_renewal_begins_at_its_threshold_give_or_take_a_twentieth_of_the_rest(void **state)
{
	struct policy_life life = { BEGIN, BEGIN + 100 * DAY };
	struct policy p = policy_default;
	int64_t earliest, latest;

	(void)state;
	assert_in_range(policy_begin(&p, &life, MIDDLE), BEGIN + 80 * DAY - 2, BEGIN + 80 * DAY + 2);
	earliest = policy_begin(&p, &life, 0);
	latest = policy_begin(&p, &life, UINT32_MAX);
	assert_int_equal(earliest, BEGIN + 79 * DAY);
	assert_int_equal(latest, BEGIN + 81 * DAY);
	p.threshold = (struct policy_span){ .n = HOUR };
	assert_in_range(policy_begin(&p, &life, MIDDLE), life.not_after - HOUR - 2, life.not_after - HOUR + 2);
	p.threshold.n = 200 * DAY; /* longer than the life: at once */
	assert_in_range(policy_begin(&p, &life, MIDDLE), BEGIN, BEGIN + DAY);
}

static void
lives_that_are_none_or_without_an_end_are_no_trouble(void **state)
{
	struct policy_life none = { BEGIN, BEGIN }, wrong = { BEGIN, BEGIN - DAY }, endless = { BEGIN, INT64_MAX };
	struct policy p = policy_default;

	(void)state;
	assert_true(policy_begin(&p, &none, UINT32_MAX) <= BEGIN);
	assert_true(policy_begin(&p, &wrong, UINT32_MAX) <= BEGIN);
	assert_true(policy_begin(&p, &endless, MIDDLE) > BEGIN + 70 * 365 * DAY);
	assert_in_range(policy_pause(&p, &none, BEGIN, 1, 0, -1), 15, 30);
	assert_in_range(policy_pause(&p, &wrong, 0, 50, UINT32_MAX, -1), HOUR / 2, HOUR);
	assert_in_range(policy_pause(&p, &endless, BEGIN, 50, UINT32_MAX, -1), 3 * HOUR, 6 * HOUR);
	assert_true(policy_begin(&p, &(struct policy_life){ -5 * DAY, 5 * DAY }, 0) > 0);
}

static void
pauses_grow_to_six_hours_and_shrink_towards_the_end(void **state)
{
	struct policy_life life = { BEGIN, BEGIN + 365 * DAY };
	struct policy p = policy_default;
	int64_t at = BEGIN + 292 * DAY, last = 0;

	(void)state;
	for (unsigned tries = 1; tries < 12; tries++) {
		int64_t low = policy_pause(&p, &life, at, tries, 0, -1);
		int64_t high = policy_pause(&p, &life, at, tries, UINT32_MAX, -1);

		assert_true(high >= last && high <= 6 * HOUR);
		assert_true(low >= high / 2 && low <= high);
		last = high;
	}
	assert_int_equal(policy_pause(&p, &life, at, UINT32_MAX, UINT32_MAX, -1), 6 * HOUR);
	assert_int_equal(policy_pause(&p, &life, life.not_after - DAY, 50, UINT32_MAX, -1), 2 * HOUR);
	assert_int_equal(policy_pause(&p, &life, life.not_after - HOUR, 50, UINT32_MAX, -1), 5 * MINUTE);
	assert_int_equal(policy_pause(&p, &life, life.not_after - 1, 50, UINT32_MAX, -1), MINUTE);
	assert_int_equal(policy_pause(&p, &life, life.not_after, 50, UINT32_MAX, -1), HOUR);
	p.retry = (struct policy_span){ .n = 5 * MINUTE };
	assert_int_equal(policy_pause(&p, &life, at, 50, UINT32_MAX, -1), 5 * MINUTE);
	assert_int_equal(policy_pause(&p, &life, life.not_after, 50, UINT32_MAX, -1), 5 * MINUTE);
	assert_int_equal(policy_pause(&p, &life, life.not_after + 30 * DAY, 50, UINT32_MAX, -1), 5 * MINUTE);
}

static void
what_the_server_asks_is_the_least_within_reason(void **state)
{
	struct policy_life life = { BEGIN, BEGIN + 365 * DAY };
	struct policy p = policy_default;
	int64_t at = BEGIN + 292 * DAY;

	(void)state;
	assert_in_range(policy_pause(&p, &life, at, 1, 0, 600), 600, 660);
	/* Not all at once. */
	assert_true(policy_pause(&p, &life, at, 1, UINT32_MAX, 600) > policy_pause(&p, &life, at, 1, 0, 600));
	assert_in_range(policy_pause(&p, &life, at, 1, 0, INT64_MAX), DAY, DAY + DAY / 10);
	assert_in_range(policy_pause(&p, &life, life.not_after - HOUR, 1, UINT32_MAX, DAY), HOUR / 2 - 1, HOUR / 2);
	/* No way to be asked more often. */
	assert_in_range(policy_pause(&p, &life, at, 20, UINT32_MAX, 5), 5 * HOUR, 6 * HOUR);
	assert_in_range(policy_pause(&p, &life, at, 1, 0, 0), 15, 30);
}

/* A certificate of two minutes has time for tries. */
static void
short_lives_have_short_pauses(void **state)
{
	struct policy_life life = { BEGIN, BEGIN + 120 };
	struct policy p = policy_default;
	int64_t t = policy_begin(&p, &life, MIDDLE);
	unsigned tries = 0;

	(void)state;
	assert_in_range(t, BEGIN + 94, BEGIN + 98);
	while (t < life.not_after)
		t += policy_pause(&p, &life, t, ++tries, UINT32_MAX, -1);
	assert_in_range(tries, 8, 40);
	/* Nor is it given up once it ended. */
	assert_in_range(policy_pause(&p, &life, life.not_after, tries, UINT32_MAX, -1), 1, 5);
	assert_in_range(policy_pause(&p, &life, life.not_after + DAY, UINT32_MAX, UINT32_MAX, -1), 1, 5);
}

/* From the threshold of a year's certificate to 400 days later, every try failing: never silent, never many. */
static void
four_hundred_days_without_a_server_are_tried_through(void **state)
{
	struct policy_life life = { BEGIN, BEGIN + 365 * DAY };
	struct policy p = policy_default;
	int64_t t = policy_begin(&p, &life, MIDDLE), end = t + 400 * DAY, before = 0, after = 0;

	(void)state;
	for (unsigned tries = 1; t < end; tries++) {
		int64_t pause = policy_pause(&p, &life, t, tries, chance(), -1);

		assert_in_range(pause, 1, 6 * HOUR);
		*(t < life.not_after ? &before : &after) += 1;
		t += pause;
	}
	print_message("400 days: %lld tries before the end, %lld after it\n", (long long)before, (long long)after);
	assert_in_range(before, 73 * 4, 73 * 24);
	assert_in_range(after, 300 * 24, 400 * 48);
}

/* Whatever the clock says, there is an answer, and a sane one. */
static void
no_clock_makes_a_pause_endless(void **state)
{
	struct policy_life life = { BEGIN, BEGIN + 365 * DAY };
	struct policy p = policy_default;
	static const int64_t steps[] = { -50 * 365 * DAY, -365 * DAY, -HOUR, HOUR, 365 * DAY, 3650 * DAY };

	(void)state;
	for (size_t i = 0; i < N_OF(steps); i++)
		for (unsigned tries = 1; tries < 40; tries++)
			assert_in_range(policy_pause(&p, &life, BEGIN + 300 * DAY + steps[i], tries, chance(),
			    chance() % 3 == 0 ? (int64_t)chance() : -1), 1, DAY + DAY / 10);
}

/* --- a fleet --- */

#define AGENTS  10000
#define OUTAGE  DAY
#define BUCKET  MINUTE
#define WINDOW  (12 * HOUR)
#define UNLIMITED AGENTS

struct agent {
	struct policy_life life;
	int64_t next;
	unsigned tries;
};

/*
 * All are past their thresholds for a day when the server comes back, having tried in vain meanwhile; it takes `most`
 * a minute and tells the rest to come in ten minutes.  Requests a minute from then on: the peak, and the ratio of it
 * to the mean until the last has its certificate.
 */
static double
herd(unsigned most, int64_t life_s, unsigned *peak_out)
{
	static struct agent fleet[AGENTS];
	static unsigned asked[WINDOW / BUCKET];
	double ratio;
	int64_t due = BEGIN + life_s * 79 / 100, up = due + life_s / 50 + HOUR + OUTAGE;
	unsigned left = AGENTS, peak = 0, total = 0, last = 0;
	struct policy p = policy_default;

	memset(asked, 0, sizeof(asked));
	for (size_t i = 0; i < AGENTS; i++) {
		/* Provisioned together, within an hour. */
		int64_t begin = BEGIN + chance() % HOUR;

		fleet[i] = (struct agent){ .life = { begin, begin + life_s } };
		fleet[i].next = policy_begin(&p, &fleet[i].life, chance());
	}
	for (int64_t t = due; left > 0 && t < up + WINDOW; t += BUCKET) {
		unsigned served = 0;

		for (size_t i = 0; i < AGENTS; i++) {
			struct agent *a = &fleet[i];

			while (a->next < t + BUCKET) {
				bool there = a->next >= up;

				if (there)
					asked[last = (unsigned)((a->next - up) / BUCKET)]++;
				if (there && served < most) {
					served++;
					left--;
					a->next = INT64_MAX;
					break;
				}
				a->next += policy_pause(&p, &a->life, a->next, ++a->tries, chance(), there ? 600 : -1);
			}
		}
	}
	assert_int_equal(left, 0);
	for (unsigned i = 0; i <= last; i++) {
		peak = asked[i] > peak ? asked[i] : peak;
		total += asked[i];
	}
	ratio = (double)peak * (last + 1) / total;
	print_message("%d agents, lives of %lld days, at most %u served a minute: all renewed after %u min; "
	    "peak %u/min, ratio to the mean %.2f\n", AGENTS, (long long)(life_s / DAY), most, last + 1, peak, ratio);
	*peak_out = peak;
	return ratio;
}

static void
ten_thousand_agents_come_back_from_a_days_outage_without_a_rush(void **state)
{
	unsigned peak;

	(void)state;
	assert_true(herd(UNLIMITED, 365 * DAY, &peak) <= 3.0);
	assert_true(herd(UNLIMITED, 90 * DAY, &peak) <= 3.0);
	assert_true(herd(UNLIMITED, 20 * DAY, &peak) <= 3.0);
	/* One that serves 40 a minute is asked at most twice as often: who was sent away does not come back in a crowd. */
	(void)herd(40, 90 * DAY, &peak);
	assert_in_range(peak, 40, 80);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(spans_are_read_in_the_originals_form_and_in_peoples),
		cmocka_unit_test(a_table_may_leave_everything_out_and_a_boolean_turns_it_off),
		cmocka_unit_test(a_renewal_begins_at_its_threshold_give_or_take_a_twentieth_of_the_rest),
		cmocka_unit_test(lives_that_are_none_or_without_an_end_are_no_trouble),
		cmocka_unit_test(pauses_grow_to_six_hours_and_shrink_towards_the_end),
		cmocka_unit_test(what_the_server_asks_is_the_least_within_reason),
		cmocka_unit_test(short_lives_have_short_pauses),
		cmocka_unit_test(four_hundred_days_without_a_server_are_tried_through),
		cmocka_unit_test(no_clock_makes_a_pause_endless),
		cmocka_unit_test(ten_thousand_agents_come_back_from_a_days_outage_without_a_rush),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
