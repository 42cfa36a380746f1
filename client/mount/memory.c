// SPDX-License-Identifier: MIT
#include "memory.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/pages.h"
#include "jobs.h"

/* Lives in the first bytes of a free block. */
struct mnt_idle {
	struct mnt_idle *next;
};

/* A block that somebody may still write to, on its way out. */
struct leaving {
	struct mnt_job job;
	struct mnt_memory *memory;
	void *data;
	void *handle;
};

/* ---- pins; with the lock ---- */

static void pin(struct mnt_memory *memory, char *data)
{
	for (unsigned int i = 0; memory->pin && !memory->no_pins && i < MNT_MAX_PINS; i++) {
		if (memory->pins[i].data)
			continue;
		memory->pins[i].handle = memory->pin(memory->context, data, memory->block);
		if (memory->pins[i].handle)
			memory->pins[i].data = data;
		else
			memory->no_pins = true;
		return;
	}
}

/* The handle of a block, which is not in the table any more; NULL when there is none. */
static void *take_pin(struct mnt_memory *memory, const char *data)
{
	for (unsigned int i = 0; i < MNT_MAX_PINS; i++) {
		if (memory->pins[i].data != data)
			continue;
		memory->pins[i].data = NULL;
		return memory->pins[i].handle;
	}
	return NULL;
}

static void unmap(struct mnt_memory *memory, void *data, size_t size)
{
	void *handle = size == memory->block ? take_pin(memory, data) : NULL;

	/* Nobody is in it: this does not wait. */
	if (handle)
		memory->unpin(memory->context, handle);
	munmap(data, size);
	memory->mapped -= size;
}

static void *take_idle(struct mnt_memory *memory)
{
	struct mnt_idle *idle = memory->idle;

	memory->idle = idle->next;
	memory->idle_bytes -= memory->block;
	return idle;
}

/* ---- those that are late ---- */

static void run_leaving(struct mnt_job *job)
{
	struct leaving *leaving = (struct leaving *)job;
	struct mnt_memory *memory = leaving->memory;

	memory->unpin(memory->context, leaving->handle);
	munmap(leaving->data, memory->block);
	pthread_mutex_lock(&memory->lock);
	memory->mapped -= memory->block;
	pthread_mutex_unlock(&memory->lock);
	memory->freed(memory->owner);
	free(leaving);
}

/* The pages go on living for who has them pinned; a pin of ours ends when it is done with them. */
static void let_leave(struct mnt_memory *memory, void *data, void *handle)
{
	struct leaving *leaving = calloc(1, sizeof(*leaving));

	if (!leaving) {
		/* Rather wait than have the pages written to in other hands. */
		memory->unpin(memory->context, handle);
		munmap(data, memory->block);
		pthread_mutex_lock(&memory->lock);
		memory->mapped -= memory->block;
		pthread_mutex_unlock(&memory->lock);
		return;
	}
	leaving->job.run = run_leaving;
	leaving->memory = memory;
	leaving->data = data;
	leaving->handle = handle;
	mnt_jobs_add(memory->jobs, &leaving->job, false);
}

/* ---- the calls ---- */

void *mnt_memory_take(struct mnt_memory *memory, size_t size, bool *full)
{
	void *data = NULL;

	pthread_mutex_lock(&memory->lock);
	while (memory->idle && size != memory->block && memory->mapped + size > memory->budget)
		unmap(memory, take_idle(memory), memory->block);
	*full = false;
	if (memory->idle && size == memory->block) {
		data = take_idle(memory);
	} else if (memory->mapped + size > memory->budget) {
		*full = true;
	} else {
		data = azb_map_pages(size);
		if (data)
			memory->mapped += size;
		if (data && size == memory->block)
			pin(memory, data);
	}
	pthread_mutex_unlock(&memory->lock);
	return data;
}

void mnt_memory_give(struct mnt_memory *memory, void *data, size_t size, bool late)
{
	struct mnt_idle *idle = data;
	void *handle = NULL;

	pthread_mutex_lock(&memory->lock);
	if (late && size == memory->block)
		handle = take_pin(memory, data);
	if (handle) {
		;
	} else if (late || size != memory->block) {
		unmap(memory, data, size);
	} else {
		idle->next = memory->idle;
		memory->idle = idle;
		memory->idle_bytes += size;
	}
	pthread_mutex_unlock(&memory->lock);
	if (handle)
		let_leave(memory, data, handle);
}

size_t mnt_memory_used(struct mnt_memory *memory)
{
	size_t used;

	pthread_mutex_lock(&memory->lock);
	used = memory->mapped - memory->idle_bytes;
	pthread_mutex_unlock(&memory->lock);
	return used;
}

void mnt_memory_init(struct mnt_memory *memory)
{
	pthread_mutex_init(&memory->lock, NULL);
}

void mnt_memory_end(struct mnt_memory *memory)
{
	while (memory->idle)
		unmap(memory, take_idle(memory), memory->block);
	pthread_mutex_destroy(&memory->lock);
}
