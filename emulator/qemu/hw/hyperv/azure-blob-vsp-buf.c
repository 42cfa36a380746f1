/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * VMBus device azure-blob-vsp: buffers that the guest has registered
 *
 * A buffer is a list of page numbers that a guest has named once, so that its
 * requests need not.  It gives the device nothing else: no page is mapped or
 * referenced on its behalf, each request maps what it touches, with all checks
 * and the fence, and keeps it when the buffer is deregistered meanwhile.  So
 * forgetting a buffer is always possible and takes no time.  The guest keeps
 * the pages where they are; if it does not, it harms itself.
 */

#include "qemu/osdep.h"
#include "azblob/vsp_wire.h"
#include "azure-blob-vsp.h"
#include "trace.h"

/* Bytes of page numbers are what a guest can make us allocate: 32 MiB. */
#define MAX_TOTAL_PAGES (4 * 1024 * 1024)

struct VspBuffer {
    uint32_t id;
    uint32_t page_count;
    uint32_t named;     /* of them, so far */
    bool read_only;
    uint64_t pfn[];
};

static void free_buffer(AzureBlobVSP *s, VspBuffer *buf)
{
    s->buffers.pages -= buf->page_count;
    g_hash_table_remove(s->buffers.by_id, &buf->id);
    g_free(buf);
}

static VspBuffer *new_buffer(AzureBlobVSP *s, uint32_t id, uint32_t count,
                             bool read_only)
{
    VspBuffer *buf = g_malloc0(sizeof(*buf) + count * sizeof(buf->pfn[0]));

    buf->id = id;
    buf->page_count = count;
    buf->read_only = read_only;
    s->buffers.pages += count;
    g_hash_table_insert(s->buffers.by_id, &buf->id, buf);
    return buf;
}

static VspBuffer *find(AzureBlobVSP *s, uint32_t id)
{
    return g_hash_table_lookup(s->buffers.by_id, &id);
}

/* A buffer of which all pages were named, or NULL. */
const VspBuffer *vsp_buffer_get(AzureBlobVSP *s, uint32_t id)
{
    VspBuffer *buf = find(s, id);

    return buf && buf->named == buf->page_count ? buf : NULL;
}

/*
 * Map @len bytes at @at.  False if they are not all inside the buffer, or not
 * plain RAM, or would be written in a buffer that is only read.
 */
bool vsp_buffer_map(AzureBlobVSP *s, const VspBuffer *buf, VspMaps *maps,
                    uint64_t at, uint64_t len, bool is_write)
{
    AddressSpace *as = VMBUS_DEVICE(s)->dma_as;
    uint64_t size = (uint64_t)buf->page_count * VSP_WIRE_PAGE_SIZE;

    if (at > size || len > size - at || (is_write && buf->read_only)) {
        return false;
    }
    return vsp_maps_add_pages(maps, as, buf->pfn, at, len, is_write);
}

/* Copy @len bytes at @at; false as with vsp_buffer_map(). */
bool vsp_buffer_read(AzureBlobVSP *s, const VspBuffer *buf, uint64_t at,
                     void *to, uint64_t len)
{
    VspMaps maps = {};

    if (!vsp_buffer_map(s, buf, &maps, at, len, false)) {
        return false;
    }
    vsp_maps_copy(&maps, to);
    vsp_maps_release(&maps, VMBUS_DEVICE(s)->dma_as);
    return true;
}

/* There is room for them. */
static void name_pages(VspBuffer *buf, const QEMUSGList *sgl)
{
    int i;

    for (i = 0; i < sgl->nsg; i++) {
        uint64_t pfn = sgl->sg[i].base / VSP_WIRE_PAGE_SIZE;
        uint64_t k;

        for (k = 0; k < sgl->sg[i].len / VSP_WIRE_PAGE_SIZE; k++) {
            buf->pfn[buf->named++] = pfn + k;
        }
    }
}

static uint32_t register_pages(AzureBlobVSP *s, const VMBusChanReq *cr,
                               const struct vsp_wire_control *wire)
{
    uint32_t id = le32_to_cpu(wire->buffer_id);
    uint32_t first = le32_to_cpu(wire->first_page);
    uint32_t count = le32_to_cpu(wire->page_count);
    uint32_t flags = le32_to_cpu(wire->flags);
    VspBuffer *buf = find(s, id);

    if (cr->pkt_type != VMBUS_PACKET_DATA_USING_GPA_DIRECT ||
        !vmbus_chan_req_one_range(cr) || !cr->sgl.size ||
        cr->sgl.size % VSP_WIRE_PAGE_SIZE ||
        cr->sgl.size / VSP_WIRE_PAGE_SIZE > VSP_WIRE_MAX_PAGES ||
        !id || id > VSP_MAX_BUFFERS || !count ||
        count > VSP_MAX_BUFFER_BYTES / VSP_WIRE_PAGE_SIZE ||
        first >= count ||
        cr->sgl.size / VSP_WIRE_PAGE_SIZE > count - first ||
        flags & ~VSP_WIRE_BUFFER_READ_ONLY || wire->transaction_id) {
        return VSP_WIRE_STATUS_BAD_PACKET;
    }
    if (!first) {
        if (buf) {
            return VSP_WIRE_STATUS_BAD_PACKET;
        }
        if (count > MAX_TOTAL_PAGES - s->buffers.pages) {
            return VSP_WIRE_STATUS_NO_RESOURCES;
        }
        buf = new_buffer(s, id, count, flags & VSP_WIRE_BUFFER_READ_ONLY);
    } else if (!buf || first != buf->named || count != buf->page_count ||
               buf->read_only != !!(flags & VSP_WIRE_BUFFER_READ_ONLY)) {
        return VSP_WIRE_STATUS_BAD_PACKET;
    }
    name_pages(buf, &cr->sgl);
    return VSP_WIRE_STATUS_OK;
}

static uint32_t deregister(AzureBlobVSP *s, const struct vsp_wire_control *wire)
{
    VspBuffer *buf = find(s, le32_to_cpu(wire->buffer_id));

    if (wire->first_page || wire->page_count || wire->flags ||
        wire->transaction_id) {
        return VSP_WIRE_STATUS_BAD_PACKET;
    }
    if (!buf) {
        return VSP_WIRE_STATUS_NOT_FOUND;
    }
    free_buffer(s, buf);
    return VSP_WIRE_STATUS_OK;
}

static uint32_t cancel(AzureBlobVSP *s, const struct vsp_wire_control *wire)
{
    if (wire->buffer_id || wire->first_page || wire->page_count ||
        wire->flags) {
        return VSP_WIRE_STATUS_BAD_PACKET;
    }
    return vsp_request_cancel(s, le64_to_cpu(wire->transaction_id)) ?
           VSP_WIRE_STATUS_OK : VSP_WIRE_STATUS_NOT_FOUND;
}

/* Do what a packet with operation 0x101 to 0x103 asks for; its answer. */
uint32_t vsp_control(AzureBlobVSP *s, const VMBusChanReq *cr)
{
    struct vsp_wire_control wire;

    if (cr->msglen != sizeof(wire)) {
        return VSP_WIRE_STATUS_BAD_PACKET;
    }
    memcpy(&wire, cr->msg, sizeof(wire));
    if (wire.operation_type == cpu_to_le32(VSP_WIRE_OP_REGISTER_BUFFER)) {
        return register_pages(s, cr, &wire);
    }
    if (cr->pkt_type != VMBUS_PACKET_DATA_INBAND) {
        return VSP_WIRE_STATUS_BAD_PACKET;
    }
    return wire.operation_type == cpu_to_le32(VSP_WIRE_OP_CANCEL) ?
           cancel(s, &wire) : deregister(s, &wire);
}

/* Forget all of them: the channel is closed, or gone. */
void vsp_buffers_clear(AzureBlobVSP *s)
{
    GHashTableIter iter;
    gpointer buf;

    g_hash_table_iter_init(&iter, s->buffers.by_id);
    while (g_hash_table_iter_next(&iter, NULL, &buf)) {
        g_hash_table_iter_remove(&iter);
        g_free(buf);
    }
    s->buffers.pages = 0;
}

/* ---- saving and loading ---- */

void vsp_buffers_put(AzureBlobVSP *s, QEMUFile *f)
{
    GHashTableIter iter;
    gpointer value;

    g_hash_table_iter_init(&iter, s->buffers.by_id);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        VspBuffer *buf = value;
        uint32_t i;

        qemu_put_be32(f, buf->id);
        qemu_put_be32(f, buf->page_count);
        qemu_put_be32(f, buf->named);
        qemu_put_byte(f, buf->read_only);
        for (i = 0; i < buf->named; i++) {
            qemu_put_be64(f, buf->pfn[i]);
        }
    }
    qemu_put_be32(f, 0);
}

/* False if they can't be. */
bool vsp_buffers_get(AzureBlobVSP *s, QEMUFile *f)
{
    uint32_t id;

    while ((id = qemu_get_be32(f))) {
        uint32_t count = qemu_get_be32(f);
        uint32_t named = qemu_get_be32(f);
        bool read_only = qemu_get_byte(f);
        VspBuffer *buf;
        uint32_t i;

        if (id > VSP_MAX_BUFFERS || find(s, id) || !count || named > count ||
            count > VSP_MAX_BUFFER_BYTES / VSP_WIRE_PAGE_SIZE ||
            count > MAX_TOTAL_PAGES - s->buffers.pages) {
            return false;
        }
        buf = new_buffer(s, id, count, read_only);
        for (i = 0; i < named; i++) {
            buf->pfn[i] = qemu_get_be64(f);
        }
        buf->named = named;
    }
    return true;
}

void vsp_buffers_init(AzureBlobVSP *s)
{
    s->buffers.by_id = g_hash_table_new(g_int_hash, g_int_equal);
}

void vsp_buffers_cleanup(AzureBlobVSP *s)
{
    vsp_buffers_clear(s);
    g_hash_table_destroy(s->buffers.by_id);
}
