/* SPDX-License-Identifier: Apache-2.0 */
/* est/est.c - what an EST request says (path, type, body, credentials), and the body of an answer */
#include "core/est/est.h"

#include <string.h>
#include <strings.h>

#include "core/base/mem.h"
#include "core/base/text.h"
#include "core/codec/base64.h"
#include "core/codec/media.h"

static const char root[] = "/.well-known/est";

static const struct est_op_row ops[EST_OP_COUNT] = {
	{ EST_NONE,           "",               "",     false },
	{ EST_CACERTS,        "cacerts",        "GET",  true },
	{ EST_SIMPLEENROLL,   "simpleenroll",   "POST", true },
	{ EST_SIMPLEREENROLL, "simplereenroll", "POST", true },
	{ EST_CSRATTRS,       "csrattrs",       "GET",  true },
	{ EST_FULLCMC,        "fullcmc",        "POST", false },
	{ EST_SERVERKEYGEN,   "serverkeygen",   "POST", false },
};

const struct est_op_row *
est_op_row(enum est_op op)
{
	return op > EST_NONE && op < EST_OP_COUNT ? &ops[op] : &ops[EST_NONE];
}

static enum est_op
op_by_name(const char *s)
{
	for (size_t i = EST_NONE + 1; i < EST_OP_COUNT; i++)
		if (strcmp(ops[i].name, s) == 0)
			return ops[i].op;
	return EST_NONE;
}

bool
est_is_op_name(const char *s)
{
	return op_by_name(s) != EST_NONE;
}

/* Words of other services' paths: they begin them, or (a registration, after its scope) stand further on. */
static const struct { const char *word; bool anywhere; } taken[] = {
	{ "health", false }, { "crl", false }, { "aia", false }, { "devices", true }, { "registrations", true },
};

static bool
is_taken(const char *segment, bool first)
{
	for (size_t i = 0; i < N_OF(taken); i++)
		if ((first || taken[i].anywhere) && strcasecmp(taken[i].word, segment) == 0)
			return true;
	return false;
}

static int
check_segment(const char *from, size_t n, bool first, struct err *e)
{
	char segment[EST_LABEL_MAX + 1];

	if (n == 0)
		return err_set(e, E_USAGE, "has an empty segment");
	if (n > EST_LABEL_MAX)
		return err_set(e, E_USAGE, "has a segment of more than %d characters", EST_LABEL_MAX);
	(void)memcpy(segment, from, n);
	segment[n] = 0;
	if (!text_valid_name(segment, EST_LABEL_MAX) || segment[0] == '_')
		return err_set(e, E_USAGE, "has a segment that is not of A-Z a-z 0-9 . _ -, beginning with a letter or digit");
	if (est_is_op_name(segment))
		return err_set(e, E_USAGE, "has the EST operation '%s' in it", segment);
	if (is_taken(segment, first))
		return err_set(e, E_USAGE, "has '%s' in it, which belongs to another service", segment);
	return 0;
}

int
est_base_check(const char *base, struct err *e)
{
	const char *s = base;
	int r = 0;

	if (*s != '/' || strlen(base) > EST_BASE_MAX)
		return err_set(e, E_USAGE, "is not / and up to %d characters", EST_BASE_MAX - 1);
	while (r == 0 && *s == '/') {
		size_t n = strcspn(s + 1, "/");

		r = check_segment(s + 1, n, s == base, e);
		s += 1 + n;
	}
	return r;
}

/* The octets at `from` as a label, when they may be one. */
static int
take_label(struct est_target *t, const char *from, size_t n, struct err *e)
{
	if (n > EST_LABEL_MAX)
		return err_set(
		    e, E_NOTFOUND, "path: label of more than %d characters", EST_LABEL_MAX);
	(void)memcpy(t->label, from, n);
	t->label[n] = 0;
	/* RFC 7030 3.2.2: a label is no operation's name, or "/cacerts/x" would mean two things. */
	if (!text_valid_name(t->label, EST_LABEL_MAX) || est_is_op_name(t->label))
		return err_set(e, E_NOTFOUND, "path: not a label");
	return 0;
}

/* The n octets of path as a base path, with or without root behind it. */
static int
take_base(struct est_target *t, const char *path, size_t n, struct err *e)
{
	const size_t tail = sizeof(root) - 1;

	if (n > tail && memcmp(path + n - tail, root, tail) == 0)
		n -= tail;
	if (n > EST_BASE_MAX)
		return err_set(e, E_NOTFOUND, "path: base path of more than %d characters", EST_BASE_MAX);
	(void)memcpy(t->base, path, n);
	t->base[n] = 0;
	return est_base_check(t->base, NULL) == 0 ? 0 :
	    err_set(e, E_NOTFOUND, "path: neither %s nor a base path of a label", root);
}

int
est_route(struct est_target *out, const char *path, struct err *e)
{
	const char *last = strrchr(path, '/');
	size_t n = last != NULL ? (size_t)(last - path) : 0, at = sizeof(root) - 1;
	struct est_target t = { .op = last != NULL ? op_by_name(last + 1) : EST_NONE };
	int r = 0;

	if (t.op == EST_NONE)
		return err_set(e, E_NOTFOUND, "path: not an EST operation");
	if (n < at || memcmp(path, root, at) != 0)
		r = take_base(&t, path, n, e);
	else if (n > at) /* RFC 7030 3.2.2: one segment may follow */
		r = path[at] == '/' ? take_label(&t, path + at + 1, n - at - 1, e) :
		    err_set(e, E_NOTFOUND, "path: does not begin with %s/", root);
	if (r == 0)
		*out = t;
	return r;
}

/* The body without the blanks around it. */
static struct bytes
trim(struct bytes b)
{
	while (b.n != 0 && memchr(" \t\r\n", b.p[0], 4) != NULL)
		b = bytes_slice(b, 1, b.n - 1);
	while (b.n != 0 && memchr(" \t\r\n", b.p[b.n - 1], 4) != NULL)
		b.n--;
	return b;
}

/* Is it a SEQUENCE whose length is that of all octets? Base64 of one never begins with '0' (0x30). */
static bool
looks_like_der(struct bytes b)
{
	struct der d = der_open(b);

	if (b.n < 2 || b.p[0] != DER_SEQUENCE)
		return false;
	(void)der_take(&d, DER_SEQUENCE);
	return !d.bad && !der_more(&d);
}

static bool
begins_with(struct bytes b, const char *s)
{
	return b.n >= strlen(s) && memcmp(b.p, s, strlen(s)) == 0;
}

static int
request_from_pem(struct buf *der, struct bytes text, struct err *e)
{
	/* The second label is what older tools write (RFC 7468 7). */
	const char *label = begins_with(text, "-----BEGIN NEW ") ?
	    "NEW CERTIFICATE REQUEST" : "CERTIFICATE REQUEST";
	struct bytes one;
	size_t n;
	int r = pem_decode_all(der, &one, &n, 1, text, label, e);

	/* Of two, which would be meant? */
	return r == E_TOOBIG ? err_set(e, E_FORMAT, "more than one PEM block") : r;
}

int
est_request_der(struct buf *der, struct bytes body, const char **note, struct err *e)
{
	AUTO_BUF got = BUF_MAX(EST_BODY_MAX);
	struct bytes text = trim(body);
	const char *said = "";
	int r;

	if (body.n > EST_BODY_MAX)
		return err_set(e, E_TOOBIG, "request: body of more than %zu octets", EST_BODY_MAX);
	if (text.n == 0)
		return err_set(e, E_FORMAT, "request: body is empty");
	/* RFC 8951 3: whatever the Content-Transfer-Encoding says, the octets decide. */
	if (looks_like_der(body)) {
		said = "binary DER";
		buf_put_bytes(&got, body);
		r = 0;
	} else if (begins_with(text, "-----BEGIN ")) {
		said = "PEM armour";
		r = request_from_pem(&got, text, e);
	} else {
		r = base64_decode(&got, text, e);
	}
	if (r != 0)
		return err_prefix(e, E_FORMAT, "request");
	if (got.n > CSR_MAX)
		return err_set(e, E_TOOBIG, "request: more than %zu octets", CSR_MAX);
	buf_put_bytes(der, bytes_of_buf(&got));
	*note = said;
	return buf_check(der, "request", e);
}

int
est_request_type(const char *field, const char **note, struct err *e)
{
	if (field == NULL) {
		*note = "no Content-Type";
		return 0;
	}
	if (media_is(field, "application/pkcs10")) {
		*note = "";
		return 0;
	}
	if (media_is(field, "application/x-pem-file")) { /* Cisco IOS 15 */
		*note = "Content-Type application/x-pem-file";
		return 0;
	}
	return err_set(e, E_FORMAT, "request: Content-Type is not application/pkcs10");
}

/* "user:password" into the two texts (RFC 7617 2); false when it is not that. */
static bool
split_credentials(struct bytes b, char user[EST_USER_MAX], char password[EST_USER_MAX])
{
	const uint8_t *colon = b.n != 0 ? memchr(b.p, ':', b.n) : NULL;
	size_t user_n, password_n;

	if (colon == NULL || !text_valid_utf8(b))
		return false;
	user_n = (size_t)(colon - b.p);
	password_n = b.n - user_n - 1;
	if (user_n >= EST_USER_MAX || password_n >= EST_USER_MAX)
		return false;
	(void)memcpy(user, b.p, user_n);
	user[user_n] = 0;
	(void)memcpy(password, colon + 1, password_n);
	password[password_n] = 0;
	return true;
}

enum est_auth
est_auth_parse(
    const char *field, size_t count, char user[EST_USER_MAX], char password[EST_USER_MAX])
{
	AUTO_BUF plain = BUF_MAX(2 * EST_USER_MAX);
	const char *token;
	size_t scheme;

	user[0] = password[0] = 0;
	if (field == NULL || count == 0)
		return EST_AUTH_NONE;
	if (count > 1)
		return EST_AUTH_MALFORMED;
	scheme = strcspn(field, " ");
	if (scheme == 0)
		return EST_AUTH_MALFORMED;
	if (scheme != strlen("Basic") || strncasecmp(field, "Basic", scheme) != 0)
		return EST_AUTH_UNSUPPORTED;
	token = field + scheme + strspn(field + scheme, " ");
	/* RFC 9110 11.2: token68 has no blanks, which base64_decode() would let pass. */
	if (strpbrk(token, " \t\r\n") != NULL || base64_decode(&plain, bytes_of(token), NULL) != 0)
		return EST_AUTH_MALFORMED;
	if (!split_credentials(bytes_of_buf(&plain), user, password))
		return EST_AUTH_MALFORMED;
	return EST_AUTH_BASIC;
}

void
est_certs_body(struct buf *out, const struct bytes *certs, size_t n, size_t wrap)
{
	AUTO_BUF der = { 0 };

	cms_certs_in_order(&der, certs, n);
	base64_encode(out, bytes_of_buf(&der), wrap);
}
