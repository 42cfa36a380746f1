/* SPDX-License-Identifier: MIT */
/* The local store: snapshots, versions, and what is deleted and kept for a while. */
#include <time.h>

#include "store_help.h"

#define DAY_NS (INT64_C(86400) * 1000000000)
#define HOUR_NS (DAY_NS / 24)

static const struct store_keep versions = { .versions = true };
static const struct store_keep retain = { .retain_ns = DAY_NS };

static struct store_result snapshot(struct fixture *f, const char *name, struct store_keep keep)
{
	struct store_change change = { .kind = STORE_BLOB_SNAPSHOT,
				       .ref = ref_of(name),
				       .keep = keep };
	struct store_result result;

	ok(store_change(f->store, &change, &result));
	assert_true(result.snapshot > 0);
	return result;
}

static struct store_ref past(const char *name, int64_t at, int64_t version)
{
	struct store_ref ref = ref_of(name);

	ref.snapshot = at;
	ref.version = version;
	return ref;
}

static bool ref_has_seed(struct fixture *f, struct store_ref ref, size_t length, uint32_t seed)
{
	unsigned char *have = malloc(length + 1), *want = malloc(length + 1);
	struct store_read *read;
	bool same;

	if (store_read_open(f->store, &ref, NULL, NULL, &read)) {
		free(have);
		free(want);
		return false;
	}
	fill_bytes(want, length, seed);
	same = read->info.length == length && !store_read_at(read, 0, have, length) &&
	       !memcmp(have, want, length);
	store_read_close(read);
	free(have);
	free(want);
	return same;
}

static enum store_error delete_ref(struct fixture *f, struct store_ref ref, enum store_delete what,
				   struct store_keep keep, struct store_result *result)
{
	struct store_change change = {
		.kind = STORE_BLOB_DELETE, .ref = ref, .delete = what, .keep = keep
	};

	return store_change(f->store, &change, result);
}

static enum store_error put_kept(struct fixture *f, const char *name, size_t length, uint32_t seed,
				 struct store_keep keep, struct store_result *result)
{
	unsigned char *bytes = malloc(length + 1);
	struct iovec iov = { bytes, length };
	struct store_change put = { .kind = STORE_PUT_BLOB, .ref = ref_of(name), .keep = keep };
	enum store_error error;

	fill_bytes(bytes, length, seed);
	ok(store_upload_begin(f->store, length, 0, &put.upload));
	ok(store_upload_write(put.upload, 0, &iov, 1, 0, NULL, NULL));
	error = store_change(f->store, &put, result);
	free(bytes);
	return error;
}

static enum store_error undelete(struct fixture *f, const char *name)
{
	struct store_change change = { .kind = STORE_BLOB_UNDELETE, .ref = ref_of(name) };

	return store_change(f->store, &change, NULL);
}

static void a_snapshot_shares_the_data_and_outlives_the_blob(void **state)
{
	static const size_t sizes[] = { 0, 100, 300000 };
	struct fixture *f = *state;

	for (size_t i = 0; i < 3; i++) {
		struct store_result taken;
		uint64_t before;

		ok(put_seed(f->store, "b", sizes[i], 1));
		before = disk_used(f);
		taken = snapshot(f, "b", (struct store_keep){ 0 });
		assert_int_equal(disk_used(f), before);
		ok(put_seed(f->store, "b", sizes[i], 2));
		assert_true(ref_has_seed(f, past("b", taken.snapshot, 0), sizes[i], 1));
		assert_true(has_seed(f->store, "b", sizes[i], 2));
		fixture_reopen(f);
		assert_true(ref_has_seed(f, past("b", taken.snapshot, 0), sizes[i], 1));
		assert_int_equal(delete_blob(f->store, "b"), STORE_SNAPSHOTS_PRESENT);
		ok(delete_ref(f, past("b", taken.snapshot, 0), STORE_DELETE_PLAIN,
			      (struct store_keep){ 0 }, NULL));
		assert_false(ref_has_seed(f, past("b", taken.snapshot, 0), sizes[i], 1));
		ok(delete_blob(f->store, "b"));
		assert_true(wait_for_number(f, "SELECT count(*) FROM chunks", 0));
		assert_true(wait_for_disk_below(f, 4096));
	}
}

static void a_snapshot_of_a_block_list_keeps_its_blocks(void **state)
{
	struct fixture *f = *state;
	struct store_result taken;

	ok(put_block(f->store, "b", "01", 300000, 1));
	ok(put_block_list(f->store, "b", "u01", NULL));
	taken = snapshot(f, "b", (struct store_keep){ 0 });
	ok(put_block(f->store, "b", "02", 300000, 2));
	ok(put_block_list(f->store, "b", "u02", NULL));
	assert_true(wait_for_number(f, "SELECT count(*) FROM garbage", 0));
	assert_true(ref_has_seed(f, past("b", taken.snapshot, 0), 300000, 1));
	ok(delete_ref(f, ref_of("b"), STORE_DELETE_WITH_SNAPSHOTS, (struct store_keep){ 0 }, NULL));
	assert_false(exists(f->store, "b"));
	assert_true(wait_for_number(f, "SELECT count(*) FROM chunks", 0));
	assert_true(wait_for_number(f, "SELECT count(*) FROM contents", 0));
}

static void a_reader_keeps_a_deleted_snapshot(void **state)
{
	static unsigned char want[300000], have[300000];
	struct fixture *f = *state;
	struct store_read *read;
	struct store_result taken;
	struct store_ref ref;

	fill_bytes(want, sizeof(want), 1);
	ok(put_seed(f->store, "b", sizeof(want), 1));
	taken = snapshot(f, "b", (struct store_keep){ 0 });
	ref = past("b", taken.snapshot, 0);
	ok(store_read_open(f->store, &ref, NULL, NULL, &read));
	assert_int_equal(read->info.snapshot, taken.snapshot);
	assert_false(read->info.current);
	ok(delete_ref(f, ref_of("b"), STORE_DELETE_WITH_SNAPSHOTS, (struct store_keep){ 0 }, NULL));
	for (uint32_t i = 0; i < 20; i++)
		ok(put_seed(f->store, "other", 300000, 100 + i));
	ok(store_read_at(read, 0, have, sizeof(have)));
	assert_memory_equal(have, want, sizeof(want));
	store_read_close(read);
	ok(delete_blob(f->store, "other"));
	assert_true(wait_for_number(f, "SELECT count(*) FROM chunks", 0));
}

static void snapshots_alone_are_deleted(void **state)
{
	struct fixture *f = *state;

	ok(put_seed(f->store, "b", 100, 1));
	snapshot(f, "b", (struct store_keep){ 0 });
	snapshot(f, "b", (struct store_keep){ 0 });
	assert_int_equal(query_number(f, "SELECT count(*) FROM history"), 2);
	ok(delete_ref(f, ref_of("b"), STORE_DELETE_SNAPSHOTS, (struct store_keep){ 0 }, NULL));
	assert_int_equal(query_number(f, "SELECT count(*) FROM history"), 0);
	assert_true(has_seed(f->store, "b", 100, 1));
}

static void what_is_replaced_becomes_a_version(void **state)
{
	struct fixture *f = *state;
	struct store_result first, second, deleted;
	struct store_change update = { .kind = STORE_BLOB_UPDATE,
				       .ref = ref_of("b"),
				       .set = STORE_SET_META,
				       .keep = versions };

	ok(put_kept(f, "b", 300000, 1, versions, &first));
	ok(put_kept(f, "b", 200, 2, versions, &second));
	assert_true(first.version && second.version > first.version);
	assert_true(ref_has_seed(f, past("b", 0, first.version), 300000, 1));
	assert_true(ref_has_seed(f, past("b", 0, second.version), 200, 2));
	assert_int_equal(
		delete_ref(f, past("b", 0, second.version), STORE_DELETE_PLAIN, versions, NULL),
		STORE_CURRENT_VERSION);
	ok(store_change(f->store, &update, &second));
	assert_int_equal(query_number(f, "SELECT count(*) FROM history WHERE kind = 2"), 2);
	assert_true(has_seed(f->store, "b", 200, 2));
	ok(delete_ref(f, ref_of("b"), STORE_DELETE_PLAIN, versions, &deleted));
	assert_true(deleted.kept);
	assert_false(exists(f->store, "b"));
	assert_true(ref_has_seed(f, past("b", 0, second.version), 200, 2));
	ok(delete_ref(f, past("b", 0, first.version), STORE_DELETE_PLAIN, versions, &deleted));
	assert_false(deleted.kept);
	assert_true(wait_for_disk_below(f, 4096));
}

static void a_blob_from_before_versions_gets_one_when_it_is_replaced(void **state)
{
	struct fixture *f = *state;
	struct store_result first, second;

	ok(put_kept(f, "b", 100, 1, (struct store_keep){ 0 }, &first));
	assert_int_equal(first.version, 0);
	ok(put_kept(f, "b", 100, 2, versions, NULL));
	assert_true(ref_has_seed(f, past("b", 0, first.modified_ns / 100), 100, 1));
	/* and without versions again, the current one stays as one */
	ok(put_kept(f, "b", 100, 3, (struct store_keep){ 0 }, &second));
	assert_int_equal(second.version, 0);
	assert_int_equal(query_number(f, "SELECT count(*) FROM history WHERE kind = 2"), 2);
	ok(put_kept(f, "b", 100, 4, (struct store_keep){ 0 }, NULL));
	assert_int_equal(query_number(f, "SELECT count(*) FROM history WHERE kind = 2"), 2);
}

static void a_snapshot_of_a_versioned_blob_makes_a_version(void **state)
{
	struct fixture *f = *state;
	struct store_result first, taken;

	ok(put_kept(f, "b", 300000, 1, versions, &first));
	taken = snapshot(f, "b", versions);
	assert_true(taken.version > first.version);
	assert_true(ref_has_seed(f, past("b", taken.snapshot, 0), 300000, 1));
	assert_true(ref_has_seed(f, past("b", 0, first.version), 300000, 1));
	assert_true(ref_has_seed(f, past("b", 0, taken.version), 300000, 1));
	assert_int_equal(query_number(f, "SELECT refs FROM chunks"), 3);
}

static void a_deleted_blob_comes_back_with_its_snapshots(void **state)
{
	struct fixture *f = *state;
	struct store_result taken, result;

	ok(put_seed(f->store, "b", 300000, 1));
	taken = snapshot(f, "b", retain);
	ok(delete_ref(f, ref_of("b"), STORE_DELETE_WITH_SNAPSHOTS, retain, &result));
	assert_true(result.kept);
	assert_false(exists(f->store, "b"));
	assert_false(ref_has_seed(f, past("b", taken.snapshot, 0), 300000, 1));
	ok(undelete(f, "b"));
	assert_true(has_seed(f->store, "b", 300000, 1));
	assert_true(ref_has_seed(f, past("b", taken.snapshot, 0), 300000, 1));
	assert_int_equal(undelete(f, "never"), STORE_BLOB_NOT_FOUND);
	/* with the blob there, it is as it was */
	ok(undelete(f, "b"));
	assert_int_equal(query_number(f, "SELECT count(*) FROM history WHERE deleted != 0"), 0);
}

static void what_is_overwritten_is_kept_as_a_deleted_snapshot(void **state)
{
	struct fixture *f = *state;

	ok(put_seed(f->store, "b", 300000, 1));
	ok(put_kept(f, "b", 300000, 2, retain, NULL));
	ok(delete_ref(f, ref_of("b"), STORE_DELETE_PLAIN, retain, NULL));
	/* a new blob of the name: the deleted one becomes a deleted snapshot of it */
	ok(put_kept(f, "b", 300000, 3, retain, NULL));
	assert_int_equal(query_number(f, "SELECT count(*) FROM history"
					 " WHERE kind = 1 AND deleted != 0"),
			 2);
	ok(undelete(f, "b"));
	assert_true(has_seed(f->store, "b", 300000, 3));
	assert_true(ref_has_seed(f, past("b", query_number(f, "SELECT min(at) FROM history"), 0),
				 300000, 1));
	assert_true(ref_has_seed(f, past("b", query_number(f, "SELECT max(at) FROM history"), 0),
				 300000, 2));
}

static void what_was_kept_long_enough_is_collected(void **state)
{
	struct fixture *f = *state;

	ok(put_seed(f->store, "old", 300000, 1));
	ok(delete_ref(f, ref_of("old"), STORE_DELETE_PLAIN, (struct store_keep){ .retain_ns = 1 },
		      NULL));
	ok(put_seed(f->store, "new", 300000, 2));
	ok(delete_ref(f, ref_of("new"), STORE_DELETE_PLAIN, retain, NULL));
	/* the collector looks when the store is opened */
	fixture_reopen(f);
	assert_true(wait_for_number(f, "SELECT count(*) FROM history", 1));
	assert_true(wait_for_number(f, "SELECT count(*) FROM chunks", 1));
	assert_int_equal(undelete(f, "old"), STORE_BLOB_NOT_FOUND);
	ok(undelete(f, "new"));
	assert_true(has_seed(f->store, "new", 300000, 2));
}

/*
 * What is kept is so from the writer's time on, which nothing turns: the test's clock starts
 * there, and is then put forward by far more than a test takes.
 */
static int setup_today(void **state)
{
	int result = fixture_setup_clock(state);
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	fixture_now = now.tv_sec * SECOND + now.tv_nsec;
	return result;
}

/* The collector looks each hour; what has expired in between is gone for everybody. */
static void what_was_kept_long_enough_does_not_come_back(void **state)
{
	struct fixture *f = *state;

	ok(put_seed(f->store, "b", 100, 1));
	ok(delete_ref(f, ref_of("b"), STORE_DELETE_PLAIN, retain, NULL));
	fixture_now += DAY_NS - HOUR_NS;
	ok(undelete(f, "b"));
	assert_true(has_seed(f->store, "b", 100, 1));
	ok(delete_ref(f, ref_of("b"), STORE_DELETE_PLAIN, retain, NULL));
	fixture_now += 2 * HOUR_NS;
	assert_int_equal(undelete(f, "b"), STORE_BLOB_NOT_FOUND);
	assert_false(exists(f->store, "b"));
}

static void snapshots_kept_long_enough_do_not_come_back(void **state)
{
	struct store_keep longer = { .retain_ns = 2 * DAY_NS };
	struct fixture *f = *state;
	struct store_result first, second;

	ok(put_seed(f->store, "b", 100, 1));
	first = snapshot(f, "b", retain);
	second = snapshot(f, "b", retain);
	ok(delete_ref(f, past("b", first.snapshot, 0), STORE_DELETE_PLAIN, retain, NULL));
	ok(delete_ref(f, past("b", second.snapshot, 0), STORE_DELETE_PLAIN, longer, NULL));
	fixture_now += DAY_NS + HOUR_NS;
	ok(undelete(f, "b"));
	assert_false(ref_has_seed(f, past("b", first.snapshot, 0), 100, 1));
	assert_true(ref_has_seed(f, past("b", second.snapshot, 0), 100, 1));
}

static void a_deleted_container_takes_all_past_with_it(void **state)
{
	struct fixture *f = *state;
	struct store_change delete = { .kind = STORE_CONTAINER_DELETE, .ref = ref_of(NULL) };

	ok(put_kept(f, "b", 300000, 1, versions, NULL));
	ok(put_kept(f, "b", 300000, 2, versions, NULL));
	snapshot(f, "b", (struct store_keep){ 0 });
	ok(delete_ref(f, ref_of("b"), STORE_DELETE_WITH_SNAPSHOTS, retain, NULL));
	ok(store_change(f->store, &delete, NULL));
	assert_true(wait_for_number(f, "SELECT count(*) FROM history", 0));
	assert_true(wait_for_number(f, "SELECT count(*) FROM chunks", 0));
	assert_true(wait_for_disk_below(f, 4096));
}

/* What a page gave: name, and a letter for what it is. */
struct seen {
	char text[512];
	size_t count;
};

static bool note(void *context, const char *name, const struct store_blob_info *info)
{
	struct seen *seen = context;
	size_t used = strlen(seen->text);

	snprintf(seen->text + used, sizeof(seen->text) - used, "%s%s%s ", name,
		 !info            ? "/"
		 : info->snapshot ? "s"
		 : info->current  ? "b"
		 : info->version  ? "v"
				  : "",
		 info && info->deleted_ns ? "d" : "");
	seen->count++;
	return true;
}

static void list(struct fixture *f, unsigned int what, size_t max, const char *want)
{
	struct store_ref ref = ref_of(NULL);
	struct seen all = { 0 };
	char *marker = NULL;
	int64_t at = 0;

	for (;;) {
		struct store_list l = {
			.past = what, .max = max, .marker = marker, .marker_at = at, .next_at = &at
		};
		size_t before = all.count;
		char *next;

		ok(store_blob_list(f->store, &ref, &l, note, &all, &next));
		assert_true(all.count - before <= max);
		free(marker);
		marker = next;
		if (!next)
			break;
	}
	assert_string_equal(all.text, want);
}

static void lists_show_the_past_that_is_asked_for(void **state)
{
	struct fixture *f = *state;

	ok(put_kept(f, "a", 10, 1, (struct store_keep){ 0 }, NULL));
	snapshot(f, "a", (struct store_keep){ 0 });
	snapshot(f, "a", (struct store_keep){ 0 });
	ok(put_kept(f, "b", 10, 1, versions, NULL));
	ok(put_kept(f, "b", 10, 2, versions, NULL));
	ok(delete_ref(f, ref_of("b"), STORE_DELETE_PLAIN, versions, NULL));
	ok(put_kept(f, "c", 10, 1, retain, NULL));
	ok(put_kept(f, "c", 10, 1, retain, NULL));
	ok(delete_ref(f, ref_of("c"), STORE_DELETE_PLAIN, retain, NULL));
	for (size_t max = 1; max < 6; max++) {
		list(f, 0, max, "ab ");
		list(f, STORE_LIST_SNAPSHOTS, max, "as as ab ");
		list(f, STORE_LIST_VERSIONS, max, "ab bv bv ");
		list(f, STORE_LIST_DELETED, max, "ab cd ");
		list(f, STORE_LIST_DELETED | STORE_LIST_SNAPSHOTS, max, "as as ab csd cd ");
		list(f, STORE_LIST_DELETED | STORE_LIST_SNAPSHOTS | STORE_LIST_VERSIONS, max,
		     "as as ab bv bv csd cd ");
	}
}

static bool note_length(void *context, const char *name, const struct store_blob_info *info)
{
	(void)name;
	if (info && info->versions_only)
		*(uint64_t *)context = info->length;
	return true;
}

/* The length of the state that stands for a name with versions and no blob; 0: none does. */
static uint64_t root_length(struct fixture *f)
{
	struct store_list l = { .past = STORE_LIST_ROOTS, .max = 9 };
	struct store_ref ref = ref_of(NULL);
	uint64_t length = 0;
	char *next;

	ok(store_blob_list(f->store, &ref, &l, note_length, &length, &next));
	assert_null(next);
	return length;
}

static void lists_do_not_show_what_was_kept_long_enough(void **state)
{
	struct store_keep longer = { .retain_ns = 2 * DAY_NS };
	struct fixture *f = *state;
	struct store_result first, second;

	ok(put_kept(f, "c", 10, 1, retain, NULL));
	ok(put_kept(f, "c", 10, 1, retain, NULL));
	ok(delete_ref(f, ref_of("c"), STORE_DELETE_PLAIN, retain, NULL));
	/* of three versions the newest is kept shorter than the next */
	ok(put_kept(f, "v", 10, 1, versions, NULL));
	ok(put_kept(f, "v", 20, 2, versions, &first));
	ok(put_kept(f, "v", 30, 3, versions, &second));
	ok(delete_ref(f, ref_of("v"), STORE_DELETE_PLAIN, versions, NULL));
	ok(delete_ref(f, past("v", 0, second.version), STORE_DELETE_PLAIN, retain, NULL));
	ok(delete_ref(f, past("v", 0, first.version), STORE_DELETE_PLAIN, longer, NULL));
	list(f, STORE_LIST_DELETED | STORE_LIST_SNAPSHOTS, 9, "csd cd ");
	list(f, STORE_LIST_DELETED | STORE_LIST_VERSIONS, 9, "cd vv vvd vvd ");
	assert_int_equal(root_length(f), 30);
	fixture_now += DAY_NS + HOUR_NS;
	list(f, STORE_LIST_DELETED | STORE_LIST_SNAPSHOTS, 9, "");
	list(f, STORE_LIST_DELETED | STORE_LIST_VERSIONS, 9, "vv vvd ");
	assert_int_equal(root_length(f), 20);
	fixture_now += DAY_NS;
	list(f, STORE_LIST_DELETED | STORE_LIST_VERSIONS, 9, "vv ");
	assert_int_equal(root_length(f), 10);
}

static bool count_container(void *context, const char *name,
			    const struct store_container_info *info)
{
	(void)name;
	(void)info;
	++*(unsigned int *)context;
	return true;
}

static void a_container_kept_long_enough_is_not_listed(void **state)
{
	struct fixture *f = *state;
	struct store_change delete = { .kind = STORE_CONTAINER_DELETE,
				       .ref = ref_of(NULL),
				       .keep = { .container_ns = DAY_NS } };
	struct store_list l = { .past = STORE_LIST_DELETED, .max = 9 };
	char *next;

	ok(store_change(f->store, &delete, NULL));
	for (unsigned int gone = 0; gone < 2; gone++) {
		unsigned int count = 0;

		ok(store_container_list(f->store, "a", &l, count_container, &count, &next));
		assert_null(next);
		assert_int_equal(count, 1 - gone);
		fixture_now += DAY_NS + HOUR_NS;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
		TEST(a_snapshot_shares_the_data_and_outlives_the_blob),
		TEST(a_snapshot_of_a_block_list_keeps_its_blocks),
		TEST(a_reader_keeps_a_deleted_snapshot),
		TEST(snapshots_alone_are_deleted),
		TEST(what_is_replaced_becomes_a_version),
		TEST(a_blob_from_before_versions_gets_one_when_it_is_replaced),
		TEST(a_snapshot_of_a_versioned_blob_makes_a_version),
		TEST(a_deleted_blob_comes_back_with_its_snapshots),
		TEST(what_is_overwritten_is_kept_as_a_deleted_snapshot),
		TEST(what_was_kept_long_enough_is_collected),
		TEST(a_deleted_container_takes_all_past_with_it),
		TEST(lists_show_the_past_that_is_asked_for),
#define TODAY(name) cmocka_unit_test_setup_teardown(name, setup_today, fixture_teardown_clock)
		TODAY(what_was_kept_long_enough_does_not_come_back),
		TODAY(snapshots_kept_long_enough_do_not_come_back),
		TODAY(lists_do_not_show_what_was_kept_long_enough),
		TODAY(a_container_kept_long_enough_is_not_listed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
