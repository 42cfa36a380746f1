/* SPDX-License-Identifier: MIT */
/*
 * Guest memory on the link: regions that the emulator shared by file descriptor,
 * and buffers made of pieces of them.
 *
 * Guest memory is hostile in two ways.  Its contents change at any time, so nothing
 * that was checked may be read from it twice.  And touching it may fail: a page of
 * a memfd that cannot be allocated raises SIGBUS.  So whoever touches it, here or in a
 * store, does so between link_guard_enter() and link_guard_leave(): the signal then
 * puts a private page in the place of the lost one, the work goes on to nowhere, and
 * link_guard_leave() tells.  In preadv and pwritev the kernel answers EFAULT.
 */
#ifndef AZBLOB_DOOR_LINK_MEMORY_H
#define AZBLOB_DOOR_LINK_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "link_pool.h"

struct link_conn;

/**
 * struct link_region - one region of guest memory
 * @job, @conn: for the link that unmaps it on a worker thread.
 * @id: the emulator's name of it.
 * @readonly: mapped without PROT_WRITE.
 * @leaving: REGION_DEL has come; protected by the link's lock.
 * @users: requests in flight with a segment here; protected by the link's lock.
 * @broken: a page was lost: what is mapped is no longer the guest's memory.
 * @page: bytes of a page of its file.
 * @base: where it is mapped; @size bytes.
 */
struct link_region {
	struct link_job job;
	struct link_conn *conn;
	uint32_t id;
	bool readonly;
	bool leaving;
	unsigned int users;
	_Atomic bool broken;
	uint8_t *base;
	uint64_t size;
	size_t page;
};

/**
 * link_region_map() - check and map a region
 * @fd: the memfd; borrowed, the caller closes it.
 * @offset, @size: as in struct azl_region_add, already checked for alignment.
 * @readonly: whether it is never written.
 * @region: set on success; freed with link_region_unmap().
 *
 * Return: 0; -EPERM when the file can shrink; -ERANGE when the region does not lie
 * inside the file; -EINVAL when it is no memory file; another negative errno.
 */
int link_region_map(int fd, uint64_t offset, uint64_t size, bool readonly,
		    struct link_region **region);
void link_region_unmap(struct link_region *region);

/**
 * struct link_buffer - a buffer of the guest, or private memory with the same face
 * @iov, @count: its pieces; owned by whoever made it.
 * @length: bytes of all pieces.
 */
struct link_buffer {
	struct iovec *iov;
	unsigned int count;
	size_t length;
};

/**
 * struct link_cursor - a place in a link_buffer that moves forward
 */
struct link_cursor {
	const struct iovec *iov;
	unsigned int count;
	size_t skip; /* bytes of iov[0] that are behind us */
	size_t left; /* bytes from here to the end */
};

struct link_cursor link_cursor_at(const struct link_buffer *buffer, size_t offset);

/**
 * link_cursor_take() - the next pieces as an iovec, and move past them
 * @out, @max: filled with at most @max pieces; @bytes: wanted.
 * @pieces: set to the number filled.
 *
 * Return: bytes covered: less than @bytes when @max or the buffer ran out.
 */
size_t link_cursor_take(struct link_cursor *cursor, size_t bytes, struct iovec *out,
			unsigned int max, unsigned int *pieces);

/* Copy between private memory and the buffer, and move.  0, or -ERANGE when the buffer
 * has fewer than @length bytes left (then nothing is copied).
 */
int link_cursor_write(struct link_cursor *cursor, const void *from, size_t length);
int link_cursor_read(struct link_cursor *cursor, void *to, size_t length);

/**
 * link_memory_guard() - install the SIGBUS handler of the process
 *
 * A fault outside of guarded regions still ends the process, as without it.
 */
int link_memory_guard(void);

/* From here to link_guard_leave() this thread may touch the regions.  Not nested. */
void link_guard_enter(struct link_region *const *regions, unsigned int count);
/* Return: false when one of them is broken. */
bool link_guard_leave(void);

#endif /* AZBLOB_DOOR_LINK_MEMORY_H */
