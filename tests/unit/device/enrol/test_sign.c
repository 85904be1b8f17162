/* SPDX-License-Identifier: Apache-2.0 */
/* test_sign.c - local issuance: the policy as a table, and whole jobs */
#include "device/enrol/sign.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "device/enrol/enrol.h"
#include "tests/unit/core/est/mint.h"
#include "tests/unit/device/enrol/keyring_fake.h"

#define DAY      INT64_C(86400)
#define KU_CERTS (KU_KEY_CERT_SIGN | KU_CRL_SIGN)

/* --- policy --- */

struct policy_row {
	const char *what;
	struct csr csr;
	struct job job;
	int room;
	const char *refused;        /* a part of the reason; NULL: allowed */
	uint32_t ku;
	int pathlen;
	size_t n_eku;
};

#define WHO   .subject = { .n = 1, .ava = { { OID_CN, "pump-7" } } }, .key_type = KEY_EC_P256
#define NAMED WHO, .pathlen = -1

static const struct policy_row policy[] = {
	{ "a name and a key", { NAMED }, { .pathlen = -1 }, -1, NULL, KU_DIGITAL_SIGNATURE, -1, 0 },
	{ "an RSA key can encipher", { .subject = { .n = 1, .ava = { { OID_CN, "a" } } }, .key_type = KEY_RSA_2048, .pathlen = -1 },
	  { .pathlen = -1 }, -1, NULL, KU_DIGITAL_SIGNATURE | KU_KEY_ENCIPHERMENT, -1, 0 },
	{ "usages of a server", { NAMED, .has_key_usage = true, .key_usage = KU_DIGITAL_SIGNATURE | KU_NON_REPUDIATION |
	  KU_KEY_ENCIPHERMENT, .n_eku = 2, .eku = { OID_SERVER_AUTH, OID_CLIENT_AUTH } }, { .pathlen = -1 }, -1, NULL,
	  KU_DIGITAL_SIGNATURE | KU_NON_REPUDIATION | KU_KEY_ENCIPHERMENT, -1, 2 },
	{ "keyCertSign without CA", { NAMED, .has_key_usage = true, .key_usage = KU_KEY_CERT_SIGN }, { .pathlen = -1 }, -1,
	  "key usage" },
	{ "keyCertSign without CA, listed by mistake", { NAMED, .has_key_usage = true, .key_usage = KU_KEY_CERT_SIGN },
	  { .pathlen = -1, .allow_ku = KU_KEY_CERT_SIGN }, -1, "key usage" },
	{ "a usage that the entry leaves out", { NAMED, .has_key_usage = true, .key_usage = KU_KEY_ENCIPHERMENT },
	  { .pathlen = -1, .allow_ku = KU_DIGITAL_SIGNATURE }, -1, "key usage" },
	{ "code signing", { NAMED, .n_eku = 1, .eku = { OID_CODE_SIGNING } }, { .pathlen = -1 }, -1, "codeSigning" },
	{ "code signing, allowed", { NAMED, .n_eku = 1, .eku = { OID_CODE_SIGNING } },
	  { .pathlen = -1, .n_allow_eku = 1, .allow_eku = { OID_CODE_SIGNING } }, -1, NULL, KU_DIGITAL_SIGNATURE, -1, 1 },
	{ "any purpose", { NAMED, .n_eku = 1, .eku = { OID_ANY_EKU } }, { .pathlen = -1 }, -1, "extended key usage" },
	{ "an RA", { NAMED, .n_eku = 1, .eku = { OID_CMC_RA } }, { .pathlen = -1 }, -1, "extended key usage" },
	{ "a purpose nobody knows", { NAMED, .n_eku = 1, .eku = { OID_UNKNOWN } },
	  { .pathlen = -1, .n_allow_eku = 1, .allow_eku = { OID_UNKNOWN } }, -1, "(unknown)" },
	{ "a critical extension nobody knows", { NAMED, .critical_unknown = true }, { .pathlen = -1 }, -1, "critical" },
	{ "no name at all", { .key_type = KEY_EC_P256, .pathlen = -1 }, { .pathlen = -1 }, -1, "no subject" },
	{ "an alternative name alone", { .key_type = KEY_EC_P256, .pathlen = -1, .has_san = true,
	  .sans = { .n = 1, .san = { { SAN_DNS, 1, "a" } } } }, { .pathlen = -1 }, -1, NULL, KU_DIGITAL_SIGNATURE, -1, 0 },
	{ "an alternative name of the entry's", { NAMED, .has_san = true, .sans = { .n = 1, .san = { { SAN_DNS, 1, "a" } } } },
	  { .pathlen = -1, .sans = { .n = 2, .san = { { SAN_DNS, 1, "b" }, { SAN_DNS, 1, "a" } } } }, -1, NULL, KU_DIGITAL_SIGNATURE,
	  -1, 0 },
	{ "an alternative name beside the entry's", { NAMED, .has_san = true,
	  .sans = { .n = 2, .san = { { SAN_DNS, 1, "a" }, { SAN_DNS, 1, "x" } } } },
	  { .pathlen = -1, .sans = { .n = 1, .san = { { SAN_DNS, 1, "a" } } } }, -1, "alternative name" },
	{ "a CA", { NAMED, .wants_ca = true }, { .pathlen = -1 }, -1, "CA certificate" },
	{ "a CA, allowed", { NAMED, .wants_ca = true }, { .allow_ca = true, .pathlen = -1 }, -1, NULL, KU_CERTS, -1, 0 },
	{ "a CA as narrow as it asks", { WHO, .wants_ca = true, .pathlen = 0 }, { .allow_ca = true, .pathlen = 3 }, -1, NULL,
	  KU_CERTS, 0, 0 },
	{ "a CA as narrow as its entry", { NAMED, .wants_ca = true }, { .allow_ca = true, .pathlen = 1 }, -1, NULL, KU_CERTS, 1, 0 },
	{ "a CA as narrow as its issuer", { NAMED, .wants_ca = true }, { .allow_ca = true, .pathlen = 3 }, 2, NULL, KU_CERTS, 1, 0 },
	{ "a CA below an issuer of none", { NAMED, .wants_ca = true }, { .allow_ca = true, .pathlen = 3 }, 0, "path length" },
	{ "a CA's usages get what it needs", { NAMED, .wants_ca = true, .has_key_usage = true, .key_usage = KU_DIGITAL_SIGNATURE },
	  { .allow_ca = true, .pathlen = -1 }, -1, NULL, KU_DIGITAL_SIGNATURE | KU_KEY_CERT_SIGN, -1, 0 },
	{ "a nameless CA", { .key_type = KEY_EC_P256, .pathlen = -1, .wants_ca = true, .has_san = true,
	  .sans = { .n = 1, .san = { { SAN_DNS, 1, "a" } } } }, { .allow_ca = true, .pathlen = -1 }, -1, "no subject" },
};

static void
each_wish_is_granted_or_refused_by_the_entry(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_OF(policy); i++) {
		const struct policy_row *row = &policy[i];
		struct sign_plan p;
		struct err e = { 0 };
		int rc = sign_plan(&p, &row->job, &row->csr, row->room, &e);

		if (row->refused != NULL) {
			if (rc != E_POLICY || strstr(e.msg, row->refused) == NULL)
				fail_msg("%s: %d %s", row->what, rc, e.msg);
			continue;
		}
		if (rc != 0)
			fail_msg("%s: %s", row->what, e.msg);
		if (p.ku != row->ku || p.pathlen != row->pathlen || p.n_eku != row->n_eku || p.ca != row->csr.wants_ca)
			fail_msg("%s: ku 0x%x pathlen %d eku %zu", row->what, p.ku, p.pathlen, p.n_eku);
	}
}

/* --- whole jobs --- */

static struct minted root, issuer;
static struct key *own;

static int
setup(void **state)
{
	(void)state;
	root = mint(&(struct mint){ .cn = "Root", .ca = true });
	issuer = mint(&(struct mint){ .cn = "Issuer", .ca = true, .issuer = &root, .to = MINT_NOW + 20 * DAY });
	return key_generate(&own, KEY_EC_P256, NULL);
}

static int
teardown(void **state)
{
	(void)state;
	mint_free(&root);
	mint_free(&issuer);
	key_free(TAKE(own));
	return 0;
}

/* A job to sign a request of key `own`; the caller's members on top. */
static struct job
job_for(const char *subject, const char *san, bool ca, const struct minted *by)
{
	struct job j = { .kind = JOB_SIGN, .days = 10, .pathlen = -1 };
	struct name name;
	struct sans sans = { 0 };
	const struct csr_want want = { .subject = &name, .sans = &sans, .ca = ca, .client_auth = !ca };

	assert_int_equal(name_from_text(&name, subject, NULL), 0);
	if (san != NULL)
		assert_int_equal(sans_add_text(&sans, san, NULL), 0);
	assert_int_equal(csr_build(&j.csr, &want, own, NULL), 0);
	(void)snprintf(j.issuer_key, sizeof(j.issuer_key), "ca");
	if (by != NULL)
		mint_pem(&j.issuer_chain, by, &root);
	fake_put("ca", by != NULL ? by->key : own);
	return j;
}

/* Do it; the certificate in *c (borrows der), the number of certificates in *n. */
static struct job_result
sign(struct job *j, struct cert *c, struct buf *der, size_t *n)
{
	struct bytes part[8];
	struct job_result r;

	enrol_run(&r, j, MINT_NOW);
	*n = 0;
	if (r.outcome == JOB_DONE) {
		assert_int_equal(pem_decode_all(der, part, n, N_OF(part), bytes_of_buf(&r.chain), "CERTIFICATE", NULL), 0);
		assert_int_equal(cert_parse(c, part[0], NULL), 0);
	}
	job_clear(j);
	fake_forget();
	return r;
}

static void
expect(struct job j, enum job_outcome o, const char *words)
{
	AUTO_BUF der = { 0 };
	struct cert c;
	size_t n;
	struct job_result r = sign(&j, &c, &der, &n);

	if (r.outcome != o || strstr(r.text, words) == NULL)
		fail_msg("%s: %s", job_outcome_name(r.outcome), r.text);
	assert_true(r.chain.n == 0);
	job_result_clear(&r);
}

static void
an_issuer_signs_what_was_asked_for_and_its_chain_follows(void **state)
{
	struct job j = job_for("CN=edgehub", "dns:edgehub.local", false, &issuer);
	AUTO_BUF der = { 0 };
	struct cert c, i;
	size_t n;
	struct job_result r = sign(&j, &c, &der, &n);

	(void)state;
	assert_int_equal(r.outcome, JOB_DONE);
	assert_int_equal(n, 3);
	assert_int_equal(cert_parse(&i, mint_der(&issuer), NULL), 0);
	assert_string_equal(name_get(&c.subject, OID_CN), "edgehub");
	assert_true(c.has_san && c.sans.n == 1);
	assert_true(bytes_equal(c.issuer, i.subject_der) && bytes_equal(c.aki, i.ski) && c.ski.n == 20);
	assert_true(bytes_equal(c.spki, key_spki(own)));
	assert_true(!c.ca && c.has_ku && c.ku == KU_DIGITAL_SIGNATURE && cert_has_eku(&c, OID_CLIENT_AUTH));
	assert_int_equal(c.not_before, MINT_NOW - 300);
	assert_int_equal(c.not_after, MINT_NOW + 10 * DAY);
	job_result_clear(&r);
}

static void
serial_numbers_are_long_positive_and_never_the_same(void **state)
{
	uint8_t first[16] = { 0 };

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct job j = job_for("CN=a", NULL, false, &issuer);
		AUTO_BUF der = { 0 };
		struct cert c;
		size_t n;
		struct job_result r = sign(&j, &c, &der, &n);

		assert_int_equal(c.serial.n, 16);
		assert_true(c.serial.p[0] < 0x80 && c.serial.p[0] >= 0x40);
		assert_memory_not_equal(first, c.serial.p, 16);
		(void)memcpy(first, c.serial.p, 16);
		job_result_clear(&r);
	}
}

static void
a_certificate_ends_with_its_issuer(void **state)
{
	struct job j = job_for("CN=a", NULL, false, &issuer);
	AUTO_BUF der = { 0 };
	struct job_result r;
	struct cert c;
	size_t n;

	(void)state;
	j.days = UINT32_MAX;
	r = sign(&j, &c, &der, &n);
	assert_int_equal(c.not_after, MINT_NOW + 20 * DAY);
	job_result_clear(&r);
}

static void
a_life_of_ages_ends_in_the_last_year_that_can_be_written(void **state)
{
	struct job j = job_for("CN=a", NULL, false, NULL);
	AUTO_BUF der = { 0 };
	struct job_result r;
	struct cert c;
	size_t n;

	(void)state;
	j.days = UINT32_MAX;
	r = sign(&j, &c, &der, &n);
	assert_int_equal(r.outcome, JOB_DONE);
	assert_true(c.not_after >= INT64_C(253402300799));
	job_result_clear(&r);
}

static void
a_self_signed_one_names_itself_as_issuer(void **state)
{
	struct job j = job_for("CN=local-ca", NULL, true, NULL);
	AUTO_BUF der = { 0 };
	struct job_result r;
	struct cert c;
	size_t n;

	(void)state;
	j.allow_ca = true;
	r = sign(&j, &c, &der, &n);
	assert_int_equal(r.outcome, JOB_DONE);
	assert_int_equal(n, 1);
	assert_true(c.ca && c.pathlen == 0 && (c.ku & KU_KEY_CERT_SIGN) != 0);
	assert_true(bytes_equal(c.issuer, c.subject_der) && bytes_equal(c.aki, c.ski));
	job_result_clear(&r);
}

static void
a_subject_that_is_forced_replaces_the_requests(void **state)
{
	struct job j = job_for("CN=whatever", NULL, false, &issuer);
	AUTO_BUF der = { 0 };
	struct job_result r;
	struct cert c;
	size_t n;

	(void)state;
	j.force_subject = true;
	assert_int_equal(name_from_text(&j.subject, "CN=pump-7", NULL), 0);
	r = sign(&j, &c, &der, &n);
	assert_string_equal(name_get(&c.subject, OID_CN), "pump-7");
	job_result_clear(&r);
}

static void
the_entrys_alternative_names_are_given_to_who_asks_for_none(void **state)
{
	struct job j = job_for("CN=pump-7", NULL, false, &issuer);
	struct job_result r;
	struct sans entry = { 0 };
	AUTO_BUF der = { 0 };
	struct cert c;
	size_t n;

	(void)state;
	assert_int_equal(sans_add_text(&entry, "dns:pump-7.example", NULL), 0);
	j.sans = entry;
	r = sign(&j, &c, &der, &n);
	assert_int_equal(r.outcome, JOB_DONE);
	assert_true(c.has_san && sans_equal(&c.sans, &entry));
	job_result_clear(&r);
}

static void
a_request_is_made_here_when_none_is_given(void **state)
{
	struct job j = { .kind = JOB_SIGN, .days = 1, .pathlen = -1, .allow_ca = true, .want_ca = true, .create_key = true };
	AUTO_BUF der = { 0 };
	struct job_result r;
	struct cert c;
	size_t n;

	(void)state;
	(void)snprintf(j.key, sizeof(j.key), "local-ca");
	(void)snprintf(j.issuer_key, sizeof(j.issuer_key), "local-ca");
	assert_int_equal(name_from_text(&j.subject, "CN=Local CA", NULL), 0);
	r = sign(&j, &c, &der, &n);
	assert_int_equal(r.outcome, JOB_DONE);
	assert_true(c.ca && bytes_equal(c.spki, bytes_of_buf(&r.spki)));
	job_result_clear(&r);
}

static void
an_issuer_that_may_not_issue_does_not(void **state)
{
	struct minted expired = mint(&(struct mint){ .cn = "E", .ca = true, .issuer = &root, .to = MINT_NOW - 1 });
	struct minted future = mint(&(struct mint){ .cn = "F", .ca = true, .issuer = &root, .from = MINT_NOW + DAY });
	struct minted leaf = mint(&(struct mint){ .cn = "L", .issuer = &root });
	struct job j;

	(void)state;
	expect(job_for("CN=a", NULL, false, &expired), JOB_BAD_JOB, "ended at 2025");
	expect(job_for("CN=a", NULL, false, &future), JOB_BAD_JOB, "begins only at");
	expect(job_for("CN=a", NULL, false, &leaf), JOB_BAD_JOB, "no CA certificate");
	j = job_for("CN=a", NULL, false, &issuer);
	fake_forget();
	fake_put("ca", root.key);
	expect(j, JOB_BAD_JOB, "not that of its certificate");
	j = job_for("CN=a", NULL, false, &issuer);
	buf_reset(&j.issuer_chain);
	buf_put_str(&j.issuer_chain, "nothing");
	expect(j, JOB_BAD_JOB, "PEM");
	mint_free(&expired);
	mint_free(&future);
	mint_free(&leaf);
}

static void
a_request_that_may_not_be_signed_is_not(void **state)
{
	struct job j = job_for("CN=a", NULL, true, &issuer);

	(void)state;
	expect(j, JOB_REQUEST_REFUSED, "does not allow one");
	j = job_for("CN=a", NULL, false, &issuer);
	j.csr.p[j.csr.n - 1] ^= 1;
	expect(j, JOB_REQUEST_REFUSED, "csr");
	j = job_for("CN=a", NULL, false, NULL);
	fake_forget();
	fake_put("ca", root.key);
	expect(j, JOB_REQUEST_REFUSED, "its key is not 'ca'");
	j = job_for("CN=a", NULL, false, &issuer);
	j.days = 0;
	expect(j, JOB_BAD_JOB, "expiry_days");
	j = job_for("CN=a", NULL, false, &issuer);
	fake_down = E_UNAVAIL;
	expect(j, JOB_KEY_FAILED, "no answer");
}

static void
a_path_length_above_the_issuer_counts_too(void **state)
{
	struct job j = job_for("CN=Narrow", NULL, true, NULL);
	struct minted narrow = { 0 }, below;
	AUTO_BUF der = { 0 };
	struct job_result r;
	struct cert c;
	size_t n;

	(void)state;
	j.allow_ca = true; /* csr_build() asks for path length 0 */
	r = sign(&j, &c, &der, &n);
	buf_put_bytes(&narrow.der, c.der);
	assert_int_equal(key_from_evp(&narrow.key, key_evp(own), NULL), 0);
	below = mint(&(struct mint){ .cn = "Below", .ca = true, .issuer = &narrow });
	job_result_clear(&r);

	j = job_for("CN=a", NULL, false, &below);
	buf_reset(&j.issuer_chain);
	mint_pem(&j.issuer_chain, &below, &narrow);
	expect(j, JOB_BAD_JOB, "path length of a CA above");
	j = job_for("CN=a", NULL, true, &narrow);
	j.allow_ca = true;
	expect(j, JOB_REQUEST_REFUSED, "path length allows none");
	mint_free(&narrow);
	mint_free(&below);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_wish_is_granted_or_refused_by_the_entry),
		cmocka_unit_test(an_issuer_signs_what_was_asked_for_and_its_chain_follows),
		cmocka_unit_test(serial_numbers_are_long_positive_and_never_the_same),
		cmocka_unit_test(a_certificate_ends_with_its_issuer),
		cmocka_unit_test(a_life_of_ages_ends_in_the_last_year_that_can_be_written),
		cmocka_unit_test(a_self_signed_one_names_itself_as_issuer),
		cmocka_unit_test(a_subject_that_is_forced_replaces_the_requests),
		cmocka_unit_test(the_entrys_alternative_names_are_given_to_who_asks_for_none),
		cmocka_unit_test(a_request_is_made_here_when_none_is_given),
		cmocka_unit_test(an_issuer_that_may_not_issue_does_not),
		cmocka_unit_test(a_request_that_may_not_be_signed_is_not),
		cmocka_unit_test(a_path_length_above_the_issuer_counts_too),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
