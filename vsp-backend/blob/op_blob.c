// SPDX-License-Identifier: MIT
/* Delete Blob, Set Blob Metadata, Set Blob Properties. */
#include "op.h"

#include <strings.h>

#include "place.h"
#include "settings.h"

static struct svc_answer *deleted(const struct answer_to *to, const struct store_result *result,
				  void *context)
{
	struct answer *a = answer_new(to, 202);

	(void)context;
	answer_add(a, "x-ms-delete-type-permanent", result->kept ? "false" : "true");
	return answer_done(a, to);
}

/*
 * deletetype=permanent: of a snapshot or version that is deleted and kept.  The reference: 409 for
 * anything else, and where the account does not allow it.
 */
static struct svc_answer *read_type(const struct rq *rq, bool *permanent)
{
	const char *type = target_param(&rq->target, "deletetype");
	struct props *props;
	enum store_error error;
	bool allowed;

	*permanent = type;
	if (!type)
		return NULL;
	if (strcasecmp(type, "permanent") != 0)
		return rq_fail_param(rq, ERR_INVALID_QUERY_PARAMETER_VALUE, "deletetype");
	error = settings_props(rq->svc->settings, rq->target.account, &props);
	if (error != STORE_OK)
		return rq_fail_store(rq, error);
	allowed = props->permanent;
	props_put(props);
	if (!allowed)
		return err_answer_text(&rq->to, 409, "FeatureNotSupportedForAccount",
				       "The account does not allow permanent deletion: "
				       "AllowPermanentDelete of its DeleteRetentionPolicy.",
				       NULL);
	if (!rq->snapshot && !rq->version)
		return err_answer_text(&rq->to, 409, "OperationNotAllowedOnRootBlob",
				       "Only a snapshot or version can be deleted permanently.",
				       NULL);
	return NULL;
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
	answer = read_type(rq, &change.permanent);
	if (!answer)
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

static struct svc_answer *updated(const struct answer_to *to, const struct store_result *result,
				  void *context)
{
	struct answer *a = answer_new(to, 200);

	(void)context;
	answer_add_etag(a, result->etag);
	answer_add_time(a, "Last-Modified", result->modified_ns);
	answer_add_id(a, "x-ms-version-id", result->version);
	if (result->type == STORE_PAGE_BLOB)
		answer_add_u64(a, "x-ms-blob-sequence-number", result->sequence);
	answer_add(a, "x-ms-request-server-encrypted", "false");
	return answer_done(a, to);
}

static struct svc_answer *update(struct rq *rq, struct store_change *change)
{
	struct conditions conditions;
	enum store_error error;
	struct svc_answer *answer;

	answer = conditions_parse(rq, &conditions);
	if (answer)
		return answer;
	change->kind = STORE_BLOB_UPDATE;
	change->ref = rq_ref(rq);
	change->conditions = &conditions.store;
	answer = change_run(rq->svc, &rq->to, rq->caller, change, updated, NULL, &error);
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

/* Length and sequence number of a page blob. */
static struct svc_answer *read_sizes(const struct rq *rq, struct store_change *change)
{
	static const char length[] = "x-ms-blob-content-length";
	static const char sequence[] = "x-ms-blob-sequence-number";
	static const char action[] = "x-ms-sequence-number-action";
	const struct head_str *what = head_get(rq->head, action);
	bool has_length, has_sequence;
	struct svc_answer *answer;

	answer = place_number(rq, length, &has_length, &change->size);
	if (!answer)
		answer = place_number(rq, sequence, &has_sequence, &change->sequence);
	if (answer)
		return answer;
	if (has_length && (change->size % STORE_PAGE || change->size > STORE_MAX_PAGES))
		return rq_fail_header(rq, ERR_INVALID_HEADER_VALUE, length);
	change->set |= has_length ? STORE_SET_SIZE : 0;
	if (!what)
		return has_sequence ? rq_fail_header(rq, ERR_MISSING_REQUIRED_HEADER, action)
				    : NULL;
	change->set |= STORE_SET_SEQUENCE;
	if (head_str_is_nocase(what, "update"))
		change->sequence_action = STORE_SEQUENCE_UPDATE;
	else if (head_str_is_nocase(what, "max"))
		change->sequence_action = STORE_SEQUENCE_MAX;
	else if (head_str_is_nocase(what, "increment"))
		change->sequence_action = STORE_SEQUENCE_INCREMENT;
	else
		return rq_fail_header(rq, ERR_INVALID_HEADER_VALUE, action);
	if (change->sequence_action == STORE_SEQUENCE_INCREMENT)
		return has_sequence ? rq_fail_header(rq, ERR_INVALID_HEADER_VALUE, sequence) : NULL;
	return has_sequence ? NULL : rq_fail_header(rq, ERR_MISSING_REQUIRED_HEADER, sequence);
}

static bool has_content_header(const struct rq *rq)
{
	static const char *const names[] = {
		"x-ms-blob-cache-control",    "x-ms-blob-content-type",
		"x-ms-blob-content-md5",      "x-ms-blob-content-encoding",
		"x-ms-blob-content-language", "x-ms-blob-content-disposition",
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (head_get(rq->head, names[i]))
			return true;
	return false;
}

struct svc_answer *op_set_properties(struct rq *rq, struct svc_upload **upload)
{
	struct store_change change = { 0 };
	struct headers headers = { 0 };
	struct svc_answer *answer;

	(void)upload;
	answer = read_sizes(rq, &change);
	if (!answer)
		answer = headers_parse(rq, false, &headers);
	if (answer)
		return answer;
	/* the reference: they are set together, and left as they are when none is named */
	if (!change.set || has_content_header(rq))
		change.set |= STORE_SET_HEADERS;
	change.headers = &headers.store;
	answer = update(rq, &change);
	headers_free(&headers);
	return answer;
}
