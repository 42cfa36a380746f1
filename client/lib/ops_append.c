// SPDX-License-Identifier: MIT
/* Append blobs. */
#include "ops.h"

#include <string.h>

#include "put.h"

int azblob_append_create(azblob_conn *conn, const char *container, const char *blob,
			 const struct azblob_put_options *given,
			 struct azblob_change_result *result, struct azblob_error *error)
{
	struct azblob_put_options options;
	struct azblob_access access;
	struct azc_request request;

	if (azc_check_container(container, error) || azc_check_blob(blob, error) ||
	    azc_put_options(given, &options, &access, error))
		return -1;
	azc_request_init(&request, "PUT");
	azc_request_path(&request, conn, container, blob);
	request.has_body = true;
	request.effect = true;
	azc_request_field(&request, "x-ms-blob-type", "AppendBlob");
	azc_put_headers(&request, &options);
	azc_request_guarded(&request, AZC_GUARD_MATCH | AZC_GUARD_NEW);
	return azc_perform_change(conn, &request, result, error);
}

static int take_append(const struct azc_answer *answer, struct azblob_append_result *result,
		       struct azblob_error *error)
{
	uint64_t offset;
	uint64_t blocks;

	if (!azc_answer_number(answer, "x-ms-blob-append-offset", &offset) ||
	    !azc_answer_number(answer, "x-ms-blob-committed-block-count", &blocks))
		return azc_fail_mute(error, "it was appended, but the answer does not say where");
	if (!result)
		return 0;
	memset(result, 0, sizeof(*result));
	azc_take_text(result->etag, sizeof(result->etag), answer, "ETag");
	azc_take_text(result->last_modified, sizeof(result->last_modified), answer,
		      "Last-Modified");
	result->offset = offset;
	result->blocks = blocks;
	return 0;
}

int azc_append_finish(azblob_conn *conn, struct azc_request *request, uint64_t position,
		      uint64_t max_size, struct azblob_append_result *result,
		      struct azblob_error *error)
{
	struct azc_answer answer;
	int status;

	if (position != AZBLOB_APPEND_ANYWHERE)
		azc_request_number(request, "x-ms-blob-condition-appendpos", position);
	if (max_size != AZBLOB_APPEND_ANYWHERE)
		azc_request_number(request, "x-ms-blob-condition-maxsize", max_size);
	azc_request_guarded(request, AZC_GUARD_MATCH | AZC_GUARD_POSITION);
	status = azc_perform_alone(conn, request, &answer, error);
	if (!status)
		status = take_append(&answer, result, error);
	azc_answer_reset(&answer);
	return status;
}

int azblob_append_block(azblob_conn *conn, const char *container, const char *blob,
			const void *data, size_t size, uint64_t position, uint64_t max_size,
			const struct azblob_access *given, struct azblob_append_result *result,
			struct azblob_error *error)
{
	struct azblob_access access;
	struct azc_request request;

	if (azc_check_call(container, blob, given, AZC_ACCESS_LEASE, &access, error))
		return -1;
	if (!size || size > AZBLOB_APPEND_MAX)
		return azc_fail(error, AZBLOB_BAD_ARGUMENT,
				"an append of %zu bytes: must be 1 to %u", size, AZBLOB_APPEND_MAX);
	azc_begin_change(&request, "PUT", conn, container, blob, "appendblock", &access);
	request.content_length = size;
	azc_put_carry(&request, conn, data, size, azc_put_sum(conn, data, size));
	return azc_append_finish(conn, &request, position, max_size, result, error);
}

int azblob_append_seal(azblob_conn *conn, const char *container, const char *blob,
		       const struct azblob_access *given, struct azblob_error *error)
{
	struct azblob_access access;
	struct azc_request request;

	if (azc_check_call(container, blob, given, AZC_ACCESS_LEASE, &access, error))
		return -1;
	azc_begin_change(&request, "PUT", conn, container, blob, "seal", &access);
	azc_request_guarded(&request, AZC_GUARD_MATCH);
	return azc_perform_simple(conn, &request, error);
}
