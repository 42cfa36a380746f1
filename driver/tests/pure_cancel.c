// SPDX-License-Identifier: GPL-2.0-only
/*
 * The code under test, compiled into the test module a second time.  queue_test.c
 * stands in for ring.c and request.c.
 */
#include "../cancel.c"
