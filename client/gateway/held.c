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

/* Handles in one look; the others have their turn at the next. */
#define AT_ONCE 32u

struct gw_holder {
	struct gw *gw;
	pthread_t thread;
	pthread_mutex_t lock; /* protects the rest, and the list's links */
	pthread_cond_t ending;
	bool ends;
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

struct due {
	struct gw_port *port;
	char handle[GW_HANDLE_DIGITS + 1];
};

/* With the lock held: those that nobody has used for long.  How many. */
static unsigned int find_due(struct gw_holder *holder, struct due due[AT_ONCE])
{
	long long before = now_ms() - holder->every_ms;
	unsigned int count = 0;

	for (struct gw_held *held = holder->first; held && count < AT_ONCE; held = held->next) {
		if (atomic_load(&held->used_ms) > before)
			continue;
		gw_held_used(held);
		due[count].port = held->port;
		gw_port_hold(held->port);
		memcpy(due[count].handle, held->handle, sizeof(due[count].handle));
		count++;
	}
	return count;
}

/* Reads a byte that nobody needs: to use it is what keeps it. */
static void touch(struct gw_holder *holder, const struct due *due)
{
	size_t size;
	struct gw_exchange exchange = { .room = gw_buffer_get(&holder->gw->buffers, 1, &size),
					.room_length = 1,
					.response_room = GW_RESPONSE_ROOM,
					.timeout_ms = holder->gw->config.timeout_ms };
	char head[160];

	exchange.head = head;
	exchange.head_length = (size_t)snprintf(
		head, sizeof(head),
		"GET /.azblob/%s?offset=0&length=1 HTTP/1.1\r\nHost: localhost\r\n\r\n",
		due->handle);
	if (exchange.room && gw_exchange_do(&exchange, due->port) == GW_ANSWERED &&
	    exchange.status == 206)
		atomic_fetch_add(&holder->gw->touched, 1);
	gw_exchange_reset(&exchange);
	gw_buffer_put(&holder->gw->buffers, exchange.room, size);
	gw_port_put(due->port);
}

static void *keep(void *argument)
{
	struct gw_holder *holder = argument;
	struct due due[AT_ONCE];

	pthread_mutex_lock(&holder->lock);
	while (!holder->ends) {
		unsigned int count = find_due(holder, due);
		struct timespec until;

		if (count) {
			pthread_mutex_unlock(&holder->lock);
			for (unsigned int i = 0; i < count; i++)
				touch(holder, &due[i]);
			pthread_mutex_lock(&holder->lock);
			continue;
		}
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
	pthread_cond_destroy(&holder->ending);
	pthread_mutex_destroy(&holder->lock);
	free(holder);
}
