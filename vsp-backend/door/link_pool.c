// SPDX-License-Identifier: MIT
/* Worker threads; see link_pool.h. */
#include "link_pool.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <time.h>

#include "../base/waiting.h"

/* Deep enough for SQLite on a worker, small enough for many workers. */
#define STACK_BYTES (1024u * 1024u)
/* For so long nothing may be begun while work waits; then one more thread begins something. */
#define STUCK_NS (2 * 1000000L)

/*
 * A thread is idle, or called and about to begin, or at a job; at a job it may be waiting.
 * @running counts those that were called and those that are at a job and do not wait.
 */
struct link_pool {
	struct azb_waiting waiting;
	pthread_mutex_t lock;
	pthread_cond_t work;
	struct link_queue *first, **last; /* those that have a job */
	struct link_queue own;
	unsigned int queued;
	unsigned int idle, called, running;
	unsigned int wanted; /* no more than so many run, while none is stuck */
	unsigned int count, max;
	unsigned long taken; /* jobs, ever */
	bool watched;        /* an idle thread sees to it that something is taken */
	bool ending;
	pthread_t threads[];
};

/* With the lock held: the next job of the queue whose turn it is, which then goes to the end. */
static struct link_job *take_job(struct link_pool *pool)
{
	struct link_queue *queue = pool->first;
	struct link_job *job;

	if (!queue)
		return NULL;
	pool->first = queue->next;
	if (!pool->first)
		pool->last = &pool->first;
	job = queue->first;
	queue->first = job->next;
	if (queue->first) {
		queue->next = NULL;
		*pool->last = queue;
		pool->last = &queue->next;
	}
	pool->queued--;
	pool->taken++;
	return job;
}

static void *worker(void *argument);

/* With the lock held. */
static bool add_thread(struct link_pool *pool)
{
	pthread_attr_t attr;
	sigset_t all, old;
	bool made;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK_BYTES);
	/* Signals of the process are for the main thread. */
	sigfillset(&all);
	sigdelset(&all, SIGBUS);
	sigdelset(&all, SIGSEGV);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	made = pthread_create(&pool->threads[pool->count], &attr, worker, pool) == 0;
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	pthread_attr_destroy(&attr);
	if (made)
		pool->count++;
	return made;
}

/*
 * With the lock held: sees to it that work which waits is begun, by a thread that is idle or new,
 * or by those that run; then somebody must watch them.  Return: signal pool->work without the lock.
 */
static bool call_one(struct link_pool *pool)
{
	bool enough = pool->running >= pool->wanted;

	if (pool->queued <= pool->called || (enough && pool->watched))
		return false;
	if (pool->idle <= pool->called && (pool->count == pool->max || !add_thread(pool)))
		return false; /* all are at work, and take this after it */
	if (!enough) {
		pool->called++;
		pool->running++;
	}
	return true;
}

/*
 * With the lock held, by an idle thread while work waits for threads that may all be stuck: waits
 * until it is called, or finds that nothing was taken for a while and calls itself.
 */
static void watch(struct link_pool *pool)
{
	unsigned long seen = pool->taken;
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += STUCK_NS;
	if (until.tv_nsec >= 1000000000L) {
		until.tv_nsec -= 1000000000L;
		until.tv_sec++;
	}
	pool->watched = true;
	if (pthread_cond_timedwait(&pool->work, &pool->lock, &until) == ETIMEDOUT && pool->queued &&
	    pool->taken == seen && !pool->called) {
		pool->called++;
		pool->running++;
	}
	pool->watched = false;
}

/* With the lock held; false: the pool ends. */
static bool wait_for_call(struct link_pool *pool)
{
	pool->idle++;
	while (!pool->called && (pool->queued || !pool->ending)) {
		if (pool->queued && !pool->watched)
			watch(pool);
		else
			pthread_cond_wait(&pool->work, &pool->lock);
	}
	pool->idle--;
	if (!pool->called)
		return false;
	pool->called--;
	/* It may have been the one that watched. */
	if (call_one(pool))
		pthread_cond_signal(&pool->work);
	return true;
}

static void *worker(void *argument)
{
	struct link_pool *pool = argument;

	azb_waiting_tell(&pool->waiting);
	pthread_mutex_lock(&pool->lock);
	while (wait_for_call(pool)) {
		struct link_job *job;

		/* Others may have come back from waiting: then those go on, and this one rests. */
		while ((job = take_job(pool))) {
			pthread_mutex_unlock(&pool->lock);
			job->run(job);
			pthread_mutex_lock(&pool->lock);
			if (pool->running > pool->wanted)
				break;
		}
		pool->running--;
	}
	/* The next one may go as well. */
	pthread_cond_broadcast(&pool->work);
	pthread_mutex_unlock(&pool->lock);
	return NULL;
}

static struct link_pool *pool_of(struct azb_waiting *waiting)
{
	return (struct link_pool *)((char *)waiting - offsetof(struct link_pool, waiting));
}

static void waiting_begin(struct azb_waiting *waiting)
{
	struct link_pool *pool = pool_of(waiting);
	bool signal;

	pthread_mutex_lock(&pool->lock);
	pool->running--;
	signal = call_one(pool);
	pthread_mutex_unlock(&pool->lock);
	if (signal)
		pthread_cond_signal(&pool->work);
}

static void waiting_end(struct azb_waiting *waiting)
{
	struct link_pool *pool = pool_of(waiting);

	pthread_mutex_lock(&pool->lock);
	pool->running++;
	pthread_mutex_unlock(&pool->lock);
}

struct link_pool *link_pool_new(unsigned int threads)
{
	struct link_pool *pool = calloc(1, sizeof(*pool) + threads * sizeof(pthread_t));
	unsigned int processors = 0;
	cpu_set_t set;
	pthread_condattr_t attr;
	bool made;

	if (!pool)
		return NULL;
	pool->waiting = (struct azb_waiting){ waiting_begin, waiting_end };
	pthread_mutex_init(&pool->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&pool->work, &attr);
	pthread_condattr_destroy(&attr);
	pool->last = &pool->first;
	pool->max = threads;
	if (!sched_getaffinity(0, sizeof(set), &set))
		processors = (unsigned int)CPU_COUNT(&set);
	/* Two even on one processor: SQLite does not say when it waits for the disk. */
	pool->wanted = processors > 2 ? processors : 2;
	/* One from the start: then submit can't fail for want of any. */
	pthread_mutex_lock(&pool->lock);
	made = add_thread(pool);
	pthread_mutex_unlock(&pool->lock);
	if (!made) {
		link_pool_free(pool);
		return NULL;
	}
	return pool;
}

void link_pool_submit(struct link_pool *pool, struct link_queue *queue, struct link_job *job)
{
	bool signal;

	job->next = NULL;
	pthread_mutex_lock(&pool->lock);
	if (!queue)
		queue = &pool->own;
	if (!queue->first) {
		queue->last = &queue->first;
		queue->next = NULL;
		*pool->last = queue;
		pool->last = &queue->next;
	}
	*queue->last = job;
	queue->last = &job->next;
	pool->queued++;
	signal = call_one(pool);
	pthread_mutex_unlock(&pool->lock);
	if (signal)
		pthread_cond_signal(&pool->work);
}

void link_pool_free(struct link_pool *pool)
{
	bool more;

	if (!pool)
		return;
	pthread_mutex_lock(&pool->lock);
	pool->ending = true;
	pthread_cond_broadcast(&pool->work);
	pthread_mutex_unlock(&pool->lock);
	/* While there is work they may make more of themselves. */
	for (unsigned int i = 0;; i++) {
		pthread_mutex_lock(&pool->lock);
		more = i < pool->count;
		pthread_mutex_unlock(&pool->lock);
		if (!more)
			break;
		pthread_join(pool->threads[i], NULL);
	}
	pthread_cond_destroy(&pool->work);
	pthread_mutex_destroy(&pool->lock);
	free(pool);
}
