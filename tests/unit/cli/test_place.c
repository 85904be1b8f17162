/* SPDX-License-Identifier: Apache-2.0 */
/* cli/test_place.c - the directory, names and configuration of a quickstart */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <sys/stat.h>
#include <unistd.h>

#include "cli/estuary.h"
#include "cli/place.h"
#include "core/base/file.h"
#include "core/codec/toml.h"
#include "core/sys/peer.h"
#include "tests/unit/core/cmd/capture.h"

struct scratch {
	char dir[64];
};

static int
make_scratch(void **state)
{
	static struct scratch s;

	(void)snprintf(s.dir, sizeof(s.dir), "/tmp/test-place-XXXXXX");
	assert_non_null(mkdtemp(s.dir));
	*state = &s;
	return 0;
}

static int
drop_scratch(void **state)
{
	static const char *const leaves[] = { "estuaryd.toml", "quickstart.json", "thesis.txt", "new", "" };
	struct scratch *s = *state;
	char path[128];

	for (size_t i = 0; i < N_OF(leaves); i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", s->dir, leaves[i]);
		(void)remove(path);
	}
	return 0;
}

static void
quickstart_line(struct capture *x, struct words *w, const char *line)
{
	bool help;
	struct err e;

	capture_open(x, &estuary_program);
	assert_int_equal(capture_parse(x, w, verb_find(&estuary_program, NULL, "quickstart"), line, &help, &e), 0);
}

static void
a_new_directory_is_ours_alone(void **state)
{
	struct scratch *s = *state;
	char path[128], out[PLACE_PATH_MAX];
	struct stat st;
	struct err e;

	(void)snprintf(path, sizeof(path), "%s/new", s->dir);
	assert_int_equal(place_open(out, path, &e), 0);
	assert_string_equal(out, path);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	assert_int_equal(place_open(out, path, &e), 0);
}

static void
a_directory_with_other_things_in_it_is_left_alone(void **state)
{
	struct scratch *s = *state;
	char path[128], out[PLACE_PATH_MAX];
	struct stat st;
	struct err e;

	assert_int_equal(chmod(s->dir, 0755), 0);
	(void)snprintf(path, sizeof(path), "%s/thesis.txt", s->dir);
	assert_int_equal(file_write(path, bytes_of("x"), 0644, &e), 0);
	assert_int_equal(place_open(out, s->dir, &e), E_EXISTS);
	assert_int_equal(stat(s->dir, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0755);
}

static void
names_are_kept_and_new_ones_are_added(void **state)
{
	struct capture x;
	struct words w;
	struct sans sans = { 0 };
	struct err e;
	AUTO_JSON doc = NULL;
	AUTO_BUF text = { 0 };

	(void)state;
	assert_int_equal(json_parse(&doc, bytes_of("{\"names\":[\"a.example\"]}"), &e), 0);
	quickstart_line(&x, &w, "quickstart --name a.example,b.example --address 192.0.2.7");
	assert_int_equal(place_names(doc, &sans, &x.c, mode_find(""), &e), 0);
	json_print(&text, doc, false);
	assert_string_equal(buf_str(&text), "{\"names\":[\"a.example\",\"b.example\"],\"addresses\":[\"192.0.2.7\"]}");
	assert_int_equal(sans.n, 6); /* and localhost, 127.0.0.1, ::1 */
	capture_close(&x);
}

static void
without_a_name_there_is_one_all_the_same(void **state)
{
	struct capture x;
	struct words w;
	struct sans sans = { 0 };
	struct err e;
	AUTO_JSON doc = json_object();

	(void)state;
	quickstart_line(&x, &w, "quickstart");
	assert_int_equal(place_names(doc, &sans, &x.c, mode_find(""), &e), 0);
	assert_int_equal(json_array_size(json_object_get(doc, "names")), 1);
	assert_true(sans.n >= 3);
	capture_close(&x);
}

static void
what_is_no_name_or_address_is_refused(void **state)
{
	static const char *const wrong[] = {
		"quickstart --name a_b!", "quickstart --name a..b", "quickstart --address 192.0.2.999", "quickstart --address host.example",
		"quickstart --name *.example.com",
	};

	(void)state;
	for (size_t i = 0; i < N_OF(wrong); i++) {
		struct capture x;
		struct words w;
		struct sans sans = { 0 };
		struct err e;
		AUTO_JSON doc = json_object();

		quickstart_line(&x, &w, wrong[i]);
		assert_int_not_equal(place_names(doc, &sans, &x.c, mode_find(""), &e), 0);
		capture_close(&x);
	}
}

/* An integer of the configuration that was written. */
static int64_t
port_of(const struct toml *doc, const char *table)
{
	return toml_integer(toml_get(toml_get(doc, table), "port"));
}

/* The configuration as this line makes it. */
static void
make_config(struct capture *x, const char *dir, const char *line)
{
	struct place_ports ports;
	struct words w;
	struct err e;

	quickstart_line(x, &w, line);
	assert_int_equal(place_ports(&ports, &x->c, dir, mode_find(cli_text_or(&x->c, "compat", "")), &e), 0);
	assert_int_equal(place_config(&x->c, dir, "a.example", mode_find(cli_text_or(&x->c, "compat", "")), &ports, &e), 0);
}

static void
the_configuration_has_the_ports_that_were_asked_for_or_free_ones(void **state)
{
	struct scratch *s = *state;
	struct capture x;
	struct err e;
	char path[128];
	AUTO_BUF text = { 0 };
	AUTO_BUF again = { 0 };
	AUTO(toml) doc = NULL;

	make_config(&x, s->dir, "quickstart --device-port 0 --operator-port 0 --public-port 0");
	(void)snprintf(path, sizeof(path), "%s/estuaryd.toml", s->dir);
	assert_int_equal(file_read(&text, path, 10000, &e), 0);
	assert_int_equal(toml_parse(&doc, path, bytes_of_buf(&text), &e), 0);
	assert_string_equal(toml_string(toml_get(toml_get(doc, "server"), "dir")), s->dir);
	assert_string_equal(toml_string(toml_get(toml_get(doc, "server"), "name")), "a.example");
	assert_true(port_of(doc, "device") > 0);
	assert_true(port_of(doc, "operator") > 0);
	assert_true(port_of(doc, "device") != port_of(doc, "operator"));
	capture_close(&x);
	/* Asked again for free ones, it keeps those that it has. */
	make_config(&x, s->dir, "quickstart --device-port 0 --public-port 0");
	assert_string_equal(capture_out(&x), "");
	capture_close(&x);
	make_config(&x, s->dir, "quickstart");
	capture_close(&x);
	assert_int_equal(file_read(&again, path, 10000, &e), 0);
	assert_string_equal(buf_str(&again), buf_str(&text));
}

/* A socket that listens where nobody else does. */
static int
busy_port(uint16_t *port)
{
	int fd = -1;

	assert_int_equal(peer_listen_tcp(&fd, "*", 0, false, port, NULL), 0);
	return fd;
}

static void
a_port_that_somebody_has_is_refused_before_anything_is_written(void **state)
{
	struct scratch *s = *state;
	struct place_ports ports;
	struct capture x;
	struct words w;
	struct err e;
	char line[128], path[128], wanted[64];
	uint16_t port;
	int fd = busy_port(&port);

	(void)snprintf(line, sizeof(line), "quickstart --operator-port 0 --public-port 0 --device-port %u", port);
	quickstart_line(&x, &w, line);
	assert_int_equal(place_ports(&ports, &x.c, s->dir, mode_find(""), &e), E_IO);
	(void)snprintf(wanted, sizeof(wanted), "device listener: port %u: Address already in use", port);
	assert_string_equal(e.msg, wanted);
	(void)snprintf(path, sizeof(path), "%s/estuaryd.toml", s->dir);
	assert_int_not_equal(access(path, F_OK), 0);
	capture_close(&x);
	(void)close(fd);
}

static void
ports_that_are_given_later_change_the_file_and_nothing_else_in_it(void **state)
{
	static const char before[] = "# mine \xc3\xa4\n[server]\nname = \"a.example\"\n\n[device]\nport = %u # busy\n\n[operator]\nport = 9443\n"
	    "[public]\nport=8080";
	struct scratch *s = *state;
	struct capture x;
	struct err e;
	char path[128], text[300], line[128];
	uint16_t busy, free_one;
	int fd = busy_port(&busy), other = busy_port(&free_one);
	AUTO_BUF now = { 0 };
	AUTO(toml) doc = NULL;

	(void)close(other);
	(void)snprintf(path, sizeof(path), "%s/estuaryd.toml", s->dir);
	(void)snprintf(text, sizeof(text), before, busy);
	assert_int_equal(file_write(path, bytes_of(text), 0600, &e), 0);
	(void)snprintf(line, sizeof(line), "quickstart --device-port 0 --public-port %u", free_one);
	make_config(&x, s->dir, line);
	assert_non_null(strstr(capture_out(&x), "estuaryd.toml: device.port is "));
	assert_non_null(strstr(capture_out(&x), ", and was 8080\n"));
	assert_int_equal(file_read(&now, path, 10000, &e), 0);
	assert_int_equal(toml_parse(&doc, path, bytes_of_buf(&now), &e), 0);
	assert_int_equal(port_of(doc, "public"), free_one);
	(void)snprintf(text, sizeof(text), before, (unsigned)port_of(doc, "device"));
	(void)snprintf(strstr(text, "8080"), 8, "%u", free_one);
	assert_string_equal(buf_str(&now), text);
	assert_int_not_equal(port_of(doc, "device"), busy);
	capture_close(&x);
	(void)close(fd);
}

static void
a_file_without_the_port_is_not_guessed_at(void **state)
{
	static const char *const texts[] = { "[server]\nname = \"a.example\"\n", "[device]\nhost = \"*\"\n" };
	struct scratch *s = *state;
	struct place_ports ports;
	struct capture x;
	struct words w;
	struct err e;
	char path[128];

	(void)snprintf(path, sizeof(path), "%s/estuaryd.toml", s->dir);
	for (size_t i = 0; i < N_OF(texts); i++) {
		assert_int_equal(file_write(path, bytes_of(texts[i]), 0600, &e), 0);
		quickstart_line(&x, &w, "quickstart --device-port 0");
		assert_int_equal(place_ports(&ports, &x.c, s->dir, mode_find(""), &e), E_NOTFOUND);
		assert_non_null(strstr(e.msg, "estuaryd.toml: key 'device.port' is not there, so --device-port cannot change it"));
		capture_close(&x);
	}
}

static void
a_port_that_is_none_is_refused(void **state)
{
	struct scratch *s = *state;
	struct place_ports ports;
	struct capture x;
	struct words w;
	struct err e;

	quickstart_line(&x, &w, "quickstart --device-port 65536");
	assert_int_equal(place_ports(&ports, &x.c, s->dir, mode_find(""), &e), E_USAGE);
	capture_close(&x);
}

/* The host of the devices' listener in a configuration made by this line; "" when none is said. */
static void
device_host(const char *dir, const char *line, char out[64])
{
	struct capture x;
	struct err e;
	char path[128];
	AUTO_BUF text = { 0 };
	AUTO(toml) doc = NULL;
	const struct toml *host;

	(void)snprintf(path, sizeof(path), "%s/estuaryd.toml", dir);
	(void)remove(path);
	make_config(&x, dir, line);
	assert_int_equal(file_read(&text, path, 10000, &e), 0);
	assert_int_equal(toml_parse(&doc, path, bytes_of_buf(&text), &e), 0);
	host = toml_get(toml_get(doc, "device"), "host");
	(void)snprintf(out, 64, "%s", host != NULL ? toml_string(host) : "");
	capture_close(&x);
}

#define FREE " --device-port 0 --operator-port 0 --public-port 0"

static void
the_test_server_is_this_machines_alone_unless_a_name_is_given(void **state)
{
	struct scratch *s = *state;
	char host[64];

	device_host(s->dir, "quickstart --compat libest" FREE, host);
	assert_string_equal(host, "127.0.0.1");
	device_host(s->dir, "quickstart --compat libest --name est.example" FREE, host);
	assert_string_equal(host, "");
	device_host(s->dir, "quickstart --compat libest --address 192.0.2.1" FREE, host);
	assert_string_equal(host, "");
}

static void
the_test_server_is_localhost_unless_a_name_is_given(void **state)
{
	struct capture x;
	struct words w;
	struct sans sans = { 0 };
	struct err e;
	AUTO_JSON doc = json_object();
	AUTO_BUF text = { 0 };

	(void)state;
	quickstart_line(&x, &w, "quickstart --compat libest");
	assert_int_equal(place_names(doc, &sans, &x.c, mode_find("libest"), &e), 0);
	json_print(&text, doc, false);
	assert_string_equal(buf_str(&text), "{\"names\":[\"localhost\"],\"addresses\":[]}");
	capture_close(&x);
}

static void
a_mode_that_nobody_knows_is_none(void **state)
{
	(void)state;
	assert_null(mode_find("libes"));
	assert_string_equal(mode_find("libest")->compat, "libest");
	assert_int_equal(mode_find("libest")->device_port, 8085);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_new_directory_is_ours_alone, make_scratch, drop_scratch),
		cmocka_unit_test_setup_teardown(a_directory_with_other_things_in_it_is_left_alone, make_scratch, drop_scratch),
		cmocka_unit_test(names_are_kept_and_new_ones_are_added),
		cmocka_unit_test(without_a_name_there_is_one_all_the_same),
		cmocka_unit_test(what_is_no_name_or_address_is_refused),
		cmocka_unit_test_setup_teardown(the_configuration_has_the_ports_that_were_asked_for_or_free_ones, make_scratch, drop_scratch),
		cmocka_unit_test_setup_teardown(the_test_server_is_this_machines_alone_unless_a_name_is_given, make_scratch, drop_scratch),
		cmocka_unit_test(the_test_server_is_localhost_unless_a_name_is_given),
		cmocka_unit_test(a_mode_that_nobody_knows_is_none),
		cmocka_unit_test_setup_teardown(a_port_that_somebody_has_is_refused_before_anything_is_written, make_scratch, drop_scratch),
		cmocka_unit_test_setup_teardown(ports_that_are_given_later_change_the_file_and_nothing_else_in_it, make_scratch, drop_scratch),
		cmocka_unit_test_setup_teardown(a_file_without_the_port_is_not_guessed_at, make_scratch, drop_scratch),
		cmocka_unit_test_setup_teardown(a_port_that_is_none_is_refused, make_scratch, drop_scratch),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
