/* SPDX-License-Identifier: Apache-2.0 */
/* identityd/local.c - identities that this device gives to its processes: a key made for once, certified by certd */
#include <stdio.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/text.h"
#include "device/identityd/identityd_inside.h"

#define CN_MAX 64 /* octets; X.520's upper bound */

/* "2026-01-02T03:04:05+00:00", the form that clients of the original parse. */
static void
put_expiration(json_t *auth, int64_t at)
{
	char text[CLOCK_TEXT_MAX];

	json_setf(auth, "expiration", "%.19s+00:00", clock_text(at, text));
}

static void
on_made(void *ctx, const struct task_result *r)
{
	struct api_call *c = ctx;
	AUTO_JSON v = NULL;
	json_t *auth;

	if (r->outcome != TASK_DONE) {
		api_fail(c, 404, "%s client error\ncaused by: %s", r->outcome == TASK_KEY_FAILED ? "Key" : "Certificate", r->text);
		return;
	}
	v = json_pack("{s:s, s:{s:s, s:{}}}", "type", "local", "spec", "moduleId", c->id, "auth");
	auth = json_object_get(json_object_get(v, "spec"), "auth");
	json_setf(auth, "privateKey", "%s", json_str(r->value, "key", ""));
	json_setf(auth, "certificate", "%s", json_str(r->value, "pem", ""));
	put_expiration(auth, json_int(r->value, "not_after", 0));
	api_reply(c, 200, v);
}

/* A server is known by its DNS name, where the name can be one. */
static void
add_names(json_t *args, const char *cn, bool server)
{
	struct sans sans = { 0 };
	char text[CN_MAX + 8];

	(void)snprintf(text, sizeof(text), "dns:%s", cn);
	if (server && sans_add_text(&sans, text, NULL) == 0)
		(void)json_object_set_new(args, "dns", json_pack("[s]", cn));
}

/* The certificate is kept under the module's ID: the device's own would go, and the device with it. */
static bool
is_devices(const struct identityd_settings *s, const char *id)
{
	size_t n = strlen(s->cert);

	return s->auth == AUTH_IS_X509 && strncmp(id, s->cert, n) == 0 && (id[n] == 0 || strcmp(id + n, IDENTITYD_TEMP) == 0);
}

void
local_identity(struct identityd *d, struct api_call *c, const char *module, bool server)
{
	const struct identityd_settings *s = d->settings;
	char cn[CN_MAX + 1];
	json_t *args;

	if (s->localid_domain[0] == 0) {
		api_fail(c, 400, "local identities need [localid] with a domain in the configuration");
		return;
	}
	if (is_devices(s, module)) {
		api_fail_parameter(c, "moduleId", "it is the ID of the device's own certificate");
		return;
	}
	if ((size_t)snprintf(cn, sizeof(cn), "%s.%s.%s", module, s->hostname, s->localid_domain) >= sizeof(cn)) {
		/* Cut off, as the original has it, two modules could get one name. */
		api_fail_parameter(c, "moduleId", "its name would be '%.200s.%.200s.%.200s', and a CN has at most %d octets", module,
		    s->hostname, s->localid_domain, CN_MAX);
		return;
	}
	if (module != c->id)
		text_copy(c->id, sizeof(c->id), module);
	args = cloud_local_args(d);
	json_setf(args, "id", "%s", c->id);
	(void)json_object_set_new(args, "subject", json_pack("[[s, s]]", "CN", cn));
	(void)json_object_set_new(args, "server", json_boolean(server));
	add_names(args, cn, server);
	(void)tasks_run(d->tasks, TASK_LOCAL_ID, args, on_made, c);
}
