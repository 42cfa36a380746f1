/*
 * VMBus as a test rig: faults, counters, capture
 *
 * Between vmbus.c and the files of the rig (vmbus-fault.c, vmbus-fault-chan.c,
 * vmbus-capture.c, vmbus-query.c).  All of it runs in the main loop's thread
 * with the BQL held.  With no fault set and no capture running a hook costs a
 * test of a variable.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef HW_HYPERV_VMBUS_RIG_H
#define HW_HYPERV_VMBUS_RIG_H

#include "hw/hyperv/vmbus.h"
#include "qapi/qapi-types-vmbus.h"
#include "qemu/queue.h"
#include "qemu/timer.h"

/* How far back a stale transaction id may lie. */
#define VMBUS_RIG_RECENT 64

/* A completion that a fault holds back, or that waits for room. */
typedef struct VMBusHeldPacket {
    QTAILQ_ENTRY(VMBusHeldPacket) next;
    int64_t due;        /* ns, QEMU_CLOCK_VIRTUAL; INT64_MAX: not by itself */
    uint64_t after;     /* completions that are to pass it first, 0: none */
    uint16_t type;
    uint64_t transaction_id;
    uint16_t len_qwords; /* what the header is to say; 0: what is right */
    bool quiet;         /* the guest is not interrupted */
    bool poison_index;  /* then the write index becomes ... */
    uint32_t index;
    uint32_t len;
    uint8_t data[];
} VMBusHeldPacket;

/* What the rig keeps for each channel. */
typedef struct VMBusChannelRig {
    /* from realize on */
    uint64_t opens;
    uint64_t packets_in;
    uint64_t bytes_in;
    uint64_t packets_out;
    uint64_t bytes_out;
    uint64_t interrupts;
    uint64_t signals;

    /* while it is open; emptied by vmbus_rig_closed() */
    QTAILQ_HEAD(, VMBusHeldPacket) held;
    uint32_t num_held;
    QEMUTimer *held_timer;
    QEMUTimer *stall_timer;
    uint64_t recent[VMBUS_RIG_RECENT];
    uint32_t num_recent;
    bool stalled;       /* the ring is not read until stall_timer fires */
    bool pass_next;     /* the packet that was waited for is not asked about */
    bool hold_all;      /* until the rescind has been sent */
    bool quiet;         /* interrupts are not sent just now */
    bool poison_read;   /* the next read index that is written is ... */
    uint32_t read_index;
} VMBusChannelRig;

/* ---- what vmbus.c gives ---- */

VMBusChannelRig *vmbus_channel_rig(VMBusChannel *chan);
/* The channel after @chan in the order of the bus, or with NULL the first */
VMBusChannel *vmbus_channel_next(VMBusChannel *chan);
uint32_t vmbus_channel_id(VMBusChannel *chan);
VmbusChannelState vmbus_channel_state(VMBusChannel *chan);
/* Take back a reservation for a packet that is not sent after all. */
void vmbus_channel_unreserve(VMBusChannel *chan, uint32_t desclen,
                             uint32_t msglen);
/* Put something into an index of a ring; only the guest is meant to mind. */
void vmbus_channel_poke_write_index(VMBusChannel *chan, uint32_t index);
int vmbus_channel_interrupt(VMBusChannel *chan);
/*
 * Rescind and offer again.  With @early the channels stay open until the
 * guest has been sent the rescind.  False with @errp set if the device can't
 * be rescinded or is on its way out already.
 */
bool vmbus_device_rescind(VMBusDevice *vdev, bool early, Error **errp);
/* NULL without a bridge */
VmbusInfo *vmbus_info(void);
void vmbus_channel_info(VMBusChannel *chan, VmbusChannelInfo *info);

/* ---- faults: what vmbus.c asks ---- */

extern bool vmbus_rig_faults;

/*
 * A completion, for which the device has reserved room.  -ENOSPC if it has to
 * wait because so many are held; the channel is notified when they are fewer.
 */
ssize_t vmbus_rig_send_completion(VMBusChanReq *req, void *msg,
                                  uint32_t msglen);

typedef enum VMBusRigPacket {
    VMBUS_RIG_PASS,
    VMBUS_RIG_DROP,
    VMBUS_RIG_LATER,
} VMBusRigPacket;

VMBusRigPacket vmbus_rig_packet(VMBusChanReq *req);
/* Whether this interrupt is to be forgotten */
bool vmbus_rig_interrupt_lost(VMBusChannel *chan);
/* The status to refuse with, or 0; @chan may be NULL for a GPADL. */
uint32_t vmbus_rig_gpadl_status(VMBusChannel *chan);
uint32_t vmbus_rig_open_status(VMBusChannel *chan);

/* ---- a channel's life: what vmbus.c tells ---- */

void vmbus_rig_init(VMBusChannel *chan);
void vmbus_rig_cleanup(VMBusChannel *chan);
/* The guest or a device has signalled: send what can be. */
void vmbus_rig_run(VMBusChannel *chan);
/* Before a rescind: what is held goes out, unless it is to come after it. */
void vmbus_rig_settle(VMBusChannel *chan);
/* The rescind has been sent. */
void vmbus_rig_rescinded(VMBusChannel *chan);
void vmbus_rig_closed(VMBusChannel *chan);
void vmbus_rig_state_changed(VMBusChannel *chan);

/* ---- faults: between the files of the rig ---- */

typedef enum VMBusFaultPoint {
    VMBUS_FAULT_ON_COMPLETION,
    VMBUS_FAULT_ON_PACKET,
    VMBUS_FAULT_ON_INTERRUPT,
    VMBUS_FAULT_ON_GPADL,
    VMBUS_FAULT_ON_OPEN,
} VMBusFaultPoint;

/*
 * The fault that strikes now, counted and reported, or NULL.  @req is the
 * packet, or the one that is completed, or NULL; @chan may be NULL.
 */
const VmbusFault *vmbus_fault_strike(VMBusFaultPoint point,
                                     VMBusChannel *chan,
                                     const VMBusChanReq *req);
VMBusDevice *vmbus_find_device(const char *name, Error **errp);

/* ---- capture ---- */

extern bool vmbus_rig_capturing;

typedef enum VMBusCaptureKind {
    VMBUS_CAPTURE_MESSAGE = 1,  /* of the bus */
    VMBUS_CAPTURE_PACKET = 2,   /* in a ring, from its header on */
    VMBUS_CAPTURE_SIGNAL = 3,   /* interrupt to the guest, signal to the host */
    VMBUS_CAPTURE_FAULT = 4,    /* its kind and name */
    VMBUS_CAPTURE_CHANNEL = 5,  /* class, instance, device, state */
} VMBusCaptureKind;

/* @to_host: from the guest.  @channel: 0 if it is none's. */
void vmbus_capture(VMBusCaptureKind kind, bool to_host, uint32_t channel,
                   const void *data, size_t len, size_t full_len);
/* How many bytes of a packet are kept */
uint32_t vmbus_capture_snaplen(void);
bool vmbus_capture_open(const char *filename, uint32_t snaplen, Error **errp);
const char *vmbus_capture_filename(void);
void vmbus_capture_channel(VMBusChannel *chan);

#endif
