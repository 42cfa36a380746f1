/* SPDX-License-Identifier: MIT */
/*
 * azblob-vspd backup: a copy of the store at one moment, while it is being served.
 *
 * The metadata is copied first, in one read transaction.  From then on the chunks in it must
 * stay where they are: a lock on a byte of the store's lock file keeps the collector of the
 * process that serves it from giving space back.  It goes with this process, however that ends.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/local/backup_lock.h"
#include "store/local/check.h"
#include "store/local/check_data.h"
#include "store/local/schema.h"

/* The copy's database until everything else is there: no store has one of this name. */
#define PARTIAL "metadata.db.partial"

static bool set_lock(int fd, short type, bool wait)
{
	struct flock lock = { .l_type = type, .l_whence = SEEK_SET, .l_start = 1, .l_len = 1 };

	while (fcntl(fd, wait ? F_OFD_SETLKW : F_OFD_SETLK, &lock)) {
		if (errno != EINTR)
			return false;
	}
	return true;
}

bool backup_lock_collector(int lock_fd)
{
	return set_lock(lock_fd, F_WRLCK, false);
}

void backup_unlock_collector(int lock_fd)
{
	set_lock(lock_fd, F_UNLCK, false);
}

/* Where the copy goes. */
struct target {
	struct data_sink sink;
	const char *path;
	int dir, extents, lock;
	int64_t file; /* whose descriptor fd is */
	int fd;
	char *error;
	size_t error_size;
};

static bool failed(struct target *t, const char *what)
{
	snprintf(t->error, t->error_size, "%s: %s: %s", t->path, what, strerror(errno));
	return false;
}

static bool close_file(struct target *t)
{
	bool good = t->fd < 0 || !fsync(t->fd);

	if (t->fd >= 0)
		close(t->fd);
	t->fd = -1;
	t->file = 0;
	return good || failed(t, "sync");
}

static bool take(struct data_sink *sink, int64_t file, uint64_t offset, const void *bytes,
		 size_t length)
{
	struct target *t = (struct target *)(void *)sink;
	const char *p = bytes;

	if (t->file != file) {
		char name[16];

		if (!close_file(t))
			return false;
		snprintf(name, sizeof(name), "%08x", (unsigned int)file);
		t->fd = openat(t->extents, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
		if (t->fd < 0 || ftruncate(t->fd, (off_t)EXTENT_FILE_SIZE))
			return failed(t, "make an extent file");
		t->file = file;
	}
	while (length) {
		ssize_t n = pwrite(t->fd, p, length, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return failed(t, "write");
		p += n;
		offset += (uint64_t)n;
		length -= (size_t)n;
	}
	return true;
}

/* Files that no chunk is in belong to the store all the same. */
static bool make_empty_files(struct target *t, struct db *db)
{
	sqlite3_stmt *s = DB_SQL(db, "SELECT id FROM files");
	bool row, good = true;

	while (good && !db_row(db, s, &row) && row) {
		char name[16];
		int fd;

		snprintf(name, sizeof(name), "%08x", (unsigned int)sqlite3_column_int64(s, 0));
		fd = openat(t->extents, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
		good = (fd >= 0 && !ftruncate(fd, (off_t)EXTENT_FILE_SIZE) && !fsync(fd)) ||
		       failed(t, "make an extent file");
		if (fd >= 0)
			close(fd);
	}
	db_reset(s);
	return good;
}

static bool open_target(struct target *t)
{
	/* removes nothing and fails unless it is empty */
	if (mkdir(t->path, 0700) && errno != EEXIST)
		return failed(t, "make it");
	t->dir = open(t->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (t->dir < 0)
		return failed(t, "open it");
	if (mkdirat(t->dir, "extents", 0700)) {
		if (errno != EEXIST)
			return failed(t, "make extents");
		snprintf(t->error, t->error_size,
			 "%s: there is something in it already; a new or an empty directory is "
			 "accepted",
			 t->path);
		return false;
	}
	t->extents = openat(t->dir, "extents", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	t->lock = openat(t->dir, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (t->extents < 0 || t->lock < 0)
		return failed(t, "make it");
	if (flock(t->lock, LOCK_EX | LOCK_NB))
		return failed(t, "lock it");
	return true;
}

static bool sql_failed(struct target *t, sqlite3 *db)
{
	snprintf(t->error, t->error_size, "%s: copy metadata.db: %s", t->path, sqlite3_errmsg(db));
	return false;
}

/* In one step: the source is read in one transaction, and its writers go on. */
static bool copy_database(struct target *t, struct check *from, sqlite3 *to)
{
	sqlite3_backup *backup = sqlite3_backup_init(to, "main", from->db.handle, "main");
	int code;

	if (!backup)
		return sql_failed(t, to);
	code = sqlite3_backup_step(backup, -1);
	if (sqlite3_backup_finish(backup) != SQLITE_OK || code != SQLITE_DONE)
		return sql_failed(t, to);
	/* no space of the copy was ever used for anything else */
	if (sqlite3_exec(to, "DELETE FROM dirty", NULL, NULL, NULL) != SQLITE_OK)
		return sql_failed(t, to);
	return true;
}

static bool copy_metadata(struct target *t, struct check *from)
{
	sqlite3 *to = NULL;
	bool good;
	char *path;
	int fd;

	if (asprintf(&path, "%s/" PARTIAL, t->path) < 0)
		return failed(t, "copy");
	good = sqlite3_open_v2(path, &to, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL) ==
	       SQLITE_OK;
	free(path);
	good = good ? copy_database(t, from, to) : sql_failed(t, to);
	/* this also ends its log */
	if (sqlite3_close(to) != SQLITE_OK && good)
		good = failed(t, "close metadata.db");
	if (!good)
		return false;
	fd = openat(t->dir, PARTIAL, O_RDWR | O_CLOEXEC);
	good = (fd >= 0 && !fsync(fd)) || failed(t, "sync metadata.db");
	if (fd >= 0)
		close(fd);
	return good;
}

/* Copies what the copied metadata says there is. */
static bool copy_data(struct target *t, struct check *from, struct check_result *result)
{
	struct check copy = *from;
	enum store_error error;
	char *path;
	bool good;

	if (asprintf(&path, "%s/" PARTIAL, t->path) < 0)
		return failed(t, "copy");
	error = db_open(&copy.db, path, false, false);
	free(path);
	if (error) {
		snprintf(t->error, t->error_size, "%s: open metadata.db: %s", t->path,
			 store_error_name(error));
		return false;
	}
	good = check_data(&copy, &t->sink) && close_file(t) && make_empty_files(t, &copy.db);
	check_count(&copy);
	*result = *copy.result;
	db_close(&copy.db);
	return good;
}

static bool finish(struct target *t)
{
	int parent = openat(t->dir, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bool good = !fsync(t->extents) && !fsync(t->dir) &&
		    !renameat(t->dir, PARTIAL, t->dir, "metadata.db") && !fsync(t->dir) &&
		    parent >= 0 && !fsync(parent);

	if (parent >= 0)
		close(parent);
	unlinkat(t->dir, PARTIAL "-shm", 0);
	unlinkat(t->dir, PARTIAL "-wal", 0);
	return good || failed(t, "sync");
}

bool local_backup(const char *path, const char *to, check_say *say, void *context,
		  struct check_result *result, char *error, size_t error_size)
{
	struct check from = { .say = say, .context = context, .result = result };
	struct target target = { .sink = { take },
				 .path = to,
				 .dir = -1,
				 .extents = -1,
				 .lock = -1,
				 .fd = -1,
				 .error = error,
				 .error_size = error_size };
	int lock = -1;
	bool good;

	*result = (struct check_result){ 0 };
	good = check_open(&from, path, error, error_size);
	if (good) {
		lock = openat(from.dir, "lock", O_RDONLY | O_CLOEXEC);
		good = lock >= 0 && set_lock(lock, F_RDLCK, true);
		if (!good)
			snprintf(error, error_size, "%s: lock: %s", path, strerror(errno));
	}
	good = good && open_target(&target) && copy_metadata(&target, &from) &&
	       copy_data(&target, &from, result) && finish(&target);
	if (target.fd >= 0)
		close(target.fd);
	if (target.extents >= 0)
		close(target.extents);
	if (target.lock >= 0)
		close(target.lock);
	if (target.dir >= 0)
		close(target.dir);
	if (lock >= 0)
		close(lock);
	check_close(&from);
	return good;
}
