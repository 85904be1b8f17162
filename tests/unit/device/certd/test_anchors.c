/* SPDX-License-Identifier: Apache-2.0 */
/* certd/test_anchors.c - successors of the configured anchors count for these alone, and survive a restart */
#include "device/certd/anchors.h"

#include "certd_kit.h"
#include "device/certd/est_job.h"
#include "tests/unit/core/est/mint.h"

static struct place place;
static struct certd_settings *settings;

static int
begin(void **state)
{
	char text[PLACE_MAX + 32];

	(void)state;
	place = kit_place();
	(void)snprintf(text, sizeof(text), "homedir_path = \"%s\"", place.prefix);
	settings = kit_settings(&place, text);
	return 0;
}

static int
end(void **state)
{
	(void)state;
	certd_settings_free(settings);
	kit_remove(&place);
	return 0;
}

static void
assert_applied(const char *configured, const char *expected)
{
	AUTO_BUF trust = { 0 };

	buf_put_str(&trust, configured);
	anchors_apply(&trust, settings);
	assert_string_equal(buf_str(&trust), expected);
}

static void
what_is_configured_counts_until_something_is_learnt(void **state)
{
	(void)state;
	assert_applied("old root\n", "old root\n");
}

static void
the_successors_of_the_configured_anchors_take_their_place(void **state)
{
	(void)state;
	assert_int_equal(anchors_learn(settings, bytes_of("old root\n"), bytes_of("old root\nnew root\n"), NULL), 0);
	assert_applied("old root\n", "old root\nnew root\n");
	assert_int_equal(anchors_learn(settings, bytes_of("old root\n"), bytes_of("new root\n"), NULL), 0);
	assert_applied("old root\n", "new root\n");
}

static void
other_anchors_have_no_part_in_what_was_learnt(void **state)
{
	(void)state;
	assert_int_equal(anchors_learn(settings, bytes_of("old root\n"), bytes_of("new root\n"), NULL), 0);
	assert_applied("another root\n", "another root\n");
	assert_applied("", "");
}

static void
a_file_that_is_torn_changes_nothing(void **state)
{
	char path[PLACE_MAX + 16];
	struct buf text = { 0 };

	(void)state;
	assert_int_equal(anchors_learn(settings, bytes_of("old root\n"), bytes_of("new root\n"), NULL), 0);
	(void)snprintf(path, sizeof(path), "%s/anchors.pem", settings->home);
	assert_int_equal(file_read(&text, path, 4096, NULL), 0);
	for (size_t n = 0; n + strlen("new root\n") <= text.n; n++) {
		assert_int_equal(file_write(path, (struct bytes){ text.p, n }, 0600, NULL), 0);
		assert_applied("old root\n", "old root\n");
	}
	buf_free(&text);
}

/* Two anchors are configured; a list of certificates is what a worker brings. */
static size_t
learnt(const struct minted *old, const struct minted *const list[3])
{
	struct job_result r = { .retry_after_s = -1 };
	AUTO(certd_settings) s = NULL;
	AUTO_BUF text = { 0 };
	AUTO_BUF pem = { 0 };
	AUTO_BUF before = { 0 };
	struct bytes part[8];
	AUTO_BUF der = { 0 };
	size_t n = 0;

	pem_encode(&pem, mint_der(old), "CERTIFICATE");
	buf_printf(&text, "%s/ca.pem", place.prefix);
	kit_write(buf_str(&text), buf_str(&pem));
	buf_reset(&text);
	buf_printf(&text, "homedir_path = \"%s\"\n[cert_issuance.est]\ntrusted_certs = [\"file://%s/ca.pem\"]\n", place.prefix,
	    place.prefix);
	s = kit_settings(&place, buf_str(&text));
	for (size_t i = 0; i < 3 && list[i] != NULL; i++)
		pem_encode(&r.trust_next, mint_der(list[i]), "CERTIFICATE");
	est_job_learn(s, &r);
	assert_int_equal(certs_read_any(&before, s, s->trusted_certs[0], NULL), 0);
	anchors_apply(&before, s);
	assert_int_equal(pem_decode_all(&der, part, &n, N_OF(part), bytes_of_buf(&before), "CERTIFICATE", NULL), 0);
	job_result_clear(&r);
	return n;
}

/* C10: of a worker that a server has taken over, and of one that began when another anchor was configured. */
static void
a_workers_word_alone_makes_no_anchor(void **state)
{
	struct minted old = mint(&(struct mint){ .cn = "Root", .ca = true });
	struct minted other = mint(&(struct mint){ .cn = "Other", .ca = true });
	struct minted next = mint(&(struct mint){ .cn = "Root", .ca = true });
	struct minted by_old = mint(&(struct mint){ .cn = "Root", .ca = true, .key = next.key, .issuer = &old });

	(void)state;
	assert_int_equal(learnt(&old, (const struct minted *const[3]){ &next }), 1);
	assert_int_equal(learnt(&old, (const struct minted *const[3]){ &old, &other }), 1);
	assert_int_equal(learnt(&other, (const struct minted *const[3]){ &next, &by_old, &old }), 1);
	assert_int_equal(learnt(&old, (const struct minted *const[3]){ &next, &by_old }), 2);
	mint_free(&by_old);
	mint_free(&next);
	mint_free(&other);
	mint_free(&old);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_is_configured_counts_until_something_is_learnt, begin, end),
		cmocka_unit_test_setup_teardown(the_successors_of_the_configured_anchors_take_their_place, begin, end),
		cmocka_unit_test_setup_teardown(other_anchors_have_no_part_in_what_was_learnt, begin, end),
		cmocka_unit_test_setup_teardown(a_file_that_is_torn_changes_nothing, begin, end),
		cmocka_unit_test_setup_teardown(a_workers_word_alone_makes_no_anchor, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
