/* SPDX-License-Identifier: Apache-2.0 */
/* tests: connections are counted by address, and a listener survives running out of descriptors */
#include "tests/unit/core/net/play.h"

#include "core/net/census.h"

static struct sockaddr_storage
address(const char *text, uint16_t port)
{
	struct sockaddr_storage s = { 0 };
	struct sockaddr_in *in = (void *)&s;
	struct sockaddr_in6 *in6 = (void *)&s;

	if (strchr(text, ':') != NULL) {
		*in6 = (struct sockaddr_in6){ .sin6_family = AF_INET6, .sin6_port = htons(port) };
		assert_int_equal(inet_pton(AF_INET6, text, &in6->sin6_addr), 1);
	} else {
		*in = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons(port) };
		assert_int_equal(inet_pton(AF_INET, text, &in->sin_addr), 1);
	}
	return s;
}

static void
an_address_counts_whatever_its_port_and_form(void **state)
{
	struct sockaddr_storage a = address("192.0.2.1", 1), b = address("192.0.2.1", 2),
	                        c = address("::ffff:192.0.2.1", 3), d = address("192.0.2.2", 1);
	struct census *s = census_new(1);
	struct census_entry *e[4];

	(void)state;
	assert_non_null(e[0] = census_enter(s, &a, 3));
	assert_non_null(e[1] = census_enter(s, &b, 3));
	assert_non_null(e[2] = census_enter(s, &c, 3));
	assert_null(census_enter(s, &a, 3));
	assert_non_null(e[3] = census_enter(s, &d, 3));
	census_leave(s, e[1]);
	assert_non_null(e[1] = census_enter(s, &b, 3));
	for (size_t i = 0; i < N_OF(e); i++)
		census_leave(s, e[i]);
	assert_null(census_enter(s, &a, 0));
	census_leave(s, NULL);
	census_free(s);
}

static void
the_ipv6_addresses_of_one_64_count_together(void **state)
{
	struct sockaddr_storage a = address("2001:db8:1:2::1", 1), b = address("2001:db8:1:2:ffff:ffff:ffff:ffff", 1),
	                        c = address("2001:db8:1:3::1", 1);
	struct census *s = census_new(1);
	struct census_entry *e[3];

	(void)state;
	assert_non_null(e[0] = census_enter(s, &a, 2));
	assert_ptr_equal(e[1] = census_enter(s, &b, 2), e[0]);
	assert_null(census_enter(s, &a, 2));
	assert_null(census_enter(s, &b, 2));
	assert_non_null(e[2] = census_enter(s, &c, 2));
	for (size_t i = 0; i < N_OF(e); i++)
		census_leave(s, e[i]);
	census_free(s);
}

static void
many_addresses_are_kept_apart(void **state)
{
	static struct census_entry *e[5000];
	struct census *s = census_new(10);
	char text[64];

	(void)state;
	for (size_t i = 0; i < N_OF(e); i++) {
		struct sockaddr_storage a;

		(void)snprintf(text, sizeof(text), "2001:db8:0:%zx::1", i + 1);
		a = address(text, 1);
		assert_non_null(e[i] = census_enter(s, &a, 1));
		assert_null(census_enter(s, &a, 1));
	}
	for (size_t i = 0; i < N_OF(e); i += 2)
		census_leave(s, e[i]);
	census_free(s); /* with the other half still counted */
}

static void
uids_are_no_addresses_and_those_apart_count_apart(void **state)
{
	struct census *s = census_new(4);
	struct sockaddr_storage nowhere = { .ss_family = AF_UNIX };
	struct census_entry *a, *b, *c, *d;

	(void)state;
	assert_non_null(a = census_enter(s, &nowhere, 1));
	assert_non_null(b = census_enter_uid(s, 0, false, 1));
	assert_null(census_enter_uid(s, 0, false, 1));
	assert_non_null(c = census_enter_uid(s, 0, true, 1));
	assert_null(census_enter_uid(s, 0, true, 1));
	assert_non_null(d = census_enter_uid(s, 7, false, 1));
	assert_ptr_equal(census_enter_uid(s, 7, false, 2), d);
	assert_int_equal(census_count(d), 2);
	assert_int_equal(census_count(b), 1);
	assert_int_equal(census_count(NULL), 0);
	census_leave(s, d);
	assert_int_equal(census_count(d), 1);
	census_leave(s, a);
	census_leave(s, b);
	census_leave(s, c);
	census_leave(s, d);
	census_free(s);
}

static int
scene_scarce(struct stage *s)
{
	static struct client c[20];
	size_t closed = 0;

	for (size_t i = 0; i < N_OF(c); i++)
		c[i] = dial(s, NULL);
	for (size_t i = 0; i < N_OF(c); i++) {
		if (!say(&c[i], "GET / HTTP/1.1\r\nHost: a\r\n\r\n") || !hear(&c[i], false))
			closed++;
		hang_up(&c[i]);
	}
	NEED(closed != 0);
	for (int i = 0; i < 1000; i++) { /* places become free as the server sees the others go */
		bool ok;

		c[0] = dial(s, NULL);
		ok = say(&c[0], "GET / HTTP/1.1\r\nHost: a\r\n\r\n") && hear(&c[0], false) && reply.status == 200;
		hang_up(&c[0]);
		if (ok)
			return 0;
	}
	return __LINE__;
}

static void
who_finds_no_descriptor_is_turned_away_and_others_served_later(void **state)
{
	struct stage s = { 0 };
	struct rlimit before, few;
	int highest;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	stage_open(&s, NULL, NULL);
	assert_true((highest = dup(0)) >= 0);
	(void)close(highest);
	few = (struct rlimit){ (rlim_t)highest + 8, before.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	s.nofile = before.rlim_cur;
	stage_play(&s, scene_scarce);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	stage_close(&s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_address_counts_whatever_its_port_and_form),
		cmocka_unit_test(uids_are_no_addresses_and_those_apart_count_apart),
		cmocka_unit_test(the_ipv6_addresses_of_one_64_count_together),
		cmocka_unit_test(many_addresses_are_kept_apart),
		cmocka_unit_test(who_finds_no_descriptor_is_turned_away_and_others_served_later),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
