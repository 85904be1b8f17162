/* SPDX-License-Identifier: Apache-2.0 */
/* device/config/test_import.c - old configurations become new ones that config apply takes */
#include "device/config/import.h"

#include "tests/unit/device/config/kit.h"

#define TABLES "\n[aziot_keys]\n\n[preloaded_keys]\n\n[cert_issuance]\n\n[preloaded_certs]\n\n[tpm]\n\n"
#define AGENT \
	"[agent]\nname = \"edgeAgent\"\ntype = \"docker\"\nimagePullPolicy = \"on-create\"\n\n[agent.config]\n" \
	"image = \"mcr.microsoft.com/azureiotedge-agent:1.6\"\n\n[agent.config.createOptions]\n\n" \
	"[agent.config.auth]\n\n[agent.env]\n\n"
#define ENDS \
	"[connect]\nworkload_uri = \"unix:///var/run/iotedge/workload.sock\"\n" \
	"management_uri = \"unix:///var/run/iotedge/mgmt.sock\"\n\n" \
	"[listen]\nworkload_uri = \"fd://aziot-edged.workload.socket\"\n" \
	"management_uri = \"fd://aziot-edged.mgmt.socket\"\n\n" \
	"[watchdog]\nmax_retries = \"infinite\"\n\n"
#define MOBY "[moby_runtime]\nuri = \"unix:///var/run/docker.sock\"\nnetwork = \"azure-iot-edge\"\n"

static void
on_note(void *ctx, const char *text)
{
	(void)ctx;
	buf_printf(&kit_told, "%s\n", text);
}

static int
import(struct buf *out, const char *yaml, struct err *e)
{
	const struct import_options o = { .master_key = NULL, .tell = on_note };

	buf_reset(&kit_told);
	return import_text(out, "config.yaml", bytes_of(yaml), &o, e);
}

static void
check(const char *yaml, const char *want)
{
	struct super_options o = kit_options(true);
	AUTO_BUF out = { 0 };
	AUTO(toml) doc = NULL;
	struct plan p;
	struct err e = { 0 };

	if (import(&out, yaml, &e) != 0)
		fail_msg("%s", e.msg);
	assert_string_equal(buf_str(&out), want);
	assert_int_equal(toml_parse(&doc, "config.toml", bytes_of_buf(&out), &e), 0);
	buf_reset(&kit_told);
	if (super_read(&p, doc, &o, &e) != 0 || kit_told.n != 0)
		fail_msg("%s", buf_str(&kit_told));
	plan_clear(&p);
}

static void
a_connection_string_and_a_quickstart_ca(void **state)
{
	(void)state;
	check("provisioning:\n  source: \"manual\"\n"
	    "  device_connection_string: \"HostName=hub.example;DeviceId=d;SharedAccessKey=c2VjcmV0\"\n"
	    "  dynamic_reprovisioning: true\n"
	    "agent:\n  name: \"edgeAgent\"\n  type: \"docker\"\n  env: {}\n  config:\n"
	    "    image: \"mcr.microsoft.com/azureiotedge-agent:1.1.4\"\n    auth: {}\n"
	    "certificates:\n  auto_generated_ca_lifetime_days: 30\n"
	    "hostname: \"d\"\nlisten:\n  management_uri: \"fd://iotedge.mgmt.socket\"\n"
	    "  workload_uri: \"fd://iotedge.socket\"\n"
	    "homedir: \"/var/lib/iotedge\"\n",
	    "auto_reprovisioning_mode = \"Dynamic\"\nhostname = \"d\"\nprefer_module_identity_cache = false\n\n"
	    "[provisioning]\nsource = \"manual\"\niothub_hostname = \"hub.example\"\ndevice_id = \"d\"\n\n"
	    "[provisioning.authentication]\nmethod = \"sas\"\n\n"
	    "[provisioning.authentication.device_id_pk]\nvalue = \"c2VjcmV0\"\n"
	    TABLES AGENT ENDS "[edge_ca]\nauto_generated_edge_ca_expiry_days = 30\n\n" MOBY);
}

static void
dps_with_a_certificate_and_a_ca_of_files(void **state)
{
	(void)state;
	check("provisioning:\n  source: dps\n  global_endpoint: https://dps.example/\n  scope_id: 0ab1234C5D6\n"
	    "  always_reprovision_on_startup: true\n  attestation:\n    method: x509\n    registration_id: r\n"
	    "    identity_cert: file:///c.pem\n    identity_pk: /k ey.pem\n"
	    "certificates:\n  device_ca_cert: /ca.pem\n  device_ca_pk: file:///ca.key.pem\n"
	    "  trusted_ca_certs: /trust.pem\nhostname: d\n",
	    "trust_bundle_cert = \"file:///trust.pem\"\nauto_reprovisioning_mode = \"AlwaysOnStartup\"\n"
	    "hostname = \"d\"\n"
	    "prefer_module_identity_cache = false\n\n[provisioning]\nsource = \"dps\"\n"
	    "global_endpoint = \"https://dps.example/\"\n"
	    "id_scope = \"0ab1234C5D6\"\n\n[provisioning.attestation]\nmethod = \"x509\"\n"
	    "registration_id = \"r\"\n"
	    "identity_cert = \"file:///c.pem\"\nidentity_pk = \"file:///k%20ey.pem\"\n"
	    TABLES AGENT ENDS "[edge_ca]\ncert = \"file:///ca.pem\"\npk = \"file:///ca.key.pem\"\n\n" MOBY);
}

static void
what_containers_are_told_keeps_its_types(void **state)
{
	AUTO_BUF out = { 0 };
	struct err e = { 0 };

	(void)state;
	assert_int_equal(import(&out,
	    "provisioning:\n  source: dps\n  global_endpoint: https://dps.example/\n  scope_id: s\n"
	    "  registration_id: r\nagent:\n  env:\n    N: 1\n  config:\n"
	    "    image: my.example/agent:1.0\n    createOptions:\n"
	    "      HostConfig:\n        Privileged: true\n        Memory: 1048576\n        Binds:\n"
	    "        - '/a:/b'\n      Label: '7'\n"
	    "moby_runtime:\n  network:\n    name: n\n    ipv6: true\n    ipam:\n      config:\n"
	    "      - gateway: '::1'\n"
	    "  content_trust:\n    ca_certs:\n      a.example: /a.pem\nwatchdog:\n  max_retries: 4\n", &e),
	        0);
	assert_non_null(strstr(buf_str(&out),
	    "image = \"my.example/agent:1.0\"\n\n[agent.config.createOptions]\nLabel = \"7\"\n\n"
	    "[agent.config.createOptions.HostConfig]\nBinds = [\"/a:/b\"]\nMemory = 1048576\n"
	    "Privileged = true\n"));
	assert_non_null(strstr(buf_str(&out), "[agent.env]\nN = \"1\"\n"));
	assert_non_null(strstr(buf_str(&out), "[moby_runtime.network]\nipv6 = true\nname = \"n\"\n\n"
	    "[[moby_runtime.network.ipam.config]]\ngateway = \"::1\"\n\n"
	    "[moby_runtime.content_trust.ca_certs]\n\"a.example\" = \"file:///a.pem\"\n"));
	assert_non_null(strstr(buf_str(&out), "max_retries = 4\n"));
	assert_non_null(strstr(buf_str(&out), "method = \"tpm\"\nregistration_id = \"r\"\n"));
	assert_null(strstr(buf_str(&out), "[edge_ca]"));
}

static void
what_is_changed_or_left_out_is_told(void **state)
{
	AUTO_BUF out = { 0 };
	struct err e;

	(void)state;
	assert_int_equal(import(&out,
	    "provisioning:\n  device_connection_string: HostName=h;DeviceId=d;SharedAccessKey=c2VjcmV0\n"
	    "agent:\n  config:\n    image: mcr.microsoft.com/azureiotedge-agent:1.0\nfrobnicate: 1\n", &e),
	        0);
	assert_non_null(strstr(buf_str(&kit_told), "config.yaml:6: not known, and left out"));
	assert_non_null(strstr(buf_str(&kit_told), "azureiotedge-agent:1.6 is taken"));
}

static void
what_cannot_be_said_any_more_is_refused_with_its_line(void **state)
{
	static const struct {
		const char *in, *want;
	} rows[] = {
		{ "hostname: x\n",
		  "config.yaml:1: key 'provisioning': is missing: this is no configuration of IoT Edge 1.1" },
		{ "provisioning:\n  source: external\n",
		  "config.yaml:2: key 'provisioning.source': external provisioning is not supported" },
		{ "provisioning:\n  source: manual\n",
		  "key 'device_connection_string': is missing, and so is authentication" },
		{ "provisioning:\n  device_connection_string: x\n",
		  "config.yaml:2: key 'device_connection_string': the connection string has" },
		{ "provisioning:\n  source: dps\n  scope_id: s\n", "key 'global_endpoint': is missing" },
		{ "provisioning:\n  source: dps\n  global_endpoint: u\n  scope_id: s\n",
		  "key 'registration_id': is missing" },
		{ "provisioning:\n  source: dps\n  global_endpoint: u\n  scope_id: s\n  attestation:\n"
		  "    method: symmetric_key\n"
		  "    registration_id: r\n    symmetric_key: '%'\n",
		      "config.yaml:8: key 'symmetric_key': the key is not base64" },
		{ "provisioning:\n  source: dps\n  global_endpoint: u\n  scope_id: s\n  registration_id: r\n"
		  "listen:\n  workload_uri: fd://x\n",
		      "config.yaml:7: key 'workload_uri': is none of the old service's sockets" },
	};
	AUTO_BUF out = { 0 };
	struct err e;

	(void)state;
	for (size_t i = 0; i < N_OF(rows); i++) {
		if (import(&out, rows[i].in, &e) != E_FORMAT || strstr(e.msg, rows[i].want) == NULL)
			fail_msg("%s: %s", rows[i].in, e.msg);
		assert_int_equal(out.n, 0);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_connection_string_and_a_quickstart_ca),
		cmocka_unit_test(dps_with_a_certificate_and_a_ca_of_files),
		cmocka_unit_test(what_containers_are_told_keeps_its_types),
		cmocka_unit_test(what_is_changed_or_left_out_is_told),
		cmocka_unit_test(what_cannot_be_said_any_more_is_refused_with_its_line),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);

	buf_free(&kit_told);
	return failed;
}
