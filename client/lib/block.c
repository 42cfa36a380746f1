// SPDX-License-Identifier: MIT
/* Put Block and Put Block List, for the caller and for uploads. */
#include "put.h"

#include <string.h>

#include "base/base64.h"
#include "ops.h"

void azc_put_begin_list(struct azb_buf *body)
{
	azb_buf_puts(body, "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<BlockList>");
}

int azc_put_block_list(struct azc_op *op, const char *container, const char *blob,
		       const struct azblob_put_options *options, const struct azb_buf *body,
		       uint64_t size, struct azblob_put_result *result, struct azblob_error *error)
{
	struct azc_request request;

	azc_request_init(&request, "PUT");
	azc_request_path(&request, op->conn, container, blob);
	azc_request_query(&request, "comp", "blocklist");
	azc_put_headers(&request, options);
	azc_request_field(&request, "Content-Type", "application/xml");
	request.has_body = true;
	request.content_length = body->length;
	request.effect = true;
	azc_request_guarded(&request, AZC_GUARD_MATCH | AZC_GUARD_NEW);
	azc_put_carry(&request, op->conn, body->data, body->length,
		      azc_put_sum(op->conn, body->data, body->length));
	return azc_put_finish(op, &request, size, result, error);
}

int azc_check_block_id(const char *id, struct azblob_error *error)
{
	size_t length = id ? strlen(id) : 0;
	uint8_t bytes[64];

	if (length && length <= AZB_BASE64_LENGTH(sizeof(bytes)) &&
	    azb_base64_decode(bytes, sizeof(bytes), id, length) > 0)
		return 0;
	return azc_fail(error, AZBLOB_BAD_ARGUMENT,
			"block id \"%.90s\": must be base64 of 1 to 64 bytes", id ? id : "");
}

int azc_put_block_request(struct azc_request *request, const azblob_conn *conn,
			  const char *container, const char *blob, const char *id, const void *data,
			  size_t size, struct azblob_error *error)
{
	if (azc_check_container(container, error) || azc_check_blob(blob, error) ||
	    azc_check_block_id(id, error))
		return -1;
	if (!size || size > conn->transport->part_max || !data)
		return azc_fail(error, AZBLOB_BAD_ARGUMENT,
				"a block of %zu bytes: must be 1 to %zu", size,
				conn->transport->part_max);
	azc_request_init(request, "PUT");
	azc_request_path(request, conn, container, blob);
	azc_request_query(request, "comp", "block");
	azc_request_query(request, "blockid", id);
	request->has_body = true;
	request->content_length = size;
	request->repeatable = true;
	request->effect = true;
	azc_put_carry(request, conn, data, size, azc_put_sum(conn, data, size));
	return 0;
}

int azblob_put_block(azblob_conn *conn, const char *container, const char *blob, const char *id,
		     const void *data, size_t size, struct azblob_error *error)
{
	return azblob_put_block_leased(conn, container, blob, id, data, size, NULL, error);
}

int azblob_put_block_leased(azblob_conn *conn, const char *container, const char *blob,
			    const char *id, const void *data, size_t size, const char *lease_id,
			    struct azblob_error *error)
{
	struct azc_request request;
	struct azc_answer answer;
	struct azc_op op;
	int status;

	if ((lease_id && azc_check_lease_id(lease_id, error)) ||
	    azc_put_block_request(&request, conn, container, blob, id, data, size, error))
		return -1;
	azc_op_init(&op, conn, NULL, NULL, size);
	azc_request_field(&request, "x-ms-lease-id", lease_id);
	status = azc_perform(&op, &request, &answer, error);
	azc_answer_reset(&answer);
	azc_request_free(&request);
	azc_op_end(&op);
	if (!status)
		azc_error_clear(error);
	return status;
}

/* Which of the blocks of an id is meant. */
static const char *kind_of(const struct azblob_put_options *options, size_t index)
{
	if (!options->committed_blocks)
		return "Latest";
	return index < options->committed_blocks ? "Committed" : "Uncommitted";
}

int azblob_put_block_list(azblob_conn *conn, const char *container, const char *blob,
			  const char *const *ids, size_t count,
			  const struct azblob_put_options *given, struct azblob_put_result *result,
			  struct azblob_error *error)
{
	struct azblob_put_options options;
	struct azblob_access access;
	struct azb_buf body = { 0 };
	struct azc_op op;
	int status;

	if (azc_check_container(container, error) || azc_check_blob(blob, error) ||
	    azc_put_options(given, &options, &access, error))
		return -1;
	if (count > AZC_MAX_BLOCKS)
		return azc_fail(error, AZBLOB_BAD_ARGUMENT, "%zu blocks: at most %u are allowed",
				count, AZC_MAX_BLOCKS);
	if (options.committed_blocks > count)
		return azc_fail(error, AZBLOB_BAD_ARGUMENT,
				"%zu committed blocks: the list has only %zu",
				options.committed_blocks, count);
	azc_put_begin_list(&body);
	for (size_t i = 0; i < count; i++) {
		const char *kind = kind_of(&options, i);

		if (azc_check_block_id(ids[i], error)) {
			azb_buf_free(&body);
			return -1;
		}
		azb_buf_printf(&body, "<%s>%s</%s>", kind, ids[i], kind);
	}
	azb_buf_puts(&body, "</BlockList>");
	if (body.failed) {
		azb_buf_free(&body);
		return azc_fail_memory(error);
	}
	azc_op_init(&op, conn, options.progress, options.progress_context, 0);
	status = azc_put_block_list(&op, container, blob, &options, &body, 0, result, error);
	azc_op_end(&op);
	azb_buf_free(&body);
	if (!status)
		azc_error_clear(error);
	return status;
}
