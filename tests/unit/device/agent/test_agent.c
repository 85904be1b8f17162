/* SPDX-License-Identifier: Apache-2.0 */
/* device/agent/test_agent.c - the tables of estuary-agent are whole, and it answers to the services' names */
#include "device/agent/agent.h"

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
	assert_true(whole_program(&agent_program) >= 10);
}

static void
iotedge_has_verbs_of_its_own_beside_the_others(void **state)
{
	struct program iotedge = agent_program_as("/usr/bin/iotedge"), aziotctl = agent_program_as("aziotctl");
	static const char *const own[] = { "list", "restart", "logs", "version" };

	(void)state;
	assert_true(whole_program(&iotedge) == whole_program(&aziotctl) + N_OF(own));
	for (size_t i = 0; i < N_OF(own); i++) {
		assert_non_null(verb_find(&iotedge, NULL, own[i]));
		assert_null(verb_find(&aziotctl, NULL, own[i]));
	}
	assert_non_null(verb_find(&aziotctl, "system", "reprovision"));
}

static void
the_names_of_existing_installations_are_services(void **state)
{
	(void)state;
	assert_string_equal(agent_service_of("aziot-keyd"), "keyd");
	assert_string_equal(agent_service_of("/usr/libexec/aziot-identity-service/aziot-certd"), "certd");
	assert_string_equal(agent_service_of("./aziot-certd"), "certd");
	assert_string_equal(agent_service_of("aziot-identityd"), "identityd");
	assert_null(agent_service_of("estuary-agent"));
	assert_null(agent_service_of("/opt/aziot-keyd/run"));
	assert_null(agent_service_of("aziot-keyd-old"));
	assert_null(agent_service_of("aziot-tpmd"));
	assert_null(agent_service_of(""));
}

static void
every_verb_takes_a_prefix(void **state)
{
	(void)state;
	for (size_t t = 0; agent_program.tables[t] != NULL; t++)
		for (const struct verb *v = agent_program.tables[t]; v->name != NULL; v++) {
			bool found = false;
			const struct opt *o;

			for (size_t i = 0; (o = verb_opt(v, i)) != NULL; i++)
				found = found || strcmp(o->name, "prefix") == 0;
			assert_true(found);
		}
}

static void
an_object_without_id_goes_by_its_file_with_a_short_hash(void **state)
{
	AUTO_JSON known = json_pack("{s:s,s:s}", "id", "device-id", "path", "/x/deviceid-bd73.cer");
	AUTO_JSON hashed = json_pack("{s:s}", "path",
	    "/x/module-m1-c45f3e96a312cc524fecceddbc40dfc2aa789eae911d8bc7dd4eda19b93be900.cer");
	AUTO_JSON plain = json_pack("{s:s}", "path", "plain.cer");
	AUTO_JSON empty = json_object();

	(void)state;
	agent_name(known, "path");
	agent_name(hashed, "path");
	agent_name(plain, "path");
	agent_name(empty, "path");
	assert_string_equal(json_str(known, "id", ""), "device-id");
	assert_string_equal(json_str(hashed, "id", ""), "module-m1-c45f3e96...");
	assert_string_equal(json_str(plain, "id", ""), "plain.cer");
	assert_string_equal(json_str(empty, "id", ""), "?");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_record_of_every_table_is_whole_and_unique),
		cmocka_unit_test(iotedge_has_verbs_of_its_own_beside_the_others),
		cmocka_unit_test(the_names_of_existing_installations_are_services),
		cmocka_unit_test(every_verb_takes_a_prefix),
		cmocka_unit_test(an_object_without_id_goes_by_its_file_with_a_short_hash),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
