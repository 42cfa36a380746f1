/* SPDX-License-Identifier: MIT */
/*
 * The collector: takes garbage apart, one small transaction after another, so that
 * no change waits long for it.
 *
 * Each row of garbage is one reference to something.  A chunk whose last reference
 * goes is deleted, with a row in dirty for its space; when that is committed the hole
 * is punched and the space is free.  Bigger things become garbage of smaller kinds
 * on the way.  What is leased stays until the lease ends.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "store/local/backup_lock.h"
#include "store/local/runs.h"

#define LOOK 256  /* rows of garbage looked at together */
#define HOUR 3600 /* seconds */
#define STEP 512  /* rows deleted in one transaction, about */
/* What nobody touched for so long is given up; in units of 100 ns. */
#define AGE (INT64_C(7) * 24 * 3600 * 10000000)

struct item {
	int64_t id;
	enum garbage_kind kind;
	int64_t what;
	int64_t at;
};

/* One transaction of the collector. */
struct step {
	const struct item *items;
	size_t count;    /* of items */
	size_t finished; /* items that are gone with this step */
	size_t budget;
	struct range *ranges; /* space that is free when it is committed */
	size_t range_count;
	int64_t dirty[STEP + 1]; /* their rows */
	/* rows of the step before: their holes are punched */
	int64_t clean[STEP + 1];
	size_t clean_count;
};

static enum store_error drop_chunk(struct local *local, struct step *step, int64_t id)
{
	struct db *db = &local->writer.db;
	sqlite3_stmt *s = db_bind(DB_SQL(db, "SELECT refs, length, file, offset FROM chunks"
					     " WHERE id = ?1"),
				  "i", id);
	struct range *range = &step->ranges[step->range_count];
	enum store_error error;
	bool row, in_file;
	int64_t refs;

	error = db_row(db, s, &row);
	if (error || !row)
		return error; /* no such chunk: nothing to drop */
	refs = sqlite3_column_int64(s, 0);
	in_file = sqlite3_column_type(s, 2) != SQLITE_NULL;
	*range = (struct range){ .file = (uint32_t)sqlite3_column_int64(s, 2),
				 .offset = (uint64_t)sqlite3_column_int64(s, 3),
				 .length = (uint64_t)sqlite3_column_int64(s, 1) };
	db_reset(s);
	step->budget -= step->budget > 0;
	if (refs > 1)
		return db_run(db, db_bind(DB_SQL(db, "UPDATE chunks SET refs = refs - 1"
						     " WHERE id = ?1"),
					  "i", id));
	error = db_run(db, db_bind(DB_SQL(db, "DELETE FROM chunks WHERE id = ?1"), "i", id));
	if (error || !in_file)
		return error;
	error = db_run(db, db_bind(DB_SQL(db, "INSERT INTO dirty(file, offset, length)"
					      " VALUES (?1, ?2, ?3)"),
				   "iii", (int64_t)range->file, (int64_t)range->offset,
				   (int64_t)range->length));
	step->dirty[step->range_count++] = sqlite3_last_insert_rowid(db->handle);
	return error;
}

/* Deletes pieces of a content until the budget is used up; *done: none are left. */
static enum store_error drop_content(struct local *local, struct step *step, int64_t content,
				     bool *done)
{
	struct db *db = &local->writer.db;
	enum store_error error;
	sqlite3_stmt *s;
	bool row;

	s = db_bind(DB_SQL(db, "SELECT refs FROM contents WHERE id = ?1"), "i", content);
	error = db_row(db, s, &row);
	if (error)
		return error;
	if (row && sqlite3_column_int64(s, 0) > 1) {
		db_reset(s);
		*done = true;
		return db_run(db, db_bind(DB_SQL(db, "UPDATE contents SET refs = refs - 1"
						     " WHERE id = ?1"),
					  "i", content));
	}
	db_reset(s);
	while (step->budget) {
		int64_t offset, chunk;

		s = db_bind(DB_SQL(db, "SELECT offset, chunk FROM pieces WHERE content = ?1"
				       " ORDER BY offset LIMIT 1"),
			    "i", content);
		error = db_row(db, s, &row);
		if (error)
			return error;
		if (!row) {
			*done = true;
			return db_run(db, db_bind(DB_SQL(db, "DELETE FROM contents WHERE id = ?1"),
						  "i", content));
		}
		offset = sqlite3_column_int64(s, 0);
		chunk = sqlite3_column_int64(s, 1);
		db_reset(s);
		error = drop_chunk(local, step, chunk);
		if (!error)
			error = db_run(db,
				       db_bind(DB_SQL(db, "DELETE FROM pieces"
							  " WHERE content = ?1 AND offset = ?2"),
					       "ii", content, offset));
		if (error)
			return error;
	}
	return STORE_OK;
}

static enum store_error drop_staged(struct local *local, struct step *step, int64_t staged,
				    bool *done)
{
	struct db *db = &local->writer.db;
	enum store_error error = STORE_OK;

	while (step->budget && !error) {
		sqlite3_stmt *s = db_bind(DB_SQL(db, "SELECT chunk, content, taken, id FROM blocks"
						     " WHERE staged = ?1 LIMIT 1"),
					  "i", staged);
		int64_t chunk, content;
		bool row, taken;

		error = db_row(db, s, &row);
		if (error)
			return error;
		if (!row) {
			*done = true;
			return db_run(db, db_bind(DB_SQL(db, "DELETE FROM staged WHERE id = ?1"),
						  "i", staged));
		}
		chunk = sqlite3_column_int64(s, 0);
		content = sqlite3_column_int64(s, 1);
		taken = sqlite3_column_int(s, 2);
		db_reset(s);
		step->budget--;
		error = db_run(db, db_bind(DB_SQL(db, "DELETE FROM blocks WHERE staged = ?1"
						      " AND id = (SELECT id FROM blocks"
						      " WHERE staged = ?1 LIMIT 1)"),
					   "i", staged));
		/* a chunk that was taken may be leased by readers of the blob: it has moved on */
		if (!error && !taken)
			error = change_drop_data(local, chunk, content);
	}
	return error;
}

/*
 * The runs that were seen at ?2 and that nobody else can see: not the blob as it is now,
 * no past state, and no look whose own row of garbage is yet to come, on which readers
 * may still have a lease.
 */
#define UNSEEN                                                                               \
	"SELECT r.offset, r.born, r.chunk FROM runs r WHERE r.content = ?1 AND r.born <= ?2" \
	" AND r.died > ?2 AND NOT EXISTS (SELECT 1 FROM history h WHERE h.content = ?1"      \
	" AND h.seen != 0 AND h.seen >= r.born AND h.seen < r.died)"                         \
	" AND NOT EXISTS (SELECT 1 FROM garbage g WHERE g.kind = 5 AND g.what = ?1"          \
	" AND g.at >= r.born AND g.at < r.died AND g.id != ?3)"
#define UNSEEN_LIVE UNSEEN " AND r.died != 9223372036854775807 LIMIT ?4"
#define UNSEEN_DEAD UNSEEN " LIMIT ?4"

struct run_key {
	int64_t offset, born, chunk;
};

static enum store_error find_unseen(struct local *local, const struct item *item, bool live,
				    struct run_key *runs, size_t room, size_t *count)
{
	struct db *db = &local->writer.db;
	sqlite3_stmt *s = live ? DB_SQL(db, UNSEEN_LIVE) : DB_SQL(db, UNSEEN_DEAD);
	enum store_error error;
	bool row;

	*count = 0;
	db_bind(s, "iiii", item->what, item->at, item->id, (int64_t)room);
	while (!(error = db_row(db, s, &row)) && row)
		runs[(*count)++] =
			(struct run_key){ sqlite3_column_int64(s, 0), sqlite3_column_int64(s, 1),
					  sqlite3_column_int64(s, 2) };
	return error;
}

/*
 * A run of this chunk has gone, and others are left.  When they are less than half of it they
 * are moved, so that the space comes back.  Looking costs more the more there are, so with many
 * it is done at some counts only.
 */
static enum store_error check_rest(struct local *local, int64_t chunk)
{
	struct db *db = &local->writer.db;
	enum store_error error;
	sqlite3_stmt *s;
	int64_t refs;
	bool row;

	s = db_bind(DB_SQL(db, "SELECT refs FROM chunks WHERE id = ?1 AND file IS NOT NULL"), "i",
		    chunk);
	error = db_row(db, s, &row);
	if (error || !row)
		return error;
	refs = sqlite3_column_int64(s, 0);
	db_reset(s);
	if (refs > 8 && (refs & (refs - 1)))
		return STORE_OK;
	s = db_bind(DB_SQL(db, "SELECT (SELECT sum(length) FROM runs WHERE chunk = ?1) * 2 <="
			       " length FROM chunks WHERE id = ?1"),
		    "i", chunk);
	error = db_row(db, s, &row);
	if (error || !row)
		return error;
	row = sqlite3_column_int(s, 0);
	db_reset(s);
	if (!row)
		return STORE_OK;
	error = db_run(db, db_bind(DB_SQL(db, "INSERT OR IGNORE INTO journal(content, offset, born)"
					      " SELECT content, offset, born FROM runs"
					      " WHERE chunk = ?1 AND died = 9223372036854775807"),
				   "i", chunk));
	if (error)
		return error;
	return db_run(db, db_bind(DB_SQL(db, "UPDATE contents SET journal = journal + ?2"
					     " WHERE live != 0 AND id IN (SELECT content FROM runs"
					     " WHERE chunk = ?1 AND died = 9223372036854775807)"),
				  "ii", chunk, (int64_t)FOLD_BYTES));
}

/* A look at a page or append blob's content has ended, see runs.h. */
static enum store_error drop_view(struct local *local, struct step *step, const struct item *item,
				  bool *done)
{
	struct db *db = &local->writer.db;
	struct run_key runs[STEP];
	size_t room = step->budget, count;
	enum store_error error;
	sqlite3_stmt *s;
	bool row, live;

	s = db_bind(DB_SQL(db, "SELECT live FROM contents WHERE id = ?1"), "i", item->what);
	error = db_row(db, s, &row);
	*done = !row;
	if (error || !row)
		return error;
	live = sqlite3_column_int(s, 0);
	db_reset(s);
	error = find_unseen(local, item, live, runs, room, &count);
	for (size_t i = 0; i < count && !error; i++) {
		error = drop_chunk(local, step, runs[i].chunk);
		if (!error)
			error = db_run(db,
				       db_bind(DB_SQL(db, "DELETE FROM runs WHERE content = ?1"
							  " AND offset = ?2 AND born = ?3"),
					       "iii", item->what, runs[i].offset, runs[i].born));
		if (!error)
			error = db_run(db,
				       db_bind(DB_SQL(db, "DELETE FROM journal WHERE content = ?1"
							  " AND offset = ?2 AND born = ?3"),
					       "iii", item->what, runs[i].offset, runs[i].born));
		if (!error)
			error = check_rest(local, runs[i].chunk);
	}
	*done = count < room;
	if (error || !*done || live)
		return error;
	/* the last look of all takes the content with it */
	return db_run(db, db_bind(DB_SQL(db, "DELETE FROM contents WHERE id = ?1 AND NOT EXISTS"
					     " (SELECT 1 FROM runs WHERE content = ?1)"
					     " AND NOT EXISTS (SELECT 1 FROM history"
					     " WHERE content = ?1 AND seen != 0)"),
				  "i", item->what));
}

/* One name of a deleted container. */
static enum store_error drop_blob(struct local *local, int64_t container, bool *row)
{
	struct db *db = &local->writer.db;
	sqlite3_stmt *s =
		db_bind(DB_SQL(db, "SELECT chunk, content, " LIVE_SEEN
				   " FROM blobs WHERE container = ?1 ORDER BY name LIMIT 1"),
			"i", container);
	struct held_state held;
	enum store_error error = change_read_state(db, s, &held, row);

	if (error || !*row)
		return error;
	error = db_run(db, db_bind(DB_SQL(db, "DELETE FROM tags WHERE container = ?1 AND name ="
					      " (SELECT name FROM blobs WHERE container = ?1"
					      "  ORDER BY name LIMIT 1)"),
				   "i", container));
	if (!error)
		error = db_run(db, db_bind(DB_SQL(db, "DELETE FROM copies WHERE container = ?1"
						      " AND name = (SELECT name FROM blobs"
						      "  WHERE container = ?1"
						      "  ORDER BY name LIMIT 1)"),
					   "i", container));
	if (error)
		return error;
	error = db_run(db, db_bind(DB_SQL(db, "DELETE FROM blobs WHERE container = ?1 AND name ="
					      " (SELECT name FROM blobs WHERE container = ?1"
					      "  ORDER BY name LIMIT 1)"),
				   "i", container));
	if (!error && held.seen)
		error = db_run(db, db_bind(DB_SQL(db, "UPDATE contents SET live = 0 WHERE id = ?1"),
					   "i", held.content));
	return error ? error : change_drop_state(local, held.chunk, held.content, held.seen);
}

static enum store_error drop_container(struct local *local, struct step *step, int64_t container,
				       bool *done)
{
	struct db *db = &local->writer.db;
	enum store_error error = STORE_OK;
	bool blobs = true, past = true, row = false;

	for (; step->budget && blobs && !error; step->budget--)
		error = drop_blob(local, container, &blobs);
	for (; step->budget && !blobs && past && !error; step->budget--)
		error = history_drop_first(local, container, &past);
	while (step->budget && !blobs && !past && !row && !error) {
		sqlite3_stmt *s = db_bind(DB_SQL(db, "SELECT id FROM staged WHERE container = ?1"
						     " LIMIT 1"),
					  "i", container);
		int64_t staged;

		error = db_row(db, s, &row);
		if (error)
			break;
		if (!row) {
			*done = true;
			return db_run(db, db_bind(DB_SQL(db, "DELETE FROM containers"
							     " WHERE id = ?1"),
						  "i", container));
		}
		staged = sqlite3_column_int64(s, 0);
		db_reset(s);
		row = false;
		step->budget--;
		error = db_run(db, db_bind(DB_SQL(db, "UPDATE staged SET container = NULL"
						      " WHERE id = ?1"),
					   "i", staged));
		if (!error)
			error = writer_garbage(local, GARBAGE_STAGED, staged);
	}
	return error;
}

/* What is punched need not be looked at by the next start. */
static enum store_error forget_clean(struct local *local, void *context)
{
	struct db *db = &local->writer.db;
	struct step *step = context;
	enum store_error error = STORE_OK;

	for (size_t i = 0; i < step->clean_count && !error; i++)
		error = db_run(db, db_bind(DB_SQL(db, "DELETE FROM dirty WHERE id = ?1"), "i",
					   step->clean[i]));
	return error;
}

static enum store_error run_step(struct local *local, void *context)
{
	struct db *db = &local->writer.db;
	struct step *step = context;
	enum store_error error = forget_clean(local, step);

	while (step->finished < step->count && step->budget && !error) {
		const struct item *item = &step->items[step->finished];
		bool done = false;

		switch (item->kind) {
		case GARBAGE_CHUNK:
			error = drop_chunk(local, step, item->what);
			done = true;
			break;
		case GARBAGE_CONTENT:
			error = drop_content(local, step, item->what, &done);
			break;
		case GARBAGE_CONTAINER:
			error = drop_container(local, step, item->what, &done);
			break;
		case GARBAGE_STAGED:
			error = drop_staged(local, step, item->what, &done);
			break;
		case GARBAGE_VIEW:
			error = drop_view(local, step, item, &done);
			break;
		}
		if (error || !done)
			break;
		error = db_run(db, db_bind(DB_SQL(db, "DELETE FROM garbage WHERE id = ?1"), "i",
					   item->id));
		step->finished++;
	}
	/*
	 * Before the commit: a map that is made after it must not show as free what is
	 * yet to be punched.
	 */
	if (!error)
		alloc_set_pending(local, step->ranges, step->range_count);
	return error;
}

/* One transaction, and what is free by it. */
static enum store_error do_step(struct local *local, struct step *step)
{
	size_t finished = step->finished;
	enum store_error error;

	step->budget = STEP;
	step->range_count = 0;
	if (!backup_lock_collector(local->lock_fd)) {
		/* the data belongs to the backup too until that has it */
		local->collector.postponed = true;
		return STORE_SHUTDOWN;
	}
	error = writer_do(local, run_step, step);
	if (error) {
		alloc_set_pending(local, NULL, 0);
		step->finished = finished;
		backup_unlock_collector(local->lock_fd);
		return error;
	}
	alloc_free_pending(local);
	backup_unlock_collector(local->lock_fd);
	memcpy(step->clean, step->dirty, step->range_count * sizeof(*step->dirty));
	step->clean_count = step->range_count;
	return STORE_OK;
}

/* The next rows of garbage after *cursor that are not leased; *seen: rows there were. */
static enum store_error look(struct local *local, int64_t *cursor, struct item *items,
			     size_t *count, size_t *seen)
{
	struct reader *reader;
	enum store_error error = reader_get(local, &reader);
	size_t kept = 0;
	sqlite3_stmt *s;
	bool row;

	*count = *seen = 0;
	if (error)
		return error;
	s = db_bind(DB_SQL(&reader->db, "SELECT id, kind, what, at FROM garbage WHERE id > ?1"
					" ORDER BY id LIMIT ?2"),
		    "ii", *cursor, (int64_t)LOOK);
	while (!(error = db_row(&reader->db, s, &row)) && row) {
		items[(*seen)++] = (struct item){
			.id = sqlite3_column_int64(s, 0),
			.kind = (enum garbage_kind)sqlite3_column_int(s, 1),
			.what = sqlite3_column_int64(s, 2),
			.at = sqlite3_column_int64(s, 3),
		};
		*cursor = sqlite3_column_int64(s, 0);
	}
	reader_put(local, reader);
	if (error || !*seen)
		return error;
	lease_wait_openers(local);
	for (size_t i = 0; i < *seen; i++)
		if (!lease_held(local, items[i].kind, items[i].what, items[i].at))
			items[kept++] = items[i];
	*count = kept;
	return STORE_OK;
}

static bool stopping(struct collector *collector)
{
	bool stop;

	pthread_mutex_lock(&collector->lock);
	stop = collector->stop;
	pthread_mutex_unlock(&collector->lock);
	return stop;
}

static bool asked_to_stop(struct local *local)
{
	return stopping(&local->collector);
}

/* All garbage there is; what is leased is left. */
static enum store_error collect(struct local *local, struct step *step)
{
	struct item items[LOOK];
	enum store_error error = STORE_OK;
	int64_t cursor = 0;
	size_t seen = 1;

	while (seen && !error && !stopping(&local->collector)) {
		error = look(local, &cursor, items, &step->count, &seen);
		step->items = items;
		step->finished = 0;
		while (!error && step->finished < step->count && !stopping(&local->collector))
			error = do_step(local, step);
	}
	if (!error && step->clean_count) {
		error = writer_do(local, forget_clean, step);
		step->clean_count = error ? step->clean_count : 0;
	}
	return error;
}

/* Uncommitted blocks nobody touched for a week, and answers nobody asked for. */
static enum store_error expire(struct local *local, void *context)
{
	struct db *db = &local->writer.db;
	int64_t before = writer_tick(local) - AGE;
	enum store_error error;
	sqlite3_stmt *s;
	bool row = true;

	(void)context;
	error = db_run(db, db_bind(DB_SQL(db, "DELETE FROM effects WHERE made < ?1"), "i", before));
	while (!error && row) {
		int64_t staged;

		s = db_bind(DB_SQL(db, "SELECT id FROM staged WHERE container IS NOT NULL"
				       " AND modified < ?1 LIMIT 1"),
			    "i", before * 100);
		error = db_row(db, s, &row);
		if (error || !row)
			break;
		staged = sqlite3_column_int64(s, 0);
		db_reset(s);
		error = db_run(db, db_bind(DB_SQL(db, "UPDATE staged SET container = NULL"
						      " WHERE id = ?1"),
					   "i", staged));
		if (!error)
			error = writer_garbage(local, GARBAGE_STAGED, staged);
	}
	return error;
}

/* Gives pages that metadata.db does not need back; *more: there are others. */
static enum store_error shrink(struct local *local, void *context)
{
	struct db *db = &local->writer.db;
	bool *more = context, row;
	int64_t unused, pages;
	sqlite3_stmt *s;
	enum store_error error;

	*more = false;
	s = DB_SQL(db, "PRAGMA freelist_count");
	error = db_row(db, s, &row);
	if (error || !row)
		return error;
	unused = sqlite3_column_int64(s, 0);
	db_reset(s);
	s = DB_SQL(db, "PRAGMA page_count");
	error = db_row(db, s, &row);
	if (error || !row)
		return error;
	pages = sqlite3_column_int64(s, 0);
	db_reset(s);
	/* some are kept for the next blobs */
	if (unused < 1024 || unused < pages / 8)
		return STORE_OK;
	*more = true;
	return db_exec(db, "PRAGMA incremental_vacuum(256)");
}

/* Sleeps until there is garbage, or for an hour; for a second during a backup. */
static bool wait_for_work(struct collector *collector)
{
	struct timespec until;
	bool go;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += collector->postponed ? 1 : HOUR;
	collector->postponed = false;
	pthread_mutex_lock(&collector->lock);
	while (!collector->work && !collector->stop)
		if (pthread_cond_timedwait(&collector->wake, &collector->lock, &until))
			break;
	collector->work = false;
	go = !collector->stop;
	pthread_mutex_unlock(&collector->lock);
	return go;
}

static void *collector_main(void *context)
{
	struct local *local = context;
	struct step *step = calloc(1, sizeof(*step));
	time_t next_expiry = 0;

	if (step)
		step->ranges = calloc(STEP + 1, sizeof(*step->ranges));
	if (!step || !step->ranges) {
		azb_log(AZB_LOG_ERROR, "store: no memory for collecting deleted data");
		free(step);
		return NULL;
	}
	while (wait_for_work(&local->collector)) {
		struct timespec now;
		bool more = true;

		/* errors are logged where they come from; the next wake-up tries again */
		clock_gettime(CLOCK_MONOTONIC, &now);
		if (now.tv_sec >= next_expiry && !writer_do(local, expire, NULL)) {
			bool expired = true;

			next_expiry = now.tv_sec + HOUR;
			/* rot that came after the first look is found by another one */
			sums_forget(local);
			while (expired && !stopping(&local->collector))
				if (writer_do(local, history_expire, &expired))
					break;
			expired = true;
			while (expired && !stopping(&local->collector))
				if (writer_do(local, change_containers_expire, &expired))
					break;
		}
		if (collect(local, step) || fold_journals(local, asked_to_stop))
			continue;
		while (more && !stopping(&local->collector))
			if (writer_do(local, shrink, &more))
				break;
	}
	free(step->ranges);
	free(step);
	return NULL;
}

void collector_wake(struct local *local)
{
	struct collector *collector = &local->collector;

	pthread_mutex_lock(&collector->lock);
	collector->work = true;
	pthread_cond_signal(&collector->wake);
	pthread_mutex_unlock(&collector->lock);
}

void collector_init(struct local *local)
{
	struct collector *collector = &local->collector;
	pthread_condattr_t attributes;

	pthread_mutex_init(&collector->lock, NULL);
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&collector->wake, &attributes);
	pthread_condattr_destroy(&attributes);
	collector->work = true; /* what an earlier run left */
}

enum store_error collector_start(struct local *local)
{
	struct collector *collector = &local->collector;

	if (pthread_create(&collector->thread, NULL, collector_main, local))
		return STORE_NO_MEMORY;
	collector->running = true;
	return STORE_OK;
}

void collector_stop(struct local *local)
{
	struct collector *collector = &local->collector;

	if (!collector->running)
		return;
	pthread_mutex_lock(&collector->lock);
	collector->stop = true;
	pthread_cond_signal(&collector->wake);
	pthread_mutex_unlock(&collector->lock);
	pthread_join(collector->thread, NULL);
	collector->running = false;
}

void collector_end(struct local *local)
{
	pthread_cond_destroy(&local->collector.wake);
	pthread_mutex_destroy(&local->collector.lock);
}
