// SPDX-License-Identifier: MIT
/* Where a request goes: to the device, or while there is none to the fallback. */
#include "gateway.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "blob/target.h"
#include "fallback.h"

/* Parts under way at once; more than a device moves faster with. */
#define MOVERS 32u

void gw_error(struct rest_error *error, unsigned int status, const char *code, const char *format,
	      ...)
{
	va_list list;

	error->status = status;
	error->code = code;
	va_start(list, format);
	vsnprintf(error->message, sizeof(error->message), format, list);
	va_end(list);
}

void gw_error_of(struct gw *gw, enum gw_outcome outcome, bool repeats,
		 const struct gw_exchange *exchange, struct rest_error *error)
{
	switch (outcome) {
	case GW_ANSWERED:
		break;
	case GW_REFUSED:
		gw_error(error, 502, "DeviceRefused", "The device can't take this request: %s.",
			 exchange->reason);
		break;
	case GW_NOTHING:
		gw_error(
			error, 503, "ServerBusy",
			"The request did not get through the device, and nothing has happened: %s.",
			exchange->reason);
		break;
	case GW_UNKNOWN:
		atomic_fetch_add(&gw->unknown, 1);
		/* as the relay answers it (docs/relay.md): no client repeats a 424 by itself */
		if (repeats)
			gw_error(error, 503, "ServerBusy", "The device gave no answer: %s.",
				 exchange->reason);
		else
			gw_error(error, 424, "OutcomeUnknown",
				 "The device gave no answer (%s), and the request may have "
				 "happened: look before you repeat it.",
				 exchange->reason);
		break;
	}
}

/* ---------------------------------------------------------------- forgetting */

struct forget {
	struct link_job job;
	struct gw *gw;
	struct gw_port *port;
	char head[128];
};

static void forget_run(struct link_job *job)
{
	struct forget *forget = (struct forget *)job;
	struct gw_exchange exchange = { .head = forget->head,
					.head_length = strlen(forget->head),
					.response_room = GW_RESPONSE_ROOM,
					.timeout_ms = forget->gw->config.timeout_ms };

	gw_exchange_do(&exchange, forget->port);
	gw_exchange_reset(&exchange);
	atomic_fetch_sub(&forget->gw->handles, 1);
	gw_port_put(forget->port);
	free(forget);
}

void gw_forget(struct gw *gw, struct gw_port *port, const char *handle)
{
	struct forget *forget = calloc(1, sizeof(*forget));

	if (!forget) {
		atomic_fetch_sub(&gw->handles, 1);
		return;
	}
	forget->job.run = forget_run;
	forget->gw = gw;
	forget->port = port;
	gw_port_hold(port);
	snprintf(forget->head, sizeof(forget->head),
		 "DELETE /.azblob/%s HTTP/1.1\r\nHost: localhost\r\n\r\n", handle);
	link_pool_submit(gw->movers, NULL, &forget->job);
}

/* ----------------------------------------------------------------- requests */

/*
 * How much of the body of the answer comes with its head.  A long range says little about how long
 * the blob is, and all of the room is pinned for each request: then it is the small one, and the
 * rest comes in parts.
 */
static size_t first_room(const struct head *head)
{
	const struct head_str *range = head_get(head, "x-ms-range");
	unsigned long long from, to;
	char text[64], *end;

	if (!range)
		range = head_get(head, "Range");
	if (!range || range->length >= sizeof(text))
		return GW_SMALL;
	memcpy(text, range->at, range->length);
	text[range->length] = 0;
	if (strncmp(text, "bytes=", 6) != 0)
		return GW_SMALL;
	from = strtoull(text + 6, &end, 10);
	if (*end != '-' || !end[1])
		return GW_SMALL;
	to = strtoull(end + 1, &end, 10);
	if (*end || to < from || to - from >= GW_LARGE)
		return GW_SMALL;
	return (size_t)(to - from + 1);
}

/* A request without a body, by the device. */
static struct rest_answer *by_device(struct gw *gw, struct gw_port *port,
				     const struct rest_request *request, struct rest_error *error,
				     enum gw_outcome *outcome)
{
	bool get = head_str_is(&request->head->method, "GET");
	bool post = head_str_is(&request->head->method, "POST");
	struct gw_exchange exchange = { .timeout_ms = gw->config.timeout_ms,
					.response_room =
						post ? GW_LONG_RESPONSE_ROOM : GW_RESPONSE_ROOM };
	struct rest_answer *answer = NULL;
	struct azb_buf head = { 0 };
	size_t size = 0;

	gw_compose(&head, request->head, get);
	exchange.head = head.data;
	exchange.head_length = head.length;
	if (get) {
		exchange.room_length = first_room(request->head);
		exchange.room = gw_buffer_get(&gw->buffers, exchange.room_length, &size);
		if (exchange.room_length > size)
			exchange.room_length = size;
	}
	if (head.failed || (get && !exchange.room)) {
		*outcome = GW_NOTHING;
		snprintf(exchange.reason, sizeof(exchange.reason), "out of memory");
	} else {
		*outcome = gw_exchange_do(&exchange, port);
	}
	if (*outcome == GW_ANSWERED) {
		answer = gw_download_make(gw, port, &exchange, size);
		if (!answer)
			gw_error(error, 503, "ServerBusy", "The gateway is out of memory.");
	} else {
		gw_error_of(gw, *outcome, gw_repeats(request->head, request->target), &exchange,
			    error);
		gw_buffer_put(&gw->buffers, exchange.room, size);
	}
	azb_buf_free(&head);
	return answer;
}

static struct rest_answer *gateway_request(struct store *store, const struct rest_request *request,
					   struct rest_upload **upload, struct rest_error *error)
{
	struct gw *gw = (struct gw *)store;
	struct gw_port *port = gw_device_get(gw->device);
	enum gw_outcome outcome = GW_NOTHING;
	struct rest_answer *answer;

	if (port && gw_buffers_busy(&gw->buffers)) {
		atomic_fetch_add(&gw->busy, 1);
		gw_port_put(port);
		gw_error(error, 503, "ServerBusy",
			 "As many bodies go through the gateway as its memory allows (--memory).");
		return NULL;
	}
	if (port) {
		if (request->head->content_length > 0)
			answer = gw_upload_begin(gw, port, request, upload, error, &outcome);
		else
			answer = by_device(gw, port, request, error, &outcome);
		gw_port_put(port);
		if (outcome == GW_ANSWERED || outcome == GW_REFUSED) {
			atomic_fetch_add(&gw->by_device, 1);
			return answer;
		}
	} else {
		gw_error(error, 503, "ServerBusy",
			 "The device %s is not there, and there is no fallback for this account.",
			 gw->config.device);
	}
	/* keeps @error when there is no fallback for it */
	answer = gw_fallback_request(gw, request, outcome == GW_UNKNOWN, upload, error);
	if (!answer && !*upload)
		atomic_fetch_add(&gw->unavailable, 1);
	return answer;
}

/* The host checks what a caller may; only the fallback may have to sign in its own name. */
static enum rest_auth gateway_auth(struct store *store, const struct rest_request *request)
{
	struct gw *gw = (struct gw *)store;
	struct gw_port *port = gw_device_get(gw->device);

	gw_port_put(port);
	return port ? REST_AUTH_NONE : gw_fallback_auth(gw, request);
}

static bool gateway_acl(struct store *store, const char *container, struct azb_buf *xml,
			struct rest_error *error)
{
	(void)store;
	(void)xml;
	gw_error(error, 403, "AuthenticationFailed",
		 "The stored access policies of %s can't be read by the gateway.", container);
	return false;
}

static bool gateway_reload(struct store *store, char *error, size_t error_size)
{
	return gw_fallback_reload(((struct gw *)store)->fallback, error, error_size);
}

/* The HTTP door has no sessions, so nothing is ever kept. */
static void gateway_keep(struct store *store, const uint8_t session[16], uint64_t request,
			 const void *bytes, size_t length)
{
	(void)store;
	(void)session;
	(void)request;
	(void)bytes;
	(void)length;
}

static void gateway_close(struct store *store)
{
	struct gw *gw = (struct gw *)store;

	metrics_remove(&gw->numbers);
	/* parts that are still on their way let go of what they hold */
	link_pool_free(gw->movers);
	gw_holder_free(gw->holder);
	gw_device_free(gw->device);
	gw_fallback_free(gw->fallback);
	gw_buffers_end(&gw->buffers);
	free(gw);
}

static const struct rest_ops rest_ops = {
	.auth = gateway_auth,
	.request = gateway_request,
	.acl = gateway_acl,
	.reload = gateway_reload,
	.keep = gateway_keep,
};

static const struct store_ops gateway_ops = {
	.name = "driver",
	.rest = &rest_ops,
	.close = gateway_close,
};

static void show_numbers(struct metrics_source *source, struct azb_buf *out)
{
	struct gw *gw = (struct gw *)((char *)source - offsetof(struct gw, numbers));
	struct gw_port *port = gw_device_get(gw->device);

	gw_port_put(port);
	metrics_head(out, "azblob_gateway_device", "gauge", "1 while the device is there");
	azb_buf_printf(out, "azblob_gateway_device %d\n", port != NULL);
	metrics_head(out, "azblob_gateway_device_arrivals_total", "counter",
		     "how often the device came");
	azb_buf_printf(out, "azblob_gateway_device_arrivals_total %u\n",
		       gw_device_arrivals(gw->device));
	metrics_head(out, "azblob_gateway_requests_total", "counter", "requests, by their way");
	azb_buf_printf(out,
		       "azblob_gateway_requests_total{way=\"device\"} %llu\n"
		       "azblob_gateway_requests_total{way=\"fallback\"} %llu\n"
		       "azblob_gateway_requests_total{way=\"none\"} %llu\n",
		       (unsigned long long)atomic_load(&gw->by_device),
		       (unsigned long long)atomic_load(&gw->by_fallback),
		       (unsigned long long)atomic_load(&gw->unavailable));
	metrics_head(out, "azblob_gateway_unknown_total", "counter",
		     "requests that the device gave no answer to");
	azb_buf_printf(out, "azblob_gateway_unknown_total %llu\n",
		       (unsigned long long)atomic_load(&gw->unknown));
	metrics_head(out, "azblob_gateway_handles", "gauge", "bodies that go or come in parts");
	azb_buf_printf(out, "azblob_gateway_handles %d\n", atomic_load(&gw->handles));
	metrics_head(out, "azblob_gateway_parts_total", "counter", "parts that were sent");
	azb_buf_printf(out, "azblob_gateway_parts_total %llu\n",
		       (unsigned long long)atomic_load(&gw->parts));
	metrics_head(out, "azblob_gateway_touched_total", "counter",
		     "handles that were used only to keep them");
	azb_buf_printf(out, "azblob_gateway_touched_total %llu\n",
		       (unsigned long long)atomic_load(&gw->touched));
	metrics_head(out, "azblob_gateway_buffer_bytes", "gauge", "of large buffers, of --memory");
	azb_buf_printf(out, "azblob_gateway_buffer_bytes %zu\n", atomic_load(&gw->buffers.used));
	metrics_head(out, "azblob_gateway_small_buffer_bytes", "gauge", "of buffers of 256 KiB");
	azb_buf_printf(out, "azblob_gateway_small_buffer_bytes %zu\n",
		       atomic_load(&gw->buffers.used_small));
	metrics_head(out, "azblob_gateway_busy_total", "counter",
		     "requests refused for want of memory for bodies");
	azb_buf_printf(out, "azblob_gateway_busy_total %llu\n",
		       (unsigned long long)atomic_load(&gw->busy));
}

struct gw *gw_new(const struct gw_config *config, struct gw_fallback *fallback)
{
	struct gw *gw = calloc(1, sizeof(*gw));

	if (!gw) {
		gw_fallback_free(fallback);
		return NULL;
	}
	gw->store.ops = &gateway_ops;
	gw->config = *config;
	gw->fallback = fallback;
	gw->movers = link_pool_new(MOVERS);
	gw->numbers.show = show_numbers;
	if (gw_buffers_init(&gw->buffers, config->memory) && gw->movers) {
		gw->holder = gw_holder_new(gw, config->touch_ms);
		gw->device = gw_device_new(config->device);
		if (gw->device && gw->holder) {
			metrics_add(&gw->numbers);
			return gw;
		}
	}
	gw_device_free(gw->device);
	gw_holder_free(gw->holder);
	if (gw->movers)
		link_pool_free(gw->movers);
	gw_fallback_free(fallback);
	gw_buffers_end(&gw->buffers);
	free(gw);
	return NULL;
}
