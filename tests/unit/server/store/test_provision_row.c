/* SPDX-License-Identifier: Apache-2.0 */
/* store/test_provision_row.c - what provisioning keeps: every member comes back, and what holds on to what */
#include "fresh_db.h"

#include "server/store/provision_row.h"

static void
put_text(struct buf *b, const char *text)
{
	buf_reset(b);
	buf_put_str(b, text);
}

static int64_t
add_dps_ca(const char *name, int n, int64_t parent)
{
	struct dps_ca_row r = { .parent = parent, .code = "4711", .created_at = NOW };
	int64_t id;

	(void)snprintf(r.name, sizeof(r.name), "%s", name);
	memset(r.sha256, n, sizeof(r.sha256));
	put_text(&r.der, name);
	assert_int_equal(dps_ca_row_insert(db, &r, NULL), 0);
	id = r.id;
	dps_ca_row_clear(&r);
	return id;
}

static struct enrolment_row
an_enrolment(bool individual, const char *name)
{
	struct enrolment_row r = { .individual = individual, .enabled = true, .attestation = "symmetric", .allocation = "static",
		.reprovision = "never", .created_at = NOW, .updated_at = NOW };

	(void)snprintf(r.name, sizeof(r.name), "%s", name);
	return r;
}

static int64_t
add_enrolment(bool individual, const char *name, int64_t ca1, int64_t ca2)
{
	struct enrolment_row r = an_enrolment(individual, name);

	r.ca[0] = ca1;
	r.ca[1] = ca2;
	assert_int_equal(enrolment_row_insert(db, &r, NULL), 0);
	return r.id;
}

static int64_t
add_registration(const char *id, const char *device, int64_t enrolment, const char *hub)
{
	struct registration_row r = { .enrolment = enrolment, .status = "assigned", .created_at = NOW, .updated_at = NOW };

	(void)snprintf(r.registration, sizeof(r.registration), "%s", id);
	(void)snprintf(r.device_id, sizeof(r.device_id), "%s", device);
	(void)snprintf(r.hub, sizeof(r.hub), "%s", hub);
	assert_int_equal(registration_row_put(db, &r, NULL), 0);
	return r.id;
}

static void
an_uploaded_ca_comes_back_by_name_id_and_digest(void **state)
{
	struct dps_ca_row r = { 0 };
	uint8_t digest[ROW_HASH_LEN];
	int64_t root = add_dps_ca("root", 1, 0), sub = add_dps_ca("sub", 2, root);

	(void)state;
	assert_int_equal(dps_ca_row_by_name(db, "sub", &r, NULL), 0);
	assert_true(r.id == sub && r.parent == root && !r.verified && r.created_at == NOW && r.groups == 0);
	assert_string_equal(r.code, "4711");
	assert_string_equal(buf_str(&r.der), "sub");
	assert_int_equal(dps_ca_row_verify(db, sub, NOW + 5, NULL), 0);
	memset(digest, 2, sizeof(digest));
	assert_int_equal(dps_ca_row_by_sha256(db, digest, &r, NULL), 0);
	assert_true(r.id == sub && r.verified && r.verified_at == NOW + 5 && r.code[0] == 0);
	assert_int_equal(dps_ca_row_set_parent(db, sub, 0, NULL), 0);
	assert_int_equal(dps_ca_row_by_id(db, sub, &r, NULL), 0);
	assert_true(r.parent == 0);
	assert_int_equal(dps_ca_row_by_name(db, "none", &r, NULL), E_NOTFOUND);
	assert_int_equal(dps_ca_row_verify(db, 4711, NOW, NULL), E_NOTFOUND);
	dps_ca_row_clear(&r);
}

static void
a_ca_is_there_once_and_stays_while_a_group_names_it(void **state)
{
	struct dps_ca_row twin = { .name = "twin" }, r = { 0 };
	int64_t root = add_dps_ca("root", 1, 0), sub = add_dps_ca("sub", 2, root), next;

	(void)state;
	memset(twin.sha256, 1, sizeof(twin.sha256));
	put_text(&twin.der, "twin");
	assert_int_equal(dps_ca_row_insert(db, &twin, NULL), E_EXISTS);
	(void)add_enrolment(false, "g", 0, sub);
	assert_int_equal(dps_ca_row_by_name(db, "sub", &r, NULL), 0);
	assert_int_equal(r.groups, 1);
	assert_int_equal(dps_ca_row_remove(db, sub, NULL), E_EXISTS);
	/* What stood below it loses the way up; an id never comes back. */
	assert_int_equal(dps_ca_row_remove(db, root, NULL), 0);
	assert_int_equal(dps_ca_row_by_id(db, sub, &r, NULL), 0);
	assert_true(r.parent == 0);
	assert_int_equal(dps_ca_row_remove(db, root, NULL), E_NOTFOUND);
	next = add_dps_ca("next", 3, 0);
	assert_int_equal(dps_ca_row_remove(db, next, NULL), 0);
	assert_true(add_dps_ca("again", 3, 0) > next);
	dps_ca_row_clear(&r);
	dps_ca_row_clear(&twin);
}

static void
every_member_of_an_enrolment_comes_back(void **state)
{
	struct enrolment_row r = an_enrolment(true, "dev-7"), got = { 0 };
	int64_t ca = add_dps_ca("root", 1, 0);

	(void)state;
	r.ca[1] = ca;
	r.has_cert[1] = true;
	memset(r.cert[1], 9, sizeof(r.cert[1]));
	put_text(&r.key[0], "k0");
	put_text(&r.key[1], "k1");
	put_text(&r.ek, "ek");
	put_text(&r.payload, "{}");
	(void)snprintf(r.device_id, sizeof(r.device_id), "Dev");
	(void)snprintf(r.hubs, sizeof(r.hubs), "a b");
	(void)snprintf(r.webhook, sizeof(r.webhook), "https://w");
	(void)snprintf(r.label, sizeof(r.label), "l");
	r.edge = true;
	assert_int_equal(enrolment_row_insert(db, &r, NULL), 0);
	assert_int_equal(enrolment_row_by_name(db, false, "dev-7", &got, NULL), E_NOTFOUND);
	assert_int_equal(enrolment_row_by_name(db, true, "dev-7", &got, NULL), 0);
	assert_true(got.id == r.id && got.individual && got.enabled && got.edge && got.ca[0] == 0 && got.ca[1] == ca);
	assert_true(!got.has_cert[0] && got.has_cert[1] && got.cert[1][31] == 9);
	assert_string_equal(buf_str(&got.key[0]), "k0");
	assert_string_equal(buf_str(&got.key[1]), "k1");
	assert_string_equal(buf_str(&got.ek), "ek");
	assert_string_equal(buf_str(&got.payload), "{}");
	assert_string_equal(got.device_id, "Dev");
	assert_string_equal(got.hubs, "a b");
	assert_string_equal(got.webhook, "https://w");
	assert_string_equal(got.label, "l");
	assert_string_equal(got.attestation, "symmetric");
	assert_string_equal(got.allocation, "static");
	assert_string_equal(got.reprovision, "never");
	got.enabled = got.has_cert[1] = false;
	buf_free(&got.key[1]);
	got.updated_at = NOW + 9;
	assert_int_equal(enrolment_row_update(db, &got, NULL), 0);
	assert_int_equal(enrolment_row_by_id(db, r.id, &got, NULL), 0);
	assert_true(!got.enabled && !got.has_cert[1] && got.key[1].n == 0 && got.updated_at == NOW + 9 && got.created_at == NOW);
	assert_int_equal(enrolment_row_insert(db, &r, NULL), E_EXISTS);
	enrolment_row_clear(&r);
	enrolment_row_clear(&got);
}

static void
an_enrolment_stays_while_devices_registered_by_it(void **state)
{
	struct enrolment_row r = { 0 };
	int64_t id = add_enrolment(false, "g", 0, 0);

	(void)state;
	(void)add_registration("dev-7", "dev-7", id, "hub");
	assert_int_equal(enrolment_row_by_name(db, false, "g", &r, NULL), 0);
	assert_int_equal(r.registrations, 1);
	assert_int_equal(enrolment_row_remove(db, id, NULL), E_EXISTS);
	assert_int_equal(registration_row_remove(db, "dev-7", NULL), 0);
	assert_int_equal(enrolment_row_remove(db, id, NULL), 0);
	assert_int_equal(enrolment_row_remove(db, id, NULL), E_NOTFOUND);
	enrolment_row_clear(&r);
}

static char names[200];

static int
add_name(void *ctx, struct enrolment_row *r)
{
	(void)ctx;
	(void)snprintf(names + strlen(names), sizeof(names) - strlen(names), "%s ", r->name);
	return 0;
}

static void
groups_are_found_by_attestation_and_by_ca(void **state)
{
	int64_t a = add_dps_ca("a", 1, 0), b = add_dps_ca("b", 2, 0);

	(void)state;
	(void)add_enrolment(false, "g1", a, 0);
	(void)add_enrolment(false, "g2", b, a);
	(void)add_enrolment(false, "g3", b, 0);
	(void)add_enrolment(true, "solo", a, 0);
	names[0] = 0;
	assert_int_equal(enrolment_row_groups_of_ca(db, a, add_name, NULL, NULL), 0);
	assert_string_equal(names, "g1 g2 ");
	names[0] = 0;
	assert_int_equal(enrolment_row_groups(db, "symmetric", add_name, NULL, NULL), 0);
	assert_string_equal(names, "g1 g2 g3 ");
	names[0] = 0;
	assert_int_equal(enrolment_row_groups(db, "x509", add_name, NULL, NULL), 0);
	assert_string_equal(names, "");
	assert_int_equal(enrolment_row_list(db, false, NULL, 1, 1, add_name, NULL, NULL), 0);
	assert_string_equal(names, "g2 ");
	names[0] = 0;
	assert_int_equal(enrolment_row_list(db, true, "symmetric", 0, -1, add_name, NULL, NULL), 0);
	assert_string_equal(names, "solo ");
}

static void
a_registration_is_put_by_its_name_and_keeps_its_id_and_birth(void **state)
{
	struct registration_row r = { .registration = "dev-7", .device_id = "Dev-7", .hub = "hub", .status = "failed", .substatus =
		"reprovisionedToInitialAssignment", .operation = "op", .error_code = 400207, .error_text = "why", .has_cert = true,
		.key_expires = 5, .issued = true, .created_at = NOW, .updated_at = NOW + 1 }, got = { 0 };
	int64_t id;

	(void)state;
	r.enrolment = add_enrolment(true, "dev-7", 0, 0);
	memset(r.cert, 3, sizeof(r.cert));
	put_text(&r.key, "key");
	put_text(&r.payload, "7");
	assert_int_equal(registration_row_put(db, &r, NULL), 0);
	id = r.id;
	assert_int_equal(registration_row_by_name(db, "dev-7", &got, NULL), 0);
	assert_true(got.id == id && got.enrolment == r.enrolment && got.individual && got.has_cert && got.cert[0] == 3 && got.issued);
	assert_true(got.error_code == 400207 && got.key_expires == 5 && got.created_at == NOW && got.updated_at == NOW + 1);
	assert_string_equal(got.enrolment_name, "dev-7");
	assert_string_equal(got.substatus, "reprovisionedToInitialAssignment");
	assert_string_equal(got.operation, "op");
	assert_string_equal(got.error_text, "why");
	assert_string_equal(buf_str(&got.key), "key");
	assert_string_equal(buf_str(&got.payload), "7");
	got.id = 0;
	got.created_at = NOW + 99; /* which it keeps */
	got.has_cert = false;
	got.enrolment = 0;
	assert_int_equal(registration_row_put(db, &got, NULL), 0);
	assert_true(got.id == id);
	assert_int_equal(registration_row_by_name(db, "dev-7", &got, NULL), 0);
	assert_true(got.created_at == NOW && !got.has_cert && got.enrolment == 0 && got.enrolment_name[0] == 0);
	registration_row_clear(&r);
	registration_row_clear(&got);
}

static void
a_device_is_found_octet_for_octet_but_is_one_in_any_case(void **state)
{
	struct registration_row r = { .registration = "other", .device_id = "DEV-7" };
	bool taken;

	(void)state;
	(void)add_registration("dev-7", "Dev-7", 0, "hub");
	assert_int_equal(registration_row_by_device(db, "dev-7", &r, NULL), E_NOTFOUND);
	assert_int_equal(registration_row_taken(db, "dev-7", "other", &taken, NULL), 0);
	assert_true(taken);
	assert_int_equal(registration_row_taken(db, "dev-7", "dev-7", &taken, NULL), 0);
	assert_false(taken);
	assert_int_equal(registration_row_put(db, &r, NULL), E_EXISTS);
	assert_int_equal(registration_row_by_device(db, "Dev-7", &r, NULL), 0);
	assert_string_equal(r.registration, "dev-7");
	registration_row_clear(&r);
}

static int
add_id(void *ctx, struct registration_row *r)
{
	(void)ctx;
	(void)snprintf(names + strlen(names), sizeof(names) - strlen(names), "%s ", r->registration);
	return 0;
}

static void
registrations_are_listed_newest_first(void **state)
{
	int64_t g = add_enrolment(false, "g", 0, 0), last;

	(void)state;
	(void)add_registration("a-1", "a-1", g, "hub");
	(void)add_registration("a-2", "a-2", 0, "hub");
	last = add_registration("b-1", "b-1", g, "hub");
	names[0] = 0;
	assert_int_equal(registration_row_list(db, NULL, 0, NULL, 0, 10, add_id, NULL, NULL), 0);
	assert_string_equal(names, "b-1 a-2 a-1 ");
	names[0] = 0;
	assert_int_equal(registration_row_list(db, "a-", g, "assigned", 0, 10, add_id, NULL, NULL), 0);
	assert_string_equal(names, "a-1 ");
	names[0] = 0;
	assert_int_equal(registration_row_list(db, NULL, 0, NULL, last, 1, add_id, NULL, NULL), 0);
	assert_string_equal(names, "a-2 ");
	names[0] = 0;
	assert_int_equal(registration_row_list(db, NULL, 0, "failed", 0, 10, add_id, NULL, NULL), 0);
	assert_string_equal(names, "");
}

static int
add_hub_name(void *ctx, struct hub_row *r)
{
	*(int64_t *)ctx += r->devices;
	(void)snprintf(names + strlen(names), sizeof(names) - strlen(names), "%.60s ", r->name);
	return 0;
}

static void
a_hub_is_one_in_any_case_and_stays_while_it_has_devices(void **state)
{
	struct hub_row r = { .name = "Hub-a:8443", .weight = 3, .latency_ms = 20, .enabled = true, .created_at = NOW }, twin = r, got;
	int64_t devices = 0;

	(void)state;
	assert_int_equal(hub_row_insert(db, &r, NULL), 0);
	(void)snprintf(twin.name, sizeof(twin.name), "hub-A:8443");
	assert_int_equal(hub_row_insert(db, &twin, NULL), E_EXISTS);
	(void)snprintf(twin.name, sizeof(twin.name), "hub-b");
	assert_int_equal(hub_row_insert(db, &twin, NULL), 0);
	(void)add_registration("dev-7", "dev-7", 0, "hub-a:8443");
	assert_int_equal(hub_row_by_name(db, "HUB-A:8443", &got, NULL), 0);
	assert_true(got.id == r.id && got.weight == 3 && got.latency_ms == 20 && got.enabled && got.devices == 1);
	assert_int_equal(hub_row_remove(db, "hub-a:8443", NULL), E_EXISTS);
	got.enabled = false;
	got.weight = 9;
	assert_int_equal(hub_row_update(db, &got, NULL), 0);
	assert_int_equal(hub_row_by_name(db, "hub-a:8443", &got, NULL), 0);
	assert_true(!got.enabled && got.weight == 9);
	names[0] = 0;
	assert_int_equal(hub_row_each(db, add_hub_name, &devices, NULL), 0);
	assert_string_equal(names, "Hub-a:8443 hub-b ");
	assert_int_equal(devices, 1);
	assert_int_equal(hub_row_scan(db, add_hub_name, &devices, NULL), 0);
	assert_int_equal(devices, 1);
	assert_int_equal(hub_row_remove(db, "hub-b", NULL), 0);
	assert_int_equal(hub_row_remove(db, "hub-b", NULL), E_NOTFOUND);
}

static int
add_module_name(void *ctx, struct module_row *r)
{
	(void)ctx;
	(void)snprintf(names + strlen(names), sizeof(names) - strlen(names), "%s ", r->module);
	return 0;
}

static void
modules_are_of_one_device_and_go_with_it(void **state)
{
	struct module_row r = { .device = "Dev", .module = "b", .generation = "1", .managed_by = "iotEdge", .created_at = NOW, .updated_at = NOW };
	struct module_row other = { .device = "dev", .module = "b", .generation = "2" }, got = { 0 };
	int64_t n = 0;

	(void)state;
	put_text(&r.key[0], "k0");
	put_text(&r.key[1], "k1");
	assert_int_equal(module_row_put(db, &r, NULL), 0);
	assert_int_equal(module_row_put(db, &other, NULL), 0); /* case counts */
	(void)snprintf(r.module, sizeof(r.module), "a");
	assert_int_equal(module_row_put(db, &r, NULL), 0);
	r.updated_at = NOW + 7;
	assert_int_equal(module_row_put(db, &r, NULL), 0);
	assert_int_equal(module_row_count(db, "Dev", &n, NULL), 0);
	assert_int_equal(n, 2);
	names[0] = 0;
	assert_int_equal(module_row_each(db, "Dev", add_module_name, NULL, NULL), 0);
	assert_string_equal(names, "a b ");
	assert_int_equal(module_row_by_name(db, "Dev", "a", &got, NULL), 0);
	assert_true(got.updated_at == NOW + 7 && got.id == r.id);
	assert_string_equal(got.managed_by, "iotEdge");
	assert_string_equal(buf_str(&got.key[1]), "k1");
	assert_int_equal(module_row_remove(db, "Dev", "c", NULL), E_NOTFOUND);
	(void)add_registration("x", "Dev", 0, "hub");
	assert_int_equal(registration_row_remove(db, "x", NULL), 0);
	assert_int_equal(module_row_count(db, "Dev", &n, NULL), 0);
	assert_int_equal(n, 0);
	assert_int_equal(module_row_count(db, "dev", &n, NULL), 0);
	assert_int_equal(n, 1);
	module_row_clear(&r);
	module_row_clear(&got);
}

static void
a_store_of_the_second_version_follows(void **state)
{
	static const char *const tables[] = { "DROP TABLE module", "DROP TABLE hub", "DROP TABLE registration", "DROP TABLE enrolment",
		"DROP TABLE dps_ca", "PRAGMA user_version = 2" };
	struct dps_ca_row r = { 0 };
	char state_of[16];
	int64_t id;

	(void)state;
	add_device("pump-1");
	for (size_t i = 0; i < N_OF(tables); i++)
		assert_int_equal(db_run(db, NULL, tables[i], ""), 0);
	db_free(db);
	db = NULL;
	assert_int_equal(db_open(&db, db_path, NULL), 0);
	assert_int_equal(device_row_find(db, "pump-1", &id, state_of, NULL), 0);
	assert_int_equal(dps_ca_row_by_name(db, "root", &r, NULL), E_NOTFOUND);
	(void)add_registration("dev-7", "dev-7", add_enrolment(false, "g", add_dps_ca("root", 1, 0), 0), "hub");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_DB(an_uploaded_ca_comes_back_by_name_id_and_digest),
		WITH_DB(a_ca_is_there_once_and_stays_while_a_group_names_it),
		WITH_DB(every_member_of_an_enrolment_comes_back),
		WITH_DB(an_enrolment_stays_while_devices_registered_by_it),
		WITH_DB(groups_are_found_by_attestation_and_by_ca),
		WITH_DB(a_registration_is_put_by_its_name_and_keeps_its_id_and_birth),
		WITH_DB(a_device_is_found_octet_for_octet_but_is_one_in_any_case),
		WITH_DB(registrations_are_listed_newest_first),
		WITH_DB(a_hub_is_one_in_any_case_and_stays_while_it_has_devices),
		WITH_DB(modules_are_of_one_device_and_go_with_it),
		WITH_DB(a_store_of_the_second_version_follows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
