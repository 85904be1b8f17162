/* SPDX-License-Identifier: Apache-2.0 */
/* proto/test_proto.c - bodies of messages go round unchanged, and no wrong one gets in */
#include "server/proto/proto.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "core/base/mem.h"
#include "core/base/text.h"

static const uint8_t spki[] = { 0x30, 0x03, 0x03, 0x01, 0x00 };

/* A decoder without its type: 0 when the body is good. */
typedef int (*decode_fn)(struct bytes body);

static int
decode_enrol(struct bytes body)
{
	static struct proto_enrol v;

	return proto_get_enrol(&v, body, NULL);
}

static int
decode_enrolled(struct bytes body)
{
	struct proto_enrolled v;

	return proto_get_enrolled(&v, body, NULL);
}

static int
decode_label(struct bytes body)
{
	struct proto_label v;

	return proto_get_label(&v, body, NULL);
}

static int
decode_keygen(struct bytes body)
{
	struct proto_keygen v;

	return proto_get_keygen(&v, body, NULL);
}

/* Good whole; bad when cut at any length, and with an octet more. */
static void
check_lengths(struct buf *b, decode_fn decode)
{
	assert_false(b->over);
	assert_int_equal(decode(bytes_of_buf(b)), 0);
	for (size_t n = 0; n < b->n; n++) {
		uint8_t *cut = mem_dup(b->p, n);

		assert_int_equal(decode((struct bytes){ cut, n }), E_FORMAT);
		mem_free(cut);
	}
	buf_put_u8(b, 0);
	assert_int_equal(decode(bytes_of_buf(b)), E_FORMAT);
}

static void
add_ava(struct name *n, enum oid type, const char *value)
{
	n->ava[n->n].type = type;
	(void)snprintf(n->ava[n->n++].value, NAME_VALUE_MAX, "%s", value);
}

static void
add_san(struct sans *s, enum san_kind kind, const char *value, size_t n)
{
	s->san[s->n].kind = kind;
	s->san[s->n].n = n;
	memcpy(s->san[s->n++].value, value, n);
}

static struct proto_enrol *
enrol(void)
{
	static struct proto_enrol v;

	v = (struct proto_enrol){
		.id = "r0123456789abcdef01234567", .op = EST_SIMPLEREENROLL, .label = "pumps",
		.address = "2001:db8::1", .tls = "TLSv1.3 TLS_AES_256_GCM_SHA384",
		.cert_state = TRUST_OK, .anchor = 7, .cert_detail = "", .has_cert = 1,
		.cert_sha256 = { 1, 2, 3 }, .cert_serial = "0a1b",
		.cert_not_before = 7, .cert_not_after = INT64_MAX, .cert_ra = 1, .auth = EST_AUTH_BASIC, .user = "u", .password = "p\xc3\xa4ss",
		.secret_state = PROTO_SECRET_PRESENT, .secret = "s", .pop = PROTO_POP_OK, .notes = "PEM armour",
		.csr = { .has_san = true, .key_type = KEY_EC_P256, .spki = { spki, sizeof(spki) },
			.wants_ca = true, .has_key_usage = true,
			.key_usage = 0x1ff, .n_eku = 2, .eku = { OID_CLIENT_AUTH, OID_UNKNOWN }, .n_other_ext = 3,
			.critical_unknown = true, .has_challenge = true, .changes_subject = true },
	};
	add_ava(&v.cert_subject, OID_CN, "pump-7");
	add_ava(&v.csr.subject, OID_CN, "pump-7");
	add_ava(&v.csr.subject, OID_EMAIL, "pump@example.com");
	add_san(&v.cert_sans, SAN_DNS, "pump.example", 12);
	add_san(&v.csr.sans, SAN_IP, "\xc0\x00\x02\x07", 4);
	add_san(&v.csr.sans, SAN_OTHER, "\x00\x01", 2);
	return &v;
}

static struct buf
enrol_body(const struct proto_enrol *v)
{
	struct buf b = { 0 };

	proto_put_enrol(&b, v);
	return b;
}

static void
an_enrolment_goes_round_unchanged(void **state)
{
	static struct proto_enrol got;
	const struct proto_enrol *v = enrol();
	AUTO_BUF b = enrol_body(v);
	AUTO_BUF again = { 0 };
	uint8_t digest[SHA256_LEN];

	(void)state;
	memset(&got, 0x5a, sizeof(got));
	assert_int_equal(proto_get_enrol(&got, bytes_of_buf(&b), NULL), 0);
	assert_true(bytes_equal(got.csr.spki, v->csr.spki));
	assert_true(got.csr.spki.p > b.p && got.csr.spki.p < b.p + b.n); /* borrowed */
	got.csr.spki = v->csr.spki;
	again = enrol_body(&got); /* names too */
	assert_true(bytes_equal(bytes_of_buf(&again), bytes_of_buf(&b)));
	assert_true(name_equal(&got.csr.subject, &v->csr.subject) && sans_equal(&got.csr.sans, &v->csr.sans));
	assert_true(name_equal(&got.cert_subject, &v->cert_subject) && sans_equal(&got.cert_sans, &v->cert_sans));
	assert_string_equal(got.cert_sans.san[0].value, "pump.example"); /* text, whatever stood there before */
	assert_string_equal(got.id, v->id);
	assert_int_equal(got.op, v->op);
	assert_string_equal(got.label, v->label);
	assert_string_equal(got.address, v->address);
	assert_string_equal(got.tls, v->tls);
	assert_int_equal(got.cert_state, v->cert_state);
	assert_int_equal(got.anchor, v->anchor);
	assert_memory_equal(got.cert_sha256, v->cert_sha256, SHA256_LEN);
	assert_string_equal(got.cert_serial, v->cert_serial);
	assert_true(got.cert_not_before == v->cert_not_before && got.cert_not_after == v->cert_not_after);
	assert_int_equal(got.cert_ra, 1);
	assert_int_equal(got.auth, v->auth);
	assert_string_equal(got.user, v->user);
	assert_string_equal(got.password, v->password);
	assert_int_equal(got.secret_state, v->secret_state);
	assert_string_equal(got.secret, v->secret);
	assert_int_equal(got.pop, v->pop);
	assert_string_equal(got.notes, v->notes);
	assert_int_equal(got.csr_status, 0);
	assert_int_equal(got.csr.key_usage, 0x1ff);
	assert_int_equal(got.csr.n_eku, 2);
	assert_int_equal(got.csr.eku[0], OID_CLIENT_AUTH);
	assert_int_equal(got.csr.n_other_ext, 3);
	assert_true(got.csr.wants_ca && got.csr.has_key_usage && got.csr.critical_unknown &&
	    got.csr.has_challenge && got.csr.changes_subject);
	sha256(digest, v->csr.spki); /* made here, whatever the sender would say */
	assert_memory_equal(got.csr.spki_sha256, digest, SHA256_LEN);
	assert_string_equal(got.csr.challenge, "");
}

static void
an_enrolment_of_any_other_length_is_refused(void **state)
{
	AUTO_BUF b = enrol_body(enrol());

	(void)state;
	check_lengths(&b, decode_enrol);
}

static void
a_refused_request_carries_its_reason_in_place_of_a_csr(void **state)
{
	static struct proto_enrol got;
	struct proto_enrol *v = enrol();

	(void)state;
	v->csr_status = 400;
	(void)snprintf(v->csr_reason, sizeof(v->csr_reason), "csr.der");
	(void)snprintf(v->csr_text, sizeof(v->csr_text), "octets after the request");
	AUTO_BUF b = enrol_body(v);
	assert_int_equal(proto_get_enrol(&got, bytes_of_buf(&b), NULL), 0);
	assert_int_equal(got.csr_status, 400);
	assert_string_equal(got.csr_reason, "csr.der");
	assert_string_equal(got.csr_text, "octets after the request");
	assert_int_equal(got.csr.key_type, KEY_NONE);
	assert_int_equal(got.csr.spki.n, 0);
	check_lengths(&b, decode_enrol);
}

static void
the_largest_enrolment_fits_into_an_inline_message(void **state)
{
	struct proto_enrol *v = enrol();
	char full[NAME_VALUE_MAX];

	(void)state;
	memset(full, 'x', sizeof(full) - 1);
	full[sizeof(full) - 1] = 0;
	v->csr.subject.n = v->cert_subject.n = v->csr.sans.n = v->cert_sans.n = 0;
	while (v->csr.subject.n < NAME_AVA_MAX) {
		add_ava(&v->csr.subject, OID_OU, full);
		add_ava(&v->cert_subject, OID_OU, full);
	}
	while (v->csr.sans.n < SAN_MAX) {
		add_san(&v->csr.sans, SAN_DNS, full, NAME_VALUE_MAX - 1);
		add_san(&v->cert_sans, SAN_DNS, full, NAME_VALUE_MAX - 1);
	}
	AUTO_BUF b = enrol_body(v);
	assert_true(b.n < (size_t)64 * 1024);
	assert_int_equal(decode_enrol(bytes_of_buf(&b)), 0);
}

/* Encode v, which has one thing wrong. */
static void
check_bad(const struct proto_enrol *v)
{
	static struct proto_enrol got;
	static const struct proto_enrol zero;
	AUTO_BUF b = enrol_body(v);

	memset(&got, 0x5a, sizeof(got));
	assert_int_equal(proto_get_enrol(&got, bytes_of_buf(&b), NULL), E_FORMAT);
	assert_memory_equal(&got, &zero, sizeof(got)); /* no password of a half-read one stays */
}

#define BAD(field, value) do { \
		struct proto_enrol *bad_ = enrol(); \
		bad_->field = (__typeof__(bad_->field))(value); \
		check_bad(bad_); \
	} while (0)

static void
values_outside_their_range_are_refused(void **state)
{
	(void)state;
	BAD(op, EST_NONE);
	BAD(op, EST_OP_COUNT);
	BAD(cert_state, TRUST_STATE_COUNT);
	BAD(auth, EST_AUTH_MALFORMED + 1);
	BAD(secret_state, PROTO_SECRET_COUNT);
	BAD(pop, PROTO_POP_UNAVAILABLE + 1);
	BAD(csr_status, 200);
	BAD(csr_status, 399);
	BAD(csr_status, 600);
	BAD(csr.key_type, KEY_NONE);
	BAD(csr.key_type, KEY_TYPE_COUNT);
	BAD(csr.eku[1], OID_COUNT);
	BAD(csr.subject.ava[0].type, OID_UNKNOWN);
	BAD(csr.subject.ava[0].type, OID_EMAIL + 1);
	BAD(csr.sans.san[0].kind, SAN_KIND_COUNT);
	BAD(csr.sans.san[0].n, 5);   /* an IP address of five octets */
	BAD(csr.sans.san[0].n, 0);
	BAD(csr.sans.san[0].kind, SAN_DNS); /* its octets are no text */
	BAD(csr.has_san, false);
	BAD(csr.spki.n, 0);
	BAD(csr.subject.ava[1].value[0], 0);
	BAD(csr.subject.ava[1].value[0], '\n');
	BAD(csr.subject.ava[1].value[0], 0xff);
}

static void
a_good_chain_without_a_leaf_or_an_anchor_is_refused(void **state)
{
	(void)state;
	BAD(anchor, TRUST_ANCHOR_NONE);
	BAD(has_cert, 0);
}

static void
a_flag_is_0_or_1(void **state)
{
	const struct proto_label v = { .name = "pumps", .enabled = 1 };
	AUTO_BUF b = { 0 };

	(void)state;
	proto_put_label(&b, &v);
	b.p[4 + 5 + 4 + 4] = 0; /* after its names and the profile's */
	assert_int_equal(decode_label(bytes_of_buf(&b)), 0);
	b.p[4 + 5 + 4 + 4] = 2;
	assert_int_equal(decode_label(bytes_of_buf(&b)), E_FORMAT);
}

static void
an_spki_over_the_limit_is_refused(void **state)
{
	static uint8_t big[KEY_SPKI_MAX + 1];
	struct proto_enrol *v = enrol();

	(void)state;
	v->csr.spki = (struct bytes){ big, sizeof(big) };
	check_bad(v);
}

static void
a_label_goes_round_unchanged(void **state)
{
	const struct proto_label v = { .name = "", .title = "pumps", .profile = "device", .enabled = 1, .pop_required = 1,
		.send_cte = 1, .wrap = 64,
		.wants_basic = 1, .secret_header = "X-Secret", .csrattrs = { spki, 2 }, .cacerts = { spki, 5 },
		.n_bases = 2, .base = { "/est/eu", "/pumps" } };
	struct proto_label got;
	AUTO_BUF b = { 0 };

	(void)state;
	proto_put_label(&b, &v);
	assert_int_equal(proto_get_label(&got, bytes_of_buf(&b), NULL), 0);
	assert_string_equal(got.name, "");
	assert_string_equal(got.title, "pumps");
	assert_string_equal(got.profile, "device");
	assert_string_equal(got.secret_header, "X-Secret");
	assert_true(got.enabled == 1 && got.pop_required == 1 && got.send_cte == 1 && got.wants_basic == 1);
	assert_int_equal(got.wrap, 64);
	assert_true(bytes_equal(got.csrattrs, v.csrattrs) && bytes_equal(got.cacerts, v.cacerts));
	assert_int_equal(got.n_bases, 2);
	assert_string_equal(got.base[0], "/est/eu");
	assert_string_equal(got.base[1], "/pumps");
	check_lengths(&b, decode_label);
}

static void
a_label_with_a_base_path_that_may_not_be_one_is_refused(void **state)
{
	static const char *const bad[] = { "", "/", "est", "/est/", "/../x", "/.well-known/est", "/x/cacerts", "/health" };

	(void)state;
	for (size_t i = 0; i < N_OF(bad); i++) {
		struct proto_label v = { .name = "pumps", .n_bases = 1 };
		AUTO_BUF b = { 0 };

		text_copy(v.base[0], sizeof(v.base[0]), bad[i]);
		proto_put_label(&b, &v);
		assert_int_equal(decode_label(bytes_of_buf(&b)), E_FORMAT);
	}
}

static void
an_answer_goes_round_unchanged(void **state)
{
	struct proto_enrolled v = { .status = 200, .reason = "ok", .n_certs = 8 }, got;
	AUTO_BUF b = { 0 };

	(void)state;
	for (size_t i = 0; i < 8; i++)
		v.cert[i] = (struct bytes){ spki, 1 + i % 5 };
	proto_put_enrolled(&b, &v);
	assert_int_equal(proto_get_enrolled(&got, bytes_of_buf(&b), NULL), 0);
	assert_int_equal(got.status, 200);
	assert_string_equal(got.reason, "ok");
	assert_int_equal(got.n_certs, 8);
	for (size_t i = 0; i < 8; i++)
		assert_true(bytes_equal(got.cert[i], v.cert[i]));
	check_lengths(&b, decode_enrolled);
}

static void
a_refusal_goes_round_unchanged(void **state)
{
	const struct proto_enrolled v = { .status = 503, .reason = "store.down", .text = "try again",
		.retry_after_s = 30, .challenge = 1 };
	struct proto_enrolled got;
	AUTO_BUF b = { 0 };

	(void)state;
	proto_put_enrolled(&b, &v);
	assert_int_equal(proto_get_enrolled(&got, bytes_of_buf(&b), NULL), 0);
	assert_int_equal(got.status, 503);
	assert_string_equal(got.reason, "store.down");
	assert_string_equal(got.text, "try again");
	assert_int_equal(got.retry_after_s, 30);
	assert_int_equal(got.challenge, 1);
	assert_int_equal(got.n_certs, 0);
}

static void
certificates_come_with_200_and_with_nothing_else(void **state)
{
	const uint32_t bad[] = { 0, 100, 201, 301, 399, 600 };
	struct proto_enrolled v = { .status = 200 };

	(void)state;
	for (size_t i = 0; i < N_OF(bad) + 2; i++) {
		AUTO_BUF b = { 0 };

		if (i >= 1 && i <= N_OF(bad))
			v.status = bad[i - 1];
		if (i == N_OF(bad) + 1)
			v = (struct proto_enrolled){ .status = 403, .n_certs = 1, .cert = { { spki, 1 } } };
		proto_put_enrolled(&b, &v);
		assert_int_equal(decode_enrolled(bytes_of_buf(&b)), E_FORMAT);
	}
}

static int
decode_reloaded(struct bytes body)
{
	struct proto_reloaded v;

	return proto_get_reloaded(&v, body, NULL);
}

static void
an_outcome_of_a_reload_goes_round_unchanged(void **state)
{
	const struct proto_reloaded good = { .asked = 1, .code = E_FORMAT, .why = "estuaryd.toml:3:1: key 'limits.idel': unknown key" };
	struct proto_reloaded got;
	AUTO_BUF b = { 0 };

	(void)state;
	proto_put_reloaded(&b, &good);
	assert_int_equal(proto_get_reloaded(&got, bytes_of_buf(&b), NULL), 0);
	assert_int_equal(got.asked, 1);
	assert_int_equal(got.code, E_FORMAT);
	assert_string_equal(got.why, good.why);
	check_lengths(&b, decode_reloaded);
}

static int
keygen_result(struct proto_keygen v)
{
	AUTO_BUF b = { 0 };

	proto_put_keygen(&b, &v);
	return decode_keygen(bytes_of_buf(&b));
}

static void
a_key_to_make_goes_round_unchanged_and_is_sane(void **state)
{
	const struct proto_keygen good = { .id = "root-1", .type = KEY_RSA_4096, .may_sign_ca = 1, .max_pathlen = -1,
		.max_lifetime_s = INT64_C(20) * 365 * 86400, .max_per_s = 50 };
	struct proto_keygen v = good, got;
	AUTO_BUF b = { 0 };

	(void)state;
	proto_put_keygen(&b, &v);
	assert_int_equal(proto_get_keygen(&got, bytes_of_buf(&b), NULL), 0);
	assert_string_equal(got.id, "root-1");
	assert_int_equal(got.type, KEY_RSA_4096);
	assert_int_equal(got.may_sign_ca, 1);
	assert_int_equal(got.max_pathlen, -1);
	assert_true(got.max_lifetime_s == v.max_lifetime_s);
	assert_int_equal(got.max_per_s, 50);
	check_lengths(&b, decode_keygen);

	(void)snprintf(v.id, sizeof(v.id), "../root");
	assert_int_equal(keygen_result(v), E_FORMAT);
	v = good;
	v.max_pathlen = -2;
	assert_int_equal(keygen_result(v), E_FORMAT);
	v = good;
	v.max_lifetime_s = 0;
	assert_int_equal(keygen_result(v), E_FORMAT);
	v = good;
	v.type = KEY_NONE;
	assert_int_equal(keygen_result(v), E_FORMAT);
}

static void
every_role_has_a_name(void **state)
{
	(void)state;
	for (int r = 0; r < ROLE_COUNT; r++)
		assert_string_not_equal(role_name((enum role)r), "?");
	assert_string_equal(role_name(ROLE_SIGNER), "signer");
	assert_string_equal(role_name(ROLE_COUNT), "?");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_enrolment_goes_round_unchanged),
		cmocka_unit_test(an_enrolment_of_any_other_length_is_refused),
		cmocka_unit_test(a_refused_request_carries_its_reason_in_place_of_a_csr),
		cmocka_unit_test(the_largest_enrolment_fits_into_an_inline_message),
		cmocka_unit_test(values_outside_their_range_are_refused),
		cmocka_unit_test(a_good_chain_without_a_leaf_or_an_anchor_is_refused),
		cmocka_unit_test(a_flag_is_0_or_1),
		cmocka_unit_test(an_spki_over_the_limit_is_refused),
		cmocka_unit_test(a_label_goes_round_unchanged),
		cmocka_unit_test(a_label_with_a_base_path_that_may_not_be_one_is_refused),
		cmocka_unit_test(an_answer_goes_round_unchanged),
		cmocka_unit_test(a_refusal_goes_round_unchanged),
		cmocka_unit_test(certificates_come_with_200_and_with_nothing_else),
		cmocka_unit_test(a_key_to_make_goes_round_unchanged_and_is_sane),
		cmocka_unit_test(an_outcome_of_a_reload_goes_round_unchanged),
		cmocka_unit_test(every_role_has_a_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
