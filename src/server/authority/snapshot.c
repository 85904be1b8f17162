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
	if ((l->rule.accept & WAY_SECRET) != 0)
		(void)snprintf(v.secret_header, sizeof(v.secret_header), "%s", l->secret_header);
	cms_certs_only(&bag, chain, fleet_chain(ca, chain, N_OF(chain)));
	v.cacerts = bytes_of_buf(&bag);
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

static int
send_outside(void *ctx, struct anchor_row *r)
{
	send_anchor(ctx, FLEET_ANCHOR_BASE + (uint32_t)r->id, bytes_of_buf(&r->der));
	return 0;
}

void
snapshot_publish(struct authority *a, struct peer *p, const char *file)
{
	char path[SETTINGS_PATH_MAX + 128], url[128], etag[2 * SHA256_LEN + 3];
	uint8_t digest[SHA256_LEN];
	AUTO_BUF content = BUF_MAX(PUBLISHED_MAX);
	AUTO_BUF b = { 0 };
	AUTO_FD fd = -1;
	bool crl = strstr(file, ".crl") != NULL;

	(void)snprintf(path, sizeof(path), "%s/public/%s", a->settings.dir, file);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || file_read(&content, path, PUBLISHED_MAX, NULL) != 0)
		return; /* not there yet: crl.c makes it */
	sha256(digest, bytes_of_buf(&content));
	etag[0] = '"';
	text_hex(etag + 1, (struct bytes){ digest, sizeof(digest) });
	(void)snprintf(etag + 33, 2, "\"");
	(void)snprintf(url, sizeof(url), "/%s/%s", crl ? "crl" : "aia", file);
	wire_put_str(&b, url);
	wire_put_str(&b, crl ? "application/pkix-crl" : "application/pkix-cert");
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
	char file[PROTO_NAME_MAX + 8];
	struct err e = { 0 };

	tell(p, PROTO_SNAP_BEGIN, (struct bytes){ 0 }, -1);
	for (size_t i = 0; i < a->fleet->n_labels; i++) {
		const struct label *l = a->fleet->label[i];

		send_label(a, p, l, l->name);
		if (l->is_default)
			send_label(a, p, l, "");
	}
	for (size_t i = 0; i < a->fleet->n_cas; i++)
		send_anchor(p, (uint32_t)a->fleet->ca[i]->row.id, bytes_of_buf(&a->fleet->ca[i]->row.der));
	if (anchor_row_each(a->db, send_outside, p, &e) != 0)
		log_event(L_ERROR, "snapshot.anchors", "why=%s", e.msg);
	tell(p, PROTO_SNAP_END, (struct bytes){ 0 }, -1);
	for (size_t i = 0; i < a->fleet->n_cas; i++) {
		(void)snprintf(file, sizeof(file), "%s.crl", a->fleet->ca[i]->row.name);
		snapshot_publish(a, p, file);
		(void)snprintf(file, sizeof(file), "%s.cer", a->fleet->ca[i]->row.name);
		snapshot_publish(a, p, file);
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
