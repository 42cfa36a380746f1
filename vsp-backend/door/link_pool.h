/* SPDX-License-Identifier: MIT */
/*
 * Worker threads for what may block.  Threads are made when work waits and none is
 * idle, up to a limit: requests that wait for a commit wait together, so the store
 * can put them into one.
 */
#ifndef AZBLOB_DOOR_LINK_POOL_H
#define AZBLOB_DOOR_LINK_POOL_H

/* Part of whatever is to be done; the pool never allocates. */
struct link_job {
	struct link_job *next;
	void (*run)(struct link_job *job);
};

struct link_pool;

/* @threads: the most at once, at least 1.  NULL when memory is short. */
struct link_pool *link_pool_new(unsigned int threads);
/* First in, first out; any thread.  Never blocks, never fails once a thread exists. */
void link_pool_submit(struct link_pool *pool, struct link_job *job);
/* Does what is queued, then ends the threads. */
void link_pool_free(struct link_pool *pool);

#endif /* AZBLOB_DOOR_LINK_POOL_H */
