// SPDX-License-Identifier: GPL-2.0-only
/*
 * Transaction ids: full tables, ids that come twice, ids that never were.
 */
#include <kunit/test.h>
#include <linux/limits.h>

#include "../ids.h"

#define SIZE 8u

struct table {
	struct azb_ids ids;
	struct azb_id_slot slots[SIZE];
	int owners[SIZE];
};

static int table_init(struct kunit *test)
{
	struct table *t = kunit_kzalloc(test, sizeof(*t), GFP_KERNEL);

	if (!t)
		return -ENOMEM;
	azb_ids_init(&t->ids, t->slots, SIZE);
	test->priv = t;
	return 0;
}

static void expect_put(struct kunit *test, u64 id, enum azb_id_state state,
		       void *owner)
{
	struct table *t = test->priv;
	u32 used = t->ids.used;
	void *got = t;

	KUNIT_EXPECT_EQ(test, azb_ids_put(&t->ids, id, &got), state);
	KUNIT_EXPECT_PTR_EQ(test, got, owner);
	KUNIT_EXPECT_EQ(test, t->ids.used, state == AZB_ID_LIVE ? used - 1 : used);
}

static void ids_run_out_and_come_back(struct kunit *test)
{
	struct table *t = test->priv;
	u64 id[SIZE];
	u32 i, k;

	for (i = 0; i < SIZE; i++) {
		id[i] = azb_ids_get(&t->ids, &t->owners[i]);
		KUNIT_EXPECT_NE(test, id[i], AZB_ID_NONE);
		for (k = 0; k < i; k++)
			KUNIT_EXPECT_NE(test, id[i], id[k]);
	}
	KUNIT_EXPECT_EQ(test, azb_ids_get(&t->ids, t), AZB_ID_NONE);
	KUNIT_EXPECT_EQ(test, t->ids.used, SIZE);

	/* In another order than they were taken. */
	for (i = 0; i < SIZE; i++) {
		k = (i * 5 + 3) % SIZE;
		expect_put(test, id[k], AZB_ID_LIVE, &t->owners[k]);
	}
	KUNIT_EXPECT_EQ(test, t->ids.used, 0u);
	for (i = 0; i < SIZE; i++)
		KUNIT_EXPECT_NE(test, azb_ids_get(&t->ids, t), AZB_ID_NONE);
	KUNIT_EXPECT_EQ(test, azb_ids_get(&t->ids, t), AZB_ID_NONE);
}

static void ids_know_one_that_comes_twice(struct kunit *test)
{
	struct table *t = test->priv;
	u64 first, second;

	first = azb_ids_get(&t->ids, &t->owners[0]);
	expect_put(test, first, AZB_ID_LIVE, &t->owners[0]);
	expect_put(test, first, AZB_ID_STALE, NULL);

	/* The slot belongs to another now, the old id still to nobody. */
	second = azb_ids_get(&t->ids, &t->owners[1]);
	KUNIT_EXPECT_EQ(test, lower_32_bits(second), lower_32_bits(first));
	KUNIT_EXPECT_NE(test, second, first);
	expect_put(test, first, AZB_ID_STALE, NULL);
	expect_put(test, second, AZB_ID_LIVE, &t->owners[1]);
}

/* [extra */
static void ids_tell_whose_they_are(struct kunit *test)
{
	struct table *t = test->priv;
	u64 first, second;

	KUNIT_EXPECT_NULL(test, azb_ids_find(&t->ids, 1));
	first = azb_ids_get(&t->ids, &t->owners[0]);
	second = azb_ids_get(&t->ids, &t->owners[1]);
	KUNIT_EXPECT_PTR_EQ(test, azb_ids_find(&t->ids, first), (void *)&t->owners[0]);
	KUNIT_EXPECT_PTR_EQ(test, azb_ids_find(&t->ids, second), (void *)&t->owners[1]);
	expect_put(test, first, AZB_ID_LIVE, &t->owners[0]);
	KUNIT_EXPECT_NULL(test, azb_ids_find(&t->ids, first));
	/* Its slot is another's now. */
	KUNIT_EXPECT_NE(test, azb_ids_get(&t->ids, &t->owners[2]), AZB_ID_NONE);
	KUNIT_EXPECT_NULL(test, azb_ids_find(&t->ids, first));
	KUNIT_EXPECT_NULL(test, azb_ids_find(&t->ids, AZB_ID_NONE));
	KUNIT_EXPECT_NULL(test, azb_ids_find(&t->ids, SIZE + 1));
	KUNIT_EXPECT_NULL(test, azb_ids_find(&t->ids, U64_MAX));
}

/* extra] */
static void ids_know_what_never_was(struct kunit *test)
{
	struct table *t = test->priv;
	u64 id = azb_ids_get(&t->ids, &t->owners[0]);
	const u64 bad[] = {
		AZB_ID_NONE,
		1,			/* generation 0 */
		SIZE,
		SIZE + 1,
		id + SIZE,		/* one slot too far */
		(id & ~(u64)U32_MAX) | (SIZE + 1),
		(id & ~(u64)U32_MAX) | U32_MAX,
		id & ~(u64)U32_MAX,	/* no slot */
		id + (1ull << 32),	/* not yet */
		id + 1,			/* a slot that was never used */
		U32_MAX,
		(u64)S32_MAX << 32,
		(u64)S32_MAX << 32 | 1,
		(u64)U32_MAX << 32,
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(bad); i++)
		expect_put(test, bad[i], AZB_ID_UNKNOWN, NULL);
	/* However it is called, nothing else is ever taken for a live one. */
	for (i = 0; i < 64; i++)
		if (azb_ids_put(&t->ids, id ^ 1ull << i, &(void *){ NULL }) ==
		    AZB_ID_LIVE)
			KUNIT_FAIL(test, "bit %u", i);
	expect_put(test, id, AZB_ID_LIVE, &t->owners[0]);
}

static void ids_survive_a_generation_that_wraps(struct kunit *test)
{
	struct table *t = test->priv;
	u64 before, after;

	t->slots[0].generation = U32_MAX - 1;
	before = azb_ids_get(&t->ids, &t->owners[0]);
	KUNIT_EXPECT_EQ(test, upper_32_bits(before), U32_MAX);
	expect_put(test, before, AZB_ID_LIVE, &t->owners[0]);
	after = azb_ids_get(&t->ids, &t->owners[1]);
	KUNIT_EXPECT_EQ(test, upper_32_bits(after), 1u);
	expect_put(test, before, AZB_ID_STALE, NULL);
	expect_put(test, after, AZB_ID_LIVE, &t->owners[1]);
	expect_put(test, after, AZB_ID_STALE, NULL);
}

/* Against a model: what is live is exactly what was taken and not given back. */
static void ids_follow_a_model(struct kunit *test)
{
	struct table *t = test->priv;
	u64 live[SIZE] = { 0 };
	u64 old[64] = { 0 };
	u32 seed = 12345;
	u32 n = 0, round, i;

	for (round = 0; round < 20000; round++) {
		seed = seed * 1664525 + 1013904223;
		i = (seed >> 16) % SIZE;
		if (live[i]) {
			expect_put(test, live[i], AZB_ID_LIVE, &t->owners[i]);
			old[n++ % ARRAY_SIZE(old)] = live[i];
			live[i] = 0;
		} else {
			live[i] = azb_ids_get(&t->ids, &t->owners[i]);
			KUNIT_ASSERT_NE(test, live[i], AZB_ID_NONE);
		}
		i = (seed >> 8) % ARRAY_SIZE(old);
		if (old[i])
			expect_put(test, old[i], AZB_ID_STALE, NULL);
	}
}

static struct kunit_case ids_cases[] = {
	KUNIT_CASE(ids_run_out_and_come_back),
	KUNIT_CASE(ids_know_one_that_comes_twice),
	/* [extra */
	KUNIT_CASE(ids_tell_whose_they_are),
	/* extra] */
	KUNIT_CASE(ids_know_what_never_was),
	KUNIT_CASE(ids_survive_a_generation_that_wraps),
	KUNIT_CASE(ids_follow_a_model),
	{}
};

static struct kunit_suite ids_suite = {
	.name = "hv_azure_blob_ids",
	.init = table_init,
	.test_cases = ids_cases,
};

kunit_test_suite(ids_suite);
