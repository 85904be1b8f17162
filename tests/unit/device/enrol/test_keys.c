/* SPDX-License-Identifier: Apache-2.0 */
/* test_keys.c - jobs about a key alone */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "device/enrol/enrol.h"
#include "tests/unit/core/est/mint.h"
#include "tests/unit/device/enrol/keyring_fake.h"

static struct job_result
run(enum job_kind kind, const char *id, const struct minted *chain)
{
	struct job j = { .kind = kind };
	struct job_result r;

	(void)snprintf(j.client_key, sizeof(j.client_key), "%s", id);
	(void)snprintf(j.key_from, sizeof(j.key_from), "from");
	if (chain != NULL)
		mint_pem(&j.client_chain, chain, NULL);
	enrol_run(&r, &j, MINT_NOW);
	job_clear(&j);
	return r;
}

static void
expect(struct job_result r, enum job_outcome o, const char *check)
{
	assert_int_equal(r.outcome, o);
	assert_string_equal(r.check, check);
	assert_true((o == JOB_DONE) == (r.text[0] == 0));
	job_result_clear(&r);
}

static void
a_key_matches_its_own_certificate_and_no_other(void **state)
{
	struct minted mine = mint(&(struct mint){ .cn = "a" }), other = mint(&(struct mint){ .cn = "b" });

	(void)state;
	fake_put("est-id", mine.key);
	expect(run(JOB_MATCH, "est-id", &mine), JOB_DONE, "");
	expect(run(JOB_MATCH, "est-id", &other), JOB_BAD_ANSWER, "wrong-key");
	expect(run(JOB_MATCH, "none", &mine), JOB_KEY_FAILED, "not-found");
	expect(run(JOB_MATCH, "est-id", NULL), JOB_BAD_JOB, "");
	mint_free(&mine);
	mint_free(&other);
	fake_forget();
}

static void
the_public_key_is_told(void **state)
{
	struct minted mine = mint(&(struct mint){ .cn = "a" });
	struct job_result r;

	(void)state;
	fake_put("k", mine.key);
	r = run(JOB_SPKI, "k", NULL);
	assert_true(bytes_equal(bytes_of_buf(&r.spki), key_spki(mine.key)));
	expect(r, JOB_DONE, "");
	expect(run(JOB_SPKI, "none", NULL), JOB_KEY_FAILED, "not-found");
	mint_free(&mine);
	fake_forget();
}

static void
changes_go_to_the_service_and_deleting_nothing_is_success(void **state)
{
	static const struct { enum job_kind kind; const char *told; } rows[] = {
		{ JOB_SWITCH, "switch k" }, { JOB_PROVE, "prove k" }, { JOB_ROLLBACK, "rollback k" }, { JOB_DELETE, "delete k" },
	};
	struct minted mine = mint(&(struct mint){ .cn = "a" });

	(void)state;
	fake_put("k", mine.key);
	for (size_t i = 0; i < N_OF(rows); i++) {
		expect(run(rows[i].kind, "k", NULL), JOB_DONE, "");
		assert_string_equal(fake_told, rows[i].told);
	}
	expect(run(JOB_DELETE, "none", NULL), JOB_DONE, "");
	expect(run(JOB_ROLLBACK, "none", NULL), JOB_KEY_FAILED, "not-found");
	fake_down = E_UNAVAIL;
	expect(run(JOB_DELETE, "k", NULL), JOB_KEY_FAILED, "");
	fake_down = E_AUTH;
	expect(run(JOB_PROVE, "k", NULL), JOB_KEY_FAILED, "not-authorised");
	mint_free(&mine);
	fake_forget();
}

static void
a_job_of_no_kind_is_refused(void **state)
{
	(void)state;
	expect(run(JOB_KIND_COUNT, "k", NULL), JOB_BAD_JOB, "");
	expect(run((enum job_kind)0, "k", NULL), JOB_BAD_JOB, "");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_key_matches_its_own_certificate_and_no_other),
		cmocka_unit_test(the_public_key_is_told),
		cmocka_unit_test(changes_go_to_the_service_and_deleting_nothing_is_success),
		cmocka_unit_test(a_job_of_no_kind_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
