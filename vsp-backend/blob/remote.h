/* SPDX-License-Identifier: MIT */
/* A source on another host becomes bytes in the store. */
#ifndef AZBLOB_BLOB_REMOTE_H
#define AZBLOB_BLOB_REMOTE_H

#include <stdatomic.h>

#include "source.h"

/**
 * struct remote - what is wanted, and what came
 * @range: of the source; not given: all of it.
 * @max: bytes that are taken at most.
 * @length: exactly so many are wanted; 0: any.
 * @md5: take one of the bytes.
 * @head_only: where there are more than @max, take the head alone: @store stays NULL.
 * @if_match: of the source, or NULL; @progress: bytes so far, or NULL.
 * @store: the bytes, for a change; the caller's to end, also after an error.
 * @digest: of them.
 * @etag: of the source, or NULL, in @text.
 * @info: of the source as its headers say, strings in @text: type, length, headers, meta.
 */
struct remote {
	struct range range;
	uint64_t max;
	uint64_t length;
	bool md5;
	bool head_only;
	const char *if_match;
	atomic_ullong *progress;

	struct store_upload *store;
	struct store_digest digest;
	const char *etag;
	struct store_blob_info info;
	struct azb_buf text;
	struct azb_buf meta;
};

/* NULL, and it is there; or the answer that says why not.  remote_free() in both cases. */
struct svc_answer *remote_fetch(struct rq *rq, const char *url, struct remote *remote);
/* Ends the upload too, if it is still there. */
void remote_free(struct remote *remote);

#endif /* AZBLOB_BLOB_REMOTE_H */
