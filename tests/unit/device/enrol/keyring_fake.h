/* SPDX-License-Identifier: Apache-2.0 */
/* keyring_fake.h - keys by ID in memory, in the place of the Keys Service */
#ifndef TESTS_ENROL_KEYRING_FAKE_H
#define TESTS_ENROL_KEYRING_FAKE_H

#include <string.h>

#include "device/enrol/keyring.h"

struct fake_key {
	const char *id;             /* NULL: no key here */
	struct key *key;
};
static struct fake_key fake_keys[8];
static int fake_down;               /* not 0: every question fails with this code */
static char fake_told[200];         /* the last change that was asked for */

static inline struct fake_key *
fake_find(const char *id)
{
	for (size_t i = 0; i < N_OF(fake_keys); i++)
		if (fake_keys[i].id != NULL && strcmp(fake_keys[i].id, id) == 0)
			return &fake_keys[i];
	return NULL;
}

/* A reference of its own to a test's key. */
static inline void
fake_put(const char *id, const struct key *k)
{
	size_t i = 0;

	while (fake_keys[i].id != NULL)
		i++;
	fake_keys[i].id = id;
	(void)!key_from_evp(&fake_keys[i].key, key_evp(k), NULL);
}

static inline void
fake_forget(void)
{
	for (size_t i = 0; i < N_OF(fake_keys); i++) {
		key_free(fake_keys[i].key);
		fake_keys[i] = (struct fake_key){ 0 };
	}
	fake_down = 0;
	fake_told[0] = 0;
}

static inline int
fake_get(struct fake_key **out, const char *id, struct err *e)
{
	*out = fake_find(id);
	if (fake_down != 0)
		return err_set(e, (enum err_code)fake_down, "key '%s': no answer", id);
	return *out != NULL ? 0 : err_set(e, E_NOTFOUND, "key '%s': not found", id);
}

int
keyring_open(struct key **out, const struct job *j, const char *id, struct err *e)
{
	struct fake_key *k;
	int rc = fake_get(&k, id, e);

	(void)j;
	return rc != 0 ? rc : key_from_evp(out, key_evp(k->key), e);
}

int
keyring_open_handle(struct key **out, const struct job *j, const char *handle, struct err *e)
{
	return keyring_open(out, j, handle, e);
}

int
keyring_create(const struct job *j, const char *id, const char *algorithms, struct err *e)
{
	AUTO(key) k = NULL;

	(void)j, (void)algorithms;
	if (fake_down != 0)
		return err_set(e, (enum err_code)fake_down, "key '%s': no answer", id);
	if (fake_find(id) != NULL)
		return 0;
	if (key_generate(&k, KEY_EC_P256, e) != 0)
		return E_CRYPTO;
	fake_put(id, k);
	return 0;
}

int
keyring_spki(struct buf *out, const struct job *j, const char *id, struct err *e)
{
	struct fake_key *k;
	int rc = fake_get(&k, id, e);

	(void)j;
	if (rc == 0)
		buf_put_bytes(out, key_spki(k->key));
	return rc;
}

static inline int
fake_change(const char *what, const char *id, struct err *e)
{
	struct fake_key *k;
	int rc = fake_get(&k, id, e);

	if (rc == 0)
		(void)snprintf(fake_told, sizeof(fake_told), "%s %s", what, id);
	return rc;
}

int
keyring_delete(const struct job *j, const char *id, struct err *e)
{
	int rc = fake_change("delete", id, e);

	(void)j;
	return rc == E_NOTFOUND ? 0 : rc;
}

int
keyring_switch(const struct job *j, const char *id, const char *from, struct bytes spki, struct err *e)
{
	(void)j, (void)spki;
	return strcmp(from, "from") == 0 ? fake_change("switch", id, e) : err_set(e, E_NOTFOUND, "key '%s': not found", from);
}

int
keyring_prove(const struct job *j, const char *id, struct err *e)
{
	(void)j;
	return fake_change("prove", id, e);
}

int
keyring_rollback(const struct job *j, const char *id, struct err *e)
{
	(void)j;
	return fake_change("rollback", id, e);
}

#endif
