// SPDX-License-Identifier: GPL-2.0-only
/*
 * Who may pin how much, and in what order.
 */
#include <kunit/test.h>
#include <linux/slab.h>

#include "../budget.h"

#define ALICE KUIDT_INIT(1000)
#define BOB KUIDT_INIT(1001)
#define NR_USERS 300

static struct azb_budget *make(struct kunit *test, u64 limit, u64 user_limit)
{
	struct azb_budget *budget = kunit_kzalloc(test, sizeof(*budget), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, budget);
	azb_budget_init(budget, limit, user_limit);
	return budget;
}

static void join(struct kunit *test, struct azb_budget *budget,
		 struct azb_ticket *ticket, kuid_t uid, u64 bytes)
{
	struct azb_user *spare = kmalloc(sizeof(*spare), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, spare);
	memset(ticket, 0, sizeof(*ticket));
	ticket->bytes = bytes;
	azb_budget_join(budget, ticket, uid, &spare);
	kfree(spare);
}

static void expect_empty(struct kunit *test, struct azb_budget *budget)
{
	KUNIT_EXPECT_EQ(test, budget->used, 0ull);
	KUNIT_EXPECT_EQ(test, budget->nr_waiting, 0u);
	KUNIT_EXPECT_TRUE(test, list_empty(&budget->turns));
	KUNIT_EXPECT_TRUE(test, hash_empty(budget->users));
}

static void budget_grants_up_to_the_limit(struct kunit *test)
{
	struct azb_budget *budget = make(test, 100, 100);
	struct azb_ticket t[3];

	join(test, budget, &t[0], ALICE, 60);
	join(test, budget, &t[1], ALICE, 40);
	join(test, budget, &t[2], ALICE, 1);
	KUNIT_EXPECT_PTR_EQ(test, azb_budget_next(budget), &t[0]);
	KUNIT_EXPECT_PTR_EQ(test, azb_budget_next(budget), &t[1]);
	KUNIT_EXPECT_NULL(test, azb_budget_next(budget));
	KUNIT_EXPECT_EQ(test, budget->used, 100ull);
	azb_budget_leave(budget, &t[0]);
	KUNIT_EXPECT_PTR_EQ(test, azb_budget_next(budget), &t[2]);
	azb_budget_leave(budget, &t[1]);
	azb_budget_leave(budget, &t[2]);
	/* Nothing happens the second time. */
	azb_budget_leave(budget, &t[2]);
	KUNIT_EXPECT_EQ(test, budget->max_used, 100ull);
	expect_empty(test, budget);
}

static void budget_user_over_the_limit_waits_alone(struct kunit *test)
{
	struct azb_budget *budget = make(test, 1000, 100);
	struct azb_ticket a[3], b[2];

	join(test, budget, &a[0], ALICE, 100);
	join(test, budget, &a[1], ALICE, 50);
	join(test, budget, &a[2], ALICE, 50);
	join(test, budget, &b[0], BOB, 100);
	KUNIT_EXPECT_PTR_EQ(test, azb_budget_next(budget), &a[0]);
	KUNIT_EXPECT_PTR_EQ(test, azb_budget_next(budget), &b[0]);
	KUNIT_EXPECT_NULL(test, azb_budget_next(budget));
	azb_budget_leave(budget, &a[0]);
	KUNIT_EXPECT_PTR_EQ(test, azb_budget_next(budget), &a[1]);
	KUNIT_EXPECT_PTR_EQ(test, azb_budget_next(budget), &a[2]);
	join(test, budget, &b[1], BOB, 1);
	KUNIT_EXPECT_NULL(test, azb_budget_next(budget));
	azb_budget_leave(budget, &b[1]);
	azb_budget_leave(budget, &b[0]);
	azb_budget_leave(budget, &a[1]);
	azb_budget_leave(budget, &a[2]);
	expect_empty(test, budget);
}

static void budget_users_take_turns(struct kunit *test)
{
	struct azb_budget *budget = make(test, 10, 10);
	struct azb_ticket first, a[4], b[2];
	int i;

	join(test, budget, &first, ALICE, 10);
	KUNIT_EXPECT_PTR_EQ(test, azb_budget_next(budget), &first);
	for (i = 0; i < 4; i++)
		join(test, budget, &a[i], ALICE, 1);
	for (i = 0; i < 2; i++)
		join(test, budget, &b[i], BOB, 1);
	KUNIT_EXPECT_NULL(test, azb_budget_next(budget));
	azb_budget_leave(budget, &first);
	/* Alice had used up hers, so Bob stood first; then they alternate. */
	KUNIT_EXPECT_PTR_EQ(test, azb_budget_next(budget), &b[0]);
	KUNIT_EXPECT_PTR_EQ(test, azb_budget_next(budget), &a[0]);
	KUNIT_EXPECT_PTR_EQ(test, azb_budget_next(budget), &b[1]);
	KUNIT_EXPECT_PTR_EQ(test, azb_budget_next(budget), &a[1]);
	KUNIT_EXPECT_PTR_EQ(test, azb_budget_next(budget), &a[2]);
	KUNIT_EXPECT_PTR_EQ(test, azb_budget_next(budget), &a[3]);
	for (i = 0; i < 4; i++)
		azb_budget_leave(budget, &a[i]);
	for (i = 0; i < 2; i++)
		azb_budget_leave(budget, &b[i]);
	expect_empty(test, budget);
}

/* Small ones of somebody else fit all the time and may not pass all the same. */
static void budget_large_request_keeps_its_turn(struct kunit *test)
{
	struct azb_budget *budget = make(test, 100, 100);
	struct azb_ticket small[2], large, late;

	join(test, budget, &small[0], ALICE, 10);
	join(test, budget, &small[1], ALICE, 10);
	KUNIT_EXPECT_NOT_NULL(test, azb_budget_next(budget));
	KUNIT_EXPECT_NOT_NULL(test, azb_budget_next(budget));
	join(test, budget, &large, BOB, 100);
	join(test, budget, &late, ALICE, 10);
	KUNIT_EXPECT_NULL(test, azb_budget_next(budget));
	azb_budget_leave(budget, &small[0]);
	KUNIT_EXPECT_NULL(test, azb_budget_next(budget));
	azb_budget_leave(budget, &small[1]);
	KUNIT_EXPECT_PTR_EQ(test, azb_budget_next(budget), &large);
	KUNIT_EXPECT_NULL(test, azb_budget_next(budget));
	azb_budget_leave(budget, &large);
	KUNIT_EXPECT_PTR_EQ(test, azb_budget_next(budget), &late);
	azb_budget_leave(budget, &late);
	expect_empty(test, budget);
}

static void budget_larger_than_the_limit_goes_alone(struct kunit *test)
{
	struct azb_budget *budget = make(test, 100, 50);
	struct azb_ticket a, b;

	join(test, budget, &a, ALICE, 1000);
	KUNIT_EXPECT_PTR_EQ(test, azb_budget_next(budget), &a);
	join(test, budget, &b, BOB, 1);
	KUNIT_EXPECT_NULL(test, azb_budget_next(budget));
	azb_budget_leave(budget, &a);
	KUNIT_EXPECT_PTR_EQ(test, azb_budget_next(budget), &b);
	azb_budget_leave(budget, &b);
	expect_empty(test, budget);
}

static void budget_who_leaves_the_line_lets_others_go(struct kunit *test)
{
	struct azb_budget *budget = make(test, 100, 100);
	struct azb_ticket a, big, b;

	join(test, budget, &a, ALICE, 50);
	KUNIT_EXPECT_PTR_EQ(test, azb_budget_next(budget), &a);
	join(test, budget, &big, BOB, 60);
	join(test, budget, &b, BOB, 50);
	KUNIT_EXPECT_NULL(test, azb_budget_next(budget));
	azb_budget_leave(budget, &big);
	KUNIT_EXPECT_PTR_EQ(test, azb_budget_next(budget), &b);
	azb_budget_leave(budget, &a);
	azb_budget_leave(budget, &b);
	expect_empty(test, budget);
}

static void budget_limits_can_change(struct kunit *test)
{
	struct azb_budget *budget = make(test, 100, 10);
	struct azb_ticket a, b, c;

	join(test, budget, &a, ALICE, 10);
	join(test, budget, &b, ALICE, 10);
	KUNIT_EXPECT_PTR_EQ(test, azb_budget_next(budget), &a);
	KUNIT_EXPECT_NULL(test, azb_budget_next(budget));
	azb_budget_set_limits(budget, 100, 20);
	KUNIT_EXPECT_PTR_EQ(test, azb_budget_next(budget), &b);
	/* Lower than what is charged already. */
	azb_budget_set_limits(budget, 5, 20);
	join(test, budget, &c, BOB, 1);
	KUNIT_EXPECT_NULL(test, azb_budget_next(budget));
	azb_budget_leave(budget, &a);
	KUNIT_EXPECT_NULL(test, azb_budget_next(budget));
	azb_budget_leave(budget, &b);
	KUNIT_EXPECT_PTR_EQ(test, azb_budget_next(budget), &c);
	azb_budget_leave(budget, &c);
	expect_empty(test, budget);
}

static void budget_any_finds_all_that_wait(struct kunit *test)
{
	struct azb_budget *budget = make(test, 10, 10);
	struct azb_ticket *t, *tickets;
	u32 i, found = 0;

	tickets = kunit_kcalloc(test, NR_USERS, sizeof(*tickets), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, tickets);
	for (i = 0; i < NR_USERS; i++)
		join(test, budget, &tickets[i], KUIDT_INIT(i), 10);
	KUNIT_EXPECT_PTR_EQ(test, azb_budget_next(budget), &tickets[0]);
	KUNIT_EXPECT_EQ(test, budget->nr_waiting, NR_USERS - 1u);
	while ((t = azb_budget_any(budget))) {
		KUNIT_ASSERT_FALSE(test, t->charged);
		azb_budget_leave(budget, t);
		found++;
	}
	KUNIT_EXPECT_EQ(test, found, NR_USERS - 1u);
	azb_budget_leave(budget, &tickets[0]);
	expect_empty(test, budget);
}

static struct kunit_case budget_cases[] = {
	KUNIT_CASE(budget_grants_up_to_the_limit),
	KUNIT_CASE(budget_user_over_the_limit_waits_alone),
	KUNIT_CASE(budget_users_take_turns),
	KUNIT_CASE(budget_large_request_keeps_its_turn),
	KUNIT_CASE(budget_larger_than_the_limit_goes_alone),
	KUNIT_CASE(budget_who_leaves_the_line_lets_others_go),
	KUNIT_CASE(budget_limits_can_change),
	KUNIT_CASE(budget_any_finds_all_that_wait),
	{}
};

static struct kunit_suite budget_suite = {
	.name = "hv_azure_blob_budget",
	.test_cases = budget_cases,
};

kunit_test_suite(budget_suite);
