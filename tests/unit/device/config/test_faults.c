/* SPDX-License-Identifier: Apache-2.0 */
/* device/config/test_faults.c - faults are told with file, line, key and remedy, and all at once */
#include "tests/unit/device/config/kit.h"

#define DPS "[provisioning]\nsource = \"dps\"\nid_scope = \"0ab\"\nglobal_endpoint = \"https://dps.example\"\n"
#define X509 DPS "[provisioning.attestation]\nmethod = \"x509\"\n"
#define NONE "[provisioning]\nsource = \"none\"\n"
#define SAS "[provisioning]\nsource = \"manual\"\niothub_hostname = \"h\"\ndevice_id = \"d\"\n" \
	"[provisioning.authentication]\n"

/* One fault each: the input, and the line that must be told. */
static const struct {
	const char *in, *want;
} faults[] = {
	{ "", "! c.toml:1:1: [provisioning] is missing: add it with source" },
	{ "provisioning = 1\n", "! c.toml:1:1: key 'provisioning': is an integer, not a table" },
	{ "[provisioning]\n",
	  "! c.toml:1:2: key 'provisioning': 'source' is missing: write source = \"dps\"" },
	{ "[provisioning]\nsource = \"dsp\"\n",
	  "! c.toml:2:1: key 'provisioning.source': 'dsp' is none: \"dps\"" },
	{ "[provisioning]\nsource = 7\n",
	  "! c.toml:2:1: key 'provisioning.source': is an integer, not a string" },
	{ "[provisioning]\nsource = \"dps\"\nglobal_endpoint = \"https://x\"\n"
	  "[provisioning.attestation]\nmethod = \"tpm\"\n"
	  "registration_id = \"r\"\n",
	      "! c.toml:1:2: key 'provisioning': 'id_scope' is missing: write the ID scope" },
	{ DPS, "! c.toml:1:2: key 'provisioning': 'attestation' is missing: add [provisioning.attestation]" },
	{ DPS "[provisioning.attestation]\nmethod = \"tpm\"\n",
	  "! c.toml:5:15: key 'provisioning.attestation': 'registration_id' is missing: write the ID of the enrolment" },
	{ DPS "[provisioning.attestation]\nmethod = \"pm\"\nregistration_id = \"r\"\n",
	  "! c.toml:6:1: key 'provisioning.attestation.method': 'pm' is none" },
	{ DPS "[provisioning.attestation]\nmethod = \"symmetric_key\"\nregistration_id = \"r\"\n",
	  "'symmetric_key' is missing: write symmetric_key = { uri = \"file:///path\" }" },
	{ DPS "[provisioning.attestation]\nmethod = \"symmetric_key\"\nregistration_id = \"r\"\n"
	  "symmetric_key = { value = \"%%\" }\n",
	  "! c.toml:8:19: key 'provisioning.attestation.symmetric_key.value': the key is not base64" },
	{ "parent_hostname = \"p\"\n" DPS "[provisioning.attestation]\nmethod = \"tpm\"\n"
	  "registration_id = \"r\"\n",
	  "! c.toml:2:2: key 'provisioning': DPS provisioning is not supported in nested mode: leave parent_hostname out" },
	{ "parent_hostname = \"p\"\nlocal_gateway_hostname = \"q\"\n" NONE,
	  "! c.toml:2:1: key 'local_gateway_hostname': says otherwise than parent_hostname" },
	{ X509,
	  "! c.toml:5:15: key 'provisioning.attestation': 'identity_cert' is missing: a file: URI, or a table" },
	{ X509 "identity_cert = \"file:///c.pem\"\n",
	  "'identity_pk' is missing: the URI of the certificate's key" },
	{ X509 "identity_cert = \"/c.pem\"\nidentity_pk = \"file:///k.pem\"\n",
	  "! c.toml:7:1: key 'provisioning.attestation.identity_cert': is a path, and a URI is needed: write \"file:///c.pem\"" },
	{ X509 "identity_cert = \"https://x/c.pem\"\nidentity_pk = \"file:///k.pem\"\n",
	  "'https://x/c.pem' is not of the form file:///path: write \"file:///path\"" },
	{ X509 "identity_cert = \"file:///c.pem\"\nidentity_pk = \"pkcs11:object=x\"\n",
	  "! c.toml:8:1: key 'provisioning.attestation.identity_pk': a PKCS#11 URI needs slot-id= or token=" },
	{ X509 "identity_cert = \"file:///c.pem\"\nidentity_pk = \"pkcs11:token=x\"\n",
	  "needs object=, its label in the token" },
	{ X509 "registration_id = \"r\"\nidentity_cert = { method = \"scep\" }\n",
	  "'scep' is none: \"est\", \"local_ca\"" },
	{ X509 "registration_id = \"r\"\nidentity_cert = { common_name = \"x\" }\n",
	  "'method' is missing: write method = \"est\"" },
	{ X509 "identity_cert = { method = \"self_signed\" }\n",
	  "'registration_id' is missing: without it, and without a common_name" },
	{ X509 "registration_id = \"r\"\nidentity_cert = { method = \"local_ca\" }\n",
	  "there is no local CA: add [cert_issuance.local_ca] with cert and pk" },
	{ X509 "registration_id = \"r\"\nidentity_cert = { method = \"self_signed\", expiry_days = 0 }\n",
	  "is 0, not 1 to 36500" },
	{ X509 "registration_id = \"r\"\nidentity_cert = { method = \"est\", url = \"est.example\" }\n",
	  "identity_cert.url': 'est.example' is no URL; write https://server.example/path" },
	{ X509 "registration_id = \"r\"\n"
	  "identity_cert = { method = \"est\", url = \"https://<YOUR-ENDPOINT>\" }\n",
	  "'https://<YOUR-ENDPOINT>' still has the placeholder of a document; put your server's name there" },
	{ X509 "registration_id = \"r\"\n[provisioning.attestation.identity_cert]\nmethod = \"self_signed\"\n"
	  "auto_renew.threshold = \"0%\"\n",
	      "auto_renew.threshold': '0%': 1% to 99% of the certificate's life" },
	{ X509 "registration_id = \"r\"\n[provisioning.attestation.identity_cert]\nmethod = \"self_signed\"\n"
	  "auto_renew.threshold = \"90 s\"\n", "'90 s': whole minutes or days" },
	{ X509 "registration_id = \"r\"\n[provisioning.attestation.identity_cert]\nmethod = \"self_signed\"\n"
	  "auto_renew.retry = \"often\"\n", "'often' is no duration" },
	{ "[provisioning]\nsource = \"manual\"\nconnection_string = \"HostName=h;DeviceId=d\"\n",
	  "! c.toml:3:1: key 'provisioning.connection_string': the connection string has no SharedAccessKey=" },
	{ "[provisioning]\nsource = \"manual\"\niothub_hostname = \"h\"\ndevice_id = \"d\"\n",
	  "'authentication' is missing: add [provisioning.authentication]" },
	{ SAS "method = \"saas\"\n",
	  "! c.toml:6:1: key 'provisioning.authentication.method': 'saas' is none: \"sas\" or \"x509\"" },
	{ SAS "method = \"sas\"\ndevice_id_pk = {}\n", "needs value (base64) or uri" },
	{ NONE "[cert_issuance.est]\ntrusted_certs = \"file:///ca.pem\"\n",
	  "is a string; write trusted_certs = [\"file:///path\"]" },
	{ NONE "[cert_issuance.est]\nauth = { headers = [\"No colon\"] }\n",
	  "a header is written \"Name: value\"" },
	{ NONE "[cert_issuance.est.urls]\ndefault = \"https://x:99999/\"\n",
	  "a port is a number from 1 to 65535" },
	{ NONE "[cert_issuance.est.urls]\ndefault = \"https://u:p@x/\"\n",
	  "user and password do not belong into a URL" },
	{ NONE "[cert_issuance.local_ca]\ncert = \"file:///ca.pem\"\n",
	  "'pk' is missing: the URI of the CA's key" },
	{ NONE "[cert_issuance]\nweb = \"file:///x\"\n",
	  "not a table that says how this certificate is issued" },
	{ "cloud_timeout_sec = 10\n" NONE, "! c.toml:1:1: key 'cloud_timeout_sec': is 10, not 70 to" },
	{ "hostname = \"a b\"\n" NONE, "! c.toml:1:1: key 'hostname': 'a b' is no host name" },
	{ NONE "[tpm]\nauth_key_index = \"many\"\n", "a number up to 0x7fffff is needed, such as 0x000100" },
	{ NONE "[aziot_keys]\npkcs11_base_slot = \"0\"\n", "a PKCS#11 URI is needed" },
	{ "auto_reprovisioning_mode = \"Never\"\n" NONE, "'Never' is none: \"Dynamic\"" },
	{ NONE "[edge_ca]\ncert = \"file:///c.pem\"\n",
	  "'pk' is missing: the Edge CA is given by cert and pk" },
	{ NONE "[agent.config]\ncreateOptions = {}\n", "'image' is missing: write image = " },
	{ NONE "[moby_runtime]\nnetwork = 7\n", "is an integer; a name or a table with name is needed" },
	{ "imported_master_encryption_key = \"rel\"\n" NONE, "an absolute path is needed" },
	{ "additional_info = \"file:///no/such/file.toml\"\n" NONE,
	  "the file: URI of a TOML file of texts is needed" },
};

/* Told, and no fault. */
static const struct {
	const char *in, *want;
} oddities[] = {
	{ NONE "identiy = 1\n", "? c.toml:3:1: unknown key 'identiy'" },
	{ NONE "[cert_issuance.est.auth]\nidentiy_cert = \"x\"\n",
	  "unknown key 'identiy_cert' (did you mean 'identity_cert'?)" },
	{ NONE "[cert_issuance.est.auth]\nusername = \"u\"\n",
	  "? c.toml:4:1: key 'cert_issuance.est.auth.username': is not used "
	  "without 'password': give both or none" },
	{ NONE "[cert_issuance.est.urls]\ndefault = \"http://x\"\n",
	  "http: is neither secret nor authentic" },
	{ X509 "registration_id = \"r\"\nidentity_cert = { method = \"est\" }\n",
	  "has no EST server: give url here, or default in" },
	{ X509 "registration_id = \"r\"\nidentity_cert = { method = \"est\" }\n",
	  "has no way to authenticate: give one here" },
	{ X509 "registration_id = \"<your-device>\"\nidentity_cert = \"file:///c\"\n"
	  "identity_pk = \"file:///k\"\n",
	  "'<your-device>' looks like the placeholder of a document" },
};

static int
read_one(const char *text, struct err *e)
{
	struct super_options o = kit_options(true);
	AUTO(toml) doc = NULL;
	struct plan p;
	int r;

	assert_int_equal(toml_parse(&doc, "c.toml", bytes_of(text), e), 0);
	r = super_read(&p, doc, &o, e);
	plan_clear(&p);
	return r;
}

static void
each_fault_is_told_with_its_place_and_what_to_do(void **state)
{
	struct err e = { 0 };
	size_t wrong = 0;

	(void)state;
	for (size_t i = 0; i < N_OF(faults); i++) {
		int r = read_one(faults[i].in, &e);

		if (r == E_FORMAT && strstr(buf_str(&kit_told), faults[i].want) != NULL &&
		    strstr(e.msg, ": 1 fault; nothing was changed") != NULL)
			continue;
		print_error("%s\nreads %d (%s), and not '%s':\n%s", faults[i].in, r, e.msg, faults[i].want,
		    buf_str(&kit_told));
		wrong++;
	}
	assert_int_equal(wrong, 0);
}

static void
what_is_odd_is_told_and_goes_on(void **state)
{
	struct err e = { 0 };

	(void)state;
	for (size_t i = 0; i < N_OF(oddities); i++) {
		int r = read_one(oddities[i].in, &e);

		if (r != 0 || strstr(buf_str(&kit_told), oddities[i].want) == NULL)
			fail_msg("%s\nreads %d:\n%s", oddities[i].in, r, buf_str(&kit_told));
	}
}

static void
all_faults_are_told_at_once(void **state)
{
	struct err e;

	(void)state;
	assert_int_equal(read_one("cloud_retries = \"x\"\n[provisioning]\nsource = \"dps\"\n"
	    "[provisioning.attestation]\n"
	    "method = \"x509\"\n[edge_ca]\nmethod = \"est\"\nurl = \"ftp://x\"\n", &e), E_FORMAT);
	assert_non_null(strstr(e.msg, "4 faults"));
	assert_non_null(strstr(buf_str(&kit_told), "! c.toml:1:1: key 'cloud_retries'"));
	assert_non_null(strstr(buf_str(&kit_told), "'id_scope' is missing"));
	assert_non_null(strstr(buf_str(&kit_told), "'identity_cert' is missing"));
	assert_non_null(strstr(buf_str(&kit_told), "! c.toml:8:1: key 'edge_ca.url': 'ftp://x' is no URL"));
}

static void
no_secret_is_ever_told(void **state)
{
	struct err e;

	(void)state;
	(void)read_one("[provisioning]\nsource = \"manual\"\n"
	    "connection_string = \"HostName=h;SharedAccessKey=c2VjcmV0\"\n", &e);
	assert_null(strstr(buf_str(&kit_told), "c2VjcmV0"));
	(void)read_one(DPS "[provisioning.attestation]\nmethod = \"symmetric_key\"\nregistration_id = \"r\"\n"
	    "symmetric_key = { value = \"hush%hush\" }\n", &e);
	assert_null(strstr(buf_str(&kit_told), "hush"));
	(void)read_one(X509 "identity_cert = \"file:///c.pem\"\nidentity_pk = \"pkcs11:pin-value=hush\"\n",
	    &e);
	assert_null(strstr(buf_str(&kit_told), "hush"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_fault_is_told_with_its_place_and_what_to_do),
		cmocka_unit_test(what_is_odd_is_told_and_goes_on),
		cmocka_unit_test(all_faults_are_told_at_once),
		cmocka_unit_test(no_secret_is_ever_told),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);

	buf_free(&kit_told);
	return failed;
}
