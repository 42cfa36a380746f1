// SPDX-License-Identifier: MIT
/*
 * Registered buffers.  The driver's own kind belongs to the open node; io_uring's kind to each
 * ring, so rings are told of every buffer.  A request finds its buffer by address.
 */
#include "buffers.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "driver.h"
#include "ring.h"

#define PAGE ((size_t)AZ_BLOB_PAGE_SIZE)

struct azblob_buffer {
	azblob_conn *conn;
	char *memory;
	size_t length;
	enum azblob_buffer_kind kind;
	bool read_only;
	uint32_t id; /* the driver's */
	unsigned int slot;
};

/**
 * struct azc_buffers - the buffers of a connection
 * @lock: protects the rest, and the buffers in the rings.
 * @rings: linked by themselves.
 */
struct azc_buffers {
	pthread_rwlock_t lock;
	struct azblob_buffer *slot[AZC_MAX_BUFFERS];
	unsigned int count;
	struct azc_ring *rings;
};

struct azc_buffers *azc_buffers_new(void)
{
	struct azc_buffers *buffers = calloc(1, sizeof(*buffers));

	if (buffers)
		pthread_rwlock_init(&buffers->lock, NULL);
	return buffers;
}

void azc_buffers_free(struct azc_buffers *buffers)
{
	if (!buffers)
		return;
	pthread_rwlock_destroy(&buffers->lock);
	free(buffers);
}

/* ---- finding ---- */

/* The buffer of that kind that holds all of it; the lock is held. */
static const struct azblob_buffer *find(const struct azc_buffers *buffers, uintptr_t data,
					size_t length, enum azblob_buffer_kind kind)
{
	unsigned int left = buffers->count;

	for (unsigned int i = 0; left; i++) {
		const struct azblob_buffer *buffer = buffers->slot[i];

		if (!buffer)
			continue;
		left--;
		if (buffer->kind == kind && data >= (uintptr_t)buffer->memory &&
		    data - (uintptr_t)buffer->memory <= buffer->length &&
		    length <= buffer->length - (data - (uintptr_t)buffer->memory))
			return buffer;
	}
	return NULL;
}

bool azc_buffers_place(struct azc_buffers *buffers, struct az_blob_request *wire)
{
	const struct azblob_buffer *buffer;

	if (!wire->data_len)
		return false;
	pthread_rwlock_rdlock(&buffers->lock);
	buffer = find(buffers, (uintptr_t)wire->data_buffer, wire->data_len, AZBLOB_BUFFER_HOST);
	if (buffer && buffer->read_only && !wire->data_valid)
		buffer = NULL;
	if (buffer) {
		wire->flags |= AZ_BLOB_DATA_IN_BUFFER;
		wire->buffer_id = buffer->id;
		wire->data_buffer -= (uintptr_t)buffer->memory;
	}
	pthread_rwlock_unlock(&buffers->lock);
	return buffer;
}

int azc_buffers_ring_slot(struct azc_buffers *buffers, const struct azc_ring *ring,
			  const void *data, size_t length)
{
	const struct azblob_buffer *buffer;
	int slot = -1;

	if (!length)
		return -1;
	pthread_rwlock_rdlock(&buffers->lock);
	buffer = find(buffers, (uintptr_t)data, length, AZBLOB_BUFFER_URING);
	if (buffer && azc_ring_has_buffer(ring, buffer->slot))
		slot = (int)buffer->slot;
	pthread_rwlock_unlock(&buffers->lock);
	return slot;
}

/* ---- rings ---- */

void azc_buffers_add_ring(struct azc_buffers *buffers, struct azc_ring *ring)
{
	pthread_rwlock_wrlock(&buffers->lock);
	azc_ring_set_next(ring, buffers->rings);
	buffers->rings = ring;
	for (unsigned int i = 0; i < AZC_MAX_BUFFERS; i++)
		if (buffers->slot[i] && buffers->slot[i]->kind == AZBLOB_BUFFER_URING)
			azc_ring_set_buffer(ring, i, buffers->slot[i]->memory,
					    buffers->slot[i]->length);
	pthread_rwlock_unlock(&buffers->lock);
}

void azc_buffers_remove_ring(struct azc_buffers *buffers, struct azc_ring *ring)
{
	struct azc_ring *before = NULL;
	struct azc_ring *at;

	pthread_rwlock_wrlock(&buffers->lock);
	for (at = buffers->rings; at && at != ring; at = azc_ring_next(at))
		before = at;
	if (at && before)
		azc_ring_set_next(before, azc_ring_next(at));
	else if (at)
		buffers->rings = azc_ring_next(at);
	pthread_rwlock_unlock(&buffers->lock);
}

static void tell_rings(struct azc_buffers *buffers, unsigned int slot, void *memory, size_t length)
{
	for (struct azc_ring *ring = buffers->rings; ring; ring = azc_ring_next(ring))
		azc_ring_set_buffer(ring, slot, memory, length);
}

/* ---- the calls ---- */

/* The best kind that there is; the memory is plain when all else fails. */
static void pin(struct azblob_buffer *buffer)
{
	struct azc_device *device = azc_driver_device(buffer->conn);

	if (!device)
		return;
	if (device->add_buffer && !device->add_buffer(device, buffer->memory, buffer->length,
						      buffer->read_only, &buffer->id))
		buffer->kind = AZBLOB_BUFFER_HOST;
	else if (device->features & AZ_BLOB_FEATURE_URING_FIXED)
		buffer->kind = AZBLOB_BUFFER_URING;
}

static int add(struct azc_buffers *buffers, struct azblob_buffer *buffer,
	       struct azblob_error *error)
{
	unsigned int slot = 0;

	pthread_rwlock_wrlock(&buffers->lock);
	while (slot < AZC_MAX_BUFFERS && buffers->slot[slot])
		slot++;
	if (slot < AZC_MAX_BUFFERS) {
		buffer->slot = slot;
		buffers->slot[slot] = buffer;
		buffers->count++;
		if (buffer->kind == AZBLOB_BUFFER_URING)
			tell_rings(buffers, slot, buffer->memory, buffer->length);
	}
	pthread_rwlock_unlock(&buffers->lock);
	if (slot < AZC_MAX_BUFFERS)
		return 0;
	return azc_fail(error, AZBLOB_RESOURCES,
			"the connection has %u registered buffers, and more are not allowed",
			AZC_MAX_BUFFERS);
}

static void unpin(struct azblob_buffer *buffer)
{
	struct azc_device *device = azc_driver_device(buffer->conn);

	if (buffer->kind == AZBLOB_BUFFER_HOST)
		device->remove_buffer(device, buffer->id);
}

int azblob_buffer_register(azblob_conn *conn, void *memory, size_t length, unsigned int flags,
			   azblob_buffer **result, struct azblob_error *error)
{
	struct azblob_buffer *buffer;

	if (!memory || !length || (uintptr_t)memory % PAGE || length % PAGE)
		return azc_fail(error, AZBLOB_BAD_ARGUMENT,
				"a buffer's address and length must be multiples of %zu", PAGE);
	if (flags & ~AZBLOB_BUFFER_READ_ONLY)
		return azc_fail(error, AZBLOB_BAD_ARGUMENT, "unknown flags 0x%x", flags);
	buffer = calloc(1, sizeof(*buffer));
	if (!buffer)
		return azc_fail_memory(error);
	buffer->conn = conn;
	buffer->memory = memory;
	buffer->length = length;
	buffer->read_only = flags & AZBLOB_BUFFER_READ_ONLY;
	pin(buffer);
	if (add(conn->buffers, buffer, error)) {
		unpin(buffer);
		free(buffer);
		return -1;
	}
	azc_error_clear(error);
	*result = buffer;
	return 0;
}

void azblob_buffer_deregister(azblob_buffer *buffer)
{
	struct azc_buffers *buffers;

	if (!buffer)
		return;
	buffers = buffer->conn->buffers;
	pthread_rwlock_wrlock(&buffers->lock);
	buffers->slot[buffer->slot] = NULL;
	buffers->count--;
	if (buffer->kind == AZBLOB_BUFFER_URING)
		tell_rings(buffers, buffer->slot, NULL, 0);
	pthread_rwlock_unlock(&buffers->lock);
	unpin(buffer);
	free(buffer);
}

enum azblob_buffer_kind azblob_buffer_kind(const azblob_buffer *buffer)
{
	return buffer->kind;
}
