/* SPDX-License-Identifier: Apache-2.0 */
/* authority/op_enrolment_read.c - an operator's description of an enrolment, checked as a whole and put into its row */
#include <stdio.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/base/rnd.h"
#include "core/base/text.h"
#include "core/codec/base64.h"
#include "server/authority/op_enrolment.h"
#include "server/provision/ids.h"
#include "server/provision/provision.h"
#include "server/provision/tpm.h"

/* Arguments that not every enrolment has: whose they are. */
static const struct {
	const char *arg, *attestation; /* "": of any */
	bool group, individual;
} belongs[] = {
	{ "ca", "x509", true, false }, { "ca2", "x509", true, false },
	{ "cert", "x509", false, true }, { "cert2", "x509", false, true },
	{ "key", "symmetric", true, true }, { "key2", "symmetric", true, true },
	{ "ek", "tpm", false, true }, { "device_id", "", false, true },
};

int
op_enrolment_usage(const struct work *w, struct err *e)
{
	(void)err_prefix(e, E_USAGE, "%s", w->verb->name);
	return e->code = E_USAGE;
}

static bool
given(const struct work *w, const char *arg)
{
	return json_object_get(w->args, arg) != NULL;
}

static bool
is(const struct enrolment_row *r, const char *attestation)
{
	return strcmp(r->attestation, attestation) == 0;
}

static int
check_belongs(const struct work *w, const struct enrolment_row *r, struct err *e)
{
	for (size_t i = 0; i < N_OF(belongs); i++) {
		if (!given(w, belongs[i].arg))
			continue;
		if (r->individual ? !belongs[i].individual : !belongs[i].group)
			return err_set(e, E_USAGE, "%s: %s: only %s has it", w->verb->name, belongs[i].arg,
			    r->individual ? "a group" : "an individual enrolment");
		if (belongs[i].attestation[0] != 0 && !is(r, belongs[i].attestation))
			return err_set(e, E_USAGE, "%s: %s: only attestation %s has it, and this is %s", w->verb->name,
			    belongs[i].arg,
			    belongs[i].attestation, r->attestation);
	}
	return 0;
}

/* Fixed when it is made: a device that registered by one proof must not go on by another. */
static int
read_attestation(const struct work *w, struct enrolment_row *r, bool created, struct err *e)
{
	const char *want = op_arg(w, "attestation", created ? "" : r->attestation);

	if (!created && strcmp(want, r->attestation) != 0)
		return err_set(e, E_USAGE, "%s: attestation: is %s and cannot change; remove it and make another",
		    w->verb->name, r->attestation);
	if (strcmp(want, "x509") != 0 && strcmp(want, "symmetric") != 0 && (!r->individual || strcmp(want, "tpm") != 0))
		return err_set(e, E_USAGE, "%s: attestation '%.40s': expected x509%s symmetric%s", w->verb->name, want,
		    r->individual ? "," : " or", r->individual ? " or tpm" : "");
	if (created)
		(void)snprintf(r->attestation, sizeof(r->attestation), "%s", want);
	return check_belongs(w, r, e);
}

/* --- X.509 --- */

struct other {
	const struct enrolment_row *r;
	int64_t ca;
	char name[PROVISION_ID_MAX];
};

static int
has_ca(void *ctx, struct enrolment_row *other)
{
	struct other *o = ctx;

	if (other->id == o->r->id || (other->ca[0] != o->ca && other->ca[1] != o->ca))
		return 0;
	(void)snprintf(o->name, sizeof(o->name), "%s", other->name);
	return E_EXISTS;
}

/* Which of two groups a device belongs to must not be chance. */
static int
read_ca(struct work *w, struct enrolment_row *r, int i, const char *name, struct err *e)
{
	struct dps_ca_row ca = { 0 };
	struct other o = { .r = r };
	int rc = op_dps_ca(w, name, &ca, e);

	if (rc == 0 && !ca.verified)
		rc = err_set(e, E_POLICY, "%s: ca '%s' is not verified yet; see 'estuary group ca-verify'",
		    w->verb->name, ca.name);
	o.ca = ca.id;
	if (rc == 0 && (rc = enrolment_row_list(w->a->db, false, "x509", 0, -1, has_ca, &o, e)) == E_EXISTS)
		rc = err_set(e, rc, "%s: ca '%s' is that of the group '%s' already, and a device is in one group; "
		    "change or remove that group first", w->verb->name, ca.name, o.name);
	if (rc == 0)
		r->ca[i] = ca.id;
	dps_ca_row_clear(&ca);
	return rc;
}

static int
read_cas(struct work *w, struct enrolment_row *r, struct err *e)
{
	static const char *const args[] = { "ca", "ca2" };
	int rc;

	for (int i = 0; i < 2; i++) {
		const char *name = op_arg(w, args[i], NULL);

		if (name != NULL && name[0] == 0)
			r->ca[i] = 0;
		else if (name != NULL && (rc = read_ca(w, r, i, name, e)) != 0)
			return rc;
	}
	if (r->ca[0] == 0)
		return err_set(e, E_USAGE, "%s: needs 'ca', the CA that issues the devices' certificates",
		    w->verb->name);
	if (r->ca[0] == r->ca[1])
		return err_set(e, E_USAGE, "%s: ca2: is the same CA as ca", w->verb->name);
	return 0;
}

/* A device's certificate: one that identifies a TLS client, with the registration ID for its common name. */
static int
read_cert(struct work *w, struct enrolment_row *r, int i, const char *arg, struct err *e)
{
	AUTO_BUF der = { 0 };
	struct cert c;
	const char *unfit, *cn;
	int rc;

	if ((rc = pem_decode(&der, bytes_of(op_arg(w, arg, "")), "CERTIFICATE", e)) != 0 ||
	    (rc = cert_parse(&c, bytes_of_buf(&der), e)) != 0)
		return err_prefix(e, (enum err_code)rc, "%s: %s", w->verb->name, arg);
	if ((unfit = cert_unfit_as_client(&c)) != NULL)
		return err_set(e, E_POLICY, "%s: %s: does not identify a device: %s", w->verb->name, arg, unfit);
	cn = c.subject_known ? ids_cn(&c.subject) : NULL;
	if (cn == NULL || !ids_equal(cn, r->name))
		return err_set(e, E_POLICY, "%s: %s: its common name is %s%.80s%s, and must be the registration ID "
		    "'%s'", w->verb->name, arg,
		    cn != NULL ? "'" : "", cn != NULL ? cn : "absent", cn != NULL ? "'" : "", r->name);
	memcpy(r->cert[i], c.sha256, ROW_HASH_LEN);
	r->has_cert[i] = true;
	return 0;
}

static int
read_certs(struct work *w, struct enrolment_row *r, struct err *e)
{
	static const char *const args[] = { "cert", "cert2" };
	int rc;

	for (int i = 0; i < 2; i++) {
		const char *pem = op_arg(w, args[i], NULL);

		if (pem != NULL && pem[0] == 0)
			r->has_cert[i] = false;
		else if (pem != NULL && (rc = read_cert(w, r, i, args[i], e)) != 0)
			return rc;
	}
	if (!r->has_cert[0])
		return err_set(e, E_USAGE, "%s: needs 'cert', the device's certificate", w->verb->name);
	return 0;
}

/* --- keys --- */

void
op_enrolment_set_key(struct work *w, struct enrolment_row *r, int which, struct bytes key)
{
	uint8_t made[ENROLMENT_KEY_MAKE];
	char what[PROVISION_WHAT_MAX];

	if (key.n == 0) {
		rnd_bytes(made, sizeof(made));
		key = (struct bytes){ made, sizeof(made) };
	}
	buf_reset(&r->key[which]);
	provision_what_enrolment(what, r->individual, r->name, (size_t)which);
	provision_seal(&r->key[which], w->a->fleet, what, key);
	mem_wipe(made, sizeof(made));
}

static bool
is_made(const struct work *w, const char *arg)
{
	return strcmp(op_arg(w, arg, ""), ENROLMENT_KEY_MADE) == 0;
}

bool
op_enrolment_makes_key(const struct work *w)
{
	return is_made(w, "key") || is_made(w, "key2");
}

static int
read_key(struct work *w, struct enrolment_row *r, int which, const char *arg, struct err *e)
{
	AUTO_BUF key = BUF_MAX(ENROLMENT_KEY_MAX);

	if (is_made(w, arg)) {
		op_enrolment_set_key(w, r, which, (struct bytes){ 0 });
		return 0;
	}
	/* Not what the decoder says of it: that could be a part of the key. */
	if (base64_decode(&key, bytes_of(op_arg(w, arg, "")), NULL) != 0 || key.n < ENROLMENT_KEY_MIN)
		return err_set(e, E_USAGE, "%s: %s: expected %d to %d octets in base64, or " ENROLMENT_KEY_MADE,
		    w->verb->name, arg, ENROLMENT_KEY_MIN, ENROLMENT_KEY_MAX);
	op_enrolment_set_key(w, r, which, bytes_of_buf(&key));
	return 0;
}

static int
read_keys(struct work *w, struct enrolment_row *r, bool created, struct err *e)
{
	static const char *const args[] = { "key", "key2" };
	int rc;

	for (int i = 0; i < 2; i++) {
		if (given(w, args[i]) && (rc = read_key(w, r, i, args[i], e)) != 0)
			return rc;
		if (created && !given(w, args[i]))
			op_enrolment_set_key(w, r, i, (struct bytes){ 0 });
	}
	return 0;
}

static int
read_ek(struct work *w, struct enrolment_row *r, struct err *e)
{
	AUTO_BUF ek = BUF_MAX(TPM_PUBLIC_MAX);
	struct tpm_ek judged;
	int rc;

	if (given(w, "ek")) {
		if ((rc = base64_decode(&ek, bytes_of(op_arg(w, "ek", "")), e)) != 0 || (rc = tpm_ek_read(&judged,
		    bytes_of_buf(&ek), e)) != 0)
			return err_prefix(e, (enum err_code)rc, "%s: ek: not an endorsement key as a TPM gives it "
			    "(TPM2B_PUBLIC)", w->verb->name);
		buf_reset(&r->ek);
		buf_put_bytes(&r->ek, bytes_of_buf(&ek));
	}
	if (r->ek.n == 0)
		return err_set(e, E_USAGE, "%s: needs 'ek', the TPM's public endorsement key (TPM2B_PUBLIC)",
		    w->verb->name);
	return 0;
}

static int
read_proof(struct work *w, struct enrolment_row *r, bool created, struct err *e)
{
	if (is(r, "symmetric"))
		return read_keys(w, r, created, e);
	if (is(r, "tpm"))
		return read_ek(w, r, e);
	return r->individual ? read_certs(w, r, e) : read_cas(w, r, e);
}

/* --- what a device gets --- */

static int
read_word(const struct work *w, const char *arg, const char *const *words, size_t n, char *out, size_t size,
    struct err *e)
{
	const char *value = op_arg(w, arg, out);
	AUTO_BUF list = { 0 };

	for (size_t i = 0; i < n; i++) {
		if (strcmp(value, words[i]) == 0) {
			(void)snprintf(out, size, "%s", words[i]);
			return 0;
		}
		buf_printf(&list, "%s%s", i == 0 ? "" : i + 1 == n ? " or " : ", ", words[i]);
	}
	return err_set(e, E_USAGE, "%s: %s '%.40s': expected %s", w->verb->name, arg, value, buf_str(&list));
}

static int
read_hubs(struct work *w, struct enrolment_row *r, size_t *n, struct err *e)
{
	const json_t *hubs = json_object_get(w->args, "hubs"), *hub;
	AUTO_BUF text = BUF_MAX(sizeof(r->hubs) - 1);
	struct hub_row row;
	size_t i;
	int rc;

	if (!json_is_array(hubs))
		return err_set(e, E_USAGE, "%s: hubs: expected a list of hubs' names", w->verb->name);
	json_array_foreach(hubs, i, hub) {
		if (!json_is_string(hub))
			return err_set(e, E_USAGE, "%s: hubs: expected a list of hubs' names", w->verb->name);
		rc = hub_row_by_name(w->a->db, json_string_value(hub), &row, e);
		if (rc == E_NOTFOUND)
			return err_set(e, rc, "%s: hub '%.100s': there is none; see 'estuary hub list'", w->verb->name,
			    json_string_value(hub));
		if (rc != 0)
			return rc;
		buf_printf(&text, "%s%s", i != 0 ? " " : "", row.name);
	}
	if (text.over)
		return err_set(e, E_TOOBIG, "%s: hubs: names of more than %zu characters together", w->verb->name,
		    sizeof(r->hubs) - 1);
	(void)snprintf(r->hubs, sizeof(r->hubs), "%s", buf_str(&text));
	*n = json_array_size(hubs);
	return 0;
}

/* An address that a request can be sent to as it stands. */
static bool
is_https(const char *url)
{
	size_t host = strncmp(url, "https://", 8) == 0 ? strcspn(url + 8, "/?#") : 0;

	if (host == 0 || memchr(url + 8, '@', host) != NULL || strchr(url, '#') != NULL)
		return false;
	for (const char *p = url; *p != 0; p++)
		if (*p <= ' ' || *p > '~' || *p == '"' || *p == '\\' || *p == '<' || *p == '>')
			return false;
	return true;
}

static size_t
count_words(const char *s)
{
	size_t n = s[0] != 0;

	for (; *s != 0; s++)
		n += *s == ' ';
	return n;
}

static int
read_allocation(struct work *w, struct enrolment_row *r, struct err *e)
{
	static const char *const allocations[] = { "static", "hashed", "latency", "webhook" };
	const char *webhook = op_arg(w, "webhook", NULL);
	size_t n = count_words(r->hubs);
	int rc = read_word(w, "allocation", allocations, N_OF(allocations), r->allocation, sizeof(r->allocation), e);

	if (rc == 0 && given(w, "hubs"))
		rc = read_hubs(w, r, &n, e);
	if (rc != 0)
		return rc;
	if (webhook != NULL && webhook[0] != 0 && (strlen(webhook) >= sizeof(r->webhook) || !is_https(webhook)))
		return err_set(e, E_USAGE, "%s: webhook: expected an address such as https://host/path of up to %zu "
		    "characters", w->verb->name,
		    sizeof(r->webhook) - 1);
	if (webhook != NULL)
		(void)snprintf(r->webhook, sizeof(r->webhook), "%s", webhook);
	if ((strcmp(r->allocation, "webhook") == 0) != (r->webhook[0] != 0))
		return err_set(e, E_USAGE, "%s: allocation webhook and 'webhook', its address, belong together",
		    w->verb->name);
	if (strcmp(r->allocation, "static") == 0 && n != 1)
		return err_set(e, E_USAGE, "%s: allocation static: needs exactly one hub", w->verb->name);
	return 0;
}

/* JSON as an object, or as its text. */
static int
read_payload(struct work *w, struct enrolment_row *r, struct err *e)
{
	const json_t *v = json_object_get(w->args, "payload");
	const char *text = json_string_value(v);
	AUTO_JSON parsed = NULL;
	int rc;

	buf_reset(&r->payload);
	if (json_is_null(v) || (text != NULL && text[0] == 0))
		return 0;
	if (text != NULL) {
		if ((rc = json_parse(&parsed, bytes_of(text), e)) != 0)
			return err_prefix(e, (enum err_code)rc, "%s: payload", w->verb->name);
		v = parsed;
	}
	if (!json_is_object(v))
		return err_set(e, E_USAGE, "%s: payload: expected a JSON object", w->verb->name);
	json_print(&r->payload, v, false);
	if (r->payload.n > ASK_PAYLOAD_MAX)
		return err_set(e, E_TOOBIG, "%s: payload: over %d octets", w->verb->name, ASK_PAYLOAD_MAX);
	return 0;
}

static int
read_flag(const struct work *w, const char *arg, bool *out, struct err *e)
{
	const json_t *v = json_object_get(w->args, arg);

	if (v != NULL && !json_is_boolean(v))
		return err_set(e, E_USAGE, "%s: %s: expected true or false", w->verb->name, arg);
	if (v != NULL)
		*out = json_is_true(v);
	return 0;
}

static int
read_label(struct work *w, struct enrolment_row *r, struct err *e)
{
	const char *label = op_arg(w, "label", r->label);

	if (label[0] != 0 && fleet_label(w->a->fleet, label) == NULL)
		return err_set(e, E_NOTFOUND, "%s: label '%.64s': there is none; see 'estuary label list'",
		    w->verb->name, label);
	if (label != r->label)
		(void)snprintf(r->label, sizeof(r->label), "%s", label);
	return 0;
}

/* A registration keeps its device ID, which modules and certificates hang on: another one would be shown and never be so. */
static int
check_registered_id(struct work *w, const struct enrolment_row *r, const char *id, struct err *e)
{
	struct registration_row had = { 0 };
	int rc = registration_row_by_name(w->a->db, r->name, &had, NULL);
	bool same = id[0] != 0 ? strcmp(had.device_id, id) == 0 : ids_equal(had.device_id, r->name);

	if (rc == 0 && !same)
		rc = err_set(e, E_EXISTS, "%s: device_id: it registered as '%s', and keeps that until 'estuary registration "
		    "remove %s'", w->verb->name, had.device_id, r->name);
	else if (rc != 0 && rc != E_NOTFOUND)
		rc = err_set(e, (enum err_code)rc, "registration '%s': cannot be read", r->name);
	registration_row_clear(&had);
	return rc == E_NOTFOUND ? 0 : rc;
}

static int
read_device_id(struct work *w, struct enrolment_row *r, struct err *e)
{
	const char *id = op_arg(w, "device_id", NULL);
	int rc;

	if (id == NULL)
		return 0;
	if (id[0] != 0 && provision_check_device(id, e) != 0)
		return op_enrolment_usage(w, e);
	if ((rc = check_registered_id(w, r, id, e)) != 0)
		return rc;
	(void)snprintf(r->device_id, sizeof(r->device_id), "%s", id);
	return 0;
}

int
op_enrolment_read(struct work *w, struct enrolment_row *r, bool created, struct err *e)
{
	static const char *const policies[] = { "migrate", "never" };
	int rc;

	if (created) {
		(void)snprintf(r->allocation, sizeof(r->allocation), "hashed");
		(void)snprintf(r->reprovision, sizeof(r->reprovision), "migrate");
		r->enabled = true;
	}
	if ((rc = read_attestation(w, r, created, e)) != 0 || (rc = read_allocation(w, r, e)) != 0 ||
	    (rc = read_word(w, "reprovision", policies, N_OF(policies), r->reprovision, sizeof(r->reprovision),
	    e)) != 0 ||
	    (rc = read_flag(w, "edge", &r->edge, e)) != 0 || (rc = read_flag(w, "enabled", &r->enabled, e)) != 0 ||
	    (rc = read_label(w, r, e)) != 0 || (rc = read_device_id(w, r, e)) != 0)
		return rc;
	if (given(w, "payload") && (rc = read_payload(w, r, e)) != 0)
		return rc;
	return read_proof(w, r, created, e);
}
