// SPDX-License-Identifier: GPL-2.0-only
/* Commands have a header of their own. */
#include <linux/io_uring/cmd.h>
