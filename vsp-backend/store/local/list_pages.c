/* SPDX-License-Identifier: MIT */
/* Which pages of a page blob are there, and which differ from a snapshot. */
#include "store/local/runs.h"

/* One look at a page blob's content. */
struct view {
	int64_t content, at;
	struct store_blob_info info;
};

static enum store_error find_view(struct db *db, const struct store_ref *ref,
				  const struct store_conditions *conditions, struct view *view)
{
	sqlite3_stmt *s;
	enum store_error error = local_find_row(db, ref, &s);

	if (error)
		return error;
	error = info_of_row(s, 0, &view->info);
	if (!error)
		error = store_guard_read(conditions, &view->info);
	if (!error && !ref->snapshot && store_copy_incremental(&view->info.copy))
		error = STORE_INCREMENTAL;
	view->content = sqlite3_column_int64(s, ROW_CONTENT);
	view->at = sqlite3_column_int64(s, ROW_SEEN);
	/* the strings in info are gone with it: nobody looks at them */
	db_reset(s);
	return error;
}

enum page_state {
	PAGES_NONE,
	PAGES_WRITTEN,
	PAGES_CLEARED
};

/* Ranges in a row that say the same become one. */
struct joiner {
	store_pages_cb *cb;
	void *context;
	uint64_t from, to;
	enum page_state state;
	uint64_t *next;
	bool full;
};

static void flush(struct joiner *j)
{
	if (!j->full && j->state != PAGES_NONE &&
	    !j->cb(j->context, j->from, j->to - j->from, j->state == PAGES_WRITTEN)) {
		j->full = true;
		*j->next = j->from;
	}
	j->state = PAGES_NONE;
}

static void add(struct joiner *j, uint64_t from, uint64_t to, enum page_state state)
{
	if (from >= to)
		return;
	if (state == j->state && (state == PAGES_NONE || from == j->to)) {
		j->to = to;
		return;
	}
	flush(j);
	j->from = from;
	j->to = to;
	j->state = state;
}

static enum store_error list_all(struct db *db, const struct view *now, uint64_t offset,
				 uint64_t end, struct joiner *j)
{
	struct run_walk walk;
	enum store_error error;
	bool more;

	runs_walk(&walk, db, now->content, now->at, offset, end, false);
	while (!(error = runs_next(&walk, &more)) && more) {
		uint64_t from = walk.run.offset > offset ? walk.run.offset : offset;
		uint64_t to = walk.run.offset + walk.run.length;

		add(j, from, to < end ? to : end, PAGES_WRITTEN);
		if (j->full) {
			runs_stop(&walk);
			break;
		}
	}
	flush(j);
	return error;
}

/* Where a walk is, as seen from a position: in a run, or before the next one. */
struct side {
	struct run_walk walk;
	bool more;
};

static enum store_error move_to(struct side *side, uint64_t at)
{
	enum store_error error = STORE_OK;

	while (!error && side->more && side->walk.run.offset + side->walk.run.length <= at)
		error = runs_next(&side->walk, &side->more);
	return error;
}

static bool inside(const struct side *side, uint64_t at)
{
	return side->more && side->walk.run.offset <= at;
}

/* Up to where it stays as it is at @at. */
static uint64_t until(const struct side *side, uint64_t at, uint64_t end)
{
	uint64_t stop = end;

	if (side->more)
		stop = inside(side, at) ? side->walk.run.offset + side->walk.run.length
					: side->walk.run.offset;
	return stop < end ? stop : end;
}

/*
 * A run that was written after the earlier look is new, whatever it holds; what was
 * there then and is not any more was cleared.
 */
static enum store_error list_changes(struct db *db, const struct view *now,
				     const struct view *before, uint64_t offset, uint64_t end,
				     struct joiner *j)
{
	struct side a = { .more = true }, b = { .more = true };
	enum store_error error;

	runs_walk(&a.walk, db, now->content, now->at, offset, end, false);
	runs_walk(&b.walk, db, before->content, before->at, offset, end, true);
	error = runs_next(&a.walk, &a.more);
	if (!error)
		error = runs_next(&b.walk, &b.more);
	while (!error && offset < end && !j->full) {
		enum page_state state = PAGES_NONE;
		uint64_t stop;

		error = move_to(&a, offset);
		if (!error)
			error = move_to(&b, offset);
		if (error)
			break;
		stop = until(&a, offset, end);
		if (until(&b, offset, end) < stop)
			stop = until(&b, offset, end);
		if (inside(&a, offset) && a.walk.run.written > before->at)
			state = PAGES_WRITTEN;
		else if (!inside(&a, offset) && inside(&b, offset))
			state = PAGES_CLEARED;
		add(j, offset, stop, state);
		offset = stop;
	}
	flush(j);
	runs_stop(&a.walk);
	runs_stop(&b.walk);
	return error;
}

static enum store_error list(struct db *db, const struct store_ref *ref,
			     const struct store_conditions *conditions,
			     const struct store_pages *pages, struct store_blob_info *info,
			     struct joiner *j)
{
	struct store_ref earlier = *ref;
	struct view now, before;
	uint64_t end = pages->end;
	enum store_error error = find_view(db, ref, conditions, &now);

	if (!error && now.info.type != STORE_PAGE_BLOB)
		error = STORE_WRONG_BLOB_TYPE;
	if (error)
		return error;
	if (end > now.info.length)
		end = now.info.length;
	*info = (struct store_blob_info){ .type = now.info.type,
					  .etag = now.info.etag,
					  .modified_ns = now.info.modified_ns,
					  .length = now.info.length,
					  .lease = now.info.lease };
	if (!pages->before)
		return list_all(db, &now, pages->offset, end, j);
	earlier.version = 0;
	earlier.snapshot = pages->before;
	if (ref->snapshot && pages->before > ref->snapshot)
		return STORE_VIEW_NEWER;
	error = find_view(db, &earlier, NULL, &before);
	if (error)
		return error == STORE_BLOB_NOT_FOUND ? STORE_PAST_NOT_FOUND : error;
	if (before.content != now.content)
		return STORE_VIEW_UNRELATED;
	return list_changes(db, &now, &before, pages->offset, end, j);
}

enum store_error local_page_list(struct store *store, const struct store_ref *ref,
				 const struct store_conditions *conditions,
				 const struct store_pages *pages, struct store_blob_info *info,
				 store_pages_cb *cb, void *context, uint64_t *next)
{
	struct local *local = to_local(store);
	struct joiner joiner = { .cb = cb, .context = context, .next = next };
	struct reader *reader;
	enum store_error error = reader_get(local, &reader), end;

	*next = UINT64_MAX;
	*info = (struct store_blob_info){ 0 };
	if (error)
		return error;
	error = db_run(&reader->db, DB_SQL(&reader->db, "BEGIN"));
	if (!error) {
		error = list(&reader->db, ref, conditions, pages, info, &joiner);
		end = db_run(&reader->db, DB_SQL(&reader->db, "COMMIT"));
		error = error ? error : end;
	}
	reader_put(local, reader);
	return error;
}
