/* SPDX-License-Identifier: MIT */
/* What the service keeps for an account. */
#include <stdlib.h>
#include <string.h>

#include "store/local/local.h"

enum store_error change_account_update(struct local *local, void *context)
{
	struct change_job *job = context;
	const struct store_change *change = job->change;
	struct db *db = &local->writer.db;

	change_stamp(local, job);
	return db_run(db, db_bind(DB_SQL(db, "INSERT OR REPLACE INTO accounts(name, settings)"
					     " VALUES (?1, ?2)"),
				  "tb", change->ref.account, change->settings.bytes,
				  change->settings.length));
}

enum store_error local_account_get(struct store *store, const char *account, void **bytes,
				   size_t *length)
{
	struct local *local = to_local(store);
	struct reader *reader;
	enum store_error error = reader_get(local, &reader);
	sqlite3_stmt *s;
	bool row;

	*bytes = NULL;
	*length = 0;
	if (error)
		return error;
	s = db_bind(DB_SQL(&reader->db, "SELECT settings FROM accounts WHERE name = ?1"), "t",
		    account);
	error = db_row(&reader->db, s, &row);
	if (!error && row) {
		*length = (size_t)sqlite3_column_bytes(s, 0);
		/* one more: settings of no bytes are settings */
		*bytes = malloc(*length + 1);
		if (!*bytes)
			error = STORE_NO_MEMORY;
		else if (*length)
			memcpy(*bytes, sqlite3_column_blob(s, 0), *length);
		db_reset(s);
	}
	reader_put(local, reader);
	return error;
}
