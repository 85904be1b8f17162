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
		cmocka_unit_test(json_has_the_same_judgement),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
