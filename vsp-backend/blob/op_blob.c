// SPDX-License-Identifier: MIT
/* Delete Blob, Set Blob Metadata, Set Blob Properties. */
#include "op.h"

static struct svc_answer *deleted(const struct answer_to *to, const struct store_result *result,
				  void *context)
{
	struct answer *a = answer_new(to, 202);

	(void)context;
	answer_add(a, "x-ms-delete-type-permanent", result->kept ? "false" : "true");
	return answer_done(a, to);
}

struct svc_answer *op_delete_blob(struct rq *rq, struct svc_upload **upload)
{
	struct store_change change = { .kind = STORE_BLOB_DELETE, .ref = rq_ref(rq) };
	const struct head_str *snapshots = head_get(rq->head, "x-ms-delete-snapshots");
	struct conditions conditions;
	enum store_error error;
	struct svc_answer *answer;

	(void)upload;
	if (snapshots && head_str_is_nocase(snapshots, "only"))
		change.delete = STORE_DELETE_SNAPSHOTS;
	else if (snapshots && head_str_is_nocase(snapshots, "include"))
		change.delete = STORE_DELETE_WITH_SNAPSHOTS;
	else if (snapshots)
		return rq_fail_header(rq, ERR_INVALID_HEADER_VALUE, "x-ms-delete-snapshots");
	/* the reference: it is for the blob itself only */
	if (snapshots && (rq->snapshot || rq->version))
		return rq_fail_header(rq, ERR_INVALID_HEADER_VALUE, "x-ms-delete-snapshots");
	if (target_param(&rq->target, "deletetype"))
		return rq_unsupported(rq, "deletetype");
	answer = conditions_parse(rq, &conditions);
	if (answer)
		return answer;
	change.conditions = &conditions.store;
	answer = change_run(rq->svc, &rq->to, rq->caller, &change, deleted, NULL, &error);
	if (answer)
		return answer;
	/* "exists" as an answer is for what creates */
	return rq_fail_store(rq, error == STORE_BLOB_EXISTS ? STORE_CONDITION_NOT_MET : error);
}

static struct svc_answer *update(struct rq *rq, struct store_change *change)
{
	unsigned int status = 200;
	struct conditions conditions;
	enum store_error error;
	struct svc_answer *answer;

	answer = conditions_parse(rq, &conditions);
	if (answer)
		return answer;
	change->kind = STORE_BLOB_UPDATE;
	change->ref = rq_ref(rq);
	change->conditions = &conditions.store;
	answer = change_run(rq->svc, &rq->to, rq->caller, change, change_answer_state, &status,
			    &error);
	if (answer)
		return answer;
	return rq_fail_store(rq, error == STORE_BLOB_EXISTS ? STORE_CONDITION_NOT_MET : error);
}

struct svc_answer *op_set_metadata(struct rq *rq, struct svc_upload **upload)
{
	struct store_change change = { .set = STORE_SET_META };
	struct azb_buf meta = { 0 };
	struct svc_answer *answer;

	(void)upload;
	answer = metadata_parse(rq, &meta);
	if (answer)
		return answer;
	change.meta = (struct store_meta){ meta.data, meta.length };
	answer = update(rq, &change);
	azb_buf_free(&meta);
	return answer;
}

struct svc_answer *op_set_properties(struct rq *rq, struct svc_upload **upload)
{
	struct store_change change = { .set = STORE_SET_HEADERS };
	struct headers headers;
	struct svc_answer *answer;

	(void)upload;
	answer = headers_parse(rq, false, &headers);
	if (answer)
		return answer;
	change.headers = &headers.store;
	answer = update(rq, &change);
	headers_free(&headers);
	return answer;
}
