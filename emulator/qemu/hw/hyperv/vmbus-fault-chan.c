/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * VMBus as a test rig: what faults do to a channel
 *
 * With faults set, completions don't go straight into the ring but through a
 * list: some are due at once, some later, some never.  The device has done its
 * part then and knows nothing of it.  Faults never break the fence: a
 * completion that is sent late, twice, or wrong belongs to a request that the
 * backend is done with.
 */

#include "qemu/osdep.h"
#include "block/aio.h"
#include "hw/hyperv/vmbus-rig.h"
#include "qapi/error.h"
#include "qapi/qapi-events-vmbus.h"
#include "qemu/bswap.h"
#include "qemu/error-report.h"
#include "qemu/main-loop.h"

/* When the ring had no room; the guest's signal comes first as a rule. */
#define AGAIN_NS (10 * SCALE_MS)

/*
 * From so many held completions on the device has to keep its own, as if there
 * were no room in the ring: what a fault holds back for an hour must not be as
 * much as a guest asks for in an hour.
 */
#define HELD_MAX 4096

/* Where azure-blob-vsp's completion has its words (azblob/vsp_wire.h) */
#define STATUS_OFFSET 4
#define RESPONSE_LENGTH_OFFSET 8

static int64_t now_ns(void)
{
    return qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL);
}

/* ---- the list ---- */

static VMBusHeldPacket *new_packet(uint64_t transaction_id, const void *msg,
                                   uint32_t msglen, uint32_t room)
{
    VMBusHeldPacket *p = g_malloc0(sizeof(*p) + MAX(msglen, room));

    p->type = VMBUS_PACKET_COMP;
    p->transaction_id = transaction_id;
    p->len = msglen;
    memcpy(p->data, msg, msglen);
    return p;
}

static void hold(VMBusChannel *chan, VMBusHeldPacket *p)
{
    VMBusChannelRig *rig = vmbus_channel_rig(chan);

    QTAILQ_INSERT_TAIL(&rig->held, p, next);
    rig->num_held++;
}

static void drop(VMBusChannelRig *rig, VMBusHeldPacket *p)
{
    QTAILQ_REMOVE(&rig->held, p, next);
    rig->num_held--;
    g_free(p);
}

static void remember(VMBusChannelRig *rig, uint64_t transaction_id)
{
    memmove(rig->recent + 1, rig->recent,
            sizeof(rig->recent) - sizeof(rig->recent[0]));
    rig->recent[0] = transaction_id;
    rig->num_recent = MIN(rig->num_recent + 1, VMBUS_RIG_RECENT);
}

/* False if there is no room now. */
static bool send_one(VMBusChannel *chan, VMBusHeldPacket *p)
{
    VMBusChannelRig *rig = vmbus_channel_rig(chan);
    int ret = vmbus_channel_reserve(chan, 0, p->len);

    if (ret == -ENOSPC) {
        return false;
    }
    if (ret < 0) {
        /* the guest has taken its ring away; so be it */
        return true;
    }
    rig->quiet = p->quiet;
    ret = vmbus_channel_send_as(chan, p->type, p->data, p->len,
                                p->transaction_id, p->len_qwords);
    rig->quiet = false;
    if (ret >= 0 && p->poison_index) {
        vmbus_channel_poke_write_index(chan, p->index);
    }
    return true;
}

/* Send what is due, in order, as far as there is room. */
static void send_due(VMBusChannel *chan)
{
    VMBusChannelRig *rig = vmbus_channel_rig(chan);
    int64_t now = now_ns();
    int64_t next = INT64_MAX;
    VMBusHeldPacket *p, *tmp;

    QTAILQ_FOREACH_SAFE(p, &rig->held, next, tmp) {
        if (p->due > now) {
            next = MIN(next, p->due);
            continue;
        }
        if (!vmbus_channel_is_open(chan) || send_one(chan, p)) {
            drop(rig, p);
        } else {
            next = now + AGAIN_NS;
            break;
        }
    }
    if (next == INT64_MAX) {
        timer_del(rig->held_timer);
    } else {
        timer_mod(rig->held_timer, next);
    }
}

static void held_timer(void *opaque)
{
    VMBusChannel *chan = opaque;

    send_due(chan);
    if (vmbus_channel_is_open(chan)) {
        /* the device may have waited for the same room */
        vmbus_channel_notify_host(chan);
    }
}

/* ---- completions ---- */

typedef struct Rescind {
    VMBusDevice *vdev;
    bool early;
} Rescind;

static void rescind_bh(void *opaque)
{
    Rescind *r = opaque;
    Error *err = NULL;

    if (DEVICE(r->vdev)->realized &&
        !vmbus_device_rescind(r->vdev, r->early, &err)) {
        uint16_t i;

        /* it goes already; nothing may wait for a rescind that never comes */
        error_free(err);
        for (i = 0; i < r->vdev->num_channels; i++) {
            VMBusChannel *chan = vmbus_device_channel(r->vdev, i);

            vmbus_channel_rig(chan)->hold_all = false;
            vmbus_rig_settle(chan);
        }
    }
    object_unref(OBJECT(r->vdev));
    g_free(r);
}

/* The device is in the middle of sending: rescind when it is through. */
static void rescind_soon(VMBusChannel *chan, bool early)
{
    Rescind *r = g_new0(Rescind, 1);

    r->vdev = vmbus_channel_device(chan);
    r->early = early;
    object_ref(OBJECT(r->vdev));
    aio_bh_schedule_oneshot(qemu_get_aio_context(), rescind_bh, r);
}

static void put_word(VMBusHeldPacket *p, uint32_t offset, uint32_t value)
{
    if (p->len >= offset + sizeof(value)) {
        stl_le_p(p->data + offset, value);
    }
}

/* An additional completion in front of the right one */
static void hold_copy(VMBusChannel *chan, const VMBusHeldPacket *p,
                      uint64_t transaction_id)
{
    hold(chan, new_packet(transaction_id, p->data, p->len, 0));
}

/* Do @fault to the completion @p, which becomes the list's or is freed. */
static void spoil(VMBusChannel *chan, const VmbusFault *fault,
                  VMBusHeldPacket *p)
{
    VMBusChannelRig *rig = vmbus_channel_rig(chan);
    uint64_t i;

    switch (fault->kind) {
    case VMBUS_FAULT_KIND_COMPLETION_DELAY:
        p->due = now_ns() + fault->delay * (int64_t)SCALE_MS;
        break;
    case VMBUS_FAULT_KIND_COMPLETION_DROP:
        g_free(p);
        return;
    case VMBUS_FAULT_KIND_COMPLETION_DUPLICATE:
        for (i = 0; i < fault->value; i++) {
            hold_copy(chan, p, p->transaction_id);
        }
        break;
    case VMBUS_FAULT_KIND_COMPLETION_REORDER:
        p->due = now_ns() + fault->delay * (int64_t)SCALE_MS;
        /* this one is counted as well, when it is through here */
        p->after = fault->value + 1;
        break;
    case VMBUS_FAULT_KIND_COMPLETION_WRONG_ID:
        hold_copy(chan, p, fault->value);
        break;
    case VMBUS_FAULT_KIND_COMPLETION_STALE_ID:
        if (fault->value <= rig->num_recent) {
            hold_copy(chan, p, rig->recent[fault->value - 1]);
        }
        break;
    case VMBUS_FAULT_KIND_COMPLETION_SHORT:
        p->len = MIN(p->len, fault->value);
        break;
    case VMBUS_FAULT_KIND_COMPLETION_LONG:
        if (fault->value > p->len) {
            memset(p->data + p->len, 0xa5, fault->value - p->len);
            p->len = fault->value;
        }
        break;
    case VMBUS_FAULT_KIND_COMPLETION_RESPONSE_LENGTH:
        put_word(p, RESPONSE_LENGTH_OFFSET, fault->value);
        break;
    case VMBUS_FAULT_KIND_COMPLETION_STATUS:
        put_word(p, STATUS_OFFSET, fault->value);
        break;
    case VMBUS_FAULT_KIND_COMPLETION_INBAND:
        p->type = VMBUS_PACKET_DATA_INBAND;
        break;
    case VMBUS_FAULT_KIND_COMPLETION_MALFORMED:
        p->len_qwords = fault->value;
        break;
    case VMBUS_FAULT_KIND_RING_WRITE_INDEX:
        p->poison_index = true;
        p->index = fault->value;
        break;
    case VMBUS_FAULT_KIND_RESCIND_BEFORE:
        rig->hold_all = true;
        rescind_soon(chan, true);
        break;
    case VMBUS_FAULT_KIND_RESCIND_DURING:
        p->quiet = true;
        rescind_soon(chan, false);
        break;
    case VMBUS_FAULT_KIND_RESCIND_AFTER:
        rescind_soon(chan, false);
        break;
    case VMBUS_FAULT_KIND_RESCIND_INSTEAD:
        rescind_soon(chan, false);
        g_free(p);
        return;
    default:
        g_assert_not_reached();
    }
    hold(chan, p);
}

/* A completion has gone by: those that let it pass are a step nearer. */
static void count_down(VMBusChannelRig *rig)
{
    VMBusHeldPacket *p, *tmp;

    QTAILQ_FOREACH_SAFE(p, &rig->held, next, tmp) {
        if (p->after && !--p->after) {
            p->due = 0;
            /* behind the one that it waited for */
            QTAILQ_REMOVE(&rig->held, p, next);
            QTAILQ_INSERT_TAIL(&rig->held, p, next);
        }
    }
}

ssize_t vmbus_rig_send_completion(VMBusChanReq *req, void *msg, uint32_t msglen)
{
    VMBusChannel *chan = req->chan;
    VMBusChannelRig *rig = vmbus_channel_rig(chan);
    const VmbusFault *fault = NULL;
    VMBusHeldPacket *p;
    uint32_t room = 0;

    /* what comes of it may be larger, or nothing at all */
    vmbus_channel_unreserve(chan, 0, msglen);
    if (rig->num_held >= HELD_MAX) {
        return -ENOSPC;
    }
    if (!rig->hold_all) {
        fault = vmbus_fault_strike(VMBUS_FAULT_ON_COMPLETION, chan, req);
    }
    if (fault && fault->kind == VMBUS_FAULT_KIND_COMPLETION_LONG) {
        room = fault->value;
    }
    p = new_packet(req->transaction_id, msg, msglen, room);
    if (fault) {
        spoil(chan, fault, p);
    } else {
        hold(chan, p);
    }
    if (rig->hold_all) {
        QTAILQ_FOREACH(p, &rig->held, next) {
            p->due = INT64_MAX;
            p->after = 0;
        }
    }
    count_down(rig);
    send_due(chan);
    remember(rig, req->transaction_id);
    return msglen;
}

/* ---- packets, interrupts, the bus's messages ---- */

static void stall_over(void *opaque)
{
    VMBusChannel *chan = opaque;
    VMBusChannelRig *rig = vmbus_channel_rig(chan);

    rig->stalled = false;
    rig->pass_next = true;
    vmbus_channel_notify_host(chan);
}

VMBusRigPacket vmbus_rig_packet(VMBusChanReq *req)
{
    VMBusChannel *chan = req->chan;
    VMBusChannelRig *rig = vmbus_channel_rig(chan);
    const VmbusFault *fault;

    if (rig->pass_next) {
        rig->pass_next = false;
        return VMBUS_RIG_PASS;
    }
    fault = vmbus_fault_strike(VMBUS_FAULT_ON_PACKET, chan, req);
    if (!fault) {
        return VMBUS_RIG_PASS;
    }
    switch (fault->kind) {
    case VMBUS_FAULT_KIND_PACKET_DROP:
        return VMBUS_RIG_DROP;
    case VMBUS_FAULT_KIND_PACKET_DELAY:
        rig->stalled = true;
        timer_mod(rig->stall_timer,
                  now_ns() + fault->delay * (int64_t)SCALE_MS);
        return VMBUS_RIG_LATER;
    case VMBUS_FAULT_KIND_INTERRUPT_SPURIOUS:
        vmbus_channel_interrupt(chan);
        return VMBUS_RIG_PASS;
    case VMBUS_FAULT_KIND_RING_READ_INDEX:
        rig->poison_read = true;
        rig->read_index = fault->value;
        return VMBUS_RIG_PASS;
    default:
        g_assert_not_reached();
    }
}

bool vmbus_rig_interrupt_lost(VMBusChannel *chan)
{
    return vmbus_fault_strike(VMBUS_FAULT_ON_INTERRUPT, chan, NULL);
}

uint32_t vmbus_rig_gpadl_status(VMBusChannel *chan)
{
    const VmbusFault *fault =
        vmbus_fault_strike(VMBUS_FAULT_ON_GPADL, chan, NULL);

    return fault ? fault->value : 0;
}

uint32_t vmbus_rig_open_status(VMBusChannel *chan)
{
    const VmbusFault *fault =
        vmbus_fault_strike(VMBUS_FAULT_ON_OPEN, chan, NULL);

    return fault ? fault->value : 0;
}

/* ---- a channel's life ---- */

void vmbus_rig_init(VMBusChannel *chan)
{
    VMBusChannelRig *rig = vmbus_channel_rig(chan);

    QTAILQ_INIT(&rig->held);
    rig->held_timer = timer_new_ns(QEMU_CLOCK_VIRTUAL, held_timer, chan);
    rig->stall_timer = timer_new_ns(QEMU_CLOCK_VIRTUAL, stall_over, chan);
}

void vmbus_rig_cleanup(VMBusChannel *chan)
{
    VMBusChannelRig *rig = vmbus_channel_rig(chan);

    vmbus_rig_closed(chan);
    g_clear_pointer(&rig->held_timer, timer_free);
    g_clear_pointer(&rig->stall_timer, timer_free);
}

void vmbus_rig_run(VMBusChannel *chan)
{
    if (!QTAILQ_EMPTY(&vmbus_channel_rig(chan)->held)) {
        send_due(chan);
    }
}

void vmbus_rig_settle(VMBusChannel *chan)
{
    VMBusChannelRig *rig = vmbus_channel_rig(chan);
    VMBusHeldPacket *p;

    if (rig->hold_all) {
        return;
    }
    QTAILQ_FOREACH(p, &rig->held, next) {
        p->due = 0;
    }
    vmbus_rig_run(chan);
}

void vmbus_rig_rescinded(VMBusChannel *chan)
{
    vmbus_channel_rig(chan)->hold_all = false;
    vmbus_rig_settle(chan);
}

void vmbus_rig_closed(VMBusChannel *chan)
{
    VMBusChannelRig *rig = vmbus_channel_rig(chan);
    VMBusHeldPacket *p, *tmp;

    QTAILQ_FOREACH_SAFE(p, &rig->held, next, tmp) {
        drop(rig, p);
    }
    timer_del(rig->held_timer);
    timer_del(rig->stall_timer);
    rig->num_recent = 0;
    rig->stalled = false;
    rig->pass_next = false;
    rig->hold_all = false;
    rig->poison_read = false;
}

void vmbus_rig_state_changed(VMBusChannel *chan)
{
    VMBusDevice *vdev = vmbus_channel_device(chan);
    g_autofree char *path = object_get_canonical_path(OBJECT(vdev));

    if (vmbus_rig_capturing) {
        vmbus_capture_channel(chan);
    }
    if (path) {
        qapi_event_send_vmbus_channel(vmbus_channel_id(chan), DEVICE(vdev)->id,
                                      path, vmbus_channel_state(chan));
    }
}
