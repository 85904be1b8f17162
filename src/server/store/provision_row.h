/* SPDX-License-Identifier: Apache-2.0 */
/* store/provision_row.h - provisioning: its CAs, enrolments, registrations, hubs and their modules */
#ifndef SERVER_STORE_PROVISION_ROW_H
#define SERVER_STORE_PROVISION_ROW_H

#include "server/store/db.h"

#define PROVISION_ID_MAX 129 /* registration, device and module IDs, NUL included */

/* A CA certificate that was uploaded for enrolment groups; it counts when it is verified. */
struct dps_ca_row {
	int64_t id, parent;              /* parent: the uploaded one that issued it (its signature was checked); 0: none */
	char name[ROW_NAME_MAX];
	bool verified;
	char code[65];                   /* to be the CN of the proof of possession; "" when verified */
	struct buf der;
	uint8_t sha256[ROW_HASH_LEN];
	int64_t created_at, verified_at;
	int64_t groups;                  /* how many enrolments name it; filled by list and by_name */
};
void dps_ca_row_clear(struct dps_ca_row *r);
int dps_ca_row_insert(struct db *d, struct dps_ca_row *r, struct err *e) MUST_CHECK;  /* sets r->id; E_EXISTS: name or certificate */
int dps_ca_row_by_name(struct db *d, const char *name, struct dps_ca_row *r, struct err *e) MUST_CHECK;
int dps_ca_row_by_id(struct db *d, int64_t id, struct dps_ca_row *r, struct err *e) MUST_CHECK;
int dps_ca_row_by_sha256(struct db *d, const uint8_t sha256[ROW_HASH_LEN], struct dps_ca_row *r, struct err *e) MUST_CHECK;
int dps_ca_row_verify(struct db *d, int64_t id, int64_t now, struct err *e) MUST_CHECK;
/* The CA's next certificate in place of the one that is there. */
int dps_ca_row_renew(struct db *d, int64_t id, struct bytes der, const uint8_t sha256[ROW_HASH_LEN], int64_t parent,
    struct err *e) MUST_CHECK;
int dps_ca_row_set_parent(struct db *d, int64_t id, int64_t parent, struct err *e) MUST_CHECK;
int dps_ca_row_remove(struct db *d, int64_t id, struct err *e) MUST_CHECK;
int dps_ca_row_each(struct db *d, int (*fn)(void *ctx, struct dps_ca_row *r), void *ctx, struct err *e) MUST_CHECK;

/* An enrolment group, or an individual enrolment (its name is the registration ID, in lower case). */
struct enrolment_row {
	int64_t id;
	bool individual, enabled;
	char name[PROVISION_ID_MAX];
	char attestation[16];            /* "x509", "symmetric", "tpm" */
	int64_t ca[2];                   /* of a group by X.509: dps_ca_row ids, primary and secondary; 0: none */
	bool has_cert[2];                /* of an individual one by X.509: */
	uint8_t cert[2][ROW_HASH_LEN];   /* SHA-256 of the DER certificates */
	struct buf key[2];               /* of one by symmetric key: sealed (provision_seal()) */
	struct buf ek;                   /* of one by TPM: TPM2B_PUBLIC of the endorsement key */
	char device_id[PROVISION_ID_MAX];/* of an individual one; "": the registration ID */
	char allocation[16];             /* "static", "hashed", "latency", "webhook" */
	char hubs[ROW_TEXT_MAX];         /* hub names, blank between; "": all */
	char webhook[ROW_TEXT_MAX];      /* https URL */
	char reprovision[16];            /* "migrate": the hub is chosen anew when it may be another; "never" */
	struct buf payload;              /* initial payload, JSON; n 0: none */
	bool edge;                       /* an IoT Edge device */
	char label[ROW_NAME_MAX];        /* a request in the register call is answered as this label would; "": never */
	int64_t created_at, updated_at;
	int64_t registrations;           /* a count; filled by list and by_name */
};
void enrolment_row_clear(struct enrolment_row *r);
int enrolment_row_insert(struct db *d, struct enrolment_row *r, struct err *e) MUST_CHECK; /* sets r->id; E_EXISTS */
int enrolment_row_update(struct db *d, const struct enrolment_row *r, struct err *e) MUST_CHECK; /* all but name and kind */
int enrolment_row_by_name(struct db *d, bool individual, const char *name, struct enrolment_row *r, struct err *e) MUST_CHECK;
int enrolment_row_by_id(struct db *d, int64_t id, struct enrolment_row *r, struct err *e) MUST_CHECK;
int enrolment_row_remove(struct db *d, int64_t id, struct err *e) MUST_CHECK; /* E_EXISTS: registrations hold it */
/* ids above `after`, at most limit; all groups with an attestation: limit -1.  attestation NULL or "": any. */
int enrolment_row_list(struct db *d, bool individual, const char *attestation, int64_t after, int64_t limit,
    int (*fn)(void *ctx, struct enrolment_row *r), void *ctx, struct err *e) MUST_CHECK;
/* For a device's question, without the counts of those above: groups of one attestation, or that name an uploaded CA. */
int enrolment_row_groups(struct db *d, const char *attestation, int (*fn)(void *ctx, struct enrolment_row *r), void *ctx,
    struct err *e) MUST_CHECK;
int enrolment_row_groups_of_ca(struct db *d, int64_t ca, int (*fn)(void *ctx, struct enrolment_row *r), void *ctx,
    struct err *e) MUST_CHECK;

/* A device that registered. */
struct registration_row {
	int64_t id, enrolment;           /* enrolment 0: it was removed */
	char registration[PROVISION_ID_MAX]; /* in lower case; unique */
	char device_id[PROVISION_ID_MAX];
	char hub[ROW_TEXT_MAX];
	char status[16];                 /* "unassigned" (a TPM that has not proved itself yet), "assigned", "assigning", "failed", "disabled" */
	char substatus[40];              /* "initialAssignment", "reprovisionedToInitialAssignment", "deviceDataMigrated" */
	char operation[65];
	int64_t error_code;              /* of "failed" */
	char error_text[ROW_TEXT_MAX];
	bool has_cert;
	uint8_t cert[ROW_HASH_LEN];      /* that it last registered with */
	struct buf key;                  /* TPM: the HMAC keys that it was given, the proved one and the new one, sealed; n 0: none */
	int64_t key_expires;             /* TPM: until when the new one may be proved; 0: there is none */
	struct buf payload;              /* that it goes on with, JSON; n 0: the enrolment's */
	bool issued;                     /* it was given a certificate with a registration: later ones may follow */
	int64_t created_at, updated_at;
	char enrolment_name[PROVISION_ID_MAX]; /* filled by list and by_name */
	bool individual;
};
void registration_row_clear(struct registration_row *r);
int registration_row_put(struct db *d, struct registration_row *r, struct err *e) MUST_CHECK; /* by registration; sets r->id */
int registration_row_by_name(struct db *d, const char *registration, struct registration_row *r, struct err *e) MUST_CHECK;
/* By the identity at a hub (octet for octet). */
int registration_row_by_device(struct db *d, const char *device_id, struct registration_row *r, struct err *e) MUST_CHECK;
/* Has another registration this device ID, in whatever case? */
int registration_row_taken(struct db *d, const char *device_id, const char *registration, bool *taken, struct err *e) MUST_CHECK;
int registration_row_remove(struct db *d, const char *registration, struct err *e) MUST_CHECK; /* its modules too */
/* q: a part of the registration ID, or NULL; enrolment 0: any; status NULL: any; newest first. */
int registration_row_list(struct db *d, const char *q, int64_t enrolment, const char *status, int64_t after, int64_t limit,
    int (*fn)(void *ctx, struct registration_row *r), void *ctx, struct err *e) MUST_CHECK;

struct hub_row {
	int64_t id;
	char name[ROW_TEXT_MAX];         /* host, or host:port */
	int64_t weight;                  /* of "hashed"; 1 to 1000 */
	int64_t latency_ms;              /* of "latency", as the operator measured or weighs it */
	bool enabled;
	int64_t created_at, devices;     /* devices: a count, filled by list */
};
int hub_row_insert(struct db *d, struct hub_row *r, struct err *e) MUST_CHECK;
int hub_row_update(struct db *d, const struct hub_row *r, struct err *e) MUST_CHECK;
int hub_row_by_name(struct db *d, const char *name, struct hub_row *r, struct err *e) MUST_CHECK;
int hub_row_remove(struct db *d, const char *name, struct err *e) MUST_CHECK; /* E_EXISTS: registrations name it */
int hub_row_each(struct db *d, int (*fn)(void *ctx, struct hub_row *r), void *ctx, struct err *e) MUST_CHECK;
int hub_row_scan(struct db *d, int (*fn)(void *ctx, struct hub_row *r), void *ctx, struct err *e) MUST_CHECK; /* without the counts */

/* A module identity of a device at the hub stand-in. */
struct module_row {
	int64_t id;
	char device[PROVISION_ID_MAX], module[PROVISION_ID_MAX];
	char generation[24], managed_by[65];
	struct buf key[2];               /* sealed; n 0: none yet */
	int64_t created_at, updated_at;
};
void module_row_clear(struct module_row *r);
int module_row_put(struct db *d, struct module_row *r, struct err *e) MUST_CHECK; /* by device and module */
int module_row_by_name(struct db *d, const char *device, const char *module, struct module_row *r, struct err *e) MUST_CHECK;
int module_row_remove(struct db *d, const char *device, const char *module, struct err *e) MUST_CHECK; /* E_NOTFOUND */
int module_row_count(struct db *d, const char *device, int64_t *n, struct err *e) MUST_CHECK;
int module_row_each(struct db *d, const char *device, int (*fn)(void *ctx, struct module_row *r), void *ctx, struct err *e) MUST_CHECK;

#endif
