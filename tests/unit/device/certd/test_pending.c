/* SPDX-License-Identifier: Apache-2.0 */
/* certd/test_pending.c - a certificate that comes later */
#include "issuer_world.h"

static void
a_poll_that_cannot_be_made_is_made_later(void **state)
{
	struct err away = { .code = E_UNAVAIL, .msg = "the EST server is away" };
	struct answer a = { 0 }, late = { 0 };

	(void)state;
	begin_with_identity(&a);
	need_fn(need_ctx, NULL);
	worker_says(JOB_PENDING, true);
	failed(&a, E_PENDING, "pending");
	pass(1200);
	need_fn(need_ctx, &away);
	pass(66000);
	need_fn(need_ctx, NULL);
	assert_int_equal(n_asked, 2);
	worker_says(JOB_DONE, true);
	start_as(&late, "x", NULL, NULL);
	turn();
	issued(&late);
}

static void
a_certificate_that_came_later_and_could_not_be_written_is_not_lost(void **state)
{
	struct answer a = { 0 }, late = { 0 };
	char path[PLACE_MAX * 2];

	(void)state;
	configure(ANONYMOUS);
	start_as(&a, "x", NULL, NULL);
	turn();
	worker_says(JOB_PENDING, false);
	(void)snprintf(path, sizeof(path), "%s/home", here.prefix);
	kit_write(path, "no directory");
	pass(1200);
	worker_says(JOB_DONE, false);
	assert_int_equal(unlink(path), 0);
	start_as(&late, "x", NULL, NULL);
	turn();
	issued(&late);
	assert_int_equal(n_asked, 2);
}

static void
a_pending_request_is_polled_and_its_certificate_given_to_who_asks_again(void **state)
{
	struct answer a = { 0 }, early = { 0 }, late = { 0 };

	(void)state;
	configure(ANONYMOUS);
	start_as(&a, "x", NULL, NULL);
	turn();
	worker_says(JOB_PENDING, false);
	failed(&a, E_PENDING, "pending");
	/* The same request, signed anew, asks nobody. */
	buf_reset(&csr);
	kit_csr(&csr, key, "pump-7");
	start_as(&early, "x", NULL, NULL);
	turn();
	failed(&early, E_PENDING, "has not decided");
	pass(999);
	assert_int_equal(n_asked, 1);
	pass(200);
	assert_int_equal(n_asked, 2);
	assert_true(bytes_equal(bytes_of_buf(&asked[0].job.csr), bytes_of_buf(&asked[1].job.csr)));
	worker_says(JOB_NO_SERVER, false); /* does not end the waiting */
	start_as(&late, "x", NULL, NULL);
	turn();
	failed(&late, E_PENDING, "has not decided");
	assert_int_equal(n_asked, 2);
	pass(66000);
	assert_int_equal(n_asked, 3);
	worker_says(JOB_REQUEST_REFUSED, false); /* does */
	pass(UINT32_MAX);
	assert_int_equal(n_asked, 3);
}

static void
a_certificate_that_came_later_is_on_disk_and_told_once(void **state)
{
	struct answer a = { 0 }, late = { 0 }, anew = { 0 };
	AUTO_BUF there = { 0 };
	struct err e;

	(void)state;
	configure(ANONYMOUS);
	start_as(&a, "x", NULL, NULL);
	turn();
	worker_says(JOB_PENDING, false);
	pass(1100);
	worker_says(JOB_DONE, false);
	assert_int_equal(certs_read(&there, s, "x", &e), 0);
	start_as(&late, "x", NULL, NULL);
	turn();
	issued(&late);
	assert_int_equal(n_asked, 2);
	/* Who comes once more wants a new one. */
	start_as(&anew, "x", NULL, NULL);
	turn();
	assert_int_equal(n_asked, 3);
	worker_says(JOB_DONE, false);
	issued(&anew);
}

static void
another_request_for_the_id_replaces_the_pending_one(void **state)
{
	AUTO(key) other = kit_key();
	struct answer a = { 0 }, b = { 0 }, first = { 0 };

	(void)state;
	configure(ANONYMOUS);
	start_as(&a, "x", NULL, NULL);
	turn();
	worker_says(JOB_PENDING, false);
	buf_reset(&csr);
	kit_csr(&csr, other, "pump-7");
	start_as(&b, "x", NULL, NULL);
	turn();
	assert_int_equal(n_asked, 2);
	worker_says(JOB_PENDING, false);
	failed(&b, E_PENDING, "pending");
	buf_reset(&csr);
	kit_csr(&csr, key, "pump-7");
	start_as(&first, "x", NULL, NULL);
	turn();
	assert_int_equal(n_asked, 3);
	worker_says(JOB_REQUEST_REFUSED, false);
	failed(&first, E_POLICY, "request-refused");
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(a_poll_that_cannot_be_made_is_made_later),
		T(a_certificate_that_came_later_and_could_not_be_written_is_not_lost),
		T(a_pending_request_is_polled_and_its_certificate_given_to_who_asks_again),
		T(a_certificate_that_came_later_is_on_disk_and_told_once),
		T(another_request_for_the_id_replaces_the_pending_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
