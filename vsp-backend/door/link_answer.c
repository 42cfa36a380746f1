// SPDX-License-Identifier: MIT
/* Puts answers into the guest's buffers, or into the COMPLETE message. */
#include "link_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../base/buf.h"
#include "../base/crc64.h"
#include "../base/log.h"
#include "azblob/vsp_wire.h"
#include "envelope.h"
#include "link_payload.h"

/* Pieces of one preadv(); the kernel takes 1024. */
#define MAX_PIECES 1024u
#define BODY_PIECES 16u

void link_answer_add(struct link_answer *answer, const char *name, const char *value)
{
	answer->extra[answer->extra_count++] = (struct svc_extra){ name, value };
}

bool link_answer_has_room(const struct link_request *request)
{
	return request->message->data_length && !request->message->data_valid;
}

/* ------------------------------------------------------------------- heads */

static const char *reason(unsigned int status)
{
	switch (status) {
	case 200:
		return "OK";
	case 202:
		return "Accepted";
	case 206:
		return "Partial Content";
	default:
		return "Payload Too Large"; /* 413, the only other of our own */
	}
}

/*
 * Renders the head, or only measures it without @out; the same inputs give the same length,
 * whatever the checksum is.
 */
static size_t render(const struct link_answer *answer, const char *crc, char *out, size_t room)
{
	struct svc_extra extra[sizeof(answer->extra) / sizeof(answer->extra[0]) + 1];
	unsigned int count = answer->extra_count;
	struct azb_buf buf = { 0 };
	size_t length;

	if (answer->text) {
		if (out && answer->text_length <= room)
			memcpy(out, answer->text, answer->text_length);
		return answer->text_length;
	}
	if (answer->envelope)
		return envelope_render(answer->envelope, answer->crc ? crc : "", out, room);
	memcpy(extra, answer->extra, sizeof(answer->extra));
	if (answer->crc)
		extra[count++] = (struct svc_extra){ "Azblob-Crc64", crc };
	if (answer->head)
		return svc_answer_head(answer->head, extra, count, out, room);

	azb_buf_printf(&buf, "HTTP/1.1 %u %s\r\nContent-Length: %llu\r\n", answer->status,
		       reason(answer->status), (unsigned long long)answer->length);
	for (unsigned int i = 0; i < count; i++)
		azb_buf_printf(&buf, "%s: %s\r\n", extra[i].name, extra[i].value);
	azb_buf_puts(&buf, "\r\n");
	length = buf.failed ? SIZE_MAX : buf.length;
	if (out && length <= room)
		memcpy(out, buf.data, length);
	azb_buf_free(&buf);
	return length;
}

/* ----------------------------------------------------------- inline buffers */

static int prepare(struct link_out_block **block, struct iovec *iov, struct link_buffer *buffer,
		   size_t length)
{
	free(*block);
	*block = length ? link_out_block_new(length) : NULL;
	if (length && !*block)
		return -ENOMEM;
	iov->iov_base = length ? (*block)->bytes : NULL;
	iov->iov_len = length;
	*buffer = (struct link_buffer){ iov, length ? 1 : 0, length };
	return 0;
}

/* Makes the memory that a COMPLETE message will carry; nothing to do with shared memory. */
static int make_room(struct link_request *request, size_t response, size_t data)
{
	int error = 0;

	if (!(request->message->header.flags & AZL_REQUEST_INLINE))
		return 0;
	error = prepare(&request->inline_response, &request->inline_iov[0], &request->response,
			response);
	if (!error)
		error = prepare(&request->inline_data, &request->inline_iov[1], &request->data_out,
				data);
	return error;
}

/* -------------------------------------------------------------------- body */

/* Through private memory: the checksum is of the bytes stored, and the guest sees a copy. */
static int move_checked(struct link_request *request, const struct link_answer *answer,
			struct link_cursor *to, uint64_t *crc)
{
	uint64_t done = 0;
	uint8_t *chunk = malloc(LINK_CHUNK);
	int error = chunk ? 0 : -ENOMEM;

	*crc = 0;
	while (!error && done < answer->length) {
		struct iovec iov = { chunk, LINK_CHUNK };
		ssize_t got;

		if (!answer->sure && link_request_stopped(request)) {
			error = -ECANCELED;
			break;
		}
		if (iov.iov_len > answer->length - done)
			iov.iov_len = (size_t)(answer->length - done);
		got = svc_answer_read(answer->body, answer->offset + done, &iov, 1);
		if (got <= 0) {
			error = got ? (int)got : -EIO;
			break;
		}
		*crc = azb_crc64(*crc, chunk, (size_t)got);
		error = link_cursor_write(to, chunk, (size_t)got);
		done += (uint64_t)got;
	}
	free(chunk);
	return error;
}

/* One copy: from the page cache into the guest's pages. */
static int move_file(struct link_request *request, const struct link_answer *answer,
		     uint64_t offset, uint64_t length, struct link_cursor *to)
{
	struct iovec *iov = malloc(MAX_PIECES * sizeof(*iov));
	int error = iov ? 0 : -ENOMEM;

	while (!error && length) {
		struct link_cursor here = *to;
		unsigned int pieces;
		size_t step;
		ssize_t got;

		if (!answer->sure && link_request_stopped(request)) {
			error = -ECANCELED;
			break;
		}
		step = link_cursor_take(&here, length < LINK_STEP ? (size_t)length : LINK_STEP, iov,
					MAX_PIECES, &pieces);
		got = svc_answer_read(answer->body, offset, iov, (int)pieces);
		if (got <= 0) {
			error = got ? (int)got : -EIO;
			break;
		}
		if ((size_t)got < step) /* a short read: go on from where it ended */
			link_cursor_take(to, (size_t)got, iov, MAX_PIECES, &pieces);
		else
			*to = here;
		offset += (uint64_t)got;
		length -= (uint64_t)got;
	}
	free(iov);
	return error;
}

static int move_plain(struct link_request *request, const struct link_answer *answer,
		      struct link_cursor *to)
{
	struct svc_piece pieces[BODY_PIECES];
	uint64_t done = 0;
	int error = 0;

	while (!error && done < answer->length) {
		ssize_t count =
			svc_answer_pieces(answer->body, answer->offset + done, pieces, BODY_PIECES);

		if (count == -EOPNOTSUPP) /* it comes from elsewhere, straight to the guest */
			return move_file(request, answer, answer->offset + done,
					 answer->length - done, to);
		if (count <= 0)
			return count ? (int)count : -EIO;
		for (ssize_t i = 0; i < count && !error && done < answer->length; i++) {
			uint64_t length = pieces[i].length;

			if (length > answer->length - done)
				length = answer->length - done;
			if (pieces[i].fd < 0)
				error = link_cursor_write(to, pieces[i].bytes, (size_t)length);
			else
				error = move_file(request, answer, answer->offset + done, length,
						  to);
			done += length;
		}
	}
	return error;
}

static int move_body(struct link_request *request, const struct link_answer *answer,
		     struct link_cursor *to, uint64_t *crc)
{
	if (answer->text) {
		if (answer->crc)
			*crc = azb_crc64(0, answer->text_body, (size_t)answer->length);
		return link_cursor_write(to, answer->text_body, (size_t)answer->length);
	}
	if (answer->crc)
		return move_checked(request, answer, to, crc);
	return move_plain(request, answer, to);
}

/* ----------------------------------------------------------------- deliver */

void link_answer_too_small(struct link_request *request, uint64_t needed)
{
	struct link_answer answer = { .status = 413 };
	struct link_cursor at;
	char number[24];
	char head[256];
	size_t length;

	snprintf(number, sizeof(number), "%llu", (unsigned long long)needed);
	link_answer_add(&answer, "x-ms-error-code", "BufferTooSmall");
	link_answer_add(&answer, "Azblob-Needed", number);
	length = render(&answer, NULL, head, sizeof(head));

	request->status = VSP_WIRE_STATUS_TOO_SMALL;
	request->response_length = 0;
	request->data_length = 0;
	if (length > sizeof(head) || length > request->message->response_length ||
	    make_room(request, length, 0) < 0)
		return;
	at = link_cursor_at(&request->response, 0);
	if (link_cursor_write(&at, head, length) == 0)
		request->response_length = (uint32_t)length;
}

/* Body first, as its checksum is in the head.  0, -ECANCELED, -EFAULT, or what reading gave. */
static int put(struct link_request *request, const struct link_answer *answer, size_t head_length,
	       bool to_data)
{
	char crc_text[PAYLOAD_CRC_LENGTH + 1] = "";
	struct link_cursor at;
	uint64_t crc = 0;
	char *head;
	int error;

	error = make_room(request, head_length + (to_data ? 0 : (size_t)answer->length),
			  to_data ? (size_t)answer->length : 0);
	if (error)
		return error;
	at = to_data ? link_cursor_at(&request->data_out, 0)
		     : link_cursor_at(&request->response, head_length);
	if (answer->length || answer->crc) {
		error = move_body(request, answer, &at, &crc);
		if (error)
			return error;
	}
	head = malloc(head_length);
	if (!head)
		return -ENOMEM;
	payload_crc_text(crc, crc_text);
	render(answer, crc_text, head, head_length);
	at = link_cursor_at(&request->response, 0);
	error = link_cursor_write(&at, head, head_length);
	free(head);
	if (error)
		return error;
	request->status = VSP_WIRE_STATUS_OK;
	request->response_length = (uint32_t)(head_length + (to_data ? 0 : answer->length));
	request->data_length = to_data ? (uint32_t)answer->length : 0;
	return 0;
}

/* An envelope has no head that could say how much is needed. */
static void too_small(struct link_request *request, const struct link_answer *answer,
		      uint64_t needed)
{
	if (answer->envelope)
		request->status = VSP_WIRE_STATUS_TOO_SMALL;
	else
		link_answer_too_small(request, needed);
}

/* In place of an answer whose body could not be read. */
static void deliver_failure(struct link_request *request, const struct link_answer *answer)
{
	static const char why[] = "The body could not be read.";
	struct svc_answer *failed;
	struct link_answer instead = { .status = 500 };
	struct envelope_answer envelope;

	if (answer->envelope) {
		envelope = *answer->envelope;
		envelope.status = ENVELOPE_REFUSED;
		envelope.http = 500;
		envelope.error = why;
		envelope.read = false;
		instead.envelope = &envelope;
		link_answer_deliver(request, &instead);
		return;
	}
	failed = svc_error(request->conn->door->svc, NULL, 500, "InternalError", why);
	instead = (struct link_answer){ .status = failed->status,
					.head = failed,
					.body = failed,
					.length = failed->body_length };
	link_answer_deliver(request, &instead);
	svc_answer_put(failed);
}

bool link_answer_deliver(struct link_request *request, const struct link_answer *answer)
{
	const struct azl_request *message = request->message;
	bool to_data = answer->status < 400 && link_answer_has_room(request);
	uint64_t in_response = to_data ? 0 : answer->length;
	size_t head_length = render(answer, "AAAAAAAAAAA=", NULL, 0);
	int error;

	request->response_length = 0;
	request->data_length = 0;
	if (to_data && answer->length > message->data_length) {
		too_small(request, answer, answer->length);
		return true;
	}
	if (head_length > message->response_length ||
	    in_response > message->response_length - head_length) {
		too_small(request, answer, head_length + in_response);
		return true;
	}
	error = put(request, answer, head_length, to_data);
	if (!error)
		return true;
	if (error == -ECANCELED) {
		request->status = link_request_stop_status(request);
		return false;
	}
	if (error == -EFAULT || answer->status >= 400 || answer->sure) {
		azb_log(AZB_LOG_ERROR, "link %u: no answer could be given: %s",
			request->conn->number, strerror(-error));
		request->status = VSP_WIRE_STATUS_FAILED;
		return false;
	}
	azb_log(AZB_LOG_ERROR, "link %u: a body could not be read: %s", request->conn->number,
		strerror(-error));
	deliver_failure(request, answer);
	return false;
}
