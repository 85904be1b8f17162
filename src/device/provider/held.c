/* SPDX-License-Identifier: Apache-2.0 */
/* provider/held.c - a key pair that the Keys Service holds: its handle, and what it is asked */
#include "device/provider/held.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "core/base/mem.h"
#include "device/keyd/client.h"

struct held {
	atomic_uint refs;
	char *id;              /* NULL: known by a handle alone */
	char *socket;
	struct buf spki;
	pthread_mutex_t lock;  /* of handle */
	char *handle;
};

static struct keyd
service(const struct held *h)
{
	return (struct keyd){ .socket = h->socket };
}

static void
free_handle(char *handle)
{
	if (handle != NULL)
		mem_free_wiped(handle, strlen(handle));
}

int
held_open(struct held **out, const struct uri *u, const char *socket, struct err *e)
{
	struct held *h = mem_zalloc(sizeof(*h));
	int r = 0;

	atomic_init(&h->refs, 1);
	(void)pthread_mutex_init(&h->lock, NULL);
	h->socket = mem_strdup(u->socket != NULL ? u->socket : socket);
	if (u->id != NULL) {
		h->id = mem_strdup(u->id);
		r = keyd_load_pair(&h->handle, service(h), h->id, e);
	} else {
		h->handle = mem_strdup(u->handle);
	}
	if (r == 0)
		r = keyd_public(&h->spki, service(h), h->handle, e);
	if (r == 0)
		*out = h;
	else
		held_free(h);
	return r;
}

struct held *
held_ref(struct held *h)
{
	if (h != NULL)
		(void)atomic_fetch_add(&h->refs, 1);
	return h;
}

void
held_free(struct held *h)
{
	if (h == NULL || atomic_fetch_sub(&h->refs, 1) != 1)
		return;
	(void)pthread_mutex_destroy(&h->lock);
	free_handle(h->handle);
	mem_free(h->id);
	mem_free(h->socket);
	buf_free(&h->spki);
	mem_free(h);
}

struct bytes
held_public(const struct held *h)
{
	return bytes_of_buf(&h->spki);
}

static char *
copy_handle(struct held *h)
{
	char *copy;

	(void)pthread_mutex_lock(&h->lock);
	copy = mem_strdup(h->handle);
	(void)pthread_mutex_unlock(&h->lock);
	return copy;
}

static void
set_handle(struct held *h, const char *handle)
{
	(void)pthread_mutex_lock(&h->lock);
	free_handle(h->handle);
	h->handle = mem_strdup(handle);
	(void)pthread_mutex_unlock(&h->lock);
}

static int
ask(struct buf *out, const struct held *h, const char *handle, enum held_op op, struct bytes in, struct err *e)
{
	switch (op) {
	case HELD_ECDSA:
		return keyd_sign_ecdsa(out, service(h), handle, in, e);
	case HELD_EDDSA:
		return keyd_sign_eddsa(out, service(h), handle, in, e);
	case HELD_RSA_PKCS1:
		return keyd_rsa_private(out, service(h), handle, true, in, e);
	default:
		return keyd_rsa_private(out, service(h), handle, false, in, e);
	}
}

/* A new handle for the same pair.  Whoever has its certificate needs this key and no other of that name. */
static int
reload(char **handle, struct held *h, struct err *e)
{
	AUTO_BUF spki = { 0 };
	char *fresh = NULL;
	int r = keyd_load_pair(&fresh, service(h), h->id, e);

	if (r == 0)
		r = keyd_public(&spki, service(h), fresh, e);
	if (r == 0 && !bytes_equal(bytes_of_buf(&spki), held_public(h)))
		r = err_set(e, E_POLICY, "keyd: key pair '%s' was replaced since it was loaded", h->id);
	if (r == 0) {
		set_handle(h, fresh);
		*handle = TAKE(fresh);
	}
	free_handle(fresh);
	return r;
}

/* The refusals that a handle which has ended, or a pair that is gone, may be answered with. */
static bool
is_refusal(int r)
{
	return r == E_AUTH || r == E_POLICY || r == E_NOTFOUND;
}

int
held_do(struct buf *out, struct held *h, enum held_op op, struct bytes in, struct err *e)
{
	AUTO_BUF answer = { 0 };
	char *handle = copy_handle(h);
	int r = ask(&answer, h, handle, op, in, e);

	if (is_refusal(r) && h->id != NULL) {
		free_handle(TAKE(handle));
		r = reload(&handle, h, e);
		if (r == 0)
			r = ask(&answer, h, handle, op, in, e);
	}
	free_handle(handle);
	if (r == 0)
		buf_put_bytes(out, bytes_of_buf(&answer));
	return r;
}
