// SPDX-License-Identifier: GPL-2.0-only
/*
 * The line for bytes: nothing is pinned before it is charged, and what is charged
 * stays so until it is unpinned.
 */
#include <linux/cred.h>
#include <linux/jiffies.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/slab.h>

#include "azb.h"

static struct azb_request *azb_request_of(struct azb_ticket *ticket)
{
	return container_of(ticket, struct azb_request, ticket);
}

/**
 * azb_queue_grant() - hand out the bytes that there are
 * @queue: the queue
 *
 * Context: under queue.lock.
 */
void azb_queue_grant(struct azb_queue *queue)
{
	struct azb_ticket *ticket;
	struct azb_request *req;

	lockdep_assert_held(&queue->lock);
	while ((ticket = azb_budget_next(&queue->budget))) {
		req = azb_request_of(ticket);
		azb_request_set_state(req, AZB_REQ_GRANTED);
		/* [uring */
		if (req->ops)
			req->ops->granted(req);
		else
		/* uring] */
			wake_up(&req->wake);
	}
}

/**
 * azb_queue_refuse_all() - end with ENODEV whoever waits for bytes
 * @queue: the queue, which accepts nobody any more
 *
 * Context: under queue.lock.
 */
void azb_queue_refuse_all(struct azb_queue *queue)
{
	struct azb_ticket *ticket;

	while ((ticket = azb_budget_any(&queue->budget))) {
		azb_budget_leave(&queue->budget, ticket);
		azb_queue_finish(queue, azb_request_of(ticket), -ENODEV);
	}
}

/* Joins the line; true: and has been through it. */
static bool azb_queue_join(struct azb_queue *queue, struct azb_request *req,
			   kuid_t uid, struct azb_user **spare)
{
	struct azb_ticket *ticket;

	req->state = AZB_REQ_ASKING;
	req->since = jiffies;
	azb_budget_join(&queue->budget, &req->ticket, uid, spare);
	/* Whoever else could go has gone already. */
	ticket = azb_budget_next(&queue->budget);
	if (!ticket)
		return false;
	WARN_ON_ONCE(ticket != &req->ticket);
	req->state = AZB_REQ_GRANTED;
	return true;
}

/**
 * azb_queue_admit() - charge the bytes of a request, or get in line for them
 * @azb: the device
 * @req: new; nothing of it is pinned yet
 * @nonblock: rather fail than wait in line
 *
 * The caller pays.
 *
 * Return: 0 when it is charged: it may be pinned and submitted.  -ENODEV when the
 * device has gone, -EAGAIN with @nonblock, -ENOMEM: the request is the caller's
 * again.  1 when it is in line: azb_queue_wait_admitted() is to be called.
 * [uring
 * Or its ops are called.
 * uring]
 *
 * Context: may sleep.
 */
int azb_queue_admit(struct azb_device *azb, struct azb_request *req, bool nonblock)
{
	struct azb_queue *queue = &azb->queue;
	kuid_t uid = current_uid();
	struct azb_user *spare;
	unsigned int i;
	u32 pages = 0;
	int ret;

	for (i = 0; i < AZB_NR_BUFS; i++)
		pages += azb_buf_kernel_pages(&req->layout.buf[i], PAGE_SHIFT);
	/* [extra, else: req->ticket.bytes = (u64)pages << PAGE_SHIFT; */
	/* What is all in registered buffers still has its place in the user's line. */
	req->ticket.bytes = (u64)max(pages, 1u) << PAGE_SHIFT;
	/* extra] */

	spare = kmalloc_obj(*spare, GFP_KERNEL_ACCOUNT);
	if (!spare)
		return -ENOMEM;

	spin_lock_bh(&queue->lock);
	if (queue->state == AZB_QUEUE_GONE) {
		ret = -ENODEV;
	} else if (azb_queue_join(queue, req, uid, &spare)) {
		ret = 0;
	} else if (nonblock) {
		azb_budget_leave(&queue->budget, &req->ticket);
		req->state = AZB_REQ_NEW;
		azb_queue_count(queue, AZB_CNT_WOULD_BLOCK);
		ret = -EAGAIN;
	} else {
		azb_queue_count(queue, AZB_CNT_OVER_BUDGET);
		ret = 1;
	}
	/* [uring */
	if (ret >= 0 && req->ops)
		azb_watchdog_watch(queue, req);
	/* uring] */
	/* [extra */
	if (ret >= 0)
		azb_cancel_name(queue, req);
	/* extra] */
	spin_unlock_bh(&queue->lock);
	kfree(spare);
	return ret;
}

/**
 * azb_queue_forget() - free a request and give its bytes back
 * @azb: the device
 * @req: the host is done with it, or has never seen it; not in line
 *
 * Context: may sleep.
 */
void azb_queue_forget(struct azb_device *azb, struct azb_request *req)
{
	struct azb_queue *queue = &azb->queue;
	struct azb_ticket ticket;

	/* [uring */
	/* What is DONE is in no list. */
	if (req->state != AZB_REQ_DONE) {
		spin_lock_bh(&queue->lock);
		list_del_init(&req->watch);
		/* [extra */
		hash_del(&req->named);
		/* extra] */
		spin_unlock_bh(&queue->lock);
	}
	/* uring] */
	/* In no line: charged, or not even that. */
	ticket = req->ticket;
	/* First the pages, then what is charged for them. */
	azb_request_free(req);
	spin_lock_bh(&queue->lock);
	azb_budget_leave(&queue->budget, &ticket);
	azb_queue_grant(queue);
	spin_unlock_bh(&queue->lock);
}

/**
 * azb_queue_set_limits() - change how many bytes may be pinned
 * @azb: the device
 * @limit: for all users together; NULL leaves it
 * @user_limit: for each; NULL leaves it
 *
 * What is pinned already stays so.
 */
void azb_queue_set_limits(struct azb_device *azb, const u64 *limit,
			  const u64 *user_limit)
{
	struct azb_queue *queue = &azb->queue;

	spin_lock_bh(&queue->lock);
	azb_budget_set_limits(&queue->budget,
			      limit ? *limit : queue->budget.limit,
			      user_limit ? *user_limit : queue->budget.user_limit);
	azb_queue_grant(queue);
	spin_unlock_bh(&queue->lock);
}

/**
 * azb_queue_get_limits() - how many bytes may be pinned
 * @azb: the device
 * @limit: filled, for all users together
 * @user_limit: filled, for each
 */
void azb_queue_get_limits(struct azb_device *azb, u64 *limit, u64 *user_limit)
{
	struct azb_queue *queue = &azb->queue;

	spin_lock_bh(&queue->lock);
	*limit = queue->budget.limit;
	*user_limit = queue->budget.user_limit;
	spin_unlock_bh(&queue->lock);
}

/**
 * azb_admit_init() - the limits of a new device
 * @budget: zeroed
 *
 * A quarter of the memory for all users and half of that for each of them, so that
 * one leaves something for the others; but always enough for two largest requests,
 * which with 256 MiB of memory and less is all that there is.
 */
void azb_admit_init(struct azb_budget *budget)
{
	u64 quarter = max((u64)totalram_pages() << PAGE_SHIFT >> 2, 2 * AZB_BYTES_MIN);

	azb_budget_init(budget, quarter, max(quarter >> 1, 2 * AZB_BYTES_MIN));
}
