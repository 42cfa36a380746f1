// SPDX-License-Identifier: GPL-2.0-only
/* Objects are allocated by their type. */
#include <linux/slab.h>

int *probe(void);
int *probe(void)
{
	int *p = kzalloc_obj(*p, GFP_KERNEL);

	return p;
}
