/* SPDX-License-Identifier: MIT */
/*
 * Space in extent files.
 *
 * Space is given out of windows: ranges that were wholly free when they were opened
 * and that have a row in dirty, committed before the first byte is written.  After a
 * crash the holes in those ranges are punched, so nothing is lost and nothing has to
 * be searched for.  Small uploads share a window, a large one has its own.
 *
 * Which space is free follows from the chunks.  A file's map is made from them when
 * somebody wants a window, and at most LOADED_MAX maps are kept.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

#include "base/log.h"
#include "store/local/bitmap.h"
#include "store/local/local.h"

#define LOADED_MAX 8
/* Numbers of files stay below this: 1 PiB. */
#define FILES_MAX (1 << 20)
/* Files that are written at the same time, before they are shared. */
#define SPREAD 4
#define SHARED_UNITS (64u * 1024 * 1024 / EXTENT_UNIT)
/* An upload beyond this gets a window of its own. */
#define SHARED_MAX_UNITS (8u * 1024 * 1024 / EXTENT_UNIT)
/* From here on the disk is asked for the space at once, so that a full one shows. */
#define PREALLOCATE (1024u * 1024)

static uint32_t units(uint64_t length)
{
	return (uint32_t)((length + EXTENT_UNIT - 1) / EXTENT_UNIT);
}

struct extent_file *alloc_file(struct local *local, uint32_t id)
{
	struct alloc *alloc = &local->alloc;
	struct extent_file *file;

	pthread_mutex_lock(&alloc->files_lock);
	file = id < alloc->file_count ? alloc->files[id] : NULL;
	pthread_mutex_unlock(&alloc->files_lock);
	return file;
}

/* Under alloc.lock. */
static enum store_error add_file(struct local *local, uint32_t id, bool create)
{
	struct alloc *alloc = &local->alloc;
	struct extent_file *file;
	enum store_error error = extent_file_open(local, id, create, &file);

	if (error)
		return error;
	pthread_mutex_lock(&alloc->files_lock);
	if (id >= alloc->file_count) {
		size_t count = id + 64;
		struct extent_file **files =
			realloc(alloc->files, count * sizeof(struct extent_file *));

		if (files) {
			memset(files + alloc->file_count, 0,
			       (count - alloc->file_count) * sizeof(struct extent_file *));
			alloc->files = files;
			alloc->file_count = count;
		}
	}
	if (id < alloc->file_count)
		alloc->files[id] = file;
	else
		error = STORE_NO_MEMORY;
	pthread_mutex_unlock(&alloc->files_lock);
	if (error)
		extent_file_close(file);
	return error;
}

/* Makes the map of a file from its chunks.  Under alloc.lock. */
static enum store_error load(struct local *local, struct extent_file *file)
{
	struct alloc *alloc = &local->alloc;
	struct reader *reader;
	enum store_error error;
	sqlite3_stmt *s;
	bool row;

	file->bitmap = calloc(EXTENT_FILE_UNITS / 64, sizeof(uint64_t));
	if (!file->bitmap)
		return STORE_NO_MEMORY;
	error = reader_get(local, &reader);
	if (!error) {
		s = db_bind(
			DB_SQL(&reader->db, "SELECT offset, length FROM chunks WHERE file = ?1"),
			"i", (int64_t)file->id);
		while (!(error = db_row(&reader->db, s, &row)) && row) {
			uint64_t offset = (uint64_t)sqlite3_column_int64(s, 0);
			uint64_t length = (uint64_t)sqlite3_column_int64(s, 1);

			if (length > EXTENT_FILE_SIZE || offset > EXTENT_FILE_SIZE - length) {
				azb_log(AZB_LOG_ERROR, "store: a chunk lies outside extents/%08x",
					file->id);
				error = STORE_CORRUPT;
				db_reset(s);
				break;
			}
			bitmap_set(file->bitmap, (uint32_t)(offset / EXTENT_UNIT), units(length));
		}
		reader_put(local, reader);
	}
	for (size_t i = 0; i < alloc->pending_count; i++)
		if (alloc->pending[i].file == file->id)
			bitmap_set(file->bitmap, (uint32_t)(alloc->pending[i].offset / EXTENT_UNIT),
				   units(alloc->pending[i].length));
	if (error) {
		free(file->bitmap);
		file->bitmap = NULL;
	}
	return error;
}

static size_t loaded(const struct alloc *alloc)
{
	size_t count = 0;

	for (size_t i = 0; i < alloc->file_count; i++)
		count += alloc->files[i] && alloc->files[i]->bitmap;
	return count;
}

/* Forgets a map nobody uses, if there are too many. */
static void unload(struct alloc *alloc)
{
	for (size_t i = 0; i < alloc->file_count && loaded(alloc) >= LOADED_MAX; i++) {
		struct extent_file *file = alloc->files[i];

		if (!file || !file->bitmap || file->active)
			continue;
		free(file->bitmap);
		file->bitmap = NULL;
	}
}

/*
 * Among the files whose map is not loaded: the one with most space, if that is worth
 * while.  0: none.
 */
static enum store_error find_unloaded(struct local *local, uint32_t want, uint32_t *id)
{
	struct alloc *alloc = &local->alloc;
	struct reader *reader;
	enum store_error error = reader_get(local, &reader);
	int64_t most = (int64_t)EXTENT_FILE_SIZE * 3 / 4;
	sqlite3_stmt *s;
	bool row;

	*id = 0;
	if (error)
		return error;
	if (most > (int64_t)EXTENT_FILE_SIZE - (int64_t)want * EXTENT_UNIT)
		most = (int64_t)EXTENT_FILE_SIZE - (int64_t)want * EXTENT_UNIT;
	s = db_bind(DB_SQL(&reader->db, "SELECT id, used FROM files WHERE used <= ?1"
					" ORDER BY used LIMIT 64"),
		    "i", most);
	while (!(error = db_row(&reader->db, s, &row)) && row) {
		uint32_t candidate = (uint32_t)sqlite3_column_int64(s, 0);
		struct extent_file *file =
			candidate < alloc->file_count ? alloc->files[candidate] : NULL;

		if (!file || file->bitmap || file->failed)
			continue;
		*id = candidate;
		db_reset(s);
		break;
	}
	reader_put(local, reader);
	return error;
}

/*
 * A file with @want free units in a row, preferably one that nobody writes to; new
 * files are sparse and cost nothing.  Under alloc.lock.
 */
static enum store_error pick(struct local *local, uint32_t want, struct extent_file **file,
			     uint32_t *start)
{
	struct alloc *alloc = &local->alloc;
	enum store_error error;
	uint32_t id, at;

	*file = NULL;
	for (size_t i = 0; i < alloc->file_count; i++) {
		struct extent_file *f = alloc->files[i];

		if (!f || !f->bitmap || f->failed || (*file && (*file)->active <= f->active) ||
		    !bitmap_find(f->bitmap, EXTENT_FILE_UNITS, want, &at))
			continue;
		*file = f;
		*start = at;
	}
	if (*file && (!(*file)->active || loaded(alloc) >= SPREAD))
		return STORE_OK;
	unload(alloc);
	error = find_unloaded(local, want, &id);
	if (!error && id) {
		error = load(local, alloc->files[id]);
		if (!error && bitmap_find(alloc->files[id]->bitmap, EXTENT_FILE_UNITS, want, &at)) {
			*file = alloc->files[id];
			*start = at;
			return STORE_OK;
		}
	}
	if (error || (*file && loaded(alloc) >= SPREAD))
		return error;
	for (id = 1; id < alloc->file_count && alloc->files[id]; id++)
		;
	if (id >= FILES_MAX)
		return STORE_NO_SPACE;
	error = add_file(local, id, true);
	if (!error)
		error = load(local, alloc->files[id]);
	if (error)
		return error;
	*file = alloc->files[id];
	*start = 0;
	return STORE_OK;
}

struct window_job {
	struct window *window;
	uint64_t offset, length;
	const int64_t *gone;
	size_t gone_count;
};

static enum store_error window_job(struct local *local, void *context)
{
	struct db *db = &local->writer.db;
	struct window_job *job = context;
	enum store_error error = STORE_OK;

	if (job->window) {
		int64_t file = job->window->file->id;

		/* the first window of a new file makes its row */
		error = db_run(db, db_bind(DB_SQL(db, "INSERT OR IGNORE INTO files(id, used)"
						      " VALUES (?1, 0)"),
					   "i", file));
		if (!error)
			error = db_run(db,
				       db_bind(DB_SQL(db, "INSERT INTO dirty(file, offset, length)"
							  " VALUES (?1, ?2, ?3)"),
					       "iii", file, (int64_t)job->offset,
					       (int64_t)job->length));
		job->window->row = sqlite3_last_insert_rowid(db->handle);
	}
	for (size_t i = 0; !error && i < job->gone_count; i++)
		error = db_run(db, db_bind(DB_SQL(db, "DELETE FROM dirty WHERE id = ?1"), "i",
					   job->gone[i]));
	return error;
}

/* The window's row in dirty is to go, some time.  Under alloc.lock. */
static void add_gone(struct alloc *alloc, int64_t row)
{
	if (alloc->gone_count == alloc->gone_room) {
		size_t room = alloc->gone_room ? alloc->gone_room * 2 : 16;
		int64_t *gone = realloc(alloc->gone, room * sizeof(*gone));

		/* a row that stays costs a look at the next start, nothing else */
		if (!gone)
			return;
		alloc->gone = gone;
		alloc->gone_room = room;
	}
	alloc->gone[alloc->gone_count++] = row;
}

/* No more space is taken of this window.  Under alloc.lock. */
static void close_window(struct alloc *alloc, struct window *window)
{
	struct window **at = &alloc->windows;

	if (!window->closed) {
		bitmap_clear(window->file->bitmap, window->cursor, window->end - window->cursor);
		window->closed = true;
		if (alloc->shared == window)
			alloc->shared = NULL;
	}
	if (window->users)
		return;
	while (*at != window)
		at = &(*at)->next;
	*at = window->next;
	window->file->active--;
	add_gone(alloc, window->row);
	free(window);
}

/*
 * Opens a window.  Under alloc.lock, which is given up while its row is written; the
 * window has one user then, so that it stays.
 */
static enum store_error open_window(struct local *local, uint32_t want, bool shared,
				    struct window **out)
{
	struct alloc *alloc = &local->alloc;
	struct window_job job = { 0 };
	struct window *window;
	struct extent_file *file;
	enum store_error error;
	uint32_t start;

	if (shared && want < SHARED_UNITS)
		want = SHARED_UNITS;
	error = pick(local, want, &file, &start);
	if (error)
		return error;
	window = calloc(1, sizeof(*window));
	if (!window)
		return STORE_NO_MEMORY;
	*window = (struct window){ .file = file, .cursor = start, .end = start + want, .users = 1 };
	bitmap_set(file->bitmap, start, want);
	file->active++;
	job.window = window;
	job.offset = (uint64_t)start * EXTENT_UNIT;
	job.length = (uint64_t)want * EXTENT_UNIT;
	job.gone = alloc->gone;
	job.gone_count = alloc->gone_count;
	alloc->gone = NULL;
	alloc->gone_count = alloc->gone_room = 0;
	pthread_mutex_unlock(&alloc->lock);
	error = writer_do(local, window_job, &job);
	pthread_mutex_lock(&alloc->lock);
	if (error) {
		for (size_t i = 0; i < job.gone_count; i++)
			add_gone(alloc, job.gone[i]);
		bitmap_clear(file->bitmap, start, want);
		file->active--;
		free(window);
	} else {
		window->next = alloc->windows;
		alloc->windows = window;
		*out = window;
	}
	free((void *)(uintptr_t)job.gone);
	return error;
}

static void drop_user(struct alloc *alloc, struct window *window)
{
	window->users--;
	if (window->closed && !window->users)
		close_window(alloc, window);
}

/* A part of the shared window, which may have to be opened.  Under alloc.lock. */
static enum store_error take_shared(struct local *local, uint32_t want, struct window **out)
{
	struct alloc *alloc = &local->alloc;
	enum store_error error;

	for (;;) {
		struct window *window = alloc->shared;

		if (window && window->end - window->cursor >= want && !window->file->failed) {
			window->users++;
			*out = window;
			return STORE_OK;
		}
		if (alloc->opening) {
			pthread_cond_wait(&alloc->opened, &alloc->lock);
			continue;
		}
		if (window)
			close_window(alloc, window);
		alloc->opening = true;
		error = open_window(local, want, true, &window);
		alloc->opening = false;
		pthread_cond_broadcast(&alloc->opened);
		if (error)
			return error;
		alloc->shared = window;
		*out = window;
		return STORE_OK;
	}
}

/*
 * Is there room on the disk?  A rest is kept free, so that the database can grow a
 * little and blobs can be deleted when the disk is full.
 */
static bool disk_has(struct local *local, uint64_t length)
{
	struct statvfs fs;
	uint64_t rest, unused;

	if (fstatvfs(local->extents_dir, &fs))
		return true;
	rest = (uint64_t)fs.f_blocks * fs.f_frsize / 32;
	if (rest > 64 * 1024 * 1024)
		rest = 64 * 1024 * 1024;
	unused = (uint64_t)fs.f_bavail * fs.f_frsize;
	return unused >= rest && unused - rest >= length;
}

enum store_error alloc_room(struct local *local, uint64_t length)
{
	return disk_has(local, length) ? STORE_OK : STORE_NO_SPACE;
}

enum store_error alloc_extent(struct local *local, uint64_t length, struct extent *extent)
{
	struct alloc *alloc = &local->alloc;
	uint32_t want = units(length);
	struct window *window;
	enum store_error error;

	pthread_mutex_lock(&alloc->lock);
	if (want > SHARED_MAX_UNITS)
		error = open_window(local, want, false, &window);
	else
		error = take_shared(local, want, &window);
	if (!error) {
		extent->file = window->file;
		extent->window = window;
		extent->offset = (uint64_t)window->cursor * EXTENT_UNIT;
		extent->length = length;
		window->cursor += want;
		if (want > SHARED_MAX_UNITS)
			close_window(alloc, window);
	}
	pthread_mutex_unlock(&alloc->lock);
	if (error || length < PREALLOCATE)
		return error;
	if (fallocate(extent->file->fd, FALLOC_FL_KEEP_SIZE, (off_t)extent->offset,
		      (off_t)length) &&
	    (errno == ENOSPC || errno == EDQUOT)) {
		alloc_abort(local, extent);
		return STORE_NO_SPACE;
	}
	return STORE_OK;
}

void alloc_commit(struct local *local, const struct extent *extent)
{
	pthread_mutex_lock(&local->alloc.lock);
	drop_user(&local->alloc, extent->window);
	pthread_mutex_unlock(&local->alloc.lock);
}

void alloc_abort(struct local *local, const struct extent *extent)
{
	struct alloc *alloc = &local->alloc;
	/*
	 * After a commit that failed half-way, this data may belong to a blob at the next
	 * start.  Then it must be there; if it does not, that start frees it.
	 */
	bool doubt = local->writer.broken;

	if (!doubt)
		extent_punch(extent->file, extent->offset,
			     (uint64_t)units(extent->length) * EXTENT_UNIT);
	pthread_mutex_lock(&alloc->lock);
	if (!doubt)
		bitmap_clear(extent->file->bitmap, (uint32_t)(extent->offset / EXTENT_UNIT),
			     units(extent->length));
	drop_user(alloc, extent->window);
	pthread_mutex_unlock(&alloc->lock);
}

void alloc_set_pending(struct local *local, const struct range *ranges, size_t count)
{
	pthread_mutex_lock(&local->alloc.lock);
	local->alloc.pending = ranges;
	local->alloc.pending_count = count;
	pthread_mutex_unlock(&local->alloc.lock);
}

void alloc_free_pending(struct local *local)
{
	struct alloc *alloc = &local->alloc;

	for (size_t i = 0; i < alloc->pending_count; i++) {
		const struct range *range = &alloc->pending[i];
		struct extent_file *file = alloc_file(local, range->file);

		if (file)
			extent_punch(file, range->offset,
				     (uint64_t)units(range->length) * EXTENT_UNIT);
		atomic_fetch_add_explicit(&local->numbers.collected, range->length,
					  memory_order_relaxed);
	}
	pthread_mutex_lock(&alloc->lock);
	for (size_t i = 0; i < alloc->pending_count; i++) {
		const struct range *range = &alloc->pending[i];
		struct extent_file *file =
			range->file < alloc->file_count ? alloc->files[range->file] : NULL;

		if (file && file->bitmap)
			bitmap_clear(file->bitmap, (uint32_t)(range->offset / EXTENT_UNIT),
				     units(range->length));
	}
	alloc->pending = NULL;
	alloc->pending_count = 0;
	pthread_mutex_unlock(&alloc->lock);
}

/* Punches what is free in a range; it begins at a unit, and the last unit is meant whole. */
static enum store_error clean(struct local *local, struct db *db, struct extent_file *file,
			      uint64_t offset, uint64_t length)
{
	uint64_t end = offset + (uint64_t)units(length) * EXTENT_UNIT;
	enum store_error error;
	sqlite3_stmt *s;
	bool row;

	s = db_bind(DB_SQL(db, "SELECT offset, length FROM chunks WHERE file = ?1"
			       " AND offset >= ?2 AND offset < ?3 ORDER BY offset"),
		    "iii", (int64_t)file->id, (int64_t)offset, (int64_t)end);
	while (!(error = db_row(db, s, &row)) && row) {
		uint64_t start = (uint64_t)sqlite3_column_int64(s, 0);

		if (start > offset)
			extent_punch(file, offset, start - offset);
		offset =
			start + (uint64_t)units((uint64_t)sqlite3_column_int64(s, 1)) * EXTENT_UNIT;
	}
	if (!error && offset < end)
		extent_punch(file, offset, end - offset);
	(void)local;
	return error;
}

void alloc_init(struct local *local)
{
	pthread_mutex_init(&local->alloc.lock, NULL);
	pthread_mutex_init(&local->alloc.files_lock, NULL);
	pthread_cond_init(&local->alloc.opened, NULL);
}

/* With the writer's connection, before its thread runs. */
enum store_error alloc_start(struct local *local)
{
	struct alloc *alloc = &local->alloc;
	struct db *db = &local->writer.db;
	enum store_error error;
	sqlite3_stmt *s;
	bool row;

	s = DB_SQL(db, "SELECT id FROM files");
	while (!(error = db_row(db, s, &row)) && row) {
		int64_t id = sqlite3_column_int64(s, 0);

		/* the table of files is as long as the greatest number */
		error = id > 0 && id < FILES_MAX ? add_file(local, (uint32_t)id, false)
						 : STORE_CORRUPT;
		if (error) {
			db_reset(s);
			return error;
		}
	}
	if (error)
		return error;
	s = DB_SQL(db, "SELECT file, offset, length FROM dirty");
	while (!(error = db_row(db, s, &row)) && row) {
		struct extent_file *file = NULL;
		uint32_t id = (uint32_t)sqlite3_column_int64(s, 0);

		if (id < alloc->file_count)
			file = alloc->files[id];
		error = file ? clean(local, db, file, (uint64_t)sqlite3_column_int64(s, 1),
				     (uint64_t)sqlite3_column_int64(s, 2))
			     : STORE_CORRUPT;
		if (error) {
			db_reset(s);
			return error;
		}
	}
	return error ? error : db_exec(db, "DELETE FROM dirty");
}

/* The last windows close: their rows go, so that the next start has nothing to clean. */
void alloc_stop(struct local *local)
{
	struct alloc *alloc = &local->alloc;
	struct window_job job = { 0 };

	pthread_mutex_lock(&alloc->lock);
	while (alloc->windows && !alloc->windows->users)
		close_window(alloc, alloc->windows);
	job.gone = alloc->gone;
	job.gone_count = alloc->gone_count;
	pthread_mutex_unlock(&alloc->lock);
	if (job.gone_count)
		writer_do(local, window_job, &job);
}

void alloc_end(struct local *local)
{
	struct alloc *alloc = &local->alloc;

	for (size_t i = 0; i < alloc->file_count; i++)
		if (alloc->files[i])
			extent_file_close(alloc->files[i]);
	while (alloc->windows) {
		struct window *next = alloc->windows->next;

		free(alloc->windows);
		alloc->windows = next;
	}
	free(alloc->files);
	free(alloc->gone);
	pthread_cond_destroy(&alloc->opened);
	pthread_mutex_destroy(&alloc->files_lock);
	pthread_mutex_destroy(&alloc->lock);
}
