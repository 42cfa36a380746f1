/* SPDX-License-Identifier: MIT */
/* The ids of snapshots and versions: times, as Azure writes them.  No state, any thread. */
#ifndef AZBLOB_BLOB_BLOBID_H
#define AZBLOB_BLOB_BLOBID_H

#include <stdbool.h>
#include <stdint.h>

/* "2011-03-09T01:42:34.9360000Z" and a zero */
#define BLOBID_ROOM 29u

/* @at: units of 100 ns since 1970, as in struct store_ref. */
void blobid_format(char out[BLOBID_ROOM], int64_t at);
/* 0 to 7 digits after the point.  False: it is no such id. */
bool blobid_parse(const char *text, int64_t *at);

#endif /* AZBLOB_BLOB_BLOBID_H */
