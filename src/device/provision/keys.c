/* SPDX-License-Identifier: Apache-2.0 */
/* provision/keys.c - keys of the Keys Service for tasks: handles for callers, modules' keys, switches */
#include <string.h>
#include <unistd.h>

#include "core/codec/base64.h"
#include "device/provider/provider.h"
#include "device/provision/provision_inside.h"

struct keyd
keys_service(const json_t *args)
{
	return (struct keyd){ .socket = json_str(args, "keyd", "") };
}

int
keys_settle(struct task_result *r, const struct err *e)
{
	const char *remedy = "";

	if (e->code == E_AUTH)
		remedy = "; the principal of this user in the Keys Service's configuration has to allow it";
	else if (e->code == E_UNAVAIL)
		remedy = "; is the Keys Service running?";
	else if (e->code == E_NOTFOUND)
		json_setf(r->value, "check", "key-missing");
	return task_fail(r, TASK_KEY_FAILED, e->code, "%s%s", e->msg, remedy);
}

int
keys_open(struct key **out, const json_t *args, const char *id, struct err *e)
{
	int rc = provider_use(json_str(args, "keyd", ""), e);

	if (rc == 0)
		rc = provider_key(out, id, e);
	return rc == 0 ? 0 : err_prefix(e, (enum err_code)rc, "key '%.100s'", id);
}

void
keys_put_spki(struct task_result *r, const struct key *key)
{
	(void)json_object_set_new(r->value, "spki", json_base64(key_spki(key)));
}

/* --- handles --- */

static uid_t
asker(const json_t *args)
{
	return (uid_t)json_int(args, "uid", (int64_t)geteuid());
}

int
keys_give(struct task_result *r, const json_t *args, const char *handle)
{
	AUTO_KEYD_HANDLE theirs = { 0 };
	struct err e = { 0 };
	int rc = 0;

	if (asker(args) != geteuid())
		rc = keyd_share(&theirs.text, keys_service(args), handle, asker(args), &e);
	if (rc == E_NOTFOUND) {
		task_note(r, "this Keys Service knows no handles for one user: everybody who has it can use it");
		rc = 0;
	}
	if (rc != 0)
		return keys_settle(r, &e);
	json_setf(r->value, "handle", "%s", theirs.text != NULL ? theirs.text : handle);
	return 0;
}

static int
open_master(struct keyd_handle *out, const json_t *args, struct err *e)
{
	const char *id = json_str(args, "master", "");
	int rc = keyd_load_key(&out->text, keys_service(args), id, e);

	if (rc == E_NOTFOUND)
		rc = keyd_create_key(&out->text, keys_service(args), id, "derive,sign", e);
	return rc == 0 ? 0 : err_prefix(e, (enum err_code)rc, "key '%.100s'", id);
}

int
keys_module(char **handle, const json_t *args, const char *generation, const char *which, struct err *e)
{
	AUTO_KEYD_HANDLE master = { 0 };
	AUTO_BUF data = { 0 };
	int rc = open_master(&master, args, e);

	buf_printf(&data, "%s:%s:%s", json_str(args, "module", ""), generation, which);
	return rc == 0 ? keyd_derive(handle, keys_service(args), master.text, bytes_of_buf(&data), e) : rc;
}

/* --- tasks --- */

/* Of a pair of ours: which key it is, as far as the service can say. */
static void
tell_public(struct task_result *r, const json_t *args, const char *id)
{
	AUTO(key) key = NULL;
	struct err why = { 0 };

	if (asker(args) == geteuid() && keys_open(&key, args, id, &why) == 0)
		keys_put_spki(r, key);
}

static void
give_key(struct task_result *r, const json_t *args)
{
	const char *id = json_str(args, "key", "");
	bool pair = json_flag(args, "pair", false);
	AUTO_KEYD_HANDLE own = { 0 };
	struct err e = { 0 };
	int rc = (pair ? keyd_load_pair : keyd_load_key)(&own.text, keys_service(args), id, &e);

	if (rc == E_NOTFOUND)
		(void)task_missing(r, "key-missing", &e);
	else if (rc != 0)
		(void)keys_settle(r, &e);
	else if (keys_give(r, args, own.text) == 0 && pair)
		tell_public(r, args, id);
}

static void
give_module_key(struct task_result *r, const json_t *args)
{
	AUTO_KEYD_HANDLE own = { 0 };
	struct err e = { 0 };

	if (keys_module(&own.text, args, json_str(args, "generation", ""), "primary", &e) != 0)
		(void)keys_settle(r, &e);
	else
		(void)keys_give(r, args, own.text);
}

/* For a service without generations: a move, unless that has been made. */
static int
move_pair(const json_t *args, const char *to, const char *from, struct bytes spki, struct err *e)
{
	struct keyd k = keys_service(args);
	AUTO_KEYD_HANDLE h = { 0 };
	AUTO(key) done = NULL;
	struct err why = { 0 };
	int rc = keyd_load_pair(&h.text, k, from, e);

	if (rc == 0)
		return keyd_move_pair(k, to, from, e);
	if (rc != E_NOTFOUND)
		return rc;
	if (keys_open(&done, args, to, &why) == 0 && bytes_equal(key_spki(done), spki))
		return 0;
	return rc;
}

static void
switch_pair(struct task_result *r, const json_t *args)
{
	const char *to = json_str(args, "key", ""), *from = json_str(args, "from", "");
	AUTO_BUF spki = BUF_MAX(KEY_SPKI_MAX);
	struct err e = { 0 };
	int rc;

	if (base64_decode(&spki, bytes_of(json_str(args, "spki", "")), &e) != 0) {
		(void)task_fail(r, TASK_BAD_TASK, E_FORMAT, "task key-switch: spki: %s", e.msg);
		return;
	}
	rc = keyd_switch(keys_service(args), to, from, bytes_of_buf(&spki), &e);
	if (rc != 0 && keyd_is_original(&e))
		rc = move_pair(args, to, from, bytes_of_buf(&spki), &e);
	if (rc != 0)
		(void)keys_settle(r, &e);
}

/* A service without generations has kept nothing. */
static void
prove_pair(struct task_result *r, const json_t *args)
{
	struct err e = { 0 };

	if (keyd_prove(keys_service(args), json_str(args, "key", ""), &e) != 0 && !keyd_is_original(&e))
		(void)keys_settle(r, &e);
}

static void
delete_pair(struct task_result *r, const json_t *args)
{
	AUTO_KEYD_HANDLE h = { 0 };
	struct err e = { 0 };
	int rc = keyd_load_pair(&h.text, keys_service(args), json_str(args, "key", ""), &e);

	if (rc == 0)
		rc = keyd_delete_pair(keys_service(args), h.text, &e);
	if (rc != 0 && rc != E_NOTFOUND)
		(void)keys_settle(r, &e);
}

void
keys_run(struct task_result *r, enum task_kind k, const json_t *args)
{
	if (k == TASK_KEY_HANDLE)
		give_key(r, args);
	else if (k == TASK_MODULE_HANDLE)
		give_module_key(r, args);
	else if (k == TASK_KEY_SWITCH)
		switch_pair(r, args);
	else if (k == TASK_KEY_PROVE)
		prove_pair(r, args);
	else if (k == TASK_KEY_DELETE)
		delete_pair(r, args);
	else
		(void)task_fail(r, TASK_BAD_TASK, E_USAGE, "task %s: not about a key", task_kind_name(k));
}
