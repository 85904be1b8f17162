/* SPDX-License-Identifier: Apache-2.0 */
/* fleet/audit.c - the hash chain over the audit records */
#include "server/fleet/audit.h"

#include <string.h>

#include "core/codec/wire.h"
#include "core/pki/key.h"

int
audit_load(struct audit *a, struct db *d, struct err *e)
{
	return audit_row_last(d, &a->id, a->hash, e);
}

void
audit_hash(uint8_t out[ROW_HASH_LEN], const struct audit_row *r)
{
	const char *const texts[] = { r->kind, r->outcome, r->reason, r->actor, r->device, r->label, r->request_id,
		r->serial, r->text, r->trace != NULL ? r->trace : "" };
	AUTO_BUF b = { 0 };

	buf_reserve(&b, 2000); /* most have less than half of it */
	wire_put_i64(&b, r->id);
	wire_put_i64(&b, r->time);
	for (size_t i = 0; i < N_OF(texts); i++)
		wire_put_str(&b, texts[i]);
	wire_put_bytes(&b, (struct bytes){ r->cert_sha256, r->has_cert ? ROW_HASH_LEN : 0 });
	sha256_two(out, (struct bytes){ r->prev, ROW_HASH_LEN }, bytes_of_buf(&b));
}

int
audit_append(struct audit *a, struct db *d, struct audit_row *r, struct err *e)
{
	int rc;

	r->id = a->id + 1;
	memcpy(r->prev, a->hash, ROW_HASH_LEN);
	audit_hash(r->hash, r);
	if ((rc = audit_row_insert(d, r, e)) != 0)
		return rc;
	a->id = r->id;
	memcpy(a->hash, r->hash, ROW_HASH_LEN);
	return 0;
}

struct walk {
	struct audit_check *out;
	uint8_t prev[ROW_HASH_LEN];
};

static int
check_one(void *ctx, struct audit_row *r)
{
	struct walk *w = ctx;
	uint8_t hash[ROW_HASH_LEN];

	w->out->records++;
	audit_hash(hash, r);
	if (w->out->first_bad == 0 && (r->id != w->out->records || memcmp(r->prev, w->prev, ROW_HASH_LEN) != 0 ||
	    memcmp(r->hash, hash, ROW_HASH_LEN) != 0))
		w->out->first_bad = r->id;
	memcpy(w->prev, r->hash, ROW_HASH_LEN);
	return 0;
}

int
audit_verify(struct audit_check *out, struct db *d, struct err *e)
{
	struct walk w = { .out = out };

	*out = (struct audit_check){ 0 };
	return audit_row_each(d, check_one, &w, e);
}
