/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * VMBus as a test rig: a recording of what goes over the bus
 *
 * The file is pcap with nanoseconds and link type 147, the first of those that
 * nobody else may use.  All of it is little-endian.  A record is the header
 * below and what came over the bus.  A recording that begins in the middle has
 * first a record for each channel, so that a reader knows what they are.
 */

#include "qemu/osdep.h"
#include "hw/hyperv/vmbus-rig.h"
#include "qapi/error.h"
#include "qapi/qapi-commands-vmbus.h"
#include "qemu/bswap.h"
#include "qemu/error-report.h"

#define PCAP_MAGIC_NS 0xa1b23c4d
#define PCAP_LINKTYPE_USER0 147

#define SNAPLEN_MIN 64
#define SNAPLEN_MAX 65536
#define SNAPLEN_DEFAULT 1024

typedef struct QEMU_PACKED PcapHeader {
    uint32_t magic;
    uint16_t major, minor;
    uint32_t zone;
    uint32_t accuracy;
    uint32_t snaplen;
    uint32_t linktype;
} PcapHeader;

typedef struct QEMU_PACKED PcapRecord {
    uint32_t seconds, nanoseconds;
    uint32_t captured, length;
} PcapRecord;

/* In front of each record's bytes */
typedef struct QEMU_PACKED RecordHeader {
    uint8_t version;        /* 1 */
    uint8_t kind;           /* VMBusCaptureKind */
    uint8_t to_host;        /* 1: from the guest to the host */
    uint8_t reserved;
    uint32_t channel;       /* 0: none */
    uint64_t guest_ns;      /* QEMU_CLOCK_VIRTUAL */
} RecordHeader;

/* VMBUS_CAPTURE_CHANNEL; the device's id follows */
typedef struct QEMU_PACKED ChannelRecord {
    uint8_t class_id[16];   /* as in an offer */
    uint8_t instance_id[16];
    uint32_t state;         /* VmbusChannelState */
} ChannelRecord;

static struct {
    FILE *file;
    char *filename;
    uint32_t snaplen;
} capture;

bool vmbus_rig_capturing;

uint32_t vmbus_capture_snaplen(void)
{
    return capture.snaplen;
}

const char *vmbus_capture_filename(void)
{
    return capture.filename;
}

static void capture_close(Error **errp)
{
    int ret = fclose(capture.file);

    if (ret) {
        error_setg_errno(errp, errno, "Can't write '%s'", capture.filename);
    }
    capture.file = NULL;
    vmbus_rig_capturing = false;
    g_clear_pointer(&capture.filename, g_free);
}

void vmbus_capture(VMBusCaptureKind kind, bool to_host, uint32_t channel,
                   const void *data, size_t len, size_t full_len)
{
    int64_t now = qemu_clock_get_ns(QEMU_CLOCK_HOST);
    size_t keep = MIN(len, capture.snaplen);
    PcapRecord rec = {
        .seconds = cpu_to_le32(now / NANOSECONDS_PER_SECOND),
        .nanoseconds = cpu_to_le32(now % NANOSECONDS_PER_SECOND),
        .captured = cpu_to_le32(sizeof(RecordHeader) + keep),
        .length = cpu_to_le32(sizeof(RecordHeader) + full_len),
    };
    RecordHeader hdr = {
        .version = 1,
        .kind = kind,
        .to_host = to_host,
        .channel = cpu_to_le32(channel),
        .guest_ns = cpu_to_le64(qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL)),
    };

    if (!capture.file) {
        return;
    }
    if (fwrite(&rec, sizeof(rec), 1, capture.file) != 1 ||
        fwrite(&hdr, sizeof(hdr), 1, capture.file) != 1 ||
        (keep && fwrite(data, keep, 1, capture.file) != 1)) {
        Error *err = NULL;

        error_setg_errno(&err, errno, "Can't write '%s'", capture.filename);
        error_prepend(&err, "vmbus: the recording ends: ");
        warn_report_err(err);
        capture_close(NULL);
    }
}

void vmbus_capture_channel(VMBusChannel *chan)
{
    VMBusDevice *vdev = vmbus_channel_device(chan);
    VMBusDeviceClass *vdc = VMBUS_DEVICE_GET_CLASS(vdev);
    const char *name = DEVICE(vdev)->id ?: object_get_typename(OBJECT(vdev));
    QemuUUID classid = qemu_uuid_bswap(vdc->classid);
    QemuUUID instanceid = qemu_uuid_bswap(vdev->instanceid);
    size_t len = sizeof(ChannelRecord) + strlen(name);
    g_autofree ChannelRecord *rec = g_malloc0(len);

    memcpy(rec->class_id, classid.data, sizeof(rec->class_id));
    memcpy(rec->instance_id, instanceid.data, sizeof(rec->instance_id));
    rec->state = cpu_to_le32(vmbus_channel_state(chan));
    memcpy(rec + 1, name, strlen(name));
    vmbus_capture(VMBUS_CAPTURE_CHANNEL, false, vmbus_channel_id(chan), rec,
                  len, len);
}

bool vmbus_capture_open(const char *filename, uint32_t snaplen, Error **errp)
{
    PcapHeader hdr = {
        .magic = cpu_to_le32(PCAP_MAGIC_NS),
        .major = cpu_to_le16(2),
        .minor = cpu_to_le16(4),
        .linktype = cpu_to_le32(PCAP_LINKTYPE_USER0),
    };
    VMBusChannel *chan = NULL;

    if (capture.file) {
        error_setg(errp, "VMBus is being recorded to '%s' already",
                   capture.filename);
        return false;
    }
    if (!snaplen) {
        snaplen = SNAPLEN_DEFAULT;
    }
    if (snaplen < SNAPLEN_MIN || snaplen > SNAPLEN_MAX) {
        error_setg(errp, "Parameter 'snaplen' must be %d to %d", SNAPLEN_MIN,
                   SNAPLEN_MAX);
        return false;
    }
    capture.file = fopen(filename, "wb");
    if (!capture.file) {
        error_setg_file_open(errp, errno, filename);
        return false;
    }
    capture.filename = g_strdup(filename);
    capture.snaplen = snaplen;
    hdr.snaplen = cpu_to_le32(snaplen + sizeof(RecordHeader));
    if (fwrite(&hdr, sizeof(hdr), 1, capture.file) != 1 ||
        fflush(capture.file)) {
        error_setg_errno(errp, errno, "Can't write '%s'", filename);
        capture_close(NULL);
        return false;
    }
    vmbus_rig_capturing = true;
    while ((chan = vmbus_channel_next(chan))) {
        vmbus_capture_channel(chan);
    }
    return true;
}

void qmp_vmbus_capture_start(const char *filename, bool has_snaplen,
                             uint32_t snaplen, Error **errp)
{
    if (has_snaplen && !snaplen) {
        error_setg(errp, "Parameter 'snaplen' must be %d to %d", SNAPLEN_MIN,
                   SNAPLEN_MAX);
        return;
    }
    vmbus_capture_open(filename, has_snaplen ? snaplen : 0, errp);
}

void qmp_vmbus_capture_stop(Error **errp)
{
    if (!capture.file) {
        error_setg(errp, "VMBus is not being recorded");
        return;
    }
    capture_close(errp);
}
