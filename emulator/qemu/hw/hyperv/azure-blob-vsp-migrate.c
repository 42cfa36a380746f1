/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * VMBus device azure-blob-vsp: snapshots and migration
 *
 * Before the last of the guest's memory is saved no backend may write to it
 * any more.  So when the machine is stopped for that, or was stopped before,
 * each request that a backend has is cancelled, and the machine waits.  What
 * was done first is answered into the guest's ring; the others are held: they
 * wait as if there were no backend, are saved, and are sent again when the
 * machine goes on, here or elsewhere, with the same ids and
 * AZL_REQUEST_RESENT.
 *
 * A migrated machine goes on with the same session, so handles and the answers
 * that the backend keeps are still its own.  One that is loaded from a
 * snapshot keeps the session that the device has now, as the one in the
 * snapshot may have gone on and used its ids for something else: there a
 * request has a new id, and the store is what it has become meanwhile.  One
 * that some backend may have run before the snapshot was made still goes with
 * AZL_REQUEST_RESENT, to a backend that knows what that is, and fails where
 * there is none: its effect may be there, and nobody here can tell.
 */

#include "qemu/osdep.h"
#include "block/aio-wait.h"
#include "exec/memory.h"
#include "exec/ramblock.h"
#include "migration/misc.h"
#include "migration/qemu-file-types.h"
#include "migration/register.h"
#include "migration/vmstate.h"
#include "qapi/error.h"
#include "qemu/error-report.h"
#include "qemu/main-loop.h"
#include "azure-blob-vsp.h"
#include "hw/hyperv/vmbus-rig.h"
#include "trace.h"

/* Bytes of a packet that anybody asks for later */
#define MSG_MAX 128
/* Pieces of one buffer: each page may be one, and be split by a block's end */
#define MAPS_MAX (2 * (VSP_MAX_BUFFER_BYTES / 4096))

/* ---- the fence ---- */

static bool gives_up(AzureBlobVSP *s)
{
    return vsp_requests_any_stuck(s);
}

static void drop_link(void *opaque)
{
    AzureBlobVSP *s = opaque;

    if (s->held && !vsp_requests_busy(s)) {
        vsp_link_drop(s);
    }
    object_unref(OBJECT(s));
}

/*
 * Get back all pages and keep the requests.  It ends without that if the
 * backend doesn't confirm: then nothing is saved, see pre_save(), even if the
 * backend does so later.  The guest's memory is being saved by then, and what
 * the backend has written, and the completion, may be missing in it.
 */
static void fence(AzureBlobVSP *s)
{
    s->held = true;
    vmbus_rig_settle(vmbus_device_channel(VMBUS_DEVICE(s), 0));
    vsp_requests_hold_all(s);
    trace_azure_blob_vsp_wait("save", s->requests.num_owned);
    AIO_WAIT_WHILE(NULL, vsp_requests_busy(s) && !gives_up(s));
    trace_azure_blob_vsp_wait_over("save");
    s->unfenced = s->requests.num_owned;
    if (!s->unfenced) {
        /* another device may want to go on in this session: make room */
        object_ref(OBJECT(s));
        aio_bh_schedule_oneshot(qemu_get_aio_context(), drop_link, s);
    }
}

/* The machine runs: whatever was held goes on. */
static void release(AzureBlobVSP *s)
{
    VMBusChannel *chan = vmbus_device_channel(VMBUS_DEVICE(s), 0);

    s->held = false;
    vsp_session_released(s);
    vsp_requests_pump(s);
    if (vmbus_channel_is_open(chan)) {
        /* what came into the ring, or room in the other one */
        vmbus_channel_notify_host(chan);
    }
}

static void vm_state_change(void *opaque, bool running, RunState state)
{
    AzureBlobVSP *s = opaque;

    if (running) {
        if (s->held) {
            release(s);
        }
    } else if (s->saving || state == RUN_STATE_FINISH_MIGRATE ||
               state == RUN_STATE_SAVE_VM) {
        fence(s);
    }
}

/*
 * The guest's memory will be saved from now on.  A machine that runs is stopped
 * for the last of it; one that stands still isn't told again.
 */
static int save_setup(QEMUFile *f, void *opaque, Error **errp)
{
    AzureBlobVSP *s = opaque;

    if (migrate_postcopy_ram() || migrate_background_snapshot()) {
        error_setg(errp, "%s: memory that is shared with a backend can't be "
                   "saved while the machine runs on", TYPE_AZURE_BLOB_VSP);
        return -ENOTSUP;
    }
    s->saving = true;
    if (!runstate_is_running()) {
        fence(s);
    }
    return 0;
}

static void save_cleanup(void *opaque)
{
    AzureBlobVSP *s = opaque;

    s->saving = false;
}

/* save_setup() has written nothing. */
static int load_nothing(QEMUFile *f, void *opaque, int version_id)
{
    return 0;
}

static const SaveVMHandlers handlers = {
    .save_setup = save_setup,
    .save_cleanup = save_cleanup,
    .load_state = load_nothing,
};

/* ---- requests and buffers as bytes ---- */

static void put_maps(QEMUFile *f, const VspMaps *maps)
{
    unsigned i;

    qemu_put_be32(f, maps->num);
    for (i = 0; i < maps->num; i++) {
        const VspMap *map = &maps->map[i];

        qemu_put_counted_string(f, qemu_ram_get_idstr(map->block));
        qemu_put_be64(f, map->offset);
        qemu_put_be64(f, map->len);
    }
}

/* @len is what all of it together has to be. */
static bool get_maps(QEMUFile *f, VspMaps *maps, uint64_t len, bool is_write)
{
    uint32_t num = qemu_get_be32(f);
    uint32_t i;

    if (num > MAPS_MAX) {
        return false;
    }
    maps->is_write = is_write;
    for (i = 0; i < num; i++) {
        char idstr[256];
        uint64_t offset, length;

        if (!qemu_get_counted_string(f, idstr)) {
            return false;
        }
        offset = qemu_get_be64(f);
        length = qemu_get_be64(f);
        if (!vsp_maps_add_block(maps, idstr, offset, length)) {
            return false;
        }
    }
    return maps->len == len;
}

static void put_request(QEMUFile *f, const VspRequest *req)
{
    const VMBusChanReq *cr = &req->chan_req;
    uint32_t msglen = MIN(cr->msglen, MSG_MAX);

    qemu_put_be16(f, cr->pkt_type);
    qemu_put_be64(f, cr->transaction_id);
    qemu_put_be32(f, msglen);
    qemu_put_buffer(f, cr->msg, msglen);

    qemu_put_byte(f, req->state == VSP_REQUEST_DONE);
    qemu_put_be32(f, req->operation);
    qemu_put_be32(f, req->status);
    qemu_put_be32(f, req->answer_response);
    if (req->state == VSP_REQUEST_DONE) {
        return;
    }
    qemu_put_be64(f, req->id);
    qemu_put_byte(f, req->tried);
    qemu_put_be32(f, req->timeout_ms);
    qemu_put_be64(f, req->accepted);
    qemu_put_be64(f, req->deadline);
    qemu_put_be32(f, req->data_length);
    qemu_put_be32(f, req->data_valid);
    qemu_put_be32(f, req->response_length);
    qemu_put_buffer(f, req->guid, sizeof(req->guid));
    qemu_put_be32(f, req->head_length);
    qemu_put_buffer(f, req->head, req->head_length);
    put_maps(f, &req->data);
    put_maps(f, &req->response);
}

static int put_list(QEMUFile *f, const VspRequestList *list)
{
    VspRequest *req;

    QTAILQ_FOREACH(req, list, next) {
        qemu_put_byte(f, 1);
        put_request(f, req);
    }
    return 0;
}

static int put_requests(QEMUFile *f, void *pv, size_t size,
                        const VMStateField *field, JSONWriter *vmdesc)
{
    AzureBlobVSP *s = pv;

    put_list(f, &s->requests.done);
    put_list(f, &s->requests.waiting);
    qemu_put_byte(f, 0);
    return qemu_file_get_error(f);
}

/*
 * False if it can't be; what was got of it so far is the request's.  Ids from
 * @next_id on are those of requests to come.
 */
static bool get_waiting(QEMUFile *f, VspRequest *req, uint64_t next_id)
{
    req->id = qemu_get_be64(f);
    req->tried = qemu_get_byte(f);
    req->timeout_ms = qemu_get_be32(f);
    req->accepted = qemu_get_be64(f);
    req->deadline = qemu_get_be64(f);
    req->data_length = qemu_get_be32(f);
    req->data_valid = qemu_get_be32(f);
    req->response_length = qemu_get_be32(f);
    qemu_get_buffer(f, req->guid, sizeof(req->guid));
    req->head_length = qemu_get_be32(f);
    if (!req->id || req->id >= next_id || req->accepted < 0 ||
        req->deadline < 0 || !req->head_length ||
        req->head_length > AZL_MAX_REQUEST_HEAD || !req->response_length ||
        req->data_length > AZL_MAX_BODY || req->data_valid > req->data_length) {
        return false;
    }
    req->head = g_malloc(req->head_length);
    qemu_get_buffer(f, req->head, req->head_length);
    return get_maps(f, &req->data, req->data_valid ?: req->data_length,
                    !req->data_valid) &&
           get_maps(f, &req->response, req->response_length, true);
}

static int get_requests(QEMUFile *f, void *pv, size_t size,
                        const VMStateField *field)
{
    AzureBlobVSP *s = pv;
    VMBusChannel *chan = vmbus_device_channel(VMBUS_DEVICE(s), 0);

    while (qemu_get_byte(f)) {
        uint16_t type = qemu_get_be16(f);
        uint64_t transaction = qemu_get_be64(f);
        uint32_t msglen = qemu_get_be32(f);
        VspRequest *req;
        bool done;

        if (msglen > MSG_MAX || s->requests.num >= AZL_MAX_INFLIGHT) {
            return -EINVAL;
        }
        req = vmbus_alloc_req(chan, sizeof(*req), type, msglen, transaction,
                              true);
        req->vsp = s;
        qemu_get_buffer(f, req->chan_req.msg, msglen);
        done = qemu_get_byte(f);
        req->operation = qemu_get_be32(f);
        req->status = qemu_get_be32(f);
        req->answer_response = qemu_get_be32(f);
        if ((!done && !get_waiting(f, req, s->saved.next_id)) ||
            qemu_file_get_error(f)) {
            vsp_request_free(req);
            return -EINVAL;
        }
        if (done) {
            vsp_request_answer(s, req, req->status);
        } else if (!vsp_request_resume(s, req)) {
            vsp_request_free(req);
            return -EINVAL;
        }
    }
    return qemu_file_get_error(f);
}

static const VMStateInfo requests_info = {
    .name = "azure-blob-vsp requests",
    .get = get_requests,
    .put = put_requests,
};

static int put_buffers(QEMUFile *f, void *pv, size_t size,
                       const VMStateField *field, JSONWriter *vmdesc)
{
    vsp_buffers_put(pv, f);
    return qemu_file_get_error(f);
}

static int get_buffers(QEMUFile *f, void *pv, size_t size,
                       const VMStateField *field)
{
    if (!vsp_buffers_get(pv, f)) {
        return -EINVAL;
    }
    return qemu_file_get_error(f);
}

static const VMStateInfo buffers_info = {
    .name = "azure-blob-vsp buffers",
    .get = get_buffers,
    .put = put_buffers,
};

/* ---- the device's state ---- */

static int pre_save(void *opaque)
{
    AzureBlobVSP *s = opaque;
    VMBusChannel *chan = vmbus_device_channel(VMBUS_DEVICE(s), 0);

    if (s->unfenced || vsp_requests_busy(s)) {
        error_report("%s: the backend has not let go of %u request(s): the "
                     "machine can't be saved", TYPE_AZURE_BLOB_VSP,
                     MAX(s->unfenced, s->requests.num_owned));
        return -EBUSY;
    }
    if (vmbus_channel_rig(chan)->num_held) {
        error_report("%s: a fault holds completions: the machine can't be "
                     "saved", TYPE_AZURE_BLOB_VSP);
        return -EBUSY;
    }
    s->saved.session = s->session.id;
    s->saved.used = s->session.used;
    s->saved.next_id = s->requests.next_id;
    return 0;
}

static int pre_load(void *opaque)
{
    AzureBlobVSP *s = opaque;

    s->held = true;
    return 0;
}

static int post_load(void *opaque, int version_id)
{
    AzureBlobVSP *s = opaque;

    if (runstate_check(RUN_STATE_INMIGRATE)) {
        s->session.id = s->saved.session;
        s->session.used = s->saved.used;
        s->requests.next_id = MAX(s->saved.next_id, 1);
    } else {
        vsp_requests_renumber(s);
    }
    return 0;
}

static const VMStateDescription vmstate_vsp = {
    .name = TYPE_AZURE_BLOB_VSP,
    .version_id = 1,
    .minimum_version_id = 1,
    .pre_save = pre_save,
    .pre_load = pre_load,
    .post_load = post_load,
    .fields = (const VMStateField[]) {
        VMSTATE_STRUCT(parent, AzureBlobVSP, 0, vmstate_vmbus_dev,
                       VMBusDevice),
        VMSTATE_UINT32_EQUAL(protocol, AzureBlobVSP,
                             "'protocol' has to be the same"),
        VMSTATE_BOOL(recv_stopped, AzureBlobVSP),
        VMSTATE_BOOL(send_stopped, AzureBlobVSP),
        VMSTATE_UINT8_ARRAY(saved.session.data, AzureBlobVSP, 16),
        VMSTATE_BOOL(saved.used, AzureBlobVSP),
        VMSTATE_UINT64(saved.next_id, AzureBlobVSP),
        { .name = "buffers", .info = &buffers_info, .flags = VMS_SINGLE },
        { .name = "requests", .info = &requests_info, .flags = VMS_SINGLE },
        VMSTATE_END_OF_LIST()
    },
};

void vsp_migrate_class_init(DeviceClass *dc)
{
    dc->vmsd = &vmstate_vsp;
}

static char *handlers_id(AzureBlobVSP *s)
{
    char uuid[UUID_STR_LEN];

    qemu_uuid_unparse(&VMBUS_DEVICE(s)->instanceid, uuid);
    return g_strdup_printf("%s/%s", TYPE_AZURE_BLOB_VSP, uuid);
}

void vsp_migrate_init(AzureBlobVSP *s)
{
    g_autofree char *id = handlers_id(s);

    /* the session and its ids come with the machine's state */
    s->held = runstate_check(RUN_STATE_INMIGRATE);
    s->vm_state_change = qemu_add_vm_change_state_handler(vm_state_change, s);
    register_savevm_live(id, 0, 1, &handlers, s);
}

void vsp_migrate_cleanup(AzureBlobVSP *s)
{
    g_autofree char *id = handlers_id(s);

    unregister_savevm(NULL, id, s);
    qemu_del_vm_change_state_handler(s->vm_state_change);
}
