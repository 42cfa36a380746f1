/* SPDX-License-Identifier: MIT */
/* Conditions and creation of append and page blobs: what their operations share. */
#ifndef AZBLOB_BLOB_PLACE_H
#define AZBLOB_BLOB_PLACE_H

#include "request.h"

/*
 * x-ms-blob-condition-*, x-ms-if-sequence-number-*; the operation's table says which it may
 * have.  NULL, or the answer that refuses them.
 */
struct svc_answer *place_parse(const struct rq *rq, struct store_place *place);
/* A header that is a whole number up to INT64_MAX; *given: it is there. */
struct svc_answer *place_number(const struct rq *rq, const char *name, bool *given,
				uint64_t *value);
/* Put Blob of a blob without content; the whole operation. */
struct svc_answer *place_create(struct rq *rq, enum store_blob_type type);

#endif /* AZBLOB_BLOB_PLACE_H */
