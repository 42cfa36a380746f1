/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * VMBus as a test rig: seeing inside, and the commands for people
 */

#include "qemu/osdep.h"
#include "hw/hyperv/vmbus-rig.h"
#include "monitor/hmp.h"
#include "monitor/monitor.h"
#include "qapi/error.h"
#include "qapi/qapi-commands-vmbus.h"
#include "qapi/qapi-visit-vmbus.h"
#include "qapi/qobject-input-visitor.h"
#include "qapi/type-helpers.h"
#include "qemu/keyval.h"
#include "qemu/option.h"
#include "qobject/qdict.h"

static VmbusChannelInfo *channel_info(VMBusChannel *chan)
{
    VMBusDevice *vdev = vmbus_channel_device(chan);
    VMBusDeviceClass *vdc = VMBUS_DEVICE_GET_CLASS(vdev);
    VMBusChannelRig *rig = vmbus_channel_rig(chan);
    VmbusChannelInfo *info = g_new0(VmbusChannelInfo, 1);

    info->channel = vmbus_channel_id(chan);
    info->index = vmbus_channel_idx(chan);
    info->device = g_strdup(DEVICE(vdev)->id);
    info->qom_path = object_get_canonical_path(OBJECT(vdev));
    info->type = g_strdup(object_get_typename(OBJECT(vdev)));
    info->class_id = qemu_uuid_unparse_strdup(&vdc->classid);
    info->instance_id = qemu_uuid_unparse_strdup(&vdev->instanceid);
    info->state = vmbus_channel_state(chan);
    info->opens = rig->opens;
    info->packets_in = rig->packets_in;
    info->bytes_in = rig->bytes_in;
    info->packets_out = rig->packets_out;
    info->bytes_out = rig->bytes_out;
    info->interrupts = rig->interrupts;
    info->signals = rig->signals;
    info->held = rig->num_held;
    vmbus_channel_info(chan, info);
    return info;
}

VmbusInfo *qmp_query_vmbus(Error **errp)
{
    VmbusInfo *info = vmbus_info();
    VmbusChannelInfoList **tail;
    VMBusChannel *chan = NULL;

    if (!info) {
        error_setg(errp, "This machine has no VMBus");
        return NULL;
    }
    info->capture = g_strdup(vmbus_capture_filename());
    tail = &info->channels;
    while ((chan = vmbus_channel_next(chan))) {
        QAPI_LIST_APPEND(tail, channel_info(chan));
    }
    return info;
}

/* ---- for people ---- */

static void print_ring(GString *s, const char *name, const VmbusRingInfo *r)
{
    if (r) {
        g_string_append_printf(s, "    %s: %" PRIu32 " of %" PRIu32
                               " bytes used, read %" PRIu32 ", write %" PRIu32
                               "%s", name, r->used, r->size, r->read_index,
                               r->write_index,
                               r->interrupt_mask ? ", masked" : "");
        if (r->pending_send_size) {
            g_string_append_printf(s, ", waits for %" PRIu32,
                                   r->pending_send_size);
        }
        g_string_append_c(s, '\n');
    }
}

static HumanReadableText *info_vmbus(Error **errp)
{
    g_autoptr(GString) s = g_string_new("");
    g_autoptr(VmbusInfo) info = qmp_query_vmbus(errp);
    VmbusChannelInfoList *c;
    VmbusGpadlInfoList *g;

    if (!info) {
        return NULL;
    }
    g_string_append_printf(s, "version %s, at most %s; %s%s\n",
                           info->version ?: "none", info->max_version,
                           info->offers_delivered ? "offers delivered"
                                                  : "offers not delivered",
                           info->waiting_for_device ? "; waits for a device"
                                                    : "");
    if (info->capture) {
        g_string_append_printf(s, "recorded to %s\n", info->capture);
    }
    for (c = info->channels; c; c = c->next) {
        VmbusChannelInfo *v = c->value;

        g_string_append_printf(s, "channel %" PRIu32 ": %s %s, %s, opened %"
                               PRIu64 " times\n", v->channel, v->type,
                               v->device ?: v->instance_id,
                               VmbusChannelState_str(v->state), v->opens);
        print_ring(s, "to host", v->to_host);
        print_ring(s, "to guest", v->to_guest);
        g_string_append_printf(s, "    in: %" PRIu64 " packets, %" PRIu64
                               " bytes, %" PRIu64 " signals; out: %" PRIu64
                               " packets, %" PRIu64 " bytes, %" PRIu64
                               " interrupts\n", v->packets_in, v->bytes_in,
                               v->signals, v->packets_out, v->bytes_out,
                               v->interrupts);
        if (v->held) {
            g_string_append_printf(s, "    %" PRIu32 " completions held by "
                                   "faults\n", v->held);
        }
    }
    for (g = info->gpadls; g; g = g->next) {
        VmbusGpadlInfo *v = g->value;

        g_string_append_printf(s, "gpadl 0x%" PRIx32 ": channel %" PRIu32
                               ", %" PRIu32 " pages, %s\n", v->gpadl,
                               v->channel, v->pages,
                               v->ready ? "ready" : "not ready");
    }
    return human_readable_text_from_str(s);
}

static HumanReadableText *info_vmbus_faults(Error **errp)
{
    g_autoptr(GString) s = g_string_new("");
    g_autoptr(VmbusFaultInfoList) list = qmp_query_vmbus_faults(errp);
    VmbusFaultInfoList *l;

    for (l = list; l; l = l->next) {
        const VmbusFault *f = l->value->fault;

        g_string_append_printf(s, "%s: %s", f->id,
                               VmbusFaultKind_str(f->kind));
        if (f->has_delay) {
            g_string_append_printf(s, ", delay %" PRIu32, f->delay);
        }
        if (f->has_value) {
            g_string_append_printf(s, ", value 0x%" PRIx64, f->value);
        }
        if (f->device) {
            g_string_append_printf(s, ", device %s", f->device);
        }
        if (f->has_operation) {
            g_string_append_printf(s, ", operation 0x%" PRIx32, f->operation);
        }
        g_string_append_printf(s, ", skip %" PRIu64 ", count %" PRIu64
                               ", probability %g, seed %" PRIu64
                               "; hit %" PRIu64 " of %" PRIu64 "\n",
                               f->skip, f->count, f->probability, f->seed,
                               l->value->hit, l->value->matched);
    }
    return human_readable_text_from_str(s);
}

/* id=f0,kind=completion-drop,... with the members of VmbusFault */
static void hmp_fault_add(Monitor *mon, const QDict *qdict)
{
    Error *err = NULL;
    QDict *args = keyval_parse(qdict_get_str(qdict, "fault"), NULL, NULL,
                               &err);
    VmbusFault *fault = NULL;
    Visitor *v;

    if (args) {
        v = qobject_input_visitor_new_keyval(QOBJECT(args));
        if (visit_type_VmbusFault(v, NULL, &fault, &err)) {
            qmp_vmbus_fault_add(fault, &err);
            qapi_free_VmbusFault(fault);
        }
        visit_free(v);
        qobject_unref(args);
    }
    hmp_handle_error(mon, err);
}

static void hmp_fault_remove(Monitor *mon, const QDict *qdict)
{
    Error *err = NULL;

    qmp_vmbus_fault_remove(qdict_get_str(qdict, "id"), &err);
    hmp_handle_error(mon, err);
}

static void hmp_rescind(Monitor *mon, const QDict *qdict)
{
    Error *err = NULL;

    qmp_vmbus_rescind(qdict_get_str(qdict, "device"), &err);
    hmp_handle_error(mon, err);
}

static void hmp_interrupt(Monitor *mon, const QDict *qdict)
{
    Error *err = NULL;

    qmp_vmbus_interrupt(qdict_get_str(qdict, "device"), &err);
    hmp_handle_error(mon, err);
}

/* Without a file name it ends. */
static void hmp_capture(Monitor *mon, const QDict *qdict)
{
    const char *filename = qdict_get_try_str(qdict, "filename");
    Error *err = NULL;

    if (filename) {
        qmp_vmbus_capture_start(filename, false, 0, &err);
    } else {
        qmp_vmbus_capture_stop(&err);
    }
    hmp_handle_error(mon, err);
}

static void register_commands(void)
{
    monitor_register_hmp_info_hrt("vmbus", info_vmbus);
    monitor_register_hmp_info_hrt("vmbus-faults", info_vmbus_faults);
    monitor_register_hmp("vmbus_fault_add", false, hmp_fault_add);
    monitor_register_hmp("vmbus_fault_remove", false, hmp_fault_remove);
    monitor_register_hmp("vmbus_rescind", false, hmp_rescind);
    monitor_register_hmp("vmbus_interrupt", false, hmp_interrupt);
    monitor_register_hmp("vmbus_capture", false, hmp_capture);
}

type_init(register_commands)
