/* SPDX-License-Identifier: MIT */
/*
 * Copies that go on after their request was answered: Copy Blob from another host.
 *
 * The blob is there from the start, empty and with the copy's state, and nobody but the copy may
 * change it (PendingCopyOperation).  What it becomes takes its place in one step; until then the
 * bytes live in an upload that nobody sees.  The store keeps what is needed to begin again, so a
 * copy that ended with its process is done anew by the next one.
 */
#ifndef AZBLOB_BLOB_PENDING_H
#define AZBLOB_BLOB_PENDING_H

#include "remote.h"

/* At once, of a service; more are refused. */
#define PENDING_MAX 16u

/* What Copy Blob was asked for; all of it is only used during the call. */
struct pending_copy {
	struct rq *rq;
	const struct source *source;
	const struct remote *remote; /* the head of the source */
	const struct conditions *conditions;
	const char *id;
	struct store_meta meta, tags;
	enum store_tier tier;
	struct store_protection protect;
};

/* Makes the blob and begins.  The answer, whichever. */
struct svc_answer *pending_begin(const struct pending_copy *copy, change_answer *make,
				 void *context);

/* A copy's state as it is to be shown: how far it is by now. */
void pending_look(struct store_copy *copy);

/*
 * Ends the pending copy @id of @rq's blob, which then says "aborted".  Blocks until that is done.
 * STORE_NO_PENDING_COPY: it is over already.  After another error nothing copies any more in this
 * process, but the blob is pending as before, and this can be called again.
 */
enum store_error pending_abort(const struct rq *rq, const char *id);

/* Goes on with those that earlier processes left. */
enum store_error pending_resume(struct svc *svc);

/* Stops all of them, for the next process to go on.  Blocks until they have. */
void pending_stop(struct svc *svc);

#endif /* AZBLOB_BLOB_PENDING_H */
