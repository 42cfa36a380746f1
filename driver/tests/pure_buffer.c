// SPDX-License-Identifier: GPL-2.0-only
/*
 * The code under test, compiled into the test module a second time, with a device whose
 * references fake.c counts.
 */
#include "fake.h"

#define get_device(device) azb_fake_device_get(device)
#include "../buffer.c"
