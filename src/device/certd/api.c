/* SPDX-License-Identifier: Apache-2.0 */
/* certd/api.c - the routes of the Certificates Service */
#include <stdio.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/net/http.h"
#include "device/certd/certd_inside.h"
#include "device/certd/report.h"

enum { V2020, VOWN };
static const char *const versions[] = { [V2020] = "2020-09-01", [VOWN] = API_VERSION_OWN, NULL };

/*
 * root, or a principal whose patterns match; otherwise the call has been answered.  Whom the device trusts, and so who
 * gets its passwords, is for root alone, however wide a pattern is.
 */
static bool
may_modify(struct api_call *c, const char *id)
{
	const struct certd *d = c->ctx;

	if (principals_allow(d->settings->principals, c->uid, id) && (c->uid == 0 || !certs_is_anchor(d->settings, id)))
		return true;
	api_fail(c, 401, "user %u is not authorized to modify the cert %s", c->uid, id);
	return false;
}

static bool
valid_id(struct api_call *c, const char *parameter, const char *id)
{
	struct err e;

	if (stem_check_id(id, &e) == 0)
		return true;
	api_fail_parameter(c, parameter, "%s", e.msg);
	return false;
}

static void
reply_pem(struct api_call *c, unsigned status, struct bytes pem)
{
	AUTO_JSON o = json_object();
	json_t *text = json_stringn((const char *)pem.p, pem.n);

	if (text == NULL) {
		api_fail(c, 500, "certificate '%.100s': not UTF-8", c->id);
		return;
	}
	(void)json_object_set_new(o, "pem", text);
	api_reply(c, status, o);
}

/* Refusals have their own status, of which api_fail_err() knows nothing; everything else is by its table. */
static void
fail_err(struct api_call *c, const struct err *e)
{
	if (e->code == E_POLICY)
		api_fail(c, 403, "%s", e->msg);
	else
		api_fail_err(c, e);
}

/* "issuer.certId: not found": the parameter's name, and what is wrong with it. */
static void
fail_parameter(struct api_call *c, const struct err *e)
{
	const char *colon = strstr(e->msg, ": ");
	char name[64];

	if (colon == NULL) {
		api_fail_err(c, e);
		return;
	}
	(void)snprintf(name, sizeof(name), "%.*s", (int)(colon - e->msg), e->msg);
	api_fail_parameter(c, name, "%s", colon + 2);
}

static void
on_issued(void *ctx, const struct bytes *pem, const struct err *e)
{
	if (pem != NULL)
		reply_pem(ctx, 201, *pem);
	else
		fail_err(ctx, e);
}

/* The optional member `issuer`; false when it is malformed, and the call has been answered. */
static bool
take_issuer(struct api_call *c, struct issue_want *w)
{
	const json_t *issuer = json_object_get(c->body, "issuer");

	if (issuer == NULL || json_is_null(issuer))
		return true;
	w->issuer_cert = json_str(issuer, "certId", NULL);
	w->issuer_handle = json_str(issuer, "privateKeyHandle", NULL);
	if (w->issuer_cert != NULL && w->issuer_handle != NULL)
		return true;
	api_fail(c, 422, "issuer: an object with the texts certId and privateKeyHandle is needed");
	return false;
}

static void
post_certificate(struct api_call *c)
{
	const struct certd *d = c->ctx;
	struct issue_want w = { .uid = c->uid };
	const char *csr;
	struct err e;
	int r;

	if (!api_need_str(c, "certId", &w.id) || !api_need_str(c, "csr", &csr) || !take_issuer(c, &w) ||
	    !valid_id(c, "certId", w.id) || !may_modify(c, w.id))
		return;
	w.csr_pem = bytes_of(csr);
	r = issue_start(d->issuer, &w, on_issued, c, &e);
	if (r == E_USAGE)
		fail_parameter(c, &e);
	else if (r != 0)
		fail_err(c, &e);
}

/* What is read by everybody who may open the socket is no place for a key that somebody put into the same file. */
static bool
holds_key(struct bytes pem)
{
	return pem.n != 0 && memmem(pem.p, pem.n, "PRIVATE KEY-----", strlen("PRIVATE KEY-----")) != NULL;
}

/* Who reads a certificate means to use it with its key: neither is told while the two are being replaced. */
static void
on_settled(void *ctx, const struct err *why)
{
	struct api_call *c = ctx;
	const struct certd *d = c->ctx;
	AUTO_BUF pem = BUF_MAX(CERTS_FILE_MAX);
	struct err e;
	int r;

	if (why != NULL) {
		fail_err(c, why);
		return;
	}
	r = certs_read(&pem, d->settings, c->id, &e);
	if (r == E_NOTFOUND)
		api_fail_parameter(c, "id", "not found");
	else if (r != 0)
		api_fail(c, 500, "%s", e.msg);
	else if (holds_key(bytes_of_buf(&pem)))
		api_fail(c, 500, "certificate '%.100s': there is a private key in its file: it is not given out", c->id);
	else
		reply_pem(c, 200, bytes_of_buf(&pem));
}

static void
get_certificate(struct api_call *c)
{
	const struct certd *d = c->ctx;

	if (valid_id(c, "id", c->id))
		engine_settled(d->engine, c->id, on_settled, c);
}

/* The original stores anything; what is no certificate would only fail later and elsewhere, so it is refused here. */
static void
put_certificate(struct api_call *c)
{
	const struct certd *d = c->ctx;
	AUTO_BUF der = { 0 };
	const char *pem;
	struct cert cert;
	struct err e;

	if (!api_need_str(c, "pem", &pem) || !valid_id(c, "id", c->id) || !may_modify(c, c->id))
		return;
	if (certs_leaf(&cert, &der, bytes_of(pem), &e) != 0) {
		api_fail_parameter(c, "pem", "%s", e.msg);
		return;
	}
	if (holds_key(bytes_of(pem))) {
		api_fail_parameter(c, "pem", "a private key is in it");
		return;
	}
	if (certs_check_ours(d->settings, c->id, &e) != 0 || certs_write(d->settings, c->id, bytes_of(pem), &e) != 0) {
		fail_err(c, &e);
		return;
	}
	engine_look(d->engine, c->id);
	reply_pem(c, 201, bytes_of(pem));
}

static void
delete_certificate(struct api_call *c)
{
	const struct certd *d = c->ctx;
	struct err e;

	if (!valid_id(c, "id", c->id) || !may_modify(c, c->id))
		return;
	if (certs_delete(d->settings, c->id, &e) != 0) {
		fail_err(c, &e);
		return;
	}
	engine_look(d->engine, c->id);
	api_reply(c, 204, NULL);
}

/* --- Estuary's own --- */

static void
get_status(struct api_call *c)
{
	const struct certd *d = c->ctx;
	AUTO_JSON o = json_object();
	json_t *credentials = json_array(), *certificates = json_array(), *conf = json_object(), *files = json_array();

	engine_status(d->engine, credentials);
	report_certificates(certificates, d->settings);
	(void)json_array_append_new(files, json_string(d->daemon.place.config_file));
	(void)json_array_append_new(files, json_string(d->daemon.place.config_dir));
	(void)json_object_set_new(conf, "files", files);
	(void)json_object_set_new(conf, "loaded_at", json_integer(d->daemon.loaded_at));
	json_setf(conf, "last_error", "%s", d->daemon.last_error.code != 0 ? d->daemon.last_error.msg : "");
	json_setf(o, "version", "%s", ESTUARY_VERSION);
	(void)json_object_set_new(o, "time", json_integer(clock_now()));
	(void)json_object_set_new(o, "credentials", credentials);
	(void)json_object_set_new(o, "certificates", certificates);
	(void)json_object_set_new(o, "configuration", conf);
	api_reply(c, 200, o);
}

static void
get_metrics(struct api_call *c)
{
	const struct certd *d = c->ctx;
	AUTO_JSON credentials = json_array();
	AUTO_JSON certificates = json_array();
	AUTO_BUF text = { 0 };

	engine_status(d->engine, credentials);
	report_certificates(certificates, d->settings);
	report_metrics(&text, certificates, credentials, d->daemon.last_error.code == 0);
	api_reply_text(c, "text/plain; version=0.0.4; charset=utf-8", bytes_of_buf(&text));
}

static void
steered(struct api_call *c, unsigned status, int r, const struct err *e)
{
	if (r == E_NOTFOUND)
		api_fail_parameter(c, "id", "not found");
	else if (r != 0)
		fail_err(c, e);
	else
		api_reply(c, status, NULL);
}

static void
post_renew(struct api_call *c)
{
	const struct certd *d = c->ctx;
	AUTO_JSON o = json_object();
	struct err e;
	int r;

	if (!may_modify(c, c->id))
		return;
	r = engine_renew_now(d->engine, c->id, &e);
	if (r != 0)
		steered(c, 202, r, &e);
	else
		api_reply(c, 202, o);
}

static void
set_disabled(struct api_call *c, bool disabled)
{
	const struct certd *d = c->ctx;
	struct err e;

	if (may_modify(c, c->id))
		steered(c, 204, engine_set_disabled(d->engine, c->id, disabled, &e), &e);
}

static void
post_disable(struct api_call *c)
{
	set_disabled(c, true);
}

static void
post_enable(struct api_call *c)
{
	set_disabled(c, false);
}

static const struct api_route routes[] = {
	{ "POST", "/certificates", API_MUST_BODY, V2020, post_certificate },
	{ "GET", "/certificates/{id}", API_NO_BODY, V2020, get_certificate },
	{ "PUT", "/certificates/{id}", API_MUST_BODY, V2020, put_certificate },
	{ "DELETE", "/certificates/{id}", API_MAY_BODY, V2020, delete_certificate },
	{ "GET", "/status", API_NO_BODY, VOWN, get_status },
	{ "GET", "/metrics", API_NO_BODY, VOWN, get_metrics },
	{ "POST", "/renew/{id}", API_MAY_BODY, VOWN, post_renew },
	{ "POST", "/disable/{id}", API_MAY_BODY, VOWN, post_disable },
	{ "POST", "/enable/{id}", API_MAY_BODY, VOWN, post_enable },
	{ NULL, NULL, API_NO_BODY, 0, NULL },
};

void
certd_service(struct api_service *out)
{
	*out = (struct api_service){ .name = "aziot-certd", .versions = versions, .routes = routes };
}
