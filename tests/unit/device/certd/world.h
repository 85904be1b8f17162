/* SPDX-License-Identifier: Apache-2.0 */
/* certd/world.h - a device with real files in a scratch directory; Keys Service, EST server, clock and power are played */
#ifndef TESTS_DEVICE_CERTD_WORLD_H
#define TESTS_DEVICE_CERTD_WORLD_H

#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "core/base/clock.h"
#include "core/base/file.h"
#include "core/base/mem.h"
#include "core/sys/loop.h"
#include "device/certd/engine_inside.h"
#include "device/service/slog.h"
#include "world_power.h"

#define MINUTE_S  60
#define HOUR_S    3600
#define DAY_S     INT64_C(86400)
#define BEGIN_S   INT64_C(1800000000)
#define KEYS_MAX  8000
#define SLOTS_MAX 32
#define ID        "est-id"
#define KEY       "est-key"
#define TEMP      "est-key-temp"
#define URL       "https://est.example/.well-known/est"

/* --- the log: kept, not printed --- */

static char told[64 * 1024];

void __wrap_slog(enum slog_level level, const char *fmt, ...) PRINTF(2, 3);

void
__wrap_slog(enum slog_level level, const char *fmt, ...)
{
	size_t had = strlen(told);
	va_list ap;

	(void)level;
	if (had > sizeof(told) - 2048)
		had = 0;
	va_start(ap, fmt);
	(void)vsnprintf(told + had, 1024, fmt, ap);
	va_end(ap);
	(void)strncat(told, "\n", 2);
}

/* --- the Keys Service: IDs name keys; what was before is kept until the successor is proved --- */

static struct {
	struct key *key;
	bool proved; /* a server took it */
} keys[KEYS_MAX];
static int n_keys;
static struct {
	char id[ID_MAX];
	int key, before; /* -1: none */
} slots[SLOTS_MAX];
static int n_slots;
static bool keyd_down, keyd_fixed; /* fixed: it replaces no key */
static const char *keyd_secret;    /* about this ID it answers nobody; NULL: about none */

static int *
slot_of(const char *id)
{
	for (int i = 0; i < n_slots; i++)
		if (strcmp(slots[i].id, id) == 0)
			return &slots[i].key;
	assert_true(n_slots < SLOTS_MAX);
	(void)snprintf(slots[n_slots].id, sizeof(slots[0].id), "%s", id);
	slots[n_slots].key = slots[n_slots].before = -1;
	return &slots[n_slots++].key;
}

static int *
before_of(const char *id)
{
	(void)slot_of(id);
	for (int i = 0; i < n_slots; i++)
		if (strcmp(slots[i].id, id) == 0)
			return &slots[i].before;
	return NULL;
}

static int
make_key(void)
{
	struct err e;

	assert_true(n_keys < KEYS_MAX);
	assert_int_equal(key_generate(&keys[n_keys].key, KEY_EC_P256, &e), 0);
	keys[n_keys].proved = false;
	return n_keys++;
}

static struct bytes
spki_of(int key)
{
	return key_spki(keys[key].key);
}

/* D4: a key that servers took goes only when its successor was taken as well. */
static void
forget_key(int key, int successor)
{
	if (key >= 0 && keys[key].proved && key != successor)
		assert_true(successor >= 0 && keys[successor].proved);
}

/* --- the EST server, which is the CA --- */

static struct {
	struct key *ca;
	enum job_outcome says;      /* to requests */
	const char *check;          /* what is wrong with its answers; NULL: the name */
	int64_t date;               /* that it says; 0: none */
	int64_t retry_after_s, life_s, backdate_s;
	bool down;
	bool refuses_new;           /* pairs that it has not taken before */
	bool refuses_identity;      /* any pair but the bootstrap's */
	bool no_proof;              /* /cacerts breaks off */
	unsigned asked, issued, probed;
	char url[JOB_URL_MAX], client[ID_MAX];
	bool reenroll;
	uint64_t serial;
} server;
static int64_t world_now;

static int64_t
world_clock(void)
{
	return world_now;
}

static void
put_cert(struct buf *pem, struct bytes spki, const struct name *subject, int64_t not_before, int64_t not_after)
{
	static const enum oid eku[] = { OID_CLIENT_AUTH };
	struct cert_want w = { .spki = spki, .not_before = not_before, .not_after = not_after, .ku = KU_DIGITAL_SIGNATURE,
		.n_eku = 1, .eku = eku, .sig_alg = key_sig_alg(KEY_EC_P256) };
	AUTO_BUF issuer = { 0 }, dn = { 0 }, tbs = { 0 }, sig = { 0 }, der = { 0 };
	struct name ca = { 0 };
	uint8_t serial[8] = { 0x40 };
	struct err e;

	server.serial++;
	for (unsigned i = 1; i < sizeof(serial); i++)
		serial[i] = (uint8_t)(server.serial >> (8 * (7 - i)));
	assert_int_equal(name_add(&ca, OID_CN, "Test CA", &e), 0);
	name_encode(&issuer, &ca);
	name_encode(&dn, subject);
	w.serial = (struct bytes){ serial, sizeof(serial) };
	w.issuer = bytes_of_buf(&issuer);
	w.subject = bytes_of_buf(&dn);
	cert_build_tbs(&tbs, &w);
	assert_int_equal(key_sign(&sig, server.ca, bytes_of_buf(&tbs), &e), 0);
	cert_assemble(&der, bytes_of_buf(&tbs), w.sig_alg, bytes_of_buf(&sig));
	pem_encode(pem, bytes_of_buf(&der), "CERTIFICATE");
}

static bool
leaf_of(struct cert *c, struct buf *der, struct bytes pem)
{
	struct err e;

	return certs_leaf(c, der, pem, &e) == 0;
}

static void
outcome(struct job_result *r, enum job_outcome o, const char *check, const char *text)
{
	r->outcome = o;
	(void)snprintf(r->check, sizeof(r->check), "%s", check);
	(void)snprintf(r->text, sizeof(r->text), "%s", text);
}

/* Handshake: is the pair one, valid, and welcome?  False: r says why not. */
static bool
handshake(struct job_result *r, const struct job *j)
{
	AUTO_BUF der = { 0 };
	struct cert c;
	int key;

	(void)snprintf(server.url, sizeof(server.url), "%s", j->url);
	(void)snprintf(server.client, sizeof(server.client), "%s", j->client_key);
	if (server.down) {
		outcome(r, JOB_NO_SERVER, "", "no route to the server");
		return false;
	}
	if (j->client_chain.n == 0)
		return true;
	key = *slot_of(j->client_key);
	if (key < 0) {
		outcome(r, JOB_KEY_FAILED, "not-found", "no such key");
		return false;
	}
	assert_true(leaf_of(&c, &der, bytes_of_buf(&j->client_chain)));
	assert_true(bytes_equal(c.spki, spki_of(key))); /* D3 */
	if (c.not_after <= world_now || (server.refuses_new && !keys[key].proved) ||
	    (server.refuses_identity && strcmp(j->client_key, "boot-key") != 0)) {
		outcome(r, JOB_CLIENT_REFUSED, "", "alert: this certificate is not accepted");
		return false;
	}
	keys[key].proved = true;
	r->authenticated = true;
	return true;
}

static void
issue(struct job_result *r, const struct job *j)
{
	int *key = slot_of(j->key);
	AUTO_BUF der = { 0 };
	struct cert old;

	if (*key < 0 && j->create_key && power())
		*key = make_key();
	if (*key < 0) {
		outcome(r, JOB_KEY_FAILED, "not-found", "no such key");
		return;
	}
	if (j->subject.n == 0)
		assert_true(leaf_of(&old, &der, bytes_of_buf(&j->old)));
	if (!power())
		return;
	server.issued++;
	server.reenroll = j->reenroll;
	buf_put_bytes(&r->spki, spki_of(*key));
	put_cert(&r->chain, spki_of(*key), j->subject.n > 0 ? &j->subject : &old.subject, world_now - server.backdate_s,
	    world_now - server.backdate_s + (j->kind == JOB_SIGN ? j->days * DAY_S : server.life_s));
}

static void
play_est(struct job_result *r, const struct job *j)
{
	server.asked++;
	if (!handshake(r, j))
		return;
	if (server.says != JOB_DONE) {
		int *key = slot_of(j->key);

		if (*key < 0 && j->create_key && power())
			*key = make_key();
		outcome(r, server.says, server.says != JOB_BAD_ANSWER ? "" : server.check != NULL ? server.check : "wrong-name",
		    "the server said so");
		r->server_date = server.date;
		r->retry_after_s = server.retry_after_s;
		return;
	}
	issue(r, j);
}

static void
play_match(struct job_result *r, const struct job *j)
{
	int key = *slot_of(j->client_key);
	AUTO_BUF der = { 0 };
	struct cert c;

	if (key < 0)
		outcome(r, JOB_KEY_FAILED, "not-found", "no such key");
	else if (!leaf_of(&c, &der, bytes_of_buf(&j->client_chain)))
		outcome(r, JOB_BAD_JOB, "", "no certificate");
	else if (!bytes_equal(c.spki, spki_of(key)))
		outcome(r, JOB_BAD_ANSWER, "wrong-key", "not the one of its certificate");
}

static void
play_switch(struct job_result *r, const struct job *j)
{
	int *id = slot_of(j->client_key), *from = slot_of(j->key_from), *before = before_of(j->client_key);

	if (*from < 0) {
		if (*id < 0 || !bytes_equal(spki_of(*id), bytes_of_buf(&j->spki)))
			outcome(r, JOB_KEY_FAILED, "not-found", "no such key");
		return;
	}
	assert_true(bytes_equal(spki_of(*from), bytes_of_buf(&j->spki)));
	if (keyd_fixed) {
		outcome(r, JOB_KEY_FAILED, "not-authorised", "that key is preloaded");
		return;
	}
	if (!power())
		return;
	forget_key(*before, *id);
	*before = *id;
	*id = *from;
	*from = -1;
}

static void
play_key(struct job_result *r, const struct job *j)
{
	int *id = slot_of(j->client_key), *before = before_of(j->client_key);

	if (keyd_down) {
		outcome(r, JOB_KEY_FAILED, "", "the Keys Service does not answer");
	} else if (keyd_secret != NULL && strcmp(j->client_key, keyd_secret) == 0) {
		outcome(r, JOB_KEY_FAILED, "not-authorised", "not yours");
	} else if (j->kind == JOB_MATCH) {
		play_match(r, j);
	} else if (j->kind == JOB_SWITCH) {
		play_switch(r, j);
	} else if (j->kind == JOB_PROVE) {
		if (*id < 0)
			outcome(r, JOB_KEY_FAILED, "not-authorised", "no such key");
		else if (*before >= 0 && power()) {
			forget_key(*before, *id);
			*before = -1;
		}
	} else if (j->kind == JOB_ROLLBACK) {
		if (*before < 0)
			outcome(r, JOB_KEY_FAILED, "not-found", "nothing before it");
		else if (power()) {
			*id = *before;
			*before = -1;
		}
	} else if (j->kind == JOB_DELETE && *id >= 0 && power()) {
		assert_false(keys[*id].proved);
		*id = -1;
	}
}

/* --- workers --- */

struct workers_ticket {
	struct workers_ticket *next;
	struct job j;
	workers_done fn;
	void *ctx;
};
static struct workers_ticket *queue;

struct workers_ticket *
workers_run(struct workers *w, struct job *j, workers_done fn, void *ctx)
{
	struct workers_ticket *t = mem_zalloc(sizeof(*t)), **at = &queue;

	(void)w;
	t->j = *j;
	*j = (struct job){ 0 };
	t->fn = fn;
	t->ctx = ctx;
	while (*at != NULL)
		at = &(*at)->next;
	*at = t;
	return t;
}

void
workers_cancel(struct workers *w, struct workers_ticket *t)
{
	struct workers_ticket **at = &queue;

	(void)w;
	while (*at != t)
		at = &(*at)->next;
	*at = t->next;
	job_clear(&t->j);
	mem_free(t);
}

static bool
work_one(void)
{
	struct job_result r = { .retry_after_s = -1 };
	struct workers_ticket *t = queue;

	if (t == NULL)
		return false;
	queue = t->next;
	if (t->j.kind == JOB_PROBE) {
		server.probed++;
		if (server.no_proof)
			outcome(&r, JOB_BUSY, "", "status 500");
		else
			(void)handshake(&r, &t->j);
	} else if (t->j.kind == JOB_EST)
		play_est(&r, &t->j);
	else if (t->j.kind == JOB_SIGN)
		issue(&r, &t->j);
	else
		play_key(&r, &t->j);
	if (power_off) {
		job_result_clear(&r);
		r = (struct job_result){ .outcome = JOB_DIED, .retry_after_s = -1 };
	}
	t->fn(t->ctx, &r);
	job_result_clear(&r);
	job_clear(&t->j);
	mem_free(t);
	return true;
}

/* --- the device --- */

static char home[] = "/tmp/test-certd-XXXXXX";
static char home_now[64];
static struct certd_settings settings;
static struct url_row urls[] = { { (char *)"default", (char *)URL } };
static struct loop *loop;
static struct engine *engine;
static bool had_pair; /* from here on D1 holds */

static void
read_file(struct buf *out, enum generation_file f, bool served)
{
	struct err e;

	if (served)
		(void)!certs_read(out, &settings, ID, &e);
	else
		(void)!generation_read_cert(out, &settings, ID, f, &e);
}

/* Does this certificate have its key somewhere, and a life? */
static bool
loadable(enum generation_file f, bool served, bool must_be_in_place)
{
	AUTO_BUF pem = BUF_MAX(CERTS_FILE_MAX), der = { 0 };
	int at[] = { *slot_of(KEY), *before_of(KEY), *slot_of(TEMP) };
	struct cert c;

	read_file(&pem, f, served);
	if (pem.n == 0 || !leaf_of(&c, &der, bytes_of_buf(&pem)))
		return false;
	for (size_t i = 0; i < (must_be_in_place ? 1 : N_OF(at)); i++)
		if (at[i] >= 0 && bytes_equal(spki_of(at[i]), c.spki) && c.not_after > world_now)
			return true;
	return false;
}

static bool
pair_served(void)
{
	return loadable(GEN_STATE_FILE, true, true);
}

/* D1 */
static void
check_loadable(void)
{
	if (had_pair)
		assert_true(loadable(GEN_STATE_FILE, true, false) || loadable(GEN_NEW_FILE, false, false) ||
		    loadable(GEN_OLD_FILE, false, false));
}

static struct credential *
credential(void)
{
	struct credential *c = engine_find(engine, ID);

	assert_non_null(c);
	return c;
}

/* Everything that is due now, until nothing is left to do or the power goes. */
static void
pump(void)
{
	for (int i = 0; i < 400; i++) {
		struct credential *c = engine_find(engine, ID);
		bool worked;

		engine_turn(engine);
		check_loadable();
		if (power_off)
			return;
		if (had_pair && c != NULL && rotation_usable(c, world_now))
			assert_true(pair_served()); /* D3 */
		if (had_pair && c != NULL && !rotation_in_doubt(c) && world_now < c->life.not_after)
			assert_true(pair_served()); /* whoever reads it may use it */
		worked = work_one();
		check_loadable();
		if (power_off || (!worked && !engine->woken))
			return;
	}
	fail_msg("the engine does not come to rest");
}

static void
pass(int64_t span_s, int64_t step_s)
{
	int64_t end = world_now + span_s;

	while (world_now < end && !power_off) {
		world_now += step_s;
		pump();
	}
}

static void
start(void)
{
	engine = engine_new(loop, NULL);
	engine_set_clock(engine, world_clock);
	engine_configure(engine, &settings);
}

static void
stop(void)
{
	engine_free(engine);
	engine = NULL;
	while (queue != NULL)
		workers_cancel(NULL, queue);
}

/* Off and on again: what stands on disk and in the Keys Service is all that is left. */
static void
restart(void)
{
	stop();
	power_off = false;
	power_cut_at = 0;
	start();
}

static struct err need_why;
static unsigned need_answers;

static void
on_ready(void *ctx, const struct err *why)
{
	(void)ctx;
	need_why = why != NULL ? *why : (struct err){ 0 };
	need_answers++;
}

static struct name
device_name(void)
{
	struct name n = { 0 };
	struct err e;

	assert_int_equal(name_add(&n, OID_CN, "pump-7", &e), 0);
	return n;
}

/* 0, or the code that the need was answered with. */
static int
need(void)
{
	struct name n = device_name();
	unsigned had = need_answers;

	engine_need(engine, ID, &n, URL, on_ready, NULL);
	assert_int_equal(need_answers, had); /* never from inside */
	pump();
	if (!power_off)
		assert_int_equal(need_answers, had + 1);
	return need_why.code;
}

static void
make_dir(const char *name)
{
	char path[PLACE_MAX];
	struct err e;

	(void)snprintf(path, sizeof(path), "%s/%s", home_now, name);
	assert_int_equal(file_mkdir(path, 0755, &e), 0);
}

static void
put_bootstrap(void)
{
	AUTO_BUF pem = BUF_MAX(CERTS_FILE_MAX);
	struct name n = device_name();
	int *key = slot_of("boot-key");
	struct err e;

	*key = make_key();
	put_cert(&pem, spki_of(*key), &n, 0, INT64_C(4000000000));
	assert_int_equal(certs_write(&settings, "boot", bytes_of_buf(&pem), &e), 0);
}

static int
world_open(void **state)
{
	struct err e;

	(void)state;
	(void)snprintf(home_now, sizeof(home_now), "%s", home);
	assert_non_null(mkdtemp(home_now));
	make_dir("certs");
	power_steps = power_cut_at = 0;
	power_off = keyd_down = keyd_fixed = disk_full = had_pair = false;
	keyd_secret = NULL;
	n_keys = n_slots = 0;
	told[0] = 0;
	world_now = BEGIN_S;
	memset(&server, 0, sizeof(server));
	server.life_s = 100 * DAY_S;
	server.retry_after_s = -1;
	assert_int_equal(key_generate(&server.ca, KEY_EC_P256, &e), 0);
	settings = (struct certd_settings){ .home = home_now, .keyd_socket = (char *)"/nowhere",
		.identity_policy = policy_default, .identity_auto_renew = true, .n_urls = 1, .urls = urls };
	settings.est_auth = (struct est_auth_settings){ .given = true, .identity_cert = (char *)ID,
		.identity_pk = (char *)KEY, .bootstrap_cert = (char *)"boot", .bootstrap_pk = (char *)"boot-key" };
	put_bootstrap();
	loop = loop_new();
	start();
	return 0;
}

static int
remove_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
	(void)st;
	(void)kind;
	(void)at;
	return remove(path);
}

static int
world_close(void **state)
{
	(void)state;
	stop();
	power_off = false;
	power_cut_at = 0;
	loop_free(loop);
	for (int i = 0; i < n_keys; i++)
		key_free(keys[i].key);
	key_free(server.ca);
	return nftw(home_now, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* A device with a proved first generation. */
static inline void
live(void)
{
	assert_int_equal(need(), 0);
	pass(10 * MINUTE_S, MINUTE_S);
	assert_int_equal(credential()->gen.state, GEN_IDLE);
	assert_true(credential()->gen.proved);
	had_pair = true;
	server.asked = server.issued = server.probed = 0;
	told[0] = 0;
}

/* Shortly before its renewal is due. */
static inline void
live_until_due(void)
{
	live();
	world_now = rotation_renew_at(credential()) - 1;
}

#endif
