// SPDX-License-Identifier: GPL-2.0-only
/* The device has a name in the kernel. */
#include <linux/hyperv.h>

extern const struct hv_vmbus_device_id probe_id;
const struct hv_vmbus_device_id probe_id = { HV_AZURE_BLOB_GUID };
