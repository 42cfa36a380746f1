// SPDX-License-Identifier: GPL-2.0-only
/*
 * The code under test, compiled into the test module a second time.  queue_test.c
 * stands in for ring.c and request.c.
 */
#include <linux/mm.h>
#include <linux/slab.h>

/* The kernel reports memory that cannot be had either way; alloc_test.c makes it so. */
static void *quiet_kvcalloc(size_t n, size_t size, gfp_t gfp)
{
	return kvcalloc(n, size, gfp | __GFP_NOWARN);
}

#undef kvcalloc
#define kvcalloc(n, size, gfp) quiet_kvcalloc(n, size, gfp)
#include "../queue.c"
