/* SPDX-License-Identifier: Apache-2.0 */
/* agent/check.c - check and check-list, as aziotctl and iotedge have them */
#include <stdlib.h>
#include <string.h>

#include "core/cmd/cli.h"
#include "device/agent/agent.h"
#include "device/check/check.h"

/* Words of iotedge about containers and its own daemon: taken, so that scripts go on, and without meaning here. */
static const char *const foreign[] = { "container-engine-config-file", "diagnostics-image-name",
	"expected-aziot-edged-version", "aziot-edged" };

static enum check_output
output_of(const struct cli *c)
{
	const char *wish = cli_text_or(c, "output", c->json ? "json" : "text");

	if (strcmp(wish, "json") == 0)
		return CHECK_JSON;
	return strcmp(wish, "json-stream") == 0 ? CHECK_JSON_STREAM : CHECK_TEXT;
}

/* "--dont-run a b c" and "--dont-run 'a b c'" are both in use. */
static void
put_excluded(struct buf *out, const struct cli *c)
{
	for (size_t i = 0; i < cli_count(c, "dont-run"); i++)
		buf_printf(out, "%s ", cli_at(c, "dont-run", i));
	for (size_t i = 0; i < cli_count(c, "id"); i++)
		buf_printf(out, "%s ", cli_at(c, "id", i));
}

static void
tell_foreign(const struct cli *c)
{
	for (size_t i = 0; i < N_OF(foreign); i++)
		if (cli_has(c, foreign[i]))
			fprintf(c->err, "%s: --%s changes nothing: containers and the Edge daemon are not looked at\n",
			    c->program->name, foreign[i]);
}

static struct check_options
options_of(const struct cli *c)
{
	return (struct check_options){
		.program = c->program->name,
		.prefix = cli_text(c, "prefix"),
		.ntp_server = cli_text(c, "ntp-server"),
		.hub = cli_text(c, "iothub-hostname"),
		.proxy = cli_text(c, "proxy-uri"),
		.expected_version = cli_text(c, "expected-aziot-version"),
		.warnings_as_errors = cli_flag(c, "warnings-as-errors"),
		.verbose = cli_flag(c, "verbose"),
		.output = output_of(c),
		.colour = c->colour,
		.out = c->out,
	};
}

static int
run_check(struct cli *c)
{
	struct check_options o = options_of(c);
	char worker[AGENT_PATH_SIZE], unknown[64];
	AUTO_BUF excluded = { 0 };
	bool ok = false;
	struct err e;

	if (cli_count(c, "id") != 0 && cli_count(c, "dont-run") == 0) {
		(void)err_set(&e, E_USAGE, "%s: one argument too many; IDs belong behind --dont-run", cli_at(c, "id", 0));
		return cli_fail(c, &e, NULL);
	}
	put_excluded(&excluded, c);
	o.dont_run = buf_str(&excluded);
	if (check_unknown(unknown, o.dont_run)[0] != 0) /* scripts name checks of other versions: no reason not to look */
		fprintf(c->err, "%s: --dont-run: no check is called '%s'; '%s check-list' has them all\n", c->program->name,
		    unknown, c->program->name);
	o.worker = worker;
	tell_foreign(c);
	if (agent_find_worker(worker, &e) != 0 || check_run(&ok, &o, &e) != 0)
		return cli_fail(c, &e, NULL);
	return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int
run_list(struct cli *c)
{
	check_list(c->out, c->program->name, output_of(c) != CHECK_TEXT);
	return EXIT_SUCCESS;
}

#define FOREIGN_OPT(n, a) { .name = n, .kind = OPT_TEXT, .arg = a, .help = "Of iotedge; changes nothing here" }

const struct verb check_verbs[] = {
	{ .name = "check", .help = "Look for what is wrong with this device", .run = run_check,
	  .text = "Reads the configuration, the files that it names, the services, the clock, and the servers that "
	      "the device depends on; changes nothing. Each EST server is asked with the certificate that it would be "
	      "shown, by a worker process that is confined as those of the Certificates Service. Run it as root: it looks "
	      "into files of several users. The time server (pool.ntp.org, unless --ntp-server names one) is the only one "
	      "that it speaks to beyond those that are configured; --dont-run host-local-time leaves it out.\n\n"
	      "The exit status is 0 when no check raised an error, 1 when one did, and with --warnings-as-errors also 1 "
	      "when one raised a warning. Checks that do not apply are left out of the text, and are \"ignored\" in JSON.",
	  .opts = OPTS(
	      { .name = "dont-run", .kind = OPT_MANY, .arg = "\"ID ID\"",
	        .help = "Leave these checks out (check-list has the IDs)" },
	      { .name = "output", .letter = 'o', .kind = OPT_TEXT, .arg = "FORMAT", .words = "text|json|json-stream",
	        .help = "The form; json-stream is one value a result, as each is done (default: text)" },
	      { .name = "warnings-as-errors", .kind = OPT_FLAG, .help = "A warning makes the exit status 1, too" },
	      { .name = "verbose", .letter = 'v', .kind = OPT_FLAG,
	        .help = "Show causes, what was skipped, and what was found" },
	      { .name = "ntp-server", .kind = OPT_TEXT, .arg = "HOST:PORT",
	        .help = "Compare the clock with this time server (default: pool.ntp.org:123)" },
	      { .name = "iothub-hostname", .kind = OPT_TEXT, .arg = "HOST",
	        .help = "The IoT hub, when it is not known yet" },
	      { .name = "proxy-uri", .kind = OPT_TEXT, .arg = "URI",
	        .help = "Proxy for HTTPS to hub and provisioning service (default: as configured)" },
	      { .name = "expected-aziot-version", .kind = OPT_TEXT, .arg = "VERSION",
	        .help = "Compare the installed version with this one (default: not compared)" },
	      AGENT_PREFIX_OPT),
	  .more = OPTS(FOREIGN_OPT("container-engine-config-file", "FILE"), FOREIGN_OPT("diagnostics-image-name", "NAME"),
	      FOREIGN_OPT("expected-aziot-edged-version", "VERSION"), FOREIGN_OPT("aziot-edged", "PATH")),
	  .pos = OPTS({ .name = "id", .kind = OPT_MANY, .arg = "ID", .help = "Further IDs of --dont-run" }),
	  .example = "sudo estuary-agent check\n"
	      "estuary-agent check --dont-run \"host-local-time aziot-version\" --warnings-as-errors\n"
	      "estuary-agent check -o json-stream --prefix /srv/scratch" },
	{ .name = "check-list", .help = "List the checks that there are", .run = run_list,
	  .text = "As iotedge there are those of the Edge runtime as well. Of them, the ones that look into containers are "
	      "listed, so that scripts which name them go on, and are always ignored: the container runtime is out of this "
	      "program's scope.",
	  .opts = OPTS({ .name = "output", .letter = 'o', .kind = OPT_TEXT, .arg = "FORMAT", .words = "text|json",
	      .help = "The form (default: text)" }, AGENT_PREFIX_OPT),
	  .example = "estuary-agent check-list -o json" },
	{ .name = NULL },
};
