/* SPDX-License-Identifier: Apache-2.0 */
/* console/console.h - the role that operators talk to: their requests to the authority, its answers back */
#ifndef SERVER_CONSOLE_CONSOLE_H
#define SERVER_CONSOLE_CONSOLE_H

#include "server/proto/role.h"

struct console;

struct console *console_new(struct loop *l);
void console_free(struct console *c);
AUTO_DEFINE(console, console_free)
/* For role_main(), with a struct console as ctx. */
extern const struct role_hooks console_hooks;

#endif
