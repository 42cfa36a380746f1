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

#include "store_change.h"
#include "store_info.h"

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
#define STORE_LIST_UNCOMMITTED (1u << 3) /* names with blocks and no blob: info is all zero */
#define STORE_LIST_DELETED (1u << 2)     /* blobs, and snapshots and versions if asked for */
/* Names with versions, deleted or not, and no blob: what the newest was, info.versions_only. */
#define STORE_LIST_ROOTS (1u << 4)

typedef bool store_container_cb(void *context, const char *name,
				const struct store_container_info *info);

/* @info is NULL for a prefix; @name is then the prefix. */
typedef bool store_blob_cb(void *context, const char *name, const struct store_blob_info *info);

/* One blob found by its tags. */
typedef bool store_find_cb(void *context, const char *container, const char *name,
			   const struct store_meta *tags);

/* One copy that is under way; see struct store_copy. */
typedef void store_copies_cb(void *context, const struct store_ref *ref, const void *resume,
			     size_t length);

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

	enum store_error (*copies_list)(struct store *store, store_copies_cb *cb, void *context);

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

/* All blobs whose copy is pending.  What the callback gets is valid during the call only. */
static inline enum store_error store_copies_list(struct store *store, store_copies_cb *cb,
						 void *context)
{
	return store->ops->copies_list ? store->ops->copies_list(store, cb, context) : STORE_OK;
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
	if (!store->ops->page_list)
		return STORE_UNSUPPORTED;
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
