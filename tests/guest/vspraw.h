/* SPDX-License-Identifier: MIT */
/*
 * The request structure as bytes at the published offsets.  These programs do not
 * include the project's header, so that a mistake there does not hide itself.
 */
#ifndef TESTS_GUEST_VSPRAW_H
#define TESTS_GUEST_VSPRAW_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define NR_F0 0xc04852f0u     /* _IOWR('R', 0xf0), 72 bytes */
#define NR_LEGACY 0xc048520au /* _IOWR('R', 10), 72 bytes */
#define NR_V1 0xc040520au     /* _IOWR('R', 10), 64 bytes, no data_valid */

#define NR_F4 0xc05052f4u /* _IOWR('R', 0xf4), 80 bytes */

#define RAW_SIZE 72
#define RAW_LARGEST 80

enum raw_field {
	RAW_TIMEOUT,
	RAW_REQUEST_LEN,
	RAW_RESPONSE_LEN,
	RAW_DATA_LEN,
	RAW_DATA_VALID,
	RAW_RESERVED,
	RAW_STATUS,
	RAW_RESPONSE_OUT,
	RAW_REQUEST_BUFFER,
	RAW_RESPONSE_BUFFER,
	RAW_DATA_BUFFER,
	RAW_BUFFER_ID,
	RAW_RESERVED_2,
	RAW_FIELDS,
};

/* Offset of each field with 72 bytes, and with 64; -1: not there. */
static const int raw_offset[RAW_FIELDS][2] = {
	[RAW_TIMEOUT] = { 16, 16 },        [RAW_REQUEST_LEN] = { 20, 20 },
	[RAW_RESPONSE_LEN] = { 24, 24 },   [RAW_DATA_LEN] = { 28, 28 },
	[RAW_DATA_VALID] = { 32, -1 },     [RAW_RESERVED] = { 36, -1 },
	[RAW_STATUS] = { 64, 56 },         [RAW_RESPONSE_OUT] = { 68, 60 },
	[RAW_REQUEST_BUFFER] = { 40, 32 }, [RAW_RESPONSE_BUFFER] = { 48, 40 },
	[RAW_DATA_BUFFER] = { 56, 48 },    [RAW_BUFFER_ID] = { 72, -1 },
	[RAW_RESERVED_2] = { 76, -1 },
};

static inline int raw_is_short(uint32_t nr)
{
	return nr == NR_V1;
}

static inline void raw_set(unsigned char *raw, uint32_t nr, enum raw_field field, uint64_t value)
{
	int at = raw_offset[field][raw_is_short(nr)];
	int is_address = field >= RAW_REQUEST_BUFFER && field <= RAW_DATA_BUFFER;

	if (at >= RAW_SIZE && nr != NR_F4)
		return;
	if (at >= 0)
		memcpy(raw + at, &value, is_address ? 8 : 4);
}

static inline uint32_t raw_get(const unsigned char *raw, uint32_t nr, enum raw_field field)
{
	uint32_t value;

	memcpy(&value, raw + raw_offset[field][raw_is_short(nr)], 4);
	return value;
}

/* "f0", "legacy", "v1", "f4" or a number. */
static inline uint32_t raw_number(const char *text)
{
	if (!strcmp(text, "f0"))
		return NR_F0;
	if (!strcmp(text, "legacy"))
		return NR_LEGACY;
	if (!strcmp(text, "v1"))
		return NR_V1;
	if (!strcmp(text, "f4"))
		return NR_F4;
	return (uint32_t)strtoul(text, NULL, 0);
}

#endif
