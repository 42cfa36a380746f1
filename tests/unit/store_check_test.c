/* SPDX-License-Identifier: MIT */
/* check finds what is wrong with a store, and nothing where nothing is; backup copies one. */
#include "store_help.h"

#include <fcntl.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <sys/stat.h>

#include "store/local/check.h"

struct said {
	char text[4096];
	unsigned int notes;
};

static void hear(void *context, bool problem, const char *line)
{
	struct said *said = context;
	size_t have = strlen(said->text);

	said->notes += !problem;
	snprintf(said->text + have, sizeof(said->text) - have, "%s\n", line);
}

static uint64_t check(const char *path, bool data, struct said *said)
{
	struct check_result result;
	char error[400] = "";

	*said = (struct said){ 0 };
	if (!local_check(path, data, hear, said, &result, error, sizeof(error)))
		fail_msg("%s", error);
	return result.problems;
}

static void assert_clean(const char *path)
{
	struct said said;

	if (check(path, true, &said))
		fail_msg("%s", said.text);
}

/* One of everything: small, large, of blocks, uncommitted blocks, overwritten, deleted. */
static void fill(struct fixture *f)
{
	ok(put_seed(f->store, "empty", 0, 1));
	ok(put_seed(f->store, "small", 100, 1));
	ok(put_seed(f->store, "large", 3000000, 2));
	ok(put_seed(f->store, "large", 2000000, 3));
	ok(put_block(f->store, "list", "01", 100000, 4));
	ok(put_block(f->store, "list", "02", 700, 5));
	ok(put_block_list(f->store, "list", "u01 u02 u01", NULL));
	ok(put_block(f->store, "list", "03", 50000, 6));
	ok(put_block(f->store, "list", "03", 60000, 7));
	ok(put_block(f->store, "pending", "01", 100000, 8));
	ok(put_seed(f->store, "gone", 400000, 9));
	ok(delete_blob(f->store, "gone"));
}

static void a_store_that_is_well_has_no_problems(void **state)
{
	struct fixture *f = *state;
	struct said said;

	fill(f);
	store_close(f->store);
	assert_clean(f->path);
	f->store = fixture_open(f, "");
	assert_true(wait_for_number(f, "SELECT count(*) FROM garbage", 0));
	store_close(f->store);
	assert_int_equal(check(f->path, true, &said), 0);
	assert_int_equal(said.notes, 0);
	f->store = fixture_open(f, "");
}

static void alter(const struct fixture *f, const char *sql)
{
	char path[128], *message = NULL;
	sqlite3 *db;

	snprintf(path, sizeof(path), "%s/metadata.db", f->path);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	if (sqlite3_exec(db, sql, NULL, NULL, &message) != SQLITE_OK)
		fail_msg("%s: %s", sql, message);
	sqlite3_close(db);
}

/* Each rule has something that breaks it; "undo" makes the store well again. */
static void each_contradiction_is_found(void **state)
{
	static const struct {
		const char *break_it, *undo, *says;
	} cases[] = {
		{ "UPDATE chunks SET refs = refs + 1", "UPDATE chunks SET refs = refs - 1",
		  "users and counts" },
		{ "UPDATE blobs SET chunk = chunk + 1000 WHERE name = 'large'",
		  "UPDATE blobs SET chunk = chunk - 1000 WHERE name = 'large'", "does not exist" },
		{ "UPDATE contents SET refs = 2", "UPDATE contents SET refs = 1",
		  "content 1 has 1 users and counts 2" },
		{ "UPDATE blobs SET content = 77 WHERE name = 'list'",
		  "UPDATE blobs SET content = 1 WHERE name = 'list'",
		  "content 77 does not exist and has 1 users" },
		{ "UPDATE blobs SET content = 1 WHERE name = 'large'",
		  "UPDATE blobs SET content = 0 WHERE name = 'large'", "has both chunk" },
		{ "UPDATE pieces SET offset = 100001 WHERE offset = 100000",
		  "UPDATE pieces SET offset = 100000 WHERE offset = 100001", "a gap before" },
		{ "UPDATE pieces SET chunk_offset = 1 WHERE offset = 0",
		  "UPDATE pieces SET chunk_offset = 0 WHERE offset = 0", "is not within chunk" },
		{ "UPDATE blobs SET length = 1999999 WHERE name = 'large'",
		  "UPDATE blobs SET length = 2000000 WHERE name = 'large'",
		  "has 1999999 bytes and its chunk 2000000" },
		{ "UPDATE blobs SET crc64 = crc64 + 1 WHERE name = 'small'",
		  "UPDATE blobs SET crc64 = crc64 - 1 WHERE name = 'small'",
		  "has not the checksum" },
		{ "UPDATE blobs SET length = 7 WHERE name = 'list'",
		  "UPDATE blobs SET length = 200700 WHERE name = 'list'", "and its pieces 200700" },
		{ "UPDATE blobs SET length = 7 WHERE name = 'empty'",
		  "UPDATE blobs SET length = 0 WHERE name = 'empty'", "and no data" },
		{ "UPDATE blobs SET container = 9 WHERE name = 'small'",
		  "UPDATE blobs SET container = 1 WHERE name = 'small'", "is in no container" },
		{ "INSERT INTO copies(container, name) VALUES (1, 'nothing')",
		  "DELETE FROM copies WHERE name = 'nothing'", "copy to 1/nothing" },
		{ "UPDATE staged SET container = 9", "UPDATE staged SET container = 1",
		  "are in no container" },
		{ "UPDATE staged SET count = count + 1", "UPDATE staged SET count = count - 1",
		  "blocks and counts" },
		{ "UPDATE blocks SET staged = staged + 50",
		  "UPDATE blocks SET staged = staged - 50", "which does not exist" },
		{ "INSERT INTO garbage(id, kind, what) VALUES (99, 9, 9)",
		  "DELETE FROM garbage WHERE id = 99", "garbage 99 is of kind 9" },
		{ "INSERT INTO containers(id, account, name, deleted, etag, modified, created)"
		  " VALUES (50, 'a', 'x', 1, 1, 1, 1)",
		  "DELETE FROM containers WHERE id = 50", "deleted container 50" },
		{ "UPDATE chunks SET offset = offset + 4096 WHERE length = 2000000",
		  "UPDATE chunks SET offset = offset - 4096 WHERE length = 2000000", NULL },
		{ "UPDATE chunks SET offset = 1073741824 WHERE length = 700",
		  "UPDATE chunks SET offset = (SELECT offset + 102400 FROM chunks"
		  " WHERE length = 100000 ORDER BY id LIMIT 1) WHERE length = 700",
		  "is not within its file" },
		{ "UPDATE files SET used = used + 4096", "UPDATE files SET used = used - 4096",
		  "bytes in use and counts" },
		{ "INSERT INTO sums(chunk, bytes) VALUES (99, x'00')",
		  "DELETE FROM sums WHERE chunk = 99", "checksums of chunk 99" },
		{ "INSERT INTO dirty(id, file, offset, length) VALUES (9, 99, 0, 4096)",
		  "DELETE FROM dirty WHERE id = 9", "space to clean" },
	};
	struct fixture *f = *state;
	struct said said;

	fill(f);
	assert_true(wait_for_number(f, "SELECT count(*) FROM garbage", 0));
	store_close(f->store);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		alter(f, cases[i].break_it);
		if (!check(f->path, true, &said))
			fail_msg("nothing found after: %s", cases[i].break_it);
		if (cases[i].says && !strstr(said.text, cases[i].says))
			fail_msg("no '%s' after: %s\n%s", cases[i].says, cases[i].break_it,
				 said.text);
		alter(f, cases[i].undo);
		if (check(f->path, true, &said))
			fail_msg("still after %s: %s", cases[i].undo, said.text);
	}
	f->store = fixture_open(f, "");
}

static void damaged_data_is_found_and_named(void **state)
{
	struct fixture *f = *state;
	char path[160];
	struct said said;
	int fd;

	ok(put_seed(f->store, "large", 3000000, 2));
	f->damaged = true;
	store_close(f->store);
	snprintf(path, sizeof(path), "%s/extents/00000001", f->path);
	fd = open(path, O_RDWR);
	assert_int_equal(pwrite(fd, "x", 1, 1234567), 1);
	close(fd);
	assert_int_equal(check(f->path, false, &said), 0);
	assert_int_equal(check(f->path, true, &said), 1);
	assert_non_null(strstr(said.text, "extents/00000001 is damaged"));
	assert_non_null(strstr(said.text, "it is part of a/c/large"));
	assert_int_equal(truncate(path, 4096), 0);
	assert_true(check(f->path, false, &said) > 0);
	assert_int_equal(unlink(path), 0);
	assert_true(check(f->path, false, &said) > 0);
	assert_non_null(strstr(said.text, "No such file"));
	/* what is not there can't be opened either, so leave nothing that needs it */
	fd = open(path, O_RDWR | O_CREAT, 0600);
	assert_int_equal(ftruncate(fd, 1 << 30), 0);
	close(fd);
	f->store = fixture_open(f, "");
}

static void a_file_left_by_a_crash_is_only_a_note(void **state)
{
	struct fixture *f = *state;
	char path[160];
	struct said said;

	store_close(f->store);
	snprintf(path, sizeof(path), "%s/extents/00000007", f->path);
	close(open(path, O_WRONLY | O_CREAT, 0600));
	assert_int_equal(check(f->path, true, &said), 0);
	assert_int_equal(said.notes, 1);
	f->store = fixture_open(f, "");
}

static void assert_refuses(const char *path, const char *why)
{
	char error[400] = "";
	struct check_result result;
	struct said said = { 0 };

	assert_false(local_check(path, false, hear, &said, &result, error, sizeof(error)));
	if (!strstr(error, why))
		fail_msg("'%s' does not say '%s'", error, why);
}

static void what_is_no_store_or_in_use_is_refused(void **state)
{
	struct fixture *f = *state;

	assert_refuses("/nonexistent", "No such file");
	assert_refuses(f->dir, "there is no store");
	assert_refuses(f->path, "in use");
	store_close(f->store);
	alter(f, "PRAGMA user_version = 99");
	assert_refuses(f->path, "format 99");
	alter(f, OUR_FORMAT);
	f->store = fixture_open(f, "");
}

static struct check_result back_up(const struct fixture *f, const char *to)
{
	struct check_result result;
	struct said said = { 0 };
	char error[400] = "";

	if (!local_backup(f->path, to, hear, &said, &result, error, sizeof(error)))
		fail_msg("%s", error);
	return result;
}

static void a_backup_is_a_store(void **state)
{
	struct fixture *f = *state;
	struct fixture copy = *f;
	struct check_result result;

	fill(f);
	snprintf(copy.path, sizeof(copy.path), "%s/copy", f->dir);
	/* of a store in use, and of one that is not */
	for (int i = 0; i < 2; i++) {
		if (i)
			store_close(f->store);
		result = back_up(f, copy.path);
		assert_int_equal(result.problems, 0);
		assert_int_equal(result.blobs, 4);
		assert_clean(copy.path);
		copy.store = fixture_open(&copy, "");
		assert_true(has_seed(copy.store, "small", 100, 1));
		assert_true(has_seed(copy.store, "large", 2000000, 3));
		assert_false(exists(copy.store, "gone"));
		ok(put_block_list(copy.store, "pending", "u01", NULL));
		assert_true(has_seed(copy.store, "pending", 100000, 8));
		ok(put_seed(copy.store, "more", 2000000, 3));
		store_close(copy.store);
		assert_clean(copy.path);
		snprintf(copy.path, sizeof(copy.path), "%s/copy2", f->dir);
	}
	f->store = fixture_open(f, "");
}

static void a_backup_goes_nowhere_but_into_an_empty_directory(void **state)
{
	struct fixture *f = *state;
	struct check_result result;
	struct said said = { 0 };
	char error[400] = "", to[160];

	snprintf(to, sizeof(to), "%s/copy", f->dir);
	back_up(f, to);
	assert_false(local_backup(f->path, to, hear, &said, &result, error, sizeof(error)));
	assert_non_null(strstr(error, "something in it already"));
	assert_false(local_backup(f->path, f->path, hear, &said, &result, error, sizeof(error)));
	assert_clean(to);
	assert_false(local_backup(f->dir, to, hear, &said, &result, error, sizeof(error)));
	assert_non_null(strstr(error, "no store"));
	assert_false(local_backup(f->path, "/nonexistent/a", hear, &said, &result, error,
				  sizeof(error)));
}

struct busy {
	struct fixture *f;
	atomic_bool stop;
	atomic_uint round;
};

/* Overwrites blobs for as long as the backup takes; "i" and "j" always hold the same. */
static void *keep_busy(void *context)
{
	struct busy *busy = context;

	for (uint32_t seed = 1; !busy->stop; seed++) {
		ok(put_seed(busy->f->store, "i", 200000, seed));
		ok(put_seed(busy->f->store, "j", 200000, seed));
		ok(put_seed(busy->f->store, "k", 900000, seed));
		busy->round = seed;
	}
	return NULL;
}

static bool has_any_seed(struct store *store, const char *name, size_t length, uint32_t *seed,
			 uint32_t last)
{
	for (*seed = 1; *seed <= last; ++*seed)
		if (has_seed(store, name, length, *seed))
			return true;
	return false;
}

static void a_backup_under_load_is_the_store_at_one_moment(void **state)
{
	struct fixture *f = *state;
	struct fixture copy = *f;
	struct busy busy = { .f = f };
	pthread_t thread;
	uint32_t i, j, k;

	assert_int_equal(pthread_create(&thread, NULL, keep_busy, &busy), 0);
	for (int round = 0; round < 6; round++) {
		uint32_t from = busy.round + 2;

		while (busy.round < from)
			usleep(1000);
		snprintf(copy.path, sizeof(copy.path), "%s/copy%d", f->dir, round);
		assert_int_equal(back_up(f, copy.path).problems, 0);
	}
	busy.stop = true;
	pthread_join(thread, NULL);
	for (int round = 0; round < 6; round++) {
		snprintf(copy.path, sizeof(copy.path), "%s/copy%d", f->dir, round);
		assert_clean(copy.path);
		copy.store = fixture_open(&copy, "");
		assert_true(has_any_seed(copy.store, "i", 200000, &i, busy.round + 1));
		assert_true(has_any_seed(copy.store, "j", 200000, &j, busy.round + 1));
		assert_true(has_any_seed(copy.store, "k", 900000, &k, busy.round + 1));
		/* written in this order, so a moment shows them in it */
		assert_true(i == j || i == j + 1);
		assert_true(j == k || j == k + 1);
		store_close(copy.store);
	}
	/* and then space comes back again */
	assert_true(wait_for_number(f, "SELECT count(*) FROM chunks", 3));
	store_close(f->store);
	assert_clean(f->path);
	f->store = fixture_open(f, "");
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
		T(a_store_that_is_well_has_no_problems),
		T(each_contradiction_is_found),
		T(damaged_data_is_found_and_named),
		T(a_file_left_by_a_crash_is_only_a_note),
		T(what_is_no_store_or_in_use_is_refused),
		T(a_backup_is_a_store),
		T(a_backup_goes_nowhere_but_into_an_empty_directory),
		T(a_backup_under_load_is_the_store_at_one_moment),
	};

	return cmocka_run_group_tests_name("store_check", tests, NULL, NULL);
}
