/* SPDX-License-Identifier: MIT */
/* What all stores share: names of errors, metadata, conditions, --store's text. */
#include "store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "stores.h"

const char *store_error_name(enum store_error error)
{
	static const char *const names[] = {
		[STORE_OK] = "ok",
		[STORE_CONTAINER_NOT_FOUND] = "container not found",
		[STORE_CONTAINER_EXISTS] = "container exists",
		[STORE_CONTAINER_BEING_DELETED] = "container is being deleted",
		[STORE_BLOB_NOT_FOUND] = "blob not found",
		[STORE_BLOB_EXISTS] = "blob exists",
		[STORE_WRONG_BLOB_TYPE] = "wrong blob type",
		[STORE_CONDITION_NOT_MET] = "condition not met",
		[STORE_NOT_MODIFIED] = "not modified",
		[STORE_INVALID_BLOCK_LIST] = "invalid block list",
		[STORE_BLOCK_LIST_TOO_LONG] = "block list too long",
		[STORE_BLOCK_COUNT_LIMIT] = "too many uncommitted blocks",
		[STORE_BLOCK_ID_LENGTH] = "block ids differ in length",
		[STORE_INCOMPLETE] = "bytes are missing",
		[STORE_OVERLAP] = "parts overlap",
		[STORE_TOO_MANY_PARTS] = "too many parts",
		[STORE_OUT_OF_RANGE] = "out of range",
		[STORE_CRC_MISMATCH] = "checksum mismatch",
		[STORE_NO_SPACE] = "no space",
		[STORE_NO_MEMORY] = "no memory",
		[STORE_IO] = "input/output error",
		[STORE_CORRUPT] = "store is corrupt",
		[STORE_UNSUPPORTED] = "unsupported",
		[STORE_SHUTDOWN] = "shutting down",
	};

	if ((size_t)error >= sizeof(names) / sizeof(names[0]) || !names[error])
		return "unknown error";
	return names[error];
}

bool store_meta_next(const struct store_meta *meta, size_t *at, const char **name,
		     const char **value)
{
	const char *p = meta->bytes + *at;
	const char *end = meta->bytes + meta->length;
	const char *middle, *last;

	if (*at >= meta->length)
		return false;
	middle = memchr(p, '\0', (size_t)(end - p));
	if (!middle)
		return false;
	last = memchr(middle + 1, '\0', (size_t)(end - middle - 1));
	if (!last)
		return false;
	*name = p;
	*value = middle + 1;
	*at = (size_t)(last + 1 - meta->bytes);
	return true;
}

void store_blob_info_clear(struct store_blob_info *info)
{
	free(info->arena);
	*info = (struct store_blob_info){ 0 };
}

void store_container_info_clear(struct store_container_info *info)
{
	free(info->arena);
	*info = (struct store_container_info){ 0 };
}

static bool fits(const uint64_t *etags, size_t count, uint64_t etag)
{
	for (size_t i = 0; i < count; i++)
		if (etags[i] == STORE_ETAG_ANY || (etags[i] == etag && etag != STORE_ETAG_INVALID))
			return true;
	return false;
}

/*
 * The order is that of RFC 9110, 13.2.2: a date counts only where there is no ETag
 * condition of the same sense.
 */
enum store_error store_conditions_check(const struct store_conditions *c, enum store_access access,
					bool exists, uint64_t etag, int64_t modified_ns)
{
	int64_t modified = modified_ns / 1000000000;

	if (!c)
		return STORE_OK;
	if (!exists)
		return c->if_match_count ? STORE_CONDITION_NOT_MET : STORE_OK;
	if (c->if_match_count) {
		if (!fits(c->if_match, c->if_match_count, etag))
			return STORE_CONDITION_NOT_MET;
	} else if (c->has_if_unmodified_since && modified > c->if_unmodified_since) {
		return STORE_CONDITION_NOT_MET;
	}
	if (c->if_none_match_count) {
		if (!fits(c->if_none_match, c->if_none_match_count, etag))
			return STORE_OK;
		if (access == STORE_READ)
			return STORE_NOT_MODIFIED;
		for (size_t i = 0; i < c->if_none_match_count; i++)
			if (c->if_none_match[i] == STORE_ETAG_ANY)
				return STORE_BLOB_EXISTS;
		return STORE_CONDITION_NOT_MET;
	}
	if (c->has_if_modified_since && modified <= c->if_modified_since)
		return access == STORE_READ ? STORE_NOT_MODIFIED : STORE_CONDITION_NOT_MET;
	return STORE_OK;
}

struct store *store_open(const char *spec, char *error, size_t error_size)
{
	static const struct {
		const char *name;
		struct store *(*open)(const char *options, char *error, size_t error_size);
	} stores[] = { { "local", store_local_open } };
	size_t length = strcspn(spec, ",");

	for (size_t i = 0; i < sizeof(stores) / sizeof(stores[0]); i++)
		if (strlen(stores[i].name) == length && !memcmp(spec, stores[i].name, length))
			return stores[i].open(spec[length] ? spec + length + 1 : "", error,
					      error_size);
	snprintf(error, error_size, "unknown store '%.*s'; there is: local,path=DIR",
		 length > 64 ? 64 : (int)length, spec);
	return NULL;
}
