/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * VMBus device azure-blob-vsp: seeing inside
 */

#include "qemu/osdep.h"
#include "azure-blob-vsp.h"
#include "hw/hyperv/vmbus-rig.h"
#include "monitor/monitor.h"
#include "qapi/error.h"
#include "qapi/qapi-commands-azure-blob.h"
#include "qapi/type-helpers.h"

static const AzureBlobVspRequestState states[] = {
    [VSP_REQUEST_WAITING] = AZURE_BLOB_VSP_REQUEST_STATE_WAITING,
    [VSP_REQUEST_SENT] = AZURE_BLOB_VSP_REQUEST_STATE_SENT,
    [VSP_REQUEST_LOST] = AZURE_BLOB_VSP_REQUEST_STATE_LOST,
    [VSP_REQUEST_DONE] = AZURE_BLOB_VSP_REQUEST_STATE_DONE,
};

static AzureBlobVspRequest *request_info(const VspRequest *req)
{
    AzureBlobVspRequest *info = g_new0(AzureBlobVspRequest, 1);

    info->id = req->id;
    info->transaction = req->chan_req.transaction_id;
    info->state = states[req->state];
    info->operation = req->operation;
    info->age = qemu_clock_get_ms(QEMU_CLOCK_VIRTUAL) - req->accepted;
    info->timeout = req->timeout_ms;
    info->request_length = req->head_length;
    info->response_length = req->response_length;
    info->data_length = req->data_length;
    info->data_valid = req->data_valid;
    info->cancelled = req->cancelled;
    info->unconfirmed = req->stuck;
    info->orphan = req->orphan;
    info->resent = req->resent ||
                   (req->tried && req->state == VSP_REQUEST_WAITING);
    return info;
}

static void add_requests(AzureBlobVspRequestList ***tail,
                         const VspRequestList *list)
{
    VspRequest *req;

    QTAILQ_FOREACH(req, list, next) {
        QAPI_LIST_APPEND(*tail, request_info(req));
    }
}

static AzureBlobVspCounter *counter(const char *field, uint64_t value)
{
    AzureBlobVspCounter *c = g_new0(AzureBlobVspCounter, 1);

    c->name = g_strdelimit(g_strdup(field), "_", '-');
    c->value = value;
    return c;
}

static AzureBlobVspInfo *device_info(AzureBlobVSP *s)
{
    AzureBlobVspInfo *info = g_new0(AzureBlobVspInfo, 1);
    AzureBlobVspRequestList **requests = &info->requests;
    AzureBlobVspCounterList **counters = &info->counters;
    int i;

    info->device = g_strdup(DEVICE(s)->id);
    info->qom_path = object_get_canonical_path(OBJECT(s));
    info->link_state = g_strdup(vsp_session_state_name(s));
    info->session = qemu_uuid_unparse_strdup(&s->session.id);
    info->in_flight = s->requests.num_owned;
    for (i = 0; i < AZL_MAX_REGIONS; i++) {
        info->regions += s->regions.region[i].state == VSP_REGION_READY;
    }
    info->receiving = !s->recv_stopped;
    info->sending = !s->send_stopped;

    add_requests(&requests, &s->requests.owned);
    add_requests(&requests, &s->requests.waiting);
    add_requests(&requests, &s->requests.done);

#define X(field, help)                                              \
    QAPI_LIST_APPEND(counters, counter(#field, s->stats.field));
    VSP_COUNTERS(X)
#undef X
    return info;
}

AzureBlobVspInfoList *qmp_query_azure_blob_vsp(Error **errp)
{
    AzureBlobVspInfoList *head = NULL, **tail = &head;
    VMBusChannel *chan = NULL;

    while ((chan = vmbus_channel_next(chan))) {
        Object *obj = OBJECT(vmbus_channel_device(chan));

        if (!vmbus_channel_idx(chan) &&
            object_dynamic_cast(obj, TYPE_AZURE_BLOB_VSP)) {
            QAPI_LIST_APPEND(tail, device_info(AZURE_BLOB_VSP(obj)));
        }
    }
    return head;
}

static HumanReadableText *info_azure_blob_vsp(Error **errp)
{
    g_autoptr(GString) s = g_string_new("");
    g_autoptr(AzureBlobVspInfoList) list = qmp_query_azure_blob_vsp(errp);
    AzureBlobVspInfoList *l;

    for (l = list; l; l = l->next) {
        const AzureBlobVspInfo *v = l->value;
        AzureBlobVspRequestList *r;
        AzureBlobVspCounterList *c;

        g_string_append_printf(s, "%s: link %s, session %s, %" PRIu32
                               " requests with the backend, %" PRIu32
                               " regions%s%s\n", v->device ?: v->qom_path,
                               v->link_state, v->session, v->in_flight,
                               v->regions,
                               v->receiving ? "" : ", receives nothing",
                               v->sending ? "" : ", sends nothing");
        for (r = v->requests; r; r = r->next) {
            const AzureBlobVspRequest *q = r->value;

            g_string_append_printf(s, "    request %" PRIu64 " (transaction %"
                                   PRIu64 "): %s%s%s%s, %" PRId64 " ms of %"
                                   PRIu32 ", operation 0x%" PRIx32
                                   ", request %" PRIu32 ", response %" PRIu32
                                   ", data %" PRIu32 ", valid %" PRIu32 "\n",
                                   q->id, q->transaction,
                                   AzureBlobVspRequestState_str(q->state),
                                   q->cancelled ? ", cancelled" : "",
                                   q->unconfirmed ? ", unconfirmed" : "",
                                   q->orphan ? ", orphan" : "", q->age,
                                   q->timeout, q->operation, q->request_length,
                                   q->response_length, q->data_length,
                                   q->data_valid);
        }
        for (c = v->counters; c; c = c->next) {
            g_string_append_printf(s, "    %s: %" PRIu64 "\n", c->value->name,
                                   c->value->value);
        }
    }
    return human_readable_text_from_str(s);
}

static void register_commands(void)
{
    monitor_register_hmp_info_hrt("azure-blob-vsp", info_azure_blob_vsp);
}

type_init(register_commands)
