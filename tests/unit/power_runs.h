/* SPDX-License-Identifier: MIT */
/* store_power_test's work on an append blob and a page blob, and the look at them after a cut. */
#ifndef POWER_RUNS_H
#define POWER_RUNS_H

#include "store_help.h"

/* A thread's main function; @store is a struct store. */
void *power_runs_work(void *store);
/* What is there must be what was acknowledged at @cut, or with it what was under way. */
void power_runs_look(struct store *store, size_t cut, const char *where);

#endif
