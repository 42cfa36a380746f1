/* SPDX-License-Identifier: MIT */
/* Changes of blobs as a whole: put, update, delete.  All run in the writer thread. */
#include <string.h>

#include "store/local/runs.h"
#include "store/tagexpr.h"

/* What the column copy says: is one pending, and is it that of @id? */
static void find_copy(sqlite3_stmt *s, int column, const char *id, struct blob_row *row)
{
	struct store_meta text = { .bytes = sqlite3_column_blob(s, column) };
	struct store_copy copy;

	text.length = (size_t)sqlite3_column_bytes(s, column);
	if (!store_copy_read(&text, &copy))
		return;
	row->incremental = copy.incremental;
	row->origin = copy.origin;
	row->copying = !strcmp(copy.status, "pending");
	row->awaited = row->copying && id && !strcmp(copy.id, id);
}

enum store_error change_find_blob(struct local *local, struct change_job *job, struct blob_row *row)
{
	struct db *db = &local->writer.db;
	sqlite3_stmt *s =
		db_bind(DB_SQL(db, "SELECT type, etag, modified, created, chunk, content,"
				   " version, " LIVE_SEEN ", length, sequence, blocks, sealed,"
				   " lease, tier, tier_changed, rehydrate, tags,"
				   " immutability, immutable_until, hold, copy"
				   " FROM blobs WHERE container = ?1 AND name = ?2"),
			"it", job->container, job->change->ref.blob);
	const struct store_conditions *conditions = job->change->conditions;
	struct store_meta tags;
	enum store_error error;
	int64_t changed;
	bool found;

	*row = (struct blob_row){ 0 };
	error = db_row(db, s, &found);
	if (error || !found)
		return error;
	*row = (struct blob_row){
		.exists = true,
		.type = (enum store_blob_type)sqlite3_column_int(s, 0),
		.etag = (uint64_t)sqlite3_column_int64(s, 1),
		.modified_ns = sqlite3_column_int64(s, 2),
		.created_ns = sqlite3_column_int64(s, 3),
		.chunk = sqlite3_column_int64(s, 4),
		.content = sqlite3_column_int64(s, 5),
		.version = sqlite3_column_int64(s, 6),
		.seen = sqlite3_column_int64(s, 7),
		.length = (uint64_t)sqlite3_column_int64(s, 8),
		.sequence = (uint64_t)sqlite3_column_int64(s, 9),
		.blocks = (uint32_t)sqlite3_column_int64(s, 10),
		.sealed = sqlite3_column_int(s, 11),
		.tier = (enum store_tier)sqlite3_column_int(s, 13),
		.rehydrate = sqlite3_column_int(s, 15),
		.tagged = sqlite3_column_bytes(s, 16),
		.immutability = (enum store_immutability)sqlite3_column_int(s, 17),
		.immutable_until_ns = sqlite3_column_int64(s, 18),
		.hold = sqlite3_column_int(s, 19),
	};
	tags.bytes = sqlite3_column_blob(s, 16);
	tags.length = (size_t)sqlite3_column_bytes(s, 16);
	find_copy(s, 20, job->change->copy_id, row);
	row->tags_fit = !conditions || !conditions->tags || tagexpr_holds(conditions->tags, &tags);
	changed = sqlite3_column_int64(s, 14);
	guard_tier(&row->tier, &row->rehydrate, &changed);
	guard_lease_of_row(s, 12, &row->lease);
	db_reset(s);
	return STORE_OK;
}

/* Finds container and blob, and checks the conditions. */
enum store_error change_begin(struct local *local, struct change_job *job, struct blob_row *old)
{
	enum store_error error = change_find_container(local, job);

	*old = (struct blob_row){ 0 };
	if (!error)
		error = change_find_blob(local, job, old);
	/* what was asked for when the copy began holds to its end */
	if (!error && job->change->copy_id)
		return old->awaited   ? STORE_OK
		       : old->copying ? STORE_COPY_ID_MISMATCH
				      : STORE_NO_PENDING_COPY;
	if (!error)
		error = store_conditions_check(job->change->conditions, STORE_WRITE, old->exists,
					       old->etag, old->modified_ns);
	if (!error)
		error = guard_change(job, old);
	if (!error && old->copying && job->change->kind != STORE_LEASE)
		error = STORE_PENDING_COPY;
	if (!error && old->incremental && job->change->kind != STORE_COPY_INCREMENTAL &&
	    job->change->kind != STORE_BLOB_DELETE)
		error = STORE_INCREMENTAL;
	if (job->change->kind == STORE_PUT_BLOB || job->change->kind == STORE_PUT_BLOCK_LIST ||
	    job->change->kind == STORE_COPY_BLOB || job->change->kind == STORE_COPY_INCREMENTAL)
		return error || job->change->keep.versions ? error : guard_immutable(old);
	/* these need a blob that is there, and "exists" is no more than a condition */
	if (!old->exists &&
	    (!error || error == STORE_CONDITION_NOT_MET || error == STORE_LEASE_NOT_PRESENT))
		return STORE_BLOB_NOT_FOUND;
	return error == STORE_BLOB_EXISTS ? STORE_CONDITION_NOT_MET : error;
}

enum store_error change_end_lease(struct local *local, struct change_job *job,
				  const struct blob_row *old)
{
	struct db *db = &local->writer.db;
	uint8_t bytes[LEASE_BYTES];

	if (!old->lease.duration_s || guard_lease_keep(&old->lease, bytes))
		return STORE_OK;
	return db_run(db, db_bind(DB_SQL(db, "UPDATE blobs SET lease = NULL WHERE container = ?1"
					     " AND name = ?2"),
				  "it", job->container, job->change->ref.blob));
}

enum store_error change_drop_data(struct local *local, int64_t chunk, int64_t content)
{
	struct db *db = &local->writer.db;
	enum store_error error;

	if (content)
		return writer_garbage(local, GARBAGE_CONTENT, content);
	if (!chunk)
		return STORE_OK;
	/*
	 * A small blob's bytes are copied by whoever reads them, so nobody can need them
	 * later, and the detour by the collector would cost more than the blob.
	 */
	error = db_run(db, db_bind(DB_SQL(db, "DELETE FROM chunks WHERE id = ?1 AND refs = 1"
					      " AND file IS NULL"),
				   "i", chunk));
	if (error || sqlite3_changes(db->handle))
		return error;
	return writer_garbage(local, GARBAGE_CHUNK, chunk);
}

enum store_error change_read_state(struct db *db, sqlite3_stmt *statement, struct held_state *held,
				   bool *row)
{
	enum store_error error = db_row(db, statement, row);

	if (error || !*row)
		return error;
	held->chunk = sqlite3_column_int64(statement, 0);
	held->content = sqlite3_column_int64(statement, 1);
	held->seen = sqlite3_column_int64(statement, 2);
	db_reset(statement);
	return STORE_OK;
}

enum store_error change_drop_state(struct local *local, int64_t chunk, int64_t content,
				   int64_t seen)
{
	struct db *db = &local->writer.db;

	if (!seen)
		return change_drop_data(local, chunk, content);
	local->writer.made_garbage = true;
	return db_run(db, db_bind(DB_SQL(db, "INSERT INTO garbage(kind, what, at)"
					     " VALUES (?1, ?2, ?3)"),
				  "iii", (int64_t)GARBAGE_VIEW, content, seen));
}

enum store_error change_drop_staged(struct local *local, struct change_job *job)
{
	struct db *db = &local->writer.db;
	sqlite3_stmt *s = db_bind(DB_SQL(db, "SELECT id FROM staged WHERE container = ?1"
					     " AND name = ?2"),
				  "it", job->container, job->change->ref.blob);
	enum store_error error;
	int64_t id;
	bool row;

	error = db_row(db, s, &row);
	if (error || !row)
		return error;
	id = sqlite3_column_int64(s, 0);
	db_reset(s);
	error = db_run(db, db_bind(DB_SQL(db, "UPDATE staged SET container = NULL WHERE id = ?1"),
				   "i", id));
	return error ? error : writer_garbage(local, GARBAGE_STAGED, id);
}

enum store_error change_add_chunk(struct local *local, uint64_t length, uint64_t crc64,
				  const struct extent *extent, const void *bytes, int64_t *chunk)
{
	struct db *db = &local->writer.db;
	enum store_error error;

	if (extent)
		error = db_run(db, db_bind(DB_SQL(db, "INSERT INTO chunks"
						      "(refs, length, crc64, file, offset)"
						      " VALUES (1, ?1, ?2, ?3, ?4)"),
					   "iiii", (int64_t)length, (int64_t)crc64,
					   (int64_t)extent->file->id, (int64_t)extent->offset));
	else
		error = db_run(
			db, db_bind(DB_SQL(db, "INSERT INTO chunks(refs, length, crc64, data)"
					       " VALUES (1, ?1, ?2, ?3)"),
				    "iib", (int64_t)length, (int64_t)crc64, bytes, (size_t)length));
	*chunk = sqlite3_last_insert_rowid(db->handle);
	if (!error && extent && extent->sums)
		error = sums_add(local, *chunk, extent->sums, sums_count(length));
	return error;
}

enum store_error change_add_content(struct local *local, int64_t *content)
{
	struct db *db = &local->writer.db;
	enum store_error error = db_run(db, DB_SQL(db, "INSERT INTO contents(refs) VALUES (1)"));

	*content = sqlite3_last_insert_rowid(db->handle);
	return error;
}

enum store_error change_add_piece(struct local *local, int64_t content, uint64_t offset,
				  uint64_t length, int64_t chunk, uint64_t chunk_offset,
				  const struct store_block_id *block)
{
	struct db *db = &local->writer.db;

	return db_run(db, db_bind(DB_SQL(db, "INSERT INTO pieces"
					     "(content, offset, length, chunk, chunk_offset, block)"
					     " VALUES (?1, ?2, ?3, ?4, ?5, ?6)"),
				  "iiiiib", content, (int64_t)offset, (int64_t)length, chunk,
				  (int64_t)chunk_offset, block ? block->bytes : NULL,
				  block ? (size_t)block->length : (size_t)0));
}

enum store_error change_add_data(struct local *local, struct change_job *job, int64_t *chunk,
				 int64_t *content)
{
	const struct local_upload *u = (const struct local_upload *)(void *)job->change->upload;
	enum store_error error = STORE_OK;
	int64_t part;

	*chunk = *content = 0;
	if (!u->upload.size)
		return STORE_OK;
	if (u->bytes)
		return change_add_chunk(local, u->upload.size, job->crcs[0], NULL, u->bytes, chunk);
	if (u->extent_count == 1)
		return change_add_chunk(local, u->upload.size, job->crcs[0], &u->extents[0], NULL,
					chunk);
	error = change_add_content(local, content);
	for (size_t i = 0; i < u->extent_count && !error; i++) {
		const struct extent *extent = &u->extents[i];

		error = change_add_chunk(local, extent->length, job->crcs[i], extent, NULL, &part);
		if (!error)
			error = change_add_piece(local, *content, extent->start, extent->length,
						 part, 0, NULL);
	}
	return error;
}

enum store_error change_put_row(struct local *local, struct change_job *job,
				const struct blob_row *old, const struct new_blob *blob)
{
	const struct store_change *change = job->change;
	const struct store_headers *headers = change->headers;
	struct db *db = &local->writer.db;
	bool md5 = headers && headers->has_md5;
	uint8_t lease[LEASE_BYTES];
	bool leased = old->exists && guard_lease_keep(&old->lease, lease);
	enum store_error error;
	sqlite3_stmt *s;

	change_stamp(local, job);
	job->result.created = !old->exists;
	job->result.version = change->keep.versions ? job->tick : 0;
	if (old->awaited) {
		/* the blob that waited for its bytes was no state of its own */
		job->result.version = old->version;
		error = change_drop_state(local, old->chunk, old->content, old->seen);
		if (!error)
			error = db_run(db, db_bind(DB_SQL(db, "DELETE FROM copies"
							      " WHERE container = ?1"
							      " AND name = ?2"),
						   "it", job->container, change->ref.blob));
	} else {
		error = old->exists ? history_displace(local, job, old, true)
				    : history_recreate(local, job);
	}
	if (error)
		return error;
	s = db_bind(DB_SQL(db, "INSERT OR REPLACE INTO blobs(container, name, type, length, etag,"
			       " modified, created, chunk, content, blocks, md5, headers, meta,"
			       " version, seen, sequence, crc64, tags, lease, tier, tier_changed,"
			       " immutability, immutable_until, hold)"
			       " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11,"
			       " ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21,"
			       " ?22, ?23, ?24)"),
		    "itiiiiiiiibbbiiinbbiiiii", job->container, change->ref.blob,
		    (int64_t)(blob->type ? blob->type : STORE_BLOCK_BLOB), (int64_t)blob->length,
		    (int64_t)job->result.etag, job->result.modified_ns,
		    old->exists ? old->created_ns : job->result.modified_ns, blob->chunk,
		    blob->content, (int64_t)blob->blocks, md5 ? headers->md5 : NULL,
		    md5 ? (size_t)16 : (size_t)0, job->headers, job->headers_length,
		    change->meta.bytes, change->meta.length, job->result.version, blob->seen,
		    (int64_t)blob->sequence, change->tags.bytes, change->tags.length,
		    leased ? lease : NULL, leased ? sizeof(lease) : (size_t)0,
		    (int64_t)change->tier, change->tier ? store_now_ns() : 0,
		    (int64_t)change->protect.immutability, change->protect.until_ns,
		    (int64_t)change->protect.hold);
	if (s && blob->has_crc64)
		sqlite3_bind_int64(s, 17, (int64_t)blob->crc64);
	error = db_run(db, s);
	if (!error && (old->tagged || change->tags.length))
		error = tags_index(local, job, &change->tags, old->tagged);
	return error;
}

enum store_error change_put_blob(struct local *local, void *context)
{
	struct change_job *job = context;
	const struct store_change *change = job->change;
	struct new_blob blob = { .type = change->type ? change->type : STORE_BLOCK_BLOB,
				 .has_crc64 = change->upload,
				 .crc64 = job->result.crc64 };
	struct blob_row old;
	enum store_error error = change_begin(local, job, &old);

	if (change->upload) {
		blob.length = change->upload->size;
		if (!error)
			error = change_add_data(local, job, &blob.chunk, &blob.content);
	} else {
		blob.length = change->size;
		blob.sequence = change->sequence;
		blob.seen = writer_tick(local);
		if (!error)
			error = runs_create(local, blob.seen, blob.type == STORE_APPEND_BLOB,
					    &blob.content);
	}
	if (!error)
		error = change_put_row(local, job, &old, &blob);
	if (!error)
		error = change_note_copy(local, job, blob.length, 0);
	return error ? error : change_drop_staged(local, job);
}

enum store_error change_blob_update(struct local *local, void *context)
{
	struct change_job *job = context;
	const struct store_change *change = job->change;
	const struct store_headers *headers = change->headers;
	struct db *db = &local->writer.db;
	bool md5 = headers && headers->has_md5;
	uint8_t lease[LEASE_BYTES];
	bool leased;
	struct blob_row old;
	enum store_error error = change_begin(local, job, &old);

	if (!error)
		error = guard_immutable(&old);
	if (!error && old.tier == STORE_TIER_ARCHIVE)
		error = old.rehydrate ? STORE_BLOB_REHYDRATING : STORE_BLOB_ARCHIVED;
	if (error)
		return error;
	change_stamp(local, job);
	job->result.version = old.version;
	if (change->set & STORE_SET_META)
		error = history_version(local, job, &old);
	if (!error)
		error = change_pages_update(local, job, &old);
	if (error)
		return error;
	leased = guard_lease_keep(&old.lease, lease);
	error = db_run(db, db_bind(DB_SQL(db, "UPDATE blobs SET etag = ?3, modified = ?4,"
					      " lease = ?5 WHERE container = ?1 AND name = ?2"),
				   "itiib", job->container, change->ref.blob,
				   (int64_t)job->result.etag, job->result.modified_ns,
				   leased ? lease : NULL, leased ? sizeof(lease) : (size_t)0));
	if (!error && change->set & STORE_SET_META)
		error = db_run(db, db_bind(DB_SQL(db, "UPDATE blobs SET meta = ?3"
						      " WHERE container = ?1 AND name = ?2"),
					   "itb", job->container, change->ref.blob,
					   change->meta.bytes, change->meta.length));
	if (!error && change->set & STORE_SET_HEADERS)
		error = db_run(db, db_bind(DB_SQL(db, "UPDATE blobs SET headers = ?3, md5 = ?4"
						      " WHERE container = ?1 AND name = ?2"),
					   "itbb", job->container, change->ref.blob, job->headers,
					   job->headers_length, md5 ? headers->md5 : NULL,
					   md5 ? (size_t)16 : (size_t)0));
	return error;
}

enum store_error change_blob_delete(struct local *local, void *context)
{
	struct change_job *job = context;
	struct db *db = &local->writer.db;
	enum store_delete what = job->change->delete;
	struct blob_row old;
	enum store_error error;

	if (job->change->ref.snapshot || job->change->ref.version)
		return history_delete_one(local, job);
	error = change_begin(local, job, &old);
	if (!error && what == STORE_DELETE_PLAIN)
		error = history_no_snapshots(local, job);
	/* a version of it stays */
	if (!error && what != STORE_DELETE_SNAPSHOTS && !job->change->keep.versions)
		error = guard_immutable(&old);
	if (error)
		return error;
	change_stamp(local, job);
	job->result.version = old.version;
	if (what != STORE_DELETE_PLAIN)
		error = history_delete_snapshots(local, job);
	if (error || what == STORE_DELETE_SNAPSHOTS)
		return error;
	error = history_displace(local, job, &old, false);
	if (!error && old.tagged)
		error = tags_index(local, job, &(struct store_meta){ 0 }, true);
	if (!error)
		error = db_run(db, db_bind(DB_SQL(db, "DELETE FROM blobs WHERE container = ?1"
						      " AND name = ?2"),
					   "it", job->container, job->change->ref.blob));
	return error ? error : change_drop_staged(local, job);
}
