/* SPDX-License-Identifier: Apache-2.0 */
/* service/slog.c - log lines on standard error that never make the service wait */
#include "device/service/slog.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/text.h"
#include "core/sys/log.h"

#define MODULE_MAX   64
#define TEXT_MAX_LEN ((size_t)8 * 1024)  /* of one event, all lines; what is longer is cut */
#define LINE_MAX_LEN ((size_t)4090)      /* below PIPE_BUF: a line goes into a pipe whole or not at all */
#define OFF          (-1)

static const struct {
	const char *word, *shown;
	int priority;
} levels[] = {
	[SLOG_ERROR] = { "error", "ERR!", 3 }, [SLOG_WARN] = { "warn", "WARN", 4 }, [SLOG_INFO] = { "info", "INFO", 6 },
	[SLOG_DEBUG] = { "debug", "DBUG", 7 }, [SLOG_TRACE] = { "trace", "TRCE", 7 },
};

static char module_name[MODULE_MAX] = "estuary";
static int least = SLOG_INFO; /* or OFF */
static uint64_t dropped;
static bool torn;             /* the last line went out in part */

void
slog_open(const char *module)
{
	(void)snprintf(module_name, sizeof(module_name), "%s", module);
	(void)signal(SIGPIPE, SIG_IGN); /* a reader of our lines that goes away must not take us along */
}

/* --- the filter --- */

static bool
is_word(struct bytes b, const char *word)
{
	return b.n == strlen(word) && strncasecmp((const char *)b.p, word, b.n) == 0;
}

static bool
level_of(int *out, struct bytes b)
{
	if (is_word(b, "off")) {
		*out = OFF;
		return true;
	}
	for (int i = 0; i < (int)N_OF(levels); i++) {
		if (is_word(b, levels[i].word)) {
			*out = i;
			return true;
		}
	}
	return false;
}

static struct bytes
trim(struct bytes b)
{
	while (b.n != 0 && b.p[0] == ' ')
		b = bytes_slice(b, 1, b.n);
	while (b.n != 0 && b.p[b.n - 1] == ' ')
		b.n--;
	return b;
}

/* One directive: how well its target fits our module (0: it speaks of all), or -1 when it does not, or is none. */
static int
read_directive(int *level, struct bytes d)
{
	const uint8_t *eq = d.n != 0 ? memchr(d.p, '=', d.n) : NULL;
	struct bytes target = trim(bytes_slice(d, 0, eq != NULL ? (size_t)(eq - d.p) : d.n));

	*level = SLOG_TRACE; /* of a target alone */
	if (eq == NULL && level_of(level, target))
		return 0;
	if (eq != NULL && !level_of(level, trim(bytes_slice(d, (size_t)(eq - d.p) + 1, d.n))))
		return -1;
	if (target.n == 0 || target.n > strlen(module_name) || memcmp(target.p, module_name, target.n) != 0)
		return -1;
	return (int)target.n;
}

/* The most particular directive that fits counts, of two alike the later; behind '/' is a pattern of text. */
void
slog_filter(const char *text)
{
	int best = -1;

	least = SLOG_INFO;
	for (const char *p = text, *end; p != NULL; p = *end == ',' ? end + 1 : NULL) {
		size_t n = strcspn(p, ",/");
		int level, fit = read_directive(&level, trim((struct bytes){ (const uint8_t *)p, n }));

		end = p + n;
		if (fit < best || fit < 0)
			continue;
		best = fit;
		least = level;
	}
}

/* --- the lines --- */

static bool
put_line(enum slog_level level, struct bytes text)
{
	AUTO_BUF safe = BUF_MAX(LINE_MAX_LEN - 128); /* time, level and module have room beside it */
	AUTO_BUF line = BUF_MAX(LINE_MAX_LEN);
	char when[CLOCK_TEXT_MAX];
	ssize_t n;

	text_escape(&safe, text);
	if (torn)
		buf_put_u8(&line, '\n');
	buf_printf(&line, "<%d>%s [%s] - ", levels[level].priority, clock_text(clock_now(), when), levels[level].shown);
	if (level >= SLOG_DEBUG)
		buf_printf(&line, "[%s] ", module_name);
	buf_put_bytes(&line, bytes_of_buf(&safe));
	buf_put_u8(&line, '\n');
	n = log_write(STDERR_FILENO, bytes_of_buf(&line));
	if (n < 0)
		return false;
	torn = (size_t)n < line.n;
	return !torn;
}

/* Say how many lines are missing, before the first that comes through again. */
static bool
put_dropped(void)
{
	char text[60];

	if (dropped == 0)
		return true;
	(void)snprintf(text, sizeof(text), "%llu log lines were dropped", (unsigned long long)dropped);
	if (!put_line(SLOG_WARN, bytes_of(text)))
		return false;
	dropped = 0;
	return true;
}

void
slog(enum slog_level level, const char *fmt, ...)
{
	char text[TEXT_MAX_LEN];
	int no = errno;
	va_list ap;

	if ((int)level > least)
		return;
	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	for (const char *p = text, *end; p != NULL; p = *end != 0 ? end + 1 : NULL) {
		end = p + strcspn(p, "\n");
		if (!put_dropped() || !put_line(level, (struct bytes){ (const uint8_t *)p, (size_t)(end - p) }))
			dropped++;
	}
	errno = no;
}

void
slog_fatal(const struct err *e)
{
	const char *cause = "";

	for (const char *p = e->msg, *end; p != NULL; p = end != NULL ? end + 2 : NULL) {
		end = strstr(p, ": ");
		slog(SLOG_ERROR, "%s%.*s", cause, (int)(end != NULL ? end - p : (ptrdiff_t)strlen(p)), p);
		cause = "caused by: ";
	}
}
