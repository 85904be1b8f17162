/* SPDX-License-Identifier: Apache-2.0 */
/* authority/op_enrolment.c - the operator's verbs on enrolment groups and individual enrolments */
#include "server/authority/op_enrolment.h"

#include <stdio.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/mem.h"
#include "core/base/text.h"
#include "server/provision/ids.h"
#include "server/provision/provision.h"

#define GROUPS_BY_KEY_MAX 256 /* strangers reach them: 40 microseconds each for a token */

/* One symmetric key, opened; appended to out. */
static int
open_key(struct work *w, const struct enrolment_row *r, int which, struct buf *out, struct err *e)
{
	char what[PROVISION_WHAT_MAX];

	provision_what_enrolment(what, r->individual, r->name, (size_t)which);
	return provision_open(out, w->a->fleet, what, bytes_of_buf(&r->key[which]), e);
}

static int
put_keys(struct work *w, const struct enrolment_row *r, json_t *v, struct err *e)
{
	static const char *const members[] = { "key", "key2" };
	int rc;

	for (int i = 0; i < 2; i++) {
		AUTO_BUF key = { 0 };

		if ((rc = open_key(w, r, i, &key, e)) != 0)
			return rc;
		json_object_set_new(v, members[i], json_base64(bytes_of_buf(&key)));
	}
	return 0;
}

/* By which a device proves who it is: the same members whatever it is. */
static void
put_proof(struct work *w, const struct enrolment_row *r, json_t *v)
{
	for (int i = 0; i < 2 && !r->individual; i++) {
		struct dps_ca_row ca = { 0 };

		if (r->ca[i] != 0 && dps_ca_row_by_id(w->a->db, r->ca[i], &ca, NULL) != 0)
			ca.name[0] = 0;
		json_setf(v, i == 0 ? "ca" : "ca2", "%s", ca.name);
		dps_ca_row_clear(&ca);
	}
	for (int i = 0; i < 2 && r->individual; i++) {
		char hex[2 * ROW_HASH_LEN + 1] = "";

		if (r->has_cert[i])
			text_hex(hex, (struct bytes){ r->cert[i], ROW_HASH_LEN });
		json_setf(v, i == 0 ? "cert_sha256" : "cert2_sha256", "%s", hex);
	}
	if (r->individual)
		json_object_set_new(v, "ek", json_base64(bytes_of_buf(&r->ek)));
}

static json_t *
words_json(const char *s)
{
	json_t *v = json_array();

	while (*s != 0) {
		size_t n = strcspn(s, " ");

		json_array_append_new(v, json_stringn(s, n));
		s += n + (s[n] == ' ');
	}
	return v;
}

/* The row as JSON; keys: with its symmetric keys. */
static int
to_json(struct work *w, const struct enrolment_row *r, bool keys, json_t **out, struct err *e)
{
	AUTO_JSON v = json_object();
	json_t *payload = NULL;
	int rc;

	json_setf(v, r->individual ? "registration" : "name", "%s", r->name);
	json_setf(v, "attestation", "%s", r->attestation);
	json_object_set_new(v, "enabled", json_boolean(r->enabled));
	put_proof(w, r, v);
	if (r->individual)
		json_setf(v, "device_id", "%s", r->device_id[0] != 0 ? r->device_id : r->name);
	json_setf(v, "allocation", "%s", r->allocation);
	json_object_set_new(v, "hubs", words_json(r->hubs));
	json_setf(v, "webhook", "%s", r->webhook);
	json_setf(v, "reprovision", "%s", r->reprovision);
	json_object_set_new(v, "edge", json_boolean(r->edge));
	json_setf(v, "label", "%s", r->label);
	if (r->payload.n == 0 || json_parse(&payload, bytes_of_buf(&r->payload), NULL) != 0)
		payload = json_null();
	json_object_set_new(v, "payload", payload);
	json_object_set_new(v, "registrations", json_integer(r->registrations));
	json_object_set_new(v, "created_at", json_integer(r->created_at));
	json_object_set_new(v, "updated_at", json_integer(r->updated_at));
	if (keys && strcmp(r->attestation, "symmetric") == 0 && (rc = put_keys(w, r, v, e)) != 0)
		return rc;
	*out = TAKE(v);
	return 0;
}

/* --- one enrolment by its name --- */

static bool
about_individuals(const struct work *w)
{
	return strncmp(w->verb->name, "enrolment.", 10) == 0;
}

/* The name that the message gives; registration IDs are kept in lower case. */
static int
name_arg(const struct work *w, char out[PROVISION_ID_MAX], struct err *e)
{
	bool individual = about_individuals(w);
	const char *name = op_arg(w, individual ? "registration" : "name", "");

	if (individual && provision_check_registration(name, e) != 0)
		return op_enrolment_usage(w, e);
	if (!individual && !text_valid_name(name, PROVISION_ID_MAX - 1))
		return err_set(e, E_USAGE, "%s: name: expected up to %d characters of A-Z a-z 0-9 . _ -", w->verb->name,
		    PROVISION_ID_MAX - 1);
	if (individual)
		ids_lower(out, name);
	else
		text_copy(out, PROVISION_ID_MAX, name);
	return 0;
}

static int
find(struct work *w, struct enrolment_row *r, struct err *e)
{
	char name[PROVISION_ID_MAX];
	int rc = name_arg(w, name, e);

	return rc != 0 ? rc : enrolment_row_by_name(w->a->db, about_individuals(w), name, r, e);
}

/* What was made or changed, with what its devices need to know. */
static int
answer(struct work *w, const struct enrolment_row *r, bool keys, json_t **result, struct err *e)
{
	int rc = to_json(w, r, keys, result, e);

	return rc != 0 ? rc : op_put_scope(w, *result, e);
}

static int
count_group(void *ctx, struct enrolment_row *r)
{
	(void)r;
	return ++*(size_t *)ctx < GROUPS_BY_KEY_MAX ? 0 : E_TOOBIG;
}

static int
check_number(struct work *w, const struct enrolment_row *r, struct err *e)
{
	size_t n = 0;
	int rc = r->individual || strcmp(r->attestation, "symmetric") != 0 ? 0 :
	    enrolment_row_groups(w->a->db, r->attestation, count_group, &n, e);

	return rc != E_TOOBIG ? rc : err_set(e, rc, "group.create: %d groups by symmetric key are there, no more are taken: "
	    "a device's token is tried with the keys of each", GROUPS_BY_KEY_MAX);
}

static int
create(struct work *w, json_t **result, struct err *e)
{
	struct enrolment_row r = { .individual = about_individuals(w), .created_at = clock_now() };
	int rc = name_arg(w, r.name, e);

	r.updated_at = r.created_at;
	if (rc == 0 && (rc = op_enrolment_read(w, &r, true, e)) == 0 && (rc = check_number(w, &r, e)) == 0 &&
	    (rc = enrolment_row_insert(w->a->db, &r, e)) == 0)
		rc = answer(w, &r, true, result, e);
	enrolment_row_clear(&r);
	return rc;
}

/* keys: with its symmetric keys, when one was made that nobody has seen yet. */
static int
put(struct work *w, struct enrolment_row *r, bool keys, json_t **result, struct err *e)
{
	int rc;

	r->updated_at = clock_now();
	rc = enrolment_row_update(w->a->db, r, e);
	return rc != 0 ? rc : answer(w, r, keys, result, e);
}

static int
set(struct work *w, json_t **result, struct err *e)
{
	struct enrolment_row r = { 0 };
	int rc;

	if ((rc = find(w, &r, e)) == 0 && (rc = op_enrolment_read(w, &r, false, e)) == 0)
		rc = put(w, &r, op_enrolment_makes_key(w), result, e);
	enrolment_row_clear(&r);
	return rc;
}

static int
enable(struct work *w, bool on, json_t **result, struct err *e)
{
	struct enrolment_row r = { 0 };
	int rc = find(w, &r, e);

	if (rc == 0) {
		r.enabled = on;
		rc = put(w, &r, false, result, e);
	}
	enrolment_row_clear(&r);
	return rc;
}

static int
enable_it(struct work *w, json_t **result, struct err *e)
{
	return enable(w, true, result, e);
}

static int
disable_it(struct work *w, json_t **result, struct err *e)
{
	return enable(w, false, result, e);
}

static int
remove_it(struct work *w, json_t **result, struct err *e)
{
	struct enrolment_row r = { 0 };
	const char *noun = about_individuals(w) ? "enrolment" : "group";
	int rc = find(w, &r, e);

	(void)result;
	if (rc == 0 && r.registrations != 0)
		rc = err_set(e, E_EXISTS, "%s '%s': %lld device%s registered by it; 'estuary %s disable %s' keeps new "
		    "ones out, and 'estuary "
		    "registration remove' first takes %s", noun, r.name, (long long)r.registrations,
		    r.registrations == 1 ? "" : "s", noun, r.name,
		    r.registrations == 1 ? "that one away" : "those away");
	if (rc == 0)
		rc = enrolment_row_remove(w->a->db, r.id, e);
	enrolment_row_clear(&r);
	return rc;
}

/* --- looking --- */

struct listing {
	struct work *w;
	struct op_page page;
	struct err *e;
};

static int
add(void *ctx, struct enrolment_row *r)
{
	struct listing *l = ctx;
	json_t *v = NULL;
	int rc = to_json(l->w, r, false, &v, l->e);

	return rc != 0 ? rc : op_page_add(&l->page, v, r->id);
}

static int
list(struct work *w, json_t **result, struct err *e)
{
	struct listing l = { w, op_page(w), e };
	int rc = enrolment_row_list(w->a->db, about_individuals(w), NULL, l.page.after, l.page.limit, add, &l, e);

	*result = op_page_end(&l.page);
	return rc;
}

/* Its keys are shown to whoever asks for them, and that this was so is recorded first. */
static int
note_keys(struct work *w, const struct enrolment_row *r, struct err *e)
{
	int rc = db_begin(w->a->db, e);

	return rc != 0 ? rc : op_commit(w, r->name, "keys shown", e);
}

static int
show(struct work *w, json_t **result, struct err *e)
{
	bool keys = json_flag(w->args, "show_keys", false);
	char scope[ASK_ID_MAX] = "";
	struct enrolment_row r = { 0 };
	int rc = find(w, &r, e);

	if (rc == 0 && keys)
		rc = note_keys(w, &r, e);
	/* Whoever made it made the scope, too. */
	if (rc == 0 && (rc = provision_scope(scope, w->a->db, false, e)) == 0 && (rc = to_json(w, &r, keys,
	    result, e)) == 0)
		rc = op_put_scope(w, *result, e);
	enrolment_row_clear(&r);
	return rc;
}

/* --- keys --- */

static int
find_symmetric(struct work *w, struct enrolment_row *r, struct err *e)
{
	int rc = find(w, r, e);

	if (rc == 0 && strcmp(r->attestation, "symmetric") != 0)
		return err_set(e, E_USAGE, "%s: '%s' is by %s and has no keys", w->verb->name, r->name, r->attestation);
	return rc;
}

static int
derive(struct work *w, json_t **result, struct err *e)
{
	const char *id = op_arg(w, "registration", "");
	uint8_t derived[SHA256_LEN];
	struct enrolment_row r = { 0 };
	AUTO_BUF key = { 0 };
	int rc;

	if (provision_check_registration(id, e) != 0)
		return op_enrolment_usage(w, e);
	if ((rc = find_symmetric(w, &r, e)) == 0 && (rc = open_key(w, &r, 0, &key, e)) == 0) {
		provision_derive(derived, bytes_of_buf(&key), id);
		*result = json_object();
		json_setf(*result, "name", "%s", r.name);
		json_setf(*result, "registration", "%s", id);
		json_object_set_new(*result, "key", json_base64((struct bytes){ derived, sizeof(derived) }));
		mem_wipe(derived, sizeof(derived));
		rc = op_put_scope(w, *result, e);
	}
	enrolment_row_clear(&r);
	return rc;
}

static int
key_rotate(struct work *w, json_t **result, struct err *e)
{
	const char *which = op_arg(w, "which", "");
	bool second = strcmp(which, "secondary") == 0;
	struct enrolment_row r = { 0 };
	int rc;

	if (!second && strcmp(which, "primary") != 0)
		return err_set(e, E_USAGE, "%s: which '%.40s': expected primary or secondary", w->verb->name, which);
	if ((rc = find_symmetric(w, &r, e)) == 0) {
		op_enrolment_set_key(w, &r, second, (struct bytes){ 0 });
		rc = put(w, &r, true, result, e);
	}
	enrolment_row_clear(&r);
	return rc;
}

#define COMMON_ARGS " key key2 allocation hubs webhook reprovision payload edge label enabled"

const struct verb op_enrolment_verbs[] = {
	{ "group.create", VERB_WRITE, "name! attestation! ca ca2" COMMON_ARGS, create },
	{ "group.set", VERB_WRITE, "name! attestation ca ca2" COMMON_ARGS, set },
	{ "group.list", VERB_READ, "limit after", list },
	{ "group.show", VERB_READ, "name! show_keys", show },
	{ "group.remove", VERB_WRITE, "name!", remove_it },
	{ "group.enable", VERB_WRITE, "name!", enable_it },
	{ "group.disable", VERB_WRITE, "name!", disable_it },
	{ "group.derive", VERB_WRITE, "name! registration!", derive },
	{ "group.key_rotate", VERB_WRITE, "name! which!", key_rotate },
	{ "enrolment.create", VERB_WRITE, "registration! attestation! cert cert2 ek device_id" COMMON_ARGS, create },
	{ "enrolment.set", VERB_WRITE, "registration! attestation cert cert2 ek device_id" COMMON_ARGS, set },
	{ "enrolment.list", VERB_READ, "limit after", list },
	{ "enrolment.show", VERB_READ, "registration! show_keys", show },
	{ "enrolment.remove", VERB_WRITE, "registration!", remove_it },
	{ "enrolment.enable", VERB_WRITE, "registration!", enable_it },
	{ "enrolment.disable", VERB_WRITE, "registration!", disable_it },
	{ NULL, 0, NULL, NULL },
};
