/* SPDX-License-Identifier: Apache-2.0 */
/* proto/test_ask.c - shared access signatures taken apart, and questions of provisioning on their way */
#include "server/proto/ask.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "core/base/mem.h"

#define SIG     "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8%3D" /* 0, 1, ... 31 */
#define SR      "0ne00000001%2fregistrations%2fpump-7"
#define GOOD    "SharedAccessSignature sr=" SR "&sig=" SIG "&se=1790000000&skn=registration"

static enum ask_sas
state_of(const char *header)
{
	struct ask_token t;

	ask_token_parse(&t, header, header != NULL);
	return t.state;
}

static void
a_token_is_taken_apart_and_its_resource_decoded_once(void **state)
{
	struct ask_token t;

	(void)state;
	ask_token_parse(&t, GOOD, 1);
	assert_int_equal(t.state, ASK_SAS_GIVEN);
	assert_string_equal(t.sr, SR);
	assert_string_equal(t.resource, "0ne00000001/registrations/pump-7");
	assert_string_equal(t.se, "1790000000");
	assert_true(t.expires == 1790000000);
	assert_string_equal(t.skn, "registration");
	for (size_t i = 0; i < SHA256_LEN; i++)
		assert_int_equal(t.sig[i], i);
	ask_token_parse(&t, "SharedAccessSignature sr=a%2520b&sig=" SIG "&se=1", 1);
	assert_string_equal(t.resource, "a%20b");
}

static void
members_come_in_any_order_and_a_key_name_may_be_absent(void **state)
{
	struct ask_token t;

	(void)state;
	ask_token_parse(&t, "sharedaccesssignature se=1&skn=&sig=" SIG "&sr=x/y", 1);
	assert_int_equal(t.state, ASK_SAS_GIVEN);
	assert_string_equal(t.resource, "x/y");
	assert_string_equal(t.skn, "");
	assert_int_equal(state_of("SharedAccessSignature se=1&sig=" SIG "&sr=x"), ASK_SAS_GIVEN);
}

/* Some clients leave the signs of base64 as they are. */
static void
a_signature_may_stand_unescaped(void **state)
{
	struct ask_token t;

	(void)state;
	ask_token_parse(&t, "SharedAccessSignature sr=x&sig=++++++++++++++++++++++++++++++++++++++++++8=&se=1", 1);
	assert_int_equal(t.state, ASK_SAS_GIVEN);
	assert_int_equal(t.sig[0], 0xfb);
}

static void
what_is_no_whole_token_is_malformed_and_leaves_nothing(void **state)
{
	static const char *const bad[] = {
		"SharedAccessSignature ",
		"SharedAccessSignature sr=x&sig=" SIG,                       /* no end */
		"SharedAccessSignature sr=x&se=1",                           /* no signature */
		"SharedAccessSignature sig=" SIG "&se=1",                    /* no resource */
		"SharedAccessSignature sr=&sig=" SIG "&se=1",
		"SharedAccessSignature sr=x&sr=x&sig=" SIG "&se=1",          /* twice */
		"SharedAccessSignature sr=x&sig=" SIG "&se=1&se=2",
		"SharedAccessSignature sr=x&sig=" SIG "&se=1&",              /* an empty member */
		"SharedAccessSignature sr=x&sig=" SIG "&se=1&other=1",
		"SharedAccessSignature sr=x&sig=" SIG "&se=1&skn",
		"SharedAccessSignature SR=x&sig=" SIG "&se=1",
		"SharedAccessSignature sr=x&sig=AAECAw%3D%3D&se=1",          /* too short */
		"SharedAccessSignature sr=x&sig=" SIG "AAAA&se=1",           /* too long */
		"SharedAccessSignature sr=x&sig=!!!!&se=1",
		"SharedAccessSignature sr=x&sig=A%20ECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8%3D&se=1",
		"SharedAccessSignature sr=x&sig=" SIG "&se=-1",
		"SharedAccessSignature sr=x&sig=" SIG "&se=1e9",
		"SharedAccessSignature sr=x&sig=" SIG "&se=",
		"SharedAccessSignature sr=x&sig=" SIG "&se=9223372036854775808",
		"SharedAccessSignature sr=x&sig=" SIG "&se=000000000000000000000001",
		"SharedAccessSignature sr=%zz&sig=" SIG "&se=1",
		"SharedAccessSignature sr=x%&sig=" SIG "&se=1",
		"SharedAccessSignature sr=x%00y&sig=" SIG "&se=1",
		"SharedAccessSignature sr=x%0ay&sig=" SIG "&se=1",
		"SharedAccessSignature sr=x%ff&sig=" SIG "&se=1",
	};
	static const struct ask_token none = { .state = ASK_SAS_MALFORMED };
	struct ask_token t;

	(void)state;
	for (size_t i = 0; i < N_OF(bad); i++) {
		ask_token_parse(&t, bad[i], 1);
		if (memcmp(&t, &none, sizeof(t)) != 0)
			fail_msg("%s", bad[i]);
	}
}

static void
long_members_are_malformed(void **state)
{
	static const struct { const char *before, *after; size_t most; } rows[] = {
		{ "SharedAccessSignature sr=", "&sig=" SIG "&se=1", ASK_SR_MAX - 1 },
		{ "SharedAccessSignature sr=x&sig=" SIG "&se=1&skn=", "", 64 },
	};

	(void)state;
	for (size_t i = 0; i < N_OF(rows); i++)
		for (size_t n = rows[i].most; n <= rows[i].most + 1; n++) {
			AUTO_BUF b = { 0 };

			buf_put_str(&b, rows[i].before);
			for (size_t k = 0; k < n; k++)
				buf_put_u8(&b, 'a');
			buf_put_str(&b, rows[i].after);
			assert_int_equal(state_of(buf_str(&b)), n == rows[i].most ? ASK_SAS_GIVEN : ASK_SAS_MALFORMED);
		}
}

static void
no_header_two_headers_and_other_schemes_are_told_apart(void **state)
{
	struct ask_token t;

	(void)state;
	assert_int_equal(state_of(NULL), ASK_SAS_NONE);
	assert_int_equal(state_of("Basic cHVtcDpzZWNyZXQ="), ASK_SAS_OTHER_SCHEME);
	assert_int_equal(state_of("SharedAccessSignature"), ASK_SAS_OTHER_SCHEME);
	assert_int_equal(state_of(""), ASK_SAS_OTHER_SCHEME);
	ask_token_parse(&t, GOOD, 2);
	assert_int_equal(t.state, ASK_SAS_REPEATED);
	assert_string_equal(t.resource, "");
}

static void
fill(struct proto_ask *v)
{
	proto_clear_ask(v);
	v->op = ASK_MODULE_UPDATE;
	(void)snprintf(v->q.id, sizeof(v->q.id), "r1");
	v->q.op = EST_SIMPLEENROLL;
	v->q.csr_status = 400;
	ask_token_parse(&v->token, GOOD, 1);
	(void)snprintf(v->scope, sizeof(v->scope), "0ne00000001");
	(void)snprintf(v->registration, sizeof(v->registration), "pump-7");
	(void)snprintf(v->body_registration, sizeof(v->body_registration), "Pump-7");
	(void)snprintf(v->operation, sizeof(v->operation), "4.op");
	(void)snprintf(v->device, sizeof(v->device), "d");
	(void)snprintf(v->module, sizeof(v->module), "m");
	(void)snprintf(v->managed_by, sizeof(v->managed_by), "iotEdge");
	v->has_keys = 1;
	memset(v->key[0], 7, 32);
	v->key_n[0] = 32;
	memset(v->key[1], 8, 64);
	v->key_n[1] = 64;
	v->payload = bytes_of("{\"a\":1}");
	v->ek = bytes_of("ek");
	v->srk = bytes_of("srk");
}

static void
a_question_goes_round_unchanged(void **state)
{
	static struct proto_ask v, got;
	AUTO_BUF b = { 0 };
	AUTO_BUF again = { 0 };

	(void)state;
	fill(&v);
	proto_put_ask(&b, &v);
	assert_int_equal(proto_get_ask(&got, bytes_of_buf(&b), NULL), 0);
	assert_int_equal(got.op, ASK_MODULE_UPDATE);
	assert_string_equal(got.q.id, "r1");
	assert_memory_equal(&got.token, &v.token, sizeof(v.token));
	assert_string_equal(got.body_registration, "Pump-7");
	assert_string_equal(got.managed_by, "iotEdge");
	assert_int_equal(got.key_n[1], 64);
	assert_memory_equal(got.key[1], v.key[1], 64);
	assert_true(bytes_equal_str(got.srk, "srk"));
	proto_put_ask(&again, &got);
	assert_true(bytes_equal(bytes_of_buf(&b), bytes_of_buf(&again)));
}

/* A front that was taken over must not make an old token, or that of another resource, say what it likes. */
static void
a_front_cannot_say_what_a_token_is_for_or_until_when(void **state)
{
	static struct proto_ask v, got;
	AUTO_BUF b = { 0 };

	(void)state;
	fill(&v);
	(void)snprintf(v.token.resource, sizeof(v.token.resource), "hub.example/devices/other");
	v.token.expires = 1999999999;
	proto_put_ask(&b, &v);
	assert_int_equal(proto_get_ask(&got, bytes_of_buf(&b), NULL), 0);
	assert_string_equal(got.token.resource, "0ne00000001/registrations/pump-7");
	assert_true(got.token.expires == 1790000000);
}

static void
a_question_of_any_other_length_is_refused_and_leaves_nothing(void **state)
{
	static struct proto_ask v, got;
	static const struct proto_ask none;
	AUTO_BUF b = { 0 };

	(void)state;
	fill(&v);
	proto_put_ask(&b, &v);
	for (size_t n = 0; n <= b.n + 1; n++) {
		uint8_t *cut = mem_zalloc(b.n + 1);

		memcpy(cut, b.p, n < b.n ? n : b.n);
		if (n != b.n) {
			assert_int_equal(proto_get_ask(&got, (struct bytes){ cut, n }, NULL), E_FORMAT);
			assert_memory_equal(&got, &none, sizeof(none));
		}
		mem_free(cut);
	}
}

static int
result_of(const struct proto_ask *v)
{
	static struct proto_ask got;
	AUTO_BUF b = { 0 };

	proto_put_ask(&b, v);
	return proto_get_ask(&got, bytes_of_buf(&b), NULL);
}

static void
values_outside_their_ranges_are_refused(void **state)
{
	static struct proto_ask v;

	(void)state;
	fill(&v);
	assert_int_equal(result_of(&v), 0);
	v.op = ASK_NONE;
	assert_int_equal(result_of(&v), E_FORMAT);
	v.op = ASK_OP_COUNT;
	assert_int_equal(result_of(&v), E_FORMAT);
	fill(&v);
	v.token.state = ASK_SAS_COUNT;
	assert_int_equal(result_of(&v), E_FORMAT);
	fill(&v);
	v.token.sr[0] = 0;
	assert_int_equal(result_of(&v), E_FORMAT);
	fill(&v);
	(void)snprintf(v.token.sr, sizeof(v.token.sr), "x%%0ay");
	assert_int_equal(result_of(&v), E_FORMAT);
	fill(&v);
	(void)snprintf(v.token.se, sizeof(v.token.se), "1e9");
	assert_int_equal(result_of(&v), E_FORMAT);
	fill(&v);
	v.has_csr = 2;
	assert_int_equal(result_of(&v), E_FORMAT);
	fill(&v);
	v.has_keys = 0; /* and yet there are some */
	assert_int_equal(result_of(&v), E_FORMAT);
	fill(&v);
	v.registration[0] = '\n';
	assert_int_equal(result_of(&v), E_FORMAT);
	fill(&v);
	v.q.op = EST_NONE; /* inside: proto_get_enrol() has its say */
	assert_int_equal(result_of(&v), E_FORMAT);
}

static void
an_answer_goes_round_and_makes_sense(void **state)
{
	static const struct { unsigned status; const char *body; int want; } rows[] = {
		{ 200, "{}", 0 }, { 202, "{}", 0 }, { 204, "", 0 }, { 401, "{}", 0 }, { 503, "", 0 },
		{ 204, "{}", E_FORMAT }, { 302, "", E_FORMAT }, { 199, "", E_FORMAT }, { 600, "", E_FORMAT },
	};

	(void)state;
	for (size_t i = 0; i < N_OF(rows); i++) {
		struct proto_asked v = { .status = rows[i].status, .retry_after_s = 3, .reason = "ok", .body = bytes_of(rows[i].body) }, got;
		AUTO_BUF b = { 0 };

		proto_put_asked(&b, &v);
		assert_int_equal(proto_get_asked(&got, bytes_of_buf(&b), NULL), rows[i].want);
		if (rows[i].want == 0)
			assert_true(got.status == rows[i].status && got.retry_after_s == 3 && bytes_equal_str(got.body, rows[i].body));
	}
}

static void
every_call_has_a_name(void **state)
{
	(void)state;
	for (int op = ASK_REGISTER; op < ASK_OP_COUNT; op++)
		assert_string_not_equal(ask_op_name((enum ask_op)op), "none");
	assert_string_equal(ask_op_name(ASK_NONE), "none");
	assert_string_equal(ask_op_name(ASK_OP_COUNT), "none");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_token_is_taken_apart_and_its_resource_decoded_once),
		cmocka_unit_test(members_come_in_any_order_and_a_key_name_may_be_absent),
		cmocka_unit_test(a_signature_may_stand_unescaped),
		cmocka_unit_test(what_is_no_whole_token_is_malformed_and_leaves_nothing),
		cmocka_unit_test(long_members_are_malformed),
		cmocka_unit_test(no_header_two_headers_and_other_schemes_are_told_apart),
		cmocka_unit_test(a_question_goes_round_unchanged),
		cmocka_unit_test(a_front_cannot_say_what_a_token_is_for_or_until_when),
		cmocka_unit_test(a_question_of_any_other_length_is_refused_and_leaves_nothing),
		cmocka_unit_test(values_outside_their_ranges_are_refused),
		cmocka_unit_test(an_answer_goes_round_and_makes_sense),
		cmocka_unit_test(every_call_has_a_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
