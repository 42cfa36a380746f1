/* SPDX-License-Identifier: MIT */
/* A ring of the kernel's, on which requests go to the driver as commands. */
#ifndef AZC_RING_H
#define AZC_RING_H

#include "buffers.h"
#include "driver.h"

/**
 * struct azc_ring_event - something that ended
 * @token: as it was given.
 * @posted: it came by azc_ring_post(); then there is nothing else.
 * @result: 0 or -errno of a command.
 * @response: of a command that ended with 0.
 */
struct azc_ring_event {
	void *token;
	bool posted;
	int result;
	struct az_blob_request_sync_response response;
};

/* NULL where kernel or driver can't; @depth: the most that is submitted and posted at a time. */
struct azc_ring *azc_ring_new(const azblob_conn *conn, unsigned int depth);
/* Nothing is under way. */
void azc_ring_free(struct azc_ring *ring);
/* Readable when there is an event. */
int azc_ring_fd(const struct azc_ring *ring);
/*
 * Sends a request; @wire is copied, @token is aligned to 8.  0, or -errno when nothing was sent.
 * Any thread; one that ends may take its commands with it.
 */
int azc_ring_submit(struct azc_ring *ring, const struct az_blob_request *wire, void *token);
/* An event of the program's own.  Any thread. */
void azc_ring_post(struct azc_ring *ring, void *token);
/* Takes an event; false when there is none.  Any thread. */
bool azc_ring_take(struct azc_ring *ring, struct azc_ring_event *event);

/* For buffers.c, which serialises these.  NULL @memory: the slot is empty.  False: it is. */
bool azc_ring_set_buffer(struct azc_ring *ring, unsigned int slot, void *memory, size_t length);
struct azc_ring *azc_ring_next(const struct azc_ring *ring);
void azc_ring_set_next(struct azc_ring *ring, struct azc_ring *next);
bool azc_ring_has_buffer(const struct azc_ring *ring, unsigned int slot);

#endif /* AZC_RING_H */
