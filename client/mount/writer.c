// SPDX-License-Identifier: MIT
#include "staging.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "log.h"

/* ---- commits ---- */

int mnt_writer_commit(struct mnt_writer *writer)
{
	bool was_dirty;
	int result;

	pthread_mutex_lock(&writer->lock);
	was_dirty = writer->dirty;
	result = mnt_commit(writer);
	was_dirty = was_dirty && !writer->dirty;
	pthread_mutex_unlock(&writer->lock);
	if (was_dirty)
		writer->all->committed(writer->all->context, writer->node);
	return result;
}

/* ---- writing ---- */

static void set_dirty(struct mnt_writer *writer)
{
	writer->changed = time(NULL);
	writer->dirty = true;
}

/* Bytes [from, from + size) of the file into the buffer, which has them or room for them. */
static void put_bytes(struct mnt_writer *writer, const char *data, size_t size, uint64_t from)
{
	size_t at = (size_t)(from - writer->start);

	if (at > writer->fill)
		memset(writer->buffer + writer->fill, 0, at - writer->fill);
	memcpy(writer->buffer + at, data, size);
	if (at + size > writer->fill)
		writer->fill = at + size;
	if (writer->start + writer->fill > writer->size)
		writer->size = writer->start + writer->fill;
	set_dirty(writer);
}

static bool can_write(const struct mnt_writer *writer, uint64_t offset)
{
	if (offset == writer->size)
		return true;
	/* What was appended cannot be changed, and what is staged neither. */
	if (writer->attr.kind == MNT_APPEND_BLOB || offset < writer->start)
		return false;
	/* A hole is filled with zeros, as far as it is in memory. */
	return offset - writer->start <= mnt_cache_block_size(writer->all->cache);
}

/* A file without a name has nowhere else to go. */
static int fits_in_memory(struct mnt_writer *writer, uint64_t size)
{
	int result = mnt_get_buffer(writer);

	if (result)
		return result;
	return size > writer->room ? -EFBIG : 0;
}

/* *written: how many of the bytes were taken, whatever becomes of the others. */
static int write_pieces(struct mnt_writer *writer, const char *data, size_t size, uint64_t offset,
			size_t *written)
{
	int result;

	while (size) {
		size_t room;

		if (writer->buffer && writer->fill == writer->room &&
		    offset == writer->start + writer->fill) {
			result = mnt_make_room(writer);
			if (result)
				return result;
		}
		result = mnt_get_buffer(writer);
		if (result)
			return result;
		/* A hole that reaches beyond a small buffer. */
		if (offset - writer->start >= writer->room)
			return -EOPNOTSUPP;
		room = writer->room - (size_t)(offset - writer->start);
		if (room > size)
			room = size;
		put_bytes(writer, data, room, offset);
		data += room;
		offset += room;
		size -= room;
		*written += room;
	}
	return 0;
}

static int write_locked(struct mnt_writer *writer, const char *data, size_t size, uint64_t offset,
			bool end, size_t *written)
{
	int result = mnt_writer_failure(writer);

	if (!result)
		result = mnt_load(writer);
	if (result)
		return result;
	if (end)
		offset = writer->size;
	result = writer->abandoned ? fits_in_memory(writer, offset + size) : 0;
	if (result)
		return result;
	if (!can_write(writer, offset))
		return -EOPNOTSUPP;
	return write_pieces(writer, data, size, offset, written);
}

ssize_t mnt_writer_write(struct mnt_writer *writer, const char *data, size_t size, uint64_t offset,
			 bool end)
{
	size_t written = 0;
	int result;

	pthread_mutex_lock(&writer->lock);
	result = write_locked(writer, data, size, offset, end, &written);
	pthread_mutex_unlock(&writer->lock);
	/* Who hears of a failure may write the same once more. */
	return written ? (ssize_t)written : result;
}

/* At once, since there is no way to put that off. */
static int empty_append_blob(struct mnt_writer *writer)
{
	struct mnt_service *service = writer->all->service;
	struct mnt_condition condition = { .match = writer->attr.etag };
	struct mnt_attr attr;
	int result;

	mnt_nodes_begin(writer->all->nodes, writer->node);
	result = service->ops->append_new(service, writer->blob, writer->properties, &condition,
					  &attr);
	mnt_nodes_end(writer->all->nodes, writer->node, result ? NULL : &attr);
	if (result)
		return result;
	writer->attr = attr;
	writer->start = 0;
	writer->fill = 0;
	writer->size = 0;
	writer->loaded = true;
	writer->dirty = false;
	return 0;
}

static int truncate_locked(struct mnt_writer *writer, uint64_t size)
{
	int result;

	if (size == writer->size)
		return 0;
	if (writer->attr.kind == MNT_APPEND_BLOB && !size && !writer->abandoned)
		return empty_append_blob(writer);
	if (!size) {
		/* Blocks under way belong to nothing then. */
		mnt_wait_uploads(writer, 0);
		result = mnt_writer_failure(writer);
		if (result)
			return result;
		mnt_free_ids(writer);
		writer->id_bytes = MNT_ID_BYTES;
		writer->start = 0;
		writer->fill = 0;
		writer->size = 0;
		writer->loaded = true;
		set_dirty(writer);
		return 0;
	}
	result = mnt_writer_failure(writer);
	if (!result)
		result = mnt_load(writer);
	if (result)
		return result;
	if (writer->attr.kind == MNT_APPEND_BLOB || size < writer->start)
		return -EOPNOTSUPP;
	result = mnt_get_buffer(writer);
	if (result)
		return result;
	if (size - writer->start > writer->room)
		return size > writer->size ? -EPERM : -EOPNOTSUPP;
	if (size > writer->size)
		memset(writer->buffer + writer->fill, 0,
		       (size_t)(size - writer->start) - writer->fill);
	writer->fill = (size_t)(size - writer->start);
	writer->size = size;
	set_dirty(writer);
	return 0;
}

int mnt_writer_truncate(struct mnt_writer *writer, uint64_t size)
{
	int result;

	pthread_mutex_lock(&writer->lock);
	result = truncate_locked(writer, size);
	pthread_mutex_unlock(&writer->lock);
	return result;
}

int mnt_writer_read(struct mnt_writer *writer, char *buffer, size_t size, uint64_t offset,
		    size_t *got)
{
	int result = 0;

	pthread_mutex_lock(&writer->lock);
	*got = 0;
	if (writer->abandoned && writer->dirty && !mnt_writer_in_memory(writer)) {
		/* The blob's old version, which may be in the cache still, is not what was written.
		 */
		result = -ESTALE;
	} else if (!writer->dirty ||
		   (offset < writer->size && (!writer->loaded || offset < writer->start))) {
		result = -EAGAIN;
	} else if (offset < writer->size) {
		*got = writer->fill - (size_t)(offset - writer->start);
		if (*got > size)
			*got = size;
		memcpy(buffer, writer->buffer + (offset - writer->start), *got);
	}
	pthread_mutex_unlock(&writer->lock);
	return result;
}

bool mnt_writer_size(const struct mnt_writer *writer, uint64_t *size, time_t *changed)
{
	*size = writer->size;
	if (changed)
		*changed = writer->changed;
	return writer->dirty;
}

void mnt_writer_abandon(struct mnt_writer *writer)
{
	pthread_mutex_lock(&writer->lock);
	mnt_wait_uploads(writer, 0);
	/* An empty one was perhaps not looked at yet. */
	if (!writer->loaded && !writer->attr.size)
		mnt_load(writer);
	writer->abandoned = true;
	if (mnt_writer_in_memory(writer)) {
		/* A commit that met the removal has failed; it is not needed any more. */
		mnt_writer_recover(writer);
		set_dirty(writer);
	} else {
		mnt_drop_buffer(writer);
		mnt_writer_fail(writer, -ESTALE);
	}
	pthread_mutex_unlock(&writer->lock);
}

bool mnt_writer_is_abandoned(const struct mnt_writer *writer)
{
	return writer->abandoned;
}

/* ---- from first to last ---- */

/* Nothing is kept that came from the blob as it was; it is now as @attr says. */
static void start_over(struct mnt_writer *writer, const struct mnt_attr *attr)
{
	mnt_forget_attempt(writer);
	mnt_free_ids(writer);
	mnt_drop_buffer(writer);
	writer->start = 0;
	writer->loaded = false;
	writer->attr = *attr;
	writer->size = attr->size;
}

void mnt_writer_renamed(struct mnt_writer *writer)
{
	char *blob = mnt_nodes_path(writer->all->nodes, writer->node, NULL);
	struct mnt_attr attr;

	pthread_mutex_lock(&writer->lock);
	mnt_wait_uploads(writer, 0);
	if (blob) {
		free(writer->blob);
		writer->blob = blob;
	} else {
		mnt_writer_fail(writer, -ENOMEM);
	}
	mnt_nodes_attr(writer->all->nodes, writer->node, &attr);
	/* Staged blocks stay with the old name. */
	if (!writer->dirty)
		start_over(writer, &attr);
	else
		mnt_writer_fail(writer, -ESTALE);
	pthread_mutex_unlock(&writer->lock);
}

static void free_writer(struct mnt_writer *writer)
{
	mnt_forget_attempt(writer);
	mnt_free_ids(writer);
	mnt_drop_buffer(writer);
	azblob_properties_free(writer->properties);
	pthread_cond_destroy(&writer->uploaded);
	pthread_mutex_destroy(&writer->upload_lock);
	pthread_mutex_destroy(&writer->lock);
	free(writer->blob);
	free(writer);
}

static struct mnt_writer *make_writer(struct mnt_writers *writers, struct mnt_node *node)
{
	struct mnt_writer *writer = calloc(1, sizeof(*writer));

	if (!writer)
		return NULL;
	writer->blob = mnt_nodes_path(writers->nodes, node, NULL);
	if (!writer->blob || getrandom(writer->id_seed, sizeof(writer->id_seed), 0) < 0) {
		free(writer->blob);
		free(writer);
		return NULL;
	}
	writer->all = writers;
	writer->node = node;
	mnt_nodes_attr(writers->nodes, node, &writer->attr);
	writer->size = writer->attr.size;
	pthread_mutex_init(&writer->lock, NULL);
	pthread_mutex_init(&writer->upload_lock, NULL);
	pthread_cond_init(&writer->uploaded, NULL);
	return writer;
}

/*
 * Opened once more: when nothing is at stake, what somebody else did meanwhile is taken over.  What
 * the node says is asked for with the lock: a commit that was under way has told it by then.
 */
static void refresh(struct mnt_writer *writer, struct azblob_properties **properties)
{
	struct azblob_properties *old;
	struct mnt_attr attr;

	pthread_mutex_lock(&writer->lock);
	mnt_nodes_attr(writer->all->nodes, writer->node, &attr);
	old = writer->properties;
	if (!writer->dirty && !writer->abandoned && strcmp(writer->attr.etag, attr.etag) != 0) {
		mnt_wait_uploads(writer, 0);
		start_over(writer, &attr);
		mnt_writer_recover(writer);
		writer->properties = *properties;
		*properties = old;
	}
	pthread_mutex_unlock(&writer->lock);
}

struct mnt_writer *mnt_writer_open(struct mnt_writers *writers, struct mnt_node *node,
				   struct azblob_properties *properties)
{
	struct mnt_writer *writer;

	pthread_mutex_lock(&writers->lock);
	writer = node->writer;
	if (!writer) {
		writer = make_writer(writers, node);
		if (writer) {
			writer->properties = properties;
			properties = NULL;
			writer->next = writers->first;
			writers->first = writer;
			mnt_nodes_get(writers->nodes, node);
			pthread_mutex_lock(&writers->nodes->lock);
			node->writer = writer;
			pthread_mutex_unlock(&writers->nodes->lock);
		}
	}
	if (writer)
		writer->refs++;
	pthread_mutex_unlock(&writers->lock);
	if (writer)
		refresh(writer, &properties);
	azblob_properties_free(properties);
	return writer;
}

struct mnt_writer *mnt_writer_find(struct mnt_writers *writers, struct mnt_node *node)
{
	struct mnt_writer *writer;

	pthread_mutex_lock(&writers->lock);
	writer = node->writer;
	if (writer)
		writer->refs++;
	pthread_mutex_unlock(&writers->lock);
	return writer;
}

void mnt_writer_close(struct mnt_writers *writers, struct mnt_writer *writer)
{
	struct mnt_writer **at;
	struct mnt_node *node;
	bool last;
	int result;

	if (!writer)
		return;
	node = writer->node;
	/* close() has told the program of a failure already, unless it was killed. */
	result = mnt_writer_commit(writer);
	pthread_mutex_lock(&writers->lock);
	last = !--writer->refs;
	if (last) {
		for (at = &writers->first; *at != writer; at = &(*at)->next)
			;
		*at = writer->next;
		pthread_mutex_lock(&writers->nodes->lock);
		node->writer = NULL;
		pthread_mutex_unlock(&writers->nodes->lock);
	}
	pthread_mutex_unlock(&writers->lock);
	if (!last)
		return;
	if (writer->dirty && !writer->abandoned)
		mnt_log(MNT_LOG_ERROR, "\"%s\": what was written last %s lost: %s", writer->blob,
			writer->attempt.made ? "may be" : "is", strerror(-result));
	free_writer(writer);
	mnt_nodes_put(writers->nodes, node);
}

void mnt_writers_init(struct mnt_writers *writers)
{
	pthread_mutex_init(&writers->lock, NULL);
	writers->first = NULL;
}

void mnt_writers_end(struct mnt_writers *writers)
{
	while (writers->first) {
		writers->first->refs = 1;
		mnt_writer_close(writers, writers->first);
	}
	pthread_mutex_destroy(&writers->lock);
}
