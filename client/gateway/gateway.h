/* SPDX-License-Identifier: MIT */
/*
 * Inside azblob-gateway: the backend's HTTP door in front of a store that takes whole requests
 * (store/rest.h) and hands each of them to the driver as docs/payload.md says.
 *
 *   store.c     where a request goes        device.c    the device, which may come and go
 *   download.c  bodies that come back       exchange.c  one request through it
 *   upload.c    bodies that go              buffers.c   memory for bodies, with a limit
 *   fallback.c  HTTPS, while there is no device            held.c  handles of slow readers
 *   options.c, main.c, cert.c  the program
 *
 * Threads: workers of the HTTP door call the store and block; a pool of movers does what goes on
 * beside them, the parts of large bodies; held.c has its own.  A mover waits for nothing but the
 * device, so that whoever waits for a mover is never waited for.
 */
#ifndef AZG_GATEWAY_H
#define AZG_GATEWAY_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/metrics.h"
#include "door/head.h"
#include "door/link_pool.h"
#include "store/rest.h"
#include "store/store.h"

struct azblob_conn;
struct azc_pool;

/* ---------------------------------------------------------------- buffers.c */

/*
 * Two sizes of buffers.  Whoever has begun to move a body always gets a small one, since what may
 * have to wait for a slow client must not keep others from going on; large ones come out of a
 * budget.  A body may only begin while few small ones are in use.  So memory is at most the budget
 * and a few small ones for each body that was let in (docs/gateway.md).
 */
#define GW_SMALL ((size_t)256 << 10)
#define GW_LARGE ((size_t)4 << 20)
/* Bytes of small buffers below which bodies may begin, when the budget is less. */
#define GW_LEAST_SMALL ((size_t)64 << 20)

struct gw_buffers {
	struct azc_pool *pool;
	size_t limit; /* bytes of large buffers, and of small ones where a body begins */
	atomic_size_t used, used_small;
};

/* @limit: bytes for large buffers.  False: out of memory. */
bool gw_buffers_init(struct gw_buffers *buffers, size_t limit);
void gw_buffers_end(struct gw_buffers *buffers);
/*
 * A buffer for @want bytes or fewer: *@size is GW_SMALL or GW_LARGE, as the budget allows.  Starts
 * on a page; content undefined.  NULL: out of memory.
 */
void *gw_buffer_get(struct gw_buffers *buffers, size_t want, size_t *size);
/* No other body may begin now. */
bool gw_buffers_busy(struct gw_buffers *buffers);
/* @size as it came.  NULL is allowed. */
void gw_buffer_put(struct gw_buffers *buffers, void *buffer, size_t size);

/* ----------------------------------------------------------------- device.c */

struct gw_device;

/**
 * struct gw_port - one opening of the device
 * @conn: libazblob's, for requests that bring their heads and credentials along.
 *
 * Counted references.  It stays what it is: when the device has gone, requests fail with -ENODEV,
 * and gw_device_get() gives another one when it has come back.
 */
struct gw_port {
	struct azblob_conn *conn;
};

/*
 * Looks for the device at @path from now on, in a thread of its own.  NULL: out of memory.  What it
 * finds is logged.
 */
struct gw_device *gw_device_new(const char *path);
/* No port is in use any more. */
void gw_device_free(struct gw_device *device);
/* A reference to what is there now; NULL: no device, or one whose host does not know us. */
struct gw_port *gw_device_get(struct gw_device *device);
void gw_port_hold(struct gw_port *port);
void gw_port_put(struct gw_port *port); /* NULL is allowed */
/* The driver said that the device is not there any more: it is looked for anew. */
void gw_port_gone(struct gw_port *port);
/* For the metrics: how often it came. */
unsigned int gw_device_arrivals(const struct gw_device *device);

/* --------------------------------------------------------------- exchange.c */

/* The least room for a head that a host takes, with some for the text of an error. */
#define GW_RESPONSE_ROOM ((size_t)32 << 10)
/*
 * Of what changes something and has a body in its answer: a host refuses a batch without 4 KiB for
 * each of up to 256 requests.
 */
#define GW_LONG_RESPONSE_ROOM (((size_t)1 << 20) + GW_RESPONSE_ROOM)
#define GW_HANDLE_DIGITS 32

enum gw_outcome {
	GW_ANSWERED, /* there is an answer, whatever its status is */
	GW_REFUSED,  /* it has not happened, and would not at another try */
	GW_NOTHING,  /* it has not happened */
	GW_UNKNOWN,  /* it may have happened */
};

/**
 * struct gw_exchange - one request through the device
 * @head, @head_length: as it goes; page boundaries don't matter.
 * @body, @body_length: bytes to go with it, in a buffer of gw_buffer_get(); or
 * @room, @room_length: where bytes of the answer go, in such a buffer.
 * @response_room: for head and text of the answer.
 * @timeout_ms: for the host, 0 for ever.
 *
 * The rest is the answer, after GW_ANSWERED.
 * @headers: name, zero, value, zero and so on, without those of the link.
 * @text: a body that came behind the head.
 * @content_length: what the header says.
 * @sent: bytes in @room; @more: the body has others, and @handle reads them.
 * @no_handle: the host does not know the handle that the target names.
 * @lost: after a failure: the host may still use body or room, which have other memory now.
 * @reason: after a failure, one line.
 */
struct gw_exchange {
	const char *head;
	size_t head_length;
	void *body;
	size_t body_length;
	void *room;
	size_t room_length;
	size_t response_room;
	unsigned int timeout_ms;

	unsigned int status;
	struct azb_buf headers;
	struct azb_buf text;
	uint64_t content_length;
	uint64_t sent;
	bool more;
	bool no_handle;
	char handle[GW_HANDLE_DIGITS + 1];
	bool lost;
	char reason[160];
};

enum gw_outcome gw_exchange_do(struct gw_exchange *exchange, struct gw_port *port);
/* Frees the answer, and makes it ready for another one. */
void gw_exchange_reset(struct gw_exchange *exchange);

/*
 * The head as it goes to the device: what was sent, without what is between the client and us. With
 * @open a body goes or comes by handle.
 */
void gw_compose(struct azb_buf *out, const struct head *head, bool open);

/* ------------------------------------------------------------------- held.c */

struct gw;
struct gw_holder;

/**
 * struct gw_held - a handle that is read from; part of who reads
 * @used_ms: when it was last used.
 */
struct gw_held {
	struct gw_held *previous, *next;
	struct gw_port *port;
	const char *handle;
	atomic_llong used_ms;
};

/*
 * Uses what was not used for @every_ms, in threads of its own, and waits no longer than that for
 * the host.  It has to be less than half of what the host allows.  NULL: out of memory.
 */
struct gw_holder *gw_holder_new(struct gw *gw, unsigned int every_ms);
/* Nothing is held.  Waits for touches that are under way.  NULL is allowed. */
void gw_holder_free(struct gw_holder *holder);
/* From now on, until gw_unhold(). */
void gw_hold(struct gw_holder *holder, struct gw_held *held);
void gw_unhold(struct gw_holder *holder, struct gw_held *held);
void gw_held_used(struct gw_held *held);

/* ------------------------------------------------------------------ store.c */

struct gw_fallback;

/**
 * struct gw_config - what main() was told
 * @device: path of the node.
 * @memory: budget of large buffers in bytes.
 * @timeout_ms: that the host has for one request.
 * @touch_ms: how long a handle may rest; see held.c.
 */
struct gw_config {
	const char *device;
	size_t memory;
	unsigned int timeout_ms;
	unsigned int touch_ms;
};

/**
 * struct gw - the store
 * @movers: threads for parts.
 */
struct gw {
	struct store store;
	struct gw_config config;
	struct gw_device *device;
	struct gw_buffers buffers;
	struct link_pool *movers;
	struct gw_holder *holder;
	struct gw_fallback *fallback;
	struct metrics_source numbers;
	atomic_ullong by_device, by_fallback, unavailable, unknown, touched, parts, busy;
	atomic_int handles; /* open with the host */
};

/* Opens the store; @fallback (may be NULL) is its from then on.  NULL: out of memory. */
struct gw *gw_new(const struct gw_config *config, struct gw_fallback *fallback);

void gw_error(struct rest_error *error, unsigned int status, const char *code, const char *format,
	      ...) __attribute__((format(printf, 4, 5)));

/* What is answered for an exchange that brought no answer; @repeats: it does no harm twice. */
void gw_error_of(struct gw *gw, enum gw_outcome outcome, bool repeats,
		 const struct gw_exchange *exchange, struct rest_error *error);

/*
 * Tells the host, in its own time, that a handle is of no use any more.  When that fails, the
 * handle expires.
 */
void gw_forget(struct gw *gw, struct gw_port *port, const char *handle);

/* --------------------------------------------------------------- download.c */

/*
 * An answer of what came.  Takes the exchange's headers, text and handle over, and its room: @size
 * is that of the buffer.  NULL: out of memory, and the handle is forgotten.
 */
struct rest_answer *gw_download_make(struct gw *gw, struct gw_port *port,
				     struct gw_exchange *exchange, size_t size);

/* ----------------------------------------------------------------- upload.c */

/*
 * Begins to take the body of @request.  Returns an answer when one came already; or NULL with
 * *@upload set, or @error.
 */
struct rest_answer *gw_upload_begin(struct gw *gw, struct gw_port *port,
				    const struct rest_request *request, struct rest_upload **upload,
				    struct rest_error *error, enum gw_outcome *outcome);

#endif /* AZG_GATEWAY_H */
