/* SPDX-License-Identifier: Apache-2.0 */
/* provision/test_provision.c - what a decision leaves behind: records with their reasons, a device that was heard of */
#include "world.h"

#include "server/fleet/trace.h"

static char kind[32], result[16], reason[ROW_NAME_MAX], actor[160], device[257], text[ROW_TEXT_MAX], trace[AUDIT_TRACE_MAX + 1];

static int
take(void *ctx, struct audit_row *r)
{
	(void)ctx;
	(void)snprintf(kind, sizeof(kind), "%s", r->kind);
	(void)snprintf(result, sizeof(result), "%s", r->outcome);
	(void)snprintf(reason, sizeof(reason), "%s", r->reason);
	(void)snprintf(actor, sizeof(actor), "%s", r->actor);
	(void)snprintf(device, sizeof(device), "%s", r->device);
	(void)snprintf(text, sizeof(text), "%s", r->text);
	(void)snprintf(trace, sizeof(trace), "%s", r->trace);
	return 0;
}

static struct proto_ask *
by_key(enum ask_op op, const char *id, const char *key)
{
	struct proto_ask *q = question(op, id);

	dps_token(q);
	sign_derived(&q->token, key, id);
	return q;
}

static void
a_registration_is_recorded_rule_by_rule(void **state)
{
	struct audit_check check;

	(void)state;
	(void)ask_at(by_key(ASK_REGISTER, "dev-7", key_pumps), NOW, true);
	assert_int_equal(audit_row_by_request(db, "r-1", take, NULL, NULL), 0);
	assert_string_equal(kind, "provision");
	assert_string_equal(result, "ok");
	assert_string_equal(actor, "registration dev-7");
	assert_string_equal(device, "dev-7");
	assert_string_equal(text, "register: device 'dev-7' assigned to " HUB_A);
	assert_non_null(strstr(trace, "authenticated\tok\tby group key, group 'pumps'\n"));
	assert_non_null(strstr(trace, "hub\tok\t"));
	assert_int_equal(audit_verify(&check, db, NULL), 0);
	assert_true(check.first_bad == 0 && check.records == 1);
}

static void
a_refusal_is_recorded_with_what_was_not_told(void **state)
{
	(void)state;
	(void)ask_at(by_key(ASK_REGISTER, "dev-7", "another key"), NOW, true);
	assert_int_equal(audit_row_by_request(db, "r-1", take, NULL, NULL), 0);
	assert_string_equal(result, "refused");
	assert_string_equal(reason, "dps.token-signature");
	assert_string_equal(actor, "");
	assert_non_null(strstr(trace, "dps.token-signature\tno\t"));
	assert_string_equal(told("message"), "Unauthorized");
	assert_string_equal(told("trackingId"), "r-1");
	assert_string_equal(told("timestampUtc"), "2027-01-15T08:00:00Z");
}

static void
a_question_to_the_hub_is_recorded_as_one(void **state)
{
	struct proto_ask *q = question(ASK_MODULE_CREATE, "pump-1");

	(void)state;
	show(q, "own pump-1");
	(void)snprintf(q->module, sizeof(q->module), "m");
	(void)ask_at(q, NOW, true);
	assert_int_equal(audit_row_by_request(db, "r-1", take, NULL, NULL), 0);
	assert_string_equal(kind, "hub");
	assert_string_equal(actor, "certificate 01");
	assert_string_equal(device, "pump-1");
}

static void
a_mere_look_leaves_no_record(void **state)
{
	struct proto_ask *q = question(ASK_MODULE_LIST, "pump-1");

	(void)state;
	show(q, "own pump-1");
	assert_int_equal(ask_at(q, NOW, true)->status, 200);
	text[0] = 0;
	assert_true(audit_row_by_request(db, "r-1", take, NULL, NULL) <= 0);
	assert_string_equal(text, "");
}

static void
only_a_device_that_the_fleet_knows_is_heard_of(void **state)
{
	struct device_row r;
	struct proto_ask *q = question(ASK_REGISTER, "pump-1");

	(void)state;
	show(q, "own pump-1");
	(void)ask_at(q, NOW + 77, true);
	assert_int_equal(device_row_by_name(db, "pump-1", &r, NULL), 0);
	assert_true(r.last_contact == NOW + 77);
	(void)ask_at(by_key(ASK_REGISTER, "dev-7", key_pumps), NOW, true);
	assert_int_equal(device_row_by_name(db, "dev-7", &r, NULL), E_NOTFOUND);
	(void)ask_at(by_key(ASK_REGISTER, "pump-2", "another key"), NOW + 99, true); /* a stranger is not the device */
	assert_int_equal(device_row_by_name(db, "pump-2", &r, NULL), E_NOTFOUND);
}

static void
what_is_turned_into_a_refusal_changes_nothing(void **state)
{
	struct registration_row r = { 0 };
	struct proto_ask *q = by_key(ASK_REGISTER, "dev-7", key_pumps);
	struct err e;

	(void)state;
	provision_clear(&outcome);
	assert_int_equal(provision_decide(&outcome, fleet, q, NOW, &e), 0);
	assert_int_equal(outcome.status, 202);
	provision_refuse(&outcome, q, 503, "server.signer", "the signer is away from %s", "here");
	assert_int_equal(outcome.status, 503);
	assert_true(outcome.retry_after_s > 0);
	assert_null(strstr(buf_str(&outcome.body), "signer"));
	assert_int_equal(db_begin(db, NULL), 0);
	assert_int_equal(provision_record(&outcome, fleet, q, NOW, &e), 0);
	assert_int_equal(db_commit(db, NULL), 0);
	assert_int_equal(registration_row_by_name(db, "dev-7", &r, NULL), E_NOTFOUND);
	assert_int_equal(audit_row_by_request(db, "r-1", take, NULL, NULL), 0);
	assert_string_equal(result, "failed");
	assert_non_null(strstr(trace, "the signer is away from here"));
}

static void
every_reason_that_an_operator_can_mend_has_a_hint(void **state)
{
	static const char *const reasons[] = { "dps.scope", "dps.no-proof", "dps.two-proofs", "dps.token-expired", "dps.token-signature",
		"dps.name", "dps.no-group", "dps.thumbprint", "dps.disabled", "dps.registration-disabled", "dps.other-enrolment",
		"dps.device-taken", "dps.no-hub", "dps.webhook", "dps.csr-not-offered", "dps.label", "hub.not-yours", "hub.disabled" };

	(void)state;
	for (size_t i = 0; i < N_OF(reasons); i++)
		if (trace_hint(reasons[i])[0] == 0)
			fail_msg("no hint for %s", reasons[i]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		IN_WORLD(a_registration_is_recorded_rule_by_rule),
		IN_WORLD(a_refusal_is_recorded_with_what_was_not_told),
		IN_WORLD(a_question_to_the_hub_is_recorded_as_one),
		IN_WORLD(a_mere_look_leaves_no_record),
		IN_WORLD(only_a_device_that_the_fleet_knows_is_heard_of),
		IN_WORLD(what_is_turned_into_a_refusal_changes_nothing),
		cmocka_unit_test(every_reason_that_an_operator_can_mend_has_a_hint),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
