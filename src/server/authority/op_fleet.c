/* SPDX-License-Identifier: Apache-2.0 */
/* authority/op_fleet.c - the operator's verbs on devices, certificates and events */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/text.h"
#include "server/authority/authority.h"

static json_t *
device_json(const struct device_row *r)
{
	json_t *v = json_object();

	json_setf(v, "name", "%s", r->name);
	json_setf(v, "state", "%s", device_row_state(r, clock_now()));
	json_setf(v, "subject", "%s", r->subject);
	json_object_set_new(v, "created_at", json_integer(r->created_at));
	json_object_set_new(v, "last_contact", json_integer(r->last_contact));
	json_object_set_new(v, "certificates", json_integer(r->certificates));
	json_object_set_new(v, "not_after", json_integer(r->not_after));
	return v;
}

static int
add_device(void *ctx, struct device_row *r)
{
	return op_page_add(ctx, device_json(r), r->id);
}

static int
device_list(struct work *w, json_t **result, struct err *e)
{
	struct op_page p = op_page(w);
	int rc = device_row_list(w->a->db, op_arg(w, "state", ""), op_arg(w, "q", ""), clock_now(), p.after, p.limit, add_device,
	    &p, e);

	*result = op_page_end(&p);
	return rc;
}

static json_t *
cert_json(const struct cert_row *r)
{
	json_t *v = json_object();

	json_setf(v, "serial", "%s", r->serial);
	json_setf(v, "device", "%s", r->device_name);
	json_setf(v, "subject", "%s", r->subject);
	json_setf(v, "sans", "%s", r->sans);
	json_setf(v, "profile", "%s", r->profile);
	json_setf(v, "label", "%s", r->label);
	json_setf(v, "ca", "%s", r->ca_name);
	json_setf(v, "state", "%s", cert_row_state(r, clock_now()));
	json_object_set_new(v, "not_before", json_integer(r->not_before));
	json_object_set_new(v, "not_after", json_integer(r->not_after));
	json_setf(v, "parent", "%s", r->parent_serial);
	json_setf(v, "authorised_by", "%s", r->authorised_by);
	json_setf(v, "request_id", "%s", r->request_id);
	json_object_set_new(v, "proved_at", json_integer(r->proved_at));
	return v;
}

static int
add_cert(void *ctx, struct cert_row *r)
{
	return op_page_add(ctx, cert_json(r), r->id);
}

static int
cert_list(struct work *w, json_t **result, struct err *e)
{
	struct op_page p = op_page(w);
	int rc = cert_row_list(w->a->db, op_arg(w, "device", ""), op_arg(w, "ca", ""), op_arg(w, "state", ""), clock_now(),
	    p.after, p.limit, add_cert, &p, e);

	*result = op_page_end(&p);
	return rc;
}

static int
add_event(void *ctx, struct event_row *r)
{
	json_t *v = json_object();

	json_object_set_new(v, "id", json_integer(r->id));
	json_object_set_new(v, "time", json_integer(r->time));
	json_setf(v, "kind", "%s", r->kind);
	json_setf(v, "device", "%s", r->device);
	json_setf(v, "text", "%s", r->text);
	return op_page_add(ctx, v, r->id);
}

static int
event_list(struct work *w, json_t **result, struct err *e)
{
	struct op_page p = op_page(w);
	int rc = event_row_list(w->a->db, op_arg(w, "device", ""), p.after, p.limit, add_event, &p, e);

	*result = op_page_end(&p);
	return rc;
}

static int
device_show(struct work *w, json_t **result, struct err *e)
{
	struct op_page certs = { .items = json_array() }, events = { .items = json_array() };
	struct device_row r;
	int rc = device_row_by_name(w->a->db, op_arg(w, "name", ""), &r, e);

	if (rc == 0)
		rc = cert_row_list(w->a->db, r.name, "", "", clock_now(), 0, 100, add_cert, &certs, e);
	if (rc == 0)
		rc = event_row_list(w->a->db, r.name, 0, 100, add_event, &events, e);
	if (rc != 0) {
		json_decref(certs.items);
		json_decref(events.items);
		return rc;
	}
	*result = device_json(&r);
	json_object_set_new(*result, "certificates", certs.items);
	json_object_set_new(*result, "events", events.items);
	return 0;
}

static int
set_state(struct work *w, const char *name, const char *state, const char *event, json_t **result, struct err *e)
{
	struct device_row r;
	int rc;

	if ((rc = device_row_set_state(w->a->db, name, state, e)) != 0 ||
	    (rc = event_row_add(w->a->db, clock_now(), event, name, w->actor, e)) != 0 ||
	    (rc = device_row_by_name(w->a->db, name, &r, e)) != 0)
		return rc;
	*result = device_json(&r);
	return 0;
}

static int
device_release(struct work *w, json_t **result, struct err *e)
{
	struct device_row r;
	int rc = device_row_by_name(w->a->db, op_arg(w, "name", ""), &r, e);

	if (rc != 0)
		return rc;
	if (strcmp(r.state, "forked") != 0 && strcmp(r.state, "retired") != 0)
		return err_set(e, E_EXISTS, "device '%s': is %s, only a forked or retired one can be released", r.name, r.state);
	return set_state(w, r.name, "active", "device.released", result, e);
}

/* Enrolments, registrations and hubs ask for a device's state: nothing is issued for a retired one, and none takes it. */
static int
device_retire(struct work *w, json_t **result, struct err *e)
{
	struct device_row r;
	int rc = device_row_by_name(w->a->db, op_arg(w, "name", ""), &r, e);

	if (rc != 0)
		return rc;
	if (strcmp(r.state, "retired") == 0)
		return err_set(e, E_EXISTS, "device '%s': is retired already; 'estuary device release' takes it back", r.name);
	return set_state(w, r.name, "retired", "device.retired", result, e);
}

#define KEY_COMPROMISE 1

/* RFC 5280 5.3.1, but for certificateHold and removeFromCRL (nothing is released yet) and aACompromise. */
static const struct { const char *name; int code; } reasons[] = {
	{ "unspecified", 0 }, { "keyCompromise", KEY_COMPROMISE }, { "cACompromise", 2 }, { "affiliationChanged", 3 },
	{ "superseded", 4 }, { "cessationOfOperation", 5 }, { "privilegeWithdrawn", 9 },
};

static int
reason_code(const char *name, int *code, struct err *e)
{
	for (size_t i = 0; i < N_OF(reasons); i++)
		if (strcmp(reasons[i].name, name) == 0) {
			*code = reasons[i].code;
			return 0;
		}
	return err_set(e, E_USAGE, "cert.revoke: reason '%.40s': expected unspecified, keyCompromise, cACompromise, "
	    "affiliationChanged, superseded, cessationOfOperation or privilegeWithdrawn", name);
}

static const char *
reason_name(int code)
{
	for (size_t i = 0; i < N_OF(reasons); i++)
		if (reasons[i].code == code)
			return reasons[i].name;
	return "unspecified";
}

static json_t *
whole_cert_json(const struct authority *a, const struct cert_row *r)
{
	json_t *v = cert_json(r);
	struct bytes der = bytes_of_buf(&r->der);
	const struct ca *ca = fleet_ca_by_id(a->fleet, r->ca);
	struct cert c;
	char hex[2 * SHA256_LEN + 1];

	json_object_set_new(v, "pem", op_pem(&der, 1));
	if (ca != NULL)
		json_object_set_new(v, "chain_pem", op_chain_pem(ca, der));
	text_hex(hex, (struct bytes){ r->sha256, SHA256_LEN });
	json_setf(v, "sha256", "%s", hex);
	text_hex(hex, (struct bytes){ r->spki_sha256, SHA256_LEN });
	json_setf(v, "spki_sha256", "%s", hex);
	if (cert_parse(&c, der, NULL) == 0)
		json_setf(v, "key", "%s", key_type_name(c.key_type));
	json_object_set_new(v, "revoked_at", json_integer(r->revoked_at));
	json_setf(v, "revoked_reason", "%s", r->revoked_at != 0 ? reason_name(r->revoked_reason) : "");
	return v;
}

/* A serial as people paste it: openssl prints capitals, browsers put colons between. */
static const char *
serial_arg(const struct work *w, char out[64])
{
	size_t n = 0;

	for (const char *p = op_arg(w, "serial", ""); *p != 0 && n < 63; p++)
		if (*p != ':')
			out[n++] = (char)tolower((unsigned char)*p);
	out[n] = 0;
	return out;
}

/* The certificate that the verb is about; from here on the message names it whole, so that the record does, too. */
static int
find_cert(struct work *w, struct cert_row *r, struct err *e)
{
	char serial[64];
	int rc = cert_row_by_prefix(w->a->db, serial_arg(w, serial), r, e);

	if (rc == 0)
		json_setf(w->args, "serial", "%s", r->serial);
	return rc;
}

static int
cert_show(struct work *w, json_t **result, struct err *e)
{
	struct cert_row r = { 0 };
	int rc = find_cert(w, &r, e);

	if (rc == 0)
		*result = whole_cert_json(w->a, &r);
	cert_row_clear(&r);
	return rc;
}

/* Others have the key: what else was issued for it, by whichever CA, lets them in as well. */
static int
revoke_key(struct work *w, const struct cert_row *r, struct err *e)
{
	const struct fleet *f = w->a->fleet;
	int rc = cert_row_revoke_key(w->a->db, r->spki_sha256, clock_now(), e);

	for (size_t i = 0; rc == 0 && i < f->n_cas; i++)
		rc = ca_row_set_crl_due(w->a->db, f->ca[i]->row.id, 0, e);
	return rc;
}

static int
cert_revoke(struct work *w, json_t **result, struct err *e)
{
	struct cert_row r = { 0 };
	int code = 0, rc = reason_code(op_arg(w, "reason", "unspecified"), &code, e);

	if (rc == 0 && (rc = find_cert(w, &r, e)) == 0 &&
	    (rc = cert_row_revoke(w->a->db, r.id, clock_now(), code, e)) == 0 &&
	    (rc = ca_row_set_crl_due(w->a->db, r.ca, 0, e)) == 0 &&
	    (rc = code == KEY_COMPROMISE ? revoke_key(w, &r, e) : 0) == 0 &&
	    (rc = event_row_add(w->a->db, clock_now(), "certificate.revoked", r.device_name, r.serial, e)) == 0)
		rc = cert_row_by_id(w->a->db, r.id, &r, e);
	if (rc == 0)
		*result = whole_cert_json(w->a, &r);
	cert_row_clear(&r);
	return rc;
}

/* A pasted request takes the way of every enrolment; here it only gets its profile and CA. */
static int
cert_request(struct work *w, json_t **result, struct err *e)
{
	const struct fleet *f = w->a->fleet;
	const struct label *l = fleet_label(f, "");
	const char *ca = op_arg(w, "ca", l != NULL ? l->ca : ""), *life = op_arg(w, "lifetime", NULL);
	struct enrol_operator as = { .actor = w->actor, .profile = fleet_profile(f, op_arg(w, "profile", "")), .ca = fleet_ca(f, ca) };
	int rc;

	(void)result;
	if (as.profile == NULL)
		return err_set(e, E_NOTFOUND, "profile '%.64s': there is none; see 'estuary profile list'", op_arg(w, "profile", ""));
	if (as.ca == NULL)
		return err_set(e, E_NOTFOUND, "ca '%.64s': there is none; name one with ca", ca);
	if (life != NULL && (rc = clock_parse_duration(&as.lifetime_s, life, e)) != 0)
		return rc;
	if (life != NULL && as.lifetime_s < PROFILE_LIFETIME_MIN)
		return err_set(e, E_USAGE, "cert.request: lifetime '%.40s': expected %ds or more", life, PROFILE_LIFETIME_MIN);
	if (w->body.n == 0)
		return err_set(e, E_USAGE, "cert.request: needs 'csr'");
	w->as_operator = as;
	/* Back to the head of the queue, as an enrolment now. */
	w->next = w->a->first;
	if (w->a->first == NULL)
		w->a->last = &w->next;
	w->a->first = w;
	w->a->n_waiting++;
	authority_done(w->a);
	return 0;
}

void
op_cert_requested(struct work *w)
{
	struct cert_row *r = &w->x.cert;
	struct err e = { 0 };
	struct bytes der = bytes_of_buf(&r->der);
	json_t *v;

	if (w->x.kind == ENROL_REFUSED) {
		(void)err_set(&e, w->x.status == 503 ? E_UNAVAIL : w->x.status == 400 ? E_FORMAT : E_POLICY, "%s: %s (request %s)",
		    w->x.reason, w->x.text, w->x.id);
		op_fail(w, &e);
		return;
	}
	v = json_object();
	json_setf(v, "serial", "%s", r->serial);
	json_setf(v, "device", "%s", w->x.device);
	json_setf(v, "request_id", "%s", w->x.id);
	json_object_set_new(v, "pem", op_pem(&der, 1));
	json_object_set_new(v, "chain_pem", op_chain_pem(w->x.ca, der));
	op_done(w, v);
}

const struct verb op_fleet_verbs[] = {
	{ "device.list", VERB_READ, "state q limit after", device_list },
	{ "device.show", VERB_READ, "name!", device_show },
	{ "device.release", VERB_WRITE, "name!", device_release },
	{ "device.retire", VERB_WRITE, "name!", device_retire },
	{ "cert.list", VERB_READ, "device ca state limit after", cert_list },
	{ "cert.show", VERB_READ, "serial!", cert_show },
	{ "cert.request", VERB_ASYNC, "csr profile! ca lifetime", cert_request },
	{ "cert.revoke", VERB_WRITE, "serial! reason", cert_revoke },
	{ "event.list", VERB_READ, "device limit after", event_list },
	{ NULL, 0, NULL, NULL },
};
