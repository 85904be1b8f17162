/* SPDX-License-Identifier: Apache-2.0 */
/* enrol/keyring.c - keys that stay with the Keys Service, by its provider and its API */
#include "device/enrol/keyring.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "device/keyd/client.h"
#include "device/provider/provider.h"

static struct keyd
service(const struct job *j)
{
	return (struct keyd){ .socket = j->keyd_socket };
}

static int
named(int rc, const char *id, struct err *e)
{
	return rc == 0 ? 0 : err_prefix(e, (enum err_code)rc, "key '%s'", id);
}

/* The provider is loaded once in a process, for one service. */
static int
use_provider(const struct job *j, struct err *e)
{
	static char used[PLACE_MAX];
	int rc;

	if (used[0] != 0 && strcmp(used, j->keyd_socket) == 0)
		return 0;
	rc = provider_use(j->keyd_socket, e);
	if (rc == 0)
		(void)snprintf(used, sizeof(used), "%s", j->keyd_socket);
	return rc;
}

int
keyring_open(struct key **out, const struct job *j, const char *id, struct err *e)
{
	int rc = use_provider(j, e);

	if (rc == 0)
		rc = provider_key(out, id, e);
	return named(rc, id, e);
}

int
keyring_open_handle(struct key **out, const struct job *j, const char *handle, struct err *e)
{
	AUTO_KEYD_HANDLE own = { 0 };
	struct err why = { 0 };
	int rc = use_provider(j, e), held;

	if (rc != 0)
		return err_prefix(e, (enum err_code)rc, "the issuer's key handle");
	/* H5: somebody else's handle must not work through us; root could use any, so for root only the holder's counts. */
	held = keyd_delegate(&own.text, service(j), handle, (uid_t)j->issuer_holder, &why);
	if (held != 0 && held != E_NOTFOUND && (held != E_AUTH || geteuid() == 0))
		return err_set(e, (enum err_code)held, "the issuer's key handle: %s", why.msg);
	rc = provider_key_by_handle(out, held == 0 ? own.text : handle, e);
	if (rc != 0 && held == E_AUTH)
		return err_set(e, E_AUTH, "the issuer's key handle: %s", why.msg);
	return rc == 0 ? 0 : err_prefix(e, (enum err_code)rc, "the issuer's key handle");
}

int
keyring_create(const struct job *j, const char *id, const char *algorithms, struct err *e)
{
	AUTO_KEYD_HANDLE h = { 0 };

	return named(keyd_create_pair(&h.text, service(j), id, algorithms[0] != 0 ? algorithms : NULL, e), id, e);
}

int
keyring_spki(struct buf *out, const struct job *j, const char *id, struct err *e)
{
	AUTO_KEYD_HANDLE h = { 0 };
	int rc = keyd_load_pair(&h.text, service(j), id, e);

	if (rc == 0)
		rc = keyd_public(out, service(j), h.text, e);
	return named(rc, id, e);
}

int
keyring_delete(const struct job *j, const char *id, struct err *e)
{
	AUTO_KEYD_HANDLE h = { 0 };
	int rc = keyd_load_pair(&h.text, service(j), id, e);

	/* A damaged one has no handle.  Who makes it anew has one: of the key in its place, or of one that was whole after all. */
	if (rc == E_UNAVAIL)
		rc = keyd_create_pair(&h.text, service(j), id, NULL, e);
	if (rc == 0)
		rc = keyd_delete_pair(service(j), h.text, e);
	return rc == E_NOTFOUND ? 0 : named(rc, id, e);
}

int
keyring_switch(const struct job *j, const char *id, const char *from, struct bytes spki, struct err *e)
{
	return named(keyd_switch(service(j), id, from, spki, e), id, e);
}

int
keyring_prove(const struct job *j, const char *id, struct err *e)
{
	return named(keyd_prove(service(j), id, e), id, e);
}

int
keyring_rollback(const struct job *j, const char *id, struct err *e)
{
	return named(keyd_rollback(service(j), id, e), id, e);
}
