/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The real functions of request.c, beside the ones that queue_test.c provides.
 * [uring
 * And where their fixed buffers come from.
 * uring]
 */
#ifndef AZB_PURE_REQUEST_H
#define AZB_PURE_REQUEST_H

#include "../azb.h"

struct azb_request *azb_real_request_create(const struct azb_layout *layout,
					    u32 timeout_ms, const u8 *guid);
/* [extra */
int azb_real_request_attach(struct azb_request *req, struct azb_device *azb,
			    const struct file *file);
/* extra] */
/* [uring, else: int azb_real_request_pin(struct azb_request *req); */
int azb_real_request_pin(struct azb_request *req, struct iov_iter *fixed);
/* uring] */
/* [extra */
struct azb_buffer *azb_fake_buffer_get(struct azb_device *azb, const struct file *owner,
				       const struct azb_layout *layout);
void azb_fake_buffer_put(struct azb_buffer *buf);
u32 azb_fake_buffer_epoch(const struct azb_buffer *buf);
/* extra] */
/* [uring */
int azb_fake_uring_take_pages(struct iov_iter *iter, const struct azb_buf *buf,
			      struct page **pages, u32 *have);
/* uring] */
void azb_real_request_free(struct azb_request *req);

#endif /* AZB_PURE_REQUEST_H */
