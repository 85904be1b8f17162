/* SPDX-License-Identifier: Apache-2.0 */
/* certd/test_api.c - the routes over a real socket; workers and engine are played by this file */
#include "device/certd/certd_inside.h"

#include <sys/wait.h>

#include "certd_kit.h"
#include "core/net/local.h"

#define V   "?api-version=2020-09-01"
#define OWN "?api-version=" API_VERSION_OWN

/* --- the workers and the engine, as the service meets them --- */

struct workers_ticket {
	workers_done fn;
	void *ctx;
	enum job_outcome outcome;
};

static struct workers_ticket ticket;
static struct loop_timer *worker_timer;
static struct buf cert;

static void
worker_answers(void *ctx)
{
	struct job_result r = { .outcome = ticket.outcome, .retry_after_s = -1, .text = "the reason" };

	(void)ctx;
	if (r.outcome == JOB_DONE)
		buf_put_bytes(&r.chain, bytes_of_buf(&cert));
	ticket.fn(ticket.ctx, &r);
	job_result_clear(&r);
}

/* What a job comes to, by its URL; "https://slow/" never ends. */
struct workers_ticket *
workers_run(struct workers *w, struct job *j, workers_done fn, void *ctx)
{
	(void)w;
	if (strcmp(j->url, "https://slow/") != 0) {
		ticket = (struct workers_ticket){ fn, ctx, strcmp(j->url, "https://busy/") == 0 ? JOB_BUSY : JOB_DONE };
		loop_timer_in(worker_timer, 0);
	}
	job_clear(j);
	return &ticket;
}

void
workers_cancel(struct workers *w, struct workers_ticket *t)
{
	(void)w;
	(void)t;
}

struct workers *
workers_new(struct loop *l, const char *path)
{
	(void)l;
	(void)path;
	return NULL;
}

void
workers_free(struct workers *w)
{
	(void)w;
}

struct engine *
engine_new(struct loop *l, struct workers *w)
{
	(void)l;
	(void)w;
	return NULL;
}

void
engine_free(struct engine *en)
{
	(void)en;
}

void
engine_configure(struct engine *en, const struct certd_settings *s)
{
	(void)en;
	(void)s;
}

void
engine_need(struct engine *en, const char *cert_id, const struct name *subject, const char *fallback_url,
    engine_ready fn, void *ctx)
{
	(void)en;
	(void)cert_id;
	(void)subject;
	(void)fallback_url;
	(void)fn;
	(void)ctx;
}

void
engine_settled(struct engine *en, const char *cert_id, engine_ready fn, void *ctx)
{
	struct err e;

	(void)en;
	(void)err_set(&e, E_UNAVAIL, "its key is just being replaced");
	fn(ctx, strcmp(cert_id, "in-doubt") == 0 ? &e : NULL);
}

void
engine_returned(struct engine *en, const char *cert_id)
{
	(void)en;
	(void)cert_id;
}

void
engine_used(struct engine *en, const char *cert_id, bool taken)
{
	(void)en;
	(void)cert_id;
	(void)taken;
}

void
engine_look(struct engine *en, const char *cert_id)
{
	(void)en;
	(void)cert_id;
}

int
engine_renew_now(struct engine *en, const char *cert_id, struct err *e)
{
	(void)en;
	return strcmp(cert_id, "est-id") == 0 ? 0 : err_set(e, E_NOTFOUND, "%s: not known", cert_id);
}

int
engine_set_disabled(struct engine *en, const char *cert_id, bool disabled, struct err *e)
{
	(void)disabled;
	return engine_renew_now(en, cert_id, e);
}

void
engine_status(const struct engine *en, json_t *list)
{
	json_t *o = json_object();

	(void)en;
	json_setf(o, "id", "est-id");
	(void)json_object_set_new(o, "tries", json_integer(2));
	(void)json_array_append_new(list, o);
}

/* --- the service in this process, its clients in another --- */

static struct certd d;
static struct buf csr_pem;

static void
on_client_end(void *ctx, pid_t pid, int status)
{
	(void)ctx;
	(void)pid;
	loop_stop(d.daemon.loop, WIFEXITED(status) ? WEXITSTATUS(status) : 99);
}

/* Run the clients' side; what it found wrong was printed, and fails the test. */
static void
with_service(void (*client)(void))
{
	struct buf text = { 0 };
	AUTO(key) k = kit_key();
	struct err e;
	pid_t pid;

	d = (struct certd){ .daemon.place = kit_place() };
	assert_int_equal(chmod(d.daemon.place.prefix, 0755), 0);
	kit_cert(&cert, k, "pump-7");
	kit_csr(&csr_pem, k, "pump-7");
	buf_printf(&text, "homedir_path = \"%s/home\"\n[preloaded_certs]\npre = \"file://%s/pre.pem\"\n"
	    "[cert_issuance]\nx = { method = \"self_signed\" }\n"
	    "busy = { method = \"est\", url = \"https://busy/\", anonymous = true }\n"
	    "slow = { method = \"est\", url = \"https://slow/\", anonymous = true }\n"
	    "[[principal]]\nuid = 12345\ncerts = [\"mine*\"]\n[cert_issuance.est]\ntrusted_certs = [\"mine-ca\"]\n",
	    d.daemon.place.prefix, d.daemon.place.prefix);
	d.settings = kit_settings(&d.daemon.place, buf_str(&text));
	assert_int_equal(certs_write(d.settings, "mine-ca", bytes_of_buf(&cert), NULL), 0);
	buf_free(&text);
	d.daemon.loop = loop_new();
	worker_timer = loop_timer_new(d.daemon.loop, worker_answers, NULL);
	d.issuer = issuer_new(d.daemon.loop, NULL, NULL);
	issuer_configure(d.issuer, d.settings);
	certd_service(&d.daemon.service);
	d.daemon.service.per_uid = 10;
	if (api_new(&d.daemon.api, d.daemon.loop, &d.daemon.service, &d.daemon.place, &d, &e) != 0)
		fail_msg("%s", e.msg);
	assert_int_equal(chmod(d.daemon.place.socket, 0666), 0);
	pid = fork();
	if (pid == 0) {
		client();
		_exit(0);
	}
	loop_on_child(d.daemon.loop, pid, on_client_end, NULL);
	assert_int_equal(loop_run(d.daemon.loop), 0);
	api_free(d.daemon.api);
	issuer_free(d.issuer);
	loop_timer_free(worker_timer);
	loop_free(d.daemon.loop);
	certd_settings_free(d.settings);
	kit_remove(&d.daemon.place);
	buf_free(&cert);
	buf_free(&csr_pem);
	buf_free(&kit_warnings);
}

/* Ask; the answer must have that status and contain that text, or the client ends with 1. */
static void
ask(const char *method, const char *target, const char *body, unsigned status, const char *part)
{
	struct local_answer a = { 0 };
	struct err e;

	if (local_run(&a, d.daemon.place.socket, method, target, bytes_of(body), 20000, &e) != 0) {
		printf("%s %s: %s\n", method, target, e.msg);
		_exit(1);
	}
	if (a.status != status || strstr(buf_str(&a.body), part) == NULL) {
		printf("%s %s: %u %s\n  expected %u %s\n", method, target, a.status, buf_str(&a.body), status, part);
		(void)fflush(stdout);
		_exit(1);
	}
	local_clear(&a);
}

/* A JSON object of up to two texts. */
static char *
object(const char *a, const char *a_text, const char *b, const char *b_text)
{
	AUTO_JSON o = json_object();
	struct buf text = { 0 };

	json_setf(o, a, "%s", a_text);
	if (b != NULL)
		json_setf(o, b, "%s", b_text);
	json_print(&text, o, false);
	return buf_take_str(&text);
}

static void
as_user(uid_t uid)
{
	if (geteuid() == 0 && (setresgid(uid, uid, uid) != 0 || setresuid(uid, uid, uid) != 0))
		_exit(2);
}

static void
store_and_read(void)
{
	char path[PLACE_MAX * 2];
	struct buf both = { 0 };
	const char *pem = object("pem", buf_str(&cert), NULL, NULL);

	ask("GET", "/certificates/z" V, "", 400,
	    "{\"message\":\"parameter \\\"id\\\" has an invalid value\\ncaused by: not found\"}");
	ask("PUT", "/certificates/z" V, pem, 201, pem);
	ask("GET", "/certificates/z" V, "", 200, pem);
	ask("PUT", "/certificates/aziot-edged/module/m:1:server" V, pem, 201, pem);
	ask("GET", "/certificates/aziot-edged/module/m:1:server" V, "", 200, pem);
	ask("PUT", "/certificates/z" V, object("pem", "no certificate", NULL, NULL), 400, "parameter \\\"pem\\\"");
	ask("GET", "/certificates/z" V, "", 200, pem);
	ask("DELETE", "/certificates/z" V, "", 204, "");
	ask("DELETE", "/certificates/z" V, "", 204, "");
	ask("GET", "/certificates/in-doubt" V, "", 503, "its key is just being replaced");
	ask("GET", "/certificates/z" V, "", 400, "not found");
	(void)snprintf(path, sizeof(path), "%s/pre.pem", d.daemon.place.prefix);
	kit_write(path, "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n");
	ask("GET", "/certificates/pre" V, "", 500, "{\"message\":\"internal error\"}");
	buf_printf(&both, "%s-----BEGIN EC PRIVATE KEY-----\nAAAA\n-----END EC PRIVATE KEY-----\n", buf_str(&cert));
	ask("PUT", "/certificates/z" V, object("pem", buf_str(&both), NULL, NULL), 400, "a private key is in it");
	ask("PUT", "/certificates/pre" V, pem, 403, "preloaded");
	ask("DELETE", "/certificates/pre" V, "", 403, "preloaded");
}

static void
certificates_are_stored_read_and_deleted(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip();
	with_service(store_and_read);
}

static void
request(void)
{
	const char *csr = buf_str(&csr_pem);

	ask("POST", "/certificates" V, object("certId", "x", "csr", csr), 201, object("pem", buf_str(&cert), NULL, NULL));
	ask("GET", "/certificates/x" V, "", 200, object("pem", buf_str(&cert), NULL, NULL));
	ask("POST", "/certificates" V, object("certId", "x", "csr", "none"), 400, "parameter \\\"csr\\\"");
	ask("POST", "/certificates" V, object("certId", "unknown", "csr", csr), 500, "{\"message\":\"internal error\"}");
	ask("POST", "/certificates" V, object("certId", "busy", "csr", csr), 503, "the reason");
	ask("POST", "/certificates" V, object("certId", "pre", "csr", csr), 403, "preloaded");
	ask("POST", "/certificates" V, object("certId", "x", NULL, NULL), 422, "");
	ask("POST", "/certificates" V, "{\"certId\":\"x\",\"csr\":\"\",\"issuer\":{\"certId\":\"y\"}}", 422, "privateKeyHandle");
	ask("POST", "/certificates?api-version=2019-01-01", "{}", 400, "invalid api-version");
}

static void
certificates_are_issued_over_the_socket(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip();
	with_service(request);
}

static void
as_a_stranger(void)
{
	const char *pem = object("pem", buf_str(&cert), NULL, NULL), *csr = buf_str(&csr_pem);

	as_user(23456);
	ask("PUT", "/certificates/mine" V, pem, 401, "is not authorized to modify the cert mine");
	ask("DELETE", "/certificates/mine" V, "", 401, "not authorized");
	ask("POST", "/certificates" V, object("certId", "x", "csr", csr), 401, "is not authorized to modify the cert x");
	ask("POST", "/renew/est-id" OWN, "", 401, "not authorized");
	ask("POST", "/disable/est-id" OWN, "", 401, "not authorized");
	ask("GET", "/certificates/mine" V, "", 400, "not found");
}

static void
strangers_change_nothing(void **state)
{
	(void)state;
	with_service(as_a_stranger);
}

static void
as_a_principal(void)
{
	const char *pem = object("pem", buf_str(&cert), NULL, NULL);

	as_user(12345);
	ask("PUT", "/certificates/mine-1" V, pem, 201, pem);
	ask("PUT", "/certificates/x" V, pem, 401, "user 12345 is not authorized to modify the cert x");
	/* An anchor is nobody's but root's. */
	ask("PUT", "/certificates/mine-ca" V, pem, 401, "not authorized to modify the cert mine-ca");
	ask("DELETE", "/certificates/mine-ca" V, "", 401, "not authorized");
}

static void
principals_change_what_their_patterns_say(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip();
	with_service(as_a_principal);
}

static void
own_version(void)
{
	ask("GET", "/status" OWN, "", 200, "\"credentials\":[{\"id\":\"est-id\"");
	ask("GET", "/status" OWN, "", 200, "\"configuration\":{\"files\":[");
	ask("GET", "/metrics" OWN, "", 200, "estuary_renewal_tries{id=\"est-id\"} 2\n");
	ask("GET", "/status" V, "", 404, "not found");
	ask("POST", "/renew/est-id" OWN, "", 202, "{}");
	ask("POST", "/renew/other" OWN, "", 400, "not found");
	ask("POST", "/disable/est-id" OWN, "", 204, "");
	ask("POST", "/enable/est-id" OWN, "", 204, "");
}

static void
status_metrics_and_steering_are_of_our_own_version(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip();
	with_service(own_version);
}

/* H9: an EST server that never answers keeps nobody but who asked. */
static void
beside_a_slow_server(void)
{
	const char *pem = object("pem", buf_str(&cert), NULL, NULL);

	if (fork() == 0) {
		struct local_answer a = { 0 };

		(void)!local_run(&a, d.daemon.place.socket, "POST", "/certificates" V,
		    bytes_of(object("certId", "slow", "csr", buf_str(&csr_pem))), 3000, NULL);
		_exit(0);
	}
	ask("PUT", "/certificates/z" V, pem, 201, "pem");
	for (int i = 0; i < 20; i++)
		ask("GET", "/certificates/z" V, "", 200, "pem");
	ask("POST", "/certificates" V, object("certId", "x", "csr", buf_str(&csr_pem)), 201, "pem");
}

static void
a_slow_server_keeps_nobody_else_waiting(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip();
	with_service(beside_a_slow_server);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(certificates_are_stored_read_and_deleted),
		cmocka_unit_test(certificates_are_issued_over_the_socket),
		cmocka_unit_test(strangers_change_nothing),
		cmocka_unit_test(principals_change_what_their_patterns_say),
		cmocka_unit_test(status_metrics_and_steering_are_of_our_own_version),
		cmocka_unit_test(a_slow_server_keeps_nobody_else_waiting),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
