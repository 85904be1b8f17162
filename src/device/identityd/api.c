/* SPDX-License-Identifier: Apache-2.0 */
/* identityd/api.c - the routes of the Identity Service */
#include <string.h>

#include "core/base/text.h"
#include "device/identityd/identityd_inside.h"

enum { V2020, V2021, V2022, VOWN };
static const char *const versions[] = {
	[V2020] = "2020-09-01", [V2021] = "2021-12-01", [V2022] = "2022-08-01", [VOWN] = API_VERSION_OWN, NULL,
};

#define USUAL_TRUST_BUNDLE "aziot-edged-trust-bundle"

/* What a module's identity may be: one of the cloud's, or one that this device gives out. */
enum identity_type { TYPE_AZIOT, TYPE_LOCAL };

/* --- what is asked before anything is done --- */

static bool
allowed(struct api_call *c, enum access_want want, const char *module)
{
	const struct identityd *d = c->ctx;
	const struct access_who who = access_who(d->settings, c->uid);

	if (access_allow(&who, want, module))
		return true;
	api_fail(c, 401, "authorization error");
	return false;
}

static bool
parse_type(struct api_call *c, enum identity_type *out, const char *text)
{
	AUTO_BUF safe = BUF_MAX(200);

	*out = strcmp(text, "local") == 0 ? TYPE_LOCAL : TYPE_AZIOT;
	if (*out == TYPE_LOCAL || strcmp(text, "aziot") == 0)
		return true;
	text_escape(&safe, bytes_of(text));
	api_fail_parameter(c, "type", "'%s': \"aziot\" or \"local\" is needed", buf_str(&safe));
	return false;
}

/* The query's; where there are no local identities, only the cloud's are possible. */
static bool
query_type(struct api_call *c, enum identity_type *out, bool local)
{
	AUTO_BUF text = { 0 };

	if (!api_query(c, "type", &text)) {
		api_fail_parameter(c, "type", "it is missing");
		return false;
	}
	if (!parse_type(c, out, buf_str(&text)))
		return false;
	if (*out == TYPE_LOCAL && !local) {
		api_fail_parameter(c, "type", "\"aziot\" is needed: local identities are only made and read");
		return false;
	}
	return true;
}

static bool
valid_module(struct api_call *c, const char *module)
{
	struct err e;

	if (module[strspn(module, " \t")] == 0) {
		api_fail_parameter(c, "moduleId", "it is empty");
		return false;
	}
	if (stem_check_id(module, &e) != 0) {
		api_fail_parameter(c, "moduleId", "%s", e.msg);
		return false;
	}
	return true;
}

/* --- answers --- */

json_t *
identity_json(const struct identity_device *d, const char *module, const char *generation, json_t *auth)
{
	json_t *v = json_object(), *spec = json_object();

	json_setf(v, "type", "aziot");
	json_setf(spec, "hubName", "%s", d->hub);
	json_setf(spec, "gatewayHost", "%s", d->gateway);
	json_setf(spec, "deviceId", "%s", d->device);
	if (module != NULL)
		json_setf(spec, "moduleId", "%s", module);
	if (generation != NULL)
		json_setf(spec, "genId", "%s", generation);
	if (auth != NULL)
		(void)json_object_set_new(spec, "auth", auth);
	(void)json_object_set_new(v, "spec", spec);
	return v;
}

/* Whose client failed, in the original's words. */
static void
fail_task(struct api_call *c, const struct task_result *r, const char *other)
{
	const char *whose = r->outcome == TASK_KEY_FAILED ? "Key" : r->outcome == TASK_CERT_FAILED ? "Certificate" : other;

	api_fail(c, 404, "%s client error\ncaused by: %s", whose, r->text);
}

/* --- the device's identity --- */

/* auth is taken. */
static void
reply_device(struct api_call *c, json_t *auth)
{
	const struct identityd *d = c->ctx;
	const struct identity_device *device = provisioner_device(d->provisioner);
	AUTO_JSON taken = auth;
	AUTO_JSON v = NULL;

	if (device == NULL) {
		api_fail(c, 400, "device identity not found");
		return;
	}
	v = identity_json(device, NULL, NULL, TAKE(taken));
	api_reply(c, 200, v);
}

static json_t *
auth_json(const char *type)
{
	json_t *auth = json_object();

	json_setf(auth, "type", "%s", type);
	return auth;
}

static void
on_handle(void *ctx, const struct task_result *r)
{
	struct api_call *c = ctx;
	const struct identityd *d = c->ctx;
	const struct identityd_settings *s = d->settings;
	json_t *auth;

	if (r->outcome != TASK_DONE) {
		fail_task(c, r, "Key");
		return;
	}
	auth = auth_json(s->auth == AUTH_IS_X509 ? "x509" : "sas");
	json_setf(auth, "keyHandle", "%s", json_str(r->value, "handle", ""));
	if (s->auth == AUTH_IS_X509)
		json_setf(auth, "certId", "%s", s->cert);
	reply_device(c, auth);
}

static void
ask_handle(struct api_call *c, const char *key, bool pair)
{
	const struct identityd *d = c->ctx;
	json_t *args = cloud_local_args(d);

	json_setf(args, "key", "%s", key);
	(void)json_object_set_new(args, "pair", json_boolean(pair));
	(void)json_object_set_new(args, "uid", json_integer(c->uid));
	(void)tasks_run(d->tasks, TASK_KEY_HANDLE, args, on_handle, c);
}

static void
on_certificate(void *ctx, const struct err *why)
{
	struct api_call *c = ctx;
	const struct identityd *d = c->ctx;

	if (why != NULL)
		api_fail(c, 404, "Certificate client error\ncaused by: %s", why->msg);
	else
		ask_handle(c, d->settings->key, true);
}

static void
give_device(struct api_call *c)
{
	const struct identityd *d = c->ctx;

	if (provisioner_device(d->provisioner) == NULL)
		api_fail(c, 400, "device identity not found");
	else if (d->settings->auth == AUTH_IS_X509)
		keeper_ensure(d->keeper, on_certificate, c);
	else if (d->settings->auth == AUTH_IS_SAS)
		ask_handle(c, d->settings->symmetric_key, false);
	else
		reply_device(c, auth_json("tpm"));
}

static void
post_device(struct api_call *c)
{
	const char *type; /* any: clients of the original send what they like */

	if (api_need_str(c, "type", &type) && allowed(c, WANT_DEVICE, ""))
		give_device(c);
}

static void
on_provisioned(void *ctx, const struct task_result *r)
{
	if (r->outcome == TASK_DONE)
		api_reply(ctx, 204, NULL);
	else
		fail_task(ctx, r, "DPS");
}

static void
post_reprovision(struct api_call *c)
{
	const struct identityd *d = c->ctx;

	if (allowed(c, WANT_REPROVISION, ""))
		provisioner_run(d->provisioner, on_provisioned, c);
}

/* --- modules, and local identities --- */

/* The principal that has a local identity under this name, or NULL. */
static const struct identity_principal *
local_principal(const struct identityd *d, const char *module)
{
	for (size_t i = 0; i < d->settings->n_principals; i++)
		if (d->settings->principal[i].local && strcmp(d->settings->principal[i].name, module) == 0)
			return &d->settings->principal[i];
	return NULL;
}

static void
give_local(struct api_call *c, const char *module)
{
	struct identityd *d = c->ctx;
	const struct identity_principal *p = local_principal(d, module);

	if (p != NULL)
		local_identity(d, c, module, p->server);
	else
		api_fail_parameter(c, "moduleId", "no [[principal]] of that name has \"local\" in its idtype");
}

/* The device's for whom it is meant, else what the principal's own name stands for. */
static void
get_own_identity(struct api_call *c)
{
	const struct identityd *d = c->ctx;
	const struct access_who who = access_who(d->settings, c->uid);

	if (!allowed(c, WANT_OWN_IDENTITY, ""))
		return;
	if (access_allow(&who, WANT_DEVICE, "")) {
		give_device(c);
		return;
	}
	text_copy(c->id, sizeof(c->id), who.principal->name); /* the settings may change before the answer */
	if (who.principal->module)
		registry_get(d->registry, c, c->id);
	else
		give_local(c, c->id);
}

static void
get_modules(struct api_call *c)
{
	const struct identityd *d = c->ctx;
	enum identity_type type;

	if (query_type(c, &type, false) && allowed(c, WANT_MODULES, ""))
		registry_list(d->registry, c);
}

static void
get_module(struct api_call *c)
{
	const struct identityd *d = c->ctx;
	enum identity_type type;

	if (!query_type(c, &type, true) || !allowed(c, WANT_MODULE_GET, c->id) || !valid_module(c, c->id))
		return;
	if (type == TYPE_LOCAL)
		give_local(c, c->id);
	else
		registry_get(d->registry, c, c->id);
}

/* The optional member localIdOpts; false when it is malformed, and the call has been answered. */
static bool
take_options(struct api_call *c, bool *server)
{
	const json_t *o = json_object_get(c->body, "localIdOpts");
	const char *attributes = json_str(o, "attributes", "client");

	*server = strcmp(attributes, "server") == 0;
	if (o == NULL || json_is_null(o))
		return true;
	if (strcmp(json_str(o, "type", ""), "x509") == 0 && (*server || strcmp(attributes, "client") == 0))
		return true;
	api_fail(c, 422, "localIdOpts: an object with type \"x509\" and attributes \"client\" or \"server\" is needed");
	return false;
}

static void
create_local(struct api_call *c, const char *module)
{
	struct identityd *d = c->ctx;
	bool server;

	if (!take_options(c, &server) || !allowed(c, WANT_LOCAL_CREATE, module) || !valid_module(c, module))
		return;
	if (local_principal(d, module) != NULL)
		api_fail_parameter(c, "moduleId", "a [[principal]] of that name has a local identity of its own");
	else
		local_identity(d, c, module, server);
}

static void
post_modules(struct api_call *c)
{
	const struct identityd *d = c->ctx;
	const char *name, *module;
	enum identity_type type;

	if (!api_need_str(c, "type", &name) || !api_need_str(c, "moduleId", &module) || !parse_type(c, &type, name))
		return;
	if (type == TYPE_LOCAL)
		create_local(c, module);
	else if (allowed(c, WANT_MODULE_CHANGE, module) && valid_module(c, module))
		registry_create(d->registry, c, module);
}

static void
change_module(struct api_call *c, void (*fn)(struct registry *r, struct api_call *c, const char *module))
{
	const struct identityd *d = c->ctx;
	enum identity_type type;

	if (query_type(c, &type, false) && allowed(c, WANT_MODULE_CHANGE, c->id) && valid_module(c, c->id))
		fn(d->registry, c, c->id);
}

static void
put_module(struct api_call *c)
{
	change_module(c, registry_update);
}

static void
delete_module(struct api_call *c)
{
	change_module(c, registry_delete);
}

/* --- how this device stands --- */

static void
get_provisioning(struct api_call *c)
{
	const struct identityd *d = c->ctx;
	AUTO_JSON v = NULL;

	if (!allowed(c, WANT_PROVISIONING, ""))
		return;
	v = provisioner_information(d->provisioner);
	api_reply(c, 200, v);
}

static void
on_bundle(void *ctx, const struct task_result *r)
{
	struct api_call *c = ctx;
	const struct identityd *d = c->ctx;
	AUTO_JSON v = json_object();
	AUTO_BUF files = BUF_MAX(API_BODY_MAX);

	if (r->outcome == TASK_DONE) {
		json_setf(v, "certificate", "%s", json_str(r->value, "pem", ""));
	} else if (r->outcome == TASK_NOT_FOUND) {
		cloud_trust_files(d, &files); /* what the device itself trusts, as far as everybody may see it */
		json_setf(v, "certificate", "%s", buf_str(&files));
	} else {
		fail_task(c, r, "Certificate");
		return;
	}
	api_reply(c, 200, v);
}

static void
get_trust_bundle(struct api_call *c)
{
	const struct identityd *d = c->ctx;
	json_t *args;

	if (!allowed(c, WANT_TRUST_BUNDLE, ""))
		return;
	args = cloud_local_args(d);
	json_setf(args, "id", "%s", d->settings->trust_bundle[0] != 0 ? d->settings->trust_bundle : USUAL_TRUST_BUNDLE);
	(void)tasks_run(d->tasks, TASK_CERT_GET, args, on_bundle, c);
}

static void
get_status(struct api_call *c)
{
	AUTO_JSON v = NULL;

	if (!allowed(c, WANT_STATUS, ""))
		return;
	v = report_status(c->ctx);
	api_reply(c, 200, v);
}

static const struct api_route routes[] = {
	{ "GET", "/identities/identity", API_NO_BODY, V2020, get_own_identity },
	{ "POST", "/identities/device", API_MUST_BODY, V2020, post_device },
	{ "POST", "/identities/device/reprovision", API_MAY_BODY, V2020, post_reprovision },
	{ "GET", "/identities/modules", API_NO_BODY, V2020, get_modules },
	{ "POST", "/identities/modules", API_MUST_BODY, V2020, post_modules },
	{ "GET", "/identities/modules/{id}", API_NO_BODY, V2020, get_module },
	{ "PUT", "/identities/modules/{id}", API_MUST_BODY, V2020, put_module },
	{ "DELETE", "/identities/modules/{id}", API_MAY_BODY, V2020, delete_module },
	{ "GET", "/identities/provisioning", API_NO_BODY, V2021, get_provisioning },
	{ "GET", "/trust-bundle", API_NO_BODY, V2020, get_trust_bundle },
	{ "GET", "/status", API_NO_BODY, VOWN, get_status },
	{ NULL, NULL, API_NO_BODY, 0, NULL },
};

void
identityd_service(struct api_service *out)
{
	*out = (struct api_service){ .name = "aziot-identityd", .versions = versions, .routes = routes };
}
