/* SPDX-License-Identifier: MIT */
/* Looking blobs up, and reading them under a lease. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/crc64.h"
#include "base/log.h"
#include "store/local/read.h"

static struct local_read *to_read(struct store_read *read)
{
	return (struct local_read *)(void *)read;
}

enum store_error local_container_stat(struct store *store, const struct store_ref *ref,
				      struct store_container_info *info)
{
	struct local *local = to_local(store);
	struct store_container_info found;
	struct reader *reader;
	enum store_error error = reader_get(local, &reader);
	sqlite3_stmt *s;
	bool row;

	*info = (struct store_container_info){ 0 };
	if (error)
		return error;
	s = db_bind(DB_SQL(&reader->db, "SELECT " CONTAINER_COLUMNS " FROM containers c"
					" WHERE c.account = ?1 AND c.name = ?2 AND c.deleted = 0"),
		    "tt", ref->account, ref->container);
	error = db_row(&reader->db, s, &row);
	if (!error && !row)
		error = STORE_CONTAINER_NOT_FOUND;
	if (!error) {
		container_of_row(s, 0, &found);
		error = container_copy(&found, info);
		db_reset(s);
	}
	reader_put(local, reader);
	return error;
}

#define ROW_NOW                                                                  \
	"SELECT " BLOB_COLUMNS ", " PLACE_NOW ", b.chunk, b.content, " LIVE_SEEN \
	" FROM containers c JOIN blobs b ON b.container = c.id"                  \
	" WHERE c.account = ?1 AND c.name = ?2 AND c.deleted = 0 AND b.name = ?3"
#define ROW_PAST                                                                  \
	"SELECT " BLOB_COLUMNS ", " PLACE_PAST ", b.chunk, b.content, b.seen"     \
	" FROM containers c JOIN history b ON b.container = c.id"                 \
	" WHERE c.account = ?1 AND c.name = ?2 AND c.deleted = 0 AND b.name = ?3" \
	" AND b.at = ?4 AND b.deleted = 0"

enum store_error local_find_row(struct db *db, const struct store_ref *ref, sqlite3_stmt **out)
{
	enum store_error error = STORE_OK;
	bool row = false;
	int64_t id;

	if (ref->snapshot)
		*out = db_bind(DB_SQL(db, ROW_PAST " AND b.kind = 1"), "ttti", ref->account,
			       ref->container, ref->blob, ref->snapshot);
	else if (ref->version)
		*out = db_bind(DB_SQL(db, ROW_NOW " AND b.version = ?4"), "ttti", ref->account,
			       ref->container, ref->blob, ref->version);
	else
		*out = db_bind(DB_SQL(db, ROW_NOW), "ttt", ref->account, ref->container, ref->blob);
	error = db_row(db, *out, &row);
	if (!error && !row && ref->version) {
		*out = db_bind(DB_SQL(db, ROW_PAST " AND b.kind = 2"), "ttti", ref->account,
			       ref->container, ref->blob, ref->version);
		error = db_row(db, *out, &row);
	}
	if (error || row)
		return error;
	error = local_find_container(db, ref, &id);
	return error ? error : STORE_BLOB_NOT_FOUND;
}

/* The blob's info out of the row that local_find_row() stepped to. */
static enum store_error info_of_found(sqlite3_stmt *s, struct store_blob_info *info)
{
	enum store_error error = info_of_row(s, 0, info);

	info_place(s, ROW_PLACE, info);
	return error;
}

enum store_error local_blob_stat(struct store *store, const struct store_ref *ref,
				 const struct store_conditions *conditions,
				 struct store_blob_info *info)
{
	struct local *local = to_local(store);
	struct store_blob_info found;
	struct reader *reader;
	enum store_error error = reader_get(local, &reader);
	sqlite3_stmt *s;

	*info = (struct store_blob_info){ 0 };
	if (error)
		return error;
	error = local_find_row(&reader->db, ref, &s);
	if (!error) {
		error = info_of_found(s, &found);
		if (!error)
			error = store_guard_read(conditions, &found);
		if (!error)
			error = info_copy(&found, info);
		db_reset(s);
	}
	reader_put(local, reader);
	return error;
}

/* Where the one chunk of a blob is; the bytes of a small one. */
static enum store_error open_chunk(struct local *local, struct db *db, struct local_read *r,
				   int64_t chunk)
{
	sqlite3_stmt *s = db_bind(DB_SQL(db, "SELECT file, offset, crc64, data FROM chunks"
					     " WHERE id = ?1"),
				  "i", chunk);
	uint64_t length = r->read.info.length;
	enum store_error error;
	bool row;

	error = db_row(db, s, &row);
	if (error || !row)
		return error ? error : STORE_CORRUPT;
	if (sqlite3_column_type(s, 0) == SQLITE_NULL) {
		if ((uint64_t)sqlite3_column_bytes(s, 3) != length)
			error = STORE_CORRUPT;
		r->bytes = malloc(length);
		if (!error && !r->bytes)
			error = STORE_NO_MEMORY;
		if (!error)
			memcpy(r->bytes, sqlite3_column_blob(s, 3), length);
		if (!error && local->verify != SUMS_NEVER &&
		    azb_crc64(0, r->bytes, length) != (uint64_t)sqlite3_column_int64(s, 2)) {
			azb_log(AZB_LOG_ERROR,
				"store: %s/metadata.db: damaged: the bytes of chunk %lld are not "
				"what their checksum says; they are not served",
				local->path, (long long)chunk);
			error = STORE_CORRUPT;
		}
	} else {
		r->chunk = (struct chunk){
			.id = chunk,
			.length = length,
			.crc64 = (uint64_t)sqlite3_column_int64(s, 2),
			.file = alloc_file(local, (uint32_t)sqlite3_column_int64(s, 0)),
			.offset = (uint64_t)sqlite3_column_int64(s, 1),
		};
		if (!r->chunk.file)
			error = STORE_CORRUPT;
	}
	db_reset(s);
	if (!error && !r->bytes)
		error = lease_take(local, GARBAGE_CHUNK, chunk, 0, &r->lease);
	return error;
}

/*
 * All that needs one consistent view: the row is stepped to until the end, and while a statement
 * of a connection is, its others see the same.  This is the way of every small read, so it has no
 * transaction around it.
 */
static enum store_error open_in(struct local *local, struct db *db, const struct store_ref *ref,
				const struct store_conditions *conditions,
				struct store_blob_info *info, struct local_read *r)
{
	struct store_blob_info found;
	enum store_error error;
	int64_t chunk;
	sqlite3_stmt *s;

	error = local_find_row(db, ref, &s);
	if (error)
		return error;
	error = info_of_found(s, &found);
	if (!error)
		error = store_guard_read(conditions, &found);
	if (!error) {
		error = info_copy(&found, &r->read.info);
	} else if (info && (error == STORE_NOT_MODIFIED || error == STORE_CONDITION_NOT_MET)) {
		if (info_copy(&found, info))
			error = STORE_NO_MEMORY;
	}
	chunk = sqlite3_column_int64(s, ROW_CHUNK);
	r->content = sqlite3_column_int64(s, ROW_CONTENT);
	r->at = sqlite3_column_int64(s, ROW_SEEN);
	if (error)
		;
	else if (r->at)
		error = lease_take(local, GARBAGE_VIEW, r->content, r->at, &r->lease);
	else if (r->content)
		error = lease_take(local, GARBAGE_CONTENT, r->content, 0, &r->lease);
	else if (chunk)
		error = open_chunk(local, db, r, chunk);
	else if (r->read.info.length)
		error = STORE_CORRUPT;
	db_reset(s);
	return error;
}

enum store_error local_read_open(struct store *store, const struct store_ref *ref,
				 const struct store_conditions *conditions,
				 struct store_blob_info *info, struct store_read **read)
{
	struct local *local = to_local(store);
	struct local_read *r = calloc(1, sizeof(*r));
	struct reader *reader;
	enum store_error error;
	unsigned int phase;

	if (info)
		*info = (struct store_blob_info){ 0 };
	if (!r)
		return STORE_NO_MEMORY;
	r->read.store = store;
	pthread_mutex_init(&r->lock, NULL);
	error = reader_get(local, &reader);
	if (error) {
		local_read_close(&r->read);
		return error;
	}
	phase = lease_opening(local);
	error = open_in(local, &reader->db, ref, conditions, info, r);
	lease_opened(local, phase);
	reader_put(local, reader);
	if (error) {
		local_read_close(&r->read);
		return error;
	}
	*read = &r->read;
	return STORE_OK;
}

void local_read_close(struct store_read *read)
{
	struct local_read *r = to_read(read);

	if (r->lease)
		lease_drop(read_local(read), r->lease);
	read_runs_end(r);
	store_blob_info_clear(&read->info);
	pthread_mutex_destroy(&r->lock);
	free(r->bytes);
	free(r);
}

/* What is checked before the caller may have it; more is asked for in another call. */
#define CHECK_STEP (1024u * 1024u)

/* The parts of a range of a blob of many pieces, or the first of them. */
static enum store_error find_parts(struct local_read *r, uint64_t offset, uint64_t end,
				   struct part *parts, size_t *count)
{
	struct local *local = read_local(&r->read);
	struct reader *reader;
	enum store_error error = reader_get(local, &reader);
	sqlite3_stmt *s;
	bool row;

	if (error)
		return error;
	s = db_bind(DB_SQL(&reader->db,
			   "SELECT p.offset, p.length, p.chunk_offset, k.file, k.offset,"
			   " k.id, k.length, k.crc64"
			   " FROM pieces p JOIN chunks k ON k.id = p.chunk"
			   " WHERE p.content = ?1 AND p.offset < ?3 AND p.offset >="
			   " (SELECT max(q.offset) FROM pieces q"
			   "  WHERE q.content = ?1 AND q.offset <= ?2)"
			   " ORDER BY p.offset"),
		    "iii", r->content, (int64_t)offset, (int64_t)end);
	while (!(error = db_row(&reader->db, s, &row)) && row) {
		uint64_t start = (uint64_t)sqlite3_column_int64(s, 0);
		uint64_t stop = start + (uint64_t)sqlite3_column_int64(s, 1);
		struct part *part = &parts[*count];

		*part = (struct part){
			.chunk = { .id = sqlite3_column_int64(s, 5),
				   .length = (uint64_t)sqlite3_column_int64(s, 6),
				   .crc64 = (uint64_t)sqlite3_column_int64(s, 7),
				   .file = alloc_file(local, (uint32_t)sqlite3_column_int64(s, 3)),
				   .offset = (uint64_t)sqlite3_column_int64(s, 4) },
			.offset = (uint64_t)sqlite3_column_int64(s, 2) + (offset - start),
			.length = (stop < end ? stop : end) - offset,
		};
		/* pieces follow each other without gaps, and lie in their chunks */
		if (!part->chunk.file || start > offset || stop <= offset ||
		    part->offset > part->chunk.length ||
		    part->length > part->chunk.length - part->offset) {
			error = STORE_CORRUPT;
			db_reset(s);
			break;
		}
		offset += part->length;
		if (++*count == READ_PARTS) {
			db_reset(s);
			break;
		}
	}
	reader_put(local, reader);
	return error ? error : *count ? STORE_OK : STORE_CORRUPT;
}

/* Adds a piece, or makes the last one longer. */
static bool add_piece(struct store_piece *pieces, size_t room, size_t *count, int fd,
		      uint64_t file_offset, uint64_t length)
{
	struct store_piece *last = *count ? &pieces[*count - 1] : NULL;

	if (last && last->fd == fd && last->file_offset + last->length == file_offset) {
		last->length += length;
		return true;
	}
	if (*count == room)
		return false;
	pieces[(*count)++] =
		(struct store_piece){ .fd = fd, .file_offset = file_offset, .length = length };
	return true;
}

/* Pieces for as much of the parts as has been found good. */
static enum store_error map_parts(struct local *local, const struct part *parts, size_t part_count,
				  bool checked, struct store_piece *pieces, size_t room,
				  size_t *count)
{
	uint64_t budget = CHECK_STEP;

	for (size_t i = 0; i < part_count && (budget || !i); i++) {
		const struct part *part = &parts[i];
		uint64_t good = part->length;
		enum store_error error = STORE_OK;

		if (part->bytes) {
			if (*count == room)
				break;
			pieces[(*count)++] = (struct store_piece){ .fd = -1,
								   .bytes = part->bytes,
								   .length = good };
			continue;
		}
		if (!checked)
			error = sums_check(local, &part->chunk, part->offset, part->length, &budget,
					   &good);

		/* what comes before the damage is good; the next call meets it */
		if (error)
			return *count ? STORE_OK : error;
		if (!add_piece(pieces, room, count, part->chunk.file->fd,
			       part->chunk.offset + part->offset, good))
			break;
		if (good < part->length) {
			posix_fadvise(part->chunk.file->fd,
				      (off_t)(part->chunk.offset + part->offset + good), CHECK_STEP,
				      POSIX_FADV_WILLNEED);
			break;
		}
	}
	return STORE_OK;
}

/* How many of these bytes were checked by the call before, from the start on. */
static uint64_t still_good(struct local_read *r, uint64_t offset, uint64_t length)
{
	uint64_t good = 0;

	if (read_local(&r->read)->verify != SUMS_ALWAYS)
		return 0;
	pthread_mutex_lock(&r->lock);
	if (offset >= r->good_from && offset < r->good_to)
		good = r->good_to - offset;
	pthread_mutex_unlock(&r->lock);
	return good < length ? good : length;
}

static void set_good(struct local_read *r, uint64_t offset, const struct store_piece *pieces,
		     size_t count)
{
	pthread_mutex_lock(&r->lock);
	r->good_from = r->good_to = offset;
	for (size_t i = 0; i < count; i++)
		r->good_to += pieces[i].length;
	pthread_mutex_unlock(&r->lock);
}

enum store_error local_read_map(struct store_read *read, uint64_t offset, uint64_t length,
				struct store_piece *pieces, size_t room, size_t *count)
{
	struct local_read *r = to_read(read);
	struct part parts[READ_PARTS];
	size_t part_count = 0;
	enum store_error error;
	uint64_t good;

	*count = 0;
	if (offset > read->info.length || length > read->info.length - offset)
		return STORE_OUT_OF_RANGE;
	if (!length || !room)
		return STORE_OK;
	if (r->bytes) {
		pieces[0] = (struct store_piece){ .fd = -1,
						  .length = length,
						  .bytes = (char *)r->bytes + offset };
		*count = 1;
		return STORE_OK;
	}
	good = still_good(r, offset, length);
	if (good)
		length = good;
	if (r->at) {
		error = read_runs_find(r, offset, offset + length, parts, &part_count);
		if (error)
			return error;
	} else if (r->content) {
		error = find_parts(r, offset, offset + length, parts, &part_count);
		if (error)
			return error;
	} else {
		parts[part_count++] =
			(struct part){ .chunk = r->chunk, .offset = offset, .length = length };
	}
	error = map_parts(read_local(read), parts, part_count, good, pieces, room, count);
	if (!error && !good)
		set_good(r, offset, pieces, *count);
	return error;
}

enum store_error local_read_at(struct store_read *read, uint64_t offset, void *buffer,
			       size_t length)
{
	struct store_piece pieces[16];
	char *p = buffer;
	size_t count;

	while (length) {
		enum store_error error = local_read_map(read, offset, length, pieces, 16, &count);

		for (size_t i = 0; i < count && !error; i++) {
			size_t n = (size_t)pieces[i].length;

			if (pieces[i].bytes)
				memcpy(p, pieces[i].bytes, n);
			else
				error = extent_read(pieces[i].fd, pieces[i].file_offset, p, n);
			p += n;
			offset += n;
			length -= n;
		}
		if (error)
			return error;
	}
	return STORE_OK;
}
