/* SPDX-License-Identifier: MIT */
/* How far to read ahead of one open file. */
#ifndef MNT_STREAM_H
#define MNT_STREAM_H

#include <stddef.h>
#include <stdint.h>

/* What a new reader gets at once; doubled with every read that goes on in order. */
#define MNT_STREAM_FIRST ((uint64_t)256 << 10)

/**
 * struct mnt_stream - where a reader is; starts as { 0 }, the caller's to protect
 * @next: end of the read that reached farthest.
 * @ahead: everything before was asked for.
 * @window: bytes to have under way beyond @next; 0: reads in no order.
 */
struct mnt_stream {
	uint64_t next;
	uint64_t ahead;
	uint64_t window;
};

/*
 * A read of @length > 0 bytes at @offset of a blob of @size: sets *from and *to (equal: nothing) to
 * what should be fetched now, whole blocks of @block bytes where the window is that large.
 * The read's own bytes are in it unless they were asked for before.  @most: the largest window.
 *
 * The kernel reads ahead too, in pieces that several of its threads send: a read that is no
 * farther than the window from where the last one ended is in order.
 */
void mnt_stream_read(struct mnt_stream *stream, uint64_t size, uint64_t block, uint64_t most,
		     uint64_t offset, uint64_t length, uint64_t *from, uint64_t *to);

#endif /* MNT_STREAM_H */
