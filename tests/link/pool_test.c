// SPDX-License-Identifier: MIT
/*
 * The worker threads of the doors (vsp-backend/door/link_pool.h): who waits lets others run, who
 * does not say that it waits stops nobody for ever, and nothing that was submitted is left.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

#include "../../vsp-backend/base/waiting.h"
#include "../../vsp-backend/door/link_pool.h"

/* More than there are processors in most machines; no test depends on that. */
#define THREADS 200u
#define MANY 150u

/* All that wait here go on when @need of them have come. */
static struct gate {
	pthread_mutex_t lock;
	pthread_cond_t open;
	unsigned int need, come;
} gate = { PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0, 0 };

static atomic_uint done;

static int start(void **state)
{
	/* A test that hangs says so by ending. */
	alarm(120);
	gate.come = 0;
	atomic_store(&done, 0);
	*state = link_pool_new(THREADS);
	return *state ? 0 : -1;
}

static int stop(void **state)
{
	(void)state;
	alarm(0);
	return 0;
}

static void pass_gate(void)
{
	pthread_mutex_lock(&gate.lock);
	if (++gate.come == gate.need)
		pthread_cond_broadcast(&gate.open);
	while (gate.come < gate.need)
		pthread_cond_wait(&gate.open, &gate.lock);
	pthread_mutex_unlock(&gate.lock);
}

static void told_job(struct link_job *job)
{
	(void)job;
	azb_waiting_begin();
	azb_waiting_begin(); /* as when a function that waits calls another */
	pass_gate();
	azb_waiting_end();
	azb_waiting_end();
	atomic_fetch_add(&done, 1);
}

static void untold_job(struct link_job *job)
{
	(void)job;
	pass_gate();
	atomic_fetch_add(&done, 1);
}

static void short_job(struct link_job *job)
{
	(void)job;
	atomic_fetch_add(&done, 1);
}

static void submit(struct link_pool *pool, struct link_job *jobs, unsigned int count,
		   void (*run)(struct link_job *))
{
	for (unsigned int i = 0; i < count; i++) {
		jobs[i].run = run;
		link_pool_submit(pool, NULL, &jobs[i]);
	}
}

/* Each needs all others: it ends only when as many threads are in it. */
static void jobs_that_wait_let_all_others_run(void **state)
{
	static struct link_job jobs[MANY];

	gate.need = MANY;
	submit(*state, jobs, MANY, told_job);
	link_pool_free(*state);
	assert_int_equal(atomic_load(&done), MANY);
}

static void jobs_that_wait_and_do_not_say_so_stop_nobody(void **state)
{
	static struct link_job jobs[40];

	gate.need = 40;
	submit(*state, jobs, 40, untold_job);
	link_pool_free(*state);
	assert_int_equal(atomic_load(&done), 40);
}

/* The waiting ones come back to a pool where others took their places meanwhile. */
static void short_jobs_pass_those_that_wait(void **state)
{
	static struct link_job waiting[MANY], more[MANY];

	gate.need = MANY + 1;
	submit(*state, waiting, MANY, told_job);
	submit(*state, more, MANY, short_job);
	while (atomic_load(&done) < MANY)
		sched_yield();
	pass_gate();
	link_pool_free(*state);
	assert_int_equal(atomic_load(&done), 2 * MANY);
}

struct chain {
	struct link_job job;
	struct link_pool *pool;
	unsigned int left;
};

static void chain_job(struct link_job *job)
{
	struct chain *chain = (struct chain *)job;

	atomic_fetch_add(&done, 1);
	if (--chain->left)
		link_pool_submit(chain->pool, NULL, job);
}

/* Over and over through the moments in which a thread goes to rest. */
static void no_job_is_forgotten(void **state)
{
	static struct chain chains[3];

	for (unsigned int i = 0; i < 3; i++) {
		chains[i] = (struct chain){ { NULL, chain_job }, *state, 20000 };
		link_pool_submit(*state, NULL, &chains[i].job);
	}
	while (atomic_load(&done) < 60000)
		sched_yield();
	link_pool_free(*state);
	assert_int_equal(atomic_load(&done), 60000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(jobs_that_wait_let_all_others_run, start, stop),
		cmocka_unit_test_setup_teardown(jobs_that_wait_and_do_not_say_so_stop_nobody, start,
						stop),
		cmocka_unit_test_setup_teardown(short_jobs_pass_those_that_wait, start, stop),
		cmocka_unit_test_setup_teardown(no_job_is_forgotten, start, stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
