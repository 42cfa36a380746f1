/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What allocates has each of its allocations fail once, whatever and wherever they
 * are: its first in one run, its second in the next, until a run has none left that
 * could.  A failure may be got over or reported, as ENOMEM and nothing else; that
 * nothing stays behind is for kmemleak, KASAN and the count of pins to say.
 *
 * It needs fault injection that looks at allocations that may sleep and knows tasks
 * in which all of them fail, which are settings in debugfs, and that leaves the
 * debugging aids' own memory alone, which is one of each cache: tests/kunit/run makes
 * them all.
 */
#ifndef AZB_FAIL_H
#define AZB_FAIL_H

#include <kunit/test.h>

/**
 * struct azb_outcome - what came of letting each allocation fail
 * @injected: allocations that failed
 * @refused: how many of these the function reported
 */
struct azb_outcome {
	unsigned int injected;
	unsigned int refused;
};

bool azb_fail_works(void);
struct azb_outcome azb_fail_each(struct kunit *test, int (*fn)(struct kunit *test),
				 unsigned int refused);
struct azb_outcome azb_fail_from_each(struct kunit *test, int (*fn)(struct kunit *test),
				      unsigned int refused);

#endif /* AZB_FAIL_H */
