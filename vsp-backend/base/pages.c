/* SPDX-License-Identifier: MIT */
#include "base/pages.h"

#include <stdint.h>
#include <sys/mman.h>

void *azb_map_pages(size_t size)
{
	size_t slack = size >= AZB_HUGE_PAGE ? AZB_HUGE_PAGE : 0;
	char *base = mmap(NULL, size + slack, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			  -1, 0);
	size_t before;

	if (base == MAP_FAILED)
		return NULL;
	if (!slack)
		return base;
	before = (AZB_HUGE_PAGE - (uintptr_t)base % AZB_HUGE_PAGE) % AZB_HUGE_PAGE;
	if (before)
		munmap(base, before);
	if (slack - before)
		munmap(base + before + size, slack - before);
	madvise(base + before, size, MADV_HUGEPAGE);
	return base + before;
}
