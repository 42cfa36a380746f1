// SPDX-License-Identifier: GPL-2.0-only
/* Files can have io_uring commands.  Their second word was only a long at first. */
#include <linux/fs.h>

#if !defined(CONFIG_IO_URING) || !defined(CONFIG_64BIT)
#error
#endif

static int probe(struct io_uring_cmd *cmd, unsigned int issue_flags)
{
	return 0;
}

extern const struct file_operations probe_fops;
const struct file_operations probe_fops = { .uring_cmd = probe };
