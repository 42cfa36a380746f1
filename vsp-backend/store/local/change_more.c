/* SPDX-License-Identifier: MIT */
/* Changes that leave a blob's ETag as it is: tier, tags. */
#include "store/local/local.h"

/* Where an archived blob may go: out, once, or out faster. */
static enum store_error check_tier(const struct store_change *change, const struct blob_row *old)
{
	if (old->type != STORE_BLOCK_BLOB)
		return STORE_WRONG_BLOB_TYPE;
	if (!old->rehydrate)
		return STORE_OK;
	if ((enum store_tier)(old->rehydrate & ~REHYDRATE_HIGH) != change->tier)
		return STORE_BLOB_REHYDRATING;
	return STORE_OK;
}

enum store_error change_set_tier(struct local *local, void *context)
{
	struct change_job *job = context;
	const struct store_change *change = job->change;
	struct db *db = &local->writer.db;
	struct blob_row old;
	enum store_error error = change_begin(local, job, &old);
	int64_t tier = (int64_t)change->tier, rehydrate = 0;

	if (!error)
		error = check_tier(change, &old);
	if (error)
		return error;
	job->tick = writer_tick(local);
	job->result.etag = old.etag;
	job->result.modified_ns = old.modified_ns;
	if (old.tier == STORE_TIER_ARCHIVE && change->tier != STORE_TIER_ARCHIVE) {
		tier = STORE_TIER_ARCHIVE;
		rehydrate = (int64_t)change->tier;
		rehydrate |= change->rehydrate_high || old.rehydrate & REHYDRATE_HIGH
				     ? REHYDRATE_HIGH
				     : 0;
		job->result.rehydrating = true;
		/* the same again: it goes on as it was */
		if (rehydrate == old.rehydrate)
			return STORE_OK;
	}
	return db_run(db, db_bind(DB_SQL(db, "UPDATE blobs SET tier = ?3, rehydrate = ?4,"
					     " tier_changed = ?5 WHERE container = ?1"
					     " AND name = ?2"),
				  "itiii", job->container, change->ref.blob, tier, rehydrate,
				  store_now_ns()));
}

enum store_error change_set_tags(struct local *local, void *context)
{
	struct change_job *job = context;
	const struct store_change *change = job->change;
	struct db *db = &local->writer.db;
	struct blob_row old;
	enum store_error error = change_begin(local, job, &old);

	if (error)
		return error;
	job->tick = writer_tick(local);
	job->result.etag = old.etag;
	job->result.modified_ns = old.modified_ns;
	error = db_run(db, db_bind(DB_SQL(db, "UPDATE blobs SET tags = ?3 WHERE container = ?1"
					      " AND name = ?2"),
				   "itb", job->container, change->ref.blob, change->tags.bytes,
				   change->tags.length));
	return error ? error : tags_index(local, job, &change->tags, old.tagged);
}
