/* SPDX-License-Identifier: Apache-2.0 */
/* cli/est_keep.c - a key and its certificate on disk */
#include "cli/est_keep.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/base/file.h"

static int
put_path(char out[EST_KEEP_PATH_MAX], const char *path, const char *suffix, struct err *e)
{
	int n = snprintf(out, EST_KEEP_PATH_MAX, "%s%s", path, suffix);

	if (n < 0 || n >= EST_KEEP_PATH_MAX)
		return err_set(e, E_USAGE, "file name too long");
	return 0;
}

int
est_keep_init(struct est_keep *k, const char *cert, const char *key, struct err *e)
{
	int r = put_path(k->cert, cert, "", e);

	if (r == 0)
		r = key != NULL ? put_path(k->key, key, "", e) : put_path(k->key, cert, ".key", e);
	return r != 0 ? r : put_path(k->key_new, k->key, ".new", e);
}

static bool
is_one_file(const struct est_keep *k)
{
	return target_is_same(k->cert, k->key);
}

/* No two of the files that are written may be one, but for the pair's own two. */
static int
check_distinct(const struct est_keep *k, bool new_key, const char *trust, struct err *e)
{
	const struct {
		const char *a, *b;
		bool both;
	} pairs[] = {
		{ k->cert, k->key_new, new_key },
		{ trust, k->cert, trust != NULL },
		{ trust, k->key, trust != NULL && new_key },
		{ trust, k->key_new, trust != NULL && new_key },
	};

	for (size_t i = 0; i < N_OF(pairs); i++)
		if (pairs[i].both && (target_is_file(pairs[i].a) || target_is_stdout(pairs[i].a)) &&
		    target_is_same(pairs[i].a, pairs[i].b))
			return err_set(e, E_USAGE, "%s: two things are to be written there; name another file for one of them",
			    pairs[i].a);
	return 0;
}

int
est_keep_check(const struct est_keep *k, bool new_key, const char *trust, struct err *e)
{
	int r = target_check("out", k->cert, is_one_file(k) ? TARGET_KEY : TARGET_CERTS, e);

	if (r == 0 && new_key && !is_one_file(k))
		r = target_check("key-out", k->key, TARGET_KEY, e);
	if (r == 0 && new_key)
		r = target_check("key-out", k->key_new, TARGET_KEY, e);
	if (r == 0 && trust != NULL)
		r = target_check("trust-out", trust, TARGET_CERTS, e);
	return r != 0 ? r : check_distinct(k, new_key, trust, e);
}

/* The key of a file, when there is one. */
static int
read_key(struct key **out, const char *path, struct err *e)
{
	AUTO_BUF pem = BUF_MAX(EST_KEEP_FILE_MAX);
	int r = file_read(&pem, path, EST_KEEP_FILE_MAX, e);

	if (r != 0)
		return r;
	r = key_from_pem(out, bytes_of_buf(&pem), e);
	return r != 0 ? err_prefix(e, r, "%s", path) : 0;
}

/* Does the certificate file's first certificate carry this key? */
static bool
cert_has_key(const char *path, const struct key *k)
{
	AUTO_BUF pem = BUF_MAX(EST_KEEP_FILE_MAX);
	AUTO_BUF der = { 0 };
	struct cert c;

	return target_is_file(path) && file_read(&pem, path, EST_KEEP_FILE_MAX, NULL) == 0 &&
	    pem_decode(&der, bytes_of_buf(&pem), "CERTIFICATE", NULL) == 0 &&
	    cert_parse(&c, bytes_of_buf(&der), NULL) == 0 && bytes_equal(c.spki, key_spki(k));
}

static int
write_key(const char *path, const struct key *key, struct err *e)
{
	AUTO_BUF pem = { 0 };
	int r = key_to_pem(&pem, key, e);

	return r != 0 ? r : target_write(path, bytes_of_buf(&pem), 0600, NULL, e);
}

/* Steps 2 and 3. */
static int
put_key(const struct est_keep *k, const struct key *key, struct err *e)
{
	int r = is_one_file(k) ? 0 : write_key(k->key, key, e);

	if (r == 0 && unlink(k->key_new) != 0 && errno != ENOENT)
		r = err_errno(e, E_IO, "%s", k->key_new);
	return r;
}

int
est_keep_recover(const struct est_keep *k, bool *done, struct err *e)
{
	AUTO(key) pending = NULL;
	int r = read_key(&pending, k->key_new, e);

	*done = false;
	if (r == E_NOTFOUND)
		return 0;
	if (r != 0)
		return r;
	if (!cert_has_key(k->cert, pending))
		return 0;
	*done = true;
	return put_key(k, pending, e);
}

int
est_keep_spare(const struct est_keep *k, const char *own, struct err *e)
{
	AUTO(key) there = NULL;
	AUTO(key) pending = NULL;

	if ((own != NULL && target_is_same(own, k->key)) || !target_has_key(k->key))
		return 0;
	/* An earlier run ended just before "<key>.new" went. */
	if (read_key(&there, k->key, NULL) == 0 && read_key(&pending, k->key_new, NULL) == 0 &&
	    bytes_equal(key_spki(there), key_spki(pending)))
		return 0;
	return err_set(e, E_EXISTS, "%s: is there already and holds a private key; --force replaces it, and another --out or "
	    "--key-out leaves it", k->key);
}

int
est_keep_new_key(
    struct key **out, bool *reused, const struct est_keep *k, enum key_type t, struct err *e)
{
	AUTO(key) key = NULL;
	int r = read_key(&key, k->key_new, e);

	*reused = r == 0 && key_get_type(key) == t;
	if (r != 0 && r != E_NOTFOUND)
		return r;
	if (!*reused) {
		key_free(TAKE(key));
		r = key_generate(&key, t, e);
		if (r == 0)
			r = write_key(k->key_new, key, e);
		if (r != 0)
			return r;
	}
	*out = TAKE(key);
	return 0;
}

int
est_keep_finish(
    const struct est_keep *k, struct bytes cert_pem, const struct key *key, FILE *out, struct err *e)
{
	AUTO_BUF both = { 0 };
	int r;

	if (is_one_file(k)) {
		AUTO(key) there = NULL;

		r = key == NULL ? read_key(&there, k->key, e) : 0;
		if (r != 0 || (r = key_to_pem(&both, key != NULL ? key : there, e)) != 0)
			return r;
		buf_put_bytes(&both, cert_pem);
		r = target_write(k->cert, bytes_of_buf(&both), 0600, NULL, e);
	} else {
		r = target_write(k->cert, cert_pem, 0644, out, e);
	}
	return r != 0 || key == NULL ? r : put_key(k, key, e);
}
