/* SPDX-License-Identifier: MIT */
/* The quick part of looking at every byte of a text. */
#ifndef AZB_PLAIN_H
#define AZB_PLAIN_H

#include <stddef.h>

/*
 * How many bytes at the start of @text are none of 0 to 0x1f and not 0x7f: all but control
 * characters, eight at a time.  Bytes of 0x80 and more count as plain.
 */
size_t azb_plain_run(const char *text, size_t length);

#endif
