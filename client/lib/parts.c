// SPDX-License-Identifier: MIT
#include "parts.h"

#include <signal.h>
#include <string.h>

void azc_parts_init(struct azc_parts *parts, size_t part, uint64_t start, uint64_t end)
{
	memset(parts, 0, sizeof(*parts));
	pthread_mutex_init(&parts->lock, NULL);
	pthread_cond_init(&parts->changed, NULL);
	parts->part = part;
	parts->next = start;
	parts->end = end;
	parts->delivered = start;
}

void azc_parts_destroy(struct azc_parts *parts)
{
	pthread_cond_destroy(&parts->changed);
	pthread_mutex_destroy(&parts->lock);
}

bool azc_parts_claim(struct azc_parts *parts, uint64_t *offset, size_t *length)
{
	bool there;

	pthread_mutex_lock(&parts->lock);
	there = !parts->failed && parts->next < parts->end;
	if (there) {
		uint64_t left = parts->end - parts->next;

		*offset = parts->next;
		*length = left < parts->part ? (size_t)left : parts->part;
		parts->next += *length;
	}
	pthread_mutex_unlock(&parts->lock);
	return there;
}

void azc_parts_ends(struct azc_parts *parts, uint64_t end)
{
	pthread_mutex_lock(&parts->lock);
	parts->end = end;
	pthread_mutex_unlock(&parts->lock);
}

void azc_parts_fail(struct azc_parts *parts, const struct azblob_error *error)
{
	pthread_mutex_lock(&parts->lock);
	if (!parts->failed) {
		parts->failed = true;
		parts->error = *error;
	}
	pthread_cond_broadcast(&parts->changed);
	pthread_mutex_unlock(&parts->lock);
}

bool azc_parts_wait_turn(struct azc_parts *parts, uint64_t offset)
{
	bool good;

	pthread_mutex_lock(&parts->lock);
	while (!parts->failed && parts->delivered != offset)
		pthread_cond_wait(&parts->changed, &parts->lock);
	good = !parts->failed;
	pthread_mutex_unlock(&parts->lock);
	return good;
}

void azc_parts_delivered(struct azc_parts *parts, uint64_t up_to)
{
	pthread_mutex_lock(&parts->lock);
	parts->delivered = up_to;
	pthread_cond_broadcast(&parts->changed);
	pthread_mutex_unlock(&parts->lock);
}

unsigned int azc_parts_threads(struct azc_parts *parts, unsigned int limit)
{
	uint64_t left = parts->end - parts->next;
	uint64_t count = left / parts->part + (left % parts->part != 0);

	return count < limit ? (unsigned int)count : limit;
}

struct start {
	void (*worker)(void *context);
	void *context;
};

static void *thread_main(void *data)
{
	const struct start *start = data;

	start->worker(start->context);
	return NULL;
}

void azc_run_parallel(unsigned int threads, void (*worker)(void *context), void *context)
{
	struct start start = { worker, context };
	pthread_t thread[AZC_MAX_PARALLEL];
	unsigned int started = 0;
	sigset_t all;
	sigset_t before;

	if (threads > AZC_MAX_PARALLEL)
		threads = AZC_MAX_PARALLEL;
	/* The program's signals are not for our threads. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	while (started + 1 < threads &&
	       !pthread_create(&thread[started], NULL, thread_main, &start))
		started++;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	worker(context);
	while (started)
		pthread_join(thread[--started], NULL);
}
