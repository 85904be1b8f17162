/* SPDX-License-Identifier: Apache-2.0 */
/* estuaryd/main.c - the server's command line */
#include <getopt.h>
#include <stdio.h>
#include <sys/stat.h>

#include "core/sys/log.h"
#include "server/estuaryd/config.h"
#include "server/estuaryd/supervisor.h"
#include "server/proto/proto.h"

#define DEFAULT_CONFIG "/etc/estuary/estuaryd.toml"

static const struct option options[] = {
	{ "config", required_argument, NULL, 'c' },
	{ "check", no_argument, NULL, 'k' },
	{ "sample", no_argument, NULL, 's' },
	{ "version", no_argument, NULL, 'v' },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

static const char usage[] =
    "Usage: estuaryd [-c FILE] [--check]\n"
    "\n"
    "Runs the Estuary server in the foreground until SIGTERM; SIGHUP reads FILE again.\n"
    "\n"
    "  -c, --config FILE  the configuration (default " DEFAULT_CONFIG ")\n"
    "      --check        read it, say what is wrong, and end\n"
    "      --sample       print a configuration with every key explained, and end\n"
    "      --version      print the version, and end\n"
    "      --help         print this, and end\n";

static int
fail(const struct err *e)
{
	(void)fprintf(stderr, "estuaryd: %s\n", e->msg);
	return err_row(e->code)->exit_status;
}

static int
print(const char *text)
{
	return fputs(text, stdout) < 0 || fflush(stdout) != 0 ? err_row(E_IO)->exit_status : 0;
}

static int
print_sample(void)
{
	AUTO_BUF out = { 0 };

	config_sample(&out);
	return print(buf_str(&out));
}

static int
run(const char *config, bool check)
{
	struct settings s;
	struct err e;

	if (config_load(&s, config, &e) != 0) {
		int status = fail(&e);

		if (e.code == E_NOTFOUND)
			(void)fputs("hint: -c says where it is; `estuaryd --sample` prints one\n", stderr);
		return status;
	}
	if (check)
		return printf("%s: good\n", config) < 0 || fflush(stdout) != 0 ? err_row(E_IO)->exit_status : 0;
	(void)umask(077);
	log_open(role_name(ROLE_SUPERVISOR));
	return supervisor_run(config, &s, &e) != 0 ? fail(&e) : 0;
}

int
main(int argc, char **argv)
{
	const char *config = DEFAULT_CONFIG;
	bool check = false;
	int opt;

	while ((opt = getopt_long(argc, argv, "c:h", options, NULL)) != -1) {
		switch (opt) {
		case 'c':
			config = optarg;
			break;
		case 'k':
			check = true;
			break;
		case 's':
			return print_sample();
		case 'v':
			return print("estuaryd " ESTUARY_VERSION "\n");
		case 'h':
			return print(usage);
		default:
			(void)fputs(usage, stderr);
			return err_row(E_USAGE)->exit_status;
		}
	}
	if (optind != argc) {
		(void)fprintf(stderr, "estuaryd: '%s': no arguments are taken\n%s", argv[optind], usage);
		return err_row(E_USAGE)->exit_status;
	}
	return run(config, check);
}
