/* SPDX-License-Identifier: MIT */
/* Reading of files that are in memory most of the time. */
#ifndef AZBLOB_BASE_PREAD_H
#define AZBLOB_BASE_PREAD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

/**
 * azb_preadv() - preadv(), which says so (waiting.h) when it has to wait for a disk
 * @offset: in bytes; at most INT64_MAX.
 *
 * Return: as preadv(): it may read less than there is, as when the rest is not in memory.
 */
ssize_t azb_preadv(int fd, const struct iovec *iov, int count, uint64_t offset);

/* Would reading at @offset wait for a disk now?  What is at the end of the file does not. */
bool azb_pread_waits(int fd, uint64_t offset);

#endif /* AZBLOB_BASE_PREAD_H */
