/* SPDX-License-Identifier: Apache-2.0 */
/* authority/snapshot.c - what fronts need to know: labels, anchors, published files, health */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/file.h"
#include "core/base/text.h"
#include "core/sys/log.h"
#include "server/authority/authority.h"
#include "server/provision/provision.h"

#define PUBLISHED_MAX ((size_t)256 * 1024 * 1024)

static void
tell(struct peer *p, uint32_t type, struct bytes body, int fd)
{
	uint64_t id = type == PROTO_SNAP_END ? p->a->snapshot : 0;
	struct err e = { 0 };

	if (pipe_send(p->pipe, type, id, body, fd, &e) != 0)
		log_event(L_WARN, "snapshot.send", "why=%s", e.msg);
}

/* Does the profile leave exactly one kind of key?  Then requests are told so (RFC 8951 4). */
static enum key_type
only_key(const struct profile *p)
{
	if (p->keys == 0 || (p->keys & (p->keys - 1)) != 0)
		return KEY_NONE;
	return (enum key_type)__builtin_ctz(p->keys);
}

static void
send_label(struct authority *a, struct peer *p, const struct label *l, const char *name)
{
	const struct ca *ca = fleet_ca(a->fleet, l->ca);
	const struct profile *profile = fleet_profile(a->fleet, l->profile);
	AUTO_BUF attrs = { 0 };
	AUTO_BUF bag = { 0 };
	AUTO_BUF body = BUF_MAX(PIPE_MAX);
	struct bytes chain[16];
	struct proto_label v = { .enabled = l->enabled, .pop_required = l->pop_required, .send_cte = l->cte,
		.wrap = (uint32_t)l->wrap, .wants_basic = (l->rule.accept & WAY_HEADER) != 0 };

	if (ca == NULL || profile == NULL)
		return;
	(void)snprintf(v.name, sizeof(v.name), "%s", name);
	(void)snprintf(v.title, sizeof(v.title), "%s", l->name);
	(void)snprintf(v.profile, sizeof(v.profile), "%s", l->profile);
	if ((l->rule.accept & WAY_SECRET) != 0)
		(void)snprintf(v.secret_header, sizeof(v.secret_header), "%s", l->secret_header);
	cms_certs_only(&bag, chain, fleet_chain(ca, chain, N_OF(chain)));
	v.cacerts = bytes_of_buf(&bag);
	for (; v.n_bases < l->n_bases && name[0] != 0; v.n_bases++) /* once, beside its name */
		memcpy(v.base[v.n_bases], l->base[v.n_bases], sizeof(v.base[0]));
	if (l->pop_required || only_key(profile) != KEY_NONE) {
		est_attrs_build(&attrs, &(struct est_attrs_want){ .key = only_key(profile), .pop = l->pop_required });
		v.csrattrs = bytes_of_buf(&attrs);
	}
	proto_put_label(&body, &v);
	tell(p, PROTO_SNAP_LABEL, bytes_of_buf(&body), -1);
}

static void
send_anchor(struct peer *p, uint32_t id, struct bytes der)
{
	AUTO_BUF b = { 0 };

	wire_put_u32(&b, id);
	wire_put_bytes(&b, der);
	tell(p, PROTO_SNAP_ANCHOR, bytes_of_buf(&b), -1);
}

/* The anchors of one snapshot; one certificate is one anchor, however often it is named. */
struct anchors {
	struct peer *p;
	struct buf sent;             /* SHA-256 of each */
};

static void
send_once(struct anchors *s, uint32_t id, struct bytes der)
{
	uint8_t digest[SHA256_LEN];

	sha256(digest, der);
	for (size_t i = 0; i < s->sent.n; i += SHA256_LEN)
		if (memcmp(s->sent.p + i, digest, SHA256_LEN) == 0)
			return;
	buf_put(&s->sent, digest, sizeof(digest));
	send_anchor(s->p, id, der);
}

static int
send_outside(void *ctx, struct anchor_row *r)
{
	send_once(ctx, FLEET_ANCHOR_BASE + (uint32_t)r->id, bytes_of_buf(&r->der));
	return 0;
}

static int
send_uploaded(void *ctx, struct dps_ca_row *r)
{
	if (r->verified && r->id < UINT32_MAX - PROVISION_ANCHOR_BASE)
		send_once(ctx, PROVISION_ANCHOR_BASE + (uint32_t)r->id, bytes_of_buf(&r->der));
	return 0;
}

/* Ours first, then those that labels take, then those that were uploaded for provisioning: fronts let the earlier have their way. */
static void
send_anchors(struct authority *a, struct peer *p)
{
	struct anchors s = { .p = p };
	struct err e = { 0 };

	for (size_t i = 0; i < a->fleet->n_cas; i++)
		send_once(&s, (uint32_t)a->fleet->ca[i]->row.id, bytes_of_buf(&a->fleet->ca[i]->row.der));
	if (anchor_row_each(a->db, send_outside, &s, &e) != 0 || dps_ca_row_each(a->db, send_uploaded, &s, &e) != 0)
		log_event(L_ERROR, "snapshot.anchors", "why=%s", e.msg);
	buf_free(&s.sent);
}

static const struct {
	const char *dir, *suffix, *type; /* dir: in the URL */
} files[] = {
	[PUBLIC_CRL] = { "crl", ".crl", "application/pkix-crl" },
	[PUBLIC_CERT] = { "aia", ".cer", "application/pkix-cert" },
};

void
public_path(char path[PUBLIC_PATH_MAX], const struct authority *a, enum public_file kind, const char *name)
{
	(void)snprintf(path, PUBLIC_PATH_MAX, "%s/public/%s%s", a->settings.dir, name, files[kind].suffix);
}

void
snapshot_publish(struct authority *a, struct peer *p, enum public_file kind, const char *name)
{
	char path[PUBLIC_PATH_MAX], url[128], etag[2 * SHA256_LEN + 3];
	uint8_t digest[SHA256_LEN];
	AUTO_BUF content = BUF_MAX(PUBLISHED_MAX);
	AUTO_BUF b = { 0 };
	AUTO_FD fd = -1;

	public_path(path, a, kind, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || file_read(&content, path, PUBLISHED_MAX, NULL) != 0)
		return; /* not there yet: crl.c makes it */
	sha256(digest, bytes_of_buf(&content));
	etag[0] = '"';
	text_hex(etag + 1, (struct bytes){ digest, sizeof(digest) });
	(void)snprintf(etag + 33, 2, "\"");
	(void)snprintf(url, sizeof(url), "/%s/%s%s", files[kind].dir, name, files[kind].suffix);
	wire_put_str(&b, url);
	wire_put_str(&b, files[kind].type);
	wire_put_str(&b, etag);
	for (size_t i = 0; i < N_OF(a->peers); i++)
		if (a->peers[i].serial != 0 && a->peers[i].role == ROLE_FRONT && (p == NULL || p == &a->peers[i]))
			tell(&a->peers[i], PROTO_PUBLISH, bytes_of_buf(&b), fd);
}

void
snapshot_health(struct authority *a, struct peer *p)
{
	AUTO_BUF b = { 0 };

	wire_put_u8(&b, a->store_ok);
	wire_put_u8(&b, authority_signer_ok(a));
	wire_put_str(&b, !a->store_ok ? a->store_why : authority_signer_ok(a) ? "" : "the signer is away");
	for (size_t i = 0; i < N_OF(a->peers); i++)
		if (a->peers[i].serial != 0 && (p == NULL || p == &a->peers[i]))
			tell(&a->peers[i], PROTO_HEALTH, bytes_of_buf(&b), -1);
}

void
snapshot_send(struct authority *a, struct peer *p)
{
	tell(p, PROTO_SNAP_BEGIN, (struct bytes){ 0 }, -1);
	for (size_t i = 0; i < a->fleet->n_labels; i++) {
		const struct label *l = a->fleet->label[i];

		send_label(a, p, l, l->name);
		if (l->is_default)
			send_label(a, p, l, "");
	}
	send_anchors(a, p);
	tell(p, PROTO_SNAP_END, (struct bytes){ 0 }, -1);
	for (size_t i = 0; i < a->fleet->n_cas; i++) {
		snapshot_publish(a, p, PUBLIC_CRL, a->fleet->ca[i]->row.name);
		snapshot_publish(a, p, PUBLIC_CERT, a->fleet->ca[i]->row.name);
	}
	snapshot_health(a, p);
}

void
snapshot_send_all(struct authority *a)
{
	a->snapshot++;
	for (size_t i = 0; i < N_OF(a->peers); i++)
		if (a->peers[i].serial != 0 && a->peers[i].role == ROLE_FRONT)
			snapshot_send(a, &a->peers[i]);
}
