/* SPDX-License-Identifier: Apache-2.0 */
/* provision/token.h - a shared access signature: is it for this, in its time, and by this key? */
#ifndef SERVER_PROVISION_TOKEN_H
#define SERVER_PROVISION_TOKEN_H

#include "server/proto/ask.h"

/* Why it is no good before its signature is looked at; NULL: nothing is wrong.  *text is for people. */
const char *token_unfit(const struct ask_token *t, int64_t now, const char **text);
/* For the provisioning service: sr is SCOPE/registrations/REGISTRATION in any case (ASCII), skn "registration" or none. */
const char *token_unfit_to_register(const struct ask_token *t, const char *scope, const char *registration,
    const char **text);
/* For a hub: sr is HUB/devices/DEVICE in any case; what a key is called there is its business. */
bool token_is_for_hub(const struct ask_token *t, const char *hub, const char *device);
/*
 * Is it signed with this key?  HMAC-SHA256 of sr, a newline, se, as the two stood in the header: clients sign the
 * resource as they send it, percent-encoded.  In constant time; no key signs nothing.
 */
bool token_signed(const struct ask_token *t, struct bytes key);

#endif
