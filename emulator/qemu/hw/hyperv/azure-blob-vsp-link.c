/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * VMBus device azure-blob-vsp: bytes and file descriptors on the socket
 *
 * The chardev makes the connection, and makes it again; reading and writing is
 * done here, on a handle of our own, for three reasons.  A COMPLETE's bytes go
 * straight into the guest's pages and a REQUEST's come straight from
 * there.  The socket is watched from the main AioContext, so that a reset can
 * wait for the backend without running the whole main loop.  And when the peer
 * closes, what it said last can still be read after the chardev has hung up.
 *
 * Nothing here blocks.  What doesn't fit into the socket is queued; the queue
 * stays short because vsp_requests_pump() stops at vsp_link_full().
 */

#include "qemu/osdep.h"
#include "block/aio.h"
#include "chardev/char-socket.h"
#include "qapi/error.h"
#include "qemu/error-report.h"
#include "qemu/main-loop.h"
#include "azure-blob-vsp.h"
#include "trace.h"

#define LINK_IOV_MAX 64
/* Bytes queued from which on no further request is made into a message. */
#define LINK_FULL (256 * 1024)
/* Reads in one go, before others in the main loop have their turn. */
#define LINK_READS 16
/* The same for a connection that is over: all there can be, but an end. */
#define LINK_DRAIN_READS 4096

typedef enum LinkRead {
    LINK_MORE,
    LINK_BLOCKED,
    LINK_OVER,  /* end of file or an error */
    LINK_GONE,  /* dropped by a callback */
} LinkRead;

static void link_readable(void *opaque);
static void link_writable(void *opaque);

bool vsp_link_connected(AzureBlobVSP *s)
{
    return s->link.sioc;
}

/* No further REQUEST now; pumped again when there is room. */
bool vsp_link_full(AzureBlobVSP *s)
{
    return !s->link.sioc || s->link.write_failed ||
           s->link.out_bytes >= LINK_FULL;
}

static void watch(AzureBlobVSP *s, bool out)
{
    s->link.watching_out = out;
    aio_set_fd_handler(qemu_get_aio_context(), s->link.fd, link_readable,
                       out ? link_writable : NULL, NULL, NULL, s);
}

/* ---- out ---- */

static void free_out(VspLink *l, VspOut *out)
{
    l->out_bytes -= out->len + out->payload_len;
    if (out->fd >= 0) {
        close(out->fd);
    }
    g_free(out->buf);
    g_free(out);
}

/* What is left of one message; returns the number of vectors. */
static unsigned out_iov(const VspOut *out, struct iovec *iov, unsigned max)
{
    size_t payload_done = 0;
    unsigned n = 0;

    if (out->done < out->len) {
        iov[0].iov_base = out->buf + out->done;
        iov[0].iov_len = out->len - out->done;
        n = 1;
    } else {
        payload_done = out->done - out->len;
    }
    if (out->payload_len && n < max) {
        n += vsp_maps_iov(&out->req->data, payload_done,
                          out->payload_len - payload_done, iov + n, max - n);
    }
    return n;
}

static void flush_out(AzureBlobVSP *s)
{
    VspLink *l = &s->link;

    while (!l->write_failed && !QSIMPLEQ_EMPTY(&l->out)) {
        VspOut *first = QSIMPLEQ_FIRST(&l->out);
        bool with_fd = first->fd >= 0 && !first->done;
        struct iovec iov[LINK_IOV_MAX];
        unsigned n = 0;
        VspOut *out;
        ssize_t ret;

        QSIMPLEQ_FOREACH(out, &l->out, next) {
            /* a descriptor goes with the first byte of its own message */
            if (n == LINK_IOV_MAX || (out != first && out->fd >= 0)) {
                break;
            }
            n += out_iov(out, iov + n, LINK_IOV_MAX - n);
            if (out->payload_len) {
                /* perhaps not all of it is in @iov: nothing may follow */
                break;
            }
        }

        ret = qio_channel_writev_full(QIO_CHANNEL(l->sioc), iov, n,
                                      with_fd ? &first->fd : NULL, with_fd,
                                      0, NULL);
        if (ret == QIO_CHANNEL_ERR_BLOCK) {
            if (!l->watching_out) {
                watch(s, true);
            }
            return;
        }
        if (ret < 0) {
            /* the reader finds the end of file, and first what was said last */
            l->write_failed = true;
            break;
        }

        while (ret > 0) {
            size_t left;

            out = QSIMPLEQ_FIRST(&l->out);
            left = out->len + out->payload_len - out->done;
            if (ret < left) {
                out->done += ret;
                break;
            }
            ret -= left;
            if (out->req) {
                out->req->written = true;
            }
            QSIMPLEQ_REMOVE_HEAD(&l->out, next);
            free_out(l, out);
        }
    }

    if (l->watching_out) {
        watch(s, false);
    }
}

static void link_writable(void *opaque)
{
    AzureBlobVSP *s = opaque;

    flush_out(s);
    vsp_requests_pump(s);
}

/*
 * Send @len bytes at @msg, which becomes the link's, then @payload_len bytes of
 * @req's data.  @fd, unless -1, goes with it and becomes the link's as well.
 * @req is told when all has left.
 */
void vsp_link_send(AzureBlobVSP *s, void *msg, size_t len, int fd,
                   VspRequest *req, size_t payload_len)
{
    VspLink *l = &s->link;
    VspOut *out;

    if (!l->sioc) {
        if (fd >= 0) {
            close(fd);
        }
        g_free(msg);
        return;
    }
    out = g_new0(VspOut, 1);
    out->buf = msg;
    out->len = len;
    out->fd = fd;
    out->req = req;
    out->payload_len = payload_len;
    QSIMPLEQ_INSERT_TAIL(&l->out, out, next);
    l->out_bytes += len + payload_len;

    if (!l->watching_out) {
        flush_out(s);
    }
}

void vsp_link_send_bare(AzureBlobVSP *s, uint16_t type, uint16_t flags,
                        uint64_t id)
{
    struct azl_header *msg = g_new0(struct azl_header, 1);

    msg->length = cpu_to_le32(sizeof(*msg));
    msg->type = cpu_to_le16(type);
    msg->flags = cpu_to_le16(flags);
    msg->id = cpu_to_le64(id);
    vsp_link_send(s, msg, sizeof(*msg), -1, NULL, 0);
}

/* ---- in ---- */

static uint64_t payload_len(const VspRequest *req)
{
    return (uint64_t)req->answer_response + req->answer_data;
}

/* The part of a request's pages that the rest of the payload belongs to. */
static unsigned payload_iov(AzureBlobVSP *s, struct iovec *iov, unsigned max)
{
    VspRequest *req = s->link.in_req;
    uint64_t done = s->link.in_done;
    unsigned n = 0;

    if (done < req->answer_response) {
        n = vsp_maps_iov(&req->response, done, req->answer_response - done,
                         iov, max);
        done = 0;
    } else {
        done -= req->answer_response;
    }
    if (n < max) {
        n += vsp_maps_iov(&req->data, done, req->answer_data - done, iov + n,
                          max - n);
    }
    return n;
}

static void payload_advance(AzureBlobVSP *s, size_t len)
{
    s->link.in_done += len;
    if (s->link.in_done == payload_len(s->link.in_req)) {
        vsp_session_payload_done(s);
    }
}

/* Handle what is in the buffer; false if a callback has dropped the link. */
static bool consume(AzureBlobVSP *s)
{
    VspLink *l = &s->link;
    unsigned generation = l->generation;
    size_t pos = 0;

    while (pos < l->in_len) {
        size_t avail = l->in_len - pos;
        union {
            struct azl_header hdr;
            uint64_t align;
            uint8_t bytes[2048];
        } msg;
        size_t frame;

        if (l->in_req) {
            struct iovec iov[LINK_IOV_MAX];
            unsigned n = payload_iov(s, iov, ARRAY_SIZE(iov));
            size_t take = MIN(avail, iov_size(iov, n));

            iov_from_buf(iov, n, 0, l->in + pos, take);
            pos += take;
            payload_advance(s, take);
            if (l->generation != generation) {
                return false;
            }
            continue;
        }

        if (avail < sizeof(msg.hdr)) {
            break;
        }
        memcpy(&msg.hdr, l->in + pos, sizeof(msg.hdr));
        frame = vsp_session_frame(s, &msg.hdr);
        if (!frame) {
            return false;
        }
        if (avail < frame) {
            break;
        }
        g_assert(frame <= sizeof(msg));
        memcpy(&msg, l->in + pos, frame);
        pos += frame;
        vsp_session_message(s, &msg, frame);
        if (l->generation != generation) {
            return false;
        }
    }

    l->in_len -= pos;
    memmove(l->in, l->in + pos, l->in_len);
    return true;
}

static bool take_fds(AzureBlobVSP *s, int *fds, size_t num)
{
    bool ok = num == 0 || (num == 1 && s->link.in_fd < 0 &&
                           s->session.state == VSP_SESSION_HELLO);
    size_t i;

    if (ok && num) {
        s->link.in_fd = fds[0];
    } else {
        for (i = 0; i < num; i++) {
            close(fds[i]);
        }
    }
    g_free(fds);
    if (!ok) {
        vsp_session_violation(s, "%zu file descriptors out of place", num);
    }
    return ok;
}

static LinkRead read_some(AzureBlobVSP *s)
{
    VspLink *l = &s->link;
    unsigned generation = l->generation;
    bool direct = l->in_req && !l->in_len;
    struct iovec iov[LINK_IOV_MAX];
    g_autoptr(Error) err = NULL;
    unsigned n = 1;
    int *fds = NULL;
    size_t num_fds = 0;
    ssize_t ret;

    if (direct) {
        n = payload_iov(s, iov, ARRAY_SIZE(iov));
    } else {
        iov[0].iov_base = l->in + l->in_len;
        iov[0].iov_len = VSP_LINK_IN_SIZE - l->in_len;
    }

    ret = qio_channel_readv_full(QIO_CHANNEL(l->sioc), iov, n, &fds, &num_fds,
                                 0, &err);
    if (ret == QIO_CHANNEL_ERR_BLOCK) {
        return LINK_BLOCKED;
    }
    if (ret < 0) {
        trace_azure_blob_vsp_link_error(error_get_pretty(err));
        return LINK_OVER;
    }
    if (!take_fds(s, fds, num_fds)) {
        return LINK_GONE;
    }
    if (!ret) {
        return LINK_OVER;
    }

    if (direct) {
        payload_advance(s, ret);
        return l->generation == generation ? LINK_MORE : LINK_GONE;
    }
    l->in_len += ret;
    return consume(s) ? LINK_MORE : LINK_GONE;
}

static void link_readable(void *opaque)
{
    AzureBlobVSP *s = opaque;
    int i;

    for (i = 0; i < LINK_READS; i++) {
        switch (read_some(s)) {
        case LINK_MORE:
            break;
        case LINK_OVER:
            vsp_link_drop(s);
            return;
        case LINK_BLOCKED:
        case LINK_GONE:
            return;
        }
    }
}

/*
 * The peer has closed, or is dead: read what it said before.  Nothing is sent
 * any more.  The link may be dropped on the way, but need not be.
 */
void vsp_link_drain(AzureBlobVSP *s)
{
    int i;

    s->link.write_failed = true;
    for (i = 0; i < LINK_DRAIN_READS; i++) {
        if (read_some(s) != LINK_MORE) {
            return;
        }
    }
}

/* ---- connections ---- */

static void link_open(AzureBlobVSP *s)
{
    VspLink *l = &s->link;
    SocketChardev *sc = SOCKET_CHARDEV(qemu_chr_fe_get_driver(&l->chr));
    g_autoptr(Error) err = NULL;
    int fd;

    if (l->sioc) {
        vsp_link_drop(s);
        return;
    }

    fd = qemu_dup(sc->sioc->fd);
    if (fd < 0) {
        error_report("%s: can't duplicate the socket: %s",
                     TYPE_AZURE_BLOB_VSP, strerror(errno));
        qemu_chr_fe_disconnect(&l->chr);
        return;
    }
    l->sioc = qio_channel_socket_new_fd(fd, &err);
    if (!l->sioc || !qio_channel_has_feature(QIO_CHANNEL(l->sioc),
                                             QIO_CHANNEL_FEATURE_FD_PASS)) {
        error_report("%s: the chardev is no Unix socket",
                     TYPE_AZURE_BLOB_VSP);
        if (l->sioc) {
            object_unref(OBJECT(l->sioc));
            l->sioc = NULL;
        } else {
            close(fd);
        }
        qemu_chr_fe_disconnect(&l->chr);
        return;
    }

    l->fd = fd;
    l->generation++;
    l->write_failed = false;
    l->in_fd = -1;
    watch(s, false);
    trace_azure_blob_vsp_link_up(l->generation);
    vsp_session_opened(s);
}

static void link_close(AzureBlobVSP *s)
{
    VspLink *l = &s->link;
    VspOut *out;

    trace_azure_blob_vsp_link_down(l->generation);

    aio_set_fd_handler(qemu_get_aio_context(), l->fd, NULL, NULL, NULL, NULL,
                       NULL);
    object_unref(OBJECT(l->sioc));
    l->sioc = NULL;
    l->fd = -1;
    l->generation++;
    l->watching_out = false;
    while ((out = QSIMPLEQ_FIRST(&l->out))) {
        QSIMPLEQ_REMOVE_HEAD(&l->out, next);
        free_out(l, out);
    }
    l->in_len = 0;
    l->in_req = NULL;
    if (l->in_fd >= 0) {
        close(l->in_fd);
        l->in_fd = -1;
    }

    vsp_session_closed(s);
}

/*
 * End the connection.  With reconnect-ms the chardev tries again, and
 * vsp_session_opened() is called when it succeeds.
 */
void vsp_link_drop(AzureBlobVSP *s)
{
    if (!s->link.sioc) {
        return;
    }
    link_close(s);
    if (!s->link.chr_closed) {
        qemu_chr_fe_disconnect(&s->link.chr);
    }
}

static void chr_event(void *opaque, QEMUChrEvent event)
{
    AzureBlobVSP *s = opaque;

    switch (event) {
    case CHR_EVENT_OPENED:
        s->link.chr_closed = false;
        link_open(s);
        break;
    case CHR_EVENT_CLOSED:
        /* from here on it must not be told to close, see chr_closed */
        s->link.chr_closed = true;
        if (s->link.sioc) {
            vsp_link_drain(s);
            vsp_link_drop(s);
        }
        break;
    default:
        break;
    }
}

/* The chardev is not to read; we do. */
static int chr_can_read(void *opaque)
{
    return 0;
}

static void chr_read(void *opaque, const uint8_t *buf, int size)
{
    g_assert_not_reached();
}

bool vsp_link_init(AzureBlobVSP *s, Error **errp)
{
    VspLink *l = &s->link;
    Chardev *chr;
    SocketChardev *sc;

    if (!qemu_chr_fe_backend_connected(&l->chr)) {
        error_setg(errp, "'chardev' is not set; it takes the id of a socket "
                   "chardev that connects to the backend");
        return false;
    }
    chr = qemu_chr_fe_get_driver(&l->chr);
    if (!object_dynamic_cast(OBJECT(chr), TYPE_CHARDEV_SOCKET)) {
        error_setg(errp, "chardev '%s' is not of the socket type", chr->label);
        return false;
    }
    sc = SOCKET_CHARDEV(chr);
    if (!sc->addr || sc->addr->type != SOCKET_ADDRESS_TYPE_UNIX ||
        sc->is_telnet || sc->is_tn3270 || sc->is_websock || sc->tls_creds) {
        error_setg(errp, "chardev '%s' is not a plain Unix socket (path=...)",
                   chr->label);
        return false;
    }

    l->fd = -1;
    l->in_fd = -1;
    l->in = g_malloc(VSP_LINK_IN_SIZE);
    QSIMPLEQ_INIT(&l->out);
    return true;
}

/* From here on connections are noticed; one that exists already at once. */
void vsp_link_start(AzureBlobVSP *s)
{
    qemu_chr_fe_set_handlers(&s->link.chr, chr_can_read, chr_read, chr_event,
                             NULL, s, NULL, true);
}

void vsp_link_cleanup(AzureBlobVSP *s)
{
    qemu_chr_fe_set_handlers(&s->link.chr, NULL, NULL, NULL, NULL, NULL, NULL,
                             false);
    vsp_link_drop(s);
    qemu_chr_fe_deinit(&s->link.chr, false);
    g_free(s->link.in);
    s->link.in = NULL;
}
