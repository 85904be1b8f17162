/* SPDX-License-Identifier: Apache-2.0 */
/* certd/settings_issuance.c - one [cert_issuance.ID]: how that certificate is issued and kept */
#include <string.h>
#include <strings.h>

#include "core/base/mem.h"
#include "device/certd/settings_inside.h"

#define CN_MAX      64 /* characters; the original cuts longer ones */
#define PATHLEN_MAX 10
#define DAYS_MAX    36500

struct word {
	const char *name;
	unsigned value;
};

/* Long names as OpenSSL has them; the short ones and dotted numbers are found by core/pki. */
static const struct word long_names[] = {
	{ "commonName", OID_CN }, { "countryName", OID_C }, { "localityName", OID_L }, { "stateOrProvinceName", OID_ST },
	{ "streetAddress", OID_STREET }, { "organizationName", OID_O }, { "organizationalUnitName", OID_OU },
	{ "SN", OID_SURNAME }, { "GN", OID_GIVEN_NAME }, { "domainComponent", OID_DC }, { "userId", OID_UID },
};

static const struct word key_usages[] = {
	{ "digitalSignature", KU_DIGITAL_SIGNATURE }, { "nonRepudiation", KU_NON_REPUDIATION },
	{ "contentCommitment", KU_NON_REPUDIATION }, { "keyEncipherment", KU_KEY_ENCIPHERMENT },
	{ "dataEncipherment", KU_DATA_ENCIPHERMENT }, { "keyAgreement", KU_KEY_AGREEMENT },
	{ "keyCertSign", KU_KEY_CERT_SIGN }, { "cRLSign", KU_CRL_SIGN },
};

static const struct word methods[] = {
	{ "est", METHOD_EST }, { "local_ca", METHOD_LOCAL_CA }, { "self_signed", METHOD_SELF_SIGNED },
};

/* Edge CAs are asked for with CA:TRUE by clients that never had to configure it. */
static const char *const ca_ids[] = { "aziot-edged-ca", "aziot-edged-ca-temp" };

/* 0 when there is no such word. */
static unsigned
find_word(const struct word *words, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (strcasecmp(words[i].name, name) == 0)
			return words[i].value;
	return 0;
}

/* By short or long name, or dotted. */
static enum oid
find_oid(const char *name)
{
	enum oid o = find_word(long_names, N_OF(long_names), name);
	char dotted[80];

	if (o == OID_UNKNOWN)
		o = oid_by_name(name);
	for (unsigned i = OID_UNKNOWN + 1; o == OID_UNKNOWN && i < OID_COUNT; i++)
		if (strcmp(oid_dotted(oid_contents((enum oid)i), dotted), name) == 0)
			o = (enum oid)i;
	return o;
}

/* The octets of at most CN_MAX characters of UTF-8. */
static size_t
cn_octets(const char *text)
{
	size_t n = 0;

	for (size_t i = 0; text[i] != 0; i++)
		if (((unsigned char)text[i] & 0xc0) != 0x80 && ++n > CN_MAX)
			return i;
	return strlen(text);
}

static int
add_attribute(const struct reading *rd, struct name *out, const struct toml *v, const char *type_name)
{
	enum oid type = find_oid(type_name);
	const char *text;
	char *cut;
	struct err why;
	int r;

	if (toml_kind(v) != TOML_STRING)
		return toml_err(rd->e, v, "a text is needed, not %s", toml_kind_name(toml_kind(v)));
	if (type == OID_UNKNOWN)
		return toml_err(rd->e, v, "not an attribute of a name that is known (CN, O, OU, C, ST, L, serialNumber, ...)");
	text = toml_string(v);
	cut = mem_strdup(text);
	if (type == OID_CN && text[cn_octets(text)] != 0) {
		cut[cn_octets(text)] = 0;
		settings_warn(rd, v, "cut to %d characters", CN_MAX);
	}
	r = name_add(out, type, cut, &why);
	mem_free(cut);
	return r == 0 ? 0 : toml_err(rd->e, v, "%s", why.msg);
}

/* The member whose key comes next in the order of octets: the order in which the original puts a subject together. */
static const struct toml *
member_after(const struct toml *table, const struct toml *last)
{
	const struct toml *best = NULL;

	for (size_t i = 0; i < toml_count(table); i++) {
		const struct toml *v = toml_at(table, i);

		if (last != NULL && strcmp(toml_key(v), toml_key(last)) <= 0)
			continue;
		if (best == NULL || strcmp(toml_key(v), toml_key(best)) < 0)
			best = v;
	}
	return best;
}

static int
read_subject(const struct reading *rd, struct issuance *out, const struct toml *table)
{
	const struct toml *cn = toml_get(table, "common_name"), *subject = toml_get(table, "subject"), *v = NULL;
	int r;

	if (cn != NULL && subject != NULL)
		settings_warn(rd, cn, "there is a subject as well: common_name is used");
	out->has_subject = cn != NULL || subject != NULL;
	if (cn != NULL)
		return add_attribute(rd, &out->subject, cn, "CN");
	if (subject == NULL)
		return 0;
	if (toml_kind(subject) != TOML_TABLE)
		return toml_err(rd->e, subject, "a table is needed, such as { CN = \"pump-7\", O = \"Example\" }");
	while ((v = member_after(subject, v)) != NULL)
		if ((r = add_attribute(rd, &out->subject, v, toml_key(v))) != 0)
			return r;
	return 0;
}

static int
read_sans(const struct reading *rd, struct issuance *out, const struct toml *table)
{
	const struct toml *v = toml_get(table, "san");
	char **list = NULL;
	struct err why;
	int r = settings_list(rd, &list, table, "san");

	for (size_t i = 0; r == 0 && list != NULL && list[i] != NULL; i++)
		if (sans_add_text(&out->sans, list[i], &why) != 0)
			r = toml_err(rd->e, toml_at(v, i), "%s", why.msg);
	settings_list_free(list);
	return r;
}

static int
read_usages(const struct reading *rd, struct issuance *out, const struct toml *table)
{
	const struct toml *v = toml_get(table, "key_usage");
	char **list = NULL;
	int r = settings_list(rd, &list, table, "key_usage");

	for (size_t i = 0; r == 0 && list != NULL && list[i] != NULL; i++) {
		unsigned bit = find_word(key_usages, N_OF(key_usages), list[i]);

		out->ku |= bit;
		if (bit == 0)
			r = toml_err(rd->e, toml_at(v, i), "no key usage: digitalSignature, keyEncipherment, ... are");
	}
	settings_list_free(list);
	return r;
}

static int
read_extended_usages(const struct reading *rd, struct issuance *out, const struct toml *table)
{
	const struct toml *v = toml_get(table, "extended_key_usage");
	char **list = NULL;
	int r = settings_list(rd, &list, table, "extended_key_usage");

	for (size_t i = 0; r == 0 && list != NULL && list[i] != NULL; i++) {
		enum oid o = find_oid(list[i]);

		if (o < OID_SERVER_AUTH || o > OID_ANY_EKU)
			r = toml_err(rd->e, toml_at(v, i), "no extended key usage that is known: serverAuth, clientAuth, "
			    "codeSigning, OCSPSigning");
		else if (out->n_eku == N_OF(out->eku))
			r = toml_err(rd->e, v, "more than %zu", N_OF(out->eku));
		else
			out->eku[out->n_eku++] = o;
	}
	settings_list_free(list);
	return r;
}

/* May it be a CA's: said so, or the Edge CA's (which signs end entities alone), or the configured local CA's. */
static int
read_ca(const struct reading *rd, struct issuance *out, const struct toml *table)
{
	bool local = rd->s->local_ca_cert != NULL && strcmp(rd->s->local_ca_cert, out->id) == 0;
	int64_t pathlen = 0;
	bool edge = false;
	int r;

	for (size_t i = 0; i < N_OF(ca_ids); i++)
		edge = edge || strcmp(ca_ids[i], out->id) == 0;
	if ((r = settings_bool(&out->ca, table, "ca", edge || local, rd->e)) != 0 ||
	    (r = settings_int(&pathlen, table, "pathlen", local ? 1 : 0, 0, PATHLEN_MAX, rd->e)) != 0)
		return r;
	out->pathlen = out->ca ? (int)pathlen : -1;
	return 0;
}

static int
read_method(const struct reading *rd, struct issuance *out, const struct toml *table)
{
	const char *text;
	int r = settings_str(&text, table, "method", NULL, rd->e);

	if (r != 0)
		return r;
	if (text == NULL)
		return toml_err(rd->e, table, "needs a method: \"est\", \"local_ca\" or \"self_signed\"");
	out->method = find_word(methods, N_OF(methods), text);
	if (out->method == METHOD_NONE)
		return toml_err(rd->e, toml_get(table, "method"), "\"est\", \"local_ca\" or \"self_signed\" is needed, not '%.40s'",
		    text);
	return 0;
}

/* What makes certd request and renew this certificate by itself. */
static int
read_managed(const struct reading *rd, struct issuance *out, const struct toml *table)
{
	const struct toml *renew = toml_get(table, "auto_renew");
	int r;

	out->policy = policy_default;
	out->auto_renew = true;
	if ((r = settings_key_id(rd, &out->pk, table, "pk")) != 0 ||
	    (r = settings_copy(rd, &out->algorithms, table, "algorithms")) != 0 ||
	    (r = settings_bool(&out->reenroll, table, "reenroll", false, rd->e)) != 0)
		return r;
	if (renew != NULL && (r = policy_read(&out->policy, &out->auto_renew, renew, rd->e)) != 0)
		return r;
	if (out->algorithms != NULL && strlen(out->algorithms) >= 128)
		return toml_err(rd->e, toml_get(table, "algorithms"), "too long");
	if (out->pk == NULL && renew != NULL)
		settings_warn(rd, renew, "has no effect without pk: who asked for the certificate renews it");
	if (out->pk != NULL && out->subject.n == 0 && out->sans.n == 0)
		settings_warn(rd, table, "pk without common_name, subject or san: the first request will have no name");
	return 0;
}

int
settings_issuance(const struct reading *rd, struct issuance *out, const struct toml *table)
{
	int64_t days;
	int r;

	if (toml_kind(table) != TOML_TABLE)
		return toml_err(rd->e, table, "a table is needed, not %s", toml_kind_name(toml_kind(table)));
	out->id = mem_strdup(toml_key(table));
	if ((r = read_method(rd, out, table)) != 0 ||
	    (r = settings_int(&days, table, "expiry_days", 30, 1, DAYS_MAX, rd->e)) != 0 ||
	    (r = read_subject(rd, out, table)) != 0 || (r = read_sans(rd, out, table)) != 0 ||
	    (r = settings_url(rd, &out->url, table, "url")) != 0 || (r = settings_auth(rd, &out->auth, table)) != 0 ||
	    (r = read_managed(rd, out, table)) != 0 || (r = read_ca(rd, out, table)) != 0 ||
	    (r = read_usages(rd, out, table)) != 0)
		return r;
	out->days = (unsigned)days;
	return read_extended_usages(rd, out, table);
}
