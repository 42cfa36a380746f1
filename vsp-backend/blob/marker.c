// SPDX-License-Identifier: MIT
#include "marker.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../base/base64.h"
#include "target.h"

/* Starts every marker: another format can be told from this one. */
#define MARKER_VERSION '1'

static void swap(char *text, const char *from, const char *to)
{
	for (; *text; text++) {
		if (*text == from[0])
			*text = to[0];
		else if (*text == from[1])
			*text = to[1];
	}
}

char *marker_encode(const char *name)
{
	size_t length = strlen(name);
	char *text = malloc(AZB_BASE64_LENGTH(length) + 2);

	if (!text)
		return NULL;
	text[0] = MARKER_VERSION;
	azb_base64_encode(text + 1, name, length);
	swap(text + 1, "+/", "-_");
	/* padding says nothing that the length does not, and "=" wants escaping in a URL */
	text[strcspn(text, "=")] = 0;
	return text;
}

/* A place is 16 hexadecimal digits between the version and the name. */
#define MARKER_VERSION_AT '2'
#define AT_DIGITS 16

char *marker_encode_at(const char *name, int64_t at)
{
	char *plain = marker_encode(name), *text;

	if (!at || !plain)
		return plain;
	if (asprintf(&text, "%c%0*" PRIx64 "%s", MARKER_VERSION_AT, AT_DIGITS, (uint64_t)at,
		     plain + 1) < 0)
		text = NULL;
	free(plain);
	return text;
}

char *marker_decode_at(const char *text, int64_t *at)
{
	char digits[AT_DIGITS + 1] = "", *plain, *name, *end;

	*at = 0;
	if (text[0] != MARKER_VERSION_AT)
		return marker_decode(text);
	if (strlen(text) <= AT_DIGITS + 1)
		return NULL;
	memcpy(digits, text + 1, AT_DIGITS);
	*at = (int64_t)strtoull(digits, &end, 16);
	if (*end || *at < 0)
		return NULL;
	if (asprintf(&plain, "%c%s", MARKER_VERSION, text + 1 + AT_DIGITS) < 0)
		return NULL;
	name = marker_decode(plain);
	free(plain);
	return name;
}

char *marker_decode(const char *text)
{
	size_t length = strlen(text), padded;
	char *copy, *name;
	ssize_t n;

	if (length < 2 || text[0] != MARKER_VERSION)
		return NULL;
	text++;
	length--;
	padded = (length + 3) / 4 * 4;
	copy = malloc(padded + 1);
	name = malloc(padded + 1);
	if (!copy || !name) {
		free(copy);
		free(name);
		return NULL;
	}
	memcpy(copy, text, length);
	memset(copy + length, '=', padded - length);
	copy[padded] = 0;
	swap(copy, "-_", "+/");
	n = azb_base64_decode(name, padded, copy, padded);
	free(copy);
	if (n <= 0 || !target_is_utf8(name, (size_t)n)) {
		free(name);
		return NULL;
	}
	name[n] = 0;
	return name;
}
