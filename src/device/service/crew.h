/* SPDX-License-Identifier: Apache-2.0 */
/* service/crew.h - worker processes: a message goes in, the answer comes out, the loop never waits */
#ifndef DEVICE_SERVICE_CREW_H
#define DEVICE_SERVICE_CREW_H

#include "core/sys/loop.h"

#define CREW_MAX 8 /* at once; further messages wait their turn */

/* Message types on a worker's control pipe (SPAWN_CONTROL_FD). */
#define CREW_MESSAGE 1
#define CREW_ANSWER  2

struct crew;
struct crew_ticket;

/* Who waits for an answer. */
struct crew_asker {
	/*
	 * died NULL: here is the answer, borrowed until the call returns.  Otherwise why there is none, one line.
	 * Called from the loop, exactly once, never from inside crew_run(); not after crew_cancel() or crew_free().
	 */
	void (*done)(void *ctx, struct bytes answer, const char *died);
	/* The ticket is gone, whatever became of it; the last call for ctx. */
	void (*gone)(void *ctx);
	void *ctx;
};

/* path: of the worker's executable, name: its argv[0]; both are borrowed. */
struct crew *crew_new(struct loop *l, const char *path, const char *name);
void crew_free(struct crew *c); /* ends the processes; the loop is not run after */
/* Beyond a deadline, and for the end after an answer, instead of 10 s. */
void crew_set_grace(struct crew *c, unsigned ms);
/*
 * A fresh process takes *message (whose buffer moves and is wiped when it has been sent).  One that is silent for
 * deadline_s and 10 s more is killed.
 */
struct crew_ticket *crew_run(struct crew *c, struct buf *message, unsigned deadline_s, const struct crew_asker *a);
void crew_cancel(struct crew *c, struct crew_ticket *t); /* done is not called any more */

/* --- in the worker --- */

/* What a message asks for, blocking; the answer is appended. */
typedef void (*crew_work)(struct bytes message, struct buf *answer);
/*
 * The whole of a worker's main(): one message, its answer (of at most `most` octets), the end.  It dies with who started
 * it; a change of user in `work` undoes that (prctl(2), PR_SET_PDEATHSIG).
 */
int crew_worker_main(crew_work work, size_t most);

#endif
