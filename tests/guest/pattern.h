/* SPDX-License-Identifier: MIT */
/*
 * A recognisable filling: every aligned 8-byte word says which one it is, so a page
 * that is missing, shifted, repeated or somebody else's shows, and checking it is
 * much cheaper in an emulated guest than a checksum.
 */
#ifndef TESTS_GUEST_PATTERN_H
#define TESTS_GUEST_PATTERN_H

#include <stdint.h>
#include <string.h>
#include <sys/types.h>

static inline uint64_t pattern_word(uint64_t seed, uint64_t index)
{
	return (index + 1) * 0x9e3779b97f4a7c15u ^ seed * 0xd6e8feb86659fd93u;
}

/* Byte i of the filling is byte i % 8 of word i / 8, least significant first. */
static inline void pattern_fill(void *to, size_t length, uint64_t seed, uint64_t offset)
{
	unsigned char *p = to;
	size_t i = 0;

	while (i < length && (offset + i) % 8) {
		p[i] = (unsigned char)(pattern_word(seed, (offset + i) / 8) >>
				       (offset + i) % 8 * 8);
		i++;
	}
	for (; i + 8 <= length; i += 8) {
		uint64_t word = pattern_word(seed, (offset + i) / 8);

		memcpy(p + i, &word, 8);
	}
	for (; i < length; i++)
		p[i] = (unsigned char)(pattern_word(seed, (offset + i) / 8) >>
				       (offset + i) % 8 * 8);
}

/* Index of the first byte that is not as it should be, or -1. */
static inline ssize_t pattern_check(const void *from, size_t length, uint64_t seed, uint64_t offset)
{
	const unsigned char *p = from;
	size_t i = 0;

	for (; i < length; i++) {
		if ((offset + i) % 8 == 0)
			break;
		if (p[i] !=
		    (unsigned char)(pattern_word(seed, (offset + i) / 8) >> (offset + i) % 8 * 8))
			return (ssize_t)i;
	}
	for (; i + 8 <= length; i += 8) {
		uint64_t word;

		memcpy(&word, p + i, 8);
		if (word != pattern_word(seed, (offset + i) / 8))
			return (ssize_t)i;
	}
	for (; i < length; i++) {
		if (p[i] !=
		    (unsigned char)(pattern_word(seed, (offset + i) / 8) >> (offset + i) % 8 * 8))
			return (ssize_t)i;
	}
	return -1;
}

#endif
