/* SPDX-License-Identifier: MIT */
/*
 * azblob-vspd check: rules that a store keeps, each a query that finds what breaks it.  Nothing
 * here repairs: a store that needs it has met something this program does not know.
 */
#include "store/local/check.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/local/check_data.h"
#include "store/local/db.h"
#include "store/local/schema.h"

/* Lines of one rule; a store that is broken all over needs no list of everything. */
#define LINES_MAX 20

/* Who refers to chunks: each row is one reference. */
#define CHUNK_USERS                                                                                \
	"WITH users(chunk) AS MATERIALIZED ("                                                      \
	" SELECT chunk FROM blobs WHERE chunk != 0"                                                \
	" UNION ALL SELECT chunk FROM history WHERE chunk != 0"                                    \
	" UNION ALL SELECT chunk FROM pieces"                                                      \
	" UNION ALL SELECT chunk FROM runs WHERE chunk != 0"                                       \
	" UNION ALL SELECT chunk FROM blocks WHERE chunk != 0 AND taken = 0"                       \
	" UNION ALL SELECT what FROM garbage WHERE kind = 1 AND what IN (SELECT id FROM chunks))," \
	" counts AS (SELECT chunk, count(*) AS n FROM users GROUP BY chunk) "

/* The same for contents that are counted; looks at runs are not. */
#define CONTENT_USERS                                                            \
	"WITH users(content) AS MATERIALIZED ("                                  \
	" SELECT content FROM blobs WHERE content != 0 AND seen = 0"             \
	" UNION ALL SELECT content FROM history WHERE content != 0 AND seen = 0" \
	" UNION ALL SELECT content FROM blocks WHERE content != 0 AND taken = 0" \
	" UNION ALL SELECT what FROM garbage WHERE kind = 2"                     \
	"  AND what IN (SELECT id FROM contents)),"                              \
	" counts AS (SELECT content, count(*) AS n FROM users GROUP BY content) "

static const char *const rules[] = {
	CHUNK_USERS
	"SELECT printf('chunk %d has %d users and counts %d', k.id, ifnull(n, 0), k.refs)"
	" FROM chunks k LEFT JOIN counts c ON c.chunk = k.id WHERE k.refs IS NOT ifnull(n, 0)",
	CHUNK_USERS "SELECT printf('chunk %d does not exist and has %d users', c.chunk, n)"
		    " FROM counts c LEFT JOIN chunks k ON k.id = c.chunk WHERE k.id IS NULL",
	CONTENT_USERS
	"SELECT printf('content %d has %d users and counts %d', k.id, ifnull(n, 0), k.refs)"
	" FROM contents k LEFT JOIN counts c ON c.content = k.id"
	" WHERE k.live = 0 AND k.id NOT IN (SELECT content FROM runs)"
	" AND k.id NOT IN (SELECT what FROM garbage WHERE kind = 5)"
	" AND k.refs IS NOT ifnull(n, 0)",
	CONTENT_USERS "SELECT printf('content %d does not exist and has %d users', c.content, n)"
		      " FROM counts c LEFT JOIN contents k ON k.id = c.content WHERE k.id IS NULL",
	"SELECT printf('blob %d/%s has both chunk %d and content %d', container, name, chunk,"
	" content) FROM blobs WHERE chunk != 0 AND content != 0",
	"SELECT printf('content %d of pieces: a gap before byte %d', content, offset) FROM"
	" (SELECT content, offset, lag(offset + length, 1, 0)"
	"  OVER (PARTITION BY content ORDER BY offset) AS before FROM pieces)"
	" WHERE offset != before AND NOT EXISTS"
	/* one that is being taken apart has lost its first pieces */
	" (SELECT 1 FROM garbage g WHERE g.kind = 2 AND g.what = content)",
	"SELECT printf('content %d: the piece at %d is not within chunk %d', p.content, p.offset,"
	" p.chunk) FROM pieces p JOIN chunks k ON k.id = p.chunk WHERE p.length <= 0 OR"
	" p.chunk_offset < 0 OR p.chunk_offset + p.length > k.length",
	"SELECT printf('content %d: the run at %d is not within chunk %d', r.content, r.offset,"
	" r.chunk) FROM runs r JOIN chunks k ON k.id = r.chunk WHERE r.length <= 0 OR"
	" r.chunk_offset < 0 OR r.chunk_offset + r.length > k.length",
	"SELECT printf('blob %d/%s has %d bytes and its chunk %d', b.container, b.name, b.length,"
	" k.length) FROM blobs b JOIN chunks k ON k.id = b.chunk WHERE b.length != k.length",
	"SELECT printf('blob %d/%s has not the checksum of its chunk', b.container, b.name)"
	" FROM blobs b JOIN chunks k ON k.id = b.chunk"
	" WHERE b.crc64 IS NOT NULL AND b.crc64 != k.crc64",
	"SELECT printf('blob %d/%s has %d bytes and its pieces %d', b.container, b.name, b.length,"
	" (SELECT sum(length) FROM pieces p WHERE p.content = b.content)) FROM blobs b"
	" WHERE b.content != 0 AND b.seen = 0 AND b.length IS NOT"
	" (SELECT sum(length) FROM pieces p WHERE p.content = b.content)",
	"SELECT printf('blob %d/%s has %d bytes and no data', container, name, length)"
	" FROM blobs WHERE chunk = 0 AND content = 0 AND length != 0",
	"SELECT printf('blob %d/%s is in no container', container, name) FROM blobs"
	" WHERE container NOT IN (SELECT id FROM containers)",
	"SELECT printf('history of %d/%s is in no container', container, name) FROM history"
	" WHERE container NOT IN (SELECT id FROM containers)",
	"SELECT printf('copy to %d/%s, which does not exist', container, name) FROM copies"
	" WHERE (container, name) NOT IN (SELECT container, name FROM blobs)",
	"SELECT printf('uncommitted blocks of %d/%s are in no container', container, name)"
	" FROM staged WHERE container IS NOT NULL AND container NOT IN"
	" (SELECT id FROM containers)",
	"SELECT printf('a block of list %d, which does not exist', staged) FROM blocks"
	" WHERE staged NOT IN (SELECT id FROM staged) GROUP BY staged",
	"SELECT printf('list %d has %d blocks and counts %d', s.id,"
	" (SELECT count(*) FROM blocks b WHERE b.staged = s.id), s.count) FROM staged s"
	" WHERE s.container IS NOT NULL AND s.count !="
	" (SELECT count(*) FROM blocks b WHERE b.staged = s.id)",
	"SELECT printf('garbage %d is of kind %d', id, kind) FROM garbage"
	" WHERE kind NOT BETWEEN 1 AND 5",
	/* a container or list that was dropped and has nothing that will take it apart */
	"SELECT printf('deleted container %d is not in garbage', id) FROM containers"
	" WHERE deleted = 1 AND id NOT IN (SELECT what FROM garbage WHERE kind = 3)",
	"SELECT printf('dropped list %d is not in garbage', id) FROM staged"
	" WHERE container IS NULL AND id NOT IN (SELECT what FROM garbage WHERE kind = 4)",
	"SELECT printf('chunk %d is neither in a file nor in its row, or in both', id) FROM chunks"
	" WHERE (file IS NULL) != (offset IS NULL) OR (file IS NULL) = (data IS NULL)",
	"SELECT printf('chunk %d has %d bytes in its row instead of %d', id, length(data), length)"
	" FROM chunks WHERE data IS NOT NULL AND length(data) != length",
	"SELECT printf('chunk %d is not within its file', id) FROM chunks WHERE file IS NOT NULL"
	" AND (length <= 0 OR offset < 0 OR offset % 4096 != 0 OR offset + length > 1073741824)",
	"SELECT printf('chunk %d overlaps the one before it in file %08x', id, file) FROM"
	" (SELECT id, file, offset, lag(offset + length, 1, 0)"
	"  OVER (PARTITION BY file ORDER BY offset) AS before FROM chunks WHERE file IS NOT NULL)"
	" WHERE offset < before",
	"SELECT printf('file %08x, which has chunks, is not known', file) FROM chunks"
	" WHERE file IS NOT NULL AND file NOT IN (SELECT id FROM files) GROUP BY file",
	"SELECT printf('file %08x has %d bytes in use and counts %d', f.id, ifnull(n, 0), f.used)"
	" FROM files f LEFT JOIN (SELECT file, sum((length + 4095) / 4096 * 4096) AS n FROM chunks"
	" WHERE file IS NOT NULL GROUP BY file) c ON c.file = f.id WHERE f.used != ifnull(n, 0)",
	"SELECT printf('checksums of chunk %d, which does not exist', chunk) FROM sums"
	" WHERE chunk NOT IN (SELECT id FROM chunks)",
	"SELECT printf('file %08x, which has space to clean, is not known', file) FROM dirty"
	" WHERE file NOT IN (SELECT id FROM files) GROUP BY file",
};

/* Prints what a query finds.  False: it can't be run. */
static bool run_rule(struct check *c, const char *sql)
{
	sqlite3_stmt *s = NULL;
	int found = 0, code;

	code = sqlite3_prepare_v2(c->db.handle, sql, -1, &s, NULL);
	if (code == SQLITE_OK)
		while ((code = sqlite3_step(s)) == SQLITE_ROW)
			if (++found <= LINES_MAX)
				check_problem(c, "%s", (const char *)sqlite3_column_text(s, 0));
	sqlite3_finalize(s);
	if (found > LINES_MAX)
		check_problem(c, "and %d more like these", found - LINES_MAX);
	if (code != SQLITE_DONE)
		check_problem(c, "metadata.db can't be read: %s", sqlite3_errmsg(c->db.handle));
	return code == SQLITE_DONE;
}

static bool check_database(struct check *c)
{
	sqlite3_stmt *s = NULL;
	bool good = true, readable = false;

	if (sqlite3_prepare_v2(c->db.handle, "PRAGMA integrity_check(20)", -1, &s, NULL) ==
	    SQLITE_OK)
		while (sqlite3_step(s) == SQLITE_ROW) {
			const char *line = (const char *)sqlite3_column_text(s, 0);

			readable = true;
			if (line && !strcmp(line, "ok"))
				continue;
			check_problem(c, "metadata.db: %s", line ? line : "?");
			good = false;
		}
	if (sqlite3_finalize(s) != SQLITE_OK || !readable) {
		check_problem(c, "metadata.db can't be read: %s", sqlite3_errmsg(c->db.handle));
		return false;
	}
	return good;
}

static bool is_extent(const char *name, int64_t *id)
{
	char *end;

	*id = strtol(name, &end, 16);
	return strlen(name) == 8 && !*end && *id > 0;
}

/* Every file that metadata knows is there; others are left from a crash and do no harm. */
static void check_files(struct check *c)
{
	int fd = openat(c->dir, "extents", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	sqlite3_stmt *s = DB_SQL(&c->db, "SELECT id FROM files");
	struct dirent *entry;
	struct stat st;
	int64_t id;
	bool row;

	if (!dir) {
		check_problem(c, "extents: %s", strerror(errno));
		if (fd >= 0)
			close(fd);
		return;
	}
	while (!db_row(&c->db, s, &row) && row) {
		char name[16];

		snprintf(name, sizeof(name), "%08x", (unsigned int)sqlite3_column_int64(s, 0));
		if (fstatat(fd, name, &st, 0))
			check_problem(c, "extents/%s: %s", name, strerror(errno));
		else if ((uint64_t)st.st_size != EXTENT_FILE_SIZE)
			check_problem(c, "extents/%s has %lld bytes instead of %llu", name,
				      (long long)st.st_size, (unsigned long long)EXTENT_FILE_SIZE);
	}
	while ((entry = readdir(dir))) {
		bool known = false;

		if (entry->d_name[0] == '.')
			continue;
		if (is_extent(entry->d_name, &id)) {
			s = db_bind(DB_SQL(&c->db, "SELECT 1 FROM files WHERE id = ?1"), "i", id);
			if (!db_row(&c->db, s, &known) && known)
				db_reset(s);
		}
		if (!known)
			check_note(c,
				   "extents/%s is not used; the store replaces it when it needs "
				   "the name",
				   entry->d_name);
	}
	closedir(dir);
}

void check_count(struct check *c)
{
	static const char sql[] = "SELECT (SELECT count(*) FROM containers WHERE deleted = 0),"
				  " (SELECT count(*) FROM blobs), (SELECT count(*) FROM chunks)";
	sqlite3_stmt *s = DB_SQL(&c->db, sql);
	bool row;

	if (db_row(&c->db, s, &row) || !row)
		return;
	c->result->containers = (uint64_t)sqlite3_column_int64(s, 0);
	c->result->blobs = (uint64_t)sqlite3_column_int64(s, 1);
	c->result->chunks = (uint64_t)sqlite3_column_int64(s, 2);
	db_reset(s);
}

bool local_check(const char *path, bool data, check_say *say, void *context,
		 struct check_result *result, char *error, size_t error_size)
{
	struct check c = { .say = say, .context = context, .result = result };
	int lock = -1;
	bool opened;

	*result = (struct check_result){ 0 };
	opened = check_open(&c, path, error, error_size);
	if (opened) {
		lock = openat(c.dir, "lock", O_RDONLY | O_CLOEXEC);
		if (lock >= 0 && flock(lock, LOCK_EX | LOCK_NB)) {
			snprintf(error, error_size,
				 "%s is in use; stop the daemon, or check a backup of it", path);
			opened = false;
		}
	}
	/* rules mean nothing over tables that can't be read */
	if (opened && check_database(&c)) {
		bool readable = true;

		for (size_t i = 0; readable && i < sizeof(rules) / sizeof(rules[0]); i++)
			readable = run_rule(&c, rules[i]);
		if (readable) {
			check_count(&c);
			check_files(&c);
			if (data)
				check_data(&c, NULL);
		}
	}
	check_close(&c);
	if (lock >= 0)
		close(lock);
	return opened;
}
