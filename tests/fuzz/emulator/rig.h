/* SPDX-License-Identifier: MIT */
/*
 * The emulator's units that parse what a guest and a backend send, without a guest and without a
 * backend: QEMU with an empty machine, VMBus, azure-blob-vsp, and functions that play the rest.
 *
 * One thread, no socket and no clock but the one that a target moves, so that an input always does
 * the same.  Whoever waits for the backend without end gets its death; whoever would still wait
 * then has failed.
 */
#ifndef AZBLOB_FUZZ_RIG_H
#define AZBLOB_FUZZ_RIG_H

#include "qemu/osdep.h"
#include "azblob/vsp_link.h"
#include "azblob/vsp_wire.h"
#include "azure-blob-vsp.h"
#include "hw/hyperv/hyperv-proto.h"
#include "hw/hyperv/vmbus-proto.h"

#define must(condition)                                                                 \
	do {                                                                            \
		if (!(condition)) {                                                     \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
			abort();                                                        \
		}                                                                       \
	} while (0)

/* ---- bytes of an input; beyond its end there are zeros ---- */

struct input {
	const uint8_t *at;
	size_t left;
};

uint8_t input_byte(struct input *in);
uint32_t input_word(struct input *in);
/* Takes up to @size bytes; returns how many there were. */
size_t input_bytes(struct input *in, void *to, size_t size);
/* One of the numbers that matter somewhere, or any */
uint32_t input_value(struct input *in);

/* ---- the guest ---- */

#define RIG_PAGES 256u /* of memory, from address 0 */
#define RIG_RAM (RIG_PAGES * 4096u)
#define RING_PAGES 4u /* of data, behind a page for the header */
#define RING_BYTES (RING_PAGES * 4096u)
#define RING_GPADL 0x1e1u
/* Page numbers */
#define TO_HOST_PAGE 16u
#define TO_GUEST_PAGE (TO_HOST_PAGE + 1 + RING_PAGES)
#define HEAD_PAGE 40u
#define RESPONSE_PAGE 41u
#define DATA_PAGE 42u

extern uint8_t *rig_ram;
extern AzureBlobVSP *rig_vsp;
extern uint32_t rig_relid; /* of the last offer */

vmbus_ring_buffer *rig_ring(bool to_host);
uint8_t *rig_ring_data(bool to_host);
/* Posts a message of @size bytes, at most 240, as a hypercall would. */
void rig_post(uint32_t connection, const void *message, uint32_t size);
/* Signals a connection. */
void rig_signal(uint32_t connection);
/* Contact with @version, offers, GPADL, open, as a guest does that means well */
void rig_open_channel(uint32_t version);
/* Bytes in the ring to the host, as many as there is room for, and the index behind them; signals.
 */
void rig_put(const void *bytes, uint32_t size);
/* A packet that is right, with @data bytes of room, or to send if @sends; returns its size. */
size_t rig_packet(uint8_t *to, uint64_t transaction, uint32_t data, bool sends);
/* Nothing more is to be done at this moment. */
void rig_settle(void);
/* The guest's clock, and everything that it sets off */
void rig_pass_ms(uint32_t ms);
/* Messages stay where they are, or are taken at once again. */
void rig_guest_is_busy(bool busy);

/* ---- the backend ---- */

/* Connects; with @welcome it says WELCOME and takes all regions. */
void rig_connect(bool welcome);
void rig_disconnect(void);
/* The process ends, if there is one. */
void rig_die(void);
/* Puts bytes into the socket, and lets them be read in pieces of at most @piece. */
void rig_say(const void *bytes, size_t size, size_t piece);
/* The id of the request that was sent last, or 0 */
extern uint64_t rig_last_request;
bool rig_is_connected(void);
/* So many bytes of what is written still fit into the socket. */
void rig_set_room(size_t bytes);

/* Between the files of the rig: whether there is a process that can die, and whether something
 * moved */
bool rig_has_process(void);
bool rig_socket_step(void);
void rig_socket_init(void);

/* Back to the machine before the first message; nothing may be left of what was. */
void rig_reset(void);

#endif
