// SPDX-License-Identifier: GPL-2.0-only
/*
 * The code under test, compiled into the test module a second time: so the tests
 * need neither exports nor the driver loaded, which needs a host.
 */
#include "../budget.c"
