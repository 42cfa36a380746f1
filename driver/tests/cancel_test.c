// SPDX-License-Identifier: GPL-2.0-only
/*
 * Requests that their program cancels by name: wherever they are, and nobody else's.
 */
#include <kunit/test.h>
#include <linux/hashtable.h>
#include <linux/slab.h>
#include <uapi/misc/hv_azure_blob.h>

#include "fail.h"
#include "fake.h"

/* Only compared, never followed. */
#define FILE_A ((const struct file *)0xaaaa)
#define FILE_B ((const struct file *)0xbbbb)

static u32 nr_granted, nr_ended;

static void on_granted(struct azb_request *req)
{
	nr_granted++;
}

static void on_ended(struct azb_request *req)
{
	nr_ended++;
}

static const struct azb_request_ops ops = {
	.granted = on_granted,
	.ended = on_ended,
};

/* One page, and a guid that is all @name. */
static struct azb_request *make(struct kunit *test, u8 name, const struct file *file)
{
	struct azb_request *req = azb_fake_request(test, 1, 2, 0);

	req->ops = &ops;
	req->file = file;
	memset(req->wire.transaction_guid, name, sizeof(req->wire.transaction_guid));
	return req;
}

static struct azb_request *send(struct kunit *test, u8 name, const struct file *file)
{
	struct fake *fake = test->priv;
	struct azb_request *req = make(test, name, file);

	KUNIT_ASSERT_EQ(test, azb_queue_admit(&fake->azb, req, false), 0);
	KUNIT_ASSERT_EQ(test, azb_queue_submit(&fake->azb, req, false), 0);
	return req;
}

static void expect_cancel(struct kunit *test, u8 name, int result, u32 ended, u32 told)
{
	struct fake *fake = test->priv;
	u32 got_ended, got_told;
	u8 guid[16];

	memset(guid, name, sizeof(guid));
	KUNIT_EXPECT_EQ(test, azb_cancel_by_name(&fake->azb, FILE_A, guid, &got_ended, &got_told),
			result);
	KUNIT_EXPECT_EQ(test, got_ended, ended);
	KUNIT_EXPECT_EQ(test, got_told, told);
}

static void host_can_cancel(struct fake *fake)
{
	fake->azb.host.features = VSP_WIRE_FEATURE_CANCEL;
}

static void finish(struct kunit *test, struct azb_request *req, int error)
{
	struct fake *fake = test->priv;

	KUNIT_EXPECT_EQ(test, req->state, AZB_REQ_DONE);
	KUNIT_EXPECT_EQ(test, req->error, error);
	azb_queue_forget(&fake->azb, req);
}

static void expect_idle(struct kunit *test)
{
	struct fake *fake = test->priv;

	flush_work(&fake->azb.queue.reap_work);
	KUNIT_EXPECT_TRUE(test, hash_empty(fake->azb.queue.named));
	KUNIT_EXPECT_EQ(test, fake->azb.queue.budget.used, 0ull);
	KUNIT_EXPECT_TRUE(test, azb_queue_is_idle(&fake->azb.queue));
}

static void cancel_finds_no_name(struct kunit *test)
{
	struct fake *fake = test->priv;
	struct azb_request *a = send(test, 1, FILE_A);

	host_can_cancel(fake);
	expect_cancel(test, 2, -ENOENT, 0, 0);
	azb_fake_complete(fake, a->id, 0, 0);
	/* It has been answered. */
	expect_cancel(test, 1, -ENOENT, 0, 0);
	finish(test, a, 0);
	expect_idle(test);
}

static void cancel_leaves_requests_of_others(struct kunit *test)
{
	struct fake *fake = test->priv;
	struct azb_request *b = send(test, 1, FILE_B);

	host_can_cancel(fake);
	expect_cancel(test, 1, -ENOENT, 0, 0);
	KUNIT_EXPECT_EQ(test, fake->nr_sent, 1u);
	azb_fake_complete(fake, b->id, 0, 0);
	finish(test, b, 0);
	expect_idle(test);
}

static void cancel_tells_the_host_once(struct kunit *test)
{
	struct fake *fake = test->priv;
	struct azb_request *a = send(test, 1, FILE_A);

	host_can_cancel(fake);
	expect_cancel(test, 1, 0, 0, 1);
	KUNIT_ASSERT_EQ(test, fake->nr_sent, 2u);
	KUNIT_EXPECT_EQ(test, fake->sent_tags[1], VSP_WIRE_OP_CANCEL);
	expect_cancel(test, 1, 0, 0, 1);
	KUNIT_EXPECT_EQ(test, fake->nr_sent, 2u);
	/* The host owns its pages still. */
	KUNIT_EXPECT_EQ(test, a->state, AZB_REQ_SENT);
	azb_fake_complete(fake, fake->sent_ids[1], 0, 0);
	azb_fake_complete(fake, a->id, AZ_BLOB_STATUS_CANCELLED, 0);
	KUNIT_EXPECT_EQ(test, a->answer.status, AZ_BLOB_STATUS_CANCELLED);
	finish(test, a, 0);
	expect_idle(test);
}

static void cancel_once_told_is_not_told_again_when_abandoned(struct kunit *test)
{
	struct fake *fake = test->priv;
	struct azb_request *a = send(test, 1, FILE_A);

	host_can_cancel(fake);
	expect_cancel(test, 1, 0, 0, 1);
	spin_lock_bh(&fake->azb.queue.lock);
	azb_queue_abandon(&fake->azb.queue, a);
	spin_unlock_bh(&fake->azb.queue.lock);
	KUNIT_EXPECT_EQ(test, fake->nr_sent, 2u);
	/* Its file may be another one's by now. */
	expect_cancel(test, 1, -ENOENT, 0, 0);
	azb_fake_complete(fake, fake->sent_ids[1], 0, 0);
	azb_fake_complete(fake, fake->sent_ids[0], 0, 0);
	expect_idle(test);
}

static void cancel_at_a_host_that_cannot(struct kunit *test)
{
	struct fake *fake = test->priv;
	struct azb_request *a = send(test, 1, FILE_A);

	expect_cancel(test, 1, -EOPNOTSUPP, 0, 0);
	KUNIT_EXPECT_EQ(test, fake->nr_sent, 1u);
	azb_fake_complete(fake, a->id, 0, 0);
	finish(test, a, 0);
	expect_idle(test);
}

/* In every line at once, with one name; some of them the host has. */
static void cancel_ends_what_is_not_sent(struct kunit *test)
{
	struct fake *fake = test->priv;
	struct azb_request *sent, *queued, *pinning, *asking;
	u64 limit = 3 * PAGE_SIZE;

	nr_granted = 0;
	nr_ended = 0;
	azb_queue_set_limits(&fake->azb, &limit, &limit);
	sent = send(test, 1, FILE_A);
	fake->room = 0;
	queued = send(test, 1, FILE_A);
	KUNIT_ASSERT_EQ(test, queued->state, AZB_REQ_QUEUED);
	pinning = make(test, 1, FILE_A);
	KUNIT_ASSERT_EQ(test, azb_queue_admit(&fake->azb, pinning, false), 0);
	asking = make(test, 1, FILE_A);
	KUNIT_ASSERT_EQ(test, azb_queue_admit(&fake->azb, asking, false), 1);

	expect_cancel(test, 1, 0, 3, 0);
	KUNIT_EXPECT_EQ(test, nr_ended, 2u);
	finish(test, queued, -ECANCELED);
	finish(test, asking, -ECANCELED);
	KUNIT_EXPECT_EQ(test, azb_queue_submit(&fake->azb, pinning, false), -ECANCELED);
	azb_queue_forget(&fake->azb, pinning);
	/* The one that is left cannot be helped. */
	expect_cancel(test, 1, -EOPNOTSUPP, 0, 0);
	KUNIT_EXPECT_EQ(test, azb_fake_count(fake, AZB_CNT_CANCELLED), 3ull);
	fake->room = VSP_WIRE_RING_SIZE / 2;
	azb_fake_complete(fake, sent->id, 0, 0);
	finish(test, sent, 0);
	KUNIT_EXPECT_EQ(test, fake->nr_sent, 1u);
	expect_idle(test);
}

static void cancel_lets_those_behind_go(struct kunit *test)
{
	struct fake *fake = test->priv;
	struct azb_request *a, *b;

	fake->room = 4000;
	a = make(test, 1, FILE_A);
	a->layout.pages = AZ_BLOB_MAX_PAGES;
	KUNIT_ASSERT_EQ(test, azb_queue_admit(&fake->azb, a, false), 0);
	KUNIT_ASSERT_EQ(test, azb_queue_submit(&fake->azb, a, false), 0);
	b = send(test, 2, FILE_A);
	KUNIT_ASSERT_EQ(test, fake->nr_sent, 0u);
	expect_cancel(test, 1, 0, 1, 0);
	KUNIT_EXPECT_EQ(test, b->state, AZB_REQ_SENT);
	finish(test, a, -ECANCELED);
	azb_fake_complete(fake, b->id, 0, 0);
	finish(test, b, 0);
	expect_idle(test);
}

/* Its thread frees it next, and looks at its state without the lock. */
static void cancel_does_not_find_what_was_given_up(struct kunit *test)
{
	struct fake *fake = test->priv;
	struct azb_request *sent, *asking;
	u64 limit = PAGE_SIZE;

	azb_queue_set_limits(&fake->azb, &limit, &limit);
	sent = send(test, 1, FILE_A);
	asking = make(test, 2, FILE_A);
	asking->ops = NULL;
	asking->timeout_ms = 1;
	KUNIT_ASSERT_EQ(test, azb_queue_admit(&fake->azb, asking, false), 1);
	asking->since = jiffies - 3600 * HZ;
	KUNIT_EXPECT_EQ(test, azb_queue_wait_admitted(&fake->azb, asking), -ETIMEDOUT);
	expect_cancel(test, 2, -ENOENT, 0, 0);
	KUNIT_EXPECT_EQ(test, asking->state, AZB_REQ_ASKING);
	KUNIT_EXPECT_EQ(test, azb_fake_count(fake, AZB_CNT_CANCELLED), 0ull);
	azb_queue_forget(&fake->azb, asking);
	azb_fake_complete(fake, sent->id, 0, 0);
	finish(test, sent, 0);
	expect_idle(test);
}

/* A host that has all the requests it takes, and ends none, still hears of a cancel. */
static void cancel_leaves_when_nothing_else_does(struct kunit *test)
{
	const u32 most = VSP_WIRE_MAX_OUTSTANDING - 16;
	struct fake *fake = test->priv;
	struct azb_request **reqs;
	u32 i;

	reqs = kunit_kcalloc(test, most + 2, sizeof(*reqs), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, reqs);
	nr_ended = 0;
	host_can_cancel(fake);
	fake->room = S32_MAX;
	for (i = 0; i < most + 2; i++)
		reqs[i] = send(test, i ? 1 : 2, FILE_A);
	KUNIT_ASSERT_EQ(test, fake->nr_sent, most);
	KUNIT_EXPECT_GT(test, azb_fake_count(fake, AZB_CNT_IDS_FULL), 0ull);
	expect_cancel(test, 2, 0, 0, 1);
	KUNIT_ASSERT_EQ(test, fake->nr_sent, most + 1);
	KUNIT_EXPECT_EQ(test, fake->sent_tags[most], VSP_WIRE_OP_CANCEL);

	/* More of them at once than there are ids; and two that had not got away. */
	expect_cancel(test, 1, 0, 2, most - 1);
	KUNIT_EXPECT_EQ(test, fake->nr_sent, VSP_WIRE_MAX_OUTSTANDING);
	KUNIT_EXPECT_EQ(test, nr_ended, 2u);
	/* The cancels are answered, which is enough for the others to go. */
	for (i = most; i < fake->nr_sent; i++) {
		KUNIT_EXPECT_EQ(test, fake->sent_tags[i], VSP_WIRE_OP_CANCEL);
		azb_fake_complete(fake, fake->sent_ids[i], 0, 0);
		azb_queue_kick(&fake->azb);
	}
	KUNIT_EXPECT_EQ(test, fake->nr_sent, 2 * most);
	for (i = 0; i < most; i++) {
		azb_fake_complete(fake, fake->sent_ids[i], AZ_BLOB_STATUS_CANCELLED, 0);
		finish(test, reqs[i], 0);
	}
	finish(test, reqs[most], -ECANCELED);
	finish(test, reqs[most + 1], -ECANCELED);
	expect_idle(test);
}

/* Without its own packets the driver has a use for every id. */
static void cancel_keeps_no_ids_for_a_host_that_cannot(struct kunit *test)
{
	struct fake *fake = test->priv;
	struct azb_request **reqs;
	u32 i;

	reqs = kunit_kcalloc(test, VSP_WIRE_MAX_OUTSTANDING, sizeof(*reqs), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, reqs);
	fake->room = S32_MAX;
	for (i = 0; i < VSP_WIRE_MAX_OUTSTANDING; i++)
		reqs[i] = send(test, 1, FILE_A);
	KUNIT_EXPECT_EQ(test, fake->nr_sent, VSP_WIRE_MAX_OUTSTANDING);
	for (i = 0; i < fake->nr_sent; i++) {
		azb_fake_complete(fake, fake->sent_ids[i], 0, 0);
		finish(test, reqs[i], 0);
	}
	expect_idle(test);
}

/* What the bus did not take nobody has been told. */
static void cancel_that_cannot_be_sent_is_sent_another_time(struct kunit *test)
{
	struct fake *fake = test->priv;
	struct azb_request *a = send(test, 1, FILE_A);

	host_can_cancel(fake);
	fake->send_error = -EAGAIN;
	expect_cancel(test, 1, 0, 0, 1);
	KUNIT_EXPECT_EQ(test, azb_fake_count(fake, AZB_CNT_SEND_ERROR), 1ull);
	fake->send_error = 0;
	expect_cancel(test, 1, 0, 0, 1);
	KUNIT_ASSERT_EQ(test, fake->nr_sent, 2u);
	KUNIT_EXPECT_EQ(test, fake->sent_tags[1], VSP_WIRE_OP_CANCEL);
	expect_cancel(test, 1, 0, 0, 1);
	KUNIT_EXPECT_EQ(test, fake->nr_sent, 2u);
	azb_fake_complete(fake, fake->sent_ids[1], 0, 0);
	azb_fake_complete(fake, a->id, 0, 0);
	finish(test, a, 0);
	expect_idle(test);
}

/* There can be any number in line for bytes, with any names. */
static void cancel_finds_each_of_many(struct kunit *test)
{
	struct fake *fake = test->priv;
	struct azb_request **reqs, *sent;
	u64 limit = PAGE_SIZE;
	const u32 n = 300;
	u32 i;

	reqs = kunit_kcalloc(test, n, sizeof(*reqs), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, reqs);
	nr_ended = 0;
	azb_queue_set_limits(&fake->azb, &limit, &limit);
	sent = send(test, 3, FILE_A);
	for (i = 0; i < n; i++) {
		reqs[i] = make(test, i % 3 ? 1 : 2, i % 5 ? FILE_A : FILE_B);
		KUNIT_ASSERT_EQ(test, azb_queue_admit(&fake->azb, reqs[i], false), 1);
	}
	expect_cancel(test, 1, 0, 160, 0);
	KUNIT_EXPECT_EQ(test, nr_ended, 160u);
	expect_cancel(test, 1, -ENOENT, 0, 0);
	expect_cancel(test, 2, 0, 80, 0);
	KUNIT_EXPECT_EQ(test, nr_ended, 240u);
	for (i = 0; i < n; i++) {
		if (i % 5)
			finish(test, reqs[i], -ECANCELED);
		else
			KUNIT_EXPECT_EQ(test, reqs[i]->state, AZB_REQ_ASKING);
	}
	azb_fake_complete(fake, sent->id, 0, 0);
	finish(test, sent, 0);
	/* Each gets its bytes when the one before it has gone. */
	for (i = 0; i < n; i += 5)
		azb_queue_forget(&fake->azb, reqs[i]);
	expect_idle(test);
}

static void cancel_when_the_device_has_gone(struct kunit *test)
{
	struct fake *fake = test->priv;
	struct azb_request *a = send(test, 1, FILE_A);

	host_can_cancel(fake);
	azb_queue_stop(&fake->azb);
	expect_cancel(test, 1, -ENODEV, 0, 0);
	expect_cancel(test, 2, -ENODEV, 0, 0);
	KUNIT_EXPECT_EQ(test, fake->nr_sent, 1u);
	azb_queue_cut_off(&fake->azb);
	finish(test, a, -ENODEV);
	expect_idle(test);
}

static struct azb_request *to_tell_of;

static int tell_the_host(struct kunit *test)
{
	struct fake *fake = test->priv;
	u8 guid[16] = { 0 };
	u32 ended, told;

	to_tell_of->told = false;
	return azb_cancel_by_name(&fake->azb, FILE_A, guid, &ended, &told);
}

static void cancel_without_memory(struct kunit *test)
{
	struct fake *fake = test->priv;
	u32 i;

	if (!azb_fail_works())
		kunit_skip(test, "fault injection leaves out allocations that may sleep");
	host_can_cancel(fake);
	to_tell_of = send(test, 0, FILE_A);
	azb_fail_each(test, tell_the_host, 1);
	for (i = 0; i < fake->nr_sent; i++)
		azb_fake_complete(fake, fake->sent_ids[i], 0, 0);
	finish(test, to_tell_of, 0);
	expect_idle(test);
}

static struct kunit_case cancel_cases[] = {
	KUNIT_CASE(cancel_finds_no_name),
	KUNIT_CASE(cancel_leaves_requests_of_others),
	KUNIT_CASE(cancel_tells_the_host_once),
	KUNIT_CASE(cancel_once_told_is_not_told_again_when_abandoned),
	KUNIT_CASE(cancel_at_a_host_that_cannot),
	KUNIT_CASE(cancel_ends_what_is_not_sent),
	KUNIT_CASE(cancel_lets_those_behind_go),
	KUNIT_CASE(cancel_does_not_find_what_was_given_up),
	KUNIT_CASE(cancel_leaves_when_nothing_else_does),
	KUNIT_CASE(cancel_keeps_no_ids_for_a_host_that_cannot),
	KUNIT_CASE(cancel_that_cannot_be_sent_is_sent_another_time),
	KUNIT_CASE(cancel_finds_each_of_many),
	KUNIT_CASE(cancel_when_the_device_has_gone),
	KUNIT_CASE(cancel_without_memory),
	{}
};

static struct kunit_suite cancel_suite = {
	.name = "hv_azure_blob_cancel",
	.init = azb_fake_init,
	.exit = azb_fake_exit,
	.test_cases = cancel_cases,
};

kunit_test_suite(cancel_suite);
