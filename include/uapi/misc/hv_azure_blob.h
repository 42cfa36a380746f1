/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
/*
 * The interface between user space and the hv_azure_blob driver.
 *
 * One ioctl carries one request: three user buffers go to the host's Azure
 * Blob service (the VSP) and come back filled.  The driver never looks into
 * them; what they hold is between the program and the VSP.
 *
 * The node opens read-write only, else EACCES.  The first device is /dev/azure_blob, the
 * next ones /dev/azure_blob1 and so on.
 */
#ifndef _UAPI_MISC_HV_AZURE_BLOB_H
#define _UAPI_MISC_HV_AZURE_BLOB_H

#include <linux/ioctl.h>
#include <linux/types.h>

/**
 * struct az_blob_request_sync_response - what the host said
 * @status: 0, or the HRESULT that the host ended the request with, for
 *	instance %AZ_BLOB_STATUS_TIMEOUT.  It is about the way to the blob
 *	service and back; the service's own answer is in the response buffer.
 * @response_len: bytes of the response buffer that the host filled; never more
 *	than the request's response_len.
 */
struct az_blob_request_sync_response {
	__u32 status;
	__u32 response_len;
};

/**
 * struct az_blob_request_sync - one request, blocking
 * @guid: identifies the request in logs on both sides; chosen by the caller, may
 *	repeat, and changes nothing about what is done.
 * @timeout: milliseconds the host has to answer, any value; 0 is for ever.  When
 *	it passes the host answers with %AZ_BLOB_STATUS_TIMEOUT.
 * @request_len: bytes in the request buffer, 1 or more.
 * @response_len: bytes the response buffer has room for, 1 or more.
 * @data_len: size of the data buffer in bytes; 0 means that there is none.
 * @data_valid: bytes of the data buffer that the caller has filled for the host
 *	to read.  0 says that the host fills the buffer instead: only then is the
 *	buffer written to, and only then does it have to be writable.  At most
 *	@data_len when @data_len is not 0.
 * @reserved: must be zero.
 * @request_buffer: address of the request buffer; only read.
 * @response_buffer: address of the response buffer; written by the host.
 * @data_buffer: address of the data buffer; see @data_valid.
 * @response: filled when the ioctl returns 0.
 *
 * All three buffers together may touch at most %AZ_BLOB_MAX_PAGES pages of
 * %AZ_BLOB_PAGE_SIZE bytes; a buffer that does not start on a page boundary
 * touches one more than its length suggests.
 *
 * The ioctl returns 0 when the host has answered, whatever the answer is, and
 * otherwise -1 with errno:
 *  EINVAL    a length, data_valid or reserved is not as described above;
 *  EMSGSIZE  the buffers touch more than %AZ_BLOB_MAX_PAGES pages;
 *  EFAULT    an address cannot be read, or cannot be written where the host writes;
 *	      also when @response cannot be filled, by when the host has answered
 *	      and a write may have happened;
 *  ENODEV    the device went away, or its host has left the ring in a state in
 *	      which it cannot be read; when that happens with the request under
 *	      way, its outcome is unknown;
 *  EINTR     the caller was killed while it waited; the outcome is unknown;
 *  ETIMEDOUT the host has not even said that the request timed out, 30 s after
 *	      it was due; the outcome is unknown.  As with EINTR the driver keeps
 *	      the pages until the host is done with them: it may write to buffers
 *	      that are still mapped;
 *  EAGAIN    the node was opened with O_NONBLOCK and there is no room for the
 *	      request right now, or too much memory is pinned; nothing was sent;
 *  EIO       the host's answer made no sense, or the request could not be put
 *	      on the ring; the outcome is unknown;
 *  ENOMEM    no memory for the request; nothing was sent;
 *  ENOTTY    unknown ioctl number.
 */
struct az_blob_request_sync {
	__u8 guid[16];
	__u32 timeout;
	__u32 request_len;
	__u32 response_len;
	__u32 data_len;
	__u32 data_valid;
	__u32 reserved;
	__aligned_u64 request_buffer;
	__aligned_u64 response_buffer;
	__aligned_u64 data_buffer;
	struct az_blob_request_sync_response response;
};

/* [extra */
/*
 * With IOCTL_AZ_BLOB_CANCEL a guid is also the name that a request is cancelled by, and
 * every ioctl and command that carries a request has one errno more:
 *  ECANCELED it was cancelled before the host had it; nothing was sent.
 */

/**
 * struct xs_fastpath_request_sync - the first published form, 64 bytes
 *
 * As struct az_blob_request_sync, without data_valid: the direction of the data
 * buffer cannot be told, so it has to be writable, and the host is told that
 * one byte is valid, as that form always did.
 */
struct xs_fastpath_request_sync {
	__u8 guid[16];
	__u32 timeout;
	__u32 request_len;
	__u32 response_len;
	__u32 data_len;
	__aligned_u64 request_buffer;
	__aligned_u64 response_buffer;
	__aligned_u64 data_buffer;
	struct az_blob_request_sync_response response;
};

/* extra] */
/* [uring */
/**
 * struct az_blob_request - one request, as an io_uring command or an ioctl
 *
 * The fields up to @response are those of struct az_blob_request_sync, and mean the
 * same.
 * [extra, else: @flags: must be zero.
 * @flags: bits that this header names for it; all others must be zero.
 * extra]
 * @response: filled when the ioctl returns 0; neither read nor written by a command.
 * [extra
 * @buffer_id: what such a bit refers to; 0 with no flags.
 * extra]
 * @reserved: must be zero.
 *
 * As the ioctl %IOCTL_AZ_BLOB_REQUEST it does what
 * %IOCTL_AZ_BLOB_DRIVER_USER_REQUEST does.
 *
 * As a command it does not block: IORING_OP_URING_CMD with the number of the ioctl
 * in cmd_op and this structure inline in the entry, from its byte 48 on.  The ring
 * needs IORING_SETUP_SQE128 and IORING_SETUP_CQE32, or whatever else makes both entries
 * large on the kernel that runs; otherwise the result is EOPNOTSUPP.
 * The completion's res is 0 or a negative errno, as the ioctl's, and the first word
 * behind it (big_cqe[0]) holds what is in @response otherwise: the status in its
 * lower half, the length in its upper half.  All errnos of the ioctl are possible
 * but EAGAIN and EINTR: a command waits in the driver's line, also on a node that
 * was opened with O_NONBLOCK.  Besides these:
 *  EOPNOTSUPP  the ring is not of the kind above, or the buffer that is registered
 *	        with io_uring is one of the kernel's, such as a ublk server's;
 *  ECANCELED   the ring or its task went away; if the host had the request by then
 *	        the outcome is unknown, and it may write to buffers that are still
 *	        mapped.
 *
 * With IORING_URING_CMD_FIXED the data buffer has to be inside of the buffer that
 * was registered with io_uring under buf_index, else the result is EFAULT.
 */
struct az_blob_request {
	__u8 guid[16];
	__u32 timeout;
	__u32 request_len;
	__u32 response_len;
	__u32 data_len;
	__u32 data_valid;
	__u32 flags;
	__aligned_u64 request_buffer;
	__aligned_u64 response_buffer;
	__aligned_u64 data_buffer;
	struct az_blob_request_sync_response response;
	/* [extra, else: __u32 reserved[2]; */
	__u32 buffer_id;
	__u32 reserved;
	/* extra] */
};

/* [extra */
/*
 * struct az_blob_request, flags: the address of that buffer is not one but the number
 * of bytes from the start of the buffer @buffer_id, which was registered through the
 * same open file.  Then there are two errnos more:
 *  ENOENT    this file has no buffer @buffer_id;
 *  EFAULT    also when a buffer reaches beyond the registered one, or has to be
 *	      written by a host that was told to only read it.
 */
#define AZ_BLOB_DATA_IN_BUFFER 0x1u
#define AZ_BLOB_REQUEST_IN_BUFFER 0x2u
#define AZ_BLOB_RESPONSE_IN_BUFFER 0x4u

/* struct az_blob_register, flags: the host does not write to the buffer. */
#define AZ_BLOB_BUFFER_READ_ONLY 0x1u

/**
 * struct az_blob_register - register a buffer
 * @size: bytes of this structure; if it is larger than the driver's, what is beyond
 *	must be zero.
 * @flags: %AZ_BLOB_BUFFER_READ_ONLY or 0.
 * @address: of the buffer, a multiple of %AZ_BLOB_PAGE_SIZE.
 * @length: bytes, a multiple of %AZ_BLOB_PAGE_SIZE.
 * @buffer_id: must be zero; filled with the buffer's number, which is not 0.
 * @reserved: must be zero.
 *
 * Requests in a registered buffer neither pin nor name pages.  It stays pinned until
 * it is deregistered, the file is closed or the device goes away, and longer while
 * requests are in it; %RLIMIT_MEMLOCK of the caller bounds it, unless the caller has
 * CAP_IPC_LOCK.  After hibernation it is not registered any more: requests in it end
 * with ENOENT.
 *
 * Errnos: EINVAL, E2BIG and EFAULT for the structure; EMSGSIZE when it is longer than
 * max_buffer_bytes; EFAULT when the memory is not there, cannot be written, or (from
 * Linux 6.5 on) is of a file that has to be written back; ENOMEM over the limit; ENOSPC
 * when the host takes no more; EOPNOTSUPP when the host knows no registered buffers;
 * EINTR; ENODEV; EIO.
 */
struct az_blob_register {
	__u32 size;
	__u32 flags;
	__aligned_u64 address;
	__aligned_u64 length;
	__u32 buffer_id;
	__u32 reserved;
};

/**
 * struct az_blob_deregister - end a registered buffer
 * @size: as in struct az_blob_register.
 * @flags: must be zero.
 * @buffer_id: of a buffer of the same open file.
 * @reserved: must be zero.
 *
 * No further request finds the buffer.  Waits until those in it have ended, and it is
 * unpinned.  Errnos: EINVAL, E2BIG and EFAULT for the structure; ENOENT when there is
 * no such buffer; EINTR when the caller is killed, then it ends all the same.
 */
struct az_blob_deregister {
	__u32 size;
	__u32 flags;
	__u32 buffer_id;
	__u32 reserved;
};

/**
 * struct az_blob_cancel - end requests early
 * @size: as in struct az_blob_register.
 * @flags: must be zero.
 * @guid: of the requests: all that came through the same open file, by any ioctl or
 *	as commands, and have this guid.
 * @ended: must be zero; filled with how many of them had not got to the host.  They
 *	end with ECANCELED, or what else was wrong with them, and nothing of them is
 *	sent.
 * @told: must be zero; filled with how many of them the host has, and is told about,
 *	now or before: the message goes ahead of all requests that wait, and waits only
 *	for room on the ring to a host that does not read it.  Each ends when the host
 *	is done with its buffers: with status %AZ_BLOB_STATUS_CANCELLED and an unknown
 *	outcome, or with the answer if that came first.
 *
 * Waits for nothing, and succeeds when it could do something about at least one of
 * them.  Errnos: EINVAL, E2BIG and EFAULT for the structure, and EFAULT when it cannot
 * be filled, by when they have been cancelled; ENOENT when this file has no request
 * with the guid, or has it no more; EOPNOTSUPP when they are at a host that cannot
 * cancel; ENOMEM when it could not be told; ENODEV.
 */
struct az_blob_cancel {
	__u32 size;
	__u32 flags;
	__u8 guid[16];
	__u32 ended;
	__u32 told;
};

/* extra] */
/* struct az_blob_info, features */
/* io_uring commands work. */
#define AZ_BLOB_FEATURE_URING 0x1ull
/* So do buffers registered with io_uring. */
#define AZ_BLOB_FEATURE_URING_FIXED 0x2ull
/* Commands end when their ring or task does, whatever the host is doing. */
#define AZ_BLOB_FEATURE_URING_CANCEL 0x4ull
/* [extra */
/* Buffers can be registered with the driver. */
#define AZ_BLOB_FEATURE_BUFFERS 0x8ull
/* The host is told when nobody waits for a request any more. */
#define AZ_BLOB_FEATURE_CANCEL 0x10ull
/* IOCTL_AZ_BLOB_CANCEL is there. */
#define AZ_BLOB_FEATURE_CANCEL_CALL 0x20ull
/* extra] */

/**
 * struct az_blob_info - what a device can do
 * @size: bytes of this structure as the caller knows it, at least
 *	%AZ_BLOB_INFO_SIZE_1 and at most a page; filled with what the driver knows.
 *	Of the rest only what both know is filled, and what the driver does not
 *	know is zeroed.
 * @flags: must be zero.
 * @features: %AZ_BLOB_FEATURE_URING and the like.
 * @protocol: that is spoken with the host.
 * @page_size: that pages are counted in, %AZ_BLOB_PAGE_SIZE.
 * @max_pages: of one request, %AZ_BLOB_MAX_PAGES.
 * @max_outstanding: requests that the host is given at a time; more wait in the driver.
 * @inflight_bytes: bytes of memory that all requests may have pinned at a time; more
 *	wait in the driver.
 * @user_inflight_bytes: the same for the requests of one user.
 * [extra
 * @max_buffer_bytes: of one registered buffer; 0 when there are none.
 * @max_buffers: registered at a time, by all files.
 * extra]
 * @reserved: zero.
 *
 * Errnos are EFAULT; EINVAL for a wrong size or flags; ENODEV.
 */
struct az_blob_info {
	__u32 size;
	__u32 flags;
	__aligned_u64 features;
	__u32 protocol;
	__u32 page_size;
	__u32 max_pages;
	__u32 max_outstanding;
	__aligned_u64 inflight_bytes;
	__aligned_u64 user_inflight_bytes;
	/* [extra, else: __u32 reserved[4]; */
	__aligned_u64 max_buffer_bytes;
	__u32 max_buffers;
	__u32 reserved;
	/* extra] */
};

#define AZ_BLOB_INFO_SIZE_1 64u
/* uring] */

/* 'R' F0-FF is this driver's. */
#define AZ_BLOB_MAGIC_NUMBER 'R'

#define IOCTL_AZ_BLOB_DRIVER_USER_REQUEST \
	_IOWR(AZ_BLOB_MAGIC_NUMBER, 0xf0, struct az_blob_request_sync)
/* [extra */
/*
 * What a shipped kernel used.  It ignores @reserved, which had no name there:
 * deployed programs leave anything in it.
 */
#define IOCTL_AZ_BLOB_DRIVER_USER_REQUEST_LEGACY \
	_IOWR(AZ_BLOB_MAGIC_NUMBER, 10, struct az_blob_request_sync)
#define IOCTL_XS_FASTPATH_DRIVER_USER_REQUEST \
	_IOWR(AZ_BLOB_MAGIC_NUMBER, 10, struct xs_fastpath_request_sync)
/* extra] */
/* [uring */
/* No size in the number: the structure says its own. */
#define IOCTL_AZ_BLOB_INFO _IO(AZ_BLOB_MAGIC_NUMBER, 0xf1)
/* [extra */
#define IOCTL_AZ_BLOB_REGISTER _IO(AZ_BLOB_MAGIC_NUMBER, 0xf2)
#define IOCTL_AZ_BLOB_DEREGISTER _IO(AZ_BLOB_MAGIC_NUMBER, 0xf3)
#define IOCTL_AZ_BLOB_CANCEL _IO(AZ_BLOB_MAGIC_NUMBER, 0xf5)
/* extra] */
#define IOCTL_AZ_BLOB_REQUEST \
	_IOWR(AZ_BLOB_MAGIC_NUMBER, 0xf4, struct az_blob_request)
/* uring] */

/* Pages are the hypervisor's, whatever the kernel's page size is. */
#define AZ_BLOB_PAGE_SIZE 4096u
/* All three buffers of one request together. */
#define AZ_BLOB_MAX_PAGES 8192u

/* HRESULT_FROM_WIN32(WAIT_TIMEOUT), as the public VSP answers. */
#define AZ_BLOB_STATUS_TIMEOUT 0x80070102u
/* [extra */
/* HRESULT_FROM_WIN32(ERROR_OPERATION_ABORTED) */
#define AZ_BLOB_STATUS_CANCELLED 0x800703e3u
/* extra] */

#endif /* _UAPI_MISC_HV_AZURE_BLOB_H */
