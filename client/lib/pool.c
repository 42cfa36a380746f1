// SPDX-License-Identifier: MIT
#include "transport.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>

#define PAGE ((size_t)4096)
#define HUGE_PAGE ((size_t)2 << 20)
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
	size_t unit = size >= HUGE_PAGE ? HUGE_PAGE : PAGE;

	return size ? (size + unit - 1) / unit * unit : PAGE;
}

/*
 * Large buffers start on a huge page and ask for them: fewer faults here, and long runs of
 * neighbouring pages for the host.
 */
static void *map_buffer(size_t size)
{
	size_t slack = size >= HUGE_PAGE ? HUGE_PAGE : 0;
	char *base = mmap(NULL, size + slack, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			  -1, 0);
	size_t before;

	if (base == MAP_FAILED)
		return NULL;
	if (!slack)
		return base;
	before = (HUGE_PAGE - (uintptr_t)base % HUGE_PAGE) % HUGE_PAGE;
	if (before)
		munmap(base, before);
	if (slack - before)
		munmap(base + before + size, slack - before);
	madvise(base + before, size, MADV_HUGEPAGE);
	return base + before;
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
	return found ? found : map_buffer(size);
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
