/* SPDX-License-Identifier: Apache-2.0 */
/* provision/test_ids.c - names, the ID scope, and whether an uploaded CA's key is proved */
#include "world.h"

#include "server/provision/ids.h"

static char *
repeat(char c, size_t n)
{
	static char text[300];

	memset(text, c, n);
	text[n] = 0;
	return text;
}

static void
registration_ids_are_of_their_own_characters(void **state)
{
	static const char *const good[] = { "a", "7", "dev-1", "a-", "A.b_c:d", "0-._:0", "x--" };
	static const char *const bad[] = { "", "-a", ".a", "_a", ":a", "a.", "a_", "a:", "a b", "a/b", "a%41", "\xc3\xa4", "a\n", "a+b", "..", "." };

	(void)state;
	for (size_t i = 0; i < N_OF(good); i++)
		assert_int_equal(provision_check_registration(good[i], NULL), 0);
	for (size_t i = 0; i < N_OF(bad); i++)
		if (provision_check_registration(bad[i], NULL) != E_FORMAT)
			fail_msg("'%s' was let in", bad[i]);
	assert_int_equal(provision_check_registration(repeat('a', 128), NULL), 0);
	assert_int_equal(provision_check_registration(repeat('a', 129), NULL), E_FORMAT);
}

static void
device_ids_are_of_the_hubs_characters(void **state)
{
	(void)state;
	assert_int_equal(provision_check_device("aZ0-.+%_#*?!(),:=@$'", NULL), 0);
	assert_int_equal(provision_check_device("$edgeAgent", NULL), 0);
	assert_int_equal(provision_check_device("", NULL), E_FORMAT);
	assert_int_equal(provision_check_device("a/b", NULL), E_FORMAT);
	assert_int_equal(provision_check_device("a b", NULL), E_FORMAT);
	assert_int_equal(provision_check_device("a\"", NULL), E_FORMAT);
	assert_int_equal(provision_check_device(repeat('?', 128), NULL), 0);
	assert_int_equal(provision_check_device(repeat('?', 129), NULL), E_FORMAT);
}

static void
a_hub_is_a_host_and_perhaps_a_port(void **state)
{
	static const char *const good[] = { "localhost", "localhost:8443", "hub.example", "HUB-1.example:1", "192.0.2.1:65535" };
	static const char *const bad[] = { "", ":1", "hub:", "hub:0", "hub:65536", "hub:x", "hub:1:2", "https://hub", "hub/x", "-hub", "hub-",
		"hub..x", ".hub", "hub.", "hub_1", "h ub", "[::1]:1" };

	(void)state;
	for (size_t i = 0; i < N_OF(good); i++)
		assert_int_equal(provision_check_hub(good[i], NULL), 0);
	for (size_t i = 0; i < N_OF(bad); i++)
		if (provision_check_hub(bad[i], NULL) != E_FORMAT)
			fail_msg("'%s' was let in", bad[i]);
	assert_int_equal(provision_check_hub(repeat('a', 64), NULL), E_FORMAT);
}

static void
case_is_folded_in_ascii_alone(void **state)
{
	char out[PROVISION_ID_MAX];

	(void)state;
	ids_lower(out, "AbZ-09._:[`{@");
	assert_string_equal(out, "abz-09._:[`{@");
	ids_lower(out, repeat('A', 200));
	assert_int_equal(strlen(out), PROVISION_ID_MAX - 1);
	assert_true(ids_equal("Dev-1", "dEV-1") && ids_equal("", ""));
	assert_false(ids_equal("dev-1", "dev-11") || ids_equal("dev-11", "dev-1") || ids_equal("@", "`") || ids_equal("[", "{"));
}

static void
the_scope_is_made_once_and_kept(void **state)
{
	char first[ASK_ID_MAX], again[ASK_ID_MAX];

	(void)state;
	assert_int_equal(open_db(state), 0);
	assert_int_equal(provision_scope(first, db, false, NULL), E_NOTFOUND);
	assert_int_equal(provision_scope(first, db, true, NULL), 0);
	assert_int_equal(strlen(first), 11);
	assert_int_equal(strncmp(first, "0ne", 3), 0);
	assert_int_equal(strspn(first + 3, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"), 8);
	assert_int_equal(provision_scope(again, db, true, NULL), 0);
	assert_string_equal(again, first);
	assert_int_equal(provision_scope(again, db, false, NULL), 0);
	assert_string_equal(again, first);
	assert_int_equal(close_db(state), 0);
}

/* A certificate that the CA issued, with this CN. */
static void
make_proof(struct made *m, const struct made *ca, const char *subject, int64_t to)
{
	struct recipe r = kit_device;

	r.subject = subject;
	r.to = to;
	kit_make(m, &r, ca);
}

static void
a_proof_is_issued_by_that_ca_to_that_code_in_its_time(void **state)
{
	struct made ca, other, right, wrong_code, wrong_ca, ended, self;
	struct recipe r = kit_root;

	(void)state;
	kit_make(&ca, &kit_root, NULL);
	r.subject = "CN=4711";
	kit_make(&self, &r, NULL);
	kit_make(&other, &kit_root, NULL); /* the same name, another key */
	make_proof(&right, &ca, "CN=4711", T0 + DAYS);
	make_proof(&wrong_code, &ca, "CN=47110", T0 + DAYS);
	make_proof(&wrong_ca, &other, "CN=4711", T0 + DAYS);
	make_proof(&ended, &ca, "CN=4711", T0 - 1);
	assert_int_equal(provision_check_proof(kit_der(&ca), kit_der(&right), "4711", T0, NULL), 0);
	assert_int_equal(provision_check_proof(kit_der(&ca), kit_der(&wrong_code), "4711", T0, NULL), E_AUTH);
	assert_int_equal(provision_check_proof(kit_der(&ca), kit_der(&wrong_ca), "4711", T0, NULL), E_AUTH);
	assert_int_equal(provision_check_proof(kit_der(&ca), kit_der(&ended), "4711", T0, NULL), E_AUTH);
	assert_int_equal(provision_check_proof(kit_der(&ca), kit_der(&ca), "Root", T0, NULL), E_AUTH);
	assert_int_equal(provision_check_proof(kit_der(&self), kit_der(&self), "4711", T0, NULL), E_AUTH);
	assert_int_equal(provision_check_proof(kit_der(&ca), kit_der(&right), "", T0, NULL), E_AUTH);
	assert_int_equal(provision_check_proof(kit_der(&ca), bytes_of("junk"), "4711", T0, NULL), E_AUTH);
	made_free(&ca);
	made_free(&other);
	made_free(&right);
	made_free(&wrong_code);
	made_free(&wrong_ca);
	made_free(&ended);
	made_free(&self);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(registration_ids_are_of_their_own_characters),
		cmocka_unit_test(device_ids_are_of_the_hubs_characters),
		cmocka_unit_test(a_hub_is_a_host_and_perhaps_a_port),
		cmocka_unit_test(case_is_folded_in_ascii_alone),
		cmocka_unit_test(the_scope_is_made_once_and_kept),
		cmocka_unit_test(a_proof_is_issued_by_that_ca_to_that_code_in_its_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
