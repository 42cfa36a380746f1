// SPDX-License-Identifier: MIT
#include "jobs.h"

#include <pthread.h>
#include <stdlib.h>

struct queue {
	struct mnt_job *first;
	struct mnt_job *last;
};

struct mnt_jobs {
	pthread_mutex_t lock; /* protects the rest */
	pthread_cond_t changed;
	struct queue queue[2]; /* of those that can wait, and the urgent ones */
	pthread_t *thread;
	unsigned int threads;
	unsigned int limit;
	unsigned int idle;
	unsigned int waiting; /* queued, both kinds */
	bool ending;
};

/* Those below are called with the lock held. */

static void append(struct mnt_jobs *jobs, struct mnt_job *job, bool urgent)
{
	struct queue *queue = &jobs->queue[urgent];

	job->urgent = urgent;
	job->queued = true;
	job->next = NULL;
	job->before = queue->last;
	if (queue->last)
		queue->last->next = job;
	else
		queue->first = job;
	queue->last = job;
	jobs->waiting++;
}

static void take_out(struct mnt_jobs *jobs, struct mnt_job *job)
{
	struct queue *queue = &jobs->queue[job->urgent];

	if (job->before)
		job->before->next = job->next;
	else
		queue->first = job->next;
	if (job->next)
		job->next->before = job->before;
	else
		queue->last = job->before;
	job->queued = false;
	jobs->waiting--;
}

static void *worker(void *data)
{
	struct mnt_jobs *jobs = data;

	pthread_mutex_lock(&jobs->lock);
	while (true) {
		struct mnt_job *job = jobs->queue[1].first;

		if (!job)
			job = jobs->queue[0].first;
		if (!job) {
			if (jobs->ending)
				break;
			jobs->idle++;
			pthread_cond_wait(&jobs->changed, &jobs->lock);
			jobs->idle--;
			continue;
		}
		take_out(jobs, job);
		pthread_mutex_unlock(&jobs->lock);
		job->run(job);
		pthread_mutex_lock(&jobs->lock);
	}
	pthread_mutex_unlock(&jobs->lock);
	return NULL;
}

struct mnt_jobs *mnt_jobs_new(unsigned int threads)
{
	struct mnt_jobs *jobs = calloc(1, sizeof(*jobs));

	if (!jobs)
		return NULL;
	jobs->thread = calloc(threads, sizeof(*jobs->thread));
	if (!jobs->thread) {
		free(jobs);
		return NULL;
	}
	jobs->limit = threads;
	pthread_mutex_init(&jobs->lock, NULL);
	pthread_cond_init(&jobs->changed, NULL);
	return jobs;
}

/* With the lock held. */
static bool start_thread(struct mnt_jobs *jobs)
{
	if (jobs->threads == jobs->limit ||
	    pthread_create(&jobs->thread[jobs->threads], NULL, worker, jobs))
		return false;
	jobs->threads++;
	return true;
}

bool mnt_jobs_start(struct mnt_jobs *jobs)
{
	bool started;

	pthread_mutex_lock(&jobs->lock);
	started = jobs->threads || start_thread(jobs);
	pthread_mutex_unlock(&jobs->lock);
	return started;
}

void mnt_jobs_free(struct mnt_jobs *jobs)
{
	if (!jobs)
		return;
	pthread_mutex_lock(&jobs->lock);
	jobs->ending = true;
	pthread_cond_broadcast(&jobs->changed);
	pthread_mutex_unlock(&jobs->lock);
	for (unsigned int i = 0; i < jobs->threads; i++)
		pthread_join(jobs->thread[i], NULL);
	pthread_cond_destroy(&jobs->changed);
	pthread_mutex_destroy(&jobs->lock);
	free(jobs->thread);
	free(jobs);
}

void mnt_jobs_add(struct mnt_jobs *jobs, struct mnt_job *job, bool urgent)
{
	bool nobody;

	pthread_mutex_lock(&jobs->lock);
	append(jobs, job, urgent);
	if (jobs->idle < jobs->waiting)
		start_thread(jobs);
	nobody = !jobs->threads;
	if (nobody)
		take_out(jobs, job);
	pthread_cond_signal(&jobs->changed);
	pthread_mutex_unlock(&jobs->lock);
	if (nobody)
		job->run(job);
}

void mnt_jobs_hurry(struct mnt_jobs *jobs, struct mnt_job *job)
{
	pthread_mutex_lock(&jobs->lock);
	if (job->queued && !job->urgent) {
		take_out(jobs, job);
		append(jobs, job, true);
	}
	pthread_mutex_unlock(&jobs->lock);
}
