/* SPDX-License-Identifier: MIT */
/* Append Block and Seal.  Both run in the writer thread, which puts them in a row. */
#include "store/local/runs.h"

/* The blob as both need it, with all conditions checked. */
static enum store_error begin(struct local *local, struct change_job *job, struct blob_row *old)
{
	const struct store_place *place = job->change->place;
	enum store_error error = change_begin(local, job, old);

	if (error)
		return error;
	if (old->type != STORE_APPEND_BLOB)
		return STORE_WRONG_BLOB_TYPE;
	if (place && place->has_position && place->position != old->length)
		return STORE_APPEND_POSITION;
	return guard_immutable(old);
}

enum store_error change_append(struct local *local, void *context)
{
	struct change_job *job = context;
	const struct store_change *change = job->change;
	const struct store_place *place = change->place;
	uint64_t size = change->upload->size;
	struct db *db = &local->writer.db;
	struct run run = { .length = size };
	struct blob_row old;
	int64_t content;
	enum store_error error = begin(local, job, &old);

	if (error)
		return error;
	if (!size)
		return STORE_OUT_OF_RANGE;
	if (old.sealed)
		return STORE_SEALED;
	if (place && place->has_max_size && old.length + size > place->max_size)
		return STORE_MAX_SIZE;
	if (old.blocks >= STORE_MAX_BLOCKS)
		return STORE_APPEND_COUNT_LIMIT;
	change_stamp(local, job);
	error = change_add_data(local, job, &run.chunk, &content);
	if (error)
		return error;
	run.offset = old.length;
	run.born = old.seen;
	run.written = job->tick;
	error = runs_add(local, old.content, &run, !job->in_extents);
	if (!error)
		error = change_end_lease(local, job, &old);
	if (error)
		return error;
	job->result.version = old.version;
	job->result.offset = old.length;
	job->result.block_count = old.blocks + 1;
	return db_run(db, db_bind(DB_SQL(db, "UPDATE blobs SET length = length + ?3, etag = ?4,"
					     " modified = ?5, blocks = blocks + 1, crc64 = NULL"
					     " WHERE container = ?1 AND name = ?2"),
				  "itiii", job->container, change->ref.blob, (int64_t)size,
				  (int64_t)job->result.etag, job->result.modified_ns));
}

enum store_error change_append_seal(struct local *local, void *context)
{
	struct change_job *job = context;
	struct db *db = &local->writer.db;
	struct blob_row old;
	enum store_error error = begin(local, job, &old);

	if (error)
		return error;
	change_stamp(local, job);
	job->result.version = old.version;
	if (old.sealed) {
		job->result.etag = old.etag;
		job->result.modified_ns = old.modified_ns;
		return STORE_OK;
	}
	return db_run(db, db_bind(DB_SQL(db, "UPDATE blobs SET sealed = 1, etag = ?3, modified = ?4"
					     " WHERE container = ?1 AND name = ?2"),
				  "itii", job->container, job->change->ref.blob,
				  (int64_t)job->result.etag, job->result.modified_ns));
}
