/* SPDX-License-Identifier: Apache-2.0 */
/* cli/picture.c - trees, bars and marks */
#include "cli/picture.h"

#include <string.h>

#include "core/base/clock.h"
#include "core/base/text.h"
#include "core/cmd/table.h"

#define DEPTH_MAX 24    /* generations drawn one under the other; the rest is in `cert list` */
#define INDENT_MAX 160

static void
put_cert(const struct cli *c, const json_t *cert, const char *indent, int64_t now)
{
	AUTO_BUF a = { 0 };
	AUTO_BUF b = { 0 };
	const char *state = json_str(cert, "state", "?");

	fprintf(c->out, "%s%s  %s", indent, table_text(&a, cert, "serial", COL_TEXT), table_text(&b, cert, "profile", COL_TEXT));
	fprintf(c->out, " at %s  %s", table_text(&a, cert, "label", COL_TEXT), table_colour(c, state));
	fprintf(c->out, "%s%s", table_text(&a, cert, "state", COL_TEXT), table_plain(c));
	fprintf(c->out, "  until %s", table_text(&a, cert, "not_after", COL_TIME));
	if (strcmp(state, "active") == 0)
		table_life(c, json_int(cert, "not_before", 0), json_int(cert, "not_after", 0), now);
	fputc('\n', c->out);
}

/* What let it be issued, under its line. */
static void
put_reason(const struct cli *c, const json_t *cert, const char *indent)
{
	AUTO_BUF a = { 0 };

	if (strcmp(table_text(&a, cert, "authorised_by", COL_TEXT), "-") == 0)
		return;
	fprintf(c->out, "%sby %s", indent, buf_str(&a));
	if (strcmp(table_text(&a, cert, "request_id", COL_TEXT), "-") != 0)
		fprintf(c->out, ", request %s", buf_str(&a));
	fputc('\n', c->out);
}

/* Is this certificate's parent `parent`?  NULL: it has none among the device's own. */
static bool
is_child(const json_t *certs, const json_t *cert, const char *parent)
{
	const char *mine = json_str(cert, "parent", "");
	size_t i;
	json_t *other;

	if (parent != NULL)
		return strcmp(mine, parent) == 0;
	json_array_foreach(certs, i, other)
		if (*mine != 0 && strcmp(json_str(other, "serial", ""), mine) == 0)
			return false;
	return true;
}

static size_t
count_children(const json_t *certs, const char *parent)
{
	size_t i, n = 0;
	json_t *cert;

	json_array_foreach(certs, i, cert)
		n += is_child(certs, cert, parent);
	return n;
}

static void
put_tree(const struct cli *c, const json_t *certs, const char *parent, const char *indent, int64_t now, int depth)
{
	size_t i, left = count_children(certs, parent);
	json_t *cert;
	char own[INDENT_MAX], under[INDENT_MAX];

	if (depth == DEPTH_MAX && left != 0)
		fprintf(c->out, "%s└─ ...\n", indent);
	if (depth == DEPTH_MAX)
		return;
	json_array_foreach(certs, i, cert) {
		if (!is_child(certs, cert, parent))
			continue;
		left--;
		(void)snprintf(own, sizeof(own), "%s%s", indent, left != 0 ? "├─ " : "└─ ");
		(void)snprintf(under, sizeof(under), "%s%s", indent, left != 0 ? "│  " : "   ");
		put_cert(c, cert, own, now);
		put_reason(c, cert, under);
		if (*json_str(cert, "serial", "") != 0)
			put_tree(c, certs, json_str(cert, "serial", ""), under, now, depth + 1);
	}
}

void
picture_device(const struct cli *c, const json_t *device, int64_t now)
{
	static const struct column columns[] = {
		{ "TIME", NULL, COL_TIME }, { "KIND" }, { "TEXT" }, { .title = NULL },
	};
	const json_t *certs = json_object_get(device, "certificates");
	const json_t *events = json_object_get(device, "events");
	AUTO_BUF a = { 0 };
	const char *state = json_str(device, "state", "?");

	fprintf(c->out, "%s  %s", table_text(&a, device, "name", COL_TEXT), table_colour(c, state));
	fprintf(c->out, "%s%s\n", table_text(&a, device, "state", COL_TEXT), table_plain(c));
	table_member(c, "subject", device, "subject", COL_TEXT);
	table_member(c, "known since", device, "created_at", COL_TIME);
	table_member(c, "last contact", device, "last_contact", COL_TIME);
	if (json_array_size(certs) != 0) {
		fputs("certificates\n", c->out);
		put_tree(c, certs, NULL, "", now, 0);
	}
	if (json_array_size(events) != 0) {
		fputs("events\n", c->out);
		table_print(c, columns, events);
	}
}

/* The mark of a rule's outcome: it let the request pass, it ended it, or it had nothing to say. */
static const char *
mark(const char *outcome)
{
	static const struct { const char *outcome, *mark; } marks[] = {
		{ "ok", "✓" }, { "pass", "✓" }, { "yes", "✓" },
		{ "refused", "✗" }, { "fail", "✗" }, { "no", "✗" },
	};

	for (size_t i = 0; i < N_OF(marks); i++)
		if (strcmp(marks[i].outcome, outcome) == 0)
			return marks[i].mark;
	return "·";
}

static unsigned
widest(const json_t *trace, const char *member)
{
	unsigned most = 0;
	size_t i;
	json_t *row;
	AUTO_BUF b = { 0 };

	json_array_foreach(trace, i, row) {
		unsigned w = table_width(table_text(&b, row, member, COL_TEXT));

		most = w > most ? w : most;
	}
	return most;
}

static void
put_rules(const struct cli *c, const json_t *trace)
{
	unsigned rule_w = widest(trace, "rule"), out_w = widest(trace, "outcome");
	size_t i;
	json_t *row;
	AUTO_BUF b = { 0 };

	json_array_foreach(trace, i, row) {
		const char *outcome = json_str(row, "outcome", "?");
		const char *s = table_text(&b, row, "rule", COL_TEXT);

		fprintf(c->out, "  %s%s %s%*s", table_colour(c, strcmp(mark(outcome), "✗") == 0 ? "refused" :
		    strcmp(mark(outcome), "✓") == 0 ? "ok" : ""), mark(outcome), s,
		    (int)(rule_w - table_width(s)), "");
		s = table_text(&b, row, "outcome", COL_TEXT);
		fprintf(c->out, "  %s%*s%s", s, (int)(out_w - table_width(s)), "", table_plain(c));
		fprintf(c->out, "  %s\n", table_text(&b, row, "text", COL_TEXT));
	}
}

void
picture_decision(const struct cli *c, const json_t *record)
{
	const json_t *trace = json_object_get(record, "trace");
	const char *outcome = json_str(record, "outcome", "?");
	AUTO_BUF a = { 0 };
	AUTO_BUF b = { 0 };

	fprintf(c->out, "%s%s%s  %s\n", table_colour(c, outcome), table_text(&a, record, "outcome", COL_TEXT),
	    table_plain(c), table_text(&b, record, "reason", COL_TEXT));
	table_member(c, "request", record, "request_id", COL_TEXT);
	table_member(c, "time", record, "time", COL_TIME);
	table_member(c, "act", record, "kind", COL_TEXT);
	table_member(c, "label", record, "label", COL_TEXT);
	table_member(c, "who", record, "actor", COL_TEXT);
	table_member(c, "device", record, "device", COL_TEXT);
	table_member(c, "certificate", record, "serial", COL_TEXT);
	table_member(c, "record", record, "id", COL_TEXT);
	if (json_array_size(trace) != 0)
		fputs("rules\n", c->out);
	put_rules(c, trace);
	table_member(c, "outcome", record, "text", COL_TEXT);
	table_member(c, "hint", record, "hint", COL_TEXT);
}
