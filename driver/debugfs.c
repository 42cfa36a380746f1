// SPDX-License-Identifier: GPL-2.0-only
/*
 * Counters, under hv_azure_blob/<device>/ in debugfs.
 */
#include <linux/debugfs.h>
#include <linux/module.h>
#include <linux/seq_file.h>

#include "azb.h"

static struct dentry *azb_debugfs_root;

static const char *const azb_counter_names[AZB_NR_COUNTERS] = {
	[AZB_CNT_SUBMITTED] = "submitted",
	[AZB_CNT_COMPLETED] = "completed",
	[AZB_CNT_WOULD_BLOCK] = "would_block",
	[AZB_CNT_KILLED] = "killed",
	[AZB_CNT_TIMED_OUT] = "timed_out",
	[AZB_CNT_CUT_OFF] = "cut_off",
	[AZB_CNT_LATE] = "late",
	[AZB_CNT_RING_FULL] = "ring_full",
	[AZB_CNT_IDS_FULL] = "ids_full",
	[AZB_CNT_SEND_ERROR] = "send_error",
	[AZB_CNT_BAD_PACKET] = "bad_packet",
	[AZB_CNT_BAD_ID_UNKNOWN] = "bad_id_unknown",
	[AZB_CNT_BAD_ID_STALE] = "bad_id_stale",
	[AZB_CNT_BAD_SHORT] = "bad_short",
	[AZB_CNT_BAD_LENGTH] = "bad_length",
	[AZB_CNT_BAD_RESPONSE_LEN] = "bad_response_len",
};

/* One "name value" a line: what is there now, then what was counted. */
static int counters_show(struct seq_file *seq, void *unused)
{
	struct azb_device *azb = seq->private;
	struct azb_queue *queue = &azb->queue;
	u64 counters[AZB_NR_COUNTERS];
	u32 waiting, sent, abandoned, max_waiting, max_sent;
	unsigned int i;

	spin_lock_bh(&queue->lock);
	waiting = queue->nr_waiting;
	sent = queue->nr_sent;
	abandoned = queue->nr_abandoned;
	max_waiting = queue->max_waiting;
	max_sent = queue->max_sent;
	memcpy(counters, queue->counters, sizeof(counters));
	spin_unlock_bh(&queue->lock);

	seq_printf(seq, "queued %u\noutstanding %u\nabandoned %u\n", waiting, sent,
		   abandoned);
	seq_printf(seq, "max_queued %u\nmax_outstanding %u\n", max_waiting, max_sent);
	for (i = 0; i < AZB_NR_COUNTERS; i++)
		seq_printf(seq, "%s %llu\n", azb_counter_names[i], counters[i]);
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
