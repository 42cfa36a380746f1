// SPDX-License-Identifier: MIT
/* Bodies that come back: what came with the head, then parts fetched ahead of the reader. */
#include "gateway.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/waiting.h"

/* Parts in memory or under way for one body. */
#define SLOTS 4u

enum slot_state {
	SLOT_FLYING,
	SLOT_FULL,
	SLOT_FAILED,
};

struct download;

struct slot {
	struct link_job job;
	struct download *download;
	enum slot_state state;
	void *buffer;
	size_t size;
	uint64_t offset;
	size_t length;
};

/**
 * struct download - an answer whose body is in buffers
 * @lock: protects what follows it.
 * @changed: a slot is not flying any more.
 * @references: of the answer, and of each job that is under way.
 * @first, @count: the slots in use, in a ring: the first is the one that is read.
 * @next: where the next part begins.
 * @closed: nobody wants it any more.
 */
struct download {
	struct rest_answer pub;
	struct gw *gw;
	struct gw_port *port;
	char handle[GW_HANDLE_DIGITS + 1];
	struct gw_held held;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	unsigned int references;
	unsigned int first, count;
	uint64_t next;
	bool closed;
	struct slot slot[SLOTS];
};

static void destroy(struct download *d)
{
	for (unsigned int i = 0; i < d->count; i++) {
		struct slot *slot = &d->slot[(d->first + i) % SLOTS];

		gw_buffer_put(&d->gw->buffers, slot->buffer, slot->size);
	}
	if (*d->handle) {
		gw_unhold(d->gw->holder, &d->held);
		gw_forget(d->gw, d->port, d->handle);
	}
	gw_port_put(d->port);
	azb_buf_free(&d->pub.headers);
	azb_buf_free(&d->pub.body);
	pthread_cond_destroy(&d->changed);
	pthread_mutex_destroy(&d->lock);
	free(d);
}

/* With the lock held, which is gone after it. */
static void put_unlock(struct download *d)
{
	bool last = !--d->references;

	pthread_mutex_unlock(&d->lock);
	if (last)
		destroy(d);
}

static void download_close(struct rest_answer *answer)
{
	struct download *d = (struct download *)answer;

	pthread_mutex_lock(&d->lock);
	d->closed = true;
	put_unlock(d);
}

/* On a mover: one part. */
static void fetch(struct link_job *job)
{
	struct slot *slot = (struct slot *)job;
	struct download *d = slot->download;
	struct gw_exchange exchange = { .room = slot->buffer,
					.room_length = slot->length,
					.response_room = GW_RESPONSE_ROOM,
					.timeout_ms = d->gw->config.timeout_ms };
	enum gw_outcome outcome = GW_NOTHING;
	char head[160];
	bool good, closed;

	pthread_mutex_lock(&d->lock);
	closed = d->closed;
	pthread_mutex_unlock(&d->lock);
	exchange.head = head;
	exchange.head_length = (size_t)snprintf(head, sizeof(head),
						"GET /.azblob/%s?offset=%" PRIu64
						"&length=%zu HTTP/1.1\r\nHost: localhost\r\n\r\n",
						d->handle, slot->offset, slot->length);
	if (!closed) {
		gw_held_used(&d->held);
		outcome = gw_exchange_do(&exchange, d->port);
	}
	good = outcome == GW_ANSWERED && exchange.status == 206 && exchange.sent == slot->length;
	if (!good && !closed)
		azb_log(AZB_LOG_WARNING, "the rest of a body did not come: %s",
			outcome == GW_ANSWERED ? "the host has forgotten it" : exchange.reason);
	gw_exchange_reset(&exchange);
	pthread_mutex_lock(&d->lock);
	slot->state = good ? SLOT_FULL : SLOT_FAILED;
	pthread_cond_broadcast(&d->changed);
	put_unlock(d);
}

/* With the lock held: sends for parts, as far as there is room.  False: out of memory. */
static bool fetch_ahead(struct download *d)
{
	while (d->count < SLOTS && d->next < d->pub.body_length) {
		struct slot *slot = &d->slot[(d->first + d->count) % SLOTS];
		uint64_t left = d->pub.body_length - d->next;
		size_t size;
		void *buffer = gw_buffer_get(&d->gw->buffers,
					     left < GW_LARGE ? (size_t)left : GW_LARGE, &size);

		if (!buffer)
			return d->count > 0;
		/* memory is short: one part after the other then */
		if (size == GW_SMALL && left > GW_SMALL && d->count) {
			gw_buffer_put(&d->gw->buffers, buffer, size);
			return true;
		}
		slot->job.run = fetch;
		slot->download = d;
		slot->state = SLOT_FLYING;
		slot->buffer = buffer;
		slot->size = size;
		slot->offset = d->next;
		slot->length = left < size ? (size_t)left : size;
		d->next += slot->length;
		d->count++;
		d->references++;
		link_pool_submit(d->gw->movers, NULL, &slot->job);
	}
	return true;
}

/* In a row, by one reader: what was given before is given up. */
static ssize_t download_piece(struct rest_answer *answer, uint64_t offset, const void **bytes)
{
	struct download *d = (struct download *)answer;
	ssize_t result = -EIO;
	struct slot *slot;

	if (offset >= d->pub.body_length)
		return 0;
	pthread_mutex_lock(&d->lock);
	for (;;) {
		slot = &d->slot[d->first];
		if (!d->count || slot->state == SLOT_FLYING || offset < slot->offset + slot->length)
			break;
		gw_buffer_put(&d->gw->buffers, slot->buffer, slot->size);
		d->first = (d->first + 1) % SLOTS;
		d->count--;
	}
	if (fetch_ahead(d) && d->count) {
		slot = &d->slot[d->first];
		while (slot->state == SLOT_FLYING) {
			azb_waiting_begin();
			pthread_cond_wait(&d->changed, &d->lock);
			azb_waiting_end();
		}
		if (slot->state == SLOT_FULL && offset >= slot->offset) {
			uint64_t at = offset - slot->offset;

			*bytes = (char *)slot->buffer + at;
			result = (ssize_t)(slot->length - at);
		}
	}
	pthread_mutex_unlock(&d->lock);
	return result;
}

static ssize_t download_read(struct rest_answer *answer, uint64_t offset, const struct iovec *iov,
			     int count)
{
	ssize_t total = 0;

	for (int i = 0; i < count; i++) {
		size_t done = 0;

		while (done < iov[i].iov_len) {
			const void *bytes;
			ssize_t n = download_piece(answer, offset + (uint64_t)total, &bytes);

			if (n <= 0)
				return n < 0 ? n : total;
			if ((size_t)n > iov[i].iov_len - done)
				n = (ssize_t)(iov[i].iov_len - done);
			memcpy((char *)iov[i].iov_base + done, bytes, (size_t)n);
			done += (size_t)n;
			total += n;
		}
	}
	return total;
}

static void plain_close(struct rest_answer *answer)
{
	azb_buf_free(&answer->headers);
	azb_buf_free(&answer->body);
	free(answer);
}

/* One whose body, if any, came behind its head. */
static struct rest_answer *make_plain(struct gw_exchange *exchange)
{
	struct rest_answer *answer = calloc(1, sizeof(*answer));

	if (!answer)
		return NULL;
	answer->status = exchange->status;
	answer->headers = exchange->headers;
	answer->content_length = exchange->content_length;
	answer->body_length = exchange->text.length;
	answer->body = exchange->text;
	answer->close = plain_close;
	exchange->headers = exchange->text = (struct azb_buf){ 0 };
	return answer;
}

struct rest_answer *gw_download_make(struct gw *gw, struct gw_port *port,
				     struct gw_exchange *exchange, size_t size)
{
	struct download *d;

	if (!exchange->sent && !exchange->more) {
		struct rest_answer *answer = make_plain(exchange);

		gw_buffer_put(&gw->buffers, exchange->room, size);
		gw_exchange_reset(exchange);
		return answer;
	}
	if (exchange->more)
		atomic_fetch_add(&gw->handles, 1);
	d = calloc(1, sizeof(*d));
	if (!d) {
		if (exchange->more)
			gw_forget(gw, port, exchange->handle);
		gw_buffer_put(&gw->buffers, exchange->room, size);
		gw_exchange_reset(exchange);
		return NULL;
	}
	pthread_mutex_init(&d->lock, NULL);
	pthread_cond_init(&d->changed, NULL);
	d->pub.status = exchange->status;
	d->pub.headers = exchange->headers;
	d->pub.content_length = d->pub.body_length = exchange->content_length;
	d->pub.read = download_read;
	d->pub.piece = download_piece;
	d->pub.close = download_close;
	d->gw = gw;
	d->port = port;
	gw_port_hold(port);
	if (exchange->more) {
		memcpy(d->handle, exchange->handle, sizeof(d->handle));
		d->held.port = port;
		d->held.handle = d->handle;
		gw_hold(gw->holder, &d->held);
	}
	d->references = 1;
	d->count = 1;
	d->slot[0] = (struct slot){ .state = SLOT_FULL,
				    .buffer = exchange->room,
				    .size = size,
				    .length = (size_t)exchange->sent };
	d->next = exchange->sent;
	exchange->headers = (struct azb_buf){ 0 };
	gw_exchange_reset(exchange);
	pthread_mutex_lock(&d->lock);
	(void)fetch_ahead(d);
	pthread_mutex_unlock(&d->lock);
	return &d->pub;
}
