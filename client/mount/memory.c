// SPDX-License-Identifier: MIT
#include "memory.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "base/pages.h"

/* Lives in the first bytes of a free block. */
struct mnt_idle {
	struct mnt_idle *next;
};

/* ---- pins; with the lock ---- */

static struct mnt_pin *find_pin(struct mnt_memory *memory, const char *data)
{
	for (unsigned int i = 0; i < MNT_MAX_PINS; i++)
		if (memory->pins[i].data == data)
			return &memory->pins[i];
	return NULL;
}

static void run_leaving(struct mnt_job *job)
{
	struct mnt_pin *pin = (struct mnt_pin *)job;
	struct mnt_memory *memory = pin->memory;
	void *data = pin->data;
	bool late = pin->late;

	memory->unpin(memory->context, pin->handle);
	/* Before others may have the address. */
	pthread_mutex_lock(&memory->lock);
	pin->data = NULL;
	pthread_mutex_unlock(&memory->lock);
	munmap(data, memory->block);
	pthread_mutex_lock(&memory->lock);
	memory->mapped -= memory->block;
	if (!late)
		memory->coming -= memory->block;
	pthread_mutex_unlock(&memory->lock);
	memory->freed(memory->owner);
	pthread_mutex_lock(&memory->lock);
	memory->leaving--;
	pthread_cond_signal(&memory->left);
	pthread_mutex_unlock(&memory->lock);
}

/* Pages that somebody else has pinned live on without us; with a pin of ours its end comes first.
 */
static void let_leave(struct mnt_memory *memory, void *data, size_t size, bool late)
{
	struct mnt_pin *pin = size == memory->block ? find_pin(memory, data) : NULL;

	if (!pin) {
		munmap(data, size);
		memory->mapped -= size;
		return;
	}
	pin->late = late;
	pin->job.run = run_leaving;
	memory->leaving++;
	if (!late)
		memory->coming += size;
	/* There is a thread, so this does not run it here. */
	mnt_jobs_add(memory->leavers, &pin->job, false);
}

static struct mnt_idle *take_idle(struct mnt_memory *memory)
{
	struct mnt_idle *idle = memory->idle;

	memory->idle = idle->next;
	memory->idle_bytes -= memory->block;
	return idle;
}

/* ---- the calls ---- */

void *mnt_memory_take(struct mnt_memory *memory, size_t size, enum mnt_none *none)
{
	void *data = NULL;

	*none = MNT_NO_MEMORY;
	pthread_mutex_lock(&memory->lock);
	while (memory->idle && size != memory->block &&
	       memory->mapped - memory->coming + size > memory->budget)
		let_leave(memory, take_idle(memory), memory->block, false);
	if (memory->idle && size == memory->block) {
		data = take_idle(memory);
	} else if (memory->mapped + size <= memory->budget) {
		data = azb_map_pages(size);
		if (data)
			memory->mapped += size;
	} else if (memory->mapped - memory->coming + size <= memory->budget) {
		*none = MNT_COMING;
	} else {
		*none = MNT_FULL;
	}
	pthread_mutex_unlock(&memory->lock);
	return data;
}

void mnt_memory_pin(struct mnt_memory *memory, void *data, size_t size)
{
	struct mnt_pin *pin = NULL;
	void *handle;

	if (!memory->pin || size != memory->block)
		return;
	pthread_mutex_lock(&memory->lock);
	if (!memory->no_pins && !find_pin(memory, data))
		pin = find_pin(memory, NULL);
	if (pin) {
		pin->memory = memory;
		pin->data = data;
		pin->handle = NULL;
	}
	pthread_mutex_unlock(&memory->lock);
	if (!pin)
		return;
	handle = memory->pin(memory->context, data, size);
	pthread_mutex_lock(&memory->lock);
	pin->handle = handle;
	if (!handle) {
		pin->data = NULL;
		memory->no_pins = true;
	}
	pthread_mutex_unlock(&memory->lock);
}

void mnt_memory_give(struct mnt_memory *memory, void *data, size_t size, bool late)
{
	struct mnt_idle *idle = data;

	pthread_mutex_lock(&memory->lock);
	if (late || size != memory->block) {
		let_leave(memory, data, size, late);
	} else {
		idle->next = memory->idle;
		memory->idle = idle;
		memory->idle_bytes += size;
	}
	pthread_mutex_unlock(&memory->lock);
}

size_t mnt_memory_used(struct mnt_memory *memory)
{
	size_t used;

	pthread_mutex_lock(&memory->lock);
	used = memory->mapped - memory->idle_bytes;
	pthread_mutex_unlock(&memory->lock);
	return used;
}

bool mnt_memory_init(struct mnt_memory *memory)
{
	if (memory->pin) {
		memory->leavers = mnt_jobs_new(MNT_MAX_PINS);
		if (!memory->leavers || !mnt_jobs_start(memory->leavers)) {
			mnt_jobs_free(memory->leavers);
			return false;
		}
	}
	pthread_mutex_init(&memory->lock, NULL);
	pthread_cond_init(&memory->left, NULL);
	return true;
}

bool mnt_memory_end(struct mnt_memory *memory, unsigned int patience)
{
	struct timespec end;
	bool all;

	clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_sec += patience / 1000;
	end.tv_nsec += patience % 1000 * 1000000L;
	if (end.tv_nsec >= 1000000000) {
		end.tv_sec++;
		end.tv_nsec -= 1000000000;
	}
	pthread_mutex_lock(&memory->lock);
	while (memory->idle)
		let_leave(memory, take_idle(memory), memory->block, false);
	while (memory->leaving &&
	       !pthread_cond_clockwait(&memory->left, &memory->lock, CLOCK_MONOTONIC, &end))
		;
	all = !memory->leaving;
	pthread_mutex_unlock(&memory->lock);
	if (!all)
		return false;
	mnt_jobs_free(memory->leavers);
	pthread_cond_destroy(&memory->left);
	pthread_mutex_destroy(&memory->lock);
	return true;
}
