/* SPDX-License-Identifier: MIT */
/*
 * What the mount needs of a Blob service.  service.c does it by libazblob; tests put another in
 * its place.
 *
 * All calls return 0 or -errno, and may be made by any number of threads at once:
 *   ENOENT no such blob or container      EACCES credentials             ESTALE a condition
 *   EEXIST there is one already           EBUSY a lease, a snapshot      EIO anything else
 * What a person should know of a failure has been logged.
 */
#ifndef MNT_SERVICE_H
#define MNT_SERVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "azblob.h"

#define MNT_ETAG_ROOM 128

enum mnt_kind {
	MNT_BLOCK_BLOB,
	MNT_APPEND_BLOB,
	MNT_OTHER_BLOB, /* page blobs: read only */
};

/**
 * struct mnt_attr - what is known of a name
 * @directory: a prefix, or an empty blob with the metadata hdi_isfolder=true.
 * @etag: with its quotes; "" for a prefix.
 * @mtime: seconds; 0 for a prefix.
 */
struct mnt_attr {
	bool directory;
	enum mnt_kind kind;
	uint64_t size;
	time_t mtime;
	char etag[MNT_ETAG_ROOM];
};

/**
 * struct mnt_condition - of a change
 * @match: the blob's ETag must be this one, or NULL.
 * @absent: there must be no blob of that name.
 */
struct mnt_condition {
	const char *match;
	bool absent;
};

struct mnt_block_id {
	char *text;
	uint64_t size;
};

/* One entry of a list: @name is the whole name of a blob or of a prefix with its slash. */
typedef int (*mnt_entry_fn)(void *context, const char *name, const struct mnt_attr *attr);

struct mnt_service;

/**
 * struct mnt_service_ops - the calls
 * @head: @properties may be NULL, else what the blob has besides; freed by
 *	azblob_properties_free().
 * @list: one page of at most @most entries (0: any number) below @prefix, folded at slashes;
 *	*marker is "" at the start and after the last page, the caller's to free.
 * @read: exactly @length bytes; *late as mnt_fetch_fn has it.
 * @put: a whole block blob; @keep: whose properties and metadata it gets, or NULL.
 * @put_folder: an empty blob that stands for a directory.
 * @commit: a block blob of these blocks; the first @committed of them are of the blob as it is.
 * @blocks: the committed ones, an array of *count that mnt_free_blocks() frees.
 * @append: at @position, which must be the blob's length.
 * @append_new: an empty append blob; otherwise as @put.
 * @copy: to another name, and waits for it.  @from_etag: what is copied.
 * @touch: gives the blob a new time and ETag and changes nothing else.
 * @pin: makes memory known that requests will often be about, if that is of use: what @unpin
 *	takes, else NULL.  @unpin may wait for requests that are in it.  Both may be NULL.
 * @interrupt: calls that are under way end soon, with -EINTR or as they would have.
 */
struct mnt_service_ops {
	int (*head)(struct mnt_service *service, const char *blob, struct mnt_attr *attr,
		    struct azblob_properties **properties);
	int (*list)(struct mnt_service *service, const char *prefix, unsigned int most,
		    char **marker, mnt_entry_fn each, void *context);
	int (*read)(struct mnt_service *service, const char *blob, const char *etag,
		    uint64_t offset, size_t length, void *buffer, bool *late);
	int (*put)(struct mnt_service *service, const char *blob, const void *data, size_t size,
		   const struct azblob_properties *keep, const struct mnt_condition *condition,
		   struct mnt_attr *attr);
	int (*put_folder)(struct mnt_service *service, const char *blob);
	int (*put_block)(struct mnt_service *service, const char *blob, const char *id,
			 const void *data, size_t size, bool *late);
	int (*commit)(struct mnt_service *service, const char *blob, const char *const *ids,
		      size_t count, size_t committed, const struct azblob_properties *keep,
		      const struct mnt_condition *condition, struct mnt_attr *attr);
	int (*blocks)(struct mnt_service *service, const char *blob, const char *etag,
		      struct mnt_block_id **list, size_t *count);
	int (*append)(struct mnt_service *service, const char *blob, const void *data, size_t size,
		      uint64_t position, struct mnt_attr *attr);
	int (*append_new)(struct mnt_service *service, const char *blob,
			  const struct azblob_properties *keep,
			  const struct mnt_condition *condition, struct mnt_attr *attr);
	int (*copy)(struct mnt_service *service, const char *from, const char *from_etag,
		    const char *to, const struct mnt_condition *condition, struct mnt_attr *attr);
	int (*remove)(struct mnt_service *service, const char *blob, const char *etag);
	int (*touch)(struct mnt_service *service, const char *blob, const char *etag,
		     struct mnt_attr *attr);
	void *(*pin)(struct mnt_service *service, void *data, size_t size);
	void (*unpin)(struct mnt_service *service, void *handle);
	void (*interrupt)(struct mnt_service *service);
	void (*close)(struct mnt_service *service);
};

/* Embedded by each kind. */
struct mnt_service {
	const struct mnt_service_ops *ops;
};

void mnt_free_blocks(struct mnt_block_id *list, size_t count);

/* Which of the bytes that are read have to fit a checksum of the service's. */
enum mnt_checksums {
	MNT_CHECK_AUTO, /* those that came over a network */
	MNT_CHECK_ALWAYS,
	MNT_CHECK_NEVER,
};

/* @conn becomes the service's; NULL when out of memory. */
struct mnt_service *mnt_service_azblob(azblob_conn *conn, const char *container,
				       enum mnt_checksums checksums);

/* The metadata that marks an empty blob as a directory; other programs use it too. */
#define MNT_FOLDER_KEY "hdi_isfolder"

/* -errno for an error of the library. */
int mnt_errno(const struct azblob_error *error);

/* Bytes of one append. */
#define MNT_APPEND_MAX ((size_t)4 << 20)

#endif /* MNT_SERVICE_H */
