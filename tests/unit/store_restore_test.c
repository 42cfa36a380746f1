/* SPDX-License-Identifier: MIT */
/* Deleted containers are kept, restored, and given up when their time is over. */
#include "store_help.h"

#define DAY (24 * 3600 * SECOND)

static void delete_container(struct store *store, int64_t keep)
{
	struct store_change change = { .kind = STORE_CONTAINER_DELETE,
				       .ref = ref_of(NULL),
				       .keep = { .container_ns = keep } };

	ok(store_change(store, &change, NULL));
}

static enum store_error restore(struct store *store, uint64_t version)
{
	struct store_change change = { .kind = STORE_CONTAINER_RESTORE,
				       .ref = ref_of(NULL),
				       .source = ref_of(NULL),
				       .container_version = version };

	return store_change(store, &change, NULL);
}

static uint64_t version_of(const struct fixture *f)
{
	return (uint64_t)query_number(f, "SELECT id FROM containers WHERE deleted = 2");
}

static void a_container_is_restored_after_a_restart(void **state)
{
	struct fixture *f = *state;

	ok(put_seed(f->store, "b", 100000, 1));
	delete_container(f->store, DAY);
	fixture_reopen(f);
	fixture_now += DAY - 1;
	ok(restore(f->store, version_of(f)));
	assert_true(has_seed(f->store, "b", 100000, 1));
	assert_int_equal(query_number(f, "SELECT count(*) FROM garbage"), 0);
}

static void after_its_time_it_is_gone(void **state)
{
	struct fixture *f = *state;
	uint64_t version;

	ok(put_seed(f->store, "b", 100000, 1));
	delete_container(f->store, DAY);
	version = version_of(f);
	fixture_now += DAY;
	assert_int_equal(restore(f->store, version), STORE_CONTAINER_NOT_FOUND);
	/* the collector looks when the store opens */
	fixture_reopen(f);
	assert_true(wait_for_number(f, "SELECT count(*) FROM containers", 0));
	assert_true(wait_for_number(f, "SELECT count(*) FROM chunks", 0));
}

int main(void)
{
#define TEST(name) \
	cmocka_unit_test_setup_teardown(name, fixture_setup_clock, fixture_teardown_clock)
	const struct CMUnitTest tests[] = {
		TEST(a_container_is_restored_after_a_restart),
		TEST(after_its_time_it_is_gone),
	};

	return cmocka_run_group_tests_name("store_restore", tests, NULL, NULL);
}
