// SPDX-License-Identifier: MIT
/*
 * The transport over the driver: HTTP heads in the request and response buffers, bodies in
 * the data buffer, as docs/payload.md says.
 */
#include "transport.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "azblob/vsp_wire.h"
#include "base/crc64.h"
#include "uapi/misc/hv_azure_blob.h"

#define PAGE ((size_t)AZ_BLOB_PAGE_SIZE)
/* docs/payload.md: the least that a host takes, and the most that a head may have. */
#define RESPONSE_ROOM ((size_t)16 << 10)
#define MAX_HEAD ((size_t)64 << 10)
/* Room for one page of a list; the host ends a page early rather than overflow it. */
#define TEXT_ROOM ((size_t)1 << 20)
/* A host that asks for more room than this is not believed. */
#define MAX_RESPONSE_ROOM ((size_t)1 << 20)
#define PROBE_TIMEOUT_MS 10000u

struct driver {
	struct azc_transport transport;
	const azblob_conn *conn;
	struct azc_device *device;
	uint8_t guid[8];
	atomic_uint_least64_t next;
};

/* The buffers of one exchange. */
struct slot {
	void *head;
	size_t head_room;
	void *response;
	size_t response_room;
	void *text; /* room for a body that is wanted as text */
};

static int compose(const struct driver *driver, const struct azc_request *request,
		   struct azb_buf *head, struct azblob_error *error)
{
	azb_buf_printf(head, "%s %s%s%s HTTP/1.1\r\nHost: %s\r\n", request->method,
		       request->path.data, request->query.length ? "?" : "",
		       request->query.length ? request->query.data : "",
		       driver->conn->endpoint.host);
	for (size_t i = 0; i < request->fields.count; i++)
		azb_buf_printf(head, "%s: %s\r\n", request->fields.item[i].name,
			       request->fields.item[i].value);
	if (request->has_body)
		azb_buf_printf(head, "Content-Length: %llu\r\n",
			       (unsigned long long)request->content_length);
	azb_buf_puts(head, "\r\n");
	if (head->failed)
		return azc_fail_memory(error);
	if (head->length > MAX_HEAD)
		return azc_fail(error, AZBLOB_BAD_ARGUMENT,
				"the request's head has %zu bytes; at most %zu are allowed",
				head->length, MAX_HEAD);
	return 0;
}

static void free_slot(struct driver *driver, struct slot *slot)
{
	struct azc_pool *pool = driver->conn->pool;

	azc_pool_put(pool, slot->head, slot->head_room);
	azc_pool_put(pool, slot->response, slot->response_room);
	azc_pool_put(pool, slot->text, TEXT_ROOM);
	memset(slot, 0, sizeof(*slot));
}

static int make_slot(struct driver *driver, const struct azc_request *request,
		     const struct azb_buf *head, size_t response_room, struct slot *slot,
		     struct azblob_error *error)
{
	struct azc_pool *pool = driver->conn->pool;

	memset(slot, 0, sizeof(*slot));
	slot->head_room = head->length;
	slot->response_room = response_room;
	slot->head = azc_pool_get(pool, slot->head_room);
	slot->response = azc_pool_get(pool, slot->response_room);
	if (request->want_text)
		slot->text = azc_pool_get(pool, TEXT_ROOM);
	if (slot->head && slot->response && (slot->text || !request->want_text)) {
		memcpy(slot->head, head->data, head->length);
		return 0;
	}
	free_slot(driver, slot);
	return azc_fail_memory(error);
}

static int submit(struct driver *driver, const struct azc_request *request, const struct slot *slot,
		  unsigned int timeout_ms, struct az_blob_request_sync *sync)
{
	uint64_t number = atomic_fetch_add(&driver->next, 1);

	memset(sync, 0, sizeof(*sync));
	memcpy(sync->guid, driver->guid, sizeof(driver->guid));
	memcpy(sync->guid + sizeof(driver->guid), &number, sizeof(number));
	sync->timeout = timeout_ms;
	sync->request_len = (uint32_t)slot->head_room;
	sync->request_buffer = (uintptr_t)slot->head;
	sync->response_len = (uint32_t)slot->response_room;
	sync->response_buffer = (uintptr_t)slot->response;
	if (request->body_length) {
		sync->data_len = (uint32_t)request->body_length;
		sync->data_valid = sync->data_len;
		sync->data_buffer = (uintptr_t)request->body;
	} else if (slot->text) {
		sync->data_len = TEXT_ROOM;
		sync->data_buffer = (uintptr_t)slot->text;
	} else if (request->room_length) {
		sync->data_len = (uint32_t)request->room_length;
		sync->data_buffer = (uintptr_t)request->room;
	}
	return driver->device->submit(driver->device, sync);
}

/*
 * The driver gave up waiting and the host may still write: our own buffers get other pages, and a
 * caller's memory is at least not used for another try.
 */
static void abandon(const struct azc_request *request, const struct slot *slot,
		    enum azc_failure *failure)
{
	azc_pool_abandon(slot->response, slot->response_room);
	if (slot->text)
		azc_pool_abandon(slot->text, TEXT_ROOM);
	if (request->room_pooled)
		azc_pool_abandon(request->room, request->room_length);
	*failure = request->room && !request->room_pooled ? AZC_GONE : AZC_UNKNOWN;
}

static int ioctl_failed(const struct azc_request *request, const struct slot *slot, int sys_errno,
			enum azc_failure *failure, struct azblob_error *error)
{
	switch (sys_errno) {
	case EINVAL:
	case EMSGSIZE:
	case EFAULT:
	case ENOTTY:
		*failure = AZC_REFUSED;
		break;
	case ENOMEM:
	case EAGAIN:
		*failure = AZC_SENT_NOTHING;
		break;
	case ENODEV:
		*failure = AZC_GONE;
		return azc_fail_errno(error, AZBLOB_TRANSPORT, sys_errno, "the device went away");
	default:
		abandon(request, slot, failure);
		break;
	}
	return azc_fail_errno(error, AZBLOB_TRANSPORT, sys_errno, "the driver");
}

static int link_failed(uint32_t status, enum azc_failure *failure, struct azblob_error *error)
{
	const char *text = "the host failed";

	*failure = AZC_UNKNOWN;
	switch (status) {
	case VSP_WIRE_STATUS_BAD_PACKET:
		text = "the host did not understand the request";
		*failure = AZC_REFUSED;
		break;
	case VSP_WIRE_STATUS_NOT_SUPPORTED:
		text = "the host does not know this kind of request";
		*failure = AZC_REFUSED;
		break;
	case VSP_WIRE_STATUS_TOO_SMALL:
		text = "the host's answer needs a larger buffer";
		*failure = AZC_REFUSED;
		break;
	case VSP_WIRE_STATUS_NO_RESOURCES:
		text = "the host is out of room for requests";
		*failure = AZC_SENT_NOTHING;
		break;
	case VSP_WIRE_STATUS_TIMEOUT:
		text = "no answer within the time-out";
		break;
	case VSP_WIRE_STATUS_CANCELLED:
		text = "the host cancelled the request";
		break;
	}
	azc_fail(error, AZBLOB_TRANSPORT, "%s (status 0x%08x)", text, status);
	error->link_status = status;
	return -1;
}

/* Reads the head; *body_at is where it ended. */
static bool parse_head(const char *response, size_t length, struct azc_answer *answer,
		       size_t *body_at)
{
	size_t at = 0;

	while (at < length) {
		const char *newline = memchr(response + at, '\n', length - at);
		size_t line = newline ? (size_t)(newline - response) - at : 0;

		if (!newline)
			return false;
		if (line == 0 || (line == 1 && response[at] == '\r')) {
			*body_at = at + line + 1;
			return answer->status >= 200;
		}
		/* Exactly one status line: another would start the head over. */
		if ((at > 0) == (line > 5 && !memcmp(response + at, "HTTP/", 5)) ||
		    !azc_answer_line(answer, response + at, line))
			return false;
		at += line + 1;
	}
	return false;
}

static int bad_answer(enum azc_failure *failure, struct azblob_error *error, const char *what)
{
	*failure = AZC_UNKNOWN;
	return azc_fail(error, AZBLOB_TRANSPORT, "the host's answer makes no sense: %s", what);
}

/* Finds the body of an answer, which was checked to have a head. */
static int take_body(const struct azc_request *request, const struct slot *slot,
		     size_t response_length, size_t body_at, struct azc_answer *answer,
		     enum azc_failure *failure, struct azblob_error *error)
{
	bool in_data = answer->status < 400 && !request->body_length &&
		       (slot->text || request->room_length);
	uint64_t length = 0;
	size_t room;

	if (!strcmp(request->method, "HEAD") || answer->status == 204 || answer->status == 304)
		return 0;
	if (azc_answer_field(answer, "Content-Length") &&
	    !azc_answer_number(answer, "Content-Length", &length))
		return bad_answer(failure, error, "Content-Length is no number");
	if (!in_data) {
		if (length > response_length - body_at)
			return bad_answer(failure, error, "its body is not all there");
		azb_buf_add(&answer->text, (char *)slot->response + body_at, (size_t)length);
		return answer->text.failed ? azc_fail_memory(error) : 0;
	}
	if (azc_answer_field(answer, "Azblob-Sent")) {
		uint64_t sent;

		if (!azc_answer_number(answer, "Azblob-Sent", &sent) || sent > length)
			return bad_answer(failure, error, "Azblob-Sent is no part of its length");
		length = sent;
	}
	room = slot->text ? TEXT_ROOM : request->room_length;
	if (length > room)
		return bad_answer(failure, error, "its body is longer than the buffer");
	if (slot->text) {
		azb_buf_add(&answer->text, slot->text, (size_t)length);
		return answer->text.failed ? azc_fail_memory(error) : 0;
	}
	answer->body_length = (size_t)length;
	if (request->checked)
		answer->crc = azb_crc64(0, request->room, answer->body_length);
	return 0;
}

static int take_answer(const struct azc_request *request, const struct slot *slot,
		       const struct az_blob_request_sync *sync, struct azc_answer *answer,
		       enum azc_failure *failure, struct azblob_error *error)
{
	size_t length = sync->response.response_len;
	size_t body_at = 0;

	if (length > slot->response_room)
		return bad_answer(failure, error, "it is longer than the response buffer");
	if (!parse_head(slot->response, length, answer, &body_at))
		return bad_answer(failure, error, "it has no HTTP head");
	return take_body(request, slot, length, body_at, answer, failure, error);
}

/* How large a response buffer the host asks for; 0 when it doesn't, or for too much. */
static size_t needed_room(const struct slot *slot, const struct az_blob_request_sync *sync)
{
	struct azc_answer answer = { 0 };
	uint64_t needed = 0;
	size_t body_at;
	size_t length = sync->response.response_len;

	if (length <= slot->response_room &&
	    parse_head(slot->response, length, &answer, &body_at) &&
	    !azc_answer_number(&answer, "Azblob-Needed", &needed))
		needed = 0;
	azc_answer_reset(&answer);
	return needed > slot->response_room && needed <= MAX_RESPONSE_ROOM ? (size_t)needed : 0;
}

static int exchange_once(struct driver *driver, const struct azc_request *request,
			 const struct azb_buf *head, size_t *response_room, unsigned int timeout_ms,
			 struct azc_answer *answer, enum azc_failure *failure,
			 struct azblob_error *error)
{
	struct az_blob_request_sync sync;
	struct slot slot;
	int result;

	*failure = AZC_REFUSED;
	if (make_slot(driver, request, head, *response_room, &slot, error))
		return -1;
	*response_room = 0;
	result = submit(driver, request, &slot, timeout_ms, &sync);
	if (result) {
		result = ioctl_failed(request, &slot, -result, failure, error);
	} else if (sync.response.status) {
		if (sync.response.status == VSP_WIRE_STATUS_TOO_SMALL && !request->room_length)
			*response_room = needed_room(&slot, &sync);
		result = link_failed(sync.response.status, failure, error);
	} else {
		result = take_answer(request, &slot, &sync, answer, failure, error);
	}
	free_slot(driver, &slot);
	return result;
}

static int driver_exchange(struct azc_transport *transport, const struct azc_request *request,
			   struct azc_answer *answer, struct azc_op *op, enum azc_failure *failure,
			   struct azblob_error *error)
{
	struct driver *driver = (struct driver *)transport;
	unsigned int timeout_ms = op ? op->timeout_ms : PROBE_TIMEOUT_MS;
	size_t response_room = RESPONSE_ROOM;
	struct azb_buf head = { 0 };
	int result;

	*failure = AZC_REFUSED;
	result = compose(driver, request, &head, error);
	if (!result)
		result = exchange_once(driver, request, &head, &response_room, timeout_ms, answer,
				       failure, error);
	/* Nothing was done, so once more with the room that the host asked for. */
	if (result && response_room)
		result = exchange_once(driver, request, &head, &response_room, timeout_ms, answer,
				       failure, error);
	azb_buf_free(&head);
	return result;
}

static void driver_close(struct azc_transport *transport)
{
	struct driver *driver = (struct driver *)transport;

	driver->device->close(driver->device);
	free(driver);
}

static const struct azc_transport_ops driver_ops = {
	.exchange = driver_exchange,
	.close = driver_close,
};

/* Understands the answer to GET /.azblob. */
static int accept_probe(struct driver *driver, const struct azc_answer *answer,
			struct azblob_error *error)
{
	/* All pages, less those of the largest head and the response, each unaligned. */
	size_t own_max = ((size_t)AZ_BLOB_MAX_PAGES - (MAX_HEAD + RESPONSE_ROOM) / PAGE - 3) * PAGE;
	uint64_t payload = 0;
	uint64_t part_max = 0;

	if (answer->status != 200 || !azc_answer_number(answer, "Azblob-Payload", &payload))
		return azc_fail(error, AZBLOB_TRANSPORT,
				"the host does not know this payload (status %d)", answer->status);
	if (payload != 1)
		return azc_fail(error, AZBLOB_TRANSPORT,
				"the host speaks payload %llu, this library 1",
				(unsigned long long)payload);
	if (!azc_answer_number(answer, "Azblob-Part-Max", &part_max) ||
	    part_max < AZC_MIN_BLOCK_SIZE)
		return azc_fail(error, AZBLOB_TRANSPORT,
				"the host's Azblob-Part-Max makes no sense");
	driver->transport.part_max = part_max < own_max ? (size_t)part_max / PAGE * PAGE : own_max;
	/* Cut to what fits; it is only shown. */
	strncpy(driver->transport.server, azc_answer_text(answer, "Azblob-Server"),
		sizeof(driver->transport.server) - 1);
	return 0;
}

static int probe(struct driver *driver, struct azblob_error *error)
{
	enum azc_failure failure;
	struct azc_request request;
	struct azc_answer answer = { 0 };
	int result;

	azc_request_init(&request, "GET");
	azb_buf_puts(&request.path, "/.azblob");
	if (request.path.failed)
		result = azc_fail_memory(error);
	else
		result = driver_exchange(&driver->transport, &request, &answer, NULL, &failure,
					 error);
	if (!result)
		result = accept_probe(driver, &answer, error);
	azc_request_free(&request);
	azc_answer_reset(&answer);
	return result;
}

struct azc_transport *azc_driver_open(const azblob_conn *conn, struct azc_device *device,
				      struct azblob_error *error)
{
	struct driver *driver = calloc(1, sizeof(*driver));

	if (!driver) {
		azc_fail_memory(error);
		return NULL;
	}
	driver->transport.ops = &driver_ops;
	driver->transport.kind = AZBLOB_TRANSPORT_DRIVER;
	driver->transport.link = true;
	driver->conn = conn;
	driver->device = device;
	/* Only for logs: where randomness is not ready yet, zeros do. */
	if (getrandom(driver->guid, sizeof(driver->guid), GRND_NONBLOCK) < 0)
		memset(driver->guid, 0, sizeof(driver->guid));
	atomic_init(&driver->next, 1);
	if (probe(driver, error)) {
		free(driver);
		return NULL;
	}
	return &driver->transport;
}
