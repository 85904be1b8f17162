/* SPDX-License-Identifier: Apache-2.0 */
/* cli/mode.h - what quickstart makes: the usual server, or one with the settings of another that people know */
#ifndef CLI_MODE_H
#define CLI_MODE_H

#include <stdbool.h>
#include <stdint.h>

/* One object of the server, made unless one of its name is there; the args of its message, JSON.  A list ends with name NULL. */
struct mode_object {
	const char *name, *args;
};

/* All that differs between modes stands in here: no other code asks which one it is. */
struct mode {
	const char *compat;                  /* as --compat calls it; "": the usual server */
	const char *server_name;             /* where no --name is given; NULL: the host's */
	bool loopback;                       /* without --name and --address this machine alone reaches it */
	uint16_t device_port;
	const char *issuer;                  /* CA that issues: "issuing" below the root, or "root" itself */
	const char *tls_profile;
	const struct mode_object *profiles;  /* beside those of the box */
	const struct mode_object *labels;
	const char *code;                    /* credential.add of a first code; NULL: none */
	const char *user, *password;         /* shared by all devices; NULL: none */
	const char *warning;                 /* said at each start; NULL: nothing to warn of */
};

/* By the name of --compat, "" for the usual server; NULL when there is none. */
const struct mode *mode_find(const char *compat);

#endif
