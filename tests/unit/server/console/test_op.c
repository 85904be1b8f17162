/* SPDX-License-Identifier: Apache-2.0 */
/* test_op.c - an operator's request becomes a message, and says nothing but what an operator may say */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "core/codec/base64.h"
#include "core/codec/json.h"
#include "core/pki/cert.h"
#include "core/sys/pipe.h"
#include "server/console/op.h"
#include "server/proto/proto.h"

static const struct op_caller local = { .id = "r0123", .actor = "local:uid=7", .token = "",
	.address = "unix", .tls = "" };
static const struct op_caller remote = { .id = "r0124", .actor = "", .token = "t0k",
	.address = "192.0.2.1", .tls = "TLSv1.3 TLS_AES_256_GCM_SHA384" };

/* The message that a request becomes; its two parts borrow out. */
static json_t *
build_good(struct buf *out, struct bytes *enrol, const char *request, const struct op_caller *by)
{
	char verb[OP_VERB_MAX];
	struct err e = { 0 };
	struct wire w;
	struct bytes text;
	json_t *v;

	if (op_build(out, verb, bytes_of(request), by, &e) != 0)
		fail_msg("%s", e.msg);
	w = wire_open(bytes_of_buf(out));
	text = wire_bytes(&w, PIPE_MAX);
	*enrol = wire_bytes(&w, PIPE_MAX);
	assert_int_equal(wire_end(&w, "op", NULL), 0);
	assert_int_equal(json_parse(&v, text, NULL), 0);
	assert_string_equal(json_str(v, "verb", ""), verb);
	return v;
}

static void
assert_refused(const char *request, enum err_code code, const char *message)
{
	AUTO_BUF out = { 0 };
	char verb[OP_VERB_MAX];
	struct err e = { 0 };

	assert_int_equal(op_build(&out, verb, bytes_of(request), &local, &e), code);
	assert_string_equal(e.msg, message);
}

static void
a_request_carries_who_asks(void **state)
{
	AUTO_BUF out = { 0 }, out2 = { 0 };
	struct bytes enrol;
	AUTO_JSON a = build_good(&out, &enrol, "{\"verb\":\"ca.list\",\"args\":{\"limit\":3}}", &local);
	AUTO_JSON b = build_good(&out2, &enrol, "{\"verb\":\"ca.list\",\"args\":{}}", &remote);

	(void)state;
	assert_int_equal(enrol.n, 0);
	assert_string_equal(json_str(a, "verb", ""), "ca.list");
	assert_int_equal(json_int(json_object_get(a, "args"), "limit", 0), 3);
	assert_string_equal(json_str(a, "actor", ""), "local:uid=7");
	assert_string_equal(json_str(a, "token", "?"), "");
	assert_string_equal(json_str(b, "actor", "?"), "");
	assert_string_equal(json_str(b, "token", ""), "t0k");
}

static void
absent_args_are_empty_args(void **state)
{
	AUTO_BUF out = { 0 };
	struct bytes enrol;
	AUTO_JSON v = build_good(&out, &enrol, "{\"verb\":\"server.status\"}", &local);

	(void)state;
	assert_true(json_is_object(json_object_get(v, "args")));
	assert_int_equal(json_object_size(json_object_get(v, "args")), 0);
}

static void
nobody_says_himself_who_he_is(void **state)
{
	(void)state;
	assert_refused("{\"verb\":\"ca.list\",\"args\":{},\"actor\":\"local:uid=0\"}", E_FORMAT,
	    "request: unknown member 'actor': 'verb' and 'args' are taken");
	assert_refused("{\"token\":\"x\",\"verb\":\"ca.list\"}", E_FORMAT,
	    "request: unknown member 'token': 'verb' and 'args' are taken");
	assert_refused("{\"verb\":\"a.b\",\"verb\":\"ca.list\"}", E_FORMAT,
	    "request: json:1:20: duplicate object key");
}

static void
what_is_no_request_is_refused(void **state)
{
	(void)state;
	assert_refused("[]", E_FORMAT, "request: expected a JSON object with 'verb' and 'args'");
	assert_refused("{}", E_FORMAT, "request: 'verb' must be a string, as in \"server.status\"");
	assert_refused("{\"verb\":7}", E_FORMAT, "request: 'verb' must be a string, as in \"server.status\"");
	assert_refused("{\"verb\":\"ca.list\",\"args\":[]}", E_FORMAT, "request: 'args' must be an object");
	assert_refused("{\"verb\":\"\"}", E_FORMAT,
	    "request: 'verb' is no verb: lower-case words with a dot between, as in \"server.status\"");
	assert_refused("{\"verb\":\"ca list\"}", E_FORMAT,
	    "request: 'verb' is no verb: lower-case words with a dot between, as in \"server.status\"");
}

static void
a_request_over_the_limit_is_refused(void **state)
{
	AUTO_BUF out = { 0 }, request = { 0 };
	char verb[OP_VERB_MAX];

	(void)state;
	buf_put_str(&request, "{\"verb\":\"ca.list\",\"args\":{\"x\":\"");
	while (request.n < OP_BODY_MAX - 3)
		buf_put_u8(&request, 'x');
	buf_put_str(&request, "\"}}");
	assert_int_equal(request.n, OP_BODY_MAX);
	assert_int_equal(op_build(&out, verb, bytes_of_buf(&request), &local, NULL), 0);
	buf_put_u8(&request, ' ');
	assert_int_equal(op_build(&out, verb, bytes_of_buf(&request), &local, NULL), E_TOOBIG);
}

/* --- cert.request --- */

static void
make_csr(struct buf *der)
{
	AUTO(key) k = NULL;
	struct name subject = { 0 };

	assert_int_equal(key_generate(&k, KEY_EC_P256, NULL), 0);
	assert_int_equal(name_from_text(&subject, "CN=pump-7", NULL), 0);
	assert_int_equal(csr_build(der, &(struct csr_want){ .subject = &subject }, k, NULL), 0);
}

/* The enrolment that goes with a cert.request of this text; body keeps what it borrows. */
static void
request_cert(struct buf *out, struct proto_enrol *enrol, const char *csr)
{
	AUTO_BUF request = { 0 };
	AUTO_JSON asked = json_object();
	AUTO_JSON told = NULL;
	json_t *args = json_object();
	struct bytes body;
	struct err e = { 0 };

	json_setf(asked, "verb", "cert.request");
	if (csr != NULL)
		json_setf(args, "csr", "%s", csr);
	json_setf(args, "profile", "device");
	(void)json_object_set_new(asked, "args", args);
	json_print(&request, asked, false);
	told = build_good(out, &body, buf_str(&request), &remote);
	args = json_object_get(told, "args");
	assert_null(json_object_get(args, "csr"));
	assert_string_equal(json_str(args, "profile", ""), "device");
	if (proto_get_enrol(enrol, body, &e) != 0)
		fail_msg("%s", e.msg);
}

static void
a_csr_goes_as_a_judged_enrolment_in_each_of_its_forms(void **state)
{
	AUTO_BUF der = { 0 }, pem = { 0 }, old_pem = { 0 }, base64 = { 0 };
	struct buf *const forms[] = { &pem, &old_pem, &base64 };

	(void)state;
	make_csr(&der);
	pem_encode(&pem, bytes_of_buf(&der), "CERTIFICATE REQUEST");
	pem_encode(&old_pem, bytes_of_buf(&der), "NEW CERTIFICATE REQUEST");
	base64_encode(&base64, bytes_of_buf(&der), 76);
	for (size_t i = 0; i < N_OF(forms); i++) {
		AUTO_BUF out = { 0 };
		struct proto_enrol v;

		request_cert(&out, &v, buf_str(forms[i]));
		assert_int_equal(v.csr_status, 0);
		assert_string_equal(v.id, "r0124");
		assert_string_equal(v.address, "192.0.2.1");
		assert_string_equal(v.tls, "TLSv1.3 TLS_AES_256_GCM_SHA384");
		assert_int_equal(v.csr.key_type, KEY_EC_P256);
		assert_string_equal(name_get(&v.csr.subject, OID_CN), "pump-7");
		assert_int_equal(v.cert_state, TRUST_NONE);
		assert_false(v.has_cert);
	}
}

static void
a_bad_csr_goes_as_a_refusal_to_be_recorded(void **state)
{
	AUTO_BUF der = { 0 }, base64 = { 0 }, out = { 0 }, out2 = { 0 }, out3 = { 0 };
	struct proto_enrol v;

	(void)state;
	request_cert(&out, &v, NULL);
	assert_int_equal(v.csr_status, 400);
	assert_string_equal(v.csr_reason, "csr.format");
	assert_string_equal(v.csr_text, "args: 'csr' must be a string, PEM or base64");

	request_cert(&out2, &v, "no request");
	assert_int_equal(v.csr_status, 400);
	assert_string_equal(v.csr_reason, "csr.format");

	make_csr(&der);
	der.p[der.n - 1] ^= 1; /* in the signature */
	base64_encode(&base64, bytes_of_buf(&der), 0);
	request_cert(&out3, &v, buf_str(&base64));
	assert_int_equal(v.csr_status, 400);
	assert_int_not_equal(v.csr_text[0], 0);
	assert_int_equal(v.csr.subject.n, 0);
}

/* --- answers and tokens --- */

static void
an_answer_is_a_status_and_its_json(void **state)
{
	AUTO_BUF message = { 0 };
	unsigned status;
	struct bytes json;

	(void)state;
	wire_put_u32(&message, 409);
	wire_put_str(&message, "{\"ok\":false}");
	assert_int_equal(op_answer(&status, &json, bytes_of_buf(&message), NULL), 0);
	assert_int_equal(status, 409);
	assert_true(bytes_equal_str(json, "{\"ok\":false}"));
	buf_put_u8(&message, 0);
	assert_int_equal(op_answer(&status, &json, bytes_of_buf(&message), NULL), E_FORMAT);
	buf_reset(&message);
	wire_put_u32(&message, 99);
	wire_put_str(&message, "{}");
	assert_int_equal(op_answer(&status, &json, bytes_of_buf(&message), NULL), E_FORMAT);
}

static void
a_refusal_of_our_own_looks_like_the_authoritys(void **state)
{
	AUTO_BUF out = { 0 }, bare = { 0 };

	(void)state;
	op_refusal(&out, E_UNAVAIL, "it is \"gone\"", "retry");
	assert_string_equal(buf_str(&out), "{\"ok\":false,\"error\":{\"code\":\"unavailable\","
	    "\"message\":\"it is \\\"gone\\\"\",\"hint\":\"retry\"}}");
	op_refusal(&bare, E_AUTH, "no", NULL);
	assert_string_equal(buf_str(&bare), "{\"ok\":false,\"error\":{\"code\":\"auth\",\"message\":\"no\"}}");
}

static void
only_one_well_formed_bearer_token_is_taken(void **state)
{
	static const char *const bad[] = { NULL, "", "Bearer", "Bearer ", "Basic abc", "Bearerabc", "Bearer a b",
		"Bearer a,b", "Bearer ==", "Bearer a=b", "Bearer \xc3\xa9" };
	char token[OP_TOKEN_MAX], longest[7 + OP_TOKEN_MAX + 1] = "Bearer ";

	(void)state;
	assert_true(op_bearer(token, "Bearer aZ09-._~+/=="));
	assert_string_equal(token, "aZ09-._~+/==");
	assert_true(op_bearer(token, "bearer  x"));
	assert_string_equal(token, "x");
	for (size_t i = 0; i < N_OF(bad); i++)
		assert_false(op_bearer(token, bad[i]));
	memset(longest + 7, 'x', OP_TOKEN_MAX - 1);
	assert_true(op_bearer(token, longest));
	longest[7 + OP_TOKEN_MAX - 1] = 'x';
	assert_false(op_bearer(token, longest));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_request_carries_who_asks),
		cmocka_unit_test(absent_args_are_empty_args),
		cmocka_unit_test(nobody_says_himself_who_he_is),
		cmocka_unit_test(what_is_no_request_is_refused),
		cmocka_unit_test(a_request_over_the_limit_is_refused),
		cmocka_unit_test(a_csr_goes_as_a_judged_enrolment_in_each_of_its_forms),
		cmocka_unit_test(a_bad_csr_goes_as_a_refusal_to_be_recorded),
		cmocka_unit_test(an_answer_is_a_status_and_its_json),
		cmocka_unit_test(a_refusal_of_our_own_looks_like_the_authoritys),
		cmocka_unit_test(only_one_well_formed_bearer_token_is_taken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
