// SPDX-License-Identifier: GPL-2.0-only
/*
 * The code of the tracepoints, which exists once.
 */
#define CREATE_TRACE_POINTS
#include "trace.h"
