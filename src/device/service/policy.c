/* SPDX-License-Identifier: Apache-2.0 */
/* service/policy.c - renewal times: percents and spans, jitter, backoff */
#include "device/service/policy.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/base/text.h"
#include "device/service/settings.h"

#define MINUTE_S         60
#define HOUR_S           3600
#define DAY_S            86400
#define FIRST_PAUSE_S    30
#define LONGEST_PAUSE_S  (6 * HOUR_S)
#define SHORTEST_PAUSE_S MINUTE_S /* or a hundredth of the life: a fleet at its end must not bury its server */
#define EXPIRED_PAUSE_S  HOUR_S
#define SHORT_LIFE_S     HOUR_S

const struct policy policy_default = {
	.threshold = { .percent = true, .n = 80 }, .retry = { .percent = true, .n = 4 }, .rotate_key = true,
};

int
policy_parse_span(struct policy_span *out, const char *text, struct err *e)
{
	const char *mark = strchr(text, '%');
	char digits[8];
	uint64_t n;
	int64_t s;

	if (mark != NULL) {
		size_t len = (size_t)(mark - text);

		while (len > 0 && text[len - 1] == ' ')
			len--;
		if (len == 0 || len >= sizeof(digits) || mark[1] != 0)
			return err_set(e, E_FORMAT, "'%s': a percentage is written \"80%%\"", text);
		memcpy(digits, text, len);
		digits[len] = 0;
		if (!text_parse_u64(&n, digits, 99) || n == 0)
			return err_set(e, E_FORMAT, "'%s': 1%% to 99%% of the life", text);
		*out = (struct policy_span){ .percent = true, .n = (int64_t)n };
		return 0;
	}
	if (settings_parse_duration(&s, text, e) != 0)
		return err_prefix(e, E_FORMAT, "a percentage, \"80%%\", or a duration: \"60 min\", \"1 day\"");
	if (s <= 0)
		return err_set(e, E_FORMAT, "'%s': a span of time above zero is needed", text);
	*out = (struct policy_span){ .n = s };
	return 0;
}

static int
read_span(struct policy_span *out, const struct toml *table, const char *key, struct err *e)
{
	const struct toml *v = toml_get(table, key);
	struct err why;

	if (v == NULL)
		return 0;
	if (toml_kind(v) != TOML_STRING)
		return toml_err(e, v, "a text such as \"80%%\" or \"60 min\" is needed, not %s",
		    toml_kind_name(toml_kind(v)));
	if (policy_parse_span(out, toml_string(v), &why) != 0)
		return toml_err(e, v, "%s", why.msg);
	return 0;
}

int
policy_read(struct policy *out, bool *enabled, const struct toml *value, struct err *e)
{
	struct policy p = policy_default;

	if (value == NULL || toml_kind(value) == TOML_BOOLEAN) {
		*out = p;
		*enabled = value == NULL || toml_boolean(value);
		return 0;
	}
	if (toml_kind(value) != TOML_TABLE)
		return toml_err(e, value, "a table or a boolean is needed, not %s", toml_kind_name(toml_kind(value)));
	if (settings_bool(&p.rotate_key, value, "rotate_key", p.rotate_key, e) != 0 ||
	    read_span(&p.threshold, value, "threshold", e) != 0 ||
	    read_span(&p.retry, value, "retry", e) != 0)
		return e != NULL ? e->code : E_FORMAT;
	*out = p;
	*enabled = true;
	return 0;
}

/* part/whole of n without overflow, for a part that is not above whole. */
static int64_t
share(int64_t n, uint32_t part, uint64_t whole)
{
	return (int64_t)((unsigned __int128)n * part / whole);
}

static int64_t
least(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static int64_t
most(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

/* Seconds of a life; certificates without an end (RFC 5280 4.1.2.5) count as a century. */
static int64_t
length_of(const struct policy_life *life)
{
	return least(life->not_after, life->not_before + 100 * 365 * (int64_t)DAY_S) - life->not_before;
}

int64_t
policy_begin(const struct policy *p, const struct policy_life *life, uint32_t jitter)
{
	int64_t length, begin, rest, room;

	if (life->not_after <= life->not_before)
		return life->not_before;
	length = length_of(life);
	if (p->threshold.percent)
		begin = life->not_before + share(length, (uint32_t)p->threshold.n, 100);
	else
		begin = most(life->not_before, life->not_before + length - p->threshold.n);
	rest = life->not_before + length - begin;
	room = rest / 10; /* 5 % either way */
	begin += share(room, jitter, UINT32_MAX) - room / 2;
	return least(most(begin, life->not_before), life->not_before + length);
}

/* The longest pause that policy and what is left of the life allow. */
static int64_t
longest_pause(const struct policy *p, const struct policy_life *life, int64_t now)
{
	int64_t length = length_of(life), left = life->not_after - now, longest, floor;

	if (length <= 0)
		return EXPIRED_PAUSE_S;
	longest = p->retry.percent ? share(length, (uint32_t)p->retry.n, 100) : p->retry.n;
	longest = least(longest, left > 0 ? least(LONGEST_PAUSE_S, left / 12) : EXPIRED_PAUSE_S);
	floor = most(least(length / 100, SHORTEST_PAUSE_S), 1);
	return most(longest, floor);
}

int64_t
policy_pause(const struct policy *p, const struct policy_life *life, int64_t now, unsigned tries,
    uint32_t jitter, int64_t retry_after_s)
{
	int64_t length = length_of(life), left = life->not_after - now;
	int64_t longest = longest_pause(p, life, now), top, pause;

	top = length > 0 && length < SHORT_LIFE_S ? most(length / 100, 1) : FIRST_PAUSE_S;
	for (unsigned i = 1; i < tries && top < longest; i++)
		top *= 2;
	top = least(top, longest);
	pause = most(top / 2 + share(top - top / 2, jitter, UINT32_MAX), 1);
	if (retry_after_s > 0) {
		int64_t asked = least(retry_after_s, DAY_S);

		asked += share(asked / 10, jitter, UINT32_MAX); /* many are told the same time in the same minute */
		if (left > 0)
			asked = least(asked, most(left / 2, 1));
		pause = most(pause, asked);
	}
	return pause;
}
