/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * VMBus device azure-blob-vsp: guest memory
 *
 * Two things live here.  Maps are the pages of one request: plain RAM, with a
 * reference held from the moment the request is accepted until the backend is
 * known to be done with it, so that no memory can go away underneath.  Regions
 * are what the backend has been given of guest RAM: whole RAM blocks that are
 * shared and have a file descriptor.  A map becomes segments of regions, or,
 * where one of its pages is in no region, the request's bytes travel inline.
 *
 * A RAM block disappears only when nothing refers to it, thus never while a
 * request uses it; REGION_DEL may go out at once.  The backend's own mapping
 * keeps the file's pages alive until REGION_GONE, and what it might still write
 * there is seen by nobody.  Discarded pages (balloons) need no care either: the
 * mapping is shared, both sides see the same new page.
 */

#include "qemu/osdep.h"
#include "azblob/vsp_wire.h"
#include "exec/address-spaces.h"
#include "exec/memory.h"
#include "exec/ramblock.h"
#include "system/dma.h"
#include "azure-blob-vsp.h"
#include "trace.h"

QEMU_BUILD_BUG_ON(sizeof(struct azl_segment) != 24);

/*
 * Map one contiguous piece of guest-physical memory, as far as it is plain RAM
 * of one memory region.  Returns false where it is anything else: MMIO must not
 * be read on a guest's word, nor bounced.
 */
static bool map_piece(VspMaps *maps, AddressSpace *as, hwaddr addr,
                      hwaddr *plen)
{
    DMADirection dir = maps->is_write ? DMA_DIRECTION_FROM_DEVICE :
                                        DMA_DIRECTION_TO_DEVICE;
    hwaddr len = *plen;
    hwaddr xlat;
    VspMap *last = maps->num ? &maps->map[maps->num - 1] : NULL;
    VspMap *map;
    RAMBlock *block;
    ram_addr_t offset;
    void *host;

    WITH_RCU_READ_LOCK_GUARD() {
        MemoryRegion *mr = address_space_translate(as, addr, &xlat, &len,
                                                   maps->is_write,
                                                   MEMTXATTRS_UNSPECIFIED);
        if (!memory_access_is_direct(mr, maps->is_write,
                                     MEMTXATTRS_UNSPECIFIED)) {
            return false;
        }
    }

    host = dma_memory_map(as, addr, &len, dir, MEMTXATTRS_UNSPECIFIED);
    if (!host) {
        return false;
    }

    WITH_RCU_READ_LOCK_GUARD() {
        block = qemu_ram_block_from_host(host, false, &offset);
    }
    /* it was direct a moment ago and the BQL is held */
    g_assert(block);

    *plen = len;
    maps->len += len;

    if (last && last->block == block && last->offset + last->len == offset) {
        last->len += len;
        /* the first reference covers both; lengths don't matter for those */
        memory_region_unref(block->mr);
        return true;
    }

    if (maps->num == maps->alloc) {
        maps->alloc = MAX(4, maps->alloc * 2);
        maps->map = g_renew(VspMap, maps->map, maps->alloc);
    }
    map = &maps->map[maps->num++];
    map->host = host;
    map->len = len;
    map->block = block;
    map->offset = offset;
    return true;
}

/*
 * Map @len bytes at @off of a scatter list.  The caller has checked that they
 * lie inside it and has set maps->is_write.  On failure the maps made so far
 * are released and false is returned.
 */
bool vsp_maps_add(VspMaps *maps, AddressSpace *as, const QEMUSGList *sgl,
                  uint64_t off, uint64_t len, bool is_write)
{
    int i;

    maps->is_write = is_write;

    for (i = 0; len && i < sgl->nsg; i++) {
        hwaddr addr, left;

        if (off >= sgl->sg[i].len) {
            off -= sgl->sg[i].len;
            continue;
        }
        addr = sgl->sg[i].base + off;
        left = MIN(sgl->sg[i].len - off, len);
        off = 0;
        len -= left;

        while (left) {
            hwaddr piece = left;

            if (!map_piece(maps, as, addr, &piece)) {
                vsp_maps_release(maps, as);
                return false;
            }
            addr += piece;
            left -= piece;
        }
    }
    g_assert(!len);
    return true;
}

/*
 * Map @len bytes at @off of a list of pages, which has that many.  On failure
 * the maps made so far are released and false is returned.
 */
bool vsp_maps_add_pages(VspMaps *maps, AddressSpace *as, const uint64_t *pfn,
                        uint64_t off, uint64_t len, bool is_write)
{
    maps->is_write = is_write;

    while (len) {
        uint64_t page = off / VSP_WIRE_PAGE_SIZE;
        uint64_t in_page = off % VSP_WIRE_PAGE_SIZE;
        hwaddr addr = pfn[page] * VSP_WIRE_PAGE_SIZE + in_page;
        uint64_t left = VSP_WIRE_PAGE_SIZE - in_page;

        /* neighbours in one go */
        while (left < len && pfn[page + 1] == pfn[page] + 1) {
            left += VSP_WIRE_PAGE_SIZE;
            page++;
        }
        left = MIN(left, len);
        off += left;
        len -= left;

        while (left) {
            hwaddr piece = left;

            if (!map_piece(maps, as, addr, &piece)) {
                vsp_maps_release(maps, as);
                return false;
            }
            addr += piece;
            left -= piece;
        }
    }
    return true;
}

/*
 * Map a piece of a RAM block, of a request that was checked when it came.
 * @maps->is_write is set.  False if there is no such memory.
 */
bool vsp_maps_add_block(VspMaps *maps, const char *idstr, uint64_t off,
                        uint64_t len)
{
    RAMBlock *block = qemu_ram_block_by_name(idstr);
    VspMap *map;
    uint64_t size;

    if (!block) {
        return false;
    }
    size = qemu_ram_get_used_length(block);
    if (!len || off > size || len > size - off || !block->mr->ram ||
        memory_region_is_ram_device(block->mr) ||
        (maps->is_write && block->mr->readonly)) {
        return false;
    }
    if (maps->num == maps->alloc) {
        maps->alloc = MAX(4, maps->alloc * 2);
        maps->map = g_renew(VspMap, maps->map, maps->alloc);
    }
    /* as dma_memory_map() does, which wants an address that the guest has */
    memory_region_ref(block->mr);
    map = &maps->map[maps->num++];
    map->host = block->host + off;
    map->len = len;
    map->block = block;
    map->offset = off;
    maps->len += len;
    return true;
}

/* Copy all of what is mapped. */
void vsp_maps_copy(const VspMaps *maps, void *buf)
{
    uint8_t *p = buf;
    unsigned i;

    for (i = 0; i < maps->num; i++) {
        memcpy(p, maps->map[i].host, maps->map[i].len);
        p += maps->map[i].len;
    }
}

/*
 * Let go of the pages.  Everything in maps for output counts as written: the
 * pages become dirty and code translated from them is thrown away, by the same
 * path as for QEMU's own DMA.
 */
void vsp_maps_release(VspMaps *maps, AddressSpace *as)
{
    DMADirection dir = maps->is_write ? DMA_DIRECTION_FROM_DEVICE :
                                        DMA_DIRECTION_TO_DEVICE;
    unsigned i;

    for (i = 0; i < maps->num; i++) {
        VspMap *map = &maps->map[i];

        dma_memory_unmap(as, map->host, map->len, dir,
                         maps->is_write ? map->len : 0);
    }
    g_free(maps->map);
    maps->map = NULL;
    maps->num = 0;
    maps->alloc = 0;
    maps->len = 0;
}

/*
 * Describe @len bytes at @off of the maps by at most @max host
 * vectors.  Returns how many were filled; they may cover less than @len.
 */
unsigned vsp_maps_iov(const VspMaps *maps, uint64_t off, uint64_t len,
                      struct iovec *iov, unsigned max)
{
    unsigned i, n = 0;

    for (i = 0; i < maps->num && len && n < max; i++) {
        uint64_t take;

        if (off >= maps->map[i].len) {
            off -= maps->map[i].len;
            continue;
        }
        take = MIN(maps->map[i].len - off, len);
        iov[n].iov_base = maps->map[i].host + off;
        iov[n].iov_len = take;
        n++;
        off = 0;
        len -= take;
    }
    return n;
}

/* Copy @len bytes at @off of a scatter list; false if it is not all RAM. */
bool vsp_sgl_read(AddressSpace *as, const QEMUSGList *sgl, uint64_t off,
                  void *buf, uint64_t len)
{
    VspMaps maps = {};

    if (!vsp_maps_add(&maps, as, sgl, off, len, false)) {
        return false;
    }
    vsp_maps_copy(&maps, buf);
    vsp_maps_release(&maps, as);
    return true;
}

/* ---- regions ---- */

static bool block_can_be_region(RAMBlock *block)
{
    return qemu_ram_get_fd(block) >= 0 && qemu_ram_is_shared(block) &&
           !block->mr->readonly && !memory_region_is_ram_device(block->mr) &&
           qemu_ram_get_used_length(block) >= 4096;
}

static int find_region(AzureBlobVSP *s, const RAMBlock *block)
{
    int i;

    for (i = 0; i < AZL_MAX_REGIONS; i++) {
        VspRegion *r = &s->regions.region[i];

        if (r->state != VSP_REGION_FREE && r->block == block) {
            return i;
        }
    }
    return -1;
}

static void add_region(AzureBlobVSP *s, RAMBlock *block)
{
    struct azl_region_add *msg;
    VspRegion *r;
    int i, fd;

    for (i = 0; i < AZL_MAX_REGIONS; i++) {
        if (s->regions.region[i].state == VSP_REGION_FREE) {
            break;
        }
    }
    if (i == AZL_MAX_REGIONS) {
        /* what is in no region goes inline */
        return;
    }
    /* the message may wait longer than the block lives */
    fd = qemu_dup(qemu_ram_get_fd(block));
    if (fd < 0) {
        return;
    }

    r = &s->regions.region[i];
    r->state = VSP_REGION_ADDING;
    r->gone = false;
    r->block = block;
    r->host = block->host;
    r->size = ROUND_DOWN(qemu_ram_get_used_length(block), 4096);
    s->regions.pending++;

    trace_azure_blob_vsp_region_add(i, qemu_ram_get_idstr(block), r->size);

    msg = g_new0(struct azl_region_add, 1);
    msg->header.length = cpu_to_le32(sizeof(*msg));
    msg->header.type = cpu_to_le16(AZL_REGION_ADD);
    msg->header.id = cpu_to_le64(i);
    msg->offset = cpu_to_le64(block->fd_offset);
    msg->size = cpu_to_le64(r->size);
    vsp_link_send(s, msg, sizeof(*msg), fd, NULL, 0);
}

static void delete_region(AzureBlobVSP *s, int i)
{
    VspRegion *r = &s->regions.region[i];

    trace_azure_blob_vsp_region_del(i);
    r->state = VSP_REGION_DELETING;
    r->block = NULL;
    r->host = NULL;
    vsp_link_send_bare(s, AZL_REGION_DEL, 0, i);
}

static int add_existing(RAMBlock *block, void *opaque)
{
    AzureBlobVSP *s = opaque;

    if (block_can_be_region(block)) {
        add_region(s, block);
    }
    return 0;
}

/* The backend can take regions: give it what there is. */
void vsp_regions_start(AzureBlobVSP *s)
{
    if (!s->inline_only) {
        qemu_ram_foreach_block(add_existing, s);
    }
}

/* The link is gone, and with it everything the backend knew. */
void vsp_regions_stop(AzureBlobVSP *s)
{
    memset(s->regions.region, 0, sizeof(s->regions.region));
    s->regions.pending = 0;
}

/* REGION_STATUS; false if it answers nothing we asked. */
bool vsp_regions_status(AzureBlobVSP *s, uint64_t id, uint32_t error)
{
    VspRegion *r;

    if (id >= AZL_MAX_REGIONS) {
        return false;
    }
    r = &s->regions.region[id];
    if (r->state != VSP_REGION_ADDING) {
        return false;
    }

    trace_azure_blob_vsp_region_status(id, error);
    s->regions.pending--;
    if (error) {
        /*
         * It stays in the table, so that it is not offered again.  For a block
         * that went in the meantime there is nothing to remember.
         */
        r->state = r->gone ? VSP_REGION_FREE : VSP_REGION_REFUSED;
    } else if (r->gone) {
        delete_region(s, id);
    } else {
        r->state = VSP_REGION_READY;
    }
    return true;
}

/* REGION_GONE; false if it answers nothing we asked. */
bool vsp_regions_gone(AzureBlobVSP *s, uint64_t id)
{
    if (id >= AZL_MAX_REGIONS ||
        s->regions.region[id].state != VSP_REGION_DELETING) {
        return false;
    }
    trace_azure_blob_vsp_region_gone(id);
    s->regions.region[id].state = VSP_REGION_FREE;
    return true;
}

/*
 * Offer the blocks of these maps that appeared since the link came up.  Returns
 * true if a REGION_STATUS is outstanding, for these or others.
 */
bool vsp_regions_learn(AzureBlobVSP *s, const VspMaps *maps)
{
    RAMBlock *last = NULL;
    unsigned i;

    if (s->inline_only || !(s->session.features & AZL_FEATURE_REGIONS)) {
        return false;
    }
    for (i = 0; i < maps->num; i++) {
        RAMBlock *block = maps->map[i].block;

        if (block == last) {
            continue;
        }
        last = block;
        if (find_region(s, block) < 0 && block_can_be_region(block)) {
            add_region(s, block);
        }
    }
    return s->regions.pending;
}

/*
 * Fill @seg, one for each map.  False if one of them is in no region that the
 * backend has accepted.
 */
bool vsp_regions_segments(AzureBlobVSP *s, const VspMaps *maps, uint32_t use,
                          struct azl_segment *seg)
{
    RAMBlock *last = NULL;
    int id = -1;
    unsigned i;

    for (i = 0; i < maps->num; i++) {
        const VspMap *map = &maps->map[i];
        VspRegion *r;

        if (map->block != last) {
            last = map->block;
            id = find_region(s, last);
        }
        if (id < 0) {
            return false;
        }
        r = &s->regions.region[id];
        if (r->state != VSP_REGION_READY || map->len > r->size ||
            map->offset > r->size - map->len) {
            return false;
        }
        seg[i].region = cpu_to_le32(id);
        seg[i].use = cpu_to_le32(use);
        seg[i].offset = cpu_to_le64(map->offset);
        seg[i].length = cpu_to_le64(map->len);
    }
    return true;
}

static void block_removed(RAMBlockNotifier *n, void *host, size_t size,
                          size_t max_size)
{
    AzureBlobVSP *s = container_of(n, AzureBlobVSP, regions.notifier);
    int i;

    for (i = 0; i < AZL_MAX_REGIONS; i++) {
        VspRegion *r = &s->regions.region[i];

        if (r->host != host) {
            continue;
        }
        switch (r->state) {
        case VSP_REGION_ADDING:
            /* wait for the REGION_STATUS, which is on its way */
            r->gone = true;
            r->block = NULL;
            r->host = NULL;
            break;
        case VSP_REGION_READY:
            delete_region(s, i);
            break;
        case VSP_REGION_REFUSED:
            memset(r, 0, sizeof(*r));
            break;
        case VSP_REGION_DELETING:
        case VSP_REGION_FREE:
            break;
        }
    }
}

void vsp_regions_init(AzureBlobVSP *s)
{
    s->regions.notifier.ram_block_removed = block_removed;
    ram_block_notifier_add(&s->regions.notifier);
}

void vsp_regions_cleanup(AzureBlobVSP *s)
{
    ram_block_notifier_remove(&s->regions.notifier);
}
