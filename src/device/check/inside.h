/* SPDX-License-Identifier: Apache-2.0 */
/* check/inside.h - what the checks share: the device as found so far, and how a check says what it found */
#ifndef DEVICE_CHECK_INSIDE_H
#define DEVICE_CHECK_INSIDE_H

#include "core/codec/json.h"
#include "device/certd/settings.h"
#include "device/check/check.h"
#include "device/identityd/settings.h"
#include "device/keyd/settings.h"

#define CHECK_FILE_MAX ((size_t)1024 * 1024)
#define CHECK_CERTS_MAX 256
#define CHECK_DAY_S ((int64_t)86400)

enum check_kind {
	CHECK_OK,
	CHECK_IGNORED,  /* does not apply here */
	CHECK_SKIPPED,  /* could not be done, because of what an earlier check has told */
	CHECK_WARNING,
	CHECK_ERROR,
	CHECK_FATAL,    /* and no further check makes sense */
	CHECK_TOLD,     /* it was one of many results: check_tell() has had them all */
};

/* What a check has found; it begins as CHECK_OK with nothing in it. */
struct check_result {
	enum check_kind kind;
	json_t *details;  /* texts: what is wrong, one after the other */
	json_t *causes;   /* texts: what led to it, as far as it is known; for --verbose */
	json_t *notes;    /* texts: what is worth knowing, for --verbose */
	json_t *info;     /* object: additional_info */
};

struct checking;
typedef void (*check_fn)(struct checking *c, struct check_result *r);

struct check {
	const char *id, *description;
	check_fn fn;
};

enum { SERVICE_KEYD, SERVICE_CERTD, SERVICE_IDENTITYD, SERVICE_TPMD, SERVICE_EDGED, SERVICE_COUNT };

/* The device. */
struct checking {
	const struct check_options *o;
	struct reporter *reporter;
	struct place at[SERVICE_COUNT];
	bool configured[SERVICE_COUNT];      /* there is a configuration file */
	bool runs[SERVICE_COUNT];            /* something listens on its socket; set by the "running" checks */
	/* Set by the "well-formed" checks; NULL: it is not, or there is none. */
	struct keyd_settings *keyd;
	struct certd_settings *certd;
	struct identityd_settings *identityd;
	json_t *status;                      /* what certd says of itself; NULL: not asked yet, or no answer */
};

/* --- saying what was found; a result's kind is the worst of what was said --- */

void check_warn(struct check_result *r, const char *fmt, ...) PRINTF(2, 3);
void check_error(struct check_result *r, const char *fmt, ...) PRINTF(2, 3);
void check_fatal(struct check_result *r, const char *fmt, ...) PRINTF(2, 3);
void check_cause(struct check_result *r, const char *fmt, ...) PRINTF(2, 3);
/* With the reason in additional_info. */
void check_ignore(struct check_result *r, const char *fmt, ...) PRINTF(2, 3);
void check_skip(struct check_result *r, const char *fmt, ...) PRINTF(2, 3);
void check_note(struct check_result *r, const char *fmt, ...) PRINTF(2, 3);
void check_result_clear(struct check_result *r);
/* One of many results of the check that is being run; r is cleared. */
void check_tell(struct checking *c, const char *id, const char *description, struct check_result *r);

/* --- the checks --- */

void configs_keyd(struct checking *c, struct check_result *r);
void configs_certd(struct checking *c, struct check_result *r);
void configs_tpmd(struct checking *c, struct check_result *r);
void configs_identityd(struct checking *c, struct check_result *r);
void configs_edged(struct checking *c, struct check_result *r);
void configs_up_to_date(struct checking *c, struct check_result *r);
void configs_edged_up_to_date(struct checking *c, struct check_result *r);

void host_hostname(struct checking *c, struct check_result *r);
void host_version(struct checking *c, struct check_result *r);
void host_local_time(struct checking *c, struct check_result *r);
/* additional_info of the whole; owned. */
json_t *host_describe(const struct checking *c);

void files_identity(struct checking *c, struct check_result *r);
void files_est(struct checking *c, struct check_result *r);
void files_local_ca(struct checking *c, struct check_result *r);
void files_preloaded(struct checking *c, struct check_result *r);

void services_keyd(struct checking *c, struct check_result *r);
void services_certd(struct checking *c, struct check_result *r);
void services_tpmd(struct checking *c, struct check_result *r);
void services_identityd(struct checking *c, struct check_result *r);
void services_read_certs(struct checking *c, struct check_result *r);
void services_read_keys(struct checking *c, struct check_result *r);
void services_match(struct checking *c, struct check_result *r);
/* GET path of a service, in ten seconds.  E_NOTFOUND: 404, or it says so; E_AUTH; E_UNAVAIL; E_IO with its words. */
int services_get(json_t **out, const struct checking *c, int service, const char *path, const char *version,
    struct err *e) MUST_CHECK;

void connect_amqp(struct checking *c, struct check_result *r);
void connect_https(struct checking *c, struct check_result *r);
void connect_mqtt(struct checking *c, struct check_result *r);
void connect_dps(struct checking *c, struct check_result *r);

void est_https(struct checking *c, struct check_result *r);
void est_endpoints(struct checking *c, struct check_result *r);
void est_renewals(struct checking *c, struct check_result *r);

#endif
