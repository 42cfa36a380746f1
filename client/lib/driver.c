// SPDX-License-Identifier: MIT
/*
 * The transport over the driver: HTTP heads in the request and response buffers, bodies in
 * the data buffer, as docs/payload.md says.
 */
#include "driver.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "azblob/vsp_wire.h"
#include "base/crc64.h"
#include "buffers.h"

#define PAGE ((size_t)AZ_BLOB_PAGE_SIZE)
/* docs/payload.md: the least that a host takes, and the most that a head may have. */
#define RESPONSE_ROOM ((size_t)16 << 10)
#define MAX_HEAD ((size_t)64 << 10)
/* Room for one page of a list; the host ends a page early rather than overflow it. */
#define TEXT_ROOM ((size_t)1 << 20)
/* A host that asks for more room than this is not believed: the longest list of blocks is less. */
#define MAX_RESPONSE_ROOM ((size_t)16 << 20)
#define PROBE_TIMEOUT_MS 10000u

struct driver {
	struct azc_transport transport;
	const azblob_conn *conn;
	struct azc_device *device;
	uint8_t guid[8];
	atomic_uint_least64_t next;
};

static void compose(const azblob_conn *conn, const struct azc_request *request,
		    struct azb_buf *head)
{
	azb_buf_printf(head, "%s %s%s%s HTTP/1.1\r\nHost: %s\r\n", request->method,
		       request->path.data, request->query.length ? "?" : "",
		       request->query.length ? request->query.data : "", conn->endpoint.host);
	for (size_t i = 0; i < request->fields.count; i++)
		azb_buf_printf(head, "%s: %s\r\n", request->fields.item[i].name,
			       request->fields.item[i].value);
	if (request->has_body)
		azb_buf_printf(head, "Content-Length: %llu\r\n",
			       (unsigned long long)request->content_length);
	azb_buf_puts(head, "\r\n");
}

struct azc_device *azc_driver_device(const azblob_conn *conn)
{
	if (conn->transport->kind == AZBLOB_TRANSPORT_HTTP)
		return NULL;
	return ((struct driver *)conn->transport)->device;
}

static void make_guid(struct driver *driver, uint8_t guid[16])
{
	uint64_t number = atomic_fetch_add(&driver->next, 1);

	memcpy(guid, driver->guid, sizeof(driver->guid));
	memcpy(guid + sizeof(driver->guid), &number, sizeof(number));
}

void azc_driver_guid(const azblob_conn *conn, uint8_t guid[16])
{
	make_guid((struct driver *)conn->transport, guid);
}

void azc_flight_drop(const azblob_conn *conn, struct azc_flight *flight)
{
	azc_pool_put(conn->pool, flight->head, flight->head_room);
	azc_pool_put(conn->pool, flight->response, flight->response_room);
	azc_pool_put(conn->pool, flight->text, TEXT_ROOM);
	memset(flight, 0, sizeof(*flight));
}

static int make_buffers(const azblob_conn *conn, const struct azc_request *request,
			const char *head, size_t head_length, size_t response_room,
			struct azc_flight *flight, enum azc_failure *failure,
			struct azblob_error *error)
{
	memset(flight, 0, sizeof(*flight));
	if (head_length > MAX_HEAD) {
		*failure = AZC_REFUSED;
		return azc_fail(error, AZBLOB_BAD_ARGUMENT,
				"the request's head has %zu bytes; at most %zu are allowed",
				head_length, MAX_HEAD);
	}
	flight->head_room = head_length;
	flight->response_room = response_room;
	flight->head = azc_pool_get(conn->pool, flight->head_room);
	flight->response = azc_pool_get(conn->pool, flight->response_room);
	if (request->want_text)
		flight->text = azc_pool_get(conn->pool, TEXT_ROOM);
	if (flight->head && flight->response && (flight->text || !request->want_text)) {
		memcpy(flight->head, head, head_length);
		return 0;
	}
	azc_flight_drop(conn, flight);
	return azc_fail_memory(error);
}

static void fill_wire(struct driver *driver, const struct azc_request *request,
		      unsigned int timeout_ms, struct azc_flight *flight)
{
	struct az_blob_request *wire = &flight->wire;

	make_guid(driver, wire->guid);
	wire->timeout = timeout_ms;
	wire->request_len = (uint32_t)flight->head_room;
	wire->request_buffer = (uintptr_t)flight->head;
	wire->response_len = (uint32_t)flight->response_room;
	wire->response_buffer = (uintptr_t)flight->response;
	if (request->body_length) {
		wire->data_len = (uint32_t)request->body_length;
		wire->data_valid = wire->data_len;
		wire->data_buffer = (uintptr_t)request->body;
	} else if (flight->text) {
		wire->data_len = TEXT_ROOM;
		wire->data_buffer = (uintptr_t)flight->text;
	} else if (request->room_length) {
		wire->data_len = (uint32_t)request->room_length;
		wire->data_buffer = (uintptr_t)request->room;
	}
}

/* The structs are the same up to the response, and what the older one calls reserved is 0. */
_Static_assert(offsetof(struct az_blob_request, response) ==
		       offsetof(struct az_blob_request_sync, response),
	       "the driver's header says so");

static int submit(const struct driver *driver, struct az_blob_request *wire)
{
	struct azc_device *device = driver->device;
	struct az_blob_request_sync sync;
	int result;

	if (device->submit_placed) {
		struct az_blob_request placed = *wire;

		if (azc_buffers_place(driver->conn->buffers, &placed)) {
			result = device->submit_placed(device, &placed);
			wire->response = placed.response;
			/* Not known any more (hibernation does that): nothing was sent. */
			if (result != -ENOENT && result != -EFAULT)
				return result;
		}
	}
	memcpy(&sync, wire, sizeof(sync));
	result = device->submit(device, &sync);
	wire->response = sync.response;
	return result;
}

int azc_driver_submit(const azblob_conn *conn, struct az_blob_request *wire)
{
	return submit((struct driver *)conn->transport, wire);
}

enum azc_reach azc_driver_cancel(const azblob_conn *conn, const uint8_t guid[16])
{
	struct azc_device *device = azc_driver_device(conn);
	bool unsent = false;

	if (!device || !device->cancel)
		return AZC_REACH_NEVER;
	switch (device->cancel(device, guid, &unsent)) {
	case 0:
		return unsent ? AZC_REACH_UNSENT : AZC_REACH_TOLD;
	case -ENOENT:
		return AZC_REACH_ABSENT;
	case -ENOMEM:
		return AZC_REACH_LATER;
	}
	return AZC_REACH_NEVER;
}

/*
 * The driver gave up waiting and the host may still write: our own buffers get other pages, and a
 * caller's memory is at least not used for another try.
 */
static void abandon(const struct azc_request *request, const struct azc_flight *flight,
		    struct azc_answer *answer, enum azc_failure *failure)
{
	azc_pool_abandon(flight->response, flight->response_room);
	if (flight->text)
		azc_pool_abandon(flight->text, TEXT_ROOM);
	if (request->room_pooled)
		azc_pool_abandon(request->room, request->room_length);
	if (request->body_pooled)
		azc_pool_abandon((void *)(uintptr_t)request->body, request->body_length);
	answer->abandoned = true;
	*failure = request->room && !request->room_pooled ? AZC_GONE : AZC_UNKNOWN;
}

static int ioctl_failed(const struct azc_request *request, const struct azc_flight *flight,
			int sys_errno, struct azc_answer *answer, enum azc_failure *failure,
			struct azblob_error *error)
{
	if (sys_errno == ECANCELED && flight->unsent) {
		*failure = AZC_SENT_NOTHING;
		return azc_fail(error, AZBLOB_CANCELLED, "cancelled");
	}
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
		abandon(request, flight, answer, failure);
		break;
	}
	return azc_fail_errno(error, AZBLOB_TRANSPORT, sys_errno, "the driver");
}

const char *azc_link_text(uint32_t status, enum azc_failure *failure)
{
	*failure = AZC_UNKNOWN;
	switch (status) {
	case VSP_WIRE_STATUS_BAD_PACKET:
		*failure = AZC_REFUSED;
		return "the host did not understand the request";
	case VSP_WIRE_STATUS_NOT_SUPPORTED:
		*failure = AZC_REFUSED;
		return "the host does not know this kind of request";
	case VSP_WIRE_STATUS_TOO_SMALL:
		*failure = AZC_REFUSED;
		return "the host's answer needs a larger buffer";
	case VSP_WIRE_STATUS_NO_RESOURCES:
		*failure = AZC_SENT_NOTHING;
		return "the host is out of room for requests";
	case VSP_WIRE_STATUS_TIMEOUT:
		return "no answer within the time-out";
	case VSP_WIRE_STATUS_CANCELLED:
		return "the host cancelled the request";
	}
	return "the host failed";
}

static int link_failed(uint32_t status, enum azc_failure *failure, struct azblob_error *error)
{
	azc_fail(error, AZBLOB_TRANSPORT, "%s (status 0x%08x)", azc_link_text(status, failure),
		 status);
	error->link_status = status;
	return -1;
}

static int bad_answer(enum azc_failure *failure, struct azblob_error *error, const char *what)
{
	*failure = AZC_UNKNOWN;
	return azc_fail(error, AZBLOB_TRANSPORT, "the host's answer makes no sense: %s", what);
}

/* Finds the body of an answer, which was checked to have a head. */
static int take_body(const struct azc_request *request, const struct azc_flight *flight,
		     size_t response_length, size_t body_at, struct azc_answer *answer,
		     enum azc_failure *failure, struct azblob_error *error)
{
	bool in_data = answer->status < 400 && !request->body_length &&
		       (flight->text || request->room_length);
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
		azb_buf_add(&answer->text, (char *)flight->response + body_at, (size_t)length);
		return answer->text.failed ? azc_fail_memory(error) : 0;
	}
	if (azc_answer_field(answer, "Azblob-Sent")) {
		uint64_t sent;

		if (!azc_answer_number(answer, "Azblob-Sent", &sent) || sent > length)
			return bad_answer(failure, error, "Azblob-Sent is no part of its length");
		length = sent;
	}
	room = flight->text ? TEXT_ROOM : request->room_length;
	if (length > room)
		return bad_answer(failure, error, "its body is longer than the buffer");
	if (flight->text) {
		azb_buf_add(&answer->text, flight->text, (size_t)length);
		return answer->text.failed ? azc_fail_memory(error) : 0;
	}
	answer->body_length = (size_t)length;
	if (request->checked)
		answer->crc = azb_crc64(0, request->room, answer->body_length);
	return 0;
}

static int take_answer(const struct azc_request *request, const struct azc_flight *flight,
		       struct azc_answer *answer, enum azc_failure *failure,
		       struct azblob_error *error)
{
	size_t length = flight->wire.response.response_len;
	size_t body_at = 0;

	/* The host has done it, whatever becomes of its answer here. */
	*failure = AZC_UNKNOWN;
	if (length > flight->response_room)
		return bad_answer(failure, error, "it is longer than the response buffer");
	if (!azc_answer_head(answer, flight->response, length, &body_at))
		return bad_answer(failure, error, "it has no HTTP head");
	return take_body(request, flight, length, body_at, answer, failure, error);
}

/* How large a response buffer the host asks for; 0 when it doesn't, or for too much. */
static size_t needed_room(const struct azc_request *request, const struct azc_flight *flight)
{
	struct azc_answer answer = { 0 };
	uint64_t needed = 0;
	size_t body_at;
	size_t length = flight->wire.response.response_len;

	/* Of a request that opens a body only its head can be too long. */
	if (flight->wire.response.status != VSP_WIRE_STATUS_TOO_SMALL ||
	    (request->room_length && !request->head))
		return 0;
	if (length <= flight->response_room &&
	    azc_answer_head(&answer, flight->response, length, &body_at) &&
	    !azc_answer_number(&answer, "Azblob-Needed", &needed))
		needed = 0;
	azc_answer_reset(&answer);
	return needed > flight->response_room && needed <= MAX_RESPONSE_ROOM ? (size_t)needed : 0;
}

/* Memory may be there at another try, so the want of it is no refusal. */
static int begin(struct driver *driver, const struct azc_request *request, size_t response_room,
		 unsigned int timeout_ms, struct azc_flight *flight, enum azc_failure *failure,
		 struct azblob_error *error)
{
	struct azb_buf head = { 0 };
	int result;

	*failure = AZC_SENT_NOTHING;
	if (request->head) {
		result = make_buffers(driver->conn, request, request->head, request->head_length,
				      response_room, flight, failure, error);
	} else {
		compose(driver->conn, request, &head);
		result = head.failed ? azc_fail_memory(error)
				     : make_buffers(driver->conn, request, head.data, head.length,
						    response_room, flight, failure, error);
		azb_buf_free(&head);
	}
	if (!result)
		fill_wire(driver, request, timeout_ms, flight);
	return result;
}

static size_t response_room_of(const struct azc_request *request)
{
	return request->response_room ? request->response_room : RESPONSE_ROOM;
}

int azc_flight_begin(const azblob_conn *conn, const struct azc_request *request,
		     unsigned int timeout_ms, struct azc_flight *flight, struct azblob_error *error)
{
	enum azc_failure failure;

	return begin((struct driver *)conn->transport, request, response_room_of(request),
		     timeout_ms, flight, &failure, error);
}

int azc_flight_end(const azblob_conn *conn, const struct azc_request *request,
		   struct azc_flight *flight, int result, struct azc_answer *answer,
		   enum azc_failure *failure, struct azblob_error *error)
{
	if (result)
		result = ioctl_failed(request, flight, -result, answer, failure, error);
	else if (flight->wire.response.status)
		result = link_failed(flight->wire.response.status, failure, error);
	else
		result = take_answer(request, flight, answer, failure, error);
	azc_flight_drop(conn, flight);
	return result;
}

/* @op may be NULL. */
static int exchange(struct driver *driver, const struct azc_request *request,
		    unsigned int timeout_ms, struct azc_op *op, struct azc_answer *answer,
		    enum azc_failure *failure, struct azblob_error *error)
{
	size_t response_room = response_room_of(request);
	struct azc_flight flight;
	struct azc_sent sent;
	bool first = true;
	int result;

	do {
		if (begin(driver, request, response_room, timeout_ms, &flight, failure, error))
			return -1;
		memcpy(sent.guid, flight.wire.guid, sizeof(sent.guid));
		if (op && !azc_op_begin_try(op, &sent)) {
			*failure = AZC_SENT_NOTHING;
			azc_flight_drop(driver->conn, &flight);
			return azc_fail(error, AZBLOB_CANCELLED, "cancelled");
		}
		result = submit(driver, &flight.wire);
		if (op)
			azc_op_end_try(op, &sent);
		/* The ioctl gives that for no other reason. */
		flight.unsent = result == -ECANCELED;
		/* Nothing was done, so once more with the room that the host asks for. */
		response_room = !result && first ? needed_room(request, &flight) : 0;
		first = false;
		result = azc_flight_end(driver->conn, request, &flight, result, answer, failure,
					error);
	} while (result && response_room);
	return result;
}

static int driver_exchange(struct azc_transport *transport, const struct azc_request *request,
			   struct azc_answer *answer, struct azc_op *op, enum azc_failure *failure,
			   struct azblob_error *error)
{
	return exchange((struct driver *)transport, request, op ? op->timeout_ms : PROBE_TIMEOUT_MS,
			op, answer, failure, error);
}

int azc_driver_exchange(const azblob_conn *conn, const struct azc_request *request,
			unsigned int timeout_ms, struct azc_answer *answer,
			enum azc_failure *failure, struct azblob_error *error)
{
	return exchange((struct driver *)conn->transport, request, timeout_ms, NULL, answer,
			failure, error);
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

static int raw_exchange(struct azc_transport *transport, const struct azc_request *request,
			struct azc_answer *answer, struct azc_op *op, enum azc_failure *failure,
			struct azblob_error *error)
{
	(void)transport;
	(void)request;
	(void)answer;
	(void)op;
	*failure = AZC_REFUSED;
	return azc_fail(error, AZBLOB_BAD_ARGUMENT, "this connection is for raw requests only");
}

static const struct azc_transport_ops raw_ops = {
	.exchange = raw_exchange,
	.close = driver_close,
};

/* All pages, less those of the largest head and the response, each unaligned. */
static size_t own_part_max(void)
{
	return ((size_t)AZ_BLOB_MAX_PAGES - (MAX_HEAD + RESPONSE_ROOM) / PAGE - 3) * PAGE;
}

/* Understands the answer to GET /.azblob. */
static int accept_probe(struct driver *driver, const struct azc_answer *answer,
			struct azblob_error *error)
{
	size_t own_max = own_part_max();
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

static struct driver *new_driver(const azblob_conn *conn, struct azc_device *device,
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
	return driver;
}

struct azc_transport *azc_driver_open(const azblob_conn *conn, struct azc_device *device,
				      struct azblob_error *error)
{
	struct driver *driver = new_driver(conn, device, error);

	if (driver && probe(driver, error)) {
		free(driver);
		driver = NULL;
	}
	return driver ? &driver->transport : NULL;
}

struct azc_transport *azc_driver_open_raw(const azblob_conn *conn, struct azc_device *device,
					  struct azblob_error *error)
{
	struct driver *driver = new_driver(conn, device, error);

	if (!driver)
		return NULL;
	driver->transport.ops = &raw_ops;
	driver->transport.kind = AZBLOB_TRANSPORT_RAW;
	driver->transport.part_max = own_part_max();
	return &driver->transport;
}
