/* SPDX-License-Identifier: Apache-2.0 */
/* ca/profile_text.c - a profile as words: for operators, and for the store */
#include <inttypes.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/text.h"
#include "server/ca/profile.h"

#define WORD_MAX 64 /* of a list */

static const char *const ku_names[] = {
	"digitalSignature", "nonRepudiation", "keyEncipherment", "dataEncipherment", "keyAgreement",
	"keyCertSign", "cRLSign",
};

static const char *const san_rule_names[SAN_RULE_COUNT] = {
	[SAN_RULE_NONE] = "none", [SAN_RULE_DEVICE] = "device", [SAN_RULE_ANY] = "any",
};

/* How a member is written; `san` is the kind that a KIND_SAN is about. */
enum kind {
	KIND_LIFETIME, KIND_BACKDATE, KIND_CA, KIND_PATHLEN, KIND_KU, KIND_EKU, KIND_SUBJECT,
	KIND_TYPES, KIND_SAN, KIND_KEYS, KIND_POINTERS,
};

static const struct member {
	const char *key;
	enum kind kind;
	enum san_kind san;
} members[] = {
	{ "lifetime", KIND_LIFETIME, 0 },
	{ "backdate", KIND_BACKDATE, 0 },
	{ "ca", KIND_CA, 0 },
	{ "pathlen", KIND_PATHLEN, 0 },
	{ "ku", KIND_KU, 0 },
	{ "eku", KIND_EKU, 0 },
	{ "subject", KIND_SUBJECT, 0 },
	{ "subject_types", KIND_TYPES, 0 },
	{ "san_dns", KIND_SAN, SAN_DNS },
	{ "san_ip", KIND_SAN, SAN_IP },
	{ "san_uri", KIND_SAN, SAN_URI },
	{ "san_email", KIND_SAN, SAN_EMAIL },
	{ "san_other", KIND_SAN, SAN_OTHER },
	{ "keys", KIND_KEYS, 0 },
	{ "pointers", KIND_POINTERS, 0 },
};

static const struct member *
member_find(const char *key)
{
	for (size_t i = 0; i < N_OF(members); i++)
		if (strcmp(members[i].key, key) == 0)
			return &members[i];
	return NULL;
}

const char *
profile_key(size_t i)
{
	return i < N_OF(members) ? members[i].key : NULL;
}

/* --- from text --- */

static int
set_flag(bool *out, const char *value, struct err *e)
{
	bool yes = strcmp(value, "true") == 0;

	if (!yes && strcmp(value, "false") != 0)
		return err_set(e, E_FORMAT, "'%.40s': true or false", value);
	*out = yes;
	return 0;
}

static int
set_pathlen(int *out, const char *value, struct err *e)
{
	uint64_t v;

	if (strcmp(value, "none") == 0 || strcmp(value, "-1") == 0) {
		*out = -1;
		return 0;
	}
	if (!text_parse_u64(&v, value, PROFILE_PATHLEN_MAX))
		return err_set(e, E_FORMAT, "'%.40s': none, or 0 to %d", value, PROFILE_PATHLEN_MAX);
	*out = (int)v;
	return 0;
}

static int
set_san_rule(enum san_rule *out, const char *value, struct err *e)
{
	for (size_t i = 0; i < SAN_RULE_COUNT; i++) {
		if (strcmp(san_rule_names[i], value) == 0) {
			*out = (enum san_rule)i;
			return 0;
		}
	}
	return err_set(e, E_FORMAT, "'%.40s': none, device or any", value);
}

static int
set_subject(char *out, const char *value, struct err *e)
{
	struct bytes v = bytes_of(value);

	if (v.n == 0 || v.n >= PROFILE_SUBJECT_MAX || !text_valid_utf8(v))
		return err_set(e, E_FORMAT, "1 to %d octets of plain text", PROFILE_SUBJECT_MAX - 1);
	memcpy(out, v.p, v.n + 1);
	return 0;
}

/* The next word of a list with commas; false at its end. */
static bool
next_word(const char **list, char word[WORD_MAX])
{
	const char *s = *list + strspn(*list, " ,");
	size_t n = strcspn(s, " ,");

	if (n == 0)
		return false;
	*list = s + n;
	n = n < WORD_MAX ? n : WORD_MAX - 1;
	memcpy(word, s, n);
	word[n] = 0;
	return true;
}

static int
set_ku(uint32_t *out, const char *list, struct err *e)
{
	char word[WORD_MAX];
	uint32_t bits = 0;

	while (next_word(&list, word)) {
		size_t i = 0;

		while (i < N_OF(ku_names) && strcmp(ku_names[i], word) != 0)
			i++;
		if (i == N_OF(ku_names))
			return err_set(e, E_FORMAT, "unknown key usage '%s'", word);
		bits |= 1u << i;
	}
	*out = bits;
	return 0;
}

static int
set_keys(uint32_t *out, const char *list, struct err *e)
{
	char word[WORD_MAX];
	uint32_t bits = 0;

	while (next_word(&list, word)) {
		enum key_type t = key_type_by_name(word);

		if (t == KEY_NONE)
			return err_set(e, E_FORMAT, "unknown key type '%s'", word);
		bits |= 1u << t;
	}
	*out = bits;
	return 0;
}

/* A list of object identifiers' names, at most max. */
static int
set_oids(enum oid *out, size_t *n, size_t max, const char *list, struct err *e)
{
	enum oid found[PROFILE_TYPES_MAX];
	char word[WORD_MAX];
	size_t have = 0;

	while (next_word(&list, word)) {
		if (have == max)
			return err_set(e, E_FORMAT, "more than %zu", max);
		found[have] = oid_by_name(word);
		if (found[have++] == OID_UNKNOWN)
			return err_set(e, E_FORMAT, "unknown name '%s'", word);
	}
	memcpy(out, found, have * sizeof(*out));
	*n = have;
	return 0;
}

static int
set_member(struct profile *p, const struct member *m, const char *value, struct err *e)
{
	switch (m->kind) {
	case KIND_LIFETIME:
		return clock_parse_duration(&p->lifetime_s, value, e);
	case KIND_BACKDATE:
		return clock_parse_duration(&p->backdate_s, value, e);
	case KIND_CA:
		return set_flag(&p->ca, value, e);
	case KIND_PATHLEN:
		return set_pathlen(&p->pathlen, value, e);
	case KIND_KU:
		return set_ku(&p->ku, value, e);
	case KIND_EKU:
		return set_oids(p->eku, &p->n_eku, PROFILE_EKU_MAX, value, e);
	case KIND_SUBJECT:
		return set_subject(p->subject, value, e);
	case KIND_TYPES:
		return set_oids(p->subject_types, &p->n_subject_types, PROFILE_TYPES_MAX, value, e);
	case KIND_SAN:
		return set_san_rule(&p->san[m->san], value, e);
	case KIND_KEYS:
		return set_keys(&p->keys, value, e);
	case KIND_POINTERS:
		return set_flag(&p->pointers, value, e);
	}
	return E_NOTFOUND;
}

int
profile_set(struct profile *p, const char *key, const char *value, struct err *e)
{
	const struct member *m = member_find(key);

	if (m == NULL)
		return err_set(e, E_NOTFOUND, "profile: no member '%.40s'", key);
	if (set_member(p, m, value, e) != 0)
		return err_prefix(e, E_FORMAT, "profile: %s", m->key);
	return 0;
}

/* --- to text --- */

static void
put_word(struct buf *out, size_t start, const char *word)
{
	buf_printf(out, "%s%s", out->n == start ? "" : ",", word);
}

static void
get_ku(struct buf *out, uint32_t bits)
{
	size_t start = out->n;

	for (size_t i = 0; i < N_OF(ku_names); i++)
		if ((bits >> i & 1) != 0)
			put_word(out, start, ku_names[i]);
}

static void
get_keys(struct buf *out, uint32_t bits)
{
	size_t start = out->n;

	for (unsigned i = KEY_NONE + 1; i < KEY_TYPE_COUNT; i++)
		if ((bits >> i & 1) != 0)
			put_word(out, start, key_type_name((enum key_type)i));
}

static void
get_oids(struct buf *out, const enum oid *list, size_t n)
{
	size_t start = out->n;

	for (size_t i = 0; i < n; i++)
		put_word(out, start, oid_name(list[i]));
}

static void
get_duration(struct buf *out, int64_t s)
{
	char text[CLOCK_TEXT_MAX];

	buf_put_str(out, clock_duration_text(s, text));
}

static void
get_member(const struct profile *p, const struct member *m, struct buf *out)
{
	switch (m->kind) {
	case KIND_LIFETIME:
		get_duration(out, p->lifetime_s);
		break;
	case KIND_BACKDATE:
		get_duration(out, p->backdate_s);
		break;
	case KIND_CA:
		buf_put_str(out, p->ca ? "true" : "false");
		break;
	case KIND_PATHLEN:
		if (p->pathlen < 0)
			buf_put_str(out, "none");
		else
			buf_printf(out, "%d", p->pathlen);
		break;
	case KIND_KU:
		get_ku(out, p->ku);
		break;
	case KIND_EKU:
		get_oids(out, p->eku, p->n_eku);
		break;
	case KIND_SUBJECT:
		buf_put_str(out, p->subject);
		break;
	case KIND_TYPES:
		get_oids(out, p->subject_types, p->n_subject_types);
		break;
	case KIND_SAN:
		buf_put_str(out, san_rule_names[p->san[m->san]]);
		break;
	case KIND_KEYS:
		get_keys(out, p->keys);
		break;
	case KIND_POINTERS:
		buf_put_str(out, p->pointers ? "true" : "false");
		break;
	}
}

int
profile_get(const struct profile *p, const char *key, struct buf *out)
{
	const struct member *m = member_find(key);

	if (m == NULL)
		return E_NOTFOUND;
	get_member(p, m, out);
	return 0;
}

/* --- the store's form --- */

void
profile_to_text(struct buf *out, const struct profile *p)
{
	buf_printf(out, "name=%s\n", p->name);
	for (size_t i = 0; i < N_OF(members); i++) {
		buf_printf(out, "%s=", members[i].key);
		get_member(p, &members[i], out);
		buf_put_u8(out, '\n');
	}
}

/* Cut "key=value\n" off; false when there is no such line or it does not fit. */
static bool
next_line(struct bytes *text, char key[WORD_MAX], char *value, size_t size)
{
	const uint8_t *end = memchr(text->p, '\n', text->n);
	struct bytes line = bytes_slice(*text, 0, end == NULL ? text->n : (size_t)(end - text->p));
	const uint8_t *eq = memchr(line.p, '=', line.n);
	size_t key_n = eq == NULL ? 0 : (size_t)(eq - line.p), value_n = line.n - key_n - 1;

	if (end == NULL || eq == NULL || key_n >= WORD_MAX || value_n >= size ||
	    memchr(line.p, 0, line.n) != NULL)
		return false;
	memcpy(key, line.p, key_n);
	key[key_n] = 0;
	memcpy(value, eq + 1, value_n);
	value[value_n] = 0;
	*text = bytes_slice(*text, line.n + 1, text->n);
	return true;
}

/* Put a line into p; each key has a bit of *seen, the last is the name's. */
static int
take_line(struct profile *p, uint32_t *seen, const char *key, const char *value, struct err *e)
{
	const struct member *m = member_find(key);
	uint32_t bit = 1u << (m == NULL ? N_OF(members) : (size_t)(m - members));

	if ((*seen & bit) != 0)
		return err_set(e, E_FORMAT, "profile: '%.40s' twice", key);
	*seen |= bit;
	if (m != NULL)
		return profile_set(p, key, value, e);
	if (strcmp(key, "name") != 0 || !text_valid_name(value, PROFILE_NAME_MAX - 1))
		return err_set(e, E_FORMAT, "profile: no member '%.40s', or a bad name", key);
	memcpy(p->name, value, strlen(value) + 1);
	return 0;
}

int
profile_from_text(struct profile *out, struct bytes text, struct err *e)
{
	struct profile p = { .pathlen = -1 };
	char key[WORD_MAX], value[1024];
	uint32_t seen = 0;
	int rc;

	while (text.n != 0) {
		if (!next_line(&text, key, value, sizeof(value)))
			return err_set(e, E_FORMAT, "profile: not a line of key=value");
		if (take_line(&p, &seen, key, value, e) != 0)
			return E_FORMAT;
	}
	if (seen != (1u << (N_OF(members) + 1)) - 1)
		return err_set(e, E_FORMAT, "profile: a member is missing");
	if ((rc = profile_valid(&p, e)) != 0)
		return rc;
	*out = p;
	return 0;
}
