/* SPDX-License-Identifier: MIT */
/* What read.c and read_runs.c share. */
#ifndef AZB_LOCAL_READ_H
#define AZB_LOCAL_READ_H

#include "store/local/local.h"

/* Bytes of a small write that a piece points to: they stay until the lease ends. */
struct held {
	struct held *next;
	int64_t chunk;
	uint64_t length;
	unsigned char bytes[];
};

/*
 * A lease.  A blob of one chunk has that one; a small one is a copy of its bytes;
 * one of many pieces is looked up in its content, which stays while the lease is held;
 * so does, of a page or append blob, what was there at the time @at.
 */
struct local_read {
	struct store_read read;
	struct lease *lease;
	int64_t content;
	int64_t at;
	struct chunk chunk;
	void *bytes;
	/*
	 * With SUMS_ALWAYS: what was checked last, so that a door may ask where bytes are and
	 * then for the bytes themselves, at the cost of one check.  Protected by lock.
	 */
	pthread_mutex_t lock;
	uint64_t good_from, good_to;
	struct held *held; /* protected by lock; what is in it stays as it is */
};

static inline struct local *read_local(struct store_read *read)
{
	return to_local(read->store);
}

#define READ_PARTS 16

/* Bytes of one chunk, or in memory as long as the lease is held. */
struct part {
	const void *bytes; /* NULL: of the chunk */
	struct chunk chunk;
	uint64_t offset, length; /* in the chunk */
};

/* The parts of a range of a page or append blob, or the first READ_PARTS of them. */
enum store_error read_runs_find(struct local_read *r, uint64_t offset, uint64_t end,
				struct part *parts, size_t *count);
void read_runs_end(struct local_read *r);

#endif
