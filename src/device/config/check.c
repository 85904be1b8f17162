/* SPDX-License-Identifier: Apache-2.0 */
/* config/check.c - files that are referred to */
#include "device/config/check.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "core/base/clock.h"
#include "core/base/file.h"
#include "core/codec/json.h"
#include "core/pki/cert.h"
#include "core/pki/key.h"
#include "device/service/place.h"

#define FILE_MAX   ((size_t)1024 * 1024)
#define CERTS_MAX  256
#define GROUPS_MAX 64

struct checking {
	const struct check_options *o;
	const struct reference *r;
	size_t errors;
};

static void
told(struct checking *c, bool error, const char *fmt, ...) PRINTF(3, 4);

static void
told(struct checking *c, bool error, const char *fmt, ...)
{
	struct err text = { 0 }, where = { 0 };
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text.msg, sizeof(text.msg), fmt, ap);
	va_end(ap);
	(void)toml_err(&where, c->r->at, "%s", text.msg);
	c->errors += error;
	c->o->tell(c->o->ctx, error, where.msg);
}

/* --- who may read --- */

static bool
in_groups(gid_t g, const gid_t *list, int n)
{
	for (int i = 0; i < n; i++)
		if (list[i] == g)
			return true;
	return false;
}

/* By owner, group and mode; an access list may say otherwise, and is believed. */
static bool
may(const char *path, const struct passwd *pw, const gid_t *groups, int n_groups, mode_t bit)
{
	struct stat st;

	if (stat(path, &st) != 0 || getxattr(path, "system.posix_acl_access", NULL, 0) > 0)
		return true;
	if (st.st_uid == pw->pw_uid)
		return (st.st_mode & (bit << 6)) != 0;
	if (in_groups(st.st_gid, groups, n_groups))
		return (st.st_mode & (bit << 3)) != 0;
	return (st.st_mode & bit) != 0;
}

static void
check_reader(struct checking *c)
{
	const struct reference *r = c->r;
	const struct passwd *pw = getpwnam(r->user);
	gid_t groups[GROUPS_MAX];
	int n = GROUPS_MAX;
	char dir[PLACE_MAX];

	if (pw == NULL || pw->pw_uid == 0 || getgrouplist(pw->pw_name, pw->pw_gid, groups, &n) < 0)
		return;
	(void)snprintf(dir, sizeof(dir), "%s", r->path);
	for (char *slash = strchr(dir + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
		*slash = 0;
		if (!may(dir, pw, groups, n, S_IXOTH)) {
			told(c, true, "user %s cannot enter %s: chmod o+x %s, or chown %s %s", r->user, dir,
			    dir, r->user, dir);
			return;
		}
		*slash = '/';
	}
	if (!may(r->path, pw, groups, n, S_IROTH))
		told(c, true, "user %s cannot read %s: chown %s %s", r->user, r->path, r->user, r->path);
}

/* --- what is in them --- */

static void
check_certs(struct checking *c, struct bytes text)
{
	AUTO_BUF der = { 0 };
	struct bytes parts[CERTS_MAX];
	struct cert cert;
	struct err e;
	size_t n = 0;

	if (pem_decode_all(&der, parts, &n, CERTS_MAX, text, "CERTIFICATE", &e) != 0 || n == 0) {
		told(c, true, "%s has no certificate in PEM (-----BEGIN CERTIFICATE-----)", c->r->path);
		return;
	}
	for (size_t i = 0; i < n; i++) {
		if (cert_read(&cert, parts[i], &e) != 0)
			told(c, false, "%s: certificate %zu: %s", c->r->path, i + 1, e.msg);
		else if (cert.not_after < clock_now())
			told(c, false, "%s: certificate %zu has expired", c->r->path, i + 1);
	}
}

static void
check_key(struct checking *c, struct bytes text)
{
	AUTO(key) key = NULL;
	struct err e;

	if (text.p == NULL || memmem(text.p, text.n, "PRIVATE KEY-----", 16) == NULL)
		told(c, true, "%s has no private key in PEM (-----BEGIN PRIVATE KEY-----)", c->r->path);
	else if (memmem(text.p, text.n, "ENCRYPTED", 9) != NULL)
		told(c, true,
		    "%s is encrypted, and nobody could give the passphrase: openssl pkey -in %s -out PLAIN",
		    c->r->path, c->r->path);
	else if (key_from_pem(&key, text, &e) != 0)
		told(c, false, "%s: %s", c->r->path, e.msg);
}

static void
check_content(struct checking *c, struct bytes text)
{
	AUTO_JSON json = NULL;
	struct err e;

	if (text.n == 0)
		told(c, true, "%s is empty", c->r->path);
	else if (c->r->kind == REFERENCE_CERT)
		check_certs(c, text);
	else if (c->r->kind == REFERENCE_KEY)
		check_key(c, text);
	else if (c->r->kind == REFERENCE_JSON && json_parse(&json, text, &e) != 0)
		told(c, true, "%s: %s", c->r->path, e.msg);
}

static void
check_one(struct checking *c)
{
	AUTO_BUF text = BUF_MAX(FILE_MAX);
	struct stat st;
	struct err e;
	int r;

	if (stat(c->r->path, &st) != 0) {
		if (c->o->elsewhere)
			told(c, false,
			    "%s is not on this machine: it must be on the device, readable by %s",
			    c->r->path, c->r->user);
		else
			told(c, errno != EACCES, "%s: %s; it must be there, readable by user %s",
			    c->r->path, errno == EACCES ? "cannot be looked at" : "no such file",
			    c->r->user);
		return;
	}
	if (!S_ISREG(st.st_mode)) {
		told(c, true, "%s is no file", c->r->path);
		return;
	}
	if (c->r->kind == REFERENCE_KEY && (st.st_mode & S_IROTH) != 0)
		told(c, false, "everybody may read the key %s: chmod 600 %s", c->r->path, c->r->path);
	if (c->o->users)
		check_reader(c);
	r = file_read(&text, c->r->path, FILE_MAX, &e);
	if (r == 0)
		check_content(c, bytes_of_buf(&text));
	else
		told(c, r == E_TOOBIG, "%s", e.msg);
}

/* --- pairs --- */

/* The file that a URI names, when it is one that was referred to. */
static const struct reference *
reference_of(const struct plan *p, const char *uri, enum reference_kind kind)
{
	char path[PLACE_MAX];

	if (uri == NULL || place_from_file_uri(path, uri, NULL) != 0)
		return NULL;
	for (size_t i = 0; i < p->n_references; i++)
		if (p->references[i].kind == kind && strcmp(p->references[i].path, path) == 0)
			return &p->references[i];
	return NULL;
}

static bool
read_leaf(struct cert *out, struct buf *der, const char *path)
{
	AUTO_BUF text = BUF_MAX(FILE_MAX);

	return file_read(&text, path, FILE_MAX, NULL) == 0 &&
	    pem_decode(der, bytes_of_buf(&text), "CERTIFICATE", NULL) == 0 &&
	    cert_read(out, bytes_of_buf(der), NULL) == 0;
}

/* A key and a certificate of one ID must be a pair; what cannot be read was told before. */
static void
check_pair(struct checking *c, const char *cert_path, const char *key_path)
{
	AUTO_BUF text = BUF_MAX(FILE_MAX);
	AUTO_BUF der = { 0 };
	AUTO(key) key = NULL;
	struct cert cert;

	if (!read_leaf(&cert, &der, cert_path) || file_read(&text, key_path, FILE_MAX, NULL) != 0 ||
	    key_from_pem(&key, bytes_of_buf(&text), NULL) != 0 || bytes_equal(cert.spki, key_spki(key)))
		return;
	told(c, true,
	    "%s is not the key of the certificate in %s: one of the two belongs to something else",
	    key_path, cert_path);
}

static void
check_pairs(struct checking *c, const struct plan *p)
{
	for (size_t i = 0; i < p->preloaded_keys.n; i++) {
		const struct entry *e = &p->preloaded_keys.v[i];
		const struct reference *key = reference_of(p, e->value, REFERENCE_KEY);
		const struct reference *cert =
		    reference_of(p, map_get(&p->preloaded_certs, e->key), REFERENCE_CERT);

		c->r = key;
		if (key != NULL && cert != NULL)
			check_pair(c, cert->path, key->path);
	}
}

size_t
check_references(const struct plan *p, const struct check_options *o)
{
	struct checking c = { .o = o };

	for (size_t i = 0; i < p->n_references; i++) {
		bool again = false;

		c.r = &p->references[i];
		for (size_t k = 0; k < i && !again; k++)
			again = strcmp(p->references[k].path, c.r->path) == 0 &&
			    p->references[k].kind == c.r->kind;
		if (!again)
			check_one(&c);
	}
	check_pairs(&c, p);
	return c.errors;
}
