// SPDX-License-Identifier: MIT
#include "put.h"

#include <stdio.h>
#include <string.h>

#include "base/crc64.h"
#include "ops.h"

int azc_put_options(const struct azblob_put_options *given, struct azblob_put_options *options,
		    struct azblob_access *access, struct azblob_error *error)
{
	memset(options, 0, sizeof(*options));
	if (given && azc_copy_options(options, sizeof(*options), given, given->struct_size))
		return azc_fail(error, AZBLOB_BAD_ARGUMENT,
				"the put options hold something that this library does not know");
	if (azc_check_header(options->content_type, "the content type", error) ||
	    azc_check_condition(options->if_match, "if_match", error) ||
	    azc_check_condition(options->if_none_match, "if_none_match", error) ||
	    azc_check_header(options->content_encoding, "the content encoding", error) ||
	    azc_check_header(options->content_language, "the content language", error) ||
	    azc_check_header(options->content_disposition, "the content disposition", error) ||
	    azc_check_header(options->content_md5, "the MD5", error) ||
	    azc_check_header(options->cache_control, "the cache control", error) ||
	    (options->tier && azc_check_tier(options->tier, error)) ||
	    azc_check_tags(options->tags, options->tag_count, error) ||
	    azc_access_take(options->access, AZC_ACCESS_LEASE, access, error))
		return -1;
	options->access = access;
	return azc_check_metadata(options->metadata, options->metadata_count, error);
}

void azc_put_headers(struct azc_request *request, const struct azblob_put_options *options)
{
	azc_request_field(request, "x-ms-blob-content-type",
			  options->content_type ? options->content_type
						: "application/octet-stream");
	azc_request_field(request, "x-ms-blob-content-md5", options->content_md5);
	azc_request_field(request, "x-ms-blob-content-encoding", options->content_encoding);
	azc_request_field(request, "x-ms-blob-content-language", options->content_language);
	azc_request_field(request, "x-ms-blob-content-disposition", options->content_disposition);
	azc_request_field(request, "x-ms-blob-cache-control", options->cache_control);
	azc_request_field(request, "x-ms-access-tier", options->tier);
	azc_access_apply(request, options->access);
	azc_request_field(request, "If-Match", options->if_match);
	azc_request_field(request, "If-None-Match", options->if_none_match);
	azc_request_tags(request, options->tags, options->tag_count);
	azc_request_metadata(request, options->metadata, options->metadata_count);
}

uint64_t azc_put_sum(const azblob_conn *conn, const void *data, size_t length)
{
	return conn->no_checksums ? 0 : azb_crc64(0, data, length);
}

void azc_put_carry(struct azc_request *request, const azblob_conn *conn, const void *data,
		   size_t length, uint64_t crc)
{
	request->body = data;
	request->body_length = length;
	if (length && !conn->no_checksums)
		azc_request_field_crc(request,
				      conn->transport->link ? "Azblob-Crc64" : "x-ms-content-crc64",
				      crc);
}

void azc_put_document(struct azc_request *request, const azblob_conn *conn, const void *data,
		      size_t length)
{
	request->content_length = length;
	if (conn->transport->link) {
		azc_put_carry(request, conn, data, length, azc_put_sum(conn, data, length));
		return;
	}
	request->body = data;
	request->body_length = length;
}

static void take_result(struct azblob_put_result *result, const struct azc_answer *answer,
			struct azc_op *op, uint64_t size)
{
	if (!result)
		return;
	memset(result, 0, sizeof(*result));
	snprintf(result->etag, sizeof(result->etag), "%s", azc_answer_text(answer, "ETag"));
	snprintf(result->last_modified, sizeof(result->last_modified), "%s",
		 azc_answer_text(answer, "Last-Modified"));
	result->size = size;
	result->requests = op->requests;
	result->retries = op->retries;
}

/* Performs and forgets the request. */
int azc_put_finish(struct azc_op *op, struct azc_request *request, uint64_t size,
		   struct azblob_put_result *result, struct azblob_error *error)
{
	struct azc_answer answer;
	int status = azc_perform(op, request, &answer, error);

	if (!status)
		take_result(result, &answer, op, size);
	azc_answer_reset(&answer);
	azc_request_free(request);
	return status;
}
