/* SPDX-License-Identifier: MIT */
/* Changing and walking the runs of page and append blobs, see runs.h. */
#include "store/local/runs.h"

enum store_error runs_create(struct local *local, int64_t tick, bool append, int64_t *content)
{
	struct db *db = &local->writer.db;
	enum store_error error = db_run(db, db_bind(DB_SQL(db, "INSERT INTO contents(refs, live,"
							       " appends) VALUES (1, ?1, ?2)"),
						    "ii", tick, (int64_t)append));

	*content = sqlite3_last_insert_rowid(db->handle);
	return error;
}

enum store_error runs_begin(struct local *local, int64_t content, int64_t live, int64_t tick)
{
	struct db *db = &local->writer.db;
	enum store_error error = change_drop_state(local, 0, content, live);

	if (error)
		return error;
	return db_run(db, db_bind(DB_SQL(db, "UPDATE contents SET live = ?2 WHERE id = ?1"), "ii",
				  content, tick));
}

enum store_error runs_add(struct local *local, int64_t content, const struct run *run, bool small)
{
	int64_t weight = run->length > RUN_WEIGHT ? (int64_t)run->length : RUN_WEIGHT;
	struct db *db = &local->writer.db;
	enum store_error error;
	sqlite3_stmt *s;
	bool row;

	error = db_run(db, db_bind(DB_SQL(db, "INSERT INTO runs(content, offset, born, died,"
					      " written, length, chunk, chunk_offset)"
					      " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)"),
				   "iiiiiiii", content, (int64_t)run->offset, run->born, RUN_ALIVE,
				   run->written, (int64_t)run->length, run->chunk,
				   (int64_t)run->chunk_offset));
	if (error || !small)
		return error;
	error = db_run(db, db_bind(DB_SQL(db, "INSERT INTO journal(content, offset, born)"
					      " VALUES (?1, ?2, ?3)"),
				   "iii", content, (int64_t)run->offset, run->born));
	if (error)
		return error;
	s = db_bind(DB_SQL(db, "UPDATE contents SET journal = journal + ?2 WHERE id = ?1"
			       " RETURNING journal"),
		    "ii", content, weight);
	error = db_row(db, s, &row);
	if (error || !row)
		return error;
	/* the collector folds too: it is woken as for garbage */
	local->writer.made_garbage |= sqlite3_column_int64(s, 0) >= FOLD_BYTES;
	return db_run(db, s);
}

/* The first living run that ends behind @offset and begins before @end. */
static enum store_error find_alive(struct local *local, int64_t content, uint64_t offset,
				   uint64_t end, struct run *run, bool *small, bool *found)
{
	struct db *db = &local->writer.db;
	sqlite3_stmt *s;
	enum store_error error;

	/* living runs don't overlap: only the last one that begins before can reach in */
	s = db_bind(DB_SQL(db, "SELECT r.offset, r.length, r.born, r.written, r.chunk,"
			       " r.chunk_offset, k.file IS NULL FROM runs r"
			       " JOIN chunks k ON k.id = r.chunk WHERE r.content = ?1"
			       " AND r.died = 9223372036854775807 AND r.offset < ?3"
			       " AND r.offset >= coalesce((SELECT q.offset FROM runs q"
			       "  WHERE q.content = ?1 AND q.offset <= ?2"
			       "  AND q.died = 9223372036854775807"
			       "  ORDER BY q.offset DESC LIMIT 1), ?2)"
			       " AND r.offset + r.length > ?2 ORDER BY r.offset LIMIT 1"),
		    "iii", content, (int64_t)offset, (int64_t)end);
	error = db_row(db, s, found);
	if (error || !*found)
		return error;
	*run = (struct run){ .offset = (uint64_t)sqlite3_column_int64(s, 0),
			     .length = (uint64_t)sqlite3_column_int64(s, 1),
			     .born = sqlite3_column_int64(s, 2),
			     .written = sqlite3_column_int64(s, 3),
			     .chunk = sqlite3_column_int64(s, 4),
			     .chunk_offset = (uint64_t)sqlite3_column_int64(s, 5) };
	*small = sqlite3_column_int(s, 6);
	db_reset(s);
	return STORE_OK;
}

/* What is left of a run that was cut: a run that shares the chunk. */
static enum store_error add_rest(struct local *local, int64_t content, int64_t tick,
				 const struct run *old, uint64_t from, uint64_t to, bool small)
{
	struct run rest = { .offset = from,
			    .length = to - from,
			    .born = tick,
			    .written = old->written,
			    .chunk = old->chunk,
			    .chunk_offset = old->chunk_offset + (from - old->offset) };
	struct db *db = &local->writer.db;
	enum store_error error;

	if (from >= to)
		return STORE_OK;
	error = db_run(db, db_bind(DB_SQL(db, "UPDATE chunks SET refs = refs + 1 WHERE id = ?1"),
				   "i", old->chunk));
	return error ? error : runs_add(local, content, &rest, small);
}

/* What is left of @old beside all ranges from @ranges on, of which the first is in it. */
static enum store_error add_rests(struct local *local, int64_t content, int64_t tick,
				  const struct run *old, const struct run_range *ranges,
				  size_t count, bool small)
{
	uint64_t from = old->offset, end = old->offset + old->length;
	enum store_error error = STORE_OK;

	for (size_t i = 0; i < count && ranges[i].offset < end && !error; i++) {
		error = add_rest(local, content, tick, old, from, ranges[i].offset, small);
		from = ranges[i].end;
	}
	return error ? error : add_rest(local, content, tick, old, from, end, small);
}

enum store_error runs_cut_all(struct local *local, int64_t content, int64_t tick,
			      const struct run_range *ranges, size_t count)
{
	struct db *db = &local->writer.db;
	enum store_error error = STORE_OK;

	for (size_t i = 0; i < count && !error; i++) {
		bool found = true, small;
		struct run run;

		while (!error && found) {
			error = find_alive(local, content, ranges[i].offset, ranges[i].end, &run,
					   &small, &found);
			if (error || !found)
				break;
			error = db_run(db, db_bind(DB_SQL(db, "UPDATE runs SET died = ?4"
							      " WHERE content = ?1 AND offset = ?2"
							      " AND born = ?3"),
						   "iiii", content, (int64_t)run.offset, run.born,
						   tick));
			if (!error)
				error = add_rests(local, content, tick, &run, ranges + i, count - i,
						  small);
		}
	}
	return error;
}

enum store_error runs_cut(struct local *local, int64_t content, int64_t tick, uint64_t offset,
			  uint64_t end)
{
	struct run_range range = { offset, end };

	return runs_cut_all(local, content, tick, &range, 1);
}

#define SEEN_IN_RANGE                                                                            \
	"SELECT r.offset, r.length, r.born, r.written, r.chunk, r.chunk_offset FROM runs r"      \
	" WHERE r.content = ?1 AND r.born <= ?4 AND r.died > ?4 AND r.offset < ?3"               \
	" AND r.offset >= coalesce((SELECT q.offset FROM runs q WHERE q.content = ?1"            \
	"  AND q.offset <= ?2 AND q.born <= ?4 AND q.died > ?4 ORDER BY q.offset DESC LIMIT 1)," \
	" ?2) AND r.offset + r.length > ?2 ORDER BY r.offset"

void runs_walk(struct run_walk *walk, struct db *db, int64_t content, int64_t at, uint64_t offset,
	       uint64_t end, bool second)
{
	walk->db = db;
	/* a place of its own in the source is a statement of its own */
	walk->s = second ? DB_SQL(db, SEEN_IN_RANGE) : DB_SQL(db, SEEN_IN_RANGE);
	db_bind(walk->s, "iiii", content, (int64_t)offset, (int64_t)end, at);
}

enum store_error runs_next(struct run_walk *walk, bool *more)
{
	enum store_error error = db_row(walk->db, walk->s, more);

	if (error || !*more)
		return error;
	walk->run = (struct run){ .offset = (uint64_t)sqlite3_column_int64(walk->s, 0),
				  .length = (uint64_t)sqlite3_column_int64(walk->s, 1),
				  .born = sqlite3_column_int64(walk->s, 2),
				  .written = sqlite3_column_int64(walk->s, 3),
				  .chunk = sqlite3_column_int64(walk->s, 4),
				  .chunk_offset = (uint64_t)sqlite3_column_int64(walk->s, 5) };
	return STORE_OK;
}

void runs_stop(struct run_walk *walk)
{
	db_reset(walk->s);
}

enum store_error runs_clone(struct local *local, int64_t from, int64_t at, uint64_t length,
			    bool append, int64_t tick, int64_t *content)
{
	struct db *db = &local->writer.db;
	enum store_error error = runs_create(local, tick, append, content);

	if (!error)
		error = db_run(db,
			       db_bind(DB_SQL(db, "INSERT INTO runs(content, offset, born, died,"
						  " written, length, chunk, chunk_offset)"
						  " SELECT ?1, offset, ?5, 9223372036854775807,"
						  " written, min(length, ?4 - offset), chunk,"
						  " chunk_offset FROM runs WHERE content = ?2"
						  " AND born <= ?3 AND died > ?3"
						  " AND offset < ?4"),
				       "iiiii", *content, from, at, (int64_t)length, tick));
	if (!error)
		error = db_run(db, db_bind(DB_SQL(db, "UPDATE chunks SET refs = refs + n FROM"
						      " (SELECT chunk AS c, count(*) AS n FROM runs"
						      "  WHERE content = ?1 GROUP BY chunk)"
						      " WHERE id = c"),
					   "i", *content));
	if (!error)
		error = db_run(db, db_bind(DB_SQL(db, "INSERT INTO journal(content, offset, born)"
						      " SELECT r.content, r.offset, r.born"
						      " FROM runs r JOIN chunks k ON k.id = r.chunk"
						      " WHERE r.content = ?1 AND k.file IS NULL"),
					   "i", *content));
	if (error)
		return error;
	return db_run(db,
		      db_bind(DB_SQL(db, "UPDATE contents SET journal ="
					 " (SELECT count(*) * ?2 FROM journal WHERE content = ?1)"
					 " WHERE id = ?1"),
			      "ii", *content, (int64_t)RUN_WEIGHT));
}
