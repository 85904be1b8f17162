/* SPDX-License-Identifier: Apache-2.0 */
/* fleet/test_secret.c - which passwords, codes and values are right, and how fast one may guess */
#include "../store/fresh_db.h"

#include "server/fleet/secret.h"

static struct secret *s;
static const uint8_t key[32] = { 1 };

static int
begin(void **state)
{
	s = secret_new(key);
	return open_db(state);
}

static int
end(void **state)
{
	secret_free(s);
	return close_db(state);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, begin, end)

static struct credential_row
add(const char *kind, const char *user, const char *value, const char *label)
{
	struct credential_row r = { .scope = "any", .uses_left = -1 };

	(void)snprintf(r.kind, sizeof(r.kind), "%s", kind);
	(void)snprintf(r.user, sizeof(r.user), "%s", user);
	(void)snprintf(r.label, sizeof(r.label), "%s", label);
	if (user[0] != 0)
		assert_int_equal(secret_crypt(r.verifier, value, NULL), 0);
	else
		secret_hash(s, kind, value, r.verifier);
	assert_int_equal(credential_row_insert(db, &r, NULL), 0);
	return r;
}

static enum header_factor
basic(const char *user, const char *password, const char *address, int64_t now)
{
	struct credential_row cred;
	enum header_factor f;

	assert_int_equal(secret_judge_basic(s, db, "l", user, password, address, now, &f, &cred, NULL), 0);
	return f;
}

static enum secret_factor
value(const char *v, const char *address, int64_t now)
{
	struct credential_row cred;
	enum secret_factor f;

	assert_int_equal(secret_judge_value(s, db, "l", v, address, now, &f, &cred, NULL), 0);
	return f;
}

static void
each_state_of_a_password_is_told_apart(void **state)
{
	(void)state;
	(void)add("password", "here", "right-one", "");
	(void)add("password", "there", "right-one", "m");
	assert_int_equal(basic("here", "right-one", "a", NOW), HEADER_PASSWORD);
	assert_int_equal(basic("here", "wrong-one", "a", NOW), HEADER_WRONG);
	assert_int_equal(basic("nobody", "right-one", "a", NOW), HEADER_WRONG);
	assert_int_equal(basic("there", "right-one", "a", NOW), HEADER_ELSEWHERE);
	assert_int_equal(basic("there", "wrong-one", "a", NOW), HEADER_WRONG);
}

static void
a_disabled_password_is_told_only_to_who_knows_it(void **state)
{
	struct credential_row r = add("password", "u", "right-one", "");

	(void)state;
	assert_int_equal(basic("u", "right-one", "a", NOW), HEADER_PASSWORD); /* and remembered */
	assert_int_equal(credential_row_disable(db, r.id, NULL), 0);
	assert_int_equal(basic("u", "right-one", "a", NOW), HEADER_EXPIRED);
	assert_int_equal(basic("u", "wrong-one", "a", NOW), HEADER_WRONG);
}

static void
a_code_is_found_by_its_text_whatever_the_user(void **state)
{
	struct credential_row r = add("code", "", "k7wq-3nfm", "");

	(void)state;
	assert_int_equal(basic("", "k7wq-3nfm", "a", NOW), HEADER_CODE);
	assert_int_equal(basic("pump", "k7wq-3nfm", "a", NOW), HEADER_CODE);
	assert_int_equal(basic("", "K7WQ-3NFM", "a", NOW), HEADER_WRONG);
	assert_int_equal(db_run(db, NULL, "UPDATE credential SET uses_left = 0 WHERE id = ?", "i", r.id), 0);
	assert_int_equal(basic("", "k7wq-3nfm", "a", NOW), HEADER_CODE_USED);
}

static void
what_is_used_up_stays_known_beyond_its_end_for_the_retry_that_it_lets_in(void **state)
{
	struct credential_row r[] = { add("code", "", "a-code", ""), add("password", "u", "a-password", ""), add("secret", "", "a-value", "") };

	(void)state;
	assert_int_equal(db_run(db, NULL, "UPDATE credential SET expires_at = ?", "i", NOW - 1), 0);
	assert_int_equal(basic("", "a-code", "a", NOW), HEADER_EXPIRED);
	assert_int_equal(basic("u", "a-password", "a", NOW), HEADER_EXPIRED);
	assert_int_equal(value("a-value", "a", NOW), SECRET_EXPIRED);
	assert_int_equal(db_run(db, NULL, "UPDATE credential SET uses_left = 0", ""), 0);
	assert_int_equal(basic("", "a-code", "a", NOW), HEADER_CODE_USED);
	assert_int_equal(basic("u", "a-password", "a", NOW), HEADER_PASSWORD_USED);
	assert_int_equal(value("a-value", "a", NOW), SECRET_USED);
	for (size_t i = 0; i < N_OF(r); i++)
		assert_int_equal(credential_row_disable(db, r[i].id, NULL), 0);
	assert_int_equal(basic("", "a-code", "a", NOW), HEADER_EXPIRED);
	assert_int_equal(basic("u", "a-password", "a", NOW), HEADER_EXPIRED);
	assert_int_equal(value("a-value", "a", NOW), SECRET_EXPIRED);
}

static void
a_secret_value_is_no_code_and_a_code_no_secret_value(void **state)
{
	(void)state;
	(void)add("code", "", "one-thing", "");
	(void)add("secret", "", "another", "");
	assert_int_equal(value("another", "a", NOW), SECRET_RIGHT);
	assert_int_equal(value("one-thing", "a", NOW), SECRET_WRONG);
	assert_int_equal(basic("", "another", "a", NOW), HEADER_WRONG);
}

static void
an_address_that_guesses_is_not_heard_for_the_rest_of_the_minute(void **state)
{
	(void)state;
	(void)add("secret", "", "right-one", "");
	for (int i = 0; i < SECRET_TRIES; i++)
		assert_int_equal(value("wrong-one", "a", NOW), SECRET_WRONG);
	assert_int_equal(value("right-one", "a", NOW), SECRET_WRONG);
	assert_int_equal(value("right-one", "b", NOW), SECRET_RIGHT);
	assert_int_equal(value("right-one", "a", NOW + 60), SECRET_RIGHT);
}

static void
the_addresses_of_one_ipv6_64_are_one(void **state)
{
	char from[64];

	(void)state;
	for (int i = 0; i < SECRET_TRIES; i++) {
		(void)snprintf(from, sizeof(from), "2001:db8:1:2::%x", i);
		secret_wrong(s, from, NOW);
	}
	assert_true(secret_exhausted(s, "2001:db8:1:2:ffff::1", NOW));
	assert_false(secret_exhausted(s, "2001:db8:1:3::1", NOW));
}

/* More addresses than there are places: whoever shares one with the guesser must not give it new tries. */
static void
a_crowd_of_addresses_does_not_make_the_count_of_one_forgotten(void **state)
{
	char from[16];

	(void)state;
	for (int i = 0; i < SECRET_TRIES; i++)
		secret_wrong(s, "192.0.2.1", NOW);
	for (int i = 0; i < 100000; i++) {
		(void)snprintf(from, sizeof(from), "10.%d.%d.%d", i >> 16, i >> 8 & 255, i & 255);
		secret_wrong(s, from, NOW);
	}
	assert_true(secret_exhausted(s, "192.0.2.1", NOW));
	assert_false(secret_exhausted(s, "192.0.2.1", NOW + 60));
	for (int i = 0; i < 1000; i++) {
		(void)snprintf(from, sizeof(from), "10.%d.%d.%d", 99, i >> 8, i & 255);
		assert_false(secret_exhausted(s, from, NOW)); /* nor does it keep the innocent out */
	}
}

/* What other rooms judge counts for the address together with what is judged here. */
static void
wrong_tries_of_every_kind_are_counted_together(void **state)
{
	(void)state;
	for (int i = 0; i < SECRET_TRIES; i++) {
		assert_false(secret_exhausted(s, "192.0.2.1", NOW));
		secret_wrong(s, "192.0.2.1", NOW);
	}
	assert_true(secret_exhausted(s, "192.0.2.1", NOW));
	assert_false(secret_exhausted(s, "192.0.2.2", NOW));
	assert_int_equal(basic("nobody", "x", "192.0.2.1", NOW), HEADER_THROTTLED);
	assert_false(secret_exhausted(s, "192.0.2.1", NOW + 60));
}

static void
only_so_many_passwords_are_hashed_a_second(void **state)
{
	char from[16];

	(void)state;
	for (int i = 0; i < SECRET_CRYPTS; i++) {
		(void)snprintf(from, sizeof(from), "%d", i);
		assert_int_equal(basic("nobody", "x", from, NOW), HEADER_WRONG);
	}
	(void)add("password", "u", "right-one", "");
	assert_int_equal(basic("u", "right-one", "b", NOW), HEADER_THROTTLED);
	assert_int_equal(basic("u", "right-one", "b", NOW + 1), HEADER_PASSWORD);
}

static void
what_the_store_keeps_depends_on_the_key_and_the_kind(void **state)
{
	static const uint8_t other_key[32] = { 2 };
	struct secret *other = secret_new(other_key);
	char a[65], b[65], c[65];

	(void)state;
	secret_hash(s, "code", "x", a);
	secret_hash(s, "token", "x", b);
	secret_hash(other, "code", "x", c);
	assert_string_not_equal(a, b);
	assert_string_not_equal(a, c);
	secret_free(other);
}

static void
each_other_use_has_a_key_of_its_own(void **state)
{
	static const uint8_t other_store[32] = { 2 };
	struct secret *other = secret_new(other_store);
	uint8_t a[32], b[32], c[32], again[32];

	(void)state;
	secret_key(s, "a", a);
	secret_key(s, "b", b);
	secret_key(other, "a", c);
	secret_key(s, "a", again);
	assert_memory_equal(a, again, sizeof(a));
	assert_memory_not_equal(a, b, sizeof(a));
	assert_memory_not_equal(a, c, sizeof(a));
	assert_memory_not_equal(a, key, sizeof(a));
	secret_free(other);
}

static void
codes_are_long_and_have_no_look_alikes(void **state)
{
	char a[SECRET_TEXT_MAX], b[SECRET_TEXT_MAX];

	(void)state;
	secret_make(a);
	secret_make(b);
	assert_string_not_equal(a, b);
	assert_int_equal(strlen(a), 24);
	assert_int_equal(strspn(a, "23456789abcdefghjkmnpqrstuvwxyz-"), 24);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(each_state_of_a_password_is_told_apart),
		CASE(a_disabled_password_is_told_only_to_who_knows_it),
		CASE(a_code_is_found_by_its_text_whatever_the_user),
		CASE(what_is_used_up_stays_known_beyond_its_end_for_the_retry_that_it_lets_in),
		CASE(a_secret_value_is_no_code_and_a_code_no_secret_value),
		CASE(an_address_that_guesses_is_not_heard_for_the_rest_of_the_minute),
		CASE(the_addresses_of_one_ipv6_64_are_one),
		CASE(a_crowd_of_addresses_does_not_make_the_count_of_one_forgotten),
		CASE(wrong_tries_of_every_kind_are_counted_together),
		CASE(only_so_many_passwords_are_hashed_a_second),
		CASE(what_the_store_keeps_depends_on_the_key_and_the_kind),
		CASE(each_other_use_has_a_key_of_its_own),
		CASE(codes_are_long_and_have_no_look_alikes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
