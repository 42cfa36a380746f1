/* SPDX-License-Identifier: MIT */
/* The local store: blocks and block lists. */
#include "store_help.h"

/* Collects a block list as text: "C:id=length " and "U:id=length ". */
static bool note_block(void *context, const struct store_block_id *id, uint64_t length,
		       bool committed)
{
	char *text = context;

	sprintf(text + strlen(text), "%c:%.*s=%d ", committed ? 'C' : 'U', id->length,
		(const char *)id->bytes, (int)length);
	return true;
}

static void assert_blocks(struct store *store, const char *name, const char *want)
{
	struct store_ref ref = ref_of(name);
	struct store_blob_info info;
	char have[1000] = "";

	ok(store_block_list(store, &ref, true, true, &info, note_block, have));
	assert_string_equal(have, want);
	store_blob_info_clear(&info);
}

/* The bytes of the blob are these seeds' bytes, one after the other. */
static void assert_seeds(struct store *store, const char *name, const uint32_t *seeds,
			 const size_t *lengths, size_t count)
{
	struct store_ref ref = ref_of(name);
	unsigned char *want, *have;
	struct store_read *read;
	uint64_t at = 0;

	ok(store_read_open(store, &ref, NULL, NULL, &read));
	for (size_t i = 0; i < count; i++) {
		want = malloc(lengths[i]);
		have = malloc(lengths[i]);
		fill_bytes(want, lengths[i], seeds[i]);
		ok(store_read_at(read, at, have, lengths[i]));
		assert_memory_equal(want, have, lengths[i]);
		at += lengths[i];
		free(want);
		free(have);
	}
	assert_int_equal(read->info.length, at);
	store_read_close(read);
}

static void a_list_of_blocks_becomes_the_blob(void **state)
{
	static const uint32_t seeds[] = { 2, 1, 3, 1 };
	static const size_t lengths[] = { 70000, 5, 300000, 5 };
	struct fixture *f = *state;
	struct store_ref ref = ref_of("b");
	struct store_blob_info info;
	struct store_result result;

	ok(put_block(f->store, "b", "01", 5, 1));
	ok(put_block(f->store, "b", "02", 70000, 2));
	ok(put_block(f->store, "b", "03", 300000, 3));
	ok(put_block(f->store, "b", "04", 9, 4));
	assert_false(exists(f->store, "b"));
	assert_blocks(f->store, "b", "U:01=5 U:02=70000 U:03=300000 U:04=9 ");
	ok(put_block_list(f->store, "b", "l02 u01 l03 u01", &result));
	assert_true(result.created);
	assert_blocks(f->store, "b", "C:02=70000 C:01=5 C:03=300000 C:01=5 ");
	fixture_reopen(f);
	assert_seeds(f->store, "b", seeds, lengths, 4);
	ok(store_blob_stat(f->store, &ref, NULL, &info));
	assert_int_equal(info.block_count, 4);
	assert_true(info.has_crc64 && info.crc64 == result.crc64);
	store_blob_info_clear(&info);
	/* the block that was not in the list is gone, with its space */
	assert_true(wait_for_number(f, "SELECT count(*) FROM chunks", 3));
	assert_true(wait_for_number(f, "SELECT count(*) FROM blocks", 0));
}

static void a_second_list_mixes_committed_and_uncommitted(void **state)
{
	static const uint32_t seeds[] = { 9, 2, 1 };
	static const size_t lengths[] = { 40000, 20000, 10000 };
	struct fixture *f = *state;

	ok(put_block(f->store, "m", "01", 10000, 1));
	ok(put_block(f->store, "m", "02", 20000, 2));
	ok(put_block(f->store, "m", "03", 30000, 3));
	ok(put_block_list(f->store, "m", "l01 l02 l03", NULL));
	/* a new 01: committed and latest differ */
	ok(put_block(f->store, "m", "01", 40000, 9));
	assert_blocks(f->store, "m", "C:01=10000 C:02=20000 C:03=30000 U:01=40000 ");
	ok(put_block_list(f->store, "m", "l01 l02 c01", NULL));
	assert_seeds(f->store, "m", seeds, lengths, 3);
	assert_true(wait_for_number(f, "SELECT count(*) FROM chunks", 3));
	assert_true(wait_for_number(f, "SELECT count(*) FROM contents", 1));
	fixture_reopen(f);
	assert_seeds(f->store, "m", seeds, lengths, 3);
	/* and nothing but what it shares is left when it goes */
	ok(delete_blob(f->store, "m"));
	assert_true(wait_for_number(f, "SELECT count(*) FROM chunks", 0));
	assert_true(wait_for_disk_below(f, 4096));
}

static void a_list_with_an_unknown_block_changes_nothing(void **state)
{
	struct fixture *f = *state;

	ok(put_seed(f->store, "x", 100, 1));
	ok(put_block(f->store, "x", "01", 10, 1));
	assert_int_equal(put_block_list(f->store, "x", "l01 l02", NULL), STORE_INVALID_BLOCK_LIST);
	assert_int_equal(put_block_list(f->store, "x", "c01", NULL), STORE_INVALID_BLOCK_LIST);
	assert_true(has_seed(f->store, "x", 100, 1));
	assert_blocks(f->store, "x", "U:01=10 ");
	ok(put_block_list(f->store, "x", "u01", NULL));
	/* committed by now, and not uncommitted any more */
	assert_int_equal(put_block_list(f->store, "x", "u01", NULL), STORE_INVALID_BLOCK_LIST);
	ok(put_block_list(f->store, "x", "c01", NULL));
	assert_true(has_seed(f->store, "x", 10, 1));
}

static void an_empty_list_makes_an_empty_blob(void **state)
{
	struct fixture *f = *state;

	ok(put_block_list(f->store, "e", "", NULL));
	assert_true(has_seed(f->store, "e", 0, 0));
}

static void put_blob_and_delete_drop_uncommitted_blocks(void **state)
{
	struct fixture *f = *state;
	struct store_ref ref = ref_of("d");
	struct store_blob_info info;

	ok(put_block(f->store, "d", "01", 100000, 1));
	ok(put_seed(f->store, "d", 10, 1));
	assert_blocks(f->store, "d", "");
	ok(put_block(f->store, "d", "01", 100000, 1));
	ok(delete_blob(f->store, "d"));
	assert_int_equal(store_block_list(f->store, &ref, true, true, &info, note_block, NULL),
			 STORE_BLOB_NOT_FOUND);
	assert_true(wait_for_number(f, "SELECT count(*) FROM chunks", 0));
	assert_true(wait_for_disk_below(f, 4096));
}

static void uncommitted_blocks_of_a_week_ago_are_collected(void **state)
{
	struct fixture *f = *state;

	ok(put_block(f->store, "old", "01", 300000, 1));
	ok(put_block(f->store, "old", "02", 300000, 2));
	ok(put_block(f->store, "new", "01", 300000, 3));
	query_number(f, "UPDATE staged SET modified = modified - 7 * 86400 * 1000000000"
			" WHERE name = 'old' RETURNING 1");
	query_number(f, "UPDATE staged SET modified = modified - 6 * 86400 * 1000000000"
			" WHERE name = 'new' RETURNING 1");
	/* the collector looks when the store is opened, and then every hour */
	fixture_reopen(f);
	assert_true(wait_for_number(f, "SELECT count(*) FROM staged", 1));
	assert_true(wait_for_number(f, "SELECT count(*) FROM chunks", 1));
	assert_int_equal(put_block_list(f->store, "old", "u01", NULL), STORE_INVALID_BLOCK_LIST);
	ok(put_block_list(f->store, "new", "u01", NULL));
	assert_true(has_seed(f->store, "new", 300000, 3));
}

static void block_ids_of_one_blob_have_one_length(void **state)
{
	struct fixture *f = *state;

	ok(put_block(f->store, "l", "01", 10, 1));
	assert_int_equal(put_block(f->store, "l", "001", 10, 1), STORE_BLOCK_ID_LENGTH);
	ok(put_block(f->store, "l", "01", 20, 2));
	ok(put_block_list(f->store, "l", "u01", NULL));
	assert_true(has_seed(f->store, "l", 20, 2));
	/* only uncommitted ones count */
	ok(put_block(f->store, "l", "001", 10, 1));
}

/* 50,000 committed, then 50,000 more: the sizes that the service allows. */
static void the_longest_list_commits_and_one_more_is_refused(void **state)
{
	struct fixture f = { .store = NULL };
	struct store_change create = { .kind = STORE_CONTAINER_CREATE, .ref = ref_of(NULL) };
	struct store_change put = { .kind = STORE_PUT_BLOCK, .ref = ref_of("big") };
	struct store_block_ref *list = calloc(STORE_MAX_BLOCKS + 1, sizeof(*list));
	struct iovec iov = { .iov_base = "x", .iov_len = 1 };
	struct store_blob_info info;

	(void)state;
	fixture_directory(&f);
	/* so many commits only test patience with a real disk */
	f.store = fixture_open(&f, ",unsafe-no-sync=on");
	ok(store_change(f.store, &create, NULL));
	for (unsigned int i = 0; i <= STORE_MAX_BLOCKS; i++) {
		char id[8];

		snprintf(id, sizeof(id), "%06u", i);
		put.block.length = 6;
		memcpy(put.block.bytes, id, 6);
		list[i].id = put.block;
		if (i == STORE_MAX_BLOCKS)
			break;
		ok(store_upload_begin(f.store, 1, 0, &put.upload));
		ok(store_upload_write(put.upload, 0, &iov, 1, 0, NULL, NULL));
		ok(store_change(f.store, &put, NULL));
	}
	put = (struct store_change){ .kind = STORE_PUT_BLOCK_LIST,
				     .ref = ref_of("big"),
				     .blocks = list,
				     .block_count = STORE_MAX_BLOCKS + 1 };
	assert_int_equal(store_change(f.store, &put, NULL), STORE_BLOCK_LIST_TOO_LONG);
	put.block_count = STORE_MAX_BLOCKS;
	ok(store_change(f.store, &put, NULL));
	for (size_t i = 0; i < STORE_MAX_BLOCKS; i++)
		list[i].from = STORE_BLOCK_COMMITTED;
	ok(store_change(f.store, &put, NULL));
	ok(store_blob_stat(f.store, &put.ref, NULL, &info));
	assert_int_equal(info.length, STORE_MAX_BLOCKS);
	assert_int_equal(info.block_count, STORE_MAX_BLOCKS);
	store_blob_info_clear(&info);
	ok(delete_blob(f.store, "big"));
	assert_true(wait_for_number(&f, "SELECT count(*) FROM chunks", 0));
	store_close(f.store);
	fixture_remove(&f);
	free(list);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
		T(a_list_of_blocks_becomes_the_blob),
		T(a_second_list_mixes_committed_and_uncommitted),
		T(a_list_with_an_unknown_block_changes_nothing),
		T(an_empty_list_makes_an_empty_blob),
		T(put_blob_and_delete_drop_uncommitted_blocks),
		T(uncommitted_blocks_of_a_week_ago_are_collected),
		T(block_ids_of_one_blob_have_one_length),
		cmocka_unit_test(the_longest_list_commits_and_one_more_is_refused),
	};

	return cmocka_run_group_tests_name("store_blocks", tests, NULL, NULL);
}
