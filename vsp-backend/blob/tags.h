/* SPDX-License-Identifier: MIT */
/* Blob tags as requests bring them. */
#ifndef AZBLOB_BLOB_TAGS_H
#define AZBLOB_BLOB_TAGS_H

#include "request.h"

/*
 * Each fills @out with the pairs as store_meta_next() steps through them, in the order of their
 * keys, for azb_buf_free().  NULL, or the answer that refuses them; @out is then empty.
 */

/* x-ms-tags: "a=1&b=2", encoded as a query is.  Nothing when the header is absent. */
struct svc_answer *tags_of_header(const struct rq *rq, struct azb_buf *out);
/* The XML of Set Blob Tags. */
struct svc_answer *tags_of_xml(const struct answer_to *to, const void *xml, size_t length,
			       struct azb_buf *out);

/* How many there are. */
size_t tags_count(const struct store_meta *tags);
/* <Tags><TagSet>... */
void tags_add_xml(struct azb_buf *xml, const struct store_meta *tags);

#endif /* AZBLOB_BLOB_TAGS_H */
