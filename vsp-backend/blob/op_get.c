// SPDX-License-Identifier: MIT
/* Get Blob, Get Blob Properties, Get Blob Metadata. */
#include "op.h"
#include "xsm.h"

#include <inttypes.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../base/crc64.h"
#include "lease.h"
#include "pending.h"
#include "protect.h"
#include "tags.h"
#include "tier.h"

/* Azure computes checksums of ranges up to this size. */
#define RANGE_CHECKSUM_MAX (4u * 1024u * 1024u)
#define CHECKSUM_STEP (64u * 1024u)

/* An answer to failed conditions: it says what the blob is now. */
static struct svc_answer *fail_conditions(const struct rq *rq, enum store_error error,
					  const struct store_blob_info *info)
{
	struct answer *a;

	if (error != STORE_NOT_MODIFIED)
		return rq_fail_store(rq, error);
	a = answer_new(&rq->to, 304);
	answer_add(a, "x-ms-error-code", "ConditionNotMet");
	answer_add_etag(a, info->etag);
	answer_add_time(a, "Last-Modified", info->modified_ns);
	return answer_done(a, &rq->to);
}

const char *blob_type_name(enum store_blob_type type)
{
	switch (type) {
	case STORE_PAGE_BLOB:
		return "PageBlob";
	case STORE_APPEND_BLOB:
		return "AppendBlob";
	case STORE_BLOCK_BLOB:
		break;
	}
	return "BlockBlob";
}

static void add_optional(struct answer *a, const char *name, const char *value)
{
	if (value)
		answer_add(a, name, value);
}

/* Where the blob was copied from. */
static void add_copy(struct answer *a, const struct store_blob_info *info)
{
	struct store_copy copy;
	char progress[48];

	if (!store_copy_read(&info->copy, &copy))
		return;
	pending_look(&copy);
	snprintf(progress, sizeof(progress), "%" PRIu64 "/%" PRIu64, copy.copied, copy.total);
	answer_add(a, "x-ms-copy-id", copy.id);
	answer_add(a, "x-ms-copy-source", copy.source);
	answer_add(a, "x-ms-copy-status", copy.status);
	answer_add(a, "x-ms-copy-progress", progress);
	if (copy.done_ns)
		answer_add_time(a, "x-ms-copy-completion-time", copy.done_ns);
	if (*copy.description)
		answer_add(a, "x-ms-copy-status-description", copy.description);
	if (copy.incremental) {
		answer_add(a, "x-ms-incremental-copy", "true");
		answer_add_id(a, "x-ms-copy-destination-snapshot", copy.snapshot);
	}
}

/* What Get Blob and Get Blob Properties both say. */
static void add_info(struct answer *a, const struct store_blob_info *info)
{
	const struct store_headers *h = &info->headers;

	answer_add(a, "Content-Type",
		   h->content_type ? h->content_type : "application/octet-stream");
	add_optional(a, "Content-Encoding", h->content_encoding);
	add_optional(a, "Content-Language", h->content_language);
	add_optional(a, "Content-Disposition", h->content_disposition);
	add_optional(a, "Cache-Control", h->cache_control);
	answer_add(a, "Accept-Ranges", "bytes");
	answer_add_etag(a, info->etag);
	answer_add_time(a, "Last-Modified", info->modified_ns);
	answer_add_time(a, "x-ms-creation-time", info->created_ns);
	answer_add(a, "x-ms-blob-type", blob_type_name(info->type));
	answer_add_id(a, "x-ms-version-id", info->version);
	if (info->version && info->current)
		answer_add(a, "x-ms-is-current-version", "true");
	if (info->type == STORE_PAGE_BLOB)
		answer_add_u64(a, "x-ms-blob-sequence-number", info->sequence);
	if (info->type == STORE_APPEND_BLOB) {
		answer_add_u64(a, "x-ms-blob-committed-block-count", info->block_count);
		if (info->sealed)
			answer_add(a, "x-ms-blob-sealed", "true");
	}
	lease_add_headers(a, &info->lease);
	add_copy(a, info);
	protect_add_headers(a, info);
	if (info->tags.length)
		answer_add_u64(a, "x-ms-tag-count", tags_count(&info->tags));
	answer_add(a, "x-ms-server-encrypted", "false");
	answer_add_meta(a, &info->meta);
}

/* HEAD is a read of everything: Azure lets it have a Range and says the whole length. */
struct svc_answer *op_blob_properties(struct rq *rq, struct svc_upload **upload)
{
	struct store_ref ref = rq_ref(rq);
	struct conditions conditions;
	struct store_blob_info found = { 0 };
	const struct store_blob_info *info = &found;
	struct store_read *read = NULL;
	enum store_error error;
	struct svc_answer *answer;
	struct answer *a;

	(void)upload;
	answer = conditions_parse(rq, &conditions);
	if (answer)
		return answer;
	/* only a lease tells what the blob is when conditions fail, and a 304 says it */
	if (conditions.any)
		error = store_read_open(rq->svc->store, &ref, &conditions.store, &found, &read);
	else
		error = store_blob_stat(rq->svc->store, &ref, NULL, &found);
	if (error != STORE_OK) {
		answer = fail_conditions(rq, error, &found);
		store_blob_info_clear(&found);
		return answer;
	}
	if (read)
		info = &read->info;
	a = answer_new(&rq->to, 200);
	if (target_param(&rq->target, "comp")) {
		answer_add_etag(a, info->etag);
		answer_add_time(a, "Last-Modified", info->modified_ns);
		answer_add_meta(a, &info->meta);
	} else {
		answer_add_u64(a, "Content-Length", info->length);
		if (a)
			a->pub.content_length = info->length;
		if (info->headers.has_md5)
			answer_add_md5(a, "Content-MD5", info->headers.md5);
		add_info(a, info);
		tier_add_headers(a, info);
	}
	if (read)
		store_read_close(read);
	else
		store_blob_info_clear(&found);
	return answer_done(a, &rq->to);
}

/* ----------------------------------------------------------------- Get Blob */

/**
 * struct wanted - what a Get Blob asks for
 * @md5, @crc64: of the range, computed from what is stored.
 * @framed: as a structured message.
 */
struct wanted {
	struct range range;
	bool md5;
	bool crc64;
	bool framed;
	uint64_t offset;
	uint64_t length;
	uint8_t md5_value[16];
	uint64_t crc64_value;
};

static struct svc_answer *flag(const struct rq *rq, const char *name, bool *on)
{
	const struct head_str *value = head_get(rq->head, name);

	*on = value && head_str_is_nocase(value, "true");
	if (value && !*on && !head_str_is_nocase(value, "false"))
		return rq_fail_header(rq, ERR_INVALID_HEADER_VALUE, name);
	return NULL;
}

static struct svc_answer *wanted_parse(const struct rq *rq, struct wanted *w)
{
	const struct head_str *structured = head_get(rq->head, "x-ms-structured-body");
	struct svc_answer *answer;

	memset(w, 0, sizeof(*w));
	answer = range_of(rq, &w->range);
	if (!answer)
		answer = flag(rq, "x-ms-range-get-content-md5", &w->md5);
	if (!answer)
		answer = flag(rq, "x-ms-range-get-content-crc64", &w->crc64);
	if (answer)
		return answer;
	if (structured) {
		if (!xsm_value_good(structured->at, structured->length))
			return rq_fail_header(rq, ERR_INVALID_HEADER_VALUE, "x-ms-structured-body");
		/* it brings checksums of its own, of other pieces */
		if (w->md5 || w->crc64)
			return rq_fail_header(rq, ERR_INVALID_HEADER_VALUE, "x-ms-structured-body");
		w->framed = true;
	}
	if (w->md5 && w->crc64)
		return rq_fail_header(rq, ERR_INVALID_HEADER_VALUE, "x-ms-range-get-content-crc64");
	if ((w->md5 || w->crc64) && !w->range.given)
		return rq_fail_header(rq, ERR_MISSING_REQUIRED_HEADER, "x-ms-range");
	return NULL;
}

/* Checksums of the range, read back in small steps: the body itself is sent from its extents. */
static enum store_error checksum(struct store_read *read, struct wanted *w)
{
	EVP_MD_CTX *md5 = w->md5 ? EVP_MD_CTX_new() : NULL;
	void *step = malloc(CHECKSUM_STEP);
	enum store_error error = STORE_OK;
	uint64_t done = 0;

	if (!step || (w->md5 && (!md5 || !EVP_DigestInit_ex(md5, EVP_md5(), NULL))))
		error = STORE_NO_MEMORY;
	while (error == STORE_OK && done < w->length) {
		size_t n = CHECKSUM_STEP;

		if (n > w->length - done)
			n = (size_t)(w->length - done);
		error = store_read_at(read, w->offset + done, step, n);
		if (error != STORE_OK)
			break;
		if (w->crc64)
			w->crc64_value = azb_crc64(w->crc64_value, step, n);
		if (md5 && !EVP_DigestUpdate(md5, step, n))
			error = STORE_NO_MEMORY;
		done += n;
	}
	if (error == STORE_OK && md5 && !EVP_DigestFinal_ex(md5, w->md5_value, NULL))
		error = STORE_NO_MEMORY;
	EVP_MD_CTX_free(md5);
	free(step);
	return error;
}

static struct svc_answer *fail_range(const struct rq *rq, uint64_t length)
{
	struct svc_answer *answer = rq_fail(rq, ERR_INVALID_RANGE);
	char text[40];

	/* a fresh answer of ours: nobody else has it yet */
	if (answer->status == 416) {
		snprintf(text, sizeof(text), "bytes */%" PRIu64, length);
		answer_add((struct answer *)answer, "Content-Range", text);
	}
	return answer;
}

static struct svc_answer *body(const struct rq *rq, struct store_read *read, const struct wanted *w)
{
	const struct store_blob_info *info = &read->info;
	struct answer *a = answer_new(&rq->to, w->range.given ? 206 : 200);
	char text[72];

	if (w->range.given) {
		snprintf(text, sizeof(text), "bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64, w->offset,
			 w->offset + w->length - 1, info->length);
		answer_add(a, "Content-Range", text);
		/* Content-MD5 is of what is sent, so the whole blob's has a name of its own */
		if (info->headers.has_md5)
			answer_add_md5(a, "x-ms-blob-content-md5", info->headers.md5);
		if (w->md5)
			answer_add_md5(a, "Content-MD5", w->md5_value);
		if (w->crc64)
			answer_add_crc64(a, "x-ms-content-crc64", w->crc64_value);
	} else if (info->headers.has_md5) {
		answer_add_md5(a, "Content-MD5", info->headers.md5);
	}
	add_info(a, info);
	if (w->framed)
		answer_set_framed(a, read, w->offset, w->length);
	else
		answer_set_read(a, read, w->offset, w->length);
	return answer_done(a, &rq->to);
}

struct svc_answer *op_get_blob(struct rq *rq, struct svc_upload **upload)
{
	struct store_ref ref = rq_ref(rq);
	struct conditions conditions;
	struct store_blob_info found = { 0 };
	struct store_read *read;
	enum store_error error;
	struct svc_answer *answer;
	struct wanted w;

	(void)upload;
	answer = conditions_parse(rq, &conditions);
	if (!answer)
		answer = wanted_parse(rq, &w);
	if (answer)
		return answer;
	error = store_read_open(rq->svc->store, &ref, &conditions.store, &found, &read);
	if (error != STORE_OK) {
		answer = fail_conditions(rq, error, &found);
		store_blob_info_clear(&found);
		return answer;
	}
	if (read->info.tier == STORE_TIER_ARCHIVE) {
		answer = rq_fail(rq, read->info.rehydrate ? ERR_BLOB_BEING_REHYDRATED
							  : ERR_BLOB_ARCHIVED);
		store_read_close(read);
		return answer;
	}
	/* what was copied is in its snapshots */
	if (read->info.current && store_copy_incremental(&read->info.copy)) {
		store_read_close(read);
		return rq_fail(rq, ERR_INCREMENTAL);
	}
	w.length = read->info.length;
	if (w.range.given) {
		uint64_t last = w.range.last;

		if (w.range.first >= read->info.length) {
			answer = fail_range(rq, read->info.length);
			store_read_close(read);
			return answer;
		}
		if (last >= read->info.length)
			last = read->info.length - 1;
		w.offset = w.range.first;
		w.length = last - w.range.first + 1;
	}
	if (w.md5 || w.crc64) {
		if (w.length > RANGE_CHECKSUM_MAX) {
			store_read_close(read);
			return rq_fail_header(rq, ERR_INVALID_HEADER_VALUE,
					      w.md5 ? "x-ms-range-get-content-md5"
						    : "x-ms-range-get-content-crc64");
		}
		error = checksum(read, &w);
		if (error != STORE_OK) {
			store_read_close(read);
			return rq_fail_store(rq, error);
		}
	}
	return body(rq, read, &w);
}
