/* SPDX-License-Identifier: MIT */
/*
 * Worker threads for what may block.  As many run as there are processors: more would take turns,
 * and each turn costs as much as a small request.  Threads that wait do not count, if they say so
 * (base/waiting.h): while requests wait for a commit others come to it, so the store can put them
 * into one.  Threads are made when they are needed, up to a limit.
 */
#ifndef AZBLOB_DOOR_LINK_POOL_H
#define AZBLOB_DOOR_LINK_POOL_H

/* Part of whatever is to be done; the pool never allocates. */
struct link_job {
	struct link_job *next;
	void (*run)(struct link_job *job);
};

/*
 * Jobs of one party, say one link: first in, first out among themselves.  Parties whose jobs wait
 * have their turns one after the other, so that many of one don't hold up the few of another.
 * All zero at the start; one pool's alone; may go when no job of it waits.
 */
struct link_queue {
	struct link_queue *next;
	struct link_job *first, **last;
};

struct link_pool;

/* @threads: the most at once, at least 1.  NULL when memory is short. */
struct link_pool *link_pool_new(unsigned int threads);
/*
 * @queue: NULL for one that is the pool's own.  Any thread.  Never blocks, never fails once a
 * thread exists.
 */
void link_pool_submit(struct link_pool *pool, struct link_queue *queue, struct link_job *job);
/* Does what is queued, then ends the threads. */
void link_pool_free(struct link_pool *pool);

#endif /* AZBLOB_DOOR_LINK_POOL_H */
