/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * VMBus as a test rig: the faults, and when they strike
 *
 * A fault decides by itself, from what it was asked so far and its own random
 * numbers.  So the same faults strike the same packets in every run, whatever
 * time does.  What a fault then does to a channel is in vmbus-fault-chan.c.
 */

#include "qemu/osdep.h"
#include "hw/hyperv/vmbus-rig.h"
#include "qapi/clone-visitor.h"
#include "qapi/error.h"
#include "qapi/qapi-commands-vmbus.h"
#include "qapi/qapi-events-vmbus.h"
#include "qapi/qapi-visit-vmbus.h"
#include "trace.h"

#define DELAY_MAX_MS (60 * 60 * 1000)
#define LONGEST 16384

typedef struct Fault {
    QTAILQ_ENTRY(Fault) next;
    VmbusFault *conf;
    uint64_t matched;
    uint64_t hit;
    uint64_t random;    /* state of the generator */
} Fault;

static QTAILQ_HEAD(, Fault) faults = QTAILQ_HEAD_INITIALIZER(faults);

bool vmbus_rig_faults;

/* What a parameter has to be for a kind of fault */
typedef struct Param {
    enum { NOT_USED, NEEDED, OPTIONAL } use;
    uint64_t min, max, preset;
} Param;

#define NO_PARAM            { NOT_USED }
#define A_DELAY             { NEEDED, 1, DELAY_MAX_MS }
#define A_VALUE(l, h, p)    { OPTIONAL, l, h, p }

static const struct {
    VMBusFaultPoint point;
    Param delay;
    Param value;
} kinds[VMBUS_FAULT_KIND__MAX] = {
    [VMBUS_FAULT_KIND_COMPLETION_DELAY] = {
        VMBUS_FAULT_ON_COMPLETION, A_DELAY, NO_PARAM },
    [VMBUS_FAULT_KIND_COMPLETION_DROP] = {
        VMBUS_FAULT_ON_COMPLETION, NO_PARAM, NO_PARAM },
    [VMBUS_FAULT_KIND_COMPLETION_DUPLICATE] = {
        VMBUS_FAULT_ON_COMPLETION, NO_PARAM, A_VALUE(1, 100, 1) },
    [VMBUS_FAULT_KIND_COMPLETION_REORDER] = {
        VMBUS_FAULT_ON_COMPLETION, { OPTIONAL, 1, DELAY_MAX_MS, 1000 },
        A_VALUE(1, 1024, 1) },
    [VMBUS_FAULT_KIND_COMPLETION_WRONG_ID] = {
        VMBUS_FAULT_ON_COMPLETION, NO_PARAM,
        A_VALUE(0, UINT64_MAX, UINT64_MAX) },
    [VMBUS_FAULT_KIND_COMPLETION_STALE_ID] = {
        VMBUS_FAULT_ON_COMPLETION, NO_PARAM, A_VALUE(1, VMBUS_RIG_RECENT, 1) },
    [VMBUS_FAULT_KIND_COMPLETION_SHORT] = {
        VMBUS_FAULT_ON_COMPLETION, NO_PARAM, A_VALUE(0, LONGEST, 0) },
    [VMBUS_FAULT_KIND_COMPLETION_LONG] = {
        VMBUS_FAULT_ON_COMPLETION, NO_PARAM, A_VALUE(1, LONGEST, 4096) },
    [VMBUS_FAULT_KIND_COMPLETION_RESPONSE_LENGTH] = {
        VMBUS_FAULT_ON_COMPLETION, NO_PARAM,
        A_VALUE(0, UINT32_MAX, UINT32_MAX) },
    [VMBUS_FAULT_KIND_COMPLETION_STATUS] = {
        VMBUS_FAULT_ON_COMPLETION, NO_PARAM,
        A_VALUE(0, UINT32_MAX, 0x8007001f) },
    [VMBUS_FAULT_KIND_COMPLETION_INBAND] = {
        VMBUS_FAULT_ON_COMPLETION, NO_PARAM, NO_PARAM },
    [VMBUS_FAULT_KIND_COMPLETION_MALFORMED] = {
        VMBUS_FAULT_ON_COMPLETION, NO_PARAM, A_VALUE(1, 0xffff, 0xffff) },
    [VMBUS_FAULT_KIND_PACKET_DELAY] = {
        VMBUS_FAULT_ON_PACKET, A_DELAY, NO_PARAM },
    [VMBUS_FAULT_KIND_PACKET_DROP] = {
        VMBUS_FAULT_ON_PACKET, NO_PARAM, NO_PARAM },
    [VMBUS_FAULT_KIND_INTERRUPT_DROP] = {
        VMBUS_FAULT_ON_INTERRUPT, NO_PARAM, NO_PARAM },
    [VMBUS_FAULT_KIND_INTERRUPT_SPURIOUS] = {
        VMBUS_FAULT_ON_PACKET, NO_PARAM, NO_PARAM },
    [VMBUS_FAULT_KIND_RING_WRITE_INDEX] = {
        VMBUS_FAULT_ON_COMPLETION, NO_PARAM,
        A_VALUE(0, UINT32_MAX, UINT32_MAX) },
    [VMBUS_FAULT_KIND_RING_READ_INDEX] = {
        VMBUS_FAULT_ON_PACKET, NO_PARAM, A_VALUE(0, UINT32_MAX, UINT32_MAX) },
    [VMBUS_FAULT_KIND_GPADL_REFUSE] = {
        VMBUS_FAULT_ON_GPADL, NO_PARAM, A_VALUE(1, UINT32_MAX, 1) },
    [VMBUS_FAULT_KIND_OPEN_REFUSE] = {
        VMBUS_FAULT_ON_OPEN, NO_PARAM, A_VALUE(1, UINT32_MAX, 1) },
    [VMBUS_FAULT_KIND_RESCIND_BEFORE] = {
        VMBUS_FAULT_ON_COMPLETION, NO_PARAM, NO_PARAM },
    [VMBUS_FAULT_KIND_RESCIND_DURING] = {
        VMBUS_FAULT_ON_COMPLETION, NO_PARAM, NO_PARAM },
    [VMBUS_FAULT_KIND_RESCIND_AFTER] = {
        VMBUS_FAULT_ON_COMPLETION, NO_PARAM, NO_PARAM },
    [VMBUS_FAULT_KIND_RESCIND_INSTEAD] = {
        VMBUS_FAULT_ON_COMPLETION, NO_PARAM, NO_PARAM },
};

/* ---- when ---- */

/* splitmix64: any seed will do, and neighbouring ones are unlike each other */
static uint64_t next_random(Fault *f)
{
    uint64_t z = f->random += 0x9e3779b97f4a7c15ULL;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
}

static bool is_device(VMBusDevice *vdev, const char *name)
{
    g_autofree char *path = NULL;

    if (!g_strcmp0(DEVICE(vdev)->id, name)) {
        return true;
    }
    path = object_get_canonical_path(OBJECT(vdev));
    return !g_strcmp0(path, name);
}

static bool concerns(const VmbusFault *conf, VMBusFaultPoint point,
                     VMBusChannel *chan, const VMBusChanReq *req)
{
    if (kinds[conf->kind].point != point) {
        return false;
    }
    if (conf->device &&
        (!chan || !is_device(vmbus_channel_device(chan), conf->device))) {
        return false;
    }
    if (conf->has_operation) {
        VMBusDeviceClass *vdc;
        uint32_t operation;

        if (!chan || !req) {
            return false;
        }
        vdc = VMBUS_DEVICE_GET_CLASS(vmbus_channel_device(chan));
        if (!vdc->packet_operation ||
            !vdc->packet_operation(req, &operation) ||
            operation != conf->operation) {
            return false;
        }
    }
    return true;
}

/* Each call takes one random number: the nth answer is always the same. */
static bool is_hit(Fault *f)
{
    /* 53 bits, which is what a double has */
    double random = (next_random(f) >> 11) / (double)(1ULL << 53);

    if (f->matched++ < f->conf->skip ||
        (f->conf->count && f->hit >= f->conf->count)) {
        return false;
    }
    return random < f->conf->probability;
}

const VmbusFault *vmbus_fault_strike(VMBusFaultPoint point,
                                     VMBusChannel *chan,
                                     const VMBusChanReq *req)
{
    uint32_t id = chan ? vmbus_channel_id(chan) : 0;
    Fault *f;

    QTAILQ_FOREACH(f, &faults, next) {
        const VmbusFault *conf = f->conf;

        if (!concerns(conf, point, chan, req) || !is_hit(f)) {
            continue;
        }
        f->hit++;
        trace_vmbus_fault(conf->id, VmbusFaultKind_str(conf->kind), id,
                          f->matched);
        if (vmbus_rig_capturing) {
            g_autofree char *note =
                g_strdup_printf("%s %s", VmbusFaultKind_str(conf->kind),
                                conf->id);

            vmbus_capture(VMBUS_CAPTURE_FAULT, point == VMBUS_FAULT_ON_PACKET,
                          id, note, strlen(note), strlen(note));
        }
        qapi_event_send_vmbus_fault(conf->id, conf->kind, id, f->hit);
        return conf;
    }
    return NULL;
}

/* ---- the commands ---- */

VMBusDevice *vmbus_find_device(const char *name, Error **errp)
{
    VMBusChannel *chan = NULL;

    while ((chan = vmbus_channel_next(chan))) {
        if (is_device(vmbus_channel_device(chan), name)) {
            return vmbus_channel_device(chan);
        }
    }
    error_setg(errp, "There is no device '%s' on VMBus", name);
    return NULL;
}

static Fault *find_fault(const char *id)
{
    Fault *f;

    QTAILQ_FOREACH(f, &faults, next) {
        if (!strcmp(f->conf->id, id)) {
            return f;
        }
    }
    return NULL;
}

/* Check a parameter against what the kind wants, and fill in the default. */
static bool check_param(const VmbusFault *conf, const char *name,
                        const Param *p, bool *has, uint64_t *value,
                        Error **errp)
{
    if (p->use == NOT_USED && *has) {
        error_setg(errp, "Fault '%s' has no parameter '%s'",
                   VmbusFaultKind_str(conf->kind), name);
        return false;
    }
    if (p->use == NEEDED && !*has) {
        error_setg(errp, "Fault '%s' needs parameter '%s'",
                   VmbusFaultKind_str(conf->kind), name);
        return false;
    }
    if (p->use == NOT_USED) {
        return true;
    }
    if (!*has) {
        *has = true;
        *value = p->preset;
    }
    if (*value < p->min || *value > p->max) {
        error_setg(errp, "Parameter '%s' of fault '%s' must be %" PRIu64
                   " to %" PRIu64, name, VmbusFaultKind_str(conf->kind),
                   p->min, p->max);
        return false;
    }
    return true;
}

/* @conf becomes complete, or @errp is set. */
static bool check_fault(VmbusFault *conf, Error **errp)
{
    VMBusFaultPoint point = kinds[conf->kind].point;
    uint64_t delay = conf->delay;

    if (!*conf->id) {
        error_setg(errp, "Parameter 'id' must not be empty");
        return false;
    }
    if (find_fault(conf->id)) {
        error_setg(errp, "There is a fault '%s' already", conf->id);
        return false;
    }
    if (!vmbus_channel_next(NULL)) {
        error_setg(errp, "There is no device on VMBus");
        return false;
    }
    if (conf->device && !vmbus_find_device(conf->device, errp)) {
        return false;
    }
    if (conf->has_operation && point != VMBUS_FAULT_ON_COMPLETION &&
        point != VMBUS_FAULT_ON_PACKET) {
        error_setg(errp, "Fault '%s' has no parameter 'operation'",
                   VmbusFaultKind_str(conf->kind));
        return false;
    }
    if (!conf->has_probability) {
        conf->has_probability = true;
        conf->probability = 1;
    }
    /* written so that a NaN fails as well */
    if (!(conf->probability >= 0 && conf->probability <= 1)) {
        error_setg(errp, "Parameter 'probability' must be 0 to 1");
        return false;
    }
    if (!conf->has_count) {
        conf->has_count = true;
        conf->count = 1;
    }
    /* QAPI takes a negative number for a very large one */
    if (conf->count > INT64_MAX || conf->skip > INT64_MAX) {
        error_setg(errp, "Parameter '%s' must be 0 to %" PRId64,
                   conf->count > INT64_MAX ? "count" : "skip", INT64_MAX);
        return false;
    }
    conf->has_skip = true;
    conf->has_seed = true;
    if (!check_param(conf, "delay", &kinds[conf->kind].delay,
                     &conf->has_delay, &delay, errp) ||
        !check_param(conf, "value", &kinds[conf->kind].value,
                     &conf->has_value, &conf->value, errp)) {
        return false;
    }
    conf->delay = delay;
    return true;
}

void qmp_vmbus_fault_add(VmbusFault *arg, Error **errp)
{
    VmbusFault *conf = QAPI_CLONE(VmbusFault, arg);
    Fault *f;

    if (!check_fault(conf, errp)) {
        qapi_free_VmbusFault(conf);
        return;
    }
    f = g_new0(Fault, 1);
    f->conf = conf;
    f->random = conf->seed;
    QTAILQ_INSERT_TAIL(&faults, f, next);
    vmbus_rig_faults = true;
}

void qmp_vmbus_fault_remove(const char *id, Error **errp)
{
    Fault *f = find_fault(id);

    if (!f) {
        error_setg(errp, "There is no fault '%s'", id);
        return;
    }
    QTAILQ_REMOVE(&faults, f, next);
    qapi_free_VmbusFault(f->conf);
    g_free(f);
    vmbus_rig_faults = !QTAILQ_EMPTY(&faults);
}

VmbusFaultInfoList *qmp_query_vmbus_faults(Error **errp)
{
    VmbusFaultInfoList *head = NULL, **tail = &head;
    Fault *f;

    QTAILQ_FOREACH(f, &faults, next) {
        VmbusFaultInfo *info = g_new0(VmbusFaultInfo, 1);

        info->fault = QAPI_CLONE(VmbusFault, f->conf);
        info->matched = f->matched;
        info->hit = f->hit;
        QAPI_LIST_APPEND(tail, info);
    }
    return head;
}

void qmp_vmbus_rescind(const char *device, Error **errp)
{
    VMBusDevice *vdev = vmbus_find_device(device, errp);

    if (vdev) {
        vmbus_device_rescind(vdev, false, errp);
    }
}

void qmp_vmbus_interrupt(const char *device, Error **errp)
{
    VMBusDevice *vdev = vmbus_find_device(device, errp);
    bool any = false;
    uint16_t i;

    if (!vdev) {
        return;
    }
    for (i = 0; i < vdev->num_channels; i++) {
        VMBusChannel *chan = vmbus_device_channel(vdev, i);

        if (vmbus_channel_is_open(chan)) {
            any = true;
            vmbus_channel_interrupt(chan);
        }
    }
    if (!any) {
        error_setg(errp, "No channel of device '%s' is open", device);
    }
}
