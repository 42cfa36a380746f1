// SPDX-License-Identifier: GPL-2.0-only
/*
 * A ring of memory, as the host sees it, read by the bus's own functions: lengths and
 * indexes that lie, packets that are longer than what the bus copies, bytes of
 * anything.  Whatever is there, nobody else's memory is touched (KASAN looks), and no
 * request ends that the host has not named.
 */
#include <kunit/test.h>
#include <linux/mm.h>
#include <linux/prandom.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>
#include <uapi/misc/hv_azure_blob.h>

#include "pure_ring.h"

#define DATA_PAGES 4u
#define DATA_BYTES (DATA_PAGES * (u32)PAGE_SIZE)
/* What the bus copies of a packet, unless a driver asks for more. */
#define COPY_BYTES 4096u
#define TRAILER 8u

struct host {
	struct azb_device azb;
	struct vmbus_channel *channel;
	struct page *pages[1 + DATA_PAGES];
	u8 *data;
	u32 at;	/* where it writes next */
};

/* Once for the header, twice for the data: a packet never wraps. */
static void *map_ring(struct kunit *test, struct host *host)
{
	struct page *twice[1 + 2 * DATA_PAGES];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(host->pages); i++) {
		host->pages[i] = alloc_page(GFP_KERNEL | __GFP_ZERO);
		if (!host->pages[i])
			return NULL;
	}
	twice[0] = host->pages[0];
	for (i = 0; i < 2 * DATA_PAGES; i++)
		twice[1 + i] = host->pages[1 + i % DATA_PAGES];
	return vmap(twice, ARRAY_SIZE(twice), VM_MAP, PAGE_KERNEL);
}

static int hostile_test_init(struct kunit *test)
{
	struct host *host = kunit_kzalloc(test, sizeof(*host), GFP_KERNEL);
	struct hv_ring_buffer_info *in;
	int ret;

	if (!host)
		return -ENOMEM;
	host->channel = kunit_kzalloc(test, sizeof(*host->channel), GFP_KERNEL);
	if (!host->channel)
		return -ENOMEM;
	test->priv = host;
	in = &host->channel->inbound;
	in->ring_buffer = map_ring(test, host);
	in->pkt_buffer = kunit_kzalloc(test, COPY_BYTES, GFP_KERNEL);
	if (!in->ring_buffer || !in->pkt_buffer)
		return -ENOMEM;
	in->ring_size = DATA_BYTES + PAGE_SIZE;
	in->ring_datasize = DATA_BYTES;
	in->pkt_buffer_size = COPY_BYTES;
	host->data = in->ring_buffer->buffer;

	ret = azb_queue_init(&host->azb.queue);
	if (ret)
		return ret;
	spin_lock_init(&host->azb.rx_lock);
	host->azb.channel = host->channel;
	host->azb.dev.init_name = "azure_blob_test";
	azb_real_iter = true;
	return azb_real_ring_open(&host->azb);
}

static void hostile_test_exit(struct kunit *test)
{
	struct host *host = test->priv;
	unsigned int i;

	azb_real_iter = false;
	if (!host)
		return;
	if (host->azb.channel)
		azb_queue_destroy(&host->azb.queue);
	vunmap(host->channel->inbound.ring_buffer);
	for (i = 0; i < ARRAY_SIZE(host->pages); i++)
		if (host->pages[i])
			__free_page(host->pages[i]);
}

static struct azb_request *sent_request(struct kunit *test)
{
	struct host *host = test->priv;
	struct azb_queue *queue = &host->azb.queue;
	struct azb_request *req = kunit_kzalloc(test, sizeof(*req), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, req);
	/* [uring */
	INIT_LIST_HEAD(&req->watch);
	/* uring] */
	init_waitqueue_head(&req->wake);
	req->layout.buf[AZB_RESPONSE].len = 100;
	spin_lock_bh(&queue->lock);
	req->id = azb_ids_get(&queue->ids, req);
	req->state = AZB_REQ_SENT;
	list_add_tail(&req->node, &queue->sent);
	queue->nr_sent++;
	spin_unlock_bh(&queue->lock);
	return req;
}

/* A completion of @bytes, which says that it is of @said. */
static void put(struct kunit *test, u64 id, u32 bytes, u32 said)
{
	struct host *host = test->priv;
	struct vmpacket_descriptor desc = {
		.type = VM_PKT_COMP,
		.offset8 = sizeof(desc) / 8,
		.len8 = said / 8,
		.trans_id = id,
	};
	struct vsp_wire_completion wire = {
		.length = cpu_to_le32(sizeof(wire)),
		.error = cpu_to_le32(7),
	};

	KUNIT_ASSERT_LT(test, host->at + bytes + TRAILER, 2 * DATA_BYTES);
	memset(host->data + host->at, 0xcc, bytes + TRAILER);
	memcpy(host->data + host->at, &desc, sizeof(desc));
	memcpy(host->data + host->at + sizeof(desc), &wire, sizeof(wire));
	host->at = (host->at + bytes + TRAILER) % DATA_BYTES;
}

static void good(struct kunit *test, u64 id)
{
	put(test, id, 32, 32);
}

/* The host says how far it has written, and interrupts. */
static void interrupt_at(struct kunit *test, u32 index)
{
	struct host *host = test->priv;

	host->channel->inbound.ring_buffer->write_index = index;
	azb_real_callback(&host->azb);
}

static void interrupt(struct kunit *test)
{
	struct host *host = test->priv;

	interrupt_at(test, host->at);
}

static bool given_up(struct kunit *test)
{
	struct host *host = test->priv;

	return !host->azb.rx_on;
}

static bool done(const struct azb_request *req)
{
	return req->state == AZB_REQ_DONE;
}

/* The bus calls again while there is something. */
static void let_it_read_on(struct kunit *test)
{
	unsigned int i;

	for (i = 0; i < 64 && !given_up(test); i++)
		interrupt(test);
}

/* As with a new channel: what was there is no matter any more. */
static void again(struct kunit *test)
{
	struct host *host = test->priv;

	host->channel->inbound.priv_read_index = host->at;
	KUNIT_ASSERT_EQ(test, azb_real_ring_open(&host->azb), 0);
}

static void hostile_ring_is_read_across_its_end(struct kunit *test)
{
	struct azb_request *req;
	unsigned int i;

	for (i = 0; i < 3 * DATA_BYTES / 40; i++) {
		req = sent_request(test);
		good(test, req->id);
		interrupt(test);
		KUNIT_ASSERT_TRUE(test, done(req));
		KUNIT_ASSERT_EQ(test, req->error, 0);
		KUNIT_ASSERT_EQ(test, req->answer.status, 7u);
	}
	KUNIT_EXPECT_FALSE(test, given_up(test));
}

/* As long as what is copied of it: good, and so is the next one. */
static void hostile_completion_of_a_page(struct kunit *test)
{
	struct azb_request *a = sent_request(test), *b = sent_request(test);

	put(test, a->id, COPY_BYTES, COPY_BYTES);
	good(test, b->id);
	interrupt(test);
	KUNIT_EXPECT_TRUE(test, done(a) && !a->error);
	KUNIT_EXPECT_TRUE(test, done(b) && !b->error);
}

/* Longer: the bus reads on in the middle of it, and finds its way back by no means. */
static void hostile_completion_beyond_any_copy(struct kunit *test)
{
	static const u32 sizes[] = { COPY_BYTES + 8, 2 * COPY_BYTES, 3 * COPY_BYTES };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct azb_request *a = sent_request(test), *b = sent_request(test);
		struct azb_request *c = sent_request(test);

		put(test, a->id, sizes[i], sizes[i]);
		interrupt(test);
		let_it_read_on(test);
		KUNIT_EXPECT_TRUE(test, done(a));
		KUNIT_EXPECT_FALSE(test, done(b) || done(c));
		/* It does not go round for ever; less than a header is no packet at all. */
		KUNIT_EXPECT_EQ(test, given_up(test), sizes[i] >= 2 * COPY_BYTES);
		again(test);
	}
}

/* More than there is, or than the ring holds, or less than a header. */
static void hostile_packet_that_lies_about_its_length(struct kunit *test)
{
	static const u32 said[] = { 0, 8, 40, 4096, DATA_BYTES, 0x7fff8 };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(said); i++) {
		struct azb_request *a = sent_request(test), *b = sent_request(test);

		put(test, a->id, 32, said[i]);
		interrupt(test);
		let_it_read_on(test);
		KUNIT_EXPECT_FALSE(test, done(b));
		KUNIT_EXPECT_TRUE_MSG(test, given_up(test), "length %u", said[i]);
		again(test);
		good(test, b->id);
		interrupt(test);
		KUNIT_EXPECT_TRUE(test, done(b) && !b->error);
	}
}

static void hostile_write_index(struct kunit *test)
{
	static const u32 indexes[] = { DATA_BYTES, DATA_BYTES + 8, U32_MAX, 0x80000000, 3 };
	struct host *host = test->priv;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(indexes); i++) {
		struct azb_request *a = sent_request(test);

		good(test, a->id);
		interrupt_at(test, indexes[i]);
		KUNIT_EXPECT_FALSE(test, done(a));
		KUNIT_EXPECT_TRUE(test, given_up(test));
		KUNIT_ASSERT_EQ(test, azb_real_ring_open(&host->azb), 0);
		interrupt(test);
		KUNIT_EXPECT_TRUE(test, done(a));
	}
}

/* It has written less than a header, or nothing, or claims a whole ring of old bytes. */
static void hostile_write_index_within_the_ring(struct kunit *test)
{
	struct azb_request *a = sent_request(test), *b = sent_request(test);
	struct host *host = test->priv;

	good(test, a->id);
	interrupt_at(test, 0);
	KUNIT_EXPECT_FALSE(test, done(a));
	interrupt_at(test, 8);
	KUNIT_EXPECT_FALSE(test, done(a));
	interrupt(test);
	KUNIT_EXPECT_TRUE(test, done(a) && !a->error);

	/* Behind what has been read: all of the ring, where there are only zeros. */
	interrupt_at(test, host->at - 8);
	let_it_read_on(test);
	KUNIT_EXPECT_FALSE(test, done(b));
}

/* Anything at all, again and again: what is named may end, what is not stays. */
static void hostile_noise(struct kunit *test)
{
	struct azb_request *a = sent_request(test);
	struct host *host = test->priv;
	struct rnd_state rnd;
	unsigned int round;

	prandom_seed_state(&rnd, 20211);
	for (round = 0; round < 200; round++) {
		prandom_bytes_state(&rnd, host->data, DATA_BYTES);
		host->at = 8 * (prandom_u32_state(&rnd) % (DATA_BYTES / 8));
		again(test);
		interrupt_at(test, round % 8 ? 8 * (prandom_u32_state(&rnd) % (DATA_BYTES / 8)) :
					       prandom_u32_state(&rnd));
		let_it_read_on(test);
	}
	KUNIT_EXPECT_FALSE(test, done(a));
}

/* Hibernation, unbind: nothing is waited for, and what the host has ends with the channel. */
static void hostile_ring_given_up_is_not_waited_for(struct kunit *test)
{
	struct azb_request *a = sent_request(test);
	struct host *host = test->priv;

	interrupt_at(test, DATA_BYTES);
	KUNIT_ASSERT_TRUE(test, given_up(test));
	/* Longer than any test may take. */
	KUNIT_EXPECT_EQ(test, azb_real_ring_quiesce(&host->azb, 24 * 3600 * 1000), 1u);
	KUNIT_EXPECT_TRUE(test, azb_queue_is_gone(&host->azb.queue));
	KUNIT_EXPECT_FALSE(test, done(a));
	azb_queue_cut_off(&host->azb);
	KUNIT_EXPECT_TRUE(test, done(a));
	KUNIT_EXPECT_EQ(test, a->error, -ENODEV);
}

static struct kunit_case hostile_cases[] = {
	KUNIT_CASE(hostile_ring_is_read_across_its_end),
	KUNIT_CASE(hostile_completion_of_a_page),
	KUNIT_CASE(hostile_completion_beyond_any_copy),
	KUNIT_CASE(hostile_packet_that_lies_about_its_length),
	KUNIT_CASE(hostile_write_index),
	KUNIT_CASE(hostile_write_index_within_the_ring),
	KUNIT_CASE(hostile_ring_given_up_is_not_waited_for),
	KUNIT_CASE(hostile_noise),
	{}
};

static struct kunit_suite hostile_suite = {
	.name = "hv_azure_blob_hostile",
	.init = hostile_test_init,
	.exit = hostile_test_exit,
	.test_cases = hostile_cases,
};

kunit_test_suite(hostile_suite);
