/* SPDX-License-Identifier: MIT */
/*
 * What vsp_link.h allows an emulator to say.  Pure functions over bytes that were
 * copied from the socket: no state, no system calls.
 */
#ifndef AZBLOB_DOOR_LINK_CHECK_H
#define AZBLOB_DOOR_LINK_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "azblob/vsp_link.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
	       "the link is little-endian, like its hosts");

struct link_region;

/**
 * struct link_terms - what was agreed in HELLO and WELCOME
 */
struct link_terms {
	uint64_t features;
	uint32_t max_request_head;
	uint32_t max_inflight;
};

/**
 * link_check_header() - the first 16 bytes of a message
 * @welcomed: HELLO has been answered with WELCOME.
 *
 * Return: NULL, or one line for a person about what is wrong.
 */
const char *link_check_header(const struct azl_header *header, bool welcomed);

/* Does this type bring exactly one file descriptor?  All others bring none. */
bool link_check_wants_fd(uint16_t type);

/**
 * link_check_hello() - can this emulator be served?
 * @error: set to an errno value for REFUSE when it can't.
 *
 * Return: NULL, or the text for REFUSE.
 */
const char *link_check_hello(const struct azl_hello *hello, uint32_t *error);

const char *link_check_region_add(const struct azl_region_add *add);

/**
 * struct link_parts - where the parts of a REQUEST are
 * @head, @segments, @body: inside the message.
 * @in_count, @out_count, @response_count: segments of each use; they follow each
 *	other in this order.
 */
struct link_parts {
	const char *head;
	const struct azl_segment *segments;
	const uint8_t *body;
	uint32_t in_count;
	uint32_t out_count;
	uint32_t response_count;
};

/**
 * link_check_request() - lengths, order and segments of a REQUEST
 * @request: the whole message, aligned to 8; header.length bytes of it.
 * @regions: AZL_MAX_REGIONS pointers, NULL where there is none.
 */
const char *link_check_request(const struct azl_request *request, const struct link_terms *terms,
			       struct link_region *const *regions, struct link_parts *parts);

#endif /* AZBLOB_DOOR_LINK_CHECK_H */
