/* SPDX-License-Identifier: Apache-2.0 */
/* cli/picture.h - a device's certificates and a decision's rules, drawn in text */
#ifndef CLI_PICTURE_H
#define CLI_PICTURE_H

#include "core/cmd/cli.h"

/*
 * A device (device.show): its lines, the tree of its certificates (each under the one it was
 * renewed from) with how much of its life is over at `now`, and its events.
 */
void picture_device(const struct cli *c, const json_t *device, int64_t now);
/* A decision (audit.show): outcome, request, who, each rule with a mark, the text, the hint. */
void picture_decision(const struct cli *c, const json_t *record);

#endif
