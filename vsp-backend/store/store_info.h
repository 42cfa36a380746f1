/* SPDX-License-Identifier: MIT */
/* What the service and a store say to each other about blobs: errors, states, conditions. */
#ifndef AZB_STORE_INFO_H
#define AZB_STORE_INFO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The service makes Azure's codes of these. */
enum store_error {
	STORE_OK = 0,
	STORE_CONTAINER_NOT_FOUND,
	STORE_CONTAINER_EXISTS,
	STORE_CONTAINER_BEING_DELETED,
	STORE_BLOB_NOT_FOUND,
	STORE_BLOB_EXISTS, /* If-None-Match: * on a blob that is there */
	STORE_WRONG_BLOB_TYPE,
	STORE_CONDITION_NOT_MET,   /* 412 */
	STORE_NOT_MODIFIED,        /* 304, reads only */
	STORE_INVALID_BLOCK_LIST,  /* a block of the list does not exist */
	STORE_BLOCK_LIST_TOO_LONG, /* more than STORE_MAX_BLOCKS */
	STORE_BLOCK_COUNT_LIMIT,   /* more than STORE_MAX_UNCOMMITTED */
	STORE_BLOCK_ID_LENGTH,     /* other uncommitted ids have another length */
	STORE_INCOMPLETE,          /* an upload with bytes missing */
	STORE_OVERLAP,             /* a part overlaps others without being the same part */
	STORE_TOO_MANY_PARTS,
	STORE_OUT_OF_RANGE, /* beyond the size of the upload or of the blob */
	STORE_CRC_MISMATCH, /* of a part: nothing of it counts */
	STORE_NO_SPACE,     /* disk full */
	STORE_NO_MEMORY,
	STORE_IO,      /* the disk or SQLite failed; logged with the details */
	STORE_CORRUPT, /* what is stored contradicts itself; logged */
	STORE_UNSUPPORTED,
	STORE_SHUTDOWN, /* the store is closing */
	/* leases: the same names as codes of Azure, see err_of_store() */
	STORE_LEASE_ID_MISSING,
	STORE_LEASE_MISMATCH,
	STORE_LEASE_LOST,
	STORE_LEASE_NOT_PRESENT,
	STORE_LEASE_PRESENT,
	STORE_LEASE_OP_MISMATCH,
	STORE_LEASE_OP_NOT_PRESENT,
	STORE_LEASE_BREAKING_ACQUIRE,
	STORE_LEASE_BREAKING_CHANGE,
	STORE_LEASE_BROKEN_RENEW,
	STORE_LEASE_ALREADY_BROKEN,
	STORE_BLOB_ARCHIVED,
	STORE_BLOB_REHYDRATING,
	STORE_TIER_UNKNOWN,
	STORE_BLOB_IMMUTABLE,
	STORE_BLOB_HELD,
	STORE_POLICY_LOCKED,
	STORE_NO_PENDING_COPY,
	STORE_PENDING_COPY,
	STORE_COPY_ID_MISMATCH,
	STORE_SOURCE_CONDITION,  /* 412 of a source */
	STORE_SNAPSHOTS_PRESENT, /* delete: there are snapshots and nothing said of them */
	STORE_CURRENT_VERSION,   /* the current version can't be deleted by its id */
	STORE_NOT_DELETED,       /* it is there, and only what is deleted already can go for good */
	STORE_APPEND_POSITION,   /* the append position is another */
	STORE_MAX_SIZE,          /* the append would make the blob larger than wanted */
	STORE_APPEND_COUNT_LIMIT, /* more than STORE_MAX_BLOCKS appends */
	STORE_SEALED,
	STORE_SEQUENCE,       /* 412: the sequence number does not fit */
	STORE_SEQUENCE_FULL,  /* it can't be incremented */
	STORE_BEYOND_END,     /* pages that the blob does not have */
	STORE_VIEW_UNRELATED, /* a past state of another content: the blob was replaced since */
	STORE_VIEW_NEWER,     /* a past state that is not older */
	STORE_PAST_NOT_FOUND, /* a past state to compare with */
	STORE_SOURCE_NOT_FOUND,
	STORE_INCREMENTAL,          /* what an incremental copy was made to can't be used so */
	STORE_INCREMENTAL_MISMATCH, /* it is of another source, or none at all */
	STORE_INCREMENTAL_EARLIER,  /* the snapshot is not newer than the last one copied */
};

/* A short text for logs. */
const char *store_error_name(enum store_error error);

#define STORE_MAX_BLOCKS 50000u             /* blocks of one blob */
#define STORE_MAX_UNCOMMITTED 100000u       /* uncommitted blocks of one blob */
#define STORE_MAX_BLOCK_ID 64u              /* bytes of a block id, base64 undone */
#define STORE_PAGE 512u                     /* page blobs: of offsets and lengths */
#define STORE_MAX_PAGES (UINT64_C(8) << 40) /* bytes of a page blob */
#define STORE_MAX_PARTS 65536u              /* parts of one upload that are not in a row */

struct rest_ops;
struct store;
struct store_read;
struct tagexpr;
struct store_upload;

/**
 * struct store_ref - what is meant
 * @blob: NULL where the container itself is meant.
 * @snapshot, @version: of a blob, in units of 100 ns since 1970, as the ids of Azure
 *	say them; 0 for the blob itself, and at most one of them is not.
 */
struct store_ref {
	const char *account;
	const char *container;
	const char *blob;
	int64_t snapshot;
	int64_t version;
};

/**
 * struct store_meta - x-ms-meta-* of a container or blob, in the order given
 * @bytes: for each pair the name, a zero, the value, a zero; no zero in either.
 * @length: bytes of all that.
 */
struct store_meta {
	const char *bytes;
	size_t length;
};

/*
 * Steps through the pairs: start with *at = 0; false after the last one.  The
 * strings point into meta->bytes.
 */
bool store_meta_next(const struct store_meta *meta, size_t *at, const char **name,
		     const char **value);

enum store_blob_type {
	STORE_BLOCK_BLOB = 1,
	STORE_PAGE_BLOB = 2,
	STORE_APPEND_BLOB = 3,
};

/**
 * struct store_headers - content headers; NULL means not set
 * @md5: of the whole blob, valid with @has_md5.
 */
struct store_headers {
	const char *content_type;
	const char *content_encoding;
	const char *content_language;
	const char *content_disposition;
	const char *cache_control;
	uint8_t md5[16];
	bool has_md5;
};

/* Set by tests that must not wait for time to pass; NULL: the clock of the system. */
void store_set_clock(int64_t (*now_ns)(void));
/* Now, for leases and policies. */
int64_t store_now_ns(void);

#define STORE_LEASE_INFINITE (-1)

/**
 * struct store_lease - a client's lease on a blob or container, as it was made
 * @duration_s: 15 to 60, STORE_LEASE_INFINITE, or 0: there is none.
 * @expires_ns: end of a lease with an end.
 * @break_ns: not 0: it is being broken and ends then, or has.
 *
 * What that means now says store_lease_state().
 */
struct store_lease {
	uint8_t id[16];
	int32_t duration_s;
	int64_t expires_ns;
	int64_t break_ns;
};

enum store_lease_state {
	STORE_LEASE_AVAILABLE,
	STORE_LEASE_LEASED,
	STORE_LEASE_EXPIRED,
	STORE_LEASE_BREAKING,
	STORE_LEASE_BROKEN,
};

enum store_lease_state store_lease_state(const struct store_lease *lease, int64_t now_ns);

/* Access tiers; INFERRED: none was ever set, which means the account's default, hot. */
enum store_tier {
	STORE_TIER_INFERRED,
	STORE_TIER_HOT,
	STORE_TIER_COOL,
	STORE_TIER_COLD,
	STORE_TIER_ARCHIVE,
};

enum store_immutability {
	STORE_MUTABLE,
	STORE_UNLOCKED,
	STORE_LOCKED,
};

/**
 * struct store_copy - where a blob was copied from
 * @status: "pending", "success", "aborted" or "failed".
 * @copied, @total: bytes.
 * @done_ns: 0 while pending.
 * @incremental: by Incremental Copy Blob: @snapshot is the last snapshot that it made here, and
 *	@origin is the store's own: what was copied, as it was found there.
 * @resume: of a change that makes a pending one: what the service needs to go on with it in
 *	another life, @resume_length bytes.  Kept until the copy is over, for store_copies_list();
 *	nobody else is shown it.
 */
struct store_copy {
	const char *id;
	const char *status;
	const char *source;
	const char *description;
	uint64_t copied;
	uint64_t total;
	int64_t done_ns;
	bool incremental;
	int64_t snapshot;
	struct store_origin {
		int64_t content, created_ns, snapshot, at;
	} origin;
	const void *resume;
	size_t resume_length;
};

/* Takes the text apart that info.copy holds; false: there is none. */
bool store_copy_read(const struct store_meta *text, struct store_copy *copy);
/* Is it there, and of a blob that only Incremental Copy Blob may change? */
bool store_copy_incremental(const struct store_meta *text);

/**
 * struct store_blob_info - all there is to know of a blob without its bytes
 * @etag: never 0, never the same for two states of any blobs of the store; shown as
 *	"0x%" PRIX64 in quotes.
 * @modified_ns, @created_ns: grow strictly within a store.
 * @block_count: blocks of the committed list; 0 after a Put Blob.
 * @crc64: CRC-64/NVME of all bytes, valid with @has_crc64.
 * @tags: pairs as in metadata, in the order of their keys.
 * @copy: for store_copy_read().
 * @rehydrate: the tier that an archived blob is on its way to, else INFERRED.
 * @tier_changed_ns: 0 as long as @tier is INFERRED.
 * @immutable_until_ns: with @immutability: no change of the bytes, no deletion before.
 * @snapshot, @version: what this is, as in struct store_ref; the blob itself may have
 *	a version too.
 * @current: the blob itself, not its past.
 * @versions_only: of a list: there is no blob of the name, only versions.
 * @deleted_ns, @until_ns: it is deleted and can be restored until then; else 0.
 * @sequence: of a page blob.
 * @sealed: an append blob that takes no more.
 * @arena: owns the strings, if not NULL: end with store_blob_info_clear().  In
 *	callbacks the strings are valid during the call only.
 */
struct store_blob_info {
	enum store_blob_type type;
	uint64_t length;
	uint64_t etag;
	int64_t modified_ns;
	int64_t created_ns;
	uint32_t block_count;
	bool has_crc64;
	uint64_t crc64;
	int64_t snapshot;
	int64_t version;
	bool current;
	bool versions_only;
	bool sealed;
	int64_t deleted_ns;
	int64_t until_ns;
	uint64_t sequence;
	struct store_headers headers;
	struct store_meta meta;
	struct store_meta tags;
	struct store_meta copy;
	struct store_lease lease;
	enum store_tier tier;
	enum store_tier rehydrate;
	bool rehydrate_high;
	int64_t tier_changed_ns;
	enum store_immutability immutability;
	int64_t immutable_until_ns;
	bool legal_hold;
	void *arena;
};

void store_blob_info_clear(struct store_blob_info *info);

/* Who may read without credentials. */
enum store_public {
	STORE_PUBLIC_NONE,
	STORE_PUBLIC_BLOB,      /* blobs by their names */
	STORE_PUBLIC_CONTAINER, /* lists and the container's properties too */
};

#define STORE_MAX_POLICIES 5u

/**
 * struct store_acl - the stored access policies of a container, in the order given
 * @bytes: for each one its four strings with a zero after each.
 */
struct store_acl {
	const char *bytes;
	size_t length;
};

/* One of them; what was not given is "".  The service has checked them. */
struct store_policy {
	const char *id;
	const char *start; /* ISO 8601, as given */
	const char *expiry;
	const char *permissions;
};

/* Steps through them as store_meta_next() does. */
bool store_acl_next(const struct store_acl *acl, size_t *at, struct store_policy *policy);

/**
 * struct store_container_info - the same of a container
 * @deleted_ns: not 0: it is deleted and can be restored until @until_ns as @version.
 *
 * End with store_container_info_clear().
 */
struct store_container_info {
	uint64_t etag;
	int64_t modified_ns;
	int64_t created_ns;
	struct store_meta meta;
	enum store_public public_access;
	struct store_acl acl;
	struct store_lease lease;
	int64_t deleted_ns;
	int64_t until_ns;
	uint64_t version;
	void *arena;
};

void store_container_info_clear(struct store_container_info *info);

/*
 * Conditions.  All zero: none.
 */

#define STORE_ETAG_ANY UINT64_MAX /* "*" */
#define STORE_ETAG_INVALID 0      /* an ETag that is none of ours: fits nothing */

/**
 * struct store_conditions - the conditional headers of a request
 * @if_match, @if_none_match: arrays of @if_match_count and @if_none_match_count
 *	ETags; a count of 0 means no such header.
 * @if_modified_since, @if_unmodified_since: whole seconds since 1970, as HTTP dates
 *	are; valid with has_*.
 * @lease: 16 bytes of the lease id given, or NULL.  Not used by STORE_LEASE.
 * @tags: x-ms-if-tags; NULL for none.
 */
struct store_conditions {
	const uint64_t *if_match;
	const uint64_t *if_none_match;
	size_t if_match_count;
	size_t if_none_match_count;
	bool has_if_modified_since;
	bool has_if_unmodified_since;
	int64_t if_modified_since;
	int64_t if_unmodified_since;
	const uint8_t *lease;
	const struct tagexpr *tags;
};

enum store_access {
	STORE_READ,
	STORE_WRITE
};

/**
 * store_conditions_check - decides about conditions, touches nothing
 * @conditions: NULL for none.
 * @exists: is there such a blob now?  @etag and @modified_ns count only then.
 *
 * Last-modified counts in whole seconds, as the client saw it.  STORE_OK,
 * STORE_CONDITION_NOT_MET, for reads STORE_NOT_MODIFIED, for writes STORE_BLOB_EXISTS.
 */
enum store_error store_conditions_check(const struct store_conditions *conditions,
					enum store_access access, bool exists, uint64_t etag,
					int64_t modified_ns);

/**
 * store_lease_check - may a request with this lease id, or none, be done?
 * @exists: is there such a blob?
 *
 * STORE_OK, or one of STORE_LEASE_*.  A read needs no id, but must not name a wrong one.
 */
enum store_error store_lease_check(const uint8_t *id, enum store_access access, bool exists,
				   const struct store_lease *lease, int64_t now_ns);

/*
 * All of them for what @info says: the above, tags, and the lease id.
 */
enum store_error store_guard_read(const struct store_conditions *conditions,
				  const struct store_blob_info *info);

#endif
