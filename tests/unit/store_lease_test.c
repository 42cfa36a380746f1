/* SPDX-License-Identifier: MIT */
/* Leases, rehydration and policies as time goes by, on a clock that the test turns. */
#include "store_help.h"

static const uint8_t mine[16] = "lease of a test";

static enum store_error lease(struct store *store, const char *blob, enum store_lease_action action,
			      int seconds, struct store_result *result)
{
	struct store_change change = {
		.kind = STORE_LEASE,
		.ref = ref_of(blob),
		.lease = { .action = action, .duration_s = seconds, .break_s = seconds }
	};

	memcpy(change.lease.id, mine, sizeof(mine));
	return store_change(store, &change, result);
}

static enum store_lease_state state_of(struct store *store, const char *blob)
{
	struct store_ref ref = ref_of(blob);
	struct store_container_info container;
	struct store_blob_info info;
	enum store_lease_state state;

	if (!blob) {
		ok(store_container_stat(store, &ref, &container));
		state = store_lease_state(&container.lease, fixture_now);
		store_container_info_clear(&container);
		return state;
	}
	ok(store_blob_stat(store, &ref, NULL, &info));
	state = store_lease_state(&info.lease, fixture_now);
	store_blob_info_clear(&info);
	return state;
}

static enum store_error touch(struct store *store, const uint8_t *id)
{
	struct store_conditions conditions = { .lease = id };
	struct store_change change = { .kind = STORE_BLOB_UPDATE,
				       .ref = ref_of("b"),
				       .set = STORE_SET_META,
				       .conditions = &conditions };

	return store_change(store, &change, NULL);
}

/* A blob "b" of this test, or NULL for the container. */
static const char *const both[] = { "b", NULL };

static void a_lease_with_an_end_expires(void **state)
{
	struct fixture *f = *state;

	ok(put_seed(f->store, "b", 10, 1));
	for (int i = 0; i < 2; i++) {
		ok(lease(f->store, both[i], STORE_ACQUIRE, 15, NULL));
		fixture_now += 15 * SECOND - 1;
		assert_int_equal(state_of(f->store, both[i]), STORE_LEASE_LEASED);
		fixture_now += 1;
		assert_int_equal(state_of(f->store, both[i]), STORE_LEASE_EXPIRED);
		/* renewed, as long as nobody else came */
		ok(lease(f->store, both[i], STORE_RENEW, 0, NULL));
		fixture_now += 14 * SECOND;
		assert_int_equal(state_of(f->store, both[i]), STORE_LEASE_LEASED);
		fixture_now += SECOND;
		assert_int_equal(state_of(f->store, both[i]), STORE_LEASE_EXPIRED);
	}
}

static void an_infinite_lease_never_ends(void **state)
{
	struct fixture *f = *state;

	ok(put_seed(f->store, "b", 10, 1));
	ok(lease(f->store, "b", STORE_ACQUIRE, STORE_LEASE_INFINITE, NULL));
	fixture_now += INT64_C(100) * 365 * 24 * 3600 * SECOND;
	assert_int_equal(state_of(f->store, "b"), STORE_LEASE_LEASED);
	assert_int_equal(touch(f->store, NULL), STORE_LEASE_ID_MISSING);
}

static void after_a_write_an_expired_lease_is_gone(void **state)
{
	struct fixture *f = *state;

	ok(put_seed(f->store, "b", 10, 1));
	ok(lease(f->store, "b", STORE_ACQUIRE, 15, NULL));
	assert_int_equal(touch(f->store, NULL), STORE_LEASE_ID_MISSING);
	fixture_now += 15 * SECOND;
	assert_int_equal(touch(f->store, mine), STORE_LEASE_LOST);
	ok(touch(f->store, NULL));
	assert_int_equal(state_of(f->store, "b"), STORE_LEASE_AVAILABLE);
	assert_int_equal(lease(f->store, "b", STORE_RENEW, 0, NULL), STORE_LEASE_OP_MISMATCH);
}

static void a_break_takes_the_shorter_time(void **state)
{
	struct fixture *f = *state;
	struct store_result result;

	ok(put_seed(f->store, "b", 10, 1));
	for (int i = 0; i < 2; i++) {
		const char *b = both[i];

		ok(lease(f->store, b, STORE_ACQUIRE, 30, NULL));
		fixture_now += 10 * SECOND;
		/* 20 s are left of it */
		ok(lease(f->store, b, STORE_BREAK, 60, &result));
		assert_int_equal(result.lease_left_s, 20);
		fixture_now += SECOND / 2;
		ok(lease(f->store, b, STORE_BREAK, -1, &result));
		assert_int_equal(result.lease_left_s, 20); /* rounded up */
		ok(lease(f->store, b, STORE_BREAK, 5, &result));
		assert_int_equal(result.lease_left_s, 5);
		assert_int_equal(state_of(f->store, b), STORE_LEASE_BREAKING);
		fixture_now += 5 * SECOND;
		assert_int_equal(state_of(f->store, b), STORE_LEASE_BROKEN);
		ok(lease(f->store, b, STORE_BREAK, 5, &result));
		assert_int_equal(result.lease_left_s, 0);
		assert_int_equal(lease(f->store, b, STORE_RENEW, 0, NULL),
				 STORE_LEASE_BROKEN_RENEW);
		ok(lease(f->store, b, STORE_ACQUIRE, STORE_LEASE_INFINITE, NULL));
		ok(lease(f->store, b, STORE_BREAK, -1, &result));
		assert_int_equal(result.lease_left_s, 0);
		assert_int_equal(state_of(f->store, b), STORE_LEASE_BROKEN);
	}
}

static void leases_survive_a_restart(void **state)
{
	struct fixture *f = *state;

	ok(put_seed(f->store, "b", 10, 1));
	ok(lease(f->store, "b", STORE_ACQUIRE, 60, NULL));
	ok(lease(f->store, NULL, STORE_ACQUIRE, STORE_LEASE_INFINITE, NULL));
	fixture_reopen(f);
	assert_int_equal(state_of(f->store, "b"), STORE_LEASE_LEASED);
	assert_int_equal(state_of(f->store, NULL), STORE_LEASE_LEASED);
	assert_int_equal(delete_blob(f->store, "b"), STORE_LEASE_ID_MISSING);
	fixture_now += 60 * SECOND;
	assert_int_equal(state_of(f->store, "b"), STORE_LEASE_EXPIRED);
	ok(delete_blob(f->store, "b"));
}

static enum store_error set_tier(struct store *store, enum store_tier tier, bool high,
				 struct store_result *result)
{
	struct store_change change = {
		.kind = STORE_SET_TIER, .ref = ref_of("b"), .tier = tier, .rehydrate_high = high
	};

	return store_change(store, &change, result);
}

static void expect_tier(struct store *store, enum store_tier tier, enum store_tier rehydrate)
{
	struct store_ref ref = ref_of("b");
	struct store_blob_info info;

	ok(store_blob_stat(store, &ref, NULL, &info));
	assert_int_equal(info.tier, tier);
	assert_int_equal(info.rehydrate, rehydrate);
	store_blob_info_clear(&info);
}

static void an_archived_blob_comes_back_after_a_time(void **state)
{
	struct fixture *f = *state;
	struct store_result result;

	ok(put_seed(f->store, "b", 10, 1));
	expect_tier(f->store, STORE_TIER_INFERRED, STORE_TIER_INFERRED);
	ok(set_tier(f->store, STORE_TIER_ARCHIVE, false, &result));
	assert_false(result.rehydrating);
	assert_int_equal(touch(f->store, NULL), STORE_BLOB_ARCHIVED);
	ok(set_tier(f->store, STORE_TIER_COOL, false, &result));
	assert_true(result.rehydrating);
	expect_tier(f->store, STORE_TIER_ARCHIVE, STORE_TIER_COOL);
	assert_int_equal(touch(f->store, NULL), STORE_BLOB_REHYDRATING);
	assert_int_equal(set_tier(f->store, STORE_TIER_HOT, false, NULL), STORE_BLOB_REHYDRATING);
	assert_int_equal(set_tier(f->store, STORE_TIER_ARCHIVE, false, NULL),
			 STORE_BLOB_REHYDRATING);
	fixture_now += 59 * SECOND;
	/* asked again, it is no later for that */
	ok(set_tier(f->store, STORE_TIER_COOL, false, NULL));
	expect_tier(f->store, STORE_TIER_ARCHIVE, STORE_TIER_COOL);
	fixture_now += SECOND;
	expect_tier(f->store, STORE_TIER_COOL, STORE_TIER_INFERRED);
	ok(touch(f->store, NULL));
	ok(set_tier(f->store, STORE_TIER_HOT, false, &result));
	assert_false(result.rehydrating);
	expect_tier(f->store, STORE_TIER_HOT, STORE_TIER_INFERRED);
}

static void a_higher_priority_makes_it_faster(void **state)
{
	struct fixture *f = *state;

	ok(put_seed(f->store, "b", 10, 1));
	ok(set_tier(f->store, STORE_TIER_ARCHIVE, false, NULL));
	ok(set_tier(f->store, STORE_TIER_HOT, false, NULL));
	fixture_now += SECOND;
	ok(set_tier(f->store, STORE_TIER_HOT, true, NULL));
	fixture_now += 10 * SECOND - 1;
	expect_tier(f->store, STORE_TIER_ARCHIVE, STORE_TIER_HOT);
	fixture_now += 1;
	expect_tier(f->store, STORE_TIER_HOT, STORE_TIER_INFERRED);
}

static enum store_error protect(struct store *store, unsigned int set,
				struct store_protection protection)
{
	struct store_change change = {
		.kind = STORE_PROTECT, .ref = ref_of("b"), .set = set, .protect = protection
	};

	return store_change(store, &change, NULL);
}

static void a_policy_ends_and_a_hold_does_not(void **state)
{
	struct fixture *f = *state;
	struct store_protection locked = { .immutability = STORE_LOCKED,
					   .until_ns = fixture_now + 60 * SECOND };

	ok(put_seed(f->store, "b", 10, 1));
	ok(protect(f->store, STORE_SET_POLICY, locked));
	ok(protect(f->store, STORE_SET_HOLD, (struct store_protection){ .hold = true }));
	fixture_reopen(f);
	fixture_now += 60 * SECOND - 1;
	assert_int_equal(delete_blob(f->store, "b"), STORE_BLOB_HELD);
	ok(protect(f->store, STORE_SET_HOLD, (struct store_protection){ 0 }));
	assert_int_equal(delete_blob(f->store, "b"), STORE_BLOB_IMMUTABLE);
	assert_int_equal(put_seed(f->store, "b", 10, 2), STORE_BLOB_IMMUTABLE);
	assert_int_equal(protect(f->store, STORE_SET_POLICY, (struct store_protection){ 0 }),
			 STORE_POLICY_LOCKED);
	fixture_now += 1;
	ok(protect(f->store, STORE_SET_POLICY, (struct store_protection){ 0 }));
	ok(put_seed(f->store, "b", 10, 2));
	ok(delete_blob(f->store, "b"));
}

int main(void)
{
#define TEST(name) \
	cmocka_unit_test_setup_teardown(name, fixture_setup_clock, fixture_teardown_clock)
	const struct CMUnitTest tests[] = {
		TEST(a_lease_with_an_end_expires),
		TEST(an_infinite_lease_never_ends),
		TEST(after_a_write_an_expired_lease_is_gone),
		TEST(a_break_takes_the_shorter_time),
		TEST(leases_survive_a_restart),
		TEST(an_archived_blob_comes_back_after_a_time),
		TEST(a_higher_priority_makes_it_faster),
		TEST(a_policy_ends_and_a_hold_does_not),
	};

	return cmocka_run_group_tests_name("store_lease", tests, NULL, NULL);
}
