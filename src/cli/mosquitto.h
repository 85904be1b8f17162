/* SPDX-License-Identifier: Apache-2.0 */
/* cli/mosquitto.h - estuary hub mosquitto: the configuration of a broker that takes this server's devices */
#ifndef CLI_MOSQUITTO_H
#define CLI_MOSQUITTO_H

#include "core/cmd/cli.h"

/* run of the verb; the exit status. */
int mosquitto_write(struct cli *c);

#endif
