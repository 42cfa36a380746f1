/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * QMP commands of VMBus for targets without it
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qapi/qapi-commands-vmbus.h"

static void no_vmbus(Error **errp)
{
    error_setg(errp, "This machine has no VMBus");
}

void qmp_vmbus_fault_add(VmbusFault *arg, Error **errp)
{
    no_vmbus(errp);
}

void qmp_vmbus_fault_remove(const char *id, Error **errp)
{
    no_vmbus(errp);
}

VmbusFaultInfoList *qmp_query_vmbus_faults(Error **errp)
{
    return NULL;
}

void qmp_vmbus_rescind(const char *device, Error **errp)
{
    no_vmbus(errp);
}

void qmp_vmbus_interrupt(const char *device, Error **errp)
{
    no_vmbus(errp);
}

void qmp_vmbus_capture_start(const char *filename, bool has_snaplen,
                             uint32_t snaplen, Error **errp)
{
    no_vmbus(errp);
}

void qmp_vmbus_capture_stop(Error **errp)
{
    no_vmbus(errp);
}

VmbusInfo *qmp_query_vmbus(Error **errp)
{
    no_vmbus(errp);
    return NULL;
}
