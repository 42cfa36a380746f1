// SPDX-License-Identifier: GPL-2.0-only
/*
 * From submission to completion, in fair order.
 *
 * A request needs two things before the host can see it: a transaction id and
 * room on the outbound ring.  Both are handed out in the order of arrival.  The
 * head of the line waits until there is enough for it, and nobody passes it: the
 * largest request takes half of the ring and would otherwise never get there
 * while small ones keep coming.  Whatever may make room runs azb_queue_pump():
 * every completion, every interrupt of the host, every request that leaves the
 * line early.
 *
 * The third thing, bytes, it has before it gets here (admit.c): a request in this
 * line is pinned.
 */
#include <linux/jiffies.h>
#include <linux/minmax.h>
#include <linux/slab.h>

#include "azb.h"
#include "trace.h"

/**
 * azb_queue_finish() - end a request
 * @queue: the queue
 * @req: in no line any more
 * @error: 0, or a negative errno that stands for the answer
 *
 * Unless it was abandoned, its owner may free it as soon as the lock is dropped.
 *
 * Context: under queue.lock.
 */
void azb_queue_finish(struct azb_queue *queue, struct azb_request *req, int error)
{
	lockdep_assert_held(&queue->lock);
	azb_request_set_state(req, AZB_REQ_DONE);
	req->error = error;
	/* [extra, else: if (error == -ENODEV) */
	if (error == -ENODEV && !req->is_control)
	/* extra] */
		azb_queue_count(queue, AZB_CNT_CUT_OFF);
	/* [uring */
	list_del_init(&req->watch);
	/* uring] */
	/* [extra */
	hash_del(&req->named);
	/* extra] */
	if (req->abandoned) {
		/* Unpinning can sleep, and this may be a softirq. */
		queue->nr_abandoned--;
		list_add_tail(&req->node, &queue->reap);
		schedule_work(&queue->reap_work);
	/* [uring */
	} else if (req->ops) {
		req->ops->ended(req);
	/* uring] */
	} else {
		wake_up(&req->wake);
	}
}

/**
 * azb_queue_abandon() - the owner of a request goes away
 * @queue: the queue
 * @req: SENT; it is the queue's from now on
 *
 * [uring
 * Sends nothing and ends nothing, so that it can be called amid a walk over requests.
 *
 * uring]
 * [extra, else: Context: under queue.lock.
 * Context: under queue.lock; azb_queue_pump() is due then.
 * extra]
 */
void azb_queue_abandon(struct azb_queue *queue, struct azb_request *req)
{
	lockdep_assert_held(&queue->lock);
	/* [uring */
	list_del_init(&req->watch);
	/* uring] */
	/* [extra */
	if (!req->is_control)
	/* extra] */
		trace_hv_azure_blob_abandon(azb_of(queue), req);
	req->abandoned = true;
	queue->nr_abandoned++;
	/* [extra */
	hash_del(&req->named);
	/* Without memory the host simply is not told. */
	if (!req->is_control)
		azb_cancel_tell(queue, req);
	/* extra] */
}

/* Takes a request off the list of those that the host owns. */
static void azb_queue_unsend(struct azb_queue *queue, struct azb_request *req)
{
	lockdep_assert_held(&queue->lock);
	list_del(&req->node);
	if (!--queue->nr_sent)
		wake_up_all(&queue->drained);
}

static void azb_queue_disarm(struct azb_device *azb)
{
	lockdep_assert_held(&azb->queue.lock);
	if (!azb->queue.armed)
		return;
	azb->queue.armed = false;
	azb_ring_want_room(azb, 0);
}

/*
 * Is there room for the head?  If not, the host is asked for an interrupt when
 * there is.  Hosts that do not know that answer what is on the ring some time,
 * which has the same effect.
 */
static bool azb_queue_room(struct azb_device *azb, u32 bytes)
{
	struct azb_queue *queue = &azb->queue;

	if (azb_ring_has_room(azb, bytes))
		return true;
	azb_queue_count(queue, AZB_CNT_RING_FULL);
	queue->armed = true;
	azb_ring_want_room(azb, bytes);
	/* It may have made room before it saw that. */
	return azb_ring_has_room(azb, bytes);
}

/* [extra */
/* The last ids are for what makes the host let go of something. */
static bool azb_queue_keeps_ids(struct azb_queue *queue, const struct azb_request *req)
{
	if (req->is_control && !req->layout.pages)
		return false;
	return queue->ids.used >= azb_max_requests(azb_of(queue));
}

/* extra] */
/* Sends the head.  False: it has to wait. */
static bool azb_queue_send_head(struct azb_device *azb)
{
	struct azb_queue *queue = &azb->queue;
	struct azb_request *req;
	void *owner;
	int ret;

	req = list_first_entry(&queue->waiting, struct azb_request, node);
	if (!azb_queue_room(azb, azb_request_ring_bytes(req)))
		return false;
	/* [extra */
	if (azb_queue_keeps_ids(queue, req)) {
		azb_queue_count(queue, AZB_CNT_IDS_FULL);
		return false;
	}
	/* extra] */
	req->id = azb_ids_get(&queue->ids, req);
	if (req->id == AZB_ID_NONE) {
		azb_queue_count(queue, AZB_CNT_IDS_FULL);
		return false;
	}

	/*
	 * All of this before the host can answer.  (The answer waits for the
	 * lock, but a reader of the code should not have to know.)
	 */
	list_move_tail(&req->node, &queue->sent);
	queue->nr_waiting--;
	queue->nr_sent++;
	queue->max_sent = max(queue->max_sent, queue->nr_sent);
	azb_request_set_state(req, AZB_REQ_SENT);
	req->was_sent = true;
	req->since = jiffies;

	ret = azb_ring_send(azb, req);
	/*
	 * ENODEV says that the channel is being rescinded, not whether the
	 * packet still got onto the ring.  Remove is on its way and sorts it out.
	 */
	if (!ret || ret == -ENODEV) {
		/* [extra */
		if (!req->is_control)
		/* extra] */
			trace_hv_azure_blob_sent(azb, req, queue->nr_sent);
		return true;
	}

	azb_ids_put(&queue->ids, req->id, &owner);
	azb_queue_unsend(queue, req);
	req->was_sent = false;
	azb_queue_count(queue, AZB_CNT_SEND_ERROR);
	azb_queue_finish(queue, req, -EIO);
	return true;
}

/**
 * azb_queue_pump() - send what can be sent now
 * @azb: the device
 *
 * Context: under queue.lock.
 */
void azb_queue_pump(struct azb_device *azb)
{
	struct azb_queue *queue = &azb->queue;

	lockdep_assert_held(&queue->lock);
	if (queue->state != AZB_QUEUE_RUNNING)
		return;
	while (!list_empty(&queue->waiting))
		if (!azb_queue_send_head(azb))
			return;
	azb_queue_disarm(azb);
}

/**
 * azb_queue_kick() - send what can be sent now
 * @azb: the device
 *
 * Context: any but hard interrupt.
 */
void azb_queue_kick(struct azb_device *azb)
{
	spin_lock_bh(&azb->queue.lock);
	azb_queue_pump(azb);
	spin_unlock_bh(&azb->queue.lock);
}

/**
 * azb_queue_leave() - take a request out of the line without sending it
 * @queue: the queue; whoever stood behind may go now
 * @req: QUEUED
 *
 * Context: under queue.lock.
 */
void azb_queue_leave(struct azb_queue *queue, struct azb_request *req)
{
	lockdep_assert_held(&queue->lock);
	list_del(&req->node);
	/* [uring */
	list_del_init(&req->watch);
	/* uring] */
	/* [extra */
	hash_del(&req->named);
	/* extra] */
	queue->nr_waiting--;
	azb_request_set_state(req, AZB_REQ_DONE);
}

/* [extra */
/*
 * The host forgets all buffers when it goes, or the system hibernates, and may not even
 * know what a buffer is when the channel is open again.  What still has to do with one
 * of before must not get there.
 */
static int azb_queue_check_buffer(struct azb_queue *queue, const struct azb_request *req)
{
	u32 epoch = azb_of(queue)->buffers.epoch;

	if (req->is_control)
		return queue->state == AZB_QUEUE_RUNNING && req->epoch == epoch ? 0 : -ENODEV;
	return req->buffer && req->epoch != epoch ? -ENOENT : 0;
}

/* extra] */
/**
 * azb_queue_submit() - put a request in line
 * @azb: the device
 * @req: admitted and pinned; on failure the caller's again, on success its end comes
 *	from azb_queue_wait()
 * [uring
 *	or from its ops
 * uring]
 * @nonblock: rather fail than wait in line
 *
 * Return: 0, -ENODEV when the device has gone, or -EAGAIN with @nonblock.
 * [uring
 * What the request was given up with before.
 * uring]
 * [extra
 * -ENODEV also when the device has forgotten what a control packet is about, and -ENOENT
 * when it has forgotten the request's registered buffer.
 * extra]
 */
int azb_queue_submit(struct azb_device *azb, struct azb_request *req,
		     bool nonblock)
{
	struct azb_queue *queue = &azb->queue;
	int ret = 0;

	spin_lock_bh(&queue->lock);
	if (queue->state == AZB_QUEUE_GONE) {
		ret = -ENODEV;
		goto out;
	}
	/* [uring */
	if (req->given_up) {
		ret = req->given_up;
		azb_queue_count_end(queue, req, ret);
		goto out;
	}
	/* uring] */
	/* [extra */
	ret = azb_queue_check_buffer(queue, req);
	if (ret)
		goto out;
	/* extra] */
	list_add_tail(&req->node, &queue->waiting);
	queue->nr_waiting++;
	req->state = AZB_REQ_QUEUED;
	req->since = jiffies;
	/* [extra */
	if (!req->is_control)
	/* extra] */
		trace_hv_azure_blob_submit(azb, req);
	azb_queue_pump(azb);
	if (nonblock && req->state == AZB_REQ_QUEUED) {
		azb_queue_leave(queue, req);
		if (list_empty(&queue->waiting))
			azb_queue_disarm(azb);
		azb_queue_count(queue, AZB_CNT_WOULD_BLOCK);
		ret = -EAGAIN;
		goto out;
	}
	queue->max_waiting = max(queue->max_waiting, queue->nr_waiting);
	/* [extra */
	if (!req->is_control)
	/* extra] */
		azb_queue_count(queue, AZB_CNT_SUBMITTED);
out:
	spin_unlock_bh(&queue->lock);
	return ret;
}

static int azb_answer_counter(enum azb_answer_check check)
{
	switch (check) {
	case AZB_ANSWER_SHORT:
		return AZB_CNT_BAD_SHORT;
	case AZB_ANSWER_BAD_LENGTH:
		return AZB_CNT_BAD_LENGTH;
	default:
		return AZB_CNT_BAD_RESPONSE_LEN;
	}
}

/**
 * azb_queue_complete() - the host has completed something
 * @azb: the device
 * @id: transaction id, as the host sent it
 * @payload: of the packet, in memory that the host cannot change
 * @len: bytes of it
 *
 * Return: whether it was about a request that the host has.
 *
 * Context: any but hard interrupt.
 */
bool azb_queue_complete(struct azb_device *azb, u64 id, const void *payload,
			u32 len)
{
	struct azb_queue *queue = &azb->queue;
	enum azb_id_state state;
	enum azb_answer_check check = AZB_ANSWER_OK;
	struct azb_request *req;
	void *owner;

	spin_lock_bh(&queue->lock);
	state = azb_ids_put(&queue->ids, id, &owner);
	if (state != AZB_ID_LIVE) {
		azb_queue_count(queue, state == AZB_ID_STALE ? AZB_CNT_BAD_ID_STALE :
							 AZB_CNT_BAD_ID_UNKNOWN);
		goto out;
	}

	req = owner;
	azb_queue_unsend(queue, req);
	/* [extra, else: if (req->abandoned) */
	if (req->abandoned && !req->is_control)
	/* extra] */
		azb_queue_count(queue, AZB_CNT_LATE);
	check = azb_wire_parse_completion(payload, len,
					  req->layout.buf[AZB_RESPONSE].len,
					  &req->answer);
	if (check != AZB_ANSWER_OK)
		azb_queue_count(queue, azb_answer_counter(check));
	/* [extra, else: else */
	else if (!req->is_control)
	/* extra] */
		azb_queue_count(queue, AZB_CNT_COMPLETED);
	/* [extra */
	if (!req->is_control)
	/* extra] */
		trace_hv_azure_blob_complete(azb, req, check == AZB_ANSWER_OK ? 0 : -EIO);
	azb_queue_finish(queue, req, check == AZB_ANSWER_OK ? 0 : -EIO);
out:
	spin_unlock_bh(&queue->lock);

	if (state != AZB_ID_LIVE)
		dev_warn_ratelimited(&azb->dev, "completion of %s request %#llx\n",
				     state == AZB_ID_STALE ? "finished" : "unknown",
				     id);
	else if (check != AZB_ANSWER_OK)
		dev_warn_ratelimited(&azb->dev,
				     "malformed completion of request %#llx (%d)\n",
				     id, check);
	return state == AZB_ID_LIVE;
}

/**
 * azb_queue_bad_packet() - the host has sent something that is no completion
 * @azb: the device
 * @what: what is wrong with it, for the log
 * @value: the value that is wrong
 */
void azb_queue_bad_packet(struct azb_device *azb, const char *what, u32 value)
{
	spin_lock_bh(&azb->queue.lock);
	azb_queue_count(&azb->queue, AZB_CNT_BAD_PACKET);
	spin_unlock_bh(&azb->queue.lock);
	dev_warn_ratelimited(&azb->dev, "packet ignored: %s %u\n", what, value);
}

/**
 * azb_queue_nr_sent() - requests that the host owns right now
 * @queue: the queue
 */
u32 azb_queue_nr_sent(struct azb_queue *queue)
{
	u32 nr_sent;

	spin_lock_bh(&queue->lock);
	nr_sent = queue->nr_sent;
	spin_unlock_bh(&queue->lock);
	return nr_sent;
}

/* azb_queue_is_gone() looks at it without the lock. */
static void azb_queue_set_state(struct azb_queue *queue, enum azb_queue_state state)
{
	lockdep_assert_held(&queue->lock);
	WRITE_ONCE(queue->state, state);
}

/**
 * azb_queue_is_gone() - can it be known already that a request would fail?
 * @queue: the queue
 *
 * Only to fail early: what counts is what azb_queue_submit() finds.
 */
bool azb_queue_is_gone(struct azb_queue *queue)
{
	return READ_ONCE(queue->state) == AZB_QUEUE_GONE;
}

/**
 * azb_queue_is_idle() - has the host got nothing, and is nothing on its way there?
 * @queue: the queue
 */
bool azb_queue_is_idle(struct azb_queue *queue)
{
	bool idle;

	spin_lock_bh(&queue->lock);
	idle = !queue->nr_sent && !queue->nr_waiting;
	spin_unlock_bh(&queue->lock);
	return idle;
}

/**
 * azb_queue_pause() - stop sending, go on accepting
 * @azb: the device; its channel is open still
 *
 * Return: 0; or how many requests stand against it, the host's and those in line.
 */
u32 azb_queue_pause(struct azb_device *azb)
{
	struct azb_queue *queue = &azb->queue;
	u32 left;

	spin_lock_bh(&queue->lock);
	left = queue->nr_sent + queue->nr_waiting;
	if (!left && queue->state == AZB_QUEUE_RUNNING)
		azb_queue_set_state(queue, AZB_QUEUE_PAUSED);
	spin_unlock_bh(&queue->lock);
	return left;
}

/**
 * azb_queue_resume() - send, at first or again
 * @azb: the device; its channel is open
 */
void azb_queue_resume(struct azb_device *azb)
{
	struct azb_queue *queue = &azb->queue;

	spin_lock_bh(&queue->lock);
	if (queue->state == AZB_QUEUE_PAUSED)
		azb_queue_set_state(queue, AZB_QUEUE_RUNNING);
	azb_queue_pump(azb);
	spin_unlock_bh(&queue->lock);
}

/**
 * azb_queue_stop() - accept and send nothing more, for good
 * @azb: the device
 *
 * What waits in either line ends with ENODEV; what the host owns goes on.
 *
 * Context: any but hard interrupt.
 */
void azb_queue_stop(struct azb_device *azb)
{
	struct azb_queue *queue = &azb->queue;
	struct azb_request *req;

	spin_lock_bh(&queue->lock);
	azb_queue_set_state(queue, AZB_QUEUE_GONE);
	while (!list_empty(&queue->waiting)) {
		req = list_first_entry(&queue->waiting, struct azb_request, node);
		azb_queue_leave(queue, req);
		azb_queue_finish(queue, req, -ENODEV);
	}
	azb_queue_refuse_all(queue);
	spin_unlock_bh(&queue->lock);
}

/**
 * azb_queue_cut_off() - end with ENODEV what the host has not answered
 * @azb: the device, stopped; the host cannot write to its pages any more,
 *	because it rescinded the channel or the channel is closed
 *
 * Context: may sleep; no completion can come in any more.
 */
void azb_queue_cut_off(struct azb_device *azb)
{
	struct azb_queue *queue = &azb->queue;
	struct azb_request *req;
	void *owner;

	spin_lock_bh(&queue->lock);
	while (!list_empty(&queue->sent)) {
		req = list_first_entry(&queue->sent, struct azb_request, node);
		azb_ids_put(&queue->ids, req->id, &owner);
		azb_queue_unsend(queue, req);
		azb_queue_finish(queue, req, -ENODEV);
	}
	spin_unlock_bh(&queue->lock);
	/* The last abandoned ones are gone before remove returns. */
	flush_work(&queue->reap_work);
}

static void azb_queue_reap(struct work_struct *work)
{
	struct azb_queue *queue = container_of(work, struct azb_queue, reap_work);
	struct azb_device *azb = azb_of(queue);
	struct azb_request *req, *next;
	LIST_HEAD(reap);

	spin_lock_bh(&queue->lock);
	list_splice_init(&queue->reap, &reap);
	spin_unlock_bh(&queue->lock);
	list_for_each_entry_safe(req, next, &reap, node)
		azb_queue_forget(azb, req);
}

/**
 * azb_queue_init() - an empty queue, paused
 * @queue: zeroed
 *
 * Return: 0 or -ENOMEM.
 */
int azb_queue_init(struct azb_queue *queue)
{
	struct azb_id_slot *slots;

	slots = kvcalloc(VSP_WIRE_MAX_OUTSTANDING, sizeof(*slots), GFP_KERNEL);
	if (!slots)
		return -ENOMEM;
	azb_ids_init(&queue->ids, slots, VSP_WIRE_MAX_OUTSTANDING);
	spin_lock_init(&queue->lock);
	queue->state = AZB_QUEUE_PAUSED;
	INIT_LIST_HEAD(&queue->waiting);
	INIT_LIST_HEAD(&queue->sent);
	INIT_LIST_HEAD(&queue->reap);
	init_waitqueue_head(&queue->drained);
	INIT_WORK(&queue->reap_work, azb_queue_reap);
	azb_admit_init(&queue->budget);
	/* [uring */
	azb_watchdog_init(queue);
	/* uring] */
	/* [extra */
	mutex_init(&queue->cancelling);
	hash_init(queue->named);
	/* extra] */
	return 0;
}

/**
 * azb_queue_destroy() - free what azb_queue_init() allocated
 * @queue: no request is in it any more
 */
void azb_queue_destroy(struct azb_queue *queue)
{
	/* [uring */
	azb_watchdog_stop(queue);
	/* uring] */
	kvfree(queue->ids.slots);
}
