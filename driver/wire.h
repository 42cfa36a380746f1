/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Packing requests into VMBus packets and taking completions apart.
 *
 * Works on plain memory: no channel, no locks, nothing that sleeps.
 */
#ifndef AZB_WIRE_H
#define AZB_WIRE_H

#include <linux/types.h>
#include <azblob/vsp_wire.h>

#include "layout.h"

struct vmbus_packet_mpb_array;

/**
 * struct azb_answer - what a completion said
 * @status: 0 or an HRESULT
 * @response_len: bytes in the response buffer, never more than it has
 */
struct azb_answer {
	u32 status;
	u32 response_len;
};

/* Why a completion is not acted on; AZB_ANSWER_OK is 0. */
enum azb_answer_check {
	AZB_ANSWER_OK,
	AZB_ANSWER_SHORT,		/* too few bytes for the structure */
	AZB_ANSWER_BAD_LENGTH,		/* its length field is impossible */
	AZB_ANSWER_BAD_RESPONSE_LEN,	/* more than the response buffer has */
};

/* [extra */
/**
 * struct azb_host - what the other side of the channel speaks
 * @protocol: 1 or 2
 * @features: VSP_WIRE_FEATURE bits, those we know
 * @ring_size: bytes of each ring
 * @max_buffers: registered at a time
 * @max_buffer_bytes: of one
 */
struct azb_host {
	u32 protocol;
	u32 features;
	u32 ring_size;
	u32 max_buffers;
	u64 max_buffer_bytes;
};

void azb_wire_parse_offer(struct azb_host *host, const void *bytes, u32 len);
void azb_wire_pack_request_2(struct vsp_wire_request_2 *wire,
			     const struct azb_layout *layout, u32 timeout_ms,
			     const u8 *guid);
/* extra] */
u32 azb_wire_packet_bytes(u32 pages, u32 payload);
u32 azb_wire_desc_size(u32 pages);
u32 azb_wire_ring_bytes(u32 pages);
void azb_wire_pack_desc(struct vmbus_packet_mpb_array *desc, u32 pages);
void azb_wire_pack_request(struct vsp_wire_request *wire,
			   const struct azb_layout *layout, u32 timeout_ms,
			   const u8 *guid);
enum azb_answer_check azb_wire_parse_completion(const void *payload, u32 len,
						u32 response_room,
						struct azb_answer *answer);

#endif /* AZB_WIRE_H */
