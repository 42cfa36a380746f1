/* SPDX-License-Identifier: MIT */
/*
 * libazblob: what else can be done to blobs: tags, snapshots, appends, copies, leases, blocks.
 * Part of <azblob.h>, whose rules hold here.
 */
#ifndef AZBLOB_OPS_H
#define AZBLOB_OPS_H

#include "azblob.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- changes ---- */

/**
 * struct azblob_change_result - what a call made of a blob; the caller's, filled on success
 * @version: of the blob where versions are kept, else "".
 */
struct azblob_change_result {
	char etag[128];
	char last_modified[64];
	char version[64];
	uint64_t reserved[4];
};

/*
 * In all calls of this part @access and @result may be NULL, and what a call changes has not
 * happened when it fails, unless outcome_unknown is set.
 */

/* As azblob_get_properties(), of a snapshot or version too. */
int azblob_get_properties_of(azblob_conn *conn, const char *container, const char *blob,
			     const struct azblob_access *access,
			     struct azblob_properties **properties, struct azblob_error *error);

enum azblob_delete {
	/* Refused with SnapshotsPresent where there are snapshots. */
	AZBLOB_DELETE_BLOB = 0,
	AZBLOB_DELETE_WITH_SNAPSHOTS = 1,
	AZBLOB_DELETE_SNAPSHOTS_ONLY = 2,
};
/* The blob, or the snapshot or version that @access names (then AZBLOB_DELETE_BLOB). */
int azblob_delete_blob_if(azblob_conn *conn, const char *container, const char *blob,
			  enum azblob_delete what, const struct azblob_access *access,
			  struct azblob_error *error);

/* Set Blob Metadata: @count pairs in place of all that there are. */
int azblob_set_metadata(azblob_conn *conn, const char *container, const char *blob,
			const struct azblob_pair *metadata, size_t count,
			const struct azblob_access *access, struct azblob_change_result *result,
			struct azblob_error *error);

struct azblob_headers {
	size_t struct_size;
	const char *content_type;
	const char *content_encoding;
	const char *content_language;
	const char *content_disposition;
	const char *cache_control;
	const char *content_md5; /* base64 */
};
#define AZBLOB_HEADERS_INIT                                                       \
	{                                                                         \
		sizeof(struct azblob_headers), NULL, NULL, NULL, NULL, NULL, NULL \
	}
/* Set Blob Properties: those that are NULL are cleared. */
int azblob_set_headers(azblob_conn *conn, const char *container, const char *blob,
		       const struct azblob_headers *headers, const struct azblob_access *access,
		       struct azblob_change_result *result, struct azblob_error *error);
/* Set Blob Tier: "Hot", "Cool", "Cold" or "Archive".  Conditions: lease and tags alone. */
int azblob_set_tier(azblob_conn *conn, const char *container, const char *blob, const char *tier,
		    const struct azblob_access *access, struct azblob_error *error);

/* @tags: @count pairs. */
struct azblob_tags {
	size_t count;
	const struct azblob_pair *tags;
};
/* *tags is freed with azblob_tags_free(). */
int azblob_get_tags(azblob_conn *conn, const char *container, const char *blob,
		    const struct azblob_access *access, struct azblob_tags **tags,
		    struct azblob_error *error);
void azblob_tags_free(struct azblob_tags *tags);
/* @count pairs, at most 10, in place of all that there are. */
int azblob_set_tags(azblob_conn *conn, const char *container, const char *blob,
		    const struct azblob_pair *tags, size_t count,
		    const struct azblob_access *access, struct azblob_error *error);

/* Room for a snapshot's time, its zero included. */
#define AZBLOB_SNAPSHOT_ROOM 40
/* Snapshot Blob: its time goes to @snapshot.  @metadata: instead of the blob's; NULL: that. */
int azblob_create_snapshot(azblob_conn *conn, const char *container, const char *blob,
			   const struct azblob_pair *metadata, size_t count,
			   const struct azblob_access *access, char snapshot[AZBLOB_SNAPSHOT_ROOM],
			   struct azblob_error *error);

/* ---- append blobs ---- */

/* Bytes that one azblob_append_block() may carry. */
#define AZBLOB_APPEND_MAX (4u << 20)
/* "Wherever the end is"; "of any size". */
#define AZBLOB_APPEND_ANYWHERE UINT64_MAX

/**
 * struct azblob_append_result - of one append; the caller's, filled on success
 * @offset: where the bytes went.
 * @blocks: how many appends the blob is made of now; the service takes 50,000.
 */
struct azblob_append_result {
	char etag[128];
	char last_modified[64];
	uint64_t offset;
	uint64_t blocks;
	uint64_t reserved[4];
};

/* Put Blob of an empty append blob; replaces a blob of that name unless a condition forbids. */
int azblob_append_create(azblob_conn *conn, const char *container, const char *blob,
			 const struct azblob_put_options *options,
			 struct azblob_change_result *result, struct azblob_error *error);
/*
 * Append Block: @size bytes, 1 to AZBLOB_APPEND_MAX, in one step.  @position: the blob's
 * length must be that, else AppendPositionConditionNotMet; AZBLOB_APPEND_ANYWHERE: any.
 * @max_size: the blob may become no longer, else MaxBlobSizeConditionNotMet.  Sent again
 * when its outcome is unknown only with a @position or an If-Match, which the blob no longer meets
 * when the first one happened.
 */
int azblob_append_block(azblob_conn *conn, const char *container, const char *blob,
			const void *data, size_t size, uint64_t position, uint64_t max_size,
			const struct azblob_access *access, struct azblob_append_result *result,
			struct azblob_error *error);
/* Nothing can be appended after this. */
int azblob_append_seal(azblob_conn *conn, const char *container, const char *blob,
		       const struct azblob_access *access, struct azblob_error *error);

/* ---- copies ---- */

/*
 * The address of a blob (NULL: of the container; both NULL: of the account), of a snapshot when
 * that is not NULL; without credentials.  *url is freed with azblob_text_free().
 */
int azblob_url(azblob_conn *conn, const char *container, const char *blob, const char *snapshot,
	       char **url, struct azblob_error *error);
void azblob_text_free(char *text);

struct azblob_copy_options {
	size_t struct_size;
	const struct azblob_access *access; /* of the blob that is made */
	/* Of the source: conditions, without if_tags; snapshot and version are in its URL. */
	const struct azblob_access *source;
	/* Instead of the source's; NULL: those. */
	const struct azblob_pair *metadata;
	size_t metadata_count;
	const char *tier;
	/* Copy Blob From URL: the answer comes when all is copied; at most 256 MiB. */
	int synchronous;
};
#define AZBLOB_COPY_OPTIONS_INIT                                                 \
	{                                                                        \
		sizeof(struct azblob_copy_options), NULL, NULL, NULL, 0, NULL, 0 \
	}

/**
 * struct azblob_copy_result - of a copy that was begun; the caller's, filled on success
 * @status: "success" when it is done already, else "pending": see azblob_get_properties().
 */
struct azblob_copy_result {
	char etag[128];
	char last_modified[64];
	char copy_id[64];
	char status[16];
	uint64_t reserved[4];
};

/*
 * Copy Blob, done by the service.  @source: a URL that the service can read: of the same account
 * as azblob_url() makes it, else with a SAS of its own.  A connection that itself has a SAS adds
 * that to a source of its own endpoint.
 */
int azblob_copy_start(azblob_conn *conn, const char *container, const char *blob,
		      const char *source, const struct azblob_copy_options *options,
		      struct azblob_copy_result *result, struct azblob_error *error);
/*
 * Incremental Copy Blob: @blob, a page blob that this call makes, follows the snapshots of another
 * one.  @source: the URL of a snapshot, as azblob_url() makes it, newer than the last one that was
 * copied.  What came of it is in properties' copy_snapshot, a snapshot of @blob: @blob itself can't
 * be read or written.  @access: conditions on @blob, without a lease; may be NULL.
 */
int azblob_copy_incremental(azblob_conn *conn, const char *container, const char *blob,
			    const char *source, const struct azblob_access *access,
			    struct azblob_copy_result *result, struct azblob_error *error);
/*
 * Waits until the newest copy to the blob is no longer pending.  @progress may be NULL.  A copy
 * that failed or was aborted is a SERVICE error with its description.
 */
int azblob_copy_wait(azblob_conn *conn, const char *container, const char *blob,
		     azblob_progress_fn progress, void *context, struct azblob_error *error);
/* Abort Copy Blob: leaves an empty blob. */
int azblob_copy_abort(azblob_conn *conn, const char *container, const char *blob,
		      const char *copy_id, const char *lease_id, struct azblob_error *error);

/* ---- leases ---- */

/* Room for a lease's id, its zero included. */
#define AZBLOB_LEASE_ROOM 64
#define AZBLOB_LEASE_INFINITE (-1)
#define AZBLOB_LEASE_BREAK_DEFAULT (-1)

/*
 * In the calls of this part @blob may be NULL for the lease of the container; @access holds
 * conditions, never a lease.
 */

/*
 * @seconds: 15 to 60, or AZBLOB_LEASE_INFINITE.  @proposed_id: a GUID, or NULL for one of the
 * service's making.
 */
int azblob_lease_acquire(azblob_conn *conn, const char *container, const char *blob, int seconds,
			 const char *proposed_id, const struct azblob_access *access,
			 char lease_id[AZBLOB_LEASE_ROOM], struct azblob_error *error);
int azblob_lease_renew(azblob_conn *conn, const char *container, const char *blob,
		       const char *lease_id, const struct azblob_access *access,
		       struct azblob_error *error);
int azblob_lease_change(azblob_conn *conn, const char *container, const char *blob,
			const char *lease_id, const char *new_id,
			const struct azblob_access *access, struct azblob_error *error);
int azblob_lease_release(azblob_conn *conn, const char *container, const char *blob,
			 const char *lease_id, const struct azblob_access *access,
			 struct azblob_error *error);
/*
 * @period: 0 to 60 seconds that the lease still holds, or AZBLOB_LEASE_BREAK_DEFAULT: what is left
 * of it.  *seconds_left (may be NULL) is how long that is.
 */
int azblob_lease_break(azblob_conn *conn, const char *container, const char *blob, int period,
		       const struct azblob_access *access, unsigned int *seconds_left,
		       struct azblob_error *error);

/* ---- blocks ---- */

struct azblob_block {
	const char *id; /* base64 */
	uint64_t size;
	int committed;
};

/* @blocks: @count pointers, those committed first, in their order. */
struct azblob_block_list {
	size_t count;
	const struct azblob_block *const *blocks;
};
/*
 * Get Block List: both kinds.  A blob that has neither is BlobNotFound.  *list is freed with
 * azblob_block_list_free().
 */
int azblob_get_block_list(azblob_conn *conn, const char *container, const char *blob,
			  const struct azblob_access *access, struct azblob_block_list **list,
			  struct azblob_error *error);
void azblob_block_list_free(struct azblob_block_list *list);
/* azblob_put_block() for a blob with a lease. */
int azblob_put_block_leased(azblob_conn *conn, const char *container, const char *blob,
			    const char *block_id, const void *data, size_t size,
			    const char *lease_id, struct azblob_error *error);

#ifdef __cplusplus
}
#endif

/* They need what is above, whichever header a program includes first. */
#include "azblob_pages.h"
#include "azblob_service.h"

#endif /* AZBLOB_OPS_H */
