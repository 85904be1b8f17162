/* SPDX-License-Identifier: Apache-2.0 */
/* signer/custody.c - the directory of CA keys */
#include "server/signer/custody.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/file.h"
#include "core/base/mem.h"
#include "core/base/text.h"

#define PEM_MAX    ((size_t)16 * 1024)
#define NUMBER_MAX ((size_t)32)

struct custody {
	char *dir;
	int lock;
	struct custody_key **key;
	size_t n;
};

/* dir/ID.suffix; mem_free() it through its buffer. */
static const char *
path_of(struct buf *b, const struct custody *c, const char *id, const char *suffix)
{
	buf_printf(b, "%s/%s%s", c->dir, id, suffix);
	return buf_str(b);
}

/* --- reading --- */

static int
read_pem(struct custody_key *k, const struct custody *c, struct err *e)
{
	AUTO_BUF path = { 0 };
	AUTO_BUF pem = BUF_MAX(PEM_MAX);
	const char *file = path_of(&path, c, k->id, ".pem");
	struct stat st;
	int r;

	if (lstat(file, &st) != 0)
		return err_errno(e, E_IO, "%s", file);
	if (!S_ISREG(st.st_mode) || (st.st_mode & 077) != 0)
		return err_set(e, E_POLICY, "%s: must be a file of mode 0600: others may have read it",
		    file);
	if ((r = file_read(&pem, file, PEM_MAX, e)) != 0)
		return r;
	r = key_from_pem(&k->key, bytes_of_buf(&pem), e);
	return r != 0 ? err_prefix(e, (enum err_code)r, "%s", file) : 0;
}

static int
read_limits(struct custody_key *k, const struct custody *c, struct err *e)
{
	AUTO_BUF path = { 0 };
	AUTO_BUF text = BUF_MAX(LIMITS_TEXT_MAX);
	const char *file = path_of(&path, c, k->id, ".limits");
	uint8_t digest[SHA256_LEN];
	int r;

	if ((r = file_read(&text, file, LIMITS_TEXT_MAX, e)) != 0 ||
	    (r = limits_parse(&k->limits, file, bytes_of_buf(&text), e)) != 0)
		return r;
	sha256(digest, key_spki(k->key));
	if (k->limits.type != key_get_type(k->key) ||
	    memcmp(digest, k->limits.spki_sha256, sizeof(digest)) != 0)
		return err_set(e, E_POLICY, "%s: belongs to another key", file);
	return 0;
}

static int
read_crl_number(struct custody_key *k, const struct custody *c, struct err *e)
{
	AUTO_BUF path = { 0 };
	AUTO_BUF text = BUF_MAX(NUMBER_MAX);
	const char *file = path_of(&path, c, k->id, ".crl");
	int r = file_read(&text, file, NUMBER_MAX, NULL);

	if (r == E_NOTFOUND)
		return 0; /* it has signed none */
	if (r != 0)
		return err_set(e, (enum err_code)r, "%s: not readable", file);
	if (text.n == 0 || text.p[text.n - 1] != '\n')
		return err_set(e, E_FORMAT, "%s: not a line with a number", file);
	text.n--;
	if (strlen(buf_str(&text)) != text.n ||
	    !text_parse_u64(&k->crl_number, buf_str(&text), INT64_MAX))
		return err_set(e, E_FORMAT, "%s: not a number", file);
	return 0;
}

static struct custody_key *
add(struct custody *c, const char *id)
{
	struct custody_key *k = mem_zalloc(sizeof(*k));

	(void)snprintf(k->id, sizeof(k->id), "%s", id);
	c->key = mem_resize(c->key, c->n * sizeof(k), (c->n + 1) * sizeof(k));
	c->key[c->n++] = k;
	return k;
}

/* A directory entry: a key when it is ID.pem; a key that cannot be used is kept with the reason. */
static int
read_entry(struct custody *c, const char *name, struct err *e)
{
	size_t n = strlen(name);
	struct custody_key *k;
	char id[PROTO_NAME_MAX];

	if (n < 5 || strcmp(name + n - 4, ".pem") != 0 || n - 4 >= sizeof(id))
		return 0;
	memcpy(id, name, n - 4);
	id[n - 4] = 0;
	if (!text_valid_name(id, sizeof(id) - 1))
		return 0;
	if (c->n == CUSTODY_KEYS_MAX)
		return err_set(e, E_TOOBIG, "%s: more than %zu keys", c->dir, CUSTODY_KEYS_MAX);
	k = add(c, id);
	if (read_pem(k, c, &k->broken) != 0 || read_limits(k, c, &k->broken) != 0 ||
	    read_crl_number(k, c, &k->broken) != 0) {
		key_free(k->key);
		k->key = NULL;
	}
	return 0;
}

int
custody_open(struct custody **out, const char *dir, struct err *e)
{
	AUTO(custody) c = mem_zalloc(sizeof(*c));
	AUTO_BUF lock = { 0 };
	struct dirent *f;
	DIR *d;
	int r;

	c->lock = -1;
	c->dir = mem_strdup(dir);
	/* Two signers would each think that they know the last CRL's number. */
	if ((r = file_lock(&c->lock, path_of(&lock, c, "", ".lock"), e)) != 0)
		return r;
	if ((d = opendir(dir)) == NULL)
		return err_errno(e, E_IO, "%s", dir);
	while (r == 0 && (errno = 0, f = readdir(d)) != NULL)
		r = read_entry(c, f->d_name, e);
	if (r == 0 && errno != 0)
		r = err_errno(e, E_IO, "%s", dir);
	(void)closedir(d);
	if (r == 0)
		*out = TAKE(c);
	return r;
}

void
custody_free(struct custody *c)
{
	if (c == NULL)
		return;
	for (size_t i = 0; i < c->n; i++) {
		key_free(c->key[i]->key);
		mem_free(c->key[i]);
	}
	mem_free(c->key);
	mem_free(c->dir);
	fd_autoclose(&c->lock);
	mem_free(c);
}

size_t
custody_count(const struct custody *c)
{
	return c->n;
}

const struct custody_key *
custody_at(const struct custody *c, size_t i)
{
	return c->key[i];
}

int
custody_find(struct custody_key **out, const struct custody *c, const char *id, struct err *e)
{
	for (size_t i = 0; i < c->n; i++) {
		if (strcmp(c->key[i]->id, id) != 0)
			continue;
		if (c->key[i]->key == NULL)
			return err_set(e, E_UNAVAIL, "key is unusable: %s", c->key[i]->broken.msg);
		*out = c->key[i];
		return 0;
	}
	return err_set(e, E_NOTFOUND, "no key of that id");
}

/* --- making --- */

/* What is left of an id, a half-made key too, is for a person to look at: nothing is written over. */
static int
check_free(const struct custody *c, const char *id, struct err *e)
{
	static const char *const suffixes[] = { ".pem", ".limits", ".crl" };

	for (size_t i = 0; i < N_OF(suffixes); i++) {
		AUTO_BUF path = { 0 };
		struct stat st;

		if (lstat(path_of(&path, c, id, suffixes[i]), &st) == 0)
			return err_set(e, E_EXISTS, "%s is there already", buf_str(&path));
	}
	return 0;
}

/*
 * Limits first: a key without them signs nothing, so that no crash leaves an unlimited key.  What failed may be there
 * nevertheless, and goes, the key before its limits.
 */
static int
write_files(const struct custody *c, const struct custody_key *k, struct err *e)
{
	AUTO_BUF limits_path = { 0 };
	AUTO_BUF pem_path = { 0 };
	AUTO_BUF text = { 0 };
	AUTO_BUF pem = { 0 };
	int r = key_to_pem(&pem, k->key, e);

	if (r != 0)
		return r;
	limits_print(&text, &k->limits);
	r = file_write(path_of(&limits_path, c, k->id, ".limits"), bytes_of_buf(&text), 0600, e);
	if (r == 0)
		r = file_write(path_of(&pem_path, c, k->id, ".pem"), bytes_of_buf(&pem), 0600, e);
	if (r == 0)
		return 0;
	if (pem_path.n != 0)
		(void)unlink(buf_str(&pem_path));
	(void)unlink(buf_str(&limits_path));
	return r;
}

static struct limits
limits_of(const struct proto_keygen *want, const struct key *key)
{
	struct limits l = { .type = want->type, .may_sign_ca = want->may_sign_ca != 0,
		.max_pathlen = want->max_pathlen, .max_lifetime_s = want->max_lifetime_s,
		.max_per_s = want->max_per_s };

	sha256(l.spki_sha256, key_spki(key));
	return l;
}

/* What is written must be what is read at the next start: limits out of range are refused now. */
static int
check_limits(const struct limits *l, struct err *e)
{
	AUTO_BUF text = { 0 };
	struct limits back;

	limits_print(&text, l);
	return limits_parse(&back, "limits", bytes_of_buf(&text), e);
}

int
custody_make(struct custody_key **out, struct custody *c, const struct proto_keygen *want,
    struct err *e)
{
	AUTO(key) key = NULL;
	struct custody_key made = { 0 }, *k;
	int r;

	if (!text_valid_name(want->id, sizeof(want->id) - 1))
		return err_set(e, E_FORMAT, "key id: letters, digits, '.', '_' and '-' only");
	if ((r = check_free(c, want->id, e)) != 0)
		return r;
	if (c->n == CUSTODY_KEYS_MAX)
		return err_set(e, E_TOOBIG, "%s: holds %zu keys already", c->dir, CUSTODY_KEYS_MAX);
	if ((r = key_generate(&key, want->type, e)) != 0)
		return r;
	made.key = key;
	made.limits = limits_of(want, key);
	memcpy(made.id, want->id, sizeof(made.id));
	if ((r = check_limits(&made.limits, e)) != 0 || (r = write_files(c, &made, e)) != 0)
		return r;
	made.made_here = true;
	k = add(c, want->id);
	*k = made;
	(void)TAKE(key);
	*out = k;
	return 0;
}

/* The key first: limits without a key are nothing, and a crash between leaves no key without limits. */
static int
remove_files(const struct custody *c, const struct custody_key *k, struct err *e)
{
	static const char *const suffixes[] = { ".pem", ".limits" };

	for (size_t i = 0; i < N_OF(suffixes); i++) {
		AUTO_BUF path = { 0 };

		if (unlink(path_of(&path, c, k->id, suffixes[i])) != 0 && errno != ENOENT)
			return err_errno(e, E_IO, "%s", buf_str(&path));
	}
	return 0;
}

int
custody_drop(struct custody *c, struct custody_key *k, struct err *e)
{
	size_t i = 0;
	int r;

	if (!k->made_here || k->crl_number != 0 || k->n_signed > 1)
		return err_set(e, E_POLICY, "key may be a CA's: it stays");
	if ((r = remove_files(c, k, e)) != 0)
		return r;
	while (c->key[i] != k)
		i++;
	c->key[i] = c->key[--c->n];
	key_free(k->key);
	mem_free(k);
	return 0;
}

int
custody_remember_crl(const struct custody *c, struct custody_key *k, uint64_t number, struct err *e)
{
	AUTO_BUF path = { 0 };
	AUTO_BUF text = { 0 };
	int r;

	buf_printf(&text, "%" PRIu64 "\n", number);
	r = file_write(path_of(&path, c, k->id, ".crl"), bytes_of_buf(&text), 0600, e);
	if (r == 0)
		k->crl_number = number;
	return r;
}
