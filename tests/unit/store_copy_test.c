/* SPDX-License-Identifier: MIT */
/* Copies share data, and the data goes with the last of them. */
#include "store_help.h"

static enum store_error copy(struct store *store, const char *from, const char *to)
{
	struct store_copy record = { .id = "id", .status = "success", .source = "http://h/a/c/b" };
	struct store_change change = {
		.kind = STORE_COPY_BLOB, .ref = ref_of(to), .source = ref_of(from), .copy = &record
	};

	return store_change(store, &change, NULL);
}

#define BIG (UINT64_C(4) * 1024 * 1024)

static void a_copy_takes_no_space(void **state)
{
	struct fixture *f = *state;
	uint64_t used;

	ok(put_seed(f->store, "a", BIG, 1));
	used = disk_used(f);
	for (int i = 0; i < 10; i++) {
		char name[8];

		snprintf(name, sizeof(name), "b%d", i);
		ok(copy(f->store, "a", name));
	}
	assert_int_equal(disk_used(f), used);
	ok(delete_blob(f->store, "a"));
	for (int i = 0; i < 9; i++) {
		char name[8];

		snprintf(name, sizeof(name), "b%d", i);
		ok(delete_blob(f->store, name));
	}
	assert_true(wait_for_number(f, "SELECT count(*) FROM garbage", 0));
	assert_true(has_seed(f->store, "b9", BIG, 1));
	ok(delete_blob(f->store, "b9"));
	assert_true(wait_for_disk_below(f, BIG));
	assert_int_equal(query_number(f, "SELECT count(*) FROM chunks"), 0);
}

static void copies_of_block_lists_and_small_blobs(void **state)
{
	struct fixture *f = *state;

	ok(put_block(f->store, "list", "1", 100000, 1));
	ok(put_block_list(f->store, "list", "l1 l1", NULL));
	ok(copy(f->store, "list", "list2"));
	ok(put_seed(f->store, "small", 100, 2));
	ok(copy(f->store, "small", "small2"));
	ok(put_seed(f->store, "empty", 0, 3));
	ok(copy(f->store, "empty", "empty2"));
	ok(copy(f->store, "list2", "list2"));
	ok(delete_blob(f->store, "list"));
	ok(delete_blob(f->store, "small"));
	ok(delete_blob(f->store, "empty"));
	assert_true(wait_for_number(f, "SELECT count(*) FROM garbage", 0));
	fixture_reopen(f);
	assert_true(has_seed(f->store, "small2", 100, 2));
	assert_true(exists(f->store, "empty2"));
	/* a list of the copy's own blocks */
	ok(put_block_list(f->store, "list2", "c1", NULL));
	assert_true(has_seed(f->store, "list2", 100000, 1));
	ok(delete_blob(f->store, "list2"));
	ok(delete_blob(f->store, "small2"));
	ok(delete_blob(f->store, "empty2"));
	assert_true(wait_for_number(f, "SELECT count(*) FROM chunks", 0));
	assert_int_equal(query_number(f, "SELECT count(*) FROM contents"), 0);
}

static void what_is_copied_from_survives_a_restart(void **state)
{
	struct fixture *f = *state;
	struct store_ref ref = ref_of("b");
	struct store_blob_info info;
	struct store_copy record;

	ok(put_seed(f->store, "a", 10, 1));
	ok(copy(f->store, "a", "b"));
	fixture_reopen(f);
	ok(store_blob_stat(f->store, &ref, NULL, &info));
	assert_true(store_copy_read(&info.copy, &record));
	assert_string_equal(record.id, "id");
	assert_string_equal(record.status, "success");
	assert_string_equal(record.source, "http://h/a/c/b");
	assert_string_equal(record.description, "");
	assert_int_equal(record.copied, 10);
	assert_int_equal(record.total, 10);
	assert_true(record.done_ns > 0);
	store_blob_info_clear(&info);
	assert_int_equal(copy(f->store, "none", "b"), STORE_SOURCE_NOT_FOUND);
	assert_true(has_seed(f->store, "b", 10, 1));
}

static enum store_error put_copy(struct fixture *f, const char *name, const char *status,
				 const char *ends, size_t length)
{
	struct store_copy record = { .id = "one",
				     .status = status,
				     .source = "http://h/f",
				     .resume = "again",
				     .resume_length = 5 };
	unsigned char *bytes = malloc(length + 1);
	struct iovec iov = { bytes, length };
	struct store_change put = {
		.kind = STORE_PUT_BLOB, .ref = ref_of(name), .copy = &record, .copy_id = ends
	};
	enum store_error error;

	fill_bytes(bytes, length, 7);
	ok(store_upload_begin(f->store, length, 0, &put.upload));
	if (length)
		ok(store_upload_write(put.upload, 0, &iov, 1, 0, NULL, NULL));
	error = store_change(f->store, &put, NULL);
	if (error)
		store_upload_abort(put.upload);
	free(bytes);
	return error;
}

struct listed {
	unsigned int count;
	char name[32];
};

static void take(void *context, const struct store_ref *ref, const void *resume, size_t length)
{
	struct listed *listed = context;

	listed->count++;
	snprintf(listed->name, sizeof(listed->name), "%s", ref->blob);
	assert_int_equal(length, 5);
	assert_memory_equal(resume, "again", 5);
}

static unsigned int pending(struct fixture *f)
{
	struct listed listed = { 0 };

	ok(store_copies_list(f->store, take, &listed));
	if (listed.count)
		assert_string_equal(listed.name, "b");
	return listed.count;
}

static void only_its_end_changes_a_pending_copy(void **state)
{
	struct fixture *f = *state;

	ok(put_seed(f->store, "b", 10, 1));
	assert_int_equal(put_copy(f, "b", "success", "one", 20), STORE_NO_PENDING_COPY);
	ok(put_copy(f, "b", "pending", NULL, 0));
	fixture_reopen(f);
	assert_int_equal(pending(f), 1);
	assert_int_equal(put_seed(f->store, "b", 10, 2), STORE_PENDING_COPY);
	assert_int_equal(delete_blob(f->store, "b"), STORE_PENDING_COPY);
	assert_int_equal(put_copy(f, "b", "success", "two", 20), STORE_COPY_ID_MISMATCH);
	assert_int_equal(pending(f), 1);
	ok(put_copy(f, "b", "success", "one", 200000));
	assert_int_equal(pending(f), 0);
	assert_true(has_seed(f->store, "b", 200000, 7));
	assert_int_equal(put_copy(f, "b", "failed", "one", 0), STORE_NO_PENDING_COPY);
	ok(delete_blob(f->store, "b"));
}

static void a_container_takes_its_pending_copies_along(void **state)
{
	struct fixture *f = *state;
	struct store_change drop = { .kind = STORE_CONTAINER_DELETE, .ref = ref_of("b") };

	ok(put_copy(f, "b", "pending", NULL, 0));
	drop.ref.blob = NULL;
	ok(store_change(f->store, &drop, NULL));
	assert_int_equal(pending(f), 0);
	assert_true(wait_for_number(f, "SELECT count(*) FROM copies", 0));
	assert_true(wait_for_number(f, "SELECT count(*) FROM garbage", 0));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_copy_takes_no_space),
		TEST(copies_of_block_lists_and_small_blobs),
		TEST(what_is_copied_from_survives_a_restart),
		TEST(only_its_end_changes_a_pending_copy),
		TEST(a_container_takes_its_pending_copies_along),
	};

	return cmocka_run_group_tests_name("store_copy", tests, NULL, NULL);
}
