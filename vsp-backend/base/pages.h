/* SPDX-License-Identifier: MIT */
/* Memory of one's own, in pages, for buffers that a host or a socket moves. */
#ifndef AZB_PAGES_H
#define AZB_PAGES_H

#include <stddef.h>

#define AZB_HUGE_PAGE ((size_t)2 << 20)

/*
 * @size bytes of zeros, a multiple of the page size, to be given back by munmap().  From
 * AZB_HUGE_PAGE on they start on a huge page and ask for them: fewer faults here, and long runs of
 * neighbouring pages for the host.  NULL: out of memory.
 */
void *azb_map_pages(size_t size);

#endif
