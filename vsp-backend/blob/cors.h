/* SPDX-License-Identifier: MIT */
/* Cross-origin requests: "CORS support for Azure Storage" in Azure's reference. */
#ifndef AZBLOB_BLOB_CORS_H
#define AZBLOB_BLOB_CORS_H

#include "answer.h"
#include "props.h"

struct rq;

/**
 * struct cors - what a request's answer says about it
 * @props: NULL: nothing at all.
 * @rule: points into @props; NULL when none fits.
 * @origin: of the request; NULL when it names none.
 * @vary: another origin might have got another answer.
 */
struct cors {
	struct props *props;
	const struct props_cors *rule;
	char *origin;
	bool vary;
};

/* Finds the rule for a request; @props stays the caller's. */
void cors_begin(struct cors *cors, const struct head *head, struct props *props);
/* Adds the headers to an answer that nobody else has yet. */
struct svc_answer *cors_apply(const struct cors *cors, struct svc_answer *answer);
void cors_end(struct cors *cors); /* all zeros are allowed */

/* Answers an OPTIONS request, for which nobody needs credentials. */
struct svc_answer *cors_preflight(const struct rq *rq, const struct props *props);

#endif /* AZBLOB_BLOB_CORS_H */
