/* SPDX-License-Identifier: MIT */
/* Access tiers as headers and XML show them. */
#ifndef AZBLOB_BLOB_TIER_H
#define AZBLOB_BLOB_TIER_H

#include "request.h"

/* x-ms-access-tier: STORE_TIER_INFERRED when absent.  NULL, or the answer that refuses it. */
struct svc_answer *tier_parse(const struct rq *rq, enum store_tier *tier);
/* x-ms-rehydrate-priority. */
struct svc_answer *tier_priority(const struct rq *rq, bool *high);

/* x-ms-access-tier and what goes with it; of block blobs only. */
void tier_add_headers(struct answer *a, const struct store_blob_info *info);
/* AccessTier and what goes with it. */
void tier_add_xml(struct azb_buf *xml, const struct store_blob_info *info);

#endif /* AZBLOB_BLOB_TIER_H */
