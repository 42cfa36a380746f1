// SPDX-License-Identifier: GPL-2.0-only
/*
 * Requests that no thread waits for, from the line for bytes to their end, and the
 * ways in which their owner goes away first.
 */
#include <kunit/test.h>
#include <linux/jiffies.h>
#include <linux/slab.h>
#include <uapi/misc/hv_azure_blob.h>

#include "fake.h"

/* An owner, as a command of io_uring is. */
struct owner {
	struct azb_request *req; /* NULL once it is detached */
	u32 granted, ended, detached;
	int error;
};

static void on_granted(struct azb_request *req)
{
	((struct owner *)req->owner)->granted++;
}

static void on_ended(struct azb_request *req)
{
	((struct owner *)req->owner)->ended++;
}

static void on_detached(struct azb_request *req, int error)
{
	struct owner *owner = req->owner;

	owner->req = NULL;
	owner->detached++;
	owner->error = error;
}

static const struct azb_request_ops ops = {
	.granted = on_granted,
	.ended = on_ended,
	.detached = on_detached,
};

static struct owner *make_owner(struct kunit *test, u32 tag, u32 bytes, u32 timeout_ms)
{
	struct owner *owner = kunit_kzalloc(test, sizeof(*owner), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, owner);
	owner->req = azb_fake_request(test, tag, 2, timeout_ms);
	/* What admission charges for. */
	owner->req->layout.buf[AZB_RESPONSE].len = bytes;
	owner->req->ops = &ops;
	owner->req->owner = owner;
	return owner;
}

static void admit(struct kunit *test, struct owner *owner, int expected)
{
	struct fake *fake = test->priv;

	KUNIT_ASSERT_EQ(test, azb_queue_admit(&fake->azb, owner->req, false), expected);
}

static void submit(struct kunit *test, struct owner *owner)
{
	struct fake *fake = test->priv;

	KUNIT_ASSERT_EQ(test, azb_queue_submit(&fake->azb, owner->req, false), 0);
}

/* The host has it, unless the ring is full. */
static void send(struct kunit *test, struct owner *owner)
{
	admit(test, owner, 0);
	submit(test, owner);
}

static void expect_ended(struct kunit *test, struct owner *owner, int error)
{
	struct fake *fake = test->priv;

	KUNIT_EXPECT_EQ(test, owner->ended, 1u);
	KUNIT_EXPECT_EQ(test, owner->detached, 0u);
	KUNIT_EXPECT_EQ(test, owner->req->state, AZB_REQ_DONE);
	KUNIT_EXPECT_EQ(test, owner->req->error, error);
	azb_queue_forget(&fake->azb, owner->req);
	owner->req = NULL;
}

static void set_limit(struct fake *fake, u64 bytes)
{
	azb_queue_set_limits(&fake->azb, &bytes, &bytes);
}

static void expect_idle(struct kunit *test, u32 freed)
{
	struct fake *fake = test->priv;
	struct azb_queue *queue = &fake->azb.queue;

	flush_work(&queue->reap_work);
	KUNIT_EXPECT_EQ(test, atomic_read(&fake->freed), (int)freed);
	KUNIT_EXPECT_EQ(test, queue->budget.used, 0ull);
	KUNIT_EXPECT_TRUE(test, hash_empty(queue->budget.users));
	KUNIT_EXPECT_TRUE(test, list_empty(&queue->watched));
	KUNIT_EXPECT_EQ(test, queue->nr_abandoned, 0u);
}

static void async_request_is_answered(struct kunit *test)
{
	struct fake *fake = test->priv;
	struct owner *a = make_owner(test, 1, 100, 1000);

	send(test, a);
	KUNIT_EXPECT_EQ(test, fake->azb.queue.budget.used, (u64)PAGE_SIZE);
	azb_fake_complete(fake, fake->sent_ids[0], 7, 9);
	KUNIT_EXPECT_EQ(test, a->req->answer.status, 7u);
	KUNIT_EXPECT_EQ(test, a->req->answer.response_len, 9u);
	expect_ended(test, a, 0);
	KUNIT_EXPECT_EQ(test, a->granted, 0u);
	expect_idle(test, 1);
}

static void async_waits_for_bytes_in_order(struct kunit *test)
{
	struct fake *fake = test->priv;
	struct owner *a = make_owner(test, 1, 3 * PAGE_SIZE, 0);
	struct owner *b = make_owner(test, 2, 2 * PAGE_SIZE, 0);
	struct owner *c = make_owner(test, 3, PAGE_SIZE, 0);

	set_limit(fake, 4 * PAGE_SIZE);
	admit(test, a, 0);
	admit(test, b, 1);
	/* It would fit, but b was first. */
	admit(test, c, 1);
	KUNIT_EXPECT_EQ(test, azb_fake_count(fake, AZB_CNT_OVER_BUDGET), 2ull);
	submit(test, a);
	azb_fake_complete(fake, fake->sent_ids[0], 0, 0);
	KUNIT_EXPECT_EQ(test, b->granted, 0u);
	/* Not before the pages are unpinned. */
	expect_ended(test, a, 0);
	KUNIT_EXPECT_EQ(test, b->granted, 1u);
	KUNIT_EXPECT_EQ(test, c->granted, 1u);
	azb_queue_forget(&fake->azb, b->req);
	azb_queue_forget(&fake->azb, c->req);
	expect_idle(test, 3);
}

static void async_refuses_to_block_over_budget(struct kunit *test)
{
	struct fake *fake = test->priv;
	struct owner *a = make_owner(test, 1, PAGE_SIZE, 0);
	struct azb_request *b = azb_fake_request(test, 2, 2, 0);

	set_limit(fake, PAGE_SIZE);
	admit(test, a, 0);
	KUNIT_EXPECT_EQ(test, azb_queue_admit(&fake->azb, b, true), -EAGAIN);
	KUNIT_EXPECT_EQ(test, azb_fake_count(fake, AZB_CNT_WOULD_BLOCK), 1ull);
	azb_queue_forget(&fake->azb, b);
	azb_queue_forget(&fake->azb, a->req);
	expect_idle(test, 2);
}

static void async_cancelled_in_line_for_bytes(struct kunit *test)
{
	struct fake *fake = test->priv;
	struct owner *a = make_owner(test, 1, PAGE_SIZE, 0);
	struct owner *b = make_owner(test, 2, PAGE_SIZE, 0);
	struct owner *c = make_owner(test, 3, PAGE_SIZE, 0);

	set_limit(fake, PAGE_SIZE);
	admit(test, a, 0);
	admit(test, b, 1);
	admit(test, c, 1);
	azb_queue_cancel(&fake->azb, &b->req, -ECANCELED);
	expect_ended(test, b, -ECANCELED);
	azb_queue_forget(&fake->azb, a->req);
	KUNIT_EXPECT_EQ(test, c->granted, 1u);
	azb_queue_forget(&fake->azb, c->req);
	KUNIT_EXPECT_EQ(test, azb_fake_count(fake, AZB_CNT_CANCELLED), 1ull);
	expect_idle(test, 3);
}

static void async_cancelled_while_it_is_pinned(struct kunit *test)
{
	struct fake *fake = test->priv;
	struct owner *a = make_owner(test, 1, PAGE_SIZE, 0);

	admit(test, a, 0);
	azb_queue_cancel(&fake->azb, &a->req, -ECANCELED);
	KUNIT_EXPECT_EQ(test, a->ended, 0u);
	/* Whoever pins it finds out. */
	KUNIT_EXPECT_EQ(test, azb_queue_submit(&fake->azb, a->req, false), -ECANCELED);
	KUNIT_EXPECT_EQ(test, fake->nr_sent, 0u);
	azb_queue_forget(&fake->azb, a->req);
	expect_idle(test, 1);
}

/* As with a page fault that takes its time. */
static void async_times_out_while_it_is_pinned(struct kunit *test)
{
	struct fake *fake = test->priv;
	struct owner *a = make_owner(test, 1, PAGE_SIZE, 1000);

	admit(test, a, 0);
	spin_lock_bh(&fake->azb.queue.lock);
	azb_queue_give_up(&fake->azb.queue, a->req, -ETIMEDOUT);
	azb_queue_give_up(&fake->azb.queue, a->req, -ECANCELED);
	spin_unlock_bh(&fake->azb.queue.lock);
	/* What came first counts. */
	KUNIT_EXPECT_EQ(test, azb_queue_submit(&fake->azb, a->req, false), -ETIMEDOUT);
	KUNIT_EXPECT_EQ(test, azb_fake_count(fake, AZB_CNT_TIMED_OUT), 1ull);
	KUNIT_EXPECT_EQ(test, azb_fake_count(fake, AZB_CNT_CANCELLED), 0ull);
	azb_queue_forget(&fake->azb, a->req);
	expect_idle(test, 1);
}

/* [extra */
/* All in registered buffers: nothing to pin, and still no way past the others. */
static void async_request_without_pages_takes_its_turn(struct kunit *test)
{
	struct fake *fake = test->priv;
	struct owner *a = make_owner(test, 1, 0, 0);
	struct owner *b = make_owner(test, 2, 0, 0);

	set_limit(fake, PAGE_SIZE);
	send(test, a);
	KUNIT_EXPECT_EQ(test, fake->azb.queue.budget.used, (u64)PAGE_SIZE);
	admit(test, b, 1);
	azb_fake_complete(fake, fake->sent_ids[0], 0, 0);
	expect_ended(test, a, 0);
	KUNIT_EXPECT_EQ(test, b->granted, 1u);
	azb_queue_forget(&fake->azb, b->req);
	expect_idle(test, 2);
}

/* extra] */
static void async_cancelled_in_line_for_the_ring(struct kunit *test)
{
	struct fake *fake = test->priv;
	struct owner *a = make_owner(test, 1, PAGE_SIZE, 0);
	struct owner *b = make_owner(test, 2, PAGE_SIZE, 0);
	u32 room = fake->room;

	fake->room = 0;
	send(test, a);
	send(test, b);
	fake->room = room;
	/* The next one can go. */
	azb_queue_cancel(&fake->azb, &a->req, -ECANCELED);
	expect_ended(test, a, -ECANCELED);
	KUNIT_ASSERT_EQ(test, fake->nr_sent, 1u);
	KUNIT_EXPECT_EQ(test, fake->sent_tags[0], 2u);
	azb_fake_complete(fake, fake->sent_ids[0], 0, 0);
	/* Too late, and a second time. */
	azb_queue_cancel(&fake->azb, &b->req, -ECANCELED);
	azb_queue_cancel(&fake->azb, &b->req, -ECANCELED);
	expect_ended(test, b, 0);
	azb_queue_cancel(&fake->azb, &b->req, -ECANCELED);
	expect_idle(test, 2);
}

/* The command ends; its pages and what is charged for them do not. */
static void async_cancelled_while_the_host_has_it(struct kunit *test)
{
	struct fake *fake = test->priv;
	struct owner *a = make_owner(test, 1, PAGE_SIZE, 0);
	struct owner *b = make_owner(test, 2, PAGE_SIZE, 0);

	set_limit(fake, PAGE_SIZE);
	send(test, a);
	admit(test, b, 1);
	azb_queue_cancel(&fake->azb, &a->req, -ECANCELED);
	KUNIT_EXPECT_EQ(test, a->detached, 1u);
	KUNIT_EXPECT_EQ(test, a->error, -ECANCELED);
	KUNIT_EXPECT_EQ(test, a->ended, 0u);
	KUNIT_EXPECT_EQ(test, fake->azb.queue.nr_abandoned, 1u);
	KUNIT_EXPECT_EQ(test, b->granted, 0u);
	azb_fake_complete(fake, fake->sent_ids[0], 0, 0);
	flush_work(&fake->azb.queue.reap_work);
	KUNIT_EXPECT_EQ(test, b->granted, 1u);
	KUNIT_EXPECT_EQ(test, a->ended, 0u);
	azb_queue_forget(&fake->azb, b->req);
	expect_idle(test, 2);
}

/* [extra */
/* A host that can be told is told, ahead of the line; its answer says nothing. */
static void async_host_is_told_to_cancel(struct kunit *test)
{
	struct fake *fake = test->priv;
	struct owner *a = make_owner(test, 1, PAGE_SIZE, 0);
	struct owner *b = make_owner(test, 2, PAGE_SIZE, 0);

	fake->azb.host.features = VSP_WIRE_FEATURE_CANCEL;
	send(test, a);
	fake->room = 64;
	send(test, b);
	azb_queue_cancel(&fake->azb, &a->req, -ECANCELED);
	KUNIT_EXPECT_EQ(test, a->detached, 1u);
	KUNIT_EXPECT_EQ(test, fake->azb.queue.nr_waiting, 1u);
	KUNIT_ASSERT_EQ(test, fake->nr_sent, 2u);
	KUNIT_EXPECT_EQ(test, fake->sent_tags[1], VSP_WIRE_OP_CANCEL);
	KUNIT_EXPECT_EQ(test, fake->azb.queue.nr_abandoned, 1u);
	azb_fake_complete(fake, fake->sent_ids[0], VSP_WIRE_STATUS_CANCELLED, 0);
	azb_fake_complete(fake, fake->sent_ids[1], 0, 0);
	KUNIT_EXPECT_EQ(test, azb_fake_count(fake, AZB_CNT_COMPLETED), 1ull);
	azb_queue_cancel(&fake->azb, &b->req, -ECANCELED);
	expect_ended(test, b, -ECANCELED);
	expect_idle(test, 3);
}

/* Nor does it matter when the answer does not come. */
static void async_cancel_packet_ends_with_the_device(struct kunit *test)
{
	struct fake *fake = test->priv;
	struct owner *a = make_owner(test, 1, PAGE_SIZE, 0);
	struct owner *b = make_owner(test, 2, PAGE_SIZE, 0);

	fake->azb.host.features = VSP_WIRE_FEATURE_CANCEL;
	send(test, a);
	send(test, b);
	azb_queue_cancel(&fake->azb, &a->req, -ECANCELED);
	fake->room = 0;
	azb_queue_cancel(&fake->azb, &b->req, -ECANCELED);
	/* One at the host, one still in line. */
	KUNIT_EXPECT_EQ(test, fake->nr_sent, 3u);
	KUNIT_EXPECT_EQ(test, fake->azb.queue.nr_waiting, 1u);
	azb_queue_stop(&fake->azb);
	azb_queue_cut_off(&fake->azb);
	KUNIT_EXPECT_EQ(test, azb_fake_count(fake, AZB_CNT_CUT_OFF), 2ull);
	expect_idle(test, 4);
}

/* extra] */
/* As if an hour had passed. */
static void an_hour_passes(struct fake *fake, struct azb_request *req)
{
	spin_lock_bh(&fake->azb.queue.lock);
	req->since -= 3600 * HZ;
	spin_unlock_bh(&fake->azb.queue.lock);
}

static void run_watchdog(struct fake *fake)
{
	mod_delayed_work(system_wq, &fake->azb.queue.watchdog, 0);
	flush_delayed_work(&fake->azb.queue.watchdog);
}

static void async_watchdog_lets_go(struct kunit *test)
{
	struct fake *fake = test->priv;
	struct owner *sent = make_owner(test, 1, PAGE_SIZE, 1000);
	struct owner *line = make_owner(test, 2, PAGE_SIZE, 1000);
	struct owner *asks = make_owner(test, 3, PAGE_SIZE, 1000);
	struct owner *young = make_owner(test, 4, PAGE_SIZE, 1000);
	struct owner *ever = make_owner(test, 5, PAGE_SIZE, 0);

	set_limit(fake, 2 * PAGE_SIZE);
	send(test, sent);
	fake->room = 0;
	send(test, line);
	admit(test, asks, 1);
	admit(test, young, 1);
	admit(test, ever, 1);
	KUNIT_EXPECT_TRUE(test, fake->azb.queue.watchdog_on);
	run_watchdog(fake);
	KUNIT_EXPECT_EQ(test, azb_fake_count(fake, AZB_CNT_TIMED_OUT), 0ull);

	an_hour_passes(fake, sent->req);
	an_hour_passes(fake, line->req);
	an_hour_passes(fake, asks->req);
	an_hour_passes(fake, ever->req);
	run_watchdog(fake);
	KUNIT_EXPECT_EQ(test, sent->detached, 1u);
	KUNIT_EXPECT_EQ(test, sent->error, -ETIMEDOUT);
	expect_ended(test, asks, -ETIMEDOUT);
	expect_ended(test, line, -ETIMEDOUT);
	KUNIT_EXPECT_EQ(test, azb_fake_count(fake, AZB_CNT_TIMED_OUT), 3ull);
	/* There is still one to watch. */
	KUNIT_EXPECT_TRUE(test, fake->azb.queue.watchdog_on);
	KUNIT_EXPECT_EQ(test, young->granted, 1u);
	azb_queue_forget(&fake->azb, young->req);
	azb_queue_cancel(&fake->azb, &ever->req, -ECANCELED);
	if (ever->granted)
		azb_queue_forget(&fake->azb, ever->req);
	else
		expect_ended(test, ever, -ECANCELED);
	run_watchdog(fake);
	KUNIT_EXPECT_FALSE(test, fake->azb.queue.watchdog_on);
	azb_fake_complete(fake, fake->sent_ids[0], 0, 0);
	expect_idle(test, 5);
}

/* There can be any number of them. */
static void async_watchdog_looks_at_all(struct kunit *test)
{
	struct fake *fake = test->priv;
	const u32 n = 200;
	struct owner **a;
	u32 i;

	a = kunit_kcalloc(test, n, sizeof(*a), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, a);
	set_limit(fake, 50 * PAGE_SIZE);
	for (i = 0; i < n; i++) {
		a[i] = make_owner(test, i, PAGE_SIZE, 1000);
		admit(test, a[i], i >= 50);
		if (i < 50)
			submit(test, a[i]);
		/* One of three is young. */
		if (i % 3)
			an_hour_passes(fake, a[i]->req);
	}
	run_watchdog(fake);
	KUNIT_EXPECT_TRUE(test, fake->azb.queue.watchdog_on);
	KUNIT_EXPECT_EQ(test, azb_fake_count(fake, AZB_CNT_TIMED_OUT), 133ull);
	for (i = 0; i < n; i++) {
		KUNIT_EXPECT_EQ(test, a[i]->detached, i % 3 && i < 50 ? 1u : 0u);
		KUNIT_EXPECT_EQ(test, a[i]->ended, i % 3 && i >= 50 ? 1u : 0u);
		if (a[i]->ended)
			expect_ended(test, a[i], -ETIMEDOUT);
	}
	for (i = 0; i < 50; i++)
		azb_fake_complete(fake, fake->sent_ids[i], 0, 0);
	flush_work(&fake->azb.queue.reap_work);
	/* Those that are still in line get their bytes when these are freed. */
	for (i = 0; i < n; i += 3) {
		if (i < 50)
			expect_ended(test, a[i], 0);
		else
			azb_queue_forget(&fake->azb, a[i]->req);
	}
	run_watchdog(fake);
	KUNIT_EXPECT_FALSE(test, fake->azb.queue.watchdog_on);
	expect_idle(test, n);
}

/* [extra */
/*
 * Letting go of one makes the host be told, for which the bus has no ear; nor has it for
 * the next in line, which ends then and is not watched any more.
 */
static void async_watchdog_while_nothing_can_be_sent(struct kunit *test)
{
	struct fake *fake = test->priv;
	struct owner *sent = make_owner(test, 1, PAGE_SIZE, 1000);
	struct owner *line = make_owner(test, 2, PAGE_SIZE, 1000);
	struct owner *behind = make_owner(test, 3, PAGE_SIZE, 1000);
	u32 room = fake->room;

	fake->azb.host.features = VSP_WIRE_FEATURE_CANCEL;
	send(test, sent);
	fake->room = 0;
	send(test, line);
	send(test, behind);
	fake->room = room;
	fake->send_error = -EAGAIN;
	an_hour_passes(fake, sent->req);
	run_watchdog(fake);
	KUNIT_EXPECT_EQ(test, sent->detached, 1u);
	KUNIT_EXPECT_EQ(test, sent->error, -ETIMEDOUT);
	expect_ended(test, line, -EIO);
	expect_ended(test, behind, -EIO);
	KUNIT_EXPECT_EQ(test, azb_fake_count(fake, AZB_CNT_SEND_ERROR), 3ull);
	KUNIT_EXPECT_EQ(test, azb_fake_count(fake, AZB_CNT_TIMED_OUT), 1ull);
	azb_fake_complete(fake, fake->sent_ids[0], 0, 0);
	/* Three, and the packet that was to tell the host. */
	expect_idle(test, 4);
}

/* extra] */
static void async_ends_when_the_device_goes(struct kunit *test)
{
	struct fake *fake = test->priv;
	struct owner *sent = make_owner(test, 1, PAGE_SIZE, 0);
	struct owner *asks = make_owner(test, 2, PAGE_SIZE, 0);
	struct owner *late = make_owner(test, 3, PAGE_SIZE, 0);
	struct owner *pinning = make_owner(test, 4, PAGE_SIZE, 0);

	admit(test, pinning, 0);
	set_limit(fake, 2 * PAGE_SIZE);
	send(test, sent);
	admit(test, asks, 1);
	azb_queue_stop(&fake->azb);
	expect_ended(test, asks, -ENODEV);
	KUNIT_EXPECT_EQ(test, azb_queue_admit(&fake->azb, late->req, false), -ENODEV);
	azb_queue_forget(&fake->azb, late->req);
	KUNIT_EXPECT_EQ(test, sent->ended, 0u);
	azb_queue_cut_off(&fake->azb);
	expect_ended(test, sent, -ENODEV);
	KUNIT_EXPECT_EQ(test, azb_queue_submit(&fake->azb, pinning->req, false), -ENODEV);
	azb_queue_forget(&fake->azb, pinning->req);
	expect_idle(test, 4);
}

static struct kunit_case async_cases[] = {
	KUNIT_CASE(async_request_is_answered),
	KUNIT_CASE(async_waits_for_bytes_in_order),
	KUNIT_CASE(async_refuses_to_block_over_budget),
	KUNIT_CASE(async_cancelled_in_line_for_bytes),
	KUNIT_CASE(async_cancelled_while_it_is_pinned),
	KUNIT_CASE(async_times_out_while_it_is_pinned),
	/* [extra */
	KUNIT_CASE(async_request_without_pages_takes_its_turn),
	/* extra] */
	KUNIT_CASE(async_cancelled_in_line_for_the_ring),
	KUNIT_CASE(async_cancelled_while_the_host_has_it),
	/* [extra */
	KUNIT_CASE(async_host_is_told_to_cancel),
	KUNIT_CASE(async_cancel_packet_ends_with_the_device),
	/* extra] */
	KUNIT_CASE(async_watchdog_lets_go),
	KUNIT_CASE(async_watchdog_looks_at_all),
	/* [extra */
	KUNIT_CASE(async_watchdog_while_nothing_can_be_sent),
	/* extra] */
	KUNIT_CASE(async_ends_when_the_device_goes),
	{}
};

static struct kunit_suite async_suite = {
	.name = "hv_azure_blob_async",
	.init = azb_fake_init,
	.exit = azb_fake_exit,
	.test_cases = async_cases,
};

kunit_test_suite(async_suite);
