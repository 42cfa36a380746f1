// SPDX-License-Identifier: GPL-2.0-only
/*
 * From three user buffers to host pages: validation and page arithmetic.
 */
#include <linux/build_bug.h>
#include <linux/errno.h>
#include <linux/limits.h>
#include <linux/string.h>
#include <uapi/misc/hv_azure_blob.h>
/* [extra */
#include <azblob/vsp_wire.h>
/* extra] */

#include "layout.h"

/* The host's page, not the kernel's: they differ on arm64 with 64 KiB pages. */
#define AZB_HV_PAGE_SIZE AZ_BLOB_PAGE_SIZE

static_assert(AZB_HV_PAGE_SIZE >> AZB_HV_PAGE_SHIFT == 1);
/* [extra */
/* They go from user space to the wire as they are, and are numbered as buffers are. */
static_assert(AZ_BLOB_DATA_IN_BUFFER == VSP_WIRE_DATA_IN_BUFFER);
static_assert(AZ_BLOB_REQUEST_IN_BUFFER == VSP_WIRE_REQUEST_IN_BUFFER);
static_assert(AZ_BLOB_RESPONSE_IN_BUFFER == VSP_WIRE_RESPONSE_IN_BUFFER);
static_assert(AZ_BLOB_DATA_IN_BUFFER == 1 << AZB_DATA);
static_assert(AZ_BLOB_REQUEST_IN_BUFFER == 1 << AZB_REQUEST);
static_assert(AZ_BLOB_RESPONSE_IN_BUFFER == 1 << AZB_RESPONSE);
/* extra] */

/* @addr + @len - 1 has to be an address; len is not 0. */
static int azb_buf_init(struct azb_buf *buf, u64 addr, u32 len)
{
	u64 pages;

	/*
	 * On a 32-bit kernel, or for a 32-bit program, high bits would be cut
	 * off silently further down.
	 */
	if (addr > ULONG_MAX || len - 1 > ULONG_MAX - (unsigned long)addr)
		return -EFAULT;

	buf->addr = addr;
	buf->len = len;
	buf->offset = addr & (AZB_HV_PAGE_SIZE - 1);
	pages = ((u64)buf->offset + len + AZB_HV_PAGE_SIZE - 1) >> AZB_HV_PAGE_SHIFT;
	if (pages > AZ_BLOB_MAX_PAGES)
		return -EMSGSIZE;
	buf->pages = pages;
	return 0;
}

/* Which way the data goes, and whether that makes sense. */
static int azb_layout_direction(struct azb_layout *layout,
				const struct az_blob_request_sync *req,
				enum azb_form form)
{
	/* [extra */
	if (form == AZB_FORM_FASTPATH) {
		/*
		 * This form cannot say it.  The host was always told that one
		 * byte is valid, and wrote all the same.
		 */
		layout->data_valid = 1;
		layout->host_writes_data = req->data_len;
		return 0;
	}
	/* extra] */
	/* [extra, else: if (req->reserved) */
	if (form == AZB_FORM_CURRENT && req->reserved)
	/* extra] */
		return -EINVAL;
	if (req->data_len && req->data_valid > req->data_len)
		return -EINVAL;
	layout->data_valid = req->data_valid;
	layout->host_writes_data = req->data_len && !req->data_valid;
	return 0;
}

/* [extra */
/* @at + @len - 1 has to be a number; the buffer it is in is looked at later. */
static int azb_buf_init_registered(struct azb_buf *buf, u64 at, u32 len)
{
	if (len - 1 > U64_MAX - at)
		return -EFAULT;
	/* However it is named, the host takes no more than this. */
	if (len > AZ_BLOB_MAX_PAGES * AZ_BLOB_PAGE_SIZE)
		return -EMSGSIZE;
	buf->registered = true;
	buf->at = at;
	buf->len = len;
	return 0;
}

/* extra] */
/*
 * [extra, else: One buffer, if there is one.
 * One buffer; bit @id of @in_buffer says that it is in a registered one.
 * extra]
 */
static int azb_layout_buf(struct azb_layout *layout, enum azb_buf_id id, u64 addr,
			  u32 len, u32 in_buffer)
{
	if (!len)
		return 0;
	/* [extra */
	if (in_buffer >> id & 1)
		return azb_buf_init_registered(&layout->buf[id], addr, len);
	/* extra] */
	return azb_buf_init(&layout->buf[id], addr, len);
}

/**
 * azb_layout_init_any() - validate a request and work out the pages it touches
 * @layout: filled; undefined on failure
 * @req: as user space gave it
 * [extra
 * @form: the form it came in
 * @in_buffer: which of its buffers are in the registered one
 * extra]
 *
 * Return: 0, -EINVAL, -EMSGSIZE or -EFAULT as the uapi header says.
 */
/* [extra, else: int azb_layout_init(struct azb_layout *layout, */
/* else:		    const struct az_blob_request_sync *req) */
static int azb_layout_init_any(struct azb_layout *layout,
			       const struct az_blob_request_sync *req,
			       enum azb_form form, u32 in_buffer)
/* extra] */
{
	unsigned int i;
	int ret;

	memset(layout, 0, sizeof(*layout));

	if (!req->request_len || !req->response_len)
		return -EINVAL;
	ret = azb_layout_direction(layout, req, form);
	if (ret)
		return ret;

	ret = azb_layout_buf(layout, AZB_DATA, req->data_buffer, req->data_len,
			     in_buffer);
	if (ret)
		return ret;
	ret = azb_layout_buf(layout, AZB_REQUEST, req->request_buffer,
			     req->request_len, in_buffer);
	if (ret)
		return ret;
	ret = azb_layout_buf(layout, AZB_RESPONSE, req->response_buffer,
			     req->response_len, in_buffer);
	if (ret)
		return ret;

	/* Three times AZ_BLOB_MAX_PAGES at most: no overflow. */
	for (i = 0; i < AZB_NR_BUFS; i++)
		layout->pages += layout->buf[i].pages;
	if (layout->pages > AZ_BLOB_MAX_PAGES)
		return -EMSGSIZE;
	return 0;
}

/* [extra */
/**
 * azb_layout_init() - validate a request and work out the pages it touches
 * @layout: filled; undefined on failure
 * @req: as user space gave it
 * @form: the form it came in
 *
 * Return: 0, -EINVAL, -EMSGSIZE or -EFAULT as the uapi header says.
 */
int azb_layout_init(struct azb_layout *layout,
		    const struct az_blob_request_sync *req, enum azb_form form)
{
	return azb_layout_init_any(layout, req, form, 0);
}

/* extra] */

/* [uring */
/**
 * azb_layout_init_request() - the same for the form that commands have
 * @layout: filled; undefined on failure
 * @req: as user space gave it
 *
 * Return: 0, -EINVAL, -EMSGSIZE or -EFAULT as the uapi header says.
 */
int azb_layout_init_request(struct azb_layout *layout, const struct az_blob_request *req)
{
	struct az_blob_request_sync sync;
	/* [extra */
	u32 known = AZ_BLOB_DATA_IN_BUFFER | AZ_BLOB_REQUEST_IN_BUFFER |
		    AZ_BLOB_RESPONSE_IN_BUFFER;
	int ret;
	/* extra] */

	/* [extra, else: if (req->flags || req->reserved[0] || req->reserved[1]) */
	if (req->flags & AZ_BLOB_DATA_IN_BUFFER && !req->data_len)
		return -EINVAL;
	if (req->flags & ~known || req->reserved || !req->flags != !req->buffer_id)
	/* extra] */
		return -EINVAL;
	/* Up to there they are the same, and flags is its reserved field. */
	memcpy(&sync, req, sizeof(sync));
	sync.reserved = 0;
	/* [extra, else: return azb_layout_init(layout, &sync); */
	ret = azb_layout_init_any(layout, &sync, AZB_FORM_CURRENT, req->flags);
	if (ret)
		return ret;
	layout->in_buffer = req->flags;
	layout->buffer_id = req->buffer_id;
	return 0;
	/* extra] */
}

/* uring] */
/**
 * azb_layout_host_writes() - does the host write to this buffer?
 * @layout: a validated request
 * @id: which buffer
 */
bool azb_layout_host_writes(const struct azb_layout *layout, enum azb_buf_id id)
{
	return id == AZB_RESPONSE || (id == AZB_DATA && layout->host_writes_data);
}

/**
 * azb_buf_kernel_pages() - pages of the kernel's size that a buffer touches
 * @buf: the buffer
 * @page_shift: PAGE_SHIFT; a parameter so that 64 KiB can be tested anywhere
 */
u32 azb_buf_kernel_pages(const struct azb_buf *buf, unsigned int page_shift)
{
	u64 mask = (1ull << page_shift) - 1;

	/* [extra */
	if (buf->registered)
		return 0;
	/* extra] */
	if (!buf->len)
		return 0;
	return ((buf->addr & mask) + buf->len + mask) >> page_shift;
}
