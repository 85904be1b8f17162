/* SPDX-License-Identifier: Apache-2.0 */
/* signer/test_service.c - the signer as the authority sees it: over a pipe */
#include "server/signer/service.h"

#include "dir.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "core/base/clock.h"
#include "core/pki/cert.h"
#include "core/pki/ossl.h"
#include "core/sys/pipe.h"
#include "server/signer/custody.h"

#define NOW INT64_C(1800000000)

/*
 * The signer under test: in this process for the tests of signer_sign(), in a child that
 * serves it for those of the pipe.  fd is the authority's end, body its last answer's.
 */
static struct {
	struct loop *loop;
	struct signer *signer;
	pid_t child;
	int fd, old_fd;
	uint64_t asked;
	struct buf body;
} t;

static void
open_signer(void)
{
	struct err e = { 0 };

	t.loop = loop_new();
	if (signer_new(&t.signer, t.loop, dir, &e) != 0)
		fail_msg("%s", e.msg);
}

static int
set_up(void **state)
{
	memset(&t, 0, sizeof(t));
	t.fd = t.old_fd = -1;
	if (make_dir(state) != 0)
		return -1;
	open_signer();
	return 0;
}

/* In the child: serve the second of two authorities, as after the first one's restart. */
static void
serve(int first, int second)
{
	open_signer();
	signer_attach(t.signer, first);
	signer_attach(t.signer, second);
	(void)loop_run(t.loop);
}

static int
set_up_served(void **state)
{
	int old[2], new[2];

	memset(&t, 0, sizeof(t));
	if (make_dir(state) != 0 || pipe_pair(old, NULL) != 0 || pipe_pair(new, NULL) != 0)
		return -1;
	t.child = fork();
	if (t.child == 0) {
		(void)close(old[1]);
		(void)close(new[1]);
		serve(old[0], new[0]);
		_exit(1);
	}
	(void)close(old[0]);
	(void)close(new[0]);
	t.old_fd = old[1];
	t.fd = new[1];
	return t.child < 0 || fcntl(t.fd, F_SETFL, 0) != 0 || fcntl(t.old_fd, F_SETFL, 0) != 0;
}

static int
tear_down(void **state)
{
	fd_autoclose(&t.fd);
	fd_autoclose(&t.old_fd);
	if (t.child > 0) {
		(void)kill(t.child, SIGKILL);
		(void)waitpid(t.child, NULL, 0);
	}
	signer_free(t.signer);
	loop_free(t.loop);
	buf_free(&t.body);
	return drop_dir(state);
}

/* Send and wait for the answer; its type, or 0 when the pipe was closed instead. */
static uint32_t
ask(uint32_t type, const struct buf *body)
{
	static uint8_t packet[8192];
	AUTO_BUF b = { 0 };
	struct wire w;
	uint32_t answer;
	ssize_t n;

	wire_put_u32(&b, type);
	wire_put_u64(&b, ++t.asked);
	wire_put_bytes(&b, bytes_of_buf(body));
	assert_int_equal(send(t.fd, b.p, b.n, 0), b.n);
	n = recv(t.fd, packet, sizeof(packet), 0);
	if (n <= 0)
		return 0;
	w = wire_open((struct bytes){ packet, (size_t)n });
	answer = wire_u32(&w);
	assert_true(wire_u64(&w) == t.asked);
	buf_reset(&t.body);
	buf_put_bytes(&t.body, wire_bytes(&w, sizeof(packet)));
	return answer;
}

static uint32_t
ask_keygen(const struct proto_keygen *want)
{
	AUTO_BUF body = { 0 };

	proto_put_keygen(&body, want);
	return ask(PROTO_KEYGEN, &body);
}

static uint32_t
ask_by_id(uint32_t type, const char *id)
{
	AUTO_BUF body = { 0 };

	wire_put_str(&body, id);
	return ask(type, &body);
}

static uint32_t
ask_key(const char *id)
{
	return ask_by_id(PROTO_KEY_GET, id);
}

static uint32_t
ask_sign(const char *id, enum proto_what what, struct bytes tbs)
{
	AUTO_BUF body = { 0 };

	wire_put_str(&body, id);
	wire_put_u8(&body, (uint8_t)what);
	wire_put_bytes(&body, tbs);
	return ask(PROTO_SIGN, &body);
}

static int
refused_code(void)
{
	struct wire w = wire_open(bytes_of_buf(&t.body));
	int code = (int)(int32_t)wire_u32(&w);
	char why[PROTO_TEXT_MAX];

	wire_str(&w, why, sizeof(why));
	assert_int_equal(wire_end(&w, "refusal", NULL), 0);
	assert_string_not_equal(why, "");
	return code;
}

/* The SPKI of the answer; borrowed from it. */
static struct bytes
answered_key(const char *id, enum key_type type)
{
	struct wire w = wire_open(bytes_of_buf(&t.body));
	struct bytes spki;
	char got[PROTO_NAME_MAX];

	wire_str(&w, got, sizeof(got));
	assert_string_equal(got, id);
	assert_int_equal(wire_u8(&w), type);
	spki = wire_bytes(&w, KEY_SPKI_MAX);
	assert_int_equal(wire_end(&w, "key", NULL), 0);
	return spki;
}

static void
build_cert(struct buf *out, int64_t now, int64_t lifetime, bool ca)
{
	static const uint8_t name[] = { 0x30, 0x00 }, serial[] = { 5 };
	static const uint8_t spki[] = { 0x30, 0x0c, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x03, 0x00, 0xaa, 0xbb };
	struct cert_want w = { .serial = { serial, 1 }, .issuer = { name, 2 }, .subject = { name, 2 },
		.spki = { spki, sizeof(spki) }, .not_before = now, .not_after = now + lifetime, .ca = ca,
		.pathlen = -1, .ku = ca ? KU_KEY_CERT_SIGN : KU_DIGITAL_SIGNATURE, .sig_alg = OID_ECDSA_SHA256 };

	cert_build_tbs(out, &w);
}

static void
build_crl(struct buf *out, uint64_t number)
{
	static const uint8_t name[] = { 0x30, 0x00 }, id[] = { 5 };

	crl_build_tbs(out, (struct bytes){ name, 2 }, (struct bytes){ id, 1 }, OID_ECDSA_SHA256, NOW, NOW + DAYS,
	    number, NULL, 0);
}

static void
a_key_is_made_shown_and_signs_what_verifies(void **state)
{
	struct proto_keygen want = keygen("issuing");
	AUTO_BUF spki = { 0 };
	AUTO_BUF tbs = { 0 };
	AUTO_OSSL(EVP_PKEY) pub = NULL;
	struct wire w;

	(void)state;
	assert_int_equal(ask_keygen(&want), PROTO_KEY);
	buf_put_bytes(&spki, answered_key("issuing", KEY_EC_P256));
	assert_int_equal(ask_key("issuing"), PROTO_KEY);
	assert_true(bytes_equal(answered_key("issuing", KEY_EC_P256), bytes_of_buf(&spki)));
	build_cert(&tbs, clock_now(), DAYS, false);
	assert_int_equal(ask_sign("issuing", PROTO_WHAT_CERT, bytes_of_buf(&tbs)), PROTO_SIGNED);
	w = wire_open(bytes_of_buf(&t.body));
	assert_int_equal(key_public(&pub, KEY_EC_P256, bytes_of_buf(&spki), NULL), 0);
	assert_int_equal(key_verify(pub, KEY_EC_P256, OID_ECDSA_SHA256, bytes_of_buf(&tbs),
	    wire_bytes(&w, KEY_SIG_MAX), NULL), 0);
	assert_int_equal(wire_end(&w, "signature", NULL), 0);
}

static void
an_id_is_made_once(void **state)
{
	struct proto_keygen want = keygen("issuing");

	(void)state;
	assert_int_equal(ask_keygen(&want), PROTO_KEY);
	assert_int_equal(ask_keygen(&want), PROTO_SIGN_REFUSED);
	assert_int_equal(refused_code(), E_EXISTS);
	assert_int_equal(ask_key("issuing"), PROTO_KEY);
}

static void
a_key_that_is_not_there_is_not_found(void **state)
{
	(void)state;
	assert_int_equal(ask_key("none"), PROTO_SIGN_REFUSED);
	assert_int_equal(refused_code(), E_NOTFOUND);
	assert_int_equal(ask_sign("none", PROTO_WHAT_CERT, bytes_of("x")), PROTO_SIGN_REFUSED);
	assert_int_equal(refused_code(), E_NOTFOUND);
}

static void
what_breaks_the_limits_is_refused_over_the_pipe(void **state)
{
	struct proto_keygen want = keygen("issuing");
	AUTO_BUF tbs = { 0 };

	(void)state;
	assert_int_equal(ask_keygen(&want), PROTO_KEY);
	build_cert(&tbs, clock_now(), DAYS, true);
	assert_int_equal(ask_sign("issuing", PROTO_WHAT_CERT, bytes_of_buf(&tbs)), PROTO_SIGN_REFUSED);
	assert_int_equal(refused_code(), E_POLICY);
	assert_int_equal(ask_sign("issuing", (enum proto_what)3, bytes_of_buf(&tbs)), PROTO_SIGN_REFUSED);
	assert_int_equal(refused_code(), E_FORMAT);
}

static void
a_key_is_dropped_until_it_has_signed_for_others(void **state)
{
	struct proto_keygen want = keygen("issuing");
	AUTO_BUF tbs = { 0 };

	(void)state;
	assert_int_equal(ask_keygen(&want), PROTO_KEY);
	build_cert(&tbs, clock_now(), DAYS, false);
	assert_int_equal(ask_sign("issuing", PROTO_WHAT_CERT, bytes_of_buf(&tbs)), PROTO_SIGNED);
	assert_int_equal(ask_by_id(PROTO_KEY_DROP, "issuing"), PROTO_KEY);
	(void)answered_key("issuing", KEY_EC_P256);
	assert_int_equal(ask_key("issuing"), PROTO_SIGN_REFUSED);
	assert_int_equal(ask_by_id(PROTO_KEY_DROP, "issuing"), PROTO_SIGN_REFUSED);
	assert_int_equal(refused_code(), E_NOTFOUND);
	assert_int_equal(ask_keygen(&want), PROTO_KEY);
	for (int i = 0; i < 2; i++)
		assert_int_equal(ask_sign("issuing", PROTO_WHAT_CERT, bytes_of_buf(&tbs)), PROTO_SIGNED);
	assert_int_equal(ask_by_id(PROTO_KEY_DROP, "issuing"), PROTO_SIGN_REFUSED);
	assert_int_equal(refused_code(), E_POLICY);
	assert_int_equal(ask_key("issuing"), PROTO_KEY);
}

static void
malformed_messages_are_refused(void **state)
{
	AUTO_BUF body = { 0 };

	(void)state;
	buf_put_u8(&body, 1);
	assert_int_equal(ask(PROTO_KEYGEN, &body), PROTO_SIGN_REFUSED);
	assert_int_equal(refused_code(), E_FORMAT);
	assert_int_equal(ask(PROTO_KEY_GET, &body), PROTO_SIGN_REFUSED);
	assert_int_equal(refused_code(), E_FORMAT);
	assert_int_equal(ask(PROTO_SIGN, &body), PROTO_SIGN_REFUSED);
	assert_int_equal(refused_code(), E_FORMAT);
	assert_int_equal(ask(PROTO_KEY_DROP, &body), PROTO_SIGN_REFUSED);
	assert_int_equal(refused_code(), E_FORMAT);
}

static void
a_message_that_is_not_for_the_signer_ends_the_pipe(void **state)
{
	AUTO_BUF none = { 0 };

	(void)state;
	assert_int_equal(ask(PROTO_ENROL, &none), 0);
}

static void
a_new_authority_takes_the_place_of_the_old_one(void **state)
{
	char c;

	(void)state;
	assert_int_equal(recv(t.old_fd, &c, 1, 0), 0);
	assert_int_equal(ask_key("none"), PROTO_SIGN_REFUSED);
}

/* --- without the pipe, with clocks of the test's own --- */

/* Make "issuing", and the signer again over it. */
static void
make_issuing(void)
{
	struct proto_keygen want = keygen("issuing");
	struct custody_key *k = NULL;
	struct custody *c = NULL;

	signer_free(TAKE(t.signer));
	assert_int_equal(custody_open(&c, dir, NULL), 0);
	assert_int_equal(custody_make(&k, c, &want, NULL), 0);
	custody_free(c);
	assert_int_equal(signer_new(&t.signer, t.loop, dir, NULL), 0);
}

static int
sign(enum proto_what what, const struct buf *tbs, uint64_t now_ms, struct buf *sig)
{
	return signer_sign(t.signer, "issuing", what, bytes_of_buf(tbs), NOW, now_ms, sig, NULL);
}

static void
the_rate_of_a_key_holds(void **state)
{
	AUTO_BUF tbs = { 0 };
	AUTO_BUF sig = { 0 };
	int n = 0, r;

	(void)state;
	make_issuing();
	build_cert(&tbs, NOW, DAYS, false);
	while ((r = sign(PROTO_WHAT_CERT, &tbs, 5000, &sig)) == 0)
		n++;
	assert_int_equal(r, E_UNAVAIL);
	assert_int_equal(n, 20); /* ten seconds' worth of two a second */
	assert_int_equal(sign(PROTO_WHAT_CERT, &tbs, 5500, &sig), 0);
}

static void
a_refused_order_costs_nothing_of_the_rate(void **state)
{
	AUTO_BUF bad = { 0 };
	AUTO_BUF good = { 0 };
	AUTO_BUF sig = { 0 };

	(void)state;
	make_issuing();
	build_cert(&bad, NOW, 31 * DAYS, false);
	build_cert(&good, NOW, DAYS, false);
	for (int i = 0; i < 50; i++)
		assert_int_equal(sign(PROTO_WHAT_CERT, &bad, 5000, &sig), E_POLICY);
	assert_int_equal(sig.n, 0);
	assert_int_equal(sign(PROTO_WHAT_CERT, &good, 5000, &sig), 0);
}

static void
a_crl_number_is_signed_once_also_after_a_restart(void **state)
{
	AUTO_BUF seven = { 0 };
	AUTO_BUF eight = { 0 };
	AUTO_BUF sig = { 0 };

	(void)state;
	make_issuing();
	build_crl(&seven, 7);
	build_crl(&eight, 8);
	assert_int_equal(sign(PROTO_WHAT_CRL, &seven, 0, &sig), 0);
	assert_int_equal(sign(PROTO_WHAT_CRL, &seven, 0, &sig), E_POLICY);
	signer_free(TAKE(t.signer));
	assert_int_equal(signer_new(&t.signer, t.loop, dir, NULL), 0);
	assert_int_equal(sign(PROTO_WHAT_CRL, &seven, 0, &sig), E_POLICY);
	assert_int_equal(sign(PROTO_WHAT_CRL, &eight, 0, &sig), 0);
}

static void
a_crl_whose_number_cannot_be_kept_is_not_signed(void **state)
{
	AUTO_BUF tbs = { 0 };
	AUTO_BUF sig = { 0 };

	(void)state;
	make_issuing();
	assert_int_equal(file_mkdir(in_dir("issuing.crl"), 0700, NULL), 0); /* in the way of the file */
	build_crl(&tbs, 7);
	assert_int_equal(sign(PROTO_WHAT_CRL, &tbs, 0, &sig), E_IO);
	assert_int_equal(sig.n, 0);
	assert_int_equal(rmdir(in_dir("issuing.crl")), 0);
	assert_int_equal(sign(PROTO_WHAT_CRL, &tbs, 0, &sig), 0);
}

#define TEST(f)   cmocka_unit_test_setup_teardown(f, set_up, tear_down)
#define SERVED(f) cmocka_unit_test_setup_teardown(f, set_up_served, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		SERVED(a_key_is_made_shown_and_signs_what_verifies),
		SERVED(an_id_is_made_once),
		SERVED(a_key_that_is_not_there_is_not_found),
		SERVED(what_breaks_the_limits_is_refused_over_the_pipe),
		SERVED(a_key_is_dropped_until_it_has_signed_for_others),
		SERVED(malformed_messages_are_refused),
		SERVED(a_message_that_is_not_for_the_signer_ends_the_pipe),
		SERVED(a_new_authority_takes_the_place_of_the_old_one),
		TEST(the_rate_of_a_key_holds),
		TEST(a_refused_order_costs_nothing_of_the_rate),
		TEST(a_crl_number_is_signed_once_also_after_a_restart),
		TEST(a_crl_whose_number_cannot_be_kept_is_not_signed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
