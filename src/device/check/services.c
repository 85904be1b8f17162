/* SPDX-License-Identifier: Apache-2.0 */
/* check/services.c - do the services run, and do they give what the configuration promises? */
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/base/file.h"
#include "core/base/mem.h"
#include "core/net/local.h"
#include "device/check/files.h"
#include "device/check/jobs.h"
#include "device/check/reader.h"
#include "device/keyd/client.h"

#define ASK_MS    10000u
#define API       "2020-09-01"
#define PAIRS_MAX 64
#define ROUNDS    2 /* a pair may be replaced while it is looked at */

static const char *
socket_of(const struct checking *c, int service)
{
	if (service == SERVICE_KEYD && c->keyd != NULL && c->keyd->socket != NULL)
		return c->keyd->socket;
	if (service == SERVICE_CERTD && c->certd != NULL && c->certd->socket != NULL)
		return c->certd->socket;
	if (service == SERVICE_IDENTITYD && c->identityd != NULL && c->identityd->socket[0] != 0)
		return c->identityd->socket;
	return c->at[service].socket;
}

/* --- running --- */

static int
try_connect(const char *path, struct err *e)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	AUTO_FD fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if ((size_t)snprintf(a.sun_path, sizeof(a.sun_path), "%s", path) >= sizeof(a.sun_path))
		return err_set(e, E_USAGE, "%s: too long for a socket", path);
	if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof(a)) != 0)
		return err_errno(e, E_UNAVAIL, "%s", path);
	return 0;
}

static void
is_running(struct checking *c, struct check_result *r, int service)
{
	const char *name = c->at[service].service;
	struct err e;

	c->runs[service] = try_connect(socket_of(c, service), &e) == 0;
	if (c->runs[service])
		return;
	if (c->at[service].prefix[0] == 0)
		check_error(r,
		    "aziot-%s does not answer; see systemctl status aziot-%s, and start it by systemctl start "
		    "aziot-%s.socket",
		    name, name, name);
	else
		check_error(r, "aziot-%s does not answer; start it by estuary-agent %s --prefix %s", name, name,
		    c->at[service].prefix);
	check_cause(r, "%s", e.msg);
}

void
services_keyd(struct checking *c, struct check_result *r)
{
	is_running(c, r, SERVICE_KEYD);
}

void
services_certd(struct checking *c, struct check_result *r)
{
	is_running(c, r, SERVICE_CERTD);
}

void
services_tpmd(struct checking *c, struct check_result *r)
{
	if (c->identityd == NULL || c->identityd->auth != AUTH_IS_TPM)
		check_ignore(r, "no TPM is configured to identify the device");
	else
		is_running(c, r, SERVICE_TPMD);
}

void
services_identityd(struct checking *c, struct check_result *r)
{
	if (!c->configured[SERVICE_IDENTITYD] && c->identityd == NULL)
		check_ignore(r, "identityd is not configured");
	else
		is_running(c, r, SERVICE_IDENTITYD);
}

/* --- asking --- */

static int
refused(const struct local_answer *a, struct err *e)
{
	AUTO_JSON v = NULL;
	const char *said = "no reason given";
	enum err_code code = E_IO;

	if (a->json && json_parse(&v, bytes_of_buf(&a->body), NULL) == 0)
		said = json_str(v, "message", said);
	if (a->status == 401 || a->status == 403)
		code = E_AUTH;
	else if (a->status == 404 || strstr(said, "not found") != NULL)
		code = E_NOTFOUND;
	return err_set(e, code, "%.300s (status %u)", said, a->status);
}

int
services_get(json_t **out, const struct checking *c, int service, const char *path, const char *version, struct err *e)
{
	__attribute__((cleanup(local_clear))) struct local_answer a = { 0 };
	AUTO_BUF target = { 0 };
	int r;

	buf_printf(&target, "%s?api-version=%s", path, version);
	r = local_run(&a, socket_of(c, service), "GET", buf_str(&target), (struct bytes){ 0 }, ASK_MS, e);
	if (r != 0)
		return r;
	return a.status != 200 ? refused(&a, e) : json_parse(out, bytes_of_buf(&a.body), e);
}

void
services_read_certs(struct checking *c, struct check_result *r)
{
	const struct certd_settings *s = c->certd;
	struct err e;

	if (s == NULL || !c->runs[SERVICE_CERTD]) {
		check_skip(r, "certd does not answer");
		return;
	}
	for (size_t i = 0; i < s->n_preloaded; i++) {
		AUTO_BUF path = { 0 };
		AUTO_JSON v = NULL;
		int rc;

		buf_put_str(&path, "/certificates/");
		local_put_segment(&path, s->preloaded[i].id);
		rc = services_get(&v, c, SERVICE_CERTD, buf_str(&path), API, &e);
		/* Of a list the members may come later. */
		if (rc != 0 && !(rc == E_NOTFOUND && s->preloaded[i].path == NULL))
			check_error(r, "certd does not give the certificate '%.200s': %s", s->preloaded[i].id, e.msg);
	}
}

/* --- keys --- */

/* The pair as keyd gives it, judged as a key that certificates may be made for. */
static void
read_pair(struct checking *c, struct check_result *r, const char *id)
{
	struct keyd keyd = { socket_of(c, SERVICE_KEYD) };
	AUTO_BUF spki = BUF_MAX(CHECK_FILE_MAX);
	enum key_type type;
	char *handle = NULL;
	struct err e;
	int rc = keyd_load_pair(&handle, keyd, id, &e);

	if (rc == 0)
		rc = keyd_public(&spki, keyd, handle, &e);
	mem_free(handle);
	if (rc != 0)
		check_error(r, "keyd does not give the key pair '%.200s': %s", id, e.msg);
	else if (key_judge(&type, bytes_of_buf(&spki), &e) == E_POLICY)
		check_warn(r, "key pair '%.200s': %s; not every server takes that", id, e.msg);
}

/* Is there a private key in the file?  Anything else is the octets of a symmetric key. */
static bool
is_pair(struct bytes text)
{
	static const char mark[] = "PRIVATE KEY-----";

	return text.n != 0 && memmem(text.p, text.n, mark, sizeof(mark) - 1) != NULL;
}

static void
judge_key(struct checking *c, struct check_result *r, const struct reader *user, const struct keyd_preloaded *k)
{
	AUTO_BUF text = BUF_MAX(CHECK_FILE_MAX);
	struct err e;

	if (k->path == NULL) {
		read_pair(c, r, k->id);
		return;
	}
	if (reader_check(user, k->path, &e) != 0 || file_read(&text, k->path, CHECK_FILE_MAX, &e) != 0)
		check_error(r, "key '%.200s': %s", k->id, e.msg);
	else if (is_pair(bytes_of_buf(&text)))
		read_pair(c, r, k->id);
	else
		check_note(r, "key '%.200s' is a symmetric one: its file can be read", k->id);
}

void
services_read_keys(struct checking *c, struct check_result *r)
{
	const struct keyd_settings *s = c->keyd;
	struct reader user;

	if (s == NULL || !c->runs[SERVICE_KEYD]) {
		check_skip(r, "keyd does not answer");
		return;
	}
	reader_find(&user, &c->at[SERVICE_KEYD]);
	for (size_t i = 0; i < s->n_preloaded; i++)
		judge_key(c, r, &user, &s->preloaded[i]);
}

/* --- pairs --- */

struct pairs {
	const char *cert[PAIRS_MAX], *key[PAIRS_MAX];
	size_t n;
};

static void
add_pair(struct pairs *p, const char *cert, const char *key)
{
	if (cert == NULL || key == NULL || p->n == PAIRS_MAX)
		return;
	for (size_t i = 0; i < p->n; i++)
		if (strcmp(p->cert[i], cert) == 0 && strcmp(p->key[i], key) == 0)
			return;
	p->cert[p->n] = cert;
	p->key[p->n++] = key;
}

static void
add_auth(struct pairs *p, const struct est_auth_settings *a)
{
	if (!a->given)
		return;
	add_pair(p, a->identity_cert, a->identity_pk);
	add_pair(p, a->bootstrap_cert, a->bootstrap_pk);
}

/* Those of one ID that are both preloaded, as the original has it, and all that the configuration calls pairs. */
static void
find_pairs(struct pairs *p, const struct checking *c)
{
	const struct certd_settings *s = c->certd;

	for (size_t i = 0; i < s->n_preloaded; i++)
		if (s->preloaded[i].path != NULL && keyd_preloaded(c->keyd, s->preloaded[i].id) != NULL)
			add_pair(p, s->preloaded[i].id, s->preloaded[i].id);
	add_auth(p, &s->est_auth);
	for (size_t i = 0; i < s->n_issuance; i++) {
		add_auth(p, &s->issuance[i].auth);
		add_pair(p, s->issuance[i].id, s->issuance[i].pk);
	}
	add_pair(p, s->local_ca_cert, s->local_ca_pk);
	if (c->identityd != NULL && c->identityd->auth == AUTH_IS_X509)
		add_pair(p, c->identityd->cert, c->identityd->key);
}

/* A certificate that is not there, or cannot be read, is another check's. */
static void
fill_match(struct job *j, const struct checking *c, const char *cert, const char *key)
{
	AUTO_BUF der = { 0 };
	struct cert leaf;

	if (files_leaf(&leaf, &der, c->certd, cert, NULL) != 0)
		return;
	j->kind = JOB_MATCH;
	(void)snprintf(j->keyd_socket, sizeof(j->keyd_socket), "%s", socket_of(c, SERVICE_KEYD));
	(void)snprintf(j->client_key, sizeof(j->client_key), "%s", key);
	pem_encode(&j->client_chain, leaf.der, "CERTIFICATE");
}

static void
judge_match(const struct checking *c, struct check_result *r, const char *cert, const char *key,
    const struct job_result *got)
{
	bool missing = got->outcome == JOB_KEY_FAILED && strcmp(got->check, "not-found") == 0;

	if (strcmp(got->check, "wrong-key") == 0)
		check_error(r,
		    "certificate '%.200s' does not belong to the key pair '%.200s': one of the two was replaced", cert,
		    key);
	else if (missing && keyd_preloaded(c->keyd, key) == NULL)
		check_error(r, "there is a certificate '%.200s', but not its key pair '%.200s'", cert, key);
	else if (got->outcome != JOB_DONE && !missing) /* of a preloaded key key-pairs-read says it */
		check_warn(r, "certificate '%.200s' could not be compared with key pair '%.200s': %s", cert, key,
		    got->text);
}

/* Compare those that have not matched yet; are there still such after it? */
static bool
match_once(const struct checking *c, const struct pairs *p, struct jobs_item *items)
{
	bool left = false;

	for (size_t i = 0; i < p->n; i++)
		if (items[i].result.outcome != JOB_DONE) {
			items[i].result = (struct job_result){ .outcome = JOB_DONE };
			fill_match(&items[i].job, c, p->cert[i], p->key[i]);
		}
	jobs_run(c, items, p->n);
	for (size_t i = 0; i < p->n; i++)
		left = left || items[i].result.outcome != JOB_DONE;
	return left;
}

void
services_match(struct checking *c, struct check_result *r)
{
	struct pairs p = { .n = 0 };
	struct jobs_item *items;

	if (c->keyd == NULL || c->certd == NULL || !c->runs[SERVICE_KEYD]) {
		check_skip(r, "keyd does not answer, or the configuration could not be read");
		return;
	}
	find_pairs(&p, c);
	items = jobs_new(p.n);
	for (size_t i = 0; i < p.n; i++)
		items[i].result.outcome = JOB_DIED;
	for (int i = 0; i < ROUNDS && match_once(c, &p, items); i++)
		continue;
	for (size_t i = 0; i < p.n; i++)
		judge_match(c, r, p.cert[i], p.key[i], &items[i].result);
	jobs_free(items, p.n);
}
