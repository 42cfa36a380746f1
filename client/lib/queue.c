// SPDX-License-Identifier: MIT
/*
 * Queues.  A request's first try goes to the ring, where there is one; whoever takes completions
 * finds out what came of it.  A try that has to be repeated, which means waiting, goes on in a
 * thread, by the same rules as a blocking call.  Without a ring threads do all of it.
 */
#include "queue.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "azblob/vsp_wire.h"
#include "put.h"

#define DEFAULT_DEPTH 64u
/* Enough for a host at a moment's distance; each blocks for one request. */
#define MAX_THREADS 64u
/* The longest that a waiting thread overlooks that another one took the last completion. */
#define WAIT_SLICE_MS 500
/* Asks for a checksum of a range, by HTTP. */
#define RANGE_CRC "x-ms-range-get-content-crc64"

/* ---- the life of a request ---- */

static int is_cancelled(void *context, uint64_t done, uint64_t total)
{
	const struct azc_async *async = context;

	(void)done;
	(void)total;
	return atomic_load(&async->cancelled);
}

static void free_async(struct azc_async *async)
{
	azc_request_free(&async->request);
	azc_answer_reset(&async->answer);
	azc_op_end(&async->op);
	free(async);
}

/* Takes a slot.  What is built and fails before it was started goes back by drop(). */
static struct azc_async *new_async(azblob_queue *queue, enum azc_async_kind kind,
				   struct azblob_error *error)
{
	struct azc_async *async;
	unsigned int i;

	if (kind != AZC_ASYNC_RAW && queue->conn->transport->kind == AZBLOB_TRANSPORT_RAW) {
		azc_fail(error, AZBLOB_BAD_ARGUMENT, "this connection is for raw requests only");
		return NULL;
	}
	async = calloc(1, sizeof(*async));
	if (!async) {
		azc_fail_memory(error);
		return NULL;
	}
	async->queue = queue;
	async->kind = kind;
	async->state = AZC_ASYNC_RUNNING;
	atomic_init(&async->cancelled, false);
	azc_op_init(&async->op, queue->conn, is_cancelled, async, AZBLOB_SIZE_UNKNOWN);
	azc_op_unlist(&async->op);
	pthread_mutex_lock(&queue->lock);
	if (queue->used < queue->depth) {
		for (i = queue->hint; queue->slot[i]; i = (i + 1) % queue->depth)
			;
		queue->hint = (i + 1) % queue->depth;
		queue->slot[i] = async;
		queue->used++;
		async->id = queue->next_id++ << AZC_SLOT_BITS | i;
	}
	pthread_mutex_unlock(&queue->lock);
	if (async->id)
		return async;
	free_async(async);
	azc_fail(error, AZBLOB_RESOURCES, "the queue is full: %u requests are under way",
		 queue->depth);
	if (error)
		snprintf(error->code, sizeof(error->code), "QueueFull");
	return NULL;
}

static void drop(struct azc_async *async)
{
	azblob_queue *queue = async->queue;

	pthread_mutex_lock(&queue->lock);
	queue->slot[async->id & (AZC_MAX_DEPTH - 1)] = NULL;
	queue->used--;
	pthread_mutex_unlock(&queue->lock);
	free_async(async);
}

void azc_async_publish(struct azc_async *async)
{
	azblob_queue *queue = async->queue;
	uint64_t one = 1;

	if (queue->ring) {
		azc_ring_post(queue->ring, async);
		return;
	}
	pthread_mutex_lock(&queue->lock);
	async->next = NULL;
	*queue->last = async;
	queue->last = &async->next;
	/* A counter that can't overflow here does not fail. */
	if (queue->ended == async && write(queue->event, &one, sizeof(one)) < 0)
		abort();
	pthread_mutex_unlock(&queue->lock);
}

static void set_ended(struct azc_async *async, int result)
{
	pthread_mutex_lock(&async->queue->lock);
	async->state = AZC_ASYNC_ENDED;
	async->result = result;
	pthread_mutex_unlock(&async->queue->lock);
}

static int perform(struct azc_async *async)
{
	azblob_conn *conn = async->queue->conn;
	int result = azc_perform_again(&async->op, &async->request, &async->answer, async->tries,
				       &async->error);

	if (!result || !azc_is_unsupported(&async->error) ||
	    !azc_request_drop_field(&async->request, RANGE_CRC))
		return result;
	/* Rather unverified, which the completion says, than not at all. */
	atomic_store(&conn->no_range_crc, true);
	azc_error_clear(&async->error);
	return azc_perform_again(&async->op, &async->request, &async->answer, 0, &async->error);
}

/* @unsent: an ECANCELED means that the host never got it. */
static int end_raw(struct azc_async *async, int sys_result, bool unsent)
{
	return azc_raw_end(&async->wire, sys_result, unsent, atomic_load(&async->cancelled),
			   &async->raw_result, &async->error);
}

static int perform_raw(struct azc_async *async)
{
	return end_raw(async, azc_raw_submit(&async->op, &async->wire), true);
}

/* In a thread. */
static void run_async(struct azc_async *async)
{
	int result = async->kind == AZC_ASYNC_RAW ? perform_raw(async) : perform(async);

	set_ended(async, result);
	azc_async_publish(async);
}

/* To a thread; false when there can be none. */
static bool hand_over(struct azc_async *async)
{
	azblob_queue *queue = async->queue;
	bool good;

	pthread_mutex_lock(&queue->lock);
	good = azc_threads_push(queue->threads, async);
	pthread_mutex_unlock(&queue->lock);
	return good;
}

/* ---- the ring ---- */

/* Nothing was sent, and the ioctl may do what the command can't. */
static bool worth_a_thread(int result)
{
	return result == -ENOENT || result == -EFAULT || result == -EOPNOTSUPP;
}

static int start_on_ring(struct azc_async *async, struct azblob_error *error)
{
	azblob_conn *conn = async->queue->conn;
	const struct az_blob_request *wire = &async->wire;

	if (async->kind != AZC_ASYNC_RAW) {
		if (azc_prepare(&async->op, &async->request, error) ||
		    azc_flight_begin(conn, &async->request, async->op.timeout_ms, &async->flight,
				     error))
			return -1;
		wire = &async->flight.wire;
	}
	memcpy(async->guid, wire->guid, sizeof(async->guid));
	async->on_ring = true;
	if (!azc_ring_submit(async->queue->ring, wire, async))
		return 0;
	if (async->kind != AZC_ASYNC_RAW)
		azc_flight_drop(conn, &async->flight);
	return azc_fail(error, AZBLOB_RESOURCES, "the ring takes no more");
}

static int start(struct azc_async *async, uint64_t *id, struct azblob_error *error)
{
	/* It may be over, and taken by another thread, before this returns. */
	uint64_t mine = async->id;

	if (async->queue->ring) {
		if (start_on_ring(async, error)) {
			drop(async);
			return -1;
		}
	} else if (!hand_over(async)) {
		drop(async);
		return azc_fail(error, AZBLOB_RESOURCES, "no thread can be made");
	}
	if (id)
		*id = mine;
	azc_error_clear(error);
	return 0;
}

/* The command of it is over; true when it was cancelled before the host had it. */
static bool leave_ring(struct azc_async *async)
{
	bool unsent;

	pthread_mutex_lock(&async->queue->lock);
	async->on_ring = false;
	unsent = async->unsent;
	pthread_mutex_unlock(&async->queue->lock);
	return unsent;
}

/* A command ended: true when the request has, too. */
static bool finish_command(struct azc_async *async, const struct azc_ring_event *event)
{
	azblob_conn *conn = async->queue->conn;
	enum azc_verdict verdict = AZC_AGAIN;
	enum azc_failure failure;
	bool unsent = leave_ring(async);
	int result;

	if (async->kind == AZC_ASYNC_RAW) {
		if (worth_a_thread(event->result) && hand_over(async))
			return false;
		async->wire.response = event->response;
		set_ended(async, end_raw(async, event->result, unsent));
		return true;
	}
	if (worth_a_thread(event->result)) {
		azc_flight_drop(conn, &async->flight);
		azc_fail_errno(&async->error, AZBLOB_TRANSPORT, -event->result, "the driver");
	} else {
		async->flight.wire.response = event->response;
		async->flight.unsent = unsent;
		result = azc_flight_end(conn, &async->request, &async->flight, event->result,
					&async->answer, &failure, &async->error);
		verdict = azc_judge(&async->op, &async->request, &async->answer, !result, failure,
				    &async->error);
		azc_op_count(&async->op, false);
		async->tries = 1;
	}
	if (verdict == AZC_AGAIN && !atomic_load(&async->cancelled) && hand_over(async))
		return false;
	if (verdict != AZC_GOOD)
		azc_final_error(&async->op, &async->error);
	set_ended(async, verdict == AZC_GOOD ? 0 : -1);
	return true;
}

/* ---- completions ---- */

/* "bytes FIRST-LAST/TOTAL" */
static uint64_t total_of_range(const struct azc_answer *answer)
{
	const char *slash = strchr(azc_answer_text(answer, "Content-Range"), '/');
	uint64_t total = 0;

	if (!slash || !azc_parse_number(slash + 1, strlen(slash + 1), &total))
		azc_answer_number(answer, "Content-Length", &total);
	return total;
}

static void deliver(struct azc_async *async, struct azblob_completion *completion)
{
	const struct azc_answer *answer = &async->answer;

	memset(completion, 0, sizeof(*completion));
	completion->id = async->id;
	completion->context = async->context;
	completion->result = async->result;
	if (async->result)
		completion->error = async->error;
	completion->status = async->raw_result.status;
	completion->length = async->raw_result.answer_length;
	completion->retries = (uint32_t)async->op.retries;
	if (!async->result && async->kind == AZC_ASYNC_GET) {
		completion->length = answer->body_length;
		completion->verified = azc_answer_has_crc(async->queue->conn, answer);
		completion->blob_size = total_of_range(answer);
	}
	snprintf(completion->etag, sizeof(completion->etag), "%s", azc_answer_text(answer, "ETag"));
	drop(async);
}

static struct azc_async *take_ended(azblob_queue *queue)
{
	struct azc_async *async;
	uint64_t count;

	pthread_mutex_lock(&queue->lock);
	async = queue->ended;
	if (async) {
		queue->ended = async->next;
		if (!queue->ended) {
			queue->last = &queue->ended;
			if (read(queue->event, &count, sizeof(count)) < 0)
				abort();
		}
	}
	pthread_mutex_unlock(&queue->lock);
	return async;
}

int azblob_queue_poll(azblob_queue *queue, struct azblob_completion *completion)
{
	struct azc_ring_event event;
	struct azc_async *async;

	if (!queue->ring) {
		async = take_ended(queue);
		if (async)
			deliver(async, completion);
		return async != NULL;
	}
	while (azc_ring_take(queue->ring, &event)) {
		async = event.token;
		if (!event.posted && !finish_command(async, &event))
			continue;
		deliver(async, completion);
		return 1;
	}
	return 0;
}

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static bool is_empty(azblob_queue *queue)
{
	bool empty;

	pthread_mutex_lock(&queue->lock);
	empty = !queue->used;
	pthread_mutex_unlock(&queue->lock);
	return empty;
}

int azblob_queue_wait(azblob_queue *queue, int timeout_ms, struct azblob_completion *completion)
{
	int64_t end = timeout_ms < 0 ? INT64_MAX : now_ms() + timeout_ms;
	struct pollfd poll_fd = { .fd = azblob_queue_fd(queue), .events = POLLIN };

	for (;;) {
		int64_t left;

		if (azblob_queue_poll(queue, completion))
			return 1;
		left = end - now_ms();
		if (left <= 0 || is_empty(queue))
			return 0;
		poll(&poll_fd, 1, left < WAIT_SLICE_MS ? (int)left : WAIT_SLICE_MS);
	}
}

/* ---- submissions ---- */

static int take_options(struct azc_async *async, const struct azblob_submit_options *given,
			struct azblob_submit_options *options, struct azblob_error *error)
{
	memset(options, 0, sizeof(*options));
	if (given && azc_copy_options(options, sizeof(*options), given, given->struct_size))
		return azc_fail(
			error, AZBLOB_BAD_ARGUMENT,
			"the submit options hold something that this library does not know");
	async->context = options->context;
	if (options->timeout_ms)
		async->op.timeout_ms = options->timeout_ms;
	return azc_check_condition(options->if_match, "if_match", error);
}

static void build_get(struct azc_async *async, const char *container, const char *blob,
		      uint64_t offset, size_t length, void *buffer,
		      const struct azblob_submit_options *options)
{
	const azblob_conn *conn = async->queue->conn;
	struct azc_request *request = &async->request;
	char range[64];

	azc_request_init(request, "GET");
	azc_request_path(request, conn, container, blob);
	snprintf(range, sizeof(range), "bytes=%llu-%llu", (unsigned long long)offset,
		 (unsigned long long)(offset + length - 1));
	azc_request_field(request, "x-ms-range", range);
	azc_request_field(request, "If-Match", options->if_match);
	request->repeatable = true;
	request->checked = !conn->no_checksums;
	request->room = buffer;
	request->room_length = length;
	if (conn->no_checksums)
		return;
	if (conn->transport->link)
		azc_request_field(request, "Azblob-Crc64", "true");
	else if (length <= AZC_MAX_CHECKED_RANGE && !atomic_load(&conn->no_range_crc))
		azc_request_field(request, RANGE_CRC, "true");
}

int azblob_queue_get(azblob_queue *queue, const char *container, const char *blob, uint64_t offset,
		     size_t length, void *buffer, const struct azblob_submit_options *given,
		     uint64_t *id, struct azblob_error *error)
{
	size_t most = queue->conn->transport->part_max;
	struct azblob_submit_options options;
	struct azc_async *async;

	if (azc_check_container(container, error) || azc_check_blob(blob, error))
		return -1;
	if (!length || length > most || offset > UINT64_MAX - length || !buffer)
		return azc_fail(error, AZBLOB_BAD_ARGUMENT,
				"a read of %zu bytes from %llu: must be 1 to %zu, into a buffer",
				length, (unsigned long long)offset, most);
	async = new_async(queue, AZC_ASYNC_GET, error);
	if (!async)
		return -1;
	if (take_options(async, given, &options, error)) {
		drop(async);
		return -1;
	}
	build_get(async, container, blob, offset, length, buffer, &options);
	return start(async, id, error);
}

int azblob_queue_put_block(azblob_queue *queue, const char *container, const char *blob,
			   const char *block_id, const void *data, size_t size,
			   const struct azblob_submit_options *given, uint64_t *id,
			   struct azblob_error *error)
{
	struct azblob_submit_options options;
	struct azc_async *async = new_async(queue, AZC_ASYNC_PUT_BLOCK, error);

	if (!async)
		return -1;
	if (take_options(async, given, &options, error) ||
	    azc_put_block_request(&async->request, queue->conn, container, blob, block_id, data,
				  size, error)) {
		drop(async);
		return -1;
	}
	return start(async, id, error);
}

int azblob_queue_request(azblob_queue *queue, const struct azblob_raw_request *request,
			 const struct azblob_submit_options *given, uint64_t *id,
			 struct azblob_error *error)
{
	struct azblob_submit_options options;
	struct azc_async *async = new_async(queue, AZC_ASYNC_RAW, error);

	if (!async)
		return -1;
	if (take_options(async, given, &options, error) ||
	    azc_raw_begin(queue->conn, request, &async->wire, error)) {
		drop(async);
		return -1;
	}
	return start(async, id, error);
}

/* ---- queues ---- */

static int fill(azblob_queue *queue, bool no_ring, struct azblob_error *error)
{
	queue->slot = calloc(queue->depth, sizeof(struct azc_async *));
	if (!queue->slot)
		return azc_fail_memory(error);
	if (!no_ring)
		queue->ring = azc_ring_new(queue->conn, queue->depth);
	if (!queue->ring)
		queue->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (!queue->ring && queue->event < 0)
		return azc_fail_errno(error, AZBLOB_RESOURCES, errno, "no eventfd");
	/* With a ring they are for repetitions only, and may have to do without. */
	queue->threads = azc_threads_new(queue->depth < MAX_THREADS ? queue->depth : MAX_THREADS,
					 !queue->ring, run_async, &queue->lock);
	if (!queue->threads)
		return azc_fail(error, AZBLOB_RESOURCES, "out of memory, or of threads");
	return 0;
}

int azblob_queue_new(azblob_conn *conn, const struct azblob_queue_options *given,
		     azblob_queue **result, struct azblob_error *error)
{
	struct azblob_queue_options options = { 0 };
	azblob_queue *queue;

	if (given && azc_copy_options(&options, sizeof(options), given, given->struct_size))
		return azc_fail(error, AZBLOB_BAD_ARGUMENT,
				"the queue options hold something that this library does not know");
	if (options.depth > AZC_MAX_DEPTH)
		return azc_fail(error, AZBLOB_BAD_ARGUMENT,
				"a queue of %u requests: must be 1 to %u", options.depth,
				AZC_MAX_DEPTH);
	queue = calloc(1, sizeof(*queue));
	if (!queue)
		return azc_fail_memory(error);
	queue->conn = conn;
	queue->depth = options.depth ? options.depth : DEFAULT_DEPTH;
	queue->next_id = 1;
	queue->event = -1;
	queue->last = &queue->ended;
	pthread_mutex_init(&queue->lock, NULL);
	if (fill(queue, options.threads, error)) {
		azblob_queue_free(queue);
		return -1;
	}
	azc_error_clear(error);
	*result = queue;
	return 0;
}

void azblob_queue_free(azblob_queue *queue)
{
	struct azblob_completion completion;

	if (!queue)
		return;
	if (queue->threads) {
		azc_queue_cancel_all(queue);
		while (azblob_queue_wait(queue, -1, &completion))
			;
	}
	azc_threads_free(queue->threads);
	azc_canceller_free(queue->canceller);
	azc_ring_free(queue->ring);
	if (queue->event >= 0)
		close(queue->event);
	pthread_mutex_destroy(&queue->lock);
	free(queue->slot);
	free(queue);
}

enum azblob_queue_kind azblob_queue_kind(const azblob_queue *queue)
{
	return queue->ring ? AZBLOB_QUEUE_URING : AZBLOB_QUEUE_THREADS;
}

int azblob_queue_fd(const azblob_queue *queue)
{
	return queue->ring ? azc_ring_fd(queue->ring) : queue->event;
}
