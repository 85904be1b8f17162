/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/program.c - find the verb, parse its options, run it */
#include "core/cmd/program.h"

#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "core/cmd/cli.h"
#include "core/cmd/help.h"
#include "core/cmd/man.h"

static int
usage(const struct cli *c, const struct err *e)
{
	char hint[96];

	(void)snprintf(hint, sizeof(hint), "`%s help` lists the verbs", c->program->name);
	return cli_fail(c, e, hint);
}

/* No such verb: say what is near. */
static int
unknown(const struct cli *c, const char *group, const char *name)
{
	struct err e;
	char near[64], ask[128] = "";
	const char *best = verb_near(c->program, group, name, near, sizeof(near));

	if (best == NULL && group == NULL)
		best = verb_near_group(c->program, name);
	if (best != NULL)
		(void)snprintf(ask, sizeof(ask), "; did you mean `%s %s`?", c->program->name, best);
	(void)err_set(&e, E_USAGE, "%s%s%s: no such verb%s", group != NULL ? group : "",
	    group != NULL ? " " : "", name, ask);
	return usage(c, &e);
}

/* help [GROUP] [VERB] */
static int
help(const struct cli *c, int argc, char **argv)
{
	const struct verb *v;

	if (argc < 2) {
		help_overview(c->out, c->program);
		return EXIT_SUCCESS;
	}
	v = argc > 2 ? verb_find(c->program, argv[1], argv[2]) : verb_find(c->program, NULL, argv[1]);
	if (v != NULL)
		help_verb(c->out, c->program, v);
	else if (argc == 2 && verb_is_group(c->program, argv[1]))
		help_group(c->out, c->program, argv[1]);
	else
		return argc > 2 ? unknown(c, argv[1], argv[2]) : unknown(c, NULL, argv[1]);
	return EXIT_SUCCESS;
}

/* What stands before any verb: --help, --version, --man DIR, --completion. */
static int
top_option(const struct cli *c, int argc, char **argv)
{
	struct err e;

	if (strcmp(argv[0], "--help") == 0 || strcmp(argv[0], "-h") == 0) {
		help_overview(c->out, c->program);
	} else if (strcmp(argv[0], "--version") == 0) {
		fprintf(c->out, "%s %s\n", c->program->name, c->program->version);
	} else if (strcmp(argv[0], "--completion") == 0) {
		help_completion(c->out, c->program);
	} else if (strcmp(argv[0], "--man") == 0 && argc == 2) {
		if (man_write(c->program, argv[1], &e) != 0)
			return cli_fail(c, &e, NULL);
	} else {
		(void)err_set(&e, E_USAGE, strcmp(argv[0], "--man") == 0 ? "%s: needs a directory" :
		    "%s: no such option before a verb", argv[0]);
		return usage(c, &e);
	}
	return EXIT_SUCCESS;
}

static int
run(struct cli *c, const struct verb *v, int argc, char **argv)
{
	struct err e;
	char hint[128], title[64];
	bool want_help = false;
	int status;

	if (cli_parse(c, v, argc, argv, &want_help, &e) != 0) {
		(void)snprintf(hint, sizeof(hint), "`%s help %s`", c->program->name, verb_title(v, title, sizeof(title)));
		status = cli_fail(c, &e, hint);
	} else if (want_help) {
		help_verb(c->out, c->program, v);
		status = EXIT_SUCCESS;
	} else {
		status = v->run(c);
	}
	cli_clear(c);
	return status;
}

int
program_run(struct cli *c, int argc, char **argv)
{
	const struct verb *v;

	if (argc == 0) {
		help_overview(c->err, c->program);
		return err_row(E_USAGE)->exit_status;
	}
	if (argv[0][0] == '-')
		return top_option(c, argc, argv);
	if (strcmp(argv[0], "help") == 0)
		return help(c, argc, argv);
	v = verb_find(c->program, NULL, argv[0]);
	if (v != NULL)
		return run(c, v, argc, argv);
	if (!verb_is_group(c->program, argv[0]))
		return unknown(c, NULL, argv[0]);
	if (argc == 1 || argv[1][0] == '-') {
		help_group(argc == 1 ? c->err : c->out, c->program, argv[0]);
		return argc == 1 ? err_row(E_USAGE)->exit_status : EXIT_SUCCESS;
	}
	v = verb_find(c->program, argv[0], argv[1]);
	return v != NULL ? run(c, v, argc - 1, argv + 1) : unknown(c, argv[0], argv[1]);
}

static unsigned
terminal_width(void)
{
	struct winsize w = { 0 };

	return ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) == 0 ? w.ws_col : 0;
}

/* A descriptor that is closed at the start would be the next file's that is opened, and take what we print. */
static void
keep_descriptors(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0)
			(void)open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY); /* the lowest that is free: fd */
}

/* Nobody reads any more, as behind `| head`: that needs no words. */
static bool
reader_left(void)
{
	struct pollfd p = { .fd = STDOUT_FILENO, .events = POLLOUT };

	return poll(&p, 1, 0) == 1 && (p.revents & POLLERR) != 0;
}

/* What was printed must have arrived: a full disk is an error, too.  The exit status. */
static int
arrived(const struct program *p, int status)
{
	bool well = ferror(stdout) == 0;

	errno = 0;
	if (fflush(stdout) == 0 && well)
		return status;
	if (errno != EPIPE && !reader_left())
		fprintf(stderr, "%s: standard output: %s: what was printed is not complete\n", p->name,
		    errno != 0 ? strerror(errno) : "an error");
	return status == EXIT_SUCCESS ? err_row(E_IO)->exit_status : status;
}

int
program_main(const struct program *p, int argc, char **argv)
{
	struct cli c = { .program = p, .out = stdout, .err = stderr, .argv = argv + 1 };
	int status;

	keep_descriptors();
	(void)setlocale(LC_CTYPE, "");
	(void)signal(SIGPIPE, SIG_IGN);
	c.tty = isatty(STDOUT_FILENO);
	c.colour = c.tty && getenv("NO_COLOR") == NULL;
	c.width = terminal_width();
	status = program_run(&c, argc - 1, argv + 1);
	return arrived(p, status);
}
