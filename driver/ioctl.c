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
/* [extra, else: static_assert(offsetof(struct az_blob_request, reserved) == 72); */
static_assert(offsetof(struct az_blob_request, buffer_id) == 72);
/* extra] */
static_assert(sizeof(struct az_blob_info) == AZ_BLOB_INFO_SIZE_1);
static_assert(IOCTL_AZ_BLOB_INFO == 0x52f1);
static_assert(IOCTL_AZ_BLOB_REQUEST == 0xc05052f4);
/* uring] */
/* [extra */
static_assert(sizeof(struct az_blob_register) == 32);
static_assert(sizeof(struct az_blob_deregister) == 16);
static_assert(IOCTL_AZ_BLOB_REGISTER == 0x52f2);
static_assert(IOCTL_AZ_BLOB_DEREGISTER == 0x52f3);
static_assert(sizeof(struct az_blob_cancel) == 32);
/* They are written as one. */
static_assert(offsetof(struct az_blob_cancel, told) ==
	      offsetof(struct az_blob_cancel, ended) + sizeof(u32));
static_assert(IOCTL_AZ_BLOB_CANCEL == 0x52f5);
/* extra] */

/* Runs one request of this thread to its end. */
static int azb_run(struct file *file, const struct azb_layout *layout, u32 timeout,
		   const u8 *guid, struct az_blob_request_sync_response *out)
{
	struct azb_device *azb = file->private_data;
	bool nonblock = file->f_flags & O_NONBLOCK;
	struct azb_answer answer;
	struct azb_request *req;
	int ret;

	/* Pinning 32 MiB for a device that has gone helps nobody. */
	if (azb_queue_is_gone(&azb->queue))
		return -ENODEV;

	req = azb_request_create(layout, timeout, guid);
	if (!req)
		return -ENOMEM;
	/* [extra, else: ret = azb_queue_admit(azb, req, nonblock); */
	ret = azb_request_attach(req, azb, file);
	if (!ret)
		ret = azb_queue_admit(azb, req, nonblock);
	/* extra] */
	if (ret > 0)
		ret = azb_queue_wait_admitted(azb, req);
	if (!ret)
		/* [uring, else: ret = azb_request_pin(req); */
		ret = azb_request_pin(req, NULL);
		/* uring] */
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

/* As published in 2021. */
static int azb_ioctl_sync(struct file *file, void __user *user, enum azb_form form)
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
	ret = azb_run(file, &layout, in.timeout, in.guid, &response);
	if (ret)
		return ret;
	return azb_copy_out(user, form, &response);
}

/* [uring */
static int azb_ioctl_request(struct file *file, void __user *user)
{
	struct az_blob_request_sync_response response;
	struct az_blob_request in;
	struct azb_layout layout;
	int ret;

	if (copy_from_user(&in, user, sizeof(in)))
		return -EFAULT;
	ret = azb_layout_init_request(&layout, &in);
	if (ret)
		return ret;
	ret = azb_run(file, &layout, in.timeout, in.guid, &response);
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
	/* [extra */
	if (azb->host.features & VSP_WIRE_FEATURE_BUFFERS)
		info.features |= AZ_BLOB_FEATURE_BUFFERS;
	if (azb->host.features & VSP_WIRE_FEATURE_CANCEL)
		info.features |= AZ_BLOB_FEATURE_CANCEL;
	info.features |= AZ_BLOB_FEATURE_CANCEL_CALL;
	info.protocol = azb->host.protocol;
	info.max_buffer_bytes = azb->host.max_buffer_bytes;
	info.max_buffers = azb->host.max_buffers;
	/* extra] */
	info.page_size = AZ_BLOB_PAGE_SIZE;
	info.max_pages = AZ_BLOB_MAX_PAGES;
	/* [extra, else: info.max_outstanding = VSP_WIRE_MAX_OUTSTANDING; */
	info.max_outstanding = azb_max_requests(azb);
	/* extra] */
	azb_queue_get_limits(azb, &info.inflight_bytes, &info.user_inflight_bytes);

	if (copy_to_user(user, &info, min_t(size_t, size, sizeof(info))))
		return -EFAULT;
	if (size > sizeof(info) && clear_user(user + sizeof(info), size - sizeof(info)))
		return -EFAULT;
	return 0;
}

/* uring] */
/* [extra */
/* A structure whose first field is its size; what we do not know must be zero. */
static int azb_copy_sized(void *in, size_t known, void __user *user)
{
	u32 size;

	if (get_user(size, (u32 __user *)user))
		return -EFAULT;
	if (size < known || size > PAGE_SIZE)
		return -EINVAL;
	return copy_struct_from_user(in, known, user, size);
}

static int azb_ioctl_register(struct file *file, void __user *user)
{
	struct azb_device *azb = file->private_data;
	struct az_blob_register in;
	u32 id;
	int ret;

	ret = azb_copy_sized(&in, sizeof(in), user);
	if (ret)
		return ret;
	if (azb_queue_is_gone(&azb->queue))
		return -ENODEV;
	ret = azb_buffer_register(azb, file, &in, &id);
	if (ret)
		return ret;
	if (put_user(id, (u32 __user *)(user + offsetof(struct az_blob_register,
							buffer_id)))) {
		azb_buffer_deregister(azb, file, id);
		return -EFAULT;
	}
	return 0;
}

static int azb_ioctl_deregister(struct file *file, void __user *user)
{
	struct az_blob_deregister in;
	int ret;

	ret = azb_copy_sized(&in, sizeof(in), user);
	if (ret)
		return ret;
	if (in.flags || in.reserved)
		return -EINVAL;
	return azb_buffer_deregister(file->private_data, file, in.buffer_id);
}

static int azb_ioctl_cancel(struct file *file, void __user *user)
{
	struct az_blob_cancel in;
	u32 done[2];
	int ret;

	ret = azb_copy_sized(&in, sizeof(in), user);
	if (ret)
		return ret;
	if (in.flags || in.ended || in.told)
		return -EINVAL;
	ret = azb_cancel_by_name(file->private_data, file, in.guid, &done[0], &done[1]);
	if (ret)
		return ret;
	if (copy_to_user(user + offsetof(struct az_blob_cancel, ended), done, sizeof(done)))
		return -EFAULT;
	return 0;
}

/* extra] */
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
	void __user *user = (void __user *)arg;

	switch (cmd) {
	case IOCTL_AZ_BLOB_DRIVER_USER_REQUEST:
		return azb_ioctl_sync(file, user, AZB_FORM_CURRENT);
	/* [extra */
	case IOCTL_AZ_BLOB_DRIVER_USER_REQUEST_LEGACY:
		return azb_ioctl_sync(file, user, AZB_FORM_LEGACY);
	case IOCTL_XS_FASTPATH_DRIVER_USER_REQUEST:
		return azb_ioctl_sync(file, user, AZB_FORM_FASTPATH);
	/* extra] */
	/* [uring */
	case IOCTL_AZ_BLOB_INFO:
		return azb_ioctl_info(file->private_data, user);
	/* [extra */
	case IOCTL_AZ_BLOB_REGISTER:
		return azb_ioctl_register(file, user);
	case IOCTL_AZ_BLOB_DEREGISTER:
		return azb_ioctl_deregister(file, user);
	case IOCTL_AZ_BLOB_CANCEL:
		return azb_ioctl_cancel(file, user);
	/* extra] */
	case IOCTL_AZ_BLOB_REQUEST:
		return azb_ioctl_request(file, user);
	/* uring] */
	default:
		return -ENOTTY;
	}
}
