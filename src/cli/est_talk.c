/* SPDX-License-Identifier: Apache-2.0 */
/* cli/est_talk.c - one EST server: trust first, credentials after */
#include "cli/est_talk.h"

#include <string.h>

#include "cli/target.h"
#include "core/base/clock.h"
#include "core/base/text.h"
#include "core/codec/base64.h"
#include "core/codec/media.h"

#define BAG_TYPE "application/pkcs7-mime"

#define BEFORE_CERT \
	{ .name = "url", .letter = 'u', .kind = OPT_TEXT, .arg = "URL", .required = true, \
	  .help = "The server: https://host[:port], with or without /.well-known/est" }, \
	{ .name = "label", .letter = 'l', .kind = OPT_TEXT, .arg = "LABEL", .help = "The EST label (default: none)" }, \
	{ .name = "pin", .letter = 'p', .kind = OPT_TEXT, .arg = "sha256:HEX", \
	  .help = "Trust the server's CA certificate that has this SHA-256" }, \
	{ .name = "trust", .letter = 't', .kind = OPT_FILE, .arg = "FILE", \
	  .help = "Trust the CA certificates of this PEM file" }, \
	{ .name = "user", .kind = OPT_TEXT, .arg = "NAME", .help = "User name of --password-file or --code" }, \
	{ .name = "password-file", .kind = OPT_FILE, .arg = "FILE", .help = "The password; its last line end is cut off" }, \
	{ .name = "code", .letter = 'c', .kind = OPT_TEXT, .arg = "CODE", \
	  .help = "One-time code (other users of this machine may see it; --code-file hides it)" }, \
	{ .name = "code-file", .kind = OPT_FILE, .arg = "FILE", .help = "The one-time code" }, \
	{ .name = "header", .letter = 'H', .kind = OPT_MANY, .arg = "'NAME: VALUE'", \
	  .help = "Send this header too" }
#define AFTER_CERT \
	{ .name = "key", .kind = OPT_FILE, .arg = "FILE", .help = "Its key (default: in the file of --cert)" }, \
	{ .name = "trust-out", .kind = OPT_TEXT, .arg = "FILE", .help = "Write the CA certificates to trust from now on" }

const struct opt est_talk_opts[] = {
	BEFORE_CERT,
	{ .name = "cert", .kind = OPT_FILE, .arg = "FILE", .help = "Certificate to show to the server (PEM)" },
	AFTER_CERT,
	{ .name = NULL },
};

const struct opt est_talk_renew_opts[] = {
	BEFORE_CERT,
	{ .name = "cert", .kind = OPT_FILE, .arg = "FILE", .required = true,
	  .help = "The certificate to renew, shown to the server (PEM)" },
	AFTER_CERT,
	{ .name = NULL },
};

/* --- the command line --- */

static int
open_url(struct est_talk *t, const struct cli *c, struct err *e)
{
	const char *url = cli_text(c, "url"), *label = cli_text(c, "label"), *root;
	AUTO_BUF base = { 0 };

	if (strncmp(url, "https://", 8) != 0 || url[8] == '/' || url[8] == 0 || strpbrk(url, "?#") != NULL)
		return err_set(e, E_USAGE, "url: https://host[:port] needed");
	if (label != NULL && (!text_valid_name(label, EST_LABEL_MAX) || est_is_op_name(label)))
		return err_set(e, E_USAGE, "label: '%s' cannot be one", label);
	buf_put_str(&base, url);
	while (base.n != 0 && base.p[base.n - 1] == '/')
		base.n--;
	root = strstr(buf_str(&base), "/.well-known/est");
	if (root == NULL)
		buf_put_str(&base, "/.well-known/est");
	if (label != NULL)
		buf_printf(&base, "/%s", label);
	if (base.n >= sizeof(t->base) - 32) /* room for the operation */
		return err_set(e, E_USAGE, "url: too long");
	(void)memcpy(t->base, buf_str(&base), base.n + 1);
	return 0;
}

/* The PEM file of an option; it has at least one certificate. */
static int
read_certs(struct buf *pem, const struct cli *c, const char *option, struct err *e)
{
	AUTO_BUF der = { 0 };
	int r = cli_file(pem, c, option, e);

	if (r == 0 && (r = pem_decode(&der, bytes_of_buf(pem), "CERTIFICATE", e)) != 0)
		return err_prefix(e, (enum err_code)r, "%s", cli_text(c, option));
	return r;
}

static int
open_trust(struct est_talk *t, const struct cli *c, struct err *e)
{
	t->pinned = cli_has(c, "pin");
	if (t->pinned && cli_has(c, "trust"))
		return err_set(e, E_USAGE, "--pin and --trust: one of them is enough");
	if (t->pinned)
		return est_pin_parse(t->pin, cli_text(c, "pin"), e);
	if (cli_has(c, "trust"))
		return read_certs(&t->server_pem, c, "trust", e);
	t->system = true;
	return 0;
}

static int
open_password(struct est_talk *t, const struct cli *c, struct err *e)
{
	static const char *const names[] = { "password-file", "code-file", "code" };
	const char *from = NULL;
	int r;

	for (size_t i = 0; i < N_OF(names); i++) {
		if (!cli_has(c, names[i]))
			continue;
		if (from != NULL)
			return err_set(
			    e, E_USAGE, "--%s and --%s: only one of them", from, names[i]);
		from = names[i];
	}
	if (from == NULL)
		return cli_has(c, "user")
		    ? err_set(e, E_USAGE, "--user: needs --password-file or --code-file")
		    : 0;
	t->user = cli_text_or(c, "user", ""); /* RFC 7030 3.2.3: the name may be empty */
	if (strchr(t->user, ':') != NULL)
		return err_set(e, E_USAGE, "--user: no colon can be in it");
	if (strcmp(from, "code") == 0) {
		buf_put_str(&t->password, cli_text(c, "code"));
		return 0;
	}
	r = cli_file(&t->password, c, from, e);
	while (t->password.n != 0 && memchr("\r\n", t->password.p[t->password.n - 1], 2) != NULL)
		t->password.n--;
	if (r == 0 && (t->password.n == 0 || !text_valid_utf8(bytes_of_buf(&t->password))))
		r = err_set(e, E_FORMAT, "--%s: not one line of text", from);
	return r;
}

/*
 * Do certificate and key belong together?  Judged here as far as we read them; TLS may take kinds of keys and
 * certificates from elsewhere that we do not, and judges those.
 */
static int
check_client(struct est_talk *t, const struct cli *c, struct err *e)
{
	const char *cert = cli_text(c, "cert"), *file = cli_text_or(c, "key", cert), *pem = buf_str(&t->key_pem);
	AUTO(key) key = NULL;
	AUTO_BUF der = { 0 };
	struct cert x;
	int r;

	if (strstr(pem, "ENCRYPTED PRIVATE KEY-----") != NULL || strstr(pem, "Proc-Type: 4,ENCRYPTED") != NULL)
		return err_set(e, E_FORMAT, "%s: the private key in it is encrypted, and no password is asked for; "
		    "`openssl pkey -in %s -out FILE` writes it plain", file, file);
	r = key_from_pem(&key, bytes_of_buf(&t->key_pem), e);
	if (r == E_FORMAT)
		return err_prefix(e, E_FORMAT, "%s", file);
	if (r == 0 && pem_decode(&der, bytes_of_buf(&t->cert_pem), "CERTIFICATE", NULL) == 0 &&
	    cert_parse(&x, bytes_of_buf(&der), NULL) == 0 && !bytes_equal(x.spki, key_spki(key)))
		return err_set(e, E_FORMAT, "%s: not the key of %s", file, cert);
	return 0;
}

static int
open_client(struct est_talk *t, const struct cli *c, struct err *e)
{
	int r;

	if (!cli_has(c, "cert"))
		return cli_has(c, "key") ? err_set(e, E_USAGE, "--key: needs --cert") : 0;
	r = read_certs(&t->cert_pem, c, "cert", e);
	if (r == 0 && cli_has(c, "key"))
		r = cli_file(&t->key_pem, c, "key", e);
	else if (r == 0)
		buf_put_bytes(&t->key_pem, bytes_of_buf(&t->cert_pem));
	if (r == 0 && strstr(buf_str(&t->key_pem), "PRIVATE KEY-----") == NULL)
		return err_set(e, E_FORMAT, "%s: no private key in PEM in it%s",
		    cli_text_or(c, "key", cli_text(c, "cert")),
		    cli_has(c, "key") ? "" : "; --key FILE says where it is");
	return r != 0 ? r : check_client(t, c, e);
}

int
est_talk_open(struct est_talk *t, const struct cli *c, struct err *e)
{
	int r;

	t->n_headers = cli_count(c, "header");
	if (t->n_headers > EST_TALK_HEADERS_MAX)
		return err_set(e, E_USAGE, "--header: more than %d", EST_TALK_HEADERS_MAX);
	for (size_t i = 0; i < t->n_headers; i++) {
		t->headers[i] = cli_at(c, "header", i);
		if (!fetch_is_header(t->headers[i]))
			return err_set(e, E_USAGE, "--header: '%s' is not 'NAME: VALUE'", t->headers[i]);
	}
	if ((r = open_url(t, c, e)) != 0 || (r = open_trust(t, c, e)) != 0 ||
	    (r = open_password(t, c, e)) != 0)
		return r;
	return open_client(t, c, e);
}

void
est_talk_close(struct est_talk *t)
{
	struct buf *all[] = { &t->server_pem, &t->trust_pem, &t->chain_pem, &t->password,
		&t->cert_pem, &t->key_pem };

	for (size_t i = 0; i < N_OF(all); i++)
		buf_free(all[i]);
}

/* --- requests --- */

static const char *
url_of(const struct est_talk *t, enum est_op op, char out[EST_TALK_URL_MAX + 32])
{
	(void)snprintf(out, EST_TALK_URL_MAX + 32, "%s/%s", t->base, est_op_row(op)->name);
	return out;
}

/* What a verified server may see of us. */
static void
show_credentials(struct fetch *f, struct est_talk *t, bool password)
{
	f->headers = t->headers;
	if (password && t->user != NULL) {
		f->user = t->user;
		f->password = buf_str(&t->password);
	}
	if (t->cert_pem.n != 0) {
		f->client_cert_pem = buf_str(&t->cert_pem);
		f->client_key_pem = buf_str(&t->key_pem);
	}
}

/* RFC 7030 4.1.2: /cacerts is for everybody, so nothing of ours goes with it. */
static int
get_cacerts(struct est_talk *t, bool provisional, struct fetch_answer *a, struct err *e)
{
	char url[EST_TALK_URL_MAX + 32];
	struct fetch f = {
		.url = url_of(t, EST_CACERTS, url), .method = "GET", .provisional = provisional,
		.trust_pem = bytes_of_buf(&t->server_pem),
	};

	return fetch_run(&f, a, e);
}

static int
bag_of(struct est_bag *bag, const struct fetch_answer *a, enum est_op op, struct err *e)
{
	if (a->status != 200)
		return est_talk_refusal(a, op, e);
	if (a->type[0] != 0 && !media_is(a->type, BAG_TYPE))
		return err_set(e, E_FORMAT, "%s: answered with %s, not %s", est_op_row(op)->name,
		    a->type, BAG_TYPE);
	return est_bag_parse(bag, bytes_of_buf(&a->body), e);
}

/* RFC 7030 4.1.1: one GET to a server that nobody vouches for yet; the pin decides. */
static int
bootstrap(struct est_talk *t, struct err *e)
{
	struct fetch_answer a = { 0 };
	AUTO_BAG bag = { 0 };
	AUTO_BUF chain = { 0 };
	int r = get_cacerts(t, true, &a, e);

	if (r == 0)
		r = bag_of(&bag, &a, EST_CACERTS, e);
	if (r == 0)
		r = est_bag_trust(&t->server_pem, &chain, &bag, t->pin,
		    bytes_of_buf(&a.server_chain_pem), clock_now(), e);
	fetch_clear(&a);
	return r;
}

int
est_talk_cacerts(struct est_talk *t, struct est_bag *bag, struct err *e)
{
	struct fetch_answer a = { 0 };
	int r = t->pinned && t->server_pem.n == 0 ? bootstrap(t, e) : 0;

	if (r == 0)
		r = get_cacerts(t, false, &a, e);
	if (r == 0)
		r = bag_of(bag, &a, EST_CACERTS, e);
	fetch_clear(&a);
	if (r != 0)
		return r;
	if (t->system)
		r = est_bag_roots(&t->trust_pem, bag, clock_now(), e);
	else
		buf_put_bytes(&t->trust_pem, bytes_of_buf(&t->server_pem));
	if (r == 0)
		r = est_bag_chain(&t->chain_pem, bag, bytes_of_buf(&t->trust_pem), clock_now(), e);
	return r;
}

int
est_talk_csrattrs(struct est_talk *t, bool password, struct buf *der, bool *none, struct err *e)
{
	char url[EST_TALK_URL_MAX + 32];
	struct fetch f = {
		.url = url_of(t, EST_CSRATTRS, url),
		.method = "GET",
		.trust_pem = bytes_of_buf(&t->server_pem),
	};
	struct fetch_answer a = { 0 };
	struct est_attrs attrs = { 0 };
	int r;

	show_credentials(&f, t, password);
	r = fetch_run(&f, &a, e);
	*none = r == 0 && (a.status == 204 || a.status == 404 || a.status == 501 ||
	    (a.status == 200 && a.body.n == 0));
	if (r == 0 && !*none && a.status != 200)
		r = est_talk_refusal(&a, EST_CSRATTRS, e);
	if (r == 0 && !*none)
		r = base64_decode(der, bytes_of_buf(&a.body), e);
	if (r == 0 && !*none)
		r = est_attrs_parse(&attrs, bytes_of_buf(der), e);
	fetch_clear(&a);
	if (r == 0 && attrs.n == 0)
		*none = true;
	return r != 0 ? err_prefix(e, r, "csrattrs") : 0;
}

int
est_talk_post(struct est_talk *t, enum est_op op, struct fetch_answer *a, struct bytes body,
    int (*make)(void *, const struct fetch_connection *, struct buf *, struct err *), void *ctx,
    struct err *e)
{
	char url[EST_TALK_URL_MAX + 32];
	struct fetch f = {
		.url = url_of(t, op, url),
		.method = "POST",
		.trust_pem = bytes_of_buf(&t->server_pem),
		.body = body,
		.make_body = make,
		.ctx = ctx,
	};

	/* RFC 8951 3 gives the second one no meaning any more; older servers look for it. */
	t->headers[t->n_headers] = "Content-Type: application/pkcs10";
	t->headers[t->n_headers + 1] = "Content-Transfer-Encoding: base64";
	t->headers[t->n_headers + 2] = NULL;
	show_credentials(&f, t, true);
	return fetch_run(&f, a, e);
}

int
est_talk_write_trust(
    const struct est_talk *t, const struct cli *c, const struct est_bag *bag, struct err *e)
{
	AUTO_BUF next = { 0 };
	size_t n_new = 0;
	int r;

	if (!cli_has(c, "trust-out"))
		return 0;
	r = est_bag_rollover(&next, &n_new, bag, bytes_of_buf(&t->trust_pem), clock_now(), e);
	if (r == 0 && n_new != 0)
		(void)fprintf(c->err,
		    "estuary: %zu new root%s, vouched for by what was trusted before\n", n_new,
		    n_new > 1 ? "s" : "");
	return r != 0 ? r : target_write(cli_text(c, "trust-out"), bytes_of_buf(&next), 0644, c->out, e);
}

/* --- refusals --- */

static enum err_code
code_of(unsigned status)
{
	static const struct {
		unsigned status;
		enum err_code code;
	} rows[] = {
		{ 400, E_FORMAT },
		{ 401, E_AUTH },
		{ 403, E_POLICY },
		{ 404, E_NOTFOUND },
		{ 405, E_NOTFOUND },
		{ 408, E_UNAVAIL },
		{ 413, E_TOOBIG },
		{ 415, E_FORMAT },
		{ 429, E_UNAVAIL },
		{ 501, E_NOTFOUND },
	};

	for (size_t i = 0; i < N_OF(rows); i++)
		if (rows[i].status == status)
			return rows[i].code;
	if (status >= 500)
		return E_UNAVAIL;
	return status >= 400 ? E_POLICY : E_FORMAT;
}

int
est_talk_refusal(const struct fetch_answer *a, enum est_op op, struct err *e)
{
	bool text = a->type[0] == 0 || media_is(a->type, "text/plain");
	const uint8_t *end = a->body.n != 0 ? memchr(a->body.p, '\n', a->body.n) : NULL;
	size_t n = end != NULL ? (size_t)(end - a->body.p) : a->body.n;
	const char *name = est_op_row(op)->name;
	AUTO_BUF line = BUF_MAX(4096);
	AUTO_BUF id = { 0 };

	if (a->status >= 300 && a->status < 400)
		return err_set(e, E_FORMAT,
		    "%s: the server sends us elsewhere (%u), and redirects are not followed: %.200s",
		    name, a->status, a->location);
	while (n != 0 && a->body.p[n - 1] == '\r')
		n--;
	if (text)
		text_show(&line, (struct bytes){ a->body.p, n < 240 ? n : 240 });
	if (a->request_id[0] != 0)
		buf_printf(&id, " (request %s)", a->request_id);
	return err_set(e, code_of(a->status), "%s: refused with %u%s%s%s", name, a->status,
	    line.n != 0 ? ": " : "", buf_str(&line), buf_str(&id));
}
