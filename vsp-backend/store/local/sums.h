/* SPDX-License-Identifier: MIT */
/*
 * Checksums of what is in extent files, and the check of what is read from there.
 *
 * A chunk is cut into blocks of one size (the last may be shorter).  Each block has a
 * CRC-64/NVME in the table sums: 8 bytes, little endian, in the order of the blocks.  A chunk
 * of one block has none there, as chunks.crc64 is it.  A chunk of several blocks that has none
 * (of a store that an older program wrote) is checked as a whole.
 *
 * The table is committed with the chunk.  Blocks are small for small chunks, so that a
 * short range of one costs little, and larger for large ones, so that their checksums
 * stay few: 16 KiB at most for each chunk, in memory and in the database.
 */
#ifndef AZB_LOCAL_SUMS_H
#define AZB_LOCAL_SUMS_H

#include <stdatomic.h>
#include <stdint.h>

#include "store/local/db.h"

struct local;
struct extent_file;

#define SUMS_BLOCK_MIN 16384u
#define SUMS_MAX 2048u /* of one chunk */

/* Bytes of a block of a chunk of this length: a power of two, at least SUMS_BLOCK_MIN. */
static inline uint64_t sums_block(uint64_t length)
{
	uint64_t block = SUMS_BLOCK_MIN;

	while (block * SUMS_MAX < length)
		block *= 2;
	return block;
}

static inline uint64_t sums_count(uint64_t length)
{
	uint64_t block = sums_block(length);

	return (length + block - 1) / block;
}

/*
 * When what is read is compared with its checksums.
 *   always  each time, before a byte of it is given out
 *   first   at the first read since the store was opened, and again when an hour has gone by
 *   never   not at all; `azblob-vspd check --data` still can
 */
enum sums_policy {
	SUMS_FIRST,
	SUMS_ALWAYS,
	SUMS_NEVER
};

/* Blocks that were found to be good; a lost entry costs another look, nothing else. */
#define SUMS_SEEN (1u << 18)
/* Places that one block may have there, as chunks that are read by turns overlap. */
#define SUMS_WAYS 4u

struct sums_seen {
	_Atomic uint64_t *tags; /* SUMS_SEEN of them, 0: none; NULL: no memory for that */
};

void sums_init(struct local *local);
void sums_end(struct local *local);
/* Everything has to be looked at again. */
void sums_forget(struct local *local);

/* In jobs: the checksums of a new chunk.  @sums: sums_count() of them. */
enum store_error sums_add(struct local *local, int64_t chunk, const uint64_t *sums, uint64_t count);

/* A chunk in an extent file, under a lease. */
struct chunk {
	int64_t id;
	uint64_t length, crc64;
	struct extent_file *file;
	uint64_t offset; /* in the file */
};

/**
 * sums_check - are these bytes of a chunk what was written?
 * @offset, @length: in the chunk; not empty.
 * @budget: bytes that may still be read for it.  What has been seen before costs none.
 * @good: how many of @length are good, from the start on; less than @length only when the
 *	budget is used up, and never 0 then.
 *
 * Reads whole blocks.  STORE_CORRUPT, with a line in the log, when one is not what its checksum
 * says; STORE_IO when it can't be read.  Holds no lock and no connection while it reads.
 */
enum store_error sums_check(struct local *local, const struct chunk *chunk, uint64_t offset,
			    uint64_t length, uint64_t *budget, uint64_t *good);

#endif
