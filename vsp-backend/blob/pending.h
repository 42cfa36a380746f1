/* SPDX-License-Identifier: MIT */
/*
 * Copies that go on after their request was answered: Copy Blob from another host.
 *
 * The blob is there from the start, empty and with the copy's state, and what it becomes takes its
 * place in one step, if it is still that one: whoever writes it meanwhile ends the copy.  The bytes
 * live in an upload that nobody sees.  A copy ends with the process; the state that it left says
 * who was doing it, so a later process shows it as failed.
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

/* A copy's state as it is to be shown: how far it is by now, or that nobody does it any more. */
void pending_look(struct store_copy *copy);

/*
 * Ends a copy that is under way; the blob then says "aborted", if it is still the one that waited.
 * Blocks until that is done.  False: there is no such copy any more.
 */
bool pending_abort(struct svc *svc, const char *id);

/* Ends all of them, and leaves what they were doing as it is.  Blocks until they have ended. */
void pending_stop(struct svc *svc);

#endif /* AZBLOB_BLOB_PENDING_H */
