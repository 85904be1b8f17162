/* SPDX-License-Identifier: Apache-2.0 */
/* cli/setup.c - the objects of a new server, each made unless it is there */
#include "cli/setup.h"

#include <string.h>
#include <sys/stat.h>

#include "core/base/clock.h"
#include "core/base/file.h"
#include "core/base/text.h"
#include "core/pki/cert.h"
#include "core/pki/csr.h"

#define CN_MAX      64                    /* RFC 5280: ub-common-name */
#define PEM_MAX     ((size_t)256 * 1024)
#define PATH_SIZE   (OP_PATH_MAX + 64)
#define OPERATORS   100                   /* names tried for a new operator */

static int
call(json_t **result, struct setup *s, const char *verb, json_t *args, struct err *e)
{
	int r = op_call(result, &s->server, verb, args, s->hint, e);

	return r != 0 ? err_prefix(e, (enum err_code)r, "%s", verb) : 0;
}

/* A message whose answer says nothing that we need. */
static int
tell(struct setup *s, const char *verb, json_t *args, struct err *e)
{
	AUTO_JSON result = NULL;

	return call(&result, s, verb, args, e);
}

/* "<noun>.show" of a name: 0 and *out, or *out NULL when there is none. */
static int
look(json_t **out, struct setup *s, const char *verb, const char *name, struct err *e)
{
	AUTO_JSON args = json_object();
	int r;

	*out = NULL;
	json_setf(args, "name", "%s", name);
	r = call(out, s, verb, args, e);
	return r == E_NOTFOUND ? 0 : r;
}

static const char *
in_dir(const struct setup *s, const char *leaf, char out[PATH_SIZE])
{
	(void)snprintf(out, PATH_SIZE, "%s/%s", s->dir, leaf);
	return out;
}

int
setup_save(const struct setup *s, struct err *e)
{
	AUTO_BUF text = { 0 };
	char path[PATH_SIZE];

	json_print(&text, s->doc, true);
	buf_put_u8(&text, '\n');
	return file_write(in_dir(s, "quickstart.json", path), bytes_of_buf(&text), 0600, e);
}

/* The CA, made unless it is there. */
static int
one_ca(json_t **out, struct setup *s, const char *name, const char *parent, struct err *e)
{
	AUTO_JSON args = json_object();
	const char *what = parent == NULL ? "Root" : "Issuing";
	int r = look(out, s, "ca.show", name, e);

	if (r != 0 || *out != NULL)
		return r;
	json_setf(args, "name", "%s", name);
	json_setf(args, "kind", "%s", parent == NULL ? "root" : "subordinate");
	json_setf(args, "cn", "%.*s %s CA", CN_MAX - 11, s->name, what);
	json_setf(args, "key", "ec-p256");
	json_setf(args, "lifetime", "%s", parent == NULL ? "20y" : "10y");
	if (parent != NULL) {
		json_setf(args, "parent", "%s", parent);
		(void)json_object_set_new(args, "pathlen", json_integer(1)); /* room for Edge CAs */
	}
	cli_say(s->c, "making the %s CA", parent == NULL ? "root" : "issuing");
	return call(out, s, "ca.create", args, e);
}

int
setup_cas(struct setup *s, struct err *e)
{
	AUTO_JSON root = NULL;
	AUTO_JSON issuing = NULL;
	char path[PATH_SIZE];
	int r = one_ca(&root, s, "root", NULL, e);

	if (r == 0 && strcmp(s->mode->issuer, "root") != 0)
		r = one_ca(&issuing, s, s->mode->issuer, "root", e);
	if (r == 0)
		r = file_write(in_dir(s, "root.pem", path), bytes_of(json_str(root, "pem", "")), 0644, e);
	if (r != 0)
		return r;
	json_setf(s->doc, "root_file", "%s", path);
	json_setf(s->doc, "root_pin", "sha256:%s", json_str(root, "sha256", ""));
	return setup_save(s, e);
}

static bool
has_san(const struct sans *have, const struct san *want)
{
	for (size_t i = 0; i < have->n; i++)
		if (san_equal(&have->san[i], want))
			return true;
	return false;
}

bool
setup_tls_good(struct bytes chain_pem, struct bytes key_pem, const struct sans *sans, int64_t now)
{
	AUTO_BUF der = { 0 };
	AUTO(key) k = NULL;
	struct cert c;
	int64_t life;

	if (pem_decode(&der, chain_pem, "CERTIFICATE", NULL) != 0 ||
	    cert_parse(&c, bytes_of_buf(&der), NULL) != 0 || key_from_pem(&k, key_pem, NULL) != 0 ||
	    !bytes_equal(c.spki, key_spki(k)))
		return false;
	for (size_t i = 0; i < sans->n; i++)
		if (!has_san(&c.sans, &sans->san[i]))
			return false;
	life = c.not_after - c.not_before;
	return now >= c.not_before && c.not_after - now > life / 3;
}

/* What the server's own records say of the certificate: is it revoked, and its key not to be used any more?  No record: neither. */
static int
tls_revoked(struct setup *s, struct bytes chain_pem, bool *revoked, bool *bad_key, struct err *e)
{
	AUTO_BUF der = { 0 };
	AUTO_JSON args = json_object();
	AUTO_JSON cert = NULL;
	char serial[2 * CERT_SERIAL_MAX + 1];
	struct cert c;
	int r;

	*revoked = *bad_key = false;
	if (pem_decode(&der, chain_pem, "CERTIFICATE", NULL) != 0 || cert_parse(&c, bytes_of_buf(&der), NULL) != 0)
		return 0; /* nothing that could be asked for */
	json_setf(args, "serial", "%s", cert_serial_text(c.serial, serial));
	r = call(&cert, s, "cert.show", args, e);
	if (r != 0)
		return r == E_NOTFOUND ? 0 : r;
	*revoked = strcmp(json_str(cert, "state", ""), "revoked") == 0;
	*bad_key = *revoked && strcmp(json_str(cert, "revoked_reason", ""), "keyCompromise") == 0;
	return 0;
}

/* The TLS key of the directory, or a fresh one, which is not written yet. */
static int
tls_key(struct key **out, struct setup *s, bool fresh, struct buf *pem, struct err *e)
{
	char path[PATH_SIZE];
	int r = fresh ? E_NOTFOUND : file_read(pem, in_dir(s, "tls/server.key", path), PEM_MAX, e);

	if (r == 0 && key_from_pem(out, bytes_of_buf(pem), e) != 0) {
		(void)snprintf(s->hint, sizeof(s->hint), "put the key back, or remove the file: a new one is made then");
		return err_prefix(e, E_FORMAT, "%s", path);
	}
	if (r == 0)
		return 0;
	if (r != E_NOTFOUND)
		return r;
	r = key_generate(out, KEY_EC_P256, e);
	return r != 0 ? r : key_to_pem(pem, *out, e);
}

static int
tls_request(struct buf *pem, const struct setup *s, const struct key *k, struct err *e)
{
	struct name subject = { 0 };
	struct csr_want want = { .subject = &subject, .sans = &s->sans };
	AUTO_BUF der = { 0 };
	int r = 0;

	/* A name that is too long for a CN stands in the SAN alone, where clients look. */
	if (strlen(s->name) <= CN_MAX)
		r = name_add(&subject, OID_CN, s->name, e);
	if (r == 0)
		r = csr_build(&der, &want, k, e);
	if (r == 0)
		pem_encode(pem, bytes_of_buf(&der), "CERTIFICATE REQUEST");
	return r;
}

/* A certificate for the key, and the chain up to the root, which is sent, too: people fetch it with s_client -showcerts. */
static int
tls_issue(struct buf *chain, struct setup *s, const struct key *k, struct err *e)
{
	AUTO_JSON args = json_object();
	AUTO_JSON issued = NULL;
	AUTO_JSON ca = NULL;
	AUTO_BUF csr = { 0 };
	int r = tls_request(&csr, s, k, e);

	if (r != 0)
		return r;
	json_setf(args, "csr", "%s", buf_str(&csr));
	json_setf(args, "profile", "%s", s->mode->tls_profile);
	json_setf(args, "ca", "%s", s->mode->issuer);
	cli_say(s->c, "making the server's TLS certificate");
	if ((r = call(&issued, s, "cert.request", args, e)) != 0 || (r = look(&ca, s, "ca.show", s->mode->issuer, e)) != 0)
		return r;
	return op_chain(chain, issued, ca, e);
}

/* The key first, unless it is there already: then one file alone changes, and the pair cannot be torn. */
static int
tls_write(const struct setup *s, struct bytes key_pem, struct bytes chain_pem, struct err *e)
{
	AUTO_BUF old = { 0 };
	char path[PATH_SIZE];
	int r = file_read(&old, in_dir(s, "tls/server.key", path), PEM_MAX, e);

	if (r != 0 && r != E_NOTFOUND)
		return r;
	if (r == E_NOTFOUND || !bytes_equal(bytes_of_buf(&old), key_pem))
		r = file_write(path, key_pem, 0600, e);
	return r != 0 ? r : file_write(in_dir(s, "tls/server.pem", path), chain_pem, 0644, e);
}

int
setup_tls(struct setup *s, bool *fresh, struct err *e)
{
	AUTO_BUF key_pem = { 0 };
	AUTO_BUF chain = { 0 };
	AUTO_BUF issued = { 0 };
	AUTO(key) k = NULL;
	bool revoked = false, bad_key = false;
	char path[PATH_SIZE];
	int r = file_mkdir(in_dir(s, "tls", path), 0700, e);

	*fresh = false;
	if (r != 0)
		return r;
	r = file_read(&chain, in_dir(s, "tls/server.pem", path), PEM_MAX, e);
	if (r == 0)
		r = tls_revoked(s, bytes_of_buf(&chain), &revoked, &bad_key, e);
	if ((r != 0 && r != E_NOTFOUND) || (r = tls_key(&k, s, s->new_key || bad_key, &key_pem, e)) != 0)
		return r;
	if (!s->force && !revoked && setup_tls_good(bytes_of_buf(&chain), bytes_of_buf(&key_pem), &s->sans, clock_now()))
		return 0;
	if ((r = tls_issue(&issued, s, k, e)) == 0)
		r = tls_write(s, bytes_of_buf(&key_pem), bytes_of_buf(&issued), e);
	*fresh = r == 0;
	return r;
}

/* Each of the list, made unless it is there; noun is "label" or "profile". */
static int
objects(struct setup *s, const char *noun, const struct mode_object *list, struct err *e)
{
	char show[32], create[32];
	int r = 0;

	(void)snprintf(show, sizeof(show), "%s.show", noun);
	(void)snprintf(create, sizeof(create), "%s.create", noun);
	for (const struct mode_object *o = list; r == 0 && o->name != NULL; o++) {
		AUTO_JSON there = NULL;
		AUTO_JSON args = NULL;

		r = look(&there, s, show, o->name, e);
		if (r != 0 || there != NULL)
			continue;
		cli_say(s->c, "making the %s %s", noun, o->name);
		if ((r = json_parse(&args, bytes_of(o->args), e)) == 0)
			r = tell(s, create, args, e);
	}
	return r;
}

int
setup_labels(struct setup *s, struct err *e)
{
	int r = objects(s, "profile", s->mode->profiles, e);

	return r != 0 ? r : objects(s, "label", s->mode->labels, e);
}

int
setup_user(struct setup *s, struct err *e)
{
	AUTO_JSON args = json_object();
	int r;

	if (s->mode->user == NULL || json_str(s->doc, "user", NULL) != NULL)
		return 0;
	json_setf(args, "kind", "password");
	json_setf(args, "user", "%s", s->mode->user);
	json_setf(args, "secret", "%s", s->mode->password);
	json_setf(args, "scope", "any");
	(void)json_object_set_new(args, "active", json_true()); /* certd asks anew for names that have a certificate */
	cli_say(s->c, "making the user %s", s->mode->user);
	r = tell(s, "credential.add", args, e);
	if (r != 0 && r != E_EXISTS) /* a run that ended here had made it */
		return r;
	json_setf(s->doc, "user", "%s", s->mode->user);
	json_setf(s->doc, "password", "%s", s->mode->password);
	return setup_save(s, e);
}

int
setup_operator(struct setup *s, struct err *e)
{
	int r = E_EXISTS;

	if (json_str(s->doc, "operator_token", NULL) != NULL)
		return 0;
	/* A run that ended before it could note the token left an operator whom nobody can be. */
	for (int i = 1; r == E_EXISTS && i <= OPERATORS; i++) {
		AUTO_JSON args = json_object();
		AUTO_JSON result = NULL;

		json_setf(args, "name", i == 1 ? "operator" : "operator-%d", i);
		r = call(&result, s, "operator.add", args, e);
		if (r == 0)
			json_setf(s->doc, "operator_token", "%s", json_str(result, "token", ""));
	}
	return r != 0 ? r : setup_save(s, e);
}

/* Tell when the code that stands in quickstart.json is of no use any more. */
static int
say_code_state(struct setup *s, struct err *e)
{
	AUTO_JSON args = json_object();
	AUTO_JSON result = NULL;
	AUTO_BUF dir = { 0 };
	const char *state;
	int r;

	(void)json_object_set(args, "id", json_object_get(s->doc, "code_id"));
	r = call(&result, s, "credential.show", args, e);
	if (r != 0 && r != E_NOTFOUND)
		return r;
	state = r == 0 ? json_str(result, "state", "?") : "gone";
	(void)json_object_set_new(s->doc, "code_state", json_string(state));
	text_shell(&dir, s->dir);
	if (strcmp(state, "live") != 0)
		cli_say(s->c, "the code in quickstart.json is %s; a new one: "
		    "estuary credential add code --label idevid --scope new --dir %s", state, buf_str(&dir));
	return 0;
}

int
setup_code(struct setup *s, struct err *e)
{
	AUTO_JSON args = NULL;
	AUTO_JSON result = NULL;
	int r;

	if (s->mode->code == NULL)
		return 0;
	if (json_str(s->doc, "code", NULL) != NULL)
		return say_code_state(s, e);
	r = json_parse(&args, bytes_of(s->mode->code), e);
	if (r == 0)
		r = call(&result, s, "credential.add", args, e);
	if (r != 0)
		return r;
	json_setf(s->doc, "code", "%s", json_str(result, "secret", ""));
	(void)json_object_set(s->doc, "code_id", json_object_get(result, "id"));
	(void)json_object_set_new(s->doc, "code_state", json_string("live"));
	return setup_save(s, e);
}

static bool
has_hub(const json_t *hubs, const char *name)
{
	size_t i;
	const json_t *hub;

	json_array_foreach((json_t *)hubs, i, hub)
		if (strcmp(json_str(hub, "name", ""), name) == 0)
			return true;
	return false;
}

static int
hub_call(struct setup *s, const char *verb, const char *name, struct err *e)
{
	AUTO_JSON hub = json_object();

	json_setf(hub, "name", "%s", name);
	return tell(s, verb, hub, e);
}

/* This server as a hub, where there is none, or where it was one by the address that it had before. */
static int
own_hub(struct setup *s, const json_t *hubs, const char *was, const char *name, struct err *e)
{
	bool moved = strcmp(was, name) != 0 && has_hub(hubs, was);
	int r;

	if (has_hub(hubs, name) || (json_array_size(hubs) != 0 && !moved))
		return 0;
	cli_say(s->c, "making the hub %s", name);
	r = hub_call(s, "hub.add", name, e);
	if (r != 0 || !moved)
		return r;
	if (hub_call(s, "hub.remove", was, e) != 0) /* devices have it: how they come over is the operator's to say */
		cli_say(s->c, "the hub %s is this server's old address, and stays: %s", was, e->msg);
	s->hint[0] = 0;
	return 0;
}

int
setup_provisioning(struct setup *s, struct err *e)
{
	static const char https[] = "https://";
	AUTO_JSON none = json_object();
	AUTO_JSON scope = NULL;
	char was[OP_PATH_MAX];
	const char *endpoint;
	int r = call(&scope, s, "dps.show", none, e);

	if (r != 0)
		return r;
	endpoint = json_str(scope, "endpoint", "");
	text_copy(was, sizeof(was), json_str(s->doc, "dps_endpoint", endpoint));
	json_setf(s->doc, "id_scope", "%s", json_str(scope, "id_scope", ""));
	json_setf(s->doc, "dps_endpoint", "%s", endpoint);
	if (strncmp(endpoint, https, sizeof(https) - 1) == 0 && strncmp(was, https, sizeof(https) - 1) == 0)
		r = own_hub(s, json_object_get(scope, "hubs"), was + sizeof(https) - 1, endpoint + sizeof(https) - 1, e);
	return r != 0 ? r : setup_save(s, e);
}
