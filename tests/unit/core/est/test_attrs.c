/* SPDX-License-Identifier: Apache-2.0 */
/* test_attrs.c - CSR attributes as RFC 9908 wants them written, and as the field sends them */
#include "core/est/est.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "core/base/file.h"
#include "core/base/text.h"

static void
expect_attrs(const struct est_attrs_want *w, const char *hex)
{
	AUTO_BUF der = { 0 };
	char got[1024];

	est_attrs_build(&der, w);
	assert_true(der.n < sizeof(got) / 2);
	text_hex(got, bytes_of_buf(&der));
	assert_string_equal(got, hex);
	assert_int_equal(der_check(bytes_of_buf(&der), "csrattrs", NULL), 0);
}

static void
nothing_wanted_is_an_empty_sequence(void **state)
{
	(void)state;
	expect_attrs(&(struct est_attrs_want){ 0 }, "3000");
	expect_attrs(&(struct est_attrs_want){ .san_hint = &(struct sans){ 0 } }, "3000");
}

static void
a_wanted_binding_is_the_bare_oid(void **state)
{
	(void)state;
	expect_attrs(&(struct est_attrs_want){ .pop = true }, "300b06092a864886f70d010907");
}

static void
a_key_type_is_an_attribute_with_its_curve_or_size(void **state)
{
	(void)state;
	expect_attrs(&(struct est_attrs_want){ .key = KEY_EC_P256 },
	    "3017301506072a8648ce3d0201310a06082a8648ce3d030107");
	expect_attrs(&(struct est_attrs_want){ .key = KEY_EC_P384, .sig_alg = OID_ECDSA_SHA384 },
	    "301e301206072a8648ce3d0201310706052b8104002206082a8648ce3d040303");
	expect_attrs(&(struct est_attrs_want){ .key = KEY_RSA_4096, .pop = true, .sig_alg = OID_RSA_SHA256 },
	    "302906092a864886f70d010907301106092a864886f70d01010131040202100006092a864886f70d01010b");
}

static void
a_key_type_without_parameters_is_the_bare_oid(void **state)
{
	(void)state;
	expect_attrs(&(struct est_attrs_want){ .key = KEY_ED25519 }, "300506032b6570");
}

static void
extensions_are_one_attribute_with_one_extensions_value(void **state)
{
	struct sans sans = { 0 };
	struct est_attrs_want w = { .client_auth = true, .san_hint = &sans };
	AUTO_BUF der = { 0 };
	struct est_attr a, more;
	struct der list, set, extensions;
	int n = 0;

	(void)state;
	assert_int_equal(sans_add_text(&sans, "dns:a.example", NULL), 0);
	est_attrs_build(&der, &w);
	assert_int_equal(est_attrs_open(&list, bytes_of_buf(&der), NULL), 0);
	assert_true(est_attrs_next(&list, &a));
	assert_false(est_attrs_next(&list, &more));
	assert_int_equal(oid_find(a.type), OID_EXTENSION_REQUEST);
	set = der_open(a.values);
	for (extensions = der_enter(&set, DER_SEQUENCE); der_more(&extensions); n++)
		(void)der_take(&extensions, DER_SEQUENCE);
	assert_false(extensions.bad || der_more(&set));
	assert_int_equal(n, 2);
}

static void
what_is_built_is_read_again(void **state)
{
	(void)state;
	for (int t = KEY_NONE; t < KEY_TYPE_COUNT; t++) {
		struct est_attrs_want w = { .key = (enum key_type)t, .pop = t % 2 == 0, .client_auth = true };
		struct est_attrs got;
		AUTO_BUF der = { 0 };
		AUTO_BUF text = { 0 };

		est_attrs_build(&der, &w);
		assert_int_equal(est_attrs_parse(&got, bytes_of_buf(&der), NULL), 0);
		assert_int_equal(got.key, t);
		assert_int_equal(got.pop, w.pop);
		assert_int_equal(est_attrs_text(&text, bytes_of_buf(&der), NULL), 0);
		assert_non_null(strstr(buf_str(&text), oid_name(OID_EXTENSION_REQUEST)));
	}
}

static void
expect_parse(const char *hex, int rc, enum key_type key)
{
	struct est_attrs got = { 0 };
	uint8_t der[256];
	size_t n = strlen(hex) / 2;

	assert_true(text_unhex(der, n, hex));
	assert_int_equal(est_attrs_parse(&got, (struct bytes){ der, n }, NULL), rc);
	assert_int_equal(got.key, key);
}

static void
what_is_not_known_is_passed_over(void **state)
{
	(void)state;
	expect_parse("3000", 0, KEY_NONE);
	expect_parse("300506032b6571", 0, KEY_NONE);                                   /* Ed448 */
	expect_parse("3011300f06072a8648ce3d0201310406022a03", 0, KEY_NONE);          /* EC with another curve */
	expect_parse("300d300b06072a8648ce3d02013100", 0, KEY_NONE);                   /* EC, empty SET: RFC 9908 3.2 */
	expect_parse("3013301106092a864886f70d010101310402020200", 0, KEY_NONE);       /* RSA of 512 bits */
}

static void
malformed_attributes_are_refused(void **state)
{
	(void)state;
	expect_parse("", E_FORMAT, KEY_NONE);
	expect_parse("3100", E_FORMAT, KEY_NONE);
	expect_parse("300100", E_FORMAT, KEY_NONE);
	expect_parse("3003020101", E_FORMAT, KEY_NONE);                               /* neither OID nor Attribute */
	expect_parse("3007300506032b6570", E_FORMAT, KEY_NONE);                       /* Attribute without values */
	expect_parse("300b300906032b657031000500", E_FORMAT, KEY_NONE);               /* and with too much */
	expect_parse("30000500", E_FORMAT, KEY_NONE);
}

/* The published examples, where they are at hand; one file is an old draft's and no CsrAttrs at all. */
static void
published_examples_are_read(void **state)
{
	const char *root = getenv("ESTUARY_SHARED_VECTORS");
	char dir_path[1024], path[2048];
	struct dirent *f;
	int n = 0;
	DIR *dir;

	(void)state;
	if (root == NULL)
		skip();
	(void)snprintf(dir_path, sizeof(dir_path), "%s/rfc9908", root);
	dir = opendir(dir_path);
	assert_non_null(dir);
	while ((f = readdir(dir)) != NULL) {
		AUTO_BUF der = { 0 };
		AUTO_BUF text = { 0 };
		struct est_attrs got;
		const char *dot = strrchr(f->d_name, '.');

		if (dot == NULL || strcmp(dot, ".der") != 0 || strncmp(f->d_name, "OLD", 3) == 0 ||
		    strcmp(f->d_name, "s3.4-template-only.der") == 0)
			continue;
		(void)snprintf(path, sizeof(path), "%s/%s", dir_path, f->d_name);
		assert_int_equal(file_read(&der, path, 65536, NULL), 0);
		assert_int_equal(est_attrs_parse(&got, bytes_of_buf(&der), NULL), 0);
		assert_int_equal(est_attrs_text(&text, bytes_of_buf(&der), NULL), 0);
		n++;
	}
	(void)closedir(dir);
	assert_true(n >= 8);
}

static void
a_published_example_is_what_we_write(void **state)
{
	static const struct {
		const char *file;
		struct est_attrs_want want;
	} rows[] = {
		{ "rfc9908/harkins01.csrattr.der", { .pop = true, .key = KEY_RSA_4096, .sig_alg = OID_RSA_SHA256 } },
		{ "rfc9908/empty-csrattrs.der", { 0 } },
	};
	const char *root = getenv("ESTUARY_SHARED_VECTORS");
	char path[2048];

	(void)state;
	if (root == NULL)
		skip();
	for (size_t i = 0; i < N_OF(rows); i++) {
		AUTO_BUF want = { 0 };
		AUTO_BUF got = { 0 };

		(void)snprintf(path, sizeof(path), "%s/%s", root, rows[i].file);
		assert_int_equal(file_read(&want, path, 65536, NULL), 0);
		est_attrs_build(&got, &rows[i].want);
		assert_true(bytes_equal(bytes_of_buf(&want), bytes_of_buf(&got)));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_wanted_is_an_empty_sequence),
		cmocka_unit_test(a_wanted_binding_is_the_bare_oid),
		cmocka_unit_test(a_key_type_is_an_attribute_with_its_curve_or_size),
		cmocka_unit_test(a_key_type_without_parameters_is_the_bare_oid),
		cmocka_unit_test(extensions_are_one_attribute_with_one_extensions_value),
		cmocka_unit_test(what_is_built_is_read_again),
		cmocka_unit_test(what_is_not_known_is_passed_over),
		cmocka_unit_test(malformed_attributes_are_refused),
		cmocka_unit_test(published_examples_are_read),
		cmocka_unit_test(a_published_example_is_what_we_write),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
