// SPDX-License-Identifier: GPL-2.0-only
/*
 * Allocations that fail, one after the other.
 */
#include <linux/errno.h>
#include <linux/sched.h>
#include <linux/slab.h>

#include "fail.h"

/* More than any function here could need. */
#define MOST 200u

#ifdef CONFIG_FAULT_INJECTION
static void fail_after(unsigned int n)
{
	WRITE_ONCE(current->fail_nth, n);
}

/* Had it not happened yet? */
static bool none_failed(void)
{
	bool left = READ_ONCE(current->fail_nth);

	WRITE_ONCE(current->fail_nth, 0);
	return left;
}
#else
static void fail_after(unsigned int n)
{
}

static bool none_failed(void)
{
	return true;
}
#endif

/**
 * azb_fail_works() - can allocations be made to fail at all?
 */
bool azb_fail_works(void)
{
	void *p;

	fail_after(1);
	p = kmalloc(16, GFP_KERNEL);
	kfree(p);
	return !none_failed() && !p;
}

/* Each allocation of one pass fails once. */
static struct azb_outcome fail_each_once(struct kunit *test, int (*fn)(struct kunit *test))
{
	struct azb_outcome outcome = { 0 };
	unsigned int n;
	int ret;

	for (n = 1; n < MOST; n++) {
		fail_after(n);
		ret = fn(test);
		if (none_failed()) {
			KUNIT_EXPECT_EQ(test, ret, 0);
			return outcome;
		}
		outcome.injected++;
		if (ret) {
			KUNIT_EXPECT_EQ_MSG(test, ret, -ENOMEM, "allocation %u", n);
			outcome.refused++;
		}
	}
	KUNIT_FAIL(test, "after %u allocations there are more", MOST);
	return outcome;
}

/**
 * azb_fail_each() - let each allocation of a function fail once
 * @test: the test
 * @fn: returns 0, or -ENOMEM and nothing has changed
 * @refused: how many failures it reports
 *
 * Now and then the allocator itself needs memory, gets over it when there is none,
 * and what was to fail is not reached in that pass.  A pass with none of that says
 * how many failures @fn reports; one that swallows a failure has no such pass.
 */
struct azb_outcome azb_fail_each(struct kunit *test, int (*fn)(struct kunit *test),
				 unsigned int refused)
{
	struct azb_outcome outcome;
	unsigned int i;

	for (i = 0; i < 50; i++) {
		outcome = fail_each_once(test, fn);
		if (outcome.refused == refused)
			break;
	}
	KUNIT_EXPECT_EQ(test, outcome.refused, refused);
	return outcome;
}
