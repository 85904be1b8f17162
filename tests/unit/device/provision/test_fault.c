/* SPDX-License-Identifier: Apache-2.0 */
/* test_fault.c - the error bodies of DPS, of the hub, of gateways, and of nobody who means well */
#include "device/provision/fault.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

static void
expect(const char *type, const char *body, const char *text)
{
	AUTO_BUF out = { 0 };
	struct fault f;

	fault_of_body(&f, type, bytes_of(body));
	fault_print(&out, &f);
	if (strcmp(buf_str(&out), text) != 0)
		fail_msg("%s: '%s', not '%s'", body, buf_str(&out), text);
}

static void
codes_and_words_are_read_under_all_their_names(void **state)
{
	static const char json[] = "application/json; charset=utf-8";

	(void)state;
	expect(json, "{\"errorCode\":401002,\"trackingId\":\"t-1\",\"message\":\"Unauthorized\",\"timestampUtc\":\"x\"}",
	    " (error 401002): Unauthorized [trackingId t-1]");
	expect(json, "{\"code\":404204,\"errorMessage\":\"none\"}", " (error 404204): none");
	expect(json, "{\"Message\":\"ErrorCode:DeviceNotFound;x\",\"ExceptionMessage\":\"Tracking ID:1\"}",
	    ": ErrorCode:DeviceNotFound;x");
	expect(json, "{\"title\":\"T\",\"detail\":\"D\"}", ": D");
	expect(json, "{\"errorCode\":400}", " (error 400)");
	expect(json, "{\"message\":\"one\\r\\n   at System.X\"}", ": one");
	expect("", "{\"message\":\"m\"}", ": m");
}

static void
what_is_of_another_type_is_left_out(void **state)
{
	(void)state;
	expect("application/json", "{\"errorCode\":\"401\",\"message\":[1],\"trackingId\":7}", "");
	expect("application/json", "[1,2]", "");
	expect("application/json", "null", "");
	expect("application/json", "{\"message\":", "");
	expect("application/json", "", "");
	expect("text/html", "<html>no</html>", "");
	expect("text/plain", "upstream is down\nmore", ": upstream is down");
	expect("", "bare words", ": bare words");
}

static void
words_without_end_are_cut(void **state)
{
	AUTO_BUF body = { 0 };
	struct fault f;

	(void)state;
	buf_put_str(&body, "{\"message\":\"");
	for (int i = 0; i < 10000; i++)
		buf_put_str(&body, "word ");
	buf_put_str(&body, "\",\"trackingId\":\"");
	for (int i = 0; i < 1000; i++)
		buf_put_str(&body, "0123456789");
	buf_put_str(&body, "\"}");
	fault_of_body(&f, "application/json", bytes_of_buf(&body));
	assert_int_equal(strlen(f.words), sizeof(f.words) - 1);
	assert_int_equal(strlen(f.tracking), sizeof(f.tracking) - 1);
	buf_reset(&body);
	for (int i = 0; i < 10000; i++)
		buf_put_str(&body, "x");
	fault_of_body(&f, "text/plain", bytes_of_buf(&body));
	assert_int_equal(strlen(f.words), sizeof(f.words) - 1);
}

static void
a_disabled_device_and_a_gateway_without_its_hub_are_known_by_what_is_said(void **state)
{
	struct fault f;

	(void)state;
	fault_of_body(&f, "application/json", bytes_of("{\"message\":\"The enrollment is Disabled.\"}"));
	assert_true(f.disabled);
	fault_of_body(&f, "application/json", bytes_of("{\"errorMessage\":\"device blocked\"}"));
	assert_true(f.disabled);
	fault_of_body(&f, "application/json", bytes_of("{\"Message\":\"x\",\"networkError\":true}"));
	assert_true(f.network);
	assert_false(f.disabled);
	fault_of_body(&f, "application/json", bytes_of("{\"Message\":\"x\",\"networkError\":\"true\"}"));
	assert_false(f.network);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(codes_and_words_are_read_under_all_their_names),
		cmocka_unit_test(what_is_of_another_type_is_left_out),
		cmocka_unit_test(words_without_end_are_cut),
		cmocka_unit_test(a_disabled_device_and_a_gateway_without_its_hub_are_known_by_what_is_said),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
