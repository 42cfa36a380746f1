// SPDX-License-Identifier: MIT
/* Handles of large bodies on the link (docs/payload.md). */
#include "transport.h"

#include <string.h>

#define DROP_TIMEOUT_MS 2000u

bool azc_is_handle_lost(const struct azblob_error *error)
{
	return error->http_status == 404 && !strcmp(error->code, "HandleNotFound");
}

void azc_handle_request(struct azc_request *request, const char *method, const char *handle)
{
	azc_request_init(request, method);
	request->sign = false;
	request->repeatable = true;
	azb_buf_printf(&request->path, "/.azblob/%s", handle);
	request->no_memory |= request->path.failed;
}

int azc_take_handle(const struct azc_answer *answer, char *handle, struct azblob_error *error)
{
	const char *text = azc_answer_text(answer, "Azblob-Handle");

	if (strlen(text) != AZC_HANDLE_DIGITS ||
	    strspn(text, "0123456789abcdefABCDEF") != AZC_HANDLE_DIGITS)
		return azc_fail(error, AZBLOB_TRANSPORT,
				"the host's answer makes no sense: its Azblob-Handle");
	memcpy(handle, text, AZC_HANDLE_DIGITS + 1);
	return 0;
}

void azc_drop_handle(azblob_conn *conn, const char *handle)
{
	struct azc_request request;
	struct azc_answer answer;
	struct azc_op op;

	/* An operation of its own: the one that failed may have been cancelled. */
	azc_op_init(&op, conn, NULL, NULL, 0);
	azc_handle_request(&request, "DELETE", handle);
	/*
	 * When this fails, the handle expires by itself: no reason to keep a caller waiting who has
	 * just learned that the host does not answer.
	 */
	request.repeatable = false;
	if (op.timeout_ms > DROP_TIMEOUT_MS)
		op.timeout_ms = DROP_TIMEOUT_MS;
	azc_perform(&op, &request, &answer, NULL);
	azc_answer_reset(&answer);
	azc_request_free(&request);
	azc_op_end(&op);
}
