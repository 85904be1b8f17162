/* SPDX-License-Identifier: Apache-2.0 */
/* cli/setup.h - what a new server needs before devices can come: CAs, TLS certificate, labels, operator, code */
#ifndef CLI_SETUP_H
#define CLI_SETUP_H

#include "cli/mode.h"
#include "cli/op.h"
#include "core/pki/name.h"

struct setup {
	const struct cli *c;
	const struct mode *mode;   /* what is to be made */
	const char *dir;           /* absolute */
	struct op_server server;
	struct sans sans;          /* of the TLS certificate, the server's own name first */
	const char *name;          /* that name */
	json_t *doc;               /* quickstart.json: names, addresses, and what is shown once */
	bool force, new_key;       /* setup_tls() makes a certificate also when there is a good one; with a key of its own */
	char hint[OP_HINT_MAX];    /* to the last error */
};

/*
 * Each makes what is missing and leaves what is there, so that a run that was
 * killed anywhere is completed by the next one.  Secrets are in quickstart.json (0600) before the next step.
 */
int setup_cas(struct setup *s, struct err *e) MUST_CHECK;      /* root and what issues below it, root.pem; root_pin into doc */
int setup_tls(struct setup *s, bool *fresh, struct err *e) MUST_CHECK; /* tls/server.key and .pem; renewed after two thirds of its life, and when it is revoked */
int setup_labels(struct setup *s, struct err *e) MUST_CHECK;   /* the mode's profiles and labels */
int setup_user(struct setup *s, struct err *e) MUST_CHECK;     /* the user whom all devices share, where the mode has one */
int setup_operator(struct setup *s, struct err *e) MUST_CHECK; /* operator_token into doc */
int setup_code(struct setup *s, struct err *e) MUST_CHECK;     /* code into doc, where the mode has one */
/* ID scope and, where there is no hub, this server for one; id_scope, dps_endpoint into doc */
int setup_provisioning(struct setup *s, struct err *e) MUST_CHECK;

/* Write doc to dir/quickstart.json. */
int setup_save(const struct setup *s, struct err *e) MUST_CHECK;
/* Does chain_pem's first certificate fit the key and the names, and is more than a third of its life left at `now`? */
bool setup_tls_good(struct bytes chain_pem, struct bytes key_pem, const struct sans *sans, int64_t now);

#endif
