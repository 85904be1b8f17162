/* SPDX-License-Identifier: Apache-2.0 */
/* enrol/job.h - one piece of work that touches the network or a key, done by a worker process for certd */
#ifndef DEVICE_ENROL_JOB_H
#define DEVICE_ENROL_JOB_H

#include "core/base/bytes.h"
#include "core/pki/cert.h"
#include "device/service/place.h"
#include "device/service/stem.h"

enum job_kind {
	JOB_EST = 1,     /* one enrolment over EST: handshake, /cacerts, request, answer, checks */
	JOB_PROBE,       /* GET /cacerts with the client pair: does the server still take it? */
	JOB_SIGN,        /* local issuance: by an issuer's certificate and key, or self-signed */
	JOB_MATCH,       /* is the key `client_key` the one of the first certificate in `client_chain`? */
	JOB_SPKI,        /* the public key of pair `client_key` (E_NOTFOUND: none) */
	JOB_SWITCH,      /* keyd_switch(client_key, key_from, spki) */
	JOB_PROVE,       /* keyd_prove(client_key) */
	JOB_ROLLBACK,    /* keyd_rollback(client_key) */
	JOB_DELETE,      /* delete the pair client_key; none is success */
	JOB_TLS,         /* connect to `url`, verify who is there, and go: nothing is asked */
	JOB_KIND_COUNT
};

/* What came of it; the order is the protocol's. */
enum job_outcome {
	JOB_DONE,
	JOB_PENDING,          /* 202: ask again, with the same key, after retry_after_s */
	JOB_NO_SERVER,        /* no connection, or it broke off: try later */
	JOB_BUSY,             /* 429, 503, or another 5xx */
	JOB_SERVER_UNTRUSTED, /* its certificate or name did not fit; nothing was sent */
	JOB_CLIENT_REFUSED,   /* a TLS alert, 401 or 403, but never over http: this credential does not open the door */
	JOB_REQUEST_REFUSED,  /* another 4xx: the request itself */
	JOB_BAD_ANSWER,       /* malformed, or not for us: `check` says which of the named checks failed */
	JOB_KEY_FAILED,       /* keyd: not reachable, no such key, not authorised */
	JOB_BAD_JOB,          /* the configuration cannot work (URL, certificate unreadable) */
	JOB_DIED,             /* the worker ended without an answer, or its time was over */
	JOB_OUTCOME_COUNT
};
const char *job_outcome_name(enum job_outcome o); /* "done", "pending", "no-server", ... */

#define JOB_URL_MAX     1024
#define JOB_TEXT_MAX    400
#define JOB_CHECK_MAX   32   /* octets of a named check, NUL included */
#define JOB_NAME_MAX    200  /* of a distinguished name, cut */
#define JOB_LABEL_MAX   65
#define JOB_PEM_MAX     ((size_t)256 * 1024)
#define JOB_HEADERS_MAX 16
#define JOB_DEADLINE_S  60   /* of an EST job as a whole, unless said otherwise */

/* Every member is owned (job_clear); a text that is "" or a buf that is empty is not given. */
struct job {
	enum job_kind kind;
	char keyd_socket[PLACE_MAX];
	/* The client's pair, for JOB_EST, JOB_PROBE and the key jobs. */
	struct buf client_chain;          /* PEM, leaf first; empty: no client certificate */
	char client_key[ID_MAX];          /* key ID */
	/* Where, and as whom beside the pair. */
	char url[JOB_URL_MAX];            /* base, any path; "simpleenroll" and "cacerts" are appended */
	bool reenroll;                    /* use simplereenroll */
	bool plain_http;                  /* http: was configured on purpose */
	char user[256];                   /* Basic; "": none */
	struct buf password;
	size_t n_headers;
	char header[JOB_HEADERS_MAX][512]; /* "Name: value" */
	char proxy[JOB_URL_MAX], no_proxy[JOB_URL_MAX];
	struct buf trust;                 /* PEM anchors */
	bool trust_system;                /* the system's as well */
	unsigned deadline_s;              /* 0: JOB_DEADLINE_S */
	/* The request: either made by somebody else ... */
	struct buf csr;                   /* DER or PEM */
	/* ... or made here with a pair of keyd. */
	char key[ID_MAX];                 /* key ID */
	bool create_key;                  /* make it unless it exists */
	char algorithms[128];             /* for that; "": the service's preference */
	struct name subject;              /* n 0: as in `old` */
	struct sans sans;                 /* n 0: as in `old` */
	bool want_ca, client_auth;        /* what the request asks for */
	/* Put tls-exporter or tls-unique into the request (RFC 7030 3.5, RFC 9266); only into one that is made here. */
	bool bind_channel;
	/* What the answer must fit. */
	struct buf old;                   /* PEM of the certificate that is to be renewed; names must be as before */
	bool any_name;                    /* the server chooses the names: a difference is told, not refused */
	/* JOB_SIGN. */
	struct buf issuer_chain;          /* PEM; empty: self-signed */
	char issuer_key[ID_MAX];          /* key ID, or "" and ... */
	struct buf issuer_handle;         /* ... a handle that the caller gave, ... */
	uint32_t issuer_holder;           /* ... and who that is (uid): the handle must be his */
	unsigned days;
	bool allow_ca;                    /* the issuance entry says that this may be a CA */
	int pathlen;                      /* then: at most this; -1 none */
	uint32_t allow_ku;                /* KeyUsage bits that the entry allows; 0: the policy's default */
	size_t n_allow_eku;
	enum oid allow_eku[CERT_EKU_MAX]; /* n 0: the policy's default (serverAuth, clientAuth) */
	bool force_subject;               /* `subject` replaces the request's */
	/* JOB_SWITCH. */
	char key_from[ID_MAX];
	struct buf spki;
	/* Of a caller who is root: the worker becomes this user before it does anything. */
	bool drop;
	uint32_t drop_uid, drop_gid;
};

struct job_result {
	enum job_outcome outcome;
	/*
	 * JOB_BAD_ANSWER: "wrong-key" (also of JOB_MATCH: not its key), "wrong-name", "expired", "not-yet-valid",
	 * "is-a-ca", "untrusted", "garbage", "truncated", "too-big", "wrong-type", "wrong-status", "redirect", "empty".
	 * JOB_SERVER_UNTRUSTED: "untrusted".  JOB_KEY_FAILED: "not-found", "not-authorised".  JOB_SIGN: "wrong-key".
	 * Otherwise "".
	 */
	char check[JOB_CHECK_MAX];
	char text[JOB_TEXT_MAX];          /* one line: what happened, to what, what to do */
	char note[JOB_TEXT_MAX];          /* what was odd but taken */
	char request_id[64];              /* the server's */
	unsigned http_status;             /* 0: none */
	int64_t retry_after_s;            /* -1: none said; otherwise 1 s to a day */
	int64_t server_date;              /* what the server's clock said, UTC; 0: nothing */
	bool authenticated;               /* the server took the client pair: no 400, 401, 403, 429, 5xx */
	/* JOB_PROBE, JOB_TLS: the subject of the anchor that the server's certificate chains to; "": one of the system's, or none. */
	char anchor[JOB_NAME_MAX];
	/* JOB_PROBE: what the server says is behind the URL; "": it does not say. */
	char label[JOB_LABEL_MAX], profile[JOB_LABEL_MAX];
	struct buf chain;                 /* PEM: leaf, its issuers, the rest of /cacerts; each once */
	struct buf trust_next;            /* PEM: /cacerts, when a new root in it is vouched for; to be judged again by whoever keeps anchors */
	struct buf spki;                  /* JOB_SPKI; of `key` when a request was made here, also if it failed later */
};

void job_clear(struct job *j);             /* wipes */
void job_result_clear(struct job_result *r);
void job_encode(struct buf *out, const struct job *j);
int job_decode(struct job *out, struct bytes message, struct err *e) MUST_CHECK;
void job_result_encode(struct buf *out, const struct job_result *r);
int job_result_decode(struct job_result *out, struct bytes message, struct err *e) MUST_CHECK;

/* Message types on the worker's control pipe. */
#define JOB_MESSAGE        1
#define JOB_RESULT_MESSAGE 2

#endif
