/* SPDX-License-Identifier: MIT */
/*
 * What tells a pool of threads that one of its threads does not compute.
 *
 * A pool keeps about as many threads busy as there are processors; more would only take turns.
 * That goes wrong when those threads wait for something: so code that is about to wait for a disk,
 * a commit, another host or another thread's work says so, and the pool lets another thread run in
 * the meantime.  Not needed for a lock that is held for a moment.  Whoever forgets to say so costs
 * time only: a pool finds out by itself, but later.
 */
#ifndef AZBLOB_BASE_WAITING_H
#define AZBLOB_BASE_WAITING_H

/* Of a pool; each is called by the thread that waits, never twice in a row. */
struct azb_waiting {
	void (*begin)(struct azb_waiting *waiting);
	void (*end)(struct azb_waiting *waiting);
};

/* From now on @waiting is told of this thread's waiting; NULL: nobody is. */
void azb_waiting_tell(struct azb_waiting *waiting);

/* Around the wait; pairs nest.  The first may make a thread; errno stays. */
void azb_waiting_begin(void);
void azb_waiting_end(void);

#endif /* AZBLOB_BASE_WAITING_H */
