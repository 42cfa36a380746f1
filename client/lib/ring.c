// SPDX-License-Identifier: MIT
/*
 * io_uring commands: the request travels in a large entry, its response in a large completion
 * (include/uapi/misc/hv_azure_blob.h).
 */
#include "ring.h"

#include <errno.h>
#include <liburing.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Where the request starts in a large entry, as the kernel's header has it. */
#define ENTRY_PAYLOAD 48
/* IORING_URING_CMD_FIXED, which older headers lack. */
#define COMMAND_FIXED 1u
/* Submitted at a time: each by itself, at once. */
#define ENTRIES 8u
/* Set in the token of what was posted. */
#define POSTED UINT64_C(1)

/**
 * struct azc_ring - a ring and what is registered with it
 * @lock: protects both ends of the ring.
 * @sparse: the ring has slots for buffers.
 * @filled, @next: under the lock of the connection's buffers.
 */
struct azc_ring {
	pthread_mutex_t lock;
	struct io_uring ring;
	const azblob_conn *conn;
	int node;
	bool sparse;
	uint64_t filled;
	struct azc_ring *next;
};

_Static_assert(AZC_MAX_BUFFERS <= 64, "a bit for each");

struct azc_ring *azc_ring_new(const azblob_conn *conn, unsigned int depth)
{
	const struct azc_device *device = azc_driver_device(conn);
	/* Each request has at most one entry of either kind at a time; entries go at once. */
	struct io_uring_params params = {
		.flags = IORING_SETUP_SQE128 | IORING_SETUP_CQE32 | IORING_SETUP_CQSIZE,
		.cq_entries = depth < ENTRIES ? ENTRIES : depth,
	};
	struct azc_ring *ring;

	if (!device || !(device->features & AZ_BLOB_FEATURE_URING))
		return NULL;
	ring = calloc(1, sizeof(*ring));
	if (!ring)
		return NULL;
	/* Whatever is missing, a sandbox that forbids it included, threads do without. */
	if (io_uring_queue_init_params(ENTRIES, &ring->ring, &params)) {
		free(ring);
		return NULL;
	}
	pthread_mutex_init(&ring->lock, NULL);
	ring->conn = conn;
	ring->node = device->node;
	ring->sparse = (device->features & AZ_BLOB_FEATURE_URING_FIXED) &&
		       !io_uring_register_buffers_sparse(&ring->ring, AZC_MAX_BUFFERS);
	azc_buffers_add_ring(conn->buffers, ring);
	return ring;
}

void azc_ring_free(struct azc_ring *ring)
{
	if (!ring)
		return;
	azc_buffers_remove_ring(ring->conn->buffers, ring);
	io_uring_queue_exit(&ring->ring);
	pthread_mutex_destroy(&ring->lock);
	free(ring);
}

int azc_ring_fd(const struct azc_ring *ring)
{
	return ring->ring.ring_fd;
}

/* The kernel takes every entry at once, so there is always one; the lock is held. */
static struct io_uring_sqe *take_entry(struct azc_ring *ring)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring->ring);

	if (sqe)
		memset(sqe, 0, 128);
	return sqe;
}

/*
 * Gives the entry to the kernel; the lock is held.  A signal or a moment without memory is no
 * reason to give up, since the entry can't be taken back.
 */
static void push_entry(struct azc_ring *ring)
{
	struct timespec pause = { 0, 1000000 };

	while (io_uring_sq_ready(&ring->ring) && io_uring_submit(&ring->ring) < 0)
		nanosleep(&pause, NULL);
}

int azc_ring_submit(struct azc_ring *ring, const struct az_blob_request *wire, void *token)
{
	struct az_blob_request placed = *wire;
	struct io_uring_sqe *sqe;
	int slot = -1;

	if (!azc_buffers_place(ring->conn->buffers, &placed))
		slot = azc_buffers_ring_slot(ring->conn->buffers, ring,
					     (void *)(uintptr_t)wire->data_buffer, wire->data_len);
	pthread_mutex_lock(&ring->lock);
	sqe = take_entry(ring);
	if (sqe) {
		sqe->opcode = IORING_OP_URING_CMD;
		sqe->fd = ring->node;
		sqe->off = IOCTL_AZ_BLOB_REQUEST; /* cmd_op is its lower half */
		sqe->user_data = (uintptr_t)token;
		if (slot >= 0) {
			sqe->rw_flags = COMMAND_FIXED; /* uring_cmd_flags */
			sqe->buf_index = (uint16_t)slot;
		}
		memcpy((char *)sqe + ENTRY_PAYLOAD, &placed, sizeof(placed));
		push_entry(ring);
	}
	pthread_mutex_unlock(&ring->lock);
	return sqe ? 0 : -EBUSY;
}

void azc_ring_post(struct azc_ring *ring, void *token)
{
	struct io_uring_sqe *sqe;

	pthread_mutex_lock(&ring->lock);
	while (!(sqe = take_entry(ring)))
		push_entry(ring);
	sqe->opcode = IORING_OP_NOP;
	sqe->user_data = (uintptr_t)token | POSTED;
	push_entry(ring);
	pthread_mutex_unlock(&ring->lock);
}

bool azc_ring_take(struct azc_ring *ring, struct azc_ring_event *event)
{
	struct io_uring_cqe *cqe;
	bool there;

	pthread_mutex_lock(&ring->lock);
	there = !io_uring_peek_cqe(&ring->ring, &cqe);
	if (there) {
		event->token = (void *)(uintptr_t)(cqe->user_data & ~POSTED);
		event->posted = cqe->user_data & POSTED;
		event->result = cqe->res;
		event->response.status = (uint32_t)cqe->big_cqe[0];
		event->response.response_len = (uint32_t)(cqe->big_cqe[0] >> 32);
		io_uring_cqe_seen(&ring->ring, cqe);
	}
	pthread_mutex_unlock(&ring->lock);
	return there;
}

/* ---- buffers ---- */

bool azc_ring_set_buffer(struct azc_ring *ring, unsigned int slot, void *memory, size_t length)
{
	struct iovec iov = { memory, length };
	bool good = ring->sparse &&
		    io_uring_register_buffers_update_tag(&ring->ring, slot, &iov, NULL, 1) == 1;

	if (good && memory)
		ring->filled |= UINT64_C(1) << slot;
	else
		ring->filled &= ~(UINT64_C(1) << slot);
	return good;
}

bool azc_ring_has_buffer(const struct azc_ring *ring, unsigned int slot)
{
	return ring->filled >> slot & 1;
}

struct azc_ring *azc_ring_next(const struct azc_ring *ring)
{
	return ring->next;
}

void azc_ring_set_next(struct azc_ring *ring, struct azc_ring *next)
{
	ring->next = next;
}
