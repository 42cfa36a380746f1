/* SPDX-License-Identifier: MIT */
/*
 * Numbers about the running program, in the text form of Prometheus.  Whoever has some adds a
 * source; they are asked for when somebody looks.
 */
#ifndef AZB_METRICS_H
#define AZB_METRICS_H

#include "base/buf.h"

/* @show: appends lines; any thread, and not one that must not wait for a lock. */
struct metrics_source {
	struct metrics_source *next;
	void (*show)(struct metrics_source *source, struct azb_buf *out);
};

void metrics_add(struct metrics_source *source);
/* After this nobody calls it. */
void metrics_remove(struct metrics_source *source);
/* The lines of all sources. */
void metrics_show(struct azb_buf *out);

/* "# HELP" and "# TYPE", once for each name in one showing. */
void metrics_head(struct azb_buf *out, const char *name, const char *type, const char *help);

#endif
