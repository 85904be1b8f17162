/* SPDX-License-Identifier: Apache-2.0 */
/* agent/ask.h - asking the device's services, for the verbs */
#ifndef DEVICE_AGENT_ASK_H
#define DEVICE_AGENT_ASK_H

#include "core/cmd/cli.h"

/*
 * One request in Estuary's own API version to "keyd" or "certd" of the verb's --prefix; body NULL: none.  *out is the
 * answer (NULL for 204), or NULL when `text` is given and takes it as it is.  An error status becomes an err with the
 * service's words: E_NOTFOUND (404, or they say so), E_AUTH (401), E_UNAVAIL (429, 503, or nobody listens), E_USAGE
 * (other 4xx), E_IO.
 */
int ask(json_t **out, struct buf *text, const struct cli *c, const char *service, const char *method, const char *path,
    const json_t *body, struct err *e) MUST_CHECK;
/* "/keypair/" and an ID as one path segment, into out. */
const char *ask_path(struct buf *out, const char *before, const char *id);
/* What to do about an error of ask(), for cli_fail(); NULL: nothing that is known. */
const char *ask_hint(const struct err *e);

#endif
