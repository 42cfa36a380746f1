// SPDX-License-Identifier: GPL-2.0-only
/*
 * Waiting for a request: threads that sleep.
 * [uring
 * And the watchdog for commands that no thread waits for.
 * uring]
 */
#include <linux/freezer.h>
#include <linux/jiffies.h>
#include <linux/math64.h>
#include <linux/minmax.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>

#include "azb.h"
#include "trace.h"

/*
 * The host promises an answer within the request's own time-out "plus some
 * delay", and an honest one may have to wait until it can be sure that it writes
 * no more.  This much later the owner is let go; the pages are not.
 */
#define AZB_WATCHDOG_GRACE_MS 30000u

/* [uring */
/* Looked at in one go, with the lock held and softirqs off. */
#define AZB_WALK_BATCH 64u
/* uring] */

/* Jiffies until the owner is let go, counted from @since. */
static unsigned long azb_request_patience(const struct azb_request *req)
{
	u64 ms = (u64)req->timeout_ms + AZB_WATCHDOG_GRACE_MS;

	return min_t(u64, div_u64(ms * HZ, MSEC_PER_SEC), MAX_JIFFY_OFFSET);
}

/* Jiffies left; 0 when it is time to give up. */
static long azb_request_time_left(const struct azb_request *req)
{
	unsigned long patience, gone;

	if (!req->timeout_ms)
		return MAX_SCHEDULE_TIMEOUT;
	patience = azb_request_patience(req);
	gone = jiffies - req->since;
	return gone < patience ? (long)(patience - gone) : 0;
}

/*
 * Sleeps until the request has left the states up to @last.  Takes queue.lock and
 * returns with it: who wakes the thread holds it as well, so nobody uses the
 * request any more when it is freed after that.
 *
 * Only a kill ends it early; and it lets the system hibernate.
 */
static int azb_request_await(struct azb_queue *queue, struct azb_request *req,
			     enum azb_request_state last)
	__acquires(&queue->lock)
{
	DEFINE_WAIT(wait);
	long left = 0;
	int ret = 0;

	for (;;) {
		prepare_to_wait(&req->wake, &wait, TASK_KILLABLE | TASK_FREEZABLE);
		if (READ_ONCE(req->state) > last)
			break;
		if (fatal_signal_pending(current)) {
			ret = -EINTR;
			break;
		}
		if (!left) {
			/* At first, and later: the host may have got it since. */
			spin_lock_bh(&queue->lock);
			left = azb_request_time_left(req);
			spin_unlock_bh(&queue->lock);
			if (!left) {
				ret = -ETIMEDOUT;
				break;
			}
		}
		azb_compat_freezable_begin();
		left = schedule_timeout(left);
		azb_compat_freezable_end();
	}
	finish_wait(&req->wake, &wait);

	spin_lock_bh(&queue->lock);
	if (req->state > last)
		return 0;
	/* [extra */
	/* Its caller gives it up, and may free it: nobody is to find it any more. */
	hash_del(&req->named);
	/* extra] */
	return ret;
}

/**
 * azb_queue_count_end() - the owner of a request gives it up
 * @queue: the queue
 * @req: the request
 * @error: why, a negative errno
 *
 * Context: under queue.lock.
 */
/* [uring, else: static void azb_queue_count_end(struct azb_queue *queue, */
/* else:				const struct azb_request *req, int error) */
void azb_queue_count_end(struct azb_queue *queue, const struct azb_request *req, int error)
/* uring] */
{
	/* [extra */
	if (req->is_control)
		return;
	/* extra] */
	switch (error) {
	case -ETIMEDOUT:
		trace_hv_azure_blob_timeout(azb_of(queue), req);
		azb_queue_count(queue, AZB_CNT_TIMED_OUT);
		break;
	/* [uring */
	case -ECANCELED:
		azb_queue_count(queue, AZB_CNT_CANCELLED);
		break;
	/* uring] */
	default:
		azb_queue_count(queue, AZB_CNT_KILLED);
		break;
	}
}

/**
 * azb_queue_wait_admitted() - wait in line for bytes
 * @azb: the device
 * @req: azb_queue_admit() has put it in line; the caller's again afterwards
 *
 * Return: 0 when it may be pinned; -EINTR when the thread is being killed,
 * -ETIMEDOUT when the time-out passed long ago, -ENODEV.
 */
int azb_queue_wait_admitted(struct azb_device *azb, struct azb_request *req)
{
	struct azb_queue *queue = &azb->queue;
	int error;

	error = azb_request_await(queue, req, AZB_REQ_ASKING);
	if (error) {
		azb_queue_count_end(queue, req, error);
		azb_budget_leave(&queue->budget, &req->ticket);
		/* Who stood behind it may fit. */
		azb_queue_grant(queue);
	} else if (req->state == AZB_REQ_DONE) {
		error = req->error;
	}
	spin_unlock_bh(&queue->lock);
	return error;
}

/**
 * azb_queue_wait() - wait for the end of a request
 * @azb: the device
 * @req: submitted; must not be touched after the call
 * @answer: filled when the result is 0
 *
 * Return: 0; -EINTR when the thread is being killed and -ETIMEDOUT when the host
 * is overdue, with the pages staying pinned until the host is done; -ENODEV;
 * -EIO when the completion made no sense.
 */
int azb_queue_wait(struct azb_device *azb, struct azb_request *req,
		   struct azb_answer *answer)
{
	struct azb_queue *queue = &azb->queue;
	int error;

	error = azb_request_await(queue, req, AZB_REQ_SENT);
	if (error) {
		azb_queue_count_end(queue, req, error);
		if (req->state == AZB_REQ_SENT) {
			azb_queue_abandon(queue, req);
			/* [extra */
			/* The host may have to be told. */
			azb_queue_pump(azb);
			/* extra] */
			spin_unlock_bh(&queue->lock);
			return error;
		}
		azb_queue_leave(queue, req);
		azb_queue_pump(azb);
	} else {
		error = req->error;
		if (!error)
			*answer = req->answer;
	}
	spin_unlock_bh(&queue->lock);
	azb_queue_forget(azb, req);
	return error;
}

/* [uring */
/**
 * azb_queue_give_up() - end a request, or what its owner has of it
 * @queue: the queue
 * @req: with ops when it is SENT
 * @error: negative errno to end it with
 *
 * Context: under queue.lock; azb_queue_grant() and azb_queue_pump() are due then.
 */
void azb_queue_give_up(struct azb_queue *queue, struct azb_request *req, int error)
{
	switch (req->state) {
	case AZB_REQ_NEW:
	case AZB_REQ_GRANTED:
		/* Somebody is at work on it, who will see this. */
		if (!req->given_up)
			req->given_up = error;
		break;
	case AZB_REQ_ASKING:
		azb_queue_count_end(queue, req, error);
		azb_budget_leave(&queue->budget, &req->ticket);
		azb_queue_finish(queue, req, error);
		break;
	case AZB_REQ_QUEUED:
		azb_queue_count_end(queue, req, error);
		azb_queue_leave(queue, req);
		azb_queue_finish(queue, req, error);
		break;
	case AZB_REQ_SENT:
		azb_queue_count_end(queue, req, error);
		azb_queue_abandon(queue, req);
		req->ops->detached(req, error);
		break;
	case AZB_REQ_DONE:
		break;
	}
}

/**
 * azb_queue_walked() - in a walk over requests, let others have the lock at times
 * @queue: the queue
 * @seen: how many requests the walk has looked at, from 0; grows by one
 *
 * There can be any number of requests, in line for bytes.
 *
 * Context: process; under queue.lock, which it may drop and take again. What the walk
 * has not looked at can change meanwhile.
 */
void azb_queue_walked(struct azb_queue *queue, u32 *seen)
	__must_hold(&queue->lock)
{
	if (++*seen % AZB_WALK_BATCH)
		return;
	azb_queue_grant(queue);
	azb_queue_pump(azb_of(queue));
	spin_unlock_bh(&queue->lock);
	cond_resched();
	spin_lock_bh(&queue->lock);
}

/**
 * azb_queue_cancel() - end a command early
 * @azb: the device
 * @slot: where its owner keeps the request, or NULL when it has none any more;
 *	under queue.lock
 * @error: negative errno to end it with
 *
 * If the host has the request, it becomes the queue's; the command ends all the
 * same.
 *
 * Context: any but hard interrupt.
 */
void azb_queue_cancel(struct azb_device *azb, struct azb_request **slot, int error)
{
	struct azb_queue *queue = &azb->queue;

	spin_lock_bh(&queue->lock);
	if (*slot) {
		azb_queue_give_up(queue, *slot, error);
		azb_queue_grant(queue);
		azb_queue_pump(azb);
	}
	spin_unlock_bh(&queue->lock);
}

/* One timer for all of them: it is set for the earliest. */
static void azb_watchdog_set(struct azb_queue *queue, unsigned long left)
{
	unsigned long at = jiffies + left;

	if (queue->watchdog_on && !time_before(at, queue->watchdog_at))
		return;
	queue->watchdog_on = true;
	queue->watchdog_at = at;
	cancel_delayed_work(&queue->watchdog);
	schedule_delayed_work(&queue->watchdog, left);
}

/**
 * azb_watchdog_watch() - let go of a command when the host is overdue
 * @queue: the queue
 * @req: with ops; watched until it is DONE or abandoned
 *
 * Context: under queue.lock.
 */
void azb_watchdog_watch(struct azb_queue *queue, struct azb_request *req)
{
	lockdep_assert_held(&queue->lock);
	if (!req->timeout_ms)
		return;
	list_add_tail(&req->watch, &queue->watched);
	azb_watchdog_set(queue, azb_request_time_left(req));
}

/*
 * Most commands end long before, so all are looked at, but seldom.  Whatever others do
 * in between to the requests that have not been looked at, each is on one of the two
 * lists or on none.
 */
static void azb_watchdog_fire(struct work_struct *work)
{
	struct azb_queue *queue = container_of(to_delayed_work(work), struct azb_queue,
					       watchdog);
	long left, least = LONG_MAX;
	struct azb_request *req;
	LIST_HEAD(rest);
	u32 seen = 0;

	spin_lock_bh(&queue->lock);
	queue->watchdog_on = false;
	list_splice_init(&queue->watched, &rest);
	while (!list_empty(&rest)) {
		req = list_first_entry(&rest, struct azb_request, watch);
		list_move_tail(&req->watch, &queue->watched);
		left = azb_request_time_left(req);
		if (left)
			least = min(least, left);
		else
			azb_queue_give_up(queue, req, -ETIMEDOUT);
		azb_queue_walked(queue, &seen);
	}
	if (least != LONG_MAX)
		azb_watchdog_set(queue, least);
	azb_queue_grant(queue);
	azb_queue_pump(azb_of(queue));
	spin_unlock_bh(&queue->lock);
}

/**
 * azb_watchdog_init() - nobody to watch yet
 * @queue: being initialised
 */
void azb_watchdog_init(struct azb_queue *queue)
{
	INIT_LIST_HEAD(&queue->watched);
	INIT_DELAYED_WORK(&queue->watchdog, azb_watchdog_fire);
}

/**
 * azb_watchdog_stop() - for good
 * @queue: with no request any more
 *
 * Context: may sleep.
 */
void azb_watchdog_stop(struct azb_queue *queue)
{
	cancel_delayed_work_sync(&queue->watchdog);
}

/* uring] */
