/* SPDX-License-Identifier: Apache-2.0 */
/* certd_kit.h - what certd's tests are made of: scratch directories, settings from text, requests, certificates */
#ifndef TESTS_CERTD_KIT_H
#define TESTS_CERTD_KIT_H

#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "core/base/file.h"
#include "core/base/mem.h"
#include "core/pki/csr.h"
#include "device/certd/settings.h"

#define KIT_NOW INT64_C(1790000000)

/* A directory of its own, with the places of a service below it. */
static inline struct place
kit_place(void)
{
	char dir[] = "/tmp/certd-test-XXXXXX";
	struct place p;
	struct err e;

	assert_non_null(mkdtemp(dir));
	if (place_find(&p, "certd", dir, &e) != 0)
		fail_msg("%s", e.msg);
	return p;
}

static inline int
kit_remove_one(const char *path, const struct stat *st, int flag, struct FTW *at)
{
	(void)st;
	(void)flag;
	(void)at;
	return remove(path);
}

static inline void
kit_remove(const struct place *p)
{
	(void)nftw(p->prefix, kit_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* What the reading warned of, one line each. */
static struct buf kit_warnings;

static inline void
kit_warn(void *ctx, const char *text)
{
	(void)ctx;
	buf_printf(&kit_warnings, "%s\n", text);
}

static inline bool
kit_warned(const char *part)
{
	return strstr(buf_str(&kit_warnings), part) != NULL;
}

static inline int
kit_read(struct certd_settings **out, const struct place *p, const char *text, struct err *e)
{
	AUTO(toml) doc = NULL;

	buf_free(&kit_warnings);
	if (toml_parse(&doc, "config.toml", bytes_of(text), e) != 0)
		fail_msg("%s", e->msg);
	return certd_settings_read(out, doc, p, kit_warn, NULL, e);
}

static inline struct certd_settings *
kit_settings(const struct place *p, const char *text)
{
	struct certd_settings *s = NULL;
	struct err e;

	if (kit_read(&s, p, text, &e) != 0)
		fail_msg("%s", e.msg);
	return s;
}

static inline struct key *
kit_key(void)
{
	struct key *k = NULL;
	struct err e;

	if (key_generate(&k, KEY_EC_P256, &e) != 0)
		fail_msg("%s", e.msg);
	return k;
}

static inline struct name
kit_name(const char *cn)
{
	struct name n = { 0 };

	assert_int_equal(name_add(&n, OID_CN, cn, NULL), 0);
	return n;
}

/* A PEM request for CN. */
static inline void
kit_csr(struct buf *pem, const struct key *k, const char *cn)
{
	struct name subject = kit_name(cn);
	struct csr_want want = { .subject = &subject };
	AUTO_BUF der = { 0 };

	assert_int_equal(csr_build(&der, &want, k, NULL), 0);
	pem_encode(pem, bytes_of_buf(&der), "CERTIFICATE REQUEST");
}

/* A self-signed PEM certificate of CN, valid around KIT_NOW. */
static inline void
kit_cert(struct buf *pem, const struct key *k, const char *cn)
{
	static const uint8_t serial[] = { 0x2a };
	struct name subject = kit_name(cn);
	AUTO_BUF name = { 0 };
	AUTO_BUF tbs = { 0 };
	AUTO_BUF sig = { 0 };
	AUTO_BUF der = { 0 };
	struct cert_want w = { .serial = { serial, sizeof(serial) }, .spki = key_spki(k), .not_before = KIT_NOW - 1000,
		.not_after = KIT_NOW + 1000, .pathlen = -1, .ku = KU_DIGITAL_SIGNATURE,
		.sig_alg = key_sig_alg(key_get_type(k)) };

	name_encode(&name, &subject);
	w.issuer = w.subject = bytes_of_buf(&name);
	cert_build_tbs(&tbs, &w);
	assert_int_equal(key_sign(&sig, k, bytes_of_buf(&tbs), NULL), 0);
	cert_assemble(&der, bytes_of_buf(&tbs), w.sig_alg, bytes_of_buf(&sig));
	pem_encode(pem, bytes_of_buf(&der), "CERTIFICATE");
}

static inline void
kit_write(const char *path, const char *text)
{
	struct err e;

	if (file_write(path, bytes_of(text), 0644, &e) != 0)
		fail_msg("%s", e.msg);
}

#endif
