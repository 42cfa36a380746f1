// SPDX-License-Identifier: GPL-2.0-only
/*
 * A device whose ring is an array, for the tests of what stands before it.
 */
#include <kunit/test.h>
#include <linux/jiffies.h>
#include <linux/kthread.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <uapi/misc/hv_azure_blob.h>

#include "fake.h"

bool azb_ring_has_room(struct azb_device *azb, u32 bytes)
{
	return fake_of(azb)->room > bytes;
}

void azb_ring_want_room(struct azb_device *azb, u32 bytes)
{
	struct fake *fake = fake_of(azb);

	fake->wanted = bytes;
	if (bytes && fake->room_at_wish)
		fake->room = fake->room_at_wish;
}

int azb_ring_send(struct azb_device *azb, struct azb_request *req)
{
	struct fake *fake = fake_of(azb);

	if (fake->send_error)
		return fake->send_error;
	if (WARN_ON(fake->nr_sent == FAKE_MAX_SENT))
		return -EIO;
	fake->sent_ids[fake->nr_sent] = req->id;
	fake->sent_tags[fake->nr_sent] = le32_to_cpu(req->wire.version);
	/* [extra */
	if (req->is_control) {
		fake->sent_tags[fake->nr_sent] = le32_to_cpu(req->control.operation_type);
		fake->sent_first_page[fake->nr_sent] = le32_to_cpu(req->control.first_page);
	}
	if (fake->answers)
		schedule_work(&fake->answer);
	/* extra] */
	fake->nr_sent++;
	fake->room -= azb_request_ring_bytes(req);
	return 0;
}

struct fake *the_fake;

void azb_request_free(struct azb_request *req)
{
	kfree(req);
	atomic_inc(&the_fake->freed);
}

/* [extra */
struct device *azb_fake_device_get(struct device *dev)
{
	atomic_inc(&the_fake->refs);
	return dev;
}

void azb_device_put(struct azb_device *azb)
{
	atomic_dec(&the_fake->refs);
}

static void answer(struct work_struct *work)
{
	struct fake *fake = container_of(work, struct fake, answer);
	struct azb_queue *queue = &fake->azb.queue;
	u32 status;
	u64 id;

	spin_lock_bh(&queue->lock);
	while (fake->nr_answered < fake->nr_sent) {
		id = fake->sent_ids[fake->nr_answered];
		status = fake->nr_answered >= fake->refuse_from ? fake->refuse_with : 0;
		fake->nr_answered++;
		fake->room = VSP_WIRE_RING_SIZE - VSP_WIRE_PAGE_SIZE;
		spin_unlock_bh(&queue->lock);
		azb_fake_complete(fake, id, status, 0);
		spin_lock_bh(&queue->lock);
	}
	spin_unlock_bh(&queue->lock);
}

struct azb_request *azb_control_create(u32 operation, gfp_t gfp)
{
	struct azb_request *req = kzalloc_obj(*req, gfp);

	if (!req)
		return NULL;
	req->is_control = true;
	req->control.operation_type = cpu_to_le32(operation);
	req->wire_len = sizeof(req->control);
	INIT_LIST_HEAD(&req->node);
	INIT_LIST_HEAD(&req->watch);
	init_waitqueue_head(&req->wake);
	return req;
}

/* extra] */
int azb_fake_init(struct kunit *test)
{
	struct fake *fake = kunit_kzalloc(test, sizeof(*fake), GFP_KERNEL);
	int ret;

	if (!fake)
		return -ENOMEM;
	ret = azb_queue_init(&fake->azb.queue);
	if (ret)
		return ret;
	fake->room = VSP_WIRE_RING_SIZE - VSP_WIRE_PAGE_SIZE;
	fake->azb.dev.init_name = "azure_blob_test";
	/* [extra */
	INIT_WORK(&fake->answer, answer);
	/* extra] */
	the_fake = fake;
	test->priv = fake;
	azb_queue_resume(&fake->azb);
	return 0;
}

void azb_fake_exit(struct kunit *test)
{
	struct fake *fake = test->priv;

	if (!fake)
		return;
	/* [extra */
	cancel_work_sync(&fake->answer);
	/* extra] */
	azb_queue_stop(&fake->azb);
	azb_queue_cut_off(&fake->azb);
	azb_queue_destroy(&fake->azb.queue);
}

/* @tag finds the request again; where it is kept does not matter to the queue. */
struct azb_request *azb_fake_request(struct kunit *test, u32 tag, u32 pages,
				     u32 timeout_ms)
{
	struct azb_request *req = kzalloc(sizeof(*req), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, req);
	req->layout.pages = pages;
	/* [extra */
	req->wire_len = sizeof(req->wire);
	/* extra] */
	req->layout.buf[AZB_RESPONSE].len = 100;
	req->wire.version = cpu_to_le32(tag);
	req->timeout_ms = timeout_ms;
	INIT_LIST_HEAD(&req->node);
	/* [uring */
	INIT_LIST_HEAD(&req->watch);
	/* uring] */
	init_waitqueue_head(&req->wake);
	return req;
}

void azb_fake_complete(struct fake *fake, u64 id, u32 status, u32 response_len)
{
	struct vsp_wire_completion wire = {
		.length = cpu_to_le32(sizeof(wire)),
		.error = cpu_to_le32(status),
		.response_length = cpu_to_le32(response_len),
	};

	azb_queue_complete(&fake->azb, id, &wire, sizeof(wire));
}

u64 azb_fake_count(struct fake *fake, enum azb_counter counter)
{
	u64 count;

	spin_lock_bh(&fake->azb.queue.lock);
	count = fake->azb.queue.counters[counter];
	spin_unlock_bh(&fake->azb.queue.lock);
	return count;
}
