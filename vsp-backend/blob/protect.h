/* SPDX-License-Identifier: MIT */
/* Immutability policies and legal holds as headers and XML show them. */
#ifndef AZBLOB_BLOB_PROTECT_H
#define AZBLOB_BLOB_PROTECT_H

#include "request.h"

/*
 * x-ms-immutability-policy-until-date, -mode and x-ms-legal-hold, of an operation that makes a
 * blob.  NULL, or the answer that refuses them.
 */
struct svc_answer *protect_parse(const struct rq *rq, struct store_protection *protect);

void protect_add_headers(struct answer *a, const struct store_blob_info *info);
/* Each only if the list asked for it. */
void protect_add_xml(struct azb_buf *xml, const struct store_blob_info *info, bool policy,
		     bool hold);

#endif /* AZBLOB_BLOB_PROTECT_H */
