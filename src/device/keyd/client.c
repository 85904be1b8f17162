/* SPDX-License-Identifier: Apache-2.0 */
/* keyd/client.c - asking the Keys Service */
#include "device/keyd/client.h"

#include <string.h>
#include <unistd.h>

#include "core/base/mem.h"
#include "core/base/text.h"
#include "core/codec/base64.h"
#include "core/codec/json.h"
#include "core/net/local.h"
#include "core/pki/der.h"
#include "core/pki/oid.h"

#define CLASSIC "2021-05-01" /* what every Keys Service speaks */
#define OWN     "2026-11-01" /* what Estuary's speaks besides */

#define HANDLE_MAX ((size_t)64 * 1024) /* a derived key's handle holds its base's */

void
keyd_handle_free(struct keyd_handle *h)
{
	if (h->text != NULL)
		mem_free_wiped(h->text, strlen(h->text));
	h->text = NULL;
}

/* --- requests and answers --- */

/* The service's words, made harmless: its lines of causes as one line. */
static void
put_words(struct buf *out, const char *text)
{
	static const char cause[] = "caused by: ";

	for (size_t n; *text != '\0'; text += n + (text[n] != '\0')) {
		n = strcspn(text, "\n");
		if (strncmp(text, cause, sizeof(cause) - 1) == 0) {
			text += sizeof(cause) - 1;
			n -= sizeof(cause) - 1;
		}
		if (out->n != 0)
			buf_put_str(out, ": ");
		text_escape(out, (struct bytes){ (const uint8_t *)text, n });
	}
}

/*
 * A refusal in our codes.  The Keys Service answers 400 to nearly everything: a handle that it does not take is
 * no proof of who we are; anything else is what it will not do.
 */
static int
refused(unsigned status, const json_t *answer, struct err *e)
{
	static const char handle[] = "parameter \"handle\"";
	const char *text = answer != NULL ? json_str(answer, "message", "") : "";
	AUTO_BUF words = BUF_MAX(300);
	enum err_code code = E_POLICY;

	put_words(&words, text);
	if (status == 401 || status == 403 || strncmp(text, handle, sizeof(handle) - 1) == 0)
		code = E_AUTH;
	else if (status == 404)
		code = E_NOTFOUND;
	else if (status == 408 || status == 429 || status >= 500)
		code = E_UNAVAIL;
	if (words.n == 0)
		return err_set(e, code, "refused with status %u", status);
	return err_set(e, code, "%s", buf_str(&words));
}

/* Ask; *out is the answer's object, or NULL for 204. */
static int
ask(json_t **out, struct keyd k, const char *method, const char *target, const json_t *body, struct err *e)
{
	struct local_answer a = { 0 };
	AUTO_BUF text = { 0 };
	AUTO_JSON answer = NULL;
	int r;

	if (body != NULL)
		json_print(&text, body, false);
	r = local_run(&a, k.socket, method, target, bytes_of_buf(&text), KEYD_DEADLINE_MS, e);
	if (r == 0 && a.body.n != 0 && a.json)
		r = json_parse(&answer, bytes_of_buf(&a.body), e);
	if (r == 0 && a.status >= 300)
		r = refused(a.status, answer, e);
	else if (r == 0 && a.status != 204 && !json_is_object(answer))
		r = err_set(e, E_FORMAT, "answer: no JSON object");
	local_clear(&a);
	if (r != 0)
		return err_prefix(e, (enum err_code)r, "keyd");
	*out = TAKE(answer);
	return 0;
}

/* The same where the answer says nothing that we need. */
static int
tell(struct keyd k, const char *method, const char *target, const json_t *body, struct err *e)
{
	AUTO_JSON answer = NULL;

	return ask(&answer, k, method, target, body, e);
}

static const char *
put_target(struct buf *out, const char *path, const char *segment, const char *version)
{
	buf_put_str(out, path);
	if (segment != NULL)
		local_put_segment(out, segment);
	buf_printf(out, "?api-version=%s", version);
	return buf_str(out);
}

static json_t *
new_body(const char *member, const char *value)
{
	json_t *body = json_object();

	json_setf(body, member, "%s", value);
	return body;
}

static void
set_base64(json_t *obj, const char *member, struct bytes value)
{
	(void)json_object_set_new(obj, member, json_base64(value));
}

/* A base64 member of an answer, appended. */
static int
take_base64(struct buf *out, const json_t *answer, const char *member, struct err *e)
{
	const char *text = json_str(answer, member, NULL);

	if (text == NULL || text[0] == '\0')
		return err_set(e, E_FORMAT, "keyd: answer: no %s", member);
	if (base64_decode(out, bytes_of(text), e) != 0)
		return err_prefix(e, E_FORMAT, "keyd: answer: %s", member);
	return 0;
}

/* The handle of an answer; freed with mem_free(). */
static int
take_handle(char **out, const json_t *answer, struct err *e)
{
	const char *text = json_str(answer, "keyHandle", "");

	if (text[0] == '\0' || strlen(text) > HANDLE_MAX)
		return err_set(e, E_FORMAT, "keyd: answer: no keyHandle");
	*out = mem_strdup(text);
	return 0;
}

/* --- pairs --- */

/* path with the ID of a pair or a key behind it; what: for the error. */
static int
load(char **handle, struct keyd k, const char *path, const char *what, const char *id, struct err *e)
{
	AUTO_BUF target = { 0 };
	AUTO_JSON answer = NULL;
	struct err why;
	int r = ask(&answer, k, "GET", put_target(&target, path, id, CLASSIC), NULL, &why);

	if (r == 0)
		return take_handle(handle, answer, e);
	/* There is nothing else in this request that could be refused with a 400. */
	if (r == E_POLICY || r == E_NOTFOUND)
		return err_set(e, E_NOTFOUND, "keyd: no %s '%s' (%.250s)", what, id, why.msg + strlen("keyd: "));
	return err_set(e, (enum err_code)r, "%s", why.msg);
}

int
keyd_load_pair(char **handle, struct keyd k, const char *id, struct err *e)
{
	return load(handle, k, "/keypair/", "key pair", id, e);
}

int
keyd_create_pair(char **handle, struct keyd k, const char *id, const char *algorithms, struct err *e)
{
	AUTO_BUF target = { 0 };
	AUTO_JSON body = new_body("keyId", id);
	AUTO_JSON answer = NULL;
	int r;

	if (algorithms != NULL)
		json_setf(body, "preferredAlgorithms", "%s", algorithms);
	r = ask(&answer, k, "POST", put_target(&target, "/keypair", NULL, CLASSIC), body, e);
	return r == 0 ? take_handle(handle, answer, e) : r;
}

int
keyd_delete_pair(struct keyd k, const char *handle, struct err *e)
{
	AUTO_BUF target = { 0 };
	AUTO_JSON body = new_body("keyHandle", handle);

	return tell(k, "DELETE", put_target(&target, "/keypair", NULL, CLASSIC), body, e);
}

int
keyd_move_pair(struct keyd k, const char *to, const char *from, struct err *e)
{
	AUTO_BUF target = { 0 };
	AUTO_JSON body = new_body("from", from);

	return tell(k, "POST", put_target(&target, "/keypair/", to, CLASSIC), body, e);
}

/* --- symmetric keys --- */

int
keyd_load_key(char **handle, struct keyd k, const char *id, struct err *e)
{
	return load(handle, k, "/key/", "key", id, e);
}

int
keyd_create_key(char **handle, struct keyd k, const char *id, const char *usage, struct err *e)
{
	AUTO_BUF target = { 0 };
	AUTO_JSON body = new_body("keyId", id);
	AUTO_JSON answer = NULL;
	int r;

	json_setf(body, "usage", "%s", usage);
	r = ask(&answer, k, "POST", put_target(&target, "/key", NULL, CLASSIC), body, e);
	return r == 0 ? take_handle(handle, answer, e) : r;
}

int
keyd_derive(char **handle, struct keyd k, const char *base, struct bytes data, struct err *e)
{
	AUTO_BUF target = { 0 };
	AUTO_JSON body = new_body("baseKeyHandle", base);
	AUTO_JSON answer = NULL;
	int r;

	set_base64(body, "derivationData", data);
	r = ask(&answer, k, "POST", put_target(&target, "/derivedkey", NULL, CLASSIC), body, e);
	return r == 0 ? take_handle(handle, answer, e) : r;
}

int
keyd_export_derived(struct buf *key, struct keyd k, const char *handle, struct err *e)
{
	AUTO_BUF target = { 0 };
	AUTO_JSON body = new_body("keyHandle", handle);
	AUTO_JSON answer = NULL;
	int r = ask(&answer, k, "POST", put_target(&target, "/derivedkey/export", NULL, CLASSIC), body, e);

	return r == 0 ? take_base64(key, answer, "key", e) : r;
}

/* --- public keys --- */

static int
parameter(struct buf *out, struct keyd k, const char *handle, const char *name, const char *version, struct err *e)
{
	AUTO_BUF target = { 0 };
	AUTO_JSON body = new_body("keyHandle", handle);
	AUTO_JSON answer = NULL;
	int r = ask(&answer, k, "POST", put_target(&target, "/parameters/", name, version), body, e);

	return r == 0 ? take_base64(out, answer, "value", e) : r;
}

/* "algorithm" alone is text, not base64. */
static int
is_rsa(bool *out, struct keyd k, const char *handle, struct err *e)
{
	AUTO_BUF target = { 0 };
	AUTO_JSON body = new_body("keyHandle", handle);
	AUTO_JSON answer = NULL;
	const char *name;
	int r = ask(&answer, k, "POST", put_target(&target, "/parameters/", "algorithm", CLASSIC), body, e);

	if (r != 0)
		return r;
	name = json_str(answer, "value", "");
	if (strcmp(name, "RSA") != 0 && strcmp(name, "ECDSA") != 0)
		return err_set(e, E_POLICY, "keyd: key of another algorithm than ECDSA and RSA");
	*out = strcmp(name, "RSA") == 0;
	return 0;
}

/* RFC 5480 2: the curve's OID comes whole, the point as the service writes it. */
static int
public_ec(struct buf *spki, struct keyd k, const char *handle, struct err *e)
{
	AUTO_BUF curve = { 0 };
	AUTO_BUF point = { 0 };
	size_t all, alg;
	int r = parameter(&curve, k, handle, "ec-curve-oid", CLASSIC, e);

	if (r == 0)
		r = der_check(bytes_of_buf(&curve), "keyd: answer: ec-curve-oid", e);
	if (r == 0)
		r = parameter(&point, k, handle, "ec-point", CLASSIC, e);
	if (r != 0)
		return r;
	all = der_begin(spki, DER_SEQUENCE);
	alg = der_begin(spki, DER_SEQUENCE);
	der_put_oid(spki, oid_contents(OID_EC_PUBLIC_KEY));
	der_put_raw(spki, bytes_of_buf(&curve));
	der_finish(spki, alg);
	der_put_bits(spki, bytes_of_buf(&point), 0);
	der_finish(spki, all);
	return 0;
}

/* RFC 3279 2.3.1 */
static int
public_rsa(struct buf *spki, struct keyd k, const char *handle, struct err *e)
{
	AUTO_BUF modulus = { 0 };
	AUTO_BUF exponent = { 0 };
	AUTO_BUF key = { 0 };
	size_t all, mark;
	int r = parameter(&modulus, k, handle, "rsa-modulus", CLASSIC, e);

	if (r == 0)
		r = parameter(&exponent, k, handle, "rsa-exponent", CLASSIC, e);
	if (r != 0)
		return r;
	mark = der_begin(&key, DER_SEQUENCE);
	der_put_unsigned(&key, bytes_of_buf(&modulus));
	der_put_unsigned(&key, bytes_of_buf(&exponent));
	der_finish(&key, mark);
	all = der_begin(spki, DER_SEQUENCE);
	mark = der_begin(spki, DER_SEQUENCE);
	der_put_oid(spki, oid_contents(OID_RSA));
	der_put_null(spki);
	der_finish(spki, mark);
	der_put_bits(spki, bytes_of_buf(&key), 0);
	der_finish(spki, all);
	return 0;
}

int
keyd_public(struct buf *spki, struct keyd k, const char *handle, struct err *e)
{
	bool rsa = false;
	int r = parameter(spki, k, handle, "spki", OWN, e);

	/* A service that does not know the version refuses it; any other fault would only come again. */
	if (r != E_POLICY && r != E_NOTFOUND)
		return r;
	r = is_rsa(&rsa, k, handle, e);
	if (r != 0)
		return r;
	return rsa ? public_rsa(spki, k, handle, e) : public_ec(spki, k, handle, e);
}

/* --- signatures --- */

static int
sign(struct buf *sig, struct keyd k, const char *handle, const char *algorithm, const char *member,
    struct bytes input, struct err *e)
{
	AUTO_BUF target = { 0 };
	AUTO_JSON body = new_body("keyHandle", handle);
	AUTO_JSON answer = NULL;
	json_t *parameters = json_object();
	int r;

	set_base64(parameters, member, input);
	json_setf(body, "algorithm", "%s", algorithm);
	json_object_set_new(body, "parameters", parameters);
	r = ask(&answer, k, "POST", put_target(&target, "/sign", NULL, CLASSIC), body, e);
	return r == 0 ? take_base64(sig, answer, "signature", e) : r;
}

int
keyd_sign_ecdsa(struct buf *sig, struct keyd k, const char *handle, struct bytes digest, struct err *e)
{
	return sign(sig, k, handle, "ECDSA", "digest", digest, e);
}

int
keyd_sign_eddsa(struct buf *sig, struct keyd k, const char *handle, struct bytes message, struct err *e)
{
	return sign(sig, k, handle, "EdDSA", "message", message, e);
}

int
keyd_sign_hmac(struct buf *sig, struct keyd k, const char *handle, struct bytes message, struct err *e)
{
	return sign(sig, k, handle, "HMAC-SHA256", "message", message, e);
}

int
keyd_rsa_private(struct buf *out, struct keyd k, const char *handle, bool pkcs1, struct bytes in, struct err *e)
{
	AUTO_BUF target = { 0 };
	AUTO_JSON body = new_body("keyHandle", handle);
	AUTO_JSON answer = NULL;
	int r;

	json_setf(body, "algorithm", "%s", pkcs1 ? "RSA-PKCS1" : "RSA-NO-PADDING");
	set_base64(body, "plaintext", in);
	r = ask(&answer, k, "POST", put_target(&target, "/encrypt", NULL, CLASSIC), body, e);
	return r == 0 ? take_base64(out, answer, "ciphertext", e) : r;
}

/* --- generations --- */

static int
generation(struct keyd k, const char *id, const json_t *body, struct err *e)
{
	AUTO_BUF target = { 0 };

	return tell(k, "POST", put_target(&target, "/generation/", id, OWN), body, e);
}

bool
keyd_is_original(const struct err *why)
{
	static const char unknown[] = "keyd: invalid api-version";

	return strncmp(why->msg, unknown, sizeof(unknown) - 1) == 0;
}

/* POST /handle; takes the body. */
static int
new_handle(char **out, struct keyd k, json_t *taken, struct err *e)
{
	AUTO_JSON body = taken;
	AUTO_BUF target = { 0 };
	AUTO_JSON answer = NULL;
	struct err why = { 0 };

	if (ask(&answer, k, "POST", put_target(&target, "/handle", NULL, OWN), body, &why) != 0)
		return err_set(e, keyd_is_original(&why) ? E_NOTFOUND : why.code, "%s", why.msg);
	return take_handle(out, answer, e);
}

int
keyd_share(char **theirs, struct keyd k, const char *handle, uid_t uid, struct err *e)
{
	json_t *body = new_body("keyHandle", handle);

	(void)json_object_set_new(body, "uid", json_integer((json_int_t)uid));
	return new_handle(theirs, k, body, e);
}

int
keyd_delegate(char **own, struct keyd k, const char *handle, uid_t holder, struct err *e)
{
	json_t *body = new_body("keyHandle", handle);

	(void)json_object_set_new(body, "uid", json_integer((json_int_t)geteuid()));
	(void)json_object_set_new(body, "holder", json_integer((json_int_t)holder));
	return new_handle(own, k, body, e);
}

int
keyd_switch(struct keyd k, const char *id, const char *from, struct bytes spki, struct err *e)
{
	AUTO_JSON body = new_body("op", "switch");

	json_setf(body, "from", "%s", from);
	set_base64(body, "spki", spki);
	return generation(k, id, body, e);
}

int
keyd_prove(struct keyd k, const char *id, struct err *e)
{
	AUTO_JSON body = new_body("op", "prove");

	return generation(k, id, body, e);
}

/* A refusal does not say whether there is a previous generation; another question does. */
static bool
has_previous(struct keyd k, const char *id)
{
	AUTO_BUF target = { 0 };
	AUTO_JSON answer = NULL;

	return ask(&answer, k, "GET", put_target(&target, "/generation/", id, OWN), NULL, NULL) != 0 ||
	    json_flag(answer, "previous", true);
}

int
keyd_rollback(struct keyd k, const char *id, struct err *e)
{
	AUTO_JSON body = new_body("op", "rollback");
	int r = generation(k, id, body, e);

	if (r == E_POLICY && !has_previous(k, id))
		return err_set(e, E_NOTFOUND, "keyd: key pair '%s': no previous generation", id);
	return r;
}
