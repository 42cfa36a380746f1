// SPDX-License-Identifier: GPL-2.0-only
/*
 * hv_azure_blob: Azure Blob requests over VMBus instead of over the network.
 */
#include <linux/err.h>
#include <linux/hyperv.h>
#include <linux/module.h>

#include "azb.h"

/*
 * How long remove, shutdown and suspend wait for the host to complete what it owns.
 * When remove runs out of patience it closes the channel, which ends the host's right
 * to the pages; shutdown leaves that to the bus, and suspend gives up.
 */
#define AZB_DRAIN_PATIENCE_MS 10000u

/* [extra */
/* At each offer: a host can come back as another one. */
static void azb_meet_host(struct azb_device *azb)
{
	const struct vmbus_channel_offer *offer = &azb->channel->offermsg.offer;

	azb_wire_parse_offer(&azb->host, offer->u.std.user_def,
			     sizeof(offer->u.std.user_def));
}

/* extra] */
static int azb_probe(struct hv_device *hdev, const struct hv_vmbus_device_id *id)
{
	struct azb_device *azb;
	int ret;

	azb = azb_device_create(hdev);
	if (IS_ERR(azb))
		return PTR_ERR(azb);
	/* [extra */
	azb_meet_host(azb);
	/* extra] */
	ret = azb_ring_open(azb);
	if (ret)
		goto fail_open;
	azb_queue_resume(azb);
	/* [extra */
	azb_buffers_open(azb);
	/* extra] */
	hv_set_drvdata(hdev, azb);
	azb_debugfs_add(azb);
	ret = azb_device_publish(azb);
	if (ret)
		goto fail_publish;
	return 0;

fail_publish:
	azb_debugfs_remove(azb);
	hv_set_drvdata(hdev, NULL);
	azb_queue_stop(azb);
	azb_ring_close(azb);
	/* The node may have been there for a moment, and been opened. */
	azb_queue_cut_off(azb);
	/* [extra */
	azb_buffers_forget(azb);
	/* extra] */
fail_open:
	azb_device_withdraw(azb);
	azb_device_put(azb);
	return ret;
}

/*
 * Runs after a rescind, for unbind and for module unload.  Waits for requests,
 * never for open files: those find ENODEV.
 */
static void azb_remove(struct hv_device *hdev)
{
	struct azb_device *azb = hv_get_drvdata(hdev);

	azb_debugfs_remove(azb);
	azb_queue_stop(azb);
	azb_device_withdraw(azb);
	azb_ring_drain(azb, AZB_DRAIN_PATIENCE_MS);
	azb_ring_close(azb);
	azb_queue_cut_off(azb);
	/* [extra */
	azb_buffers_forget(azb);
	/* extra] */
	hv_set_drvdata(hdev, NULL);
	azb_device_put(azb);
}

azb_compat_hv_remove(azb_remove);

/*
 * Power-off, reboot and kexec.  Nobody comes after this, and a kernel that follows
 * uses the same memory: the bus tells the host to stop, which takes the longer the
 * more it has still.
 */
static void azb_shutdown(struct hv_device *hdev)
{
	struct azb_device *azb = hv_get_drvdata(hdev);
	u32 left;

	azb_queue_stop(azb);
	azb_ring_drain(azb, AZB_DRAIN_PATIENCE_MS);
	left = azb_queue_nr_sent(&azb->queue);
	if (left)
		dev_warn(&azb->dev, "shut down with %u requests unanswered\n", left);
}

/*
 * Hibernation, with programs frozen.  What is in line is sent and answered before:
 * the kernel that writes the image would send it, and the one that is restored from
 * it once more.
 *
 * With the channel closed a host that is stuck would keep the bus waiting, and with it
 * everybody, for ever.  So the channel is not closed while the host has something, not
 * even when the ring was given up and nothing will be answered: that is for unbind.
 */
static int azb_suspend(struct hv_device *hdev)
{
	struct azb_device *azb = hv_get_drvdata(hdev);
	u32 left;

	left = azb_ring_quiesce(azb, AZB_DRAIN_PATIENCE_MS);
	if (left) {
		dev_warn(&azb->dev, "cannot hibernate: %u requests unanswered\n", left);
		return -EBUSY;
	}
	azb_ring_close(azb);
	/* [extra */
	azb_buffers_forget(azb);
	/* extra] */
	return 0;
}

static int azb_resume(struct hv_device *hdev)
{
	struct azb_device *azb = hv_get_drvdata(hdev);
	int ret = -ENODEV;

	/* [extra */
	azb_meet_host(azb);
	/* extra] */
	/* A host that does not offer it again would not even refuse to open it. */
	if (azb->channel->offermsg.child_relid != INVALID_RELID)
		ret = azb_ring_open(azb);
	if (ret) {
		azb_queue_stop(azb);
		return ret;
	}
	azb_queue_resume(azb);
	/* [extra */
	azb_buffers_open(azb);
	/* extra] */
	return 0;
}

static const struct hv_vmbus_device_id azb_id_table[] = {
	{ HV_AZURE_BLOB_GUID, },
	{ },
};
MODULE_DEVICE_TABLE(vmbus, azb_id_table);

static struct hv_driver azb_driver = {
	.name = KBUILD_MODNAME,
	.id_table = azb_id_table,
	.probe = azb_probe,
	.remove = AZB_COMPAT_HV_REMOVE(azb_remove),
	.shutdown = azb_shutdown,
	.suspend = azb_suspend,
	.resume = azb_resume,
};

static int __init azb_init(void)
{
	int ret;

	/* [extra */
	ret = azb_buffer_module_init();
	if (ret)
		return ret;
	/* extra] */
	ret = azb_class_register();
	if (ret)
		goto fail_class;
	azb_debugfs_register();
	ret = vmbus_driver_register(&azb_driver);
	if (ret)
		goto fail_driver;
	return 0;

fail_driver:
	azb_debugfs_unregister();
	azb_class_unregister();
fail_class:
	/* [extra */
	azb_buffer_module_exit();
	/* extra] */
	return ret;
}
module_init(azb_init);

static void __exit azb_exit(void)
{
	vmbus_driver_unregister(&azb_driver);
	/* [extra */
	/* The last teardown may hold the last reference to a device. */
	azb_buffer_module_exit();
	/* extra] */
	azb_debugfs_unregister();
	azb_class_unregister();
}
module_exit(azb_exit);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Azure Blob requests over VMBus");
