/* SPDX-License-Identifier: Apache-2.0 */
/* certd/generation.h - the state file of one credential: which pair is served, and how far its successor is */
#ifndef DEVICE_CERTD_GENERATION_H
#define DEVICE_CERTD_GENERATION_H

#include "core/pki/name.h"
#include "device/certd/certs.h"
#include "device/enrol/job.h"

#define GENERATION_FILE_MAX ((size_t)64 * 1024)

/* In the order of a rotation; engine.h says what each promises. */
enum generation_state {
	GEN_IDLE, GEN_KEYGEN, GEN_ASKED, GEN_STAGED, GEN_SWITCHING, GEN_SWITCHED, GEN_STATE_COUNT
};
const char *generation_state_name(enum generation_state s); /* "idle", "keygen", ... */

/* Why the last try came to nothing; time 0: none did. */
struct generation_error {
	int64_t time;
	char outcome[24];                 /* job_outcome_name(), "storage", "configuration" */
	char check[JOB_CHECK_MAX];
	char text[JOB_TEXT_MAX];
	char request_id[64];
	unsigned http_status;
};

struct generation {
	char id[ID_MAX], key_id[ID_MAX];
	enum generation_state state;
	uint64_t number;                  /* of pairs that were switched to; 0: none yet */
	uint32_t jitter;                  /* of this generation's renewal */
	bool rotate;                      /* the rotation under way makes a new key */
	bool proved;                      /* the server took the pair that is served */
	bool taken_once;                  /* so was one of this credential at any time: a refusal says something */
	bool back;                        /* the pair before it is kept and matched: a rollback is possible */
	bool disabled;                    /* by an operator */
	unsigned refused;                 /* how often the server refused the pair that is served, in a row */
	unsigned tries;                   /* failures in a row */
	unsigned setbacks;                /* new pairs that were refused for good, in a row */
	int64_t next_try;                 /* not before; 0: at once */
	int64_t good_time;                /* UTC of the last exchange with a server that we trusted; 0: none */
	uint8_t sha256[SHA256_LEN];       /* of the certificate that is served */
	uint8_t birth[SHA256_LEN];        /* of the preloaded one that it began with; all 0: none */
	char url[JOB_URL_MAX];            /* the fallback that it was enrolled at, "" none: renewals need it after a restart */
	struct name subject;              /* that it was first asked for with; n 0: not known */
	struct generation_error error;
};

/* Files beside the state: what was staged, and the certificate before the one that is served. */
enum generation_file { GEN_STATE_FILE, GEN_NEW_FILE, GEN_OLD_FILE };
/* HOME/renewal/STEM.json, STEM.new.cer, STEM.old.cer. */
int generation_path(char out[PLACE_MAX * 2], const struct certd_settings *s, const char *id, enum generation_file f,
    struct err *e) MUST_CHECK;

/* A state without a history: idle, a fresh jitter. */
void generation_begin(struct generation *g, const char *id, const char *key_id);
/*
 * Read the state of id.  E_NOTFOUND: there is none.  A file that is torn, or another ID's, was renamed to
 * STEM.json.corrupt and is E_FORMAT, with what was wrong.  E_IO.  *g is written on success alone.
 */
int generation_load(struct generation *g, const struct certd_settings *s, const char *id, struct err *e) MUST_CHECK;
/* Replace it durably; the directory is made when missing.  E_IO. */
int generation_save(const struct generation *g, const struct certd_settings *s, struct err *e) MUST_CHECK;
/* The same without files. */
void generation_encode(struct buf *out, const struct generation *g);
int generation_decode(struct generation *g, struct bytes text, struct err *e) MUST_CHECK;

/* PEM beside the state, 0644 and durable; E_NOTFOUND when there is none. */
int generation_read_cert(struct buf *out, const struct certd_settings *s, const char *id, enum generation_file f,
    struct err *e) MUST_CHECK;
int generation_write_cert(const struct certd_settings *s, const char *id, enum generation_file f, struct bytes pem,
    struct err *e) MUST_CHECK;
void generation_drop_cert(const struct certd_settings *s, const char *id, enum generation_file f); /* none is fine */
/* Remove what a power cut left of half-written files. */
void generation_sweep(const struct certd_settings *s);

#endif
