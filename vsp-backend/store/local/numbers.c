/* SPDX-License-Identifier: MIT */
/* The local store's numbers for the metrics. */
#include <stddef.h>
#include <sys/statvfs.h>

#include "store/local/local.h"

static void counter(struct azb_buf *out, const char *name, const char *help, atomic_ullong *value)
{
	metrics_head(out, name, "counter", help);
	azb_buf_printf(out, "%s %llu\n", name, (unsigned long long)atomic_load(value));
}

static void gauge(struct azb_buf *out, const char *name, const char *help, unsigned long long value)
{
	metrics_head(out, name, "gauge", help);
	azb_buf_printf(out, "%s %llu\n", name, value);
}

static void show(struct metrics_source *source, struct azb_buf *out)
{
	struct numbers *n = (struct numbers *)(void *)source;
	struct local *local = (struct local *)((char *)n - offsetof(struct local, numbers));
	struct statvfs fs;

	counter(out, "azblob_local_commits_total", "transactions", &n->commits);
	counter(out, "azblob_local_changes_total", "changes, several of which share a transaction",
		&n->changes);
	counter(out, "azblob_local_checked_bytes_total", "data compared with its checksums",
		&n->checked);
	counter(out, "azblob_local_damaged_total", "blocks that were not what they should be",
		&n->damaged);
	counter(out, "azblob_local_collected_bytes_total", "space given back", &n->collected);
	gauge(out, "azblob_local_broken", "1 after a commit that failed: no more changes",
	      local->writer.broken);
	if (fstatvfs(local->extents_dir, &fs))
		return;
	gauge(out, "azblob_local_disk_bytes", "size of the file system",
	      (unsigned long long)fs.f_blocks * fs.f_frsize);
	gauge(out, "azblob_local_disk_free_bytes", "of it, what may still be used",
	      (unsigned long long)fs.f_bavail * fs.f_frsize);
}

void numbers_start(struct local *local)
{
	local->numbers.source.show = show;
	metrics_add(&local->numbers.source);
}

void numbers_stop(struct local *local)
{
	metrics_remove(&local->numbers.source);
}
