/* SPDX-License-Identifier: Apache-2.0 */
/* identityd/test_access.c - the whole table of who may ask for what, against the rules written a second time */
#include "device/identityd/access.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "core/base/text.h"

/* The rules as a sentence each; `own`: the module asked for is the caller's. */
static bool
expected(enum access_caller caller, unsigned types, enum access_want want, bool own)
{
	bool device = (types & 1) != 0, module = (types & 2) != 0, local = (types & 4) != 0;

	if (want == WANT_NOTHING || want >= WANT_COUNT)
		return false;
	if (want == WANT_TRUST_BUNDLE || caller == CALLER_DAEMON || caller == CALLER_ROOT)
		return true;
	if (caller != CALLER_HOST)
		return false;
	if (want == WANT_PROVISIONING)
		return true;
	if (want == WANT_OWN_IDENTITY)
		return device || module || local;
	if (want == WANT_DEVICE)
		return device;
	return want == WANT_MODULE_GET && own && (module || local);
}

static void
every_cell_is_as_the_rules_say(void **state)
{
	size_t cells = 0;

	(void)state;
	for (int caller = 0; caller < CALLER_COUNT; caller++)
		for (unsigned types = 0; types < 8; types++)
			for (int want = 0; want <= WANT_COUNT; want++)
				for (int own = 0; own < 2; own++) {
					struct identity_principal p = { .uid = 7, .device = (types & 1) != 0,
						.module = (types & 2) != 0, .local = (types & 4) != 0 };
					struct access_who who = { (enum access_caller)caller, caller == CALLER_HOST ? &p : NULL };

					text_copy(p.name, sizeof(p.name), "mine");
					if (access_allow(&who, (enum access_want)want, own ? "mine" : "other") !=
					    expected(who.caller, types, (enum access_want)want, own))
						fail_msg("caller %d types %u want %d own %d", caller, types, want, own);
					cells++;
				}
	assert_int_equal(cells, CALLER_COUNT * 8 * (WANT_COUNT + 1) * 2);
}

static void
a_principal_comes_before_root_and_the_last_entry_of_a_user_counts(void **state)
{
	struct identity_principal all[] = {
		{ .uid = 0, .name = "root-module", .module = true }, { .uid = 5, .name = "a", .daemon = true },
		{ .uid = 6, .name = "b", .device = true }, { .uid = 6, .name = "c", .local = true }, { .uid = 9, .name = "d" },
	};
	struct identityd_settings s = { .n_principals = N_OF(all), .principal = all };
	struct identityd_settings none = { 0 };

	(void)state;
	assert_int_equal(access_who(&s, 0).caller, CALLER_HOST);
	assert_int_equal(access_who(&none, 0).caller, CALLER_ROOT);
	assert_int_equal(access_who(&s, 5).caller, CALLER_DAEMON);
	assert_string_equal(access_who(&s, 6).principal->name, "c");
	assert_int_equal(access_who(&s, 7).caller, CALLER_UNKNOWN);
	assert_int_equal(access_who(&s, (uid_t)-1).caller, CALLER_UNKNOWN);
	assert_false(access_allow(&(struct access_who){ CALLER_HOST, &all[4] }, WANT_OWN_IDENTITY, ""));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_cell_is_as_the_rules_say),
		cmocka_unit_test(a_principal_comes_before_root_and_the_last_entry_of_a_user_counts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
