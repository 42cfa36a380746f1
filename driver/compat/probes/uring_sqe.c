// SPDX-License-Identifier: GPL-2.0-only
/* A command has its submission entry, not only the payload of that. */
#include <linux/io_uring/cmd.h>

const void *probe(struct io_uring_cmd *cmd);
const void *probe(struct io_uring_cmd *cmd)
{
	return cmd->sqe->cmd;
}
