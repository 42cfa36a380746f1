/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * From three user buffers to host pages: validation and page arithmetic.
 *
 * Nothing here sleeps, allocates or touches user memory, so that KUnit can go
 * through it exhaustively.
 */
#ifndef AZB_LAYOUT_H
#define AZB_LAYOUT_H

#include <linux/types.h>

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

/* Which of the published ioctl forms a request came in. */
enum azb_form {
	AZB_FORM_CURRENT,	/* 72 bytes, reserved must be zero */
	/* [extra */
	AZB_FORM_LEGACY,	/* 72 bytes, reserved was never named: ignored */
	AZB_FORM_FASTPATH,	/* 64 bytes, no data_valid */
	/* extra] */
};

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
u32 azb_buf_kernel_page(const struct azb_buf *buf, u32 i, unsigned int page_shift,
			u32 *sub);

#endif /* AZB_LAYOUT_H */
