/* SPDX-License-Identifier: MIT */
/*
 * Where blocks and buffers live: pages of our own, within a budget.  Those of a whole block
 * are kept for the next one, and told to the service, which may have them pinned once for good.
 * Pinning and its end ask the host, so neither is done with a lock held or where others wait.
 */
#ifndef MNT_MEMORY_H
#define MNT_MEMORY_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

#include "jobs.h"

struct mnt_idle;
struct mnt_memory;

/* What one connection of the library registers. */
#define MNT_MAX_PINS 64u

/**
 * struct mnt_pin - a block that the service knows, or will in a moment
 * @job: of its end.
 * @data: NULL: nothing is here.
 * @handle: NULL: it is being made known.
 * @late: somebody may still write to the block.
 */
struct mnt_pin {
	struct mnt_job job; /* first */
	struct mnt_memory *memory;
	char *data;
	void *handle;
	bool late;
};

/**
 * struct mnt_memory - all of it
 * @budget, @block: bytes.
 * @pin: makes @data, a block long, known to the service; NULL: it is not, which does no harm.
 * @unpin: may wait until nobody uses it any more, which may be for ever.  Both may be NULL.
 * @freed: memory came free later than it was given; called without locks.
 * @lock: protects the rest; nothing else is taken while it is held.
 * @left: one of those that leave has gone.
 * @mapped: bytes there are, idle ones and those that leave included.
 * @coming: of these, bytes that leave as soon as the host says so: nobody is in them.
 * @leavers: a thread for each block that leaves, since each may wait for ever.  Threads of others
 *	are none of them: those go on fetching.
 * @leaving: how many blocks leave.
 */
struct mnt_memory {
	size_t budget;
	size_t block;
	void *(*pin)(void *context, void *data, size_t size);
	void (*unpin)(void *context, void *handle);
	void *context;
	void (*freed)(void *owner);
	void *owner;
	struct mnt_jobs *leavers;
	pthread_mutex_t lock;
	pthread_cond_t left;
	size_t mapped;
	size_t idle_bytes;
	size_t coming;
	unsigned int leaving;
	struct mnt_idle *idle;
	struct mnt_pin pins[MNT_MAX_PINS];
	bool no_pins; /* one was refused: others would be too */
};

/* Why there is none. */
enum mnt_none {
	MNT_NO_MEMORY, /* the system has none */
	MNT_FULL,      /* something must be given back first */
	MNT_COMING,    /* enough will come free by itself: @freed tells */
};

/* @budget to @owner are set; the rest is 0.  False when out of memory or threads. */
bool mnt_memory_init(struct mnt_memory *memory);
/*
 * All has been given back.  Waits @patience ms for those that leave; false when some have not: the
 * rest, and the service, have to stay as they are then until the process ends.
 */
bool mnt_memory_end(struct mnt_memory *memory, unsigned int patience);

/* @size bytes, whole pages; or NULL and *none.  Does not wait. */
void *mnt_memory_take(struct mnt_memory *memory, size_t size, enum mnt_none *none);
/*
 * A request will soon be about @data, of @size bytes as it was taken, that does not come back
 * meanwhile: makes a whole block known to the service unless it is.  Waits for the host: not with
 * a lock held.
 */
void mnt_memory_pin(struct mnt_memory *memory, void *data, size_t size);
/* @late: others may write to it even now, so that its pages are not used again.  Does not wait. */
void mnt_memory_give(struct mnt_memory *memory, void *data, size_t size, bool late);
/* Bytes that are in use, those that leave included. */
size_t mnt_memory_used(struct mnt_memory *memory);

#endif /* MNT_MEMORY_H */
