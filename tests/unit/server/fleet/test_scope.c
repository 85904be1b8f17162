/* SPDX-License-Identifier: Apache-2.0 */
/* fleet/test_scope.c - for which names a credential may speak */
#include "server/fleet/scope.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static int
check(enum scope_kind k, const char *value, bool active, const char *name, const char *own, bool live)
{
	const char *reason;

	return scope_check(k, value, active, name, own, live, &reason, NULL);
}

static void
each_scope_covers_its_names_and_no_others(void **state)
{
	(void)state;
	assert_int_equal(check(SCOPE_DEVICE, "pump-7", false, "pump-7", NULL, false), 0);
	assert_int_equal(check(SCOPE_DEVICE, "pump-7", false, "pump-8", NULL, false), E_POLICY);
	assert_int_equal(check(SCOPE_DEVICE, "pump-7", false, "PUMP-7", NULL, false), 0); /* one device, as names are compared */
	assert_int_equal(check(SCOPE_DEVICE, "pump-7", false, "pump-71", NULL, false), E_POLICY);
	assert_int_equal(check(SCOPE_PATTERN, "pump-*", false, "pump-8", NULL, false), 0);
	assert_int_equal(check(SCOPE_PATTERN, "pump-*", false, "valve-8", NULL, false), E_POLICY);
	assert_int_equal(check(SCOPE_PATTERN, "pump-?", false, "pump-18", NULL, false), E_POLICY);
	assert_int_equal(check(SCOPE_OWN_NAME, "", false, "pump-7", "pump-7", false), 0);
	assert_int_equal(check(SCOPE_OWN_NAME, "", false, "pump-7", "pump-8", false), E_POLICY);
	assert_int_equal(check(SCOPE_OWN_NAME, "", false, "pump-7", NULL, false), E_POLICY);
	assert_int_equal(check(SCOPE_NEW, "", false, "pump-7", NULL, false), 0);
	assert_int_equal(check(SCOPE_ANY, "", false, "pump-7", NULL, false), 0);
	assert_int_equal(check(SCOPE_NOBODY, "", true, "pump-7", "pump-7", false), E_POLICY);
	assert_int_equal(check((enum scope_kind)77, "", true, "pump-7", "pump-7", false), E_POLICY);
}

static void
a_live_name_needs_the_active_right_and_is_never_new(void **state)
{
	(void)state;
	for (unsigned k = SCOPE_OWN_NAME; k < SCOPE_COUNT; k++) {
		assert_int_equal(check((enum scope_kind)k, "pump-7", false, "pump-7", "pump-7", true), E_POLICY);
		assert_int_equal(check((enum scope_kind)k, "pump-7", true, "pump-7", "pump-7", true), k == SCOPE_NEW ? E_POLICY : 0);
	}
}

static void
scopes_that_contradict_themselves_are_refused(void **state)
{
	(void)state;
	assert_int_equal(scope_valid(SCOPE_DEVICE, "", false, NULL), E_USAGE);
	assert_int_equal(scope_valid(SCOPE_ANY, "x", false, NULL), E_USAGE);
	assert_int_equal(scope_valid(SCOPE_OWN_NAME, "", false, NULL), E_USAGE);
	assert_int_equal(scope_valid(SCOPE_OWN_NAME, "", true, NULL), 0);
	assert_int_equal(scope_valid(SCOPE_NOBODY, "", true, NULL), E_USAGE);
	assert_int_equal(scope_by_name("everything"), SCOPE_NOBODY);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_scope_covers_its_names_and_no_others),
		cmocka_unit_test(a_live_name_needs_the_active_right_and_is_never_new),
		cmocka_unit_test(scopes_that_contradict_themselves_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
