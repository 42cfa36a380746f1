// SPDX-License-Identifier: MIT
#include "transport.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "base/pages.h"

#define PAGE ((size_t)4096)
/* Beyond this many idle buffers they are given back. */
#define MAX_IDLE 80
/* Sizes that are kept at once; a connection asks for three or four. */
#define MAX_SIZES 8

/* Lives in the first bytes of the idle buffer itself. */
struct idle {
	struct idle *next;
};

/* Idle buffers of one size, the one that was used last first: its pages are still warm. */
struct shelf {
	size_t size;
	struct idle *first;
};

struct azc_pool {
	pthread_mutex_t lock; /* protects the rest */
	struct shelf shelf[MAX_SIZES];
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
	for (size_t i = 0; i < MAX_SIZES; i++) {
		struct shelf *shelf = &pool->shelf[i];

		while (shelf->first) {
			struct idle *buffer = shelf->first;

			shelf->first = buffer->next;
			munmap(buffer, shelf->size);
		}
	}
	pthread_mutex_destroy(&pool->lock);
	free(pool);
}

static size_t rounded(size_t size)
{
	size_t unit = size >= AZB_HUGE_PAGE ? AZB_HUGE_PAGE : PAGE;

	return size ? (size + unit - 1) / unit * unit : PAGE;
}

/* With the lock held: the one for that size, or an empty one; NULL: all have other sizes. */
static struct shelf *find_shelf(struct azc_pool *pool, size_t size)
{
	struct shelf *empty = NULL;

	for (size_t i = 0; i < MAX_SIZES; i++) {
		if (pool->shelf[i].size == size)
			return &pool->shelf[i];
		if (!pool->shelf[i].first)
			empty = &pool->shelf[i];
	}
	if (empty)
		empty->size = size;
	return empty;
}

void *azc_pool_get(struct azc_pool *pool, size_t size)
{
	struct idle *found = NULL;
	struct shelf *shelf;

	size = rounded(size);
	pthread_mutex_lock(&pool->lock);
	shelf = find_shelf(pool, size);
	if (shelf && shelf->first) {
		found = shelf->first;
		shelf->first = found->next;
		pool->idle_count--;
	}
	pthread_mutex_unlock(&pool->lock);
	return found ? found : azb_map_pages(size);
}

void azc_pool_put(struct azc_pool *pool, void *buffer, size_t size)
{
	struct idle *idle = buffer;
	struct shelf *shelf;

	if (!buffer)
		return;
	size = rounded(size);
	pthread_mutex_lock(&pool->lock);
	shelf = find_shelf(pool, size);
	if (shelf && pool->idle_count < MAX_IDLE) {
		idle->next = shelf->first;
		shelf->first = idle;
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
