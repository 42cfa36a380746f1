// SPDX-License-Identifier: MIT
/* azblob-mount: writers whose requests fail, whose answers are lost, and whose file is removed. */
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

static void an_upload_that_failed_is_told_at_the_end(void **state)
{
	struct mnt_writer *writer;
	struct world world;
	char *data = calloc(1, BLOCK);

	(void)state;
	assert_non_null(data);
	make_world(&world, 100);
	writer = open_writer(&world);
	assert_int_equal(mnt_writer_truncate(writer, 0), 0);
	world.fail_block = -EIO;
	for (unsigned int i = 0; i < 3; i++)
		write_all(writer, data, BLOCK, i * BLOCK, false);
	assert_int_equal(mnt_writer_commit(writer), -EIO);
	/* Each close hears of it. */
	assert_int_equal(mnt_writer_commit(writer), -EIO);
	mnt_writer_close(&world.writers, writer);
	assert_int_equal(world.commits + world.puts, 0);
	assert_int_equal(world.size, 100);
	free(data);
	end_world(&world);
}

static void a_commit_that_failed_can_be_repeated(void **state)
{
	struct mnt_writer *writer;
	struct world world;

	(void)state;
	make_world(&world, 0);
	writer = open_writer(&world);
	assert_int_equal(write_all(writer, "abc", 3, 0, false), 0);
	world.fail_commit = -EIO;
	assert_int_equal(mnt_writer_commit(writer), -EIO);
	assert_int_equal(world.size, 0);
	assert_int_equal(mnt_writer_commit(writer), 0);
	assert_memory_equal(world.data, "abc", 3);
	mnt_writer_close(&world.writers, writer);
	end_world(&world);
}

static const size_t lost_sizes[] = { 0, 3, 2 * BLOCK + 3, 2 * BLOCK };

static void a_commit_whose_answer_was_lost_is_found_out(void **state)
{
	struct mnt_writer *writer;
	struct world world;
	char *data = calloc(1, 2 * BLOCK + 3);

	(void)state;
	assert_non_null(data);
	for (size_t n = 0; n < 8; n++) {
		size_t i = n / 2;

		make_world(&world, 10);
		writer = open_writer(&world);
		assert_int_equal(mnt_writer_truncate(writer, 0), 0);
		assert_int_equal(write_all(writer, data, lost_sizes[i], 0, false), 0);
		/* Also when something below repeated the request by itself, and was refused. */
		world.lose = n % 2;
		world.repeat = n % 2 == 0;
		assert_int_equal(mnt_writer_commit(writer), 0);
		assert_int_equal(world.size, lost_sizes[i]);
		assert_int_equal(mnt_writer_commit(writer), 0);
		assert_int_equal(world.puts + world.commits, 1);
		assert_int_equal(world.told, 1);
		/* It goes on from there. */
		assert_int_equal(write_all(writer, "more", 4, 0, true), 0);
		mnt_writer_close(&world.writers, writer);
		assert_int_equal(world.size, lost_sizes[i] + 4);
		assert_memory_equal(world.data + lost_sizes[i], "more", 4);
		end_world(&world);
	}
	free(data);
}

static void what_cannot_be_found_out_now_is_found_out_later(void **state)
{
	struct mnt_writer *writer;
	struct world world;
	char *data = calloc(1, 2 * BLOCK + 3);

	(void)state;
	assert_non_null(data);
	for (size_t i = 0; i < 8; i++) {
		size_t size = lost_sizes[i % 4];

		make_world(&world, 10);
		writer = open_writer(&world);
		assert_int_equal(mnt_writer_truncate(writer, 0), 0);
		assert_int_equal(write_all(writer, data, size, 0, false), 0);
		world.lose = true;
		world.fail_head = -EIO;
		assert_int_equal(mnt_writer_commit(writer), -EIO);
		assert_int_equal(mnt_writer_commit(writer), -EIO);
		/* Meanwhile the file may have grown. */
		if (i >= 4)
			assert_int_equal(write_all(writer, "more", 4, 0, true), 0);
		world.fail_head = 0;
		assert_int_equal(mnt_writer_commit(writer), 0);
		mnt_writer_close(&world.writers, writer);
		assert_int_equal(world.puts + world.commits, i < 4 ? 1 : 2);
		assert_int_equal(world.size, size + (i < 4 ? 0 : 4));
		if (i >= 4)
			assert_memory_equal(world.data + size, "more", 4);
		end_world(&world);
	}
	free(data);
}

static void what_others_made_of_it_meanwhile_is_not_taken_for_ours(void **state)
{
	struct mnt_writer *writer;
	struct world world;
	char *data = calloc(1, 2 * BLOCK + 3);

	(void)state;
	assert_non_null(data);
	for (size_t i = 1; i < 4; i++) {
		make_world(&world, 10);
		writer = open_writer(&world);
		assert_int_equal(mnt_writer_truncate(writer, 0), 0);
		assert_int_equal(write_all(writer, data, lost_sizes[i], 0, false), 0);
		world.fail_commit = -EIO;
		world.fail_head = -EIO;
		assert_int_equal(mnt_writer_commit(writer), -EIO);
		world.fail_head = 0;
		/* Of the same length. */
		data[0] = 'x';
		set_data(&world, data, lost_sizes[i]);
		data[0] = 0;
		new_version(&world, NULL);
		assert_int_equal(mnt_writer_commit(writer), -ESTALE);
		mnt_writer_close(&world.writers, writer);
		assert_int_equal(world.data[0], 'x');
		end_world(&world);
	}
	free(data);
}

static void an_append_whose_answer_was_lost_is_done_once(void **state)
{
	struct mnt_writer *writer;
	struct world world;

	(void)state;
	make_world(&world, 10);
	world.kind = MNT_APPEND_BLOB;
	writer = open_writer(&world);
	assert_int_equal(write_all(writer, "one", 3, 0, true), 0);
	world.lose = true;
	assert_int_equal(mnt_writer_commit(writer), 0);
	assert_int_equal(write_all(writer, "two", 3, 0, true), 0);
	/* This one has not been done: it can be repeated. */
	world.fail_commit = -EIO;
	assert_int_equal(mnt_writer_commit(writer), -EIO);
	assert_int_equal(mnt_writer_commit(writer), 0);
	assert_int_equal(world.size, 16);
	assert_memory_equal(world.data + 10, "onetwo", 6);
	/* Somebody else's is in the way. */
	assert_int_equal(write_all(writer, "three", 5, 0, true), 0);
	set_data(&world, "x", 1);
	new_version(&world, NULL);
	assert_int_equal(mnt_writer_commit(writer), -ESTALE);
	mnt_writer_close(&world.writers, writer);
	end_world(&world);
}

static void a_write_of_which_a_part_was_taken_says_so(void **state)
{
	struct mnt_writer *writer;
	struct world world;
	char *data = calloc(1, 2 * BLOCK);

	(void)state;
	assert_non_null(data);
	make_world(&world, 0);
	world.kind = MNT_APPEND_BLOB;
	writer = open_writer(&world);
	world.fail_commit = -EIO;
	/* The first block is full, and cannot be sent. */
	assert_int_equal(mnt_writer_write(writer, data, 2 * BLOCK, 0, true), BLOCK);
	assert_int_equal(write_all(writer, "x", 1, 0, true), 0);
	mnt_writer_close(&world.writers, writer);
	assert_int_equal(world.size, BLOCK + 1);
	free(data);
	end_world(&world);
}

static void what_is_there_may_be_asked_for_again(void **state)
{
	struct mnt_writer *writer;
	struct world world;

	(void)state;
	/* What is read to be changed, and what is read to be appended to. */
	for (size_t size = 10; size <= 2 * BLOCK + 10; size += 2 * BLOCK) {
		make_world(&world, size);
		writer = open_writer(&world);
		world.fail_read = -ETIMEDOUT;
		assert_int_equal(write_all(writer, "one", 3, 0, true), -ETIMEDOUT);
		/* Nothing was written, so nothing is lost. */
		assert_int_equal(mnt_writer_commit(writer), 0);
		assert_int_equal(write_all(writer, "two", 3, 0, true), 0);
		mnt_writer_close(&world.writers, writer);
		assert_int_equal(world.size, size + 3);
		assert_memory_equal(world.data + size, "two", 3);
		end_world(&world);
	}
}

static void what_others_wrote_stays(void **state)
{
	struct mnt_writer *writer;
	struct world world;

	(void)state;
	make_world(&world, 0);
	writer = open_writer(&world);
	assert_int_equal(write_all(writer, "mine", 4, 0, false), 0);
	set_data(&world, "theirs", 6);
	new_version(&world, NULL);
	assert_int_equal(mnt_writer_commit(writer), -ESTALE);
	/* And it stays so: the next close must not say that all is well. */
	assert_int_equal(mnt_writer_commit(writer), -ESTALE);
	assert_int_equal(write_all(writer, "more", 4, 4, false), -ESTALE);
	mnt_writer_close(&world.writers, writer);
	assert_memory_equal(world.data, "theirs", 6);
	end_world(&world);
}

/* What is there at @offset, and nothing behind it. */
static void expect_rest(struct mnt_writer *writer, uint64_t offset, const char *data, size_t size)
{
	char *buffer = malloc(size + 2);
	size_t got = 0;

	assert_non_null(buffer);
	assert_int_equal(mnt_writer_read(writer, buffer, size + 2, offset, &got), 0);
	assert_int_equal(got, size);
	assert_memory_equal(buffer, data, size);
	free(buffer);
}

static void a_removed_file_lives_on_in_memory_and_sends_nothing(void **state)
{
	struct mnt_writer *writer;
	struct world world;
	uint64_t size;
	char byte;
	size_t got;

	(void)state;
	/* Written and committed, written only, and not even looked at. */
	for (unsigned int round = 0; round < 3; round++) {
		make_world(&world, 0);
		writer = open_writer(&world);
		if (round < 2)
			assert_int_equal(write_all(writer, "abc", 3, 0, false), 0);
		if (!round)
			assert_int_equal(mnt_writer_commit(writer), 0);
		mnt_writer_abandon(writer);
		assert_true(mnt_writer_is_abandoned(writer));
		if (round == 2)
			assert_int_equal(write_all(writer, "abc", 3, 0, false), 0);
		expect_rest(writer, 0, "abc", 3);
		expect_rest(writer, 1, "bc", 2);
		expect_rest(writer, 3, "", 0);
		assert_int_equal(mnt_writer_read(writer, &byte, 1, 1, &got), 0);
		assert_int_equal(got, 1);
		assert_int_equal(byte, 'b');
		assert_int_equal(write_all(writer, "def", 3, 0, true), 0);
		expect_rest(writer, 1, "bcdef", 5);
		assert_int_equal(mnt_writer_commit(writer), 0);
		assert_true(mnt_writer_size(writer, &size, NULL));
		assert_int_equal(size, 6);
		expect_rest(writer, 0, "abcdef", 6);
		assert_int_equal(mnt_writer_truncate(writer, 100), 0);
		assert_int_equal(write_all(writer, "x", 1, 0, false), 0);
		assert_int_equal(mnt_writer_truncate(writer, 8), 0);
		expect_rest(writer, 0, "xbcdef\0", 8);
		assert_int_equal(mnt_writer_truncate(writer, 0), 0);
		expect_rest(writer, 0, "", 0);
		mnt_writer_close(&world.writers, writer);
		assert_int_equal(world.puts + world.commits + world.blocks, !round);
		end_world(&world);
	}
}

static void a_removed_file_is_no_longer_than_a_block(void **state)
{
	struct mnt_writer *writer;
	struct world world;
	char *data = calloc(1, BLOCK);

	(void)state;
	assert_non_null(data);
	data[BLOCK - 1] = 'z';
	make_world(&world, 0);
	writer = open_writer(&world);
	mnt_writer_abandon(writer);
	assert_int_equal(write_all(writer, data, BLOCK, 0, false), 0);
	assert_int_equal(write_all(writer, "x", 1, BLOCK, false), -EFBIG);
	assert_int_equal(write_all(writer, "xx", 2, BLOCK - 1, false), -EFBIG);
	assert_int_equal(write_all(writer, "x", 1, INT64_MAX - 1, false), -EFBIG);
	/* Nothing of them was taken. */
	expect_rest(writer, BLOCK - 2, data + BLOCK - 2, 2);
	mnt_writer_close(&world.writers, writer);
	assert_int_equal(world.puts + world.commits + world.blocks, 0);
	free(data);
	end_world(&world);
}

static void a_removed_file_of_which_a_part_was_sent_is_stale(void **state)
{
	struct mnt_writer *writer;
	struct world world;
	char *data = calloc(1, 2 * BLOCK);
	char byte;
	size_t got;

	(void)state;
	assert_non_null(data);
	make_world(&world, 0);
	writer = open_writer(&world);
	assert_int_equal(write_all(writer, data, 2 * BLOCK, 0, false), 0);
	mnt_writer_abandon(writer);
	assert_int_equal(mnt_writer_read(writer, &byte, 1, 0, &got), -ESTALE);
	assert_int_equal(mnt_writer_read(writer, &byte, 1, 2 * BLOCK - 1, &got), -ESTALE);
	assert_int_equal(write_all(writer, "more", 4, 0, true), -ESTALE);
	assert_int_equal(mnt_writer_truncate(writer, 5), -ESTALE);
	/* Nobody misses what had a name no more. */
	assert_int_equal(mnt_writer_commit(writer), 0);
	mnt_writer_close(&world.writers, writer);
	assert_int_equal(world.puts + world.commits, 0);
	free(data);
	end_world(&world);
}

/* Opened, not read yet: what the cache has of it may still be read. */
static void a_removed_file_that_was_not_written_is_asked_of_the_service(void **state)
{
	struct mnt_writer *writer;
	struct world world;
	char byte;
	size_t got;

	(void)state;
	make_world(&world, 100);
	writer = open_writer(&world);
	mnt_writer_abandon(writer);
	assert_int_equal(mnt_writer_read(writer, &byte, 1, 0, &got), -EAGAIN);
	assert_int_equal(write_all(writer, "x", 1, 0, false), -ESTALE);
	assert_int_equal(mnt_writer_commit(writer), 0);
	mnt_writer_close(&world.writers, writer);
	end_world(&world);
}

/* Another thread's fsync between the removal and the news of it. */
static void a_commit_that_met_the_removal_harms_nothing(void **state)
{
	struct mnt_writer *writer;
	struct world world;

	(void)state;
	make_world(&world, 0);
	writer = open_writer(&world);
	assert_int_equal(write_all(writer, "abc", 3, 0, false), 0);
	world.fail_commit = -ESTALE;
	world.fail_head = -ENOENT;
	assert_int_equal(mnt_writer_commit(writer), -ESTALE);
	mnt_writer_abandon(writer);
	assert_int_equal(write_all(writer, "def", 3, 3, false), 0);
	expect_rest(writer, 0, "abcdef", 6);
	assert_int_equal(mnt_writer_commit(writer), 0);
	mnt_writer_close(&world.writers, writer);
	end_world(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_upload_that_failed_is_told_at_the_end),
		cmocka_unit_test(a_commit_that_failed_can_be_repeated),
		cmocka_unit_test(a_commit_whose_answer_was_lost_is_found_out),
		cmocka_unit_test(what_cannot_be_found_out_now_is_found_out_later),
		cmocka_unit_test(what_others_made_of_it_meanwhile_is_not_taken_for_ours),
		cmocka_unit_test(an_append_whose_answer_was_lost_is_done_once),
		cmocka_unit_test(a_write_of_which_a_part_was_taken_says_so),
		cmocka_unit_test(what_is_there_may_be_asked_for_again),
		cmocka_unit_test(what_others_wrote_stays),
		cmocka_unit_test(a_removed_file_lives_on_in_memory_and_sends_nothing),
		cmocka_unit_test(a_removed_file_is_no_longer_than_a_block),
		cmocka_unit_test(a_removed_file_of_which_a_part_was_sent_is_stale),
		cmocka_unit_test(a_removed_file_that_was_not_written_is_asked_of_the_service),
		cmocka_unit_test(a_commit_that_met_the_removal_harms_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
