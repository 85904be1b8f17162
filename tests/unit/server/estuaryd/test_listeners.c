/* SPDX-License-Identifier: Apache-2.0 */
/* test_listeners.c - sockets that outlive the roles and a change of the configuration */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/estuaryd/listeners.h"

static char dir[64];
static const struct state_owner nobody_else;

static int
make_dir(void **state)
{
	(void)state;
	(void)snprintf(dir, sizeof(dir), "/tmp/estuary-listen-XXXXXX");
	return mkdtemp(dir) == NULL ? -1 : 0;
}

static int
remove_dir(void **state)
{
	char path[100];

	(void)state;
	(void)snprintf(path, sizeof(path), "%s/sock", dir);
	(void)unlink(path);
	(void)snprintf(path, sizeof(path), "%s/sock2", dir);
	(void)unlink(path);
	return rmdir(dir);
}

static struct settings
on_loopback(void)
{
	struct settings s;

	settings_default(&s);
	s.fronts = 2;
	s.public_url[0] = 0;
	(void)snprintf(s.name, sizeof(s.name), "est.example");
	(void)snprintf(s.device_host, sizeof(s.device_host), "127.0.0.1");
	(void)snprintf(s.operator_host, sizeof(s.operator_host), "127.0.0.1");
	(void)snprintf(s.public_host, sizeof(s.public_host), "127.0.0.1");
	(void)snprintf(s.local_socket, sizeof(s.local_socket), "%s/sock", dir);
	s.device_port = s.operator_port = s.public_port = 0;
	return s;
}

static struct listeners
open_good(const struct listeners *old, const struct settings *s)
{
	struct listeners l = LISTENERS_NONE;
	struct err e = { 0 };

	if (listeners_open(&l, old, s, &nobody_else, &e) != 0)
		fail_msg("%s", e.msg);
	return l;
}

static uint16_t
port_of(int fd)
{
	struct sockaddr_in a = { 0 };
	socklen_t n = sizeof(a);

	assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &n), 0);
	return ntohs(a.sin_port);
}

static int
connect_to(uint16_t port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	return fd;
}

static void
each_front_has_sockets_of_its_own_on_the_same_port(void **state)
{
	struct listeners none = LISTENERS_NONE, l;
	struct settings s = on_loopback();
	struct stat st;

	(void)state;
	l = open_good(&none, &s);
	assert_int_not_equal(l.device_port, 0);
	assert_int_not_equal(l.device[0], l.device[1]);
	assert_int_equal(port_of(l.device[0]), l.device_port);
	assert_int_equal(port_of(l.device[1]), l.device_port);
	assert_int_equal(port_of(l.public[1]), l.public_port);
	assert_int_equal(port_of(l.operator), l.operator_port);
	assert_int_equal(stat(s.local_socket, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	listeners_close(&l);
}

static void
what_waits_in_a_queue_survives_a_reload(void **state)
{
	struct listeners none = LISTENERS_NONE, old, l;
	struct settings s = on_loopback();
	int client, served;

	(void)state;
	old = open_good(&none, &s);
	client = connect_to(old.operator_port);
	l = open_good(&old, &s);
	assert_int_equal(l.operator_port, old.operator_port);
	assert_int_equal(l.device_port, old.device_port);
	listeners_close(&old);
	served = accept(l.operator, NULL, NULL);
	assert_true(served >= 0);
	(void)close(served);
	(void)close(client);
	listeners_close(&l);
}

static void
only_what_changed_is_bound_anew(void **state)
{
	struct listeners none = LISTENERS_NONE, old, l;
	struct settings s = on_loopback();

	(void)state;
	old = open_good(&none, &s);
	(void)snprintf(s.operator_host, sizeof(s.operator_host), "127.0.0.2");
	(void)snprintf(s.local_socket, sizeof(s.local_socket), "%s/sock2", dir);
	l = open_good(&old, &s);
	assert_int_equal(l.device_port, old.device_port);
	assert_int_equal(access(s.local_socket, F_OK), 0);
	assert_int_equal(port_of(old.operator), old.operator_port);
	assert_int_equal(port_of(l.operator), l.operator_port);
	listeners_close(&old);
	listeners_close(&l);
}

static void
a_port_that_somebody_has_is_an_error_and_the_old_sockets_stay(void **state)
{
	struct listeners none = LISTENERS_NONE, old, l = LISTENERS_NONE;
	struct settings s = on_loopback();
	struct err e = { 0 };

	(void)state;
	old = open_good(&none, &s);
	s.public_port = old.device_port; /* ours, but another listener's */
	assert_int_not_equal(listeners_open(&l, &old, &s, &nobody_else, &e), 0);
	assert_memory_equal(e.msg, "public listener: ", 17);
	assert_int_equal(port_of(old.public[0]), old.public_port);
	assert_int_equal(l.local, -1);
	listeners_close(&old);
}

static void
the_roles_get_the_ports_as_bound_and_a_url_with_them(void **state)
{
	struct listeners l = LISTENERS_NONE;
	struct settings s = on_loopback();

	(void)state;
	l.device_port = 1001;
	l.operator_port = 1002;
	l.public_port = 1003;
	listeners_settle(&l, &s);
	assert_int_equal(s.device_port, 1001);
	assert_int_equal(s.operator_port, 1002);
	assert_string_equal(s.public_url, "http://est.example:1003");

	(void)snprintf(s.public_url, sizeof(s.public_url), "http://crl.example");
	listeners_settle(&l, &s);
	assert_string_equal(s.public_url, "http://crl.example");

	s.public_url[0] = 0;
	(void)snprintf(s.name, sizeof(s.name), "2001:db8::1");
	listeners_settle(&l, &s);
	assert_string_equal(s.public_url, "http://[2001:db8::1]:1003");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_front_has_sockets_of_its_own_on_the_same_port),
		cmocka_unit_test(what_waits_in_a_queue_survives_a_reload),
		cmocka_unit_test(only_what_changed_is_bound_anew),
		cmocka_unit_test(a_port_that_somebody_has_is_an_error_and_the_old_sockets_stay),
		cmocka_unit_test(the_roles_get_the_ports_as_bound_and_a_url_with_them),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
