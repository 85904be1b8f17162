/* SPDX-License-Identifier: Apache-2.0 */
/* pki/key_weak.c - RSA moduli that somebody can factor: what cheap arithmetic shows */
#include <openssl/bn.h>

#include "core/pki/der.h"
#include "core/pki/key.h"
#include "core/pki/ossl.h"

AUTO_DEFINE_OSSL(BIGNUM, BN_free)
AUTO_DEFINE_OSSL(BN_CTX, BN_CTX_free)

#define FACTOR_MAX   1024 /* smaller prime factors are looked for */
#define ROCA_MAX     701  /* the 126th prime: the weak 2048-bit generator used all up to it, longer keys more */
#define FERMAT_STEPS 100

/* Remainder of a big-endian number of whole 32-bit words. */
static uint32_t
remainder_of(struct bytes n, uint32_t m)
{
	uint64_t r = 0;

	for (size_t i = 0; i < n.n; i += 4) {
		uint64_t word = (uint64_t)n.p[i] << 24 | (uint64_t)n.p[i + 1] << 16 |
		    (uint64_t)n.p[i + 2] << 8 | n.p[i + 3];

		r = (r << 32 | word) % m;
	}
	return (uint32_t)r;
}

static bool
is_prime(uint32_t m)
{
	for (uint32_t d = 3; d * d <= m; d += 2)
		if (m % d == 0)
			return false;
	return true;
}

/* Is r one of the powers of 65537 modulo p? */
static bool
is_power(uint32_t r, uint32_t p)
{
	uint32_t g = 65537 % p, x = 1;

	do {
		if (x == r)
			return true;
		x = x * g % p;
	} while (x != 1);
	return false;
}

/*
 * One pass over the small primes, as many in one division as 32 bits hold.
 * ROCA (CVE-2017-15361): every prime of that generator is a power of 65537 modulo
 * every small prime, and so is the modulus; a random modulus is not, but for one in 2^160.
 */
static int
check_small_primes(struct bytes n, struct err *e)
{
	bool roca = true;

	for (uint32_t p = 3; p < FACTOR_MAX; ) {
		uint32_t first = p, product = 1, r;

		for (; p < FACTOR_MAX && product <= UINT32_MAX / p; p += 2)
			if (is_prime(p))
				product *= p;
		r = remainder_of(n, product);
		for (uint32_t q = first; q < p; q += 2) {
			if (!is_prime(q))
				continue;
			if (r % q == 0)
				return err_set(e, E_POLICY, "key: rsa modulus has the factor %u", q);
			roca = roca && (q > ROCA_MAX || is_power(r % q, q));
		}
	}
	if (roca)
		return err_set(e, E_POLICY, "key: rsa modulus of the ROCA generator (CVE-2017-15361)");
	return 0;
}

/* floor(sqrt(n)) by Newton's steps from above; false when OpenSSL fails. */
static bool
square_root(BIGNUM *root, const BIGNUM *n, BN_CTX *ctx)
{
	AUTO_OSSL(BIGNUM) next = BN_new();

	BN_zero(root);
	if (next == NULL || !BN_set_bit(root, (BN_num_bits(n) + 1) / 2))
		return false;
	for (;;) {
		if (!BN_div(next, NULL, n, root, ctx) || !BN_add(next, next, root) ||
		    !BN_rshift1(next, next))
			return false;
		if (BN_cmp(next, root) >= 0)
			return true;
		BN_swap(root, next);
	}
}

static bool
is_residue(BN_ULONG r, BN_ULONG m)
{
	for (BN_ULONG x = 0; x <= m / 2; x++)
		if (x * x % m == r % m)
			return true;
	return false;
}

/* 1: v is a square, 0: it is not, -1: OpenSSL fails.  The remainders settle all but one in a hundred. */
static int
is_square(const BIGNUM *v, BN_CTX *ctx)
{
	AUTO_OSSL(BIGNUM) root = BN_new();
	BN_ULONG r = BN_mod_word(v, 64 * 63 * 65 * 11);

	if (r == (BN_ULONG)-1 || root == NULL)
		return -1;
	if (!is_residue(r, 64) || !is_residue(r, 63) || !is_residue(r, 65) || !is_residue(r, 11))
		return 0;
	if (!square_root(root, v, ctx) || !BN_sqr(root, root, ctx))
		return -1;
	return BN_cmp(root, v) == 0;
}

/* Fermat: n = a^2 - b^2 = (a + b)(a - b) is found at once when the primes are close.  As is_square(). */
static int
has_close_primes(const BIGNUM *n, BN_CTX *ctx)
{
	AUTO_OSSL(BIGNUM) a = BN_new();
	AUTO_OSSL(BIGNUM) square = BN_new();

	if (a == NULL || square == NULL || !square_root(a, n, ctx))
		return -1;
	for (int i = 0; i < FERMAT_STEPS; i++) {
		int r;

		/* The first a is at or below the root: then a^2 - n is no square above 0, or 0. */
		if (!BN_sqr(square, a, ctx) || !BN_sub(square, square, n) || !BN_add_word(a, 1))
			return -1;
		r = BN_is_negative(square) ? 0 : is_square(square, ctx);
		if (r != 0)
			return r;
	}
	return 0;
}

int
key_check_weak(enum key_type t, struct bytes spki, struct err *e)
{
	AUTO_OSSL(BIGNUM) bn = NULL;
	AUTO_OSSL(BN_CTX) ctx = NULL;
	struct bytes n;
	int r;

	if (t != KEY_RSA_2048 && t != KEY_RSA_3072 && t != KEY_RSA_4096)
		return 0;
	if (key_rsa_modulus(&n, spki, e) != 0)
		return E_FORMAT;
	r = check_small_primes(n, e);
	if (r != 0)
		return r;
	bn = BN_bin2bn(n.p, (int)n.n, NULL);
	ctx = BN_CTX_new();
	r = bn == NULL || ctx == NULL ? -1 : has_close_primes(bn, ctx);
	if (r < 0)
		return err_ossl(e, E_CRYPTO, "key: rsa modulus");
	return r == 0 ? 0 : err_set(e, E_POLICY, "key: rsa modulus of two close primes");
}
