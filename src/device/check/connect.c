/* SPDX-License-Identifier: Apache-2.0 */
/* check/connect.c - can the hub and the provisioning service be reached, and are they who they should be? */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "core/base/file.h"
#include "device/certd/certs.h"
#include "device/check/jobs.h"

#define AMQPS     5671
#define HTTPS     443
#define MQTTS     8883
#define HOST_SIZE 280

/* --- whom --- */

/* The hub that the device was assigned to when it was last provisioned; false: never, or somewhere else. */
static bool
assigned_hub(char out[HOST_SIZE], const struct identityd_settings *s)
{
	AUTO_BUF text = BUF_MAX(CHECK_FILE_MAX);
	AUTO(toml) doc = NULL;
	char path[PLACE_MAX + 32];
	const struct toml *v;

	(void)snprintf(path, sizeof(path), "%s/device_info", s->homedir);
	if (file_read(&text, path, CHECK_FILE_MAX, NULL) != 0 || toml_parse(&doc, path, bytes_of_buf(&text), NULL) != 0)
		return false;
	v = toml_get(doc, "hub_name");
	if (v == NULL || toml_kind(v) != TOML_STRING || *toml_string(v) == 0)
		return false;
	(void)snprintf(out, HOST_SIZE, "%s", toml_string(v));
	return true;
}

/* By the option, the configuration or the state, or what is to be said instead; false then. */
static bool
find_hub(char out[HOST_SIZE], const struct checking *c, struct check_result *r)
{
	const struct identityd_settings *s = c->identityd;

	if (c->o->hub != NULL) {
		(void)snprintf(out, HOST_SIZE, "%s", c->o->hub);
		return true;
	}
	if (s == NULL && c->configured[SERVICE_IDENTITYD])
		check_skip(r, "identityd's configuration could not be read");
	else if (s == NULL || s->source == SOURCE_IS_NONE)
		check_ignore(r, "the device is not configured to have an IoT hub");
	else if (s->gateway[0] != 0)
		(void)snprintf(out, HOST_SIZE, "%s", s->gateway); /* nested: everything goes through it */
	else if (s->source == SOURCE_IS_MANUAL)
		(void)snprintf(out, HOST_SIZE, "%s", s->hub);
	else if (!assigned_hub(out, s))
		check_warn(r,
		    "the device was not provisioned yet, so its IoT hub is not known; name it by --iothub-hostname");
	return r->kind == CHECK_OK;
}

/* A name may say the port of its HTTPS; for the other protocols it counts without. */
static void
put_port(char host[HOST_SIZE], unsigned port, struct buf *url)
{
	char *colon = strrchr(host, ':'), *bracket = strchr(host, ']');
	bool has_port = colon != NULL && (bracket != NULL ? colon > bracket : strchr(host, ':') == colon);

	if (has_port && port != HTTPS)
		*colon = 0;
	buf_printf(url, "https://%s", host);
	if (!has_port || port != HTTPS)
		buf_printf(url, ":%u", port);
}

/* --- how --- */

static int
read_trust(struct buf *out, const struct checking *c, struct err *e)
{
	static const struct certd_settings none;
	const struct identityd_settings *s = c->identityd;
	int r = 0;

	*out = BUF_MAX(JOB_PEM_MAX);
	for (size_t i = 0; r == 0 && s != NULL && i < s->n_trust; i++) {
		if (strncasecmp(s->trust[i], "file:", 5) != 0 && c->certd == NULL)
			return err_set(e, E_NOTFOUND, "certificate '%.200s': certd's configuration could not be read",
			    s->trust[i]);
		r = certs_read_any(out, c->certd != NULL ? c->certd : &none, s->trust[i], e);
		buf_put_u8(out, '\n');
	}
	return r;
}

static void
set_proxy(struct job *j, struct check_result *r, const struct checking *c)
{
	const struct identityd_settings *s = c->identityd;
	const char *proxy = c->o->proxy != NULL ? c->o->proxy : s != NULL ? s->proxy : "";

	(void)snprintf(j->proxy, sizeof(j->proxy), "%s", proxy);
	(void)snprintf(j->no_proxy, sizeof(j->no_proxy), "%s", s != NULL && c->o->proxy == NULL ? s->no_proxy : "");
	if (*proxy != 0)
		json_setf(r->info, "proxy", "%s",
		    strrchr(proxy, '@') != NULL ? strrchr(proxy, '@') + 1 : proxy); /* without its password */
}

static void
handshake(struct checking *c, struct check_result *r, const char *what, const char *url, bool by_proxy)
{
	const struct identityd_settings *s = c->identityd;
	struct jobs_item *item = jobs_new(1);
	struct job *j = &item->job;
	struct err e;

	if (strlen(url) >= sizeof(j->url)) {
		check_error(r, "%s: the URL is too long", what);
	} else if (read_trust(&j->trust, c, &e) != 0) {
		check_error(r, "[provisioning] trusted_certs: %s", e.msg);
	} else {
		j->kind = JOB_TLS;
		(void)snprintf(j->url, sizeof(j->url), "%s", url);
		j->trust_system = s == NULL || s->trust_system;
		if (s != NULL && s->cloud_timeout_s < JOB_DEADLINE_S)
			j->deadline_s = s->cloud_timeout_s;
		if (by_proxy)
			set_proxy(j, r, c);
		jobs_set_user(j, c, SERVICE_IDENTITYD);
		jobs_run(c, item, 1);
		if (item->result.outcome != JOB_DONE)
			check_error(r, "%s: %s", what, item->result.text);
		else if (item->result.anchor[0] != 0)
			json_setf(r->info, "anchor", "%s", item->result.anchor);
	}
	jobs_free(item, 1);
}

static void
connect_hub(struct checking *c, struct check_result *r, unsigned port)
{
	char host[HOST_SIZE] = "";
	AUTO_BUF url = { 0 };

	if (!find_hub(host, c, r))
		return;
	r->info = json_object();
	(void)json_object_set_new(r->info, "port_number", json_integer((json_int_t)port));
	json_setf(r->info, "iothub_hostname", "%s", host);
	put_port(host, port, &url);
	handshake(c, r, "IoT hub", buf_str(&url), port == HTTPS); /* proxies of HTTP are asked for nothing else */
}

void
connect_amqp(struct checking *c, struct check_result *r)
{
	connect_hub(c, r, AMQPS);
}

void
connect_https(struct checking *c, struct check_result *r)
{
	connect_hub(c, r, HTTPS);
}

void
connect_mqtt(struct checking *c, struct check_result *r)
{
	connect_hub(c, r, MQTTS);
}

void
connect_dps(struct checking *c, struct check_result *r)
{
	const struct identityd_settings *s = c->identityd;

	if (s == NULL && c->configured[SERVICE_IDENTITYD]) {
		check_skip(r, "identityd's configuration could not be read");
		return;
	}
	if (s == NULL || s->source != SOURCE_IS_DPS) {
		check_ignore(r, "the device is not configured to ask a provisioning service");
		return;
	}
	r->info = json_object();
	json_setf(r->info, "dps_endpoint", "%s", s->endpoint);
	handshake(c, r, "provisioning service", s->endpoint, true);
}
