// SPDX-License-Identifier: GPL-2.0-only
/*
 * Requests cancelled: by their program, which names them by their guid, and at the
 * host, where it knows how to.
 *
 * A request that the host has is not let go of here: its buffers are the host's until
 * it says so, which a cancel makes it say soon.
 */
#include <linux/errno.h>
#include <linux/hash.h>
#include <linux/jhash.h>
#include <linux/jiffies.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "azb.h"

#define AZB_GUID_SIZE sizeof_field(struct vsp_wire_request, transaction_guid)

/* Of the file as well: what one program names is not in the way of others. */
static u32 azb_cancel_key(const struct file *file, const u8 *guid)
{
	return jhash(guid, AZB_GUID_SIZE, hash_ptr(file, 32));
}

/**
 * azb_cancel_name() - let a request be found by its guid
 * @queue: the queue
 * @req: being admitted, with its file; found until it is DONE, abandoned or given up
 *
 * Context: under queue.lock.
 */
void azb_cancel_name(struct azb_queue *queue, struct azb_request *req)
{
	lockdep_assert_held(&queue->lock);
	hash_add(queue->named, &req->named, azb_cancel_key(req->file, req->wire.transaction_guid));
}

/* The answer to a cancel says nothing that the request's own does not say. */
static void azb_cancel_ended(struct azb_request *req)
{
	struct azb_queue *queue = req->owner;
	struct azb_request *about;

	/* The bus did not take it, so that the host knows nothing yet. */
	if (!req->was_sent) {
		about = azb_ids_find(&queue->ids, le64_to_cpu(req->control.transaction_id));
		if (about)
			about->told = false;
	}
	list_add_tail(&req->node, &queue->reap);
	schedule_work(&queue->reap_work);
}

static const struct azb_request_ops azb_cancel_ops = {
	.ended = azb_cancel_ended,
};

/**
 * azb_cancel_tell() - tell the host that a request is cancelled
 * @queue: the queue
 * @req: SENT, and not the driver's own
 *
 * That is a small packet, and others may wait for what the request holds: it goes to
 * the head of the line, and may have one of the transaction ids that are kept.
 *
 * Return: 0, also when the host knows already; -EOPNOTSUPP when it would not
 * understand; -ENODEV when nothing is sent any more; -ENOMEM.
 *
 * Context: under queue.lock; azb_queue_pump() is due then.
 */
int azb_cancel_tell(struct azb_queue *queue, struct azb_request *req)
{
	struct azb_request *cancel;

	lockdep_assert_held(&queue->lock);
	if (req->told)
		return 0;
	if (!(azb_of(queue)->host.features & VSP_WIRE_FEATURE_CANCEL))
		return -EOPNOTSUPP;
	if (queue->state != AZB_QUEUE_RUNNING)
		return -ENODEV;
	cancel = azb_control_create(VSP_WIRE_OP_CANCEL, GFP_ATOMIC | __GFP_NOWARN);
	if (!cancel)
		return -ENOMEM;
	cancel->control.transaction_id = cpu_to_le64(req->id);
	cancel->ops = &azb_cancel_ops;
	cancel->owner = queue;
	cancel->state = AZB_REQ_QUEUED;
	cancel->since = jiffies;
	list_add(&cancel->node, &queue->waiting);
	queue->nr_waiting++;
	req->told = true;
	return 0;
}

/* True: the host has been told about @req, or is about to be. */
static bool azb_cancel_one(struct azb_queue *queue, struct azb_request *req, u32 *ended,
			   int *error)
{
	int ret;

	if (req->state != AZB_REQ_SENT) {
		azb_queue_give_up(queue, req, -ECANCELED);
		++*ended;
		return false;
	}
	ret = azb_cancel_tell(queue, req);
	if (ret)
		*error = ret;
	return !ret;
}

/**
 * azb_cancel_by_name() - cancel what a program names
 * @azb: the device
 * @file: that the requests came through
 * @guid: 16 bytes, which several may have
 * @ended: filled with how many end, or have ended, without the host
 * @told: filled with how many the host has been told about, now or before, or is
 *	told about as soon as the ring has room
 *
 * Return: 0 when there was at least one; -ENOENT when there is none, -EOPNOTSUPP
 * or -ENOMEM when nothing could be done about those that there are, -ENODEV.
 *
 * Context: may sleep.
 */
int azb_cancel_by_name(struct azb_device *azb, const struct file *file, const u8 *guid,
		       u32 *ended, u32 *told)
{
	struct azb_queue *queue = &azb->queue;
	u32 key = azb_cancel_key(file, guid);
	struct hlist_head *bucket = &queue->named[hash_min(key, HASH_BITS(queue->named))];
	struct azb_request *req;
	int error = -ENOENT;
	HLIST_HEAD(rest);
	u32 seen = 0;

	*ended = 0;
	*told = 0;
	/* Another one would not find what is on @rest. */
	mutex_lock(&queue->cancelling);
	spin_lock_bh(&queue->lock);
	if (queue->state == AZB_QUEUE_GONE)
		error = -ENODEV;
	hlist_move_list(bucket, &rest);
	while (!hlist_empty(&rest)) {
		req = hlist_entry(rest.first, struct azb_request, named);
		hash_del(&req->named);
		hlist_add_head(&req->named, bucket);
		if (req->file == file &&
		    !memcmp(req->wire.transaction_guid, guid, AZB_GUID_SIZE) &&
		    azb_cancel_one(queue, req, ended, &error))
			++*told;
		azb_queue_walked(queue, &seen);
	}
	azb_queue_grant(queue);
	azb_queue_pump(azb);
	spin_unlock_bh(&queue->lock);
	mutex_unlock(&queue->cancelling);
	return *ended || *told ? 0 : error;
}
