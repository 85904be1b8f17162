/* SPDX-License-Identifier: Apache-2.0 */
/* keyd/record.c - what keyd knows of a key beside the key */
#include "device/keyd/record.h"

#include <stdio.h>
#include <string.h>

#include "core/base/text.h"
#include "core/codec/json.h"

static const struct {
	const char *word;
	unsigned bit;
} usages[] = {
	{ "derive", USAGE_DERIVE }, { "encrypt", USAGE_ENCRYPT }, { "sign", USAGE_SIGN },
};

bool
usage_parse(unsigned *out, const char *text)
{
	unsigned all = 0;

	for (size_t n;; text += n + 1) {
		unsigned bit = 0;

		n = strcspn(text, ",");
		for (size_t i = 0; i < N_OF(usages); i++)
			if (strlen(usages[i].word) == n && strncmp(usages[i].word, text, n) == 0)
				bit = usages[i].bit;
		if (bit == 0)
			return false;
		all |= bit;
		if (text[n] == 0)
			break;
	}
	*out = all;
	return true;
}

void
usage_print(struct buf *out, unsigned usage)
{
	const char *comma = "";

	for (size_t i = 0; i < N_OF(usages); i++) {
		if ((usage & usages[i].bit) == 0)
			continue;
		buf_printf(out, "%s%s", comma, usages[i].word);
		comma = ",";
	}
}

/* --- generations --- */

void
record_begin(struct record *r, const char *id)
{
	*r = (struct record){ .usage = USAGE_ALL };
	(void)snprintf(r->id, sizeof(r->id), "%s", id);
}

uint64_t
record_known(const struct record *r, const uint8_t digest[SHA256_LEN])
{
	for (size_t i = 0; i < r->n; i++)
		if (memcmp(r->keys[i].digest, digest, SHA256_LEN) == 0)
			return r->keys[i].generation;
	return 0;
}

uint64_t
record_generation(const struct record *r, const uint8_t digest[SHA256_LEN])
{
	uint64_t known = record_known(r, digest);

	return known != 0 ? known : r->last + 1;
}

bool
record_note(struct record *r, const uint8_t digest[SHA256_LEN])
{
	struct record_key k = { .generation = record_generation(r, digest) };

	if (r->n != 0 && r->keys[0].generation == k.generation)
		return false;
	memcpy(k.digest, digest, SHA256_LEN);
	if (r->n != 0)
		r->keys[1] = r->keys[0];
	r->n = r->n != 0 ? 2 : 1;
	r->keys[0] = k;
	if (k.generation > r->last)
		r->last = k.generation;
	return true;
}

/* --- as text --- */

void
record_encode(struct buf *out, const struct record *r)
{
	AUTO_JSON v = json_object();
	AUTO_BUF usage = { 0 };
	json_t *keys = json_array();

	json_setf(v, "id", "%s", r->id);
	usage_print(&usage, r->usage);
	(void)json_object_set_new(v, "secret", json_boolean(r->secret));
	json_setf(v, "usage", "%s", buf_str(&usage));
	(void)json_object_set_new(v, "last", json_integer((json_int_t)r->last));
	for (size_t i = 0; i < r->n; i++) {
		char hex[2 * SHA256_LEN + 1];
		json_t *k = json_object();

		text_hex(hex, (struct bytes){ r->keys[i].digest, SHA256_LEN });
		(void)json_object_set_new(k, "generation", json_integer((json_int_t)r->keys[i].generation));
		json_setf(k, "digest", "%s", hex);
		(void)json_array_append_new(keys, k);
	}
	(void)json_object_set_new(v, "keys", keys);
	json_print(out, v, true);
	buf_put_str(out, "\n");
}

static bool
decode_key(struct record_key *k, const json_t *v)
{
	int64_t generation = json_int(v, "generation", -1);

	k->generation = (uint64_t)generation;
	return generation > 0 && text_unhex(k->digest, SHA256_LEN, json_str(v, "digest", ""));
}

int
record_decode(struct record *out, struct bytes text, struct err *e)
{
	AUTO_JSON v = NULL;
	struct record r = { .usage = USAGE_ALL };
	const char *id, *usage;
	const json_t *keys;
	int64_t last;
	int rc = json_parse(&v, text, e);

	if (rc != 0)
		return rc;
	id = json_str(v, "id", "");
	usage = json_str(v, "usage", "");
	last = json_int(v, "last", -1);
	keys = json_object_get(v, "keys");
	r.n = json_array_size(keys);
	if (stem_check_id(id, NULL) != 0 || last < 0 || !json_is_array(keys) || r.n > N_OF(r.keys))
		return err_set(e, E_FORMAT, "id, last or keys is missing or out of range");
	(void)snprintf(r.id, sizeof(r.id), "%s", id);
	r.last = (uint64_t)last;
	r.secret = json_flag(v, "secret", false);
	r.usage = 0;
	if (usage[0] != 0 && !usage_parse(&r.usage, usage))
		return err_set(e, E_FORMAT, "usage '%s' is not known", usage);
	for (size_t i = 0; i < r.n; i++)
		if (!decode_key(&r.keys[i], json_array_get(keys, i)) || r.keys[i].generation > r.last)
			return err_set(e, E_FORMAT, "keys[%zu] is no generation", i);
	*out = r;
	return 0;
}
