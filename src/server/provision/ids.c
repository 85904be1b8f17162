/* SPDX-License-Identifier: Apache-2.0 */
/* provision/ids.c - which names registrations, devices, modules and hubs may have; the ID scope; a CA's proof of its key */
#include "server/provision/ids.h"

#include <string.h>

#include "core/base/clock.h"
#include "core/base/rnd.h"
#include "core/base/text.h"
#include "server/provision/provision.h"

#define LETTERS_AND_DIGITS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
#define ID_MAX    (PROVISION_ID_MAX - 1)
#define HOST_MAX  253 /* characters of a DNS name (RFC 1035 2.3.4) */
#define LABEL_MAX 63

static char
lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

void
ids_lower(char out[PROVISION_ID_MAX], const char *id)
{
	size_t i;

	for (i = 0; id[i] != 0 && i < PROVISION_ID_MAX - 1; i++)
		out[i] = lower(id[i]);
	out[i] = 0;
}

bool
ids_equal(const char *a, const char *b)
{
	for (; *a != 0 && lower(*a) == lower(*b); a++, b++)
		;
	return *a == 0 && *b == 0;
}

int
provision_check_registration(const char *id, struct err *e)
{
	size_t n = strlen(id);

	if (n == 0 || n > ID_MAX)
		return err_set(e, E_FORMAT, "registration ID: %zu characters: 1 to %d are needed", n, ID_MAX);
	if (strspn(id, LETTERS_AND_DIGITS "-._:") != n)
		return err_set(e, E_FORMAT, "registration ID: only letters, digits, '-', '.', '_' and ':' may be in it");
	if (strspn(id, LETTERS_AND_DIGITS) == 0)
		return err_set(e, E_FORMAT, "registration ID: it begins with a letter or a digit");
	if (strchr("._:", id[n - 1]) != NULL)
		return err_set(e, E_FORMAT, "registration ID: it ends with a letter, a digit or '-'");
	return 0;
}

int
provision_check_device(const char *id, struct err *e)
{
	size_t n = strlen(id);

	if (n == 0 || n > ID_MAX)
		return err_set(e, E_FORMAT, "device or module ID: %zu characters: 1 to %d are needed", n, ID_MAX);
	if (strspn(id, LETTERS_AND_DIGITS "-.+%_#*?!(),:=@$'") != n)
		return err_set(e, E_FORMAT,
		    "device or module ID: only letters, digits and - . + %% _ # * ? ! ( ) , : = @ $ ' may be in it");
	return 0;
}

/* Labels of letters, digits and inner hyphens, dots between. */
static bool
is_host(const char *s, size_t n)
{
	size_t label = 0;

	if (n == 0 || n > HOST_MAX)
		return false;
	for (size_t i = 0; i <= n; i++) {
		if (i == n || s[i] == '.') {
			if (label == 0 || label > LABEL_MAX || s[i - 1] == '-')
				return false;
			label = 0;
		} else if (strchr(LETTERS_AND_DIGITS "-", s[i]) == NULL || (label == 0 && s[i] == '-')) {
			return false;
		} else {
			label++;
		}
	}
	return true;
}

int
provision_check_hub(const char *name, struct err *e)
{
	const char *colon = strchr(name, ':');
	size_t n = colon != NULL ? (size_t)(colon - name) : strlen(name);
	uint64_t port = 1;

	if (strstr(name, "://") != NULL)
		return err_set(e, E_FORMAT, "hub: a host, or host:port, without a scheme such as https://");
	if (!is_host(name, n))
		return err_set(e, E_FORMAT, "hub: a host name of letters, digits, hyphens and dots is needed, or such a host and :port");
	if (colon != NULL && (!text_parse_u64(&port, colon + 1, 65535) || port == 0))
		return err_set(e, E_FORMAT, "hub: the port is a number from 1 to 65535");
	return 0;
}

static int
take_scope(void *ctx, const char *name, const char *text)
{
	if (strcmp(name, "scope") == 0)
		text_copy(ctx, ASK_ID_MAX, text);
	return 0;
}

int
provision_scope(char out[ASK_ID_MAX], struct db *d, bool make, struct err *e)
{
	static const char alphabet[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
	char made[] = "0neXXXXXXXX", had[ASK_ID_MAX] = "";
	int rc = object_row_each(d, "provision", take_scope, had, e);

	if (rc != 0)
		return rc;
	if (had[0] != 0) {
		text_copy(out, ASK_ID_MAX, had);
		return 0;
	}
	if (!make)
		return err_set(e, E_NOTFOUND, "ID scope: there is none yet: it comes with the first group or enrolment");
	for (size_t i = 3; i < sizeof(made) - 1; i++)
		made[i] = alphabet[rnd_below(sizeof(alphabet) - 1)];
	if ((rc = object_row_put(d, "provision", "scope", made, e)) != 0)
		return rc;
	text_copy(out, ASK_ID_MAX, made);
	return 0;
}

/* The one CN of a name; NULL: none, or several. */
const char *
ids_cn(const struct name *n)
{
	const char *cn = NULL;

	for (size_t i = 0; i < n->n; i++) {
		if (n->ava[i].type != OID_CN)
			continue;
		if (cn != NULL)
			return NULL;
		cn = n->ava[i].value;
	}
	return cn;
}

/* Was it issued by the CA?  By a path validation. */
static int
check_issued(struct bytes ca, struct bytes proof, int64_t now, struct err *e)
{
	AUTO(trust) anchor = trust_new();
	uint32_t id;
	int rc = trust_add(anchor, 1, ca, e);

	return rc != 0 ? rc : trust_verify(anchor, proof, NULL, 0, 2, now, &id, e);
}

static int
check_time(const struct cert *c, const char *what, int64_t now, struct err *e)
{
	char when[CLOCK_TEXT_MAX];

	if (now < c->not_before)
		return err_set(e, E_AUTH, "%s: not valid before %s", what, clock_text(c->not_before, when));
	if (now > c->not_after)
		return err_set(e, E_AUTH, "%s: expired at %s", what, clock_text(c->not_after, when));
	return 0;
}

/* One of version 1, which is no part of a path: the same questions, one by one. */
static int
check_issued_v1(struct bytes ca, const struct cert *c, int64_t now, struct err *e)
{
	UNSET struct cert issuer;
	int rc = cert_read(&issuer, ca, e);

	if (rc != 0 || (rc = check_time(&issuer, "the CA", now, e)) != 0 ||
	    (rc = check_time(c, "certificate", now, e)) != 0)
		return rc;
	if (!bytes_equal(c->issuer, issuer.subject_der))
		return err_set(e, E_AUTH, "certificate: another issuer's name");
	if (issuer.key_type == KEY_NONE)
		return err_set(e, E_AUTH, "the CA: its key is of a kind that is not taken");
	return key_verify_once(issuer.key_type, issuer.spki, c->sig_alg, c->tbs, c->sig, e);
}

/* `openssl x509 -req` without an extension file makes version 1, and so do the documents that people follow here. */
int
provision_check_proof(struct bytes ca, struct bytes proof, const char *code, int64_t now, struct err *e)
{
	UNSET struct cert c;
	struct err why = { 0 };
	const char *cn;
	bool v1 = false;
	int rc;

	if (cert_read(&c, proof, &why) != 0) {
		v1 = cert_read_v1(&c, proof, NULL) == 0;
		if (!v1)
			return err_set(e, E_AUTH, "proof of possession: %s", why.msg);
	}
	cn = c.subject_known ? ids_cn(&c.subject) : NULL;
	if (code[0] == 0 || cn == NULL || strcmp(cn, code) != 0)
		return err_set(e, E_AUTH, "proof of possession: its CN is not the verification code '%s'", code);
	if (bytes_equal(ca, proof))
		return err_set(e, E_AUTH, "proof of possession: this is the CA certificate itself");
	rc = v1 ? check_issued_v1(ca, &c, now, &why) : check_issued(ca, proof, now, &why);
	if (rc != 0)
		return err_set(e, E_AUTH, "proof of possession: not a valid certificate that this CA issued (%s)", why.msg);
	return 0;
}
