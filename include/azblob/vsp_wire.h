/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The packets on the VMBus ring between the driver (VSC) and the host (VSP).
 *
 * Protocol 1 is what the patch series of 2021 put on the wire; every number in
 * this file comes from there.  Integers are little-endian and the structures
 * are packed.
 */
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

/* struct vsp_wire_request, operation_type */
#define VSP_WIRE_OP_USER_REQUEST 0x100u
/* [extra */
/* Named in public with no layout; a protocol 1 host refuses them. */
#define VSP_WIRE_OP_REGISTER_BUFFER 0x101u
#define VSP_WIRE_OP_DEREGISTER_BUFFER 0x102u
/* extra] */

/* struct vsp_wire_completion, error: HRESULTs */
#define VSP_WIRE_STATUS_OK 0u
/* HRESULT_FROM_WIN32(ERROR_INVALID_DATA): the packet made no sense. */
#define VSP_WIRE_STATUS_BAD_PACKET 0x8007000du
/* HRESULT_FROM_WIN32(ERROR_NOT_SUPPORTED): unknown version or operation. */
#define VSP_WIRE_STATUS_NOT_SUPPORTED 0x80070032u
/* HRESULT_FROM_WIN32(ERROR_INSUFFICIENT_BUFFER): see docs/payload.md. */
#define VSP_WIRE_STATUS_TOO_SMALL 0x8007007au
/* HRESULT_FROM_WIN32(WAIT_TIMEOUT): timeout_ms passed; outcome unknown. */
#define VSP_WIRE_STATUS_TIMEOUT 0x80070102u
/* HRESULT_FROM_WIN32(ERROR_OPERATION_ABORTED): cancelled; outcome unknown. */
#define VSP_WIRE_STATUS_CANCELLED 0x800703e3u
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

#ifdef __cplusplus
static_assert(sizeof(struct vsp_wire_request) == 56, "protocol 1");
static_assert(sizeof(struct vsp_wire_completion) == 12, "protocol 1");
#else
_Static_assert(sizeof(struct vsp_wire_request) == 56, "protocol 1");
_Static_assert(sizeof(struct vsp_wire_completion) == 12, "protocol 1");
#endif

#endif /* AZBLOB_VSP_WIRE_H */
