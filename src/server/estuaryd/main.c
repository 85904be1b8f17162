/* SPDX-License-Identifier: Apache-2.0 */
/* estuaryd/main.c - the server's command line */
#include <getopt.h>
#include <stdio.h>
#include <sys/stat.h>

#include "core/base/file.h"
#include "core/sys/log.h"
#include "server/estuaryd/config.h"
#include "server/estuaryd/supervisor.h"
#include "server/estuaryd/usage.h"
#include "server/proto/proto.h"

static const struct option options[] = {
	{ "config", required_argument, NULL, 'c' },
	{ "check", no_argument, NULL, 'k' },
	{ "sample", no_argument, NULL, 's' },
	{ "man", required_argument, NULL, 'm' },
	{ "version", no_argument, NULL, 'v' },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

static int
fail(const struct err *e)
{
	(void)fprintf(stderr, "estuaryd: %s\n", e->msg);
	return err_row(e->code)->exit_status;
}

static int
print(const char *text)
{
	struct err e;

	if (fputs(text, stdout) >= 0 && fflush(stdout) == 0)
		return 0;
	(void)err_errno(&e, E_IO, "standard output");
	return fail(&e);
}

static int
print_made(void (*make)(struct buf *out))
{
	AUTO_BUF out = { 0 };

	make(&out);
	return print(buf_str(&out));
}

static int
write_man(const char *dir)
{
	AUTO_BUF page = { 0 };
	char path[SETTINGS_PATH_MAX];
	struct err e = { 0 };
	int n = snprintf(path, sizeof(path), "%s/estuaryd.8", dir), r;

	usage_man(&page);
	r = n < 0 || (size_t)n >= sizeof(path) ? err_set(&e, E_USAGE, "%.40s...: name too long", dir) : file_mkdir(dir, 0755, &e);
	if (r == 0)
		r = file_write(path, bytes_of_buf(&page), 0644, &e);
	return r != 0 ? fail(&e) : 0;
}

/* What was given is not understood; how it is used follows on standard error. */
static int
misused(void)
{
	AUTO_BUF out = { 0 };

	usage_help(&out);
	(void)fputs(buf_str(&out), stderr);
	return err_row(E_USAGE)->exit_status;
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
	if (check) {
		AUTO_BUF good = { 0 };

		buf_printf(&good, "%s: good\n", config);
		return print(buf_str(&good));
	}
	(void)umask(077);
	log_open(role_name(ROLE_SUPERVISOR));
	return supervisor_run(config, &s, &e) != 0 ? fail(&e) : 0;
}

int
main(int argc, char **argv)
{
	const char *config = USAGE_CONFIG;
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
			return print_made(config_sample);
		case 'v':
			return print("estuaryd " ESTUARY_VERSION "\n");
		case 'h':
			return print_made(usage_help);
		case 'm':
			return write_man(optarg);
		default:
			return misused();
		}
	}
	if (optind != argc) {
		(void)fprintf(stderr, "estuaryd: '%s': no arguments are taken\n", argv[optind]);
		return misused();
	}
	return run(config, check);
}
