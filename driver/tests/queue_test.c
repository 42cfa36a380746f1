// SPDX-License-Identifier: GPL-2.0-only
/*
 * The queue between a ring of our own making and threads that wait, are killed,
 * run out of patience or are cut off.
 *
 * Nothing waits for time to pass: a request's clock is set back instead, and what
 * another thread will do is awaited.
 */
#include <kunit/test.h>
#include <linux/jiffies.h>
#include <linux/kthread.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <uapi/misc/hv_azure_blob.h>

#include "fake.h"

static struct azb_request *submit(struct kunit *test, u32 tag, u32 pages)
{
	struct fake *fake = test->priv;
	struct azb_request *req = azb_fake_request(test, tag, pages, 0);

	KUNIT_ASSERT_EQ(test, azb_queue_submit(&fake->azb, req, false), 0);
	return req;
}

/* Waits for a request that is known to be done. */
static void expect_result(struct kunit *test, struct azb_request *req, int expected,
			  u32 status, u32 response_len)
{
	struct fake *fake = test->priv;
	struct azb_answer answer = { 0 };

	KUNIT_EXPECT_EQ(test, azb_queue_wait(&fake->azb, req, &answer), expected);
	KUNIT_EXPECT_EQ(test, answer.status, status);
	KUNIT_EXPECT_EQ(test, answer.response_len, response_len);
}

/* A thread in azb_queue_wait(), as an ioctl would be. */
struct waiter {
	struct azb_device *azb;
	struct azb_request *req;
	struct completion started;
	struct completion ended;
	struct task_struct *task;
	int result;
};

static int waiter_main(void *data)
{
	struct waiter *w = data;
	struct azb_answer answer;

	allow_signal(SIGKILL);
	complete(&w->started);
	w->result = azb_queue_wait(w->azb, w->req, &answer);
	complete(&w->ended);
	/* The test stops it, or would have nothing to stop. */
	while (!kthread_should_stop()) {
		set_current_state(TASK_UNINTERRUPTIBLE);
		if (!kthread_should_stop())
			schedule();
		__set_current_state(TASK_RUNNING);
	}
	return 0;
}

static struct waiter *start_waiter(struct kunit *test, struct azb_request *req)
{
	struct fake *fake = test->priv;
	struct waiter *w = kunit_kzalloc(test, sizeof(*w), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, w);
	w->azb = &fake->azb;
	w->req = req;
	init_completion(&w->started);
	init_completion(&w->ended);
	w->task = kthread_run(waiter_main, w, "azb-waiter");
	KUNIT_ASSERT_FALSE(test, IS_ERR(w->task));
	wait_for_completion(&w->started);
	return w;
}

static void expect_end(struct kunit *test, struct waiter *w, int expected)
{
	KUNIT_EXPECT_NE(test, wait_for_completion_timeout(&w->ended, 60 * HZ), 0);
	kthread_stop(w->task);
	KUNIT_EXPECT_EQ(test, w->result, expected);
}

static void queue_answers_in_any_order(struct kunit *test)
{
	struct fake *fake = test->priv;
	struct azb_request *a = submit(test, 1, 2);
	struct azb_request *b = submit(test, 2, 2);

	KUNIT_ASSERT_EQ(test, fake->nr_sent, 2u);
	KUNIT_EXPECT_EQ(test, fake->sent_tags[0], 1u);
	KUNIT_EXPECT_EQ(test, fake->sent_tags[1], 2u);
	azb_fake_complete(fake, fake->sent_ids[1], 0, 7);
	azb_fake_complete(fake, fake->sent_ids[0], AZ_BLOB_STATUS_TIMEOUT, 0);
	expect_result(test, a, 0, AZ_BLOB_STATUS_TIMEOUT, 0);
	expect_result(test, b, 0, 0, 7);
	KUNIT_EXPECT_EQ(test, azb_fake_count(fake, AZB_CNT_COMPLETED), 2ull);
	KUNIT_EXPECT_EQ(test, azb_queue_nr_sent(&fake->azb.queue), 0u);
	KUNIT_EXPECT_EQ(test, atomic_read(&fake->freed), 2);
}

/* Small ones fit all the time and must stand behind the large one all the same. */
static void queue_lets_nobody_pass_the_head(struct kunit *test)
{
	struct fake *fake = test->priv;
	struct azb_request *big1, *big2, *small;
	u32 big = azb_wire_ring_bytes(AZ_BLOB_MAX_PAGES);

	big1 = submit(test, 1, AZ_BLOB_MAX_PAGES);
	big2 = submit(test, 2, AZ_BLOB_MAX_PAGES);
	small = submit(test, 3, 2);
	KUNIT_ASSERT_EQ(test, fake->nr_sent, 1u);
	KUNIT_EXPECT_EQ(test, fake->wanted, big);
	KUNIT_EXPECT_EQ(test, fake->azb.queue.nr_waiting, 2u);
	KUNIT_EXPECT_GT(test, azb_fake_count(fake, AZB_CNT_RING_FULL), 0ull);

	/* Exactly as much as it needs is not enough: the ring would look empty. */
	fake->room = big;
	azb_queue_kick(&fake->azb);
	KUNIT_EXPECT_EQ(test, fake->nr_sent, 1u);
	fake->room = big + 1;
	azb_queue_kick(&fake->azb);
	KUNIT_ASSERT_EQ(test, fake->nr_sent, 2u);
	KUNIT_EXPECT_EQ(test, fake->sent_tags[1], 2u);
	KUNIT_EXPECT_EQ(test, fake->wanted, azb_wire_ring_bytes(2));

	fake->room = 100000;
	azb_queue_kick(&fake->azb);
	KUNIT_ASSERT_EQ(test, fake->nr_sent, 3u);
	KUNIT_EXPECT_EQ(test, fake->wanted, 0u);

	azb_fake_complete(fake, fake->sent_ids[0], 0, 0);
	azb_fake_complete(fake, fake->sent_ids[1], 0, 0);
	azb_fake_complete(fake, fake->sent_ids[2], 0, 0);
	expect_result(test, big1, 0, 0, 0);
	expect_result(test, big2, 0, 0, 0);
	expect_result(test, small, 0, 0, 0);
}

/* The host reads the ring just before it could see the wish: no interrupt will come. */
static void queue_looks_again_after_its_wish(struct kunit *test)
{
	struct fake *fake = test->priv;
	struct azb_request *req;

	fake->room = 0;
	fake->room_at_wish = 100000;
	req = submit(test, 1, 2);
	KUNIT_ASSERT_EQ(test, fake->nr_sent, 1u);
	KUNIT_EXPECT_EQ(test, azb_fake_count(fake, AZB_CNT_RING_FULL), 1ull);
	/* Nobody waits any more, so it is taken back. */
	KUNIT_EXPECT_EQ(test, fake->wanted, 0u);
	azb_fake_complete(fake, fake->sent_ids[0], 0, 0);
	expect_result(test, req, 0, 0, 0);
}

static void queue_stops_at_the_last_id(struct kunit *test)
{
	struct fake *fake = test->priv;
	struct azb_request **reqs;
	u32 i, n = VSP_WIRE_MAX_OUTSTANDING + 2;

	reqs = kunit_kcalloc(test, n, sizeof(*reqs), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, reqs);
	fake->room = S32_MAX;
	for (i = 0; i < n; i++)
		reqs[i] = submit(test, i, 2);
	KUNIT_EXPECT_EQ(test, fake->nr_sent, VSP_WIRE_MAX_OUTSTANDING);
	KUNIT_EXPECT_EQ(test, fake->azb.queue.nr_waiting, 2u);
	KUNIT_EXPECT_GT(test, azb_fake_count(fake, AZB_CNT_IDS_FULL), 0ull);

	for (i = 0; i < n; i++) {
		KUNIT_ASSERT_LT(test, i, fake->nr_sent);
		KUNIT_EXPECT_EQ(test, fake->sent_tags[i], i);
		azb_fake_complete(fake, fake->sent_ids[i], 0, i % 100);
		azb_queue_kick(&fake->azb);
		expect_result(test, reqs[i], 0, 0, i % 100);
	}
	KUNIT_EXPECT_EQ(test, fake->azb.queue.max_sent, VSP_WIRE_MAX_OUTSTANDING);
}

static void queue_refuses_to_block(struct kunit *test)
{
	struct fake *fake = test->priv;
	struct azb_request *req, *first, *line;

	/* With room it goes through. */
	first = azb_fake_request(test, 1, 2, 0);
	KUNIT_EXPECT_EQ(test, azb_queue_submit(&fake->azb, first, true), 0);

	fake->room = 0;
	req = azb_fake_request(test, 2, 2, 0);
	KUNIT_EXPECT_EQ(test, azb_queue_submit(&fake->azb, req, true), -EAGAIN);
	KUNIT_EXPECT_EQ(test, fake->wanted, 0u);

	/* Nor does it pass somebody who waits, even where it would fit. */
	line = submit(test, 3, AZ_BLOB_MAX_PAGES);
	fake->room = 1000;
	KUNIT_EXPECT_EQ(test, azb_queue_submit(&fake->azb, req, true), -EAGAIN);
	KUNIT_EXPECT_EQ(test, fake->wanted, azb_wire_ring_bytes(AZ_BLOB_MAX_PAGES));
	KUNIT_EXPECT_EQ(test, azb_fake_count(fake, AZB_CNT_WOULD_BLOCK), 2ull);
	KUNIT_EXPECT_EQ(test, fake->nr_sent, 1u);
	azb_request_free(req);

	azb_fake_complete(fake, fake->sent_ids[0], 0, 0);
	expect_result(test, first, 0, 0, 0);
	azb_queue_stop(&fake->azb);
	expect_result(test, line, -ENODEV, 0, 0);
}

static void queue_ignores_what_makes_no_sense(struct kunit *test)
{
	struct fake *fake = test->priv;
	struct azb_request *a = submit(test, 1, 2);
	u64 id = fake->sent_ids[0];

	azb_fake_complete(fake, 0, 0, 0);
	azb_fake_complete(fake, id + 1, 0, 0);
	azb_fake_complete(fake, U64_MAX, 0, 0);
	KUNIT_EXPECT_EQ(test, azb_fake_count(fake, AZB_CNT_BAD_ID_UNKNOWN), 3ull);
	KUNIT_EXPECT_EQ(test, a->state, AZB_REQ_SENT);

	azb_fake_complete(fake, id, 0, 100);
	azb_fake_complete(fake, id, 0, 1);
	KUNIT_EXPECT_EQ(test, azb_fake_count(fake, AZB_CNT_BAD_ID_STALE), 1ull);
	expect_result(test, a, 0, 0, 100);
}

static void queue_gives_eio_for_bad_completions(struct kunit *test)
{
	static const u8 zeros[16];
	struct fake *fake = test->priv;
	struct azb_request *a = submit(test, 1, 2);
	struct azb_request *b = submit(test, 2, 2);
	struct azb_request *c = submit(test, 3, 2);

	azb_queue_complete(&fake->azb, fake->sent_ids[0], zeros, 8);
	azb_queue_complete(&fake->azb, fake->sent_ids[1], zeros, 16);
	azb_fake_complete(fake, fake->sent_ids[2], 0, 101);
	expect_result(test, a, -EIO, 0, 0);
	expect_result(test, b, -EIO, 0, 0);
	expect_result(test, c, -EIO, 0, 0);
	KUNIT_EXPECT_EQ(test, azb_fake_count(fake, AZB_CNT_BAD_SHORT), 1ull);
	KUNIT_EXPECT_EQ(test, azb_fake_count(fake, AZB_CNT_BAD_LENGTH), 1ull);
	KUNIT_EXPECT_EQ(test, azb_fake_count(fake, AZB_CNT_BAD_RESPONSE_LEN), 1ull);
	KUNIT_EXPECT_EQ(test, azb_fake_count(fake, AZB_CNT_COMPLETED), 0ull);
}

static void queue_survives_a_ring_that_refuses(struct kunit *test)
{
	struct fake *fake = test->priv;
	struct azb_request *a, *b;

	fake->send_error = -EIO;
	a = submit(test, 1, 2);
	expect_result(test, a, -EIO, 0, 0);
	KUNIT_EXPECT_EQ(test, azb_queue_nr_sent(&fake->azb.queue), 0u);
	KUNIT_EXPECT_EQ(test, fake->azb.queue.ids.used, 0u);

	/* Rescinded while it was sent: whether the host has it is not known. */
	fake->send_error = -ENODEV;
	b = submit(test, 2, 2);
	KUNIT_EXPECT_EQ(test, azb_queue_nr_sent(&fake->azb.queue), 1u);
	azb_queue_stop(&fake->azb);
	azb_queue_cut_off(&fake->azb);
	expect_result(test, b, -ENODEV, 0, 0);
}

static void queue_waiter_killed_in_line(struct kunit *test)
{
	struct fake *fake = test->priv;
	struct azb_request *big, *small;
	struct waiter *w;

	fake->room = 1000;
	big = submit(test, 1, AZ_BLOB_MAX_PAGES);
	small = submit(test, 2, 2);
	w = start_waiter(test, big);
	send_sig(SIGKILL, w->task, 1);
	expect_end(test, w, -EINTR);
	/* The host has never seen it, so it is gone; and the next one can go. */
	KUNIT_EXPECT_EQ(test, atomic_read(&fake->freed), 1);
	KUNIT_ASSERT_EQ(test, fake->nr_sent, 1u);
	KUNIT_EXPECT_EQ(test, fake->sent_tags[0], 2u);
	KUNIT_EXPECT_EQ(test, azb_fake_count(fake, AZB_CNT_KILLED), 1ull);
	azb_fake_complete(fake, fake->sent_ids[0], 0, 0);
	expect_result(test, small, 0, 0, 0);
}

static void queue_keeps_pages_of_the_killed(struct kunit *test)
{
	struct fake *fake = test->priv;
	struct azb_request *req = submit(test, 1, 2);
	struct waiter *w = start_waiter(test, req);

	send_sig(SIGKILL, w->task, 1);
	expect_end(test, w, -EINTR);
	flush_work(&fake->azb.queue.reap_work);
	KUNIT_EXPECT_EQ(test, atomic_read(&fake->freed), 0);
	KUNIT_EXPECT_EQ(test, fake->azb.queue.nr_abandoned, 1u);
	KUNIT_EXPECT_EQ(test, azb_queue_nr_sent(&fake->azb.queue), 1u);

	azb_fake_complete(fake, fake->sent_ids[0], 0, 5);
	flush_work(&fake->azb.queue.reap_work);
	KUNIT_EXPECT_EQ(test, atomic_read(&fake->freed), 1);
	KUNIT_EXPECT_EQ(test, fake->azb.queue.nr_abandoned, 0u);
	KUNIT_EXPECT_EQ(test, azb_queue_nr_sent(&fake->azb.queue), 0u);
	KUNIT_EXPECT_EQ(test, azb_fake_count(fake, AZB_CNT_LATE), 1ull);

	azb_fake_complete(fake, fake->sent_ids[0], 0, 5);
	KUNIT_EXPECT_EQ(test, azb_fake_count(fake, AZB_CNT_BAD_ID_STALE), 1ull);
}

/* As if it had been on its way for an hour. */
static void set_back(struct fake *fake, struct azb_request *req)
{
	spin_lock_bh(&fake->azb.queue.lock);
	req->since = jiffies - 3600 * HZ;
	spin_unlock_bh(&fake->azb.queue.lock);
}

static void queue_watchdog_lets_go(struct kunit *test)
{
	struct fake *fake = test->priv;
	struct azb_request *req = azb_fake_request(test, 1, 2, 1000);
	struct azb_answer answer;

	KUNIT_ASSERT_EQ(test, azb_queue_submit(&fake->azb, req, false), 0);
	set_back(fake, req);
	KUNIT_EXPECT_EQ(test, azb_queue_wait(&fake->azb, req, &answer), -ETIMEDOUT);
	KUNIT_EXPECT_EQ(test, atomic_read(&fake->freed), 0);
	KUNIT_EXPECT_EQ(test, azb_fake_count(fake, AZB_CNT_TIMED_OUT), 1ull);
	KUNIT_EXPECT_EQ(test, fake->azb.queue.nr_abandoned, 1u);
	azb_fake_complete(fake, fake->sent_ids[0], 0, 0);
	flush_work(&fake->azb.queue.reap_work);
	KUNIT_EXPECT_EQ(test, atomic_read(&fake->freed), 1);
}

static void queue_watchdog_in_line(struct kunit *test)
{
	struct fake *fake = test->priv;
	struct azb_request *req = azb_fake_request(test, 1, 2, 1000);
	struct azb_answer answer;

	fake->room = 0;
	KUNIT_ASSERT_EQ(test, azb_queue_submit(&fake->azb, req, false), 0);
	set_back(fake, req);
	KUNIT_EXPECT_EQ(test, azb_queue_wait(&fake->azb, req, &answer), -ETIMEDOUT);
	KUNIT_EXPECT_EQ(test, atomic_read(&fake->freed), 1);
	KUNIT_EXPECT_EQ(test, fake->azb.queue.nr_waiting, 0u);
	KUNIT_EXPECT_EQ(test, fake->wanted, 0u);
}

static void queue_has_endless_patience_when_told(struct kunit *test)
{
	struct fake *fake = test->priv;
	struct azb_request *forever = submit(test, 1, 2);
	struct azb_request *longest = azb_fake_request(test, 2, 2, U32_MAX);
	struct waiter *w1, *w2;

	KUNIT_ASSERT_EQ(test, azb_queue_submit(&fake->azb, longest, false), 0);
	set_back(fake, forever);
	set_back(fake, longest);
	w1 = start_waiter(test, forever);
	w2 = start_waiter(test, longest);
	azb_fake_complete(fake, fake->sent_ids[0], 0, 0);
	azb_fake_complete(fake, fake->sent_ids[1], 0, 0);
	expect_end(test, w1, 0);
	expect_end(test, w2, 0);
	KUNIT_EXPECT_EQ(test, azb_fake_count(fake, AZB_CNT_TIMED_OUT), 0ull);
}

static void queue_cuts_off_everybody(struct kunit *test)
{
	struct fake *fake = test->priv;
	struct azb_request *sent = submit(test, 1, 2);
	struct azb_request *killed = submit(test, 2, 2);
	struct azb_request *line, *late;
	struct waiter *w1, *w2, *w3;

	fake->room = 0;
	line = submit(test, 3, 2);
	w1 = start_waiter(test, sent);
	w2 = start_waiter(test, killed);
	w3 = start_waiter(test, line);
	send_sig(SIGKILL, w2->task, 1);
	expect_end(test, w2, -EINTR);

	azb_queue_stop(&fake->azb);
	KUNIT_EXPECT_TRUE(test, azb_queue_is_gone(&fake->azb.queue));
	expect_end(test, w3, -ENODEV);
	late = azb_fake_request(test, 4, 2, 0);
	KUNIT_EXPECT_EQ(test, azb_queue_submit(&fake->azb, late, false), -ENODEV);
	KUNIT_EXPECT_EQ(test, azb_queue_submit(&fake->azb, late, true), -ENODEV);
	azb_request_free(late);
	/* What the host owns is still its own. */
	KUNIT_EXPECT_EQ(test, azb_queue_nr_sent(&fake->azb.queue), 2u);
	fake->room = 100000;
	azb_queue_kick(&fake->azb);
	KUNIT_EXPECT_EQ(test, fake->nr_sent, 2u);

	azb_queue_cut_off(&fake->azb);
	expect_end(test, w1, -ENODEV);
	KUNIT_EXPECT_EQ(test, atomic_read(&fake->freed), 4);
	KUNIT_EXPECT_EQ(test, fake->azb.queue.ids.used, 0u);
	KUNIT_EXPECT_EQ(test, azb_queue_nr_sent(&fake->azb.queue), 0u);
}

static void queue_completes_during_removal(struct kunit *test)
{
	struct fake *fake = test->priv;
	struct azb_request *a = submit(test, 1, 2);
	struct waiter *w = start_waiter(test, a);

	azb_queue_stop(&fake->azb);
	azb_fake_complete(fake, fake->sent_ids[0], 0, 9);
	expect_end(test, w, 0);
	KUNIT_EXPECT_EQ(test, azb_queue_nr_sent(&fake->azb.queue), 0u);
}

static void queue_pauses_and_goes_on(struct kunit *test)
{
	struct fake *fake = test->priv;
	struct azb_request *big, *a;

	/* Neither with something in line nor with something at the host. */
	fake->room = 1000;
	big = submit(test, 1, AZ_BLOB_MAX_PAGES);
	KUNIT_EXPECT_NE(test, fake->wanted, 0u);
	KUNIT_EXPECT_FALSE(test, azb_queue_is_idle(&fake->azb.queue));
	KUNIT_EXPECT_EQ(test, azb_queue_pause(&fake->azb), 1u);
	fake->room = 100000;
	azb_queue_kick(&fake->azb);
	KUNIT_ASSERT_EQ(test, fake->nr_sent, 1u);
	KUNIT_EXPECT_FALSE(test, azb_queue_is_idle(&fake->azb.queue));
	KUNIT_EXPECT_EQ(test, azb_queue_pause(&fake->azb), 1u);
	/* And then nothing has changed. */
	a = submit(test, 2, 2);
	KUNIT_ASSERT_EQ(test, fake->nr_sent, 2u);
	azb_fake_complete(fake, fake->sent_ids[0], 0, 0);
	azb_fake_complete(fake, fake->sent_ids[1], 0, 0);
	expect_result(test, big, 0, 0, 0);
	expect_result(test, a, 0, 0, 0);

	KUNIT_EXPECT_TRUE(test, azb_queue_is_idle(&fake->azb.queue));
	KUNIT_EXPECT_EQ(test, azb_queue_pause(&fake->azb), 0u);
	/* The channel may be closed now: no wish may be left on the ring. */
	KUNIT_EXPECT_EQ(test, fake->wanted, 0u);
	a = submit(test, 3, 2);
	azb_queue_kick(&fake->azb);
	KUNIT_EXPECT_EQ(test, fake->nr_sent, 2u);
	azb_queue_resume(&fake->azb);
	KUNIT_ASSERT_EQ(test, fake->nr_sent, 3u);
	azb_fake_complete(fake, fake->sent_ids[2], 0, 0);
	expect_result(test, a, 0, 0, 0);
}

/* A host on one side, killers on the other, over and over. */
static void queue_kill_races_completion(struct kunit *test)
{
	struct fake *fake = test->priv;
	u32 round, ended = 0;

	for (round = 0; round < 200; round++) {
		struct azb_request *req = submit(test, round, 2);
		struct waiter *w = start_waiter(test, req);
		u64 id = fake->sent_ids[fake->nr_sent - 1];

		if (round & 1) {
			send_sig(SIGKILL, w->task, 1);
			azb_fake_complete(fake, id, 0, 0);
		} else {
			azb_fake_complete(fake, id, 0, 0);
			send_sig(SIGKILL, w->task, 1);
		}
		KUNIT_ASSERT_NE(test, wait_for_completion_timeout(&w->ended, 60 * HZ), 0);
		kthread_stop(w->task);
		KUNIT_EXPECT_TRUE(test, w->result == 0 || w->result == -EINTR);
		ended += w->result == 0;
		fake->room = 100000;
	}
	flush_work(&fake->azb.queue.reap_work);
	KUNIT_EXPECT_EQ(test, atomic_read(&fake->freed), 200);
	KUNIT_EXPECT_EQ(test, fake->azb.queue.nr_abandoned, 0u);
	KUNIT_EXPECT_EQ(test, azb_fake_count(fake, AZB_CNT_COMPLETED), 200ull);
	KUNIT_EXPECT_EQ(test, azb_fake_count(fake, AZB_CNT_LATE), 200ull - ended);
}

static struct kunit_case queue_cases[] = {
	KUNIT_CASE(queue_answers_in_any_order),
	KUNIT_CASE(queue_lets_nobody_pass_the_head),
	KUNIT_CASE(queue_looks_again_after_its_wish),
	KUNIT_CASE(queue_stops_at_the_last_id),
	KUNIT_CASE(queue_refuses_to_block),
	KUNIT_CASE(queue_ignores_what_makes_no_sense),
	KUNIT_CASE(queue_gives_eio_for_bad_completions),
	KUNIT_CASE(queue_survives_a_ring_that_refuses),
	KUNIT_CASE(queue_waiter_killed_in_line),
	KUNIT_CASE(queue_keeps_pages_of_the_killed),
	KUNIT_CASE(queue_watchdog_lets_go),
	KUNIT_CASE(queue_watchdog_in_line),
	KUNIT_CASE(queue_has_endless_patience_when_told),
	KUNIT_CASE(queue_cuts_off_everybody),
	KUNIT_CASE(queue_completes_during_removal),
	KUNIT_CASE(queue_pauses_and_goes_on),
	KUNIT_CASE_SLOW(queue_kill_races_completion),
	{}
};

static struct kunit_suite queue_suite = {
	.name = "hv_azure_blob_queue",
	.init = azb_fake_init,
	.exit = azb_fake_exit,
	.test_cases = queue_cases,
};

kunit_test_suite(queue_suite);
