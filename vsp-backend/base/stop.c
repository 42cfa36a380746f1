// SPDX-License-Identifier: MIT
#include "stop.h"

#include <stddef.h>

static _Thread_local bool (*asked)(void *context);
static _Thread_local void *asked_context;

void azb_stop_set(bool (*stop)(void *context), void *context)
{
	asked = stop;
	asked_context = context;
}

bool azb_stop_asked(void)
{
	return asked && asked(asked_context);
}
