/* SPDX-License-Identifier: MIT */
/*
 * The tables.
 *
 * A chunk is a run of bytes that never changes: in an extent file, or for a small
 * blob in the row itself.  Chunks are counted by those who refer to them.  A blob
 * is empty, or one chunk, or a content: a list of pieces of chunks.  A content never
 * changes either, so that whoever holds a lease on it may look up pieces at leisure.
 *
 * What is not needed any more gets a row in garbage, in the transaction that
 * made it so; the collector takes it apart later, in small steps.
 *
 * Space in extent files that no chunk has is free.  A row in dirty says that free
 * space in that range may nevertheless hold data: it is written before the data is,
 * and at the next start the holes in the range are punched.
 */
#include "store/local/schema.h"

#include <stdio.h>

/* "AZBS": what file(1) and we know the file by */
#define APPLICATION_ID 0x415a4253

/*
 * A blob's state; what it was keeps the same columns, see BLOB_STATE in local.h.
 * headers: see info.c; at most one of chunk and content is not 0; version: its id or 0;
 * seen: of a page or append blob: at what time its content is looked at, see runs.h;
 * of the blob itself only not 0, since contents.live says it;
 * lease: see guard.c; tags and copy: see info.c; the other numbers: enums of store.h
 */
#define STATE_COLUMNS                                  \
	" type INTEGER NOT NULL,"                      \
	" length INTEGER NOT NULL,"                    \
	" etag INTEGER NOT NULL,"                      \
	" modified INTEGER NOT NULL,"                  \
	" created INTEGER NOT NULL,"                   \
	" chunk INTEGER NOT NULL,"                     \
	" content INTEGER NOT NULL,"                   \
	" blocks INTEGER NOT NULL,"                    \
	" crc64 INTEGER,"                              \
	" md5 BLOB,"                                   \
	" headers BLOB,"                               \
	" meta BLOB,"                                  \
	" version INTEGER NOT NULL DEFAULT 0,"         \
	" seen INTEGER NOT NULL DEFAULT 0,"            \
	" sequence INTEGER NOT NULL DEFAULT 0,"        \
	" sealed INTEGER NOT NULL DEFAULT 0,"          \
	" lease BLOB,"                                 \
	" tags BLOB,"                                  \
	" copy BLOB,"                                  \
	" tier INTEGER NOT NULL DEFAULT 0,"            \
	" tier_changed INTEGER NOT NULL DEFAULT 0,"    \
	" rehydrate INTEGER NOT NULL DEFAULT 0,"       \
	" immutability INTEGER NOT NULL DEFAULT 0,"    \
	" immutable_until INTEGER NOT NULL DEFAULT 0," \
	" hold INTEGER NOT NULL DEFAULT 0,"

static const char *const tables[] = {
	/* tick: the last time given out, in units of 100 ns since 1970, see writer.c */
	"CREATE TABLE store(tick INTEGER NOT NULL)",
	"INSERT INTO store(tick) VALUES (0)",

	/* settings: whatever the service wants to find again */
	"CREATE TABLE accounts("
	" name TEXT PRIMARY KEY,"
	" settings BLOB NOT NULL) WITHOUT ROWID",

	"CREATE TABLE containers("
	" id INTEGER PRIMARY KEY,"
	" account TEXT NOT NULL,"
	" name TEXT NOT NULL,"
	" deleted INTEGER NOT NULL DEFAULT 0,"
	" etag INTEGER NOT NULL,"
	" modified INTEGER NOT NULL,"
	" created INTEGER NOT NULL,"
	" meta BLOB,"
	/* access: enum store_public; acl: as struct store_acl; lease: see guard.c */
	" access INTEGER NOT NULL DEFAULT 0,"
	" acl BLOB,"
	" lease BLOB,"
	/* deleted is 2 as long as it can be restored: since when, until when */
	" gone INTEGER NOT NULL DEFAULT 0,"
	" until INTEGER NOT NULL DEFAULT 0)",
	/* a deleted one keeps its row until its blobs are gone, but not its name */
	"CREATE UNIQUE INDEX containers_by_name ON containers(account, name) WHERE deleted = 0",
	/* for lists that show those which can be restored too */
	"CREATE INDEX containers_kept ON containers(account, name, id) WHERE deleted != 1",
	"CREATE INDEX containers_by_end ON containers(until) WHERE deleted = 2",

	"CREATE TABLE blobs("
	" container INTEGER NOT NULL,"
	" name TEXT NOT NULL," STATE_COLUMNS " PRIMARY KEY (container, name)) WITHOUT ROWID",

	/*
	 * What a name meant before.  kind: see enum past_kind; at: what names it, a time in
	 * units of 100 ns; deleted, until: when it was deleted and how long it is kept, both
	 * 0 for what is not deleted
	 */
	"CREATE TABLE history("
	" container INTEGER NOT NULL,"
	" name TEXT NOT NULL,"
	" at INTEGER NOT NULL,"
	" kind INTEGER NOT NULL,"
	" deleted INTEGER NOT NULL,"
	" until INTEGER NOT NULL," STATE_COLUMNS
	" PRIMARY KEY (container, name, at)) WITHOUT ROWID",
	"CREATE INDEX blobs_protected ON blobs(container)"
	" WHERE immutability != 0 OR hold != 0",
	"CREATE INDEX history_protected ON history(container)"
	" WHERE immutability != 0 OR hold != 0",
	"CREATE INDEX history_by_end ON history(until) WHERE until != 0",
	"CREATE INDEX history_by_view ON history(content, seen) WHERE seen != 0",

	/* the blobs whose copy is pending, and what the service needs to go on with it */
	"CREATE TABLE copies("
	" container INTEGER NOT NULL,"
	" name TEXT NOT NULL,"
	" resume BLOB,"
	" PRIMARY KEY (container, name)) WITHOUT ROWID",

	/* the tags of all blobs, to find blobs by; kept with blobs.tags */
	"CREATE TABLE tags("
	" account TEXT NOT NULL,"
	" key TEXT NOT NULL,"
	" value TEXT NOT NULL,"
	" container INTEGER NOT NULL,"
	" name TEXT NOT NULL,"
	" PRIMARY KEY (account, key, value, container, name)) WITHOUT ROWID",
	"CREATE INDEX tags_by_blob ON tags(container, name)",
	"CREATE INDEX tags_by_container ON tags(container, key, value, name)",

	/* file is NULL and data is not, or the other way round */
	"CREATE TABLE chunks("
	" id INTEGER PRIMARY KEY,"
	" refs INTEGER NOT NULL,"
	" length INTEGER NOT NULL,"
	" crc64 INTEGER NOT NULL,"
	" file INTEGER,"
	" offset INTEGER,"
	" data BLOB)",
	"CREATE UNIQUE INDEX chunks_by_place ON chunks(file, offset, length)"
	" WHERE file IS NOT NULL",
	/* bytes: 8 for each block of a chunk of more than one, see sums.h */
	"CREATE TABLE sums("
	" chunk INTEGER PRIMARY KEY,"
	" bytes BLOB NOT NULL)",
	"CREATE TRIGGER chunk_sums AFTER DELETE ON chunks WHEN old.file IS NOT NULL BEGIN"
	" DELETE FROM sums WHERE chunk = old.id; END",

	/* live, appends, journal: see runs.h; 0 for a list of blocks */
	"CREATE TABLE contents("
	" id INTEGER PRIMARY KEY,"
	" refs INTEGER NOT NULL,"
	" live INTEGER NOT NULL DEFAULT 0,"
	" appends INTEGER NOT NULL DEFAULT 0,"
	" journal INTEGER NOT NULL DEFAULT 0)",
	"CREATE INDEX contents_to_fold ON contents(journal) WHERE journal > 0",
	/* block: the id of the block that starts with this piece, else NULL */
	"CREATE TABLE pieces("
	" content INTEGER NOT NULL,"
	" offset INTEGER NOT NULL,"
	" length INTEGER NOT NULL,"
	" chunk INTEGER NOT NULL,"
	" chunk_offset INTEGER NOT NULL,"
	" block BLOB,"
	" PRIMARY KEY (content, offset)) WITHOUT ROWID",

	/*
	 * Where the bytes of a page or append blob are, and were: a run counts for whoever
	 * looks at a time from born up to, not including, died
	 */
	"CREATE TABLE runs("
	" content INTEGER NOT NULL,"
	" offset INTEGER NOT NULL,"
	" born INTEGER NOT NULL,"
	" died INTEGER NOT NULL,"
	" written INTEGER NOT NULL,"
	" length INTEGER NOT NULL,"
	" chunk INTEGER NOT NULL,"
	" chunk_offset INTEGER NOT NULL,"
	" PRIMARY KEY (content, offset, born)) WITHOUT ROWID",
	"CREATE INDEX runs_dead ON runs(content, died) WHERE died != 9223372036854775807",
	"CREATE INDEX runs_by_chunk ON runs(chunk, length)",

	/* the runs that are to be folded: small writes, whose bytes are in SQLite, and what is
	   left of large ones */
	"CREATE TABLE journal("
	" content INTEGER NOT NULL,"
	" offset INTEGER NOT NULL,"
	" born INTEGER NOT NULL,"
	" PRIMARY KEY (content, offset, born)) WITHOUT ROWID",

	/* the uncommitted blocks of a name; container is NULL once they are garbage */
	"CREATE TABLE staged("
	" id INTEGER PRIMARY KEY,"
	" container INTEGER,"
	" name TEXT NOT NULL,"
	" count INTEGER NOT NULL,"
	" id_length INTEGER NOT NULL,"
	" modified INTEGER NOT NULL)",
	"CREATE UNIQUE INDEX staged_by_name ON staged(container, name)"
	" WHERE container IS NOT NULL",
	/* taken: its chunk belongs to a committed list by now */
	"CREATE TABLE blocks("
	" staged INTEGER NOT NULL,"
	" id BLOB NOT NULL,"
	" length INTEGER NOT NULL,"
	" crc64 INTEGER NOT NULL,"
	" chunk INTEGER NOT NULL,"
	" content INTEGER NOT NULL,"
	" taken INTEGER NOT NULL DEFAULT 0,"
	" PRIMARY KEY (staged, id)) WITHOUT ROWID",

	"CREATE TABLE garbage("
	" id INTEGER PRIMARY KEY,"
	" kind INTEGER NOT NULL,"
	" what INTEGER NOT NULL,"
	" at INTEGER NOT NULL DEFAULT 0)",
	"CREATE INDEX garbage_views ON garbage(what, at) WHERE kind = 5",

	/* used: bytes in chunks, in whole units */
	"CREATE TABLE files("
	" id INTEGER PRIMARY KEY,"
	" used INTEGER NOT NULL)",
	"CREATE TABLE dirty("
	" id INTEGER PRIMARY KEY,"
	" file INTEGER NOT NULL,"
	" offset INTEGER NOT NULL,"
	" length INTEGER NOT NULL)",
	"CREATE TRIGGER chunk_takes AFTER INSERT ON chunks WHEN new.file IS NOT NULL BEGIN"
	" UPDATE files SET used = used + (new.length + 4095) / 4096 * 4096"
	" WHERE id = new.file; END",
	"CREATE TRIGGER chunk_gives AFTER DELETE ON chunks WHEN old.file IS NOT NULL BEGIN"
	" UPDATE files SET used = used - (old.length + 4095) / 4096 * 4096"
	" WHERE id = old.file; END",

	/* answers kept for requests that may be sent again */
	"CREATE TABLE effects("
	" session BLOB NOT NULL,"
	" request INTEGER NOT NULL,"
	" made INTEGER NOT NULL,"
	" bytes BLOB NOT NULL,"
	" PRIMARY KEY (session, request)) WITHOUT ROWID",
};

enum store_error schema_pragmas(struct db *db, bool writer, bool no_sync)
{
	static const char *const for_writer[] = {
		/* Debian's default overwrites deleted rows with zeros */
		"PRAGMA secure_delete = OFF",
		"PRAGMA cache_size = -4096",
		"PRAGMA temp_store = MEMORY",
	};
	static const char *const for_reader[] = {
		"PRAGMA query_only = ON",
		"PRAGMA cache_size = -512",
		"PRAGMA temp_store = MEMORY",
	};
	enum store_error error = STORE_OK;

	if (!writer) {
		for (size_t i = 0; !error && i < sizeof(for_reader) / sizeof(for_reader[0]); i++)
			error = db_exec(db, for_reader[i]);
		return error;
	}
	for (size_t i = 0; !error && i < sizeof(for_writer) / sizeof(for_writer[0]); i++)
		error = db_exec(db, for_writer[i]);
	if (!error)
		error = db_exec(db,
				no_sync ? "PRAGMA synchronous = OFF" : "PRAGMA synchronous = FULL");
	return error;
}

static enum store_error pragma_value(struct db *db, const char *sql, int64_t *value)
{
	sqlite3_stmt *statement = NULL;
	enum store_error error = STORE_OK;

	if (sqlite3_prepare_v2(db->handle, sql, -1, &statement, NULL) != SQLITE_OK ||
	    sqlite3_step(statement) != SQLITE_ROW)
		error = db_error(db, sql);
	else
		*value = sqlite3_column_int64(statement, 0);
	sqlite3_finalize(statement);
	return error;
}

/* @tables_there: 0 for a new file. */
static enum store_error recognise(struct db *db, const char *path, int64_t *tables_there,
				  char *error, size_t error_size)
{
	int64_t id = 0, format = 0;
	enum store_error result;

	snprintf(error, error_size, "%s: metadata.db can't be read, see the log", path);
	result = pragma_value(db, "PRAGMA application_id", &id);
	if (!result)
		result = pragma_value(db, "PRAGMA user_version", &format);
	if (!result)
		result = pragma_value(db, "SELECT count(*) FROM sqlite_schema", tables_there);
	if (result)
		return result;
	if (*tables_there && id != APPLICATION_ID) {
		snprintf(error, error_size, "%s: metadata.db is not a blob store's", path);
		return STORE_UNSUPPORTED;
	}
	if (*tables_there && format != SCHEMA_FORMAT) {
		snprintf(error, error_size,
			 "%s: the store has format %lld, this program knows format %d only", path,
			 (long long)format, SCHEMA_FORMAT);
		return STORE_UNSUPPORTED;
	}
	return STORE_OK;
}

enum store_error schema_recognise(struct db *db, const char *path, char *error, size_t error_size)
{
	int64_t count = 0;
	enum store_error result = recognise(db, path, &count, error, error_size);

	if (!result && !count) {
		snprintf(error, error_size, "%s: metadata.db is empty", path);
		return STORE_UNSUPPORTED;
	}
	return result;
}

enum store_error schema_prepare(struct db *db, const char *path, char *error, size_t error_size)
{
	enum store_error result;
	int64_t count = 0;
	char sql[80];

	result = recognise(db, path, &count, error, error_size);
	if (result)
		return result;
	snprintf(error, error_size, "%s: metadata.db can't be written, see the log", path);
	/* These are the first that change the file: not before it is known to be ours. */
	if (!count) /* later it would have no effect; lets the file shrink after deletes */
		result = db_exec(db, "PRAGMA auto_vacuum = INCREMENTAL");
	if (!result)
		result = db_exec(db, "PRAGMA journal_mode = WAL");
	if (result)
		return result;
	sqlite3_db_config(db->handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0, NULL);
	if (count)
		return STORE_OK;
	result = db_exec(db, "BEGIN IMMEDIATE");
	for (size_t i = 0; !result && i < sizeof(tables) / sizeof(tables[0]); i++)
		result = db_exec(db, tables[i]);
	snprintf(sql, sizeof(sql), "PRAGMA application_id = %d", APPLICATION_ID);
	if (!result)
		result = db_exec(db, sql);
	snprintf(sql, sizeof(sql), "PRAGMA user_version = %d", SCHEMA_FORMAT);
	if (!result)
		result = db_exec(db, sql);
	if (!result)
		result = db_exec(db, "COMMIT");
	return result;
}
