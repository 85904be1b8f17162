/* SPDX-License-Identifier: Apache-2.0 */
/* device/agent/test_status.c - what people read of a device's certificates, and what scripts get as exit status */
#include "device/agent/agent.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "tests/unit/core/cmd/capture.h"

#define NOW       1800000000 /* 2027-01-15T08:00:00Z */
#define ATTENTION 3

/* A certificate in the middle of its life, kept by certd; members are written over what is here. */
static json_t *
credential(const char *members)
{
	json_t *v = json_pack("{s:s,s:s,s:s,s:s,s:s,s:i,s:I,s:I,s:I,s:i,s:b}", "id", "est-id", "source", "est identity",
	    "subject", "CN=pump-7", "url", "https://est.example", "state", "idle", "generation", 2,
	    "not_before", (json_int_t)NOW - 86400, "not_after", (json_int_t)NOW + 3 * 86400,
	    "next_renewal", (json_int_t)NOW + 7200, "tries", 0, "proved", true);
	json_t *more = json_loads(members, 0, NULL);

	assert_non_null(v);
	assert_non_null(more);
	assert_int_equal(json_object_update(v, more), 0);
	json_decref(more);
	return v;
}

static json_t *
status_of(json_t *one)
{
	return json_pack("{s:[o],s:[],s:{s:s}}", "credentials", one, "certificates", "configuration", "last_error", "");
}

static int
show(struct capture *x, json_t *status)
{
	int r;

	capture_open(x, &agent_program);
	r = status_print(&x->c, status, NOW);
	json_decref(status);
	return r;
}

/* The word after the ID, and the exit status. */
static void
is_told(const char *members, const char *word, int exit_status)
{
	struct capture x;
	char line[64];

	assert_int_equal(show(&x, status_of(credential(members))), exit_status);
	(void)snprintf(line, sizeof(line), "est-id  %s", word);
	if (strncmp(capture_out(&x), line, strlen(line)) != 0)
		fail_msg("'%s' is not told as '%s' but: %.60s", members, word, capture_out(&x));
	capture_close(&x);
}

static void
each_state_has_its_word_and_only_three_are_well(void **state)
{
	(void)state;
	is_told("{}", "fresh", 0);
	is_told("{\"state\": \"asked\"}", "renewing", 0);
	is_told("{\"generation\": 0, \"not_after\": null}", "waiting", 0);
	is_told("{\"generation\": 0, \"not_after\": null, \"source\": \"managed\"}", "missing", ATTENTION);
	is_told("{\"generation\": 0, \"not_after\": null, \"tries\": 1}", "failing", ATTENTION);
	is_told("{\"generation\": 0, \"not_after\": null, \"preloaded\": true}", "missing", ATTENTION);
	is_told("{\"not_after\": null}", "missing", ATTENTION);
	is_told("{\"tries\": 1, \"state\": \"asked\"}", "failing", ATTENTION);
	is_told("{\"disabled\": true}", "paused", ATTENTION);
	is_told("{\"not_after\": 1800000000}", "expired", ATTENTION);
	is_told("{\"not_after\": 1800000000, \"disabled\": true}", "expired", ATTENTION);
	is_told("{\"not_before\": 1800000001}", "not-yet-valid", ATTENTION);
}

static void
a_fresh_credential_tells_its_life_and_what_comes_next(void **state)
{
	struct capture x;
	const char *s;

	(void)state;
	assert_int_equal(show(&x, status_of(credential("{}"))), 0);
	s = capture_out(&x);
	assert_non_null(strstr(s, "█████░░░░░░░░░░░░░░░] 25%\n"));
	assert_non_null(strstr(s, "subject          CN=pump-7\n"));
	assert_non_null(strstr(s, "generation       2, taken by the server\n"));
	assert_non_null(strstr(s, "valid until      2027-01-18T08:00:00Z, in 3 days\n"));
	assert_non_null(strstr(s, "next renewal     2027-01-15T10:00:00Z, in 2 hours\n"));
	assert_null(strstr(s, "last error"));
	capture_close(&x);
}

static void
a_failure_tells_what_when_how_often_and_the_servers_request(void **state)
{
	struct capture x;
	const char *s;

	(void)state;
	assert_int_equal(show(&x, status_of(credential("{\"tries\": 4, \"proved\": false, \"last_error\": {\"time\": 1799999910, "
	    "\"outcome\": \"bad-answer\", \"check\": \"wrong-name\", \"text\": \"certificate: CN=other\", "
	    "\"request_id\": \"r6b01\"}}"))), ATTENTION);
	s = capture_out(&x);
	assert_non_null(strstr(s, "last error       wrong-name: certificate: CN=other\n"));
	assert_non_null(strstr(s, "2027-01-15T07:58:30Z, 90 seconds ago, 4 in a row\n"));
	assert_non_null(strstr(s, "request          r6b01\n"));
	assert_non_null(strstr(s, "next try         2027-01-15T10:00:00Z"));
	assert_non_null(strstr(s, "2, not shown to the server yet\n"));
	capture_close(&x);
}

static void
why_nothing_is_renewed_is_said(void **state)
{
	struct capture x;

	(void)state;
	assert_int_equal(show(&x, status_of(credential("{\"preloaded\": true, \"generation\": 0}"))), 0);
	assert_non_null(strstr(capture_out(&x), "next renewal     none: preloaded"));
	capture_close(&x);
	assert_int_equal(show(&x, status_of(credential("{\"disabled\": true, \"clock_trusted\": false}"))), ATTENTION);
	assert_non_null(strstr(capture_out(&x), "next renewal     none: paused by an operator"));
	assert_non_null(strstr(capture_out(&x), "clock            looks wrong"));
	capture_close(&x);
}

static void
what_a_server_said_cannot_harm_the_terminal(void **state)
{
	struct capture x;

	(void)state;
	assert_int_equal(show(&x, status_of(credential("{\"tries\": 1, \"subject\": \"CN=\\u001b[31m\", \"last_error\": "
	    "{\"time\": 1, \"text\": \"\\u001b]0;x\\u0007\", \"request_id\": \"\\u009b1m\"}}"))), ATTENTION);
	assert_null(strchr(capture_out(&x), 0x1b));
	assert_null(strchr(capture_out(&x), 0x07));
	assert_null(strstr(capture_out(&x), "\xc2\x9b"));
	capture_close(&x);
}

static void
other_certificates_stand_in_a_table_and_each_once(void **state)
{
	struct capture x;
	json_t *status = status_of(credential("{}"));
	json_t *list = json_object_get(status, "certificates");
	const char *s;

	(void)state;
	assert_int_equal(json_array_append_new(list, json_pack("{s:s,s:s,s:I}", "id", "est-id", "subject", "CN=pump-7",
	    "not_after", (json_int_t)NOW + 1)), 0);
	assert_int_equal(json_array_append_new(list, json_pack("{s:s,s:s,s:s,s:I}", "id", "module", "subject", "CN=m1",
	    "method", "est", "not_after", (json_int_t)NOW - 1)), 0);
	assert_int_equal(json_array_append_new(list, json_pack("{s:s,s:s}", "path", "/c/x-0123456789abcdef.cer", "error",
	    "not PEM")), 0);
	assert_int_equal(show(&x, status), 0);
	s = capture_out(&x);
	assert_null(strstr(strstr(s, "CERTIFICATE"), "est-id"));
	assert_non_null(strstr(s, "module         CN=m1    est     expired     2027-01-15T07:59:59Z\n"));
	assert_non_null(strstr(s, "x-01234567...  -        -       unreadable  -\n"));
	capture_close(&x);
}

static void
a_configuration_that_was_not_taken_needs_attention(void **state)
{
	struct capture x;
	json_t *status = json_pack("{s:[],s:[],s:{s:s}}", "credentials", "certificates", "configuration", "last_error",
	    "10-x.toml:3:1: unknown");

	(void)state;
	assert_int_equal(show(&x, status), ATTENTION);
	assert_non_null(strstr(capture_out(&x), "no certificates yet"));
	assert_non_null(strstr(capture_out(&x), "an older one is in force: 10-x.toml:3:1: unknown"));
	capture_close(&x);
}

/* A device that the cloud knows, with members of its parts written over what is here. */
static json_t *
status_with_identity(const char *parts)
{
	json_t *status = json_pack("{s:[],s:[],s:{s:s}}", "credentials", "certificates", "configuration", "last_error", "");
	json_t *v = json_pack("{s:{s:s,s:b,s:b,s:s,s:s,s:I},s:{s:s,s:s,s:I,s:I},s:{s:[s,s],s:b},s:{s:s}}", "provisioning", "source",
	    "dps", "provisioned", true, "current", true, "hub", "hub.example", "device", "pump-7", "confirmed_at",
	    (json_int_t)NOW - 7200, "certificate", "id", "device-id", "subject", "CN=pump-7", "not_after", (json_int_t)NOW + 3 * 86400,
	    "renew_at", (json_int_t)NOW + 86400, "modules", "wanted", "m1", "m2", "in_line", true, "configuration", "last_error", "");
	json_t *more = json_loads(parts, 0, NULL);

	assert_non_null(v);
	assert_non_null(more);
	assert_int_equal(json_object_update_recursive(v, more), 0);
	json_decref(more);
	assert_int_equal(json_object_set_new(status, "identity", v), 0);
	return status;
}

static void
whom_the_cloud_takes_the_device_for_comes_first(void **state)
{
	struct capture x;
	const char *s;

	(void)state;
	assert_int_equal(show(&x, status_with_identity("{}")), 0);
	s = capture_out(&x);
	assert_int_equal(strncmp(s, "pump-7  fresh\n", 14), 0);
	assert_non_null(strstr(s, "source           dps\n"));
	assert_non_null(strstr(s, "hub              hub.example\n"));
	assert_non_null(strstr(s, "confirmed        2027-01-15T06:00:00Z, 2 hours ago\n"));
	assert_non_null(strstr(s, "certificate      device-id\n"));
	assert_non_null(strstr(s, "next renewal     2027-01-16T08:00:00Z, in 24 hours\n"));
	assert_non_null(strstr(s, "modules          m1"));
	capture_close(&x);
}

static void
is_identity(const char *parts, const char *word, int exit_status)
{
	struct capture x;

	assert_int_equal(show(&x, status_with_identity(parts)), exit_status);
	if (strstr(capture_out(&x), word) == NULL)
		fail_msg("'%s' does not tell '%s' but: %.80s", parts, word, capture_out(&x));
	capture_close(&x);
}

static void
each_trouble_of_an_identity_is_told_and_needs_attention(void **state)
{
	(void)state;
	is_identity("{\"provisioning\": {\"last_error\": \"DPS said \\u001b[31m no\"}}", "pump-7  failing", ATTENTION);
	is_identity("{\"provisioning\": {\"provisioned\": false, \"last_error\": \"x\"}}", "device  failing", ATTENTION);
	is_identity("{\"provisioning\": {\"provisioned\": false}}", "device  provisioning", 0);
	is_identity("{\"provisioning\": {\"current\": false}}", "pump-7  provisioning", 0);
	is_identity("{\"provisioning\": {\"source\": \"none\", \"provisioned\": false}}", "device  none", 0);
	is_identity("{\"certificate\": {\"not_after\": 1800000000}}", "pump-7  expired", ATTENTION);
	is_identity("{\"certificate\": {\"last_error\": \"refused\"}}", "pump-7  failing", ATTENTION);
	is_identity("{\"modules\": {\"last_error\": \"no hub\", \"in_line\": false}}", "does not have them", ATTENTION);
	is_identity("{\"configuration\": {\"last_error\": \"10.toml:1:1: x\"}}", "10.toml:1:1: x", ATTENTION);
	is_identity("{\"error\": \"no connection\"}", "unreachable", ATTENTION);
}

static void
json_has_the_same_judgement(void **state)
{
	struct capture x;
	AUTO_JSON v = NULL;
	json_t *status = status_of(credential("{\"tries\": 1}"));

	(void)state;
	capture_open(&x, &agent_program);
	x.c.json = true;
	assert_int_equal(status_print(&x.c, status, NOW), ATTENTION);
	json_decref(status);
	v = json_loads(capture_out(&x), 0, NULL);
	assert_non_null(v);
	assert_false(json_flag(v, "healthy", true));
	assert_string_equal(json_str(json_array_get(json_object_get(v, "credentials"), 0), "health", ""), "failing");
	capture_close(&x);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_state_has_its_word_and_only_three_are_well),
		cmocka_unit_test(a_fresh_credential_tells_its_life_and_what_comes_next),
		cmocka_unit_test(a_failure_tells_what_when_how_often_and_the_servers_request),
		cmocka_unit_test(why_nothing_is_renewed_is_said),
		cmocka_unit_test(what_a_server_said_cannot_harm_the_terminal),
		cmocka_unit_test(other_certificates_stand_in_a_table_and_each_once),
		cmocka_unit_test(a_configuration_that_was_not_taken_needs_attention),
		cmocka_unit_test(whom_the_cloud_takes_the_device_for_comes_first),
		cmocka_unit_test(each_trouble_of_an_identity_is_told_and_needs_attention),
		cmocka_unit_test(json_has_the_same_judgement),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
