// SPDX-License-Identifier: MIT
#include "frame.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "../base/crc64.h"
#include "xsm.h"

#define STEP (64u * 1024u)
#define FRAMES (XSM_SEGMENT + XSM_SUM) /* of one segment */

/**
 * struct frame - where what is
 * @data: bytes of a segment, but for the last one.
 * @bytes: the header, then for each segment its header and checksum, then the trailer.
 * @sums, @known: of the segments, under @lock until known.  Frames that are known don't change.
 */
struct frame {
	struct store_read *read;
	uint64_t offset, length;
	uint64_t data;
	unsigned int segments;
	uint8_t *bytes;
	uint64_t *sums;
	bool *known;
	bool all_known;
	pthread_mutex_t lock;
};

static uint64_t segment_length(const struct frame *f, unsigned int segment)
{
	uint64_t before = segment * f->data;

	return f->length - before < f->data ? f->length - before : f->data;
}

static uint8_t *frames_of(const struct frame *f, unsigned int segment)
{
	return f->bytes + XSM_HEADER + (size_t)segment * FRAMES;
}

uint64_t frame_length(const struct frame *f)
{
	return XSM_HEADER + f->length + (uint64_t)f->segments * FRAMES + XSM_SUM;
}

struct frame *frame_new(struct store_read *read, uint64_t offset, uint64_t length)
{
	struct frame *f = calloc(1, sizeof(*f));
	uint64_t data = XSM_SEGMENT_DATA;

	if (!f)
		return NULL;
	while (length / data >= XSM_MAX_SEGMENTS)
		data *= 2;
	f->read = read;
	f->offset = offset;
	f->length = length;
	f->data = data;
	/* an empty body has a segment too: readers expect one behind the header */
	f->segments = length ? (unsigned int)((length + data - 1) / data) : 1;
	pthread_mutex_init(&f->lock, NULL);
	f->bytes = calloc(1, XSM_HEADER + (size_t)f->segments * FRAMES + XSM_SUM);
	f->sums = calloc(f->segments, sizeof(*f->sums));
	f->known = calloc(f->segments, sizeof(*f->known));
	if (!f->bytes || !f->sums || !f->known) {
		frame_free(f);
		return NULL;
	}
	f->bytes[0] = 1;
	xsm_put(f->bytes + 1, frame_length(f), 8);
	xsm_put(f->bytes + 9, 1, 2);
	xsm_put(f->bytes + 11, f->segments, 2);
	for (unsigned int i = 0; i < f->segments; i++) {
		xsm_put(frames_of(f, i), i + 1, 2);
		xsm_put(frames_of(f, i) + 2, segment_length(f, i), 8);
	}
	return f;
}

void frame_free(struct frame *f)
{
	if (!f)
		return;
	pthread_mutex_destroy(&f->lock);
	free(f->bytes);
	free(f->sums);
	free(f->known);
	free(f);
}

static int to_errno(enum store_error error)
{
	return error == STORE_NO_MEMORY ? -ENOMEM : -EIO;
}

/* Reads a segment for its checksum.  Under lock: who wants the same one waits for it. */
static int learn(struct frame *f, unsigned int segment)
{
	uint64_t at = f->offset + segment * f->data, left = segment_length(f, segment);
	enum store_error error = STORE_OK;
	uint64_t crc64 = 0;
	void *step;

	if (f->known[segment])
		return 0;
	step = malloc(STEP);
	if (!step)
		return -ENOMEM;
	while (left && error == STORE_OK) {
		size_t n = left < STEP ? (size_t)left : STEP;

		error = store_read_at(f->read, at, step, n);
		if (error == STORE_OK)
			crc64 = azb_crc64(crc64, step, n);
		at += n;
		left -= n;
	}
	free(step);
	if (error != STORE_OK)
		return to_errno(error);
	f->sums[segment] = crc64;
	f->known[segment] = true;
	xsm_put(frames_of(f, segment) + XSM_SEGMENT, crc64, 8);
	return 0;
}

static int learn_all(struct frame *f)
{
	uint64_t crc64 = 0;

	if (f->all_known)
		return 0;
	for (unsigned int i = 0; i < f->segments; i++) {
		int error = learn(f, i);

		if (error)
			return error;
		crc64 = azb_crc64_combine(crc64, f->sums[i], segment_length(f, i));
	}
	xsm_put(frames_of(f, f->segments), crc64, 8);
	f->all_known = true;
	return 0;
}

/* What is at a place of the message: bytes of frames, or of data when @bytes is NULL. */
struct place {
	const uint8_t *bytes;
	uint64_t offset; /* of the data */
	uint64_t length; /* up to where it changes */
};

static int find(struct frame *f, uint64_t at, struct place *place)
{
	uint64_t whole = f->data + FRAMES, in, data;
	unsigned int segment;
	int error = 0;

	*place = (struct place){ 0 };
	if (at < XSM_HEADER) {
		place->bytes = f->bytes + at;
		place->length = XSM_HEADER - at;
		return 0;
	}
	if (at >= frame_length(f) - XSM_SUM) {
		at -= frame_length(f) - XSM_SUM;
		pthread_mutex_lock(&f->lock);
		error = learn_all(f);
		pthread_mutex_unlock(&f->lock);
		place->bytes = frames_of(f, f->segments) + at;
		place->length = XSM_SUM - at;
		return error;
	}
	segment = (unsigned int)((at - XSM_HEADER) / whole);
	in = (at - XSM_HEADER) % whole;
	data = segment_length(f, segment);
	if (in < XSM_SEGMENT) {
		place->bytes = frames_of(f, segment) + in;
		place->length = XSM_SEGMENT - in;
	} else if (in < XSM_SEGMENT + data) {
		place->offset = segment * f->data + in - XSM_SEGMENT;
		place->length = XSM_SEGMENT + data - in;
	} else {
		pthread_mutex_lock(&f->lock);
		error = learn(f, segment);
		pthread_mutex_unlock(&f->lock);
		in -= data;
		place->bytes = frames_of(f, segment) + in;
		place->length = FRAMES - in;
	}
	return error;
}

ssize_t frame_piece(struct frame *f, uint64_t at, struct svc_piece *piece)
{
	struct store_piece found;
	enum store_error error;
	struct place place;
	size_t count;
	int rc = find(f, at, &place);

	if (rc)
		return rc;
	if (place.bytes) {
		*piece = (struct svc_piece){ .fd = -1,
					     .bytes = place.bytes,
					     .length = place.length };
		return 1;
	}
	error = store_read_map(f->read, f->offset + place.offset, place.length, &found, 1, &count);
	if (error != STORE_OK || !count)
		return error == STORE_UNSUPPORTED ? -EOPNOTSUPP : to_errno(error);
	*piece = (struct svc_piece){ .fd = found.fd,
				     .bytes = found.bytes,
				     .offset = found.file_offset,
				     .length = found.length };
	return 1;
}

ssize_t frame_read(struct frame *f, uint64_t at, void *buffer, size_t length)
{
	enum store_error error;
	struct place place;
	int rc = find(f, at, &place);

	if (rc)
		return rc;
	if (length > place.length)
		length = (size_t)place.length;
	if (place.bytes) {
		memcpy(buffer, place.bytes, length);
		return (ssize_t)length;
	}
	error = store_read_at(f->read, f->offset + place.offset, buffer, length);
	return error == STORE_OK ? (ssize_t)length : to_errno(error);
}
