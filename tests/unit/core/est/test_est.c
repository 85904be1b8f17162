/* SPDX-License-Identifier: Apache-2.0 */
/* test_est.c - paths, bodies, types and credentials of EST requests */
#include "core/est/est.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "core/codec/base64.h"
#include "core/codec/media.h"

#define ROOT "/.well-known/est/"

/* --- paths --- */

static void
expect_target(const char *path, enum est_op op, const char *label, const char *base)
{
	struct est_target t = { 0 };

	assert_int_equal(est_route(&t, path, NULL), 0);
	assert_int_equal(t.op, op);
	assert_string_equal(t.label, label);
	assert_string_equal(t.base, base);
}

static void
expect_route(const char *path, enum est_op op, const char *label)
{
	expect_target(path, op, label, "");
}

static void
expect_no_route(const char *path)
{
	struct est_target t = { .op = EST_NONE, .label = "unset", .base = "unset" };
	struct err e = { 0 };

	assert_int_equal(est_route(&t, path, &e), E_NOTFOUND);
	assert_string_not_equal(e.msg, "");
	assert_int_equal(t.op, EST_NONE);
	assert_string_equal(t.label, "unset");
	assert_string_equal(t.base, "unset");
}

static void
operations_are_routed_with_and_without_a_label(void **state)
{
	(void)state;
	expect_route(ROOT "cacerts", EST_CACERTS, "");
	expect_route(ROOT "simpleenroll", EST_SIMPLEENROLL, "");
	expect_route(ROOT "ldevid/simplereenroll", EST_SIMPLEREENROLL, "ldevid");
	expect_route(ROOT "Line_7.a-b/csrattrs", EST_CSRATTRS, "Line_7.a-b");
	expect_route(ROOT "fullcmc", EST_FULLCMC, "");
	expect_route(ROOT "x/serverkeygen", EST_SERVERKEYGEN, "x");
}

static void
anything_else_is_not_found(void **state)
{
	static const char *const paths[] = {
		"",
		"/",
		"/.well-known/est",
		ROOT,
		ROOT "/cacerts",
		ROOT "cacerts/",
		ROOT "Cacerts",
		"/.well-known/EST/cacerts",
		"/cacerts",
		"//cacerts",
		"/x" ROOT "a/cacerts",
		"/x/" ROOT "cacerts",
		ROOT "x" ROOT "cacerts",
		"/.well-known/est" ROOT "cacerts",
		"/.well-known/estate/cacerts",
		"/.well-known/cacerts",
		"/x/.Well-known/est/cacerts",
		"/x/../y/cacerts",
		"/x/./cacerts",
		"/x//y/cacerts",
		"/x/cacerts/cacerts",
		"/x/simpleenroll" ROOT "cacerts",
		"/-x/cacerts",
		"/x y/cacerts",
		"/x/cacerts/",
		"x/cacerts",
		"/health/cacerts",
		"/HEALTH/x/cacerts",
		"/crl/cacerts",
		"/aia/x/cacerts",
		"/0ne00AB/registrations/cacerts",
		"/0ne00AB/Registrations/a/cacerts",
		"/devices/a/modules/cacerts",
		"/x/devices/cacerts",
		ROOT "nothing",
		ROOT "a/b/cacerts",
		ROOT "a//cacerts",
		ROOT "a/cacerts/",
		ROOT "a/nothing",
		ROOT "cacerts/simpleenroll",
		ROOT "cacerts/cacerts",
		ROOT ".a/cacerts",
		ROOT "../cacerts",
		ROOT "-a/cacerts",
		ROOT "a b/cacerts",
		ROOT "\xc3\xa4/cacerts",
		ROOT "cacerts?x",
		ROOT "cacerts ",
	};

	(void)state;
	for (size_t i = 0; i < N_OF(paths); i++)
		expect_no_route(paths[i]);
}

static void
a_label_has_at_most_64_characters(void **state)
{
	char path[200], label[66];

	(void)state;
	(void)memset(label, 'a', sizeof(label));
	(void)snprintf(path, sizeof(path), ROOT "%.64s/cacerts", label);
	label[64] = 0;
	expect_route(path, EST_CACERTS, label);
	label[64] = 'a';
	(void)snprintf(path, sizeof(path), ROOT "%.65s/cacerts", label);
	expect_no_route(path);
}

static void
a_base_path_comes_before_the_operation_or_the_root(void **state)
{
	static const char guid[] = "/est/1c3c6cea-fcbd-4681-85e1-74fb74b6863e/44934e59-64e3-4987-a54a-d4a30097c62b/westeurope";
	char path[200];

	(void)state;
	expect_target("/x/cacerts", EST_CACERTS, "", "/x");
	expect_target("/x" ROOT "cacerts", EST_CACERTS, "", "/x");
	expect_target("/est/simpleenroll", EST_SIMPLEENROLL, "", "/est");
	expect_target("/a.b/C_d/9-/simplereenroll", EST_SIMPLEREENROLL, "", "/a.b/C_d/9-");
	expect_target("/x/health/crl/cacerts", EST_CACERTS, "", "/x/health/crl");
	(void)snprintf(path, sizeof(path), "%s/.well-known/est/csrattrs", guid);
	expect_target(path, EST_CSRATTRS, "", guid);
}

static void
a_base_path_has_at_most_200_characters(void **state)
{
	char base[EST_BASE_MAX + 2], path[EST_BASE_MAX + 64];

	(void)state;
	for (size_t i = 0; i < sizeof(base); i++)
		base[i] = i % 40 == 0 ? '/' : 'a';
	base[EST_BASE_MAX - 1] = 'a';
	base[EST_BASE_MAX] = 0;
	assert_int_equal(est_base_check(base, NULL), 0);
	(void)snprintf(path, sizeof(path), "%s" ROOT "cacerts", base);
	expect_target(path, EST_CACERTS, "", base);
	base[EST_BASE_MAX] = 'a';
	base[EST_BASE_MAX + 1] = 0;
	assert_int_equal(est_base_check(base, NULL), E_USAGE);
	(void)snprintf(path, sizeof(path), "%s/cacerts", base);
	expect_no_route(path);
}

static void
every_operation_has_a_name_and_a_method(void **state)
{
	(void)state;
	for (int i = EST_NONE + 1; i < EST_OP_COUNT; i++) {
		assert_int_equal(est_op_row((enum est_op)i)->op, i);
		assert_true(est_is_op_name(est_op_row((enum est_op)i)->name));
		assert_string_not_equal(est_op_row((enum est_op)i)->method, "");
	}
	assert_string_equal(est_op_row(EST_OP_COUNT)->name, "");
	assert_false(est_is_op_name("") || est_is_op_name("ldevid"));
	assert_true(est_op_row(EST_CACERTS)->offered);
	assert_false(est_op_row(EST_FULLCMC)->offered);
}

/* --- bodies --- */

/* 00 .. of a SEQUENCE with 200 octets in it; what is inside is for csr_parse() to judge. */
static struct bytes
some_der(void)
{
	static uint8_t der[203] = { 0x30, 0x81, 0xc8 };

	for (size_t i = 3; i < sizeof(der); i++)
		der[i] = (uint8_t)(i * 7);
	return (struct bytes){ der, sizeof(der) };
}

static void
expect_der(struct bytes body, const char *note)
{
	AUTO_BUF der = { 0 };
	const char *got = NULL;

	assert_int_equal(est_request_der(&der, body, &got, NULL), 0);
	assert_true(bytes_equal(bytes_of_buf(&der), some_der()));
	assert_string_equal(got, note);
}

static void
expect_bad_body(struct bytes body, enum err_code code)
{
	AUTO_BUF der = { 0 };
	const char *note = "unset";
	struct err e = { 0 };

	assert_int_equal(est_request_der(&der, body, &note, &e), code);
	assert_string_not_equal(e.msg, "");
	assert_int_equal(der.n, 0);
	assert_string_equal(note, "unset");
}

static void
base64_is_taken_however_it_is_wrapped(void **state)
{
	static const size_t wraps[] = { 0, 4, 64, 76 };

	(void)state;
	for (size_t i = 0; i < N_OF(wraps); i++) {
		AUTO_BUF text = { 0 };

		buf_put_str(&text, " \r\n\t");
		base64_encode(&text, some_der(), wraps[i]);
		buf_put_str(&text, "\n\n  \t");
		expect_der(bytes_of_buf(&text), "");
	}
}

static void
pem_armour_of_both_labels_is_taken_and_noted(void **state)
{
	static const char *const labels[] = { "CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST" };

	(void)state;
	for (size_t i = 0; i < N_OF(labels); i++) {
		AUTO_BUF text = { 0 };

		pem_encode(&text, some_der(), labels[i]);
		expect_der(bytes_of_buf(&text), "PEM armour");
	}
}

static void
pem_armour_of_another_label_is_refused(void **state)
{
	AUTO_BUF text = { 0 };

	(void)state;
	pem_encode(&text, some_der(), "CERTIFICATE");
	expect_bad_body(bytes_of_buf(&text), E_FORMAT);
}

static void
binary_der_of_exactly_the_body_is_taken_and_noted(void **state)
{
	struct bytes der = some_der();

	(void)state;
	expect_der(der, "binary DER");
	expect_bad_body(bytes_slice(der, 0, der.n - 1), E_FORMAT);
}

static void
a_body_that_is_none_of_these_is_refused(void **state)
{
	static const char *const bad[] = { "", " \r\n", "MIIB!", "MIIB-_==", "MII",
		"MIIB=", "MIIB====", "TUlJ=TUlJ", "0" };
	static uint8_t nul[] = { 'T', 'U', 0, 'l', 'J' };

	(void)state;
	for (size_t i = 0; i < N_OF(bad); i++)
		expect_bad_body(bytes_of(bad[i]), E_FORMAT);
	expect_bad_body((struct bytes){ nul, sizeof(nul) }, E_FORMAT);
}

static void
a_body_over_the_limit_is_refused_before_it_is_decoded(void **state)
{
	static uint8_t big[EST_BODY_MAX + 1];

	(void)state;
	(void)memset(big, 'A', sizeof(big));
	expect_bad_body((struct bytes){ big, sizeof(big) }, E_TOOBIG);
	expect_bad_body((struct bytes){ big, EST_BODY_MAX }, E_TOOBIG); /* decodes to over CSR_MAX */
}

static void
content_types_of_requests_are_told_apart(void **state)
{
	const char *note = NULL;

	(void)state;
	assert_int_equal(est_request_type("application/pkcs10", &note, NULL), 0);
	assert_string_equal(note, "");
	assert_int_equal(est_request_type("Application/PKCS10; charset=\"utf-8\"", &note, NULL), 0);
	assert_string_equal(note, "");
	assert_int_equal(est_request_type(NULL, &note, NULL), 0);
	assert_string_equal(note, "no Content-Type");
	assert_int_equal(est_request_type("application/x-pem-file", &note, NULL), 0);
	assert_string_not_equal(note, "");
	assert_int_equal(est_request_type("application/pkcs10foo", &note, NULL), E_FORMAT);
	assert_int_equal(
	    est_request_type("application/x-www-form-urlencoded", &note, NULL), E_FORMAT);
	assert_int_equal(est_request_type("", &note, NULL), E_FORMAT);
}

static void
an_answer_is_certs_only_in_lines_of_64(void **state)
{
	AUTO_BUF body = { 0 };
	AUTO_BUF der = { 0 };
	const char *first;

	(void)state;
	est_certs_body(&body, NULL, 0, 64);
	first = buf_str(&body);
	assert_int_equal(strcspn(first, "\r"), body.n < 66 ? body.n - 2 : 64);
	assert_string_equal(first + body.n - 2, "\r\n");
	assert_int_equal(base64_decode(&der, bytes_of_buf(&body), NULL), 0);
	assert_int_equal(der.p[0], 0x30);
	assert_true(media_is(EST_TYPE_ENROLLED, "application/pkcs7-mime"));
}

/* --- credentials --- */

static enum est_auth
auth(const char *field, char user[EST_USER_MAX], char password[EST_USER_MAX])
{
	return est_auth_parse(field, field != NULL, user, password);
}

static void
expect_basic(const char *field, const char *user, const char *password)
{
	char u[EST_USER_MAX], p[EST_USER_MAX];

	assert_int_equal(auth(field, u, p), EST_AUTH_BASIC);
	assert_string_equal(u, user);
	assert_string_equal(p, password);
}

static void
basic_credentials_are_read(void **state)
{
	(void)state;
	expect_basic("Basic dTpw", "u", "p");
	expect_basic("bAsIc   dTpw", "u", "p");
	expect_basic("Basic OnNlY3JldA==", "", "secret");      /* RFC 7030 3.2.3: an empty name */
	expect_basic("Basic dTo=", "u", "");
	expect_basic("Basic dTpwOjpx", "u", "p::q");           /* the first colon parts them */
	expect_basic("Basic w6TDtjrigqw=", "\xc3\xa4\xc3\xb6", "\xe2\x82\xac");
}

static void
expect_auth(const char *field, enum est_auth want)
{
	char u[EST_USER_MAX] = "unset", p[EST_USER_MAX] = "unset";

	assert_int_equal(auth(field, u, p), want);
	assert_string_equal(u, "");
	assert_string_equal(p, "");
}

static void
malformed_credentials_are_refused(void **state)
{
	static const char *const bad[] = {
		"", " Basic dTpw", "Basic", "Basic ", "Basic dXA=" /* no colon */, "Basic dTpw=", "Basic dTp", "Basic dT pw",
		"Basic dTpw ", "Basic dTpw,Basic dTpw", "Basic dT-_", "Basic dQA6cA==" /* NUL */, "Basic dTpwCg==" /* LF */,
		"Basic /zpw" /* not UTF-8 */, "Basic\tdTpw dTpw",
	};

	(void)state;
	for (size_t i = 0; i + 1 < N_OF(bad); i++)
		expect_auth(bad[i], EST_AUTH_MALFORMED);
	expect_auth(bad[N_OF(bad) - 1], EST_AUTH_UNSUPPORTED); /* "Basic\tdTpw" is no scheme of that name */
}

static void
over_long_credentials_are_refused(void **state)
{
	char plain[2 * EST_USER_MAX], field[8 + 4 * EST_USER_MAX];

	(void)state;
	for (size_t n = EST_USER_MAX - 2; n <= EST_USER_MAX + 1; n++) {
		char u[EST_USER_MAX], p[EST_USER_MAX];
		AUTO_BUF text = { 0 };

		(void)memset(plain, 'x', n);
		plain[n] = ':';
		base64_encode(&text, (struct bytes){ (uint8_t *)plain, n + 1 }, 0);
		(void)snprintf(field, sizeof(field), "Basic %s", buf_str(&text));
		assert_int_equal(
		    auth(field, u, p), n < EST_USER_MAX ? EST_AUTH_BASIC : EST_AUTH_MALFORMED);
	}
}

static void
other_schemes_and_absent_or_repeated_fields_are_told_apart(void **state)
{
	char u[EST_USER_MAX], p[EST_USER_MAX];

	(void)state;
	expect_auth("Digest username=\"u\"", EST_AUTH_UNSUPPORTED);
	expect_auth("Bearer dTpw", EST_AUTH_UNSUPPORTED);
	expect_auth("Basically dTpw", EST_AUTH_UNSUPPORTED);
	expect_auth(NULL, EST_AUTH_NONE);
	assert_int_equal(est_auth_parse("Basic dTpw", 2, u, p), EST_AUTH_MALFORMED);
	assert_string_equal(u, "");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(operations_are_routed_with_and_without_a_label),
		cmocka_unit_test(anything_else_is_not_found),
		cmocka_unit_test(a_label_has_at_most_64_characters),
		cmocka_unit_test(a_base_path_comes_before_the_operation_or_the_root),
		cmocka_unit_test(a_base_path_has_at_most_200_characters),
		cmocka_unit_test(every_operation_has_a_name_and_a_method),
		cmocka_unit_test(base64_is_taken_however_it_is_wrapped),
		cmocka_unit_test(pem_armour_of_both_labels_is_taken_and_noted),
		cmocka_unit_test(pem_armour_of_another_label_is_refused),
		cmocka_unit_test(binary_der_of_exactly_the_body_is_taken_and_noted),
		cmocka_unit_test(a_body_that_is_none_of_these_is_refused),
		cmocka_unit_test(a_body_over_the_limit_is_refused_before_it_is_decoded),
		cmocka_unit_test(content_types_of_requests_are_told_apart),
		cmocka_unit_test(an_answer_is_certs_only_in_lines_of_64),
		cmocka_unit_test(basic_credentials_are_read),
		cmocka_unit_test(malformed_credentials_are_refused),
		cmocka_unit_test(over_long_credentials_are_refused),
		cmocka_unit_test(other_schemes_and_absent_or_repeated_fields_are_told_apart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
