/* SPDX-License-Identifier: MIT */
/*
 * Blocks on local disk, for the filter "cache": a file of slots without a name, and an index in
 * memory.  It ends with the process: what a crash leaves is nothing, and what is there was put
 * there by this process.
 *
 * Threads: any, at once.  Nothing waits but for the disk.
 */
#ifndef AZB_FILTER_CACHE_BLOCKS_H
#define AZB_FILTER_CACHE_BLOCKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BLOCKS_ID 32u

struct blocks;

/* What it has done since it was opened. */
struct blocks_counts {
	uint64_t slots, used;
	uint64_t evicted; /* to make room */
	uint64_t damaged; /* not what was written: dropped */
	uint64_t failed;  /* the disk did not take them */
};

/**
 * blocks_open() - make one in a directory that is there
 * @bytes: of data on the disk, at most; at least one block.
 * @block: bytes of a block, at most.
 *
 * NULL: one line in @error.
 */
struct blocks *blocks_open(const char *directory, uint64_t bytes, uint32_t block, char *error,
			   size_t error_size);
/* Nobody uses it. */
void blocks_free(struct blocks *blocks);

/**
 * blocks_get() - copy a block out
 * @id: of bytes that never change: a hash over blob, version and number.
 * @buffer: has room for a block.
 *
 * Return: its length, 0 when it is not there (or was damaged, and is not there any more).
 */
uint32_t blocks_get(struct blocks *blocks, const uint8_t id[BLOCKS_ID], void *buffer);
bool blocks_has(struct blocks *blocks, const uint8_t id[BLOCKS_ID]);

/**
 * blocks_put() - keep a block, in the place of one that was not used for long
 * @of: a hash over the blob alone, for blocks_may_have().
 * @bytes: private memory: what is checked later is taken from it here.
 */
void blocks_put(struct blocks *blocks, const uint8_t id[BLOCKS_ID], const uint8_t of[BLOCKS_ID],
		const void *bytes, uint32_t length);
/* False: nothing of that blob is here.  True: perhaps. */
bool blocks_may_have(struct blocks *blocks, const uint8_t of[BLOCKS_ID]);

struct blocks_counts blocks_counts(struct blocks *blocks);

#endif
