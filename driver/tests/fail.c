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
/*
 * The number goes before all else that is set for fault injection: what that says holds
 * from the failure on, and tests/kunit/run sets it to "everything" for tasks like this.
 */
static void fail_after(unsigned int n, bool and_later)
{
	current->make_it_fail = and_later;
	WRITE_ONCE(current->fail_nth, n);
}

/* Had it not happened yet? */
static bool none_failed(void)
{
	bool left = READ_ONCE(current->fail_nth);

	WRITE_ONCE(current->fail_nth, 0);
	current->make_it_fail = 0;
	return left;
}
#else
static void fail_after(unsigned int n, bool and_later)
{
}

static bool none_failed(void)
{
	return true;
}
#endif

/* Does the first one of two fail, and the second one only if it is to? */
static bool fails(bool and_later)
{
	void *p[2];
	bool none;

	fail_after(1, and_later);
	p[0] = kmalloc(16, GFP_KERNEL);
	p[1] = kmalloc(16, GFP_KERNEL);
	none = none_failed();
	kfree(p[0]);
	kfree(p[1]);
	return !none && !p[0] && !p[1] == and_later;
}

/**
 * azb_fail_works() - can allocations be made to fail at all?
 */
bool azb_fail_works(void)
{
	return fails(false) && fails(true);
}

/* Each allocation of one pass fails once. */
static struct azb_outcome fail_each_once(struct kunit *test, int (*fn)(struct kunit *test),
					 bool and_later)
{
	struct azb_outcome outcome = { 0 };
	unsigned int n;
	int ret;

	for (n = 1; n < MOST; n++) {
		fail_after(n, and_later);
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

static struct azb_outcome fail_each(struct kunit *test, int (*fn)(struct kunit *test),
				    unsigned int refused, bool and_later)
{
	struct azb_outcome outcome;
	unsigned int i;

	for (i = 0; i < 50; i++) {
		outcome = fail_each_once(test, fn, and_later);
		if (outcome.refused == refused)
			break;
	}
	KUNIT_EXPECT_EQ(test, outcome.refused, refused);
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
	return fail_each(test, fn, refused, false);
}

/**
 * azb_fail_from_each() - let each allocation of a function fail, with all after it
 * @test: the test
 * @fn: as above
 * @refused: how many passes it reports
 *
 * For what has another way to get its memory when the first one fails.  Pages fail once
 * only: what asks for pages alone, and again, gets them.
 */
struct azb_outcome azb_fail_from_each(struct kunit *test, int (*fn)(struct kunit *test),
				      unsigned int refused)
{
	return fail_each(test, fn, refused, true);
}
