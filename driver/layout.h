/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * From three user buffers to host pages: validation and page arithmetic.
 *
 * Nothing here sleeps, allocates or touches user memory, so that KUnit can go
 * through it exhaustively.
 */
#ifndef AZB_LAYOUT_H
#define AZB_LAYOUT_H

#include <linux/minmax.h>
#include <linux/types.h>

/* Of HV_HYP_PAGE_SIZE, as a number that needs no header of the bus. */
#define AZB_HV_PAGE_SHIFT 12

/* [uring */
struct az_blob_request;
/* uring] */
struct az_blob_request_sync;

/* The buffers of a request, in the order in which the wire lists their pages. */
enum azb_buf_id {
	AZB_DATA,
	AZB_REQUEST,
	AZB_RESPONSE,
	AZB_NR_BUFS
};

/* [extra: an argument of this type is left out with it */
/* Which of the published ioctl forms a request came in. */
enum azb_form {
	AZB_FORM_CURRENT,	/* 72 bytes, reserved must be zero */
	AZB_FORM_LEGACY,	/* 72 bytes, reserved was never named: ignored */
	AZB_FORM_FASTPATH,	/* 64 bytes, no data_valid */
};

/* extra] */
/**
 * struct azb_buf - one user buffer
 * @addr: user address
 * @len: bytes; 0 when there is no such buffer, then all else is 0 too
 * @offset: of the first byte in its first host page
 * @pages: host pages (4 KiB, whatever the kernel's page size) it touches
 */
struct azb_buf {
	/* [extra */
	/*
	 * Part of a registered buffer, which starts that many bytes before it: @addr,
	 * @offset and @pages are 0.
	 */
	bool registered;
	u64 at;
	/* extra] */
	u64 addr;
	u32 len;
	u32 offset;
	u32 pages;
};

/**
 * struct azb_layout - a validated request
 * @buf: the buffers
 * @pages: host pages of all buffers, at most AZ_BLOB_MAX_PAGES
 * @data_valid: as it goes on the wire
 * @host_writes_data: the data buffer is filled by the host
 */
struct azb_layout {
	struct azb_buf buf[AZB_NR_BUFS];
	u32 pages;
	/* [extra */
	/* Which are part of the registered buffer, as it goes on the wire. */
	u32 in_buffer;
	u32 buffer_id;
	/* extra] */
	u32 data_valid;
	bool host_writes_data;
};

int azb_layout_init(struct azb_layout *layout,
		    const struct az_blob_request_sync *req, enum azb_form form);
/* [uring */
int azb_layout_init_request(struct azb_layout *layout,
			    const struct az_blob_request *req);
/* uring] */
bool azb_layout_host_writes(const struct azb_layout *layout, enum azb_buf_id id);
u32 azb_buf_kernel_pages(const struct azb_buf *buf, unsigned int page_shift);

/**
 * azb_buf_run() - host pages of a buffer that follow each other in one kernel page
 * @buf: the buffer
 * @i: the first of them, below @buf->pages
 * @page_shift: PAGE_SHIFT; a parameter so that 64 KiB can be tested anywhere
 * @page: filled with the index of the kernel page in the buffer
 * @sub: filled with the number of the first host page inside it
 *
 * Inline: a request has thousands of pages, and with 4 KiB each is a run.
 *
 * Return: how many there are, at least 1.
 */
static inline u32 azb_buf_run(const struct azb_buf *buf, u32 i,
			      unsigned int page_shift, u32 *page, u32 *sub)
{
	u32 in_page = 1u << (page_shift - AZB_HV_PAGE_SHIFT);
	u64 at = ((buf->addr >> AZB_HV_PAGE_SHIFT) & (in_page - 1)) + i;

	*sub = at & (in_page - 1);
	*page = at >> (page_shift - AZB_HV_PAGE_SHIFT);
	return min(in_page - *sub, buf->pages - i);
}

/* Lists @run pages from number @first on; returns where the next one goes. */
static inline u64 *azb_list_run(u64 *pfn, u64 first, u32 run)
{
	while (run--)
		*pfn++ = first++;
	return pfn;
}

#endif /* AZB_LAYOUT_H */
