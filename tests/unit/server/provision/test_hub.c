/* SPDX-License-Identifier: Apache-2.0 */
/* provision/test_hub.c - modules of a device: made, read, given keys, removed; and none of another's */
#include "world.h"

/* pump-1 asks with its certificate. */
static struct proto_ask *
ask(enum ask_op op, const char *module)
{
	struct proto_ask *q = question(op, "pump-1");

	show(q, "own pump-1");
	(void)snprintf(q->module, sizeof(q->module), "%s", module);
	return q;
}

static unsigned
asked(enum ask_op op, const char *module)
{
	return ask_at(ask(op, module), NOW, true)->status;
}

static void
a_module_is_made_read_and_removed(void **state)
{
	char generation[64];

	(void)state;
	assert_int_equal(asked(ASK_MODULE_GET, "edge"), 404);
	assert_string_equal(outcome.reason, "hub.no-module");
	assert_int_equal(asked(ASK_MODULE_CREATE, "edge"), 200);
	assert_string_equal(told("moduleId"), "edge");
	assert_string_equal(told("deviceId"), "pump-1");
	assert_null(told("managedBy"));
	(void)snprintf(generation, sizeof(generation), "%s", told("generationId"));
	assert_int_equal(strspn(generation, "0123456789"), strlen(generation));
	assert_in_range(strlen(generation), 10, 23);
	assert_int_equal(asked(ASK_MODULE_GET, "edge"), 200);
	assert_true(outcome.silent);
	assert_string_equal(told("generationId"), generation);
	assert_int_equal(asked(ASK_MODULE_CREATE, "edge"), 409);
	assert_int_equal(asked(ASK_MODULE_CREATE, "Edge"), 200); /* another one */
	assert_int_equal(asked(ASK_MODULE_DELETE, "edge"), 204);
	assert_int_equal(outcome.body.n, 0);
	assert_int_equal(asked(ASK_MODULE_DELETE, "edge"), 404);
	assert_int_equal(asked(ASK_MODULE_CREATE, "edge"), 200);
	assert_string_not_equal(told("generationId"), generation);
}

static void
keys_go_in_sealed_and_never_out(void **state)
{
	struct module_row r = { 0 };
	struct proto_ask *q = ask(ASK_MODULE_UPDATE, "edge");
	char what[PROVISION_WHAT_MAX];
	AUTO_BUF key = { 0 };

	(void)state;
	q->has_keys = 1;
	memcpy(q->key[0], "primary!", 8);
	memcpy(q->key[1], "secondary", 9);
	q->key_n[0] = 8;
	q->key_n[1] = 9;
	(void)snprintf(q->managed_by, sizeof(q->managed_by), "iotEdge");
	assert_int_equal(ask_at(q, NOW, true)->status, 404);
	assert_int_equal(asked(ASK_MODULE_CREATE, "edge"), 200);
	q = ask(ASK_MODULE_UPDATE, "edge");
	q->has_keys = 1;
	memcpy(q->key[0], "primary!", 8);
	memcpy(q->key[1], "secondary", 9);
	q->key_n[0] = 8;
	q->key_n[1] = 9;
	(void)snprintf(q->managed_by, sizeof(q->managed_by), "iotEdge");
	assert_int_equal(ask_at(q, NOW, true)->status, 200);
	assert_null(strstr(buf_str(&outcome.body), "Key"));
	assert_string_equal(told("managedBy"), "iotEdge");
	assert_int_equal(module_row_by_name(db, "pump-1", "edge", &r, NULL), 0);
	assert_null(memmem(r.key[1].p, r.key[1].n, "secondary", 9));
	assert_int_equal(provision_open(&key, fleet, provision_what_module(what, "pump-1", "edge", 1), bytes_of_buf(&r.key[1]), NULL), 0);
	assert_string_equal(buf_str(&key), "secondary");
	module_row_clear(&r);
	q = ask(ASK_MODULE_UPDATE, "edge");
	q->has_keys = 1;
	q->key_n[0] = 8;
	assert_int_equal(ask_at(q, NOW, true)->status, 400);
	/* An update without keys leaves those that are there. */
	assert_int_equal(asked(ASK_MODULE_UPDATE, "edge"), 200);
	assert_int_equal(module_row_by_name(db, "pump-1", "edge", &r, NULL), 0);
	assert_true(r.key[0].n != 0 && strcmp(r.managed_by, "iotEdge") == 0);
	module_row_clear(&r);
}

static void
a_list_has_the_devices_own_alone(void **state)
{
	struct module_row other = { .device = "pump-2", .module = "foreign", .generation = "1" };
	json_t *v;

	(void)state;
	assert_int_equal(module_row_put(db, &other, NULL), 0);
	assert_int_equal(asked(ASK_MODULE_LIST, ""), 200);
	assert_string_equal(buf_str(&outcome.body), "[]");
	assert_int_equal(asked(ASK_MODULE_CREATE, "b"), 200);
	assert_int_equal(asked(ASK_MODULE_CREATE, "a"), 200);
	assert_int_equal(asked(ASK_MODULE_LIST, ""), 200);
	assert_int_equal(json_parse(&v, bytes_of_buf(&outcome.body), NULL), 0);
	assert_int_equal(json_array_size(v), 2);
	assert_string_equal(json_str(json_array_get(v, 0), "moduleId", ""), "a");
	json_decref(v);
}

static void
a_device_has_no_more_than_its_share(void **state)
{
	char name[16];

	(void)state;
	for (int i = 0; i < PROVISION_MODULES_MAX; i++) {
		(void)snprintf(name, sizeof(name), "m%d", i);
		assert_int_equal(asked(ASK_MODULE_CREATE, name), 200);
	}
	assert_int_equal(asked(ASK_MODULE_CREATE, "one-more"), 403);
	assert_string_equal(outcome.reason, "hub.modules-max");
}

static void
a_module_id_is_checked(void **state)
{
	(void)state;
	assert_int_equal(asked(ASK_MODULE_CREATE, ""), 400);
	assert_int_equal(asked(ASK_MODULE_CREATE, "a/b"), 400);
	assert_int_equal(asked(ASK_MODULE_CREATE, "$edgeAgent"), 200);
}

static void
a_disabled_registration_shuts_out_its_certificate_too(void **state)
{
	struct registration_row r = { .registration = "pump-1", .device_id = "pump-1", .hub = HUB_A, .status = "disabled" };

	(void)state;
	assert_int_equal(asked(ASK_MODULE_LIST, ""), 200);
	assert_int_equal(registration_row_put(db, &r, NULL), 0);
	assert_int_equal(asked(ASK_MODULE_LIST, ""), 403);
}

static void
with_its_registration_a_devices_modules_go(void **state)
{
	struct registration_row r = { .registration = "pump-1", .device_id = "pump-1", .hub = HUB_A, .status = "assigned" };
	int64_t n;

	(void)state;
	assert_int_equal(registration_row_put(db, &r, NULL), 0);
	assert_int_equal(asked(ASK_MODULE_CREATE, "m"), 200);
	assert_int_equal(registration_row_remove(db, "pump-1", NULL), 0);
	assert_int_equal(module_row_count(db, "pump-1", &n, NULL), 0);
	assert_int_equal(n, 0);
}

/* A device that registered by key; then somebody gets a certificate for its name by EST. */
static void
a_certificate_by_est_is_no_proof_for_who_registered_by_another(void **state)
{
	struct proto_ask *q = question(ASK_REGISTER, "pump-1");

	(void)state;
	dps_token(q);
	sign_derived(&q->token, key_pumps, "pump-1");
	assert_int_equal(ask_at(q, NOW, true)->status, 202);
	assert_int_equal(asked(ASK_MODULE_LIST, ""), 401);
	assert_string_equal(outcome.reason, "dps.no-group");
	assert_int_equal(asked(ASK_MODULE_CREATE, "m"), 401);
}

static void
set_issued(struct registration_row *r)
{
	r->issued = true;
}

static void
change_registration(const char *name, void (*fn)(struct registration_row *r))
{
	struct registration_row r = { 0 };

	assert_int_equal(registration_row_by_name(db, name, &r, NULL), 0);
	fn(&r);
	assert_int_equal(registration_row_put(db, &r, NULL), 0);
	registration_row_clear(&r);
}

static void
turn_off(struct enrolment_row *r)
{
	r->enabled = false;
}

static void
a_certificate_that_came_with_the_registration_is_one_while_the_group_is_enabled(void **state)
{
	struct proto_ask *q = question(ASK_REGISTER, "pump-1");

	(void)state;
	dps_token(q);
	sign_derived(&q->token, key_pumps, "pump-1");
	assert_int_equal(ask_at(q, NOW, true)->status, 202);
	change_registration("pump-1", set_issued);
	assert_int_equal(asked(ASK_MODULE_LIST, ""), 401); /* it was given one, and this is another's */
	give_own(0x01, "registration pump-1");
	assert_int_equal(asked(ASK_MODULE_LIST, ""), 200);
	change_enrolment(false, "pumps", turn_off);
	assert_int_equal(asked(ASK_MODULE_LIST, ""), 403);
	assert_string_equal(outcome.reason, "hub.disabled");
}

static void
a_device_of_our_own_ca_registers_and_goes_on_by_its_certificate(void **state)
{
	struct proto_ask *q;

	(void)state;
	assert_int_equal(asked(ASK_MODULE_CREATE, "m"), 200);
	q = question(ASK_REGISTER, "pump-1");
	show(q, "own pump-1");
	assert_int_equal(ask_at(q, NOW, true)->status, 202);
	assert_int_equal(asked(ASK_MODULE_GET, "m"), 200);
	change_enrolment(false, "ours", turn_off);
	assert_int_equal(asked(ASK_MODULE_GET, "m"), 403);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		IN_WORLD(a_module_is_made_read_and_removed),
		IN_WORLD(keys_go_in_sealed_and_never_out),
		IN_WORLD(a_list_has_the_devices_own_alone),
		IN_WORLD(a_device_has_no_more_than_its_share),
		IN_WORLD(a_module_id_is_checked),
		IN_WORLD(a_disabled_registration_shuts_out_its_certificate_too),
		IN_WORLD(with_its_registration_a_devices_modules_go),
		IN_WORLD(a_certificate_by_est_is_no_proof_for_who_registered_by_another),
		IN_WORLD(a_certificate_that_came_with_the_registration_is_one_while_the_group_is_enabled),
		IN_WORLD(a_device_of_our_own_ca_registers_and_goes_on_by_its_certificate),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
