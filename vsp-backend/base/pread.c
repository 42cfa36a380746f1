// SPDX-License-Identifier: MIT
/* Reading what is in memory at once, and the rest as a wait; see pread.h. */
#include "pread.h"

#include "waiting.h"

ssize_t azb_preadv(int fd, const struct iovec *iov, int count, uint64_t offset)
{
	ssize_t got = preadv2(fd, iov, count, (off_t)offset, RWF_NOWAIT);

	/* Not in memory, or a file system that can't tell; an error that stays is found again. */
	if (got < 0) {
		azb_waiting_begin();
		got = preadv(fd, iov, count, (off_t)offset);
		azb_waiting_end();
	}
	return got;
}

bool azb_pread_waits(int fd, uint64_t offset)
{
	char byte;
	struct iovec iov = { &byte, 1 };

	return preadv2(fd, &iov, 1, (off_t)offset, RWF_NOWAIT) < 0;
}
