// SPDX-License-Identifier: GPL-2.0-only
/*
 * The VMBus channel: sending packets, reading completions, the last drain.
 */
#include <linux/delay.h>
#include <linux/hyperv.h>
#include <linux/jiffies.h>
#include <linux/mm.h>

#include "azb.h"
#include "trace.h"

/*
 * Completions handled in one callback.  What is left makes the bus schedule the
 * callback again, after others have had their turn.
 */
#define AZB_RX_BUDGET 128u

/*
 * Packets in a row that complete nothing.  A host does not send such, so the place of
 * the next packet has been lost: the bus goes round the ring then, for ever, and finds
 * what was there once.
 */
#define AZB_RX_NONSENSE 1024u

/* How long a host that rescinded the channel may still be answering. */
#define AZB_RESCIND_PATIENCE_MS 1000u
/* Nothing wakes us for packets behind a rescind: look this often. */
#define AZB_DRAIN_POLL_MS 10u

/* Long enough for a completion with its padding; what is beyond is not ours. */
#define AZB_RX_COPY 64u

/* Header page included; more with larger kernel pages, whose header is one. */
static u32 azb_ring_bytes(u32 size)
{
	return PAGE_ALIGN(size + PAGE_SIZE - HV_HYP_PAGE_SIZE);
}

enum azb_packet {
	AZB_PACKET_COMPLETION,	/* of a request */
	AZB_PACKET_NONSENSE,	/* of nothing that is known, or of no known kind */
	AZB_PACKET_LOST,	/* the ring cannot be read on */
};

/*
 * One packet.  On kernels that do not copy packets out of the ring first, the
 * host can change what @pkt points to at any time: everything is read once.
 */
static enum azb_packet azb_ring_packet(struct azb_device *azb,
				       const struct vmpacket_descriptor *pkt)
{
	u32 ring = azb->channel->inbound.ring_datasize;
	u32 len = READ_ONCE(pkt->len8) << 3;
	u32 offset = READ_ONCE(pkt->offset8) << 3;
	u16 type = READ_ONCE(pkt->type);
	u64 id = READ_ONCE(pkt->trans_id);
	u8 payload[AZB_RX_COPY];
	u32 size;

	if (len < sizeof(*pkt) || len >= ring) {
		azb_queue_bad_packet(azb, "impossible length", len);
		return AZB_PACKET_LOST;
	}
	if (offset < sizeof(*pkt) || offset > len) {
		azb_queue_bad_packet(azb, "impossible payload offset", offset);
		return AZB_PACKET_NONSENSE;
	}
	if (type != VM_PKT_COMP) {
		azb_queue_bad_packet(azb, "unexpected type", type);
		return AZB_PACKET_NONSENSE;
	}
	/* The ring is mapped twice in a row, so this does not wrap. */
	size = min(len - offset, AZB_RX_COPY);
	memcpy(payload, (const u8 *)pkt + offset, size);
	return azb_queue_complete(azb, id, payload, size) ? AZB_PACKET_COMPLETION :
							    AZB_PACKET_NONSENSE;
}

/* Whether the ring can be read on after @packet. */
static bool azb_ring_is_sound(struct azb_device *azb, enum azb_packet packet)
{
	lockdep_assert_held(&azb->rx_lock);
	if (packet == AZB_PACKET_NONSENSE)
		return ++azb->rx_nonsense < AZB_RX_NONSENSE;
	azb->rx_nonsense = 0;
	return packet != AZB_PACKET_LOST;
}

/* Where the host writes is beyond the ring, or where no packet can end. */
static bool azb_ring_index_is_wrong(struct azb_device *azb)
{
	const struct hv_ring_buffer_info *in = &azb->channel->inbound;
	u32 index = READ_ONCE(in->ring_buffer->write_index);

	if (index < in->ring_datasize && index % sizeof(u64) == 0)
		return false;
	azb_queue_bad_packet(azb, "impossible write index", index);
	return true;
}

/*
 * Where the next packet starts is anyone's guess.  What the host owns stays with it
 * until it goes away; whoever else comes would wait for an answer that nobody reads,
 * so this is the end of the device until it is bound again.
 */
static void azb_ring_give_up(struct azb_device *azb)
{
	lockdep_assert_held(&azb->rx_lock);
	azb->rx_on = false;
	/*
	 * In batched mode the bus would call again for as long as there is something
	 * on the ring: for ever.
	 */
	set_channel_read_mode(azb->channel, HV_CALL_DIRECT);
	azb_queue_stop(azb);
	dev_err(&azb->dev, "inbound ring corrupted, not read any more\n");
}

/* Reads up to AZB_RX_BUDGET packets. */
static void azb_ring_read(struct azb_device *azb)
{
	struct vmbus_channel *channel = azb->channel;
	struct vmpacket_descriptor *pkt;
	u32 budget = AZB_RX_BUDGET;

	spin_lock_bh(&azb->rx_lock);
	if (!azb->rx_on)
		goto out;
	if (azb_ring_index_is_wrong(azb)) {
		azb_ring_give_up(azb);
		goto out;
	}
	pkt = hv_pkt_iter_first(channel);
	while (pkt) {
		if (!azb_ring_is_sound(azb, azb_ring_packet(azb, pkt))) {
			azb_ring_give_up(azb);
			break;
		}
		pkt = hv_pkt_iter_next(channel, pkt);
		if (pkt && !--budget) {
			hv_pkt_iter_close(channel);
			break;
		}
	}
out:
	spin_unlock_bh(&azb->rx_lock);
}

/* The host has put something on the ring, or taken something off. */
static void azb_ring_callback(void *context)
{
	struct azb_device *azb = context;

	azb_ring_read(azb);
	azb_queue_kick(azb);
}

/* False: not open, or given up, so that no answer will be seen. */
static bool azb_ring_is_read(struct azb_device *azb)
{
	bool on;

	spin_lock_bh(&azb->rx_lock);
	on = azb->rx_on;
	spin_unlock_bh(&azb->rx_lock);
	return on;
}

static void azb_ring_set_rx(struct azb_device *azb, bool on)
{
	spin_lock_bh(&azb->rx_lock);
	azb->rx_on = on;
	azb->rx_nonsense = 0;
	spin_unlock_bh(&azb->rx_lock);
}

/**
 * azb_ring_open() - open the channel
 * @azb: the device; its callback can run before this returns
 *
 * Return: 0 or a negative errno.
 */
int azb_ring_open(struct azb_device *azb)
{
	/* [extra, else: u32 bytes = azb_ring_bytes(VSP_WIRE_RING_SIZE); */
	u32 size = azb->host.ring_size;
	u32 bytes;
	/* extra] */
	int ret;

	/* As it is at first; a corrupted ring has changed it. */
	set_channel_read_mode(azb->channel, HV_CALL_BATCHED);
	/* Before, because the callback may not be late. */
	azb_ring_set_rx(azb, true);
	/* [extra, else: ret = vmbus_open(azb->channel, bytes, bytes, NULL, 0, */
	/* else:		 azb_ring_callback, azb); */
	do {
		bytes = azb_ring_bytes(size);
		ret = vmbus_open(azb->channel, bytes, bytes, NULL, 0,
				 azb_ring_callback, azb);
		/* Both are one piece of memory, which there may not be any more. */
		size /= 2;
	} while (ret == -ENOMEM && size >= VSP_WIRE_RING_SIZE);
	/* extra] */
	if (ret)
		azb_ring_set_rx(azb, false);
	return ret;
}

/**
 * azb_ring_close() - close the channel
 * @azb: the device; nothing is sent any more
 *
 * When this returns the callback does not run any more and the host has
 * confirmed that it is done with the channel: it does not write to the pages of
 * a request any more.  (That is the bus's word, which has no way to tell us when the
 * host did not confirm it.)
 */
void azb_ring_close(struct azb_device *azb)
{
	azb_ring_set_rx(azb, false);
	vmbus_close(azb->channel);
}

/**
 * azb_ring_send() - put a request on the ring
 * @azb: the device
 * @req: with its transaction id
 *
 * Return: 0; -EAGAIN when it does not fit; -ENODEV when the channel is being
 * rescinded, whether or not the packet got onto the ring; another negative errno
 * when the ring makes no sense.
 *
 * Context: under queue.lock.
 */
int azb_ring_send(struct azb_device *azb, struct azb_request *req)
{
	/* [extra */
	if (!req->layout.pages)
		return vmbus_sendpacket(azb->channel, &req->wire, req->wire_len, req->id,
					VM_PKT_DATA_INBAND,
					VMBUS_DATA_PACKET_FLAG_COMPLETION_REQUESTED);
	/* extra] */
	return vmbus_sendpacket_mpb_desc(azb->channel, req->desc,
					 azb_wire_desc_size(req->layout.pages),
					 &req->wire, req->wire_len, req->id);
}

/**
 * azb_ring_has_room() - would a packet fit?
 * @azb: the device
 * @bytes: of the packet, azb_wire_ring_bytes()
 *
 * Only we write, so room never shrinks between this and sending.
 *
 * Context: under queue.lock.
 */
bool azb_ring_has_room(struct azb_device *azb, u32 bytes)
{
	/* A ring that is full to the last byte would look empty. */
	return hv_get_bytes_to_write(&azb->channel->outbound) > bytes;
}

/**
 * azb_ring_want_room() - ask the host for an interrupt when there is room
 * @azb: the device
 * @bytes: how much; 0 takes the wish back
 *
 * Context: under queue.lock.
 */
void azb_ring_want_room(struct azb_device *azb, u32 bytes)
{
	set_channel_pending_send_size(azb->channel, bytes);
	/*
	 * The host reads our wish after it has moved its read index; we look at
	 * that index after the wish is out.  One of the two sees the other.
	 */
	virt_mb();
}

/**
 * azb_ring_drain() - wait until the host has completed what it owns
 * @azb: the device; what is in line is waited for as well
 * @patience_ms: at most this long, and less after a rescind
 *
 * After a rescind the bus calls nobody back, even though completions may be on
 * the ring or still be put there: their order is not fixed.  So the ring is read
 * from here then, until all is answered or AZB_RESCIND_PATIENCE_MS have passed.
 * A ring that is not read is not waited for.
 *
 * Context: may sleep.
 */
void azb_ring_drain(struct azb_device *azb, unsigned int patience_ms)
{
	unsigned long deadline = jiffies + msecs_to_jiffies(patience_ms);
	struct azb_queue *queue = &azb->queue;
	bool rescinded = false;
	bool last;

	for (;;) {
		/* Before the reading, so that what comes until then is seen. */
		last = time_after(jiffies, deadline);

		/* Set after the bus has made sure that no callback runs. */
		if (READ_ONCE(azb->channel->rescind)) {
			if (!rescinded) {
				rescinded = true;
				trace_hv_azure_blob_rescind(azb, azb_queue_nr_sent(queue));
				deadline = jiffies +
					   msecs_to_jiffies(AZB_RESCIND_PATIENCE_MS);
				last = false;
			}
			azb_ring_read(azb);
		}
		if (last || azb_queue_is_idle(queue) || !azb_ring_is_read(azb))
			return;
		wait_event_timeout(queue->drained, azb_queue_is_idle(queue),
				   msecs_to_jiffies(AZB_DRAIN_POLL_MS));
	}
}

/**
 * azb_ring_quiesce() - stop sending when all has been answered
 * @azb: the device
 * @patience_ms: at most this long
 *
 * The driver's own packets can get in line whenever the last answer has come, so one
 * look is not enough.
 *
 * Return: 0, with the queue paused, or GONE as it was; or how many requests are
 * unanswered, with nothing changed.
 *
 * Context: may sleep.
 */
u32 azb_ring_quiesce(struct azb_device *azb, unsigned int patience_ms)
{
	unsigned long deadline = jiffies + msecs_to_jiffies(patience_ms);
	long rest;
	u32 left;

	do {
		rest = (long)(deadline - jiffies);
		azb_ring_drain(azb, rest > 0 ? jiffies_to_msecs(rest) : 0);
		left = azb_queue_pause(azb);
	} while (left && rest > 0 && azb_ring_is_read(azb));
	return left;
}
