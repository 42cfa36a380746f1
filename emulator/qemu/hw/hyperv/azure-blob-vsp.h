/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * VMBus device azure-blob-vsp: what its parts share
 *
 *   azure-blob-vsp.c          the device and the guest's side: packets, checks,
 *                             completions
 *   azure-blob-vsp-mem.c      guest memory: pages of a request, regions
 *   azure-blob-vsp-buf.c      registered buffers and what else protocol 2 has
 *   azure-blob-vsp-req.c      the request table, time-outs, the fence
 *   azure-blob-vsp-session.c  the conversation with the backend, message by
 *                             message
 *   azure-blob-vsp-link.c     bytes and file descriptors on the socket
 *   azure-blob-vsp-query.c    what QMP tells of all that
 *   azure-blob-vsp-migrate.c  snapshots and migration
 *
 * Everything runs in the main loop's thread with the BQL held.  docs/wire.md
 * tells what may be expected from this device from outside.
 */

#ifndef HW_HYPERV_AZURE_BLOB_VSP_H
#define HW_HYPERV_AZURE_BLOB_VSP_H

#include "azblob/vsp_link.h"
#include "chardev/char-fe.h"
#include "exec/cpu-common.h"
#include "exec/ramlist.h"
#include "hw/hyperv/vmbus.h"
#include "io/channel-socket.h"
#include "migration/qemu-file-types.h"
#include "qemu/iov.h"
#include "qemu/queue.h"
#include "qemu/timer.h"
#include "qemu/uuid.h"
#include "qom/object.h"
#include "system/runstate.h"

#define TYPE_AZURE_BLOB_VSP "azure-blob-vsp"
OBJECT_DECLARE_TYPE(AzureBlobVSP, AzureBlobVSPClass, AZURE_BLOB_VSP)

typedef struct VspRequest VspRequest;

/* ---- memory ---- */

/*
 * A piece of guest RAM that a request may use: host address and length in
 * bytes.  It holds a reference to the memory region it is part of.
 */
typedef struct VspMap {
    uint8_t *host;
    uint64_t len;
    RAMBlock *block;
    uint64_t offset; /* bytes from the start of @block */
} VspMap;

/* One buffer of a request, in order; merged where it is contiguous. */
typedef struct VspMaps {
    VspMap *map;
    unsigned num;
    unsigned alloc;
    uint64_t len;   /* bytes of all maps together */
    bool is_write;  /* the backend writes here */
} VspMaps;

typedef enum VspRegionState {
    VSP_REGION_FREE,
    VSP_REGION_ADDING,   /* REGION_ADD sent */
    VSP_REGION_READY,    /* REGION_STATUS said 0 */
    VSP_REGION_REFUSED,  /* it said something else */
    VSP_REGION_DELETING, /* REGION_DEL sent */
} VspRegionState;

typedef struct VspRegion {
    VspRegionState state;
    bool gone;       /* removed while it was still being added */
    RAMBlock *block; /* NULL once the block is gone */
    void *host;
    uint64_t size;
} VspRegion;

typedef struct VspRegions {
    VspRegion region[AZL_MAX_REGIONS];
    unsigned pending;         /* how many are ADDING */
    RAMBlockNotifier notifier;
} VspRegions;

bool vsp_maps_add(VspMaps *maps, AddressSpace *as, const QEMUSGList *sgl,
                  uint64_t off, uint64_t len, bool is_write);
void vsp_maps_release(VspMaps *maps, AddressSpace *as);
unsigned vsp_maps_iov(const VspMaps *maps, uint64_t off, uint64_t len,
                      struct iovec *iov, unsigned max);
bool vsp_maps_add_pages(VspMaps *maps, AddressSpace *as, const uint64_t *pfn,
                        uint64_t off, uint64_t len, bool is_write);
bool vsp_maps_add_block(VspMaps *maps, const char *block, uint64_t off,
                        uint64_t len);
void vsp_maps_copy(const VspMaps *maps, void *buf);
bool vsp_sgl_read(AddressSpace *as, const QEMUSGList *sgl, uint64_t off,
                  void *buf, uint64_t len);

void vsp_regions_init(AzureBlobVSP *s);
void vsp_regions_cleanup(AzureBlobVSP *s);
void vsp_regions_start(AzureBlobVSP *s);
void vsp_regions_stop(AzureBlobVSP *s);
bool vsp_regions_status(AzureBlobVSP *s, uint64_t id, uint32_t error);
bool vsp_regions_gone(AzureBlobVSP *s, uint64_t id);
bool vsp_regions_learn(AzureBlobVSP *s, const VspMaps *maps);
bool vsp_regions_segments(AzureBlobVSP *s, const VspMaps *maps, uint32_t use,
                          struct azl_segment *seg);

/* ---- registered buffers ---- */

#define VSP_MAX_BUFFERS 1024u
#define VSP_MAX_BUFFER_BYTES (1024ull * 1024 * 1024)
/* What is offered; a guest may take less, or more. */
#define VSP_RING_SIZE (1024u * 1024)

typedef struct VspBuffer VspBuffer;

typedef struct VspBuffers {
    GHashTable *by_id;
    uint64_t pages;     /* of all of them */
} VspBuffers;

const VspBuffer *vsp_buffer_get(AzureBlobVSP *s, uint32_t id);
bool vsp_buffer_map(AzureBlobVSP *s, const VspBuffer *buf, VspMaps *maps,
                    uint64_t at, uint64_t len, bool is_write);
bool vsp_buffer_read(AzureBlobVSP *s, const VspBuffer *buf, uint64_t at,
                     void *to, uint64_t len);
uint32_t vsp_control(AzureBlobVSP *s, const VMBusChanReq *cr);
void vsp_buffers_clear(AzureBlobVSP *s);
void vsp_buffers_init(AzureBlobVSP *s);
void vsp_buffers_cleanup(AzureBlobVSP *s);
void vsp_buffers_put(AzureBlobVSP *s, QEMUFile *f);
bool vsp_buffers_get(AzureBlobVSP *s, QEMUFile *f);

/* ---- link ---- */

/* An outgoing message; its payload, if any, is read from guest memory. */
typedef struct VspOut {
    QSIMPLEQ_ENTRY(VspOut) next;
    uint8_t *buf;
    size_t len;
    size_t done;           /* of @buf and then of the payload */
    int fd;                /* to go with the first byte, or -1 */
    VspRequest *req;       /* the REQUEST's request, or NULL */
    size_t payload_len;    /* bytes of @req's data after @buf */
} VspOut;

#define VSP_LINK_IN_SIZE (64 * 1024)

typedef struct VspLink {
    CharBackend chr;
    /*
     * The chardev is not connected.  It says so with its lock held, or while it
     * is finalized: neither is a moment to call it.
     */
    bool chr_closed;
    QIOChannelSocket *sioc; /* our own handle on the socket, NULL if none */
    int fd;
    /* counts connections; tells a nested callback that its link is gone */
    unsigned generation;
    bool watching_out;
    bool write_failed;

    QSIMPLEQ_HEAD(, VspOut) out;
    size_t out_bytes;

    uint8_t *in;            /* VSP_LINK_IN_SIZE bytes */
    size_t in_len;
    int in_fd;              /* received with WELCOME, -1 if none */
    /* the payload of a COMPLETE on its way into guest memory */
    VspRequest *in_req;
    uint64_t in_done;
} VspLink;

bool vsp_link_init(AzureBlobVSP *s, Error **errp);
void vsp_link_start(AzureBlobVSP *s);
void vsp_link_cleanup(AzureBlobVSP *s);
bool vsp_link_connected(AzureBlobVSP *s);
void vsp_link_send(AzureBlobVSP *s, void *msg, size_t len, int fd,
                   VspRequest *req, size_t payload_len);
void vsp_link_send_bare(AzureBlobVSP *s, uint16_t type, uint16_t flags,
                        uint64_t id);
bool vsp_link_full(AzureBlobVSP *s);
void vsp_link_drain(AzureBlobVSP *s);
void vsp_link_drop(AzureBlobVSP *s);

/* ---- session ---- */

typedef enum VspSessionState {
    VSP_SESSION_DOWN,    /* no connection */
    VSP_SESSION_HELD,    /* connected; the backend before is not proven done */
    VSP_SESSION_HELLO,   /* HELLO sent */
    VSP_SESSION_UP,      /* WELCOME received */
    VSP_SESSION_LEAVING, /* GOODBYE sent */
    VSP_SESSION__MAX,
} VspSessionState;

typedef struct VspSession {
    VspSessionState state;
    QemuUUID id;
    bool used;              /* a REQUEST was sent in this session */
    uint32_t max_request_head;
    uint32_t max_inflight;
    uint64_t features;
    /*
     * The process at the other end, from WELCOME on; after a lost connection
     * the one that is yet to be proven done.  -1: none.
     */
    int pidfd;
    QEMUTimer *leave_timer;
    char *last_problem;     /* last one reported, so that it is said once */
} VspSession;

void vsp_session_init(AzureBlobVSP *s);
void vsp_session_cleanup(AzureBlobVSP *s);
bool vsp_session_ready(AzureBlobVSP *s);
void vsp_session_released(AzureBlobVSP *s);
void vsp_session_renew(AzureBlobVSP *s);
const char *vsp_session_state_name(AzureBlobVSP *s);
void vsp_session_violation(AzureBlobVSP *s, const char *fmt, ...)
    G_GNUC_PRINTF(2, 3);
/* for the link */
void vsp_session_opened(AzureBlobVSP *s);
void vsp_session_closed(AzureBlobVSP *s);
size_t vsp_session_frame(AzureBlobVSP *s, const struct azl_header *hdr);
void vsp_session_message(AzureBlobVSP *s, const void *msg, size_t len);
void vsp_session_payload_done(AzureBlobVSP *s);

/* ---- requests ---- */

typedef enum VspRequestState {
    VSP_REQUEST_NEW,
    VSP_REQUEST_WAITING, /* for a backend; nobody touches its pages */
    VSP_REQUEST_SENT,    /* on the present link; the backend owns its pages */
    VSP_REQUEST_LOST,    /* on a link that is gone; still owns its pages */
    VSP_REQUEST_DONE,    /* answered; waits for room in the guest's ring */
} VspRequestState;

struct VspRequest {
    VMBusChanReq chan_req;  /* must be first: vmbus.c allocates us */

    AzureBlobVSP *vsp;
    QTAILQ_ENTRY(VspRequest) next; /* in the list of its state */
    VspRequestState state;
    uint64_t id;

    uint32_t operation;
    uint32_t timeout_ms;    /* as the guest gave it; 0 is for ever */
    uint32_t data_length;
    uint32_t data_valid;
    uint32_t head_length;
    uint32_t response_length;
    uint8_t guid[16];
    uint8_t *head;
    VspMaps data;
    VspMaps response;

    int64_t accepted;       /* ms, QEMU_CLOCK_VIRTUAL */
    int64_t deadline;       /* ms, QEMU_CLOCK_VIRTUAL; INT64_MAX is never */
    int64_t grace_end;      /* ms, QEMU_CLOCK_REALTIME; 0 until cancelled */
    uint16_t cancel_flags;
    bool cancelled;         /* CANCEL is sent, or to be implied by the state */
    bool hold;              /* cancelled to be sent again, not to be ended */
    bool orphan;            /* the guest gets no completion */
    bool tried;             /* some backend may have run it */
    bool resent;            /* it is not the first one's that has it now */
    bool inlined;           /* on the present link */
    bool written;           /* the whole message has left */
    bool stuck;             /* reported as not confirmed */

    uint32_t status;        /* the answer */
    uint32_t answer_response;
    uint32_t answer_data;
    uint16_t answer_flags;
};

typedef QTAILQ_HEAD(VspRequestList, VspRequest) VspRequestList;

typedef struct VspRequests {
    GHashTable *by_id;      /* of all but NEW and DONE ones */
    VspRequestList waiting;
    VspRequestList owned;   /* SENT and LOST */
    VspRequestList done;
    unsigned num;           /* all of them */
    unsigned num_owned;
    uint64_t next_id;
    QEMUTimer *deadline_timer; /* QEMU_CLOCK_VIRTUAL */
    QEMUTimer *grace_timer;    /* QEMU_CLOCK_REALTIME, on the main AioContext */
    bool pumping;
} VspRequests;

void vsp_requests_init(AzureBlobVSP *s);
void vsp_requests_cleanup(AzureBlobVSP *s);
void vsp_request_submit(AzureBlobVSP *s, VspRequest *req);
void vsp_request_answer(AzureBlobVSP *s, VspRequest *req, uint32_t status);
void vsp_request_free(VspRequest *req);
void vsp_request_dequeued(AzureBlobVSP *s, VspRequest *req);
VspRequest *vsp_request_find_sent(AzureBlobVSP *s, uint64_t id);
void vsp_request_answered(AzureBlobVSP *s, VspRequest *req);
bool vsp_request_cancel(AzureBlobVSP *s, uint64_t transaction);
void vsp_requests_pump(AzureBlobVSP *s);
void vsp_requests_lost(AzureBlobVSP *s);
void vsp_requests_proven(AzureBlobVSP *s);
void vsp_requests_cancel_all(AzureBlobVSP *s);
void vsp_requests_orphan_all(AzureBlobVSP *s);
bool vsp_requests_busy(AzureBlobVSP *s);
void vsp_requests_hold_all(AzureBlobVSP *s);
bool vsp_requests_any_stuck(AzureBlobVSP *s);
bool vsp_request_resume(AzureBlobVSP *s, VspRequest *req);
void vsp_requests_renumber(AzureBlobVSP *s);
void vsp_requests_wait(AzureBlobVSP *s, const char *why);

/* ---- device ---- */

/* Counters; read-only properties of the device, stat-NAME with hyphens. */
#define VSP_COUNTERS(X)                                                     \
    X(requests, "packets accepted as requests")                             \
    X(completed, "requests answered to the guest")                          \
    X(bad_packets, "packets refused or that stopped the channel")           \
    X(forwarded, "REQUEST messages sent, resent ones included")             \
    X(resent, "REQUEST messages sent again after a lost backend")           \
    X(inlined, "REQUEST messages sent with their bytes inline")             \
    X(timeouts, "requests whose time-out passed")                           \
    X(cancelled, "CANCEL messages sent")                                    \
    X(stuck, "cancelled requests that the backend did not confirm in time") \
    X(orphaned, "requests whose channel went before they ended")            \
    X(ring_full, "completions that had to wait for room in the ring")       \
    X(sessions, "WELCOMEs received")                                        \
    X(lost, "connections lost with requests in flight")                     \
    X(violations, "backends cut off for breaking the protocol")

typedef struct VspStats {
#define X(name, help) uint64_t name;
    VSP_COUNTERS(X)
#undef X
} VspStats;

struct AzureBlobVSPClass {
    VMBusDeviceClass parent;

    DeviceRealize parent_realize;
};

struct AzureBlobVSP {
    VMBusDevice parent;

    uint32_t max_inflight;  /* property */
    uint32_t protocol;      /* property: the newest to offer */
    bool inline_only;       /* property */
    /* the guest broke a ring, which is left alone until the next open */
    bool recv_stopped;
    bool send_stopped;

    /*
     * No packet is taken and no request is sent: the machine is being saved, or
     * loaded, and has not run since.
     */
    bool held;
    bool saving;            /* its memory is being saved, perhaps as it runs */
    unsigned unfenced;      /* requests not given back when it was held */
    VMChangeStateEntry *vm_state_change;
    struct {                /* as it was when it was saved */
        QemuUUID session;
        bool used;
        uint64_t next_id;
    } saved;

    VspLink link;
    VspSession session;
    VspRegions regions;
    VspBuffers buffers;
    VspRequests requests;
    VspStats stats;
};

void vsp_flush_completions(AzureBlobVSP *s);
void vsp_idle(AzureBlobVSP *s);

/* ---- snapshots and migration ---- */

void vsp_migrate_class_init(DeviceClass *dc);
void vsp_migrate_init(AzureBlobVSP *s);
void vsp_migrate_cleanup(AzureBlobVSP *s);

#endif
