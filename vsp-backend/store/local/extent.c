/* SPDX-License-Identifier: MIT */
/* Extent files: sparse, of one size, written anywhere, synced by who is first. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/pread.h"
#include "base/waiting.h"
#include "store/local/local.h"

enum store_error extent_file_open(struct local *local, uint32_t id, bool create,
				  struct extent_file **out)
{
	struct extent_file *file = calloc(1, sizeof(*file));
	char name[16];
	int failure;

	if (!file)
		return STORE_NO_MEMORY;
	snprintf(name, sizeof(name), "%08x", id);
	file->id = id;
	/* a file that is there but not in metadata is left from a crash: begin anew */
	file->fd = openat(local->extents_dir, name,
			  O_RDWR | O_CLOEXEC | (create ? O_CREAT | O_TRUNC : 0), 0600);
	if (file->fd < 0)
		goto fail;
	if (create && (ftruncate(file->fd, (off_t)EXTENT_FILE_SIZE) ||
		       (!local->no_sync && (fsync(file->fd) || fsync(local->extents_dir)))))
		goto fail;
	pthread_mutex_init(&file->sync_lock, NULL);
	pthread_cond_init(&file->synced, NULL);
	*out = file;
	return STORE_OK;
fail:
	failure = errno;
	azb_log(AZB_LOG_ERROR, "store: %s/extents/%s: %s", local->path, name, strerror(failure));
	if (file->fd >= 0)
		close(file->fd);
	free(file);
	return failure == ENOSPC || failure == EDQUOT ? STORE_NO_SPACE : STORE_IO;
}

void extent_file_close(struct extent_file *file)
{
	close(file->fd);
	free(file->bitmap);
	pthread_cond_destroy(&file->synced);
	pthread_mutex_destroy(&file->sync_lock);
	free(file);
}

/*
 * fdatasync covers all that was written to the file before it began.  So whoever comes
 * while one is running waits for the next, and one caller does that for all of them.
 */
enum store_error extent_file_sync(struct local *local, struct extent_file *file)
{
	enum store_error error;
	uint64_t mine;

	if (local->no_sync)
		return STORE_OK;
	azb_waiting_begin();
	pthread_mutex_lock(&file->sync_lock);
	mine = ++file->sync_asked;
	while (file->sync_done < mine && !file->failed) {
		uint64_t covers;
		int failure = 0;

		if (file->syncing) {
			pthread_cond_wait(&file->synced, &file->sync_lock);
			continue;
		}
		file->syncing = true;
		covers = file->sync_asked;
		pthread_mutex_unlock(&file->sync_lock);
		if (fdatasync(file->fd))
			failure = errno;
		pthread_mutex_lock(&file->sync_lock);
		file->syncing = false;
		file->sync_done = covers;
		if (failure) {
			/* the kernel may have dropped the pages: a second try proves nothing */
			file->failed = true;
			azb_log(AZB_LOG_ERROR,
				"store: %s/extents/%08x: fdatasync: %s; the file "
				"is not written any more",
				local->path, file->id, strerror(failure));
		}
		pthread_cond_broadcast(&file->synced);
	}
	error = file->failed ? STORE_IO : STORE_OK;
	pthread_mutex_unlock(&file->sync_lock);
	azb_waiting_end();
	return error;
}

enum store_error extent_write(struct extent_file *file, uint64_t offset, const void *data,
			      size_t length)
{
	const char *p = data;

	while (length) {
		ssize_t n = pwrite(file->fd, p, length, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			int failure = n ? errno : ENOSPC;

			if (failure == ENOSPC || failure == EDQUOT)
				return STORE_NO_SPACE;
			azb_log(AZB_LOG_ERROR, "store: write extents/%08x: %s", file->id,
				strerror(failure));
			return STORE_IO;
		}
		p += n;
		offset += (uint64_t)n;
		length -= (size_t)n;
	}
	return STORE_OK;
}

enum store_error extent_read(int fd, uint64_t offset, void *data, size_t length)
{
	char *p = data;

	while (length) {
		struct iovec iov = { p, length };
		ssize_t n = azb_preadv(fd, &iov, 1, offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			azb_log(AZB_LOG_ERROR, "store: read an extent file: %s",
				n ? strerror(errno) : "the file is too short");
			return n ? STORE_IO : STORE_CORRUPT;
		}
		p += n;
		offset += (uint64_t)n;
		length -= (size_t)n;
	}
	return STORE_OK;
}

void extent_punch(struct extent_file *file, uint64_t offset, uint64_t length)
{
	static bool told;
	int result;

	do
		result = fallocate(file->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				   (off_t)offset, (off_t)length);
	while (result && errno == EINTR);
	if (result && !__atomic_test_and_set(&told, __ATOMIC_RELAXED))
		azb_log(AZB_LOG_WARNING,
			"store: punch a hole in extents/%08x: %s; deleted data keeps its disk "
			"space "
			"until it is overwritten",
			file->id, strerror(errno));
}
