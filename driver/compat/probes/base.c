// SPDX-License-Identifier: GPL-2.0-only
/* Has to compile: tells a broken set-up from a kernel that lacks something. */
#include <linux/hyperv.h>
#include <linux/module.h>
