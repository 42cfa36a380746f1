/* SPDX-License-Identifier: MIT */
/* Whether a request's credentials are good; what they are good for is permit_check()'s. */
#ifndef AZBLOB_BLOB_AUTH_H
#define AZBLOB_BLOB_AUTH_H

#include "request.h"

/* Azure: a signed request is good for 15 minutes. */
#define AUTH_MAX_SKEW_S 900

/*
 * SharedKey, SharedKeyLite, a shared access signature, or none (AUTH_NONE).  NULL, and rq->account
 * and rq->auth set; or the answer that refuses the request.  Without credentials rq->account
 * is NULL when there is no such account.
 */
struct svc_answer *auth_check(struct rq *rq);

/* auth_token.c: the same for a bearer token.  Fills rq->auth's oid and tid. */
struct svc_answer *auth_check_token(struct rq *rq, const struct head_str *token);

/* auth_sas.c: the same for a request with "sig". */
struct svc_answer *auth_check_sas(struct rq *rq);

/* AuthenticationFailed, with what was wrong. */
struct svc_answer *auth_refuse(const struct rq *rq, const char *detail);

/* Whether @text is the signature of @string by one of the account's keys; all are tried. */
bool auth_fits(const struct account *account, const struct azb_buf *string, const char *text,
	       size_t length);

#endif /* AZBLOB_BLOB_AUTH_H */
