/* SPDX-License-Identifier: Apache-2.0 */
/* sys/test_peer.c - listening sockets and who is at the other end */
#include "core/sys/peer.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <cmocka.h>

#include "core/base/file.h"

static int
connect_v4(uint16_t port)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(connect(fd, (const struct sockaddr *)&in, sizeof(in)), 0);
	return fd;
}

static void
every_address_is_listened_on_and_ipv4_shows_as_itself(void **state)
{
	AUTO_FD fd = -1;
	AUTO_FD client = -1;
	AUTO_FD server = -1;
	char text[PEER_TEXT_MAX];
	uint16_t port = 0;

	(void)state;
	assert_int_equal(peer_listen_tcp(&fd, "*", 0, false, &port, NULL), 0);
	assert_int_not_equal(port, 0);
	assert_int_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	assert_int_equal(fcntl(fd, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
	client = connect_v4(port);
	server = accept(fd, NULL, NULL);
	assert_true(server >= 0);
	peer_address(server, text);
	assert_string_equal(text, "127.0.0.1");
}

static void
one_host_is_listened_on_alone(void **state)
{
	AUTO_FD fd = -1;
	struct sockaddr_in in = { 0 };
	socklen_t n = sizeof(in);
	uint16_t port;

	(void)state;
	assert_int_equal(peer_listen_tcp(&fd, "127.0.0.1", 0, false, &port, NULL), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&in, &n), 0);
	assert_int_equal(in.sin_family, AF_INET);
	assert_int_equal(ntohl(in.sin_addr.s_addr), INADDR_LOOPBACK);
	assert_int_equal(ntohs(in.sin_port), port);
}

static void
a_shared_port_has_a_queue_for_each_and_others_are_refused(void **state)
{
	AUTO_FD one = -1;
	AUTO_FD two = -1;
	int none = -1;
	struct err e = { 0 };
	uint16_t port, again = 0;

	(void)state;
	assert_int_equal(peer_listen_tcp(&one, "127.0.0.1", 0, true, &port, NULL), 0);
	assert_int_equal(peer_listen_tcp(&two, "127.0.0.1", port, true, &again, NULL), 0);
	assert_int_equal(again, port);
	assert_int_equal(peer_listen_tcp(&none, "127.0.0.1", port, false, &again, &e), E_IO);
	assert_int_equal(none, -1);
	assert_non_null(strstr(e.msg, "in use"));
}

static void
a_host_that_is_none_is_an_error(void **state)
{
	uint16_t port;
	int fd = -1;

	(void)state;
	assert_int_equal(peer_listen_tcp(&fd, "a..b", 0, false, &port, NULL), E_IO);
}

static void
a_unix_socket_has_the_exact_mode_and_replaces_its_predecessor(void **state)
{
	AUTO_FD fd = -1;
	AUTO_FD again = -1;
	AUTO_FD client = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	AUTO_FD server = -1;
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	char dir[] = "/tmp/peer-XXXXXX", text[PEER_TEXT_MAX];
	struct stat st;
	uid_t uid = 12345;
	mode_t old = umask(0);

	(void)state;
	assert_non_null(mkdtemp(dir));
	(void)snprintf(un.sun_path, sizeof(un.sun_path), "%s/s", dir);
	assert_int_equal(peer_listen_unix(&fd, un.sun_path, 0600, NULL), 0);
	assert_int_equal(stat(un.sun_path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	(void)umask(077);
	assert_int_equal(peer_listen_unix(&again, un.sun_path, 0660, NULL), 0);
	assert_int_equal(stat(un.sun_path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0660);
	assert_int_equal(umask(old), 077);
	assert_int_equal(connect(client, (const struct sockaddr *)&un, sizeof(un)), 0);
	server = accept(again, NULL, NULL);
	assert_int_equal(peer_uid(server, &uid, NULL), 0);
	assert_int_equal(uid, geteuid());
	assert_int_equal(peer_pid(server), getpid());
	assert_true(peer_is_unix_listener(again));
	assert_false(peer_is_unix_listener(server));
	peer_address(server, text);
	assert_string_equal(text, "unix");
	(void)unlink(un.sun_path);
	(void)rmdir(dir);
}

static void
a_file_that_is_no_socket_is_not_replaced(void **state)
{
	char dir[] = "/tmp/peer-XXXXXX", path[64];
	int fd = -1;

	(void)state;
	assert_non_null(mkdtemp(dir));
	(void)snprintf(path, sizeof(path), "%s/f", dir);
	assert_int_equal(file_write(path, bytes_of("precious"), 0600, NULL), 0);
	assert_int_equal(peer_listen_unix(&fd, path, 0600, NULL), E_EXISTS);
	assert_int_equal(access(path, F_OK), 0);
	(void)unlink(path);
	(void)rmdir(dir);
}

static void
a_link_or_a_directory_is_not_replaced_either(void **state)
{
	char dir[] = "/tmp/peer-XXXXXX", path[64], target[64];
	struct stat st;
	int fd = -1;

	(void)state;
	assert_non_null(mkdtemp(dir));
	(void)snprintf(path, sizeof(path), "%s/l", dir);
	(void)snprintf(target, sizeof(target), "%s/s", dir);
	assert_int_equal(peer_listen_unix(&fd, target, 0600, NULL), 0);
	(void)close(fd);
	assert_int_equal(symlink(target, path), 0); /* to a socket, even */
	assert_int_equal(peer_listen_unix(&fd, path, 0600, NULL), E_EXISTS);
	assert_int_equal(lstat(target, &st), 0);
	(void)unlink(path);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(peer_listen_unix(&fd, path, 0600, NULL), E_EXISTS);
	assert_int_equal(rmdir(path), 0);
	(void)unlink(target);
	(void)rmdir(dir);
}

static void
a_path_too_long_for_a_socket_is_an_error(void **state)
{
	char path[200];
	int fd = -1;

	(void)state;
	memset(path, 'a', sizeof(path) - 1);
	path[0] = '/';
	path[sizeof(path) - 1] = 0;
	assert_int_equal(peer_listen_unix(&fd, path, 0600, NULL), E_IO);
}

static void
what_has_no_peer_has_no_uid_and_no_address(void **state)
{
	AUTO_FD fd = -1;
	char text[PEER_TEXT_MAX];
	uint16_t port;
	uid_t uid;

	(void)state;
	assert_int_equal(peer_listen_tcp(&fd, "127.0.0.1", 0, false, &port, NULL), 0);
	assert_int_equal(peer_uid(fd, &uid, NULL), E_IO);
	peer_address(fd, text);
	assert_string_equal(text, "?");
	peer_address(-1, text);
	assert_string_equal(text, "?");
}

static void
the_limit_of_descriptors_is_raised(void **state)
{
	struct rlimit lim;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &lim), 0);
	assert_true(peer_raise_nofile() == lim.rlim_max);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &lim), 0);
	assert_true(lim.rlim_cur == lim.rlim_max);
}

static void
a_notification_without_a_manager_is_nothing(void **state)
{
	(void)state;
	(void)unsetenv("NOTIFY_SOCKET");
	peer_notify("READY=1");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_address_is_listened_on_and_ipv4_shows_as_itself),
		cmocka_unit_test(one_host_is_listened_on_alone),
		cmocka_unit_test(a_shared_port_has_a_queue_for_each_and_others_are_refused),
		cmocka_unit_test(a_host_that_is_none_is_an_error),
		cmocka_unit_test(a_unix_socket_has_the_exact_mode_and_replaces_its_predecessor),
		cmocka_unit_test(a_file_that_is_no_socket_is_not_replaced),
		cmocka_unit_test(a_link_or_a_directory_is_not_replaced_either),
		cmocka_unit_test(a_path_too_long_for_a_socket_is_an_error),
		cmocka_unit_test(what_has_no_peer_has_no_uid_and_no_address),
		cmocka_unit_test(the_limit_of_descriptors_is_raised),
		cmocka_unit_test(a_notification_without_a_manager_is_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
