/* SPDX-License-Identifier: MIT */
/* Requests of a store that takes them whole (store/rest.h).  Inside the service only. */
#ifndef AZBLOB_BLOB_RELAY_H
#define AZBLOB_BLOB_RELAY_H

#include "upload.h"

/* What svc_start() does once the target is known: credentials, then the store. */
struct svc_answer *relay_start(struct rq *rq, struct svc_upload **upload);

/*
 * The stored access policies of the request's container, as struct store_acl has them, in @acl;
 * to be freed in every case.  NULL, or the answer that says why not.
 */
struct svc_answer *relay_policies(const struct rq *rq, struct azb_buf *acl);

/* svc_write(), svc_upload_fail() for -EIO, svc_finish(); the upload has @rest. */
int relay_write(struct svc_upload *upload, uint64_t offset, const struct iovec *iov, int count,
		unsigned int flags, const uint64_t *expect, uint64_t *crc64);
struct svc_answer *relay_fail(const struct svc_upload *upload);
int relay_finish(struct svc_upload *upload, const struct svc_caller *caller,
		 struct svc_answer **answer);
/* Ends upload->rest, not the upload. */
void relay_abort(struct svc_upload *upload);

#endif /* AZBLOB_BLOB_RELAY_H */
