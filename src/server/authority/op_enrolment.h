/* SPDX-License-Identifier: Apache-2.0 */
/* authority/op_enrolment.h - an enrolment as an operator describes it, and as it is shown (between op_enrolment*.c) */
#ifndef SERVER_AUTHORITY_OP_ENROLMENT_H
#define SERVER_AUTHORITY_OP_ENROLMENT_H

#include "server/authority/authority.h"
#include "server/store/provision_row.h"

#define ENROLMENT_KEY_MAKE 64  /* octets of a key that is made here, as Azure makes them */
#define ENROLMENT_KEY_MIN  32  /* of one that is given */
#define ENROLMENT_KEY_MAX  64
#define ENROLMENT_KEY_MADE "made" /* stands for a key that shall be made; never the base64 of one, being too short */

/*
 * Put the verb's arguments into the row: name, kind and, of one that is to be changed, attestation are
 * there.  created: it is new, so what must be there must be given (keys are made).  Everything is checked, nothing is
 * written but, for a group that names a CA of ours, that CA's row.  E_USAGE, E_NOTFOUND, E_POLICY, E_EXISTS (another
 * group has the CA).
 */
int op_enrolment_read(struct work *w, struct enrolment_row *r, bool created, struct err *e) MUST_CHECK;
/* Do the arguments ask for a key to be made in place of one that is there? */
bool op_enrolment_makes_key(const struct work *w);
/* What *e says is the asker's mistake: E_USAGE, the verb before it. */
int op_enrolment_usage(const struct work *w, struct err *e);
/* A key into the row, sealed; made when key.n is 0. */
void op_enrolment_set_key(struct work *w, struct enrolment_row *r, int which, struct bytes key);

#endif
