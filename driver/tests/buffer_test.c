// SPDX-License-Identifier: GPL-2.0-only
/*
 * Buffers registered with a host that takes them, refuses them, forgets them, or has
 * no word for them; and each allocation on the way failing once.
 */
#include <kunit/test.h>
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
	/* Itself, its pages; the packet, its list of pages. */
	azb_fail_each(test, register_one, 4);
	azb_buffer_module_exit();
	KUNIT_ASSERT_EQ(test, azb_buffer_module_init(), 0);
	KUNIT_EXPECT_FALSE(test, is_pinned(test));
}

static struct kunit_case buffer_cases[] = {
	KUNIT_CASE(buffer_is_named_in_chunks),
	KUNIT_CASE(buffer_that_the_host_refuses),
	KUNIT_CASE(buffer_that_the_host_forgets),
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
