/* SPDX-License-Identifier: Apache-2.0 */
/* store/schema.h - the tables, and the steps from one version to the next */
#ifndef SERVER_STORE_SCHEMA_H
#define SERVER_STORE_SCHEMA_H

#define SCHEMA_VERSION 3

/* SQL that takes version `from` to from + 1 in one transaction (it begins, commits and sets user_version). */
const char *schema_step(int from);

#endif
