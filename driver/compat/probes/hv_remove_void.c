// SPDX-License-Identifier: GPL-2.0-only
/* hv_driver.remove returns nothing. */
#include <linux/hyperv.h>

void probe(struct hv_driver *drv);
void probe(struct hv_driver *drv)
{
	void (*remove)(struct hv_device *dev) = drv->remove;

	remove(NULL);
}
