// SPDX-License-Identifier: MIT
#include "put_resume.h"

#include <stdlib.h>
#include <string.h>

#include "base/base64.h"

/* Marks our ids, and their form. */
#define MAGIC UINT32_C(0x617a7231) /* "azr1" */
#define ID_BYTES 24

/* What makes an id, besides its number. */
struct block {
	uint32_t length;
	uint64_t crc;
};

/**
 * struct azc_resume
 * @there: ids that the service has, sorted.
 * @lock: protects the rest.
 * @block: by number.
 */
struct azc_resume {
	uint32_t part;
	char (*there)[AZC_RESUME_ID + 1];
	size_t there_count;
	pthread_mutex_t lock;
	struct block *block;
	size_t room;
	uint64_t bytes;
};

static void put_be(uint8_t *to, size_t size, uint64_t value)
{
	for (size_t i = size; i-- > 0; value >>= 8)
		to[i] = (uint8_t)value;
}

static void make_id(const struct azc_resume *resume, uint64_t number, const struct block *block,
		    char text[AZC_RESUME_ID + 1])
{
	uint8_t bytes[ID_BYTES];

	put_be(bytes, 4, MAGIC);
	put_be(bytes + 4, 4, resume->part);
	put_be(bytes + 8, 4, number);
	put_be(bytes + 12, 4, block->length);
	put_be(bytes + 16, 8, block->crc);
	azb_base64_encode(text, bytes, sizeof(bytes));
}

static int compare(const void *a, const void *b)
{
	return memcmp(a, b, AZC_RESUME_ID);
}

/* Keeps the ids of @list; those of others never fit any of ours. */
static int take_list(struct azc_resume *resume, const struct azblob_block_list *list)
{
	resume->there = calloc(list->count + 1, sizeof(*resume->there));
	if (!resume->there)
		return -1;
	for (size_t i = 0; i < list->count; i++) {
		if (strlen(list->blocks[i]->id) != AZC_RESUME_ID)
			continue;
		memcpy(resume->there[resume->there_count++], list->blocks[i]->id,
		       AZC_RESUME_ID + 1);
	}
	qsort(resume->there, resume->there_count, sizeof(*resume->there), compare);
	return 0;
}

/* A condition that will not be met at the end is better not met now. */
static int check_new(azblob_conn *conn, const char *container, const char *blob,
		     const struct azblob_put_options *options, struct azblob_error *error)
{
	const char *none =
		options->if_none_match ? options->if_none_match : options->access->if_none_match;
	struct azblob_properties *properties;
	struct azblob_error mine;

	if (!none || strcmp(none, "*"))
		return 0;
	if (azblob_get_properties(conn, container, blob, &properties, &mine)) {
		if (mine.kind != AZBLOB_CANCELLED)
			return 0;
		if (error)
			*error = mine;
		return -1;
	}
	azblob_properties_free(properties);
	azc_fail(error, AZBLOB_SERVICE, "there is a blob of that name (BlobAlreadyExists)");
	if (error) {
		error->http_status = 409;
		memcpy(error->code, "BlobAlreadyExists", sizeof("BlobAlreadyExists"));
	}
	return -1;
}

static int ask(struct azc_resume *resume, azblob_conn *conn, const char *container,
	       const char *blob, struct azblob_error *error)
{
	struct azblob_block_list *list;
	struct azblob_error mine;
	int status = 0;

	if (azblob_get_block_list(conn, container, blob, NULL, &list, &mine)) {
		/* Nothing there, a blob of another type, a SAS that may not read: all is sent. */
		if (mine.kind == AZBLOB_SERVICE && mine.http_status >= 400 &&
		    mine.http_status < 500)
			return 0;
		if (error)
			*error = mine;
		return -1;
	}
	if (take_list(resume, list))
		status = azc_fail_memory(error);
	azblob_block_list_free(list);
	return status;
}

struct azc_resume *azc_resume_begin(azblob_conn *conn, const char *container, const char *blob,
				    const struct azblob_put_options *options, size_t part,
				    struct azblob_error *error)
{
	struct azc_resume *resume;

	if (check_new(conn, container, blob, options, error))
		return NULL;
	resume = calloc(1, sizeof(*resume));
	if (!resume) {
		azc_fail_memory(error);
		return NULL;
	}
	pthread_mutex_init(&resume->lock, NULL);
	resume->part = (uint32_t)part;
	if (ask(resume, conn, container, blob, error)) {
		azc_resume_end(resume);
		return NULL;
	}
	return resume;
}

void azc_resume_end(struct azc_resume *resume)
{
	pthread_mutex_destroy(&resume->lock);
	free(resume->there);
	free(resume->block);
	free(resume);
}

int azc_resume_note(struct azc_resume *resume, uint64_t number, size_t length, uint64_t crc,
		    bool *there, struct azblob_error *error)
{
	struct block block = { .length = (uint32_t)length, .crc = crc };
	char id[AZC_RESUME_ID + 1];
	int status = 0;

	make_id(resume, number, &block, id);
	*there = resume->there_count &&
		 bsearch(id, resume->there, resume->there_count, sizeof(*resume->there), compare);
	pthread_mutex_lock(&resume->lock);
	if (number >= resume->room) {
		size_t room = 2 * (size_t)number + 64;
		struct block *grown = reallocarray(resume->block, room, sizeof(*grown));

		if (grown) {
			memset(grown + resume->room, 0, (room - resume->room) * sizeof(*grown));
			resume->block = grown;
			resume->room = room;
		} else {
			status = azc_fail_memory(error);
		}
	}
	if (!status) {
		resume->block[number] = block;
		resume->bytes += *there ? length : 0;
	}
	pthread_mutex_unlock(&resume->lock);
	return status;
}

void azc_resume_id(struct azc_resume *resume, uint64_t number, char text[AZC_RESUME_ID + 1])
{
	pthread_mutex_lock(&resume->lock);
	make_id(resume, number, &resume->block[number], text);
	pthread_mutex_unlock(&resume->lock);
}

uint64_t azc_resume_bytes(const struct azc_resume *resume)
{
	return resume->bytes;
}
