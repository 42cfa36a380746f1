/* SPDX-License-Identifier: MIT */
/* The local store: leases, space that comes back, and what --store accepts. */
#include "store_help.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/local/bitmap.h"

static void a_lease_keeps_the_bytes_of_a_replaced_and_deleted_blob(void **state)
{
	static const size_t sizes[] = { 100, 300000 };
	struct fixture *f = *state;
	static unsigned char want[300000], have[300000];
	struct store_read *reads[3];

	fill_bytes(want, sizeof(want), 1);
	for (int i = 0; i < 2; i++) {
		struct store_ref ref = ref_of(i ? "big" : "small");

		ok(put_seed(f->store, ref.blob, sizes[i], 1));
		ok(store_read_open(f->store, &ref, NULL, NULL, &reads[i]));
		ok(put_seed(f->store, ref.blob, sizes[i], 2));
		ok(delete_blob(f->store, ref.blob));
	}
	ok(put_block(f->store, "list", "01", 300000, 1));
	ok(put_block_list(f->store, "list", "u01", NULL));
	ok(store_read_open(f->store,
			   &(struct store_ref){ .account = "a", .container = "c", .blob = "list" },
			   NULL, NULL, &reads[2]));
	ok(delete_blob(f->store, "list"));
	/* the second "big" is collected, the leased ones are not */
	assert_true(wait_for_number(f, "SELECT count(*) FROM chunks", 2));
	for (uint32_t i = 0; i < 20; i++)
		ok(put_seed(f->store, "other", 300000, 100 + i));
	for (int i = 0; i < 3; i++) {
		size_t size = i ? 300000 : 100;

		ok(store_read_at(reads[i], 0, have, size));
		assert_memory_equal(have, want, size);
		store_read_close(reads[i]);
	}
	ok(delete_blob(f->store, "other"));
	assert_true(wait_for_number(f, "SELECT count(*) FROM chunks", 0));
	assert_true(wait_for_number(f, "SELECT count(*) FROM garbage", 0));
	assert_true(wait_for_disk_below(f, 4096));
}

static void an_aborted_upload_leaves_nothing(void **state)
{
	struct fixture *f = *state;
	struct store_upload *upload;
	static unsigned char bytes[3000000];
	struct iovec iov = { bytes, sizeof(bytes) };

	ok(store_upload_begin(f->store, sizeof(bytes), 0, &upload));
	ok(store_upload_write(upload, 0, &iov, 1, 0, NULL, NULL));
	assert_true(disk_used(f) >= sizeof(bytes));
	store_upload_abort(upload);
	assert_true(disk_used(f) < 4096);
	assert_int_equal(query_number(f, "SELECT count(*) FROM chunks"), 0);
}

static void overwriting_again_and_again_does_not_grow(void **state)
{
	struct fixture *f = *state;

	for (uint32_t i = 0; i < 60; i++) {
		ok(put_seed(f->store, "o", 9000000, i));
		/* at most a few wait for the collector at any time */
		assert_true(wait_for_disk_below(f, 4 * 9000000));
	}
	assert_true(has_seed(f->store, "o", 9000000, 59));
	assert_true(wait_for_disk_below(f, 9000000 + 8192));
	assert_int_equal(query_number(f, "SELECT count(*) FROM files WHERE id > 4"), 0);
}

static void freed_space_is_used_again(void **state)
{
	struct fixture *f = *state;
	char name[16];

	for (int round = 0; round < 3; round++) {
		for (uint32_t i = 0; i < 20; i++) {
			snprintf(name, sizeof(name), "r%d", (int)i);
			ok(put_seed(f->store, name, 200000 + i * 4000, i));
		}
		for (uint32_t i = 0; i < 20; i++) {
			snprintf(name, sizeof(name), "r%d", (int)i);
			assert_true(has_seed(f->store, name, 200000 + i * 4000, i));
			if (i % 2 || round == 2)
				ok(delete_blob(f->store, name));
		}
		fixture_reopen(f);
	}
	assert_true(wait_for_number(f, "SELECT count(*) FROM chunks", 0));
	assert_true(wait_for_number(f, "SELECT sum(used) FROM files", 0));
	assert_true(wait_for_disk_below(f, 4096));
}

static void the_database_shrinks_after_deletes(void **state)
{
	struct fixture *f = *state;
	struct store_change delete = { .kind = STORE_CONTAINER_DELETE, .ref = ref_of(NULL) };
	char name[16];

	store_close(f->store);
	f->store = fixture_open(f, ",unsafe-no-sync=on");
	for (uint32_t i = 0; i < 1500; i++) {
		snprintf(name, sizeof(name), "s%d", (int)i);
		ok(put_seed(f->store, name, 16000, i));
	}
	assert_true(query_number(f, "PRAGMA page_count") > 6000);
	ok(store_change(f->store, &delete, NULL));
	assert_true(wait_for_number(f, "SELECT count(*) FROM chunks", 0));
	assert_true(wait_for_number(f, "SELECT count(*) FROM garbage", 0));
	assert_true(wait_for_number(f, "SELECT page_count < 1500 FROM pragma_page_count", 1));
}

static void a_clean_close_leaves_nothing_to_clean(void **state)
{
	struct fixture *f = *state;

	ok(put_seed(f->store, "a", 100000, 1));
	ok(put_seed(f->store, "b", 10000000, 1));
	store_close(f->store);
	assert_int_equal(query_number(f, "SELECT count(*) FROM dirty"), 0);
	f->store = fixture_open(f, "");
}

static void bitmap_finds_the_first_run_that_is_long_enough(void **state)
{
	uint64_t map[4] = { 0 };
	uint32_t at;

	(void)state;
	assert_true(bitmap_find(map, 256, 256, &at));
	assert_int_equal(at, 0);
	assert_false(bitmap_find(map, 256, 257, &at));
	bitmap_set(map, 10, 100);
	assert_true(bitmap_find(map, 256, 10, &at));
	assert_int_equal(at, 0);
	assert_true(bitmap_find(map, 256, 11, &at));
	assert_int_equal(at, 110);
	bitmap_set(map, 191, 2);
	assert_true(bitmap_find(map, 256, 81, &at));
	assert_int_equal(at, 110);
	assert_false(bitmap_find(map, 256, 82, &at));
	bitmap_clear(map, 64, 1);
	assert_true(bitmap_find(map, 256, 1, &at));
	assert_int_equal(at, 0);
	bitmap_set(map, 0, 10);
	assert_true(bitmap_find(map, 256, 1, &at));
	assert_int_equal(at, 64);
	assert_true(bitmap_find(map, 256, 2, &at));
	assert_int_equal(at, 110);
	bitmap_clear(map, 0, 256);
	for (int i = 0; i < 4; i++)
		assert_true(map[i] == 0);
}

static void assert_refused(const char *spec, const char *why)
{
	char error[300] = "";

	assert_null(store_open(spec, error, sizeof(error)));
	if (!strstr(error, why))
		fail_msg("'%s' does not say '%s'", error, why);
	assert_null(strchr(error, '\n'));
}

static void bad_options_get_one_clear_line(void **state)
{
	(void)state;
	assert_refused("tape,path=x", "unknown store 'tape'");
	assert_refused("", "unknown store ''");
	assert_refused("local", "path=DIR is missing");
	assert_refused("local,path=", "path is empty");
	assert_refused("local,path", "needs a value");
	assert_refused("local,path=a,path=b", "twice");
	assert_refused("local,path=a,colour=red", "unknown option 'colour'");
	assert_refused("local,path=a,unsafe-no-sync=maybe", "on or off");
	assert_refused("local,path=/nonexistent/dir/store", "can't make");
	assert_refused("local,path=/dev/null", "can't open /dev/null");
}

static void a_directory_is_for_one_process(void **state)
{
	struct fixture *f = *state;
	char spec[128];

	snprintf(spec, sizeof(spec), "local,path=%s", f->path);
	assert_refused(spec, "in use");
}

static void a_directory_with_something_else_is_left_alone(void **state)
{
	struct fixture f;
	char spec[128], path[128];

	(void)state;
	fixture_directory(&f);
	snprintf(path, sizeof(path), "%s/letter.txt", f.dir);
	close(open(path, O_CREAT | O_WRONLY, 0600));
	snprintf(spec, sizeof(spec), "local,path=%s", f.dir);
	assert_refused(spec, "letter.txt");
	fixture_remove(&f);
}

static void execute(const struct fixture *f, const char *sql)
{
	char path[128];
	sqlite3 *db;

	snprintf(path, sizeof(path), "%s/metadata.db", f->path);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
}

/* The bytes of the file and of its log; the caller frees them. */
static char *file_bytes(const struct fixture *f, const char *name, size_t *length)
{
	char path[128], *bytes;
	struct stat st;
	int fd;

	snprintf(path, sizeof(path), "%s/%s", f->path, name);
	fd = open(path, O_RDONLY);
	*length = 0;
	if (fd < 0)
		return NULL;
	assert_int_equal(fstat(fd, &st), 0);
	bytes = malloc((size_t)st.st_size + 1);
	assert_int_equal(read(fd, bytes, (size_t)st.st_size), st.st_size);
	*length = (size_t)st.st_size;
	close(fd);
	return bytes;
}

/* A later program may keep its journal in another way: that is not for us to change. */
static void a_newer_format_is_left_as_it_is(void **state)
{
	struct fixture *f = *state;
	size_t before_length, after_length;
	char spec[128], *before, *after;

	snprintf(spec, sizeof(spec), "local,path=%s", f->path);
	store_close(f->store);
	execute(f, "PRAGMA journal_mode = DELETE; PRAGMA user_version = 99");
	before = file_bytes(f, "metadata.db", &before_length);
	assert_refused(spec, "format 99");
	after = file_bytes(f, "metadata.db", &after_length);
	assert_int_equal(before_length, after_length);
	assert_memory_equal(before, after, before_length);
	free(before);
	free(after);
	execute(f, OUR_FORMAT);
	f->store = fixture_open(f, "");
}

/* What its last user had not brought from the log to the file stays in the log. */
static void the_log_of_a_newer_format_is_left_as_it_is(void **state)
{
	struct fixture *f = *state;
	size_t before_length, after_length;
	char spec[128], path[128], *before, *after;
	sqlite3 *db;

	snprintf(spec, sizeof(spec), "local,path=%s", f->path);
	snprintf(path, sizeof(path), "%s/metadata.db", f->path);
	store_close(f->store);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	assert_int_equal(sqlite3_exec(db, "PRAGMA user_version = 99", NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
	before = file_bytes(f, "metadata.db-wal", &before_length);
	assert_true(before_length > 0);
	assert_refused(spec, "format 99");
	after = file_bytes(f, "metadata.db-wal", &after_length);
	assert_int_equal(before_length, after_length);
	assert_memory_equal(before, after, before_length);
	free(before);
	free(after);
	execute(f, OUR_FORMAT);
	f->store = fixture_open(f, "");
}

static void another_format_is_refused(void **state)
{
	struct fixture *f = *state;
	char spec[128];

	snprintf(spec, sizeof(spec), "local,path=%s", f->path);
	store_close(f->store);
	execute(f, "PRAGMA user_version = 99");
	assert_refused(spec, "format 99");
	execute(f, "PRAGMA user_version = 1");
	assert_refused(spec, "format 1");
	execute(f, OUR_FORMAT "; PRAGMA application_id = 7");
	assert_refused(spec, "not a blob store's");
	execute(f, "PRAGMA application_id = 1096434259");
	f->store = fixture_open(f, "");
}

/*
 * A small file system of our own, where we may mount one.  Full is full for uploads of
 * both kinds; what was there stays, and deleting makes room again.
 */
static void a_full_disk_is_an_error_and_loses_nothing(void **state)
{
	struct fixture f = { .store = NULL };
	struct store_change create = { .kind = STORE_CONTAINER_CREATE, .ref = ref_of(NULL) };
	enum store_error error = STORE_OK;
	char name[16];
	int count, small;

	(void)state;
	fixture_directory(&f);
	if (mount("none", f.dir, "tmpfs", 0, "size=24m")) {
		print_message("skipped: may not mount a file system\n");
		rmdir(f.dir);
		skip();
	}
	f.store = fixture_open(&f, "");
	ok(store_change(f.store, &create, NULL));
	for (count = 0; !error; count++) {
		snprintf(name, sizeof(name), "b%d", count);
		error = put_seed(f.store, name, 900000, (uint32_t)count);
	}
	assert_int_equal(error, STORE_NO_SPACE);
	assert_true(count > 10);
	assert_false(exists(f.store, name));
	for (small = 0, error = STORE_OK; !error; small++) {
		snprintf(name, sizeof(name), "s%d", small);
		error = put_seed(f.store, name, 10000, (uint32_t)small);
	}
	assert_int_equal(error, STORE_NO_SPACE);
	for (int i = 0; i < count - 1; i++) {
		snprintf(name, sizeof(name), "b%d", i);
		assert_true(has_seed(f.store, name, 900000, (uint32_t)i));
		ok(delete_blob(f.store, name));
	}
	assert_true(wait_for_disk_below(&f, 4096));
	ok(put_seed(f.store, "again", 900000, 1));
	store_close(f.store);
	assert_int_equal(umount(f.dir), 0);
	rmdir(f.dir);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
		T(a_lease_keeps_the_bytes_of_a_replaced_and_deleted_blob),
		T(an_aborted_upload_leaves_nothing),
		T(overwriting_again_and_again_does_not_grow),
		T(freed_space_is_used_again),
		T(the_database_shrinks_after_deletes),
		T(a_clean_close_leaves_nothing_to_clean),
		cmocka_unit_test(bitmap_finds_the_first_run_that_is_long_enough),
		cmocka_unit_test(bad_options_get_one_clear_line),
		T(a_directory_is_for_one_process),
		cmocka_unit_test(a_directory_with_something_else_is_left_alone),
		T(another_format_is_refused),
		T(a_newer_format_is_left_as_it_is),
		T(the_log_of_a_newer_format_is_left_as_it_is),
		cmocka_unit_test(a_full_disk_is_an_error_and_loses_nothing),
	};

	return cmocka_run_group_tests_name("store_space", tests, NULL, NULL);
}
