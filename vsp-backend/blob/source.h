/* SPDX-License-Identifier: MIT */
/*
 * x-ms-copy-source: which blob is meant, whether it may be read, and the conditions on it.
 *
 * A source at this service is authorised as a GET of it would be: by the signature in its URL, by
 * x-ms-copy-source-authorization, by public access; or by the key that signed the request, where
 * it is of the same account.  What another host has is for that host to give or not.
 */
#ifndef AZBLOB_BLOB_SOURCE_H
#define AZBLOB_BLOB_SOURCE_H

#include "request.h"

/* The reference: a source's URL has at most 2 KiB. */
#define SOURCE_MAX_URL 2048u

struct source;

/* NULL, and *@source for source_free(); or the answer that refuses it. */
struct svc_answer *source_open(struct rq *rq, struct source **source);
void source_free(struct source *source); /* NULL is allowed */

struct store_ref source_ref(const struct source *source);
/* x-ms-source-if-* and x-ms-source-lease-id. */
const struct store_conditions *source_conditions(const struct source *source);
/* It is on another host, which is allowed: there is only the URL of it, for remote_fetch(). */
bool source_is_remote(const struct source *source);
const char *source_url(const struct source *source);
/* The URL without what is secret in it, to be shown to whoever may read the copy. */
const char *source_shown(const struct source *source);

/*
 * Bytes of a source at this service become those of an upload, for the caller to end also after an
 * error, with its checksums; @md5: that one too.
 */
enum store_error source_bytes(struct store *store, struct store_read *read, uint64_t offset,
			      uint64_t length, bool md5, struct store_upload **upload,
			      struct store_digest *digest);

/* An error of reading a source, in the language of copies. */
struct svc_answer *source_fail(const struct rq *rq, enum store_error error);

/* x-ms-source-content-md5 and -crc64.  NULL, or the answer that refuses them. */
struct svc_answer *source_sums(const struct rq *rq, struct checksums *sums);

#endif /* AZBLOB_BLOB_SOURCE_H */
