// SPDX-License-Identifier: MIT
/*
 * Uploads.  Three ways:
 *   whole   one Put Blob, when everything fits one request;
 *   handle  one Put Blob in parts (docs/payload.md), on the link;
 *   blocks  Put Block and Put Block List, otherwise.
 */
#include "parts.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/base64.h"
#include "base/crc64.h"
#include "put.h"
#include "put_resume.h"
#include "source.h"

/* A random number that is the upload's own, and the block's number. */
#define BLOCK_ID_BYTES 24
#define MIB ((uint64_t)1 << 20)

enum way {
	WHOLE,
	HANDLE,
	BLOCKS,
};

struct upload {
	azblob_conn *conn;
	const char *container;
	const char *blob;
	struct azblob_put_options options;
	struct azblob_access access;
	struct azc_op op;
	struct azc_source *source;
	pthread_mutex_t source_lock; /* a stream is read by one thread at a time */
	struct azc_parts parts;
	enum way way;
	char handle[AZC_HANDLE_DIGITS + 1];
	uint8_t id[BLOCK_ID_BYTES - 8];
	struct azc_resume *resume; /* NULL: all blocks are sent */
	/* What a stream was found to hold before the way was chosen: its first part. */
	char *first;
	size_t first_length;
};

static void put_blob_request(struct azc_request *request, const struct upload *upload,
			     uint64_t size)
{
	azc_request_init(request, "PUT");
	azc_request_path(request, upload->conn, upload->container, upload->blob);
	azc_request_field(request, "x-ms-blob-type", "BlockBlob");
	azc_put_headers(request, &upload->options);
	request->has_body = true;
	request->content_length = size;
}

/* ---- blocks ---- */

static void block_id(const struct upload *upload, uint64_t number,
		     char text[AZB_BASE64_LENGTH(BLOCK_ID_BYTES) + 1])
{
	uint8_t bytes[BLOCK_ID_BYTES];

	if (upload->resume) {
		azc_resume_id(upload->resume, number, text);
		return;
	}
	memcpy(bytes, upload->id, sizeof(upload->id));
	for (size_t i = 0; i < 8; i++)
		bytes[sizeof(bytes) - 1 - i] = (uint8_t)(number >> (8 * i));
	azb_base64_encode(text, bytes, sizeof(bytes));
}

static int commit_blocks(struct upload *upload, uint64_t size, struct azblob_put_result *result,
			 struct azblob_error *error)
{
	char id[AZB_BASE64_LENGTH(BLOCK_ID_BYTES) + 1];
	struct azb_buf body = { 0 };
	uint64_t count = (size + upload->parts.part - 1) / upload->parts.part;
	int status;

	azc_put_begin_list(&body);
	for (uint64_t i = 0; i < count; i++) {
		block_id(upload, i, id);
		/* Of a resumed one the blob itself may be where a block is. */
		azb_buf_printf(&body,
			       upload->resume ? "<Latest>%s</Latest>"
					      : "<Uncommitted>%s</Uncommitted>",
			       id);
	}
	azb_buf_puts(&body, "</BlockList>");
	if (body.failed)
		status = azc_fail_memory(error);
	else
		status = azc_put_block_list(&upload->op, upload->container, upload->blob,
					    &upload->options, &body, size, result, error);
	azb_buf_free(&body);
	return status;
}

/* ---- handles ---- */

static int open_handle(struct upload *upload, uint64_t size, struct azblob_error *error)
{
	struct azc_request request;
	struct azc_answer answer;
	int status;

	put_blob_request(&request, upload, size);
	azc_request_field(&request, "Azblob-Body", "open");
	/* It has no effect before the commit, and a handle too many expires. */
	request.repeatable = true;
	status = azc_perform(&upload->op, &request, &answer, error);
	if (!status)
		status = azc_take_handle(&answer, upload->handle, error);
	azc_answer_reset(&answer);
	azc_request_free(&request);
	return status;
}

static int commit_handle(struct upload *upload, uint64_t size, struct azblob_put_result *result,
			 struct azblob_error *error)
{
	struct azc_request request;

	azc_handle_request(&request, "POST", upload->handle);
	azb_buf_puts(&request.query, "commit");
	request.no_memory |= request.query.failed;
	request.effect = true;
	return azc_put_finish(&upload->op, &request, size, result, error);
}

/* ---- parts ---- */

static int send_part(struct upload *upload, const void *data, uint64_t offset, size_t length,
		     uint64_t crc, struct azblob_error *error)
{
	char id[AZB_BASE64_LENGTH(BLOCK_ID_BYTES) + 1];
	struct azc_request request;
	struct azc_answer answer;
	char number[24];
	int status;

	if (upload->resume) {
		bool there;

		if (azc_resume_note(upload->resume, offset / upload->parts.part, length, crc,
				    &there, error))
			return -1;
		if (there) {
			azc_op_advance(&upload->op, length);
			return 0;
		}
	}
	if (upload->way == HANDLE) {
		azc_handle_request(&request, "PUT", upload->handle);
		snprintf(number, sizeof(number), "%llu", (unsigned long long)offset);
		azc_request_query(&request, "offset", number);
	} else {
		block_id(upload, offset / upload->parts.part, id);
		azc_request_init(&request, "PUT");
		azc_request_path(&request, upload->conn, upload->container, upload->blob);
		azc_request_query(&request, "comp", "block");
		azc_request_query(&request, "blockid", id);
		azc_request_field(&request, "x-ms-lease-id", upload->access.lease_id);
		request.repeatable = true;
	}
	request.has_body = true;
	request.content_length = length;
	azc_put_carry(&request, upload->conn, data, length, crc);
	status = azc_perform(&upload->op, &request, &answer, error);
	azc_answer_reset(&answer);
	azc_request_free(&request);
	if (!status)
		azc_op_advance(&upload->op, length);
	return status;
}

/* Takes the next part of a stream: claiming and reading are one step, in order. */
static bool next_of_stream(struct upload *upload, char *buffer, uint64_t *offset, size_t *length,
			   struct azblob_error *error)
{
	bool known = upload->parts.end != UINT64_MAX;
	size_t got = 0;

	if (!azc_parts_claim(&upload->parts, offset, length))
		return false;
	if (upload->first_length) {
		/* The part that was read ahead is a full one. */
		memcpy(buffer, upload->first, upload->first_length);
		*length = upload->first_length;
		upload->first_length = 0;
		return true;
	}
	if (azc_source_read(upload->source, buffer, *offset, *length, &got, NULL, error)) {
		azc_parts_fail(&upload->parts, error);
		return false;
	}
	if (got < *length && known) {
		azc_fail(error, AZBLOB_LOCAL_IO, "the source ended early, at byte %llu of %llu",
			 (unsigned long long)*offset + got, (unsigned long long)upload->parts.end);
		azc_parts_fail(&upload->parts, error);
		return false;
	}
	if (got < *length)
		azc_parts_ends(&upload->parts, *offset + got);
	*length = got;
	if (got && *offset / upload->parts.part >= AZC_MAX_BLOCKS) {
		azc_fail(error, AZBLOB_BAD_ARGUMENT,
			 "the source has more than %u blocks of %zu bytes: a larger block size "
			 "is needed",
			 AZC_MAX_BLOCKS, upload->parts.part);
		azc_parts_fail(&upload->parts, error);
		return false;
	}
	return got;
}

/* The names of a resumable upload's blocks are made of them. */
static bool needs_sum(const struct upload *upload)
{
	return upload->resume || !upload->conn->no_checksums;
}

static uint64_t sum_of(const struct upload *upload, const void *data, size_t length)
{
	return needs_sum(upload) ? azb_crc64(0, data, length) : 0;
}

/*
 * Fetches the next part into @buffer, or points *data at it in memory (@buffer is NULL), with its
 * checksum.
 */
static bool next_part(struct upload *upload, char *buffer, const char **data, uint64_t *offset,
		      size_t *length, uint64_t *crc, struct azblob_error *error)
{
	struct azc_source *source = upload->source;
	size_t got;

	*data = buffer;
	if (buffer && !source->positioned) {
		bool there;

		pthread_mutex_lock(&upload->source_lock);
		there = next_of_stream(upload, buffer, offset, length, error);
		pthread_mutex_unlock(&upload->source_lock);
		if (there)
			*crc = sum_of(upload, buffer, *length);
		return there;
	}
	if (!azc_parts_claim(&upload->parts, offset, length))
		return false;
	if (!buffer) {
		*data = source->memory + *offset;
		*crc = sum_of(upload, *data, *length);
		return true;
	}
	*crc = 0;
	if (azc_source_read(source, buffer, *offset, *length, &got, needs_sum(upload) ? crc : NULL,
			    error)) {
		azc_parts_fail(&upload->parts, error);
		return false;
	}
	return true;
}

static void upload_worker(void *context)
{
	struct upload *upload = context;
	struct azc_pool *pool = upload->conn->pool;
	struct azblob_error error;
	const char *data;
	char *buffer = NULL;
	uint64_t offset;
	uint64_t crc;
	size_t length;

	if (!upload->source->memory) {
		buffer = azc_pool_get(pool, upload->parts.part);
		if (!buffer) {
			azc_fail_memory(&error);
			azc_parts_fail(&upload->parts, &error);
			return;
		}
	}
	while (next_part(upload, buffer, &data, &offset, &length, &crc, &error)) {
		if (send_part(upload, data, offset, length, crc, &error)) {
			azc_parts_fail(&upload->parts, &error);
			break;
		}
	}
	azc_pool_put(pool, buffer, upload->parts.part);
}

/* All parts; *size becomes what they had together. */
static int move_parts(struct upload *upload, uint64_t *size, struct azblob_error *error)
{
	azc_run_parallel(azc_parts_threads(&upload->parts, upload->conn->parallel), upload_worker,
			 upload);
	if (upload->parts.failed) {
		if (error)
			*error = upload->parts.error;
		return -1;
	}
	*size = upload->parts.end;
	return 0;
}

/* ---- choosing the way ---- */

/* @crc: of the data, or NULL: it goes without. */
static int put_once(struct upload *upload, const void *data, size_t size, const uint64_t *crc,
		    struct azblob_put_result *result, struct azblob_error *error)
{
	struct azc_request request;

	put_blob_request(&request, upload, size);
	request.effect = true;
	azc_request_guarded(&request, AZC_GUARD_MATCH | AZC_GUARD_NEW);
	if (crc) {
		azc_put_carry(&request, upload->conn, data, size, *crc);
	} else {
		request.body = data;
		request.body_length = size;
	}
	return azc_put_finish(&upload->op, &request, size, result, error);
}

static int put_whole(struct upload *upload, const void *data, size_t size, const uint64_t *crc,
		     struct azblob_put_result *result, struct azblob_error *error)
{
	uint64_t sum = crc ? *crc : azc_put_sum(upload->conn, data, size);
	struct azblob_error mine;
	int status = put_once(upload, data, size, &sum, result, &mine);

	/*
	 * Azurite takes the blob's own MD5 for one of the body, and no other sum beside that; it
	 * compares it with the body, too.
	 */
	if (status && upload->options.content_md5 &&
	    !strcmp(mine.code, "BothCrc64AndMd5HeaderPresent"))
		status = put_once(upload, data, size, NULL, result, &mine);
	if (!status)
		azc_op_advance(&upload->op, size);
	else if (error)
		*error = mine;
	return status;
}

/* Reads all of a small source, then one request. */
static int put_small(struct upload *upload, size_t size, struct azblob_put_result *result,
		     struct azblob_error *error)
{
	struct azc_pool *pool = upload->conn->pool;
	uint64_t crc = 0;
	size_t got = 0;
	char *buffer;
	int status;

	if (upload->source->memory || !size)
		return put_whole(upload, upload->source->memory, size, NULL, result, error);
	buffer = azc_pool_get(pool, size);
	if (!buffer)
		return azc_fail_memory(error);
	status = azc_source_read(upload->source, buffer, 0, size, &got,
				 needs_sum(upload) ? &crc : NULL, error);
	if (!status && got < size)
		status = azc_fail(error, AZBLOB_LOCAL_IO,
				  "the source ended early, at byte %zu of %zu", got, size);
	if (!status)
		status = put_whole(upload, buffer, size, &crc, result, error);
	azc_pool_put(pool, buffer, size);
	return status;
}

static int put_resumed(struct upload *upload, uint64_t size, struct azblob_put_result *result,
		       struct azblob_error *error)
{
	int status;

	upload->resume = azc_resume_begin(upload->conn, upload->container, upload->blob,
					  &upload->options, upload->parts.part, error);
	if (!upload->resume)
		return -1;
	status = move_parts(upload, &size, error);
	if (!status)
		status = commit_blocks(upload, size, result, error);
	if (!status && result)
		result->resumed = azc_resume_bytes(upload->resume);
	azc_resume_end(upload->resume);
	return status;
}

/* One handle from its opening to its end; *@lost when the host forgot it before the commit. */
static int try_handle(struct upload *upload, uint64_t size, struct azblob_put_result *result,
		      bool *lost, struct azblob_error *error)
{
	struct azblob_error mine;
	int status = open_handle(upload, size, &mine);

	*lost = false;
	if (!status) {
		status = move_parts(upload, &size, &mine);
		if (!status)
			status = commit_handle(upload, size, result, &mine);
		/* Then it has not happened, unless an earlier try of the commit may have. */
		*lost = status && azc_is_handle_lost(&mine) && !mine.outcome_unknown;
		if (status && !*lost)
			azc_drop_handle(upload->conn, upload->handle);
	}
	if (status && error)
		*error = mine;
	return status;
}

/*
 * A lost handle leaves nothing, so the upload begins again, where the source can be read once more.
 */
static int put_by_handle(struct upload *upload, uint64_t size, struct azblob_put_result *result,
			 struct azblob_error *error)
{
	bool again = upload->source->memory || upload->source->positioned;
	bool lost;
	int status;

	for (unsigned int tries = 0;; tries++) {
		status = try_handle(upload, size, result, &lost, error);
		if (!status || !lost || !again || tries >= upload->conn->retries)
			return status;
		azc_parts_destroy(&upload->parts);
		azc_parts_init(&upload->parts, upload->conn->block_size, 0, size);
		azc_op_restart(&upload->op);
	}
}

static int put_large(struct upload *upload, uint64_t size, struct azblob_put_result *result,
		     struct azblob_error *error)
{
	int status;

	if (upload->way == HANDLE)
		return put_by_handle(upload, size, result, error);
	if (upload->options.resume)
		return put_resumed(upload, size, result, error);
	if (getrandom(upload->id, sizeof(upload->id), 0) != sizeof(upload->id))
		return azc_fail_errno(error, AZBLOB_RESOURCES, errno, "no random bytes");
	status = move_parts(upload, &size, error);
	return status ? status : commit_blocks(upload, size, result, error);
}

/* A part size with which @size takes at most AZC_MAX_BLOCKS blocks; 0: there is none. */
static size_t block_size_for(const azblob_conn *conn, uint64_t size)
{
	uint64_t least = (size + AZC_MAX_BLOCKS - 1) / AZC_MAX_BLOCKS;

	if (least <= conn->block_size)
		return conn->block_size;
	least = (least + MIB - 1) / MIB * MIB;
	return least <= conn->transport->part_max ? (size_t)least : 0;
}

static int put_sized(struct upload *upload, uint64_t size, struct azblob_put_result *result,
		     struct azblob_error *error)
{
	azblob_conn *conn = upload->conn;
	size_t part = conn->block_size;
	int status;

	if (size <= part)
		return put_small(upload, (size_t)size, result, error);
	upload->way = conn->transport->link && size <= AZC_MAX_PUT_BLOB && !upload->options.resume
			      ? HANDLE
			      : BLOCKS;
	if (upload->way == BLOCKS)
		part = block_size_for(conn, size);
	if (!part)
		return azc_fail(error, AZBLOB_BAD_ARGUMENT,
				"%llu bytes are too many for one blob: at most %u blocks of %zu",
				(unsigned long long)size, AZC_MAX_BLOCKS,
				conn->transport->part_max);
	azc_parts_init(&upload->parts, part, 0, size);
	status = put_large(upload, size, result, error);
	azc_parts_destroy(&upload->parts);
	return status;
}

/* A stream of unknown length: its first part decides. */
static int put_unsized(struct upload *upload, struct azblob_put_result *result,
		       struct azblob_error *error)
{
	azblob_conn *conn = upload->conn;
	size_t part = conn->block_size;
	char *buffer = azc_pool_get(conn->pool, part);
	size_t got = 0;
	int status;

	if (!buffer)
		return azc_fail_memory(error);
	status = azc_source_read(upload->source, buffer, 0, part, &got, NULL, error);
	if (!status && got < part) {
		status = put_whole(upload, buffer, got, NULL, result, error);
	} else if (!status) {
		upload->way = BLOCKS;
		upload->first = buffer;
		upload->first_length = got;
		azc_parts_init(&upload->parts, part, 0, UINT64_MAX);
		status = put_large(upload, 0, result, error);
		azc_parts_destroy(&upload->parts);
	}
	azc_pool_put(conn->pool, buffer, part);
	return status;
}

static int put(azblob_conn *conn, const char *container, const char *blob,
	       struct azc_source *source, uint64_t size, const struct azblob_put_options *options,
	       struct azblob_put_result *result, struct azblob_error *error)
{
	struct upload upload = {
		.conn = conn, .container = container, .blob = blob, .source = source
	};
	int status;

	if (azc_check_container(container, error) || azc_check_blob(blob, error) ||
	    azc_put_options(options, &upload.options, &upload.access, error))
		return -1;
	pthread_mutex_init(&upload.source_lock, NULL);
	azc_op_init(&upload.op, conn, upload.options.progress, upload.options.progress_context,
		    size);
	if (size == AZBLOB_SIZE_UNKNOWN)
		status = put_unsized(&upload, result, error);
	else
		status = put_sized(&upload, size, result, error);
	azc_op_end(&upload.op);
	pthread_mutex_destroy(&upload.source_lock);
	if (!status)
		azc_error_clear(error);
	return status;
}

/* ---- the calls ---- */

int azblob_put_blob(azblob_conn *conn, const char *container, const char *blob, const void *data,
		    size_t size, const struct azblob_put_options *options,
		    struct azblob_put_result *result, struct azblob_error *error)
{
	struct azc_source source = { .memory = data };

	if (size && !data)
		return azc_fail(error, AZBLOB_BAD_ARGUMENT, "there is no data");
	if (!size)
		source.memory = "";
	return put(conn, container, blob, &source, size, options, result, error);
}

int azblob_put_blob_from_fd(azblob_conn *conn, const char *container, const char *blob, int fd,
			    uint64_t size, const struct azblob_put_options *options,
			    struct azblob_put_result *result, struct azblob_error *error)
{
	struct azc_source source;

	if (azc_source_from_fd(&source, fd, &size, error))
		return -1;
	return put(conn, container, blob, &source, size, options, result, error);
}

int azblob_put_blob_from_reader(azblob_conn *conn, const char *container, const char *blob,
				azblob_read_fn reader, void *context, uint64_t size,
				const struct azblob_put_options *options,
				struct azblob_put_result *result, struct azblob_error *error)
{
	struct azc_source source = { .fd = -1, .reader = reader, .context = context };

	return put(conn, container, blob, &source, size, options, result, error);
}
