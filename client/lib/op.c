// SPDX-License-Identifier: MIT
/* What the requests of one call have in common: progress, cancellation, counts. */
#include "driver.h"

#include <string.h>

void azc_op_init(struct azc_op *op, azblob_conn *conn, azblob_progress_fn progress, void *context,
		 uint64_t total)
{
	memset(op, 0, sizeof(*op));
	op->conn = conn;
	op->timeout_ms = conn->timeout_ms;
	op->progress = progress;
	op->context = context;
	op->total = total;
	pthread_mutex_init(&op->lock, NULL);
}

void azc_op_end(struct azc_op *op)
{
	pthread_mutex_destroy(&op->lock);
}

/* Called with the lock held. */
static void ask_progress(struct azc_op *op)
{
	if (op->progress && !op->cancelled && op->progress(op->context, op->done, op->total))
		op->cancelled = true;
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

bool azc_op_begin_try(struct azc_op *op, struct azc_sent *sent)
{
	bool good;

	pthread_mutex_lock(&op->lock);
	ask_progress(op);
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

	pthread_mutex_lock(&op->lock);
	cancelled = op->cancelled;
	ask_progress(op);
	/* Just now: what other threads of the operation wait for is not wanted any more. */
	if (op->cancelled && !cancelled)
		interrupt(op);
	cancelled = op->cancelled;
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
