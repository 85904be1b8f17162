/* SPDX-License-Identifier: Apache-2.0 */
/* test_client.c - what a client believes of an answer, and what not */
#include "core/est/client.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "core/base/text.h"
#include "tests/unit/core/est/mint.h"

/* A PKI as small as it can be, and a device's key. */
struct world {
	struct minted root, issuing, server, device, other_root;
};

static int
setup(void **state)
{
	static struct world w;

	w.root = mint(&(struct mint){ .cn = "Root", .ca = true });
	w.other_root = mint(&(struct mint){ .cn = "Other Root", .ca = true });
	w.issuing = mint(&(struct mint){ .cn = "Issuing", .ca = true, .issuer = &w.root });
	w.server = mint(&(struct mint){ .cn = "server", .san = "dns:server.example", .eku = OID_SERVER_AUTH,
	    .issuer = &w.issuing });
	w.device = mint(&(struct mint){ .cn = "pump-7", .san = "dns:pump-7.example", .eku = OID_CLIENT_AUTH,
	    .issuer = &w.issuing });
	*state = &w;
	return 0;
}

static int
teardown(void **state)
{
	struct world *w = *state;

	mint_free(&w->root);
	mint_free(&w->other_root);
	mint_free(&w->issuing);
	mint_free(&w->server);
	mint_free(&w->device);
	return 0;
}

/* A bag of up to four certificates, through the server's encoder. */
static void
bag_of(struct est_bag *bag, const struct minted *a, const struct minted *b, const struct minted *c,
    const struct minted *d)
{
	const struct minted *all[] = { a, b, c, d };
	struct bytes certs[4];
	AUTO_BUF body = { 0 };
	size_t n = 0;

	for (size_t i = 0; i < N_OF(all); i++)
		if (all[i] != NULL)
			certs[n++] = mint_der(all[i]);
	est_certs_body(&body, certs, n, 64);
	assert_int_equal(est_bag_parse(bag, bytes_of_buf(&body), NULL), 0);
	assert_int_equal(bag->n, n);
}

static bool
pem_has(const struct buf *pem, const struct minted *m)
{
	AUTO_BUF one = { 0 };

	mint_pem(&one, m, NULL);
	return pem->n != 0 && memmem(pem->p, pem->n, one.p, one.n) != NULL;
}

/* --- the bag --- */

static void
answers_are_read_as_base64_pem_and_binary(void **state)
{
	struct world *w = *state;
	struct bytes certs[] = { mint_der(&w->root), mint_der(&w->issuing) };
	AUTO_BUF der = { 0 };
	struct buf forms[5] = { { 0 } };

	cms_certs_only(&der, certs, 2);
	est_certs_body(&forms[0], certs, 2, 0);
	est_certs_body(&forms[1], certs, 2, 76);
	pem_encode(&forms[2], bytes_of_buf(&der), "PKCS7");
	pem_encode(&forms[3], bytes_of_buf(&der), "CMS");
	buf_put_bytes(&forms[4], bytes_of_buf(&der));
	for (size_t i = 0; i < N_OF(forms); i++) {
		AUTO_BAG bag = { 0 };

		assert_int_equal(est_bag_parse(&bag, bytes_of_buf(&forms[i]), NULL), 0);
		assert_int_equal(bag.n, 2);
		assert_true(
		    bytes_equal(bag.cert[0], certs[0]) || bytes_equal(bag.cert[1], certs[0]));
	}
	for (size_t i = 0; i < N_OF(forms); i++)
		buf_free(&forms[i]);
}

static void
empty_and_broken_answers_are_refused(void **state)
{
	static const char *const bad[] = { "", "\r\n", "MAA=", "<html></html>",
		"-----BEGIN CERTIFICATE-----\n" };
	AUTO_BUF empty = { 0 };
	AUTO_BAG bag = { 0 };
	struct err e = { 0 };

	(void)state;
	for (size_t i = 0; i < N_OF(bad); i++) {
		assert_int_equal(est_bag_parse(&bag, bytes_of(bad[i]), &e), E_FORMAT);
		assert_int_equal(strncmp(e.msg, "answer: ", 8), 0);
	}
	est_certs_body(&empty, NULL, 0, 64);
	assert_int_equal(est_bag_parse(&bag, bytes_of_buf(&empty), NULL), E_FORMAT);
	assert_int_equal(bag.n, 0);
}

static void
pins_are_sha256_in_hex_with_or_without_colons(void **state)
{
	static const char *const bad[] = { "", "sha256:", "sha1:00", "sha256:zz", NULL };
	uint8_t pin[SHA256_LEN];
	char text[128] = "SHA256:";

	(void)state;
	for (int i = 0; i < 32; i++)
		(void)snprintf(text + strlen(text), 8, "%s%02X", i != 0 ? ":" : "", (unsigned)i);
	assert_int_equal(est_pin_parse(pin, text, NULL), 0);
	assert_int_equal(pin[31], 31);
	(void)strcat(text, "0");
	assert_int_equal(est_pin_parse(pin, text, NULL), E_FORMAT);
	for (size_t i = 0; bad[i] != NULL; i++)
		assert_int_equal(est_pin_parse(pin, bad[i], NULL), E_FORMAT);
}

/* --- trust --- */

static int
trust_by_pin(struct world *w, const struct minted *pinned, const struct minted *server,
    const struct minted *under, struct buf *trust, struct buf *chain)
{
	AUTO_BAG bag = { 0 };
	AUTO_BUF presented = { 0 };
	uint8_t pin[SHA256_LEN];

	sha256(pin, mint_der(pinned));
	bag_of(&bag, &w->root, &w->issuing, &w->other_root, &w->device);
	mint_pem(&presented, server, under);
	return est_bag_trust(trust, chain, &bag, pin, bytes_of_buf(&presented), MINT_NOW, NULL);
}

static void
a_pinned_root_becomes_the_only_anchor(void **state)
{
	struct world *w = *state;
	AUTO_BUF trust = { 0 };
	AUTO_BUF chain = { 0 };

	assert_int_equal(trust_by_pin(w, &w->root, &w->server, &w->issuing, &trust, &chain), 0);
	assert_true(pem_has(&trust, &w->root));
	assert_false(pem_has(&trust, &w->other_root) || pem_has(&trust, &w->issuing));
	assert_true(pem_has(&chain, &w->issuing));
	assert_false(pem_has(&chain, &w->other_root) || pem_has(&chain, &w->device) ||
	    pem_has(&chain, &w->root));
}

static void
a_pinned_intermediate_is_an_anchor_too(void **state)
{
	struct world *w = *state;
	AUTO_BUF trust = { 0 };
	AUTO_BUF chain = { 0 };

	assert_int_equal(trust_by_pin(w, &w->issuing, &w->server, NULL, &trust, &chain), 0);
	assert_true(pem_has(&trust, &w->issuing));
	assert_int_equal(chain.n, 0);
}

static void
expect_no_trust(struct world *w, const struct minted *pinned, const struct minted *server,
    const struct minted *under)
{
	AUTO_BUF trust = { 0 };
	AUTO_BUF chain = { 0 };

	assert_int_equal(trust_by_pin(w, pinned, server, under, &trust, &chain), E_AUTH);
	assert_int_equal(trust.n + chain.n, 0);
}

static void
a_pin_is_refused_that_is_not_in_the_bag_or_no_ca(void **state)
{
	struct world *w = *state;
	struct minted stranger = mint(&(struct mint){ .cn = "Stranger", .ca = true });

	expect_no_trust(w, &stranger, &w->server, &w->issuing);
	expect_no_trust(w, &w->device, &w->server, &w->issuing);
	mint_free(&stranger);
}

static void
a_pin_is_refused_that_the_server_is_not_under(void **state)
{
	struct world *w = *state;
	struct minted rogue = mint(&(struct mint){ .cn = "rogue", .san = "dns:server.example", .eku = OID_SERVER_AUTH,
	    .issuer = &w->other_root });

	/* Anybody can send somebody's public root. */
	expect_no_trust(w, &w->root, &rogue, NULL);
	expect_no_trust(w, &w->other_root, &w->server, &w->issuing);
	/* A device's certificate of the right CA is no server's. */
	expect_no_trust(w, &w->root, &w->device, &w->issuing);
	mint_free(&rogue);
}

static void
only_ca_certificates_under_known_anchors_are_kept(void **state)
{
	struct world *w = *state;
	AUTO_BAG bag = { 0 };
	AUTO_BUF trust = { 0 };
	AUTO_BUF chain = { 0 };

	bag_of(&bag, &w->root, &w->issuing, &w->other_root, &w->device);
	mint_pem(&trust, &w->root, NULL);
	assert_int_equal(est_bag_chain(&chain, &bag, bytes_of_buf(&trust), MINT_NOW, NULL), 0);
	assert_true(pem_has(&chain, &w->issuing));
	assert_false(pem_has(&chain, &w->other_root) || pem_has(&chain, &w->device) ||
	    pem_has(&chain, &w->root));
}

static void
roots_are_self_signed_cas_that_are_valid(void **state)
{
	struct world *w = *state;
	struct minted old = mint(&(struct mint){ .cn = "Old", .ca = true, .to = MINT_NOW - 1 });
	AUTO_BAG bag = { 0 };
	AUTO_BAG none = { 0 };
	AUTO_BUF trust = { 0 };
	struct err e = { 0 };

	bag_of(&bag, &w->root, &w->issuing, &old, &w->device);
	assert_int_equal(est_bag_roots(&trust, &bag, MINT_NOW, &e), 0);
	assert_true(pem_has(&trust, &w->root));
	assert_false(
	    pem_has(&trust, &w->issuing) || pem_has(&trust, &old) || pem_has(&trust, &w->device));
	bag_of(&none, &w->issuing, NULL, NULL, NULL);
	assert_int_equal(est_bag_roots(&trust, &none, MINT_NOW, &e), E_AUTH);
	mint_free(&old);
}

static void
a_new_root_is_taken_only_when_an_old_one_vouches_for_it(void **state)
{
	struct world *w = *state;
	struct minted next = mint(&(struct mint){ .cn = "Root", .ca = true });
	struct minted next_by_old = mint(&(struct mint){ .cn = "Root", .ca = true, .key = next.key, .issuer = &w->root });
	AUTO_BAG alone = { 0 };
	AUTO_BAG vouched = { 0 };
	AUTO_BUF trust = { 0 };
	AUTO_BUF kept = { 0 };
	AUTO_BUF moved = { 0 };
	size_t n = 9;

	mint_pem(&trust, &w->root, NULL);
	bag_of(&alone, &next, &w->root, NULL, NULL);
	assert_int_equal(
	    est_bag_rollover(&kept, &n, &alone, bytes_of_buf(&trust), MINT_NOW, NULL), 0);
	assert_int_equal(n, 0);
	assert_true(bytes_equal(bytes_of_buf(&kept), bytes_of_buf(&trust)));
	bag_of(&vouched, &next, &next_by_old, &w->root, NULL);
	assert_int_equal(
	    est_bag_rollover(&moved, &n, &vouched, bytes_of_buf(&trust), MINT_NOW, NULL), 0);
	assert_int_equal(n, 1);
	assert_true(pem_has(&moved, &w->root) && pem_has(&moved, &next));
	assert_false(pem_has(&moved, &next_by_old));
	mint_free(&next_by_old);
	mint_free(&next);
}

/* Its holder would be rid of the limit, and of whoever can revoke it. */
static void
a_ca_that_its_issuer_has_limited_does_not_become_an_anchor(void **state)
{
	struct world *w = *state;
	struct minted below = mint(&(struct mint){ .cn = "Below", .ca = true, .last = true, .issuer = &w->root });
	struct minted alone = mint(&(struct mint){ .cn = "Below", .ca = true, .key = below.key });
	AUTO_BAG bag = { 0 };
	AUTO_BUF trust = { 0 };
	AUTO_BUF next = { 0 };
	size_t n = 9;

	mint_pem(&trust, &w->root, NULL);
	bag_of(&bag, &alone, &below, &w->root, NULL);
	assert_int_equal(est_bag_rollover(&next, &n, &bag, bytes_of_buf(&trust), MINT_NOW, NULL), 0);
	assert_int_equal(n, 0);
	assert_false(pem_has(&next, &alone));
	mint_free(&alone);
	mint_free(&below);
}

static void
expired_anchors_are_left_behind(void **state)
{
	struct world *w = *state;
	AUTO_BAG bag = { 0 };
	AUTO_BUF trust = { 0 };
	AUTO_BUF next = { 0 };
	struct minted old = mint(&(struct mint){ .cn = "Old", .ca = true, .to = MINT_NOW - 1 });
	size_t n;

	mint_pem(&trust, &old, &w->root);
	bag_of(&bag, &w->root, NULL, NULL, NULL);
	assert_int_equal(
	    est_bag_rollover(&next, &n, &bag, bytes_of_buf(&trust), MINT_NOW, NULL), 0);
	assert_true(pem_has(&next, &w->root));
	assert_false(pem_has(&next, &old));
	mint_free(&old);
}

/* --- what was issued --- */

static int
check_issued_e(struct world *w, const struct est_bag *bag, const struct csr_want *want, int64_t now,
    char note[300], struct buf *pem, struct err *e)
{
	AUTO_BUF trust = { 0 };
	AUTO_BUF chain = { 0 };

	note[0] = 0;
	mint_pem(&trust, &w->root, NULL);
	mint_pem(&chain, &w->issuing, NULL);
	return est_issued_check(pem, bag, key_spki(w->device.key), bytes_of_buf(&trust),
	    bytes_of_buf(&chain), want, now, note, 300, e);
}

static int
check_issued(struct world *w, const struct est_bag *bag, const struct csr_want *want, int64_t now,
    char note[300], struct buf *pem)
{
	return check_issued_e(w, bag, want, now, note, pem, NULL);
}

static void
the_certificate_is_found_by_its_key_not_by_its_place(void **state)
{
	struct world *w = *state;
	AUTO_BAG bag = { 0 };
	AUTO_BUF pem = { 0 };
	AUTO_BUF want = { 0 };
	char note[300];

	bag_of(&bag, &w->root, &w->server, &w->device, &w->issuing);
	assert_int_equal(check_issued(w, &bag, NULL, MINT_NOW, note, &pem), 0);
	mint_pem(&want, &w->device, NULL);
	assert_true(bytes_equal(bytes_of_buf(&pem), bytes_of_buf(&want)));
	assert_string_equal(note, "");
}

/* Refused, and nothing written. */
static void
expect_refused(struct world *w, const struct minted *m, const struct csr_want *want, int64_t now)
{
	AUTO_BAG bag = { 0 };
	AUTO_BUF pem = { 0 };
	char note[300];

	bag_of(&bag, m, NULL, NULL, NULL);
	assert_int_not_equal(check_issued(w, &bag, want, now, note, &pem), 0);
	assert_int_equal(pem.n, 0);
}

static void
certificates_that_a_client_must_not_take_are_refused(void **state)
{
	struct world *w = *state;
	const struct key *key = w->device.key;
	struct minted bad[] = {
		mint(&(struct mint){ .cn = "pump-7", .issuer = &w->issuing }),                              /* another key */
		mint(&(struct mint){ .cn = "pump-7", .key = key, .issuer = &w->other_root }),               /* another CA */
		mint(&(struct mint){ .cn = "pump-7", .key = key, .issuer = &w->server }),                   /* by no CA */
		mint(&(struct mint){ .cn = "pump-7", .key = key, .issuer = &w->issuing, .to = MINT_NOW - EST_SKEW_S - 1 }),
		mint(&(struct mint){ .cn = "pump-7", .key = key, .issuer = &w->issuing, .from = MINT_NOW + EST_SKEW_S + 1 }),
		mint(&(struct mint){ .cn = "pump-7", .key = key, .issuer = &w->issuing, .ca = true }),      /* a CA unasked */
	};
	struct minted self;

	for (size_t i = 0; i < N_OF(bad); i++) {
		expect_refused(w, &bad[i], NULL, MINT_NOW);
		mint_free(&bad[i]);
	}
	self = mint(&(struct mint){ .cn = "pump-7", .key = key });
	expect_refused(w, &self, NULL, MINT_NOW);
	mint_free(&self);
}

static void
the_reason_is_said_once(void **state)
{
	static const char said[] = "answer: certificate: unknown-issuer: ";
	struct world *w = *state;
	struct minted m = mint(&(struct mint){ .cn = "pump-7", .key = w->device.key, .issuer = &w->other_root });
	AUTO_BAG bag = { 0 };
	AUTO_BUF pem = { 0 };
	struct err e = { 0 };
	char note[300];

	bag_of(&bag, &m, NULL, NULL, NULL);
	assert_int_equal(check_issued_e(w, &bag, NULL, MINT_NOW, note, &pem, &e), E_AUTH);
	assert_memory_equal(e.msg, said, sizeof(said) - 1);
	mint_free(&m);
}

static void
clocks_may_differ_by_five_minutes(void **state)
{
	struct world *w = *state;
	struct minted early = mint(&(struct mint){ .cn = "pump-7", .key = w->device.key, .issuer = &w->issuing,
	    .from = MINT_NOW + EST_SKEW_S });
	AUTO_BAG bag = { 0 };
	AUTO_BUF pem = { 0 };
	char note[300];

	bag_of(&bag, &early, NULL, NULL, NULL);
	assert_int_equal(check_issued(w, &bag, NULL, MINT_NOW, note, &pem), 0);
	mint_free(&early);
}

static void
a_ca_certificate_is_taken_when_it_was_asked_for(void **state)
{
	struct world *w = *state;
	struct minted ca = mint(&(struct mint){ .cn = "edge", .key = w->device.key, .issuer = &w->issuing, .ca = true });
	struct csr_want want = { .ca = true };
	AUTO_BAG bag = { 0 };
	AUTO_BAG plain = { 0 };
	AUTO_BUF pem = { 0 };
	char note[300];

	bag_of(&bag, &ca, NULL, NULL, NULL);
	assert_int_equal(check_issued(w, &bag, &want, MINT_NOW, note, &pem), 0);
	assert_string_equal(note, "");
	bag_of(&plain, &w->device, NULL, NULL, NULL);
	assert_int_equal(check_issued(w, &plain, &want, MINT_NOW, note, &pem), 0);
	assert_non_null(strstr(note, "no CA"));
	mint_free(&ca);
}

static void
names_chosen_by_the_server_are_told(void **state)
{
	struct world *w = *state;
	struct name subject = { 0 };
	struct sans sans = { 0 };
	struct csr_want want = { .subject = &subject, .sans = &sans };
	AUTO_BAG bag = { 0 };
	AUTO_BUF pem = { 0 };
	char note[300];

	bag_of(&bag, &w->device, NULL, NULL, NULL);
	mint_must(name_add(&subject, OID_CN, "pump-7", NULL));
	assert_int_equal(check_issued(w, &bag, &want, MINT_NOW, note, &pem), 0);
	assert_non_null(strstr(note, "pump-7.example"));
	mint_must(sans_add_text(&sans, "dns:PUMP-7.example", NULL));
	assert_int_equal(check_issued(w, &bag, &want, MINT_NOW, note, &pem), 0);
	assert_string_equal(note, "");
	subject.ava[0].value[5] = '8';
	assert_int_equal(check_issued(w, &bag, &want, MINT_NOW, note, &pem), 0);
	assert_non_null(strstr(note, "CN=pump-7"));
}

static void
the_chain_leads_upwards_without_the_root(void **state)
{
	struct world *w = *state;
	AUTO_BUF leaf = { 0 };
	AUTO_BUF chain = { 0 };
	AUTO_BUF path = { 0 };
	AUTO_BUF want = { 0 };

	mint_pem(&leaf, &w->device, NULL);
	mint_pem(&chain, &w->root, &w->issuing);
	pem_encode(&chain, mint_der(&w->other_root), "CERTIFICATE");
	mint_pem(&want, &w->issuing, NULL);
	assert_int_equal(est_chain_path(&path, bytes_of_buf(&leaf), bytes_of_buf(&chain), NULL), 0);
	assert_true(bytes_equal(bytes_of_buf(&path), bytes_of_buf(&want)));
}

/* --- renewal --- */

static void
expect_renewal(const struct minted *old, const char *challenge, const struct key *key)
{
	AUTO_BUF der = { 0 };
	struct cert c;
	struct csr csr;

	mint_must(cert_parse(&c, mint_der(old), NULL));
	assert_int_equal(est_renewal_build(&der, &c, challenge, key, NULL), 0);
	assert_int_equal(csr_parse(&csr, bytes_of_buf(&der), NULL), 0);
	assert_true(bytes_equal(csr.spki, key_spki(key)));
	assert_non_null(memmem(der.p, der.n, c.subject_der.p, c.subject_der.n));
	assert_true(name_equal(&csr.subject, &c.subject));
	assert_int_equal(csr.has_san, c.has_san);
	assert_true(sans_equal(&csr.sans, &c.sans));
	assert_int_equal(csr.wants_ca, c.ca);
	assert_int_equal(csr.has_challenge, challenge != NULL);
	if (challenge != NULL)
		assert_string_equal(csr.challenge, challenge);
	assert_int_equal(csr.n_eku, 0);
	buf_reset(&der);
	assert_int_equal(est_renewal_build_client(&der, &c, challenge, key, NULL), 0);
	assert_int_equal(csr_parse(&csr, bytes_of_buf(&der), NULL), 0);
	assert_true(csr.n_eku == 1 && csr.eku[0] == OID_CLIENT_AUTH && sans_equal(&csr.sans, &c.sans));
}

static void
a_renewal_repeats_the_names_of_the_certificate(void **state)
{
	struct world *w = *state;
	struct minted nameless = mint(&(struct mint){ .san = "uri:urn:x:1", .issuer = &w->issuing });
	struct minted plain = mint(&(struct mint){ .cn = "no san", .issuer = &w->issuing });

	expect_renewal(&w->device, "b3BlbnNzbA==", w->device.key);
	expect_renewal(&w->device, NULL, w->server.key);
	expect_renewal(&w->issuing, "dGVzdA==", w->issuing.key);
	expect_renewal(&nameless, NULL, nameless.key);
	expect_renewal(&plain, NULL, plain.key);
	mint_free(&nameless);
	mint_free(&plain);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(answers_are_read_as_base64_pem_and_binary),
		cmocka_unit_test(empty_and_broken_answers_are_refused),
		cmocka_unit_test(pins_are_sha256_in_hex_with_or_without_colons),
		cmocka_unit_test(a_pinned_root_becomes_the_only_anchor),
		cmocka_unit_test(a_pinned_intermediate_is_an_anchor_too),
		cmocka_unit_test(a_pin_is_refused_that_is_not_in_the_bag_or_no_ca),
		cmocka_unit_test(a_pin_is_refused_that_the_server_is_not_under),
		cmocka_unit_test(only_ca_certificates_under_known_anchors_are_kept),
		cmocka_unit_test(roots_are_self_signed_cas_that_are_valid),
		cmocka_unit_test(a_new_root_is_taken_only_when_an_old_one_vouches_for_it),
		cmocka_unit_test(a_ca_that_its_issuer_has_limited_does_not_become_an_anchor),
		cmocka_unit_test(expired_anchors_are_left_behind),
		cmocka_unit_test(the_certificate_is_found_by_its_key_not_by_its_place),
		cmocka_unit_test(certificates_that_a_client_must_not_take_are_refused),
		cmocka_unit_test(the_reason_is_said_once),
		cmocka_unit_test(clocks_may_differ_by_five_minutes),
		cmocka_unit_test(a_ca_certificate_is_taken_when_it_was_asked_for),
		cmocka_unit_test(names_chosen_by_the_server_are_told),
		cmocka_unit_test(the_chain_leads_upwards_without_the_root),
		cmocka_unit_test(a_renewal_repeats_the_names_of_the_certificate),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
