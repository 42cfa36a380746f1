// SPDX-License-Identifier: GPL-2.0-only
/*
 * Pinning real user memory: what the packet names must be what the program has
 * mapped, and nothing may stay pinned.
 */
#include <kunit/test.h>
#include <linux/err.h>
#include <linux/hyperv.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/uaccess.h>
#include <uapi/misc/hv_azure_blob.h>

#include "pure_request.h"

static const u8 guid[16] = "0123456789abcdef";

static unsigned long map(struct kunit *test, size_t pages, unsigned long prot)
{
	unsigned long addr = kunit_vm_mmap(test, NULL, 0, pages * PAGE_SIZE, prot,
					   MAP_ANONYMOUS | MAP_PRIVATE, 0);

	KUNIT_ASSERT_NE(test, addr, 0ul);
	KUNIT_ASSERT_LT(test, addr, TASK_SIZE);
	return addr;
}

#define RW (PROT_READ | PROT_WRITE)

static void fill(struct kunit *test, unsigned long addr, size_t len, u8 seed)
{
	size_t i;

	for (i = 0; i < len; i++)
		KUNIT_ASSERT_EQ(test, 0, put_user((u8)(seed + i * 7),
						  (u8 __user *)addr + i));
}

static struct azb_request *create(struct kunit *test,
				  const struct az_blob_request_sync *in)
{
	struct azb_layout layout;
	struct azb_request *req;
	int ret;

	KUNIT_ASSERT_EQ(test, azb_layout_init(&layout, in, AZB_FORM_CURRENT), 0);
	req = azb_real_request_create(&layout, in->timeout, guid);
	KUNIT_ASSERT_NOT_NULL(test, req);
	/* [uring, else: ret = azb_real_request_pin(req); */
	ret = azb_real_request_pin(req, NULL);
	/* uring] */
	if (!ret)
		return req;
	azb_real_request_free(req);
	return ERR_PTR(ret);
}

static struct azb_request *create_good(struct kunit *test,
				       const struct az_blob_request_sync *in)
{
	struct azb_request *req = create(test, in);

	KUNIT_ASSERT_FALSE_MSG(test, IS_ERR(req), "error %ld", PTR_ERR(req));
	return req;
}

static void expect_error(struct kunit *test, const struct az_blob_request_sync *in,
			 long expected)
{
	struct azb_request *req = create(test, in);

	if (!IS_ERR(req)) {
		azb_real_request_free(req);
		KUNIT_FAIL(test, "expected %ld", expected);
		return;
	}
	KUNIT_EXPECT_EQ(test, PTR_ERR(req), expected);
}

/* The byte that a host would find @offset bytes into the range. */
static u8 *host_byte(const struct azb_request *req, u32 offset)
{
	u64 hvpfn = req->desc->range.pfn_array[offset / HV_HYP_PAGE_SIZE];
	u8 *page = page_to_virt(pfn_to_page(hvpfn / NR_HV_HYP_PAGES_IN_PAGE));

	return page + hvpfn % NR_HV_HYP_PAGES_IN_PAGE * HV_HYP_PAGE_SIZE +
	       offset % HV_HYP_PAGE_SIZE;
}

/* What the host finds at @offset of the range is what is mapped at @addr. */
static void expect_same(struct kunit *test, const struct azb_request *req,
			__le32 offset, unsigned long addr, u32 len)
{
	u32 i;
	u8 byte;

	for (i = 0; i < len; i++) {
		KUNIT_ASSERT_EQ(test, 0, get_user(byte, (u8 __user *)addr + i));
		KUNIT_ASSERT_EQ(test, *host_byte(req, le32_to_cpu(offset) + i), byte);
	}
}

static bool pinned(const struct azb_request *req, u32 i)
{
	return folio_maybe_dma_pinned(page_folio(req->pages[i]));
}

static void request_names_what_is_mapped(struct kunit *test)
{
	unsigned long mem = map(test, 16, RW);
	struct az_blob_request_sync in = {
		.request_len = 5000,
		.response_len = 3,
		.data_len = 9001,
		.data_valid = 9001,
		.request_buffer = mem + 4000,
		.response_buffer = mem + 6 * PAGE_SIZE - 1,
		.data_buffer = mem + 9 * PAGE_SIZE + 77,
	};
	struct azb_request *req;
	struct folio *folio;

	fill(test, mem, 16 * PAGE_SIZE, 3);
	req = create_good(test, &in);
	KUNIT_EXPECT_EQ(test, req->layout.pages, 3u + 3 + 2);
	expect_same(test, req, req->wire.data_offset, in.data_buffer, in.data_len);
	expect_same(test, req, req->wire.request_offset, in.request_buffer,
		    in.request_len);
	expect_same(test, req, req->wire.response_offset, in.response_buffer,
		    in.response_len);
	KUNIT_EXPECT_MEMEQ(test, req->wire.transaction_guid, guid, 16);
	KUNIT_EXPECT_TRUE(test, pinned(req, 0));

	folio = page_folio(req->pages[0]);
	folio_get(folio);
	azb_real_request_free(req);
	KUNIT_EXPECT_FALSE(test, folio_maybe_dma_pinned(folio));
	folio_put(folio);
}

static void request_may_name_a_page_three_times(struct kunit *test)
{
	unsigned long mem = map(test, 1, RW);
	struct az_blob_request_sync in = {
		.request_len = 10,
		.response_len = 10,
		.data_len = 10,
		.request_buffer = mem,
		.response_buffer = mem + 100,
		.data_buffer = mem + 200,
	};
	struct azb_request *req = create_good(test, &in);
	u64 *pfn = req->desc->range.pfn_array;

	KUNIT_EXPECT_EQ(test, req->layout.pages, 3u);
	KUNIT_EXPECT_EQ(test, pfn[0], pfn[1]);
	KUNIT_EXPECT_EQ(test, pfn[1], pfn[2]);
	*host_byte(req, le32_to_cpu(req->wire.response_offset)) = 0xaa;
	expect_same(test, req, req->wire.response_offset, mem + 100, 10);
	azb_real_request_free(req);
}

/* The host writes to pages of this program, not to what it shares with others. */
static void request_breaks_copy_on_write(struct kunit *test)
{
	unsigned long mem = map(test, 3, RW);
	struct az_blob_request_sync in = {
		.request_len = 1,
		.response_len = 1,
		.data_len = 1,
		.request_buffer = mem,
		.response_buffer = mem + PAGE_SIZE,
		.data_buffer = mem + 2 * PAGE_SIZE,
	};
	struct azb_request *req;
	u8 byte;
	int i;

	/* Reading first maps the zero page, which everybody shares. */
	for (i = 0; i < 3; i++) {
		KUNIT_ASSERT_EQ(test, 0,
				get_user(byte, (u8 __user *)(mem + i * PAGE_SIZE)));
		KUNIT_EXPECT_EQ(test, byte, 0);
	}
	req = create_good(test, &in);
	KUNIT_EXPECT_FALSE(test, is_zero_page(req->pages[0]));
	KUNIT_EXPECT_FALSE(test, is_zero_page(req->pages[2]));
	*host_byte(req, le32_to_cpu(req->wire.response_offset)) = 0x55;
	*host_byte(req, le32_to_cpu(req->wire.data_offset)) = 0x66;
	expect_same(test, req, req->wire.response_offset, mem + PAGE_SIZE, 1);
	expect_same(test, req, req->wire.data_offset, mem + 2 * PAGE_SIZE, 1);
	azb_real_request_free(req);
}

static void request_reads_from_read_only_memory(struct kunit *test)
{
	unsigned long mem = map(test, 2, RW);
	unsigned long ro = map(test, 2, PROT_READ);
	struct az_blob_request_sync in = {
		.request_len = 100,
		.response_len = 100,
		.data_len = 100,
		.data_valid = 1,
		.request_buffer = ro,
		.response_buffer = mem,
		.data_buffer = ro + PAGE_SIZE,
	};

	azb_real_request_free(create_good(test, &in));
	in.data_valid = 0;
	expect_error(test, &in, -EFAULT);
	in.data_buffer = mem + PAGE_SIZE;
	azb_real_request_free(create_good(test, &in));
	in.response_buffer = ro;
	expect_error(test, &in, -EFAULT);
}

/* Whatever was pinned before the bad page has to be let go. */
static void request_refuses_holes(struct kunit *test)
{
	unsigned long mem = map(test, 8, RW);
	struct az_blob_request_sync in = {
		.request_len = 1,
		.response_len = 1,
		.data_len = 8 * PAGE_SIZE,
		.request_buffer = mem,
		.response_buffer = mem + PAGE_SIZE,
		.data_buffer = mem,
	};
	struct azb_request *req;
	struct folio *folio;
	int hole;

	fill(test, mem, 8 * PAGE_SIZE, 1);
	req = create_good(test, &in);
	folio = page_folio(req->pages[0]);
	folio_get(folio);
	azb_real_request_free(req);

	for (hole = 7; hole > 1; hole--) {
		KUNIT_ASSERT_EQ(test, 0, vm_munmap(mem + hole * PAGE_SIZE, PAGE_SIZE));
		expect_error(test, &in, -EFAULT);
		KUNIT_EXPECT_FALSE(test, folio_maybe_dma_pinned(folio));
	}
	folio_put(folio);

	in.data_len = 2 * PAGE_SIZE;
	azb_real_request_free(create_good(test, &in));
	in.request_buffer = mem + 5 * PAGE_SIZE;
	expect_error(test, &in, -EFAULT);
	in.request_buffer = 0;
	expect_error(test, &in, -EFAULT);
	in.request_buffer = TASK_SIZE_MAX;
	expect_error(test, &in, -EFAULT);
	in.request_buffer = (unsigned long)&in;
	expect_error(test, &in, -EFAULT);
	in.request_buffer = ULONG_MAX;
	expect_error(test, &in, -EFAULT);
}

static void request_of_the_largest_size(struct kunit *test)
{
	u32 pages = AZ_BLOB_MAX_PAGES - 2;
	unsigned long mem = map(test, pages + 2, RW);
	struct az_blob_request_sync in = {
		.request_len = 1,
		.response_len = 1,
		.data_len = pages * PAGE_SIZE,
		.data_buffer = mem,
		.request_buffer = mem + pages * PAGE_SIZE,
		.response_buffer = mem + (pages + 1) * PAGE_SIZE,
	};
	struct azb_request *req;
	u32 i;

	KUNIT_ASSERT_EQ(test, PAGE_SIZE, AZ_BLOB_PAGE_SIZE);
	req = create_good(test, &in);
	KUNIT_EXPECT_EQ(test, req->layout.pages, AZ_BLOB_MAX_PAGES);
	KUNIT_EXPECT_EQ(test, req->desc->range.len, AZ_BLOB_MAX_PAGES * PAGE_SIZE);
	for (i = 0; i < AZ_BLOB_MAX_PAGES; i++)
		if (req->desc->range.pfn_array[i] != page_to_pfn(req->pages[i]))
			KUNIT_FAIL(test, "page %u", i);
	azb_real_request_free(req);
}

/* Only what the host may have written, and only when it may have. */
static void request_marks_written_pages_dirty(struct kunit *test)
{
	unsigned long mem = map(test, 3, RW);
	struct az_blob_request_sync in = {
		.request_len = 1,
		.response_len = 1,
		.data_len = 1,
		.data_buffer = mem,
		.request_buffer = mem + PAGE_SIZE,
		.response_buffer = mem + 2 * PAGE_SIZE,
	};
	struct folio *folio[AZB_NR_BUFS];
	struct azb_request *req;
	int round, i;

	fill(test, mem, 3 * PAGE_SIZE, 1);
	for (round = 0; round < 2; round++) {
		req = create_good(test, &in);
		for (i = 0; i < AZB_NR_BUFS; i++) {
			folio[i] = page_folio(req->pages[i]);
			folio_get(folio[i]);
			folio_clear_dirty(folio[i]);
		}
		req->was_sent = round;
		azb_real_request_free(req);
		KUNIT_EXPECT_EQ(test, folio_test_dirty(folio[AZB_DATA]), round);
		KUNIT_EXPECT_EQ(test, folio_test_dirty(folio[AZB_RESPONSE]), round);
		KUNIT_EXPECT_FALSE(test, folio_test_dirty(folio[AZB_REQUEST]));
		for (i = 0; i < AZB_NR_BUFS; i++)
			folio_put(folio[i]);
	}
}

/* [uring */
/* Stands in for io_uring: the pages of memory that the test itself has pinned. */
static struct page *fixed_pages[4];

int azb_fake_uring_take_pages(struct iov_iter *iter, const struct azb_buf *buf,
			      struct page **pages, u32 *have)
{
	u32 want = azb_buf_kernel_pages(buf, PAGE_SHIFT);

	for (*have = 0; *have < want; (*have)++) {
		pages[*have] = fixed_pages[*have];
		get_page(pages[*have]);
	}
	return 0;
}

/* uring] */

/* [extra */
/* A registered buffer, of which only the users matter here. */
static int buffer_users;

struct azb_buffer *azb_fake_buffer_get(struct azb_device *azb, const struct file *owner,
				       const struct azb_layout *layout)
{
	if (layout->buffer_id != 7)
		return ERR_PTR(-ENOENT);
	buffer_users++;
	return (struct azb_buffer *)&buffer_users;
}

void azb_fake_buffer_put(struct azb_buffer *buf)
{
	buffer_users--;
}

u32 azb_fake_buffer_epoch(const struct azb_buffer *buf)
{
	return 11;
}

/* What is in the buffer is neither pinned nor named, and the buffer is kept. */
static void request_in_a_registered_buffer(struct kunit *test)
{
	unsigned long mem = map(test, 1, RW);
	struct az_blob_request in = {
		.request_len = 100,
		.response_len = 200,
		.data_len = 3 * PAGE_SIZE,
		.request_buffer = mem,
		.response_buffer = 0x5000,
		.data_buffer = 0x12345,
		.flags = AZ_BLOB_DATA_IN_BUFFER | AZ_BLOB_RESPONSE_IN_BUFFER,
		.buffer_id = 7,
	};
	struct azb_layout layout;
	struct azb_request *req;

	KUNIT_ASSERT_EQ(test, azb_layout_init_request(&layout, &in), 0);
	KUNIT_EXPECT_EQ(test, layout.pages, 1u);
	req = azb_real_request_create(&layout, 5, guid);
	KUNIT_ASSERT_NOT_NULL(test, req);
	KUNIT_ASSERT_EQ(test, azb_real_request_attach(req, NULL, NULL), 0);
	KUNIT_EXPECT_EQ(test, buffer_users, 1);
	KUNIT_EXPECT_EQ(test, req->epoch, 11u);
	KUNIT_ASSERT_EQ(test, azb_real_request_pin(req, NULL), 0);
	KUNIT_EXPECT_EQ(test, req->nr_pages[AZB_DATA], 0u);
	KUNIT_EXPECT_EQ(test, req->nr_pages[AZB_REQUEST], 1u);
	KUNIT_EXPECT_EQ(test, req->nr_pages[AZB_RESPONSE], 0u);
	KUNIT_EXPECT_EQ(test, req->wire_len, 88u);
	KUNIT_EXPECT_EQ(test, le32_to_cpu(req->wire_2.base.version), 1u);
	KUNIT_EXPECT_EQ(test, le32_to_cpu(req->wire_2.in_buffer), 5u);
	KUNIT_EXPECT_EQ(test, le32_to_cpu(req->wire_2.buffer_id), 7u);
	KUNIT_EXPECT_EQ(test, le64_to_cpu(req->wire_2.data_at), 0x12345ull);
	KUNIT_EXPECT_EQ(test, le64_to_cpu(req->wire_2.request_at), 0ull);
	KUNIT_EXPECT_EQ(test, le64_to_cpu(req->wire_2.response_at), 0x5000ull);
	KUNIT_EXPECT_EQ(test, le32_to_cpu(req->wire_2.base.data_offset), 0u);
	KUNIT_EXPECT_EQ(test, le32_to_cpu(req->wire_2.base.response_offset), 0u);
	KUNIT_EXPECT_EQ(test, le32_to_cpu(req->wire_2.base.data_length), in.data_len);
	azb_real_request_free(req);
	KUNIT_EXPECT_EQ(test, buffer_users, 0);

	in.buffer_id = 8;
	KUNIT_ASSERT_EQ(test, azb_layout_init_request(&layout, &in), 0);
	req = azb_real_request_create(&layout, 5, guid);
	KUNIT_ASSERT_NOT_NULL(test, req);
	KUNIT_EXPECT_EQ(test, azb_real_request_attach(req, NULL, NULL), -ENOENT);
	azb_real_request_free(req);
}

/* extra] */
/* [uring */
/* The driver's own references: they outlast io_uring's, and end with the request. */
static void request_holds_pages_of_a_fixed_buffer(struct kunit *test)
{
	unsigned long mem = map(test, 6, RW);
	struct az_blob_request_sync in = {
		.request_len = 1,
		.response_len = 1,
		.data_len = 3 * PAGE_SIZE,
		.data_buffer = mem + 77,
		.request_buffer = mem + 4 * PAGE_SIZE,
		.response_buffer = mem + 5 * PAGE_SIZE,
	};
	struct azb_layout layout;
	struct azb_request *req;
	int before[4], i;

	fill(test, mem, 6 * PAGE_SIZE, 9);
	KUNIT_ASSERT_EQ(test, 4, pin_user_pages_fast(mem, 4, FOLL_WRITE, fixed_pages));
	for (i = 0; i < 4; i++)
		before[i] = page_count(fixed_pages[i]);
	KUNIT_ASSERT_EQ(test, azb_layout_init(&layout, &in, AZB_FORM_CURRENT), 0);
	req = azb_real_request_create(&layout, 0, guid);
	KUNIT_ASSERT_NOT_NULL(test, req);
	/* Never looked into: the stand-in knows the pages. */
	KUNIT_ASSERT_EQ(test, azb_real_request_pin(req, (struct iov_iter *)&in), 0);
	KUNIT_EXPECT_EQ(test, req->nr_pages[AZB_DATA], 4u);
	expect_same(test, req, req->wire.data_offset, in.data_buffer, in.data_len);
	expect_same(test, req, req->wire.response_offset, in.response_buffer, 1);
	for (i = 0; i < 4; i++) {
		KUNIT_EXPECT_EQ(test, page_count(fixed_pages[i]), before[i] + 1);
		folio_clear_dirty(page_folio(fixed_pages[i]));
	}
	req->was_sent = true;
	azb_real_request_free(req);
	for (i = 0; i < 4; i++) {
		KUNIT_EXPECT_EQ(test, page_count(fixed_pages[i]), before[i]);
		KUNIT_EXPECT_TRUE(test, folio_test_dirty(page_folio(fixed_pages[i])));
	}
	unpin_user_pages(fixed_pages, 4);
}

/* uring] */

static struct kunit_case request_cases[] = {
	KUNIT_CASE(request_names_what_is_mapped),
	KUNIT_CASE(request_may_name_a_page_three_times),
	KUNIT_CASE(request_breaks_copy_on_write),
	KUNIT_CASE(request_reads_from_read_only_memory),
	KUNIT_CASE(request_refuses_holes),
	KUNIT_CASE(request_of_the_largest_size),
	KUNIT_CASE(request_marks_written_pages_dirty),
	/* [uring */
	KUNIT_CASE(request_holds_pages_of_a_fixed_buffer),
	/* uring] */
	/* [extra */
	KUNIT_CASE(request_in_a_registered_buffer),
	/* extra] */
	{}
};

static struct kunit_suite request_suite = {
	.name = "hv_azure_blob_request",
	.test_cases = request_cases,
};

kunit_test_suite(request_suite);
