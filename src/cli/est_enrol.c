/* SPDX-License-Identifier: Apache-2.0 */
/* cli/est_enrol.c - a certificate for a key of ours: from the command line to the files */
#include "cli/est_enrol.h"

#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/est_keep.h"
#include "cli/est_talk.h"
#include "cli/target.h"
#include "core/base/clock.h"
#include "core/base/file.h"
#include "core/base/mem.h"
#include "core/base/rnd.h"
#include "core/base/text.h"
#include "core/cmd/table.h"
#include "core/codec/base64.h"

#define WAIT_DEFAULT_S  300
#define RETRY_DEFAULT_S 30
#define NOTE_MAX        300

enum pop { POP_ALWAYS, POP_AUTO, POP_NEVER };

/* One enrolment, from the command line to the files. */
struct enrolment {
	struct cli *c;
	enum est_op op;
	struct est_talk talk;
	struct est_keep keep;
	struct key *key;             /* signs the request; NULL with --csr */
	bool key_is_new;             /* to be put in its place at the end */
	struct bytes spki;           /* of the key that the certificate must be for */
	struct buf csr_der;          /* the request of --csr, or the one made without a binding */
	struct buf old_der;          /* the certificate that is renewed; cert borrows it */
	struct cert *old;
	struct csr_want want;
	struct name subject;
	struct sans sans;
	enum pop pop;
	bool bound;                  /* the last request carried a channel binding */
	struct fetch_answer answer;
	struct est_bag cas;          /* of /cacerts */
	char note[NOTE_MAX];
	struct buf hint;             /* what to do about an error; n 0: nothing to say */
};

static void
enrolment_clear(struct enrolment *m)
{
	est_talk_close(&m->talk);
	key_free(m->key);
	buf_free(&m->csr_der);
	buf_free(&m->old_der);
	mem_free(m->old);
	est_bag_free(&m->cas);
	fetch_clear(&m->answer);
	buf_free(&m->hint);
}

/* --- making the request --- */

/* The DER of this enrolment's request with that challenge. */
static int
build_request(struct enrolment *m, const char *challenge, struct buf *der, struct err *e)
{
	struct csr_want want = m->want;

	if (m->old != NULL)
		return est_renewal_build(der, m->old, challenge, m->key, e);
	want.challenge = challenge;
	return csr_build(der, &want, m->key, e);
}

/* fetch's make_body: the request is made on the connection that carries it (RFC 7030 3.5). */
static int
bind_request(void *ctx, const struct fetch_connection *c, struct buf *body, struct err *e)
{
	struct enrolment *m = ctx;
	AUTO_BUF der = { 0 };
	int r;

	if (c->binding[0] == 0 && m->pop == POP_ALWAYS)
		return err_set(e, E_POLICY,
		    "no channel binding on this connection (%s); --pop auto goes without",
		    c->binding_error);
	m->bound = c->binding[0] != 0;
	r = build_request(m, m->bound ? c->binding : NULL, &der, e);
	if (r == 0)
		base64_encode(body, bytes_of_buf(&der), 64);
	return r;
}

static int
post(struct enrolment *m, struct err *e)
{
	AUTO_BUF body = { 0 };

	if (m->csr_der.n == 0)
		return est_talk_post(
		    &m->talk, m->op, &m->answer, (struct bytes){ 0 }, bind_request, m, e);
	base64_encode(&body, bytes_of_buf(&m->csr_der), 64);
	return est_talk_post(&m->talk, m->op, &m->answer, bytes_of_buf(&body), NULL, NULL, e);
}

/* --- waiting for a person at the other end (RFC 7030 4.2.3) --- */

static void
show_waiting(const struct enrolment *m, int64_t left_s, bool tty)
{
	const char *id = m->answer.request_id;

	(void)fprintf(m->c->err, "%swaiting for approval, at most %lld s more%s%s%s",
	    tty ? "\r" : "", (long long)left_s, id[0] != 0 ? ", request " : "", id,
	    tty ? "\033[K" : "\n");
	(void)fflush(m->c->err);
}

/* Sleep for s seconds and up to a quarter of one more: a fleet that was told "30" must not come back as one. */
static void
pause_s(int64_t s)
{
	struct timespec t = { .tv_sec = (time_t)s, .tv_nsec = (long)rnd_below(250) * 1000000 };

	while (nanosleep(&t, &t) != 0)
		continue;
}

static int
still_pending(const struct enrolment *m, struct err *e)
{
	const char *id = m->answer.request_id;
	char when[100] = "";

	if (m->answer.retry_after_s > 0)
		(void)snprintf(when, sizeof(when), "; the server wants to be asked again in %lld s, which --wait does not reach",
		    (long long)m->answer.retry_after_s);
	return err_set(e, E_PENDING, "%s: not approved yet%s%s%s%s; the same command asks again%s%s",
	    est_op_row(m->op)->name, id[0] != 0 ? " (request " : "", id, id[0] != 0 ? ")" : "", when,
	    m->key_is_new ? " with the key in " : "", m->key_is_new ? m->keep.key_new : "");
}

static int
ask(struct enrolment *m, struct err *e)
{
	int64_t wait_s = cli_number(m->c, "wait", WAIT_DEFAULT_S);
	uint64_t end = clock_monotonic_ms() + (uint64_t)wait_s * 1000;
	bool tty = m->c->err == stderr && isatty(STDERR_FILENO) == 1;
	bool waited = false;
	int r;

	for (;;) {
		int64_t left_s, after_s;

		r = post(m, e);
		if (r != 0 || m->answer.status != 202)
			break;
		left_s = ((int64_t)end - (int64_t)clock_monotonic_ms()) / 1000;
		after_s = m->answer.retry_after_s < 0 ? RETRY_DEFAULT_S : m->answer.retry_after_s;
		after_s = after_s < 1 ? 1 : after_s;
		if (after_s > left_s) {
			r = still_pending(m, e);
			break;
		}
		show_waiting(m, left_s, tty);
		waited = true;
		pause_s(after_s);
	}
	if (waited && tty)
		(void)fputs("\r\033[K", m->c->err);
	if (r == 0 && m->answer.status != 200)
		r = est_talk_refusal(&m->answer, m->op, e);
	return r;
}

/* --- the answer --- */

static void
report_times(json_t *v, const struct cert *c)
{
	(void)json_object_set_new(v, "not_before", json_integer(c->not_before));
	(void)json_object_set_new(v, "not_after", json_integer(c->not_after));
}

/* Then what is read from there is certificates and nothing else. */
static bool
uses_stdout(const struct cli *c)
{
	return target_is_stdout(cli_text_or(c, "out", "")) || target_is_stdout(cli_text_or(c, "trust-out", ""));
}

static void
report(const struct enrolment *m, struct bytes cert_der)
{
	AUTO_JSON v = json_object();
	struct name issuer;
	char text[NAME_TEXT_MAX], serial[2 * CERT_SERIAL_MAX + 1];
	struct cli to = *m->c;
	struct cert c;

	if (cert_parse(&c, cert_der, NULL) != 0)
		return;
	if (uses_stdout(m->c))
		to.out = to.err;
	json_setf(v, "subject", "%s", c.subject_known ? name_text(&c.subject, text) : "?");
	json_setf(v, "names", "%s", c.has_san && c.sans_known ? sans_text(&c.sans, text) : "");
	json_setf(v, "serial", "%s", cert_serial_text(c.serial, serial));
	json_setf(v, "issuer", "%s",
	    name_parse(&issuer, c.issuer, NULL) == 0 ? name_text(&issuer, text) : "?");
	report_times(v, &c);
	json_setf(v, "key_type", "%s", key_type_name(c.key_type));
	(void)json_object_set_new(v, "channel_bound", json_boolean(m->bound));
	json_setf(v, "certificate", "%s", m->keep.cert);
	if (m->key_is_new)
		json_setf(v, "key", "%s", m->keep.key);
	if (cli_has(m->c, "trust-out"))
		json_setf(v, "trust", "%s", cli_text(m->c, "trust-out"));
	if (m->answer.request_id[0] != 0)
		json_setf(v, "request", "%s", m->answer.request_id);
	if (m->note[0] != 0)
		json_setf(v, "note", "%s", m->note);
	if (m->c->json)
		cli_print_json(m->c, v);
	else
		table_print_object(&to, v);
}

/* The certificate is there and could not be put away: how to come by it again. */
static int
not_written(struct enrolment *m, struct bytes cert_der, struct err *e)
{
	char serial[2 * CERT_SERIAL_MAX + 1] = "?", why[sizeof(e->msg)];
	struct cert c;

	if (cert_parse(&c, cert_der, NULL) == 0)
		(void)cert_serial_text(c.serial, serial);
	text_copy(why, sizeof(why), e->msg);
	if (m->key_is_new)
		buf_printf(&m->hint, "its key is kept in %s; ", m->keep.key_new);
	buf_put_str(&m->hint, "the same command, given soon, gets it again");
	if (m->key_is_new)
		buf_printf(&m->hint, "; with another --out, say --key-out %s too", m->keep.key);
	return err_set(e, e->code, "certificate %s was issued but not written: %s", serial, why);
}

/* Judge the answer; only then does anything change on disk. */
static int
take_certificate(struct enrolment *m, struct err *e)
{
	AUTO_BAG bag = { 0 };
	AUTO_BUF pem = { 0 };
	AUTO_BUF der = { 0 };
	AUTO_BUF path = { 0 };
	int r = est_bag_parse(&bag, bytes_of_buf(&m->answer.body), e);

	if (r == 0)
		r = est_issued_check(&pem, &bag, m->spki, bytes_of_buf(&m->talk.trust_pem),
		    bytes_of_buf(&m->talk.chain_pem), &m->want, clock_now(), m->note,
		    sizeof(m->note), e);
	if (r == 0)
		r = est_chain_path(&path, bytes_of_buf(&pem), bytes_of_buf(&m->talk.chain_pem), e);
	if (r == 0)
		r = pem_decode(&der, bytes_of_buf(&pem), "CERTIFICATE", e);
	if (r != 0)
		return r;
	buf_put_bytes(&pem, bytes_of_buf(&path));
	r = est_talk_write_trust(&m->talk, m->c, &m->cas, e);
	if (r == 0)
		r = est_keep_finish(&m->keep, bytes_of_buf(&pem), m->key_is_new ? m->key : NULL, m->c->out, e);
	if (r != 0)
		return not_written(m, bytes_of_buf(&der), e);
	report(m, bytes_of_buf(&der));
	return 0;
}

/* Everything that is the same for enroll and reenroll, once the request is known. */
static int
run_request(struct enrolment *m, struct err *e)
{
	int r = 0;

	/* Without a binding one request serves all attempts, octet for octet. */
	if (m->pop == POP_NEVER && m->csr_der.n == 0)
		r = build_request(m, NULL, &m->csr_der, e);
	if (r == 0)
		r = ask(m, e);
	return r != 0 ? r : take_certificate(m, e);
}

/* --- enroll --- */

static enum pop
pop_of(const struct cli *c, const char *def)
{
	const char *word = cli_text_or(c, "pop", def);

	if (strcmp(word, "always") == 0)
		return POP_ALWAYS;
	return strcmp(word, "auto") == 0 ? POP_AUTO : POP_NEVER;
}

/* A request that somebody else has signed: PEM, base64 or DER. */
static int
read_request(struct enrolment *m, struct err *e)
{
	static const char *const excluded[] = { "new-key", "key-out", "subject", "san", "ca" };
	AUTO_BUF text = { 0 };
	struct csr *csr;
	const char *note;
	int r;

	for (size_t i = 0; i < N_OF(excluded); i++)
		if (cli_has(m->c, excluded[i]))
			return err_set(
			    e, E_USAGE, "--csr and --%s: the request is made already", excluded[i]);
	if (m->pop == POP_ALWAYS)
		return err_set(e, E_USAGE,
		    "--csr and --pop always: a request signed before cannot name this connection");
	m->pop = POP_NEVER;
	r = cli_file(&text, m->c, "csr", e);
	if (r == 0)
		r = est_request_der(&m->csr_der, bytes_of_buf(&text), &note, e);
	if (r != 0)
		return r;
	csr = mem_zalloc(sizeof(*csr));
	r = csr_parse(csr, bytes_of_buf(&m->csr_der), e);
	if (r == 0) {
		m->spki = csr->spki;
		m->subject = csr->subject;
		m->sans = csr->sans;
		m->want.ca = csr->wants_ca;
	}
	mem_free(csr);
	return r;
}

/* What the command line wants in the certificate. */
static int
read_names(struct enrolment *m, struct err *e)
{
	const char *subject = cli_text(m->c, "subject");
	int r = subject != NULL ? name_from_text(&m->subject, subject, e) : 0;

	for (size_t i = 0; r == 0 && i < cli_count(m->c, "san"); i++)
		r = sans_add_text(&m->sans, cli_at(m->c, "san", i), e);
	if (r == 0 && m->subject.n == 0 && m->sans.n == 0)
		r = err_set(e, E_USAGE,
		    "--subject or --san is missing: nothing says whose certificate it is to be");
	m->want.ca = cli_flag(m->c, "ca");
	m->want.client_auth = !m->want.ca;
	return r;
}

/* The type of key: as told, else as the server wants, else P-256. */
static int
choose_key(enum key_type *out, struct enrolment *m, struct err *e)
{
	const char *told = cli_text(m->c, "new-key");
	struct est_attrs attrs = { 0 };
	AUTO_BUF der = { 0 };
	bool none;
	int r;

	*out = KEY_EC_P256;
	if (told != NULL) {
		*out = key_type_by_name(told);
		return *out != KEY_NONE ? 0 : err_set(e, E_USAGE, "--new-key: no type '%s'", told);
	}
	/* RFC 8951 4: attributes that make no sense to us are as good as none; a server that cannot be reached is not. */
	r = est_talk_csrattrs(&m->talk, false, &der, &none, e);
	if (r == 0 && !none && est_attrs_parse(&attrs, bytes_of_buf(&der), NULL) == 0 &&
	    attrs.key != KEY_NONE)
		*out = attrs.key;
	return r == E_UNAVAIL ? r : 0;
}

static int
new_key(struct enrolment *m, enum key_type type, struct err *e)
{
	bool reused;
	int r = est_keep_new_key(&m->key, &reused, &m->keep, type, e);

	if (r != 0)
		return r;
	if (reused)
		(void)fprintf(m->c->err, "estuary: going on with the key in %s\n", m->keep.key_new);
	m->key_is_new = true;
	m->spki = key_spki(m->key);
	return 0;
}

/* An earlier run may have had its answer and then ended too early: then there is nothing more to ask for. */
static int
recover(struct enrolment *m, bool *done, struct err *e)
{
	AUTO_BUF pem = { 0 };
	AUTO_BUF der = { 0 };
	int r = est_keep_recover(&m->keep, done, e);

	if (r != 0 || !*done)
		return r;
	(void)fprintf(m->c->err,
	    "estuary: an earlier run had this answer already; its key is in its place now\n");
	r = file_read(&pem, m->keep.cert, EST_KEEP_FILE_MAX, e);
	if (r == 0)
		r = pem_decode(&der, bytes_of_buf(&pem), "CERTIFICATE", e);
	m->key_is_new = true;
	if (r == 0)
		report(m, bytes_of_buf(&der));
	return r;
}

/*
 * Where everything goes, judged before a server hears of us: an answer that could not be kept may have cost a one-time
 * code.  *done: an earlier run had all but put its key away.  own, or NULL: the key file that a new key replaces.
 */
static int
check_files(struct enrolment *m, bool key_comes, const char *own, bool *done, struct err *e)
{
	const char *trust = cli_text(m->c, "trust");
	int r = est_keep_check(&m->keep, key_comes, cli_text(m->c, "trust-out"), e);

	*done = false;
	if (r == 0 && trust != NULL && (target_is_same(trust, m->keep.cert) || (key_comes && target_is_same(trust, m->keep.key))))
		r = err_set(e, E_USAGE, "%s: it is what --trust names; name another file for what is written", trust);
	if (r == 0 && m->c->json && uses_stdout(m->c))
		r = err_set(e, E_USAGE, "--json: standard output cannot have that and certificates; name a file for these");
	if (r == 0 && key_comes && !cli_has(m->c, "key-out") && !target_is_file(m->keep.cert))
		r = err_set(e, E_USAGE, "--key-out is missing: %s is no file, so nothing says where the key goes", m->keep.cert);
	if (r == 0 && m->csr_der.n == 0) /* also of a key that this run leaves alone */
		r = recover(m, done, e);
	if (r == 0 && key_comes && !*done && !cli_flag(m->c, "force"))
		r = est_keep_spare(&m->keep, own, e);
	return r;
}

static int
enroll(struct enrolment *m, struct err *e)
{
	bool own = !cli_has(m->c, "csr"), done = false;
	enum key_type type;
	int r;

	m->op = EST_SIMPLEENROLL;
	m->pop = pop_of(m->c, own ? "always" : "never");
	m->want.subject = &m->subject;
	m->want.sans = &m->sans;
	r = est_talk_open(&m->talk, m->c, e);
	if (r == 0)
		r = est_keep_init(&m->keep, cli_text(m->c, "out"), cli_text(m->c, "key-out"), e);
	if (r == 0)
		r = own ? read_names(m, e) : read_request(m, e);
	if (r == 0)
		r = check_files(m, own, NULL, &done, e);
	if (r != 0 || done)
		return r;
	r = est_talk_cacerts(&m->talk, &m->cas, e);
	if (r == 0 && own && (r = choose_key(&type, m, e)) == 0)
		r = new_key(m, type, e);
	return r != 0 ? r : run_request(m, e);
}

/* --- reenroll --- */

/* The certificate and the key of --cert and --key; they must belong together. */
static int
read_old(struct enrolment *m, struct err *e)
{
	int r = pem_decode(&m->old_der, bytes_of_buf(&m->talk.cert_pem), "CERTIFICATE", e);

	m->old = mem_zalloc(sizeof(*m->old));
	if (r == 0)
		r = cert_parse(m->old, bytes_of_buf(&m->old_der), e);
	if (r != 0)
		return err_prefix(e, r, "%s", cli_text(m->c, "cert"));
	r = key_from_pem(&m->key, bytes_of_buf(&m->talk.key_pem), e);
	if (r != 0)
		return err_prefix(e, r, "%s", cli_text_or(m->c, "key", cli_text(m->c, "cert")));
	if (!bytes_equal(m->old->spki, key_spki(m->key)))
		return err_set(e, E_FORMAT, "%s: not the key of %s",
		    cli_text_or(m->c, "key", cli_text(m->c, "cert")), cli_text(m->c, "cert"));
	m->spki = key_spki(m->key);
	m->want.subject = m->old->subject_known ? &m->old->subject : NULL;
	m->want.sans = m->old->has_san && m->old->sans_known ? &m->old->sans : NULL;
	m->want.ca = m->old->ca;
	return 0;
}

static int
replace_key(struct enrolment *m, struct err *e)
{
	enum key_type type = key_type_by_name(cli_text(m->c, "new-key"));

	if (type == KEY_NONE)
		return err_set(e, E_USAGE, "--new-key: no type '%s'", cli_text(m->c, "new-key"));
	key_free(TAKE(m->key));
	return new_key(m, type, e);
}

/* Where the new pair goes: over the old one, or to --out and its key beside it. */
static int
renewal_files(struct enrolment *m, struct err *e)
{
	const char *cert = cli_text(m->c, "cert");
	const char *key = cli_has(m->c, "out") ? NULL : cli_text_or(m->c, "key", cert);

	if (cli_has(m->c, "key-out") && !cli_has(m->c, "new-key"))
		return err_set(e, E_USAGE, "--key-out: needs --new-key");
	if (strcmp(cert, "-") == 0)
		return err_set(e, E_USAGE, "--cert: a file is needed");
	return est_keep_init(
	    &m->keep, cli_text_or(m->c, "out", cert), cli_text_or(m->c, "key-out", key), e);
}

static int
reenroll(struct enrolment *m, struct err *e)
{
	bool done;
	int r;

	m->op = EST_SIMPLEREENROLL;
	m->pop = pop_of(m->c, "always");
	r = renewal_files(m, e);
	if (r == 0)
		r = check_files(m, cli_has(m->c, "new-key"), cli_text_or(m->c, "key", cli_text(m->c, "cert")), &done, e);
	if (r != 0 || done)
		return r;
	if ((r = est_talk_open(&m->talk, m->c, e)) != 0 || (r = read_old(m, e)) != 0 ||
	    (r = est_talk_cacerts(&m->talk, &m->cas, e)) != 0)
		return r;
	if (cli_has(m->c, "new-key"))
		r = replace_key(m, e);
	return r != 0 ? r : run_request(m, e);
}

static int
run(struct cli *c, int (*fn)(struct enrolment *, struct err *))
{
	struct enrolment *m = mem_zalloc(sizeof(*m));
	struct err e = { 0 };
	int r, status;

	m->c = c;
	r = fn(m, &e);
	status = r == 0 ? 0 : cli_fail(c, &e, buf_str(&m->hint));
	enrolment_clear(m);
	mem_free(m);
	return status;
}

int
est_enrol_first(struct cli *c)
{
	return run(c, enroll);
}

int
est_enrol_again(struct cli *c)
{
	return run(c, reenroll);
}
