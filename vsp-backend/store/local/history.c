/* SPDX-License-Identifier: MIT */
/*
 * What names meant before: snapshots, versions, and what was deleted and is kept for a
 * while.  All run in the writer thread.
 *
 * A past state is a row like the blob's own and holds a reference to the same data:
 * making one costs a row, whatever the size.
 */
#include "store/local/local.h"

/* What a row of history needs to be given up: kind and what of garbage. */
#define GARBAGE_OF_ROW                                                    \
	"CASE WHEN seen != 0 THEN 5 WHEN content != 0 THEN 2 ELSE 1 END," \
	" CASE WHEN content != 0 THEN content ELSE chunk END, seen"

/* A version's id: a state that had none gets the time of its last change. */
static int64_t version_of(const struct blob_row *blob)
{
	return blob->version ? blob->version : blob->modified_ns / 100;
}

/* A copy of the blob's row. */
static enum store_error keep(struct local *local, struct change_job *job, int64_t at,
			     enum past_kind kind, int64_t deleted, int64_t until)
{
	struct db *db = &local->writer.db;

	return db_run(db, db_bind(DB_SQL(db, "INSERT INTO history(container, name, at, kind,"
					     " deleted, until, seen, " BLOB_STATE ")"
					     " SELECT container, name, ?3, ?4, ?5, ?6, " LIVE_SEEN
					     ", " BLOB_STATE
					     " FROM blobs WHERE container = ?1 AND name = ?2"),
				  "itiiii", job->container, job->change->ref.blob, at,
				  (int64_t)kind, deleted, until));
}

/* Somebody more refers to the blob's data. */
static enum store_error share(struct local *local, const struct blob_row *blob)
{
	struct db *db = &local->writer.db;

	/* a look at runs is counted by nobody: it is found where it is */
	if (blob->seen)
		return STORE_OK;
	if (blob->content)
		return db_run(db, db_bind(DB_SQL(db, "UPDATE contents SET refs = refs + 1"
						     " WHERE id = ?1"),
					  "i", blob->content));
	return db_run(db, db_bind(DB_SQL(db, "UPDATE chunks SET refs = refs + 1 WHERE id = ?1"),
				  "i", blob->chunk));
}

enum store_error history_snapshot(struct local *local, struct change_job *job)
{
	return keep(local, job, job->result.snapshot, PAST_SNAPSHOT, 0, 0);
}

enum store_error history_displace(struct local *local, struct change_job *job,
				  const struct blob_row *old, bool replaced)
{
	const struct store_keep *policy = &job->change->keep;
	struct db *db = &local->writer.db;
	int64_t now = job->tick * 100;
	enum store_error error;

	/* a version stays one, even when no new ones are made any more */
	if (policy->versions || (replaced && old->version)) {
		job->result.kept = true;
		error = keep(local, job, version_of(old), PAST_VERSION, 0, 0);
	} else if (policy->retain_ns) {
		job->result.kept = true;
		error = keep(local, job, job->tick, replaced ? PAST_SNAPSHOT : PAST_BLOB, now,
			     now + policy->retain_ns);
	} else {
		error = change_drop_state(local, old->chunk, old->content, old->seen);
	}
	if (error || !old->seen)
		return error;
	return db_run(db, db_bind(DB_SQL(db, "UPDATE contents SET live = 0 WHERE id = ?1"), "i",
				  old->content));
}

enum store_error history_version(struct local *local, struct change_job *job,
				 const struct blob_row *old)
{
	struct db *db = &local->writer.db;
	enum store_error error;

	if (!job->change->keep.versions && !old->version)
		return STORE_OK;
	error = share(local, old);
	if (!error)
		error = keep(local, job, version_of(old), PAST_VERSION, 0, 0);
	job->result.version = job->change->keep.versions ? job->tick : 0;
	if (error)
		return error;
	return db_run(db,
		      db_bind(DB_SQL(db, "UPDATE blobs SET version = ?3 WHERE container = ?1"
					 " AND name = ?2"),
			      "iti", job->container, job->change->ref.blob, job->result.version));
}

enum store_error history_recreate(struct local *local, struct change_job *job)
{
	struct db *db = &local->writer.db;

	return db_run(db, db_bind(DB_SQL(db, "UPDATE history SET kind = 1 WHERE container = ?1"
					     " AND name = ?2 AND kind = 3"),
				  "it", job->container, job->change->ref.blob));
}

enum store_error history_no_snapshots(struct local *local, struct change_job *job)
{
	struct db *db = &local->writer.db;
	sqlite3_stmt *s = db_bind(DB_SQL(db, "SELECT 1 FROM history WHERE container = ?1"
					     " AND name = ?2 AND kind = 1 AND deleted = 0 LIMIT 1"),
				  "it", job->container, job->change->ref.blob);
	enum store_error error;
	bool row;

	error = db_row(db, s, &row);
	if (row)
		db_reset(s);
	return error ? error : row ? STORE_SNAPSHOTS_PRESENT : STORE_OK;
}

enum store_error history_delete_snapshots(struct local *local, struct change_job *job)
{
	int64_t retain = job->change->keep.retain_ns, now = job->tick * 100;
	const char *name = job->change->ref.blob;
	struct db *db = &local->writer.db;
	enum store_error error;
	sqlite3_stmt *s;
	bool row;

	/* all of them or none: one that is protected keeps the others */
	s = db_bind(DB_SQL(db, "SELECT immutability, immutable_until, hold FROM history"
			       " WHERE container = ?1 AND name = ?2 AND kind = 1 AND deleted = 0"
			       " AND (hold != 0 OR immutability != 0)"),
		    "it", job->container, name);
	while (!(error = db_row(db, s, &row)) && row) {
		error = guard_past(s, 0);
		if (error) {
			db_reset(s);
			return error;
		}
	}
	if (error)
		return error;
	if (retain) {
		job->result.kept = true;
		return db_run(db, db_bind(DB_SQL(db, "UPDATE history SET deleted = ?3, until = ?4"
						     " WHERE container = ?1 AND name = ?2"
						     " AND kind = 1 AND deleted = 0"),
					  "itii", job->container, name, now, now + retain));
	}
	local->writer.made_garbage = true;
	error = db_run(db, db_bind(DB_SQL(db, "INSERT INTO garbage(kind, what, at)"
					      " SELECT " GARBAGE_OF_ROW " FROM history"
					      " WHERE container = ?1 AND name = ?2 AND kind = 1"
					      " AND deleted = 0 AND (chunk != 0 OR content != 0)"),
				   "it", job->container, name));
	if (error)
		return error;
	return db_run(db, db_bind(DB_SQL(db, "DELETE FROM history WHERE container = ?1"
					     " AND name = ?2 AND kind = 1 AND deleted = 0"),
				  "it", job->container, name));
}

/* What is found of a row of history that is to be deleted. */
struct past_row {
	struct held_state held;
	bool deleted;
};

/* The snapshot or version that the change names, if all allows that it goes. */
static enum store_error find_past(struct local *local, const struct change_job *job,
				  struct past_row *past)
{
	const struct store_change *change = job->change;
	int64_t at = change->ref.snapshot ? change->ref.snapshot : change->ref.version;
	int64_t kind = change->ref.snapshot ? PAST_SNAPSHOT : PAST_VERSION;
	struct db *db = &local->writer.db;
	enum store_error error;
	sqlite3_stmt *s;
	bool row;

	/* what is deleted is not there, but for a change that is about just that */
	s = db_bind(DB_SQL(db, "SELECT etag, modified, chunk, content, seen, immutability,"
			       " immutable_until, hold, deleted FROM history"
			       " WHERE container = ?1 AND name = ?2 AND at = ?3 AND kind = ?4"
			       " AND (deleted = 0 OR (?5 != 0 AND until > ?6))"),
		    "itiiii", job->container, change->ref.blob, at, kind,
		    (int64_t)change->permanent, store_now_ns());
	error = db_row(db, s, &row);
	if (error || !row)
		return error ? error : STORE_BLOB_NOT_FOUND;
	error = store_conditions_check(change->conditions, STORE_WRITE, true,
				       (uint64_t)sqlite3_column_int64(s, 0),
				       sqlite3_column_int64(s, 1));
	if (!error)
		error = guard_past(s, 5);
	past->held = (struct held_state){ .chunk = sqlite3_column_int64(s, 2),
					  .content = sqlite3_column_int64(s, 3),
					  .seen = sqlite3_column_int64(s, 4) };
	past->deleted = sqlite3_column_int64(s, 8);
	db_reset(s);
	if (!error && change->permanent && !past->deleted)
		error = STORE_NOT_DELETED;
	return error == STORE_BLOB_EXISTS ? STORE_CONDITION_NOT_MET : error;
}

enum store_error history_delete_one(struct local *local, struct change_job *job)
{
	const struct store_change *change = job->change;
	int64_t at = change->ref.snapshot ? change->ref.snapshot : change->ref.version;
	struct db *db = &local->writer.db;
	struct past_row past;
	struct blob_row now;
	enum store_error error;

	error = change_find_container(local, job);
	if (!error)
		error = change_find_blob(local, job, &now);
	if (error)
		return error;
	if (now.exists && change->ref.version && now.version == change->ref.version)
		return STORE_CURRENT_VERSION;
	error = find_past(local, job, &past);
	if (error)
		return error;
	change_stamp(local, job);
	if (change->keep.retain_ns && !past.deleted) {
		job->result.kept = true;
		return db_run(db,
			      db_bind(DB_SQL(db, "UPDATE history SET deleted = ?4, until = ?5"
						 " WHERE container = ?1 AND name = ?2"
						 " AND at = ?3"),
				      "itiii", job->container, change->ref.blob, at,
				      job->tick * 100, job->tick * 100 + change->keep.retain_ns));
	}
	error = change_drop_state(local, past.held.chunk, past.held.content, past.held.seen);
	if (error)
		return error;
	return db_run(db, db_bind(DB_SQL(db, "DELETE FROM history WHERE container = ?1"
					     " AND name = ?2 AND at = ?3"),
				  "iti", job->container, change->ref.blob, at));
}

enum store_error change_blob_snapshot(struct local *local, void *context)
{
	struct change_job *job = context;
	const struct store_change *change = job->change;
	struct db *db = &local->writer.db;
	struct blob_row old;
	enum store_error error = change_begin(local, job, &old);
	int64_t at;

	if (!error)
		error = share(local, &old);
	if (error)
		return error;
	change_stamp(local, job);
	at = job->result.snapshot = job->tick;
	error = keep(local, job, at, PAST_SNAPSHOT, 0, 0);
	if (!error && change->set & STORE_SET_META)
		/* it differs from the blob, so its ETag does too */
		error = db_run(db, db_bind(DB_SQL(db, "UPDATE history SET meta = ?4, etag = ?5,"
						      " modified = ?6 WHERE container = ?1"
						      " AND name = ?2 AND at = ?3"),
					   "itibii", job->container, change->ref.blob, at,
					   change->meta.bytes, change->meta.length,
					   (int64_t)job->result.etag, job->result.modified_ns));
	if (error)
		return error;
	if (!(change->set & STORE_SET_META)) {
		job->result.etag = old.etag;
		job->result.modified_ns = old.modified_ns;
	}
	job->result.version = old.version;
	if (!change->keep.versions)
		return STORE_OK;
	/* the service makes a version with every snapshot; it needs a time of its own */
	job->tick = writer_tick(local);
	return history_version(local, job, &old);
}

/* The blob itself comes back from history.  @now: what is kept until then is gone. */
static enum store_error restore(struct local *local, struct change_job *job, int64_t now,
				bool *restored)
{
	struct db *db = &local->writer.db;
	enum store_error error;

	error = db_run(db, db_bind(DB_SQL(db, "INSERT INTO blobs(container, name, seen, " BLOB_STATE
					      ") SELECT container, name, seen, " BLOB_STATE
					      " FROM history WHERE container = ?1 AND name = ?2"
					      " AND kind = 3 AND until > ?3"),
				   "iti", job->container, job->change->ref.blob, now));
	if (error)
		return error;
	*restored = sqlite3_changes(db->handle);
	if (!*restored)
		return STORE_OK;
	error = db_run(db, db_bind(DB_SQL(db, "DELETE FROM history WHERE container = ?1"
					      " AND name = ?2 AND kind = 3"),
				   "it", job->container, job->change->ref.blob));
	if (!error)
		error = tags_restore(local, job);
	if (error)
		return error;
	return db_run(db, db_bind(DB_SQL(db, "UPDATE contents SET live = b.seen FROM blobs b"
					     " WHERE b.container = ?1 AND b.name = ?2"
					     " AND b.seen != 0 AND contents.id = b.content"),
				  "it", job->container, job->change->ref.blob));
}

enum store_error change_blob_undelete(struct local *local, void *context)
{
	struct change_job *job = context;
	struct db *db = &local->writer.db;
	int64_t now = store_now_ns();
	bool restored = false;
	struct blob_row old;
	enum store_error error = change_find_container(local, job);

	if (!error)
		error = change_find_blob(local, job, &old);
	if (error)
		return error;
	change_stamp(local, job);
	if (!old.exists)
		error = restore(local, job, now, &restored);
	if (error)
		return error;
	error = db_run(db, db_bind(DB_SQL(db, "UPDATE history SET deleted = 0, until = 0"
					      " WHERE container = ?1 AND name = ?2"
					      " AND deleted != 0 AND until > ?3"),
				   "iti", job->container, job->change->ref.blob, now));
	if (error || old.exists || restored || sqlite3_changes(db->handle))
		return error;
	return STORE_BLOB_NOT_FOUND;
}

/* Enough for one transaction. */
#define EXPIRE_STEP 256

#define EXPIRED "FROM history WHERE until != 0 AND until <= ?1 ORDER BY until, container, name, at"

enum store_error history_expire(struct local *local, void *more)
{
	struct db *db = &local->writer.db;
	int64_t now = writer_tick(local) * 100;
	enum store_error error;

	*(bool *)more = false;
	error = db_run(db, db_bind(DB_SQL(db, "INSERT INTO garbage(kind, what, at)"
					      " SELECT " GARBAGE_OF_ROW " FROM (SELECT * " EXPIRED
					      " LIMIT ?2) WHERE chunk != 0 OR content != 0"),
				   "ii", now, (int64_t)EXPIRE_STEP));
	if (!error)
		error = db_run(db, db_bind(DB_SQL(db, "DELETE FROM history"
						      " WHERE (container, name, at) IN"
						      " (SELECT container, name, at " EXPIRED
						      " LIMIT ?2)"),
					   "ii", now, (int64_t)EXPIRE_STEP));
	if (error)
		return error;
	*(bool *)more = sqlite3_changes(db->handle) == EXPIRE_STEP;
	local->writer.made_garbage |= sqlite3_changes(db->handle) > 0;
	return STORE_OK;
}

enum store_error history_drop_first(struct local *local, int64_t container, bool *row)
{
	struct db *db = &local->writer.db;
	sqlite3_stmt *s = db_bind(DB_SQL(db, "SELECT chunk, content, seen FROM history"
					     " WHERE container = ?1 ORDER BY name, at LIMIT 1"),
				  "i", container);
	struct held_state held;
	enum store_error error = change_read_state(db, s, &held, row);

	if (error || !*row)
		return error;
	error = db_run(db, db_bind(DB_SQL(db, "DELETE FROM history WHERE container = ?1"
					      " AND (name, at) = (SELECT name, at FROM history"
					      " WHERE container = ?1 ORDER BY name, at LIMIT 1)"),
				   "i", container));
	return error ? error : change_drop_state(local, held.chunk, held.content, held.seen);
}
