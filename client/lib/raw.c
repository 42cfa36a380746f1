// SPDX-License-Identifier: MIT
/* Raw requests: the caller's three buffers as they are. */
#include "driver.h"

#include <errno.h>
#include <string.h>

#include "azblob/vsp_wire.h"

static const struct azblob_raw_request no_request;

static int check_lengths(const struct azblob_raw_request *raw, struct azblob_error *error)
{
	if (!raw->head || !raw->head_length)
		return azc_fail(error, AZBLOB_BAD_ARGUMENT, "the request has no head");
	if (!raw->answer || !raw->answer_room)
		return azc_fail(error, AZBLOB_BAD_ARGUMENT, "there is no room for an answer");
	if (raw->data_length && !raw->data)
		return azc_fail(error, AZBLOB_BAD_ARGUMENT, "there is no data");
	if (raw->data_valid > raw->data_length)
		return azc_fail(error, AZBLOB_BAD_ARGUMENT,
				"%zu of %zu bytes of data can't be valid", raw->data_valid,
				raw->data_length);
	/* The driver says it exactly, by the pages; here it is about what its fields hold. */
	if (raw->head_length > UINT32_MAX || raw->answer_room > UINT32_MAX ||
	    raw->data_length > UINT32_MAX) {
		azc_fail_errno(error, AZBLOB_BAD_ARGUMENT, EMSGSIZE, "the request's buffers");
		return -1;
	}
	return 0;
}

int azc_raw_begin(const azblob_conn *conn, const struct azblob_raw_request *given,
		  struct az_blob_request *wire, struct azblob_error *error)
{
	struct azblob_raw_request raw;

	if (!azc_driver_device(conn))
		return azc_fail_errno(error, AZBLOB_TRANSPORT, EOPNOTSUPP,
				      "raw requests need the driver");
	if (azc_copy_options(&raw, sizeof(raw), given, given->struct_size))
		return azc_fail(error, AZBLOB_BAD_ARGUMENT,
				"the raw request holds something that this library does not know");
	if (check_lengths(&raw, error))
		return -1;
	memset(wire, 0, sizeof(*wire));
	if (memcmp(raw.guid, no_request.guid, sizeof(raw.guid)))
		memcpy(wire->guid, raw.guid, sizeof(wire->guid));
	else
		azc_driver_guid(conn, wire->guid);
	wire->timeout = raw.timeout_ms ? raw.timeout_ms : conn->timeout_ms;
	if (raw.timeout_ms == AZBLOB_TIMEOUT_NEVER)
		wire->timeout = 0;
	wire->request_len = (uint32_t)raw.head_length;
	wire->request_buffer = (uintptr_t)raw.head;
	wire->response_len = (uint32_t)raw.answer_room;
	wire->response_buffer = (uintptr_t)raw.answer;
	wire->data_len = (uint32_t)raw.data_length;
	wire->data_valid = (uint32_t)raw.data_valid;
	wire->data_buffer = (uintptr_t)raw.data;
	return 0;
}

static int driver_failed(int sys_errno, struct azblob_error *error)
{
	switch (sys_errno) {
	case EINVAL:
	case EMSGSIZE:
	case EFAULT:
	case ENOTTY:
		return azc_fail_errno(error, AZBLOB_BAD_ARGUMENT, sys_errno, "the driver");
	case ENOMEM:
	case EAGAIN:
		return azc_fail_errno(error, AZBLOB_RESOURCES, sys_errno, "the driver");
	case ENODEV:
		azc_fail_errno(error, AZBLOB_TRANSPORT, sys_errno, "the device went away");
		break;
	default:
		azc_fail_errno(error, AZBLOB_TRANSPORT, sys_errno, "the driver");
		break;
	}
	if (error)
		error->outcome_unknown = 1;
	return -1;
}

static int host_failed(uint32_t status, struct azblob_error *error)
{
	enum azc_failure failure;
	const char *text = azc_link_text(status, &failure);

	azc_fail(error, failure == AZC_SENT_NOTHING ? AZBLOB_RESOURCES : AZBLOB_TRANSPORT,
		 "%s (status 0x%08x)", text, status);
	if (error) {
		error->link_status = status;
		error->outcome_unknown = failure == AZC_UNKNOWN;
	}
	return -1;
}

int azc_raw_submit(struct azc_op *op, struct az_blob_request *wire)
{
	struct azc_sent sent;
	int result;

	memcpy(sent.guid, wire->guid, sizeof(sent.guid));
	if (!azc_op_begin_try(op, &sent))
		return -ECANCELED;
	result = azc_driver_submit(op->conn, wire);
	azc_op_end_try(op, &sent);
	return result;
}

int azc_raw_end(const struct az_blob_request *wire, int sys_result, bool unsent, bool cancelled,
		struct azblob_raw_result *result, struct azblob_error *error)
{
	memset(result, 0, sizeof(*result));
	if (sys_result == -ECANCELED && unsent)
		return azc_fail(error, AZBLOB_CANCELLED, "cancelled");
	if (sys_result)
		return driver_failed(-sys_result, error);
	result->answered = 1;
	result->status = wire->response.status;
	/* The driver has looked already; a length is worth a second look. */
	result->answer_length = wire->response.response_len < wire->response_len
					? wire->response.response_len
					: wire->response_len;
	if (result->status) {
		host_failed(result->status, error);
		if (error && cancelled && result->status == VSP_WIRE_STATUS_CANCELLED)
			error->kind = AZBLOB_CANCELLED;
		return -1;
	}
	azc_error_clear(error);
	return 0;
}

int azblob_request(azblob_conn *conn, const struct azblob_raw_request *request,
		   struct azblob_raw_result *result, struct azblob_error *error)
{
	struct azblob_raw_result mine;
	struct az_blob_request wire;
	struct azc_op op;
	int status;

	if (result)
		memset(result, 0, sizeof(*result));
	if (azc_raw_begin(conn, request, &wire, error))
		return -1;
	azc_op_init(&op, conn, NULL, NULL, 0);
	status = azc_raw_submit(&op, &wire);
	status = azc_raw_end(&wire, status, true, azc_op_cancelled(&op), &mine, error);
	azc_op_end(&op);
	if (result)
		*result = mine;
	return status;
}
