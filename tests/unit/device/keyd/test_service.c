/* SPDX-License-Identifier: Apache-2.0 */
/* keyd/test_service.c - the Keys Service as its clients meet it: a process on a scratch prefix, and requests of several users */
#include "tests/unit/device/service/scratch.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "core/base/mem.h"
#include "core/codec/base64.h"
#include "core/codec/json.h"
#include "core/net/local.h"
#include "device/keyd/desk.h"
#include "device/keyd/keyd.h"

#define OWNER    ((uid_t)1001) /* may k-*, m-* */
#define STRANGER ((uid_t)1002) /* may k-* as well */
#define AGENT    ((uid_t)1003) /* may nothing, but make handles for others */
#define ROOT     ((uid_t)0)    /* or, where the test is not root's, the one user there is, who may everything */
#define WILDCARD ((uid_t)1004) /* may * */

static struct place place;
static pid_t service;
static bool as_root;       /* only then are there several users */

static const char config[] =
    "max_requests = 100\n"
    "[[principal]]\nuid = 1001\nkeys = [\"k-*\", \"m-*\"]\n"
    "[[principal]]\nuid = 1002\nkeys = [\"k-*\"]\n"
    "[[principal]]\nuid = 1003\nkeys = []\ndelegate = true\n"
    "[[principal]]\nuid = 1004\nkeys = [\"*\"]\n"
    "[preloaded_keys]\nk-given = \"file:///nowhere/k.pem\"\nk-token = \"pkcs11:object=x?pin-value=4711\"\n";

/* --- the service in a process of its own --- */

/* Wait for a line of its log: it comes, or the log ends with the service. */
static void
wait_for(int fd, const char *line)
{
	AUTO_BUF text = { 0 };
	char chunk[512];
	ssize_t n;

	while (strstr(buf_str(&text), line) == NULL) {
		n = read(fd, chunk, sizeof(chunk));
		if (n <= 0)
			fail_msg("the service ended: %s", buf_str(&text));
		buf_put(&text, chunk, (size_t)n);
	}
}

static int log_fd = -1;

static void
start(void)
{
	int fds[2];

	assert_int_equal(pipe(fds), 0);
	service = fork();
	assert_true(service >= 0);
	if (service == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		(void)dup2(fds[1], STDERR_FILENO);
		(void)close(fds[0]);
		(void)close(fds[1]);
		_exit(keyd_main(&place));
	}
	(void)close(fds[1]);
	log_fd = fds[0];
	wait_for(log_fd, "Confined:");
	if (as_root) {
		/* Where all users of the system are to be its group. */
		assert_int_equal(chmod(scratch, 0755), 0);
		assert_int_equal(chmod(place.socket, 0666), 0);
	}
}

static int
stop(int signo)
{
	int status = 0;

	assert_int_equal(kill(service, signo), 0);
	assert_int_equal(waitpid(service, &status, 0), service);
	(void)close(log_fd);
	return status;
}

static int
begin(void **state)
{
	char own[80];
	struct err e;

	(void)state;
	as_root = geteuid() == 0;
	scratch_make();
	scratch_write("etc/aziot/keyd/config.toml", config);
	if (!as_root) {
		(void)snprintf(own, sizeof(own), "[[principal]]\nuid = %u\nkeys = [\"*\"]\n", geteuid());
		scratch_write("etc/aziot/keyd/config.d/own.toml", own);
	}
	if (place_find(&place, "keyd", scratch, &e) != 0)
		fail_msg("%s", e.msg);
	start();
	return 0;
}

static int
end(void **state)
{
	(void)state;
	(void)stop(SIGKILL);
	scratch_remove();
	return 0;
}

/* --- requests --- */

static json_t *answer; /* to the last request */

/* Ask as uid; the status.  fmt makes the body; NULL: none. */
static unsigned
ask(uid_t uid, const char *method, const char *path, const char *version, const char *fmt, ...) PRINTF(5, 6);
static unsigned
ask(uid_t uid, const char *method, const char *path, const char *version, const char *fmt, ...)
{
	struct local_answer a = { 0 };
	AUTO_BUF target = { 0 };
	AUTO_BUF body = { 0 };
	struct err e;
	unsigned status;
	va_list ap;
	int r;

	buf_printf(&target, "%s?api-version=%s", path, version);
	if (fmt != NULL) {
		va_start(ap, fmt);
		buf_vprintf(&body, fmt, ap);
		va_end(ap);
	}
	assert_true(!as_root || seteuid(uid) == 0); /* SO_PEERCRED tells the effective one, as of connect() */
	r = local_run(&a, place.socket, method, buf_str(&target), bytes_of_buf(&body), 60000, &e);
	assert_true(!as_root || seteuid(0) == 0);
	if (r != 0)
		fail_msg("%s %s: %s", method, path, e.msg);
	json_decref(answer);
	answer = NULL;
	if (a.body.n != 0 && json_parse(&answer, bytes_of_buf(&a.body), &e) != 0)
		fail_msg("%s", e.msg);
	status = a.status;
	local_clear(&a);
	return status;
}
#define V     "2021-05-01"
#define V_OLD "2020-09-01"
#define OWN   API_VERSION_OWN

static const char *
member(const char *name)
{
	return json_str(answer, name, "");
}

static bool
says(const char *text)
{
	return strstr(member("message"), text) != NULL;
}

/* The handle of the answer, kept. */
static char *
take_handle(void)
{
	assert_true(member("keyHandle")[0] != 0);
	return mem_strdup(member("keyHandle"));
}

static char *
create_pair(uid_t uid, const char *id, const char *algorithms)
{
	assert_int_equal(ask(uid, "POST", "/keypair", V, "{\"keyId\":\"%s\",\"preferredAlgorithms\":\"%s\"}", id,
	    algorithms), 200);
	return take_handle();
}

static char *
create_key(uid_t uid, const char *id, const char *usage)
{
	assert_int_equal(ask(uid, "POST", "/key", V, "{\"keyId\":\"%s\",\"usage\":\"%s\"}", id, usage), 200);
	return take_handle();
}

#define DIGEST "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="
#define TEXT   "aGVsbG8=" /* hello */

static unsigned
sign(uid_t uid, const char *handle, const char *algorithm, const char *input)
{
	return ask(uid, "POST", "/sign", V_OLD,
	    "{\"keyHandle\":\"%s\",\"algorithm\":\"%s\",\"parameters\":{\"%s\":\"%s\"}}", handle,
	    algorithm, input, strcmp(input, "digest") == 0 ? DIGEST : TEXT);
}

static unsigned
encrypt(uid_t uid, const char *handle, const char *algorithm, const char *plain)
{
	return ask(uid, "POST", "/encrypt", V, "{\"keyHandle\":\"%s\",\"algorithm\":\"%s\","
	    "\"parameters\":{\"iv\":\"AAAAAAAAAAAAAAAA\",\"aad\":\"\"},\"plaintext\":\"%s\"}", handle, algorithm, plain);
}

static unsigned
parameter(const char *handle, const char *name, const char *version)
{
	AUTO_BUF path = { 0 };

	buf_printf(&path, "/parameters/%s", name);
	return ask(ROOT, "POST", buf_str(&path), version, "{\"keyHandle\":\"%s\"}", handle);
}

/* --- tests --- */

static void
a_pair_is_made_loaded_used_moved_and_deleted(void **state)
{
	char *h = create_pair(ROOT, "device-id", "rsa-9:ec-p256:*"), *moved;

	(void)state;
	assert_int_equal(ask(ROOT, "GET", "/keypair/device-id", V_OLD, NULL), 200);
	assert_int_equal(sign(ROOT, h, "ECDSA", "digest"), 200);
	assert_true(strlen(member("signature")) > 80);
	assert_int_equal(parameter(h, "algorithm", V), 200);
	assert_string_equal(member("value"), "ECDSA");
	assert_int_equal(parameter(h, "ec-curve-oid", V), 200);
	assert_string_equal(member("value"), "BggqhkjOPQMBBw==");
	assert_int_equal(parameter(h, "ec-point", V), 200);
	assert_int_equal(strlen(member("value")), 44); /* 33 octets */
	assert_int_equal(parameter(h, "spki", OWN), 200);
	assert_int_equal(parameter(h, "spki", V), 400);
	assert_int_equal(parameter(h, "rsa-modulus", V), 400);
	assert_int_equal(parameter(h, "colour", V), 400);
	assert_int_equal(ask(ROOT, "POST", "/keypair/device-id", V, "{\"from\":\"device-id\"}"), 400);
	assert_true(says("source and destination for move are identical"));
	assert_int_equal(ask(ROOT, "POST", "/keypair/edged/ca", V, "{\"from\":\"device-id\"}"), 204);
	assert_int_equal(ask(ROOT, "GET", "/keypair/device-id", V, NULL), 400);
	assert_int_equal(sign(ROOT, h, "ECDSA", "digest"), 400);
	assert_int_equal(ask(ROOT, "GET", "/keypair/edged%2Fca", V, NULL), 200);
	moved = take_handle();
	assert_int_equal(ask(ROOT, "DELETE", "/key", V, "{\"keyHandle\":\"%s\"}", moved), 400);
	assert_int_equal(ask(ROOT, "DELETE", "/keypair", V, "{\"keyHandle\":\"%s\"}", moved), 204);
	assert_null(answer);
	assert_int_equal(ask(ROOT, "GET", "/keypair/edged/ca", V, NULL), 400);
	mem_free(h);
	mem_free(moved);
}

static void
every_algorithm_is_made_and_does_what_is_its_own(void **state)
{
	static const struct {
		const char *preferred, *algorithm;
		unsigned ecdsa, eddsa, pkcs1;
	} rows[] = {
		{ "ec-p384", "ECDSA", 200, 400, 400 }, { "ec-p521", "ECDSA", 200, 400, 400 }, { "ed25519", "ED25519", 400, 200,
		    400 },
		{ "rsa-2048:*", "RSA", 400, 400, 200 }, { "*", "ECDSA", 200, 400, 400 },
	};

	(void)state;
	for (size_t i = 0; i < N_OF(rows); i++) {
		AUTO_BUF id = { 0 };
		char *h;

		buf_printf(&id, "key-%zu", i);
		h = create_pair(ROOT, buf_str(&id), rows[i].preferred);
		assert_int_equal(parameter(h, "algorithm", V), 200);
		assert_string_equal(member("value"), rows[i].algorithm);
		assert_int_equal(sign(ROOT, h, "ECDSA", "digest"), rows[i].ecdsa);
		assert_int_equal(sign(ROOT, h, "EdDSA", "message"), rows[i].eddsa);
		assert_int_equal(encrypt(ROOT, h, "RSA-PKCS1", DIGEST), rows[i].pkcs1);
		assert_int_equal(encrypt(ROOT, h, "RSA-NO-PADDING", DIGEST), 400); /* too short, or no RSA */
		assert_int_equal(sign(ROOT, h, "HMAC-SHA256", "message"), 400);
		assert_true(says("parameter \"mechanism\" has an invalid value"));
		mem_free(h);
	}
	assert_int_equal(ask(ROOT, "POST", "/keypair", V, "{\"keyId\":\"x\",\"preferredAlgorithms\":\"dsa:rsa-512\"}"), 400);
	assert_int_equal(ask(ROOT, "POST", "/keypair", V, "{\"keyId\":\"x\",\"preferredAlgorithms\":null}"), 200);
}

static void
a_symmetric_key_signs_derives_exports_and_seals(void **state)
{
	char *h = create_key(ROOT, "master", "derive,encrypt"), *derived, *sealed;
	AUTO_BUF mac = { 0 };

	(void)state;
	assert_int_equal(ask(ROOT, "POST", "/derivedkey", V,
	    "{\"baseKeyHandle\":\"%s\",\"derivationData\":\"" TEXT "\"}", h), 200);
	derived = take_handle();
	assert_int_equal(ask(ROOT, "POST", "/derivedkey/export", V, "{\"keyHandle\":\"%s\"}", derived), 200);
	buf_put_str(&mac, member("key"));
	assert_int_equal(sign(ROOT, h, "HMAC-SHA256", "message"), 200);
	assert_string_equal(member("signature"), buf_str(&mac));
	assert_int_equal(ask(ROOT, "POST", "/derivedkey/export", V, "{\"keyHandle\":\"%s\"}", h), 400);
	assert_int_equal(ask(ROOT, "POST", "/derivedkey", V, "{\"baseKeyHandle\":\"%s\",\"derivationData\":\"\"}",
	    derived), 400);
	assert_int_equal(ask(ROOT, "DELETE", "/key", V, "{\"keyHandle\":\"%s\"}", derived), 400);
	assert_int_equal(encrypt(ROOT, derived, "AEAD", TEXT), 200);
	sealed = mem_strdup(member("ciphertext"));
	assert_int_equal(ask(ROOT, "POST", "/decrypt", V, "{\"keyHandle\":\"%s\",\"algorithm\":\"AEAD\",\"parameters\":"
	    "{\"iv\":\"AAAAAAAAAAAAAAAA\",\"aad\":\"\"},\"ciphertext\":\"%s\"}", derived, sealed), 200);
	assert_string_equal(member("plaintext"), TEXT);
	assert_int_equal(ask(ROOT, "POST", "/decrypt", V, "{\"keyHandle\":\"%s\",\"algorithm\":\"AEAD\",\"parameters\":"
	    "{\"iv\":\"AAAAAAAAAAAAAAAA\",\"aad\":\"\"},\"ciphertext\":\"%s\"}", h, sealed), 400);
	assert_int_equal(ask(ROOT, "POST", "/decrypt", V, "{\"keyHandle\":\"%s\",\"algorithm\":\"RSA-PKCS1\","
	    "\"ciphertext\":\"AAAA\"}", h), 400);
	assert_int_equal(ask(ROOT, "POST", "/key/other", V, "{\"from\":\"master\"}"), 400);
	assert_true(says("invalid type \"key\""));
	assert_int_equal(ask(ROOT, "DELETE", "/key", V, "{\"keyHandle\":\"%s\"}", h), 204);
	assert_int_equal(ask(ROOT, "POST", "/derivedkey/export", V, "{\"keyHandle\":\"%s\"}", derived), 400);
	mem_free(h);
	mem_free(derived);
	mem_free(sealed);
}

static void
a_key_is_used_for_what_it_was_made_for_alone(void **state)
{
	char *enc = create_key(ROOT, "enc", "encrypt"), *sig = create_key(ROOT, "sig", "sign");

	(void)state;
	assert_int_equal(sign(ROOT, enc, "HMAC-SHA256", "message"), 400);
	assert_int_equal(ask(ROOT, "POST", "/derivedkey", V, "{\"baseKeyHandle\":\"%s\",\"derivationData\":\"\"}", enc),
	    400);
	assert_int_equal(encrypt(ROOT, enc, "AEAD", TEXT), 200);
	assert_int_equal(sign(ROOT, sig, "HMAC-SHA256", "message"), 200);
	assert_int_equal(encrypt(ROOT, sig, "AEAD", TEXT), 400);
	assert_int_equal(ask(ROOT, "POST", "/key", V, "{\"keyId\":\"u\",\"usage\":\"sign,wrap\"}"), 422);
	assert_int_equal(ask(ROOT, "POST", "/key", V, "{\"keyId\":\"u\"}"), 422);
	assert_int_equal(ask(ROOT, "POST", "/key", V, "{\"keyId\":\"u\",\"usage\":\"sign\",\"keyBytes\":\"!\"}"), 422);
	assert_int_equal(ask(ROOT, "POST", "/key", V, "{\"keyId\":\"u\",\"usage\":\"sign\",\"keyBytes\":\"SmVmZQ==\"}"),
	    200);
	mem_free(enc);
	mem_free(sig);
}

static void
what_is_asked_wrongly_is_refused_in_the_known_words(void **state)
{
	(void)state;
	assert_int_equal(ask(ROOT, "GET", "/keypair/nothing", V, NULL), 400);
	assert_true(says("a parameter has an invalid value"));
	assert_int_equal(sign(ROOT, "sr=AAAA&sig=AAAA", "ECDSA", "digest"), 400);
	assert_string_equal(member("message"), "parameter \"handle\" has an invalid value\ncaused by: invalid handle");
	assert_int_equal(ask(ROOT, "PUT", "/keypair", V, "{}"), 400);
	assert_string_equal(member("message"), "method not allowed");
	assert_int_equal(ask(ROOT, "GET", "/keys", V, NULL), 404);
	assert_int_equal(ask(ROOT, "POST", "/handle", V, "{}"), 404);
	assert_int_equal(ask(ROOT, "GET", "/nothing", V, NULL), 404);
	assert_int_equal(ask(ROOT, "GET", "/keypair/x", "2019-01-01", NULL), 400);
	assert_int_equal(ask(ROOT, "POST", "/keypair", V, "{\"keyId\":1}"), 422);
	assert_int_equal(ask(ROOT, "POST", "/keypair", V, "{\"keyId\":\"\"}"), 400);
	assert_int_equal(ask(ROOT, "POST", "/sign", V, "{\"keyHandle\":\"x\",\"algorithm\":\"MD5\",\"parameters\":{}}"),
	    422);
	assert_int_equal(ask(ROOT, "POST", "/sign", V, "{\"keyHandle\":\"x\",\"algorithm\":\"ECDSA\"}"), 422);
	assert_int_equal(ask(ROOT, "POST", "/generation/x", OWN, "{\"op\":\"undo\"}"), 422);
}

static void
preloaded_and_token_keys_say_what_they_are(void **state)
{
	(void)state;
	assert_int_equal(ask(ROOT, "POST", "/keypair", V, "{\"keyId\":\"k-given\"}"), 400);
	assert_true(says("preloaded"));
	assert_int_equal(ask(ROOT, "GET", "/keypair/k-token", V, NULL), 400);
	assert_true(says("no such back end is installed"));
	assert_false(says("4711"));
	assert_int_equal(ask(ROOT, "GET", "/keys", OWN, NULL), 200);
	assert_int_equal(json_array_size(json_object_get(answer, "keys")), 2);
}

/* H1: whoever reached it could make handles for every key. */
static void
handle_key_is_refused_to(uid_t uid)
{
	static const char id[] = KEYD_HANDLE_KEY_ID;

	assert_int_equal(ask(uid, "POST", "/keypair", V, "{\"keyId\":\"%s\"}", id), 401);
	assert_int_equal(ask(uid, "GET", "/keypair/handle-validation-key", V, NULL), 401);
	assert_int_equal(ask(uid, "GET", "/key/handle%2Dvalidation%2Dkey", V, NULL), 401);
	assert_int_equal(ask(uid, "GET", "/key/handle-validation-key", V, NULL), 401);
	assert_int_equal(ask(uid, "POST", "/key", V, "{\"keyId\":\"%s\",\"usage\":\"sign\"}", id), 401);
	assert_int_equal(ask(uid, "POST", "/key", V, "{\"keyId\":\"%s\",\"usage\":\"sign\",\"keyBytes\":\"QUFB\"}", id),
	    401);
	assert_int_equal(ask(uid, "POST", "/keypair/y", V, "{\"from\":\"%s\"}", id), 401);
	assert_int_equal(ask(uid, "POST", "/keypair/handle-validation-key", V, "{\"from\":\"x\"}"), 401);
	assert_int_equal(ask(uid, "GET", "/generation/handle-validation-key", OWN, NULL), 401);
	assert_int_equal(ask(uid, "POST", "/generation/handle-validation-key", OWN, "{\"op\":\"prove\"}"), 401);
	assert_int_equal(ask(uid, "POST", "/generation/x", OWN, "{\"op\":\"switch\",\"from\":\"%s\",\"spki\":\"\"}",
	    id), 401);
	assert_int_equal(ask(uid, "DELETE", "/quarantine/handle-validation-key", OWN, NULL), 401);
}

static void
nobody_reaches_the_handle_key(void **state)
{
	char *h = create_pair(ROOT, "x", "*");

	(void)state;
	handle_key_is_refused_to(ROOT);
	if (as_root)
		handle_key_is_refused_to(WILDCARD);
	assert_int_equal(sign(ROOT, h, "ECDSA", "digest"), 200);
	mem_free(h);
}

static void
users_reach_what_is_theirs(void **state)
{
	char *h;

	(void)state;
	if (!as_root)
		skip();
	h = create_pair(OWNER, "m-1", "*");
	assert_int_equal(ask(OWNER, "GET", "/keypair/m-1", V, NULL), 200);
	assert_int_equal(ask(STRANGER, "GET", "/keypair/m-1", V, NULL), 401);
	assert_string_equal(member("message"), "user 1002 is not authorized to access the key m-1");
	assert_int_equal(ask(STRANGER, "POST", "/keypair", V, "{\"keyId\":\"m-2\"}"), 401);
	assert_int_equal(ask(STRANGER, "POST", "/key", V, "{\"keyId\":\"m-2\",\"usage\":\"sign\"}"), 401);
	assert_int_equal(ask(STRANGER, "POST", "/keypair/k-1", V, "{\"from\":\"m-1\"}"), 401);
	assert_int_equal(ask(OWNER, "POST", "/keypair/x-1", V, "{\"from\":\"m-1\"}"), 401);
	assert_int_equal(ask(STRANGER, "POST", "/generation/m-1", OWN, "{\"op\":\"rollback\"}"), 401);
	assert_int_equal(ask(STRANGER, "DELETE", "/quarantine/m-1", OWN, NULL), 401);
	assert_int_equal(ask(STRANGER, "GET", "/keys", OWN, NULL), 200);
	assert_int_equal(json_array_size(json_object_get(answer, "keys")), 2); /* k-given, k-token */
	assert_int_equal(ask(OWNER, "GET", "/keys", OWN, NULL), 200);
	assert_int_equal(json_array_size(json_object_get(answer, "keys")), 3);
	mem_free(h);
}

/* H2: also for one who may use the key by a handle of his own. */
static void
a_handle_is_of_no_use_to_another_user(void **state)
{
	char *h, *m;

	(void)state;
	if (!as_root)
		skip();
	h = create_pair(OWNER, "k-1", "*");
	m = create_key(OWNER, "m-1", "derive,encrypt");
	assert_int_equal(sign(STRANGER, h, "ECDSA", "digest"), 403);
	assert_int_equal(ask(STRANGER, "POST", "/parameters/spki", OWN, "{\"keyHandle\":\"%s\"}", h), 403);
	assert_int_equal(ask(STRANGER, "DELETE", "/keypair", V, "{\"keyHandle\":\"%s\"}", h), 403);
	assert_int_equal(ask(STRANGER, "POST", "/derivedkey", V, "{\"baseKeyHandle\":\"%s\",\"derivationData\":\"\"}",
	    m), 403);
	assert_int_equal(encrypt(STRANGER, m, "AEAD", TEXT), 403);
	assert_int_equal(ask(STRANGER, "POST", "/decrypt", V, "{\"keyHandle\":\"%s\",\"algorithm\":\"AEAD\",\"parameters\":"
	    "{\"iv\":\"AAAA\",\"aad\":\"\"},\"ciphertext\":\"AAAA\"}", m), 403);
	assert_int_equal(ask(STRANGER, "POST", "/handle", OWN, "{\"keyHandle\":\"%s\",\"uid\":1002}", h), 403);
	assert_int_equal(sign(OWNER, h, "ECDSA", "digest"), 200);
	assert_int_equal(sign(ROOT, h, "ECDSA", "digest"), 200);
	mem_free(h);
	mem_free(m);
}

static void
handles_are_made_for_others_by_those_who_may(void **state)
{
	char *h, *given, *held;

	(void)state;
	if (!as_root)
		skip();
	h = create_pair(OWNER, "m-1", "*");
	assert_int_equal(ask(OWNER, "POST", "/handle", OWN, "{\"keyHandle\":\"%s\",\"uid\":1002}", h), 403);
	assert_int_equal(ask(ROOT, "POST", "/handle", OWN, "{\"keyHandle\":\"%s\",\"uid\":-1}", h), 422);
	assert_int_equal(ask(ROOT, "POST", "/handle", OWN, "{\"keyHandle\":\"%s\",\"uid\":1002}", h), 200);
	given = take_handle();
	assert_int_equal(sign(STRANGER, given, "ECDSA", "digest"), 200); /* on root's right: he has none of his own */
	assert_int_equal(sign(OWNER, given, "ECDSA", "digest"), 403);
	/* A service exchanges a caller's handle for one of its own, on the caller's right; a stolen one does not go. */
	assert_int_equal(sign(AGENT, h, "ECDSA", "digest"), 403);
	assert_int_equal(ask(AGENT, "POST", "/handle", OWN, "{\"keyHandle\":\"%s\",\"uid\":1003,\"holder\":1002}", h), 403);
	assert_int_equal(ask(AGENT, "POST", "/handle", OWN, "{\"keyHandle\":\"%s\",\"uid\":1003,\"holder\":0}", h), 403);
	assert_int_equal(ask(AGENT, "POST", "/handle", OWN, "{\"keyHandle\":\"%s\",\"uid\":1002,\"holder\":1001}", h), 400);
	assert_int_equal(ask(AGENT, "POST", "/handle", OWN, "{\"keyHandle\":\"%s\",\"uid\":1003,\"holder\":1001}", h), 200);
	held = take_handle();
	assert_int_equal(sign(AGENT, held, "ECDSA", "digest"), 200);
	assert_int_equal(ask(AGENT, "GET", "/keypair/m-1", V, NULL), 401);
	mem_free(h);
	mem_free(given);
	mem_free(held);
}

static void
generations_are_switched_proved_and_rolled_back(void **state)
{
	char *old = create_pair(ROOT, "id", "*"), *next = create_pair(ROOT, "id-temp", "*");
	AUTO_BUF spki = { 0 };

	(void)state;
	assert_int_equal(parameter(next, "spki", OWN), 200);
	buf_put_str(&spki, member("value"));
	for (int i = 0; i < 2; i++) {
		assert_int_equal(ask(ROOT, "POST", "/generation/id", OWN,
		    "{\"op\":\"switch\",\"from\":\"id-temp\",\"spki\":\"%s\"}",
		    buf_str(&spki)), 200);
		assert_int_equal(json_int(answer, "generation", 0), 2);
		assert_true(json_flag(answer, "previous", false));
	}
	assert_int_equal(sign(ROOT, old, "ECDSA", "digest"), 200);
	assert_int_equal(ask(ROOT, "POST", "/generation/id", OWN, "{\"op\":\"rollback\"}"), 200);
	assert_int_equal(json_int(answer, "generation", 0), 1);
	assert_int_equal(ask(ROOT, "POST", "/generation/id", OWN, "{\"op\":\"rollback\"}"), 400);
	assert_int_equal(ask(ROOT, "GET", "/generation/id", OWN, NULL), 200);
	assert_false(json_flag(answer, "previous", true));
	assert_int_equal(ask(ROOT, "POST", "/generation/id", OWN, "{\"op\":\"prove\"}"), 200);
	mem_free(old);
	mem_free(next);
}

static void
handles_survive_a_kill_and_a_restart(void **state)
{
	char *h = create_pair(ROOT, "id", "*");

	(void)state;
	(void)stop(SIGKILL);
	start();
	assert_int_equal(sign(ROOT, h, "ECDSA", "digest"), 200);
	mem_free(h);
}

static void
a_damaged_key_is_a_server_error_until_it_is_given_up(void **state)
{
	char name[STEM_MAX], file[PLACE_MAX + STEM_MAX + 8];
	struct err e;

	(void)state;
	mem_free(create_pair(ROOT, "id", "*"));
	assert_int_equal(stem_name(name, "id", ".key", &e), 0);
	(void)snprintf(file, sizeof(file), "%s/keys/%s", place.home, name);
	assert_int_equal(file_write(file, bytes_of(""), 0600, &e), 0);
	assert_int_equal(ask(ROOT, "GET", "/keypair/id", V, NULL), 500);
	assert_int_equal(ask(ROOT, "POST", "/keypair", V, "{\"keyId\":\"id\"}"), 500);
	assert_int_equal(ask(ROOT, "POST", "/keypair", V, "{\"keyId\":\"id\"}"), 500);
	assert_string_equal(member("message"), "internal error");
	assert_int_equal(ask(ROOT, "DELETE", "/quarantine/id", OWN, NULL), 204);
	assert_int_equal(ask(ROOT, "DELETE", "/quarantine/id", OWN, NULL), 400);
	mem_free(create_pair(ROOT, "id", "*"));
}

static void
the_configuration_is_read_again_on_sighup(void **state)
{
	char *h;

	(void)state;
	if (!as_root)
		skip();
	h = create_pair(OWNER, "k-1", "*");
	scratch_write("etc/aziot/keyd/config.toml", "[[principal]]\nuid = 1002\nkeys = [\"k-*\"]\n");
	assert_int_equal(kill(service, SIGHUP), 0);
	wait_for(log_fd, "Config update finished.");
	assert_int_equal(ask(OWNER, "GET", "/keypair/k-1", V, NULL), 401);
	assert_int_equal(sign(OWNER, h, "ECDSA", "digest"), 401); /* the handle ends with the right it stands on */
	scratch_write("etc/aziot/keyd/config.toml", "[[principal]\n");
	assert_int_equal(kill(service, SIGHUP), 0);
	wait_for(log_fd, "The configuration was not taken");
	assert_int_equal(ask(STRANGER, "GET", "/keypair/k-1", V, NULL), 200);
	mem_free(h);
}

static void
sigterm_ends_it_well_and_a_second_one_on_the_same_home_does_not_start(void **state)
{
	int status;
	pid_t second = fork();

	(void)state;
	if (second == 0) {
		(void)close(STDERR_FILENO);
		_exit(keyd_main(&place));
	}
	assert_int_equal(waitpid(second, &status, 0), second);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 1);
	assert_int_equal(ask(ROOT, "GET", "/keys", OWN, NULL), 200); /* and it did not take the socket */
	assert_int_equal(kill(service, SIGTERM), 0);
	wait_for(log_fd, "Stopped server.");
	assert_int_equal(waitpid(service, &status, 0), service);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	(void)close(log_fd);
	start();
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, begin, end)
	const struct CMUnitTest tests[] = {
		T(a_pair_is_made_loaded_used_moved_and_deleted),
		T(every_algorithm_is_made_and_does_what_is_its_own),
		T(a_symmetric_key_signs_derives_exports_and_seals),
		T(a_key_is_used_for_what_it_was_made_for_alone),
		T(what_is_asked_wrongly_is_refused_in_the_known_words),
		T(preloaded_and_token_keys_say_what_they_are),
		T(nobody_reaches_the_handle_key),
		T(users_reach_what_is_theirs),
		T(a_handle_is_of_no_use_to_another_user),
		T(handles_are_made_for_others_by_those_who_may),
		T(generations_are_switched_proved_and_rolled_back),
		T(handles_survive_a_kill_and_a_restart),
		T(a_damaged_key_is_a_server_error_until_it_is_given_up),
		T(the_configuration_is_read_again_on_sighup),
		T(sigterm_ends_it_well_and_a_second_one_on_the_same_home_does_not_start),
	};
	int failed = cmocka_run_group_tests_name("service", tests, NULL, NULL);

	json_decref(answer);
	return failed;
}
