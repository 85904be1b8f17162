/* SPDX-License-Identifier: Apache-2.0 */
/* cli/test_provision_print.c - the lines for a device's config.toml */
#include "cli/provision_print.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "cli/estuary.h"
#include "core/codec/toml.h"
#include "tests/unit/core/cmd/capture.h"

static void
prints(const char *enrolment, const char *registration, const char *key, const char *wanted)
{
	AUTO_JSON v = NULL;
	AUTO_BUF text = { 0 };
	AUTO(toml) doc = NULL;
	struct err e = { 0 };

	assert_int_equal(json_parse(&v, bytes_of(enrolment), &e), 0);
	provision_print_config(&text, v, registration, key);
	assert_string_equal(buf_str(&text), wanted);
	assert_int_equal(toml_parse(&doc, "config.toml", bytes_of_buf(&text), &e), 0);
}

#define WHERE "\"endpoint\":\"https://h:1\",\"id_scope\":\"0neX\""
#define TRUST "trusted_certs = [\"file:///var/aziot/certs/root.pem\"]\n"
#define HEAD  "[provisioning]\nsource = \"dps\"\nglobal_endpoint = \"https://h:1\"\nid_scope = \"0neX\"\n" TRUST "\n" \
	"[provisioning.attestation]\n"

static void
a_groups_device_gets_its_certificate_by_est(void **state)
{
	(void)state;
	prints("{\"name\":\"edge\",\"attestation\":\"x509\"," WHERE "}", NULL, NULL,
	    HEAD "method = \"x509\"\nregistration_id = \"DEVICE\"\n\n"
	    "[provisioning.attestation.identity_cert]\nmethod = \"est\"\ncommon_name = \"DEVICE\"\n\n"
	    "[provisioning.attestation.identity_cert.auto_renew]\nrotate_key = true\nthreshold = \"80%\"\nretry = "
	    "\"4%\"\n\n[cert_issuance.est]\n" TRUST "\n[cert_issuance.est.urls]\ndefault = \"https://h:1/.well-known/est\"\n\n"
	    "[cert_issuance.est.auth]\nbootstrap_identity_cert = \"file:///var/aziot/certs/birth.pem\"\n"
	    "bootstrap_identity_pk = \"file:///var/aziot/secrets/birth.key.pem\"\n");
}

static void
a_device_with_a_certificate_of_its_own_names_its_files(void **state)
{
	(void)state;
	prints("{\"registration\":\"pump-7\",\"attestation\":\"x509\"," WHERE "}", NULL, NULL,
	    HEAD "method = \"x509\"\nregistration_id = \"pump-7\"\nidentity_cert = "
	    "\"file:///var/aziot/certs/pump-7.pem\"\n"
	    "identity_pk = \"file:///var/aziot/secrets/pump-7.key.pem\"\n");
}

static void
a_key_is_the_devices_own_and_never_the_groups(void **state)
{
	(void)state;
	prints("{\"registration\":\"pump-7\",\"attestation\":\"symmetric\",\"key\":\"a2V5\"," WHERE "}", NULL, NULL,
	    HEAD "method = \"symmetric_key\"\nregistration_id = "
	    "\"pump-7\"\n\n[provisioning.attestation.symmetric_key]\nvalue = \"a2V5\"\n");
	prints("{\"name\":\"pumps\",\"attestation\":\"symmetric\",\"key\":\"Z3JvdXA=\"," WHERE "}", NULL, NULL,
	    HEAD "method = \"symmetric_key\"\nregistration_id = "
	    "\"DEVICE\"\n\n[provisioning.attestation.symmetric_key]\nvalue = \"KEY\"\n");
	prints("{\"name\":\"pumps\",\"attestation\":\"symmetric\"," WHERE "}", "pump-7", "b3du",
	    HEAD "method = \"symmetric_key\"\nregistration_id = "
	    "\"pump-7\"\n\n[provisioning.attestation.symmetric_key]\nvalue = \"b3du\"\n");
}

static void
members_are_named_for_people(void **state)
{
	AUTO_JSON scope = NULL;
	struct capture x;
	struct err e;

	(void)state;
	assert_int_equal(json_parse(&scope, bytes_of("{" WHERE ",\"hubs\":[]}"), &e), 0);
	capture_open(&x, &estuary_program);
	provision_print_scope(&x.c, scope);
	assert_string_equal(capture_out(&x), "id scope         0neX\nendpoint         https://h:1\n\n");
	capture_close(&x);
}

static void
a_tpm_needs_no_more_than_its_name(void **state)
{
	(void)state;
	prints("{\"registration\":\"pump-7\",\"attestation\":\"tpm\"," WHERE "}", NULL, NULL,
	    HEAD "method = \"tpm\"\nregistration_id = \"pump-7\"\n");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_groups_device_gets_its_certificate_by_est),
		cmocka_unit_test(a_device_with_a_certificate_of_its_own_names_its_files),
		cmocka_unit_test(a_key_is_the_devices_own_and_never_the_groups),
		cmocka_unit_test(members_are_named_for_people),
		cmocka_unit_test(a_tpm_needs_no_more_than_its_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
