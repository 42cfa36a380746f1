// SPDX-License-Identifier: MIT
/* Guest memory on the link; see link_memory.h. */
#include "link_memory.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

int link_region_map(int fd, uint64_t offset, uint64_t size, bool readonly,
		    struct link_region **region)
{
	struct link_region *made;
	struct stat st;
	void *base;
	int seals;

	/* Only memory files can be sealed; anything else fails here. */
	seals = fcntl(fd, F_GET_SEALS);
	if (seals < 0)
		return -EINVAL;
	if (!(seals & F_SEAL_SHRINK))
		return -EPERM;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (offset > (uint64_t)st.st_size || size > (uint64_t)st.st_size - offset ||
	    size > SIZE_MAX)
		return -ERANGE;

	made = calloc(1, sizeof(*made));
	if (!made)
		return -ENOMEM;
	base = mmap(NULL, size, readonly ? PROT_READ : PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_NORESERVE, fd, (off_t)offset);
	if (base == MAP_FAILED) {
		int error = errno;

		free(made);
		return -error;
	}
	/* The guest's memory has no place in our core dumps, nor in our children. */
	(void)madvise(base, size, MADV_DONTDUMP);
	(void)madvise(base, size, MADV_DONTFORK);
	made->base = base;
	made->size = size;
	made->readonly = readonly;
	/* Of a memfd this is the page size, huge pages included. */
	made->page = (size_t)st.st_blksize;
	*region = made;
	return 0;
}

void link_region_unmap(struct link_region *region)
{
	if (!region)
		return;
	munmap(region->base, region->size);
	free(region);
}

struct link_cursor link_cursor_at(const struct link_buffer *buffer, size_t offset)
{
	struct link_cursor cursor = { buffer->iov, buffer->count, 0, 0 };

	if (offset >= buffer->length) {
		cursor.count = 0;
		return cursor;
	}
	cursor.left = buffer->length - offset;
	while (offset >= cursor.iov->iov_len) {
		offset -= cursor.iov->iov_len;
		cursor.iov++;
		cursor.count--;
	}
	cursor.skip = offset;
	return cursor;
}

size_t link_cursor_take(struct link_cursor *cursor, size_t bytes, struct iovec *out,
			unsigned int max, unsigned int *pieces)
{
	size_t covered = 0;
	unsigned int n = 0;

	if (bytes > cursor->left)
		bytes = cursor->left;
	while (covered < bytes && n < max) {
		size_t piece = cursor->iov->iov_len - cursor->skip;

		if (piece > bytes - covered)
			piece = bytes - covered;
		out[n].iov_base = (uint8_t *)cursor->iov->iov_base + cursor->skip;
		out[n].iov_len = piece;
		n++;
		covered += piece;
		cursor->skip += piece;
		if (cursor->skip == cursor->iov->iov_len) {
			cursor->iov++;
			cursor->count--;
			cursor->skip = 0;
		}
	}
	cursor->left -= covered;
	*pieces = n;
	return covered;
}

/*
 * The guard.  A fault is synchronous, so the handler runs on the thread that touched the
 * page, and may look at what that thread guards.  mmap() is a plain system call.
 */
static _Thread_local struct link_region *const *guarded;
static _Thread_local unsigned int guarded_count;

static void guard_handler(int signo, siginfo_t *info, void *context)
{
	struct sigaction dfl = { .sa_handler = SIG_DFL };
	uintptr_t address = (uintptr_t)info->si_addr;
	int error = errno;

	(void)context;
	for (unsigned int i = 0; i < guarded_count; i++) {
		struct link_region *region = guarded[i];
		uintptr_t base = (uintptr_t)region->base;
		uintptr_t page = base + (address - base) / region->page * region->page;

		if (address < base || address - base >= region->size)
			continue;
		if (mmap((void *)page, region->page, PROT_READ | PROT_WRITE,
			 MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED)
			break;
		atomic_store(&region->broken, true);
		errno = error;
		return;
	}
	sigaction(signo, &dfl, NULL);
	/* The instruction faults again on return, now with the default action. */
}

int link_memory_guard(void)
{
	struct sigaction action = { .sa_sigaction = guard_handler, .sa_flags = SA_SIGINFO };

	sigemptyset(&action.sa_mask);
	return sigaction(SIGBUS, &action, NULL) < 0 ? -errno : 0;
}

void link_guard_enter(struct link_region *const *regions, unsigned int count)
{
	guarded = regions;
	guarded_count = count;
	atomic_signal_fence(memory_order_seq_cst);
}

bool link_guard_leave(void)
{
	bool whole = true;

	atomic_signal_fence(memory_order_seq_cst);
	for (unsigned int i = 0; i < guarded_count; i++)
		whole = whole && !atomic_load(&guarded[i]->broken);
	guarded_count = 0;
	guarded = NULL;
	return whole;
}

static int cursor_copy(struct link_cursor *cursor, uint8_t *private, size_t length, bool to_buffer)
{
	if (length > cursor->left)
		return -ERANGE;
	while (length) {
		struct iovec piece = { NULL, 0 };
		unsigned int n;
		size_t bytes = link_cursor_take(cursor, length, &piece, 1, &n);

		if (!n) /* the lengths of a buffer contradict each other */
			return -ERANGE;
		if (to_buffer)
			memcpy(piece.iov_base, private, bytes);
		else
			memcpy(private, piece.iov_base, bytes);
		private += bytes;
		length -= bytes;
	}
	return 0;
}

int link_cursor_write(struct link_cursor *cursor, const void *from, size_t length)
{
	/* cursor_copy() only reads @from in this direction. */
	return cursor_copy(cursor, (uint8_t *)(uintptr_t)from, length, true);
}

int link_cursor_read(struct link_cursor *cursor, void *to, size_t length)
{
	return cursor_copy(cursor, to, length, false);
}
