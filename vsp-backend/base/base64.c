/* SPDX-License-Identifier: MIT */
#include "base/base64.h"

#include <stdint.h>

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

size_t azb_base64_encode(char *text, const void *data, size_t length)
{
	const unsigned char *p = data;
	char *out = text;

	for (; length >= 3; p += 3, length -= 3) {
		uint32_t v = (uint32_t)p[0] << 16 | (uint32_t)p[1] << 8 | p[2];

		*out++ = alphabet[v >> 18];
		*out++ = alphabet[v >> 12 & 63];
		*out++ = alphabet[v >> 6 & 63];
		*out++ = alphabet[v & 63];
	}
	if (length) {
		uint32_t v = (uint32_t)p[0] << 16 | (length == 2 ? (uint32_t)p[1] << 8 : 0);

		*out++ = alphabet[v >> 18];
		*out++ = alphabet[v >> 12 & 63];
		*out++ = '=';
		if (length == 2)
			out[-1] = alphabet[v >> 6 & 63];
		*out++ = '=';
	}
	*out = '\0';
	return (size_t)(out - text);
}

/* The value of a character, 64 for one that is not of the alphabet. */
static uint32_t value_of(char c)
{
	if (c >= 'A' && c <= 'Z')
		return (uint32_t)(c - 'A');
	if (c >= 'a' && c <= 'z')
		return (uint32_t)(c - 'a') + 26;
	if (c >= '0' && c <= '9')
		return (uint32_t)(c - '0') + 52;
	return c == '+' ? 62 : c == '/' ? 63 : 64;
}

ssize_t azb_base64_decode(void *data, size_t room, const char *text, size_t length)
{
	unsigned char *out = data;
	size_t used = 0;

	if (length % 4)
		return -1;
	for (size_t i = 0; i < length; i += 4) {
		unsigned int bytes = 3;
		uint32_t v = 0;

		if (i + 4 == length && text[i + 3] == '=')
			bytes = text[i + 2] == '=' ? 1 : 2;
		for (unsigned int j = 0; j < 4; j++) {
			uint32_t digit = j <= bytes ? value_of(text[i + j]) : 0;

			if (digit > 63)
				return -1;
			v = v << 6 | digit;
		}
		/* bits that no byte uses would give one value several texts */
		if (v & (0xffffffu >> (8 * bytes)))
			return -1;
		if (room - used < bytes)
			return -1;
		for (unsigned int j = 0; j < bytes; j++)
			out[used++] = (unsigned char)(v >> (16 - 8 * j));
	}
	return (ssize_t)used;
}
