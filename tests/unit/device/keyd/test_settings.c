/* SPDX-License-Identifier: Apache-2.0 */
/* keyd/test_settings.c - keyd's configuration: defaults, the original's keys, ours, and what is refused with its place */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "core/base/mem.h"
#include "device/keyd/settings.h"

static const struct place place = { .service = "keyd", .home = "/p/var/lib/aziot/keyd",
    .socket = "/p/run/aziot/keyd.sock" };
static char warned[2048];

static void
note(void *ctx, const char *text)
{
	size_t n = strlen(warned);

	(void)ctx;
	(void)snprintf(warned + n, sizeof(warned) - n, "%s\n", text);
}

static int
read_text(struct keyd_settings **out, const char *text, struct err *e)
{
	AUTO(toml) doc = NULL;

	warned[0] = 0;
	assert_int_equal(toml_parse(&doc, "k.toml", bytes_of(text), e), 0);
	return keyd_settings_read(out, doc, &place, note, NULL, e);
}

static void
nothing_configured_is_the_safe_default(void **state)
{
	AUTO(keyd_settings) s = NULL;
	struct err e;

	(void)state;
	assert_int_equal(read_text(&s, "", &e), 0);
	assert_string_equal(s->home, place.home);
	assert_null(s->socket);
	assert_int_equal(s->max_requests, 10);
	assert_true(s->bind);
	assert_int_equal(s->lifetime_s, 86400);
	assert_false(s->token);
	assert_false(principals_allow(s->principals, 1000, "device-id"));
	assert_string_equal(warned, "");
}

static void
the_originals_configuration_is_read_whole(void **state)
{
	AUTO(keyd_settings) s = NULL;
	struct err e;

	(void)state;
	assert_int_equal(read_text(&s,
	    "max_requests = 50\n[aziot_keys]\nhomedir_path = \"/var/lib/aziot/keyd\"\npkcs11_lib_path = \"/usr/lib/p.so\"\n"
	    "pkcs11_base_slot = \"pkcs11:token=Key%20pairs?pin-value=1234\"\n"
	    "[preloaded_keys]\ndevice-id = \"file:///var/secrets/a%20b\"\nca = \"pkcs11:object=ca?pin-value=1234\"\nt = \"tpm:1\"\n"
	    "[[principal]]\nuid = 1000\nkeys = [\"aziot_*\"]\n[[principal]]\nuid = 1000\nkeys = [\"x\"]\n", &e), 0);
	assert_string_equal(s->home, "/var/lib/aziot/keyd");
	assert_int_equal(s->max_requests, 50);
	assert_true(s->token);
	assert_string_equal(keyd_preloaded(s, "device-id")->path, "/var/secrets/a b");
	assert_null(keyd_preloaded(s, "ca")->path);
	assert_string_equal(keyd_preloaded(s, "ca")->scheme, "pkcs11");
	assert_string_equal(keyd_preloaded(s, "t")->scheme, "tpm");
	assert_null(keyd_preloaded(s, "other"));
	assert_true(principals_allow(s->principals, 1000, "aziot_master"));
	assert_true(principals_allow(s->principals, 1000, "x"));
	assert_non_null(strstr(warned, "no PKCS#11 back end is installed"));
	assert_null(strstr(warned, "1234"));
}

static void
handles_can_be_set_free_and_that_is_said(void **state)
{
	AUTO(keyd_settings) s = NULL;
	struct err e;

	(void)state;
	assert_int_equal(read_text(&s, "[handles]\nbind = false\nlifetime = \"2 h\"\n[endpoints]\naziot_keyd = \"unix:///tmp/x.sock\"\n", &e), 0);
	assert_false(s->bind);
	assert_int_equal(s->lifetime_s, 7200);
	assert_string_equal(s->socket, "/tmp/x.sock");
	assert_non_null(strstr(warned, "k.toml:2:"));
}

static void
what_cannot_be_is_refused_with_its_place(void **state)
{
	static const char *const texts[] = {
		"[aziot_keys]\nhome = \"/x\"\n", "[aziot_keys]\nhomedir_path = \"relative\"\n", "[aziot_keys]\nhomedir_path = 1\n",
		"\naziot_keys = 1\n", "\nmax_requests = 0\n", "\nmax_requests = \"many\"\n", "[preloaded_keys]\na = 1\n",
		"[preloaded_keys]\na = \"/plain/path\"\n", "[preloaded_keys]\na = \"https://x/\"\n",
		"[preloaded_keys]\nhandle-validation-key = \"file:///x\"\n", "[preloaded_keys]\n\"\" = \"file:///x\"\n",
		"[preloaded_keys]\na = \"file:///p/var/lib/aziot/keyd/keys/handlevalidationkey-40f1.key\"\n",
		"[handles]\nbind = \"yes\"\n", "[endpoints]\naziot_keyd = \"http://0.0.0.0:80\"\n",
	};

	(void)state;
	for (size_t i = 0; i < N_OF(texts); i++) {
		struct keyd_settings *s = NULL;
		struct err e;

		assert_int_equal(read_text(&s, texts[i], &e), E_FORMAT);
		assert_null(s);
		assert_non_null(strstr(e.msg, "k.toml:2:"));
	}
}

static void
unknown_keys_are_told(void **state)
{
	AUTO(keyd_settings) s = NULL;
	struct err e;

	(void)state;
	assert_int_equal(read_text(&s, "[handles]\nbidn = true\n", &e), 0);
	assert_non_null(strstr(warned, "bidn"));
}

static void
a_running_service_takes_principals_and_handles_and_says_what_it_cannot(void **state)
{
	AUTO(keyd_settings) now = NULL;
	AUTO(keyd_settings) next = NULL;
	AUTO(keyd_settings) other = NULL;
	struct err e;

	(void)state;
	assert_int_equal(read_text(&now, "[preloaded_keys]\na = \"file:///a\"\n", &e), 0);
	assert_int_equal(read_text(&next, "max_requests = 3\n[preloaded_keys]\na = \"file:///a\"\n[handles]\nbind = false\n"
	    "[[principal]]\nuid = 7\nkeys = [\"k\"]\n", &e), 0);
	assert_false(keyd_settings_adopt(now, next));
	assert_true(principals_allow(now->principals, 7, "k"));
	assert_false(now->bind);
	assert_int_equal(now->max_requests, 3);
	assert_int_equal(read_text(&other, "[preloaded_keys]\na = \"file:///b\"\n", &e), 0);
	assert_true(keyd_settings_adopt(now, other));
	assert_string_equal(keyd_preloaded(now, "a")->path, "/a"); /* stays */
	assert_false(principals_allow(now->principals, 7, "k"));
	assert_true(now->bind);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_configured_is_the_safe_default),
		cmocka_unit_test(the_originals_configuration_is_read_whole),
		cmocka_unit_test(handles_can_be_set_free_and_that_is_said),
		cmocka_unit_test(what_cannot_be_is_refused_with_its_place),
		cmocka_unit_test(unknown_keys_are_told),
		cmocka_unit_test(a_running_service_takes_principals_and_handles_and_says_what_it_cannot),
	};

	return cmocka_run_group_tests_name("settings", tests, NULL, NULL);
}
