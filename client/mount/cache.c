// SPDX-License-Identifier: MIT
/*
 * One lock protects everything but the bytes themselves.  A block's bytes are written by the fetch
 * that has its chunks marked busy, and read by who holds it after they are marked valid.
 */
#include "cache.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "jobs.h"
#include "memory.h"

#define PAGE ((size_t)4096)
#define BUCKETS 4096u

/**
 * struct mnt_block - one block, or a part of one
 * @room: bytes at @data, whole pages.
 * @length: bytes of the blob in this block.
 * @valid, @busy: chunks that are there, and that are being fetched.
 * @refs: holds, and fetches under way.  On the list of those that may go when 0.
 * @dead: somebody may still write to @data, so nothing more is put there; not in the table.
 * @ahead: nobody has held it yet.
 * @error: of the last fetch that failed, or 0.
 */
struct mnt_block {
	struct mnt_block *next_in_table;
	struct mnt_block *older;
	struct mnt_block *newer;
	struct mnt_version *version;
	uint64_t index;
	char *data;
	size_t room;
	size_t length;
	uint64_t valid;
	uint64_t busy;
	unsigned int refs;
	bool dead;
	bool ahead;
	int error;
	struct fetch *fetches; /* those that are queued or running */
};

struct fetch {
	struct mnt_job job;
	struct mnt_cache *cache;
	struct mnt_block *block;
	struct fetch *next;
	uint64_t chunks;
	size_t offset; /* in the block */
	size_t length;
};

struct mnt_cache {
	pthread_mutex_t lock;
	pthread_cond_t changed; /* a fetch has ended, memory came free, or mnt_cache_wake() */
	struct mnt_cache_options options;
	size_t chunk;
	struct mnt_memory memory;
	size_t buffer_bytes;
	size_t ahead_bytes;
	struct mnt_block *oldest;
	struct mnt_block *newest;
	struct mnt_cache_stats stats;
	struct mnt_version *version[BUCKETS];
	struct mnt_block *table[BUCKETS];
};

/* ---- memory ---- */

static void give_back(struct mnt_cache *cache, void *data, size_t size, bool late)
{
	mnt_memory_give(&cache->memory, data, size, late);
	pthread_cond_broadcast(&cache->changed);
}

/* Memory that was late. */
static void memory_freed(void *owner)
{
	mnt_cache_wake(owner);
}

static bool evict_one(struct mnt_cache *cache);

static void count_memory(struct mnt_cache *cache)
{
	cache->stats.used = mnt_memory_used(&cache->memory);
	if (cache->stats.used > cache->stats.most)
		cache->stats.most = cache->stats.used;
}

/* NULL with *full set when the budget is held by others, without when the system has no memory. */
static char *take_memory(struct mnt_cache *cache, size_t size, bool *full)
{
	enum mnt_none none;
	char *data;

	do
		data = mnt_memory_take(&cache->memory, size, &none);
	while (!data && none == MNT_FULL && evict_one(cache));
	*full = none != MNT_NO_MEMORY;
	if (data)
		count_memory(cache);
	return data;
}

/* ---- versions ---- */

static unsigned int hash_text(unsigned int hash, const char *text)
{
	while (*text)
		hash = (hash ^ (unsigned char)*text++) * 16777619u;
	return hash;
}

static unsigned int version_bucket(const char *blob, const char *etag)
{
	return hash_text(hash_text(2166136261u, blob), etag) % BUCKETS;
}

static struct mnt_version *find_version(struct mnt_cache *cache, const char *blob, const char *etag,
					uint64_t size)
{
	struct mnt_version *at = cache->version[version_bucket(blob, etag)];

	while (at && (at->size != size || strcmp(at->etag, etag) || strcmp(at->blob, blob)))
		at = at->next;
	return at;
}

struct mnt_version *mnt_cache_version(struct mnt_cache *cache, const char *blob, const char *etag,
				      uint64_t size)
{
	struct mnt_version **bucket = &cache->version[version_bucket(blob, etag)];
	struct mnt_version *version;

	pthread_mutex_lock(&cache->lock);
	version = find_version(cache, blob, etag, size);
	if (!version) {
		version = calloc(1, sizeof(*version));
		if (version) {
			version->blob = strdup(blob);
			version->etag = strdup(etag);
			version->size = size;
		}
		if (!version || !version->blob || !version->etag) {
			if (version) {
				free(version->blob);
				free(version->etag);
			}
			free(version);
			pthread_mutex_unlock(&cache->lock);
			return NULL;
		}
		version->next = *bucket;
		*bucket = version;
	}
	version->refs++;
	pthread_mutex_unlock(&cache->lock);
	return version;
}

void mnt_version_get(struct mnt_cache *cache, struct mnt_version *version)
{
	pthread_mutex_lock(&cache->lock);
	version->refs++;
	pthread_mutex_unlock(&cache->lock);
}

static void put_version(struct mnt_cache *cache, struct mnt_version *version)
{
	struct mnt_version **at;

	if (--version->refs)
		return;
	at = &cache->version[version_bucket(version->blob, version->etag)];
	while (*at != version)
		at = &(*at)->next;
	*at = version->next;
	free(version->blob);
	free(version->etag);
	free(version);
}

void mnt_version_put(struct mnt_cache *cache, struct mnt_version *version)
{
	if (!version)
		return;
	pthread_mutex_lock(&cache->lock);
	put_version(cache, version);
	pthread_mutex_unlock(&cache->lock);
}

/* ---- blocks ---- */

static struct mnt_block **block_bucket(struct mnt_cache *cache, const struct mnt_version *version,
				       uint64_t index)
{
	uint64_t hash = ((uintptr_t)version / 16 + index) * UINT64_C(0x9e3779b97f4a7c15);

	return &cache->table[(hash >> 32) % BUCKETS];
}

static struct mnt_block *find_block(struct mnt_cache *cache, const struct mnt_version *version,
				    uint64_t index)
{
	struct mnt_block *block = *block_bucket(cache, version, index);

	while (block && (block->version != version || block->index != index))
		block = block->next_in_table;
	return block;
}

static void leave_table(struct mnt_cache *cache, struct mnt_block *block)
{
	struct mnt_block **at = block_bucket(cache, block->version, block->index);

	while (*at != block)
		at = &(*at)->next_in_table;
	*at = block->next_in_table;
}

static void leave_list(struct mnt_cache *cache, struct mnt_block *block)
{
	if (block->older)
		block->older->newer = block->newer;
	else
		cache->oldest = block->newer;
	if (block->newer)
		block->newer->older = block->older;
	else
		cache->newest = block->older;
}

static void join_list(struct mnt_cache *cache, struct mnt_block *block)
{
	block->older = cache->newest;
	block->newer = NULL;
	if (cache->newest)
		cache->newest->newer = block;
	else
		cache->oldest = block;
	cache->newest = block;
}

static void not_ahead(struct mnt_cache *cache, struct mnt_block *block)
{
	if (block->ahead)
		cache->ahead_bytes -= block->room;
	block->ahead = false;
}

static void free_block(struct mnt_cache *cache, struct mnt_block *block)
{
	not_ahead(cache, block);
	give_back(cache, block->data, block->room, block->dead);
	put_version(cache, block->version);
	free(block);
}

static bool evict_one(struct mnt_cache *cache)
{
	struct mnt_block *block = cache->oldest;

	if (!block)
		return false;
	cache->stats.evicted++;
	cache->stats.unused += block->ahead;
	leave_list(cache, block);
	leave_table(cache, block);
	free_block(cache, block);
	return true;
}

static void get_block(struct mnt_cache *cache, struct mnt_block *block)
{
	if (!block->refs++)
		leave_list(cache, block);
}

static void put_block(struct mnt_cache *cache, struct mnt_block *block)
{
	if (--block->refs)
		return;
	if (block->dead) {
		free_block(cache, block);
		return;
	}
	join_list(cache, block);
	/* Somebody may wait for memory. */
	pthread_cond_broadcast(&cache->changed);
}

static size_t room_for(size_t length)
{
	return (length + PAGE - 1) / PAGE * PAGE;
}

static size_t length_of(const struct mnt_cache *cache, const struct mnt_version *version,
			uint64_t index)
{
	uint64_t start = index * cache->options.block;
	uint64_t rest = version->size - start;

	return rest < cache->options.block ? (size_t)rest : cache->options.block;
}

/* With one reference; NULL when there is no memory for it, *full: but later perhaps. */
static struct mnt_block *new_block(struct mnt_cache *cache, struct mnt_version *version,
				   uint64_t index, bool *full)
{
	struct mnt_block **bucket = block_bucket(cache, version, index);
	struct mnt_block *block = calloc(1, sizeof(*block));

	*full = false;
	if (!block)
		return NULL;
	block->version = version;
	block->index = index;
	block->length = length_of(cache, version, index);
	block->room = room_for(block->length);
	block->refs = 1;
	/* Before memory is taken: that may evict the version's last other block. */
	version->refs++;
	block->data = take_memory(cache, block->room, full);
	if (!block->data) {
		put_version(cache, version);
		free(block);
		return NULL;
	}
	block->next_in_table = *bucket;
	*bucket = block;
	return block;
}

/* ---- fetching ---- */

static uint64_t chunk_mask(const struct mnt_cache *cache, size_t from, size_t to)
{
	unsigned int first = (unsigned int)(from / cache->chunk);
	unsigned int last = (unsigned int)((to - 1) / cache->chunk);
	uint64_t upper = last == MNT_CHUNKS - 1 ? ~UINT64_C(0) : (UINT64_C(1) << (last + 1)) - 1;

	return upper & ~((UINT64_C(1) << first) - 1);
}

static void end_fetch(struct fetch *fetch, int result, bool late)
{
	struct mnt_cache *cache = fetch->cache;
	struct mnt_block *block = fetch->block;
	struct fetch **at = &block->fetches;

	pthread_mutex_lock(&cache->lock);
	while (*at != fetch)
		at = &(*at)->next;
	*at = fetch->next;
	block->busy &= ~fetch->chunks;
	if (!result)
		block->valid |= fetch->chunks;
	else
		block->error = result;
	if (late && !block->dead) {
		block->dead = true;
		leave_table(cache, block);
	}
	put_block(cache, block);
	pthread_cond_broadcast(&cache->changed);
	pthread_mutex_unlock(&cache->lock);
	free(fetch);
}

static void run_fetch(struct mnt_job *job)
{
	struct fetch *fetch = (struct fetch *)job;
	struct mnt_block *block = fetch->block;
	const struct mnt_cache_options *options = &fetch->cache->options;
	bool late = false;
	int result;

	mnt_memory_pin(&fetch->cache->memory, block->data, block->room);
	result = options->fetch(options->context, block->version,
				block->index * options->block + fetch->offset, fetch->length,
				block->data + fetch->offset, &late);

	end_fetch(fetch, result, late);
}

/*
 * Marks the runs of chunks in @want that nobody has or fetches as busy and puts a fetch for each
 * on *list.  Called with the lock; the fetches are queued without it, by queue().
 */
static bool prepare(struct mnt_cache *cache, struct mnt_block *block, uint64_t want,
		    struct fetch **list)
{
	uint64_t missing = want & ~block->valid & ~block->busy;

	while (missing) {
		unsigned int first = (unsigned int)__builtin_ctzll(missing);
		uint64_t rest = ~(missing >> first);
		unsigned int count = rest ? (unsigned int)__builtin_ctzll(rest) : MNT_CHUNKS;
		struct fetch *fetch = calloc(1, sizeof(*fetch));
		size_t end;

		if (!fetch)
			return false;
		if (count > MNT_CHUNKS - first)
			count = MNT_CHUNKS - first;
		fetch->job.run = run_fetch;
		fetch->cache = cache;
		fetch->block = block;
		fetch->offset = first * cache->chunk;
		end = (first + count) * cache->chunk;
		fetch->length = (end < block->length ? end : block->length) - fetch->offset;
		fetch->chunks = chunk_mask(cache, fetch->offset, fetch->offset + fetch->length);
		block->busy |= fetch->chunks;
		missing &= ~fetch->chunks;
		get_block(cache, block);
		fetch->next = block->fetches;
		block->fetches = fetch;
		/* The job's own link carries the list until it is queued. */
		fetch->job.next = *list ? &(*list)->job : NULL;
		*list = fetch;
		cache->stats.fetches++;
		cache->stats.fetched += fetch->length;
	}
	return true;
}

/* Lets go of the lock meanwhile: without threads the jobs run right here. */
static void queue(struct mnt_cache *cache, struct fetch *list, bool urgent)
{
	if (!list)
		return;
	pthread_mutex_unlock(&cache->lock);
	while (list) {
		struct fetch *next = (struct fetch *)list->job.next;

		mnt_jobs_add(cache->options.jobs, &list->job, urgent);
		list = next;
	}
	pthread_mutex_lock(&cache->lock);
}

/* ---- holding ---- */

static bool given_up(const struct mnt_wait *wait)
{
	return wait && wait->given_up && wait->given_up(wait->context);
}

/* The block with one more reference, there or new; waits for memory. */
static int find_or_make(struct mnt_cache *cache, struct mnt_version *version, uint64_t index,
			const struct mnt_wait *wait, struct mnt_block **result)
{
	bool full;

	while (true) {
		struct mnt_block *block = find_block(cache, version, index);

		if (block) {
			get_block(cache, block);
			*result = block;
			return 0;
		}
		*result = new_block(cache, version, index, &full);
		if (*result)
			return 0;
		if (!full)
			return -ENOMEM;
		/* All is held: the fetches under way and the holds of others end. */
		if (given_up(wait))
			return -EINTR;
		pthread_cond_wait(&cache->changed, &cache->lock);
	}
}

static void hurry(struct mnt_cache *cache, const struct mnt_block *block, uint64_t want)
{
	for (struct fetch *fetch = block->fetches; fetch; fetch = fetch->next)
		if (fetch->chunks & want)
			mnt_jobs_hurry(cache->options.jobs, &fetch->job);
}

/* Waits until all of @want is valid; 0, -errno, or -EAGAIN: the block is of no use any more. */
static int fill(struct mnt_cache *cache, struct mnt_block *block, uint64_t want, uint64_t wish,
		const struct mnt_wait *wait)
{
	bool asked = false;

	while ((block->valid & want) != want) {
		struct fetch *list = NULL;

		if (block->dead)
			return asked ? block->error : -EAGAIN;
		if (want & ~block->valid & ~block->busy) {
			/* What others fetched in vain is tried again once, for us. */
			if (asked)
				return block->error ? block->error : -ENOMEM;
			asked = true;
			if (!prepare(cache, block, want | wish, &list) && !list)
				return -ENOMEM;
			queue(cache, list, true);
			continue;
		}
		if (given_up(wait))
			return -EINTR;
		hurry(cache, block, want);
		pthread_cond_wait(&cache->changed, &cache->lock);
	}
	return 0;
}

int mnt_cache_hold(struct mnt_cache *cache, struct mnt_version *version, uint64_t offset,
		   size_t length, size_t wish, const struct mnt_wait *wait, struct mnt_hold *hold)
{
	uint64_t index = offset / cache->options.block;
	size_t start = (size_t)(offset % cache->options.block);
	struct mnt_block *block = NULL;
	uint64_t want;
	int result;

	pthread_mutex_lock(&cache->lock);
	do {
		result = find_or_make(cache, version, index, wait, &block);
		if (result)
			break;
		not_ahead(cache, block);
		if (length > block->length - start)
			length = block->length - start;
		if (wish > block->length - start)
			wish = block->length - start;
		want = chunk_mask(cache, start, start + length);
		if ((block->valid & want) == want)
			cache->stats.hits++;
		else
			cache->stats.misses++;
		result = fill(cache, block, want,
			      wish > length ? chunk_mask(cache, start, start + wish) : 0, wait);
		if (result)
			put_block(cache, block);
	} while (result == -EAGAIN);
	pthread_mutex_unlock(&cache->lock);
	if (result)
		return result;
	hold->data = block->data + start;
	hold->length = length;
	hold->block = block;
	return 0;
}

void mnt_cache_release(struct mnt_cache *cache, struct mnt_hold *hold)
{
	pthread_mutex_lock(&cache->lock);
	put_block(cache, hold->block);
	pthread_mutex_unlock(&cache->lock);
	hold->block = NULL;
}

void mnt_cache_wake(struct mnt_cache *cache)
{
	pthread_mutex_lock(&cache->lock);
	pthread_cond_broadcast(&cache->changed);
	pthread_mutex_unlock(&cache->lock);
}

/* ---- reading ahead ---- */

/* The block to read ahead into, with one more reference, or NULL: no more now. */
static struct mnt_block *block_ahead(struct mnt_cache *cache, struct mnt_version *version,
				     uint64_t index)
{
	struct mnt_block *block = find_block(cache, version, index);
	size_t room = room_for(length_of(cache, version, index));
	bool full;

	if (block) {
		get_block(cache, block);
		return block;
	}
	if (cache->ahead_bytes + room > cache->options.budget / 2)
		return NULL;
	block = new_block(cache, version, index, &full);
	if (!block)
		return NULL;
	block->ahead = true;
	cache->ahead_bytes += block->room;
	return block;
}

uint64_t mnt_cache_ahead(struct mnt_cache *cache, struct mnt_version *version, uint64_t from,
			 uint64_t to)
{
	struct fetch *list = NULL;
	struct fetch *turned = NULL;

	if (to > version->size)
		to = version->size;
	pthread_mutex_lock(&cache->lock);
	while (from < to) {
		uint64_t index = from / cache->options.block;
		size_t start = (size_t)(from % cache->options.block);
		struct mnt_block *block = block_ahead(cache, version, index);
		size_t length;
		bool enough;

		if (!block)
			break;
		length = block->length - start;
		if (length > to - from)
			length = (size_t)(to - from);
		enough = prepare(cache, block, chunk_mask(cache, start, start + length), &list);
		put_block(cache, block);
		if (!enough)
			break;
		from += length;
	}
	/* In the order of the blob. */
	while (list) {
		struct fetch *next = (struct fetch *)list->job.next;

		list->job.next = turned ? &turned->job : NULL;
		turned = list;
		list = next;
	}
	queue(cache, turned, false);
	pthread_mutex_unlock(&cache->lock);
	return from;
}

/* ---- buffers ---- */

void *mnt_cache_buffer(struct mnt_cache *cache)
{
	size_t size = cache->options.block;
	char *data = NULL;
	bool full;

	pthread_mutex_lock(&cache->lock);
	if (cache->buffer_bytes + size <= cache->options.budget / 2)
		data = take_memory(cache, size, &full);
	if (data)
		cache->buffer_bytes += size;
	pthread_mutex_unlock(&cache->lock);
	return data;
}

void mnt_cache_buffer_pin(struct mnt_cache *cache, void *buffer)
{
	mnt_memory_pin(&cache->memory, buffer, cache->options.block);
}

void mnt_cache_buffer_done(struct mnt_cache *cache, void *buffer, bool dirty)
{
	if (!buffer)
		return;
	pthread_mutex_lock(&cache->lock);
	cache->buffer_bytes -= cache->options.block;
	give_back(cache, buffer, cache->options.block, dirty);
	pthread_mutex_unlock(&cache->lock);
}

/* ---- the whole ---- */

void mnt_cache_drop(struct mnt_cache *cache, struct mnt_version *version)
{
	struct mnt_block *block;
	struct mnt_block *newer;

	pthread_mutex_lock(&cache->lock);
	version->refs++;
	for (block = cache->oldest; block; block = newer) {
		newer = block->newer;
		if (block->version != version)
			continue;
		leave_list(cache, block);
		leave_table(cache, block);
		free_block(cache, block);
	}
	put_version(cache, version);
	pthread_mutex_unlock(&cache->lock);
}

struct mnt_cache *mnt_cache_new(const struct mnt_cache_options *options)
{
	struct mnt_cache *cache = calloc(1, sizeof(*cache));

	if (!cache)
		return NULL;
	cache->options = *options;
	cache->chunk = options->block / MNT_CHUNKS;
	pthread_mutex_init(&cache->lock, NULL);
	pthread_cond_init(&cache->changed, NULL);
	cache->memory.budget = options->budget;
	cache->memory.block = options->block;
	cache->memory.pin = options->pin;
	cache->memory.unpin = options->unpin;
	cache->memory.context = options->context;
	cache->memory.freed = memory_freed;
	cache->memory.owner = cache;
	if (!mnt_memory_init(&cache->memory)) {
		pthread_cond_destroy(&cache->changed);
		pthread_mutex_destroy(&cache->lock);
		free(cache);
		return NULL;
	}
	return cache;
}

bool mnt_cache_free(struct mnt_cache *cache, unsigned int patience)
{
	if (!cache)
		return true;
	pthread_mutex_lock(&cache->lock);
	while (evict_one(cache))
		;
	pthread_mutex_unlock(&cache->lock);
	if (!mnt_memory_end(&cache->memory, patience))
		return false;
	pthread_cond_destroy(&cache->changed);
	pthread_mutex_destroy(&cache->lock);
	free(cache);
	return true;
}

size_t mnt_cache_block_size(const struct mnt_cache *cache)
{
	return cache->options.block;
}

void mnt_cache_get_stats(struct mnt_cache *cache, struct mnt_cache_stats *stats)
{
	pthread_mutex_lock(&cache->lock);
	count_memory(cache);
	*stats = cache->stats;
	pthread_mutex_unlock(&cache->lock);
}
