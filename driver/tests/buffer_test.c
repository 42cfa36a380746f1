// SPDX-License-Identifier: GPL-2.0-only
/*
 * Buffers registered with a host that takes them, refuses them, forgets them, or has
 * no word for them; and each allocation on the way failing once.
 */
#include <kunit/test.h>
#include <linux/completion.h>
#include <linux/delay.h>
#include <linux/err.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/sched.h>
#include <uapi/misc/hv_azure_blob.h>

#include "fail.h"
#include "fake.h"

/* Only compared, never followed. */
#define FILE_A ((const struct file *)0xaaaa)
#define FILE_B ((const struct file *)0xbbbb)

/* Three packets' worth. */
#define PAGES 2500u

static unsigned long memory;

static struct az_blob_register registration(u32 pages)
{
	return (struct az_blob_register){
		.size = sizeof(struct az_blob_register),
		.address = memory,
		.length = (u64)pages * AZ_BLOB_PAGE_SIZE,
	};
}

static int buffer_test_init(struct kunit *test)
{
	struct fake *fake;
	int ret;

	ret = azb_fake_init(test);
	if (ret)
		return ret;
	fake = test->priv;
	ret = azb_buffer_module_init();
	if (ret)
		return ret;
	fake->azb.host.features = VSP_WIRE_FEATURE_BUFFERS;
	fake->azb.host.max_buffers = 16;
	fake->azb.host.max_buffer_bytes = PAGES * AZ_BLOB_PAGE_SIZE;
	fake->answers = true;
	azb_buffers_init(&fake->azb);
	azb_buffers_open(&fake->azb);
	memory = kunit_vm_mmap(test, NULL, 0, PAGES * PAGE_SIZE, PROT_READ | PROT_WRITE,
			       MAP_ANONYMOUS | MAP_PRIVATE, 0);
	return memory ? 0 : -ENOMEM;
}

static void buffer_test_exit(struct kunit *test)
{
	struct fake *fake = test->priv;

	if (!fake)
		return;
	azb_buffers_forget(&fake->azb);
	/* Waits for the last teardown. */
	azb_buffer_module_exit();
	KUNIT_EXPECT_EQ(test, atomic_read(&fake->refs), 0);
	azb_buffers_destroy(&fake->azb);
	azb_fake_exit(test);
}

static bool is_pinned(struct kunit *test)
{
	struct page *page;
	bool pinned;

	KUNIT_ASSERT_EQ(test, get_user_pages_fast(memory, 1, 0, &page), 1);
	pinned = folio_maybe_dma_pinned(page_folio(page));
	put_page(page);
	return pinned;
}

static void buffer_is_named_in_chunks(struct kunit *test)
{
	struct az_blob_register in = registration(PAGES);
	struct fake *fake = test->priv;
	u32 id, i;

	KUNIT_ASSERT_EQ(test, azb_buffer_register(&fake->azb, FILE_A, &in, &id), 0);
	KUNIT_EXPECT_GE(test, id, 1u);
	KUNIT_ASSERT_EQ(test, fake->nr_sent, 3u);
	for (i = 0; i < 3; i++) {
		KUNIT_EXPECT_EQ(test, fake->sent_tags[i], VSP_WIRE_OP_REGISTER_BUFFER);
		KUNIT_EXPECT_EQ(test, fake->sent_first_page[i], i * 1024);
	}
	KUNIT_EXPECT_TRUE(test, is_pinned(test));
	/* Another file has no such buffer. */
	KUNIT_EXPECT_EQ(test, azb_buffer_deregister(&fake->azb, FILE_B, id), -ENOENT);
	KUNIT_EXPECT_EQ(test, azb_buffer_deregister(&fake->azb, FILE_A, id), 0);
	KUNIT_EXPECT_EQ(test, fake->sent_tags[3], VSP_WIRE_OP_DEREGISTER_BUFFER);
	KUNIT_EXPECT_FALSE(test, is_pinned(test));
	KUNIT_EXPECT_EQ(test, azb_buffer_deregister(&fake->azb, FILE_A, id), -ENOENT);
}

/* After the first chunk, so that the host has to forget what it knows. */
static void buffer_that_the_host_refuses(struct kunit *test)
{
	static const struct {
		u32 status;
		int error;
	} answers[] = {
		{ VSP_WIRE_STATUS_NO_RESOURCES, -ENOSPC },
		{ VSP_WIRE_STATUS_BAD_PACKET, -EIO },
		{ U32_MAX, -EIO },
	};
	struct az_blob_register in = registration(PAGES);
	struct fake *fake = test->priv;
	unsigned int i;
	u32 id;

	for (i = 0; i < ARRAY_SIZE(answers); i++) {
		spin_lock_bh(&fake->azb.queue.lock);
		fake->nr_sent = 0;
		fake->nr_answered = 0;
		spin_unlock_bh(&fake->azb.queue.lock);
		fake->refuse_from = 1;
		fake->refuse_with = answers[i].status;
		KUNIT_EXPECT_EQ(test, azb_buffer_register(&fake->azb, FILE_A, &in, &id),
				answers[i].error);
		/* The teardown is the queue's of its own; the next wait is for it. */
		azb_buffer_module_exit();
		KUNIT_ASSERT_EQ(test, azb_buffer_module_init(), 0);
		KUNIT_EXPECT_EQ(test, fake->nr_sent, 3u);
		KUNIT_EXPECT_EQ(test, fake->sent_tags[2], VSP_WIRE_OP_DEREGISTER_BUFFER);
		KUNIT_EXPECT_FALSE(test, is_pinned(test));
	}
}

static void buffer_that_the_host_forgets(struct kunit *test)
{
	struct az_blob_register in = registration(8);
	struct fake *fake = test->priv;
	u32 id, more;

	KUNIT_ASSERT_EQ(test, azb_buffer_register(&fake->azb, FILE_A, &in, &id), 0);
	azb_buffers_forget(&fake->azb);
	KUNIT_EXPECT_EQ(test, azb_buffer_deregister(&fake->azb, FILE_A, id), -ENOENT);
	KUNIT_EXPECT_EQ(test, azb_buffer_register(&fake->azb, FILE_A, &in, &more), -ENODEV);
	azb_buffer_module_exit();
	KUNIT_ASSERT_EQ(test, azb_buffer_module_init(), 0);
	/* It need not be told. */
	KUNIT_EXPECT_EQ(test, fake->nr_sent, 1u);
	KUNIT_EXPECT_FALSE(test, is_pinned(test));
	azb_buffers_open(&fake->azb);
	KUNIT_EXPECT_EQ(test, azb_buffer_register(&fake->azb, FILE_A, &in, &more), 0);
}

/* Deregisters as another thread of the program would. */
struct leaver {
	struct fake *fake;
	struct work_struct work;
	struct completion done;
	u32 id;
	int result;
};

static void leave(struct work_struct *work)
{
	struct leaver *l = container_of(work, struct leaver, work);

	l->result = azb_buffer_deregister(&l->fake->azb, FILE_A, l->id);
	complete(&l->done);
}

/* A request whose data is the first page of a registered buffer. */
static struct azb_layout data_in(u32 id)
{
	struct azb_layout layout = { 0 };

	layout.buffer_id = id;
	layout.buf[AZB_DATA].registered = true;
	layout.buf[AZB_DATA].len = AZ_BLOB_PAGE_SIZE;
	return layout;
}

static void buffer_waits_for_its_requests(struct kunit *test)
{
	struct az_blob_register in = registration(16);
	struct fake *fake = test->priv;
	struct azb_layout layout;
	struct azb_buffer *buf[2], *other;
	struct leaver l = { .fake = fake };
	u32 i;

	KUNIT_ASSERT_EQ(test, azb_buffer_register(&fake->azb, FILE_A, &in, &l.id), 0);
	layout = data_in(l.id);
	for (i = 0; i < 2; i++) {
		buf[i] = azb_buffer_get(&fake->azb, FILE_A, &layout);
		KUNIT_ASSERT_FALSE(test, IS_ERR(buf[i]));
	}
	init_completion(&l.done);
	INIT_WORK_ONSTACK(&l.work, leave);
	schedule_work(&l.work);
	for (;;) {
		other = azb_buffer_get(&fake->azb, FILE_A, &layout);
		if (IS_ERR(other))
			break;
		azb_buffer_put(other);
		usleep_range(1000, 2000);
	}
	KUNIT_EXPECT_EQ(test, PTR_ERR(other), -ENOENT);
	/* From here on it waits, until it is put the second time. */
	for (i = 0; i < 2; i++) {
		KUNIT_EXPECT_EQ(test, wait_for_completion_timeout(&l.done, HZ / 5), 0ul);
		KUNIT_EXPECT_TRUE(test, is_pinned(test));
		KUNIT_EXPECT_EQ(test, fake->nr_sent, 1u);
		azb_buffer_put(buf[i]);
	}
	flush_work(&l.work);
	destroy_work_on_stack(&l.work);
	KUNIT_EXPECT_EQ(test, l.result, 0);
	KUNIT_ASSERT_EQ(test, fake->nr_sent, 2u);
	KUNIT_EXPECT_EQ(test, fake->sent_tags[1], VSP_WIRE_OP_DEREGISTER_BUFFER);
	KUNIT_EXPECT_FALSE(test, is_pinned(test));
}

/*
 * A teardown is no program's thread, which hibernation stops first: its packet must not
 * be in line while the channel is closed, and go to a host that never knew the buffer.
 */
static void buffer_packet_of_before_hibernation(struct kunit *test)
{
	struct fake *fake = test->priv;
	struct azb_queue *queue = &fake->azb.queue;
	struct azb_request *req;
	struct azb_answer answer;

	req = azb_control_create(VSP_WIRE_OP_DEREGISTER_BUFFER, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, req);
	req->epoch = fake->azb.buffers.epoch;
	KUNIT_ASSERT_EQ(test, azb_queue_pause(&fake->azb), 0u);
	KUNIT_ASSERT_EQ(test, azb_queue_submit(&fake->azb, req, false), -ENODEV);
	KUNIT_EXPECT_TRUE(test, azb_queue_is_idle(queue));
	azb_buffers_forget(&fake->azb);
	azb_queue_resume(&fake->azb);
	azb_buffers_open(&fake->azb);
	KUNIT_ASSERT_EQ(test, azb_queue_submit(&fake->azb, req, false), -ENODEV);
	KUNIT_EXPECT_EQ(test, fake->nr_sent, 0u);
	/* About one of now it is as good as any. */
	req->epoch = fake->azb.buffers.epoch;
	KUNIT_ASSERT_EQ(test, azb_queue_submit(&fake->azb, req, false), 0);
	KUNIT_EXPECT_EQ(test, azb_queue_wait(&fake->azb, req, &answer), 0);
	KUNIT_EXPECT_EQ(test, fake->nr_sent, 1u);
}

/* Nor does a request whose program was frozen amid a page fault. */
static void buffer_request_of_before_hibernation(struct kunit *test)
{
	struct fake *fake = test->priv;
	struct azb_request *req = azb_fake_request(test, 1, 0, 0);
	struct azb_answer answer;

	req->buffer = (struct azb_buffer *)test;
	req->epoch = fake->azb.buffers.epoch;
	KUNIT_ASSERT_EQ(test, azb_queue_pause(&fake->azb), 0u);
	azb_buffers_forget(&fake->azb);
	azb_queue_resume(&fake->azb);
	azb_buffers_open(&fake->azb);
	KUNIT_ASSERT_EQ(test, azb_queue_submit(&fake->azb, req, false), -ENOENT);
	KUNIT_EXPECT_EQ(test, fake->nr_sent, 0u);
	req->epoch = fake->azb.buffers.epoch;
	KUNIT_ASSERT_EQ(test, azb_queue_submit(&fake->azb, req, false), 0);
	KUNIT_EXPECT_EQ(test, azb_queue_wait(&fake->azb, req, &answer), 0);
}

static void buffer_ends_while_the_channel_is_closed(struct kunit *test)
{
	struct az_blob_register in = registration(16);
	struct fake *fake = test->priv;
	u32 id;

	KUNIT_ASSERT_EQ(test, azb_buffer_register(&fake->azb, FILE_A, &in, &id), 0);
	KUNIT_ASSERT_EQ(test, azb_queue_pause(&fake->azb), 0u);
	KUNIT_EXPECT_EQ(test, azb_buffer_deregister(&fake->azb, FILE_A, id), 0);
	KUNIT_EXPECT_FALSE(test, is_pinned(test));
	azb_buffers_forget(&fake->azb);
	azb_queue_resume(&fake->azb);
	KUNIT_EXPECT_EQ(test, fake->nr_sent, 1u);
}

static int register_one(struct kunit *test)
{
	struct az_blob_register in = registration(16);
	struct fake *fake = test->priv;
	u32 id;
	int ret;

	ret = azb_buffer_register(&fake->azb, FILE_A, &in, &id);
	if (!ret)
		ret = azb_buffer_deregister(&fake->azb, FILE_A, id);
	return ret;
}

static void buffer_allocations_fail(struct kunit *test)
{
	if (!azb_fail_works())
		kunit_skip(test, "fault injection leaves out allocations that may sleep");
	/* Itself, its pages, its id; the packet, its list of pages. */
	azb_fail_each(test, register_one, 5);
	azb_fail_from_each(test, register_one, 5);
	azb_buffer_module_exit();
	KUNIT_ASSERT_EQ(test, azb_buffer_module_init(), 0);
	KUNIT_EXPECT_FALSE(test, is_pinned(test));
}

static struct kunit_case buffer_cases[] = {
	KUNIT_CASE(buffer_is_named_in_chunks),
	KUNIT_CASE(buffer_that_the_host_refuses),
	KUNIT_CASE(buffer_that_the_host_forgets),
	KUNIT_CASE(buffer_waits_for_its_requests),
	KUNIT_CASE(buffer_packet_of_before_hibernation),
	KUNIT_CASE(buffer_request_of_before_hibernation),
	KUNIT_CASE(buffer_ends_while_the_channel_is_closed),
	KUNIT_CASE_SLOW(buffer_allocations_fail),
	{}
};

static struct kunit_suite buffer_suite = {
	.name = "hv_azure_blob_buffer",
	.init = buffer_test_init,
	.exit = buffer_test_exit,
	.test_cases = buffer_cases,
};

kunit_test_suite(buffer_suite);
