/* SPDX-License-Identifier: MIT */
/*
 * The log of a store's writes.  Its own calls come by the linker's --wrap (see meson.build),
 * SQLite's by a VFS that is the default one.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "powercut.h"
#include "powercut_log.h"

struct log_entry *cut_log;
size_t cut_log_count;
struct cut_file *cut_files;
size_t cut_file_count;

static size_t log_room, file_room;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char root[256];
static bool recording;

/* Bytes that the disk still takes; INT64_MAX: any number. */
static int64_t disk_room = INT64_MAX;

void cut_disk_room(long bytes)
{
	pthread_mutex_lock(&lock);
	disk_room = bytes < 0 ? INT64_MAX : bytes;
	pthread_mutex_unlock(&lock);
}

/* How many of @length the disk takes. */
static size_t take_room(size_t length)
{
	size_t taken = length;

	pthread_mutex_lock(&lock);
	if (recording && disk_room != INT64_MAX) {
		if ((int64_t)taken > disk_room)
			taken = (size_t)disk_room;
		disk_room -= (int64_t)taken;
	}
	pthread_mutex_unlock(&lock);
	return taken;
}

/* Descriptors of ours: file number + 1. */
#define FDS 4096
static int by_fd[FDS];

/* Under lock. */
static void add(enum log_kind kind, int file, uint64_t offset, uint64_t length, const void *data,
		size_t covers)
{
	struct log_entry *e;

	if (cut_log_count == log_room) {
		log_room = log_room ? log_room * 2 : 4096;
		cut_log = realloc(cut_log, log_room * sizeof(*cut_log));
	}
	e = &cut_log[cut_log_count++];
	*e = (struct log_entry){ kind, file, offset, length, NULL, covers };
	if (data) {
		e->data = malloc(length);
		memcpy(e->data, data, length);
	}
}

size_t cut_now(void)
{
	size_t count;

	pthread_mutex_lock(&lock);
	if (recording)
		add(LOG_MARK, -1, 0, 0, NULL, 0);
	count = cut_log_count;
	pthread_mutex_unlock(&lock);
	return count;
}

/* Under lock.  -1: none of that name now. */
static int find(const char *path)
{
	for (size_t i = cut_file_count; i--;)
		if (!cut_files[i].gone && !strcmp(cut_files[i].path, path))
			return (int)i;
	return -1;
}

/* The part of an absolute path from the root on, or NULL: not below it. */
static const char *below(const char *path)
{
	size_t length = strlen(root);

	if (!recording || strncmp(path, root, length) != 0 || (path[length] && path[length] != '/'))
		return NULL;
	return path + length;
}

/* Under lock.  Whoever holds it has just seen that the name is there. */
static int make(const char *path, bool is_dir)
{
	int at = find(path);
	char dir[96];

	if (at >= 0)
		return at;
	if (cut_file_count == file_room) {
		file_room = file_room ? file_room * 2 : 16;
		cut_files = realloc(cut_files, file_room * sizeof(*cut_files));
	}
	at = (int)cut_file_count++;
	cut_files[at] = (struct cut_file){ .dir = -1, .is_dir = is_dir };
	snprintf(cut_files[at].path, sizeof(cut_files[at].path), "%s", path);
	if (*path) {
		snprintf(dir, sizeof(dir), "%.*s", (int)(strrchr(path, '/') - path), path);
		cut_files[at].dir = find(dir);
	}
	add(LOG_CREATE, at, 0, 0, NULL, 0);
	return at;
}

static bool is_recorded(const char *path)
{
	/* the wal-index is made anew after a crash */
	return path && !strstr(path, "-shm");
}

/* A pause of no length that matters, so that threads meet in different places. */
static void wander(void)
{
	static _Thread_local unsigned int x = 1;

	x = x * 1664525 + 1013904223;
	if (x >> 30 == 0)
		nanosleep(&(struct timespec){ .tv_nsec = (x >> 8) % 100000 }, NULL);
}

/* ------------------------------------------------------------ the store's own calls */

int __real_open64(const char *path, int flags, ...);
int __real_openat64(int dir, const char *path, int flags, ...);
ssize_t __real_pwrite64(int fd, const void *data, size_t length, off_t offset);
int __real_fallocate64(int fd, int mode, off_t offset, off_t length);
int __real_ftruncate64(int fd, off_t size);
int __real_fsync(int fd);
int __real_fdatasync(int fd);
int __real_mkdir(const char *path, mode_t mode);
int __real_mkdirat(int dir, const char *path, mode_t mode);

int __wrap_open64(const char *path, int flags, ...);
int __wrap_openat64(int dir, const char *path, int flags, ...);
ssize_t __wrap_pwrite64(int fd, const void *data, size_t length, off_t offset);
int __wrap_fallocate64(int fd, int mode, off_t offset, off_t length);
int __wrap_ftruncate64(int fd, off_t size);
int __wrap_fsync(int fd);
int __wrap_fdatasync(int fd);
int __wrap_mkdir(const char *path, mode_t mode);
int __wrap_mkdirat(int dir, const char *path, mode_t mode);

/* A descriptor was opened: whose is it? */
static int opened(int fd, int flags)
{
	char link[64], path[512];
	const char *name;
	ssize_t n;

	if (fd < 0 || fd >= FDS)
		return fd;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, path, sizeof(path) - 1);
	path[n > 0 ? n : 0] = '\0';
	pthread_mutex_lock(&lock);
	name = below(path);
	by_fd[fd] = 0;
	if (is_recorded(name)) {
		int known = find(name);
		int file = make(name, flags & O_DIRECTORY);

		by_fd[fd] = file + 1;
		if (flags & O_TRUNC && known >= 0)
			abort(); /* nothing of the store may be thrown away like that */
	}
	pthread_mutex_unlock(&lock);
	return fd;
}

int __wrap_open64(const char *path, int flags, ...)
{
	va_list args;
	int mode;

	va_start(args, flags);
	mode = flags & O_CREAT ? va_arg(args, int) : 0;
	va_end(args);
	return opened(__real_open64(path, flags, mode), flags);
}

int __wrap_openat64(int dir, const char *path, int flags, ...)
{
	va_list args;
	int mode;

	va_start(args, flags);
	mode = flags & O_CREAT ? va_arg(args, int) : 0;
	va_end(args);
	return opened(__real_openat64(dir, path, flags, mode), flags);
}

static int file_of(int fd)
{
	return recording && fd >= 0 && fd < FDS ? by_fd[fd] - 1 : -1;
}

ssize_t __wrap_pwrite64(int fd, const void *data, size_t length, off_t offset)
{
	ssize_t n;

	/* a full disk takes a part, and then nothing */
	if (length && file_of(fd) >= 0) {
		length = take_room(length);
		if (!length) {
			errno = ENOSPC;
			return -1;
		}
	}
	n = __real_pwrite64(fd, data, length, offset);

	if (n > 0 && file_of(fd) >= 0) {
		pthread_mutex_lock(&lock);
		add(LOG_WRITE, file_of(fd), (uint64_t)offset, (uint64_t)n, data, 0);
		pthread_mutex_unlock(&lock);
	}
	return n;
}

int __wrap_fallocate64(int fd, int mode, off_t offset, off_t length)
{
	int result;

	if (!(mode & 2) && file_of(fd) >= 0 && take_room((size_t)length) < (size_t)length) {
		errno = ENOSPC;
		return -1;
	}
	result = __real_fallocate64(fd, mode, offset, length);

	if (!result && mode & 2 && file_of(fd) >= 0) { /* FALLOC_FL_PUNCH_HOLE */
		pthread_mutex_lock(&lock);
		add(LOG_ZERO, file_of(fd), (uint64_t)offset, (uint64_t)length, NULL, 0);
		pthread_mutex_unlock(&lock);
	}
	return result;
}

static void add_size(int file, uint64_t size)
{
	add(LOG_ZERO, file, size, (uint64_t)1 << 31, NULL, 0);
	add(LOG_SIZE, file, size, 0, NULL, 0);
}

int __wrap_ftruncate64(int fd, off_t size)
{
	int result = __real_ftruncate64(fd, size);

	if (!result && file_of(fd) >= 0) {
		pthread_mutex_lock(&lock);
		add_size(file_of(fd), (uint64_t)size);
		pthread_mutex_unlock(&lock);
	}
	return result;
}

static size_t count_now(void)
{
	size_t count;

	pthread_mutex_lock(&lock);
	count = cut_log_count;
	pthread_mutex_unlock(&lock);
	return count;
}

static int synced(int fd, size_t covers, int result)
{
	int file = file_of(fd);

	wander();
	if (result || file < 0)
		return result;
	pthread_mutex_lock(&lock);
	if (cut_files[file].is_dir)
		add(LOG_SYNC_NAMES, -1, (uint64_t)file, 0, NULL, covers);
	else
		add(LOG_SYNC, file, 0, 0, NULL, covers);
	pthread_mutex_unlock(&lock);
	return result;
}

int __wrap_fsync(int fd)
{
	size_t covers = count_now();

	return synced(fd, covers, __real_fsync(fd));
}

int __wrap_fdatasync(int fd)
{
	size_t covers = count_now();

	return synced(fd, covers, __real_fdatasync(fd));
}

/*
 * The name of the root itself is in a directory that we don't see all of: a sync of that
 * would be needed, and nothing is promised before the first container.  It is taken as sure.
 */
static int made_dir(const char *path, int result)
{
	const char *name;

	if (result)
		return result;
	pthread_mutex_lock(&lock);
	name = below(path);
	if (name) {
		make(name, true);
		if (!*name)
			add(LOG_SYNC_NAMES, -1, (uint64_t)-1, 0, NULL, cut_log_count);
	}
	pthread_mutex_unlock(&lock);
	return result;
}

int __wrap_mkdir(const char *path, mode_t mode)
{
	return made_dir(path, __real_mkdir(path, mode));
}

int __wrap_mkdirat(int dir, const char *path, mode_t mode)
{
	char link[64], full[512];
	int result = __real_mkdirat(dir, path, mode);
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", dir);
	n = readlink(link, full, sizeof(full) - 100);
	if (n < 0)
		return result;
	snprintf(full + n, sizeof(full) - (size_t)n, "/%s", path);
	return made_dir(full, result);
}

/* ------------------------------------------------------------------ SQLite's calls */

struct vfs_file {
	sqlite3_file base;
	int file; /* -1: not recorded */
	sqlite3_file *real;
};

static sqlite3_vfs *real_vfs;

static sqlite3_file *real_of(sqlite3_file *f)
{
	return ((struct vfs_file *)f)->real;
}

static int x_close(sqlite3_file *f)
{
	return real_of(f)->pMethods->xClose(real_of(f));
}

static int x_read(sqlite3_file *f, void *to, int n, sqlite3_int64 at)
{
	return real_of(f)->pMethods->xRead(real_of(f), to, n, at);
}

static int x_write(sqlite3_file *f, const void *from, int n, sqlite3_int64 at)
{
	int file = ((struct vfs_file *)f)->file;
	int result;

	if (file >= 0 && take_room((size_t)n) < (size_t)n)
		return SQLITE_FULL;
	result = real_of(f)->pMethods->xWrite(real_of(f), from, n, at);

	if (!result && recording && file >= 0) {
		pthread_mutex_lock(&lock);
		add(LOG_WRITE, file, (uint64_t)at, (uint64_t)n, from, 0);
		pthread_mutex_unlock(&lock);
	}
	return result;
}

static int x_truncate(sqlite3_file *f, sqlite3_int64 size)
{
	int result = real_of(f)->pMethods->xTruncate(real_of(f), size);
	int file = ((struct vfs_file *)f)->file;

	if (!result && recording && file >= 0) {
		pthread_mutex_lock(&lock);
		add_size(file, (uint64_t)size);
		pthread_mutex_unlock(&lock);
	}
	return result;
}

static int x_sync(sqlite3_file *f, int flags)
{
	size_t covers = count_now();
	int result = real_of(f)->pMethods->xSync(real_of(f), flags);
	int file = ((struct vfs_file *)f)->file;

	wander();
	if (!result && recording && file >= 0) {
		pthread_mutex_lock(&lock);
		add(LOG_SYNC, file, 0, 0, NULL, covers);
		pthread_mutex_unlock(&lock);
	}
	return result;
}

static int x_size(sqlite3_file *f, sqlite3_int64 *size)
{
	return real_of(f)->pMethods->xFileSize(real_of(f), size);
}

static int x_lock(sqlite3_file *f, int level)
{
	return real_of(f)->pMethods->xLock(real_of(f), level);
}

static int x_unlock(sqlite3_file *f, int level)
{
	return real_of(f)->pMethods->xUnlock(real_of(f), level);
}

static int x_check_reserved(sqlite3_file *f, int *out)
{
	return real_of(f)->pMethods->xCheckReservedLock(real_of(f), out);
}

static int x_control(sqlite3_file *f, int op, void *arg)
{
	/* a hint that would make the real one write by itself */
	if (op == SQLITE_FCNTL_SIZE_HINT || op == SQLITE_FCNTL_CHUNK_SIZE)
		return SQLITE_NOTFOUND;
	return real_of(f)->pMethods->xFileControl(real_of(f), op, arg);
}

static int x_sector(sqlite3_file *f)
{
	return real_of(f)->pMethods->xSectorSize(real_of(f));
}

static int x_device(sqlite3_file *f)
{
	return real_of(f)->pMethods->xDeviceCharacteristics(real_of(f));
}

static int x_shm_map(sqlite3_file *f, int page, int size, int extend, void volatile **out)
{
	return real_of(f)->pMethods->xShmMap(real_of(f), page, size, extend, out);
}

static int x_shm_lock(sqlite3_file *f, int offset, int n, int flags)
{
	return real_of(f)->pMethods->xShmLock(real_of(f), offset, n, flags);
}

static void x_shm_barrier(sqlite3_file *f)
{
	real_of(f)->pMethods->xShmBarrier(real_of(f));
}

static int x_shm_unmap(sqlite3_file *f, int delete)
{
	return real_of(f)->pMethods->xShmUnmap(real_of(f), delete);
}

static const sqlite3_io_methods methods = {
	.iVersion = 2, /* without memory maps, which would write past us */
	.xClose = x_close,
	.xRead = x_read,
	.xWrite = x_write,
	.xTruncate = x_truncate,
	.xSync = x_sync,
	.xFileSize = x_size,
	.xLock = x_lock,
	.xUnlock = x_unlock,
	.xCheckReservedLock = x_check_reserved,
	.xFileControl = x_control,
	.xSectorSize = x_sector,
	.xDeviceCharacteristics = x_device,
	.xShmMap = x_shm_map,
	.xShmLock = x_shm_lock,
	.xShmBarrier = x_shm_barrier,
	.xShmUnmap = x_shm_unmap,
};

static int x_open(sqlite3_vfs *vfs, const char *path, sqlite3_file *f, int flags, int *out)
{
	struct vfs_file *file = (struct vfs_file *)f;
	const char *name = path ? below(path) : NULL;
	int result;

	(void)vfs;
	file->real = (sqlite3_file *)(file + 1);
	file->file = -1;
	f->pMethods = NULL;
	result = real_vfs->xOpen(real_vfs, path, file->real, flags, out);
	if (result)
		return result;
	f->pMethods = &methods;
	pthread_mutex_lock(&lock);
	if (is_recorded(name))
		file->file = make(name, false);
	pthread_mutex_unlock(&lock);
	return SQLITE_OK;
}

static int x_delete(sqlite3_vfs *vfs, const char *path, int sync_dir)
{
	int result = real_vfs->xDelete(real_vfs, path, sync_dir);
	const char *name = below(path);
	int file;

	(void)vfs;
	pthread_mutex_lock(&lock);
	file = !result && is_recorded(name) ? find(name) : -1;
	if (file >= 0) {
		cut_files[file].gone = true;
		add(LOG_UNLINK, file, 0, 0, NULL, 0);
		if (sync_dir)
			add(LOG_SYNC_NAMES, -1, (uint64_t)cut_files[file].dir, 0, NULL,
			    cut_log_count);
	}
	pthread_mutex_unlock(&lock);
	return result;
}

/* SQLite opens a directory in order to sync it, which it does at once. */
static int (*real_open_directory)(const char *path, int *fd);

static int open_directory(const char *path, int *fd)
{
	int result = real_open_directory(path, fd);
	char dir[512];
	int file;

	/* it is given a file, and means the directory that it is in */
	snprintf(dir, sizeof(dir), "%s", path);
	if (strrchr(dir, '/'))
		*strrchr(dir, '/') = '\0';
	pthread_mutex_lock(&lock);
	file = !result && below(dir) ? find(below(dir)) : -1;
	if (file >= 0)
		add(LOG_SYNC_NAMES, -1, (uint64_t)file, 0, NULL, cut_log_count);
	pthread_mutex_unlock(&lock);
	return result;
}

void cut_record(const char *path)
{
	static sqlite3_vfs vfs;

	if (sqlite3_initialize())
		abort();
	snprintf(root, sizeof(root), "%s", path);
	memset(by_fd, 0, sizeof(by_fd));
	if (!real_vfs) {
		real_vfs = sqlite3_vfs_find(NULL);
		vfs = *real_vfs;
		vfs.zName = "powercut";
		vfs.szOsFile += (int)sizeof(struct vfs_file);
		vfs.xOpen = x_open;
		vfs.xDelete = x_delete;
		real_open_directory = (int (*)(const char *, int *))real_vfs->xGetSystemCall(
			real_vfs, "openDirectory");
		real_vfs->xSetSystemCall(real_vfs, "openDirectory",
					 (sqlite3_syscall_ptr)open_directory);
	}
	sqlite3_vfs_register(&vfs, 1);
	recording = true;
}

void cut_record_end(void)
{
	recording = false;
	sqlite3_vfs_register(real_vfs, 1);
}

const char *cut_describe(size_t at, char *text, size_t room)
{
	static const char *const kinds[] = { "write",  "zero",   "size",       "sync",
					     "create", "unlink", "sync names", "mark" };
	const struct log_entry *e = &cut_log[at];

	snprintf(text, room, "%s %s %llu+%llu", kinds[e->kind],
		 e->file < 0 ? "" : cut_files[e->file].path, (unsigned long long)e->offset,
		 (unsigned long long)e->length);
	return text;
}

void cut_log_free(void)
{
	for (size_t i = 0; i < cut_log_count; i++)
		free(cut_log[i].data);
	free(cut_log);
	free(cut_files);
	cut_log = NULL;
	cut_files = NULL;
	cut_log_count = log_room = cut_file_count = file_room = 0;
}
