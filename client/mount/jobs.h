/* SPDX-License-Identifier: MIT */
/* Threads that do what nobody should wait for: fetching and uploading blocks. */
#ifndef MNT_JOBS_H
#define MNT_JOBS_H

#include <stdbool.h>
#include <stddef.h>

struct mnt_jobs;

/**
 * struct mnt_job - one piece of work, embedded in its owner's struct
 * @run: called once by a thread, with no lock held; may free the job.
 *
 * The rest belongs to jobs.c.
 */
struct mnt_job {
	void (*run)(struct mnt_job *job);
	struct mnt_job *next;
	struct mnt_job *before;
	bool queued;
	bool urgent;
};

/* At most @threads at once, started as they are needed.  NULL when out of memory. */
struct mnt_jobs *mnt_jobs_new(unsigned int threads);
/* Starts the first thread now, so that jobs never run in the threads of those who add them. */
bool mnt_jobs_start(struct mnt_jobs *jobs);
/* Does what is queued, then ends the threads.  NULL is allowed. */
void mnt_jobs_free(struct mnt_jobs *jobs);
/*
 * Urgent ones are done before the others, each kind in order.  Runs the job in the caller's thread
 * when there is none and none can be started.  Any thread; not with a lock held that run() takes.
 */
void mnt_jobs_add(struct mnt_jobs *jobs, struct mnt_job *job, bool urgent);
/* Somebody waits for it now: makes a job urgent that has not begun.  It must not end meanwhile. */
void mnt_jobs_hurry(struct mnt_jobs *jobs, struct mnt_job *job);

#endif /* MNT_JOBS_H */
