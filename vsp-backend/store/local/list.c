/* SPDX-License-Identifier: MIT */
/*
 * Lists.  A page starts with a seek to its first name and reads on from there; under a
 * delimiter every prefix found costs one more seek, to the first name beyond it.
 */
#include <stdlib.h>
#include <string.h>

#include "store/local/local.h"

static const char *text_or_empty(const char *text)
{
	return text ? text : "";
}

/* The greater of prefix and marker: no name before it belongs to the page. */
static const char *first_name(const struct store_list *list)
{
	const char *prefix = text_or_empty(list->prefix);
	const char *marker = text_or_empty(list->marker);

	/* with both the same, the marker may say where within the name */
	return strcmp(marker, prefix) >= 0 && *marker ? marker : prefix;
}

static bool has_prefix(const char *name, const char *prefix, size_t length)
{
	return !strncmp(name, prefix, length);
}

/*
 * The least text that is greater than all that begin with @prefix, in place; false:
 * there is none.
 */
static bool successor(char *prefix)
{
	size_t length = strlen(prefix);

	while (length && (unsigned char)prefix[length - 1] == 0xff)
		length--;
	if (!length)
		return false;
	prefix[length - 1] = (char)((unsigned char)prefix[length - 1] + 1);
	prefix[length] = '\0';
	return true;
}

/* The page ends before @name. */
static enum store_error set_next(char **next, const char *name)
{
	*next = strdup(name);
	return *next ? STORE_OK : STORE_NO_MEMORY;
}

/* Where a page of containers starts, and whether it shows those that were deleted. */
static sqlite3_stmt *list_containers(struct db *db, const char *account,
				     const struct store_list *list)
{
	const char *first = first_name(list);
	bool marked = list->marker && first == list->marker;

	if (!(list->past & STORE_LIST_DELETED))
		return db_bind(DB_SQL(db, "SELECT c.name, " CONTAINER_COLUMNS " FROM containers c"
					  " WHERE c.account = ?1 AND c.name >= ?2"
					  " AND c.deleted = 0 ORDER BY c.name"),
			       "tt", account, first);
	return db_bind(DB_SQL(db, "SELECT c.name, " CONTAINER_COLUMNS " FROM containers c"
				  " INDEXED BY containers_kept WHERE c.account = ?1"
				  " AND (c.name, c.id) >= (?2, ?3) AND c.deleted != 1"
				  " AND (c.deleted = 0 OR c.until > ?4)"
				  " ORDER BY c.name, c.id"),
		       "ttii", account, first, marked ? list->marker_at : (int64_t)0,
		       store_now_ns());
}

enum store_error local_container_list(struct store *store, const char *account,
				      const struct store_list *list, store_container_cb *cb,
				      void *context, char **next)
{
	struct local *local = to_local(store);
	const char *prefix = text_or_empty(list->prefix);
	struct reader *reader;
	enum store_error error = reader_get(local, &reader);
	size_t count = 0;
	sqlite3_stmt *s;
	bool row;

	*next = NULL;
	if (error)
		return error;
	s = list_containers(&reader->db, account, list);
	while (!(error = db_row(&reader->db, s, &row)) && row) {
		const char *name = (const char *)sqlite3_column_text(s, 0);
		struct store_container_info info;

		if (!name || !has_prefix(name, prefix, strlen(prefix))) {
			db_reset(s);
			break;
		}
		container_of_row(s, 1, &info);
		if (count++ == list->max || !cb(context, name, &info)) {
			if (list->next_at)
				*list->next_at =
					list->past & STORE_LIST_DELETED ? (int64_t)info.version : 0;
			error = set_next(next, name);
			db_reset(s);
			break;
		}
	}
	reader_put(local, reader);
	return error;
}

struct walk {
	struct db *db;
	int64_t container;
	int64_t now; /* what is kept until then is gone, collected or not */
	const struct store_list *list;
	store_blob_cb *cb;
	void *context;
	char **next;
	size_t count;
	sqlite3_stmt *s;
	int64_t at; /* of the row, see WALK_ALL */
};

/* Gives one name or prefix to the caller; *full: the page ended before it. */
static enum store_error give(struct walk *walk, const char *name,
			     const struct store_blob_info *info, bool *full)
{
	*full = walk->count++ == walk->list->max || !walk->cb(walk->context, name, info);
	if (*full && walk->list->next_at)
		*walk->list->next_at = info ? walk->at : 0;
	return *full ? set_next(walk->next, name) : STORE_OK;
}

/* Is this kind of row asked for?  The blob itself always is. */
static bool wanted(const struct walk *walk, const struct store_blob_info *info)
{
	unsigned int past = walk->list->past;

	if (info->deleted_ns && (!(past & STORE_LIST_DELETED) || info->until_ns <= walk->now))
		return false;
	if (info->snapshot)
		return past & STORE_LIST_SNAPSHOTS;
	if (!info->current && info->version)
		return past & STORE_LIST_VERSIONS;
	return true;
}

/*
 * One row.  *seek receives where to go on when that is not the next row; it is for
 * free().  *done: the page is at its end.
 */
static enum store_error walk_row(struct walk *walk, char **seek, bool *done)
{
	const char *name = (const char *)sqlite3_column_text(walk->s, 0);
	const char *prefix = text_or_empty(walk->list->prefix);
	const char *delimiter = text_or_empty(walk->list->delimiter);
	size_t prefix_length = strlen(prefix);
	struct store_blob_info info;
	enum store_error error;
	const char *found;

	if (!name)
		return STORE_NO_MEMORY;
	if (!has_prefix(name, prefix, prefix_length)) {
		*done = true;
		return STORE_OK;
	}
	error = info_of_row(walk->s, 1, &info);
	if (error)
		return error;
	info_place(walk->s, 1 + BLOB_COLUMN_COUNT, &info);
	walk->at = sqlite3_column_int64(walk->s, 1 + BLOB_COLUMN_COUNT + 4);
	if (!wanted(walk, &info))
		return STORE_OK;
	found = *delimiter ? strstr(name + prefix_length, delimiter) : NULL;
	if (!found)
		return give(walk, name, &info, done);
	*seek = strndup(name, (size_t)(found - name) + strlen(delimiter));
	if (!*seek)
		return STORE_NO_MEMORY;
	error = give(walk, *seek, NULL, done);
	if (!error && !*done && !successor(*seek))
		*done = true;
	return error;
}

/* The blob itself comes after its past. */
#define WALK_NOW                                                                       \
	"SELECT b.name, " BLOB_COLUMNS ", " PLACE_NOW ", 9223372036854775807 AS place" \
	" FROM blobs b WHERE b.container = ?1 AND b.name >= ?2 AND ?3 IS NOT NULL"     \
	" AND ?4 IS NOT NULL"
/* Two walks in the same order, merged by SQLite row by row. */
#define WALK_ALL                                                                    \
	WALK_NOW " UNION ALL SELECT b.name, " BLOB_COLUMNS ", " PLACE_PAST ", b.at" \
		 " FROM history b WHERE b.container = ?1 AND (b.name, b.at) >= (?2, ?3)"

/* Names of which there are only uncommitted blocks: of the blob's columns nothing is set. */
#define WALK_STAGED                                                                         \
	" UNION ALL SELECT s.name, " BLOB_COLUMNS ", " PLACE_NOW ", 9223372036854775807"    \
	" FROM staged s LEFT JOIN blobs b ON b.container = s.container AND b.name = s.name" \
	" WHERE s.container = ?1 AND s.name >= ?2 AND ?3 IS NOT NULL AND b.name IS NULL"

/* A name that has versions and no blob: its newest version, at the blob's own place. */
#define WALK_ROOTS                                                                                \
	" UNION ALL SELECT b.name, " BLOB_COLUMNS ", " PLACE_ROOT ", 9223372036854775807"         \
	" FROM history b WHERE b.container = ?1 AND b.name >= ?2 AND b.kind = 2"                  \
	" AND NOT EXISTS (SELECT 1 FROM blobs n WHERE n.container = ?1 AND n.name = b.name)"      \
	" AND b.at = (SELECT max(h.at) FROM history h WHERE h.container = ?1 AND h.name = b.name" \
	"  AND h.kind = 2 AND (h.deleted = 0 OR h.until > ?4))"

static sqlite3_stmt *walk_statement(struct walk *walk)
{
	bool staged = walk->list->past & STORE_LIST_UNCOMMITTED;
	bool past = walk->list->past & ~STORE_LIST_UNCOMMITTED;
	bool roots = walk->list->past & STORE_LIST_ROOTS;

	if (roots && staged)
		return DB_SQL(walk->db, WALK_ALL WALK_ROOTS WALK_STAGED " ORDER BY 1, place");
	if (roots)
		return DB_SQL(walk->db, WALK_ALL WALK_ROOTS " ORDER BY 1, place");
	if (past && staged)
		return DB_SQL(walk->db, WALK_ALL WALK_STAGED " ORDER BY 1, place");
	if (past)
		return DB_SQL(walk->db, WALK_ALL " ORDER BY 1, place");
	if (staged)
		return DB_SQL(walk->db, WALK_NOW WALK_STAGED " ORDER BY 1, place");
	return DB_SQL(walk->db, WALK_NOW " ORDER BY b.name");
}

static enum store_error walk_blobs(struct walk *walk)
{
	const char *from = first_name(walk->list);
	const char *marker = text_or_empty(walk->list->marker);
	int64_t from_at = !strcmp(from, marker) ? walk->list->marker_at : 0;
	char *place = NULL;
	enum store_error error = STORE_OK;
	bool done = false;

	walk->s = walk_statement(walk);
	db_bind(walk->s, "itii", walk->container, from, from_at, walk->now);
	while (!done && !error) {
		char *seek = NULL;
		bool row;

		error = db_row(walk->db, walk->s, &row);
		if (error || !row)
			break;
		error = walk_row(walk, &seek, &done);
		if (seek && !done && !error) {
			db_reset(walk->s);
			db_bind(walk->s, "itii", walk->container, seek, (int64_t)0, walk->now);
			free(place);
			place = seek;
		} else {
			free(seek);
		}
	}
	db_reset(walk->s);
	free(place);
	return error;
}

/* Runs between BEGIN and COMMIT, so that container and blobs are of one moment. */
enum store_error local_blob_list(struct store *store, const struct store_ref *ref,
				 const struct store_list *list, store_blob_cb *cb, void *context,
				 char **next)
{
	struct local *local = to_local(store);
	struct walk walk = {
		.now = store_now_ns(), .list = list, .cb = cb, .context = context, .next = next
	};
	struct reader *reader;
	enum store_error error = reader_get(local, &reader), end;

	*next = NULL;
	if (error)
		return error;
	walk.db = &reader->db;
	error = db_run(walk.db, DB_SQL(walk.db, "BEGIN"));
	if (!error) {
		error = local_find_container(walk.db, ref, &walk.container);
		if (!error)
			error = walk_blobs(&walk);
		end = db_run(walk.db, DB_SQL(walk.db, "COMMIT"));
		error = error ? error : end;
	}
	reader_put(local, reader);
	return error;
}

struct blocks {
	struct db *db;
	store_block_cb *cb;
	void *context;
};

static bool give_block(const struct blocks *blocks, const void *id, size_t id_length,
		       uint64_t length, bool committed)
{
	struct store_block_id block = { 0 };

	if (id_length > STORE_MAX_BLOCK_ID)
		id_length = STORE_MAX_BLOCK_ID;
	block.length = (uint8_t)id_length;
	memcpy(block.bytes, id, id_length);
	return blocks->cb(blocks->context, &block, length, committed);
}

static enum store_error list_committed(const struct blocks *blocks, int64_t content,
				       uint64_t blob_length)
{
	struct db *db = blocks->db;
	sqlite3_stmt *s = db_bind(DB_SQL(db, "SELECT offset, block FROM pieces WHERE content = ?1"
					     " AND block IS NOT NULL ORDER BY offset"),
				  "i", content);
	uint8_t id[STORE_MAX_BLOCK_ID];
	enum store_error error;
	size_t id_length = 0;
	uint64_t offset = 0;
	bool row;

	/* a block ends where the next begins */
	while (!(error = db_row(db, s, &row)) && row) {
		uint64_t at = (uint64_t)sqlite3_column_int64(s, 0);

		if (id_length && !give_block(blocks, id, id_length, at - offset, true)) {
			db_reset(s);
			return STORE_OK;
		}
		id_length = (size_t)sqlite3_column_bytes(s, 1);
		if (id_length > sizeof(id))
			id_length = sizeof(id);
		memcpy(id, sqlite3_column_blob(s, 1), id_length);
		offset = at;
	}
	if (!error && id_length)
		give_block(blocks, id, id_length, blob_length - offset, true);
	return error;
}

static enum store_error list_uncommitted(const struct blocks *blocks, int64_t staged)
{
	struct db *db = blocks->db;
	sqlite3_stmt *s = db_bind(DB_SQL(db, "SELECT id, length FROM blocks WHERE staged = ?1"
					     " ORDER BY id"),
				  "i", staged);
	enum store_error error;
	bool row;

	while (!(error = db_row(db, s, &row)) && row)
		if (!give_block(blocks, sqlite3_column_blob(s, 0),
				(size_t)sqlite3_column_bytes(s, 0),
				(uint64_t)sqlite3_column_int64(s, 1), false)) {
			db_reset(s);
			break;
		}
	return error;
}

/* The blob's info, content, and the id of its uncommitted blocks; 0: none. */
static enum store_error find_lists(struct db *db, const struct store_ref *ref,
				   struct store_blob_info *info, int64_t *content, int64_t *staged)
{
	struct store_blob_info found;
	enum store_error error;
	bool exists, row;
	int64_t container;
	sqlite3_stmt *s;

	error = local_find_row(db, ref, &s);
	exists = !error;
	if (exists) {
		error = info_of_row(s, 0, &found);
		info_place(s, ROW_PLACE, &found);
		if (!error && found.type != STORE_BLOCK_BLOB)
			error = STORE_WRONG_BLOB_TYPE;
		if (!error)
			error = info_copy(&found, info);
		*content = sqlite3_column_int64(s, ROW_CONTENT);
		db_reset(s);
	}
	/* what is past has no uncommitted blocks */
	if ((error && error != STORE_BLOB_NOT_FOUND) || ref->snapshot || ref->version)
		return error;
	error = local_find_container(db, ref, &container);
	if (error)
		return error;
	s = db_bind(DB_SQL(db, "SELECT id FROM staged WHERE container = ?1 AND name = ?2"), "it",
		    container, ref->blob);
	error = db_row(db, s, &row);
	if (!error && row) {
		*staged = sqlite3_column_int64(s, 0);
		db_reset(s);
	}
	if (!error && !exists && !row)
		error = STORE_BLOB_NOT_FOUND;
	return error;
}

enum store_error local_block_list(struct store *store, const struct store_ref *ref, bool committed,
				  bool uncommitted, struct store_blob_info *info,
				  store_block_cb *cb, void *context)
{
	struct local *local = to_local(store);
	struct blocks blocks = { .cb = cb, .context = context };
	int64_t content = 0, staged = 0;
	struct reader *reader;
	enum store_error error = reader_get(local, &reader), end;

	*info = (struct store_blob_info){ 0 };
	if (error)
		return error;
	blocks.db = &reader->db;
	error = db_run(blocks.db, DB_SQL(blocks.db, "BEGIN"));
	if (!error) {
		error = find_lists(blocks.db, ref, info, &content, &staged);
		if (!error && committed && content)
			error = list_committed(&blocks, content, info->length);
		if (!error && uncommitted && staged)
			error = list_uncommitted(&blocks, staged);
		end = db_run(blocks.db, DB_SQL(blocks.db, "COMMIT"));
		error = error ? error : end;
	}
	reader_put(local, reader);
	if (error)
		store_blob_info_clear(info);
	return error;
}
