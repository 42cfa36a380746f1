// SPDX-License-Identifier: MIT
#include "place.h"

#include <stdlib.h>
#include <string.h>

#include "op.h"
#include "protect.h"
#include "tags.h"

struct svc_answer *place_number(const struct rq *rq, const char *name, bool *given, uint64_t *value)
{
	char text[24], *end;

	*given = head_get(rq->head, name);
	*value = 0;
	if (!*given)
		return NULL;
	if (!rq_header(rq, name, text, sizeof(text)) || *text < '0' || *text > '9' ||
	    strlen(text) > 19)
		return rq_fail_header(rq, ERR_INVALID_HEADER_VALUE, name);
	*value = strtoull(text, &end, 10);
	if (*end || *value > INT64_MAX)
		return rq_fail_header(rq, ERR_INVALID_HEADER_VALUE, name);
	return NULL;
}

struct svc_answer *place_parse(const struct rq *rq, struct store_place *p)
{
	const struct {
		const char *name;
		bool *given;
		uint64_t *value;
	} fields[] = {
		{ "x-ms-blob-condition-appendpos", &p->has_position, &p->position },
		{ "x-ms-blob-condition-maxsize", &p->has_max_size, &p->max_size },
		{ "x-ms-if-sequence-number-le", &p->has_sequence_le, &p->sequence_le },
		{ "x-ms-if-sequence-number-lt", &p->has_sequence_lt, &p->sequence_lt },
		{ "x-ms-if-sequence-number-eq", &p->has_sequence_eq, &p->sequence_eq },
	};
	struct svc_answer *answer = NULL;

	for (size_t i = 0; i < sizeof(fields) / sizeof(*fields) && !answer; i++)
		answer = place_number(rq, fields[i].name, fields[i].given, fields[i].value);
	return answer;
}

/* ----------------------------------------------------------------- creating */

static struct svc_answer *created(const struct answer_to *to, const struct store_result *result,
				  void *context)
{
	struct answer *a = answer_new(to, 201);

	(void)context;
	answer_add_etag(a, result->etag);
	answer_add_time(a, "Last-Modified", result->modified_ns);
	answer_add_id(a, "x-ms-version-id", result->version);
	answer_add(a, "x-ms-request-server-encrypted", "false");
	return answer_done(a, to);
}

/* Length and sequence number of a page blob; others have neither. */
static struct svc_answer *read_size(const struct rq *rq, struct store_change *change)
{
	static const char length[] = "x-ms-blob-content-length";
	static const char sequence[] = "x-ms-blob-sequence-number";
	bool has_length, has_sequence;
	struct svc_answer *answer;

	answer = place_number(rq, length, &has_length, &change->size);
	if (!answer)
		answer = place_number(rq, sequence, &has_sequence, &change->sequence);
	if (answer)
		return answer;
	if (change->type != STORE_PAGE_BLOB) {
		if (has_length)
			return rq_fail_header(rq, ERR_UNSUPPORTED_HEADER, length);
		return has_sequence ? rq_fail_header(rq, ERR_UNSUPPORTED_HEADER, sequence) : NULL;
	}
	if (!has_length)
		return rq_fail_header(rq, ERR_MISSING_REQUIRED_HEADER, length);
	if (change->size % STORE_PAGE || change->size > STORE_MAX_PAGES)
		return rq_fail_header(rq, ERR_INVALID_HEADER_VALUE, length);
	return NULL;
}

struct svc_answer *place_create(struct rq *rq, enum store_blob_type type)
{
	struct store_change change = { .kind = STORE_PUT_BLOB, .ref = rq_ref(rq), .type = type };
	struct azb_buf meta = { 0 }, tags = { 0 };
	struct headers headers = { 0 };
	struct conditions conditions;
	enum store_error error;
	struct svc_answer *answer;

	if (rq->head->chunked || rq->head->content_length < 0)
		return rq_fail(rq, ERR_MISSING_CONTENT_LENGTH);
	/* the reference: such a blob is created empty, and written by other operations */
	if (rq->head->content_length)
		return rq_fail_header(rq, ERR_INVALID_HEADER_VALUE, "Content-Length");
	if (head_get(rq->head, "x-ms-access-tier"))
		return rq_fail_header(rq, ERR_INVALID_HEADER_VALUE, "x-ms-access-tier");
	answer = read_size(rq, &change);
	if (!answer)
		answer = conditions_parse(rq, &conditions);
	if (!answer)
		answer = headers_parse(rq, true, &headers);
	if (!answer)
		answer = metadata_parse(rq, &meta);
	if (!answer)
		answer = tags_of_header(rq, &tags);
	if (!answer)
		answer = protect_parse(rq, &change.protect);
	if (!answer) {
		change.conditions = &conditions.store;
		change.headers = &headers.store;
		change.meta = (struct store_meta){ meta.data, meta.length };
		change.tags = (struct store_meta){ tags.data, tags.length };
		answer = change_run(rq->svc, &rq->to, rq->caller, &change, created, NULL, &error);
		if (!answer)
			answer = rq_fail_store(rq, error);
	}
	headers_free(&headers);
	azb_buf_free(&meta);
	azb_buf_free(&tags);
	return answer;
}
