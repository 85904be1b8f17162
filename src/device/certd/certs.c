/* SPDX-License-Identifier: Apache-2.0 */
/* certd/certs.c - the certificates on disk */
#include "device/certd/certs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/base/file.h"

#define BEGIN_MARK "-----BEGIN CERTIFICATE-----"
#define END_MARK   "-----END CERTIFICATE-----"
#define LIST_VISITS_MAX 1000 /* members read for one list of lists; whoever writes the configuration can reach it */

/* In our home. */
static int
own_path(char out[PLACE_MAX * 2], const struct certd_settings *s, const char *id, struct err *e)
{
	char name[STEM_MAX];
	int n, r;

	if ((r = stem_name(name, id, ".cer", e)) != 0)
		return r;
	n = snprintf(out, PLACE_MAX * 2, "%s/certs/%s", s->home, name);
	if (n < 0 || n >= PLACE_MAX * 2)
		return err_set(e, E_TOOBIG, "certificate '%.100s': its path is too long", id);
	return 0;
}

bool
certs_has_copy(const struct certd_settings *s, const char *id)
{
	char path[PLACE_MAX * 2];

	return own_path(path, s, id, NULL) == 0 && access(path, F_OK) == 0;
}

int
certs_path(char out[PLACE_MAX * 2], const struct certd_settings *s, const char *id, struct err *e)
{
	const struct preloaded *p = certd_preloaded(s, id);

	if (p != NULL && p->path == NULL)
		return err_set(e, E_NOTFOUND, "certificate '%.100s': a list of others, not a file", id);
	if (p == NULL || (p->identity && certs_has_copy(s, id)))
		return own_path(out, s, id, e);
	(void)snprintf(out, PLACE_MAX * 2, "%s", p->path);
	return 0;
}

/* The lists that are being read, innermost first. */
struct visit {
	const struct visit *up;
	const char *id;
};

static int read_id(struct buf *out, const struct certd_settings *s, const struct visit *v, unsigned *visits,
    struct err *e) MUST_CHECK;

static int
read_list(struct buf *out, const struct certd_settings *s, const struct preloaded *p, const struct visit *v,
    unsigned *visits, struct err *e)
{
	size_t had = out->n;
	int r;

	for (const struct visit *up = v->up; up != NULL; up = up->up)
		if (strcmp(up->id, v->id) == 0)
			return err_set(e, E_FORMAT, "certificate list '%.100s': contains itself", v->id);
	for (size_t i = 0; p->members[i] != NULL; i++) {
		struct visit member = { .up = v, .id = p->members[i] };

		if (++*visits > LIST_VISITS_MAX)
			return err_set(e, E_TOOBIG, "certificate list '%.100s': more than %d members", v->id, LIST_VISITS_MAX);
		r = read_id(out, s, &member, visits, e);
		if (r != 0 && r != E_NOTFOUND)
			return r;
	}
	return out->n > had ? 0 : err_set(e, E_NOTFOUND, "certificate list '%.100s': none of its members exists", v->id);
}

static int
read_file(struct buf *out, const char *id, const char *path, struct err *e)
{
	AUTO_BUF text = BUF_MAX(CERTS_FILE_MAX);
	int r = file_read(&text, path, CERTS_FILE_MAX, e);

	if (r == E_NOTFOUND)
		return err_set(e, r, "certificate '%.100s': not found (%.200s)", id, path);
	if (r != 0)
		return err_prefix(e, r, "certificate '%.100s'", id);
	if (out->n > 0 && out->p[out->n - 1] != '\n')
		buf_put_u8(out, '\n');
	buf_put_bytes(out, bytes_of_buf(&text));
	return buf_check(out, "certificates", e);
}

static int
read_id(struct buf *out, const struct certd_settings *s, const struct visit *v, unsigned *visits, struct err *e)
{
	const struct preloaded *p = certd_preloaded(s, v->id);
	char path[PLACE_MAX * 2];
	int r;

	if (p != NULL && p->path == NULL)
		return read_list(out, s, p, v, visits, e);
	if ((r = certs_path(path, s, v->id, e)) != 0)
		return r;
	return read_file(out, v->id, path, e);
}

int
certs_read(struct buf *out, const struct certd_settings *s, const char *id, struct err *e)
{
	AUTO_BUF pem = BUF_MAX(CERTS_FILE_MAX);
	struct visit top = { .id = id };
	unsigned visits = 0;
	int r = read_id(&pem, s, &top, &visits, e);

	if (r != 0)
		return r;
	buf_put_bytes(out, bytes_of_buf(&pem));
	return buf_check(out, "certificates", e);
}

/* In a list, or a list in it; also when there are too many to look through. */
static bool
is_among(const struct certd_settings *s, char **list, const char *id, unsigned *visits)
{
	for (; list != NULL && *list != NULL; list++) {
		const struct preloaded *p = certd_preloaded(s, *list);

		if (++*visits > LIST_VISITS_MAX || strcmp(*list, id) == 0 ||
		    (p != NULL && is_among(s, p->members, id, visits)))
			return true;
	}
	return false;
}

bool
certs_is_anchor(const struct certd_settings *s, const char *id)
{
	unsigned visits = 0;

	return is_among(s, s->trusted_certs, id, &visits);
}

/* Preloaded certificates are somebody else's files; writing them would write wherever the configuration points. */
int
certs_check_ours(const struct certd_settings *s, const char *id, struct err *e)
{
	if (certd_preloaded(s, id) == NULL)
		return 0;
	return err_set(e, E_POLICY, "certificate '%.100s': preloaded, and therefore read-only", id);
}

int
certs_write(const struct certd_settings *s, const char *id, struct bytes pem, struct err *e)
{
	const struct preloaded *p = certd_preloaded(s, id);
	char path[PLACE_MAX * 2], dir[PLACE_MAX * 2];
	int r;

	if ((p == NULL || !p->identity) && (r = certs_check_ours(s, id, e)) != 0)
		return r;
	if ((r = own_path(path, s, id, e)) != 0)
		return r;
	if (pem.n > CERTS_FILE_MAX)
		return err_set(e, E_TOOBIG, "certificate '%.100s': over %zu octets", id, CERTS_FILE_MAX);
	(void)snprintf(dir, sizeof(dir), "%s/certs", s->home);
	if ((r = file_mkdir(s->home, 0700, e)) != 0 || (r = file_mkdir(dir, 0755, e)) != 0)
		return r;
	return file_write(path, pem, 0644, e);
}

int
certs_delete(const struct certd_settings *s, const char *id, struct err *e)
{
	char path[PLACE_MAX * 2], dir[PLACE_MAX * 2];
	AUTO_FD fd = -1;
	int r;

	if ((r = certs_check_ours(s, id, e)) != 0 || (r = own_path(path, s, id, e)) != 0)
		return r;
	if (unlink(path) != 0 && errno != ENOENT)
		return err_errno(e, E_IO, "%s", path);
	/* Also when it was gone: whoever removed it may have crashed before this. */
	(void)snprintf(dir, sizeof(dir), "%s/certs", s->home);
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 ? errno != ENOENT : fsync(fd) != 0)
		return err_errno(e, E_IO, "%s", dir);
	return 0;
}

int
certs_leaf(struct cert *out, struct buf *der, struct bytes pem, struct err *e)
{
	const uint8_t *begin = NULL, *end = NULL;
	int r;

	if (pem.n != 0) {
		begin = memmem(pem.p, pem.n, BEGIN_MARK, sizeof(BEGIN_MARK) - 1);
		end = memmem(pem.p, pem.n, END_MARK, sizeof(END_MARK) - 1);
	}
	/* What ends without having begun was damaged; the first that is whole after it is another's. */
	if (begin != NULL && end != NULL && end < begin)
		return err_set(e, E_FORMAT, "certificate: its beginning is damaged");
	if ((r = pem_decode(der, pem, "CERTIFICATE", e)) != 0)
		return r;
	return cert_parse(out, bytes_of_buf(der), e);
}

int
certs_read_any(struct buf *out, const struct certd_settings *s, const char *id_or_uri, struct err *e)
{
	char path[PLACE_MAX];
	int r;

	if (strncmp(id_or_uri, "file:", 5) != 0 || certd_preloaded(s, id_or_uri) != NULL)
		return certs_read(out, s, id_or_uri, e);
	if ((r = place_from_file_uri(path, id_or_uri, e)) != 0)
		return r;
	return read_file(out, id_or_uri, path, e);
}
