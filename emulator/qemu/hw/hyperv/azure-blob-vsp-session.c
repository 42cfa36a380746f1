/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * VMBus device azure-blob-vsp: the conversation with the backend
 *
 * azblob/vsp_link.h says what the messages mean; this file checks every one
 * that arrives.  The backend is a separate process and may be broken: whatever
 * it sends, the worst that may happen is that it is cut off.
 *
 *   DOWN ---connected---> HELLO ---WELCOME---> UP ---new session---> LEAVING
 *     \---earlier backend not proven done---> HELD ---proven---> HELLO
 *
 * and from everywhere back to DOWN when the connection goes.
 */

#include "qemu/osdep.h"
#include "block/aio.h"
#include "qemu/error-report.h"
#include "qemu/main-loop.h"
#include "azure-blob-vsp.h"
#include "trace.h"

/* A REFUSE's text is for a person; what is longer is no text. */
#define REFUSE_TEXT_MAX 1024
/* How long a backend without requests may take to say GOODBYE. */
#define LEAVE_MS 5000

QEMU_BUILD_BUG_ON(sizeof(struct azl_refuse) + REFUSE_TEXT_MAX >
                  VSP_LINK_IN_SIZE);

static const char *const state_names[VSP_SESSION__MAX] = {
    [VSP_SESSION_DOWN] = "down",
    [VSP_SESSION_HELD] = "held",
    [VSP_SESSION_HELLO] = "hello",
    [VSP_SESSION_UP] = "up",
    [VSP_SESSION_LEAVING] = "leaving",
};

const char *vsp_session_state_name(AzureBlobVSP *s)
{
    return state_names[s->session.state];
}

static void set_state(AzureBlobVSP *s, VspSessionState state)
{
    trace_azure_blob_vsp_session(state_names[s->session.state],
                                 state_names[state]);
    s->session.state = state;
}

/*
 * Say it once: with reconnect-ms the same backend refuses or misbehaves again
 * several times a second.
 */
static void report_problem(AzureBlobVSP *s, char *problem)
{
    if (!g_strcmp0(problem, s->session.last_problem)) {
        g_free(problem);
        return;
    }
    warn_report("%s: %s", TYPE_AZURE_BLOB_VSP, problem);
    g_free(s->session.last_problem);
    s->session.last_problem = problem;
}

/* Cut the backend off. */
void vsp_session_violation(AzureBlobVSP *s, const char *fmt, ...)
{
    g_autofree char *what = NULL;
    va_list ap;

    va_start(ap, fmt);
    what = g_strdup_vprintf(fmt, ap);
    va_end(ap);

    trace_azure_blob_vsp_violation(what);
    s->stats.violations++;
    report_problem(s, g_strdup_printf("the backend broke the protocol (%s) "
                                      "and was cut off", what));
    vsp_link_drop(s);
}

/* ---- the process at the other end ---- */

static void pidfd_readable(void *opaque)
{
    AzureBlobVSP *s = opaque;

    trace_azure_blob_vsp_peer_ended();
    /*
     * It may have said a last word.  What is in the socket is read before the
     * requests are called lost.
     */
    if (vsp_link_connected(s) && s->session.state != VSP_SESSION_HELD) {
        vsp_link_drain(s);
        vsp_link_drop(s);
    }
    if (s->session.pidfd < 0) {
        /* nothing was in flight any more: closed() has let go of it */
        return;
    }
    aio_set_fd_handler(qemu_get_aio_context(), s->session.pidfd,
                       NULL, NULL, NULL, NULL, NULL);
    close(s->session.pidfd);
    s->session.pidfd = -1;

    vsp_requests_proven(s);
    if (s->session.state == VSP_SESSION_HELD) {
        vsp_session_opened(s);
    }
}

static void watch_peer(AzureBlobVSP *s, int pidfd)
{
    s->session.pidfd = pidfd;
    aio_set_fd_handler(qemu_get_aio_context(), pidfd,
                       pidfd_readable, NULL, NULL, NULL, s);
}

static void unwatch_peer(AzureBlobVSP *s)
{
    if (s->session.pidfd < 0) {
        return;
    }
    aio_set_fd_handler(qemu_get_aio_context(), s->session.pidfd,
                       NULL, NULL, NULL, NULL, NULL);
    close(s->session.pidfd);
    s->session.pidfd = -1;
}

/*
 * Only a pidfd will do: anything else could become readable, or never, for
 * reasons that have nothing to do with the process that maps guest memory.
 */
static bool is_pidfd(int fd)
{
    g_autofree char *path = g_strdup_printf("/proc/self/fdinfo/%d", fd);
    g_autofree char *info = NULL;

    return g_file_get_contents(path, &info, NULL, NULL) &&
           g_strrstr(info, "\nPid:\t");
}

/* ---- messages to the backend ---- */

static void send_hello(AzureBlobVSP *s)
{
    struct azl_hello *msg = g_new0(struct azl_hello, 1);
    VMBusDevice *vdev = VMBUS_DEVICE(s);
    /* as VMBus carries it */
    QemuUUID instance = qemu_uuid_bswap(vdev->instanceid);

    msg->header.length = cpu_to_le32(sizeof(*msg));
    msg->header.type = cpu_to_le16(AZL_HELLO);
    msg->magic = cpu_to_le64(AZL_MAGIC);
    msg->version_min = cpu_to_le32(AZL_VERSION);
    msg->version_max = cpu_to_le32(AZL_VERSION);
    msg->features = cpu_to_le64(AZL_FEATURE_RESEND |
                                (s->inline_only ? 0 : AZL_FEATURE_REGIONS));
    memcpy(msg->session, s->session.id.data, sizeof(msg->session));
    memcpy(msg->instance, instance.data, sizeof(msg->instance));
    set_state(s, VSP_SESSION_HELLO);
    vsp_link_send(s, msg, sizeof(*msg), -1, NULL, 0);
}

static void leave(AzureBlobVSP *s)
{
    set_state(s, VSP_SESSION_LEAVING);
    timer_mod(s->session.leave_timer,
              qemu_clock_get_ms(QEMU_CLOCK_REALTIME) + LEAVE_MS);
    vsp_link_send_bare(s, AZL_GOODBYE_EMULATOR, 0, 0);
}

/* Nothing is in flight, so a backend that doesn't answer is simply left. */
static void leave_timeout(void *opaque)
{
    AzureBlobVSP *s = opaque;

    if (s->session.state == VSP_SESSION_LEAVING) {
        vsp_link_drop(s);
    }
}

/*
 * The guest was reset, or its driver has gone: handles and kept answers of
 * before are nobody's any more.  To be called with nothing in flight.
 */
void vsp_session_renew(AzureBlobVSP *s)
{
    g_assert(!vsp_requests_busy(s));

    if (!s->session.used) {
        return;
    }
    s->session.used = false;
    qemu_uuid_generate(&s->session.id);
    if (s->session.state == VSP_SESSION_HELLO) {
        /* it was told of the old one, and there is nothing to say goodbye to */
        vsp_link_drop(s);
    } else if (s->session.state == VSP_SESSION_UP) {
        leave(s);
    }
}

/* Requests may be sent. */
bool vsp_session_ready(AzureBlobVSP *s)
{
    return s->session.state == VSP_SESSION_UP && !s->regions.pending &&
           !s->held;
}

/* The machine runs, and the session is the one to go on with. */
void vsp_session_released(AzureBlobVSP *s)
{
    if (s->session.state == VSP_SESSION_HELD) {
        vsp_session_opened(s);
    }
}

/* ---- what the link tells ---- */

/* A connection, new or held back until now. */
void vsp_session_opened(AzureBlobVSP *s)
{
    if (vsp_requests_busy(s) || s->held) {
        /*
         * the pages of LOST requests still belong to the backend before, or
         * nobody knows yet whether the session goes on here
         */
        set_state(s, VSP_SESSION_HELD);
        return;
    }
    unwatch_peer(s);
    send_hello(s);
}

/* The connection is gone; everything that could be read has been. */
void vsp_session_closed(AzureBlobVSP *s)
{
    timer_del(s->session.leave_timer);
    set_state(s, VSP_SESSION_DOWN);
    vsp_regions_stop(s);
    vsp_requests_lost(s);
    if (!vsp_requests_busy(s)) {
        /* nothing of the guest's is with it: no proof is needed */
        unwatch_peer(s);
    }
}

/* How a message of each type from the backend has to look. */
static const struct {
    bool known;
    bool has_id;
    uint16_t flags;
    size_t min, max;        /* bytes that are buffered; header.length too, */
    bool payload;           /* unless bytes follow */
} shapes[] = {
    [AZL_WELCOME] = {
        .known = true,
        .min = sizeof(struct azl_welcome),
        .max = sizeof(struct azl_welcome),
    },
    [AZL_REGION_STATUS] = {
        .known = true,
        .has_id = true,
        .min = sizeof(struct azl_region_status),
        .max = sizeof(struct azl_region_status),
    },
    [AZL_REGION_GONE] = {
        .known = true,
        .has_id = true,
        .min = sizeof(struct azl_header),
        .max = sizeof(struct azl_header),
    },
    [AZL_COMPLETE] = {
        .known = true,
        .has_id = true,
        .flags = AZL_COMPLETE_ACK,
        .min = sizeof(struct azl_complete),
        .max = sizeof(struct azl_complete),
        .payload = true,
    },
    [AZL_REFUSE] = {
        .known = true,
        .min = sizeof(struct azl_refuse),
        .max = sizeof(struct azl_refuse) + REFUSE_TEXT_MAX,
    },
    [AZL_GOODBYE_BACKEND] = {
        .known = true,
        .min = sizeof(struct azl_header),
        .max = sizeof(struct azl_header),
    },
};

/*
 * A header has arrived: how many bytes are needed before the message can be
 * looked at.  0 if it can't be right; the backend is cut off then.
 */
size_t vsp_session_frame(AzureBlobVSP *s, const struct azl_header *hdr)
{
    uint32_t length = le32_to_cpu(hdr->length);
    uint16_t type = le16_to_cpu(hdr->type);
    uint16_t flags = le16_to_cpu(hdr->flags);

    if (type >= ARRAY_SIZE(shapes) || !shapes[type].known) {
        vsp_session_violation(s, "message type %u", type);
        return 0;
    }
    if (flags & ~shapes[type].flags) {
        vsp_session_violation(s, "flags 0x%x in message type %u", flags, type);
        return 0;
    }
    if (!shapes[type].has_id && hdr->id) {
        vsp_session_violation(s, "an id in message type %u", type);
        return 0;
    }
    if (length < shapes[type].min || length > AZL_MAX_MESSAGE ||
        (length > shapes[type].max && !shapes[type].payload)) {
        vsp_session_violation(s, "length %u of message type %u", length, type);
        return 0;
    }
    return MIN(length, shapes[type].max);
}

static void got_welcome(AzureBlobVSP *s, const struct azl_welcome *msg)
{
    uint64_t features = le64_to_cpu(msg->features);
    uint64_t asked = AZL_FEATURE_RESEND |
                     (s->inline_only ? 0 : AZL_FEATURE_REGIONS);
    uint32_t version = le32_to_cpu(msg->version);
    uint32_t max_head = le32_to_cpu(msg->max_request_head);
    uint32_t max_inflight = le32_to_cpu(msg->max_inflight);
    int fd = s->link.in_fd;

    if (s->session.state != VSP_SESSION_HELLO) {
        vsp_session_violation(s, "a WELCOME that was not asked for");
        return;
    }
    if (version != AZL_VERSION || msg->reserved || (features & ~asked) ||
        !max_head || max_head > AZL_MAX_REQUEST_HEAD ||
        !max_inflight || max_inflight > AZL_MAX_INFLIGHT) {
        vsp_session_violation(s, "WELCOME with version %u, features 0x%" PRIx64
                              ", head %u, in flight %u", version, features,
                              max_head, max_inflight);
        return;
    }
    if (fd < 0 || !is_pidfd(fd)) {
        vsp_session_violation(s, "WELCOME without a pidfd");
        return;
    }

    s->link.in_fd = -1;
    watch_peer(s, fd);
    s->session.features = features;
    s->session.max_request_head = max_head;
    s->session.max_inflight = max_inflight;
    s->stats.sessions++;
    set_state(s, VSP_SESSION_UP);
    if (features & AZL_FEATURE_REGIONS) {
        vsp_regions_start(s);
    }
    vsp_requests_pump(s);
}

static void got_refuse(AzureBlobVSP *s, const struct azl_refuse *msg,
                       size_t len)
{
    size_t text_len = len - sizeof(*msg);
    g_autofree char *text = g_strndup((const char *)(msg + 1), text_len);
    uint32_t error = le32_to_cpu(msg->error);
    char *p;

    if (s->session.state != VSP_SESSION_HELLO) {
        vsp_session_violation(s, "a REFUSE after WELCOME");
        return;
    }
    /* it goes to a log, perhaps to a terminal */
    for (p = text; *p; p++) {
        if ((unsigned char)*p < 0x20 || *p == 0x7f) {
            *p = '?';
        }
    }
    report_problem(s, g_strdup_printf("the backend refused: %s (%s)", text,
                                      error < 4096 ? strerror(error)
                                                   : "unknown error"));
    vsp_link_drop(s);
}

/* COMPLETE, all of it but its payload. */
static void got_complete(AzureBlobVSP *s, const struct azl_complete *msg)
{
    uint64_t id = le64_to_cpu(msg->header.id);
    uint64_t length = le32_to_cpu(msg->header.length);
    uint32_t response = le32_to_cpu(msg->response_length);
    uint32_t data = le32_to_cpu(msg->data_length);
    VspRequest *req = vsp_request_find_sent(s, id);
    uint64_t payload = 0;

    if (!req) {
        vsp_session_violation(s, "COMPLETE for unknown request %" PRIu64, id);
        return;
    }
    if (!req->written) {
        vsp_session_violation(s, "COMPLETE before the end of request %" PRIu64,
                              id);
        return;
    }
    if (req->inlined) {
        payload = (uint64_t)response + data;
    }
    if (response > req->response_length ||
        data > (req->data_valid ? 0 : req->data_length) ||
        msg->reserved || length != sizeof(*msg) + payload) {
        vsp_session_violation(s, "COMPLETE of request %" PRIu64 " with "
                              "response %u of %u, data %u of %u", id,
                              response, req->response_length, data,
                              req->data_valid ? 0 : req->data_length);
        return;
    }

    trace_azure_blob_vsp_complete(id, le32_to_cpu(msg->status), response, data);
    req->status = le32_to_cpu(msg->status);
    req->answer_response = response;
    req->answer_data = data;
    req->answer_flags = le16_to_cpu(msg->header.flags);

    s->link.in_req = req;
    s->link.in_done = 0;
    if (!payload) {
        vsp_session_payload_done(s);
    }
}

/* The payload of the COMPLETE, if it had one, is in the guest's pages. */
void vsp_session_payload_done(AzureBlobVSP *s)
{
    VspRequest *req = s->link.in_req;
    uint64_t id = req->id;

    s->link.in_req = NULL;
    if (req->answer_flags & AZL_COMPLETE_ACK) {
        vsp_link_send_bare(s, AZL_ACK, 0, id);
    }
    g_clear_pointer(&s->session.last_problem, g_free);
    vsp_request_answered(s, req);
    vsp_requests_pump(s);
}

static void got_goodbye(AzureBlobVSP *s)
{
    /*
     * Either side may be first.  It touches no page any more, so requests in
     * flight may go to whoever answers next.
     */
    trace_azure_blob_vsp_goodbye(vsp_session_state_name(s));
    vsp_link_drop(s);
    if (vsp_requests_busy(s)) {
        unwatch_peer(s);
        vsp_requests_proven(s);
    }
}

/* One message, whose header vsp_session_frame() has checked. */
void vsp_session_message(AzureBlobVSP *s, const void *buf, size_t len)
{
    const struct azl_header *hdr = buf;
    uint64_t id = le64_to_cpu(hdr->id);
    uint16_t type = le16_to_cpu(hdr->type);
    bool early = s->session.state != VSP_SESSION_UP &&
                 s->session.state != VSP_SESSION_LEAVING;

    if (s->session.state == VSP_SESSION_HELD) {
        if (type == AZL_GOODBYE_BACKEND || type == AZL_REFUSE) {
            /* tired of waiting for our HELLO */
            vsp_link_drop(s);
        } else {
            vsp_session_violation(s, "a message before HELLO");
        }
        return;
    }
    if (type == AZL_WELCOME) {
        got_welcome(s, buf);
        return;
    }
    if (type == AZL_REFUSE) {
        got_refuse(s, buf, len);
        return;
    }
    if (type == AZL_GOODBYE_BACKEND) {
        got_goodbye(s);
        return;
    }
    if (early) {
        vsp_session_violation(s, "message type %u before WELCOME", type);
        return;
    }

    switch (type) {
    case AZL_REGION_STATUS: {
        const struct azl_region_status *msg = buf;

        if (msg->reserved ||
            !vsp_regions_status(s, id, le32_to_cpu(msg->error))) {
            vsp_session_violation(s, "REGION_STATUS for region %" PRIu64, id);
            return;
        }
        vsp_requests_pump(s);
        break;
    }
    case AZL_REGION_GONE:
        if (!vsp_regions_gone(s, id)) {
            vsp_session_violation(s, "REGION_GONE for region %" PRIu64, id);
        }
        break;
    case AZL_COMPLETE:
        got_complete(s, buf);
        break;
    default:
        g_assert_not_reached(); /* vsp_session_frame() knows no others */
    }
}

void vsp_session_init(AzureBlobVSP *s)
{
    s->session.pidfd = -1;
    qemu_uuid_generate(&s->session.id);
    s->session.leave_timer = timer_new_ms(QEMU_CLOCK_REALTIME, leave_timeout,
                                          s);
}

void vsp_session_cleanup(AzureBlobVSP *s)
{
    unwatch_peer(s);
    timer_free(s->session.leave_timer);
    g_clear_pointer(&s->session.last_problem, g_free);
}
