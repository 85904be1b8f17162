/* SPDX-License-Identifier: Apache-2.0 */
/* provision/test_token.c - for what, until when and by which key a shared access signature is */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "server/provision/provision.h"
#include "server/provision/token.h"

#define NOW INT64_C(1800000000)

static struct ask_token t;

/* As a client of the original writes it, with 30 s to go; signed, by another program, with the key "key". */
static int
read_token(void **state)
{
	(void)state;
	ask_token_parse(&t, "SharedAccessSignature sr=0ne00abcdef/registrations/dev-1&sig=vbcbAHLkOAPTTROdCn904kWraHWy8cQM9MqFCIuqNIY%3D&se=1800000030&skn=registration", 1);
	return t.state == ASK_SAS_GIVEN ? 0 : -1;
}

static void
a_clients_token_is_taken(void **state)
{
	const char *text;

	(void)state;
	assert_null(token_unfit(&t, NOW, &text));
	assert_null(token_unfit_to_register(&t, "0ne00ABCDEF", "dev-1", &text));
	assert_true(token_signed(&t, bytes_of("key")));
}

/* The C and Python clients of the original encode the slashes as well; what is signed is what is sent. */
static void
a_token_is_signed_as_it_is_written(void **state)
{
	struct ask_token other;
	const char *text;

	(void)state;
	ask_token_parse(&other, "SharedAccessSignature sr=0ne00abcdef%2fregistrations%2fdev-1&sig=S1BQAfJu0Mv%2BCRSNIOB6YR4ExsRPx49JmKsTZ3qAz4U%3D&se=1800000030&skn=registration", 1);
	assert_int_equal(other.state, ASK_SAS_GIVEN);
	assert_null(token_unfit_to_register(&other, "0ne00ABCDEF", "dev-1", &text));
	assert_true(token_signed(&other, bytes_of("key")));
	memcpy(other.sig, t.sig, sizeof(other.sig));
	assert_false(token_signed(&other, bytes_of("key")));
}

static void
another_key_signs_another_way(void **state)
{
	(void)state;
	assert_false(token_signed(&t, bytes_of("Key")));
	assert_false(token_signed(&t, bytes_of("")));
	assert_false(token_signed(&t, (struct bytes){ 0 }));
	t.state = ASK_SAS_MALFORMED;
	assert_false(token_signed(&t, bytes_of("key")));
}

static void
every_bit_of_the_signature_counts(void **state)
{
	(void)state;
	for (size_t i = 0; i < 8 * sizeof(t.sig); i++) {
		t.sig[i / 8] ^= (uint8_t)(1u << i % 8);
		assert_false(token_signed(&t, bytes_of("key")));
		t.sig[i / 8] ^= (uint8_t)(1u << i % 8);
	}
}

static void
it_has_its_time_with_a_skew_on_either_side(void **state)
{
	static const struct { int64_t ends; const char *reason; } rows[] = {
		{ -PROVISION_SKEW_S + 1, NULL }, { -PROVISION_SKEW_S, "dps.token-expired" }, { 0, NULL },
		{ PROVISION_TOKEN_S + PROVISION_SKEW_S, NULL }, { PROVISION_TOKEN_S + PROVISION_SKEW_S + 1, "dps.token-too-long" },
		{ -NOW, "dps.token-expired" }, { INT64_MAX - NOW, "dps.token-too-long" },
	};
	const char *text, *got;

	(void)state;
	for (size_t i = 0; i < N_OF(rows); i++) {
		t.expires = NOW + rows[i].ends;
		got = token_unfit(&t, NOW, &text);
		assert_true((got == NULL) == (rows[i].reason == NULL));
		if (got != NULL)
			assert_string_equal(got, rows[i].reason);
	}
}

static void
it_is_for_one_registration_or_one_device_alone(void **state)
{
	const char *text;

	(void)state;
	assert_string_equal(token_unfit_to_register(&t, "0ne00ABCDEF", "dev-2", &text), "dps.token-resource");
	assert_string_equal(token_unfit_to_register(&t, "0ne00ABCDEF", "dev-", &text), "dps.token-resource");
	assert_string_equal(token_unfit_to_register(&t, "0ne00ABCDE", "dev-1", &text), "dps.token-resource");
	(void)snprintf(t.skn, sizeof(t.skn), "device");
	assert_string_equal(token_unfit_to_register(&t, "0ne00ABCDEF", "dev-1", &text), "dps.token-key-name");
	assert_false(token_is_for_hub(&t, "0ne00abcdef", "dev-1"));
	(void)snprintf(t.resource, sizeof(t.resource), "hub.example:8883/devices/Dev-1");
	assert_true(token_is_for_hub(&t, "Hub.example:8883", "dev-1"));
	assert_false(token_is_for_hub(&t, "hub.example", "dev-1"));
	assert_false(token_is_for_hub(&t, "hub.example:8883", "dev-11"));
	(void)snprintf(t.resource, sizeof(t.resource), "hub.example:8883/devices/dev-1/modules/m");
	assert_false(token_is_for_hub(&t, "hub.example:8883", "dev-1"));
}

#define TEST(f) cmocka_unit_test_setup(f, read_token)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_clients_token_is_taken),
		TEST(a_token_is_signed_as_it_is_written),
		TEST(another_key_signs_another_way),
		TEST(every_bit_of_the_signature_counts),
		TEST(it_has_its_time_with_a_skew_on_either_side),
		TEST(it_is_for_one_registration_or_one_device_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
