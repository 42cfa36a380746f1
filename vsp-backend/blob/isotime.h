/* SPDX-License-Identifier: MIT */
/* Times in ISO 8601 as shared access signatures and stored policies write them. */
#ifndef AZBLOB_BLOB_ISOTIME_H
#define AZBLOB_BLOB_ISOTIME_H

#include <stdbool.h>
#include <stdint.h>

/* "2026-01-31T23:59:59Z" and a zero. */
#define ISOTIME_ROOM 21u

/*
 * YYYY-MM-DD, YYYY-MM-DDThh:mm[:ss[.f]] with Z or +hh:mm, f of 1 to 7 digits ("Formatting
 * Date-Time values" in Azure's reference; the offset is what some clients write for Z).
 * *@ns counts from 1970.  False: no such thing.
 */
bool isotime_parse(const char *text, int64_t *ns);

/* Whole seconds, in UTC. */
void isotime_format(char out[ISOTIME_ROOM], int64_t ns);

/* The wall clock. */
int64_t isotime_now(void);

#endif /* AZBLOB_BLOB_ISOTIME_H */
