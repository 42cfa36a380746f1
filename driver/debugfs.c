// SPDX-License-Identifier: GPL-2.0-only
/*
 * All counters in one file, under hv_azure_blob/<device>/ in debugfs.
 */
#include <linux/debugfs.h>
#include <linux/module.h>
#include <linux/seq_file.h>

#include "azb.h"

static struct dentry *azb_debugfs_root;

/* One "name value" a line: what is there now, then what was counted. */
static int counters_show(struct seq_file *seq, void *unused)
{
	struct azb_device *azb = seq->private;
	struct azb_stats stats;
	unsigned int i;

	azb_stats_get(&azb->queue, &stats);
	for (i = 0; i < AZB_NR_GAUGES; i++)
		seq_printf(seq, "%s %llu\n", azb_gauge_names[i], stats.gauges[i]);
	for (i = 0; i < AZB_NR_COUNTERS; i++)
		seq_printf(seq, "%s %llu\n", azb_counter_names[i],
			   stats.counters[i]);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(counters);

/**
 * azb_debugfs_add() - the directory of a device
 * @azb: the device
 */
void azb_debugfs_add(struct azb_device *azb)
{
	azb->debugfs = debugfs_create_dir(dev_name(&azb->dev), azb_debugfs_root);
	debugfs_create_file("counters", 0444, azb->debugfs, azb, &counters_fops);
}

/**
 * azb_debugfs_remove() - take it away; waits for those who read in it
 * @azb: the device
 */
void azb_debugfs_remove(struct azb_device *azb)
{
	debugfs_remove_recursive(azb->debugfs);
}

/**
 * azb_debugfs_register() - the directory of the driver
 */
void azb_debugfs_register(void)
{
	azb_debugfs_root = debugfs_create_dir("hv_azure_blob", NULL);
}

/**
 * azb_debugfs_unregister() - take it away
 */
void azb_debugfs_unregister(void)
{
	debugfs_remove_recursive(azb_debugfs_root);
}
