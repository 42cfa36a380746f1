/* SPDX-License-Identifier: MIT */
/* Registered buffers: one table for a connection, known to all of its rings. */
#ifndef AZC_BUFFERS_H
#define AZC_BUFFERS_H

#include "internal.h"

#define AZC_MAX_BUFFERS 64u

struct azc_ring;
struct az_blob_request;

struct azc_buffers *azc_buffers_new(void);
/* Nothing is registered any more. */
void azc_buffers_free(struct azc_buffers *buffers);

/*
 * When the request's data is wholly in a buffer of the driver's, has the request say so; false when
 * it is not.
 */
bool azc_buffers_place(struct azc_buffers *buffers, struct az_blob_request *wire);
/* The slot under which the ring knows a buffer that holds all of the data, or -1. */
int azc_buffers_ring_slot(struct azc_buffers *buffers, const struct azc_ring *ring,
			  const void *data, size_t length);
/* The ring learns of all buffers now and later, as long as it is there. */
void azc_buffers_add_ring(struct azc_buffers *buffers, struct azc_ring *ring);
void azc_buffers_remove_ring(struct azc_buffers *buffers, struct azc_ring *ring);

#endif /* AZC_BUFFERS_H */
