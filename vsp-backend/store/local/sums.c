/* SPDX-License-Identifier: MIT */
#include "store/local/sums.h"

#include <endian.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/crc64.h"
#include "base/log.h"
#include "store/local/local.h"

void sums_init(struct local *local)
{
	/* pages of it exist when they are used */
	local->seen.tags = calloc(SUMS_SEEN, sizeof(*local->seen.tags));
}

void sums_end(struct local *local)
{
	free(local->seen.tags);
}

void sums_forget(struct local *local)
{
	for (size_t i = 0; local->seen.tags && i < SUMS_SEEN; i++)
		if (atomic_load_explicit(&local->seen.tags[i], memory_order_relaxed))
			atomic_store_explicit(&local->seen.tags[i], 0, memory_order_relaxed);
}

enum store_error sums_add(struct local *local, int64_t chunk, const uint64_t *sums, uint64_t count)
{
	struct db *db = &local->writer.db;
	uint64_t *bytes = malloc(count * sizeof(*bytes));
	enum store_error error;

	if (!bytes)
		return STORE_NO_MEMORY;
	for (uint64_t i = 0; i < count; i++)
		bytes[i] = htole64(sums[i]);
	error = db_run(db, db_bind(DB_SQL(db, "INSERT INTO sums(chunk, bytes) VALUES (?1, ?2)"),
				   "ib", chunk, bytes, (size_t)count * sizeof(*bytes)));
	free(bytes);
	return error;
}

/*
 * What stands for a block of a chunk.  It changes with the chunk's id, place and content, so
 * that space and ids that are used again need no care.
 */
static uint64_t tag_of(const struct chunk *chunk, uint64_t start)
{
	uint64_t tag = chunk->crc64 ^ ((uint64_t)chunk->id * UINT64_C(0x9e3779b97f4a7c15));

	tag ^= (chunk->offset + start) * UINT64_C(0xc2b2ae3d27d4eb4f);
	tag ^= ((uint64_t)chunk->file->id + 1) * UINT64_C(0x165667b19e3779f9);
	tag ^= tag >> 29;
	tag *= UINT64_C(0xbf58476d1ce4e5b9);
	tag ^= tag >> 32;
	return tag ? tag : 1;
}

/*
 * The places that a block's tag may have.  A chunk's blocks are neighbours there: a large read
 * goes through the table in order, and no block puts one of its own chunk out.
 */
static _Atomic uint64_t *set_of(struct local *local, const struct chunk *chunk, uint64_t start)
{
	uint64_t at = (uint64_t)chunk->id * UINT64_C(0x9e3779b97f4a7c15) >> 24;

	at += start / SUMS_BLOCK_MIN;
	return local->seen.tags ? &local->seen.tags[at % (SUMS_SEEN / SUMS_WAYS) * SUMS_WAYS]
				: NULL;
}

static bool was_seen(struct local *local, const struct chunk *chunk, uint64_t start)
{
	uint64_t tag = tag_of(chunk, start);
	_Atomic uint64_t *set = set_of(local, chunk, start);

	if (local->verify != SUMS_FIRST || !set)
		return false;
	for (unsigned int i = 0; i < SUMS_WAYS; i++) {
		if (atomic_load_explicit(&set[i], memory_order_relaxed) == tag)
			return true;
	}
	return false;
}

/*
 * Into an empty place, or one that the tag's upper bits choose.  Two threads that take the same
 * place lose one of the two, which costs another look.
 */
static void set_seen(struct local *local, const struct chunk *chunk, uint64_t start)
{
	uint64_t tag = tag_of(chunk, start), there;
	_Atomic uint64_t *set = set_of(local, chunk, start);
	unsigned int at = (unsigned int)(tag >> 32) % SUMS_WAYS;

	if (!set)
		return;
	for (unsigned int i = 0; i < SUMS_WAYS; i++) {
		there = atomic_load_explicit(&set[i], memory_order_relaxed);
		if (!there || there == tag) {
			at = i;
			break;
		}
	}
	atomic_store_explicit(&set[at], tag, memory_order_relaxed);
}

/* The checksums @first to @first + @count of a chunk; false: it has none. */
static enum store_error load(struct local *local, const struct chunk *chunk, uint64_t first,
			     uint64_t count, uint64_t *sums, bool *found)
{
	uint64_t all = sums_count(chunk->length);
	struct reader *reader;
	enum store_error error;
	sqlite3_stmt *s;

	*found = true;
	if (all == 1) {
		sums[0] = chunk->crc64;
		return STORE_OK;
	}
	error = reader_get(local, &reader);
	if (error)
		return error;
	s = db_bind(DB_SQL(&reader->db, "SELECT bytes FROM sums WHERE chunk = ?1"), "i", chunk->id);
	error = db_row(&reader->db, s, found);
	if (!error && *found) {
		if ((uint64_t)sqlite3_column_bytes(s, 0) != all * sizeof(*sums)) {
			azb_log(AZB_LOG_ERROR,
				"store: %s: chunk %" PRId64 ": a wrong number of "
				"checksums",
				local->path, chunk->id);
			error = STORE_CORRUPT;
		} else {
			memcpy(sums, (const uint64_t *)sqlite3_column_blob(s, 0) + first,
			       count * sizeof(*sums));
			for (uint64_t i = 0; i < count; i++)
				sums[i] = le64toh(sums[i]);
		}
		db_reset(s);
	}
	reader_put(local, reader);
	return error;
}

/* Reads one block, or with @slice as large as several of them a part of it, and compares. */
static enum store_error check_block(struct local *local, const struct chunk *chunk, uint64_t start,
				    uint64_t length, uint64_t want, void *slice)
{
	uint64_t crc = 0, done = 0;

	while (done < length) {
		size_t n = length - done < SLICE ? (size_t)(length - done) : SLICE;
		enum store_error error =
			extent_read(chunk->file->fd, chunk->offset + start + done, slice, n);

		if (error)
			return error;
		crc = azb_crc64(crc, slice, n);
		done += n;
	}
	atomic_fetch_add_explicit(&local->numbers.checked, length, memory_order_relaxed);
	if (crc == want) {
		set_seen(local, chunk, start);
		return STORE_OK;
	}
	atomic_fetch_add_explicit(&local->numbers.damaged, 1, memory_order_relaxed);
	azb_log(AZB_LOG_ERROR,
		"store: %s/extents/%08x: damaged: the %" PRIu64 " bytes at %" PRIu64
		" have checksum %016" PRIx64 ", not %016" PRIx64 "; they are not served",
		local->path, chunk->file->id, length, chunk->offset + start, crc, want);
	return STORE_CORRUPT;
}

static uint64_t end_of(const struct chunk *chunk, uint64_t block, uint64_t start)
{
	return chunk->length - start < block ? chunk->length : start + block;
}

enum store_error sums_check(struct local *local, const struct chunk *chunk, uint64_t offset,
			    uint64_t length, uint64_t *budget, uint64_t *good)
{
	uint64_t block = sums_block(chunk->length), end = offset + length;
	uint64_t at = offset / block * block, first, count;
	uint64_t *sums = NULL;
	enum store_error error;
	void *slice = NULL;
	bool found;

	*good = length;
	if (local->verify == SUMS_NEVER)
		return STORE_OK;
	while (at < end && was_seen(local, chunk, at))
		at += block;
	if (at >= end)
		return STORE_OK;
	if (at > offset && !*budget) {
		*good = at - offset;
		return STORE_OK;
	}
	first = at / block;
	count = (end - 1) / block - first + 1;
	sums = malloc(count * sizeof(*sums));
	error = sums ? load(local, chunk, first, count, sums, &found) : STORE_NO_MEMORY;
	if (!error) {
		slice = slice_get(local);
		error = slice ? STORE_OK : STORE_NO_MEMORY;
	}
	if (!error && !found) {
		/* one block as large as the chunk, known by its first one */
		block = chunk->length;
		at = 0;
		sums[0] = chunk->crc64;
		first = 0;
		if (was_seen(local, chunk, 0))
			goto out;
	}
	for (; at < end && !error; at = end_of(chunk, block, at)) {
		uint64_t stop = end_of(chunk, block, at);

		if (was_seen(local, chunk, at))
			continue;
		if (!*budget && at > offset) {
			*good = at - offset;
			break;
		}
		error = check_block(local, chunk, at, stop - at, sums[at / block - first], slice);
		*budget -= *budget < stop - at ? *budget : stop - at;
	}
out:
	slice_put(local, slice);
	free(sums);
	return error;
}
