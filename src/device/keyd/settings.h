/* SPDX-License-Identifier: Apache-2.0 */
/* keyd/settings.h - keyd's configuration as values */
#ifndef DEVICE_KEYD_SETTINGS_H
#define DEVICE_KEYD_SETTINGS_H

#include "device/service/place.h"
#include "device/service/principal.h"
#include "device/service/settings.h"
#include "device/service/stem.h"

/* The key that makes handles: nobody reaches it through the API. */
#define KEYD_HANDLE_KEY_ID "handle-validation-key"

/* [preloaded_keys] ID = "file:///..." or "pkcs11:..." */
struct keyd_preloaded {
	char *id;
	char *path;      /* NULL: not a file ... */
	char *scheme;    /* ... but this: "pkcs11", "tpm"; the rest may hold a PIN and is not kept */
};

struct keyd_settings {
	char *home;               /* [aziot_keys] homedir_path */
	char *socket;             /* [endpoints] aziot_keyd; NULL: the place's */
	unsigned max_requests;
	bool close_when_full;
	bool token;               /* a PKCS#11 token is to hold new keys: there is no such back end */
	bool bind;                /* [handles] bind: handles are bound to user, generation and time */
	bool bind_given;          /* it is configured; otherwise the home says (keyd.c) */
	int64_t lifetime_s;       /* [handles] lifetime; 0: no end */
	size_t n_preloaded;
	struct keyd_preloaded *preloaded;
	struct principals *principals;
};

/*
 * The values of a merged configuration.  What is wrong (also an unknown name in [aziot_keys]) is E_FORMAT with
 * file:line:column and key; what is odd is told to warn.
 */
int keyd_settings_read(struct keyd_settings **out, const struct toml *doc, const struct place *p,
    void (*warn)(void *ctx, const char *text), void *ctx, struct err *e) MUST_CHECK;
void keyd_settings_free(struct keyd_settings *s);
AUTO_DEFINE(keyd_settings, keyd_settings_free)
const struct keyd_preloaded *keyd_preloaded(const struct keyd_settings *s, const char *id); /* NULL: none */
/*
 * Take over from next what a running service can: principals, handles, max_requests.  true when something else is
 * different too, and needs a restart.
 */
bool keyd_settings_adopt(struct keyd_settings *now, struct keyd_settings *next);

#endif
