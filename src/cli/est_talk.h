/* SPDX-License-Identifier: Apache-2.0 */
/* cli/est_talk.h - one EST server as the command line describes it: whom to trust, what to show it, what it answered */
#ifndef CLI_EST_TALK_H
#define CLI_EST_TALK_H

#include "core/cmd/cli.h"
#include "core/est/client.h"
#include "core/net/fetch.h"

#define EST_TALK_URL_MAX     1024
#define EST_TALK_HEADERS_MAX 32

struct est_talk {
	char base[EST_TALK_URL_MAX];   /* "https://host/.well-known/est[/label]" */
	bool pinned, system;           /* neither: --trust */
	uint8_t pin[SHA256_LEN];
	struct buf server_pem;         /* anchors of the TLS server; n 0: the system's */
	struct buf trust_pem;          /* anchors of what is issued, known after est_talk_cacerts() */
	struct buf chain_pem;          /* CA certificates below them */
	const char *user;              /* NULL: none */
	struct buf password;
	struct buf cert_pem, key_pem;  /* client certificate; n 0: none */
	const char *headers[EST_TALK_HEADERS_MAX + 3];
	size_t n_headers;
};

/* --url, --label, --pin, --trust, --user, --cert, ...: for struct verb's `more`. */
extern const struct opt est_talk_opts[];
extern const struct opt est_talk_renew_opts[]; /* the same, and there must be a --cert */

/* Read those options and the files that they name.  E_USAGE, E_NOTFOUND, E_FORMAT. */
int est_talk_open(struct est_talk *t, const struct cli *c, struct err *e) MUST_CHECK;
void est_talk_close(struct est_talk *t);

/*
 * GET /cacerts, over a verified connection, into trust_pem and chain_pem.  With a pin the first
 * connection is not verified; it carries that one GET and no credential, and its answer is only
 * believed by the pin.  E_AUTH when the server is not who it should be.
 */
int est_talk_cacerts(struct est_talk *t, struct est_bag *bag, struct err *e) MUST_CHECK;
/*
 * GET /csrattrs; *none when the server has none (204, 404, 501, or an empty list).  password: show
 * that too; before an enrolment it stays away, for a one-time code is for the one request.
 */
int est_talk_csrattrs(struct est_talk *t, bool password, struct buf *der, bool *none, struct err *e) MUST_CHECK;
/*
 * POST what make makes, or body, to op once.  0 for any answer: look at a->status, and give what
 * is neither 200 nor 202 to est_talk_refusal().
 */
int est_talk_post(struct est_talk *t, enum est_op op, struct fetch_answer *a, struct bytes body,
    int (*make)(void *, const struct fetch_connection *, struct buf *, struct err *), void *ctx, struct err *e) MUST_CHECK;
/* --trust-out: the anchors for next time, rolled over by est_bag_rollover(); nothing without that option. */
int est_talk_write_trust(const struct est_talk *t, const struct cli *c, const struct est_bag *bag, struct err *e) MUST_CHECK;
/* An answer that is no success, as an error: status, the server's first line, the request's id. */
int est_talk_refusal(const struct fetch_answer *a, enum est_op op, struct err *e);

#endif
