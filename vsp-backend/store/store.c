/* SPDX-License-Identifier: MIT */
/* What all stores share: names of errors, metadata, conditions, --store's text. */
#include "store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "stores.h"
#include "tagexpr.h"

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
		[STORE_LEASE_ID_MISSING] = "leased, and no lease id given",
		[STORE_LEASE_MISMATCH] = "another lease id",
		[STORE_LEASE_LOST] = "lease has ended",
		[STORE_LEASE_NOT_PRESENT] = "no lease",
		[STORE_LEASE_PRESENT] = "leased already",
		[STORE_LEASE_OP_MISMATCH] = "another lease id in a lease operation",
		[STORE_LEASE_OP_NOT_PRESENT] = "no lease for a lease operation",
		[STORE_LEASE_BREAKING_ACQUIRE] = "lease is breaking, can't be acquired",
		[STORE_LEASE_BREAKING_CHANGE] = "lease is breaking, can't be changed",
		[STORE_LEASE_BROKEN_RENEW] = "lease is broken, can't be renewed",
		[STORE_LEASE_ALREADY_BROKEN] = "lease is broken already",
		[STORE_BLOB_ARCHIVED] = "blob is archived",
		[STORE_BLOB_REHYDRATING] = "blob is being rehydrated",
		[STORE_TIER_UNKNOWN] = "tier is not for this blob",
		[STORE_BLOB_IMMUTABLE] = "blob is immutable",
		[STORE_BLOB_HELD] = "blob is under a legal hold",
		[STORE_POLICY_LOCKED] = "immutability policy is locked",
		[STORE_NO_PENDING_COPY] = "no copy is pending",
		[STORE_PENDING_COPY] = "a copy is pending",
		[STORE_COPY_ID_MISMATCH] = "another copy id",
		[STORE_SOURCE_CONDITION] = "source condition not met",
		[STORE_SOURCE_NOT_FOUND] = "source not found",
		[STORE_SNAPSHOTS_PRESENT] = "blob has snapshots",
		[STORE_CURRENT_VERSION] = "version is the current one",
		[STORE_INCREMENTAL] = "not allowed on an incremental copy",
		[STORE_INCREMENTAL_MISMATCH] = "the incremental copy is of another source",
		[STORE_INCREMENTAL_EARLIER] = "a later snapshot was copied already",
		[STORE_NOT_DELETED] = "it is not deleted",
		[STORE_APPEND_POSITION] = "another append position",
		[STORE_MAX_SIZE] = "blob would be too large",
		[STORE_APPEND_COUNT_LIMIT] = "too many appends",
		[STORE_SEALED] = "blob is sealed",
		[STORE_SEQUENCE] = "another sequence number",
		[STORE_SEQUENCE_FULL] = "sequence number can't grow",
		[STORE_BEYOND_END] = "beyond the end of the blob",
		[STORE_VIEW_UNRELATED] = "blob was replaced since",
		[STORE_VIEW_NEWER] = "not older",
		[STORE_PAST_NOT_FOUND] = "no such past state",
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

/* The zero-terminated text at *at, which moves behind it; NULL: there is none. */
static const char *next_text(const char *bytes, size_t length, size_t *at)
{
	const char *text = bytes + *at;
	const char *zero = *at < length ? memchr(text, '\0', length - *at) : NULL;

	if (!zero)
		return NULL;
	*at = (size_t)(zero + 1 - bytes);
	return text;
}

bool store_acl_next(const struct store_acl *acl, size_t *at, struct store_policy *policy)
{
	policy->id = next_text(acl->bytes, acl->length, at);
	policy->start = policy->id ? next_text(acl->bytes, acl->length, at) : NULL;
	policy->expiry = policy->start ? next_text(acl->bytes, acl->length, at) : NULL;
	policy->permissions = policy->expiry ? next_text(acl->bytes, acl->length, at) : NULL;
	return policy->permissions;
}

/* Only incremental copies have the last five. */
#define COPY_PARTS 7
#define COPY_PARTS_INCREMENTAL 12

bool store_copy_read(const struct store_meta *text, struct store_copy *copy)
{
	const char *part[COPY_PARTS_INCREMENTAL];
	size_t at = 0, count = 0;

	while (count < COPY_PARTS_INCREMENTAL &&
	       (part[count] = next_text(text->bytes, text->length, &at)))
		count++;
	if (count < COPY_PARTS)
		return false;
	*copy = (struct store_copy){ .id = part[0],
				     .status = part[1],
				     .source = part[2],
				     .description = part[3],
				     .copied = strtoull(part[4], NULL, 10),
				     .total = strtoull(part[5], NULL, 10),
				     .done_ns = strtoll(part[6], NULL, 10) };
	if (count < COPY_PARTS_INCREMENTAL)
		return true;
	copy->incremental = true;
	copy->snapshot = strtoll(part[7], NULL, 10);
	copy->origin = (struct store_origin){ .content = strtoll(part[8], NULL, 10),
					      .created_ns = strtoll(part[9], NULL, 10),
					      .snapshot = strtoll(part[10], NULL, 10),
					      .at = strtoll(part[11], NULL, 10) };
	return true;
}

bool store_copy_incremental(const struct store_meta *text)
{
	struct store_copy copy;

	return text->length && store_copy_read(text, &copy) && copy.incremental;
}

static int64_t system_clock(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static int64_t (*now_clock)(void) = system_clock;

void store_set_clock(int64_t (*now_ns)(void))
{
	now_clock = now_ns ? now_ns : system_clock;
}

int64_t store_now_ns(void)
{
	return now_clock();
}

enum store_lease_state store_lease_state(const struct store_lease *lease, int64_t now_ns)
{
	if (!lease->duration_s)
		return STORE_LEASE_AVAILABLE;
	if (lease->break_ns)
		return now_ns < lease->break_ns ? STORE_LEASE_BREAKING : STORE_LEASE_BROKEN;
	if (lease->duration_s == STORE_LEASE_INFINITE || now_ns < lease->expires_ns)
		return STORE_LEASE_LEASED;
	return STORE_LEASE_EXPIRED;
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

enum store_error store_lease_check(const uint8_t *id, enum store_access access, bool exists,
				   const struct store_lease *lease, int64_t now_ns)
{
	enum store_lease_state state = STORE_LEASE_AVAILABLE;
	bool same;

	if (exists)
		state = store_lease_state(lease, now_ns);
	same = id && state != STORE_LEASE_AVAILABLE && !memcmp(id, lease->id, sizeof(lease->id));
	switch (state) {
	case STORE_LEASE_AVAILABLE:
		return id ? STORE_LEASE_NOT_PRESENT : STORE_OK;
	case STORE_LEASE_LEASED:
	case STORE_LEASE_BREAKING:
		if (!id)
			return access == STORE_READ ? STORE_OK : STORE_LEASE_ID_MISSING;
		return same ? STORE_OK : STORE_LEASE_MISMATCH;
	case STORE_LEASE_EXPIRED:
	case STORE_LEASE_BROKEN:
		if (!id)
			return STORE_OK;
		return same ? STORE_LEASE_LOST : STORE_LEASE_MISMATCH;
	}
	return STORE_OK;
}

enum store_error store_guard_read(const struct store_conditions *c,
				  const struct store_blob_info *info)
{
	enum store_error error;

	if (!c)
		return STORE_OK;
	error = store_conditions_check(c, STORE_READ, true, info->etag, info->modified_ns);
	if (!error && c->tags && !tagexpr_holds(c->tags, &info->tags))
		error = STORE_CONDITION_NOT_MET;
	if (!error && c->lease)
		error = store_lease_check(c->lease, STORE_READ, true, &info->lease, store_now_ns());
	return error;
}

struct store *store_open(const char *spec, char *error, size_t error_size)
{
	static const struct {
		const char *name;
		struct store *(*open)(const char *options, char *error, size_t error_size);
	} stores[] = { { "local", store_local_open }, { "azure", store_azure_open } };
	size_t length = strcspn(spec, ",");

	for (size_t i = 0; i < sizeof(stores) / sizeof(stores[0]); i++)
		if (strlen(stores[i].name) == length && !memcmp(spec, stores[i].name, length))
			return stores[i].open(spec[length] ? spec + length + 1 : "", error,
					      error_size);
	snprintf(error, error_size,
		 "unknown store '%.*s'; there are: local,path=DIR and azure,account=NAME",
		 length > 64 ? 64 : (int)length, spec);
	return NULL;
}
