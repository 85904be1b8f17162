/* SPDX-License-Identifier: Apache-2.0 */
/* agent/iotedge.c - the verbs of iotedge that are about containers, which do not run here; and its version */
#include <stdio.h>

#include "core/cmd/cli.h"
#include "device/agent/agent.h"

static const char hint[] =
    "keys, certificates and provisioning are served: see 'iotedge system status' and 'iotedge status'";

static int
no_runtime(struct cli *c, const char *deed)
{
	struct err e;

	(void)err_set(&e, E_UNAVAIL, "%s: no Edge runtime is here: modules are containers that the Azure IoT "
	    "Edge daemon runs, and Estuary does not run any", deed);
	return cli_fail(c, &e, hint);
}

static int
run_list(struct cli *c)
{
	if (c->json)
		return no_runtime(c, "list");
	fputs("NAME             STATUS           DESCRIPTION      CONFIG\n", c->out);
	return no_runtime(c, "list");
}

static int
run_restart(struct cli *c)
{
	return no_runtime(c, "restart");
}

static int
run_logs(struct cli *c)
{
	return no_runtime(c, "logs");
}

static int
run_version(struct cli *c)
{
	AUTO_JSON o = json_object();

	if (!c->json) {
		fprintf(c->out, "%s %s\n", c->program->name, c->program->version);
		return 0;
	}
	json_setf(o, "name", "%s", c->program->name);
	json_setf(o, "version", "%s", c->program->version);
	cli_print_json(c, o);
	return 0;
}

#define HOST_OPT \
	{ .name = "host", .letter = 'H', .kind = OPT_TEXT, .arg = "URL", .help = "The Edge daemon's API; there is none" }
#define MODULE_ARG { .name = "module", .kind = OPT_TEXT, .arg = "MODULE", .help = "Its name", .required = true }

const struct verb iotedge_verbs[] = {
	{ .name = "list", .help = "List modules: none runs here", .run = run_list,
	  .opts = OPTS(HOST_OPT, AGENT_PREFIX_OPT) },
	{ .name = "restart", .help = "Restart a module: none runs here", .run = run_restart, .pos = OPTS(MODULE_ARG),
	  .opts = OPTS(HOST_OPT, AGENT_PREFIX_OPT) },
	{ .name = "logs", .help = "Logs of a module: none runs here; 'system logs' has the services'", .run = run_logs,
	  .pos = OPTS(MODULE_ARG),
	  .opts = OPTS(
	      { .name = "tail", .kind = OPT_TEXT, .arg = "N", .help = "Lines from the end" },
	      { .name = "since", .kind = OPT_TEXT, .arg = "TIME", .help = "From then on" },
	      { .name = "until", .kind = OPT_TEXT, .arg = "TIME", .help = "Up to then" },
	      { .name = "follow", .letter = 'f', .help = "Go on with what comes" }, HOST_OPT, AGENT_PREFIX_OPT) },
	{ .name = "version", .help = "Show the version", .run = run_version, .opts = OPTS(AGENT_PREFIX_OPT) },
	{ .name = NULL },
};
