/* SPDX-License-Identifier: Apache-2.0 */
/* fleet/bind.c - which names a certificate gets */
#include "server/fleet/bind.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "core/base/text.h"
#include "server/fleet/trace.h"
#include "server/store/device_row.h"

/* What the pieces below share. */
struct binding {
	struct bound *out;
	struct fleet *fleet;
	const struct label *label;
	const struct profile *profile;
	const struct proto_enrol *q;
	const struct own_cert *own;
	char asked[257];
	int64_t now;
	struct buf *trace;
	const char **reason;
};

/* RFC 5280 7.1: outer blanks do not count, and inner ones count as one. */
static void
put_without_blanks(char out[257], const char *s)
{
	size_t n = 0;

	for (; *s != 0 && n < 256; s++)
		if (*s != ' ' || (n != 0 && out[n - 1] != ' '))
			out[n++] = *s;
	out[n - (n != 0 && out[n - 1] == ' ')] = 0;
}

void
bind_named(const struct name *subject, const struct sans *sans, char out[257])
{
	const char *s = name_get(subject, OID_CN);

	if (s == NULL)
		s = name_get(subject, OID_SERIAL_NUMBER);
	for (size_t i = 0; s == NULL && i < sans->n; i++)
		if (sans->san[i].kind == SAN_DNS)
			s = (const char *)sans->san[i].value;
	put_without_blanks(out, s != NULL ? s : "");
}

void
bind_requested(const struct csr *csr, char out[257])
{
	bind_named(&csr->subject, &csr->sans, out);
}

/* The names of the presented certificate, unchanged. */
static void
take_own_names(struct binding *b)
{
	name_copy(&b->out->subject, &b->own->cert.subject);
	sans_copy(&b->out->sans, &b->own->cert.sans);
}

/* RFC 7030 4.2.2: Subject and SubjectAltName MUST be identical to those of the certificate being renewed. */
static int
same_names(struct binding *b, struct err *e)
{
	const struct csr *csr = &b->q->csr;
	char was[NAME_TEXT_MAX], is[NAME_TEXT_MAX];

	if (!name_equal(&csr->subject, &b->own->cert.subject)) {
		*b->reason = strcmp(b->asked, b->own->row.device_name) != 0 ? "name.other-device" : "name.subject-differs";
		return err_set(e, E_POLICY, "certificate is of '%.120s', request asks for '%.120s'",
		    name_text(&b->own->cert.subject, was), name_text(&csr->subject, is));
	}
	/* Clients exist that leave the alternative names out when they renew: absent means as before. */
	if (csr->has_san && !sans_equal(&csr->sans, &b->own->cert.sans)) {
		*b->reason = "name.san-differs";
		return err_set(e, E_POLICY, "certificate has alternative names [%.120s], request asks for [%.120s]",
		    sans_text(&b->own->cert.sans, was), sans_text(&csr->sans, is));
	}
	return 0;
}

static int
renew(struct binding *b, struct err *e)
{
	int rc;

	if (!b->own->cert.subject_known || (b->own->cert.has_san && !b->own->cert.sans_known))
		return err_set(e, E_POLICY, "certificate presented has names that cannot be renewed");
	if (b->label->reenrol == REENROL_FORCE_SUBJECT) {
		trace_add(b->trace, TRACE_NOTE, "names", "forced to those of certificate %s, whatever the request asks for", b->own->row.serial);
	} else {
		if ((rc = same_names(b, e)) != 0)
			return rc;
		trace_add(b->trace, TRACE_OK, "names", "those of certificate %s%s", b->own->row.serial,
		    b->q->csr.has_san ? "" : " (no alternative names asked for: as before)");
	}
	take_own_names(b);
	return 0;
}

/* Is this the very name of another device? */
static int
not_others(struct binding *b, const char *name, const char *what, struct err *e)
{
	char plain[257], state[16];
	int64_t id;
	int rc;

	put_without_blanks(plain, name);
	if (strcasecmp(plain, b->out->device) == 0)
		return 0;
	rc = device_row_find(b->fleet->db, plain, &id, state, e);
	if (rc != 0)
		return rc == E_NOTFOUND ? 0 : rc;
	*b->reason = "name.other-device";
	return err_set(e, E_POLICY, "%s '%s' is the name of another device", what, plain);
}

/* A device is known by CN, serialNumber or dNSName (bind_requested()), a URI by its host: none of them may be another's. */
static int
no_other_device(struct binding *b, struct err *e)
{
	const char *serial = name_get(&b->out->subject, OID_SERIAL_NUMBER);
	int rc = serial != NULL ? not_others(b, serial, "serialNumber", e) : 0;

	for (size_t i = 0; i < b->out->sans.n && rc == 0; i++) {
		const struct san *s = &b->out->sans.san[i];
		struct bytes host = { s->value, s->n };
		char text[sizeof(s->value) + 1];

		if (s->kind == SAN_URI)
			host = issue_uri_host(host);
		else if (s->kind != SAN_DNS)
			continue;
		(void)snprintf(text, sizeof(text), "%.*s", (int)host.n, host.n != 0 ? (const char *)host.p : "");
		if (text[0] != 0)
			rc = not_others(b, text, "alternative name", e);
	}
	return rc;
}

/* Names from request and profile, for b->out->device. */
static int
from_request(struct binding *b, struct err *e)
{
	int rc = issue_names(&b->out->subject, &b->out->sans, b->profile, b->out->device, &b->q->csr, e);

	if (rc != 0) {
		*b->reason = "profile.request";
		return rc;
	}
	if ((rc = no_other_device(b, e)) != 0)
		return rc;
	trace_add(b->trace, TRACE_OK, "names", "device '%s' by profile '%s'", b->out->device, b->profile->name);
	return 0;
}

/* The request must speak of the presented certificate's device, by whatever name the profile lets it. */
static int
same_device(struct binding *b, struct err *e)
{
	const char *mine = b->own->row.device_name;
	char state[16];
	int64_t id;
	int rc;

	if (b->label->reenrol == REENROL_FORCE_SUBJECT || strcmp(b->asked, mine) == 0)
		return 0;
	if (strcmp(b->profile->subject, "request") != 0) {
		/* The profile makes the subject; only another device's very name is refused. */
		rc = device_row_find(b->fleet->db, b->asked, &id, state, e);
		if (rc != 0)
			return rc == E_NOTFOUND ? 0 : rc;
		if (id == b->own->row.device)
			return 0;
	}
	*b->reason = "name.other-device";
	return err_set(e, E_POLICY, "certificate is of device '%s', request asks for '%s'", mine, b->asked);
}

/* Another kind of certificate for the same device, e.g. an LDevID by its IDevID. */
static int
derive(struct binding *b, struct err *e)
{
	int rc = same_device(b, e);

	if (rc != 0)
		return rc;
	rc = from_request(b, e);
	if (rc == 0 && b->label->reenrol == REENROL_FORCE_SUBJECT && strcmp(b->profile->subject, "request") == 0) {
		name_copy(&b->out->subject, &b->own->cert.subject);
		trace_add(b->trace, TRACE_NOTE, "names", "subject forced to that of certificate %s", b->own->row.serial);
	}
	return rc;
}

static int
no_name(struct binding *b, struct err *e)
{
	*b->reason = "name.missing";
	return err_set(e, E_POLICY, "request names no device (no CN, serialNumber or dNSName)");
}

/* reenrol = off: any new name, our own, or one that we enrolled before. */
static int
free_name(struct binding *b, struct err *e)
{
	bool live = false, ours = false;
	char state[16];
	int64_t id;
	int rc;

	if (b->asked[0] == 0)
		return no_name(b, e);
	text_copy(b->out->device, sizeof(b->out->device), b->asked);
	rc = device_row_find(b->fleet->db, b->asked, &id, state, e);
	if (rc != 0 && rc != E_NOTFOUND)
		return rc;
	if (rc == 0 && id != b->own->row.device) {
		if ((rc = cert_row_live(b->fleet->db, id, NULL, b->now, &live, e)) != 0 ||
		    (rc = cert_row_descends(b->fleet->db, id, b->own->row.device, b->now, &ours, e)) != 0)
			return rc;
		if (live && !ours) {
			*b->reason = "name.active";
			return err_set(e, E_POLICY, "'%s' has a live certificate that device '%s' did not enrol", b->asked,
			    b->own->row.device_name);
		}
	}
	trace_add(b->trace, TRACE_NOTE, "binding", "off at this label: '%s' speaks for '%s'", b->own->row.device_name, b->asked);
	return from_request(b, e);
}

static int
with_own(struct binding *b, struct err *e)
{
	bool same_profile = strcmp(b->own->row.profile, b->profile->name) == 0;
	bool reenrol = b->q->op == EST_SIMPLEREENROLL;

	text_copy(b->out->device, sizeof(b->out->device), b->own->row.device_name);
	if (reenrol && !same_profile) {
		*b->reason = "reenrol.other-profile";
		return err_set(e, E_POLICY, "certificate presented is of profile '%s', this label issues '%s'",
		    b->own->row.profile, b->profile->name);
	}
	if (reenrol || (same_profile && b->label->reenrol != REENROL_OFF))
		return renew(b, e);
	return b->label->reenrol == REENROL_OFF ? free_name(b, e) : derive(b, e);
}

int
bind_names(struct bound *out, struct fleet *f, const struct label *l, const struct profile *p,
    const struct proto_enrol *q, const struct own_cert *own, int64_t now, struct buf *trace, const char **reason,
    struct err *e)
{
	struct binding b = { out, f, l, p, q, own, "", now, trace, reason };

	out->device[0] = 0;
	out->subject.n = out->sans.n = 0;
	*reason = "name.refused";
	bind_requested(&q->csr, b.asked);
	if (own != NULL)
		return with_own(&b, e);
	if (b.asked[0] == 0)
		return no_name(&b, e);
	text_copy(out->device, sizeof(out->device), b.asked);
	return from_request(&b, e);
}
