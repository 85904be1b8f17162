/* SPDX-License-Identifier: Apache-2.0 */
/* cli/provision_print.h - groups, enrolments and their CAs for people: what is so, and what to do next */
#ifndef CLI_PROVISION_PRINT_H
#define CLI_PROVISION_PRINT_H

#include "core/cmd/cli.h"

/* print of the verbs of cli/provision.c; each is given the verb's result. */
void provision_print_scope(const struct cli *c, const json_t *scope);
void provision_print_ca(const struct cli *c, const json_t *ca);          /* and how to prove its key */
void provision_print_enrolment(const struct cli *c, const json_t *enrolment); /* with its devices' config.toml */
void provision_print_made(const struct cli *c, const json_t *enrolment); /* and that keys are shown this once */
void provision_print_derived(const struct cli *c, const json_t *key);    /* the key alone; the rest on standard error */

/*
 * Append a device's config.toml, with [cert_issuance.est] where it gets its certificate by EST: of a device of this group, or of this individual enrolment
 * (group.show, enrolment.show: id_scope, endpoint, attestation, ...).  registration NULL: the enrolment's, or DEVICE
 * for each device's own; key NULL: the enrolment's own, or a word in its place.
 */
void provision_print_config(struct buf *out, const json_t *enrolment, const char *registration, const char *key);

#endif
