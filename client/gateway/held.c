// SPDX-License-Identifier: MIT
/*
 * Handles of bodies that are read slowly.  The host gives up a handle that was not used for a while
 * (docs/payload.md, Azblob-Expires), and a slow reader has enough in the buffers for longer than
 * that.
 */
#include "gateway.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* So that the others go on while the host is stuck at some, each until its touch times out. */
#define TOUCHERS 32u
/* Touches under way and in line.  Beyond it the host is stuck at more handles than can be kept. */
#define MOST_TOUCHES 1024u

struct gw_holder {
	struct gw *gw;
	struct link_pool *touchers;
	pthread_t thread;
	pthread_mutex_t lock; /* protects the rest, and the list's links */
	pthread_cond_t ending;
	bool ends;
	unsigned int touches;
	unsigned int every_ms;
	struct gw_held *first;
};

static long long now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (long long)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void gw_held_used(struct gw_held *held)
{
	atomic_store(&held->used_ms, now_ms());
}

void gw_hold(struct gw_holder *holder, struct gw_held *held)
{
	gw_held_used(held);
	pthread_mutex_lock(&holder->lock);
	held->previous = NULL;
	held->next = holder->first;
	if (held->next)
		held->next->previous = held;
	holder->first = held;
	pthread_mutex_unlock(&holder->lock);
}

void gw_unhold(struct gw_holder *holder, struct gw_held *held)
{
	pthread_mutex_lock(&holder->lock);
	if (held->previous)
		held->previous->next = held->next;
	else
		holder->first = held->next;
	if (held->next)
		held->next->previous = held->previous;
	pthread_mutex_unlock(&holder->lock);
}

/* Of a handle that may go meanwhile: then the host does not know it, which is as good. */
struct touch {
	struct link_job job;
	struct gw_holder *holder;
	struct gw_port *port;
	char handle[GW_HANDLE_DIGITS + 1];
};

static bool is_ending(struct gw_holder *holder)
{
	bool ends;

	pthread_mutex_lock(&holder->lock);
	ends = holder->ends;
	pthread_mutex_unlock(&holder->lock);
	return ends;
}

/*
 * On a toucher: reads a byte that nobody needs, since to use a handle is what keeps it.  When the
 * next touch would be due, this one comes too late, and its thread is for others.
 */
static void touch_run(struct link_job *job)
{
	struct touch *touch = (struct touch *)job;
	struct gw_holder *holder = touch->holder;
	struct gw *gw = holder->gw;
	struct gw_exchange exchange = { .room_length = 1,
					.response_room = GW_RESPONSE_ROOM,
					.timeout_ms = holder->every_ms };
	char head[160];
	size_t size = 0;

	exchange.head = head;
	exchange.head_length = (size_t)snprintf(
		head, sizeof(head),
		"GET /.azblob/%s?offset=0&length=1 HTTP/1.1\r\nHost: localhost\r\n\r\n",
		touch->handle);
	/* at the end there are readers no more */
	if (!is_ending(holder))
		exchange.room = gw_buffer_get(&gw->buffers, 1, &size);
	if (exchange.room) {
		if (gw_exchange_do(&exchange, touch->port) == GW_ANSWERED && exchange.status == 206)
			atomic_fetch_add(&gw->touched, 1);
		gw_exchange_reset(&exchange);
		gw_buffer_put(&gw->buffers, exchange.room, size);
	}
	gw_port_put(touch->port);
	free(touch);
	pthread_mutex_lock(&holder->lock);
	holder->touches--;
	pthread_mutex_unlock(&holder->lock);
}

/* With the lock held: has those touched that nobody has used for long. */
static void touch_due(struct gw_holder *holder)
{
	long long before = now_ms() - holder->every_ms;

	for (struct gw_held *held = holder->first; held; held = held->next) {
		struct touch *touch;

		if (atomic_load(&held->used_ms) > before)
			continue;
		if (holder->touches == MOST_TOUCHES)
			return;
		touch = calloc(1, sizeof(*touch));
		/* out of memory: at the next look, then */
		if (!touch)
			return;
		holder->touches++;
		gw_held_used(held);
		touch->job.run = touch_run;
		touch->holder = holder;
		touch->port = held->port;
		gw_port_hold(held->port);
		memcpy(touch->handle, held->handle, sizeof(touch->handle));
		link_pool_submit(holder->touchers, NULL, &touch->job);
	}
}

static void *keep(void *argument)
{
	struct gw_holder *holder = argument;

	pthread_mutex_lock(&holder->lock);
	while (!holder->ends) {
		struct timespec until;

		touch_due(holder);
		clock_gettime(CLOCK_MONOTONIC, &until);
		until.tv_nsec += (long)(holder->every_ms / 4 % 1000) * 1000000;
		until.tv_sec += holder->every_ms / 4 / 1000 + until.tv_nsec / 1000000000;
		until.tv_nsec %= 1000000000;
		pthread_cond_timedwait(&holder->ending, &holder->lock, &until);
	}
	pthread_mutex_unlock(&holder->lock);
	return NULL;
}

struct gw_holder *gw_holder_new(struct gw *gw, unsigned int every_ms)
{
	struct gw_holder *holder = calloc(1, sizeof(*holder));
	pthread_condattr_t monotonic;
	sigset_t all, old;
	int rc;

	if (!holder)
		return NULL;
	holder->gw = gw;
	holder->every_ms = every_ms;
	holder->touchers = link_pool_new(TOUCHERS);
	if (!holder->touchers) {
		free(holder);
		return NULL;
	}
	pthread_mutex_init(&holder->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&holder->ending, &monotonic);
	pthread_condattr_destroy(&monotonic);
	/* signals of the process are for the main thread */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	rc = pthread_create(&holder->thread, NULL, keep, holder);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (!rc)
		return holder;
	link_pool_free(holder->touchers);
	pthread_cond_destroy(&holder->ending);
	pthread_mutex_destroy(&holder->lock);
	free(holder);
	return NULL;
}

void gw_holder_free(struct gw_holder *holder)
{
	if (!holder)
		return;
	pthread_mutex_lock(&holder->lock);
	holder->ends = true;
	pthread_cond_signal(&holder->ending);
	pthread_mutex_unlock(&holder->lock);
	pthread_join(holder->thread, NULL);
	link_pool_free(holder->touchers);
	pthread_cond_destroy(&holder->ending);
	pthread_mutex_destroy(&holder->lock);
	free(holder);
}
