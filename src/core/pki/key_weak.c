/* SPDX-License-Identifier: Apache-2.0 */
/* pki/key_weak.c - RSA moduli that somebody can factor: what cheap arithmetic shows */
#include <openssl/bn.h>

#include "core/pki/der.h"
#include "core/pki/key.h"
#include "core/pki/ossl.h"

AUTO_DEFINE_OSSL(BIGNUM, BN_free)
AUTO_DEFINE_OSSL(BN_CTX, BN_CTX_free)

/* The 126th prime: the weak generator used all up to it for 2048 bits, and more for longer keys. */
#define ROCA_MAX     701
#define FERMAT_STEPS 100

/* The odd primes below 1024. */
static const uint16_t primes[] = {
	3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89,
	97, 101, 103, 107, 109, 113, 127, 131, 137, 139, 149, 151, 157, 163, 167, 173, 179, 181,
	191, 193, 197, 199, 211, 223, 227, 229, 233, 239, 241, 251, 257, 263, 269, 271, 277, 281,
	283, 293, 307, 311, 313, 317, 331, 337, 347, 349, 353, 359, 367, 373, 379, 383, 389, 397,
	401, 409, 419, 421, 431, 433, 439, 443, 449, 457, 461, 463, 467, 479, 487, 491, 499, 503,
	509, 521, 523, 541, 547, 557, 563, 569, 571, 577, 587, 593, 599, 601, 607, 613, 617, 619,
	631, 641, 643, 647, 653, 659, 661, 673, 677, 683, 691, 701, 709, 719, 727, 733, 739, 743,
	751, 757, 761, 769, 773, 787, 797, 809, 811, 821, 823, 827, 829, 839, 853, 857, 859, 863,
	877, 881, 883, 887, 907, 911, 919, 929, 937, 941, 947, 953, 967, 971, 977, 983, 991, 997,
	1009, 1013, 1019, 1021,
};

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
 * As many primes in one division as 32 bits hold.
 * ROCA (CVE-2017-15361): every prime of that generator is a power of 65537 modulo every
 * small prime, and so is the modulus; of other moduli one in 2^160 is.
 */
static int
check_small_primes(struct bytes n, struct err *e)
{
	bool roca = true;

	for (size_t i = 0, first = 0; i < N_OF(primes); first = i) {
		uint32_t product = 1, r;

		while (i < N_OF(primes) && product <= UINT32_MAX / primes[i])
			product *= primes[i++];
		r = remainder_of(n, product);
		for (size_t k = first; k < i; k++) {
			uint32_t p = primes[k];

			if (r % p == 0)
				return err_set(e, E_POLICY, "key: rsa modulus has the factor %u", p);
			roca = roca && (p > ROCA_MAX || is_power(r % p, p));
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
	static const uint64_t squares_mod_64 = 0x0202021202030213;
	AUTO_OSSL(BIGNUM) root = NULL;
	BN_ULONG r = BN_mod_word(v, 64 * 63 * 65 * 11);

	if (r == (BN_ULONG)-1)
		return -1;
	if ((squares_mod_64 >> r % 64 & 1) == 0 || !is_residue(r, 63) || !is_residue(r, 65) ||
	    !is_residue(r, 11))
		return 0;
	if (BN_is_zero(v))
		return 1;
	root = BN_new();
	if (root == NULL || !square_root(root, v, ctx) || !BN_sqr(root, root, ctx))
		return -1;
	return BN_cmp(root, v) == 0;
}

/*
 * Fermat: n = a^2 - b^2 = (a + b)(a - b) is found at once when the primes are close.
 * From a to a + 1, a^2 - n grows by 2a + 1.  Result as is_square().
 */
static int
has_close_primes(const BIGNUM *n, BN_CTX *ctx)
{
	AUTO_OSSL(BIGNUM) gap = BN_new();
	AUTO_OSSL(BIGNUM) step = BN_new();
	int r = 0;

	if (gap == NULL || step == NULL || !square_root(step, n, ctx) || !BN_sqr(gap, step, ctx) ||
	    !BN_sub(gap, gap, n) || !BN_lshift1(step, step) || !BN_add_word(step, 1))
		return -1;
	for (int i = 0; i < FERMAT_STEPS && r == 0; i++) {
		/* Below 0 at most once: the first a is the root rounded down. */
		r = BN_is_negative(gap) ? 0 : is_square(gap, ctx);
		if (!BN_add(gap, gap, step) || !BN_add_word(step, 2))
			return -1;
	}
	return r;
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
