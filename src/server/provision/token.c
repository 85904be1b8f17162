/* SPDX-License-Identifier: Apache-2.0 */
/* provision/token.c - a shared access signature */
#include "server/provision/token.h"

#include <stdio.h>

#include "core/base/mem.h"
#include "server/provision/ids.h"
#include "server/provision/provision.h"

static const char *
unfit(const char **text, const char *reason, const char *why)
{
	*text = why;
	return reason;
}

const char *
token_unfit(const struct ask_token *t, int64_t now, const char **text)
{
	if (t->state != ASK_SAS_GIVEN)
		return unfit(text, "dps.token-malformed", "there is no shared access signature");
	if (t->expires <= now - PROVISION_SKEW_S)
		return unfit(text, "dps.token-expired", "the token has ended");
	if (t->expires > now + PROVISION_TOKEN_S + PROVISION_SKEW_S)
		return unfit(text, "dps.token-too-long", "the token ends later than tokens may");
	return NULL;
}

const char *
token_unfit_to_register(const struct ask_token *t, const char *scope, const char *registration, const char **text)
{
	char want[ASK_SR_MAX];

	(void)snprintf(want, sizeof(want), "%s/registrations/%s", scope, registration);
	if (!ids_equal(t->resource, want))
		return unfit(text, "dps.token-resource", "the token is for another resource");
	if (t->skn[0] != 0 && !ids_equal(t->skn, "registration"))
		return unfit(text, "dps.token-key-name", "the token names another key than 'registration'");
	return NULL;
}

bool
token_is_for_hub(const struct ask_token *t, const char *hub, const char *device)
{
	char want[ROW_TEXT_MAX + PROVISION_ID_MAX + 16];

	(void)snprintf(want, sizeof(want), "%s/devices/%s", hub, device);
	return ids_equal(t->resource, want);
}

bool
token_signed(const struct ask_token *t, struct bytes key)
{
	AUTO_BUF text = { 0 };
	uint8_t right[SHA256_LEN];
	bool same;

	if (key.n == 0 || t->state != ASK_SAS_GIVEN)
		return false;
	buf_printf(&text, "%s\n%s", t->sr, t->se);
	hmac_sha256(right, key, bytes_of_buf(&text));
	same = mem_equal_ct(right, t->sig, sizeof(right));
	mem_wipe(right, sizeof(right));
	return same;
}
