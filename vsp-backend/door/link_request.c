// SPDX-License-Identifier: MIT
/* One request of the guest, on a worker thread. */
#include "link_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../base/log.h"
#include "../base/stop.h"
#include "azblob/vsp_wire.h"
#include "head.h"
#include "link_payload.h"

/* stop_status() of a request that ends because its link does: no COMPLETE. */
#define STATUS_NONE UINT32_MAX

uint64_t link_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* --------------------------------------------------------------- life, stop */

/* Pieces of one use, as an iovec; marks their regions. */
static void fill_buffer(struct link_request *request, struct link_buffer *buffer,
			const struct azl_segment *segments, uint32_t count, struct iovec *iov,
			bool seen[AZL_MAX_REGIONS])
{
	struct link_region *const *regions = request->conn->regions;

	*buffer = (struct link_buffer){ iov, count, 0 };
	for (uint32_t i = 0; i < count; i++) {
		struct link_region *region = regions[segments[i].region];

		iov[i].iov_base = region->base + segments[i].offset;
		iov[i].iov_len = segments[i].length;
		buffer->length += segments[i].length;
		if (!seen[region->id]) {
			seen[region->id] = true;
			request->regions[request->region_count++] = region;
		}
	}
}

static bool make_buffers(struct link_request *request)
{
	const struct link_parts *parts = &request->parts;
	const struct azl_request *message = request->message;
	bool seen[AZL_MAX_REGIONS] = { false };
	uint32_t count = message->segment_count;
	uint32_t regions = count < AZL_MAX_REGIONS ? count : AZL_MAX_REGIONS;
	const struct azl_segment *segment = parts->segments;
	struct iovec *iov;

	if (message->header.flags & AZL_REQUEST_INLINE) {
		request->iov = malloc(sizeof(*iov));
		if (!request->iov)
			return false;
		/* Only ever read; an iovec has no const. */
		request->iov->iov_base = (void *)(uintptr_t)parts->body;
		request->iov->iov_len = message->data_valid;
		request->data_in = (struct link_buffer){ request->iov, message->data_valid ? 1 : 0,
							 message->data_valid };
		return true;
	}
	if (!count)
		return true;
	request->iov = malloc(count * sizeof(*iov));
	request->regions = malloc(regions * sizeof(struct link_region *));
	if (!request->iov || !request->regions)
		return false;
	iov = request->iov;
	fill_buffer(request, &request->data_in, segment, parts->in_count, iov, seen);
	iov += parts->in_count;
	segment += parts->in_count;
	fill_buffer(request, &request->data_out, segment, parts->out_count, iov, seen);
	iov += parts->out_count;
	segment += parts->out_count;
	fill_buffer(request, &request->response, segment, parts->response_count, iov, seen);
	return true;
}

static void destroy(struct link_request *request)
{
	free(request->regions);
	free(request->iov);
	free(request->inline_response);
	free(request->inline_data);
	free(request->message);
	free(request);
}

struct link_request *link_request_new(struct link_conn *conn, struct azl_request *message,
				      const struct link_parts *parts)
{
	struct link_request *request = calloc(1, sizeof(*request));

	if (!request)
		return NULL;
	request->conn = conn;
	request->message = message;
	request->parts = *parts;
	atomic_init(&request->users, 1);
	atomic_init(&request->state, REQUEST_QUEUED);
	request->began_ns = link_now_ns();
	if (message->timeout_ms)
		request->deadline_ns = request->began_ns + message->timeout_ms * 1000000ull;
	if (!make_buffers(request)) {
		request->message = NULL; /* still the caller's */
		destroy(request);
		return NULL;
	}
	request->held = sizeof(*request) + message->header.length +
			message->segment_count * sizeof(struct iovec);
	/* The answer of an inline request is memory too, until the emulator has read it. */
	if (message->header.flags & AZL_REQUEST_INLINE)
		request->held +=
			message->response_length + (message->data_valid ? 0 : message->data_length);
	return request;
}

void link_request_put(struct link_request *request)
{
	struct link_conn *conn = request->conn;
	size_t held;

	if (atomic_fetch_sub(&request->users, 1) != 1)
		return;
	held = request->held;
	destroy(request);
	link_conn_job_done(conn, held);
}

bool link_request_stopped(void *argument)
{
	struct link_request *request = argument;

	return atomic_load(&request->stop) || atomic_load(&request->conn->stop) ||
	       (request->deadline_ns && link_now_ns() >= request->deadline_ns);
}

uint32_t link_request_stop_status(struct link_request *request)
{
	unsigned int stop = atomic_load(&request->stop);

	if (stop & STOP_TIMEOUT)
		return VSP_WIRE_STATUS_TIMEOUT;
	if (stop & STOP_CANCEL)
		return VSP_WIRE_STATUS_CANCELLED;
	if (atomic_load(&request->conn->stop))
		return STATUS_NONE;
	return VSP_WIRE_STATUS_TIMEOUT;
}

/* Was a page of its memory lost?  Then what was read from there is not what the guest sent. */
static bool is_broken(const struct link_request *request)
{
	for (unsigned int i = 0; i < request->region_count; i++) {
		if (atomic_load(&request->regions[i]->broken))
			return true;
	}
	return false;
}

/* ------------------------------------------------------------------ answers */

/* An answer of the service as it is. */
static void answer_with(struct link_request *request, const struct payload *payload,
			struct svc_answer *answer, bool sure)
{
	struct link_answer whole = { .status = answer->status,
				     .head = answer,
				     .body = answer,
				     .length = answer->body_length,
				     .crc = payload && payload->crc_wanted && answer->body_length,
				     .sure = sure };

	link_answer_deliver(request, &whole);
	svc_answer_put(answer);
}

static void answer_error(struct link_request *request, const struct head *head, unsigned int status,
			 const char *code, const char *message)
{
	answer_with(request, NULL, svc_error(request->conn->door->svc, head, status, code, message),
		    false);
}

static void answer_no_handle(struct link_request *request, const struct head *head)
{
	answer_error(request, head, 404, "HandleNotFound",
		     "This device has no such handle; it may have expired.");
}

static void answer_stopped(struct link_request *request)
{
	request->status = link_request_stop_status(request);
	request->response_length = 0;
	request->data_length = 0;
}

static void answer_own(struct link_request *request, unsigned int status)
{
	struct link_answer own = { .status = status };

	link_answer_deliver(request, &own);
}

/* ------------------------------------------------------------------ uploads */

/* The bytes of the data buffer; shared memory is read once, by the store. */
static int bring_part(struct link_request *request, const struct payload *payload,
		      struct svc_upload *upload, uint64_t offset)
{
	bool is_inline = request->message->header.flags & AZL_REQUEST_INLINE;

	return svc_write(upload, offset, request->data_in.iov, (int)request->data_in.count,
			 is_inline ? SVC_WRITE_PRIVATE : 0,
			 payload->crc_given ? &payload->crc : NULL, NULL);
}

/* The answer for what bring_part() returned. */
static void answer_part_error(struct link_request *request, const struct head *head,
			      struct svc_upload *upload, int error)
{
	/* The same code whether the data buffer had bytes or not. */
	if (error == -EBADMSG)
		answer_error(request, head, 400, "Crc64Mismatch",
			     "The bytes received do not have the checksum in Azblob-Crc64.");
	else
		answer_with(request, NULL, svc_upload_fail(upload, error), false);
}

static void handle_headers(struct link_request *request, struct link_answer *answer, const char *id,
			   char expires[24])
{
	uint64_t idle_ms = handles_idle_ms(request->conn->door->handles);

	/* Rounded down, but never to nothing: who comes within that time is in time. */
	snprintf(expires, 24, "%llu", (unsigned long long)(idle_ms < 1000 ? 1 : idle_ms / 1000));
	link_answer_add(answer, "Azblob-Handle", id);
	link_answer_add(answer, "Azblob-Expires", expires);
}

static void answer_handle_failed(struct link_request *request, const struct head *head, int error)
{
	if (error == -EMFILE)
		answer_error(request, head, 503, "ServerBusy",
			     "This device has too many handles open.");
	else
		answer_error(request, head, 500, "InternalError", "No handle could be made.");
}

static void open_upload(struct link_request *request, const struct head *head,
			const struct payload *payload, struct svc_upload *upload)
{
	struct link_answer answer = { .status = 202 };
	struct link_conn *conn = request->conn;
	char id[HANDLE_ID_LENGTH + 1];
	char expires[24];
	int error = 0;

	if (request->message->data_valid)
		error = bring_part(request, payload, upload, 0);
	if (error) {
		answer_part_error(request, head, upload, error);
		svc_abort(upload);
		return;
	}
	error = handle_add_upload(conn->door->handles, conn->hello.session, upload, id);
	if (error) {
		svc_abort(upload);
		answer_handle_failed(request, head, error);
		return;
	}
	handle_headers(request, &answer, id, expires);
	if (!link_answer_deliver(request, &answer))
		handle_forget(conn->door->handles, conn->hello.session, id, HANDLE_ID_LENGTH);
}

static void whole_upload(struct link_request *request, const struct head *head,
			 const struct payload *payload, const struct svc_caller *caller,
			 struct svc_upload *upload)
{
	struct svc_answer *answer;
	int error = 0;

	if (svc_upload_length(upload) != request->message->data_valid) {
		svc_abort(upload);
		answer_error(request, head, 400, "IncompleteBody",
			     "The data buffer does not hold the whole body.");
		return;
	}
	if (request->message->data_valid)
		error = bring_part(request, payload, upload, 0);
	if (error) {
		answer_part_error(request, head, upload, error);
		svc_abort(upload);
		return;
	}
	/* Nothing has happened yet, and after the next step everything has. */
	if (link_request_stopped(request) || is_broken(request)) {
		svc_abort(upload);
		answer_stopped(request);
		return;
	}
	if (svc_finish(upload, caller, &answer) < 0) {
		svc_abort(upload);
		request->status = VSP_WIRE_STATUS_FAILED;
		return;
	}
	request->ack = caller->session && answer->replayable;
	answer_with(request, payload, answer, true);
}

/* ---------------------------------------------------------------- downloads */

static void open_download(struct link_request *request, const struct head *head,
			  const struct payload *payload, struct svc_answer *answer)
{
	struct link_conn *conn = request->conn;
	uint64_t room = link_answer_has_room(request) ? request->message->data_length : 0;
	uint64_t sent = room < answer->body_length ? room : answer->body_length;
	struct link_answer first = { .status = answer->status,
				     .head = answer,
				     .body = answer,
				     .length = sent,
				     .crc = payload->crc_wanted };
	bool more = sent < answer->body_length;
	char id[HANDLE_ID_LENGTH + 1];
	char expires[24], number[24];
	int error;

	snprintf(number, sizeof(number), "%llu", (unsigned long long)sent);
	link_answer_add(&first, "Azblob-Sent", number);
	if (more) {
		error = handle_add_download(conn->door->handles, conn->hello.session,
					    svc_answer_get(answer), id);
		if (error) {
			svc_answer_put(answer); /* the handle's */
			svc_answer_put(answer);
			answer_handle_failed(request, head, error);
			return;
		}
		handle_headers(request, &first, id, expires);
	}
	if (!link_answer_deliver(request, &first) && more)
		handle_forget(conn->door->handles, conn->hello.session, id, HANDLE_ID_LENGTH);
	svc_answer_put(answer);
}

static void read_handle(struct link_request *request, const struct head *head,
			const struct payload *payload)
{
	struct link_conn *conn = request->conn;
	struct handle *handle =
		handle_get(conn->door->handles, conn->hello.session, HANDLE_DOWNLOAD,
			   payload->handle.at, payload->handle.length);
	struct link_answer part = { .status = 206,
				    .offset = payload->offset,
				    .length = payload->length,
				    .crc = payload->crc_wanted };

	if (!handle) {
		answer_no_handle(request, head);
		return;
	}
	part.body = handle_answer(handle);
	if (!payload->length || payload->offset > part.body->body_length ||
	    payload->length > part.body->body_length - payload->offset)
		answer_error(request, head, 416, "InvalidRange",
			     "The read lies outside of the body.");
	else
		link_answer_deliver(request, &part);
	handle_put(handle);
}

/* ------------------------------------------------------------------ handles */

static void part_of_handle(struct link_request *request, const struct head *head,
			   const struct payload *payload)
{
	struct link_conn *conn = request->conn;
	struct handle *handle = handle_get(conn->door->handles, conn->hello.session, HANDLE_UPLOAD,
					   payload->handle.at, payload->handle.length);
	struct svc_upload *upload;
	int error;

	if (!handle) {
		answer_no_handle(request, head);
		return;
	}
	upload = handle_part_enter(handle);
	if (upload) {
		error = bring_part(request, payload, upload, payload->offset);
		if (error)
			answer_part_error(request, head, upload, error);
		handle_part_leave(handle);
		if (!error)
			answer_own(request, 202);
	} else {
		answer_error(request, head, 409, "HandleCommitted",
			     "The handle has been committed and takes no more parts.");
	}
	handle_put(handle);
}

static void commit_handle(struct link_request *request, const struct head *head,
			  const struct payload *payload, const struct svc_caller *caller)
{
	struct link_conn *conn = request->conn;
	struct handle *handle = handle_get(conn->door->handles, conn->hello.session, HANDLE_UPLOAD,
					   payload->handle.at, payload->handle.length);
	struct svc_answer *answer;
	int error;

	if (!handle) {
		answer_no_handle(request, head);
		return;
	}
	error = handle_commit(handle, caller, link_request_stopped, request, &answer);
	handle_put(handle);
	if (error == -ECANCELED) {
		answer_stopped(request);
	} else if (error) {
		answer_error(request, head, 400, "IncompleteBody",
			     "Bytes of the body are missing, or a part is under way.");
	} else {
		request->ack = caller->session && answer->replayable;
		answer_with(request, payload, answer, true);
	}
}

static void forget_handle(struct link_request *request, const struct head *head,
			  const struct payload *payload)
{
	struct link_conn *conn = request->conn;
	bool resent = request->message->header.flags & AZL_REQUEST_RESENT;

	/* Sent again, it may be gone because the first time did it. */
	if (handle_forget(conn->door->handles, conn->hello.session, payload->handle.at,
			  payload->handle.length) ||
	    resent)
		answer_own(request, 202);
	else
		answer_no_handle(request, head);
}

/* ----------------------------------------------------------------- requests */

static void probe(struct link_request *request)
{
	struct link_answer answer = { .status = 200 };
	char part_max[24];

	snprintf(part_max, sizeof(part_max), "%u", AZL_MAX_BODY);
	link_answer_add(&answer, "Azblob-Server", "azblob-vspd/" AZBLOB_VERSION);
	link_answer_add(&answer, "Azblob-Payload", "1");
	link_answer_add(&answer, "Azblob-Part-Max", part_max);
	link_answer_deliver(request, &answer);
}

static void blob_request(struct link_request *request, const struct head *head,
			 const struct payload *payload, struct svc_caller *caller)
{
	bool get = head_str_is(&head->method, "GET");
	bool reads = get || head_str_is(&head->method, "HEAD");
	bool open = payload->open && get;
	struct svc_answer *answer = NULL;
	struct svc_upload *upload = NULL;

	if (!open)
		caller->body_room = link_answer_has_room(request)
					    ? request->message->data_length
					    : request->message->response_length - LINK_HEAD_ROOM;
	if (svc_start(request->conn->door->svc, head, caller, &answer, &upload) == SVC_BODY) {
		if (payload->open)
			open_upload(request, head, payload, upload);
		else
			whole_upload(request, head, payload, caller, upload);
		return;
	}
	request->ack = caller->session && answer->replayable;
	if (open && answer->status < 400 && answer->body_length)
		open_download(request, head, payload, answer);
	else
		answer_with(request, payload, answer, !reads);
}

/* Was it done before, and the answer kept?  Then that is the answer. */
static bool replay(struct link_request *request, const struct svc_caller *caller)
{
	struct link_answer kept = { .sure = true };
	size_t head_length, length;
	char *bytes;
	int found;

	found = svc_replay(request->conn->door->svc, caller->session, caller->request, &bytes,
			   &head_length, &length);
	if (!found)
		return false;
	if (found < 0) {
		azb_log(AZB_LOG_ERROR, "link %u: a kept answer can't be read: %s",
			request->conn->number, strerror(-found));
		request->status = VSP_WIRE_STATUS_FAILED;
		return true;
	}
	/* "HTTP/1.1 201 ...": what we rendered ourselves. */
	if (head_length > 12)
		kept.status = (unsigned int)strtoul(bytes + 9, NULL, 10);
	kept.text = bytes;
	kept.text_length = head_length;
	kept.text_body = bytes + head_length;
	kept.length = length - head_length;
	request->ack = true;
	link_answer_deliver(request, &kept);
	free(bytes);
	return true;
}

static void serve(struct link_request *request, const struct head *head, struct svc_caller *caller)
{
	struct payload payload;
	struct payload_error error = payload_parse(head, request->message->data_valid, &payload);

	if (error.status) {
		answer_error(request, head, error.status, error.code, error.message);
		return;
	}
	switch (payload.what) {
	case PAYLOAD_BLOB:
		blob_request(request, head, &payload, caller);
		break;
	case PAYLOAD_PROBE:
		probe(request);
		break;
	case PAYLOAD_PART:
		part_of_handle(request, head, &payload);
		break;
	case PAYLOAD_COMMIT:
		commit_handle(request, head, &payload, caller);
		break;
	case PAYLOAD_READ:
		read_handle(request, head, &payload);
		break;
	case PAYLOAD_FORGET:
		forget_handle(request, head, &payload);
		break;
	}
}

static void perform(struct link_request *request)
{
	const struct azl_request *message = request->message;
	struct link_conn *conn = request->conn;
	struct svc_caller caller = { .link = true,
				     .secure = true,
				     .peer = "link",
				     .address = conn->door->config.address,
				     .request = message->header.id };
	struct head_parser *parser;
	enum head_state state;
	size_t taken = 0;

	if (message->operation != VSP_WIRE_OP_USER_REQUEST) {
		request->status = VSP_WIRE_STATUS_NOT_SUPPORTED;
		return;
	}
	if (link_envelope_run(request))
		return;
	if (message->response_length < LINK_MIN_RESPONSE) {
		link_answer_too_small(request, LINK_MIN_RESPONSE);
		return;
	}
	if (conn->terms.features & AZL_FEATURE_RESEND)
		caller.session = conn->hello.session;
	if (message->header.flags & AZL_REQUEST_RESENT && caller.session &&
	    replay(request, &caller))
		return;

	caller.resent = message->header.flags & AZL_REQUEST_RESENT;
	parser = head_parser_new();
	if (!parser) {
		request->status = VSP_WIRE_STATUS_NO_RESOURCES;
		return;
	}
	state = head_parser_feed(parser, request->parts.head, message->head_length, &taken);
	if (state == HEAD_DONE && taken == message->head_length)
		serve(request, head_parser_head(parser), &caller);
	else
		/* Cut short, malformed, or with bytes after its end: not one head. */
		request->status = VSP_WIRE_STATUS_BAD_PACKET;
	head_parser_free(parser);
}

/* What waits for another server gives up when nobody wants the answer any more. */
static void perform_stoppable(struct link_request *request)
{
	azb_stop_set(link_request_stopped, request);
	perform(request);
	azb_stop_set(NULL, NULL);
}

void link_request_run(struct link_job *job)
{
	struct link_request *request = (struct link_request *)job;
	enum request_state queued = REQUEST_QUEUED;

	if (atomic_compare_exchange_strong(&request->state, &queued, REQUEST_RUNNING)) {
		link_guard_enter(request->regions, request->region_count);
		if (link_request_stopped(request))
			answer_stopped(request);
		else
			perform_stoppable(request);
		if (!link_guard_leave()) {
			/* The link is cut, and the emulator sends it again where memory is whole.
			 */
			request->status = STATUS_NONE;
			atomic_store(&request->conn->broken, true);
			link_door_wake(request->conn->door);
		}
		link_conn_complete(request, request->status != STATUS_NONE);
	}
	link_request_put(request);
}
