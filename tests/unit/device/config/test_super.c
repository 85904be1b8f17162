/* SPDX-License-Identifier: Apache-2.0 */
/* device/config/test_super.c - every kind of super-config becomes exactly its files, octet by octet */
#include "tests/unit/device/config/kit.h"

#include <dirent.h>
#include <sys/stat.h>

#include "core/base/mem.h"
#include "device/config/print.h"

/* tests/vectors/config/NAME: config.toml and what comes of it; with an edged.toml it is read with Edge. */
static const char *const cases[] = {
	"basic-auth", "birth-certificate", "both-identities-differ", "both-identities-same",
	    "connection-string",
	"dps-issued-local-ca", "dps-local-ca", "dps-symmetric-key", "dps-tpm", "dps-x509",
	    "dps-x509-own-bootstrap",
	"edge-ca-est", "edge-ca-local", "edge-everything", "edge-quickstart", "manual-sas-token",
	    "manual-x509",
	"manual-x509-issued", "own-certificates", "own-provisioning",
};

static const struct {
	const char *name;
	void (*print)(struct buf *out, const struct plan *p);
} services[] = {
	{ "keyd", print_keyd }, { "certd", print_certd }, { "identityd", print_identityd }, { "tpmd",
	  print_tpmd },
	{ "edged", print_edged },
};

static const char *
vector(const char *name, const char *file)
{
	static char path[512];

	(void)snprintf(path, sizeof(path), "%s/config/%s/%s", getenv("VECTORS"), name, file);
	return path;
}

static void
check_service(const char *name, size_t i, const struct plan *p)
{
	AUTO_BUF want = { 0 };
	AUTO_BUF got = { 0 };
	AUTO(toml) doc = NULL;
	char file[32];
	struct err e;

	(void)snprintf(file, sizeof(file), "%s.toml", services[i].name);
	if (access(vector(name, file), F_OK) == 0)
		assert_int_equal(file_read(&want, vector(name, file), TOML_MAX, &e), 0);
	services[i].print(&got, p);
	if (!bytes_equal(bytes_of_buf(&want), bytes_of_buf(&got)))
		print_error("%s/%s\n", name, file);
	assert_string_equal(buf_str(&got), buf_str(&want));
	assert_int_equal(toml_parse(&doc, file, bytes_of_buf(&got), &e), 0);
}

static void
check_case(const char *name)
{
	bool edge = access(vector(name, "edged.toml"), F_OK) == 0;
	struct super_options o = kit_options(edge);
	AUTO_BUF text = { 0 };
	AUTO(toml) doc = NULL;
	struct plan p;
	struct err e = { 0 };

	assert_int_equal(file_read(&text, vector(name, "config.toml"), TOML_MAX, &e), 0);
	assert_int_equal(toml_parse(&doc, "config.toml", bytes_of_buf(&text), &e), 0);
	if (super_read(&p, doc, &o, &e) != 0)
		fail_msg("%s: %s\n%s", name, e.msg, buf_str(&kit_told));
	for (size_t i = 0; i < N_OF(services) - (edge ? 0 : 1); i++)
		check_service(name, i, &p);
	plan_clear(&p);
}

static void
every_kind_of_configuration_becomes_exactly_these_files(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_OF(cases); i++)
		check_case(cases[i]);
}

/* A directory that nobody looks at proves nothing. */
static void
every_example_is_looked_at(void **state)
{
	char path[512];
	struct dirent *entry;
	size_t n = 0;
	DIR *d;

	(void)state;
	(void)snprintf(path, sizeof(path), "%s/config", getenv("VECTORS"));
	d = opendir(path);
	assert_non_null(d);
	while ((entry = readdir(d)) != NULL)
		n += entry->d_name[0] != '.';
	(void)closedir(d);
	assert_int_equal(n, N_OF(cases));
}

static void
every_path_is_below_the_prefix_of_a_scratch_installation(void **state)
{
	static const char text[] = "imported_master_encryption_key = \"/k\"\n[provisioning]\n"
	    "source = \"manual\"\n"
	    "connection_string = \"HostName=h;DeviceId=d;SharedAccessKey=c2VjcmV0\"\n";
	struct super_options o = kit_options(true);
	AUTO_BUF all = { 0 };
	AUTO(toml) doc = NULL;
	struct plan p;
	struct err e;

	(void)state;
	o.prefix = "/srv/x";
	assert_int_equal(toml_parse(&doc, "config.toml", bytes_of(text), &e), 0);
	assert_int_equal(super_read(&p, doc, &o, &e), 0);
	for (size_t i = 0; i < N_OF(services); i++)
		services[i].print(&all, &p);
	for (const char *at = buf_str(&all); (at = strstr(at, "/var/lib/aziot/")) != NULL; at++)
		assert_memory_equal(at - 6, "/srv/x", 6);
	assert_non_null(strstr(buf_str(&all),
	    "device-id = \"file:///srv/x/var/secrets/aziot/keyd/device-id\"\n"));
	assert_non_null(strstr(buf_str(&all),
	    "\"file:///srv/x/var/secrets/aziot/keyd/imported-master-encryption-key\"\n"));
	assert_true(bytes_equal_str(bytes_of_buf(&p.device_key), "secret"));
	plan_clear(&p);
}

static void
only_the_sections_of_edge_make_it_an_edge_device(void **state)
{
	static const char *const edge[] = { "[edge_ca]", "[agent]", "trust_bundle_cert = \"\"",
	    "[moby_runtime]" };
	static const char *const plain[] = { "", "[provisioning]", "[tpm]", "[cert_issuance]",
	    "hostname = \"\"" };
	struct err e;

	(void)state;
	for (size_t i = 0; i < N_OF(edge) + N_OF(plain); i++) {
		bool is = i < N_OF(edge);
		AUTO(toml) doc = NULL;

		assert_int_equal(toml_parse(&doc, "x", bytes_of(is ? edge[i] : plain[i - N_OF(edge)]), &e),
		    0);
		assert_int_equal(super_has_edge(doc), is);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_kind_of_configuration_becomes_exactly_these_files),
		cmocka_unit_test(every_example_is_looked_at),
		cmocka_unit_test(every_path_is_below_the_prefix_of_a_scratch_installation),
		cmocka_unit_test(only_the_sections_of_edge_make_it_an_edge_device),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);

	buf_free(&kit_told);
	return failed;
}
