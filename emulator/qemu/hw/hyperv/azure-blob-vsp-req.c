/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * VMBus device azure-blob-vsp: the request table, time-outs and the fence
 *
 * The rule that everything here serves: from the moment a REQUEST is handed to
 * the link the backend owns the pages of it, and it gives them back in three
 * ways only.  It says COMPLETE; it says GOODBYE; or its process ends, which the
 * pidfd shows.  Until then nothing is let out that would let the guest use the
 * pages for something else: no completion, not even one that says "time-out",
 * no reset, no GPADL_TORNDOWN, no rescind.
 *
 *          submit            pump              COMPLETE
 *     NEW -------> WAITING -------> SENT -------------------> DONE -> ring
 *                    ^  |            |  connection lost         ^
 *              proof |  | time-out,  v                          |
 *                    +--|--------- LOST   proof, and timed out, |
 *                       |            |    or not to be resent   |
 *                       |            +--------------------------+
 *                       +---------------------------------------+
 *
 * SENT and LOST requests are "owned": by the backend.  A request whose channel
 * is gone is an orphan: it goes the same way, and is freed instead of DONE.
 */

#include "qemu/osdep.h"
#include "azblob/vsp_wire.h"
#include "block/aio-wait.h"
#include "qapi/error.h"
#include "qapi/qapi-events-azure-blob.h"
#include "qemu/error-report.h"
#include "qemu/main-loop.h"
#include "azure-blob-vsp.h"
#include "trace.h"

/* How long a backend may take over a CANCEL before we complain. */
#define CANCEL_GRACE_MS 5000

static int64_t virtual_ms(void)
{
    return qemu_clock_get_ms(QEMU_CLOCK_VIRTUAL);
}

static bool is_owned(const VspRequest *req)
{
    return req->state == VSP_REQUEST_SENT || req->state == VSP_REQUEST_LOST;
}

static VspRequestList *list_of(AzureBlobVSP *s, VspRequestState state)
{
    switch (state) {
    case VSP_REQUEST_WAITING:
        return &s->requests.waiting;
    case VSP_REQUEST_SENT:
    case VSP_REQUEST_LOST:
        return &s->requests.owned;
    case VSP_REQUEST_DONE:
        return &s->requests.done;
    case VSP_REQUEST_NEW:
        break;
    }
    return NULL;
}

static void set_state(VspRequest *req, VspRequestState state)
{
    AzureBlobVSP *s = req->vsp;
    VspRequestList *from = list_of(s, req->state);
    VspRequestList *to = list_of(s, state);
    bool was_owned = is_owned(req);

    req->state = state;
    s->requests.num_owned += is_owned(req) - was_owned;

    if (from == to) {
        return;
    }
    if (from) {
        QTAILQ_REMOVE(from, req, next);
    }
    if (to) {
        QTAILQ_INSERT_TAIL(to, req, next);
    }
}

/* The backend may own pages of the guest. */
bool vsp_requests_busy(AzureBlobVSP *s)
{
    return s->requests.num_owned > 0;
}

static void release_pages(VspRequest *req)
{
    AddressSpace *as = VMBUS_DEVICE(req->vsp)->dma_as;

    vsp_maps_release(&req->data, as);
    vsp_maps_release(&req->response, as);
}

/* Free a request that is in no list and not owned by a backend. */
void vsp_request_free(VspRequest *req)
{
    g_assert(req->state == VSP_REQUEST_NEW);
    release_pages(req);
    g_free(req->head);
    vmbus_free_req(req);
}

static void forget(VspRequest *req)
{
    AzureBlobVSP *s = req->vsp;

    g_assert(!is_owned(req));
    g_hash_table_remove(s->requests.by_id, &req->id);
    set_state(req, VSP_REQUEST_NEW);
    if (s->requests.num-- == s->max_inflight) {
        /* the ring was left alone while the table was full */
        VMBusChannel *chan = vmbus_device_channel(VMBUS_DEVICE(s), 0);

        if (vmbus_channel_is_open(chan)) {
            vmbus_channel_notify_host(chan);
        }
    }
    vsp_request_free(req);
}

/* The completion is in the ring, or never will be. */
void vsp_request_dequeued(AzureBlobVSP *s, VspRequest *req)
{
    forget(req);
}

/*
 * The request has its answer and no backend owns it any more.  The pages are
 * given back before the guest can see the completion.
 */
static void finish(VspRequest *req, uint32_t status, uint32_t response_length)
{
    AzureBlobVSP *s = req->vsp;

    trace_azure_blob_vsp_finish(req->id, status, response_length, req->orphan);
    release_pages(req);
    req->status = status;
    req->answer_response = response_length;

    if (req->orphan) {
        /* leave the owned list first: forget() insists */
        set_state(req, VSP_REQUEST_DONE);
        forget(req);
        return;
    }
    g_hash_table_remove(s->requests.by_id, &req->id);
    set_state(req, VSP_REQUEST_DONE);
}

/* After finish(): tell the guest, and whoever waits for the fence. */
static void finished(AzureBlobVSP *s)
{
    vsp_flush_completions(s);
    if (!vsp_requests_busy(s)) {
        vsp_idle(s);
    }
}

/* ---- clocks ---- */

static void arm_deadline(AzureBlobVSP *s, int64_t deadline)
{
    if (deadline != INT64_MAX) {
        timer_mod_anticipate(s->requests.deadline_timer, deadline);
    }
}

static void send_cancel(VspRequest *req)
{
    AzureBlobVSP *s = req->vsp;

    trace_azure_blob_vsp_cancel(req->id, req->cancel_flags);
    s->stats.cancelled++;
    vsp_link_send_bare(s, AZL_CANCEL, req->cancel_flags, req->id);
}

/* Ask for the pages back.  A lost backend can't be asked, only waited for. */
static void cancel_owned(VspRequest *req, uint16_t flags)
{
    AzureBlobVSP *s = req->vsp;

    if (req->cancelled) {
        /* the same word, but now it is to end */
        req->hold = false;
        return;
    }
    req->cancelled = true;
    req->cancel_flags = flags;
    req->grace_end = qemu_clock_get_ms(QEMU_CLOCK_REALTIME) + CANCEL_GRACE_MS;
    timer_mod_anticipate(s->requests.grace_timer, req->grace_end);
    if (req->state == VSP_REQUEST_SENT) {
        send_cancel(req);
    }
}

/*
 * One timer for all: it is set for the earliest deadline, and looks through the
 * table when it fires.  With time-outs far longer than a request takes that is
 * rare, and costs nothing for each request.
 */
static void deadline_passed(void *opaque)
{
    AzureBlobVSP *s = opaque;
    int64_t now = virtual_ms();
    int64_t next = INT64_MAX;
    VspRequest *req, *tmp;

    QTAILQ_FOREACH_SAFE(req, &s->requests.waiting, next, tmp) {
        if (req->deadline <= now) {
            trace_azure_blob_vsp_timeout(req->id, req->tried);
            s->stats.timeouts++;
            finish(req, VSP_WIRE_STATUS_TIMEOUT, 0);
        } else {
            next = MIN(next, req->deadline);
        }
    }
    QTAILQ_FOREACH(req, &s->requests.owned, next) {
        if (req->cancelled) {
            continue;
        }
        if (req->deadline <= now) {
            trace_azure_blob_vsp_timeout(req->id, req->tried);
            s->stats.timeouts++;
            cancel_owned(req, AZL_CANCEL_TIMEOUT);
        } else {
            next = MIN(next, req->deadline);
        }
    }
    arm_deadline(s, next);
    finished(s);
}

static void grace_passed(void *opaque)
{
    AzureBlobVSP *s = opaque;
    int64_t now = qemu_clock_get_ms(QEMU_CLOCK_REALTIME);
    int64_t next = INT64_MAX;
    unsigned fresh = 0;
    uint64_t first = 0;
    VspRequest *req;

    QTAILQ_FOREACH(req, &s->requests.owned, next) {
        if (!req->cancelled || req->stuck) {
            continue;
        }
        if (req->grace_end <= now) {
            req->stuck = true;
            s->stats.stuck++;
            first = fresh++ ? first : req->id;
        } else {
            next = MIN(next, req->grace_end);
        }
    }
    if (fresh) {
        g_autofree char *path = object_get_canonical_path(OBJECT(s));

        warn_report("%s: the backend has not confirmed the end of %u cancelled "
                    "request(s), the first is %" PRIu64 "; the guest's pages "
                    "stay with it until it does, or until its process ends",
                    TYPE_AZURE_BLOB_VSP, fresh, first);
        qapi_event_send_azure_blob_vsp_unconfirmed(DEVICE(s)->id, path, fresh,
                                                   first);
    }
    if (next != INT64_MAX) {
        timer_mod_anticipate(s->requests.grace_timer, next);
    }
}

/* ---- the way of a request ---- */

/* Take over a request that was checked and whose pages are mapped. */
void vsp_request_submit(AzureBlobVSP *s, VspRequest *req)
{
    req->id = s->requests.next_id++;
    req->deadline = req->timeout_ms ? virtual_ms() + req->timeout_ms
                                    : INT64_MAX;
    g_hash_table_insert(s->requests.by_id, &req->id, req);
    s->requests.num++;
    s->stats.requests++;
    set_state(req, VSP_REQUEST_WAITING);
    arm_deadline(s, req->deadline);
}

/* Answer a packet that is no request, or goes no further; unmap its pages. */
void vsp_request_answer(AzureBlobVSP *s, VspRequest *req, uint32_t status)
{
    req->status = status;
    s->requests.num++;
    release_pages(req);
    set_state(req, VSP_REQUEST_DONE);
}

static uint32_t timeout_left(const VspRequest *req)
{
    int64_t left;

    if (req->deadline == INT64_MAX) {
        return 0;
    }
    left = req->deadline - virtual_ms();
    /* one of a loaded machine may be any; 0 would be for ever */
    return MIN(MAX(left, 1), UINT32_MAX);
}

/* Give the request to the link: its pages are the backend's then. */
static void forward(VspRequest *req)
{
    AzureBlobVSP *s = req->vsp;
    size_t head_size = ROUND_UP(req->head_length, 8);
    unsigned segments = req->data.num + req->response.num;
    size_t len = sizeof(struct azl_request) + head_size;
    size_t payload = 0;
    uint16_t flags = req->tried ? AZL_REQUEST_RESENT : 0;
    struct azl_request *msg;
    struct azl_segment *seg;

    msg = g_malloc0(len + segments * sizeof(*seg));
    seg = (void *)msg + len;

    req->inlined =
        segments > AZL_MAX_SEGMENTS ||
        !vsp_regions_segments(s, &req->data,
                              req->data_valid ? AZL_SEGMENT_DATA_IN
                                              : AZL_SEGMENT_DATA_OUT, seg) ||
        !vsp_regions_segments(s, &req->response, AZL_SEGMENT_RESPONSE,
                              seg + req->data.num);
    if (req->inlined) {
        flags |= AZL_REQUEST_INLINE;
        payload = req->data_valid;
        segments = 0;
        s->stats.inlined++;
    } else {
        len += segments * sizeof(*seg);
    }

    msg->header.length = cpu_to_le32(len + payload);
    msg->header.type = cpu_to_le16(AZL_REQUEST);
    msg->header.flags = cpu_to_le16(flags);
    msg->header.id = cpu_to_le64(req->id);
    msg->operation = cpu_to_le32(req->operation);
    msg->timeout_ms = cpu_to_le32(timeout_left(req));
    msg->head_length = cpu_to_le32(req->head_length);
    msg->response_length = cpu_to_le32(req->response_length);
    msg->data_length = cpu_to_le32(req->data_length);
    msg->data_valid = cpu_to_le32(req->data_valid);
    msg->segment_count = cpu_to_le32(segments);
    memcpy(msg->guid, req->guid, sizeof(msg->guid));
    memcpy(msg + 1, req->head, req->head_length);

    trace_azure_blob_vsp_forward(req->id, flags, segments, len + payload);
    s->stats.forwarded++;
    s->stats.resent += req->tried;
    s->session.used = true;

    req->resent = req->tried;
    req->tried = true;
    req->written = false;
    set_state(req, VSP_REQUEST_SENT);
    vsp_link_send(s, msg, len, -1, req, payload);
}

/*
 * Forward what can be: while the backend takes more, and the socket does not
 * lag behind, so that the queue never holds more than a few messages.
 */
void vsp_requests_pump(AzureBlobVSP *s)
{
    bool ended = false;

    if (s->requests.pumping) {
        return;
    }
    s->requests.pumping = true;

    while (vsp_session_ready(s) && !vsp_link_full(s) &&
           s->requests.num_owned < s->session.max_inflight) {
        VspRequest *req = QTAILQ_FIRST(&s->requests.waiting);

        if (!req) {
            break;
        }
        if (req->head_length > s->session.max_request_head) {
            finish(req, VSP_WIRE_STATUS_BAD_PACKET, 0);
            ended = true;
            continue;
        }
        if (req->tried && !(s->session.features & AZL_FEATURE_RESEND)) {
            /* this backend can't know whether it has happened already */
            finish(req, VSP_WIRE_STATUS_FAILED, 0);
            ended = true;
            continue;
        }
        if (vsp_regions_learn(s, &req->data) ||
            vsp_regions_learn(s, &req->response)) {
            /* pumped again by its REGION_STATUS */
            break;
        }
        forward(req);
    }

    s->requests.pumping = false;
    if (ended) {
        finished(s);
    }
}

/* The request with this id that is on the present link, or NULL. */
VspRequest *vsp_request_find_sent(AzureBlobVSP *s, uint64_t id)
{
    VspRequest *req = g_hash_table_lookup(s->requests.by_id, &id);

    return req && req->state == VSP_REQUEST_SENT ? req : NULL;
}

/* No backend has it, and somebody waits for it: it will be sent again. */
static void wait_again(VspRequest *req)
{
    AzureBlobVSP *s = req->vsp;
    VspRequest *other;

    req->cancelled = false;
    req->hold = false;
    req->stuck = false;
    set_state(req, VSP_REQUEST_WAITING);
    arm_deadline(s, req->deadline);
    /* in the order in which they came */
    QTAILQ_FOREACH(other, &s->requests.waiting, next) {
        if (other->id > req->id) {
            QTAILQ_REMOVE(&s->requests.waiting, req, next);
            QTAILQ_INSERT_BEFORE(other, req, next);
            break;
        }
    }
}

/* COMPLETE has arrived in full and was checked; the answer is in @req. */
void vsp_request_answered(AzureBlobVSP *s, VspRequest *req)
{
    if (req->hold && !req->orphan &&
        req->status == VSP_WIRE_STATUS_CANCELLED) {
        wait_again(req);
    } else {
        finish(req, req->status, req->answer_response);
    }
    finished(s);
}

/* The connection is gone, which says nothing about the pages. */
void vsp_requests_lost(AzureBlobVSP *s)
{
    VspRequest *req;

    if (!vsp_requests_busy(s)) {
        return;
    }
    s->stats.lost++;
    QTAILQ_FOREACH(req, &s->requests.owned, next) {
        set_state(req, VSP_REQUEST_LOST);
    }
}

/*
 * The backend that had the lost requests touches no page any more.  Those that
 * somebody still waits for go to the front of the queue, in their order.
 */
void vsp_requests_proven(AzureBlobVSP *s)
{
    bool resend = s->session.features & AZL_FEATURE_RESEND;
    VspRequest *req, *prev;

    trace_azure_blob_vsp_proven(s->requests.num_owned);

    QTAILQ_FOREACH_REVERSE_SAFE(req, &s->requests.owned, next, prev) {
        g_assert(req->state == VSP_REQUEST_LOST);
        if (req->orphan) {
            finish(req, VSP_WIRE_STATUS_CANCELLED, 0);
        } else if (req->cancelled && !req->hold) {
            finish(req, req->cancel_flags & AZL_CANCEL_TIMEOUT ?
                   VSP_WIRE_STATUS_TIMEOUT : VSP_WIRE_STATUS_CANCELLED, 0);
        } else if (!resend) {
            finish(req, VSP_WIRE_STATUS_FAILED, 0);
        } else {
            wait_again(req);
        }
    }
    finished(s);
}

/*
 * The guest wants a request to end.  Whatever happens it gets one completion
 * for it, which says what came first.  False if it is not there any more.
 */
bool vsp_request_cancel(AzureBlobVSP *s, uint64_t transaction)
{
    VspRequest *req;

    QTAILQ_FOREACH(req, &s->requests.waiting, next) {
        if (req->chan_req.transaction_id == transaction) {
            /* whoever reads packets flushes completions afterwards */
            finish(req, VSP_WIRE_STATUS_CANCELLED, 0);
            return true;
        }
    }
    QTAILQ_FOREACH(req, &s->requests.owned, next) {
        if (req->chan_req.transaction_id == transaction) {
            cancel_owned(req, 0);
            return true;
        }
    }
    return false;
}

/*
 * End everything soon; the guest gets its completions.  For a rescind: the host
 * gives back what is in flight first.
 */
void vsp_requests_cancel_all(AzureBlobVSP *s)
{
    VspRequest *req, *tmp;

    QTAILQ_FOREACH_SAFE(req, &s->requests.waiting, next, tmp) {
        finish(req, VSP_WIRE_STATUS_CANCELLED, 0);
    }
    QTAILQ_FOREACH(req, &s->requests.owned, next) {
        cancel_owned(req, 0);
    }
    finished(s);
}

/*
 * Get the pages back to send the requests again later.  What the guest has
 * given up itself ends as it would.
 */
void vsp_requests_hold_all(AzureBlobVSP *s)
{
    VspRequest *req;

    QTAILQ_FOREACH(req, &s->requests.owned, next) {
        if (!req->cancelled) {
            cancel_owned(req, 0);
            req->hold = true;
        }
    }
    vsp_flush_completions(s);
}

/* A backend was told to end something and has not done so for a long time. */
bool vsp_requests_any_stuck(AzureBlobVSP *s)
{
    VspRequest *req;

    QTAILQ_FOREACH(req, &s->requests.owned, next) {
        if (req->stuck) {
            return true;
        }
    }
    return false;
}

/* Take over a request of a saved machine; false if its id is taken. */
bool vsp_request_resume(AzureBlobVSP *s, VspRequest *req)
{
    if (g_hash_table_contains(s->requests.by_id, &req->id)) {
        return false;
    }
    g_hash_table_insert(s->requests.by_id, &req->id, req);
    s->requests.num++;
    set_state(req, VSP_REQUEST_WAITING);
    arm_deadline(s, req->deadline);
    return true;
}

/* The ids are those of another session: take ones of this. */
void vsp_requests_renumber(AzureBlobVSP *s)
{
    VspRequest *req;

    g_hash_table_remove_all(s->requests.by_id);
    QTAILQ_FOREACH(req, &s->requests.waiting, next) {
        req->id = s->requests.next_id++;
        g_hash_table_insert(s->requests.by_id, &req->id, req);
    }
}

/* The channel is gone: end everything soon, and tell nobody. */
void vsp_requests_orphan_all(AzureBlobVSP *s)
{
    VspRequest *req, *tmp;

    QTAILQ_FOREACH_SAFE(req, &s->requests.done, next, tmp) {
        s->stats.orphaned++;
        forget(req);
    }
    QTAILQ_FOREACH_SAFE(req, &s->requests.waiting, next, tmp) {
        s->stats.orphaned++;
        req->orphan = true;
        finish(req, VSP_WIRE_STATUS_CANCELLED, 0);
    }
    QTAILQ_FOREACH(req, &s->requests.owned, next) {
        if (!req->orphan) {
            s->stats.orphaned++;
            req->orphan = true;
        }
        cancel_owned(req, 0);
    }
}

/*
 * Wait, without the main loop, until the backend owns nothing.  For those who
 * can't be told "later": reset and unrealize.  Only the main AioContext runs
 * meanwhile, which is where the link, the pidfd and the grace timer live; a
 * backend that never confirms and never dies keeps us here, and that is the
 * point.
 */
void vsp_requests_wait(AzureBlobVSP *s, const char *why)
{
    if (!vsp_requests_busy(s)) {
        return;
    }
    trace_azure_blob_vsp_wait(why, s->requests.num_owned);
    AIO_WAIT_WHILE(NULL, vsp_requests_busy(s));
    trace_azure_blob_vsp_wait_over(why);
}

void vsp_requests_init(AzureBlobVSP *s)
{
    VspRequests *r = &s->requests;

    QTAILQ_INIT(&r->waiting);
    QTAILQ_INIT(&r->owned);
    QTAILQ_INIT(&r->done);
    r->by_id = g_hash_table_new(g_int64_hash, g_int64_equal);
    r->next_id = 1;
    r->deadline_timer = timer_new_ms(QEMU_CLOCK_VIRTUAL, deadline_passed, s);
    r->grace_timer = aio_timer_new(qemu_get_aio_context(), QEMU_CLOCK_REALTIME,
                                   SCALE_MS, grace_passed, s);
}

/* Nothing may be owned any more. */
void vsp_requests_cleanup(AzureBlobVSP *s)
{
    VspRequests *r = &s->requests;

    g_assert(!r->num);
    timer_free(r->deadline_timer);
    timer_free(r->grace_timer);
    g_hash_table_destroy(r->by_id);
}
