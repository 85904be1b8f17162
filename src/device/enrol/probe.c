/* SPDX-License-Identifier: Apache-2.0 */
/* enrol/probe.c - who is at the other end, and does it still take this credential?  Neither changes anything */
#include <stdio.h>
#include <string.h>

#include "core/base/text.h"
#include "core/pki/trust.h"
#include "device/enrol/enrol_inside.h"
#include "device/enrol/talk.h"

#define PROFILE "; profile="

/* --- which anchor --- */

static int
decode(struct buf *der, struct bytes part[EST_CHAIN_MAX], size_t *n, struct bytes pem)
{
	return pem.n == 0 ? E_NOTFOUND : pem_decode_all(der, part, n, EST_CHAIN_MAX, pem, "CERTIFICATE", NULL);
}

/* Those that cannot be read were no anchors in the handshake either. */
static void
add_all(struct trust *t, const struct bytes *anchors, size_t n)
{
	for (size_t i = 0; i < n; i++)
		(void)!trust_add(t, (uint32_t)i + 1, anchors[i], NULL);
}

/* TLS has verified the chain; this finds out what it ended at, of the job's own anchors. */
static void
note_anchor(struct job_result *r, const struct job *j, const struct fetch_answer *a, int64_t now)
{
	struct bytes anchor[EST_CHAIN_MAX], chain[EST_CHAIN_MAX];
	char name[NAME_TEXT_MAX];
	AUTO_BUF anchor_der = { 0 };
	AUTO_BUF chain_der = { 0 };
	AUTO(trust) t = trust_new();
	size_t n = 0, n_chain = 0;
	uint32_t id = TRUST_ANCHOR_NONE;
	struct cert c;

	if (decode(&anchor_der, anchor, &n, bytes_of_buf(&j->trust)) != 0 ||
	    decode(&chain_der, chain, &n_chain, bytes_of_buf(&a->server_chain_pem)) != 0 || n_chain == 0)
		return;
	add_all(t, anchor, n);
	if (trust_verify(t, chain[0], chain + 1, n_chain - 1, 0, now, &id, NULL) != 0 || id == TRUST_ANCHOR_NONE ||
	    id > n)
		return;
	if (cert_parse(&c, anchor[id - 1], NULL) == 0)
		text_copy(r->anchor, sizeof(r->anchor),
		    c.subject_known ? name_text(&c.subject, name) : "an anchor with an unusual name");
}

/* --- what the server says of the URL: "edge-ca; profile=edge-ca" --- */

static void
note_label(struct job_result *r, const struct fetch_answer *a)
{
	const char *profile = strstr(a->label, PROFILE);
	size_t n = profile != NULL ? (size_t)(profile - a->label) : 0;
	char label[JOB_LABEL_MAX];

	if (n == 0 || n >= sizeof(label))
		return;
	(void)snprintf(label, sizeof(label), "%.*s", (int)n, a->label);
	profile += strlen(PROFILE);
	/* Names as our server has them; whatever else it might be goes nowhere. */
	if (!text_valid_name(label, sizeof(label) - 1) || !text_valid_name(profile, sizeof(r->profile) - 1))
		return;
	text_copy(r->label, sizeof(r->label), label);
	text_copy(r->profile, sizeof(r->profile), profile);
}

/* --- the jobs --- */

void
enrol_probe(struct job_result *r, const struct job *j, int64_t now)
{
	struct fetch_answer a = { 0 };
	struct talk t = { 0 };
	struct err e = { 0 };
	int rc;

	if (talk_open(&t, j, r) == 0) {
		rc = talk_cacerts(&t, &a, &e);
		if (rc == 0) {
			note_anchor(r, j, &a, now);
			note_label(r, &a);
		}
		(void)!talk_judge(r, &t, "cacerts", rc, &a, &e); /* it stands in r */
	}
	talk_close(&t);
	fetch_clear(&a);
}

void
enrol_tls(struct job_result *r, const struct job *j, int64_t now)
{
	struct fetch_answer a = { 0 };
	struct talk t = { 0 };
	struct err e = { 0 };
	int rc;

	if (talk_open(&t, j, r) == 0) {
		rc = talk_connect(&t, &a, &e);
		if (rc == 0)
			note_anchor(r, j, &a, now);
		else
			(void)!talk_judge(r, &t, "", rc, &a, &e); /* it stands in r */
	}
	talk_close(&t);
	fetch_clear(&a);
}
