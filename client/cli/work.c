// SPDX-License-Identifier: MIT
#include "cli.h"

#include <pthread.h>
#include <signal.h>

#define MAX_THREADS 64u

struct work {
	pthread_mutex_t lock; /* protects @next */
	size_t next;
	size_t count;
	void (*each)(void *context, size_t index);
	void *context;
};

static void *work_main(void *data)
{
	struct work *work = data;

	while (!cli_interrupted()) {
		size_t index;

		pthread_mutex_lock(&work->lock);
		index = work->next;
		if (index < work->count)
			work->next++;
		pthread_mutex_unlock(&work->lock);
		if (index >= work->count)
			break;
		work->each(work->context, index);
	}
	return NULL;
}

void cli_for_each(size_t count, unsigned int threads, void (*each)(void *context, size_t index),
		  void *context)
{
	struct work work = { .count = count, .each = each, .context = context };
	pthread_t thread[MAX_THREADS];
	unsigned int started = 0;

	if (threads > MAX_THREADS)
		threads = MAX_THREADS;
	if (threads > count)
		threads = (unsigned int)count;
	pthread_mutex_init(&work.lock, NULL);
	while (started + 1 < threads && !pthread_create(&thread[started], NULL, work_main, &work))
		started++;
	work_main(&work);
	while (started)
		pthread_join(thread[--started], NULL);
	pthread_mutex_destroy(&work.lock);
}
