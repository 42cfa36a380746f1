/* SPDX-License-Identifier: MIT */
/*
 * Where blocks and buffers live: pages of our own, within a budget.  Those of a whole block
 * are kept for the next one, and told to the service, which may have them pinned once for good.
 */
#ifndef MNT_MEMORY_H
#define MNT_MEMORY_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

struct mnt_jobs;
struct mnt_idle;

/* What one connection of the library registers. */
#define MNT_MAX_PINS 64u

struct mnt_pin {
	char *data;
	void *handle;
};

/**
 * struct mnt_memory - all of it
 * @budget, @block: bytes.
 * @pin: makes @data, a block long, known to the service; NULL: it is not, which does no harm.
 * @unpin: may wait until nobody uses it any more.  Both may be NULL.
 * @freed: memory came free that was late; called without locks.
 * @lock: protects the rest; nothing else is taken while it is held.
 * @mapped: bytes there are, idle ones included.
 */
struct mnt_memory {
	size_t budget;
	size_t block;
	struct mnt_jobs *jobs;
	void *(*pin)(void *context, void *data, size_t size);
	void (*unpin)(void *context, void *handle);
	void *context;
	void (*freed)(void *owner);
	void *owner;
	pthread_mutex_t lock;
	size_t mapped;
	size_t idle_bytes;
	struct mnt_idle *idle;
	struct mnt_pin pins[MNT_MAX_PINS];
	bool no_pins; /* one was refused: others would be too */
};

void mnt_memory_init(struct mnt_memory *memory);
/* All is given back. */
void mnt_memory_end(struct mnt_memory *memory);

/*
 * @size bytes, whole pages.  NULL with *full set: something must be given back first; NULL without:
 * the system has none.
 */
void *mnt_memory_take(struct mnt_memory *memory, size_t size, bool *full);
/* @late: others may write to it even now, so that its pages are not used again. */
void mnt_memory_give(struct mnt_memory *memory, void *data, size_t size, bool late);
/* Bytes that are in use. */
size_t mnt_memory_used(struct mnt_memory *memory);

#endif /* MNT_MEMORY_H */
