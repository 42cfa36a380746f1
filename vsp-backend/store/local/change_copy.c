/* SPDX-License-Identifier: MIT */
/* Copies within the store: the new blob refers to the data of the old one. */
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "store/local/runs.h"
#include "store/tagexpr.h"

enum store_error change_find_source(struct local *local, const struct store_change *change,
				    struct copy_source *source)
{
	struct store_blob_info found;
	enum store_error error;
	sqlite3_stmt *s;

	*source = (struct copy_source){ 0 };
	error = local_find_row(&local->writer.db, &change->source, &s);
	if (error == STORE_BLOB_NOT_FOUND || error == STORE_CONTAINER_NOT_FOUND)
		return STORE_SOURCE_NOT_FOUND;
	if (error)
		return error;
	error = info_of_row(s, 0, &found);
	if (!error) {
		error = store_guard_read(change->source_conditions, &found);
		if (error == STORE_NOT_MODIFIED || error == STORE_CONDITION_NOT_MET)
			error = STORE_SOURCE_CONDITION;
	}
	if (!error && !change->source.snapshot && store_copy_incremental(&found.copy))
		error = STORE_INCREMENTAL;
	if (!error)
		error = info_copy(&found, &source->info);
	source->chunk = sqlite3_column_int64(s, ROW_PLACE + 4);
	source->content = sqlite3_column_int64(s, ROW_PLACE + 5);
	source->seen = sqlite3_column_int64(s, ROW_PLACE + 6);
	db_reset(s);
	return error;
}

/* The data of a page or append blob goes on to change: the copy gets runs of its own. */
static enum store_error copy_runs(struct local *local, const struct copy_source *source,
				  struct new_blob *blob)
{
	blob->seen = writer_tick(local);
	blob->sequence = source->info.sequence;
	return runs_clone(local, source->content, source->seen, source->info.length,
			  source->info.type == STORE_APPEND_BLOB, blob->seen, &blob->content);
}

static enum store_error share(struct local *local, const struct copy_source *source)
{
	struct db *db = &local->writer.db;

	if (source->content)
		return db_run(db, db_bind(DB_SQL(db, "UPDATE contents SET refs = refs + 1"
						     " WHERE id = ?1"),
					  "i", source->content));
	if (source->chunk)
		return db_run(db, db_bind(DB_SQL(db, "UPDATE chunks SET refs = refs + 1"
						     " WHERE id = ?1"),
					  "i", source->chunk));
	return STORE_OK;
}

/* The change with what comes from the source filled in. */
static struct store_change complete(const struct store_change *change,
				    const struct copy_source *source)
{
	struct store_change all = *change;

	if (!(change->set & STORE_SET_META))
		all.meta = source->info.meta;
	if (!(change->set & STORE_SET_HEADERS))
		all.headers = &source->info.headers;
	if (!(change->set & STORE_SET_TAG_LIST))
		all.tags = source->info.tags;
	return all;
}

/* An archived source makes an archived blob that is on its way to the tier asked for. */
static enum store_error choose_tier(struct store_change *all, const struct copy_source *source,
				    int64_t *rehydrate)
{
	*rehydrate = 0;
	if (source->info.tier != STORE_TIER_ARCHIVE)
		return STORE_OK;
	if (source->info.rehydrate)
		return STORE_BLOB_REHYDRATING;
	if (!all->tier || all->tier == STORE_TIER_ARCHIVE)
		return STORE_BLOB_ARCHIVED;
	*rehydrate = (int64_t)all->tier | (all->rehydrate_high ? REHYDRATE_HIGH : 0);
	all->tier = STORE_TIER_ARCHIVE;
	return STORE_OK;
}

static void pack_number(struct azb_buf *buf, long long number)
{
	azb_buf_printf(buf, "%lld", number);
	azb_buf_add(buf, "", 1);
}

void change_pack_copy(struct azb_buf *buf, const struct store_copy *copy, uint64_t length)
{
	const char *const texts[] = { copy->id, copy->status, copy->source,
				      copy->description ? copy->description : "" };
	bool whole = !strcmp(copy->status, "success");

	for (size_t i = 0; i < 4; i++)
		azb_buf_add(buf, texts[i], strlen(texts[i]) + 1);
	/* a copy that has not come to its end says itself how far it is */
	pack_number(buf, (long long)(whole ? length : copy->copied));
	pack_number(buf, (long long)(whole ? length : copy->total));
	pack_number(buf, strcmp(copy->status, "pending") ? (long long)store_now_ns() : 0LL);
	if (!copy->incremental)
		return;
	pack_number(buf, copy->snapshot);
	pack_number(buf, copy->origin.content);
	pack_number(buf, copy->origin.created_ns);
	pack_number(buf, copy->origin.snapshot);
	pack_number(buf, copy->origin.at);
}

enum store_error change_note_copy(struct local *local, const struct change_job *job,
				  uint64_t length, int64_t rehydrate)
{
	const struct store_change *change = job->change;
	struct db *db = &local->writer.db;
	struct azb_buf copy = { 0 };
	enum store_error error;

	if (!change->copy && !rehydrate)
		return STORE_OK;
	if (change->copy)
		change_pack_copy(&copy, change->copy, length);
	if (copy.failed) {
		azb_buf_free(&copy);
		return STORE_NO_MEMORY;
	}
	error = db_run(db, db_bind(DB_SQL(db, "UPDATE blobs SET copy = ?3, rehydrate = ?4"
					      " WHERE container = ?1 AND name = ?2"),
				   "itbi", job->container, change->ref.blob, copy.data, copy.length,
				   rehydrate));
	azb_buf_free(&copy);
	if (error || !change->copy || strcmp(change->copy->status, "pending") != 0)
		return error;
	return db_run(db, db_bind(DB_SQL(db, "INSERT INTO copies(container, name, resume)"
					     " VALUES (?1, ?2, ?3)"),
				  "itb", job->container, change->ref.blob, change->copy->resume,
				  change->copy->resume_length));
}

enum store_error local_copies_list(struct store *store, store_copies_cb *cb, void *context)
{
	struct local *local = to_local(store);
	struct reader *reader;
	enum store_error error = reader_get(local, &reader);
	sqlite3_stmt *s;
	bool row;

	if (error)
		return error;
	s = DB_SQL(&reader->db, "SELECT c.account, c.name, p.name, p.resume FROM copies p"
				" JOIN containers c ON c.id = p.container WHERE c.deleted = 0");
	while (!(error = db_row(&reader->db, s, &row)) && row) {
		struct store_ref ref = { .account = (const char *)sqlite3_column_text(s, 0),
					 .container = (const char *)sqlite3_column_text(s, 1),
					 .blob = (const char *)sqlite3_column_text(s, 2) };

		if (!ref.account || !ref.container || !ref.blob) {
			db_reset(s);
			error = STORE_NO_MEMORY;
			break;
		}
		cb(context, &ref, sqlite3_column_blob(s, 3), (size_t)sqlite3_column_bytes(s, 3));
	}
	reader_put(local, reader);
	return error;
}

static enum store_error copy_from(struct local *local, struct change_job *job,
				  const struct blob_row *old, const struct copy_source *source)
{
	struct store_change all = complete(job->change, source);
	struct new_blob blob = { .type = source->info.type,
				 .length = source->info.length,
				 .chunk = source->chunk,
				 .content = source->content,
				 .blocks = source->info.block_count,
				 .has_crc64 = source->info.has_crc64,
				 .crc64 = source->info.crc64 };
	enum store_error error;
	int64_t rehydrate;

	error = choose_tier(&all, source, &rehydrate);
	if (!error && !job->headers)
		error = info_pack_headers(all.headers, &job->headers, &job->headers_length);
	/* first: the blob may be copied onto itself */
	if (!error)
		error = source->seen ? copy_runs(local, source, &blob) : share(local, source);
	job->change = &all;
	if (!error)
		error = change_put_row(local, job, old, &blob);
	if (!error)
		error = change_note_copy(local, job, source->info.length, rehydrate);
	if (!error)
		error = change_drop_staged(local, job);
	job->result.has_crc64 = blob.has_crc64;
	job->result.crc64 = blob.crc64;
	job->result.has_md5 = source->info.headers.has_md5;
	memcpy(job->result.md5, source->info.headers.md5, sizeof(job->result.md5));
	return error;
}

enum store_error change_copy_blob(struct local *local, void *context)
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
		error = copy_from(local, job, &old, &source);
	job->change = change;
	store_blob_info_clear(&source.info);
	return error;
}
