/* SPDX-License-Identifier: MIT */
/*
 * Folding: the small writes of a page or append blob, which left their bytes in SQLite,
 * move together to one extent.  So do the last runs of a chunk of which most has been
 * overwritten: then its space comes back.
 *
 * The bytes are read and written in the collector's thread; then one job puts new runs
 * over the old ones that are still as they were read, as any write does.  So readers
 * and snapshots are not disturbed, and a crash before the commit leaves the journal.
 */
#include <stdlib.h>
#include <string.h>

#include "base/crc64.h"
#include "store/local/runs.h"

/* At most so much in one go. */
#define FOLD_RUNS 1024
#define FOLD_MAX (2u * 1024 * 1024)

struct fold_run {
	struct run run;
	struct chunk chunk; /* where the bytes are to be read; file NULL: they have been */
	uint64_t at;        /* in the bytes that are collected; UINT64_MAX: not alive */
};

struct fold {
	int64_t content;
	struct fold_run runs[FOLD_RUNS]; /* all there is in journal, the dead ones too */
	size_t count;
	unsigned char *bytes;
	uint64_t length;
	uint64_t crc64;
	struct extent extent;
	uint64_t sums[SUMS_MAX];
	bool append; /* runs in a row become one */
	bool all;    /* the journal has no more than that */
	bool used;
};

static enum store_error find_content(struct local *local, int64_t *content)
{
	struct reader *reader;
	enum store_error error = reader_get(local, &reader);
	sqlite3_stmt *s;
	bool row;

	*content = 0;
	if (error)
		return error;
	s = db_bind(DB_SQL(&reader->db, "SELECT id FROM contents WHERE journal >= ?1"
					" AND journal > 0 AND live != 0 LIMIT 1"),
		    "i", (int64_t)FOLD_BYTES);
	error = db_row(&reader->db, s, &row);
	if (!error && row) {
		*content = sqlite3_column_int64(s, 0);
		db_reset(s);
	}
	reader_put(local, reader);
	return error;
}

/* Reads the journal's runs and their bytes. */
static enum store_error collect(struct local *local, struct fold *fold)
{
	struct reader *reader;
	enum store_error error = reader_get(local, &reader);
	sqlite3_stmt *s;
	bool row = true;

	if (error)
		return error;
	s = db_bind(DB_SQL(&reader->db,
			   "SELECT j.offset, j.born, r.length, r.written, r.chunk,"
			   " r.chunk_offset, r.died, k.data, k.file, k.offset, k.length,"
			   " k.crc64 FROM journal j"
			   " LEFT JOIN runs r ON r.content = j.content AND r.offset = j.offset"
			   "  AND r.born = j.born LEFT JOIN chunks k ON k.id = r.chunk"
			   " WHERE j.content = ?1 ORDER BY j.offset, j.born LIMIT ?2"),
		    "ii", fold->content, (int64_t)FOLD_RUNS);
	fold->all = true;
	while (!(error = db_row(&reader->db, s, &row)) && row) {
		struct fold_run *f = &fold->runs[fold->count];
		const unsigned char *data = sqlite3_column_blob(s, 7);
		uint64_t have = (uint64_t)sqlite3_column_bytes(s, 7);

		*f = (struct fold_run){ .at = UINT64_MAX };
		f->run.offset = (uint64_t)sqlite3_column_int64(s, 0);
		f->run.born = sqlite3_column_int64(s, 1);
		f->run.length = (uint64_t)sqlite3_column_int64(s, 2);
		f->run.written = sqlite3_column_int64(s, 3);
		f->run.chunk = sqlite3_column_int64(s, 4);
		f->run.chunk_offset = (uint64_t)sqlite3_column_int64(s, 5);
		if (!data && sqlite3_column_type(s, 8) != SQLITE_NULL) {
			have = (uint64_t)sqlite3_column_int64(s, 10);
			f->chunk = (struct chunk){
				.id = f->run.chunk,
				.file = alloc_file(local, (uint32_t)sqlite3_column_int64(s, 8)),
				.offset = (uint64_t)sqlite3_column_int64(s, 9),
				.length = have,
				.crc64 = (uint64_t)sqlite3_column_int64(s, 11),
			};
		}
		/* what is too long to be moved stays where it is */
		if ((data || f->chunk.file) && sqlite3_column_int64(s, 6) == RUN_ALIVE &&
		    f->run.length <= FOLD_MAX) {
			if (f->run.chunk_offset > have ||
			    f->run.length > have - f->run.chunk_offset) {
				db_reset(s);
				error = STORE_CORRUPT;
				break;
			}
			if (f->run.length > FOLD_MAX - fold->length) {
				fold->all = false;
				db_reset(s);
				break;
			}
			f->at = fold->length;
			if (data)
				memcpy(fold->bytes + f->at, data + f->run.chunk_offset,
				       f->run.length);
			fold->length += f->run.length;
		}
		fold->count++;
	}
	if (fold->count == FOLD_RUNS)
		fold->all = false;
	reader_put(local, reader);
	return error;
}

/* Bytes of extents, compared with their checksums: damage must not get a new one. */
static enum store_error collect_files(struct local *local, struct fold *fold)
{
	enum store_error error = STORE_OK;

	for (size_t i = 0; i < fold->count && !error; i++) {
		struct fold_run *f = &fold->runs[i];
		uint64_t budget = UINT64_MAX, good;

		if (f->at == UINT64_MAX || !f->chunk.file)
			continue;
		error = sums_check(local, &f->chunk, f->run.chunk_offset, f->run.length, &budget,
				   &good);
		if (!error)
			error = extent_read(f->chunk.file->fd,
					    f->chunk.offset + f->run.chunk_offset,
					    fold->bytes + f->at, f->run.length);
		/* it stays where it is, and its readers are told */
		if (error == STORE_CORRUPT || error == STORE_IO) {
			f->at = UINT64_MAX;
			error = STORE_OK;
		}
	}
	return error;
}

/* Is the run as it was read, and the blob an append blob? */
static enum store_error look(struct local *local, struct fold *fold, int64_t *live)
{
	struct db *db = &local->writer.db;
	sqlite3_stmt *s = db_bind(DB_SQL(db, "SELECT live, appends FROM contents WHERE id = ?1"),
				  "i", fold->content);
	enum store_error error;
	bool row;

	*live = 0;
	error = db_row(db, s, &row);
	if (error || !row)
		return error;
	*live = sqlite3_column_int64(s, 0);
	fold->append = sqlite3_column_int(s, 1);
	db_reset(s);
	return STORE_OK;
}

/* Takes one run's place; *alive: it was still there. */
static enum store_error end_run(struct local *local, struct fold *fold, const struct run *run,
				int64_t tick, bool *alive)
{
	struct db *db = &local->writer.db;
	enum store_error error;

	error = db_run(db, db_bind(DB_SQL(db, "UPDATE runs SET died = ?4 WHERE content = ?1"
					      " AND offset = ?2 AND born = ?3"
					      " AND died = 9223372036854775807"),
				   "iiii", fold->content, (int64_t)run->offset, run->born, tick));
	*alive = sqlite3_changes(db->handle);
	return error;
}

static enum store_error replace(struct local *local, struct fold *fold, int64_t tick, int64_t chunk)
{
	struct db *db = &local->writer.db;
	enum store_error error = STORE_OK;
	struct run next = { 0 };
	int64_t refs = 0;

	for (size_t i = 0; i <= fold->count && !error; i++) {
		const struct fold_run *f = &fold->runs[i];
		bool alive = false;

		if (i < fold->count && f->at != UINT64_MAX)
			error = end_run(local, fold, &f->run, tick, &alive);
		if (error)
			return error;
		/* an append blob's runs are not told apart by when they were written */
		if (alive && next.length && fold->append &&
		    next.offset + next.length == f->run.offset &&
		    next.chunk_offset + next.length == f->at) {
			next.length += f->run.length;
			continue;
		}
		if (next.length && (alive || i == fold->count)) {
			error = runs_add(local, fold->content, &next, false);
			refs++;
			next.length = 0;
		}
		if (alive)
			next = (struct run){ .offset = f->run.offset,
					     .length = f->run.length,
					     .born = tick,
					     .written = f->run.written,
					     .chunk = chunk,
					     .chunk_offset = f->at };
	}
	fold->used = refs;
	if (error)
		return error;
	return db_run(db, db_bind(DB_SQL(db, "UPDATE chunks SET refs = ?2 WHERE id = ?1"), "ii",
				  chunk, refs));
}

static enum store_error forget(struct local *local, const struct fold *fold)
{
	struct db *db = &local->writer.db;
	enum store_error error = STORE_OK;
	for (size_t i = 0; i < fold->count && !error; i++) {
		const struct run *run = &fold->runs[i].run;

		error = db_run(db, db_bind(DB_SQL(db, "DELETE FROM journal WHERE content = ?1"
						      " AND offset = ?2 AND born = ?3"),
					   "iii", fold->content, (int64_t)run->offset, run->born));
	}
	if (error)
		return error;
	/* with more to do it is looked at again; what came since waits for the next writes */
	if (!fold->all)
		return STORE_OK;
	return db_run(db, db_bind(DB_SQL(db, "UPDATE contents SET journal = 0 WHERE id = ?1"), "i",
				  fold->content));
}

static enum store_error commit(struct local *local, void *context)
{
	struct fold *fold = context;
	int64_t live, chunk, tick;
	enum store_error error = look(local, fold, &live);

	/* it was deleted or became past meanwhile: then its journal goes with it */
	if (!error && !live)
		return STORE_BLOB_NOT_FOUND;
	if (!error && fold->length) {
		tick = writer_tick(local);
		error = change_add_chunk(local, fold->length, fold->crc64, &fold->extent, NULL,
					 &chunk);
		if (!error)
			error = runs_begin(local, fold->content, live, tick);
		if (!error)
			error = replace(local, fold, tick, chunk);
		/* all have changed meanwhile: undo this and drop the rows alone */
		if (!error && !fold->used)
			return STORE_CONDITION_NOT_MET;
	}
	return error ? error : forget(local, fold);
}

static enum store_error forget_only(struct local *local, void *context)
{
	return forget(local, context);
}

static void add_sums(struct fold *fold)
{
	uint64_t block = sums_block(fold->length);

	if (sums_count(fold->length) == 1)
		return;
	for (uint64_t at = 0; at < fold->length; at += block)
		fold->sums[at / block] = azb_crc64(
			0, fold->bytes + at, fold->length - at < block ? fold->length - at : block);
	fold->extent.sums = fold->sums;
}

static enum store_error fold_content(struct local *local, struct fold *fold)
{
	enum store_error error = collect(local, fold);

	if (!error)
		error = collect_files(local, fold);

	if (!error && fold->length) {
		fold->crc64 = azb_crc64(0, fold->bytes, fold->length);
		add_sums(fold);
		error = alloc_extent(local, fold->length, &fold->extent);
		if (error)
			return error;
		error = extent_write(fold->extent.file, fold->extent.offset, fold->bytes,
				     fold->length);
		if (!error)
			error = extent_file_sync(local, fold->extent.file);
	}
	if (!error)
		error = writer_do(local, commit, fold);
	if (fold->length) {
		if (error)
			alloc_abort(local, &fold->extent);
		else
			alloc_commit(local, &fold->extent);
	}
	if (error == STORE_CONDITION_NOT_MET)
		return writer_do(local, forget_only, fold);
	return error == STORE_BLOB_NOT_FOUND ? STORE_OK : error;
}

enum store_error fold_journals(struct local *local, bool (*stop)(struct local *local))
{
	struct fold *fold = NULL;
	enum store_error error;
	int64_t content;

	for (;;) {
		error = find_content(local, &content);
		if (error || !content || stop(local))
			break;
		if (!fold)
			fold = malloc(sizeof(*fold) + FOLD_MAX);
		if (!fold)
			return STORE_NO_MEMORY;
		memset(fold, 0, sizeof(*fold));
		fold->bytes = (unsigned char *)(fold + 1);
		fold->content = content;
		error = fold_content(local, fold);
		if (error)
			break;
	}
	free(fold);
	return error;
}
