/* SPDX-License-Identifier: Apache-2.0 */
/* console/main.c - the console's process */
#include "server/console/console.h"

int
main(void)
{
	struct loop *l = loop_new();
	struct console *c = console_new(l);
	int status = role_main(ROLE_CONSOLE, &console_hooks, c, l);

	console_free(c);
	loop_free(l);
	return status;
}
