/* SPDX-License-Identifier: Apache-2.0 */
/* authority/op_policy.c - the operator's verbs on profiles and labels */
#include <stdio.h>
#include <string.h>

#include "core/base/text.h"
#include "server/authority/authority.h"

/* "a,b" as a JSON list. */
static json_t *
list_json(const char *text)
{
	json_t *v = json_array();

	while (*text != 0) {
		size_t n = strcspn(text, ",");

		json_array_append_new(v, json_stringn(text, n));
		text += n + (text[n] == ',');
	}
	return v;
}

/* A member's value as JSON: lists, flags and numbers are what they are. */
static json_t *
member_json(const char *key, const char *value)
{
	static const char *const lists[] = { "accept", "base_path", "ku", "eku", "subject_types", "keys" };
	uint64_t n;

	for (size_t i = 0; i < N_OF(lists); i++)
		if (strcmp(key, lists[i]) == 0)
			return list_json(value);
	if (strcmp(value, "true") == 0 || strcmp(value, "false") == 0)
		return json_boolean(value[0] == 't');
	if (text_parse_u64(&n, value, INT32_MAX))
		return json_integer((json_int_t)n);
	return json_string(value);
}

/* An argument as the text that label_set() and profile_set() take; lists with commas between. */
static void
arg_text(const json_t *v, struct buf *out)
{
	size_t i;
	json_t *item;

	if (json_is_string(v))
		buf_put_str(out, json_string_value(v));
	else if (json_is_boolean(v))
		buf_put_str(out, json_is_true(v) ? "true" : "false");
	else if (json_is_integer(v))
		buf_printf(out, "%lld", (long long)json_integer_value(v));
	else if (json_is_array(v))
		json_array_foreach(v, i, item)
			buf_printf(out, "%s%s", i != 0 ? "," : "", json_is_string(item) ? json_string_value(item) : "?");
}

static json_t *
label_json(const struct authority *a, const struct label *l)
{
	json_t *v = json_object();
	const char *key;

	json_setf(v, "name", "%s", l->name);
	for (size_t i = 0;; i++) {
		AUTO_BUF value = { 0 };

		if ((key = label_member(l, i, &value)) == NULL)
			break;
		json_object_set_new(v, key, member_json(key, buf_str(&value)));
	}
	if (l->n_bases != 0)
		json_setf(v, "url", "https://%s:%u%s/.well-known/est", a->settings.name, a->settings.device_port, l->base[0]);
	else
		json_setf(v, "url", "https://%s:%u/.well-known/est/%s", a->settings.name, a->settings.device_port, l->name);
	return v;
}

static int
label_list(struct work *w, json_t **result, struct err *e)
{
	json_t *items = json_array();

	(void)e;
	for (size_t i = 0; i < w->a->fleet->n_labels; i++)
		json_array_append_new(items, label_json(w->a, w->a->fleet->label[i]));
	*result = op_items(items);
	return 0;
}

static const struct label *
label_named(struct work *w, struct err *e)
{
	const char *name = op_arg(w, "name", "");
	const struct label *l = name[0] != 0 ? fleet_label(w->a->fleet, name) : NULL;

	if (l == NULL)
		(void)err_set(e, E_NOTFOUND, "label '%.64s': there is none; see 'estuary label list'", name);
	return l;
}

static int
label_show(struct work *w, json_t **result, struct err *e)
{
	const struct label *l = label_named(w, e);

	if (l == NULL)
		return E_NOTFOUND;
	*result = label_json(w->a, l);
	return 0;
}

/* A base path leads to one label, or a device could end up at another's rule. */
static int
check_bases(struct work *w, const struct label *l, struct err *e)
{
	for (size_t i = 0; i < w->a->fleet->n_labels; i++) {
		const struct label *other = w->a->fleet->label[i];

		for (size_t b = 0; b < l->n_bases; b++)
			if (strcmp(other->name, l->name) != 0 && label_has_base(other, l->base[b]))
				return err_set(e, E_EXISTS, "label '%s': base_path '%s': is that of label '%s'", l->name, l->base[b], other->name);
	}
	return 0;
}

/* Every argument but the name is a member to set. */
static int
label_apply(struct work *w, struct label *l, struct err *e)
{
	const char *key;
	json_t *value;
	int rc;

	json_object_foreach(w->args, key, value) {
		AUTO_BUF text = { 0 };

		if (strcmp(key, "name") == 0)
			continue;
		arg_text(value, &text);
		if ((rc = label_set(l, key, buf_str(&text), e)) != 0)
			return rc;
	}
	if ((rc = label_valid(l, e)) != 0 || (rc = check_bases(w, l, e)) != 0)
		return rc;
	if (fleet_ca(w->a->fleet, l->ca) == NULL)
		return err_set(e, E_NOTFOUND, "label '%s': ca '%s': there is none; see 'estuary ca list'", l->name, l->ca);
	if (fleet_profile(w->a->fleet, l->profile) == NULL)
		return err_set(e, E_NOTFOUND, "label '%s': profile '%s': there is none; see 'estuary profile list'", l->name, l->profile);
	return 0;
}

static int
label_put(struct work *w, const struct label *l, struct err *e)
{
	AUTO_BUF text = { 0 };

	label_to_text(l, &text);
	return object_row_put(w->a->db, "label", l->name, buf_str(&text), e);
}

/* There is one default: the label that becomes it takes the place of the other. */
static int
label_save(struct work *w, const struct label *l, json_t **result, struct err *e)
{
	int rc;

	for (size_t i = 0; i < w->a->fleet->n_labels && l->is_default; i++) {
		struct label other = *w->a->fleet->label[i];

		if (!other.is_default || strcmp(other.name, l->name) == 0)
			continue;
		other.is_default = false;
		if ((rc = label_put(w, &other, e)) != 0)
			return rc;
	}
	if ((rc = label_put(w, l, e)) != 0)
		return rc;
	*result = label_json(w->a, l);
	return 0;
}

static int
label_create(struct work *w, json_t **result, struct err *e)
{
	struct label l;
	int rc;

	if (fleet_label(w->a->fleet, op_arg(w, "name", "")) != NULL)
		return err_set(e, E_EXISTS, "label '%.64s': there is one of this name already", op_arg(w, "name", ""));
	if (w->a->fleet->n_labels == FLEET_LABELS)
		return err_set(e, E_TOOBIG, "label.create: %d labels are there, no more are taken", FLEET_LABELS);
	label_default(&l, op_arg(w, "name", ""));
	if (strlen(op_arg(w, "name", "")) >= sizeof(l.name))
		return err_set(e, E_USAGE, "label.create: name longer than %d characters", EST_LABEL_MAX);
	rc = label_apply(w, &l, e);
	return rc != 0 ? rc : label_save(w, &l, result, e);
}

static int
label_change(struct work *w, json_t **result, struct err *e)
{
	const struct label *old = label_named(w, e);
	struct label l;
	int rc;

	if (old == NULL)
		return E_NOTFOUND;
	l = *old;
	rc = label_apply(w, &l, e);
	return rc != 0 ? rc : label_save(w, &l, result, e);
}

static json_t *
profile_json(const struct profile *p)
{
	json_t *v = json_object();
	const char *key;

	json_setf(v, "name", "%s", p->name);
	for (size_t i = 0; (key = profile_key(i)) != NULL; i++) {
		AUTO_BUF value = { 0 };

		if (strcmp(key, "name") != 0 && profile_get(p, key, &value) == 0)
			json_object_set_new(v, key, member_json(key, buf_str(&value)));
	}
	return v;
}

static int
profile_list(struct work *w, json_t **result, struct err *e)
{
	json_t *items = json_array();

	(void)e;
	for (size_t i = 0; i < w->a->fleet->n_profiles; i++)
		json_array_append_new(items, profile_json(w->a->fleet->profile[i]));
	*result = op_items(items);
	return 0;
}

static const struct profile *
profile_named(struct work *w, struct err *e)
{
	const struct profile *p = fleet_profile(w->a->fleet, op_arg(w, "name", ""));

	if (p == NULL)
		(void)err_set(e, E_NOTFOUND, "profile '%.64s': there is none; see 'estuary profile list'", op_arg(w, "name", ""));
	return p;
}

static int
profile_show(struct work *w, json_t **result, struct err *e)
{
	const struct profile *p = profile_named(w, e);

	if (p == NULL)
		return E_NOTFOUND;
	*result = profile_json(p);
	return 0;
}

static int
profile_save(struct work *w, struct profile *p, json_t **result, struct err *e)
{
	AUTO_BUF text = { 0 };
	const char *key;
	json_t *value;
	int rc;

	json_object_foreach(w->args, key, value) {
		AUTO_BUF one = { 0 };

		if (strcmp(key, "name") == 0)
			continue;
		arg_text(value, &one);
		if ((rc = profile_set(p, key, buf_str(&one), e)) != 0)
			return rc;
	}
	if ((rc = profile_valid(p, e)) != 0)
		return rc;
	profile_to_text(&text, p);
	if ((rc = object_row_put(w->a->db, "profile", p->name, buf_str(&text), e)) != 0)
		return rc;
	*result = profile_json(p);
	return 0;
}

static int
profile_create(struct work *w, json_t **result, struct err *e)
{
	const char *name = op_arg(w, "name", "");
	struct profile p = *profile_of_the_box("device"); /* what is not said is as for a device */

	if (!text_valid_name(name, PROFILE_NAME_MAX - 1) || profile_is_internal(name))
		return err_set(e, E_USAGE, "profile '%.64s': not a name for a profile", name);
	if (fleet_profile(w->a->fleet, name) != NULL)
		return err_set(e, E_EXISTS, "profile '%.64s': there is one of this name already", name);
	if (w->a->fleet->n_profiles == FLEET_PROFILES)
		return err_set(e, E_TOOBIG, "profile.create: %d profiles are there, no more are taken", FLEET_PROFILES);
	(void)snprintf(p.name, sizeof(p.name), "%s", name);
	return profile_save(w, &p, result, e);
}

static int
profile_change(struct work *w, json_t **result, struct err *e)
{
	const struct profile *old = profile_named(w, e);
	struct profile p;

	if (old == NULL)
		return E_NOTFOUND;
	p = *old;
	return profile_save(w, &p, result, e);
}

#define LABEL_ARGS "name! enabled default ca profile accept match secret_header reenrol pop concurrent chain cte wrap " \
	"retry_window grace base_path"
#define PROFILE_ARGS "name! lifetime backdate ca pathlen ku eku subject subject_types san_dns san_ip san_uri san_email " \
	"san_other keys pointers"

const struct verb op_policy_verbs[] = {
	{ "label.list", VERB_READ, "", label_list },
	{ "label.show", VERB_READ, "name!", label_show },
	{ "label.create", VERB_WRITE, LABEL_ARGS, label_create },
	{ "label.set", VERB_WRITE, LABEL_ARGS, label_change },
	{ "profile.list", VERB_READ, "", profile_list },
	{ "profile.show", VERB_READ, "name!", profile_show },
	{ "profile.create", VERB_WRITE, PROFILE_ARGS, profile_create },
	{ "profile.set", VERB_WRITE, PROFILE_ARGS, profile_change },
	{ NULL, 0, NULL, NULL },
};
