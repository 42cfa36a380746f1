// SPDX-License-Identifier: MIT
#include "transport.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "base/pages.h"

#define PAGE ((size_t)4096)
/* Beyond this many idle buffers they are given back. */
#define MAX_IDLE 80

struct idle {
	struct idle *next;
	size_t size;
};

struct azc_pool {
	pthread_mutex_t lock; /* protects the rest */
	struct idle *idle;    /* lives in the first bytes of the idle buffer itself */
	unsigned int idle_count;
};

struct azc_pool *azc_pool_new(void)
{
	struct azc_pool *pool = calloc(1, sizeof(*pool));

	if (pool)
		pthread_mutex_init(&pool->lock, NULL);
	return pool;
}

void azc_pool_free(struct azc_pool *pool)
{
	if (!pool)
		return;
	while (pool->idle) {
		struct idle *buffer = pool->idle;

		pool->idle = buffer->next;
		munmap(buffer, buffer->size);
	}
	pthread_mutex_destroy(&pool->lock);
	free(pool);
}

static size_t rounded(size_t size)
{
	size_t unit = size >= AZB_HUGE_PAGE ? AZB_HUGE_PAGE : PAGE;

	return size ? (size + unit - 1) / unit * unit : PAGE;
}

void *azc_pool_get(struct azc_pool *pool, size_t size)
{
	struct idle **link;
	struct idle *found;

	size = rounded(size);
	pthread_mutex_lock(&pool->lock);
	for (link = &pool->idle; *link && (*link)->size != size; link = &(*link)->next)
		;
	found = *link;
	if (found) {
		*link = found->next;
		pool->idle_count--;
	}
	pthread_mutex_unlock(&pool->lock);
	return found ? found : azb_map_pages(size);
}

void azc_pool_put(struct azc_pool *pool, void *buffer, size_t size)
{
	struct idle *idle = buffer;

	if (!buffer)
		return;
	size = rounded(size);
	pthread_mutex_lock(&pool->lock);
	if (pool->idle_count < MAX_IDLE) {
		idle->size = size;
		idle->next = pool->idle;
		pool->idle = idle;
		pool->idle_count++;
		buffer = NULL;
	}
	pthread_mutex_unlock(&pool->lock);
	if (buffer)
		munmap(buffer, size);
}

void azc_pool_abandon(void *buffer, size_t size)
{
	/* Private anonymous pages are dropped from here; who has them pinned keeps them. */
	madvise(buffer, rounded(size), MADV_DONTNEED);
}
