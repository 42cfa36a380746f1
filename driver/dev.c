// SPDX-License-Identifier: GPL-2.0-only
/*
 * The device node, and how long a device lives.
 */
#include <linux/device.h>
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/idr.h>
#include <linux/module.h>
#include <linux/slab.h>

#include "azb.h"

/* VMBus has no more channels than this. */
#define AZB_MAX_DEVICES 2048

static struct class azb_class = {
	.name = "azure_blob",
};

static dev_t azb_devt;
static DEFINE_IDA(azb_numbers);

static int azb_open(struct inode *inode, struct file *file)
{
	struct azb_device *azb = container_of(inode->i_cdev, struct azb_device, cdev);

	/* Requests write to the host's blobs and to the caller's memory alike. */
	if ((file->f_mode & (FMODE_READ | FMODE_WRITE)) != (FMODE_READ | FMODE_WRITE))
		return -EACCES;
	/* An open that was under way when the node went. */
	if (azb_queue_is_gone(&azb->queue))
		return -ENODEV;
	get_device(&azb->dev);
	file->private_data = azb;
	return stream_open(inode, file);
}

static int azb_release(struct inode *inode, struct file *file)
{
	struct azb_device *azb = file->private_data;

	/* [extra */
	azb_buffers_release(azb, file);
	/* extra] */
	azb_device_put(azb);
	return 0;
}

static const struct file_operations azb_fops = {
	.owner = THIS_MODULE,
	.open = azb_open,
	.release = azb_release,
	.unlocked_ioctl = azb_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
#ifdef AZB_COMPAT_URING
	.uring_cmd = azb_uring_cmd,
#endif
};

static void azb_device_release(struct device *dev)
{
	struct azb_device *azb = container_of(dev, struct azb_device, dev);

	/* [extra */
	azb_buffers_destroy(azb);
	/* extra] */
	azb_queue_destroy(&azb->queue);
	kfree(azb);
}

/**
 * azb_device_create() - a new device, with no node yet
 * @hdev: what the bus offers
 *
 * Return: the device with one reference, or an ERR_PTR.
 */
struct azb_device *azb_device_create(struct hv_device *hdev)
{
	struct azb_device *azb;
	int ret;

	azb = kzalloc_obj(*azb, GFP_KERNEL);
	if (!azb)
		return ERR_PTR(-ENOMEM);
	ret = azb_queue_init(&azb->queue);
	if (ret) {
		kfree(azb);
		return ERR_PTR(ret);
	}
	azb->channel = hdev->channel;
	spin_lock_init(&azb->rx_lock);
	/* [extra */
	azb_buffers_init(azb);
	/* extra] */

	device_initialize(&azb->dev);
	azb->dev.class = &azb_class;
	azb->dev.parent = &hdev->device;
	azb->dev.release = azb_device_release;
	azb->dev.groups = azb_sysfs_groups;

	azb->number = ida_alloc_max(&azb_numbers, AZB_MAX_DEVICES - 1, GFP_KERNEL);
	if (azb->number < 0) {
		ret = azb->number;
		goto fail;
	}
	azb->dev.devt = MKDEV(MAJOR(azb_devt), MINOR(azb_devt) + azb->number);
	ret = azb->number ? dev_set_name(&azb->dev, "azure_blob%d", azb->number) :
			    dev_set_name(&azb->dev, "azure_blob");
	if (ret)
		goto fail_number;
	cdev_init(&azb->cdev, &azb_fops);
	azb->cdev.owner = THIS_MODULE;
	return azb;

fail_number:
	ida_free(&azb_numbers, azb->number);
fail:
	azb_device_put(azb);
	return ERR_PTR(ret);
}

/**
 * azb_device_publish() - make the node appear
 * @azb: the device, ready for requests
 *
 * Return: 0 or a negative errno; then azb_device_withdraw() is still due.
 */
int azb_device_publish(struct azb_device *azb)
{
	return cdev_device_add(&azb->cdev, &azb->dev);
}

/**
 * azb_device_withdraw() - make the node disappear, free its name
 * @azb: the device; files that are open keep it alive
 */
void azb_device_withdraw(struct azb_device *azb)
{
	if (device_is_registered(&azb->dev))
		cdev_device_del(&azb->cdev, &azb->dev);
	ida_free(&azb_numbers, azb->number);
}

/**
 * azb_device_put() - drop a reference
 * @azb: the device
 */
void azb_device_put(struct azb_device *azb)
{
	put_device(&azb->dev);
}

/**
 * azb_class_register() - the class and the numbers of the nodes
 *
 * Return: 0 or a negative errno.
 */
int azb_class_register(void)
{
	int ret;

	ret = alloc_chrdev_region(&azb_devt, 0, AZB_MAX_DEVICES, "azure_blob");
	if (ret)
		return ret;
	ret = class_register(&azb_class);
	if (ret)
		unregister_chrdev_region(azb_devt, AZB_MAX_DEVICES);
	return ret;
}

/**
 * azb_class_unregister() - undo azb_class_register(); no device is left
 */
void azb_class_unregister(void)
{
	class_unregister(&azb_class);
	unregister_chrdev_region(azb_devt, AZB_MAX_DEVICES);
	ida_destroy(&azb_numbers);
}
