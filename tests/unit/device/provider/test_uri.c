/* SPDX-License-Identifier: Apache-2.0 */
/* test_uri.c - key names read, written, refused */
#include "device/provider/uri.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

#include "core/base/mem.h"
#include "core/codec/base64.h"
#include "device/provider/provider.h"

static void
assert_text(const char *got, const char *expected)
{
	if (expected == NULL)
		assert_null(got);
	else
		assert_string_equal(got, expected);
}

static void
names_are_read_with_their_escapes(void **state)
{
	static const struct {
		const char *text, *id, *handle, *socket;
	} rows[] = {
		{ "keyd:device-id", "device-id", NULL, NULL },
		{ "keyd:aziot-edged/module/x:1:server", "aziot-edged/module/x:1:server", NULL, NULL },
		{ "keyd:a%2Fb%3f%25", "a/b?%", NULL, NULL },
		{ "keyd:%C3%A4", "\xc3\xa4", NULL, NULL },
		{ "keyd:x?socket=/run/a%20b", "x", NULL, "/run/a b" },
		{ "keyd:?handle=sr%3Da%26sig%3Db%2B", NULL, "sr=a&sig=b+", NULL },
		{ "keyd:?handle=h&socket=/s", NULL, "h", "/s" },
		{ "keyd:?socket=/s&handle=h", NULL, "h", "/s" },
		{ "keyd:x?", "x", NULL, NULL },
	};

	(void)state;
	for (size_t i = 0; i < N_OF(rows); i++) {
		AUTO_URI u = { 0 };
		struct err e;

		assert_int_equal(uri_parse(&u, bytes_of(rows[i].text), &e), 0);
		assert_text(u.id, rows[i].id);
		assert_text(u.handle, rows[i].handle);
		assert_text(u.socket, rows[i].socket);
	}
}

static void
malformed_names_are_refused(void **state)
{
	static const char *const rows[] = {
		"", "keyd", "keyd:", "KEYD:x", "pkcs11:x", "keyd:?", "keyd:?socket=/s", "keyd:x?handle=h", "keyd:%", "keyd:%2",
		"keyd:%g0", "keyd:a%00b", "keyd:a%0Ab", "keyd:%ff", "keyd:x?socket", "keyd:x?socket=", "keyd:x?socket=rel",
		"keyd:x?socket=/a&socket=/b", "keyd:x?colour=red", "keyd:?handle=", "keyd:?handle=a&handle=b",
	};

	(void)state;
	for (size_t i = 0; i < N_OF(rows); i++) {
		struct uri u = { 0 };
		struct err e = { 0 };
		int r = uri_parse(&u, bytes_of(rows[i]), &e);

		if (r != E_FORMAT)
			fail_msg("'%s': %d", rows[i], r);
		assert_null(u.id);
		assert_memory_equal(e.msg, "keyd: URI", 9);
	}
}

static void
a_name_of_any_length_is_limited(void **state)
{
	AUTO_BUF text = { 0 };
	AUTO_URI u = { 0 };
	struct err e;

	(void)state;
	buf_put_str(&text, "keyd:");
	while (text.n < URI_MAX)
		buf_put_u8(&text, 'a');
	assert_int_equal(uri_parse(&u, bytes_of_buf(&text), &e), 0);
	uri_clear(&u);
	buf_put_u8(&text, 'a');
	assert_int_equal(uri_parse(&u, bytes_of_buf(&text), &e), E_TOOBIG);
}

static void
what_is_written_is_read_back(void **state)
{
	const struct uri rows[] = {
		{ .id = (char[]){ "a/b ?&=%\xc3\xa4" } },
		{ .id = (char[]){ "x" }, .socket = (char[]){ "/run/a b&c" } },
		{ .handle = (char[]){ "sr=a+/=&sig=b" } },
		{ .handle = (char[]){ "sr=a+/=&sig=b" }, .socket = (char[]){ "/s" } },
	};

	(void)state;
	for (size_t i = 0; i < N_OF(rows); i++) {
		AUTO_BUF text = { 0 };
		AUTO_URI u = { 0 };
		struct err e;

		uri_put(&text, &rows[i]);
		assert_int_equal(uri_parse(&u, bytes_of_buf(&text), &e), 0);
		assert_text(u.id, rows[i].id);
		assert_text(u.handle, rows[i].handle);
		assert_text(u.socket, rows[i].socket);
	}
}

static void
a_pem_file_holds_the_name_in_lines_of_64(void **state)
{
	AUTO_BUF file = { 0 };
	AUTO_BUF text = { 0 };
	const char *begin, *end;
	struct err e;

	(void)state;
	provider_key_file(&file, "device-id");
	assert_string_equal(buf_str(&file),
	    "-----BEGIN ESTUARY KEYD URI-----\na2V5ZDpkZXZpY2UtaWQ=\n-----END ESTUARY KEYD URI-----\n");
	buf_reset(&file);
	provider_key_file(&file, "an-id-that-is-so-long-that-its-base64-takes-more-than-one-line-of-a-file");
	begin = strchr(buf_str(&file), '\n') + 1;
	end = strstr(begin, "-----END");
	assert_int_equal(strcspn(begin, "\n"), 64);
	assert_int_equal(base64_decode(&text, (struct bytes){ (const uint8_t *)begin, (size_t)(end - begin) }, &e), 0);
	assert_string_equal(buf_str(&text),
	    "keyd:an-id-that-is-so-long-that-its-base64-takes-more-than-one-line-of-a-file");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_are_read_with_their_escapes),
		cmocka_unit_test(malformed_names_are_refused),
		cmocka_unit_test(a_name_of_any_length_is_limited),
		cmocka_unit_test(what_is_written_is_read_back),
		cmocka_unit_test(a_pem_file_holds_the_name_in_lines_of_64),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
