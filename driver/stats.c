// SPDX-License-Identifier: GPL-2.0-only
/*
 * What is counted and what it is called: one table for sysfs and debugfs.
 */
#include <linux/spinlock.h>
#include <linux/string.h>

#include "azb.h"

const char *const azb_counter_names[AZB_NR_COUNTERS] = {
	[AZB_CNT_SUBMITTED] = "submitted",
	[AZB_CNT_COMPLETED] = "completed",
	[AZB_CNT_WOULD_BLOCK] = "would_block",
	[AZB_CNT_KILLED] = "killed",
	/* [uring */
	[AZB_CNT_CANCELLED] = "cancelled",
	/* uring] */
	[AZB_CNT_TIMED_OUT] = "timed_out",
	[AZB_CNT_CUT_OFF] = "cut_off",
	[AZB_CNT_LATE] = "late",
	[AZB_CNT_OVER_BUDGET] = "over_budget",
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

const char *const azb_gauge_names[AZB_NR_GAUGES] = {
	[AZB_GAUGE_QUEUED] = "queued",
	[AZB_GAUGE_OUTSTANDING] = "outstanding",
	[AZB_GAUGE_ABANDONED] = "abandoned",
	[AZB_GAUGE_MAX_QUEUED] = "max_queued",
	[AZB_GAUGE_MAX_OUTSTANDING] = "max_outstanding",
	[AZB_GAUGE_QUEUED_FOR_BYTES] = "queued_for_bytes",
	[AZB_GAUGE_BYTES] = "bytes",
	[AZB_GAUGE_MAX_BYTES] = "max_bytes",
};

/**
 * azb_stats_get() - all numbers of one moment
 * @queue: the queue
 * @stats: filled
 *
 * Context: any but hard interrupt.
 */
void azb_stats_get(struct azb_queue *queue, struct azb_stats *stats)
{
	spin_lock_bh(&queue->lock);
	stats->gauges[AZB_GAUGE_QUEUED] = queue->nr_waiting;
	stats->gauges[AZB_GAUGE_OUTSTANDING] = queue->nr_sent;
	stats->gauges[AZB_GAUGE_ABANDONED] = queue->nr_abandoned;
	stats->gauges[AZB_GAUGE_MAX_QUEUED] = queue->max_waiting;
	stats->gauges[AZB_GAUGE_MAX_OUTSTANDING] = queue->max_sent;
	stats->gauges[AZB_GAUGE_QUEUED_FOR_BYTES] = queue->budget.nr_waiting;
	stats->gauges[AZB_GAUGE_BYTES] = queue->budget.used;
	stats->gauges[AZB_GAUGE_MAX_BYTES] = queue->budget.max_used;
	memcpy(stats->counters, queue->counters, sizeof(stats->counters));
	spin_unlock_bh(&queue->lock);
}
