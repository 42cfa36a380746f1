/* SPDX-License-Identifier: MIT */
#include "store/local/db.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "store/local/schema.h"

enum store_error db_error(struct db *db, const char *what)
{
	int code = db->handle ? sqlite3_extended_errcode(db->handle) : SQLITE_NOMEM;

	azb_log(AZB_LOG_ERROR, "store: %.200s: %s (SQLite %d)", what,
		db->handle ? sqlite3_errmsg(db->handle) : "no connection", code);
	switch (code & 0xff) {
	case SQLITE_FULL:
		return STORE_NO_SPACE;
	case SQLITE_NOMEM:
		return STORE_NO_MEMORY;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		return STORE_CORRUPT;
	default:
		return STORE_IO;
	}
}

enum store_error db_exec(struct db *db, const char *sql)
{
	if (sqlite3_exec(db->handle, sql, NULL, NULL, NULL) != SQLITE_OK)
		return db_error(db, sql);
	return STORE_OK;
}

enum store_error db_open(struct db *db, const char *path, bool writer, bool no_sync)
{
	int flags = SQLITE_OPEN_NOMUTEX;
	enum store_error error;

	/*
	 * Readers open read-write too, as SQLite then can make the wal-index, but are
	 * kept from writing by query_only.
	 */
	flags |= SQLITE_OPEN_READWRITE | (writer ? SQLITE_OPEN_CREATE : 0);
	*db = (struct db){ 0 };
	if (sqlite3_open_v2(path, &db->handle, flags, NULL) != SQLITE_OK) {
		error = db_error(db, "open metadata.db");
		db_close(db);
		return error;
	}
	sqlite3_extended_result_codes(db->handle, 1);
	sqlite3_busy_timeout(db->handle, 10000);
	/* two connections must never checkpoint at once: only the writer does */
	sqlite3_wal_autocheckpoint(db->handle, 0);
	/* nor may a writer that finds a store it does not know: schema_prepare() allows it */
	sqlite3_db_config(db->handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	error = schema_pragmas(db, writer, no_sync);
	if (error)
		db_close(db);
	return error;
}

void db_close(struct db *db)
{
	for (int i = 0; i < DB_STATEMENTS; i++)
		sqlite3_finalize(db->statements[i]);
	sqlite3_close(db->handle);
	*db = (struct db){ 0 };
}

sqlite3_stmt *db_statement(struct db *db, atomic_int *slot, const char *sql)
{
	static atomic_int used;
	int i = atomic_load(slot);

	if (!i) {
		int fresh = atomic_fetch_add(&used, 1) + 1;

		/* another thread may have been first: then its slot is the one */
		if (atomic_compare_exchange_strong(slot, &i, fresh))
			i = fresh;
	}
	if (i >= DB_STATEMENTS) {
		azb_log(AZB_LOG_ERROR, "store: more than %d statements", DB_STATEMENTS);
		return NULL;
	}
	if (!db->statements[i] && sqlite3_prepare_v3(db->handle, sql, -1, SQLITE_PREPARE_PERSISTENT,
						     &db->statements[i], NULL) != SQLITE_OK)
		db_error(db, sql);
	return db->statements[i];
}

sqlite3_stmt *db_bind(sqlite3_stmt *statement, const char *types, ...)
{
	va_list args;

	va_start(args, types);
	for (int i = 1; statement && types[i - 1]; i++) {
		const void *p;
		size_t length;

		switch (types[i - 1]) {
		case 'i':
			sqlite3_bind_int64(statement, i, va_arg(args, int64_t));
			break;
		case 't':
			p = va_arg(args, const char *);
			sqlite3_bind_text(statement, i, p, -1, SQLITE_STATIC);
			break;
		case 'b':
			p = va_arg(args, const void *);
			length = va_arg(args, size_t);
			sqlite3_bind_blob64(statement, i, p, length, SQLITE_STATIC);
			break;
		default:
			sqlite3_bind_null(statement, i);
			break;
		}
	}
	va_end(args);
	return statement;
}

void db_reset(sqlite3_stmt *statement)
{
	if (statement)
		sqlite3_reset(statement);
}

enum store_error db_row(struct db *db, sqlite3_stmt *statement, bool *row)
{
	enum store_error error;
	int code;

	*row = false;
	if (!statement)
		return db_error(db, "prepare");
	code = sqlite3_step(statement);
	if (code == SQLITE_ROW) {
		*row = true;
		return STORE_OK;
	}
	error = code == SQLITE_DONE ? STORE_OK : db_error(db, sqlite3_sql(statement));
	sqlite3_reset(statement);
	return error;
}

enum store_error db_run(struct db *db, sqlite3_stmt *statement)
{
	bool row;
	enum store_error error = db_row(db, statement, &row);

	if (row)
		sqlite3_reset(statement);
	return error;
}
