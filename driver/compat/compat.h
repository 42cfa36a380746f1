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

/* No kernel has a name for the device yet. */
#ifndef HAVE_AZURE_BLOB_GUID
#define HV_AZURE_BLOB_GUID                                              \
	.guid = GUID_INIT(0x0590b792, 0xdb64, 0x45cc, 0x81, 0xdb, 0xb8, \
			  0xd7, 0x0c, 0x57, 0x7c, 0x9e)
#endif

/* Memory for an object by the object's type. */
#ifndef HAVE_KZALLOC_OBJ
#define kzalloc_obj(obj, gfp) kzalloc(sizeof(obj), gfp)
#define kmalloc_obj(obj, gfp) kmalloc(sizeof(obj), gfp)
#endif

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

/* What sleeps could not be frozen where it was; it was left out of the count. */
#ifdef HAVE_TASK_FREEZABLE
#define azb_compat_freezable_begin() do { } while (0)
#define azb_compat_freezable_end() do { } while (0)
#define azb_compat_wait_freezable(x) \
	wait_for_completion_state(x, TASK_KILLABLE | TASK_FREEZABLE)
#else
#define TASK_FREEZABLE 0
#define azb_compat_freezable_begin() freezer_do_not_count()
#define azb_compat_freezable_end() freezer_count()
#define azb_compat_wait_freezable(x)                     \
	({                                               \
		int __ret;                               \
							 \
		freezer_do_not_count();                  \
		__ret = wait_for_completion_killable(x); \
		freezer_count();                         \
		__ret;                                   \
	})
#endif

#ifdef HAVE_URING_CMD
#define AZB_COMPAT_URING

/* Everything was in linux/io_uring.h. */
#ifndef HAVE_URING_CMD_H
#define AZB_COMPAT_URING_NO_CMD_H
#endif

/* Where the payload of a command is, as an array of @type. */
#ifdef HAVE_URING_SQE
#define azb_compat_uring_payload(ioucmd, type) ((const type *)(ioucmd)->sqe->cmd)
#else
#define azb_compat_uring_payload(ioucmd, type) ((const type *)(ioucmd)->cmd)
#endif

#ifdef HAVE_URING_DONE32
#define azb_compat_uring_done(ioucmd, ret, res2, flags) \
	io_uring_cmd_done32(ioucmd, ret, res2, flags)
#else
#define azb_compat_uring_done(ioucmd, ret, res2, flags) \
	io_uring_cmd_done(ioucmd, ret, res2, flags)
#endif

/* Task work that runs @fn; the types of its arguments differ. */
#ifdef HAVE_URING_TW_REQ
#define azb_compat_uring_tw(fn)                                      \
	static void fn##_tw(struct io_tw_req tw_req, io_tw_token_t tw) \
	{                                                            \
		fn(io_uring_cmd_from_tw(tw_req),                     \
		   IO_URING_CMD_TASK_WORK_ISSUE_FLAGS);              \
	}
#define AZB_COMPAT_URING_TW(fn) fn##_tw
#else
#define azb_compat_uring_tw(fn)
#define AZB_COMPAT_URING_TW(fn) fn
#endif

#ifdef HAVE_URING_IMPORT_FLAGS
#define azb_compat_uring_import(addr, len, rw, iter, ioucmd, flags) \
	io_uring_cmd_import_fixed(addr, len, rw, iter, ioucmd, flags)
#else
#define azb_compat_uring_import(addr, len, rw, iter, ioucmd, flags) \
	io_uring_cmd_import_fixed(addr, len, rw, iter, ioucmd)
#endif

#ifdef HAVE_URING_CANCEL
#define azb_compat_uring_mark_cancelable(ioucmd, flags) \
	io_uring_cmd_mark_cancelable(ioucmd, flags)
#define azb_compat_uring_is_cancel(flags) ((flags) & IO_URING_F_CANCEL)
#define AZB_COMPAT_URING_CANCEL_FEATURE AZ_BLOB_FEATURE_URING_CANCEL
#else
#define azb_compat_uring_mark_cancelable(ioucmd, flags) do { } while (0)
#define azb_compat_uring_is_cancel(flags) false
#define AZB_COMPAT_URING_CANCEL_FEATURE 0
#endif
#endif /* HAVE_URING_CMD */

#endif /* AZB_COMPAT_H */
