/* SPDX-License-Identifier: MIT */
/* Where the bytes of an upload come from: memory, a file, or a stream. */
#ifndef AZC_SOURCE_H
#define AZC_SOURCE_H

#include <pthread.h>
#include <sys/types.h>

#include "internal.h"

/**
 * struct azc_source - one of the three
 * @memory: all bytes are here.
 * @positioned: @fd can be read anywhere, by any thread; byte 0 of the upload is at @start.
 * @reader: the next bytes of a stream; only one thread at a time.
 * @ended: the stream has said so.
 */
struct azc_source {
	const char *memory;
	int fd;
	bool positioned;
	off_t start;
	azblob_read_fn reader;
	void *context;
	bool ended;
};

/*
 * For a regular file or block device *size may be AZBLOB_SIZE_UNKNOWN and becomes what is left of
 * it.  Something else that is read in order keeps it.
 */
int azc_source_from_fd(struct azc_source *source, int fd, uint64_t *size,
		       struct azblob_error *error);
/*
 * Reads @length bytes at @offset (streams: the next ones) into @buffer, fewer only when a stream
 * ends (*got); and their checksum when @crc is not NULL.  Not for memory.
 */
int azc_source_read(struct azc_source *source, void *buffer, uint64_t offset, size_t length,
		    size_t *got, uint64_t *crc, struct azblob_error *error);

#endif /* AZC_SOURCE_H */
