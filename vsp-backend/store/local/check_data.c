/* SPDX-License-Identifier: MIT */
#include "store/local/check_data.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/crc64.h"
#include "store/local/schema.h"
#include "store/local/sums.h"

#define STEP (1024u * 1024u)

static void say(struct check *c, bool problem, const char *format, va_list args)
{
	char line[512];

	vsnprintf(line, sizeof(line), format, args);
	for (char *p = line; *p; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			*p = '?';
	if (problem)
		c->result->problems++;
	c->say(c->context, problem, line);
}

void check_problem(struct check *c, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say(c, true, format, args);
	va_end(args);
}

void check_note(struct check *c, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say(c, false, format, args);
	va_end(args);
}

bool check_open(struct check *c, const char *path, char *error, size_t error_size)
{
	enum store_error result;
	char *name;

	c->path = path;
	c->dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (c->dir < 0 || faccessat(c->dir, "metadata.db", F_OK, 0)) {
		snprintf(error, error_size, "%s: %s", path,
			 c->dir < 0 ? strerror(errno) : "there is no store in it");
		return false;
	}
	if (asprintf(&name, "%s/metadata.db", path) < 0) {
		snprintf(error, error_size, "no memory");
		return false;
	}
	result = db_open(&c->db, name, false, false);
	free(name);
	if (result) {
		snprintf(error, error_size, "%s/metadata.db can't be opened: %s", path,
			 store_error_name(result));
		return false;
	}
	snprintf(error, error_size, "%s/metadata.db can't be read, see the log", path);
	/* here millions of references are sorted */
	return !db_exec(&c->db, "PRAGMA temp_store = FILE") &&
	       !schema_recognise(&c->db, path, error, error_size);
}

void check_close(struct check *c)
{
	if (c->db.handle)
		db_close(&c->db);
	if (c->dir >= 0)
		close(c->dir);
}

/* Who would have read it. */
static void name_users(struct check *c, int64_t chunk)
{
	sqlite3_stmt *s = db_bind(
		DB_SQL(&c->db, "SELECT DISTINCT n.account || '/' || n.name || '/' || b.name FROM"
			       " (SELECT container, name, chunk, content FROM blobs UNION ALL"
			       "  SELECT container, name, chunk, content FROM history) b"
			       " JOIN containers n ON n.id = b.container WHERE b.chunk = ?1 OR"
			       " (b.content != 0 AND b.content IN"
			       "  (SELECT content FROM pieces WHERE chunk = ?1 UNION"
			       "   SELECT content FROM runs WHERE chunk = ?1)) LIMIT 10"),
		"i", chunk);
	bool row;

	while (!db_row(&c->db, s, &row) && row)
		check_note(c, "  it is part of %s", (const char *)sqlite3_column_text(s, 0));
}

/* One chunk of the row that @s is at. */
struct data_chunk {
	int64_t id, file;
	uint64_t length, crc64, offset;
	const unsigned char *sums; /* NULL: one block */
};

/* Feeds bytes in order; the sum of the block that ends is compared. */
struct block_sums {
	uint64_t block, at, sum, all;
	bool bad;
};

static void add_bytes(struct block_sums *b, const struct data_chunk *chunk,
		      const unsigned char *bytes, size_t length)
{
	b->all = azb_crc64(b->all, bytes, length);
	while (chunk->sums && length) {
		size_t n = (size_t)(b->block - b->at % b->block);
		uint64_t want;

		if (n > length)
			n = length;
		b->sum = azb_crc64(b->sum, bytes, n);
		b->at += n;
		bytes += n;
		length -= n;
		if (b->at % b->block && b->at != chunk->length)
			continue;
		memcpy(&want, chunk->sums + (b->at - 1) / b->block * 8, 8);
		b->bad |= b->sum != le64toh(want);
		b->sum = 0;
	}
}

static bool file_chunk(struct check *c, const struct data_chunk *chunk, int fd,
		       struct data_sink *sink, unsigned char *step)
{
	struct block_sums sums = { .block = sums_block(chunk->length) };
	uint64_t done = 0;

	while (done < chunk->length) {
		size_t want = chunk->length - done < STEP ? (size_t)(chunk->length - done) : STEP;
		ssize_t n = pread(fd, step, want, (off_t)(chunk->offset + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			check_problem(c, "extents/%08x can't be read at %" PRIu64 ": %s",
				      (unsigned int)chunk->file, chunk->offset + done,
				      n ? strerror(errno) : "it ends there");
			name_users(c, chunk->id);
			return true;
		}
		add_bytes(&sums, chunk, step, (size_t)n);
		if (sink && !sink->take(sink, chunk->file, chunk->offset + done, step, (size_t)n))
			return false;
		done += (uint64_t)n;
		c->result->bytes += (uint64_t)n;
	}
	if (sums.all != chunk->crc64 || sums.bad) {
		check_problem(c, "extents/%08x is damaged within the %" PRIu64 " bytes at %" PRIu64,
			      (unsigned int)chunk->file, chunk->length, chunk->offset);
		name_users(c, chunk->id);
	}
	return true;
}

static void row_chunks(struct check *c)
{
	sqlite3_stmt *s = DB_SQL(&c->db, "SELECT id, crc64, data FROM chunks WHERE file IS NULL");
	bool row;

	while (!db_row(&c->db, s, &row) && row) {
		size_t length = (size_t)sqlite3_column_bytes(s, 2);
		uint64_t crc = azb_crc64(0, sqlite3_column_blob(s, 2), length);

		c->result->bytes += length;
		if (crc == (uint64_t)sqlite3_column_int64(s, 1))
			continue;
		check_problem(c, "metadata.db is damaged within chunk %lld",
			      (long long)sqlite3_column_int64(s, 0));
		name_users(c, sqlite3_column_int64(s, 0));
	}
}

bool check_data(struct check *c, struct data_sink *sink)
{
	unsigned char *step = malloc(STEP);
	int64_t open_file = 0;
	bool more = true, row;
	sqlite3_stmt *s;
	int fd = -1;

	if (!step) {
		check_problem(c, "no memory");
		return false;
	}
	s = DB_SQL(&c->db, "SELECT k.id, k.file, k.offset, k.length, k.crc64, s.bytes FROM chunks k"
			   " LEFT JOIN sums s ON s.chunk = k.id WHERE k.file IS NOT NULL"
			   " ORDER BY k.file, k.offset");
	while (more && !db_row(&c->db, s, &row) && row) {
		struct data_chunk chunk = {
			.id = sqlite3_column_int64(s, 0),
			.file = sqlite3_column_int64(s, 1),
			.offset = (uint64_t)sqlite3_column_int64(s, 2),
			.length = (uint64_t)sqlite3_column_int64(s, 3),
			.crc64 = (uint64_t)sqlite3_column_int64(s, 4),
			.sums = sqlite3_column_blob(s, 5),
		};

		if (chunk.sums &&
		    (uint64_t)sqlite3_column_bytes(s, 5) != sums_count(chunk.length) * 8) {
			check_problem(c, "chunk %lld has a wrong number of checksums",
				      (long long)chunk.id);
			chunk.sums = NULL;
		}
		if (chunk.file != open_file) {
			char name[40];

			if (fd >= 0)
				close(fd);
			snprintf(name, sizeof(name), "extents/%08x", (unsigned int)chunk.file);
			fd = openat(c->dir, name, O_RDONLY | O_CLOEXEC);
			open_file = chunk.file;
			if (fd >= 0)
				posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
			else
				check_problem(c, "%s: %s", name, strerror(errno));
		}
		if (fd >= 0)
			more = file_chunk(c, &chunk, fd, sink, step);
	}
	if (!more)
		db_reset(s);
	else
		row_chunks(c);
	if (fd >= 0)
		close(fd);
	free(step);
	return more;
}
