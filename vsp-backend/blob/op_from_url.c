// SPDX-License-Identifier: MIT
/* Put Block, Append Block and Put Page From URL: a range of a source becomes data of a blob. */
#include "op.h"

#include <inttypes.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "../base/crc64.h"
#include "blocklist.h"
#include "place.h"
#include "remote.h"
#include "source.h"

#define MIB (1024ull * 1024ull)

/**
 * struct fetched - a range of a source, copied
 * @length: that it must have; 0: any.
 * @store: the bytes, for a change.
 */
struct fetched {
	enum store_change_kind kind;
	uint64_t length;
	struct checksums want;
	struct store_digest have;
	struct store_upload *store;
};

/* The range asked for, of @length bytes that there are. */
static struct svc_answer *read_range(const struct rq *rq, uint64_t length, struct range *range)
{
	const struct head_str *text = head_get(rq->head, "x-ms-source-range");

	*range = (struct range){ .last = UINT64_MAX };
	if (text && !range_parse(text->at, text->length, range))
		return rq_fail_header(rq, ERR_INVALID_HEADER_VALUE, "x-ms-source-range");
	if (range->first >= length)
		return rq_fail(rq, ERR_INVALID_RANGE);
	if (range->last >= length)
		range->last = length - 1;
	return NULL;
}

/* What the request says about the bytes is held against what they are. */
static struct svc_answer *check_sums(const struct rq *rq, const struct fetched *fetched)
{
	if (fetched->want.has_md5 &&
	    memcmp(fetched->want.md5, fetched->have.md5, sizeof(fetched->want.md5)) != 0)
		return rq_fail(rq, ERR_MD5_MISMATCH);
	if (fetched->want.has_crc64 && fetched->want.crc64 != fetched->have.crc64)
		return rq_fail(rq, ERR_CRC64_MISMATCH);
	return NULL;
}

/* The same from another host. */
static struct svc_answer *fetch_remote(struct rq *rq, const struct source *source, uint64_t max,
				       struct fetched *fetched)
{
	struct remote remote = { .max = max,
				 .length = fetched->length,
				 .md5 = fetched->want.has_md5 };
	const struct head_str *text = head_get(rq->head, "x-ms-source-range");
	struct svc_answer *answer;

	if (text && !range_parse(text->at, text->length, &remote.range))
		return rq_fail_header(rq, ERR_INVALID_HEADER_VALUE, "x-ms-source-range");
	remote.range.given = text;
	answer = remote_fetch(rq, source_url(source), &remote);
	if (!answer && !remote.info.length)
		answer = rq_fail(rq, ERR_INVALID_RANGE);
	if (!answer) {
		fetched->store = remote.store;
		fetched->have = remote.digest;
		remote.store = NULL;
		answer = check_sums(rq, fetched);
	}
	remote_free(&remote);
	return answer;
}

static struct svc_answer *too_large(const struct rq *rq)
{
	return rq_fail(rq, ERR_REQUEST_BODY_TOO_LARGE);
}

/* NULL, and *@fetched; or the answer that refuses it.  The upload is the caller's to end. */
static struct svc_answer *fetch(struct rq *rq, uint64_t max, struct fetched *fetched)
{
	struct source *source = NULL;
	struct store_read *read = NULL;
	struct range range = { 0 };
	struct store_ref ref;
	enum store_error error;
	struct svc_answer *answer;

	if (rq->head->chunked || rq->head->content_length > 0)
		return rq_fail_header(rq, ERR_INVALID_HEADER_VALUE, "Content-Length");
	answer = source_sums(rq, &fetched->want);
	if (!answer)
		answer = source_open(rq, &source);
	if (answer)
		return answer;
	if (source_is_remote(source)) {
		answer = fetch_remote(rq, source, max, fetched);
		source_free(source);
		return answer;
	}
	ref = source_ref(source);
	error = store_read_open(rq->svc->store, &ref, source_conditions(source), NULL, &read);
	if (error != STORE_OK) {
		source_free(source);
		return source_fail(rq, error);
	}
	if (read->info.tier == STORE_TIER_ARCHIVE)
		answer = rq_fail(rq, ERR_BLOB_ARCHIVED);
	else if (read->info.current && store_copy_incremental(&read->info.copy))
		answer = rq_fail(rq, ERR_INCREMENTAL);
	else
		answer = read_range(rq, read->info.length, &range);
	if (!answer && range.last - range.first >= max)
		answer = too_large(rq);
	if (!answer && fetched->length && range.last - range.first + 1 != fetched->length)
		answer = rq_fail_header(rq, ERR_INVALID_HEADER_VALUE, "x-ms-source-range");
	if (!answer) {
		error = source_bytes(rq->svc->store, read, range.first,
				     range.last - range.first + 1, fetched->want.has_md5,
				     &fetched->store, &fetched->have);
		answer = error == STORE_OK ? NULL : rq_fail_store(rq, error);
	}
	if (!answer)
		answer = check_sums(rq, fetched);
	store_read_close(read);
	source_free(source);
	return answer;
}

static struct svc_answer *written(const struct answer_to *to, const struct store_result *result,
				  void *context)
{
	const struct fetched *fetched = context;
	struct answer *a = answer_new(to, 201);

	if (fetched->want.has_md5)
		answer_add_md5(a, "Content-MD5", fetched->have.md5);
	else
		answer_add_crc64(a, "x-ms-content-crc64", fetched->have.crc64);
	/* a block alone changes nothing that could have an ETag */
	if (fetched->kind != STORE_PUT_BLOCK) {
		answer_add_etag(a, result->etag);
		answer_add_time(a, "Last-Modified", result->modified_ns);
	}
	if (fetched->kind == STORE_APPEND) {
		answer_add_u64(a, "x-ms-blob-append-offset", result->offset);
		answer_add_u64(a, "x-ms-blob-committed-block-count", result->block_count);
	}
	if (fetched->kind == STORE_PAGES_WRITE)
		answer_add_u64(a, "x-ms-blob-sequence-number", result->sequence);
	answer_add(a, "x-ms-request-server-encrypted", "false");
	return answer_done(a, to);
}

/* Fetches the range and does the change with it. */
static struct svc_answer *run_fetch(struct rq *rq, struct store_change *change, uint64_t max)
{
	struct fetched fetched = { .kind = change->kind, .length = change->size };
	enum store_error error;
	struct svc_answer *answer;

	answer = fetch(rq, max, &fetched);
	if (!answer) {
		change->upload = fetched.store;
		answer =
			change_run(rq->svc, &rq->to, rq->caller, change, written, &fetched, &error);
		if (answer)
			fetched.store = NULL;
		else
			answer = rq_fail_store(rq, error);
	}
	if (fetched.store)
		store_upload_abort(fetched.store);
	return answer;
}

struct svc_answer *op_put_block_from_url(struct rq *rq, struct svc_upload **upload)
{
	const char *id = target_param(&rq->target, "blockid");
	struct store_change change = { .kind = STORE_PUT_BLOCK, .ref = rq_ref(rq) };
	struct conditions conditions = { 0 };
	struct svc_answer *answer;

	(void)upload;
	if (!id)
		return rq_fail_param(rq, ERR_MISSING_REQUIRED_QUERY_PARAMETER, "blockid");
	if (!blocklist_id(id, strlen(id), &change.block))
		return rq_fail_param(rq, ERR_INVALID_QUERY_PARAMETER_VALUE, "blockid");
	answer = conditions_refuse(rq);
	if (answer)
		return answer;
	conditions_lease(rq, &conditions);
	change.conditions = &conditions.store;
	return run_fetch(rq, &change, (rq_since(rq, VERSION_LARGE) ? 4000 : 100) * MIB);
}

struct svc_answer *op_append_from_url(struct rq *rq, struct svc_upload **upload)
{
	struct store_change change = { .kind = STORE_APPEND, .ref = rq_ref(rq) };
	struct conditions conditions;
	struct store_place place;
	struct svc_answer *answer;

	(void)upload;
	answer = conditions_parse(rq, &conditions);
	if (!answer)
		answer = place_parse(rq, &place);
	if (answer)
		return answer;
	change.conditions = &conditions.store;
	change.place = &place;
	return run_fetch(rq, &change, (rq_since(rq, VERSION_APPEND) ? 100 : 4) * MIB);
}

struct svc_answer *op_put_page_from_url(struct rq *rq, struct svc_upload **upload)
{
	const struct head_str *action = head_get(rq->head, "x-ms-page-write");
	struct store_change change = { .kind = STORE_PAGES_WRITE, .ref = rq_ref(rq) };
	struct conditions conditions;
	struct store_place place;
	struct svc_answer *answer;

	(void)upload;
	if (!action)
		return rq_fail_header(rq, ERR_MISSING_REQUIRED_HEADER, "x-ms-page-write");
	if (!head_str_is_nocase(action, "update"))
		return rq_fail_header(rq, ERR_INVALID_HEADER_VALUE, "x-ms-page-write");
	if (!head_get(rq->head, "x-ms-source-range"))
		return rq_fail_header(rq, ERR_MISSING_REQUIRED_HEADER, "x-ms-source-range");
	answer = page_range(rq, &change.offset, &change.size);
	if (!answer)
		answer = conditions_parse(rq, &conditions);
	if (!answer)
		answer = place_parse(rq, &place);
	if (answer)
		return answer;
	change.conditions = &conditions.store;
	change.place = &place;
	return run_fetch(rq, &change, 4 * MIB);
}
