// SPDX-License-Identifier: GPL-2.0-only
/*
 * Packets byte by byte, and completions of a host that means no good.
 */
#include <kunit/test.h>
#include <linux/hyperv.h>
#include <linux/limits.h>
#include <linux/slab.h>
#include <uapi/misc/hv_azure_blob.h>

#include "../wire.h"

static void init_layout(struct kunit *test, struct azb_layout *l,
			const struct az_blob_request_sync *req, enum azb_form form)
{
	KUNIT_ASSERT_EQ(test, azb_layout_init(l, req, form), 0);
}

static void wire_packs_a_read(struct kunit *test)
{
	/* Data at offset 0x123 in two pages, request at 0x456, response at 0. */
	struct az_blob_request_sync req = {
		.request_len = 0x11,
		.response_len = 0x1001,
		.data_len = 0xfff,
		.request_buffer = 0x10456,
		.response_buffer = 0x20000,
		.data_buffer = 0x30123,
	};
	static const u8 guid[16] = "0123456789abcdef";
	static const u8 expected[56] = {
		0x00, 0x00, 0x00, 0x00, /* version */
		0x67, 0x45, 0x23, 0x01, /* timeout */
		0x23, 0x01, 0x00, 0x00, /* data offset */
		0xff, 0x0f, 0x00, 0x00, /* data length */
		0x00, 0x00, 0x00, 0x00, /* data valid */
		0x00, 0x01, 0x00, 0x00, /* operation */
		0x56, 0x24, 0x00, 0x00, /* request offset, behind two pages */
		0x11, 0x00, 0x00, 0x00, /* request length */
		0x00, 0x30, 0x00, 0x00, /* response offset, behind three */
		0x01, 0x10, 0x00, 0x00, /* response length */
		'0', '1', '2', '3', '4', '5', '6', '7',
		'8', '9', 'a', 'b', 'c', 'd', 'e', 'f',
	};
	struct vsp_wire_request wire;
	struct azb_layout l;

	init_layout(test, &l, &req, AZB_FORM_CURRENT);
	memset(&wire, 0xee, sizeof(wire));
	azb_wire_pack_request(&wire, &l, 0x01234567, guid);
	KUNIT_EXPECT_MEMEQ(test, &wire, expected, sizeof(expected));
}

static void wire_packs_a_write_without_data(struct kunit *test)
{
	struct az_blob_request_sync req = {
		.request_len = 1,
		.response_len = 1,
		.request_buffer = 0x10fff,
		.response_buffer = 0x20ffe,
		.data_buffer = U64_MAX,
	};
	static const u8 guid[16];
	static const u8 expected[56] = {
		[21] = 0x01,
		[24] = 0xff, 0x0f, 0x00, 0x00,
		[28] = 0x01,
		[32] = 0xfe, 0x1f, 0x00, 0x00,
		[36] = 0x01,
	};
	struct vsp_wire_request wire;
	struct azb_layout l;

	init_layout(test, &l, &req, AZB_FORM_CURRENT);
	memset(&wire, 0xee, sizeof(wire));
	azb_wire_pack_request(&wire, &l, 0, guid);
	KUNIT_EXPECT_MEMEQ(test, &wire, expected, sizeof(expected));
}

static void wire_says_how_much_is_valid(struct kunit *test)
{
	struct az_blob_request_sync req = {
		.request_len = 1,
		.response_len = 1,
		.data_len = 5000,
		.data_valid = 4999,
	};
	static const u8 guid[16];
	struct vsp_wire_request wire;
	struct azb_layout l;

	init_layout(test, &l, &req, AZB_FORM_CURRENT);
	azb_wire_pack_request(&wire, &l, U32_MAX, guid);
	KUNIT_EXPECT_EQ(test, le32_to_cpu(wire.data_valid), 4999u);
	KUNIT_EXPECT_EQ(test, le32_to_cpu(wire.timeout_ms), U32_MAX);
	/* [extra */

	init_layout(test, &l, &req, AZB_FORM_FASTPATH);
	azb_wire_pack_request(&wire, &l, 0, guid);
	KUNIT_EXPECT_EQ(test, le32_to_cpu(wire.data_valid), 1u);
	/* extra] */
}

static void wire_offsets_of_the_largest_request(struct kunit *test)
{
	struct az_blob_request_sync req = {
		.request_len = 4096,
		.response_len = 4096,
		.data_len = 8190 * 4096,
		.data_valid = 8190 * 4096,
	};
	static const u8 guid[16];
	struct vsp_wire_request wire;
	struct azb_layout l;

	init_layout(test, &l, &req, AZB_FORM_CURRENT);
	azb_wire_pack_request(&wire, &l, 0, guid);
	KUNIT_EXPECT_EQ(test, le32_to_cpu(wire.data_offset), 0u);
	KUNIT_EXPECT_EQ(test, le32_to_cpu(wire.request_offset), 8190u * 4096);
	KUNIT_EXPECT_EQ(test, le32_to_cpu(wire.response_offset), 8191u * 4096);
}

static void wire_describes_one_range(struct kunit *test)
{
	static const u8 expected[32] = {
		[20] = 0x01,	  /* range count */
		[24] = 0x00, 0x30, /* bytes: three pages */
	};
	struct vmbus_packet_mpb_array *desc;
	u32 size = azb_wire_desc_size(3);
	u8 *bytes;
	u32 i;

	KUNIT_EXPECT_EQ(test, size, 32u + 3 * 8);
	desc = kunit_kmalloc(test, size, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, desc);
	memset(desc, 0xee, size);
	azb_wire_pack_desc(desc, 3);
	KUNIT_EXPECT_MEMEQ(test, desc, expected, sizeof(expected));
	/* The page numbers are another's business. */
	bytes = (u8 *)desc;
	for (i = sizeof(expected); i < size; i++)
		KUNIT_EXPECT_EQ(test, bytes[i], 0xee);
}

static void wire_sizes(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, azb_wire_desc_size(2), 48u);
	KUNIT_EXPECT_EQ(test, azb_wire_ring_bytes(2), 48u + 56 + 8);
	KUNIT_EXPECT_EQ(test, azb_wire_desc_size(AZ_BLOB_MAX_PAGES), 32u + 65536);
	/* The largest packet fits the ring, and its length fits 16 bits of 8. */
	KUNIT_EXPECT_LT(test, azb_wire_ring_bytes(AZ_BLOB_MAX_PAGES),
			VSP_WIRE_RING_SIZE - VSP_WIRE_PAGE_SIZE);
	KUNIT_EXPECT_LE(test, azb_wire_ring_bytes(AZ_BLOB_MAX_PAGES) / 8, U16_MAX);
}

/* A completion at the end of an allocation, so that KASAN sees one byte more. */
static void *completion(struct kunit *test, u32 len, u32 length, u32 error,
			u32 response_len)
{
	struct vsp_wire_completion wire = {
		.length = cpu_to_le32(length),
		.error = cpu_to_le32(error),
		.response_length = cpu_to_le32(response_len),
	};
	u8 *mem = kunit_kzalloc(test, len ?: 1, GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, mem);
	memcpy(mem, &wire, min_t(u32, len, sizeof(wire)));
	return mem;
}

static void expect_check(struct kunit *test, u32 len, u32 length, u32 error,
			 u32 response_len, u32 room, enum azb_answer_check expected)
{
	void *mem = completion(test, len, length, error, response_len);
	struct azb_answer answer = { .status = 0xee, .response_len = 0xee };
	bool ok = expected == AZB_ANSWER_OK;

	KUNIT_EXPECT_EQ(test, azb_wire_parse_completion(mem, len, room, &answer),
			expected);
	KUNIT_EXPECT_EQ(test, answer.status, ok ? error : 0);
	KUNIT_EXPECT_EQ(test, answer.response_len, ok ? response_len : 0);
	kunit_kfree(test, mem);
}

static void wire_takes_good_completions(struct kunit *test)
{
	/* As it is, and padded by the ring to 16. */
	expect_check(test, 12, 12, 0, 0, 1, AZB_ANSWER_OK);
	expect_check(test, 16, 12, 0, 1, 1, AZB_ANSWER_OK);
	expect_check(test, 16, 12, AZ_BLOB_STATUS_TIMEOUT, 0, 1, AZB_ANSWER_OK);
	expect_check(test, 16, 12, U32_MAX, 77, 100, AZB_ANSWER_OK);
	expect_check(test, 16, 12, 0, U32_MAX, U32_MAX, AZB_ANSWER_OK);
	/* A later host that says more. */
	expect_check(test, 24, 24, 0, 5, 5, AZB_ANSWER_OK);
	expect_check(test, 64, 13, 0, 5, 5, AZB_ANSWER_OK);
}

static void wire_refuses_short_completions(struct kunit *test)
{
	u32 len;

	for (len = 0; len < 12; len++) {
		expect_check(test, len, 12, 0, 0, 100, AZB_ANSWER_SHORT);
		expect_check(test, len, len, 0, 0, 100, AZB_ANSWER_SHORT);
	}
}

static void wire_refuses_impossible_lengths(struct kunit *test)
{
	static const u32 bad[] = { 17, 24, 0x10000, S32_MAX, U32_MAX };
	unsigned int i;
	u32 length;

	for (length = 0; length < 12; length++)
		expect_check(test, 16, length, 0, 0, 100, AZB_ANSWER_BAD_LENGTH);
	for (i = 0; i < ARRAY_SIZE(bad); i++)
		expect_check(test, 16, bad[i], 0, 0, 100, AZB_ANSWER_BAD_LENGTH);
	expect_check(test, 12, 13, 0, 0, 100, AZB_ANSWER_BAD_LENGTH);
}

static void wire_refuses_more_response_than_room(struct kunit *test)
{
	expect_check(test, 16, 12, 0, 100, 100, AZB_ANSWER_OK);
	expect_check(test, 16, 12, 0, 101, 100, AZB_ANSWER_BAD_RESPONSE_LEN);
	expect_check(test, 16, 12, 0, 2, 1, AZB_ANSWER_BAD_RESPONSE_LEN);
	expect_check(test, 16, 12, 0, U32_MAX, U32_MAX - 1,
		     AZB_ANSWER_BAD_RESPONSE_LEN);
	/* Also beside a status: it is not believed in part. */
	expect_check(test, 16, 12, AZ_BLOB_STATUS_TIMEOUT, U32_MAX, 100,
		     AZB_ANSWER_BAD_RESPONSE_LEN);
}

/* [extra */
static struct vsp_wire_offer good_offer(void)
{
	struct vsp_wire_offer offer = {
		.magic = cpu_to_le32(VSP_WIRE_MAGIC),
		.length = cpu_to_le32(32),
		.version = cpu_to_le32(2),
		.features = cpu_to_le32(VSP_WIRE_FEATURE_BUFFERS | VSP_WIRE_FEATURE_CANCEL),
		.ring_size = cpu_to_le32(512 << 10),
		.max_buffers = cpu_to_le32(100),
		.max_buffer_bytes = cpu_to_le64(1ull << 30),
	};

	return offer;
}

/* As VMBus has it: 120 bytes, the rest zero. */
static struct azb_host parse(const struct vsp_wire_offer *offer)
{
	struct azb_host host;
	u8 bytes[120] = { 0 };

	memcpy(bytes, offer, sizeof(*offer));
	azb_wire_parse_offer(&host, bytes, sizeof(bytes));
	return host;
}

static void expect_protocol_1(struct kunit *test, const struct azb_host *host)
{
	KUNIT_EXPECT_EQ(test, host->protocol, 1u);
	KUNIT_EXPECT_EQ(test, host->features, 0u);
	KUNIT_EXPECT_EQ(test, host->ring_size, 128u << 10);
	KUNIT_EXPECT_EQ(test, host->max_buffers, 0u);
	KUNIT_EXPECT_EQ(test, host->max_buffer_bytes, 0ull);
}

static void wire_takes_an_offer_of_protocol_2(struct kunit *test)
{
	struct vsp_wire_offer offer = good_offer();
	struct azb_host host = parse(&offer);

	KUNIT_EXPECT_EQ(test, host.protocol, 2u);
	KUNIT_EXPECT_EQ(test, host.features, 3u);
	KUNIT_EXPECT_EQ(test, host.ring_size, 512u << 10);
	KUNIT_EXPECT_EQ(test, host.max_buffers, 100u);
	KUNIT_EXPECT_EQ(test, host.max_buffer_bytes, 1ull << 30);
	/* A later host: a newer version, more bytes, features we do not know. */
	offer.version = cpu_to_le32(7);
	offer.length = cpu_to_le32(120);
	offer.features = cpu_to_le32(~0u);
	host = parse(&offer);
	KUNIT_EXPECT_EQ(test, host.protocol, 2u);
	KUNIT_EXPECT_EQ(test, host.features, 3u);
}

static void wire_falls_back_to_protocol_1(struct kunit *test)
{
	struct vsp_wire_offer offer = good_offer();
	struct azb_host host;
	u8 bytes[120];
	u32 i;

	memset(bytes, 0, sizeof(bytes));
	azb_wire_parse_offer(&host, bytes, sizeof(bytes));
	expect_protocol_1(test, &host);
	memset(bytes, 0xff, sizeof(bytes));
	azb_wire_parse_offer(&host, bytes, sizeof(bytes));
	expect_protocol_1(test, &host);
	for (i = 0; i < sizeof(offer); i++) {
		azb_wire_parse_offer(&host, &offer, i);
		expect_protocol_1(test, &host);
	}
	offer.magic ^= cpu_to_le32(1);
	host = parse(&offer);
	expect_protocol_1(test, &host);
	for (i = 0; i < 4; i++) {
		static const u32 bad[] = { 0, 31, 121, U32_MAX };

		offer = good_offer();
		offer.length = cpu_to_le32(bad[i]);
		host = parse(&offer);
		expect_protocol_1(test, &host);
	}
	offer = good_offer();
	offer.version = cpu_to_le32(1);
	host = parse(&offer);
	expect_protocol_1(test, &host);
}

/* Sizes that a host asks for are ours to allocate. */
static void wire_bounds_what_an_offer_asks_for(struct kunit *test)
{
	static const u32 rings[][2] = {
		{ 0, 128 << 10 },	   { 1, 128 << 10 },
		{ 64 << 10, 128 << 10 },   { 256 << 10, 256 << 10 },
		{ 1 << 20, 1 << 20 },	   { 2 << 20, 1 << 20 },
		{ 1u << 31, 1 << 20 },	   { (1 << 20) - 1, 128 << 10 },
		{ U32_MAX, 128 << 10 },
	};
	struct vsp_wire_offer offer;
	struct azb_host host;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(rings); i++) {
		offer = good_offer();
		offer.ring_size = cpu_to_le32(rings[i][0]);
		host = parse(&offer);
		KUNIT_EXPECT_EQ(test, host.ring_size, rings[i][1]);
	}
	offer = good_offer();
	offer.max_buffers = cpu_to_le32(U32_MAX);
	offer.max_buffer_bytes = cpu_to_le64(U64_MAX);
	host = parse(&offer);
	KUNIT_EXPECT_EQ(test, host.max_buffers, 65536u);
	KUNIT_EXPECT_EQ(test, host.max_buffer_bytes, 1ull << 39);
	/* What names its pages is allocated in one piece, of which there is none larger. */
	KUNIT_EXPECT_LE(test, host.max_buffer_bytes / AZ_BLOB_PAGE_SIZE * sizeof(void *),
			(u64)INT_MAX);
	offer.max_buffers = 0;
	host = parse(&offer);
	KUNIT_EXPECT_EQ(test, host.features, VSP_WIRE_FEATURE_CANCEL);
	KUNIT_EXPECT_EQ(test, host.max_buffer_bytes, 0ull);
	offer = good_offer();
	offer.max_buffer_bytes = 0;
	host = parse(&offer);
	KUNIT_EXPECT_EQ(test, host.features, VSP_WIRE_FEATURE_CANCEL);
	KUNIT_EXPECT_EQ(test, host.max_buffers, 0u);
}

static void wire_sizes_of_protocol_2(struct kunit *test)
{
	/* No page: an in-band packet, whose header has 16 bytes. */
	KUNIT_EXPECT_EQ(test, azb_wire_packet_bytes(0, 88), 16u + 88 + 8);
	KUNIT_EXPECT_EQ(test, azb_wire_packet_bytes(0, 32), 16u + 32 + 8);
	KUNIT_EXPECT_EQ(test, azb_wire_packet_bytes(5, 56), azb_wire_ring_bytes(5));
	KUNIT_EXPECT_EQ(test, azb_wire_packet_bytes(5, 88), azb_wire_ring_bytes(5) + 32);
}

/* extra] */
static struct kunit_case wire_cases[] = {
	KUNIT_CASE(wire_packs_a_read),
	KUNIT_CASE(wire_packs_a_write_without_data),
	KUNIT_CASE(wire_says_how_much_is_valid),
	KUNIT_CASE(wire_offsets_of_the_largest_request),
	KUNIT_CASE(wire_describes_one_range),
	KUNIT_CASE(wire_sizes),
	KUNIT_CASE(wire_takes_good_completions),
	KUNIT_CASE(wire_refuses_short_completions),
	KUNIT_CASE(wire_refuses_impossible_lengths),
	KUNIT_CASE(wire_refuses_more_response_than_room),
	/* [extra */
	KUNIT_CASE(wire_takes_an_offer_of_protocol_2),
	KUNIT_CASE(wire_falls_back_to_protocol_1),
	KUNIT_CASE(wire_bounds_what_an_offer_asks_for),
	KUNIT_CASE(wire_sizes_of_protocol_2),
	/* extra] */
	{}
};

static struct kunit_suite wire_suite = {
	.name = "hv_azure_blob_wire",
	.test_cases = wire_cases,
};

kunit_test_suite(wire_suite);
