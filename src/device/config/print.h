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
/* Two lines that say who wrote this, and an empty one. */
void print_header(struct buf *out, const char *command);

#endif
