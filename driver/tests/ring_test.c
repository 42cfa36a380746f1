// SPDX-License-Identifier: GPL-2.0-only
/*
 * Reading the inbound ring: packets of a host that means no good, the budget of a
 * callback, and the drain after a rescind, when nobody is called back.
 *
 * The bus is an array of packets.  Of the outbound ring only the lengths matter.
 */
#include <kunit/test.h>
#include <linux/slab.h>
#include <uapi/misc/hv_azure_blob.h>

#include "pure_ring.h"

#define RING_BYTES (VSP_WIRE_RING_SIZE - VSP_WIRE_PAGE_SIZE)
#define MAX_PACKETS 400

struct packet {
	struct vmpacket_descriptor desc;
	struct vsp_wire_completion wire;
	u8 padding[4];
} __packed;

struct bus {
	struct azb_device azb;
	struct vmbus_channel *channel;
	struct hv_ring_buffer *out;
	struct packet packets[MAX_PACKETS];
	u32 nr, at;
	u32 closes;	/* times that the read index was published */
	u32 dry_reads;	/* first looks that find nothing, as if it came later */
	u32 open_error;
	bool open;
	void (*callback)(void *context);
	void *context;
	struct delayed_work answer;
	u32 ring_size;
	u32 desc_size;
	u32 buffer_len;
	u64 requestid;
};

static struct bus *the_bus;
bool azb_real_iter;
void (*azb_real_callback)(void *context);

int azb_fake_vmbus_open(struct vmbus_channel *channel, u32 send_size, u32 recv_size,
			void *userdata, u32 userdata_len,
			void (*callback)(void *context), void *context)
{
	if (azb_real_iter) {
		azb_real_callback = callback;
		return 0;
	}
	if (the_bus->open_error)
		return -(int)the_bus->open_error;
	the_bus->open = true;
	the_bus->callback = callback;
	the_bus->context = context;
	the_bus->ring_size = send_size == recv_size ? send_size : 0;
	return 0;
}

void azb_fake_vmbus_close(struct vmbus_channel *channel)
{
	the_bus->open = false;
}

int azb_fake_sendpacket(struct vmbus_channel *channel,
			struct vmbus_packet_mpb_array *mpb, u32 desc_size,
			void *buffer, u32 buffer_len, u64 requestid)
{
	the_bus->desc_size = desc_size;
	the_bus->buffer_len = buffer_len;
	the_bus->requestid = requestid;
	return 0;
}

/* [extra */
int azb_fake_sendpacket_inband(struct vmbus_channel *channel, void *buffer,
			       u32 len, u64 requestid, enum vmbus_packet_type type,
			       u32 flags)
{
	the_bus->desc_size = 0;
	the_bus->buffer_len = len;
	the_bus->requestid = requestid;
	/* An answer is always wanted: the id is taken until it comes. */
	return type == VM_PKT_DATA_INBAND &&
	       flags == VMBUS_DATA_PACKET_FLAG_COMPLETION_REQUESTED ? 0 : -EINVAL;
}

/* extra] */
static struct vmpacket_descriptor *current_packet(void)
{
	return the_bus->at < the_bus->nr ? &the_bus->packets[the_bus->at].desc : NULL;
}

struct vmpacket_descriptor *azb_fake_iter_first(struct vmbus_channel *channel)
{
	if (azb_real_iter)
		return hv_pkt_iter_first(channel);
	if (WARN_ON(!the_bus->open))
		return NULL;
	if (the_bus->dry_reads) {
		the_bus->dry_reads--;
		return NULL;
	}
	return current_packet();
}

struct vmpacket_descriptor *azb_fake_iter_next(struct vmbus_channel *channel,
					       const struct vmpacket_descriptor *pkt)
{
	if (azb_real_iter)
		return __hv_pkt_iter_next(channel, pkt);
	the_bus->at++;
	return current_packet();
}

void azb_fake_iter_close(struct vmbus_channel *channel)
{
	if (azb_real_iter) {
		hv_pkt_iter_close(channel);
		return;
	}
	the_bus->closes++;
}

static int ring_test_init(struct kunit *test)
{
	struct bus *bus = kunit_kzalloc(test, sizeof(*bus), GFP_KERNEL);
	int ret;

	if (!bus)
		return -ENOMEM;
	bus->channel = kunit_kzalloc(test, sizeof(*bus->channel), GFP_KERNEL);
	bus->out = kunit_kzalloc(test, sizeof(*bus->out), GFP_KERNEL);
	if (!bus->channel || !bus->out)
		return -ENOMEM;
	ret = azb_queue_init(&bus->azb.queue);
	if (ret)
		return ret;
	spin_lock_init(&bus->azb.rx_lock);
	bus->channel->inbound.ring_datasize = RING_BYTES;
	bus->channel->outbound.ring_datasize = RING_BYTES;
	bus->channel->outbound.ring_buffer = bus->out;
	spin_lock_init(&bus->channel->outbound.ring_lock);
	/* Of this one only the host's index is looked at; the packets are elsewhere. */
	bus->channel->inbound.ring_buffer = bus->out;
	bus->azb.channel = bus->channel;
	/* [extra */
	azb_wire_parse_offer(&bus->azb.host, NULL, 0);
	/* extra] */
	bus->azb.dev.init_name = "azure_blob_test";
	the_bus = bus;
	test->priv = bus;
	return azb_real_ring_open(&bus->azb);
}

static void ring_test_exit(struct kunit *test)
{
	struct bus *bus = test->priv;

	if (bus)
		azb_queue_destroy(&bus->azb.queue);
}

/* A request as the queue has it after it was sent. */
static struct azb_request *sent_request(struct kunit *test)
{
	struct bus *bus = test->priv;
	struct azb_queue *queue = &bus->azb.queue;
	struct azb_request *req = kunit_kzalloc(test, sizeof(*req), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, req);
	/* [uring */
	INIT_LIST_HEAD(&req->watch);
	/* uring] */
	init_waitqueue_head(&req->wake);
	req->layout.buf[AZB_RESPONSE].len = 100;
	/* [extra */
	req->wire_len = sizeof(req->wire);
	/* extra] */
	spin_lock_bh(&queue->lock);
	req->id = azb_ids_get(&queue->ids, req);
	req->state = AZB_REQ_SENT;
	list_add_tail(&req->node, &queue->sent);
	queue->nr_sent++;
	spin_unlock_bh(&queue->lock);
	return req;
}

static struct packet *add_packet(struct kunit *test, u64 id)
{
	struct bus *bus = test->priv;
	struct packet *p = &bus->packets[bus->nr];

	KUNIT_ASSERT_LT(test, bus->nr, (u32)MAX_PACKETS);
	bus->nr++;
	p->desc.type = VM_PKT_COMP;
	p->desc.offset8 = sizeof(p->desc) / 8;
	p->desc.len8 = sizeof(*p) / 8;
	p->desc.trans_id = id;
	p->wire.length = cpu_to_le32(sizeof(p->wire));
	p->wire.error = cpu_to_le32(7);
	p->wire.response_length = cpu_to_le32(9);
	return p;
}

static void interrupt(struct kunit *test)
{
	struct bus *bus = test->priv;

	bus->callback(bus->context);
}

static u64 bad_packets(struct kunit *test)
{
	struct bus *bus = test->priv;

	return bus->azb.queue.counters[AZB_CNT_BAD_PACKET];
}

static void ring_has_the_published_size(struct kunit *test)
{
	struct bus *bus = test->priv;

	KUNIT_EXPECT_EQ(test, bus->ring_size,
			VSP_WIRE_RING_SIZE + PAGE_SIZE - HV_HYP_PAGE_SIZE);
	KUNIT_EXPECT_TRUE(test, PAGE_ALIGNED(bus->ring_size));
}

static void ring_delivers_completions(struct kunit *test)
{
	struct azb_request *a = sent_request(test);
	struct azb_request *b = sent_request(test);
	struct bus *bus = test->priv;

	add_packet(test, b->id);
	add_packet(test, a->id);
	interrupt(test);
	KUNIT_EXPECT_TRUE(test, a->state == AZB_REQ_DONE);
	KUNIT_EXPECT_TRUE(test, b->state == AZB_REQ_DONE);
	KUNIT_EXPECT_EQ(test, a->error, 0);
	KUNIT_EXPECT_EQ(test, a->answer.status, 7u);
	KUNIT_EXPECT_EQ(test, a->answer.response_len, 9u);
	KUNIT_EXPECT_EQ(test, bus->at, 2u);
	KUNIT_EXPECT_EQ(test, bus->closes, 1u);
	KUNIT_EXPECT_EQ(test, bad_packets(test), 0ull);
}

static void ring_ignores_other_types(struct kunit *test)
{
	static const u16 types[] = { 0, VM_PKT_DATA_INBAND, VM_PKT_DATA_USING_XFER_PAGES,
				     VM_PKT_DATA_USING_GPA_DIRECT, 0x0c, 0xffff };
	struct azb_request *a = sent_request(test);
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(types); i++)
		add_packet(test, a->id)->desc.type = types[i];
	interrupt(test);
	KUNIT_EXPECT_FALSE(test, a->state == AZB_REQ_DONE);
	KUNIT_EXPECT_EQ(test, bad_packets(test), (u64)ARRAY_SIZE(types));
	add_packet(test, a->id);
	interrupt(test);
	KUNIT_EXPECT_TRUE(test, a->state == AZB_REQ_DONE);
}

static void ring_ignores_impossible_offsets(struct kunit *test)
{
	static const u16 offsets[] = { 0, 1, 5, 100, 0x8000, 0xffff };
	struct azb_request *a = sent_request(test);
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(offsets); i++)
		add_packet(test, a->id)->desc.offset8 = offsets[i];
	interrupt(test);
	KUNIT_EXPECT_FALSE(test, a->state == AZB_REQ_DONE);
	KUNIT_EXPECT_EQ(test, bad_packets(test), (u64)ARRAY_SIZE(offsets));
}

static void ring_gives_eio_for_short_ones(struct kunit *test)
{
	struct azb_request *a = sent_request(test);
	struct azb_request *b = sent_request(test);

	add_packet(test, a->id)->desc.len8 = 3;	   /* 8 bytes of payload */
	add_packet(test, b->id)->desc.offset8 = 4; /* none at all */
	interrupt(test);
	KUNIT_ASSERT_TRUE(test, a->state == AZB_REQ_DONE);
	KUNIT_ASSERT_TRUE(test, b->state == AZB_REQ_DONE);
	KUNIT_EXPECT_EQ(test, a->error, -EIO);
	KUNIT_EXPECT_EQ(test, b->error, -EIO);
}

static void ring_is_not_read_beyond_its_end(struct kunit *test)
{
	static const u32 indexes[] = { RING_BYTES, RING_BYTES + 8, U32_MAX, 0x80000000, 1, 4 };
	struct bus *bus = test->priv;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(indexes); i++) {
		struct azb_request *a = sent_request(test);

		add_packet(test, a->id);
		bus->out->write_index = indexes[i];
		interrupt(test);
		KUNIT_EXPECT_FALSE(test, a->state == AZB_REQ_DONE);
		/* Nor when the host thinks better of it. */
		bus->out->write_index = 0;
		interrupt(test);
		KUNIT_EXPECT_FALSE(test, a->state == AZB_REQ_DONE);
		KUNIT_EXPECT_EQ(test, bad_packets(test), i + 1ull);

		azb_real_ring_close(&bus->azb);
		bus->at = bus->nr;
		KUNIT_ASSERT_EQ(test, azb_real_ring_open(&bus->azb), 0);
	}
}

/* A length that cannot be says that the next packet cannot be found either. */
static void ring_stops_where_it_makes_no_sense(struct kunit *test)
{
	static const u16 lengths[] = { 0, 1, RING_BYTES / 8, 0xffff };
	struct bus *bus = test->priv;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(lengths); i++) {
		struct azb_request *a = sent_request(test);
		u32 at = bus->nr;

		add_packet(test, a->id)->desc.len8 = lengths[i];
		add_packet(test, a->id);
		interrupt(test);
		interrupt(test);
		KUNIT_EXPECT_TRUE(test, azb_queue_is_gone(&bus->azb.queue));
		KUNIT_EXPECT_EQ(test, bus->at, at);
		KUNIT_EXPECT_FALSE(test, a->state == AZB_REQ_DONE);
		KUNIT_EXPECT_EQ(test, bad_packets(test), i + 1ull);

		/* A new channel is a new beginning. */
		azb_real_ring_close(&bus->azb);
		bus->at = bus->nr;
		KUNIT_ASSERT_EQ(test, azb_real_ring_open(&bus->azb), 0);
	}
}

/* Who came later would wait for an answer that nobody reads. */
static void ring_given_up_is_the_end_of_the_device(struct kunit *test)
{
	struct azb_request *a = sent_request(test), *line = sent_request(test);
	struct bus *bus = test->priv;
	struct azb_queue *queue = &bus->azb.queue;
	struct azb_request *late;

	/* One that the host does not have yet. */
	late = kunit_kzalloc(test, sizeof(*late), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, late);
	/* [uring */
	INIT_LIST_HEAD(&late->watch);
	/* uring] */
	init_waitqueue_head(&late->wake);
	/* [extra */
	late->wire_len = sizeof(late->wire);
	/* extra] */
	KUNIT_ASSERT_EQ(test, azb_queue_submit(&bus->azb, late, false), 0);
	KUNIT_ASSERT_EQ(test, queue->nr_waiting, 1u);

	add_packet(test, line->id);
	add_packet(test, a->id)->desc.len8 = 0;
	interrupt(test);
	/* What made sense is taken, what the host has stays with it. */
	KUNIT_EXPECT_TRUE(test, line->state == AZB_REQ_DONE);
	KUNIT_EXPECT_EQ(test, line->error, 0);
	KUNIT_EXPECT_TRUE(test, a->state == AZB_REQ_SENT);
	KUNIT_EXPECT_TRUE(test, late->state == AZB_REQ_DONE);
	KUNIT_EXPECT_EQ(test, late->error, -ENODEV);
	late->state = AZB_REQ_NEW;
	KUNIT_EXPECT_EQ(test, azb_queue_admit(&bus->azb, late, false), -ENODEV);
	KUNIT_EXPECT_EQ(test, azb_queue_submit(&bus->azb, late, false), -ENODEV);
}

/* Unknown ids, other types, wrong offsets, what was answered before: in any order. */
static struct packet *add_nonsense(struct kunit *test, u32 i, u64 stale)
{
	struct packet *p = add_packet(test, i % 4 ? stale : U64_MAX);

	if (i % 4 == 1)
		p->desc.type = VM_PKT_DATA_INBAND;
	if (i % 4 == 2)
		p->desc.offset8 = 0xffff;
	return p;
}

static void again_from_the_start(struct bus *bus)
{
	bus->nr = 0;
	bus->at = 0;
}

/* When nothing makes sense any more, the host is not where it is looked for. */
static void ring_gives_up_after_much_nonsense(struct kunit *test)
{
	struct azb_request *done = sent_request(test), *a = sent_request(test);
	struct bus *bus = test->priv;
	u32 i, n = 0, rounds = 0;

	add_packet(test, done->id);
	interrupt(test);
	KUNIT_ASSERT_TRUE(test, done->state == AZB_REQ_DONE);
	while (n < 1024) {
		again_from_the_start(bus);
		for (i = 0; i < 128 && n < 1024; i++)
			add_nonsense(test, n++, done->id);
		interrupt(test);
		rounds++;
	}
	KUNIT_EXPECT_EQ(test, rounds, 8u);
	add_packet(test, a->id);
	interrupt(test);
	KUNIT_EXPECT_FALSE(test, a->state == AZB_REQ_DONE);
	azb_real_ring_close(&bus->azb);
	KUNIT_ASSERT_EQ(test, azb_real_ring_open(&bus->azb), 0);
	again_from_the_start(bus);
	add_packet(test, a->id);
	interrupt(test);
	KUNIT_EXPECT_TRUE(test, a->state == AZB_REQ_DONE);
}

static void ring_forgives_nonsense_between_completions(struct kunit *test)
{
	struct azb_request *done = sent_request(test), *a;
	struct bus *bus = test->priv;
	u32 i, round;

	add_packet(test, done->id);
	interrupt(test);
	for (round = 0; round < 20; round++) {
		again_from_the_start(bus);
		for (i = 0; i < 120; i++)
			add_nonsense(test, i, done->id);
		a = sent_request(test);
		add_packet(test, a->id);
		interrupt(test);
		KUNIT_ASSERT_TRUE(test, a->state == AZB_REQ_DONE);
	}
}

/* The one that counts is behind as much nonsense as one callback reads. */
static void ring_budget_runs_out_amid_nonsense(struct kunit *test)
{
	struct azb_request *a = sent_request(test), *b = sent_request(test);
	struct bus *bus = test->priv;
	u32 i;

	for (i = 0; i < 127; i++)
		add_nonsense(test, i, U64_MAX);
	add_packet(test, a->id);
	add_packet(test, b->id);
	interrupt(test);
	KUNIT_EXPECT_TRUE(test, a->state == AZB_REQ_DONE);
	KUNIT_EXPECT_FALSE(test, b->state == AZB_REQ_DONE);
	KUNIT_EXPECT_EQ(test, bus->closes, 1u);
	interrupt(test);
	KUNIT_EXPECT_TRUE(test, b->state == AZB_REQ_DONE);
}

static void ring_reads_within_a_budget(struct kunit *test)
{
	struct bus *bus = test->priv;
	u32 i, last = 0, rounds = 0;

	for (i = 0; i < MAX_PACKETS; i++)
		add_packet(test, U64_MAX);
	while (bus->at < MAX_PACKETS && rounds < MAX_PACKETS) {
		interrupt(test);
		rounds++;
		/* Some, not all, and the host learns of it every time. */
		KUNIT_EXPECT_GT(test, bus->at, last);
		KUNIT_EXPECT_LE(test, bus->at - last, 128u);
		KUNIT_EXPECT_EQ(test, bus->closes, rounds);
		last = bus->at;
	}
	KUNIT_EXPECT_EQ(test, rounds, DIV_ROUND_UP(MAX_PACKETS, 128));
	KUNIT_EXPECT_EQ(test, bus->azb.queue.counters[AZB_CNT_BAD_ID_UNKNOWN],
			(u64)MAX_PACKETS);
}

static void ring_is_not_read_when_closed(struct kunit *test)
{
	struct bus *bus = test->priv;

	sent_request(test);
	azb_real_ring_close(&bus->azb);
	/* As in remove after a suspend that was followed by a rescind. */
	bus->channel->rescind = true;
	azb_real_ring_drain(&bus->azb, 0);
	KUNIT_EXPECT_EQ(test, bus->at, 0u);

	bus->open_error = ENODEV;
	KUNIT_EXPECT_EQ(test, azb_real_ring_open(&bus->azb), -ENODEV);
	azb_real_ring_drain(&bus->azb, 0);
}

static void ring_drains_after_a_rescind(struct kunit *test)
{
	struct azb_request *a = sent_request(test);
	struct bus *bus = test->priv;

	/* The completion is put there some time after the rescind. */
	add_packet(test, a->id);
	bus->dry_reads = 3;
	bus->channel->rescind = true;
	azb_real_ring_drain(&bus->azb, 60000);
	KUNIT_EXPECT_TRUE(test, a->state == AZB_REQ_DONE);
	KUNIT_EXPECT_EQ(test, a->error, 0);
}

static void answer(struct work_struct *work)
{
	struct bus *bus = container_of(to_delayed_work(work), struct bus, answer);

	bus->callback(bus->context);
}

/* Unbind, shutdown, hibernation: the bus goes on calling back meanwhile. */
static void ring_drains_while_the_channel_is_open(struct kunit *test)
{
	struct azb_request *a = sent_request(test), *b = sent_request(test);
	struct bus *bus = test->priv;

	add_packet(test, a->id);
	add_packet(test, b->id);
	INIT_DELAYED_WORK(&bus->answer, answer);
	schedule_delayed_work(&bus->answer, HZ / 5);
	/* Longer than anything here takes. */
	azb_real_ring_drain(&bus->azb, 3600 * 1000);
	KUNIT_EXPECT_TRUE(test, a->state == AZB_REQ_DONE);
	KUNIT_EXPECT_TRUE(test, b->state == AZB_REQ_DONE);
	KUNIT_EXPECT_EQ(test, a->error, 0);
	flush_delayed_work(&bus->answer);
	KUNIT_EXPECT_EQ(test, bus->at, 2u);
}

static void ring_drain_ends_without_answers(struct kunit *test)
{
	struct azb_request *a = sent_request(test);
	struct bus *bus = test->priv;

	azb_real_ring_drain(&bus->azb, 1);
	KUNIT_EXPECT_FALSE(test, a->state == AZB_REQ_DONE);
	/* While the bus still calls back, nobody else may read. */
	add_packet(test, a->id);
	azb_real_ring_drain(&bus->azb, 1);
	KUNIT_EXPECT_EQ(test, bus->at, 0u);

	bus->at = bus->nr;
	bus->channel->rescind = true;
	azb_real_ring_drain(&bus->azb, 60000);
	KUNIT_EXPECT_FALSE(test, a->state == AZB_REQ_DONE);
}

/* As for hibernation, which goes on only when nothing is left. */
static void ring_quiesces_when_all_is_answered(struct kunit *test)
{
	struct azb_request *a = sent_request(test);
	struct bus *bus = test->priv;

	azb_queue_resume(&bus->azb);
	KUNIT_EXPECT_EQ(test, azb_real_ring_quiesce(&bus->azb, 1), 1u);
	KUNIT_EXPECT_EQ(test, bus->azb.queue.state, AZB_QUEUE_RUNNING);
	add_packet(test, a->id);
	INIT_DELAYED_WORK(&bus->answer, answer);
	schedule_delayed_work(&bus->answer, HZ / 5);
	KUNIT_EXPECT_EQ(test, azb_real_ring_quiesce(&bus->azb, 3600 * 1000), 0u);
	KUNIT_EXPECT_TRUE(test, a->state == AZB_REQ_DONE);
	KUNIT_EXPECT_EQ(test, bus->azb.queue.state, AZB_QUEUE_PAUSED);
	flush_delayed_work(&bus->answer);
}

static void ring_sends_what_the_wire_says(struct kunit *test)
{
	struct azb_request *a = sent_request(test);
	struct bus *bus = test->priv;

	a->layout.pages = 5;
	KUNIT_EXPECT_EQ(test, azb_real_ring_send(&bus->azb, a), 0);
	KUNIT_EXPECT_EQ(test, bus->desc_size, 32u + 5 * 8);
	KUNIT_EXPECT_EQ(test, bus->buffer_len, 56u);
	KUNIT_EXPECT_EQ(test, bus->requestid, a->id);

	/* [extra */
	/* With no page to name it is another type of packet. */
	a->layout.pages = 0;
	a->wire_len = sizeof(a->wire_2);
	KUNIT_EXPECT_EQ(test, azb_real_ring_send(&bus->azb, a), 0);
	KUNIT_EXPECT_EQ(test, bus->desc_size, 0u);
	KUNIT_EXPECT_EQ(test, bus->buffer_len, 88u);
	/* extra] */
}

/* [extra */
static void ring_is_larger_when_the_host_likes(struct kunit *test)
{
	struct bus *bus = test->priv;

	azb_real_ring_close(&bus->azb);
	bus->azb.host.ring_size = 1 << 20;
	KUNIT_EXPECT_EQ(test, azb_real_ring_open(&bus->azb), 0);
	KUNIT_EXPECT_EQ(test, bus->ring_size, (1 << 20) + PAGE_SIZE - HV_HYP_PAGE_SIZE);
}

/* extra] */
static void ring_never_fills_up(struct kunit *test)
{
	struct bus *bus = test->priv;

	/* Full to the last byte looks empty, so one byte stays free. */
	KUNIT_EXPECT_TRUE(test, azb_real_ring_has_room(&bus->azb, RING_BYTES - 1));
	KUNIT_EXPECT_FALSE(test, azb_real_ring_has_room(&bus->azb, RING_BYTES));
	bus->out->write_index = 4096;
	bus->out->read_index = 4096 + 1000;
	KUNIT_EXPECT_TRUE(test, azb_real_ring_has_room(&bus->azb, 999));
	KUNIT_EXPECT_FALSE(test, azb_real_ring_has_room(&bus->azb, 1000));
}

/*
 * The wish is where the host looks for it, in the ring that we write, and is gone when
 * it is taken back: a host would interrupt for nothing for ever.
 */
static void ring_wish_for_room_is_in_the_ring(struct kunit *test)
{
	static const u32 sizes[] = { 1, 72, RING_BYTES - 1 };
	struct bus *bus = test->priv;
	struct hv_ring_buffer *in = kunit_kzalloc(test, sizeof(*in), GFP_KERNEL);
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL(test, in);
	bus->channel->inbound.ring_buffer = in;
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		azb_real_ring_want_room(&bus->azb, sizes[i]);
		KUNIT_EXPECT_EQ(test, bus->out->pending_send_sz, sizes[i]);
	}
	/* Another head of the line, which wants less. */
	azb_real_ring_want_room(&bus->azb, 8);
	KUNIT_EXPECT_EQ(test, bus->out->pending_send_sz, 8u);
	azb_real_ring_want_room(&bus->azb, 0);
	KUNIT_EXPECT_EQ(test, bus->out->pending_send_sz, 0u);

	/* That is all of the ring that it changes. */
	KUNIT_EXPECT_PTR_EQ(test, memchr_inv(bus->out, 0, sizeof(*bus->out)), NULL);
	KUNIT_EXPECT_PTR_EQ(test, memchr_inv(in, 0, sizeof(*in)), NULL);
}

/*
 * A host that read the ring before it could see the wish interrupts nobody: whoever
 * wishes looks at the ring again afterwards, and sees what it has read.
 */
static void ring_wish_for_room_does_not_hide_room(struct kunit *test)
{
	struct bus *bus = test->priv;

	/* Eight bytes are free. */
	bus->out->write_index = RING_BYTES - 8;
	KUNIT_EXPECT_FALSE(test, azb_real_ring_has_room(&bus->azb, 72));
	azb_real_ring_want_room(&bus->azb, 72);
	KUNIT_EXPECT_FALSE(test, azb_real_ring_has_room(&bus->azb, 72));
	bus->out->read_index = RING_BYTES - 8;
	KUNIT_EXPECT_TRUE(test, azb_real_ring_has_room(&bus->azb, 72));
	KUNIT_EXPECT_EQ(test, bus->out->pending_send_sz, 72u);
}

static struct kunit_case ring_cases[] = {
	KUNIT_CASE(ring_has_the_published_size),
	KUNIT_CASE(ring_delivers_completions),
	KUNIT_CASE(ring_ignores_other_types),
	KUNIT_CASE(ring_ignores_impossible_offsets),
	KUNIT_CASE(ring_gives_eio_for_short_ones),
	KUNIT_CASE(ring_stops_where_it_makes_no_sense),
	KUNIT_CASE(ring_given_up_is_the_end_of_the_device),
	KUNIT_CASE(ring_is_not_read_beyond_its_end),
	KUNIT_CASE(ring_gives_up_after_much_nonsense),
	KUNIT_CASE(ring_forgives_nonsense_between_completions),
	KUNIT_CASE(ring_budget_runs_out_amid_nonsense),
	KUNIT_CASE(ring_reads_within_a_budget),
	KUNIT_CASE(ring_is_not_read_when_closed),
	KUNIT_CASE(ring_drains_after_a_rescind),
	KUNIT_CASE(ring_drains_while_the_channel_is_open),
	KUNIT_CASE_SLOW(ring_drain_ends_without_answers),
	KUNIT_CASE(ring_quiesces_when_all_is_answered),
	KUNIT_CASE(ring_sends_what_the_wire_says),
	/* [extra */
	KUNIT_CASE(ring_is_larger_when_the_host_likes),
	/* extra] */
	KUNIT_CASE(ring_never_fills_up),
	KUNIT_CASE(ring_wish_for_room_is_in_the_ring),
	KUNIT_CASE(ring_wish_for_room_does_not_hide_room),
	{}
};

static struct kunit_suite ring_suite = {
	.name = "hv_azure_blob_ring",
	.init = ring_test_init,
	.exit = ring_test_exit,
	.test_cases = ring_cases,
};

kunit_test_suite(ring_suite);
