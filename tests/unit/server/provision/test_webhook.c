/* SPDX-License-Identifier: Apache-2.0 */
/* provision/test_webhook.c - a hub chosen from outside: asked after the commit, believed only within the enrolment */
#include "world.h"

static void
by_webhook(struct enrolment_row *r)
{
	(void)snprintf(r->allocation, sizeof(r->allocation), "webhook");
	(void)snprintf(r->reprovision, sizeof(r->reprovision), "migrate");
	(void)snprintf(r->webhook, sizeof(r->webhook), "https://choose.example/hub");
	(void)snprintf(r->hubs, sizeof(r->hubs), HUB_B);
	buf_put_str(&r->payload, "{\"from\":\"enrolment\"}");
}

static struct proto_ask *
dev(enum ask_op op)
{
	struct proto_ask *q = question(op, "dev-7");

	dps_token(q);
	q->token.expires += 86000;
	(void)snprintf(q->token.se, sizeof(q->token.se), "%lld", (long long)q->token.expires);
	sign_derived(&q->token, key_pumps, "dev-7");
	return q;
}

/* Register; the operation. */
static const char *
begin(int64_t now)
{
	static char operation[65];

	assert_int_equal(ask_at(dev(ASK_REGISTER), now, true)->status, 202);
	(void)snprintf(operation, sizeof(operation), "%s", told("operationId"));
	return operation;
}

/* What comes back is settled and written. */
static int
answered(const char *operation, const char *answer, const char *why)
{
	struct err e = { 0 };
	int rc;

	provision_clear(&outcome);
	rc = provision_allocated(&outcome, fleet, "dev-7", operation, bytes_of(answer), why, NOW + 5, &e);
	if (rc == 0) {
		assert_int_equal(db_begin(db, NULL), 0);
		assert_int_equal(provision_record(&outcome, fleet, NULL, NOW + 5, NULL), 0);
		assert_int_equal(db_commit(db, NULL), 0);
	}
	return rc;
}

static const char *
polled(const char *operation)
{
	struct proto_ask *q = dev(ASK_OPERATION);

	(void)snprintf(q->operation, sizeof(q->operation), "%s", operation);
	(void)ask_at(q, NOW + 6, true);
	return told("status");
}

static void
the_webhook_is_told_who_asks_and_what_he_sent(void **state)
{
	struct proto_ask *q = dev(ASK_REGISTER);
	json_t *v;

	(void)state;
	change_enrolment(false, "pumps", by_webhook);
	q->payload = bytes_of("{\"model\":7}");
	assert_int_equal(ask_at(q, NOW, true)->status, 202);
	assert_int_equal(outcome.retry_after_s, 3);
	assert_string_equal(outcome.webhook, "https://choose.example/hub");
	assert_int_equal(json_parse(&v, bytes_of_buf(&outcome.webhook_body), NULL), 0);
	assert_string_equal(json_str(json_object_get(v, "enrollmentGroup"), "enrollmentGroupId", ""), "pumps");
	assert_string_equal(json_str(json_object_get(v, "deviceRuntimeContext"), "registrationId", ""), "dev-7");
	assert_int_equal(json_int(json_object_get(json_object_get(v, "deviceRuntimeContext"), "payload"), "model", 0), 7);
	assert_int_equal(json_array_size(json_object_get(v, "linkedHubs")), 1);
	assert_string_equal(json_string_value(json_array_get(json_object_get(v, "linkedHubs"), 0)), HUB_B);
	json_decref(v);
	assert_string_equal(polled(outcome.registration.operation), "assigning");
	assert_int_equal(outcome.status, 202);
	assert_int_equal(outcome.retry_after_s, 3);
}

static void
its_answer_assigns_the_hub_and_may_bring_a_payload(void **state)
{
	const char *operation;

	(void)state;
	change_enrolment(false, "pumps", by_webhook);
	operation = begin(NOW);
	assert_int_equal(answered(operation, "{\"iotHubHostName\":\"HUB-b.example:8883\",\"payload\":{\"from\":\"webhook\"}}", ""), 0);
	assert_string_equal(outcome.reason, "ok");
	assert_string_equal(polled(operation), "assigned");
	assert_string_equal(told("registrationState.assignedHub"), HUB_B);
	assert_string_equal(told("registrationState.substatus"), "initialAssignment");
	assert_string_equal(told("registrationState.payload.from"), "webhook");
	/* Once: the same answer again is about nothing. */
	assert_int_equal(answered(operation, "{\"iotHubHostName\":\"" HUB_B "\"}", ""), E_NOTFOUND);
}

static void
without_a_payload_the_enrolments_is_given(void **state)
{
	const char *operation;

	(void)state;
	change_enrolment(false, "pumps", by_webhook);
	operation = begin(NOW);
	assert_int_equal(answered(operation, "{\"iotHubHostName\":\"" HUB_B "\"}", ""), 0);
	assert_string_equal(polled(operation), "assigned");
	assert_string_equal(told("registrationState.payload.from"), "enrolment");
}

static void
what_is_no_answer_fails_the_registration_with_a_reason(void **state)
{
	static const char *const answers[] = { "", "{}", "[]", "nonsense", "{\"iotHubHostName\":7}", "{\"iotHubHostName\":\"" HUB_A "\"}",
		"{\"iotHubHostName\":\"other.example\"}", "{\"iotHubHostName\":\"\"}" };

	(void)state;
	change_enrolment(false, "pumps", by_webhook);
	for (size_t i = 0; i < N_OF(answers); i++) {
		const char *operation = begin(NOW + (int64_t)i * 100);

		assert_int_equal(answered(operation, answers[i], answers[i][0] == 0 ? "no route to host" : ""), 0);
		assert_string_equal(outcome.reason, "dps.webhook");
		assert_string_equal(polled(operation), "failed");
		assert_int_equal(outcome.status, 200);
		assert_non_null(strstr(buf_str(&outcome.body), "\"errorCode\":400207"));
		/* Why is in the record; a device hears nothing of the network behind us. */
		assert_string_equal(told("registrationState.errorMessage"), "No hub could be chosen for the device; register again");
		assert_null(told("registrationState.assignedHub"));
	}
}

static void
a_payload_that_is_too_long_leaves_the_hub_as_it_was(void **state)
{
	struct registration_row r = { 0 };
	AUTO_BUF answer = { 0 };
	const char *operation;

	(void)state;
	change_enrolment(false, "pumps", by_webhook);
	operation = begin(NOW);
	buf_put_str(&answer, "{\"iotHubHostName\":\"" HUB_B "\",\"payload\":\"");
	for (size_t i = 0; i < ASK_PAYLOAD_MAX; i++)
		buf_put_u8(&answer, 'x');
	buf_put_str(&answer, "\"}");
	assert_int_equal(answered(operation, buf_str(&answer), ""), 0);
	assert_string_equal(outcome.reason, "dps.webhook");
	assert_int_equal(registration_row_by_name(db, outcome.registration.registration, &r, NULL), 0);
	assert_string_equal(r.status, "failed");
	assert_string_equal(r.hub, "");
	registration_row_clear(&r);
}

/* Whoever was to ask the webhook may have ended: it is asked under the same operation, and the first answer counts. */
static void
a_device_that_asks_again_soon_waits_for_the_same_answer(void **state)
{
	char operation[65];

	(void)state;
	change_enrolment(false, "pumps", by_webhook);
	(void)snprintf(operation, sizeof(operation), "%s", begin(NOW));
	assert_string_equal(begin(NOW + 59), operation);
	assert_string_equal(outcome.webhook, "https://choose.example/hub");
	assert_string_equal(polled(operation), "assigning");
	assert_string_equal(outcome.webhook, "https://choose.example/hub");
	assert_string_not_equal(begin(NOW + 60), operation);
	assert_int_equal(answered(operation, "{\"iotHubHostName\":\"" HUB_B "\"}", ""), E_NOTFOUND);
}

static void
a_working_device_keeps_its_hub_while_and_when_a_webhook_fails(void **state)
{
	struct proto_ask *q;
	const char *operation;

	(void)state;
	change_enrolment(false, "pumps", by_webhook);
	assert_int_equal(answered(begin(NOW), "{\"iotHubHostName\":\"" HUB_B "\"}", ""), 0);
	operation = begin(NOW + 100);
	assert_int_equal(answered(operation, "", "no route to host"), 0);
	q = question(ASK_MODULE_LIST, "dev-7");
	fill_token(&q->token, HUB_B "/devices/dev-7", NOW + 130, "");
	sign_derived(&q->token, key_pumps, "dev-7");
	assert_int_equal(ask_at(q, NOW + 100, true)->status, 200);
}

static void
by_itself(struct enrolment_row *r)
{
	(void)snprintf(r->allocation, sizeof(r->allocation), "static");
	r->webhook[0] = 0;
}

/* Nobody may have asked, and nobody will: devices that wait poll for ever otherwise. */
static void
an_enrolment_that_lost_its_webhook_chooses_for_those_that_wait(void **state)
{
	struct registration_row r = { 0 };
	char operation[65];

	(void)state;
	change_enrolment(false, "pumps", by_webhook);
	(void)snprintf(operation, sizeof(operation), "%s", begin(NOW));
	change_enrolment(false, "pumps", by_itself);
	assert_string_equal(polled(operation), "assigned");
	assert_string_equal(outcome.webhook, "");
	assert_int_equal(registration_row_by_name(db, "dev-7", &r, NULL), 0);
	assert_string_equal(r.hub, HUB_B);
	registration_row_clear(&r);
	assert_int_equal(answered(operation, "{\"iotHubHostName\":\"" HUB_B "\"}", ""), E_NOTFOUND);
	change_enrolment(false, "pumps", by_webhook);
	(void)snprintf(operation, sizeof(operation), "%s", begin(NOW + 1));
	change_enrolment(false, "pumps", by_itself);
	assert_string_not_equal(begin(NOW + 2), operation);
	assert_string_equal(outcome.registration.status, "assigned");
}

static void
keeps_hubs(struct enrolment_row *r)
{
	by_webhook(r);
	(void)snprintf(r->reprovision, sizeof(r->reprovision), "never");
}

static void
what_a_webhook_said_for_another_enrolment_is_told_to_no_device_of_this_one(void **state)
{
	struct registration_row r = { 0 };
	struct proto_ask *q;

	(void)state;
	change_enrolment(false, "pumps", by_webhook);
	assert_int_equal(answered(begin(NOW), "{\"iotHubHostName\":\"" HUB_B "\",\"payload\":{\"from\":\"pumps\"}}", ""), 0);
	(void)put_with_keys(true, "dev-7", key_pumps, NULL, true);
	change_enrolment(true, "dev-7", keeps_hubs);
	q = dev(ASK_REGISTER);
	sign(&q->token, bytes_of(key_pumps));
	assert_int_equal(ask_at(q, NOW + 10, true)->status, 202);
	assert_int_equal(registration_row_by_name(db, "dev-7", &r, NULL), 0);
	assert_string_equal(r.status, "assigned");
	assert_string_equal(r.hub, HUB_B);
	assert_int_equal(r.payload.n, 0);
	registration_row_clear(&r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		IN_WORLD(the_webhook_is_told_who_asks_and_what_he_sent),
		IN_WORLD(its_answer_assigns_the_hub_and_may_bring_a_payload),
		IN_WORLD(without_a_payload_the_enrolments_is_given),
		IN_WORLD(what_is_no_answer_fails_the_registration_with_a_reason),
		IN_WORLD(a_payload_that_is_too_long_leaves_the_hub_as_it_was),
		IN_WORLD(a_device_that_asks_again_soon_waits_for_the_same_answer),
		IN_WORLD(a_working_device_keeps_its_hub_while_and_when_a_webhook_fails),
		IN_WORLD(an_enrolment_that_lost_its_webhook_chooses_for_those_that_wait),
		IN_WORLD(what_a_webhook_said_for_another_enrolment_is_told_to_no_device_of_this_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
