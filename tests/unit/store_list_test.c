/* SPDX-License-Identifier: MIT */
/* The local store: lists in pages. */
#include "store_help.h"

#include <sqlite3.h>
#include <stdatomic.h>

struct page {
	char text[4096];
	size_t room; /* items until "does not fit" */
};

static bool note_blob(void *context, const char *name, const struct store_blob_info *info)
{
	struct page *page = context;

	if (!page->room)
		return false;
	page->room--;
	if (info)
		assert_true(info->etag);
	snprintf(page->text + strlen(page->text), sizeof(page->text) - strlen(page->text), "%s%s ",
		 name, info ? "" : "*");
	return true;
}

static bool note_container(void *context, const char *name, const struct store_container_info *info)
{
	return note_blob(context, name,
			 info ? &(struct store_blob_info){ .etag = info->etag } : NULL);
}

/* All pages of a list, the pages' ends shown as "| ". */
static void list_all(struct store *store, const char *prefix, const char *delimiter, size_t max,
		     size_t room, char *text)
{
	struct store_ref ref = ref_of(NULL);
	struct store_list list = { .prefix = prefix, .delimiter = delimiter, .max = max };
	char *marker = NULL, *next;
	size_t used = 0;

	do {
		struct page page = { .room = room };

		list.marker = marker;
		ok(store_blob_list(store, &ref, &list, note_blob, &page, &next));
		free(marker);
		marker = next;
		used += (size_t)snprintf(text + used, sizeof(page.text) - used, "%s%s", page.text,
					 marker ? "| " : "");
	} while (marker);
}

static void put_names(struct store *store, const char *names)
{
	char copy[200], *save = NULL;

	snprintf(copy, sizeof(copy), "%s", names);
	for (char *name = strtok_r(copy, " ", &save); name; name = strtok_r(NULL, " ", &save))
		ok(put_seed(store, name, 1, 1));
}

static void names_come_in_the_order_of_their_bytes(void **state)
{
	struct fixture *f = *state;
	char text[4096];

	put_names(f->store, "b a B \xc3\xa4 z ab a/ \xf0\x9f\x98\x80 \xef\xbf\xbd");
	list_all(f->store, NULL, NULL, 5000, 5000, text);
	assert_string_equal(text, "B a a/ ab b z \xc3\xa4 \xef\xbf\xbd \xf0\x9f\x98\x80 ");
	list_all(f->store, "a", NULL, 5000, 5000, text);
	assert_string_equal(text, "a a/ ab ");
	list_all(f->store, "q", "", 5000, 5000, text);
	assert_string_equal(text, "");
}

static void pages_of_every_size_join_to_the_whole(void **state)
{
	struct fixture *f = *state;
	char text[4096];

	put_names(f->store, "a d/1 d/2 d/3 e f/x/1 f/x/2 f/y g");
	list_all(f->store, "", "/", 1, 5000, text);
	assert_string_equal(text, "a | d/* | e | f/* | g ");
	list_all(f->store, "", "/", 2, 5000, text);
	assert_string_equal(text, "a d/* | e f/* | g ");
	list_all(f->store, "", "/", 5, 5000, text);
	assert_string_equal(text, "a d/* e f/* g ");
	list_all(f->store, "f/", "/", 1, 5000, text);
	assert_string_equal(text, "f/x/* | f/y ");
	list_all(f->store, "", "/x/", 9, 5000, text);
	assert_string_equal(text, "a d/1 d/2 d/3 e f/x/* f/y g ");
	list_all(f->store, "d/", NULL, 2, 5000, text);
	assert_string_equal(text, "d/1 d/2 | d/3 ");
}

static void a_page_ends_early_where_the_caller_has_no_room(void **state)
{
	struct fixture *f = *state;
	char text[4096];

	put_names(f->store, "a d/1 d/2 e f/x g");
	list_all(f->store, "", "/", 5000, 2, text);
	assert_string_equal(text, "a d/* | e f/* | g ");
	list_all(f->store, "", NULL, 5000, 4, text);
	assert_string_equal(text, "a d/1 d/2 e | f/x g ");
}

static void containers_are_listed_by_prefix_and_marker(void **state)
{
	static const char *const names[] = { "aa", "ab", "b" };
	struct fixture *f = *state;
	struct store_list list = { .prefix = "a", .max = 1 };
	struct page page = { .room = 9 };
	char *next, *last;

	for (size_t i = 0; i < 3; i++) {
		struct store_change create = { .kind = STORE_CONTAINER_CREATE,
					       .ref = { .account = "a", .container = names[i] } };

		ok(store_change(f->store, &create, NULL));
	}
	ok(store_container_list(f->store, "a", &list, note_container, &page, &next));
	assert_string_equal(next, "ab");
	list.marker = next;
	ok(store_container_list(f->store, "a", &list, note_container, &page, &last));
	assert_null(last);
	assert_string_equal(page.text, "aa ab ");
	free(next);
}

static void a_list_of_a_missing_container_says_so(void **state)
{
	struct fixture *f = *state;
	struct store_ref ref = { .account = "a", .container = "none" };
	struct store_list list = { .max = 1 };
	char *next;

	assert_int_equal(store_blob_list(f->store, &ref, &list, note_blob, NULL, &next),
			 STORE_CONTAINER_NOT_FOUND);
}

/* Puts rows straight into the table: 10 folders of many names, between two names. */
static void add_many(const struct fixture *f, int per_folder)
{
	char path[128], sql[512];
	sqlite3 *db;

	snprintf(path, sizeof(path), "%s/metadata.db", f->path);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	snprintf(sql, sizeof(sql),
		 "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < %d)"
		 " INSERT OR IGNORE INTO blobs(container, name, type, length, etag, modified, "
		 "created, chunk,"
		 " content, blocks)"
		 " SELECT 1, printf('f%%d/%%07d', i %% 10, i), 1, 0, 1, 1, 1, 0, 0, 0 FROM n",
		 per_folder * 10 - 1);
	assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
}

static atomic_int steps;

static int count_step(void *context)
{
	(void)context;
	steps++;
	return 0;
}

/* Called for every connection that is opened. */
static int count_on(sqlite3 *db, char **error, const void *api)
{
	(void)error;
	(void)api;
	sqlite3_progress_handler(db, 1, count_step, NULL);
	return SQLITE_OK;
}

/*
 * Not a time but SQLite's own count of instructions: for a page under a delimiter it
 * must not grow with the number of names below the prefixes.
 */
static void a_page_under_a_delimiter_does_not_scan_what_is_below(void **state)
{
	struct fixture *f = *state;
	static const char want[] = "a f0/* f1/* f2/* f3/* f4/* f5/* f6/* f7/* f8/* f9/* z ";
	int took[2];
	char text[4096];

	put_names(f->store, "a z");
	sqlite3_auto_extension((void (*)(void))count_on);
	for (int round = 0; round < 2; round++) {
		store_close(f->store);
		add_many(f, round ? 20000 : 100);
		f->store = fixture_open(f, "");
		/* the connection is open and the statements are ready */
		list_all(f->store, "", "/", 5000, 5000, text);
		/* so is the collector, which looks around once at the start */
		assert_true(wait_for_number(f, "SELECT count(*) FROM garbage", 0));
		steps = 0;
		for (int i = 0; i < 20; i++)
			list_all(f->store, "", "/", 5000, 5000, text);
		took[round] = steps;
		assert_string_equal(text, want);
	}
	sqlite3_cancel_auto_extension((void (*)(void))count_on);
	assert_true(took[0] > 0);
	assert_true(took[1] < took[0] * 2);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
		T(names_come_in_the_order_of_their_bytes),
		T(pages_of_every_size_join_to_the_whole),
		T(a_page_ends_early_where_the_caller_has_no_room),
		T(containers_are_listed_by_prefix_and_marker),
		T(a_list_of_a_missing_container_says_so),
		T(a_page_under_a_delimiter_does_not_scan_what_is_below),
	};

	return cmocka_run_group_tests_name("store_list", tests, NULL, NULL);
}
