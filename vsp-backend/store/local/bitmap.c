/* SPDX-License-Identifier: MIT */
#include "store/local/bitmap.h"

/* The bits of one word from @from on, @count of them; @count is 1 to 64. */
static uint64_t mask(uint32_t from, uint32_t count)
{
	return (count == 64 ? ~UINT64_C(0) : (UINT64_C(1) << count) - 1) << from;
}

static void change_bits(uint64_t *map, uint32_t start, uint32_t count, bool set)
{
	while (count) {
		uint32_t from = start % 64;
		uint32_t n = 64 - from < count ? 64 - from : count;

		if (set)
			map[start / 64] |= mask(from, n);
		else
			map[start / 64] &= ~mask(from, n);
		start += n;
		count -= n;
	}
}

void bitmap_set(uint64_t *map, uint32_t start, uint32_t count)
{
	change_bits(map, start, count, true);
}

void bitmap_clear(uint64_t *map, uint32_t start, uint32_t count)
{
	change_bits(map, start, count, false);
}

bool bitmap_find(const uint64_t *map, uint32_t bits, uint32_t want, uint32_t *start)
{
	uint32_t at = 0, run = 0;

	while (at < bits) {
		uint64_t word = map[at / 64] >> (at % 64);
		uint32_t left = 64 - at % 64;
		uint32_t clear = word ? (uint32_t)__builtin_ctzll(word) : left;

		if (clear > left)
			clear = left;
		run += clear;
		at += clear;
		if (run >= want) {
			*start = at - run;
			return true;
		}
		if (clear == left)
			continue;
		/* a used bit: past all that follow in this word */
		word = ~(map[at / 64] >> (at % 64));
		left = 64 - at % 64;
		clear = word ? (uint32_t)__builtin_ctzll(word) : left;
		at += clear < left ? clear : left;
		run = 0;
	}
	return false;
}
