/* SPDX-License-Identifier: MIT */
/*
 * Static websites ("Static website hosting in Azure Storage" in Azure's documentation): the blobs
 * of the container $web, read by everybody at an address that is for nothing else.
 */
#ifndef AZBLOB_BLOB_WEBSITE_H
#define AZBLOB_BLOB_WEBSITE_H

#include "request.h"

/* Answers a request that came to that address; @rq has head, caller and accounts.  Never NULL. */
struct svc_answer *website_answer(struct rq *rq);

#endif /* AZBLOB_BLOB_WEBSITE_H */
