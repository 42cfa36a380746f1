// SPDX-License-Identifier: GPL-2.0-only
/*
 * One request: its pinned pages and its packet.
 */
/* [extra */
#include <linux/err.h>
/* extra] */
#include <linux/hyperv.h>
#include <linux/mm.h>
#include <linux/overflow.h>
#include <linux/slab.h>

#include "azb.h"

/* Lets go of what azb_request_pin() holds. */
static void azb_request_unpin(struct azb_request *req)
{
	struct page **pages = req->pages;
	unsigned int i;
	bool dirty;
	/* [uring */
	u32 k;
	/* uring] */

	for (i = 0; i < AZB_NR_BUFS; i++) {
		u32 count = req->nr_pages[i];

		dirty = req->was_sent && azb_layout_host_writes(&req->layout, i);
		/* [uring, else: if (count) */
		if (i == AZB_DATA && req->fixed_data) {
			for (k = 0; k < count; k++) {
				if (dirty)
					set_page_dirty_lock(pages[k]);
				put_page(pages[k]);
			}
		} else if (count) {
		/* uring] */
			unpin_user_pages_dirty_lock(pages, count, dirty);
		/* [uring */
		}
		/* uring] */
		pages += count;
		req->nr_pages[i] = 0;
	}
}

/*
 * Pins one buffer into @pages.  FOLL_WRITE for what the host writes: it breaks
 * copy-on-write and refuses read-only mappings.  Not for what it reads: that may
 * well be read-only.  Not FOLL_LONGTERM: like direct I/O, this lasts as long as
 * the request, and must work with what cannot be migrated.
 */
static int azb_request_pin_buf(struct azb_request *req, enum azb_buf_id id,
			       struct page **pages)
{
	const struct azb_buf *buf = &req->layout.buf[id];
	unsigned int flags = azb_layout_host_writes(&req->layout, id) ?
				     FOLL_WRITE : 0;
	unsigned long start = buf->addr & PAGE_MASK;
	u32 want = azb_buf_kernel_pages(buf, PAGE_SHIFT);
	u32 *have = &req->nr_pages[id];
	int ret;

	while (*have < want) {
		ret = pin_user_pages_fast(start + (unsigned long)*have * PAGE_SIZE,
					  want - *have, flags, pages + *have);
		/*
		 * It stops early without a word; the next call says why.  All
		 * that it calls an address it does not like is EFAULT here.
		 */
		if (ret <= 0)
			return ret == -EINTR || ret == -ENOMEM ? ret : -EFAULT;
		*have += ret;
		cond_resched();
	}
	return 0;
}

/* The page numbers of the packet, buffer after buffer. */
static void azb_request_list_pages(struct azb_request *req)
{
	u64 *pfn = req->desc->range.pfn_array;
	struct page **pages = req->pages;
	u32 i, at, run, page, sub;

	for (i = 0; i < AZB_NR_BUFS; i++) {
		const struct azb_buf *buf = &req->layout.buf[i];

		for (at = 0; at < buf->pages; at += run) {
			run = azb_buf_run(buf, at, PAGE_SHIFT, &page, &sub);
			pfn = azb_list_run(pfn, page_to_hvpfn(pages[page]) + sub, run);
		}
		pages += req->nr_pages[i];
	}
}

/**
 * azb_request_create() - a new request, with nothing pinned yet
 * @layout: a validated request
 * @timeout_ms: for the host; 0 is for ever
 * @guid: 16 bytes for the host's log
 *
 * Return: the request, or NULL when there is no memory.
 *
 * Context: may sleep.
 */
struct azb_request *azb_request_create(const struct azb_layout *layout,
				       u32 timeout_ms, const u8 *guid)
{
	struct azb_request *req;

	req = kzalloc_obj(*req, GFP_KERNEL_ACCOUNT);
	if (!req)
		return NULL;
	req->layout = *layout;
	req->timeout_ms = timeout_ms;
	req->state = AZB_REQ_NEW;
	INIT_LIST_HEAD(&req->node);
	/* [uring */
	INIT_LIST_HEAD(&req->watch);
	/* uring] */
	init_waitqueue_head(&req->wake);
	/* [extra */
	if (layout->in_buffer) {
		azb_wire_pack_request_2(&req->wire_2, layout, timeout_ms, guid);
		req->wire_len = sizeof(req->wire_2);
		return req;
	}
	/* extra] */
	azb_wire_pack_request(&req->wire, layout, timeout_ms, guid);
	/* [extra */
	req->wire_len = sizeof(req->wire);
	/* extra] */
	return req;
}

/* [extra */
/**
 * azb_control_create() - a packet of the driver's own
 * @operation: VSP_WIRE_OP_REGISTER_BUFFER and the like
 * @gfp: how to allocate it
 *
 * It is submitted as it is: it has no bytes to be charged for.
 *
 * Return: the request, with all fields of its payload but these two zero, or NULL.
 */
struct azb_request *azb_control_create(u32 operation, gfp_t gfp)
{
	struct azb_request *req = kzalloc_obj(*req, gfp);

	if (!req)
		return NULL;
	req->is_control = true;
	req->control.version = cpu_to_le32(VSP_WIRE_VERSION_2);
	req->control.operation_type = cpu_to_le32(operation);
	req->wire_len = sizeof(req->control);
	INIT_LIST_HEAD(&req->node);
	INIT_LIST_HEAD(&req->watch);
	init_waitqueue_head(&req->wake);
	return req;
}

/**
 * azb_request_attach() - note the file of a request, and find its registered buffer
 * @req: new
 * @azb: the device
 * @file: that the request came through
 *
 * Return: 0, also when it needs none; or a negative errno as azb_buffer_get().
 *
 * Context: may sleep.
 */
int azb_request_attach(struct azb_request *req, struct azb_device *azb,
		       const struct file *file)
{
	struct azb_buffer *buf;

	req->file = file;
	if (!req->layout.in_buffer)
		return 0;
	buf = azb_buffer_get(azb, file, &req->layout);
	if (IS_ERR(buf))
		return PTR_ERR(buf);
	req->buffer = buf;
	req->epoch = azb_buffer_epoch(buf);
	return 0;
}

/* extra] */
/**
 * azb_request_pin() - pin the pages of a request and list them in its packet
 * @req: of the calling process, charged for its bytes
 * [uring
 * @fixed: where the pages of the data buffer are, in place of its address; or NULL
 * uring]
 *
 * Return: 0; -ENOMEM, -EFAULT, or -EINTR when the process is being killed.  What was
 * pinned until then azb_request_free() unpins.
 *
 * Context: may sleep.
 */
/* [uring, else: int azb_request_pin(struct azb_request *req) */
int azb_request_pin(struct azb_request *req, struct iov_iter *fixed)
/* uring] */
{
	const struct azb_layout *layout = &req->layout;
	struct page **pages;
	u32 count = 0;
	unsigned int i;
	int ret;

	for (i = 0; i < AZB_NR_BUFS; i++)
		count += azb_buf_kernel_pages(&layout->buf[i], PAGE_SHIFT);
	/* 64 KiB each for the largest request. */
	req->pages = kvmalloc_array(count, sizeof(*req->pages), GFP_KERNEL_ACCOUNT);
	req->desc = kvmalloc(azb_wire_desc_size(layout->pages), GFP_KERNEL_ACCOUNT);
	if (!req->pages || !req->desc)
		return -ENOMEM;

	pages = req->pages;
	for (i = 0; i < AZB_NR_BUFS; i++) {
		/* [uring */
		if (i == AZB_DATA && fixed) {
			req->fixed_data = true;
			ret = azb_uring_take_pages(fixed, &layout->buf[i], pages,
						   &req->nr_pages[i]);
		} else {
		/* uring] */
			ret = azb_request_pin_buf(req, i, pages);
		/* [uring */
		}
		/* uring] */
		if (ret)
			return ret;
		pages += req->nr_pages[i];
	}

	azb_wire_pack_desc(req->desc, layout->pages);
	azb_request_list_pages(req);
	return 0;
}

/**
 * azb_request_free() - let go of the pages of a request and free it
 * @req: the host is done with it, or has never seen it
 *
 * Pages that the host may have written to are marked dirty.
 *
 * Context: may sleep.
 */
void azb_request_free(struct azb_request *req)
{
	azb_request_unpin(req);
	/* [extra */
	if (req->buffer)
		azb_buffer_put(req->buffer);
	/* extra] */
	kvfree(req->desc);
	kvfree(req->pages);
	kfree(req);
}
