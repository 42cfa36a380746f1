// SPDX-License-Identifier: GPL-2.0-only
/*
 * Packing requests into VMBus packets and taking completions apart.
 */
#include <linux/build_bug.h>
#include <linux/hyperv.h>
#include <linux/kernel.h>
/* [extra */
#include <linux/limits.h>
#include <linux/log2.h>
#include <linux/minmax.h>
/* extra] */
#include <linux/stddef.h>
#include <linux/string.h>

#include "wire.h"

/* Behind every packet on a ring stand the indices of its start, 8 bytes. */
#define AZB_RING_TRAILER 8u

/* [extra */
/* However much a host asks for: what is allocated in one piece, or in a table. */
#define AZB_RING_SIZE_MAX (1024u * 1024)
#define AZB_BUFFERS_MAX 65536u
#define AZB_BUFFER_BYTES_MAX 0x8000000000ull
/* extra] */

static_assert(VSP_WIRE_PAGE_SIZE == HV_HYP_PAGE_SIZE);
static_assert(sizeof(struct vsp_wire_request) % 8 == 0);
/* [extra */
/* kvmalloc() warns of more, for the table of its pages. */
static_assert(AZB_BUFFER_BYTES_MAX / VSP_WIRE_PAGE_SIZE * sizeof(struct page *) <= INT_MAX);
/* extra] */

/**
 * azb_wire_desc_size() - bytes of a GPA-direct descriptor
 * @pages: page numbers in its one range
 */
u32 azb_wire_desc_size(u32 pages)
{
	return offsetof(struct vmbus_packet_mpb_array, range.pfn_array) +
	       pages * (u32)sizeof(u64);
}

/**
 * azb_wire_packet_bytes() - bytes that a packet takes on the outbound ring
 * @pages: page numbers in it; with none it is an in-band packet
 * @payload: bytes behind them
 */
u32 azb_wire_packet_bytes(u32 pages, u32 payload)
{
	u32 desc = pages ? azb_wire_desc_size(pages) :
			   (u32)sizeof(struct vmpacket_descriptor);

	return ALIGN(desc + payload, 8) + AZB_RING_TRAILER;
}

/**
 * azb_wire_ring_bytes() - bytes that a request of protocol 1 takes there
 * @pages: page numbers in it
 */
u32 azb_wire_ring_bytes(u32 pages)
{
	return azb_wire_packet_bytes(pages, sizeof(struct vsp_wire_request));
}

/* [extra */
/**
 * azb_wire_parse_offer() - what the host says that it speaks
 * @host: filled; protocol 1 when the bytes make no sense
 * @bytes: the user-defined ones of the offer
 * @len: how many there are
 *
 * What a host may say is bounded by what we would do with it.
 */
void azb_wire_parse_offer(struct azb_host *host, const void *bytes, u32 len)
{
	struct vsp_wire_offer offer;
	u32 ring;

	memset(host, 0, sizeof(*host));
	host->protocol = 1;
	host->ring_size = VSP_WIRE_RING_SIZE;
	if (len < sizeof(offer))
		return;
	memcpy(&offer, bytes, sizeof(offer));
	if (le32_to_cpu(offer.magic) != VSP_WIRE_MAGIC ||
	    le32_to_cpu(offer.length) < sizeof(offer) ||
	    le32_to_cpu(offer.length) > len || le32_to_cpu(offer.version) < 2)
		return;

	host->protocol = 2;
	host->features = le32_to_cpu(offer.features) &
			 (VSP_WIRE_FEATURE_BUFFERS | VSP_WIRE_FEATURE_CANCEL);
	ring = le32_to_cpu(offer.ring_size);
	if (is_power_of_2(ring))
		host->ring_size = clamp(ring, VSP_WIRE_RING_SIZE, AZB_RING_SIZE_MAX);
	host->max_buffers = min(le32_to_cpu(offer.max_buffers), AZB_BUFFERS_MAX);
	host->max_buffer_bytes = min(le64_to_cpu(offer.max_buffer_bytes),
				     AZB_BUFFER_BYTES_MAX);
	if (!host->max_buffers || !host->max_buffer_bytes)
		host->features &= ~VSP_WIRE_FEATURE_BUFFERS;
	if (!(host->features & VSP_WIRE_FEATURE_BUFFERS)) {
		host->max_buffers = 0;
		host->max_buffer_bytes = 0;
	}
}

/* extra] */
/**
 * azb_wire_pack_desc() - describe the pages of a request
 * @desc: azb_wire_desc_size(@pages) bytes; the page numbers are left alone
 * @pages: page numbers in it
 *
 * The type, the lengths and the transaction id are for the bus to fill.
 */
void azb_wire_pack_desc(struct vmbus_packet_mpb_array *desc, u32 pages)
{
	memset(desc, 0, offsetof(struct vmbus_packet_mpb_array, range.pfn_array));
	/* The bus sends what it finds here, and a host ignores zero ranges. */
	desc->rangecount = 1;
	desc->range.offset = 0;
	desc->range.len = pages * VSP_WIRE_PAGE_SIZE;
}

/**
 * azb_wire_pack_request() - the payload of a request
 * @wire: filled
 * @layout: where its buffers are
 * @timeout_ms: for the host to keep; 0 is for ever
 * @guid: 16 bytes for the logs
 */
void azb_wire_pack_request(struct vsp_wire_request *wire,
			   const struct azb_layout *layout, u32 timeout_ms,
			   const u8 *guid)
{
	const struct azb_buf *data = &layout->buf[AZB_DATA];
	const struct azb_buf *request = &layout->buf[AZB_REQUEST];
	const struct azb_buf *response = &layout->buf[AZB_RESPONSE];

	memset(wire, 0, sizeof(*wire));
	wire->version = cpu_to_le32(VSP_WIRE_VERSION_1);
	wire->timeout_ms = cpu_to_le32(timeout_ms);
	wire->data_offset = cpu_to_le32(data->offset);
	wire->data_length = cpu_to_le32(data->len);
	wire->data_valid = cpu_to_le32(layout->data_valid);
	wire->operation_type = cpu_to_le32(VSP_WIRE_OP_USER_REQUEST);
	wire->request_offset = cpu_to_le32(request->offset +
					   data->pages * VSP_WIRE_PAGE_SIZE);
	wire->request_length = cpu_to_le32(request->len);
	wire->response_offset =
		cpu_to_le32(response->offset + (data->pages + request->pages) *
						       VSP_WIRE_PAGE_SIZE);
	wire->response_length = cpu_to_le32(response->len);
	memcpy(wire->transaction_guid, guid, sizeof(wire->transaction_guid));
}

/* [extra */
/**
 * azb_wire_pack_request_2() - the payload of a request in a registered buffer
 * @wire: filled
 * @layout: where its buffers are, at least one of them in the registered one
 * @timeout_ms: for the host to keep; 0 is for ever
 * @guid: 16 bytes for the logs
 */
void azb_wire_pack_request_2(struct vsp_wire_request_2 *wire,
			     const struct azb_layout *layout, u32 timeout_ms,
			     const u8 *guid)
{
	azb_wire_pack_request(&wire->base, layout, timeout_ms, guid);
	wire->base.version = cpu_to_le32(VSP_WIRE_VERSION_2);
	/* What is in the registered buffer has no offset in the pages. */
	if (layout->buf[AZB_REQUEST].registered)
		wire->base.request_offset = 0;
	if (layout->buf[AZB_RESPONSE].registered)
		wire->base.response_offset = 0;
	wire->in_buffer = cpu_to_le32(layout->in_buffer);
	wire->buffer_id = cpu_to_le32(layout->buffer_id);
	wire->data_at = cpu_to_le64(layout->buf[AZB_DATA].at);
	wire->request_at = cpu_to_le64(layout->buf[AZB_REQUEST].at);
	wire->response_at = cpu_to_le64(layout->buf[AZB_RESPONSE].at);
}

/* extra] */
/**
 * azb_wire_parse_completion() - check what the host sent
 * @payload: the packet behind its header, in memory that the host cannot change
 * @len: bytes of it; VMBus pads packets to 8 bytes, so there may be more than
 *	the structure needs
 * @response_room: length of the request's response buffer
 * @answer: filled when the result is AZB_ANSWER_OK, else zeroed
 */
enum azb_answer_check azb_wire_parse_completion(const void *payload, u32 len,
						u32 response_room,
						struct azb_answer *answer)
{
	struct vsp_wire_completion wire;
	u32 length, response_len;

	memset(answer, 0, sizeof(*answer));
	if (len < sizeof(wire))
		return AZB_ANSWER_SHORT;
	memcpy(&wire, payload, sizeof(wire));

	/* A later host may append fields; it cannot do with fewer. */
	length = le32_to_cpu(wire.length);
	if (length < sizeof(wire) || length > len)
		return AZB_ANSWER_BAD_LENGTH;

	response_len = le32_to_cpu(wire.response_length);
	if (response_len > response_room)
		return AZB_ANSWER_BAD_RESPONSE_LEN;

	answer->status = le32_to_cpu(wire.error);
	answer->response_len = response_len;
	return AZB_ANSWER_OK;
}
