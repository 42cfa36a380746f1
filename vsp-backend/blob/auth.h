/* SPDX-License-Identifier: MIT */
/* Whether a request's credentials are good: SharedKey and SharedKeyLite for now. */
#ifndef AZBLOB_BLOB_AUTH_H
#define AZBLOB_BLOB_AUTH_H

#include "request.h"

/* Azure: a signed request is good for 15 minutes. */
#define AUTH_MAX_SKEW_S 900

/* NULL and rq->account set, or the answer that refuses the request. */
struct svc_answer *auth_check(struct rq *rq);

#endif /* AZBLOB_BLOB_AUTH_H */
