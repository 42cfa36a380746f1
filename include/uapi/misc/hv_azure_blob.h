/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
/*
 * The interface between user space and the hv_azure_blob driver.
 *
 * One ioctl carries one request: three user buffers go to the host's Azure
 * Blob service (the VSP) and come back filled.  The driver never looks into
 * them; what they hold is between the program and the VSP (docs/payload.md
 * describes what this project's VSP expects).
 *
 * The node opens read-write only.  The first device is /dev/azure_blob, the
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
 * @guid: identifies the request in logs on both sides; chosen by the caller,
 *	may repeat, means nothing to the driver.
 * @timeout: milliseconds the host has to answer, any value; 0 is for ever.  When
 *	it passes the host answers with %AZ_BLOB_STATUS_TIMEOUT.
 * @request_len: bytes in the request buffer, 1 or more.
 * @response_len: bytes the response buffer has room for, 1 or more.
 * @data_len: size of the data buffer in bytes; 0 means that there is none.
 * @data_valid: bytes of the data buffer that the caller has filled for the host
 *	to read.  0 says that the host fills the buffer instead: only then is the
 *	buffer written to, and only then does it have to be writable.  At most
 *	@data_len when @data_len is not 0.
 * @reserved: must be zero.  (The legacy numbers ignore it: it was never
 *	named there and deployed programs leave anything in it.)
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
 *  ENODEV    the device went away; when that happens with the request under
 *	      way, its outcome is unknown;
 *  EINTR     the caller was killed while it waited; the outcome is unknown;
 *  ETIMEDOUT the host has not even said that the request timed out, 30 s after
 *	      it was due; the outcome is unknown.  As with EINTR the driver keeps
 *	      the pages until the host is done with them: it may write to buffers
 *	      that are still mapped;
 *  EAGAIN    the node was opened with O_NONBLOCK and there is no room for the
 *	      request right now; nothing was sent;
 *  EIO       the host's answer made no sense; the outcome is unknown;
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

/* 'R' F0-FF was asked for in 2021; 'R' 10 is what a shipped kernel used. */
#define AZ_BLOB_MAGIC_NUMBER 'R'

#define IOCTL_AZ_BLOB_DRIVER_USER_REQUEST \
	_IOWR(AZ_BLOB_MAGIC_NUMBER, 0xf0, struct az_blob_request_sync)
#define IOCTL_AZ_BLOB_DRIVER_USER_REQUEST_LEGACY \
	_IOWR(AZ_BLOB_MAGIC_NUMBER, 10, struct az_blob_request_sync)
#define IOCTL_XS_FASTPATH_DRIVER_USER_REQUEST \
	_IOWR(AZ_BLOB_MAGIC_NUMBER, 10, struct xs_fastpath_request_sync)

/* Pages are the hypervisor's, whatever the kernel's page size is. */
#define AZ_BLOB_PAGE_SIZE 4096u
/* All three buffers of one request together. */
#define AZ_BLOB_MAX_PAGES 8192u

/* HRESULT_FROM_WIN32(WAIT_TIMEOUT), as the public VSP answers. */
#define AZ_BLOB_STATUS_TIMEOUT 0x80070102u

#endif /* _UAPI_MISC_HV_AZURE_BLOB_H */
