/* SPDX-License-Identifier: Apache-2.0 */
/* config/diff.h - two texts compared by lines, for people; secrets in them are not shown */
#ifndef DEVICE_CONFIG_DIFF_H
#define DEVICE_CONFIG_DIFF_H

#include "core/base/bytes.h"

/*
 * Append the lines that go with '-', those that come with '+', and up to three unchanged ones
 * around them; "..." where more are left out.  The values of passwords, headers, PINs, a TPM's
 * authorisations, URLs with a user and of an environment are written as "***".  Nothing when the
 * texts are equal.
 */
void diff_lines(struct buf *out, struct bytes old, struct bytes fresh);

#endif
