/* SPDX-License-Identifier: MIT */
/*
 * The local store on a disk that fills up at any moment: in the middle of a blob, of a commit, of a
 * checkpoint.  What does not fit is an error and leaves nothing; what was there stays; and when
 * there is room again all goes on.
 */
#include "store_help.h"

#include "powercut.h"
#include "store/local/check.h"

#define NAMES 12
#define ROUNDS 150

static size_t length_of(uint32_t seed)
{
	static const size_t lengths[] = { 10, 5000, 16384, 16385, 70000, 300000, 1500000 };

	return lengths[seed % 7];
}

static void hear(void *context, bool problem, const char *line)
{
	(void)context;
	if (problem)
		print_error("%s\n", line);
}

static void assert_consistent(const struct fixture *f)
{
	struct check_result result;
	char error[400] = "";

	if (!local_check(f->path, true, hear, NULL, &result, error, sizeof(error)))
		fail_msg("%s", error);
	assert_int_equal(result.problems, 0);
}

static void assert_holds(struct fixture *f, const uint32_t *seeds)
{
	char name[16];

	for (int i = 0; i < NAMES; i++) {
		snprintf(name, sizeof(name), "n%d", i);
		if (seeds[i] ? !has_seed(f->store, name, length_of(seeds[i]), seeds[i])
			     : exists(f->store, name))
			fail_msg("%s is not what it was", name);
	}
}

static void a_disk_that_fills_up_at_any_moment_loses_nothing(void **state)
{
	struct store_change create = { .kind = STORE_CONTAINER_CREATE, .ref = ref_of(NULL) };
	struct fixture f = { .store = NULL };
	uint32_t seeds[NAMES] = { 0 }, next = 1;
	unsigned int refused = 0, done = 0;
	uint64_t random = 4711;
	char name[16];

	(void)state;
	fixture_directory(&f);
	cut_record(f.path);
	f.store = fixture_open(&f, "");
	ok(store_change(f.store, &create, NULL));
	for (int round = 0; round < ROUNDS; round++) {
		bool full = false;

		random = random * UINT64_C(6364136223846793005) + 1442695040888963407u;
		cut_disk_room((long)((random >> 33) % (round % 3 ? 60000 : 2000000)));
		for (int i = 0; i < 40 && !full; i++) {
			int n = (int)(next % NAMES);
			enum store_error error;
			bool delete = seeds[n] && next % 5 == 0;

			snprintf(name, sizeof(name), "n%d", n);
			error = delete ? delete_blob(f.store, name)
				: next % 3
					? put_seed(f.store, name, length_of(next), next)
					: put_block(f.store, "blocks", "01", length_of(next), next);
			full = error == STORE_NO_SPACE;
			if (error && !full)
				fail_msg("%s", store_error_name(error));
			if (!error && (delete || next % 3))
				seeds[n] = delete ? 0 : next;
			done += !error;
			next++;
		}
		refused += full;
		/* reading needs no room */
		if (round % 10 == 0)
			assert_holds(&f, seeds);
		cut_disk_room(-1);
		ok(put_seed(f.store, "n0", 20000, 3));
		seeds[0] = 3;
		assert_true(has_seed(f.store, "n0", 20000, 3));
		ok(put_seed(f.store, "n0", length_of(3), 3));
	}
	assert_holds(&f, seeds);
	assert_true(refused > ROUNDS / 2 && done > ROUNDS);
	/* all that was refused has given its space back */
	for (int i = 0; i < NAMES; i++) {
		snprintf(name, sizeof(name), "n%d", i);
		if (seeds[i])
			ok(delete_blob(f.store, name));
	}
	(void)delete_blob(f.store, "blocks");
	store_close(f.store);
	cut_record_end();
	cut_free();
	assert_consistent(&f);
	f.store = fixture_open(&f, "");
	assert_true(wait_for_number(&f,
				    "SELECT count(*) FROM chunks WHERE file IS NOT NULL"
				    " AND id NOT IN (SELECT chunk FROM blocks)",
				    0));
	store_close(f.store);
	assert_consistent(&f);
	fixture_remove(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_disk_that_fills_up_at_any_moment_loses_nothing),
	};

	return cmocka_run_group_tests_name("store_full", tests, NULL, NULL);
}
