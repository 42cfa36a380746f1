/* SPDX-License-Identifier: MIT */
/* The index of blob tags. */
#include <stdlib.h>
#include <string.h>

#include "store/local/local.h"

enum store_error tags_index(struct local *local, struct change_job *job,
			    const struct store_meta *tags, bool before)
{
	const struct store_ref *ref = &job->change->ref;
	struct db *db = &local->writer.db;
	enum store_error error = STORE_OK;
	const char *key, *value;
	size_t at = 0;

	if (before)
		error = db_run(db, db_bind(DB_SQL(db, "DELETE FROM tags WHERE container = ?1"
						      " AND name = ?2"),
					   "it", job->container, ref->blob));
	while (!error && store_meta_next(tags, &at, &key, &value))
		error = db_run(db, db_bind(DB_SQL(db, "INSERT INTO tags"
						      "(account, key, value, container, name)"
						      " VALUES (?1, ?2, ?3, ?4, ?5)"),
					   "tttit", ref->account, key, value, job->container,
					   ref->blob));
	return error;
}

enum store_error tags_restore(struct local *local, struct change_job *job)
{
	struct db *db = &local->writer.db;
	sqlite3_stmt *s = db_bind(DB_SQL(db, "SELECT tags FROM blobs WHERE container = ?1"
					     " AND name = ?2 AND tags IS NOT NULL"),
				  "it", job->container, job->change->ref.blob);
	struct store_meta tags;
	enum store_error error;
	char *bytes;
	bool row;

	error = db_row(db, s, &row);
	if (error || !row)
		return error;
	tags.length = (size_t)sqlite3_column_bytes(s, 0);
	bytes = malloc(tags.length + 1);
	if (bytes && tags.length)
		memcpy(bytes, sqlite3_column_blob(s, 0), tags.length);
	db_reset(s);
	if (!bytes)
		return STORE_NO_MEMORY;
	tags.bytes = bytes;
	error = tags_index(local, job, &tags, true);
	free(bytes);
	return error;
}
