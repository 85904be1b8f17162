/* SPDX-License-Identifier: Apache-2.0 */
/* tests: file names of IDs */
#include "device/service/stem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

static void
names_are_those_that_existing_installations_have(void **state)
{
	static const struct {
		const char *id, *stem;
	} rows[] = {
		{ "device-id", "deviceid-bd732105ef89cf8edd2606a5309c8a26b7b5599a4e124a0fe6199b6b2f60e655" },
		{ "est-id", "estid-c45f3e96a312cc524fecceddbc40dfc2aa789eae911d8bc7dd4eda19b93be900" },
		{ "est-bootstrap-id", "estbootstrapid-bf6d9121df4c476e601fa970155dfeed95c1b2180d1bd7f75079b00b32f9554f" },
		{ "aziot-edged-ca", "aziotedgedca-86f154be7ff14480027f0d00c59c223db6d9e4ab0b559fc523cca36a7c973d6d" },
		{ "aziot_identityd_master_id",
		  "aziotidentitydmasterid-91b92c2c06a5a5dda5fbc9c48b4d428d930b9c1b8b2956a1044ccbc7a266afc9" },
		{ "handle-validation-key",
		  "handlevalidationkey-40f1ca41fe8b50f53e10f3e3a580dcae24087f37aa498ba9903f2612b03e90ba" },
		{ "iotedge_master_encryption_id",
		  "iotedgemasterencryptionid-9088210ae5de3106f57307359ce517da740f93ba17f4312f770c9383ad85b64f" },
		{ "local-ca", "localca-f71a8ad7034763bddef5cd1be2038a6b758374a08a83e88a979839841e5294d4" },
	};
	char name[STEM_MAX], want[STEM_MAX + 8];

	(void)state;
	for (size_t i = 0; i < N_OF(rows); i++) {
		assert_int_equal(stem_name(name, rows[i].id, "", NULL), 0);
		assert_string_equal(name, rows[i].stem);
		assert_int_equal(stem_name(name, rows[i].id, ".key", NULL), 0);
		(void)snprintf(want, sizeof(want), "%s.key", rows[i].stem);
		assert_string_equal(name, want);
	}
}

static void
no_id_leaves_its_directory_and_no_two_share_a_name(void **state)
{
	static const char *const ids[] = { ".", "..", "../x", "/etc/passwd", "a/b", "a.b", "a-b", "ab", "AB", "a b", "\xc3\xa9", "\xe6\x97\xa5",
		"aziot-edged/module/m:1:server", "-", "%2e%2e", "a\\b", "CON", "*" };
	char names[N_OF(ids)][STEM_MAX];

	(void)state;
	for (size_t i = 0; i < N_OF(ids); i++) {
		assert_int_equal(stem_name(names[i], ids[i], ".cer", NULL), 0);
		assert_int_equal(strspn(names[i], "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-"),
		    strlen(names[i]) - 4);
		for (size_t j = 0; j < i; j++)
			assert_string_not_equal(names[i], names[j]);
	}
	assert_int_equal(names[0][0], '-'); /* nothing readable is left of it */
}

static void
what_is_no_id_is_refused(void **state)
{
	static const char *const bad[] = { "", "a\nb", "a\x7f", "\x01", "\xff", "\xc3", "\xed\xa0\x80", "\xc0\xaf", ("a\xe2\x80\xae" "b") };
	char name[STEM_MAX] = "untouched", text[ID_MAX + 1];
	struct err e = { 0 };

	(void)state;
	for (size_t i = 0; i < N_OF(bad); i++) {
		assert_int_equal(stem_check_id(bad[i], &e), E_FORMAT);
		assert_int_equal(stem_name(name, bad[i], "", &e), E_FORMAT);
	}
	memset(text, ' ', sizeof(text));
	text[ID_MAX - 1] = 0;
	assert_int_equal(stem_check_id(text, &e), 0);
	text[ID_MAX - 1] = ' ';
	text[ID_MAX] = 0;
	assert_int_equal(stem_check_id(text, &e), E_FORMAT);
	assert_string_equal(name, "untouched");
}

static void
a_name_fits_a_directory_entry(void **state)
{
	char name[STEM_MAX], id[ID_MAX] = "";
	struct err e = { 0 };

	(void)state;
	memset(id, 'a', 255 - 65 - 4);
	assert_int_equal(stem_name(name, id, ".key", &e), 0);
	assert_int_equal(strlen(name), 255);
	assert_int_equal(stem_name(name, id, ".keys", &e), E_TOOBIG);
	memset(id, '-', ID_MAX - 1);
	assert_int_equal(stem_name(name, id, ".key", &e), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_are_those_that_existing_installations_have),
		cmocka_unit_test(no_id_leaves_its_directory_and_no_two_share_a_name),
		cmocka_unit_test(what_is_no_id_is_refused),
		cmocka_unit_test(a_name_fits_a_directory_entry),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
