/* SPDX-License-Identifier: Apache-2.0 */
/* certd: an issuer whose workers, engine and time are played by this file */
#ifndef TESTS_ISSUER_WORLD_H
#define TESTS_ISSUER_WORLD_H

#include "device/certd/issue.h"

#include "certd_kit.h"

/* --- time, that goes on when a test says so --- */

struct loop_timer {
	struct loop_timer *next;
	loop_fn fn;
	void *ctx;
	uint64_t at;             /* UINT64_MAX: not armed */
};

static struct loop_timer *timers;
static uint64_t now_ms;

struct loop_timer *
loop_timer_new(struct loop *l, loop_fn fn, void *ctx)
{
	struct loop_timer *t = mem_zalloc(sizeof(*t));

	(void)l;
	*t = (struct loop_timer){ .next = timers, .fn = fn, .ctx = ctx, .at = UINT64_MAX };
	timers = t;
	return t;
}

void
loop_timer_in(struct loop_timer *t, uint64_t ms)
{
	t->at = now_ms + ms;
}

void
loop_timer_free(struct loop_timer *t)
{
	struct loop_timer **at = &timers;

	while (*at != t)
		at = &(*at)->next;
	*at = t->next;
	mem_free(t);
}

/* So much time goes by, and what becomes due happens. */
static inline void
pass(uint64_t ms)
{
	struct loop_timer *t;

	now_ms += ms;
	do {
		for (t = timers; t != NULL && t->at > now_ms; t = t->next)
			continue;
		if (t != NULL) {
			t->at = UINT64_MAX;
			t->fn(t->ctx);
		}
	} while (t != NULL);
}

static inline void
turn(void)
{
	pass(0);
}

/* --- the workers and the engine, as the issuer meets them --- */

struct workers_ticket {
	struct job job;
	workers_done fn;
	void *ctx;
	bool open;
};

static struct workers_ticket asked[16];
static size_t n_asked;
static engine_ready need_fn;
static void *need_ctx;
static char need_id[ID_MAX], need_url[JOB_URL_MAX], need_cn[NAME_VALUE_MAX];
static struct buf engine_told; /* "used est-id 1;look x;" */

struct workers_ticket *
workers_run(struct workers *w, struct job *j, workers_done fn, void *ctx)
{
	struct workers_ticket *t = &asked[n_asked++];

	(void)w;
	assert_true(n_asked <= N_OF(asked));
	*t = (struct workers_ticket){ .job = *j, .fn = fn, .ctx = ctx, .open = true };
	*j = (struct job){ 0 };
	return t;
}

void
workers_cancel(struct workers *w, struct workers_ticket *t)
{
	(void)w;
	t->open = false;
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

void
engine_need(struct engine *en, const char *cert_id, const struct name *subject, const char *fallback_url,
    engine_ready fn, void *ctx)
{
	(void)en;
	(void)snprintf(need_id, sizeof(need_id), "%s", cert_id);
	(void)snprintf(need_url, sizeof(need_url), "%s", fallback_url);
	(void)snprintf(need_cn, sizeof(need_cn), "%s", name_get(subject, OID_CN));
	need_fn = fn;
	need_ctx = ctx;
}

void
engine_used(struct engine *en, const char *cert_id, bool taken)
{
	(void)en;
	buf_printf(&engine_told, "used %s %d;", cert_id, taken);
}

void
engine_returned(struct engine *en, const char *cert_id)
{
	(void)en;
	buf_printf(&engine_told, "returned %s;", cert_id);
}

void
engine_look(struct engine *en, const char *cert_id)
{
	(void)en;
	buf_printf(&engine_told, "look %s;", cert_id);
}

int
engine_renew_now(struct engine *en, const char *cert_id, struct err *e)
{
	(void)en;
	(void)e;
	buf_printf(&engine_told, "renew %s;", cert_id);
	return 0;
}

/* --- a world for one test --- */

static struct place here;
static struct issuer *issuer;
static struct certd_settings *s;
static struct key *key;
static struct buf csr, cert;
static unsigned says_status; /* of HTTP, in the worker's next answers */

struct answer {
	unsigned n;
	struct buf pem;
	struct err e;        /* code 0: there was a certificate */
};

static inline int
setup(void **state)
{
	char path[PLACE_MAX * 2];

	(void)state;
	here = kit_place();
	issuer = issuer_new(NULL, NULL, NULL);
	key = kit_key();
	kit_csr(&csr, key, "pump-7");
	kit_cert(&cert, key, "pump-7");
	n_asked = 0;
	says_status = 0;
	need_fn = NULL;
	(void)snprintf(path, sizeof(path), "%s/boot.pem", here.prefix);
	kit_write(path, "BOOT\n");
	return 0;
}

static inline int
teardown(void **state)
{
	(void)state;
	issuer_free(issuer);
	for (size_t i = 0; i < n_asked; i++)
		job_clear(&asked[i].job);
	assert_null(timers);
	certd_settings_free(s);
	s = NULL;
	key_free(key);
	buf_free(&csr);
	buf_free(&cert);
	buf_free(&engine_told);
	buf_free(&kit_warnings);
	kit_remove(&here);
	return 0;
}

static inline void
configure(const char *text)
{
	struct certd_settings *before = s;
	struct buf whole = { 0 };

	buf_printf(&whole, "homedir_path = \"%s/home\"\n", here.prefix);
	for (; *text != 0; text++) {
		if (*text == '@')
			buf_put_str(&whole, here.prefix);
		else
			buf_put_u8(&whole, (uint8_t)*text);
	}
	s = kit_settings(&here, buf_str(&whole));
	buf_free(&whole);
	issuer_configure(issuer, s);
	certd_settings_free(before);
}

static inline void
on_answer(void *ctx, const struct bytes *pem, const struct err *e)
{
	struct answer *a = ctx;
	AUTO_BUF there = { 0 };

	a->n++;
	if (e != NULL) {
		a->e = *e;
		return;
	}
	buf_put_bytes(&a->pem, *pem);
	/* Durable before it is told. */
	if (certs_read(&there, s, "x", &a->e) == 0)
		assert_true(bytes_equal(bytes_of_buf(&there), *pem));
	a->e.code = 0;
}

static inline void
start_as(struct answer *a, const char *id, const char *issuer_cert, const char *handle)
{
	struct issue_want w = { .id = id, .csr_pem = bytes_of_buf(&csr), .issuer_cert = issuer_cert,
		.issuer_handle = handle, .uid = 1000 };
	struct err e;

	if (issue_start(issuer, &w, on_answer, a, &e) != 0)
		fail_msg("%s", e.msg);
	assert_int_equal(a->n, 0);
}

/* The worker's answer to the job asked last. */
static inline void
worker_says(enum job_outcome o, bool authenticated)
{
	struct workers_ticket *t = &asked[n_asked - 1];
	struct job_result r = { .outcome = o, .retry_after_s = o == JOB_PENDING ? 1 : -1, .authenticated = authenticated,
		.http_status = says_status };

	assert_true(n_asked > 0 && t->open);
	t->open = false;
	(void)snprintf(r.text, sizeof(r.text), "the reason");
	(void)snprintf(r.request_id, sizeof(r.request_id), "r17");
	if (o == JOB_DONE)
		buf_put_bytes(&r.chain, bytes_of_buf(&cert));
	t->fn(t->ctx, &r);
	job_result_clear(&r);
	turn();
}

static inline const struct job *
last_job(void)
{
	assert_true(n_asked > 0);
	return &asked[n_asked - 1].job;
}

static inline void
issued(struct answer *a)
{
	if (a->e.code != 0)
		fail_msg("%s", a->e.msg);
	assert_int_equal(a->n, 1);
	assert_true(bytes_equal(bytes_of_buf(&a->pem), bytes_of_buf(&cert)));
	buf_free(&a->pem);
}

static inline void
failed(const struct answer *a, int code, const char *part)
{
	assert_int_equal(a->n, 1);
	if (a->e.code != (enum err_code)code || strstr(a->e.msg, part) == NULL)
		fail_msg("%d '%s' is not %d or lacks '%s'", a->e.code, a->e.msg, code, part);
}

/* --- EST --- */

#define ANONYMOUS "[cert_issuance.x]\nmethod = \"est\"\nurl = \"https://x/\"\nanonymous = true\n"
#define WITH_IDENTITY                                                          \
	"[cert_issuance.est]\nidentity_cert = \"est-id\"\nidentity_pk = \"est-key\"\n" \
	"bootstrap_identity_cert = \"file://@/boot.pem\"\nbootstrap_identity_pk = \"boot-key\"\n" \
	"[cert_issuance.est.urls]\ndefault = \"https://d/\"\n[cert_issuance.x]\nmethod = \"est\"\n"

/* Up to the job that the identity's readiness leads to. */
static inline void
begin_with_identity(struct answer *a)
{
	struct err e;

	configure(WITH_IDENTITY);
	assert_int_equal(certs_write(s, "est-id", bytes_of("ID\n"), &e), 0);
	start_as(a, "x", NULL, NULL);
	turn();
	assert_string_equal(need_id, "est-id");
	assert_string_equal(need_url, "https://d/");
	assert_string_equal(need_cn, "pump-7");
	assert_int_equal(n_asked, 0);
}

#endif
