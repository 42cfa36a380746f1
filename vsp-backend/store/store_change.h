/* SPDX-License-Identifier: MIT */
/* What store_change() can do, and what it says about it. */
#ifndef AZB_STORE_CHANGE_H
#define AZB_STORE_CHANGE_H

#include "store_info.h"

/**
 * struct store_result - what a change led to
 * @etag, @modified_ns: of the blob or container now.
 * @crc64: CONTAINER_* and others without data: 0.  Otherwise of the bytes of the blob
 *	or block.
 * @created: PUT_BLOB, PUT_BLOCK_LIST: there was no blob before.
 * @snapshot: BLOB_SNAPSHOT, COPY_INCREMENTAL: its id.
 * @version: of the blob now; 0: none.
 * @kept: BLOB_DELETE: what was deleted can be restored.
 * @lease_id: LEASE: the lease's now.
 * @lease_left_s: LEASE with BREAK: until it is broken.
 * @rehydrating: SET_TIER: the new tier is not in effect yet.
 * @offset, @block_count: APPEND: where it went, and how many there are now.
 * @type: BLOB_UPDATE: of the blob.
 * @sequence: PAGES_*, BLOB_UPDATE: of a page blob now.
 * @has_crc64, @has_md5, @md5: COPY_BLOB: what is known of the bytes.
 */
struct store_result {
	uint64_t etag;
	int64_t modified_ns;
	uint64_t crc64;
	int64_t snapshot;
	int64_t version;
	bool created;
	bool kept;
	uint8_t lease_id[16];
	uint32_t lease_left_s;
	bool rehydrating;
	uint64_t offset;
	uint32_t block_count;
	enum store_blob_type type;
	uint64_t sequence;
	bool has_crc64;
	bool has_md5;
	uint8_t md5[16];
};

/**
 * struct store_keep - what an account keeps of blobs that are replaced or deleted
 * @versions: what is replaced becomes a version.
 * @retain_ns: what is deleted can be restored for so long; 0: not at all.
 * @container_ns: the same of containers.
 */
struct store_keep {
	bool versions;
	int64_t retain_ns;
	int64_t container_ns;
};

/**
 * struct store_place - conditions of append and page blobs; what has no has_* is absent
 * @position: the blob's length before an append.
 * @max_size: its length after it, at most.
 * @sequence_*: of the sequence number: less or equal, less, equal.
 */
struct store_place {
	bool has_position, has_max_size;
	bool has_sequence_le, has_sequence_lt, has_sequence_eq;
	uint64_t position;
	uint64_t max_size;
	uint64_t sequence_le, sequence_lt, sequence_eq;
};

enum store_sequence_action {
	STORE_SEQUENCE_UPDATE,
	STORE_SEQUENCE_MAX,
	STORE_SEQUENCE_INCREMENT,
};

/* What a delete of a blob does about its snapshots. */
enum store_delete {
	STORE_DELETE_PLAIN,          /* STORE_SNAPSHOTS_PRESENT if there are any */
	STORE_DELETE_WITH_SNAPSHOTS, /* them too */
	STORE_DELETE_SNAPSHOTS,      /* them alone */
};

/**
 * struct store_effect - the answer to keep with a change, for requests sent again
 * @session: of the link.
 * @request: the request's id in it, or store_effect_part() of that.
 * @render: makes the answer's bytes.  It is called at most once, in the thread that
 *	commits and while others wait: no blocking, no store verbs.  Returns how many
 *	of the @room bytes at @bytes it used; more than @room: the change fails with
 *	STORE_NO_MEMORY.  The bytes are kept only if the change is.
 *
 * The answer is stored in the same transaction as the change.  A change that fails
 * keeps nothing.
 */
#define STORE_MAX_EFFECT (64u * 1024u)
/* Changes that one request can be made of, if it is more than one; ids of such are below this. */
#define STORE_EFFECT_PARTS 511u
#define STORE_EFFECT_PARTED (UINT64_C(1) << 54)

/*
 * What stands for the id @request in effects of its change @part, counted from 0.  Forgetting the
 * request forgets these too.  They are negative numbers, which no request's id is, and those of one
 * request are neighbours.
 */
static inline uint64_t store_effect_part(uint64_t request, unsigned int part)
{
	return (uint64_t)(-(int64_t)(request << 9 | (part + 1)));
}

/* The id that the request has, of itself or of a part. */
static inline uint64_t store_effect_whole(uint64_t request)
{
	return (int64_t)request < 0 ? (uint64_t) - (int64_t)request >> 9 : request;
}

struct store_effect {
	uint8_t session[16];
	uint64_t request;
	size_t (*render)(void *context, const struct store_result *result, void *bytes,
			 size_t room);
	void *context;
};

enum store_block_from {
	STORE_BLOCK_LATEST,
	STORE_BLOCK_COMMITTED,
	STORE_BLOCK_UNCOMMITTED,
};

struct store_block_id {
	uint8_t length; /* 1 to STORE_MAX_BLOCK_ID */
	uint8_t bytes[STORE_MAX_BLOCK_ID];
};

/* One entry of a Put Block List. */
struct store_block_ref {
	struct store_block_id id;
	enum store_block_from from;
};

enum store_change_kind {
	/* ref.container; uses: meta, public_access */
	STORE_CONTAINER_CREATE = 1,
	/* uses: conditions, keep.  Its blobs are gone at once, their space comes back later. */
	STORE_CONTAINER_DELETE,
	/* uses: conditions, set, meta, public_access and acl */
	STORE_CONTAINER_UPDATE,
	/*
	 * ref.blob; uses: conditions, type, upload, headers, meta, tags, tier, keep, copy.
	 * Replaces the blob and drops its uncommitted blocks.  A page or append blob has no
	 * upload; it is empty, a page blob of @size bytes and with @sequence.
	 * With @copy_id it is the end of that pending copy.
	 */
	STORE_PUT_BLOB,
	/* uses: conditions (the lease alone), upload, block.  The blob's ETag stays. */
	STORE_PUT_BLOCK,
	/*
	 * uses: conditions, blocks, block_count, headers, meta, tags, tier.  The blob becomes these
	 * blocks; uncommitted blocks that are not in the list are dropped.  Data is not
	 * copied.
	 */
	STORE_PUT_BLOCK_LIST,
	/* uses: conditions, set, headers, meta, size, sequence, sequence_action, keep */
	STORE_BLOB_UPDATE,
	/*
	 * uses: conditions, delete, keep, permanent; ref.snapshot or ref.version for a past state.
	 * Uncommitted blocks go too.
	 */
	STORE_BLOB_DELETE,
	/*
	 * uses: conditions, set (STORE_SET_META: the snapshot gets meta in place of the
	 * blob's), keep.  The data is shared.
	 */
	STORE_BLOB_SNAPSHOT,
	/* What was deleted and is kept of this name comes back. */
	STORE_BLOB_UNDELETE,
	/* blob or container; uses: conditions, lease.  The ETag stays. */
	STORE_LEASE,
	/* uses: conditions, tier, rehydrate_high.  The ETag stays. */
	STORE_SET_TIER,
	/* uses: conditions, tags.  The ETag stays. */
	STORE_SET_TAGS,
	/* uses: conditions, place, upload.  In a row; the data is at the blob's end. */
	STORE_APPEND,
	/* uses: conditions, place */
	STORE_APPEND_SEAL,
	/* uses: conditions, place, offset, upload; whole pages */
	STORE_PAGES_WRITE,
	/* uses: conditions, place, offset, size: so many bytes */
	STORE_PAGES_CLEAR,
	/* ref.account alone; uses: settings */
	STORE_ACCOUNT_UPDATE,
	/*
	 * uses: conditions, source, source_conditions, set, headers, meta, tags, tier, copy.
	 * The blob becomes what the source is; its data is shared, not copied.  What @set has
	 * comes from the change in place of the source.
	 */
	STORE_COPY_BLOB,
	/*
	 * ref.container: the name it gets; uses: source.container, container_version.  A
	 * container that was deleted and is kept comes back with all that is in it.
	 */
	STORE_CONTAINER_RESTORE,
	/*
	 * a blob, or a past state of it; uses: conditions, set (STORE_SET_POLICY, _HOLD),
	 * protect.  The ETag stays.
	 */
	STORE_PROTECT,
	/*
	 * uses: conditions, source (a snapshot of a page blob), source_conditions, set, meta,
	 * keep, copy.  A blob that is not there, or was made so from the same source: it becomes
	 * what the snapshot is, of which a snapshot of its own is made.
	 */
	STORE_COPY_INCREMENTAL,
	STORE_CHANGE_KINDS, /* how many there are, and none itself */
};

enum store_lease_action {
	STORE_ACQUIRE = 1,
	STORE_RENEW,
	STORE_CHANGE_LEASE,
	STORE_RELEASE,
	STORE_BREAK,
};

/**
 * struct store_lease_change - what STORE_LEASE does
 * @id: the lease's, or for ACQUIRE the one it shall have.
 * @proposed: CHANGE_LEASE: the new one.
 * @duration_s: ACQUIRE: 15 to 60 or STORE_LEASE_INFINITE.
 * @break_s: BREAK: 0 to 60, or -1 for none given.
 */
struct store_lease_change {
	enum store_lease_action action;
	uint8_t id[16];
	uint8_t proposed[16];
	int32_t duration_s;
	int32_t break_s;
};

#define STORE_SET_META (1u << 0)
#define STORE_SET_HEADERS (1u << 1)
#define STORE_SET_ACL (1u << 2) /* public_access and acl */
#define STORE_SET_TAG_LIST (1u << 3)
#define STORE_SET_POLICY (1u << 4)    /* protect.immutability and until_ns */
#define STORE_SET_HOLD (1u << 5)      /* protect.hold */
#define STORE_SET_SIZE (1u << 16)     /* of a page blob */
#define STORE_SET_SEQUENCE (1u << 17) /* of a page blob */

/* What forbids to change the bytes of a blob and to delete it. */
struct store_protection {
	enum store_immutability immutability;
	int64_t until_ns;
	bool hold;
};

/* What the service keeps for an account; the store doesn't look into it. */
struct store_settings {
	const void *bytes;
	size_t length;
};

/**
 * struct store_change - one atomic step
 * @conditions: may be NULL; checked in the same transaction.
 * @upload: is used up if the change succeeds, else remains the caller's.  All bytes
 *	must be there (STORE_INCOMPLETE); no write to it may be under way.
 * @set: STORE_SET_*: what BLOB_UPDATE and CONTAINER_UPDATE replace.
 * @headers: may be NULL: none set.
 * @keep: of the account; for everything that replaces, changes or deletes blobs.
 * @copy_id: PUT_BLOB: not NULL: the pending copy that ends with it.  While one is pending no
 *	other change of the blob is done, but for its lease (STORE_PENDING_COPY); so this one asks
 *	for no conditions, and the blob that waited leaves nothing.
 * @permanent: BLOB_DELETE of a snapshot or version that is deleted already and kept: it is
 *	not kept any longer.
 * @effect: may be NULL.
 *
 * Everything pointed to is only read, and only until change() returns.
 */
struct store_change {
	enum store_change_kind kind;
	struct store_ref ref;
	const struct store_conditions *conditions;
	struct store_upload *upload;
	unsigned int set;
	const struct store_headers *headers;
	struct store_meta meta;
	enum store_public public_access;
	struct store_acl acl;
	struct store_block_id block;
	const struct store_block_ref *blocks;
	size_t block_count;
	enum store_blob_type type;
	const struct store_place *place;
	uint64_t offset;
	uint64_t size;
	uint64_t sequence;
	enum store_sequence_action sequence_action;
	struct store_keep keep;
	enum store_delete delete;
	struct store_lease_change lease;
	enum store_tier tier;
	bool rehydrate_high;
	bool permanent;
	struct store_meta tags;
	struct store_settings settings;
	struct store_ref source;
	const struct store_conditions *source_conditions;
	const struct store_copy *copy;
	const char *copy_id;
	uint64_t container_version;
	struct store_protection protect;
	const struct store_effect *effect;
};

#endif
