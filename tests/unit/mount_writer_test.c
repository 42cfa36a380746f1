// SPDX-License-Identifier: MIT
/* azblob-mount: what the writer asks of the service. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "mount_world.h"

static void a_small_file_is_one_put(void **state)
{
	struct mnt_writer *writer;
	struct world world;

	(void)state;
	make_world(&world, 0);
	writer = open_writer(&world);
	for (unsigned int i = 0; i < 100; i++)
		assert_int_equal(write_all(writer, "0123456789", 10, 10 * i, false), 0);
	assert_int_equal(world.puts, 0);
	assert_int_equal(mnt_writer_commit(writer), 0);
	assert_int_equal(mnt_writer_commit(writer), 0);
	mnt_writer_close(&world.writers, writer);
	assert_int_equal(world.puts, 1);
	assert_int_equal(world.blocks, 0);
	assert_int_equal(world.told, 1);
	assert_int_equal(world.size, 1000);
	end_world(&world);
}

static void a_large_file_is_staged_while_it_is_written(void **state)
{
	struct mnt_writer *writer;
	struct world world;
	size_t size = 10 * BLOCK + 17;
	char *data = malloc(size);

	(void)state;
	assert_non_null(data);
	for (size_t i = 0; i < size; i++)
		data[i] = (char)(i ^ i >> 9);
	make_world(&world, 0);
	writer = open_writer(&world);
	for (size_t at = 0; at < size; at += 100000) {
		size_t piece = size - at < 100000 ? size - at : 100000;

		assert_int_equal(write_all(writer, data + at, piece, at, false), 0);
	}
	mnt_writer_close(&world.writers, writer);
	assert_int_equal(world.blocks, 11);
	assert_int_equal(world.commits, 1);
	assert_int_equal(world.puts, 0);
	assert_int_equal(world.size, size);
	assert_memory_equal(world.data, data, size);
	free(data);
	end_world(&world);
}

/* Of one put, of blocks, and of blocks without a last one of its own. */

static void an_append_keeps_the_blocks_that_are_there(void **state)
{
	struct mnt_writer *writer;
	struct world world;
	size_t size = 3 * BLOCK + 5;

	(void)state;
	make_world(&world, size);
	/* Of one Put Blob: read and staged once. */
	writer = open_writer(&world);
	assert_int_equal(write_all(writer, "one", 3, 0, true), 0);
	mnt_writer_close(&world.writers, writer);
	assert_int_equal(world.size, size + 3);
	assert_int_equal(world.blocks, 4);
	/* Of blocks: only what is new. */
	writer = open_writer(&world);
	assert_int_equal(write_all(writer, "two", 3, 0, true), 0);
	mnt_writer_close(&world.writers, writer);
	assert_int_equal(world.blocks, 5);
	assert_int_equal(world.size, size + 6);
	assert_memory_equal(world.data + size, "onetwo", 6);
	end_world(&world);
}

static void an_fsync_in_between_replaces_the_last_block(void **state)
{
	struct mnt_writer *writer;
	struct world world;
	char *data = calloc(1, BLOCK);

	(void)state;
	assert_non_null(data);
	make_world(&world, 0);
	writer = open_writer(&world);
	assert_int_equal(write_all(writer, data, BLOCK, 0, false), 0);
	for (unsigned int i = 0; i < 5; i++) {
		assert_int_equal(write_all(writer, "tail", 4, BLOCK + 4 * i, false), 0);
		assert_int_equal(mnt_writer_commit(writer), 0);
		assert_int_equal(world.size, BLOCK + 4 * i + 4);
	}
	assert_int_equal(write_all(writer, data, BLOCK, BLOCK + 20, false), 0);
	mnt_writer_close(&world.writers, writer);
	assert_int_equal(world.size, 2 * BLOCK + 20);
	assert_memory_equal(world.data + BLOCK, "tailtailtailtailtail", 20);
	free(data);
	end_world(&world);
}

/* A listing or a HEAD that was under way while a commit went by. */

static void an_old_answer_undoes_no_commit(void **state)
{
	struct mnt_writer *writer;
	struct mnt_attr before;
	struct mnt_node *node;
	struct world world;
	uint64_t asked;
	bool changed;

	(void)state;
	make_world(&world, 10);
	before = world.node->attr;
	asked = mnt_nodes_stamp(&world.nodes);
	writer = open_writer(&world);
	assert_int_equal(write_all(writer, "more", 4, 0, true), 0);
	mnt_writer_close(&world.writers, writer);
	assert_false(mnt_nodes_update(&world.nodes, world.node, &before, asked));
	node = mnt_nodes_lookup(&world.nodes, &world.nodes.root, "file", &before, asked, &changed);
	assert_ptr_equal(node, world.node);
	assert_false(changed);
	assert_int_equal(node->attr.size, 14);
	assert_string_equal(node->attr.etag, world.etag);
	/* What is asked now is news. */
	asked = mnt_nodes_stamp(&world.nodes);
	assert_true(mnt_nodes_update(&world.nodes, node, &before, asked));
	assert_int_equal(node->attr.size, 10);
	mnt_nodes_forget(&world.nodes, node, 1);
	end_world(&world);
}

static void what_a_commit_makes_is_not_taken_for_anothers(void **state)
{
	struct mnt_writer *writer;
	struct world world;
	uint64_t epoch;

	(void)state;
	make_world(&world, 10);
	writer = open_writer(&world);
	epoch = world.node->epoch;
	world.look = true;
	assert_int_equal(write_all(writer, "more", 4, 0, true), 0);
	assert_int_equal(mnt_writer_commit(writer), 0);
	assert_int_equal(world.puts, 1);
	/* Who has the file open goes on with it. */
	assert_true(world.node->epoch == epoch);
	assert_string_equal(world.node->attr.etag, world.etag);
	assert_int_equal(world.node->attr.size, 14);
	mnt_writer_close(&world.writers, writer);
	end_world(&world);
}

static void an_open_with_an_old_answer_writes_to_what_is_there(void **state)
{
	struct mnt_writer *first;
	struct mnt_writer *second;
	struct mnt_attr before;
	struct world world;
	uint64_t asked;

	(void)state;
	make_world(&world, 10);
	before = world.node->attr;
	/* Both that share a writer, and one that comes after the other has closed. */
	for (unsigned int round = 0; round < 2; round++) {
		asked = mnt_nodes_stamp(&world.nodes);
		first = open_writer(&world);
		assert_int_equal(write_all(first, "more", 4, 0, true), 0);
		assert_int_equal(mnt_writer_commit(first), 0);
		if (round)
			mnt_writer_close(&world.writers, first);
		assert_false(mnt_nodes_update(&world.nodes, world.node, &before, asked));
		second = mnt_writer_open(&world.writers, world.node, NULL);
		assert_non_null(second);
		assert_int_equal(write_all(second, "last", 4, 0, true), 0);
		assert_int_equal(mnt_writer_commit(second), 0);
		mnt_writer_close(&world.writers, second);
		if (!round)
			mnt_writer_close(&world.writers, first);
		assert_int_equal(world.size, 10 + 8 * (round + 1));
		assert_memory_equal(world.data + world.size - 8, "morelast", 8);
	}
	end_world(&world);
}

static void a_blob_of_as_many_blocks_as_there_can_be_does_not_grow(void **state)
{
	struct mnt_writer *writer;
	struct world world;

	(void)state;
	make_world(&world, 6 * 50000);
	world.many = 50000;
	writer = open_writer(&world);
	assert_int_equal(write_all(writer, "more", 4, 0, true), 0);
	assert_int_equal(mnt_writer_commit(writer), -EFBIG);
	assert_int_equal(world.commits, 0);
	assert_int_equal(world.size, 6 * 50000);
	mnt_writer_close(&world.writers, writer);
	end_world(&world);
}

static void only_what_is_in_memory_can_be_changed(void **state)
{
	struct mnt_writer *writer;
	struct world world;

	(void)state;
	make_world(&world, 3 * BLOCK);
	writer = open_writer(&world);
	assert_int_equal(write_all(writer, "x", 1, 5, false), -EOPNOTSUPP);
	assert_int_equal(write_all(writer, "x", 1, 30 * BLOCK, false), -EOPNOTSUPP);
	assert_int_equal(mnt_writer_truncate(writer, 5), -EOPNOTSUPP);
	assert_int_equal(mnt_writer_truncate(writer, 30 * BLOCK), -EPERM);
	assert_int_equal(mnt_writer_truncate(writer, 3 * BLOCK), 0);
	assert_int_equal(write_all(writer, "end", 3, 3 * BLOCK, false), 0);
	assert_int_equal(write_all(writer, "E", 1, 3 * BLOCK, false), 0);
	mnt_writer_close(&world.writers, writer);
	assert_int_equal(world.size, 3 * BLOCK + 3);
	assert_memory_equal(world.data + 3 * BLOCK, "End", 3);
	end_world(&world);
}

static void the_end_commits_what_is_open(void **state)
{
	struct mnt_writer *writer;
	struct world world;

	(void)state;
	make_world(&world, 0);
	writer = open_writer(&world);
	assert_int_equal(write_all(writer, "abc", 3, 0, false), 0);
	end_world(&world);
	assert_int_equal(world.puts, 1);
	assert_int_equal(world.told, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_small_file_is_one_put),
		cmocka_unit_test(a_large_file_is_staged_while_it_is_written),
		cmocka_unit_test(an_append_keeps_the_blocks_that_are_there),
		cmocka_unit_test(an_fsync_in_between_replaces_the_last_block),
		cmocka_unit_test(an_old_answer_undoes_no_commit),
		cmocka_unit_test(what_a_commit_makes_is_not_taken_for_anothers),
		cmocka_unit_test(an_open_with_an_old_answer_writes_to_what_is_there),
		cmocka_unit_test(a_blob_of_as_many_blocks_as_there_can_be_does_not_grow),
		cmocka_unit_test(only_what_is_in_memory_can_be_changed),
		cmocka_unit_test(the_end_commits_what_is_open),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
