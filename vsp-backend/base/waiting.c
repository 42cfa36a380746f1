// SPDX-License-Identifier: MIT
/* Who is told that a thread waits; see waiting.h. */
#include "waiting.h"

#include <errno.h>
#include <stddef.h>

static _Thread_local struct azb_waiting *told;
static _Thread_local unsigned int depth;

void azb_waiting_tell(struct azb_waiting *waiting)
{
	told = waiting;
}

void azb_waiting_begin(void)
{
	int saved = errno;

	if (!depth++ && told)
		told->begin(told);
	errno = saved;
}

void azb_waiting_end(void)
{
	int saved = errno;

	if (!--depth && told)
		told->end(told);
	errno = saved;
}
