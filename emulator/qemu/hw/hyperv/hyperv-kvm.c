/*
 * SynIC interrupts through KVM's in-kernel SynIC
 *
 * KVM takes a GSI of type HV_SINT for each pair of vCPU and SINT; an irqfd on
 * that GSI raises the interrupt, its resample side reports end of message.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "system/kvm.h"
#include "hw/hyperv/hyperv-accel.h"

static int hv_kvm_sint_connect(uint32_t vp_index, uint32_t sint,
                               EventNotifier *set, EventNotifier *ack)
{
    struct kvm_irq_routing_entry route = {
        .type = KVM_IRQ_ROUTING_HV_SINT,
        .u.hv_sint = { .vcpu = vp_index, .sint = sint },
    };
    int gsi, ret;

    if (!kvm_gsi_routing_enabled()) {
        return -ENOSYS;
    }

    gsi = kvm_irqchip_get_virq(kvm_state);
    if (gsi < 0) {
        return gsi;
    }

    route.gsi = gsi;
    kvm_add_routing_entry(kvm_state, &route);
    kvm_irqchip_commit_routes(kvm_state);

    ret = kvm_irqchip_add_irqfd_notifier_gsi(kvm_state, set, ack, gsi);
    if (ret < 0) {
        kvm_irqchip_release_virq(kvm_state, gsi);
        return ret;
    }
    return gsi;
}

static void hv_kvm_sint_disconnect(int gsi, EventNotifier *set)
{
    kvm_irqchip_remove_irqfd_notifier_gsi(kvm_state, set, gsi);
    kvm_irqchip_release_virq(kvm_state, gsi);
}

static int hv_kvm_signal_event_bind(uint32_t conn_id, EventNotifier *notifier)
{
    struct kvm_hyperv_eventfd bind = { .conn_id = conn_id };

    if (!kvm_check_extension(kvm_state, KVM_CAP_HYPERV_EVENTFD)) {
        return -ENOSYS;
    }

    if (notifier) {
        bind.fd = event_notifier_get_fd(notifier);
    } else {
        bind.fd = -1;
        bind.flags = KVM_HYPERV_EVENTFD_DEASSIGN;
    }
    return kvm_vm_ioctl(kvm_state, KVM_HYPERV_EVENTFD, &bind);
}

const HypervAccelOps hyperv_kvm_ops = {
    .sint_connect = hv_kvm_sint_connect,
    .sint_disconnect = hv_kvm_sint_disconnect,
    .signal_event_bind = hv_kvm_signal_event_bind,
};
