/* SPDX-License-Identifier: Apache-2.0 */
/* agent/status_identity.c - whom the cloud takes this device for, in `status` */
#include <string.h>

#include "core/base/text.h"
#include "core/cmd/table.h"
#include "device/agent/agent.h"

static bool
has_error(const json_t *part)
{
	return *json_str(part, "last_error", "") != 0;
}

/* One word; what was confirmed before may be in force all the same. */
static const char *
health_of(const json_t *v, int64_t now)
{
	const json_t *how = json_object_get(v, "provisioning"), *cert = json_object_get(v, "certificate");
	int64_t end = json_int(cert, "not_after", 0);

	if (json_object_get(v, "error") != NULL)
		return "unreachable";
	if (strcmp(json_str(how, "source", ""), "none") == 0)
		return "none";
	if (end != 0 && end <= now)
		return "expired";
	if (has_error(how) || has_error(cert) || has_error(json_object_get(v, "modules")))
		return "failing";
	return json_flag(how, "provisioned", false) && json_flag(how, "current", false) ? "fresh" : "provisioning";
}

bool
status_identity_judge(json_t *v, int64_t now)
{
	const char *health = health_of(v, now);

	json_setf(v, "health", "%s", health);
	return (strcmp(health, "fresh") == 0 || strcmp(health, "provisioning") == 0 || strcmp(health, "none") == 0) &&
	    !has_error(json_object_get(v, "configuration"));
}

/* A server's words, perhaps. */
static void
put_error(struct cli *c, const char *name, const json_t *part, int64_t now)
{
	AUTO_BUF line = { 0 };
	AUTO_BUF when = { 0 };

	if (!has_error(part))
		return;
	text_escape(&line, bytes_of(json_str(part, "last_error", "")));
	table_line(c, name, buf_str(&line));
	table_line(c, "", agent_when(&when, json_int(part, "last_error_at", 0), now));
}

static void
put_when(struct cli *c, const char *name, const json_t *part, const char *member, int64_t now)
{
	AUTO_BUF text = { 0 };

	if (json_int(part, member, 0) != 0)
		table_line(c, name, agent_when(&text, json_int(part, member, 0), now));
}

static void
put_certificate(struct cli *c, const json_t *cert, int64_t now)
{
	table_member(c, "certificate", cert, "id", COL_TEXT);
	if (*json_str(cert, "subject", "") != 0)
		table_member(c, "subject", cert, "subject", COL_TEXT);
	put_when(c, "valid until", cert, "not_after", now);
	put_when(c, "next renewal", cert, "renew_at", now);
	put_error(c, "last error", cert, now);
}

static void
put_modules(struct cli *c, const json_t *modules, int64_t now)
{
	if (json_array_size(json_object_get(modules, "wanted")) != 0) {
		table_member(c, "modules", modules, "wanted", COL_TEXT);
		if (!json_flag(modules, "in_line", true))
			table_line(c, "", "the hub does not have them as they are configured yet");
	}
	put_error(c, "last error", modules, now);
}

void
status_identity_print(struct cli *c, const json_t *v, int64_t now)
{
	const json_t *how = json_object_get(v, "provisioning"), *conf = json_object_get(v, "configuration");
	const char *health = json_str(v, "health", "?");
	AUTO_BUF name = { 0 };
	AUTO_BUF trouble = { 0 };

	if (json_flag(how, "provisioned", false))
		(void)table_text(&name, how, "device", COL_TEXT);
	else
		buf_put_str(&name, "device");
	fprintf(c->out, "%s  %s%s%s\n", buf_str(&name), table_colour(c, health), health, table_plain(c));
	table_member(c, "error", v, "error", COL_TEXT);
	table_member(c, "source", how, "source", COL_TEXT);
	if (json_flag(how, "provisioned", false)) {
		table_member(c, "hub", how, "hub", COL_TEXT);
		put_when(c, "confirmed", how, "confirmed_at", now);
	}
	put_error(c, "last error", how, now);
	put_when(c, "next try", how, "next_try", now);
	if (json_is_object(json_object_get(v, "certificate")))
		put_certificate(c, json_object_get(v, "certificate"), now);
	put_modules(c, json_object_get(v, "modules"), now);
	text_escape(&trouble, bytes_of(json_str(conf, "last_error", "")));
	if (trouble.n != 0)
		table_line(c, "configuration", "not taken, an older one is in force:");
	if (trouble.n != 0)
		table_line(c, "", buf_str(&trouble));
	fputc('\n', c->out);
}
