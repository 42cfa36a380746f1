// SPDX-License-Identifier: MIT
/* One request through the device, as docs/payload.md has it. */
#include "gateway.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "azblob/vsp_wire.h"
#include "transport.h"
#include "uapi/misc/hv_azure_blob.h"

/* A host that asks for more room than this is not believed: the longest list of blocks is less. */
#define MAX_RESPONSE_ROOM ((size_t)16 << 20)

/* -------------------------------------------------------------------- heads */

/* Between the client and us; what is not refused by the host is of no meaning to it. */
static const char *const never_sent[] = { "Connection", "Expect",  "Transfer-Encoding",
					  "Keep-Alive", "Upgrade", "Proxy-Connection",
					  "TE",         "Trailer" };

static bool is_sent(const struct head_str *name)
{
	for (size_t i = 0; i < sizeof(never_sent) / sizeof(*never_sent); i++)
		if (head_str_is_nocase(name, never_sent[i]))
			return false;
	return true;
}

void gw_compose(struct azb_buf *out, const struct head *head, bool open)
{
	azb_buf_add(out, head->method.at, head->method.length);
	azb_buf_puts(out, " ");
	azb_buf_add(out, head->target.at, head->target.length);
	azb_buf_printf(out, " HTTP/1.%u\r\n", head->minor);
	for (size_t i = 0; i < head->field_count; i++) {
		const struct head_field *field = &head->field[i];

		if (!is_sent(&field->name))
			continue;
		azb_buf_add(out, field->name.at, field->name.length);
		azb_buf_puts(out, ": ");
		azb_buf_add(out, field->value.at, field->value.length);
		azb_buf_puts(out, "\r\n");
	}
	azb_buf_puts(out, open ? "Azblob-Body: open\r\n\r\n" : "\r\n");
}

/* Decimal digits and nothing else. */
static bool number_of(const char *text, size_t length, uint64_t *value)
{
	*value = 0;
	if (!length || length > 18)
		return false;
	for (size_t i = 0; i < length; i++) {
		if (text[i] < '0' || text[i] > '9')
			return false;
		*value = *value * 10 + (uint64_t)(text[i] - '0');
	}
	return true;
}

static bool is_named(const char *line, size_t length, const char *name)
{
	return length == strlen(name) && !strncasecmp(line, name, length);
}

/**
 * struct reading - what is found in an answer's head besides what is passed on
 * @needed: of Azblob-Needed; 0 for none.
 */
struct reading {
	bool has_sent, has_handle;
	uint64_t needed;
};

/* A header of the link's own: for us, not for the client. */
static bool take_own(struct gw_exchange *x, struct reading *r, const char *name, size_t name_length,
		     const char *value, size_t length)
{
	if (is_named(name, name_length, "Azblob-Sent")) {
		r->has_sent = true;
		return number_of(value, length, &x->sent);
	}
	if (is_named(name, name_length, "Azblob-Needed"))
		return number_of(value, length, &r->needed);
	if (is_named(name, name_length, "Azblob-Handle")) {
		if (length != GW_HANDLE_DIGITS)
			return false;
		for (size_t i = 0; i < length; i++)
			if (!strchr("0123456789abcdefABCDEF", value[i]))
				return false;
		memcpy(x->handle, value, length);
		x->handle[length] = 0;
		r->has_handle = true;
	}
	return true;
}

/* One line of the head, without its end. */
static bool take_field(struct gw_exchange *x, struct reading *r, const char *line, size_t length)
{
	const char *colon = memchr(line, ':', length);
	size_t name = colon ? (size_t)(colon - line) : 0;
	const char *value;

	if (!name)
		return false;
	/* what could be read as the end of a line, or of the text, by who reads it next */
	for (size_t i = 0; i < length; i++)
		if ((unsigned char)line[i] < ' ' && line[i] != '\t')
			return false;
	value = colon + 1;
	length -= name + 1;
	while (length && (*value == ' ' || *value == '\t')) {
		value++;
		length--;
	}
	while (length && (value[length - 1] == ' ' || value[length - 1] == '\t'))
		length--;
	if (is_named(line, name, "Content-Length") && !number_of(value, length, &x->content_length))
		return false;
	if (!x->probe && name > 7 && !strncasecmp(line, "Azblob-", 7))
		return take_own(x, r, line, name, value, length);
	azb_buf_add(&x->headers, line, name);
	azb_buf_add(&x->headers, "", 1);
	azb_buf_add(&x->headers, value, length);
	azb_buf_add(&x->headers, "", 1);
	return true;
}

static bool take_status(struct gw_exchange *x, const char *line, size_t length)
{
	uint64_t status;

	if (length < 12 || memcmp(line, "HTTP/1.1 ", 9) != 0 || !number_of(line + 9, 3, &status) ||
	    status < 200 || status > 599 || (length > 12 && line[12] != ' '))
		return false;
	x->status = (unsigned int)status;
	return true;
}

/* The head at the start of @response; *body_at is where it ended. */
static bool read_head(struct gw_exchange *x, struct reading *r, const char *response, size_t length,
		      size_t *body_at)
{
	size_t at = 0;

	while (at < length) {
		const char *line = response + at;
		const char *end = memchr(line, '\n', length - at);
		size_t n = end ? (size_t)(end - line) : 0;

		if (!end)
			return false;
		at += n + 1;
		if (n && line[n - 1] == '\r')
			n--;
		if (!n) {
			*body_at = at;
			return x->status;
		}
		if (x->status ? !take_field(x, r, line, n) : !take_status(x, line, n))
			return false;
	}
	return false;
}

/* ------------------------------------------------------------------ results */

static enum gw_outcome failed(struct gw_exchange *x, enum gw_outcome outcome, const char *reason)
{
	snprintf(x->reason, sizeof(x->reason), "%s", reason);
	return outcome;
}

static enum gw_outcome nonsense(struct gw_exchange *x, const char *what)
{
	snprintf(x->reason, sizeof(x->reason), "the host's answer makes no sense: %s", what);
	return GW_UNKNOWN;
}

static bool is_head(const struct gw_exchange *x)
{
	return x->head_length > 5 && !memcmp(x->head, "HEAD ", 5);
}

/* Finds the body of an answer whose head is here. */
static enum gw_outcome take_body(struct gw_exchange *x, const struct reading *r, const char *text,
				 size_t length)
{
	if (is_head(x) || x->status == 204 || x->status == 304) {
		x->sent = 0;
		return GW_ANSWERED;
	}
	if (x->status >= 400 || !x->room_length) {
		x->sent = 0;
		if (x->content_length > length)
			return nonsense(x, "its body is not all there");
		azb_buf_add(&x->text, text, (size_t)x->content_length);
		return x->text.failed ? failed(x, GW_UNKNOWN, "out of memory") : GW_ANSWERED;
	}
	if (!r->has_sent)
		x->sent = x->content_length;
	x->more = x->sent < x->content_length;
	if (x->sent > x->content_length || x->sent > x->room_length)
		return nonsense(x, "more bytes than there is room for");
	if (x->more && !r->has_handle)
		return nonsense(x, "half a body and no handle");
	return GW_ANSWERED;
}

static enum gw_outcome take_answer(struct gw_exchange *x, const char *response, size_t length)
{
	struct reading r = { .needed = 0 };
	size_t body_at = 0;

	if (length > x->response_room)
		return nonsense(x, "it is longer than the response buffer");
	if (!read_head(x, &r, response, length, &body_at))
		return nonsense(x, "it has no HTTP head");
	if (x->headers.failed)
		return failed(x, GW_UNKNOWN, "out of memory");
	return take_body(x, &r, response + body_at, length - body_at);
}

static enum gw_outcome link_failed(struct gw_exchange *x, uint32_t status)
{
	switch (status) {
	case VSP_WIRE_STATUS_BAD_PACKET:
		return failed(x, GW_REFUSED, "the host did not understand the request");
	case VSP_WIRE_STATUS_NOT_SUPPORTED:
		return failed(x, GW_REFUSED, "the host does not know this kind of request");
	case VSP_WIRE_STATUS_TOO_SMALL:
		return failed(x, GW_REFUSED, "the host's answer needs a larger buffer");
	case VSP_WIRE_STATUS_NO_RESOURCES:
		return failed(x, GW_NOTHING, "the host is out of room for requests");
	case VSP_WIRE_STATUS_TIMEOUT:
		return failed(x, GW_UNKNOWN, "the host gave no answer in time");
	case VSP_WIRE_STATUS_CANCELLED:
		return failed(x, GW_UNKNOWN, "the host cancelled the request");
	default:
		snprintf(x->reason, sizeof(x->reason), "the host failed (status 0x%08x)", status);
		return GW_UNKNOWN;
	}
}

static enum gw_outcome ioctl_failed(struct gw_exchange *x, int error, void *response)
{
	snprintf(x->reason, sizeof(x->reason), "the driver: %s", strerror(error));
	switch (error) {
	case EINVAL:
	case EMSGSIZE:
	case EFAULT:
	case ENOTTY:
		return GW_REFUSED;
	case ENOMEM:
	case EAGAIN:
		return GW_NOTHING;
	case ENODEV:
		return failed(x, GW_UNKNOWN, "the device went away");
	default:
		break;
	}
	/*
	 * The driver gave up waiting, and the host may still read and write: these pages are its
	 * own from now on, or another client's bytes would go where these were meant to.
	 */
	azc_pool_abandon(response, x->response_room);
	if (x->room_length)
		azc_pool_abandon(x->room, x->room_length);
	if (x->body_length)
		azc_pool_abandon(x->body, x->body_length);
	x->lost = true;
	return GW_UNKNOWN;
}

/* ---------------------------------------------------------------- one round */

static int submit(struct gw_exchange *x, struct gw_port *port, void *response,
		  struct az_blob_request_sync *sync)
{
	uint64_t number = atomic_fetch_add(&port->requests, 1);

	memset(sync, 0, sizeof(*sync));
	memcpy(sync->guid, port->guid, sizeof(port->guid));
	memcpy(sync->guid + sizeof(port->guid), &number, sizeof(number));
	sync->timeout = x->timeout_ms;
	sync->request_len = (uint32_t)x->head_length;
	sync->request_buffer = (uintptr_t)x->head;
	sync->response_len = (uint32_t)x->response_room;
	sync->response_buffer = (uintptr_t)response;
	if (x->body_length) {
		sync->data_len = (uint32_t)x->body_length;
		sync->data_valid = sync->data_len;
		sync->data_buffer = (uintptr_t)x->body;
	} else if (x->room_length) {
		sync->data_len = (uint32_t)x->room_length;
		sync->data_buffer = (uintptr_t)x->room;
	}
	return gw_port_submit(port, sync);
}

/* How much room the host asks for; 0: it doesn't, or for too much. */
static size_t needed_room(struct gw_exchange *x, const char *response, size_t length)
{
	struct reading r = { .needed = 0 };
	size_t body_at;

	if (length > x->response_room || !read_head(x, &r, response, length, &body_at))
		r.needed = 0;
	gw_exchange_reset(x);
	return r.needed > x->response_room && r.needed <= MAX_RESPONSE_ROOM ? (size_t)r.needed : 0;
}

/* *@needed: nothing has happened, and with this much room for the response it would. */
static enum gw_outcome once(struct gw_exchange *x, struct gw_port *port, struct azc_pool *pool,
			    size_t *needed)
{
	void *response = azc_pool_get(pool, x->response_room);
	struct az_blob_request_sync sync;
	enum gw_outcome outcome;
	int result;

	*needed = 0;
	if (!response)
		return failed(x, GW_NOTHING, "out of memory");
	result = submit(x, port, response, &sync);
	if (result) {
		outcome = ioctl_failed(x, -result, response);
	} else if (sync.response.status) {
		if (sync.response.status == VSP_WIRE_STATUS_TOO_SMALL)
			*needed = needed_room(x, response, sync.response.response_len);
		outcome = link_failed(x, sync.response.status);
	} else {
		outcome = take_answer(x, response, sync.response.response_len);
	}
	azc_pool_put(pool, response, x->response_room);
	return outcome;
}

enum gw_outcome gw_exchange_do(struct gw_exchange *x, struct gw_port *port, struct azc_pool *pool)
{
	enum gw_outcome outcome;
	size_t needed;

	if (x->head_length > HEAD_MAX_BYTES)
		return failed(x, GW_REFUSED, "the request's head is too long for the device");
	outcome = once(x, port, pool, &needed);
	if (needed) {
		x->response_room = needed;
		outcome = once(x, port, pool, &needed);
	}
	if (outcome != GW_ANSWERED) {
		azb_buf_free(&x->headers);
		azb_buf_free(&x->text);
		x->status = 0;
	}
	return outcome;
}

void gw_exchange_reset(struct gw_exchange *x)
{
	azb_buf_free(&x->headers);
	azb_buf_free(&x->text);
	x->status = 0;
	x->content_length = x->sent = 0;
	x->more = false;
	x->handle[0] = 0;
}
