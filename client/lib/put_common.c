// SPDX-License-Identifier: MIT
#include "put.h"

#include <stdio.h>
#include <string.h>

static int check_metadata(const struct azblob_put_options *options, struct azblob_error *error)
{
	for (size_t i = 0; i < options->metadata_count; i++) {
		const struct azblob_pair *pair = &options->metadata[i];
		size_t length = pair->name ? strlen(pair->name) : 0;

		if (!length ||
		    strspn(pair->name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				       "0123456789_") != length ||
		    (pair->name[0] >= '0' && pair->name[0] <= '9'))
			return azc_fail(error, AZBLOB_BAD_ARGUMENT,
					"metadata name \"%.60s\": must be letters, digits and '_', "
					"and not start with a digit",
					pair->name ? pair->name : "");
		if (azc_check_header(pair->value, "the metadata value", error))
			return -1;
	}
	return 0;
}

int azc_put_options(const struct azblob_put_options *given, struct azblob_put_options *options,
		    struct azblob_error *error)
{
	memset(options, 0, sizeof(*options));
	if (given && azc_copy_options(options, sizeof(*options), given, given->struct_size))
		return azc_fail(error, AZBLOB_BAD_ARGUMENT,
				"the put options hold something that this library does not know");
	if (azc_check_header(options->content_type, "the content type", error) ||
	    azc_check_header(options->if_match, "if_match", error) ||
	    azc_check_header(options->if_none_match, "if_none_match", error))
		return -1;
	return check_metadata(options, error);
}

void azc_put_headers(struct azc_request *request, const struct azblob_put_options *options)
{
	azc_request_field(request, "x-ms-blob-content-type",
			  options->content_type ? options->content_type
						: "application/octet-stream");
	azc_request_field(request, "If-Match", options->if_match);
	azc_request_field(request, "If-None-Match", options->if_none_match);
	for (size_t i = 0; i < options->metadata_count; i++) {
		struct azb_buf name = { 0 };

		azb_buf_printf(&name, "x-ms-meta-%s", options->metadata[i].name);
		if (name.failed)
			request->no_memory = true;
		else
			azc_request_field(request, name.data, options->metadata[i].value);
		azb_buf_free(&name);
	}
}

void azc_put_carry(struct azc_request *request, const azblob_conn *conn, const void *data,
		   size_t length, uint64_t crc)
{
	request->body = data;
	request->body_length = length;
	if (length)
		azc_request_field_crc(request,
				      conn->transport->link ? "Azblob-Crc64" : "x-ms-content-crc64",
				      crc);
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
