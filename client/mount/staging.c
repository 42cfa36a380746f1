// SPDX-License-Identifier: MIT
/* Buffers and blocks of a writer, on their way to the service. */
#include "staging.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/base64.h"

/* What a block blob can be made of. */
#define MAX_BLOCKS 50000u
/* The fewest bytes of an id that leave room for ours among others'. */
#define MIN_ID_BYTES 4u
/* A buffer where the budget has none: each writer gets this much in any case. */
#define SMALL_BUFFER ((size_t)256 << 10)

struct upload {
	struct mnt_job job;
	struct mnt_writer *writer;
	char *id; /* the writer's, which keeps it as long as uploads are under way */
	char *buffer;
	size_t size;
	bool owned;
};

/* ---- buffers ---- */

static void free_buffer(struct mnt_writer *writer, char *buffer, bool owned, bool late)
{
	if (buffer && owned)
		munmap(buffer, SMALL_BUFFER);
	else
		mnt_cache_buffer_done(writer->all->cache, buffer, late);
}

unsigned int mnt_wait_uploads(struct mnt_writer *writer, unsigned int most)
{
	unsigned int left;

	pthread_mutex_lock(&writer->upload_lock);
	while (writer->uploads > most)
		pthread_cond_wait(&writer->uploaded, &writer->upload_lock);
	left = writer->uploads;
	pthread_mutex_unlock(&writer->upload_lock);
	return left;
}

int mnt_get_buffer(struct mnt_writer *writer)
{
	unsigned int uploads;

	if (writer->buffer)
		return 0;
	do {
		uploads = mnt_wait_uploads(writer, writer->all->parallel - 1);
		writer->buffer = mnt_cache_buffer(writer->all->cache);
		/* One of ours will come free. */
		if (!writer->buffer && uploads)
			mnt_wait_uploads(writer, uploads - 1);
	} while (!writer->buffer && uploads);
	writer->owned = !writer->buffer;
	writer->room = mnt_cache_block_size(writer->all->cache);
	if (writer->owned) {
		/* All others are with files that may stay open for long. */
		writer->buffer = mmap(NULL, SMALL_BUFFER, PROT_READ | PROT_WRITE,
				      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		writer->room = SMALL_BUFFER;
		if (writer->buffer == MAP_FAILED) {
			writer->buffer = NULL;
			return -ENOMEM;
		}
	}
	if (writer->attr.kind == MNT_APPEND_BLOB && writer->room > MNT_APPEND_MAX)
		writer->room = MNT_APPEND_MAX;
	return 0;
}

void mnt_drop_buffer(struct mnt_writer *writer)
{
	free_buffer(writer, writer->buffer, writer->owned, false);
	writer->buffer = NULL;
	writer->fill = 0;
}

/* ---- blocks ---- */

void mnt_free_ids(struct mnt_writer *writer)
{
	for (size_t i = 0; i < writer->count; i++)
		free(writer->ids[i]);
	free(writer->ids);
	writer->ids = NULL;
	writer->count = 0;
	writer->committed = 0;
	writer->attempt.ids = 0;
	writer->id_room = 0;
}

int mnt_grow_ids(struct mnt_writer *writer)
{
	size_t room = writer->id_room ? 2 * writer->id_room : 16;
	char **grown;

	if (writer->count + 2 > MAX_BLOCKS)
		return -EFBIG;
	if (writer->count + 2 <= writer->id_room)
		return 0;
	grown = reallocarray(writer->ids, room, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	writer->ids = grown;
	writer->id_room = room;
	return 0;
}

char *mnt_new_id(struct mnt_writer *writer)
{
	char text[AZB_BASE64_LENGTH(MNT_MAX_ID_BYTES) + 1];
	uint8_t bytes[MNT_MAX_ID_BYTES];
	bool taken;

	do {
		uint32_t number = writer->id_next++;

		memcpy(bytes, writer->id_seed, sizeof(bytes));
		for (size_t i = 0; i < MIN_ID_BYTES; i++)
			bytes[writer->id_bytes - 1 - i] ^= (uint8_t)(number >> 8 * i);
		azb_base64_encode(text, bytes, writer->id_bytes);
		taken = false;
		/* Ids that leave no room for a random part. */
		for (size_t i = 0; writer->id_bytes < MNT_ID_BYTES && i < writer->count; i++)
			taken |= !strcmp(writer->ids[i], text);
	} while (taken);
	return strdup(text);
}

static void run_upload(struct mnt_job *job)
{
	struct upload *upload = (struct upload *)job;
	struct mnt_writer *writer = upload->writer;
	struct mnt_service *service = writer->all->service;
	bool late = false;
	int result;

	if (!upload->owned)
		mnt_cache_buffer_pin(writer->all->cache, upload->buffer);
	result = service->ops->put_block(service, writer->blob, upload->id, upload->buffer,
					 upload->size, &late);
	free_buffer(writer, upload->buffer, upload->owned, late);
	pthread_mutex_lock(&writer->upload_lock);
	if (result && !writer->failed)
		writer->failed = result;
	writer->uploads--;
	pthread_cond_broadcast(&writer->uploaded);
	pthread_mutex_unlock(&writer->upload_lock);
	free(upload);
}

int mnt_writer_failure(struct mnt_writer *writer)
{
	int failed;

	pthread_mutex_lock(&writer->upload_lock);
	failed = writer->failed;
	pthread_mutex_unlock(&writer->upload_lock);
	return failed;
}

int mnt_writer_fail(struct mnt_writer *writer, int result)
{
	pthread_mutex_lock(&writer->upload_lock);
	if (!writer->failed)
		writer->failed = result;
	pthread_mutex_unlock(&writer->upload_lock);
	return result;
}

void mnt_writer_recover(struct mnt_writer *writer)
{
	pthread_mutex_lock(&writer->upload_lock);
	writer->failed = 0;
	pthread_mutex_unlock(&writer->upload_lock);
}

bool mnt_writer_in_memory(const struct mnt_writer *writer)
{
	return writer->loaded && !writer->start;
}

/* The full buffer becomes a block, on its way from now on. */
static int stage(struct mnt_writer *writer)
{
	struct upload *upload = calloc(1, sizeof(*upload));
	int result = upload ? mnt_grow_ids(writer) : -ENOMEM;

	if (!result) {
		upload->id = mnt_new_id(writer);
		if (!upload->id)
			result = -ENOMEM;
	}
	if (result) {
		free(upload);
		return result;
	}
	writer->ids[writer->count++] = upload->id;
	upload->job.run = run_upload;
	upload->writer = writer;
	upload->buffer = writer->buffer;
	upload->owned = writer->owned;
	upload->size = writer->fill;
	writer->buffer = NULL;
	writer->start += writer->fill;
	writer->fill = 0;
	pthread_mutex_lock(&writer->upload_lock);
	writer->uploads++;
	pthread_mutex_unlock(&writer->upload_lock);
	mnt_jobs_add(writer->all->jobs, &upload->job, true);
	return 0;
}

/* The buffer is full. */
int mnt_make_room(struct mnt_writer *writer)
{
	return writer->attr.kind == MNT_APPEND_BLOB ? mnt_append_buffer(writer) : stage(writer);
}

/* ---- what the blob has already ---- */

static int read_base(struct mnt_writer *writer, uint64_t offset, size_t size)
{
	struct mnt_service *service = writer->all->service;
	bool late = false;
	int result = mnt_get_buffer(writer);

	if (result)
		return result;
	/* A small buffer takes a large block in pieces; see load_copy(). */
	result = service->ops->read(service, writer->blob, writer->attr.etag, offset, size,
				    writer->buffer, &late);
	if (late) {
		free_buffer(writer, writer->buffer, writer->owned, true);
		writer->buffer = NULL;
	}
	if (!result)
		writer->fill = size;
	return result;
}

/* Takes over the committed blocks; -EAGAIN when they are not all of the blob. */
static int load_blocks(struct mnt_writer *writer)
{
	struct mnt_service *service = writer->all->service;
	struct mnt_block_id *list;
	uint8_t bytes[MNT_MAX_ID_BYTES];
	uint64_t sum = 0;
	size_t count;
	ssize_t length = 0;
	int result = service->ops->blocks(service, writer->blob, writer->attr.etag, &list, &count);

	if (result)
		return result;
	for (size_t i = 0; i < count; i++)
		sum += list[i].size;
	if (count)
		length =
			azb_base64_decode(bytes, sizeof(bytes), list[0].text, strlen(list[0].text));
	if (sum != writer->attr.size || length < (ssize_t)MIN_ID_BYTES) {
		mnt_free_blocks(list, count);
		return -EAGAIN;
	}
	writer->ids = calloc(count + 2, sizeof(*writer->ids));
	if (!writer->ids) {
		mnt_free_blocks(list, count);
		return -ENOMEM;
	}
	for (size_t i = 0; i < count; i++) {
		writer->ids[i] = list[i].text;
		list[i].text = NULL;
	}
	mnt_free_blocks(list, count);
	writer->count = count;
	/* Others may have blocks under way under the same ids: those are not meant. */
	writer->committed = count;
	writer->id_room = count + 2;
	writer->id_bytes = (size_t)length;
	writer->start = sum;
	return 0;
}

/* The blob came in one Put Blob: its bytes become blocks. */
static int load_copy(struct mnt_writer *writer)
{
	uint64_t offset = 0;
	int result = 0;

	while (!result && offset < writer->attr.size) {
		uint64_t rest = writer->attr.size - offset;

		result = mnt_get_buffer(writer);
		if (!result)
			result = read_base(writer, offset,
					   rest < writer->room ? (size_t)rest : writer->room);
		if (result)
			break;
		offset += writer->fill;
		/* The last one stays in the buffer. */
		if (writer->fill == writer->room)
			result = stage(writer);
	}
	return result;
}

int mnt_load(struct mnt_writer *writer)
{
	int result;

	if (writer->loaded)
		return 0;
	writer->id_bytes = MNT_ID_BYTES;
	if (writer->attr.kind == MNT_APPEND_BLOB) {
		writer->start = writer->attr.size;
		result = 0;
	} else if (!writer->attr.size) {
		result = 0;
	} else {
		result = mnt_get_buffer(writer);
		if (!result && writer->attr.size <= writer->room) {
			result = read_base(writer, 0, (size_t)writer->attr.size);
		} else if (!result) {
			result = load_blocks(writer);
			if (result == -EAGAIN)
				result = load_copy(writer);
		}
	}
	if (!result) {
		writer->loaded = true;
		return 0;
	}
	/* Nothing is lost with what was read of it: the next call may begin anew. */
	mnt_wait_uploads(writer, 0);
	mnt_free_ids(writer);
	mnt_drop_buffer(writer);
	writer->start = 0;
	return result == -ESTALE ? mnt_writer_fail(writer, result) : result;
}
