/* SPDX-License-Identifier: MIT */
/*
 * The local store against damage: bytes that change on the disk behind its back are not
 * served, whatever parts they came in and whatever range is read.
 */
#include "store_help.h"

#include <fcntl.h>
#include <sqlite3.h>

#include "base/crc64.h"
#include "store/local/local.h"

static void reopen_with(struct fixture *f, const char *options)
{
	store_close(f->store);
	f->store = fixture_open(f, options);
}

/* Turns one bit of the byte that is @at bytes after the first byte of the file's chunks. */
static void damage(struct fixture *f, int64_t chunk, uint64_t at)
{
	char path[128], sql[128];
	unsigned char byte;
	int fd;

	f->damaged = true;
	snprintf(sql, sizeof(sql), "SELECT file FROM chunks WHERE id = %lld", (long long)chunk);
	snprintf(path, sizeof(path), "%s/extents/%08x", f->path, (unsigned)query_number(f, sql));
	snprintf(sql, sizeof(sql), "SELECT offset FROM chunks WHERE id = %lld", (long long)chunk);
	at += (uint64_t)query_number(f, sql);
	fd = open(path, O_RDWR);
	assert_true(fd >= 0);
	assert_int_equal(pread(fd, &byte, 1, (off_t)at), 1);
	byte ^= 4;
	assert_int_equal(pwrite(fd, &byte, 1, (off_t)at), 1);
	close(fd);
}

/* Changes the store's own tables while it is closed. */
static void alter(struct fixture *f, const char *sql)
{
	char path[128];
	sqlite3 *db;

	f->damaged = true;
	store_close(f->store);
	snprintf(path, sizeof(path), "%s/metadata.db", f->path);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
	f->store = fixture_open(f, "");
}

static int64_t chunk_of(const struct fixture *f, const char *name)
{
	char sql[128];

	snprintf(sql, sizeof(sql), "SELECT chunk FROM blobs WHERE name = '%s'", name);
	return query_number(f, sql);
}

static enum store_error read_range(struct store *store, const char *name, uint64_t offset,
				   size_t length)
{
	struct store_ref ref = ref_of(name);
	struct store_read *read;
	unsigned char *have = malloc(length);
	enum store_error error = store_read_open(store, &ref, NULL, NULL, &read);

	if (!error) {
		error = store_read_at(read, offset, have, length);
		store_read_close(read);
	}
	free(have);
	return error;
}

#define BIG 3000000

static void damaged_bytes_are_not_served(void **state)
{
	struct fixture *f = *state;

	ok(put_seed(f->store, "b", BIG, 1));
	damage(f, chunk_of(f, "b"), 1000000);
	assert_int_equal(read_range(f->store, "b", 0, BIG), STORE_CORRUPT);
	assert_int_equal(read_range(f->store, "b", 1000000, 1), STORE_CORRUPT);
	/* another byte of the same block */
	assert_int_equal(read_range(f->store, "b", 1000100, 10), STORE_CORRUPT);
	/* other blocks are as they were */
	ok(read_range(f->store, "b", 0, 900000));
	ok(read_range(f->store, "b", 1100000, BIG - 1100000));
	/* a new blob in the place of the old one */
	ok(put_seed(f->store, "b", BIG, 2));
	assert_true(has_seed(f->store, "b", BIG, 2));
}

static void a_map_ends_before_the_damage(void **state)
{
	struct fixture *f = *state;
	struct store_ref ref = ref_of("b");
	struct store_piece pieces[4];
	struct store_read *read;
	uint64_t at = 0;
	size_t count;

	ok(put_seed(f->store, "b", 8 * BIG, 1));
	damage(f, chunk_of(f, "b"), 5 * BIG);
	ok(store_read_open(f->store, &ref, NULL, NULL, &read));
	while (!store_read_map(read, at, 8 * BIG - at, pieces, 4, &count)) {
		assert_true(count > 0);
		for (size_t i = 0; i < count; i++)
			at += pieces[i].length;
	}
	assert_true(at <= 5 * BIG && at > 4 * BIG);
	store_read_close(read);
}

static void damage_in_a_small_blob_is_found(void **state)
{
	struct fixture *f = *state;

	ok(put_seed(f->store, "s", 5000, 1));
	alter(f, "UPDATE chunks SET data = zeroblob(5000)");
	assert_int_equal(read_range(f->store, "s", 0, 5000), STORE_CORRUPT);
	reopen_with(f, ",verify=never");
	ok(read_range(f->store, "s", 0, 5000));
}

static void first_looks_once_always_looks_each_time(void **state)
{
	struct fixture *f = *state;

	ok(put_seed(f->store, "b", BIG, 1));
	assert_true(has_seed(f->store, "b", BIG, 1));
	damage(f, chunk_of(f, "b"), 7);
	/* what was found good is believed until the store is opened again */
	ok(read_range(f->store, "b", 0, 10));
	fixture_reopen(f);
	assert_int_equal(read_range(f->store, "b", 0, 10), STORE_CORRUPT);
	damage(f, chunk_of(f, "b"), 7);
	reopen_with(f, ",verify=always");
	assert_true(has_seed(f->store, "b", BIG, 1));
	damage(f, chunk_of(f, "b"), 7);
	assert_int_equal(read_range(f->store, "b", 0, 10), STORE_CORRUPT);
	reopen_with(f, ",verify=never");
	ok(read_range(f->store, "b", 0, 10));
}

/* As many blocks as a chunk can have: none of them puts another out of the table. */
static void blocks_that_were_seen_stay_seen(void **state)
{
	struct fixture *f = *state;
	const uint64_t length = (uint64_t)SUMS_MAX * SUMS_BLOCK_MIN;
	struct local *local = to_local(f->store);

	ok(put_seed(f->store, "b", length, 1));
	assert_int_equal(local->numbers.checked, 0);
	ok(read_range(f->store, "b", 0, length));
	assert_int_equal(local->numbers.checked, length);
	ok(read_range(f->store, "b", 0, length));
	assert_int_equal(local->numbers.checked, length);
}

static void damage_in_a_block_list_is_found(void **state)
{
	struct fixture *f = *state;

	ok(put_block(f->store, "l", "01", 100000, 1));
	ok(put_block(f->store, "l", "02", 700, 2));
	ok(put_block(f->store, "l", "03", 200000, 3));
	ok(put_block_list(f->store, "l", "u01 u02 u03", NULL));
	ok(read_range(f->store, "l", 0, 300700));
	fixture_reopen(f);
	damage(f, query_number(f, "SELECT id FROM chunks WHERE length = 700"), 699);
	ok(read_range(f->store, "l", 0, 100000));
	ok(read_range(f->store, "l", 100700, 200000));
	assert_int_equal(read_range(f->store, "l", 0, 300700), STORE_CORRUPT);
	assert_int_equal(read_range(f->store, "l", 100000, 1), STORE_CORRUPT);
}

static void a_chunk_without_sums_is_checked_as_a_whole(void **state)
{
	struct fixture *f = *state;

	ok(put_seed(f->store, "b", BIG, 1));
	alter(f, "DELETE FROM sums");
	assert_true(has_seed(f->store, "b", BIG, 1));
	fixture_reopen(f);
	damage(f, chunk_of(f, "b"), 2000000);
	assert_int_equal(read_range(f->store, "b", 0, 10), STORE_CORRUPT);
}

static void sums_go_with_their_chunk(void **state)
{
	struct fixture *f = *state;

	ok(put_seed(f->store, "b", BIG, 1));
	assert_int_equal(query_number(f, "SELECT length(bytes) FROM sums"),
			 8 * ((BIG + 16383) / 16384));
	ok(delete_blob(f->store, "b"));
	assert_true(wait_for_number(f, "SELECT count(*) FROM chunks", 0));
	assert_int_equal(query_number(f, "SELECT count(*) FROM sums"), 0);
}

/* One upload in parts that end anywhere; then every block has the sum of its bytes. */
static void try_parts(struct fixture *f, size_t length, unsigned int flags, uint32_t seed)
{
	unsigned char *bytes = malloc(length);
	struct store_change put = { .kind = STORE_PUT_BLOB, .ref = ref_of("p") };
	struct {
		size_t from, to;
	} parts[64];
	size_t count = 0, at = 0;
	uint64_t x = seed;

	fill_bytes(bytes, length, seed);
	while (at < length) {
		size_t n;

		x = x * UINT64_C(6364136223846793005) + 1442695040888963407u;
		/* some end at borders of blocks, some parts are tiny, some span many blocks */
		n = (x >> 60) < 5   ? 1 + (x >> 33) % 40000
		    : (x >> 60) < 8 ? 16384 - at % 16384
				    : 1 + (x >> 33) % 900;
		if (count == 63 || n > length - at)
			n = length - at;
		parts[count].from = at;
		parts[count++].to = at += n;
	}
	for (size_t i = count - 1; i; i--) {
		size_t j;

		x = x * UINT64_C(6364136223846793005) + 1442695040888963407u;
		j = (x >> 33) % (i + 1);
		at = parts[i].from;
		parts[i].from = parts[j].from;
		parts[j].from = at;
		at = parts[i].to;
		parts[i].to = parts[j].to;
		parts[j].to = at;
	}
	ok(store_upload_begin(f->store, length, flags, &put.upload));
	for (size_t i = 0; i < count; i++) {
		struct iovec iov = { bytes + parts[i].from, parts[i].to - parts[i].from };

		ok(store_upload_write(put.upload, parts[i].from, &iov, 1, 0, NULL, NULL));
		/* again, where that is allowed */
		if (!flags && i % 3 == 0)
			ok(store_upload_write(put.upload, parts[i].from, &iov, 1, 0, NULL, NULL));
	}
	ok(store_change(f->store, &put, NULL));
	assert_true(has_seed(f->store, "p", length, seed));
	free(bytes);
}

static void any_parts_give_the_same_sums(void **state)
{
	struct fixture *f = *state;

	reopen_with(f, ",verify=always,unsafe-no-sync=on");
	for (uint32_t seed = 1; seed <= 60; seed++) {
		size_t length = 16385 + seed * 7919 % 300000;

		try_parts(f, length, 0, seed);
		try_parts(f, length, STORE_UPLOAD_STREAM, seed);
	}
}

static void large_chunks_have_large_blocks(void **state)
{
	(void)state;
	assert_int_equal(sums_block(1), 16384);
	assert_int_equal(sums_block(32u << 20), 16384);
	assert_int_equal(sums_block((32u << 20) + 1), 32768);
	assert_int_equal(sums_block(EXTENT_FILE_SIZE), 512 * 1024);
	for (uint64_t length = 1; length <= EXTENT_FILE_SIZE; length = length * 3 + 1)
		assert_true(sums_count(length) <= SUMS_MAX);
}

static void a_join_gives_what_combine_gives(void **state)
{
	unsigned char bytes[5000];
	uint64_t a, b;

	(void)state;
	fill_bytes(bytes, sizeof(bytes), 9);
	a = azb_crc64(0, bytes, 1234);
	b = azb_crc64(0, bytes + 1234, sizeof(bytes) - 1234);
	assert_true(azb_crc64_join(a, b, azb_crc64_power(sizeof(bytes) - 1234)) ==
		    azb_crc64(0, bytes, sizeof(bytes)));
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
		T(damaged_bytes_are_not_served),
		T(a_map_ends_before_the_damage),
		T(damage_in_a_small_blob_is_found),
		T(first_looks_once_always_looks_each_time),
		T(blocks_that_were_seen_stay_seen),
		T(damage_in_a_block_list_is_found),
		T(a_chunk_without_sums_is_checked_as_a_whole),
		T(sums_go_with_their_chunk),
		T(any_parts_give_the_same_sums),
		cmocka_unit_test(large_chunks_have_large_blocks),
		cmocka_unit_test(a_join_gives_what_combine_gives),
	};

	return cmocka_run_group_tests_name("store_rot", tests, NULL, NULL);
}
