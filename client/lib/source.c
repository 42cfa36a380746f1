// SPDX-License-Identifier: MIT
#include "source.h"

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <linux/fs.h>

#include "base/crc64.h"

/* Small enough that the checksum finds the bytes in the cache where read() left them. */
#define READ_STEP ((size_t)256 << 10)

static int64_t read_fd(void *context, void *buffer, size_t room)
{
	const struct azc_source *source = context;
	ssize_t got;

	do {
		got = read(source->fd, buffer, room);
	} while (got < 0 && errno == EINTR);
	return got;
}

int azc_source_from_fd(struct azc_source *source, int fd, uint64_t *size,
		       struct azblob_error *error)
{
	uint64_t whole = 0;
	struct stat stat;

	memset(source, 0, sizeof(*source));
	source->fd = fd;
	if (fstat(fd, &stat))
		return azc_fail_errno(error, AZBLOB_LOCAL_IO, errno, "the source can't be read");
	source->start = lseek(fd, 0, SEEK_CUR);
	if (S_ISREG(stat.st_mode)) {
		whole = (uint64_t)stat.st_size;
		source->positioned = source->start >= 0;
	} else if (S_ISBLK(stat.st_mode)) {
		source->positioned = source->start >= 0 && !ioctl(fd, BLKGETSIZE64, &whole);
	}
	/* Files of /proc and their like say 0 and are not empty. */
	if (S_ISREG(stat.st_mode) && !whole)
		source->positioned = false;
	if (source->positioned) {
		if (*size == AZBLOB_SIZE_UNKNOWN)
			*size = (uint64_t)source->start < whole ? whole - (uint64_t)source->start
								: 0;
		return 0;
	}
	source->reader = read_fd;
	source->context = source;
	return 0;
}

static int64_t read_step(struct azc_source *source, char *buffer, uint64_t offset, size_t room)
{
	ssize_t got;

	if (!source->positioned)
		return source->reader(source->context, buffer, room);
	do {
		got = pread(source->fd, buffer, room, source->start + (off_t)offset);
	} while (got < 0 && errno == EINTR);
	return got;
}

int azc_source_read(struct azc_source *source, void *buffer, uint64_t offset, size_t length,
		    size_t *got, uint64_t *crc, struct azblob_error *error)
{
	uint64_t sum = 0;

	*got = 0;
	while (*got < length && !source->ended) {
		size_t step = length - *got < READ_STEP ? length - *got : READ_STEP;
		char *at = (char *)buffer + *got;
		int64_t count = read_step(source, at, offset + *got, step);

		if (count < 0)
			return azc_fail_errno(error, AZBLOB_LOCAL_IO, errno,
					      "reading the source failed");
		if ((uint64_t)count > step)
			return azc_fail(error, AZBLOB_LOCAL_IO,
					"the reader said %lld bytes where %zu fit",
					(long long)count, step);
		if (!count && source->positioned)
			return azc_fail(error, AZBLOB_LOCAL_IO,
					"the source became shorter while it was read");
		if (!count)
			source->ended = true;
		if (crc)
			sum = azb_crc64(sum, at, (size_t)count);
		*got += (size_t)count;
	}
	if (crc)
		*crc = sum;
	return 0;
}
