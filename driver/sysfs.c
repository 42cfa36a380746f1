// SPDX-License-Identifier: GPL-2.0-only
/*
 * Statistics and limits of a device, one value a file, in
 * /sys/class/azure_blob/<device>/.  The ABI text sysfs-class-azure-blob describes
 * each; what is there stays there.
 */
#include <linux/device.h>
#include <linux/kernel.h>
#include <linux/sysfs.h>
#include <uapi/misc/hv_azure_blob.h>

#include "azb.h"

/* A file that shows one of the numbers of struct azb_stats. */
struct azb_stat_attribute {
	struct device_attribute attr;
	unsigned int index;
};

#define to_azb(device) container_of(device, struct azb_device, dev)
#define to_stat(attribute) \
	container_of(attribute, struct azb_stat_attribute, attr)

static ssize_t azb_gauge_show(struct device *dev, struct device_attribute *attr,
			      char *buf)
{
	struct azb_stats stats;

	azb_stats_get(&to_azb(dev)->queue, &stats);
	return sysfs_emit(buf, "%llu\n", stats.gauges[to_stat(attr)->index]);
}

static ssize_t azb_counter_show(struct device *dev, struct device_attribute *attr,
				char *buf)
{
	struct azb_stats stats;

	azb_stats_get(&to_azb(dev)->queue, &stats);
	return sysfs_emit(buf, "%llu\n", stats.counters[to_stat(attr)->index]);
}

#define AZB_STAT(_name, _show, _index)                    \
	static struct azb_stat_attribute azb_stat_##_name = { \
		.attr = __ATTR(_name, 0444, _show, NULL), \
		.index = _index,                          \
	}

#define AZB_GAUGE(_name, _index) AZB_STAT(_name, azb_gauge_show, AZB_GAUGE_##_index)
#define AZB_COUNTER(_name, _index) AZB_STAT(_name, azb_counter_show, AZB_CNT_##_index)

AZB_GAUGE(queued, QUEUED);
AZB_GAUGE(outstanding, OUTSTANDING);
AZB_GAUGE(abandoned, ABANDONED);
AZB_GAUGE(max_queued, MAX_QUEUED);
AZB_GAUGE(max_outstanding, MAX_OUTSTANDING);
AZB_GAUGE(queued_for_bytes, QUEUED_FOR_BYTES);
AZB_GAUGE(bytes, BYTES);
AZB_GAUGE(max_bytes, MAX_BYTES);
AZB_COUNTER(submitted, SUBMITTED);
AZB_COUNTER(completed, COMPLETED);
AZB_COUNTER(would_block, WOULD_BLOCK);
AZB_COUNTER(killed, KILLED);
/* [uring */
AZB_COUNTER(cancelled, CANCELLED);
/* uring] */
AZB_COUNTER(timed_out, TIMED_OUT);
AZB_COUNTER(cut_off, CUT_OFF);
AZB_COUNTER(late, LATE);
AZB_COUNTER(over_budget, OVER_BUDGET);
AZB_COUNTER(ring_full, RING_FULL);
AZB_COUNTER(ids_full, IDS_FULL);
AZB_COUNTER(send_error, SEND_ERROR);

/* The host broke the protocol, in whichever of the ways that debugfs tells apart. */
static ssize_t host_errors_show(struct device *dev, struct device_attribute *attr,
				char *buf)
{
	struct azb_stats stats;
	u64 sum = 0;
	unsigned int i;

	azb_stats_get(&to_azb(dev)->queue, &stats);
	for (i = AZB_CNT_BAD_FIRST; i <= AZB_CNT_BAD_LAST; i++)
		sum += stats.counters[i];
	return sysfs_emit(buf, "%llu\n", sum);
}
static DEVICE_ATTR_RO(host_errors);

static struct attribute *azb_statistics[] = {
	&azb_stat_queued.attr.attr,
	&azb_stat_outstanding.attr.attr,
	&azb_stat_abandoned.attr.attr,
	&azb_stat_max_queued.attr.attr,
	&azb_stat_max_outstanding.attr.attr,
	&azb_stat_queued_for_bytes.attr.attr,
	&azb_stat_bytes.attr.attr,
	&azb_stat_max_bytes.attr.attr,
	&azb_stat_submitted.attr.attr,
	&azb_stat_completed.attr.attr,
	&azb_stat_would_block.attr.attr,
	&azb_stat_killed.attr.attr,
	/* [uring */
	&azb_stat_cancelled.attr.attr,
	/* uring] */
	&azb_stat_timed_out.attr.attr,
	&azb_stat_cut_off.attr.attr,
	&azb_stat_late.attr.attr,
	&azb_stat_over_budget.attr.attr,
	&azb_stat_ring_full.attr.attr,
	&azb_stat_ids_full.attr.attr,
	&azb_stat_send_error.attr.attr,
	&dev_attr_host_errors.attr,
	NULL
};

static const struct attribute_group azb_statistics_group = {
	.name = "statistics",
	.attrs = azb_statistics,
};

static ssize_t max_pages_show(struct device *dev, struct device_attribute *attr,
			      char *buf)
{
	return sysfs_emit(buf, "%u\n", AZ_BLOB_MAX_PAGES);
}
static DEVICE_ATTR_RO(max_pages);

static ssize_t page_size_show(struct device *dev, struct device_attribute *attr,
			      char *buf)
{
	return sysfs_emit(buf, "%u\n", AZ_BLOB_PAGE_SIZE);
}
static DEVICE_ATTR_RO(page_size);

static ssize_t host_requests_show(struct device *dev, struct device_attribute *attr,
				  char *buf)
{
	/* [extra, else: return sysfs_emit(buf, "%u\n", VSP_WIRE_MAX_OUTSTANDING); */
	return sysfs_emit(buf, "%u\n", azb_max_requests(to_azb(dev)));
	/* extra] */
}
static DEVICE_ATTR_RO(host_requests);

static int azb_limit_parse(const char *buf, u64 *limit)
{
	int ret = kstrtou64(buf, 0, limit);

	if (ret)
		return ret;
	return *limit < AZB_BYTES_MIN ? -EINVAL : 0;
}

static ssize_t inflight_bytes_show(struct device *dev, struct device_attribute *attr,
				   char *buf)
{
	u64 limit, user_limit;

	azb_queue_get_limits(to_azb(dev), &limit, &user_limit);
	return sysfs_emit(buf, "%llu\n", limit);
}

static ssize_t inflight_bytes_store(struct device *dev, struct device_attribute *attr,
				    const char *buf, size_t count)
{
	u64 limit;
	int ret = azb_limit_parse(buf, &limit);

	if (ret)
		return ret;
	azb_queue_set_limits(to_azb(dev), &limit, NULL);
	return count;
}
static DEVICE_ATTR_RW(inflight_bytes);

static ssize_t user_inflight_bytes_show(struct device *dev,
					struct device_attribute *attr, char *buf)
{
	u64 limit, user_limit;

	azb_queue_get_limits(to_azb(dev), &limit, &user_limit);
	return sysfs_emit(buf, "%llu\n", user_limit);
}

static ssize_t user_inflight_bytes_store(struct device *dev,
					 struct device_attribute *attr,
					 const char *buf, size_t count)
{
	u64 limit;
	int ret = azb_limit_parse(buf, &limit);

	if (ret)
		return ret;
	azb_queue_set_limits(to_azb(dev), NULL, &limit);
	return count;
}
static DEVICE_ATTR_RW(user_inflight_bytes);

static struct attribute *azb_limits[] = {
	&dev_attr_max_pages.attr,
	&dev_attr_page_size.attr,
	&dev_attr_host_requests.attr,
	&dev_attr_inflight_bytes.attr,
	&dev_attr_user_inflight_bytes.attr,
	NULL
};

static const struct attribute_group azb_limits_group = {
	.name = "limits",
	.attrs = azb_limits,
};

const struct attribute_group *azb_sysfs_groups[] = {
	&azb_statistics_group,
	&azb_limits_group,
	NULL
};
