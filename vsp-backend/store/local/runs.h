/* SPDX-License-Identifier: MIT */
/*
 * The content of page and append blobs: runs of bytes that change in place of time
 * rather than of space.
 *
 * A run covers a range of the blob and counts from the time it was born up to the time
 * it died.  Whoever looks at a content at some time sees the same bytes for ever: the
 * blob itself looks at contents.live, which moves on with every change; a reader's
 * lease, a snapshot and a version look at the time they were made.  So snapshots cost
 * nothing, readers are never disturbed, and what changed since a snapshot follows from
 * when runs were written.
 *
 * A run that died goes when nobody's look falls into its time any more: each look that
 * ends leaves a row in garbage (GARBAGE_VIEW), see collect.c.
 *
 * Small writes leave their bytes in SQLite and a row in journal; fold.c moves them to
 * an extent, many together, by writing new runs over them.
 *
 * An append blob's runs are born at the time the blob looks at already, so that an
 * append moves nothing on: who looked before sees them, but knows a smaller length.
 */
#ifndef AZB_LOCAL_RUNS_H
#define AZB_LOCAL_RUNS_H

#include "store/local/local.h"

/* A run's died while it lives. */
#define RUN_ALIVE INT64_MAX

/* A journal of so many bytes is folded; each write counts as RUN_WEIGHT at least. */
#define FOLD_BYTES (256 * 1024)
#define RUN_WEIGHT 512

struct run {
	uint64_t offset, length;
	int64_t born, written;
	int64_t chunk;
	uint64_t chunk_offset;
};

/* In jobs.  A content for a page or (@append) append blob that is made now, looked at from @tick
 * on. */
enum store_error runs_create(struct local *local, int64_t tick, bool append, int64_t *content);

/**
 * runs_begin - the content is about to change
 * @live: what its blob looks at, contents.live.
 *
 * In jobs.  That look ends, the next one begins at @tick.  Not for appends.
 */
enum store_error runs_begin(struct local *local, int64_t content, int64_t live, int64_t tick);
/* In jobs, after runs_begin(): nothing is there from @offset to @end any more. */
enum store_error runs_cut(struct local *local, int64_t content, int64_t tick, uint64_t offset,
			  uint64_t end);
/*
 * The same for @count ranges at once.  They are in order, with something between any two.  A run
 * may be cut at one time by one call only: what is left of it by two would have the same key.
 */
struct run_range {
	uint64_t offset, end;
};
enum store_error runs_cut_all(struct local *local, int64_t content, int64_t tick,
			      const struct run_range *ranges, size_t count);
/* In jobs: a run whose range is empty.  @small: its bytes are in SQLite. */
enum store_error runs_add(struct local *local, int64_t content, const struct run *run, bool small);

/*
 * In jobs: a new content, looked at from @tick on, with what is seen of another at @at up
 * to byte @length.  The data is shared; the cost is that of the runs.
 */
enum store_error runs_clone(struct local *local, int64_t from, int64_t at, uint64_t length,
			    bool append, int64_t tick, int64_t *content);

/* Steps through the runs of a content that a look at @at sees, in a reader's transaction. */
struct run_walk {
	struct db *db;
	sqlite3_stmt *s;
	struct run run;
};

/*
 * Runs with bytes from @offset on, up to @end.  Two walks may go on at once on one
 * connection: the second one says so.
 */
void runs_walk(struct run_walk *walk, struct db *db, int64_t content, int64_t at, uint64_t offset,
	       uint64_t end, bool second);
enum store_error runs_next(struct run_walk *walk, bool *more);
/* For whoever stops before the last one. */
void runs_stop(struct run_walk *walk);

/* fold.c: moves what there is in journals; in the collector's thread. */
enum store_error fold_journals(struct local *local, bool (*stop)(struct local *local));

#endif
