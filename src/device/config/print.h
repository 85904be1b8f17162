/* SPDX-License-Identifier: Apache-2.0 */
/* config/print.h - a plan as the files that the services read, in the layout of the original's */
#ifndef DEVICE_CONFIG_PRINT_H
#define DEVICE_CONFIG_PRINT_H

#include "device/config/plan.h"

/*
 * Each appends a whole file without its header; keys that are Estuary's own stand where the
 * originals ignore them.
 */
void print_keyd(struct buf *out, const struct plan *p);
void print_certd(struct buf *out, const struct plan *p);
void print_identityd(struct buf *out, const struct plan *p);
void print_tpmd(struct buf *out, const struct plan *p);
void print_edged(struct buf *out, const struct plan *p);
/*
 * What makes certd itself request and renew the Edge CA's certificate, under edged's IDs and as
 * edged would: an entry that joins the one in certd's file, and keyd's permission (certd: the
 * uid).  Only when print_has_own(): the Edge CA is issued.
 */
bool print_has_own(const struct plan *p);
void print_own_certd(struct buf *out, const struct plan *p);
void print_own_keyd(struct buf *out, int64_t certd);
/* Two lines that say who wrote this, and an empty one. */
void print_header(struct buf *out, const char *command);

#endif
