/* SPDX-License-Identifier: MIT */
/* SQLite with less ceremony: one connection and the statements prepared on it. */
#ifndef AZB_LOCAL_DB_H
#define AZB_LOCAL_DB_H

#include <sqlite3.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "store/store.h"

#define DB_STATEMENTS 512

/* Used by one thread at a time. */
struct db {
	sqlite3 *handle;
	sqlite3_stmt *statements[DB_STATEMENTS];
};

/**
 * db_open - open DIR/metadata.db
 * @writer: the only connection that writes and checkpoints; creates the file.
 */
enum store_error db_open(struct db *db, const char *path, bool writer, bool no_sync);
void db_close(struct db *db);

/* Logs and translates the last error of the connection; @what says what was done. */
enum store_error db_error(struct db *db, const char *what);

/* Statements without parameters and rows that count. */
enum store_error db_exec(struct db *db, const char *sql);

/*
 * The statement of a text, prepared at the first use on each connection, reset.  NULL:
 * failed and logged; db_bind() and the like take that and fail.
 */
#define DB_SQL(db, text)                            \
	__extension__({                             \
		static atomic_int slot_;            \
		db_statement((db), &slot_, (text)); \
	})
sqlite3_stmt *db_statement(struct db *db, atomic_int *slot, const char *sql);

/**
 * db_bind - set the parameters from ?1 on
 * @types: a letter for each: i an int64_t, t a text or NULL, b bytes (pointer or NULL,
 *	size_t), n nothing: NULL.
 *
 * Texts and bytes must stay until the statement is reset.  A failure shows when the
 * statement is stepped.
 */
sqlite3_stmt *db_bind(sqlite3_stmt *statement, const char *types, ...);

/* Runs a statement that gives no rows and resets it. */
enum store_error db_run(struct db *db, sqlite3_stmt *statement);

/*
 * The next row: STORE_OK and *row says whether there is one.  Without one, and after an
 * error, the statement is reset; after the last row wanted, db_reset().
 */
enum store_error db_row(struct db *db, sqlite3_stmt *statement, bool *row);
void db_reset(sqlite3_stmt *statement);

#endif
