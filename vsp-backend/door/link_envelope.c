// SPDX-License-Identifier: MIT
/*
 * Requests in the connector library's envelope: open, read, close.
 *
 * An open is a Get Blob whose body stays with the backend as a handle of the link, the same
 * as those of docs/payload.md; a read moves a part of it to the data buffer.  Whatever happens,
 * the answer is an envelope, so that the library finds the reason where it looks.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "azblob/vsp_wire.h"
#include "envelope.h"
#include "head.h"
#include "link_internal.h"
#include "link_payload.h"

struct call {
	struct link_request *request;
	struct envelope envelope;
	struct envelope_answer answer;
	char error[256];
};

/* Sends call->answer; with @length bytes of @body in the data buffer. */
static bool deliver(struct call *call, const struct svc_answer *body, uint64_t offset,
		    uint64_t length, bool crc)
{
	struct link_answer answer = { .status = call->answer.http,
				      .envelope = &call->answer,
				      .body = body,
				      .offset = offset,
				      .length = length,
				      .crc = crc };

	/* Once: the answer is rendered twice, and has to be of one length. */
	call->answer.elapsed_ms = (link_now_ns() - call->request->began_ns) / 1000000u;
	return link_answer_deliver(call->request, &answer);
}

static void refuse(struct call *call, int status, unsigned int http)
{
	call->answer.status = status;
	call->answer.http = http;
	call->answer.error = call->error;
	deliver(call, NULL, 0, 0, false);
}

static void __attribute__((format(printf, 3, 4)))
refuse_with(struct call *call, unsigned int http, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(call->error, sizeof(call->error), format, args);
	va_end(args);
	refuse(call, ENVELOPE_REFUSED, http);
}

/* ---------------------------------------------------------------------- open */

static void keep_open(struct call *call, struct svc_answer *answer)
{
	struct link_conn *conn = call->request->conn;
	char id[HANDLE_ID_LENGTH + 1];
	int error;

	error = handle_add_download(conn->door->handles, conn->hello.session,
				    svc_answer_get(answer), id);
	if (error) {
		svc_answer_put(answer); /* the handle's */
		refuse_with(call, error == -EMFILE ? 503 : 500, "%s",
			    error == -EMFILE ? "ServerBusy: this device has too many handles open."
					     : "InternalError: no handle could be made.");
		return;
	}
	call->answer.status = ENVELOPE_OK;
	call->answer.handle = id;
	call->answer.content_length = answer->body_length;
	call->answer.etag = svc_answer_header(answer, "ETag");
	if (!deliver(call, NULL, 0, 0, false))
		handle_forget(conn->door->handles, conn->hello.session, id, HANDLE_ID_LENGTH);
	call->answer.handle = NULL;
}

static void open_head(struct call *call, const struct head *head)
{
	struct link_conn *conn = call->request->conn;
	struct svc_caller caller = {
		.link = true, .secure = true, .peer = "link", .address = conn->door->config.address
	};
	struct svc_answer *answer = NULL;
	struct svc_upload *upload = NULL;
	struct payload payload;
	struct payload_error error = payload_parse(head, 0, &payload);

	if (error.status) {
		refuse_with(call, error.status, "%s: %s", error.code, error.message);
		return;
	}
	if (payload.what != PAYLOAD_BLOB || payload.open || payload.crc_wanted ||
	    payload.crc_given) {
		refuse_with(call, 400,
			    "InvalidInput: only a blob can be opened, and "
			    "without Azblob- headers.");
		return;
	}
	if (svc_start(conn->door->svc, head, &caller, &answer, &upload) == SVC_BODY) {
		/* Not for a GET; a service that thinks otherwise is not to be trusted with it. */
		svc_abort(upload);
		refuse_with(call, 500, "InternalError: the operation wants a body.");
		return;
	}
	call->answer.http = answer->status;
	call->answer.request_id = svc_answer_header(answer, "x-ms-request-id");
	call->answer.version = svc_answer_header(answer, "x-ms-version");
	if (answer->status < 300) {
		keep_open(call, answer);
	} else {
		const char *code = svc_answer_header(answer, "x-ms-error-code");

		refuse_with(call, answer->status, "%s",
			    code ? code : "The blob service has no error code for this.");
	}
	svc_answer_put(answer);
}

static void open_blob(struct call *call)
{
	struct azb_buf text = { 0 };
	struct head_parser *parser = head_parser_new();
	const char *reason;
	size_t taken = 0;
	int error;

	error = parser ? envelope_head(&call->envelope, &text, call->error, sizeof(call->error))
		       : -ENOMEM;
	if (error == -ENOMEM) {
		call->request->status = VSP_WIRE_STATUS_NO_RESOURCES;
	} else if (error) {
		refuse(call, ENVELOPE_BAD_REQUEST, 400);
	} else if (head_parser_feed(parser, text.data, text.length, &taken) != HEAD_DONE ||
		   taken != text.length) {
		int http = head_parser_error(parser, &reason);

		snprintf(call->error, sizeof(call->error), "%s", reason);
		refuse(call, ENVELOPE_BAD_REQUEST, http > 0 ? (unsigned int)http : 400);
	} else {
		open_head(call, head_parser_head(parser));
	}
	head_parser_free(parser);
	azb_buf_free(&text);
}

/* --------------------------------------------------------------- read, close */

static void no_handle(struct call *call)
{
	refuse_with(call, 404,
		    "HandleNotFound: this device has no such handle; it may have expired.");
}

static void read_part(struct call *call, const struct svc_answer *body)
{
	const struct azl_request *message = call->request->message;
	uint64_t left, length = call->envelope.length;

	if (call->envelope.offset > body->body_length) {
		refuse_with(call, 416, "InvalidRange: the blob has %llu bytes.",
			    (unsigned long long)body->body_length);
		return;
	}
	if (length && !link_answer_has_room(call->request)) {
		refuse_with(call, 400,
			    "InvalidInput: a read needs a data buffer with nothing "
			    "valid in it (data_valid 0).");
		return;
	}
	if (length > message->data_length) {
		refuse_with(call, 413, "BufferTooSmall: %llu bytes asked for, room for %u.",
			    (unsigned long long)length, message->data_length);
		return;
	}
	left = body->body_length - call->envelope.offset;
	if (length > left)
		length = left;
	call->answer.status = ENVELOPE_OK;
	call->answer.http = 206;
	call->answer.read = true;
	call->answer.bytes_read = length;
	deliver(call, body, call->envelope.offset, length, call->envelope.crc);
}

static void read_blob(struct call *call)
{
	struct link_conn *conn = call->request->conn;
	struct handle *handle =
		handle_get(conn->door->handles, conn->hello.session, HANDLE_DOWNLOAD,
			   call->envelope.handle, strlen(call->envelope.handle));

	if (handle)
		read_part(call, handle_answer(handle));
	else
		no_handle(call);
	handle_put(handle);
}

static void close_blob(struct call *call)
{
	struct link_conn *conn = call->request->conn;
	/* Sent again, it may be gone because the first time did it. */
	bool resent = call->request->message->header.flags & AZL_REQUEST_RESENT;

	if (handle_forget(conn->door->handles, conn->hello.session, call->envelope.handle,
			  strlen(call->envelope.handle)) ||
	    resent) {
		call->answer.status = ENVELOPE_OK;
		call->answer.http = 202;
		deliver(call, NULL, 0, 0, false);
	} else {
		no_handle(call);
	}
}

/* ---------------------------------------------------------------------- all */

static void serve(struct call *call)
{
	switch (call->envelope.method) {
	case ENVELOPE_OPEN:
		open_blob(call);
		break;
	case ENVELOPE_READ:
		read_blob(call);
		break;
	default: /* envelope_parse() lets no other through */
		close_blob(call);
		break;
	}
}

bool link_envelope_run(struct link_request *request)
{
	const struct azl_request *message = request->message;
	struct call call = { .request = request };
	int error;

	if (!envelope_is(request->parts.head, message->head_length))
		return false;
	error = envelope_parse(request->parts.head, message->head_length, &call.envelope,
			       call.error, sizeof(call.error));
	call.answer.method = call.envelope.method;
	call.answer.client_id = call.envelope.client_id;
	if (message->response_length < LINK_MIN_RESPONSE) {
		refuse_with(&call, 413, "BufferTooSmall: the response buffer needs %u bytes.",
			    LINK_MIN_RESPONSE);
		request->status = VSP_WIRE_STATUS_TOO_SMALL;
	} else if (error == -ENOMEM) {
		request->status = VSP_WIRE_STATUS_NO_RESOURCES;
	} else if (error) {
		refuse(&call, ENVELOPE_BAD_REQUEST, 400);
	} else {
		serve(&call);
	}
	envelope_free(&call.envelope);
	return true;
}
