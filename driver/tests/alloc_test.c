// SPDX-License-Identifier: GPL-2.0-only
/*
 * What allocates has each of its allocations fail once, see fail.h.
 */
#include <kunit/test.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <uapi/misc/hv_azure_blob.h>

#include "fail.h"
#include "fake.h"
#include "pure_request.h"

static unsigned long user_memory;

#define USER_PAGES 40

/* Data, request and response, each with pages of its own. */
static int pin_a_request(struct kunit *test)
{
	static const u8 guid[16];
	struct az_blob_request_sync in = {
		.request_len = 100,
		.response_len = PAGE_SIZE,
		.data_len = 30 * PAGE_SIZE,
		.request_buffer = user_memory,
		.response_buffer = user_memory + PAGE_SIZE,
		.data_buffer = user_memory + 3 * PAGE_SIZE + 1,
	};
	struct azb_layout layout;
	struct azb_request *req;
	int ret;

	ret = azb_layout_init(&layout, &in, AZB_FORM_CURRENT);
	if (ret)
		return ret;
	req = azb_real_request_create(&layout, 0, guid);
	if (!req)
		return -ENOMEM;
	/* [uring, else: ret = azb_real_request_pin(req); */
	ret = azb_real_request_pin(req, NULL);
	/* uring] */
	azb_real_request_free(req);
	return ret;
}

static void alloc_failure_while_pinning(struct kunit *test)
{
	struct page *page;

	user_memory = kunit_vm_mmap(test, NULL, 0, USER_PAGES * PAGE_SIZE,
				    PROT_READ | PROT_WRITE,
				    MAP_ANONYMOUS | MAP_PRIVATE, 0);
	KUNIT_ASSERT_NE(test, user_memory, 0ul);
	/* The request, its array of pages, its packet. */
	azb_fail_each(test, pin_a_request, 3);
	azb_fail_from_each(test, pin_a_request, 3);

	KUNIT_ASSERT_EQ(test, get_user_pages_fast(user_memory, 1, 0, &page), 1);
	KUNIT_EXPECT_FALSE(test, folio_maybe_dma_pinned(page_folio(page)));
	put_page(page);
}

static int make_a_queue(struct kunit *test)
{
	static struct azb_queue queue;
	int ret;

	memset(&queue, 0, sizeof(queue));
	ret = azb_queue_init(&queue);
	if (!ret)
		azb_queue_destroy(&queue);
	return ret;
}

static void alloc_failure_in_a_new_queue(struct kunit *test)
{
	/* The table of ids is had in another way when the first one fails. */
	struct azb_outcome outcome = azb_fail_each(test, make_a_queue, 0);

	KUNIT_EXPECT_GE(test, outcome.injected, 1u);
	/* Neither way. */
	azb_fail_from_each(test, make_a_queue, 1);
}

static int admit_a_request(struct kunit *test)
{
	struct fake *fake = test->priv;
	struct azb_request *req = kzalloc(sizeof(*req), GFP_KERNEL);
	int ret;

	if (!req)
		return -ENOMEM;
	INIT_LIST_HEAD(&req->node);
	/* [uring */
	INIT_LIST_HEAD(&req->watch);
	/* uring] */
	init_waitqueue_head(&req->wake);
	ret = azb_queue_admit(&fake->azb, req, true);
	azb_queue_forget(&fake->azb, req);
	return ret;
}

static void alloc_failure_while_charging(struct kunit *test)
{
	struct fake *fake = test->priv;

	/* The request itself, and what is remembered of its user. */
	azb_fail_each(test, admit_a_request, 2);
	/* Whoever was refused is charged for nothing. */
	KUNIT_EXPECT_EQ(test, fake->azb.queue.budget.used, 0ull);
}

static int alloc_test_init(struct kunit *test)
{
	if (!azb_fail_works())
		kunit_skip(test, "fault injection leaves out allocations that may sleep");
	return azb_fake_init(test);
}

static struct kunit_case alloc_test_cases[] = {
	KUNIT_CASE(alloc_failure_while_pinning),
	KUNIT_CASE(alloc_failure_in_a_new_queue),
	KUNIT_CASE(alloc_failure_while_charging),
	{ }
};

static struct kunit_suite alloc_test_suite = {
	.name = "hv_azure_blob_alloc",
	.init = alloc_test_init,
	.exit = azb_fake_exit,
	.test_cases = alloc_test_cases,
};

kunit_test_suite(alloc_test_suite);
