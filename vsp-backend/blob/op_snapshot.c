// SPDX-License-Identifier: MIT
/* Snapshot Blob, Undelete Blob. */
#include "op.h"

static struct svc_answer *snapped(const struct answer_to *to, const struct store_result *result,
				  void *context)
{
	struct answer *a = answer_new(to, 201);

	(void)context;
	answer_add_id(a, "x-ms-snapshot", result->snapshot);
	answer_add_id(a, "x-ms-version-id", result->version);
	answer_add_etag(a, result->etag);
	answer_add_time(a, "Last-Modified", result->modified_ns);
	answer_add(a, "x-ms-request-server-encrypted", "false");
	return answer_done(a, to);
}

struct svc_answer *op_snapshot_blob(struct rq *rq, struct svc_upload **upload)
{
	struct store_change change = { .kind = STORE_BLOB_SNAPSHOT, .ref = rq_ref(rq) };
	struct conditions conditions;
	struct azb_buf meta = { 0 };
	enum store_error error;
	struct svc_answer *answer;

	(void)upload;
	answer = conditions_parse(rq, &conditions);
	if (!answer)
		answer = metadata_parse(rq, &meta);
	if (answer)
		return answer;
	change.conditions = &conditions.store;
	change.meta = (struct store_meta){ meta.data, meta.length };
	/* without metadata of its own a snapshot has the blob's */
	change.set = meta.length ? STORE_SET_META : 0;
	answer = change_run(rq->svc, &rq->to, rq->caller, &change, snapped, NULL, &error);
	azb_buf_free(&meta);
	return answer ? answer : rq_fail_store(rq, error);
}

static struct svc_answer *undeleted(const struct answer_to *to, const struct store_result *result,
				    void *context)
{
	(void)result;
	(void)context;
	return answer_done(answer_new(to, 200), to);
}

struct svc_answer *op_undelete_blob(struct rq *rq, struct svc_upload **upload)
{
	struct store_change change = { .kind = STORE_BLOB_UNDELETE, .ref = rq_ref(rq) };
	enum store_error error;
	struct svc_answer *answer;

	(void)upload;
	answer = conditions_refuse(rq);
	if (answer)
		return answer;
	answer = change_run(rq->svc, &rq->to, rq->caller, &change, undeleted, NULL, &error);
	return answer ? answer : rq_fail_store(rq, error);
}
