/* SPDX-License-Identifier: Apache-2.0 */
/* authority/op_ca.c - the operator's verbs on CAs, once they are there, lists of revocation, and the server itself */
#include <stdio.h>
#include <string.h>

#include "core/base/text.h"
#include "server/authority/op_ca.h"
#include "server/proto/role.h"

json_t *
op_ca_json(const struct ca *c, bool whole)
{
	json_t *v = json_object();
	char text[NAME_TEXT_MAX], hex[2 * SHA256_LEN + 1];

	json_setf(v, "name", "%s", c->row.name);
	json_setf(v, "kind", "%s", c->row.kind);
	json_setf(v, "parent", "%s", c->parent != NULL ? c->parent->row.name : "");
	json_setf(v, "subject", "%s", name_text(&c->cert.subject, text));
	json_setf(v, "key", "%s", c->row.key_type);
	json_object_set_new(v, "not_before", json_integer(c->cert.not_before));
	json_object_set_new(v, "not_after", json_integer(c->cert.not_after));
	json_object_set_new(v, "crl_number", json_integer(c->row.crl_number));
	json_object_set_new(v, "issued", json_integer(c->row.issued));
	json_object_set_new(v, "revoked", json_integer(c->row.revoked));
	if (!whole)
		return v;
	json_setf(v, "serial", "%s", cert_serial_text(c->cert.serial, text));
	text_hex(hex, (struct bytes){ c->cert.sha256, SHA256_LEN });
	json_setf(v, "sha256", "%s", hex);
	json_object_set_new(v, "pem", op_pem(&c->cert.der, 1));
	json_object_set_new(v, "chain_pem", op_chain_pem(c, (struct bytes){ 0 }));
	json_setf(v, "crl_url", "%s", c->row.crl_url);
	json_setf(v, "aia_url", "%s", c->row.aia_url);
	return v;
}

int
op_ca_find(struct work *w, const char *name, struct ca **c, struct err *e)
{
	if ((*c = fleet_ca(w->a->fleet, name)) == NULL)
		return err_set(e, E_NOTFOUND, "ca '%.64s': there is none; see 'estuary ca list'", name);
	return ca_row_count(w->a->db, &(*c)->row, e);
}

static int
ca_list(struct work *w, json_t **result, struct err *e)
{
	json_t *items = json_array();
	int rc;

	*result = op_items(items);
	for (size_t i = 0; i < w->a->fleet->n_cas; i++) {
		if ((rc = ca_row_count(w->a->db, &w->a->fleet->ca[i]->row, e)) != 0)
			return rc;
		json_array_append_new(items, op_ca_json(w->a->fleet->ca[i], false));
	}
	return 0;
}

static int
ca_show(struct work *w, json_t **result, struct err *e)
{
	struct ca *c;
	int rc = op_ca_find(w, op_arg(w, "name", ""), &c, e);

	if (rc == 0)
		*result = op_ca_json(c, true);
	return rc;
}

static void
on_published(void *ctx, enum err_code code, const char *why, struct pipe_msg *answer)
{
	struct work *w = ctx;
	struct err e = { .code = code };
	const struct ca *c = fleet_ca(w->a->fleet, op_arg(w, "ca", ""));
	json_t *result;

	(void)answer;
	(void)snprintf(e.msg, sizeof(e.msg), "%s", why);
	if (code != E_OK || c == NULL) {
		op_fail(w, &e);
		return;
	}
	result = json_object();
	json_object_set_new(result, "number", json_integer(c->row.crl_number));
	op_done(w, result);
}

static int
crl_publish(struct work *w, json_t **result, struct err *e)
{
	struct ca *c;
	int rc = op_ca_find(w, op_arg(w, "ca", ""), &c, e);

	(void)result;
	if (rc == 0)
		crl_build(w->a, c, on_published, w);
	return rc;
}

static int
server_status(struct work *w, json_t **result, struct err *e)
{
	const struct authority *a = w->a;
	const struct settings *s = &a->settings;
	json_t *v = *result = json_object();
	int fronts = 0;

	(void)e;
	for (size_t i = 0; i < N_OF(a->peers); i++)
		fronts += a->peers[i].serial != 0 && a->peers[i].role == ROLE_FRONT;
	json_setf(v, "name", "%s", s->name);
	json_setf(v, "version", "%s", ESTUARY_VERSION);
	json_setf(v, "dir", "%s", s->dir);
	json_object_set_new(v, "ready", json_boolean(a->store_ok && authority_signer_ok(a) && fronts > 0));
	json_object_set_new(v, "store_ok", json_boolean(a->store_ok));
	json_object_set_new(v, "signer_ok", json_boolean(authority_signer_ok(a)));
	json_object_set_new(v, "crl_ok", json_boolean(a->crl_why[0] == 0));
	json_object_set_new(v, "config_ok", json_boolean(a->reload_why[0] == 0));
	json_setf(v, "detail", "%s", !a->store_ok ? a->store_why : a->crl_why[0] != 0 ? a->crl_why : a->reload_why);
	json_setf(v, "device_url", "https://%s:%u/.well-known/est", s->name, s->device_port);
	json_setf(v, "operator_url", "https://%s:%u", s->name, s->operator_port);
	json_setf(v, "public_url", "%s", s->public_url);
	json_object_set_new(v, "fronts", json_integer(fronts));
	json_object_set_new(v, "started_at", json_integer(a->started_at));
	return 0;
}

/* The supervisor reads the files; the answer waits until it has judged them. */
static int
server_reload(struct work *w, json_t **result, struct err *e)
{
	int rc = role_tell(PROTO_RELOAD_WISH, (struct bytes){ 0 }, e);

	(void)result;
	if (rc == 0)
		w->a->reload = w;
	return rc;
}

void
op_reloaded(struct authority *a, const struct proto_reloaded *r)
{
	struct work *w = r->asked ? TAKE(a->reload) : NULL;
	struct err e;

	text_copy(a->reload_why, sizeof(a->reload_why), r->why);
	if (w == NULL)
		return;
	if (r->code == E_OK) {
		op_done(w, NULL);
		return;
	}
	(void)err_set(&e, (enum err_code)r->code, "%s", r->why);
	op_fail(w, &e);
}

const struct verb op_ca_verbs[] = {
	{ "ca.create", VERB_ASYNC, "name! kind! parent subject cn key lifetime pathlen crl", op_ca_create },
	{ "ca.list", VERB_READ, "", ca_list },
	{ "ca.show", VERB_READ, "name!", ca_show },
	{ "crl.publish", VERB_ASYNC, "ca!", crl_publish },
	{ "server.status", VERB_READ, "", server_status },
	{ "server.reload", VERB_ASYNC, "", server_reload },
	{ NULL, 0, NULL, NULL },
};
