/* SPDX-License-Identifier: MIT */
/* Immutability policies and legal holds, of a blob and of its past states. */
#include "store/local/local.h"

/* What a policy is put on. */
struct state {
	int64_t at; /* of a past state; 0: the blob itself */
	enum store_immutability immutability;
	int64_t until_ns;
};

static enum store_error find_past(struct local *local, struct change_job *job, int64_t at,
				  int64_t kind, struct state *state)
{
	const struct store_change *change = job->change;
	struct db *db = &local->writer.db;
	sqlite3_stmt *s = db_bind(DB_SQL(db, "SELECT etag, modified, immutability, immutable_until"
					     " FROM history WHERE container = ?1 AND name = ?2"
					     " AND at = ?3 AND kind = ?4 AND deleted = 0"),
				  "itii", job->container, change->ref.blob, at, kind);
	enum store_error error;
	bool row;

	error = db_row(db, s, &row);
	if (error || !row)
		return error ? error : STORE_BLOB_NOT_FOUND;
	job->result.etag = (uint64_t)sqlite3_column_int64(s, 0);
	job->result.modified_ns = sqlite3_column_int64(s, 1);
	state->at = at;
	state->immutability = (enum store_immutability)sqlite3_column_int(s, 2);
	state->until_ns = sqlite3_column_int64(s, 3);
	db_reset(s);
	error = store_conditions_check(change->conditions, STORE_WRITE, true, job->result.etag,
				       job->result.modified_ns);
	return error == STORE_BLOB_EXISTS ? STORE_CONDITION_NOT_MET : error;
}

static enum store_error find_state(struct local *local, struct change_job *job, struct state *state)
{
	const struct store_ref *ref = &job->change->ref;
	struct blob_row old;
	enum store_error error;

	error = change_find_container(local, job);
	if (!error && ref->snapshot)
		return find_past(local, job, ref->snapshot, PAST_SNAPSHOT, state);
	if (!error)
		error = change_begin(local, job, &old);
	if (ref->version &&
	    (error == STORE_BLOB_NOT_FOUND || (!error && old.version != ref->version)))
		return find_past(local, job, ref->version, PAST_VERSION, state);
	if (error)
		return error;
	job->result.etag = old.etag;
	job->result.modified_ns = old.modified_ns;
	*state = (struct state){ .immutability = old.immutability,
				 .until_ns = old.immutable_until_ns };
	return STORE_OK;
}

/* A locked policy in force may be made longer, and nothing else. */
static enum store_error check_policy(const struct store_change *change, const struct state *state)
{
	const struct store_protection *to = &change->protect;

	if (!(change->set & STORE_SET_POLICY) || state->immutability != STORE_LOCKED ||
	    store_now_ns() >= state->until_ns)
		return STORE_OK;
	if (to->immutability == STORE_LOCKED && to->until_ns >= state->until_ns)
		return STORE_OK;
	return STORE_POLICY_LOCKED;
}

enum store_error change_protect(struct local *local, void *context)
{
	struct change_job *job = context;
	const struct store_change *change = job->change;
	const struct store_protection *to = &change->protect;
	struct db *db = &local->writer.db;
	bool policy = change->set & STORE_SET_POLICY, hold = change->set & STORE_SET_HOLD;
	struct state state = { 0 };
	enum store_error error = find_state(local, job, &state);
	sqlite3_stmt *s;

	if (!error)
		error = check_policy(change, &state);
	if (error)
		return error;
	job->tick = writer_tick(local);
	if (state.at)
		s = DB_SQL(db, "UPDATE history SET"
			       " immutability = CASE WHEN ?3 THEN ?4 ELSE immutability END,"
			       " immutable_until = CASE WHEN ?3 THEN ?5 ELSE immutable_until END,"
			       " hold = CASE WHEN ?6 THEN ?7 ELSE hold END"
			       " WHERE container = ?1 AND name = ?2 AND at = ?8");
	else
		s = DB_SQL(db, "UPDATE blobs SET"
			       " immutability = CASE WHEN ?3 THEN ?4 ELSE immutability END,"
			       " immutable_until = CASE WHEN ?3 THEN ?5 ELSE immutable_until END,"
			       " hold = CASE WHEN ?6 THEN ?7 ELSE hold END"
			       " WHERE container = ?1 AND name = ?2 AND ?8 = 0");
	return db_run(db, db_bind(s, "itiiiiii", job->container, change->ref.blob, (int64_t)policy,
				  (int64_t)to->immutability, to->until_ns, (int64_t)hold,
				  (int64_t)to->hold, state.at));
}

enum store_error protect_container(struct local *local, int64_t container)
{
	struct db *db = &local->writer.db;
	sqlite3_stmt *s = db_bind(DB_SQL(db, "SELECT max(hold) FROM (SELECT hold FROM blobs"
					     " WHERE container = ?1"
					     " AND (immutability != 0 OR hold != 0)"
					     " AND (hold != 0 OR immutable_until > ?2)"
					     " UNION ALL SELECT hold FROM history"
					     " WHERE container = ?1"
					     " AND (immutability != 0 OR hold != 0)"
					     " AND (hold != 0 OR immutable_until > ?2))"),
				  "ii", container, store_now_ns());
	enum store_error error;
	bool row;

	error = db_row(db, s, &row);
	if (error || !row)
		return error;
	if (sqlite3_column_type(s, 0) != SQLITE_NULL)
		error = sqlite3_column_int(s, 0) ? STORE_BLOB_HELD : STORE_BLOB_IMMUTABLE;
	db_reset(s);
	return error;
}
