/* SPDX-License-Identifier: MIT */
/*
 * What each operation asks of credentials that don't open everything: the permissions and resource
 * types of shared access signatures, and public access.  By the tables of Azure's reference
 * ("Create an account SAS", "Create a service SAS", "Get and set container ACL").
 */
#ifndef AZBLOB_BLOB_PERMIT_H
#define AZBLOB_BLOB_PERMIT_H

#include "request.h"

/*
 * After auth_check(): NULL, or the answer that refuses the operation.  Operations that the table
 * doesn't have are open to keys and tokens only.  Sets rq->auth.create_only.
 */
struct svc_answer *permit_check(struct rq *rq);

/* Whether the credentials open a blob's tags, for reading or writing. */
bool permit_tags(const struct rq *rq);

/* Whether a copy takes the tags of its source along, which is reading and writing tags. */
bool permit_copies_tags(const struct rq *rq);

#endif /* AZBLOB_BLOB_PERMIT_H */
