/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * VMBus device azure-blob-vsp: the host of Azure Blob requests
 *
 * Theory of operation.  A guest driver hands over requests as GPA-direct
 * packets (azblob/vsp_wire.h): three buffers in guest memory and a few
 * lengths.  This device checks each packet, and forwards it over a socket to a
 * backend process (azblob/vsp_link.h), which does the work and reads and
 * writes the buffers in place, as guest RAM is shared with it.  When the
 * backend is done, the device completes the packet into the guest's ring.
 *
 * Neither side is trusted.  Whatever a guest puts into its rings, its packets
 * are refused with an error or the channel stops; whatever a backend sends, it
 * is cut off; QEMU goes on.  And no page is given back to the guest, in any
 * way, while the backend could still write to it (azure-blob-vsp-req.c).
 *
 * This file is the guest's side; azure-blob-vsp.h lists the others.  The device
 * is the same under every accelerator.  It has been used with TCG only.
 */

#include "qemu/osdep.h"
#include "azblob/vsp_wire.h"
#include "hw/qdev-properties.h"
#include "hw/qdev-properties-system.h"
#include "migration/blocker.h"
#include "qapi/error.h"
#include "qapi/visitor.h"
#include "qemu/error-report.h"
#include "qemu/module.h"
#include "azure-blob-vsp.h"
#include "trace.h"

/* Ours; devices after the first count up in the last byte. */
#define INSTANCE_UUID "5002faa9-61ef-4e8a-ae42-84577729c200"

static VMBusChannel *the_channel(AzureBlobVSP *s)
{
    return vmbus_device_channel(VMBUS_DEVICE(s), 0);
}

/* Say what a guest did wrong, but never as often as it likes. */
static void G_GNUC_PRINTF(2, 3) guest_error(AzureBlobVSP *s,
                                            const char *fmt, ...)
{
    g_autofree char *what = NULL;
    va_list ap;

    va_start(ap, fmt);
    what = g_strdup_vprintf(fmt, ap);
    va_end(ap);

    trace_azure_blob_vsp_bad_packet(what);
    s->stats.bad_packets++;
    if (is_power_of_2(s->stats.bad_packets)) {
        warn_report("%s: bad packet from the guest, number %" PRIu64 ": %s",
                    TYPE_AZURE_BLOB_VSP, s->stats.bad_packets, what);
    }
}

/* ---- completions ---- */

/* Put what is answered into the ring, as far as there is room. */
void vsp_flush_completions(AzureBlobVSP *s)
{
    VMBusChannel *chan = the_channel(s);
    VspRequest *req;

    if (!vmbus_channel_is_open(chan) || s->send_stopped) {
        return;
    }
    while ((req = QTAILQ_FIRST(&s->requests.done))) {
        struct vsp_wire_completion comp = {
            .length = cpu_to_le32(sizeof(comp)),
            .error = cpu_to_le32(req->status),
            .response_length = cpu_to_le32(req->answer_response),
        };
        ssize_t ret = vmbus_channel_reserve(chan, 0, sizeof(comp));

        if (ret == -ENOSPC) {
            /* the guest has been asked to tell when it has read some */
            s->stats.ring_full++;
            return;
        }
        if (!ret) {
            ret = vmbus_channel_send_completion(&req->chan_req, &comp,
                                                sizeof(comp));
        }
        if (ret < 0) {
            guest_error(s, "the ring for completions can't be written: %s",
                        strerror(-ret));
            s->send_stopped = true;
            return;
        }
        s->stats.completed++;
        vsp_request_dequeued(s, req);
    }
}

/* ---- packets ---- */

/* A buffer of the packet's one range; everything in bytes. */
typedef struct Buffer {
    uint64_t offset; /* from the start of the range's first page */
    uint64_t length;
} Buffer;

/*
 * The buffers follow each other, each starting in the first page after the one
 * before.  Returns the first page after @buf, or 0 if it doesn't start in
 * @first_page.
 */
static uint64_t buffer_end_page(const Buffer *buf, uint64_t first_page)
{
    if (buf->offset / VSP_WIRE_PAGE_SIZE != first_page) {
        return 0;
    }
    return DIV_ROUND_UP(buf->offset + buf->length, VSP_WIRE_PAGE_SIZE);
}

/*
 * Check all there is in the packet and take it apart.  Returns the status to
 * refuse it with, or VSP_WIRE_STATUS_OK: the request is then ready to be
 * submitted.
 */
static uint32_t parse_packet(AzureBlobVSP *s, VspRequest *req)
{
    const VMBusChanReq *cr = &req->chan_req;
    AddressSpace *as = VMBUS_DEVICE(s)->dma_as;
    struct vsp_wire_request wire;
    Buffer data, head, response;
    uint64_t pages, page;

    if (cr->pkt_type != VMBUS_PACKET_DATA_USING_GPA_DIRECT) {
        guest_error(s, "type %u is not GPA-direct", cr->pkt_type);
        return VSP_WIRE_STATUS_BAD_PACKET;
    }
    if (cr->msglen < sizeof(wire.version)) {
        guest_error(s, "%u bytes", cr->msglen);
        return VSP_WIRE_STATUS_BAD_PACKET;
    }
    if (ldl_le_p(cr->msg) != VSP_WIRE_VERSION_1) {
        guest_error(s, "version %u", ldl_le_p(cr->msg));
        return VSP_WIRE_STATUS_NOT_SUPPORTED;
    }
    if (cr->msglen != sizeof(wire)) {
        guest_error(s, "%u bytes instead of %zu", cr->msglen, sizeof(wire));
        return VSP_WIRE_STATUS_BAD_PACKET;
    }
    /* a copy of the packet, which the guest can't change any more */
    memcpy(&wire, cr->msg, sizeof(wire));

    req->operation = le32_to_cpu(wire.operation_type);
    if (req->operation != VSP_WIRE_OP_USER_REQUEST) {
        guest_error(s, "operation 0x%x", req->operation);
        return VSP_WIRE_STATUS_NOT_SUPPORTED;
    }

    req->timeout_ms = le32_to_cpu(wire.timeout_ms);
    memcpy(req->guid, wire.transaction_guid, sizeof(req->guid));
    data.offset = le32_to_cpu(wire.data_offset);
    data.length = req->data_length = le32_to_cpu(wire.data_length);
    req->data_valid = le32_to_cpu(wire.data_valid);
    if (!req->data_length) {
        /* the first published form of the ioctl says 1 even then */
        req->data_valid = 0;
    }
    head.offset = le32_to_cpu(wire.request_offset);
    head.length = req->head_length = le32_to_cpu(wire.request_length);
    response.offset = le32_to_cpu(wire.response_offset);
    response.length = req->response_length = le32_to_cpu(wire.response_length);

    if (!vmbus_chan_req_one_range(cr) || cr->sgl.size % VSP_WIRE_PAGE_SIZE ||
        cr->sgl.size / VSP_WIRE_PAGE_SIZE > VSP_WIRE_MAX_PAGES) {
        guest_error(s, "not one range of whole pages, at most %u: %zu bytes",
                    VSP_WIRE_MAX_PAGES, cr->sgl.size);
        return VSP_WIRE_STATUS_BAD_PACKET;
    }
    pages = cr->sgl.size / VSP_WIRE_PAGE_SIZE;

    if (!head.length || head.length > AZL_MAX_REQUEST_HEAD ||
        !response.length || data.length > AZL_MAX_BODY ||
        req->data_valid > req->data_length) {
        guest_error(s, "lengths: request %u, response %u, data %u, valid %u",
                    req->head_length, req->response_length, req->data_length,
                    req->data_valid);
        return VSP_WIRE_STATUS_BAD_PACKET;
    }

    page = data.length ? buffer_end_page(&data, 0) : 0;
    if (data.length && !page) {
        goto bad_offsets;
    }
    page = buffer_end_page(&head, page);
    if (!page) {
        goto bad_offsets;
    }
    page = buffer_end_page(&response, page);
    if (page != pages) {
        goto bad_offsets;
    }

    /*
     * The head is copied once, so that what the backend parses stays what it
     * is.  Of a data buffer that holds a body, only the body is handed out.
     */
    req->head = g_malloc(head.length);
    if (!vsp_sgl_read(as, &cr->sgl, head.offset, req->head, head.length) ||
        !vsp_maps_add(&req->data, as, &cr->sgl, data.offset,
                      req->data_valid ? req->data_valid : data.length,
                      !req->data_valid) ||
        !vsp_maps_add(&req->response, as, &cr->sgl, response.offset,
                      response.length, true)) {
        guest_error(s, "a page is not ordinary memory");
        return VSP_WIRE_STATUS_BAD_PACKET;
    }
    return VSP_WIRE_STATUS_OK;

bad_offsets:
    guest_error(s, "%" PRIu64 " pages don't fit request %u at %u, response %u "
                "at %u, data %u at %u", pages, req->head_length,
                le32_to_cpu(wire.request_offset), req->response_length,
                le32_to_cpu(wire.response_offset), req->data_length,
                le32_to_cpu(wire.data_offset));
    return VSP_WIRE_STATUS_BAD_PACKET;
}

static bool vsp_packet_operation(const VMBusChanReq *req, uint32_t *operation)
{
    const size_t offset = offsetof(struct vsp_wire_request, operation_type);

    if (req->msglen < offset + sizeof(*operation)) {
        return false;
    }
    *operation = ldl_le_p(req->msg + offset);
    return true;
}

static void handle_packet(AzureBlobVSP *s, VspRequest *req)
{
    uint32_t status;

    req->vsp = s;
    req->accepted = qemu_clock_get_ms(QEMU_CLOCK_VIRTUAL);
    if (!req->chan_req.need_comp) {
        /* it could not be told, whatever comes of it */
        guest_error(s, "it asks for no completion; the channel is stopped");
        s->recv_stopped = true;
        vsp_request_free(req);
        return;
    }

    status = parse_packet(s, req);
    if (req->chan_req.sgl.dev) {
        qemu_sglist_destroy(&req->chan_req.sgl);
    }
    trace_azure_blob_vsp_packet(req->chan_req.transaction_id, req->operation,
                                req->head_length, req->response_length,
                                req->data_length, req->data_valid, status);
    if (status == VSP_WIRE_STATUS_OK) {
        vsp_request_submit(s, req);
    } else {
        vsp_request_refuse(s, req, status);
    }
}

/*
 * Take packets until the ring is empty or the table is full.  Returns whether
 * there were any.
 */
static bool receive(AzureBlobVSP *s, VMBusChannel *chan)
{
    if (vmbus_channel_recv_start(chan) < 0) {
        guest_error(s, "the ring's indices are wrong; the channel is stopped");
        s->recv_stopped = true;
        return false;
    }
    while (!s->recv_stopped && s->requests.num < s->max_inflight) {
        VspRequest *req = vmbus_channel_recv_peek(chan, sizeof(*req));

        if (!req) {
            if (vmbus_channel_recv_pending(chan)) {
                guest_error(s, "it is malformed; the channel is stopped");
                s->recv_stopped = true;
            }
            break;
        }
        vmbus_channel_recv_pop(chan);
        handle_packet(s, req);
    }
    return vmbus_channel_recv_done(chan) > 0;
}

/* Something is in the ring of packets, or there is room in the other one. */
static void vsp_chan_notify(VMBusChannel *chan)
{
    AzureBlobVSP *s = AZURE_BLOB_VSP(vmbus_channel_device(chan));

    vsp_flush_completions(s);

    /*
     * A guest signals only what it puts into an empty ring.  What came before
     * it could see our new read index was not signalled: look once more after
     * each time that the index has moved.
     */
    while (!s->recv_stopped && receive(s, chan)) {
        vsp_requests_pump(s);
    }
    vsp_requests_pump(s);
    vsp_flush_completions(s);
}

/* ---- the device ---- */

static int vsp_open_channel(VMBusChannel *chan)
{
    AzureBlobVSP *s = AZURE_BLOB_VSP(vmbus_channel_device(chan));

    s->recv_stopped = false;
    s->send_stopped = false;
    return 0;
}

/*
 * Start to end everything.  VMBus holds back what would tell the guest that its
 * pages are free, until vsp_busy() is false.
 */
static void vsp_close_channel(VMBusChannel *chan)
{
    vsp_requests_orphan_all(AZURE_BLOB_VSP(vmbus_channel_device(chan)));
}

static bool vsp_busy(VMBusDevice *vdev)
{
    return vsp_requests_busy(AZURE_BLOB_VSP(vdev));
}

/* Before a rescind: the guest gets back what is in flight. */
static void vsp_quiesce(VMBusDevice *vdev)
{
    AzureBlobVSP *s = AZURE_BLOB_VSP(vdev);

    s->recv_stopped = true;
    vsp_requests_cancel_all(s);
}

/* No backend owns a page any more. */
void vsp_idle(AzureBlobVSP *s)
{
    vmbus_device_idle(VMBUS_DEVICE(s));
}

static void vsp_reset(VMBusDevice *vdev)
{
    AzureBlobVSP *s = AZURE_BLOB_VSP(vdev);

    vsp_requests_orphan_all(s);
    vsp_requests_wait(s, "reset");
    vsp_session_renew(s);
}

static bool instance_is_free(VMBusDevice *vdev)
{
    BusChild *child;

    QTAILQ_FOREACH(child, &qdev_get_parent_bus(DEVICE(vdev))->children,
                   sibling) {
        VMBusDevice *other = VMBUS_DEVICE(child->child);

        if (other != vdev &&
            qemu_uuid_is_equal(&other->instanceid, &vdev->instanceid)) {
            return false;
        }
    }
    return true;
}

/*
 * The same command line gives the same instance, so that a guest finds its
 * device again; what is asked for explicitly is checked by the bus.
 */
static void pick_instance(VMBusDevice *vdev)
{
    if (!qemu_uuid_is_null(&vdev->instanceid)) {
        return;
    }
    g_assert(qemu_uuid_parse(INSTANCE_UUID, &vdev->instanceid) == 0);
    while (!instance_is_free(vdev)) {
        vdev->instanceid.data[15]++;
    }
}

static void vsp_dev_realize(DeviceState *dev, Error **errp)
{
    AzureBlobVSPClass *avc = AZURE_BLOB_VSP_GET_CLASS(dev);

    pick_instance(VMBUS_DEVICE(dev));
    avc->parent_realize(dev, errp);
}

static void vsp_realize(VMBusDevice *vdev, Error **errp)
{
    AzureBlobVSP *s = AZURE_BLOB_VSP(vdev);

    if (!s->max_inflight || s->max_inflight > AZL_MAX_INFLIGHT) {
        error_setg(errp, "'max-inflight' is %u; it can be 1 to %u",
                   s->max_inflight, AZL_MAX_INFLIGHT);
        return;
    }
    error_setg(&s->migration_blocker, "%s can't be migrated or saved",
               TYPE_AZURE_BLOB_VSP);
    if (migrate_add_blocker(&s->migration_blocker, errp) < 0) {
        return;
    }
    if (!vsp_link_init(s, errp)) {
        migrate_del_blocker(&s->migration_blocker);
        return;
    }
    vsp_requests_init(s);
    vsp_regions_init(s);
    vsp_session_init(s);
    vsp_link_start(s);
}

/* The fence again: the memory of a device that is gone is the guest's. */
static void vsp_unrealize(VMBusDevice *vdev)
{
    AzureBlobVSP *s = AZURE_BLOB_VSP(vdev);

    vsp_requests_orphan_all(s);
    vsp_requests_wait(s, "unplug");
    vsp_link_cleanup(s);
    vsp_session_cleanup(s);
    vsp_regions_cleanup(s);
    vsp_requests_cleanup(s);
    migrate_del_blocker(&s->migration_blocker);
}

static char *get_link_state(Object *obj, Error **errp)
{
    return g_strdup(vsp_session_state_name(AZURE_BLOB_VSP(obj)));
}

static void get_in_flight(Object *obj, Visitor *v, const char *name,
                          void *opaque, Error **errp)
{
    uint32_t value = AZURE_BLOB_VSP(obj)->requests.num_owned;

    visit_type_uint32(v, name, &value, errp);
}

static void add_counter(Object *obj, const char *field, uint64_t *value,
                        const char *help)
{
    g_autofree char *name = g_strdup(field);

    g_strdelimit(name, "_", '-');
    object_property_add_uint64_ptr(obj, name, value, OBJ_PROP_FLAG_READ);
    object_property_set_description(obj, name, help);
}

static void vsp_instance_init(Object *obj)
{
    AzureBlobVSP *s = AZURE_BLOB_VSP(obj);

    /* pick_instance() chooses, unless the user does */
    memset(&VMBUS_DEVICE(obj)->instanceid, 0, sizeof(QemuUUID));

#define X(name, help) add_counter(obj, "stat-" #name, &s->stats.name, help);
    VSP_COUNTERS(X)
#undef X
}

static const Property vsp_props[] = {
    DEFINE_PROP_CHR("chardev", AzureBlobVSP, link.chr),
    DEFINE_PROP_UINT32("max-inflight", AzureBlobVSP, max_inflight,
                       AZL_MAX_INFLIGHT),
    /* for tests of the path that is otherwise taken without shared memory */
    DEFINE_PROP_BOOL("x-inline", AzureBlobVSP, inline_only, false),
};

static void vsp_class_init(ObjectClass *oc, void *data)
{
    DeviceClass *dc = DEVICE_CLASS(oc);
    VMBusDeviceClass *vdc = VMBUS_DEVICE_CLASS(oc);
    AzureBlobVSPClass *avc = AZURE_BLOB_VSP_CLASS(oc);

    device_class_set_props(dc, vsp_props);
    device_class_set_parent_realize(dc, vsp_dev_realize, &avc->parent_realize);
    dc->desc = "Azure Blob over VMBus, served by a process on a socket";
    set_bit(DEVICE_CATEGORY_STORAGE, dc->categories);

    g_assert(qemu_uuid_parse(VSP_WIRE_CLASS_GUID, &vdc->classid) == 0);
    vdc->channel_flags = VMBUS_CHANNEL_ENUMERATE_DEVICE_INTERFACE;
    vdc->vmdev_realize = vsp_realize;
    vdc->vmdev_unrealize = vsp_unrealize;
    vdc->vmdev_reset = vsp_reset;
    vdc->open_channel = vsp_open_channel;
    vdc->close_channel = vsp_close_channel;
    vdc->chan_notify_cb = vsp_chan_notify;
    vdc->busy = vsp_busy;
    vdc->quiesce = vsp_quiesce;
    vdc->packet_operation = vsp_packet_operation;

    object_class_property_add_str(oc, "link-state", get_link_state, NULL);
    object_class_property_add(oc, "in-flight", "uint32", get_in_flight, NULL,
                              NULL, NULL);
    object_class_property_set_description(oc, "link-state",
        "down, held, hello, up or leaving");
    object_class_property_set_description(oc, "in-flight",
        "requests whose pages the backend owns");
}

static const TypeInfo vsp_type_info = {
    .name = TYPE_AZURE_BLOB_VSP,
    .parent = TYPE_VMBUS_DEVICE,
    .instance_size = sizeof(AzureBlobVSP),
    .instance_init = vsp_instance_init,
    .class_size = sizeof(AzureBlobVSPClass),
    .class_init = vsp_class_init,
};

static void vsp_register_types(void)
{
    type_register_static(&vsp_type_info);
}

type_init(vsp_register_types)
