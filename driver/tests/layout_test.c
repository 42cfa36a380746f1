// SPDX-License-Identifier: GPL-2.0-only
/*
 * Validation and page arithmetic: every field at 0, 1, its limit, one more, and
 * all ones; every alignment of a page.
 */
#include <kunit/test.h>
#include <linux/errno.h>
#include <linux/limits.h>
#include <linux/module.h>
#include <uapi/misc/hv_azure_blob.h>

#include "../layout.h"

#define PAGE4K AZ_BLOB_PAGE_SIZE
#define MAX_BYTES (AZ_BLOB_MAX_PAGES * PAGE4K)

/* A small request that is right in every respect. */
static struct az_blob_request_sync good(void)
{
	return (struct az_blob_request_sync){
		.timeout = 1000,
		.request_len = 100,
		.response_len = 200,
		.data_len = 300,
		.data_valid = 0,
		.request_buffer = 0x10000,
		.response_buffer = 0x20000,
		.data_buffer = 0x30000,
	};
}

static void expect_form(struct kunit *test, const struct az_blob_request_sync *req,
			enum azb_form form, int expected)
{
	struct azb_layout layout;

	KUNIT_EXPECT_EQ(test, azb_layout_init(&layout, req, form), expected);
}

static void expect(struct kunit *test, const struct az_blob_request_sync *req,
		   int expected)
{
	expect_form(test, req, AZB_FORM_CURRENT, expected);
	/* [extra */
	expect_form(test, req, AZB_FORM_LEGACY, expected);
	/* extra] */
}

static void layout_accepts_a_good_request(struct kunit *test)
{
	struct az_blob_request_sync req = good();
	struct azb_layout l;

	KUNIT_ASSERT_EQ(test, azb_layout_init(&l, &req, AZB_FORM_CURRENT), 0);
	KUNIT_EXPECT_EQ(test, l.pages, 3u);
	KUNIT_EXPECT_EQ(test, l.data_valid, 0u);
	KUNIT_EXPECT_TRUE(test, l.host_writes_data);
	KUNIT_EXPECT_EQ(test, l.buf[AZB_DATA].addr, 0x30000ull);
	KUNIT_EXPECT_EQ(test, l.buf[AZB_DATA].len, 300u);
	KUNIT_EXPECT_EQ(test, l.buf[AZB_REQUEST].addr, 0x10000ull);
	KUNIT_EXPECT_EQ(test, l.buf[AZB_REQUEST].len, 100u);
	KUNIT_EXPECT_EQ(test, l.buf[AZB_RESPONSE].addr, 0x20000ull);
	KUNIT_EXPECT_EQ(test, l.buf[AZB_RESPONSE].len, 200u);
}

struct value_case {
	u32 value;
	int expected;
};

/* For a length beside two buffers of one page each. */
static const struct value_case length_cases[] = {
	{ 1, 0 },
	{ 2, 0 },
	{ PAGE4K - 1, 0 },
	{ PAGE4K, 0 },
	{ PAGE4K + 1, 0 },
	{ MAX_BYTES - 2 * PAGE4K, 0 },
	{ MAX_BYTES - 2 * PAGE4K + 1, -EMSGSIZE },
	{ MAX_BYTES, -EMSGSIZE },
	{ MAX_BYTES + 1, -EMSGSIZE },
	{ S32_MAX, -EMSGSIZE },
	{ (u32)S32_MAX + 1, -EMSGSIZE },
	{ U32_MAX - PAGE4K + 1, -EMSGSIZE },
	{ U32_MAX, -EMSGSIZE },
};

static void layout_bounds_request_len(struct kunit *test)
{
	struct az_blob_request_sync req = good();
	unsigned int i;

	req.request_len = 0;
	expect(test, &req, -EINVAL);
	for (i = 0; i < ARRAY_SIZE(length_cases); i++) {
		req.request_len = length_cases[i].value;
		expect(test, &req, length_cases[i].expected);
	}
}

static void layout_bounds_response_len(struct kunit *test)
{
	struct az_blob_request_sync req = good();
	unsigned int i;

	req.response_len = 0;
	expect(test, &req, -EINVAL);
	for (i = 0; i < ARRAY_SIZE(length_cases); i++) {
		req.response_len = length_cases[i].value;
		expect(test, &req, length_cases[i].expected);
	}
}

static void layout_bounds_data_len(struct kunit *test)
{
	struct az_blob_request_sync req = good();
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(length_cases); i++) {
		req.data_len = length_cases[i].value;
		expect(test, &req, length_cases[i].expected);
	}
}

static void layout_allows_no_data(struct kunit *test)
{
	struct az_blob_request_sync req = good();
	struct azb_layout l;

	req.data_len = 0;
	/* Nobody looks at the address of a buffer that is not there. */
	req.data_buffer = U64_MAX;
	KUNIT_ASSERT_EQ(test, azb_layout_init(&l, &req, AZB_FORM_CURRENT), 0);
	KUNIT_EXPECT_EQ(test, l.pages, 2u);
	KUNIT_EXPECT_EQ(test, l.buf[AZB_DATA].pages, 0u);
	KUNIT_EXPECT_EQ(test, l.buf[AZB_DATA].offset, 0u);
	KUNIT_EXPECT_FALSE(test, l.host_writes_data);
	KUNIT_EXPECT_FALSE(test, azb_layout_host_writes(&l, AZB_DATA));
	KUNIT_EXPECT_EQ(test, azb_buf_kernel_pages(&l.buf[AZB_DATA], 12), 0u);

	/* The disk-attach program says 1 without any data. */
	req.data_valid = 1;
	KUNIT_ASSERT_EQ(test, azb_layout_init(&l, &req, AZB_FORM_CURRENT), 0);
	KUNIT_EXPECT_EQ(test, l.data_valid, 1u);
}

static void layout_bounds_data_valid(struct kunit *test)
{
	static const struct value_case cases[] = {
		{ 0, 0 },	    { 1, 0 },
		{ 299, 0 },	    { 300, 0 },
		{ 301, -EINVAL },   { PAGE4K, -EINVAL },
		{ U32_MAX, -EINVAL },
	};
	struct az_blob_request_sync req = good();
	struct azb_layout l;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		req.data_valid = cases[i].value;
		expect(test, &req, cases[i].expected);
		if (cases[i].expected)
			continue;
		KUNIT_ASSERT_EQ(test, azb_layout_init(&l, &req, AZB_FORM_CURRENT), 0);
		KUNIT_EXPECT_EQ(test, l.data_valid, req.data_valid);
		/* Filled by the caller, or by the host: never both. */
		KUNIT_EXPECT_EQ(test, azb_layout_host_writes(&l, AZB_DATA),
				!req.data_valid);
		KUNIT_EXPECT_TRUE(test, azb_layout_host_writes(&l, AZB_RESPONSE));
		KUNIT_EXPECT_FALSE(test, azb_layout_host_writes(&l, AZB_REQUEST));
	}
}

static void layout_takes_reserved_by_form(struct kunit *test)
{
	static const u32 values[] = { 1, 0x80000000, U32_MAX };
	struct az_blob_request_sync req = good();
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(values); i++) {
		req.reserved = values[i];
		expect_form(test, &req, AZB_FORM_CURRENT, -EINVAL);
		/* [extra */
		expect_form(test, &req, AZB_FORM_LEGACY, 0);
		expect_form(test, &req, AZB_FORM_FASTPATH, 0);
		/* extra] */
	}
}

/* [extra */
static void layout_of_the_first_form(struct kunit *test)
{
	struct az_blob_request_sync req = good();
	struct azb_layout l;

	/* Never there in 64 bytes: whatever it is, it is not looked at. */
	req.data_valid = U32_MAX;
	KUNIT_ASSERT_EQ(test, azb_layout_init(&l, &req, AZB_FORM_FASTPATH), 0);
	KUNIT_EXPECT_EQ(test, l.data_valid, 1u);
	KUNIT_EXPECT_TRUE(test, azb_layout_host_writes(&l, AZB_DATA));

	req.data_len = 0;
	KUNIT_ASSERT_EQ(test, azb_layout_init(&l, &req, AZB_FORM_FASTPATH), 0);
	KUNIT_EXPECT_EQ(test, l.data_valid, 1u);
	KUNIT_EXPECT_FALSE(test, azb_layout_host_writes(&l, AZB_DATA));
}

/* extra] */
static void layout_takes_any_timeout_and_guid(struct kunit *test)
{
	struct az_blob_request_sync req = good();

	req.timeout = 0;
	expect(test, &req, 0);
	req.timeout = U32_MAX;
	expect(test, &req, 0);
	memset(req.guid, 0xff, sizeof(req.guid));
	expect(test, &req, 0);
}

static void check_address(struct kunit *test, struct az_blob_request_sync *req,
			  __u64 *addr, __u32 *len)
{
	/* Whether there is memory is for pinning to find out. */
	*addr = 0;
	expect(test, req, 0);
	*addr = 1;
	expect(test, req, 0);
	*len = 1;
	*addr = ULONG_MAX;
	expect(test, req, 0);
	*len = 2;
	expect(test, req, -EFAULT);
	*len = U32_MAX;
	expect(test, req, -EFAULT);
	*len = PAGE4K;
	*addr = (u64)ULONG_MAX - PAGE4K + 1;
	expect(test, req, 0);
	*addr = (u64)ULONG_MAX - PAGE4K + 2;
	expect(test, req, -EFAULT);
}

static void layout_refuses_addresses_that_wrap(struct kunit *test)
{
	struct az_blob_request_sync req;

	req = good();
	check_address(test, &req, &req.request_buffer, &req.request_len);
	req = good();
	check_address(test, &req, &req.response_buffer, &req.response_len);
	req = good();
	check_address(test, &req, &req.data_buffer, &req.data_len);
}

static void layout_bounds_the_sum(struct kunit *test)
{
	struct az_blob_request_sync req = good();
	struct azb_layout l;

	/* 8190 aligned pages of data beside one and one. */
	req.data_len = MAX_BYTES - 2 * PAGE4K;
	KUNIT_ASSERT_EQ(test, azb_layout_init(&l, &req, AZB_FORM_CURRENT), 0);
	KUNIT_EXPECT_EQ(test, l.pages, AZ_BLOB_MAX_PAGES);

	/* The same length touches one page more when it starts off a boundary. */
	req.data_buffer++;
	expect(test, &req, -EMSGSIZE);
	req.data_len--;
	expect(test, &req, 0);
	req.data_buffer += PAGE4K - 2;
	req.data_len = MAX_BYTES - 3 * PAGE4K + 1;
	expect(test, &req, 0);
	req.data_len++;
	expect(test, &req, -EMSGSIZE);

	/* Each of the others can be what is too much. */
	req = good();
	req.data_len = MAX_BYTES - 2 * PAGE4K;
	req.request_buffer = 0x10000 + PAGE4K - 99;
	expect(test, &req, -EMSGSIZE);
	req.request_buffer--;
	expect(test, &req, 0);
	req.response_buffer = 0x20000 + PAGE4K - 199;
	expect(test, &req, -EMSGSIZE);

	/* Three that fit alone and not together; also in 32-bit sums. */
	req = good();
	req.data_len = MAX_BYTES;
	req.request_len = MAX_BYTES;
	req.response_len = MAX_BYTES;
	expect(test, &req, -EMSGSIZE);
	req.data_len = 0x80000000;
	req.request_len = 0x80000000;
	req.response_len = 0x80000000;
	expect(test, &req, -EMSGSIZE);
	req.data_len = U32_MAX;
	req.request_len = U32_MAX;
	req.response_len = U32_MAX;
	expect(test, &req, -EMSGSIZE);

	/* A third each, no data. */
	req = good();
	req.data_len = 0;
	req.request_len = MAX_BYTES / 2;
	req.response_len = MAX_BYTES / 2;
	expect(test, &req, 0);
	req.response_len++;
	expect(test, &req, -EMSGSIZE);
}

/* The slow and obvious way. */
static u32 count_pages(u64 addr, u32 len, u32 page)
{
	u64 last = addr + len - 1;

	return last / page - addr / page + 1;
}

static void layout_counts_pages_at_every_offset(struct kunit *test)
{
	static const u32 lens[] = { 1, 2, 4095, 4096, 4097, 8191, 8192, 8193, 65537 };
	struct az_blob_request_sync req = good();
	struct azb_layout l;
	unsigned int i;
	u32 offset, pages;

	for (i = 0; i < ARRAY_SIZE(lens); i++) {
		for (offset = 0; offset < PAGE4K; offset++) {
			req.data_len = lens[i];
			req.data_buffer = 0x7fff0000 + offset;
			if (azb_layout_init(&l, &req, AZB_FORM_CURRENT)) {
				KUNIT_FAIL(test, "len %u offset %u", lens[i], offset);
				return;
			}
			pages = count_pages(req.data_buffer, lens[i], PAGE4K);
			if (l.buf[AZB_DATA].pages != pages ||
			    l.buf[AZB_DATA].offset != offset ||
			    l.pages != pages + 2)
				KUNIT_FAIL(test, "len %u offset %u: %u pages",
					   lens[i], offset, l.buf[AZB_DATA].pages);
		}
	}
}

/* Every host page must lie where plain address arithmetic puts it. */
static void layout_finds_host_pages_in_kernel_pages(struct kunit *test)
{
	static const unsigned int shifts[] = { 12, 14, 16 };
	static const u32 lens[] = { 1, 4096, 4097, 61440, 65536, 65537, 200000 };
	struct az_blob_request_sync req = good();
	u32 offset, i, run, page, sub, kernel_pages;
	struct azb_layout l;
	unsigned int s, n;

	for (s = 0; s < ARRAY_SIZE(shifts); s++) {
		unsigned int shift = shifts[s];
		u64 kpage = 1ull << shift;

		for (n = 0; n < ARRAY_SIZE(lens); n++) {
			for (offset = 0; offset < 2 * kpage; offset += 509) {
				const struct azb_buf *buf = &l.buf[AZB_DATA];
				u64 first = (0x1230000 + offset) & ~(kpage - 1);

				req.data_len = lens[n];
				req.data_buffer = 0x1230000 + offset;
				KUNIT_ASSERT_EQ(test, 0,
						azb_layout_init(&l, &req,
								AZB_FORM_CURRENT));
				kernel_pages = azb_buf_kernel_pages(buf, shift);
				KUNIT_ASSERT_EQ(test, kernel_pages,
						count_pages(req.data_buffer, lens[n],
							    kpage));
				for (i = 0; i < buf->pages; i += run) {
					u64 want = (req.data_buffer & ~4095ull) +
						   i * 4096ull;

					run = azb_buf_run(buf, i, shift, &page, &sub);
					KUNIT_ASSERT_LT(test, page, kernel_pages);
					KUNIT_ASSERT_EQ(test, want,
							first + page * kpage +
								sub * 4096ull);
					/* It ends with that page, or with the buffer. */
					KUNIT_ASSERT_GE(test, run, 1u);
					KUNIT_ASSERT_LE(test, sub + run, 1u << (shift - 12));
					if (i + run < buf->pages)
						KUNIT_ASSERT_EQ(test, sub + run,
								1u << (shift - 12));
				}
				KUNIT_ASSERT_EQ(test, i, buf->pages);
			}
		}
	}
}

/* [extra */
static struct az_blob_request registered(u32 flags)
{
	struct az_blob_request req = {
		.request_len = 100,
		.response_len = 5000,
		.data_len = 10000,
		.request_buffer = 0x10000,
		.response_buffer = 0x20000,
		.data_buffer = 0x30000,
		.flags = flags,
		.buffer_id = flags ? 9 : 0,
	};

	return req;
}

/* What is in a registered buffer takes no pages, wherever it is. */
static void layout_registered_buffers(struct kunit *test)
{
	static const u32 pages[8] = { 6, 3, 5, 2, 4, 1, 3, 0 };
	struct az_blob_request req;
	struct azb_layout layout;
	u32 flags;

	for (flags = 0; flags < 8; flags++) {
		req = registered(flags);
		KUNIT_ASSERT_EQ(test, azb_layout_init_request(&layout, &req), 0);
		KUNIT_EXPECT_EQ(test, layout.pages, pages[flags]);
		KUNIT_EXPECT_EQ(test, layout.in_buffer, flags);
		KUNIT_EXPECT_EQ(test, layout.buffer_id, flags ? 9u : 0u);
		KUNIT_EXPECT_EQ(test, layout.buf[AZB_DATA].registered, flags & 1);
		KUNIT_EXPECT_EQ(test, layout.buf[AZB_DATA].at,
				flags & 1 ? 0x30000ull : 0ull);
		KUNIT_EXPECT_EQ(test, layout.buf[AZB_REQUEST].registered, !!(flags & 2));
		KUNIT_EXPECT_EQ(test, layout.buf[AZB_RESPONSE].registered, !!(flags & 4));
		KUNIT_EXPECT_EQ(test, azb_buf_kernel_pages(&layout.buf[AZB_DATA], 12),
				flags & 1 ? 0u : 3u);
	}
}

static void expect_refused(struct kunit *test, const struct az_blob_request *req, int error)
{
	struct azb_layout layout;

	KUNIT_EXPECT_EQ(test, azb_layout_init_request(&layout, req), error);
}

static void layout_registered_buffers_refused(struct kunit *test)
{
	struct az_blob_request req = registered(8);

	expect_refused(test, &req, -EINVAL);
	req = registered(U32_MAX);
	expect_refused(test, &req, -EINVAL);
	req = registered(7);
	req.buffer_id = 0;
	expect_refused(test, &req, -EINVAL);
	req = registered(0);
	req.buffer_id = 1;
	expect_refused(test, &req, -EINVAL);
	req = registered(1);
	req.reserved = 1;
	expect_refused(test, &req, -EINVAL);
	req = registered(1);
	req.data_len = 0;
	expect_refused(test, &req, -EINVAL);
	req = registered(7);
	req.data_buffer = U64_MAX;
	expect_refused(test, &req, -EFAULT);
	req = registered(7);
	req.data_buffer = U64_MAX - 9999;
	expect_refused(test, &req, 0);
	req = registered(7);
	req.data_len = (32 << 20) + 1;
	expect_refused(test, &req, -EMSGSIZE);
	req.data_len = 32 << 20;
	expect_refused(test, &req, 0);
	req.request_len = U32_MAX;
	expect_refused(test, &req, -EMSGSIZE);
}

/* extra] */
static struct kunit_case layout_cases[] = {
	KUNIT_CASE(layout_accepts_a_good_request),
	KUNIT_CASE(layout_bounds_request_len),
	KUNIT_CASE(layout_bounds_response_len),
	KUNIT_CASE(layout_bounds_data_len),
	KUNIT_CASE(layout_allows_no_data),
	KUNIT_CASE(layout_bounds_data_valid),
	KUNIT_CASE(layout_takes_reserved_by_form),
	/* [extra */
	KUNIT_CASE(layout_of_the_first_form),
	/* extra] */
	KUNIT_CASE(layout_takes_any_timeout_and_guid),
	KUNIT_CASE(layout_refuses_addresses_that_wrap),
	KUNIT_CASE(layout_bounds_the_sum),
	KUNIT_CASE(layout_counts_pages_at_every_offset),
	KUNIT_CASE(layout_finds_host_pages_in_kernel_pages),
	/* [extra */
	KUNIT_CASE(layout_registered_buffers),
	KUNIT_CASE(layout_registered_buffers_refused),
	/* extra] */
	{}
};

static struct kunit_suite layout_suite = {
	.name = "hv_azure_blob_layout",
	.test_cases = layout_cases,
};

kunit_test_suite(layout_suite);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("KUnit tests of hv_azure_blob");
