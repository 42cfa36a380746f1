// SPDX-License-Identifier: GPL-2.0-only
/* Finishing with two words has a name of its own. */
#include <linux/io_uring/cmd.h>

void probe(struct io_uring_cmd *cmd);
void probe(struct io_uring_cmd *cmd)
{
	io_uring_cmd_done32(cmd, 0, 0, 0);
}
