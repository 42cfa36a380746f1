/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The packets on the VMBus ring between the driver (VSC) and the host (VSP).
 *
 * Protocol 1 is what the patch series of 2021 put on the wire; its numbers come
 * from there.  Integers are little-endian and the structures are packed.
 */
/* [extra */
/*
 * Protocol 2 is this project's; a guest speaks it only with a host that offers it
 * (struct vsp_wire_offer).
 */
/* extra] */
#ifndef AZBLOB_VSP_WIRE_H
#define AZBLOB_VSP_WIRE_H

#include <linux/types.h>

/* [host */
/* The interface type of the offer, and its bytes as VMBus carries them. */
#define VSP_WIRE_CLASS_GUID "0590b792-db64-45cc-81db-b8d70c577c9e"
#define VSP_WIRE_CLASS_GUID_BYTES                                     \
	{                                                             \
		0x92, 0xb7, 0x90, 0x05, 0x64, 0xdb, 0xcc, 0x45, 0x81, \
		0xdb, 0xb8, 0xd7, 0x0c, 0x57, 0x7c, 0x9e              \
	}
/* host] */

/* Host pages: what a page number in a packet counts, on every architecture. */
#define VSP_WIRE_PAGE_SIZE 4096u
/* Pages of one request, its three buffers together. */
#define VSP_WIRE_MAX_PAGES 8192u
/* Bytes of each ring with protocol 1, its header page included. */
#define VSP_WIRE_RING_SIZE (128u * 1024u)
/* Requests that may be outstanding on one device. */
#define VSP_WIRE_MAX_OUTSTANDING 1024u

/* struct vsp_wire_request, version */
#define VSP_WIRE_VERSION_1 0u
/* [extra */
/* Of every packet that only protocol 2 has. */
#define VSP_WIRE_VERSION_2 1u
/* extra] */

/* struct vsp_wire_request, operation_type */
#define VSP_WIRE_OP_USER_REQUEST 0x100u
/* [extra */
/* Named in public with no layout; a protocol 1 host refuses them. */
#define VSP_WIRE_OP_REGISTER_BUFFER 0x101u
#define VSP_WIRE_OP_DEREGISTER_BUFFER 0x102u
/* Protocol 2 */
#define VSP_WIRE_OP_CANCEL 0x103u
/* extra] */

/* struct vsp_wire_completion, error: HRESULTs */
#define VSP_WIRE_STATUS_OK 0u
/* HRESULT_FROM_WIN32(ERROR_INVALID_DATA): the packet made no sense. */
#define VSP_WIRE_STATUS_BAD_PACKET 0x8007000du
/* HRESULT_FROM_WIN32(ERROR_NOT_SUPPORTED): unknown version or operation. */
#define VSP_WIRE_STATUS_NOT_SUPPORTED 0x80070032u
/* [extra */
/* HRESULT_FROM_WIN32(ERROR_NOT_FOUND): no such buffer, or request to cancel. */
#define VSP_WIRE_STATUS_NOT_FOUND 0x80070490u
/* extra] */
/* HRESULT_FROM_WIN32(ERROR_INSUFFICIENT_BUFFER): a response has no room (docs/payload.md). */
#define VSP_WIRE_STATUS_TOO_SMALL 0x8007007au
/* HRESULT_FROM_WIN32(WAIT_TIMEOUT): timeout_ms passed; outcome unknown. */
#define VSP_WIRE_STATUS_TIMEOUT 0x80070102u
/* [extra */
/* HRESULT_FROM_WIN32(ERROR_OPERATION_ABORTED): cancelled; outcome unknown. */
#define VSP_WIRE_STATUS_CANCELLED 0x800703e3u
/* extra] */
/* HRESULT_FROM_WIN32(ERROR_NO_SYSTEM_RESOURCES): the host is out of room. */
#define VSP_WIRE_STATUS_NO_RESOURCES 0x800705aau
/* HRESULT_FROM_WIN32(ERROR_GEN_FAILURE): the backend failed; unknown outcome. */
#define VSP_WIRE_STATUS_FAILED 0x8007001fu

/**
 * struct vsp_wire_request - guest to host
 *
 * It travels in a GPA-direct packet that asks for a completion, with exactly one
 * range: byte offset 0, byte count pages * 4096, and the page numbers of the
 * data buffer, then of the request buffer, then of the response buffer.  One
 * page number may appear more than once.
 *
 * The offsets count bytes from the start of the first page of the range.  With D
 * data pages and Q request pages: data_offset is the data buffer's offset in its
 * first page; request_offset is that of the request buffer plus D * 4096;
 * response_offset is that of the response buffer plus (D + Q) * 4096.
 */
struct vsp_wire_request {
	__le32 version;
	__le32 timeout_ms; /* 0: for ever */
	__le32 data_offset;
	__le32 data_length; /* 0: no data buffer */
	__le32 data_valid; /* bytes the guest filled; 0: the host fills it */
	__le32 operation_type;
	__le32 request_offset;
	__le32 request_length;
	__le32 response_offset;
	__le32 response_length;
	__u8 transaction_guid[16]; /* for logs only: user space chose it */
} __attribute__((packed));

/**
 * struct vsp_wire_completion - host to guest, the payload of the completion
 * @length: bytes of this structure, 12.
 * @error: 0 or an HRESULT, given to the caller as response.status.
 * @response_length: bytes the host put in the response buffer.
 */
struct vsp_wire_completion {
	__le32 length;
	__le32 error;
	__le32 response_length;
} __attribute__((packed));

/* [extra */
/* struct vsp_wire_offer, magic: "AZB2" */
#define VSP_WIRE_MAGIC 0x32425a41u
/* struct vsp_wire_offer, features: what of protocol 2 the host has. */
#define VSP_WIRE_FEATURE_BUFFERS 0x1u /* 0x101, 0x102, requests by buffer */
#define VSP_WIRE_FEATURE_CANCEL 0x2u /* 0x103 */

/**
 * struct vsp_wire_offer - the start of the offer's 120 user-defined bytes
 * @magic: VSP_WIRE_MAGIC; with anything else the host speaks protocol 1.
 * @length: bytes of this structure, 32 or more; what is beyond is a later host's.
 * @version: the newest protocol the host speaks, 2 or more.
 * @features: bits; a guest uses none that it does not know.
 * @ring_size: bytes of each ring that the host would like, its header page
 *	included; a power of two.
 * @max_buffers: buffers registered at a time; their ids are 1 to this.
 * @max_buffer_bytes: of one of them.
 */
struct vsp_wire_offer {
	__le32 magic;
	__le32 length;
	__le32 version;
	__le32 features;
	__le32 ring_size;
	__le32 max_buffers;
	__le64 max_buffer_bytes;
} __attribute__((packed));

/* struct vsp_wire_request_2, in_buffer: which of the three are. */
#define VSP_WIRE_DATA_IN_BUFFER 0x1u
#define VSP_WIRE_REQUEST_IN_BUFFER 0x2u
#define VSP_WIRE_RESPONSE_IN_BUFFER 0x4u

/**
 * struct vsp_wire_request_2 - a request of which something is in a registered buffer
 * @base: version is VSP_WIRE_VERSION_2; the rest is as with protocol 1, but that
 *	what is in the buffer has no pages in the packet, and 0 for an offset.
 * @in_buffer: at least one bit.
 * @buffer_id: the buffer.
 * @data_at: bytes from its start; 0 when the data is not in it.
 * @request_at: likewise.
 * @response_at: likewise.
 *
 * When no page is left to name the packet is an in-band one.
 */
struct vsp_wire_request_2 {
	struct vsp_wire_request base;
	__le32 in_buffer;
	__le32 buffer_id;
	__le64 data_at;
	__le64 request_at;
	__le64 response_at;
} __attribute__((packed));

/* struct vsp_wire_control, flags: the host only reads from the buffer. */
#define VSP_WIRE_BUFFER_READ_ONLY 0x1u

/**
 * struct vsp_wire_control - register, deregister, cancel
 * @version: VSP_WIRE_VERSION_2.
 * @buffer_id: to register or deregister, else 0.
 * @first_page: of a buffer, the first that this packet names.
 * @page_count: of all of the buffer.
 * @flags: VSP_WIRE_BUFFER_READ_ONLY.
 * @operation_type: where a request has it.
 * @transaction_id: of the packet to cancel, else 0.
 *
 * Registering takes GPA-direct packets of one range, byte offset 0, at most
 * VSP_WIRE_MAX_PAGES pages, one after the other from page 0 on; page_count and flags
 * are the same in all.  The buffer can be used when all pages were named.
 * Deregistering and cancelling take an in-band packet.  Each is answered with a
 * completion whose response_length is 0.
 */
struct vsp_wire_control {
	__le32 version;
	__le32 buffer_id;
	__le32 first_page;
	__le32 page_count;
	__le32 flags;
	__le32 operation_type;
	__le64 transaction_id;
} __attribute__((packed));

#ifdef __cplusplus
static_assert(sizeof(struct vsp_wire_offer) == 32, "protocol 2");
static_assert(sizeof(struct vsp_wire_request_2) == 88, "protocol 2");
static_assert(sizeof(struct vsp_wire_control) == 32, "protocol 2");
#else
_Static_assert(sizeof(struct vsp_wire_offer) == 32, "protocol 2");
_Static_assert(sizeof(struct vsp_wire_request_2) == 88, "protocol 2");
_Static_assert(sizeof(struct vsp_wire_control) == 32, "protocol 2");
#endif
/* extra] */

#ifdef __cplusplus
static_assert(sizeof(struct vsp_wire_request) == 56, "protocol 1");
static_assert(sizeof(struct vsp_wire_completion) == 12, "protocol 1");
#else
_Static_assert(sizeof(struct vsp_wire_request) == 56, "protocol 1");
_Static_assert(sizeof(struct vsp_wire_completion) == 12, "protocol 1");
#endif

#endif /* AZBLOB_VSP_WIRE_H */
