/* SPDX-License-Identifier: Apache-2.0 */
/* test_pem.c - DER between dashes */
#include "tests/unit/core/pki/kit.h"

#include <openssl/pem.h>

#define A "-----BEGIN CERTIFICATE-----\nAQID\n-----END CERTIFICATE-----\n"
#define B "-----BEGIN CERTIFICATE-----\r\nBAU=\r\n-----END CERTIFICATE-----\r\n"
#define K "-----BEGIN PRIVATE KEY-----\nBgY=\n-----END PRIVATE KEY-----\n"

static void
what_is_encoded_is_what_openssl_writes(void **state)
{
	uint8_t octets[200];
	AUTO_BUF pem = { 0 }, der = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(octets); i++)
		octets[i] = (uint8_t)(i * 7);
	for (size_t n = 1; n <= sizeof(octets); n++) {
		AUTO_OSSL(BIO) bio = BIO_new(BIO_s_mem());
		char *want;

		buf_reset(&pem);
		buf_reset(&der);
		pem_encode(&pem, (struct bytes){ octets, n }, "CERTIFICATE");
		assert_true(PEM_write_bio(bio, "CERTIFICATE", "", octets, (long)n) > 0);
		assert_int_equal(BIO_get_mem_data(bio, &want), pem.n);
		assert_memory_equal(pem.p, want, pem.n);
		assert_int_equal(pem_decode(&der, bytes_of_buf(&pem), "CERTIFICATE", NULL), 0);
		assert_int_equal(der.n, n);
		assert_memory_equal(der.p, octets, n);
	}
}

static void
all_blocks_of_the_label_are_found_among_others(void **state)
{
	AUTO_BUF out = { 0 };
	struct bytes parts[4];
	size_t n;

	(void)state;
	buf_put_str(&out, "kept");
	assert_int_equal(pem_decode_all(&out, parts, &n, 4, bytes_of("subject=x\n" A K "\n" B), "CERTIFICATE", NULL), 0);
	assert_int_equal(n, 2);
	assert_true(bytes_equal_str(parts[0], "\1\2\3"));
	assert_true(bytes_equal_str(parts[1], "\4\5"));
	assert_string_equal(buf_str(&out), "kept\1\2\3\4\5");
	buf_reset(&out);
	assert_int_equal(pem_decode(&out, bytes_of(A K B), "PRIVATE KEY", NULL), 0);
	assert_string_equal(buf_str(&out), "\6\6");
}

static void
text_without_such_a_block_is_an_error(void **state)
{
	static const char *const texts[] = { "", "\n", K, ("x " A), "-----BEGIN CERTIFICATE----" };
	AUTO_BUF out = { 0 };
	struct bytes parts[1];
	size_t n = 9;

	(void)state;
	for (size_t i = 0; i < N_OF(texts); i++) {
		struct err e = { 0 };

		assert_int_equal(pem_decode_all(&out, parts, &n, 1, bytes_of(texts[i]), "CERTIFICATE", &e), E_FORMAT);
		assert_non_null(strstr(e.msg, "no block of CERTIFICATE"));
		assert_int_equal(pem_decode(&out, bytes_of(texts[i]), "CERTIFICATE", NULL), E_FORMAT);
	}
	assert_int_equal(n, 9);
}

static void
a_broken_block_spoils_the_whole(void **state)
{
#define BROKEN(body) "-----BEGIN CERTIFICATE-----\n" body "\n-----END CERTIFICATE-----\n"
	static const char *const blocks[] = {
		BROKEN(""), BROKEN("AQI"), BROKEN("AQ=D"), BROKEN("A==="), BROKEN("===="), BROKEN("AQ==AQID"),
		BROKEN("AQ!D"), BROKEN("AR=="), BROKEN("AQJ="), BROKEN("Proc-Type: 4,ENCRYPTED\n\nAQID"),
		"-----BEGIN CERTIFICATE-----\nAQID\n", "-----BEGIN CERTIFICATE-----\nAQID\n-----END PRIVATE KEY-----\n",
		"-----BEGIN CERTIFICATE-----\nAQID -----END CERTIFICATE-----\n",
		"-----BEGIN CERTIFICATE-----\nAQID\n-----END CERTIFICATE----------BEGIN CERTIFICATE-----\nAQID\n-----END CERTIFICATE-----\n",
	};

	(void)state;
	for (size_t i = 0; i < N_OF(blocks); i++) {
		AUTO_BUF text = { 0 }, out = { 0 };
		struct bytes parts[4];
		size_t n = 9;

		buf_put_str(&out, "kept");
		buf_printf(&text, "%s%s", A, blocks[i]);
		if (pem_decode_all(&out, parts, &n, 4, bytes_of_buf(&text), "CERTIFICATE", NULL) != E_FORMAT)
			fail_msg("taken: %s", blocks[i]);
		assert_string_equal(buf_str(&out), "kept");
		assert_int_equal(pem_decode(&out, bytes_of(blocks[i]), "CERTIFICATE", NULL), E_FORMAT);
		assert_string_equal(buf_str(&out), "kept");
		assert_int_equal(n, 9);
	}
}

static void
more_blocks_than_asked_for_are_refused(void **state)
{
	AUTO_BUF out = { 0 };
	struct bytes parts[1];
	size_t n;

	(void)state;
	assert_int_equal(pem_decode_all(&out, parts, &n, 1, bytes_of(A B), "CERTIFICATE", NULL), E_TOOBIG);
	assert_int_equal(pem_decode(&out, bytes_of(B A), "CERTIFICATE", NULL), 0);
	assert_int_equal(out.n, 2);
}

static void
a_full_buffer_is_an_error_not_a_short_answer(void **state)
{
	AUTO_BUF out = BUF_MAX(4);
	struct bytes parts[2];
	size_t n;

	(void)state;
	assert_int_equal(pem_decode_all(&out, parts, &n, 2, bytes_of(A B), "CERTIFICATE", NULL), E_TOOBIG);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_encoded_is_what_openssl_writes),
		cmocka_unit_test(all_blocks_of_the_label_are_found_among_others),
		cmocka_unit_test(text_without_such_a_block_is_an_error),
		cmocka_unit_test(a_broken_block_spoils_the_whole),
		cmocka_unit_test(more_blocks_than_asked_for_are_refused),
		cmocka_unit_test(a_full_buffer_is_an_error_not_a_short_answer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
