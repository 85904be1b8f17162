/* SPDX-License-Identifier: Apache-2.0 */
/* estuaryd/supervisor.h - starts the roles, wires them, and keeps them running; reads nothing from the network */
#ifndef SERVER_ESTUARYD_SUPERVISOR_H
#define SERVER_ESTUARYD_SUPERVISOR_H

#include "server/proto/settings.h"

/*
 * Run the server that *s describes, read from the file `config`, until SIGTERM or
 * SIGINT; then 0, when all roles have left.  SIGHUP, or an operator's wish by
 * the authority, reads the file again; a bad file changes nothing.  Errors are those of the start:
 * E_EXISTS (another server on this directory), E_NOTFOUND (a role's executable, the user), E_IO.
 */
int supervisor_run(const char *config, const struct settings *s, struct err *e) MUST_CHECK;

#endif
