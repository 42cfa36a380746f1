// SPDX-License-Identifier: MIT
/*
 * Cancellation.  What waits for a thread is taken out of the line; what the driver has is ended by
 * the driver, or by the host when it has that, and then completes as everything does.
 *
 * A thread that is about to enter the driver can't be found there yet.  Nobody waits for it here,
 * since submissions and cancellations don't block: a thread of its own asks again until the driver
 * knows the request or the request is over.
 */
#include "queue.h"

#include <signal.h>
#include <stdlib.h>
#include <time.h>

#define STACK_SIZE ((size_t)128 << 10)
/* Between two looks, more and more rarely. */
#define FIRST_LOOK_MS 1
#define LAST_LOOK_MS 64
/* At a request that the ring has. */
#define RING_LOOKS 100u

/**
 * struct azc_canceller - the thread that asks again
 * @work: signalled when there is something @chased, and when @stop is set; under the queue's lock
 *	like all of it.
 */
struct azc_canceller {
	azblob_queue *queue;
	pthread_cond_t work;
	pthread_t thread;
	bool stop;
};

/*
 * True when that is to be asked again.  What the driver does not know has most likely ended, and
 * its completion waits to be taken, so there is an end to it.
 */
static bool cancel_on_ring(struct azc_async *async)
{
	switch (azc_driver_cancel(async->queue->conn, async->guid)) {
	case AZC_REACH_UNSENT:
		async->unsent = true;
		break;
	case AZC_REACH_ABSENT:
	case AZC_REACH_LATER:
		return async->looks++ < RING_LOOKS;
	case AZC_REACH_TOLD:
	case AZC_REACH_NEVER:
		break;
	}
	return false;
}

/* True when something is still chased; the lock is held. */
static bool chase(azblob_queue *queue)
{
	bool left = false;

	for (unsigned int i = 0; i < queue->depth; i++) {
		struct azc_async *async = queue->slot[i];

		if (!async || !async->chased)
			continue;
		if (async->state != AZC_ASYNC_RUNNING)
			async->chased = false;
		else if (async->on_ring)
			async->chased = cancel_on_ring(async);
		else
			async->chased = azc_op_interrupt(&async->op);
		left |= async->chased;
	}
	return left;
}

static void *canceller_main(void *data)
{
	struct azc_canceller *canceller = data;
	azblob_queue *queue = canceller->queue;
	long wait = FIRST_LOOK_MS;

	pthread_mutex_lock(&queue->lock);
	while (!canceller->stop) {
		if (chase(queue)) {
			struct timespec pause = { 0, wait * 1000000 };

			pthread_mutex_unlock(&queue->lock);
			nanosleep(&pause, NULL);
			pthread_mutex_lock(&queue->lock);
			wait = 2 * wait < LAST_LOOK_MS ? 2 * wait : LAST_LOOK_MS;
		} else {
			pthread_cond_wait(&canceller->work, &queue->lock);
			wait = FIRST_LOOK_MS;
		}
	}
	pthread_mutex_unlock(&queue->lock);
	return NULL;
}

/* The lock is held.  Without memory or threads the request runs to its end. */
static void wake_canceller(azblob_queue *queue)
{
	struct azc_canceller *canceller = queue->canceller;
	pthread_attr_t attributes;
	sigset_t all;
	sigset_t before;

	if (canceller) {
		pthread_cond_signal(&canceller->work);
		return;
	}
	canceller = calloc(1, sizeof(*canceller));
	if (!canceller)
		return;
	canceller->queue = queue;
	pthread_cond_init(&canceller->work, NULL);
	/* The program's signals are not for our threads. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, STACK_SIZE);
	if (!pthread_create(&canceller->thread, &attributes, canceller_main, canceller)) {
		queue->canceller = canceller;
	} else {
		pthread_cond_destroy(&canceller->work);
		free(canceller);
	}
	pthread_attr_destroy(&attributes);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
}

void azc_canceller_free(struct azc_canceller *canceller)
{
	azblob_queue *queue;

	if (!canceller)
		return;
	queue = canceller->queue;
	pthread_mutex_lock(&queue->lock);
	canceller->stop = true;
	pthread_cond_signal(&canceller->work);
	pthread_mutex_unlock(&queue->lock);
	pthread_join(canceller->thread, NULL);
	pthread_cond_destroy(&canceller->work);
	free(canceller);
}

/* The queue's lock is held; true when the caller has to publish it. */
static bool cancel(struct azc_async *async)
{
	azblob_queue *queue = async->queue;

	atomic_store(&async->cancelled, true);
	if (async->on_ring || async->state != AZC_ASYNC_WAITING ||
	    !azc_threads_withdraw(queue->threads, async)) {
		async->chased =
			async->on_ring ? cancel_on_ring(async) : azc_op_interrupt(&async->op);
		if (async->chased)
			wake_canceller(queue);
		return false;
	}
	async->state = AZC_ASYNC_ENDED;
	async->result = -1;
	if (async->kind == AZC_ASYNC_RAW)
		azc_fail(&async->error, AZBLOB_CANCELLED, "cancelled");
	else
		azc_final_error(&async->op, &async->error);
	return true;
}

int azblob_cancel(azblob_queue *queue, uint64_t id, struct azblob_error *error)
{
	unsigned int slot = id & (AZC_MAX_DEPTH - 1);
	struct azc_async *async;
	bool stopped = false;
	bool known;

	pthread_mutex_lock(&queue->lock);
	async = slot < queue->depth ? queue->slot[slot] : NULL;
	known = async && async->id == id && async->state != AZC_ASYNC_ENDED;
	if (known)
		stopped = cancel(async);
	pthread_mutex_unlock(&queue->lock);
	if (!known)
		return azc_fail(error, AZBLOB_BAD_ARGUMENT,
				"no request %llu is under way in this queue",
				(unsigned long long)id);
	if (stopped)
		azc_async_publish(async);
	azc_error_clear(error);
	return 0;
}

void azc_queue_cancel_all(azblob_queue *queue)
{
	for (unsigned int i = 0; i < queue->depth; i++) {
		struct azc_async *async;
		bool stopped = false;

		pthread_mutex_lock(&queue->lock);
		async = queue->slot[i];
		if (async && async->state != AZC_ASYNC_ENDED)
			stopped = cancel(async);
		pthread_mutex_unlock(&queue->lock);
		if (stopped)
			azc_async_publish(async);
	}
}
