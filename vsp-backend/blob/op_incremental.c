// SPDX-License-Identifier: MIT
/* Incremental Copy Blob: of snapshots of a page blob. */
#include "op.h"

#include <string.h>
#include <strings.h>

#include "lease.h"
#include "source.h"

_Static_assert(LEASE_ID_ROOM == 37, "op.h says it without lease.h");

static struct svc_answer *copied(const struct answer_to *to, const struct store_result *result,
				 void *context)
{
	struct answer *a = answer_new(to, 202);

	answer_add_etag(a, result->etag);
	answer_add_time(a, "Last-Modified", result->modified_ns);
	answer_add(a, "x-ms-copy-id", context);
	/* the data is shared, so it is whole by now */
	answer_add(a, "x-ms-copy-status", "success");
	return answer_done(a, to);
}

/* The reference knows none of the headers that other copies have besides the source. */
static struct svc_answer *check_headers(const struct rq *rq)
{
	static const char source[] = "x-ms-source-";

	for (size_t i = 0; i < rq->head->field_count; i++) {
		const struct head_str *name = &rq->head->field[i].name;
		char text[64];

		if (name->length >= sizeof(source) - 1 && name->length < sizeof(text) &&
		    !strncasecmp(name->at, source, sizeof(source) - 1)) {
			memcpy(text, name->at, name->length);
			text[name->length] = 0;
			return rq_fail_header(rq, ERR_UNSUPPORTED_HEADER, text);
		}
	}
	if (!head_get(rq->head, "x-ms-copy-source"))
		return rq_fail_header(rq, ERR_MISSING_REQUIRED_HEADER, "x-ms-copy-source");
	if (rq->head->chunked || rq->head->content_length > 0)
		return rq_fail_header(rq, ERR_INVALID_HEADER_VALUE, "Content-Length");
	return NULL;
}

static struct svc_answer *run(struct rq *rq, struct source *source, struct store_change *change)
{
	char id[LEASE_ID_ROOM];
	struct store_copy copy = { .id = id, .status = "success", .source = source_shown(source) };
	enum store_error error;
	struct svc_answer *answer;

	if (source_is_remote(source))
		return err_answer_text(&rq->to, 409, "CannotVerifyCopySource",
				       "Incremental copies are made of snapshots at this service "
				       "only.",
				       NULL);
	change->source = source_ref(source);
	if (!change->source.snapshot)
		return rq_fail(rq, ERR_INCREMENTAL_SOURCE);
	answer = copy_make_id(rq, id);
	if (answer)
		return answer;
	change->source_conditions = source_conditions(source);
	change->copy = &copy;
	answer = change_run(rq->svc, &rq->to, rq->caller, change, copied, id, &error);
	if (answer)
		return answer;
	return error == STORE_SOURCE_NOT_FOUND ? source_fail(rq, error) : rq_fail_store(rq, error);
}

struct svc_answer *op_copy_incremental(struct rq *rq, struct svc_upload **upload)
{
	struct store_change change = { .kind = STORE_COPY_INCREMENTAL, .ref = rq_ref(rq) };
	struct conditions conditions;
	struct source *source = NULL;
	struct azb_buf meta = { 0 };
	struct svc_answer *answer;

	(void)upload;
	answer = check_headers(rq);
	if (!answer)
		answer = conditions_parse(rq, &conditions);
	if (!answer)
		answer = metadata_parse(rq, &meta);
	if (!answer)
		answer = source_open(rq, &source);
	if (!answer) {
		change.conditions = &conditions.store;
		change.meta = (struct store_meta){ meta.data, meta.length };
		change.set = meta.length ? STORE_SET_META : 0;
		answer = run(rq, source, &change);
	}
	source_free(source);
	azb_buf_free(&meta);
	return answer;
}
