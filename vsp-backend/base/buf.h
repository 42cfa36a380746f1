/* SPDX-License-Identifier: MIT */
/* A string of bytes that grows; a zero byte always follows the last one. */
#ifndef AZB_BUF_H
#define AZB_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/**
 * struct azb_buf - starts as { 0 }; azb_buf_free() ends it
 * @data: the bytes; NULL as long as nothing was added.
 * @length: how many, the final zero not counted.
 * @failed: memory ran out (or a format was bad): later additions do nothing, so that
 *	one look at the end is enough.
 */
struct azb_buf {
	char *data;
	size_t length;
	size_t room;
	bool failed;
};

void azb_buf_add(struct azb_buf *buf, const void *data, size_t length);
void azb_buf_puts(struct azb_buf *buf, const char *text);
void azb_buf_printf(struct azb_buf *buf, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* Empties it and keeps the memory. */
void azb_buf_reset(struct azb_buf *buf);
void azb_buf_free(struct azb_buf *buf);

#endif
