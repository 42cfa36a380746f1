/* SPDX-License-Identifier: MIT */
/* What all lists have in common. */
#ifndef AZBLOB_BLOB_LIST_H
#define AZBLOB_BLOB_LIST_H

#include "request.h"

#define LIST_MAX_RESULTS 5000u
/* A page may always end early: this bounds what one list takes of memory. */
#define LIST_MAX_BYTES (8u * 1024u * 1024u)
/* The end of a page with the longest marker: 3,072 bytes of a name in base64. */
#define LIST_TAIL_BYTES 5120u

/* Bytes of XML after which a page ends. */
size_t list_room(const struct rq *rq);
/* maxresults; @given may be NULL.  NULL, or the answer that refuses it. */
struct svc_answer *list_max(const struct rq *rq, size_t *max, bool *given);
/* The declaration and <EnumerationResults ServiceEndpoint="...">. */
void list_open(const struct rq *rq, struct azb_buf *xml);
/* A name; one that XML can't hold is percent-encoded and marked as such. */
void list_add_name(struct azb_buf *xml, const char *element, const char *name);

#endif /* AZBLOB_BLOB_LIST_H */
