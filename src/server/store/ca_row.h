/* SPDX-License-Identifier: Apache-2.0 */
/* store/ca_row.h - our certification authorities */
#ifndef SERVER_STORE_CA_ROW_H
#define SERVER_STORE_CA_ROW_H

#include "server/store/db.h"

struct ca_row {
	int64_t id, parent;              /* parent 0: a root */
	char name[ROW_NAME_MAX], kind[16], key_id[ROW_NAME_MAX], key_type[16];
	struct buf der;                  /* its certificate */
	uint8_t spki_sha256[ROW_HASH_LEN];
	bool crl;
	int64_t crl_number, crl_next;    /* last number given out; when the next CRL is due, 0: now */
	char crl_url[ROW_TEXT_MAX], aia_url[ROW_TEXT_MAX];
	int64_t created_at;
	int64_t issued, revoked;         /* counts; filled by ca_row_count() alone */
};
void ca_row_clear(struct ca_row *r);

int ca_row_insert(struct db *d, struct ca_row *r, struct err *e) MUST_CHECK;     /* sets r->id */
int ca_row_by_name(struct db *d, const char *name, struct ca_row *r, struct err *e) MUST_CHECK; /* E_NOTFOUND */
/* Every CA in the order made; fn 0 goes on, other values end it and are returned. */
int ca_row_each(struct db *d, int (*fn)(void *ctx, struct ca_row *r), void *ctx, struct err *e) MUST_CHECK;
int ca_row_count(struct db *d, struct ca_row *r, struct err *e) MUST_CHECK;
/* Give out the next CRL number, commit before signing; a list stays due until ca_row_set_crl_due() says that one is published. */
int ca_row_next_crl(struct db *d, int64_t id, int64_t *number, struct err *e) MUST_CHECK;
int ca_row_set_crl_due(struct db *d, int64_t id, int64_t due, struct err *e) MUST_CHECK;

#endif
