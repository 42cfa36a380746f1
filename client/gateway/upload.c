// SPDX-License-Identifier: MIT
/*
 * Bodies that go.  One that fits a buffer goes with its head when it is complete; others go by a
 * handle, in parts that travel side by side while more comes in.  With "Expect: 100-continue" it is
 * always a handle, since the client wants to hear what its head alone is worth.
 */
#include "gateway.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/waiting.h"
#include "fallback.h"

/* Parts of one body under way at once. */
#define MAX_FLYING 4u
/* A commit whose answer was lost is asked for again: the host keeps it (docs/payload.md). */
#define COMMITS 3u

/**
 * struct upload
 * @head: as it goes to the device.
 * @whole: it goes in one request.
 * @buffer, @size, @have: of the bytes that come in now; @at: the body's offset of what is next.
 * @used_ms: when the handle was last used.
 * @lock: protects what follows it.
 * @flying: parts under way.
 * @failure: the first that went wrong; GW_ANSWERED together with @answer: the host said so.
 */
struct upload {
	struct rest_upload pub;
	struct gw *gw;
	struct gw_port *port;
	struct azb_buf head;
	size_t response_room;
	bool repeats, whole;
	char handle[GW_HANDLE_DIGITS + 1];
	void *buffer;
	size_t size, have;
	uint64_t at;
	long long used_ms;

	pthread_mutex_t lock;
	pthread_cond_t changed;
	unsigned int flying;
	bool failed;
	enum gw_outcome failure;
	struct rest_answer *answer;
	char reason[160];
};

/* On its way, or to be sent. */
struct part {
	struct link_job job;
	struct upload *upload;
	void *buffer;
	size_t size, length;
	uint64_t offset;
};

static long long now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	return (long long)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void destroy(struct upload *u)
{
	gw_buffer_put(&u->gw->buffers, u->buffer, u->size);
	if (u->answer)
		u->answer->close(u->answer);
	gw_port_put(u->port);
	azb_buf_free(&u->head);
	pthread_cond_destroy(&u->changed);
	pthread_mutex_destroy(&u->lock);
	free(u);
}

/*
 * The host does not know the handle any more: it was started anew, or the time of the handle has
 * passed.  That is between us and it, and no answer for a client.
 */
static bool is_forgotten(enum gw_outcome outcome, struct gw_exchange *exchange)
{
	if (outcome != GW_ANSWERED || !exchange->no_handle)
		return false;
	gw_exchange_reset(exchange);
	snprintf(exchange->reason, sizeof(exchange->reason),
		 "the host has forgotten what it was sent of the body");
	return true;
}

/* The first failure is the one that is told. */
static void fail(struct upload *u, enum gw_outcome outcome, struct gw_exchange *exchange)
{
	struct rest_answer *answer = NULL;

	if (is_forgotten(outcome, exchange))
		outcome = GW_NOTHING;
	if (outcome == GW_ANSWERED)
		answer = gw_download_make(u->gw, u->port, exchange, 0);
	pthread_mutex_lock(&u->lock);
	if (!u->failed) {
		u->failed = true;
		u->failure = outcome;
		u->answer = answer;
		answer = NULL;
		snprintf(u->reason, sizeof(u->reason), "%s", exchange->reason);
	}
	pthread_mutex_unlock(&u->lock);
	if (answer)
		answer->close(answer);
}

/* ------------------------------------------------------------------- parts */

static void send_part(struct part *part)
{
	struct upload *u = part->upload;
	struct gw_exchange exchange = { .body = part->buffer,
					.body_length = part->length,
					.response_room = GW_RESPONSE_ROOM,
					.timeout_ms = u->gw->config.timeout_ms };
	enum gw_outcome outcome;
	char head[160];

	exchange.head = head;
	exchange.head_length = (size_t)snprintf(head, sizeof(head),
						"PUT /.azblob/%s?offset=%" PRIu64
						" HTTP/1.1\r\nHost: localhost\r\n"
						"Content-Length: %zu\r\n\r\n",
						u->handle, part->offset, part->length);
	outcome = gw_exchange_do(&exchange, u->port);
	if (outcome != GW_ANSWERED || exchange.status != 202)
		fail(u, outcome, &exchange);
	gw_exchange_reset(&exchange);
}

static void part_run(struct link_job *job)
{
	struct part *part = (struct part *)job;
	struct upload *u = part->upload;

	send_part(part);
	atomic_fetch_add(&u->gw->parts, 1);
	gw_buffer_put(&u->gw->buffers, part->buffer, part->size);
	free(part);
	pthread_mutex_lock(&u->lock);
	u->flying--;
	pthread_cond_broadcast(&u->changed);
	pthread_mutex_unlock(&u->lock);
}

/* Waits until at most @flying parts are under way.  False: something failed. */
static bool wait_parts(struct upload *u, unsigned int flying)
{
	bool good;

	pthread_mutex_lock(&u->lock);
	while (u->flying > flying) {
		azb_waiting_begin();
		pthread_cond_wait(&u->changed, &u->lock);
		azb_waiting_end();
	}
	good = !u->failed;
	pthread_mutex_unlock(&u->lock);
	return good;
}

/* Sends what is in the buffer off.  0 or -errno. */
static int launch(struct upload *u)
{
	struct part *part;

	if (!wait_parts(u, MAX_FLYING - 1))
		return -EIO;
	part = malloc(sizeof(*part));
	if (!part)
		return -ENOMEM;
	*part = (struct part){ .job.run = part_run,
			       .upload = u,
			       .buffer = u->buffer,
			       .size = u->size,
			       .length = u->have,
			       .offset = u->at - u->have };
	u->buffer = NULL;
	u->have = 0;
	u->used_ms = now_ms();
	pthread_mutex_lock(&u->lock);
	u->flying++;
	pthread_mutex_unlock(&u->lock);
	link_pool_submit(u->gw->movers, NULL, &part->job);
	return 0;
}

/* -------------------------------------------------------------- the verbs */

/* The door brings a body in order, each byte once. */
static int upload_write(struct rest_upload *pub, uint64_t offset, const struct iovec *iov,
			int count, unsigned int flags, const uint64_t *expect, uint64_t *crc64)
{
	struct upload *u = (struct upload *)pub;
	int error;

	(void)flags;
	if (offset != u->at || expect || crc64)
		return -EINVAL;
	for (int i = 0; i < count; i++) {
		const char *from = iov[i].iov_base;
		size_t left = iov[i].iov_len;

		if (left > u->pub.length - u->at)
			return -EINVAL;
		while (left) {
			size_t n;

			if (!u->buffer) {
				uint64_t more = u->pub.length - u->at;

				u->buffer = gw_buffer_get(&u->gw->buffers,
							  more < GW_LARGE ? (size_t)more : GW_LARGE,
							  &u->size);
				if (!u->buffer)
					return -ENOMEM;
			}
			n = left < u->size - u->have ? left : u->size - u->have;
			memcpy((char *)u->buffer + u->have, from, n);
			from += n;
			left -= n;
			u->have += n;
			u->at += n;
			/* what a slow client has sent goes early: no handle is kept for ever */
			if (u->whole || (u->have < u->size && u->at < u->pub.length &&
					 now_ms() - u->used_ms < u->gw->config.touch_ms))
				continue;
			error = launch(u);
			if (error)
				return error;
		}
	}
	return 0;
}

/* What an exchange that was to end it came to; its answer, or NULL with @error. */
static struct rest_answer *conclude(struct upload *u, enum gw_outcome outcome,
				    struct gw_exchange *exchange, struct rest_error *error)
{
	struct rest_answer *answer = NULL;

	if (outcome == GW_ANSWERED) {
		answer = gw_download_make(u->gw, u->port, exchange, 0);
		if (!answer)
			gw_error(error, 503, "ServerBusy", "The gateway is out of memory.");
	} else {
		gw_error_of(u->gw, outcome, u->repeats, exchange, error);
	}
	gw_exchange_reset(exchange);
	return answer;
}

static struct rest_answer *finish_whole(struct upload *u, struct rest_error *error)
{
	struct gw_exchange exchange = { .head = u->head.data,
					.head_length = u->head.length,
					.body = u->buffer,
					.body_length = u->have,
					.response_room = u->response_room,
					.timeout_ms = u->gw->config.timeout_ms };
	enum gw_outcome outcome = gw_exchange_do(&exchange, u->port);
	struct rest_answer *answer;

	if (outcome == GW_NOTHING || (outcome == GW_UNKNOWN && !exchange.lost)) {
		bool tried;

		answer = gw_fallback_body(u->gw, &u->head, outcome == GW_UNKNOWN, u->buffer,
					  u->have, &tried, error);
		if (tried)
			return answer;
	}
	return conclude(u, outcome, &exchange, error);
}

static struct rest_answer *finish_parts(struct upload *u, struct rest_error *error)
{
	char head[128];
	struct gw_exchange exchange = { .head = head,
					.response_room = u->response_room,
					.timeout_ms = u->gw->config.timeout_ms };
	enum gw_outcome outcome = GW_NOTHING;
	bool unsure = false; /* at some try it may have happened */
	bool ended = false;

	exchange.head_length = (size_t)snprintf(
		head, sizeof(head), "POST /.azblob/%s?commit HTTP/1.1\r\nHost: localhost\r\n\r\n",
		u->handle);
	for (unsigned int i = 0; i < COMMITS && !ended; i++) {
		outcome = gw_exchange_do(&exchange, u->port);
		ended = outcome == GW_ANSWERED || outcome == GW_REFUSED;
		/* a handle may also be unknown now because it was committed before */
		if (is_forgotten(outcome, &exchange))
			outcome = GW_NOTHING;
		unsure |= outcome == GW_UNKNOWN;
	}
	/* that the last try did nothing says nothing of those before it */
	if (unsure && outcome != GW_ANSWERED)
		outcome = GW_UNKNOWN;
	/* a commit that failed leaves the handle; one that succeeded, its answer for a while */
	gw_forget(u->gw, u->port, u->handle);
	return conclude(u, outcome, &exchange, error);
}

/* The answer, or NULL with @error, for what has gone wrong before the end: nothing has happened. */
static struct rest_answer *told(struct upload *u, struct rest_error *error)
{
	struct rest_answer *answer = u->answer;
	struct gw_exchange exchange = { .status = 0 };

	u->answer = NULL;
	if (answer)
		return answer;
	snprintf(exchange.reason, sizeof(exchange.reason), "%s",
		 *u->reason ? u->reason : "out of memory");
	gw_error_of(u->gw, u->failure == GW_REFUSED ? GW_REFUSED : GW_NOTHING, true, &exchange,
		    error);
	return NULL;
}

static void upload_abort(struct rest_upload *pub)
{
	struct upload *u = (struct upload *)pub;

	(void)wait_parts(u, 0);
	if (*u->handle)
		gw_forget(u->gw, u->port, u->handle);
	destroy(u);
}

static struct rest_answer *upload_finish(struct rest_upload *pub, struct rest_error *error,
					 bool *incomplete)
{
	struct upload *u = (struct upload *)pub;
	struct rest_answer *answer;

	*incomplete = u->at < u->pub.length;
	if (*incomplete)
		return NULL;
	if (u->whole) {
		answer = finish_whole(u, error);
	} else if (!wait_parts(u, 0)) {
		answer = told(u, error);
		upload_abort(pub);
		return answer;
	} else {
		answer = finish_parts(u, error);
	}
	destroy(u);
	return answer;
}

static struct rest_answer *upload_fail(struct rest_upload *pub, struct rest_error *error)
{
	struct upload *u = (struct upload *)pub;

	(void)wait_parts(u, 0);
	return told(u, error);
}

static const struct rest_upload_ops upload_ops = {
	.write = upload_write,
	.finish = upload_finish,
	.fail = upload_fail,
	.abort = upload_abort,
};

/* Asks for a handle.  Otherwise as gw_upload_begin(). */
static struct rest_answer *open_handle(struct upload *u, struct rest_error *error,
				       enum gw_outcome *outcome)
{
	struct gw_exchange exchange = { .head = u->head.data,
					.head_length = u->head.length,
					.response_room = u->response_room,
					.timeout_ms = u->gw->config.timeout_ms };
	struct rest_answer *answer = NULL;

	*outcome = gw_exchange_do(&exchange, u->port);
	/* 202 is an answer of some operations too; the handle tells them apart */
	if (*outcome == GW_ANSWERED && exchange.status == 202 && *exchange.handle) {
		memcpy(u->handle, exchange.handle, sizeof(u->handle));
		u->used_ms = now_ms();
		atomic_fetch_add(&u->gw->handles, 1);
		gw_exchange_reset(&exchange);
		return NULL;
	}
	/* only opened: whatever became of it, nothing has happened */
	if (*outcome == GW_UNKNOWN)
		*outcome = GW_NOTHING;
	answer = conclude(u, *outcome, &exchange, error);
	return answer;
}

struct rest_answer *gw_upload_begin(struct gw *gw, struct gw_port *port,
				    const struct rest_request *request, struct rest_upload **upload,
				    struct rest_error *error, enum gw_outcome *outcome)
{
	const struct head *head = request->head;
	uint64_t length = (uint64_t)head->content_length;
	struct upload *u = calloc(1, sizeof(*u));
	struct rest_answer *answer;

	*outcome = GW_ANSWERED;
	gw_error(error, 503, "ServerBusy", "The gateway is out of memory.");
	if (!u)
		return NULL;
	pthread_mutex_init(&u->lock, NULL);
	pthread_cond_init(&u->changed, NULL);
	u->pub.ops = &upload_ops;
	u->pub.length = length;
	u->gw = gw;
	u->port = port;
	gw_port_hold(port);
	u->repeats = gw_repeats(head, request->target);
	u->response_room =
		head_str_is(&head->method, "POST") ? GW_LONG_RESPONSE_ROOM : GW_RESPONSE_ROOM;
	u->buffer = gw_buffer_get(&gw->buffers, length < GW_LARGE ? (size_t)length : GW_LARGE,
				  &u->size);
	u->whole = u->buffer && length <= u->size && !head->expect_continue;
	gw_compose(&u->head, head, !u->whole);
	if (!u->buffer || u->head.failed) {
		destroy(u);
		return NULL;
	}
	if (u->whole) {
		*upload = &u->pub;
		return NULL;
	}
	answer = open_handle(u, error, outcome);
	if (*u->handle)
		*upload = &u->pub;
	else
		destroy(u);
	return answer;
}
