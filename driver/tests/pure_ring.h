/* SPDX-License-Identifier: GPL-2.0-only */
/* The real functions of ring.c, and the bus they run on in ring_test.c. */
#ifndef AZB_PURE_RING_H
#define AZB_PURE_RING_H

#include "../azb.h"

int azb_real_ring_open(struct azb_device *azb);
void azb_real_ring_close(struct azb_device *azb);
int azb_real_ring_send(struct azb_device *azb, struct azb_request *req);
void azb_real_ring_drain(struct azb_device *azb, unsigned int patience_ms);
u32 azb_real_ring_quiesce(struct azb_device *azb, unsigned int patience_ms);
bool azb_real_ring_has_room(struct azb_device *azb, u32 bytes);
void azb_real_ring_want_room(struct azb_device *azb, u32 bytes);

/* The bus's own functions read a ring of memory instead. */
extern bool azb_real_iter;
/* Theirs, once the ring is open. */
extern void (*azb_real_callback)(void *context);

int azb_fake_vmbus_open(struct vmbus_channel *channel, u32 send_size, u32 recv_size,
			void *userdata, u32 userdata_len,
			void (*callback)(void *context), void *context);
void azb_fake_vmbus_close(struct vmbus_channel *channel);
int azb_fake_sendpacket(struct vmbus_channel *channel,
			struct vmbus_packet_mpb_array *mpb, u32 desc_size,
			void *buffer, u32 buffer_len, u64 requestid);
/* [extra */
int azb_fake_sendpacket_inband(struct vmbus_channel *channel, void *buffer,
			       u32 len, u64 requestid, enum vmbus_packet_type type,
			       u32 flags);
/* extra] */
struct vmpacket_descriptor *azb_fake_iter_first(struct vmbus_channel *channel);
struct vmpacket_descriptor *azb_fake_iter_next(struct vmbus_channel *channel,
					       const struct vmpacket_descriptor *pkt);
void azb_fake_iter_close(struct vmbus_channel *channel);

#endif /* AZB_PURE_RING_H */
