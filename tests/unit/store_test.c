/* SPDX-License-Identifier: MIT */
/* The local store: containers, whole blobs, properties, conditions, kept answers. */
#include "store_help.h"

#include "base/crc64.h"

static enum store_error container(struct store *store, enum store_change_kind kind,
				  const char *name)
{
	struct store_change change = { .kind = kind, .ref = { .account = "a", .container = name } };

	return store_change(store, &change, NULL);
}

static void container_create_delete_and_create_again(void **state)
{
	struct fixture *f = *state;
	struct store_ref ref = { .account = "a", .container = "new" };
	struct store_container_info info;

	assert_int_equal(store_container_stat(f->store, &ref, &info), STORE_CONTAINER_NOT_FOUND);
	ok(container(f->store, STORE_CONTAINER_CREATE, "new"));
	assert_int_equal(container(f->store, STORE_CONTAINER_CREATE, "new"),
			 STORE_CONTAINER_EXISTS);
	ok(store_container_stat(f->store, &ref, &info));
	assert_true(info.etag && info.modified_ns > 0);
	store_container_info_clear(&info);
	ok(container(f->store, STORE_CONTAINER_DELETE, "new"));
	assert_int_equal(container(f->store, STORE_CONTAINER_DELETE, "new"),
			 STORE_CONTAINER_NOT_FOUND);
	ok(container(f->store, STORE_CONTAINER_CREATE, "new"));
}

static void containers_of_two_accounts_are_apart(void **state)
{
	struct fixture *f = *state;
	struct store_ref other = { .account = "b", .container = "c" };
	struct store_container_info info;

	assert_int_equal(store_container_stat(f->store, &other, &info), STORE_CONTAINER_NOT_FOUND);
}

static void blobs_of_a_deleted_container_do_not_come_back(void **state)
{
	struct fixture *f = *state;

	ok(put_seed(f->store, "small", 100, 1));
	ok(put_seed(f->store, "big", 100000, 2));
	ok(put_block(f->store, "staged", "01", 5000, 3));
	ok(container(f->store, STORE_CONTAINER_DELETE, "c"));
	assert_int_equal(put_seed(f->store, "small", 100, 1), STORE_CONTAINER_NOT_FOUND);
	ok(container(f->store, STORE_CONTAINER_CREATE, "c"));
	assert_false(exists(f->store, "small"));
	assert_true(wait_for_number(f, "SELECT count(*) FROM chunks", 0));
	assert_true(wait_for_number(f, "SELECT count(*) FROM containers", 1));
	assert_true(wait_for_number(f, "SELECT count(*) FROM staged", 0));
	assert_true(wait_for_disk_below(f, 4096));
}

static void put_and_get_at_sizes_around_every_border(void **state)
{
	static const size_t sizes[] = { 0,     1,      4095,   4096,    4097,    16383,  16384,
					16385, 131071, 131072, 1 << 20, 3000001, 9000000 };
	struct fixture *f = *state;
	char name[16];

	for (int round = 0; round < 2; round++) {
		for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
			snprintf(name, sizeof(name), "b%zu", sizes[i]);
			if (!round)
				ok(put_seed(f->store, name, sizes[i], (uint32_t)i));
			assert_true(has_seed(f->store, name, sizes[i], (uint32_t)i));
		}
		fixture_reopen(f);
	}
}

static void ranges_read_what_the_whole_has(void **state)
{
	struct fixture *f = *state;
	struct store_ref ref = ref_of("r");
	static unsigned char want[300000], have[300000];
	struct store_read *read;

	fill_bytes(want, sizeof(want), 7);
	ok(put_seed(f->store, "r", sizeof(want), 7));
	ok(store_read_open(f->store, &ref, NULL, NULL, &read));
	for (size_t at = 0; at < sizeof(want); at += 33333) {
		size_t length = sizeof(want) - at < 70000 ? sizeof(want) - at : 70000;

		ok(store_read_at(read, at, have, length));
		assert_memory_equal(have, want + at, length);
	}
	assert_int_equal(store_read_at(read, sizeof(want) - 1, have, 2), STORE_OUT_OF_RANGE);
	assert_int_equal(store_read_at(read, sizeof(want) + 1, have, 1), STORE_OUT_OF_RANGE);
	ok(store_read_at(read, sizeof(want), have, 0));
	store_read_close(read);
}

static void info_tells_everything_that_was_put(void **state)
{
	static const char meta[] = "Name\0value\0empty\0\0last\0x";
	struct fixture *f = *state;
	struct store_headers headers = { .content_type = "text/plain; charset=utf-8",
					 .content_encoding = "gzip",
					 .content_disposition = "",
					 .cache_control = "no-cache",
					 .has_md5 = true };
	struct iovec iov = { .iov_base = "123456789", .iov_len = 9 };
	struct store_change put = { .kind = STORE_PUT_BLOB,
				    .ref = ref_of("i"),
				    .headers = &headers,
				    .meta = { meta, sizeof(meta) } };
	struct store_blob_info info;
	struct store_result result;
	const char *name, *value;
	size_t at = 0;

	fill_bytes(headers.md5, 16, 5);
	ok(store_upload_begin(f->store, 9, 0, &put.upload));
	ok(store_upload_write(put.upload, 0, &iov, 1, 0, NULL, NULL));
	ok(store_change(f->store, &put, &result));
	assert_true(result.created);
	assert_true(result.crc64 == UINT64_C(0xae8b14860a799888));
	fixture_reopen(f);
	ok(store_blob_stat(f->store, &put.ref, NULL, &info));
	assert_int_equal(info.type, STORE_BLOCK_BLOB);
	assert_int_equal(info.length, 9);
	assert_true(info.etag == result.etag && info.modified_ns == result.modified_ns);
	assert_true(info.created_ns == result.modified_ns);
	assert_true(info.has_crc64 && info.crc64 == result.crc64);
	assert_string_equal(info.headers.content_type, "text/plain; charset=utf-8");
	assert_string_equal(info.headers.content_encoding, "gzip");
	assert_null(info.headers.content_language);
	assert_string_equal(info.headers.content_disposition, "");
	assert_string_equal(info.headers.cache_control, "no-cache");
	assert_true(info.headers.has_md5);
	assert_memory_equal(info.headers.md5, headers.md5, 16);
	assert_true(store_meta_next(&info.meta, &at, &name, &value));
	assert_string_equal(name, "Name");
	assert_string_equal(value, "value");
	assert_true(store_meta_next(&info.meta, &at, &name, &value));
	assert_string_equal(name, "empty");
	assert_string_equal(value, "");
	assert_true(store_meta_next(&info.meta, &at, &name, &value));
	assert_string_equal(value, "x");
	assert_false(store_meta_next(&info.meta, &at, &name, &value));
	store_blob_info_clear(&info);
}

static void update_replaces_only_what_is_named(void **state)
{
	static const char meta[] = "k\0v";
	struct fixture *f = *state;
	struct store_headers headers = { .content_type = "a/b" };
	struct store_change set = { .kind = STORE_BLOB_UPDATE,
				    .ref = ref_of("u"),
				    .set = STORE_SET_HEADERS,
				    .headers = &headers };
	struct store_blob_info before, info;

	assert_int_equal(store_change(f->store, &set, NULL), STORE_BLOB_NOT_FOUND);
	ok(put_seed(f->store, "u", 50000, 1));
	ok(store_blob_stat(f->store, &set.ref, NULL, &before));
	ok(store_change(f->store, &set, NULL));
	set.set = STORE_SET_META;
	set.headers = NULL;
	set.meta = (struct store_meta){ meta, sizeof(meta) };
	ok(store_change(f->store, &set, NULL));
	ok(store_blob_stat(f->store, &set.ref, NULL, &info));
	assert_string_equal(info.headers.content_type, "a/b");
	assert_int_equal(info.meta.length, sizeof(meta));
	assert_true(info.etag != before.etag && info.modified_ns > before.modified_ns);
	assert_true(info.created_ns == before.created_ns);
	assert_true(has_seed(f->store, "u", 50000, 1));
	store_blob_info_clear(&before);
	store_blob_info_clear(&info);
}

static void etags_and_times_grow_strictly_also_after_a_reopen(void **state)
{
	struct fixture *f = *state;
	struct store_result last = { 0 }, now;

	for (int i = 0; i < 200; i++) {
		ok(put_bytes(f->store, "e", "x", 1, NULL, &now));
		assert_true(now.etag > last.etag && now.modified_ns > last.modified_ns);
		last = now;
		if (i % 50 == 49)
			fixture_reopen(f);
	}
}

static void conditions_are_decided_by_the_table(void **state)
{
	static const uint64_t five[] = { 5 }, six[] = { 6 }, any[] = { STORE_ETAG_ANY },
			      invalid[] = { STORE_ETAG_INVALID }, two[] = { 6, 5 };
	/* the blob has ETag 5 and was modified at 100.5 s */
	const struct {
		struct store_conditions c;
		enum store_error missing, read, write;
	} table[] = {
		{ { 0 }, STORE_OK, STORE_OK, STORE_OK },
		{ { .if_match = five, .if_match_count = 1 },
		  STORE_CONDITION_NOT_MET,
		  STORE_OK,
		  STORE_OK },
		{ { .if_match = six, .if_match_count = 1 },
		  STORE_CONDITION_NOT_MET,
		  STORE_CONDITION_NOT_MET,
		  STORE_CONDITION_NOT_MET },
		{ { .if_match = two, .if_match_count = 2 },
		  STORE_CONDITION_NOT_MET,
		  STORE_OK,
		  STORE_OK },
		{ { .if_match = any, .if_match_count = 1 },
		  STORE_CONDITION_NOT_MET,
		  STORE_OK,
		  STORE_OK },
		{ { .if_match = invalid, .if_match_count = 1 },
		  STORE_CONDITION_NOT_MET,
		  STORE_CONDITION_NOT_MET,
		  STORE_CONDITION_NOT_MET },
		{ { .if_none_match = five, .if_none_match_count = 1 },
		  STORE_OK,
		  STORE_NOT_MODIFIED,
		  STORE_CONDITION_NOT_MET },
		{ { .if_none_match = six, .if_none_match_count = 1 },
		  STORE_OK,
		  STORE_OK,
		  STORE_OK },
		{ { .if_none_match = any, .if_none_match_count = 1 },
		  STORE_OK,
		  STORE_NOT_MODIFIED,
		  STORE_BLOB_EXISTS },
		{ { .if_none_match = invalid, .if_none_match_count = 1 },
		  STORE_OK,
		  STORE_OK,
		  STORE_OK },
		{ { .has_if_modified_since = true, .if_modified_since = 99 },
		  STORE_OK,
		  STORE_OK,
		  STORE_OK },
		{ { .has_if_modified_since = true, .if_modified_since = 100 },
		  STORE_OK,
		  STORE_NOT_MODIFIED,
		  STORE_CONDITION_NOT_MET },
		{ { .has_if_unmodified_since = true, .if_unmodified_since = 100 },
		  STORE_OK,
		  STORE_OK,
		  STORE_OK },
		{ { .has_if_unmodified_since = true, .if_unmodified_since = 99 },
		  STORE_OK,
		  STORE_CONDITION_NOT_MET,
		  STORE_CONDITION_NOT_MET },
		/* an ETag condition makes the date of the same sense not count */
		{ { .if_match = five,
		    .if_match_count = 1,
		    .has_if_unmodified_since = true,
		    .if_unmodified_since = 1 },
		  STORE_CONDITION_NOT_MET,
		  STORE_OK,
		  STORE_OK },
		{ { .if_none_match = six,
		    .if_none_match_count = 1,
		    .has_if_modified_since = true,
		    .if_modified_since = 200 },
		  STORE_OK,
		  STORE_OK,
		  STORE_OK },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		assert_int_equal(store_conditions_check(&table[i].c, STORE_WRITE, false, 0, 0),
				 table[i].missing);
		assert_int_equal(store_conditions_check(&table[i].c, STORE_READ, true, 5,
							INT64_C(100500000000)),
				 table[i].read);
		assert_int_equal(store_conditions_check(&table[i].c, STORE_WRITE, true, 5,
							INT64_C(100500000000)),
				 table[i].write);
	}
	ok(store_conditions_check(NULL, STORE_WRITE, false, 0, 0));
}

static void a_failed_condition_changes_nothing(void **state)
{
	static const uint64_t any[] = { STORE_ETAG_ANY };
	struct fixture *f = *state;
	struct store_conditions none = { .if_none_match = any, .if_none_match_count = 1 };
	struct store_conditions match = { .if_match = any, .if_match_count = 1 };
	struct store_change delete = { .kind = STORE_BLOB_DELETE,
				       .ref = ref_of("x"),
				       .conditions = &none };
	struct store_result first;

	assert_int_equal(put_bytes(f->store, "x", "1", 1, &match, NULL), STORE_CONDITION_NOT_MET);
	assert_false(exists(f->store, "x"));
	ok(put_bytes(f->store, "x", "1", 1, &none, &first));
	assert_int_equal(put_bytes(f->store, "x", "2", 1, &none, NULL), STORE_BLOB_EXISTS);
	assert_int_equal(store_change(f->store, &delete, NULL), STORE_CONDITION_NOT_MET);
	match.if_match = &first.etag;
	ok(put_bytes(f->store, "x", "3", 1, &match, NULL));
	assert_int_equal(put_bytes(f->store, "x", "4", 1, &match, NULL), STORE_CONDITION_NOT_MET);
	delete.conditions = NULL;
	ok(store_change(f->store, &delete, NULL));
	assert_int_equal(store_change(f->store, &delete, NULL), STORE_BLOB_NOT_FOUND);
}

static void a_read_that_is_not_modified_still_tells_the_etag(void **state)
{
	struct fixture *f = *state;
	struct store_ref ref = ref_of("n");
	struct store_blob_info info;
	struct store_read *read;
	struct store_result put;
	struct store_conditions c = { .if_none_match = &put.etag, .if_none_match_count = 1 };

	ok(put_bytes(f->store, "n", "1", 1, NULL, &put));
	assert_int_equal(store_read_open(f->store, &ref, &c, &info, &read), STORE_NOT_MODIFIED);
	assert_true(info.etag == put.etag);
	store_blob_info_clear(&info);
}

static size_t render(void *context, const struct store_result *result, void *bytes, size_t room)
{
	(void)room;
	memcpy(bytes, &result->etag, 8);
	memcpy((char *)bytes + 8, context, strlen(context));
	return 8 + strlen(context);
}

static void a_kept_answer_lives_and_dies_with_its_change(void **state)
{
	struct fixture *f = *state;
	struct store_effect effect = {
		.session = "0123456789abcde", .request = 42, .render = render, .context = "hello"
	};
	struct store_change create = { .kind = STORE_CONTAINER_CREATE,
				       .ref = { .account = "a", .container = "k" },
				       .effect = &effect };
	struct store_result result;
	size_t length;
	void *bytes;

	ok(store_effect_lookup(f->store, effect.session, 42, &bytes, &length));
	assert_null(bytes);
	ok(store_change(f->store, &create, &result));
	fixture_reopen(f);
	ok(store_effect_lookup(f->store, effect.session, 42, &bytes, &length));
	assert_int_equal(length, 13);
	assert_memory_equal(bytes, &result.etag, 8);
	assert_memory_equal((char *)bytes + 8, "hello", 5);
	free(bytes);
	/* a change that fails keeps nothing */
	effect.request = 43;
	assert_int_equal(store_change(f->store, &create, NULL), STORE_CONTAINER_EXISTS);
	ok(store_effect_lookup(f->store, effect.session, 43, &bytes, &length));
	assert_null(bytes);
	store_effect_forget(f->store, effect.session, 42);
	assert_true(wait_for_number(f, "SELECT count(*) FROM effects", 0));
	/* a whole session */
	for (effect.request = 1; effect.request < 20; effect.request++) {
		char name[8];

		snprintf(name, sizeof(name), "k%d", (int)effect.request);
		create.ref.container = name;
		effect.session[0] = (uint8_t)(effect.request % 2);
		ok(store_change(f->store, &create, NULL));
	}
	effect.session[0] = 1;
	store_effect_forget_session(f->store, effect.session);
	assert_true(wait_for_number(f, "SELECT count(*) FROM effects", 9));
}

static size_t render_too_much(void *context, const struct store_result *result, void *bytes,
			      size_t room)
{
	(void)context;
	(void)result;
	(void)bytes;
	return room + 1;
}

static void an_answer_that_does_not_fit_undoes_the_change(void **state)
{
	struct fixture *f = *state;
	struct store_effect effect = { .request = 1, .render = render_too_much };
	struct store_change create = { .kind = STORE_CONTAINER_CREATE,
				       .ref = { .account = "a", .container = "k" },
				       .effect = &effect };
	struct store_container_info info;

	assert_int_equal(store_change(f->store, &create, NULL), STORE_NO_MEMORY);
	assert_int_equal(store_container_stat(f->store, &create.ref, &info),
			 STORE_CONTAINER_NOT_FOUND);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
		T(container_create_delete_and_create_again),
		T(containers_of_two_accounts_are_apart),
		T(blobs_of_a_deleted_container_do_not_come_back),
		T(put_and_get_at_sizes_around_every_border),
		T(ranges_read_what_the_whole_has),
		T(info_tells_everything_that_was_put),
		T(update_replaces_only_what_is_named),
		T(etags_and_times_grow_strictly_also_after_a_reopen),
		cmocka_unit_test(conditions_are_decided_by_the_table),
		T(a_failed_condition_changes_nothing),
		T(a_read_that_is_not_modified_still_tells_the_etag),
		T(a_kept_answer_lives_and_dies_with_its_change),
		T(an_answer_that_does_not_fit_undoes_the_change),
	};

	return cmocka_run_group_tests_name("store", tests, NULL, NULL);
}
