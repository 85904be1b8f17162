/* SPDX-License-Identifier: Apache-2.0 */
/* keyd/test_handles.c - handles octet for octet, and every way in which one is not taken */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "core/base/mem.h"
#include "core/codec/base64.h"
#include "core/custody/soft_key.h"
#include "device/keyd/handles.h"

#define NOW   ((int64_t)1800000000)
#define DAY   ((int64_t)86400)
#define NONCE "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=="

static const char secret_text[] = "0123456789abcdef0123456789abcdef";
static struct custody_key *secret;
static struct handle_rules bound, free_rules;

static int
begin(void **state)
{
	(void)state;
	secret = soft_key_of_secret(bytes_of(secret_text));
	bound = (struct handle_rules){ secret, true, DAY };
	free_rules = (struct handle_rules){ secret, false, DAY };
	return 0;
}

static int
end(void **state)
{
	(void)state;
	custody_key_free(secret);
	return 0;
}

/* What another implementation of the format would write for this JSON. */
static const char *
by_hand(struct buf *out, const char *json)
{
	uint8_t mac[SHA256_LEN];

	hmac_sha256(mac, bytes_of(secret_text), bytes_of(json));
	buf_reset(out);
	buf_put_str(out, "sr=");
	base64_encode(out, bytes_of(json), 0);
	buf_put_str(out, "&sig=");
	base64_encode(out, (struct bytes){ mac, sizeof(mac) }, 0);
	return buf_str(out);
}

static int
opens(const struct handle_rules *rules, const char *text)
{
	struct handle h = { 0 };
	struct err e;
	int r = handle_open(&h, rules, text, NOW, &e);

	handle_clear(&h);
	return r;
}

static int
opens_json(const struct handle_rules *rules, const char *json)
{
	AUTO_BUF text = { 0 };

	return opens(rules, by_hand(&text, json));
}

static void
mint(struct buf *out, const struct handle_rules *rules, enum handle_kind kind, const char *id, uid_t uid,
    const char *data)
{
	struct handle h = { .kind = kind, .uid = uid, .generation = 3 };
	struct err e;

	memcpy(h.id, id, strlen(id) + 1);
	if (data != NULL)
		buf_put_str(&h.data, data);
	assert_int_equal(handle_mint(out, rules, &h, NOW, &e), 0);
	handle_clear(&h);
}

/* The JSON inside a handle. */
static const char *
inside(struct buf *out, const char *text)
{
	const char *sr = strstr(text, "sr=") + 3;
	struct err e;

	buf_reset(out);
	assert_int_equal(base64_decode(out, (struct bytes){ (const uint8_t *)sr, strcspn(sr, "&") }, &e), 0);
	return buf_str(out);
}

static void
an_unbound_handle_is_written_as_the_original_writes_it(void **state)
{
	AUTO_BUF text = { 0 };
	AUTO_BUF json = { 0 };
	AUTO_BUF again = { 0 };
	const char *nonce;

	(void)state;
	mint(&text, &free_rules, HANDLE_PAIR, "device-id", 0, NULL);
	(void)inside(&json, buf_str(&text));
	assert_int_equal(strncmp(buf_str(&json), "{\"key_id\":{\"KeyPair\":\"device-id\"},\"nonce\":\"", 43), 0);
	nonce = buf_str(&json) + 43;
	assert_int_equal(strcspn(nonce, "\""), 88); /* 64 octets */
	assert_string_equal(nonce + 88, "\"}");
	assert_string_equal(buf_str(&text), by_hand(&again, buf_str(&json)));
}

static void
a_bound_handle_has_its_members_after_the_nonce(void **state)
{
	AUTO_BUF text = { 0 };
	AUTO_BUF json = { 0 };

	(void)state;
	mint(&text, &bound, HANDLE_KEY, "k", 1000, NULL);
	assert_string_equal(strstr(inside(&json, buf_str(&text)), "\"nonce\"") + 8 + 90,
	    ",\"uid\":1000,\"gen\":3,\"exp\":1800086400}");
}

static void
a_handle_made_by_hand_opens(void **state)
{
	AUTO_BUF text = { 0 };
	struct handle h = { 0 };
	struct err e;

	(void)state;
	by_hand(&text, "{\"key_id\":{\"KeyPair\":\"device-id\"},\"nonce\":\"" NONCE "\"}");
	assert_int_equal(handle_open(&h, &free_rules, buf_str(&text), NOW, &e), 0);
	assert_int_equal(h.kind, HANDLE_PAIR);
	assert_string_equal(h.id, "device-id");
	assert_false(h.bound);
	by_hand(&text, "{\"nonce\":\"\",\"other\":[1],\"uid\":7,\"gen\":2,\"exp\":1800000001,\"key_id\":{\"Key\":\"a b/c\"}}");
	assert_int_equal(handle_open(&h, &bound, buf_str(&text), NOW, &e), 0);
	assert_int_equal(h.kind, HANDLE_KEY);
	assert_string_equal(h.id, "a b/c");
	assert_true(h.bound);
	assert_int_equal(h.uid, 7);
	assert_int_equal(h.generation, 2);
}

static void
its_parts_may_stand_in_any_order_among_others(void **state)
{
	AUTO_BUF text = { 0 };
	AUTO_BUF turned = { 0 };
	const char *sig;

	(void)state;
	mint(&text, &bound, HANDLE_PAIR, "x", 5, NULL);
	sig = strstr(buf_str(&text), "&sig=");
	buf_printf(&turned, "a=b%s&%.*s&c", sig, (int)(sig - (const char *)text.p), (const char *)text.p);
	assert_int_equal(opens(&bound, buf_str(&turned)), 0);
	buf_put_str(&turned, "&sr=AAAA");
	assert_int_equal(opens(&bound, buf_str(&turned)), E_FORMAT); /* which one? */
}

static void
one_changed_character_anywhere_is_refused(void **state)
{
	AUTO_BUF text = { 0 };

	(void)state;
	mint(&text, &bound, HANDLE_PAIR, "x", 5, NULL);
	for (size_t i = 0; i < text.n; i++) {
		uint8_t was = text.p[i];

		text.p[i] = was == 'A' ? 'B' : 'A';
		assert_int_equal(opens(&bound, buf_str(&text)), E_FORMAT);
		text.p[i] = was;
	}
	assert_int_equal(opens(&bound, buf_str(&text)), 0);
}

static void
what_is_no_handle_is_refused(void **state)
{
	static const char *const texts[] = {
		"", "sr=", "&sig=", "sr=&sig=", "sr=AAAA&sig=AAAA", "sr=!&sig=!", "sr=AAAA", "sig=AAAA", "&&&&",
	};
	AUTO_BUF big = { 0 };

	(void)state;
	for (size_t i = 0; i < N_OF(texts); i++)
		assert_int_equal(opens(&free_rules, texts[i]), E_FORMAT);
	buf_put_str(&big, "sr=");
	while (big.n <= HANDLE_MAX)
		buf_put_str(&big, "AAAA");
	buf_put_str(&big, "&sig=AAAA");
	assert_int_equal(opens(&free_rules, buf_str(&big)), E_FORMAT);
}

/* Signed by whoever had the secret, and still not taken. */
static void
a_right_mac_over_nonsense_is_refused(void **state)
{
	static const char *const jsons[] = {
		"", "[]", "null", "{}", "{\"key_id\":{}}", "{\"key_id\":\"x\"}", "{\"key_id\":{\"KeyPair\":1}}",
		"{\"key_id\":{\"KeyPair\":\"\"}}", "{\"key_id\":{\"KeyPair\":\"a\",\"Key\":\"b\"}}",
		    "{\"key_id\":{\"Other\":\"a\"}}",
		"{\"key_id\":{\"KeyPair\":\"a\"},\"key_id\":{\"KeyPair\":\"b\"}}", "{\"key_id\":{\"Derived\":[]}}",
		"{\"key_id\":{\"Derived\":[\"x\",[]]}}", "{\"key_id\":{\"KeyPair\":\"a\"},\"uid\":\"5\",\"gen\":1}",
		"{\"key_id\":{\"KeyPair\":\"a\"},\"uid\":4294967295,\"gen\":1}",
		    "{\"key_id\":{\"KeyPair\":\"a\"},\"uid\":-1,\"gen\":1}",
		"{\"key_id\":{\"KeyPair\":\"a\"},\"uid\":5}", "{\"key_id\":{\"KeyPair\":\"a\"},\"uid\":5,\"gen\":1}x",
	};

	(void)state;
	for (size_t i = 0; i < N_OF(jsons); i++)
		assert_int_equal(opens_json(&free_rules, jsons[i]), E_FORMAT);
}

static void
an_unbound_handle_is_refused_where_handles_are_bound_and_told_why(void **state)
{
	AUTO_BUF text = { 0 };
	struct handle h = { 0 };
	struct err e;

	(void)state;
	by_hand(&text, "{\"key_id\":{\"KeyPair\":\"device-id\"},\"nonce\":\"" NONCE "\"}");
	assert_int_equal(handle_open(&h, &bound, buf_str(&text), NOW, &e), E_FORMAT);
	assert_non_null(strstr(e.msg, "bind = false"));
}

static void
a_handle_ends_with_its_time(void **state)
{
	struct handle_rules endless = { secret, true, 0 };
	AUTO_BUF text = { 0 };
	AUTO_BUF for_ever = { 0 };
	struct handle h = { 0 };
	struct err e;

	(void)state;
	mint(&text, &bound, HANDLE_PAIR, "x", 5, NULL);
	mint(&for_ever, &endless, HANDLE_PAIR, "x", 5, NULL);
	assert_int_equal(handle_open(&h, &bound, buf_str(&text), NOW + DAY - 1, &e), 0);
	assert_int_equal(handle_open(&h, &bound, buf_str(&text), NOW + DAY, &e), E_FORMAT);
	assert_int_equal(handle_open(&h, &bound, buf_str(&text), NOW - 3600, &e), 0);    /* the clock went back a little */
	assert_int_equal(handle_open(&h, &bound, buf_str(&text), NOW - 2 * DAY, &e), E_FORMAT);
	assert_int_equal(handle_open(&h, &endless, buf_str(&for_ever), NOW + 1000 * DAY, &e), 0);
	assert_int_equal(handle_open(&h, &bound, buf_str(&for_ever), NOW, &e), E_FORMAT); /* times were limited since */
}

/* Else a handle that was given for a day would be good for ever: each made from the last. */
static void
what_is_made_from_a_handle_ends_with_it(void **state)
{
	struct handle_rules endless = { secret, true, 0 };
	const struct handle_rules *both[] = { &bound, &endless };
	AUTO_BUF text = { 0 };
	struct handle h = { 0 };
	struct err e;

	(void)state;
	mint(&text, &bound, HANDLE_KEY, "x", 5, NULL);
	for (size_t i = 0; i < N_OF(both); i++) {
		AUTO_BUF next = { 0 };
		AUTO_BUF derived = { 0 };

		assert_int_equal(handle_open(&h, &bound, buf_str(&text), NOW + DAY - 1, &e), 0);
		h.uid = 6;
		assert_int_equal(handle_mint(&next, both[i], &h, NOW + DAY - 1, &e), 0);
		h.kind = HANDLE_DERIVED;
		assert_int_equal(handle_mint(&derived, both[i], &h, NOW + DAY - 1, &e), 0);
		assert_int_equal(handle_open(&h, both[i], buf_str(&next), NOW + DAY - 1, &e), 0);
		assert_int_equal(handle_open(&h, both[i], buf_str(&next), NOW + DAY, &e), E_FORMAT);
		assert_int_equal(handle_open(&h, both[i], buf_str(&derived), NOW + DAY, &e), E_FORMAT);
	}
}

static void
another_secret_does_not_open_it(void **state)
{
	AUTO(custody_key) other = soft_key_of_secret(bytes_of("another"));
	struct handle_rules rules = { other, true, DAY };
	AUTO_BUF text = { 0 };

	(void)state;
	mint(&text, &bound, HANDLE_PAIR, "x", 5, NULL);
	assert_int_equal(opens(&rules, buf_str(&text)), E_FORMAT);
}

static void
a_derived_handle_carries_base_and_data(void **state)
{
	const struct handle_rules *both[] = { &bound, &free_rules };

	(void)state;
	for (size_t i = 0; i < N_OF(both); i++) {
		AUTO_BUF text = { 0 };
		struct handle h = { 0 };
		struct err e;

		mint(&text, both[i], HANDLE_DERIVED, "master", 9, "\x01\xff module");
		assert_int_equal(handle_open(&h, both[i], buf_str(&text), NOW, &e), 0);
		assert_int_equal(h.kind, HANDLE_DERIVED);
		assert_string_equal(h.id, "master");
		assert_true(bytes_equal_str(bytes_of_buf(&h.data), "\x01\xff module"));
		assert_int_equal(h.bound, both[i]->bind);
		handle_clear(&h);
	}
}

/* Who was given a derived key reads its handle, and must not get the base key, or another derived key, from it. */
static void
the_base_inside_a_derived_handle_is_of_no_use_alone(void **state)
{
	AUTO_BUF text = { 0 };
	AUTO_BUF json = { 0 };
	AUTO_BUF base = { 0 };
	const char *p;

	(void)state;
	mint(&text, &bound, HANDLE_DERIVED, "master", 9, "data");
	p = strstr(inside(&json, buf_str(&text)), "sr=");
	buf_put(&base, p, strcspn(p, "\""));
	assert_int_equal(opens(&bound, buf_str(&base)), E_FORMAT);
	assert_int_equal(opens(&free_rules, buf_str(&base)), E_FORMAT);
}

static void
derived_handles_do_not_nest_nor_mix_users(void **state)
{
	AUTO_BUF inner = { 0 };
	AUTO_BUF json = { 0 };

	(void)state;
	mint(&inner, &free_rules, HANDLE_DERIVED, "master", 9, "data");
	buf_printf(&json, "{\"key_id\":{\"Derived\":[\"%s\",[1]]}}", buf_str(&inner));
	assert_int_equal(opens_json(&free_rules, buf_str(&json)), E_FORMAT);
	buf_reset(&json);
	buf_reset(&inner);
	mint(&inner, &free_rules, HANDLE_PAIR, "pair", 9, NULL);
	buf_printf(&json, "{\"key_id\":{\"Derived\":[\"%s\",[1]]}}", buf_str(&inner));
	assert_int_equal(opens_json(&free_rules, buf_str(&json)), E_FORMAT);
	buf_reset(&json);
	by_hand(&inner, "{\"key_id\":{\"Key\":\"m\"},\"uid\":5,\"gen\":1,\"inner\":true,\"exp\":1800000001}");
	buf_printf(&json, "{\"key_id\":{\"Derived\":[\"%s\",[1]]},\"uid\":6,\"gen\":1,\"exp\":1800000001}", buf_str(&inner));
	assert_int_equal(opens_json(&bound, buf_str(&json)), E_FORMAT);
}

static void
derivation_data_is_octets_and_not_too_many(void **state)
{
	static const char *const data[] = { "[256]", "[-1]", "[\"a\"]", "[1.0]", "\"AQ==\"", "null" };
	AUTO_BUF base = { 0 };
	struct handle h = { .kind = HANDLE_DERIVED, .id = "m" };
	AUTO_BUF out = { 0 };
	struct err e;

	(void)state;
	mint(&base, &free_rules, HANDLE_KEY, "m", 0, NULL);
	for (size_t i = 0; i < N_OF(data); i++) {
		AUTO_BUF json = { 0 };

		buf_printf(&json, "{\"key_id\":{\"Derived\":[\"%s\",%s]}}", buf_str(&base), data[i]);
		assert_int_equal(opens_json(&free_rules, buf_str(&json)), E_FORMAT);
	}
	while (h.data.n < HANDLE_DATA_MAX)
		buf_put_u8(&h.data, 255);
	assert_int_equal(handle_mint(&out, &bound, &h, NOW, &e), 0);
	assert_int_equal(opens(&bound, buf_str(&out)), 0); /* what is made is taken */
	buf_put_u8(&h.data, 255);
	assert_int_equal(handle_mint(&out, &bound, &h, NOW, &e), E_USAGE);
	handle_clear(&h);
}

static void
only_its_user_and_root_may_use_a_bound_handle(void **state)
{
	struct handle h = { .bound = true, .uid = 1000, .id = "k" }, nobodys = { .bound = false },
	    last = { .bound = true, .uid = (uid_t)-1 };
	struct err e;

	(void)state;
	assert_int_equal(handle_check_uid(&h, 1000, &e), 0);
	assert_int_equal(handle_check_uid(&h, 0, &e), 0);
	assert_int_equal(handle_check_uid(&h, 1001, &e), E_AUTH);
	assert_int_equal(handle_check_uid(&h, (uid_t)-1, &e), E_AUTH);
	assert_int_equal(handle_check_uid(&last, (uid_t)-1, &e), E_AUTH);
	assert_int_equal(handle_check_uid(&nobodys, 1001, &e), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_unbound_handle_is_written_as_the_original_writes_it),
		cmocka_unit_test(a_bound_handle_has_its_members_after_the_nonce),
		cmocka_unit_test(a_handle_made_by_hand_opens),
		cmocka_unit_test(its_parts_may_stand_in_any_order_among_others),
		cmocka_unit_test(one_changed_character_anywhere_is_refused),
		cmocka_unit_test(what_is_no_handle_is_refused),
		cmocka_unit_test(a_right_mac_over_nonsense_is_refused),
		cmocka_unit_test(an_unbound_handle_is_refused_where_handles_are_bound_and_told_why),
		cmocka_unit_test(a_handle_ends_with_its_time),
		cmocka_unit_test(what_is_made_from_a_handle_ends_with_it),
		cmocka_unit_test(another_secret_does_not_open_it),
		cmocka_unit_test(a_derived_handle_carries_base_and_data),
		cmocka_unit_test(the_base_inside_a_derived_handle_is_of_no_use_alone),
		cmocka_unit_test(derived_handles_do_not_nest_nor_mix_users),
		cmocka_unit_test(derivation_data_is_octets_and_not_too_many),
		cmocka_unit_test(only_its_user_and_root_may_use_a_bound_handle),
	};

	return cmocka_run_group_tests_name("handles", tests, begin, end);
}
