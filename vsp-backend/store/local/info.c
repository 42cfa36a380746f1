/* SPDX-License-Identifier: MIT */
/* Between rows and the structs of store.h. */
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "store/local/local.h"

/*
 * The headers column: for each header that is set a letter, the value, a zero.  Which
 * letter means what is part of the format.
 */
static const char **header_of(struct store_headers *headers, char letter)
{
	switch (letter) {
	case 't':
		return &headers->content_type;
	case 'e':
		return &headers->content_encoding;
	case 'l':
		return &headers->content_language;
	case 'd':
		return &headers->content_disposition;
	case 'c':
		return &headers->cache_control;
	default:
		return NULL;
	}
}

enum store_error info_pack_headers(const struct store_headers *headers, char **bytes,
				   size_t *length)
{
	struct store_headers copy = *headers;
	struct azb_buf buf = { 0 };

	for (const char *letter = "teldc"; *letter; letter++) {
		const char *value = *header_of(&copy, *letter);

		if (!value)
			continue;
		azb_buf_add(&buf, letter, 1);
		azb_buf_add(&buf, value, strlen(value) + 1);
	}
	if (buf.failed) {
		azb_buf_free(&buf);
		return STORE_NO_MEMORY;
	}
	*bytes = buf.data;
	*length = buf.length;
	return STORE_OK;
}

static enum store_error unpack_headers(const char *bytes, size_t length,
				       struct store_headers *headers)
{
	const char *end = bytes + length;

	while (bytes < end) {
		const char **value = header_of(headers, *bytes++);
		const char *zero = memchr(bytes, '\0', (size_t)(end - bytes));

		if (!value || !zero)
			return STORE_CORRUPT;
		*value = bytes;
		bytes = zero + 1;
	}
	return STORE_OK;
}

static struct store_meta meta_of_row(sqlite3_stmt *row, int column)
{
	struct store_meta meta = { .bytes = sqlite3_column_blob(row, column) };

	meta.length = (size_t)sqlite3_column_bytes(row, column);
	return meta;
}

enum store_error info_of_row(sqlite3_stmt *row, int first, struct store_blob_info *info)
{
	const void *md5;
	int rehydrate;

	*info = (struct store_blob_info){
		.type = (enum store_blob_type)sqlite3_column_int(row, first),
		.length = (uint64_t)sqlite3_column_int64(row, first + 1),
		.etag = (uint64_t)sqlite3_column_int64(row, first + 2),
		.modified_ns = sqlite3_column_int64(row, first + 3),
		.created_ns = sqlite3_column_int64(row, first + 4),
		.block_count = (uint32_t)sqlite3_column_int64(row, first + 5),
		.has_crc64 = sqlite3_column_type(row, first + 6) != SQLITE_NULL,
		.crc64 = (uint64_t)sqlite3_column_int64(row, first + 6),
	};
	md5 = sqlite3_column_blob(row, first + 7);
	if (md5 && sqlite3_column_bytes(row, first + 7) == 16) {
		memcpy(info->headers.md5, md5, 16);
		info->headers.has_md5 = true;
	}
	info->meta = meta_of_row(row, first + 9);
	guard_lease_of_row(row, first + 10, &info->lease);
	info->tags = meta_of_row(row, first + 11);
	info->copy = meta_of_row(row, first + 12);
	info->tier = (enum store_tier)sqlite3_column_int(row, first + 13);
	info->tier_changed_ns = sqlite3_column_int64(row, first + 14);
	rehydrate = sqlite3_column_int(row, first + 15);
	guard_tier(&info->tier, &rehydrate, &info->tier_changed_ns);
	info->rehydrate = (enum store_tier)(rehydrate & ~REHYDRATE_HIGH);
	info->rehydrate_high = rehydrate & REHYDRATE_HIGH;
	info->immutability = (enum store_immutability)sqlite3_column_int(row, first + 16);
	info->immutable_until_ns = sqlite3_column_int64(row, first + 17);
	info->legal_hold = sqlite3_column_int(row, first + 18);
	info->version = sqlite3_column_int64(row, first + 19);
	info->sequence = (uint64_t)sqlite3_column_int64(row, first + 20);
	info->sealed = sqlite3_column_int(row, first + 21);
	return unpack_headers(sqlite3_column_blob(row, first + 8),
			      (size_t)sqlite3_column_bytes(row, first + 8), &info->headers);
}

void info_place(sqlite3_stmt *row, int first, struct store_blob_info *info)
{
	int64_t at = sqlite3_column_int64(row, first);
	int kind = sqlite3_column_int(row, first + 1);

	info->current = !kind;
	info->versions_only = kind == PAST_ROOT;
	if (kind)
		info->version = kind == PAST_VERSION ? at : 0;
	info->snapshot = kind == PAST_SNAPSHOT ? at : 0;
	info->deleted_ns = sqlite3_column_int64(row, first + 2);
	info->until_ns = sqlite3_column_int64(row, first + 3);
}

static char *copy_text(char **to, const char *text)
{
	char *copy = *to;
	size_t length;

	if (!text)
		return NULL;
	length = strlen(text) + 1;
	memcpy(copy, text, length);
	*to += length;
	return copy;
}

static char *copy_bytes(char **to, const char *bytes, size_t length)
{
	char *copy = *to;

	if (length)
		memcpy(copy, bytes, length);
	*to += length;
	return copy;
}

enum store_error info_copy(const struct store_blob_info *from, struct store_blob_info *to)
{
	struct store_headers headers = from->headers;
	size_t length = from->meta.length + from->tags.length + from->copy.length + 1;
	char *p;

	for (const char *letter = "teldc"; *letter; letter++) {
		const char *value = *header_of(&headers, *letter);

		length += value ? strlen(value) + 1 : 0;
	}
	p = malloc(length);
	if (!p)
		return STORE_NO_MEMORY;
	*to = *from;
	to->arena = p;
	for (const char *letter = "teldc"; *letter; letter++)
		*header_of(&to->headers, *letter) = copy_text(&p, *header_of(&headers, *letter));
	to->meta.bytes = copy_bytes(&p, from->meta.bytes, from->meta.length);
	to->tags.bytes = copy_bytes(&p, from->tags.bytes, from->tags.length);
	to->copy.bytes = copy_bytes(&p, from->copy.bytes, from->copy.length);
	return STORE_OK;
}

void container_of_row(sqlite3_stmt *row, int first, struct store_container_info *info)
{
	*info = (struct store_container_info){
		.etag = (uint64_t)sqlite3_column_int64(row, first),
		.modified_ns = sqlite3_column_int64(row, first + 1),
		.created_ns = sqlite3_column_int64(row, first + 2),
	};
	info->meta = meta_of_row(row, first + 3);
	info->public_access = (enum store_public)sqlite3_column_int(row, first + 4);
	info->acl.bytes = sqlite3_column_blob(row, first + 5);
	info->acl.length = (size_t)sqlite3_column_bytes(row, first + 5);
	guard_lease_of_row(row, first + 6, &info->lease);
	info->deleted_ns = sqlite3_column_int64(row, first + 7);
	info->until_ns = sqlite3_column_int64(row, first + 8);
	info->version = (uint64_t)sqlite3_column_int64(row, first + 9);
}

enum store_error container_copy(const struct store_container_info *from,
				struct store_container_info *to)
{
	char *p = malloc(from->meta.length + from->acl.length + 1);

	if (!p)
		return STORE_NO_MEMORY;
	*to = *from;
	to->arena = p;
	to->meta.bytes = copy_bytes(&p, from->meta.bytes, from->meta.length);
	to->acl.bytes = copy_bytes(&p, from->acl.bytes, from->acl.length);
	return STORE_OK;
}
