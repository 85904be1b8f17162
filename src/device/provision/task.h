/* SPDX-License-Identifier: Apache-2.0 */
/* provision/task.h - one piece of identityd's work that touches the network, a key or another service; a worker does it */
#ifndef DEVICE_PROVISION_TASK_H
#define DEVICE_PROVISION_TASK_H

#include "core/codec/json.h"
#include "device/service/place.h"
#include "device/service/stem.h"

enum task_kind {
	TASK_NONE,
	/* The provisioning service.  TASK_DPS registers and asks until the device is assigned, or the deadline. */
	TASK_DPS,
	/* One call to the hub's module registry. */
	TASK_MODULE_LIST, TASK_MODULE_GET, TASK_MODULE_CREATE /* create, derive both keys, update */, TASK_MODULE_UPDATE, TASK_MODULE_DELETE,
	/* Keys of keyd.  A handle is made for args.uid (POST /handle) when that is not our own. */
	TASK_KEY_HANDLE,      /* of a pair (args.pair true) or a symmetric key; E_NOTFOUND is "key-missing" */
	TASK_MODULE_HANDLE,   /* derived primary key of a module */
	/* Certificates through certd. */
	TASK_CERT_ISSUE,      /* make args.key unless it exists (args.fresh: delete it first), a request, POST /certificates */
	TASK_CERT_GET,        /* GET /certificates/ID; "cert-missing" */
	TASK_CERT_PUT,        /* PUT */
	TASK_CERT_DELETE,     /* DELETE; missing is success */
	TASK_KEY_SWITCH,      /* keyd_switch(args.key, args.from, args.spki) */
	TASK_KEY_PROVE,       /* keyd_prove(args.key): its previous generation goes; an original keyd has none: success */
	TASK_KEY_DELETE,      /* the pair args.key; missing is success */
	TASK_LOCAL_ID,        /* a pair made here and given away, its certificate from certd */
	TASK_KIND_COUNT
};
const char *task_kind_name(enum task_kind k); /* "dps", "module-list", ... */

#define TASK_DEADLINE_S 100 /* of a task as a whole, unless its args say otherwise */
unsigned task_deadline_s(const json_t *args);

/* What came of it; the order is the protocol's. */
enum task_outcome {
	TASK_DONE,
	TASK_NO_SERVER,       /* no connection, or it broke off, or its time was over: try later */
	TASK_BUSY,            /* 429, 5xx, or still "assigning" at the deadline: try later, not before retry_after_s */
	TASK_UNTRUSTED,       /* the server is not who it should be; nothing was sent */
	TASK_REFUSED,         /* 401, 403, a TLS alert: this credential does not open the door */
	TASK_DISABLED,        /* the service says that this device is disabled or blocked */
	TASK_FAILED,          /* the service says that it failed, for good as it seems: error_code and words */
	TASK_NOT_FOUND,       /* 404 of the hub; "key-missing", "cert-missing" */
	TASK_BAD_ANSWER,      /* malformed */
	TASK_KEY_FAILED,      /* keyd: not reachable or not authorised */
	TASK_CERT_FAILED,     /* certd: the same, or it could not issue */
	TASK_BAD_TASK,        /* the configuration cannot work */
	TASK_DIED,            /* the worker ended without an answer, or its time was over */
	TASK_OUTCOME_COUNT
};
const char *task_outcome_name(enum task_outcome o); /* "done", "no-server", ... */
/* May the same task succeed later without anybody's doing? */
bool task_outcome_retry(enum task_outcome o);

#define TASK_TEXT_MAX 600

/* args and value are JSON objects; provision/task.c holds one table {kind, members, types} that both ends check against:
 *
 *  all:       keyd, certd (sockets, text), deadline_s (number; 0: 100), proxy, no_proxy (text, "" none),
 *             trust (PEM beside the system's anchors, "" none), trust_ids ([certificate IDs of certd, read from it before any
 *             connection; one that is not there is TASK_BAD_TASK]), trust_system (bool), attempts (number, >= 1),
 *             timeout_s (of one HTTP attempt)
 *  cloud:     auth "x509" (with chain: PEM, key: ID of the pair) | "sas" (key: ID of the symmetric key) | "tpm"
 *  dps:       endpoint, scope, registration, payload (any JSON or null)
 *             -> hub, device_id, status, substatus, payload (any or null)
 *  module-*:  hub, gateway ("" none), device, module, managed_by -> {module} or {modules: [...]}, as the hub says, without "authentication"
 *  module-create, -update, module-handle: master (ID of the key, made unless it exists), module, generation (of -handle), uid
 *             -> {handle}, the first two with {module} as well
 *  key-handle: key, pair (bool), uid (absent: our own) -> {handle}, and of a pair of our own its spki, where that can be had
 *  cert-issue: id, key, algorithms, fresh (bool), subject ([["CN","x"],...]), client_auth (bool) -> {pem, spki base64}
 *  cert-get/-put/-delete: id, (pem) -> {pem} / {} / {}
 *  key-switch: key, from, spki -> {}; key-prove, key-delete: key -> {}
 *  local-id:  id (certificate), subject, server (bool), dns ([names]) -> {pem, key PEM, not_after}
 *
 * All in one flat object.  Members that are not needed may be left out; those that a kind does not have are refused.  Where
 * something is missing value has "check": "key-missing" or "cert-missing"; what was odd but taken is in "note".
 */
struct task_result {
	enum task_outcome outcome;
	char text[TASK_TEXT_MAX];      /* what happened, to what, what to do next; one line */
	unsigned http_status;          /* 0: none */
	int64_t error_code;            /* the service's; 0: none */
	int64_t retry_after_s;         /* -1: none said */
	int64_t server_date;           /* 0: none */
	json_t *value;                 /* object; never NULL */
};
void task_result_clear(struct task_result *r);

/* Octets of a message; decoding checks kinds, members, types and sizes.  E_FORMAT. */
void task_encode(struct buf *out, enum task_kind k, const json_t *args);
int task_decode(enum task_kind *k, json_t **args, struct bytes message, struct err *e) MUST_CHECK;
void task_result_encode(struct buf *out, const struct task_result *r);
int task_result_decode(struct task_result *out, struct bytes message, struct err *e) MUST_CHECK;

/* Do it, blocking; now is UTC seconds.  In the worker alone. */
void task_run(struct task_result *r, enum task_kind k, const json_t *args, int64_t now);

#endif
