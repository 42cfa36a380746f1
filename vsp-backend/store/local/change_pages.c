/* SPDX-License-Identifier: MIT */
/* Put Page, resizing and sequence numbers.  All run in the writer thread. */
#include "store/local/runs.h"

static enum store_error check_sequence(const struct store_place *place, uint64_t sequence)
{
	if (!place)
		return STORE_OK;
	if ((place->has_sequence_le && sequence > place->sequence_le) ||
	    (place->has_sequence_lt && sequence >= place->sequence_lt) ||
	    (place->has_sequence_eq && sequence != place->sequence_eq))
		return STORE_SEQUENCE;
	return STORE_OK;
}

/* Write and clear up to where they differ: the range is empty afterwards. */
static enum store_error begin(struct local *local, struct change_job *job, uint64_t length,
			      struct blob_row *old)
{
	const struct store_change *change = job->change;
	enum store_error error = change_begin(local, job, old);

	if (error)
		return error;
	if (old->type != STORE_PAGE_BLOB)
		return STORE_WRONG_BLOB_TYPE;
	error = check_sequence(change->place, old->sequence);
	if (!error)
		error = guard_immutable(old);
	if (error)
		return error;
	if (!length || length % STORE_PAGE || change->offset % STORE_PAGE)
		return STORE_OUT_OF_RANGE;
	if (change->offset > old->length || length > old->length - change->offset)
		return STORE_BEYOND_END;
	change_stamp(local, job);
	job->result.version = old->version;
	job->result.sequence = old->sequence;
	error = change_end_lease(local, job, old);
	if (!error)
		error = runs_begin(local, old->content, old->seen, job->tick);
	if (error)
		return error;
	return runs_cut(local, old->content, job->tick, change->offset, change->offset + length);
}

static enum store_error touch(struct local *local, struct change_job *job)
{
	struct db *db = &local->writer.db;

	return db_run(db, db_bind(DB_SQL(db, "UPDATE blobs SET etag = ?3, modified = ?4,"
					     " crc64 = NULL WHERE container = ?1 AND name = ?2"),
				  "itii", job->container, job->change->ref.blob,
				  (int64_t)job->result.etag, job->result.modified_ns));
}

enum store_error change_pages_write(struct local *local, void *context)
{
	struct change_job *job = context;
	struct run run = { .offset = job->change->offset, .length = job->change->upload->size };
	struct blob_row old;
	int64_t content;
	enum store_error error = begin(local, job, run.length, &old);

	if (!error)
		error = change_add_data(local, job, &run.chunk, &content);
	run.born = run.written = job->tick;
	if (!error)
		error = runs_add(local, old.content, &run, !job->in_extents);
	return error ? error : touch(local, job);
}

enum store_error change_pages_clear(struct local *local, void *context)
{
	struct change_job *job = context;
	struct blob_row old;
	enum store_error error = begin(local, job, job->change->size, &old);

	return error ? error : touch(local, job);
}

static enum store_error resize(struct local *local, struct change_job *job,
			       const struct blob_row *old)
{
	uint64_t size = job->change->size;
	struct db *db = &local->writer.db;
	enum store_error error = STORE_OK;

	if (size % STORE_PAGE || size > STORE_MAX_PAGES)
		return STORE_OUT_OF_RANGE;
	if (size < old->length) {
		error = runs_begin(local, old->content, old->seen, job->tick);
		if (!error)
			error = runs_cut(local, old->content, job->tick, size, old->length);
	}
	if (error)
		return error;
	return db_run(db, db_bind(DB_SQL(db, "UPDATE blobs SET length = ?3, crc64 = NULL"
					     " WHERE container = ?1 AND name = ?2"),
				  "iti", job->container, job->change->ref.blob, (int64_t)size));
}

enum store_error change_pages_update(struct local *local, struct change_job *job,
				     const struct blob_row *old)
{
	const struct store_change *change = job->change;
	uint64_t sequence = old->sequence;
	struct db *db = &local->writer.db;
	enum store_error error = STORE_OK;

	job->result.type = old->type;
	if (old->type != STORE_PAGE_BLOB)
		return change->set & (STORE_SET_SIZE | STORE_SET_SEQUENCE) ? STORE_WRONG_BLOB_TYPE
									   : STORE_OK;
	if (change->set & STORE_SET_SIZE)
		error = resize(local, job, old);
	if (!error && change->set & STORE_SET_SEQUENCE) {
		switch (change->sequence_action) {
		case STORE_SEQUENCE_UPDATE:
			sequence = change->sequence;
			break;
		case STORE_SEQUENCE_MAX:
			if (change->sequence > sequence)
				sequence = change->sequence;
			break;
		case STORE_SEQUENCE_INCREMENT:
			if (sequence == INT64_MAX)
				return STORE_SEQUENCE_FULL;
			sequence++;
			break;
		}
		error = db_run(db,
			       db_bind(DB_SQL(db, "UPDATE blobs SET sequence = ?3"
						  " WHERE container = ?1 AND name = ?2"),
				       "iti", job->container, change->ref.blob, (int64_t)sequence));
	}
	job->result.sequence = sequence;
	return error;
}
