/* SPDX-License-Identifier: Apache-2.0 */
/* test_task.c - tasks and results as messages: whole, strict, and safe from whoever sends them */
#include "device/provision/task.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

#include "core/base/rnd.h"
#include "core/codec/wire.h"

#define ALL   "\"keyd\":\"/k\",\"certd\":\"/c\""
#define CLOUD ALL ",\"auth\":\"sas\",\"key\":\"dev\""
#define DPS   CLOUD ",\"endpoint\":\"https://h\",\"scope\":\"s\",\"registration\":\"r\""
#define HUB   CLOUD ",\"hub\":\"h\",\"device\":\"d\""

/* One task of each kind, as small as it can be. */
static const char *const least[TASK_KIND_COUNT] = {
	[TASK_DPS] = "{" DPS "}",
	[TASK_MODULE_LIST] = "{" HUB "}",
	[TASK_MODULE_GET] = "{" HUB ",\"module\":\"m\"}",
	[TASK_MODULE_CREATE] = "{" HUB ",\"module\":\"m\",\"master\":\"k\"}",
	[TASK_MODULE_UPDATE] = "{" HUB ",\"module\":\"m\",\"master\":\"k\"}",
	[TASK_MODULE_DELETE] = "{" HUB ",\"module\":\"m\"}",
	[TASK_KEY_HANDLE] = "{" ALL ",\"key\":\"k\"}",
	[TASK_MODULE_HANDLE] = "{" ALL ",\"module\":\"m\",\"generation\":\"g\",\"master\":\"k\"}",
	[TASK_CERT_ISSUE] = "{" ALL ",\"id\":\"c\",\"key\":\"k\",\"subject\":[[\"CN\",\"x\"]]}",
	[TASK_CERT_GET] = "{" ALL ",\"id\":\"c\"}",
	[TASK_CERT_PUT] = "{" ALL ",\"id\":\"c\",\"pem\":\"p\"}",
	[TASK_CERT_DELETE] = "{" ALL ",\"id\":\"c\"}",
	[TASK_KEY_SWITCH] = "{" ALL ",\"key\":\"k\",\"from\":\"f\",\"spki\":\"AA==\"}",
	[TASK_KEY_PROVE] = "{" ALL ",\"key\":\"k\"}",
	[TASK_KEY_DELETE] = "{" ALL ",\"key\":\"k\"}",
	[TASK_LOCAL_ID] = "{" ALL ",\"id\":\"c\",\"subject\":[[\"CN\",\"x\"]]}",
};

static int
decode(uint32_t kind, const char *json, struct err *e)
{
	AUTO_BUF message = { 0 };
	AUTO_JSON args = NULL;
	enum task_kind k = TASK_NONE;
	int r;

	wire_put_u32(&message, kind);
	wire_put_str(&message, json);
	r = task_decode(&k, &args, bytes_of_buf(&message), e);
	assert_int_equal(r == 0, args != NULL);
	assert_int_equal(k, r == 0 ? kind : TASK_NONE);
	return r;
}

static void
every_kind_has_a_name_and_a_least_task_that_is_taken(void **state)
{
	struct err e = { 0 };

	(void)state;
	for (uint32_t k = 1; k < TASK_KIND_COUNT; k++) {
		if (decode(k, least[k], &e) != 0)
			fail_msg("%s: %s", task_kind_name((enum task_kind)k), e.msg);
		assert_string_not_equal(task_kind_name((enum task_kind)k), "?");
	}
	assert_string_equal(task_kind_name(TASK_KIND_COUNT), "?");
	for (unsigned o = 0; o < TASK_OUTCOME_COUNT; o++)
		assert_string_not_equal(task_outcome_name((enum task_outcome)o), "?");
	assert_string_equal(task_outcome_name(TASK_OUTCOME_COUNT), "?");
}

static bool
needs_certd(uint32_t k)
{
	return strncmp(task_kind_name((enum task_kind)k), "cert-", 5) == 0 || k == TASK_LOCAL_ID;
}

static void
a_task_without_a_member_that_it_needs_is_refused(void **state)
{
	struct err e = { 0 };

	(void)state;
	for (uint32_t k = 1; k < TASK_KIND_COUNT; k++) {
		AUTO_JSON whole = NULL;
		const char *name;
		json_t *v;

		assert_int_equal(json_parse(&whole, bytes_of(least[k]), &e), 0);
		json_object_foreach(whole, name, v) {
			AUTO_JSON less = json_copy(whole);
			AUTO_BUF text = { 0 };

			(void)json_object_del(less, name);
			json_print(&text, less, false);
			if (strcmp(name, "certd") == 0 && !needs_certd(k))
				continue;
			if (decode(k, buf_str(&text), &e) != E_FORMAT || strstr(e.msg, name) == NULL)
				fail_msg("%s without %s: %s", task_kind_name((enum task_kind)k), name, e.msg);
		}
	}
}

static void
a_member_of_another_type_or_kind_or_too_long_is_refused(void **state)
{
	static const struct {
		enum task_kind k;
		const char *json;
	} rows[] = {
		{ TASK_CERT_GET, "{" ALL ",\"id\":\"c\",\"pem\":\"x\"}" },
		{ TASK_CERT_GET, "{" ALL ",\"id\":\"c\",\"unknown\":1}" },
		{ TASK_CERT_GET, "{" ALL ",\"id\":7}" },
		{ TASK_CERT_GET, "{" ALL ",\"id\":null}" },
		{ TASK_CERT_GET, "{" ALL ",\"id\":\"\"}" },
		{ TASK_CERT_GET, "{" ALL ",\"id\":\"a\\u0001\"}" },
		{ TASK_CERT_GET, "{" ALL ",\"id\":\"a\\nb\"}" },
		{ TASK_CERT_GET, "{" ALL ",\"id\":\"c\",\"id\":\"d\"}" },
		{ TASK_CERT_GET, "{" ALL ",\"id\":\"c\",\"deadline_s\":-1}" },
		{ TASK_CERT_GET, "{" ALL ",\"id\":\"c\",\"deadline_s\":3601}" },
		{ TASK_CERT_GET, "{" ALL ",\"id\":\"c\",\"deadline_s\":1.5}" },
		{ TASK_CERT_GET, "{" ALL ",\"id\":\"c\",\"deadline_s\":\"9\"}" },
		{ TASK_CERT_GET, "{" ALL ",\"id\":\"c\",\"trust_system\":1}" },
		{ TASK_CERT_GET, "[]" },
		{ TASK_CERT_GET, "\"x\"" },
		{ TASK_CERT_GET, "" },
		{ TASK_CERT_GET, "{" ALL ",\"id\":\"c\"} " "x" },
		{ TASK_CERT_ISSUE, "{" ALL ",\"id\":\"c\",\"key\":\"k\",\"subject\":[]}" },
		{ TASK_CERT_ISSUE, "{" ALL ",\"id\":\"c\",\"key\":\"k\",\"subject\":[[\"CN\"]]}" },
		{ TASK_CERT_ISSUE, "{" ALL ",\"id\":\"c\",\"key\":\"k\",\"subject\":[[\"CN\",\"x\",\"y\"]]}" },
		{ TASK_CERT_ISSUE, "{" ALL ",\"id\":\"c\",\"key\":\"k\",\"subject\":[\"CN\",\"x\"]}" },
		{ TASK_CERT_ISSUE, "{" ALL ",\"id\":\"c\",\"key\":\"k\",\"subject\":{\"CN\":\"x\"}}" },
		{ TASK_CERT_ISSUE, "{" ALL ",\"id\":\"c\",\"key\":\"k\",\"subject\":[[\"CN\",7]]}" },
		{ TASK_LOCAL_ID, "{" ALL ",\"id\":\"c\",\"subject\":[[\"CN\",\"x\"]],\"dns\":\"x\"}" },
		{ TASK_LOCAL_ID, "{" ALL ",\"id\":\"c\",\"subject\":[[\"CN\",\"x\"]],\"dns\":[1]}" },
		{ TASK_KEY_HANDLE, "{" ALL ",\"key\":\"k\",\"uid\":4294967295}" },
		{ TASK_KEY_HANDLE, "{" ALL ",\"key\":\"k\",\"uid\":-1}" },
		{ TASK_DPS, "{" ALL ",\"auth\":\"none\",\"key\":\"k\",\"endpoint\":\"e\",\"scope\":\"s\",\"registration\":\"r\"}" },
		{ TASK_DPS, "{" ALL ",\"auth\":\"x509\",\"key\":\"k\",\"endpoint\":\"e\",\"scope\":\"s\",\"registration\":\"r\"}" },
		{ TASK_DPS, "{" ALL ",\"auth\":\"sas\",\"endpoint\":\"e\",\"scope\":\"s\",\"registration\":\"r\"}" },
		{ TASK_MODULE_GET, "{" HUB ",\"module\":{}}" },
		{ TASK_MODULE_LIST, "{" HUB ",\"trust_ids\":\"x\"}" },
		{ TASK_MODULE_LIST, "{" HUB ",\"trust_ids\":[[]]}" },
	};
	struct err e = { 0 };

	(void)state;
	for (size_t i = 0; i < N_OF(rows); i++)
		if (decode(rows[i].k, rows[i].json, &e) != E_FORMAT)
			fail_msg("%s was taken", rows[i].json);
}

static void
an_id_of_the_most_octets_is_taken_and_one_more_is_not(void **state)
{
	struct err e = { 0 };

	(void)state;
	for (size_t n = ID_MAX - 1; n <= ID_MAX; n++) {
		AUTO_BUF text = { 0 };

		buf_put_str(&text, "{" ALL ",\"id\":\"");
		for (size_t i = 0; i < n; i++)
			buf_put_str(&text, "x");
		buf_put_str(&text, "\"}");
		assert_int_equal(decode(TASK_CERT_GET, buf_str(&text), &e), n < ID_MAX ? 0 : E_FORMAT);
	}
}

static void
a_payload_may_be_any_json_and_a_tpm_needs_no_key(void **state)
{
	struct err e = { 0 };

	(void)state;
	assert_int_equal(decode(TASK_DPS, "{" DPS ",\"payload\":{\"a\":[1,null]}}", &e), 0);
	assert_int_equal(decode(TASK_DPS, "{" DPS ",\"payload\":null}", &e), 0);
	assert_int_equal(decode(TASK_DPS, "{" DPS ",\"payload\":\"text\"}", &e), 0);
	assert_int_equal(decode(TASK_DPS,
	    "{" ALL ",\"auth\":\"tpm\",\"endpoint\":\"e\",\"scope\":\"s\",\"registration\":\"r\"}", &e), 0);
}

static void
a_message_cut_anywhere_or_with_more_behind_it_is_refused(void **state)
{
	AUTO_BUF message = { 0 };
	AUTO_JSON args = NULL;
	enum task_kind k;
	struct err e = { 0 };

	(void)state;
	assert_int_equal(json_parse(&args, bytes_of(least[TASK_DPS]), &e), 0);
	task_encode(&message, TASK_DPS, args);
	for (size_t n = 0; n < message.n; n++) {
		json_t *out = NULL;

		assert_int_equal(task_decode(&k, &out, (struct bytes){ message.p, n }, &e), E_FORMAT);
		assert_null(out);
	}
	buf_put_u8(&message, 0);
	assert_int_equal(task_decode(&k, &args, bytes_of_buf(&message), &e), E_FORMAT);
	assert_int_equal(decode(TASK_NONE, "{" ALL "}", &e), E_FORMAT);
	assert_int_equal(decode(TASK_KIND_COUNT, "{" ALL "}", &e), E_FORMAT);
	assert_int_equal(decode(UINT32_MAX, "{" ALL "}", &e), E_FORMAT);
}

static void
noise_is_refused(void **state)
{
	struct err e = { 0 };

	(void)state;
	for (int i = 0; i < 20000; i++) {
		struct task_result r = { 0 };
		uint8_t noise[96];
		size_t n = rnd_below(sizeof(noise));
		json_t *args = NULL;
		enum task_kind k;

		rnd_bytes(noise, sizeof(noise));
		assert_int_not_equal(task_decode(&k, &args, (struct bytes){ noise, n }, &e), 0);
		assert_int_not_equal(task_result_decode(&r, (struct bytes){ noise, n }, &e), 0);
		assert_null(args);
		assert_null(r.value);
	}
}

static void
a_result_comes_back_as_it_was(void **state)
{
	struct task_result r = { .outcome = TASK_BUSY, .text = "why; and what", .http_status = 429, .error_code = 429001,
		.retry_after_s = 17, .server_date = 1800000000 };
	struct task_result got = { 0 };
	AUTO_BUF message = { 0 };
	struct err e = { 0 };

	(void)state;
	assert_int_equal(json_parse(&r.value, bytes_of("{\"hub\":\"h\",\"device_id\":\"d\",\"payload\":null,\"not_after\":5,"
	    "\"modules\":[{\"moduleId\":\"m\"}],\"module\":{\"a\":1},\"key\":\"PEM\\n\"}"), &e), 0);
	task_result_encode(&message, &r);
	assert_int_equal(task_result_decode(&got, bytes_of_buf(&message), &e), 0);
	assert_int_equal(got.outcome, TASK_BUSY);
	assert_string_equal(got.text, "why; and what");
	assert_int_equal(got.http_status, 429);
	assert_int_equal(got.error_code, 429001);
	assert_int_equal(got.retry_after_s, 17);
	assert_int_equal(got.server_date, 1800000000);
	assert_true(json_equal(got.value, r.value));
	for (size_t n = 0; n < message.n; n++) {
		struct task_result cut = { 0 };

		assert_int_equal(task_result_decode(&cut, (struct bytes){ message.p, n }, &e), E_FORMAT);
		assert_null(cut.value);
	}
	task_result_clear(&r);
	task_result_clear(&got);
}

static int
decode_result(uint32_t outcome, uint32_t status, int64_t retry, const char *json)
{
	struct task_result r = { 0 };
	AUTO_BUF m = { 0 };
	struct err e;
	int rc;

	wire_put_u32(&m, outcome);
	wire_put_str(&m, "");
	wire_put_u32(&m, status);
	wire_put_i64(&m, 0);
	wire_put_i64(&m, retry);
	wire_put_i64(&m, 0);
	wire_put_str(&m, json);
	rc = task_result_decode(&r, bytes_of_buf(&m), &e);
	if (rc == 0)
		task_result_clear(&r);
	return rc;
}

static void
a_result_that_no_worker_of_ours_would_send_is_refused(void **state)
{
	(void)state;
	assert_int_equal(decode_result(TASK_DONE, 200, -1, "{}"), 0);
	assert_int_equal(decode_result(TASK_OUTCOME_COUNT, 200, -1, "{}"), E_FORMAT);
	assert_int_equal(decode_result(TASK_DONE, 1000, -1, "{}"), E_FORMAT);
	assert_int_equal(decode_result(TASK_DONE, 200, -2, "{}"), E_FORMAT);
	assert_int_equal(decode_result(TASK_DONE, 200, -1, "[]"), E_FORMAT);
	assert_int_equal(decode_result(TASK_DONE, 200, -1, "null"), E_FORMAT);
	assert_int_equal(decode_result(TASK_DONE, 200, -1, "{\"device\":\"x\"}"), E_FORMAT);
	assert_int_equal(decode_result(TASK_DONE, 200, -1, "{\"handle\":7}"), E_FORMAT);
	assert_int_equal(decode_result(TASK_DONE, 200, -1, "{\"modules\":[7]}"), E_FORMAT);
	assert_int_equal(decode_result(TASK_DONE, 200, -1, "{\"module\":\"m\"}"), E_FORMAT);
	assert_int_equal(decode_result(TASK_DONE, 200, -1, "{\"status\":\"a\\nb\"}"), E_FORMAT);
}

static void
what_time_heals_is_tried_again_and_what_somebody_decided_is_not(void **state)
{
	(void)state;
	assert_true(task_outcome_retry(TASK_NO_SERVER) && task_outcome_retry(TASK_BUSY) && task_outcome_retry(TASK_DIED));
	assert_true(task_outcome_retry(TASK_KEY_FAILED) && task_outcome_retry(TASK_CERT_FAILED));
	assert_false(task_outcome_retry(TASK_DONE) || task_outcome_retry(TASK_REFUSED) || task_outcome_retry(TASK_DISABLED));
	assert_false(task_outcome_retry(TASK_BAD_TASK) || task_outcome_retry(TASK_FAILED) || task_outcome_retry(TASK_NOT_FOUND));
	assert_false(task_outcome_retry(TASK_OUTCOME_COUNT));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_kind_has_a_name_and_a_least_task_that_is_taken),
		cmocka_unit_test(a_task_without_a_member_that_it_needs_is_refused),
		cmocka_unit_test(a_member_of_another_type_or_kind_or_too_long_is_refused),
		cmocka_unit_test(an_id_of_the_most_octets_is_taken_and_one_more_is_not),
		cmocka_unit_test(a_payload_may_be_any_json_and_a_tpm_needs_no_key),
		cmocka_unit_test(a_message_cut_anywhere_or_with_more_behind_it_is_refused),
		cmocka_unit_test(noise_is_refused),
		cmocka_unit_test(a_result_comes_back_as_it_was),
		cmocka_unit_test(a_result_that_no_worker_of_ours_would_send_is_refused),
		cmocka_unit_test(what_time_heals_is_tried_again_and_what_somebody_decided_is_not),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
