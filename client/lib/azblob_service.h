/* SPDX-License-Identifier: MIT */
/*
 * libazblob: containers, the account, and what protects or brings back: properties, access
 * policies, finding by tags, batches, undeletion, immutability.  Part of <azblob.h>, whose rules
 * hold here.
 */
#ifndef AZBLOB_SERVICE_H
#define AZBLOB_SERVICE_H

#include "azblob.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- containers ---- */

/* What everybody may read without credentials, where the account allows that. */
enum azblob_public {
	AZBLOB_PUBLIC_NONE = 0,
	AZBLOB_PUBLIC_BLOB = 1,      /* blobs, by their names */
	AZBLOB_PUBLIC_CONTAINER = 2, /* lists too */
};

struct azblob_container_options {
	size_t struct_size;
	enum azblob_public public_access;
	const struct azblob_pair *metadata;
	size_t metadata_count;
};
#define AZBLOB_CONTAINER_OPTIONS_INIT                                                \
	{                                                                            \
		sizeof(struct azblob_container_options), AZBLOB_PUBLIC_NONE, NULL, 0 \
	}
/* azblob_container_create() with what may be set at once. */
int azblob_container_create_with(azblob_conn *conn, const char *container,
				 const struct azblob_container_options *options,
				 struct azblob_change_result *result, struct azblob_error *error);
/* @access: times and lease; containers have no conditions on ETags or tags. */
int azblob_container_delete_if(azblob_conn *conn, const char *container,
			       const struct azblob_access *access, struct azblob_error *error);
/*
 * Restore Container, where deleted ones are kept: @version as azblob_list_containers() tells it
 * with AZBLOB_INCLUDE_DELETED.
 */
int azblob_container_restore(azblob_conn *conn, const char *container, const char *version,
			     struct azblob_error *error);

struct azblob_container_properties {
	const char *etag;
	const char *last_modified;
	const char *lease_state;
	const char *lease_status;
	enum azblob_public public_access;
	int has_immutability_policy;
	int has_legal_hold;
	size_t metadata_count;
	const struct azblob_pair *metadata;
};
/* @lease_id may be NULL.  *properties is freed with azblob_container_properties_free(). */
int azblob_container_get_properties(azblob_conn *conn, const char *container, const char *lease_id,
				    struct azblob_container_properties **properties,
				    struct azblob_error *error);
void azblob_container_properties_free(struct azblob_container_properties *properties);
/* @count pairs in place of all that there are; @access: if_modified_since and lease. */
int azblob_container_set_metadata(azblob_conn *conn, const char *container,
				  const struct azblob_pair *metadata, size_t count,
				  const struct azblob_access *access,
				  struct azblob_change_result *result, struct azblob_error *error);

/**
 * struct azblob_policy - a stored access policy, which a SAS can name
 * @id: 1 to 64 characters.
 * @start, @expiry: UTC, "2026-11-23T12:00:00Z"; "" or NULL: the SAS says it.
 * @permissions: letters as in a SAS; "" or NULL: the SAS says it.
 */
struct azblob_policy {
	const char *id;
	const char *start;
	const char *expiry;
	const char *permissions;
};
struct azblob_acl {
	size_t count;
	const struct azblob_policy *const *policies;
	enum azblob_public public_access;
	const char *etag;
	const char *last_modified;
};
/* *acl is freed with azblob_acl_free(). */
int azblob_container_get_acl(azblob_conn *conn, const char *container, const char *lease_id,
			     struct azblob_acl **acl, struct azblob_error *error);
void azblob_acl_free(struct azblob_acl *acl);
/* @count policies, at most 5, and @public_access in place of what is there. */
int azblob_container_set_acl(azblob_conn *conn, const char *container,
			     enum azblob_public public_access, const struct azblob_policy *policies,
			     size_t count, const struct azblob_access *access,
			     struct azblob_change_result *result, struct azblob_error *error);

/* ---- finding ---- */

/* @tags: those that the expression names. */
struct azblob_found_blob {
	const char *container;
	const char *name;
	size_t tag_count;
	const struct azblob_pair *tags;
};
/* @next_marker: "" on the last page. */
struct azblob_found {
	size_t count;
	const struct azblob_found_blob *const *blobs;
	const char *next_marker;
};
/*
 * Find Blobs by Tags: in a container, or with NULL in the account.  @expression: such as
 * "color = 'red' AND n > '5'".  @marker: NULL for the start.  @max_results: 1 to 5000; 0: the
 * service's choice.  *page is freed with azblob_found_free().
 */
int azblob_find_blobs(azblob_conn *conn, const char *container, const char *expression,
		      const char *marker, unsigned int max_results, struct azblob_found **page,
		      struct azblob_error *error);
void azblob_found_free(struct azblob_found *page);

/* ---- batches ---- */

/* Requests of one azblob_batch(). */
#define AZBLOB_BATCH_MAX 256u

enum azblob_batch_kind {
	AZBLOB_BATCH_DELETE = 0,
	AZBLOB_BATCH_SET_TIER = 1,
};
/**
 * struct azblob_batch_request - one of a batch, all of which are of the same kind
 * @what: AZBLOB_BATCH_DELETE: with or without snapshots.
 * @tier: AZBLOB_BATCH_SET_TIER: as azblob_set_tier().
 * @access: as azblob_delete_blob_if() and azblob_set_tier() take; NULL: none.
 */
struct azblob_batch_request {
	enum azblob_batch_kind kind;
	const char *container;
	const char *blob;
	enum azblob_delete what;
	const char *tier;
	const struct azblob_access *access;
};
/**
 * struct azblob_batch_result - what one of a batch came to; the caller's
 * @http_status: 200 to 299 when it was done; 0 when its answer was missing.
 * @code: Azure's error code, or "".
 */
struct azblob_batch_result {
	int http_status;
	int reserved32;
	uint64_t reserved[3];
	char code[64];
};
/*
 * Blob Batch: @count requests, 1 to AZBLOB_BATCH_MAX, each signed for itself, in one.  Succeeds
 * when the batch was carried out: @results, @count of them in the same order, tell of each.  Never
 * sent again when its outcome is unknown.
 */
int azblob_batch(azblob_conn *conn, const struct azblob_batch_request *requests, size_t count,
		 struct azblob_batch_result *results, struct azblob_error *error);

/* ---- blobs: bringing back, keeping ---- */

/* Undelete Blob, where deleted ones are kept: the blob and all its snapshots. */
int azblob_undelete_blob(azblob_conn *conn, const char *container, const char *blob,
			 struct azblob_error *error);
/*
 * Delete Blob with deletetype=permanent: ends the keeping of a deleted snapshot or version, the one
 * that @access names, before its time.  The account has to allow that (AllowPermanentDelete of its
 * DeleteRetentionPolicy), and so has a SAS (the permission y).
 */
int azblob_delete_permanently(azblob_conn *conn, const char *container, const char *blob,
			      const struct azblob_access *access, struct azblob_error *error);
/*
 * Set Blob Tier of an archived blob: takes a while, shorter with @high; azblob_get_properties()
 * tells when it is over.
 */
int azblob_rehydrate(azblob_conn *conn, const char *container, const char *blob, const char *tier,
		     int high, const struct azblob_access *access, struct azblob_error *error);
/*
 * Nobody can change or delete the blob before @until, an HTTP date; who has set it can shorten the
 * time or end it unless it is @locked.
 */
int azblob_set_immutability(azblob_conn *conn, const char *container, const char *blob,
			    const char *until, int locked, const struct azblob_access *access,
			    struct azblob_error *error);
int azblob_delete_immutability(azblob_conn *conn, const char *container, const char *blob,
			       const struct azblob_access *access, struct azblob_error *error);
/* Nobody can change or delete the blob until it is set to 0 again. */
int azblob_set_legal_hold(azblob_conn *conn, const char *container, const char *blob, int hold,
			  const struct azblob_access *access, struct azblob_error *error);

/* ---- the account ---- */

/* struct azblob_account_info - of what kind the account is; the caller's, filled on success */
struct azblob_account_info {
	char sku[64];
	char kind[64];
	int is_hns; /* has a hierarchical namespace */
	int reserved32;
	uint64_t reserved[4];
};
int azblob_get_account_info(azblob_conn *conn, struct azblob_account_info *info,
			    struct azblob_error *error);

/*
 * Get and Set Blob Service Properties: soft delete, CORS, the static website and the like, as the
 * XML document of the REST reference (StorageServiceProperties); what a document leaves out stays
 * as it is.  *xml is freed with azblob_text_free().
 */
int azblob_get_service_properties(azblob_conn *conn, char **xml, struct azblob_error *error);
int azblob_set_service_properties(azblob_conn *conn, const char *xml, struct azblob_error *error);

/**
 * struct azblob_service_stats - how far the secondary is behind; the caller's, filled on success
 * @status: "live", "bootstrap" or "unavailable".
 * @last_sync_time: an HTTP date, or "".
 */
struct azblob_service_stats {
	char status[32];
	char last_sync_time[64];
	uint64_t reserved[4];
};
/* Get Blob Service Stats: only for a connection to the endpoint of the secondary. */
int azblob_get_service_stats(azblob_conn *conn, struct azblob_service_stats *stats,
			     struct azblob_error *error);

#ifdef __cplusplus
}
#endif

#endif /* AZBLOB_SERVICE_H */
