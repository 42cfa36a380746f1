/* SPDX-License-Identifier: MIT */
/*
 * The link: messages between the emulator and the backend on a Unix stream
 * socket.  The backend listens, an emulator connects once for each VMBus device.
 *
 * Everything is little-endian.  Every message starts with struct azl_header and
 * is azl_header.length bytes long.  File descriptors travel as SCM_RIGHTS with
 * the first byte of the message they belong to.
 *
 * A conversation:
 *
 *   emulator                              backend
 *   HELLO ------------------------------>
 *         <------------------------------ WELCOME + pidfd   (or REFUSE, close)
 *   REGION_ADD + memfd ----------------->
 *         <------------------------------ REGION_STATUS
 *   REQUEST ---------------------------->
 *         <------------------------------ COMPLETE
 *   ACK -------------------------------->
 *   CANCEL ----------------------------->                   (at any time)
 *   REGION_DEL ------------------------->
 *         <------------------------------ REGION_GONE
 *   GOODBYE ---------------------------->                   (either side first)
 *         <------------------------------ GOODBYE, close
 *
 * The fence.  From REQUEST to COMPLETE the backend may read and write the
 * segments of the request, and at no other time.  COMPLETE is the only proof that
 * it has stopped, apart from a GOODBYE from the backend and the end of its
 * process, which the emulator watches through the pidfd: a closed socket proves
 * nothing.  A backend sends GOODBYE, or closes, only after all input and output
 * on the link has ended.
 *
 * Coming back.  After a lost connection the emulator connects again, says HELLO
 * with the same session, and sends what is unanswered once more, with the same
 * ids and AZL_REQUEST_RESENT.  It does so only after the earlier backend is known
 * to be finished with the pages.  A request that is cancelled only so that the
 * machine can be saved or moved, and was answered VSP_WIRE_STATUS_CANCELLED,
 * counts as unanswered, and the machine goes on with its session.  A backend with
 * AZL_FEATURE_RESEND keeps the answer of every request that had an effect,
 * durably, until its ACK, and answers a resent request from there, so that no
 * effect happens twice.
 *
 * A peer that sends something this header does not allow is cut off: the backend
 * ends what is in flight and closes; the emulator stops using the backend, and
 * treats its requests as if the connection were lost.
 */
#ifndef AZBLOB_VSP_LINK_H
#define AZBLOB_VSP_LINK_H

#include <stdint.h>

#ifdef __cplusplus
#define AZL_ASSERT(cond) static_assert(cond, #cond)
#else
#define AZL_ASSERT(cond) _Static_assert(cond, #cond)
#endif

#define AZL_VERSION 1u

/* Messages from emulator to backend have odd types, the others even ones. */
enum azl_type {
	AZL_HELLO = 1,
	AZL_WELCOME = 2,
	AZL_REGION_ADD = 3,
	AZL_REGION_STATUS = 4,
	AZL_REGION_DEL = 5,
	AZL_REGION_GONE = 6,
	AZL_REQUEST = 7,
	AZL_COMPLETE = 8,
	AZL_CANCEL = 9,
	AZL_REFUSE = 10,
	AZL_ACK = 11,
	AZL_GOODBYE_BACKEND = 12,
	AZL_GOODBYE_EMULATOR = 13,
};

/* Limits that both sides enforce; beyond them the peer is cut off. */
#define AZL_MAX_REQUEST_HEAD (64u * 1024u) /* bytes of the request buffer */
#define AZL_MAX_BODY (32u * 1024u * 1024u) /* bytes of one data buffer */
#define AZL_MAX_SEGMENTS 8192u
#define AZL_MAX_REGIONS 256u
#define AZL_MAX_INFLIGHT 1024u /* requests without COMPLETE on one link */
/* A REQUEST with its head, segments and inline bytes is the largest. */
#define AZL_MAX_MESSAGE (AZL_MAX_BODY + 512u * 1024u)

/**
 * struct azl_header - start of every message
 * @length: bytes of the whole message, this header included.
 * @type: enum azl_type.
 * @flags: bits of the type; the unknown ones must be zero.
 * @id: REQUEST, COMPLETE, CANCEL, ACK: the request's id, made by the emulator, not
 *	zero, never used again in the session.  REGION_*: the region's id.  Zero
 *	in the others.
 */
struct azl_header {
	uint32_t length;
	uint16_t type;
	uint16_t flags;
	uint64_t id;
};

/* Features: asked for in HELLO, granted in WELCOME. */
#define AZL_FEATURE_REGIONS (1u << 0) /* memory by file descriptor */
#define AZL_FEATURE_RESEND (1u << 1) /* effects are kept until ACK */

#define AZL_MAGIC 0x4b4e494c425a41ffull /* bytes ff 'A' 'Z' 'B' 'L' 'I' 'N' 'K' */

/**
 * struct azl_hello - the first message
 * @magic: AZL_MAGIC.
 * @version_min, @version_max: the versions the emulator can speak.
 * @features: what it would use.
 * @session: random, made when the device is created; the same on a reconnect,
 *	new after a guest reset.  Handles and kept answers belong to it.
 * @instance: VMBus instance GUID of the device, for logs.
 */
struct azl_hello {
	struct azl_header header;
	uint64_t magic;
	uint32_t version_min;
	uint32_t version_max;
	uint64_t features;
	uint8_t session[16];
	uint8_t instance[16];
};

/**
 * struct azl_welcome - the backend's answer, with its own pidfd attached
 * @version: the one in use from now on.
 * @max_request_head, @max_inflight: what this backend takes; at most the
 *	limits above.
 * @features: a subset of what was asked for.
 */
struct azl_welcome {
	struct azl_header header;
	uint32_t version;
	uint32_t max_request_head;
	uint32_t max_inflight;
	uint32_t reserved;
	uint64_t features;
};

/**
 * struct azl_refuse - no further conversation; followed by a close
 * @error: an errno value.
 * The rest of the message is one line of UTF-8 text for a person, no final zero.
 */
struct azl_refuse {
	struct azl_header header;
	uint32_t error;
	uint32_t reserved;
	/* char text[]; */
};

/**
 * struct azl_region_add - guest memory, one file descriptor attached
 * @offset: where in the file the region starts; a multiple of 4096.
 * @size: bytes; a multiple of 4096, not zero.
 *
 * header.id names the region (below AZL_MAX_REGIONS).  With AZL_REGION_READONLY
 * no segment of the region may be written.  The file must be sealed against
 * shrinking (F_SEAL_SHRINK), or it is refused with REGION_STATUS and the emulator
 * sends bytes inline instead.
 */
#define AZL_REGION_READONLY (1u << 0) /* header.flags */
struct azl_region_add {
	struct azl_header header;
	uint64_t offset;
	uint64_t size;
};

/**
 * struct azl_region_status - a region may be used from now on, or not
 * @error: 0, or an errno value: the region does not exist for the backend.
 */
struct azl_region_status {
	struct azl_header header;
	uint32_t error;
	uint32_t reserved;
};

/*
 * REGION_DEL and REGION_GONE are a bare header.  The emulator sends REGION_DEL
 * when no request in flight has a segment there; REGION_GONE says that the
 * backend has unmapped it.
 */

/* struct azl_segment, use; segments come in this order */
#define AZL_SEGMENT_DATA_IN 1u /* body from the guest: the backend reads */
#define AZL_SEGMENT_DATA_OUT 2u /* room for a body: the backend writes */
#define AZL_SEGMENT_RESPONSE 3u /* room for the response: the backend writes */

/**
 * struct azl_segment - a piece of guest memory
 * @region: id of a region whose REGION_STATUS said 0.
 * @use: AZL_SEGMENT_*.
 * @offset: bytes from the start of the region.
 * @length: bytes, not zero; offset + length stays inside the region.
 *
 * Segments of one use follow each other in the buffer's order, merged where they
 * touch; two segments may be the same memory.
 */
struct azl_segment {
	uint32_t region;
	uint32_t use;
	uint64_t offset;
	uint64_t length;
};

/**
 * struct azl_request - one request of the guest
 * @operation: VSP_WIRE_OP_*.
 * @timeout_ms: what is left of it when the message is made; 0 is for ever.
 * @head_length: bytes of the request buffer; a copy follows, so that what
 *	is parsed cannot change.  At most max_request_head.
 * @response_length: bytes of room in the response buffer.
 * @data_length: bytes of the data buffer, 0 for none.
 * @data_valid: bytes of it that the guest filled.  Not 0: the first data_valid
 *	bytes are given as DATA_IN; 0: all of data_length as DATA_OUT.
 * @segment_count: 0 with AZL_REQUEST_INLINE.
 * @guid: chosen by the guest's user space, for logs only.
 *
 * Then come: head_length bytes of head, zeros up to a multiple of 8, the segments,
 * and with AZL_REQUEST_INLINE the data_valid bytes of the body.
 */
#define AZL_REQUEST_RESENT (1u << 0) /* header.flags: may have run before */
#define AZL_REQUEST_INLINE (1u << 1) /* bytes in messages, no shared memory */
struct azl_request {
	struct azl_header header;
	uint32_t operation;
	uint32_t timeout_ms;
	uint32_t head_length;
	uint32_t response_length;
	uint32_t data_length;
	uint32_t data_valid;
	uint32_t segment_count;
	uint32_t reserved;
	uint8_t guid[16];
};

/**
 * struct azl_complete - the answer; the backend is done with the segments
 * @status: 0 or VSP_WIRE_STATUS_*.
 * @response_length: bytes put in the response buffer.
 * @data_length: bytes put in the data buffer, from its start.
 *
 * For a request sent inline, the bytes of the response and then those of the
 * data follow.  With AZL_COMPLETE_ACK the emulator answers with ACK when it has
 * the message.
 */
#define AZL_COMPLETE_ACK (1u << 0) /* header.flags */
struct azl_complete {
	struct azl_header header;
	uint32_t status;
	uint32_t response_length;
	uint32_t data_length;
	uint32_t reserved;
};

/*
 * CANCEL is a bare header: stop as soon as possible and send COMPLETE; with
 * AZL_CANCEL_TIMEOUT a request that did not get to its end answers
 * VSP_WIRE_STATUS_TIMEOUT, otherwise VSP_WIRE_STATUS_CANCELLED.  A CANCEL for an
 * id that is already complete is ignored: the two messages crossed.
 *
 * ACK is a bare header.  The GOODBYEs are bare headers.
 */
#define AZL_CANCEL_TIMEOUT (1u << 0) /* header.flags */

AZL_ASSERT(sizeof(struct azl_header) == 16);
AZL_ASSERT(sizeof(struct azl_hello) == 72);
AZL_ASSERT(sizeof(struct azl_welcome) == 40);
AZL_ASSERT(sizeof(struct azl_refuse) == 24);
AZL_ASSERT(sizeof(struct azl_region_add) == 32);
AZL_ASSERT(sizeof(struct azl_region_status) == 24);
AZL_ASSERT(sizeof(struct azl_segment) == 24);
AZL_ASSERT(sizeof(struct azl_request) == 64);
AZL_ASSERT(sizeof(struct azl_complete) == 32);

#endif /* AZBLOB_VSP_LINK_H */
