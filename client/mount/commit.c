// SPDX-License-Identifier: MIT
/* What was written becomes the blob; and what is known when the answer to that does not come. */
#include "staging.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/crc64.h"
#include "base/pages.h"

#define PAGE ((size_t)4096)

/* ---- one try ---- */

static int put_all(struct mnt_writer *writer, struct mnt_attr *attr)
{
	struct mnt_service *service = writer->all->service;
	struct mnt_condition condition = { .match = writer->attr.etag };

	return service->ops->put(service, writer->blob, writer->buffer ? writer->buffer : "",
				 writer->fill, writer->properties, &condition, attr);
}

/*
 * The buffer as the last block, under an id that only this commit has: it may grow later.  *sent:
 * the list was.  *last is that id, the caller's to free, or NULL.
 */
static int commit_blocks(struct mnt_writer *writer, struct mnt_attr *attr, bool *sent, char **last)
{
	struct mnt_service *service = writer->all->service;
	struct mnt_condition condition = { .match = writer->attr.etag };
	size_t count = writer->count;
	bool late = false;
	int result = 0;

	if (writer->fill) {
		result = mnt_grow_ids(writer);
		*last = result ? NULL : mnt_new_id(writer);
		if (!result && !*last)
			result = -ENOMEM;
		if (!result) {
			writer->ids[count++] = *last;
			result = service->ops->put_block(service, writer->blob, *last,
							 writer->buffer, writer->fill, &late);
		}
	}
	if (result)
		return result;
	*sent = true;
	return service->ops->commit(service, writer->blob, (const char *const *)writer->ids, count,
				    writer->committed, writer->properties, &condition, attr);
}

/* ---- tries of which nobody knows ---- */

void mnt_forget_attempt(struct mnt_writer *writer)
{
	free(writer->attempt.last);
	memset(&writer->attempt, 0, sizeof(writer->attempt));
}

static bool is_unknown(int result)
{
	return result == -EIO || result == -ETIMEDOUT || result == -EINTR || result == -ENOMEM;
}

static uint64_t buffer_crc(const struct mnt_writer *writer)
{
	return writer->fill ? azb_crc64(0, writer->buffer, writer->fill) : 0;
}

/* Takes @last. */
static void note_attempt(struct mnt_writer *writer, char *last)
{
	mnt_forget_attempt(writer);
	writer->attempt.made = true;
	writer->attempt.size = writer->size;
	writer->attempt.crc = buffer_crc(writer);
	writer->attempt.last = last;
	writer->attempt.count = writer->count + (last != NULL);
	writer->attempt.ids = writer->count;
}

/* Nothing was written since. */
static bool is_same(const struct mnt_writer *writer)
{
	const struct mnt_attempt *attempt = &writer->attempt;

	return attempt->size == writer->size && attempt->ids == writer->count &&
	       attempt->count == writer->count + (attempt->last != NULL) &&
	       attempt->crc == buffer_crc(writer);
}

/* The @size bytes at @offset of the blob as @etag names it have this checksum: 0, -ESTALE: not. */
static int check_bytes(struct mnt_writer *writer, const char *etag, uint64_t offset, size_t size,
		       uint64_t crc)
{
	struct mnt_service *service = writer->all->service;
	size_t room = (size + PAGE - 1) / PAGE * PAGE;
	bool late = false;
	char *bytes;
	int result;

	if (!size)
		return 0;
	/* Pages, which live on for a host that is late. */
	bytes = azb_map_pages(room);
	if (!bytes)
		return -ENOMEM;
	result = service->ops->read(service, writer->blob, etag, offset, size, bytes, &late);
	if (!result && azb_crc64(0, bytes, size) != crc)
		result = -ESTALE;
	munmap(bytes, room);
	return result;
}

/* The blob is of the blocks that were tried: the ids are ours alone. */
static int check_blocks(struct mnt_writer *writer, const char *etag)
{
	const struct mnt_attempt *attempt = &writer->attempt;
	struct mnt_service *service = writer->all->service;
	const char *last = attempt->last;
	struct mnt_block_id *list;
	size_t count;
	int result;

	if (!last && attempt->ids && attempt->ids <= writer->count)
		last = writer->ids[attempt->ids - 1];
	if (!last)
		return -ESTALE;
	result = service->ops->blocks(service, writer->blob, etag, &list, &count);
	if (result)
		return result;
	if (count != attempt->count || strcmp(list[count - 1].text, last) != 0)
		result = -ESTALE;
	mnt_free_blocks(list, count);
	return result;
}

/*
 * What became of the last try: 0: it is the blob, as *attr says; -EAGAIN: the blob is as before;
 * -ESTALE: it is something else; another error: nobody knows still.
 */
static int find_out(struct mnt_writer *writer, struct mnt_attr *attr)
{
	const struct mnt_attempt *attempt = &writer->attempt;
	struct mnt_service *service = writer->all->service;
	int result = service->ops->head(service, writer->blob, attr, NULL);

	if (result)
		return result == -ENOENT ? -ESTALE : result;
	if (!strcmp(attr->etag, writer->attr.etag))
		return -EAGAIN;
	if (attr->size != attempt->size || attr->kind != MNT_BLOCK_BLOB)
		return -ESTALE;
	if (attempt->count)
		return check_blocks(writer, attr->etag);
	return check_bytes(writer, attr->etag, 0, (size_t)attempt->size, attempt->crc);
}

/* It was our try that made the blob what it is now. */
static void adopt(struct mnt_writer *writer, const struct mnt_attr *attr)
{
	writer->attr = *attr;
	writer->committed = writer->attempt.ids;
	mnt_forget_attempt(writer);
}

static int try_once(struct mnt_writer *writer, struct mnt_attr *attr)
{
	struct mnt_attr found;
	bool sent = !writer->count;
	char *last = NULL;
	int result;
	int news;

	result = writer->count ? commit_blocks(writer, attr, &sent, &last) : put_all(writer, attr);
	if (!result) {
		attr->size = writer->size;
		attr->kind = MNT_BLOCK_BLOB;
		writer->attempt.ids = writer->count;
		adopt(writer, attr);
	} else if (sent && (is_unknown(result) || (result == -ESTALE && !writer->attempt.made))) {
		/*
		 * Refused, too: libcurl repeats a request by itself when a connection that it had
		 * used before ends without an answer.
		 */
		note_attempt(writer, last);
		last = NULL;
		news = find_out(writer, &found);
		if (!news) {
			*attr = found;
			adopt(writer, attr);
		}
		if (!news || news == -ESTALE)
			result = news;
	}
	free(last);
	return result;
}

static int commit_all(struct mnt_writer *writer, struct mnt_attr *attr)
{
	int result = 0;

	/* Twice: what is not there yet may have been on its way. */
	for (unsigned int round = 0; round < 2; round++) {
		if (writer->attempt.made) {
			bool same = is_same(writer);

			result = find_out(writer, attr);
			if (!result)
				adopt(writer, attr);
			if ((!result && same) || (result && result != -EAGAIN))
				return result;
		}
		result = try_once(writer, attr);
		if (result != -ESTALE || !writer->attempt.made)
			break;
	}
	return result;
}

int mnt_commit(struct mnt_writer *writer)
{
	struct mnt_nodes *nodes = writer->all->nodes;
	struct mnt_attr attr = { 0 };
	int result;

	mnt_wait_uploads(writer, 0);
	if (writer->abandoned)
		return 0;
	result = mnt_writer_failure(writer);
	if (!writer->dirty || result)
		return result;
	if (writer->attr.kind == MNT_APPEND_BLOB) {
		result = mnt_append_buffer(writer);
		if (!result)
			writer->dirty = false;
		return result;
	}
	mnt_nodes_begin(nodes, writer->node);
	result = commit_all(writer, &attr);
	mnt_nodes_end(nodes, writer->node, result ? NULL : &attr);
	if (result == -ESTALE) {
		mnt_forget_attempt(writer);
		mnt_writer_fail(writer, result);
	}
	if (!result)
		writer->dirty = false;
	return result;
}

/* ---- append blobs ---- */

/* As find_out(), of an append of the buffer. */
static int find_append(struct mnt_writer *writer, struct mnt_attr *attr)
{
	struct mnt_service *service = writer->all->service;
	int result = service->ops->head(service, writer->blob, attr, NULL);

	if (result)
		return result == -ENOENT ? -ESTALE : result;
	if (attr->kind != MNT_APPEND_BLOB)
		return -ESTALE;
	if (!strcmp(attr->etag, writer->attr.etag))
		return -EAGAIN;
	if (attr->size != writer->start + writer->fill)
		return -ESTALE;
	return check_bytes(writer, attr->etag, writer->start, writer->fill, buffer_crc(writer));
}

int mnt_append_buffer(struct mnt_writer *writer)
{
	struct mnt_service *service = writer->all->service;
	struct mnt_attr found;
	struct mnt_attr attr;
	bool again = false;
	int result;
	int news;

	if (!writer->fill)
		return 0;
	mnt_nodes_begin(writer->all->nodes, writer->node);
	result = service->ops->append(service, writer->blob, writer->buffer, writer->fill,
				      writer->start, &attr);
	/* Refused for its place, too: what was tried before may have been done since. */
	if (is_unknown(result) || result == -ESTALE) {
		news = find_append(writer, &found);
		if (!news)
			attr = found;
		if (!news || news == -ESTALE)
			result = news;
		again = news == -EAGAIN && result != -ESTALE;
	}
	mnt_nodes_end(writer->all->nodes, writer->node, result ? NULL : &attr);
	/* The bytes are here still, and where they belong is as it was. */
	if (result)
		return again ? result : mnt_writer_fail(writer, result);
	writer->start += writer->fill;
	writer->fill = 0;
	writer->attr = attr;
	return 0;
}
