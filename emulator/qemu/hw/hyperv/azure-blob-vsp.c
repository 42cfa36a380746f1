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
        if (ret == -ENOSPC) {
            /* faults hold more than enough: told again as with the ring */
            return;
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

/*
 * One of the three buffers; everything in bytes.  It is in the packet's one
 * range, or in a registered buffer.
 */
typedef struct Buffer {
    uint64_t offset; /* from the start of the range's first page */
    uint64_t length;
    uint64_t at;     /* from the start of the registered buffer */
    bool registered;
} Buffer;

typedef struct Packet {
    struct vsp_wire_request wire;
    Buffer data, head, response;
    const VspBuffer *buf; /* that some are registered in, or NULL */
} Packet;

/*
 * The buffers in the range follow each other, each starting in the first page
 * after the one before.  Advances @page behind @buf; false if it doesn't start
 * there.
 */
static bool buffer_follows(const Buffer *buf, uint64_t *page)
{
    if (buf->registered) {
        return !buf->offset;
    }
    if (buf->offset / VSP_WIRE_PAGE_SIZE != *page) {
        return false;
    }
    *page = DIV_ROUND_UP(buf->offset + buf->length, VSP_WIRE_PAGE_SIZE);
    return true;
}

static bool map_buffer(AzureBlobVSP *s, const QEMUSGList *sgl, const Packet *p,
                       const Buffer *buf, uint64_t length, bool is_write,
                       VspMaps *maps)
{
    if (buf->registered) {
        return vsp_buffer_map(s, p->buf, maps, buf->at, length, is_write);
    }
    return vsp_maps_add(maps, VMBUS_DEVICE(s)->dma_as, sgl, buf->offset, length,
                        is_write);
}

static bool read_buffer(AzureBlobVSP *s, const QEMUSGList *sgl, const Packet *p,
                        const Buffer *buf, void *to)
{
    if (buf->registered) {
        return vsp_buffer_read(s, p->buf, buf->at, to, buf->length);
    }
    return vsp_sgl_read(VMBUS_DEVICE(s)->dma_as, sgl, buf->offset, to,
                        buf->length);
}

/* What a request of protocol 2 has behind that of protocol 1. */
static uint32_t parse_extension(AzureBlobVSP *s, const VMBusChanReq *cr,
                                Packet *p)
{
    const uint32_t known = VSP_WIRE_DATA_IN_BUFFER |
                           VSP_WIRE_REQUEST_IN_BUFFER |
                           VSP_WIRE_RESPONSE_IN_BUFFER;
    struct vsp_wire_request_2 wire;
    uint32_t in_buffer;

    memcpy(&wire, cr->msg, sizeof(wire));
    in_buffer = le32_to_cpu(wire.in_buffer);
    p->data.registered = in_buffer & VSP_WIRE_DATA_IN_BUFFER;
    p->data.at = le64_to_cpu(wire.data_at);
    p->head.registered = in_buffer & VSP_WIRE_REQUEST_IN_BUFFER;
    p->head.at = le64_to_cpu(wire.request_at);
    p->response.registered = in_buffer & VSP_WIRE_RESPONSE_IN_BUFFER;
    p->response.at = le64_to_cpu(wire.response_at);

    if (!in_buffer || in_buffer & ~known ||
        (!p->data.registered && p->data.at) ||
        (!p->head.registered && p->head.at) ||
        (!p->response.registered && p->response.at) ||
        (p->data.registered && !wire.base.data_length)) {
        guest_error(s, "in_buffer 0x%x", in_buffer);
        return VSP_WIRE_STATUS_BAD_PACKET;
    }
    p->buf = vsp_buffer_get(s, le32_to_cpu(wire.buffer_id));
    if (!p->buf) {
        guest_error(s, "buffer %u", le32_to_cpu(wire.buffer_id));
        return VSP_WIRE_STATUS_NOT_FOUND;
    }
    return VSP_WIRE_STATUS_OK;
}

/* One range of whole pages where there has to be one, and nothing else. */
static bool range_is_right(const VMBusChanReq *cr, uint64_t pages)
{
    if (!pages) {
        return cr->pkt_type == VMBUS_PACKET_DATA_INBAND;
    }
    return cr->pkt_type == VMBUS_PACKET_DATA_USING_GPA_DIRECT &&
           vmbus_chan_req_one_range(cr) && pages <= VSP_WIRE_MAX_PAGES &&
           cr->sgl.size == pages * VSP_WIRE_PAGE_SIZE;
}

static uint32_t parse_request(AzureBlobVSP *s, VspRequest *req, Packet *p)
{
    const VMBusChanReq *cr = &req->chan_req;
    const struct vsp_wire_request *wire = &p->wire;
    uint64_t page = 0;

    req->timeout_ms = le32_to_cpu(wire->timeout_ms);
    memcpy(req->guid, wire->transaction_guid, sizeof(req->guid));
    p->data.offset = le32_to_cpu(wire->data_offset);
    p->data.length = req->data_length = le32_to_cpu(wire->data_length);
    req->data_valid = le32_to_cpu(wire->data_valid);
    if (!req->data_length) {
        /* the first published form of the ioctl says 1 even then */
        req->data_valid = 0;
    }
    p->head.offset = le32_to_cpu(wire->request_offset);
    p->head.length = req->head_length = le32_to_cpu(wire->request_length);
    p->response.offset = le32_to_cpu(wire->response_offset);
    p->response.length = req->response_length =
        le32_to_cpu(wire->response_length);

    if (!p->head.length || p->head.length > AZL_MAX_REQUEST_HEAD ||
        !p->response.length || p->data.length > AZL_MAX_BODY ||
        req->data_valid > req->data_length) {
        guest_error(s, "lengths: request %u, response %u, data %u, valid %u",
                    req->head_length, req->response_length, req->data_length,
                    req->data_valid);
        return VSP_WIRE_STATUS_BAD_PACKET;
    }
    if ((p->data.length && !buffer_follows(&p->data, &page)) ||
        !buffer_follows(&p->head, &page) ||
        !buffer_follows(&p->response, &page) || !range_is_right(cr, page)) {
        guest_error(s, "%zu bytes of pages in a packet of type %u don't fit "
                    "request %u at %u, response %u at %u, data %u at %u",
                    cr->sgl.size, cr->pkt_type, req->head_length,
                    le32_to_cpu(wire->request_offset), req->response_length,
                    le32_to_cpu(wire->response_offset), req->data_length,
                    le32_to_cpu(wire->data_offset));
        return VSP_WIRE_STATUS_BAD_PACKET;
    }

    /*
     * The head is copied once, so that what the backend parses stays what it
     * is.  Of a data buffer that holds a body, only the body is handed out.
     */
    req->head = g_malloc(p->head.length);
    if (!read_buffer(s, &cr->sgl, p, &p->head, req->head) ||
        !map_buffer(s, &cr->sgl, p, &p->data,
                    req->data_valid ? req->data_valid : p->data.length,
                    !req->data_valid, &req->data) ||
        !map_buffer(s, &cr->sgl, p, &p->response, p->response.length, true,
                    &req->response)) {
        guest_error(s, "a page is not ordinary memory, or not in the buffer");
        return VSP_WIRE_STATUS_BAD_PACKET;
    }
    return VSP_WIRE_STATUS_OK;
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

static bool is_control(uint32_t operation)
{
    return operation == VSP_WIRE_OP_REGISTER_BUFFER ||
           operation == VSP_WIRE_OP_DEREGISTER_BUFFER ||
           operation == VSP_WIRE_OP_CANCEL;
}

/*
 * Check all there is in the packet and take it apart.  Returns the status to
 * answer it with; if it is VSP_WIRE_STATUS_OK and @done is false the request is
 * ready to be submitted.
 */
static uint32_t parse_packet(AzureBlobVSP *s, VspRequest *req, bool *done)
{
    const VMBusChanReq *cr = &req->chan_req;
    Packet p = {};
    uint32_t version, status;

    *done = false;
    if (cr->pkt_type != VMBUS_PACKET_DATA_USING_GPA_DIRECT &&
        (cr->pkt_type != VMBUS_PACKET_DATA_INBAND || s->protocol < 2)) {
        guest_error(s, "type %u", cr->pkt_type);
        return VSP_WIRE_STATUS_BAD_PACKET;
    }
    if (cr->msglen < sizeof(version)) {
        guest_error(s, "%u bytes", cr->msglen);
        return VSP_WIRE_STATUS_BAD_PACKET;
    }
    version = ldl_le_p(cr->msg);
    if (version != VSP_WIRE_VERSION_1 &&
        (version != VSP_WIRE_VERSION_2 || s->protocol < 2)) {
        guest_error(s, "version %u", version);
        return VSP_WIRE_STATUS_NOT_SUPPORTED;
    }
    if (version == VSP_WIRE_VERSION_2 &&
        vsp_packet_operation(cr, &req->operation) &&
        is_control(req->operation)) {
        *done = true;
        status = vsp_control(s, cr);
        if (status == VSP_WIRE_STATUS_BAD_PACKET) {
            guest_error(s, "operation 0x%x, %u bytes, %zu bytes of pages",
                        req->operation, cr->msglen, cr->sgl.size);
        }
        return status;
    }
    if (cr->msglen != (version == VSP_WIRE_VERSION_1 ?
                       sizeof(struct vsp_wire_request) :
                       sizeof(struct vsp_wire_request_2))) {
        guest_error(s, "%u bytes", cr->msglen);
        return VSP_WIRE_STATUS_BAD_PACKET;
    }
    /* a copy of the packet, which the guest can't change any more */
    memcpy(&p.wire, cr->msg, sizeof(p.wire));
    req->operation = le32_to_cpu(p.wire.operation_type);
    if (req->operation != VSP_WIRE_OP_USER_REQUEST) {
        guest_error(s, "operation 0x%x", req->operation);
        return VSP_WIRE_STATUS_NOT_SUPPORTED;
    }
    if (version == VSP_WIRE_VERSION_2) {
        status = parse_extension(s, cr, &p);
        if (status != VSP_WIRE_STATUS_OK) {
            return status;
        }
    }
    return parse_request(s, req, &p);
}

static void handle_packet(AzureBlobVSP *s, VspRequest *req)
{
    uint32_t status;
    bool done;

    req->vsp = s;
    req->accepted = qemu_clock_get_ms(QEMU_CLOCK_VIRTUAL);
    if (!req->chan_req.need_comp) {
        /* it could not be told, whatever comes of it */
        guest_error(s, "it asks for no completion; the channel is stopped");
        s->recv_stopped = true;
        vsp_request_free(req);
        return;
    }

    status = parse_packet(s, req, &done);
    if (req->chan_req.sgl.dev) {
        qemu_sglist_destroy(&req->chan_req.sgl);
    }
    trace_azure_blob_vsp_packet(req->chan_req.transaction_id, req->operation,
                                req->head_length, req->response_length,
                                req->data_length, req->data_valid, status);
    if (status == VSP_WIRE_STATUS_OK && !done) {
        vsp_request_submit(s, req);
    } else {
        vsp_request_answer(s, req, status);
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

    if (s->held) {
        /* it is looked at again when the machine runs */
        return;
    }
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
    AzureBlobVSP *s = AZURE_BLOB_VSP(vmbus_channel_device(chan));

    vsp_requests_orphan_all(s);
    vsp_buffers_clear(s);
}

/* Protocol 1 has none: a guest that finds zeros speaks it. */
static void vsp_offer_data(VMBusDevice *vdev, void *data)
{
    AzureBlobVSP *s = AZURE_BLOB_VSP(vdev);
    struct vsp_wire_offer offer = {
        .magic = cpu_to_le32(VSP_WIRE_MAGIC),
        .length = cpu_to_le32(sizeof(offer)),
        .version = cpu_to_le32(2),
        .features = cpu_to_le32(VSP_WIRE_FEATURE_BUFFERS |
                                VSP_WIRE_FEATURE_CANCEL),
        .ring_size = cpu_to_le32(VSP_RING_SIZE),
        .max_buffers = cpu_to_le32(VSP_MAX_BUFFERS),
        .max_buffer_bytes = cpu_to_le64(VSP_MAX_BUFFER_BYTES),
    };

    QEMU_BUILD_BUG_ON(sizeof(offer) > VMBUS_OFFER_DATA_SIZE);
    if (s->protocol >= 2) {
        memcpy(data, &offer, sizeof(offer));
    }
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
    vsp_buffers_clear(s);
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
 * device again; what is asked for explicitly is checked by the bus.  False with
 * @errp set if all that we can give are taken.
 */
static bool pick_instance(VMBusDevice *vdev, Error **errp)
{
    int tried;

    if (!qemu_uuid_is_null(&vdev->instanceid)) {
        return true;
    }
    g_assert(qemu_uuid_parse(INSTANCE_UUID, &vdev->instanceid) == 0);
    for (tried = 0; tried <= UINT8_MAX; tried++) {
        if (instance_is_free(vdev)) {
            return true;
        }
        vdev->instanceid.data[15]++;
    }
    memset(&vdev->instanceid, 0, sizeof(vdev->instanceid));
    error_setg(errp, "%s: 'instanceid' has to be set for more than %d of them",
               TYPE_AZURE_BLOB_VSP, UINT8_MAX + 1);
    return false;
}

static void vsp_dev_realize(DeviceState *dev, Error **errp)
{
    AzureBlobVSPClass *avc = AZURE_BLOB_VSP_GET_CLASS(dev);

    if (pick_instance(VMBUS_DEVICE(dev), errp)) {
        avc->parent_realize(dev, errp);
    }
}

static void vsp_realize(VMBusDevice *vdev, Error **errp)
{
    AzureBlobVSP *s = AZURE_BLOB_VSP(vdev);

    if (!s->max_inflight || s->max_inflight > AZL_MAX_INFLIGHT) {
        error_setg(errp, "'max-inflight' is %u; it can be 1 to %u",
                   s->max_inflight, AZL_MAX_INFLIGHT);
        return;
    }
    if (s->protocol != 1 && s->protocol != 2) {
        error_setg(errp, "'protocol' is %u; it can be 1 or 2", s->protocol);
        return;
    }
    if (!vsp_link_init(s, errp)) {
        return;
    }
    vsp_requests_init(s);
    vsp_buffers_init(s);
    vsp_regions_init(s);
    vsp_session_init(s);
    vsp_migrate_init(s);
    vsp_link_start(s);
}

/* The fence again: the memory of a device that is gone is the guest's. */
static void vsp_unrealize(VMBusDevice *vdev)
{
    AzureBlobVSP *s = AZURE_BLOB_VSP(vdev);

    vsp_migrate_cleanup(s);
    vsp_requests_orphan_all(s);
    vsp_requests_wait(s, "unplug");
    vsp_link_cleanup(s);
    vsp_session_cleanup(s);
    vsp_regions_cleanup(s);
    vsp_requests_cleanup(s);
    vsp_buffers_cleanup(s);
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
    DEFINE_PROP_UINT32("protocol", AzureBlobVSP, protocol, 2),
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
    vsp_migrate_class_init(dc);
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
    vdc->offer_data = vsp_offer_data;
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
