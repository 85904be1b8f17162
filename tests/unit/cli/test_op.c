/* SPDX-License-Identifier: Apache-2.0 */
/* cli/test_op.c - from a command line to a message, and from an answer to a result */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <unistd.h>

#include "cli/estuary.h"
#include "cli/op.h"
#include "core/base/file.h"
#include "tests/unit/core/cmd/capture.h"

/* The args that a command line makes, as compact JSON. */
static void
makes(const char *group, const char *name, const char *line, const char *wanted)
{
	struct capture x;
	struct words w;
	bool help;
	struct err e = { 0 };
	AUTO_JSON args = NULL;
	AUTO_BUF text = { 0 };

	capture_open(&x, &estuary_program);
	assert_int_equal(capture_parse(&x, &w, verb_find(&estuary_program, group, name), line, &help, &e), 0);
	assert_int_equal(op_args(&args, &x.c, &e), 0);
	json_print(&text, args, false);
	assert_string_equal(buf_str(&text), wanted);
	capture_close(&x);
}

static void
options_become_members_of_their_type(void **state)
{
	(void)state;
	makes("ca", "create", "create issuing --parent root --pathlen 1 --crl no",
	    "{\"name\":\"issuing\",\"parent\":\"root\",\"pathlen\":1,\"crl\":false,\"kind\":\"subordinate\"}");
	makes("ca", "create", "create root", "{\"name\":\"root\",\"kind\":\"root\"}");
	makes("label", "set", "set ldevid --accept own,code --default yes --secret-header X-S --wrap 0",
	    "{\"name\":\"ldevid\",\"default\":true,\"accept\":[\"own\",\"code\"],\"secret_header\":\"X-S\",\"wrap\":0}");
	makes("device", "list", "list --name pump --state active", "{\"state\":\"active\",\"q\":\"pump\"}");
	makes("audit", "why", "why r1", "{\"request_id\":\"r1\"}");
	makes("audit", "show", "show 12", "{\"id\":12}");
	makes("credential", "add", "add code --scope new --uses 1 --expires 7d --dir /nowhere --json",
	    "{\"kind\":\"code\",\"scope\":\"new\",\"expires\":\"7d\",\"uses\":1}");
}

/* A file with this content; its path to out. */
static void
temporary(char out[64], const void *content, size_t n)
{
	struct err e;
	int fd;

	(void)snprintf(out, 64, "/tmp/test-op-XXXXXX");
	fd = mkstemp(out);
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(file_write(out, (struct bytes){ content, n }, 0600, &e), 0);
}

static void
files_go_as_text_and_octets_as_base64(void **state)
{
	char path[64], line[128];

	(void)state;
	temporary(path, "-----BEGIN X-----\n", 18);
	(void)snprintf(line, sizeof(line), "request --profile p --csr %s", path);
	makes("cert", "request", line, "{\"csr\":\"-----BEGIN X-----\\n\",\"profile\":\"p\"}");
	unlink(path);
	temporary(path, "\x30\x00\xff\xfe", 4);
	(void)snprintf(line, sizeof(line), "request --profile p --csr %s", path);
	makes("cert", "request", line, "{\"csr\":\"MAD//g==\",\"profile\":\"p\"}");
	unlink(path);
}

static void
the_line_end_of_a_secret_file_is_not_part_of_the_secret(void **state)
{
	char path[64], line[128];

	(void)state;
	temporary(path, "hunter2\n", 8);
	(void)snprintf(line, sizeof(line), "add password --user pump --scope any --secret-file %s", path);
	makes("credential", "add", line,
	    "{\"kind\":\"password\",\"user\":\"pump\",\"scope\":\"any\",\"secret\":\"hunter2\"}");
	unlink(path);
}

/* Open the server that a command line means. */
static int
opened(struct op_server *s, const char *line, struct err *e)
{
	struct capture x;
	struct words w;
	bool help;
	int r;

	capture_open(&x, &estuary_program);
	assert_int_equal(capture_parse(&x, &w, verb_find(&estuary_program, "server", "status"), line, &help, e), 0);
	r = op_server_open(s, &x.c, e);
	capture_close(&x);
	return r;
}

static void
the_server_is_found_by_directory_environment_or_socket(void **state)
{
	struct op_server s;
	struct err e;

	(void)state;
	assert_int_equal(opened(&s, "status --dir /a", &e), 0);
	assert_string_equal(s.socket, "/a/run/operator.sock");
	assert_int_equal(opened(&s, "status --socket /b.sock", &e), 0);
	assert_string_equal(s.socket, "/b.sock");
	assert_int_equal(setenv("ESTUARY_DIR", "/c", 1), 0);
	assert_int_equal(opened(&s, "status", &e), 0);
	assert_string_equal(s.socket, "/c/run/operator.sock");
	assert_int_equal(opened(&s, "status --dir /a", &e), 0);
	assert_string_equal(s.socket, "/a/run/operator.sock");
	unsetenv("ESTUARY_DIR");
}

static void
a_server_elsewhere_needs_https_and_a_token(void **state)
{
	struct op_server s;
	struct err e;
	char path[64], line[160];

	(void)state;
	assert_int_equal(opened(&s, "status --url https://h:9443", &e), E_USAGE);
	op_server_clear(&s);
	assert_int_equal(opened(&s, "status --token-file x", &e), E_USAGE);
	temporary(path, "t0ken\n", 6);
	(void)snprintf(line, sizeof(line), "status --url http://h:9443 --token-file %s", path);
	assert_int_equal(opened(&s, line, &e), E_USAGE);
	(void)snprintf(line, sizeof(line), "status --url https://h:9443 --dir d --token-file %s", path);
	assert_int_equal(opened(&s, line, &e), E_USAGE);
	(void)snprintf(line, sizeof(line), "status --url https://h:9443/ --token-file %s", path);
	assert_int_equal(opened(&s, line, &e), 0);
	assert_string_equal(s.url, "https://h:9443/operator");
	assert_string_equal(s.socket, "");
	assert_true(bytes_equal_str(bytes_of_buf(&s.token), "t0ken"));
	op_server_clear(&s);
	unlink(path);
	temporary(path, "t0ken\r\nX-Evil: 1\n", 17);
	(void)snprintf(line, sizeof(line), "status --url https://h:9443 --token-file %s", path);
	assert_int_equal(opened(&s, line, &e), E_FORMAT);
	op_server_clear(&s);
	unlink(path);
}

static void
an_answer_is_a_result_or_an_error_of_its_own_code(void **state)
{
	AUTO_JSON result = NULL;
	char hint[OP_HINT_MAX];
	struct err e;

	(void)state;
	assert_int_equal(op_answer(&result, bytes_of("{\"ok\":true,\"result\":{\"number\":7}}"), 200, hint, &e), 0);
	assert_int_equal(json_int(result, "number", 0), 7);
	assert_int_equal(op_answer(&result, bytes_of("{\"ok\":false,\"error\":{\"code\":\"not-found\","
	    "\"message\":\"ca 'x': no such CA\",\"hint\":\"estuary ca list\"}}"), 404, hint, &e), E_NOTFOUND);
	assert_string_equal(e.msg, "ca 'x': no such CA");
	assert_string_equal(hint, "estuary ca list");
	assert_int_equal(op_answer(&result, bytes_of("{\"ok\":false,\"error\":{\"code\":\"exists\",\"message\":\"m\"}}"),
	    409, hint, &e), E_EXISTS);
	assert_string_equal(hint, "");
	assert_int_equal(op_answer(&result, bytes_of("{\"ok\":false,\"error\":{\"code\":\"of-the-future\"}}"), 500, hint, &e), E_IO);
}

static void
an_answer_that_is_no_message_is_refused(void **state)
{
	static const char *const wrong[] = {
		"", "<html>", "[]", "{\"ok\":true}", "{\"ok\":false}", "{\"ok\":false,\"error\":\"x\"}", "{\"result\":{}}",
	};

	(void)state;
	for (size_t i = 0; i < N_OF(wrong); i++) {
		AUTO_JSON result = NULL;
		char hint[OP_HINT_MAX];
		struct err e;

		assert_int_equal(op_answer(&result, bytes_of(wrong[i]), 502, hint, &e), E_FORMAT);
		assert_non_null(strstr(e.msg, "502"));
		assert_null(result);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(options_become_members_of_their_type),
		cmocka_unit_test(files_go_as_text_and_octets_as_base64),
		cmocka_unit_test(the_line_end_of_a_secret_file_is_not_part_of_the_secret),
		cmocka_unit_test(the_server_is_found_by_directory_environment_or_socket),
		cmocka_unit_test(a_server_elsewhere_needs_https_and_a_token),
		cmocka_unit_test(an_answer_is_a_result_or_an_error_of_its_own_code),
		cmocka_unit_test(an_answer_that_is_no_message_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
