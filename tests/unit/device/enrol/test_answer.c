/* SPDX-License-Identifier: Apache-2.0 */
/* test_answer.c - what an EST server may issue to us, and what it may not */
#include "device/enrol/answer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "tests/unit/core/est/mint.h"
#include "tests/unit/device/enrol/keyring_fake.h"

#define HOUR 3600

static struct minted root, issuing, stranger, mine;

static int
setup(void **state)
{
	(void)state;
	root = mint(&(struct mint){ .cn = "Root", .ca = true });
	issuing = mint(&(struct mint){ .cn = "Issuing", .ca = true, .issuer = &root });
	stranger = mint(&(struct mint){ .cn = "Root", .ca = true }); /* the same name, another key */
	mine = mint(&(struct mint){ .cn = "pump-7", .issuer = &issuing });
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	mint_free(&root);
	mint_free(&issuing);
	mint_free(&stranger);
	mint_free(&mine);
	return 0;
}

static void
bag_of(struct est_bag *bag, const struct minted *const *certs, size_t n)
{
	*bag = (struct est_bag){ .n = n };
	for (size_t i = 0; i < n; i++)
		buf_put_bytes(&bag->der, mint_der(certs[i]));
	for (size_t i = 0, at = 0; i < n; at += bag->cert[i++].n)
		bag->cert[i] = (struct bytes){ bag->der.p + at, certs[i]->der.n };
}

/* One answer, and what must come of it. */
struct row {
	const char *what;
	struct mint issued;         /* key: mine; issuer: issuing, when NULL */
	const char *subject, *san;  /* asked for; subject NULL: "CN=pump-7", san NULL: none */
	const char *old_cn, *old_san;
	bool self, other_key, ca, any_name;
	const char *check;          /* "" when it passes */
	const char *note;           /* a part of it; NULL: none may be there */
};

static void
judge(const struct row *row)
{
	struct mint m = row->issued;
	struct minted issued, old = { 0 };
	const struct minted *certs[2] = { &issuing, &issued };
	struct job_result r = { 0 };
	struct sans sans = { 0 };
	struct name subject;
	struct cert c;
	AUTO_BUF anchors = { 0 };
	AUTO_BUF leaf = { 0 };
	AUTO_BAG bag = { 0 };
	struct answer_want w = { .spki = key_spki(mine.key), .subject = &subject, .sans = &sans, .ca = row->ca,
		.any_name = row->any_name };

	m.key = row->other_key ? NULL : mine.key;
	m.issuer = row->self ? NULL : m.issuer != NULL ? m.issuer : &issuing;
	issued = mint(&m);
	assert_int_equal(name_from_text(&subject, row->subject != NULL ? row->subject : "CN=pump-7", NULL), 0);
	if (row->san != NULL)
		assert_int_equal(sans_add_text(&sans, row->san, NULL), 0);
	if (row->old_cn != NULL) {
		old = mint(&(struct mint){ .cn = row->old_cn, .san = row->old_san, .issuer = &issuing });
		assert_int_equal(cert_parse(&c, mint_der(&old), NULL), 0);
		w.old = &c;
	}
	mint_pem(&anchors, &root, NULL);
	bag_of(&bag, certs, 2);
	(void)!answer_judge(&leaf, &r, &bag, &w, &(struct answer_trust){ bytes_of_buf(&anchors), { NULL, 0 } }, MINT_NOW);
	if (strcmp(r.check, row->check) != 0)
		fail_msg("%s: '%s' instead of '%s' (%s)", row->what, r.check, row->check, r.text);
	assert_int_equal(r.outcome, row->check[0] == 0 ? JOB_DONE : JOB_BAD_ANSWER);
	assert_true((leaf.n != 0) == (row->check[0] == 0));
	if (row->note == NULL ? r.note[0] != 0 : strstr(r.note, row->note) == NULL)
		fail_msg("%s: note '%s'", row->what, r.note);
	mint_free(&issued);
	mint_free(&old);
}

static const struct row rows[] = {
	{ .what = "what was asked for", .issued = { .cn = "pump-7" }, .check = "" },
	{ .what = "another key", .issued = { .cn = "pump-7" }, .other_key = true, .check = "wrong-key" },
	/* names */
	{ .what = "another subject", .issued = { .cn = "pump-8" }, .check = "wrong-name" },
	{ .what = "a longer name is another", .issued = { .cn = "pump-77" }, .check = "wrong-name" },
	{ .what = "a hyphen makes another name", .issued = { .cn = "pump-7-b" }, .check = "wrong-name" },
	{ .what = "the server may choose", .issued = { .cn = "pump-8" }, .any_name = true, .check = "", .note = "chose subject" },
	{ .what = "a template around the name", .issued = { .cn = "pump-7 Edge CA" }, .check = "", .note = "completed the subject" },
	{ .what = "case does not matter", .issued = { .cn = "PUMP-7" }, .check = "" },
	{ .what = "no subject and no name", .issued = { .cn = NULL, .san = "dns:other.example" }, .check = "wrong-name" },
	{ .what = "no subject, the name is alternative", .issued = { .cn = NULL, .san = "dns:pump-7" }, .check = "",
	  .note = "completed the subject" },
	{ .what = "an attribute was left out", .subject = "CN=pump-7,O=Example", .issued = { .cn = "pump-7" }, .check = "",
	  .note = "completed the subject" },
	{ .what = "a foreign alternative name", .issued = { .cn = "pump-7", .san = "dns:hub.example" }, .check = "wrong-name" },
	{ .what = "an address nobody asked for", .issued = { .cn = "pump-7", .san = "ip:192.0.2.1" }, .check = "wrong-name" },
	{ .what = "a foreign alternative name, allowed", .issued = { .cn = "pump-7", .san = "dns:hub.example" }, .any_name = true,
	  .check = "", .note = "chose alternative names" },
	{ .what = "an alternative name made of ours", .issued = { .cn = "pump-7", .san = "dns:pump-7.lab.example" }, .check = "" },
	{ .what = "an alternative name asked for", .san = "dns:hub.example", .issued = { .cn = "pump-7", .san = "dns:HUB.example" },
	  .check = "" },
	{ .what = "an alternative name left out", .san = "dns:hub.example", .issued = { .cn = "pump-7" }, .check = "",
	  .note = "missing" },
	{ .what = "the old one's alternative name", .old_cn = "pump-7", .old_san = "dns:hub.example",
	  .issued = { .cn = "pump-7", .san = "dns:hub.example" }, .check = "" },
	{ .what = "the old one's subject", .old_cn = "pump-9", .issued = { .cn = "pump-9" }, .check = "",
	  .note = "completed the subject" },
	{ .what = "a serial number as the name", .subject = "serialNumber=42", .issued = { .cn = "42" }, .check = "",
	  .note = "completed the subject" },
	{ .what = "a serial number, another one", .subject = "serialNumber=42", .issued = { .cn = "43" }, .check = "wrong-name" },
	{ .what = "nothing that names a device", .subject = "O=Example", .issued = { .cn = "pump-7" }, .check = "wrong-name" },
	/* dates */
	{ .what = "ended", .issued = { .cn = "pump-7", .to = MINT_NOW - HOUR }, .check = "expired" },
	{ .what = "ended just now, by our clock", .issued = { .cn = "pump-7", .to = MINT_NOW - 60 }, .check = "" },
	{ .what = "to come", .issued = { .cn = "pump-7", .from = MINT_NOW + HOUR }, .check = "not-yet-valid" },
	{ .what = "begins in a moment, by our clock", .issued = { .cn = "pump-7", .from = MINT_NOW + 60 }, .check = "" },
	/* powers */
	{ .what = "a CA that nobody asked for", .issued = { .cn = "pump-7", .ca = true }, .check = "is-a-ca" },
	{ .what = "a CA", .issued = { .cn = "pump-7", .ca = true }, .ca = true, .check = "" },
	{ .what = "no CA", .issued = { .cn = "pump-7" }, .ca = true, .check = "", .note = "no CA certificate" },
	/* chain */
	{ .what = "self-signed", .issued = { .cn = "pump-7" }, .self = true, .check = "untrusted" },
	{ .what = "by a CA of the same name", .issued = { .cn = "pump-7", .issuer = &stranger }, .check = "untrusted" },
};

static void
each_answer_is_taken_or_refused_by_its_check(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_OF(rows); i++)
		judge(&rows[i]);
}

static void
a_body_that_is_no_bag_has_a_check_of_its_own(void **state)
{
	static const struct { const char *body, *check; } bodies[] = {
		{ "", "empty" }, { "<html>", "garbage" }, { "AAAA", "garbage" }, { "MIIB", "garbage" },
	};

	(void)state;
	for (size_t i = 0; i < N_OF(bodies); i++) {
		struct job_result r = { 0 };
		AUTO_BAG bag = { 0 };

		assert_int_not_equal(answer_parse(&bag, &r, bytes_of(bodies[i].body)), 0);
		assert_int_equal(r.outcome, JOB_BAD_ANSWER);
		assert_string_equal(r.check, bodies[i].check);
	}
}

static void
a_bag_of_too_many_is_refused(void **state)
{
	struct bytes certs[EST_BAG_MAX + 1];
	struct minted many[EST_BAG_MAX + 1];
	struct job_result r = { 0 };
	AUTO_BUF body = { 0 };
	AUTO_BAG bag = { 0 };

	(void)state;
	for (size_t i = 0; i < N_OF(certs); i++) {
		many[i] = mint(&(struct mint){ .cn = "x", .key = mine.key, .issuer = &issuing });
		certs[i] = mint_der(&many[i]);
	}
	cms_certs_in_order(&body, certs, N_OF(certs));
	assert_int_not_equal(answer_parse(&bag, &r, bytes_of_buf(&body)), 0);
	assert_string_equal(r.check, "too-big");
	for (size_t i = 0; i < N_OF(certs); i++)
		mint_free(&many[i]);
}

/* The CNs of a PEM text, a blank after each. */
static void
cns(struct buf *out, struct bytes pem)
{
	struct bytes part[16];
	AUTO_BUF der = { 0 };
	struct cert c;
	size_t n = 0;

	assert_int_equal(pem_decode_all(&der, part, &n, N_OF(part), pem, "CERTIFICATE", NULL), 0);
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(cert_parse(&c, part[i], NULL), 0);
		buf_printf(out, "%s ", name_get(&c.subject, OID_CN));
	}
}

static void
the_chain_is_ordered_without_repetition_and_without_strange_roots(void **state)
{
	struct minted other = mint(&(struct mint){ .cn = "Other", .ca = true, .issuer = &root });
	struct minted forged = mint(&(struct mint){ .cn = "Forged", .ca = true });
	const struct minted *answered[] = { &forged, &issuing, &mine };
	const struct minted *cas[] = { &root, &other, &forged, &issuing, &root };
	struct job_result r = { 0 };
	AUTO_BUF anchors = { 0 };
	AUTO_BUF between = { 0 };
	AUTO_BUF leaf = { 0 };
	AUTO_BUF got = { 0 };
	AUTO_BAG a = { 0 };
	AUTO_BAG b = { 0 };
	struct answer_trust t;

	(void)state;
	mint_pem(&anchors, &root, NULL);
	mint_pem(&between, &other, &issuing);
	mint_pem(&leaf, &mine, NULL);
	t = (struct answer_trust){ bytes_of_buf(&anchors), bytes_of_buf(&between) };
	bag_of(&a, answered, N_OF(answered));
	bag_of(&b, cas, N_OF(cas));
	assert_int_equal(answer_chain(&r, bytes_of_buf(&leaf), &a, &b, &t, bytes_of_buf(&anchors), MINT_NOW), 0);
	cns(&got, bytes_of_buf(&r.chain));
	assert_string_equal(buf_str(&got), "pump-7 Issuing Root Other ");
	assert_non_null(strstr(r.note, "extra-roots: 2 "));
	job_result_clear(&r);
	mint_free(&other);
	mint_free(&forged);
}

static void
an_anchor_that_is_no_root_stands_in_the_chain(void **state)
{
	const struct minted *answered[] = { &mine };
	const struct est_bag none = { 0 };
	struct job_result r = { 0 };
	AUTO_BUF anchors = { 0 };
	AUTO_BUF leaf = { 0 };
	AUTO_BUF got = { 0 };
	AUTO_BAG a = { 0 };
	struct answer_trust t;

	(void)state;
	mint_pem(&anchors, &issuing, NULL);
	mint_pem(&leaf, &mine, NULL);
	t = (struct answer_trust){ bytes_of_buf(&anchors), { NULL, 0 } };
	bag_of(&a, answered, 1);
	assert_int_equal(answer_chain(&r, bytes_of_buf(&leaf), &a, &none, &t, bytes_of_buf(&anchors), MINT_NOW), 0);
	cns(&got, bytes_of_buf(&r.chain));
	assert_string_equal(buf_str(&got), "pump-7 Issuing ");
	assert_string_equal(r.note, "");
	job_result_clear(&r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_answer_is_taken_or_refused_by_its_check),
		cmocka_unit_test(a_body_that_is_no_bag_has_a_check_of_its_own),
		cmocka_unit_test(a_bag_of_too_many_is_refused),
		cmocka_unit_test(the_chain_is_ordered_without_repetition_and_without_strange_roots),
		cmocka_unit_test(an_anchor_that_is_no_root_stands_in_the_chain),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
