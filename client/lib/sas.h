/* SPDX-License-Identifier: MIT */
#ifndef AZC_SAS_H
#define AZC_SAS_H

#include "transport.h"

/* Adds the connection's SAS to the request's query, once. */
void azc_request_sas(struct azc_request *request, const azblob_conn *conn);
/* The account that an endpoint is of, for configurations that name none; NULL when out of memory.
 */
char *azc_endpoint_account(const char *url);
/* The address of a copy's source with the connection's SAS where that is what it needs. */
void azc_source_url(struct azb_buf *url, const azblob_conn *conn, const char *source);

#endif /* AZC_SAS_H */
