/* SPDX-License-Identifier: MIT */
/* Base64 with the standard alphabet and padding (RFC 4648, section 4), strict. */
#ifndef AZB_BASE64_H
#define AZB_BASE64_H

#include <stddef.h>
#include <sys/types.h>

/* Characters for @n bytes, the final zero not counted. */
#define AZB_BASE64_LENGTH(n) (((n) + 2) / 3 * 4)
/* Room that the decoded bytes of @n characters need at most. */
#define AZB_BASE64_ROOM(n) ((n) / 4 * 3)

/**
 * azb_base64_encode - writes AZB_BASE64_LENGTH(length) characters and a zero
 *
 * Returns the number of characters.
 */
size_t azb_base64_encode(char *text, const void *data, size_t length);

/**
 * azb_base64_decode - decodes exactly @length characters
 * @data: room for @room bytes.
 *
 * Returns the number of bytes, or -1 when a character is not of the alphabet
 * (white space included), padding is missing or misplaced, unused bits are not
 * zero, or the bytes do not fit.  So every value has exactly one text.
 */
ssize_t azb_base64_decode(void *data, size_t room, const char *text, size_t length);

#endif
