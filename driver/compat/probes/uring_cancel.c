// SPDX-License-Identifier: GPL-2.0-only
/* Commands are told when their ring or task goes. */
#include <linux/io_uring/cmd.h>

unsigned int probe(struct io_uring_cmd *cmd);
unsigned int probe(struct io_uring_cmd *cmd)
{
	io_uring_cmd_mark_cancelable(cmd, 0);
	return IO_URING_F_CANCEL;
}
