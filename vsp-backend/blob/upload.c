// SPDX-License-Identifier: MIT
/* The body of an upload, and its end. */
#include "upload.h"

#include <errno.h>
#include <inttypes.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "../base/base64.h"
#include "../base/crc64.h"
#include "blocklist.h"

/* Bytes of a structured message that are taken apart at a time. */
#define UNFRAME_STEP (128u * 1024u)
#include "relay.h"

uint64_t svc_upload_length(const struct svc_upload *upload)
{
	return upload->length;
}

/* ------------------------------------------------------------------ writing */

static int to_errno(enum store_error error)
{
	switch (error) {
	case STORE_OK:
		return 0;
	case STORE_OUT_OF_RANGE:
		return -EINVAL;
	case STORE_OVERLAP:
		return -EEXIST;
	case STORE_CRC_MISMATCH:
		return -EBADMSG;
	case STORE_TOO_MANY_PARTS:
		return -EMFILE;
	case STORE_NO_SPACE:
		return -ENOSPC;
	case STORE_NO_MEMORY:
		return -ENOMEM;
	case STORE_SHUTDOWN:
		return -ESHUTDOWN;
	default:
		return -EIO;
	}
}

static uint64_t iov_length(const struct iovec *iov, int count)
{
	uint64_t total = 0;

	for (int i = 0; i < count; i++)
		total += iov[i].iov_len;
	return total;
}

/* Takes @part into the list, or says why not.  @lock is held. */
static int add_part(struct svc_upload *u, uint64_t offset, uint64_t length)
{
	size_t same = u->part_count;

	for (size_t i = 0; i < u->part_count; i++) {
		const struct upload_part *p = &u->part[i];

		if (p->offset == offset && p->length == length)
			same = i;
		else if (offset < p->offset + p->length && p->offset < offset + length)
			return -EEXIST;
	}
	if (same < u->part_count)
		return 0;
	/* parts in a row, which are not sent again, become one */
	if (!u->link && u->part_count) {
		struct upload_part *last = &u->part[u->part_count - 1];

		if (last->offset + last->length == offset) {
			last->length += length;
			return 0;
		}
	}
	if (u->part_count == UPLOAD_MAX_PARTS)
		return -EMFILE;
	u->part[u->part_count++] = (struct upload_part){ offset, length };
	return 0;
}

/*
 * A block list is small: one copy out of what may be guest memory, then everything else is done
 * with the copy.
 */
static int write_memory(struct svc_upload *u, uint64_t offset, const struct iovec *iov, int count,
			const uint64_t *expect, uint64_t *crc64)
{
	uint64_t length = iov_length(iov, count), crc;
	uint8_t *copy, *at;
	int rc;

	if (!length || offset > u->length || length > u->length - offset)
		return -EINVAL;
	copy = malloc(length);
	if (!copy)
		return -ENOMEM;
	at = copy;
	for (int i = 0; i < count; i++) {
		memcpy(at, iov[i].iov_base, iov[i].iov_len);
		at += iov[i].iov_len;
	}
	crc = azb_crc64(0, copy, length);
	if (expect && *expect != crc) {
		free(copy);
		return -EBADMSG;
	}
	pthread_mutex_lock(&u->lock);
	rc = add_part(u, offset, length);
	if (!rc)
		memcpy(u->memory + offset, copy, length);
	pthread_mutex_unlock(&u->lock);
	free(copy);
	if (!rc && crc64)
		*crc64 = crc;
	return rc;
}

/* Data out of a structured message, on its way to the store. */
static int store_data(void *context, uint64_t offset, const uint8_t *bytes, size_t length,
		      uint64_t *crc64)
{
	struct svc_upload *u = context;
	struct iovec iov = { (void *)(uintptr_t)bytes, length };

	return to_errno(
		store_upload_write(u->store, offset, &iov, 1, STORE_WRITE_PRIVATE, NULL, crc64));
}

/* The next bytes of a structured message, which come in a row and from memory of our own. */
static int write_framed(struct svc_upload *u, uint64_t offset, const struct iovec *iov, int count)
{
	int rc = offset == u->xsm.at ? 0 : -EINVAL;

	for (int i = 0; i < count && !rc; i++)
		rc = xsm_feed(&u->xsm, iov[i].iov_base, iov[i].iov_len, store_data, u);
	return rc;
}

int svc_write(struct svc_upload *upload, uint64_t offset, const struct iovec *iov, int iov_count,
	      unsigned int flags, const uint64_t *expect, uint64_t *crc64)
{
	if (upload->rest)
		return relay_write(upload, offset, iov, iov_count, flags, expect, crc64);
	if (upload->memory)
		return write_memory(upload, offset, iov, iov_count, expect, crc64);
	if (upload->framed && !upload->raw)
		return write_framed(upload, offset, iov, iov_count);
	return to_errno(store_upload_write(
		upload->raw ? upload->raw : upload->store, offset, iov, iov_count,
		flags & SVC_WRITE_PRIVATE ? STORE_WRITE_PRIVATE : 0, expect, crc64));
}

struct svc_answer *svc_upload_fail(const struct svc_upload *upload, int error)
{
	if (upload->rest && error == -EIO)
		return relay_fail(upload);
	switch (error) {
	case -EINVAL:
		return err_answer(&upload->to, ERR_OUT_OF_RANGE_INPUT, NULL);
	case -EEXIST:
		return err_answer_text(&upload->to, 400, "InvalidInput",
				       "The part overlaps another one that was sent before.", NULL);
	case -EMFILE:
		return err_answer_text(&upload->to, 400, "InvalidInput",
				       "Too many parts that are not in a row.", NULL);
	case -EBADMSG:
		return err_answer(&upload->to, ERR_CRC64_MISMATCH, NULL);
	case -EPROTO:
		return err_answer_text(&upload->to, 400, "InvalidInput",
				       "The body is no structured message of the given lengths.",
				       NULL);
	case -ENOSPC:
		return err_answer(&upload->to, ERR_INSUFFICIENT_STORAGE, NULL);
	case -ENOMEM:
	case -ESHUTDOWN:
		return err_answer(&upload->to, ERR_SERVER_BUSY, NULL);
	default:
		return err_answer(&upload->to, ERR_INTERNAL, NULL);
	}
}

/* ---------------------------------------------------------------- finishing */

static void free_upload(struct svc_upload *u)
{
	pthread_mutex_destroy(&u->lock);
	cors_end(&u->cors);
	free(u->account);
	free(u->container);
	free(u->blob);
	headers_free(&u->headers);
	azb_buf_free(&u->meta);
	azb_buf_free(&u->tags);
	tagexpr_free(u->if_tags);
	free(u->memory);
	free(u->state);
	free(u->part);
	free(u);
}

void svc_abort(struct svc_upload *upload)
{
	if (!upload)
		return;
	if (upload->rest)
		relay_abort(upload);
	if (upload->raw)
		store_upload_abort(upload->raw);
	if (upload->store)
		store_upload_abort(upload->store);
	free_upload(upload);
}

/* The checksums of the whole body, or STORE_INCOMPLETE. */
static enum store_error digest_body(struct svc_upload *u, struct store_digest *digest)
{
	uint64_t have = 0;

	memset(digest, 0, sizeof(*digest));
	if (u->store)
		return store_upload_digest(u->store, digest);
	for (size_t i = 0; i < u->part_count; i++)
		have += u->part[i].length;
	if (have != u->length)
		return STORE_INCOMPLETE;
	digest->crc64 = azb_crc64(0, u->memory, u->length);
	if (u->want_md5) {
		if (!EVP_Digest(u->memory, u->length, digest->md5, NULL, EVP_md5(), NULL))
			return STORE_NO_MEMORY;
		digest->has_md5 = true;
	}
	return STORE_OK;
}

static struct svc_answer *md5_mismatch(const struct svc_upload *u, const uint8_t sent[16],
				       const uint8_t found[16])
{
	char sent_text[AZB_BASE64_LENGTH(16) + 1], found_text[AZB_BASE64_LENGTH(16) + 1];
	struct err_detail details[3] = { { "UserSpecifiedMd5", sent_text },
					 { "ServerCalculatedMd5", found_text },
					 { NULL, NULL } };

	azb_base64_encode(sent_text, sent, 16);
	azb_base64_encode(found_text, found, 16);
	return err_answer(&u->to, ERR_MD5_MISMATCH, details);
}

/* NULL: the body is what the request said it is. */
static struct svc_answer *check_sums(const struct svc_upload *u, const struct store_digest *digest)
{
	if (u->sums.has_md5 && memcmp(u->sums.md5, digest->md5, 16) != 0)
		return md5_mismatch(u, u->sums.md5, digest->md5);
	/* of Put Block List it is the MD5 of the blob, which nobody has computed */
	if (u->kind == STORE_PUT_BLOB && u->headers.store.has_md5 &&
	    memcmp(u->headers.store.md5, digest->md5, 16) != 0)
		return md5_mismatch(u, u->headers.store.md5, digest->md5);
	if (u->sums.has_crc64 && u->sums.crc64 != digest->crc64)
		return err_answer(&u->to, ERR_CRC64_MISMATCH, NULL);
	return NULL;
}

struct finishing {
	const struct svc_upload *upload;
	const struct store_digest *digest;
};

static struct svc_answer *created(const struct answer_to *to, const struct store_result *result,
				  void *context)
{
	const struct finishing *f = context;
	struct answer *a = answer_new(to, 201);

	if (f->upload->want_md5)
		answer_add_md5(a, "Content-MD5", f->digest->md5);
	if (f->upload->want_crc64)
		answer_add_crc64(a, "x-ms-content-crc64", f->digest->crc64);
	/* a block alone changes nothing that could have an ETag */
	if (f->upload->kind != STORE_PUT_BLOCK) {
		answer_add_etag(a, result->etag);
		answer_add_time(a, "Last-Modified", result->modified_ns);
		answer_add_id(a, "x-ms-version-id", result->version);
	}
	if (f->upload->kind == STORE_APPEND) {
		answer_add_u64(a, "x-ms-blob-append-offset", result->offset);
		answer_add_u64(a, "x-ms-blob-committed-block-count", result->block_count);
	}
	if (f->upload->kind == STORE_PAGES_WRITE)
		answer_add_u64(a, "x-ms-blob-sequence-number", result->sequence);
	if (f->upload->framed)
		answer_add(a, "x-ms-structured-body", XSM_VALUE);
	answer_add(a, "x-ms-request-server-encrypted", "false");
	return answer_done(a, to);
}

static struct svc_answer *read_list(const struct svc_upload *u, struct store_block_ref **blocks,
				    size_t *count)
{
	switch (blocklist_parse(u->memory, u->length, blocks, count)) {
	case BLOCKLIST_OK:
		return NULL;
	case BLOCKLIST_BAD_ID:
		return err_answer(&u->to, ERR_INVALID_BLOCK_ID, NULL);
	case BLOCKLIST_TOO_LONG:
		return err_answer(&u->to, ERR_BLOCK_LIST_TOO_LONG, NULL);
	case BLOCKLIST_NO_MEMORY:
		return err_answer(&u->to, ERR_SERVER_BUSY, NULL);
	case BLOCKLIST_BAD_XML:
		break;
	}
	return err_answer(&u->to, ERR_INVALID_XML_DOCUMENT, NULL);
}

static struct svc_answer *commit(struct svc_upload *u, const struct svc_caller *caller,
				 const struct store_digest *digest)
{
	struct finishing finishing = { u, digest };
	struct store_block_ref *blocks = NULL;
	struct store_change change = {
		.kind = u->kind,
		.ref = { .account = u->account, .container = u->container, .blob = u->blob },
		.upload = u->store,
		.headers = &u->headers.store,
		.meta = { u->meta.data, u->meta.length },
		.block = u->block,
		.place = &u->place,
		.offset = u->offset,
		.tags = { u->tags.data, u->tags.length },
		.tier = u->tier,
		.protect = u->protect,
		.conditions = &u->conditions.store,
	};
	enum store_error error;
	struct svc_answer *answer;

	if (u->kind == STORE_PUT_BLOB) {
		memcpy(u->headers.store.md5, digest->md5, 16);
		u->headers.store.has_md5 = true;
	}
	if (u->kind == STORE_PUT_BLOCK_LIST) {
		answer = read_list(u, &blocks, &change.block_count);
		if (answer)
			return answer;
		change.blocks = blocks;
	}
	answer = change_run(u->svc, &u->to, caller, &change, created, &finishing, &error);
	free(blocks);
	if (!answer)
		return err_answer(&u->to, err_of_store(error), NULL);
	u->store = NULL;
	return answer;
}

/*
 * The link's parts come in any order, so a structured message is taken apart when all of
 * it is there.  -ENODATA: it is not.
 */
static int unframe(struct svc_upload *u)
{
	unsigned int flags = STORE_UPLOAD_STREAM | (u->want_md5 ? STORE_UPLOAD_MD5 : 0);
	struct store_digest digest;
	enum store_error error = store_upload_digest(u->raw, &digest);
	uint8_t *step;
	int rc = 0;

	if (error == STORE_INCOMPLETE)
		return -ENODATA;
	if (error == STORE_OK)
		error = store_upload_begin(u->svc->store, u->size, flags, &u->store);
	if (error != STORE_OK) {
		u->store = NULL;
		return to_errno(error);
	}
	step = malloc(UNFRAME_STEP);
	if (!step)
		return -ENOMEM;
	for (uint64_t at = 0; at < u->length && !rc; at += UNFRAME_STEP) {
		size_t n = u->length - at < UNFRAME_STEP ? (size_t)(u->length - at) : UNFRAME_STEP;

		rc = to_errno(store_upload_read(u->raw, at, step, n));
		if (!rc)
			rc = xsm_feed(&u->xsm, step, n, store_data, u);
	}
	free(step);
	return rc || xsm_complete(&u->xsm) ? rc : -EPROTO;
}

int svc_finish(struct svc_upload *upload, const struct svc_caller *caller,
	       struct svc_answer **answer)
{
	struct store_digest digest;
	enum store_error error;
	int rc = 0;

	if (upload->rest)
		return relay_finish(upload, caller, answer);
	if (upload->raw) {
		rc = unframe(upload);
		if (rc == -ENODATA)
			return rc;
	} else if (upload->framed && !xsm_complete(&upload->xsm)) {
		rc = -EPROTO;
	}
	if (rc) {
		*answer = svc_upload_fail(upload, rc);
		svc_abort(upload);
		return 0;
	}
	error = digest_body(upload, &digest);
	if (error == STORE_INCOMPLETE)
		return -ENODATA;
	if (error != STORE_OK)
		*answer = err_answer(&upload->to, err_of_store(error), NULL);
	else
		*answer = check_sums(upload, &digest);
	if (!*answer && upload->end)
		*answer = upload->end(upload, caller);
	else if (!*answer)
		*answer = commit(upload, caller, &digest);
	if (upload->create_only)
		*answer = err_overwrite(&upload->to, *answer);
	*answer = cors_apply(&upload->cors, *answer);
	svc_abort(upload);
	return 0;
}
