/* SPDX-License-Identifier: Apache-2.0 */
/* base/test_address.c - an IPv6 address counts as its /64, an IPv4 address as itself */
#include "core/base/address.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

static void
counts_as(const char *address, const char *want)
{
	char out[ADDRESS_TEXT_MAX];

	address_neighbourhood_text(address, out);
	assert_string_equal(out, want);
}

static void
an_ipv6_address_counts_as_its_64(void **state)
{
	(void)state;
	counts_as("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::");
	counts_as("2001:db8:1:2:ffff:ffff:ffff:ffff", "2001:db8:1:2::");
	counts_as("2001:db8:1:3::6", "2001:db8:1:3::");
	counts_as("::1", "::");
}

static void
an_ipv4_address_counts_as_itself_in_both_forms(void **state)
{
	(void)state;
	counts_as("192.0.2.7", "192.0.2.7");
	counts_as("::ffff:192.0.2.7", "::ffff:192.0.2.7");
}

static void
what_is_no_address_stays_as_it_is(void **state)
{
	char longer[200] = { 0 }, out[ADDRESS_TEXT_MAX];

	(void)state;
	counts_as("unix", "unix");
	counts_as("", "");
	memset(longer, 'x', sizeof(longer) - 1);
	address_neighbourhood_text(longer, out);
	assert_int_equal(strlen(out), ADDRESS_TEXT_MAX - 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_ipv6_address_counts_as_its_64),
		cmocka_unit_test(an_ipv4_address_counts_as_itself_in_both_forms),
		cmocka_unit_test(what_is_no_address_stays_as_it_is),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
