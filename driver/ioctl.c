// SPDX-License-Identifier: GPL-2.0-only
/*
 * User space's structures in and out.
 */
#include <linux/build_bug.h>
#include <linux/fs.h>
#include <linux/minmax.h>
#include <linux/stddef.h>
#include <linux/string.h>
#include <linux/uaccess.h>
#include <uapi/misc/hv_azure_blob.h>

#include "azb.h"

/* These numbers are in use somewhere; the layouts must never move. */
static_assert(sizeof(struct az_blob_request_sync) == 72);
static_assert(offsetof(struct az_blob_request_sync, data_valid) == 32);
static_assert(offsetof(struct az_blob_request_sync, request_buffer) == 40);
static_assert(offsetof(struct az_blob_request_sync, response) == 64);
static_assert(IOCTL_AZ_BLOB_DRIVER_USER_REQUEST == 0xc04852f0);
/* [extra */
static_assert(sizeof(struct xs_fastpath_request_sync) == 64);
static_assert(offsetof(struct xs_fastpath_request_sync, request_buffer) == 32);
static_assert(offsetof(struct xs_fastpath_request_sync, response) == 56);
static_assert(IOCTL_AZ_BLOB_DRIVER_USER_REQUEST_LEGACY == 0xc048520a);
static_assert(IOCTL_XS_FASTPATH_DRIVER_USER_REQUEST == 0xc040520a);
/* extra] */
/* [uring */
/* These are ours, and published now. */
static_assert(sizeof(struct az_blob_request) == 80);
static_assert(offsetof(struct az_blob_request, flags) ==
	      offsetof(struct az_blob_request_sync, reserved));
static_assert(offsetof(struct az_blob_request, response) ==
	      offsetof(struct az_blob_request_sync, response));
static_assert(offsetof(struct az_blob_request, buffer_id) == 72);
static_assert(sizeof(struct az_blob_info) == AZ_BLOB_INFO_SIZE_1);
static_assert(IOCTL_AZ_BLOB_INFO == 0x52f1);
static_assert(IOCTL_AZ_BLOB_REQUEST == 0xc05052f4);
/* uring] */

/* Runs one request of this thread to its end. */
static int azb_run(struct azb_device *azb, const struct azb_layout *layout,
		   const struct az_blob_request_sync *in, bool nonblock,
		   struct az_blob_request_sync_response *out)
{
	struct azb_answer answer;
	struct azb_request *req;
	int ret;

	/* Pinning 32 MiB for a device that has gone helps nobody. */
	if (azb_queue_is_gone(&azb->queue))
		return -ENODEV;

	req = azb_request_create(layout, in->timeout, in->guid);
	if (!req)
		return -ENOMEM;
	ret = azb_queue_admit(azb, req, nonblock);
	if (ret > 0)
		ret = azb_queue_wait_admitted(azb, req);
	if (!ret)
		ret = azb_request_pin(req, NULL);
	if (!ret)
		ret = azb_queue_submit(azb, req, nonblock);
	if (ret) {
		azb_queue_forget(azb, req);
		return ret;
	}
	ret = azb_queue_wait(azb, req, &answer);
	if (ret)
		return ret;
	out->status = answer.status;
	out->response_len = answer.response_len;
	return 0;
}

/* [extra */
static int azb_copy_in_fastpath(struct az_blob_request_sync *in,
				const void __user *user)
{
	struct xs_fastpath_request_sync old;

	if (copy_from_user(&old, user, sizeof(old)))
		return -EFAULT;
	memset(in, 0, sizeof(*in));
	memcpy(in->guid, old.guid, sizeof(in->guid));
	in->timeout = old.timeout;
	in->request_len = old.request_len;
	in->response_len = old.response_len;
	in->data_len = old.data_len;
	in->request_buffer = old.request_buffer;
	in->response_buffer = old.response_buffer;
	in->data_buffer = old.data_buffer;
	return 0;
}

/* extra] */
static int azb_copy_in(struct az_blob_request_sync *in, enum azb_form form,
		       const void __user *user)
{
	/* [extra */
	if (form == AZB_FORM_FASTPATH)
		return azb_copy_in_fastpath(in, user);
	/* extra] */
	return copy_from_user(in, user, sizeof(*in)) ? -EFAULT : 0;
}

static int azb_copy_out(void __user *user, enum azb_form form,
			const struct az_blob_request_sync_response *response)
{
	size_t at = offsetof(struct az_blob_request_sync, response);

	/* [extra */
	if (form == AZB_FORM_FASTPATH)
		at = offsetof(struct xs_fastpath_request_sync, response);
	/* extra] */
	if (copy_to_user(user + at, response, sizeof(*response)))
		return -EFAULT;
	return 0;
}

/* The numbers that were published in 2021. */
static int azb_ioctl_sync(struct azb_device *azb, void __user *user,
			  enum azb_form form, bool nonblock)
{
	struct az_blob_request_sync_response response;
	struct az_blob_request_sync in;
	struct azb_layout layout;
	int ret;

	ret = azb_copy_in(&in, form, user);
	if (ret)
		return ret;
	ret = azb_layout_init(&layout, &in, form);
	if (ret)
		return ret;
	ret = azb_run(azb, &layout, &in, nonblock, &response);
	if (ret)
		return ret;
	return azb_copy_out(user, form, &response);
}

/* [uring */
/**
 * azb_check_request() - validate a request in the form that commands have
 * @in: as user space gave it
 * @layout: filled; undefined on failure
 *
 * Return: 0 or a negative errno as the uapi header says.
 */
int azb_check_request(const struct az_blob_request *in, struct azb_layout *layout)
{
	struct az_blob_request_sync sync;

	if (in->flags || in->buffer_id || in->reserved)
		return -EINVAL;
	/* Up to there they are the same, and flags is its reserved field. */
	memcpy(&sync, in, sizeof(sync));
	return azb_layout_init(layout, &sync, AZB_FORM_CURRENT);
}

static int azb_ioctl_request(struct azb_device *azb, void __user *user, bool nonblock)
{
	struct az_blob_request_sync_response response;
	struct az_blob_request_sync sync;
	struct az_blob_request in;
	struct azb_layout layout;
	int ret;

	if (copy_from_user(&in, user, sizeof(in)))
		return -EFAULT;
	ret = azb_check_request(&in, &layout);
	if (ret)
		return ret;
	memcpy(&sync, &in, sizeof(sync));
	ret = azb_run(azb, &layout, &sync, nonblock, &response);
	if (ret)
		return ret;
	if (copy_to_user(user + offsetof(struct az_blob_request, response), &response,
			 sizeof(response)))
		return -EFAULT;
	return 0;
}

/* A program may know more or less of the structure than we do. */
static int azb_ioctl_info(struct azb_device *azb, void __user *user)
{
	struct az_blob_info info = { 0 };
	u32 size, flags;

	if (get_user(size, (u32 __user *)user) ||
	    get_user(flags, (u32 __user *)(user + offsetof(struct az_blob_info, flags))))
		return -EFAULT;
	if (size < AZ_BLOB_INFO_SIZE_1 || size > PAGE_SIZE || flags)
		return -EINVAL;
	if (azb_queue_is_gone(&azb->queue))
		return -ENODEV;

	info.size = sizeof(info);
	info.features = azb_uring_features();
	info.protocol = 1;
	info.page_size = AZ_BLOB_PAGE_SIZE;
	info.max_pages = AZ_BLOB_MAX_PAGES;
	info.max_outstanding = VSP_WIRE_MAX_OUTSTANDING;
	spin_lock_bh(&azb->queue.lock);
	info.inflight_bytes = azb->queue.budget.limit;
	info.user_inflight_bytes = azb->queue.budget.user_limit;
	spin_unlock_bh(&azb->queue.lock);

	if (copy_to_user(user, &info, min_t(size_t, size, sizeof(info))))
		return -EFAULT;
	if (size > sizeof(info) && clear_user(user + sizeof(info), size - sizeof(info)))
		return -EFAULT;
	return 0;
}

/* uring] */
/**
 * azb_ioctl() - the ioctls of an open node
 * @file: private_data is its struct azb_device
 * @cmd: number
 * @arg: user address of the structure; 32-bit programs use the same layout
 *
 * Return: 0 or a negative errno as the uapi header lists them.
 */
long azb_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct azb_device *azb = file->private_data;
	void __user *user = (void __user *)arg;
	bool nonblock = file->f_flags & O_NONBLOCK;

	switch (cmd) {
	case IOCTL_AZ_BLOB_DRIVER_USER_REQUEST:
		return azb_ioctl_sync(azb, user, AZB_FORM_CURRENT, nonblock);
	/* [extra */
	case IOCTL_AZ_BLOB_DRIVER_USER_REQUEST_LEGACY:
		return azb_ioctl_sync(azb, user, AZB_FORM_LEGACY, nonblock);
	case IOCTL_XS_FASTPATH_DRIVER_USER_REQUEST:
		return azb_ioctl_sync(azb, user, AZB_FORM_FASTPATH, nonblock);
	/* extra] */
	/* [uring */
	case IOCTL_AZ_BLOB_INFO:
		return azb_ioctl_info(azb, user);
	case IOCTL_AZ_BLOB_REQUEST:
		return azb_ioctl_request(azb, user, nonblock);
	/* uring] */
	default:
		return -ENOTTY;
	}
}
