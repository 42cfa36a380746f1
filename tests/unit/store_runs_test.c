/* SPDX-License-Identifier: MIT */
/* The local store: append and page blobs, what readers and snapshots see of them, and their space.
 */
#include "store_help.h"

#include <pthread.h>

static enum store_error create(struct fixture *f, const char *name, enum store_blob_type type,
			       uint64_t size)
{
	struct store_change change = {
		.kind = STORE_PUT_BLOB, .ref = ref_of(name), .type = type, .size = size
	};

	return store_change(f->store, &change, NULL);
}

static enum store_error bring(struct fixture *f, struct store_change *change, const void *bytes,
			      size_t length, struct store_result *result)
{
	struct iovec iov = { (void *)(uintptr_t)bytes, length };
	enum store_error error = store_upload_begin(f->store, length, 0, &change->upload);

	if (error)
		return error;
	error = store_upload_write(change->upload, 0, &iov, 1, 0, NULL, NULL);
	if (!error)
		error = store_change(f->store, change, result);
	if (error)
		store_upload_abort(change->upload);
	return error;
}

static enum store_error append(struct fixture *f, const char *name, const void *bytes,
			       size_t length, const struct store_place *place,
			       struct store_result *result)
{
	struct store_change change = { .kind = STORE_APPEND, .ref = ref_of(name), .place = place };

	return bring(f, &change, bytes, length, result);
}

static enum store_error write_pages(struct fixture *f, const char *name, uint64_t offset,
				    const void *bytes, size_t length)
{
	struct store_change change = { .kind = STORE_PAGES_WRITE,
				       .ref = ref_of(name),
				       .offset = offset };

	return bring(f, &change, bytes, length, NULL);
}

static enum store_error clear_pages(struct fixture *f, const char *name, uint64_t offset,
				    uint64_t length)
{
	struct store_change change = {
		.kind = STORE_PAGES_CLEAR, .ref = ref_of(name), .offset = offset, .size = length
	};

	return store_change(f->store, &change, NULL);
}

static int64_t snapshot(struct fixture *f, const char *name)
{
	struct store_change change = { .kind = STORE_BLOB_SNAPSHOT, .ref = ref_of(name) };
	struct store_result result;

	ok(store_change(f->store, &change, &result));
	return result.snapshot;
}

static bool holds(struct fixture *f, const char *name, int64_t at, const void *want, size_t length)
{
	struct store_ref ref = ref_of(name);
	unsigned char *have = malloc(length + 1);
	struct store_read *read;
	bool same;

	ref.snapshot = at;
	ok(store_read_open(f->store, &ref, NULL, NULL, &read));
	same = read->info.length == length && !store_read_at(read, 0, have, length) &&
	       !memcmp(have, want, length);
	store_read_close(read);
	free(have);
	return same;
}

static void appends_come_one_after_the_other(void **state)
{
	static const size_t sizes[] = { 1, 100, 16384, 16385, 300000, 7, 4096 };
	struct fixture *f = *state;
	static unsigned char all[400000];
	struct store_result result;
	size_t at = 0;

	fill_bytes(all, sizeof(all), 1);
	assert_int_equal(append(f, "a", all, 10, NULL, NULL), STORE_BLOB_NOT_FOUND);
	ok(create(f, "a", STORE_APPEND_BLOB, 0));
	assert_true(holds(f, "a", 0, all, 0));
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		ok(append(f, "a", all + at, sizes[i], NULL, &result));
		assert_int_equal(result.offset, at);
		assert_int_equal(result.block_count, i + 1);
		at += sizes[i];
		assert_true(holds(f, "a", 0, all, at));
	}
	fixture_reopen(f);
	assert_true(holds(f, "a", 0, all, at));
	ok(delete_blob(f->store, "a"));
	assert_true(wait_for_number(f, "SELECT count(*) FROM chunks", 0));
	assert_true(wait_for_number(f, "SELECT count(*) FROM runs", 0));
	assert_true(wait_for_number(f, "SELECT count(*) FROM contents", 0));
	assert_true(wait_for_number(f, "SELECT count(*) FROM journal", 0));
	assert_true(wait_for_disk_below(f, 4096));
}

static void append_conditions_hold(void **state)
{
	struct fixture *f = *state;
	struct store_place at = { .has_position = true, .position = 3 };
	struct store_place size = { .has_max_size = true, .max_size = 8 };
	struct store_change seal = { .kind = STORE_APPEND_SEAL, .ref = ref_of("a") };

	ok(create(f, "a", STORE_APPEND_BLOB, 0));
	assert_int_equal(append(f, "a", "abc", 3, &at, NULL), STORE_APPEND_POSITION);
	ok(append(f, "a", "abc", 3, NULL, NULL));
	ok(append(f, "a", "def", 3, &at, NULL));
	assert_int_equal(append(f, "a", "ghi", 3, &size, NULL), STORE_MAX_SIZE);
	ok(append(f, "a", "gh", 2, &size, NULL));
	assert_true(holds(f, "a", 0, "abcdefgh", 8));
	ok(put_seed(f->store, "b", 10, 1));
	assert_int_equal(append(f, "b", "x", 1, NULL, NULL), STORE_WRONG_BLOB_TYPE);
	assert_int_equal(write_pages(f, "a", 0, "x", 1), STORE_WRONG_BLOB_TYPE);
	ok(store_change(f->store, &seal, NULL));
	assert_int_equal(append(f, "a", "i", 1, NULL, NULL), STORE_SEALED);
	ok(store_change(f->store, &seal, NULL));
	assert_true(holds(f, "a", 0, "abcdefgh", 8));
}

static void at_most_50000_appends(void **state)
{
	struct fixture *f = *state;

	ok(create(f, "a", STORE_APPEND_BLOB, 0));
	ok(append(f, "a", "x", 1, NULL, NULL));
	query_number(f, "UPDATE blobs SET blocks = 49999 RETURNING 1");
	ok(append(f, "a", "x", 1, NULL, NULL));
	assert_int_equal(append(f, "a", "x", 1, NULL, NULL), STORE_APPEND_COUNT_LIMIT);
}

/* Readers and a snapshot of before, and whoever reads after, see what they should. */
static void small_appends_are_folded_without_a_trace(void **state)
{
	enum {
		EACH = 600,
		COUNT = 2000
	};
	static unsigned char all[EACH * COUNT], have[EACH * COUNT];
	struct fixture *f = *state;
	struct store_ref ref = ref_of("a");
	struct store_read *early = NULL;
	int64_t taken = 0;

	fill_bytes(all, sizeof(all), 3);
	ok(create(f, "a", STORE_APPEND_BLOB, 0));
	for (size_t i = 0; i < COUNT; i++) {
		if (i == 100) {
			ok(store_read_open(f->store, &ref, NULL, NULL, &early));
			taken = snapshot(f, "a");
		}
		ok(append(f, "a", all + i * EACH, EACH, NULL, NULL));
	}
	assert_true(wait_for_number(f, "SELECT max(journal) < 262144 FROM contents", 1));
	assert_true(
		wait_for_number(f, "SELECT count(*) > 0 FROM chunks WHERE file IS NOT NULL", 1));
	assert_true(holds(f, "a", 0, all, sizeof(all)));
	ok(store_read_at(early, 0, have, 100 * EACH));
	assert_memory_equal(have, all, 100 * EACH);
	assert_true(holds(f, "a", taken, all, 100 * EACH));
	store_read_close(early);
	fixture_reopen(f);
	assert_true(holds(f, "a", 0, all, sizeof(all)));
	assert_true(holds(f, "a", taken, all, 100 * EACH));
	/* what was folded does not stay in SQLite, but for what the snapshot needs */
	assert_true(wait_for_number(f, "SELECT count(*) FROM garbage", 0));
	assert_true(query_number(f, "SELECT count(*) FROM runs") < 1200);
	ok(store_change(f->store,
			&(struct store_change){ .kind = STORE_BLOB_DELETE,
						.ref = ref,
						.delete = STORE_DELETE_WITH_SNAPSHOTS },
			NULL));
	assert_true(wait_for_number(f, "SELECT count(*) FROM runs", 0));
	assert_true(wait_for_number(f, "SELECT count(*) FROM chunks", 0));
	assert_true(wait_for_number(f, "SELECT count(*) FROM contents", 0));
	assert_true(wait_for_disk_below(f, 4096));
}

struct appender {
	struct fixture *f;
	unsigned char mark;
};

static void *append_many(void *context)
{
	struct appender *a = context;
	unsigned char bytes[64];

	memset(bytes, a->mark, sizeof(bytes));
	for (int i = 0; i < 100; i++)
		ok(append(a->f, "a", bytes, sizeof(bytes), NULL, NULL));
	return NULL;
}

static void appends_of_many_threads_are_whole(void **state)
{
	struct appender appenders[8];
	static unsigned char have[8 * 100 * 64];
	struct fixture *f = *state;
	struct store_ref ref = ref_of("a");
	struct store_read *read;
	pthread_t threads[8];
	int counts[8] = { 0 };

	ok(create(f, "a", STORE_APPEND_BLOB, 0));
	for (unsigned char i = 0; i < 8; i++) {
		appenders[i] = (struct appender){ f, i };
		assert_int_equal(pthread_create(&threads[i], NULL, append_many, &appenders[i]), 0);
	}
	for (int i = 0; i < 8; i++)
		pthread_join(threads[i], NULL);
	ok(store_read_open(f->store, &ref, NULL, NULL, &read));
	assert_int_equal(read->info.length, sizeof(have));
	assert_int_equal(read->info.block_count, 800);
	ok(store_read_at(read, 0, have, sizeof(have)));
	store_read_close(read);
	for (size_t i = 0; i < sizeof(have); i += 64) {
		for (size_t k = 1; k < 64; k++)
			assert_int_equal(have[i], have[i + k]);
		counts[have[i]]++;
	}
	for (int i = 0; i < 8; i++)
		assert_int_equal(counts[i], 100);
}

/* Random writes and clears, a model of them, snapshots and readers that must not change. */
static void pages_are_what_was_written_last(void **state)
{
	enum {
		PAGES = 256,
		SIZE = PAGES * 512,
		STEPS = 600,
		VIEWS = 6
	};
	static unsigned char now[SIZE], bytes[SIZE], have[SIZE];
	static unsigned char past[VIEWS][SIZE], read_as[VIEWS][SIZE];
	struct fixture *f = *state;
	struct store_ref ref = ref_of("p");
	struct store_read *reads[VIEWS];
	int64_t taken[VIEWS];
	uint32_t random = 12345;

	ok(create(f, "p", STORE_PAGE_BLOB, SIZE));
	assert_true(holds(f, "p", 0, now, SIZE));
	for (int step = 0; step < STEPS; step++) {
		uint64_t from, count;

		random = random * 1103515245 + 12345;
		from = (random >> 8) % PAGES;
		random = random * 1103515245 + 12345;
		count = (random >> 8) % (step % 10 ? 4 : 100) + 1;
		if (from + count > PAGES)
			count = PAGES - from;
		if (step % 100 == 50) {
			int view = step / 100;

			taken[view] = snapshot(f, "p");
			memcpy(past[view], now, SIZE);
		}
		if (step % 100 == 75) {
			int view = step / 100;

			ok(store_read_open(f->store, &ref, NULL, NULL, &reads[view]));
			memcpy(read_as[view], now, SIZE);
		}
		if (step % 7 == 3) {
			ok(clear_pages(f, "p", from * 512, count * 512));
			memset(now + from * 512, 0, count * 512);
		} else {
			fill_bytes(bytes, count * 512, (uint32_t)step);
			ok(write_pages(f, "p", from * 512, bytes, count * 512));
			memcpy(now + from * 512, bytes, count * 512);
		}
		if (step % 50 == 49)
			assert_true(holds(f, "p", 0, now, SIZE));
	}
	assert_true(wait_for_number(f, "SELECT max(journal) < 262144 FROM contents", 1));
	for (int view = 0; view < VIEWS; view++) {
		assert_true(holds(f, "p", taken[view], past[view], SIZE));
		ok(store_read_at(reads[view], 0, have, SIZE));
		assert_memory_equal(have, read_as[view], SIZE);
		store_read_close(reads[view]);
	}
	fixture_reopen(f);
	assert_true(holds(f, "p", 0, now, SIZE));
	for (int view = 0; view < VIEWS; view += 2) {
		struct store_change delete = { .kind = STORE_BLOB_DELETE, .ref = ref };

		delete.ref.snapshot = taken[view];
		ok(store_change(f->store, &delete, NULL));
	}
	assert_true(wait_for_number(f, "SELECT count(*) FROM garbage", 0));
	for (int view = 1; view < VIEWS; view += 2)
		assert_true(holds(f, "p", taken[view], past[view], SIZE));
	assert_true(holds(f, "p", 0, now, SIZE));
	ok(store_change(f->store,
			&(struct store_change){ .kind = STORE_BLOB_DELETE,
						.ref = ref,
						.delete = STORE_DELETE_WITH_SNAPSHOTS },
			NULL));
	assert_true(wait_for_number(f, "SELECT count(*) FROM runs", 0));
	assert_true(wait_for_number(f, "SELECT count(*) FROM chunks", 0));
	assert_true(wait_for_number(f, "SELECT count(*) FROM contents", 0));
	assert_true(wait_for_number(f, "SELECT count(*) FROM journal", 0));
	assert_true(wait_for_disk_below(f, 4096));
}

/* Only the last state is looked at: all others are collected. */
static void overwritten_pages_give_their_space_back(void **state)
{
	static unsigned char bytes[1024 * 1024];
	struct fixture *f = *state;

	ok(create(f, "p", STORE_PAGE_BLOB, sizeof(bytes)));
	for (uint32_t i = 0; i < 30; i++) {
		fill_bytes(bytes, sizeof(bytes), i);
		ok(write_pages(f, "p", 0, bytes, sizeof(bytes)));
	}
	assert_true(wait_for_number(f, "SELECT count(*) FROM runs", 1));
	assert_true(wait_for_disk_below(f, sizeof(bytes) + 4096));
	assert_true(holds(f, "p", 0, bytes, sizeof(bytes)));
	ok(clear_pages(f, "p", 0, sizeof(bytes)));
	assert_true(wait_for_number(f, "SELECT count(*) FROM runs", 0));
	assert_true(wait_for_disk_below(f, 4096));
}

/* A page that is left does not hold the four megabytes that were written with it. */
static void what_is_left_of_large_writes_moves(void **state)
{
	static unsigned char bytes[4 * 1024 * 1024], want[sizeof(bytes)];
	struct fixture *f = *state;
	struct store_ref ref = ref_of("p");
	struct store_read *read;
	static unsigned char have[sizeof(bytes)];

	fill_bytes(bytes, sizeof(bytes), 1);
	ok(create(f, "p", STORE_PAGE_BLOB, sizeof(bytes)));
	ok(write_pages(f, "p", 0, bytes, sizeof(bytes)));
	ok(store_read_open(f->store, &ref, NULL, NULL, &read));
	/* every 64 KiB one page stays, and is found by pieces of different length */
	for (uint64_t at = 0; at < sizeof(bytes); at += 65536) {
		ok(clear_pages(f, "p", at + 512, 65536 - 512));
		memcpy(want + at, bytes + at, 512);
	}
	assert_true(holds(f, "p", 0, want, sizeof(want)));
	ok(store_read_at(read, 0, have, sizeof(have)));
	assert_memory_equal(have, bytes, sizeof(bytes));
	store_read_close(read);
	assert_true(wait_for_disk_below(f, 256 * 1024));
	assert_true(holds(f, "p", 0, want, sizeof(want)));
	assert_int_equal(query_number(f, "SELECT count(*) FROM runs"), 64);
	fixture_reopen(f);
	assert_true(holds(f, "p", 0, want, sizeof(want)));
	ok(delete_blob(f->store, "p"));
	assert_true(wait_for_number(f, "SELECT count(*) FROM chunks", 0));
	assert_true(wait_for_disk_below(f, 4096));
}

static void a_reader_keeps_pages_that_are_overwritten_again_and_again(void **state)
{
	static unsigned char first[200000 / 512 * 512], bytes[sizeof(first)], have[sizeof(first)];
	struct fixture *f = *state;
	struct store_ref ref = ref_of("p");
	struct store_read *read;

	fill_bytes(first, sizeof(first), 1);
	ok(create(f, "p", STORE_PAGE_BLOB, sizeof(first)));
	ok(write_pages(f, "p", 0, first, sizeof(first)));
	/* a look without a change between, so that one view's end is not the last word */
	ok(store_read_open(f->store, &ref, NULL, NULL, &read));
	for (uint32_t i = 0; i < 20; i++) {
		fill_bytes(bytes, sizeof(bytes), 100 + i);
		ok(write_pages(f, "p", 0, bytes, sizeof(bytes)));
	}
	/* the first and the last are left */
	assert_true(wait_for_number(f, "SELECT count(*) FROM runs", 2));
	ok(delete_blob(f->store, "p"));
	assert_true(wait_for_number(f, "SELECT count(*) FROM runs", 1));
	for (uint32_t i = 0; i < 20; i++)
		ok(put_seed(f->store, "other", 300000, i));
	ok(store_read_at(read, 0, have, sizeof(have)));
	assert_memory_equal(have, first, sizeof(first));
	store_read_close(read);
	assert_true(wait_for_number(f, "SELECT count(*) FROM runs", 0));
}

static void page_rules_hold(void **state)
{
	static unsigned char page[512];
	struct fixture *f = *state;
	struct store_place place = { .has_sequence_eq = true, .sequence_eq = 7 };
	struct store_change change = {
		.kind = STORE_PAGES_CLEAR, .ref = ref_of("p"), .size = 512, .place = &place
	};
	struct store_change update = { .kind = STORE_BLOB_UPDATE,
				       .ref = ref_of("p"),
				       .set = STORE_SET_SEQUENCE,
				       .sequence = 7 };
	struct store_result result;

	ok(create(f, "p", STORE_PAGE_BLOB, 1024));
	assert_int_equal(write_pages(f, "p", 1024, page, 512), STORE_BEYOND_END);
	assert_int_equal(write_pages(f, "p", 100, page, 512), STORE_OUT_OF_RANGE);
	assert_int_equal(write_pages(f, "p", 0, page, 100), STORE_OUT_OF_RANGE);
	assert_int_equal(store_change(f->store, &change, NULL), STORE_SEQUENCE);
	ok(store_change(f->store, &update, &result));
	assert_int_equal(result.sequence, 7);
	ok(store_change(f->store, &change, NULL));
	update.sequence_action = STORE_SEQUENCE_MAX;
	update.sequence = 3;
	ok(store_change(f->store, &update, &result));
	assert_int_equal(result.sequence, 7);
	update.sequence_action = STORE_SEQUENCE_INCREMENT;
	ok(store_change(f->store, &update, &result));
	assert_int_equal(result.sequence, 8);
	place = (struct store_place){ .has_sequence_lt = true, .sequence_lt = 8 };
	assert_int_equal(store_change(f->store, &change, NULL), STORE_SEQUENCE);
	place = (struct store_place){ .has_sequence_le = true, .sequence_le = 8 };
	ok(store_change(f->store, &change, NULL));
	ok(put_seed(f->store, "b", 1024, 1));
	assert_int_equal(clear_pages(f, "b", 0, 512), STORE_WRONG_BLOB_TYPE);
}

static void a_smaller_page_blob_forgets_its_end(void **state)
{
	static unsigned char bytes[4096], zero[4096];
	struct fixture *f = *state;
	struct store_change resize = {
		.kind = STORE_BLOB_UPDATE, .ref = ref_of("p"), .set = STORE_SET_SIZE, .size = 1024
	};
	int64_t taken = 0;

	fill_bytes(bytes, sizeof(bytes), 1);
	ok(create(f, "p", STORE_PAGE_BLOB, sizeof(bytes)));
	ok(write_pages(f, "p", 0, bytes, sizeof(bytes)));
	taken = snapshot(f, "p");
	ok(store_change(f->store, &resize, NULL));
	assert_true(holds(f, "p", 0, bytes, 1024));
	resize.size = sizeof(bytes);
	ok(store_change(f->store, &resize, NULL));
	memcpy(zero, bytes, 1024);
	assert_true(holds(f, "p", 0, zero, sizeof(zero)));
	assert_true(holds(f, "p", taken, bytes, sizeof(bytes)));
	resize.size = 1000;
	assert_int_equal(store_change(f->store, &resize, NULL), STORE_OUT_OF_RANGE);
}

static void a_large_page_blob_is_sparse(void **state)
{
	static unsigned char bytes[512], have[1024], want[1024];
	uint64_t size = UINT64_C(8) << 40;
	struct fixture *f = *state;
	struct store_ref ref = ref_of("p");
	struct store_read *read;

	memset(bytes, 7, sizeof(bytes));
	memset(want, 7, 512);
	ok(create(f, "p", STORE_PAGE_BLOB, size));
	ok(write_pages(f, "p", size - 1024, bytes, 512));
	ok(store_read_open(f->store, &ref, NULL, NULL, &read));
	assert_int_equal(read->info.length, size);
	ok(store_read_at(read, size - 1024, have, 1024));
	assert_memory_equal(have, want, 1024);
	store_read_close(read);
	assert_true(disk_used(f) < 4096);
}

static void versions_and_deleted_ones_keep_their_runs(void **state)
{
	static unsigned char bytes[40960];
	struct fixture *f = *state;
	struct store_change put = { .kind = STORE_PUT_BLOB,
				    .ref = ref_of("p"),
				    .type = STORE_PAGE_BLOB,
				    .size = 512,
				    .keep = { .versions = true } };
	struct store_change gone = { .kind = STORE_BLOB_DELETE,
				     .ref = ref_of("p"),
				     .keep = { .retain_ns = INT64_C(1000000000) * 3600 } };
	struct store_change back = { .kind = STORE_BLOB_UNDELETE, .ref = ref_of("p") };

	fill_bytes(bytes, sizeof(bytes), 1);
	ok(create(f, "p", STORE_PAGE_BLOB, sizeof(bytes)));
	ok(write_pages(f, "p", 0, bytes, sizeof(bytes)));
	ok(store_change(f->store, &gone, NULL));
	ok(store_change(f->store, &back, NULL));
	assert_true(holds(f, "p", 0, bytes, sizeof(bytes)));
	fill_bytes(bytes, 512, 2);
	ok(write_pages(f, "p", 0, bytes, 512));
	assert_true(holds(f, "p", 0, bytes, sizeof(bytes)));
	ok(store_change(f->store, &put, NULL));
	assert_true(wait_for_number(f, "SELECT count(*) FROM garbage", 0));
	{
		struct store_ref ref = ref_of("p");
		static unsigned char have[sizeof(bytes)];
		struct store_read *read;

		ref.version = query_number(f, "SELECT at FROM history WHERE kind = 2");
		ok(store_read_open(f->store, &ref, NULL, NULL, &read));
		ok(store_read_at(read, 0, have, sizeof(have)));
		assert_memory_equal(have, bytes, sizeof(have));
		store_read_close(read);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
		TEST(appends_come_one_after_the_other),
		TEST(append_conditions_hold),
		TEST(at_most_50000_appends),
		TEST(small_appends_are_folded_without_a_trace),
		TEST(appends_of_many_threads_are_whole),
		TEST(pages_are_what_was_written_last),
		TEST(overwritten_pages_give_their_space_back),
		TEST(what_is_left_of_large_writes_moves),
		TEST(a_reader_keeps_pages_that_are_overwritten_again_and_again),
		TEST(page_rules_hold),
		TEST(a_smaller_page_blob_forgets_its_end),
		TEST(a_large_page_blob_is_sparse),
		TEST(versions_and_deleted_ones_keep_their_runs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
