/* SPDX-License-Identifier: Apache-2.0 */
/* test_trust.c - who chains to whom, and every way not to */
#include "tests/unit/core/pki/kit.h"

#include "core/pki/trust.h"

enum { ROOT = 7, ISSUING = 8 };

static struct made root, issuing, device;
static struct trust *anchors; /* the root alone */

static int
setup(void **state)
{
	(void)state;
	kit_make(&root, &kit_root, NULL);
	kit_make(&issuing, &kit_issuing, &root);
	kit_make(&device, &kit_device, &issuing);
	anchors = trust_new();
	return trust_add(anchors, ROOT, kit_der(&root), NULL);
}

static int
teardown(void **state)
{
	(void)state;
	made_free(&root);
	made_free(&issuing);
	made_free(&device);
	trust_free(anchors);
	return 0;
}

struct judgement {
	enum trust_state state;
	uint32_t anchor;
	char detail[160];
};

/* As in a handshake: a leaf, what came with it, and the time. */
static struct judgement
judge_x509(const struct trust *t, X509 *leaf, const struct bytes *with, size_t n, int64_t at)
{
	X509_STORE_CTX *ctx = X509_STORE_CTX_new();
	STACK_OF(X509) *untrusted = sk_X509_new_null();
	struct judgement j = { .state = TRUST_STATE_COUNT, .anchor = 99 };

	for (size_t i = 0; i < n; i++)
		sk_X509_push(untrusted, kit_x509(with[i]));
	assert_int_equal(X509_STORE_CTX_init(ctx, trust_store(t), leaf, untrusted), 1);
	assert_int_equal(X509_STORE_CTX_set_default(ctx, "ssl_client"), 1); /* as libssl does */
	X509_STORE_CTX_set_time(ctx, 0, (time_t)at);
	trust_judge_client(t, ctx, &j.state, &j.anchor, j.detail, sizeof(j.detail));
	assert_int_equal(j.state == TRUST_OK, j.detail[0] == 0);
	X509_STORE_CTX_free(ctx);
	sk_X509_pop_free(untrusted, X509_free);
	return j;
}

static struct judgement
judge_at(struct bytes leaf, int64_t at)
{
	const struct bytes with = kit_der(&issuing);
	AUTO_OSSL(X509) x = kit_x509(leaf);

	return judge_x509(anchors, x, &with, 1, at);
}

/* A device as the recipe says, below the issuing CA. */
static struct judgement
judge_recipe(const struct recipe *r)
{
	struct judgement j;
	struct made m;

	kit_make(&m, r, &issuing);
	j = judge_at(kit_der(&m), T0);
	made_free(&m);
	return j;
}

static void
a_device_below_an_anchor_is_trusted(void **state)
{
	struct judgement j = judge_at(kit_der(&device), T0);

	(void)state;
	assert_int_equal(j.state, TRUST_OK);
	assert_int_equal(j.anchor, ROOT);
}

static void
an_intermediate_can_be_the_anchor_and_the_nearest_one_counts(void **state)
{
	AUTO(trust) t = trust_new();
	AUTO_OSSL(X509) x = kit_x509(kit_der(&device));
	struct judgement j;

	(void)state;
	assert_int_equal(trust_add(t, ISSUING, kit_der(&issuing), NULL), 0);
	j = judge_x509(t, x, NULL, 0, T0);
	assert_int_equal(j.state, TRUST_OK);
	assert_int_equal(j.anchor, ISSUING);
	assert_int_equal(trust_add(t, ROOT, kit_der(&root), NULL), 0);
	assert_int_equal(judge_x509(t, x, NULL, 0, T0).anchor, ISSUING);
}

static void
without_a_path_the_issuer_is_unknown(void **state)
{
	AUTO(trust) nobody = trust_new();
	AUTO_OSSL(X509) x = kit_x509(kit_der(&device));
	AUTO_OSSL(X509) r = kit_x509(kit_der(&root));
	const struct bytes all[] = { kit_der(&issuing), kit_der(&root) };
	struct judgement j = judge_x509(anchors, x, NULL, 0, T0);

	(void)state;
	assert_int_equal(j.state, TRUST_UNKNOWN_ISSUER); /* the intermediate is missing */
	assert_int_equal(j.anchor, TRUST_ANCHOR_NONE);
	j = judge_x509(nobody, x, all, 2, T0); /* a root that came along is no anchor */
	assert_int_equal(j.state, TRUST_UNKNOWN_ISSUER);
	assert_int_equal(j.anchor, TRUST_ANCHOR_NONE);
	assert_int_equal(judge_x509(nobody, r, NULL, 0, T0).state, TRUST_UNKNOWN_ISSUER);
}

static void
a_store_of_other_anchors_gives_no_trust(void **state)
{
	/* The context's store and the set that judges differ: no anchor of ours, no trust. */
	AUTO(trust) other = trust_new();
	X509_STORE_CTX *ctx = X509_STORE_CTX_new();
	struct made near_root;
	X509 *x;
	struct judgement j;

	(void)state;
	kit_make(&near_root, &kit_device, &root);
	x = kit_x509(kit_der(&near_root));
	assert_int_equal(X509_STORE_CTX_init(ctx, trust_store(anchors), x, NULL), 1);
	X509_STORE_CTX_set_time(ctx, 0, (time_t)T0);
	trust_judge_client(other, ctx, &j.state, &j.anchor, j.detail, sizeof(j.detail));
	assert_int_equal(j.state, TRUST_UNKNOWN_ISSUER);
	assert_int_equal(j.anchor, TRUST_ANCHOR_NONE);
	X509_STORE_CTX_free(ctx);
	X509_free(x);
	made_free(&near_root);
}

static void
no_certificate_is_none(void **state)
{
	X509_STORE_CTX *ctx = X509_STORE_CTX_new();
	struct judgement j;

	(void)state;
	assert_int_equal(X509_STORE_CTX_init(ctx, trust_store(anchors), NULL, NULL), 1);
	trust_judge_client(anchors, ctx, &j.state, &j.anchor, j.detail, sizeof(j.detail));
	assert_int_equal(j.state, TRUST_NONE);
	assert_int_equal(j.anchor, TRUST_ANCHOR_NONE);
	X509_STORE_CTX_free(ctx);
}

static void
expired_and_not_yet_valid_are_told_apart_to_the_second(void **state)
{
	static const struct { int64_t at; enum trust_state state; } rows[] = {
		{ T0 - HOUR - 1, TRUST_NOT_YET },
		{ T0 - HOUR, TRUST_OK },
		{ T0 + 10 * DAYS - 1, TRUST_OK },
		{ T0 + 10 * DAYS + 1, TRUST_EXPIRED },
		{ T0 + 60 * DAYS, TRUST_EXPIRED },   /* the issuer too */
		{ T0 - 6 * DAYS, TRUST_NOT_YET },
	};

	(void)state;
	for (size_t i = 0; i < N_OF(rows); i++) {
		struct judgement j = judge_at(kit_der(&device), rows[i].at);

		assert_int_equal(j.state, rows[i].state);
		assert_int_equal(j.anchor, ROOT); /* the chain itself is good */
	}
}

static void
not_yet_valid_outweighs_an_expired_issuer(void **state)
{
	struct recipe late = kit_device;
	struct judgement j;
	struct made m;

	(void)state;
	late.from = T0 + 80 * DAYS;
	late.to = T0 + 90 * DAYS;
	kit_make(&m, &late, &issuing);
	j = judge_at(kit_der(&m), T0 + 60 * DAYS); /* the issuer ended at 50 */
	assert_int_equal(j.state, TRUST_NOT_YET);
	made_free(&m);
}

static void
an_expired_certificate_with_another_flaw_is_not_merely_expired(void **state)
{
	struct recipe r = kit_device;
	struct made stranger, m;
	AUTO_BUF forged = { 0 };

	(void)state;
	r.to = T0 - 1;
	assert_int_equal(judge_recipe(&r).state, TRUST_EXPIRED);
	r.ku = KU_KEY_AGREEMENT;
	assert_int_equal(judge_recipe(&r).state, TRUST_WRONG_PURPOSE);
	kit_make(&stranger, &kit_issuing, NULL);
	kit_make(&m, &r, &stranger);
	assert_int_equal(judge_at(kit_der(&m), T0).anchor, TRUST_ANCHOR_NONE);
	assert_int_not_equal(judge_at(kit_der(&m), T0).state, TRUST_EXPIRED);
	made_free(&m);
	r.ku = KU_DIGITAL_SIGNATURE;
	kit_make(&m, &r, &issuing);
	buf_put_bytes(&forged, kit_der(&m));
	forged.p[forged.n - 1] ^= 1;
	assert_int_equal(judge_at(bytes_of_buf(&forged), T0).state, TRUST_BAD_SIGNATURE);
	made_free(&m);
	made_free(&stranger);
}

static void
a_forged_signature_is_named_and_has_no_anchor(void **state)
{
	AUTO_BUF forged = { 0 };
	struct judgement j;

	(void)state;
	buf_put_bytes(&forged, kit_der(&device));
	forged.p[forged.n - 1] ^= 1;
	j = judge_at(bytes_of_buf(&forged), T0);
	assert_int_equal(j.state, TRUST_BAD_SIGNATURE);
	assert_int_equal(j.anchor, TRUST_ANCHOR_NONE);
}

static void
a_leaf_that_may_not_be_a_client_has_the_wrong_purpose(void **state)
{
	static const struct { struct recipe r; enum trust_state state; } rows[] = {
#define LEAF(...) { .subject = "CN=x", .from = T0 - HOUR, .to = T0 + HOUR, __VA_ARGS__ }
		{ LEAF(.pathlen = 0), TRUST_OK },
		{ LEAF(.ku = KU_DIGITAL_SIGNATURE), TRUST_OK },
		{ LEAF(.n_eku = 2, .eku = { OID_SERVER_AUTH, OID_CLIENT_AUTH }), TRUST_OK },
		{ LEAF(.n_eku = 1, .eku = { OID_SERVER_AUTH }), TRUST_WRONG_PURPOSE },
		{ LEAF(.n_eku = 1, .eku = { OID_ANY_EKU }), TRUST_WRONG_PURPOSE },
		{ LEAF(.ku = KU_KEY_AGREEMENT), TRUST_WRONG_PURPOSE },
		{ LEAF(.ku = KU_KEY_ENCIPHERMENT, .n_eku = 1, .eku = { OID_CLIENT_AUTH }), TRUST_WRONG_PURPOSE },
		{ LEAF(.ku = KU_DIGITAL_SIGNATURE | KU_KEY_CERT_SIGN), TRUST_WRONG_PURPOSE },
		/* a CA certificate identifies nobody, whatever it says of itself */
		{ LEAF(.ku = KU_DIGITAL_SIGNATURE | KU_KEY_CERT_SIGN, .ca = true, .pathlen = -1,
		    .n_eku = 1, .eku = { OID_CLIENT_AUTH }), TRUST_WRONG_PURPOSE },
	};

	(void)state;
	for (size_t i = 0; i < N_OF(rows); i++) {
		struct judgement j = judge_recipe(&rows[i].r);

		if (j.state != rows[i].state)
			fail_msg("row %zu: %s (%s)", i, trust_state_name(j.state), j.detail);
	}
	assert_int_equal(judge_at(kit_der(&issuing), T0).state, TRUST_WRONG_PURPOSE);
}

static void
an_idevid_without_usages_and_without_end_is_trusted(void **state)
{
	struct recipe idevid = { .subject = "serialNumber=Wt1234", .ku = KU_DIGITAL_SIGNATURE,
		.from = T0 - 9 * DAYS, .to = INT64_MAX };

	(void)state;
	assert_int_equal(judge_recipe(&idevid).state, TRUST_OK);
}

static void
a_critical_extension_that_nobody_knows_breaks_the_chain(void **state)
{
	AUTO_OSSL(X509) x = kit_x509(kit_der(&device));
	ASN1_OBJECT *oid = OBJ_txt2obj("1.2.3.4", 1);
	ASN1_OCTET_STRING *value = ASN1_OCTET_STRING_new();
	X509_EXTENSION *ext;
	const struct bytes with = kit_der(&issuing);

	(void)state;
	assert_int_equal(ASN1_OCTET_STRING_set(value, (const unsigned char *)"\5\0", 2), 1);
	ext = X509_EXTENSION_create_by_OBJ(NULL, oid, 1, value);
	assert_int_equal(X509_add_ext(x, ext, -1), 1);
	assert_true(X509_sign(x, key_evp(issuing.key), EVP_sha256()) > 0);
	assert_int_equal(judge_x509(anchors, x, &with, 1, T0).state, TRUST_CHAIN);
	X509_EXTENSION_free(ext);
	ASN1_OBJECT_free(oid);
	ASN1_OCTET_STRING_free(value);
}

static void
what_openssl_takes_and_we_do_not_is_malformed(void **state)
{
	AUTO_OSSL(X509) x = kit_x509(kit_der(&device));
	const struct bytes with = kit_der(&issuing);
	struct judgement j;

	(void)state;
	/* the same extension twice */
	assert_int_equal(X509_add_ext(x, X509_get_ext(x, 0), -1), 1);
	assert_true(X509_sign(x, key_evp(issuing.key), EVP_sha256()) > 0);
	j = judge_x509(anchors, x, &with, 1, T0);
	assert_int_equal(j.state, TRUST_MALFORMED);
	assert_int_equal(j.anchor, TRUST_ANCHOR_NONE);
}

static void
a_path_length_is_kept(void **state)
{
	struct recipe sub = kit_issuing;
	struct made below, leaf;
	struct bytes with[2];
	AUTO_OSSL(X509) x = NULL;
	struct judgement j;

	(void)state;
	sub.subject = "CN=Below";
	kit_make(&below, &sub, &issuing); /* the issuing CA has path length 0 */
	kit_make(&leaf, &kit_device, &below);
	with[0] = kit_der(&below);
	with[1] = kit_der(&issuing);
	x = kit_x509(kit_der(&leaf));
	j = judge_x509(anchors, x, with, 2, T0);
	assert_int_equal(j.state, TRUST_CHAIN);
	assert_int_equal(j.anchor, TRUST_ANCHOR_NONE);
	made_free(&below);
	made_free(&leaf);
}

static void
a_leaf_issues_nobody(void **state)
{
	static const uint32_t kus[] = { KU_DIGITAL_SIGNATURE, KU_KEY_CERT_SIGN };

	(void)state;
	for (size_t i = 0; i < N_OF(kus); i++) {
		struct recipe r = kit_device;
		AUTO(trust) pinned = trust_new();
		struct made false_ca, leaf;
		struct bytes with;
		X509 *x;

		r.ku = kus[i]; /* of an anchor, OpenSSL alone is content with keyCertSign */
		r.n_eku = 0;
		kit_make(&false_ca, &r, &root);
		kit_make(&leaf, &kit_device, &false_ca);
		with = kit_der(&false_ca);
		x = kit_x509(kit_der(&leaf));
		assert_int_not_equal(judge_x509(anchors, x, &with, 1, T0).state, TRUST_OK);
		assert_int_equal(judge_x509(anchors, x, &with, 1, T0).anchor, TRUST_ANCHOR_NONE);
		assert_int_equal(trust_add(pinned, 1, with, NULL), 0);
		assert_int_equal(judge_x509(pinned, x, NULL, 0, T0).state, TRUST_CHAIN);
		X509_free(x);
		made_free(&false_ca);
		made_free(&leaf);
	}
}

/* A chain with `between` CAs under the root; the state of its leaf. */
static enum trust_state
judge_depth(size_t between)
{
	struct made ca[8], leaf;
	struct bytes with[8];
	enum trust_state s;
	X509 *x;

	assert_true(between <= N_OF(ca));
	for (size_t i = 0; i < between; i++) {
		struct recipe r = kit_issuing;
		char subject[40];

		(void)snprintf(subject, sizeof(subject), "CN=Level %zu", i);
		r.subject = subject;
		r.pathlen = -1;
		kit_make(&ca[i], &r, i == 0 ? &root : &ca[i - 1]);
		with[i] = kit_der(&ca[i]);
	}
	kit_make(&leaf, &kit_device, &ca[between - 1]);
	x = kit_x509(kit_der(&leaf));
	s = judge_x509(anchors, x, with, between, T0).state;
	X509_free(x);
	made_free(&leaf);
	for (size_t i = 0; i < between; i++)
		made_free(&ca[i]);
	return s;
}

static void
a_chain_has_at_most_four_issuers_between(void **state)
{
	(void)state;
	assert_int_equal(judge_depth(4), TRUST_OK);
	assert_int_not_equal(judge_depth(5), TRUST_OK);
}

static void
a_pinned_leaf_is_its_own_anchor(void **state)
{
	AUTO(trust) t = trust_new();
	AUTO_OSSL(X509) x = kit_x509(kit_der(&device));
	struct judgement j;

	(void)state;
	assert_int_equal(trust_add(t, 3, kit_der(&device), NULL), 0);
	j = judge_x509(t, x, NULL, 0, T0);
	assert_int_equal(j.state, TRUST_OK);
	assert_int_equal(j.anchor, 3);
	assert_int_equal(judge_x509(t, x, NULL, 0, T0 + 20 * DAYS).state, TRUST_EXPIRED);
}

static void
an_anchor_is_added_once_with_an_id_and_must_be_a_certificate(void **state)
{
	AUTO(trust) t = trust_new();

	(void)state;
	assert_int_equal(trust_add(t, 0, kit_der(&root), NULL), E_FORMAT);
	assert_int_equal(trust_add(t, 1, bytes_of("no"), NULL), E_FORMAT);
	assert_int_equal(trust_add(t, 1, kit_der(&root), NULL), 0);
	assert_int_equal(trust_add(t, 2, kit_der(&root), NULL), E_EXISTS);
}

static void
tools_verify_by_purpose_and_time(void **state)
{
	const struct bytes with = kit_der(&issuing);
	struct err e = { 0 };
	uint32_t anchor = 0;

	(void)state;
	assert_int_equal(trust_verify(anchors, kit_der(&device), &with, 1, 1, T0, &anchor, &e), 0);
	assert_int_equal(anchor, ROOT);
	assert_int_equal(trust_verify(anchors, kit_der(&device), &with, 1, 2, T0, &anchor, &e), 0);
	assert_int_equal(trust_verify(anchors, kit_der(&device), &with, 1, 0, T0, &anchor, &e), E_AUTH);
	assert_non_null(strstr(e.msg, "wrong-purpose"));
	assert_int_equal(trust_verify(anchors, kit_der(&device), &with, 1, 1, T0 + 11 * DAYS, &anchor, &e),
	    E_AUTH);
	assert_non_null(strstr(e.msg, "expired"));
	assert_int_equal(trust_verify(anchors, kit_der(&device), NULL, 0, 1, T0, &anchor, &e), E_AUTH);
	assert_int_equal(trust_verify(anchors, bytes_of("x"), NULL, 0, 1, T0, &anchor, &e), E_FORMAT);
	assert_int_not_equal(trust_verify(anchors, kit_der(&device), &with, 1, 3, T0, &anchor, &e), 0);
}

/* What a weak CA has signed, in out; the CA itself, by the root, in ca. */
static void
make_by_weak_ca(struct buf *out, struct buf *ca)
{
	const struct recipe weak = { .subject = "CN=Weak", .ca = true, .pathlen = 0, .ku = KU_KEY_CERT_SIGN, .from = T0 - HOUR,
		.to = T0 + DAYS };
	struct made m = { .key = NULL };
	EVP_PKEY *rsa = EVP_RSA_gen(1024);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	AUTO_BUF tbs = { 0 };
	AUTO_BUF leaf = { 0 };
	uint8_t *spki = NULL, sig[128];
	size_t sig_n = sizeof(sig);
	struct cert_want w;
	struct name n;
	int spki_n = i2d_PUBKEY(rsa, &spki);

	assert_int_equal(name_from_text(&n, weak.subject, NULL), 0);
	name_encode(&m.subject, &n);
	m.key = root.key;
	w = kit_want(&m, &weak, &root);
	w.spki = (struct bytes){ spki, (size_t)spki_n };
	cert_build_tbs(&tbs, &w);
	kit_sign(ca, &tbs, root.key);
	w = kit_want(&device, &kit_device, &m);
	w.aki = (struct bytes){ NULL, 0 };
	w.sig_alg = OID_RSA_SHA256;
	cert_build_tbs(&leaf, &w);
	assert_int_equal(EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, rsa), 1);
	assert_int_equal(EVP_DigestSign(ctx, sig, &sig_n, leaf.p, leaf.n), 1);
	cert_assemble(out, bytes_of_buf(&leaf), OID_RSA_SHA256, (struct bytes){ sig, sig_n });
	EVP_MD_CTX_free(ctx);
	EVP_PKEY_free(rsa);
	OPENSSL_free(spki);
	buf_free(&m.subject);
}

static void
tools_take_no_chain_that_is_too_weak_for_tls(void **state)
{
	AUTO_BUF leaf = { 0 };
	AUTO_BUF ca = { 0 };
	struct bytes with;
	struct err e = { 0 };
	uint32_t anchor = 0;

	(void)state;
	make_by_weak_ca(&leaf, &ca);
	with = bytes_of_buf(&ca);
	assert_int_equal(trust_verify(anchors, bytes_of_buf(&leaf), &with, 1, 2, T0, &anchor, &e), E_AUTH);
	assert_non_null(strstr(e.msg, "too weak"));
}

static struct recipe
ca_of_name(const char *subject)
{
	struct recipe r = kit_root;

	r.subject = subject;
	return r;
}

/* Whatever the names are written like: validation would take the one for the other. */
static void
an_anchor_that_gives_way_is_not_added_beside_one_of_its_name(void **state)
{
	static const char *const rivals[] = { "CN=Root", "CN=ROOT", "CN= root " };
	struct recipe stranger = ca_of_name("CN=Elsewhere");
	AUTO(trust) t = trust_new();
	struct made m;

	(void)state;
	assert_int_equal(trust_add(t, ROOT, kit_der(&root), NULL), 0);
	for (size_t i = 0; i < N_OF(rivals); i++) {
		struct recipe r = ca_of_name(rivals[i]);

		kit_make(&m, &r, NULL);
		assert_int_equal(trust_add_beside(t, 1000, kit_der(&m), 1000, NULL), E_EXISTS);
		made_free(&m);
	}
	for (uint32_t i = 0; i < 2; i++) { /* among those that give way a name may be there twice */
		kit_make(&m, &stranger, NULL);
		assert_int_equal(trust_add_beside(t, 1000 + i, kit_der(&m), 1000, NULL), 0);
		made_free(&m);
	}
}

/* As `openssl x509 -req` makes them: without a word on which key its issuer has. */
static void
make_without_aki(struct buf *der, const struct made *issuer)
{
	AUTO_BUF tbs = { 0 };
	struct cert_want w = kit_want(&device, &kit_device, issuer);

	w.aki = (struct bytes){ 0 };
	cert_build_tbs(&tbs, &w);
	kit_sign(der, &tbs, issuer->key);
}

static void
of_two_anchors_with_one_name_the_one_that_signed_counts(void **state)
{
	struct recipe r = ca_of_name("CN=Maker");
	AUTO(trust) t = trust_new();
	struct made ca[2], stranger;
	struct judgement j;

	(void)state;
	kit_make(&stranger, &r, NULL);
	for (uint32_t i = 0; i < 2; i++) {
		kit_make(&ca[i], &r, NULL);
		assert_int_equal(trust_add(t, 1 + i, kit_der(&ca[i]), NULL), 0);
	}
	for (uint32_t i = 0; i < 3; i++) {
		AUTO_BUF der = { 0 };
		AUTO_OSSL(X509) x = NULL;

		make_without_aki(&der, i < 2 ? &ca[i] : &stranger);
		x = kit_x509(bytes_of_buf(&der));
		j = judge_x509(t, x, NULL, 0, T0);
		assert_int_equal(j.state, i < 2 ? TRUST_OK : TRUST_BAD_SIGNATURE);
		assert_int_equal(j.anchor, i < 2 ? 1 + i : 0);
	}
	made_free(&ca[0]);
	made_free(&ca[1]);
	made_free(&stranger);
}

/* As the fronts will when they compare anchors. */
static void
names_are_compared_as_a_path_does(void **state)
{
	static const struct { const char *a, *b; bool same; } rows[] = {
		{ "CN=Factory", "CN=Factory", true }, { "CN=Factory", "CN=factory", true }, { "CN=My  Factory", "CN=my factory", true },
		{ "CN=Factory", "CN=Factory 2", false }, { "CN=Factory", "O=Factory", false }, { "CN=Factory,O=x", "CN=Factory", false },
	};

	(void)state;
	for (size_t i = 0; i < N_OF(rows); i++) {
		AUTO_BUF a = { 0 };
		AUTO_BUF b = { 0 };
		struct name n;

		assert_int_equal(name_from_text(&n, rows[i].a, NULL), 0);
		name_encode(&a, &n);
		assert_int_equal(name_from_text(&n, rows[i].b, NULL), 0);
		name_encode(&b, &n);
		if (trust_same_name(bytes_of_buf(&a), bytes_of_buf(&b)) != rows[i].same)
			fail_msg("'%s' and '%s'", rows[i].a, rows[i].b);
	}
	assert_false(trust_same_name(bytes_of("junk"), bytes_of("other")));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(of_two_anchors_with_one_name_the_one_that_signed_counts),
		cmocka_unit_test(names_are_compared_as_a_path_does),
		cmocka_unit_test(a_device_below_an_anchor_is_trusted),
		cmocka_unit_test(an_intermediate_can_be_the_anchor_and_the_nearest_one_counts),
		cmocka_unit_test(without_a_path_the_issuer_is_unknown),
		cmocka_unit_test(a_store_of_other_anchors_gives_no_trust),
		cmocka_unit_test(no_certificate_is_none),
		cmocka_unit_test(expired_and_not_yet_valid_are_told_apart_to_the_second),
		cmocka_unit_test(not_yet_valid_outweighs_an_expired_issuer),
		cmocka_unit_test(an_expired_certificate_with_another_flaw_is_not_merely_expired),
		cmocka_unit_test(a_forged_signature_is_named_and_has_no_anchor),
		cmocka_unit_test(a_leaf_that_may_not_be_a_client_has_the_wrong_purpose),
		cmocka_unit_test(an_idevid_without_usages_and_without_end_is_trusted),
		cmocka_unit_test(a_critical_extension_that_nobody_knows_breaks_the_chain),
		cmocka_unit_test(what_openssl_takes_and_we_do_not_is_malformed),
		cmocka_unit_test(a_path_length_is_kept),
		cmocka_unit_test(a_leaf_issues_nobody),
		cmocka_unit_test(a_chain_has_at_most_four_issuers_between),
		cmocka_unit_test(a_pinned_leaf_is_its_own_anchor),
		cmocka_unit_test(an_anchor_is_added_once_with_an_id_and_must_be_a_certificate),
		cmocka_unit_test(an_anchor_that_gives_way_is_not_added_beside_one_of_its_name),
		cmocka_unit_test(tools_verify_by_purpose_and_time),
		cmocka_unit_test(tools_take_no_chain_that_is_too_weak_for_tls),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
