/* SPDX-License-Identifier: Apache-2.0 */
/* identityd/test_state.c - the state files' exact text, and files that somebody else wrote or a disk damaged */
#include "device/identityd/state.h"

#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "core/base/file.h"

/* Computed elsewhere. */
#define HUB_SHA256    "d876965708154406536dbe51e18fb557ff60d08a00d92f34ad225b8994797d34"
#define PUMP_SHA256   "9a31a61d1604adf9a4a34d038d41bdef282ad530af1e2809b36bca791b15112b"
#define MODULE_SHA256 "27c6f6d41515127703afee4ddc69c883a7444db065f81f9641fae15bc07aa4cd"

static char home[64];
static const struct identity_device pump = { "hub.example:8443", "gateway.example", "pump-7" };
static const struct identity_device other = { "hub.example:8443", "hub.example:8443", "pump-8" };

static int
setup(void **state)
{
	char dir[] = "/tmp/identityd-test-XXXXXX";
	struct err e = { 0 };

	(void)state;
	assert_non_null(mkdtemp(dir));
	(void)snprintf(home, sizeof(home), "%s/var/identityd", dir);
	if (state_open(home, &e) != 0)
		fail_msg("%s", e.msg);
	return 0;
}

static int
remove_one(const char *path, const struct stat *st, int flag, struct FTW *at)
{
	(void)st;
	(void)flag;
	(void)at;
	return remove(path);
}

static int
teardown(void **state)
{
	(void)state;
	home[strlen(home) - strlen("/var/identityd")] = 0;
	return nftw(home, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void
put(const char *name, const char *text)
{
	char path[128];

	(void)snprintf(path, sizeof(path), "%s/%s", home, name);
	assert_int_equal(file_write(path, bytes_of(text), 0600, NULL), 0);
}

static void
is_text(const char *name, const char *want)
{
	AUTO_BUF text = { 0 };
	char path[512];

	(void)snprintf(path, sizeof(path), "%s/%s", home, name);
	assert_int_equal(file_read(&text, path, 65536, NULL), 0);
	assert_string_equal(buf_str(&text), want);
}

static void
device_info_is_what_the_original_writes_and_reads(void **state)
{
	struct identity_device d = { 0 };

	(void)state;
	assert_int_equal(state_read_device(&d, home, NULL), E_NOTFOUND);
	assert_int_equal(state_write_device(home, &pump, NULL), 0);
	is_text("device_info", "hub_name = \"hub.example:8443\"\nlocal_gateway_hostname = \"gateway.example\"\n"
	    "device_id = \"pump-7\"\n");
	assert_int_equal(state_read_device(&d, home, NULL), 0);
	assert_true(identity_device_equal(&d, &pump));
	put("device_info", "unprovisioned");
	assert_int_equal(state_read_device(&d, home, NULL), E_NOTFOUND);
}

static void
a_damaged_device_info_is_told_and_no_device(void **state)
{
	static const char *const texts[] = { "", "hub_name = 1\ndevice_id = \"x\"\n", "hub_name = \"h\"\n", "\x01garbage",
		"hub_name = \"\"\ndevice_id = \"x\"\n" };
	struct identity_device d;

	(void)state;
	for (size_t i = 0; i < N_OF(texts); i++) {
		put("device_info", texts[i]);
		assert_int_equal(state_read_device(&d, home, NULL), E_FORMAT);
	}
}

static void
the_previous_modules_are_those_of_the_configuration_then(void **state)
{
	AUTO(toml) doc = NULL;
	AUTO_JSON names = NULL;
	AUTO_JSON none = NULL;

	(void)state;
	state_previous_modules(&none, home);
	assert_int_equal(json_array_size(none), 0);
	assert_int_equal(toml_parse(&doc, "f", bytes_of("hostname = \"h\"\n[provisioning]\nsource = \"none\"\n"
	    "[[principal]]\nuid = 1\nname = \"a\"\nidtype = [\"module\", \"local\"]\n[[principal]]\nuid = 2\nname = \"b\"\n"
	    "[[principal]]\nuid = 3\nname = \"c\"\nidtype = [\"device\"]\n"), NULL), 0);
	assert_int_equal(state_write_previous(home, doc, NULL), 0);
	state_previous_modules(&names, home);
	assert_int_equal(json_array_size(names), 1);
	assert_string_equal(json_string_value(json_array_get(names, 0)), "a");
	put("prev_state", "garbage = = =");
	json_decref(names);
	state_previous_modules(&names, home);
	assert_int_equal(json_array_size(names), 0);
}

static void
a_module_is_remembered_for_its_device_without_its_keys(void **state)
{
	AUTO_JSON module = json_pack("{s:s, s:s, s:s, s:{s:s}}", "moduleId", "mod ule", "deviceId", "pump-7", "generationId",
	    "637", "authentication", "type", "sas");
	AUTO_JSON got = NULL;

	(void)state;
	assert_int_equal(state_module_get(&got, home, &pump, "mod ule", NULL), E_NOTFOUND);
	assert_int_equal(state_module_put(home, &pump, module, NULL), 0);
	assert_int_equal(state_module_get(&got, home, &pump, "mod ule", NULL), 0);
	assert_string_equal(json_str(got, "generationId", ""), "637");
	assert_null(json_object_get(got, "authentication"));
	assert_non_null(json_object_get(module, "authentication"));
	json_decref(got);
	got = NULL;
	assert_int_equal(state_module_get(&got, home, &other, "mod ule", NULL), E_NOTFOUND);
	/* sha256("hub.example:8443"), sha256("pump-7"), letters and digits of the module and its sha256 */
	is_text("modules/" HUB_SHA256 "-" PUMP_SHA256 "/module-" MODULE_SHA256,
	    "{\"moduleId\":\"mod ule\",\"deviceId\":\"pump-7\",\"generationId\":\"637\"}");
	assert_int_equal(state_module_remove(home, &pump, "mod ule", NULL), 0);
	assert_int_equal(state_module_remove(home, &pump, "mod ule", NULL), 0);
	assert_int_equal(state_module_get(&got, home, &pump, "mod ule", NULL), E_NOTFOUND);
}

static void
only_the_present_device_is_remembered_once_others_are_forgotten(void **state)
{
	AUTO_JSON module = json_pack("{s:s}", "moduleId", "m");
	AUTO_JSON got = NULL;

	(void)state;
	assert_int_equal(state_module_put(home, &pump, module, NULL), 0);
	assert_int_equal(state_module_put(home, &other, module, NULL), 0);
	state_forget_others(home, &other);
	assert_int_equal(state_module_get(&got, home, &pump, "m", NULL), E_NOTFOUND);
	assert_int_equal(state_module_get(&got, home, &other, "m", NULL), 0);
}

static void
a_journal_is_an_object_or_an_error(void **state)
{
	AUTO_JSON v = json_pack("{s:i}", "step", 3);
	AUTO_JSON got = NULL;

	(void)state;
	assert_int_equal(state_journal_get(&got, home, "renewal", NULL), E_NOTFOUND);
	assert_int_equal(state_journal_put(home, "renewal", v, NULL), 0);
	assert_int_equal(state_journal_get(&got, home, "renewal", NULL), 0);
	assert_int_equal(json_int(got, "step", 0), 3);
	json_decref(got);
	got = NULL;
	put("estuary/renewal.json", "[1]");
	assert_int_equal(state_journal_get(&got, home, "renewal", NULL), E_FORMAT);
	assert_int_equal(state_journal_remove(home, "renewal", NULL), 0);
	assert_int_equal(state_journal_get(&got, home, "renewal", NULL), E_NOTFOUND);
}

static void
halves_that_a_crash_left_are_swept_and_nothing_else(void **state)
{
	static const char *const halves[] = { "device_info.0123456789abcdef.tmp", "estuary/modules.json.00ff00ff00ff00ff.tmp",
		"modules/x/m-1.0123456789abcdef.tmp" };
	static const char *const others[] = { "device_info", "notes.tmp", "x.0123456789abcdeg.tmp", "estuary/modules.json" };
	char path[256];

	(void)state;
	(void)snprintf(path, sizeof(path), "%s/modules/x", home);
	assert_int_equal(file_mkdir(path, 0700, NULL), 0);
	for (size_t i = 0; i < N_OF(halves); i++)
		put(halves[i], "half");
	for (size_t i = 0; i < N_OF(others); i++)
		put(others[i], "whole");
	state_sweep(home);
	for (size_t i = 0; i < N_OF(halves); i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", home, halves[i]);
		assert_int_not_equal(access(path, F_OK), 0);
	}
	for (size_t i = 0; i < N_OF(others); i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", home, others[i]);
		assert_int_equal(access(path, F_OK), 0);
	}
}

static void
directories_that_were_removed_come_back_with_the_next_file(void **state)
{
	AUTO_JSON module = json_pack("{s:s}", "moduleId", "m-1");
	AUTO_JSON back = NULL;
	AUTO_JSON journal = NULL;

	(void)state;
	assert_int_equal(nftw(home, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
	assert_int_equal(state_journal_put(home, "modules", module, NULL), 0);
	assert_int_equal(state_journal_get(&journal, home, "modules", NULL), 0);
	assert_int_equal(nftw(home, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
	assert_int_equal(state_module_put(home, &pump, module, NULL), 0);
	assert_int_equal(state_module_get(&back, home, &pump, "m-1", NULL), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(device_info_is_what_the_original_writes_and_reads, setup, teardown),
		cmocka_unit_test_setup_teardown(a_damaged_device_info_is_told_and_no_device, setup, teardown),
		cmocka_unit_test_setup_teardown(the_previous_modules_are_those_of_the_configuration_then, setup, teardown),
		cmocka_unit_test_setup_teardown(a_module_is_remembered_for_its_device_without_its_keys, setup, teardown),
		cmocka_unit_test_setup_teardown(only_the_present_device_is_remembered_once_others_are_forgotten, setup, teardown),
		cmocka_unit_test_setup_teardown(a_journal_is_an_object_or_an_error, setup, teardown),
		cmocka_unit_test_setup_teardown(directories_that_were_removed_come_back_with_the_next_file, setup, teardown),
		cmocka_unit_test_setup_teardown(halves_that_a_crash_left_are_swept_and_nothing_else, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
