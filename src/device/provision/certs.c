/* SPDX-License-Identifier: Apache-2.0 */
/* provision/certs.c - certificates of the Certificates Service for tasks */
#include <string.h>
#include <strings.h>

#include "core/net/local.h"
#include "core/pki/cert.h"
#include "core/pki/csr.h"
#include "device/provision/provision_inside.h"

#define VERSION "?api-version=2020-09-01"

/* --- asking --- */

/* One line of the service's words: its causes are lines of their own. */
static void
put_words(struct buf *out, const char *text)
{
	for (size_t n; *text != 0; text += n + (text[n] != 0)) {
		n = strcspn(text, "\n");
		buf_put_str(out, out->n != 0 ? ": " : "");
		buf_put(out, text, n);
	}
}

/* What is done with which certificate, for the words of a failure. */
struct errand {
	struct task_result *r;
	const json_t *args;
	const char *id, *done;       /* "issued" */
};

static int
settle(const struct errand *x, enum err_code code, const char *why)
{
	const char *remedy = "";

	if (code == E_AUTH)
		remedy = "; the principal of this user in the Certificates Service's configuration has to allow it";
	else if (code == E_UNAVAIL)
		remedy = "; is the Certificates Service running?";
	return task_fail(x->r, TASK_CERT_FAILED, code, "certd: certificate '%.100s' was not %s: %s%s", x->id, x->done, why,
	    remedy);
}

static int
settle_status(const struct errand *x, unsigned status, const json_t *answer)
{
	AUTO_BUF words = BUF_MAX(300);

	put_words(&words, json_str(answer, "message", ""));
	if (words.n == 0)
		buf_printf(&words, "status %u", status);
	x->r->http_status = status;
	return settle(x, status == 401 || status == 403 ? E_AUTH : E_POLICY, buf_str(&words));
}

/*
 * Ask certd; it may have to ask an EST server first, so it gets all of the task's time.  *status is a success, or
 * 400 or 404 with the answer of a GET; everything else is settled.
 */
static int
ask(json_t **out, unsigned *status, const struct errand *x, const char *method, const char *target, const json_t *body)
{
	unsigned deadline_ms = task_deadline_s(x->args) * 1000;
	struct local_answer a = { 0 };
	AUTO_BUF text = { 0 };
	AUTO_JSON answer = NULL;
	struct err e = { 0 };
	int rc;

	if (body != NULL)
		json_print(&text, body, false);
	rc = local_run(&a, json_str(x->args, "certd", ""), method, target, bytes_of_buf(&text), deadline_ms, &e);
	if (rc == 0 && a.body.n != 0 && a.json)
		rc = json_parse_within(&answer, bytes_of_buf(&a.body), 8, &e);
	*status = a.status;
	local_clear(&a);
	if (rc != 0)
		return settle(x, (enum err_code)rc, e.msg);
	if (*status >= 300 && !(strcmp(method, "GET") == 0 && (*status == 400 || *status == 404)))
		return settle_status(x, *status, answer);
	*out = TAKE(answer);
	return 0;
}

static void
put_target(struct buf *out, const char *id)
{
	buf_put_str(out, "/certificates");
	if (id != NULL) {
		buf_put_str(out, "/");
		local_put_segment(out, id);
	}
	buf_put_str(out, VERSION);
}

/* --- issuing --- */

/* Of what certd gave: is it for the key that was asked for? */
static int
check_issued(int64_t *not_after, const char *pem, struct bytes spki, struct err *e)
{
	AUTO_BUF der = { 0 };
	static struct cert c;
	int rc = pem_decode(&der, bytes_of(pem), "CERTIFICATE", e);

	if (rc == 0)
		rc = cert_read(&c, bytes_of_buf(&der), e);
	if (rc == 0 && !bytes_equal(c.spki, spki))
		rc = err_set(e, E_AUTH, "it is not for the key that was asked for");
	if (rc == 0 && not_after != NULL)
		*not_after = c.not_after;
	return rc;
}

int
certs_issue(struct task_result *r, const json_t *args, const char *id, struct bytes csr, struct bytes spki,
    int64_t *not_after)
{
	const struct errand x = { r, args, id, "issued" };
	AUTO_BUF target = { 0 };
	AUTO_BUF text = { 0 };
	AUTO_JSON body = json_object();
	AUTO_JSON answer = NULL;
	struct err e = { 0 };
	const char *pem;
	unsigned status;
	int rc;

	pem_encode(&text, csr, "CERTIFICATE REQUEST");
	json_setf(body, "certId", "%s", id);
	json_setf(body, "csr", "%s", buf_str(&text));
	put_target(&target, NULL);
	rc = ask(&answer, &status, &x, "POST", buf_str(&target), body);
	if (rc != 0)
		return rc;
	pem = json_str(answer, "pem", "");
	rc = check_issued(not_after, pem, spki, &e);
	if (rc != 0)
		return task_fail(r, TASK_BAD_ANSWER, (enum err_code)rc, "certd: certificate '%.100s': %s", id, e.msg);
	json_setf(r->value, "pem", "%s", pem);
	return 0;
}

static int
bad_subject(struct task_result *r, const char *why)
{
	return task_fail(r, TASK_BAD_TASK, E_USAGE, "subject: %s", why);
}

int
certs_subject(struct name *out, struct task_result *r, const json_t *args)
{
	const json_t *list = json_object_get(args, "subject"), *item;
	struct err e = { 0 };
	size_t i;

	*out = (struct name){ 0 };
	json_array_foreach(list, i, item) {
		const char *type = json_string_value(json_array_get(item, 0));
		const char *value = json_string_value(json_array_get(item, 1));

		/* Cut, it would be another device's name. */
		if (strcasecmp(type, "CN") == 0 && strlen(value) > 64)
			return task_fail(r, TASK_BAD_TASK, E_USAGE,
			    "subject: CN '%.200s' has %zu octets, and a certificate has room for 64: choose shorter names",
			    value, strlen(value));
		if (oid_by_name(type) == OID_UNKNOWN)
			return task_fail(r, TASK_BAD_TASK, E_USAGE, "subject: '%.60s' is no attribute that is known",
			    type);
		if (name_add(out, oid_by_name(type), value, &e) != 0)
			return bad_subject(r, e.msg);
	}
	return out->n != 0 ? 0 : bad_subject(r, "empty");
}

/* The pair, there for sure, as a key that signs. */
static int
open_pair(struct key **out, const json_t *args, const char *id, struct err *e)
{
	const char *algorithms = json_str(args, "algorithms", "");
	struct keyd k = keys_service(args);
	AUTO_KEYD_HANDLE old = { 0 };
	AUTO_KEYD_HANDLE made = { 0 };
	int rc = E_NOTFOUND;

	if (json_flag(args, "fresh", false))
		rc = keyd_load_pair(&old.text, k, id, e);
	/* A damaged one has no handle, but whoever makes it anew has. */
	if (rc == E_UNAVAIL)
		rc = keyd_create_pair(&old.text, k, id, NULL, e);
	if (rc == 0)
		rc = keyd_delete_pair(k, old.text, e);
	if (rc == 0 || rc == E_NOTFOUND)
		rc = keyd_create_pair(&made.text, k, id, algorithms[0] != 0 ? algorithms : NULL, e);
	return rc == 0 ? keys_open(out, args, id, e) : err_prefix(e, (enum err_code)rc, "key '%.100s'", id);
}

static void
issue(struct task_result *r, const json_t *args)
{
	static struct name subject;
	bool client = json_flag(args, "client_auth", false);
	struct csr_want want = { .subject = &subject, .client_auth = client, .ku = client ? KU_DIGITAL_SIGNATURE : 0 };
	AUTO(key) key = NULL;
	AUTO_BUF csr = { 0 };
	struct err e = { 0 };

	if (certs_subject(&subject, r, args) != 0)
		return;
	if (open_pair(&key, args, json_str(args, "key", ""), &e) != 0 || csr_build(&csr, &want, key, &e) != 0) {
		(void)keys_settle(r, &e);
		return;
	}
	keys_put_spki(r, key);
	(void)certs_issue(r, args, json_str(args, "id", ""), bytes_of_buf(&csr), key_spki(key), NULL);
}

/* --- what is there --- */

int
certs_append(struct buf *pem, struct task_result *r, const json_t *args, const char *id)
{
	const struct errand x = { r, args, id, "read" };
	struct err missing = { 0 };
	AUTO_BUF target = { 0 };
	AUTO_JSON answer = NULL;
	const char *text;
	unsigned status;
	int rc;

	put_target(&target, id);
	rc = ask(&answer, &status, &x, "GET", buf_str(&target), NULL);
	if (rc != 0)
		return rc;
	text = json_str(answer, "pem", "");
	/* The service has one answer to everything that is wrong with an ID: there is no such certificate. */
	if (status >= 300) {
		(void)err_set(&missing, E_NOTFOUND, "certd: there is no certificate '%.100s'", id);
		return task_missing(r, "cert-missing", &missing);
	}
	if (text[0] == 0)
		return task_fail(r, TASK_BAD_ANSWER, E_FORMAT, "certd: certificate '%.100s': answer: no pem", id);
	buf_put_str(pem, text);
	return 0;
}

static void
get(struct task_result *r, const json_t *args)
{
	AUTO_BUF pem = { 0 };

	if (certs_append(&pem, r, args, json_str(args, "id", "")) == 0)
		json_setf(r->value, "pem", "%s", buf_str(&pem));
}

static void
put(struct task_result *r, const json_t *args)
{
	const struct errand x = { r, args, json_str(args, "id", ""), "written" };
	AUTO_JSON body = json_object();
	AUTO_JSON answer = NULL;
	AUTO_BUF target = { 0 };
	unsigned status;

	json_setf(body, "pem", "%s", json_str(args, "pem", ""));
	put_target(&target, x.id);
	(void)ask(&answer, &status, &x, "PUT", buf_str(&target), body);
}

static void
delete(struct task_result *r, const json_t *args)
{
	const struct errand x = { r, args, json_str(args, "id", ""), "deleted" };
	AUTO_JSON answer = NULL;
	AUTO_BUF target = { 0 };
	unsigned status;

	put_target(&target, x.id);
	(void)ask(&answer, &status, &x, "DELETE", buf_str(&target), NULL);
}

void
certs_run(struct task_result *r, enum task_kind k, const json_t *args)
{
	if (k == TASK_CERT_ISSUE)
		issue(r, args);
	else if (k == TASK_CERT_GET)
		get(r, args);
	else if (k == TASK_CERT_PUT)
		put(r, args);
	else if (k == TASK_CERT_DELETE)
		delete(r, args);
	else
		(void)task_fail(r, TASK_BAD_TASK, E_USAGE, "task %s: not about a certificate", task_kind_name(k));
}
