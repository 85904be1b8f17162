/* SPDX-License-Identifier: Apache-2.0 */
/* agent/services.c - the services as verbs */
#include <stdio.h>
#include <unistd.h>

#include "core/cmd/cli.h"
#include "core/sys/spawn.h"
#include "device/agent/agent.h"
#include "device/certd/certd.h"
#include "device/identityd/identityd.h"
#include "device/keyd/keyd.h"
#include "device/service/place.h"

/* A service's worker; room: its place in a build directory. */
static int
find_worker(char path[AGENT_PATH_SIZE], const char *name, const char *room, struct err *e)
{
	const char *const places[] = { ".", "../libexec/estuary", "../estuary", room };
	char dir[AGENT_PATH_SIZE / 2];
	int r = spawn_self_dir(dir, sizeof(dir), e);

	if (r != 0)
		return r;
	for (size_t i = 0; i < N_OF(places); i++) {
		(void)snprintf(path, AGENT_PATH_SIZE, "%s/%s/%s", dir, places[i], name);
		if (access(path, X_OK) == 0)
			return 0;
	}
	return err_set(e, E_NOTFOUND, "%s: not beside %s/estuary-agent, nor in ../libexec/estuary", name, dir);
}

int
agent_find_worker(char path[AGENT_PATH_SIZE], struct err *e)
{
	return find_worker(path, "certd-worker", "../enrol", e);
}

static int
run_keyd(struct cli *c)
{
	struct place p;
	struct err e;

	if (place_find(&p, "keyd", cli_text(c, "prefix"), &e) != 0)
		return cli_fail(c, &e, NULL);
	return keyd_main(&p);
}

static int
run_certd(struct cli *c)
{
	char worker[AGENT_PATH_SIZE];
	struct place p;
	struct err e;

	if (place_find(&p, "certd", cli_text(c, "prefix"), &e) != 0 || agent_find_worker(worker, &e) != 0)
		return cli_fail(c, &e, NULL);
	return certd_main(&p, worker);
}

static int
run_identityd(struct cli *c)
{
	char worker[AGENT_PATH_SIZE];
	struct place p;
	struct err e;

	if (place_find(&p, "identityd", cli_text(c, "prefix"), &e) != 0 ||
	    find_worker(worker, "identityd-worker", "../provision", &e) != 0)
		return cli_fail(c, &e, NULL);
	return identityd_main(&p, worker);
}

const struct verb service_verbs[] = {
	{ .name = "keyd", .help = "Run the Keys Service in the foreground", .run = run_keyd, .no_json = true,
	  .text = "Holds the device's keys and uses them for those who may. Serves /run/aziot/keyd.sock, or the socket that "
	      "systemd passes. SIGHUP reads the configuration again; SIGTERM ends it when the requests under way are answered.",
	  .opts = OPTS(AGENT_PREFIX_OPT), .example = "estuary-agent keyd --prefix /srv/scratch" },
	{ .name = "certd", .help = "Run the Certificates Service in the foreground", .run = run_certd, .no_json = true,
	  .text = "Issues certificates over EST, by a local CA or self-signed, and renews those that it keeps itself. Serves "
	      "/run/aziot/certd.sock, or the socket that systemd passes. SIGHUP reads the configuration again; SIGTERM ends "
	      "it when the requests under way are answered.",
	  .opts = OPTS(AGENT_PREFIX_OPT), .example = "estuary-agent certd --prefix /srv/scratch" },
	{ .name = "identityd", .help = "Run the Identity Service in the foreground", .run = run_identityd, .no_json = true,
	  .text = "Has the device provisioned, by a provisioning service (DPS) or as its configuration says, keeps its identity "
	      "certificate fresh, and gives processes on the device their identities and modules. Serves "
	      "/run/aziot/identityd.sock, or the socket that systemd passes. SIGHUP reads the configuration again; SIGTERM "
	      "ends it when the requests under way are answered.",
	  .opts = OPTS(AGENT_PREFIX_OPT), .example = "estuary-agent identityd --prefix /srv/scratch" },
	{ .name = NULL },
};
