/* SPDX-License-Identifier: Apache-2.0 */
/* sys/test_alarm.c - the alarm rings when its time comes and when the clock was set; the kernel's timer is played */
#include "core/sys/alarm.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/timerfd.h>
#include <unistd.h>
#include <cmocka.h>

#include "core/base/clock.h"

int __real_timerfd_settime(int fd, int flags, const struct itimerspec *at, struct itimerspec *was);
int __wrap_timerfd_settime(int fd, int flags, const struct itimerspec *at, struct itimerspec *was);
ssize_t __real_read(int fd, void *p, size_t n);
ssize_t __wrap_read(int fd, void *p, size_t n);

static int armed_flags, n_armed, n_rung;
static int64_t armed_for_s;
static bool clock_was_set, clock_is_being_set;
static struct loop *loop;

/* What was asked for is noted; the real timer expires at once, so that nothing waits. */
int
__wrap_timerfd_settime(int fd, int flags, const struct itimerspec *at, struct itimerspec *was)
{
	struct itimerspec soon = { .it_value = { .tv_nsec = 1 } };

	armed_flags = flags;
	armed_for_s = at->it_value.tv_sec - clock_now();
	n_armed++;
	if (__real_timerfd_settime(fd, 0, &soon, was) != 0 || !clock_is_being_set)
		return 0;
	clock_is_being_set = false;
	errno = ECANCELED;
	return -1;
}

ssize_t
__wrap_read(int fd, void *p, size_t n)
{
	ssize_t got = __real_read(fd, p, n);

	if (!clock_was_set)
		return got;
	clock_was_set = false;
	errno = ECANCELED;
	return -1;
}

static void
ring(void *ctx)
{
	(void)ctx;
	if (++n_rung == 3)
		loop_stop(loop, 0);
}

static int
setup(void **state)
{
	(void)state;
	n_armed = n_rung = 0;
	clock_was_set = clock_is_being_set = false;
	loop = loop_new();
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	loop_free(loop);
	return 0;
}

static void
it_rings_again_and_again(void **state)
{
	struct alarm *a = alarm_new(loop, ALARM_EACH_S, ring, NULL);

	(void)state;
	assert_int_equal(loop_run(loop), 0);
	assert_int_equal(n_rung, 3);
	assert_int_equal(n_armed, 4);
	alarm_free(a);
}

static void
it_waits_for_the_wall_clock_and_hears_when_that_is_set(void **state)
{
	struct alarm *a = alarm_new(loop, ALARM_EACH_S, ring, NULL);

	(void)state;
	assert_int_equal(armed_flags, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET);
	assert_in_range(armed_for_s, ALARM_EACH_S - 1, ALARM_EACH_S);
	alarm_free(a);
}

static void
a_clock_that_was_set_rings_and_arms_anew(void **state)
{
	struct alarm *a = alarm_new(loop, ALARM_EACH_S, ring, NULL);

	(void)state;
	clock_was_set = true;
	assert_int_equal(loop_run(loop), 0);
	assert_false(clock_was_set);
	assert_int_equal(n_rung, 3);
	assert_int_equal(n_armed, 4);
	alarm_free(a);
}

static struct alarm *freed_inside;

static void
free_it(void *ctx)
{
	(void)ctx;
	alarm_free(freed_inside);
	freed_inside = NULL;
	loop_stop(loop, 0);
}

static void
it_may_go_inside_its_own_callback(void **state)
{
	(void)state;
	freed_inside = alarm_new(loop, ALARM_EACH_S, free_it, NULL);
	assert_int_equal(loop_run(loop), 0);
	assert_null(freed_inside);
	alarm_free(NULL);
}

/* timerfd_settime(2), NOTES: it is armed then, but for a time that was reckoned by the clock before. */
static void
a_clock_that_is_set_between_ringing_and_arming_arms_anew(void **state)
{
	struct alarm *a = alarm_new(loop, ALARM_EACH_S, ring, NULL);

	(void)state;
	clock_is_being_set = true;
	assert_int_equal(loop_run(loop), 0);
	assert_false(clock_is_being_set);
	assert_int_equal(n_rung, 3);
	assert_int_equal(n_armed, 5);
	alarm_free(a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(it_rings_again_and_again, setup, teardown),
		cmocka_unit_test_setup_teardown(it_waits_for_the_wall_clock_and_hears_when_that_is_set, setup, teardown),
		cmocka_unit_test_setup_teardown(a_clock_that_was_set_rings_and_arms_anew, setup, teardown),
		cmocka_unit_test_setup_teardown(a_clock_that_is_set_between_ringing_and_arming_arms_anew, setup, teardown),
		cmocka_unit_test_setup_teardown(it_may_go_inside_its_own_callback, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
