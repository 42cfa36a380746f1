// SPDX-License-Identifier: MIT
/* What the requests of one call have in common: progress, cancellation, counts. */
#include "driver.h"

#include <string.h>
#include <time.h>

/* A millisecond apart: a try on its way to the driver is there long before. */
#define MAX_LOOKS 10000u

void azc_op_init(struct azc_op *op, azblob_conn *conn, azblob_progress_fn progress, void *context,
		 uint64_t total)
{
	memset(op, 0, sizeof(*op));
	op->conn = conn;
	op->timeout_ms = conn->timeout_ms;
	op->progress = progress;
	op->context = context;
	op->total = total;
	pthread_mutex_init(&op->asking, NULL);
	pthread_mutex_init(&op->lock, NULL);
	pthread_mutex_lock(&conn->ops_lock);
	op->next = conn->ops;
	op->previous = &conn->ops;
	if (op->next)
		op->next->previous = &op->next;
	conn->ops = op;
	op->listed = true;
	pthread_mutex_unlock(&conn->ops_lock);
}

void azc_op_unlist(struct azc_op *op)
{
	pthread_mutex_lock(&op->conn->ops_lock);
	if (op->listed) {
		*op->previous = op->next;
		if (op->next)
			op->next->previous = op->previous;
		op->listed = false;
	}
	pthread_mutex_unlock(&op->conn->ops_lock);
}

void azc_op_end(struct azc_op *op)
{
	azc_op_unlist(op);
	pthread_mutex_destroy(&op->lock);
	pthread_mutex_destroy(&op->asking);
}

/*
 * The lock is held, so nothing is taken out of the list, and a guid that the driver does not know
 * is of a try that is on its way there or has just come back.
 */
static bool interrupt(struct azc_op *op)
{
	bool again = false;

	for (struct azc_sent *at = op->sent; at; at = at->next) {
		if (at->told)
			continue;
		switch (azc_driver_cancel(op->conn, at->guid)) {
		case AZC_REACH_ABSENT:
		case AZC_REACH_LATER:
			again = true;
			break;
		case AZC_REACH_UNSENT:
		case AZC_REACH_TOLD:
		case AZC_REACH_NEVER:
			at->told = true;
			break;
		}
	}
	return again;
}

bool azc_op_interrupt(struct azc_op *op)
{
	bool again;

	pthread_mutex_lock(&op->lock);
	again = interrupt(op);
	pthread_mutex_unlock(&op->lock);
	return again;
}

static void cancel(struct azc_op *op)
{
	pthread_mutex_lock(&op->lock);
	op->cancelled = true;
	interrupt(op);
	pthread_mutex_unlock(&op->lock);
}

/*
 * The function is called with nothing held that anybody waits for but those who would call it, too:
 * it may take its time, and may call the library.
 */
static void ask_progress(struct azc_op *op)
{
	uint64_t done;
	uint64_t total;
	bool cancelled;

	if (!op->progress)
		return;
	pthread_mutex_lock(&op->asking);
	pthread_mutex_lock(&op->lock);
	done = op->done;
	total = op->total;
	cancelled = op->cancelled;
	pthread_mutex_unlock(&op->lock);
	if (!cancelled && op->progress(op->context, done, total))
		cancel(op);
	pthread_mutex_unlock(&op->asking);
}

/*
 * One look at the calls that are under way, or that were at the first one.  True when another look
 * is needed, since a try is on its way to the driver.
 */
static bool interrupt_asked(azblob_conn *conn, bool first)
{
	bool again = false;

	pthread_mutex_lock(&conn->ops_lock);
	for (struct azc_op *op = conn->ops; op; op = op->next) {
		op->asked |= first;
		if (!op->asked)
			continue;
		pthread_mutex_lock(&op->lock);
		op->cancelled = true;
		again |= interrupt(op);
		pthread_mutex_unlock(&op->lock);
	}
	pthread_mutex_unlock(&conn->ops_lock);
	return again;
}

void azblob_interrupt(azblob_conn *conn)
{
	const struct timespec pause = { 0, 1000000 };
	bool again = interrupt_asked(conn, true);

	for (unsigned int looks = 0; again && looks < MAX_LOOKS; looks++) {
		nanosleep(&pause, NULL);
		again = interrupt_asked(conn, false);
	}
}

bool azc_op_begin_try(struct azc_op *op, struct azc_sent *sent)
{
	bool good;

	ask_progress(op);
	pthread_mutex_lock(&op->lock);
	good = !op->cancelled;
	if (good) {
		sent->told = false;
		sent->next = op->sent;
		op->sent = sent;
	}
	pthread_mutex_unlock(&op->lock);
	return good;
}

void azc_op_end_try(struct azc_op *op, struct azc_sent *sent)
{
	struct azc_sent **at = &op->sent;

	pthread_mutex_lock(&op->lock);
	while (*at != sent)
		at = &(*at)->next;
	*at = sent->next;
	pthread_mutex_unlock(&op->lock);
}

void azc_op_advance(struct azc_op *op, uint64_t bytes)
{
	pthread_mutex_lock(&op->lock);
	op->done += bytes;
	pthread_mutex_unlock(&op->lock);
	azc_op_cancelled(op);
}

void azc_op_restart(struct azc_op *op)
{
	pthread_mutex_lock(&op->lock);
	op->done = 0;
	op->retries++;
	pthread_mutex_unlock(&op->lock);
}

void azc_op_set_total(struct azc_op *op, uint64_t total)
{
	pthread_mutex_lock(&op->lock);
	op->total = total;
	pthread_mutex_unlock(&op->lock);
}

bool azc_op_cancelled(struct azc_op *op)
{
	bool cancelled;

	ask_progress(op);
	pthread_mutex_lock(&op->lock);
	cancelled = op->cancelled;
	/* What other threads of the operation had on its way to the driver before is there by now.
	 */
	if (cancelled)
		interrupt(op);
	pthread_mutex_unlock(&op->lock);
	return cancelled;
}

void azc_op_count(struct azc_op *op, bool again)
{
	pthread_mutex_lock(&op->lock);
	op->requests++;
	op->retries += again;
	pthread_mutex_unlock(&op->lock);
}
