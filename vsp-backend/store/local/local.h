/* SPDX-License-Identifier: MIT */
/*
 * The local store: one directory.
 *
 *   lock           held by the one process that has the store open; see backup_lock.h
 *   metadata.db    SQLite, everything but large data; see schema.c
 *   extents/       sparse files of 1 GiB, names are their numbers in hex
 *
 * Who does what: callers' threads read with connections of their own (reader_get()),
 * write data into space that alloc.c gave them, and make it durable; then they hand a
 * job to the writer thread, which runs the jobs that have come together as one
 * transaction (writer.c).  The collector thread takes apart what is not needed any
 * more (collect.c).
 *
 * Locks; none is held while another of this list is taken, except where said:
 *   alloc.lock     files, bitmaps, windows, pending   held across reads of the database
 *   alloc.files_lock   the table of files             innermost: taken under alloc.lock
 *   extent_file.sync_lock   who calls fdatasync
 *   leases.lock    leases, openers
 *   readers.lock   the free connections               innermost: taken under alloc.lock
 *   writer.lock    the queue
 *   slices.lock    the free buffers
 *   local_upload.lock   spans of one upload
 * Jobs run in the writer thread with no lock held, and nobody who holds a lock waits
 * for a job.
 */
#ifndef AZB_LOCAL_H
#define AZB_LOCAL_H

#include <pthread.h>
#include <semaphore.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/metrics.h"
#include "store/local/db.h"
#include "store/local/schema.h"
#include "store/local/sums.h"
#include "store/store.h"

struct local;

/* Blobs up to this many bytes live in SQLite. */
#define INLINE_MAX 16384u

/*
 * reader.c - read connections
 */

#define READERS_MAX 16

struct reader {
	struct db db;
	struct reader *next;
};

struct readers {
	pthread_mutex_t lock;
	pthread_cond_t freed;
	struct reader *free;
	unsigned int made; /* connections there are, in use or free */
};

void readers_init(struct local *local);
void readers_end(struct local *local);
/* Waits for a free connection if READERS_MAX are in use. */
enum store_error reader_get(struct local *local, struct reader **reader);
void reader_put(struct local *local, struct reader *reader);

/*
 * writer.c - the thread with the writing connection
 */

/* What a job does in the transaction; an error undoes just this job. */
typedef enum store_error job_fn(struct local *local, void *context);

struct job {
	struct job *next;
	job_fn *run;
	void *context;
	enum store_error result;
	sem_t done;
};

struct forget {
	uint8_t session[16];
	uint64_t request; /* 0: all of the session */
};

struct writer {
	struct db db;
	pthread_t thread;
	bool running;
	/* protected by lock */
	pthread_mutex_t lock;
	pthread_cond_t wake;
	struct job *first, **last;
	struct forget *forgets;
	size_t forget_count, forget_room;
	bool stop;
	/* of the writer thread alone */
	int64_t tick; /* last one given out */
	int64_t tick_stored;
	int wal_frames;   /* in the log */
	int checkpointed; /* how many there were at the last checkpoint */
	bool made_garbage;
	atomic_bool broken; /* a commit failed in a way that leaves doubt: no more writes */
	void *effect_bytes; /* STORE_MAX_EFFECT */
};

enum store_error writer_start(struct local *local);
/* Finishes the queue. */
void writer_stop(struct local *local);
/* Runs a job and returns when it is durable or has failed.  Not in the writer thread. */
enum store_error writer_do(struct local *local, job_fn *run, void *context);
void writer_forget(struct local *local, const uint8_t session[16], uint64_t request);

/* In jobs: a time for this change, in 100 ns since 1970, never given twice. */
int64_t writer_tick(struct local *local);
/* In jobs: a row for the collector. */
enum store_error writer_garbage(struct local *local, enum garbage_kind kind, int64_t what);

/*
 * extent.c - extent files
 */

struct extent_file {
	uint32_t id;
	int fd;
	/* protected by alloc.lock; bit set: in a chunk, an upload or an open window */
	uint64_t *bitmap;    /* NULL: not loaded */
	unsigned int active; /* windows open in it; not unloaded meanwhile */
	/* protected by sync_lock */
	pthread_mutex_t sync_lock;
	pthread_cond_t synced;
	uint64_t sync_asked, sync_done;
	bool syncing;
	atomic_bool failed; /* fdatasync failed once: nothing more is written to it */
};

/* Opens, or with @create makes, the file of this number. */
enum store_error extent_file_open(struct local *local, uint32_t id, bool create,
				  struct extent_file **file);
void extent_file_close(struct extent_file *file);
/* What was written before is durable afterwards.  Callers share calls of fdatasync. */
enum store_error extent_file_sync(struct local *local, struct extent_file *file);
enum store_error extent_write(struct extent_file *file, uint64_t offset, const void *data,
			      size_t length);
enum store_error extent_read(int fd, uint64_t offset, void *data, size_t length);
/* Gives the disk space back; a failure is logged only. */
void extent_punch(struct extent_file *file, uint64_t offset, uint64_t length);

/*
 * alloc.c - space in extent files
 */

/* A range with a row in dirty, from which space is given out from the start on. */
struct window {
	struct window *next;
	struct extent_file *file;
	int64_t row;          /* in dirty */
	uint32_t cursor, end; /* units that are left */
	unsigned int users;   /* uploads that have space of it */
	bool closed;          /* gives no more; goes when the users have gone */
};

struct range {
	uint32_t file;
	uint64_t offset, length;
};

struct alloc {
	pthread_mutex_t lock;
	pthread_cond_t opened;
	bool opening; /* someone is about to open a shared window */
	/* changed under both locks, so either is enough to look */
	pthread_mutex_t files_lock;
	struct extent_file **files; /* by number, NULL: none such */
	size_t file_count;
	struct window *windows;
	struct window *shared; /* where small uploads go, one of windows */
	int64_t *gone;         /* rows of dirty to be deleted with the next job */
	size_t gone_count, gone_room;
	/* space whose chunks are deleted but that must not be given out yet */
	const struct range *pending;
	size_t pending_count;
};

/**
 * struct extent - space that an upload has, not yet in a chunk
 * @start: where in the upload its first byte goes.
 * @sums: of its blocks (sums.h), the upload's; NULL if there is one block.
 */
struct extent {
	struct extent_file *file;
	struct window *window;
	uint64_t offset, length;
	uint64_t start;
	uint64_t *sums;
};

/* Is there room on the disk for so many bytes more? */
enum store_error alloc_room(struct local *local, uint64_t length);
void alloc_init(struct local *local);
enum store_error alloc_start(struct local *local);
void alloc_stop(struct local *local);
void alloc_end(struct local *local);
/* The file that a chunk is in; its fd stays until the store is closed. */
struct extent_file *alloc_file(struct local *local, uint32_t id);
/* @length: 1 to EXTENT_FILE_SIZE. */
enum store_error alloc_extent(struct local *local, uint64_t length, struct extent *extent);
/* The extent is in a chunk now. */
void alloc_commit(struct local *local, const struct extent *extent);
/* The extent is not wanted: its space is free again. */
void alloc_abort(struct local *local, const struct extent *extent);
/* For the collector: see struct alloc, pending. */
void alloc_set_pending(struct local *local, const struct range *ranges, size_t count);
/* Punches what is pending and makes it free. */
void alloc_free_pending(struct local *local);

/*
 * upload.c
 */

/* Bytes moved at a time: they stay in the CPU's cache between copy, sums and write. */
#define SLICE (128u * 1024)
/* Writers that copy at the same time; more would only need more memory. */
#define SLICES_MAX 16

/* Private buffers for what comes from memory that a guest may change. */
struct slices {
	pthread_mutex_t lock;
	pthread_cond_t freed;
	void *free[SLICES_MAX];
	unsigned int free_count;
	unsigned int made;
};

void slices_init(struct local *local);
void slices_end(struct local *local);
/* A buffer of SLICE bytes, NULL without memory; waits while all are in use. */
unsigned char *slice_get(struct local *local);
void slice_put(struct local *local, unsigned char *slice);

enum span_state {
	SPAN_WRITING,
	SPAN_DONE
};

/*
 * Checksums of a span, as its bytes went by.
 * @crc64: of all of it.
 * @head: of what comes before the first border between blocks of the extent (sums.h).
 * @tail: of what comes after the last one; the same as @head if there is none in it.
 */
struct span_sums {
	uint64_t crc64, head, tail;
};

/* Bytes of an upload that are there or are being written; never across extents. */
struct span {
	uint64_t offset, length;
	struct span_sums sums;
	enum span_state state;
	bool head; /* the first of a part */
};

struct local_upload {
	struct store_upload upload;
	unsigned int flags;
	char *bytes; /* of a small one, else NULL */
	struct extent *extents;
	size_t extent_count;
	pthread_mutex_t lock;
	pthread_cond_t written;
	/* protected by lock: in order, no overlaps */
	struct span *spans;
	size_t span_count, span_room;
	/* running MD5 of the first md5_at bytes; whoever sets md5_busy may go on */
	void *md5; /* EVP_MD_CTX */
	uint64_t md5_at;
	bool md5_busy, md5_stale;
};

enum store_error local_upload_begin(struct store *store, uint64_t size, unsigned int flags,
				    struct store_upload **upload);
enum store_error local_upload_write(struct store_upload *upload, uint64_t offset,
				    const struct iovec *iov, int iovcnt, unsigned int flags,
				    const uint64_t *expect, uint64_t *crc64);
enum store_error local_upload_digest(struct store_upload *upload, struct store_digest *digest);
enum store_error local_upload_read(struct store_upload *upload, uint64_t offset, void *buffer,
				   size_t length);
void local_upload_abort(struct store_upload *upload);
/*
 * The whole is there: checksums of the extents and of their blocks, or of the bytes, and of
 * all of it.  @per_extent may be NULL.
 */
enum store_error local_upload_crc(struct local_upload *u, uint64_t *per_extent, uint64_t *all);
/* A small one moves to an extent: blocks never live in SQLite. */
enum store_error local_upload_spill(struct local_upload *u);
enum store_error local_upload_sync(struct local_upload *u);
/* The change is durable: the extents belong to chunks. */
void local_upload_committed(struct local_upload *u);

/*
 * upload_sums.c - checksums of blocks (sums.h), whatever parts they come in
 */

/* A span on its way: its bytes come in order. */
struct summing {
	const struct extent *extent; /* NULL: no blocks, only the whole */
	uint64_t block;              /* bytes of one */
	uint64_t from, at;           /* in the extent: the span's start, and how far it is */
	uint64_t part_from, part;    /* the block that is under way: its first byte, its sum */
	uint64_t power;              /* azb_crc64_power(block) */
	struct span_sums sums;
};

void upload_sums_begin(struct summing *s, const struct extent *extent, uint64_t offset);
void upload_sums_add(struct summing *s, const unsigned char *bytes, size_t length);
struct span_sums upload_sums_end(struct summing *s);
/*
 * Joins span @b to @a, which it follows in the same extent: what is at their ends becomes the
 * sum of a block, or is left to @a.  @a's length and crc64 stay the caller's to change.
 */
void upload_sums_join(const struct extent *extent, struct span *a, const struct span *b);
/*
 * Called for all spans in order: sums of blocks that several spans share.  @before: what the call
 * for the span before gave.
 */
uint64_t upload_sums_finish(const struct extent *extent, const struct span *span, uint64_t before);

/*
 * lease.c - what readers have open
 */

struct lease {
	enum garbage_kind kind; /* GARBAGE_CHUNK, GARBAGE_CONTENT or GARBAGE_VIEW */
	int64_t id;
	int64_t at; /* of a view, else 0 */
	unsigned int count;
	struct lease *next;
};

struct leases {
	pthread_mutex_t lock;
	pthread_cond_t quiet;
	struct lease **buckets;
	size_t bucket_count;
	/* readers between looking up a blob and taking the lease, by phase */
	unsigned int openers[2];
	unsigned int phase;
	bool skipped; /* the collector waits for a lease to end */
};

enum store_error leases_init(struct local *local);
void leases_end(struct local *local);
/* Around the lookup and lease_take(); the value goes to lease_opened(). */
unsigned int lease_opening(struct local *local);
void lease_opened(struct local *local, unsigned int phase);
enum store_error lease_take(struct local *local, enum garbage_kind kind, int64_t id, int64_t at,
			    struct lease **lease);
void lease_drop(struct local *local, struct lease *lease);
/* Waits until every lookup has ended that might have begun before the call. */
void lease_wait_openers(struct local *local);
/* Is it leased?  If so the collector is woken when a lease ends. */
bool lease_held(struct local *local, enum garbage_kind kind, int64_t id, int64_t at);

/*
 * collect.c
 */

struct collector {
	pthread_t thread;
	bool running;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	bool work, stop;
	bool postponed; /* the collector's own: a backup was in the way */
};

void collector_init(struct local *local);
void collector_end(struct local *local);
enum store_error collector_start(struct local *local);
void collector_stop(struct local *local);
void collector_wake(struct local *local);

/*
 * info.c - rows and structs
 */

/* Columns of a blob, in the order that info_of_row() takes them from @first on. */
#define BLOB_COLUMNS                                                               \
	"b.type, b.length, b.etag, b.modified, b.created, b.blocks, b.crc64, "     \
	"b.md5, b.headers, b.meta, b.lease, b.tags, b.copy, b.tier, "              \
	"b.tier_changed, b.rehydrate, b.immutability, b.immutable_until, b.hold, " \
	"b.version, b.sequence, b.sealed"
#define BLOB_COLUMN_COUNT 22

/* In the column rehydrate: with high priority. */
#define REHYDRATE_HIGH 0x100

/*
 * All columns that a blob takes along when it becomes past (a snapshot, a version or
 * deleted), except for seen.
 */
#define BLOB_STATE                                                                   \
	"type, length, etag, modified, created, chunk, content, blocks, crc64, md5," \
	" headers, meta, version, sequence, sealed, tags, copy, tier, tier_changed," \
	" rehydrate, immutability, immutable_until, hold"

/* The column seen of a row of blobs, as a past state would have it. */
#define LIVE_SEEN \
	"CASE WHEN seen != 0 THEN (SELECT live FROM contents WHERE id = content) ELSE 0 END"

/* For info_place(): of a row of blobs b, or of history b. */
#define PLACE_NOW "0, 0, 0, 0"
#define PLACE_PAST "b.at, b.kind, b.deleted, b.until"
#define PLACE_ROOT "0, -1, 0, 0"

/* The strings point into the row. */
enum store_error info_of_row(sqlite3_stmt *row, int first, struct store_blob_info *info);
/* From @first on PLACE_NOW or PLACE_PAST; after info_of_row(). */
void info_place(sqlite3_stmt *row, int first, struct store_blob_info *info);
/* The same with strings of its own; for store_blob_info_clear(). */
enum store_error info_copy(const struct store_blob_info *from, struct store_blob_info *to);
/* The headers column; *bytes is for free(). */
enum store_error info_pack_headers(const struct store_headers *headers, char **bytes,
				   size_t *length);
#define CONTAINER_COLUMNS \
	"c.etag, c.modified, c.created, c.meta, c.access, c.acl, c.lease, c.gone, c.until, c.id"
void container_of_row(sqlite3_stmt *row, int first, struct store_container_info *info);
enum store_error container_copy(const struct store_container_info *from,
				struct store_container_info *to);

/*
 * guard.c - what stands in the way of a change or a read, besides conditions
 */

#define LEASE_BYTES 36

/* The lease column; anything but a whole lease is none. */
void guard_lease_of_row(sqlite3_stmt *row, int column, struct store_lease *lease);
void guard_lease_pack(const struct store_lease *lease, uint8_t bytes[LEASE_BYTES]);

/*
 * change*.c - the jobs
 */

struct change_job {
	const struct store_change *change;
	struct store_result result;
	char *headers; /* packed */
	size_t headers_length;
	uint64_t *crcs; /* of the upload's extents */
	int64_t container;
	int64_t tick;
	bool in_extents; /* the upload's data is not to live in SQLite */
};

enum store_error local_change(struct store *store, const struct store_change *change,
			      struct store_result *result);
/* The container's id in job->container. */
enum store_error change_find_container(struct local *local, struct change_job *job);

/* A blob as it is before a change. */
struct blob_row {
	bool exists;
	enum store_blob_type type;
	uint64_t etag;
	int64_t modified_ns, created_ns;
	int64_t chunk, content;
	int64_t version, seen;
	uint64_t length, sequence;
	uint32_t blocks;
	bool sealed;
	struct store_lease lease;
	enum store_tier tier; /* as it is now */
	int rehydrate;        /* the column; 0 once it is over */
	bool tags_fit;        /* x-ms-if-tags */
	bool tagged;
	bool copying;               /* a copy is pending */
	bool awaited;               /* and it is the one that the change ends */
	bool incremental;           /* only incremental copies may change it, */
	struct store_origin origin; /* and this is what the last one was of */
	enum store_immutability immutability;
	int64_t immutable_until_ns;
	bool hold;
};

enum store_error change_find_blob(struct local *local, struct change_job *job,
				  struct blob_row *row);
/* The blob's lease and the x-ms-if-tags of the change. */
enum store_error guard_change(const struct change_job *job, const struct blob_row *row);
/* Is the blob under a policy or hold that forbids to replace or delete it? */
enum store_error guard_immutable(const struct blob_row *row);
/* The same of immutability, immutable_until, hold from @first on of a row of history. */
enum store_error guard_past(sqlite3_stmt *row, int first);
/* The lease as it stays after a change of the resource: over ones go.  False: there is none. */
bool guard_lease_keep(const struct store_lease *lease, uint8_t bytes[LEASE_BYTES]);
/* An archived blob's tier after its rehydration is over; @rehydrate is then 0. */
void guard_tier(enum store_tier *tier, int *rehydrate, int64_t *changed_ns);
/* Both of the above, and the change's conditions. */
enum store_error change_begin(struct local *local, struct change_job *job, struct blob_row *old);
/* The bytes of the blob change: a lease that has ended can't be renewed any more. */
enum store_error change_end_lease(struct local *local, struct change_job *job,
				  const struct blob_row *old);
/* Time and ETag of the change. */
void change_stamp(struct local *local, struct change_job *job);
/* Drops the reference that a replaced or deleted block held. */
enum store_error change_drop_data(struct local *local, int64_t chunk, int64_t content);
/* What a row of blobs or history holds, for change_drop_state(): its columns chunk, content, seen.
 */
struct held_state {
	int64_t chunk, content, seen;
};

/* Runs @statement, which selects those three, once.  *@row: there was one. */
enum store_error change_read_state(struct db *db, sqlite3_stmt *statement, struct held_state *held,
				   bool *row);
/* As change_drop_data(), of a blob or of its past; @seen: see runs.c. */
enum store_error change_drop_state(struct local *local, int64_t chunk, int64_t content,
				   int64_t seen);
enum store_error change_drop_staged(struct local *local, struct change_job *job);
/* change_copy.c: the source of a copy as it is in this transaction, see change_find_source(). */
struct copy_source {
	struct store_blob_info info; /* with strings of its own, for store_blob_info_clear() */
	int64_t chunk, content, seen;
};

enum store_error change_find_source(struct local *local, const struct store_change *change,
				    struct copy_source *source);
/* The column copy, as store_copy_read() takes it apart; @length: of the blob when it is whole. */
void change_pack_copy(struct azb_buf *buf, const struct store_copy *copy, uint64_t length);
/*
 * What Put Blob alone does not set of the row that was put: that it is a copy of so many bytes, if
 * the change says so, and on its way to another tier.
 */
enum store_error change_note_copy(struct local *local, const struct change_job *job,
				  uint64_t length, int64_t rehydrate);
/* The upload as a chunk, or as a content when it has several extents. */
enum store_error change_add_data(struct local *local, struct change_job *job, int64_t *chunk,
				 int64_t *content);
enum store_error change_add_chunk(struct local *local, uint64_t length, uint64_t crc64,
				  const struct extent *extent, const void *bytes, int64_t *chunk);
enum store_error change_add_content(struct local *local, int64_t *content);
enum store_error change_add_piece(struct local *local, int64_t content, uint64_t offset,
				  uint64_t length, int64_t chunk, uint64_t chunk_offset,
				  const struct store_block_id *block);

struct new_blob {
	uint64_t length;
	int64_t chunk, content;
	uint32_t blocks;
	bool has_crc64;
	uint64_t crc64;
	enum store_blob_type type; /* 0: a block blob */
	int64_t seen;
	uint64_t sequence;
};

/* Puts the row, with the change's headers and metadata, and frees what was there. */
enum store_error change_put_row(struct local *local, struct change_job *job,
				const struct blob_row *old, const struct new_blob *blob);

job_fn change_container_create, change_container_delete, change_container_update;
job_fn change_container_restore;
/* One container that was kept long enough becomes garbage; *more, a bool: there may be others. */
job_fn change_containers_expire;
job_fn change_put_blob, change_blob_update, change_blob_delete;
job_fn change_put_block, change_put_block_list;
job_fn change_account_update;
job_fn change_blob_snapshot, change_blob_undelete;
job_fn change_append, change_append_seal, change_pages_write, change_pages_clear;
/* What BLOB_UPDATE does of page blobs only. */
enum store_error change_pages_update(struct local *local, struct change_job *job,
				     const struct blob_row *old);

/*
 * history.c - what names meant before
 */

/*
 * The blob is about to be replaced or deleted: it moves to history if the change's
 * policy says so, else its data is dropped.  The row in blobs is the caller's to
 * replace or delete.  After change_stamp().
 */
enum store_error history_displace(struct local *local, struct change_job *job,
				  const struct blob_row *old, bool replaced);
/* The blob is about to change in a way that makes a version: its state now is kept. */
enum store_error history_version(struct local *local, struct change_job *job,
				 const struct blob_row *old);
/* A blob comes to a name that had none: a deleted one before it becomes a snapshot. */
enum store_error history_recreate(struct local *local, struct change_job *job);
/* The blob as it is now becomes a snapshot at job->result.snapshot. */
enum store_error history_snapshot(struct local *local, struct change_job *job);
/* Deletes, or keeps as deleted, snapshots of the name. */
enum store_error history_delete_snapshots(struct local *local, struct change_job *job);
/* STORE_SNAPSHOTS_PRESENT, if there are any that are not deleted. */
enum store_error history_no_snapshots(struct local *local, struct change_job *job);
/* Deletes the snapshot or version that job->change->ref names. */
enum store_error history_delete_one(struct local *local, struct change_job *job);
/* Takes what has been kept long enough away, some of it; *more: there are others. */
enum store_error history_expire(struct local *local, void *more);
/* One row of a deleted container; *row: there was one. */
enum store_error history_drop_first(struct local *local, int64_t container, bool *row);
job_fn change_lease, change_set_tier, change_set_tags, change_copy_blob, change_protect;
job_fn change_copy_incremental;
/* Is there a blob in it that must not be deleted? */
enum store_error protect_container(struct local *local, int64_t container);

/* tags.c: the index of a blob's tags; what was there before goes. */
enum store_error tags_index(struct local *local, struct change_job *job,
			    const struct store_meta *tags, bool before);
/* Of a blob that has come back. */
enum store_error tags_restore(struct local *local, struct change_job *job);

/*
 * The other verbs
 */

enum store_error local_account_get(struct store *store, const char *account, void **bytes,
				   size_t *length);
enum store_error local_container_stat(struct store *store, const struct store_ref *ref,
				      struct store_container_info *info);
enum store_error local_container_list(struct store *store, const char *account,
				      const struct store_list *list, store_container_cb *cb,
				      void *context, char **next);
enum store_error local_blob_stat(struct store *store, const struct store_ref *ref,
				 const struct store_conditions *conditions,
				 struct store_blob_info *info);
enum store_error local_blob_list(struct store *store, const struct store_ref *ref,
				 const struct store_list *list, store_blob_cb *cb, void *context,
				 char **next);
enum store_error local_tags_find(struct store *store, const struct store_ref *ref,
				 const struct tagexpr *where, const struct store_list *list,
				 store_find_cb *cb, void *context, char **next);
enum store_error local_copies_list(struct store *store, store_copies_cb *cb, void *context);
enum store_error local_block_list(struct store *store, const struct store_ref *ref, bool committed,
				  bool uncommitted, struct store_blob_info *info,
				  store_block_cb *cb, void *context);
enum store_error local_page_list(struct store *store, const struct store_ref *ref,
				 const struct store_conditions *conditions,
				 const struct store_pages *pages, struct store_blob_info *info,
				 store_pages_cb *cb, void *context, uint64_t *next);
enum store_error local_read_open(struct store *store, const struct store_ref *ref,
				 const struct store_conditions *conditions,
				 struct store_blob_info *info, struct store_read **read);
enum store_error local_read_map(struct store_read *read, uint64_t offset, uint64_t length,
				struct store_piece *pieces, size_t room, size_t *count);
enum store_error local_read_at(struct store_read *read, uint64_t offset, void *buffer,
			       size_t length);
void local_read_close(struct store_read *read);
enum store_error local_effect_lookup(struct store *store, const uint8_t session[16],
				     uint64_t request, void **bytes, size_t *length);
void local_effect_forget(struct store *store, const uint8_t session[16], uint64_t request);
void local_effect_forget_session(struct store *store, const uint8_t session[16]);
/* In jobs: keeps the answer. */
enum store_error local_effect_keep(struct local *local, const struct store_effect *effect,
				   const struct store_result *result, int64_t tick);

/*
 * Steps to the row that @ref names, of the blob or of its past: BLOB_COLUMNS, then the
 * place, then chunk, content and seen, at the ROW_* below.  The caller resets *out when
 * there is no error.
 */
#define ROW_PLACE BLOB_COLUMN_COUNT
#define ROW_CHUNK (BLOB_COLUMN_COUNT + 4)
#define ROW_CONTENT (BLOB_COLUMN_COUNT + 5)
#define ROW_SEEN (BLOB_COLUMN_COUNT + 6)
enum store_error local_find_row(struct db *db, const struct store_ref *ref, sqlite3_stmt **out);
/* CONTAINER_NOT_FOUND, or the container's id. */
enum store_error local_find_container(struct db *db, const struct store_ref *ref, int64_t *id);

/*
 * numbers.c - what the metrics show
 */

struct numbers {
	struct metrics_source source;
	atomic_ullong commits, changes; /* transactions, and jobs in them that succeeded */
	atomic_ullong checked, damaged; /* bytes compared with checksums, blocks that differed */
	atomic_ullong collected;        /* bytes of space given back */
};

void numbers_start(struct local *local);
void numbers_stop(struct local *local);

struct local {
	struct store store;
	char *path;
	int dir; /* the directory, and extents/ in it */
	int extents_dir;
	int lock_fd;
	bool no_sync;
	enum sums_policy verify;
	struct sums_seen seen;
	struct numbers numbers;
	struct readers readers;
	struct writer writer;
	struct alloc alloc;
	struct leases leases;
	struct collector collector;
	struct slices slices;
};

static inline struct local *to_local(struct store *store)
{
	return (struct local *)(void *)store;
}

#endif
