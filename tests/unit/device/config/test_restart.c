/* SPDX-License-Identifier: Apache-2.0 */
/* device/config/test_restart.c - which units are stopped and started, in which order, and what a failure means */
#include "device/config/restart.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

/* A machine: what it has, what runs, what fails; and what was asked of it. */
struct machine {
	const char *units, *active, *enabled, *broken;
	struct buf acts;
};

/* systemctl show --property=ActiveState --value UNIT */
static int
say_state(struct buf *out, const struct machine *m, const char *const *args)
{
	assert_string_equal(args[1], "--property=ActiveState");
	assert_string_equal(args[2], "--value");
	assert_null(args[4]);
	if (m->broken != NULL && strstr(m->broken, args[3]) != NULL)
		buf_put_str(out, "failed\n");
	else
		buf_put_str(out, strstr(m->active, args[3]) != NULL ? "active\n" : "inactive\n");
	return 0;
}

static int
run(void *ctx, int *status, struct buf *out, const char *const *args, struct err *e)
{
	struct machine *m = ctx;
	const char *verb = args[1], *unit = args[2];

	(void)e;
	if (strcmp(args[0], "show") == 0) {
		assert_non_null(out);
		*status = say_state(out, m, args);
		return 0;
	}
	assert_null(out);
	assert_string_equal(args[0], "--quiet");
	assert_null(args[3]);
	if (strcmp(verb, "cat") == 0)
		*status = strstr(m->units, unit) != NULL ? 0 : 1;
	else if (strcmp(verb, "is-active") == 0)
		*status = strstr(m->active, unit) != NULL ? 0 : 3;
	else if (strcmp(verb, "is-enabled") == 0)
		*status = strstr(m->enabled, unit) != NULL ? 0 : 1;
	else {
		buf_printf(&m->acts, "%s %s\n", verb, unit);
		*status = m->broken != NULL && strstr(m->broken, unit) != NULL ? 5 : 0;
	}
	return 0;
}

#define ALL "aziot-edged.service aziot-identityd.service aziot-keyd.service aziot-certd.service aziot-tpmd.service"

static void
all_services_stop_then_sockets_start_and_the_first_service(void **state)
{
	static const char *const services[] = { "keyd", "certd", "identityd", "tpmd", "edged", NULL };
	struct machine m = { ALL, "", "", NULL, { 0 } };
	const char *done[RESTART_MAX + 1];
	struct err e;

	(void)state;
	assert_int_equal(restart_services(done, services, run, &m, &e), 0);
	assert_string_equal(buf_str(&m.acts),
	    "stop aziot-edged.service\nstop aziot-identityd.service\nstop aziot-keyd.service\n"
	    "stop aziot-certd.service\nstop aziot-tpmd.service\nstart aziot-edged.mgmt.socket\n"
	    "start aziot-edged.workload.socket\n"
	    "start aziot-identityd.socket\nstart aziot-keyd.socket\nstart aziot-certd.socket\n"
	    "start aziot-tpmd.socket\n"
	    "start aziot-edged.service\n");
	assert_string_equal(done[0], "edged");
	assert_string_equal(done[4], "tpmd");
	assert_null(done[5]);
	buf_free(&m.acts);
}

static void
only_what_changed_and_is_installed_is_touched(void **state)
{
	static const char *const services[] = { "certd", "identityd", NULL };
	struct machine m = { "aziot-keyd.service aziot-certd.service",
	    "aziot-keyd.service aziot-certd.service", "", NULL, { 0 } };
	const char *done[RESTART_MAX + 1];
	struct err e;

	(void)state;
	assert_int_equal(restart_services(done, services, run, &m, &e), 0);
	assert_string_equal(buf_str(&m.acts),
	    "stop aziot-certd.service\nstart aziot-certd.socket\nstart aziot-certd.service\n");
	assert_string_equal(done[0], "certd");
	assert_null(done[1]);
	buf_free(&m.acts);
}

static void
a_service_that_is_enabled_starts_though_it_did_not_run(void **state)
{
	static const char *const services[] = { "certd", NULL };
	struct machine m = { ALL, "", "aziot-certd.service", NULL, { 0 } };
	const char *done[RESTART_MAX + 1];
	struct err e;

	(void)state;
	assert_int_equal(restart_services(done, services, run, &m, &e), 0);
	assert_non_null(strstr(buf_str(&m.acts), "start aziot-certd.service\n"));
	buf_free(&m.acts);
}

static void
one_that_cannot_be_started_is_an_error_after_the_others(void **state)
{
	static const char *const services[] = { "keyd", "identityd", NULL };
	struct machine m = { ALL, "", "", "aziot-keyd.socket", { 0 } };
	const char *done[RESTART_MAX + 1];
	struct err e;

	(void)state;
	assert_int_equal(restart_services(done, services, run, &m, &e), E_UNAVAIL);
	assert_string_equal(e.msg,
	    "systemctl start aziot-keyd.socket ended with 5; see journalctl -u aziot-keyd.socket");
	assert_non_null(strstr(buf_str(&m.acts), "start aziot-identityd.service\n"));
	buf_free(&m.acts);
}

static void
a_stop_leaves_the_sockets_alone(void **state)
{
	struct machine m = { "aziot-keyd.service aziot-certd.service aziot-identityd.service", "", "", NULL, { 0 } };
	const char *done[RESTART_MAX + 1];
	struct err e;

	(void)state;
	assert_int_equal(restart_stop(done, restart_order, run, &m, &e), 0);
	assert_string_equal(buf_str(&m.acts),
	    "stop aziot-identityd.service\nstop aziot-keyd.service\nstop aziot-certd.service\n");
	assert_string_equal(done[0], "identityd");
	assert_null(done[3]);
	assert_true(restart_has_unit("keyd", run, &m));
	assert_false(restart_has_unit("tpmd", run, &m));
	buf_free(&m.acts);
}

static void
is_state(const char *active, const char *failed, const char *service, const char *want)
{
	struct machine m = { ALL, active, "", failed, { 0 } };
	AUTO_BUF said = { 0 };
	bool well = restart_state(&said, service, run, &m);

	assert_string_equal(buf_str(&said), want);
	assert_int_equal(well, strncmp(want, "Down", 4) != 0);
}

static void
a_service_runs_or_its_socket_waits_or_it_is_down(void **state)
{
	(void)state;
	is_state("aziot-keyd.service aziot-keyd.socket", NULL, "keyd", "Running");
	is_state("aziot-keyd.socket", NULL, "keyd", "Ready");
	is_state("", "aziot-keyd.service", "keyd", "Down - failed");
	is_state("aziot-keyd.service", NULL, "keyd", "Down - aziot-keyd.socket is not listening");
	is_state("", NULL, "keyd", "Down - aziot-keyd.socket is not listening");
	is_state("aziot-edged.service aziot-edged.mgmt.socket", NULL, "edged",
	    "Down - aziot-edged.workload.socket is not listening");
	is_state("aziot-edged.service aziot-edged.mgmt.socket aziot-edged.workload.socket", NULL, "edged", "Running");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_services_stop_then_sockets_start_and_the_first_service),
		cmocka_unit_test(only_what_changed_and_is_installed_is_touched),
		cmocka_unit_test(a_service_that_is_enabled_starts_though_it_did_not_run),
		cmocka_unit_test(one_that_cannot_be_started_is_an_error_after_the_others),
		cmocka_unit_test(a_stop_leaves_the_sockets_alone),
		cmocka_unit_test(a_service_runs_or_its_socket_waits_or_it_is_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
