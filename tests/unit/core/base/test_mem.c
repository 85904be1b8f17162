/* SPDX-License-Identifier: Apache-2.0 */
/* base/test_mem.c - allocation, wiping, comparing; and random numbers */
#include "core/base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/auto.h"
#include "core/base/rnd.h"

static void
new_memory_is_zero(void **state)
{
	uint8_t *p = mem_zalloc_n(100, 10);

	(void)state;
	for (size_t i = 0; i < 1000; i++)
		assert_int_equal(p[i], 0);
	mem_free(p);
	mem_free(mem_zalloc(0));
	mem_free(NULL);
	mem_free_wiped(NULL, 10);
}

static void
resizing_keeps_what_was_there_and_zeroes_the_rest(void **state)
{
	uint8_t *p = mem_dup("abcd", 4);

	(void)state;
	p = mem_resize(p, 4, 8);
	assert_memory_equal(p, "abcd\0\0\0\0", 8);
	p = mem_resize(p, 8, 2);
	assert_memory_equal(p, "ab", 2);
	mem_free(p);
	p = mem_resize(NULL, 0, 3);
	assert_memory_equal(p, "\0\0\0", 3);
	mem_free(p);
}

static void
a_copy_ends_in_a_nul(void **state)
{
	char *p = mem_dup("xyz", 2), *s = mem_strdup("hello"), *none = mem_dup(NULL, 0);

	(void)state;
	assert_string_equal(p, "xy");
	assert_string_equal(s, "hello");
	assert_string_equal(none, "");
	mem_free(p);
	mem_free(s);
	mem_free(none);
}

static void
wiped_memory_is_zero(void **state)
{
	char secret[] = "secret";

	(void)state;
	mem_wipe(secret, sizeof(secret));
	for (size_t i = 0; i < sizeof(secret); i++)
		assert_int_equal(secret[i], 0);
	mem_wipe(NULL, 0);
}

static void
equality_sees_every_octet(void **state)
{
	(void)state;
	assert_true(mem_equal_ct("abc", "abc", 3));
	assert_true(mem_equal_ct("a", "b", 0));
	assert_false(mem_equal_ct("abc", "xbc", 3));
	assert_false(mem_equal_ct("abc", "axc", 3));
	assert_false(mem_equal_ct("abc", "abx", 3));
}

static void
a_size_that_overflows_ends_the_process(void **state)
{
	pid_t pid = fork();
	int status = 0;

	(void)state;
	if (pid == 0) {
		(void)signal(SIGABRT, SIG_DFL);
		(void)mem_zalloc_n(SIZE_MAX / 2 + 2, 2);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

static void
random_octets_are_all_written_and_differ(void **state)
{
	uint8_t a[32] = { 0 }, b[32] = { 0 }, seen[32] = { 0 };
	char hex[17];

	(void)state;
	for (int i = 0; i < 64; i++) {
		rnd_bytes(a, sizeof(a));
		assert_memory_not_equal(a, b, sizeof(a));
		memcpy(b, a, sizeof(a));
		for (size_t j = 0; j < sizeof(a); j++)
			seen[j] |= a[j];
	}
	for (size_t j = 0; j < sizeof(seen); j++)
		assert_int_not_equal(seen[j], 0);
	rnd_hex(hex, 8);
	assert_int_equal(strspn(hex, "0123456789abcdef"), 16);
	assert_int_equal(hex[16], 0);
}

static void
random_numbers_stay_below_and_reach_every_value(void **state)
{
	int seen[3] = { 0 };

	(void)state;
	for (int i = 0; i < 300; i++) {
		uint32_t v = rnd_below(3);

		assert_in_range(v, 0, 2);
		seen[v]++;
	}
	for (int i = 0; i < 3; i++)
		assert_int_not_equal(seen[i], 0);
	assert_int_equal(rnd_below(1), 0);
}

static void
taking_leaves_nothing_behind(void **state)
{
	char *p = mem_strdup("x"), *q = TAKE(p);
	int fd = 7, got = TAKE_FD(fd);

	(void)state;
	assert_null(p);
	assert_string_equal(q, "x");
	assert_int_equal(fd, -1);
	assert_int_equal(got, 7);
	mem_free(q);
}

static void
a_piece_keeps_its_content_when_it_grows_and_shrinks(void **state)
{
	uint8_t *p = mem_piece_new(4);

	(void)state;
	assert_int_equal((uintptr_t)p % _Alignof(max_align_t), 0);
	memcpy(p, "abcd", 4);
	p = mem_piece_resize(p, 8);
	assert_memory_equal(p, "abcd\0\0\0\0", 8);
	p = mem_piece_resize(p, 2);
	assert_memory_equal(p, "ab", 2);
	mem_piece_free(p);
	mem_piece_free(mem_piece_resize(NULL, 3));
	mem_piece_free(NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(new_memory_is_zero),
		cmocka_unit_test(resizing_keeps_what_was_there_and_zeroes_the_rest),
		cmocka_unit_test(a_piece_keeps_its_content_when_it_grows_and_shrinks),
		cmocka_unit_test(a_copy_ends_in_a_nul),
		cmocka_unit_test(wiped_memory_is_zero),
		cmocka_unit_test(equality_sees_every_octet),
		cmocka_unit_test(a_size_that_overflows_ends_the_process),
		cmocka_unit_test(random_octets_are_all_written_and_differ),
		cmocka_unit_test(random_numbers_stay_below_and_reach_every_value),
		cmocka_unit_test(taking_leaves_nothing_behind),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
