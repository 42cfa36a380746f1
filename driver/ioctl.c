// SPDX-License-Identifier: GPL-2.0-only
/*
 * User space's structures in and out.
 */
#include <linux/build_bug.h>
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/stddef.h>
#include <linux/string.h>
#include <linux/uaccess.h>
#include <uapi/misc/hv_azure_blob.h>

#include "azb.h"

/* Three numbers are in use somewhere; the layouts must never move. */
static_assert(sizeof(struct az_blob_request_sync) == 72);
static_assert(offsetof(struct az_blob_request_sync, data_valid) == 32);
static_assert(offsetof(struct az_blob_request_sync, request_buffer) == 40);
static_assert(offsetof(struct az_blob_request_sync, response) == 64);
static_assert(sizeof(struct xs_fastpath_request_sync) == 64);
static_assert(offsetof(struct xs_fastpath_request_sync, request_buffer) == 32);
static_assert(offsetof(struct xs_fastpath_request_sync, response) == 56);
static_assert(IOCTL_AZ_BLOB_DRIVER_USER_REQUEST == 0xc04852f0);
static_assert(IOCTL_AZ_BLOB_DRIVER_USER_REQUEST_LEGACY == 0xc048520a);
static_assert(IOCTL_XS_FASTPATH_DRIVER_USER_REQUEST == 0xc040520a);

/* Runs one request to its end. */
static int azb_run(struct azb_device *azb, const struct az_blob_request_sync *in,
		   enum azb_form form, bool nonblock,
		   struct az_blob_request_sync_response *out)
{
	struct azb_answer answer;
	struct azb_request *req;
	struct azb_layout layout;
	int ret;

	ret = azb_layout_init(&layout, in, form);
	if (ret)
		return ret;
	/* Pinning 32 MiB for a device that has gone helps nobody. */
	if (azb_queue_is_gone(&azb->queue))
		return -ENODEV;

	req = azb_request_create(&layout, in->timeout, in->guid);
	if (IS_ERR(req))
		return PTR_ERR(req);
	ret = azb_queue_submit(azb, req, nonblock);
	if (ret) {
		azb_request_free(req);
		return ret;
	}
	ret = azb_queue_wait(azb, req, &answer);
	if (ret)
		return ret;
	out->status = answer.status;
	out->response_len = answer.response_len;
	return 0;
}

static int azb_copy_in(struct az_blob_request_sync *in, enum azb_form form,
		       const void __user *user)
{
	struct xs_fastpath_request_sync old;

	if (form != AZB_FORM_FASTPATH)
		return copy_from_user(in, user, sizeof(*in)) ? -EFAULT : 0;

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

static int azb_copy_out(void __user *user, enum azb_form form,
			const struct az_blob_request_sync_response *response)
{
	size_t at = form == AZB_FORM_FASTPATH ?
			    offsetof(struct xs_fastpath_request_sync, response) :
			    offsetof(struct az_blob_request_sync, response);

	if (copy_to_user(user + at, response, sizeof(*response)))
		return -EFAULT;
	return 0;
}

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
	struct az_blob_request_sync_response response;
	struct az_blob_request_sync in;
	enum azb_form form;
	int ret;

	switch (cmd) {
	case IOCTL_AZ_BLOB_DRIVER_USER_REQUEST:
		form = AZB_FORM_CURRENT;
		break;
	case IOCTL_AZ_BLOB_DRIVER_USER_REQUEST_LEGACY:
		form = AZB_FORM_LEGACY;
		break;
	case IOCTL_XS_FASTPATH_DRIVER_USER_REQUEST:
		form = AZB_FORM_FASTPATH;
		break;
	default:
		return -ENOTTY;
	}

	ret = azb_copy_in(&in, form, user);
	if (ret)
		return ret;
	ret = azb_run(azb, &in, form, file->f_flags & O_NONBLOCK, &response);
	if (ret)
		return ret;
	return azb_copy_out(user, form, &response);
}
