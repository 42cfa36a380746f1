/* SPDX-License-Identifier: MIT */
/*
 * Blocks of blobs in memory, for all open files together, within one budget.
 *
 * A block is known by blob name, ETag and number, so a blob that was replaced has other blocks, and
 * bytes of two versions never meet.  A block of which only a part was wanted holds only that:
 * it is filled by chunks, 1/64 of the block size each.
 */
#ifndef MNT_CACHE_H
#define MNT_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct mnt_cache;
struct mnt_jobs;

#define MNT_CHUNKS 64

/**
 * struct mnt_version - one version of one blob; counted, see mnt_cache_version()
 * @blob, @etag: strings of its own.
 * @size: bytes of the blob.
 */
struct mnt_version {
	char *blob;
	char *etag;
	uint64_t size;
	unsigned int refs; /* under the cache's lock, like the next */
	struct mnt_version *next;
};

/*
 * Brings @length bytes from @offset of @version into @buffer, which starts on a page boundary
 * when @offset is one of a chunk.  0, or -errno.  *late is set when somebody may still write to the
 * buffer.  Called by any number of threads at once.
 */
typedef int (*mnt_fetch_fn)(void *context, const struct mnt_version *version, uint64_t offset,
			    size_t length, void *buffer, bool *late);

/**
 * struct mnt_cache_options - what a cache is made of
 * @budget: bytes that blocks and buffers may take, at least 4 blocks.
 * @block: bytes of a block, a power of two from 256 KiB to 32 MiB.
 * @pin, @unpin: as struct mnt_memory has them; may be NULL.  @unpin is called by threads of its
 * own.
 * @jobs: do the fetching.
 */
struct mnt_cache_options {
	size_t budget;
	size_t block;
	mnt_fetch_fn fetch;
	void *(*pin)(void *context, void *data, size_t size);
	void (*unpin)(void *context, void *handle);
	void *context;
	struct mnt_jobs *jobs;
};

/* NULL when out of memory or threads. */
struct mnt_cache *mnt_cache_new(const struct mnt_cache_options *options);
/*
 * After the jobs have ended; nothing is held.  NULL is allowed.  Waits @patience ms for memory that
 * somebody may still write to.  False: there is such memory left, and the cache and what @unpin
 * needs have to stay until the process ends.
 */
bool mnt_cache_free(struct mnt_cache *cache, unsigned int patience);
size_t mnt_cache_block_size(const struct mnt_cache *cache);

/* The version, with one more reference; NULL when out of memory. */
struct mnt_version *mnt_cache_version(struct mnt_cache *cache, const char *blob, const char *etag,
				      uint64_t size);
void mnt_version_get(struct mnt_cache *cache, struct mnt_version *version);
/* NULL is allowed. */
void mnt_version_put(struct mnt_cache *cache, struct mnt_version *version);
/* Nobody will ask for it again: gives its memory back first. */
void mnt_cache_drop(struct mnt_cache *cache, struct mnt_version *version);

/**
 * struct mnt_wait - who waits and whether that still makes sense
 * @given_up: asked again after every mnt_cache_wake(); true ends the wait with -EINTR.
 */
struct mnt_wait {
	bool (*given_up)(void *context);
	void *context;
};
/* Lets all that wait ask whether they were given up.  Not with a lock held that given_up() takes.
 */
void mnt_cache_wake(struct mnt_cache *cache);

struct mnt_block;

/**
 * struct mnt_hold - bytes in the cache that stay there until mnt_cache_release()
 * @length: fewer than asked for where the block or the blob ends.
 */
struct mnt_hold {
	const char *data;
	size_t length;
	struct mnt_block *block;
};

/*
 * Waits until the @length bytes at @offset are there, or as many as there are in that block.  Where
 * they have to be fetched, @wish bytes of the block are, if that is more.  A thread lets go of
 * one hold before it asks for another.  @offset < @version->size.  0 or -errno; -EINTR when given
 * up, and the fetching goes on.
 */
int mnt_cache_hold(struct mnt_cache *cache, struct mnt_version *version, uint64_t offset,
		   size_t length, size_t wish, const struct mnt_wait *wait, struct mnt_hold *hold);
void mnt_cache_release(struct mnt_cache *cache, struct mnt_hold *hold);

/*
 * Starts to fetch what is not there yet of [from, to), as far as there is memory: blocks
 * that were fetched so and not yet used never take more than half of the budget.
 * Returns where it stopped.
 */
uint64_t mnt_cache_ahead(struct mnt_cache *cache, struct mnt_version *version, uint64_t from,
			 uint64_t to);

/*
 * A buffer of one block for other uses, out of the same budget; such buffers never take more than
 * half of it.  NULL when there is no room now; never waits.
 */
void *mnt_cache_buffer(struct mnt_cache *cache);
/* Requests will be about it: as mnt_memory_pin().  Not with a lock held. */
void mnt_cache_buffer_pin(struct mnt_cache *cache, void *buffer);
/* @dirty: somebody may still write to it. */
void mnt_cache_buffer_done(struct mnt_cache *cache, void *buffer, bool dirty);

/**
 * struct mnt_cache_stats - since the start
 * @used: bytes of blocks and buffers now; @most: and at most.
 * @hits, @misses: holds that found everything, and that did not.
 * @fetched: bytes asked for.
 * @evicted: blocks that made room, @unused: of these, read ahead in vain.
 */
struct mnt_cache_stats {
	uint64_t used;
	uint64_t most;
	uint64_t hits;
	uint64_t misses;
	uint64_t fetches;
	uint64_t fetched;
	uint64_t evicted;
	uint64_t unused;
};
void mnt_cache_get_stats(struct mnt_cache *cache, struct mnt_cache_stats *stats);

#endif /* MNT_CACHE_H */
