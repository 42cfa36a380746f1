/* SPDX-License-Identifier: MIT */
/*
 * Incremental copies: a page blob follows the snapshots of another one, with a snapshot of its own
 * for each.
 *
 * Both have runs of the same chunks.  What changed between two snapshots of the source follows from
 * when its runs were written, and only that is cut and added here, as writes would do: so snapshots
 * of the copy can be compared with each other as those of any page blob.  Runs in the writer
 * thread.
 */
#include <stdlib.h>

#include "store/local/runs.h"

/* Ranges that are not as they were, in order. */
struct differences {
	struct run_range *range;
	size_t count, room;
};

static enum store_error add_difference(struct differences *d, uint64_t offset, uint64_t end)
{
	struct run_range *more;

	if (offset >= end)
		return STORE_OK;
	if (d->count && d->range[d->count - 1].end == offset) {
		d->range[d->count - 1].end = end;
		return STORE_OK;
	}
	if (d->count == d->room) {
		size_t room = d->room ? d->room * 2 : 64;

		more = realloc(d->range, room * sizeof(*more));
		if (!more)
			return STORE_NO_MEMORY;
		d->range = more;
		d->room = room;
	}
	d->range[d->count++] = (struct run_range){ offset, end };
	return STORE_OK;
}

/* What was written after @since, and what is not there: nothing is left of it in the copy. */
static enum store_error find_differences(struct db *db, const struct copy_source *source,
					 int64_t since, struct differences *d)
{
	struct run_walk walk;
	uint64_t at = 0;
	enum store_error error;
	bool more;

	runs_walk(&walk, db, source->content, source->seen, 0, source->info.length, false);
	while (!(error = runs_next(&walk, &more)) && more) {
		uint64_t end = walk.run.offset + walk.run.length;

		error = add_difference(d, at, walk.run.offset);
		if (!error && walk.run.written > since)
			error = add_difference(d, walk.run.offset, end);
		if (error) {
			runs_stop(&walk);
			return error;
		}
		at = end;
	}
	return error ? error : add_difference(d, at, INT64_MAX);
}

/* One reference more; *@small: its bytes are in SQLite. */
static enum store_error share_chunk(struct db *db, int64_t chunk, bool *small)
{
	sqlite3_stmt *s = db_bind(DB_SQL(db, "UPDATE chunks SET refs = refs + 1 WHERE id = ?1"
					     " RETURNING file IS NULL"),
				  "i", chunk);
	bool row;
	enum store_error error = db_row(db, s, &row);

	if (error || !row)
		return error ? error : STORE_CORRUPT;
	*small = sqlite3_column_int(s, 0);
	return db_run(db, s);
}

/* The copy's @content, in which the differences have been cut, gets the runs written since. */
static enum store_error add_written(struct local *local, const struct copy_source *source,
				    int64_t since, int64_t content, int64_t tick)
{
	struct db *db = &local->writer.db;
	struct run_walk walk;
	enum store_error error;
	bool more;

	/* the rows that are added are of another content, so the walk does not meet them */
	runs_walk(&walk, db, source->content, source->seen, 0, source->info.length, false);
	while (!(error = runs_next(&walk, &more)) && more) {
		struct run run = walk.run;
		bool small;

		if (run.written <= since)
			continue;
		if (run.length > source->info.length - run.offset)
			run.length = source->info.length - run.offset;
		run.born = run.written = tick;
		error = share_chunk(db, run.chunk, &small);
		if (!error)
			error = runs_add(local, content, &run, small);
		if (error) {
			runs_stop(&walk);
			break;
		}
	}
	return error;
}

/* The first one: a blob that shares all runs. */
static enum store_error create(struct local *local, struct change_job *job,
			       const struct copy_source *source, const struct blob_row *old)
{
	struct store_change all = *job->change;
	struct new_blob blob = { .type = STORE_PAGE_BLOB,
				 .length = source->info.length,
				 .seen = writer_tick(local),
				 .sequence = source->info.sequence };
	enum store_error error;

	if (!(all.set & STORE_SET_META))
		all.meta = source->info.meta;
	all.headers = &source->info.headers;
	error = info_pack_headers(all.headers, &job->headers, &job->headers_length);
	if (!error)
		error = runs_clone(local, source->content, source->seen, blob.length, false,
				   blob.seen, &blob.content);
	job->change = &all;
	if (!error)
		error = change_put_row(local, job, old, &blob);
	return error ? error : change_drop_staged(local, job);
}

/* Each one after it. */
static enum store_error follow(struct local *local, struct change_job *job,
			       const struct copy_source *source, const struct blob_row *old)
{
	const struct store_change *change = job->change;
	struct db *db = &local->writer.db;
	struct differences d = { 0 };
	enum store_error error;

	change_stamp(local, job);
	job->result.version = old->version;
	error = find_differences(db, source, old->origin.at, &d);
	if (!error)
		error = runs_begin(local, old->content, old->seen, job->tick);
	if (!error)
		error = runs_cut_all(local, old->content, job->tick, d.range, d.count);
	free(d.range);
	if (!error)
		error = add_written(local, source, old->origin.at, old->content, job->tick);
	if (!error)
		error = db_run(db, db_bind(DB_SQL(db, "UPDATE blobs SET etag = ?3, modified = ?4,"
						      " length = ?5, sequence = ?6, crc64 = NULL"
						      " WHERE container = ?1 AND name = ?2"),
					   "itiiii", job->container, change->ref.blob,
					   (int64_t)job->result.etag, job->result.modified_ns,
					   (int64_t)source->info.length,
					   (int64_t)source->info.sequence));
	if (error || !(change->set & STORE_SET_META))
		return error;
	return db_run(db, db_bind(DB_SQL(db, "UPDATE blobs SET meta = ?3 WHERE container = ?1"
					     " AND name = ?2"),
				  "itb", job->container, change->ref.blob, change->meta.bytes,
				  change->meta.length));
}

/* Notes where it comes from, and makes the snapshot. */
static enum store_error finish(struct local *local, struct change_job *job,
			       const struct copy_source *source)
{
	struct store_copy copy = *job->change->copy;
	struct db *db = &local->writer.db;
	struct azb_buf text = { 0 };
	enum store_error error;

	/* not the blob's own tick: that may become the id of a version */
	job->result.snapshot = writer_tick(local);
	copy.incremental = true;
	copy.snapshot = job->result.snapshot;
	copy.origin = (struct store_origin){ .content = source->content,
					     .created_ns = source->info.created_ns,
					     .snapshot = job->change->source.snapshot,
					     .at = source->seen };
	change_pack_copy(&text, &copy, source->info.length);
	if (text.failed)
		error = STORE_NO_MEMORY;
	else
		error = db_run(db, db_bind(DB_SQL(db, "UPDATE blobs SET copy = ?3"
						      " WHERE container = ?1 AND name = ?2"),
					   "itb", job->container, job->change->ref.blob, text.data,
					   text.length));
	azb_buf_free(&text);
	return error ? error : history_snapshot(local, job);
}

static enum store_error check(const struct store_change *change, const struct copy_source *source,
			      const struct blob_row *old)
{
	if (source->info.type != STORE_PAGE_BLOB)
		return STORE_WRONG_BLOB_TYPE;
	if (!old->exists)
		return STORE_OK;
	/* a content's number may come again, but not with the same time */
	if (!old->incremental || old->origin.content != source->content ||
	    old->origin.created_ns != source->info.created_ns)
		return STORE_INCREMENTAL_MISMATCH;
	return change->source.snapshot > old->origin.snapshot ? STORE_OK
							      : STORE_INCREMENTAL_EARLIER;
}

enum store_error change_copy_incremental(struct local *local, void *context)
{
	struct change_job *job = context;
	const struct store_change *change = job->change;
	struct copy_source source;
	struct blob_row old;
	enum store_error error = change_begin(local, job, &old);

	if (error)
		return error;
	error = change_find_source(local, change, &source);
	if (!error)
		error = check(change, &source, &old);
	if (!error)
		error = old.exists ? follow(local, job, &source, &old)
				   : create(local, job, &source, &old);
	job->change = change;
	if (!error)
		error = finish(local, job, &source);
	store_blob_info_clear(&source.info);
	return error;
}
