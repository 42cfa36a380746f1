/* SPDX-License-Identifier: MIT */
/* Leases as headers and XML show them.  No state, any thread. */
#ifndef AZBLOB_BLOB_LEASE_H
#define AZBLOB_BLOB_LEASE_H

#include <stdbool.h>
#include <stddef.h>

#include "../base/buf.h"
#include "../store/store.h"
#include "answer.h"

#define LEASE_ID_ROOM 37u /* a GUID and a zero */

/* A GUID: 32 hexadecimal digits, with hyphens or without, in braces, parentheses or bare. */
bool lease_id_parse(const char *text, size_t length, uint8_t id[16]);
void lease_id_format(const uint8_t id[16], char out[LEASE_ID_ROOM]);

/* x-ms-lease-status, -state and -duration. */
void lease_add_headers(struct answer *a, const struct store_lease *lease);
/* LeaseStatus, LeaseState, LeaseDuration. */
void lease_add_xml(struct azb_buf *xml, const struct store_lease *lease);

#endif /* AZBLOB_BLOB_LEASE_H */
