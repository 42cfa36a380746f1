/* SPDX-License-Identifier: MIT */
#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Room for @more bytes and a zero. */
static bool reserve(struct azb_buf *buf, size_t more)
{
	size_t room = buf->room ? buf->room : 256;
	char *data;

	if (buf->failed)
		return false;
	if (more >= SIZE_MAX / 2 - buf->length) {
		buf->failed = true;
		return false;
	}
	if (buf->data && buf->length + more < buf->room)
		return true;
	while (room <= buf->length + more)
		room *= 2;
	data = realloc(buf->data, room);
	if (!data) {
		buf->failed = true;
		return false;
	}
	buf->data = data;
	buf->room = room;
	return true;
}

void azb_buf_add(struct azb_buf *buf, const void *data, size_t length)
{
	if (!reserve(buf, length))
		return;
	if (length)
		memcpy(buf->data + buf->length, data, length);
	buf->length += length;
	buf->data[buf->length] = '\0';
}

void azb_buf_puts(struct azb_buf *buf, const char *text)
{
	azb_buf_add(buf, text, strlen(text));
}

void azb_buf_printf(struct azb_buf *buf, const char *format, ...)
{
	va_list args;
	int length;

	va_start(args, format);
	length = vsnprintf(NULL, 0, format, args);
	va_end(args);
	if (length < 0)
		buf->failed = true;
	if (length < 0 || !reserve(buf, (size_t)length))
		return;
	va_start(args, format);
	vsnprintf(buf->data + buf->length, (size_t)length + 1, format, args);
	va_end(args);
	buf->length += (size_t)length;
}

void azb_buf_reset(struct azb_buf *buf)
{
	buf->length = 0;
	buf->failed = false;
	if (buf->data)
		buf->data[0] = '\0';
}

void azb_buf_free(struct azb_buf *buf)
{
	free(buf->data);
	*buf = (struct azb_buf){ 0 };
}
