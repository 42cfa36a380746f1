/* SPDX-License-Identifier: MIT */
/*
 * Whether anybody still waits for what a thread is doing.  What can wait for long (for a server
 * elsewhere) asks now and then; who started it says so, for its own thread and for a time.
 */
#ifndef AZB_STOP_H
#define AZB_STOP_H

#include <stdbool.h>

/* @stop: called on this thread only; NULL ends it.  @context is its argument. */
void azb_stop_set(bool (*stop)(void *context), void *context);

/* Is the work of this thread to end as soon as possible?  False where nobody said anything. */
bool azb_stop_asked(void);

#endif
