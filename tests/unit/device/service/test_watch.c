/* SPDX-License-Identifier: Apache-2.0 */
/* tests: changes of the configuration are noticed, wherever it was before */
#include "tests/unit/device/service/scratch.h"

#include "core/base/clock.h"
#include "device/service/settings.h"

#define ETC    "etc/aziot/keyd/"
#define LATE_S 30 /* a loop that ends by this has missed its change */

struct scene {
	struct loop *loop;
	struct place place;
	struct settings_watch *watch;
	struct loop_timer *step_timer, *end;
	const struct step *step;
	unsigned told;
};

/* What is done to the files, each after the one before was noticed (or, quiet, after a while without a word). */
struct step {
	void (*fn)(void);
	bool quiet;
};

static void
go_on(void *ctx)
{
	struct scene *s = ctx;

	if (s->step->fn == NULL) {
		loop_stop(s->loop, 0);
		return;
	}
	s->told = 0;
	s->step->fn();
	if (s->step->quiet)
		loop_timer_in(s->step_timer, 1500); /* a change would have been told after 1000 */
	s->step++;
}

static void
on_change(void *ctx)
{
	struct scene *s = ctx;

	s->told++;
	if (s->step[-1].quiet)
		loop_stop(s->loop, 2);
	else
		go_on(s);
}

static void
too_late(void *ctx)
{
	struct scene *s = ctx;

	loop_stop(s->loop, 1);
}

static void
play(const struct step *steps)
{
	struct scene s = { .loop = loop_new(), .step = steps };

	assert_int_equal(place_find(&s.place, "keyd", scratch, NULL), 0);
	s.watch = settings_watch_new(s.loop, &s.place, on_change, &s);
	assert_non_null(s.watch);
	s.step_timer = loop_timer_new(s.loop, go_on, &s);
	s.end = loop_timer_new(s.loop, too_late, &s);
	loop_timer_in(s.end, LATE_S * 1000);
	go_on(&s);
	assert_int_equal(loop_run(s.loop), 0);
	loop_timer_free(s.step_timer);
	loop_timer_free(s.end);
	settings_watch_free(s.watch);
	loop_free(s.loop);
}

static void make_top(void) { assert_int_equal(mkdir(scratch_path("etc"), 0755), 0); }
static void write_base(void) { scratch_write(ETC "config.toml", "a=1"); }
static void write_extra(void) { scratch_write(ETC "config.d/a.toml", "a=1"); }
static void touch_neighbour(void) { scratch_write(ETC "notes.txt", "x"); }
static void touch_top_neighbour(void) { scratch_write("other", "x"); }
static void remove_extra(void) { assert_int_equal(unlink(scratch_path(ETC "config.d/a.toml")), 0); }
static void open_extra(void) { assert_int_equal(chmod(scratch_path(ETC "config.d/a.toml"), 0600), 0); }

static void
write_in_place(void)
{
	FILE *f = fopen(scratch_path(ETC "config.toml"), "a");

	assert_non_null(f);
	(void)fputs("b=2\n", f);
	(void)fclose(f);
}

static void
move_away(void)
{
	char old[600];

	(void)snprintf(old, sizeof(old), "%s", scratch_path(ETC "config.d"));
	assert_int_equal(rename(old, scratch_path("gone")), 0);
}

static void
files_that_are_there_are_watched(void **state)
{
	static const struct step steps[] = { { write_base }, { write_in_place }, { write_extra }, { open_extra }, { remove_extra }, { 0 } };

	(void)state;
	write_base();
	write_extra();
	play(steps);
}

static void
what_appears_later_is_noticed_however_deep(void **state)
{
	static const struct step steps[] = { { touch_top_neighbour, true }, { make_top }, { write_extra }, { write_base },
		{ write_extra }, { 0 } };

	(void)state;
	play(steps);
}

static void
a_directory_that_goes_and_comes_back_is_watched_again(void **state)
{
	static const struct step steps[] = { { move_away }, { write_extra }, { write_extra }, { 0 } };

	(void)state;
	write_extra();
	play(steps);
}

static void
neighbours_do_not_matter(void **state)
{
	static const struct step steps[] = { { touch_neighbour, true }, { 0 } };

	(void)state;
	write_base();
	write_extra();
	play(steps);
}

struct burst {
	struct loop *loop;
	struct loop_timer *timer;
	uint64_t told_ms;
	unsigned told;
};

static void
on_quiet(void *ctx)
{
	struct burst *b = ctx;

	loop_stop(b->loop, 0);
}

static void
on_burst_told(void *ctx)
{
	struct burst *b = ctx;

	b->told++;
	b->told_ms = clock_monotonic_ms();
	loop_timer_in(b->timer, 1500);
}

static void
many_changes_are_told_once_and_when_they_are_over(void **state)
{
	struct burst b = { .loop = loop_new() };
	struct settings_watch *w;
	struct place p;
	uint64_t last_ms;

	(void)state;
	write_extra();
	assert_int_equal(place_find(&p, "keyd", scratch, NULL), 0);
	w = settings_watch_new(b.loop, &p, on_burst_told, &b);
	b.timer = loop_timer_new(b.loop, on_quiet, &b);
	for (int i = 0; i < 100; i++)
		write_extra();
	last_ms = clock_monotonic_ms();
	assert_int_equal(loop_run(b.loop), 0);
	assert_int_equal(b.told, 1);
	assert_true(b.told_ms - last_ms >= 900);
	loop_timer_free(b.timer);
	settings_watch_free(w);
	loop_free(b.loop);
}

static int
set_up(void **state)
{
	(void)state;
	(void)unsetenv("AZIOT_KEYD_CONFIG");
	(void)unsetenv("AZIOT_KEYD_CONFIG_DIR");
	scratch_make();
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	scratch_remove();
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(files_that_are_there_are_watched, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_appears_later_is_noticed_however_deep, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_directory_that_goes_and_comes_back_is_watched_again, set_up, tear_down),
		cmocka_unit_test_setup_teardown(neighbours_do_not_matter, set_up, tear_down),
		cmocka_unit_test_setup_teardown(many_changes_are_told_once_and_when_they_are_over, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
