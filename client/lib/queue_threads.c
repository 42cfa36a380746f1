// SPDX-License-Identifier: MIT
/* Threads for requests that block: all of them where there is no ring, repetitions where there is.
 */
#include "queue.h"

#include <signal.h>
#include <stdlib.h>

/* Signing, composing and libcurl need little; 64 of them should not cost half a gigabyte. */
#define STACK_SIZE ((size_t)512 << 10)

/**
 * struct azc_threads - a line of requests and those who work on it
 * @lock: the queue's; protects all of it.
 * @work: signalled when the line gets longer, and when @stop is set.
 * @idle: threads that wait.
 */
struct azc_threads {
	pthread_mutex_t *lock;
	pthread_cond_t work;
	void (*run)(struct azc_async *async);
	struct azc_async *first;
	struct azc_async **last;
	unsigned int waiting;
	unsigned int idle;
	unsigned int limit;
	unsigned int count;
	bool stop;
	pthread_t thread[];
};

static void *thread_main(void *data)
{
	struct azc_threads *threads = data;

	pthread_mutex_lock(threads->lock);
	for (;;) {
		struct azc_async *async = threads->first;

		if (!async && threads->stop)
			break;
		if (!async) {
			threads->idle++;
			pthread_cond_wait(&threads->work, threads->lock);
			threads->idle--;
			continue;
		}
		threads->first = async->next;
		if (!threads->first)
			threads->last = &threads->first;
		threads->waiting--;
		async->state = AZC_ASYNC_RUNNING;
		pthread_mutex_unlock(threads->lock);
		threads->run(async);
		pthread_mutex_lock(threads->lock);
	}
	pthread_mutex_unlock(threads->lock);
	return NULL;
}

/* The lock is held, or nobody else knows of it yet. */
static void add_thread(struct azc_threads *threads)
{
	pthread_attr_t attributes;
	sigset_t all;
	sigset_t before;

	/* The program's signals are not for our threads. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, STACK_SIZE);
	if (!pthread_create(&threads->thread[threads->count], &attributes, thread_main, threads))
		threads->count++;
	pthread_attr_destroy(&attributes);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
}

struct azc_threads *azc_threads_new(unsigned int limit, bool eager,
				    void (*run)(struct azc_async *async), pthread_mutex_t *lock)
{
	struct azc_threads *threads = calloc(1, sizeof(*threads) + limit * sizeof(pthread_t));

	if (!threads)
		return NULL;
	threads->lock = lock;
	threads->run = run;
	threads->limit = limit;
	threads->last = &threads->first;
	pthread_cond_init(&threads->work, NULL);
	if (eager) {
		pthread_mutex_lock(lock);
		add_thread(threads);
		pthread_mutex_unlock(lock);
	}
	if (!eager || threads->count)
		return threads;
	azc_threads_free(threads);
	return NULL;
}

void azc_threads_free(struct azc_threads *threads)
{
	if (!threads)
		return;
	pthread_mutex_lock(threads->lock);
	threads->stop = true;
	pthread_cond_broadcast(&threads->work);
	pthread_mutex_unlock(threads->lock);
	for (unsigned int i = 0; i < threads->count; i++)
		pthread_join(threads->thread[i], NULL);
	pthread_cond_destroy(&threads->work);
	free(threads);
}

bool azc_threads_push(struct azc_threads *threads, struct azc_async *async)
{
	if (threads->waiting >= threads->idle && threads->count < threads->limit)
		add_thread(threads);
	if (!threads->count)
		return false;
	async->state = AZC_ASYNC_WAITING;
	async->next = NULL;
	*threads->last = async;
	threads->last = &async->next;
	threads->waiting++;
	pthread_cond_signal(&threads->work);
	return true;
}

bool azc_threads_withdraw(struct azc_threads *threads, struct azc_async *async)
{
	struct azc_async **at = &threads->first;

	while (*at && *at != async)
		at = &(*at)->next;
	if (!*at)
		return false;
	*at = async->next;
	if (!*at)
		threads->last = at;
	threads->waiting--;
	return true;
}
