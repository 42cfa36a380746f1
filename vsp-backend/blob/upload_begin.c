// SPDX-License-Identifier: MIT
/* Operations that store a body, up to the point where the body is wanted. */
#include "upload.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "blocklist.h"
#include "op.h"
#include "place.h"
#include "protect.h"
#include "tags.h"
#include "tier.h"

#define MIB (1024ull * 1024ull)

/* A body below this is brought before conditions are looked at: the commit does that anyway. */
#define PRECHECK_BYTES (64u * 1024u)

/* The reference's "Scalability and performance targets for Blob storage", by version. */
static uint64_t limit(const struct rq *rq, enum store_change_kind kind)
{
	bool large = rq_since(rq, VERSION_LARGE);

	switch (kind) {
	case STORE_PUT_BLOB:
		return (large ? 5000 : 256) * MIB;
	case STORE_PUT_BLOCK:
		return (large ? 4000 : 100) * MIB;
	case STORE_APPEND:
		return (rq_since(rq, VERSION_APPEND) ? 100 : 4) * MIB;
	case STORE_PAGES_WRITE:
		return 4 * MIB;
	default:
		return BLOCKLIST_MAX_BYTES;
	}
}

static struct svc_answer *check_length(const struct rq *rq, uint64_t max, uint64_t size)
{
	char text[24];
	struct err_detail details[2] = { { "MaxLimit", text }, { NULL, NULL } };

	if (size <= max)
		return NULL;
	snprintf(text, sizeof(text), "%llu", (unsigned long long)max);
	return err_answer(&rq->to, ERR_REQUEST_BODY_TOO_LARGE, details);
}

/* The length of the data, and whether it is in a structured message. */
static struct svc_answer *read_framing(const struct rq *rq, bool *framed, uint64_t *size)
{
	static const char length[] = "x-ms-structured-content-length";
	const struct head_str *value = head_get(rq->head, "x-ms-structured-body");
	struct svc_answer *answer;
	bool given;

	if (rq->head->chunked || rq->head->content_length < 0)
		return rq_fail(rq, ERR_MISSING_CONTENT_LENGTH);
	*framed = value;
	*size = (uint64_t)rq->head->content_length;
	if (!value)
		return head_get(rq->head, length) ? rq_fail_header(rq, ERR_MISSING_REQUIRED_HEADER,
								   "x-ms-structured-body")
						  : NULL;
	if (!xsm_value_good(value->at, value->length))
		return rq_fail_header(rq, ERR_INVALID_HEADER_VALUE, "x-ms-structured-body");
	/* whose checksums would they be? */
	if (head_get(rq->head, "Content-MD5"))
		return rq_fail_header(rq, ERR_INVALID_HEADER_VALUE, "Content-MD5");
	if (head_get(rq->head, "x-ms-content-crc64"))
		return rq_fail_header(rq, ERR_INVALID_HEADER_VALUE, "x-ms-content-crc64");
	answer = place_number(rq, length, &given, size);
	if (answer)
		return answer;
	if (!given)
		return rq_fail_header(rq, ERR_MISSING_REQUIRED_HEADER, length);
	if ((uint64_t)rq->head->content_length < *size ||
	    (uint64_t)rq->head->content_length - *size > XSM_MAX_FRAMES)
		return rq_fail_header(rq, ERR_INVALID_HEADER_VALUE, length);
	return NULL;
}

/* NULL with *@answer set when something is wrong. */
static struct svc_upload *begin(struct rq *rq, enum store_change_kind kind, uint64_t max,
				struct svc_answer **answer)
{
	const struct target *t = &rq->target;
	struct svc_upload *u;
	uint64_t size = 0;
	bool framed = false;

	*answer = read_framing(rq, &framed, &size);
	if (!*answer)
		*answer = check_length(rq, max, size);
	if (*answer)
		return NULL;
	u = calloc(1, sizeof(*u));
	if (!u) {
		*answer = rq_fail(rq, ERR_SERVER_BUSY);
		return NULL;
	}
	pthread_mutex_init(&u->lock, NULL);
	u->svc = rq->svc;
	u->to = rq->to;
	u->kind = kind;
	u->link = rq->caller->link;
	u->length = (uint64_t)rq->head->content_length;
	u->size = size;
	u->framed = framed;
	xsm_begin(&u->xsm, u->length, size);
	u->account = strdup(rq->target.account);
	u->container = t->container ? strdup(t->container) : NULL;
	u->blob = t->blob ? strdup(t->blob) : NULL;
	if (!u->account || !u->container != !t->container || !u->blob != !t->blob)
		*answer = rq_fail(rq, ERR_SERVER_BUSY);
	else
		*answer = checksums_parse(rq, &u->sums);
	if (*answer) {
		svc_abort(u);
		return NULL;
	}
	/* the head's conditions live as long as the upload */
	u->if_tags = rq->if_tags;
	conditions_lease(rq, &u->conditions);
	return u;
}

/* conditions point into themselves, so they are read in place */
static struct svc_answer *read_head(struct rq *rq, struct svc_upload *u, bool plain_headers)
{
	struct svc_answer *answer = conditions_parse(rq, &u->conditions);

	if (!answer)
		answer = headers_parse(rq, plain_headers, &u->headers);
	if (!answer)
		answer = metadata_parse(rq, &u->meta);
	if (!answer)
		answer = tags_of_header(rq, &u->tags);
	if (!answer)
		answer = tier_parse(rq, &u->tier);
	if (!answer)
		answer = protect_parse(rq, &u->protect);
	return answer;
}

/* Says no before a long body is sent.  The commit looks again. */
static struct svc_answer *precheck(struct rq *rq, const struct svc_upload *u)
{
	struct store_ref ref = rq_ref(rq);
	struct store_container_info container;
	struct store_blob_info blob = { 0 };
	enum store_error error;

	if (u->length < PRECHECK_BYTES && !rq->head->expect_continue)
		return NULL;
	if (!u->conditions.any) {
		error = store_container_stat(rq->svc->store, &ref, &container);
		if (error != STORE_OK)
			return rq_fail_store(rq, error);
		store_container_info_clear(&container);
		return NULL;
	}
	error = store_blob_stat(rq->svc->store, &ref, NULL, &blob);
	if (error == STORE_OK || error == STORE_BLOB_NOT_FOUND) {
		bool exists = error == STORE_OK;

		error = store_conditions_check(&u->conditions.store, STORE_WRITE, exists, blob.etag,
					       blob.modified_ns);
		if (exists)
			store_blob_info_clear(&blob);
	}
	return error == STORE_OK ? NULL : rq_fail_store(rq, error);
}

static struct svc_answer *open_store(struct rq *rq, struct svc_upload *u, bool md5)
{
	unsigned int flags = (md5 ? STORE_UPLOAD_MD5 : 0) | (u->link ? 0 : STORE_UPLOAD_STREAM);
	enum store_error error;

	if (u->framed && u->link) {
		error = store_upload_begin(rq->svc->store, u->length, 0, &u->raw);
		if (error != STORE_OK)
			u->raw = NULL;
	} else {
		error = store_upload_begin(rq->svc->store, u->size, flags, &u->store);
		if (error != STORE_OK)
			u->store = NULL;
	}
	return error == STORE_OK ? NULL : rq_fail_store(rq, error);
}

static struct svc_answer *take_memory(struct rq *rq, struct svc_upload *u)
{
	u->memory = malloc(u->length ? u->length : 1);
	u->part = calloc(UPLOAD_MAX_PARTS, sizeof(*u->part));
	return u->memory && u->part ? NULL : rq_fail(rq, ERR_SERVER_BUSY);
}

struct svc_upload *upload_memory(struct rq *rq, uint64_t max, upload_end *end,
				 struct svc_answer **answer)
{
	struct svc_upload *u = begin(rq, 0, max, answer);

	if (!u)
		return NULL;
	u->end = end;
	u->want_md5 = u->sums.has_md5;
	*answer = conditions_parse(rq, &u->conditions);
	if (!*answer)
		*answer = take_memory(rq, u);
	rq->if_tags = NULL;
	if (!*answer)
		return u;
	svc_abort(u);
	return NULL;
}

struct svc_answer *upload_fail_store(const struct svc_upload *u, enum store_error error)
{
	return err_answer(&u->to, err_of_store_at(error, u->blob), NULL);
}

struct store_ref upload_ref(const struct svc_upload *u)
{
	return (struct store_ref){ .account = u->account,
				   .container = u->container,
				   .blob = u->blob };
}

static struct svc_answer *done(struct rq *rq, struct svc_upload *u, struct svc_answer *answer,
			       struct svc_upload **upload)
{
	if (!answer)
		*upload = u;
	else
		svc_abort(u);
	/* taken over, or freed with the upload */
	rq->if_tags = NULL;
	return answer;
}

struct svc_answer *op_put_blob(struct rq *rq, struct svc_upload **upload)
{
	static const char *const of_pages[] = { "x-ms-blob-content-length",
						"x-ms-blob-sequence-number" };
	const struct head_str *type = head_get(rq->head, "x-ms-blob-type");
	struct svc_answer *answer;
	struct svc_upload *u;

	if (!type)
		return rq_fail_header(rq, ERR_MISSING_REQUIRED_HEADER, "x-ms-blob-type");
	if (head_str_is(type, "PageBlob"))
		return place_create(rq, STORE_PAGE_BLOB);
	if (head_str_is(type, "AppendBlob"))
		return place_create(rq, STORE_APPEND_BLOB);
	if (!head_str_is(type, "BlockBlob"))
		return rq_fail_header(rq, ERR_INVALID_HEADER_VALUE, "x-ms-blob-type");
	for (size_t i = 0; i < 2; i++)
		if (head_get(rq->head, of_pages[i]))
			return rq_fail_header(rq, ERR_UNSUPPORTED_HEADER, of_pages[i]);
	u = begin(rq, STORE_PUT_BLOB, limit(rq, STORE_PUT_BLOB), &answer);
	if (!u)
		return answer;
	u->want_md5 = true;
	u->want_crc64 = rq_since(rq, VERSION_CRC64);
	answer = read_head(rq, u, true);
	if (!answer)
		answer = precheck(rq, u);
	if (!answer)
		answer = open_store(rq, u, true);
	return done(rq, u, answer, upload);
}

struct svc_answer *op_put_block(struct rq *rq, struct svc_upload **upload)
{
	const char *id = target_param(&rq->target, "blockid");
	struct svc_answer *answer;
	struct svc_upload *u;

	if (!id)
		return rq_fail_param(rq, ERR_MISSING_REQUIRED_QUERY_PARAMETER, "blockid");
	answer = conditions_refuse(rq);
	if (answer)
		return answer;
	u = begin(rq, STORE_PUT_BLOCK, limit(rq, STORE_PUT_BLOCK), &answer);
	if (!u)
		return answer;
	if (!blocklist_id(id, strlen(id), &u->block))
		answer = rq_fail_param(rq, ERR_INVALID_QUERY_PARAMETER_VALUE, "blockid");
	else if (!u->size)
		answer = rq_fail_header(rq, ERR_INVALID_HEADER_VALUE, "Content-Length");
	u->want_md5 = u->sums.has_md5 || !rq_since(rq, VERSION_CRC64);
	u->want_crc64 = !u->want_md5;
	if (!answer)
		answer = precheck(rq, u);
	if (!answer)
		answer = open_store(rq, u, u->want_md5);
	return done(rq, u, answer, upload);
}

struct svc_answer *op_put_block_list(struct rq *rq, struct svc_upload **upload)
{
	struct svc_answer *answer;
	struct svc_upload *u;

	u = begin(rq, STORE_PUT_BLOCK_LIST, limit(rq, STORE_PUT_BLOCK_LIST), &answer);
	if (!u)
		return answer;
	u->want_md5 = u->sums.has_md5 || !rq_since(rq, VERSION_CRC64);
	u->want_crc64 = !u->want_md5;
	answer = read_head(rq, u, false);
	if (!answer)
		answer = precheck(rq, u);
	if (!answer)
		answer = take_memory(rq, u);
	return done(rq, u, answer, upload);
}

/* Append Block and Put Page: a body at a place of a blob that is there. */
static struct svc_answer *begin_place(struct rq *rq, struct svc_upload *u)
{
	struct svc_answer *answer = NULL;

	u->want_md5 = u->sums.has_md5 || !rq_since(rq, VERSION_CRC64);
	u->want_crc64 = !u->want_md5;
	if (!u->size)
		return rq_fail_header(rq, ERR_INVALID_HEADER_VALUE, "Content-Length");
	answer = conditions_parse(rq, &u->conditions);
	if (!answer)
		answer = place_parse(rq, &u->place);
	if (!answer)
		answer = precheck(rq, u);
	return answer ? answer : open_store(rq, u, u->want_md5);
}

struct svc_answer *op_append_block(struct rq *rq, struct svc_upload **upload)
{
	struct svc_answer *answer;
	struct svc_upload *u;

	u = begin(rq, STORE_APPEND, limit(rq, STORE_APPEND), &answer);
	if (!u)
		return answer;
	return done(rq, u, begin_place(rq, u), upload);
}

struct svc_answer *op_put_page(struct rq *rq, struct svc_upload **upload)
{
	const struct head_str *action = head_get(rq->head, "x-ms-page-write");
	struct svc_answer *answer;
	struct svc_upload *u;
	uint64_t length;

	if (!action)
		return rq_fail_header(rq, ERR_MISSING_REQUIRED_HEADER, "x-ms-page-write");
	if (head_str_is_nocase(action, "clear"))
		return page_clear(rq);
	if (!head_str_is_nocase(action, "update"))
		return rq_fail_header(rq, ERR_INVALID_HEADER_VALUE, "x-ms-page-write");
	u = begin(rq, STORE_PAGES_WRITE, limit(rq, STORE_PAGES_WRITE), &answer);
	if (!u)
		return answer;
	answer = page_range(rq, &u->offset, &length);
	if (!answer && length != u->size)
		answer = rq_fail_header(rq, ERR_INVALID_HEADER_VALUE, "Content-Length");
	if (!answer)
		answer = begin_place(rq, u);
	return done(rq, u, answer, upload);
}
