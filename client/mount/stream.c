// SPDX-License-Identifier: MIT
#include "stream.h"

#include <stdbool.h>

/* How far out of order the kernel's own read-ahead may be: some requests of 1 MiB. */
#define SLACK ((uint64_t)2 << 20)

static bool in_order(const struct mnt_stream *stream, uint64_t offset)
{
	uint64_t low = stream->next > SLACK ? stream->next - SLACK : 0;
	uint64_t slack = stream->window < SLACK ? stream->window : SLACK;

	if (!stream->window)
		return offset == stream->next;
	return offset >= low && offset <= stream->next + slack;
}

static uint64_t minimum(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

void mnt_stream_read(struct mnt_stream *stream, uint64_t size, uint64_t block, uint64_t most,
		     uint64_t offset, uint64_t length, uint64_t *from, uint64_t *to)
{
	uint64_t end = offset + length;
	uint64_t want;

	*from = offset;
	*to = offset;
	if (!in_order(stream, offset)) {
		stream->window = 0;
		stream->next = end;
		stream->ahead = end;
		return;
	}
	if (!stream->window) {
		stream->window = minimum(MNT_STREAM_FIRST, most);
		stream->ahead = offset;
	} else if (end > stream->next) {
		stream->window = minimum(2 * stream->window, most);
	}
	if (end > stream->next)
		stream->next = end;
	/* In large steps: every request costs the same whatever it brings. */
	if (stream->ahead >= stream->next + stream->window / 2 && stream->ahead >= end)
		return;
	want = stream->next + stream->window;
	if (stream->window >= block)
		want = (want + block - 1) / block * block;
	want = minimum(want, size);
	if (want <= stream->ahead)
		return;
	*from = stream->ahead;
	*to = want;
	stream->ahead = want;
}
