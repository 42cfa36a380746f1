/* SPDX-License-Identifier: MIT */
/* Answers kept with the changes they report, until they have arrived. */
#include <stdlib.h>
#include <string.h>

#include "store/local/local.h"

enum store_error local_effect_keep(struct local *local, const struct store_effect *effect,
				   const struct store_result *result, int64_t tick)
{
	struct db *db = &local->writer.db;
	void *bytes = local->writer.effect_bytes;
	size_t length = effect->render(effect->context, result, bytes, STORE_MAX_EFFECT);

	if (length > STORE_MAX_EFFECT)
		return STORE_NO_MEMORY;
	return db_run(db, db_bind(DB_SQL(db, "INSERT OR REPLACE INTO effects"
					     "(session, request, made, bytes)"
					     " VALUES (?1, ?2, ?3, ?4)"),
				  "biib", effect->session, sizeof(effect->session),
				  (int64_t)effect->request, tick, bytes, length));
}

enum store_error local_effect_lookup(struct store *store, const uint8_t session[16],
				     uint64_t request, void **bytes, size_t *length)
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
	s = db_bind(DB_SQL(&reader->db, "SELECT bytes FROM effects WHERE session = ?1"
					" AND request = ?2"),
		    "bi", session, (size_t)16, (int64_t)request);
	error = db_row(&reader->db, s, &row);
	if (!error && row) {
		*length = (size_t)sqlite3_column_bytes(s, 0);
		/* one more: an empty answer is an answer */
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

void local_effect_forget(struct store *store, const uint8_t session[16], uint64_t request)
{
	/* 0 is no request's id, and means the whole session to the writer */
	if (request)
		writer_forget(to_local(store), session, request);
}

void local_effect_forget_session(struct store *store, const uint8_t session[16])
{
	writer_forget(to_local(store), session, 0);
}
