/* SPDX-License-Identifier: MIT */
/*
 * Structured messages, "XSM/1.0": bytes in segments, each with a CRC-64/NVME behind it, and one
 * of all bytes at the end.  What the newest SDKs send and ask for with x-ms-structured-body.
 *
 *   header   version 1 (1 byte), bytes of the message (8), flags (2; 1: checksums), segments (2)
 *   segment  number from 1 (2), bytes of data (8), the data, its checksum (8)
 *   trailer  checksum of all data (8)
 *
 * All numbers are little-endian.  Source: the storage SDKs of Azure, which all agree.
 */
#ifndef AZBLOB_BLOB_XSM_H
#define AZBLOB_BLOB_XSM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define XSM_VALUE "XSM/1.0; properties=crc64"
#define XSM_HEADER 13u
#define XSM_SEGMENT 10u
#define XSM_SUM 8u
#define XSM_MAX_SEGMENTS 65535u
/* What framing may add to a body at most. */
#define XSM_MAX_FRAMES (XSM_HEADER + XSM_MAX_SEGMENTS * (XSM_SEGMENT + XSM_SUM) + XSM_SUM)
/* Data of one segment, as the SDKs choose it too. */
#define XSM_SEGMENT_DATA (4u * 1024u * 1024u)

/* The value of x-ms-structured-body: case and blanks don't count. */
bool xsm_value_good(const char *text, size_t length);

/* Takes a message apart; all zero but for what xsm_begin() sets. */
struct xsm {
	uint64_t encoded, decoded; /* bytes of the message, and of its data */
	uint64_t at;               /* bytes of the message that were seen */
	uint64_t done;             /* bytes of data that were seen */
	unsigned int region;
	unsigned int segments, segment;
	uint64_t left; /* of the segment's data */
	uint64_t crc64, all;
	uint8_t frame[16];
	size_t have;
	int error; /* the first one: it stays */
};

/* Where data goes: @offset of it; *crc64 receives its checksum.  0 or -errno. */
typedef int xsm_sink(void *context, uint64_t offset, const uint8_t *bytes, size_t length,
		     uint64_t *crc64);

void xsm_begin(struct xsm *x, uint64_t encoded, uint64_t decoded);
/*
 * The next bytes of the message.  0; -EBADMSG: a checksum does not fit; -EPROTO: it is no such
 * message, or not of these lengths; or what the sink said.
 */
int xsm_feed(struct xsm *x, const uint8_t *bytes, size_t length, xsm_sink *sink, void *context);
/* All of it was seen. */
bool xsm_complete(const struct xsm *x);

/* Numbers as they are in frames. */
void xsm_put(uint8_t *at, uint64_t value, unsigned int bytes);

#endif /* AZBLOB_BLOB_XSM_H */
