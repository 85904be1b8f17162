/* SPDX-License-Identifier: Apache-2.0 */
/* base/mem.h - allocation that cannot fail: out of memory ends the process */
#ifndef CORE_BASE_MEM_H
#define CORE_BASE_MEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

void *mem_zalloc(size_t n) __attribute__((malloc, returns_nonnull));
void *mem_zalloc_n(size_t n, size_t size) __attribute__((malloc, returns_nonnull)); /* overflow ends the process */
/* Grow or shrink from `had` to `want` octets; what is new is zero, what is left behind is wiped. */
void *mem_resize(void *p, size_t had, size_t want) __attribute__((returns_nonnull));
void *mem_dup(const void *p, size_t n) __attribute__((returns_nonnull)); /* n + 1 octets, the last 0 */
char *mem_strdup(const char *s) __attribute__((malloc, returns_nonnull));
void mem_free(void *p);                  /* mem_free(NULL) does nothing */
void mem_free_wiped(void *p, size_t n);
void mem_wipe(void *p, size_t n);        /* not optimised away */
void mem_keep(size_t n);                 /* so much of what is freed may stay with the process */
/*
 * Memory that knows its size, and is wiped whole when it is given back: for libraries that may keep secrets in it.  Only
 * for one another: what mem_zalloc() gave is none of these.
 */
void *mem_piece_new(size_t n) __attribute__((malloc, returns_nonnull));
void *mem_piece_resize(void *p, size_t n) __attribute__((returns_nonnull)); /* p may be NULL */
void mem_piece_free(void *p);            /* mem_piece_free(NULL) does nothing */
bool mem_equal_ct(const void *a, const void *b, size_t n); /* time depends on n alone */

#endif
