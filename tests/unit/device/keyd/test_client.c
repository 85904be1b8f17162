/* SPDX-License-Identifier: Apache-2.0 */
/* test_client.c - what the Keys Service is asked, and what is made of its answers */
#include "device/keyd/client.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "core/base/mem.h"
#include "core/base/text.h"
#include "tests/unit/core/net/unix_peer.h"

/* One answer after another. */
struct script {
	struct {
		unsigned status;
		const char *body;  /* NULL: 204 */
	} said[8];
};

static bool
say(struct buf *out, size_t nth, struct bytes request, void *ctx)
{
	const struct script *s = ctx;
	const char *body = nth < N_OF(s->said) ? s->said[nth].body : NULL;

	(void)request;
	if (body == NULL)
		buf_put_str(out, "HTTP/1.1 204 No Content\r\n\r\n");
	else
		buf_printf(out, "HTTP/1.1 %u X\r\ncontent-type: application/json\r\ncontent-length: %zu\r\n\r\n%s",
		    s->said[nth].status, strlen(body), body);
	return false;
}

struct talk {
	struct unix_peer peer;
	struct keyd k;
	struct err e;
};

static void
start(struct talk *t, const struct script *s)
{
	unix_peer_start(&t->peer, say, (void *)(uintptr_t)s);
	t->k.socket = t->peer.path;
}

/* End it; the requests' first lines and bodies must be these (a body's end and the next request share a line). */
static void
finish(struct talk *t, const char *const *expected)
{
	AUTO_BUF seen = { 0 };
	AUTO_BUF plain = { 0 };
	AUTO_BUF wanted = { 0 };
	char *line, *rest = NULL;

	unix_peer_stop(&t->peer, &seen);
	for (line = strtok_r((char *)(uintptr_t)buf_str(&seen), "\r\n", &rest); line != NULL;
	    line = strtok_r(NULL, "\r\n", &rest)) {
		char *next = strstr(line, "}GET"), *post = strstr(line, "}POST");

		if (strchr(line, ':') != NULL && strchr(line, '{') == NULL)
			continue; /* a header field */
		next = next != NULL ? next : post;
		if (next != NULL)
			buf_printf(&plain, "%.*s\n%s\n", (int)(next + 1 - line), line, next + 1);
		else
			buf_printf(&plain, "%s\n", line);
	}
	for (; *expected != NULL; expected++)
		buf_printf(&wanted, "%s\n", *expected);
	assert_string_equal(buf_str(&plain), buf_str(&wanted));
}

static void
a_pair_is_loaded_by_its_id(void **state)
{
	static const struct script s = { { { 200, "{\"keyHandle\":\"sr=a&sig=b\"}" } } };
	static const char *const expected[] = { "GET /keypair/a%2Fb%20c?api-version=2021-05-01 HTTP/1.1", NULL };
	struct talk t;
	char *handle = NULL;

	(void)state;
	start(&t, &s);
	assert_int_equal(keyd_load_pair(&handle, t.k, "a/b c", &t.e), 0);
	assert_string_equal(handle, "sr=a&sig=b");
	mem_free(handle);
	finish(&t, expected);
}

static void
a_pair_is_made(void **state)
{
	static const struct script s = { { { 200, "{\"keyHandle\":\"h\"}" }, { 201, "{\"keyHandle\":\"h\"}" } } };
	static const char *const expected[] = {
		"POST /keypair?api-version=2021-05-01 HTTP/1.1",
		"{\"keyId\":\"x\",\"preferredAlgorithms\":\"ec-p256:*\"}",
		"POST /keypair?api-version=2021-05-01 HTTP/1.1", "{\"keyId\":\"x\"}",
		NULL
	};
	struct talk t;
	char *handle = NULL;

	(void)state;
	start(&t, &s);
	assert_int_equal(keyd_create_pair(&handle, t.k, "x", "ec-p256:*", &t.e), 0);
	mem_free(handle);
	assert_int_equal(keyd_create_pair(&handle, t.k, "x", NULL, &t.e), 0);
	mem_free(handle);
	finish(&t, expected);
}

static void
a_pair_is_deleted_by_its_handle(void **state)
{
	static const struct script s = { { { 0 } } };
	static const char *const expected[] = {
		"DELETE /keypair?api-version=2021-05-01 HTTP/1.1", "{\"keyHandle\":\"h\"}", NULL
	};
	struct talk t;

	(void)state;
	start(&t, &s);
	assert_int_equal(keyd_delete_pair(t.k, "h", &t.e), 0);
	finish(&t, expected);
}

static void
signatures_go_by_the_operation_that_the_key_has(void **state)
{
	static const struct script s = { { { 200, "{\"signature\":\"AQI=\"}" }, { 200, "{\"signature\":\"AwQ=\"}" },
	    { 200, "{\"ciphertext\":\"BQY=\"}" }, { 200, "{\"ciphertext\":\"Bwg=\"}" } } };
	static const char *const expected[] = {
		"POST /sign?api-version=2021-05-01 HTTP/1.1",
		"{\"keyHandle\":\"h\",\"algorithm\":\"ECDSA\",\"parameters\":{\"digest\":\"aW4=\"}}",
		"POST /sign?api-version=2021-05-01 HTTP/1.1",
		"{\"keyHandle\":\"h\",\"algorithm\":\"EdDSA\",\"parameters\":{\"message\":\"aW4=\"}}",
		"POST /encrypt?api-version=2021-05-01 HTTP/1.1",
		"{\"keyHandle\":\"h\",\"algorithm\":\"RSA-PKCS1\",\"plaintext\":\"aW4=\"}",
		"POST /encrypt?api-version=2021-05-01 HTTP/1.1",
		"{\"keyHandle\":\"h\",\"algorithm\":\"RSA-NO-PADDING\",\"plaintext\":\"aW4=\"}",
		NULL
	};
	struct bytes in = bytes_of("in");
	AUTO_BUF out = { 0 };
	struct talk t;

	(void)state;
	start(&t, &s);
	assert_int_equal(keyd_sign_ecdsa(&out, t.k, "h", in, &t.e), 0);
	assert_int_equal(keyd_sign_eddsa(&out, t.k, "h", in, &t.e), 0);
	assert_int_equal(keyd_rsa_private(&out, t.k, "h", true, in, &t.e), 0);
	assert_int_equal(keyd_rsa_private(&out, t.k, "h", false, in, &t.e), 0);
	assert_int_equal(out.n, 8);
	assert_memory_equal(out.p, "\1\2\3\4\5\6\7\10", 8);
	finish(&t, expected);
}

/* P-256's base point, compressed. */
#define OID_P256_B64   "BggqhkjOPQMBBw=="
#define POINT_B64      "A2sX0fLhLEJH+Lzm5WOkQPJ3A32BLeszoPShOUXYmMKW"
#define NO_SUCH_API    { 400, "{\"message\":\"invalid api-version \\\"2026-11-01\\\"\"}" }

static void
an_original_service_is_asked_for_the_parts_of_an_ec_key(void **state)
{
	static const struct script s = { { NO_SUCH_API, { 200, "{\"value\":\"ECDSA\"}" },
	    { 200, "{\"value\":\"" OID_P256_B64 "\"}" }, { 200, "{\"value\":\"" POINT_B64 "\"}" } } };
	static const char *const expected[] = {
		"POST /parameters/spki?api-version=2026-11-01 HTTP/1.1", "{\"keyHandle\":\"h\"}",
		"POST /parameters/algorithm?api-version=2021-05-01 HTTP/1.1", "{\"keyHandle\":\"h\"}",
		"POST /parameters/ec-curve-oid?api-version=2021-05-01 HTTP/1.1", "{\"keyHandle\":\"h\"}",
		"POST /parameters/ec-point?api-version=2021-05-01 HTTP/1.1", "{\"keyHandle\":\"h\"}",
		NULL
	};
	static const char spki[] = "3039301306072a8648ce3d020106082a8648ce3d030107032200"
	    "036b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296";
	char hex[200];
	AUTO_BUF out = { 0 };
	struct talk t;

	(void)state;
	start(&t, &s);
	assert_int_equal(keyd_public(&out, t.k, "h", &t.e), 0);
	assert_in_range(out.n, 1, 99);
	text_hex(hex, bytes_of_buf(&out));
	assert_string_equal(hex, spki);
	finish(&t, expected);
}

static void
an_original_service_is_asked_for_the_parts_of_an_rsa_key(void **state)
{
	static const struct script s = { { NO_SUCH_API, { 200, "{\"value\":\"RSA\"}" }, { 200, "{\"value\":\"wQ==\"}" },
	    { 200, "{\"value\":\"AQAB\"}" } } };
	char hex[200];
	AUTO_BUF out = { 0 };
	struct talk t;

	(void)state;
	start(&t, &s);
	assert_int_equal(keyd_public(&out, t.k, "h", &t.e), 0);
	assert_in_range(out.n, 1, 99);
	text_hex(hex, bytes_of_buf(&out));
	assert_string_equal(hex, "301d300d06092a864886f70d0101010500030c0030090202" "00c1" "0203010001");
	unix_peer_stop(&t.peer, NULL);
}

static void
a_service_of_ours_gives_the_key_as_it_is(void **state)
{
	static const struct script s = { { { 200, "{\"value\":\"MAA=\"}" } } };
	static const char *const expected[] = {
		"POST /parameters/spki?api-version=2026-11-01 HTTP/1.1", "{\"keyHandle\":\"h\"}", NULL
	};
	AUTO_BUF out = { 0 };
	struct talk t;

	(void)state;
	start(&t, &s);
	assert_int_equal(keyd_public(&out, t.k, "h", &t.e), 0);
	assert_int_equal(out.n, 2);
	finish(&t, expected);
}

static void
generations_are_told_in_our_version(void **state)
{
	static const struct script s = { { { 200, "{\"generation\":2,\"previous\":true}" },
	    { 200, "{\"generation\":2,\"previous\":false}" }, { 200, "{\"generation\":1,\"previous\":false}" } } };
	static const char *const expected[] = {
		"POST /generation/device-id?api-version=2026-11-01 HTTP/1.1",
		"{\"op\":\"switch\",\"from\":\"device-id-temp\",\"spki\":\"MAA=\"}",
		"POST /generation/device-id?api-version=2026-11-01 HTTP/1.1", "{\"op\":\"prove\"}",
		"POST /generation/device-id?api-version=2026-11-01 HTTP/1.1", "{\"op\":\"rollback\"}",
		NULL
	};
	struct bytes spki = { (const uint8_t *)"0\0", 2 };
	struct talk t;

	(void)state;
	start(&t, &s);
	assert_int_equal(keyd_switch(t.k, "device-id", "device-id-temp", spki, &t.e), 0);
	assert_int_equal(keyd_prove(t.k, "device-id", &t.e), 0);
	assert_int_equal(keyd_rollback(t.k, "device-id", &t.e), 0);
	finish(&t, expected);
}

static void
a_rollback_without_a_previous_generation_is_told_from_a_refusal(void **state)
{
	static const struct script none = { { { 400, "{\"message\":\"no\"}" },
	    { 200, "{\"generation\":1,\"previous\":false}" } } };
	static const struct script other = { { { 400, "{\"message\":\"no\"}" },
	    { 200, "{\"generation\":1,\"previous\":true}" } } };
	struct talk t;

	(void)state;
	start(&t, &none);
	assert_int_equal(keyd_rollback(t.k, "x", &t.e), E_NOTFOUND);
	unix_peer_stop(&t.peer, NULL);
	start(&t, &other);
	assert_int_equal(keyd_rollback(t.k, "x", &t.e), E_POLICY);
	unix_peer_stop(&t.peer, NULL);
}

#define HANDLE_400 "{\"message\":\"parameter \\\"handle\\\" has an invalid value\\ncaused by: invalid handle\"}"

static void
refusals_have_their_code_and_the_services_words(void **state)
{
	static const struct {
		struct script s;
		int code;
		const char *words;
	} rows[] = {
		{ { { { 401, "{\"message\":\"user 7 is not authorized\"}" } } }, E_AUTH, "keyd: user 7 is not authorized" },
		{ { { { 400, HANDLE_400 } } }, E_AUTH,
		  "keyd: parameter \"handle\" has an invalid value: invalid handle" },
		{ { { { 400, "{\"message\":\"a parameter has an invalid value\"}" } } }, E_POLICY,
		  "keyd: a parameter has an invalid value" },
		{ { { { 400, "{\"message\":\"\\u001b[2J\"}" } } }, E_POLICY, "keyd: \\x1b[2J" },
		{ { { { 404, "{\"message\":\"not found\"}" } } }, E_NOTFOUND, "keyd: not found" },
		{ { { { 422, "[]" } } }, E_POLICY, "keyd: refused with status 422" },
		{ { { { 500, "{\"message\":\"internal error\"}" } } }, E_UNAVAIL, "keyd: internal error" },
		{ { { { 503, "{\"message\":7}" } } }, E_UNAVAIL, "keyd: refused with status 503" },
		{ { { { 200, "[]" } } }, E_FORMAT, "keyd: answer: no JSON object" },
		{ { { { 200, "{}" } } }, E_FORMAT, "keyd: answer: no signature" },
		{ { { { 200, "{\"signature\":\"\"}" } } }, E_FORMAT, "keyd: answer: no signature" },
		{ { { { 200, "{\"signature\":\"AQI\"}" } } }, E_FORMAT, NULL },
		{ { { { 200, "{\"signature\":7}" } } }, E_FORMAT, "keyd: answer: no signature" },
		{ { { { 200, "{\"signature\":\"AQI=\",\"signature\":\"AQI=\"}" } } }, E_FORMAT, NULL },
		{ { { { 0, NULL } } }, E_FORMAT, "keyd: answer: no signature" },
	};

	(void)state;
	for (size_t i = 0; i < N_OF(rows); i++) {
		AUTO_BUF out = { 0 };
		struct talk t;
		int r;

		start(&t, &rows[i].s);
		r = keyd_sign_ecdsa(&out, t.k, "h", bytes_of("in"), &t.e);
		unix_peer_stop(&t.peer, NULL);
		if (r != rows[i].code)
			fail_msg("row %zu: %d: %s", i, r, t.e.msg);
		if (rows[i].words != NULL)
			assert_string_equal(t.e.msg, rows[i].words);
		assert_int_equal(out.n, 0);
	}
}

static void
a_pair_that_is_not_there_is_not_found(void **state)
{
	static const struct script s = { { { 400, "{\"message\":\"a parameter has an invalid value\"}" } } };
	struct talk t;
	char *handle = NULL;

	(void)state;
	start(&t, &s);
	assert_int_equal(keyd_load_pair(&handle, t.k, "x", &t.e), E_NOTFOUND);
	assert_string_equal(t.e.msg, "keyd: no key pair 'x' (a parameter has an invalid value)");
	unix_peer_stop(&t.peer, NULL);
	assert_int_equal(keyd_load_pair(&handle, t.k, "x", &t.e), E_UNAVAIL);
	assert_null(handle);
}

static void
symmetric_keys_are_loaded_made_derived_from_and_used(void **state)
{
	static const struct script s = { { { 200, "{\"keyHandle\":\"k\"}" }, { 200, "{\"keyHandle\":\"k\"}" },
	    { 200, "{\"keyHandle\":\"d\"}" }, { 200, "{\"key\":\"AQI=\"}" }, { 200, "{\"signature\":\"AwQ=\"}" },
	    { 400, "{\"message\":\"a parameter has an invalid value\"}" } } };
	static const char *const expected[] = {
		"GET /key/a%2Fb?api-version=2021-05-01 HTTP/1.1",
		"POST /key?api-version=2021-05-01 HTTP/1.1", "{\"keyId\":\"m\",\"usage\":\"derive,sign\"}",
		"POST /derivedkey?api-version=2021-05-01 HTTP/1.1", "{\"baseKeyHandle\":\"k\",\"derivationData\":\"aW4=\"}",
		"POST /derivedkey/export?api-version=2021-05-01 HTTP/1.1", "{\"keyHandle\":\"d\"}",
		"POST /sign?api-version=2021-05-01 HTTP/1.1",
		"{\"keyHandle\":\"d\",\"algorithm\":\"HMAC-SHA256\",\"parameters\":{\"message\":\"aW4=\"}}",
		"GET /key/x?api-version=2021-05-01 HTTP/1.1",
		NULL
	};
	AUTO_KEYD_HANDLE loaded = { 0 };
	AUTO_KEYD_HANDLE made = { 0 };
	AUTO_KEYD_HANDLE derived = { 0 };
	AUTO_BUF out = { 0 };
	struct talk t;

	(void)state;
	start(&t, &s);
	assert_int_equal(keyd_load_key(&loaded.text, t.k, "a/b", &t.e), 0);
	assert_int_equal(keyd_create_key(&made.text, t.k, "m", "derive,sign", &t.e), 0);
	assert_int_equal(keyd_derive(&derived.text, t.k, made.text, bytes_of("in"), &t.e), 0);
	assert_string_equal(derived.text, "d");
	assert_int_equal(keyd_export_derived(&out, t.k, derived.text, &t.e), 0);
	assert_int_equal(keyd_sign_hmac(&out, t.k, derived.text, bytes_of("in"), &t.e), 0);
	assert_true(bytes_equal(bytes_of_buf(&out), bytes_of("\1\2\3\4")));
	assert_int_equal(keyd_load_key(&loaded.text, t.k, "x", &t.e), E_NOTFOUND);
	assert_string_equal(t.e.msg, "keyd: no key 'x' (a parameter has an invalid value)");
	finish(&t, expected);
}

static void
an_original_service_is_known_by_what_it_refuses(void **state)
{
	static const struct script s = { { { 200, "{\"keyHandle\":\"theirs\"}" },
	    { 400, "{\"message\":\"invalid api-version \\\"2026-11-01\\\"\"}" },
	    { 400, "{\"message\":\"invalid api-version \\\"2026-11-01\\\"\"}" }, { 0 },
	    { 403, "{\"message\":\"user 7 may not make handles for others\"}" } } };
	static const char *const expected[] = {
		"POST /handle?api-version=2026-11-01 HTTP/1.1", "{\"keyHandle\":\"h\",\"uid\":7}",
		"POST /handle?api-version=2026-11-01 HTTP/1.1", "{\"keyHandle\":\"h\",\"uid\":7}",
		"POST /generation/to?api-version=2026-11-01 HTTP/1.1", "{\"op\":\"switch\",\"from\":\"from\",\"spki\":\"aW4=\"}",
		"POST /keypair/to?api-version=2021-05-01 HTTP/1.1", "{\"from\":\"from\"}",
		"POST /handle?api-version=2026-11-01 HTTP/1.1", "{\"keyHandle\":\"h\",\"uid\":7}",
		NULL
	};
	AUTO_KEYD_HANDLE theirs = { 0 };
	struct talk t;
	int r;

	(void)state;
	start(&t, &s);
	assert_int_equal(keyd_share(&theirs.text, t.k, "h", 7, &t.e), 0);
	assert_string_equal(theirs.text, "theirs");
	assert_int_equal(keyd_share(&theirs.text, t.k, "h", 7, &t.e), E_NOTFOUND);
	r = keyd_switch(t.k, "to", "from", bytes_of("in"), &t.e);
	assert_true(r != 0 && keyd_is_original(&t.e));
	assert_int_equal(keyd_move_pair(t.k, "to", "from", &t.e), 0);
	assert_int_equal(keyd_share(&theirs.text, t.k, "h", 7, &t.e), E_AUTH);
	assert_false(keyd_is_original(&t.e));
	finish(&t, expected);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_pair_is_loaded_by_its_id),
		cmocka_unit_test(a_pair_is_made),
		cmocka_unit_test(a_pair_is_deleted_by_its_handle),
		cmocka_unit_test(signatures_go_by_the_operation_that_the_key_has),
		cmocka_unit_test(an_original_service_is_asked_for_the_parts_of_an_ec_key),
		cmocka_unit_test(an_original_service_is_asked_for_the_parts_of_an_rsa_key),
		cmocka_unit_test(a_service_of_ours_gives_the_key_as_it_is),
		cmocka_unit_test(generations_are_told_in_our_version),
		cmocka_unit_test(a_rollback_without_a_previous_generation_is_told_from_a_refusal),
		cmocka_unit_test(refusals_have_their_code_and_the_services_words),
		cmocka_unit_test(a_pair_that_is_not_there_is_not_found),
		cmocka_unit_test(symmetric_keys_are_loaded_made_derived_from_and_used),
		cmocka_unit_test(an_original_service_is_known_by_what_it_refuses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
