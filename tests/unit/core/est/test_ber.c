/* SPDX-License-Identifier: Apache-2.0 */
/* test_ber.c - answers of indefinite length */
#include "core/est/ber.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

#include "core/est/client.h"
#include "tests/unit/core/est/mint.h"

static void
put_oid(struct buf *b, enum oid o)
{
	der_put_oid(b, oid_contents(o));
}

static void
put(struct buf *b, const char *octets, size_t n)
{
	buf_put(b, octets, n);
}
#define PUT(b, literal) put((b), (literal), sizeof(literal) - 1)

/* certs-only with every length indefinite that can be. */
static void
message(struct buf *b, struct bytes cert)
{
	PUT(b, "\x30\x80");
	put_oid(b, OID_SIGNED_DATA);
	PUT(b, "\xa0\x80\x30\x80\x02\x01\x01\x31\x00\x30\x80");
	put_oid(b, OID_DATA);
	PUT(b, "\x00\x00\xa0\x80");
	buf_put_bytes(b, cert);
	PUT(b, "\x00\x00\x31\x00\x00\x00\x00\x00\x00\x00");
}

static void
an_answer_of_indefinite_length_gives_its_certificate_octet_for_octet(void **state)
{
	struct minted m = mint(&(struct mint){ .cn = "a" });
	AUTO_BUF ber = { 0 };
	AUTO_BUF der = { 0 };
	AUTO_BUF same = { 0 };
	AUTO_BAG bag = { 0 };
	struct bytes cert = mint_der(&m);

	(void)state;
	message(&ber, cert);
	assert_true(ber_is_indefinite(bytes_of_buf(&ber)));
	assert_int_equal(ber_to_definite(&der, bytes_of_buf(&ber), NULL), 0);
	cms_certs_only(&same, &cert, 1);
	assert_true(bytes_equal(bytes_of_buf(&der), bytes_of_buf(&same)));
	assert_int_equal(est_bag_parse(&bag, bytes_of_buf(&ber), NULL), 0);
	assert_int_equal(bag.n, 1);
	assert_true(bytes_equal(bag.cert[0], cert));
	mint_free(&m);
}

static void
what_is_definite_stays_as_it_is(void **state)
{
	struct minted m = mint(&(struct mint){ .cn = "a" });
	AUTO_BUF out = { 0 };

	(void)state;
	assert_false(ber_is_indefinite(mint_der(&m)));
	assert_int_equal(ber_to_definite(&out, mint_der(&m), NULL), 0);
	assert_true(bytes_equal(bytes_of_buf(&out), mint_der(&m)));
	mint_free(&m);
}

static void
a_cut_or_longer_answer_is_refused(void **state)
{
	struct minted m = mint(&(struct mint){ .cn = "a" });
	AUTO_BUF ber = { 0 };

	(void)state;
	message(&ber, mint_der(&m));
	for (size_t n = 0; n < ber.n; n++) {
		AUTO_BUF out = { 0 };

		assert_int_equal(ber_to_definite(&out, bytes_slice(bytes_of_buf(&ber), 0, n), NULL), E_FORMAT);
	}
	buf_put_u8(&ber, 0);
	buf_reset(&m.der);
	assert_int_equal(ber_to_definite(&m.der, bytes_of_buf(&ber), NULL), E_FORMAT);
	mint_free(&m);
}

static void
what_no_encoder_writes_is_refused(void **state)
{
	static const struct { const char *octets; size_t n; } bad[] = {
		{ "\x04\x80\x00\x00", 4 },           /* primitive and indefinite */
		{ "\x3f\x21\x01\x00", 4 },           /* a tag number above 30 */
		{ "\x30\x85\x00\x00\x00\x00\x00", 7 },
		{ "\x30\x80\x00\x01\x00\x00", 6 },   /* the end-of-contents tag with contents */
		{ "\x30\x05\x04\x10\x00\x00\x00", 7 },
		{ "\x30", 1 },
	};
	AUTO_BUF deep = { 0 };
	AUTO_BUF many = { 0 };
	AUTO_BUF out = { 0 };

	(void)state;
	for (size_t i = 0; i < N_OF(bad); i++)
		assert_int_equal(ber_to_definite(&out, (struct bytes){ (const uint8_t *)bad[i].octets, bad[i].n }, NULL), E_FORMAT);
	for (int i = 0; i < 100000; i++)
		PUT(&deep, "\x30\x80");
	assert_int_equal(ber_to_definite(&out, bytes_of_buf(&deep), NULL), E_FORMAT);
	PUT(&many, "\x30\x80");
	for (int i = 0; i < DER_ITEMS_MAX; i++)
		PUT(&many, "\x05\x00");
	PUT(&many, "\x00\x00");
	assert_int_equal(ber_to_definite(&out, bytes_of_buf(&many), NULL), E_FORMAT);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_answer_of_indefinite_length_gives_its_certificate_octet_for_octet),
		cmocka_unit_test(what_is_definite_stays_as_it_is),
		cmocka_unit_test(a_cut_or_longer_answer_is_refused),
		cmocka_unit_test(what_no_encoder_writes_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
