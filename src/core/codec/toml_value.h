/* SPDX-License-Identifier: Apache-2.0 */
/* codec/toml_value.h - numbers, booleans and dates of a TOML document (for toml.c alone) */
#ifndef CORE_CODEC_TOML_VALUE_H
#define CORE_CODEC_TOML_VALUE_H

#include "core/codec/toml.h"
#include "core/codec/toml_scan.h"

/* A value of one word; which member holds depends on kind.  A date is its word. */
struct toml_value {
	enum toml_kind kind;
	bool boolean;
	int64_t integer;
	double number;
};

/*
 * Read the word that stands next: an integer, float, boolean or date.  The word itself is
 * appended to text.  E_FORMAT says what is wrong with it.
 */
int toml_value_read(struct toml_value *out, struct buf *text, struct toml_scan *s) MUST_CHECK;

#endif
