// SPDX-License-Identifier: MIT
/* azblob-mount: the block cache and the read-ahead, over a fetch that does what a test says. */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "cache.h"
#include "jobs.h"
#include "stream.h"

#define BLOCK ((size_t)256 << 10)
#define CHUNK (BLOCK / MNT_CHUNKS)

/**
 * struct world - a cache and what its fetches meet
 * @fail: -errno of the next fetch; @late: it leaves the buffer to somebody else.
 * @closed: fetches wait until it is opened; @pin_closed, @unpin_closed: pins and their ends.
 * @pinning, @unpinning: how many are under way; @pinned: how many there are.
 */
struct world {
	struct mnt_jobs *jobs;
	struct mnt_cache *cache;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	int fail;
	bool late;
	bool closed;
	bool pin_closed;
	bool unpin_closed;
	unsigned int pinning;
	unsigned int unpinning;
	unsigned int pinned;
	unsigned int waiting;
	unsigned int fetches;
	uint64_t bytes;
	uint64_t order[64]; /* offsets of the first fetches, as they ended */
};

/* The byte at an offset, other in every version. */
static char byte_at(const char *etag, uint64_t offset)
{
	return (char)(offset * 31 + offset / 4096 + (unsigned char)etag[0]);
}

static int fetch(void *context, const struct mnt_version *version, uint64_t offset, size_t length,
		 void *buffer, bool *late)
{
	struct world *world = context;
	int result;

	pthread_mutex_lock(&world->lock);
	world->waiting++;
	pthread_cond_broadcast(&world->changed);
	while (world->closed)
		pthread_cond_wait(&world->changed, &world->lock);
	world->waiting--;
	world->fetches++;
	world->bytes += length;
	if (world->fetches <= 64)
		world->order[world->fetches - 1] = offset;
	result = world->fail;
	*late = world->late;
	world->fail = 0;
	world->late = false;
	pthread_mutex_unlock(&world->lock);
	for (size_t i = 0; !result && i < length; i++)
		((char *)buffer)[i] = byte_at(version->etag, offset + i);
	return result;
}

/* With the lock; waits for as long as *closed. */
static void pass(struct world *world, const bool *closed, unsigned int *count)
{
	++*count;
	pthread_cond_broadcast(&world->changed);
	while (*closed)
		pthread_cond_wait(&world->changed, &world->lock);
	--*count;
}

static void *pin(void *context, void *data, size_t size)
{
	struct world *world = context;

	assert_int_equal(size, BLOCK);
	pthread_mutex_lock(&world->lock);
	pass(world, &world->pin_closed, &world->pinning);
	world->pinned++;
	pthread_mutex_unlock(&world->lock);
	return data;
}

static void unpin(void *context, void *handle)
{
	struct world *world = context;

	/* It is there for as long as somebody may be in it. */
	*(volatile char *)handle = 1;
	pthread_mutex_lock(&world->lock);
	pass(world, &world->unpin_closed, &world->unpinning);
	world->pinned--;
	pthread_mutex_unlock(&world->lock);
}

static void make_world_of(struct world *world, struct mnt_cache_options *options, size_t blocks,
			  unsigned int threads)
{
	options->budget = blocks * BLOCK;
	options->block = BLOCK;
	options->fetch = fetch;
	options->context = world;
	memset(world, 0, sizeof(*world));
	pthread_mutex_init(&world->lock, NULL);
	pthread_cond_init(&world->changed, NULL);
	world->jobs = mnt_jobs_new(threads);
	assert_non_null(world->jobs);
	options->jobs = world->jobs;
	world->cache = mnt_cache_new(options);
	assert_non_null(world->cache);
}

static void make_world(struct world *world, size_t blocks, unsigned int threads)
{
	struct mnt_cache_options options = { 0 };

	make_world_of(world, &options, blocks, threads);
}

/* One whose service wants to know the memory. */
static void make_pinning_world(struct world *world, size_t blocks, unsigned int threads)
{
	struct mnt_cache_options options = { .pin = pin, .unpin = unpin };

	make_world_of(world, &options, blocks, threads);
}

static void end_world(struct world *world)
{
	mnt_jobs_free(world->jobs);
	assert_true(mnt_cache_free(world->cache, 60000));
	assert_int_equal(world->pinned, 0);
	pthread_cond_destroy(&world->changed);
	pthread_mutex_destroy(&world->lock);
}

static void set_door(struct world *world, bool *door, bool closed)
{
	pthread_mutex_lock(&world->lock);
	*door = closed;
	pthread_cond_broadcast(&world->changed);
	pthread_mutex_unlock(&world->lock);
}

static void set_closed(struct world *world, bool closed)
{
	set_door(world, &world->closed, closed);
}

static void wait_for(struct world *world, const unsigned int *at_door, unsigned int count)
{
	pthread_mutex_lock(&world->lock);
	while (*at_door < count)
		pthread_cond_wait(&world->changed, &world->lock);
	pthread_mutex_unlock(&world->lock);
}

static void wait_for_fetches(struct world *world, unsigned int count)
{
	wait_for(world, &world->waiting, count);
}

static void set_failure(struct world *world, int fail, bool late)
{
	pthread_mutex_lock(&world->lock);
	world->fail = fail;
	world->late = late;
	pthread_mutex_unlock(&world->lock);
}

static int read_some(struct world *world, struct mnt_version *version, uint64_t offset,
		     size_t length)
{
	struct mnt_hold hold;
	int result = mnt_cache_hold(world->cache, version, offset, length, 0, NULL, &hold);

	if (result)
		return result;
	for (size_t i = 0; i < hold.length; i++)
		assert_int_equal(hold.data[i], byte_at(version->etag, offset + i));
	mnt_cache_release(world->cache, &hold);
	return 0;
}

static void bytes_are_fetched_once(void **state)
{
	struct mnt_version *version;
	struct world world;

	(void)state;
	make_world(&world, 8, 4);
	version = mnt_cache_version(world.cache, "b", "1", 3 * BLOCK + 100);
	assert_int_equal(read_some(&world, version, 10, 100), 0);
	/* Only the chunk, not the block. */
	assert_int_equal(world.bytes, CHUNK);
	assert_int_equal(read_some(&world, version, 20, 100), 0);
	assert_int_equal(world.fetches, 1);
	assert_int_equal(read_some(&world, version, CHUNK - 10, 20), 0);
	assert_int_equal(world.bytes, 2 * CHUNK);
	/* The last block is a short one. */
	assert_int_equal(read_some(&world, version, 3 * BLOCK + 90, 10), 0);
	assert_int_equal(world.bytes, 2 * CHUNK + 100);
	mnt_version_put(world.cache, version);
	end_world(&world);
}

static void versions_never_mix(void **state)
{
	struct mnt_version *first;
	struct mnt_version *second;
	struct mnt_version *again;
	struct world world;

	(void)state;
	make_world(&world, 8, 4);
	first = mnt_cache_version(world.cache, "b", "1", BLOCK);
	second = mnt_cache_version(world.cache, "b", "2", BLOCK);
	again = mnt_cache_version(world.cache, "b", "1", BLOCK);
	assert_ptr_equal(first, again);
	assert_ptr_not_equal(first, second);
	assert_int_equal(read_some(&world, first, 0, 1000), 0);
	assert_int_equal(read_some(&world, second, 0, 1000), 0);
	assert_int_equal(read_some(&world, first, 0, 1000), 0);
	assert_int_equal(world.fetches, 2);
	mnt_version_put(world.cache, again);
	mnt_version_put(world.cache, first);
	mnt_version_put(world.cache, second);
	end_world(&world);
}

static void the_budget_is_never_exceeded(void **state)
{
	struct mnt_cache_stats stats;
	struct mnt_version *version;
	struct world world;

	(void)state;
	make_world(&world, 4, 4);
	version = mnt_cache_version(world.cache, "b", "1", 50 * BLOCK);
	for (unsigned int i = 0; i < 200; i++) {
		mnt_cache_ahead(world.cache, version, i % 50 * BLOCK, (i % 50 + 5) * BLOCK);
		assert_int_equal(read_some(&world, version, i * 7 % 50 * BLOCK + 5, 1000), 0);
		mnt_cache_get_stats(world.cache, &stats);
		assert_true(stats.most <= 4 * BLOCK);
	}
	assert_true(stats.evicted > 100);
	mnt_version_put(world.cache, version);
	end_world(&world);
}

static void reading_ahead_takes_half_of_the_budget(void **state)
{
	struct mnt_version *version;
	struct world world;

	(void)state;
	make_world(&world, 8, 4);
	version = mnt_cache_version(world.cache, "b", "1", 50 * BLOCK);
	assert_int_equal(mnt_cache_ahead(world.cache, version, 0, 20 * BLOCK), 4 * BLOCK);
	assert_int_equal(mnt_cache_ahead(world.cache, version, 4 * BLOCK, 20 * BLOCK), 4 * BLOCK);
	/* What is used makes room for more. */
	assert_int_equal(read_some(&world, version, 0, 10), 0);
	assert_int_equal(read_some(&world, version, BLOCK, 10), 0);
	assert_int_equal(mnt_cache_ahead(world.cache, version, 4 * BLOCK, 20 * BLOCK), 6 * BLOCK);
	mnt_version_put(world.cache, version);
	end_world(&world);
}

static void a_failure_is_told_and_not_remembered(void **state)
{
	struct mnt_version *version;
	struct world world;

	(void)state;
	make_world(&world, 8, 1);
	version = mnt_cache_version(world.cache, "b", "1", BLOCK);
	set_failure(&world, -EIO, false);
	assert_int_equal(read_some(&world, version, 0, 10), -EIO);
	assert_int_equal(read_some(&world, version, 0, 10), 0);
	mnt_version_put(world.cache, version);
	end_world(&world);
}

static void what_failed_ahead_is_tried_again_for_who_needs_it(void **state)
{
	struct mnt_version *version;
	struct world world;

	(void)state;
	make_world(&world, 8, 1);
	version = mnt_cache_version(world.cache, "b", "1", BLOCK);
	set_closed(&world, true);
	set_failure(&world, -EIO, false);
	mnt_cache_ahead(world.cache, version, 0, BLOCK);
	wait_for_fetches(&world, 1);
	set_closed(&world, false);
	assert_int_equal(read_some(&world, version, 0, 10), 0);
	mnt_version_put(world.cache, version);
	end_world(&world);
}

static void memory_that_others_may_write_to_is_not_used_again(void **state)
{
	struct mnt_version *version;
	struct mnt_cache_stats stats;
	struct world world;

	(void)state;
	make_world(&world, 4, 1);
	version = mnt_cache_version(world.cache, "b", "1", 8 * BLOCK);
	assert_int_equal(read_some(&world, version, 0, 10), 0);
	set_failure(&world, -ETIMEDOUT, true);
	assert_int_equal(read_some(&world, version, BLOCK / 2, 10), -ETIMEDOUT);
	/* The whole block has gone, with what was good in it. */
	mnt_cache_get_stats(world.cache, &stats);
	assert_int_equal(stats.used, 0);
	assert_int_equal(read_some(&world, version, 0, 10), 0);
	assert_int_equal(world.fetches, 3);
	mnt_version_put(world.cache, version);
	end_world(&world);
}

static void buffers_share_the_budget(void **state)
{
	struct mnt_version *version;
	struct mnt_cache_stats stats;
	struct world world;
	void *first;
	void *second;

	(void)state;
	make_world(&world, 4, 1);
	version = mnt_cache_version(world.cache, "b", "1", 8 * BLOCK);
	for (unsigned int i = 0; i < 8; i++)
		assert_int_equal(read_some(&world, version, i * BLOCK, 10), 0);
	first = mnt_cache_buffer(world.cache);
	second = mnt_cache_buffer(world.cache);
	assert_non_null(first);
	assert_non_null(second);
	/* Half is left for reading. */
	assert_null(mnt_cache_buffer(world.cache));
	assert_int_equal(read_some(&world, version, 0, 10), 0);
	mnt_cache_get_stats(world.cache, &stats);
	assert_int_equal(stats.most, 4 * BLOCK);
	mnt_cache_buffer_done(world.cache, first, true);
	mnt_cache_buffer_done(world.cache, second, false);
	mnt_version_put(world.cache, version);
	end_world(&world);
}

struct reader {
	struct world *world;
	struct mnt_version *version;
	uint64_t offset;
	atomic_bool give_up;
	int result;
};

static bool given_up(void *context)
{
	return atomic_load(&((struct reader *)context)->give_up);
}

static void *reader_main(void *data)
{
	struct reader *reader = data;
	struct mnt_wait wait = { given_up, reader };
	struct mnt_hold hold;

	reader->result = mnt_cache_hold(reader->world->cache, reader->version, reader->offset, 10,
					0, &wait, &hold);
	if (!reader->result)
		mnt_cache_release(reader->world->cache, &hold);
	return NULL;
}

static void a_wait_can_be_given_up_and_the_bytes_still_come(void **state)
{
	struct reader reader = { 0 };
	struct world world;
	pthread_t thread;

	(void)state;
	make_world(&world, 4, 1);
	reader.world = &world;
	reader.version = mnt_cache_version(world.cache, "b", "1", BLOCK);
	set_closed(&world, true);
	assert_int_equal(pthread_create(&thread, NULL, reader_main, &reader), 0);
	wait_for_fetches(&world, 1);
	atomic_store(&reader.give_up, true);
	mnt_cache_wake(world.cache);
	pthread_join(thread, NULL);
	assert_int_equal(reader.result, -EINTR);
	set_closed(&world, false);
	assert_int_equal(read_some(&world, reader.version, 0, 10), 0);
	assert_int_equal(world.fetches, 1);
	mnt_version_put(world.cache, reader.version);
	end_world(&world);
}

static void who_waits_comes_before_what_is_read_ahead(void **state)
{
	struct reader reader = { 0 };
	struct world world;
	pthread_t thread;

	(void)state;
	make_world(&world, 16, 1);
	reader.world = &world;
	reader.version = mnt_cache_version(world.cache, "b", "1", 8 * BLOCK);
	reader.offset = 5 * BLOCK;
	set_closed(&world, true);
	/* One is under way, seven are in the queue. */
	assert_int_equal(mnt_cache_ahead(world.cache, reader.version, 0, 8 * BLOCK), 8 * BLOCK);
	wait_for_fetches(&world, 1);
	assert_int_equal(pthread_create(&thread, NULL, reader_main, &reader), 0);
	/* It has found its block and hurried it when the count of misses says so. */
	while (true) {
		struct mnt_cache_stats stats;

		mnt_cache_get_stats(world.cache, &stats);
		if (stats.misses)
			break;
		sched_yield();
	}
	set_closed(&world, false);
	pthread_join(thread, NULL);
	assert_int_equal(reader.result, 0);
	mnt_version_put(world.cache, reader.version);
	end_world(&world);
	assert_int_equal(world.fetches, 8);
	assert_int_equal(world.order[0], 0);
	assert_int_equal(world.order[1], 5 * BLOCK);
	assert_int_equal(world.order[2], BLOCK);
}

/* A host that answers nothing for good takes memory, and no thread that others need. */
static void memory_that_never_leaves_keeps_nobody_from_reading(void **state)
{
	struct mnt_version *version;
	struct mnt_cache_stats stats;
	struct world world;

	(void)state;
	make_pinning_world(&world, 8, 2);
	version = mnt_cache_version(world.cache, "b", "1", 50 * BLOCK);
	set_door(&world, &world.unpin_closed, true);
	for (unsigned int i = 0; i < 5; i++) {
		set_failure(&world, -ETIMEDOUT, true);
		assert_int_equal(read_some(&world, version, i * BLOCK, 10), -ETIMEDOUT);
	}
	wait_for(&world, &world.unpinning, 5);
	/* Of its memory nothing is used again, with what is left all goes on. */
	for (unsigned int i = 0; i < 50; i++)
		assert_int_equal(read_some(&world, version, i * BLOCK, 10), 0);
	mnt_cache_get_stats(world.cache, &stats);
	assert_int_equal(stats.used, 8 * BLOCK);
	assert_int_equal(stats.most, 8 * BLOCK);
	mnt_version_put(world.cache, version);
	mnt_jobs_free(world.jobs);
	world.jobs = NULL;
	/* The end of the mount does not hang either. */
	assert_false(mnt_cache_free(world.cache, 0));
	set_door(&world, &world.unpin_closed, false);
	end_world(&world);
}

static void who_finds_what_is_there_waits_for_no_pin(void **state)
{
	struct reader reader = { 0 };
	struct world world;
	pthread_t thread;

	(void)state;
	make_pinning_world(&world, 8, 1);
	reader.world = &world;
	reader.version = mnt_cache_version(world.cache, "b", "1", 8 * BLOCK);
	reader.offset = BLOCK;
	assert_int_equal(read_some(&world, reader.version, 0, 10), 0);
	set_door(&world, &world.pin_closed, true);
	assert_int_equal(pthread_create(&thread, NULL, reader_main, &reader), 0);
	wait_for(&world, &world.pinning, 1);
	assert_int_equal(read_some(&world, reader.version, 0, 10), 0);
	set_door(&world, &world.pin_closed, false);
	pthread_join(thread, NULL);
	assert_int_equal(reader.result, 0);
	assert_int_equal(world.pinned, 2);
	mnt_version_put(world.cache, reader.version);
	end_world(&world);
}

/* The host is asked for a whole block; meanwhile nothing else makes room in vain. */
static void a_pinned_block_gives_way_to_small_ones(void **state)
{
	struct mnt_cache_stats stats;
	struct mnt_version *large;
	struct reader reader = { 0 };
	struct world world;
	pthread_t thread;

	(void)state;
	make_pinning_world(&world, 4, 1);
	large = mnt_cache_version(world.cache, "large", "1", 4 * BLOCK);
	for (unsigned int i = 0; i < 4; i++)
		assert_int_equal(read_some(&world, large, i * BLOCK, 10), 0);
	reader.world = &world;
	reader.version = mnt_cache_version(world.cache, "small", "2", 100);
	set_door(&world, &world.unpin_closed, true);
	assert_int_equal(pthread_create(&thread, NULL, reader_main, &reader), 0);
	wait_for(&world, &world.unpinning, 1);
	for (unsigned int i = 1; i < 4; i++)
		assert_int_equal(read_some(&world, large, i * BLOCK, 10), 0);
	set_door(&world, &world.unpin_closed, false);
	pthread_join(thread, NULL);
	assert_int_equal(reader.result, 0);
	mnt_cache_get_stats(world.cache, &stats);
	assert_int_equal(stats.evicted, 1);
	assert_int_equal(stats.most, 4 * BLOCK);
	assert_int_equal(world.fetches, 5);
	mnt_version_put(world.cache, reader.version);
	mnt_version_put(world.cache, large);
	end_world(&world);
}

struct hammer {
	struct world *world;
	struct mnt_version **version;
	unsigned int seed;
};

static void *hammer_main(void *data)
{
	struct hammer *hammer = data;

	for (unsigned int i = 0; i < 2000; i++) {
		struct mnt_version *version = hammer->version[rand_r(&hammer->seed) % 3];
		uint64_t offset = (unsigned int)rand_r(&hammer->seed) % (version->size - 1);

		if (i % 10 == 0)
			mnt_cache_ahead(hammer->world->cache, version, offset, offset + 3 * BLOCK);
		if (i % 50 == 0)
			mnt_cache_drop(hammer->world->cache, version);
		assert_int_equal(read_some(hammer->world, version, offset, 3000), 0);
	}
	return NULL;
}

static void threads_do_not_disturb_each_other(void **state)
{
	struct mnt_version *version[3];
	struct hammer hammer[8];
	pthread_t thread[8];
	struct mnt_cache_stats stats;
	struct world world;

	(void)state;
	make_pinning_world(&world, 10, 4);
	for (unsigned int i = 0; i < 3; i++)
		version[i] =
			mnt_cache_version(world.cache, "b", (const char[]){ (char)('1' + i), 0 },
					  (5 + i) * BLOCK + 77);
	for (unsigned int i = 0; i < 8; i++) {
		hammer[i] = (struct hammer){ &world, version, i };
		assert_int_equal(pthread_create(&thread[i], NULL, hammer_main, &hammer[i]), 0);
	}
	for (unsigned int i = 0; i < 8; i++)
		pthread_join(thread[i], NULL);
	mnt_cache_get_stats(world.cache, &stats);
	assert_true(stats.most <= 10 * BLOCK);
	for (unsigned int i = 0; i < 3; i++)
		mnt_version_put(world.cache, version[i]);
	end_world(&world);
}

/* ---- read-ahead ---- */

#define SIZE ((uint64_t)1 << 30)
#define STREAM_BLOCK ((uint64_t)4 << 20)
#define MOST ((uint64_t)32 << 20)

static void a_reader_in_order_gets_more_and_more(void **state)
{
	struct mnt_stream stream = { 0 };
	uint64_t ahead = 0;
	uint64_t from;
	uint64_t to;

	(void)state;
	for (uint64_t offset = 0; offset < SIZE; offset += 131072) {
		mnt_stream_read(&stream, SIZE, STREAM_BLOCK, MOST, offset, 131072, &from, &to);
		if (from != to) {
			/* Without holes, and never twice. */
			assert_int_equal(from, ahead);
			ahead = to;
		}
		assert_true(ahead >= offset + 131072);
		assert_true(ahead <= offset + 131072 + MOST + STREAM_BLOCK);
	}
	assert_int_equal(stream.window, MOST);
	assert_int_equal(ahead, SIZE);
}

static void large_windows_end_at_blocks(void **state)
{
	struct mnt_stream stream = { 0 };
	uint64_t from;
	uint64_t to;

	(void)state;
	for (uint64_t offset = 0; offset < SIZE; offset += 1 << 20) {
		mnt_stream_read(&stream, SIZE, STREAM_BLOCK, MOST, offset, 1 << 20, &from, &to);
		if (from != to && stream.window >= STREAM_BLOCK)
			assert_int_equal(to % STREAM_BLOCK, 0);
	}
}

static void reads_in_no_order_fetch_nothing_ahead(void **state)
{
	struct mnt_stream stream = { 0 };
	uint64_t from;
	uint64_t to;

	(void)state;
	for (uint64_t i = 1; i < 100; i++) {
		mnt_stream_read(&stream, SIZE, STREAM_BLOCK, MOST, i * 7919 % 200 * (5 << 20), 4096,
				&from, &to);
		assert_int_equal(from, to);
		assert_int_equal(stream.window, 0);
	}
}

static void the_kernels_pieces_may_come_in_another_order(void **state)
{
	struct mnt_stream stream = { 0 };
	uint64_t from;
	uint64_t to;

	(void)state;
	for (uint64_t offset = 0; offset < (64 << 20); offset += 4 * 131072)
		for (int piece = 3; piece >= 0; piece--) {
			uint64_t at = offset + (uint64_t)(offset ? piece : 3 - piece) * 131072;

			mnt_stream_read(&stream, SIZE, STREAM_BLOCK, MOST, at, 131072, &from, &to);
		}
	assert_int_equal(stream.window, MOST);
}

static void nothing_is_asked_for_behind_the_end(void **state)
{
	struct mnt_stream stream = { 0 };
	uint64_t from;
	uint64_t to;

	(void)state;
	mnt_stream_read(&stream, 1000, STREAM_BLOCK, MOST, 0, 1000, &from, &to);
	assert_int_equal(from, 0);
	assert_int_equal(to, 1000);
	mnt_stream_read(&stream, 1000, STREAM_BLOCK, MOST, 500, 500, &from, &to);
	assert_int_equal(from, to);
}

static void without_read_ahead_there_is_none(void **state)
{
	struct mnt_stream stream = { 0 };
	uint64_t from;
	uint64_t to;

	(void)state;
	for (uint64_t offset = 0; offset < (8 << 20); offset += 131072) {
		mnt_stream_read(&stream, SIZE, STREAM_BLOCK, 0, offset, 131072, &from, &to);
		assert_true(to <= offset + 131072);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bytes_are_fetched_once),
		cmocka_unit_test(versions_never_mix),
		cmocka_unit_test(the_budget_is_never_exceeded),
		cmocka_unit_test(reading_ahead_takes_half_of_the_budget),
		cmocka_unit_test(a_failure_is_told_and_not_remembered),
		cmocka_unit_test(what_failed_ahead_is_tried_again_for_who_needs_it),
		cmocka_unit_test(memory_that_others_may_write_to_is_not_used_again),
		cmocka_unit_test(buffers_share_the_budget),
		cmocka_unit_test(a_wait_can_be_given_up_and_the_bytes_still_come),
		cmocka_unit_test(who_waits_comes_before_what_is_read_ahead),
		cmocka_unit_test(memory_that_never_leaves_keeps_nobody_from_reading),
		cmocka_unit_test(who_finds_what_is_there_waits_for_no_pin),
		cmocka_unit_test(a_pinned_block_gives_way_to_small_ones),
		cmocka_unit_test(threads_do_not_disturb_each_other),
		cmocka_unit_test(a_reader_in_order_gets_more_and_more),
		cmocka_unit_test(large_windows_end_at_blocks),
		cmocka_unit_test(reads_in_no_order_fetch_nothing_ahead),
		cmocka_unit_test(the_kernels_pieces_may_come_in_another_order),
		cmocka_unit_test(nothing_is_asked_for_behind_the_end),
		cmocka_unit_test(without_read_ahead_there_is_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
