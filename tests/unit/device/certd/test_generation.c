/* SPDX-License-Identifier: Apache-2.0 */
/* certd/test_generation.c - the state file of a credential: whole or put aside, never half believed */
#include "device/certd/generation.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "core/base/file.h"

static char home[64];
static struct certd_settings settings;

static int
setup(void **state)
{
	(void)state;
	(void)snprintf(home, sizeof(home), "/tmp/test-generation-XXXXXX");
	settings = (struct certd_settings){ .home = home };
	return mkdtemp(home) == NULL;
}

static int
teardown(void **state)
{
	static const char *const names[] = { "", ".corrupt" };
	char path[PLACE_MAX * 2], all[PLACE_MAX * 2 + 16];
	struct err e;

	(void)state;
	for (size_t i = 0; i < N_OF(names); i++) {
		assert_int_equal(generation_path(path, &settings, "est-id", GEN_STATE_FILE, &e), 0);
		(void)snprintf(all, sizeof(all), "%s%s", path, names[i]);
		(void)unlink(all);
	}
	generation_drop_cert(&settings, "est-id", GEN_NEW_FILE);
	(void)snprintf(all, sizeof(all), "%s/renewal", home);
	(void)rmdir(all);
	return rmdir(home);
}

static struct generation
full(void)
{
	struct generation g;
	struct err e;

	generation_begin(&g, "est-id", "est-key");
	g.state = GEN_SWITCHED;
	g.number = 7;
	g.rotate = g.back = g.disabled = g.taken_once = g.proved = true;
	g.refused = 2;
	g.tries = 5;
	g.setbacks = 1;
	g.next_try = 1800000000;
	g.good_time = 1790000000;
	memset(g.sha256, 0xab, sizeof(g.sha256));
	(void)snprintf(g.url, sizeof(g.url), "https://est.example/x");
	assert_int_equal(name_add(&g.subject, OID_CN, "pump-7", &e), 0);
	assert_int_equal(name_add(&g.subject, OID_O, "Br\xc3\xbc" "cke", &e), 0);
	g.error = (struct generation_error){ .time = 1799999999, .http_status = 503 };
	(void)snprintf(g.error.outcome, sizeof(g.error.outcome), "busy");
	(void)snprintf(g.error.check, sizeof(g.error.check), "too-big");
	(void)snprintf(g.error.text, sizeof(g.error.text), "server: \"busy\"");
	(void)snprintf(g.error.request_id, sizeof(g.error.request_id), "ab12");
	return g;
}

static void
what_is_saved_is_loaded(void **state)
{
	struct generation g = full(), got;
	char path[PLACE_MAX * 2];
	struct stat st;
	struct err e;

	(void)state;
	assert_int_equal(generation_save(&g, &settings, &e), 0);
	assert_int_equal(generation_load(&got, &settings, "est-id", &e), 0);
	assert_string_equal(got.id, "est-id");
	assert_string_equal(got.key_id, "est-key");
	assert_int_equal(got.state, GEN_SWITCHED);
	assert_int_equal(got.number, 7);
	assert_int_equal(got.jitter, g.jitter);
	assert_true(got.rotate && got.back && got.disabled && got.taken_once && got.proved);
	assert_int_equal(got.refused, 2);
	assert_int_equal(got.tries, 5);
	assert_int_equal(got.setbacks, 1);
	assert_int_equal(got.next_try, 1800000000);
	assert_int_equal(got.good_time, 1790000000);
	assert_memory_equal(got.sha256, g.sha256, SHA256_LEN);
	assert_string_equal(got.url, g.url);
	assert_true(name_equal(&got.subject, &g.subject));
	assert_int_equal(got.error.time, 1799999999);
	assert_int_equal(got.error.http_status, 503);
	assert_string_equal(got.error.outcome, "busy");
	assert_string_equal(got.error.check, "too-big");
	assert_string_equal(got.error.text, "server: \"busy\"");
	assert_string_equal(got.error.request_id, "ab12");
	assert_int_equal(generation_path(path, &settings, "est-id", GEN_STATE_FILE, &e), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
}

static void
every_state_has_a_name_of_its_own(void **state)
{
	struct generation g = full(), got;
	struct err e;

	(void)state;
	for (int s = 0; s < GEN_STATE_COUNT; s++) {
		AUTO_BUF text = { 0 };

		g.state = (enum generation_state)s;
		generation_encode(&text, &g);
		assert_int_equal(generation_decode(&got, bytes_of_buf(&text), &e), 0);
		assert_int_equal(got.state, s);
	}
}

/* Truncated anywhere, with any octet changed: refused, or still a state within its limits. */
static void
a_damaged_state_is_refused_or_harmless(void **state)
{
	struct generation g = full(), got;
	AUTO_BUF text = { 0 };
	struct err e;

	(void)state;
	generation_encode(&text, &g);
	for (size_t n = 0; n + 2 < text.n; n++)
		assert_int_equal(generation_decode(&got, bytes_slice(bytes_of_buf(&text), 0, n), &e), E_FORMAT);
	for (size_t i = 0; i < text.n; i++) {
		uint8_t was = text.p[i];

		for (unsigned bit = 0; bit < 8; bit++) {
			text.p[i] = (uint8_t)(was ^ (1u << bit));
			if (generation_decode(&got, bytes_of_buf(&text), &e) == 0)
				assert_true(got.state < GEN_STATE_COUNT && got.id[0] != 0 && got.key_id[0] != 0 && got.next_try >= 0);
		}
		text.p[i] = was;
	}
}

/* What is told of a failure may be cut anywhere; it is a note, and no reason to lose the state. */
static void
words_that_were_cut_within_a_letter_cost_no_state(void **state)
{
	struct generation g = full(), got;
	AUTO_BUF text = { 0 };
	struct err e;

	(void)state;
	memset(g.error.text, 'x', sizeof(g.error.text) - 2);
	g.error.text[sizeof(g.error.text) - 2] = '\xc3';
	g.error.text[sizeof(g.error.text) - 1] = 0;
	generation_encode(&text, &g);
	assert_int_equal(generation_decode(&got, bytes_of_buf(&text), &e), 0);
	assert_int_equal(got.state, g.state);
	assert_int_equal(got.error.time, g.error.time);
	assert_int_equal(strncmp(got.error.text, "xxx", 3), 0);
}

static void
a_torn_or_foreign_file_is_put_aside(void **state)
{
	struct generation g = full(), got;
	char path[PLACE_MAX * 2], aside[PLACE_MAX * 2 + 16];
	AUTO_BUF text = { 0 };
	struct err e;

	(void)state;
	assert_int_equal(generation_load(&got, &settings, "est-id", &e), E_NOTFOUND);
	assert_int_equal(generation_save(&g, &settings, &e), 0);
	assert_int_equal(generation_path(path, &settings, "est-id", GEN_STATE_FILE, &e), 0);
	(void)snprintf(aside, sizeof(aside), "%s.corrupt", path);
	assert_int_equal(file_write(path, bytes_of("{\"format\": 1,"), 0600, &e), 0);
	assert_int_equal(generation_load(&got, &settings, "est-id", &e), E_FORMAT);
	assert_int_equal(access(path, F_OK), -1);
	assert_int_equal(access(aside, F_OK), 0);
	assert_int_equal(generation_load(&got, &settings, "est-id", &e), E_NOTFOUND);
	(void)snprintf(g.id, sizeof(g.id), "other");
	generation_encode(&text, &g);
	assert_int_equal(file_write(path, bytes_of_buf(&text), 0600, &e), 0);
	assert_int_equal(generation_load(&got, &settings, "est-id", &e), E_FORMAT);
	assert_non_null(strstr(e.msg, "other"));
}

static void
certificates_stand_beside_it_and_half_written_ones_are_swept(void **state)
{
	char path[PLACE_MAX * 2], half[PLACE_MAX * 2 + 16];
	AUTO_BUF got = { 0 };
	struct err e;

	(void)state;
	assert_int_equal(generation_read_cert(&got, &settings, "est-id", GEN_NEW_FILE, &e), E_NOTFOUND);
	assert_int_equal(generation_write_cert(&settings, "est-id", GEN_NEW_FILE, bytes_of("pem"), &e), 0);
	assert_int_equal(generation_read_cert(&got, &settings, "est-id", GEN_NEW_FILE, &e), 0);
	assert_string_equal(buf_str(&got), "pem");
	assert_int_equal(generation_path(path, &settings, "est-id", GEN_NEW_FILE, &e), 0);
	(void)snprintf(half, sizeof(half), "%s.0011.tmp", path);
	assert_int_equal(file_write(half, bytes_of("p"), 0600, &e), 0);
	generation_sweep(&settings);
	assert_int_equal(access(half, F_OK), -1);
	assert_int_equal(access(path, F_OK), 0);
}

static void
so_are_those_among_the_certificates_that_are_served(void **state)
{
	char path[PLACE_MAX * 2], half[PLACE_MAX * 2 + 16], other[PLACE_MAX];
	struct err e;

	(void)state;
	assert_int_equal(certs_write(&settings, "est-id", bytes_of("pem"), &e), 0);
	assert_int_equal(certs_path(path, &settings, "est-id", &e), 0);
	(void)snprintf(half, sizeof(half), "%s.0011.tmp", path);
	(void)snprintf(other, sizeof(other), "%s/certs/notes.tmp", home);
	assert_int_equal(file_write(half, bytes_of("p"), 0600, &e), 0);
	assert_int_equal(file_write(other, bytes_of("p"), 0600, &e), 0);
	generation_sweep(&settings);
	assert_int_equal(access(half, F_OK), -1);
	assert_int_equal(unlink(other), 0); /* none of ours */
	assert_int_equal(certs_delete(&settings, "est-id", &e), 0);
	(void)snprintf(other, sizeof(other), "%s/certs", home);
	assert_int_equal(rmdir(other), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_is_saved_is_loaded, setup, teardown),
		cmocka_unit_test(every_state_has_a_name_of_its_own),
		cmocka_unit_test(a_damaged_state_is_refused_or_harmless),
		cmocka_unit_test_setup_teardown(words_that_were_cut_within_a_letter_cost_no_state, setup, teardown),
		cmocka_unit_test_setup_teardown(a_torn_or_foreign_file_is_put_aside, setup, teardown),
		cmocka_unit_test_setup_teardown(certificates_stand_beside_it_and_half_written_ones_are_swept, setup, teardown),
		cmocka_unit_test_setup_teardown(so_are_those_among_the_certificates_that_are_served, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
