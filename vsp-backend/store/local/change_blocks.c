/* SPDX-License-Identifier: MIT */
/*
 * Put Block and Put Block List.  Both run in the writer thread.
 *
 * A committed list is a content whose pieces are the chunks of its blocks: an
 * uncommitted block hands its chunk over, a committed one shares it.
 */
#include <stdlib.h>
#include <string.h>

#include "base/crc64.h"
#include "store/local/local.h"

/* The uncommitted blocks of a name; id 0: there are none. */
struct staged {
	int64_t id;
	int64_t count;
	int64_t id_length;
};

static enum store_error find_staged(struct local *local, struct change_job *job,
				    struct staged *staged)
{
	struct db *db = &local->writer.db;
	sqlite3_stmt *s = db_bind(DB_SQL(db, "SELECT id, count, id_length FROM staged"
					     " WHERE container = ?1 AND name = ?2"),
				  "it", job->container, job->change->ref.blob);
	enum store_error error;
	bool row;

	*staged = (struct staged){ 0 };
	error = db_row(db, s, &row);
	if (error || !row)
		return error;
	staged->id = sqlite3_column_int64(s, 0);
	staged->count = sqlite3_column_int64(s, 1);
	staged->id_length = sqlite3_column_int64(s, 2);
	db_reset(s);
	return STORE_OK;
}

/* One uncommitted block as its row says. */
struct block_row {
	bool exists, taken;
	uint64_t length, crc64;
	int64_t chunk, content;
};

static enum store_error find_block(struct local *local, int64_t staged,
				   const struct store_block_id *id, struct block_row *block)
{
	struct db *db = &local->writer.db;
	sqlite3_stmt *s = db_bind(DB_SQL(db, "SELECT length, crc64, chunk, content, taken"
					     " FROM blocks WHERE staged = ?1 AND id = ?2"),
				  "ib", staged, id->bytes, (size_t)id->length);
	enum store_error error;

	*block = (struct block_row){ 0 };
	error = db_row(db, s, &block->exists);
	if (error || !block->exists)
		return error;
	block->length = (uint64_t)sqlite3_column_int64(s, 0);
	block->crc64 = (uint64_t)sqlite3_column_int64(s, 1);
	block->chunk = sqlite3_column_int64(s, 2);
	block->content = sqlite3_column_int64(s, 3);
	block->taken = sqlite3_column_int(s, 4);
	db_reset(s);
	return STORE_OK;
}

enum store_error change_put_block(struct local *local, void *context)
{
	struct change_job *job = context;
	const struct store_change *change = job->change;
	struct db *db = &local->writer.db;
	int64_t chunk, content, now;
	struct block_row old = { 0 };
	struct staged staged;
	struct blob_row blob;
	enum store_error error = change_find_container(local, job);

	if (!error)
		error = change_find_blob(local, job, &blob);
	if (!error)
		error = guard_change(job, &blob);
	if (!error)
		error = find_staged(local, job, &staged);
	if (error)
		return error;
	if (blob.exists && blob.type != STORE_BLOCK_BLOB)
		return STORE_WRONG_BLOB_TYPE;
	if (!change->upload->size || !change->block.length ||
	    change->block.length > STORE_MAX_BLOCK_ID)
		return STORE_OUT_OF_RANGE;
	if (staged.id && staged.id_length != change->block.length)
		return STORE_BLOCK_ID_LENGTH;
	if (staged.id)
		error = find_block(local, staged.id, &change->block, &old);
	if (!error && !old.exists && staged.count >= STORE_MAX_UNCOMMITTED)
		error = STORE_BLOCK_COUNT_LIMIT;
	if (!error && old.exists)
		error = change_drop_data(local, old.chunk, old.content);
	if (!error)
		error = change_add_data(local, job, &chunk, &content);
	if (error)
		return error;
	job->tick = writer_tick(local);
	now = job->tick * 100;
	job->result.etag = blob.etag;
	job->result.modified_ns = blob.modified_ns;
	if (!staged.id) {
		error = db_run(db, db_bind(DB_SQL(db, "INSERT INTO staged(container, name, count,"
						      " id_length, modified)"
						      " VALUES (?1, ?2, 1, ?3, ?4)"),
					   "itii", job->container, change->ref.blob,
					   (int64_t)change->block.length, now));
		staged.id = sqlite3_last_insert_rowid(db->handle);
	} else {
		error = db_run(db, db_bind(DB_SQL(db, "UPDATE staged SET count = count + ?2,"
						      " modified = ?3 WHERE id = ?1"),
					   "iii", staged.id, (int64_t)!old.exists, now));
	}
	if (error)
		return error;
	return db_run(db, db_bind(DB_SQL(db, "INSERT OR REPLACE INTO blocks"
					     "(staged, id, length, crc64, chunk, content)"
					     " VALUES (?1, ?2, ?3, ?4, ?5, ?6)"),
				  "ibiiii", staged.id, change->block.bytes,
				  (size_t)change->block.length, (int64_t)change->upload->size,
				  (int64_t)job->result.crc64, chunk, content));
}

/* A piece of a content, in memory. */
struct piece {
	uint64_t length, chunk_offset, crc64;
	int64_t chunk;
	bool has_crc64;           /* of a whole chunk */
	struct store_block_id id; /* length 0: goes on with the block before */
};

/* A list that is being made, and the one that it replaces. */
struct build {
	struct local *local;
	struct change_job *job;
	struct staged staged;
	struct new_blob blob;
	/* the committed list before: loaded when first asked for */
	int64_t old_content;
	bool loaded;
	struct piece *pieces;
	size_t piece_count;
	size_t *by_id; /* indices of the pieces that begin blocks */
	size_t block_count;
};

static enum store_error load_pieces(struct db *db, int64_t content, struct piece **pieces,
				    size_t *count)
{
	sqlite3_stmt *s = db_bind(DB_SQL(db, "SELECT p.length, p.chunk, p.chunk_offset, p.block,"
					     " k.crc64, k.length FROM pieces p JOIN chunks k"
					     " ON k.id = p.chunk WHERE p.content = ?1"
					     " ORDER BY p.offset"),
				  "i", content);
	enum store_error error;
	size_t room = 0;
	bool row;

	*count = 0;
	while (!(error = db_row(db, s, &row)) && row) {
		struct piece *piece;
		size_t length;

		if (*count == room) {
			struct piece *more;

			room = room ? room * 2 : 64;
			more = realloc(*pieces, room * sizeof(*more));
			if (!more) {
				db_reset(s);
				return STORE_NO_MEMORY;
			}
			*pieces = more;
		}
		piece = &(*pieces)[(*count)++];
		*piece = (struct piece){ .length = (uint64_t)sqlite3_column_int64(s, 0),
					 .chunk = sqlite3_column_int64(s, 1),
					 .chunk_offset = (uint64_t)sqlite3_column_int64(s, 2),
					 .crc64 = (uint64_t)sqlite3_column_int64(s, 4) };
		piece->has_crc64 = piece->length == (uint64_t)sqlite3_column_int64(s, 5);
		length = (size_t)sqlite3_column_bytes(s, 3);
		if (length > STORE_MAX_BLOCK_ID) {
			db_reset(s);
			return STORE_CORRUPT;
		}
		piece->id.length = (uint8_t)length;
		if (length)
			memcpy(piece->id.bytes, sqlite3_column_blob(s, 3), length);
	}
	return error;
}

static int compare_ids(const struct store_block_id *a, const struct store_block_id *b)
{
	if (a->length != b->length)
		return a->length < b->length ? -1 : 1;
	return memcmp(a->bytes, b->bytes, a->length);
}

static int compare_pieces(const void *a, const void *b, void *pieces)
{
	const struct piece *p = pieces;

	return compare_ids(&p[*(const size_t *)a].id, &p[*(const size_t *)b].id);
}

static enum store_error load_committed(struct build *build)
{
	enum store_error error = STORE_OK;

	build->loaded = true;
	if (build->old_content)
		error = load_pieces(&build->local->writer.db, build->old_content, &build->pieces,
				    &build->piece_count);
	if (error || !build->piece_count)
		return error;
	build->by_id = malloc(build->piece_count * sizeof(*build->by_id));
	if (!build->by_id)
		return STORE_NO_MEMORY;
	for (size_t i = 0; i < build->piece_count; i++)
		if (build->pieces[i].id.length)
			build->by_id[build->block_count++] = i;
	qsort_r(build->by_id, build->block_count, sizeof(*build->by_id), compare_pieces,
		build->pieces);
	return STORE_OK;
}

/* The first piece of a committed block, or the number of pieces: there is none. */
static size_t find_committed(const struct build *build, const struct store_block_id *id)
{
	size_t low = 0, high = build->block_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		size_t piece = build->by_id[middle];
		int order = compare_ids(id, &build->pieces[piece].id);

		if (!order)
			return piece;
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return build->piece_count;
}

/* Appends pieces as one block; @share: they also stay where they are. */
static enum store_error append(struct build *build, const struct store_block_id *id,
			       const struct piece *pieces, size_t count, bool share)
{
	struct db *db = &build->local->writer.db;
	struct new_blob *blob = &build->blob;
	enum store_error error = STORE_OK;

	for (size_t i = 0; i < count && !error; i++) {
		const struct piece *piece = &pieces[i];

		if (share)
			error = db_run(db, db_bind(DB_SQL(db, "UPDATE chunks SET refs = refs + 1"
							      " WHERE id = ?1"),
						   "i", piece->chunk));
		if (!error)
			error = change_add_piece(build->local, blob->content, blob->length,
						 piece->length, piece->chunk, piece->chunk_offset,
						 i ? NULL : id);
		blob->has_crc64 &= piece->has_crc64;
		blob->crc64 = azb_crc64_combine(blob->crc64, piece->crc64, piece->length);
		blob->length += piece->length;
	}
	blob->blocks++;
	return error;
}

static enum store_error append_uncommitted(struct build *build, const struct store_block_id *id,
					   const struct block_row *block)
{
	struct db *db = &build->local->writer.db;
	struct piece whole = { .length = block->length,
			       .chunk = block->chunk,
			       .crc64 = block->crc64,
			       .has_crc64 = true };
	struct piece *pieces = NULL;
	enum store_error error;
	size_t count;

	if (block->content) {
		error = load_pieces(db, block->content, &pieces, &count);
		if (!error)
			error = append(build, id, pieces, count, true);
		free(pieces);
		return error;
	}
	error = append(build, id, &whole, 1, block->taken);
	if (error || block->taken)
		return error;
	return db_run(db, db_bind(DB_SQL(db, "UPDATE blocks SET taken = 1 WHERE staged = ?1"
					     " AND id = ?2"),
				  "ib", build->staged.id, id->bytes, (size_t)id->length));
}

static enum store_error append_entry(struct build *build, const struct store_block_ref *entry)
{
	struct block_row block = { 0 };
	enum store_error error = STORE_OK;
	size_t first, end;

	if (entry->from != STORE_BLOCK_COMMITTED && build->staged.id)
		error = find_block(build->local, build->staged.id, &entry->id, &block);
	if (error)
		return error;
	if (block.exists)
		return append_uncommitted(build, &entry->id, &block);
	if (entry->from == STORE_BLOCK_UNCOMMITTED)
		return STORE_INVALID_BLOCK_LIST;
	if (!build->loaded)
		error = load_committed(build);
	if (error)
		return error;
	first = find_committed(build, &entry->id);
	if (first == build->piece_count)
		return STORE_INVALID_BLOCK_LIST;
	for (end = first + 1; end < build->piece_count && !build->pieces[end].id.length; end++)
		;
	return append(build, &entry->id, &build->pieces[first], end - first, true);
}

enum store_error change_put_block_list(struct local *local, void *context)
{
	struct change_job *job = context;
	const struct store_change *change = job->change;
	struct build build = { .local = local, .job = job, .blob = { .has_crc64 = true } };
	struct blob_row old;
	enum store_error error = change_begin(local, job, &old);

	if (!error && old.exists && old.type != STORE_BLOCK_BLOB)
		error = STORE_WRONG_BLOB_TYPE;
	if (!error)
		error = find_staged(local, job, &build.staged);
	build.old_content = old.content;
	if (!error && change->block_count)
		error = change_add_content(local, &build.blob.content);
	for (size_t i = 0; i < change->block_count && !error; i++)
		error = append_entry(&build, &change->blocks[i]);
	free(build.pieces);
	free(build.by_id);
	if (!error)
		error = change_put_row(local, job, &old, &build.blob);
	job->result.crc64 = build.blob.crc64;
	return error ? error : change_drop_staged(local, job);
}
