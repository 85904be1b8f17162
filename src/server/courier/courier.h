/* SPDX-License-Identifier: Apache-2.0 */
/* courier/courier.h - webhooks asked on behalf of the authority: a process for each, so that none waits for another */
#ifndef SERVER_COURIER_COURIER_H
#define SERVER_COURIER_COURIER_H

#include "core/sys/pipe.h"
#include "core/sys/sandbox.h"

#define COURIER_CALLS   8     /* processes at one time */
#define COURIER_QUEUE   256   /* webhooks that wait for one; over it the authority hears that nobody was asked */
#define COURIER_CALL_MS 10000 /* for one webhook, from the name of its host to the last octet of its answer */
#define COURIER_MODE    "call" /* argv[1] of such a process */
#define COURIER_TRUST_MAX ((size_t)1024 * 1024)

/* Between the courier and a process of its own: u32 type, as on every pipe. */
enum {
	COURIER_CALL = 1, /* str URL, bytes body, bytes anchors in PEM (n 0: the system's) */
	COURIER_CALLED,   /* body of PROTO_FETCHED */
};

/* The answer as the authority hears it.  tried false: nobody was asked.  status 0: there is no answer. */
struct courier_answer {
	bool tried;
	unsigned status;
	const char *why;
	struct bytes body;
};
void courier_put_answer(struct buf *b, const struct courier_answer *a);

/* calls.c: the processes, and who waits for one */
struct calls;
/* fn gets the body of PROTO_FETCHED for the id, once, from the loop.  path: our own executable, borrowed like trust. */
typedef void (*calls_fn)(void *ctx, uint64_t id, struct bytes fetched);
struct calls *calls_new(struct loop *l, const char *path, const struct buf *trust, calls_fn fn, void *ctx);
void calls_add(struct calls *c, uint64_t id, const char *url, struct bytes body);
void calls_forget(struct calls *c);          /* nobody wants the answers any more */
void calls_free(struct calls *c);

/*
 * call.c: what a webhook needs of the file system: how names are resolved, the system's anchors; with a path also
 * what it takes to start that executable.  Of the server's nothing.
 */
#define COURIER_PATHS 13
void call_paths(struct sandbox_path paths[COURIER_PATHS], const char *exec);
/* One webhook, from descriptor 3; returns the exit status. */
int call_main(void);

#endif
