/* SPDX-License-Identifier: Apache-2.0 */
/* certd/engine_inside.h - what the files of the renewal engine share; nobody else's */
#ifndef DEVICE_CERTD_ENGINE_INSIDE_H
#define DEVICE_CERTD_ENGINE_INSIDE_H

#include "core/base/clock.h"
#include "device/certd/engine.h"
#include "device/certd/est_job.h"
#include "device/certd/generation.h"

#define ENGINE_DAY_S     86400
#define ENGINE_PAUSE_S   (ENGINE_DAY_S + ENGINE_DAY_S / 5) /* more than any of policy_pause() */
#define ENGINE_REFUSED_S 600 /* so long a preloaded identity that was refused is left alone */
#define ENGINE_HOLD_S    10 /* so long after a failure a need is answered by that failure */
#define ENGINE_LENT_S    (JOB_DEADLINE_S + 10) /* so long an exchange may use the pair that it was told is ready */
#define ENGINE_STAGED_S  300 /* and so long a switch waits for such exchanges at most */
#define ENGINE_REFUSALS  3  /* of a new pair, before the old comes back; of a new key, before the old is kept */

enum source { SOURCE_IDENTITY, SOURCE_MANAGED };

/* What certificate and key on disk are to each other. */
enum pair {
	PAIR_UNKNOWN, /* not looked at yet, or the Keys Service does not answer */
	PAIR_MATCH,
	PAIR_NONE,    /* one is missing, or they do not belong together, and no other file helps */
};

/* A file as it was last read: another of the same name shows. */
struct seen {
	bool there;
	uint64_t inode;
	int64_t size, s, ns;
};

/* The file that an EST identity began with; see birth.c. */
struct birth {
	char path[PLACE_MAX];    /* "": it began otherwise */
	struct seen seen;
	bool good;               /* it can be read, and has not ended: */
	bool other;              /* it is not what is served, and was not looked at since that was read */
	int64_t not_before;
	uint8_t sha256[SHA256_LEN];
};

struct credential {
	struct credential *next;
	struct engine *en;
	struct generation gen;   /* as it stands on disk */
	enum source source;
	char temp_id[ID_MAX];    /* the key ID of the successor */
	char owner[ID_MAX];      /* whose auth settings count */
	bool preloaded;          /* nobody here replaces it */
	bool auto_renew;
	struct birth birth;
	struct policy policy;
	bool kept;               /* marks, while settings change */
	bool shared;             /* its key, or the ID of that key's successor, is somebody else's too: it is not replaced */

	enum pair pair;
	struct seen seen;
	bool present;            /* there is a certificate that can be read: */
	struct policy_life life;
	int64_t rest_until;      /* it came due: so long it is left alone all the same */
	int64_t before_until;    /* the end of the certificate before, which is kept; 0: none is */
	bool is_before;          /* and it is the one that is served: somebody went back to it */
	bool client;             /* it can be a TLS client's */
	uint8_t sha256[SHA256_LEN];
	char serial[2 * CERT_SERIAL_MAX + 1], subject[NAME_TEXT_MAX];

	bool needed, renew_now, look;
	int64_t hold_until;      /* after a failure: till then needs hear of it */
	unsigned lent;           /* exchanges that may be under way with the pair that is served, */
	int64_t lent_until;      /* until then */
	unsigned stale;          /* exchanges that may still be under way with the pair before, */
	int64_t stale_until;     /* until then: what they say is not about this one */
	int64_t staged_at;
	unsigned key_refusals;   /* how often keyd refused to have the key replaced, in a row */
	struct name need_subject;
	char need_url[JOB_URL_MAX];

	struct workers_ticket *ticket; /* a job is under way, */
	struct buf asked_pem;          /* about this certificate */
	unsigned candidate;            /* of an inspection */
	enum est_as as;
	bool waiting;                  /* for the EST identity of a managed certificate; as is valid when as_known */
	bool as_known;
	bool late;               /* the certificate that is served had ended when it came, by our clock */
	bool said_no;            /* the server, to the request with this key: the pair that is served was not renewed */
};

struct wait {
	struct wait *next;
	struct credential *c;    /* NULL: there is none */
	bool settled;            /* is all that is wanted: engine_settled() */
	engine_ready fn;
	void *ctx;
};

struct engine {
	struct loop *loop;
	struct workers *workers;
	struct alarm *alarm;
	struct loop_timer *timer;
	const struct certd_settings *s;
	struct credential *all;
	struct wait *waits;
	int64_t (*now)(void);
	bool woken;
	bool clock_odd;          /* told already */
	int64_t last_turn;
};

/* engine.c */
struct credential *engine_find(const struct engine *en, const char *cert_id);
void engine_turn(struct engine *en);         /* look at everything, do what is due, answer who waits */
void engine_wake(struct engine *en);         /* engine_turn() soon, from the loop */
void engine_set_clock(struct engine *en, int64_t (*now)(void)); /* for tests */
/* Is `now` not a day before what build, certificates and servers have shown? */
bool engine_clock_right(const struct engine *en, int64_t now);

/* rotation.c: the machine of one credential */
enum act {
	ACT_NONE, ACT_INSPECT, ACT_BEGIN, ACT_BEGIN_ANEW, ACT_KEYGEN, ACT_ASK, ACT_STAGE, ACT_SWITCH, ACT_PROBE, ACT_PROVE,
	ACT_ACCEPT, ACT_ROLLBACK, ACT_FINISH,
};
/* What is to be done, by state and clock alone; *when: the next time at which that can change (INT64_MAX: by an event). */
enum act rotation_next(const struct credential *c, int64_t now, int64_t *when);
/* Do all that is due and needs no waiting; start at most one job.  Returns *when. */
int64_t rotation_go(struct credential *c);
bool rotation_usable(const struct credential *c, int64_t now);
/*
 * Is its own renewal, by which the server ends it, on its way or not answered yet?  Whoever shows it meanwhile would be taken
 * for a second holder.
 */
bool rotation_spent(const struct credential *c, int64_t now);
/* Is t, a time until which something waits, still to come, and not of another clock? */
bool rotation_ahead(int64_t t, int64_t now);
/* May certificate and key be of two generations at this moment? */
bool rotation_in_doubt(const struct credential *c);
int64_t rotation_renew_at(const struct credential *c);  /* INT64_MAX: never by itself */
void rotation_used(struct credential *c, bool taken);
/* Replace the state on disk, then in memory.  E_IO: both are as they were. */
int rotation_commit(struct credential *c, const struct generation *g, struct err *e) MUST_CHECK;
/* A try came to nothing: note why, count, and set the next time.  r or e says why. */
void rotation_failed(struct credential *c, const char *deed, const struct job_result *r, const struct err *e);
void rotation_run(struct credential *c, struct job *j, workers_done fn);
/* Commit, or count a failure; true when done. */
bool rotation_step(struct credential *c, const struct generation *g);
/* Count a refusal of keyd to have the key replaced, if r is one. */
void rotation_key_refused(struct credential *c, const struct job_result *r);

/* rotation_switch.c: staged -> switching -> switched -> idle, and back */
void rotation_stage(struct credential *c);
void rotation_switch(struct credential *c);
void rotation_prove(struct credential *c);
void rotation_finish(struct credential *c);
void rotation_take_unproved(struct credential *c);
void rotation_roll_back(struct credential *c);

/* rotation_ask.c: the request for a new certificate, and its answer */
void rotation_ask(struct credential *c);
void rotation_probe(struct credential *c);
const char *rotation_url(const struct credential *c);   /* NULL: none, or not one by EST */
bool rotation_is_est(const struct credential *c);
/* Is its next certificate asked for by /simplereenroll, with the pair that is served? */
bool rotation_shows_itself(const struct credential *c);

/* inspect.c: certificate and key as they are on disk */
void inspect_pair(struct credential *c);
/* Read the certificate; true when it is another than before. */
bool inspect_reload(struct credential *c);
bool inspect_changed(const struct credential *c);       /* by stat(), cheap */
struct seen inspect_seen(const char *path);

/* birth.c: an identity that is preloaded, and the copy of it that is served and renewed */
void birth_find(struct credential *c);                  /* by the settings: sets birth.path */
void birth_look(struct credential *c);                  /* reads the file; called by inspect_reload() */
bool birth_counts(const struct credential *c);          /* rather than what is served */
int birth_read(struct buf *pem, const struct credential *c, struct err *e) MUST_CHECK;
int birth_take(struct credential *c, struct bytes pem, struct err *e) MUST_CHECK; /* it belongs to the key */

/* RFC 3339 with +00:00, as the original's lines have it. */
const char *engine_time_text(int64_t t, char out[CLOCK_TEXT_MAX + 8]);

#endif
