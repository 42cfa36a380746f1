/* SPDX-License-Identifier: MIT */
/* What the files of the queues share. */
#ifndef AZC_QUEUE_H
#define AZC_QUEUE_H

#include "ring.h"

#define AZC_MAX_DEPTH 4096u
/* An id is a number that is never used again, above the slot's. */
#define AZC_SLOT_BITS 12

struct azc_threads;
struct azc_canceller;

enum azc_async_kind {
	AZC_ASYNC_GET,
	AZC_ASYNC_PUT_BLOCK,
	AZC_ASYNC_RAW,
};

enum azc_async_state {
	AZC_ASYNC_WAITING, /* in the line for a thread */
	AZC_ASYNC_RUNNING, /* a thread or the ring has it */
	AZC_ASYNC_ENDED,   /* its completion is on its way to the caller */
};

/**
 * struct azc_async - a request from its submission until its completion was taken
 * @next: in the line, or in the list of those that ended; under the queue's lock.
 * @state: under the queue's lock.
 * @cancelled: read by progress functions, in any thread.
 * @op, @request, @answer: of typed requests; @op's progress function tells of @cancelled.
 * @flight: of the try that the ring has.
 * @wire, @raw_result: of raw ones.
 * @guid: of the try that the ring has while @on_ring is set; under the queue's lock.
 * @unsent: that try was cancelled before the host had it; under the queue's lock.
 * @chased: cancelled while it was on its way to the driver; under the queue's lock.
 * @looks: for it on the ring since then.
 * @tries: made so far, and failed.
 * @result, @error: how it ended.
 */
struct azc_async {
	struct azc_async *next;
	azblob_queue *queue;
	uint64_t id;
	void *context;
	enum azc_async_kind kind;
	enum azc_async_state state;
	atomic_bool cancelled;
	struct azc_op op;
	struct azc_request request;
	struct azc_answer answer;
	struct azc_flight flight;
	struct az_blob_request wire;
	struct azblob_raw_result raw_result;
	uint8_t guid[16];
	bool on_ring;
	bool unsent;
	bool chased;
	unsigned int looks;
	unsigned int tries;
	int result;
	struct azblob_error error;
};

/**
 * struct azblob_queue - see azblob_queue.h
 * @lock: protects everything below it, and the states of requests.
 * @slot: @depth pointers, NULL where free.
 * @used: slots in use.
 * @ended, @last: without a ring: those whose completion waits for the caller; @event is readable
 *	as long as there are any.
 * @canceller: made when it is needed.
 */
struct azblob_queue {
	azblob_conn *conn;
	struct azc_ring *ring;
	struct azc_threads *threads;
	struct azc_canceller *canceller;
	int event;
	unsigned int depth;
	pthread_mutex_t lock;
	struct azc_async **slot;
	unsigned int used;
	unsigned int hint;
	uint64_t next_id;
	struct azc_async *ended;
	struct azc_async **last;
};

/* The caller can take its completion from now on. */
void azc_async_publish(struct azc_async *async);

/* ---- cancellation (queue_cancel.c) ---- */

/* Everything that has not ended. */
void azc_queue_cancel_all(azblob_queue *queue);
/* Nothing is under way; NULL is allowed. */
void azc_canceller_free(struct azc_canceller *canceller);

/* ---- threads (queue_threads.c) ---- */

/*
 * At most @limit threads, made when there is work for them; @run is called for each.  NULL when out
 * of memory or when @eager, which makes the first one at once, finds none.
 */
struct azc_threads *azc_threads_new(unsigned int limit, bool eager,
				    void (*run)(struct azc_async *async), pthread_mutex_t *lock);
/* Nobody is in the line.  Waits for the threads; the lock is not held. */
void azc_threads_free(struct azc_threads *threads);
/* Into the line; the lock is held.  False when there is no thread and none can be made. */
bool azc_threads_push(struct azc_threads *threads, struct azc_async *async);
/* Out of it; the lock is held.  False when a thread has it. */
bool azc_threads_withdraw(struct azc_threads *threads, struct azc_async *async);

#endif /* AZC_QUEUE_H */
