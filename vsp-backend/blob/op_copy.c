// SPDX-License-Identifier: MIT
/* Copy Blob, Abort Copy Blob, Copy Blob From URL, Put Blob From URL. */
#include "op.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "lease.h"
#include "pending.h"
#include "protect.h"
#include "remote.h"
#include "source.h"
#include "tags.h"
#include "tier.h"

#define MIB (1024ull * 1024ull)
/* The reference: sources of the two operations that answer when all is copied. */
#define COPY_SYNC_MAX (256 * MIB)
#define PUT_FROM_URL_MAX (5000 * MIB)
/* Of another host: what is longer goes on after the answer. */
#define COPY_AT_ONCE_MAX (8 * MIB)
#define COPY_MAX (4000ull * 50000 * MIB)

enum kind {
	COPY_ASYNC, /* Copy Blob */
	COPY_SYNC,  /* Copy Blob From URL */
	PUT_FROM_URL,
};

/**
 * struct copying - a request while it is done
 * @remote: what came from another host, or bytes that are not shared.
 * @id: of the copy.
 */
struct copying {
	enum kind kind;
	struct source *source;
	struct conditions conditions;
	struct headers headers;
	struct azb_buf meta;
	struct azb_buf tags;
	struct checksums sums;
	struct remote remote;
	struct store_copy copy;
	bool has_digest; /* in @remote */
	bool is_pending;
	char id[LEASE_ID_ROOM];
};

static bool is_true(const struct rq *rq, const char *name)
{
	const struct head_str *value = head_get(rq->head, name);

	return value && head_str_is_nocase(value, "true");
}

static struct svc_answer *bad_header(const struct rq *rq, const char *name)
{
	return rq_fail_header(rq, ERR_INVALID_HEADER_VALUE, name);
}

/* Headers that only some of the three know. */
static struct svc_answer *check_kind(const struct rq *rq, enum kind kind)
{
	static const struct {
		const char *name;
		bool known[3];
	} rules[] = {
		{ "x-ms-source-lease-id", { true, false, false } },
		{ "x-ms-rehydrate-priority", { true, false, false } },
		{ "x-ms-source-content-md5", { false, true, true } },
		{ "x-ms-source-content-crc64", { false, true, true } },
		{ "x-ms-copy-source-authorization", { false, true, true } },
		{ "x-ms-copy-source-tag-option", { false, true, true } },
		{ "x-ms-copy-source-blob-properties", { false, false, true } },
		{ "x-ms-blob-content-type", { false, false, true } },
		{ "x-ms-blob-content-encoding", { false, false, true } },
		{ "x-ms-blob-content-language", { false, false, true } },
		{ "x-ms-blob-content-disposition", { false, false, true } },
		{ "x-ms-blob-content-md5", { false, false, true } },
		{ "x-ms-blob-cache-control", { false, false, true } },
		{ "x-ms-source-range", { false, false, false } },
	};

	for (size_t i = 0; i < sizeof(rules) / sizeof(*rules); i++)
		if (!rules[i].known[kind] && head_get(rq->head, rules[i].name))
			return rq_fail_header(rq, ERR_UNSUPPORTED_HEADER, rules[i].name);
	return NULL;
}

static struct svc_answer *choose_kind(const struct rq *rq, enum kind *kind)
{
	const struct head_str *type = head_get(rq->head, "x-ms-blob-type");
	const struct head_str *sync = head_get(rq->head, "x-ms-requires-sync");

	if (sync && !head_str_is_nocase(sync, "true") && !head_str_is_nocase(sync, "false"))
		return bad_header(rq, "x-ms-requires-sync");
	if (type && !head_str_is(type, "BlockBlob"))
		return bad_header(rq, "x-ms-blob-type");
	if (type && sync)
		return rq_fail_header(rq, ERR_UNSUPPORTED_HEADER, "x-ms-requires-sync");
	*kind = type ? PUT_FROM_URL : is_true(rq, "x-ms-requires-sync") ? COPY_SYNC : COPY_ASYNC;
	if (rq->head->chunked || rq->head->content_length > 0)
		return bad_header(rq, "Content-Length");
	return check_kind(rq, *kind);
}

/* Whether tags come from the request, as they do unless the request says COPY. */
static struct svc_answer *read_tags(const struct rq *rq, struct copying *c, unsigned int *set)
{
	static const char option[] = "x-ms-copy-source-tag-option";
	const struct head_str *value = head_get(rq->head, option);
	bool copy = value && head_str_is_nocase(value, "COPY");

	if (value && !copy && !head_str_is_nocase(value, "REPLACE"))
		return bad_header(rq, option);
	if (copy && head_get(rq->head, "x-ms-tags"))
		return bad_header(rq, option);
	if (!copy)
		*set |= STORE_SET_TAG_LIST;
	return tags_of_header(rq, &c->tags);
}

static void add_md5_of_source(const struct store_blob_info *info, struct headers *headers)
{
	/* it is of the bytes, and those are the same */
	headers->store.has_md5 = info->headers.has_md5;
	memcpy(headers->store.md5, info->headers.md5, sizeof(headers->store.md5));
}

/* Where a header is not given, Put Blob From URL takes the source's, unless it is told not to. */
static struct svc_answer *read_properties(const struct rq *rq, struct copying *c,
					  const struct store_blob_info *info,
					  struct store_change *change)
{
	static const char option[] = "x-ms-copy-source-blob-properties";
	const struct head_str *value = head_get(rq->head, option);
	const struct store_headers *from = &info->headers;
	struct store_headers *to = &c->headers.store;
	struct svc_answer *answer;

	if (value && !is_true(rq, option) && !head_str_is_nocase(value, "false"))
		return bad_header(rq, option);
	answer = headers_parse(rq, false, &c->headers);
	if (answer)
		return answer;
	if (to->has_md5 && from->has_md5 && memcmp(to->md5, from->md5, sizeof(to->md5)) != 0)
		return rq_fail(rq, ERR_MD5_MISMATCH);
	add_md5_of_source(info, &c->headers);
	change->set |= STORE_SET_HEADERS;
	change->headers = to;
	if (value && !is_true(rq, option)) {
		change->set |= STORE_SET_META;
		return NULL;
	}
	if (!to->content_type)
		to->content_type = from->content_type;
	if (!to->content_encoding)
		to->content_encoding = from->content_encoding;
	if (!to->content_language)
		to->content_language = from->content_language;
	if (!to->content_disposition)
		to->content_disposition = from->content_disposition;
	if (!to->cache_control)
		to->cache_control = from->cache_control;
	return NULL;
}

/* What the source is, looked at before the change, which makes sure that it is still so. */
static struct svc_answer *check_source(const struct rq *rq, const struct copying *c,
				       const struct store_blob_info *info)
{
	if (info->type != STORE_BLOCK_BLOB && c->kind == COPY_SYNC)
		return rq_fail(rq, ERR_INVALID_BLOB_TYPE);
	if (c->kind != COPY_ASYNC && info->tier == STORE_TIER_ARCHIVE)
		return rq_fail(rq, info->rehydrate ? ERR_BLOB_BEING_REHYDRATED : ERR_BLOB_ARCHIVED);
	if ((c->kind == COPY_SYNC && info->length > COPY_SYNC_MAX) ||
	    (c->kind == PUT_FROM_URL && info->length > PUT_FROM_URL_MAX))
		return err_answer_text(&rq->to, 409, "CannotVerifyCopySource",
				       "The source is larger than this operation copies.", NULL);
	if (c->sums.has_md5 && info->headers.has_md5 &&
	    memcmp(c->sums.md5, info->headers.md5, sizeof(c->sums.md5)) != 0)
		return rq_fail(rq, ERR_MD5_MISMATCH);
	if (c->sums.has_crc64 && info->has_crc64 && c->sums.crc64 != info->crc64)
		return rq_fail(rq, ERR_CRC64_MISMATCH);
	return NULL;
}

static struct svc_answer *copied(const struct answer_to *to, const struct store_result *result,
				 void *context)
{
	const struct copying *c = context;
	struct answer *a = answer_new(to, c->kind == PUT_FROM_URL ? 201 : 202);

	answer_add_etag(a, result->etag);
	answer_add_time(a, "Last-Modified", result->modified_ns);
	answer_add_id(a, "x-ms-version-id", result->version);
	if (c->kind != PUT_FROM_URL) {
		answer_add(a, "x-ms-copy-id", c->id);
		answer_add(a, "x-ms-copy-status", c->is_pending ? "pending" : "success");
	} else {
		answer_add(a, "x-ms-request-server-encrypted", "false");
	}
	if (c->kind != COPY_ASYNC && c->has_digest) {
		answer_add_md5(a, "Content-MD5", c->remote.digest.md5);
		answer_add_crc64(a, "x-ms-content-crc64", c->remote.digest.crc64);
	} else if (c->kind != COPY_ASYNC) {
		if (result->has_md5)
			answer_add_md5(a, "Content-MD5", result->md5);
		if (result->has_crc64)
			answer_add_crc64(a, "x-ms-content-crc64", result->crc64);
	}
	return answer_done(a, to);
}

struct svc_answer *copy_make_id(const struct rq *rq, char id[37])
{
	uint8_t bytes[16];

	if (getrandom(bytes, sizeof(bytes), 0) != sizeof(bytes))
		return rq_fail(rq, ERR_SERVER_BUSY);
	bytes[6] = (uint8_t)((bytes[6] & 0x0f) | 0x40);
	bytes[8] = (uint8_t)((bytes[8] & 0x3f) | 0x80);
	lease_id_format(bytes, id);
	return NULL;
}

/* A source that changes between the look at it and the copy would not be what was checked. */
static void pin_source(struct store_conditions *conditions, const struct source *source,
		       const struct store_blob_info *info)
{
	*conditions = *source_conditions(source);
	conditions->if_match = &info->etag;
	conditions->if_match_count = 1;
}

static struct svc_answer *run_copy(struct rq *rq, struct copying *c, struct store_change *change,
				   const struct store_blob_info *info)
{
	struct store_copy copy = { .id = c->id,
				   .status = "success",
				   .source = source_shown(c->source) };
	struct store_conditions pinned;
	enum store_error error;
	struct svc_answer *answer;

	pin_source(&pinned, c->source, info);
	change->source_conditions = c->kind == COPY_ASYNC ? source_conditions(c->source) : &pinned;
	change->conditions = &c->conditions.store;
	if (c->kind != PUT_FROM_URL)
		change->copy = &copy;
	if (c->meta.length) {
		change->set |= STORE_SET_META;
		change->meta = (struct store_meta){ c->meta.data, c->meta.length };
	}
	change->tags = (struct store_meta){ c->tags.data, c->tags.length };
	answer = change_run(rq->svc, &rq->to, rq->caller, change, copied, c, &error);
	return answer ? answer : rq_fail_store(rq, error);
}

/* The blob is put as any other, of the bytes in c->remote. */
static struct svc_answer *put_bytes(struct rq *rq, struct copying *c, struct store_change *change,
				    const struct store_blob_info *info)
{
	enum store_error error;
	struct svc_answer *answer;

	change->kind = STORE_PUT_BLOB;
	change->upload = c->remote.store;
	change->conditions = &c->conditions.store;
	/* with its own, or where the source's are not wanted */
	change->meta = c->meta.length || change->set & STORE_SET_META
			       ? (struct store_meta){ c->meta.data, c->meta.length }
			       : info->meta;
	change->tags = change->set & STORE_SET_TAG_LIST
			       ? (struct store_meta){ c->tags.data, c->tags.length }
			       : info->tags;
	change->set = 0;
	c->copy = (struct store_copy){ .id = c->id,
				       .status = "success",
				       .source = source_shown(c->source) };
	if (c->kind != PUT_FROM_URL)
		change->copy = &c->copy;
	answer = change_run(rq->svc, &rq->to, rq->caller, change, copied, c, &error);
	if (!answer)
		return rq_fail_store(rq, error);
	c->remote.store = NULL; /* used up */
	return answer;
}

/* The bytes have come: what is known of them by now, and then the change. */
static struct svc_answer *put_fetched(struct rq *rq, struct copying *c, struct store_change *change,
				      struct store_blob_info *info)
{
	struct svc_answer *answer;

	c->has_digest = true;
	info->headers.has_md5 = info->has_crc64 = true;
	memcpy(info->headers.md5, c->remote.digest.md5, sizeof(info->headers.md5));
	info->crc64 = c->remote.digest.crc64;
	change->headers = &info->headers;
	answer = check_source(rq, c, info);
	if (!answer && c->kind == PUT_FROM_URL)
		answer = read_properties(rq, c, info, change);
	return answer ? answer : put_bytes(rq, c, change, info);
}

/* A block blob of the bytes of another kind of blob: those change in place, so none are shared. */
static struct svc_answer *from_pages(struct rq *rq, struct copying *c, struct store_change *change,
				     struct store_blob_info *info)
{
	struct store_ref ref = change->source;
	struct store_conditions pinned;
	struct store_read *read;
	struct svc_answer *answer;
	enum store_error error;

	/* a checksum that a page blob has is whatever its writer said */
	info->headers.has_md5 = info->has_crc64 = false;
	answer = check_source(rq, c, info);
	if (answer)
		return answer;
	pin_source(&pinned, c->source, info);
	error = store_read_open(rq->svc->store, &ref, &pinned, NULL, &read);
	if (error != STORE_OK)
		return source_fail(rq, error);
	error = source_bytes(rq->svc->store, read, 0, read->info.length, true, &c->remote.store,
			     &c->remote.digest);
	store_read_close(read);
	return error == STORE_OK ? put_fetched(rq, c, change, info) : rq_fail_store(rq, error);
}

static struct svc_answer *with_source(struct rq *rq, struct copying *c, struct store_change *change)
{
	struct store_blob_info info;
	struct svc_answer *answer;
	enum store_error error;

	change->source = source_ref(c->source);
	error = store_blob_stat(rq->svc->store, &change->source, source_conditions(c->source),
				&info);
	if (error != STORE_OK)
		return source_fail(rq, error);
	if (info.current && store_copy_incremental(&info.copy)) {
		answer = rq_fail(rq, ERR_INCREMENTAL);
	} else if (c->kind == PUT_FROM_URL && info.type != STORE_BLOCK_BLOB) {
		answer = from_pages(rq, c, change, &info);
	} else {
		answer = check_source(rq, c, &info);
		if (!answer && c->kind == PUT_FROM_URL)
			answer = read_properties(rq, c, &info, change);
		if (!answer)
			answer = run_copy(rq, c, change, &info);
	}
	change->headers = NULL; /* they may be the source's, which ends here */
	store_blob_info_clear(&info);
	return answer;
}

/* It takes a while: the request is answered now. */
static struct svc_answer *begin_remote(struct rq *rq, struct copying *c,
				       const struct store_change *change)
{
	struct pending_copy copy = { .rq = rq,
				     .source = c->source,
				     .remote = &c->remote,
				     .conditions = &c->conditions,
				     .id = c->id,
				     .meta = c->remote.info.meta,
				     .tags = { c->tags.data, c->tags.length },
				     .tier = change->tier,
				     .protect = change->protect };

	if (c->remote.info.length > COPY_MAX)
		return err_answer_text(&rq->to, 409, "CannotVerifyCopySource",
				       "The source is larger than this operation copies.", NULL);
	if (c->meta.length)
		copy.meta = (struct store_meta){ c->meta.data, c->meta.length };
	c->is_pending = true;
	return pending_begin(&copy, copied, c);
}

/* The same from another host: what comes is a blob that is put, with what its headers say. */
static struct svc_answer *from_remote(struct rq *rq, struct copying *c, struct store_change *change)
{
	const struct head_str *option = head_get(rq->head, "x-ms-copy-source-tag-option");
	struct store_blob_info *info = &c->remote.info;
	struct svc_answer *answer;

	/* the tags of a blob elsewhere are not in its answer */
	if (option && head_str_is_nocase(option, "COPY"))
		return bad_header(rq, "x-ms-copy-source-tag-option");
	c->remote.max = c->kind == PUT_FROM_URL ? PUT_FROM_URL_MAX : COPY_SYNC_MAX;
	c->remote.md5 = true;
	if (c->kind == COPY_ASYNC) {
		c->remote.max = COPY_AT_ONCE_MAX;
		c->remote.head_only = true;
	}
	answer = remote_fetch(rq, source_url(c->source), &c->remote);
	if (answer)
		return answer;
	/* Azure has no Copy Blob From URL of others; a Copy Blob of them it has, and we have not */
	if (c->remote.info.type != STORE_BLOCK_BLOB && c->kind == COPY_SYNC)
		return rq_fail(rq, ERR_INVALID_BLOB_TYPE);
	if (c->remote.info.type != STORE_BLOCK_BLOB && c->kind == COPY_ASYNC)
		return rq_unsupported(rq, "A page or append blob of another host as a source");
	if (!c->remote.store)
		return begin_remote(rq, c, change);
	return put_fetched(rq, c, change, info);
}

struct svc_answer *op_copy_blob(struct rq *rq, struct svc_upload **upload)
{
	struct store_change change = { .kind = STORE_COPY_BLOB, .ref = rq_ref(rq) };
	struct copying c = { .kind = COPY_ASYNC };
	struct svc_answer *answer;

	(void)upload;
	answer = choose_kind(rq, &c.kind);
	if (!answer)
		answer = conditions_parse(rq, &c.conditions);
	if (!answer)
		answer = metadata_parse(rq, &c.meta);
	if (!answer)
		answer = read_tags(rq, &c, &change.set);
	if (!answer)
		answer = tier_parse(rq, &change.tier);
	if (!answer)
		answer = tier_priority(rq, &change.rehydrate_high);
	if (!answer)
		answer = protect_parse(rq, &change.protect);
	if (!answer)
		answer = source_sums(rq, &c.sums);
	if (!answer)
		answer = copy_make_id(rq, c.id);
	if (!answer)
		answer = source_open(rq, &c.source);
	if (!answer)
		answer = source_is_remote(c.source) ? from_remote(rq, &c, &change)
						    : with_source(rq, &c, &change);
	remote_free(&c.remote);
	source_free(c.source);
	headers_free(&c.headers);
	azb_buf_free(&c.meta);
	azb_buf_free(&c.tags);
	return answer;
}

static struct svc_answer *aborted(const struct rq *rq)
{
	struct answer *a = answer_new(&rq->to, 204);

	return answer_done(a, &rq->to);
}

/* Only copies from other hosts are ever pending: those within the store are whole when answered. */
struct svc_answer *op_abort_copy(struct rq *rq, struct svc_upload **upload)
{
	const struct head_str *action = head_get(rq->head, "x-ms-copy-action");
	const char *id = target_param(&rq->target, "copyid");
	struct store_ref ref = rq_ref(rq);
	struct conditions conditions = { 0 };
	struct store_blob_info info;
	struct store_copy copy;
	enum store_error error;

	(void)upload;
	if (!action)
		return rq_fail_header(rq, ERR_MISSING_REQUIRED_HEADER, "x-ms-copy-action");
	if (!head_str_is_nocase(action, "abort"))
		return bad_header(rq, "x-ms-copy-action");
	if (!id)
		return rq_fail_param(rq, ERR_MISSING_REQUIRED_QUERY_PARAMETER, "copyid");
	conditions_lease(rq, &conditions);
	error = store_blob_stat(rq->svc->store, &ref, &conditions.store, &info);
	if (error != STORE_OK)
		return rq_fail_store(rq, error);
	if (!store_copy_read(&info.copy, &copy) || strcmp(copy.status, "pending") != 0)
		error = STORE_NO_PENDING_COPY;
	else if (strcmp(copy.id, id) != 0)
		error = STORE_COPY_ID_MISMATCH;
	store_blob_info_clear(&info);
	if (error == STORE_OK)
		error = pending_abort(rq, id);
	return error == STORE_OK ? aborted(rq) : rq_fail_store(rq, error);
}
