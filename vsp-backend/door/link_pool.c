// SPDX-License-Identifier: MIT
/* Worker threads; see link_pool.h. */
#include "link_pool.h"

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>

/* Deep enough for SQLite on a worker, small enough for many workers. */
#define STACK_BYTES (1024u * 1024u)

struct link_pool {
	pthread_mutex_t lock;
	pthread_cond_t work;
	struct link_queue *first, **last; /* those that have a job */
	struct link_queue own;
	unsigned int queued, idle;
	unsigned int count, max;
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
	return job;
}

static void *worker(void *argument)
{
	struct link_pool *pool = argument;

	pthread_mutex_lock(&pool->lock);
	for (;;) {
		struct link_job *job = take_job(pool);

		if (!job) {
			if (pool->ending)
				break;
			pool->idle++;
			pthread_cond_wait(&pool->work, &pool->lock);
			pool->idle--;
			continue;
		}
		pthread_mutex_unlock(&pool->lock);
		job->run(job);
		pthread_mutex_lock(&pool->lock);
	}
	pthread_mutex_unlock(&pool->lock);
	return NULL;
}

/* With the lock held, or before anybody else knows the pool. */
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

struct link_pool *link_pool_new(unsigned int threads)
{
	struct link_pool *pool = calloc(1, sizeof(*pool) + threads * sizeof(pthread_t));

	if (!pool)
		return NULL;
	pthread_mutex_init(&pool->lock, NULL);
	pthread_cond_init(&pool->work, NULL);
	pool->last = &pool->first;
	pool->max = threads;
	/* One from the start: then submit can't fail for want of any. */
	if (!add_thread(pool)) {
		link_pool_free(pool);
		return NULL;
	}
	return pool;
}

void link_pool_submit(struct link_pool *pool, struct link_queue *queue, struct link_job *job)
{
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
	/* An idle thread may be on its way to an earlier job: compare, don't just look. */
	if (pool->queued > pool->idle && pool->count < pool->max)
		(void)add_thread(pool);
	pthread_cond_signal(&pool->work);
	pthread_mutex_unlock(&pool->lock);
}

void link_pool_free(struct link_pool *pool)
{
	if (!pool)
		return;
	pthread_mutex_lock(&pool->lock);
	pool->ending = true;
	pthread_cond_broadcast(&pool->work);
	pthread_mutex_unlock(&pool->lock);
	for (unsigned int i = 0; i < pool->count; i++)
		pthread_join(pool->threads[i], NULL);
	pthread_cond_destroy(&pool->work);
	pthread_mutex_destroy(&pool->lock);
	free(pool);
}
