/* SPDX-License-Identifier: MIT */
/* Where the bytes of a page or append blob are, under a lease. */
#include <stdlib.h>
#include <string.h>

#include "store/local/read.h"
#include "store/local/runs.h"

/* What a page blob is made of where nothing was written. */
static const unsigned char zeros[256 * 1024];

/* The bytes of a small write; they stay, and are not read twice. */
static enum store_error hold(struct local_read *r, int64_t chunk, sqlite3_stmt *s, int column,
			     const struct held **out)
{
	uint64_t length = (uint64_t)sqlite3_column_bytes(s, column);
	struct held *held;

	pthread_mutex_lock(&r->lock);
	for (held = r->held; held && held->chunk != chunk; held = held->next)
		;
	if (!held) {
		held = malloc(sizeof(*held) + length);
		if (held) {
			held->chunk = chunk;
			held->length = length;
			if (length)
				memcpy(held->bytes, sqlite3_column_blob(s, column), length);
			held->next = r->held;
			r->held = held;
		}
	}
	pthread_mutex_unlock(&r->lock);
	*out = held;
	return held ? STORE_OK : STORE_NO_MEMORY;
}

void read_runs_end(struct local_read *r)
{
	while (r->held) {
		struct held *next = r->held->next;

		free(r->held);
		r->held = next;
	}
}

/* Bytes @offset to @stop of a run. */
static enum store_error find_run(struct local_read *r, struct db *db, const struct run *run,
				 uint64_t offset, uint64_t stop, struct part *part)
{
	sqlite3_stmt *s = db_bind(DB_SQL(db, "SELECT file, offset, length, crc64, data FROM chunks"
					     " WHERE id = ?1"),
				  "i", run->chunk);
	uint64_t in = run->chunk_offset + (offset - run->offset);
	const struct held *held;
	enum store_error error;
	bool row;

	error = db_row(db, s, &row);
	if (error || !row)
		return error ? error : STORE_CORRUPT;
	*part = (struct part){
		.chunk = { .id = run->chunk,
			   .length = (uint64_t)sqlite3_column_int64(s, 2),
			   .crc64 = (uint64_t)sqlite3_column_int64(s, 3),
			   .offset = (uint64_t)sqlite3_column_int64(s, 1) },
		.offset = in,
		.length = stop - offset,
	};
	if (sqlite3_column_type(s, 0) == SQLITE_NULL) {
		error = hold(r, run->chunk, s, 4, &held);
		part->chunk.length = error ? 0 : held->length;
		part->bytes = error ? NULL : held->bytes + in;
	} else {
		part->chunk.file =
			alloc_file(read_local(&r->read), (uint32_t)sqlite3_column_int64(s, 0));
		error = part->chunk.file ? STORE_OK : STORE_CORRUPT;
	}
	db_reset(s);
	if (!error && (in > part->chunk.length || part->length > part->chunk.length - in))
		error = STORE_CORRUPT;
	return error;
}

/* Nothing is there from @offset to @stop; how far it got. */
static uint64_t add_hole(uint64_t offset, uint64_t stop, struct part *parts, size_t *count)
{
	while (offset < stop && *count < READ_PARTS) {
		uint64_t length = stop - offset < sizeof(zeros) ? stop - offset : sizeof(zeros);

		parts[(*count)++] = (struct part){ .bytes = zeros, .length = length };
		offset += length;
	}
	return offset;
}

/* In one transaction: a fold moves bytes from SQLite to an extent at any time. */
static enum store_error find(struct local_read *r, struct db *db, uint64_t offset, uint64_t end,
			     struct part *parts, size_t *count)
{
	struct run_walk walk;
	enum store_error error;
	bool more;

	runs_walk(&walk, db, r->content, r->at, offset, end, false);
	while (!(error = runs_next(&walk, &more)) && more) {
		uint64_t stop = walk.run.offset + walk.run.length;

		if (walk.run.offset > offset)
			offset = add_hole(offset, walk.run.offset, parts, count);
		if (stop > end)
			stop = end;
		if (*count < READ_PARTS)
			error = find_run(r, db, &walk.run, offset, stop, &parts[(*count)++]);
		if (error || *count == READ_PARTS) {
			runs_stop(&walk);
			return error;
		}
		offset = stop;
	}
	if (!error)
		add_hole(offset, end, parts, count);
	return error;
}

enum store_error read_runs_find(struct local_read *r, uint64_t offset, uint64_t end,
				struct part *parts, size_t *count)
{
	struct local *local = read_local(&r->read);
	struct reader *reader;
	enum store_error error = reader_get(local, &reader), finish;

	if (error)
		return error;
	error = db_run(&reader->db, DB_SQL(&reader->db, "BEGIN"));
	if (!error) {
		error = find(r, &reader->db, offset, end, parts, count);
		finish = db_run(&reader->db, DB_SQL(&reader->db, "COMMIT"));
		error = error ? error : finish;
	}
	reader_put(local, reader);
	return error;
}
