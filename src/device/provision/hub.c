/* SPDX-License-Identifier: Apache-2.0 */
/* provision/hub.c - the hub's module registry, as identityd uses it */
#include <string.h>

#include "core/base/text.h"
#include "device/provision/cloud.h"
#include "device/provision/sas.h"

#define VERSION "?api-version=2017-11-08-preview"

struct hub {
	struct cloud c;
	const char *device, *module;
	struct buf path;             /* of the module, or of the list */
};

static void
put_path(struct hub *h)
{
	buf_put_str(&h->path, "/devices/");
	sas_put_segment(&h->path, h->device);
	buf_put_str(&h->path, "/modules");
	if (h->module[0] != 0) {
		buf_put_str(&h->path, "/");
		sas_put_segment(&h->path, h->module);
	}
	buf_put_str(&h->path, VERSION);
}

/* The token is for the hub, also where a gateway is asked. */
static int
hub_open(struct hub *h, struct task_result *r, const json_t *args, int64_t now)
{
	const char *hub = json_str(args, "hub", ""), *gateway = json_str(args, "gateway", "");
	const char *host = gateway[0] != 0 ? gateway : hub;
	AUTO_BUF resource = { 0 };

	h->device = json_str(args, "device", "");
	h->module = json_str(args, "module", "");
	if (!sas_valid_host(hub) || !sas_valid_host(host))
		return task_fail(r, TASK_BAD_TASK, E_USAGE, "hub '%.200s': a host name, and perhaps a port, is needed",
		    sas_valid_host(hub) ? host : hub);
	h->c = (struct cloud){
		.name = gateway[0] != 0 ? "gateway to the IoT hub" : "IoT hub",
		.refused = "; is this the device's key or certificate, and is the device enabled?",
		.not_found = "",
		.on_not_found = TASK_NOT_FOUND,
	};
	text_copy(h->c.host, sizeof(h->c.host), host);
	buf_printf(&resource, "%s/devices/%s", hub, h->device);
	sas_put_resource(&h->c.resource, buf_str(&resource));
	put_path(h);
	return cloud_open(&h->c, r, args, now);
}

static void
hub_close(struct hub *h)
{
	cloud_close(&h->c);
	buf_free(&h->path);
}

/* --- modules as the hub says them --- */

static bool
is_module(const struct hub *h, const json_t *v)
{
	const char *id = json_str(v, "moduleId", ""), *device = json_str(v, "deviceId", h->device);

	return id[0] != 0 && strlen(id) < ID_MAX && text_valid_utf8(bytes_of(id)) && strcmp(device, h->device) == 0 &&
	    (h->module[0] == 0 || strcmp(id, h->module) == 0);
}

/* Its keys are nobody's business but the hub's. */
static int
take_module(struct hub *h, json_t *v)
{
	if (!is_module(h, v))
		return task_fail(h->c.r, TASK_BAD_ANSWER, E_FORMAT, "%s at %s: answer: not module '%s' of device '%s'",
		    h->c.name, h->c.host, h->module, h->device);
	(void)json_object_del(v, "authentication");
	(void)json_object_set(h->c.r->value, "module", v);
	return 0;
}

static int
take_modules(struct hub *h, json_t *list)
{
	json_t *item;
	size_t i;

	if (!json_is_array(list))
		return task_fail(h->c.r, TASK_BAD_ANSWER, E_FORMAT, "%s at %s: answer: no list of modules", h->c.name,
		    h->c.host);
	json_array_foreach(list, i, item) {
		if (!is_module(h, item))
			return task_fail(h->c.r, TASK_BAD_ANSWER, E_FORMAT,
			    "%s at %s: answer: item %zu is no module of device '%s'", h->c.name, h->c.host, i,
			    h->device);
		(void)json_object_del(item, "authentication");
	}
	(void)json_object_set(h->c.r->value, "modules", list);
	return 0;
}

/* --- calls --- */

/* GET, or PUT of a body; *status of the answer that is a success, or 409 where that may be. */
static int
call(struct hub *h, const struct cloud_request *q, json_t **answer, unsigned *status)
{
	struct cloud_reply reply = { 0 };
	int rc = cloud_run(&h->c, q, &reply);

	*status = reply.a.status;
	if (rc == 0 && reply.a.status == 409 && !q->if_match && q->body != NULL)
		rc = 0;
	else if (rc == 0 && (reply.a.status == 200 || reply.a.status == 201))
		rc = cloud_json(answer, &h->c, &reply);
	else if (rc == 0)
		rc = cloud_settle(&h->c, &reply);
	cloud_reply_clear(&reply);
	return rc;
}

static int
get(struct hub *h)
{
	const struct cloud_request q = { .method = "GET", .path = buf_str(&h->path) };
	AUTO_JSON answer = NULL;
	unsigned status;
	int rc = call(h, &q, &answer, &status);

	if (rc != 0)
		return rc;
	return h->module[0] != 0 ? take_module(h, answer) : take_modules(h, answer);
}

static json_t *
new_body(const struct hub *h)
{
	const char *manager = json_str(h->c.args, "managed_by", "");
	json_t *body = json_object();

	json_setf(body, "moduleId", "%s", h->module);
	json_setf(body, "deviceId", "%s", h->device);
	if (manager[0] != 0)
		json_setf(body, "managedBy", "%s", manager);
	return body;
}

/* A module that is there already was made by us, before something broke, or by somebody else: it gets our keys. */
static int
create(struct hub *h)
{
	AUTO_JSON body = new_body(h);
	const struct cloud_request q = { .method = "PUT", .path = buf_str(&h->path), .body = body };
	AUTO_JSON answer = NULL;
	unsigned status;
	int rc = call(h, &q, &answer, &status);

	if (rc != 0)
		return rc;
	return status == 409 ? get(h) : take_module(h, answer);
}

/* --- keys of a module --- */

static int
put_key(json_t *out, const char *member, const struct hub *h, const char *handle)
{
	AUTO_BUF key = { 0 };
	struct err e = { 0 };
	int rc = keyd_export_derived(&key, keys_service(h->c.args), handle, &e);

	if (rc != 0)
		return keys_settle(h->c.r, &e);
	(void)json_object_set_new(out, member, json_base64(bytes_of_buf(&key)));
	return 0;
}

static int
derive(struct keyd_handle *out, const struct hub *h, const char *generation, const char *which)
{
	struct err e = { 0 };

	return keys_module(&out->text, h->c.args, generation, which, &e) == 0 ? 0 : keys_settle(h->c.r, &e);
}

/* What the hub is told of both keys; the primary one's handle is what callers get. */
static int
put_authentication(json_t *body, struct keyd_handle *primary, const struct hub *h, const char *generation)
{
	AUTO_KEYD_HANDLE secondary = { 0 };
	json_t *keys = json_object(), *authentication = json_object();
	int rc = derive(primary, h, generation, "primary");

	(void)json_object_set_new(authentication, "symmetricKey", keys);
	json_setf(authentication, "type", "sas");
	(void)json_object_set_new(body, "authentication", authentication);
	if (rc == 0)
		rc = derive(&secondary, h, generation, "secondary");
	if (rc == 0)
		rc = put_key(keys, "primaryKey", h, primary->text);
	if (rc == 0)
		rc = put_key(keys, "secondaryKey", h, secondary.text);
	return rc;
}

/* The module of the result gets the keys of its generation. */
static int
update(struct hub *h)
{
	const json_t *module = json_object_get(h->c.r->value, "module");
	const char *generation = json_str(module, "generationId", "");
	AUTO_JSON body = new_body(h);
	const struct cloud_request q = { .method = "PUT", .path = buf_str(&h->path), .body = body, .if_match = true };
	AUTO_KEYD_HANDLE primary = { 0 };
	AUTO_JSON answer = NULL;
	unsigned status;
	int rc;

	if (generation[0] == 0 || strlen(generation) > 128 || !text_valid_utf8(bytes_of(generation)))
		return task_fail(h->c.r, TASK_BAD_ANSWER, E_FORMAT, "%s at %s: answer: module '%s' has no generationId",
		    h->c.name, h->c.host, h->module);
	rc = put_authentication(body, &primary, h, generation);
	if (rc == 0)
		rc = call(h, &q, &answer, &status);
	if (rc == 0)
		rc = take_module(h, answer);
	return rc == 0 ? keys_give(h->c.r, h->c.args, primary.text) : rc;
}

/* When the first answer was lost, none there is what we wanted. */
static int
delete(struct hub *h)
{
	const struct cloud_request q = { .method = "DELETE", .path = buf_str(&h->path), .if_match = true };
	struct cloud_reply reply = { 0 };
	int rc = cloud_run(&h->c, &q, &reply);

	if (rc == 0 && reply.a.status != 204 && reply.a.status != 200 && !(reply.a.status == 404 && reply.repeated))
		rc = cloud_settle(&h->c, &reply);
	cloud_reply_clear(&reply);
	return rc;
}

void
hub_run(struct task_result *r, enum task_kind k, const json_t *args, int64_t now)
{
	struct hub h = { 0 };
	int rc = hub_open(&h, r, args, now);

	if (rc == 0 && (k == TASK_MODULE_LIST || k == TASK_MODULE_GET || k == TASK_MODULE_UPDATE))
		rc = get(&h);
	if (rc == 0 && k == TASK_MODULE_CREATE)
		rc = create(&h);
	if (rc == 0 && (k == TASK_MODULE_CREATE || k == TASK_MODULE_UPDATE))
		rc = update(&h);
	if (rc == 0 && k == TASK_MODULE_DELETE)
		rc = delete(&h);
	hub_close(&h);
}
