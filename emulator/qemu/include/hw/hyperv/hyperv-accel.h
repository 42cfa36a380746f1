/*
 * What Hyper-V emulation needs from the accelerator
 *
 * The SynIC model in hw/hyperv/hyperv.c keeps pages, messages and event
 * flags; how an interrupt gets into a vCPU and who decodes a signal-event
 * hypercall differs between KVM, where the kernel does both, and TCG, where
 * QEMU does.  One constant table of functions per accelerator says how.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef HW_HYPERV_HYPERV_ACCEL_H
#define HW_HYPERV_HYPERV_ACCEL_H

#include "qemu/event_notifier.h"
#include "hw/core/cpu.h"

/**
 * HypervAccelOps: how an accelerator delivers SynIC interrupts
 *
 * An accelerator has either @sint_raise (QEMU injects the interrupt itself and
 * reports the guest's end of message with hyperv_synic_eom()), or the pair
 * @sint_connect and @sint_disconnect (the kernel watches event notifiers).
 */
typedef struct HypervAccelOps {
    /*
     * Raise SINT @sint (below HV_SINT_COUNT) on @cs.  A masked SINT is not an
     * error: the guest finds the message or the flag when it looks.
     * Any thread, with or without the BQL.
     */
    void (*sint_raise)(CPUState *cs, uint32_t sint);

    /*
     * Make a write to @set raise @sint on virtual processor @vp_index, and,
     * unless @ack is NULL, make the guest's end of message set @ack.  Both
     * notifiers stay the caller's.  Returns a handle above zero for
     * @sint_disconnect, or a negative errno.  Called with the BQL held.
     */
    int (*sint_connect)(uint32_t vp_index, uint32_t sint,
                        EventNotifier *set, EventNotifier *ack);
    void (*sint_disconnect)(int handle, EventNotifier *set);

    /*
     * Have signal-event hypercalls on @conn_id set @notifier without leaving
     * the kernel; NULL takes the connection away.  -ENOSYS means that this
     * accelerator can't and QEMU has to look at every hypercall.  Optional.
     */
    int (*signal_event_bind)(uint32_t conn_id, EventNotifier *notifier);
} HypervAccelOps;

/* The in-kernel SynIC of KVM */
extern const HypervAccelOps hyperv_kvm_ops;

#endif
