/* SPDX-License-Identifier: Apache-2.0 */
/* core/cmd/capture.h - a command line whose output a test reads */
#ifndef TESTS_CMD_CAPTURE_H
#define TESTS_CMD_CAPTURE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/cmd/cli.h"

struct capture {
	struct cli c;
	char *out, *err;
	size_t out_n, err_n;
};

static inline void
capture_open(struct capture *x, const struct program *p)
{
	memset(x, 0, sizeof(*x));
	x->c.program = p;
	x->c.out = open_memstream(&x->out, &x->out_n);
	x->c.err = open_memstream(&x->err, &x->err_n);
	assert_non_null(x->c.out);
	assert_non_null(x->c.err);
}

static inline const char *
capture_out(struct capture *x)
{
	fflush(x->c.out);
	return x->out;
}

static inline const char *
capture_err(struct capture *x)
{
	fflush(x->c.err);
	return x->err;
}

static inline void
capture_close(struct capture *x)
{
	cli_clear(&x->c);
	fclose(x->c.out);
	fclose(x->c.err);
	free(x->out);
	free(x->err);
}

/* Parse "words with blanks" as a command line of the verb; argv lives in the caller's scope. */
#define CAPTURE_WORDS 32
struct words {
	char text[1024];
	char *argv[CAPTURE_WORDS + 1];
	int argc;
};

static inline void
capture_words(struct words *w, const char *line)
{
	char *save = NULL;

	(void)snprintf(w->text, sizeof(w->text), "%s", line);
	w->argc = 0;
	for (char *p = strtok_r(w->text, " ", &save); p != NULL && w->argc < CAPTURE_WORDS;
	    p = strtok_r(NULL, " ", &save))
		w->argv[w->argc++] = p;
	w->argv[w->argc] = NULL;
}

static inline int
capture_parse(struct capture *x, struct words *w, const struct verb *v, const char *line, bool *help, struct err *e)
{
	capture_words(w, line);
	return cli_parse(&x->c, v, w->argc, w->argv, help, e);
}

#endif
