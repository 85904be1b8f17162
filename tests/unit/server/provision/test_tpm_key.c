/* SPDX-License-Identifier: Apache-2.0 */
/* provision/test_tpm_key.c - a TPM is given a key, proves it once in time, and keeps it until the next one is proved */
#include "world.h"

#define KEY_LEN 32

/* The key of the record as the TPM would find it in the answer; i 0: the proved one, 1: the new one. */
static struct bytes
key_of(size_t i)
{
	static struct buf plain[2];
	struct registration_row r = { 0 };
	char what[PROVISION_WHAT_MAX];

	buf_reset(&plain[i]);
	assert_int_equal(registration_row_by_name(db, "solo-tpm", &r, NULL), 0);
	assert_int_equal(provision_open(&plain[i], fleet, provision_what_registration(what, "solo-tpm"), bytes_of_buf(&r.key), NULL), 0);
	registration_row_clear(&r);
	return plain[i].p[i] == 1 ? bytes_slice(bytes_of_buf(&plain[i]), 2 + i * KEY_LEN, KEY_LEN) : (struct bytes){ 0 };
}

static const struct proto_ask *
first_question(void)
{
	struct proto_ask *q = question(ASK_REGISTER, "solo-tpm");

	q->ek = bytes_of_buf(&tpm_ek);
	q->srk = bytes_of_buf(&tpm_srk);
	return q;
}

/* The TPM signs with this key, a token that is good at `now`. */
static struct proto_ask *
signed_question(enum ask_op op, struct bytes key, int64_t now)
{
	struct proto_ask *q = question(op, "solo-tpm");
	char resource[ASK_SR_MAX];

	(void)snprintf(resource, sizeof(resource), "%s/registrations/solo-tpm", scope);
	fill_token(&q->token, resource, now + 30, "registration");
	sign(&q->token, key);
	return q;
}

static void
challenge(int64_t now)
{
	assert_int_equal(ask_at(first_question(), now, true)->status, 401);
	assert_string_equal(outcome.reason, "ok.tpm-challenge");
	assert_true(strlen(told("authenticationKey")) > 100);
}

static struct bytes
copy(struct bytes key)
{
	static uint8_t kept[4][KEY_LEN];
	static size_t n;
	uint8_t *to = kept[n++ % 4];

	assert_int_equal(key.n, KEY_LEN);
	memcpy(to, key.p, KEY_LEN);
	return (struct bytes){ to, KEY_LEN };
}

static void
a_tpm_that_signs_with_its_key_is_registered(void **state)
{
	struct registration_row r = { 0 };
	struct bytes key;

	(void)state;
	challenge(NOW);
	assert_int_equal(registration_row_by_name(db, "solo-tpm", &r, NULL), 0);
	assert_string_equal(r.status, "unassigned");
	assert_true(r.key_expires == NOW + PROVISION_NONCE_S && r.hub[0] == 0);
	registration_row_clear(&r);
	key = copy(key_of(1));
	assert_int_equal(ask_at(signed_question(ASK_REGISTER, key, NOW + 570), NOW + PROVISION_NONCE_S - 1, true)->status, 202);
	assert_int_equal(registration_row_by_name(db, "solo-tpm", &r, NULL), 0);
	assert_string_equal(r.status, "assigned");
	assert_true(r.key_expires == 0);
	registration_row_clear(&r);
	/* Proved, it may be used as long as it is not replaced. */
	assert_int_equal(ask_at(signed_question(ASK_REGISTRATION, key, NOW + 90000), NOW + 90000, true)->status, 200);
	assert_int_equal(ask_at(signed_question(ASK_REGISTER, key, NOW + 90000), NOW + 90000, true)->status, 202);
}

static void
it_may_ask_the_hub_with_the_same_key(void **state)
{
	struct proto_ask *q;
	struct bytes key;

	(void)state;
	challenge(NOW);
	key = copy(key_of(1));
	q = question(ASK_MODULE_LIST, "solo-tpm");
	fill_token(&q->token, HUB_A "/devices/solo-tpm", NOW + 30, "");
	sign(&q->token, key);
	assert_int_equal(ask_at(q, NOW, true)->status, 401); /* not before it registered */
	assert_int_equal(ask_at(signed_question(ASK_REGISTER, key, NOW), NOW, true)->status, 202);
	q = question(ASK_MODULE_LIST, "solo-tpm");
	fill_token(&q->token, HUB_A "/devices/solo-tpm", NOW + 30, "");
	sign(&q->token, key);
	assert_int_equal(ask_at(q, NOW, true)->status, 200);
}

static void
a_late_proof_is_none(void **state)
{
	(void)state;
	challenge(NOW);
	assert_int_equal(ask_at(signed_question(ASK_REGISTER, copy(key_of(1)), NOW + PROVISION_NONCE_S), NOW + PROVISION_NONCE_S, true)->status, 401);
	assert_string_equal(outcome.reason, "dps.tpm-late");
	assert_null(told("authenticationKey"));
}

static void
a_key_that_was_replaced_proves_nothing(void **state)
{
	struct bytes first;

	(void)state;
	challenge(NOW);
	first = copy(key_of(1));
	challenge(NOW + PROVISION_NONCE_S);
	assert_memory_not_equal(first.p, key_of(1).p, KEY_LEN);
	assert_int_equal(ask_at(signed_question(ASK_REGISTER, first, NOW + PROVISION_NONCE_S), NOW + PROVISION_NONCE_S, true)->status, 401);
	assert_string_equal(outcome.reason, "dps.token-signature");
}

/* Anybody may know the public half of an endorsement key. */
static void
who_asks_in_its_name_disturbs_neither_proof_nor_use(void **state)
{
	struct bytes key, next;

	(void)state;
	challenge(NOW);
	key = copy(key_of(1));
	challenge(NOW + 10); /* the same key, in another wrapping; nothing is written */
	assert_false(outcome.put_registration);
	assert_int_equal(ask_at(signed_question(ASK_REGISTER, key, NOW + 20), NOW + 20, true)->status, 202);
	challenge(NOW + 30);
	next = copy(key_of(1));
	assert_memory_not_equal(key.p, next.p, KEY_LEN);
	assert_int_equal(ask_at(signed_question(ASK_REGISTRATION, key, NOW + 40), NOW + 40, true)->status, 200);
	assert_string_equal(told("status"), "assigned");
	/* When the new one is proved, the old one goes; also by a mere poll. */
	assert_int_equal(ask_at(signed_question(ASK_REGISTRATION, next, NOW + 50), NOW + 50, true)->status, 200);
	assert_false(outcome.silent);
	assert_int_equal(ask_at(signed_question(ASK_REGISTRATION, key, NOW + 60), NOW + 60, true)->status, 401);
	assert_int_equal(ask_at(signed_question(ASK_REGISTRATION, next, NOW + 60), NOW + 60, true)->status, 200);
}

static void
another_ek_gets_nothing(void **state)
{
	AUTO_BUF ek = { 0 };
	struct proto_ask *q = question(ASK_REGISTER, "solo-tpm");

	(void)state;
	put_tpm_public(&ek, true);
	q->ek = bytes_of_buf(&ek);
	q->srk = bytes_of_buf(&tpm_srk);
	assert_int_equal(ask_at(q, NOW, true)->status, 401);
	assert_string_equal(outcome.reason, "dps.tpm-other");
	assert_null(told("authenticationKey"));
	q->ek = bytes_of_buf(&tpm_ek);
	q->srk = bytes_of_buf(&ek); /* no storage key */
	assert_int_equal(ask_at(q, NOW, true)->status, 401);
	assert_string_equal(outcome.reason, "dps.tpm-key");
}

static void
other_tpm(struct enrolment_row *r)
{
	buf_reset(&r->ek);
	put_tpm_public(&r->ek, true);
}

static void
the_key_of_the_tpm_before_ends_with_its_enrolment(void **state)
{
	struct bytes key;

	(void)state;
	challenge(NOW);
	key = copy(key_of(1));
	assert_int_equal(ask_at(signed_question(ASK_REGISTER, key, NOW), NOW, true)->status, 202);
	change_enrolment(true, "solo-tpm", other_tpm);
	assert_int_equal(ask_at(signed_question(ASK_REGISTER, key, NOW), NOW, true)->status, 401);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		IN_WORLD(a_tpm_that_signs_with_its_key_is_registered),
		IN_WORLD(it_may_ask_the_hub_with_the_same_key),
		IN_WORLD(a_late_proof_is_none),
		IN_WORLD(a_key_that_was_replaced_proves_nothing),
		IN_WORLD(who_asks_in_its_name_disturbs_neither_proof_nor_use),
		IN_WORLD(another_ek_gets_nothing),
		IN_WORLD(the_key_of_the_tpm_before_ends_with_its_enrolment),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
