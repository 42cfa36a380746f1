/* SPDX-License-Identifier: MIT */
/*
 * The operations.  Each is called with credentials, headers and names checked.  It answers,
 * or gives NULL and *@upload when it wants the body.
 */
#ifndef AZBLOB_BLOB_OP_H
#define AZBLOB_BLOB_OP_H

#include "error.h"
#include "request.h"

/*
 * op_acl.c: reads a SignedIdentifiers document into the bytes of a struct store_acl.  @wrong
 * receives the name of what is not right.
 */
enum err acl_parse(const void *xml, size_t length, struct azb_buf *acl, const char **wrong);

/*
 * op_container.c: the container of a request that only looks at it, with its lease if it names one.
 * NULL, and @info for store_container_info_clear(); or the answer that refuses it.
 */
struct svc_answer *container_look(struct rq *rq, struct store_container_info *info);

typedef struct svc_answer *op_run(struct rq *rq, struct svc_upload **upload);

/* op_container.c */
op_run op_container_create;
op_run op_container_delete;
op_run op_container_restore;
op_run op_container_properties;
op_run op_container_set_metadata;
/* op_acl.c */
op_run op_container_get_acl;
op_run op_container_set_acl;
/* op_batch.c: in an account and in a container */
op_run op_batch;
/* op_copy.c */
op_run op_copy_blob; /* and its synchronous kin: by headers */
op_run op_abort_copy;
/* A new copy's id in @id, of LEASE_ID_ROOM; NULL, or an answer. */
struct svc_answer *copy_make_id(const struct rq *rq, char id[37]);
/* op_incremental.c */
op_run op_copy_incremental;
/* op_from_url.c */
op_run op_put_block_from_url;
op_run op_append_from_url;
op_run op_put_page_from_url;
/* op_find.c: in an account and in a container */
op_run op_find_blobs;
/* op_lease.c: of blobs and of containers */
op_run op_lease;
/* op_protect.c */
op_run op_set_policy;
op_run op_delete_policy;
op_run op_set_hold;
/* op_tags.c */
op_run op_get_tags;
op_run op_set_tags;
/* op_tier.c */
op_run op_set_tier;
/* op_list.c */
op_run op_list_containers;
op_run op_list_blobs;
op_run op_get_block_list;
/* op_get.c */
const char *blob_type_name(enum store_blob_type type);
op_run op_get_blob;
op_run op_blob_properties;
/* op_blob.c */
op_run op_delete_blob;
op_run op_set_metadata;
op_run op_set_properties;
/* op_append.c */
op_run op_append_seal;
/* op_page.c */
op_run op_get_page_ranges;
/* Put Page with x-ms-page-write: clear. */
struct svc_answer *page_clear(struct rq *rq);
/* The range of a Put Page, in whole pages. */
struct svc_answer *page_range(const struct rq *rq, uint64_t *offset, uint64_t *length);
/* op_snapshot.c */
op_run op_snapshot_blob;
op_run op_undelete_blob;
/* upload.c */
op_run op_put_blob;
op_run op_put_block;
op_run op_put_block_list;
op_run op_append_block;
op_run op_put_page;

/* op_service.c */
op_run op_service_properties;
op_run op_service_set_properties;
op_run op_service_stats;
op_run op_account_info;
/* op_delegation.c */
op_run op_delegation_key;

#endif /* AZBLOB_BLOB_OP_H */
