// SPDX-License-Identifier: MIT
/* Append Blob Seal.  Append Block brings a body: upload_begin.c. */
#include "op.h"
#include "place.h"

static struct svc_answer *sealed(const struct answer_to *to, const struct store_result *result,
				 void *context)
{
	struct answer *a = answer_new(to, 200);

	(void)context;
	answer_add_etag(a, result->etag);
	answer_add_time(a, "Last-Modified", result->modified_ns);
	answer_add(a, "x-ms-blob-sealed", "true");
	return answer_done(a, to);
}

struct svc_answer *op_append_seal(struct rq *rq, struct svc_upload **upload)
{
	struct store_change change = { .kind = STORE_APPEND_SEAL, .ref = rq_ref(rq) };
	struct conditions conditions;
	struct store_place place;
	enum store_error error;
	struct svc_answer *answer;

	(void)upload;
	answer = conditions_parse(rq, &conditions);
	if (!answer)
		answer = place_parse(rq, &place);
	if (answer)
		return answer;
	change.conditions = &conditions.store;
	change.place = &place;
	answer = change_run(rq->svc, &rq->to, rq->caller, &change, sealed, NULL, &error);
	return answer ? answer : rq_fail_store(rq, error);
}
