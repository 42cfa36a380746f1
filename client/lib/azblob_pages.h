/* SPDX-License-Identifier: MIT */
/*
 * libazblob: page blobs, and blobs, blocks, appends and pages whose bytes the service fetches from
 * a URL.  Part of <azblob.h>, whose rules hold here.
 */
#ifndef AZBLOB_PAGES_H
#define AZBLOB_PAGES_H

#include "azblob.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- page blobs ---- */

/* Offsets, lengths and sizes of page blobs are multiples of this. */
#define AZBLOB_PAGE_SIZE 512u
/* Bytes that one azblob_put_pages() may carry. */
#define AZBLOB_PAGES_MAX (4u << 20)

/**
 * struct azblob_page_options - under which conditions pages are changed
 * @access: conditions and lease.
 * @if_sequence_le, @if_sequence_lt, @if_sequence_eq: what the blob's sequence number must be;
 *	NULL: anything.
 *
 * A change of pages whose outcome is unknown is sent again only under a lease or an If-Match, since
 * another writer may have come between.
 */
struct azblob_page_options {
	size_t struct_size;
	const struct azblob_access *access;
	const uint64_t *if_sequence_le;
	const uint64_t *if_sequence_lt;
	const uint64_t *if_sequence_eq;
};
#define AZBLOB_PAGE_OPTIONS_INIT                                           \
	{                                                                  \
		sizeof(struct azblob_page_options), NULL, NULL, NULL, NULL \
	}

/* struct azblob_page_result - of a change of pages; the caller's, filled on success */
struct azblob_page_result {
	char etag[128];
	char last_modified[64];
	uint64_t sequence_number;
	uint64_t reserved[4];
};

/*
 * Put Blob of a page blob of @size bytes, all zero; replaces a blob of that name unless a condition
 * forbids.
 */
int azblob_page_create(azblob_conn *conn, const char *container, const char *blob, uint64_t size,
		       uint64_t sequence_number, const struct azblob_put_options *options,
		       struct azblob_change_result *result, struct azblob_error *error);
/* Put Page: @size bytes, at most AZBLOB_PAGES_MAX, at @offset, in one step. */
int azblob_put_pages(azblob_conn *conn, const char *container, const char *blob, uint64_t offset,
		     const void *data, size_t size, const struct azblob_page_options *options,
		     struct azblob_page_result *result, struct azblob_error *error);
/* The same with zeros, @length of them, any number; they take no room. */
int azblob_clear_pages(azblob_conn *conn, const char *container, const char *blob, uint64_t offset,
		       uint64_t length, const struct azblob_page_options *options,
		       struct azblob_page_result *result, struct azblob_error *error);
/* Bytes beyond a smaller @size are gone; those up to a larger one are zero. */
int azblob_page_resize(azblob_conn *conn, const char *container, const char *blob, uint64_t size,
		       const struct azblob_access *access, struct azblob_page_result *result,
		       struct azblob_error *error);

enum azblob_sequence {
	AZBLOB_SEQUENCE_SET = 0,       /* to @number */
	AZBLOB_SEQUENCE_MAX = 1,       /* to @number, if that is more than it is */
	AZBLOB_SEQUENCE_INCREMENT = 2, /* by one; @number is 0 */
};
int azblob_page_set_sequence(azblob_conn *conn, const char *container, const char *blob,
			     enum azblob_sequence action, uint64_t number,
			     const struct azblob_access *access, struct azblob_page_result *result,
			     struct azblob_error *error);

/* @written: 0 for a range that was cleared since the snapshot that was asked about. */
struct azblob_page_range {
	uint64_t offset;
	uint64_t length;
	int written;
};

/**
 * struct azblob_page_list - ranges of a page blob, in their order
 * @next_marker: "" on the last page of the list.
 */
struct azblob_page_list {
	size_t count;
	const struct azblob_page_range *const *ranges;
	const char *next_marker;
	uint64_t blob_size;
	const char *etag;
};

/**
 * struct azblob_page_list_options - which ranges
 * @access: snapshot or version, conditions, lease.
 * @offset, @length: only what is there; @length 0: to the end.
 * @previous_snapshot: only what is different from then; NULL: all that is not zero.
 * @marker: next_marker of the list before.
 * @max_results: 1 to 10,000; 0: the service's choice.
 */
struct azblob_page_list_options {
	size_t struct_size;
	const struct azblob_access *access;
	uint64_t offset;
	uint64_t length;
	const char *previous_snapshot;
	const char *marker;
	unsigned int max_results;
};
#define AZBLOB_PAGE_LIST_OPTIONS_INIT                                              \
	{                                                                          \
		sizeof(struct azblob_page_list_options), NULL, 0, 0, NULL, NULL, 0 \
	}
/* Get Page Ranges.  *list is freed with azblob_page_list_free(). */
int azblob_get_page_ranges(azblob_conn *conn, const char *container, const char *blob,
			   const struct azblob_page_list_options *options,
			   struct azblob_page_list **list, struct azblob_error *error);
void azblob_page_list_free(struct azblob_page_list *list);

/* ---- from a URL ---- */

/**
 * struct azblob_source - bytes that the service fetches
 * @url: of a blob that the service can read: one of the same account as azblob_url() makes it, else
 *	with a SAS of its own.  A connection that has a SAS adds that to a URL of its own endpoint.
 * @offset, @length: a range of it; AZBLOB_LENGTH_REST: to its end.
 * @access: conditions on the source, without if_tags and lease; snapshot and version are in its
 *URL.
 * @content_md5: base64, of the bytes fetched; NULL: not checked.
 * @authorization: "Bearer ...", for the source; NULL: none.
 */
struct azblob_source {
	size_t struct_size;
	const char *url;
	uint64_t offset;
	uint64_t length;
	const struct azblob_access *access;
	const char *content_md5;
	const char *authorization;
};
#define AZBLOB_SOURCE_INIT                                                                  \
	{                                                                                   \
		sizeof(struct azblob_source), NULL, 0, AZBLOB_LENGTH_REST, NULL, NULL, NULL \
	}

/*
 * Put Blob From URL: a block blob of the whole source, at most 5000 MiB, when the answer is there.
 * Content type and the like are the source's where @options has none.
 */
int azblob_put_blob_from_url(azblob_conn *conn, const char *container, const char *blob,
			     const struct azblob_source *source,
			     const struct azblob_put_options *options,
			     struct azblob_change_result *result, struct azblob_error *error);
/* Put Block From URL: at most 4000 MiB, under @block_id. */
int azblob_put_block_from_url(azblob_conn *conn, const char *container, const char *blob,
			      const char *block_id, const struct azblob_source *source,
			      const char *lease_id, struct azblob_error *error);
/* Append Block From URL, as azblob_append_block(). */
int azblob_append_from_url(azblob_conn *conn, const char *container, const char *blob,
			   const struct azblob_source *source, uint64_t position, uint64_t max_size,
			   const struct azblob_access *access, struct azblob_append_result *result,
			   struct azblob_error *error);
/*
 * Put Page From URL, as azblob_put_pages(); the source's @length has to be given.
 */
int azblob_put_pages_from_url(azblob_conn *conn, const char *container, const char *blob,
			      uint64_t offset, const struct azblob_source *source,
			      const struct azblob_page_options *options,
			      struct azblob_page_result *result, struct azblob_error *error);

#ifdef __cplusplus
}
#endif

#endif /* AZBLOB_PAGES_H */
