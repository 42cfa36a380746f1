/* SPDX-License-Identifier: MIT */
#include "base/plain.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define EACH(byte) (UINT64_C(0x0101010101010101) * (byte))

static bool is_plain(unsigned char c)
{
	return c >= 0x20 && c != 0x7f;
}

/*
 * A byte under @n borrows from its top bit when @n is taken off; one that has its top bit set
 * already does not count.  A borrow may reach the next byte: then it looks as if there were one too
 * many, never one too few.
 */
static uint64_t less_than(uint64_t word, uint64_t n)
{
	return (word - EACH(n)) & ~word & EACH(0x80u);
}

size_t azb_plain_run(const char *text, size_t length)
{
	size_t n = 0;

	while (length - n >= sizeof(uint64_t)) {
		uint64_t word;

		memcpy(&word, text + n, sizeof(word));
		if (less_than(word, 0x20) | less_than(word ^ EACH(0x7fu), 1))
			break;
		n += sizeof(word);
	}
	while (n < length && is_plain((unsigned char)text[n]))
		n++;
	return n;
}
