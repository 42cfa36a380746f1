/* SPDX-License-Identifier: MIT */
/*
 * What docs/payload.md adds to HTTP: the targets under /.azblob and the headers that
 * begin with Azblob-.  Pure functions over a parsed head.
 */
#ifndef AZBLOB_DOOR_LINK_PAYLOAD_H
#define AZBLOB_DOOR_LINK_PAYLOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "head.h"

enum payload_what {
	PAYLOAD_BLOB,   /* for the blob service */
	PAYLOAD_PROBE,  /* GET /.azblob */
	PAYLOAD_PART,   /* PUT /.azblob/H?offset=O */
	PAYLOAD_COMMIT, /* POST /.azblob/H?commit */
	PAYLOAD_READ,   /* GET /.azblob/H?offset=O&length=L */
	PAYLOAD_FORGET, /* DELETE /.azblob/H */
};

/**
 * struct payload - what a head asks for
 * @open: Azblob-Body: open.
 * @crc_wanted: Azblob-Crc64: true.
 * @crc_given, @crc: Azblob-Crc64: V.
 * @handle: H, not checked; points into the head.
 * @offset, @length: of a part or a read.
 */
struct payload {
	enum payload_what what;
	bool open;
	bool crc_wanted;
	bool crc_given;
	uint64_t crc;
	struct head_str handle;
	uint64_t offset;
	uint64_t length;
};

/**
 * struct payload_error - an answer of the door itself
 * @status: of HTTP; 0 when there is no error.
 * @code: x-ms-error-code.
 * @message: one line for a person.
 */
struct payload_error {
	unsigned int status;
	const char *code;
	const char *message;
};

/**
 * payload_parse() - targets and headers
 * @data_valid: bytes that came with the request.
 *
 * Also checks Content-Length against @data_valid where the door can know it.
 */
struct payload_error payload_parse(const struct head *head, uint32_t data_valid,
				   struct payload *payload);

/* Characters of a CRC in a header, the final zero not counted. */
#define PAYLOAD_CRC_LENGTH 12u
/* Base64 of the 8 bytes, least significant first, and a zero. */
void payload_crc_text(uint64_t crc, char text[PAYLOAD_CRC_LENGTH + 1]);

#endif /* AZBLOB_DOOR_LINK_PAYLOAD_H */
