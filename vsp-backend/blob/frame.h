/* SPDX-License-Identifier: MIT */
/* An answer's body as a structured message (xsm.h): frames around what is read from the store. */
#ifndef AZBLOB_BLOB_FRAME_H
#define AZBLOB_BLOB_FRAME_H

#include <stdint.h>

#include "../store/store.h"
#include "service.h"

struct frame;

/*
 * For @length bytes from @offset of @read, which is borrowed and must outlive it.  NULL when memory
 * is short.
 */
struct frame *frame_new(struct store_read *read, uint64_t offset, uint64_t length);
void frame_free(struct frame *frame); /* NULL is allowed */
/* Bytes of the message. */
uint64_t frame_length(const struct frame *frame);

/*
 * One piece of the message from @at on, which may be shorter than what is there.  A checksum
 * costs the reading of its segment, once.  1, or -errno; -EOPNOTSUPP: see store_read_map().
 */
ssize_t frame_piece(struct frame *frame, uint64_t at, struct svc_piece *piece);
/* Copies some bytes from @at on: how many, or -errno. */
ssize_t frame_read(struct frame *frame, uint64_t at, void *buffer, size_t length);

#endif /* AZBLOB_BLOB_FRAME_H */
