// SPDX-License-Identifier: GPL-2.0-only
/* A sleeping task can be frozen where it sleeps. */
#include <linux/sched.h>

int probe(void);
int probe(void)
{
	return TASK_FREEZABLE;
}
