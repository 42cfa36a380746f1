/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What differs between the kernels that the driver builds for.
 *
 * Included ahead of every source file, which are written for the newest kernel.
 * compat/probe finds out what a kernel has by compiling compat/probes/NAME.c, and
 * leaves HAVE_NAME in config.h for each that compiles.  No version is ever looked
 * at: stable kernels get interfaces of later ones.
 *
 * With the driver inside a kernel tree this file is not needed.
 */
#ifndef AZB_COMPAT_H
#define AZB_COMPAT_H

#include "config.h"

/* hv_driver.remove returned an int that nobody looked at. */
#ifdef HAVE_HV_REMOVE_VOID
#define azb_compat_hv_remove(fn)
#define AZB_COMPAT_HV_REMOVE(fn) fn
#else
#define azb_compat_hv_remove(fn)                         \
	static int fn##_returning(struct hv_device *hdev) \
	{                                                \
		fn(hdev);                                \
		return 0;                                \
	}
#define AZB_COMPAT_HV_REMOVE(fn) fn##_returning
#endif

#endif /* AZB_COMPAT_H */
