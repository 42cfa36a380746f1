// SPDX-License-Identifier: MIT
/* The driver's node, the only file that makes its ioctls. */
#include "transport.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "uapi/misc/hv_azure_blob.h"

static int node_submit(struct azc_device *device, struct az_blob_request_sync *request)
{
	if (!ioctl(device->node, IOCTL_AZ_BLOB_DRIVER_USER_REQUEST, request))
		return 0;
	return -errno;
}

static int node_submit_placed(struct azc_device *device, struct az_blob_request *request)
{
	if (!ioctl(device->node, IOCTL_AZ_BLOB_REQUEST, request))
		return 0;
	return -errno;
}

static int node_add_buffer(struct azc_device *device, void *memory, size_t length, bool read_only,
			   uint32_t *id)
{
	struct az_blob_register arg = {
		.size = sizeof(arg),
		.flags = read_only ? AZ_BLOB_BUFFER_READ_ONLY : 0,
		.address = (uintptr_t)memory,
		.length = length,
	};

	if (ioctl(device->node, IOCTL_AZ_BLOB_REGISTER, &arg))
		return -errno;
	*id = arg.buffer_id;
	return 0;
}

static void node_remove_buffer(struct azc_device *device, uint32_t id)
{
	struct az_blob_deregister arg = { .size = sizeof(arg), .buffer_id = id };

	/* A device that went away has none any more. */
	ioctl(device->node, IOCTL_AZ_BLOB_DEREGISTER, &arg);
}

static int node_cancel(struct azc_device *device, const uint8_t guid[16], bool *unsent)
{
	struct az_blob_cancel arg = { .size = sizeof(arg) };

	memcpy(arg.guid, guid, sizeof(arg.guid));
	if (ioctl(device->node, IOCTL_AZ_BLOB_CANCEL, &arg))
		return -errno;
	*unsent = arg.ended;
	return 0;
}

static void node_close(struct azc_device *device)
{
	close(device->node);
	free(device);
}

/* Older drivers don't know the question, and can do none of it. */
static void ask_features(struct azc_device *device)
{
	struct az_blob_info info = { .size = sizeof(info) };

	if (ioctl(device->node, IOCTL_AZ_BLOB_INFO, &info))
		return;
	device->features = info.features;
	if (info.features & AZ_BLOB_FEATURE_BUFFERS) {
		device->submit_placed = node_submit_placed;
		device->add_buffer = node_add_buffer;
		device->remove_buffer = node_remove_buffer;
	}
	if (info.features & AZ_BLOB_FEATURE_CANCEL_CALL)
		device->cancel = node_cancel;
}

struct azc_device *azc_device_open(const char *path, int *sys_errno)
{
	struct azc_device *device = calloc(1, sizeof(*device));

	if (!device) {
		*sys_errno = ENOMEM;
		return NULL;
	}
	device->node = open(path, O_RDWR | O_CLOEXEC);
	if (device->node < 0) {
		*sys_errno = errno;
		free(device);
		return NULL;
	}
	device->submit = node_submit;
	device->close = node_close;
	ask_features(device);
	return device;
}
