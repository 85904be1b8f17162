/* SPDX-License-Identifier: Apache-2.0 */
/* provision/test_allocate.c - which hub a registration gets, and when it gets another */
#include "world.h"

#include "server/provision/asking.h"

#define DEVICES 2000

static struct asking s;
static struct provision p;

static const char *
hub_of(const char *registration, bool *ask)
{
	static char hub[ROW_TEXT_MAX];
	bool dummy;

	s.p = &p;
	s.f = fleet;
	s.now = NOW;
	(void)snprintf(s.registration, sizeof(s.registration), "%s", registration);
	assert_int_equal(allocate(&s, hub, ask != NULL ? ask : &dummy, NULL), 0);
	return hub;
}

/* The allocation in force, the hubs of the enrolment, where the device is already. */
static void
given(const char *allocation, const char *hubs, const char *reprovision, const char *had)
{
	(void)snprintf(s.enrolment.allocation, sizeof(s.enrolment.allocation), "%s", allocation);
	(void)snprintf(s.enrolment.hubs, sizeof(s.enrolment.hubs), "%s", hubs);
	(void)snprintf(s.enrolment.reprovision, sizeof(s.enrolment.reprovision), "%s", reprovision);
	(void)snprintf(p.registration.hub, sizeof(p.registration.hub), "%s", had);
	s.known = had[0] != 0;
}

static void
enable(const char *name, bool on)
{
	struct hub_row r;

	assert_int_equal(hub_row_by_name(db, name, &r, NULL), 0);
	r.enabled = on;
	assert_int_equal(hub_row_update(db, &r, NULL), 0);
}

static void
static_is_the_first_of_the_list_that_is_enabled(void **state)
{
	(void)state;
	given("static", "", "never", "");
	assert_string_equal(hub_of("x", NULL), HUB_A);
	given("static", HUB_B " " HUB_A, "never", "");
	assert_string_equal(hub_of("x", NULL), HUB_B);
	given("static", "  HUB-B.example:8883  ", "never", "");
	assert_string_equal(hub_of("x", NULL), HUB_B);
	enable(HUB_B, false);
	assert_string_equal(hub_of("x", NULL), "");
	given("static", HUB_B " " HUB_A, "never", "");
	assert_string_equal(hub_of("x", NULL), HUB_A);
	given("static", "hub-a.exampl hub-a.example.com", "never", "");
	assert_string_equal(hub_of("x", NULL), "");
}

static void
latency_is_the_lowest(void **state)
{
	(void)state;
	given("latency", "", "never", "");
	assert_string_equal(hub_of("x", NULL), HUB_B);
	enable(HUB_B, false);
	assert_string_equal(hub_of("x", NULL), HUB_A);
}

static unsigned
count_of(const char *hub, char (*had)[ROW_TEXT_MAX])
{
	unsigned n = 0;
	char name[32];

	for (int i = 0; i < DEVICES; i++) {
		(void)snprintf(name, sizeof(name), "dev-%d", i);
		(void)snprintf(had[i], ROW_TEXT_MAX, "%s", hub_of(name, NULL));
		n += strcmp(had[i], hub) == 0;
	}
	return n;
}

static void
a_hash_shares_by_weight_and_a_new_hub_takes_only_its_own(void **state)
{
	static char before[DEVICES][ROW_TEXT_MAX], after[DEVICES][ROW_TEXT_MAX];
	unsigned n, moved = 0;

	(void)state;
	given("hashed", "", "never", "");
	n = count_of(HUB_A, before);
	assert_in_range(n, DEVICES / 2 - DEVICES / 20, DEVICES / 2 + DEVICES / 20);
	put_hub("hub-c.example", 2, 30);
	n = count_of("hub-c.example", after);
	assert_in_range(n, DEVICES / 2 - DEVICES / 20, DEVICES / 2 + DEVICES / 20); /* 2 of 4 */
	for (int i = 0; i < DEVICES; i++) {
		if (strcmp(before[i], after[i]) == 0)
			continue;
		assert_string_equal(after[i], "hub-c.example");
		moved++;
	}
	assert_int_equal(moved, n);
}

/* Two platforms, and this program next year, agree. */
static void
a_bid_is_the_same_everywhere(void **state)
{
	(void)state;
	assert_true(allocate_bid("hub", "dev") == allocate_bid("HUB", "dev"));
	assert_true(allocate_bid("hub", "dev") != allocate_bid("hub", "dev2"));
	assert_true(allocate_bid("hub", "dev") == UINT64_C(20262693));
	assert_true(allocate_wins(10, 2, 10, 1) && !allocate_wins(10, 1, 10, 2) && !allocate_wins(10, 1, 10, 1));
}

static void
a_device_stays_unless_it_may_migrate_and_has_to(void **state)
{
	(void)state;
	given("static", HUB_A, "never", HUB_B);
	assert_string_equal(hub_of("x", NULL), HUB_B);
	given("latency", "", "never", HUB_A);
	assert_string_equal(hub_of("x", NULL), HUB_A);
	given("static", HUB_A " " HUB_B, "migrate", HUB_B);
	assert_string_equal(hub_of("x", NULL), HUB_B);
	given("static", HUB_A, "migrate", HUB_B);
	assert_string_equal(hub_of("x", NULL), HUB_A);
	given("latency", "", "migrate", HUB_A);
	assert_string_equal(hub_of("x", NULL), HUB_B);
	enable(HUB_B, false);
	given("static", HUB_A " " HUB_B, "migrate", HUB_B);
	assert_string_equal(hub_of("x", NULL), HUB_A);
}

static void
a_webhook_is_asked_where_there_is_a_choice(void **state)
{
	bool ask;

	(void)state;
	given("webhook", "", "never", "");
	(void)hub_of("x", &ask);
	assert_true(ask);
	given("webhook", "", "never", HUB_A);
	assert_string_equal(hub_of("x", &ask), HUB_A);
	assert_false(ask);
	given("webhook", "", "migrate", HUB_A);
	(void)hub_of("x", &ask);
	assert_true(ask);
	given("webhook", "nowhere.example", "never", "");
	assert_string_equal(hub_of("x", &ask), "");
	assert_false(ask);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		IN_WORLD(static_is_the_first_of_the_list_that_is_enabled),
		IN_WORLD(latency_is_the_lowest),
		IN_WORLD(a_hash_shares_by_weight_and_a_new_hub_takes_only_its_own),
		cmocka_unit_test(a_bid_is_the_same_everywhere),
		IN_WORLD(a_device_stays_unless_it_may_migrate_and_has_to),
		IN_WORLD(a_webhook_is_asked_where_there_is_a_choice),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
