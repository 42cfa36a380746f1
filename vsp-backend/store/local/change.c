/* SPDX-License-Identifier: MIT */
/* Changes: what is done before the transaction, and changes of containers. */
#include <stdlib.h>

#include "store/local/local.h"

enum store_error local_find_container(struct db *db, const struct store_ref *ref, int64_t *id)
{
	sqlite3_stmt *s = db_bind(DB_SQL(db, "SELECT id FROM containers WHERE account = ?1"
					     " AND name = ?2 AND deleted = 0"),
				  "tt", ref->account, ref->container);
	enum store_error error;
	bool row;

	error = db_row(db, s, &row);
	if (error || !row)
		return error ? error : STORE_CONTAINER_NOT_FOUND;
	*id = sqlite3_column_int64(s, 0);
	db_reset(s);
	return STORE_OK;
}

enum store_error change_find_container(struct local *local, struct change_job *job)
{
	return local_find_container(&local->writer.db, &job->change->ref, &job->container);
}

static int64_t ns_of(int64_t tick)
{
	return tick * 100;
}

/* ETags look like the service's own, which count from the year 1. */
static uint64_t etag_of(int64_t tick)
{
	return (uint64_t)tick + UINT64_C(621355968000000000);
}

void change_stamp(struct local *local, struct change_job *job)
{
	job->tick = writer_tick(local);
	job->result.etag = etag_of(job->tick);
	job->result.modified_ns = ns_of(job->tick);
}

enum store_error change_container_create(struct local *local, void *context)
{
	struct change_job *job = context;
	const struct store_change *change = job->change;
	struct db *db = &local->writer.db;
	enum store_error error = change_find_container(local, job);

	if (!error)
		return STORE_CONTAINER_EXISTS;
	if (error != STORE_CONTAINER_NOT_FOUND)
		return error;
	change_stamp(local, job);
	return db_run(
		db, db_bind(DB_SQL(db, "INSERT INTO containers"
				       "(account, name, etag, modified, created, meta, access)"
				       " VALUES (?1, ?2, ?3, ?4, ?4, ?5, ?6)"),
			    "ttiibi", change->ref.account, change->ref.container,
			    (int64_t)job->result.etag, job->result.modified_ns, change->meta.bytes,
			    change->meta.length, (int64_t)change->public_access));
}

/* The container must exist and meet the conditions. */
static enum store_error check_container(struct local *local, struct change_job *job)
{
	struct db *db = &local->writer.db;
	const struct store_conditions *c = job->change->conditions;
	enum store_error error = change_find_container(local, job);
	struct store_lease lease;
	sqlite3_stmt *s;
	bool row;

	if (error)
		return error;
	s = db_bind(DB_SQL(db, "SELECT etag, modified, lease FROM containers WHERE id = ?1"), "i",
		    job->container);
	error = db_row(db, s, &row);
	if (error || !row)
		return error ? error : STORE_CORRUPT;
	error = store_conditions_check(job->change->conditions, STORE_WRITE, true,
				       (uint64_t)sqlite3_column_int64(s, 0),
				       sqlite3_column_int64(s, 1));
	guard_lease_of_row(s, 2, &lease);
	db_reset(s);
	/* only deletion needs the id of a lease */
	if (!error)
		error = store_lease_check(c ? c->lease : NULL,
					  job->change->kind == STORE_CONTAINER_DELETE ? STORE_WRITE
										      : STORE_READ,
					  true, &lease, store_now_ns());
	return error == STORE_BLOB_EXISTS ? STORE_CONDITION_NOT_MET : error;
}

enum store_error change_container_delete(struct local *local, void *context)
{
	struct change_job *job = context;
	int64_t retain = job->change->keep.container_ns;
	struct db *db = &local->writer.db;
	enum store_error error = check_container(local, job);

	if (error)
		return error;
	error = protect_container(local, job->container);
	if (error)
		return error;
	/* its blobs stay under an id that no name leads to, until they are collected */
	change_stamp(local, job);
	if (retain)
		return db_run(db, db_bind(DB_SQL(db, "UPDATE containers SET deleted = 2, gone = ?2,"
						     " until = ?3, lease = NULL WHERE id = ?1"),
					  "iii", job->container, store_now_ns(),
					  store_now_ns() + retain));
	error = db_run(db, db_bind(DB_SQL(db, "UPDATE containers SET deleted = 1 WHERE id = ?1"),
				   "i", job->container));
	return error ? error : writer_garbage(local, GARBAGE_CONTAINER, job->container);
}

enum store_error change_container_restore(struct local *local, void *context)
{
	struct change_job *job = context;
	const struct store_change *change = job->change;
	struct db *db = &local->writer.db;
	enum store_error error = change_find_container(local, job);

	if (!error)
		return STORE_CONTAINER_EXISTS;
	if (error != STORE_CONTAINER_NOT_FOUND)
		return error;
	change_stamp(local, job);
	error = db_run(db,
		       db_bind(DB_SQL(db, "UPDATE containers SET deleted = 0, gone = 0,"
					  " until = 0, name = ?4, etag = ?5, modified = ?6"
					  " WHERE id = ?1 AND account = ?2 AND name = ?3"
					  " AND deleted = 2 AND until > ?7"),
			       "itttiii", (int64_t)change->container_version, change->ref.account,
			       change->source.container, change->ref.container,
			       (int64_t)job->result.etag, job->result.modified_ns, store_now_ns()));
	if (error)
		return error;
	return sqlite3_changes(db->handle) ? STORE_OK : STORE_CONTAINER_NOT_FOUND;
}

enum store_error change_containers_expire(struct local *local, void *more)
{
	struct db *db = &local->writer.db;
	sqlite3_stmt *s = db_bind(DB_SQL(db, "SELECT id FROM containers WHERE deleted = 2"
					     " AND until <= ?1 ORDER BY until LIMIT 1"),
				  "i", store_now_ns());
	enum store_error error;
	int64_t id;

	error = db_row(db, s, more);
	if (error || !*(bool *)more)
		return error;
	id = sqlite3_column_int64(s, 0);
	db_reset(s);
	error = db_run(db, db_bind(DB_SQL(db, "UPDATE containers SET deleted = 1 WHERE id = ?1"),
				   "i", id));
	return error ? error : writer_garbage(local, GARBAGE_CONTAINER, id);
}

enum store_error change_container_update(struct local *local, void *context)
{
	struct change_job *job = context;
	const struct store_change *change = job->change;
	struct db *db = &local->writer.db;
	enum store_error error = check_container(local, job);

	if (error)
		return error;
	change_stamp(local, job);
	error = db_run(db, db_bind(DB_SQL(db, "UPDATE containers SET etag = ?2, modified = ?3"
					      " WHERE id = ?1"),
				   "iii", job->container, (int64_t)job->result.etag,
				   job->result.modified_ns));
	if (!error && change->set & STORE_SET_META)
		error = db_run(db, db_bind(DB_SQL(db, "UPDATE containers SET meta = ?2"
						      " WHERE id = ?1"),
					   "ib", job->container, change->meta.bytes,
					   change->meta.length));
	if (!error && change->set & STORE_SET_ACL)
		error = db_run(db, db_bind(DB_SQL(db, "UPDATE containers SET access = ?2, acl = ?3"
						      " WHERE id = ?1"),
					   "iib", job->container, (int64_t)change->public_access,
					   change->acl.bytes, change->acl.length));
	return error;
}

/* What runs in the writer thread: the change, and its answer in the same step. */
static enum store_error run(struct local *local, void *context)
{
	static job_fn *const by_kind[] = {
		[STORE_CONTAINER_CREATE] = change_container_create,
		[STORE_CONTAINER_DELETE] = change_container_delete,
		[STORE_CONTAINER_UPDATE] = change_container_update,
		[STORE_PUT_BLOB] = change_put_blob,
		[STORE_PUT_BLOCK] = change_put_block,
		[STORE_PUT_BLOCK_LIST] = change_put_block_list,
		[STORE_BLOB_UPDATE] = change_blob_update,
		[STORE_BLOB_DELETE] = change_blob_delete,
		[STORE_BLOB_SNAPSHOT] = change_blob_snapshot,
		[STORE_BLOB_UNDELETE] = change_blob_undelete,
		[STORE_LEASE] = change_lease,
		[STORE_SET_TIER] = change_set_tier,
		[STORE_SET_TAGS] = change_set_tags,
		[STORE_ACCOUNT_UPDATE] = change_account_update,
		[STORE_APPEND] = change_append,
		[STORE_APPEND_SEAL] = change_append_seal,
		[STORE_PAGES_WRITE] = change_pages_write,
		[STORE_PAGES_CLEAR] = change_pages_clear,
		[STORE_COPY_BLOB] = change_copy_blob,
		[STORE_CONTAINER_RESTORE] = change_container_restore,
		[STORE_PROTECT] = change_protect,
		[STORE_COPY_INCREMENTAL] = change_copy_incremental,
	};
	struct change_job *job = context;
	enum store_error error;

	error = by_kind[job->change->kind](local, job);
	if (!error && job->change->effect)
		error = local_effect_keep(local, job->change->effect, &job->result, job->tick);
	return error;
}

/* The data is on the disk and its checksums are known before the transaction. */
static enum store_error prepare_upload(struct change_job *job)
{
	struct local_upload *u = (struct local_upload *)(void *)job->change->upload;
	enum store_error error;

	if (u->upload.size) {
		job->crcs = calloc((u->upload.size + EXTENT_FILE_SIZE - 1) / EXTENT_FILE_SIZE,
				   sizeof(*job->crcs));
		if (!job->crcs)
			return STORE_NO_MEMORY;
	}
	error = local_upload_crc(u, job->crcs, &job->result.crc64);
	if (!error && job->change->kind == STORE_PUT_BLOCK)
		error = local_upload_spill(u);
	job->in_extents = !u->bytes;
	return error ? error : local_upload_sync(u);
}

enum store_error local_change(struct store *store, const struct store_change *change,
			      struct store_result *result)
{
	struct local *local = to_local(store);
	struct change_job job = { .change = change };
	enum store_error error = STORE_OK;
	bool data = change->kind == STORE_PUT_BLOCK || change->kind == STORE_APPEND ||
		    change->kind == STORE_PAGES_WRITE ||
		    (change->kind == STORE_PUT_BLOB && change->type != STORE_PAGE_BLOB &&
		     change->type != STORE_APPEND_BLOB);

	if (change->kind < STORE_CONTAINER_CREATE || change->kind >= STORE_CHANGE_KINDS ||
	    data != (change->upload != NULL))
		return STORE_UNSUPPORTED;
	if (change->kind == STORE_PUT_BLOCK_LIST && change->block_count > STORE_MAX_BLOCKS)
		return STORE_BLOCK_LIST_TOO_LONG;
	if (change->headers)
		error = info_pack_headers(change->headers, &job.headers, &job.headers_length);
	if (!error && data)
		error = prepare_upload(&job);
	if (!error)
		error = writer_do(local, run, &job);
	if (!error && data)
		local_upload_committed((struct local_upload *)(void *)change->upload);
	free(job.headers);
	free(job.crcs);
	if (!error && result)
		*result = job.result;
	return error;
}
