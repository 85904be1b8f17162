/* SPDX-License-Identifier: Apache-2.0 */
/* provision/test_attest.c - every combination of enrolment, certificate and token, against the rules written a second time */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "server/provision/attest.h"

/*
 * The rules in prose, and again here.  One proof: a certificate or a token, and none of the two broken.  A certificate
 * counts for an enrolment by certificate if it is live or a stranger's, and among groups if it is live.  A token counts for all but an enrolment
 * by certificate.  Without either only a TPM gets something: a key.
 */
static enum attest_way
by_the_rules(int kind, int cert, int token)
{
	bool has_cert = cert == ATTEST_CERT_LIVE || cert == ATTEST_CERT_STRANGER, has_token = token == ATTEST_TOKEN_GIVEN;

	if (kind < 0 || kind > 3 || cert < 0 || cert > 3 || token < 0 || token > 2)
		return ATTEST_REFUSED;
	if (cert == ATTEST_CERT_BAD || token == ATTEST_TOKEN_BROKEN || (has_cert && has_token))
		return ATTEST_REFUSED;
	if (has_cert) {
		if (kind == ATTEST_X509)
			return ATTEST_BY_THUMBPRINT;
		return kind == ATTEST_GROUPS && cert == ATTEST_CERT_LIVE ? ATTEST_BY_CHAIN : ATTEST_REFUSED;
	}
	if (has_token)
		return kind == ATTEST_GROUPS ? ATTEST_BY_GROUP_KEY : kind == ATTEST_SYMMETRIC ? ATTEST_BY_KEY :
		    kind == ATTEST_TPM ? ATTEST_BY_TPM_KEY : ATTEST_REFUSED;
	return kind == ATTEST_TPM ? ATTEST_TPM_CHALLENGE : ATTEST_REFUSED;
}

static void
every_combination_is_decided_by_the_rules(void **state)
{
	(void)state;
	for (int kind = -1; kind <= ATTEST_KIND_COUNT; kind++)
		for (int cert = -1; cert <= ATTEST_CERT_COUNT; cert++)
			for (int token = -1; token <= ATTEST_TOKEN_COUNT; token++) {
				struct attest a = attest((enum attest_kind)kind, (enum attest_cert)cert, (enum attest_token)token);

				if (a.way != by_the_rules(kind, cert, token))
					fail_msg("enrolment %d, certificate %d, token %d: %s", kind, cert, token, attest_way_name(a.way));
				assert_true((a.way == ATTEST_REFUSED) == (strcmp(a.reason, "ok") != 0));
				assert_true(a.way != ATTEST_REFUSED || a.text[0] != 0);
			}
}

static void
only_what_is_ours_and_live_or_under_an_anchor_counts_as_live(void **state)
{
	(void)state;
	for (int f = -1; f <= CERT_FACTOR_COUNT; f++) {
		enum attest_cert c = attest_cert((enum cert_factor)f);

		assert_true((c == ATTEST_CERT_LIVE) == (f == CERT_OWN || f == CERT_ANCHOR));
		assert_true((c == ATTEST_CERT_NONE) == (f == CERT_ABSENT));
		assert_true((c == ATTEST_CERT_STRANGER) == (f == CERT_UNKNOWN_ISSUER));
	}
}

static void
only_a_header_that_could_be_read_is_a_token(void **state)
{
	struct ask_token t = { 0 };

	(void)state;
	for (int s = -1; s <= ASK_SAS_COUNT; s++) {
		t.state = (enum ask_sas)s;
		assert_int_equal(attest_token(&t), s == ASK_SAS_NONE ? ATTEST_TOKEN_NONE : s == ASK_SAS_GIVEN ? ATTEST_TOKEN_GIVEN :
		    ATTEST_TOKEN_BROKEN);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_combination_is_decided_by_the_rules),
		cmocka_unit_test(only_what_is_ours_and_live_or_under_an_anchor_counts_as_live),
		cmocka_unit_test(only_a_header_that_could_be_read_is_a_token),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
