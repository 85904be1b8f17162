/* SPDX-License-Identifier: Apache-2.0 */
/* fleet/test_decide.c - the table of who may come in, whole, against rules written down a second time */
#include "server/fleet/decide.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

static const unsigned all_ways = WAY_CERT | WAY_HEADER | WAY_SECRET;

/* Which way a state is good for, or 0. */
static unsigned
cert_way(unsigned f)
{
	return f == CERT_OWN ? WAY_OWN : f == CERT_ANCHOR ? WAY_ANCHOR : 0;
}

static unsigned
header_way(unsigned f)
{
	if (f == HEADER_PASSWORD || f == HEADER_PASSWORD_USED)
		return WAY_BASIC;
	return f == HEADER_CODE || f == HEADER_CODE_USED ? WAY_CODE : 0;
}

static unsigned
secret_way(unsigned f)
{
	return f == SECRET_RIGHT || f == SECRET_USED ? WAY_SECRET : 0;
}

static bool
cert_harmless(unsigned f)
{
	return f == CERT_ABSENT || f == CERT_OWN || f == CERT_ANCHOR || f == CERT_ANCHOR_ELSEWHERE || f == CERT_EXPIRED ||
	    f == CERT_NOT_YET || f == CERT_UNKNOWN_ISSUER || f == CERT_SUPERSEDED;
}

/* The rules of decide.h, the other way round: may this combination be let in at all? */
static bool
may(unsigned c, unsigned h, unsigned s, struct rule r)
{
	unsigned right = (cert_way(c) | header_way(h) | secret_way(s)) & r.accept;
	unsigned classes[] = { WAY_CERT, WAY_HEADER, WAY_SECRET };

	if (!cert_harmless(c) || h == HEADER_MALFORMED || (s != SECRET_ABSENT && secret_way(s) == 0))
		return false;
	if ((r.accept & WAY_HEADER) != 0 && h != HEADER_ABSENT && header_way(h) == 0)
		return false;
	for (size_t i = 0; i < 3 && r.all; i++)
		if ((r.accept & classes[i]) != 0 && (right & classes[i]) == 0)
			return false;
	return right != 0;
}

static void
each_combination_is_answered_as_the_rules_say(void **state)
{
	unsigned n = 0, allowed = 0;

	(void)state;
	for (unsigned accept = 0; accept <= all_ways; accept++)
		for (unsigned all = 0; all < 2; all++)
			for (unsigned c = 0; c < CERT_FACTOR_COUNT; c++)
				for (unsigned h = 0; h < HEADER_FACTOR_COUNT; h++)
					for (unsigned s = 0; s < SECRET_FACTOR_COUNT; s++) {
						struct rule r = { accept, all != 0 };
						struct verdict v = decide(c, h, s, r);

						assert_int_equal(v.allow, may(c, h, s, r));
						assert_int_equal(v.allow ? 200 : v.status, v.status);
						if (!v.allow) {
							assert_true(v.status == 400 || v.status == 401 || v.status == 403 || v.status == 429);
							assert_true(v.reason[0] != 0 && v.text[0] != 0);
							/* RFC 9110 15.5.2: 401 has its challenge. */
							assert_int_equal(v.status == 401, v.challenge);
							assert_true(v.status != 401 || (accept & WAY_HEADER) != 0);
						} else {
							assert_int_equal(v.ways & ~accept, 0);
						}
						n++;
						allowed += v.allow;
					}
	assert_int_equal(n, 32 * 2 * CERT_FACTOR_COUNT * HEADER_FACTOR_COUNT * SECRET_FACTOR_COUNT);
	assert_true(allowed > 0 && allowed < n / 4);
}

static void
values_outside_the_enums_are_refused(void **state)
{
	struct rule r = { all_ways, false };

	(void)state;
	assert_false(decide((enum cert_factor)99, HEADER_PASSWORD, SECRET_RIGHT, r).allow);
	assert_false(decide(CERT_OWN, (enum header_factor)99, SECRET_RIGHT, r).allow);
	assert_false(decide(CERT_OWN, HEADER_PASSWORD, (enum secret_factor)99, r).allow);
	assert_false(decide(CERT_OWN, HEADER_PASSWORD, SECRET_RIGHT, (struct rule){ 64, false }).allow);
	assert_false(decide(CERT_OWN, HEADER_PASSWORD, SECRET_RIGHT, (struct rule){ 0, false }).allow);
}

static void
a_challenge_is_sent_only_where_a_password_or_code_would_help(void **state)
{
	(void)state;
	assert_true(decide(CERT_ABSENT, HEADER_ABSENT, SECRET_ABSENT, (struct rule){ WAY_BASIC, false }).challenge);
	assert_int_equal(decide(CERT_ABSENT, HEADER_ABSENT, SECRET_ABSENT, (struct rule){ WAY_OWN, false }).status, 403);
	assert_false(decide(CERT_ABSENT, HEADER_ABSENT, SECRET_ABSENT, (struct rule){ WAY_OWN, false }).challenge);
	/* What is missing beside a right password is not a password. */
	assert_int_equal(decide(CERT_ABSENT, HEADER_PASSWORD, SECRET_ABSENT, (struct rule){ WAY_OWN | WAY_BASIC, true }).status, 403);
}

static void
an_authorization_is_neither_right_nor_wrong_where_nobody_looks_at_it(void **state)
{
	struct rule r = { WAY_OWN, false };

	(void)state;
	assert_true(decide(CERT_OWN, HEADER_WRONG, SECRET_ABSENT, r).allow);
	assert_string_equal(decide(CERT_ABSENT, HEADER_WRONG, SECRET_ABSENT, r).reason, "auth.not-taken");
	assert_int_equal(decide(CERT_ABSENT, HEADER_WRONG, SECRET_ABSENT, r).status, 403);
	assert_false(decide(CERT_OWN, HEADER_MALFORMED, SECRET_ABSENT, r).allow);
}

static void
what_is_used_up_vouches_for_nothing_new(void **state)
{
	(void)state;
	for (unsigned ways = 0; ways <= all_ways; ways++)
		for (unsigned h = 0; h < HEADER_FACTOR_COUNT; h++)
			for (unsigned s = 0; s < SECRET_FACTOR_COUNT; s++) {
				bool used = ((ways & WAY_HEADER) != 0 && (h == HEADER_CODE_USED || h == HEADER_PASSWORD_USED)) ||
				    ((ways & WAY_SECRET) != 0 && s == SECRET_USED);

				assert_int_equal(decide_new(h, s, ways).allow, !used);
			}
	assert_string_equal(decide_new(HEADER_PASSWORD_USED, SECRET_ABSENT, WAY_BASIC).reason, "auth.used");
	assert_true(decide_new(HEADER_CODE_USED, SECRET_ABSENT, WAY_CODE).challenge);
	assert_int_equal(decide_new(HEADER_ABSENT, SECRET_USED, WAY_SECRET).status, 403);
}

static void
what_was_presented_is_named_before_what_is_missing(void **state)
{
	struct rule r = { WAY_OWN | WAY_BASIC, false };

	(void)state;
	assert_string_equal(decide(CERT_EXPIRED, HEADER_ABSENT, SECRET_ABSENT, r).reason, "certificate.expired");
	assert_string_equal(decide(CERT_ABSENT, HEADER_ABSENT, SECRET_ABSENT, r).reason, "auth.missing");
	assert_string_equal(decide(CERT_REVOKED, HEADER_PASSWORD, SECRET_ABSENT, r).reason, "certificate.revoked");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_combination_is_answered_as_the_rules_say),
		cmocka_unit_test(what_is_used_up_vouches_for_nothing_new),
		cmocka_unit_test(values_outside_the_enums_are_refused),
		cmocka_unit_test(a_challenge_is_sent_only_where_a_password_or_code_would_help),
		cmocka_unit_test(an_authorization_is_neither_right_nor_wrong_where_nobody_looks_at_it),
		cmocka_unit_test(what_was_presented_is_named_before_what_is_missing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
