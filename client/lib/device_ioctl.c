// SPDX-License-Identifier: MIT
/* The driver's node, the only file that makes its ioctl. */
#include "transport.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "uapi/misc/hv_azure_blob.h"

struct node {
	struct azc_device device;
	int fd;
};

static int node_submit(struct azc_device *device, struct az_blob_request_sync *request)
{
	struct node *node = (struct node *)device;

	if (!ioctl(node->fd, IOCTL_AZ_BLOB_DRIVER_USER_REQUEST, request))
		return 0;
	return -errno;
}

static void node_close(struct azc_device *device)
{
	struct node *node = (struct node *)device;

	close(node->fd);
	free(node);
}

struct azc_device *azc_device_open(const char *path, int *sys_errno)
{
	struct node *node = calloc(1, sizeof(*node));

	if (!node) {
		*sys_errno = ENOMEM;
		return NULL;
	}
	node->fd = open(path, O_RDWR | O_CLOEXEC);
	if (node->fd < 0) {
		*sys_errno = errno;
		free(node);
		return NULL;
	}
	node->device.submit = node_submit;
	node->device.close = node_close;
	return &node->device;
}
