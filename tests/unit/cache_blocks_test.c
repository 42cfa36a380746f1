// SPDX-License-Identifier: MIT
/* Blocks on disk of the filter "cache": what was put comes out, or nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "filter/cache_blocks.h"

#define BLOCK 4096u
#define SLOTS 16u

static void name_of(uint8_t id[BLOCKS_ID], uint32_t number)
{
	memset(id, 7, BLOCKS_ID);
	/* all in a few buckets, so that chains are long */
	id[0] = (uint8_t)(number % 3);
	id[1] = id[2] = id[3] = 0;
	memcpy(id + 8, &number, sizeof(number));
}

static void fill(uint8_t *bytes, uint32_t number)
{
	for (uint32_t i = 0; i < BLOCK; i++)
		bytes[i] = (uint8_t)((number * 2654435761u + i * 40503u) >> 8);
}

static uint32_t length_of(uint32_t number)
{
	return number % 5 ? BLOCK : number % BLOCK + 1;
}

static void put(struct blocks *blocks, uint32_t number)
{
	uint8_t id[BLOCKS_ID], of[BLOCKS_ID], bytes[BLOCK];

	name_of(id, number);
	memset(of, (int)(number / 100), sizeof(of));
	fill(bytes, number);
	blocks_put(blocks, id, of, bytes, length_of(number));
}

/* Is it there, and as it was? */
static bool get(struct blocks *blocks, uint32_t number)
{
	uint8_t id[BLOCKS_ID], bytes[BLOCK], want[BLOCK];
	uint32_t length;

	name_of(id, number);
	length = blocks_get(blocks, id, bytes);
	if (!length)
		return false;
	fill(want, number);
	assert_int_equal(length, length_of(number));
	assert_memory_equal(bytes, want, length);
	return true;
}

static struct blocks *open_blocks(void)
{
	char error[200] = "";
	struct blocks *blocks = blocks_open("/tmp", SLOTS * BLOCK, BLOCK, error, sizeof(error));

	if (!blocks)
		fail_msg("%s", error);
	return blocks;
}

static void what_was_put_comes_out(void **state)
{
	struct blocks *blocks = open_blocks();
	uint8_t id[BLOCKS_ID];

	(void)state;
	for (uint32_t i = 0; i < SLOTS; i++) {
		assert_false(get(blocks, i));
		put(blocks, i);
		put(blocks, i); /* twice is once */
	}
	for (uint32_t i = 0; i < SLOTS; i++) {
		name_of(id, i);
		assert_true(blocks_has(blocks, id));
		assert_true(get(blocks, i));
	}
	assert_int_equal(blocks_counts(blocks).used, SLOTS);
	assert_int_equal(blocks_counts(blocks).evicted, 0);
	blocks_free(blocks);
}

static void what_was_used_lately_stays(void **state)
{
	struct blocks *blocks = open_blocks();

	(void)state;
	for (uint32_t i = 0; i < SLOTS; i++)
		put(blocks, i);
	/* One more goes round all of them; from then on those that are read have a second chance.
	 */
	put(blocks, 1000);
	for (uint32_t i = 0; i < 5; i++) {
		assert_true(get(blocks, 1000));
		put(blocks, 1001 + i);
	}
	assert_true(get(blocks, 1000));
	assert_int_equal(blocks_counts(blocks).used, SLOTS);
	assert_int_equal(blocks_counts(blocks).evicted, 6);
	blocks_free(blocks);
}

static void it_knows_of_which_blobs_it_has_nothing(void **state)
{
	struct blocks *blocks = open_blocks();
	uint8_t of[BLOCKS_ID];

	(void)state;
	memset(of, 2, sizeof(of));
	assert_false(blocks_may_have(blocks, of));
	put(blocks, 200);
	assert_true(blocks_may_have(blocks, of));
	for (uint32_t i = 0; i < 3 * SLOTS; i++)
		put(blocks, i);
	assert_false(get(blocks, 200));
	assert_false(blocks_may_have(blocks, of));
	blocks_free(blocks);
}

static void *user(void *context)
{
	uint64_t random = (uintptr_t)&random;
	unsigned long found = 0;

	for (int i = 0; i < 4000; i++) {
		random = random * UINT64_C(6364136223846793005) + 1442695040888963407u;
		if (random >> 63)
			put(context, (uint32_t)(random >> 33) % (2 * SLOTS));
		else
			found += get(context, (uint32_t)(random >> 33) % (2 * SLOTS));
	}
	return (void *)found;
}

/* More blocks than room, and many who read and write: never another block's bytes. */
static void many_at_once_never_get_what_they_did_not_ask_for(void **state)
{
	struct blocks *blocks = open_blocks();
	unsigned long found = 0;
	pthread_t threads[6];
	void *result;

	(void)state;
	for (int i = 0; i < 6; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, user, blocks), 0);
	for (int i = 0; i < 6; i++) {
		assert_int_equal(pthread_join(threads[i], &result), 0);
		found += (unsigned long)result;
	}
	assert_true(found > 0);
	assert_int_equal(blocks_counts(blocks).damaged, 0);
	assert_true(blocks_counts(blocks).used <= SLOTS);
	assert_true(blocks_counts(blocks).evicted > 0);
	blocks_free(blocks);
}

static void a_directory_that_is_not_there_is_said(void **state)
{
	char error[200] = "";

	(void)state;
	assert_null(blocks_open("/nowhere", SLOTS * BLOCK, BLOCK, error, sizeof(error)));
	assert_non_null(strstr(error, "/nowhere"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_put_comes_out),
		cmocka_unit_test(what_was_used_lately_stays),
		cmocka_unit_test(it_knows_of_which_blobs_it_has_nothing),
		cmocka_unit_test(many_at_once_never_get_what_they_did_not_ask_for),
		cmocka_unit_test(a_directory_that_is_not_there_is_said),
	};

	return cmocka_run_group_tests_name("cache blocks", tests, NULL, NULL);
}
