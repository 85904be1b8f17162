/* SPDX-License-Identifier: Apache-2.0 */
/* provision/test_register.c - from the first question of a device to its hub, and again */
#include "world.h"

#include "server/provision/asking.h"

/* A device of the group pumps asks. */
static struct proto_ask *
by_key(enum ask_op op, const char *id)
{
	struct proto_ask *q = question(op, id);

	dps_token(q);
	sign_derived(&q->token, key_pumps, id);
	return q;
}

static struct proto_ask *
solo(enum ask_op op)
{
	struct proto_ask *q = question(op, "solo-key");

	dps_token(q);
	sign(&q->token, bytes_of(key_solo));
	return q;
}

/* The operation that a register call was answered with. */
static const char *
registered(const struct proto_ask *q, int64_t now)
{
	static char operation[65];

	assert_int_equal(ask_at(q, now, true)->status, 202);
	(void)snprintf(operation, sizeof(operation), "%s", told("operationId"));
	return operation;
}

static struct provision *
poll(struct proto_ask *q, const char *operation, int64_t now)
{
	(void)snprintf(q->operation, sizeof(q->operation), "%s", operation);
	return ask_at(q, now, true);
}

static struct registration_row
row_of(const char *id)
{
	struct registration_row r = { 0 };

	assert_int_equal(registration_row_by_name(db, id, &r, NULL), 0);
	return r;
}

static void
a_device_registers_polls_and_has_a_hub(void **state)
{
	const char *operation;

	(void)state;
	operation = registered(by_key(ASK_REGISTER, "Dev-7"), NOW);
	assert_int_equal(strlen(operation), 32);
	assert_string_equal(told("status"), "assigning");
	assert_int_equal(outcome.retry_after_s, 1);
	assert_int_equal(poll(by_key(ASK_OPERATION, "dev-7"), operation, NOW + 1)->status, 200);
	assert_int_equal(outcome.retry_after_s, 0);
	assert_true(outcome.silent);
	assert_string_equal(told("status"), "assigned");
	assert_string_equal(told("operationId"), operation);
	assert_string_equal(told("registrationState.registrationId"), "dev-7");
	assert_string_equal(told("registrationState.deviceId"), "Dev-7"); /* as it wrote itself first */
	assert_string_equal(told("registrationState.assignedHub"), HUB_A);
	assert_string_equal(told("registrationState.status"), "assigned");
	assert_string_equal(told("registrationState.substatus"), "initialAssignment");
	assert_string_equal(told("registrationState.symmetricKey.enrollmentGroupId"), "pumps");
	assert_string_equal(told("registrationState.createdDateTimeUtc"), "2027-01-15T08:00:00Z");
	assert_string_equal(told("registrationState.lastUpdatedDateTimeUtc"), "2027-01-15T08:00:00Z");
	assert_non_null(told("registrationState.etag"));
	assert_null(told("registrationState.payload"));
	/* The status lookup gives the state itself. */
	assert_int_equal(ask_at(by_key(ASK_REGISTRATION, "DEV-7"), NOW + 2, true)->status, 200);
	assert_true(outcome.silent);
	assert_string_equal(told("status"), "assigned");
	assert_string_equal(told("assignedHub"), HUB_A);
}

static void
an_operation_is_of_one_registration_alone(void **state)
{
	char first[65];

	(void)state;
	(void)snprintf(first, sizeof(first), "%s", registered(by_key(ASK_REGISTER, "dev-7"), NOW));
	(void)registered(by_key(ASK_REGISTER, "dev-8"), NOW);
	assert_int_equal(poll(by_key(ASK_OPERATION, "dev-8"), first, NOW)->status, 404);
	assert_int_equal(poll(by_key(ASK_OPERATION, "dev-7"), "", NOW)->status, 404);
	(void)registered(by_key(ASK_REGISTER, "dev-7"), NOW + 1);
	assert_int_equal(poll(by_key(ASK_OPERATION, "dev-7"), first, NOW + 1)->status, 404);
	assert_string_equal(outcome.reason, "dps.operation");
}

static void
migrate(struct enrolment_row *r)
{
	(void)snprintf(r->reprovision, sizeof(r->reprovision), "migrate");
	(void)snprintf(r->hubs, sizeof(r->hubs), HUB_B);
}

static void
a_device_that_registers_again_keeps_name_and_hub(void **state)
{
	struct registration_row r;

	(void)state;
	(void)registered(by_key(ASK_REGISTER, "Dev-7"), NOW);
	(void)registered(by_key(ASK_REGISTER, "DEV-7"), NOW + 60);
	r = row_of("dev-7");
	assert_string_equal(r.device_id, "Dev-7");
	assert_string_equal(r.hub, HUB_A);
	assert_string_equal(r.substatus, "reprovisionedToInitialAssignment");
	assert_true(r.created_at == NOW && r.updated_at == NOW + 60);
	registration_row_clear(&r);
}

static void
a_device_migrates_when_its_hub_is_no_more_for_it(void **state)
{
	struct registration_row r;

	(void)state;
	(void)registered(by_key(ASK_REGISTER, "dev-7"), NOW);
	change_enrolment(false, "pumps", migrate);
	(void)registered(by_key(ASK_REGISTER, "dev-7"), NOW + 60);
	r = row_of("dev-7");
	assert_string_equal(r.hub, HUB_B);
	assert_string_equal(r.substatus, "deviceDataMigrated");
	registration_row_clear(&r);
}

static void
nowhere(struct enrolment_row *r)
{
	(void)snprintf(r->hubs, sizeof(r->hubs), "nowhere.example");
}

static void
without_a_hub_it_is_told_to_come_later(void **state)
{
	(void)state;
	change_enrolment(false, "pumps", nowhere);
	assert_int_equal(ask_at(by_key(ASK_REGISTER, "dev-7"), NOW, true)->status, 503);
	assert_string_equal(outcome.reason, "dps.no-hub");
	assert_true(outcome.retry_after_s > 0);
	assert_null(strstr(told("message"), "hub")); /* how we are made is not told */
}

static void
name_and_payload(struct enrolment_row *r)
{
	(void)snprintf(r->device_id, sizeof(r->device_id), "Line-4");
	buf_put_str(&r->payload, "{\"site\":\"north\"}");
}

static void
an_individual_enrolment_gives_name_and_payload(void **state)
{
	const char *operation;

	(void)state;
	change_enrolment(true, "solo-key", name_and_payload);
	operation = registered(solo(ASK_REGISTER), NOW);
	assert_int_equal(poll(solo(ASK_OPERATION), operation, NOW)->status, 200);
	assert_string_equal(told("registrationState.deviceId"), "Line-4");
	assert_string_equal(told("registrationState.payload.site"), "north");
	assert_null(told("registrationState.symmetricKey.enrollmentGroupId"));
}

static void
two_registrations_are_never_one_device(void **state)
{
	(void)state;
	change_enrolment(true, "solo-key", name_and_payload);
	(void)registered(by_key(ASK_REGISTER, "line-4"), NOW);
	assert_int_equal(ask_at(solo(ASK_REGISTER), NOW, true)->status, 409);
	assert_string_equal(outcome.reason, "dps.device-taken");
}

static void
disable(const char *id)
{
	struct registration_row r = row_of(id);

	(void)snprintf(r.status, sizeof(r.status), "disabled");
	assert_int_equal(registration_row_put(db, &r, NULL), 0);
	registration_row_clear(&r);
}

static void
a_disabled_registration_is_told_so_and_registers_no_more(void **state)
{
	(void)state;
	(void)registered(by_key(ASK_REGISTER, "dev-7"), NOW);
	disable("dev-7");
	assert_int_equal(ask_at(by_key(ASK_REGISTER, "dev-7"), NOW, true)->status, 403);
	assert_string_equal(outcome.reason, "dps.registration-disabled");
	assert_int_equal(ask_at(by_key(ASK_REGISTRATION, "dev-7"), NOW, true)->status, 200);
	assert_string_equal(told("status"), "disabled");
	assert_null(told("assignedHub"));
}

static void
turn_off(struct enrolment_row *r)
{
	r->enabled = false;
}

static void
a_registration_changes_groups_only_when_its_own_is_disabled(void **state)
{
	struct registration_row r;
	struct proto_ask *q;

	(void)state;
	(void)registered(by_key(ASK_REGISTER, "dev-1"), NOW);
	q = question(ASK_REGISTER, "dev-1");
	show(q, "factory device");
	assert_int_equal(ask_at(q, NOW, true)->status, 403);
	assert_string_equal(outcome.reason, "dps.other-enrolment");
	change_enrolment(false, "pumps", turn_off);
	assert_int_equal(ask_at(q, NOW, true)->status, 202);
	r = row_of("dev-1");
	assert_string_equal(r.enrolment_name, "factory");
	assert_true(r.has_cert && r.cert[0] == 0x70);
	registration_row_clear(&r);
}

/* Of a connection that was made while it was in its time; the group of its root would take the device. */
static void
below_a_ca_that_is_over_nobody_comes_in_by_the_one_above(void **state)
{
	static const struct recipe over = { .subject = "CN=Over", .ca = true, .pathlen = -1, .ku = KU_KEY_CERT_SIGN,
		.from = NOW - 10 * DAYS, .to = NOW + 5 };
	struct proto_ask *q = question(ASK_REGISTER, "dev-1");
	struct made ca;

	(void)state;
	kit_make(&ca, &over, &factory);
	show(q, "factory device");
	q->q.anchor = (uint32_t)(PROVISION_ANCHOR_BASE + (uint64_t)upload("over", &ca, ca_factory, true));
	assert_int_equal(ask_at(q, NOW, true)->status, 202);
	assert_int_equal(ask_at(q, NOW + 6, true)->status, 401);
	assert_string_equal(outcome.reason, "dps.no-group");
	made_free(&ca);
}

static void
an_individual_enrolment_takes_its_registration_over(void **state)
{
	struct registration_row r;

	(void)state;
	(void)registered(by_key(ASK_REGISTER, "dev-7"), NOW);
	(void)put_with_keys(true, "dev-7", key_solo, NULL, true);
	assert_int_equal(ask_at(by_key(ASK_REGISTER, "dev-7"), NOW, true)->status, 401);
	{
		struct proto_ask *q = question(ASK_REGISTER, "dev-7");

		dps_token(q);
		sign(&q->token, bytes_of(key_solo));
		(void)registered(q, NOW);
	}
	r = row_of("dev-7");
	assert_true(r.individual);
	registration_row_clear(&r);
}

/* --- a request for a certificate --- */

static void
with_label(struct enrolment_row *r)
{
	(void)snprintf(r->label, sizeof(r->label), "devices");
}

static struct proto_ask *
with_csr(struct proto_ask *q, const char *cn)
{
	q->has_csr = 1;
	q->q.csr.subject.n = 1;
	q->q.csr.subject.ava[0].type = OID_CN;
	(void)snprintf(q->q.csr.subject.ava[0].value, NAME_VALUE_MAX, "%s", cn);
	return q;
}

static void
a_request_is_for_the_label_of_the_enrolment(void **state)
{
	struct registration_row r;
	struct proto_ask *q;

	(void)state;
	assert_int_equal(ask_at(with_csr(by_key(ASK_REGISTER, "dev-7"), "dev-7"), NOW, true)->status, 400);
	assert_string_equal(outcome.reason, "dps.csr-not-offered");
	change_enrolment(false, "pumps", with_label);
	assert_int_equal(ask_at(with_csr(by_key(ASK_REGISTER, "dev-7"), "dev-8"), NOW, true)->status, 400);
	assert_string_equal(outcome.reason, "dps.csr-name");
	q = with_csr(by_key(ASK_REGISTER, "dev-7"), "dev-7");
	q->q.csr_status = 400;
	(void)snprintf(q->q.csr_reason, sizeof(q->q.csr_reason), "csr.signature");
	assert_int_equal(ask_at(q, NOW, true)->status, 400);
	assert_string_equal(outcome.reason, "csr.signature");
	assert_int_equal(ask_at(with_csr(by_key(ASK_REGISTER, "dev-7"), "DEV-7"), NOW, true)->status, 400); /* hubs tell case apart */
	assert_int_equal(ask_at(with_csr(by_key(ASK_REGISTER, "dev-7"), "dev-7"), NOW, true)->status, 202);
	assert_string_equal(outcome.label, "devices");
	r = row_of("dev-7");
	assert_true(r.issued);
	registration_row_clear(&r);
	assert_int_equal(ask_at(by_key(ASK_REGISTER, "dev-7"), NOW, true)->status, 202);
	assert_string_equal(outcome.label, "");
}

static void
a_stranger_hears_nothing_about_his_request(void **state)
{
	(void)state;
	assert_int_equal(ask_at(with_csr(question(ASK_REGISTER, "dev-7"), "dev-8"), NOW, true)->status, 401);
	assert_string_equal(outcome.reason, "dps.no-proof");
}

static void
nobody_gets_the_name_of_a_live_device_by_registering(void **state)
{
	struct proto_ask *q;

	(void)state;
	change_enrolment(false, "pumps", with_label);
	change_enrolment(false, "ours", with_label);
	assert_int_equal(ask_at(with_csr(by_key(ASK_REGISTER, "pump-1"), "pump-1"), NOW, true)->status, 403);
	assert_string_equal(outcome.reason, "name.active");
	assert_string_equal(outcome.label, "");
	/* But who presents the live certificate does, and so does a device whose certificates came by registering. */
	q = question(ASK_REGISTER, "pump-1");
	show(q, "own pump-1");
	assert_int_equal(ask_at(with_csr(q, "pump-1"), NOW, true)->status, 202);
	assert_string_equal(outcome.label, "devices");
	assert_int_equal(ask_at(with_csr(by_key(ASK_REGISTER, "dev-7"), "dev-7"), NOW, true)->status, 202);
	put_own("dev-7", 0x31, NULL, false); /* by another way, since it had none */
	assert_int_equal(ask_at(with_csr(by_key(ASK_REGISTER, "dev-7"), "dev-7"), NOW, true)->status, 403);
	assert_string_equal(outcome.reason, "name.active");
	give_own(0x31, "registration dev-7");
	assert_int_equal(ask_at(with_csr(by_key(ASK_REGISTER, "dev-7"), "dev-7"), NOW, true)->status, 202);
	assert_string_equal(outcome.label, "devices");
}

/* What its device was given before lives on: who takes the registration over does not get that identity as well. */
static void
another_group_takes_a_registration_without_its_certificates(void **state)
{
	struct proto_ask *q;

	(void)state;
	change_enrolment(false, "pumps", with_label);
	change_enrolment(false, "factory", with_label);
	(void)registered(with_csr(by_key(ASK_REGISTER, "dev-1"), "dev-1"), NOW);
	put_own("dev-1", 0x31, NULL, false);
	change_enrolment(false, "pumps", turn_off);
	q = question(ASK_REGISTER, "dev-1");
	show(q, "factory device");
	assert_int_equal(ask_at(with_csr(q, "dev-1"), NOW, true)->status, 403);
	assert_string_equal(outcome.reason, "name.active");
	q = question(ASK_REGISTER, "dev-1");
	show(q, "factory device");
	assert_int_equal(ask_at(q, NOW, true)->status, 202);
	assert_int_equal(ask_at(with_csr(q, "dev-1"), NOW, true)->status, 403); /* nor after that */
}

/* pump-1 never registered, and made modules by its certificate. */
static void
nobody_gets_the_modules_of_a_live_device_by_registering(void **state)
{
	struct module_row m = { .device = "pump-1", .module = "m", .generation = "1" };
	struct proto_ask *q;

	(void)state;
	assert_int_equal(module_row_put(db, &m, NULL), 0);
	assert_int_equal(ask_at(by_key(ASK_REGISTER, "pump-1"), NOW, true)->status, 403);
	assert_string_equal(outcome.reason, "dps.device-in-use");
	q = question(ASK_REGISTER, "pump-1");
	show(q, "own pump-1");
	assert_int_equal(ask_at(q, NOW, true)->status, 202);
	assert_int_equal(ask_at(q, NOW, true)->status, 202);
}

/* That it was renewed is told to whoever issues; and what it gets does not outlive what it shows by kind. */
static void
a_certificate_of_ours_says_how_the_next_one_may_be(void **state)
{
	struct proto_ask *q;

	(void)state;
	change_enrolment(false, "ours", with_label);
	q = question(ASK_REGISTER, "pump-renewed");
	show(q, "own renewed");
	assert_int_equal(ask_at(with_csr(q, "pump-renewed"), NOW - 4500, false)->status, 202); /* within its grace */
	assert_true(outcome.renewed);
	assert_true(outcome.longest_s == 0); /* of the very profile */
	show(q, "own renewal");
	assert_int_equal(ask_at(with_csr(q, "pump-renewed"), NOW, false)->status, 202);
	assert_false(outcome.renewed);
}

static void
the_chain_goes_into_the_answer(void **state)
{
	const struct bytes chain[] = { bytes_of("leaf"), bytes_of("issuer") };
	json_t *v, *list;

	(void)state;
	change_enrolment(false, "pumps", with_label);
	(void)registered(with_csr(by_key(ASK_REGISTER, "dev-7"), "dev-7"), NOW);
	provision_issued(&outcome, chain, 2);
	assert_string_equal(told("status"), "assigning");
	assert_non_null(told("operationId"));
	assert_int_equal(json_parse(&v, bytes_of_buf(&outcome.body), NULL), 0);
	list = json_object_get(json_object_get(v, "registrationState"), "issuedCertificateChain");
	assert_int_equal(json_array_size(list), 2);
	assert_string_equal(json_string_value(json_array_get(list, 0)), "bGVhZg==");
	json_decref(v);
}

/* What the authority writes for a device's request: a certificate on record. */
static int64_t
given(const char *device, const char *asker, int n)
{
	struct cert_row r = { 0 };
	int64_t id;

	put_own(device, n, NULL, false);
	assert_int_equal(db_run(db, NULL, "UPDATE cert SET authorised_by = ? WHERE id = last_insert_rowid()", "s", asker), 0);
	assert_int_equal(cert_row_authorised(db, device, asker, &r, NULL), 0);
	id = r.id;
	cert_row_clear(&r);
	return id;
}

static size_t
certificates_told(const char *state_path)
{
	AUTO_JSON v = NULL;
	json_t *at;

	assert_int_equal(json_parse(&v, bytes_of_buf(&outcome.body), NULL), 0);
	at = state_path != NULL ? json_object_get(v, state_path) : v;
	return json_array_size(json_object_get(at, "issuedCertificateChain"));
}

/* The answer to the register call may be lost, and with it the certificate. */
static void
a_certificate_is_told_again_while_it_is_good(void **state)
{
	char operation[65];

	(void)state;
	change_enrolment(false, "pumps", with_label);
	(void)snprintf(operation, sizeof(operation), "%s", registered(with_csr(by_key(ASK_REGISTER, "dev-7"), "dev-7"), NOW));
	assert_int_equal(poll(by_key(ASK_OPERATION, "dev-7"), operation, NOW + 1)->status, 200);
	assert_int_equal(certificates_told("registrationState"), 0);
	(void)given("dev-7", "registration dev-7", 0x31);
	assert_int_equal(poll(by_key(ASK_OPERATION, "dev-7"), operation, NOW + 1)->status, 200);
	assert_int_equal(certificates_told("registrationState"), 3); /* itself, issuing, root */
	assert_int_equal(ask_at(by_key(ASK_REGISTRATION, "dev-7"), NOW + 1, true)->status, 200);
	assert_int_equal(certificates_told(NULL), 3);
	assert_int_equal(db_run(db, NULL, "UPDATE cert SET not_after = not_after - 2000", ""), 0);
	assert_int_equal(ask_at(by_key(ASK_REGISTRATION, "dev-7"), NOW + 1, true)->status, 200);
	assert_int_equal(certificates_told(NULL), 0); /* it has ended */
	assert_int_equal(db_run(db, NULL, "UPDATE cert SET not_after = not_after + 2000", ""), 0);
	put_own("dev-7", 0x32, NULL, false); /* the next of its line, got otherwise */
	assert_int_equal(ask_at(by_key(ASK_REGISTRATION, "dev-7"), NOW + 1, true)->status, 200);
	assert_int_equal(certificates_told(NULL), 0); /* renewed */
}

static void
a_certificate_that_was_revoked_is_told_no_more(void **state)
{
	int64_t id;

	(void)state;
	change_enrolment(false, "pumps", with_label);
	(void)registered(with_csr(by_key(ASK_REGISTER, "dev-7"), "dev-7"), NOW);
	id = given("dev-7", "registration dev-7", 0x31);
	assert_int_equal(cert_row_revoke(db, id, NOW, 1, NULL), 0);
	assert_int_equal(ask_at(by_key(ASK_REGISTRATION, "dev-7"), NOW + 1, true)->status, 200);
	assert_int_equal(certificates_told(NULL), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		IN_WORLD(a_device_registers_polls_and_has_a_hub),
		IN_WORLD(an_operation_is_of_one_registration_alone),
		IN_WORLD(a_device_that_registers_again_keeps_name_and_hub),
		IN_WORLD(a_device_migrates_when_its_hub_is_no_more_for_it),
		IN_WORLD(without_a_hub_it_is_told_to_come_later),
		IN_WORLD(an_individual_enrolment_gives_name_and_payload),
		IN_WORLD(two_registrations_are_never_one_device),
		IN_WORLD(a_disabled_registration_is_told_so_and_registers_no_more),
		IN_WORLD(a_registration_changes_groups_only_when_its_own_is_disabled),
		IN_WORLD(below_a_ca_that_is_over_nobody_comes_in_by_the_one_above),
		IN_WORLD(an_individual_enrolment_takes_its_registration_over),
		IN_WORLD(a_request_is_for_the_label_of_the_enrolment),
		IN_WORLD(a_stranger_hears_nothing_about_his_request),
		IN_WORLD(nobody_gets_the_name_of_a_live_device_by_registering),
		IN_WORLD(another_group_takes_a_registration_without_its_certificates),
		IN_WORLD(nobody_gets_the_modules_of_a_live_device_by_registering),
		IN_WORLD(a_certificate_of_ours_says_how_the_next_one_may_be),
		IN_WORLD(the_chain_goes_into_the_answer),
		IN_WORLD(a_certificate_is_told_again_while_it_is_good),
		IN_WORLD(a_certificate_that_was_revoked_is_told_no_more),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
