/* SPDX-License-Identifier: Apache-2.0 */
/* cli/test_setup.c - when the server's own certificate is still good, and how chains are put together */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "cli/setup.h"
#include "core/pki/cert.h"
#include "tests/unit/core/cmd/capture.h"

#define DAY 86400

/* A key, a self-signed certificate of it for these names, valid for 90 days from 0. */
struct made {
	struct key *key;
	struct buf key_pem, cert_pem;
};

static void
make(struct made *m, const char *first, const char *second)
{
	static const uint8_t serial[] = { 1 };
	struct name subject = { 0 };
	struct sans sans = { 0 };
	AUTO_BUF name = { 0 };
	AUTO_BUF san = { 0 };
	AUTO_BUF tbs = { 0 };
	AUTO_BUF sig = { 0 };
	AUTO_BUF der = { 0 };
	struct cert_want want = { .serial = { serial, 1 }, .not_before = 0, .not_after = 90 * DAY };
	struct err e;

	*m = (struct made){ 0 };
	assert_int_equal(key_generate(&m->key, KEY_EC_P256, &e), 0);
	assert_int_equal(key_to_pem(&m->key_pem, m->key, NULL), 0);
	assert_int_equal(name_add(&subject, OID_CN, "est.example", &e), 0);
	name_encode(&name, &subject);
	assert_int_equal(sans_add_text(&sans, first, &e), 0);
	assert_int_equal(sans_add_text(&sans, second, &e), 0);
	sans_encode(&san, &sans);
	want.issuer = want.subject = bytes_of_buf(&name);
	want.san = bytes_of_buf(&san);
	want.spki = key_spki(m->key);
	want.sig_alg = key_sig_alg(KEY_EC_P256);
	cert_build_tbs(&tbs, &want);
	assert_int_equal(key_sign(&sig, m->key, bytes_of_buf(&tbs), &e), 0);
	cert_assemble(&der, bytes_of_buf(&tbs), want.sig_alg, bytes_of_buf(&sig));
	pem_encode(&m->cert_pem, bytes_of_buf(&der), "CERTIFICATE");
}

static void
drop(struct made *m)
{
	key_free(m->key);
	buf_free(&m->key_pem);
	buf_free(&m->cert_pem);
}

static bool
good(const struct made *m, const struct made *key_of, const char *name, int64_t now)
{
	struct sans wanted = { 0 };
	struct err e;

	assert_int_equal(sans_add_text(&wanted, name, &e), 0);
	return setup_tls_good(bytes_of_buf(&m->cert_pem), bytes_of_buf(&key_of->key_pem), &wanted, now);
}

static void
a_certificate_is_renewed_when_a_third_of_its_life_is_left(void **state)
{
	struct made m;

	(void)state;
	make(&m, "dns:est.example", "ip:127.0.0.1");
	assert_true(good(&m, &m, "dns:est.example", DAY));
	assert_true(good(&m, &m, "ip:127.0.0.1", 59 * DAY));
	assert_false(good(&m, &m, "dns:est.example", 60 * DAY));
	assert_false(good(&m, &m, "dns:est.example", 91 * DAY));
	assert_false(good(&m, &m, "dns:est.example", -1));
	drop(&m);
}

static void
a_certificate_of_other_names_or_another_key_is_not_good(void **state)
{
	struct made m, other;
	struct sans none = { 0 };

	(void)state;
	make(&m, "dns:est.example", "ip:127.0.0.1");
	make(&other, "dns:est.example", "ip:127.0.0.1");
	assert_false(good(&m, &m, "dns:new.example", DAY));
	assert_false(good(&m, &m, "ip:127.0.0.2", DAY));
	assert_false(good(&m, &other, "dns:est.example", DAY));
	assert_false(setup_tls_good(bytes_of(""), bytes_of_buf(&m.key_pem), &none, DAY));
	assert_false(setup_tls_good(bytes_of("torn"), bytes_of("torn"), &none, DAY));
	drop(&m);
	drop(&other);
}

static void
a_chain_has_each_certificate_once_and_the_leaf_first(void **state)
{
	struct made leaf, ca;
	AUTO_JSON issued = json_object();
	AUTO_JSON above = json_object();
	AUTO_BUF out = { 0 };
	AUTO_BUF wanted = { 0 };
	struct err e;

	(void)state;
	make(&leaf, "dns:a.example", "dns:b.example");
	make(&ca, "dns:c.example", "dns:d.example");
	buf_put_bytes(&wanted, bytes_of_buf(&leaf.cert_pem));
	buf_put_bytes(&wanted, bytes_of_buf(&ca.cert_pem));
	json_setf(issued, "pem", "%s", buf_str(&leaf.cert_pem));
	json_setf(issued, "chain_pem", "%s", buf_str(&wanted));
	json_setf(above, "pem", "%s", buf_str(&ca.cert_pem));
	json_setf(above, "chain_pem", "%s", buf_str(&ca.cert_pem));
	assert_int_equal(op_chain(&out, issued, above, &e), 0);
	assert_string_equal(buf_str(&out), buf_str(&wanted));
	drop(&leaf);
	drop(&ca);
}

static void
an_answer_without_a_certificate_makes_no_chain(void **state)
{
	AUTO_JSON empty = json_object();
	AUTO_BUF out = { 0 };
	struct err e;

	(void)state;
	assert_int_equal(op_chain(&out, empty, NULL, &e), E_FORMAT);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_certificate_is_renewed_when_a_third_of_its_life_is_left),
		cmocka_unit_test(a_certificate_of_other_names_or_another_key_is_not_good),
		cmocka_unit_test(a_chain_has_each_certificate_once_and_the_leaf_first),
		cmocka_unit_test(an_answer_without_a_certificate_makes_no_chain),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
