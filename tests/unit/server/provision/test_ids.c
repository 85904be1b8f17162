/* SPDX-License-Identifier: Apache-2.0 */
/* provision/test_ids.c - names, the ID scope, and whether an uploaded CA's key is proved */
#include "world.h"

#include "core/pki/der.h"
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

/* What is wrong with a certificate of version 1; nothing: it proves the key. */
struct old {
	const struct made *signer, *named; /* whose key signed, and who is the issuer by name */
	const char *cn;
	int64_t from, to;
	const char *extra;                 /* octets behind the key, where there are none in version 1 */
	size_t n;
	bool v2;
};

/* As `openssl x509 -req` makes it without an extension file. */
static void
make_old(struct buf *out, const struct old *o)
{
	static const char ecdsa_sha256[] = "\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x02";
	AUTO(key) own = NULL;
	AUTO_BUF tbs = { 0 };
	struct name subject = { 0 };
	size_t whole, validity;

	assert_int_equal(key_generate(&own, KEY_EC_P256, NULL), 0);
	assert_int_equal(name_add(&subject, OID_CN, o->cn, NULL), 0);
	whole = der_begin(&tbs, DER_SEQUENCE);
	if (o->v2)
		buf_put(&tbs, "\xa0\x03\x02\x01\x01", 5);
	buf_put(&tbs, "\x02\x01\x07", 3);
	buf_put(&tbs, ecdsa_sha256, sizeof(ecdsa_sha256) - 1);
	buf_put_bytes(&tbs, bytes_of_buf(&o->named->subject));
	validity = der_begin(&tbs, DER_SEQUENCE);
	der_put_time(&tbs, o->from);
	der_put_time(&tbs, o->to);
	der_finish(&tbs, validity);
	name_encode(&tbs, &subject);
	buf_put_bytes(&tbs, key_spki(own));
	buf_put(&tbs, o->extra, o->n);
	der_finish(&tbs, whole);
	buf_reset(out);
	kit_sign(out, &tbs, o->signer->key);
}

static void
a_proof_of_version_1_is_held_to_the_same(void **state)
{
	struct made ca, other, ended;
	struct recipe r = kit_root;
	AUTO_BUF der = { 0 };
	struct old right = { .signer = &ca, .named = &ca, .cn = "4711", .from = T0 - DAYS, .to = T0 + DAYS, .extra = "" };
	struct old wrong[7];

	(void)state;
	kit_make(&ca, &kit_root, NULL);
	r.subject = "CN=Other";
	kit_make(&other, &r, NULL);
	r.to = T0 - 1;
	kit_make(&ended, &r, NULL);
	make_old(&der, &right);
	assert_int_equal(provision_check_proof(kit_der(&ca), bytes_of_buf(&der), "4711", T0, NULL), 0);
	assert_int_equal(provision_check_proof(kit_der(&other), bytes_of_buf(&der), "4711", T0, NULL), E_AUTH);
	for (size_t i = 0; i < N_OF(wrong); i++)
		wrong[i] = right;
	wrong[0].signer = &other;
	wrong[1].named = &other;
	wrong[2].cn = "47110";
	wrong[3].to = T0 - 1;
	wrong[4].from = T0 + 1;
	wrong[5].extra = "\x81\x02\x00\x01"; /* issuerUniqueID, of version 2 */
	wrong[5].n = 4;
	wrong[6].v2 = true;
	for (size_t i = 0; i < N_OF(wrong); i++) {
		make_old(&der, &wrong[i]);
		if (provision_check_proof(kit_der(&ca), bytes_of_buf(&der), "4711", T0, NULL) != E_AUTH)
			fail_msg("wrong %zu was taken", i);
	}
	right.signer = right.named = &ended;
	make_old(&der, &right);
	assert_int_equal(provision_check_proof(kit_der(&ended), bytes_of_buf(&der), "4711", T0, NULL), E_AUTH);
	made_free(&ca);
	made_free(&other);
	made_free(&ended);
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
		cmocka_unit_test(a_proof_of_version_1_is_held_to_the_same),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
