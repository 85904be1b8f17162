/* SPDX-License-Identifier: Apache-2.0 */
/* cli/test_estuary.c - the tables of estuary are whole, and every operator message has its verb */
#include "cli/estuary.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "tests/unit/core/cmd/capture.h"
#include "tests/unit/core/cmd/whole.h"

static void
every_record_of_every_table_is_whole_and_unique(void **state)
{
	(void)state;
	assert_true(whole_program(&estuary_program) > 35);
}

static void
every_message_of_the_protocol_has_its_verb(void **state)
{
	static const char *const verbs[] = {
		"server.status", "server.reload", "ca.create", "ca.list", "ca.show", "profile.list", "profile.show",
		"profile.create", "profile.set", "label.list", "label.show", "label.create", "label.set",
		"credential.add", "credential.list", "credential.show", "credential.disable", "trust.add",
		"trust.list", "trust.show", "trust.remove", "device.list", "device.show", "device.release", "device.retire",
		"cert.list", "cert.show", "cert.request", "cert.revoke", "crl.publish", "operator.add", "operator.remove",
		"operator.list", "audit.list", "audit.show", "audit.why", "audit.verify", "event.list",
		"hub.add", "hub.set", "hub.list", "hub.remove", "hub.modules", "group.ca_add", "group.ca_verify", "group.ca_list",
		"group.ca_show", "group.ca_remove", "group.create", "group.set", "group.list", "group.show", "group.remove",
		"group.enable", "group.disable", "group.derive", "group.key_rotate", "enrolment.create", "enrolment.set",
		"enrolment.list", "enrolment.show", "enrolment.remove", "enrolment.enable", "enrolment.disable",
		"registration.list", "registration.show", "registration.remove", "registration.enable", "registration.disable",
	};

	(void)state;
	for (size_t i = 0; i < N_OF(verbs); i++) {
		char group[32], name[32];
		const char *dot = strchr(verbs[i], '.');
		const struct verb *v;

		(void)snprintf(group, sizeof(group), "%.*s", (int)(dot - verbs[i]), verbs[i]);
		(void)snprintf(name, sizeof(name), "%s", dot + 1);
		for (char *p = name; *p != 0; p++)
			*p = *p == '_' ? '-' : *p;
		v = verb_find(&estuary_program, group, name);
		assert_non_null(v);
		assert_string_equal(v->op, verbs[i]);
	}
}

static void
a_misspelt_verb_finds_its_neighbour(void **state)
{
	char near[64];

	(void)state;
	assert_string_equal(verb_near(&estuary_program, "ca", "lst", near, sizeof(near)), "ca list");
	assert_string_equal(verb_near(&estuary_program, "audt", "why", near, sizeof(near)), "audit why");
	assert_string_equal(verb_near(&estuary_program, NULL, "quikstart", near, sizeof(near)), "quickstart");
	assert_string_equal(verb_near_group(&estuary_program, "lable"), "label");
	assert_null(verb_near(&estuary_program, "ca", "frobnicate", near, sizeof(near)));
	assert_null(verb_near_group(&estuary_program, "frobnicate"));
}

static void
completion_knows_words_files_and_options(void **state)
{
	struct capture x;
	const char *s;

	(void)state;
	capture_open(&x, &estuary_program);
	help_completion(x.c.out, &estuary_program);
	s = capture_out(&x);
	assert_non_null(strstr(s, "\t'ca create')\n"));
	assert_non_null(strstr(s, "--kind) words='root subordinate' ;;"));
	assert_non_null(strstr(s, "--csr) files=1 ;;"));
	assert_non_null(strstr(s, "complete -F _estuary estuary"));
	capture_close(&x);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_record_of_every_table_is_whole_and_unique),
		cmocka_unit_test(every_message_of_the_protocol_has_its_verb),
		cmocka_unit_test(a_misspelt_verb_finds_its_neighbour),
		cmocka_unit_test(completion_knows_words_files_and_options),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
