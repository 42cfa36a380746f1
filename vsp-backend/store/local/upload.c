/* SPDX-License-Identifier: MIT */
/*
 * Uploads: bytes on their way into extents, or into memory if they are few.
 *
 * A part is kept as spans that end where extents end, each with its checksum, so that
 * the checksum of every extent and of the whole comes from combining theirs.
 */
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "base/crc64.h"
#include "base/log.h"
#include "base/waiting.h"
#include "store/local/local.h"

static struct local_upload *to_upload(struct store_upload *upload)
{
	return (struct local_upload *)(void *)upload;
}

void slices_init(struct local *local)
{
	pthread_mutex_init(&local->slices.lock, NULL);
	pthread_cond_init(&local->slices.freed, NULL);
}

void slices_end(struct local *local)
{
	while (local->slices.free_count)
		free(local->slices.free[--local->slices.free_count]);
	pthread_cond_destroy(&local->slices.freed);
	pthread_mutex_destroy(&local->slices.lock);
}

unsigned char *slice_get(struct local *local)
{
	struct slices *slices = &local->slices;
	unsigned char *slice;

	pthread_mutex_lock(&slices->lock);
	while (!slices->free_count && slices->made == SLICES_MAX) {
		azb_waiting_begin();
		pthread_cond_wait(&slices->freed, &slices->lock);
		azb_waiting_end();
	}
	if (slices->free_count) {
		slice = slices->free[--slices->free_count];
	} else {
		slice = malloc(SLICE);
		slices->made += slice != NULL;
	}
	pthread_mutex_unlock(&slices->lock);
	return slice;
}

void slice_put(struct local *local, unsigned char *slice)
{
	struct slices *slices = &local->slices;

	if (!slice)
		return;
	pthread_mutex_lock(&slices->lock);
	slices->free[slices->free_count++] = slice;
	pthread_cond_signal(&slices->freed);
	pthread_mutex_unlock(&slices->lock);
}

static void free_extents(struct local_upload *u)
{
	size_t count = (u->upload.size + EXTENT_FILE_SIZE - 1) / EXTENT_FILE_SIZE;

	for (size_t i = 0; u->extents && i < count; i++)
		free(u->extents[i].sums);
	free(u->extents);
	u->extents = NULL;
}

static void free_upload(struct local_upload *u)
{
	EVP_MD_CTX_free(u->md5);
	free(u->bytes);
	free_extents(u);
	free(u->spans);
	pthread_cond_destroy(&u->written);
	pthread_mutex_destroy(&u->lock);
	free(u);
}

static void abort_extents(struct local_upload *u)
{
	struct local *local = to_local(u->upload.store);

	for (size_t i = 0; i < u->extent_count; i++)
		alloc_abort(local, &u->extents[i]);
	u->extent_count = 0;
}

static enum store_error take_extents(struct local_upload *u)
{
	struct local *local = to_local(u->upload.store);
	size_t count = (u->upload.size + EXTENT_FILE_SIZE - 1) / EXTENT_FILE_SIZE;
	uint64_t start = 0;

	u->extents = calloc(count, sizeof(*u->extents));
	if (!u->extents)
		return STORE_NO_MEMORY;
	while (start < u->upload.size) {
		struct extent *extent = &u->extents[u->extent_count];
		uint64_t length = u->upload.size - start;
		enum store_error error;

		if (length > EXTENT_FILE_SIZE)
			length = EXTENT_FILE_SIZE;
		if (sums_count(length) > 1) {
			extent->sums = calloc(sums_count(length), sizeof(*extent->sums));
			if (!extent->sums) {
				abort_extents(u);
				return STORE_NO_MEMORY;
			}
		}
		error = alloc_extent(local, length, extent);
		if (error) {
			abort_extents(u);
			return error;
		}
		extent->start = start;
		start += length;
		u->extent_count++;
	}
	return STORE_OK;
}

enum store_error local_upload_begin(struct store *store, uint64_t size, unsigned int flags,
				    struct store_upload **upload)
{
	struct local *local = to_local(store);
	enum store_error error = alloc_room(local, size);
	struct local_upload *u;

	if (error)
		return error;
	u = calloc(1, sizeof(*u));
	if (!u)
		return STORE_NO_MEMORY;
	u->upload.store = store;
	u->upload.size = size;
	u->flags = flags;
	pthread_mutex_init(&u->lock, NULL);
	pthread_cond_init(&u->written, NULL);
	if (flags & STORE_UPLOAD_MD5) {
		u->md5 = EVP_MD_CTX_new();
		if (!u->md5 || !EVP_DigestInit_ex(u->md5, EVP_md5(), NULL))
			error = STORE_NO_MEMORY;
	}
	if (!error && size > INLINE_MAX) {
		error = take_extents(u);
	} else if (!error && size) {
		u->bytes = malloc(size);
		error = u->bytes ? STORE_OK : STORE_NO_MEMORY;
	}
	if (error) {
		free_upload(u);
		return error;
	}
	*upload = &u->upload;
	return STORE_OK;
}

void local_upload_abort(struct store_upload *upload)
{
	struct local_upload *u = to_upload(upload);

	abort_extents(u);
	free_upload(u);
}

void local_upload_committed(struct local_upload *u)
{
	struct local *local = to_local(u->upload.store);

	for (size_t i = 0; i < u->extent_count; i++)
		alloc_commit(local, &u->extents[i]);
	free_upload(u);
}

/* The index of the first span that ends after @offset.  Under u->lock. */
static size_t span_at(const struct local_upload *u, uint64_t offset)
{
	size_t low = 0, high = u->span_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (u->spans[middle].offset + u->spans[middle].length > offset)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

static const struct extent *extent_at(const struct local_upload *u, uint64_t offset)
{
	return &u->extents[offset / EXTENT_FILE_SIZE];
}

/* Is the part that begins with span @i exactly this one?  *count: its spans. */
static bool same_part(const struct local_upload *u, size_t i, uint64_t offset, uint64_t length,
		      size_t *count)
{
	uint64_t have = 0;

	if (u->spans[i].offset != offset || !u->spans[i].head)
		return false;
	for (*count = 0; i < u->span_count && (!*count || !u->spans[i].head); i++, ++*count) {
		if (u->spans[i].offset != offset + have)
			break;
		have += u->spans[i].length;
	}
	return have == length;
}

static void remove_spans(struct local_upload *u, size_t i, size_t count)
{
	memmove(&u->spans[i], &u->spans[i + count],
		(u->span_count - i - count) * sizeof(*u->spans));
	u->span_count -= count;
}

/* What the running MD5 has seen does not count.  Under u->lock. */
static void restart_md5(struct local_upload *u)
{
	u->md5_stale = u->md5_busy; /* who is using it restarts it afterwards */
	if (u->md5_busy)
		return;
	u->md5_at = 0;
	EVP_DigestInit_ex(u->md5, EVP_md5(), NULL);
}

/*
 * Makes the spans of a part, in the state SPAN_WRITING.  A part that is there
 * already is written again, after whoever is writing it.
 */
static enum store_error begin_part(struct local_upload *u, uint64_t offset, uint64_t length)
{
	uint64_t at = offset, end = offset + length;
	size_t i, need, count;

	for (;;) {
		i = span_at(u, offset);
		if (i == u->span_count || u->spans[i].offset >= end)
			break;
		if (u->flags & STORE_UPLOAD_STREAM || !same_part(u, i, offset, length, &count))
			return STORE_OVERLAP;
		/* the spans of a part change their state together */
		if (u->spans[i].state == SPAN_DONE) {
			remove_spans(u, i, count);
			break;
		}
		azb_waiting_begin();
		pthread_cond_wait(&u->written, &u->lock);
		azb_waiting_end();
	}
	need = (size_t)((end - 1) / EXTENT_FILE_SIZE - offset / EXTENT_FILE_SIZE) + 1;
	if (u->span_count + need > STORE_MAX_PARTS)
		return STORE_TOO_MANY_PARTS;
	if (u->span_count + need > u->span_room) {
		size_t room = u->span_room ? u->span_room * 2 : 8;
		struct span *spans;

		while (room < u->span_count + need)
			room *= 2;
		spans = realloc(u->spans, room * sizeof(*spans));
		if (!spans)
			return STORE_NO_MEMORY;
		u->spans = spans;
		u->span_room = room;
	}
	memmove(&u->spans[i + need], &u->spans[i], (u->span_count - i) * sizeof(*u->spans));
	u->span_count += need;
	for (; at < end; i++) {
		uint64_t border = (at / EXTENT_FILE_SIZE + 1) * EXTENT_FILE_SIZE;
		uint64_t stop = border < end ? border : end;

		u->spans[i] = (struct span){ .offset = at,
					     .length = stop - at,
					     .state = SPAN_WRITING,
					     .head = at == offset };
		at = stop;
	}
	/* bytes that the running MD5 has seen are about to change: start again */
	if (u->md5 && offset < u->md5_at)
		restart_md5(u);
	return STORE_OK;
}

/* Joins finished spans @i and @i + 1 of a stream if they are in a row. */
static void join(struct local_upload *u, size_t i)
{
	struct span *a = &u->spans[i], *b = a + 1;

	if (i + 1 >= u->span_count || a->state != SPAN_DONE || b->state != SPAN_DONE ||
	    a->offset + a->length != b->offset || b->offset % EXTENT_FILE_SIZE == 0)
		return;
	if (!u->bytes)
		upload_sums_join(extent_at(u, a->offset), a, b);
	a->sums.crc64 = azb_crc64_combine(a->sums.crc64, b->sums.crc64, b->length);
	a->length += b->length;
	remove_spans(u, i + 1, 1);
}

/* The part has been written, or not.  @sums: of its spans.  Under u->lock. */
static void end_part(struct local_upload *u, uint64_t offset, uint64_t length,
		     const struct span_sums *sums, bool done)
{
	size_t first = span_at(u, offset), i = first;
	size_t count = 0;

	for (; i < u->span_count && u->spans[i].offset < offset + length; i++, count++) {
		u->spans[i].state = SPAN_DONE;
		if (done)
			u->spans[i].sums = sums[count];
	}
	if (!done)
		remove_spans(u, first, count);
	else if (u->flags & STORE_UPLOAD_STREAM) {
		while (count--)
			join(u, first + count);
		if (first)
			join(u, first - 1);
	}
	pthread_cond_broadcast(&u->written);
}

/* Where in a caller's buffers we are. */
struct source {
	const struct iovec *iov;
	int iovcnt;
	size_t used; /* of the first one */
};

/* The next bytes in one piece, at most @max. */
static const unsigned char *next_run(struct source *source, size_t max, size_t *length)
{
	const unsigned char *p;

	while (source->iovcnt && source->used == source->iov->iov_len) {
		source->iov++;
		source->iovcnt--;
		source->used = 0;
	}
	*length = source->iov->iov_len - source->used;
	if (*length > max)
		*length = max;
	p = (const unsigned char *)source->iov->iov_base + source->used;
	source->used += *length;
	return p;
}

/* The next @length bytes as one piece that nobody else can change, or NULL. */
static const unsigned char *next_slice(struct local *local, struct source *source, size_t length,
				       unsigned int flags, unsigned char **slice)
{
	size_t have, n;
	const unsigned char *p = next_run(source, length, &n);

	if (flags & STORE_WRITE_PRIVATE && n == length)
		return p;
	if (!*slice)
		*slice = slice_get(local);
	if (!*slice)
		return NULL;
	memcpy(*slice, p, n);
	for (have = n; have < length; have += n) {
		p = next_run(source, length - have, &n);
		memcpy(*slice + have, p, n);
	}
	return *slice;
}

/* Moves the bytes of one span, which must lie in one extent. */
static enum store_error write_span(struct local_upload *u, uint64_t offset, uint64_t length,
				   struct source *source, unsigned int flags, bool md5,
				   struct span_sums *sums)
{
	const struct extent *extent = u->bytes ? NULL : extent_at(u, offset);
	struct local *local = to_local(u->upload.store);
	uint64_t start = offset, end = offset + length;
	enum store_error error = STORE_OK;
	unsigned char *slice = NULL;
	struct summing summing;

	upload_sums_begin(&summing, extent, offset);
	while (offset < end) {
		size_t n = end - offset < SLICE ? (size_t)(end - offset) : SLICE;
		const unsigned char *p = next_slice(local, source, n, flags, &slice);

		if (!p)
			error = STORE_NO_MEMORY;
		else if (u->bytes)
			memcpy(u->bytes + offset, p, n);
		else
			error = extent_write(extent->file,
					     extent->offset + (offset - extent->start), p, n);
		if (error)
			break;
		upload_sums_add(&summing, p, n);
		if (md5)
			EVP_DigestUpdate(u->md5, p, n);
		offset += n;
	}
	slice_put(local, slice);
	if (error)
		return error;
	/* let the disk start now: less is left for the sync before the commit */
	if (extent && length >= 1024 * 1024)
		sync_file_range(extent->file->fd, (off_t)(extent->offset + (start - extent->start)),
				(off_t)length, SYNC_FILE_RANGE_WRITE);
	*sums = upload_sums_end(&summing);
	return STORE_OK;
}

enum store_error local_upload_write(struct store_upload *upload, uint64_t offset,
				    const struct iovec *iov, int iovcnt, unsigned int flags,
				    const uint64_t *expect, uint64_t *crc64)
{
	struct local_upload *u = to_upload(upload);
	struct source source = { .iov = iov, .iovcnt = iovcnt };
	uint64_t length = 0, at;
	struct span_sums few[4] = { 0 }, *sums = few;
	uint64_t all = 0;
	enum store_error error;
	size_t count = 0;
	bool md5 = false;

	for (int i = 0; i < iovcnt; i++)
		if (__builtin_add_overflow(length, iov[i].iov_len, &length))
			return STORE_OUT_OF_RANGE;
	if (offset > upload->size || length > upload->size - offset)
		return STORE_OUT_OF_RANGE;
	if (!length) {
		if (crc64)
			*crc64 = 0;
		return expect && *expect ? STORE_CRC_MISMATCH : STORE_OK;
	}
	count = (size_t)((offset + length - 1) / EXTENT_FILE_SIZE - offset / EXTENT_FILE_SIZE) + 1;
	if (count > sizeof(few) / sizeof(few[0]))
		sums = calloc(count, sizeof(*sums));
	if (!sums)
		return STORE_NO_MEMORY;
	pthread_mutex_lock(&u->lock);
	error = begin_part(u, offset, length);
	if (!error && u->md5 && !u->md5_busy && offset == u->md5_at)
		u->md5_busy = md5 = true;
	pthread_mutex_unlock(&u->lock);
	if (error)
		goto out;
	at = offset;
	for (size_t i = 0; i < count && !error; i++) {
		uint64_t border = (at / EXTENT_FILE_SIZE + 1) * EXTENT_FILE_SIZE;
		uint64_t n = (border < offset + length ? border : offset + length) - at;

		error = write_span(u, at, n, &source, flags, md5, &sums[i]);
		if (!error)
			all = azb_crc64_combine(all, sums[i].crc64, n);
		at += n;
	}
	if (!error && expect && *expect != all)
		error = STORE_CRC_MISMATCH;
	pthread_mutex_lock(&u->lock);
	if (md5) {
		u->md5_busy = false;
		u->md5_at = offset + length;
		if (error || u->md5_stale)
			restart_md5(u);
	}
	end_part(u, offset, length, sums, !error);
	pthread_mutex_unlock(&u->lock);
	if (!error && crc64)
		*crc64 = all;
out:
	if (sums != few)
		free(sums);
	return error;
}

enum store_error local_upload_crc(struct local_upload *u, uint64_t *per_extent, uint64_t *all)
{
	enum store_error error = STORE_OK;
	uint64_t at = 0, block = 0;

	*all = 0;
	pthread_mutex_lock(&u->lock);
	for (size_t i = 0; i < u->span_count && !error; i++) {
		const struct span *span = &u->spans[i];
		size_t extent = (size_t)(span->offset / EXTENT_FILE_SIZE);

		if (span->offset != at || span->state != SPAN_DONE)
			error = STORE_INCOMPLETE;
		if (per_extent)
			per_extent[extent] = azb_crc64_combine(
				span->offset % EXTENT_FILE_SIZE ? per_extent[extent] : 0,
				span->sums.crc64, span->length);
		if (per_extent && !u->bytes)
			block = upload_sums_finish(extent_at(u, span->offset), span, block);
		*all = azb_crc64_combine(*all, span->sums.crc64, span->length);
		at += span->length;
	}
	if (at != u->upload.size)
		error = STORE_INCOMPLETE;
	pthread_mutex_unlock(&u->lock);
	return error;
}

/* Lets the MD5 see what came out of order, from the page cache. */
static enum store_error catch_up_md5(struct local_upload *u)
{
	struct local *local = to_local(u->upload.store);
	enum store_error error = STORE_OK;
	unsigned char *slice;

	if (u->bytes) {
		EVP_DigestUpdate(u->md5, u->bytes + u->md5_at, u->upload.size - u->md5_at);
		u->md5_at = u->upload.size;
	}
	if (u->md5_at == u->upload.size)
		return STORE_OK;
	slice = slice_get(local);
	if (!slice)
		return STORE_NO_MEMORY;
	while (u->md5_at < u->upload.size) {
		const struct extent *extent = extent_at(u, u->md5_at);
		uint64_t in = u->md5_at - extent->start;
		size_t n = extent->length - in < SLICE ? (size_t)(extent->length - in) : SLICE;

		error = extent_read(extent->file->fd, extent->offset + in, slice, n);
		if (error)
			break;
		EVP_DigestUpdate(u->md5, slice, n);
		u->md5_at += n;
	}
	slice_put(local, slice);
	return error;
}

enum store_error local_upload_read(struct store_upload *upload, uint64_t offset, void *buffer,
				   size_t length)
{
	struct local_upload *u = to_upload(upload);
	enum store_error error = STORE_OK;
	char *p = buffer;

	if (offset > upload->size || length > upload->size - offset)
		return STORE_OUT_OF_RANGE;
	if (u->bytes) {
		memcpy(p, u->bytes + offset, length);
		return STORE_OK;
	}
	while (length && !error) {
		const struct extent *extent = extent_at(u, offset);
		uint64_t in = offset - extent->start;
		size_t n = extent->length - in < length ? (size_t)(extent->length - in) : length;

		error = extent_read(extent->file->fd, extent->offset + in, p, n);
		p += n;
		offset += n;
		length -= n;
	}
	return error;
}

enum store_error local_upload_digest(struct store_upload *upload, struct store_digest *digest)
{
	struct local_upload *u = to_upload(upload);
	enum store_error error;
	EVP_MD_CTX *copy;

	*digest = (struct store_digest){ 0 };
	error = local_upload_crc(u, NULL, &digest->crc64);
	if (error || !u->md5)
		return error;
	error = catch_up_md5(u);
	if (error)
		return error;
	/* a copy is ended, so that this may be asked again */
	copy = EVP_MD_CTX_new();
	if (!copy || !EVP_MD_CTX_copy_ex(copy, u->md5) ||
	    !EVP_DigestFinal_ex(copy, digest->md5, NULL))
		error = STORE_NO_MEMORY;
	else
		digest->has_md5 = true;
	EVP_MD_CTX_free(copy);
	return error;
}

enum store_error local_upload_spill(struct local_upload *u)
{
	enum store_error error;

	if (!u->bytes)
		return STORE_OK;
	error = take_extents(u);
	if (!error)
		error = extent_write(u->extents[0].file, u->extents[0].offset, u->bytes,
				     u->upload.size);
	if (error) {
		abort_extents(u);
		free_extents(u);
		return error;
	}
	free(u->bytes);
	u->bytes = NULL;
	return STORE_OK;
}

enum store_error local_upload_sync(struct local_upload *u)
{
	enum store_error error = STORE_OK;

	for (size_t i = 0; i < u->extent_count && !error; i++)
		error = extent_file_sync(to_local(u->upload.store), u->extents[i].file);
	return error;
}
