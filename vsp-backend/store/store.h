/* SPDX-License-Identifier: MIT */
/*
 * The interface between the blob service and what keeps the blobs.  A store is a
 * struct of verbs; a filter will be the same verbs in front of another store.
 *
 * Threads.  Every verb may be called from any thread and may block (on disk, on the
 * commit of others): call them from worker threads, never from an event loop.
 *
 * Names are zero-terminated UTF-8, compared as bytes; the service has checked them.
 * Times are nanoseconds since 1970, UTC.
 *
 * What a verb returns is an enum store_error.  On anything but STORE_OK nothing has
 * changed and out parameters hold nothing to free.
 *
 * STORE_OK from change() means: durable.
 */
#ifndef AZB_STORE_H
#define AZB_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

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
	STORE_SOURCE_CONDITION,   /* 412 of a source */
	STORE_SNAPSHOTS_PRESENT,  /* delete: there are snapshots and nothing said of them */
	STORE_CURRENT_VERSION,    /* the current version can't be deleted by its id */
	STORE_APPEND_POSITION,    /* the append position is another */
	STORE_MAX_SIZE,           /* the append would make the blob larger than wanted */
	STORE_APPEND_COUNT_LIMIT, /* more than STORE_MAX_BLOCKS appends */
	STORE_SEALED,
	STORE_SEQUENCE,       /* 412: the sequence number does not fit */
	STORE_SEQUENCE_FULL,  /* it can't be incremented */
	STORE_BEYOND_END,     /* pages that the blob does not have */
	STORE_VIEW_UNRELATED, /* a past state of another content: the blob was replaced since */
	STORE_VIEW_NEWER,     /* a past state that is not older */
	STORE_PAST_NOT_FOUND, /* a past state to compare with */
	STORE_SOURCE_NOT_FOUND,
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
 */
struct store_copy {
	const char *id;
	const char *status;
	const char *source;
	const char *description;
	uint64_t copied;
	uint64_t total;
	int64_t done_ns;
};

/* Takes the text apart that info.copy holds; false: there is none. */
bool store_copy_read(const struct store_meta *text, struct store_copy *copy);

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

/*
 * Reading.
 */

/**
 * struct store_piece - where some bytes of a blob are
 * @fd: a file to pread() or sendfile() from, or -1: then @bytes are they.
 *
 * Both stay valid until the lease is released.
 */
struct store_piece {
	int fd;
	uint64_t file_offset;
	uint64_t length;
	const void *bytes;
};

/**
 * struct store_read - a lease on one state of a blob
 * @store: who gave it.
 * @info: of that state.
 *
 * While it is held the bytes stay, even if the blob is replaced or deleted.  Any
 * thread may use it, several at once.
 */
struct store_read {
	struct store *store;
	struct store_blob_info info;
};

/*
 * Writing.
 */

#define STORE_UPLOAD_MD5 (1u << 0) /* the MD5 of all bytes will be asked for */
/*
 * Parts come once each, mostly in order, and are never sent again: parts in a row
 * are then kept as one, so that any number of them may come (STORE_MAX_PARTS).
 */
#define STORE_UPLOAD_STREAM (1u << 1)

/* The source can't change while it is read: no private copy is needed. */
#define STORE_WRITE_PRIVATE (1u << 0)

/**
 * struct store_digest - checksums of all bytes of an upload
 * @has_md5: with STORE_UPLOAD_MD5.
 */
struct store_digest {
	uint64_t crc64;
	uint8_t md5[16];
	bool has_md5;
};

/**
 * struct store_result - what a change led to
 * @etag, @modified_ns: of the blob or container now.
 * @crc64: CONTAINER_* and others without data: 0.  Otherwise of the bytes of the blob
 *	or block.
 * @created: PUT_BLOB, PUT_BLOCK_LIST: there was no blob before.
 * @snapshot: BLOB_SNAPSHOT: its id.
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
 * @request: the request's id in it.
 * @render: makes the answer's bytes.  It is called at most once, in the thread that
 *	commits and while others wait: no blocking, no store verbs.  Returns how many
 *	of the @room bytes at @bytes it used; more than @room: the change fails with
 *	STORE_NO_MEMORY.  The bytes are kept only if the change is.
 *
 * The answer is stored in the same transaction as the change.  A change that fails
 * keeps nothing.
 */
#define STORE_MAX_EFFECT (64u * 1024u)
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
	 * ref.blob; uses: conditions, type, upload, headers, meta, tags, tier, keep.
	 * Replaces the blob and drops its uncommitted blocks.  A page or append blob has no
	 * upload; it is empty, a page blob of @size bytes and with @sequence.
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
	 * uses: conditions, delete, keep; ref.snapshot or ref.version for a past state.
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
	struct store_meta tags;
	struct store_settings settings;
	struct store_ref source;
	const struct store_conditions *source_conditions;
	const struct store_copy *copy;
	uint64_t container_version;
	struct store_protection protect;
	const struct store_effect *effect;
};

/*
 * Lists.  A callback returns true to go on, or false for "there is no room for this
 * one": the page ends before it and starts with it next time.  No store verbs in a
 * callback.
 */

/**
 * struct store_list - which page
 * @prefix: "" or NULL for all.
 * @delimiter: blobs only; "" or NULL for none.  Names that have it after the prefix
 *	are given as one prefix up to and including it.
 * @marker: "" or NULL for the first page; otherwise what the page before gave as
 *	next marker: the name or prefix to start with.
 * @marker_at: with @marker: what the page before gave in *@next_at.
 * @next_at: where within the name of the next marker the next page starts; NULL
 *	without @past.
 * @past: STORE_LIST_*: what to list besides what is there; of containers only DELETED.
 * @max: how many blobs and prefixes at most; not 0.
 */
struct store_list {
	const char *prefix;
	const char *delimiter;
	const char *marker;
	int64_t marker_at;
	int64_t *next_at;
	unsigned int past;
	size_t max;
};

#define STORE_LIST_SNAPSHOTS (1u << 0)
#define STORE_LIST_VERSIONS (1u << 1)
#define STORE_LIST_DELETED (1u << 2) /* blobs, and snapshots and versions if asked for */

typedef bool store_container_cb(void *context, const char *name,
				const struct store_container_info *info);

/* @info is NULL for a prefix; @name is then the prefix. */
typedef bool store_blob_cb(void *context, const char *name, const struct store_blob_info *info);

/* One blob found by its tags. */
typedef bool store_find_cb(void *context, const char *container, const char *name,
			   const struct store_meta *tags);

/* One block of a list.  @committed blocks come in order, then the others by id. */
typedef bool store_block_cb(void *context, const struct store_block_id *id, uint64_t length,
			    bool committed);

/**
 * struct store_pages - which pages are asked for
 * @offset, @end: the range, in bytes; what is beyond the blob's end is not there.
 * @before: not 0: a snapshot of the blob; only what changed since then.
 */
struct store_pages {
	uint64_t offset;
	uint64_t end;
	int64_t before;
};

/* Pages in a row that are there, or with struct store_pages.before: were written or cleared. */
typedef bool store_pages_cb(void *context, uint64_t offset, uint64_t length, bool written);

/**
 * struct store_ops - the verbs; call them by the functions below
 */
struct store_ops {
	const char *name;
	/* not NULL: whole requests go there, and only close() and effect_*() of the others exist */
	const struct rest_ops *rest;
	void (*close)(struct store *store);

	enum store_error (*change)(struct store *store, const struct store_change *change,
				   struct store_result *result);

	enum store_error (*account_get)(struct store *store, const char *account, void **bytes,
					size_t *length);

	enum store_error (*container_stat)(struct store *store, const struct store_ref *ref,
					   struct store_container_info *info);
	enum store_error (*container_list)(struct store *store, const char *account,
					   const struct store_list *list, store_container_cb *cb,
					   void *context, char **next);

	enum store_error (*blob_stat)(struct store *store, const struct store_ref *ref,
				      const struct store_conditions *conditions,
				      struct store_blob_info *info);
	enum store_error (*blob_list)(struct store *store, const struct store_ref *ref,
				      const struct store_list *list, store_blob_cb *cb,
				      void *context, char **next);
	enum store_error (*tags_find)(struct store *store, const struct store_ref *ref,
				      const struct tagexpr *where, const struct store_list *list,
				      store_find_cb *cb, void *context, char **next);
	enum store_error (*block_list)(struct store *store, const struct store_ref *ref,
				       bool committed, bool uncommitted,
				       struct store_blob_info *info, store_block_cb *cb,
				       void *context);

	enum store_error (*page_list)(struct store *store, const struct store_ref *ref,
				      const struct store_conditions *conditions,
				      const struct store_pages *pages, struct store_blob_info *info,
				      store_pages_cb *cb, void *context, uint64_t *next);

	enum store_error (*read_open)(struct store *store, const struct store_ref *ref,
				      const struct store_conditions *conditions,
				      struct store_blob_info *info, struct store_read **read);
	enum store_error (*read_map)(struct store_read *read, uint64_t offset, uint64_t length,
				     struct store_piece *pieces, size_t room, size_t *count);
	enum store_error (*read_at)(struct store_read *read, uint64_t offset, void *buffer,
				    size_t length);
	void (*read_close)(struct store_read *read);

	enum store_error (*upload_begin)(struct store *store, uint64_t size, unsigned int flags,
					 struct store_upload **upload);
	enum store_error (*upload_write)(struct store_upload *upload, uint64_t offset,
					 const struct iovec *iov, int iovcnt, unsigned int flags,
					 const uint64_t *expect, uint64_t *crc64);
	enum store_error (*upload_digest)(struct store_upload *upload, struct store_digest *digest);
	enum store_error (*upload_read)(struct store_upload *upload, uint64_t offset, void *buffer,
					size_t length);
	void (*upload_abort)(struct store_upload *upload);

	enum store_error (*effect_lookup)(struct store *store, const uint8_t session[16],
					  uint64_t request, void **bytes, size_t *length);
	void (*effect_forget)(struct store *store, const uint8_t session[16], uint64_t request);
	void (*effect_forget_session)(struct store *store, const uint8_t session[16]);
};

/* What every store and every upload starts with. */
struct store {
	const struct store_ops *ops;
};

struct store_upload {
	struct store *store;
	uint64_t size;
};

/**
 * store_open - open what --store names
 * @spec: "local,path=DIR[,unsafe-no-sync=on]"; a DIR that is not there is made.
 * @error: receives one line for a person when it fails: what was wrong, what is
 *	accepted.
 *
 * Returns NULL when it fails.
 */
struct store *store_open(const char *spec, char *error, size_t error_size);

/* All uploads and leases must have ended.  Finishes what was begun. */
static inline void store_close(struct store *store)
{
	store->ops->close(store);
}

/* Do one atomic, durable step.  @result may be NULL. */
static inline enum store_error store_change(struct store *store, const struct store_change *change,
					    struct store_result *result)
{
	return store->ops->change(store, change, result);
}

/*
 * The settings of the last ACCOUNT_UPDATE: *bytes is the caller's to free().  Without one:
 * STORE_OK and *bytes == NULL.
 */
static inline enum store_error store_account_get(struct store *store, const char *account,
						 void **bytes, size_t *length)
{
	return store->ops->account_get(store, account, bytes, length);
}

static inline enum store_error store_container_stat(struct store *store,
						    const struct store_ref *ref,
						    struct store_container_info *info)
{
	return store->ops->container_stat(store, ref, info);
}

/*
 * @next receives the marker of the next page, for the caller to free(), or NULL
 * after the last page.
 */
static inline enum store_error store_container_list(struct store *store, const char *account,
						    const struct store_list *list,
						    store_container_cb *cb, void *context,
						    char **next)
{
	return store->ops->container_list(store, account, list, cb, context, next);
}

/* When conditions fail, the answer is the error alone; @conditions may be NULL. */
static inline enum store_error store_blob_stat(struct store *store, const struct store_ref *ref,
					       const struct store_conditions *conditions,
					       struct store_blob_info *info)
{
	return store->ops->blob_stat(store, ref, conditions, info);
}

/* ref->container's blobs in the order of their names' bytes; @next as above. */
static inline enum store_error store_blob_list(struct store *store, const struct store_ref *ref,
					       const struct store_list *list, store_blob_cb *cb,
					       void *context, char **next)
{
	return store->ops->blob_list(store, ref, list, cb, context, next);
}

/*
 * store_tags_find - the blobs whose tags fit
 * @ref: an account, or a container of it.
 * @where: of tagexpr_parse() for finding; one comparison at least is of a tag.
 * @list: marker and max.
 *
 * The order is the store's own.  A page may end early, even empty, when much was looked at.
 */
static inline enum store_error store_tags_find(struct store *store, const struct store_ref *ref,
					       const struct tagexpr *where,
					       const struct store_list *list, store_find_cb *cb,
					       void *context, char **next)
{
	return store->ops->tags_find(store, ref, where, list, cb, context, next);
}

/*
 * The blocks of a blob.  A blob of which there are only uncommitted blocks has an
 * @info of zeros.
 */
static inline enum store_error store_block_list(struct store *store, const struct store_ref *ref,
						bool committed, bool uncommitted,
						struct store_blob_info *info, store_block_cb *cb,
						void *context)
{
	return store->ops->block_list(store, ref, committed, uncommitted, info, cb, context);
}

/*
 * Pages of a page blob, in order.  @info receives length, ETag, time and lease alone, and
 * nothing to free.  @next: where the callback found no room, or UINT64_MAX.
 */
static inline enum store_error store_page_list(struct store *store, const struct store_ref *ref,
					       const struct store_conditions *conditions,
					       const struct store_pages *pages,
					       struct store_blob_info *info, store_pages_cb *cb,
					       void *context, uint64_t *next)
{
	return store->ops->page_list(store, ref, conditions, pages, info, cb, context, next);
}

/**
 * store_read_open - take a lease on a blob as it is now
 * @info: if not NULL: receives the blob's state when conditions are not met
 *	(STORE_CONDITION_NOT_MET, STORE_NOT_MODIFIED; to be cleared by the caller),
 *	because a 304 carries its ETag.  Zeros in all other cases: (*read)->info then.
 */
static inline enum store_error store_read_open(struct store *store, const struct store_ref *ref,
					       const struct store_conditions *conditions,
					       struct store_blob_info *info,
					       struct store_read **read)
{
	return store->ops->read_open(store, ref, conditions, info, read);
}

/**
 * store_read_map - where the bytes of a range are
 * @count: how many of @room pieces were used.  They start at @offset and may cover
 *	less than @length: then ask again for the rest.
 *
 * The cost does not depend on the size of the blob.  Pieces in a row of one file are
 * merged.  STORE_UNSUPPORTED: this store has no such thing, use store_read_at().
 */
static inline enum store_error store_read_map(struct store_read *read, uint64_t offset,
					      uint64_t length, struct store_piece *pieces,
					      size_t room, size_t *count)
{
	return read->store->ops->read_map(read, offset, length, pieces, room, count);
}

/* Copies exactly @length bytes, or fails.  Works with every store. */
static inline enum store_error store_read_at(struct store_read *read, uint64_t offset, void *buffer,
					     size_t length)
{
	return read->store->ops->read_at(read, offset, buffer, length);
}

static inline void store_read_close(struct store_read *read)
{
	read->store->ops->read_close(read);
}

/**
 * store_upload_begin - make room for the bytes of a blob or block
 * @size: of all of it; known in advance, 0 is allowed.
 * @flags: STORE_UPLOAD_*.
 *
 * STORE_NO_SPACE comes from here as far as possible.
 */
static inline enum store_error store_upload_begin(struct store *store, uint64_t size,
						  unsigned int flags, struct store_upload **upload)
{
	return store->ops->upload_begin(store, size, flags, upload);
}

/**
 * store_upload_write - put one part where it belongs
 * @iov: the bytes; memory that a guest may be changing unless STORE_WRITE_PRIVATE:
 *	each byte is read once, and checksums are of what was stored.
 * @expect: if not NULL: the CRC-64 that the part must have.
 * @crc64: if not NULL: receives it.
 *
 * Any order, in parallel.  The same part (offset and length) may come again and
 * replaces the first, without STORE_UPLOAD_STREAM; other overlaps are refused.  A
 * part that failed counts as not sent.
 */
static inline enum store_error store_upload_write(struct store_upload *upload, uint64_t offset,
						  const struct iovec *iov, int iovcnt,
						  unsigned int flags, const uint64_t *expect,
						  uint64_t *crc64)
{
	return upload->store->ops->upload_write(upload, offset, iov, iovcnt, flags, expect, crc64);
}

/* Checksums of all bytes, before the commit.  STORE_INCOMPLETE while some are missing. */
static inline enum store_error store_upload_digest(struct store_upload *upload,
						   struct store_digest *digest)
{
	return upload->store->ops->upload_digest(upload, digest);
}

/*
 * Copies bytes that were written before back; no write to them may be under way.
 * STORE_UNSUPPORTED where a store can't.
 */
static inline enum store_error store_upload_read(struct store_upload *upload, uint64_t offset,
						 void *buffer, size_t length)
{
	if (!upload->store->ops->upload_read)
		return STORE_UNSUPPORTED;
	return upload->store->ops->upload_read(upload, offset, buffer, length);
}

/* Forget it; it leaves nothing.  No write to it may be under way. */
static inline void store_upload_abort(struct store_upload *upload)
{
	upload->store->ops->upload_abort(upload);
}

/*
 * The kept answer of a request: *bytes is the caller's to free().  Without one:
 * STORE_OK and *bytes == NULL.
 */
static inline enum store_error store_effect_lookup(struct store *store, const uint8_t session[16],
						   uint64_t request, void **bytes, size_t *length)
{
	return store->ops->effect_lookup(store, session, request, bytes, length);
}

/*
 * The answer has arrived; it need not be kept.  Does not block and never fails: it is
 * done some time with other writes, and after a crash the answer may be there again.
 */
static inline void store_effect_forget(struct store *store, const uint8_t session[16],
				       uint64_t request)
{
	store->ops->effect_forget(store, session, request);
}

/* The same for all answers of a session that has ended. */
static inline void store_effect_forget_session(struct store *store, const uint8_t session[16])
{
	store->ops->effect_forget_session(store, session);
}

#endif
