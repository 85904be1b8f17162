/* SPDX-License-Identifier: Apache-2.0 */
/* signer/main.c - the signer role: its start, its confinement, its end */
#include <stdio.h>
#include <unistd.h>

#include "core/base/file.h"
#include "core/sys/log.h"
#include "server/proto/role.h"
#include "server/signer/service.h"

struct signer_role {
	struct loop *loop;
	struct signer *signer;
	char keys_dir[SETTINGS_PATH_MAX + 8];
	int authority_fd; /* came before the start; -1: none */
	struct sandbox_path paths[2];
	struct sandbox sandbox;
};

static void
on_settings(void *ctx, const struct settings *s)
{
	struct signer_role *r = ctx;
	uint8_t digest[SHA256_LEN];

	if (r->signer != NULL)
		return; /* nothing of a reload concerns keys */
	(void)snprintf(r->keys_dir, sizeof(r->keys_dir), "%s/keys", s->dir);
	/* OpenSSL reads its configuration and modules at its first use: now, while it still can. */
	sha256(digest, bytes_of("first use"));
}

static void
on_peer(void *ctx, enum role who, uint32_t instance, int fd)
{
	struct signer_role *r = ctx;

	(void)instance;
	if (who != ROLE_AUTHORITY) {
		log_event(L_ERROR, "signer.peer-refused", "role=%s", role_name(who));
		(void)close(fd);
	} else if (r->signer != NULL) {
		signer_attach(r->signer, fd);
	} else {
		fd_autoclose(&r->authority_fd);
		r->authority_fd = fd;
	}
}

/* The keys, and nothing else of the system; no network. */
static const struct sandbox *
on_sandbox(void *ctx)
{
	struct signer_role *r = ctx;

	r->paths[0] = (struct sandbox_path){ r->keys_dir, true };
	r->sandbox = (struct sandbox){ .paths = r->paths, .network = false };
	return &r->sandbox;
}

static int
on_start(void *ctx, struct err *e)
{
	struct signer_role *r = ctx;
	int rc = signer_new(&r->signer, r->loop, r->keys_dir, e);

	if (rc == 0 && r->authority_fd >= 0)
		signer_attach(r->signer, TAKE_FD(r->authority_fd));
	return rc;
}

/* No drain: every message is answered before the next is read, so nothing is ever under way. */
static const struct role_hooks hooks = {
	.settings = on_settings, .peer = on_peer, .start = on_start, .sandbox = on_sandbox,
};

int
main(void)
{
	struct signer_role r = { .loop = loop_new(), .authority_fd = -1 };
	int status = role_main(ROLE_SIGNER, &hooks, &r, r.loop);

	signer_free(r.signer);
	fd_autoclose(&r.authority_fd);
	loop_free(r.loop);
	return status;
}
