/* SPDX-License-Identifier: Apache-2.0 */
/* authority/op_audit.c - the operator's verbs on the audit record */
#include <stdio.h>
#include <string.h>

#include "core/base/text.h"
#include "server/authority/authority.h"
#include "server/fleet/trace.h"

static json_t *
audit_json(const struct audit_row *r)
{
	json_t *v = json_object();

	json_object_set_new(v, "id", json_integer(r->id));
	json_object_set_new(v, "time", json_integer(r->time));
	json_setf(v, "kind", "%s", r->kind);
	json_setf(v, "outcome", "%s", r->outcome);
	json_setf(v, "reason", "%s", r->reason);
	json_setf(v, "actor", "%s", r->actor);
	json_setf(v, "device", "%s", r->device);
	json_setf(v, "label", "%s", r->label);
	json_setf(v, "request_id", "%s", r->request_id);
	json_setf(v, "serial", "%s", r->serial);
	json_setf(v, "text", "%s", r->text);
	return v;
}

/* The stored lines "rule TAB outcome TAB text" as a list. */
static json_t *
trace_json(const char *trace)
{
	json_t *list = json_array();

	while (*trace != 0) {
		size_t n = strcspn(trace, "\n"), rule = strcspn(trace, "\t\n"), mark = 0;
		json_t *v = json_object();

		if (rule < n)
			mark = strcspn(trace + rule + 1, "\t\n");
		json_setf(v, "rule", "%.*s", (int)rule, trace);
		json_setf(v, "outcome", "%.*s", (int)mark, trace + rule + (rule < n));
		if (rule + 1 + mark < n)
			json_setf(v, "text", "%.*s", (int)(n - rule - mark - 2), trace + rule + mark + 2);
		json_array_append_new(list, v);
		trace += n + (trace[n] == '\n');
	}
	return list;
}

static int
show_one(void *ctx, struct audit_row *r)
{
	json_t **result = ctx, *v = audit_json(r);
	char hex[2 * ROW_HASH_LEN + 1];

	json_object_set_new(v, "trace", trace_json(r->trace));
	json_setf(v, "hint", "%s", trace_hint(r->reason));
	text_hex(hex, (struct bytes){ r->prev, ROW_HASH_LEN });
	json_setf(v, "prev", "%s", hex);
	text_hex(hex, (struct bytes){ r->hash, ROW_HASH_LEN });
	json_setf(v, "hash", "%s", hex);
	if (r->has_cert) {
		text_hex(hex, (struct bytes){ r->cert_sha256, ROW_HASH_LEN });
		json_setf(v, "cert_sha256", "%s", hex);
	}
	json_decref(*result);
	*result = v;
	return 0;
}

static int
add_one(void *ctx, struct audit_row *r)
{
	return op_page_add(ctx, audit_json(r), r->id);
}

static int
audit_list(struct work *w, json_t **result, struct err *e)
{
	struct op_page p = op_page(w);
	int rc = audit_row_list(w->a->db, op_arg(w, "device", ""), op_arg(w, "outcome", ""), op_arg(w, "kind", ""),
	    op_arg(w, "request_id", ""), p.after, p.limit, add_one, &p, e);

	*result = op_page_end(&p);
	return rc;
}

static int
audit_show(struct work *w, json_t **result, struct err *e)
{
	return audit_row_by_id(w->a->db, json_int(w->args, "id", 0), show_one, result, e);
}

static int
audit_why(struct work *w, json_t **result, struct err *e)
{
	return audit_row_by_request(w->a->db, op_arg(w, "request_id", ""), show_one, result, e);
}

static int
audit_check(struct work *w, json_t **result, struct err *e)
{
	struct audit_check c;
	int rc = audit_verify(&c, w->a->db, e);

	if (rc != 0)
		return rc;
	*result = json_object();
	json_object_set_new(*result, "records", json_integer(c.records));
	json_object_set_new(*result, "ok", json_boolean(c.first_bad == 0));
	json_object_set_new(*result, "first_bad", json_integer(c.first_bad));
	return 0;
}

const struct verb op_audit_verbs[] = {
	{ "audit.list", VERB_READ, "device outcome kind request_id limit after", audit_list },
	{ "audit.show", VERB_READ, "id!", audit_show },
	{ "audit.why", VERB_READ, "request_id!", audit_why },
	{ "audit.verify", VERB_READ, "", audit_check },
	{ NULL, 0, NULL, NULL },
};
